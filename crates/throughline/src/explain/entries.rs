//! One entry of the journal as a line of the screen.

mod arrived;
mod decided;
mod effect;

use tl_kernel::digest::short;
use tl_kernel::id::{EffectId, TaskId};
use tl_kernel::journal::{Body, Entry, Fact, TimerKind};
use tl_kernel::program::{Program, RuleEffect};

pub use arrived::key_words;

use self::arrived::{answered, event, unused};
use self::decided::decided;
use self::effect::{conflict, planned, settled, tries};
use super::build::Material;
use super::cause::task_words;
use super::fields::workflow_place;
use super::words::{dry_run, stop_words};
use super::{Line, Side};
use crate::text::{At, one_line};

/// Longest condition of a rule on a line, characters; its place in the file says the rest.
const CONDITION: usize = 160;

/// The line of an entry; none for what another line says already.
pub(super) fn line(m: &Material, entry: &Entry, body: Option<&Body>) -> Option<Line> {
    of_rules(m, entry)
        .or_else(|| of_models(m, entry, body))
        .or_else(|| of_effects(m, entry, body))
        .or_else(|| of_people(m, entry))
        .or_else(|| of_clocks(m, entry))
}

/// What came in, and what rules and moves made of it.
fn of_rules(m: &Material, entry: &Entry) -> Option<Line> {
    let program = &m.bundle.program;
    let decision = |text: String| Some(Line::new(Side::Decision, text));
    match entry {
        Entry::Opened => decision("a case was opened".into()),
        Entry::Event { .. } => Some(event(m, entry)),
        Entry::Rule { rule, line } => {
            let rule = program.rules.get(*rule as usize);
            let when = rule.map_or("", |r| r.when.source.as_str());
            let place = workflow_place(&m.bundle, *line);
            let held = format!("rule {place} held: {}", one_line(when, CONDITION));
            Some(Line::new(Side::Decision, held).with(without_value(m, entry)))
        }
        Entry::TableRow { table, line } => decision(format!(
            "table {}:{line} matched",
            table_file(program, *table)
        )),
        Entry::TableMiss { table } => decision(format!(
            "table {}: no row matched",
            table_file(program, *table)
        )),
        Entry::LeftOut { part, why } => Some(Line::new(
            Side::Input,
            format!("`{part}` was left out: what came for it {why}"),
        )),
        Entry::NotEvaluated { part, line, why } => {
            let place = workflow_place(&m.bundle, *line);
            decision(format!(
                "`{part}` {place} could not be evaluated, so a person looks first: {why}"
            ))
        }
        Entry::Decided(d) => Some(decided(m, d)),
        Entry::Moved {
            from,
            to,
            reason,
            owner,
            due,
        } => {
            let (from, to) = (program.state_name(*from), program.state_name(*to));
            let why = stop_words(reason);
            decision(format!(
                "{from} -> {to}: {why}; owner {owner}{}",
                due_words(*due)
            ))
        }
        Entry::Assigned { owner, reason } => decision(format!("owner is now {owner} ({reason})")),
        Entry::Refused { action, code } => decision(format!("{action} was refused: {code}")),
        Entry::Control {
            action,
            object,
            detail,
        } => decision(format!("{action} {object} {detail}")),
        _ => None,
    }
}

fn of_models(m: &Material, entry: &Entry, body: Option<&Body>) -> Option<Line> {
    match entry {
        Entry::Asked { n, model } => {
            let id = EffectId {
                case: m.case.id,
                n: *n,
            };
            let line = Line::new(Side::Action, format!("asked model `{model}` ({id})"));
            Some(line.with(tries(m, *n)))
        }
        Entry::Answered(a) => Some(answered(a, body)),
        Entry::AskFailed { reason, said, .. } => {
            let text = match dry_run(reason) {
                Some(scope) => format!("the model was not asked: dry run by the switch `{scope}`"),
                None => format!("no answer from a model: {}", stop_words(reason)),
            };
            let said = said.as_deref().map(unused).unwrap_or_default();
            Some(Line::new(Side::Input, text).with(said))
        }
        _ => None,
    }
}

fn of_effects(m: &Material, entry: &Entry, body: Option<&Body>) -> Option<Line> {
    match entry {
        Entry::Planned(p) => Some(planned(m, p)),
        Entry::Approved { n, digest } => {
            let id = EffectId {
                case: m.case.id,
                n: *n,
            };
            let shown = short(digest);
            let text = format!("{id} was approved for exactly what was shown (digest {shown})");
            Some(Line::new(Side::Decision, text))
        }
        Entry::Settled {
            n,
            state,
            attempts,
            code,
            evidence,
        } => Some(settled(m, (*n, *state), *attempts, (code, evidence))),
        Entry::Conflict { n, round, kept } => Some(conflict(m, (*n, *round, *kept), body)),
        _ => None,
    }
}

fn of_people(m: &Material, entry: &Entry) -> Option<Line> {
    let task = |n: u32| TaskId { case: m.case.id, n };
    match entry {
        Entry::TaskOpened {
            n,
            kind,
            owner,
            reason,
            due,
            ..
        } => {
            let (task, due, why) = (task(*n), due_words(*due), task_words(kind, reason));
            let text = format!("task {task} of kind `{kind}` for {owner}{due}: {why}");
            Some(Line::new(Side::Action, text))
        }
        Entry::TaskClosed {
            n,
            decision,
            reason,
        } => {
            let text = format!("task {} was closed: {decision} ({reason})", task(*n));
            Some(Line::new(Side::Input, text))
        }
        _ => None,
    }
}

fn of_clocks(m: &Material, entry: &Entry) -> Option<Line> {
    match entry {
        Entry::TimerEnded { n, fired: true } => Some(Line::new(Side::Clock, timer_words(m, *n))),
        Entry::Sla { state, met, due } => {
            let word = if *met { "met" } else { "breached" };
            let state = m.bundle.program.state_name(*state);
            let text = format!("SLA of `{state}` {word} (due {})", At(*due).clock());
            Some(Line::new(Side::Clock, text))
        }
        Entry::Goal { met, due } => {
            let due = At(*due).clock();
            let text = match (met, ended_elsewhere(m, entry)) {
                (true, Some(state)) => format!("it ended in `{state}` in time (due {due})"),
                (true, None) => format!("the goal was met (due {due})"),
                (false, _) => format!("the goal was breached (due {due})"),
            };
            Some(Line::new(Side::Clock, text))
        }
        _ => None,
    }
}

/// The fields that a rule was to set and that have no value: what they are made from was absent.
fn without_value(m: &Material, entry: &Entry) -> Vec<String> {
    let Entry::Rule { rule: index, .. } = entry else {
        return Vec::new();
    };
    let own = |e: &Entry| std::ptr::eq(e, entry);
    let turn = m.turns.iter().find(|(h, _)| h.entries.iter().any(own));
    let (Some(rule), Some((_, Some(body)))) = (m.bundle.program.rules.get(*index as usize), turn)
    else {
        return Vec::new();
    };
    let RuleEffect::Set(fields) = &rule.effect else {
        return Vec::new();
    };
    let set = |name: &str| {
        body.facts
            .iter()
            .any(|f| matches!(f, Fact::Set(n, _) if n == name))
    };
    let absent = fields
        .iter()
        .filter(|(name, _)| !set(name) && !m.case.record.contains_key(name));
    absent
        .map(|(name, _)| format!("`{name}` stays absent: what it is made from has no value"))
        .collect()
}

/// The state that a turn led to, where the goal ends in another.
fn ended_elsewhere<'m>(m: &'m Material, entry: &Entry) -> Option<&'m str> {
    let program = &m.bundle.program;
    let own = |e: &Entry| std::ptr::eq(e, entry);
    let (head, _) = m.turns.iter().find(|(h, _)| h.entries.iter().any(own))?;
    let to = head.entries.iter().rev().find_map(|e| match e {
        Entry::Moved { to, .. } => Some(*to),
        _ => None,
    })?;
    (to != program.goal.as_ref()?.end).then(|| program.state_name(to))
}

fn due_words(due: Option<i64>) -> String {
    due.map_or_else(String::new, |d| format!(", due {}", At(d).clock()))
}

fn table_file(program: &Program, table: u32) -> String {
    program
        .tables
        .get(table as usize)
        .map_or_else(|| "?".into(), |t| t.file.clone())
}

fn timer_words(m: &Material, n: u32) -> String {
    let set = m
        .turns
        .iter()
        .flat_map(|(h, _)| &h.entries)
        .find_map(|e| match e {
            Entry::TimerSet { n: own, kind, .. } if *own == n => Some(*kind),
            _ => None,
        });
    match set {
        Some(TimerKind::Warn) => "the warning share of the SLA has passed".into(),
        Some(TimerKind::Breach) => "the SLA has passed".into(),
        Some(TimerKind::Escalate(step)) => format!("escalation step {}", step + 1),
        Some(TimerKind::Goal) => "the time of the goal has passed".into(),
        None => "a timer fired".into(),
    }
}
