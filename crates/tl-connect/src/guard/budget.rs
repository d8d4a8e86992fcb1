//! The budget for retries: they may be a tenth of the first attempts, and always one a second.

use super::window::Window;
use tl_kernel::time::SECOND;

/// What the budget looks at, seconds.
const SPAN: usize = 60;
/// One retry for so many first attempts.
const FIRSTS_PER_RETRY: u32 = 10;
/// Retries in a span that are never refused: one a second.
const FLOOR: u32 = SPAN as u32;

/// Retries of one connection, measured against its first attempts over a minute.
#[derive(Debug, Clone, Default)]
pub struct Budget {
    firsts: Window<SPAN>,
    retries: Window<SPAN>,
}

impl Budget {
    /// A first attempt goes.
    pub fn first(&mut self, now: i64) {
        self.firsts.add(now);
    }

    /// A retry goes.
    pub fn retry(&mut self, now: i64) {
        self.retries.add(now);
    }

    /// Until when a retry has to wait, µs; `None` where it may go now.
    pub fn wait(&mut self, now: i64) -> Option<i64> {
        let allowed = (self.firsts.total(now) / FIRSTS_PER_RETRY).max(FLOOR);
        (self.retries.total(now) >= allowed)
            .then(|| self.retries.eases(now).max(now.saturating_add(SECOND)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_the_first_attempts_and_one_a_second() {
        // First attempts in the last minute, and retries that may go in it.
        let table = [
            (0, 60),
            (9, 60),
            (600, 60),
            (609, 60),
            (610, 61),
            (5_000, 500),
        ];
        for (firsts, allowed) in table {
            let mut budget = Budget::default();
            for _ in 0..firsts {
                budget.first(0);
            }
            for n in 0..allowed {
                assert_eq!(budget.wait(SECOND), None, "{firsts} firsts, retry {n}");
                budget.retry(SECOND);
            }
            assert_eq!(budget.wait(SECOND), Some(61 * SECOND), "{firsts} firsts");
            assert_eq!(
                budget.wait(61 * SECOND),
                None,
                "{firsts} firsts, a minute on"
            );
        }
    }

    /// However first attempts and wishes to retry fall: in no minute do more retries go than allowed.
    #[test]
    fn no_minute_has_more() {
        let mut dice: u64 = 1;
        let mut roll = |sides: u64| {
            dice = dice
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (dice >> 33) % sides
        };
        let (mut budget, mut firsts, mut went) = (Budget::default(), Vec::new(), Vec::new());
        let mut waited = 0;
        for second in 0..600i64 {
            let now = second * SECOND;
            for _ in 0..roll(40) {
                budget.first(now);
                firsts.push(second);
            }
            for _ in 0..roll(20) {
                match budget.wait(now) {
                    None => {
                        budget.retry(now);
                        went.push(second);
                    }
                    Some(until) => {
                        assert!(until > now);
                        waited += 1;
                    }
                }
            }
            let in_span = |all: &[i64]| all.iter().filter(|s| **s > second - 60).count();
            // First attempts that leave the span may leave retries behind that they had paid for.
            let paid = firsts.iter().filter(|s| **s > second - 120).count() / 10;
            assert!(in_span(&went) <= paid.max(60), "second {second}");
        }
        assert!(
            waited > 0 && went.len() >= 590,
            "{waited} waited, {} went",
            went.len()
        );
    }
}
