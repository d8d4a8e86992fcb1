//! What the simulated installation does: workflows that between them reach the outside through every effect class,
//! and messages for them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tl_kernel::digest::Digest;
use tl_kernel::id::TenantId;
use tl_kernel::program::Program;
use tl_lang::{Project, bundle_digest, load, render};

use crate::dice::Dice;
use crate::model;
use crate::vendor::{EXISTING, LEDGER};

/// A workflow of the simulated installation.
#[derive(Debug, Clone, Copy)]
pub struct Flow {
    /// Its id.
    pub id: &'static str,
    /// Its door.
    pub endpoint: &'static str,
    /// The connection it reaches the outside through.
    connection: &'static str,
    /// What differs from the others.
    tail: Tail,
}

/// What a workflow has after the common head.
#[derive(Debug, Clone, Copy)]
enum Tail {
    /// All of it.
    Own(&'static str),
    /// One write to a system, described by this, by the rules that all such workflows share.
    Writes(&'static str),
}

/// What all workflows begin with. A person has less than a minute, so that timers fire in the middle of runs.
const HEAD: &str = r#"
workflow: { id: ID, version: "VERSION", correlation_id: "${event.body.m}" }
record:
  type: lead
NATURAL  fields:
    email:  { type: email, required: true, use: control }
    name:   { type: string }
    size:   { type: int }
    m:      { type: string }
    text:   { type: text, untrusted: true }
    intent: { type: enum, values: [demo, pricing, other], from: ai }
ingress:
  gateway: { auth: api_key }
  channels: { ENDPOINT: { channel: api, text: event.body.text } }
states:
  needs_human: { sla: 40s, warn_at: 50% }
"#;

/// Joins by mail address, with the version read before the write.
const READ: &str = r#"
decision:
  branches:
    - { condition: "record.size >= 50", action: crm_upsert, reason: large }
    - { condition: "record.size >= 10 && policy_allows", action: crm_upsert, reason: big }
    - { condition: needs_human, action: human_queue }
    - { condition: "record.size < 5", action: close, reason: small }
    - default: human_queue
policy:
  crm_upsert: { auto: "record.size < 50", approve: operators }
side_effects:
  crm: { api: rest, connection: crm, path: "/leads/${record.email}", optimistic_lock: If-Match, idempotency_header: idempotency-key, valid_for: 1d }
"#;

/// Whoever is large enough is written to another system.
const WRITES: &str = r#"
decision:
  branches:
    - { condition: "record.size >= 5 && policy_allows", action: crm_upsert }
    - default: human_queue
policy: { crm_upsert: auto }
side_effects:
  crm: { SYSTEM }
"#;

/// The version is declared, so that the write is born on its way.
const DECLARED: &str = r#"api: rest, connection: crm-existing, path: "/of/VERSION/${event.id}", optimistic_lock: If-Match, base_version: '"1"', idempotency_header: idempotency-key"#;

/// The vendor honours a key and knows no versions.
const KEYED: &str = r#"api: rest, connection: keyed, path: "/of/VERSION/${event.id}", optimistic_lock: last_writer_wins, idempotency_header: idempotency-key"#;

/// The vendor knows neither keys nor versions, but can be asked what it has.
const FOUND: &str = r#"use: ledger.entry.add, connection: ledger, with: { version: "'VERSION'", email: record.email }, map: { name: record.name, size: record.size }"#;

/// The vendor knows nothing at all.
macro_rules! blind {
    ($on_unknown:literal) => {
        concat!(
            r#"api: rest, connection: blind, method: POST, path: "/of/VERSION/${event.id}", optimistic_lock: last_writer_wins, on_unknown: "#,
            $on_unknown
        )
    };
}

/// A model reads the text; the record goes to the built-in store and a message to the outbox, some after approval and
/// for a short while only. Who a note goes to is not checked: it needs a person although the policy says `auto`.
const WITH_MODEL: &str = r#"
worker:
  ai_step: { optional: true, when_state: triaged, modes: [classify], output: { confidence, structured_fields }, model: gpt, classify: { field: intent } }
decision:
  threshold: 0.5
  branches:
    - { condition: "confidence >= threshold && record.size == 30", action: [crm_upsert, note] }
    - { condition: "confidence >= threshold && policy_allows", action: [crm_upsert, ack] }
    - { condition: "confidence >= threshold", action: [crm_upsert, reply] }
    - { condition: needs_human, action: human_queue }
    - default: deny
policy:
  crm_upsert: auto
  ack: { auto: "record.intent == 'demo'", never: "record.intent == 'other'", limit: 1 per contact per hour }
  reply: { approve: operators, limit: 3 per contact per day }
  note: auto
side_effects:
  crm: { api: records, key: "${record.email}" }
  messaging:
    ack: { channel: email, via: outbox, to: record.email, subject: "Hello", text: "We have it, ${record.name}", check: verified_sender }
    reply: { channel: email, via: outbox, to: record.email, subject: "Hello", text: "About ${record.intent}: yes, ${record.name}", check: verified_sender, valid_for: 30s }
    note: { channel: email, via: outbox, to: record.email, subject: "Hello", text: "Noted, ${record.name}" }
"#;

/// Every workflow; the blind ones last.
pub const FLOWS: [Flow; 8] = [
    flow(("read", "api_read"), "crm", Tail::Own(READ)),
    flow(
        ("model", "api_model"),
        model::CONNECTION,
        Tail::Own(WITH_MODEL),
    ),
    flow(
        ("declared", "api_declared"),
        EXISTING,
        Tail::Writes(DECLARED),
    ),
    flow(("keyed", "api_keyed"), "keyed", Tail::Writes(KEYED)),
    flow(("found", "api_found"), LEDGER, Tail::Writes(FOUND)),
    flow(("hold", "api_hold"), "blind", Tail::Writes(blind!("hold"))),
    flow(
        ("assume", "api_assume"),
        "blind",
        Tail::Writes(blind!("assume_sent")),
    ),
    flow(
        ("resend", "api_resend"),
        "blind",
        Tail::Writes(blind!("resend")),
    ),
];

/// How many of them are not blind.
pub const SEEING: usize = 5;

const fn flow(
    (id, endpoint): (&'static str, &'static str),
    connection: &'static str,
    tail: Tail,
) -> Flow {
    Flow {
        id,
        endpoint,
        connection,
        tail,
    }
}

/// The connections.
const CONNECTIONS: [(&str, &str); 6] = [
    ("crm", r#"kind: rest, base_url: "https://crm.example""#),
    (
        EXISTING,
        r#"kind: rest, base_url: "https://existing.example""#,
    ),
    ("keyed", r#"kind: rest, base_url: "https://keyed.example""#),
    (
        LEDGER,
        r#"kind: ledger, base_url: "https://ledger.example""#,
    ),
    ("blind", r#"kind: rest, base_url: "https://blind.example""#),
    (
        model::CONNECTION,
        r#"kind: openai, base_url: "https://gpt.example/v1", model: simulated"#,
    ),
];

/// A system that takes whatever it is sent, once more each time, and lists what it has.
const LEDGER_FILE: &str = r#"
connector: ledger
title: Ledger
actions:
  entry.add:
    class: E3
    arguments:
      version: { required: true }
      email: { type: email, required: true, control: record }
    fields: {}
    request:
      path: "/of/${args.version}/entries"
      json: { email: "${args.email}", "...": "${fields}" }
    look_up:
      request: { path: "/of/${args.version}/entries", query: { email: "${args.email}" } }
      found: answer.body.entries.filter(e, e.name == fields.name).map(e, e.id)
      absent_is: certain
"#;

/// Workflows that were compiled before, by the digest of their files: all runs of a process deploy the same ones.
static COMPILED: Mutex<BTreeMap<Digest, Arc<Program>>> = Mutex::new(BTreeMap::new());

/// A workflow of a project, compiled.
pub fn compiled(project: &Project, id: &str) -> anyhow::Result<Arc<Program>> {
    let digest = bundle_digest(project, id);
    let known = || COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(program) = known().get(&digest) {
        return Ok(Arc::clone(program));
    }
    let loaded = load(project, id);
    let Some(program) = loaded.program else {
        let text = render(&loaded.diags, |f| project.text(f), false);
        anyhow::bail!("workflow {id} does not load:\n{text}");
    };
    let program = Arc::new(program);
    known().insert(digest, Arc::clone(&program));
    Ok(program)
}

impl Flow {
    /// Whether it writes through this connection.
    pub fn reaches(&self, connection: &str) -> bool {
        self.connection == connection
    }

    /// The files of a version of it. Where it writes, the path says which version it was.
    pub fn project(&self, version: u32) -> Project {
        let natural = if self.id == "read" {
            "  natural_key: \"mail:${record.email}\"\n  on_match: update\n"
        } else {
            ""
        };
        let head = HEAD
            .replace("ID", self.id)
            .replace("NATURAL", natural)
            .replace("ENDPOINT", self.endpoint);
        // The field that the model fills is only there where one is asked.
        let head = if self.id == "model" {
            head
        } else {
            head.replace(
                "    intent: { type: enum, values: [demo, pricing, other], from: ai }\n",
                "",
            )
        };
        let tail = match self.tail {
            Tail::Own(text) => text.to_owned(),
            Tail::Writes(system) => WRITES.replace("SYSTEM", system),
        };
        let text = format!("{head}{tail}").replace("VERSION", &version.to_string());
        let mut connections = CONNECTIONS
            .iter()
            .filter(|(name, _)| *name == self.connection);
        let connections = connections.next().map_or_else(String::new, |(name, what)| {
            format!("connections:\n  {name}: {{ {what} }}\n")
        });
        let mut files = BTreeMap::from([("connections.yaml".to_owned(), connections.into_bytes())]);
        if self.connection == LEDGER {
            files.insert("connectors/ledger.yaml".into(), LEDGER_FILE.into());
        }
        files.insert(
            format!("workflows/{}/workflow.yaml", self.id),
            text.into_bytes(),
        );
        Project { files }
    }
}

/// A message that somebody wants to be accepted.
#[derive(Debug, Clone)]
pub struct Letter {
    /// Its number within the run.
    pub n: u32,
    /// The tenant it is for, by position.
    pub tenant: u32,
    /// The workflow it is for.
    pub flow: Flow,
    /// The sender's id for it.
    pub id: String,
    /// Its bytes.
    pub body: String,
}

/// What no other tenant may ever see.
pub fn canary(tenant: u32) -> String {
    format!("canary-of-tenant-{tenant}")
}

/// The workflows of a tenant: the second one has fewer.
pub fn flows_of(tenant: TenantId, flows: &[Flow]) -> &[Flow] {
    match tenant {
        TenantId(2) => &flows[..3],
        _ => flows,
    }
}

/// Draws the messages of a run.
pub fn letters(dice: &mut Dice, flows: &[Flow], count: u32) -> Vec<Letter> {
    let mut out = Vec::new();
    for n in 0..count {
        let tenant = 1 + u32::from(dice.chance(200));
        let flows = flows_of(TenantId(tenant), flows);
        let flow = flows[n as usize % flows.len()];
        // Few addresses, so that messages meet in cases, records and limits.
        let address = format!("p{}@x{}.example", dice.below(12), tenant);
        let size = *dice.pick(&[3, 7, 12, 20, 30, 60]);
        let about = *dice.pick(&model::LABELS);
        let id = format!("m{n}-{:08x}", dice.bits() as u32);
        let email = if dice.chance(60) {
            String::new()
        } else {
            format!(r#""email":"{address}","#)
        };
        let body = format!(
            r#"{{{email}"name":"{} {n}","size":{size},"m":"{id}","text":"I write about {about}, {}"}}"#,
            canary(tenant),
            canary(tenant)
        );
        out.push(Letter {
            n,
            tenant,
            flow,
            id,
            body,
        });
    }
    out
}
