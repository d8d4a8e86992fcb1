//! What else is worth knowing about the situation of a case: values, numbers, times.

use std::collections::BTreeMap;

use tl_kernel::case::{Ai, CaseTask};
use tl_kernel::effect::EffectState;
use tl_kernel::journal::{Entry, Fact};
use tl_kernel::program::canonical::TRIAGED;
use tl_kernel::value::{Source, Value};
use tl_store::contract::EffectRow;

use super::build::Material;
use super::cause::{looked_at, stopped_by, switch_text};
use super::effects::{there, why_unknown};
use super::entries::tries;
use super::fields::{arguments, source, workflow_place};
use super::situation::{handed_on, is_lost, is_terminal, uncertain, waiting};
use crate::text::{At, count, due_text, one_line};

/// Longest value of an argument, characters.
const VALUE: usize = 60;
/// Longest reason why a document has no text, characters.
const REASON: usize = 300;
/// Arguments that are named; `effect show` has all.
const ARGUMENTS: usize = 8;

/// What else is worth knowing, the most telling first.
pub(super) fn notes(m: &Material) -> Vec<String> {
    let mut out = Vec::new();
    if let Some(e) = uncertain(m) {
        out.push(why_unknown(e));
        out.extend(what_was_sent(m, e));
    } else if let Some(e) = waiting(m) {
        out.extend(can_wait(m, e));
    } else if let Some(e) = m.effects.iter().find(|e| is_lost(m, e)) {
        out.extend(about_lost(m, e));
    } else if let Some((_, task)) = m.case.open_tasks().next() {
        out.extend(model_says(m, task));
        out.extend(looked_at(m, task));
        out.extend(about_route(m, task));
        out.extend(held_there(m, task));
    }
    if is_terminal(m) {
        out.extend(merged(m).into_iter().map(|k| k.words(m)));
    }
    out.extend(without_text(m));
    out.extend(stopped_before(m));
    out.extend(person_before(m));
    for (n, id, at) in other_content(m) {
        out.push(format!(
            "message {n} ({id}) came again with the same key and other content at {}; the sender was told that it was known \
             already, and the other content was not kept: ask the sender what was meant",
            at.exact()
        ));
    }
    out
}

/// The documents of the last message that have no text, and those of which a part was left out.
fn without_text(m: &Material) -> Vec<String> {
    let documents = m.case.message.as_ref().and_then(|e| e.at(&["documents"]));
    let Some(Value::List(documents)) = documents else {
        return Vec::new();
    };
    let said = |(n, document): (usize, &Value)| {
        let text = |name: &str| document.at(&[name]).and_then(Value::as_text);
        let name = text("name").map_or(String::new(), |name| {
            format!(" ({})", one_line(name, VALUE))
        });
        if let (Some(code), Some(why)) = (text("error"), text("reason")) {
            return Some(format!(
                "document {n}{name} of the last message has no text: {code} {}",
                one_line(why, REASON)
            ));
        }
        let cut = document.at(&["text_cut"]) == Some(&Value::Bool(true));
        cut.then(|| {
            format!(
                "document {n}{name} of the last message is longer than what is kept of its text"
            )
        })
    };
    (1..).zip(documents).filter_map(said).collect()
}

fn can_wait(m: &Material, e: &EffectRow) -> Vec<String> {
    let (until, left) = (At(e.valid_until), due_text(Some(At(e.valid_until)), m.now));
    let mut out = vec![format!(
        "it can wait until {} ({left}), then it expires unsent and a person gets a task",
        until.clock()
    )];
    if m.also_held > 0 {
        let them = count(m.also_held, "other effect");
        out.push(format!("the same switch holds {them} of this tenant"));
    }
    out
}

fn about_lost(m: &Material, e: &EffectRow) -> Vec<String> {
    if e.state == EffectState::Expired {
        let action = m.case.effects.get(&e.effect.n).map(|e| e.action);
        let line = action
            .and_then(|a| m.bundle.program.action(a))
            .map_or(0, |a| a.line);
        let set = match line {
            0 => "`valid_for` of the action sets that time".to_owned(),
            line => format!(
                "`valid_for` of the action at {} sets that time",
                workflow_place(&m.bundle, line)
            ),
        };
        return vec![set];
    }
    let mut out = tries(m, e.effect.n);
    if out.len() > 3 {
        out.drain(..out.len() - 3);
    }
    let answered = m
        .attempts
        .get(&e.effect.n)
        .and_then(|a| a.last())
        .is_some_and(|a| a.status >= 400);
    if answered && e.state == EffectState::Failed {
        out.push(format!(
            "the text of the answer is not kept, because it can hold personal data; {} has it, at the time above",
            match there(e).as_str() {
                "the other system" => "the log of the other system".to_owned(),
                name => format!("the log of the system behind {name}"),
            }
        ));
    }
    out.extend(what_was_sent(m, e));
    out
}

/// The arguments of an effect, shortened.
fn what_was_sent(m: &Material, e: &EffectRow) -> Option<String> {
    let args = m.case.effects.get(&e.effect.n)?.args.as_ref()?;
    let body = args.at(&["body"]).unwrap_or(args);
    let all = arguments(body);
    let more = all.len().saturating_sub(ARGUMENTS);
    let shown: Vec<String> = all
        .iter()
        .take(ARGUMENTS)
        .map(|(name, value)| format!("{name} = {}", one_line(value, VALUE)))
        .collect();
    let more = match more {
        0 => String::new(),
        n => format!(", and {n} more"),
    };
    (!shown.is_empty()).then(|| format!("what was to be written: {}{more}", shown.join(", ")))
}

/// What the model took it for, where a person is to say whether that is right.
fn model_says(m: &Material, task: &CaseTask) -> Vec<String> {
    if task.reason != "unsure" && task.reason != "no_confidence" {
        return Vec::new();
    }
    let of_model = |f: &&tl_kernel::value::Field| matches!(f.source, Source::Model { .. });
    let said: Vec<String> = m
        .case
        .record
        .iter()
        .filter(|(_, f)| of_model(f))
        .map(|(name, f)| format!("{name} = {}", one_line(&f.value.to_string(), VALUE)))
        .collect();
    match said.is_empty() {
        true => Vec::new(),
        false => vec![format!("the model says {}", said.join(", "))],
    }
}

/// A task that was handed on after a table or a rule had routed it: the next case goes the first way again.
fn about_route(m: &Material, task: &CaseTask) -> Option<String> {
    handed_on(m)?;
    let first = m
        .turns
        .iter()
        .flat_map(|(h, _)| &h.entries)
        .find_map(|e| match e {
            Entry::TaskOpened { kind, owner, .. } if *kind == task.kind => Some(owner),
            _ => None,
        })?;
    let (name, field) = m.case.record.iter().find(|(_, f)| {
        matches!(
            f.source,
            Source::Rule(_) | Source::Table(..) | Source::Model { .. }
        ) && f.value.as_text() == Some(first.as_str())
    })?;
    let from = source((name.as_str(), field), &m.case, &m.bundle);
    Some(format!(
        "it was first routed to {first} by {from}, and the next such case goes there again. If only this case was another, \
         change nothing; if the route is wrong, correct that place, or the rule that led to it, then `throughline deploy`"
    ))
}

/// What the system of record held in the last round of a conflict.
fn held_there(m: &Material, task: &CaseTask) -> Option<String> {
    if task.reason != "conflict" {
        return None;
    }
    m.turns.iter().rev().find_map(|(_, body)| {
        body.as_ref()?.facts.iter().find_map(|f| match f {
            Fact::Seen {
                version, values, ..
            } => Some(format!(
                "the other side held version {version} then{}; who changes it, only its own log says",
                values
                    .as_ref()
                    .map_or_else(String::new, |v| format!(": {}", pairs(v)))
            )),
            _ => None,
        })
    })
}

/// `id = a, name = b`.
pub(super) fn pairs(value: &Value) -> String {
    let all = arguments(value);
    let shown: Vec<String> = all
        .iter()
        .take(ARGUMENTS)
        .map(|(name, value)| format!("{name} = {}", one_line(value, VALUE)))
        .collect();
    shown.join(", ")
}

/// A value of the other side that was kept, and what would have been written over it.
pub(super) struct Kept {
    pub(super) name: String,
    theirs: String,
    ours: Option<String>,
    message: Option<u32>,
}

impl Kept {
    fn words(&self, m: &Material) -> String {
        let ours = self.ours.as_ref().map_or_else(String::new, |ours| {
            let from = self
                .message
                .map_or_else(String::new, |n| format!(" of message {n}"));
            format!("; \"{ours}\"{from} was not written")
        });
        let there = m
            .effects
            .first()
            .map_or_else(|| "the other system".into(), there);
        format!("`{}` is \"{}\" in {there}{ours}", self.name, self.theirs)
    }
}

/// What conflicts since the last message left as the other side had it.
pub(super) fn merged(m: &Material) -> Vec<Kept> {
    let mut out: BTreeMap<String, Kept> = BTreeMap::new();
    for (head, body) in &m.turns {
        if head
            .entries
            .iter()
            .any(|e| matches!(e, Entry::Event { .. }))
        {
            out.clear();
        }
        let round = head.entries.iter().find_map(|e| match e {
            Entry::Conflict { n, kept, .. } if *kept > 0 => Some(*n),
            _ => None,
        });
        let (Some(n), Some(body)) = (round, body) else {
            continue;
        };
        for fact in &body.facts {
            let Fact::Set(name, field) = fact else {
                continue;
            };
            if !matches!(field.source, Source::Crm(_)) {
                continue;
            }
            let written = m.case.effects.get(&n).and_then(|e| e.args.as_ref());
            let ours = written.and_then(|a| a.at(&["body", name.as_str()]));
            let kept = Kept {
                name: name.clone(),
                theirs: one_line(&field.value.to_string(), VALUE),
                ours: ours.map(|v| one_line(&v.to_string(), VALUE)),
                message: from_message(m, name, head.seq),
            };
            out.insert(name.clone(), kept);
        }
    }
    out.into_values().collect()
}

/// The message that set a field last before a turn.
fn from_message(m: &Material, name: &str, before: u32) -> Option<u32> {
    let earlier = m.turns.iter().rev().filter(|(h, _)| h.seq < before);
    let mut facts = earlier
        .filter_map(|(_, b)| b.as_ref())
        .flat_map(|b| b.facts.iter().rev());
    facts.find_map(|f| match f {
        Fact::Set(n, field) if n == name => match field.source {
            Source::Event(message) => Some(Some(message)),
            _ => Some(None),
        },
        _ => None,
    })?
}

/// A question to a model that a switch stopped before the case came to where it is.
fn stopped_before(m: &Material) -> Option<String> {
    if matches!(m.case.ai, Ai::Failed(_)) {
        return None;
    }
    m.turns.iter().rev().find_map(|(head, _)| {
        let scope = head.entries.iter().find_map(|e| match e {
            Entry::AskFailed { reason, .. } => stopped_by(reason),
            _ => None,
        })?;
        Some(format!(
            "before that, in turn {}, no model was asked: stopped by {}",
            head.seq,
            switch_text(m, scope)
        ))
    })
}

/// The last move that a person made.
fn person_before(m: &Material) -> Option<String> {
    let program = &m.bundle.program;
    m.turns.iter().rev().find_map(|(head, _)| {
        if !head.actor.is_person() {
            return None;
        }
        let (from, to, reason) = head.entries.iter().find_map(|e| match e {
            Entry::Moved {
                from, to, reason, ..
            } => Some((*from, *to, reason)),
            _ => None,
        })?;
        let did = match to {
            TRIAGED => "had the case decided again".to_owned(),
            to => format!(
                "took it from `{}` to `{}`",
                program.state_name(from),
                program.state_name(to)
            ),
        };
        Some(format!(
            "{} {did} in turn {} (reason: {reason})",
            head.actor.text(),
            head.seq
        ))
    })
}

/// Messages that came again under the same key with other bytes: number, id, when last.
pub(super) fn other_content(m: &Material) -> Vec<(usize, String, At)> {
    let events = m.case.events.iter().enumerate();
    let other = events.filter_map(|(i, e)| {
        let d = m.duplicates.get(&e.id)?;
        let (_, at) = d.variants.iter().max_by_key(|(_, at)| *at)?;
        Some((i + 1, e.id.to_string(), At(*at)))
    });
    other.collect()
}
