//! What the file's policy may say about an action, whatever the values are.

use tl_kernel::connector::Control;
use tl_kernel::expr::Piece;
use tl_kernel::policy::When;
use tl_kernel::program::{Action, ActionIx, ActionKind, Emit, Program, Step};

use super::trust;

/// What the file's policy may say about an action.
#[derive(Debug, Clone, Copy)]
pub(super) struct May {
    pub(super) auto: bool,
    pub(super) approve: bool,
    pub(super) never: bool,
    /// The file says `never` without a condition.
    pub(super) forbidden: bool,
    /// An argument that must be there may be absent.
    pub(super) absent: bool,
}

/// What the file's policy may say about each action.
pub(super) fn verdicts(program: &Program) -> Vec<May> {
    program.actions.iter().map(|a| may(program, a)).collect()
}

fn may(program: &Program, action: &Action) -> May {
    let absent = match &action.kind {
        ActionKind::RecordStore { key, .. } => {
            key.parts.iter().any(|p| matches!(p, Piece::Expr(_)))
        }
        ActionKind::Rest(r) => r.path.parts.iter().any(|p| matches!(p, Piece::Expr(_))),
        ActionKind::Call(c) => c
            .with
            .iter()
            .any(|a| a.required && !a.value.reads().is_empty()),
        ActionKind::Message(m) => !m.to.reads().is_empty(),
        ActionKind::DomainEvent => false,
    };
    let Some(line) = program.policy.line(&action.name) else {
        let none = May {
            auto: false,
            approve: false,
            never: true,
            forbidden: true,
            absent,
        };
        return none;
    };
    let forbidden = matches!(line.never, When::Always);
    let auto = !forbidden && !matches!(line.auto, When::Unstated);
    let checked = match &action.kind {
        ActionKind::Message(m) => trust::is_ours(program, &m.to),
        ActionKind::Call(c) => c
            .with
            .iter()
            .filter(|a| a.control == Control::Sensitive)
            .all(|a| trust::is_ours(program, &a.value)),
        _ => true,
    };
    May {
        auto,
        approve: !forbidden && (!matches!(line.auto, When::Always) || !checked),
        never: !matches!(line.never, When::Unstated),
        forbidden,
        absent,
    }
}

/// The write to the system of record, if a branch or a transition plans it.
pub(super) fn written(program: &Program) -> Option<ActionIx> {
    let ix = program.action_ix("crm_upsert")?;
    let mut steps = program.decision.branches.iter().flat_map(|b| &b.actions);
    let emitted = program
        .edges
        .iter()
        .any(|e| e.emit.contains(&Emit::CrmSync));
    (emitted || steps.any(|s| *s == Step::Effect(ix))).then_some(ix)
}
