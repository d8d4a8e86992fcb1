//! `tasks`: who gets which kind of work, and for how long it may wait.

use std::collections::BTreeMap;

use tl_kernel::program::{ActionKind, TaskRules, Unanswered, WhenUnanswered};
use tl_kernel::value::Type;

use crate::cel;
use crate::diag::{Mend, Problem};
use crate::keys::{TASK, TASKS, UNANSWERED};
use crate::load::{Lower, Names};
use crate::quote::quote;
use crate::suggest::{listed, nearest};
use crate::tree::{Entry, Node};

/// Most steps while nobody answers.
const MAX_STEPS: usize = 16;

/// The rules for tasks.
pub(crate) fn tasks(l: &mut Lower<'_>, node: Option<&Node>) -> TaskRules {
    let mut out = TaskRules {
        ask_missing: None,
        unanswered: Vec::new(),
        owners: BTreeMap::new(),
        slas: BTreeMap::new(),
    };
    let Some(keys) = node.and_then(|n| l.cx.mapping(n)) else {
        return out;
    };
    for e in &keys.map.entries {
        if !TASKS.contains(&e.key.as_str()) {
            let p = Problem::new(
                "TL0201",
                e.key_span,
                format!("there is no kind of task `{}`", e.key),
            )
            .why(format!("the kinds are {}", listed(TASKS.iter().copied())));
            l.cx.push(match nearest(&e.key, TASKS.iter().copied()) {
                Some(k) => p.mend(Mend::replace(e.key_span, k, format!("did you mean `{k}`?"))),
                None => p.mend(e.value.removal("take it out")),
            });
            continue;
        }
        kind(l, e, &mut out);
    }
    out
}

/// The rules for one kind of task.
fn kind(l: &mut Lower<'_>, e: &Entry, out: &mut TaskRules) {
    let Some(keys) = l.cx.section(&e.value, &TASK) else {
        return;
    };
    // The action that asks and the kind of task it opens have different names.
    let kind = if e.key == "ask_missing" {
        "missing"
    } else {
        &e.key
    };
    if let Some(n) = keys.get("message") {
        if e.key == "ask_missing" {
            out.ask_missing = message(l, n);
        } else {
            let p = Problem::new(
                "TL0209",
                keys.key_span("message"),
                "only `ask_missing` sends a message",
            );
            l.cx.push(p.mend(n.removal("take it out")));
        }
    }
    if let Some(n) = keys.get("unanswered") {
        if e.key == "ask_missing" {
            out.unanswered = unanswered(l, n);
        } else {
            let p = Problem::new(
                "TL0209",
                keys.key_span("unanswered"),
                "only `ask_missing` waits for an answer",
            );
            l.cx.push(p.mend(n.removal("take it out")));
        }
    }
    if let Some(n) = keys.get("owner") {
        let schema = l.schema(Names::Record);
        let literal = !n.text().is_some_and(|t| t.contains("${"));
        if literal && is_expression(l, n) {
            return;
        }
        if !literal || l.owner(n).is_some() {
            let owner = l.cx.template(n, &schema);
            if let Some(t) = owner.filter(|t| l.is_ours(t, n)) {
                l.reads_owner(&t);
                out.owners.insert(kind.to_owned(), t);
            }
        }
    }
    if let Some(n) = keys.get("sla") {
        out.slas
            .extend(l.cx.duration(n).map(|us| (kind.to_owned(), us)));
    }
}

/// An expression where a name or a text with `${…}` is expected: the mend is to write it as one.
fn is_expression(l: &mut Lower<'_>, node: &Node) -> bool {
    let Some(text) = node.text().filter(|t| !l.owners.knows(t)) else {
        return false;
    };
    if cel::compile(text, &l.schema(Names::Record), &Type::Text).is_err() {
        return false;
    }
    let p = Problem::new(
        "TL0401",
        node.span,
        format!("no person or team is called `{text}`"),
    )
    .why("an owner that is read from the record stands in `${…}`");
    let whole = format!("${{{text}}}");
    l.cx.push(p.mend(Mend::replace(
        node.span,
        quote(&whole),
        format!("write `{whole}`"),
    )));
    true
}

/// The steps while nobody answers, each later than the one before.
fn unanswered(l: &mut Lower<'_>, node: &Node) -> Vec<Unanswered> {
    let mut out: Vec<Unanswered> = Vec::new();
    let items = l.cx.items(node);
    if items.len() > MAX_STEPS {
        let what = format!("{} steps: there are at most {MAX_STEPS}", items.len());
        l.cx.push(Problem::new("TL0206", node.span, what));
        return out;
    }
    for item in items {
        let Some(step) = step(l, item) else { continue };
        let before = out.last().map(|s| s.after);
        if before.is_some_and(|before| before >= step.after) {
            let p = Problem::new(
                "TL0206",
                item.span,
                "this step comes no later than the one before it",
            );
            l.cx.push(
                p.why("`after` counts from the question, and the steps stand in the order of time"),
            );
        }
        out.push(step);
    }
    out
}

fn step(l: &mut Lower<'_>, node: &Node) -> Option<Unanswered> {
    let keys = l.cx.section(node, &UNANSWERED)?;
    if keys.get("after").is_none() {
        l.cx.missing(keys, "after", "2d");
    }
    let after = keys.get("after").and_then(|n| l.cx.duration(n));
    let given: Vec<&str> = ["message", "to", "close"]
        .into_iter()
        .filter(|k| keys.get(k).is_some())
        .collect();
    let [what] = given.as_slice() else {
        match given.get(1) {
            None => l.cx.missing(keys, "close", "no_answer"),
            Some(second) => {
                let text = format!("`{}` and `{second}` in one step", given[0]);
                let p = Problem::new("TL0209", keys.key_span(second), text)
                    .why("a step does one thing: write two steps");
                let out = keys.get(second).map(|n| n.removal("take it out here"));
                l.cx.push(match out {
                    Some(mend) => p.mend(mend),
                    None => p,
                });
            }
        }
        return None;
    };
    let n = keys.get(what)?;
    let then = match *what {
        "message" => WhenUnanswered::Remind(message(l, n)?),
        "to" => WhenUnanswered::Escalate(l.owner(n)?),
        _ => WhenUnanswered::Close(l.cx.name(n)?),
    };
    Some(Unanswered {
        after: after?,
        then,
    })
}

fn message(l: &mut Lower<'_>, node: &Node) -> Option<u16> {
    let text = l.cx.text(node)?;
    let is_message = |a: &tl_kernel::program::Action| matches!(a.kind, ActionKind::Message(_));
    let found = l
        .actions
        .iter()
        .position(|a| a.name == text && is_message(a));
    if found.is_none() {
        let known: Vec<String> = l
            .actions
            .iter()
            .filter(|a| is_message(a))
            .map(|a| a.name.clone())
            .collect();
        l.cx.unknown(
            "TL0403",
            node,
            "the message",
            known.iter().map(String::as_str),
        );
    }
    found.map(|i| i as u16)
}
