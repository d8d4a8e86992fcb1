//! A watch over reviewed samples of what went through: raises an alarm when the error rate rises above its limit, and
//! does not become slower by a long good history.

/// The rates that are watched for, as multiples of the limit.
const RISES: [f64; 6] = [1.5, 2.0, 3.0, 4.0, 6.0, 10.0];
/// Alarm from here on. While the rate stays at its limit, an alarm comes on average after at least so many reviews.
const ALARM: f64 = 5_000.0;
/// From here on more cases are drawn for review.
const WATCHFUL: f64 = 60.0;

/// What the watch says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DriftLevel {
    /// Nothing to see: the usual share is drawn for review (5 % suits most).
    Calm,
    /// Errors gather: draw half of what goes through for review.
    Watchful,
    /// The error rate has risen above the limit: nothing goes through until a threshold is certified anew.
    Alarm,
}

/// The state of the watch: six numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct DriftWatch {
    limit: f64,
    sums: [f64; 6],
}

impl DriftWatch {
    /// A watch that is fresh. `limit` is the tolerated error rate, between 0 and 1.
    pub fn new(limit: f64) -> DriftWatch {
        DriftWatch {
            limit: limit.clamp(1e-6, 0.999),
            sums: [0.0; 6],
        }
    }

    /// Takes the outcome of one more reviewed case. Only cases that were drawn at random may be counted; how large
    /// the drawn share is may depend on everything seen before.
    pub fn see(&mut self, wrong: bool) {
        for (sum, rise) in self.sums.iter_mut().zip(RISES) {
            // Half of the way to certainty at most, so that a right answer always speaks against the rise.
            let rate = (self.limit * rise).min(0.5 * (1.0 + self.limit));
            let ratio = if wrong {
                rate / self.limit
            } else {
                (1.0 - rate) / (1.0 - self.limit)
            };
            *sum = ((*sum + 1.0 / 6.0) * ratio).min(1e300);
        }
    }

    /// The evidence for a rise: about 1 per review under a good rate, growing without bound under a bad one.
    pub fn evidence(&self) -> f64 {
        self.sums.iter().sum()
    }

    /// What to do.
    pub fn level(&self) -> DriftLevel {
        match self.evidence() {
            e if e >= ALARM => DriftLevel::Alarm,
            e if e >= WATCHFUL => DriftLevel::Watchful,
            _ => DriftLevel::Calm,
        }
    }
}
