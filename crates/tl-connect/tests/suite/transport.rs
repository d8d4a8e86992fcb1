//! What is known after every way a connection can end (E-05). One case is one line.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tl_connect::client::{Auth, Client, Connection, Exchange, Request};
use tl_connect::knowledge::{Answer, BodyError, Knowledge, NotSent, Sent, Unknown};

use crate::support::{Do, LOOPBACK, Raw, client, get, put, to, write};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// What is expected of a case.
#[derive(Debug, Clone, PartialEq)]
enum Expect {
    /// One of these, none of which is "not sent".
    Unknown(&'static [Unknown]),
    /// A status and a complete body of this length.
    Whole(u16, usize),
    /// A status and a broken body.
    Broken(u16, BodyError),
}

fn cases() -> Vec<(&'static str, Vec<Do>, Expect)> {
    use Do::{Close, ReadByte, ReadRequest, Reset, Stay};
    use Expect::{Broken, Unknown as Lost, Whole};
    use Unknown::{Broken as Odd, Closed, Deadline, Garbled, Reset as WasReset};
    const CUT: &[Unknown] = &[Closed, WasReset, Odd];
    const GARBLED: &[Unknown] = &[Garbled, Odd];
    let big = "x".repeat((1 << 20) + 1);
    let many: String = (0..200).map(|n| format!("x-{n}: y\r\n")).collect();
    let big_chunk = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n100001\r\n{big}\r\n0\r\n\r\n"
    );
    vec![
        ("closed before reading", vec![Close], Lost(CUT)),
        ("reset before reading", vec![Reset], Lost(CUT)),
        ("reset after one byte", vec![ReadByte, Reset], Lost(CUT)),
        ("closed after one byte", vec![ReadByte, Close], Lost(CUT)),
        (
            "reset after the request",
            vec![ReadRequest, Reset],
            Lost(CUT),
        ),
        (
            "closed after the request",
            vec![ReadRequest, Close],
            Lost(CUT),
        ),
        ("silence before reading", vec![Stay], Lost(&[Deadline])),
        (
            "silence after the request",
            vec![ReadRequest, Stay],
            Lost(&[Deadline]),
        ),
        (
            "one byte of the answer",
            vec![ReadRequest, write("H"), Close],
            Lost(CUT),
        ),
        (
            "half a status line, then closed",
            vec![ReadRequest, write("HTTP/1.1 20"), Close],
            Lost(CUT),
        ),
        (
            "half a status line, then reset",
            vec![ReadRequest, write("HTTP/1.1 20"), Reset],
            Lost(CUT),
        ),
        (
            "half a status line, then silence",
            vec![ReadRequest, write("HTTP/1.1 20"), Stay],
            Lost(&[Deadline]),
        ),
        (
            "status line without headers' end",
            vec![ReadRequest, write("HTTP/1.1 200 OK\r\n"), Close],
            Lost(CUT),
        ),
        (
            "headers without their end",
            vec![ReadRequest, write("HTTP/1.1 200 OK\r\na: b\r\n"), Stay],
            Lost(&[Deadline]),
        ),
        (
            "garbage",
            vec![ReadRequest, write("\u{1}\u{2}\u{3}garbage\r\n\r\n"), Close],
            Lost(GARBLED),
        ),
        (
            "another protocol",
            vec![ReadRequest, write("220 mail.example ESMTP\r\n\r\n"), Close],
            Lost(GARBLED),
        ),
        (
            "a TLS alert",
            vec![ReadRequest, Do::Write(vec![21, 3, 3, 0, 2, 2, 40]), Close],
            Lost(&[Garbled, Closed, Odd]),
        ),
        (
            "a status of letters",
            vec![ReadRequest, write("HTTP/1.1 abc OK\r\n\r\n"), Close],
            Lost(GARBLED),
        ),
        (
            "a status of two digits",
            vec![ReadRequest, write("HTTP/1.1 20 OK\r\n\r\n"), Close],
            Lost(GARBLED),
        ),
        (
            "version 3",
            vec![ReadRequest, write("HTTP/3.0 200 OK\r\n\r\n"), Close],
            Lost(GARBLED),
        ),
        (
            "an HTML page without a head",
            vec![ReadRequest, write("<html></html>\r\n\r\n"), Close],
            Lost(GARBLED),
        ),
        (
            "a header without a colon",
            vec![
                ReadRequest,
                write("HTTP/1.1 200 OK\r\nbroken\r\n\r\n"),
                Close,
            ],
            Lost(GARBLED),
        ),
        (
            "two lengths",
            vec![
                ReadRequest,
                write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok"),
                Close,
            ],
            Lost(GARBLED),
        ),
        (
            "a negative length",
            vec![
                ReadRequest,
                write("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n"),
                Close,
            ],
            Lost(GARBLED),
        ),
        (
            "too many headers",
            vec![
                ReadRequest,
                Do::Write(format!("HTTP/1.1 200 OK\r\n{many}\r\n").into_bytes()),
                Close,
            ],
            Lost(GARBLED),
        ),
        (
            "only 100 Continue",
            vec![ReadRequest, write("HTTP/1.1 100 Continue\r\n\r\n"), Close],
            Lost(CUT),
        ),
        (
            "100 Continue, then silence",
            vec![ReadRequest, write("HTTP/1.1 100 Continue\r\n\r\n"), Stay],
            Lost(&[Deadline]),
        ),
        (
            "100 Continue, then an answer",
            vec![
                ReadRequest,
                write("HTTP/1.1 100 Continue\r\n\r\n"),
                write(OK),
                Stay,
            ],
            Whole(200, 2),
        ),
        (
            "early hints, then reset",
            vec![
                ReadRequest,
                write("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"),
                Reset,
            ],
            Lost(CUT),
        ),
        (
            "an answer",
            vec![ReadRequest, write(OK), Stay],
            Whole(200, 2),
        ),
        (
            "an answer before the request was read",
            vec![ReadByte, write(OK), Stay],
            Whole(200, 2),
        ),
        (
            "an answer without length",
            vec![ReadRequest, write("HTTP/1.1 200 OK\r\n\r\nall"), Close],
            Whole(200, 3),
        ),
        (
            "204",
            vec![ReadRequest, write("HTTP/1.1 204 No Content\r\n\r\n"), Stay],
            Whole(204, 0),
        ),
        (
            "502 of a proxy",
            vec![
                ReadRequest,
                write("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n"),
                Close,
            ],
            Whole(502, 0),
        ),
        (
            "504 of a proxy",
            vec![
                ReadRequest,
                write("HTTP/1.1 504 Gateway Timeout\r\ncontent-length: 0\r\n\r\n"),
                Close,
            ],
            Whole(504, 0),
        ),
        (
            "a status beyond 599",
            vec![
                ReadRequest,
                write("HTTP/1.1 799 Odd\r\ncontent-length: 0\r\n\r\n"),
                Stay,
            ],
            Whole(799, 0),
        ),
        (
            "half a body, then closed",
            vec![
                ReadRequest,
                write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"),
                Close,
            ],
            Broken(200, BodyError::Cut),
        ),
        (
            "half a body, then reset",
            vec![
                ReadRequest,
                write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"),
                Reset,
            ],
            Broken(200, BodyError::Cut),
        ),
        (
            "half a body, then silence",
            vec![
                ReadRequest,
                write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"),
                Stay,
            ],
            Broken(200, BodyError::Slow),
        ),
        (
            "no body, then closed",
            vec![
                ReadRequest,
                write("HTTP/1.1 201 Created\r\ncontent-length: 9\r\n\r\n"),
                Close,
            ],
            Broken(201, BodyError::Cut),
        ),
        (
            "half a chunk",
            vec![
                ReadRequest,
                write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nha"),
                Close,
            ],
            Broken(200, BodyError::Cut),
        ),
        (
            "chunks without the last",
            vec![
                ReadRequest,
                write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nha\r\n"),
                Close,
            ],
            Broken(200, BodyError::Cut),
        ),
        (
            "a chunk with a broken length",
            vec![
                ReadRequest,
                write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nha\r\n"),
                Close,
            ],
            Broken(200, BodyError::Cut),
        ),
        (
            "a length beyond the limit",
            vec![
                ReadRequest,
                write("HTTP/1.1 200 OK\r\ncontent-length: 1048577\r\n\r\n"),
                Stay,
            ],
            Broken(200, BodyError::TooLarge),
        ),
        (
            "chunks beyond the limit",
            vec![ReadRequest, Do::Write(big_chunk.into_bytes()), Stay],
            Broken(200, BodyError::TooLarge),
        ),
        (
            "a status alone decides: 422 with half a body",
            vec![
                ReadRequest,
                write("HTTP/1.1 422 No\r\ncontent-length: 9\r\n\r\nno"),
                Close,
            ],
            Broken(422, BodyError::Cut),
        ),
        (
            "a switch of protocols nobody asked for",
            vec![
                ReadRequest,
                write(
                    "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
                ),
                Stay,
            ],
            Whole(101, 0),
        ),
    ]
}

fn matches(knowledge: &Knowledge, expect: &Expect) -> bool {
    match (knowledge, expect) {
        (Knowledge::Unknown(why), Expect::Unknown(expected)) => expected.contains(why),
        (Knowledge::Answered(a), Expect::Whole(status, length)) => {
            a.status == *status && a.body.as_ref().is_ok_and(|b| b.len() == *length)
        }
        (Knowledge::Answered(a), Expect::Broken(status, why)) => {
            a.status == *status && a.body == Err(*why)
        }
        _ => false,
    }
}

#[tokio::test]
async fn every_end_of_a_connection_is_known_for_what_it_is() {
    let client = client();
    let cases = cases();
    assert!(cases.len() >= 40);
    let mut runs = tokio::task::JoinSet::new();
    for (name, play, expect) in cases {
        let client = client.clone();
        runs.spawn(async move {
            let server = Raw::start(vec![play]).await;
            let mut request = put("/record");
            if matches!(
                expect,
                Expect::Unknown([Unknown::Deadline]) | Expect::Broken(_, BodyError::Slow)
            ) {
                request.deadline = Duration::from_secs(2);
            }
            let sent = client.send(&to(&server.base()), request).await;
            assert!(
                !matches!(sent.knowledge, Knowledge::NotSent(_)),
                "{name}: {:?}",
                sent.knowledge
            );
            assert!(
                matches(&sent.knowledge, &expect),
                "{name}: {:?}, expected {expect:?}",
                sent.knowledge
            );
            assert!(server.count("PUT /record") <= 1, "{name}: sent twice");
            assert_eq!(
                *server.connections.lock().expect("a lock"),
                1,
                "{name}: connected twice"
            );
        });
    }
    while let Some(run) = runs.join_next().await {
        run.expect("a case");
    }
}

#[tokio::test]
async fn what_never_connected_was_not_sent() {
    // Bound but not listening: the port refuses, and nobody else gets it meanwhile.
    let reserved = tokio::net::TcpSocket::new_v4().expect("a socket");
    reserved.bind(LOOPBACK).expect("a port");
    let unused = reserved.local_addr().expect("an address");
    let plain = Raw::start(vec![vec![
        write("HTTP/1.1 400 Bad\r\ncontent-length: 0\r\n\r\n"),
        Do::Close,
    ]])
    .await;
    let closing = Raw::start(vec![vec![Do::ReadByte, Do::Close]]).await;
    let resetting = Raw::start(vec![vec![Do::ReadByte, Do::Reset]]).await;
    let silent = Raw::start(vec![vec![Do::Stay]]).await;
    let cases = [
        (
            "refused",
            format!("http://{unused}"),
            vec![NotSent::Refused],
        ),
        (
            "no such name",
            format!("http://{}.test", "a".repeat(64)),
            vec![NotSent::Dns],
        ),
        (
            "plain text on the TLS port",
            format!("https://{}", plain.addr),
            vec![NotSent::Tls],
        ),
        (
            "closed in the handshake",
            format!("https://{}", closing.addr),
            vec![NotSent::Tls, NotSent::Unreachable],
        ),
        (
            "reset in the handshake",
            format!("https://{}", resetting.addr),
            vec![NotSent::Tls, NotSent::Unreachable],
        ),
        (
            "silence in the handshake",
            format!("https://{}", silent.addr),
            vec![NotSent::ConnectTimeout],
        ),
    ];
    let client = client();
    for (name, base, expected) in cases {
        let sent = client.send(&to(&base), put("/record")).await;
        match sent.knowledge {
            Knowledge::NotSent(why) => assert!(expected.contains(&why), "{name}: {why:?}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn headers_come_back_as_they_are() {
    let answer = "HTTP/1.1 200 OK\r\nETag: W/\"a b'c\"\r\nRetry-After: 5\r\nX-RateLimit-Remaining: 3\r\n\
                  Set-Cookie: secret=1\r\ncontent-length: 0\r\n\r\n";
    let server = Raw::start(vec![vec![Do::ReadRequest, write(answer), Do::Stay]]).await;
    let sent = client().send(&to(&server.base()), get("/x?a=b%20c")).await;
    let Knowledge::Answered(answer) = sent.knowledge else {
        panic!("{:?}", sent.knowledge);
    };
    assert_eq!(answer.header("etag"), Some("W/\"a b'c\""));
    assert_eq!(answer.header("retry-after"), Some("5"));
    assert_eq!(answer.header("x-ratelimit-remaining"), Some("3"));
    assert_eq!(answer.header("set-cookie"), None);
    assert_eq!(server.count("GET /x?a=b%20c HTTP/1.1\r\n"), 1);
}

#[tokio::test]
async fn nothing_leaves_a_client_that_may_not_send() {
    let server = Raw::start(vec![vec![Do::ReadRequest, write(OK), Do::Close]]).await;
    let may = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&may);
    let client = client().while_allowed(move || asked.load(Ordering::SeqCst));
    let held_back = client.send(&to(&server.base()), put("/record")).await;
    assert_eq!(held_back.knowledge, Knowledge::NotSent(NotSent::Lease));
    may.store(true, Ordering::SeqCst);
    let sent = client.send(&to(&server.base()), put("/record")).await;
    assert!(matches!(sent.knowledge, Knowledge::Answered(_)));
    assert_eq!(server.count("PUT /record"), 1);
}

/// Answers everything with a date.
#[derive(Debug)]
struct Dated(Option<&'static str>);

impl Exchange for Dated {
    fn exchange(&self, _: &Connection, _: Request) -> Pin<Box<dyn Future<Output = Sent> + Send>> {
        let date = self.0.map(|d| ("date".to_owned(), d.to_owned()));
        let answer = Answer {
            status: 503,
            headers: date.into_iter().collect(),
            body: Ok(Vec::new()),
        };
        Box::pin(async {
            Sent {
                knowledge: Knowledge::Answered(answer),
                took: Duration::ZERO,
                body_bytes: 0,
            }
        })
    }
}

/// The time of a system in the own network is nobody else's word.
#[tokio::test]
async fn the_dates_of_answers_from_outside_are_told() {
    let date = "Sun, 22 Nov 2026 12:00:00 GMT";
    let told = ("crm.example".to_owned(), 1_795_348_800_000_000);
    let table = [
        ("https://crm.example/v1", false, Some(date), Some(told)),
        ("https://crm.example/v1", true, Some(date), None),
        ("https://crm.example/v1", false, Some("yesterday"), None),
        ("https://crm.example/v1", false, None, None),
    ];
    for (base, private, date, want) in table {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ears = Arc::clone(&heard);
        let client = Client::over(Arc::new(Dated(date)))
            .telling(move |host, at| ears.lock().unwrap().push((host.to_owned(), at)));
        let connection = Connection::new("crm", base, &Auth::None, private).unwrap();
        client.send(&connection, get("/x")).await;
        let heard = heard.lock().unwrap();
        assert_eq!(
            heard.as_slice(),
            want.as_slice(),
            "{date:?}, private: {private}"
        );
    }
}
