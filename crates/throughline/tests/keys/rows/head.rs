//! Rows of `language`, `workflow`, `record` and `settings`.

use tl_kernel::time::DAY;

use super::{Row, SAY};
use crate::acts::{Act, LEAD, POST, Post};

/// A message that holds `a`.
const HOLDS_A: &[Act] = &[Act::Say(r#"{"a":"7"}"#)];
/// Two messages of the same sender, who calls herself otherwise the second time.
const TWICE: &[Act] = &[
    Act::Say(LEAD),
    Act::Say(r#"{"name":"Countess Ada","email":"ada@x.example"}"#),
];

const fn mail(body: &'static str) -> Act {
    Act::Post(Post {
        content_type: "message/rfc822",
        body,
        ..POST
    })
}
/// A mail, and the answer of another person to it.
const THREAD: &[Act] = &[
    mail("From: Ada <ada@x.example>\r\nMessage-ID: <m1@x.example>\r\n\r\nTen seats.\r\n"),
    mail(
        "From: Bo <bo@x.example>\r\nMessage-ID: <m2@x.example>\r\nIn-Reply-To: <m1@x.example>\r\n\r\nTwelve.\r\n",
    ),
];

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    ("language", "", "language: 2", SAY, "door 202", "TL0215"),
    ("workflow", "", "-workflow", SAY, "door 202", "TL0202 the key `workflow`"),
    ("workflow.id", "", "workflow: { id: v, version: 1 }", SAY, "door 202", "refused"),
    ("workflow.version", "", "workflow: { id: w, version: 2 }", SAY, "workflow w version 1", "workflow w version 2"),
    ("workflow.correlation_id", "", "workflow: { id: w, version: 1, correlation_id: '${event.body.id}' }", SAY, "", "correlation m-1"),
    ("workflow.goal", "", "workflow: { id: w, version: 1, goal: {} }", SAY, "", "timer Goal at +1d"),
    ("workflow.goal.start", "workflow: { id: w, version: 1, goal: { start: automated } }", "workflow: { id: w, version: 1, goal: { start: needs_human } }", SAY, "", "timer Goal at +1d"),
    ("workflow.goal.end", "workflow: { id: w, version: 1, goal: { end: needs_human } }", "workflow: { id: w, version: 1, goal: { end: closed } }", SAY, "", "timer Goal at +1d"),
    ("workflow.goal.sla", "workflow: { id: w, version: 1, goal: {} }", "workflow: { id: w, version: 1, goal: { sla: 2h } }", SAY, "timer Goal at +1d", "timer Goal at +2h"),
    ("workflow.goal.owner", "workflow: { id: w, version: 1, goal: {} }", "workflow: { id: w, version: 1, goal: { owner: anna } }", &[Act::Say(LEAD), Act::Wait(2 * DAY)], "Assigned { owner: \"operators\", reason: \"goal\" }", "Assigned { owner: \"anna\", reason: \"goal\" }"),
    ("record", "%CRM%", "%CRM%\nrecord: { type: deal }", SAY, "stored lead/", "stored deal/"),
    ("record.type", "%CRM%\nrecord: { on_match: join }", "%CRM%\nrecord: { on_match: join, type: deal }", SAY, "stored lead/", "stored deal/"),
    ("record.natural_key", "ingress: { channels: { webhook: { channel: email } } }", "ingress: { channels: { webhook: { channel: email } } }\nrecord: { natural_key: '${event.thread}' }", THREAD, "2 cases", "1 cases"),
    ("record.natural_key", "", "record: { natural_key: '${record.email}' }", TWICE, "2 cases", "1 cases"),
    ("record.on_match", "record: { natural_key: '${record.email}' }", "record: { natural_key: '${record.email}', on_match: update }", TWICE, "field name = Text(\"Ada\")", "field name = Text(\"Countess Ada\")"),
    ("record.fields", "record: { type: deal }", "record: { type: deal, fields: { a: { type: string } } }", HOLDS_A, "", "field a = Text(\"7\")"),
    ("record.fields.*.type", "record: { type: d, fields: { a: { type: string } } }", "record: { type: d, fields: { a: { type: int } } }", HOLDS_A, "field a = Text(\"7\")", "field a = Int(7)"),
    ("record.fields.*.values", "record: { type: d, fields: { a: { type: enum, values: ['6'] } } }", "record: { type: d, fields: { a: { type: enum, values: ['6', '7'] } } }", HOLDS_A, "", "field a = Text(\"7\")"),
    ("record.fields.*.required", "%MISSING%\nrecord: { type: d, fields: { b: { type: int } } }", "%MISSING%\nrecord: { type: d, fields: { b: { type: int, required: true } } }", HOLDS_A, "task review", "task missing"),
    ("record.fields.*.use", "record: { type: d, fields: { a: { type: text } } }", "record: { type: d, fields: { a: { type: text, use: control } } }", HOLDS_A, "", "TL0518"),
    ("record.fields.*.untrusted", "worker: { ai_step: none, rules: [{ when: 'true', set: { a: ours } }] }\nrecord: { type: d, fields: { a: { type: string, from: rules } } }", "worker: { ai_step: none, rules: [{ when: 'true', set: { a: ours } }] }\nrecord: { type: d, fields: { a: { type: string, from: rules, untrusted: true } } }", HOLDS_A, "field a = Text(\"ours\") Config", "field a = Text(\"ours\") Untrusted"),
    ("record.fields.*.from", "record: { type: d, fields: { a: { type: string } } }", "record: { type: d, fields: { a: { type: string, from: rules } } }", HOLDS_A, "field a = ", ""),
    ("settings", "worker: { ai_step: none, rules: [{ when: 'true', set: { territory: '${settings.desk}' } }] }\nsettings: { desk: north }", "worker: { ai_step: none, rules: [{ when: 'true', set: { territory: '${settings.desk}' } }] }\nsettings: { desk: south }", SAY, "field territory = Text(\"north\")", "field territory = Text(\"south\")"),
    ("record.on_match", "record: { natural_key: '${record.email}' }", "record: { natural_key: '${record.email}', on_match: open }", TWICE, "1 cases", "2 cases"),
    ("record.fields.*.from", "record: { type: d, fields: { a: { type: string } } }", "record: { type: d, fields: { a: { type: string, from: ai } } }", HOLDS_A, "field a = ", ""),
];
