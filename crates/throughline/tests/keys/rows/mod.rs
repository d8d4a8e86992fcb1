//! The rows: a new case is one line.

mod decision;
mod head;
mod ingress;
mod outward;
mod schedules;
mod states;
mod worker;

use crate::Try;
use crate::acts::{Act, LEAD};

/// Key, file with one value, file with the other, what happens, what is seen in the first alone, in the second alone.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    &'static [Act],
    &'static str,
    &'static str,
);

/// The usual lead comes in.
const SAY: &[Act] = &[Act::Say(LEAD)];

/// Parts of files that many rows share.
const SHARED: &[(&str, &str)] = &[
    (
        "%CRM%",
        "decision: { branches: [{ condition: \"record.name != ''\", action: crm_upsert }, { default: human_queue }] }",
    ),
    (
        "%MAIL%",
        "decision: { branches: [{ condition: \"record.name != ''\", action: m }, { default: human_queue }] }",
    ),
    (
        "%MISSING%",
        "decision: { branches: [{ condition: \"size(missing) > 0\", action: ask_missing }, { default: human_queue }] }",
    ),
    (
        "%ASKS%",
        "decision: { branches: [{ condition: \"size(missing) > 0\", action: ask_missing }, { default: human_queue }] }\n\
         record: { type: d, fields: { b: { type: int, required: true } } }\npolicy: { m: auto, r: auto }\n\
         side_effects: { messaging: { m: { to: \"'desk@x.example'\", text: Tell us }, r: { to: \"'desk@x.example'\", text: Again } } }",
    ),
    (
        "%CLOSE%",
        "decision: { branches: [{ condition: \"record.name != ''\", action: close }, { default: human_queue }] }",
    ),
    (
        "%SURE%",
        "decision: { branches: [{ condition: confidence >= threshold, action: close }, { default: human_queue }] }",
    ),
    (
        "%EDGES%",
        "{ from: pending, to: triaged }, { from: pending, to: closed }, { from: pending, to: needs_human }, \
         { from: triaged, to: automated }, { from: triaged, to: closed }, { from: automated, to: closed }, \
         { from: automated, to: needs_human }, { from: needs_human, to: automated }, { from: needs_human, to: closed }, \
         { from: needs_human, to: triaged }, { from: needs_human, to: needs_human }, { from: closed, to: triaged }",
    ),
    (
        "%REST%",
        "api: rest, optimistic_lock: If-Match, path: '/leads/1'",
    ),
    (
        "%BLIND%",
        "api: rest, optimistic_lock: last_writer_wins, path: '/leads/1'",
    ),
    (
        "%SAYS%",
        "decision: { branches: [{ condition: \"record.name != ''\", action: m }, { default: human_queue }] }\npolicy: { m: auto }",
    ),
    ("%AUTO%", "policy: { crm_upsert: auto }"),
    (
        "%TELL%",
        "decision: { branches: [{ condition: \"record.name != ''\", action: tell }, { default: human_queue }] }\npolicy: { tell: auto }",
    ),
    (
        "%PUT%",
        "use: http.record.put, connection: web, with: { path: \"'/leads/1'\" }, map: { name: record.name }",
    ),
];

/// Every row.
pub fn all() -> Vec<Try> {
    let tables = [
        head::ROWS,
        ingress::ROWS,
        schedules::ROWS,
        states::ROWS,
        worker::ROWS,
        decision::ROWS,
        outward::ROWS,
    ];
    let rows = tables.into_iter().flatten().map(|r| Try {
        key: r.0.to_owned(),
        one: written_out(r.1),
        other: written_out(r.2),
        acts: r.3.to_vec(),
        in_one: r.4,
        in_other: r.5,
    });
    rows.chain(ingress::auth()).collect()
}

fn written_out(part: &str) -> String {
    let mut out = part.to_owned();
    for (name, text) in SHARED {
        out = out.replace(name, text);
    }
    out
}
