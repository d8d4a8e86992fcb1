//! The small sections: `settings`, `queue`, `observability` and `workflow.goal`.

use std::collections::{BTreeMap, BTreeSet};

use tl_kernel::program::canonical::{CLOSED, NAMES, PENDING};
use tl_kernel::program::{Goal, Observability, Queue, StateIx};
use tl_kernel::time::DAY;
use tl_kernel::value::{Type, Value};

use crate::cx::Keys;
use crate::diag::{Mend, Problem};
use crate::keys::{GOAL, METRICS, OBSERVABILITY, PAYLOAD, QUEUE};
use crate::load::Lower;
use crate::project::OPERATORS;
use crate::tree::{Kind, Node};

/// `settings`: constants with the types that their notation shows.
pub(crate) fn settings(l: &mut Lower<'_>, node: Option<&Node>) {
    let Some(keys) = node.and_then(|n| l.cx.mapping(n)) else {
        return;
    };
    let mut out = BTreeMap::new();
    for e in &keys.map.entries {
        if !l.cx.check_name(&e.key, e.key_span) {
            continue;
        }
        if let Some(v) = setting(l, &e.value) {
            out.insert(e.key.clone(), v);
        }
    }
    l.settings = out;
}

/// A constant with the type that its notation shows.
pub(crate) fn setting(l: &mut Lower<'_>, node: &Node) -> Option<(Value, Type)> {
    match &node.kind {
        Kind::Scalar(s) if s.plain => Some(plain(&s.text)),
        Kind::Scalar(s) => Some((Value::text(&s.text), Type::Text)),
        Kind::List(items) => {
            let parts: Vec<(Value, Type)> =
                items.items.iter().filter_map(|n| setting(l, n)).collect();
            let first = parts.first().map_or(Type::Text, |(_, t)| t.clone());
            let same = parts.iter().all(|(_, t)| *t == first);
            let of = if same { first } else { Type::Any };
            Some((
                Value::List(parts.into_iter().map(|(v, _)| v).collect()),
                Type::List(Box::new(of)),
            ))
        }
        Kind::Map(m) => {
            let (mut values, mut types) = (BTreeMap::new(), BTreeMap::new());
            for e in &m.entries {
                let (v, t) = setting(l, &e.value)?;
                values.insert(e.key.clone(), v);
                types.insert(e.key.clone(), t);
            }
            Some((Value::Record(values), Type::Record(types)))
        }
        Kind::Null => {
            l.cx.wrong_kind(node, "a constant");
            None
        }
    }
}

fn plain(text: &str) -> (Value, Type) {
    if let Ok(b) = text.parse::<bool>() {
        return (Value::Bool(b), Type::Bool);
    }
    if let Ok(i) = text.parse::<i64>() {
        return (Value::Int(i), Type::Int);
    }
    let digits = text.trim_start_matches('-');
    if digits.starts_with(|c: char| c.is_ascii_digit())
        && let Ok(d) = text.parse()
    {
        return (Value::Dec(d), Type::Dec);
    }
    if let Some(us) = tl_kernel::time::parse_duration(text) {
        return (Value::Dur(us), Type::Dur);
    }
    (Value::text(text), Type::Text)
}

/// `queue`.
pub(crate) fn queue(l: &mut Lower<'_>, node: Option<&Node>) -> Queue {
    let mut out = Queue {
        name: "workflow_jobs".into(),
        payload: BTreeSet::from(["event_id", "correlation_id", "tenant_id"].map(str::to_owned)),
    };
    let Some(keys) = node.and_then(|n| l.cx.section(n, &QUEUE)) else {
        return out;
    };
    if let Some(n) = keys.get("name") {
        out.name = l.cx.name(n).unwrap_or(out.name);
    }
    if let Some(n) = keys.get("payload") {
        out.payload =
            l.cx.words(n, PAYLOAD)
                .into_iter()
                .map(str::to_owned)
                .collect();
    }
    out
}

/// `observability`. The audit log cannot be anything but append-only, so the key only states the fact.
pub(crate) fn observability(l: &mut Lower<'_>, node: Option<&Node>) -> Observability {
    let mut out = Observability { metrics: true };
    let Some(keys) = node.and_then(|n| l.cx.section(n, &OBSERVABILITY)) else {
        return out;
    };
    if let Some(n) = keys.get("audit_log") {
        l.cx.word(n, &["append_only"]);
    }
    if let Some(n) = keys.get("metrics") {
        out.metrics = l.cx.word(n, METRICS) != Some("none");
    }
    out
}

/// `workflow.goal`.
pub(crate) fn goal(l: &mut Lower<'_>, node: &Node) -> Option<Goal> {
    let keys = l.cx.section(node, &GOAL)?;
    let mut state = |key: &str, usual| match keys.get(key) {
        Some(n) => l.state(n).unwrap_or(usual),
        None => usual,
    };
    let (start, end) = (state("start", PENDING), state("end", CLOSED));
    goal_has_a_way(l, keys, (start, end));
    let sla = keys
        .get("sla")
        .and_then(|n| l.cx.duration(n))
        .unwrap_or(DAY);
    let owner = keys.get("owner").and_then(|n| l.owner(n));
    Some(Goal {
        start,
        end,
        sla,
        owner: owner.unwrap_or_else(|| OPERATORS.to_owned()),
    })
}

/// A goal that starts where the case or the path has ended would never be met nor missed.
fn goal_has_a_way(l: &mut Lower<'_>, keys: Keys<'_>, (start, end): (StateIx, StateIx)) {
    let terminal = l.states.get(usize::from(start)).is_some_and(|s| s.terminal);
    let (key, usual, message) = match terminal {
        true => (
            "start",
            NAMES[usize::from(PENDING)],
            "the goal starts in a terminal state",
        ),
        false if start == end => (
            "end",
            NAMES[usize::from(CLOSED)],
            "the goal ends where it starts",
        ),
        false => return,
    };
    if let Some(n) = keys.get(key) {
        l.cx.push(
            Problem::new("TL0209", n.span, message)
                .why("its clock runs from one state to another")
                .mend(Mend::replace(n.span, usual, format!("write `{usual}`"))),
        );
    }
}
