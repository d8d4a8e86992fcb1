//! The embedded text classifier: n-gram features, logistic regression, and a temperature fitted on predictions for
//! examples the model had not seen, so that its confidence can be compared with a threshold.
//!
//! Training is a pure function of the examples and options: the same input gives the same bytes on every machine.

mod bytes;
mod training_set;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::calibrate::{Judged, Scored, apply_temperature, ece, fit_temperature};
use crate::features::{Row, Vocabulary, Words, counted, occurrences, words};
use crate::train::{Effort, Problem, Weights, stride_of};

pub use bytes::NotAModel;
use training_set::TrainingSet;

/// Largest model: distinct features times labels.
const MOST_WEIGHTS: usize = 60_000_000;
/// Words named in an explanation.
const EXPLAINED_WORDS: usize = 8;

/// A text whose label is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// The text as a message would bring it.
    pub text: String,
    /// The right label.
    pub label: String,
}

/// How to train. The defaults suit 5 to some thousand examples a label.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainOptions {
    /// Weight of the examples against simplicity; larger fits the examples more closely.
    pub strength: f64,
    /// Parts the examples are split into to predict each part from the others (2 to 20; out-of-range values are
    /// moved to the nearest end).
    pub folds: usize,
    /// Count each label's name as two more examples of it.
    pub label_names: bool,
}

impl Default for TrainOptions {
    fn default() -> Self {
        TrainOptions {
            strength: 20.0,
            folds: 5,
            label_names: true,
        }
    }
}

/// Why a set of examples cannot be learnt from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrainError {
    /// Fewer than two different labels; holds how many there are.
    TooFewLabels(usize),
    /// A label with only one example.
    TooFewExamples {
        /// The label.
        label: String,
    },
    /// An example without a single word; holds its position, from 0.
    EmptyText(usize),
    /// An example whose label is empty; holds its position, from 0.
    EmptyLabel(usize),
    /// More distinct features times labels than one model may hold.
    TooLarge {
        /// Distinct features in the examples.
        features: usize,
        /// Distinct labels in the examples.
        labels: usize,
    },
}

impl std::fmt::Display for TrainError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TrainError::TooFewLabels(found) => {
                write!(
                    f,
                    "examples need at least two different labels, found {found}"
                )
            }
            TrainError::TooFewExamples { label } => {
                write!(
                    f,
                    "label \"{label}\" has one example, at least two are needed"
                )
            }
            TrainError::EmptyText(at) => write!(f, "example {} has no words in its text", at + 1),
            TrainError::EmptyLabel(at) => write!(f, "example {} has an empty label", at + 1),
            TrainError::TooLarge { features, labels } => write!(
                f,
                "{features} features times {labels} labels is more than a model may hold ({MOST_WEIGHTS})"
            ),
        }
    }
}

impl std::error::Error for TrainError {}

/// What a classifier says about a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The most likely label; of equally likely ones the first in alphabetical order.
    pub label: String,
    /// Its calibrated probability.
    pub confidence: f64,
    /// Every label with its probability, most likely first.
    pub scores: Vec<(String, f64)>,
    /// Words of the text that spoke for the label (positive) or against it (negative), strongest first, at most eight.
    /// The number is the word's part in the label's score above the average label.
    pub top_features: Vec<(String, f64)>,
}

/// How the model did on examples held back from it during training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HeldBack {
    /// Examples predicted by a model that had not seen them.
    pub examples: usize,
    /// Share of them that was predicted right.
    pub accuracy: f64,
    /// Expected calibration error before the temperature.
    pub ece_before: f64,
    /// Expected calibration error with the temperature.
    pub ece_after: f64,
}

/// A trained model.
#[derive(Debug, Clone, PartialEq)]
pub struct Classifier {
    labels: Vec<String>,
    vocabulary: Vocabulary,
    /// One number per label for each feature.
    weights: Vec<f32>,
    temperature: f64,
    held_back: HeldBack,
}

impl Classifier {
    /// Learns from examples. See [`TrainError`] for what is refused.
    pub fn train(examples: &[Example], options: &TrainOptions) -> Result<Classifier, TrainError> {
        let set = TrainingSet::new(examples, options)?;
        let problem = Problem {
            rows: &set.rows,
            labels: &set.targets,
            label_count: set.labels.len(),
            feature_count: set.vocabulary.hashes.len(),
        };
        let (weights, held_out) = fit_with_folds(&problem, &set.folds, options);
        let temperature = fit_temperature(&held_out);
        let judged = |temperature: f64| -> Vec<Judged> {
            held_out
                .iter()
                .map(|case| judge(case, temperature))
                .collect()
        };
        let (before, after) = (judged(1.0), judged(temperature));
        let right = after.iter().filter(|j| j.right).count();
        let held_back = HeldBack {
            examples: held_out.len(),
            accuracy: right as f64 / held_out.len().max(1) as f64,
            ece_before: ece(&before),
            ece_after: ece(&after),
        };
        Ok(Classifier {
            weights: compact(&weights, set.labels.len()),
            labels: set.labels,
            vocabulary: set.vocabulary,
            temperature,
            held_back,
        })
    }

    /// The labels in alphabetical order.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// What the scores are divided by before they become probabilities.
    pub fn temperature(&self) -> f64 {
        self.temperature
    }

    /// How the model did on examples held back from it.
    pub fn held_back(&self) -> HeldBack {
        self.held_back
    }

    /// The most likely label of a text and why. A text of which nothing is known gives every label the same
    /// probability.
    pub fn predict(&self, text: &str) -> Prediction {
        let row = self.vocabulary.row(&counted(text));
        let scores = self.raw_scores(&row);
        let probabilities = apply_temperature(&scores, self.temperature);
        let mut ranked: Vec<usize> = (0..self.labels.len()).collect();
        ranked.sort_by(|a, b| {
            probabilities[*b]
                .total_cmp(&probabilities[*a])
                .then(a.cmp(b))
        });
        let best = ranked[0];
        Prediction {
            label: self.labels[best].clone(),
            confidence: probabilities[best],
            scores: ranked
                .iter()
                .map(|i| (self.labels[*i].clone(), probabilities[*i]))
                .collect(),
            top_features: self.explain(text, &words(text), &row, best),
        }
    }

    fn raw_scores(&self, row: &Row) -> Vec<f64> {
        let count = self.labels.len();
        let mut scores = vec![0.0; count];
        for (id, value) in row.ids.iter().zip(&row.values) {
            let weights = &self.weights[*id as usize * count..][..count];
            for (score, weight) in scores.iter_mut().zip(weights) {
                *score += value * f64::from(*weight);
            }
        }
        scores
    }

    /// Sums the parts of a word's features, its letters included: "refu" helps nobody, "refund" does.
    fn explain(&self, text: &str, words: &Words, row: &Row, label: usize) -> Vec<(String, f64)> {
        let count = self.labels.len();
        let part_of = |at: usize| {
            let weights = &self.weights[row.ids[at] as usize * count..][..count];
            let mean = weights.iter().map(|w| f64::from(*w)).sum::<f64>() / count as f64;
            row.values[at] * (f64::from(weights[label]) - mean)
        };
        let mut found = occurrences(words);
        found.sort_unstable();
        let mut by_word: BTreeMap<String, f64> = BTreeMap::new();
        let mut at = 0;
        for same in found.chunk_by(|a, b| a.hash == b.hash) {
            let Ok(id) = self.vocabulary.hashes.binary_search(&same[0].hash) else {
                continue;
            };
            // Both lists ascend by hash, so one walk pairs them.
            while row.ids[at] as usize != id {
                at += 1;
            }
            let share = part_of(at) / same.len() as f64;
            for occurrence in same {
                let word = &words.words[occurrence.word as usize];
                *by_word
                    .entry(text[word.start..word.end].to_lowercase())
                    .or_default() += share;
            }
        }
        let mut out: Vec<(String, f64)> = by_word
            .into_iter()
            .filter(|(_, part)| *part != 0.0)
            .collect();
        out.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()).then_with(|| a.0.cmp(&b.0)));
        out.truncate(EXPLAINED_WORDS);
        out
    }
}

/// Fits the model on everything, and predicts every fold from the others on the way.
fn fit_with_folds(
    problem: &Problem<'_>,
    folds: &[Option<usize>],
    options: &TrainOptions,
) -> (Weights, Vec<Scored>) {
    let effort = Effort {
        strength: options.strength.clamp(1e-3, 1e6),
        tolerance: 1e-2,
        passes: 60,
    };
    let stride = stride_of(problem.label_count);
    let fold_count = folds.iter().flatten().max().map_or(0, |last| last + 1);
    let mut held_out = Vec::with_capacity(folds.len());
    let mut shares = problem.no_shares();
    let mut scores = vec![0.0; stride];
    for fold in 0..fold_count {
        let keep: Vec<bool> = folds.iter().map(|f| *f != Some(fold)).collect();
        let members: Vec<usize> = (0..folds.len()).filter(|i| keep[*i]).collect();
        // The next fit starts where this one ended: most of its examples are the same.
        shares.keep_only(stride, &keep);
        let weights = problem.fit(&members, &mut shares, effort);
        for row in (0..folds.len()).filter(|i| !keep[*i]) {
            weights.score(&problem.rows[row], &mut scores);
            held_out.push(Scored {
                scores: scores[..problem.label_count].to_vec(),
                label: problem.labels[row],
            });
        }
    }
    let everyone: Vec<usize> = (0..folds.len()).collect();
    let effort = Effort {
        tolerance: 0.3 * effort.tolerance,
        passes: 200,
        ..effort
    };
    (problem.fit(&everyone, &mut shares, effort), held_out)
}

fn judge(case: &Scored, temperature: f64) -> Judged {
    let probabilities = apply_temperature(&case.scores, temperature);
    let mut best = 0;
    for (i, p) in probabilities.iter().enumerate() {
        if *p > probabilities[best] {
            best = i;
        }
    }
    Judged {
        confidence: probabilities[best],
        right: best == case.label,
    }
}

/// Drops the padding between features and halves the precision.
fn compact(weights: &Weights, label_count: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(weights.values.len() / weights.stride * label_count);
    for feature in weights.values.chunks_exact(weights.stride) {
        out.extend(feature[..label_count].iter().map(|w| *w as f32));
    }
    out
}
