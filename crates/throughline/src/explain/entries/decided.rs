//! The branch that was taken, and why the ones before it were not.

use tl_kernel::journal::Decided;
use tl_kernel::program::{Branch, Program, Step};

use super::super::build::Material;
use super::super::cause::set_at;
use super::super::fields::{share, workflow_place};
use super::super::words::code_words;
use super::super::{Line, Side};

pub(super) fn decided(m: &Material, d: &Decided) -> Line {
    let program = &m.bundle.program;
    let branch = program.decision.branches.get(d.branch as usize);
    let condition = branch.and_then(|b| b.condition.as_ref());
    let text = format!(
        "branch {}: {} => {}",
        workflow_place(&m.bundle, d.line),
        condition.map_or("default", |c| c.source.as_str()),
        branch.map_or_else(String::new, |b| step_words(program, b))
    );
    // A word counts where a condition that was weighed uses it; elsewhere it would read like a cause.
    let weighed = |word: &str| {
        let before = d.passed_over.iter().flat_map(|p| &p.because);
        condition.is_some_and(|c| c.source.contains(word))
            || before.clone().any(|text| text.contains(word))
    };
    let mut detail = Vec::new();
    if weighed("confidence") {
        let threshold = format!("threshold {}{}", share(d.threshold), set_at(m, d));
        detail.push(match d.confidence {
            Some(c) if c >= d.threshold => format!("confidence {} >= {threshold}", share(c)),
            Some(c) => format!("confidence {} < {threshold}: not sure enough", share(c)),
            None => format!("no confidence, which is below every threshold; {threshold}"),
        });
    }
    if weighed("policy_allows") {
        detail.push(format!(
            "policy_allows is {} for this branch",
            d.policy_allows
        ));
    }
    if weighed("needs_human") && !d.needs_human.is_empty() {
        let why: Vec<String> = d.needs_human.iter().map(|w| code_words(w)).collect();
        detail.push(format!("needs_human, because {}", why.join("; ")));
    }
    for p in &d.passed_over {
        let place = workflow_place(&m.bundle, p.line);
        let source = program
            .decision
            .branches
            .get(p.branch as usize)
            .and_then(|b| b.condition.as_ref());
        let source = source.map_or("", |c| c.source.as_str());
        let failed = p
            .because
            .iter()
            .map(|text| plain(text))
            .collect::<Vec<_>>()
            .join("; ");
        detail.push(match failed == source {
            true => format!("not taken {place}: {source}"),
            false => format!("not taken {place}: {source}; failed: {failed}"),
        });
    }
    if let Some(error) = &d.error {
        detail.push(format!(
            "the condition could not be evaluated, so a person decides: {error}"
        ));
    }
    if let Some(reason) = branch.and_then(|b| b.reason.as_ref()) {
        detail.push(format!("reason given in the file: {reason}"));
    }
    Line::new(Side::Decision, text).with(detail)
}

/// A failed part without the numbers that the line on the confidence has.
fn plain(text: &str) -> &str {
    match text.split_once(" (confidence ") {
        Some((part, _)) => part,
        None => text,
    }
}

/// What a branch does, in order.
pub fn step_words(program: &Program, branch: &Branch) -> String {
    let all: Vec<String> = branch
        .actions
        .iter()
        .map(|s| step_word(program, *s))
        .collect();
    all.join(", ")
}

fn step_word(program: &Program, step: Step) -> String {
    match step {
        Step::Effect(ix) => program
            .action(ix)
            .map_or_else(|| "?".into(), |a| a.name.clone()),
        Step::HumanQueue => "human_queue".into(),
        Step::AskMissing => "ask_missing".into(),
        Step::HandOff => "hand_off".into(),
        Step::Close => "close".into(),
        Step::Deny => "deny".into(),
    }
}
