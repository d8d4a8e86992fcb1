//! Hygiene: every personal field, key and secret carries a mark of its own, through all doors, the models, the CRM
//! and the commands, accepted and refused. Afterwards no mark stands in logs, metrics, traces, answers, the audit or
//! lists. The log is set to everything meanwhile.

#[allow(dead_code, reason = "each suite uses its own part of the bench")]
#[path = "cli/bench.rs"]
mod bench;

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
use serde_json::{Value as Json, json};
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

/// A message whose every field is marked.
fn lead(marks: &mut Marks, place: &str) -> Json {
    let mut word = |field: &str| marks.word(&format!("{field} of {place}"));
    let (name, company, local, host) = (
        word("name"),
        word("company"),
        word("mailbox"),
        word("domain"),
    );
    let message = format!("please show us a demo, {}", word("message"));
    json!({
        "name": name, "company": company, "email": format!("{local}@{host}.example"), "size": 3,
        "phone": marks.phone(&format!("phone of {place}")), "message": message,
    })
}

/// Every kind of message that is taken; the cases they opened.
fn send_all(i: &Installation, marks: &mut Marks, s: &mut Surfaces) {
    let body = lead(marks, "a signed message");
    let key = marks.word("idempotency key");
    for expected in [202, 200] {
        let answer = i.json(&key, &body);
        assert_eq!(
            status(&answer),
            expected,
            "{}",
            String::from_utf8_lossy(&answer)
        );
        s.add("answers", answer);
    }
    let mut other = body.clone();
    other["message"] = marks.word("message of a duplicate with other bytes").into();
    s.add("answers", i.json(&key, &other));
    let mut joined = lead(marks, "a message that joins");
    joined["email"] = body["email"].clone();
    s.add("answers", i.json(&marks.word("idempotency key"), &joined));
    let mut big = lead(marks, "a message for a person");
    big["size"] = 5000.into();
    s.add("answers", i.json(&marks.word("idempotency key"), &big));
    let mut asked = lead(marks, "a message for the other model");
    asked["message"] = format!("my name is {}", marks.word("message to the model")).into();
    let secret = i.bench.secret("ask");
    marks.plant("secret of ask", &secret);
    let signing = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let text = asked.to_string();
    let signature = format!(
        "sha256={}",
        hex::encode(hmac::sign(&signing, text.as_bytes()))
    );
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", "k"),
        ("x-signature", &signature),
    ];
    let answer = i.post("/hooks/default/ask", &headers, text.as_bytes());
    assert_eq!(status(&answer), 202, "{}", String::from_utf8_lossy(&answer));
    s.add("answers", answer);
    for (endpoint, kind, body) in [
        ("contact", "application/x-www-form-urlencoded", form(marks)),
        ("mail", "message/rfc822", mail(marks)),
    ] {
        let secret = i.bench.secret(endpoint);
        marks.plant("secret of a door", &secret);
        let signing = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let signature = format!("sha256={}", hex::encode(hmac::sign(&signing, &body)));
        let key = marks.word("idempotency key");
        let headers = [
            ("content-type", kind),
            ("idempotency-key", key.as_str()),
            ("x-signature", &signature),
        ];
        let answer = i.post(&format!("/hooks/default/{endpoint}"), &headers, &body);
        assert_eq!(
            status(&answer),
            202,
            "{endpoint} {}",
            String::from_utf8_lossy(&answer)
        );
        s.add("answers", answer);
    }
    let note = lead(marks, "a note through the API");
    let bearer = format!("Bearer {}", i.key);
    let key = marks.word("idempotency key of the API");
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", key.as_str()),
        ("authorization", bearer.as_str()),
    ];
    let envelope = json!({ "endpoint": "notes", "body": note, "payload": note });
    s.add(
        "answers",
        i.post("/v1/events", &headers, envelope.to_string().as_bytes()),
    );
    s.add(
        "answers",
        i.post(
            "/hooks/default/notes",
            &headers,
            note.to_string().as_bytes(),
        ),
    );
}

fn form(marks: &mut Marks) -> Vec<u8> {
    let (name, local, message) = (
        marks.word("name in a form"),
        marks.word("mailbox in a form"),
        marks.word("message in a form"),
    );
    let phone = marks.phone("phone in a form").replace('+', "%2B");
    format!(
        "name={name}&email={local}%40example.org&phone={phone}&message=we+want+a+demo+{message}"
    )
    .into_bytes()
}

fn mail(marks: &mut Marks) -> Vec<u8> {
    let mut word = |what: &str| marks.word(&format!("{what} of a mail"));
    let (name, local, subject, text) =
        (word("name"), word("mailbox"), word("subject"), word("text"));
    let (id, header) = (word("message id"), word("header"));
    format!(
        "From: \"{name}\" <{local}@example.org>\r\nTo: sales@example.com\r\nSubject: {subject}\r\nMessage-ID: <{id}@example.org>\r\n\
         X-Personal: {header}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nplease show us a demo, {text}\r\n"
    )
    .into_bytes()
}

/// Every kind of message and request that is refused.
fn refuse_all(i: &Installation, marks: &mut Marks, s: &mut Surfaces) {
    let json_type = ("content-type", "application/json");
    let bearer = format!("Bearer {}", i.key);
    let mut answers: Vec<(&str, Vec<u8>)> = Vec::new();
    let body = |marks: &mut Marks, place: &str| lead(marks, place).to_string().into_bytes();

    let wrong = format!("sha256={}", marks.word("wrong signature"));
    let b = body(marks, "a message with a wrong signature");
    answers.push((
        "wrong signature",
        i.post(
            "/hooks/default/web",
            &[json_type, ("x-signature", &wrong)],
            &b,
        ),
    ));
    let b = body(marks, "a message without a signature");
    answers.push((
        "no signature",
        i.post("/hooks/default/web", &[json_type], &b),
    ));
    for path in [
        "/hooks/default/",
        "/hooks/",
        "/v1/records/lead/",
        "/v1/cases/",
        "/",
        "/v1/events?email=",
        "/hooks/default/web?email=",
    ] {
        let path = format!("{path}{}", marks.word("path of a request"));
        let b = body(marks, "a message to nowhere");
        answers.push((
            "path",
            i.post(&path, &[json_type, ("authorization", &bearer)], &b),
        ));
        let get = format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: {bearer}\r\n\r\n"
        );
        answers.push(("path", i.raw(get.as_bytes())));
    }
    let signed = [
        ("application/json", r#"{"name":"MARK""#, "broken JSON"),
        (
            "application/json",
            r#"{"name":"x","name":"MARK"}"#,
            "a doubled name",
        ),
        (
            "application/json",
            r#"{"MARK":1,"MARK":2}"#,
            "a doubled property",
        ),
        (
            "application/json",
            r#"{"name":"x","size":["MARK"]}"#,
            "a list for a number",
        ),
        (
            "application/json",
            r#"{"name":["MARK"],"email":{"MARK":1}}"#,
            "a list for a text",
        ),
        ("application/json", r#"["MARK"]"#, "a list for an object"),
        ("application/json", "MARK", "no JSON"),
        ("text/MARK", "MARK", "another type"),
        (
            "application/json; charset=MARK",
            r#"{"name":"MARK"}"#,
            "another character set",
        ),
    ];
    for (kind, text, place) in signed {
        let mark = marks.word(place);
        let text = text.replace("MARK", &mark);
        let key = marks.word("idempotency key of a refused message");
        answers.push((
            place,
            i.signed("web", &kind.replace("MARK", &mark), &key, text.as_bytes()),
        ));
    }
    let long = marks.word("long idempotency key").repeat(40);
    answers.push((
        "long key",
        i.json(&long, &lead(marks, "a message with a long key")),
    ));
    let mark = marks.word("bearer of nobody");
    for token in [
        format!("Bearer {mark}"),
        format!("Bearer tl_{mark}"),
        format!("Basic {mark}"),
    ] {
        let b = body(marks, "a message of nobody");
        answers.push((
            "bearer",
            i.post(
                "/v1/events",
                &[
                    json_type,
                    ("idempotency-key", &mark),
                    ("authorization", &token),
                ],
                &b,
            ),
        ));
        answers.push((
            "bearer",
            i.post(
                "/hooks/default/notes",
                &[json_type, ("authorization", &token)],
                &b,
            ),
        ));
    }
    let key = marks.word("reused key");
    for place in ["the first use of a key", "the second use of a key"] {
        let headers = [
            json_type,
            ("idempotency-key", key.as_str()),
            ("authorization", bearer.as_str()),
        ];
        let note = lead(marks, place);
        answers.push((
            "reused key",
            i.post(
                "/v1/events",
                &headers,
                json!({ "endpoint": "notes", "body": note })
                    .to_string()
                    .as_bytes(),
            ),
        ));
    }
    let record = marks.word("id of a record");
    for (method, header, text) in [
        ("PUT", "x-a: b", r#"{"name":"MARK"}"#),
        ("PUT", "if-match: \"MARK\"", r#"{"name":"MARK"}"#),
        ("PUT", "if-none-match: *", r#"{"MARK":"#),
        ("PATCH", "if-match: MARK", r#"{"name":"MARK"}"#),
        ("DELETE", "if-match: MARK", ""),
        ("MARK", "x-MARK: MARK", ""),
        ("POST", "content-encoding: MARK", "MARK"),
        ("POST", "transfer-encoding: MARK", "MARK"),
    ] {
        let mark = marks.word("a record write");
        let (method, header, text) = (
            method.replace("MARK", &mark),
            header.replace("MARK", &mark),
            text.replace("MARK", &mark),
        );
        let request = format!(
            "{method} /v1/records/lead/{record} HTTP/1.1\r\nhost: {mark}\r\nconnection: close\r\nauthorization: {bearer}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n{header}\r\n\r\n{text}",
            text.len()
        );
        answers.push(("record", i.raw(request.as_bytes())));
    }
    for broken in [
        "MARK\r\n\r\n",
        "GET /MARK HTTP/9.9\r\nhost: x\r\n\r\n",
        "POST / HTTP/1.1\r\nMARK\r\n\r\n",
        "GET /%zzMARK HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    ] {
        let mark = marks.word("a broken request");
        answers.push(("broken", i.raw(broken.replace("MARK", &mark).as_bytes())));
    }
    let correlation = format!(
        "{}@example.org",
        marks.word("correlation id with an address")
    );
    let headers = [
        json_type,
        ("x-correlation-id", correlation.as_str()),
        ("x-signature", "sha256=00"),
    ];
    answers.push(("correlation", i.post("/hooks/default/web", &headers, b"{}")));
    for (what, answer) in answers {
        let status = status(&answer);
        // The API gives a caller's own record back; that is its answer, not a leak.
        if what == "record" && status < 300 {
            continue;
        }
        // Bytes that are no request may be given no answer at all.
        let refused = status == 0 || status >= 400;
        assert!(refused || what == "reused key", "{what}: {status}");
        s.add("answers", answer);
    }
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
