//! What the other side says of us and not of one request: the credential is not accepted, this is not permitted, too
//! many requests. Everything on the connection waits then.

use super::Why;
use crate::backoff::LONGEST_WAIT;
use tl_kernel::time::{MINUTE, SECOND};

/// From a refusal to the next look, µs. It doubles with every look that is refused.
const LOOK: i64 = MINUTE;
/// The longest between two looks, µs.
const SELDOM: i64 = 15 * MINUTE;
/// The wait after "too many requests" without a `Retry-After`, µs.
const BREATH: i64 = SECOND;

/// A refusal that concerns the whole connection: one attempt looks now and then whether it still stands.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    why: Option<Why>,
    refused: u32,
    look_at: i64,
    /// Raised with every refusal and every end of one, so that what was on its way together counts once.
    era: u32,
}

impl Stop {
    /// Why everything waits, where it does.
    pub fn why(&self) -> Option<Why> {
        self.why
    }

    /// Why an attempt waits and until when, µs.
    pub fn wait(&self, now: i64) -> Option<(Why, i64)> {
        self.why
            .filter(|_| now < self.look_at)
            .map(|why| (why, self.look_at))
    }

    /// An attempt goes; while it stands, as the one that looks. Returns its era.
    pub fn goes(&mut self, now: i64) -> u32 {
        if self.why.is_some() {
            self.look_at = now.saturating_add(LOOK);
        }
        self.era
    }

    /// An attempt of an era was refused.
    pub fn refused(&mut self, now: i64, era: u32, why: Why) {
        if era != self.era {
            return;
        }
        let wait = LOOK.saturating_mul(1 << self.refused.min(8)).min(SELDOM);
        self.why = Some(why);
        self.refused += 1;
        self.look_at = now.saturating_add(wait);
        self.era = self.era.wrapping_add(1);
    }

    /// An attempt got past it.
    pub fn passed(&mut self) {
        if self.why.is_some() {
            *self = Stop {
                era: self.era.wrapping_add(1),
                ..Stop::default()
            };
        }
    }
}

/// "Too many requests": nothing goes before the other side's time is over.
#[derive(Debug, Clone, Default)]
pub struct Pause {
    until: i64,
    long: bool,
}

impl Pause {
    /// Why an attempt waits and until when, µs.
    pub fn wait(&self, now: i64) -> Option<(Why, i64)> {
        let why = if self.long {
            Why::VendorPause
        } else {
            Why::Throttled
        };
        (now < self.until).then_some((why, self.until))
    }

    /// It was said. A wait of more than a day is looked at again after a day: it may have been a mistake.
    pub fn said(&mut self, now: i64, retry_after: Option<i64>) {
        let wait = retry_after.unwrap_or(BREATH).max(0);
        let until = now.saturating_add(wait.min(LONGEST_WAIT));
        if until > self.until {
            *self = Pause {
                until,
                long: wait > LONGEST_WAIT,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tl_kernel::time::{DAY, HOUR};

    #[test]
    fn looks_grow_seldom() {
        let mut stop = Stop::default();
        assert_eq!(stop.wait(0), None);
        let mut now = 0;
        for minutes in [1, 2, 4, 8, 15, 15, 15] {
            let era = stop.goes(now);
            stop.refused(now, era, Why::Credential);
            let until = now + minutes * MINUTE;
            assert_eq!(stop.wait(now), Some((Why::Credential, until)), "{minutes}");
            assert_eq!(stop.wait(until), None);
            now = until;
        }
        stop.passed();
        assert_eq!((stop.wait(now), stop.why()), (None, None));
        let era = stop.goes(now);
        stop.refused(now, era, Why::Permission);
        assert_eq!(stop.wait(now), Some((Why::Permission, now + MINUTE)));
    }

    #[test]
    fn what_is_refused_together_counts_once() {
        let mut stop = Stop::default();
        let eras: Vec<u32> = (0..50).map(|_| stop.goes(0)).collect();
        for era in eras {
            stop.refused(SECOND, era, Why::Credential);
        }
        assert_eq!(stop.wait(SECOND), Some((Why::Credential, SECOND + MINUTE)));
    }

    #[test]
    fn one_looks_at_a_time() {
        let mut stop = Stop::default();
        let era = stop.goes(0);
        stop.refused(0, era, Why::Permission);
        assert_eq!(stop.wait(MINUTE), None);
        stop.goes(MINUTE);
        assert_eq!(stop.wait(MINUTE), Some((Why::Permission, 2 * MINUTE)));
        // A look that never comes back does not stop the next one.
        assert_eq!(stop.wait(2 * MINUTE), None);
    }

    #[test]
    fn a_pause_lasts_as_long_as_was_said() {
        let throttled = |until| Some((Why::Throttled, until));
        // What is said at instant 0 in this order, and what is waited for.
        let table = [
            (&[None][..], throttled(SECOND)),
            (&[Some(0)], None),
            (&[Some(-5)], None),
            (&[Some(HOUR)], throttled(HOUR)),
            (&[Some(HOUR), None], throttled(HOUR)),
            (&[Some(DAY)], throttled(DAY)),
            (&[Some(DAY + 1)], Some((Why::VendorPause, DAY))),
            (&[Some(i64::MAX)], Some((Why::VendorPause, DAY))),
        ];
        for (said, waits) in table {
            let mut pause = Pause::default();
            for wait in said {
                pause.said(0, *wait);
            }
            assert_eq!(pause.wait(0), waits, "{said:?}");
            assert_eq!(pause.wait(DAY), None, "{said:?}");
        }
    }
}
