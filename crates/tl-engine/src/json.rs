//! Values as JSON text: what the record store and the event feed hold.

use tl_kernel::value::Value;

/// The value as compact JSON. Times and durations become their texts; decimals stay exact numbers.
pub fn to_json(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(_) | Value::Int(_) | Value::Dec(_) => out.push_str(&value.to_string()),
        Value::Float(x) if x.is_finite() => out.push_str(&x.to_string()),
        Value::Float(_) => out.push_str("null"),
        Value::Text(_) | Value::Time(_) | Value::Dur(_) => string(&value.to_string(), out),
        Value::List(items) => {
            out.push('[');
            for (i, v) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write(v, out);
            }
            out.push(']');
        }
        Value::Record(map) => {
            out.push('{');
            for (i, (k, v)) in map.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                string(k, out);
                out.push(':');
                write(v, out);
            }
            out.push('}');
        }
    }
}

fn string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use tl_kernel::payload::parse_json;

    #[test]
    fn what_is_written_reads_back() {
        let text = r#"{"a":[1,2.50,true,null],"b":"x\"\\\n\u0001é"}"#;
        let value = parse_json(text.as_bytes()).unwrap();
        assert_eq!(parse_json(to_json(&value).as_bytes()), Ok(value));
    }
}
