//! From what a message says to what a field may hold: normal forms, and a sentence where there is none.

use std::borrow::Cow;
use std::str::FromStr;

use rust_decimal::Decimal;

use crate::contact;
use crate::limits::{MAX_LINE, MAX_TEXT};
use crate::time::{parse_duration, parse_rfc3339};
use crate::value::{Type, Value};

/// Turns a value into the normal form of a type. `Ok(None)`: blank, so the field stays absent.
/// `Err`: what was expected, without the value.
pub fn coerce(value: &Value, ty: &Type, country: Option<&str>) -> Result<Option<Value>, String> {
    if value.is_blank() {
        return Ok(None);
    }
    let no = || Err(ty.mismatch());
    let done = |v: Option<Value>| v.map_or_else(no, |v| Ok(Some(v)));
    let text = scalar_text(value);
    match ty {
        Type::Any => Ok(Some(value.clone())),
        Type::Null => no(),
        Type::Bool => done(match value {
            Value::Bool(_) => Some(value.clone()),
            _ => match text.as_deref() {
                Some("true") => Some(Value::Bool(true)),
                Some("false") => Some(Value::Bool(false)),
                _ => None,
            },
        }),
        Type::Int => done(text.and_then(|t| t.parse().ok()).map(Value::Int)),
        Type::Dec => done(
            text.and_then(|t| Decimal::from_str(&t).ok())
                .map(Value::Dec),
        ),
        Type::Float => done(
            text.and_then(|t| t.parse().ok())
                .filter(|x: &f64| x.is_finite())
                .map(Value::Float),
        ),
        Type::Text => match text {
            Some(t) if t.len() > MAX_TEXT => Err(format!("is longer than {MAX_TEXT} bytes")),
            other => done(other.map(|t| Value::Text(t.into_owned()))),
        },
        Type::Enum(values) => done(
            text.and_then(|t| values.iter().find(|v| same_but_for_case(v, &t)))
                .map(|v| Value::Text(v.clone())),
        ),
        Type::Email => done(
            text.and_then(|t| contact::normalise_email(&t))
                .map(Value::Text),
        ),
        Type::Phone => done(
            text.and_then(|t| contact::normalise_phone(&t, country))
                .map(Value::Text),
        ),
        Type::Url => done(text.and_then(|t| url(&t)).map(Value::Text)),
        Type::Time => done(match value {
            Value::Time(_) => Some(value.clone()),
            _ => text.and_then(|t| parse_rfc3339(&t)).map(Value::Time),
        }),
        Type::Dur => done(match value {
            Value::Dur(_) => Some(value.clone()),
            _ => text.and_then(|t| parse_duration(&t)).map(Value::Dur),
        }),
        Type::List(inner) => match value {
            Value::List(items) => items
                .iter()
                .filter_map(|v| coerce(v, inner, country).transpose())
                .collect::<Result<_, _>>()
                .map(|l| Some(Value::List(l))),
            _ => no(),
        },
        Type::Record(_) => match value {
            Value::Record(_) => Ok(Some(value.clone())),
            _ => no(),
        },
    }
}

/// The trimmed text of a scalar.
fn scalar_text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::List(_) | Value::Record(_) | Value::Null => None,
        Value::Text(text) => Some(text.trim().into()),
        other => Some(other.to_string().into()),
    }
}

fn same_but_for_case(a: &str, b: &str) -> bool {
    match a.is_ascii() && b.is_ascii() {
        true => a.eq_ignore_ascii_case(b),
        false => a.to_lowercase() == b.to_lowercase(),
    }
}

fn url(text: &str) -> Option<String> {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))?;
    let host = rest.split(['/', '?', '#']).next()?;
    let plain = !text.contains(|c: char| c.is_whitespace() || c.is_control());
    (plain && !host.is_empty() && !host.contains('@') && text.len() <= MAX_LINE)
        .then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_take_their_normal_form() {
        let e = Type::Enum(vec!["low".into(), "High".into()]);
        let table: &[(Value, &Type, Option<Value>)] = &[
            (
                Value::text("  Ada.Example+1@Example.COM "),
                &Type::Email,
                Some(Value::text("ada.example+1@example.com")),
            ),
            (Value::text("ada@"), &Type::Email, None),
            (Value::text("a@b..c"), &Type::Email, None),
            (Value::text("a b@c.de"), &Type::Email, None),
            (Value::text("42"), &Type::Int, Some(Value::Int(42))),
            (Value::text("4.2"), &Type::Int, None),
            (Value::Bool(true), &Type::Bool, Some(Value::Bool(true))),
            (Value::text("yes"), &Type::Bool, None),
            (Value::text("HIGH"), &e, Some(Value::text("High"))),
            (Value::text("mid"), &e, None),
            (Value::Int(7), &Type::Text, Some(Value::text("7"))),
            (
                Value::text("https://a.example/x"),
                &Type::Url,
                Some(Value::text("https://a.example/x")),
            ),
            (Value::text("javascript:alert(1)"), &Type::Url, None),
            (Value::text("http://user@host/"), &Type::Url, None),
            (
                Value::text("1h"),
                &Type::Dur,
                Some(Value::Dur(3_600_000_000)),
            ),
        ];
        for (value, ty, want) in table {
            let got = coerce(value, ty, None).ok().flatten();
            assert_eq!(got, *want, "{value:?} as {}", ty.word());
        }
        assert_eq!(coerce(&Value::text("  "), &Type::Email, None), Ok(None));
    }
}
