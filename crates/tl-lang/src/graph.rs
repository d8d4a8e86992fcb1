//! The declared graph as a picture: Mermaid for documents, SVG for the console.
//!
//! The layout is made for small state graphs: states stand in rows by their distance from the first one, what
//! leads forward runs between the rows, what leads back runs along lanes at the right.

mod layout;

use std::fmt::Write as _;

use tl_kernel::program::{Edge, Emit, Goal, Program, State};
use tl_kernel::time::duration_text;

use layout::{BOX_H, BOX_W, Box, Layout, Line};

/// The state graph in Mermaid's notation.
pub fn mermaid(program: &Program) -> String {
    let mut out = String::from("stateDiagram-v2\n");
    for (i, s) in program.states.iter().enumerate() {
        let under = under(s).map_or(String::new(), |u| format!("<br/>{}", plain(&u)));
        let _ = writeln!(out, "  s{i} : {}{under}", plain(&s.name));
    }
    out.push_str("  [*] --> s0\n");
    for e in &program.edges {
        let label = label(program, e);
        let label = if label.is_empty() {
            label
        } else {
            format!(" : {}", plain(&label))
        };
        let _ = writeln!(out, "  s{} --> s{}{label}", e.from, e.to);
    }
    for (i, s) in program
        .states
        .iter()
        .enumerate()
        .filter(|(_, s)| s.terminal)
    {
        let _ = writeln!(out, "  s{i} --> [*] : {}", plain(&s.name));
    }
    if let Some(goal) = &program.goal {
        let words = plain(&goal_words(program, goal));
        let _ = writeln!(out, "  note right of s{} : {words}", goal.end);
    }
    out
}

/// The goal, as it stands at the state where it ends.
fn goal_words(program: &Program, goal: &Goal) -> String {
    let (start, sla) = (program.state_name(goal.start), duration_text(goal.sla));
    format!("goal, within {sla} from {start}, {}", goal.owner)
}

/// Only what no notation reads as its own.
fn plain(text: &str) -> String {
    let keep = |c: char| {
        if c.is_alphanumeric() || " _-+/.,%@".contains(c) {
            c
        } else {
            ' '
        }
    };
    text.chars().map(keep).collect()
}

/// Owner and SLA of a state; nothing for terminal ones.
fn under(s: &State) -> Option<String> {
    let sla = s.sla.map(duration_text)?;
    (!s.terminal).then(|| format!("{}, {sla}", s.owner))
}

/// What an edge emits beside the clock and the audit, and where a missed SLA takes it.
fn label(program: &Program, e: &Edge) -> String {
    let mut words = Vec::new();
    let from = program.states.get(usize::from(e.from));
    if from.is_some_and(|s| s.on_breach == Some(e.to)) {
        words.push("SLA missed");
    }
    for (emit, word) in [
        (Emit::CrmSync, "crm_sync"),
        (Emit::DomainEvent, "domain_event"),
    ] {
        if e.emit.contains(&emit) {
            words.push(word);
        }
    }
    words.join(", ")
}

/// The state graph as an SVG document: readable on light and dark ground, no font from elsewhere.
pub fn svg(program: &Program) -> String {
    let layout = layout::layout(program);
    let (w, h) = (layout.width, layout.height);
    let mut out = String::new();
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" height=\"{h}\" role=\"img\" \
         aria-labelledby=\"tl-graph-title tl-graph-desc\">\n<title id=\"tl-graph-title\">States of {}</title>\n\
         <desc id=\"tl-graph-desc\">{}</desc>\n{STYLE}",
        escape(&program.id),
        escape(&described(program)),
    );
    for (line, e) in layout.lines.iter().zip(&program.edges) {
        draw_line(&mut out, program, line, e);
    }
    for (b, s) in layout.boxes.iter().zip(&program.states) {
        draw_box(&mut out, b, s);
    }
    draw_labels(&mut out, program, &layout);
    out.push_str("</svg>\n");
    out
}

const STYLE: &str = "<style>\n.tl-box{fill:#fff;stroke:#3b4a5a;stroke-width:1.5}.tl-end{stroke-width:3}\
.tl-name{font:600 14px system-ui,sans-serif;fill:#16202b}.tl-under,.tl-label{font:12px system-ui,sans-serif;fill:#4b5b6b}\
.tl-edge{fill:none;stroke:#6b7b8c;stroke-width:1.3}.tl-late{stroke:#b4501e;stroke-dasharray:5 3}.tl-tip{fill:#6b7b8c}\
.tl-label{paint-order:stroke;stroke:#fff;stroke-width:4px}\n@media (prefers-color-scheme:dark){.tl-box{fill:#16202b;stroke:#93a4b5}\
.tl-name{fill:#eef3f8}.tl-under,.tl-label{fill:#b4c2d0}.tl-edge{stroke:#8b9bac}.tl-late{stroke:#f0955f}.tl-tip{fill:#8b9bac}\
.tl-label{stroke:#0d141b}}\n</style>\n<defs><marker id=\"tl-tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"8\" \
markerHeight=\"8\" orient=\"auto\"><path class=\"tl-tip\" d=\"M0 0L8 4L0 8z\"/></marker></defs>\n";

/// The graph in one sentence per state, for those who cannot see it.
fn described(program: &Program) -> String {
    let mut out = String::new();
    for (i, s) in program.states.iter().enumerate() {
        let to: Vec<&str> = program
            .edges
            .iter()
            .filter(|e| usize::from(e.from) == i)
            .map(|e| program.state_name(e.to))
            .collect();
        let to = if to.is_empty() {
            "nothing".into()
        } else {
            to.join(", ")
        };
        let _ = write!(out, "{} leads to {to}. ", s.name);
    }
    if let Some(goal) = &program.goal {
        let end = program.state_name(goal.end);
        let _ = write!(out, "{end} is the {}.", goal_words(program, goal));
    }
    out.trim_end().to_owned()
}

fn draw_line(out: &mut String, program: &Program, line: &Line, e: &Edge) {
    let from = program.states.get(usize::from(e.from));
    let late = if from.is_some_and(|s| s.on_breach == Some(e.to)) {
        " tl-late"
    } else {
        ""
    };
    let mut d = String::new();
    for (i, (x, y)) in line.points.iter().enumerate() {
        let _ = write!(d, "{}{x} {y}", if i == 0 { "M" } else { "L" });
    }
    let _ = writeln!(
        out,
        "<path class=\"tl-edge{late}\" data-from=\"{}\" data-to=\"{}\" d=\"{d}\" marker-end=\"url(#tl-tip)\"/>",
        escape(program.state_name(e.from)),
        escape(program.state_name(e.to)),
    );
}

fn draw_box(out: &mut String, b: &Box, s: &State) {
    let end = if s.terminal { " tl-end" } else { "" };
    let (cx, cy) = (b.x + BOX_W / 2, b.y + BOX_H / 2);
    let _ = writeln!(
        out,
        "<rect class=\"tl-box{end}\" data-state=\"{}\" x=\"{}\" y=\"{}\" width=\"{BOX_W}\" height=\"{BOX_H}\" rx=\"8\"/>",
        escape(&s.name),
        b.x,
        b.y,
    );
    let under = under(s);
    let name_y = if under.is_some() { cy - 3 } else { cy + 5 };
    let _ = writeln!(
        out,
        "<text class=\"tl-name\" x=\"{cx}\" y=\"{name_y}\" text-anchor=\"middle\">{}</text>",
        escape(&short(&s.name, 22)),
    );
    if let Some(under) = under {
        let y = cy + 15;
        let text = escape(&short(&under, 28));
        let _ = writeln!(
            out,
            "<text class=\"tl-under\" x=\"{cx}\" y=\"{y}\" text-anchor=\"middle\">{text}</text>"
        );
    }
}

fn draw_labels(out: &mut String, program: &Program, layout: &Layout) {
    for (line, e) in layout.lines.iter().zip(&program.edges) {
        let text = label(program, e);
        if text.is_empty() {
            continue;
        }
        let (x, y) = line.label;
        let _ = writeln!(
            out,
            "<text class=\"tl-label\" x=\"{x}\" y=\"{y}\">{}</text>",
            escape(&text)
        );
    }
}

fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most - 1).collect();
    format!("{kept}\u{2026}")
}

/// Text as XML may hold it: its own characters escaped, control characters left out.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}
