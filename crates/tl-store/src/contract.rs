//! The contract between the product and a database: data in, data out.
//!
//! A unit is committed whole or not at all; many units share one transaction and its sync; each gets its own
//! answer. Guards compare numbers; the store knows no policy.

use tl_kernel::digest::Digest;
use tl_kernel::effect::EffectState;
use tl_kernel::id::{CaseId, EffectId, EventId, TenantId};
use tl_kernel::journal::Sealed;
use tl_kernel::turn::{StoredEvent, Turn};

mod people;
mod query;

pub use people::*;
pub use query::*;

/// The turns and rows of one tenant that belong together.
#[derive(Debug, Clone)]
pub struct Unit {
    /// The tenant all of it belongs to.
    pub tenant: TenantId,
    /// What must still be true when the unit is applied.
    pub guards: Vec<Guard>,
    /// Turns of cases. Each carries the sequence number it expects to be; a lost race refuses the unit.
    pub turns: Vec<Turn>,
    /// Turns of the control stream.
    pub control: Vec<Sealed>,
    /// Everything else.
    pub rows: Vec<Row>,
}

impl Unit {
    /// A unit without content.
    pub fn new(tenant: TenantId) -> Unit {
        Unit {
            tenant,
            guards: Vec::new(),
            turns: Vec::new(),
            control: Vec::new(),
            rows: Vec::new(),
        }
    }
}

/// What must still be true when a unit is applied. Checked in the transaction, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guard {
    /// None of these dedupe keys is known at the endpoint. A key whose life ended before the unit's event was
    /// received counts as free. On refusal, the keys of the guard that are still free become aliases of the
    /// event found: the one thing that a refused unit writes.
    KeysFree {
        /// The door.
        endpoint: String,
        /// The keys, the strongest first.
        keys: Vec<Digest>,
    },
    /// No case of the workflow holds any of these natural keys.
    NaturalKeysFree {
        /// Workflow id.
        workflow: String,
        /// Keyed digests.
        keys: Vec<Digest>,
    },
    /// Switches, flags, suppression and policies are as they were read.
    GateAt {
        /// Epoch of the tenant's gate row.
        tenant: u64,
        /// Epoch of the installation's gate row.
        installation: u64,
    },
    /// The effect is in this state at this attempt.
    EffectAt {
        /// Which.
        effect: EffectId,
        /// Expected state.
        state: EffectState,
        /// Expected attempt number.
        attempt: u32,
    },
    /// The record has this version; 0 = it does not exist.
    RecordAt {
        /// Record type.
        kind: String,
        /// Record id.
        id: String,
        /// Expected version.
        version: u64,
    },
    /// The n-th use of a limit in a window is still free; the unit takes it.
    Slot {
        /// Action name.
        action: String,
        /// Keyed digest of what the limit counts over.
        subject: Digest,
        /// Start of the window, µs.
        window: i64,
        /// Which use, from 1.
        n: u32,
    },
    /// The node still holds its epoch.
    NodeAt {
        /// Node id.
        node: u32,
        /// Its epoch.
        epoch: u64,
    },
}

/// Rows that a unit writes beside its turns.
#[derive(Debug, Clone)]
pub enum Row {
    /// An accepted message with its dedupe keys; `expires` in µs.
    Event {
        /// The message.
        event: StoredEvent,
        /// Its dedupe keys, the strongest first.
        keys: Vec<Digest>,
        /// Keys may be dropped after this instant, µs.
        expires: i64,
    },
    /// A duplicate was seen: the counter of the event goes up; a differing body is kept as a digest.
    Variant {
        /// The event that was there.
        event: EventId,
        /// Digest of the differing bytes.
        body: Option<Digest>,
        /// Seen, µs.
        at: i64,
    },
    /// A change of a ledger row by the deliverer. Its `from`/`attempt` are guards of their own.
    Effect(EffectChange),
    /// A finished attempt, as evidence.
    Attempt(Attempt),
    /// A message to a person, readable through the outbox.
    Outbox(OutboxMessage),
    /// A write to the built-in record store. Pair it with `Guard::RecordAt`.
    Record(RecordWrite),
    /// A switch: set, or cleared when `mode` is `None`. Raises the gate epoch.
    Switch {
        /// `everything`, `tenant`, `workflow:ID`, `action:NAME`, `connection:NAME`, `model:NAME`.
        scope: String,
        /// `hold`, `cancel`, `dry-run`.
        mode: Option<String>,
        /// Who.
        by: String,
        /// Why.
        reason: String,
        /// When, µs.
        at: i64,
    },
    /// A feature flag: set, or removed when `value` is `None`. Raises the gate epoch.
    Flag {
        /// Name.
        name: String,
        /// Value.
        value: Option<bool>,
    },
    /// An address to which nothing is sent from now on; a later row replaces an earlier one. Raises the gate epoch.
    Suppressed(Suppression),
    /// The address may be written to again. Raises the gate epoch.
    Unsuppressed {
        /// Keyed digest of channel and address.
        subject: Digest,
        /// What its owner has said, or what somebody here has decided.
        by_owner: bool,
    },
    /// A deployed bundle; becomes the current version of its workflow. Raises the gate epoch.
    Deploy {
        /// Number within the tenant; the caller takes the next one, a lost race refuses the unit.
        number: u32,
        /// Workflow id.
        workflow: String,
        /// Author's version text.
        version: String,
        /// Digest of the files.
        digest: Digest,
        /// The files, as one CBOR map path → bytes.
        files: Vec<u8>,
        /// When, µs.
        at: i64,
    },
    /// Makes an earlier bundle current again. Raises the gate epoch.
    Rollback {
        /// Workflow id.
        workflow: String,
        /// Which bundle.
        number: u32,
    },
    /// A tenant. Its id is the unit's tenant; the caller takes the next one.
    Tenant {
        /// Name, lower-case letters, digits and `-`.
        name: String,
        /// When, µs.
        at: i64,
    },
    /// A secret of an endpoint. Raises the gate epoch.
    Secret {
        /// The door.
        endpoint: String,
        /// Key id.
        kid: String,
        /// The secret's bytes, sealed by the caller.
        sealed: Vec<u8>,
        /// Active from, µs.
        not_before: i64,
        /// Active until, µs.
        not_after: Option<i64>,
        /// Who created it.
        by: String,
    },
    /// Shortens a secret's life. Raises the gate epoch.
    SecretEnds {
        /// The door.
        endpoint: String,
        /// Key id.
        kid: String,
        /// Active until, µs.
        not_after: i64,
    },
    /// An endpoint is closed or opened by an operator. Raises the gate epoch.
    EndpointDisabled {
        /// The door.
        endpoint: String,
        /// Closed.
        disabled: bool,
    },
    /// An API key. Raises the gate epoch.
    ApiKey {
        /// Key id, the visible prefix.
        kid: String,
        /// Keyed digest of the secret part.
        hash: Digest,
        /// Scopes, space separated.
        scopes: String,
        /// Not valid after, µs.
        expires: Option<i64>,
        /// Who created it.
        by: String,
        /// When, µs.
        at: i64,
    },
    /// An API key ends. Raises the gate epoch.
    ApiKeyEnds {
        /// Key id.
        kid: String,
        /// When, µs.
        at: i64,
    },
    /// Accounts of people and the sessions in which they are signed in.
    People(People),
    /// The saved answer of an API command.
    Idempotent {
        /// Principal: key id.
        principal: String,
        /// The Idempotency-Key.
        key: String,
        /// Fingerprint of the request.
        fingerprint: Digest,
        /// HTTP status.
        status: u16,
        /// Body, byte for byte.
        body: Vec<u8>,
        /// May be dropped after this instant, µs.
        expires: i64,
    },
    /// The event of a pending join now belongs to a case.
    EventJoined {
        /// The event.
        event: EventId,
        /// The case.
        case: CaseId,
    },
    /// The event belongs to no case: what it said was done at the door.
    EventApart {
        /// The event.
        event: EventId,
    },
    /// Leaves that the audit follower appends to the tenant's tree; a lost race refuses the unit.
    Placed {
        /// Position of the first leaf, from 0: the size of the tree so far.
        pos: u64,
        /// The leaves, in commit order.
        leaves: Vec<Digest>,
        /// Commit position of the last leaf's turn.
        after: u64,
        /// What the follower needs to go on after a restart (hashes of the complete subtrees).
        frontier: Vec<u8>,
    },
    /// A signed size and root of the tenant's tree.
    Checkpoint(Checkpoint),
    /// How far a follower has come. Never moves back.
    Cursor {
        /// Whose.
        name: String,
        /// Where it is.
        value: i64,
    },
    /// Drops what has expired in one of 256 parts of the tenant's keys, so that one pass never takes long.
    Sweep {
        /// Which part.
        part: u8,
        /// Engine time, µs.
        now: i64,
        /// Uses of limits in windows that began before this instant may go, µs.
        slots_before: i64,
    },
}

/// An address to which nothing is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suppression {
    /// Keyed digest of channel and address.
    pub subject: Digest,
    /// Its owner has said so; else somebody here has decided it.
    pub by_owner: bool,
    /// `sms` or `email`.
    pub channel: String,
    /// The address: E.164, or e-mail in lower case.
    pub address: String,
    /// Who wrote it down: an operator, or the door through which its owner said it.
    pub by: String,
    /// Why: `stop` where the owner said so.
    pub reason: String,
    /// Since, µs.
    pub at: i64,
}

/// A change of a ledger row by the deliverer. Absent options leave the column as it is. A change within a state
/// that is not settled (another due time, another hold) is allowed.
///
/// Changes of effects that are already in the ledger apply before the turns of their unit, so that a turn sees
/// an attempt that ended; changes of effects that the unit itself plans apply after.
#[derive(Debug, Clone)]
pub struct EffectChange {
    /// Which.
    pub effect: EffectId,
    /// Expected state and attempt; else the unit is refused with `EffectMoved`.
    pub from: (EffectState, u32),
    /// New state.
    pub to: EffectState,
    /// New attempt number.
    pub attempt: u32,
    /// Not before, µs.
    pub due: i64,
    /// Why it waits: `retry`, `quiet_hours`, `kill:SCOPE`, or before its connection `connection`, `retry_budget`,
    /// `breaker`, `throttled`, `vendor_pause`, `credential`, `permission`; empty when it does not.
    pub hold: String,
    /// Node and epoch that send it, and the attempt's deadline µs; for `Dispatching`.
    pub claim: Option<(u32, u64, i64)>,
    /// First byte of the first attempt, µs; set once.
    pub first_send: Option<i64>,
    /// Base version of the conditional write, made durable before the write.
    pub base_version: Option<String>,
    /// Error or reason code.
    pub code: String,
    /// Vendor's name for the result.
    pub vendor_ref: Option<String>,
    /// Crashes counted so far.
    pub crashes: u32,
    /// When, µs.
    pub at: i64,
}

/// A finished attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The effect.
    pub effect: EffectId,
    /// Number from 1.
    pub n: u32,
    /// Begun, µs.
    pub at: i64,
    /// Duration, µs.
    pub took: i64,
    /// `not_sent`, `not_processed`, `unknown`, `answered`.
    pub knowledge: String,
    /// HTTP status, 0 without one.
    pub status: u16,
    /// Error code, empty on success.
    pub code: String,
    /// One line for a person; no payload, no secret.
    pub detail: String,
}

/// A message in the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxMessage {
    /// The effect that sent it.
    pub effect: EffectId,
    /// `email`, `sms` or `event`.
    pub channel: String,
    /// Recipient.
    pub to: String,
    /// Subject, empty for text messages.
    pub subject: String,
    /// Text.
    pub text: String,
    /// When, µs.
    pub at: i64,
}

/// A write to the built-in record store: a new version of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordWrite {
    /// Record type.
    pub kind: String,
    /// Record id.
    pub id: String,
    /// The new version (expected version + 1).
    pub version: u64,
    /// The whole record as JSON text.
    pub body: Vec<u8>,
    /// JSON text: field → {by, at, source}.
    pub provenance: Vec<u8>,
    /// Who wrote: a key id, `engine`, a person.
    pub by: String,
    /// When, µs.
    pub at: i64,
    /// Idempotency key of the write, so that a repeat is recognised.
    pub key: Option<Digest>,
}

/// A signed statement about a tenant's tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Number of leaves.
    pub size: u64,
    /// Root hash.
    pub root: Digest,
    /// Signature over the checkpoint's text.
    pub sig: Vec<u8>,
    /// When, µs.
    pub at: i64,
}

/// What became of a unit.
pub type CommitAnswer = Result<Committed, Refused>;

/// A committed unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    /// The store's commit counter after the group that held it.
    pub group: u64,
}

/// Why a unit was not applied. Nothing of it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A dedupe key is known.
    #[error("duplicate of {event}")]
    Duplicate {
        /// The event that has it.
        event: EventId,
        /// SHA-256 of the payload that is there, to tell a variant.
        payload: Digest,
    },
    /// A case holds a natural key.
    #[error("{case} holds natural key {index}")]
    NaturalKeyTaken {
        /// The case.
        case: CaseId,
        /// Position of the key in the guard.
        index: u32,
    },
    /// Another turn of the case came first.
    #[error("{case} has moved on")]
    CaseMoved {
        /// The case.
        case: CaseId,
    },
    /// A switch, a flag, a secret or a policy changed.
    #[error("the gate has moved")]
    GateMoved,
    /// The effect is elsewhere.
    #[error("{effect} has moved on")]
    EffectMoved {
        /// The effect.
        effect: EffectId,
    },
    /// The record has another version.
    #[error("the record has version {version}")]
    RecordMoved {
        /// The version it has; 0 = it does not exist.
        version: u64,
    },
    /// The use of a limit is taken.
    #[error("the limit's slot is taken")]
    SlotTaken,
    /// The node lost its lease.
    #[error("this node's lease has lapsed")]
    Fenced,
    /// Another unresolved effect holds the serial key.
    #[error("another write to the same target is unresolved")]
    Serial,
    /// Another tenant or bundle took the number.
    #[error("the number is taken; {next} is the next one")]
    NumberTaken {
        /// The next free number.
        next: u32,
    },
    /// A tenant or key of this name is there.
    #[error("the name is taken")]
    NameTaken,
    /// The Idempotency-Key was used; the saved answer can be read.
    #[error("the idempotency key was used")]
    KeyUsed,
    /// The tenant's tree has another size.
    #[error("the tree has {size} leaves")]
    TreeMoved {
        /// The size it has.
        size: u64,
    },
    /// The unit itself cannot be stored; its neighbours were.
    #[error("TL0601 the unit cannot be stored (error {id}): {why}")]
    Faulty {
        /// Error id, in the log beside the database's own words.
        id: u64,
        /// Kind of fault, without values.
        why: String,
    },
    /// The store cannot make anything durable now. Whether the unit was applied shows when its keys are read
    /// again: a failed sync does not say.
    #[error("TL0602 the store cannot commit: {why}")]
    Unavailable {
        /// Why.
        why: String,
    },
}
