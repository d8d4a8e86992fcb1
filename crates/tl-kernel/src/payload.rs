//! JSON, read strictly and written exactly. What is read has bounded depth and size, no duplicate keys, no NUL, no
//! lone surrogates, nothing after the end.
//!
//! Own parser because a body is judged before it is stored: a library that keeps the last of two equal keys
//! would let two readers of one signed body see two different messages.

mod write;

use std::collections::BTreeMap;

use rust_decimal::Decimal;

pub use write::{object_to_json, to_json};

use crate::limits::{MAX_JSON_DEPTH, MAX_JSON_NODES};
use crate::value::Value;

/// Why a body is refused. The position is a byte offset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct PayloadError {
    /// What is wrong, without any of the body's content.
    pub what: &'static str,
    /// Where.
    pub at: usize,
}

/// Parses a whole body.
pub fn parse_json(bytes: &[u8]) -> Result<Value, PayloadError> {
    let text = std::str::from_utf8(bytes).map_err(|e| PayloadError {
        what: "the body is not UTF-8",
        at: e.valid_up_to(),
    })?;
    let mut p = Parser {
        text,
        at: 0,
        nodes: 0,
    };
    p.space();
    let value = p.value(0)?;
    p.space();
    if p.at < text.len() {
        return p.fail("there is something after the end");
    }
    Ok(value)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    nodes: usize,
}

impl Parser<'_> {
    fn fail<T>(&self, what: &'static str) -> Result<T, PayloadError> {
        Err(PayloadError { what, at: self.at })
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8, what: &'static str) -> Result<(), PayloadError> {
        if self.peek() != Some(byte) {
            return self.fail(what);
        }
        self.at += 1;
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<Value, PayloadError> {
        self.nodes += 1;
        if depth > MAX_JSON_DEPTH {
            return self.fail("it is nested too deeply");
        }
        if self.nodes > MAX_JSON_NODES {
            return self.fail("it has too many values");
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(Value::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Result<Value, PayloadError> {
        let rest = &self.text[self.at..];
        for (word, value) in [
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("null", Value::Null),
        ] {
            if rest.starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        self.fail("a JSON value was expected")
    }

    fn object(&mut self, depth: usize) -> Result<Value, PayloadError> {
        let mut map = BTreeMap::new();
        self.at += 1;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Record(map));
        }
        loop {
            self.space();
            let start = self.at;
            if self.peek() != Some(b'"') {
                return self.fail("a member name was expected");
            }
            let name = self.string()?;
            self.space();
            self.take(b':', "`:` was expected")?;
            self.space();
            let value = self.value(depth + 1)?;
            if map.insert(name, value).is_some() {
                self.at = start;
                return self.fail("a member name stands twice");
            }
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return self.fail("`,` or `}` was expected"),
            }
        }
        self.at += 1;
        Ok(Value::Record(map))
    }

    fn array(&mut self, depth: usize) -> Result<Value, PayloadError> {
        let mut items = Vec::new();
        self.at += 1;
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::List(items));
        }
        loop {
            self.space();
            items.push(self.value(depth + 1)?);
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return self.fail("`,` or `]` was expected"),
            }
        }
        self.at += 1;
        Ok(Value::List(items))
    }

    fn string(&mut self) -> Result<String, PayloadError> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest
                .find(|c: char| c == '"' || c == '\\' || c < ' ')
                .unwrap_or(rest.len());
            out.push_str(&rest[..plain]);
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                Some(_) => return self.fail("a control character stands in a text"),
                None => return self.fail("a text does not end"),
            }
        }
    }

    fn escape(&mut self) -> Result<char, PayloadError> {
        self.at += 1;
        let c = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => return self.fail("an unknown escape"),
        };
        self.at += 1;
        Ok(c)
    }

    fn unicode(&mut self) -> Result<char, PayloadError> {
        let high = self.hex4()?;
        let code = match high {
            0xD800..=0xDBFF => {
                if !self.text[self.at..].starts_with("\\u") {
                    return self.fail("half of a surrogate pair");
                }
                self.at += 1;
                let low = self.hex4()?;
                if !(0xDC00..=0xDFFF).contains(&low) {
                    return self.fail("half of a surrogate pair");
                }
                0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)
            }
            0 => return self.fail("a NUL character"),
            other => other,
        };
        match char::from_u32(code) {
            Some(c) => Ok(c),
            None => self.fail("half of a surrogate pair"),
        }
    }

    /// Reads `uXXXX` from the `u`.
    fn hex4(&mut self) -> Result<u32, PayloadError> {
        let digits = self.text.get(self.at + 1..self.at + 5).unwrap_or("");
        if digits.len() != 4 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return self.fail("four hexadecimal digits were expected");
        }
        self.at += 5;
        Ok(u32::from_str_radix(digits, 16).unwrap_or(0))
    }

    fn number(&mut self) -> Result<Value, PayloadError> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let mut whole = true;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let first = self.at;
        self.digits();
        let int_len = self.at - first;
        if int_len == 0 || (int_len > 1 && bytes[first] == b'0') {
            return self.fail("a number was expected");
        }
        if self.peek() == Some(b'.') {
            whole = false;
            self.at += 1;
            if self.digits() == 0 {
                return self.fail("a digit was expected");
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            whole = false;
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return self.fail("a digit was expected");
            }
        }
        let text = &self.text[start..self.at];
        let exact = || {
            text.parse::<Decimal>()
                .or_else(|_| Decimal::from_scientific(text))
                .ok()
        };
        if whole && let Ok(i) = text.parse() {
            return Ok(Value::Int(i));
        }
        match exact() {
            Some(d) => Ok(Value::Dec(d)),
            None => self.fail("a number is out of range"),
        }
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_bodies_parse() {
        let v =
            parse_json(br#" {"a":[1,-2.50,true,null,"x\u00e9\ud83d\ude00\n"],"b":{}} "#).unwrap();
        let Value::Record(m) = v else { panic!() };
        assert_eq!(m["b"], Value::Record(BTreeMap::new()));
        let Value::List(l) = &m["a"] else { panic!() };
        assert_eq!(l[0], Value::Int(1));
        assert_eq!(l[1], Value::Dec("-2.50".parse().unwrap()));
        assert_eq!(l[4], Value::text("xé😀\n"));
        assert_eq!(parse_json(b"1e3"), Ok(Value::Dec("1000".parse().unwrap())));
    }

    #[test]
    fn bad_bodies_are_refused_with_a_reason() {
        let deep = "[".repeat(100_000);
        let wide = format!("[{}1]", "1,".repeat(30_000));
        let table: &[(&[u8], &str)] = &[
            (b"", "a JSON value was expected"),
            (b"{", "a member name was expected"),
            (br#"{"a":1,"a":2}"#, "a member name stands twice"),
            (br#"{"a":1} x"#, "there is something after the end"),
            (br#"{"a":01}"#, "a number was expected"),
            (br#"{"a":1.}"#, "a digit was expected"),
            (br#"{"a":1e}"#, "a digit was expected"),
            (b"NaN", "a JSON value was expected"),
            (b"[1,]", "a JSON value was expected"),
            (br#""\u0000""#, "a NUL character"),
            (br#""\ud800""#, "half of a surrogate pair"),
            (br#""\udc00""#, "half of a surrogate pair"),
            (br#""\ud800\u0041""#, "half of a surrogate pair"),
            (br#""\x""#, "an unknown escape"),
            (b"\"a\x01\"", "a control character stands in a text"),
            (b"\"a", "a text does not end"),
            (b"\xff\xfe", "the body is not UTF-8"),
            (b"\xef\xbb\xbf{}", "a JSON value was expected"),
            (deep.as_bytes(), "it is nested too deeply"),
            (wide.as_bytes(), "it has too many values"),
            (b"1e400", "a number is out of range"),
        ];
        for (bytes, want) in table {
            let got = parse_json(bytes).unwrap_err();
            assert_eq!(got.what, *want, "{:?}", &bytes[..bytes.len().min(20)]);
        }
    }
}
