//! Examples checked, numbered, turned into vectors and dealt into folds.

use std::collections::BTreeMap;

/// Label names that name no topic: as examples they would only teach that the word stands for them.
const NO_TOPIC: [&str; 7] = [
    "other", "others", "none", "unknown", "misc", "rest", "general",
];

use crate::features::{Row, Vocabulary, counted};

use super::{Example, MOST_WEIGHTS, TrainError, TrainOptions};

/// The examples as vectors.
pub(super) struct TrainingSet {
    pub(super) labels: Vec<String>,
    pub(super) vocabulary: Vocabulary,
    pub(super) rows: Vec<Row>,
    pub(super) targets: Vec<usize>,
    /// The part each row is held back in; none for label names, which are never held back.
    pub(super) folds: Vec<Option<usize>>,
}

impl TrainingSet {
    pub(super) fn new(
        examples: &[Example],
        options: &TrainOptions,
    ) -> Result<TrainingSet, TrainError> {
        let (labels, mut targets) = number_labels(examples)?;
        let mut texts = Vec::with_capacity(examples.len());
        for (at, example) in examples.iter().enumerate() {
            let features = counted(&example.text);
            if features.is_empty() {
                return Err(TrainError::EmptyText(at));
            }
            texts.push(features);
        }
        let mut folds = assign_folds(examples, &targets, labels.len(), options.folds.clamp(2, 20));
        if options.label_names {
            let telling = labels
                .iter()
                .enumerate()
                .filter(|(_, l)| !NO_TOPIC.contains(&l.as_str()));
            for (number, label) in telling {
                let features = counted(label);
                for _ in 0..2 {
                    texts.push(features.clone());
                    targets.push(number);
                    folds.push(None);
                }
            }
        }
        let vocabulary = Vocabulary::learn(&texts);
        let features = vocabulary.hashes.len();
        if features.saturating_mul(labels.len()) > MOST_WEIGHTS {
            return Err(TrainError::TooLarge {
                features,
                labels: labels.len(),
            });
        }
        Ok(TrainingSet {
            rows: texts.iter().map(|t| vocabulary.row(t)).collect(),
            labels,
            vocabulary,
            targets,
            folds,
        })
    }
}

fn number_labels(examples: &[Example]) -> Result<(Vec<String>, Vec<usize>), TrainError> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, example) in examples.iter().enumerate() {
        if example.label.trim().is_empty() {
            return Err(TrainError::EmptyLabel(at));
        }
        *counts.entry(&example.label).or_default() += 1;
    }
    if counts.len() < 2 {
        return Err(TrainError::TooFewLabels(counts.len()));
    }
    if let Some((label, _)) = counts.iter().find(|(_, n)| **n < 2) {
        return Err(TrainError::TooFewExamples {
            label: (*label).to_owned(),
        });
    }
    let labels: Vec<String> = counts.keys().map(|l| (*l).to_owned()).collect();
    let number = |e: &Example| labels.partition_point(|l| l < &e.label);
    let targets = examples.iter().map(number).collect();
    Ok((labels, targets))
}

/// Deals each label's examples over the folds in turn. A repeated text stays with its first copy: predicting a text
/// that the model has seen word for word would flatter it.
fn assign_folds(
    examples: &[Example],
    targets: &[usize],
    labels: usize,
    folds: usize,
) -> Vec<Option<usize>> {
    let mut next = vec![0; labels];
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut out = Vec::with_capacity(examples.len());
    for (example, target) in examples.iter().zip(targets) {
        let fold = *seen.entry(example.text.trim()).or_insert_with(|| {
            next[*target] += 1;
            (next[*target] - 1) % folds
        });
        out.push(Some(fold));
    }
    out
}
