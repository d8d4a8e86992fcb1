//! The front door of the demo's CRM. The CRM itself is the record store of the running server, reached over its
//! HTTP API; this door can be shut for a while, and counts what passes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Largest answer that is passed on, bytes.
const MAX_BODY: usize = 1024 * 1024;

/// An outage is over after so many requests met it: the twentieth failure in a row would open the breaker, and a
/// demo that waits for it to close again shows nothing more.
const MOST_TURNED_AWAY: u64 = 12;

/// A running front door.
#[derive(Debug, Clone)]
pub struct CrmFront {
    /// Where it listens.
    pub addr: SocketAddr,
    state: Arc<Front>,
}

#[derive(Debug)]
struct Front {
    /// Where the CRM is; set once the server listens.
    backend: OnceLock<String>,
    http: reqwest::Client,
    shut: AtomicBool,
    turned_away: AtomicU64,
    conflicts: AtomicU64,
}

impl CrmFront {
    /// Opens the door at a port of loopback; 0 takes any free one.
    pub async fn start(port: u16, stop: CancellationToken) -> anyhow::Result<CrmFront> {
        let listener = listen(port).await?;
        let addr = listener.local_addr()?;
        let state = Arc::new(Front {
            backend: OnceLock::new(),
            http: reqwest::Client::builder().no_proxy().build()?,
            shut: AtomicBool::new(false),
            turned_away: AtomicU64::new(0),
            conflicts: AtomicU64::new(0),
        });
        let app = Router::new().fallback(pass).with_state(Arc::clone(&state));
        tokio::spawn(async move {
            let served = axum::serve(listener, app)
                .with_graceful_shutdown(async move { stop.cancelled().await });
            if let Err(e) = served.await {
                tracing::warn!(error = %e, "the demo's CRM");
            }
        });
        Ok(CrmFront { addr, state })
    }

    /// Says where the CRM is.
    pub fn leads_to(&self, backend: String) {
        // A second call would name the same server.
        let _ = self.state.backend.set(backend);
    }

    /// Shuts the door (503), or opens it.
    pub fn shut(&self, shut: bool) {
        self.state.shut.store(shut, Ordering::Relaxed);
    }

    /// The door is shut.
    pub fn is_shut(&self) -> bool {
        self.state.shut.load(Ordering::Relaxed) && self.turned_away() < MOST_TURNED_AWAY
    }

    /// Requests that met a shut door.
    pub fn turned_away(&self) -> u64 {
        self.state.turned_away.load(Ordering::Relaxed)
    }

    /// Writes that met a newer version (412).
    pub fn conflicts(&self) -> u64 {
        self.state.conflicts.load(Ordering::Relaxed)
    }
}

/// Port 0: one below those that the system gives to outgoing connections, so that a demo that goes on finds its
/// port free again.
async fn listen(port: u16) -> std::io::Result<TcpListener> {
    if port != 0 {
        return TcpListener::bind(("127.0.0.1", port)).await;
    }
    let first = 20_000 + (std::process::id() % 10_000) as u16;
    for port in first..first + 200 {
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)).await {
            return Ok(listener);
        }
    }
    TcpListener::bind(("127.0.0.1", 0)).await
}

impl Front {
    /// Turns a request away, where the door is shut.
    fn turns_away(&self) -> bool {
        let one_more = |n| (n < MOST_TURNED_AWAY).then_some(n + 1);
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        self.shut.load(Ordering::Relaxed)
            && self.turned_away.fetch_update(set, fetch, one_more).is_ok()
    }
}

async fn pass(State(front): State<Arc<Front>>, request: Request) -> Response {
    let backend = front.backend.get().filter(|_| !front.turns_away());
    let Some(backend) = backend else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let (parts, body) = request.into_parts();
    let path = parts
        .uri
        .path_and_query()
        .map_or("/", |p| p.as_str())
        .to_owned();
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let mut onward = front
        .http
        .request(parts.method, format!("{backend}{path}"))
        .body(body);
    for (name, value) in &parts.headers {
        if name != "host" && name != "content-length" {
            onward = onward.header(name, value);
        }
    }
    let answer = match onward.send().await {
        Ok(answer) => answer,
        Err(_) => return StatusCode::BAD_GATEWAY.into_response(),
    };
    let status = answer.status();
    if status == StatusCode::PRECONDITION_FAILED {
        front.conflicts.fetch_add(1, Ordering::Relaxed);
    }
    let mut response = Response::builder().status(status);
    for (name, value) in answer.headers() {
        if name != "transfer-encoding" && name != "content-length" && name != "connection" {
            response = response.header(name, value);
        }
    }
    match answer.bytes().await {
        Ok(bytes) => response
            .body(Body::from(bytes))
            .unwrap_or_else(|_| StatusCode::BAD_GATEWAY.into_response()),
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}
