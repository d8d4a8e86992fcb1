//! What one evaluation may cost. The constants are here and nowhere else.

use std::borrow::Cow;

use super::EvalError;
use crate::value::Value;

/// Steps of one evaluation: a node costs one, work over text one per 64 bytes (per 8 where a pattern runs
/// over it), work over lists and records one per element.
pub const MAX_STEPS: u32 = 200_000;
/// Bytes of memory one evaluation may take for values, the result included. All that it ever takes counts, so that
/// it never holds more at once. What a pattern needs while it searches belongs to the pattern, not to this.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of [`MAX_BYTES`] that no value gets: numbers while they are written as text, words of an error.
const ASIDE: usize = 16 * 1024;
/// Bytes of text that count as one step when they are compared, copied or searched.
const BYTES_PER_STEP: usize = 64;
/// Bytes of text that count as one step when a pattern runs over them, or each letter is made another.
const PATTERN_BYTES_PER_STEP: usize = 8;
/// Steps of making one value into another kind: a number is written as text or read from one, letters are looked up.
/// So many take as long as the other nodes do.
const CONVERSION: usize = 8;
/// The fewest elements a list takes memory for.
const LEAST_LIST: usize = 4;
/// Bytes that a record takes for each node of its tree: eleven names with their values, twelve edges, the rest.
const RECORD_NODE: usize = 11 * (size_of::<String>() + size_of::<Value>()) + 12 * 8 + 16;
/// The fewest entries in a node of a record's tree but its first.
const LEAST_NODE: usize = 5;

/// What is left of the budget of one evaluation. Once it is exceeded nothing is left.
#[derive(Debug)]
pub(super) struct Budget {
    steps: u32,
    bytes: usize,
}

impl Budget {
    pub(super) fn new() -> Self {
        Budget {
            steps: MAX_STEPS,
            bytes: MAX_BYTES - ASIDE,
        }
    }

    /// Takes `n` steps.
    pub(super) fn steps(&mut self, n: usize) -> Result<(), EvalError> {
        match u32::try_from(n)
            .ok()
            .and_then(|n| self.steps.checked_sub(n))
        {
            Some(left) => {
                self.steps = left;
                Ok(())
            }
            None => {
                self.steps = 0;
                Err(EvalError::Budget)
            }
        }
    }

    /// Takes the steps of one conversion.
    pub(super) fn conversion(&mut self) -> Result<(), EvalError> {
        self.steps(CONVERSION)
    }

    /// Takes the steps of reading a text of `bytes`.
    pub(super) fn scan(&mut self, bytes: usize) -> Result<(), EvalError> {
        self.steps(bytes / BYTES_PER_STEP)
    }

    /// Takes the steps of running a pattern of this weight over a text of `bytes`, or of changing its letters.
    pub(super) fn pattern(&mut self, bytes: usize, weight: usize) -> Result<(), EvalError> {
        self.steps(bytes.saturating_mul(weight.saturating_add(1)) / PATTERN_BYTES_PER_STEP)
    }

    /// Takes `bytes` of memory, and the steps of writing them. Called before they are allocated.
    pub(super) fn room(&mut self, bytes: usize) -> Result<(), EvalError> {
        match self.bytes.checked_sub(bytes) {
            Some(left) => {
                self.bytes = left;
                self.scan(bytes)
            }
            None => {
                self.steps = 0;
                Err(EvalError::Budget)
            }
        }
    }

    /// Takes the room of a text that is written piece by piece: its memory doubles as it grows, and the old half
    /// is there until the new one is filled.
    pub(super) fn grown(&mut self, bytes: usize) -> Result<(), EvalError> {
        self.room(bytes.saturating_mul(3))
    }

    /// Takes the room of a list for `n` values.
    pub(super) fn list(&mut self, n: usize) -> Result<(), EvalError> {
        match n {
            0 => Ok(()),
            n => self.room(n.max(LEAST_LIST).saturating_mul(size_of::<Value>())),
        }
    }

    /// Takes the room of a record of `n` entries, without the names' texts.
    pub(super) fn record(&mut self, n: usize) -> Result<(), EvalError> {
        match n {
            0 => Ok(()),
            n => self.room((1 + n / LEAST_NODE).saturating_mul(RECORD_NODE)),
        }
    }

    /// The value as one that is owned, with the room of the copy where one is made.
    pub(super) fn own(&mut self, value: Cow<'_, Value>) -> Result<Value, EvalError> {
        if let Cow::Borrowed(value) = value {
            self.copy(value)?;
        }
        Ok(value.into_owned())
    }

    /// Takes the room and the steps of one more copy of a value.
    pub(super) fn copy(&mut self, value: &Value) -> Result<(), EvalError> {
        match value {
            Value::Text(text) => self.room(text.len()),
            Value::List(items) => {
                self.steps(items.len())?;
                self.list(items.len())?;
                items.iter().try_for_each(|v| self.copy(v))
            }
            Value::Record(parts) => {
                self.steps(parts.len())?;
                self.record(parts.len())?;
                parts.iter().try_for_each(|(name, v)| {
                    self.room(name.len())?;
                    self.copy(v)
                })
            }
            _ => Ok(()),
        }
    }
}
