//! Hygiene: every personal field, key and secret carries a mark of its own, through all doors, the models, the CRM
//! and the commands, accepted and refused. Afterwards no mark stands in logs, metrics, traces, answers, the audit or
//! lists. The log is set to everything meanwhile.

#[allow(dead_code, reason = "each suite uses its own part of the bench")]
#[path = "cli/bench.rs"]
mod bench;
#[path = "canary/refused.rs"]
mod refused;
#[path = "canary/taken.rs"]
mod taken;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bench::{Answer as Ran, Bench};
use refused::refuse_all;
use serde_json::{Value as Json, json};
use taken::send_all;
use tl_connect::fake::http::{Answer, Received, Reply, Server};
use tl_connect::fake::model::completion;
use tokio::runtime::Runtime;

/// Everything that we and the crates we use have to say.
const LOG_LEVEL: &str = "trace";

const WORKFLOW: &str = r#"
workflow: { id: lead, version: "1", correlation_id: "${event.correlation_id}" }
record:
  type: lead
  natural_key: ["mail:${record.email}", "tel:${record.phone}"]
  on_match: update
  fields:
    name:    { type: string, required: true }
    company: { type: string }
    email:   { type: email, use: control }
    phone:   { type: phone, use: control }
    size:    { type: int }
    message: { type: text, untrusted: true }
    intent:  { type: enum, values: [demo, other], from: ai }
ingress:
  gateway: { auth: hmac_signature, idempotency: header_idempotency_key, validate: json_schema }
  channels:
    web:
      channel: webhook
      map: { name: event.body.name, company: event.body.company, email: event.body.email, phone: event.body.phone, size: event.body.size, message: event.body.message }
      text: event.body.message
    contact: { channel: form }
    mail: { channel: email }
    notes: { channel: api, auth: api_key }
worker:
  rules:
    - { when: "record.message.matches('(?i)urgent')", set: { company: urgent } }
  ai_step: { model: MODEL, modes: [classify, extract], classify: { field: intent, examples: examples/intent.csv }, extract: [name, company, phone] }
decision:
  threshold: 0.1
  branches:
    - { condition: "record.size > 100", action: human_queue }
    - { condition: has(record.email), action: [crm_upsert, reply] }
    - default: human_queue
policy:
  crm_upsert: auto
  reply: { approve: operators }
side_effects:
  crm: { api: rest, connection: crm, method: PUT, path: "/leads/${record.email}", optimistic_lock: If-Match, idempotency_header: idempotency-key }
  messaging:
    reply: { to: record.email, subject: "Hello ${record.name}", text: "You wrote: ${record.message}" }
"#;

/// A mark and where it was planted.
struct Mark {
    place: String,
    needles: Vec<Vec<u8>>,
}

/// All marks. Each is a word that stands nowhere else.
#[derive(Default)]
struct Marks {
    all: Vec<Mark>,
}

impl Marks {
    /// A fresh word.
    fn word(&mut self, place: &str) -> String {
        let word = format!("cnry{:04}kx", self.all.len());
        self.plant(place, &word);
        word
    }

    /// A fresh number to call, in the form that records hold.
    fn phone(&mut self, place: &str) -> String {
        let number = format!("1575550{:04}", self.all.len());
        self.plant(place, &number);
        format!("+49{number}")
    }

    /// A text that exists already, such as a secret.
    fn plant(&mut self, place: &str, text: &str) {
        let mut needles = vec![text.as_bytes().to_vec(), hex::encode(text).into_bytes()];
        // Base64 of a text depends on where in a group of three bytes it begins; its middle is what is certain.
        for shift in 0..3 {
            let padded = format!("{}{text}", "-".repeat(shift));
            let whole = STANDARD.encode(&padded);
            needles.push(whole.as_bytes()[shift * 4 / 3 + 2..whole.len() - 4].to_vec());
        }
        self.all.push(Mark {
            place: place.to_owned(),
            needles,
        });
    }

    /// The marks that stand in some bytes.
    fn found_in(&self, bytes: &[u8]) -> Vec<&str> {
        let stands = |n: &Vec<u8>| bytes.windows(n.len()).any(|w| w.eq_ignore_ascii_case(n));
        self.all
            .iter()
            .filter(|m| m.needles.iter().any(stands))
            .map(|m| m.place.as_str())
            .collect()
    }
}

/// What must be clean, by name.
#[derive(Default)]
struct Surfaces(BTreeMap<String, Vec<u8>>);

impl Surfaces {
    fn add(&mut self, name: &str, bytes: impl AsRef<[u8]>) {
        self.0
            .entry(name.to_owned())
            .or_default()
            .extend_from_slice(bytes.as_ref());
    }

    fn ran(&mut self, name: &str, ran: &Ran) {
        self.add(name, &ran.out);
        self.add(name, &ran.err);
    }
}

/// A system of record and a model that repeat what they were told, and say so with every status.
fn vendor(mark: String) -> tl_connect::fake::http::Handler {
    let seen: Arc<Mutex<BTreeMap<String, u32>>> = Arc::default();
    Arc::new(move |request: Received| {
        let n = {
            let mut seen = seen.lock().unwrap();
            let n = seen
                .entry(format!("{} {}", request.method, request.path()))
                .or_default();
            *n += 1;
            *n
        };
        let reply = Reply::Answer(answer(&request, n, &mark));
        Box::pin(async move { reply })
    })
}

fn answer(request: &Received, n: u32, mark: &str) -> Answer {
    let told = String::from_utf8_lossy(&request.body).into_owned();
    let error = json!({ "error": { "message": format!("{mark}: {told}"), "code": mark } });
    if request.path().ends_with("/chat/completions") {
        return match n {
            1 => Answer::json(500, &error),
            2 => Answer::json(
                200,
                &completion(&format!("{mark} is what I think of {told}")),
            ),
            _ => {
                let nothing = json!({ "value": null, "quote": null, "confidence": 0.1 });
                let fields = json!({ "name": nothing, "company": { "value": mark, "quote": null, "confidence": 0.9 }, "phone": nothing });
                let said = json!({ "label": "demo", "confidence": 0.9, "fields": fields });
                Answer::json(200, &completion(&said.to_string()))
            }
        };
    }
    match (request.method.as_str(), n) {
        ("GET", _) => Answer::json(404, &error),
        (_, 1) => Answer::json(400, &error).with("x-error", mark),
        (_, 2) => Answer::json(500, &error),
        _ => Answer::json(200, &json!({ "id": mark, "said": told }))
            .with("etag", format!("\"{mark}\"")),
    }
}

/// The installation under test.
struct Installation {
    bench: Bench,
    address: String,
    child: Child,
    secret: String,
    key: String,
}

impl Installation {
    /// One request as bytes, one answer as bytes.
    fn raw(&self, request: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        // A server that has said no may close before it has read everything.
        let _ = stream.write_all(request);
        let mut out = Vec::new();
        let _ = stream.read_to_end(&mut out);
        out
    }

    fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
        let mut head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        self.raw(&[head.as_bytes(), body].concat())
    }

    /// A signed message; its answer.
    fn signed(&self, endpoint: &str, content_type: &str, key: &str, body: &[u8]) -> Vec<u8> {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, self.secret.as_bytes());
        let signature = format!("sha256={}", hex::encode(hmac::sign(&secret, body)));
        let headers = [
            ("content-type", content_type),
            ("idempotency-key", key),
            ("x-signature", &signature),
        ];
        self.post(&format!("/hooks/default/{endpoint}"), &headers, body)
    }

    fn json(&self, key: &str, body: &Json) -> Vec<u8> {
        self.signed("web", "application/json", key, body.to_string().as_bytes())
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn status(answer: &[u8]) -> u16 {
    let text = String::from_utf8_lossy(answer);
    text.split(' ')
        .nth(1)
        .and_then(|s| s.parse().ok())
        .unwrap_or(0)
}

fn install(
    runtime: &Runtime,
    marks: &mut Marks,
) -> (Installation, Vec<Server>, Arc<Mutex<Vec<u8>>>) {
    let bench = Bench::empty();
    let model = |id: &str, name: &str| {
        WORKFLOW
            .replace("id: lead", &format!("id: {id}"))
            .replace("MODEL", name)
    };
    let other = model("asked", "gpt")
        .replace("    web:", "    ask:")
        .replace("contact: { channel: form }", "form2: { channel: form }");
    let other = other
        .replace("    mail: { channel: email }\n", "")
        .replace("    notes: { channel: api, auth: api_key }\n", "");
    bench.write("workflows/lead/workflow.yaml", &model("lead", "local"));
    bench.write("workflows/asked/workflow.yaml", &other);
    for id in ["lead", "asked"] {
        let examples = "text,label\nplease show us a demo,demo\nwe want a demo,demo\nthanks a lot,other\nwe only say hello,other\n";
        bench.write(&format!("workflows/{id}/examples/intent.csv"), examples);
    }
    let crm = runtime
        .block_on(Server::start(
            ([127, 0, 0, 1], 0).into(),
            vendor(marks.word("answer of the CRM")),
        ))
        .unwrap();
    let gpt = runtime
        .block_on(Server::start(
            ([127, 0, 0, 1], 0).into(),
            vendor(marks.word("answer of the model")),
        ))
        .unwrap();
    let traces = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&traces);
    let collect = move |request: Received| {
        kept.lock().unwrap().extend_from_slice(&request.body);
        Box::pin(async { Reply::Answer(Answer::json(200, &json!({}))) }) as _
    };
    let collector = runtime
        .block_on(Server::start(([127, 0, 0, 1], 0).into(), Arc::new(collect)))
        .unwrap();
    let connections = format!(
        "connections:\n  crm: {{ kind: rest, base_url: \"http://{}\", auth: bearer, secret: \"env:CRM_TOKEN\" }}\n  \
         gpt: {{ kind: openai, base_url: \"http://{}/v1\", auth: {{ header: x-api-key }}, secret: \"file:gpt.key\", model: small }}\n",
        crm.addr(),
        gpt.addr()
    );
    bench.write("connections.yaml", &connections);
    bench.write("gpt.key", &marks.word("secret of the model"));
    let settings = format!(
        "allow_private_connections = [\"crm\", \"gpt\"]\nlog_level = \"{LOG_LEVEL}\"\notlp_endpoint = \"http://{}\"\n",
        collector.addr()
    );
    bench.write("throughline.toml", &settings);
    let secret = bench.secret("default/web");
    for (endpoint, place) in [
        ("contact", "secret of the form"),
        ("mail", "secret of the mail door"),
        ("ask", "secret of ask"),
    ] {
        marks.plant(place, &bench.secret(endpoint));
    }
    marks.plant("secret of the door", &secret);
    let scopes = [
        "key",
        "create",
        "--scope",
        "events",
        "--scope",
        "records:read",
        "--scope",
        "records:write",
        "--scope",
        "cases:read",
    ];
    let key = bench.json(&scopes)["key"].as_str().unwrap().to_owned();
    marks.plant("API key", &key);
    let log = File::create(bench.path().join("log")).unwrap();
    let mut child = bench
        .command(&["serve", "--listen", "127.0.0.1:0"])
        .env("CRM_TOKEN", marks.word("secret of the CRM"))
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let address = line
        .trim()
        .strip_prefix("listening on http://")
        .expect("the address")
        .to_owned();
    (
        Installation {
            bench,
            address,
            child,
            secret,
            key,
        },
        vec![crm, gpt, collector],
        traces,
    )
}

/// What people type: corrections, notes, and words where a code belongs.
fn people(i: &Installation, marks: &mut Marks, s: &mut Surfaces) {
    let open = |t: &Json| {
        t.as_array().unwrap().iter().any(|t| t["kind"] == "review")
            && t.as_array().unwrap().iter().any(|t| t["kind"] == "approve")
    };
    let tasks = i
        .bench
        .until(&["task", "list"], "a review and an approval", open);
    let of = |kind: &str| {
        tasks
            .as_array()
            .unwrap()
            .iter()
            .find(|t| t["kind"] == kind)
            .unwrap()["task"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let (review, approval) = (of("review"), of("approve"));
    let reason = format!(
        "{}@example.org called",
        marks.word("an address for a reason")
    );
    s.ran(
        "commands",
        &i.bench
            .run(&["task", "decide", &review, "close", "--reason", &reason]),
    );
    let (name, note) = (
        format!("name={}", marks.word("a corrected name")),
        marks.word("a note"),
    );
    let edit = [
        "task",
        "decide",
        &review,
        "edit",
        "--reason",
        "corrected",
        "--note",
        &note,
        "--set",
        &name,
        "--set",
        "size=7",
    ];
    let ran = i.bench.run(&edit);
    ran.expect(0, &["is decided"]);
    s.ran("commands", &ran);
    let sheet = i.bench.json(&["task", "show", &approval]);
    let digest = sheet["sends"]["digest"].as_str().unwrap().to_owned();
    let ran = i.bench.run(&[
        "task", "decide", &approval, "approve", "--reason", "read", "--digest", &digest,
    ]);
    ran.expect(0, &["is decided"]);
    s.ran("commands", &ran);
}

#[test]
fn no_mark_is_found_where_none_belongs() {
    let runtime = Runtime::new().unwrap();
    let (mut marks, mut s) = (Marks::default(), Surfaces::default());
    let (mut i, servers, traces) = install(&runtime, &mut marks);
    send_all(&i, &mut marks, &mut s);
    refuse_all(&i, &mut marks, &mut s);
    let failed = |e: &Json| {
        e.as_array()
            .unwrap()
            .iter()
            .any(|e| e["action"] == "crm_upsert" && e["state"] == "failed")
    };
    let effects = i
        .bench
        .until(&["effect", "list"], "a refusal of the CRM", failed);
    people(&i, &mut marks, &mut s);
    let lost = effects
        .as_array()
        .unwrap()
        .iter()
        .find(|e| e["state"] == "failed")
        .unwrap()["effect"]
        .as_str()
        .unwrap()
        .to_owned();
    s.ran(
        "commands",
        &i.bench
            .run(&["dead", "redrive", &lost, "--reason", "cause_mended"]),
    );
    let sent = |e: &Json| e["state"] == "succeeded";
    i.bench.until(&["effect", "show", &lost], "the write", sent);
    let asked = |e: &Json| {
        e.as_array()
            .unwrap()
            .iter()
            .any(|e| e["action"] == "gpt" && e["state"] == "succeeded")
    };
    i.bench.until(
        &["effect", "list", "--limit", "500"],
        "the answer of the model",
        asked,
    );
    i.bench.until(&["status"], "a batch of traces", |_| {
        !traces.lock().unwrap().is_empty()
    });
    // The marks are where they belong: what follows is no proof without that.
    let held = i.bench.run(&["effect", "show", &lost]);
    assert!(
        marks.found_in(held.out.as_bytes()).len() > 3,
        "{}",
        held.out
    );

    let attempts: Vec<Json> = i
        .bench
        .json(&["effect", "list", "--limit", "500"])
        .as_array()
        .unwrap()
        .iter()
        .map(|e| {
            i.bench
                .json(&["effect", "show", e["effect"].as_str().unwrap()])["tries"]
                .clone()
        })
        .collect();
    s.add("attempts", Json::from(attempts).to_string());
    let metrics = i.raw(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert_eq!(status(&metrics), 200);
    s.add("metrics", metrics);
    for args in [
        "status",
        "effect list",
        "dead list",
        "task list --all",
        "case list",
        "kill list",
        "endpoint list",
        "key list",
        "config",
        "versions",
    ] {
        let mut args: Vec<&str> = args.split(' ').collect();
        s.ran("lists", &i.bench.run(&args));
        args.push("--json");
        s.ran("lists", &i.bench.run(&args));
    }
    std::process::Command::new("kill")
        .args(["-TERM", &i.child.id().to_string()])
        .status()
        .unwrap();
    assert!(i.child.wait().unwrap().success());
    for tenant in ["default", "system"] {
        let export = i.bench.run(&["--tenant", tenant, "audit", "export"]);
        for line in export.out.lines() {
            let turn: Json = serde_json::from_str(line).unwrap();
            s.add(
                "audit heads",
                STANDARD
                    .decode(turn["head"].as_str().unwrap_or(""))
                    .unwrap(),
            );
        }
        s.ran("audit", &export);
    }
    s.add(
        "checkpoints",
        std::fs::read(i.bench.path().join("data/checkpoints.txt")).unwrap(),
    );
    s.add("log", std::fs::read(i.bench.path().join("log")).unwrap());
    s.add("traces", &*traces.lock().unwrap());
    drop(servers);

    let log = String::from_utf8_lossy(&s.0["log"]).into_owned();
    assert!(
        log.contains("\"DEBUG\"") && log.contains("refused"),
        "our crates log at every level"
    );
    assert!(!log.contains("panicked"), "{log}");
    let mut leaks = Vec::new();
    for (surface, bytes) in &s.0 {
        assert!(!bytes.is_empty(), "nothing of {surface} was looked at");
        leaks.extend(
            marks
                .found_in(bytes)
                .into_iter()
                .map(|place| format!("{place} in {surface}")),
        );
    }
    let bytes: usize = s.0.values().map(Vec::len).sum();
    println!(
        "{} marks, {} surfaces, {bytes} bytes, {} leaks",
        marks.all.len(),
        s.0.len(),
        leaks.len()
    );
    assert!(leaks.is_empty(), "{leaks:#?}");
}
