//! How values are written into paths, forms, XML and cards.

use tl_kernel::connector::Escape;
use tl_kernel::value::Value;

/// A form body: nested names in brackets, plain lists by repeating the name, lists of mappings by index.
pub(super) fn form(value: &Value) -> String {
    let mut out = String::new();
    if let Value::Record(all) = value {
        for (name, value) in all {
            pair(&mut out, name, value);
        }
    }
    out
}

fn pair(out: &mut String, name: &str, value: &Value) {
    match value {
        Value::Null => {}
        Value::Record(all) => {
            for (part, value) in all {
                pair(out, &format!("{name}[{part}]"), value);
            }
        }
        Value::List(items) => {
            for (i, item) in items.iter().enumerate() {
                match item {
                    Value::Record(_) | Value::List(_) => pair(out, &format!("{name}[{i}]"), item),
                    plain => pair(out, name, plain),
                }
            }
        }
        plain => {
            if !out.is_empty() {
                out.push('&');
            }
            out.push_str(&form_text(name));
            out.push('=');
            out.push_str(&form_text(&plain.to_string()));
        }
    }
}

/// As forms write it: a space is a plus.
fn form_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        match b {
            b' ' => out.push('+'),
            b if b.is_ascii_alphanumeric() || b"-._*".contains(&b) => out.push(char::from(b)),
            b => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}

/// A value inside a text.
pub(super) fn escaped(text: &str, how: Escape) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match (how, c) {
            (Escape::Plain, c) => out.push(c),
            (Escape::Xml, '&') => out.push_str("&amp;"),
            (Escape::Xml, '<') => out.push_str("&lt;"),
            (Escape::Xml, '>') => out.push_str("&gt;"),
            (Escape::Xml, '"') => out.push_str("&quot;"),
            (Escape::Xml, '\'') => out.push_str("&apos;"),
            // No XML text holds other control characters.
            (Escape::Xml, c) if c.is_control() && !"\t\n\r".contains(c) => out.push('\u{fffd}'),
            (Escape::Vcard, '\n') => out.push_str("\\n"),
            (Escape::Vcard, c) if c.is_control() => {}
            (Escape::Vcard, ',' | ';' | '\\') => {
                out.push('\\');
                out.push(c);
            }
            (_, c) => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use tl_kernel::payload::parse_json;

    #[test]
    fn forms_are_written_as_servers_read_them() {
        let table = [
            (r#"{"a":"x y","b":"ü&="}"#, "a=x+y&b=%C3%BC%26%3D"),
            (r#"{"a":{"b":{"c":1}},"d":null}"#, "a%5Bb%5D%5Bc%5D=1"),
            (r#"{"a":["x","y"]}"#, "a=x&a=y"),
            (
                r#"{"a":[{"b":1},{"b":true}]}"#,
                "a%5B0%5D%5Bb%5D=1&a%5B1%5D%5Bb%5D=true",
            ),
            ("{}", ""),
        ];
        for (json, want) in table {
            let value = parse_json(json.as_bytes()).expect("JSON");
            assert_eq!(form(&value), want, "{json}");
        }
    }

    #[test]
    fn a_value_never_ends_what_it_stands_in() {
        let table = [
            (
                Escape::Xml,
                "<a b=\"c\">&'\u{1}",
                "&lt;a b=&quot;c&quot;&gt;&amp;&apos;\u{fffd}",
            ),
            (
                Escape::Vcard,
                "A; B, C\\\r\nEND:VCARD",
                "A\\; B\\, C\\\\\\nEND:VCARD",
            ),
            (Escape::Plain, "a<b", "a<b"),
        ];
        for (how, text, want) in table {
            assert_eq!(escaped(text, how), want, "{how:?}");
        }
    }
}
