//! The message as expressions see it: `event`.

use std::collections::BTreeMap;

use http::HeaderMap;
use tl_kernel::id::EventId;
use tl_kernel::value::Value;

use super::{Found, Message};
use crate::headers;

/// Builds the value of `event`. A mail brings its own headers; they hide those of the request that carried it.
pub(crate) fn build(
    found: &Found,
    message: &Message,
    (id, now): (EventId, i64),
    request: &HeaderMap,
) -> Value {
    let mut event = message.parts.clone();
    if !event.contains_key("correlation_id")
        && let Some(trace) = headers::trace_id(request)
    {
        event.insert("correlation_id".into(), Value::text(trace));
    }
    let mut seen = headers::seen(request);
    if message.pointer.is_some() || !message.headers.is_empty() {
        seen.retain(|name, _| matches!(name.as_str(), "content-type" | "user-agent"));
    }
    seen.extend(message.headers.clone());
    let headers: BTreeMap<String, Value> =
        seen.into_iter().map(|(n, v)| (n, Value::Text(v))).collect();
    event.extend([
        ("id".to_owned(), Value::text(id.to_string())),
        ("source".to_owned(), Value::text(&found.name)),
        ("endpoint".to_owned(), Value::text(&found.name)),
        (
            "channel".to_owned(),
            Value::text(found.endpoint().channel.word()),
        ),
        ("received_at".to_owned(), Value::Time(now)),
        ("headers".to_owned(), Value::Record(headers)),
        ("body".to_owned(), message.body.clone()),
    ]);
    Value::Record(event)
}
