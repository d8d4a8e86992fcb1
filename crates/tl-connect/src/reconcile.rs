//! Whether a write without an answer is there: what a read of the record says about it.

use rust_decimal::Decimal;
use tl_kernel::time;
use tl_kernel::value::Value;

use crate::call::ReadState;

/// What a read says about a conditional write without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterReading {
    /// The write is there.
    Applied,
    /// The base version still stands: the write is not there and may be sent again.
    NotApplied,
    /// Somebody changed the record and our write is not in it. Whether it ever was, nobody knows.
    ChangedByOthers,
    /// The read does not tell.
    Unclear,
}

/// Compares what was to be written with what a read found.
pub fn after_reading(
    base_version: Option<&str>,
    written: &Value,
    read: &ReadState,
) -> AfterReading {
    match (read, base_version) {
        (ReadState::Unread, _) => AfterReading::Unclear,
        (ReadState::Absent, None) => AfterReading::NotApplied,
        (ReadState::Absent, Some(_)) => AfterReading::ChangedByOthers,
        (ReadState::Present { version: None, .. }, Some(_)) => AfterReading::Unclear,
        (ReadState::Present { version, .. }, Some(base)) if version.as_deref() == Some(base) => {
            AfterReading::NotApplied
        }
        (ReadState::Present { values, .. }, _) if holds(written, values) => AfterReading::Applied,
        (ReadState::Present { .. }, _) => AfterReading::ChangedByOthers,
    }
}

/// Whether every property that was written is found with its value.
fn holds(written: &Value, found: &Value) -> bool {
    let (Value::Record(written), Value::Record(found)) = (written, found) else {
        return false;
    };
    written
        .iter()
        .all(|(name, value)| is_shown(value, found.get(name).unwrap_or(&Value::Null)))
}

/// Vendors return numbers as text and text as numbers, drop zeros of a fraction, cut times to seconds, and show
/// nothing as an empty text.
fn is_shown(written: &Value, there: &Value) -> bool {
    let text = there.to_string();
    match written {
        blank if blank.is_blank() => there.is_blank(),
        Value::Dec(d) => text.parse::<Decimal>() == Ok(*d),
        Value::Int(i) => text.parse::<Decimal>() == Ok(Decimal::from(*i)),
        Value::Time(t) => {
            let cuts = [1, 1_000, time::SECOND].map(|unit| t - t.rem_euclid(unit));
            time::parse_rfc3339(&text).is_some_and(|shown| cuts.contains(&shown))
        }
        Value::List(ours) => matches!(there, Value::List(shown)
            if ours.len() == shown.len() && ours.iter().zip(shown).all(|(a, b)| is_shown(a, b))),
        Value::Record(ours) => matches!(there, Value::Record(shown)
            if ours.len() == shown.len()
                && ours.iter().all(|(k, a)| shown.get(k).is_some_and(|b| is_shown(a, b)))),
        plain => plain.to_string() == text,
    }
}
