//! What the file's policy may say about an action, whatever the values are.

use tl_kernel::connector::{CallArgument, Control};
use tl_kernel::expr::{Expr, Node, Piece, Template};
use tl_kernel::policy::When;
use tl_kernel::program::{Action, ActionIx, ActionKind, Emit, Program, Step};

use super::formula::is_set;
use super::trust;

/// What the file's policy may say about an action.
#[derive(Debug, Clone, Copy)]
pub(super) struct May {
    pub(super) auto: bool,
    /// It goes by itself only to where a person or a system of record said.
    pub(super) vouched_only: bool,
    pub(super) approve: bool,
    pub(super) never: bool,
    /// The file says `never` without a condition.
    pub(super) forbidden: bool,
    /// An argument that must be there may be absent.
    pub(super) absent: bool,
    /// Its text may be blank although what it needs is there.
    pub(super) blank: bool,
}

/// What the file's policy may say about each action.
pub(super) fn verdicts(program: &Program) -> Vec<May> {
    program.actions.iter().map(|a| may(program, a)).collect()
}

fn may(program: &Program, action: &Action) -> May {
    let blank = may_be_blank(action);
    let absent = blank || needed(action).iter().any(|e| !e.reads().is_empty());
    let Some(line) = program.policy.line(&action.name) else {
        let none = May {
            auto: false,
            vouched_only: false,
            approve: false,
            never: true,
            forbidden: true,
            absent,
            blank,
        };
        return none;
    };
    let forbidden = matches!(line.never, When::Always);
    let auto = !forbidden && !matches!(line.auto, When::Unstated);
    let checked = match &action.kind {
        ActionKind::Message(m) => trust::is_ours(program, &m.to),
        _ => true,
    };
    let mut called = action.call().into_iter().flat_map(|c| &c.with);
    let sensitive = |a: &CallArgument| a.control == Control::Sensitive;
    let checked = checked && called.all(|a| !sensitive(a) || trust::is_ours(program, &a.value));
    May {
        auto,
        vouched_only: is_unchecked(program, action),
        approve: !forbidden && (!matches!(line.auto, When::Always) || !checked),
        never: !matches!(line.never, When::Unstated),
        forbidden,
        absent,
        blank,
    }
}

/// A message without a check, or whose check no door can meet, goes to a field that only a message gives: a person
/// approves it, unless one gave the address.
fn is_unchecked(program: &Program, action: &Action) -> bool {
    let ActionKind::Message(m) = &action.kind else {
        return false;
    };
    let (given, unproven) = match &m.to.root {
        Node::Path { names, .. } if names.len() == 2 && names[0] == "record" => (
            !is_set(program, &names[1]),
            trust::is_unproven(program, &names[1]),
        ),
        _ => (false, false),
    };
    given && (m.check.is_none() || unproven) && !trust::is_ours(program, &m.to)
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

/// What an action cannot be planned without.
pub(super) fn needed(action: &Action) -> Vec<&Expr> {
    let to = match &action.kind {
        ActionKind::RecordStore { key, .. } => return holes(key),
        ActionKind::Rest(r) => return holes(&r.path),
        ActionKind::Message(m) => Some(&m.to),
        ActionKind::Call(_) | ActionKind::DomainEvent => None,
    };
    let called = action.call().into_iter().flat_map(|c| &c.with);
    let required = called.filter(|a| a.required).map(|a| &a.value);
    to.into_iter().chain(required).collect()
}

/// The expressions of a template.
pub(super) fn holes(template: &Template) -> Vec<&Expr> {
    let exprs = template.parts.iter().filter_map(|p| match p {
        Piece::Expr(e) => Some(e),
        Piece::Text(_) => None,
    });
    exprs.collect()
}

/// A message whose text is made of values only says nothing where they are absent.
fn may_be_blank(action: &Action) -> bool {
    let ActionKind::Message(m) = &action.kind else {
        return false;
    };
    let says = |p: &Piece| matches!(p, Piece::Text(t) if !t.trim().is_empty());
    let subject = m.subject.as_ref().filter(|_| m.via.is_some());
    [Some(&m.body), subject]
        .into_iter()
        .flatten()
        .any(|t| !t.parts.iter().any(says))
}
