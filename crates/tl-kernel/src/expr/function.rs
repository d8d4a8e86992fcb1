//! The functions over text, and the conversions.

use std::borrow::Cow;
use std::str::FromStr;

use rust_decimal::Decimal;

use super::budget::Budget;
use super::eval::wrong;
use super::number::{self, fits};
use super::{At, EvalError, Op};
use crate::time::{SECOND, parse_duration, parse_rfc3339};
use crate::value::Value;

/// A value that may live in the expression or in the scope.
type One<'a> = Result<Cow<'a, Value>, EvalError>;

/// The functions of one operand. The operand is present and not null.
pub(super) fn unary<'a>(op: Op, value: Cow<'a, Value>, at: At, budget: &mut Budget) -> One<'a> {
    if let Value::Text(text) = value.as_ref() {
        budget.scan(text.len())?;
    }
    if !matches!(op, Op::Neg | Op::Size) {
        budget.conversion()?;
    }
    let result = match op {
        Op::Neg => number::negate(&value, at)?,
        Op::Size => size(&value, at)?,
        Op::Lower | Op::Upper | Op::Trim => return reshape(op, value, at, budget),
        Op::Int | Op::Decimal | Op::Double => number_of(op, &value, at)?,
        Op::Text => match value.as_ref() {
            Value::Text(_) => return Ok(value),
            Value::List(_) | Value::Record(_) => return Err(wrong(op.word(), &[&value], at)),
            scalar => {
                let text = scalar.to_string();
                budget.grown(text.len())?;
                Value::Text(text)
            }
        },
        Op::Duration => match value.as_ref() {
            Value::Dur(_) => return Ok(value),
            Value::Text(text) => read(op, &value, at, parse_duration(text)).map(Value::Dur)?,
            other => return Err(wrong(op.word(), &[other], at)),
        },
        Op::Timestamp => match value.as_ref() {
            Value::Time(_) => return Ok(value),
            Value::Text(text) => read(op, &value, at, parse_rfc3339(text)).map(Value::Time)?,
            Value::Int(seconds) => Value::Time(fits(op, at, seconds.checked_mul(SECOND))?),
            other => return Err(wrong(op.word(), &[other], at)),
        },
        _ => return Err(wrong(op.word(), &[&value], at)),
    };
    Ok(Cow::Owned(result))
}

fn size(value: &Value, at: At) -> Result<Value, EvalError> {
    let n = match value {
        Value::Text(text) => text.chars().count(),
        Value::List(items) => items.len(),
        Value::Record(parts) => parts.len(),
        other => return Err(wrong("size", &[other], at)),
    };
    fits(Op::Size, at, i64::try_from(n).ok()).map(Value::Int)
}

fn reshape<'a>(op: Op, value: Cow<'a, Value>, at: At, budget: &mut Budget) -> One<'a> {
    let Value::Text(text) = value.as_ref() else {
        return Err(wrong(op.word(), &[&value], at));
    };
    let shaped = match op {
        Op::Trim => {
            let kept = text.trim();
            budget.room(kept.len())?;
            kept.to_string()
        }
        _ => {
            budget.pattern(text.len(), 0)?;
            let size: usize = match op {
                Op::Lower => text
                    .chars()
                    .flat_map(char::to_lowercase)
                    .map(char::len_utf8)
                    .sum(),
                _ => text
                    .chars()
                    .flat_map(char::to_uppercase)
                    .map(char::len_utf8)
                    .sum(),
            };
            if size > text.len() {
                budget.grown(size)?;
            } else {
                budget.room(text.len())?;
            }
            if op == Op::Lower {
                text.to_lowercase()
            } else {
                text.to_uppercase()
            }
        }
    };
    Ok(Cow::Owned(Value::Text(shaped)))
}

fn number_of(op: Op, value: &Value, at: At) -> Result<Value, EvalError> {
    match (op, value) {
        (Op::Int, Value::Text(text)) => read(op, value, at, text.parse().ok()).map(Value::Int),
        (Op::Int, Value::Time(us)) => Ok(Value::Int(us.div_euclid(SECOND))),
        (Op::Int, Value::Int(_) | Value::Dec(_) | Value::Float(_)) => {
            fits(op, at, number::whole(value)).map(Value::Int)
        }
        (Op::Decimal, Value::Int(i)) => Ok(Value::Dec(Decimal::from(*i))),
        (Op::Decimal, Value::Dec(d)) => Ok(Value::Dec(*d)),
        (Op::Decimal, Value::Float(f)) => fits(op, at, exact(&f.to_string())).map(Value::Dec),
        (Op::Decimal, Value::Text(text)) => read(op, value, at, exact(text)).map(Value::Dec),
        (Op::Double, Value::Int(i)) => Ok(Value::Float(*i as f64)),
        (Op::Double, Value::Float(f)) => Ok(Value::Float(*f)),
        (Op::Double, Value::Dec(d)) => fits(op, at, number::float(*d)).map(Value::Float),
        (Op::Double, Value::Text(text)) => {
            let finite = f64::from_str(text).ok().filter(|f| f.is_finite());
            read(op, value, at, finite).map(Value::Float)
        }
        _ => Err(wrong(op.word(), &[value], at)),
    }
}

/// A decimal without rounding and without the digit separators the library would accept.
fn exact(text: &str) -> Option<Decimal> {
    let plain = text
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+'));
    plain.then(|| Decimal::from_str_exact(text).ok()).flatten()
}

fn read<T>(op: Op, value: &Value, at: At, got: Option<T>) -> Result<T, EvalError> {
    got.ok_or(EvalError::Conversion {
        op: op.word(),
        got: value.type_name(),
        at,
    })
}

/// `contains`, `startsWith` and `endsWith`.
pub(super) fn search(
    op: Op,
    (text, part): (&Value, &Value),
    at: At,
    budget: &mut Budget,
) -> Result<bool, EvalError> {
    let (Value::Text(text), Value::Text(part)) = (text, part) else {
        return Err(wrong(op.word(), &[text, part], at));
    };
    match op {
        Op::Contains => {
            budget.scan(text.len() + part.len())?;
            Ok(text.contains(part.as_str()))
        }
        Op::StartsWith => {
            budget.scan(part.len())?;
            Ok(text.starts_with(part.as_str()))
        }
        _ => {
            budget.scan(part.len())?;
            Ok(text.ends_with(part.as_str()))
        }
    }
}

/// `+`: numbers, times and durations are added, texts and lists joined.
pub(super) fn add<'a>(
    left: Cow<'a, Value>,
    right: Cow<'a, Value>,
    at: At,
    budget: &mut Budget,
) -> One<'a> {
    match (left.as_ref(), right.as_ref()) {
        (Value::Text(a), Value::Text(b)) => {
            budget.room(a.len() + b.len())?;
            let mut joined = String::with_capacity(a.len() + b.len());
            joined.push_str(a);
            joined.push_str(b);
            Ok(Cow::Owned(Value::Text(joined)))
        }
        (Value::List(a), Value::List(b)) => {
            budget.copy(&left)?;
            budget.copy(&right)?;
            Ok(Cow::Owned(Value::List(
                a.iter().chain(b).cloned().collect(),
            )))
        }
        (a, b) => number::arithmetic(Op::Add, a, b, at).map(Cow::Owned),
    }
}
