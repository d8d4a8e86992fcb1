//! The small numbers and shortened keys that stand in hot rows.

use tl_kernel::digest::{Digest, sha256};
use tl_kernel::journal::TimerKind;

/// A key as it stands in an index: 128 bits of a hash over where it is valid and what it is. Random keys are the
/// dearest thing an admission writes, and their cost is their size.
pub(crate) type ShortKey = [u8; 16];

/// Shortens a dedupe key of an endpoint or a natural key of a workflow.
pub(crate) fn short_key(scope: &str, key: &Digest) -> ShortKey {
    let whole = sha256(&[scope.as_bytes(), &[0], key]);
    let mut short = [0; 16];
    short.copy_from_slice(&whole[..16]);
    short
}

/// How an event came to its case; the numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Joined {
    /// Not yet.
    Pending = 0,
    /// It opened the case of the same id.
    Opened = 1,
    /// It was attached to another case.
    Attached = 2,
    /// It belongs to none: what it said was done at the door.
    Apart = 3,
}

/// The end of time: sorts after every instant.
pub(crate) const NEVER: i64 = i64::MAX;

/// The goal's timer: behind the last of the escalation's steps.
const GOAL: i64 = 2 + u8::MAX as i64 + 1;

/// The first step of what is done while nobody answers: behind the goal's.
const UNANSWERED: i64 = GOAL + 1;

/// The number that stands for what a timer is for.
pub(crate) fn timer_number(kind: TimerKind) -> i64 {
    match kind {
        TimerKind::Warn => 0,
        TimerKind::Breach => 1,
        TimerKind::Escalate(step) => 2 + i64::from(step),
        TimerKind::Goal => GOAL,
        TimerKind::Unanswered(step) => UNANSWERED + i64::from(step),
    }
}

/// The reverse of `timer_number`.
pub(crate) fn timer_kind(number: i64) -> Option<TimerKind> {
    match number {
        0 => Some(TimerKind::Warn),
        1 => Some(TimerKind::Breach),
        GOAL => Some(TimerKind::Goal),
        UNANSWERED.. => u8::try_from(number - UNANSWERED)
            .ok()
            .map(TimerKind::Unanswered),
        n => u8::try_from(n - 2).ok().map(TimerKind::Escalate),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_read_back() {
        for kind in [
            TimerKind::Warn,
            TimerKind::Breach,
            TimerKind::Escalate(0),
            TimerKind::Escalate(255),
            TimerKind::Goal,
            TimerKind::Unanswered(0),
            TimerKind::Unanswered(255),
        ] {
            assert_eq!(timer_kind(timer_number(kind)), Some(kind));
        }
        for number in [-1, UNANSWERED + 256] {
            assert_eq!(timer_kind(number), None, "{number}");
        }
    }

    #[test]
    fn keys_differ_by_scope() {
        let key = [7; 32];
        assert_eq!(short_key("a", &key), short_key("a", &key));
        assert_ne!(short_key("a", &key), short_key("b", &key));
    }
}
