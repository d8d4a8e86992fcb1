//! Fields of a record with where each came from, and places in the files of the bundle.

use tl_document::place;
use tl_engine::tenant::Bundle;
use tl_kernel::case::Case;
use tl_kernel::value::{Field, Source, Value};

use crate::control::views::FieldLine;
use crate::text::one_line;

/// Longest value on a line, characters.
const VALUE: usize = 200;

/// The record of a case, field by field.
pub fn field_lines(case: &Case, bundle: &Bundle) -> Vec<FieldLine> {
    let line = |name: &String, f: &Field| FieldLine {
        name: name.clone(),
        value: one_line(&f.value.to_string(), VALUE),
        trust: f.label.word().to_owned(),
        source: source((name.as_str(), f), case, bundle),
    };
    let declared: Vec<&str> = bundle
        .program
        .record
        .fields
        .iter()
        .map(|f| f.name.as_str())
        .collect();
    let position = |name: &str| {
        declared
            .iter()
            .position(|d| *d == name)
            .unwrap_or(usize::MAX)
    };
    let mut fields: Vec<(&String, &Field)> = case.record.iter().collect();
    fields.sort_by_key(|(name, _)| position(name));
    fields.into_iter().map(|(name, f)| line(name, f)).collect()
}

/// Where a field's value came from.
pub(super) fn source(field: (&str, &Field), case: &Case, bundle: &Bundle) -> String {
    let (name, field) = field;
    let program = &bundle.program;
    match &field.source {
        Source::Event(n) => {
            let message = (*n as usize)
                .checked_sub(1)
                .and_then(|i| case.events.get(i));
            let endpoint = message.and_then(|m| program.endpoint(&m.endpoint));
            match endpoint.and_then(|e| e.map.iter().find(|(field, _)| field == name)) {
                Some((_, picked)) => format!("message {n}: {}", picked.source),
                None => format!("message {n}"),
            }
        }
        Source::Model {
            ask,
            confidence,
            span,
        } => {
            let mut out = match case.asks.get(ask) {
                Some((model, _)) => format!("model {model}"),
                None => "model".into(),
            };
            if let Some(c) = confidence {
                out.push_str(&format!(", confidence {}", share(*c)));
            }
            if let Some((from, to)) = span {
                out.push_str(&spanned(case, (*from, *to)));
                if let Some(text) = span_text(case, *from, *to) {
                    out.push_str(&format!(": \"{}\"", one_line(text, 60)));
                }
            }
            out
        }
        Source::Rule(i) => match program.rules.get(*i as usize) {
            Some(rule) => format!("rule {}", workflow_place(bundle, rule.line)),
            None => "a rule".into(),
        },
        Source::Table(t, row) => match program.tables.get(*t as usize) {
            Some(table) => {
                let line = table.rows.get(*row as usize).map_or(0, |r| r.line);
                format!("table {}:{line}", table.file)
            }
            None => "a table".into(),
        },
        Source::Person => "a person".into(),
        Source::Crm(version) if version.is_empty() => "the system of record".into(),
        Source::Crm(version) => format!("the system of record, version {version}"),
        Source::Engine => "the engine".into(),
    }
}

/// Where in the text a value stands: on which page, where the text has pages.
fn spanned(case: &Case, (from, to): (u32, u32)) -> String {
    let at = message_text(case).and_then(|text| place(text, from as usize));
    match at {
        Some(at) => {
            let end = at.offset + to.saturating_sub(from) as usize;
            format!(", page {}, bytes {} to {end}", at.page, at.offset)
        }
        None => format!(", bytes {from} to {to}"),
    }
}

fn span_text(case: &Case, from: u32, to: u32) -> Option<&str> {
    message_text(case)?.get(from as usize..to as usize)
}

fn message_text(case: &Case) -> Option<&str> {
    case.message.as_ref()?.at(&["text"])?.as_text()
}

/// Thousandths as a number between 0 and 1.
pub(super) fn share(thousandths: u16) -> String {
    format!("{:.3}", f64::from(thousandths) / 1000.0)
        .trim_end_matches('0')
        .trim_end_matches('.')
        .to_owned()
}

/// A line of the workflow file.
pub(super) fn workflow_place(bundle: &Bundle, line: u32) -> String {
    format!("workflows/{}/workflow.yaml:{line}", bundle.program.id)
}

/// Where the file sets the threshold of its decision; none where it does not.
pub(super) fn threshold_place(bundle: &Bundle) -> Option<String> {
    let file = format!("workflows/{}/workflow.yaml", bundle.program.id);
    let mut lines = bundle.project.text(&file)?.lines();
    let at = lines.position(|l| l.trim_start().starts_with("threshold:"))?;
    Some(workflow_place(bundle, at as u32 + 1))
}

/// A line of the policy; 0 is the default that nobody wrote.
pub fn policy_place(bundle: &Bundle, line: u32) -> String {
    let id = &bundle.program.id;
    if line == 0 {
        return "the default policy (no line says otherwise)".into();
    }
    let own = format!("workflows/{id}/policy.yaml");
    let file = if bundle.project.files.contains_key(&own) {
        "policy.yaml"
    } else {
        "workflow.yaml"
    };
    format!("workflows/{id}/{file}:{line}")
}

/// The parts of arguments as lines: name and value; parts within parts by their path.
pub fn arguments(value: &Value) -> Vec<(String, String)> {
    let mut out = Vec::new();
    flatten(value, "", &mut out);
    out
}

fn flatten(value: &Value, path: &str, out: &mut Vec<(String, String)>) {
    match value {
        Value::Record(parts) if !parts.is_empty() => {
            for (name, part) in parts {
                let dot = if path.is_empty() { "" } else { "." };
                flatten(part, &format!("{path}{dot}{name}"), out);
            }
        }
        other => {
            let name = if path.is_empty() { "value" } else { path };
            out.push((name.to_owned(), other.to_string()));
        }
    }
}
