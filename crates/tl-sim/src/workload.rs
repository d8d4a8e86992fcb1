//! What the simulated installation does: workflows that between them reach the outside through every effect class,
//! and messages for them.

use std::collections::BTreeMap;

use tl_lang::Project;

use crate::dice::Dice;

/// A workflow of the simulated installation.
#[derive(Debug, Clone, Copy)]
pub struct Flow {
    /// Its id.
    pub id: &'static str,
    /// Its door.
    pub endpoint: &'static str,
    /// What differs from the others: the text after the common head.
    tail: &'static str,
}

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

/// The version is declared, so that the write is born on its way.
const DECLARED: &str = r#"
decision:
  branches:
    - { condition: "record.size >= 5 && policy_allows", action: crm_upsert }
    - default: human_queue
policy: { crm_upsert: auto }
side_effects:
  crm: { api: rest, connection: crm-existing, path: "/leads/${event.id}", optimistic_lock: If-Match, base_version: '"1"', idempotency_header: idempotency-key }
"#;

/// The vendor honours a key and knows no versions.
const KEYED: &str = r#"
decision:
  branches:
    - { condition: "record.size >= 5 && policy_allows", action: crm_upsert }
    - default: human_queue
policy: { crm_upsert: auto }
side_effects:
  crm: { api: rest, connection: keyed, path: "/leads/${event.id}", optimistic_lock: last_writer_wins, idempotency_header: idempotency-key }
"#;

macro_rules! blind {
    ($on_unknown:literal) => {
        concat!(
            r#"
decision:
  branches:
    - { condition: "record.size >= 5 && policy_allows", action: crm_upsert }
    - default: human_queue
policy: { crm_upsert: auto }
side_effects:
  crm: { api: rest, connection: blind, method: POST, path: "/hooks/${event.id}", optimistic_lock: last_writer_wins, on_unknown: "#,
            $on_unknown,
            " }\n"
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

/// Every workflow, in the order of their classes.
pub const FLOWS: [Flow; 7] = [
    Flow {
        id: "read",
        endpoint: "api_read",
        tail: READ,
    },
    Flow {
        id: "declared",
        endpoint: "api_declared",
        tail: DECLARED,
    },
    Flow {
        id: "keyed",
        endpoint: "api_keyed",
        tail: KEYED,
    },
    Flow {
        id: "model",
        endpoint: "api_model",
        tail: WITH_MODEL,
    },
    Flow {
        id: "hold",
        endpoint: "api_hold",
        tail: blind!("hold"),
    },
    Flow {
        id: "assume",
        endpoint: "api_assume",
        tail: blind!("assume_sent"),
    },
    Flow {
        id: "resend",
        endpoint: "api_resend",
        tail: blind!("resend"),
    },
];

const CONNECTIONS: &str = r#"
connections:
  crm: { kind: rest, base_url: "https://crm.example" }
  crm-existing: { kind: rest, base_url: "https://existing.example" }
  keyed: { kind: rest, base_url: "https://keyed.example" }
  blind: { kind: rest, base_url: "https://blind.example" }
  gpt: { kind: openai, base_url: "https://gpt.example/v1", model: simulated }
"#;

impl Flow {
    /// The files of a version of it.
    pub fn project(&self, version: u32) -> Project {
        let natural = if self.id == "read" {
            "  natural_key: \"mail:${record.email}\"\n  on_match: update\n"
        } else {
            ""
        };
        let head = HEAD
            .replace("ID", self.id)
            .replace("VERSION", &version.to_string())
            .replace("NATURAL", natural)
            .replace("ENDPOINT", self.endpoint);
        // The model's connection is only known to the flow that asks it, the field it fills as well.
        let head = if self.id == "model" {
            head
        } else {
            head.replace(
                "    intent: { type: enum, values: [demo, pricing, other], from: ai }\n",
                "",
            )
        };
        let path = format!("workflows/{}/workflow.yaml", self.id);
        Project {
            files: BTreeMap::from([
                (path, format!("{head}{}", self.tail).into_bytes()),
                ("connections.yaml".into(), CONNECTIONS.as_bytes().to_vec()),
            ]),
        }
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

/// Draws the messages of a run.
pub fn letters(dice: &mut Dice, flows: &[Flow], count: u32) -> Vec<Letter> {
    let mut out = Vec::new();
    for n in 0..count {
        let flow = flows[n as usize % flows.len()];
        let tenant = 1 + u32::from(dice.chance(200));
        // Few addresses, so that messages meet in cases, records and limits.
        let address = format!("p{}@x{}.example", dice.below(12), tenant);
        let size = *dice.pick(&[3, 7, 12, 20, 30, 60]);
        let about = *dice.pick(&crate::model::LABELS);
        let id = format!("m{n}-{:08x}", dice.bits() as u32);
        let email = if dice.chance(60) {
            String::new()
        } else {
            format!(r#""email":"{address}","#)
        };
        let body = format!(
            r#"{{{email}"name":"{} {n}","size":{size},"m":"{id}","text":"I write about {about}"}}"#,
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
