//! No hidden second request, no redirect followed, no credential at another host (E-06, S-14).

use http::Method;
use tl_connect::client::{Auth, Connection, Request, Secret};
use tl_connect::knowledge::{Knowledge, NotSent};

use crate::support::{Do, Raw, client, get, put, to, write};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

#[tokio::test]
async fn a_connection_that_dies_in_the_pool_hides_no_second_request() {
    let ends = [Do::Close, Do::Reset];
    for end in ends {
        // The first request is answered and the connection kept; the second one meets its end.
        let dying = vec![Do::ReadRequest, write(OK), Do::ReadRequest, end.clone()];
        let healthy = vec![Do::ReadRequest, write(OK), Do::Stay];
        let server = Raw::start(vec![dying, healthy]).await;
        let (client, connection) = (client(), to(&server.base()));
        let first = client.send(&connection, put("/one")).await;
        assert!(matches!(first.knowledge, Knowledge::Answered(_)));
        let second = client.send(&connection, put("/two")).await;
        assert!(
            matches!(second.knowledge, Knowledge::Unknown(_)),
            "{end:?}: {:?}",
            second.knowledge
        );
        assert_eq!(server.count("PUT /two"), 1, "{end:?}");
    }
}

#[tokio::test]
async fn connections_are_kept() {
    let twice = vec![
        Do::ReadRequest,
        write(OK),
        Do::ReadRequest,
        write(OK),
        Do::Stay,
    ];
    let server = Raw::start(vec![twice]).await;
    let (client, connection) = (client(), to(&server.base()));
    for path in ["/one", "/two"] {
        let sent = client.send(&connection, put(path)).await;
        assert!(matches!(sent.knowledge, Knowledge::Answered(_)), "{path}");
    }
    assert_eq!(*server.connections.lock().expect("a lock"), 1);
}

#[tokio::test]
async fn no_status_makes_the_client_send_again() {
    for status in [
        301, 302, 303, 307, 308, 401, 408, 421, 425, 429, 500, 502, 503, 504,
    ] {
        let other = Raw::start(vec![vec![Do::ReadRequest, write(OK), Do::Stay]]).await;
        let answer = format!(
            "HTTP/1.1 {status} X\r\nlocation: {}/stolen\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n",
            other.base()
        );
        let server = Raw::start(vec![vec![Do::ReadRequest, write(&answer), Do::Stay]]).await;
        for method in [Method::POST, Method::PUT, Method::GET] {
            let request = Request {
                method,
                ..put("/here")
            };
            let auth = Auth::Bearer(Secret::new("token-of-here"));
            let connection =
                Connection::new("c", &server.base(), &auth, true).expect("a connection");
            let server_before = server.count("/here HTTP/1.1");
            let sent = client().send(&connection, request).await;
            assert!(
                matches!(&sent.knowledge, Knowledge::Answered(a) if a.status == status),
                "{status}"
            );
            assert_eq!(
                server.count("/here HTTP/1.1"),
                server_before + 1,
                "{status}"
            );
        }
        assert_eq!(
            *other.connections.lock().expect("a lock"),
            0,
            "{status} was followed"
        );
    }
}

#[tokio::test]
async fn the_credential_goes_to_its_host_and_into_no_log() {
    let cases = [
        (
            Auth::Bearer(Secret::new("s3cr3t")),
            "authorization: Bearer s3cr3t\r\n",
        ),
        (
            Auth::Basic {
                user: "AC1".into(),
                password: Secret::new("s3cr3t"),
            },
            "authorization: Basic QUMxOnMzY3IzdA==\r\n",
        ),
        (
            Auth::Header {
                name: "x-api-key".into(),
                value: Secret::new("s3cr3t"),
            },
            "x-api-key: s3cr3t\r\n",
        ),
    ];
    for (auth, header) in cases {
        let server = Raw::start(vec![vec![Do::ReadRequest, write(OK), Do::Stay]]).await;
        let connection = Connection::new("c", &server.base(), &auth, true).expect("a connection");
        client().send(&connection, get("/x")).await;
        assert_eq!(server.count(header), 1, "{header:?}");
        assert!(
            !format!("{connection:?} {auth:?}").contains("s3cr3t"),
            "{connection:?}"
        );
        // A user name may be shown, what proves it may not, however it is encoded.
        assert!(!format!("{connection:?}").contains("QUMxOnMzY3IzdA"));
    }
}

#[tokio::test]
async fn headers_that_are_the_clients_own_are_refused() {
    let server = Raw::start(vec![vec![Do::ReadRequest, write(OK), Do::Stay]]).await;
    let table = [
        ("Authorization", "x"),
        ("Host", "other.example"),
        ("Content-Length", "0"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "close"),
        ("Cookie", "a=b"),
        ("Expect", "100-continue"),
        ("x-evil", "a\r\nHost: other"),
        ("x evil", "a"),
        ("", "a"),
        ("x-evil", "a\0"),
    ];
    for (name, value) in table {
        let mut request = put("/x");
        request.headers.push((name.into(), value.into()));
        let sent = client().send(&to(&server.base()), request).await;
        assert_eq!(
            sent.knowledge,
            Knowledge::NotSent(NotSent::Request),
            "{name}"
        );
    }
    assert_eq!(*server.connections.lock().expect("a lock"), 0);
}

#[test]
fn credentials_that_fit_no_header_are_refused() {
    let header = |name: &str, value: &str| Auth::Header {
        name: name.into(),
        value: Secret::new(value),
    };
    let table = [
        Auth::Bearer(Secret::new("a\nb")),
        Auth::Basic {
            user: "a:b".into(),
            password: Secret::new("c"),
        },
        header("x key", "a"),
        header("host", "a"),
        header("content-length", "1"),
        header("x-key", "a\r\nb: c"),
    ];
    for auth in table {
        assert!(
            Connection::new("c", "https://crm.example", &auth, false).is_err(),
            "{auth:?}"
        );
    }
}
