//! What happens in a test: messages to the doors, time that passes, people who decide, systems that fail.

use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use axum::body::{Body, to_bytes};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Request;
use serde_json::json;
use tl_connect::fake::crm::{Fault, On};
use tl_kernel::decide::{Input, TaskDecision};
use tl_kernel::id::TenantId;
use tl_kernel::journal::Actor;
use tl_lang::Project;
use tl_store::contract::{CaseFilter, EffectFilter, Row, TaskFilter};
use tl_wire::signature::{Encoding, HmacScheme, Scheme, Secret, SignedString, Stamp, sign};
use tower::ServiceExt;

use crate::bench::{Bench, SECRET, START, TENANT, TENANT_NAME, api_key};

/// Largest answer of a door that is read.
const ANSWER: usize = 1 << 16;

/// One thing that happens.
#[derive(Debug, Clone, Copy)]
pub enum Act {
    /// A JSON message comes to the door `webhook`, signed as usual.
    Say(&'static str),
    /// A message comes as it is described.
    Post(Post),
    /// So much time passes, µs.
    Wait(i64),
    /// A person decides the first open task.
    Decide(&'static str),
    /// The CRM's answer to the next write is lost after the write was applied.
    LoseAnswer,
    /// A person creates this record in the CRM.
    Edit(&'static str, &'static str),
    /// The tenant sets a flag, over the installation's.
    Flag(&'static str),
}

/// A message.
#[derive(Debug, Clone, Copy)]
pub struct Post {
    /// `hooks`, `forms`, or `events`.
    pub way: &'static str,
    pub door: &'static str,
    pub by: By,
    pub header: Option<(&'static str, &'static str)>,
    pub content_type: &'static str,
    pub body: &'static str,
}

/// The usual message.
pub const POST: Post = Post {
    way: "hooks",
    door: "webhook",
    by: By::Hmac(USUAL),
    header: None,
    content_type: "application/json",
    body: LEAD,
};

/// The usual lead.
pub const LEAD: &str = r#"{"id":"m-1","name":"Ada","email":"ada@x.example","phone":"+442079460000","message":"please show me a demo of Acme"}"#;

/// How a sender proves who it is.
#[derive(Debug, Clone, Copy)]
pub enum By {
    Hmac(Hmac),
    Standard,
    /// A token of this algorithm, from the usual issuer for the usual audience.
    Token(&'static str),
    Key,
}

/// The settings of a signature.
#[derive(Debug, Clone, Copy)]
pub struct Hmac {
    pub header: &'static str,
    pub prefix: &'static str,
    pub base64: bool,
    pub signed: &'static str,
    pub timestamp: Option<&'static str>,
    pub id: Option<&'static str>,
}

/// The signature of a file that says nothing about it.
pub const USUAL: Hmac = Hmac {
    header: "x-signature",
    prefix: "sha256=",
    base64: false,
    signed: "{body}",
    timestamp: None,
    id: None,
};

impl Act {
    pub async fn happen(self, bench: &mut Bench) {
        match self {
            Act::Say(body) => post(bench, &Post { body, ..POST }).await,
            Act::Post(p) => post(bench, &p).await,
            Act::Wait(us) => bench.clock.advance(us),
            Act::Decide(decision) => decide(bench, decision).await,
            Act::LoseAnswer => bench.crm.script(On::Writes, Fault::ResetAfterApplying, 1),
            Act::Edit(path, json) => {
                let fields = serde_json::from_str(json).expect("an object");
                bench.crm.edit(path, fields);
            }
            Act::Flag(name) => {
                let flag = |value| Row::Flag {
                    name: name.into(),
                    value: Some(value),
                };
                bench.change(TenantId::SYSTEM, flag(false)).await;
                bench.change(TENANT, flag(true)).await;
            }
        }
        bench.settle().await;
    }
}

async fn post(bench: &Bench, p: &Post) {
    let target = match p.way {
        "events" => "/v1/events".to_owned(),
        way => format!("/{way}/{TENANT_NAME}/{}", p.door),
    };
    let mut request = Request::post(target)
        .header("content-type", p.content_type)
        .header("content-length", p.body.len());
    for (name, value) in proof(p).iter().chain(&plain(p.header)) {
        request = request.header(name, value);
    }
    let request = request.body(Body::from(p.body)).expect("a request");
    let Ok(answer) = bench.router.clone().oneshot(request).await;
    let status = answer.status();
    let said = to_bytes(answer.into_body(), ANSWER)
        .await
        .expect("an answer");
    let said = String::from_utf8_lossy(&said).into_owned();
    bench.log.say(&format!("door {status} {said}"));
}

fn plain(header: Option<(&str, &str)>) -> Vec<(String, String)> {
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    header.into_iter().map(own).collect()
}

/// The headers that prove who sends it.
fn proof(p: &Post) -> Vec<(String, String)> {
    let secret = Secret::new("k1", SECRET, 0, None).expect("a secret");
    let stamp = Stamp {
        delivery_id: Some("d-1"),
        timestamp_s: START / 1_000_000,
    };
    let signed = |scheme: Scheme| {
        sign(&scheme, &secret, stamp, p.body.as_bytes()).expect("it can be signed")
    };
    let bearer = |text: String| vec![("authorization".to_owned(), format!("Bearer {text}"))];
    match p.by {
        By::Hmac(h) => signed(Scheme::Hmac(HmacScheme {
            header: h.header.into(),
            prefix: h.prefix.into(),
            encoding: if h.base64 {
                Encoding::Base64
            } else {
                Encoding::Hex
            },
            signed: SignedString::parse(h.signed).expect("a template"),
            timestamp_header: h.timestamp.map(str::to_owned),
            id_header: h.id.map(str::to_owned),
        })),
        By::Standard => signed(Scheme::StandardWebhooks),
        By::Token(algorithm) => bearer(token(algorithm)),
        By::Key => bearer(api_key().to_text()),
    }
}

fn issuer() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[9; 32]).expect("a key pair")
}

/// The key set of the issuer of tokens.
pub fn key_set() -> String {
    let x = URL_SAFE_NO_PAD.encode(issuer().public_key());
    json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "x": x }] })
        .to_string()
}

fn token(algorithm: &str) -> String {
    let part = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let now = START / 1_000_000;
    let head = part(json!({ "alg": algorithm, "typ": "JWT" }));
    let claims = part(json!({
        "iss": "i", "aud": "a", "sub": "s", "scope": "events", "tenant": TENANT_NAME,
        "iat": now, "nbf": now, "exp": now + 300, "jti": "t-1",
    }));
    let text = format!("{head}.{claims}");
    let signature = if algorithm == "HS256" {
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
    } else {
        issuer().sign(text.as_bytes()).as_ref().to_vec()
    };
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

async fn decide(bench: &Bench, decision: &str) {
    let store = bench.desk.store();
    let filter = CaseFilter {
        tenant: Some(TENANT),
        limit: 1,
        ..CaseFilter::default()
    };
    let case = store.cases(filter).await.expect("cases").remove(0).case;
    let filter = TaskFilter {
        tenant: Some(TENANT),
        case: Some(case),
        limit: 1,
        ..TaskFilter::default()
    };
    let task = store.tasks(filter).await.expect("tasks").remove(0);
    let filter = EffectFilter {
        tenant: Some(TENANT),
        case: Some(case),
        limit: 50,
        ..EffectFilter::default()
    };
    let effects = store.effects(filter).await.expect("effects");
    let shown = effects.iter().find(|e| Some(e.effect.n) == task.effect);
    let input = Input::TaskDecided(TaskDecision {
        n: task.task.n,
        by: Actor::Person("anna".into()),
        decision: decision.into(),
        reason: "ok".into(),
        note: None,
        edits: Vec::new(),
        digest: shown.map(|e| e.digest),
    });
    let decided = bench
        .desk
        .advance((TENANT, case), input, Vec::new(), None)
        .await;
    decided.expect("the decision is taken");
}

/// The shortest file that does something to look at: every message goes to a person, and no model is asked.
const SHORTEST: [&str; 4] = [
    "workflow: { id: w, version: 1 }",
    "ingress: { channels: [webhook] }",
    "worker: { ai_step: none }",
    "decision: { branches: [{ default: human_queue }] }",
];

/// A project around one workflow file: the shortest one, with the lines of `part` in the place of the keys that
/// they begin with. A line `-key` takes the key out.
pub fn project(part: &str) -> Project {
    let top = |line: &str| {
        let line = line.trim_start_matches('-');
        line.split(':').next().unwrap_or_default().to_owned()
    };
    let given: Vec<&str> = part.lines().collect();
    let kept = SHORTEST
        .into_iter()
        .filter(|line| !given.iter().any(|g| top(g) == top(line)));
    let added = given.iter().copied().filter(|g| !g.starts_with('-'));
    let source: Vec<&str> = kept.chain(added).collect();
    let below = |path: &str| format!("workflows/w/{path}");
    let files = BTreeMap::from([
        (below("workflow.yaml"), source.join("\n")),
        (
            below("schemas/s.json"),
            r#"{"type":"object","required":["seats"]}"#.into(),
        ),
        (below("prompts/p.md"), "Be brief.".into()),
        (below("templates/m.md"), "From the file.".into()),
        (
            below("examples/e.csv"),
            "text,label\nshow me how it works,demo\na demo please,demo\nwhat is the price,pricing\nsend a quote,pricing\n".into(),
        ),
        (below("tables/t.csv"), "name,owner\nAda,anna\n-,ben\n".into()),
        (below("tables/u.csv"), "name,owner,territory\nAda,ben,uki\n".into()),
        (below("tables/tags.csv"), "name,tags\nAda,a\n-,b\n".into()),
        (below("keys.json"), key_set()),
        ("teams.yaml".into(), "people: [anna, ben]".into()),
        (
            "connections.yaml".into(),
            "connections:\n  gpt: { kind: openai, base_url: 'https://m.example.com' }\n  crm: { base_url: 'https://c.example.com' }\n  other: { base_url: 'https://c.example.com' }\n  web: { kind: http, auth: none, base_url: 'https://c.example.com' }\n  web2: { kind: http, auth: none, base_url: 'https://c.example.com' }\n".into(),
        ),
    ]);
    Project {
        files: files
            .into_iter()
            .map(|(path, text)| (path, text.into_bytes()))
            .collect(),
    }
}
