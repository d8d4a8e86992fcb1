//! What the answers of a part of a run came to.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{quantile, rounded};

/// What takes longer, or is refused, is not as usual.
const USUAL: Duration = Duration::from_millis(500);

/// The answers of a part of the run.
#[derive(Debug, Default)]
pub struct Stage {
    /// Of accepted messages, since each was due.
    replies_us: Vec<u64>,
    /// Of accepted messages, from the sending itself.
    accepted_us: Vec<u64>,
    /// From the sending itself, whatever the answer was.
    answers_us: Vec<u64>,
    answers: BTreeMap<u16, u64>,
    /// Refusals that did not say when to come again.
    untimed: u64,
    broken: u64,
    /// When the last message came back that was not taken, or not as quickly as usual.
    pub unusual_at: Option<Instant>,
}

impl Stage {
    /// An answer came to a message that was due at one instant and sent at another.
    pub fn answered(&mut self, answer: Answer, (since, sending): (Instant, Instant)) {
        *self.answers.entry(answer.status).or_default() += 1;
        let took = sending.elapsed().as_micros() as u64;
        self.answers_us.push(took);
        if answer.accepted() {
            self.accepted_us.push(took);
            self.replies_us.push(since.elapsed().as_micros() as u64);
        } else {
            self.untimed += u64::from(!answer.says_when);
        }
        if !answer.accepted() || since.elapsed() > USUAL {
            self.unusual_at = Some(Instant::now());
        }
    }

    /// The connection broke before an answer.
    pub fn broke(&mut self) {
        self.broken += 1;
        self.unusual_at = Some(Instant::now());
    }

    /// What is told of it; it was sent over so many seconds.
    pub fn told(&mut self, seconds: f64) -> Value {
        for list in [
            &mut self.replies_us,
            &mut self.accepted_us,
            &mut self.answers_us,
        ] {
            list.sort_unstable();
        }
        let of = |(status, n): (&u16, &u64)| (status.to_string(), *n);
        let answers: BTreeMap<String, u64> = self.answers.iter().map(of).collect();
        let accepted = self.replies_us.len();
        json!({
            "accepted": accepted, "accepted_per_s": rounded(accepted as f64 / seconds), "answers": answers,
            "refused": self.answers_us.len() - accepted, "untimed": self.untimed, "broken": self.broken,
            "reply_ms": milliseconds(&self.replies_us), "accepted_ms": milliseconds(&self.accepted_us),
            "answer_ms": milliseconds(&self.answers_us),
        })
    }
}

/// What a message met.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// It has a `Retry-After`.
    pub says_when: bool,
}

impl Answer {
    /// It was taken.
    pub fn accepted(self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Median, 99th percentile and greatest of sorted times.
pub fn milliseconds(sorted_us: &[u64]) -> Value {
    let at = |share| rounded(quantile(sorted_us, share) as f64 / 1000.0);
    json!({ "p50": at(0.5), "p99": at(0.99), "max": at(1.0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_tells_what_was_refused_and_whether_it_said_when_to_come_again() {
        let mut stage = Stage::default();
        let now = Instant::now();
        for (status, says_when) in [(202, false), (202, false), (503, true), (429, false)] {
            stage.answered(Answer { status, says_when }, (now, now));
        }
        stage.broke();
        let told = stage.told(2.0);
        let want = json!({ "202": 2, "429": 1, "503": 1 });
        assert_eq!(told["answers"], want);
        for (name, want) in [
            ("accepted", 2.0),
            ("accepted_per_s", 1.0),
            ("refused", 2.0),
            ("untimed", 1.0),
            ("broken", 1.0),
        ] {
            assert_eq!(told[name].as_f64(), Some(want), "{name}");
        }
        assert!(stage.unusual_at.is_some());
    }
}
