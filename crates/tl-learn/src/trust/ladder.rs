//! The threshold that may be looked at after every review: a fixed ladder of thresholds, each with evidence that grows
//! with right answers and falls with wrong ones, and a bound that holds at all times together.

use crate::numeric::{exp, ln};

use super::batch::{Evidence, Target};
use super::binomial::upper_limit;

/// The error rates that a case is weighed against, as shares of the tolerated one.
const ALTERNATIVES: [f64; 5] = [0.05, 0.15, 0.3, 0.5, 0.7];

/// The ladder, in thousandths of confidence, from the strictest threshold to the loosest.
const LADDER: [u16; 24] = [
    998, 995, 990, 985, 980, 970, 960, 950, 940, 930, 920, 900, 880, 860, 840, 820, 800, 760, 720,
    680, 640, 600, 550, 500,
];

/// The part of the budget for the walk that begins at the start; the rest is for one that begins higher up.
const MAIN_SHARE: f64 = 0.75;
/// How many rungs higher the second walk begins.
const HIGHER: usize = 6;

/// The reviewed cases at or above one threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rung {
    /// The threshold in thousandths of confidence.
    pub threshold: u16,
    /// Reviewed cases with at least this confidence.
    pub cases: u64,
    /// Wrong ones among them.
    pub errors: u64,
}

/// The evidence against "the error rate is above `max_error`" after these cases: a product of likelihood ratios, averaged
/// over five alternatives. While the claim is true it stays below `1 / chance` at all times together with probability
/// `1 - chance` or more.
pub fn evidence_against(errors: u64, cases: u64, max_error: f64) -> f64 {
    weighed(errors as f64, cases as f64, max_error)
}

fn weighed(errors: f64, cases: f64, max_error: f64) -> f64 {
    let allowed = max_error.clamp(1e-9, 1.0 - 1e-9);
    let right = (cases - errors).max(0.0);
    let mut total = 0.0;
    for part in ALTERNATIVES {
        let gain = ln(1.0 - allowed * part) - ln(1.0 - allowed);
        total += exp(errors * ln(part) + right * gain);
    }
    total / ALTERNATIVES.len() as f64
}

/// The reviewed cases so far, and what they allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ladder {
    reviewed: u64,
    rungs: Vec<Rung>,
}

impl Default for Ladder {
    fn default() -> Ladder {
        let rung = |threshold: &u16| Rung {
            threshold: *threshold,
            cases: 0,
            errors: 0,
        };
        Ladder {
            reviewed: 0,
            rungs: LADDER.iter().map(rung).collect(),
        }
    }
}

impl Ladder {
    /// Takes one more reviewed case: the stated confidence in thousandths, as the decision compares it, and whether
    /// the answer was wrong.
    pub fn see(&mut self, confidence: u16, wrong: bool) {
        self.reviewed += 1;
        for rung in self.rungs.iter_mut().filter(|r| r.threshold <= confidence) {
            rung.cases += 1;
            rung.errors += u64::from(wrong);
        }
    }

    /// Reviewed cases so far.
    pub fn reviewed(&self) -> u64 {
        self.reviewed
    }

    /// Every threshold with its counts, strictest first.
    pub fn rungs(&self) -> &[Rung] {
        &self.rungs
    }

    /// The lowest threshold that the reviewed cases support now.
    ///
    /// `start` is a threshold in thousandths that was chosen without knowing their outcomes (the one in force so far).
    /// From the rung at `start` downwards every rung must have enough evidence; a second walk with a quarter of the
    /// budget begins higher up. The chance that an answer given at *any* time, after any number of reviews, breaks the
    /// target is at most `1 - level`.
    pub fn evidence(&self, start: u16, target: Target) -> Evidence {
        let from = LADDER.partition_point(|t| *t > start).min(LADDER.len() - 1);
        let main = self.walk(from, MAIN_SHARE, target);
        let second = self.walk(from.saturating_sub(HIGHER), 1.0 - MAIN_SHARE, target);
        match main.max(second).map(|at| self.rungs[at]) {
            Some(rung) => Evidence::Enough {
                threshold: f64::from(rung.threshold) / 1000.0,
                cases: rung.cases,
                errors: rung.errors,
                limit: upper_limit(rung.errors, rung.cases, target.level),
            },
            None => Evidence::Missing {
                more: self.more_cases(self.rungs[from], target),
            },
        }
    }

    /// The last rung of an unbroken run with enough evidence that begins at `from`.
    fn walk(&self, from: usize, share: f64, target: Target) -> Option<usize> {
        let passes = |r: &&Rung| enough(r.errors, r.cases, share, target);
        let count = self.rungs[from..].iter().take_while(passes).count();
        (count > 0).then(|| from + count - 1)
    }

    /// Cases still needed at the starting rung if the share above it and the errors there go on as seen so far.
    fn more_cases(&self, rung: Rung, target: Target) -> Option<u64> {
        let rate = rung.errors as f64 / rung.cases.max(1) as f64;
        if rate >= target.max_error {
            return None;
        }
        // Nothing seen above the rung says nothing about how much of the traffic lies there: then all of it.
        let reach = if rung.cases == 0 {
            1.0
        } else {
            rung.cases as f64 / self.reviewed as f64
        };
        let enough = |cases: u64| {
            let cases = cases as f64;
            weighed(rate * cases, cases, target.max_error) * target.chance() * MAIN_SHARE >= 1.0
        };
        let mut low = rung.cases;
        let mut needed = rung.cases.max(1);
        while !enough(needed) {
            low = needed;
            needed *= 2;
            if needed > 10_000_000 {
                return None;
            }
        }
        while needed - low > 1 {
            let middle = low + (needed - low) / 2;
            if enough(middle) {
                needed = middle;
            } else {
                low = middle;
            }
        }
        let more = (needed - rung.cases.min(needed)) as f64 / reach;
        Some((more.ceil() as u64).max(1))
    }
}

/// Whether the evidence is enough for a share of the budget.
fn enough(errors: u64, cases: u64, share: f64, target: Target) -> bool {
    let evidence = evidence_against(errors, cases, target.max_error);
    cases > 0 && evidence * target.chance() * share >= 1.0
}
