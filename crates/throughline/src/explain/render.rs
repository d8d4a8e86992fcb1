//! The explanation as text for a terminal.

use std::fmt::Write as _;

use super::{Explanation, Line, Side, TurnLine, goal_text};
use crate::control::views::{FieldLine, Next};
use crate::text::{due_text, safe};

/// The whole screen.
pub fn render(e: &Explanation) -> String {
    let mut out = String::new();
    let version = format!(
        "{}@{} (version {} of this tenant, bundle {})",
        e.workflow, e.version, e.number, e.bundle
    );
    let state = match e.reason.as_str() {
        "" => e.state.clone(),
        reason => format!("{}, because {reason}", e.state),
    };
    let rows = [
        ("case", e.case.clone()),
        ("workflow", version),
        ("state", state),
        ("owner", e.owner.clone()),
        (
            "due",
            e.due.map_or_else(
                || "-".into(),
                |d| format!("{} ({})", d.clock(), due_text(Some(d), e.now.0)),
            ),
        ),
        (
            "goal",
            e.goal
                .as_ref()
                .map_or_else(|| "-".into(), |g| goal_text(g, e.now.0)),
        ),
        (
            "opened",
            format!("{} ({})", e.opened_at.clock(), e.opened_at.from(e.now.0)),
        ),
        ("correlation", e.correlation.clone()),
        ("what is up", e.summary.clone()),
    ];
    for (name, value) in rows {
        let _ = writeln!(out, "{name:<12} {}", safe(&value));
    }
    out.push_str(&next_text(&e.next));
    out.push_str("\ntimeline\n");
    for turn in &e.turns {
        turn_text(&mut out, turn);
    }
    out.push_str(&fields_text(&e.record, &e.missing));
    out
}

fn turn_text(out: &mut String, turn: &TurnLine) {
    let _ = writeln!(
        out,
        "{:>4}  {}  {}",
        turn.n,
        turn.at.clock(),
        safe(&turn.actor)
    );
    for Line { side, text, detail } in &turn.lines {
        let word = match side {
            Side::Input => "in",
            Side::Decision => "decided",
            Side::Action => "did",
            Side::Clock => "clock",
        };
        let _ = writeln!(out, "        {word:<8} {}", safe(text));
        for d in detail {
            let _ = writeln!(out, "                 - {}", safe(d));
        }
    }
}

/// What to do next, as commands.
pub fn next_text(next: &[Next]) -> String {
    let mut out = String::new();
    for (i, n) in next.iter().enumerate() {
        let word = if i == 0 { "next" } else { "" };
        if !n.why.is_empty() {
            let _ = writeln!(out, "{word:<12} {}", safe(&n.why));
        }
        if !n.command.is_empty() {
            let _ = writeln!(out, "{:<12}   {}", "", safe(&n.command));
        }
    }
    out
}

/// A record, field by field.
pub fn fields_text(fields: &[FieldLine], missing: &[String]) -> String {
    let mut out = String::from("\nrecord\n");
    let width = fields
        .iter()
        .map(|f| f.name.chars().count())
        .chain(missing.iter().map(String::len))
        .max()
        .unwrap_or(0);
    for f in fields {
        let _ = writeln!(out, "  {:width$}  {}", f.name, safe(&f.value));
        let _ = writeln!(
            out,
            "  {:width$}    from {} [{}]",
            "",
            safe(&f.source),
            f.trust
        );
    }
    for name in missing {
        let _ = writeln!(out, "  {name:width$}  missing (required)");
    }
    if fields.is_empty() && missing.is_empty() {
        out.push_str("  empty\n");
    }
    out
}
