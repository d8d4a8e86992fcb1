//! `states` and `transitions`: the canonical five and their edges, and what a file changes about them.

use std::collections::BTreeSet;

use tl_kernel::program::canonical::{AUTOMATED, CLOSED, NAMES, NEEDS_HUMAN, PENDING, TRIAGED};
use tl_kernel::program::{Edge, Emit, State, StateIx};
use tl_kernel::time::{HOUR, MINUTE};

use crate::cx::Keys;
use crate::diag::Problem;
use crate::keys::{EMIT, ESCALATE, STATE, TRANSITION};
use crate::load::Lower;
use crate::project::OPERATORS;
use crate::tree::{Entry, Node};

/// How long a case may stay in each of the canonical states.
const SLAS: [Option<i64>; 5] = [
    Some(5 * MINUTE),
    Some(15 * MINUTE),
    Some(HOUR),
    Some(4 * HOUR),
    None,
];

/// The edges of a file that declares none.
const EDGES: &[(StateIx, StateIx)] = &[
    (PENDING, TRIAGED),
    (PENDING, CLOSED),
    (PENDING, NEEDS_HUMAN),
    (TRIAGED, AUTOMATED),
    (TRIAGED, NEEDS_HUMAN),
    (TRIAGED, CLOSED),
    (AUTOMATED, CLOSED),
    (AUTOMATED, NEEDS_HUMAN),
    (NEEDS_HUMAN, AUTOMATED),
    (NEEDS_HUMAN, CLOSED),
    (NEEDS_HUMAN, TRIAGED),
    (NEEDS_HUMAN, NEEDS_HUMAN),
    (CLOSED, TRIAGED),
];

fn default_state(ix: usize) -> State {
    let terminal = ix == CLOSED as usize;
    State {
        name: NAMES[ix].to_owned(),
        terminal,
        owner: OPERATORS.to_owned(),
        sla: SLAS[ix],
        warn_at: None,
        escalate: Vec::new(),
        on_breach: (!terminal).then_some(NEEDS_HUMAN),
        pause: false,
        line: 0,
    }
}

/// The states: the canonical five first, then those of the file in its order.
pub(crate) fn states(l: &mut Lower<'_>, node: Option<&Node>) -> Vec<State> {
    let mut out: Vec<State> = (0..NAMES.len()).map(default_state).collect();
    let Some(keys) = node.and_then(|n| l.cx.mapping(n)) else {
        return out;
    };
    for e in &keys.map.entries {
        if out.iter().all(|s| s.name != e.key) && l.cx.check_name(&e.key, e.key_span) {
            out.push(State {
                name: e.key.clone(),
                sla: None,
                ..default_state(NEEDS_HUMAN as usize)
            });
        }
    }
    // A breach may lead to a state that stands further down, so all names are known first.
    l.states.clone_from(&out);
    for e in &keys.map.entries {
        let (Some(ix), Some(keys)) = (
            out.iter().position(|s| s.name == e.key),
            l.cx.section(&e.value, &STATE),
        ) else {
            continue;
        };
        out[ix].line = l.cx.line(e.key_span);
        state(l, keys, e, &mut out[ix]);
    }
    out
}

fn state(l: &mut Lower<'_>, keys: Keys<'_>, entry: &Entry, s: &mut State) {
    if let Some(n) = keys.get("terminal") {
        s.terminal = l.cx.bool(n).unwrap_or(s.terminal);
        if s.terminal {
            s.on_breach = None;
            s.sla = None;
        }
    }
    if let Some(n) = keys.get("owner") {
        s.owner = l.owner(n).unwrap_or_else(|| OPERATORS.to_owned());
    }
    match keys.get("sla") {
        Some(n) if s.terminal => l.cx.push(
            Problem::new(
                "TL0209",
                keys.key_span("sla"),
                format!("`{}` is terminal and has no SLA", entry.key),
            )
            .why("nothing is waited for in a terminal state")
            .mend(n.removal("take `sla` out")),
        ),
        Some(n) => s.sla = l.cx.duration(n),
        None if s.sla.is_none() && !s.terminal => l.cx.missing(keys, "sla", "1h"),
        None => {}
    }
    if let Some(n) = keys.get("warn_at") {
        s.warn_at = l.cx.share(n).map(|x| (x * 100.0).round() as u8);
    }
    if let Some(n) = keys.get("pause") {
        s.pause = l.cx.bool(n).unwrap_or(false);
    }
    if let Some(n) = keys.get("on_breach") {
        s.on_breach = l.state(n);
    }
    if let Some(n) = keys.get("escalate") {
        let items = l.cx.items(n);
        s.escalate = items.iter().filter_map(|n| escalation(l, n)).collect();
    }
}

fn escalation(l: &mut Lower<'_>, node: &Node) -> Option<(i64, String)> {
    let keys = l.cx.section(node, &ESCALATE)?;
    for (key, example) in [("after", "30m"), ("to", OPERATORS)] {
        if keys.get(key).is_none() {
            l.cx.missing(keys, key, example);
        }
    }
    let after = keys.get("after").and_then(|n| l.cx.duration(n));
    let to = keys.get("to").and_then(|n| l.owner(n));
    Some((after?, to?))
}

/// The edges: those of the file, or the default ones.
pub(crate) fn edges(l: &mut Lower<'_>, node: Option<&Node>) -> Vec<Edge> {
    let usual = BTreeSet::from([Emit::SlaTimer, Emit::AuditLog]);
    let Some(node) = node else {
        let edge = |(from, to): &(StateIx, StateIx)| Edge {
            from: *from,
            to: *to,
            owner: None,
            sla: None,
            emit: usual.clone(),
            line: 0,
        };
        return EDGES.iter().map(edge).collect();
    };
    let mut out: Vec<Edge> = Vec::new();
    for n in l.cx.items(node) {
        let Some(edge) = transition(l, n, &usual) else {
            continue;
        };
        if out.iter().any(|e| (e.from, e.to) == (edge.from, edge.to)) {
            l.cx.push(
                Problem::new("TL0211", n.span, "this edge stands here twice")
                    .mend(n.removal("take the second one out")),
            );
        } else {
            out.push(edge);
        }
    }
    out
}

fn transition(l: &mut Lower<'_>, node: &Node, usual: &BTreeSet<Emit>) -> Option<Edge> {
    let keys = l.cx.section(node, &TRANSITION)?;
    for key in ["to", "from"] {
        if keys.get(key).is_none() {
            l.cx.missing(
                keys,
                key,
                if key == "to" {
                    "needs_human"
                } else {
                    "pending"
                },
            );
        }
    }
    let from = keys.get("from").and_then(|n| l.state(n));
    let to = keys.get("to").and_then(|n| l.state(n));
    let owner = keys.get("owner").and_then(|n| l.owner(n));
    let sla = keys.get("sla").and_then(|n| l.cx.duration(n));
    let mut emit: BTreeSet<Emit> = match keys.get("emit") {
        None => usual.clone(),
        Some(n) => l.cx.words(n, EMIT).into_iter().map(emit).collect(),
    };
    // Every turn is in the audit log, so that is what the transition does whether or not it says so.
    if emit.insert(Emit::AuditLog) {
        l.note(
            "`emit` without `audit_log`: the transition is in the audit log all the same, as every turn is, and `graph` shows it",
        );
    }
    Some(Edge {
        from: from?,
        to: to?,
        owner,
        sla,
        emit,
        line: l.cx.line(node.span),
    })
}

fn emit(word: &'static str) -> Emit {
    match word {
        "crm_sync" => Emit::CrmSync,
        "sla_timer" => Emit::SlaTimer,
        "domain_event" => Emit::DomainEvent,
        _ => Emit::AuditLog,
    }
}
