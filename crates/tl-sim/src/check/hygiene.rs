//! What is read by people who have nothing to do with a case holds nothing of what it is about.

use super::Evidence;
use crate::hygiene::mark_in;

/// No name, address, text or credential in metrics, in codes and hints of the ledger and its attempts, in reasons of
/// tasks, in the clear part of the audit. Log lines and errors are read while they are written.
pub(super) fn i16_hygiene(e: &Evidence) -> Vec<String> {
    let mut out = Vec::new();
    let mut look = |what: String, bytes: &[u8]| {
        if let Some(mark) = mark_in(bytes) {
            out.push(format!("{what} shows `{mark}`"));
        }
    };
    for metrics in &e.metrics {
        look("the metrics".into(), metrics.as_bytes());
    }
    for c in &e.cases {
        for turn in &c.journal {
            let what = format!("the head of turn {} of {}", turn.seq, c.row.case);
            look(what, &turn.head);
        }
        look(
            format!("the reason of {}", c.row.case),
            c.row.head.reason.as_bytes(),
        );
        for task in &c.tasks {
            look(
                format!("the reason of {}", task.task),
                task.reason.as_bytes(),
            );
        }
        for row in c.effects.values() {
            let words = [&row.code, &row.hold];
            for word in words {
                look(format!("a code of {}", row.effect), word.as_bytes());
            }
        }
        for attempt in c.attempts.values().flatten() {
            let what = format!("attempt {} of {}", attempt.n, attempt.effect);
            look(what.clone(), attempt.code.as_bytes());
            look(what, attempt.detail.as_bytes());
        }
    }
    out
}
