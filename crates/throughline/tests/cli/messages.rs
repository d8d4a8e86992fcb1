//! Messages that a connection sends: from the door to the system that sends them.

use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use super::bench::{Bench, PATIENCE, Server};
use super::doors::{answer, message};

const WORKFLOW: &str = "\
workflow: { id: support, version: \"1\" }
record:
  type: ticket
  fields:
    email:   { type: email, required: true, use: control }
    name:    { type: string }
ingress: { channels: { web: { channel: webhook, auth: hmac_signature, idempotency: header_idempotency_key } } }
worker: { ai_step: none }
decision: { branches: [ { condition: has(record.email), action: ack }, { default: human_queue } ] }
policy: { ack: { auto: true, limit: 50 per contact per day } }
side_effects:
  messaging:
    ack:
      to: record.email
      subject: \"We have it\"
      template: templates/ack.md
      check: verified_sender
      via: post
      with: { from: \"'us@desk.example'\", stream: \"'outbound'\" }
";

/// A mail provider of one's own: its names for the parts, a key that it honours, an answer with its number.
const CONNECTOR: &str = "\
connector: post_office
title: The post office
auth: { none: { kind: none } }
actions:
  letter.send:
    title: Send a letter
    message: { channel: email, to: recipient, text: body }
    class: E1
    key_lifetime: 24h
    arguments:
      recipient: { type: email, required: true, control: sensitive }
      subject: { required: true }
      body: { required: true }
      from: { required: true }
      stream: {}
    request:
      path: /letters
      headers: { Idempotency-Key: \"${effect.key}\" }
      json: { to: \"${args.recipient}\", from: \"${args.from}\", subject: \"${args.subject}\", text: \"${args.body}\", stream: \"${args.stream}\" }
    answer: { id: answer.body.number }
";

/// A request's key and its body.
type Letter = (String, Value);

/// Answers each request as the table says, and hands it on. An answer of 0 is none.
fn post_office(statuses: &'static [u16]) -> (SocketAddr, Receiver<Letter>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for (n, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let said = message(&mut stream);
            let (head, body) = said.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("POST /letters "), "{head}");
            let key = head
                .lines()
                .find_map(|l| l.strip_prefix("idempotency-key: "));
            let letter = (key.unwrap().to_owned(), serde_json::from_str(body).unwrap());
            match statuses.get(n).copied().unwrap_or(200) {
                0 => drop(stream),
                status => answer(
                    stream,
                    status,
                    &json!({ "number": format!("L{n}") }).to_string(),
                ),
            }
            if tell.send(letter).is_err() {
                return;
            }
        }
    });
    (address, told)
}

fn desk(address: SocketAddr) -> Bench {
    let bench = Bench::empty();
    bench.write("workflows/support/workflow.yaml", WORKFLOW);
    bench.write(
        "workflows/support/templates/ack.md",
        "Hello ${record.name}\n",
    );
    bench.write("connectors/post_office.yaml", CONNECTOR);
    bench.write(
        "connections.yaml",
        &format!(
            "connections: {{ post: {{ kind: post_office, base_url: 'http://{address}' }} }}\n"
        ),
    );
    bench.write(
        "throughline.toml",
        "allow_private_connections = [\"post\"]\n",
    );
    bench
}

fn write_to(bench: &Bench, server: &Server, (who, n): (&str, u32)) {
    let body = json!({ "email": who, "name": "Ada", "n": n }).to_string();
    bench.write("m.json", &body);
    let to = format!("{}/hooks/default/web", server.url);
    let args = ["send", "m.json", "--secret-file", "secret", "--to", &to];
    bench.run(&args).expect(0, &["accepted"]);
}

#[test]
fn a_message_leaves_by_its_connection_and_again_with_the_same_key() {
    // The first answer is lost, the second says to come again.
    let (address, letters) = post_office(&[0, 503, 200]);
    let bench = desk(address);
    let secret = bench.secret("web");
    bench.write("secret", &secret);
    let server = bench.serve();
    bench.write("t.json", r#"{"email":"ada@b.example","name":"Ada"}"#);
    bench.run(&["try", "t.json", "--endpoint", "web"]).expect(
        0,
        &["`ack` would be sent by itself: email to ada@b.example by `post`, “We have it”"],
    );
    write_to(&bench, &server, ("ada@b.example", 1));
    let mut seen: Vec<Letter> = Vec::new();
    for _ in 0..3 {
        seen.push(letters.recv_timeout(PATIENCE).unwrap());
    }
    let letter = json!({
        "to": "ada@b.example", "from": "us@desk.example", "subject": "We have it", "text": "Hello Ada\n",
        "stream": "outbound",
    });
    for (key, body) in &seen {
        assert_eq!((key, body), (&seen[0].0, &letter));
    }
    let done = |all: &Value| all[0]["state"] == "succeeded";
    let effects = bench.until(&["effect", "list"], "the letter", done);
    let row = &effects[0];
    assert_eq!(
        (&row["action"], &row["class"]),
        (&json!("ack"), &json!("E1"))
    );
    let shown = bench.run(&["effect", "show", row["effect"].as_str().unwrap()]);
    shown.expect(0, &["ada@b.example", "post_office.letter.send", "L2"]);
    bench.run(&["outbox", "list"]).expect(0, &["no message"]);
    assert_eq!(server.stop(), 0);
}

#[test]
fn who_is_suppressed_gets_no_message_by_a_connection() {
    let (address, letters) = post_office(&[]);
    let bench = desk(address);
    let secret = bench.secret("web");
    bench.write("secret", &secret);
    let server = bench.serve();
    let args = ["suppression", "add", "ada@b.example", "--reason", "asked"];
    bench.run(&args).expect(0, &[]);
    write_to(&bench, &server, ("Ada@B.example", 1));
    write_to(&bench, &server, ("bob@b.example", 2));
    let (_, body) = letters.recv_timeout(PATIENCE).unwrap();
    assert_eq!(body["to"], "bob@b.example");
    let waits = |all: &Value| {
        let mut all = all.as_array().into_iter().flatten();
        all.any(|c| c["state"] == "needs_human")
    };
    bench.until(&["case", "list"], "the case of who said stop", waits);
    assert!(letters.try_recv().is_err(), "nothing else has left");
    assert_eq!(server.stop(), 0);
}

/// What was planned for one vendor is not sent through the connection of another.
#[test]
fn a_connection_of_another_kind_sends_nothing_that_was_planned_for_the_first() {
    let (address, letters) = post_office(&[]);
    let bench = desk(address);
    let secret = bench.secret("web");
    bench.write("secret", &secret);
    let server = bench.serve();
    let hold = [
        "kill",
        "set",
        "connection:post",
        "--mode",
        "hold",
        "--reason",
        "moving",
    ];
    bench.run(&hold).expect(0, &[]);
    write_to(&bench, &server, ("ada@b.example", 1));
    bench.write(
        "connectors/other_post.yaml",
        &CONNECTOR.replace("post_office", "other_post"),
    );
    bench.write(
        "connections.yaml",
        &format!("connections: {{ post: {{ kind: other_post, base_url: 'http://{address}' }} }}\n"),
    );
    bench.write(
        "workflows/support/workflow.yaml",
        &WORKFLOW.replace("version: \"1\"", "version: \"2\""),
    );
    bench.run(&["deploy", "--yes"]).expect(0, &[]);
    bench
        .run(&["kill", "clear", "connection:post", "--reason", "moved"])
        .expect(0, &[]);
    let failed = |all: &Value| all[0]["state"] == "failed";
    let effects = bench.until(&["effect", "list"], "the end of the effect", failed);
    let shown = bench.run(&["effect", "show", effects[0]["effect"].as_str().unwrap()]);
    shown.expect(0, &["TL0810"]);
    write_to(&bench, &server, ("bob@b.example", 2));
    let (_, body) = letters.recv_timeout(PATIENCE).unwrap();
    assert_eq!(
        body["to"], "bob@b.example",
        "the new version uses the new one"
    );
    assert_eq!(server.stop(), 0);
}
