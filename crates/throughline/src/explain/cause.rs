//! Why a case waits for a person, with the evidence: what a task's reason code stands for in this case.

use tl_kernel::case::{Ai, CaseTask};
use tl_kernel::journal::{Decided, Entry, Planned};
use tl_kernel::policy::Verdict;
use tl_store::contract::SwitchRow;

use super::build::Material;
use super::fields::{policy_place, share};
use super::words::{dry_run, stop_words};
use crate::text::At;

/// Why a task was opened: its reason in words, and what in the journal says so.
pub(super) fn because(m: &Material, task: &CaseTask) -> String {
    let words = task_words(&task.kind, &task.reason);
    let own = evidence(m, &task.reason);
    // A reason of the file's own says nothing of why the decision asked for a person.
    let asked = || {
        last_decision(m)?
            .needs_human
            .iter()
            .find_map(|why| Some(format!("{}: {}", stop_words(why), evidence(m, why)?)))
    };
    let more = own.or_else(|| asked().filter(|_| task.kind == "review"));
    match more {
        Some(more) if words.is_empty() => more,
        Some(more) => format!("{words}: {more}"),
        None => words,
    }
}

/// A task's reason in words. What waits for an approval was refused by nothing.
pub(super) fn task_words(kind: &str, reason: &str) -> String {
    match (kind, reason) {
        ("approve", "policy") => "the policy asks for an approval".into(),
        (_, reason) => stop_words(reason),
    }
}

/// What stands behind a reason code in this case.
fn evidence(m: &Material, why: &str) -> Option<String> {
    match why {
        "policy_never" => {
            let p = entries(m)
                .filter_map(planned)
                .find(|p| p.verdict == Verdict::Never)?;
            Some(format!(
                "`{}` is never allowed here by {}",
                p.name,
                policy_place(&m.bundle, p.line)
            ))
        }
        "policy" => {
            let p = entries(m)
                .filter_map(planned)
                .find(|p| p.verdict == Verdict::Approve)?;
            Some(format!(
                "`{}` needs an approval by {}",
                p.name,
                policy_place(&m.bundle, p.line)
            ))
        }
        "unsure" => {
            let d = last_decision(m)?;
            Some(format!(
                "confidence {} < threshold {}",
                share(d.confidence?),
                share(d.threshold)
            ))
        }
        "ai_off" => stopped_ask(m).map(|scope| format!("by {}", switch_text(scope, &m.switches))),
        "ai_failed" => match &m.case.ai {
            Ai::Failed(why) => Some(stop_words(why)),
            _ => None,
        },
        "missing" => {
            let missing = tl_kernel::decide::missing(&m.bundle.program, &m.case.record);
            (!missing.is_empty()).then(|| missing.join(", "))
        }
        "conflict" => entries(m).find_map(|e| match e {
            Entry::Conflict { round, .. } => Some(format!(
                "given up in round {round}, so that nobody's edit is lost"
            )),
            _ => None,
        }),
        _ => None,
    }
}

/// Whether a person's approval can change what the last decision came to: it counts as full confidence and
/// answers a rule that asked for a person, and nothing else.
pub(super) fn approval_decides(m: &Material) -> bool {
    const ANSWERED: [&str; 2] = ["confidence", "needs_human"];
    let touches = |text: &str| ANSWERED.iter().any(|word| text.contains(word));
    last_decision(m).is_none_or(|d| {
        let branch = m.bundle.program.decision.branches.get(d.branch as usize);
        let taken = branch
            .and_then(|b| b.condition.as_ref())
            .is_some_and(|c| touches(&c.source));
        taken
            || d.passed_over
                .iter()
                .any(|p| !p.because.is_empty() && p.because.iter().all(|text| touches(text)))
    })
}

/// The switch that kept the last question from being asked.
pub(super) fn stopped_ask(m: &Material) -> Option<&str> {
    match &m.case.ai {
        Ai::Failed(why) => why.strip_prefix("kill:").or_else(|| dry_run(why)),
        _ => None,
    }
}

/// A switch with who set it, when and why.
pub(super) fn switch_text(scope: &str, switches: &[SwitchRow]) -> String {
    match switches.iter().find(|s| s.scope == scope) {
        Some(s) => format!(
            "the switch `{scope}`, set by {} at {} (reason: {})",
            s.by,
            At(s.at).clock(),
            s.reason
        ),
        None => format!("the switch `{scope}`, which has been cleared since"),
    }
}

/// The journal's entries, the latest first.
fn entries(m: &Material) -> impl Iterator<Item = &Entry> {
    m.turns
        .iter()
        .rev()
        .flat_map(|(head, _)| head.entries.iter().rev())
}

fn last_decision(m: &Material) -> Option<&Decided> {
    entries(m).find_map(|e| match e {
        Entry::Decided(d) => Some(d),
        _ => None,
    })
}

fn planned(entry: &Entry) -> Option<&Planned> {
    match entry {
        Entry::Planned(p) => Some(p),
        _ => None,
    }
}
