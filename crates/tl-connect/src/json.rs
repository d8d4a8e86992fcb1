//! The JSON of other systems as values.

use rust_decimal::Decimal;
use serde_json::{Number, Value as Json};
use tl_kernel::value::Value;

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
