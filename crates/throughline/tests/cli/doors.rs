//! Doors while something beside them changes: the keys of an issuer, and the end of the server.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::bench::{Bench, PATIENCE, Server, WORKFLOW};

/// Reads a request or an answer: its head, and as much of a body as is said.
pub fn message(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let mut byte = [0];
    let length = |head: &str| {
        let lower = head.to_ascii_lowercase();
        let after = lower.split("content-length: ").nth(1)?.to_owned();
        after.split("\r\n").next()?.parse::<usize>().ok()
    };
    let mut left = None;
    while left != Some(0) && stream.read(&mut byte).unwrap_or(0) == 1 {
        all.push(byte[0]);
        left = match left {
            Some(n) => Some(n - 1),
            None if all.ends_with(b"\r\n\r\n") => {
                Some(length(&String::from_utf8_lossy(&all)).unwrap_or(0))
            }
            None => None,
        };
    }
    String::from_utf8_lossy(&all).into_owned()
}

pub fn answer(mut stream: TcpStream, status: u16, body: &str) {
    let length = body.len();
    let _ = write!(
        stream,
        "HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    );
}

/// Posts to the door `web`; the status and the whole answer, or that nobody listens.
fn post(server: &Server, header: &str, body: &str) -> Result<(u16, String), ErrorKind> {
    let length = body.len();
    let header = format!("content-type: application/json\r\ncontent-length: {length}\r\n{header}");
    ask(server, "POST /hooks/default/web", &header, body)
}

fn get(server: &Server, path: &str) -> (u16, String) {
    ask(server, &format!("GET {path}"), "", "").expect("an answer")
}

fn ask(server: &Server, what: &str, header: &str, body: &str) -> Result<(u16, String), ErrorKind> {
    let address = server.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).map_err(|e| e.kind())?;
    let request =
        format!("{what} HTTP/1.1\r\nhost: {address}\r\n{header}connection: close\r\n\r\n{body}");
    let sent = stream.write_all(request.as_bytes());
    sent.map_err(|e| e.kind())?;
    let said = message(&mut stream);
    let status = said.split(' ').nth(1).and_then(|s| s.parse().ok());
    Ok((status.ok_or(ErrorKind::UnexpectedEof)?, said))
}

fn key(n: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[n; 32]).unwrap()
}

/// A key set with these keys.
fn key_set(keys: &[u8]) -> String {
    let one = |n: &u8| {
        let x = URL_SAFE_NO_PAD.encode(key(*n).public_key());
        json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": n.to_string(), "x": x })
    };
    json!({ "keys": keys.iter().map(one).collect::<Vec<_>>() }).to_string()
}

/// The header of a token that a key has signed.
fn token(n: u8) -> String {
    let part = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let head = part(json!({ "alg": "EdDSA", "typ": "JWT", "kid": n.to_string() }));
    let claims = part(json!({ "iss": "i", "aud": "a", "sub": "s", "exp": now.as_secs() + 300 }));
    let text = format!("{head}.{claims}");
    let signature = URL_SAFE_NO_PAD.encode(key(n).sign(text.as_bytes()));
    format!("authorization: Bearer {text}.{signature}\r\n")
}

#[test]
fn a_sender_waits_for_the_keys_of_its_issuer_and_no_longer() {
    let issuer = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = issuer.local_addr().unwrap();
    // How many keys the issuer has; 0: it fails.
    let has = Arc::new(AtomicUsize::new(0));
    let known = Arc::clone(&has);
    std::thread::spawn(move || {
        for stream in issuer.incoming() {
            let mut stream = stream.unwrap();
            message(&mut stream);
            match known.load(Ordering::SeqCst) {
                0 => answer(stream, 500, "{}"),
                n => answer(stream, 200, &key_set(&[1, 2, 3][..n])),
            }
        }
    });
    let bench = Bench::project();
    let auth =
        format!("auth: {{ jwt: {{ issuer: i, audience: a, keys: 'http://{address}/keys' }} }}");
    let gateway = "auth: hmac_signature, idempotency: header_idempotency_key";
    let yaml = WORKFLOW.replace(gateway, &auth);
    assert_ne!(yaml, WORKFLOW);
    bench.write("workflows/lead/workflow.yaml", &yaml);
    bench.write(
        "throughline.toml",
        "allow_private_connections = [\"web\"]\n",
    );
    let server = bench.serve();

    let mut n = 0;
    let mut send = |signer: u8| {
        n += 1;
        let body = format!(r#"{{"email":"a{n}@b.example","message":"x"}}"#);
        post(&server, &token(signer), &body).unwrap().0
    };
    // What the issuer has, who signs, what the sender is told until it is taken, and that it is taken at all.
    let table = [(1, 1, 503), (2, 2, 503)];
    assert_eq!(send(1), 503, "the issuer fails");
    for (keys, signer, meanwhile) in table {
        has.store(keys, Ordering::SeqCst);
        let begun = Instant::now();
        loop {
            match send(signer) {
                202 => break,
                // A set that is a moment old is the present one.
                401 if signer > 1 && begun.elapsed().as_secs() < 11 => {}
                status => assert_eq!(status, meanwhile, "key {signer}"),
            }
            assert!(begun.elapsed() < PATIENCE, "key {signer}");
            std::thread::park_timeout(std::time::Duration::from_millis(50));
        }
        assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
    }
    assert_eq!(send(3), 401, "the newest set does not know it");
    assert_eq!(send(1), 202, "a known one goes on");
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_server_that_stops_tells_senders_so_until_its_last_effect_is_through() {
    let crm = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = crm.local_addr().unwrap();
    let (asked, was_asked) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    std::thread::spawn(move || {
        let mut stream = crm.accept().unwrap().0;
        message(&mut stream);
        asked.send(()).unwrap();
        may_go_on.recv().unwrap();
        answer(stream, 200, "{}");
    });
    let bench = Bench::project();
    let crm = "side_effects:\n  crm: { api: rest, connection: crm, method: PUT, path: \"/leads/1\", \
               optimistic_lock: last_writer_wins, idempotency_header: idempotency-key }\n";
    let yaml = WORKFLOW.replace("side_effects:\n", crm);
    bench.write("workflows/lead/workflow.yaml", &yaml);
    bench.write(
        "connections.yaml",
        &format!("connections: {{ crm: {{ kind: rest, base_url: 'http://{address}' }} }}\n"),
    );
    bench.write(
        "throughline.toml",
        "allow_private_connections = [\"crm\"]\n",
    );
    let secret = bench.secret("web");
    let server = bench.serve();
    bench.write(
        "m.json",
        r#"{"email":"ada@b.example","message":"please write"}"#,
    );
    let to = format!("{}/hooks/default/web", server.url);
    bench
        .run(&["send", "m.json", "--to", &to, "--secret", &secret])
        .expect(0, &["accepted"]);
    was_asked.recv_timeout(PATIENCE).unwrap();

    server.signal("TERM");
    let begun = Instant::now();
    let said = loop {
        match post(&server, "", "{}").expect("somebody listens") {
            (503, said) => break said,
            (status, _) => assert_eq!(status, 401, "before it knows of its end"),
        }
        assert!(begun.elapsed() < PATIENCE);
    };
    assert!(said.to_lowercase().contains("\r\nretry-after: "), "{said}");
    go_on.send(()).unwrap();
    assert_eq!(server.wait(), 0);
    let effects = bench.json(&["effect", "list"]);
    let crm = effects.as_array().unwrap().iter();
    let states: Vec<&str> = crm
        .filter(|e| e["action"] == "crm_upsert")
        .map(|e| e["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["succeeded"], "what was on its way was finished");
}

#[test]
fn a_disk_without_its_reserve_takes_no_message_and_goes_on_with_the_others() {
    let bench = Bench::project();
    let secret = bench.secret("web");
    bench.write(
        "m.json",
        r#"{"email":"a@b.example","message":"please write"}"#,
    );
    // More than any disk has.
    bench.write("throughline.toml", "disk_reserve = 1000000000\n");
    let server = bench.serve();
    let begun = Instant::now();
    // It looks as soon as it runs, which may be a moment after it answers.
    while get(&server, "/readyz").0 != 503 {
        assert!(begun.elapsed() < PATIENCE, "it is ready all the same");
    }
    let to = format!("{}/hooks/default/web", server.url);
    let send = ["send", "m.json", "--to", &to, "--secret", &secret];
    bench.run(&send).expect(1, &["503", "TL1018"]);
    let (status, said) = post(&server, "", "{}").unwrap();
    assert_eq!(status, 503, "{said}");
    let wait = said.to_ascii_lowercase();
    let wait = wait.split("retry-after: ").nth(1).expect("a time");
    let wait: u32 = wait.split("\r\n").next().unwrap().parse().unwrap();
    assert!((5..=60).contains(&wait), "{wait}");
    let (_, metrics) = get(&server, "/metrics");
    assert!(metrics.contains("outcome=\"disk\""), "{metrics}");
    assert_eq!(get(&server, "/healthz").0, 200);
    assert_eq!(bench.json(&["status"])["events"], 0, "nothing was stored");
    assert_eq!(server.stop(), 0);

    // With room again it takes what it refused.
    bench.write("throughline.toml", "");
    let server = bench.serve();
    let to = format!("{}/hooks/default/web", server.url);
    bench.json(&["send", "m.json", "--to", &to, "--secret", &secret]);
    assert_eq!(server.stop(), 0);
}
