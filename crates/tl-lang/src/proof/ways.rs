//! What a way shows, and the turns of one that was gone in the kernel: what is printed then has really happened.
//! Where no values were found that lead there, the way is called possible.

use std::collections::BTreeMap;

use tl_kernel::case::Case;
use tl_kernel::decide::{Facts, Input, decide};
use tl_kernel::id::{CaseId, TenantId};
use tl_kernel::journal::Entry;
use tl_kernel::policy::{Policy, Verdict};
use tl_kernel::program::canonical::NEEDS_HUMAN;
use tl_kernel::program::{ActionIx, Program};
use tl_kernel::turn::Decision;
use tl_kernel::value::Value;

use super::replay::every_decision;

/// What a way shows when it has been gone.
#[derive(Debug, Clone, PartialEq)]
pub enum Claim {
    /// Nothing is left that would take the case on.
    EndsSilently,
    /// A task is open, nothing else happens, and whatever is decided about it is refused.
    CannotBeDecided,
    /// What happens by itself leads around for ever, and on the way the case is neither with a person nor at an end.
    ReachesNobody,
    /// The last turn plans an action; when true, one that may never happen.
    Plans(ActionIx, bool),
    /// The last turn takes a branch while a field has a value.
    Takes(u32, String, Value),
}

/// One turn of a way that was gone in the kernel.
#[derive(Debug, Clone)]
pub struct Happening {
    /// What came in.
    pub input: Input,
    /// The message that came in with it.
    pub event: Option<Value>,
    /// The policy in force: the file's, or a stricter one.
    pub policy: Policy,
    /// The flags in force.
    pub flags: BTreeMap<String, bool>,
    /// The threshold in force: the file's.
    pub threshold: f64,
}

impl Happening {
    /// What the kernel is told beside the input.
    pub fn facts(&self, case: &Case) -> Facts<'_> {
        Facts {
            now: case.updated_at + 1,
            tenant: TenantId(1),
            tenant_key: b"key",
            definition: 1,
            policy_number: 1,
            policy: &self.policy,
            threshold: self.threshold,
            flags: &self.flags,
            switches: &[],
            event: self.event.as_ref(),
            links: None,
            sender: None,
        }
    }
}

/// A case before its first message.
pub fn unborn() -> Case {
    Case::new(TenantId(1), CaseId([1; 16]), 1)
}

/// The end of a way shows what the way is printed for.
pub(super) fn shows(
    program: &Program,
    claim: &Claim,
    (case, entries): (&Case, &[Entry]),
    last: &Facts<'_>,
) -> bool {
    let ended = program
        .states
        .get(usize::from(case.state))
        .is_some_and(|s| s.terminal);
    let clock = case.timers.values().any(|(k, _)| k.is_of_stay());
    let asked = case.asks.values().any(|(_, open)| *open);
    let tasks = case.open_tasks().next().is_some();
    match claim {
        Claim::EndsSilently => {
            !ended && !clock && !asked && !tasks && case.open_effects().next().is_none()
        }
        Claim::CannotBeDecided => {
            let facts = Facts {
                now: case.updated_at + 1,
                event: None,
                ..last.clone()
            };
            let refused =
                |input| matches!(decide(program, case, input, &facts), Decision::Refused(_));
            !ended && !clock && !asked && tasks && every_decision(case).into_iter().all(refused)
        }
        Claim::ReachesNobody => with_nobody(program, case),
        Claim::Plans(ix, never) => entries.iter().any(|e| {
            matches!(e, Entry::Planned(p) if p.action == *ix && (!never || p.verdict == Verdict::Never))
        }),
        Claim::Takes(branch, field, value) => {
            let has = case.record.get(field).is_some_and(|f| f.value == *value);
            let took = |e: &Entry| matches!(e, Entry::Decided(d) if d.branch == *branch);
            has && entries.iter().any(took)
        }
    }
}

/// A case is neither with a person nor at an end.
pub(super) fn with_nobody(program: &Program, case: &Case) -> bool {
    let state = program.states.get(usize::from(case.state));
    let ended = state.is_some_and(|s| s.terminal);
    !ended && case.state != NEEDS_HUMAN && case.open_tasks().next().is_none()
}

/// Two cases that are the same in this go on in the same way.
pub(super) fn signature(c: &Case) -> String {
    let tasks: Vec<_> = c.open_tasks().map(|(_, t)| (&t.kind, &t.reason)).collect();
    let effects: Vec<_> = c
        .effects
        .values()
        .map(|e| (e.action, e.state, e.approved))
        .collect();
    let timers: Vec<_> = c.timers.values().map(|(k, _)| k).collect();
    let record: Vec<_> = c.record.iter().map(|(n, f)| (n, &f.value)).collect();
    let asks: Vec<_> = c.asks.values().map(|(_, open)| open).collect();
    format!(
        "{} {:?} {} {tasks:?} {effects:?} {timers:?} {record:?} {asks:?}",
        c.state, c.ai, c.vouched
    )
}
