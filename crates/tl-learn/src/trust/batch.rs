//! The threshold from one closed batch of reviewed cases, by testing thresholds in a sequence that is fixed before the
//! outcomes are looked at.

use crate::numeric::ln;

use super::binomial::{fewest_cases, share_at_most, upper_limit};

/// How much lower each next threshold reaches: four cases in a hundred more.
const STEP: f64 = 1.04;
/// Up to so many cases their number is worked out exactly.
const LITTLE_WORK: u64 = 5_000;
/// More cases than this are as good as never.
const MOST_SAID: u64 = 1_000_000;

/// What is asked of the answers that go through without a person.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    /// The largest tolerable share of wrong answers among those accepted, between 0 and 1.
    pub max_error: f64,
    /// The probability, over the draw of the reviewed cases, with which that must hold (0.95 for "95 %").
    pub level: f64,
}

impl Target {
    /// The chance of a broken bound that is put up with.
    pub(super) fn chance(self) -> f64 {
        (1.0 - self.level).max(0.0)
    }

    /// The stricter target that makes up for reviewers who miss this share of the errors before them.
    #[must_use]
    pub fn for_missed(self, share: f64) -> Target {
        Target {
            max_error: self.max_error * (1.0 - share.clamp(0.0, 1.0)),
            ..self
        }
    }
}

/// One reviewed case: what the model stated, and whether its answer would have been wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judgement {
    /// The stated confidence; a larger one is accepted sooner. Cases whose confidence is no number are never accepted.
    pub confidence: f64,
    /// Whether the answer was wrong.
    pub wrong: bool,
}

/// What reviewed cases allow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Evidence {
    /// Answers with at least this confidence may go through.
    Enough {
        /// The lowest confidence that is accepted.
        threshold: f64,
        /// Reviewed cases at or above it.
        cases: u64,
        /// Wrong ones among them.
        errors: u64,
        /// Upper limit of the error rate above the threshold at the target's level.
        limit: f64,
    },
    /// Nothing may go through yet.
    Missing {
        /// Further reviewed cases that would do if the errors go on as seen so far; at least one. [`None`] where the
        /// errors seen are too many for any number to do.
        more: Option<u64>,
    },
}

/// The lowest threshold that a batch of reviewed cases supports.
///
/// Thresholds are tested from the more confident half of the cases downwards, each with the whole budget, until one
/// fails; the last that passed is the answer. Over the draw of the batch, the chance that the true error rate above
/// that threshold exceeds the target is at most `1 - level`. This holds for one look at one batch: who looks after
/// every case needs a [`super::Ladder`].
pub fn certify_batch(cases: &[Judgement], target: Target) -> Evidence {
    let mut sorted: Vec<Judgement> = cases
        .iter()
        .copied()
        .filter(|c| !c.confidence.is_nan())
        .collect();
    sorted.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    let mut best = None;
    let mut at_start = None;
    for rank in ranks(sorted.len() as u64, target) {
        // Given the confidence at a rank, the cases strictly above it are a sample of all that lie above.
        let edge = sorted[rank as usize - 1].confidence;
        let above = sorted.partition_point(|c| c.confidence > edge);
        let errors = sorted[..above].iter().filter(|c| c.wrong).count() as u64;
        let above = above as u64;
        at_start.get_or_insert((errors, above));
        if above == 0 || share_at_most(errors, above, target.max_error) > target.chance() {
            break;
        }
        best = Some((edge.next_up(), errors, above));
    }
    match best {
        Some((threshold, errors, cases)) => Evidence::Enough {
            threshold,
            cases,
            errors,
            limit: upper_limit(errors, cases, target.level),
        },
        None => Evidence::Missing {
            more: more_cases(&sorted, at_start, target),
        },
    }
}

/// Ranks at which a threshold is tested, ascending: from half of the cases (or as many as can pass without an error) in
/// steps of four in a hundred to all of them.
fn ranks(count: u64, target: Target) -> Vec<u64> {
    let Some(fewest) = fewest_cases(0, target.max_error, target.level) else {
        return Vec::new();
    };
    let mut out = Vec::new();
    let mut rank = fewest + 1;
    while rank < count {
        out.push(rank);
        rank = (rank + 1).max((rank as f64 * STEP).ceil() as u64);
    }
    if fewest < count {
        out.push(count);
    }
    out.retain(|rank| 2 * rank >= count);
    out
}

/// How many more cases are needed, if the share above the first threshold and the errors there go on as seen.
fn more_cases(sorted: &[Judgement], at_start: Option<(u64, u64)>, target: Target) -> Option<u64> {
    let count = sorted.len() as u64;
    let fewest = fewest_cases(0, target.max_error, target.level)?;
    let Some((errors, above)) = at_start else {
        // One case more than the fewest that can pass: the edge itself is not counted.
        return Some((fewest + 1).saturating_sub(count).max(1));
    };
    let rate = errors as f64 / above.max(1) as f64;
    let reach = above.max(1) as f64 / count as f64;
    if rate >= target.max_error {
        return None;
    }
    let needed = needed_at(rate, target).max(above);
    let more = ((needed as f64 / reach).ceil() as u64).saturating_sub(count);
    (needed <= MOST_SAID).then_some(more.max(1))
}

/// How many cases with this error rate pass: by the bound of Chernoff, which is not far above the truth, and closer
/// where that is little work.
fn needed_at(rate: f64, target: Target) -> u64 {
    let max = target.max_error;
    let wrong = if rate > 0.0 {
        rate * ln(rate / max)
    } else {
        0.0
    };
    let distance = wrong + (1.0 - rate) * ln((1.0 - rate) / (1.0 - max));
    let bound = (-ln(target.chance()) / distance).ceil() as u64;
    if bound > LITTLE_WORK {
        return bound;
    }
    let (mut low, mut high) = (0, bound);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        let errors = (rate * middle as f64).round() as u64;
        if share_at_most(errors, middle, max) <= target.chance() {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}
