//! Which address leads where.

mod cases;
mod command;
mod events;
mod probes;
mod records;
pub use records::write_mark;

mod same_key;
mod versions;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

pub(crate) use same_key::SameKey;

use crate::forms;
use crate::guard::guard;
use crate::ingest::{self, Carrier};
use crate::problem::{METHOD, Problem};
use crate::state::{AppState, Web};

/// The whole of HTTP in.
pub fn router(state: AppState) -> Router {
    doors(state).0
}

/// The whole of HTTP in, and who brings mail to the same doors without HTTP, under the same limits.
pub fn doors(state: AppState) -> (Router, Carrier) {
    let web = Arc::new(Web::new(state));
    let carrier = Carrier::new(Arc::clone(&web));
    (routes(web), carrier)
}

fn routes(web: Arc<Web>) -> Router {
    Router::new()
        .route(
            "/hooks/{tenant}/{endpoint}",
            post(ingest::hook).fallback(ingest::question),
        )
        .route(
            "/forms/{tenant}/{form}",
            get(forms::show).post(forms::post).options(forms::preflight),
        )
        .route("/forms/{tenant}/{form}/sent", get(forms::sent))
        .route(
            "/follow-up/{tenant}/{case}/{token}",
            get(forms::follow_up::show).post(forms::follow_up::post),
        )
        .route("/follow-up/sent", get(forms::follow_up::sent))
        .route("/v1/events", post(events::post))
        .route(
            "/v1/records/{type}/{id}",
            get(records::read).put(records::write).patch(records::write),
        )
        .route("/v1/records/{type}/{id}/history", get(records::history))
        .route("/v1/cases", get(cases::list))
        .route("/v1/cases/{id}", get(cases::one))
        .route("/healthz", get(probes::healthz))
        .route("/readyz", get(probes::readyz))
        .route("/metrics", get(probes::metrics))
        .method_not_allowed_fallback(async || {
            Problem::new(METHOD, "The Allow header names the methods.")
        })
        .fallback(async || Problem::not_found())
        .layer(from_fn_with_state(Arc::clone(&web), guard))
        .with_state(web)
}
