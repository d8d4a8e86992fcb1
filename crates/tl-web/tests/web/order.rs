//! Two faults at once: the answer is that of the check that comes first. What costs nothing is asked before what costs
//! much, and nothing of a body is read or said before its sender is known.

use tl_kernel::id::TenantId;
use tl_web::{Rate, WebConfig};

use crate::support::{EVENTS_KEY, READ_KEY, Req, Server, api_key, server, server_with};

const LEAD: &str = r#"{"email":"ada@example.com"}"#;
/// No JSON, and what one guesses of it is not of the declared shape either.
const BROKEN: &str = r#"{"seats":0,}"#;
const SHAPELESS: &str = r#"{"seats":0}"#;

fn door(name: &str, body: &str) -> Req {
    Req::post(&format!("/hooks/acme/{name}"), body)
}

fn unsigned(body: &str) -> Req {
    door("leads", body).header("idempotency-key", "k1")
}

fn signed(body: &str) -> Req {
    unsigned(body).signed()
}

fn event(body: &str) -> Req {
    Req::post(
        "/v1/events",
        format!(r#"{{"endpoint":"notes","body":{body}}}"#),
    )
    .header("idempotency-key", "k1")
    .bearer(&api_key(EVENTS_KEY))
}

/// Two faults of a request, and what is answered: the first of them.
type Row = (&'static str, Req, u16, &'static str);

fn rows() -> Vec<Row> {
    let big = format!(r#"{{"email":"{}"}}"#, "x".repeat(70_000));
    let long = "a".repeat(9_000);
    let gzip = |r: Req| r.header("content-encoding", "gzip");
    let text = |r: Req| r.set("content-type", "text/plain");
    let chunked = |r: Req| r.header("transfer-encoding", "chunked");
    let two_keys = |r: Req| r.header("idempotency-key", "k2");
    vec![
        // The head before the address.
        (
            "chunked, long target",
            chunked(door(&long, LEAD)),
            411,
            "TL1004",
        ),
        (
            "long target, unknown door",
            door(&long, LEAD),
            414,
            "TL1006",
        ),
        (
            "chunked, unknown door",
            chunked(door("nothing", LEAD)),
            411,
            "TL1004",
        ),
        // The method before the door, the door before its message.
        (
            "wrong method, closed door",
            Req::get("/hooks/acme/closed"),
            405,
            "TL1002",
        ),
        (
            "unknown door, too large",
            door("nothing", &big),
            404,
            "TL1001",
        ),
        (
            "unknown door, gzip",
            gzip(door("nothing", LEAD)),
            404,
            "TL1001",
        ),
        ("closed door, unsigned", door("closed", LEAD), 404, "TL1001"),
        // What the head says of the body: length, encoding, type; and all of it before a byte is read.
        ("too large, gzip", gzip(signed(&big)), 413, "TL1005"),
        ("too large, text", text(signed(&big)), 413, "TL1005"),
        ("gzip, text", gzip(text(signed(LEAD))), 415, "TL1008"),
        ("too large, unsigned", unsigned(&big), 413, "TL1005"),
        ("gzip, unsigned", gzip(unsigned(LEAD)), 415, "TL1008"),
        ("text, unsigned", text(unsigned(LEAD)), 415, "TL1007"),
        ("text, no JSON", text(signed(BROKEN)), 415, "TL1007"),
        // The sender before what is said.
        ("unsigned, no JSON", unsigned(BROKEN), 401, "TL1012"),
        ("unsigned, wrong shape", unsigned(SHAPELESS), 401, "TL1012"),
        (
            "unsigned, two keys",
            two_keys(unsigned(LEAD)),
            401,
            "TL1012",
        ),
        // JSON before its shape, its shape before the key of the message.
        ("no JSON, wrong shape", signed(BROKEN), 400, "TL1010"),
        ("no JSON, two keys", two_keys(signed(BROKEN)), 400, "TL1010"),
        (
            "wrong shape, two keys",
            two_keys(signed(SHAPELESS)),
            422,
            "TL1016",
        ),
        // The same for a caller of the API, whose key says who it is before a body is there.
        (
            "no credential, too large",
            event(&big).without("authorization"),
            401,
            "TL1012",
        ),
        (
            "no credential, text",
            text(event(LEAD)).without("authorization"),
            401,
            "TL1012",
        ),
        (
            "no scope, no JSON",
            event(BROKEN).bearer(&api_key(READ_KEY)),
            403,
            "TL1013",
        ),
        ("text, no JSON, API", text(event(BROKEN)), 415, "TL1007"),
        (
            "no JSON, no key",
            event(BROKEN).without("idempotency-key"),
            400,
            "TL1010",
        ),
        (
            "no key, wrong shape",
            event(SHAPELESS).without("idempotency-key"),
            400,
            "TL1011",
        ),
    ]
}

async fn holds(server: &Server, rows: Vec<Row>) {
    for (what, request, status, code) in rows {
        let answer = server.send(request).await;
        let got = (answer.status, answer.at("/code"));
        assert_eq!(got, (status, code.into()), "{what}: {}", answer.text());
    }
    assert_eq!(server.stored().await, 0);
}

#[tokio::test]
async fn of_two_faults_the_earlier_check_answers() {
    holds(&server().await, rows()).await;
}

/// Room is asked for after the address and before everything that the message says.
#[tokio::test]
async fn without_room_nothing_is_looked_at() {
    let big = "x".repeat(70_000);
    let faulty = || {
        vec![
            ("no room, unsigned", unsigned(LEAD), 503, "TL1018"),
            ("no room, too large", unsigned(&big), 503, "TL1018"),
            (
                "no room, gzip",
                signed(LEAD).header("content-encoding", "gzip"),
                503,
                "TL1018",
            ),
            ("no room, no JSON", signed(BROKEN), 503, "TL1018"),
            (
                "unknown door, no room",
                door("nothing", LEAD),
                404,
                "TL1001",
            ),
            (
                "no credential, no room",
                event(LEAD).without("authorization"),
                401,
                "TL1012",
            ),
        ]
    };
    let server = server().await;
    for class in ["disk", "store", "lease"] {
        *server.world.overload.lock().unwrap() = Some((class, 60));
        holds(&server, faulty()).await;
        let text = server.send(Req::get("/metrics")).await.text();
        let counted = format!("outcome=\"{class}\"");
        assert!(text.contains(&counted), "{counted} in {text}");
    }
    *server.world.overload.lock().unwrap() = None;
    *server.world.backlog.lock().unwrap() = Some((TenantId(1), 40));
    holds(&server, faulty()).await;
    *server.world.backlog.lock().unwrap() = None;
    server
        .world
        .change("acme", |view| view.ingest_killed = true);
    holds(&server, faulty()).await;
}

/// A sender that is too fast is told so, whatever else is wrong.
#[tokio::test]
async fn too_fast_comes_before_what_the_message_says() {
    let config = WebConfig {
        endpoint_rate: Rate {
            per_second: 1,
            burst: 1,
        },
        ..WebConfig::default()
    };
    let server = server_with(config).await;
    let big = "x".repeat(70_000);
    let rows = vec![
        ("the first", unsigned(LEAD), 401, "TL1012"),
        ("too fast, unsigned", unsigned(LEAD), 429, "TL1017"),
        ("too fast, too large", unsigned(&big), 429, "TL1017"),
        ("too fast, no JSON", signed(BROKEN), 429, "TL1017"),
        (
            "unknown door, too fast",
            door("nothing", LEAD),
            404,
            "TL1001",
        ),
    ];
    holds(&server, rows).await;
}
