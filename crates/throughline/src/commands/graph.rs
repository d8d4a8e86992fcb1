//! `graph`: the states and transitions of a workflow as text, Mermaid or SVG.

use std::fmt::Write as _;

use tl_kernel::program::{Edge, Emit, Program};
use tl_kernel::time::duration_text;
use tl_lang::graph;

use super::Shell;
use crate::checked::check;
use crate::failure::Failure;

/// Draws.
pub fn run(shell: &Shell, workflow: Option<&str>, svg: bool, mermaid: bool) -> Result<(), Failure> {
    let target = crate::project::find(&shell.dir)?;
    let id = match (workflow, target.workflows.as_slice()) {
        (Some(id), all) if all.iter().any(|w| w == id) => id.to_owned(),
        (None, [only]) => only.clone(),
        (Some(id), all) => {
            return Err(Failure::not_found(format!(
                "there is no workflow `{id}`; there are {}",
                all.join(", ")
            )));
        }
        (None, all) => {
            return Err(Failure::usage(format!(
                "which workflow? There are {}",
                all.join(", ")
            )));
        }
    };
    let checked = check(&target.project, &id);
    let Some(program) = &checked.program else {
        eprint!("{}", checked.findings(&target.project, false));
        return Err(Failure::refused(format!("`{id}` does not load")));
    };
    let out = match (shell.json, svg, mermaid) {
        (true, ..) => json(program),
        (_, true, _) => graph::svg(program),
        (_, _, true) => graph::mermaid(program),
        _ => text(program),
    };
    println!("{}", out.trim_end());
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
    let width = p.states.iter().map(|s| s.name.chars().count()).max();
    let width = width.unwrap_or(0);
    for (i, s) in p.states.iter().enumerate() {
        let sla = s
            .sla
            .map_or_else(String::new, |d| format!(", SLA {}", duration_text(d)));
        let _ = writeln!(out, "\n{} ({}{sla})", s.name, s.owner);
        for e in p.edges.iter().filter(|e| usize::from(e.from) == i) {
            let emit = emit_words(e);
            let emit = if emit.is_empty() {
                emit
            } else {
                format!("  emits {emit}")
            };
            let line = format!("  -> {:width$}{emit}", p.state_name(e.to));
            let _ = writeln!(out, "{}", line.trim_end());
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
