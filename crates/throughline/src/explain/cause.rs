//! Why a case waits for a person, with the evidence: what a task's reason code stands for in this case.

use tl_kernel::case::{Ai, CaseTask};
use tl_kernel::journal::{Decided, Entry, Planned};
use tl_kernel::policy::{Verdict, When};
use tl_kernel::program::{Branch, Threshold};
use tl_kernel::value::Record;
use tl_store::contract::SwitchRow;

use super::build::Material;
use super::fields::{policy_place, share, threshold_place, workflow_place};
use super::given::of_task;
use super::words::{dry_run, stop_words};
use crate::text::{At, one_line};

/// Longest value within a sentence, characters.
const VALUE: usize = 60;

/// Why a task was opened: its reason in words, and what in the journal says so. No value of the record.
pub(super) fn because(m: &Material, task: &CaseTask) -> String {
    let given = of_task(m, task);
    if given.is_none()
        && let Some(own) = evidence(m, &task.reason)
    {
        return format!("{own} ({})", task.reason);
    }
    let words = given.unwrap_or_else(|| task_words(&task.kind, &task.reason));
    // A reason of the file's own says nothing of why the decision asked for a person.
    let asked = || {
        let d = last_decision(m)?;
        let found = d.needs_human.iter().find_map(|why| evidence(m, why));
        found.or_else(|| evidence(m, "decision"))
    };
    match asked().filter(|_| task.kind == "review") {
        Some(more) if words.is_empty() => more,
        Some(more) if words == task.reason => {
            format!("the file gives the reason `{words}`; {more}")
        }
        Some(more) => format!("{words}; {more}"),
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

/// What stands behind a reason code in this case, as a sentence.
fn evidence(m: &Material, why: &str) -> Option<String> {
    match why {
        "policy_never" => {
            let p = entries(m)
                .filter_map(planned)
                .find(|p| p.verdict == Verdict::Never)?;
            let place = policy_place(&m.bundle, p.line);
            let says = match never(m, p) {
                Some(condition) => format!("{place} says never where `{condition}`"),
                None => format!("{place} says never"),
            };
            Some(format!("the policy never allows `{}` here: {says}", p.name))
        }
        "policy" => {
            let p = entries(m)
                .filter_map(planned)
                .find(|p| p.verdict == Verdict::Approve)?;
            Some(match p.unvouched {
                true => format!(
                    "`{}` needs an approval, because whom or what it is about came from outside and no check of the file \
                     vouches for it",
                    p.name
                ),
                false => format!(
                    "`{}` needs an approval by {}",
                    p.name,
                    policy_place(&m.bundle, p.line)
                ),
            })
        }
        "decision" => {
            let d = last_decision(m)?;
            let place = workflow_place(&m.bundle, d.line);
            Some(match branch(m, d)?.condition {
                Some(_) => format!("the branch at {place} asks a person"),
                None => format!(
                    "no branch of the decision took the case, so its default at {place} asks a person"
                ),
            })
        }
        "unsure" => {
            let d = last_decision(m)?;
            Some(format!(
                "the model is not sure enough: its confidence is {}, and {} is asked for{}",
                share(d.confidence?),
                share(d.threshold),
                set_at(m, d)
            ))
        }
        "ai_off" => stopped_ask(m).map(|scope| format!("no model was asked, stopped by {}", switch_text(m, scope))),
        "ai_failed" => match &m.case.ai {
            Ai::Failed(why) => Some(format!("the model gave no usable answer: {}", stop_words(why))),
            _ => None,
        },
        "missing" => {
            let missing = tl_kernel::decide::missing(&m.bundle.program, &m.case.record);
            (!missing.is_empty()).then(|| format!("required fields are missing: {}", missing.join(", ")))
        }
        "conflict" => entries(m).find_map(|e| match e {
            Entry::Conflict { n, round, .. } => {
                let row = m.effects.iter().find(|r| r.effect.n == *n);
                let there = row.map_or_else(|| "the other system".into(), super::effects::there);
                Some(format!(
                    "somebody else changed the record in {there} each time before it could be written; given up in round \
                     {round}, so that nobody's edit is lost, and nothing of ours was written in those rounds"
                ))
            }
            _ => None,
        }),
        _ => None,
    }
}

/// The condition under which the policy says never; none where it always does.
fn never<'m>(m: &'m Material, p: &Planned) -> Option<&'m str> {
    match &m.bundle.program.policy.line(&p.name)?.never {
        When::If(e) => Some(e.source.as_str()),
        _ => None,
    }
}

/// Values of the record that decided it: what the conditions looked at that failed, or that forbade it.
pub(super) fn looked_at(m: &Material, task: &CaseTask) -> Vec<String> {
    let record = &m.case.record;
    if task.reason == "policy_never" {
        let p = entries(m)
            .filter_map(planned)
            .find(|p| p.verdict == Verdict::Never);
        let condition = p.and_then(|p| never(m, p));
        return condition
            .and_then(|c| values_in(c, record))
            .map(|v| format!("in this case {v}"))
            .into_iter()
            .collect();
    }
    let Some(d) = last_decision(m).filter(|_| task.kind == "review") else {
        return Vec::new();
    };
    let say = |p: &tl_kernel::journal::PassedOver| {
        let failed: Vec<&str> = p
            .because
            .iter()
            .map(String::as_str)
            .filter(|text| !of_the_model(text))
            .collect();
        let values = values_in(&failed.join(" "), record)?;
        let place = workflow_place(&m.bundle, p.line);
        Some(format!(
            "the branch at {place} was not taken, because `{}` does not hold: {values}",
            failed.join("; ")
        ))
    };
    d.passed_over.iter().filter_map(say).take(3).collect()
}

/// Fields of the record that the conditions name which kept the case from running by itself.
pub(super) fn asked_fields(m: &Material, task: &CaseTask) -> Vec<String> {
    let condition = match task.reason.as_str() {
        "policy_never" => entries(m)
            .filter_map(planned)
            .find(|p| p.verdict == Verdict::Never)
            .and_then(|p| never(m, p))
            .map(str::to_owned),
        _ => last_decision(m).map(|d| {
            let parts = d.passed_over.iter().flat_map(|p| &p.because);
            parts.map(String::as_str).collect::<Vec<_>>().join(" ")
        }),
    };
    names_in(&condition.unwrap_or_default())
        .into_iter()
        .filter(|name| m.bundle.program.record.field(name).is_some())
        .collect()
}

/// `size is 2, name is absent`.
fn values_in(condition: &str, record: &Record) -> Option<String> {
    let say = |name: String| match record.get(&name) {
        Some(f) if !f.value.is_blank() => {
            format!("{name} is {}", one_line(&f.value.to_string(), VALUE))
        }
        _ => format!("{name} is absent"),
    };
    let all: Vec<String> = names_in(condition).into_iter().map(say).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// The fields of the record that a condition names, each once.
fn names_in(condition: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for rest in condition.split("record.").skip(1) {
        let fits = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
        let name: String = rest.chars().take_while(fits).collect();
        if !name.is_empty() && !out.contains(&name) {
            out.push(name);
        }
    }
    out
}

/// Whether a part of a condition weighs what the model said.
pub(super) fn of_the_model(text: &str) -> bool {
    const ANSWERED: [&str; 2] = ["confidence", "needs_human"];
    ANSWERED.iter().any(|word| text.contains(word))
}

/// Where the threshold of a decision is set, as the end of a sentence.
pub(super) fn set_at(m: &Material, d: &Decided) -> String {
    let (Threshold::Fixed(own) | Threshold::UntilKnown(own)) = m.bundle.program.decision.threshold;
    // The threshold of a later version may have counted, and this file does not say where that stands.
    let same = (own * 1000.0).round() as i64 == i64::from(d.threshold);
    match threshold_place(&m.bundle).filter(|_| same) {
        Some(place) => format!(" (`threshold`, {place})"),
        None => String::new(),
    }
}

/// Whether a person's approval can change what the last decision came to: it counts as full confidence and
/// answers a rule that asked for a person, and nothing else.
pub(super) fn approval_decides(m: &Material) -> bool {
    last_decision(m).is_none_or(|d| {
        let taken = branch(m, d)
            .and_then(|b| b.condition.as_ref())
            .is_some_and(|c| of_the_model(&c.source));
        taken || on_a_persons_word(m).is_some()
    })
}

/// The branch that would have been taken, had a person vouched for the record.
pub(super) fn on_a_persons_word(m: &Material) -> Option<(u32, &Branch)> {
    let d = last_decision(m)?;
    let only = |p: &&tl_kernel::journal::PassedOver| {
        !p.because.is_empty() && p.because.iter().all(|text| of_the_model(text))
    };
    let p = d.passed_over.iter().find(only)?;
    let branch = m.bundle.program.decision.branches.get(p.branch as usize)?;
    Some((p.line, branch))
}

/// The switch that kept the last question from being asked.
pub(super) fn stopped_ask(m: &Material) -> Option<&str> {
    match &m.case.ai {
        Ai::Failed(why) => stopped_by(why),
        _ => None,
    }
}

/// The switch in a reason code.
pub fn stopped_by(code: &str) -> Option<&str> {
    code.strip_prefix("kill:").or_else(|| dry_run(code))
}

/// A switch with who set it, when and why; of one that is cleared, who did that.
pub(super) fn switch_text(m: &Material, scope: &str) -> String {
    if let Some(s) = m.switches.iter().find(|s| s.scope == scope) {
        return switch_set(s);
    }
    let last = |set: bool| {
        let of = m.history.iter().rev();
        of.clone().find(|c| c.scope == scope && c.set == set)
    };
    let Some(cleared) = last(false) else {
        return format!("the switch `{scope}`, which has been cleared since");
    };
    let set = last(true).map_or_else(String::new, |c| {
        format!(
            ", set by {} at {} (reason: {})",
            c.by,
            At(c.at).exact(),
            c.why
        )
    });
    format!(
        "the switch `{scope}`{set}, which {} cleared at {} (reason: {})",
        cleared.by,
        At(cleared.at).exact(),
        cleared.why
    )
}

fn switch_set(s: &SwitchRow) -> String {
    format!(
        "the switch `{}`, set by {} at {} (reason: {})",
        s.scope,
        s.by,
        At(s.at).exact(),
        s.reason
    )
}

/// The journal's entries, the latest first.
pub(super) fn entries(m: &Material) -> impl Iterator<Item = &Entry> {
    m.turns
        .iter()
        .rev()
        .flat_map(|(head, _)| head.entries.iter().rev())
}

pub(super) fn last_decision(m: &Material) -> Option<&Decided> {
    entries(m).find_map(|e| match e {
        Entry::Decided(d) => Some(d),
        _ => None,
    })
}

fn branch<'m>(m: &'m Material, d: &Decided) -> Option<&'m Branch> {
    m.bundle.program.decision.branches.get(d.branch as usize)
}

fn planned(entry: &Entry) -> Option<&Planned> {
    match entry {
        Entry::Planned(p) => Some(p),
        _ => None,
    }
}
