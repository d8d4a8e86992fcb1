//! How often a vendor may be asked: a bucket that fills with time. What finds it empty waits for its own place.

use tl_kernel::connector::Rate;
use tl_kernel::time::SECOND;

/// The bucket. Without a rate everything goes.
#[derive(Debug, Clone, Default)]
pub struct Pace {
    rate: Option<Rate>,
    /// When the bucket is full again, µs.
    full_at: i64,
}

impl Pace {
    /// The rate that the connector's file states.
    pub fn set(&mut self, rate: Option<Rate>) {
        self.rate = rate;
    }

    /// Until when a request waits, µs; `None`: it may go.
    pub fn wait(&self, now: i64) -> Option<i64> {
        let rate = self.rate?;
        let room = i64::from(rate.burst.saturating_sub(1)) * spacing(rate);
        let earliest = self.full_at.saturating_sub(room);
        (now < earliest).then_some(earliest)
    }

    /// A request goes.
    pub fn goes(&mut self, now: i64) {
        if let Some(rate) = self.rate {
            self.full_at = self.full_at.max(now).saturating_add(spacing(rate));
        }
    }
}

/// Time between two requests in the long run, µs.
fn spacing(rate: Rate) -> i64 {
    SECOND * 1_000 / i64::from(rate.per_second_milli.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_at_once_and_then_one_by_one() {
        let mut pace = Pace::default();
        pace.goes(0);
        assert_eq!(pace.wait(0), None, "nothing is stated");
        pace.set(Some(Rate {
            per_second_milli: 2_000,
            burst: 3,
        }));
        for n in 0..3 {
            assert_eq!(pace.wait(0), None, "{n}");
            pace.goes(0);
        }
        assert_eq!(pace.wait(0), Some(SECOND / 2));
        assert_eq!(pace.wait(SECOND / 2), None);
        pace.goes(SECOND / 2);
        assert_eq!(pace.wait(SECOND / 2), Some(SECOND));
        // After a pause the whole burst is there again.
        for n in 0..3 {
            assert_eq!(pace.wait(9 * SECOND), None, "{n}");
            pace.goes(9 * SECOND);
        }
        assert!(pace.wait(9 * SECOND).is_some());
    }
}
