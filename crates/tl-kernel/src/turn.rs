//! What one input causes: the closed list of everything the kernel can bring about.

use std::sync::Arc;

use crate::case::Case;
use crate::digest::Digest;
use crate::effect::{Class, EffectState};
use crate::id::{CaseId, EventId, TenantId};
use crate::journal::{Entry, Sealed, TimerKind};
use crate::program::StateIx;

/// The result of deciding.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// The case goes on: what is to be committed, and the case after it, equal to what a fold of the turn gives.
    Turn(Box<Turn>, Box<Case>),
    /// Nothing changes; the refusal itself is recorded in the control stream.
    Refused(Refusal),
}

/// Something asked for and refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Error code `TLnnnn`.
    pub code: &'static str,
    /// What happened, and what to do next.
    pub message: String,
    /// The head that records it, sealed for the control stream.
    pub sealed: Sealed,
}

/// Everything one input causes for one case.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// The tenant.
    pub tenant: TenantId,
    /// The case.
    pub case: CaseId,
    /// The journal entry; `sealed.seq` is the case's new length.
    pub sealed: Sealed,
    /// What was decided, in order, as the head has it.
    pub entries: Arc<[Entry]>,
    /// The case as lists show it.
    pub head: CaseHead,
    /// Ledger rows to add or change.
    pub effects: Vec<EffectWrite>,
    /// Tasks to add or change.
    pub tasks: Vec<TaskWrite>,
    /// Timers to set.
    pub timers: Vec<TimerWrite>,
    /// Timers to remove, by number.
    pub timers_cancelled: Vec<u32>,
    /// Natural keys that the case takes, if still free.
    pub natural_keys: Vec<Digest>,
}

/// The derived row of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseHead {
    /// Where it is.
    pub state: StateIx,
    /// Whose it is.
    pub owner: String,
    /// Number of the pinned bundle in the tenant.
    pub definition: u32,
    /// Opened, µs.
    pub opened_at: i64,
    /// Last turn, µs.
    pub updated_at: i64,
    /// When the present stay breaches its SLA, µs.
    pub due: Option<i64>,
    /// In a terminal state.
    pub closed: bool,
    /// Tasks that are open.
    pub open_tasks: u32,
    /// Effects that are not settled, uncertain ones included.
    pub open_effects: u32,
    /// Reason code of the last move.
    pub reason: String,
    /// Correlation id.
    pub correlation: String,
    /// Workflow id.
    pub workflow: String,
}

/// What kind of ledger row: an effect, or a question to a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EffectKind {
    /// A change in the outside world.
    Effect,
    /// A model call.
    Ask,
}

/// A change of the ledger.
#[derive(Debug, Clone, PartialEq)]
pub enum EffectWrite {
    /// A new row.
    Plan(Box<EffectPlan>),
    /// A row's new state.
    Change {
        /// Which.
        n: u32,
        /// From; the store refuses the unit when the row is elsewhere.
        from: EffectState,
        /// To.
        to: EffectState,
        /// Not before, µs.
        due: i64,
        /// Error or reason code.
        code: String,
    },
    /// A ready row shall not be sent any more: its `valid_until` becomes 0, so that the gate expires it; a
    /// row that is on its way or settled is left alone. Never refuses the unit.
    Withdraw {
        /// Which.
        n: u32,
    },
}

/// A new row of the ledger.
#[derive(Debug, Clone, PartialEq)]
pub struct EffectPlan {
    /// Number within the case, from 1.
    pub n: u32,
    /// Effect or ask.
    pub kind: EffectKind,
    /// Name of the action, or of the model for an ask.
    pub action: String,
    /// Name of the connection, empty for the built-in ones. Switches and breakers work on it.
    pub connection: String,
    /// Guarantee class.
    pub class: Class,
    /// `Planned`, `Ready` or `Dispatching`.
    pub state: EffectState,
    /// Not before, µs.
    pub due: i64,
    /// Not after, µs.
    pub valid_until: i64,
    /// CBOR of the arguments (`Value`).
    pub args: Vec<u8>,
    /// Keyed digest of everything an approver sees.
    pub digest: Digest,
    /// What the vendor sees as idempotency key.
    pub key: Digest,
    /// Base version of a conditional write, where it is known before a read.
    pub base_version: Option<String>,
    /// At most one unresolved effect per tenant and serial key.
    pub serial_key: Option<Digest>,
    /// For an effect born dispatching: the node's id and epoch, and the attempt's deadline (µs).
    pub born: Option<Born>,
}

/// The first attempt of an effect that is dispatched by the turn that plans it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Born {
    /// The node that sends it.
    pub node: u32,
    /// The node's epoch.
    pub epoch: u64,
    /// The attempt counts as uncertain after this, µs.
    pub deadline: i64,
}

/// A change of a task's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskWrite {
    /// A new task.
    Open {
        /// Number within the case, from 1.
        n: u32,
        /// `review`, `approve`, `missing`, `hand_off`, `exception`.
        kind: String,
        /// Person or team.
        owner: String,
        /// Reason code.
        reason: String,
        /// When it should be done, µs.
        due: Option<i64>,
        /// The effect it is about.
        effect: Option<u32>,
    },
    /// A task ends.
    Close {
        /// Which.
        n: u32,
        /// How: see `Entry::TaskClosed`.
        decision: String,
    },
    /// A task gets another owner.
    Assign {
        /// Which.
        n: u32,
        /// The new owner.
        owner: String,
    },
}

/// A timer to set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimerWrite {
    /// Number within the case, from 1.
    pub n: u32,
    /// What it is for.
    pub kind: TimerKind,
    /// When it fires, µs.
    pub due: i64,
}

/// An accepted message as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its id.
    pub id: EventId,
    /// The door.
    pub endpoint: String,
    /// Received, µs.
    pub received_at: i64,
    /// Key id of the secret that verified it.
    pub kid: String,
    /// Which of the key rules gave the dedupe key.
    pub key_source: String,
    /// The case it belongs to; `None` while its join is pending.
    pub case: Option<CaseId>,
    /// Content type as received.
    pub content_type: String,
    /// The raw bytes.
    pub payload: Vec<u8>,
}
