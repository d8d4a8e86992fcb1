//! How well a classifier does on cases whose answer is known: accuracy, a table per label, how honest its confidence
//! is, how much could go through at a given error rate, and whether one version is better than another.

mod paired;
mod svg;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::calibrate::{Judged, brier, ece, reliability};
use crate::trust::{Evidence, Judgement, Target, certify_batch, lower_limit, upper_limit};

pub use paired::{Paired, compare};
pub use svg::reliability_svg;

/// Level of both-sided intervals: 95 %, half of the rest on each side.
const SIDE: f64 = 0.975;
/// Level of the certified thresholds.
const LEVEL: f64 = 0.95;
/// Error rates at which coverage is stated.
const ERROR_RATES: [f64; 3] = [0.01, 0.02, 0.05];

/// One case: the right label, and what was said. `said` is [`None`] where there was no opinion.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The right label.
    pub truth: String,
    /// The label said.
    pub said: Option<String>,
    /// The stated confidence; 0 without an opinion.
    pub confidence: f64,
}

impl Answer {
    /// Whether the label said is the right one; no opinion is not right.
    pub fn right(&self) -> bool {
        self.said.as_ref() == Some(&self.truth)
    }
}

/// A share with its both-sided 95 % interval (exact, after Clopper and Pearson).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Share {
    /// The share seen; 0 of nothing.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Share {
    /// `count` of `total`.
    pub fn of(count: usize, total: usize) -> Share {
        let (count, total) = (count as u64, total as u64);
        Share {
            value: count as f64 / total.max(1) as f64,
            low: lower_limit(count, total, SIDE),
            high: upper_limit(count, total, SIDE),
        }
    }
}

/// One label's row.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LabelRow {
    /// The label.
    pub label: String,
    /// Cases whose right label it is.
    pub cases: usize,
    /// Cases for which it was said.
    pub said: usize,
    /// Cases for which it was said rightly.
    pub right: usize,
    /// Share of what was said that was right.
    pub precision: f64,
    /// Share of its cases that was found.
    pub recall: f64,
    /// Harmonic mean of the two.
    pub f1: f64,
}

/// A kind of mistake and how often it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Confusion {
    /// The right label.
    pub truth: String,
    /// What was said instead; empty for no opinion.
    pub said: String,
    /// How often.
    pub cases: usize,
}

/// One bar of the reliability table.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bar {
    /// Cases in this fifteenth of the confidences.
    pub cases: usize,
    /// Their mean confidence.
    pub confidence: f64,
    /// The share of them that was right.
    pub right: Share,
}

/// How much could go through at an error rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Coverage {
    /// The tolerated error rate among what goes through.
    pub max_error: f64,
    /// The largest share of these cases that keeps to it, with the best threshold for *these* cases: what one would
    /// wish for, not what may be promised.
    pub wished: Share,
    /// The threshold that may be promised at 95 %, if there is one.
    pub threshold: Option<f64>,
    /// The share of cases at or above that threshold.
    pub certified: Share,
    /// Upper limit of the error rate there, at 95 %.
    pub error_limit: Option<f64>,
    /// Further cases that are needed before anything may be promised; absent where the errors are too many, or where
    /// a threshold is there.
    pub more_cases: Option<u64>,
}

/// Everything about one version.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Cases judged.
    pub cases: usize,
    /// Cases without an opinion; they count as not right and never go through.
    pub silent: usize,
    /// Share of cases with the right label.
    pub accuracy: Share,
    /// Mean F1 over the labels that occur as right answer or were said.
    pub macro_f1: f64,
    /// Expected calibration error over fifteen bins, of the cases with an opinion. A perfect model shows about 0.04 on
    /// 200 cases and 0.012 on 2,000.
    pub ece: f64,
    /// Brier score of "the answer is right".
    pub brier: f64,
    /// A row per label, in alphabetical order.
    pub labels: Vec<LabelRow>,
    /// Mistakes, the most frequent first.
    pub confusions: Vec<Confusion>,
    /// Fifteen bars over the confidences from 0 to 1.
    pub reliability: Vec<Bar>,
    /// Coverage at 1, 2 and 5 % error.
    pub coverage: Vec<Coverage>,
}

/// Judges the answers of one version.
pub fn report(answers: &[Answer]) -> Report {
    let opinions: Vec<Judged> = answers
        .iter()
        .filter(|a| a.said.is_some())
        .map(|a| Judged {
            confidence: a.confidence,
            right: a.right(),
        })
        .collect();
    let right = answers.iter().filter(|a| a.right()).count();
    let labels = label_rows(answers);
    let bars = reliability(&opinions).map(|bin| Bar {
        cases: bin.cases,
        confidence: bin.confidence,
        right: Share::of((bin.right * bin.cases as f64).round() as usize, bin.cases),
    });
    Report {
        cases: answers.len(),
        silent: answers.len() - opinions.len(),
        accuracy: Share::of(right, answers.len()),
        macro_f1: labels.iter().map(|l| l.f1).sum::<f64>() / labels.len().max(1) as f64,
        ece: ece(&opinions),
        brier: brier(&opinions),
        labels,
        confusions: confusions(answers),
        reliability: bars.to_vec(),
        coverage: ERROR_RATES.map(|rate| coverage(answers, rate)).to_vec(),
    }
}

fn label_rows(answers: &[Answer]) -> Vec<LabelRow> {
    let mut counts: BTreeMap<&str, (usize, usize, usize)> = BTreeMap::new();
    for answer in answers {
        counts.entry(&answer.truth).or_default().0 += 1;
        if let Some(said) = &answer.said {
            let count = counts.entry(said).or_default();
            count.1 += 1;
            count.2 += usize::from(answer.right());
        }
    }
    let share = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
    counts
        .into_iter()
        .map(|(label, (cases, said, right))| LabelRow {
            label: label.to_owned(),
            cases,
            said,
            right,
            precision: share(right, said),
            recall: share(right, cases),
            f1: share(2 * right, said + cases),
        })
        .collect()
}

fn confusions(answers: &[Answer]) -> Vec<Confusion> {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for answer in answers.iter().filter(|a| !a.right()) {
        let said = answer.said.as_deref().unwrap_or("");
        *counts.entry((&answer.truth, said)).or_default() += 1;
    }
    let mut out: Vec<Confusion> = counts
        .into_iter()
        .map(|((truth, said), cases)| Confusion {
            truth: truth.to_owned(),
            said: said.to_owned(),
            cases,
        })
        .collect();
    // Stable: equally frequent ones stay in alphabetical order.
    out.sort_by_key(|c| std::cmp::Reverse(c.cases));
    out
}

fn coverage(answers: &[Answer], max_error: f64) -> Coverage {
    let judged: Vec<Judgement> = answers
        .iter()
        .map(|a| Judgement {
            // What nobody said can never go through.
            confidence: if a.said.is_some() {
                a.confidence
            } else {
                f64::NEG_INFINITY
            },
            wrong: !a.right(),
        })
        .collect();
    let target = Target {
        max_error,
        level: LEVEL,
    };
    let wished = Share::of(wished_cases(&judged, max_error), judged.len());
    let nothing = Share::of(0, judged.len());
    match certify_batch(&judged, target) {
        Evidence::Enough {
            threshold, limit, ..
        } => {
            let above = judged.iter().filter(|c| c.confidence >= threshold).count();
            Coverage {
                max_error,
                wished,
                threshold: Some(threshold),
                certified: Share::of(above, judged.len()),
                error_limit: Some(limit),
                more_cases: None,
            }
        }
        Evidence::Missing { more } => Coverage {
            max_error,
            wished,
            threshold: None,
            certified: nothing,
            error_limit: None,
            more_cases: more,
        },
    }
}

/// The most cases, from the most confident down, among which the share of wrong ones keeps to the rate.
fn wished_cases(judged: &[Judgement], max_error: f64) -> usize {
    let mut sorted = judged.to_vec();
    sorted.retain(|c| c.confidence > f64::NEG_INFINITY);
    sorted.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    let (mut wrong, mut best) = (0usize, 0);
    for (i, case) in sorted.iter().enumerate() {
        wrong += usize::from(case.wrong);
        // Equal confidences go through together or not at all.
        let last_of_equals = sorted
            .get(i + 1)
            .is_none_or(|next| next.confidence < case.confidence);
        if last_of_equals && wrong as f64 <= max_error * (i + 1) as f64 {
            best = i + 1;
        }
    }
    best
}
