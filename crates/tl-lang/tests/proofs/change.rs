//! What the tests of the proofs do to the base.

use tl_kernel::program::canonical::{CLOSED, NEEDS_HUMAN, TRIAGED};
use tl_kernel::program::{ActionKind, Branch, Message, Program, RestWrite, Step};

use crate::world::{Say, branch, line, state, template};

pub const CRM: u16 = 0;
pub const REPLY: u16 = 1;
pub const TRANSFER: u16 = 2;

pub fn crm(p: &mut Program) -> &mut RestWrite {
    match &mut p.actions[usize::from(CRM)].kind {
        ActionKind::Rest(r) => r,
        other => panic!("{other:?}"),
    }
}

pub fn reply(p: &mut Program) -> &mut Message {
    match &mut p.actions[usize::from(REPLY)].kind {
        ActionKind::Message(m) => m,
        other => panic!("{other:?}"),
    }
}

/// The reply goes out by itself with a text.
pub fn says(p: &mut Program, body: &str) {
    p.policy.lines[1] = line("reply", Say::Auto);
    reply(p).body = template(body);
}

pub fn without(p: &mut Program, from: u16, to: u16) {
    p.edges.retain(|e| (e.from, e.to) != (from, to));
}

pub fn own_state(p: &mut Program) -> u16 {
    let mut s = state(NEEDS_HUMAN);
    s.name = "parked".into();
    p.states.push(s);
    p.states.len() as u16 - 1
}

/// The name is required, what asks for it is forbidden, and the decision begins with a branch.
pub fn asks_before_hand_off(p: &mut Program, first: Branch) {
    for f in &mut p.record.fields {
        f.required = f.name == "name";
    }
    p.policy.lines[1] = line("reply", Say::Never);
    p.tasks.ask_missing = Some(REPLY);
    p.decision.branches = vec![first];
}

/// Who is a VIP gets a transfer, which is forbidden.
pub fn never_for_vip(p: &mut Program) {
    p.policy.lines[2] = line("transfer", Say::Never);
    p.decision.branches[0] = branch(Some("record.vip"), vec![Step::Effect(TRANSFER)]);
}

/// No model; the first branch plans a transfer, which is forbidden.
pub fn forbidden_if(p: &mut Program, condition: &str) {
    p.ai = None;
    p.policy.lines[2] = line("transfer", Say::Never);
    p.decision.branches = vec![
        branch(Some(condition), vec![Step::Effect(TRANSFER)]),
        branch(None, vec![Step::HumanQueue]),
    ];
}

/// Every case closes in the turn that opens it, so that nobody ever sets a tier, and a transfer, which is forbidden, goes
/// to those who have one; a branch has a condition.
pub fn unseen_unless_it_fails(p: &mut Program, condition: &str) {
    p.ai = None;
    p.policy.lines[2] = line("transfer", Say::Never);
    without(p, CLOSED, TRIAGED);
    p.decision.branches = vec![
        branch(Some("record.tier == 'gold'"), vec![Step::Effect(TRANSFER)]),
        branch(Some(condition), vec![Step::Close]),
        branch(None, vec![Step::Close]),
    ];
}
