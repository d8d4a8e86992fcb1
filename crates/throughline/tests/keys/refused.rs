//! What the loader refuses by name: keys that do not exist, and keys whose feature comes later.

use std::collections::BTreeSet;

use tl_lang::{key_paths, load};

use crate::acts::project;

/// Features that come later: the file, and the name that the finding calls.
#[rustfmt::skip]
const LATER: &[(&str, &str)] = &[
    ("states: { needs_human: { clock: business_hours/berlin } }", "clock"),
    ("states: { needs_human: { calendar: berlin } }", "calendar"),
    ("policy: { sampling: { share: 5%, of: [crm_upsert] } }", "sampling"),
    ("decision: { threshold: { max_error: 2% }, branches: [{ default: human_queue }] }", "max_error"),
    ("decision: { threshold: { confidence_level: 95% }, branches: [{ default: human_queue }] }", "confidence_level"),
];

/// Keys that do not exist, one in every mapping with a closed set of keys: the mapping, the file, the key.
#[rustfmt::skip]
const UNKNOWN: &[(&str, &str, &str)] = &[
    ("", "wokflow: {}", "wokflow"),
    ("workflow", "workflow: { id: w, version: 1, author: me }", "author"),
    ("workflow.goal", "workflow: { id: w, version: 1, goal: { stop: closed } }", "stop"),
    ("record", "record: { kind: lead }", "kind"),
    ("record.fields.*", "record: { type: d, fields: { a: { type: int, default: 1 } } }", "default"),
    ("ingress", "ingress: { channels: [webhook], doors: [form] }", "doors"),
    ("ingress.gateway", "ingress: { channels: [webhook], gateway: { rate: 5 } }", "rate"),
    ("ingress.channels.*", "ingress: { channels: { webhook: { rate: 5 } } }", "rate"),
    ("ingress.gateway.auth", "ingress: { channels: [webhook], gateway: { auth: { basic: } } }", "basic"),
    ("ingress.channels.*.auth", "ingress: { channels: { webhook: { auth: { basic: } } } }", "basic"),
    ("ingress.gateway.auth.hmac_signature", "ingress: { channels: [webhook], gateway: { auth: { hmac_signature: { secret: s } } } }", "secret"),
    ("ingress.channels.*.auth.hmac_signature", "ingress: { channels: { webhook: { auth: { hmac_signature: { secret: s } } } } }", "secret"),
    ("ingress.gateway.auth.jwt", "ingress: { channels: [webhook], gateway: { auth: { jwt: { issuer: i, audience: a, leeway: 5s } } } }", "leeway"),
    ("ingress.channels.*.auth.jwt", "ingress: { channels: { webhook: { auth: { jwt: { issuer: i, audience: a, leeway: 5s } } } } }", "leeway"),
    ("schedules.*", "schedules: { nightly: { cron: '0 3 * * *', jitter: 5m } }", "jitter"),
    ("queue", "queue: { shards: 4 }", "shards"),
    ("states.*", "states: { needs_human: { timeout: 1h } }", "timeout"),
    ("states.*.escalate.*", "states: { needs_human: { escalate: [{ after: 1h, to: anna, by: sms }] } }", "by"),
    ("transitions.*", "transitions: [{ from: pending, to: triaged, when: 'true' }]", "when"),
    ("worker", "worker: { ai_step: none, threads: 4 }", "threads"),
    ("worker.rules.*", "worker: { ai_step: none, rules: [{ when: 'true', then: close, else: close }] }", "else"),
    ("worker.tables.*", "worker: { ai_step: none, tables: [{ file: tables/t.csv, outputs: [owner], sheet: a }] }", "sheet"),
    ("worker.ai_step", "worker: { ai_step: { tools: [crm] } }", "tools"),
    ("worker.ai_step.classify", "worker: { ai_step: { classify: { field: intent, temperature: 1 } } }", "temperature"),
    ("worker.ai_step.draft", "worker: { ai_step: { draft: { effect: m, tone: kind } } }\nside_effects: { messaging: { m: { to: record.email } } }", "tone"),
    ("worker.ai_step.summarize", "worker: { ai_step: { summarize: { field: company, style: dry } } }", "style"),
    ("decision", "decision: { mode: all, branches: [{ default: human_queue }] }", "mode"),
    ("decision.threshold", "decision: { threshold: { window: 1d }, branches: [{ default: human_queue }] }", "window"),
    ("decision.branches.*", "decision: { branches: [{ default: human_queue, note: n }] }", "note"),
    ("policy.*", "policy: { crm_upsert: { auto: true, budget: 5 } }", "budget"),
    ("tasks.*", "tasks: { review: { priority: high } }", "priority"),
    ("tasks.*.unanswered.*", "tasks: { ask_missing: { unanswered: [{ after: 1d, close: x, by: sms }] } }", "by"),
    ("side_effects", "side_effects: { slack: { channel: sales } }", "slack"),
    ("side_effects.crm", "side_effects: { crm: { timeout: 5s } }", "timeout"),
    ("side_effects.crm.optimistic_lock", "side_effects: { crm: { api: rest, optimistic_lock: { header: etag } } }", "header"),
    ("side_effects.actions.*", "side_effects: { actions: { a: { use: http.record.put, retry: 3 } } }", "retry"),
    ("side_effects.messaging.*", "side_effects: { messaging: { m: { to: record.email, text: x, bcc: me } } }", "bcc"),
    ("observability", "observability: { traces: all }", "traces"),
];

/// The other files of a project: path, content, the key.
const BESIDE: &[(&str, &str, &str)] = &[
    ("teams.yaml", "people: [anna, ben]\nbots: [carl]", "bots"),
    ("connections.yaml", "conections: {}", "conections"),
    (
        "connections.yaml",
        "connections: { crm: { base_url: 'https://c.example.com', token: t } }",
        "token",
    ),
    (
        "connections.yaml",
        "connections: { crm: { base_url: 'https://c.example.com', auth: { cookie: c } } }",
        "cookie",
    ),
];

/// The file is refused with a finding of this code that calls the name.
fn refuses(project: &tl_lang::Project, code: &str, name: &str) {
    let loaded = load(project, "w");
    let by_name = format!("`{name}`");
    let mut found = loaded.diags.iter();
    let found = found.any(|d| d.code == code && d.message.contains(&by_name));
    let all: Vec<_> = loaded
        .diags
        .iter()
        .map(|d| format!("{} {}", d.code, d.message))
        .collect();
    assert!(loaded.program.is_none(), "{name} is accepted");
    assert!(found, "{code} and {by_name} expected\n{all:#?}");
}

#[test]
fn what_comes_later_is_refused_by_name() {
    for (part, name) in LATER {
        refuses(&project(part), "TL0208", name);
    }
}

#[test]
fn a_timetable_is_no_channel_of_a_door() {
    for part in [
        "ingress: { channels: [schedule] }",
        "ingress: { channels: { nightly: { channel: schedule } } }",
    ] {
        refuses(&project(part), "TL0204", "schedule");
    }
}

#[test]
fn an_unknown_key_is_refused_by_name() {
    for (_, part, name) in UNKNOWN {
        refuses(&project(part), "TL0201", name);
    }
    for (path, text, name) in BESIDE {
        let mut project = project("");
        let content = text.as_bytes().to_vec();
        project.files.insert((*path).to_owned(), content);
        refuses(&project, "TL0201", name);
    }
    refuses(
        &project("tasks: { lunch: { owner: anna } }"),
        "TL0201",
        "lunch",
    );
}

#[test]
fn every_mapping_has_a_row() {
    let above = |path: &String| {
        path.rsplit_once('.')
            .map_or("", |(above, _)| above)
            .to_owned()
    };
    let mappings: BTreeSet<String> = key_paths().iter().map(above).collect();
    let tried: BTreeSet<String> = UNKNOWN.iter().map(|(at, ..)| (*at).to_owned()).collect();
    assert_eq!(mappings, tried);
}
