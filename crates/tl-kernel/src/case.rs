//! The case, and how it follows from its journal: `fold` is total, has no other input, and never changes
//! what an entry means.

use std::collections::BTreeMap;

use crate::digest::Digest;
use crate::effect::{Class, EffectState};
use crate::id::{CaseId, EventId, TenantId};
use crate::journal::{
    Body, Entry, Fact, Head, JournalError, Planned, Sealed, TimerKind, leaf_hash, open, verify_body,
};
use crate::policy::Verdict;
use crate::program::StateIx;
use crate::value::{Record, Value};

/// One record travelling through one pinned workflow version.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Its tenant.
    pub tenant: TenantId,
    /// Its id.
    pub id: CaseId,
    /// Length of its journal.
    pub seq: u32,
    /// Leaf of its last turn; zeros before the first.
    pub last_leaf: Digest,
    /// Number of the bundle it is pinned to.
    pub definition: u32,
    /// Correlation id.
    pub correlation: String,
    /// The seed its keyed digests are made with; zeros once erased.
    pub seed: [u8; 16],
    /// Strongest dedupe key of its first message.
    pub origin: Digest,
    /// Where it is.
    pub state: StateIx,
    /// Whose it is.
    pub owner: String,
    /// Reason code of the last move.
    pub reason: String,
    /// Opened, µs.
    pub opened_at: i64,
    /// Entered the present state, µs.
    pub entered_at: i64,
    /// Last turn, µs.
    pub updated_at: i64,
    /// When the present stay breaches its SLA, µs.
    pub due: Option<i64>,
    /// The present stay's breach is recorded.
    pub breached: bool,
    /// Its messages, in order.
    pub events: Vec<CaseEvent>,
    /// The last message as expressions see it (`event`), where the workflow reads it after admission.
    pub message: Option<Value>,
    /// The record.
    pub record: Record,
    /// What became of the AI step.
    pub ai: Ai,
    /// A person vouched for the record; their word replaces the model's confidence.
    pub vouched: bool,
    /// An expression had no result, and no person has looked since.
    pub unevaluated: bool,
    /// Effects by number.
    pub effects: BTreeMap<u32, CaseEffect>,
    /// Asks by number: the model's name, and whether it is still open.
    pub asks: BTreeMap<u32, (String, bool)>,
    /// Tasks by number.
    pub tasks: BTreeMap<u32, CaseTask>,
    /// Timers that are set.
    pub timers: BTreeMap<u32, (TimerKind, i64)>,
    /// Timers set so far.
    pub timer_count: u32,
    /// The clock of `workflow.goal`.
    pub goal: GoalClock,
    /// Person or team a rule gave the case to: they keep it through the moves that name nobody else.
    pub routed: Option<String>,
    /// What the systems of record held when an effect last read or wrote them, by action.
    pub seen: BTreeMap<String, Seen>,
    /// Natural keys the case holds.
    pub keys: Vec<Digest>,
    /// Conflicts met so far, by action.
    pub conflicts: BTreeMap<String, u32>,
}

/// The clock of `workflow.goal`: it stands still in states that pause it and once the path has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GoalClock {
    /// The case has not been in the state where the path starts.
    #[default]
    NotStarted,
    /// Its timer is set.
    Running {
        /// When the goal is missed, µs.
        due: i64,
    },
    /// A state pauses it.
    Still {
        /// What is left of the goal's time, µs.
        left: i64,
    },
    /// The path ended in time.
    Met {
        /// When the goal would have been missed, µs.
        due: i64,
        /// What was left of its time, µs; a case that is opened again goes on with it.
        left: i64,
    },
    /// The time passed before the path ended.
    Missed {
        /// When that was, µs.
        due: i64,
    },
}

/// A message of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseEvent {
    /// Its id.
    pub id: EventId,
    /// The door.
    pub endpoint: String,
    /// Received, µs.
    pub at: i64,
}

/// What became of the AI step.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Ai {
    /// No model was asked.
    #[default]
    NotAsked,
    /// An answer is awaited.
    Asked,
    /// It answered.
    Answered {
        /// Confidence in thousandths.
        confidence: Option<u16>,
        /// The proposal.
        proposal: Option<Value>,
    },
    /// It did not: `off`, `kill:SCOPE`, `dry_run:SCOPE`, `failed`, `refused`, `invalid`, `timeout`.
    Failed(String),
}

impl Ai {
    /// An answer whose proposal, if it has one, stands in the body of the turn.
    fn said(confidence: Option<u16>) -> Ai {
        let proposal = None;
        Ai::Answered {
            confidence,
            proposal,
        }
    }
}

/// An effect as its case knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseEffect {
    /// Action name.
    pub name: String,
    /// Position of the action in the pinned definition.
    pub action: u16,
    /// Guarantee class.
    pub class: Class,
    /// The policy's verdict when it was planned.
    pub verdict: Verdict,
    /// Line of the policy that gave it.
    pub line: u32,
    /// Digest of what an approver sees.
    pub digest: Digest,
    /// As the case knows it: `Ready` until it is settled or needs a person.
    pub state: EffectState,
    /// Its arguments.
    pub args: Option<Value>,
    /// A person approved it.
    pub approved: bool,
    /// The effect that it stands for: in other words, after a conflict.
    pub replaces: Option<u32>,
    /// Code it was settled with.
    pub code: String,
    /// Planned, µs.
    pub planned_at: i64,
    /// Vendor's name for the result.
    pub vendor_ref: Option<String>,
}

impl CaseEffect {
    /// It may still happen, or may have happened.
    pub fn is_open(&self) -> bool {
        !self.state.is_settled()
    }
}

/// Code of a message that a person approved in other words.
pub const REWORDED: &str = "reworded";

/// A task as its case knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseTask {
    /// `review`, `approve`, `missing`, `hand_off`, `exception`.
    pub kind: String,
    /// Person or team.
    pub owner: String,
    /// Reason code.
    pub reason: String,
    /// When it should be done, µs.
    pub due: Option<i64>,
    /// The effect it is about.
    pub effect: Option<u32>,
    /// How it ended.
    pub closed: Option<String>,
    /// Opened, µs.
    pub opened_at: i64,
}

/// What a system of record held.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Seen {
    /// Its version.
    pub version: String,
    /// Its values, where they were read.
    pub values: Option<Value>,
}

impl Case {
    /// A case before its first turn.
    pub fn new(tenant: TenantId, id: CaseId, definition: u32) -> Case {
        Case {
            tenant,
            id,
            seq: 0,
            last_leaf: [0; 32],
            definition,
            correlation: String::new(),
            seed: [0; 16],
            origin: [0; 32],
            state: 0,
            owner: String::new(),
            reason: String::new(),
            opened_at: 0,
            entered_at: 0,
            updated_at: 0,
            due: None,
            breached: false,
            events: Vec::new(),
            message: None,
            record: Record::new(),
            ai: Ai::NotAsked,
            vouched: false,
            unevaluated: false,
            effects: BTreeMap::new(),
            asks: BTreeMap::new(),
            tasks: BTreeMap::new(),
            timers: BTreeMap::new(),
            timer_count: 0,
            goal: GoalClock::NotStarted,
            routed: None,
            seen: BTreeMap::new(),
            keys: Vec::new(),
            conflicts: BTreeMap::new(),
        }
    }

    /// The number of the next row in the ledger; effects and asks share the count.
    pub fn next_effect(&self) -> u32 {
        let last = |k: Option<&u32>| k.copied().unwrap_or(0);
        last(self.effects.keys().last()).max(last(self.asks.keys().last())) + 1
    }

    /// The number of the next task.
    pub fn next_task(&self) -> u32 {
        self.tasks.keys().last().copied().unwrap_or(0) + 1
    }

    /// Whether the model was asked anew after an ask: the text had changed, so the earlier answer says nothing
    /// about the case any more.
    pub fn asked_since(&self, ask: u32) -> bool {
        self.asks.keys().next_back().is_some_and(|last| *last > ask)
    }

    /// What was shown in place of an effect before a person put it into other words.
    pub fn reworded(&self, effect: &CaseEffect) -> Option<(u32, &CaseEffect)> {
        let n = effect.replaces?;
        let shown = self.effects.get(&n).filter(|old| old.code == REWORDED)?;
        Some((n, shown))
    }

    /// Tasks that are open.
    pub fn open_tasks(&self) -> impl Iterator<Item = (u32, &CaseTask)> {
        self.tasks
            .iter()
            .filter(|(_, t)| t.closed.is_none())
            .map(|(n, t)| (*n, t))
    }

    /// Effects that are not settled.
    pub fn open_effects(&self) -> impl Iterator<Item = (u32, &CaseEffect)> {
        self.effects
            .iter()
            .filter(|(_, e)| e.is_open())
            .map(|(n, e)| (*n, e))
    }

    /// Confidence in thousandths, if there is any: a person's word counts as certainty.
    pub fn confidence(&self) -> Option<u16> {
        match &self.ai {
            _ if self.vouched => Some(1000),
            Ai::Answered { confidence, .. } => *confidence,
            _ => None,
        }
    }

    /// Applies what a head says in one entry. `at` is the turn's time.
    pub(crate) fn apply_entry(&mut self, entry: &Entry, at: i64) {
        match entry {
            Entry::Opened => (self.opened_at, self.entered_at) = (at, at),
            Entry::Event { id, endpoint, .. } => {
                self.events.push(CaseEvent {
                    id: *id,
                    endpoint: endpoint.clone(),
                    at,
                });
                // A person vouched for what was there, not for what has come since.
                self.vouched = false;
            }
            Entry::Moved {
                to,
                reason,
                owner,
                due,
                ..
            } => {
                self.state = *to;
                self.reason = reason.clone();
                self.owner = owner.clone();
                (self.entered_at, self.due, self.breached) = (at, *due, false);
            }
            Entry::Assigned { owner, reason } => {
                self.owner = owner.clone();
                self.routed = (reason == "rule").then(|| owner.clone());
            }
            Entry::Asked { n, model } => {
                self.asks.insert(*n, (model.clone(), true));
                self.ai = Ai::Asked;
            }
            Entry::Answered(a) => self.end_ask(a.n, Ai::said(a.confidence)),
            Entry::AskFailed { n, reason, .. } => self.end_ask(*n, Ai::Failed(reason.clone())),
            Entry::Planned(p) => self.apply_planned(p, at),
            Entry::Approved { n, .. } => self.with_effect(*n, |e| {
                e.approved = true;
                e.state = EffectState::Ready;
            }),
            Entry::Settled { n, state, code, .. } => self.with_effect(*n, |e| {
                e.state = *state;
                e.code = code.clone();
            }),
            Entry::Conflict { n, round, .. } => {
                if let Some(e) = self.effects.get(n) {
                    self.conflicts.insert(e.name.clone(), *round);
                }
            }
            Entry::TaskOpened { .. } | Entry::TaskClosed { .. } => self.apply_task(entry, at),
            Entry::TimerSet { .. }
            | Entry::TimerEnded { .. }
            | Entry::Sla { .. }
            | Entry::Goal { .. } => self.apply_clock(entry, at),
            Entry::NotEvaluated { .. } => self.unevaluated = true,
            Entry::Decided(_)
            | Entry::LeftOut { .. }
            | Entry::FieldsSet { .. }
            | Entry::Rule { .. }
            | Entry::TableRow { .. }
            | Entry::TableMiss { .. }
            | Entry::Refused { .. }
            | Entry::Control { .. } => {}
        }
    }

    fn apply_clock(&mut self, entry: &Entry, at: i64) {
        match entry {
            Entry::TimerSet { n, kind, due } => {
                self.timers.insert(*n, (*kind, *due));
                self.timer_count = self.timer_count.max(*n);
                if *kind == TimerKind::Goal {
                    self.goal = GoalClock::Running { due: *due };
                }
            }
            Entry::TimerEnded { n, fired } => match self.timers.remove(n) {
                Some((TimerKind::Goal, due)) if !fired => {
                    self.goal = GoalClock::Still { left: due - at };
                }
                _ => {}
            },
            Entry::Goal { met: true, due } => {
                let left = due - at;
                self.goal = GoalClock::Met { due: *due, left };
            }
            Entry::Goal { met: false, due } => self.goal = GoalClock::Missed { due: *due },
            Entry::Sla { met, .. } => self.breached = !met,
            _ => {}
        }
    }

    fn apply_planned(&mut self, p: &Planned, at: i64) {
        self.effects.insert(
            p.n,
            CaseEffect {
                name: p.name.clone(),
                action: p.action,
                class: p.class,
                verdict: p.verdict,
                line: p.line,
                digest: p.digest,
                state: p.state,
                args: None,
                approved: false,
                replaces: p.replaces,
                code: String::new(),
                planned_at: at,
                vendor_ref: None,
            },
        );
    }

    fn apply_task(&mut self, entry: &Entry, at: i64) {
        match entry {
            Entry::TaskOpened {
                n,
                kind,
                owner,
                reason,
                due,
                effect,
            } => {
                let task = CaseTask {
                    kind: kind.clone(),
                    owner: owner.clone(),
                    reason: reason.clone(),
                    due: *due,
                    effect: *effect,
                    closed: None,
                    opened_at: at,
                };
                self.tasks.insert(*n, task);
            }
            Entry::TaskClosed { n, decision, .. } => {
                if let Some(t) = self.tasks.get_mut(n) {
                    t.closed = Some(decision.clone());
                    let vouched = matches!(decision.as_str(), "approve" | "edit")
                        && matches!(t.kind.as_str(), "review" | "missing");
                    self.vouched |= vouched;
                    self.unevaluated &= !vouched;
                }
            }
            _ => {}
        }
    }

    /// Applies one fact of a body.
    pub(crate) fn apply_fact(&mut self, fact: Fact) {
        match fact {
            Fact::Seed(seed) => self.seed = seed,
            Fact::Origin(key) => self.origin = key,
            Fact::Set(name, field) => {
                self.record.insert(name, field);
            }
            Fact::Args(n, args) => self.with_effect(n, |e| e.args = Some(args)),
            Fact::Proposal(value) => {
                if let Ai::Answered { proposal, .. } = &mut self.ai {
                    *proposal = Some(value);
                }
            }
            Fact::Seen { n, version, values } => {
                if let Some(e) = self.effects.get(&n) {
                    let seen = Seen { version, values };
                    self.seen.insert(e.name.clone(), seen);
                }
            }
            Fact::VendorRef(n, r) => self.with_effect(n, |e| e.vendor_ref = Some(r)),
            Fact::Key(key) => self.keys.push(key),
            Fact::Message(event) => self.message = Some(event),
            Fact::Note(_) => {}
        }
    }

    /// What came of an ask. It counts unless the model was asked anew meanwhile.
    fn end_ask(&mut self, n: u32, ai: Ai) {
        if let Some(ask) = self.asks.get_mut(&n) {
            ask.1 = false;
        }
        if !self.asked_since(n) {
            self.ai = ai;
        }
    }

    fn with_effect(&mut self, n: u32, change: impl FnOnce(&mut CaseEffect)) {
        if let Some(e) = self.effects.get_mut(&n) {
            change(e);
        }
    }

    /// Applies what comes once per turn: counters, times, the chain.
    pub(crate) fn apply_head(&mut self, head: &Head) {
        self.seq = head.seq;
        self.updated_at = head.at;
        self.correlation.clone_from(&head.correlation);
        self.definition = head.definition;
    }
}

/// Folds a whole journal into the case. Entries come first and facts after, turn by turn, exactly as
/// `decide` applied them. A journal whose bodies are erased folds from its heads alone.
pub fn fold(tenant: TenantId, id: CaseId, journal: &[Sealed]) -> Result<Case, JournalError> {
    let mut case = Case::new(tenant, id, 0);
    for sealed in journal {
        fold_one(&mut case, sealed)?;
    }
    Ok(case)
}

/// Folds the next turn into a case.
pub fn fold_one(case: &mut Case, sealed: &Sealed) -> Result<(), JournalError> {
    let (head, body) = open(sealed)?;
    if head.seq != case.seq + 1
        || head.prev != case.last_leaf
        || leaf_hash(&sealed.head) != sealed.leaf
    {
        return Err(JournalError::Chain { seq: sealed.seq });
    }
    let readable = body.is_some();
    apply_turn(case, &head, body);
    if readable {
        verify_body(sealed, &head, &case.seed)?;
    }
    case.last_leaf = sealed.leaf;
    Ok(())
}

fn apply_turn(case: &mut Case, head: &Head, body: Option<Body>) {
    case.apply_head(head);
    for entry in &head.entries {
        case.apply_entry(entry, head.at);
    }
    for fact in body.into_iter().flat_map(|b| b.facts) {
        case.apply_fact(fact);
    }
}
