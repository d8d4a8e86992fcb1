//! Constants: how they are read, and how a mend writes them.

use rust_decimal::Decimal;
use tl_kernel::value::Value;

/// A text as it is written in an expression.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('\'');
    for c in text.chars() {
        match c {
            '\'' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

/// The exact decimal a number with a dot or an exponent stands for; `None` where it has more digits than a
/// decimal holds.
pub(super) fn decimal(written: &str, negative: bool) -> Option<Decimal> {
    let exact = match written.split_once(['e', 'E']) {
        None => Decimal::from_str_exact(written).ok()?,
        Some(_) => Decimal::from_scientific(written).ok()?,
    };
    Some(if negative { -exact } else { exact })
}

/// A decimal constant as the floating point number nearest to it, for use beside a confidence.
pub(super) fn as_float(value: &Value) -> Option<Value> {
    match value {
        Value::Dec(d) => d.to_string().parse().ok().map(Value::Float),
        _ => None,
    }
}
