//! From journal, ledger and bundle to the screen.

use std::collections::BTreeMap;
use std::sync::Arc;

use tl_engine::tenant::Bundle;
use tl_kernel::case::Case;
use tl_kernel::digest::short;
use tl_kernel::id::EventId;
use tl_kernel::journal::{Body, Entry, Fact, Head};
use tl_kernel::program::canonical::{AUTOMATED, NEEDS_HUMAN, PENDING, TRIAGED};
use tl_store::contract::{Attempt, DuplicateRow, EffectRow, SwitchRow};

use super::entries::line;
use super::fields::{field_lines, source};
use super::goal::goal_line;
use super::next::next_steps;
use super::notes::notes;
use super::situation::{stands, summary};
use super::{Explanation, Line, Side, TurnLine};
use crate::text::{At, one_line};

/// Everything that is known about a case.
#[derive(Debug)]
pub struct Material {
    /// The tenant's name.
    pub tenant: String,
    /// The case.
    pub case: Case,
    /// Its turns, in order.
    pub turns: Vec<(Head, Option<Body>)>,
    /// The bundle it is pinned to.
    pub bundle: Arc<Bundle>,
    /// Its rows in the ledger.
    pub effects: Vec<EffectRow>,
    /// Finished attempts, by effect.
    pub attempts: BTreeMap<u32, Vec<Attempt>>,
    /// Duplicates of its messages.
    pub duplicates: BTreeMap<EventId, DuplicateRow>,
    /// Connections that cannot be used, with what is missing.
    pub connections: BTreeMap<String, String>,
    /// Switches in force.
    pub switches: Vec<SwitchRow>,
    /// What was done with the switches that stopped something of it, in order.
    pub history: Vec<SwitchChange>,
    /// Effects of other cases that wait for the same switch.
    pub also_held: u32,
    /// Engine time, µs.
    pub now: i64,
}

/// A switch was set or cleared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwitchChange {
    /// Its scope.
    pub scope: String,
    /// Set, or cleared.
    pub set: bool,
    /// Who did it.
    pub by: String,
    /// When, µs.
    pub at: i64,
    /// Why.
    pub why: String,
}

/// Explains a case.
pub fn build(m: &Material) -> Explanation {
    let program = &m.bundle.program;
    let turns = m
        .turns
        .iter()
        .map(|(head, body)| turn(m, head, body.as_ref()))
        .collect();
    Explanation {
        case: m.case.id.to_string(),
        tenant: m.tenant.clone(),
        workflow: program.id.clone(),
        version: program.version.clone(),
        number: m.case.definition,
        bundle: short(&m.bundle.digest),
        state: program.state_name(m.case.state).to_owned(),
        reason: state_reason(m),
        owner: m.case.owner.clone(),
        due: m.case.due.map(At),
        goal: goal_line(program, &m.case),
        opened_at: At(m.case.opened_at),
        now: At(m.now),
        correlation: m.case.correlation.clone(),
        summary: summary(m),
        notes: notes(m),
        stands: stands(m),
        next: next_steps(m),
        turns,
        record: field_lines(&m.case, &m.bundle),
        missing: tl_kernel::decide::missing(program, &m.case.record),
    }
}

/// Why the case is where it is: with a person, what is asked of the person says that, not what was first decided.
fn state_reason(m: &Material) -> String {
    let asked = m.case.open_tasks().next().map(|(_, task)| &task.reason);
    match asked.filter(|_| m.case.state == NEEDS_HUMAN) {
        Some(why) => why.clone(),
        None => m.case.reason.clone(),
    }
}

fn turn(m: &Material, head: &Head, body: Option<&Body>) -> TurnLine {
    let set = body.map_or_else(Vec::new, |b| {
        b.facts.iter().filter_map(|f| set_text(m, f)).collect()
    });
    let mut set = Some(set).filter(|s| !s.is_empty());
    let mut lines: Vec<Line> = Vec::new();
    // Fields stand where they came from, and before what was made of them.
    let came = head.entries.iter().rposition(brings).map_or(0, |i| i + 1);
    for (i, entry) in head.entries.iter().enumerate() {
        if i == came {
            lines.extend(set.take().map(fields));
        }
        lines.extend(line(m, (head, entry), body));
    }
    lines.extend(set.take().map(fields));
    if let Some(note) = joined(m, head) {
        lines.push(Line::new(Side::Decision, note));
    }
    if let Some(body) = body {
        for fact in &body.facts {
            if let Fact::Note(note) = fact {
                lines.push(Line::new(
                    Side::Input,
                    format!("note: {}", one_line(note, 400)),
                ));
            }
        }
    }
    TurnLine {
        n: head.seq,
        at: At(head.at),
        actor: head.actor.text(),
        lines,
    }
}

fn fields(set: Vec<String>) -> Line {
    Line::new(Side::Decision, "fields were set").with(set)
}

/// What a turn's fields can come from.
fn brings(entry: &Entry) -> bool {
    matches!(
        entry,
        Entry::Event { .. }
            | Entry::Rule { .. }
            | Entry::TableRow { .. }
            | Entry::Answered(_)
            | Entry::Conflict { .. }
    )
}

/// What follows from a message that joined the case and moved nothing: what is not done is said too.
fn joined(m: &Material, head: &Head) -> Option<String> {
    let more = |e: &Entry| matches!(e, Entry::Event { n, .. } if *n > 1);
    let follows = |e: &Entry| {
        matches!(
            e,
            Entry::Moved { .. } | Entry::Planned(_) | Entry::Asked { .. } | Entry::Decided(_)
        )
    };
    if !head.entries.iter().any(more) || head.entries.iter().any(follows) {
        return None;
    }
    // What the next move leaves is where the case was then.
    let later = m.turns.iter().filter(|(h, _)| h.seq > head.seq);
    let left = later.flat_map(|(h, _)| &h.entries).find_map(|e| match e {
        Entry::Moved { from, .. } => Some(*from),
        _ => None,
    });
    let state = left.unwrap_or(m.case.state);
    let name = m.bundle.program.state_name(state);
    Some(match state {
        AUTOMATED => {
            "nothing is written again: no field changed with it, or this case has written no record"
                .into()
        }
        NEEDS_HUMAN => {
            "the record has what the message changed; a person decides the open task with it".into()
        }
        PENDING | TRIAGED => {
            "the record has what the message changed; the case is decided with it".into()
        }
        _ => format!(
            "the record has what the message changed; in `{name}` rules, tables and the decision do not run again, and \
             nothing is written again"
        ),
    })
}

fn set_text(m: &Material, fact: &Fact) -> Option<String> {
    match fact {
        Fact::Set(name, field) => {
            let value = one_line(&field.value.to_string(), 80);
            Some(format!(
                "{name} = {value}  (from {})",
                source((name.as_str(), field), &m.case, &m.bundle)
            ))
        }
        _ => None,
    }
}
