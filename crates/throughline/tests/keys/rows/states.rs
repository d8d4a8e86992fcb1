//! Rows of `queue`, `states`, `transitions` and `observability`.

use tl_kernel::time::HOUR;

use super::{Row, SAY};
use crate::acts::{Act, LEAD};

const BREACHED: &[Act] = &[Act::Say(LEAD), Act::Wait(4 * HOUR)];
const ESCALATED: &[Act] = &[Act::Say(LEAD), Act::Wait(4 * HOUR), Act::Wait(HOUR)];
const DONE: &[Act] = &[Act::Say(LEAD), Act::Decide("close")];

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    ("queue", "", "queue: { name: other }", SAY, "queue=\"workflow_jobs\"", "queue=\"other\""),
    ("queue.name", "queue: { name: one }", "queue: { name: other }", SAY, "queue=\"one\"", "queue=\"other\""),
    ("queue.payload", "", "queue: { payload: { case_id } }", SAY, " event_id=", " case_id="),
    ("states", "", "states: { needs_human: { sla: 2h } }", SAY, "due +4h", "due +2h"),
    ("states.*.owner", "states: { needs_human: { sla: 4h } }", "states: { needs_human: { owner: anna } }", SAY, "owner operators", "owner anna"),
    ("states.*.sla", "states: { needs_human: { sla: 3h } }", "states: { needs_human: { sla: 2h } }", SAY, "timer Breach at +3h", "timer Breach at +2h"),
    ("states.*.warn_at", "", "states: { needs_human: { warn_at: 50% } }", SAY, "", "timer Warn at +2h"),
    ("states.*.escalate", "", "states: { needs_human: { escalate: [{ after: 1h, to: anna }] } }", ESCALATED, "", "Assigned { owner: \"anna\", reason: \"escalation\" }"),
    ("states.*.escalate.*.after", "states: { needs_human: { escalate: [{ after: 1h, to: anna }] } }", "states: { needs_human: { escalate: [{ after: 2h, to: anna }] } }", BREACHED, "timer Escalate(0) at +5h", "timer Escalate(0) at +6h"),
    ("states.*.escalate.*.to", "states: { needs_human: { escalate: [{ after: 1h, to: anna }] } }", "states: { needs_human: { escalate: [{ after: 1h, to: ben }] } }", ESCALATED, "task review for anna", "task review for ben"),
    ("states.*.on_breach", "", "states: { needs_human: { on_breach: closed } }", BREACHED, "case in needs_human", "case in closed"),
    ("states.*.pause", "workflow: { id: w, version: 1, goal: {} }", "workflow: { id: w, version: 1, goal: {} }\nstates: { needs_human: { pause: true } }", SAY, "timer Goal at +1d", ""),
    ("states.*.terminal", "decision: { branches: [{ condition: \"record.name != ''\", action: close, to: won }, { default: human_queue }] }\nstates: { won: { sla: 1h } }\ntransitions: [%EDGES%, { from: triaged, to: needs_human }, { from: triaged, to: won }, { from: won, to: needs_human }]", "decision: { branches: [{ condition: \"record.name != ''\", action: close, to: won }, { default: human_queue }] }\nstates: { won: { terminal: true } }\ntransitions: [%EDGES%, { from: triaged, to: needs_human }, { from: triaged, to: won }, { from: won, to: needs_human }]", SAY, "timer Breach at +1h", "field closed_at"),
    ("transitions", "", "transitions: [%EDGES%, { from: triaged, to: needs_human, owner: anna }]", SAY, "owner operators", "owner anna"),
    ("transitions.*.from", "decision: { branches: [{ default: deny, to: parked }] }\nstates: { parked: { sla: 1h } }\ntransitions: [%EDGES%, { from: triaged, to: needs_human }, { from: parked, to: closed }, { from: parked, to: needs_human }, { from: triaged, to: parked }]", "decision: { branches: [{ default: deny, to: parked }] }\nstates: { parked: { sla: 1h } }\ntransitions: [%EDGES%, { from: triaged, to: needs_human }, { from: parked, to: closed }, { from: parked, to: needs_human }, { from: automated, to: parked }]", SAY, "case in parked", "reason no_edge"),
    ("transitions.*.to", "transitions: [%EDGES%, { from: triaged, to: needs_human }]", "transitions: [%EDGES%, { from: triaged, to: pending }]", SAY, "case in needs_human", "refused"),
    ("transitions.*.owner", "transitions: [%EDGES%, { from: triaged, to: needs_human, owner: ben }]", "transitions: [%EDGES%, { from: triaged, to: needs_human, owner: anna }]", SAY, "owner ben", "owner anna"),
    ("transitions.*.sla", "transitions: [%EDGES%, { from: triaged, to: needs_human }]", "transitions: [%EDGES%, { from: triaged, to: needs_human, sla: 1h }]", SAY, "timer Breach at +4h", "timer Breach at +1h"),
    ("transitions.*.emit", "transitions: [%EDGES%, { from: triaged, to: needs_human }]", "transitions: [%EDGES%, { from: triaged, to: needs_human, emit: [sla_timer, domain_event] }]", SAY, "", "outbox event to : lead.needs_human"),
    ("observability", "", "observability: { metrics: none }", DONE, "series throughline_steps_total", ""),
    ("observability.audit_log", "observability: { audit_log: append_only }", "observability: { audit_log: none }", SAY, "door 202", "TL0204 `none`"),
    ("observability.metrics", "observability: { metrics: red_metrics }", "observability: { metrics: none }", DONE, "series throughline_steps_total", ""),
    ("transitions.*.emit", "transitions: [%EDGES%, { from: triaged, to: needs_human }]", "transitions: [%EDGES%, { from: triaged, to: needs_human, emit: [sla_timer, crm_sync] }]", SAY, "", "stored lead/"),
    ("transitions.*.emit", "transitions: [%EDGES%, { from: triaged, to: needs_human, emit: [sla_timer] }]", "transitions: [%EDGES%, { from: triaged, to: needs_human, emit: [audit_log] }]", SAY, "due +4h, correlation", "due none, correlation"),
    ("transitions.*.emit", "transitions: [%EDGES%, { from: triaged, to: needs_human, emit: [sla_timer] }]", "transitions: [%EDGES%, { from: triaged, to: needs_human, emit: [sla_timer, audit_log] }]", SAY, "check: `emit` without `audit_log`", ""),
];
