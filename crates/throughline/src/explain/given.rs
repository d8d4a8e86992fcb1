//! Reasons that the workflow's file gives, told apart from the engine's own words.
//!
//! A word of a file is shown as the file's, with its place, and is never said in the words that the engine has for one
//! of its own: a file that was deployed before such a word was refused may give one.

use tl_kernel::case::CaseTask;
use tl_kernel::journal::{Entry, Head};
use tl_kernel::program::RuleEffect;

use super::build::Material;
use super::fields::workflow_place;

/// The reason as the file gives it in this turn; none where it is the engine's or a person's.
pub(super) fn by_file(m: &Material, head: &Head, word: &str) -> Option<String> {
    let line = head.entries.iter().find_map(|e| given_at(m, e, word))?;
    let place = workflow_place(&m.bundle, line);
    Some(format!("reason `{word}`, {place}"))
}

/// The line that gives the word, where the entry tells of a rule or a branch that does.
fn given_at(m: &Material, entry: &Entry, word: &str) -> Option<u32> {
    let program = &m.bundle.program;
    match entry {
        Entry::Decided(d) => {
            let branch = program.decision.branches.get(d.branch as usize)?;
            (branch.reason.as_deref() == Some(word)).then_some(d.line)
        }
        Entry::Rule { rule, line } => match &program.rules.get(*rule as usize)?.effect {
            RuleEffect::NeedsHuman(own) | RuleEffect::Close(own) if own == word => Some(*line),
            _ => None,
        },
        _ => None,
    }
}

/// The reason of a task, where the file gave it.
pub(super) fn of_task(m: &Material, task: &CaseTask) -> Option<String> {
    let opens = |e: &Entry| {
        matches!(e, Entry::TaskOpened { kind, reason, .. }
            if *kind == task.kind && *reason == task.reason)
    };
    of_last(m, opens, &task.reason)
}

/// The reason of the move into the present state, where the file gave it.
pub(super) fn of_state(m: &Material) -> Option<String> {
    let to_here = |e: &Entry| {
        matches!(e, Entry::Moved { to, reason, .. }
            if *to == m.case.state && *reason == m.case.reason)
    };
    of_last(m, to_here, &m.case.reason)
}

/// The file's reason in the last turn that has such an entry.
fn of_last(m: &Material, which: impl Fn(&Entry) -> bool, word: &str) -> Option<String> {
    let mut heads = m.turns.iter().rev().map(|(head, _)| head);
    let head = heads.find(|h| h.entries.iter().any(&which))?;
    by_file(m, head, word)
}
