//! Ways gone in the kernel: a way that a proof found is searched for with real messages, answers and decisions,
//! the file's own threshold, and its policy or a stricter one. What is printed then has really happened; where
//! nothing was found, the way is called possible.

use std::collections::{BTreeMap, BTreeSet};

use tl_kernel::case::Case;
use tl_kernel::decide::{Facts, Input, decide};
use tl_kernel::id::{CaseId, TenantId};
use tl_kernel::journal::{Decided, Entry, TimerKind, open};
use tl_kernel::policy::{Policy, Verdict, When};
use tl_kernel::program::canonical::NEEDS_HUMAN;
use tl_kernel::program::{ActionIx, Program};
use tl_kernel::turn::Decision;
use tl_kernel::value::Value;

use super::replay::{Offers, every_decision};
use super::space::{Space, required};
use super::wander::wander;
use super::{CounterExample, Given};

/// Turns decided in the search for one way.
const MAX_TURNS: u32 = 1_500;

/// What a way shows when it has been gone.
#[derive(Debug, Clone, PartialEq)]
pub enum Claim {
    /// Nothing is left that would take the case on.
    EndsSilently,
    /// A task is open, nothing else happens, and whatever is decided about it is refused.
    CannotBeDecided,
    /// The case is neither with a person nor at an end.
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
            sender: None,
        }
    }
}

/// A case before its first message.
pub fn unborn() -> Case {
    Case::new(TenantId(1), CaseId([1; 16]), 1)
}

struct Search<'p> {
    offers: Offers<'p>,
    path: &'p CounterExample,
    policies: [(Policy, &'static str); 3],
    turns: u32,
    seen: BTreeSet<String>,
    gone: Vec<Happening>,
    lines: Vec<String>,
}

/// The file's policy, and stricter ones with what they set every action to.
pub(super) fn stances(program: &Program) -> [(Policy, &'static str); 3] {
    let with = |word, change: fn(&mut tl_kernel::policy::PolicyLine)| {
        let mut policy = program.policy.clone();
        policy.lines.iter_mut().for_each(change);
        (policy, word)
    };
    [
        (program.policy.clone(), ""),
        with("approve", |l| l.auto = When::Unstated),
        with("never", |l| l.never = When::Always),
    ]
}

/// The flags that a step names.
pub(super) fn flags(given: &Given) -> impl Iterator<Item = (String, bool)> {
    given.values.iter().filter_map(|(name, v)| {
        let flag = name.strip_prefix("flags.")?;
        Some((flag.to_owned(), *v == Some(Value::Bool(true))))
    })
}

/// Goes a way, or another one to the same; where it could be gone, its steps are the ones that happened.
pub(super) fn go(program: &Program, space: &Space, path: &mut CounterExample) {
    let mut search = Search {
        offers: Offers { program, space },
        path,
        policies: stances(program),
        turns: 0,
        seen: BTreeSet::new(),
        gone: Vec::new(),
        lines: Vec::new(),
    };
    if search.from(0, &unborn()) {
        let (gone, lines) = (search.gone, search.lines);
        (path.turns, path.steps) = (gone, lines);
    } else {
        wander(program, space, path);
    }
}

impl Search<'_> {
    /// Goes the way from a step on. True when its end shows what it shall.
    fn from(&mut self, i: usize, case: &Case) -> bool {
        let path = self.path;
        let Some(given) = path.inputs.get(i) else {
            return false;
        };
        for (input, event) in self.offers.inputs(&path.inputs, given, case) {
            for stance in 0..self.policies.len() {
                if self.turns >= MAX_TURNS {
                    return false;
                }
                self.turns += 1;
                if self.step(i, case, (input.clone(), event.clone()), stance) {
                    return true;
                }
            }
        }
        false
    }

    fn step(
        &mut self,
        i: usize,
        case: &Case,
        (input, event): (Input, Option<Value>),
        stance: usize,
    ) -> bool {
        let (path, program) = (self.path, self.offers.program);
        let given = &path.inputs[i];
        let happening = Happening {
            input: input.clone(),
            event,
            policy: self.policies[stance].0.clone(),
            flags: flags(given).collect(),
            threshold: program.decision.threshold.value(),
        };
        let Decision::Turn(turn, after) = decide(program, case, input, &happening.facts(case))
        else {
            return false;
        };
        let Ok((head, _)) = open(&turn.sealed) else {
            return false;
        };
        let decided = head.entries.iter().find_map(|e| match e {
            Entry::Decided(d) => Some(d),
            _ => None,
        });
        let wrong_branch = given
            .branch
            .is_some_and(|b| decided.is_none_or(|d| d.error.is_some() || d.branch as usize != b));
        if wrong_branch || given.to.is_some_and(|to| to != after.state) {
            return false;
        }
        let last = i + 1 == path.inputs.len();
        if last && !shows(program, &path.claim, (&after, &head.entries), &happening) {
            return false;
        }
        if !last && !self.seen.insert(format!("{i} {}", signature(&after))) {
            return false;
        }
        let word = self.policies[stance].1;
        self.lines
            .push(line(program, given, &after, (decided, word)));
        self.gone.push(happening);
        if last || self.from(i + 1, &after) {
            return true;
        }
        self.lines.pop();
        self.gone.pop();
        false
    }
}

/// The end of a way shows what the way is printed for.
pub(super) fn shows(
    program: &Program,
    claim: &Claim,
    (case, entries): (&Case, &[Entry]),
    last: &Happening,
) -> bool {
    let ended = program
        .states
        .get(usize::from(case.state))
        .is_some_and(|s| s.terminal);
    let clock = case.timers.values().any(|(k, _)| *k != TimerKind::Goal);
    let asked = case.asks.values().any(|(_, open)| *open);
    let tasks = case.open_tasks().next().is_some();
    match claim {
        Claim::EndsSilently => {
            !ended && !clock && !asked && !tasks && case.open_effects().next().is_none()
        }
        Claim::CannotBeDecided => {
            let refused = |input| {
                let facts = last.facts(case);
                matches!(decide(program, case, input, &facts), Decision::Refused(_))
            };
            !ended && !clock && !asked && tasks && every_decision(case).into_iter().all(refused)
        }
        Claim::ReachesNobody => !ended && !tasks && case.state != NEEDS_HUMAN,
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

/// A step as it happened.
pub(super) fn line(
    program: &Program,
    given: &Given,
    after: &Case,
    (decided, policy): (Option<&Decided>, &str),
) -> String {
    let mut with = Vec::new();
    for (name, found) in &given.values {
        let share = |n: u16| format!("{}", f64::from(n) / 1000.0);
        let value = match (name.as_str(), decided) {
            ("confidence", Some(d)) => d.confidence.map(share),
            ("threshold", Some(d)) => Some(share(d.threshold)),
            ("missing", _) => {
                let absent = |f: &String| after.record.get(f).is_none_or(|v| v.value.is_blank());
                let names: Vec<String> = required(program).into_iter().filter(absent).collect();
                Some(format!("[{}]", names.join(", ")))
            }
            (name, _) => match name.strip_prefix("record.") {
                Some(field) => after.record.get(field).map(|f| super::say_value(&f.value)),
                None => found.as_ref().map(super::say_value),
            },
        };
        with.push(match value {
            Some(v) => format!("{name} = {v}"),
            None => format!("{name} absent"),
        });
    }
    if let (true, Some(d)) = (given.asks_policy, decided) {
        with.push(format!("policy_allows = {}", d.policy_allows));
    }
    if !policy.is_empty() {
        with.push(format!(
            "every action set to `{policy}` in the policy in force"
        ));
    }
    let with = match with.is_empty() {
        true => String::new(),
        false => format!(", with {}", with.join(", ")),
    };
    format!("{}{with}{}", given.head, given.tail)
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
