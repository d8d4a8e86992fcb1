//! What one evaluation may cost. The constants are here and nowhere else.

use super::EvalError;
use crate::value::Value;

/// Steps of one evaluation: a node costs one, work over text one per 64 bytes (per 8 where a pattern runs
/// over it), work over lists and records one per element.
pub const MAX_STEPS: u32 = 200_000;
/// Bytes of values one evaluation may create, the result included.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of text that count as one step when they are compared, copied or searched.
const BYTES_PER_STEP: usize = 64;
/// Bytes of text that count as one step when a pattern runs over them.
const PATTERN_BYTES_PER_STEP: usize = 8;

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
            bytes: MAX_BYTES,
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

    /// Takes the steps of reading a text of `bytes`.
    pub(super) fn scan(&mut self, bytes: usize) -> Result<(), EvalError> {
        self.steps(bytes / BYTES_PER_STEP)
    }

    /// Takes the steps of running a pattern over a text of `bytes`.
    pub(super) fn pattern(&mut self, bytes: usize) -> Result<(), EvalError> {
        self.steps(bytes / PATTERN_BYTES_PER_STEP)
    }

    /// Takes the room for a new text of `bytes`, and the steps of writing it.
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

    /// Takes the room and the steps of one more copy of a value.
    pub(super) fn copy(&mut self, value: &Value) -> Result<(), EvalError> {
        self.room(size_of::<Value>())?;
        match value {
            Value::Text(text) => self.room(text.len()),
            Value::List(items) => {
                self.steps(items.len())?;
                items.iter().try_for_each(|v| self.copy(v))
            }
            Value::Record(parts) => {
                self.steps(parts.len())?;
                parts.iter().try_for_each(|(name, v)| {
                    self.room(name.len())?;
                    self.copy(v)
                })
            }
            _ => Ok(()),
        }
    }
}
