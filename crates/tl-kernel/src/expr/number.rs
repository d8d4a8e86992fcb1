//! Equality, order and arithmetic over the values, exact wherever the types allow it.

use std::cmp::Ordering;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::budget::Budget;
use super::eval::wrong;
use super::{At, EvalError, Op};
use crate::value::Value;

/// Whether two values are equal. Numbers are equal by size, whatever their type; values of different kinds
/// are not equal.
pub(super) fn equal(a: &Value, b: &Value, budget: &mut Budget) -> Result<bool, EvalError> {
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => {
            budget.scan(a.len().min(b.len()))?;
            Ok(a == b)
        }
        (Value::List(a), Value::List(b)) => {
            if a.len() != b.len() {
                return Ok(false);
            }
            for (a, b) in a.iter().zip(b) {
                budget.steps(1)?;
                if !equal(a, b, budget)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::Record(a), Value::Record(b)) => {
            if a.len() != b.len() {
                return Ok(false);
            }
            budget.steps(a.len())?;
            if !a.keys().eq(b.keys()) {
                return Ok(false);
            }
            for (a, b) in a.values().zip(b.values()) {
                budget.steps(1)?;
                if !equal(a, b, budget)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::Null, Value::Null) => Ok(true),
        _ => {
            weigh(a, b, budget)?;
            Ok(order(a, b) == Some(Ordering::Equal))
        }
    }
}

/// Takes the steps of comparing two numbers: a decimal is made a floating point number first.
pub(super) fn weigh(a: &Value, b: &Value, budget: &mut Budget) -> Result<(), EvalError> {
    match (a, b) {
        (Value::Dec(_), Value::Float(_)) | (Value::Float(_), Value::Dec(_)) => budget.conversion(),
        _ => Ok(()),
    }
}

/// `value in within`: an element of a list, or a name of a record.
pub(super) fn holds(
    within: &Value,
    value: &Value,
    at: At,
    budget: &mut Budget,
) -> Result<bool, EvalError> {
    match (within, value) {
        (Value::List(items), _) => {
            for item in items {
                budget.steps(1)?;
                if equal(item, value, budget)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        (Value::Record(parts), Value::Text(name)) => Ok(parts.contains_key(name)),
        (Value::Record(_), Value::Null) => Ok(false),
        _ => Err(wrong("in", &[value, within], at)),
    }
}

/// The order of two values of one kind; `None` where they have none.
pub(super) fn order(a: &Value, b: &Value) -> Option<Ordering> {
    use Value::{Bool, Dec, Dur, Float, Int, Text, Time};
    match (a, b) {
        (Int(a), Int(b)) | (Time(a), Time(b)) | (Dur(a), Dur(b)) => Some(a.cmp(b)),
        (Dec(a), Dec(b)) => Some(a.cmp(b)),
        (Float(a), Float(b)) => a.partial_cmp(b),
        (Text(a), Text(b)) => Some(a.cmp(b)),
        (Bool(a), Bool(b)) => Some(a.cmp(b)),
        (Int(a), Dec(b)) => Some(Decimal::from(*a).cmp(b)),
        (Dec(a), Int(b)) => Some(a.cmp(&Decimal::from(*b))),
        (Int(a), Float(b)) => int_float(*a, *b),
        (Float(a), Int(b)) => int_float(*b, *a).map(Ordering::reverse),
        (Dec(a), Float(b)) => float(*a)?.partial_cmp(b),
        (Float(a), Dec(b)) => a.partial_cmp(&float(*b)?),
        _ => None,
    }
}

/// The floating point number nearest to a decimal: 0.9 written in a file equals the 0.9 a model returned.
pub(super) fn float(d: Decimal) -> Option<f64> {
    d.to_string().parse().ok()
}

/// The exact order of a whole number and a floating point number.
fn int_float(i: i64, f: f64) -> Option<Ordering> {
    /// 2^63, the first number above every `i64`.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if f.is_nan() {
        return None;
    }
    if f >= LIMIT {
        return Some(Ordering::Less);
    }
    if f < -LIMIT {
        return Some(Ordering::Greater);
    }
    let whole = f.trunc();
    Some(
        i.cmp(&(whole as i64))
            .then(0.0_f64.total_cmp(&(f - whole + 0.0))),
    )
}

/// `- * / %` over numbers, times and durations, and `+` over the same.
pub(super) fn arithmetic(op: Op, a: &Value, b: &Value, at: At) -> Result<Value, EvalError> {
    use Value::{Dec, Dur, Float, Int, Time};
    match (a, b) {
        (Int(a), Int(b)) => int(op, *a, *b, at),
        (Dec(a), Dec(b)) => decimal(op, *a, *b, at),
        (Int(a), Dec(b)) => decimal(op, Decimal::from(*a), *b, at),
        (Dec(a), Int(b)) => decimal(op, *a, Decimal::from(*b), at),
        (Float(x), Float(y)) if op != Op::Rem => floating(op, *x, *y, at),
        (Int(x), Float(y)) if op != Op::Rem => floating(op, *x as f64, *y, at),
        (Float(x), Int(y)) if op != Op::Rem => floating(op, *x, *y as f64, at),
        (Time(x), Dur(y)) if op == Op::Add => fits(op, at, x.checked_add(*y)).map(Time),
        (Dur(x), Time(y)) if op == Op::Add => fits(op, at, x.checked_add(*y)).map(Time),
        (Time(x), Dur(y)) if op == Op::Sub => fits(op, at, x.checked_sub(*y)).map(Time),
        (Time(x), Time(y)) if op == Op::Sub => fits(op, at, x.checked_sub(*y)).map(Dur),
        (Dur(x), Dur(y)) if op == Op::Add => fits(op, at, x.checked_add(*y)).map(Dur),
        (Dur(x), Dur(y)) if op == Op::Sub => fits(op, at, x.checked_sub(*y)).map(Dur),
        _ => Err(wrong(op.word(), &[a, b], at)),
    }
}

/// Unary minus.
pub(super) fn negate(value: &Value, at: At) -> Result<Value, EvalError> {
    match value {
        Value::Int(i) => fits(Op::Neg, at, i.checked_neg()).map(Value::Int),
        Value::Dec(d) => Ok(Value::Dec(-d)),
        Value::Float(f) => Ok(Value::Float(-f)),
        Value::Dur(d) => fits(Op::Neg, at, d.checked_neg()).map(Value::Dur),
        other => Err(wrong(Op::Neg.word(), &[other], at)),
    }
}

fn int(op: Op, a: i64, b: i64, at: At) -> Result<Value, EvalError> {
    let result = match op {
        Op::Add => a.checked_add(b),
        Op::Sub => a.checked_sub(b),
        Op::Mul => a.checked_mul(b),
        Op::Div | Op::Rem if b == 0 => return Err(EvalError::DivisionByZero { at }),
        Op::Div => a.checked_div(b),
        _ => a.checked_rem(b),
    };
    fits(op, at, result).map(Value::Int)
}

fn decimal(op: Op, a: Decimal, b: Decimal, at: At) -> Result<Value, EvalError> {
    let result = match op {
        Op::Add => a.checked_add(b),
        Op::Sub => a.checked_sub(b),
        Op::Mul => a.checked_mul(b),
        Op::Div | Op::Rem if b.is_zero() => return Err(EvalError::DivisionByZero { at }),
        Op::Div => a.checked_div(b).map(|d| d.normalize()),
        _ => a.checked_rem(b),
    };
    fits(op, at, result).map(Value::Dec)
}

fn floating(op: Op, a: f64, b: f64, at: At) -> Result<Value, EvalError> {
    let result = match op {
        Op::Add => a + b,
        Op::Sub => a - b,
        Op::Mul => a * b,
        _ if b == 0.0 => return Err(EvalError::DivisionByZero { at }),
        _ => a / b,
    };
    fits(op, at, result.is_finite().then_some(result)).map(Value::Float)
}

pub(super) fn fits<T>(op: Op, at: At, result: Option<T>) -> Result<T, EvalError> {
    result.ok_or(EvalError::Overflow { op: op.word(), at })
}

/// The whole part of a number, towards zero; `None` outside the range of whole numbers.
pub(super) fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Int(i) => Some(*i),
        Value::Dec(d) => d.trunc().to_i64(),
        Value::Float(f) => f.to_i64(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dec(text: &str) -> Value {
        Value::Dec(text.parse().unwrap())
    }

    #[test]
    fn numbers_of_different_types_are_ordered_exactly() {
        use Ordering::{Equal, Greater, Less};
        use Value::{Float, Int};
        let table = [
            (Int(1), Float(0.8), Greater),
            (Int(-2), Float(-2.5), Greater),
            (Int(-3), Float(-2.5), Less),
            (Int(0), Float(-0.0), Equal),
            (Int(i64::MAX), Float(9_223_372_036_854_775_808.0), Less),
            (Int(i64::MIN), Float(-9_223_372_036_854_775_808.0), Equal),
            (
                Int(9_007_199_254_740_993),
                Float(9_007_199_254_740_992.0),
                Greater,
            ),
            (Int(5), Float(1e300), Less),
            (Int(5), Float(f64::NEG_INFINITY), Greater),
            (Int(3), dec("3.00"), Equal),
            (Int(i64::MAX), dec("9223372036854775807.5"), Less),
            (dec("0.9"), Float(0.9), Equal),
            (dec("0.7"), Float(0.7), Equal),
            (dec("0.71"), Float(0.7), Greater),
        ];
        for (a, b, want) in table {
            assert_eq!(order(&a, &b), Some(want), "{a} {b}");
            assert_eq!(order(&b, &a), Some(want.reverse()), "{b} {a}");
        }
        assert_eq!(order(&Int(1), &Float(f64::NAN)), None);
        assert_eq!(order(&Int(1), &Value::text("1")), None);
    }
}
