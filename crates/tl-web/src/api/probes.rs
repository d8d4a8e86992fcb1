//! What a load balancer and a metrics collector ask.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};

use crate::answer;
use crate::guard::RequestId;
use crate::limits::RETRY_LEAST;
use crate::metrics::Writer;
use crate::problem::Problem;
use crate::state::{Web, unavailable};

/// The process answers.
pub(crate) async fn healthz() -> Response {
    answer::json(StatusCode::OK, br#"{"status":"ok"}"#.to_vec())
}

/// Messages can be taken, and for some time: not about to end, not draining, not overloaded, and the store answers.
pub(crate) async fn readyz(
    State(web): State<Arc<Web>>,
    Extension(RequestId(id)): Extension<RequestId>,
) -> Result<Response, Problem> {
    if web.intake.leaving() {
        return Err(unavailable("leaving", RETRY_LEAST, id));
    }
    if let Some((class, seconds)) = web.intake.overloaded() {
        return Err(unavailable(class, seconds, id));
    }
    web.ask(web.store.next_due(), id).await?;
    Ok(answer::json(
        StatusCode::OK,
        br#"{"status":"ready"}"#.to_vec(),
    ))
}

/// All series as OpenMetrics text. What the store counts is read now; where it cannot, its series are absent.
pub(crate) async fn metrics(
    State(web): State<Arc<Web>>,
    Extension(RequestId(id)): Extension<RequestId>,
) -> Response {
    let stats = web.ask(web.store.stats(web.intake.now()), id).await.ok();
    let writer = Writer {
        groups: web.store.committed_group(),
        waits: web.store.queue_age(),
        clock_ahead: web.intake.clock_ahead(),
    };
    let mut response = Response::new(Body::from(web.metrics.text(stats.as_ref(), writer)));
    let kind =
        HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
