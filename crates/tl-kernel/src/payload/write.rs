//! Values as JSON text. Names come in order and decimals keep their digits, so equal values give equal bytes.
//!
//! | Value | JSON |
//! | --- | --- |
//! | decimal | a number with exactly its digits: who reads it as a binary fraction loses no more than with any sender, and a typed field of another system takes no text for a number |
//! | float | a number; null where it is none |
//! | time | RFC 3339 text in UTC |
//! | duration | text such as `1h30m` |
//! | others | as one expects |

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::time::{duration_text, rfc3339};
use crate::value::Value;

/// A value as compact JSON.
pub fn to_json(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

/// An object as compact JSON.
pub fn object_to_json(map: &BTreeMap<String, Value>) -> String {
    let mut out = String::new();
    object(map, &mut out);
    out
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        // Writing to a text cannot fail.
        Value::Bool(_) | Value::Int(_) | Value::Dec(_) => {
            let _ = write!(out, "{value}");
        }
        // With its fraction, so that it is not read back as an integer.
        Value::Float(x) if x.is_finite() => {
            let _ = write!(out, "{x:?}");
        }
        Value::Float(_) => out.push_str("null"),
        Value::Text(t) => text(t, out),
        Value::Time(us) => text(&rfc3339(*us), out),
        Value::Dur(us) => text(&duration_text(*us), out),
        Value::List(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Record(map) => object(map, out),
    }
}

fn object(map: &BTreeMap<String, Value>, out: &mut String) {
    out.push('{');
    for (i, (name, value)) in map.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        text(name, out);
        out.push(':');
        write(value, out);
    }
    out.push('}');
}

fn text(t: &str, out: &mut String) {
    out.push('"');
    for c in t.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' => {
                // Writing to a text cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::super::parse_json;
    use super::*;

    #[test]
    fn what_was_read_is_written_as_it_was() {
        for text in [
            r#"{"a":[1,-2.50,true,null,"x\n\r\t\b\f\u0001\"\\é"],"b":{}}"#,
            "79228162514264337593543950335",
            "0.0000000000000000000000000001",
            "-9223372036854775808",
            "1234567.89",
            "12.00",
            "[]",
        ] {
            let value = parse_json(text.as_bytes()).unwrap();
            assert_eq!(to_json(&value), text);
        }
    }

    #[test]
    fn values_that_json_does_not_know_become_text_or_null() {
        let table = [
            (Value::Float(0.25), "0.25"),
            (Value::Float(3.0), "3.0"),
            (Value::Float(1e300), "1e300"),
            (Value::Float(f64::INFINITY), "null"),
            (Value::Time(1_000_000), "\"1970-01-01T00:00:01.000000Z\""),
            (Value::Dur(90_000_000), "\"1m30s\""),
        ];
        for (value, text) in table {
            assert_eq!(to_json(&value), text, "{value:?}");
        }
    }
}
