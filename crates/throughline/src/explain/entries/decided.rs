//! The branch that was taken, and why the ones before it were not.

use tl_kernel::journal::Decided;
use tl_kernel::program::{Program, Step};

use super::super::build::Material;
use super::super::fields::{share, workflow_place};
use super::super::words::code_words;
use super::super::{Line, Side};

pub(super) fn decided(m: &Material, d: &Decided) -> Line {
    let program = &m.bundle.program;
    let branch = program.decision.branches.get(d.branch as usize);
    let condition = branch
        .and_then(|b| b.condition.as_ref())
        .map_or("default", |c| c.source.as_str());
    let actions: Vec<String> = branch.map_or_else(Vec::new, |b| {
        b.actions.iter().map(|s| step_word(program, *s)).collect()
    });
    let text = format!(
        "branch {}: {condition} => {}",
        workflow_place(&m.bundle, d.line),
        actions.join(", ")
    );
    let threshold = share(d.threshold);
    let mut detail = vec![match d.confidence {
        Some(c) if c >= d.threshold => format!("confidence {} >= threshold {threshold}", share(c)),
        Some(c) => format!(
            "confidence {} < threshold {threshold}: not sure enough",
            share(c)
        ),
        None => format!("no confidence, which is below every threshold; threshold {threshold}"),
    }];
    detail.push(format!(
        "policy_allows is {} for this branch",
        d.policy_allows
    ));
    if !d.needs_human.is_empty() {
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
        detail.push(format!(
            "not taken {place}: {source}; failed: {}",
            p.because.join("; ")
        ));
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
