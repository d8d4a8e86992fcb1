//! Small things about text on a terminal: the nearest known word, times and durations.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tl_kernel::time::{duration_text, parse_rfc3339, rfc3339};

/// An instant: µs inside, RFC 3339 in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct At(pub i64);

impl Serialize for At {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&rfc3339(self.0))
    }
}

impl<'de> Deserialize<'de> for At {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<At, D::Error> {
        let text = String::deserialize(d)?;
        let at = parse_rfc3339(&text).or_else(|| text.parse().ok());
        at.map(At)
            .ok_or_else(|| serde::de::Error::custom("not an instant"))
    }
}

impl At {
    /// Date and time of day in UTC, to the second.
    pub fn clock(self) -> String {
        let text = rfc3339(self.0);
        match text.split_once('.') {
            Some((before, _)) => format!("{}Z", before.replace('T', " ")),
            None => text,
        }
    }

    /// Date and time of day in UTC, to the millisecond: in a timeline much happens within a second.
    pub fn exact(self) -> String {
        let clock = self.clock();
        let ms = self.0.rem_euclid(1_000_000) / 1000;
        match clock.strip_suffix('Z') {
            Some(before) => format!("{before}.{ms:03}Z"),
            None => clock,
        }
    }

    /// How long ago, or how long until.
    pub fn from(self, now: i64) -> String {
        let distance = now - self.0;
        match distance {
            0..1_000_000 => "now".into(),
            1_000_000.. => format!("{} ago", duration_text(distance)),
            _ => format!("in {}", duration_text(-distance)),
        }
    }
}

/// So many of a thing.
pub fn count(n: impl Into<u64>, one: &str) -> String {
    match n.into() {
        1 => format!("1 {one}"),
        n => format!("{n} {one}s"),
    }
}

/// A due time in words.
pub fn due_text(due: Option<At>, now: i64) -> String {
    match due {
        None => "-".into(),
        Some(At(due)) if due >= now => format!("{} left", duration_text(due - now)),
        Some(At(due)) => format!("late by {}", duration_text(now - due)),
    }
}

/// The known word nearest to what was typed, unless all are far.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|k| (distance(typed, k), k))
        .filter(|(d, k)| *d * 3 <= k.len().max(typed.len()))
        .min()
        .map(|(_, k)| k)
}

/// Changes from one word to the other: a letter more, less or other, or two neighbours exchanged.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let mut least = change.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    least = least.min(rows[i - 2][j - 2] + 1);
                }
                least
            };
        }
    }
    rows[a.len()][b.len()]
}

/// Text from outside made fit for a terminal: control characters and direction overrides are shown, not obeyed.
pub fn safe(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            // The last one parts the pages of a document.
            '\n' | '\t' | '\u{c}' => c,
            c if c.is_control()
                || ('\u{202a}'..='\u{202e}').contains(&c)
                || ('\u{2066}'..='\u{2069}').contains(&c) =>
            {
                '\u{fffd}'
            }
            c => c,
        })
        .collect()
}

/// One line of text from outside, cut to a length.
pub fn one_line(text: &str, most: usize) -> String {
    let flat = safe(text).replace(['\n', '\t', '\u{c}'], " ");
    if flat.chars().count() <= most {
        return flat;
    }
    let cut: String = flat.chars().take(most.saturating_sub(1)).collect();
    format!("{cut}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_near() {
        let known = ["data_dir", "listen", "public_url"];
        let table = [
            ("data-dir", Some("data_dir")),
            ("lisen", Some("listen")),
            ("litsen", Some("listen")),
            ("zzz", None),
            ("", None),
        ];
        for (typed, want) in table {
            assert_eq!(nearest(typed, known), want, "{typed}");
        }
    }

    #[test]
    fn instants_read_back_and_text_is_harmless() {
        let at = At(1_795_365_600_123_456);
        let json = serde_json::to_string(&at).unwrap();
        assert_eq!(serde_json::from_str::<At>(&json).unwrap(), at);
        assert_eq!(at.exact(), "2026-11-22 16:40:00.123Z");
        assert_eq!(at.from(at.0 + 90_000_000), "1m30s ago");
        assert_eq!(safe("a\u{1b}[31m\u{202e}b"), "a\u{fffd}[31m\u{fffd}b");
        assert_eq!(one_line("ab\ncdef", 5), "ab c…");
        assert_eq!(
            (count(1u32, "turn"), count(0u32, "turn")),
            ("1 turn".into(), "0 turns".into())
        );
        assert_eq!(due_text(Some(At(0)), 60_000_000), "late by 1m");
    }
}
