//! One entry of the journal as a line of the screen.

mod arrived;
mod decided;
mod effect;

use tl_kernel::decide::NOTHING_DONE;
use tl_kernel::digest::short;
use tl_kernel::id::{EffectId, TaskId};
use tl_kernel::journal::{Body, Entry, Fact, Head, TimerKind};
use tl_kernel::program::canonical::NEEDS_HUMAN;
use tl_kernel::program::{Program, RuleEffect};

pub use arrived::key_words;
pub use decided::step_words;

use self::arrived::{answered, event, unused};
use self::decided::decided;
pub(super) use self::effect::tries;
use self::effect::{conflict, planned, settled};
use super::build::Material;
use super::cause::{stopped_by, switch_text, task_words};
use super::fields::workflow_place;
use super::given::by_file;
use super::words::{dry_run, stop_words};
use super::{Line, Side};
use crate::text::{At, one_line};

/// Longest condition of a rule on a line, characters; its place in the file says the rest.
const CONDITION: usize = 160;

/// The line of an entry; none for what another line says already.
pub(super) fn line(
    m: &Material,
    (head, entry): (&Head, &Entry),
    body: Option<&Body>,
) -> Option<Line> {
    of_rules(m, (head, entry))
        .or_else(|| of_models(m, entry, body))
        .or_else(|| of_effects(m, entry, body))
        .or_else(|| of_people(m, (head, entry)))
        .or_else(|| of_clocks(m, (head, entry)))
}

/// Whether a person is asked in the turn.
fn asks(head: &Head) -> bool {
    head.entries
        .iter()
        .any(|e| matches!(e, Entry::TaskOpened { .. }))
}

/// Whether an earlier entry of the turn has given the reason already.
fn said(head: &Head, entry: &Entry, why: &str) -> bool {
    let before = head.entries.iter().take_while(|e| !std::ptr::eq(*e, entry));
    before.into_iter().any(|e| match e {
        Entry::Settled { code, .. } => code == why,
        Entry::TaskOpened { reason, .. } | Entry::TaskClosed { reason, .. } => reason == why,
        _ => false,
    })
}

/// What came in, and what rules and moves made of it.
fn of_rules(m: &Material, (head, entry): (&Head, &Entry)) -> Option<Line> {
    let program = &m.bundle.program;
    let decision = |text: String| Some(Line::new(Side::Decision, text));
    match entry {
        Entry::Opened => decision("a case was opened".into()),
        Entry::Event { .. } => Some(event(m, entry)),
        Entry::Rule { rule, line } => {
            let rule = program.rules.get(*rule as usize);
            let when = rule.map_or("", |r| r.when.source.as_str());
            let place = workflow_place(&m.bundle, *line);
            let applied = format!("rule {place} applied: {}", one_line(when, CONDITION));
            Some(Line::new(Side::Decision, applied).with(without_value(m, entry)))
        }
        Entry::TableRow { table, line } => decision(format!(
            "table {}:{line} matched{}",
            table_file(program, *table),
            inputs(m, *table)
        )),
        Entry::TableMiss { table } => decision(format!(
            "table {}: no row matched",
            table_file(program, *table)
        )),
        Entry::LeftOut { part, why } if part == NOTHING_DONE => Some(Line::new(
            Side::Input,
            format!("the message {why}: it was noted, and nothing was done for it"),
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
            let to_person = *to == NEEDS_HUMAN && asks(head);
            let (from, to) = (program.state_name(*from), program.state_name(*to));
            let given = by_file(m, head, reason);
            let why = match reason.as_str() {
                // The line of the task says why.
                _ if to_person => String::new(),
                why if said(head, entry, why) => String::new(),
                _ if given.is_some() => format!(": {}", given.unwrap_or_default()),
                "needs_human" => String::new(),
                why if head.actor.is_person() => format!(" (reason given: {why})"),
                why => format!(": {}", stop_words(why)),
            };
            decision(format!(
                "{from} -> {to}{why}; owner {owner}{}",
                due_words(*due)
            ))
        }
        Entry::Assigned { owner, reason } => decision(format!(
            "the case and its open tasks were given to {owner} (reason given: {reason})"
        )),
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
            let line = Line::new(
                Side::Action,
                format!("a question to model `{model}` ({id})"),
            );
            Some(line.with(tries(m, *n)).word("planned"))
        }
        Entry::Answered(a) => Some(answered(a, body)),
        Entry::AskFailed { reason, said, .. } => {
            let text = match dry_run(reason) {
                Some(scope) => format!("the model was not asked: dry run by the switch `{scope}`"),
                None => format!("no answer from a model: {}", stop_words(reason)),
            };
            let by = stopped_by(reason).map(|scope| switch_text(m, scope));
            let said = said.as_deref().map(unused).unwrap_or_default();
            Some(Line::new(Side::Input, text).with(by).with(said))
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
            let effect = m.case.effects.get(n);
            let what = match effect.and_then(|e| m.case.reworded(e)) {
                Some(_) => "in these words",
                None => "for exactly what was shown",
            };
            let text = format!("{id} was approved {what} (digest {shown})");
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

fn of_people(m: &Material, (head, entry): (&Head, &Entry)) -> Option<Line> {
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
            let (task, due) = (task(*n), due_words(*due));
            let why = match said(head, entry, reason) {
                true => String::new(),
                false => format!(
                    ": {}",
                    by_file(m, head, reason).unwrap_or_else(|| task_words(kind, reason))
                ),
            };
            let text = format!("{owner}, by task {task} of kind `{kind}`{due}{why}");
            Some(Line::new(Side::Action, text).word("asked"))
        }
        Entry::TaskClosed {
            n,
            decision,
            reason,
        } => {
            let task = task(*n);
            let text = match decision.as_str() {
                "withdrawn" => format!("task {task} needs no answer any more ({reason})"),
                decision => format!("task {task}: {decision} (reason given: {reason})"),
            };
            Some(Line::new(Side::Input, text).word("closed"))
        }
        _ => None,
    }
}

fn of_clocks(m: &Material, (head, entry): (&Head, &Entry)) -> Option<Line> {
    match entry {
        Entry::TimerEnded { n, fired: true } => Some(Line::new(Side::Clock, timer_words(m, *n))),
        Entry::Sla { state, met, due } => {
            let state = m.bundle.program.state_name(*state);
            let due = At(*due).clock();
            let text = match met {
                true => format!("`{state}` was left before its time was up ({due})"),
                false => format!("the SLA of `{state}` was breached (due {due})"),
            };
            Some(Line::new(Side::Clock, text))
        }
        Entry::Goal { met, due } => {
            let due = At(*due).clock();
            let text = match (met, ended_elsewhere(m, head)) {
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
fn ended_elsewhere<'m>(m: &'m Material, head: &Head) -> Option<&'m str> {
    let program = &m.bundle.program;
    let to = head.entries.iter().rev().find_map(|e| match e {
        Entry::Moved { to, .. } => Some(*to),
        _ => None,
    })?;
    (to != program.goal.as_ref()?.end).then(|| program.state_name(to))
}

fn due_words(due: Option<i64>) -> String {
    due.map_or_else(String::new, |d| format!(", due {}", At(d).clock()))
}

/// What a table looked at, as the end of a sentence.
fn inputs(m: &Material, table: u32) -> String {
    let Some(table) = m.bundle.program.tables.get(table as usize) else {
        return String::new();
    };
    let value = |name: &str| {
        let field = m.case.record.get(name)?;
        Some(format!(
            "{name} = {}",
            one_line(&field.value.to_string(), 60)
        ))
    };
    let all: Vec<String> = table
        .inputs
        .iter()
        .filter_map(|(name, _)| value(name))
        .collect();
    match all.is_empty() {
        true => String::new(),
        false => format!(": {}", all.join(", ")),
    }
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
        Some(TimerKind::Unanswered(step)) => format!(
            "nobody has answered the question for what is missing: step {}",
            step + 1
        ),
        None => "a timer fired".into(),
    }
}
