//! When to try again.
//!
//! The delay is drawn from a hash of what is tried and how often, so that it needs no dice: the same attempt waits
//! equally long wherever it is computed, and two effects never wait in step.

use tl_kernel::digest::sha256;
use tl_kernel::time::{DAY, HOUR, SECOND};

/// A vendor that asks for a longer wait than this is not waited for: a person looks at it.
pub const LONGEST_WAIT: i64 = DAY;

/// How delays grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Upper bound of the first delay, µs. It doubles with every attempt.
    pub base: i64,
    /// Greatest upper bound, µs.
    pub cap: i64,
}

impl Backoff {
    /// For effects: 2 s doubling to an hour.
    pub const DURABLE: Backoff = Backoff {
        base: 2 * SECOND,
        cap: HOUR,
    };
    /// For a person who waits: 0.2 s doubling to 20 s.
    pub const INTERACTIVE: Backoff = Backoff {
        base: SECOND / 5,
        cap: 20 * SECOND,
    };
    /// For a vendor that says "too many requests": 1 s doubling to an hour.
    pub const THROTTLED: Backoff = Backoff {
        base: SECOND,
        cap: HOUR,
    };

    /// The delay in µs before the try after `attempt` (from 0): uniform between 0 and the bound, and not shorter than
    /// the vendor asked for. `seed` names what is tried: tenant and effect.
    pub fn delay(self, attempt: u32, seed: &[u8], retry_after: Option<i64>) -> i64 {
        let bound = self.bound(attempt) as u128;
        let hash = sha256(&[b"retry", &attempt.to_be_bytes(), seed]);
        let drawn = u128::from(u64::from_be_bytes([
            hash[0], hash[1], hash[2], hash[3], hash[4], hash[5], hash[6], hash[7],
        ]));
        let delay = ((drawn * (bound + 1)) >> 64) as i64;
        delay.max(retry_after.unwrap_or(0))
    }

    /// The upper bound of the delay after an attempt, µs.
    pub fn bound(self, attempt: u32) -> i64 {
        let factor = 1i64.checked_shl(attempt.min(62)).unwrap_or(i64::MAX);
        self.base.max(0).saturating_mul(factor).min(self.cap.max(0))
    }
}

/// Reads a `Retry-After` header: whole seconds or an HTTP date. Returns the wait in µs, never negative; `None` for
/// anything else. A date counts from the answer's own `Date` where there is one, so that a vendor's wrong clock does
/// no harm, else from `now` (µs since the Unix epoch).
pub fn retry_after(value: &str, date: Option<&str>, now: i64) -> Option<i64> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than fit mean "longer than any wait".
        let seconds: i64 = value.parse().unwrap_or(i64::MAX);
        return Some(seconds.saturating_mul(SECOND));
    }
    let due = http_date(value)?;
    let from = date.and_then(http_date).unwrap_or(now);
    Some(due.saturating_sub(from).max(0))
}

/// A date as HTTP has it, µs since the Unix epoch.
pub(crate) fn http_date(text: &str) -> Option<i64> {
    let time = httpdate::parse_http_date(text.trim()).ok()?;
    let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_micros()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kolmogorov-Smirnov: the greatest distance between the draws and the uniform distribution.
    #[test]
    fn delays_are_uniform_for_every_attempt() {
        const DRAWS: u32 = 100_000;
        for attempt in [0, 1, 3, 7, 15] {
            let bound = Backoff::DURABLE.bound(attempt) as f64;
            let mut draws: Vec<f64> = (0..DRAWS)
                .map(|i| Backoff::DURABLE.delay(attempt, &i.to_be_bytes(), None) as f64 / bound)
                .collect();
            draws.sort_by(f64::total_cmp);
            let n = f64::from(DRAWS);
            let distance = draws
                .iter()
                .enumerate()
                .map(|(i, x)| (x - i as f64 / n).abs().max(((i + 1) as f64 / n - x).abs()))
                .fold(0.0, f64::max);
            // 1.628/√n is where p = 0.01.
            assert!(distance < 1.628 / n.sqrt(), "attempt {attempt}: {distance}");
        }
    }

    #[test]
    fn two_tenants_share_no_stream() {
        let stream = |tenant: &str| -> Vec<i64> {
            (0..16)
                .map(|n| Backoff::DURABLE.delay(n, format!("{tenant}/effect-1").as_bytes(), None))
                .collect()
        };
        assert_ne!(stream("a"), stream("b"));
        assert_eq!(stream("a"), stream("a"));
    }

    #[test]
    fn bounds_double_up_to_the_cap() {
        let seconds: Vec<i64> = (0..14)
            .map(|n| Backoff::DURABLE.bound(n) / SECOND)
            .collect();
        assert_eq!(
            seconds,
            [
                2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600, 3600
            ]
        );
        assert_eq!(Backoff::DURABLE.bound(u32::MAX), HOUR);
        for attempt in 0..100 {
            let delay = Backoff::INTERACTIVE.delay(attempt, b"x", None);
            assert!((0..=Backoff::INTERACTIVE.bound(attempt)).contains(&delay));
        }
        assert_eq!(Backoff::DURABLE.delay(0, b"x", Some(HOUR)), HOUR);
    }

    const NOW: i64 = 1_795_348_803 * SECOND; // Sun, 22 Nov 2026 12:00:03 GMT
    const DATE: Option<&str> = Some("Sun, 22 Nov 2026 12:00:00 GMT");

    #[test]
    fn retry_after_is_read_or_ignored() {
        let year = 365 * DAY;
        let table: &[(&str, Option<&str>, Option<i64>)] = &[
            ("0", None, Some(0)),
            ("5", None, Some(5 * SECOND)),
            (" 120 ", None, Some(120 * SECOND)),
            ("0005", None, Some(5 * SECOND)),
            ("315360000", None, Some(10 * year)),
            ("99999999999999999999999999", None, Some(i64::MAX)),
            ("-5", None, None),
            ("+5", None, None),
            ("1.5", None, None),
            ("5s", None, None),
            ("", None, None),
            ("soon", None, None),
            ("1e3", None, None),
            ("0x10", None, None),
            ("5, 10", None, None),
            ("٥", None, None),
            ("2026-11-22T12:01:03Z", None, None),
            ("Sun, 22 Nov 2026 12:01:03 GMT", None, Some(60 * SECOND)),
            ("Sun, 22 Nov 2026 12:01:03 GMT", DATE, Some(63 * SECOND)),
            ("Sunday, 22-Nov-26 12:01:03 GMT", None, Some(60 * SECOND)),
            ("Sun Nov 22 12:01:03 2026", None, Some(60 * SECOND)),
            ("Sun, 22 Nov 2026 11:00:00 GMT", None, Some(0)),
            ("Sun, 22 Nov 2026 11:00:00 GMT", DATE, Some(0)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", None, Some(0)),
            ("Sun, 22 Nov 2026 12:01:03 +0100", None, None),
            ("Sun, 31 Feb 2026 12:01:03 GMT", None, None),
            // The vendor's clock is an hour behind ours: only the difference counts.
            (
                "Sun, 22 Nov 2026 11:00:30 GMT",
                Some("Sun, 22 Nov 2026 11:00:00 GMT"),
                Some(30 * SECOND),
            ),
            (
                "Sun, 22 Nov 2026 12:01:03 GMT",
                Some("garbage"),
                Some(60 * SECOND),
            ),
        ];
        for (value, date, expected) in table {
            assert_eq!(
                retry_after(value, *date, NOW),
                *expected,
                "{value:?} with {date:?}"
            );
        }
    }
}
