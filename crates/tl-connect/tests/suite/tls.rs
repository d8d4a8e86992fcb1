//! TLS and HTTP/2: a certificate that is not trusted, and the two ways to say "I did not begin".

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use tl_connect::client::{Auth, Client, Connection, Options};
use tl_connect::knowledge::{Knowledge, NotSent, Unknown};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::server::TlsStream;

use crate::support::{LOOPBACK, put};

/// A certificate of its own making for `vendor.test`.
fn certificate() -> &'static CertifiedKey<KeyPair> {
    static MADE: LazyLock<CertifiedKey<KeyPair>> = LazyLock::new(|| {
        generate_simple_self_signed(["vendor.test".to_owned()]).expect("a certificate")
    });
    &MADE
}

pub fn acceptor() -> TlsAcceptor {
    let made = certificate();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a server");
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(LOOPBACK).await.expect("a port");
    let addr = listener.local_addr().expect("an address");
    (listener, addr)
}

async fn accept(listener: &TcpListener) -> Option<TlsStream<TcpStream>> {
    let (stream, _) = listener.accept().await.ok()?;
    acceptor().accept(stream).await.ok()
}

pub fn trusting() -> Client {
    let options = Options {
        roots: vec![certificate().cert.pem().into_bytes()],
        hosts: BTreeMap::from([
            ("vendor.test".into(), vec![LOOPBACK.ip()]),
            ("other.test".into(), vec![LOOPBACK.ip()]),
        ]),
        ..Options::default()
    };
    Client::new(&options).expect("a client")
}

fn to(host: &str, addr: SocketAddr) -> Connection {
    Connection::new(
        "vendor",
        &format!("https://{host}:{}", addr.port()),
        &Auth::None,
        true,
    )
    .expect("a connection")
}

#[tokio::test]
async fn a_certificate_must_be_trusted_and_name_the_host() {
    let (listener, addr) = listen().await;
    let server = tokio::spawn(async move {
        loop {
            let _ = accept(&listener).await;
        }
    });
    let strange = Client::new(&Options {
        hosts: BTreeMap::from([("vendor.test".into(), vec![LOOPBACK.ip()])]),
        ..Options::default()
    })
    .expect("a client");
    for (name, client, host) in [
        ("unknown issuer", strange, "vendor.test"),
        ("another name", trusting(), "other.test"),
    ] {
        let sent = client.send(&to(host, addr), put("/x")).await;
        assert_eq!(
            sent.knowledge,
            Knowledge::NotSent(NotSent::Certificate),
            "{name}"
        );
    }
    server.abort();
}

/// What the server does with the first stream.
#[derive(Debug, Clone, Copy)]
enum H2 {
    Answers,
    RefusesStream,
    ResetsStream(h2::Reason),
    SaysGoodbyeWithoutIt,
    BreaksOff,
}

async fn serve(listener: TcpListener, does: H2) {
    let Some(stream) = accept(&listener).await else {
        return;
    };
    let mut connection = h2::server::handshake(stream).await.expect("a handshake");
    if matches!(does, H2::SaysGoodbyeWithoutIt) {
        // Sent before any stream was seen: its last stream is 0.
        connection.abrupt_shutdown(h2::Reason::NO_ERROR);
    }
    while let Some(Ok((_request, mut respond))) = connection.accept().await {
        match does {
            H2::Answers => {
                let answer = http::Response::builder()
                    .status(204)
                    .body(())
                    .expect("an answer");
                respond.send_response(answer, true).expect("sent");
            }
            H2::RefusesStream => respond.send_reset(h2::Reason::REFUSED_STREAM),
            H2::ResetsStream(reason) => respond.send_reset(reason),
            H2::SaysGoodbyeWithoutIt => {}
            H2::BreaksOff => return,
        }
    }
}

#[tokio::test]
async fn http_2_says_what_it_did_not_begin() {
    let cases = [
        (H2::Answers, vec!["answered"]),
        (H2::RefusesStream, vec!["not processed"]),
        (H2::SaysGoodbyeWithoutIt, vec!["not processed"]),
        (
            H2::ResetsStream(h2::Reason::INTERNAL_ERROR),
            vec!["unknown"],
        ),
        (H2::ResetsStream(h2::Reason::CANCEL), vec!["unknown"]),
        (
            H2::ResetsStream(h2::Reason::ENHANCE_YOUR_CALM),
            vec!["unknown"],
        ),
        (H2::BreaksOff, vec!["unknown"]),
    ];
    for (does, expected) in cases {
        let (listener, addr) = listen().await;
        let server = tokio::spawn(serve(listener, does));
        let sent = trusting().send(&to("vendor.test", addr), put("/x")).await;
        let word = match &sent.knowledge {
            Knowledge::Answered(a) if a.status == 204 => "answered",
            Knowledge::NotProcessed => "not processed",
            Knowledge::Unknown(Unknown::Deadline) => "late",
            Knowledge::Unknown(_) => "unknown",
            _ => "something else",
        };
        assert!(expected.contains(&word), "{does:?}: {:?}", sent.knowledge);
        server.abort();
    }
}
