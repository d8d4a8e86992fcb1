//! A span of a trace and its form on the wire: OTLP over HTTP as JSON. Ids are computed from what the span is about,
//! so that a span which is sent twice has the same ids twice.

use serde_json::{Value as Json, json};
use tl_kernel::digest::{hex, sha256};
use tl_kernel::id::{CaseId, EffectId};
use tl_store::contract::EffectRow;

/// 16 bytes that all spans of a case share.
pub(super) type TraceId = [u8; 16];
/// 8 bytes of one span.
pub(super) type SpanId = [u8; 8];

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Attr {
    Text(String),
    Number(i64),
    Flag(bool),
}

impl From<&str> for Attr {
    fn from(text: &str) -> Attr {
        Attr::Text(text.to_owned())
    }
}

impl From<String> for Attr {
    fn from(text: String) -> Attr {
        Attr::Text(text)
    }
}

impl From<i64> for Attr {
    fn from(number: i64) -> Attr {
        Attr::Number(number)
    }
}

impl From<bool> for Attr {
    fn from(flag: bool) -> Attr {
        Attr::Flag(flag)
    }
}

/// Attributes by name.
pub(super) type Attrs = Vec<(&'static str, Attr)>;

/// Whether a span is work of ours or a call to somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Internal = 1,
    Client = 3,
}

/// One span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) trace: TraceId,
    pub(super) id: SpanId,
    pub(super) parent: Option<SpanId>,
    pub(super) name: String,
    pub(super) kind: Kind,
    /// µs.
    pub(super) start: i64,
    /// µs.
    pub(super) end: i64,
    pub(super) attrs: Attrs,
    /// What was decided in it: name and attributes.
    pub(super) events: Vec<(&'static str, Attrs)>,
    /// The code of an error.
    pub(super) error: Option<String>,
}

/// The trace of a case: the one its message came with, where the correlation id is the id of a W3C trace; else its own.
pub(super) fn trace_id(correlation: &str, case: CaseId) -> TraceId {
    let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    let given = correlation.len() == 32 && correlation.bytes().all(lower_hex);
    let number = u128::from_str_radix(correlation, 16)
        .ok()
        .filter(|n| given && *n != 0);
    number.map_or_else(|| first(&sha256(&[b"trace", &case.0])), u128::to_be_bytes)
}

/// The span of a kind and number within a case.
pub(super) fn span_id(case: CaseId, kind: &str, numbers: (u32, u32)) -> SpanId {
    let (a, b) = (numbers.0.to_be_bytes(), numbers.1.to_be_bytes());
    first(&sha256(&[b"span", &case.0, kind.as_bytes(), &a, &b]))
}

/// The span of an attempt.
pub(super) fn attempt_id(effect: EffectId, attempt: u32) -> SpanId {
    span_id(effect.case, "attempt", (effect.n, attempt))
}

fn first<const N: usize>(digest: &[u8; 32]) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&digest[..N]);
    out
}

/// The W3C `traceparent` that an attempt's request carries: the receiver's spans become children of its span.
pub fn traceparent(row: &EffectRow) -> String {
    let trace = trace_id(&row.correlation, row.effect.case);
    format!(
        "00-{}-{}-01",
        hex(&trace),
        hex(&attempt_id(row.effect, row.attempt))
    )
}

/// A code as it may leave: people type reasons, and a trace is no place for what they may have typed.
pub(super) fn code(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-.:/*".contains(c);
    if text.len() <= 64 && text.chars().all(fits) {
        text.to_owned()
    } else {
        "other".into()
    }
}

/// A request's body: these spans as an OTLP export.
pub(super) fn export(spans: &[Span]) -> Vec<u8> {
    let version = env!("CARGO_PKG_VERSION");
    let resource = vec![
        ("service.name", Attr::from("throughline")),
        ("service.version", Attr::from(version)),
    ];
    let spans: Vec<Json> = spans.iter().map(wire).collect();
    let scope = json!({ "name": "throughline", "version": version });
    json!({
        "resourceSpans": [{
            "resource": { "attributes": attributes(&resource) },
            "scopeSpans": [{ "scope": scope, "spans": spans }],
        }],
    })
    .to_string()
    .into_bytes()
}

fn wire(span: &Span) -> Json {
    let events: Vec<Json> = span
        .events
        .iter()
        .map(|(name, attrs)| {
            json!({
                "timeUnixNano": nanos(span.start),
                "name": name,
                "attributes": attributes(attrs),
            })
        })
        .collect();
    let mut out = json!({
        "traceId": hex(&span.trace),
        "spanId": hex(&span.id),
        "name": span.name,
        "kind": span.kind as u8,
        "startTimeUnixNano": nanos(span.start),
        "endTimeUnixNano": nanos(span.end),
        "attributes": attributes(&span.attrs),
        "events": events,
    });
    if let Some(parent) = &span.parent {
        out["parentSpanId"] = hex(parent).into();
    }
    if let Some(error) = &span.error {
        out["status"] = json!({ "code": 2, "message": error });
    }
    out
}

/// 64-bit numbers are texts in OTLP's JSON.
fn nanos(micros: i64) -> String {
    (i128::from(micros.max(0)) * 1_000).to_string()
}

fn attributes(attrs: &Attrs) -> Vec<Json> {
    let value = |a: &Attr| match a {
        Attr::Text(t) => json!({ "stringValue": t }),
        Attr::Number(n) => json!({ "intValue": n.to_string() }),
        Attr::Flag(b) => json!({ "boolValue": b }),
    };
    attrs
        .iter()
        .map(|(key, a)| json!({ "key": key, "value": value(a) }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_goes_on_where_the_message_came_with_one() {
        let case = CaseId([7; 16]);
        let own = trace_id("corr-1", case);
        let table = [
            ("4bf92f3577b34da6a3ce929d0e0e4736", false),
            ("4BF92F3577B34DA6A3CE929D0E0E4736", true),
            ("00000000000000000000000000000000", true),
            ("+bf92f3577b34da6a3ce929d0e0e4736", true),
            ("4bf92f3577b34da6a3ce929d0e0e473", true),
            ("", true),
        ];
        for (correlation, is_own) in table {
            let trace = trace_id(correlation, case);
            assert_eq!(trace == own, is_own, "{correlation}");
            assert_eq!(hex(&trace) == correlation, !is_own, "{correlation}");
        }
        assert_ne!(own, trace_id("corr-1", CaseId([8; 16])));
    }

    #[test]
    fn only_codes_leave() {
        let table = [
            ("wrong_text", "wrong_text"),
            ("kill:action:ack", "kill:action:ack"),
            ("", ""),
            ("Ada said no", "other"),
            ("ada@x.example", "other"),
        ];
        for (text, want) in table {
            assert_eq!(code(text), want, "{text}");
        }
    }
}
