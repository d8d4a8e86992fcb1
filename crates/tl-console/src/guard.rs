//! Around every page: who may post, what a browser may load, and a page instead of a torn connection.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use crate::trouble::Trouble;

/// Longest request head that a page takes, bytes.
const MAX_HEAD: usize = 16 * 1024;

/// Nothing from elsewhere, no script and no style in a page, no page of ours in another.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The middleware.
pub(crate) async fn guard(request: Request, next: Next) -> Response {
    let begun = match may_pass(&request) {
        Ok(()) => tokio::spawn(next.run(request)).await,
        Err(trouble) => Ok(trouble.into_response()),
    };
    let mut response = begun.unwrap_or_else(|_| {
        tracing::error!("a page could not be made: its handler panicked");
        let said = "An error of ours. Nothing was changed; the server's log has more.";
        Trouble::unavailable(said).into_response()
    });
    let headers = response.headers_mut();
    let fixed: [(HeaderName, &'static str); 7] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::CACHE_CONTROL, "no-store"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in fixed {
        // A handler that is stricter about its own kind of answer stays so.
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    response
}

fn may_pass(request: &Request) -> Result<(), Trouble> {
    let headers = request.headers();
    let size: usize = headers
        .iter()
        .map(|(n, v)| n.as_str().len() + v.len() + 4)
        .sum();
    if size > MAX_HEAD || headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(Trouble::malformed(
            "The request is larger than a browser's, or comes in pieces.",
        ));
    }
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    if changes && !from_our_page(headers) {
        return Err(Trouble::forbidden(
            "The request does not come from a page of this console. Nothing was changed: go back to the page and \
             try again.",
        ));
    }
    Ok(())
}

/// Whether a change was asked for by a page of ours: browsers say so, and where an old one does not, the origin that
/// it names is the host that it asks.
fn from_our_page(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|v| v.to_str().ok());
    match text(HeaderName::from_static("sec-fetch-site")) {
        Some(site) => site == "same-origin",
        None => {
            let origin = text(header::ORIGIN).and_then(|o| o.split_once("://"));
            let host = text(header::HOST);
            origin.is_some_and(|(_, authority)| Some(authority) == host)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_comes_from_a_page_of_ours() {
        let table = [
            (&[("sec-fetch-site", "same-origin")][..], true),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("origin", "http://a:1"), ("host", "a:1")], true),
            (&[("origin", "http://b:1"), ("host", "a:1")], false),
            (&[("origin", "null"), ("host", "a:1")], false),
            (&[("host", "a:1")], false),
            (
                &[
                    ("sec-fetch-site", "cross-site"),
                    ("origin", "http://a"),
                    ("host", "a"),
                ],
                false,
            ),
        ];
        for (given, want) in table {
            let mut headers = HeaderMap::new();
            for (name, value) in given {
                headers.insert(*name, HeaderValue::from_static(value));
            }
            assert_eq!(from_our_page(&headers), want, "{given:?}");
        }
    }
}
