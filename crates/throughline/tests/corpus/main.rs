//! Hygiene at size: thousands of synthetic names, addresses of all kinds, numbers to call in thirty forms, account and
//! card numbers go through the real doors, the engine, the CRM and its failures in one process, with the log set to
//! everything. Afterwards none of them stands in log lines, metrics, traces, answers, heads of turns or panics.

#[allow(dead_code, reason = "each suite uses its own part of the bench")]
#[path = "../keys/bench.rs"]
mod bench;
#[allow(dead_code, reason = "the binary's own hook, in a process of the test")]
#[path = "../../src/panics.rs"]
mod panics;
mod values;

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{Arc, Mutex};

use aws_lc_rs::hmac;
use axum::body::{Body, to_bytes};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bench::{Bench, SECRET, TENANT, TENANT_NAME, api_key, client};
use http::Request;
use serde_json::json;
use tl_connect::client::{Auth, Connection};
use tl_connect::fake::crm::{Fault, On};
use tl_connect::fake::http::{Answer, Received, Reply, Server};
use tl_engine::telemetry::Exporter;
use tl_kernel::decide::{Command as Order, CommandKind, Input, TaskDecision};
use tl_kernel::journal::Actor;
use tl_kernel::time::HOUR;
use tl_kernel::value::Value;
use tl_lang::Project;
use tl_store::contract::TaskFilter;
use tower::ServiceExt;
use tracing_subscriber::EnvFilter;

use values::{Dice, Finder, Person};

const WORKFLOW: &str = r#"
workflow: { id: w, version: "1", correlation_id: "${event.correlation_id}" }
record:
  type: lead
  natural_key: ["mail:${record.email}", "tel:${record.phone}"]
  on_match: update
  fields:
    name:    { type: string, required: true }
    email:   { type: email, required: true, use: control }
    phone:   { type: phone, use: control }
    address: { type: string }
    n:       { type: int }
    message: { type: text, untrusted: true }
    intent:  { type: enum, values: [demo, pricing], from: ai }
ingress:
  gateway: { auth: hmac_signature, idempotency: header_idempotency_key }
  channels:
    web:
      channel: webhook
      map: { name: event.body.name, email: event.body.email, phone: event.body.phone, address: event.body.address, n: event.body.n, message: event.body.message }
      text: event.body.message
    contact: { channel: form }
worker:
  ai_step: { optional: true, modes: [classify], classify: { field: intent, model: local, examples: examples/intent.csv } }
decision:
  threshold: 0.01
  branches:
    - { condition: "record.n == 3", action: human_queue }
    - { condition: "record.n == 4", action: [crm_upsert, reply] }
    - { condition: "record.n < 9", action: crm_upsert }
    - default: human_queue
policy:
  crm_upsert: auto
  reply: { approve: operators }
side_effects:
  crm: { api: rest, connection: crm, method: PUT, path: "/leads/${record.email}", optimistic_lock: If-Match, idempotency_header: idempotency-key }
  messaging:
    reply: { to: record.email, subject: "Hello ${record.name}", text: "You wrote: ${record.message}" }
"#;

const EXAMPLES: &str = "text,label\nshow me how it works,demo\na demo please,demo\nwhat is the price,pricing\nsend a quote,pricing\n";

fn project() -> Project {
    let connections = "connections:\n  crm: { base_url: 'https://c.example.com' }\n";
    let files = [
        ("workflows/w/workflow.yaml", WORKFLOW),
        ("workflows/w/examples/intent.csv", EXAMPLES),
        ("connections.yaml", connections),
    ];
    Project {
        files: files
            .into_iter()
            .map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()))
            .collect(),
    }
}

/// Persons: six values each.
const PERSONS: usize = 1_680;

/// What must be clean, by name.
type Surfaces = BTreeMap<&'static str, Vec<u8>>;

fn signature(body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    format!("sha256={}", hex::encode(hmac::sign(&key, body)))
}

/// One request to the doors; its status, and its answer whole.
async fn ask(bench: &Bench, request: Request<Body>) -> (u16, Vec<u8>) {
    let Ok(answer) = bench.router.clone().oneshot(request).await;
    let status = answer.status().as_u16();
    let mut all = format!("{:?}\n", answer.headers()).into_bytes();
    all.extend(
        to_bytes(answer.into_body(), 1 << 22)
            .await
            .expect("an answer"),
    );
    (status, all)
}

/// The ways that a person's values come in. The last ones are refused.
const WAYS: usize = 12;

/// A request that carries a person, and whether it is to be taken.
fn request(person: &Person, nth: usize) -> (Request<Body>, bool) {
    let way = nth % WAYS;
    let lead = json!({
        "name": person.name, "email": person.email, "phone": person.phone, "address": person.address, "n": nth / WAYS % 10,
        "message": format!("please show me a demo. Pay from {} or {}; write to {}", person.iban, person.card, person.address),
    });
    let mut body = lead.to_string();
    let mut target = format!("/hooks/{TENANT_NAME}/web");
    let mut headers = vec![
        ("content-type", "application/json".to_owned()),
        ("idempotency-key", format!("key-{nth}")),
    ];
    let everything = person.values().map(|(_, v)| v).join("; ");
    let printable: String = everything
        .chars()
        .map(|c| if c.is_ascii_graphic() { c } else { '.' })
        .collect();
    let taken = match way {
        0..=4 => true,
        5 => {
            let pairs = [
                ("name", &person.name),
                ("email", &person.email),
                ("phone", &person.phone),
                ("message", &everything),
            ];
            let pairs = pairs.map(|(k, v)| format!("{k}={}", percent(v)));
            body = pairs.join("&");
            target = format!("/hooks/{TENANT_NAME}/contact");
            headers[0].1 = "application/x-www-form-urlencoded".into();
            true
        }
        // A key and a correlation id that somebody made from what they had.
        6 => {
            headers[1].1 = format!("{}-{nth}", person.email);
            headers.push((
                "x-correlation-id",
                format!("{}:{}", person.email, person.card),
            ));
            true
        }
        7 => {
            headers.push(("x-signature", format!("sha256={printable}")));
            false
        }
        8 => {
            body.truncate(body.floor_char_boundary(body.len() - 3));
            false
        }
        9 => {
            target = format!("/hooks/{TENANT_NAME}/{}", percent(&everything));
            false
        }
        10 => {
            headers[0].1 = format!("text/{}", printable.replace(['/', ';', ','], "."));
            false
        }
        _ => {
            target = format!(
                "/v1/records/lead/{}?q={}",
                percent(&person.email),
                percent(&person.phone)
            );
            headers.push(("authorization", format!("Bearer {printable}")));
            false
        }
    };
    if way != 7 {
        headers.push(("x-signature", signature(body.as_bytes())));
    }
    let mut request = Request::post(target).header("content-length", body.len());
    for (name, value) in headers {
        request = request.header(name, value);
    }
    (request.body(Body::from(body)).expect("a request"), taken)
}

fn percent(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' => char::from(b).to_string(),
            _ => format!("%{b:02X}"),
        })
        .collect()
}

/// People decide what waits for them, with corrections and notes made of personal values.
async fn decide(bench: &Bench, person: &Person) {
    let filter = TaskFilter {
        tenant: Some(TENANT),
        limit: 500,
        ..TaskFilter::default()
    };
    let tasks = bench.desk.store().tasks(filter).await.expect("tasks");
    for (task, i) in tasks.into_iter().zip(0..) {
        let mut digest = None;
        if let Some(n) = task.effect {
            let id = tl_kernel::id::EffectId {
                case: task.task.case,
                n,
            };
            let row = bench
                .desk
                .store()
                .effect(TENANT, id)
                .await
                .expect("effects");
            digest = row.map(|r| r.digest);
        }
        let decision = match (task.kind.as_str(), i % 2) {
            ("approve", _) => "approve",
            (_, 0) => "edit",
            _ => "close",
        };
        let edits = match decision {
            "edit" => vec![("name".to_owned(), Value::text(&*person.name))],
            _ => Vec::new(),
        };
        let input = Input::TaskDecided(TaskDecision {
            n: task.task.n,
            by: Actor::Person("anna".into()),
            decision: decision.into(),
            reason: "called".into(),
            note: Some(format!("{} lives at {}", person.name, person.address)),
            edits,
            digest,
        });
        let at = (TENANT, task.task.case);
        // What is refused is a path too.
        let _ = bench.desk.advance(at, input, Vec::new(), None).await;
        let order = Input::Command(Order {
            by: Actor::Person("anna".into()),
            reason: "called".into(),
            what: CommandKind::Move(person.name.clone()),
        });
        let _ = bench.desk.advance(at, order, Vec::new(), None).await;
    }
}

/// Everything that is written about what happened, but for bodies and payloads.
async fn heads(bench: &Bench, s: &mut Surfaces) -> usize {
    let store = bench.desk.store();
    let turns = store.turns(0, 1_000_000, None, false).await.expect("turns");
    for (_, _, _, turn) in &turns {
        let (head, _) = tl_kernel::journal::open(turn).expect("it opens");
        s.entry("heads").or_default().extend_from_slice(&turn.head);
        s.entry("export")
            .or_default()
            .extend(format!("{} {head:?}\n", STANDARD.encode(&turn.head)).bytes());
    }
    let filter = tl_store::contract::EffectFilter {
        tenant: Some(TENANT),
        limit: 100_000,
        ..Default::default()
    };
    for e in store.effects(filter).await.expect("effects") {
        let tries = store.attempts(TENANT, e.effect).await.expect("attempts");
        s.entry("attempts")
            .or_default()
            .extend(format!("{tries:?}").bytes());
    }
    turns.len()
}

/// The traces of everything, as a receiver gets them.
async fn traces(bench: &Bench) -> Vec<u8> {
    let got: Arc<Mutex<Vec<u8>>> = Arc::default();
    let kept = Arc::clone(&got);
    let collect = move |request: Received| {
        kept.lock().unwrap().extend_from_slice(&request.body);
        Box::pin(async { Reply::Answer(Answer::json(200, &json!({}))) }) as _
    };
    let server = Server::start(([127, 0, 0, 1], 0).into(), Arc::new(collect)).await;
    let server = server.expect("a receiver");
    let to = format!("http://{}", server.addr());
    let connection = Connection::new("otlp", &to, &Auth::None, true).expect("a connection");
    let exporter = Exporter::new(bench.desk.clone(), client(), connection);
    exporter.catch_up().await.expect("spans are sent");
    let got = got.lock().unwrap();
    got.clone()
}

#[tokio::test]
async fn no_value_is_found_where_none_belongs() {
    let mut bench = Bench::new(&project()).await.expect("a workflow");
    let writer = bench.log.clone();
    let listener = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new("trace"))
        .json()
        .with_writer(move || writer.clone())
        .finish();
    let _listening = tracing::subscriber::set_default(listener);
    let (mut finder, mut s, mut dice) = (Finder::default(), Surfaces::new(), Dice(0xD01));
    let (mut taken, mut refused) = (0, 0);
    for (fault, times) in [
        (
            Fault::Status {
                status: 400,
                retry_after: None,
            },
            5,
        ),
        (
            Fault::Status {
                status: 503,
                retry_after: None,
            },
            5,
        ),
        (Fault::ErrorIn200, 3),
        (Fault::ResetAfterApplying, 3),
        (Fault::HalfAnswer, 3),
        (Fault::OtherId, 3),
    ] {
        bench.crm.script(On::Writes, fault, times);
    }
    let mut last = None;
    for nth in 0..PERSONS {
        let person = Person::draw(&mut dice, nth);
        finder.plant(&person);
        let (request, wanted) = request(&person, nth);
        let (status, answer) = ask(&bench, request).await;
        let said = String::from_utf8_lossy(&answer).into_owned();
        assert_eq!(status == 202, wanted, "way {}: {status} {said}", nth % WAYS);
        taken += usize::from(wanted);
        refused += usize::from(!wanted);
        s.entry("answers").or_default().extend(answer);
        if nth % 20 == 19 {
            bench.settle().await;
            bench.clock.advance(HOUR);
            decide(&bench, &person).await;
        }
        last = Some(person);
    }
    for _ in 0..12 {
        bench.settle().await;
        bench.clock.advance(HOUR);
    }
    // They are where they belong: what follows proves nothing without that.
    let sent: Vec<u8> = bench
        .crm
        .ledger()
        .into_iter()
        .flat_map(|a| a.body)
        .collect();
    assert!(finder.found_in(&sent).len() > 10);

    let bearer = format!("Bearer {}", api_key().to_text());
    let metrics = Request::get("/metrics").header("authorization", bearer);
    let (status, metrics) = ask(&bench, metrics.body(Body::empty()).expect("a request")).await;
    assert_eq!(status, 200);
    s.insert("metrics", metrics);
    let turns = heads(&bench, &mut s).await;
    s.insert("traces", traces(&bench).await);
    s.insert("log", bench.log.text().into_bytes());
    s.insert("panics", panicked(&last.expect("a person")));

    let mut leaks = Vec::new();
    for (name, bytes) in &s {
        assert!(bytes.len() > 100, "nothing of {name} was looked at");
        let found = finder.found_in(bytes);
        leaks.extend(found.into_iter().map(|f| format!("{name}: {f}")));
    }
    let bytes: usize = s.values().map(Vec::len).sum();
    println!(
        "{} values, {taken} messages taken, {refused} refused, {turns} turns, {} surfaces, {bytes} bytes, {} leaks",
        finder.values,
        s.len(),
        leaks.len()
    );
    assert!(turns > taken && s["log"].windows(5).any(|w| w == b"TRACE"));
    assert!(leaks.is_empty(), "{:#?}", &leaks[..leaks.len().min(10)]);
}

/// What a process says that panics over this person, with the hook of the binary.
fn panicked(person: &Person) -> Vec<u8> {
    let all = person.values().map(|(_, v)| v).join("\u{1f}");
    let me = std::env::current_exe().expect("this test");
    let child = Command::new(me)
        .args([
            "--exact",
            "a_process_that_panics",
            "--ignored",
            "--nocapture",
        ])
        .env("TL_PANIC_OVER", all)
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&child.stderr).into_owned();
    assert_eq!(said.matches("a thread panicked").count(), 24, "{said}");
    child.stderr
}

/// Not a test by itself: the process that `panicked` starts.
/// An error whose words are the value.
fn refused(value: &str) -> Result<(), String> {
    Err(value.to_owned())
}

#[test]
#[ignore = "started by the corpus with the values to panic over"]
fn a_process_that_panics() {
    let Ok(values) = std::env::var("TL_PANIC_OVER") else {
        return;
    };
    panics::without_values();
    let quietly = |f: &dyn Fn()| {
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
        assert!(caught.is_err());
    };
    for value in values.split('\u{1f}') {
        quietly(&|| panic!("{value} cannot be"));
        quietly(&|| refused(value).expect("a value"));
        quietly(&|| assert_eq!(value, "another"));
        quietly(&|| drop(value[value.len() + 1..].to_owned()));
    }
}
