//! Deciding: what one input causes for one case.
//!
//! `decide` is a function of its arguments. While it works, every entry and fact it produces is applied to
//! a working copy of the case by the same functions that `fold` uses, so that what was decided and what a
//! replay sees cannot differ.

mod branch;
mod command;
mod event;
mod merge;
mod plan;
mod reword;
mod scope;
mod settle;
mod task;
mod timer;
mod triage;

use std::collections::BTreeMap;

use crate::case::Case;
use crate::digest::Digest;
use crate::effect::EffectState;
use crate::gate::Switch;
use crate::id::{EventId, TenantId};
use crate::journal::{
    Actor, Answered, Body, BodyWriter, Entry, Fact, HEAD_VERSION, Head, TimerKind, seal, seal_bytes,
};
use crate::limits::MAX_TURNS;
use crate::policy::Policy;
use crate::program::{Emit, Program, StateIx};
use crate::time::DAY;
use crate::turn::{CaseHead, Decision, EffectWrite, Refusal, TaskWrite, TimerWrite, Turn};
use crate::value::{Field, Label, Record, Source, Value};

pub use event::{NOTHING_DONE, link_kid, map_event, natural_key_digests};
pub use merge::theirs;
pub use scope::CaseScope;

/// Everything `decide` knows beside the case and the input. Current values, not pinned ones.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// Engine time, µs.
    pub now: i64,
    /// The tenant.
    pub tenant: TenantId,
    /// Key of the tenant's keyed digests.
    pub tenant_key: &'a [u8],
    /// Number of the bundle a new case is pinned to, or the case's own.
    pub definition: u32,
    /// Number of the bundle whose policy is current.
    pub policy_number: u32,
    /// The current policy.
    pub policy: &'a Policy,
    /// The threshold in force.
    pub threshold: f64,
    /// Feature flags as the workflow sees them.
    pub flags: &'a BTreeMap<String, bool>,
    /// Switches in force for the tenant, the installation's included.
    pub switches: &'a [Switch],
    /// The message this case was last about, as expressions see it: `event`.
    pub event: Option<&'a Value>,
    /// Where one-time links of the tenant begin; none where the installation does not know its public address.
    pub links: Option<&'a str>,
    /// Where effects may be born dispatching: the node, its epoch, and how many send slots were reserved.
    pub sender: Option<Sender>,
}

/// A node with reserved send slots.
#[derive(Debug, Clone, Copy)]
pub struct Sender {
    /// Node id.
    pub node: u32,
    /// Its epoch.
    pub epoch: u64,
    /// Slots reserved.
    pub slots: u32,
    /// The tenant suppresses addresses: what a connector is asked to send goes past the list first.
    pub suppresses: bool,
}

/// What may happen to a case.
#[derive(Debug, Clone)]
pub enum Input {
    /// A message was admitted: it opens the case, or joins it.
    EventAdmitted(Admitted),
    /// A model answered.
    ModelAnswered(ModelAnswer),
    /// A model gave no usable answer: `off`, `kill:SCOPE`, `dry_run:SCOPE`, `failed`, `refused`, `invalid`, `timeout`.
    ModelFailed {
        /// Number of the ask.
        n: u32,
        /// Why.
        reason: String,
        /// What it said, where it said something that could not be used.
        said: Option<Box<Answered>>,
    },
    /// A person decided a task.
    TaskDecided(TaskDecision),
    /// An effect reached the end of its life, or needs a person.
    EffectSettled(Settlement),
    /// A timer is due.
    TimerFired {
        /// Which.
        n: u32,
    },
    /// A person commands.
    Command(Command),
}

/// An admitted message.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// Its id.
    pub id: EventId,
    /// The door.
    pub endpoint: String,
    /// Key id of the secret that verified it.
    pub kid: String,
    /// Which key rule gave its dedupe key.
    pub key_source: String,
    /// Its strongest dedupe key.
    pub origin: Digest,
    /// A fresh 16-byte seed, used when it opens a case.
    pub seed: [u8; 16],
    /// Position of the natural key that joined it.
    pub matched_key: Option<u8>,
}

/// A model's typed proposal.
#[derive(Debug, Clone)]
pub struct ModelAnswer {
    /// What the head records.
    pub answered: Answered,
    /// Fields proposed: name, value, confidence in thousandths, byte span in the text.
    pub fields: Vec<ProposedField>,
    /// Other parts of the proposal (summary, draft, label scores), for the case page.
    pub proposal: Value,
    /// Draft of the message named by `ai_step.draft`.
    pub draft: Option<String>,
}

/// One proposed field.
#[derive(Debug, Clone, PartialEq)]
pub struct ProposedField {
    /// Field name.
    pub name: String,
    /// Value.
    pub value: Value,
    /// Confidence in thousandths.
    pub confidence: Option<u16>,
    /// Byte span in the text.
    pub span: Option<(u32, u32)>,
}

/// A person's decision about a task.
#[derive(Debug, Clone)]
pub struct TaskDecision {
    /// The task's number.
    pub n: u32,
    /// Who.
    pub by: Actor,
    /// `approve`, `edit`, `reject`, `accept`, `close`.
    pub decision: String,
    /// Reason code, required.
    pub reason: String,
    /// Words beside it.
    pub note: Option<String>,
    /// Fields corrected; of an approval, the subject or the text of its message in other words.
    pub edits: Vec<(String, Value)>,
    /// Digest of what was shown, for an approval.
    pub digest: Option<Digest>,
}

/// What became of an effect.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// The effect's number.
    pub n: u32,
    /// A settled state, or `Uncertain` when a person must look.
    pub state: EffectState,
    /// Attempts made.
    pub attempts: u32,
    /// Error or reason code.
    pub code: String,
    /// How it is known.
    pub evidence: String,
    /// Vendor's name for the result.
    pub vendor_ref: Option<String>,
    /// What the system of record holds now: version, and values where they were read.
    pub seen: Option<(String, Option<Value>)>,
}

/// A person's command about a case.
#[derive(Debug, Clone)]
pub struct Command {
    /// Who.
    pub by: Actor,
    /// Reason code, required.
    pub reason: String,
    /// What.
    pub what: CommandKind,
}

/// What a person may command.
#[derive(Debug, Clone)]
pub enum CommandKind {
    /// Move along a declared edge.
    Move(String),
    /// Close: move to `closed` along a declared edge.
    Close,
    /// Open again: move to `triaged` along a declared edge and decide again.
    Reopen,
    /// Give to a person or team.
    Assign(String),
    /// An uncertain or given-up effect: it happened (the vendor's id), send it again, or drop it.
    Resolve {
        /// The effect.
        n: u32,
        /// What about it.
        how: Resolve,
    },
}

/// How a person resolves an effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolve {
    /// It happened; the vendor's id where it is known.
    Happened(Option<String>),
    /// It did not: send it, with the same id and key.
    SendAgain,
    /// It did not, and shall not.
    Drop,
}

/// Decides one input. `world` is the definition that the case is pinned to.
pub fn decide(world: &Program, case: &Case, input: Input, facts: &Facts<'_>) -> Decision {
    decide_on(world, case.clone(), input, facts)
}

/// As `decide`, for a caller that does not look at the case as it was any more.
pub fn decide_on(world: &Program, case: Case, input: Input, facts: &Facts<'_>) -> Decision {
    let mut d = Deciding::new(world, case, facts);
    let outcome = d.take(input);
    match outcome {
        Ok(()) => {
            let (turn, after) = d.finish();
            Decision::Turn(Box::new(turn), Box::new(after))
        }
        Err(no) => Decision::Refused(d.refuse(no)),
    }
}

/// Why an input is refused.
#[derive(Debug)]
pub(crate) struct No {
    code: &'static str,
    action: String,
    message: String,
}

impl No {
    pub(crate) fn new(code: &'static str, action: impl Into<String>, message: String) -> No {
        No {
            code,
            action: action.into(),
            message,
        }
    }
}

/// The work in progress: a case, and what has been decided about it so far.
pub(crate) struct Deciding<'a> {
    pub(crate) world: &'a Program,
    pub(crate) facts: &'a Facts<'a>,
    pub(crate) case: Case,
    actor: Actor,
    now: i64,
    entries: Vec<Entry>,
    body: BodyWriter,
    /// Fields set so far.
    sets: u32,
    effects: Vec<EffectWrite>,
    tasks: Vec<TaskWrite>,
    timers: Vec<TimerWrite>,
    cancelled: Vec<u32>,
    keys: Vec<Digest>,
    born: u32,
    draft: Option<String>,
    /// A rule asked for a person, with this reason; rules run again before every decision.
    rule_asked: Option<String>,
    /// The case waited for required fields when the input came.
    waited: bool,
    /// What is said now is said again on purpose.
    reminds: bool,
}

impl<'a> Deciding<'a> {
    fn new(world: &'a Program, case: Case, facts: &'a Facts<'a>) -> Self {
        // Time never runs backwards within a case.
        let now = facts.now.max(case.updated_at);
        let waited = case.open_tasks().any(|(_, t)| t.kind == "missing");
        Deciding {
            world,
            facts,
            case,
            actor: Actor::Engine,
            now,
            entries: Vec::new(),
            body: BodyWriter::default(),
            sets: 0,
            effects: Vec::new(),
            tasks: Vec::new(),
            timers: Vec::new(),
            cancelled: Vec::new(),
            keys: Vec::new(),
            born: 0,
            draft: None,
            rule_asked: None,
            waited,
            reminds: false,
        }
    }

    fn take(&mut self, input: Input) -> Result<(), No> {
        if self.case.seq >= MAX_TURNS {
            return Err(No::new(
                "TL0710",
                "turn",
                format!("the case has {MAX_TURNS} turns; close it and open a new one"),
            ));
        }
        match input {
            Input::EventAdmitted(e) => self.on_event(e),
            Input::ModelAnswered(a) => self.on_answer(a),
            Input::ModelFailed { n, reason, said } => self.on_no_answer(n, reason, said),
            Input::TaskDecided(t) => self.on_task(t),
            Input::EffectSettled(s) => self.on_settled(s),
            Input::TimerFired { n } => self.on_timer(n),
            Input::Command(c) => self.on_command(c),
        }?;
        self.goal_made_whole();
        self.stop_waiting_where_answered();
        Ok(())
    }

    /// Records an entry and applies it.
    pub(crate) fn entry(&mut self, entry: Entry) {
        self.case.apply_entry(&entry, self.now);
        self.entries.push(entry);
    }

    /// Records a fact and applies it.
    pub(crate) fn fact(&mut self, fact: Fact) {
        self.sets += u32::from(matches!(fact, Fact::Set(..)));
        self.body.push(&fact);
        self.case.apply_fact(fact);
    }

    /// Sets a field if the value differs. A field declared untrusted keeps that label whatever set it.
    pub(crate) fn set_field(
        &mut self,
        name: &str,
        value: Value,
        label: Label,
        source: Source,
    ) -> bool {
        let Some(def) = self.world.record.field(name) else {
            return false;
        };
        let label = if def.untrusted {
            Label::Untrusted
        } else {
            label
        };
        if self.case.record.get(name).is_some_and(|f| f.value == value) {
            return false;
        }
        let field = Field {
            value,
            label,
            source,
        };
        self.fact(Fact::Set(name.to_owned(), field));
        true
    }

    /// Stamps one of the times of the case, once, where the record declares it.
    pub(crate) fn stamp(&mut self, name: &str) {
        if !self.case.record.contains_key(name) {
            let at = self.now;
            self.set_field(name, Value::Time(at), Label::Config, Source::Engine);
        }
    }

    /// The scope in which conditions see this case.
    pub(crate) fn scope(&self) -> CaseScope<'_> {
        CaseScope::new(self.world, &self.case, self.facts)
    }

    /// Whether the case has waited for required fields and still lacks one: what a person makes of it then is not
    /// what the path is for.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.waited && !self.missing().is_empty()
    }

    /// Required fields that have no value, in file order.
    pub(crate) fn missing(&self) -> Vec<String> {
        missing(self.world, &self.case.record)
    }

    /// Moves the case along a declared edge. False where there is none: nothing changed.
    pub(crate) fn move_to(&mut self, to: StateIx, reason: &str) -> bool {
        let from = self.case.state;
        let Some(edge) = self.world.edge(from, to) else {
            return false;
        };
        let Some(state) = self.world.states.get(usize::from(to)) else {
            return false;
        };
        self.end_stay();
        let owner = edge.owner.as_ref().or(self.case.routed.as_ref());
        let owner = owner.unwrap_or(&state.owner).clone();
        let sla = edge.sla.or(state.sla).filter(|_| !state.terminal);
        let due = sla
            .filter(|_| edge.emit.contains(&Emit::SlaTimer))
            .map(|sla| self.now.saturating_add(sla));
        self.entry(Entry::Moved {
            from,
            to,
            reason: reason.to_owned(),
            owner,
            due,
        });
        if let (Some(due), Some(sla)) = (due, sla) {
            self.start_clock(sla, due, state.warn_at);
        }
        self.goal_clock(from);
        let emit = edge.emit.clone();
        if state.terminal {
            // What was open before the end is withdrawn; what the last edge itself emits is not.
            self.stamp("closed_at");
            self.withdraw_tasks("closed");
            self.withdraw_effects();
        }
        self.emit(&emit);
        true
    }

    fn start_clock(&mut self, sla: i64, due: i64, warn_at: Option<u8>) {
        if let Some(share) = warn_at {
            let warn = self.now + sla / 100 * i64::from(share);
            self.set_timer(TimerKind::Warn, warn);
        }
        self.set_timer(TimerKind::Breach, due);
    }

    pub(crate) fn set_timer(&mut self, kind: TimerKind, due: i64) {
        let n = self.case.timer_count + 1;
        self.entry(Entry::TimerSet { n, kind, due });
        self.timers.push(TimerWrite { n, kind, due });
    }

    /// Ends the SLA clock of the present stay: met iff now ≤ due.
    fn end_stay(&mut self) {
        if let Some(due) = self.case.due.filter(|_| !self.case.breached) {
            let state = self.case.state;
            let met = self.now <= due;
            self.entry(Entry::Sla { state, met, due });
        }
        let open = self.case.timers.iter();
        let open = open.filter(|(_, (kind, _))| kind.is_of_stay());
        let open: Vec<u32> = open.map(|(n, _)| *n).collect();
        for n in open {
            self.end_timer(n);
        }
    }

    /// Ends a timer before it is due.
    pub(crate) fn end_timer(&mut self, n: u32) {
        self.entry(Entry::TimerEnded { n, fired: false });
        // A timer that this same turn set never reached the store.
        let before = self.timers.len();
        self.timers.retain(|t| t.n != n);
        if self.timers.len() == before {
            self.cancelled.push(n);
        }
    }

    /// Seals what was decided into a turn; returns the case after it as well.
    fn finish(mut self) -> (Turn, Case) {
        // The seed stands first in the body, so that a reader has it before it needs it.
        let opening = [Fact::Seed(self.case.seed), Fact::Origin(self.case.origin)];
        let first: &[Fact] = match self.case.seq {
            0 => &opening,
            _ => &[],
        };
        let body = std::mem::take(&mut self.body).finish(first);
        if self.sets > 0 {
            self.entries.push(Entry::FieldsSet { count: self.sets });
        }
        let entries = std::mem::take(&mut self.entries);
        let mut head = self.head(entries);
        let sealed = seal_bytes(&mut head, body, &self.case.seed);
        let entries = head.entries.into();
        let case = &self.case;
        let terminal = self.world.states.get(usize::from(case.state));
        let head = CaseHead {
            state: case.state,
            owner: case.owner.clone(),
            definition: self.facts.definition,
            opened_at: case.opened_at,
            updated_at: self.now,
            due: case.due.filter(|_| !case.breached),
            closed: terminal.is_some_and(|s| s.terminal),
            open_tasks: case.open_tasks().count() as u32,
            open_effects: case.open_effects().count() as u32,
            reason: case.reason.clone(),
            correlation: case.correlation.clone(),
            workflow: self.world.id.clone(),
        };
        let mut after = self.case;
        (after.seq, after.updated_at) = (sealed.seq, self.now);
        (after.definition, after.last_leaf) = (self.facts.definition, sealed.leaf);
        let turn = Turn {
            tenant: after.tenant,
            case: after.id,
            sealed,
            entries,
            head,
            effects: self.effects,
            tasks: self.tasks,
            timers: self.timers,
            timers_cancelled: self.cancelled,
            natural_keys: self.keys,
        };
        (turn, after)
    }

    fn head(&self, entries: Vec<Entry>) -> Head {
        Head {
            v: HEAD_VERSION,
            tenant: self.case.tenant.0,
            case: self.case.id,
            seq: self.case.seq + 1,
            prev: self.case.last_leaf,
            at: self.now,
            actor: self.actor.clone(),
            correlation: self.case.correlation.clone(),
            definition: self.facts.definition,
            policy: self.facts.policy_number,
            entries,
            body: [0; 32],
        }
    }

    /// The refusal, sealed for the tenant's control stream.
    fn refuse(self, no: No) -> Refusal {
        let mut head = self.head(vec![Entry::Refused {
            action: no.action,
            code: no.code.to_owned(),
        }]);
        (head.seq, head.prev) = (0, [0; 32]);
        Refusal {
            code: no.code,
            message: no.message,
            sealed: seal(head, &Body::default(), &self.case.seed),
        }
    }
}

/// Required fields that have no value, in file order.
pub fn missing(world: &Program, record: &Record) -> Vec<String> {
    world
        .record
        .fields
        .iter()
        .filter(|f| f.required && record.get(&f.name).is_none_or(|v| v.value.is_blank()))
        .map(|f| f.name.clone())
        .collect()
}

/// Start of the window that holds an instant, for limits: windows are aligned to the epoch.
pub fn window_start(now: i64, window: i64) -> i64 {
    now - now.rem_euclid(window.max(DAY / 86_400))
}
