//! What is the matter with a case in one sentence, and how its work stands now.
//!
//! The sentence holds no value of the record, because it is shown to those as well who may not see the record.

use std::collections::BTreeMap;

use tl_kernel::case::{Ai, CaseTask};
use tl_kernel::effect::EffectState;
use tl_kernel::gate::is_dry_run;
use tl_kernel::id::TaskId;
use tl_kernel::journal::Entry;
use tl_kernel::time::duration_text;
use tl_kernel::turn::EffectKind;
use tl_store::contract::EffectRow;

use super::build::Material;
use super::cause::{because, stopped_by, switch_text};
use super::effects::there;
use super::given::of_state;
use super::notes::{merged, other_content};
use super::words::{code_words, stop_words};
use crate::text::{At, count, due_text};

/// The code of what the limit of its policy line stopped.
pub(super) const LIMIT: &str = "limit";
/// The code of an effect whose recipient wants nothing more.
pub(super) const SUPPRESSED: &str = "suppressed";

/// What is the matter, in one sentence.
pub(super) fn summary(m: &Material) -> String {
    let said = matter(m);
    let other = other_content(m);
    match other.first() {
        Some((n, ..)) => format!(
            "{said}; beside that, message {n} came again with other content, which was not used"
        ),
        None => said,
    }
}

fn matter(m: &Material) -> String {
    let case = &m.case;
    if let Some(e) = uncertain(m) {
        return format!(
            "nobody knows whether `{}` happened in {}: {}",
            e.action,
            there(e),
            code_words(&e.code)
        );
    }
    if let Some(e) = waiting(m) {
        return waits(m, e);
    }
    if let Some(e) = m.effects.iter().find(|e| is_lost(m, e)) {
        return lost(m, e);
    }
    if let Some((_, task)) = case.open_tasks().next() {
        return asked(m, task);
    }
    if is_terminal(m) {
        let unsent = m.effects.iter().find(|e| is_dry_run(&e.code));
        let unsent = unsent.map_or_else(String::new, |e| {
            format!("; `{}`: {}", e.action, code_words(&e.code))
        });
        let names: Vec<String> = merged(m)
            .into_iter()
            .map(|k| format!("`{}`", k.name))
            .collect();
        let merged = match names.len() {
            0 => String::new(),
            1 => format!(
                "; {} was not overwritten, because the other side had changed it meanwhile",
                names[0]
            ),
            _ => format!(
                "; {} were not overwritten, because the other side had changed them meanwhile",
                names.join(", ")
            ),
        };
        let why = of_state(m).unwrap_or_else(|| code_words(&case.reason));
        return format!("it is closed: {why}{merged}{unsent}");
    }
    if matches!(case.ai, Ai::Asked) {
        return "a model has been asked and has not answered yet".into();
    }
    let name = m.bundle.program.state_name(case.state);
    format!("it is in `{name}` since {}", At(case.entered_at).clock())
}

pub(super) fn is_terminal(m: &Material) -> bool {
    let states = &m.bundle.program.states;
    states
        .get(usize::from(m.case.state))
        .is_some_and(|s| s.terminal)
}

pub(super) fn uncertain(m: &Material) -> Option<&EffectRow> {
    m.effects.iter().find(|e| e.state == EffectState::Uncertain)
}

/// An effect that would go, and does not.
pub(super) fn waiting(m: &Material) -> Option<&EffectRow> {
    m.effects.iter().find(|e| {
        e.state == EffectState::Ready
            && (!e.hold.is_empty() || m.connections.contains_key(&e.connection))
    })
}

/// It ended without having happened, and no later decision planned the same action again.
pub(super) fn is_lost(m: &Material, row: &EffectRow) -> bool {
    let ended = match row.state {
        EffectState::Failed | EffectState::Dead | EffectState::Expired => true,
        EffectState::Cancelled => {
            row.code.starts_with("kill:") || row.code == LIMIT || row.code == SUPPRESSED
        }
        _ => false,
    };
    let again = |r: &EffectRow| r.action == row.action && r.effect.n > row.effect.n;
    ended && row.kind == EffectKind::Effect && !m.effects.iter().any(again)
}

fn waits(m: &Material, e: &EffectRow) -> String {
    let action = &e.action;
    if let Some(why) = m.connections.get(&e.connection) {
        return format!("`{action}` has not been sent: {why}");
    }
    if let Some(scope) = stopped_by(&e.hold) {
        return format!(
            "`{action}` has not been sent: it is held by {}",
            switch_text(m, scope)
        );
    }
    let last = match (e.hold.as_str(), e.code.as_str()) {
        (_, "") => String::new(),
        ("retry", code) => {
            return format!(
                "`{action}` is tried again {}: {}",
                At(e.due).from(m.now),
                code_words(code)
            );
        }
        ("breaker" | "retry_budget", code) => format!("; the last attempt: {}", code_words(code)),
        _ => String::new(),
    };
    format!("`{action}` waits: {}{last}", code_words(&e.hold))
}

fn lost(m: &Material, e: &EffectRow) -> String {
    let action = &e.action;
    let tried = m.attempts.get(&e.effect.n).map_or(0, |a| a.len() as u32);
    match e.state {
        EffectState::Expired => {
            let time = duration_text(e.valid_until - e.planned_at);
            let why = match stopped_by(&e.hold) {
                Some(scope) => {
                    let set = m.switches.iter().any(|s| s.scope == scope);
                    let still = if set { "; it is still set" } else { "" };
                    format!(", because {} held it{still}", switch_text(m, scope))
                }
                None if e.hold.is_empty() => String::new(),
                None => format!("; until then it waited: {}", code_words(&e.hold)),
            };
            format!(
                "`{action}` has expired: it was not sent within the {time} that it has for that{why}"
            )
        }
        EffectState::Failed if e.code == "refused" => format!(
            "{} rejected `{action}`{}, so it was not done",
            there(e),
            status(m, e)
        ),
        EffectState::Dead => format!(
            "`{action}` was given up after {}: {}",
            count(e.attempt.max(tried), "attempt"),
            code_words(&e.code)
        ),
        EffectState::Cancelled => format!("`{action}` was not sent: {}", stop_words(&e.code)),
        _ => format!("`{action}` failed: {}", stop_words(&e.code)),
    }
}

/// The status of the last attempt, as the end of a sentence.
fn status(m: &Material, e: &EffectRow) -> String {
    let last = m.attempts.get(&e.effect.n).and_then(|a| a.last());
    match last.filter(|a| a.status != 0) {
        Some(a) => format!(" with status {}", a.status),
        None => String::new(),
    }
}

fn asked(m: &Material, task: &CaseTask) -> String {
    let owner = &task.owner;
    let why = because(m, task);
    let (must, why) = match task.kind.as_str() {
        "approve" => ("must approve or reject what would be sent", why),
        "missing" => ("must fill in what is missing", why),
        "hand_off" => ("must take the case over", why),
        "exception" => ("must look at it", why),
        _ => ("must decide the case", why),
    };
    let late = match task.due {
        Some(due) if due < m.now => ", and is late",
        _ => "",
    };
    let moved = handed_on(m).map_or_else(String::new, |(by, at, reason)| {
        format!(
            "; {by} gave it to {owner} at {} (reason: {reason})",
            at.exact()
        )
    });
    match why.as_str() {
        "" => format!("{owner} {must}{late}{moved}"),
        why if why == task.reason => format!("{owner} {must}{late} (reason: {why}){moved}"),
        why if why.starts_with("reason ") => format!("{owner} {must}{late} ({why}){moved}"),
        why => format!("{owner} {must}{late}, because {why}{moved}"),
    }
}

/// Who gave the case to its owner, when and why.
pub(super) fn handed_on(m: &Material) -> Option<(String, At, String)> {
    m.turns.iter().rev().find_map(|(head, _)| {
        let given = head.entries.iter().find_map(|e| match e {
            Entry::Assigned { reason, .. } => Some(reason.clone()),
            _ => None,
        })?;
        Some((head.actor.text(), At(head.at), given))
    })
}

/// Open tasks, and the last effect of each action, as they stand now.
pub(super) fn stands(m: &Material) -> Vec<String> {
    let mut out = Vec::new();
    for (n, task) in m.case.open_tasks() {
        let id = TaskId { case: m.case.id, n };
        let due = task.due.map_or_else(String::new, |due| {
            format!(
                ", due {} ({})",
                At(due).clock(),
                due_text(Some(At(due)), m.now)
            )
        });
        out.push(format!("{id} ({}) for {}{due}", task.kind, task.owner));
    }
    let last: BTreeMap<&str, &EffectRow> =
        m.effects.iter().map(|e| (e.action.as_str(), e)).collect();
    let mut last: Vec<&EffectRow> = last.into_values().collect();
    last.sort_by_key(|e| e.effect);
    for e in last.into_iter().filter(|e| e.kind == EffectKind::Effect) {
        let state = match (e.hold.as_str(), e.state) {
            (_, EffectState::Succeeded) if is_dry_run(&e.code) => code_words(&e.code),
            ("", EffectState::Ready) => "ready".to_owned(),
            (hold, EffectState::Ready) => format!("ready, and waits ({hold})"),
            (_, EffectState::Superseded) => "superseded (not written)".to_owned(),
            (_, EffectState::Expired) => "expired unsent".to_owned(),
            (_, EffectState::Dead) => "dead (given up)".to_owned(),
            (_, state) => state.word().to_owned(),
        };
        out.push(format!("{} `{}`: {state}", e.effect, e.action));
    }
    out
}
