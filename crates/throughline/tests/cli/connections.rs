//! Whether connections are there and take their credentials.

use std::net::TcpListener;

use serde_json::Value;

use super::bench::Bench;
use super::doors::{answer, message};

const WORKFLOW: &str = "\
workflow: { id: support, version: \"1\" }
record:
  type: ticket
  fields: { email: { type: email, required: true, use: control } }
ingress: { channels: { web: { channel: webhook, auth: hmac_signature, idempotency: header_idempotency_key } } }
worker: { ai_step: none }
decision: { branches: [ { condition: has(record.email), action: note }, { default: human_queue } ] }
policy: { note: { approve: operators } }
side_effects:
  actions:
    note: { use: github.issue.create, connection: NAME, with: { owner: \"'acme'\", repo: \"'desk'\", title: \"'Hello'\", body: \"'World'\" } }
";

/// A vendor that answers each request with the next status and body.
fn vendor(
    answers: &'static [(u16, &'static str)],
) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let told = std::thread::spawn(move || {
        let mut heads = Vec::new();
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().unwrap();
            heads.push(message(&mut stream));
            answer(stream, *status, body);
        }
        heads
    });
    (address, told)
}

#[test]
fn a_connection_is_asked_whether_it_is_there() {
    let (address, asked) = vendor(&[
        (200, "{}"),
        (401, "{}"),
        (403, "{}"),
        (404, "{}"),
        (503, "{}"),
        (200, r#"{"ok":false,"error":"invalid_auth"}"#),
        (200, "{}"),
    ]);
    let gone = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = gone.local_addr().unwrap();
    drop(gone);
    let bench = Bench::empty();
    bench.write(
        "workflows/support/workflow.yaml",
        &WORKFLOW.replace("NAME", "issues"),
    );
    bench.write("token", "t0ken\n");
    bench.write(
        "connections.yaml",
        &format!(
            "connections:\n  issues: {{ kind: github, base_url: '{address}', secret: 'file:token' }}\n  \
             mail: {{ kind: smtp, base_url: 'smtp://{nobody}', auth: none }}\n  \
             erp: {{ kind: rest, base_url: '{address}', auth: bearer, secret: 'env:NOT_SET_ANYWHERE' }}\n"
        ),
    );
    bench.write(
        "throughline.toml",
        "allow_private_connections = [\"issues\", \"mail\", \"erp\"]\n",
    );
    let server = bench.serve();
    bench.run(&["connection", "list"]).expect(
        0,
        &[
            "issues (github)",
            "file:token",
            "support.note",
            "used by  nothing",
            "set the environment variable NOT_SET_ANYWHERE",
        ],
    );
    let check = |code: i32, parts: &[&str]| {
        bench
            .run(&["connection", "check", "issues"])
            .expect(code, parts);
    };
    check(0, &["ok", "it is there, and took the credential"]);
    check(1, &["TL0822", "it refused the credential (401)"]);
    check(0, &["unclear", "may not ask this (403)"]);
    check(1, &["look at the address (404)"]);
    check(1, &["it is in trouble (503)"]);
    check(1, &["with an error, in a good status"]);
    // All at once: what cannot be reached is told beside what can.
    let all = bench.run(&["connection", "check"]);
    all.expect(
        1,
        &[
            "ok",
            "nobody listens at the address",
            "NOT_SET_ANYWHERE",
            "through erp, mail",
        ],
    );
    for head in asked.join().unwrap() {
        let head = head.to_lowercase();
        assert!(
            head.starts_with("get /user ") && head.contains("token t0ken"),
            "{head}"
        );
    }
    bench
        .run(&["connection", "check", "nothing"])
        .expect(3, &["TL0703", "erp, issues, mail"]);
    let hold = [
        "kill",
        "set",
        "connection:issues",
        "--mode",
        "hold",
        "--reason",
        "moving",
    ];
    bench.run(&hold).expect(0, &[]);
    let held: Value = bench.json(&["connection", "check", "issues"]);
    assert_eq!(held[0]["checked"]["fine"], Value::Null, "{held:#}");
    assert_eq!(server.stop(), 0);
}
