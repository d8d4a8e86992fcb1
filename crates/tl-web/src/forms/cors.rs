//! Websites that may post to a form from their own pages, and no other.

use axum::response::Response;
use http::{HeaderMap, HeaderValue, header};

/// The website that a request comes from, where it is on the list. A browser sets the header, and nobody else has to:
/// it says which page it was, never who the person is.
pub(crate) fn listed<'h>(origins: &[String], headers: &'h HeaderMap) -> Option<&'h HeaderValue> {
    let mut all = headers.get_all(header::ORIGIN).iter();
    let origin = all.next().filter(|_| all.next().is_none())?;
    let text = origin.to_str().ok()?;
    let listed = origins.iter().any(|o| o.eq_ignore_ascii_case(text));
    listed.then_some(origin)
}

/// Lets the page of a listed website read an answer. Caches keep the answers of two websites apart.
pub(crate) fn readable_by(origin: Option<&HeaderValue>, mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        let seen = HeaderValue::from_static("idempotency-replayed, retry-after");
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, seen);
    }
    response
}

/// What a browser is told that asks before it posts.
pub(crate) fn permit(response: &mut Response) {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "POST"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "content-type, idempotency-key",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
