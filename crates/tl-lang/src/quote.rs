//! How text is written in YAML so that it stays text.

/// The words that YAML 1.1 reads as booleans.
pub(crate) fn yes_no(text: &str) -> bool {
    const WORDS: [&str; 6] = ["y", "n", "yes", "no", "on", "off"];
    text.len() <= 3 && WORDS.contains(&text.to_ascii_lowercase().as_str())
}

/// The text in quotes: double ones where nothing needs an escape, else single ones, else escaped.
pub(crate) fn quote(text: &str) -> String {
    if text.chars().any(char::is_control) {
        let mut out = String::from("\"");
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                c if c.is_control() => out.push_str(&format!("\\u{:04x}", c as u32)),
                c => out.push(c),
            }
        }
        out.push('"');
        return out;
    }
    if text.contains(['"', '\\']) {
        format!("'{}'", text.replace('\'', "''"))
    } else {
        format!("\"{text}\"")
    }
}

/// The text without quotes where YAML reads it back unchanged inside any mapping or list, else in quotes.
pub(crate) fn scalar(text: &str) -> String {
    let safe_start = text
        .chars()
        .next()
        .is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '(' || c == '/');
    let safe = safe_start
        && !text.contains(['\n', '\t', ',', '[', ']', '{', '}', '"', '\\'])
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.ends_with([' ', ':'])
        && !yes_no(text)
        && !matches!(text, "null" | "~");
    if safe { text.to_owned() } else { quote(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_quoted_only_where_it_must_be() {
        let table = [
            ("a && b", "a && b"),
            ("!a && b", "\"!a && b\""),
            ("on", "\"on\""),
            ("x == \"y\"", "'x == \"y\"'"),
            ("it's [1]", "\"it's [1]\""),
            ("a: b", "\"a: b\""),
            ("a\nb", "\"a\\nb\""),
            ("", "\"\""),
        ];
        for (text, want) in table {
            assert_eq!(scalar(text), want, "{text}");
        }
    }
}
