//! Examples checked, numbered, turned into vectors and dealt into folds.

use std::collections::BTreeMap;

/// Label names that name no topic: as examples they would only teach that the word stands for them.
const NO_TOPIC: [&str; 7] = [
    "other", "others", "none", "unknown", "misc", "rest", "general",
];

use crate::features::{Row, Vocabulary, counted, words};
use crate::meaning;
use crate::train::Problem;

use super::{Example, MOST_WEIGHTS, TrainError, TrainOptions};

/// A vector of length 1.
pub(super) type Place = [f64; meaning::DIMENSIONS];

/// The examples as vectors.
pub(super) struct TrainingSet {
    pub(super) labels: Vec<String>,
    pub(super) vocabulary: Vocabulary,
    /// The examples by words and letters alone.
    pub(super) rows: Vec<Row>,
    /// Their places by meaning, in the same order.
    pub(super) places: Vec<Option<Place>>,
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
        let mut places = Vec::with_capacity(examples.len());
        for (at, example) in examples.iter().enumerate() {
            let words = words(&example.text);
            if words.words.is_empty() {
                return Err(TrainError::EmptyText(at));
            }
            texts.push(counted(&words));
            places.push(meaning::of_text(&words));
        }
        let mut folds = assign_folds(examples, &targets, labels.len(), options.folds.clamp(2, 20));
        if options.label_names {
            let telling = labels
                .iter()
                .enumerate()
                .filter(|(_, l)| !NO_TOPIC.contains(&l.as_str()));
            for (number, label) in telling {
                let words = words(label);
                let (features, place) = (counted(&words), meaning::of_text(&words));
                for _ in 0..2 {
                    texts.push(features.clone());
                    places.push(place);
                    targets.push(number);
                    folds.push(None);
                }
            }
        }
        let vocabulary = Vocabulary::learn(&texts);
        let features = vocabulary.hashes.len() + meaning::DIMENSIONS;
        if features.saturating_mul(labels.len()) > MOST_WEIGHTS {
            return Err(TrainError::TooLarge {
                features,
                labels: labels.len(),
            });
        }
        Ok(TrainingSet {
            rows: texts.iter().map(|t| vocabulary.row(t)).collect(),
            places,
            labels,
            vocabulary,
            targets,
            folds,
        })
    }
}

impl TrainingSet {
    /// The examples with their places by meaning, which count with this weight beside words and letters.
    pub(super) fn rows_with(&self, weight: f64) -> Vec<Row> {
        let add = |(row, place): (&Row, &Option<Place>)| {
            with_place(row.clone(), &self.vocabulary, place.as_ref(), weight)
        };
        self.rows.iter().zip(&self.places).map(add).collect()
    }

    /// The problem of fitting rows made with that weight.
    pub(super) fn problem<'a>(&'a self, rows: &'a [Row], meaning: f32) -> Problem<'a> {
        let places = if meaning > 0.0 {
            meaning::DIMENSIONS
        } else {
            0
        };
        Problem {
            rows,
            labels: &self.targets,
            label_count: self.labels.len(),
            feature_count: self.vocabulary.hashes.len() + places,
        }
    }
}

/// A row with the place of its text behind the features of its words.
pub(super) fn with_place(
    mut row: Row,
    vocabulary: &Vocabulary,
    place: Option<&Place>,
    weight: f64,
) -> Row {
    if let Some(place) = place.filter(|_| weight > 0.0) {
        let first = vocabulary.hashes.len() as u32;
        row.ids.extend(first..first + place.len() as u32);
        row.values.extend(place.iter().map(|v| weight * v));
    }
    row
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
