//! What came in: messages and the answers of models.

use tl_kernel::digest::short;
use tl_kernel::journal::{Answered, Body, Entry, Fact};
use tl_kernel::program::TIMETABLE;
use tl_kernel::value::{Record, Value};

use super::super::build::Material;
use super::super::fields::share;
use super::super::{Line, Side};
use crate::text::{count, one_line};

pub(super) fn event(m: &Material, entry: &Entry) -> Line {
    let Entry::Event {
        n,
        id,
        endpoint,
        key_source,
        matched_key,
        correlation,
    } = entry
    else {
        return Line::new(Side::Input, "");
    };
    let program = &m.bundle.program;
    let channel = program.endpoint(endpoint).map_or("", |e| e.channel.word());
    let said = match program.schedule(endpoint) {
        Some(s) => format!(
            "message {n} of the timetable `{endpoint}` ({} {}), {id}",
            s.cron, s.table.zone
        ),
        None => format!("message {n} through `{endpoint}` ({channel}), {id}"),
    };
    let mut detail = Vec::new();
    if let Some(i) = matched_key {
        let keys = &m.bundle.program.record.natural_keys;
        let key = keys.get(usize::from(*i)).map(|t| t.source.as_str());
        let key = key.unwrap_or_default();
        detail.push(format!(
            "it joined this case: its natural key `{}` is the same",
            with_values(key, &m.case.record)
        ));
    }
    if let Some(own) = correlation {
        detail.push(format!("its own correlation id is {own}"));
    }
    if let Some(d) = m.duplicates.get(id).filter(|d| d.count > 0) {
        let variants = match d.variants.len() {
            0 => String::new(),
            n => format!(", {n} of them with other content under the same key"),
        };
        detail.push(format!(
            "it came again {}{variants}; nothing more was done. A repeat is recognised by {}",
            count(d.count, "time"),
            key_words(key_source)
        ));
    }
    Line::new(Side::Input, said).with(detail)
}

/// A natural key with the values of the record in place of their names.
fn with_values(key: &str, record: &Record) -> String {
    let mut out = key.to_owned();
    for (name, field) in record {
        let hole = format!("${{record.{name}}}");
        out = out.replace(&hole, &one_line(&field.value.to_string(), 80));
    }
    out
}

/// By what a repeat of a message is recognised.
pub fn key_words(key_source: &str) -> &str {
    match key_source {
        "signed_id" => "the signed delivery id",
        "header_and_body" => "its idempotency header or the hash of its signed bytes",
        "pointer" => "the declared part of the body",
        "natural" => "its natural key",
        "api_key" => "the caller's Idempotency-Key",
        TIMETABLE => "its instant: each brings one message",
        "weak" => "the hash of its bytes alone (weak)",
        "import" => "the key or the content of its row",
        other => other,
    }
}

pub(super) fn answered(a: &Answered, body: Option<&Body>) -> Line {
    let mut text = format!("model {} answered in {} ms", a.model, a.took / 1000);
    if let Some(c) = a.confidence {
        text.push_str(&format!(", confidence {}", share(c)));
    }
    let proposal = body
        .into_iter()
        .flat_map(|b| &b.facts)
        .find_map(|f| match f {
            Fact::Proposal(Value::Record(parts)) => Some(parts),
            _ => None,
        });
    let shown = |(name, value): (&String, &Value)| {
        let name = match name.as_str() {
            "reasons" => "words that spoke for it",
            name => name,
        };
        format!("{name}: {}", one_line(&value.to_string(), 120))
    };
    // Whether the number is calibrated, the model says for machines.
    let parts = proposal.into_iter().flatten();
    let parts = parts.filter(|(name, _)| name.as_str() != "calibrated");
    let mut detail: Vec<String> = parts.map(shown).collect();
    detail.extend(cost(a));
    Line::new(Side::Input, text).with(detail)
}

/// An answer of a model that could not be used, and what it cost.
pub(super) fn unused(a: &Answered) -> Vec<String> {
    let mut detail = vec![format!(
        "model {} answered in {} ms",
        a.model,
        a.took / 1000
    )];
    detail.extend(cost(a));
    detail
}

/// From what an answer came, and what it cost.
fn cost(a: &Answered) -> Vec<String> {
    let mut detail = vec![format!(
        "prompt {}, answer {}",
        short(&a.prompt),
        short(&a.output)
    )];
    if a.tokens != (0, 0) {
        let (read, written) = a.tokens;
        detail.push(format!("{read} tokens read, {written} written"));
    }
    if a.repairs > 0 {
        detail.push(format!(
            "its first answer did not fit; it was asked again {}",
            count(a.repairs, "time")
        ));
    }
    detail
}
