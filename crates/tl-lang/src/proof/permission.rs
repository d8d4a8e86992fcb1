//! Proof 2: what may never happen is not reachable, and what is planned is not withdrawn in the same breath.
//!
//! That an effect whose verdict is `approve` leaves only after an approval of exactly its arguments is built
//! into the kernel: arguments are fixed when it is planned, the approval names their digest, and a conflict
//! plans a new effect that waits anew.

use tl_kernel::program::canonical::CLOSED;
use tl_kernel::program::{Program, Step};

use super::fix::Fix;
use super::model::Model;
use super::verdict::verdicts;
use super::walk::Walk;
use super::words::Words;
use super::{Claim, Finding};

/// Proof 2, on an exploration with everything possible.
pub(super) fn prove(words: &Words<'_>, model: &Model<'_>, walk: &Walk, out: &mut Vec<Finding>) {
    let program = model.program;
    for (ix, heres) in &model.planned {
        let Some(here) = heres.first() else {
            continue;
        };
        let Some(action) = program.action(*ix) else {
            continue;
        };
        if !verdicts(program)[usize::from(*ix)].forbidden {
            continue;
        }
        let line = program.policy.line(&action.name);
        let by = match here.branch {
            Some(taken) => {
                let line = program.decision.branches[taken.branch].line;
                format!("the branch in line {line}")
            }
            None => "a transition".into(),
        };
        let finding = Finding::new(
            "TL0502",
            line.map_or(0, |l| l.line),
            format!("`{}` may never happen, but {by} plans it", action.name),
        );
        let finding = match line {
            Some(_) => finding.why("its policy is `never` without a condition"),
            None => {
                finding.why("the policy has no line about it, and what has no line never happens")
            }
        };
        out.push(
            finding
                .mend(format!(
                    "take `{0}` out of the decision, or write `{0}: approve`",
                    action.name
                ))
                .fix(Fix::Approve(action.name.clone()))
                .path(walk.path_to(words, model, *here, Claim::Plans(*ix, true)))
                .in_policy()
                .key("policy"),
        );
    }
    withdrawn(program, out);
}

/// A branch that plans an effect and closes the case withdraws what it planned.
fn withdrawn(program: &Program, out: &mut Vec<Finding>) {
    for b in program
        .decision
        .branches
        .iter()
        .filter(|b| b.to == Some(CLOSED))
    {
        let planned = b.actions.iter().find_map(|s| match s {
            Step::Effect(ix) => program.action(*ix),
            _ => None,
        });
        if let Some(action) = planned {
            out.push(
                Finding::new("TL0521", b.line, format!("`{}` is withdrawn before it can happen", action.name))
                    .why("the branch plans it and closes the case in the same turn, and closing withdraws what is still open")
                    .fix(Fix::Take("to", "closed"))
                    .mend("take `to: closed` out: a case whose effects are done closes by itself"),
            );
        }
    }
}
