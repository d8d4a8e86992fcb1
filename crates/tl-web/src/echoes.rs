//! Answers that come back again and again: two programs that answer each other without the marks by which they should
//! be known. Counted on this node alone; what is counted is a keyed digest, never an address.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tl_kernel::digest::{Digest, keyed};
use tl_kernel::id::TenantId;
use tl_kernel::value::Value;

use crate::ingest::{Found, LOOP, Message};
use crate::limits::{ECHO_WINDOW, MAX_COUNTED, MAX_ECHOES, REPLY_PREFIX};

/// How often each sender answered with the same subject.
#[derive(Debug, Default)]
pub(crate) struct Echoes(Mutex<BTreeMap<(TenantId, Digest), Count>>);

#[derive(Debug, Clone, Copy)]
struct Count {
    since: i64,
    times: u32,
}

/// An answer that counts once it is taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Echo {
    key: (TenantId, Digest),
    at: i64,
}

impl Echoes {
    /// Marks an answer that came too often as a loop, and says what to count when it is taken. What is refused, or was
    /// here before, is no further answer.
    pub(crate) fn mark(&self, found: &Found, message: &mut Message, now: i64) -> Option<Echo> {
        let key = (found.view.id, key(found, message)?);
        if self.times(key, now) >= MAX_ECHOES {
            let word = Value::text(LOOP);
            message.parts.insert("automatic".to_owned(), word);
        }
        Some(Echo { key, at: now })
    }

    /// Counts an answer that was taken.
    pub(crate) fn taken(&self, echo: Echo) {
        self.count(echo.key, echo.at);
    }

    /// How often it was taken within the window.
    fn times(&self, key: (TenantId, Digest), now: i64) -> u32 {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held = all.get(&key).filter(|c| now - c.since < ECHO_WINDOW);
        held.map_or(0, |c| c.times)
    }

    /// How often it came within the window, this time included.
    fn count(&self, key: (TenantId, Digest), now: i64) -> u32 {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_COUNTED && !all.contains_key(&key) {
            all.retain(|_, count| now - count.since < ECHO_WINDOW);
            if all.len() >= MAX_COUNTED {
                all.clear();
            }
        }
        let fresh = Count {
            since: now,
            times: 0,
        };
        let held = all.entry(key).or_insert(fresh);
        if now - held.since >= ECHO_WINDOW {
            *held = fresh;
        }
        held.times = held.times.saturating_add(1);
        held.times
    }
}

/// Sender and subject of a mail that answers another one.
fn key(found: &Found, message: &Message) -> Option<Digest> {
    let text = |name: &str| message.parts.get(name).and_then(Value::as_text);
    let from = text("from")?.to_lowercase();
    let (subject, prefixed) = bare(text("subject").unwrap_or_default());
    let refers = message.body.at(&["in_reply_to"]).is_some()
        || matches!(message.body.at(&["references"]), Some(Value::List(l)) if !l.is_empty());
    let parts: [&[u8]; 4] = [
        b"echo",
        found.name.as_bytes(),
        from.as_bytes(),
        subject.as_bytes(),
    ];
    (refers || prefixed).then(|| keyed(&found.view.key, &parts))
}

/// A subject in lower case without `Re:`, `AW:` and their like, and whether there was one of them.
fn bare(subject: &str) -> (String, bool) {
    let lower = subject.to_lowercase();
    let mut rest = lower.trim();
    let mut prefixed = false;
    while let Some((prefix, after)) = rest.split_once(':') {
        let short = prefix.trim();
        let letters = (1..=REPLY_PREFIX).contains(&short.chars().count());
        if !letters || !short.chars().all(char::is_alphabetic) {
            break;
        }
        (rest, prefixed) = (after.trim_start(), true);
    }
    (rest.to_owned(), prefixed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_without_the_marks_of_answers() {
        let table = [
            ("Re: Offer", "offer", true),
            ("AW: Re: WG: Offer", "offer", true),
            ("Antw: Offer", "offer", true),
            ("Offer: now", "offer: now", false),
            ("12: Offer", "12: offer", false),
            ("", "", false),
        ];
        for (subject, want, prefixed) in table {
            assert_eq!(bare(subject), (want.to_owned(), prefixed), "{subject}");
        }
    }

    #[test]
    fn what_comes_too_often_is_counted_for_a_while() {
        let echoes = Echoes::default();
        let key = |n: u8| (TenantId(1), [n; 32]);
        for n in 1..=MAX_ECHOES + 1 {
            assert_eq!(echoes.times(key(1), i64::from(n)), n - 1);
            assert_eq!(echoes.count(key(1), i64::from(n)), n);
        }
        assert_eq!(echoes.count(key(2), 9), 1, "another sender");
        assert_eq!(echoes.count(key(1), ECHO_WINDOW), MAX_ECHOES + 2);
        assert_eq!(echoes.times(key(1), ECHO_WINDOW + 1), 0, "it is over");
        assert_eq!(echoes.count(key(1), ECHO_WINDOW + 1), 1, "a new window");
    }
}
