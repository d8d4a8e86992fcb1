//! Every key of the workflow file changes the program: a key that does nothing is a lie.

mod common;

use common::shown;
use tl_lang::{Project, key_paths, load};

/// Keys that state a fact, or cannot be left out.
const FACTS: &[&str] = &[
    "language",
    "workflow",
    "workflow.id",
    "ingress",
    "ingress.channels",
    "decision",
    "decision.branches",
    "decision.branches.*.default",
    "worker.ai_step.optional",
    "observability.audit_log",
];

/// Beginnings of the keys for connectors, whose files have tests of their own.
const CONNECTORS: &[&str] = &[
    "side_effects.crm.use",
    "side_effects.crm.with",
    "side_effects.actions",
];

/// The key, the file without it and the file with it. A part that begins with a top-level key takes the
/// place of that key in the shortest file.
const CASES: &[(&str, &str, &str)] = &[
    ("workflow.version", "", "workflow: { id: w, version: 2 }"),
    (
        "workflow.correlation_id",
        "",
        "workflow: { id: w, version: 1, correlation_id: '${event.id}' }",
    ),
    (
        "workflow.goal",
        "",
        "workflow: { id: w, version: 1, goal: {} }",
    ),
    (
        "workflow.goal.start",
        "workflow: { id: w, version: 1, goal: {} }",
        "workflow: { id: w, version: 1, goal: { start: triaged } }",
    ),
    (
        "workflow.goal.end",
        "workflow: { id: w, version: 1, goal: {} }",
        "workflow: { id: w, version: 1, goal: { end: automated } }",
    ),
    (
        "workflow.goal.sla",
        "workflow: { id: w, version: 1, goal: {} }",
        "workflow: { id: w, version: 1, goal: { sla: 2h } }",
    ),
    (
        "workflow.goal.owner",
        "workflow: { id: w, version: 1, goal: {} }",
        "workflow: { id: w, version: 1, goal: { owner: anna } }",
    ),
    ("schedules", "", "schedules: { s: { cron: '0 6 * * *' } }"),
    (
        "schedules.*.cron",
        "schedules: { s: { cron: '0 6 * * *' } }",
        "schedules: { s: { cron: '0 7 * * *' } }",
    ),
    (
        "schedules.*.timezone",
        "schedules: { s: { cron: '0 6 * * *' } }",
        "schedules: { s: { cron: '0 6 * * *', timezone: Europe/Berlin } }",
    ),
    (
        "schedules.*.catch_up",
        "schedules: { s: { cron: '0 6 * * *' } }",
        "schedules: { s: { cron: '0 6 * * *', catch_up: none } }",
    ),
    (
        "schedules.*.data",
        "schedules: { s: { cron: '0 6 * * *' } }",
        "schedules: { s: { cron: '0 6 * * *', data: { kind: report } } }",
    ),
    ("record", "", "record: { type: deal }"),
    (
        "record.type",
        "record: { on_match: open }",
        "record: { on_match: open, type: deal }",
    ),
    (
        "record.natural_key",
        "",
        "record: { natural_key: '${record.email}' }",
    ),
    ("record.on_match", "", "record: { on_match: update }"),
    (
        "record.fields",
        "record: { type: deal }",
        "record: { type: deal, fields: { a: { type: int } } }",
    ),
    (
        "record.fields.*.type",
        "record: { type: d, fields: { a: { type: int } } }",
        "record: { type: d, fields: { a: { type: url } } }",
    ),
    (
        "record.fields.*.values",
        "record: { type: d, fields: { a: { type: enum, values: [x] } } }",
        "record: { type: d, fields: { a: { type: enum, values: [x, z] } } }",
    ),
    (
        "record.fields.*.required",
        "record: { type: d, fields: { a: { type: int } } }",
        "record: { type: d, fields: { a: { type: int, required: true } } }",
    ),
    (
        "record.fields.*.use",
        "record: { type: d, fields: { a: { type: int } } }",
        "record: { type: d, fields: { a: { type: int, use: control } } }",
    ),
    (
        "record.fields.*.untrusted",
        "record: { type: d, fields: { a: { type: int } } }",
        "record: { type: d, fields: { a: { type: int, untrusted: true } } }",
    ),
    (
        "record.fields.*.from",
        "record: { type: d, fields: { a: { type: int } } }",
        "record: { type: d, fields: { a: { type: int, from: crm } } }",
    ),
    (
        "ingress.gateway",
        "",
        "ingress: { channels: [form], gateway: { auth: api_key } }",
    ),
    (
        "ingress.gateway.auth",
        "",
        "ingress: { channels: [form], gateway: { auth: jwt | api_key } }",
    ),
    (
        "ingress.gateway.auth.hmac_signature",
        "",
        "ingress: { channels: [form], gateway: { auth: { hmac_signature: { header: x-sig } } } }",
    ),
    (
        "ingress.gateway.auth.standard_webhooks",
        "",
        "ingress: { channels: [form], gateway: { auth: { standard_webhooks: } } }",
    ),
    (
        "ingress.gateway.auth.preset",
        "",
        "ingress: { channels: [form], gateway: { auth: { preset: stripe } } }",
    ),
    (
        "ingress.gateway.auth.api_key",
        "",
        "ingress: { channels: [form], gateway: { auth: { api_key: } } }",
    ),
    (
        "ingress.gateway.auth.jwt",
        "",
        "ingress: { channels: [form], gateway: { auth: { jwt: { issuer: i, audience: a } } } }",
    ),
    (
        "ingress.gateway.auth.hmac_signature.header",
        "",
        "ingress: { channels: [form], gateway: { auth: { hmac_signature: { header: x-sig } } } }",
    ),
    (
        "ingress.gateway.auth.hmac_signature.prefix",
        "",
        "ingress: { channels: [form], gateway: { auth: { hmac_signature: { prefix: v1= } } } }",
    ),
    (
        "ingress.gateway.auth.hmac_signature.encoding",
        "",
        "ingress: { channels: [form], gateway: { auth: { hmac_signature: { encoding: base64 } } } }",
    ),
    (
        "ingress.gateway.auth.hmac_signature.signed",
        "",
        "ingress: { channels: [form], gateway: { auth: { hmac_signature: { signed: 'v0:{body}' } } } }",
    ),
    (
        "ingress.gateway.auth.hmac_signature.timestamp_header",
        "",
        "ingress: { channels: [form], gateway: { auth: { hmac_signature: { signed: '{timestamp}.{body}', timestamp_header: x-t } } } }",
    ),
    (
        "ingress.gateway.auth.hmac_signature.id_header",
        "",
        "ingress: { channels: [form], gateway: { auth: { hmac_signature: { id_header: x-id } } } }",
    ),
    (
        "ingress.gateway.auth.jwt.issuer",
        "ingress: { channels: [form], gateway: { auth: { jwt: { issuer: i, audience: a } } } }",
        "ingress: { channels: [form], gateway: { auth: { jwt: { issuer: j, audience: a } } } }",
    ),
    (
        "ingress.gateway.auth.jwt.audience",
        "ingress: { channels: [form], gateway: { auth: { jwt: { issuer: i, audience: a } } } }",
        "ingress: { channels: [form], gateway: { auth: { jwt: { issuer: i, audience: b } } } }",
    ),
    (
        "ingress.gateway.auth.jwt.algorithms",
        "ingress: { channels: [form], gateway: { auth: { jwt: { issuer: i, audience: a } } } }",
        "ingress: { channels: [form], gateway: { auth: { jwt: { issuer: i, audience: a, algorithms: [HS256] } } } }",
    ),
    (
        "ingress.gateway.auth.jwt.keys",
        "ingress: { channels: [form], gateway: { auth: { jwt: { issuer: i, audience: a } } } }",
        "ingress: { channels: [form], gateway: { auth: { jwt: { issuer: i, audience: a, keys: keys.json } } } }",
    ),
    (
        "ingress.gateway.idempotency",
        "",
        "ingress: { channels: [form], gateway: { idempotency: '${event.body.id}' } }",
    ),
    (
        "ingress.gateway.validate",
        "",
        "ingress: { channels: [form], gateway: { validate: json_schema } }",
    ),
    (
        "ingress.gateway.max_body",
        "",
        "ingress: { channels: [form], gateway: { max_body: 64KiB } }",
    ),
    (
        "ingress.channels.*.channel",
        "",
        "ingress: { channels: { form: { channel: webhook } } }",
    ),
    (
        "ingress.channels.*.format",
        "",
        "ingress: { channels: { form: { format: json } } }",
    ),
    (
        "ingress.channels.*.auth",
        "",
        "ingress: { channels: { form: { auth: standard_webhooks } } }",
    ),
    (
        "ingress.channels.*.idempotency",
        "",
        "ingress: { channels: { form: { idempotency: header_idempotency_key } } }",
    ),
    (
        "ingress.channels.*.validate",
        "",
        "ingress: { channels: { form: { validate: schemas/s.json } } }",
    ),
    (
        "ingress.channels.*.map",
        "",
        "ingress: { channels: { form: { map: { name: event.body.full } } } }",
    ),
    (
        "ingress.channels.*.origins",
        "ingress: { channels: { form: { auth: public } } }",
        "ingress: { channels: { form: { auth: public, origins: [https://www.example.com] } } }",
    ),
    (
        "ingress.channels.*.text",
        "",
        "ingress: { channels: { form: { text: event.body.note } } }",
    ),
    (
        "ingress.channels.*.automatic",
        "ingress: { channels: [email] }",
        "ingress: { channels: { email: { automatic: message } } }",
    ),
    (
        "ingress.channels.*.max_body",
        "",
        "ingress: { channels: { form: { max_body: 1000 } } }",
    ),
    ("queue", "", "queue: { name: other }"),
    ("queue.name", "", "queue: { name: other }"),
    ("queue.payload", "", "queue: { payload: { case_id } }"),
    ("states", "", "states: { parked: { sla: 1d } }"),
    ("states.*.owner", "", "states: { triaged: { owner: anna } }"),
    ("states.*.sla", "", "states: { triaged: { sla: 2h } }"),
    (
        "states.*.warn_at",
        "",
        "states: { triaged: { warn_at: 50% } }",
    ),
    (
        "states.*.escalate",
        "",
        "states: { triaged: { escalate: [{ after: 1h, to: anna }] } }",
    ),
    (
        "states.*.escalate.*.after",
        "states: { triaged: { escalate: [{ after: 1h, to: anna }] } }",
        "states: { triaged: { escalate: [{ after: 2h, to: anna }] } }",
    ),
    (
        "states.*.escalate.*.to",
        "states: { triaged: { escalate: [{ after: 1h, to: anna }] } }",
        "states: { triaged: { escalate: [{ after: 1h, to: ben }] } }",
    ),
    (
        "states.*.on_breach",
        "",
        "states: { triaged: { on_breach: closed } }",
    ),
    ("states.*.pause", "", "states: { triaged: { pause: true } }"),
    (
        "states.*.terminal",
        "states: { won: { sla: 1h } }",
        "states: { won: { terminal: true } }",
    ),
    (
        "transitions",
        "",
        "transitions: [{ from: pending, to: closed }]",
    ),
    (
        "transitions.*.from",
        "transitions: [{ from: pending, to: closed }]",
        "transitions: [{ from: triaged, to: closed }]",
    ),
    (
        "transitions.*.to",
        "transitions: [{ from: pending, to: closed }]",
        "transitions: [{ from: pending, to: triaged }]",
    ),
    (
        "transitions.*.owner",
        "transitions: [{ from: pending, to: closed }]",
        "transitions: [{ from: pending, to: closed, owner: anna }]",
    ),
    (
        "transitions.*.sla",
        "transitions: [{ from: pending, to: closed }]",
        "transitions: [{ from: pending, to: closed, sla: 1h }]",
    ),
    (
        "transitions.*.emit",
        "transitions: [{ from: pending, to: closed }]",
        "transitions: [{ from: pending, to: closed, emit: [crm_sync, domain_event] }]",
    ),
    ("worker", "", "worker: { rules_engine: false }"),
    ("worker.rules_engine", "", "worker: { rules_engine: false }"),
    (
        "worker.feature_flags",
        "",
        "worker: { feature_flags: installation }",
    ),
    (
        "worker.rules",
        "",
        "worker: { rules: [{ when: 'true', then: close }] }",
    ),
    (
        "worker.rules.*.when",
        "worker: { rules: [{ when: 'true', then: close }] }",
        "worker: { rules: [{ when: \"record.name == 'x'\", then: close }] }",
    ),
    (
        "worker.rules.*.set",
        "worker: { rules: [{ when: 'true', then: close }] }",
        "worker: { rules: [{ when: 'true', set: { territory: 'e-${record.name}' } }] }",
    ),
    (
        "worker.rules.*.route",
        "worker: { rules: [{ when: 'true', then: close }] }",
        "worker: { rules: [{ when: 'true', route: anna }] }",
    ),
    (
        "worker.rules.*.then",
        "worker: { rules: [{ when: 'true', then: close }] }",
        "worker: { rules: [{ when: 'true', then: needs_human }] }",
    ),
    (
        "worker.rules.*.reason",
        "worker: { rules: [{ when: 'true', then: close }] }",
        "worker: { rules: [{ when: 'true', then: close, reason: spam }] }",
    ),
    (
        "worker.tables",
        "",
        "worker: { tables: [{ file: tables/t.csv, outputs: [owner] }] }",
    ),
    (
        "worker.tables.*.file",
        "worker: { tables: [{ file: tables/t.csv, outputs: [owner] }] }",
        "worker: { tables: [{ file: tables/u.csv, outputs: [owner] }] }",
    ),
    (
        "worker.tables.*.hit",
        "worker: { tables: [{ file: tables/t.csv, outputs: [owner] }] }",
        "worker: { tables: [{ file: tables/t.csv, outputs: [owner], hit: unique }] }",
    ),
    (
        "worker.tables.*.inputs",
        "worker: { tables: [{ file: tables/u.csv, outputs: [owner] }] }",
        "worker: { tables: [{ file: tables/u.csv, outputs: [owner], inputs: [urgency] }] }",
    ),
    (
        "worker.tables.*.outputs",
        "worker: { tables: [{ file: tables/u.csv, outputs: [owner] }] }",
        "worker: { tables: [{ file: tables/u.csv, outputs: [owner, territory] }] }",
    ),
    ("worker.ai_step", "", "worker: { ai_step: none }"),
    (
        "worker.ai_step.when_state",
        "",
        "worker: { ai_step: { when_state: pending } }",
    ),
    (
        "worker.ai_step.modes",
        "",
        "worker: { ai_step: { modes: [extract] } }",
    ),
    (
        "worker.ai_step.output",
        "",
        "worker: { ai_step: { output: { confidence } } }",
    ),
    (
        "worker.ai_step.model",
        "",
        "worker: { ai_step: { model: gpt } }",
    ),
    (
        "worker.ai_step.timeout",
        "",
        "worker: { ai_step: { timeout: 5s } }",
    ),
    (
        "worker.ai_step.classify",
        "",
        "worker: { ai_step: { classify: { field: urgency } } }",
    ),
    (
        "worker.ai_step.classify.field",
        "",
        "worker: { ai_step: { classify: { field: urgency } } }",
    ),
    (
        "worker.ai_step.classify.model",
        "",
        "worker: { ai_step: { classify: { model: gpt } } }",
    ),
    (
        "worker.ai_step.classify.prompt",
        "",
        "worker: { ai_step: { classify: { prompt: prompts/p.md } } }",
    ),
    (
        "worker.ai_step.classify.examples",
        "",
        "worker: { ai_step: { classify: { examples: examples/e.csv } } }",
    ),
    (
        "worker.ai_step.extract",
        "",
        "worker: { ai_step: { extract: [company] } }",
    ),
    (
        "worker.ai_step.draft",
        "",
        "worker: { ai_step: { draft: { effect: m } } }\nside_effects: { messaging: { m: { to: record.email } } }",
    ),
    (
        "worker.ai_step.draft.effect",
        "worker: { ai_step: { draft: { effect: m } } }\nside_effects: { messaging: { m: { to: record.email }, o: { to: record.email, text: x } } }",
        "worker: { ai_step: { draft: { effect: o } } }\nside_effects: { messaging: { m: { to: record.email, text: x }, o: { to: record.email } } }",
    ),
    (
        "worker.ai_step.draft.prompt",
        "worker: { ai_step: { draft: { effect: m } } }\nside_effects: { messaging: { m: { to: record.email } } }",
        "worker: { ai_step: { draft: { effect: m, prompt: prompts/p.md } } }\nside_effects: { messaging: { m: { to: record.email } } }",
    ),
    (
        "worker.ai_step.draft.max_chars",
        "worker: { ai_step: { draft: { effect: m } } }\nside_effects: { messaging: { m: { to: record.email } } }",
        "worker: { ai_step: { draft: { effect: m, max_chars: 9 } } }\nside_effects: { messaging: { m: { to: record.email } } }",
    ),
    (
        "worker.ai_step.summarize",
        "",
        "worker: { ai_step: { summarize: { field: next_step } } }",
    ),
    (
        "worker.ai_step.summarize.field",
        "worker: { ai_step: { summarize: { field: next_step } } }",
        "worker: { ai_step: { summarize: { field: company } } }",
    ),
    (
        "worker.ai_step.summarize.max_chars",
        "worker: { ai_step: { summarize: { field: next_step } } }",
        "worker: { ai_step: { summarize: { field: next_step, max_chars: 80 } } }",
    ),
    (
        "decision.threshold",
        "",
        "decision: { threshold: 0.5, branches: [{ default: deny }] }",
    ),
    (
        "decision.threshold.until_known",
        "decision: { threshold: {}, branches: [{ default: deny }] }",
        "decision: { threshold: { until_known: 0.7 }, branches: [{ default: deny }] }",
    ),
    (
        "decision.branches.*.condition",
        "decision: { branches: [{ condition: needs_human, action: close }, { default: deny }] }",
        "decision: { branches: [{ condition: policy_allows, action: close }, { default: deny }] }",
    ),
    (
        "decision.branches.*.action",
        "decision: { branches: [{ condition: needs_human, action: close }, { default: deny }] }",
        "decision: { branches: [{ condition: needs_human, action: [crm_upsert, hand_off] }, { default: deny }] }",
    ),
    (
        "decision.branches.*.reason",
        "",
        "decision: { branches: [{ default: deny, reason: no_match }] }",
    ),
    (
        "decision.branches.*.to",
        "",
        "decision: { branches: [{ default: deny, to: closed }] }",
    ),
    ("policy", "", "policy: { crm_upsert: never }"),
    (
        "policy.*.auto",
        "policy: { crm_upsert: {} }",
        "policy: { crm_upsert: { auto: confidence > 0.9 } }",
    ),
    (
        "policy.*.approve",
        "policy: { crm_upsert: {} }",
        "policy: { crm_upsert: { approve: anna } }",
    ),
    (
        "policy.*.never",
        "policy: { crm_upsert: {} }",
        "policy: { crm_upsert: { never: \"record.intent == 'spam'\" } }",
    ),
    (
        "policy.*.limit",
        "policy: { crm_upsert: {} }",
        "policy: { crm_upsert: { limit: 3 per case per hour } }",
    ),
    (
        "policy.*.quiet_hours",
        "policy: { crm_upsert: {} }",
        "policy: { crm_upsert: { quiet_hours: 20:00-08:00 Europe/Berlin } }",
    ),
    ("tasks", "", "tasks: { review: { owner: anna } }"),
    (
        "tasks.*.message",
        "side_effects: { messaging: { m: { to: record.email, text: x } } }",
        "side_effects: { messaging: { m: { to: record.email, text: x } } }\ntasks: { ask_missing: { message: m } }",
    ),
    (
        "tasks.*.owner",
        "",
        "tasks: { hand_off: { owner: '${record.owner}' } }",
    ),
    (
        "tasks.*.unanswered",
        "",
        "tasks: { ask_missing: { unanswered: [{ after: 1d, to: anna }] } }",
    ),
    (
        "tasks.*.unanswered.*.after",
        "tasks: { ask_missing: { unanswered: [{ after: 1d, to: anna }] } }",
        "tasks: { ask_missing: { unanswered: [{ after: 2d, to: anna }] } }",
    ),
    (
        "tasks.*.unanswered.*.to",
        "tasks: { ask_missing: { unanswered: [{ after: 1d, to: anna }] } }",
        "tasks: { ask_missing: { unanswered: [{ after: 1d, to: ben }] } }",
    ),
    (
        "tasks.*.unanswered.*.close",
        "tasks: { ask_missing: { unanswered: [{ after: 1d, to: anna }] } }",
        "tasks: { ask_missing: { unanswered: [{ after: 1d, close: no_answer }] } }",
    ),
    (
        "tasks.*.unanswered.*.message",
        "side_effects: { messaging: { m: { to: record.email, text: x } } }\ntasks: { ask_missing: { unanswered: [{ after: 1d, to: anna }] } }",
        "side_effects: { messaging: { m: { to: record.email, text: x } } }\ntasks: { ask_missing: { unanswered: [{ after: 1d, message: m }] } }",
    ),
    ("tasks.*.sla", "", "tasks: { hand_off: { sla: 1h } }"),
    (
        "side_effects",
        "",
        "side_effects: { crm: { api: rest, optimistic_lock: If-Match } }",
    ),
    (
        "side_effects.crm",
        "",
        "side_effects: { crm: { api: rest, optimistic_lock: If-Match } }",
    ),
    (
        "side_effects.crm.api",
        "",
        "side_effects: { crm: { api: rest, optimistic_lock: If-Match } }",
    ),
    (
        "side_effects.crm.key",
        "",
        "side_effects: { crm: { key: '${record.email}' } }",
    ),
    (
        "side_effects.crm.map",
        "",
        "side_effects: { crm: { map: { who: record.name } } }",
    ),
    (
        "side_effects.crm.connection",
        "side_effects: { crm: { api: rest, optimistic_lock: If-Match } }",
        "side_effects: { crm: { api: rest, optimistic_lock: If-Match, connection: gpt } }",
    ),
    (
        "side_effects.crm.method",
        "side_effects: { crm: { api: rest, optimistic_lock: If-Match } }",
        "side_effects: { crm: { api: rest, optimistic_lock: If-Match, method: PATCH } }",
    ),
    (
        "side_effects.crm.path",
        "side_effects: { crm: { api: rest, optimistic_lock: If-Match } }",
        "side_effects: { crm: { api: rest, optimistic_lock: If-Match, path: '/c/${record.email}' } }",
    ),
    (
        "side_effects.crm.optimistic_lock",
        "side_effects: { crm: { api: rest, optimistic_lock: If-Match } }",
        "side_effects: { crm: { api: rest, optimistic_lock: last_writer_wins } }",
    ),
    (
        "side_effects.crm.optimistic_lock.field",
        "side_effects: { crm: { api: rest, optimistic_lock: If-Match } }",
        "side_effects: { crm: { api: rest, optimistic_lock: { field: version } } }",
    ),
    (
        "side_effects.crm.base_version",
        "side_effects: { crm: { api: rest, optimistic_lock: If-Match } }",
        "side_effects: { crm: { api: rest, optimistic_lock: If-Match, base_version: v0 } }",
    ),
    (
        "side_effects.crm.idempotency_header",
        "side_effects: { crm: { api: rest, optimistic_lock: last_writer_wins } }",
        "side_effects: { crm: { api: rest, optimistic_lock: last_writer_wins, idempotency_header: idempotency-key } }",
    ),
    (
        "side_effects.crm.on_unknown",
        "side_effects: { crm: { api: rest, optimistic_lock: last_writer_wins } }",
        "side_effects: { crm: { api: rest, optimistic_lock: last_writer_wins, on_unknown: resend } }",
    ),
    (
        "side_effects.crm.valid_for",
        "",
        "side_effects: { crm: { valid_for: 1h } }",
    ),
    (
        "side_effects.messaging",
        "",
        "side_effects: { messaging: { m: { to: record.email, text: x } } }",
    ),
    (
        "side_effects.messaging.*.channel",
        "side_effects: { messaging: { m: { to: record.email, text: x } } }",
        "side_effects: { messaging: { m: { to: record.phone, text: x, channel: sms } } }",
    ),
    (
        "side_effects.messaging.*.via",
        "side_effects: { messaging: { m: { to: record.email, text: x } } }",
        "side_effects: { messaging: { m: { to: record.email, text: x, via: http, with: { path: \"'/m'\" } } } }",
    ),
    (
        "side_effects.messaging.*.with",
        "side_effects: { messaging: { m: { to: record.email, text: x, via: http, with: { path: \"'/m'\" } } } }",
        "side_effects: { messaging: { m: { to: record.email, text: x, via: http, with: { path: \"'/n'\" } } } }",
    ),
    (
        "side_effects.messaging.*.on_unknown",
        "side_effects: { messaging: { m: { to: record.email, text: x, via: http, with: { path: \"'/m'\" } } } }",
        "side_effects: { messaging: { m: { to: record.email, text: x, via: http, with: { path: \"'/m'\" }, on_unknown: resend } } }",
    ),
    (
        "side_effects.messaging.*.to",
        "side_effects: { messaging: { m: { to: record.email, text: x } } }",
        "side_effects: { messaging: { m: { to: event.from, text: x } } }",
    ),
    (
        "side_effects.messaging.*.subject",
        "side_effects: { messaging: { m: { to: record.email, text: x } } }",
        "side_effects: { messaging: { m: { to: record.email, text: x, subject: 'Hi ${record.name}' } } }",
    ),
    (
        "side_effects.messaging.*.template",
        "side_effects: { messaging: { m: { to: record.email, text: x } } }",
        "side_effects: { messaging: { m: { to: record.email, template: prompts/p.md } } }",
    ),
    (
        "side_effects.messaging.*.text",
        "side_effects: { messaging: { m: { to: record.email, text: x } } }",
        "side_effects: { messaging: { m: { to: record.email, text: z } } }",
    ),
    (
        "side_effects.messaging.*.check",
        "side_effects: { messaging: { m: { to: record.email, text: x } } }",
        "side_effects: { messaging: { m: { to: record.email, text: x, check: verified_sender } } }",
    ),
    (
        "side_effects.messaging.*.valid_for",
        "side_effects: { messaging: { m: { to: record.email, text: x } } }",
        "side_effects: { messaging: { m: { to: record.email, text: x, valid_for: 2h } } }",
    ),
    ("settings", "", "settings: { desk: sales, most: 3 }"),
    ("observability", "", "observability: { metrics: none }"),
    (
        "observability.metrics",
        "",
        "observability: { metrics: none }",
    ),
];

/// `auth` under a channel has the keys of `auth` under the gateway.
const SAME_AS: (&str, &str) = ("ingress.channels.*.auth.", "ingress.gateway.auth.");

fn project(part: &str) -> Project {
    let tops: Vec<&str> = part
        .lines()
        .filter_map(|l| l.split_once(':'))
        .map(|(k, _)| k)
        .collect();
    let shortest = [
        "workflow: { id: w, version: 1 }",
        "ingress: { channels: [form] }",
        "decision: { branches: [{ default: deny }] }",
    ];
    let kept = shortest
        .into_iter()
        .filter(|l| !tops.iter().any(|t| l.starts_with(&format!("{t}:"))));
    let source: Vec<&str> = kept.chain(part.lines()).collect();
    let files = [
        ("workflows/w/workflow.yaml", source.join("\n")),
        ("workflows/w/schemas/s.json", "{\"type\":\"object\"}".into()),
        ("workflows/w/prompts/p.md", "Be brief.".into()),
        (
            "workflows/w/examples/e.csv",
            "text,label\nshow me,demo\n".into(),
        ),
        ("workflows/w/tables/t.csv", "urgency,owner\n-,anna\n".into()),
        (
            "workflows/w/tables/u.csv",
            "urgency,owner,territory\n-,anna,uki\n".into(),
        ),
        ("teams.yaml", "people: [anna, ben]".into()),
        ("workflows/w/keys.json", r#"{"keys":[]}"#.into()),
        (
            "connections.yaml",
            "connections: { gpt: { kind: openai, base_url: 'https://m.example.com' } }".into(),
        ),
    ];
    Project {
        files: files
            .into_iter()
            .map(|(p, c)| (p.to_owned(), c.into_bytes()))
            .collect(),
    }
}

fn compiled(part: &str) -> String {
    let project = project(part);
    let loaded = load(&project, "w");
    match &loaded.program {
        Some(p) => without_lines(&format!("{p:?}")),
        None => panic!("{part}\n{}", shown(&project, &loaded)),
    }
}

/// Lines of the file are no difference.
fn without_lines(text: &str) -> String {
    let mut out = String::new();
    for (i, part) in text.split(" line: ").enumerate() {
        out.push_str(if i == 0 {
            part
        } else {
            part.trim_start_matches(|c: char| c.is_ascii_digit())
        });
    }
    out
}

#[test]
fn every_key_changes_the_program() {
    for (key, without, with) in CASES {
        assert_ne!(compiled(without), compiled(with), "{key} changes nothing");
    }
}

#[test]
fn every_key_is_tried() {
    for path in key_paths() {
        let path = path.replace(SAME_AS.0, SAME_AS.1);
        let tried = FACTS.contains(&path.as_str()) || CASES.iter().any(|(k, ..)| *k == path);
        let connector = CONNECTORS.iter().any(|c| path.starts_with(c));
        assert!(tried || connector, "{path}");
    }
    for fact in FACTS {
        assert!(
            key_paths().contains(&(*fact).to_owned()),
            "{fact} is no key"
        );
    }
}
