//! Two versions on the same cases: only those on which they differ tell which is better.

use serde::Serialize;

use crate::trust::{lower_limit, share_at_most, upper_limit};

use super::{Answer, SIDE};

/// How two versions compare on the same cases.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Paired {
    /// Cases that both got right.
    pub both: usize,
    /// Cases that only the first got right.
    pub only_first: usize,
    /// Cases that only the second got right.
    pub only_second: usize,
    /// Cases that neither got right.
    pub neither: usize,
    /// Accuracy of the second minus that of the first.
    pub difference: f64,
    /// Ends of a 95 % interval of that difference, given how many cases the two differ on.
    pub interval: (f64, f64),
    /// The chance of a split at least so uneven if neither were better (exact test of McNemar, both sides).
    pub p_value: f64,
}

/// Compares the answers of two versions to the same cases, in the same order. What one list has more is left out.
pub fn compare(first: &[Answer], second: &[Answer]) -> Paired {
    let mut counts = [0usize; 4];
    for (a, b) in first.iter().zip(second) {
        counts[usize::from(!a.right()) * 2 + usize::from(!b.right())] += 1;
    }
    let [both, only_first, only_second, neither] = counts;
    let total = (both + only_first + only_second + neither).max(1) as f64;
    let differ = (only_first + only_second) as u64;
    let fewer = only_first.min(only_second) as u64;
    let p_value = if differ == 0 {
        1.0
    } else {
        (2.0 * share_at_most(fewer, differ, 0.5)).min(1.0)
    };
    // The share of the differing cases that the second won, and what that is worth in accuracy.
    let worth = |share: f64| (2.0 * share - 1.0) * differ as f64 / total;
    let interval = if differ == 0 {
        (0.0, 0.0)
    } else {
        (
            worth(lower_limit(only_second as u64, differ, SIDE)),
            worth(upper_limit(only_second as u64, differ, SIDE)),
        )
    };
    Paired {
        both,
        only_first,
        only_second,
        neither,
        difference: (only_second as f64 - only_first as f64) / total,
        interval,
        p_value,
    }
}
