//! Rows of `decision`, `policy` and `tasks`.

use tl_kernel::time::DAY;

use super::{Row, SAY};
use crate::acts::{Act, LEAD};

/// A day after the usual lead came in.
const A_DAY: &[Act] = &[Act::Say(LEAD), Act::Wait(DAY)];
const LOST: &[Act] = &[Act::LoseAnswer, Act::Say(LEAD)];
/// Two leads, one after the other.
const TWO: &[Act] = &[
    Act::Say(LEAD),
    Act::Say(r#"{"name":"Eve","email":"eve@x.example"}"#),
];

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    ("decision", "", "-decision", SAY, "door 202", "TL0202 the key `decision`"),
    ("decision.threshold", "worker: { ai_step: { model: gpt } }\ndecision: { threshold: 0.9, branches: [{ condition: confidence >= threshold, action: close }, { default: human_queue }] }", "worker: { ai_step: { model: gpt } }\ndecision: { threshold: 0.8, branches: [{ condition: confidence >= threshold, action: close }, { default: human_queue }] }", SAY, "case in needs_human", "case in closed"),
    ("decision.threshold.until_known", "worker: { ai_step: { model: gpt } }\ndecision: { threshold: {}, branches: [{ condition: confidence >= threshold, action: close }, { default: human_queue }] }", "worker: { ai_step: { model: gpt } }\ndecision: { threshold: { until_known: 0.7 }, branches: [{ condition: confidence >= threshold, action: close }, { default: human_queue }] }", SAY, "case in needs_human", "case in closed"),
    ("decision.branches", "", "%CLOSE%", SAY, "case in needs_human", "case in closed"),
    ("decision.branches.*.condition", "decision: { branches: [{ condition: \"record.name == 'Ada'\", action: close }, { default: human_queue }] }", "decision: { branches: [{ condition: \"record.name == 'Eve'\", action: close }, { default: human_queue }] }", SAY, "case in closed", "case in needs_human"),
    ("decision.branches.*.action", "%CLOSE%", "%CRM%", SAY, "", "stored lead/"),
    ("decision.branches.*.default", "decision: { branches: [{ default: human_queue }] }", "decision: { branches: [{ default: close }] }", SAY, "case in needs_human", "case in closed"),
    ("decision.branches.*.reason", "decision: { branches: [{ default: human_queue }] }", "decision: { branches: [{ default: human_queue, reason: look }] }", SAY, "", "task review for operators, reason look"),
    ("decision.branches.*.to", "decision: { branches: [{ default: deny }] }", "decision: { branches: [{ default: deny, to: closed }] }", SAY, "case in needs_human", "case in closed"),
    ("policy", "%CRM%", "%CRM%\npolicy: { crm_upsert: approve }", SAY, "case in closed", "task approve for operators"),
    ("policy.*.auto", "%CRM%\npolicy: { crm_upsert: { auto: \"record.name == 'Eve'\" } }", "%CRM%\npolicy: { crm_upsert: { auto: \"record.name == 'Ada'\" } }", SAY, "task approve", "case in closed"),
    ("policy.*.approve", "%CRM%\npolicy: { crm_upsert: { approve: ben } }", "%CRM%\npolicy: { crm_upsert: { approve: anna } }", SAY, "task approve for ben", "task approve for anna"),
    ("policy.*.never", "%CRM%\npolicy: { crm_upsert: { auto: true } }", "%CRM%\npolicy: { crm_upsert: { auto: true, never: \"record.name == 'Ada'\" } }", SAY, "stored lead/", "reason policy_never"),
    ("policy.*.limit", "%CRM%\npolicy: { crm_upsert: { auto: true } }", "%CRM%\npolicy: { crm_upsert: { auto: true, limit: 1 per tenant per day } }", TWO, "", "code `limit`"),
    ("policy.*.quiet_hours", "%CRM%\npolicy: { crm_upsert: { auto: true } }", "%CRM%\npolicy: { crm_upsert: { auto: true, quiet_hours: 11:00-12:00 } }", SAY, "stored lead/", "hold `quiet_hours`"),
    ("tasks", "", "tasks: { review: { owner: anna } }", SAY, "task review for operators", "task review for anna"),
    ("tasks.*.message", "%MISSING%\nrecord: { type: d, fields: { email: { type: email }, b: { type: int, required: true } } }\nside_effects: { messaging: { m: { to: record.email, text: Tell us } } }", "%MISSING%\nrecord: { type: d, fields: { email: { type: email }, b: { type: int, required: true } } }\nside_effects: { messaging: { m: { to: record.email, text: Tell us } } }\ntasks: { ask_missing: { message: m } }", SAY, "", "effect m "),
    ("tasks.*.owner", "tasks: { review: { owner: ben } }", "worker: { ai_step: none, rules: [{ when: \"record.name != ''\", set: { owner: anna } }] }\ntasks: { review: { owner: '${record.owner}' } }", SAY, "task review for ben", "task review for anna"),
    ("tasks.*.unanswered", "%ASKS%", "%ASKS%\ntasks: { ask_missing: { message: m, unanswered: [{ after: 1d, to: anna }] } }", SAY, "", "timer Unanswered(0) at +1d"),
    ("tasks.*.unanswered.*.after", "%ASKS%\ntasks: { ask_missing: { message: m, unanswered: [{ after: 1d, to: anna }] } }", "%ASKS%\ntasks: { ask_missing: { message: m, unanswered: [{ after: 2d, to: anna }] } }", SAY, "timer Unanswered(0) at +1d", "timer Unanswered(0) at +2d"),
    ("tasks.*.unanswered.*.message", "%ASKS%\ntasks: { ask_missing: { message: m, unanswered: [{ after: 1d, to: anna }] } }", "%ASKS%\ntasks: { ask_missing: { message: m, unanswered: [{ after: 1d, message: r }] } }", A_DAY, "", "effect r "),
    ("tasks.*.unanswered.*.to", "%ASKS%\ntasks: { ask_missing: { message: m, unanswered: [{ after: 1d, to: anna }] } }", "%ASKS%\ntasks: { ask_missing: { message: m, unanswered: [{ after: 1d, to: ben }] } }", A_DAY, "Assigned { owner: \"anna\", reason: \"escalation\" }", "Assigned { owner: \"ben\", reason: \"escalation\" }"),
    ("tasks.*.unanswered.*.close", "%ASKS%\ntasks: { ask_missing: { message: m, unanswered: [{ after: 1d, close: no_answer }] } }", "%ASKS%\ntasks: { ask_missing: { message: m, unanswered: [{ after: 1d, close: gave_up }] } }", A_DAY, "reason: \"no_answer\"", "reason: \"gave_up\""),
    ("tasks.*.sla", "", "tasks: { review: { sla: 1h } }", SAY, "task review for operators, reason decision, due +4h", "task review for operators, reason decision, due +1h"),
    ("decision.branches.*.default", "decision: { branches: [{ default: human_queue }] }", "decision: { branches: [{ default: deny }] }", SAY, "reason needs_human", "reason denied"),
    ("tasks.*.owner", "%CRM%\npolicy: { crm_upsert: approve }", "%CRM%\npolicy: { crm_upsert: approve }\ntasks: { approve: { owner: anna } }", SAY, "task approve for operators", "task approve for anna"),
    ("tasks.*.owner", "decision: { branches: [{ condition: \"record.name != ''\", action: hand_off }, { default: human_queue }] }", "decision: { branches: [{ condition: \"record.name != ''\", action: hand_off }, { default: human_queue }] }\ntasks: { hand_off: { owner: anna } }", SAY, "task hand_off for operators", "task hand_off for anna"),
    ("tasks.*.owner", "%MISSING%\nrecord: { type: d, fields: { b: { type: int, required: true } } }", "%MISSING%\nrecord: { type: d, fields: { b: { type: int, required: true } } }\ntasks: { ask_missing: { owner: anna } }", SAY, "task missing for operators", "task missing for anna"),
    ("tasks.*.owner", "%CRM%\n%AUTO%\nside_effects: { crm: { %BLIND% } }", "%CRM%\n%AUTO%\nside_effects: { crm: { %BLIND% } }\ntasks: { exception: { owner: anna } }", LOST, "task exception for operators", "task exception for anna"),
];
