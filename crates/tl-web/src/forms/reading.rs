//! What somebody has typed: as the body of a message, and as a person would be told what is wrong with it.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use tl_kernel::coerce::coerce;
use tl_kernel::program::Endpoint;
use tl_kernel::value::Value;
use tl_wire::content_type::ContentType;
use tl_wire::form::{self, Form as Sent};

use super::controls::{Control, Form, Kind, schema_of, typed_as};
use crate::problem::FieldProblem;

/// Field of the page's token.
pub(crate) const TOKEN: &str = "_form";
/// The field that people do not see and leave empty.
pub(crate) const TRAP: &str = "_website";

/// What was typed, by field.
pub(crate) type Typed = BTreeMap<String, String>;

/// An answer that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Position of its question; `None` where the page has none.
    pub(crate) control: Option<usize>,
    /// What to do about it.
    pub(crate) text: String,
}

/// The fields of a form body; empty where it is none.
pub(crate) fn typed(content_type: &ContentType, raw: &[u8]) -> Typed {
    if content_type.is_json() {
        return Typed::new();
    }
    let sent = form::parse(content_type, raw, &form::Limits::default());
    sent.map(|s| s.fields.into_iter().collect())
        .unwrap_or_default()
}

/// The body of a message from what was typed: blank answers are none, our own fields do not belong to it, and a
/// text becomes the number or the truth that a schema file asks for.
pub(crate) fn body(endpoint: &Endpoint, sent: &Sent) -> Value {
    let schema = schema_of(endpoint);
    let own = sent
        .fields
        .iter()
        .filter(|(name, value)| !name.starts_with('_') && !value.trim().is_empty());
    let of = |(name, value): &(String, String)| {
        let value = as_declared(&schema["properties"][name], value);
        (name.clone(), value)
    };
    Value::Record(own.map(of).collect())
}

fn as_declared(property: &Json, text: &str) -> Value {
    let trimmed = text.trim();
    let text_is_wrong = match (listed(property, trimmed), &property["type"]) {
        (Some(value), _) => !value.is_string(),
        (None, Json::String(one)) => one != "string",
        (None, Json::Array(several)) => !several.iter().any(|t| t == "string"),
        _ => false,
    };
    if text_is_wrong {
        if let Ok(whole) = trimmed.parse() {
            return Value::Int(whole);
        }
        if let Ok(fraction) = trimmed.parse() {
            return Value::Dec(fraction);
        }
        if let Ok(truth) = trimmed.parse() {
            return Value::Bool(truth);
        }
    }
    match is_moment(trimmed) {
        true => Value::text(format!("{trimmed}:00Z")),
        false => Value::text(text),
    }
}

/// The value that an answer stands for where only some are taken.
fn listed<'p>(property: &'p Json, text: &str) -> Option<&'p Json> {
    let several = property["enum"].as_array().into_iter().flatten();
    let mut all = several.chain(property.get("const"));
    all.find(|value| typed_as(value).is_some_and(|t| t.trim() == text))
}

/// A day and a time as a browser sends them: `2026-11-23T15:00`.
fn is_moment(text: &str) -> bool {
    let digits = |c: char, at: usize| match at {
        4 | 7 => c == '-',
        10 => c == 'T',
        13 => c == ':',
        _ => c.is_ascii_digit(),
    };
    text.len() == 16 && text.chars().enumerate().all(|(at, c)| digits(c, at))
}

/// What a person has to mend before the form can be sent. A call of a program is not held to this: what it leaves out
/// the case asks for.
pub(crate) fn faults(form: &Form, typed: &Typed) -> Vec<Fault> {
    let country = typed.get("country").map(|c| c.trim().to_uppercase());
    let country = country.as_deref().filter(|c| c.len() == 2);
    let asked = form.controls.iter().enumerate();
    let fault = |(at, control): (usize, &Control)| {
        let answer = typed.get(&control.name).map_or("", |a| a.trim());
        let text = wrong(control, answer, country)?;
        Some(Fault {
            control: Some(at),
            text,
        })
    };
    asked.filter_map(fault).collect()
}

fn wrong(control: &Control, answer: &str, country: Option<&str>) -> Option<String> {
    let what = in_a_sentence(&control.label);
    if answer.is_empty() {
        return control.required.then(|| match control.kind {
            Kind::Choice(_) => format!("Select {what}."),
            Kind::Tick => format!("Tick “{}”.", control.label),
            _ => format!("Enter {what}."),
        });
    }
    if let Some(longest) = control.longest
        && answer.chars().count() as u64 > longest
    {
        return Some(format!(
            "{} has at most {longest} characters.",
            control.label
        ));
    }
    let Value::Text(value) = as_declared(&Json::Null, answer) else {
        return None;
    };
    let right = coerce(&Value::text(value), &control.ty, country).is_ok();
    if right {
        return None;
    }
    Some(match control.kind {
        Kind::Email => "Enter an e-mail address such as name@example.com.".to_owned(),
        Kind::Phone => {
            "Enter a phone number with its country code, such as +44 20 7946 0000.".to_owned()
        }
        Kind::Url => "Enter a web address that begins with https://.".to_owned(),
        Kind::Whole => format!("Enter {what} as a whole number, such as 12."),
        Kind::Fraction => format!("Enter {what} as a number, such as 12.5."),
        Kind::Day | Kind::Moment => format!("Enter {what} as a day that exists."),
        Kind::Choice(_) => format!("Select {what} from the list."),
        Kind::Line | Kind::Area | Kind::Tick => {
            format!("{} cannot be taken as it is.", control.label)
        }
    })
}

/// A label in the middle of a sentence: a small letter first, unless it begins with an abbreviation.
fn in_a_sentence(label: &str) -> String {
    let mut chars = label.chars();
    match (chars.next(), label.chars().nth(1)) {
        (Some(first), second) if second.is_none_or(|c| !c.is_uppercase()) => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => label.to_owned(),
    }
}

/// What a schema found, beside the questions of a page.
pub(crate) fn of_schema(form: &Form, errors: &[FieldProblem]) -> Vec<Fault> {
    let fault = |error: &FieldProblem| {
        let name = error.pointer.trim_start_matches('/');
        let name = name.replace("~1", "/").replace("~0", "~");
        let control = form.controls.iter().position(|c| c.name == name);
        let label = control.map_or(name, |at| form.controls[at].label.clone());
        Fault {
            control,
            text: format!("{label} {}.", error.expected),
        }
    };
    errors.iter().map(fault).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tl_kernel::value::Type;

    #[test]
    fn a_person_is_told_what_to_enter() {
        let table = [
            (Kind::Line, Type::Text, "Name", "", "Enter name."),
            (Kind::Line, Type::Text, "VAT ID", "", "Enter VAT ID."),
            (
                Kind::Email,
                Type::Email,
                "E-mail",
                "ada",
                "Enter an e-mail address such as name@example.com.",
            ),
            (Kind::Email, Type::Email, "E-mail", "ada@example.com", ""),
            (
                Kind::Phone,
                Type::Phone,
                "Phone",
                "12",
                "Enter a phone number with its country code, such as +44 20 7946 0000.",
            ),
            (
                Kind::Whole,
                Type::Int,
                "Seats",
                "4.5",
                "Enter seats as a whole number, such as 12.",
            ),
            (Kind::Whole, Type::Int, "Seats", " 45 ", ""),
            (Kind::Moment, Type::Time, "Start", "2026-11-23T15:00", ""),
            (
                Kind::Moment,
                Type::Time,
                "Start",
                "2026-13-45T15:00",
                "Enter start as a day that exists.",
            ),
            (Kind::Tick, Type::Bool, "I agree", "", "Tick “I agree”."),
            (
                Kind::Url,
                Type::Url,
                "Website",
                "javascript:alert(1)",
                "Enter a web address that begins with https://.",
            ),
        ];
        for (kind, ty, label, answer, want) in table {
            let control = Control {
                name: "x".into(),
                label: label.into(),
                hint: None,
                kind,
                ty,
                required: true,
                longest: None,
            };
            let got = wrong(&control, answer.trim(), None).unwrap_or_default();
            assert_eq!(got, want, "{label} {answer:?}");
        }
    }

    #[test]
    fn texts_become_what_a_schema_asks_for() {
        let table = [
            (r#"{"type":"integer"}"#, "5", Value::Int(5)),
            (r#"{"type":"boolean"}"#, "true", Value::Bool(true)),
            (r#"{"type":["integer","string"]}"#, "5", Value::text("5")),
            (r#"{"type":"string"}"#, "5", Value::text("5")),
            (r#"{"enum":[1,2.5,"3"]}"#, " 1 ", Value::Int(1)),
            (
                r#"{"enum":[1,2.5,"3"]}"#,
                "2.5",
                Value::Dec("2.5".parse().unwrap()),
            ),
            (r#"{"enum":[1,2.5,"3"]}"#, "3", Value::text("3")),
            (r#"{"enum":[true,false]}"#, "false", Value::Bool(false)),
            (r#"{"const":true}"#, "true", Value::Bool(true)),
            (r#"{"enum":[1,2]}"#, "7", Value::text("7")),
            (r#"{"type":"integer"}"#, "five", Value::text("five")),
            (
                "{}",
                "2026-11-23T15:00",
                Value::text("2026-11-23T15:00:00Z"),
            ),
        ];
        for (schema, text, want) in table {
            let schema: Json = serde_json::from_str(schema).unwrap();
            assert_eq!(as_declared(&schema, text), want, "{schema} {text}");
        }
    }
}
