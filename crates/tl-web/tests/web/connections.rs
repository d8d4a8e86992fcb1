//! Connections: reuse, slow heads, hanging up, the order to stop.

use std::sync::Arc;
use std::time::Duration;

use tl_web::WebConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Req, read_answer, server, server_with};

fn post(n: u32) -> Req {
    Req::post("/hooks/acme/plain", format!("{{\"n\":{n}}}")).signed()
}

#[tokio::test]
async fn a_connection_is_used_again_and_requests_may_follow_at_once() {
    let server = server().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    for n in 0..3 {
        stream.write_all(&post(n).bytes()).await.unwrap();
        assert_eq!(read_answer(&mut stream).await.unwrap().status, 202);
    }
    let refused = post(9).without("x-signature");
    stream.write_all(&refused.bytes()).await.unwrap();
    assert_eq!(
        read_answer(&mut stream).await.unwrap().status,
        401,
        "a refusal keeps the connection"
    );
    stream.write_all(&post(10).bytes()).await.unwrap();
    assert_eq!(read_answer(&mut stream).await.unwrap().status, 202);
}

#[tokio::test]
async fn a_slow_or_silent_head_ends_the_connection() {
    let config = WebConfig {
        head_deadline: Duration::from_millis(50),
        ..WebConfig::default()
    };
    let server = server_with(config).await;
    let table: [&[u8]; 3] = [
        b"",
        b"POST /hooks/acme/pl",
        b"POST /hooks/acme/plain HTTP/1.1\r\nhost: a\r\n",
    ];
    for head in table {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(head).await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        let text = String::from_utf8_lossy(&rest).into_owned();
        assert!(text.is_empty() || text.contains(" 408 "), "{text}");
    }
    assert_eq!(server.send(post(1)).await.status, 202);
}

#[tokio::test]
async fn the_answer_to_a_body_that_is_too_large_arrives() {
    let server = server().await;
    let body = format!(r#"{{"x":"{}"}}"#, "x".repeat(900_000));
    for _ in 0..5 {
        let answer = server
            .send(Req::post("/hooks/acme/plain", body.clone()).signed())
            .await;
        assert_eq!((answer.status, answer.closes), (413, true));
    }
}

#[tokio::test]
async fn a_sender_who_waits_for_leave_is_told_to_go_on_or_not() {
    let server = server().await;
    let table = [
        (post(1), 100, 202),
        (Req::post("/hooks/acme/nothing", "{}"), 404, 0),
    ];
    for (request, first, then) in table {
        let bytes = request.header("expect", "100-continue").bytes();
        let head = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(&bytes[..head]).await.unwrap();
        assert_eq!(read_answer(&mut stream).await.unwrap().status, first);
        if then > 0 {
            stream.write_all(&bytes[head..]).await.unwrap();
            assert_eq!(read_answer(&mut stream).await.unwrap().status, then);
        }
    }
}

/// The sender hangs up while the commit is under way: the message is stored all the same, and its retry is a
/// duplicate.
#[tokio::test]
async fn hanging_up_does_not_stop_a_commit() {
    let server = server().await;
    server.world.gate.forget_permits(1_000);
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(&post(1).bytes()).await.unwrap();
    while server.world.begun() == 0 {
        tokio::task::yield_now().await;
    }
    drop(stream);
    server.world.gate.add_permits(10);
    let again = server.send(post(1)).await;
    assert_eq!((again.status, server.stored().await), (200, 1));
}

#[tokio::test]
async fn the_order_to_stop_lets_open_requests_finish() {
    let server = Arc::new(server().await);
    server.world.gate.forget_permits(1_000);
    let held = Arc::clone(&server);
    let open = tokio::spawn(async move { held.send(post(1)).await });
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    while server.world.begun() == 0 {
        tokio::task::yield_now().await;
    }
    server.shutdown.cancel();
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty(), "an idle connection ends at once");
    server.world.gate.add_permits(10);
    let answer = open.await.unwrap();
    assert_eq!((answer.status, answer.closes), (202, true));
    while !server.done.is_finished() {
        tokio::task::yield_now().await;
    }
    assert!(
        TcpStream::connect(server.address).await.is_err(),
        "nobody listens any more"
    );
}

#[tokio::test]
async fn connections_are_bounded_and_the_next_one_waits_its_turn() {
    let config = WebConfig {
        max_connections: 1,
        ..WebConfig::default()
    };
    let server = Arc::new(server_with(config).await);
    let mut first = TcpStream::connect(server.address).await.unwrap();
    first.write_all(&post(1).bytes()).await.unwrap();
    assert_eq!(read_answer(&mut first).await.unwrap().status, 202);
    let held = Arc::clone(&server);
    let second = tokio::spawn(async move { held.send(post(2)).await.status });
    first.write_all(&post(3).bytes()).await.unwrap();
    assert_eq!(read_answer(&mut first).await.unwrap().status, 202);
    assert!(!second.is_finished(), "it waits while the first is open");
    drop(first);
    assert_eq!(second.await.unwrap(), 202);
}
