//! Kernel values as JSON text: exact decimals stay exact, names come in order, so equal values give equal
//! bytes.

use std::collections::BTreeMap;

use tl_kernel::time::{duration_text, rfc3339};
use tl_kernel::value::Value;

/// The value as JSON.
pub(crate) fn to_json(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write(value, &mut out);
    out
}

/// An object as JSON.
pub(crate) fn object_to_json(map: &BTreeMap<String, Value>) -> Vec<u8> {
    let mut out = Vec::new();
    object(map, &mut out);
    out
}

fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(i) => out.extend_from_slice(i.to_string().as_bytes()),
        Value::Dec(d) => out.extend_from_slice(d.to_string().as_bytes()),
        Value::Float(x) => match serde_json::Number::from_f64(*x) {
            Some(n) => out.extend_from_slice(n.to_string().as_bytes()),
            None => out.extend_from_slice(b"null"),
        },
        Value::Text(t) => text(t, out),
        Value::Time(us) => text(&rfc3339(*us), out),
        Value::Dur(us) => text(&duration_text(*us), out),
        Value::List(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write(item, out);
            }
            out.push(b']');
        }
        Value::Record(map) => object(map, out),
    }
}

fn object(map: &BTreeMap<String, Value>, out: &mut Vec<u8>) {
    out.push(b'{');
    for (i, (name, value)) in map.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        text(name, out);
        out.push(b':');
        write(value, out);
    }
    out.push(b'}');
}

fn text(t: &str, out: &mut Vec<u8>) {
    // Writing a text to memory cannot fail.
    let _ = serde_json::to_writer(out, t);
}

#[cfg(test)]
mod tests {
    use super::*;
    use tl_kernel::payload::parse_json;

    #[test]
    fn values_read_back_exactly() {
        for text in [
            r#"{"a":[1,-2.50,true,null,"x\n\"é"],"b":{}}"#,
            "79228162514264337593543950335",
            "0.0000000000000000000000000001",
            "[]",
        ] {
            let value = parse_json(text.as_bytes()).unwrap();
            let written = to_json(&value);
            assert_eq!(String::from_utf8(written).unwrap(), text);
        }
    }
}
