//! Values as JSON and back, as systems of record are written and read.
//!
//! | Value | JSON written |
//! | --- | --- |
//! | decimal | a number where it is whole and exact as a double, else its text: a binary fraction would change it |
//! | time | RFC 3339 text in UTC |
//! | duration | text such as `1h 30m` |
//! | others | as one expects |

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::{Map, Number, Value as Json};
use tl_kernel::time;
use tl_kernel::value::Value;

/// Greatest whole number that a double holds exactly.
const EXACT: i64 = 1 << 53;

/// A value as JSON.
pub fn from_value(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(b) => Json::Bool(*b),
        Value::Int(i) => Json::from(*i),
        Value::Dec(d) => match whole(d) {
            Some(i) => Json::from(i),
            None => Json::String(d.to_string()),
        },
        Value::Float(x) => Number::from_f64(*x).map_or(Json::Null, Json::Number),
        Value::Text(t) => Json::String(t.clone()),
        Value::Time(t) => Json::String(time::rfc3339(*t)),
        Value::Dur(d) => Json::String(time::duration_text(*d)),
        Value::List(l) => Json::Array(l.iter().map(from_value).collect()),
        Value::Record(m) => {
            let parts = m.iter().map(|(k, v)| (k.clone(), from_value(v)));
            Json::Object(parts.collect::<Map<_, _>>())
        }
    }
}

fn whole(d: &Decimal) -> Option<i64> {
    let i = d.is_integer().then(|| d.to_i64()).flatten()?;
    (-EXACT..=EXACT).contains(&i).then_some(i)
}

/// JSON as a value. Whole numbers become integers, fractions exact decimals as they are written; a number that is
/// neither becomes a float. A NUL character in text becomes U+FFFD.
pub fn to_value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(b) => Value::Bool(*b),
        Json::Number(n) => number(n),
        Json::String(s) => Value::Text(clean(s)),
        Json::Array(l) => Value::List(l.iter().map(to_value).collect()),
        Json::Object(m) => Value::Record(m.iter().map(|(k, v)| (clean(k), to_value(v))).collect()),
    }
}

fn number(n: &Number) -> Value {
    if let Some(i) = n.as_i64() {
        return Value::Int(i);
    }
    let text = n.to_string();
    let decimal = text
        .parse::<Decimal>()
        .or_else(|_| Decimal::from_scientific(&text));
    match (decimal, n.as_f64()) {
        (Ok(d), _) => Value::Dec(d),
        (Err(_), Some(x)) if x.is_finite() => Value::Float(x),
        _ => Value::Text(text),
    }
}

fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// A plain value as one line of text: what a version or an id in a body is compared by. `None` for null, lists and
/// objects.
pub fn scalar_text(json: &Json) -> Option<String> {
    match json {
        Json::String(s) => Some(s.clone()),
        Json::Number(n) => Some(n.to_string()),
        Json::Bool(b) => Some(b.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn values_are_written_exactly() {
        let dec = |s: &str| Value::Dec(s.parse().expect("a decimal"));
        let table = [
            (Value::Null, "null"),
            (Value::Bool(true), "true"),
            (Value::Int(i64::MIN), "-9223372036854775808"),
            (dec("12"), "12"),
            (dec("12.00"), "12"),
            (dec("0.1"), "\"0.1\""),
            (dec("1234567.89"), "\"1234567.89\""),
            (dec("9007199254740993"), "\"9007199254740993\""),
            (Value::Float(0.25), "0.25"),
            (Value::Float(f64::INFINITY), "null"),
            (Value::text("ü\"\n"), "\"ü\\\"\\n\""),
            (Value::Time(1_000_000), "\"1970-01-01T00:00:01.000000Z\""),
            (Value::List(vec![Value::Int(1), Value::Null]), "[1,null]"),
            (
                Value::Record(BTreeMap::from([("a".into(), Value::Int(1))])),
                "{\"a\":1}",
            ),
        ];
        for (value, text) in table {
            assert_eq!(from_value(&value).to_string(), text, "{value:?}");
        }
    }

    #[test]
    fn json_is_read_exactly() {
        let dec = |s: &str| Value::Dec(s.parse().expect("a decimal"));
        let table = [
            ("1", Value::Int(1)),
            ("0.1", dec("0.1")),
            ("1e-3", dec("0.001")),
            ("18446744073709551615", dec("18446744073709551615")),
            ("1e300", Value::Float(1e300)),
            ("\"a\\u0000b\"", Value::text("a\u{fffd}b")),
            ("[]", Value::List(vec![])),
        ];
        for (text, value) in table {
            let json: Json = serde_json::from_str(text).expect("JSON");
            assert_eq!(to_value(&json), value, "{text}");
        }
    }
}
