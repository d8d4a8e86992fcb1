//! The explanation as text for a terminal.

use std::fmt::Write as _;

use super::{Explanation, Line, Side, TurnLine, goal_text};
use crate::control::views::{FieldLine, Next};
use crate::text::{due_text, safe};

/// What only the reader can fill in, as it stands in commands.
pub(super) const BLANKS: [&str; 4] = ["REASON", "OWNER", "FIELD", "VALUE"];

/// The whole screen.
pub fn render(e: &Explanation) -> String {
    let mut out = String::new();
    row(&mut out, "case", &e.case);
    row(&mut out, "as of", &e.now.exact());
    row(&mut out, "situation", &e.summary);
    for note in &e.notes {
        row(&mut out, "", &format!("- {note}"));
    }
    out.push_str(&next_text(&e.next));
    row(&mut out, "state", &state(e));
    for (i, line) in e.stands.iter().enumerate() {
        row(&mut out, if i == 0 { "now" } else { "" }, line);
    }
    if let Some(goal) = &e.goal {
        row(&mut out, "goal", &goal_text(goal, e.now.0));
    }
    let version = format!(
        "{}@{}, deployed as number {} (bundle {})",
        e.workflow, e.version, e.number, e.bundle
    );
    row(&mut out, "workflow", &version);
    // The first message stands in the timeline; an id that the sender chose stands nowhere else.
    if !e.correlation.starts_with("evt_") {
        row(&mut out, "correlation", &e.correlation);
    }
    out.push_str("\ntimeline\n");
    for turn in &e.turns {
        turn_text(&mut out, turn);
    }
    out.push_str(&fields_text(&e.record, &e.missing));
    out.push_str(&legend(e));
    out
}

fn row(out: &mut String, name: &str, value: &str) {
    let _ = writeln!(out, "{name:<12} {}", safe(value));
}

fn state(e: &Explanation) -> String {
    let reason = match e.reason.as_str() {
        "" => String::new(),
        reason => format!(" (reason: {reason})"),
    };
    let due = e.due.map_or_else(String::new, |d| {
        let left = due_text(Some(d), e.now.0);
        format!("; this state is due {} ({left})", d.clock())
    });
    format!("{}{reason}, with {}{due}", e.state, e.owner)
}

fn turn_text(out: &mut String, turn: &TurnLine) {
    let _ = writeln!(
        out,
        "{:>4}  {}  {}",
        turn.n,
        turn.at.exact(),
        safe(&turn.actor)
    );
    for line in &turn.lines {
        let Line { text, detail, .. } = line;
        let _ = writeln!(out, "        {:<8} {}", word(line), safe(text));
        for d in detail {
            let _ = writeln!(out, "                 - {}", safe(d));
        }
    }
}

fn word(line: &Line) -> &str {
    match (line.word.as_str(), line.side) {
        ("", Side::Input) => "in",
        ("", Side::Decision) => "decided",
        ("", Side::Action) => "did",
        ("", Side::Clock) => "clock",
        (word, _) => word,
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

/// What the short words of this screen mean, of those that stand on it.
fn legend(e: &Explanation) -> String {
    let mut out = String::new();
    let blank = |word: &str| {
        let mut words = e.next.iter().flat_map(|n| n.command.split([' ', '=']));
        words.any(|w| w == word)
    };
    let blanks: Vec<&str> = BLANKS.into_iter().filter(|word| blank(word)).collect();
    if !blanks.is_empty() {
        let reason = match blanks.contains(&"REASON") {
            true => "; the reason is a word or two joined by _, and stays in the audit",
            false => "",
        };
        let _ = writeln!(out, "\n{}: yours to fill in{reason}", blanks.join(", "));
    }
    let trusts = [
        (
            "untrusted",
            "it came from outside, and nobody has checked it",
        ),
        ("crm", "the system of record holds it"),
        ("operator", "a person here gave it"),
        ("config", "it stands in the files of the project"),
    ];
    let of = |word: &str| e.record.iter().any(|f| f.trust == word);
    let shown: Vec<String> = trusts
        .into_iter()
        .filter(|(word, _)| of(word))
        .map(|(word, means)| format!("[{word}]: {means}"))
        .collect();
    if !shown.is_empty() {
        let begin = if out.is_empty() { "\n" } else { "" };
        let _ = writeln!(out, "{begin}{}", shown.join("; "));
    }
    out
}
