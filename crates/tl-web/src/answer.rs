//! Answers that say yes. Their bytes are part of the interface: a saved answer is replayed byte for byte.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use tl_kernel::id::{CaseId, EventId};
use tl_wire::signature::Reply;

/// Marks an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

#[derive(Serialize)]
struct EventBody<'a> {
    event_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    case_id: Option<String>,
    status: &'a str,
}

fn event_body(event: EventId, case: Option<CaseId>, status: &str) -> Vec<u8> {
    let body = EventBody {
        event_id: event.to_string(),
        case_id: case.map(|c| c.to_string()),
        status,
    };
    serde_json::to_vec(&body).unwrap_or_default()
}

/// The body of the 202 answer to an accepted message. Whoever commits an admission with `idempotent` saves
/// status 202 and exactly these bytes in the same unit.
pub fn accepted_body(event: EventId, case: Option<CaseId>) -> Vec<u8> {
    event_body(event, case, "accepted")
}

/// 202: committed.
pub(crate) fn accepted(event: EventId, case: Option<CaseId>) -> Response {
    json(StatusCode::ACCEPTED, accepted_body(event, case))
}

/// 200: it was committed before.
pub(crate) fn duplicate(event: EventId) -> Response {
    replayed(json(StatusCode::OK, event_body(event, None, "duplicate")))
}

/// 200: the answer to a vendor's question whether the address is ours.
pub(crate) fn challenge(reply: Reply) -> Response {
    let mut response = Response::new(Body::from(reply.body));
    let kind = HeaderValue::from_static(reply.content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// A saved answer.
pub(crate) fn saved(status: u16, body: Vec<u8>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let mut response = json(status, body);
    if status.is_client_error() {
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    replayed(response)
}

/// Marks an answer as given before.
pub(crate) fn replayed(mut response: Response) -> Response {
    response
        .headers_mut()
        .insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

/// A JSON answer.
pub(crate) fn json(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
