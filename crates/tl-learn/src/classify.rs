//! The embedded text classifier: n-gram features, logistic regression, and a temperature fitted on predictions for
//! examples the model had not seen, so that its confidence can be compared with a threshold.
//!
//! Training is a pure function of the examples and options: the same input gives the same bytes on every machine.

mod bytes;
mod explain;
mod fit;
mod training_set;

use serde::{Deserialize, Serialize};

use crate::calibrate::{Judged, Scored, apply_temperature, ece};
use crate::features::{Row, Vocabulary, Words, counted, words};
use crate::meaning;
use crate::train::Weights;

pub use bytes::NotAModel;
use fit::{Fitted, fit};
use training_set::{TrainingSet, with_place};

/// Largest model: distinct features times labels.
const MOST_WEIGHTS: usize = 60_000_000;

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
    /// Weight of a text's place by meaning beside its words and letters (1: as much; 0: not at all). [`None`]: with
    /// the usual weight or not at all, whichever predicts held-back examples better.
    pub meaning: Option<f64>,
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
            meaning: None,
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
    /// How much of the text speaks for the label at all: its score before it is set against the other labels. About
    /// 0 for a text of which nothing is known.
    pub familiarity: f64,
    /// The text is unlike the examples: less familiar than nineteen in twenty of them were when they were held back.
    /// Whatever the confidence, a person should look.
    pub strange: bool,
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
    /// Weight of a text's place by meaning; 0 for a model without.
    meaning: f32,
    /// One number per label for each feature of the vocabulary and, behind them, each dimension of meaning.
    weights: Vec<f32>,
    temperature: f64,
    /// The familiarity below which a text is strange.
    least_familiar: f64,
    held_back: HeldBack,
}

impl Classifier {
    /// Learns from examples. See [`TrainError`] for what is refused.
    pub fn train(examples: &[Example], options: &TrainOptions) -> Result<Classifier, TrainError> {
        let set = TrainingSet::new(examples, options)?;
        let Fitted {
            meaning,
            weights,
            held_out,
            temperature,
        } = fit(&set, options);
        let judged = |temperature: f64| -> Vec<Judged> {
            held_out
                .iter()
                .map(|case| judge(case, temperature))
                .collect()
        };
        let least_familiar = least_familiar(&held_out);
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
            meaning,
            temperature,
            least_familiar,
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

    /// The weight that a text's place by meaning has beside its words and letters; 0 where training found it no help.
    pub fn meaning(&self) -> f64 {
        f64::from(self.meaning)
    }

    /// The familiarity below which a text is strange.
    pub fn least_familiar(&self) -> f64 {
        self.least_familiar
    }

    /// How the model did on examples held back from it.
    pub fn held_back(&self) -> HeldBack {
        self.held_back
    }

    /// The most likely label of a text and why. A text of which nothing is known gives every label the same
    /// probability.
    pub fn predict(&self, text: &str) -> Prediction {
        let words = words(text);
        let row = self.row(&words);
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
            familiarity: scores[best],
            strange: scores[best] < self.least_familiar,
            scores: ranked
                .iter()
                .map(|i| (self.labels[*i].clone(), probabilities[*i]))
                .collect(),
            top_features: self.explain(text, &words, &row, best),
        }
    }

    fn row(&self, words: &Words) -> Row {
        let row = self.vocabulary.row(&counted(words));
        let place = (self.meaning > 0.0)
            .then(|| meaning::of_text(words))
            .flatten();
        with_place(
            row,
            &self.vocabulary,
            place.as_ref(),
            f64::from(self.meaning),
        )
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
}

/// The familiarity that nineteen in twenty held-back examples reach.
fn least_familiar(held_out: &[Scored]) -> f64 {
    let mut best: Vec<f64> = held_out
        .iter()
        .map(|c| c.scores.iter().copied().fold(f64::MIN, f64::max))
        .collect();
    best.sort_by(f64::total_cmp);
    best.get(best.len() / 20).copied().unwrap_or(0.0)
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

/// Drops the padding between features.
fn compact(weights: &Weights, label_count: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(weights.values.len() / weights.stride * label_count);
    for feature in weights.values.chunks_exact(weights.stride) {
        out.extend_from_slice(&feature[..label_count]);
    }
    out
}
