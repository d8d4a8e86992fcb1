//! Connections: how many, how long for a head, and how they end.
//!
//! HTTP/1.1 alone: what stands in front of us speaks it, and its head has a deadline from the first byte on.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::limits::{ACCEPT_PAUSE, LINGER, MAX_HEADER_LINES, MAX_LINGER, MAX_READ_BUFFER};
use crate::state::WebConfig;

/// Serves until `shutdown`; then takes no new connection, lets open requests finish for the grace of the
/// configuration, and returns.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: CancellationToken,
    config: &WebConfig,
) -> io::Result<()> {
    let room = Arc::new(Semaphore::new(config.max_connections));
    let open = TaskTracker::new();
    let abort = CancellationToken::new();
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(config.head_deadline)
        .max_headers(MAX_HEADER_LINES)
        .max_buf_size(MAX_READ_BUFFER)
        .half_close(true);
    loop {
        let next = async {
            let permit = Arc::clone(&room).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            next = next => next,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(e) => {
                // A connection that ended before it was accepted, or no descriptor left: others may close.
                tracing::warn!("no connection could be accepted: {e}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (builder, router) = (builder.clone(), router.clone());
        let (shutdown, abort) = (shutdown.clone(), abort.clone());
        open.spawn(async move {
            let _permit = permit;
            tokio::select! {
                () = abort.cancelled() => {}
                () = connection(&builder, stream, router, shutdown) => {}
            }
        });
    }
    drop(listener);
    open.close();
    if tokio::time::timeout(config.drain_grace, open.wait())
        .await
        .is_err()
    {
        abort.cancel();
        open.wait().await;
    }
    Ok(())
}

type Answering = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

async fn connection(
    builder: &http1::Builder,
    stream: TcpStream,
    router: Router,
    shutdown: CancellationToken,
) {
    let answer = move |request: Request<Incoming>| -> Answering {
        let router = router.clone();
        Box::pin(async move { router.oneshot(request.map(Body::new)).await })
    };
    // Answers are small and complete; waiting to fill a packet would only delay them.
    let _ = stream.set_nodelay(true);
    let mut connection = builder.serve_connection(TokioIo::new(stream), service_fn(answer));
    let mut stopping = false;
    loop {
        tokio::select! {
            // What went wrong on the wire is the sender's affair; what we answered is counted.
            _ = poll_fn(|cx| connection.poll_without_shutdown(cx)) => break,
            () = shutdown.cancelled(), if !stopping => {
                stopping = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
        }
    }
    linger(connection.into_parts().io.into_inner()).await;
}

/// Closes our half and reads what the sender still sends, for a moment: with unread bytes the kernel would
/// reset the connection and the answer could be lost.
async fn linger(mut stream: TcpStream) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let mut rest = [0; 8 * 1024];
    let drain = async {
        let mut taken = 0;
        while taken < MAX_LINGER {
            match stream.read(&mut rest).await {
                Ok(n) if n > 0 => taken += n,
                _ => break,
            }
        }
    };
    // Whoever goes on sending has had time to see the answer.
    let _ = tokio::time::timeout(LINGER, drain).await;
}
