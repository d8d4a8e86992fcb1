//! What `check` says about a file that loads: one line per case.

mod common;

use common::shown;
use tl_lang::{Project, load};

const DECISION: &str = "decision: { branches: [{ default: human_queue }] }";

const DRAFTED: &str = "ingress: { channels: [form] }\nside_effects: { messaging: { reply: { channel: email, to: record.email } } }\nworker: { ai_step: { draft: { effect: reply } } }";

/// Parts of the file, and what a note says; empty: no note.
#[rustfmt::skip]
const CASES: &[(&str, &str)] = &[
    ("ingress: { channels: [form] }", ""),
    // Two messages with one body are one.
    ("ingress: { channels: [form], gateway: { idempotency: header_idempotency_key } }", "identical bodies count as one"),
    ("ingress: { channels: { form: { idempotency: header_idempotency_key } } }", "identical bodies count as one"),
    ("ingress: { channels: [api], gateway: { idempotency: header_idempotency_key } }", "identical bodies count as one"),
    ("ingress: { channels: [webhook], gateway: { auth: standard_webhooks, idempotency: header_idempotency_key } }", ""),
    ("ingress: { channels: [webhook], gateway: { auth: standard_webhooks | hmac_signature, idempotency: header_idempotency_key } }", "identical bodies count as one"),
    ("ingress: { channels: [webhook], gateway: { auth: { hmac_signature: { signed: '{id}.{body}', id_header: x-id } }, idempotency: header_idempotency_key } }", ""),
    ("ingress: { channels: [webhook], gateway: { idempotency: '${event.body.id}' } }", ""),
    // Anybody may send.
    ("ingress: { channels: { contact: { channel: form, auth: public } } }", "endpoint `contact`: anybody may send, and nothing about the sender is proven"),
    ("ingress: { channels: { note: { channel: form, auth: sign_in } } }", ""),
    ("ingress: { channels: { note: { channel: form, auth: sign_in } }, gateway: { idempotency: header_idempotency_key } }", ""),
    // Tokens without keys.
    ("ingress: { channels: [api], gateway: { auth: jwt } }", "closed until `jwt: { issuer, audience, keys }` is set"),
    ("ingress: { channels: [api], gateway: { auth: { jwt: { issuer: i, audience: a } } } }", "closed until `keys: FILE or https address"),
    ("ingress: { channels: [api], gateway: { auth: { jwt: { issuer: i, audience: a, algorithms: [HS256] } } } }", ""),
    ("ingress: { channels: [api], gateway: { auth: { jwt: { issuer: i, audience: a, keys: keys.json } } } }", ""),
    ("ingress: { channels: [api], gateway: { auth: { jwt: { issuer: i, audience: a, keys: 'https://id.example/keys' } } } }", ""),
    ("ingress: { channels: [api], gateway: { auth: { jwt: { issuer: i, audience: a, keys: 'http://127.0.0.1:9000/keys' } } } }", ""),
    ("ingress: { channels: [api], gateway: { auth: { jwt: { issuer: i, audience: a, keys: 'http://[::1]/keys' } } } }", ""),
    // A PUT may replace what is not mapped.
    ("ingress: { channels: [form] }\nside_effects: { crm: { api: rest, optimistic_lock: If-Match, map: { name: record.name } } }", "`method: PATCH` keeps it"),
    ("ingress: { channels: [form] }\nside_effects: { crm: { api: rest, method: PUT, optimistic_lock: If-Match, map: { name: record.name } } }", "`method: PATCH` keeps it"),
    // A draft of the built-in model is the message's own text.
    (DRAFTED, "has no text of its own and the built-in model writes none"),
    // The audit log is always on.
    ("ingress: { channels: [form] }\ntransitions: [{ from: pending, to: triaged, emit: [sla_timer, audit_log] }, { from: triaged, to: needs_human }, { from: needs_human, to: closed }, { from: needs_human, to: triaged }, { from: pending, to: needs_human }]", ""),
    ("ingress: { channels: [form] }\ntransitions: [{ from: pending, to: triaged, emit: [sla_timer] }, { from: triaged, to: needs_human }, { from: needs_human, to: closed }, { from: needs_human, to: triaged }, { from: pending, to: needs_human }]", "the transition is in the audit log all the same"),
];

#[test]
fn notes_say_what_a_file_comes_to() {
    for (part, want) in CASES {
        let worker = match part.contains("worker:") {
            true => "",
            false => "worker: { ai_step: none }\n",
        };
        let text = format!("workflow: {{ id: w, version: 1 }}\n{worker}{part}\n{DECISION}\n");
        let mut project = Project::default();
        let file = "workflows/w/workflow.yaml".to_owned();
        project.files.insert(file, text.into_bytes());
        let keys = "workflows/w/keys.json".to_owned();
        project.files.insert(keys, br#"{"keys":[]}"#.to_vec());
        let loaded = load(&project, "w");
        assert!(loaded.program.is_some(), "{}", shown(&project, &loaded));
        let notes = &loaded.notes;
        match want.is_empty() {
            true => assert!(notes.is_empty(), "{part}: {notes:?}"),
            false => assert_eq!(
                notes.iter().filter(|n| n.contains(want)).count(),
                1,
                "{part}: {notes:?}"
            ),
        }
    }
}

#[test]
fn keys_are_fetched_over_https_or_from_this_machine() {
    let table = [
        ("https://id.example/keys", true),
        ("http://localhost/keys", true),
        ("http://127.0.0.1:9000", true),
        ("http://[::1]:80/keys", true),
        ("http://id.example/keys", false),
        ("http://localhost.example/keys", false),
        ("http://127.0.0.1.example/keys", false),
        ("http://127.0.0.1@id.example/keys", false),
        ("http://10.0.0.1/keys", false),
        ("ftp://id.example/keys", false),
    ];
    for (address, may) in table {
        assert!(tl_lang::is_key_address(address), "{address}");
        assert_eq!(tl_lang::may_fetch_keys(address), may, "{address}");
    }
    assert!(!tl_lang::is_key_address("keys.json"));
}
