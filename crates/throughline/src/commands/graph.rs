//! `graph`: the states and transitions of a workflow as text, Mermaid or SVG.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use tl_kernel::program::{Edge, Emit, Program, canonical};
use tl_kernel::time::duration_text;

use super::Shell;
use crate::checked::check;
use crate::failure::Failure;

/// Width and height of a state's box, and the space between boxes, in pixels.
const BOX: (i32, i32) = (210, 62);
const GAP: (i32, i32) = (90, 48);

/// Draws.
pub fn run(shell: &Shell, workflow: Option<&str>, svg: bool, mermaid: bool) -> Result<(), Failure> {
    let target = crate::project::find(&shell.dir)?;
    let id = match (workflow, target.workflows.as_slice()) {
        (Some(id), all) if all.iter().any(|w| w == id) => id.to_owned(),
        (None, [only]) => only.clone(),
        (Some(id), all) => return Err(Failure::not_found(format!("there is no workflow `{id}`; there are {}", all.join(", ")))),
        (None, all) => return Err(Failure::usage(format!("which workflow? There are {}", all.join(", ")))),
    };
    let checked = check(&target.project, &id);
    let Some(program) = &checked.program else {
        eprint!("{}", checked.findings(&target.project, false));
        return Err(Failure::refused(format!("`{id}` does not load")));
    };
    let out = match (shell.json, svg, mermaid) {
        (true, ..) => json(program),
        (_, true, _) => self::svg(program),
        (_, _, true) => self::mermaid(program),
        _ => text(program),
    };
    print!("{out}");
    Ok(())
}

fn emit_words(edge: &Edge) -> String {
    let word = |e: &Emit| match e {
        Emit::CrmSync => "crm_sync",
        Emit::SlaTimer => "sla_timer",
        Emit::AuditLog => "audit_log",
        Emit::DomainEvent => "domain_event",
    };
    edge.emit.iter().map(word).collect::<Vec<_>>().join(", ")
}

fn text(p: &Program) -> String {
    let mut out = format!("{}@{}\n", p.id, p.version);
    for (i, s) in p.states.iter().enumerate() {
        let sla = s.sla.map_or_else(String::new, |d| format!(", SLA {}", duration_text(d)));
        let _ = writeln!(out, "\n{} ({}{sla})", s.name, s.owner);
        for e in p.edges.iter().filter(|e| usize::from(e.from) == i) {
            let emit = emit_words(e);
            let emit = if emit.is_empty() { emit } else { format!("  emits {emit}") };
            let _ = writeln!(out, "  -> {}{emit}", p.state_name(e.to));
        }
    }
    out
}

fn json(p: &Program) -> String {
    let states: Vec<serde_json::Value> = p
        .states
        .iter()
        .map(|s| serde_json::json!({ "name": s.name, "owner": s.owner, "terminal": s.terminal, "sla": s.sla.map(duration_text) }))
        .collect();
    let edges: Vec<serde_json::Value> = p
        .edges
        .iter()
        .map(|e| serde_json::json!({ "from": p.state_name(e.from), "to": p.state_name(e.to), "emit": emit_words(e) }))
        .collect();
    let all = serde_json::json!({ "workflow": p.id, "version": p.version, "states": states, "transitions": edges });
    serde_json::to_string_pretty(&all).unwrap_or_default() + "\n"
}

fn mermaid(p: &Program) -> String {
    let mut out = String::from("stateDiagram-v2\n  [*] --> pending\n");
    for e in &p.edges {
        let _ = writeln!(out, "  {} --> {}", p.state_name(e.from), p.state_name(e.to));
    }
    for s in p.states.iter().filter(|s| s.terminal) {
        let _ = writeln!(out, "  {} --> [*]", s.name);
    }
    out
}

/// Columns by the shortest way from `pending`, rows in file order.
fn places(p: &Program) -> Vec<(i32, i32)> {
    let mut column = vec![None; p.states.len()];
    let mut edge: BTreeSet<usize> = BTreeSet::from([usize::from(canonical::PENDING)]);
    let mut distance = 0;
    while !edge.is_empty() {
        for s in &edge {
            column[*s] = Some(distance);
        }
        let next = p.edges.iter().filter(|e| edge.contains(&usize::from(e.from))).map(|e| usize::from(e.to));
        edge = next.filter(|s| column.get(*s).is_some_and(Option::is_none)).collect();
        distance += 1;
    }
    let mut filled = vec![0; p.states.len() + 1];
    column
        .iter()
        .map(|c| {
            let c = c.unwrap_or(distance);
            let row = filled[c.min(p.states.len())];
            filled[c.min(p.states.len())] += 1;
            (c as i32, row)
        })
        .collect()
}

fn svg(p: &Program) -> String {
    let places = places(p);
    let corner = |(column, row): (i32, i32)| (20 + column * (BOX.0 + GAP.0), 20 + row * (BOX.1 + GAP.1));
    let columns = places.iter().map(|p| p.0).max().unwrap_or(0) + 1;
    let rows = places.iter().map(|p| p.1).max().unwrap_or(0) + 1;
    let (width, height) = (columns * (BOX.0 + GAP.0), rows * (BOX.1 + GAP.1) + 20);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<title>{} version {}</title>\n<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"8\" \
         refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" orient=\"auto-start-reverse\"><path d=\"M0 0 8 4 0 8z\" \
         fill=\"#556\"/></marker></defs>\n",
        xml(&p.id),
        xml(&p.version)
    );
    for e in &p.edges {
        let (from, to) = (corner(places[usize::from(e.from)]), corner(places[usize::from(e.to)]));
        let title = format!("{} to {}: {}", p.state_name(e.from), p.state_name(e.to), emit_words(e));
        let _ = writeln!(
            out,
            "<path d=\"{}\" fill=\"none\" stroke=\"#556\" marker-end=\"url(#tip)\"><title>{}</title></path>",
            line(from, to),
            xml(&title)
        );
    }
    for (s, place) in p.states.iter().zip(&places) {
        let (x, y) = corner(*place);
        let sla = s.sla.map_or_else(|| "no SLA".into(), |d| format!("SLA {}", duration_text(d)));
        let stroke = if s.terminal { 3 } else { 1 };
        let _ = writeln!(
            out,
            "<g><rect x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{}\" rx=\"6\" fill=\"#fff\" stroke=\"#223\" \
             stroke-width=\"{stroke}\"/><text x=\"{}\" y=\"{}\" font-weight=\"600\">{}</text><text x=\"{}\" y=\"{}\" \
             fill=\"#556\">{}, {sla}</text></g>",
            BOX.0,
            BOX.1,
            x + 14,
            y + 26,
            xml(&s.name),
            x + 14,
            y + 46,
            xml(&s.owner)
        );
    }
    out.push_str("</svg>\n");
    out
}

/// A curve from box to box: to the right from side to side, else in an arc below.
fn line(from: (i32, i32), to: (i32, i32)) -> String {
    let middle = BOX.1 / 2;
    if to.0 > from.0 {
        let (x1, y1, x2, y2) = (from.0 + BOX.0, from.1 + middle, to.0, to.1 + middle);
        let half = (x2 - x1) / 2;
        return format!("M{x1} {y1} C{} {y1} {} {y2} {x2} {y2}", x1 + half, x2 - half);
    }
    let (x1, x2) = (from.0 + BOX.0 / 2, to.0 + BOX.0 / 2 + 12);
    if to.1 > from.1 {
        return format!("M{x1} {} L{x2} {}", from.1 + BOX.1, to.1);
    }
    let below = from.1.max(to.1) + BOX.1 + GAP.1 / 2 + 6;
    format!("M{x1} {} C{x1} {below} {x2} {below} {x2} {}", from.1 + BOX.1, to.1 + BOX.1)
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
