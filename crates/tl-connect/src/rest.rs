//! The generic REST connector: one conditional write, one read, and what a read says about a write without an answer.
//!
//! A version is opaque text and goes back byte for byte. A write without one is refused before its first byte unless
//! the workflow says aloud that the last writer wins.

use http::Method;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::time::Duration;
use tl_kernel::digest::{Digest, sha256};
use tl_kernel::payload::object_to_json;
use tl_kernel::program::Lock;
use tl_kernel::value::Value;

use crate::backoff;
use crate::classify::{BodySays, Observation};
use crate::client::{Client, Connection, Request};
use crate::json;
use crate::knowledge::{Answer, Knowledge, Sent};

/// One attempt to write a record.
#[derive(Debug)]
pub struct RestAttempt<'a> {
    /// Where to.
    pub connection: &'a Connection,
    /// `PUT`, `PATCH` or `POST`.
    pub method: &'a str,
    /// Path below the connection's base address.
    pub path: &'a str,
    /// The properties: a record.
    pub body: &'a Value,
    /// How lost updates are prevented.
    pub lock: &'a Lock,
    /// The version the write is based on.
    pub base_version: Option<&'a str>,
    /// The record does not exist yet.
    pub create: bool,
    /// Header and key, where the vendor honours one.
    pub idempotency: Option<(&'a str, &'a str)>,
    /// The id the record is known by; an answer that names another contradicts itself.
    pub expected_id: Option<&'a str>,
    /// Travels as `x-correlation-id`.
    pub correlation_id: &'a str,
    /// Travels as `traceparent`, so that the spans of whoever answers belong to the trace of the case.
    pub trace: Option<&'a str>,
    /// Time for everything.
    pub deadline: Duration,
    /// Our clock, µs since the Unix epoch: what a `Retry-After` date counts from.
    pub now: i64,
}

/// Why an attempt is refused before its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RestError {
    /// A conditional write without a usable version.
    #[error("TL0801 the write has no base version; nothing is overwritten without one")]
    NoVersion,
    /// The method is none of those a write uses.
    #[error("TL0802 a write uses PUT, PATCH or POST")]
    Method,
    /// The properties are no record.
    #[error("TL0803 the body of a write is a record")]
    Body,
}

/// What a write came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteOutcome {
    /// What was observed, for [`crate::classify::classify`].
    pub observation: Observation,
    /// The record's version after the write, where the answer names it; else it has to be read.
    pub version: Option<String>,
    /// What the vendor calls the record.
    pub vendor_ref: Option<String>,
    /// Evidence.
    pub receipt: Receipt,
}

/// Evidence of one attempt. It holds no content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Status, where there was an answer.
    pub status: Option<u16>,
    /// The vendor's id of the request.
    pub request_id: Option<String>,
    /// SHA-256 of the answer's body.
    pub answer: Option<Digest>,
    /// Bytes of the request's body.
    pub body_bytes: usize,
    /// How long it took.
    pub took: Duration,
}

/// What a read came to.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadOutcome {
    /// What was observed.
    pub observation: Observation,
    /// What the record is.
    pub state: ReadState,
    /// Evidence.
    pub receipt: Receipt,
}

/// What a read found.
#[derive(Debug, Clone, PartialEq)]
pub enum ReadState {
    /// The record.
    Present {
        /// Its version; `None` where the vendor gives none.
        version: Option<String>,
        /// Its properties.
        values: Value,
    },
    /// The vendor says there is none at this address.
    Absent,
    /// The read did not succeed.
    Unread,
}

/// Writes once.
pub async fn write(client: &Client, attempt: &RestAttempt<'_>) -> Result<WriteOutcome, RestError> {
    let request = request_of(attempt)?;
    let sent = client.send(attempt.connection, request).await;
    let (mut version, mut vendor_ref) = (None, None);
    if let Knowledge::Answered(answer) = &sent.knowledge
        && (200..300).contains(&answer.status)
    {
        let body = parsed(answer);
        version = version_of(attempt.lock, answer, body.as_ref());
        vendor_ref = body
            .as_ref()
            .and_then(|b| b.get("id"))
            .and_then(json::scalar_text)
            .or_else(|| answer.header("location").map(str::to_owned));
    }
    Ok(WriteOutcome {
        observation: observe(&sent, attempt.now, |answer| says(answer, attempt)),
        version,
        vendor_ref,
        receipt: receipt_of(&sent),
    })
}

/// Reads a record once.
pub async fn read(client: &Client, read: &RestRead<'_>) -> ReadOutcome {
    let mut headers = vec![
        ("accept".to_owned(), "application/json".to_owned()),
        (
            "x-correlation-id".to_owned(),
            read.correlation_id.to_owned(),
        ),
    ];
    headers.extend(traceparent(read.trace));
    let request = Request {
        method: Method::GET,
        path_and_query: read.path.to_owned(),
        headers,
        body: None,
        deadline: read.deadline,
    };
    let sent = client.send(read.connection, request).await;
    let mut state = ReadState::Unread;
    if let Knowledge::Answered(answer) = &sent.knowledge {
        match answer.status {
            404 | 410 => state = ReadState::Absent,
            200 => {
                if let Some(body @ Json::Object(_)) = parsed(answer)
                    && !is_error(&body)
                {
                    state = ReadState::Present {
                        version: version_of(read.lock, answer, Some(&body)),
                        values: json::to_value(&body),
                    };
                }
            }
            _ => {}
        }
    }
    let says = if state == ReadState::Unread {
        BodySays::Contradicts
    } else {
        BodySays::Agrees
    };
    ReadOutcome {
        observation: observe(&sent, read.now, |_| says),
        state,
        receipt: receipt_of(&sent),
    }
}

/// One read of a record.
#[derive(Debug)]
pub struct RestRead<'a> {
    /// Where from.
    pub connection: &'a Connection,
    /// Path below the connection's base address.
    pub path: &'a str,
    /// Where the version is found.
    pub lock: &'a Lock,
    /// Travels as `x-correlation-id`.
    pub correlation_id: &'a str,
    /// Travels as `traceparent`, so that the spans of whoever answers belong to the trace of the case.
    pub trace: Option<&'a str>,
    /// Time for everything.
    pub deadline: Duration,
    /// Our clock, µs since the Unix epoch.
    pub now: i64,
}

fn request_of(attempt: &RestAttempt<'_>) -> Result<Request, RestError> {
    let method = match attempt.method {
        "PUT" => Method::PUT,
        "PATCH" => Method::PATCH,
        "POST" => Method::POST,
        _ => return Err(RestError::Method),
    };
    let Value::Record(body) = attempt.body else {
        return Err(RestError::Body);
    };
    let mut body = body.clone();
    let mut headers = vec![
        ("content-type".to_owned(), "application/json".to_owned()),
        ("accept".to_owned(), "application/json".to_owned()),
        (
            "x-correlation-id".to_owned(),
            attempt.correlation_id.to_owned(),
        ),
    ];
    headers.extend(traceparent(attempt.trace));
    headers.extend(condition(attempt, &mut body)?);
    if let Some((header, key)) = attempt.idempotency {
        headers.push((header.to_owned(), key.to_owned()));
    }
    Ok(Request {
        method,
        path_and_query: attempt.path.to_owned(),
        headers,
        body: Some(object_to_json(&body).into_bytes()),
        deadline: attempt.deadline,
    })
}

fn traceparent(trace: Option<&str>) -> Option<(String, String)> {
    trace.map(|t| ("traceparent".to_owned(), t.to_owned()))
}

/// The header that makes the write conditional; a version that is a property goes into the body.
fn condition(
    attempt: &RestAttempt<'_>,
    body: &mut BTreeMap<String, Value>,
) -> Result<Option<(String, String)>, RestError> {
    if *attempt.lock == Lock::LastWriterWins {
        return Ok(None);
    }
    if attempt.create {
        // A field lock's vendor has its own rule for what exists already.
        let header = ("if-none-match".to_owned(), "*".to_owned());
        return Ok((*attempt.lock == Lock::IfMatch).then_some(header));
    }
    // `*` matches any version: it is a write without one.
    let usable = |v: &&str| !v.trim().is_empty() && *v != "*" && v.chars().all(|c| !c.is_control());
    let version = attempt
        .base_version
        .filter(usable)
        .ok_or(RestError::NoVersion)?;
    if let Lock::Field(name) = attempt.lock {
        body.insert(name.clone(), Value::text(version));
        return Ok(None);
    }
    Ok(Some(("if-match".to_owned(), version.to_owned())))
}

/// What was observed of an exchange; `says` judges the body of an answer.
pub(crate) fn observe(sent: &Sent, now: i64, says: impl Fn(&Answer) -> BodySays) -> Observation {
    match &sent.knowledge {
        Knowledge::NotSent(why) => Observation::NotSent(*why),
        Knowledge::NotProcessed => Observation::NotProcessed,
        Knowledge::Unknown(why) => Observation::Unknown(*why),
        Knowledge::Answered(answer) => Observation::Answered {
            status: answer.status,
            retry_after: retry_after_of(answer, now),
            body: if answer.body.is_err() {
                BodySays::Broken
            } else {
                says(answer)
            },
        },
    }
}

pub(crate) fn retry_after_of(answer: &Answer, now: i64) -> Option<i64> {
    backoff::retry_after(answer.header("retry-after")?, answer.header("date"), now)
}

fn receipt_of(sent: &Sent) -> Receipt {
    let answer = match &sent.knowledge {
        Knowledge::Answered(answer) => Some(answer),
        _ => None,
    };
    let id = |a: &Answer| {
        a.header("x-request-id")
            .or(a.header("request-id"))
            .map(str::to_owned)
    };
    Receipt {
        status: answer.map(|a| a.status),
        request_id: answer.and_then(id),
        answer: answer
            .and_then(|a| a.body.as_ref().ok())
            .map(|b| sha256(&[b])),
        body_bytes: sent.body_bytes,
        took: sent.took,
    }
}

fn parsed(answer: &Answer) -> Option<Json> {
    serde_json::from_slice(answer.body.as_ref().ok()?).ok()
}

fn version_of(lock: &Lock, answer: &Answer, body: Option<&Json>) -> Option<String> {
    match lock {
        Lock::Field(name) => body?.get(name).and_then(json::scalar_text),
        _ => answer
            .header("etag")
            .filter(|tag| !tag.is_empty())
            .map(str::to_owned),
    }
}

/// What the body of an answer to a write says beside its status.
fn says(answer: &Answer, attempt: &RestAttempt<'_>) -> BodySays {
    let Ok(bytes) = &answer.body else {
        return BodySays::Broken;
    };
    let is_json = answer
        .header("content-type")
        .is_some_and(|t| t.contains("json"));
    match serde_json::from_slice::<Json>(bytes) {
        // No body, or words for people: the status stands.
        Err(_) if bytes.is_empty() || !is_json => BodySays::Agrees,
        Err(_) => BodySays::Contradicts,
        Ok(body) if shows_key(answer.status, &body, attempt) => BodySays::OurKey,
        Ok(body) if is_error(&body) || names_another(&body, attempt) => BodySays::Contradicts,
        Ok(_) => BodySays::Agrees,
    }
}

/// Error marks that real systems put into a 2xx. An empty list answers a write that changed nothing.
fn is_error(body: &Json) -> bool {
    let Json::Object(map) = body else {
        return matches!(body, Json::Array(list) if list.is_empty());
    };
    let marked = |name: &str| match map.get(name) {
        None | Some(Json::Null | Json::Bool(false)) => false,
        Some(Json::Array(list)) => !list.is_empty(),
        Some(Json::String(text)) => !text.is_empty(),
        Some(_) => true,
    };
    let denied = |name: &str| map.get(name) == Some(&Json::Bool(false));
    marked("error") || marked("errors") || denied("ok") || denied("success")
}

fn names_another(body: &Json, attempt: &RestAttempt<'_>) -> bool {
    let id = body.get("id").and_then(json::scalar_text);
    matches!((id, attempt.expected_id), (Some(id), Some(expected)) if id != expected)
}

/// A 409 that repeats our key says that our own earlier try was first.
fn shows_key(status: u16, body: &Json, attempt: &RestAttempt<'_>) -> bool {
    let Some((_, key)) = attempt.idempotency.filter(|_| status == 409) else {
        return false;
    };
    let names: BTreeMap<&str, &Json> = match body {
        Json::Object(map) => map.iter().map(|(k, v)| (k.as_str(), v)).collect(),
        _ => return false,
    };
    ["idempotency_key", "idempotencyKey", "external_id", "key"]
        .iter()
        .any(|name| names.get(name).and_then(|v| v.as_str()) == Some(key))
}
