//! What tells two cases apart. Everything that `decide` looks at is in it, as far as small definitions can tell:
//! values of the fields that something reads, with where they came from; counts of what is equal up to two (one
//! of three that is settled leaves what one of two leaves, which is looked at too); no times and no numbers.

use std::collections::BTreeMap;
use std::fmt::Write;

use tl_kernel::case::{Ai, Case, CaseEffect, CaseTask, GoalClock};
use tl_kernel::effect::EffectState;
use tl_kernel::limits::{MAX_ASKS, MAX_CONFLICTS};
use tl_kernel::value::Source;

use super::Node;
use super::inputs::Menu;

pub fn key(menu: &Menu, at: &Node) -> String {
    let c = &at.case;
    let mut out = format!(
        "{} {} {} {} {} {}",
        c.seq == 0,
        at.surprises,
        c.state,
        c.vouched,
        at.parked,
        goal(c)
    );
    let ai = match &c.ai {
        Ai::NotAsked => "none".into(),
        Ai::Asked => "asked".into(),
        Ai::Answered { confidence, .. } => format!("{confidence:?}"),
        Ai::Failed(_) => "failed".into(),
    };
    let open = c.asks.values().filter(|(_, open)| *open).count().min(2);
    let spent = c.asks.len() >= MAX_ASKS;
    let conflicts = c.conflicts.values().any(|n| *n >= MAX_CONFLICTS);
    write!(out, " {ai} {open} {spent} {conflicts}").unwrap();
    for name in &menu.fields {
        if let Some(f) = c.record.get(*name) {
            write!(out, " {name}={}/{}", f.value, from(&f.source)).unwrap();
        }
    }
    // A decision made again writes only what was written, and says nothing twice.
    let written = c.effects.values().any(|e| e.name == "crm_upsert");
    write!(out, " {} {written}", c.effects.is_empty()).unwrap();
    let effects = c
        .effects
        .iter()
        .filter(|(n, e)| e.is_open() || again(at, **n) || said(menu, e));
    for (what, n) in counted(effects.map(|(_, e)| effect(menu, e))) {
        let n = if what.contains("Failed") || what.contains("Uncertain") {
            1
        } else {
            n
        };
        write!(out, " {what}*{n}").unwrap();
    }
    for (what, n) in counted(c.open_tasks().map(|(_, t)| task(c, t))) {
        let n = if what.contains("Planned") { n } else { 1 };
        write!(out, " {what}*{n}").unwrap();
    }
    for (what, n) in counted(c.timers.values().map(|(kind, _)| format!("{kind:?}"))) {
        write!(out, " {what}*{n}").unwrap();
    }
    out
}

fn goal(c: &Case) -> String {
    match c.goal {
        GoalClock::NotStarted => "-".into(),
        GoalClock::Running { due } => format!("running late {}", due <= c.updated_at),
        GoalClock::Still { left } => format!("still late {}", left <= 0),
        GoalClock::Met { .. } => "met".into(),
        GoalClock::Missed { .. } => "missed".into(),
    }
}

/// An effect, as far as it may still matter: a message remembers to whom it was said.
pub fn effect(menu: &Menu, e: &CaseEffect) -> String {
    let to = || e.args.as_ref().and_then(|a| a.at(&["to"])).cloned();
    let to = said(menu, e).then(to);
    format!("{}:{:?}:{to:?}", e.action, e.state)
}

/// What was said, or perhaps was, is not said again.
fn said(menu: &Menu, e: &CaseEffect) -> bool {
    menu.messages[usize::from(e.action)]
        && matches!(e.state, EffectState::Succeeded | EffectState::Uncertain)
}

/// An effect that failed and may be sent again: because its task asks for it, or all of a sudden.
pub fn again(at: &Node, n: u32) -> bool {
    let asked = || at.case.open_tasks().any(|(_, t)| t.effect == Some(n));
    at.case.effects.get(&n).is_some_and(can_be_sent_again) && (at.may_be_surprised() || asked())
}

/// A task by its kind, what it is about, and whether it is one that `decide` treats on its own.
pub fn task(c: &Case, t: &CaseTask) -> String {
    let reason = match t.reason.as_str() {
        own @ ("sla_breach" | "goal_missed") => own,
        _ => "",
    };
    // That an effect was settled for good is all the same, unless it can be sent again.
    let about = t.effect.and_then(|n| c.effects.get(&n));
    let about = about.filter(|e| e.is_open() || can_be_sent_again(e));
    let about = about.map(|e| (e.action, e.state));
    format!("{}:{reason}:{about:?}", t.kind)
}

fn can_be_sent_again(e: &CaseEffect) -> bool {
    matches!(e.state, EffectState::Failed | EffectState::Dead)
}

fn counted(all: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    let mut out = BTreeMap::new();
    for one in all {
        let n = out.entry(one).or_insert(0);
        *n = 2.min(*n + 1);
    }
    out
}

fn from(source: &Source) -> &'static str {
    match source {
        Source::Event(_) => "event",
        Source::Model { .. } => "model",
        Source::Rule(_) | Source::Table(..) => "rule",
        Source::Person => "person",
        Source::Crm(_) => "crm",
        _ => "engine",
    }
}
