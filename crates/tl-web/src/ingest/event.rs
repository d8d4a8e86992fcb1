//! The message as expressions see it: `event`.

use std::collections::BTreeMap;

use http::HeaderMap;
use tl_document::{Declared, Document, Unread};
use tl_kernel::id::{CaseId, EventId};
use tl_kernel::program::Endpoint;
use tl_kernel::turn::StoredEvent;
use tl_kernel::value::Value;
use tl_wire::content_type::ContentType;

use super::parse::message;
use super::{Found, Message, documents};
use crate::headers;

/// The value of `event` of a message that is stored: as at the door, without the headers of the request that
/// carried it. `None` where the stored bytes cannot be read, which the door would have refused. `read` reads its documents
/// again.
pub fn stored_event(
    endpoint: &Endpoint,
    stored: &StoredEvent,
    read: impl Fn(&[u8], &Declared) -> Result<Document, Unread>,
) -> Option<Value> {
    let content_type = ContentType::parse(stored.content_type.as_bytes()).ok()?;
    let mut message = message(endpoint, &content_type, stored.payload.clone()).ok()?;
    documents::read_now(&mut message, read);
    Some(of_parts(
        endpoint,
        &mut message,
        (stored.id, stored.received_at),
        &HeaderMap::new(),
    ))
}

/// Builds the value of `event`, into which body and parts of the message go over. A mail brings its own headers; they hide those of the request that carried it.
pub(crate) fn build(
    found: &Found,
    message: &mut Message,
    at: (EventId, i64),
    request: &HeaderMap,
) -> Value {
    of_parts(found.endpoint(), message, at, request)
}

fn of_parts(
    endpoint: &Endpoint,
    message: &mut Message,
    (id, now): (EventId, i64),
    request: &HeaderMap,
) -> Value {
    let mut event = std::mem::take(&mut message.parts);
    if !event.contains_key("correlation_id")
        && let Some(trace) = headers::trace_id(request)
    {
        event.insert("correlation_id".into(), Value::text(trace));
    }
    let mut seen = headers::seen(request);
    if message.pointer.is_some() || !message.headers.is_empty() {
        seen.retain(|name, _| matches!(name.as_str(), "content-type" | "user-agent"));
    }
    seen.append(&mut message.headers);
    let headers: BTreeMap<String, Value> =
        seen.into_iter().map(|(n, v)| (n, Value::Text(v))).collect();
    // An answer that names the case by its id finds it, whatever opened it.
    if let Value::List(thread) = event
        .entry("thread".to_owned())
        .or_insert_with(|| Value::List(Vec::new()))
    {
        thread.insert(0, Value::text(CaseId(id.0).to_string()));
    }
    event.extend([
        ("id".to_owned(), Value::text(id.to_string())),
        ("source".to_owned(), Value::text(&endpoint.name)),
        ("endpoint".to_owned(), Value::text(&endpoint.name)),
        ("channel".to_owned(), Value::text(endpoint.channel.word())),
        ("received_at".to_owned(), Value::Time(now)),
        ("headers".to_owned(), Value::Record(headers)),
        (
            "body".to_owned(),
            std::mem::replace(&mut message.body, Value::Null),
        ),
    ]);
    Value::Record(event)
}
