//! A server with two tenants, and a client that writes raw bytes.

mod client;
mod world;

pub use client::{Answer, Req, exchange, read_answer, token, token_of};
pub use world::{
    EVENTS_KEY, EXPIRED_KEY, FORMER, ISSUER, NOW, OTHER_KEY, READ_KEY, SECOND, SECRET, SOON,
    WEBSITE, WRITE_KEY, World, api_key,
};

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tl_store::{Options, Store};
use tl_web::metrics::Metrics;
use tl_web::{AppState, Carrier, WebConfig, doors, serve};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A running server.
pub struct Server {
    pub address: SocketAddr,
    pub world: Arc<World>,
    /// Brings mail to the same doors.
    pub carrier: Carrier,
    pub shutdown: CancellationToken,
    pub done: JoinHandle<()>,
    _directory: tempfile::TempDir,
}

/// A server with the default configuration.
pub async fn server() -> Server {
    server_with(WebConfig::default()).await
}

/// A server with this configuration.
pub async fn server_with(config: WebConfig) -> Server {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.db");
    let options = Options {
        writer_cache_kib: 1024,
        reader_cache_kib: 1024,
        ..Options::default()
    };
    let store = tokio::task::spawn_blocking(move || Store::open(&path, &options).unwrap())
        .await
        .unwrap();
    let world = Arc::new(World::new(store.clone()).await);
    let state = AppState {
        intake: Arc::clone(&world) as Arc<dyn tl_web::intake::Intake>,
        store,
        config: config.clone(),
        metrics: Arc::new(Metrics::default()),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let token = shutdown.clone();
    let (routes, carrier) = doors(state);
    let done = tokio::spawn(async move { serve(listener, routes, token, &config).await.unwrap() });
    Server {
        address,
        world,
        carrier,
        shutdown,
        done,
        _directory: directory,
    }
}

impl Server {
    /// Sends a request on a connection of its own.
    pub async fn send(&self, request: Req) -> Answer {
        self.raw(&request.bytes()).await
    }

    /// Sends these bytes on a connection of their own; the answer must come.
    pub async fn raw(&self, bytes: &[u8]) -> Answer {
        exchange(self.address, bytes).await.expect("an answer")
    }

    /// How many messages the store holds.
    pub async fn stored(&self) -> u64 {
        self.world.store.stats(NOW).await.unwrap().events
    }
}

/// A configuration in which a body has this long.
pub fn body_deadline(millis: u64) -> WebConfig {
    WebConfig {
        body_deadline: Duration::from_millis(millis),
        ..WebConfig::default()
    }
}
