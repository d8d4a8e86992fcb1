//! Around every handler: limits of the head, an id, a panic that does not end the connection, headers and
//! counters. The handler runs as a task of its own, so that a sender who hangs up does not stop a commit half
//! way.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, header};
use tl_kernel::id::EventId;

use crate::limits::{MAX_HEAD, MAX_TARGET};
use crate::problem::{HEAD_TOO_LARGE, LENGTH_REQUIRED, Problem, TARGET_TOO_LONG};
use crate::state::Web;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request: of the event too, if it becomes one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestId(pub(crate) EventId);

/// The id of a request as its answer and the security log have it.
pub(crate) fn request_name(id: EventId) -> String {
    id.to_string().replacen("evt_", "req_", 1)
}

/// The middleware.
pub(crate) async fn guard(
    State(web): State<Arc<Web>>,
    mut request: Request,
    next: Next,
) -> Response {
    let begun = Instant::now();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "none".to_owned(), |p| p.as_str().to_owned());
    let id = web.draw_id();
    request.extensions_mut().insert(RequestId(id));
    let mut response = match head_limits(&request) {
        Ok(()) => run(&web, request, next).await,
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&request_name(id)) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let nosniff = HeaderValue::from_static("nosniff");
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    web.metrics
        .answered(&route, response.status().as_u16(), begun.elapsed());
    response
}

/// Bodies come with a length. Chunks are refused for every address: two readers of one request must never see
/// two ends of it.
pub(crate) fn length_required() -> Problem {
    Problem::new(
        LENGTH_REQUIRED,
        "Send the body with a Content-Length, not in chunks.",
    )
    .close()
}

fn head_limits(request: &Request<Body>) -> Result<(), Problem> {
    if request.headers().contains_key(header::TRANSFER_ENCODING) {
        return Err(length_required());
    }
    let target = request
        .uri()
        .path_and_query()
        .map_or(0, |t| t.as_str().len());
    if target > MAX_TARGET {
        let detail = format!("A request target has at most {MAX_TARGET} bytes.");
        return Err(Problem::new(TARGET_TOO_LONG, detail).close());
    }
    let size: usize = request
        .headers()
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    if size > MAX_HEAD {
        let detail = format!("A request head has at most {MAX_HEAD} bytes.");
        return Err(Problem::new(HEAD_TOO_LARGE, detail).close());
    }
    Ok(())
}

async fn run(web: &Web, request: Request, next: Next) -> Response {
    match tokio::spawn(next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let id = web.error_id();
            tracing::error!(error = id, "a handler panicked");
            Problem::internal(id).into_response()
        }
    }
}
