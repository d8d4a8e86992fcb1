//! What can be asked of the store, and the rows it answers with.

use tl_kernel::digest::Digest;
use tl_kernel::effect::{Class, EffectState};
use tl_kernel::id::{CaseId, EffectId, EventId, TaskId, TenantId};
use tl_kernel::journal::{Sealed, TimerKind};
use tl_kernel::turn::{CaseHead, EffectKind, StoredEvent};

use super::{AccountRow, Attempt, Checkpoint, OutboxMessage, RecordWrite, SessionRow, Suppression};

/// What waits in one line: a tenant's effects on one connection, whose name is empty for the built-in ones.
pub type Line = (TenantId, String);

/// A question to the store.
#[derive(Debug, Clone)]
pub enum Query {
    /// All tenants but the reserved one of the installation.
    Tenants,
    /// Gate view of a tenant: switches (the installation's included), flags, epochs, secrets, API keys,
    /// current bundles.
    Gate(TenantId),
    /// A deployed bundle's files.
    Bundle(TenantId, u32),
    /// All bundles of a tenant, newest first, without files.
    Bundles(TenantId),
    /// The journal of a case.
    Journal(TenantId, CaseId),
    /// The derived row of a case.
    Case(TenantId, CaseId),
    /// Cases, newest first.
    Cases(CaseFilter),
    /// The case that holds the first taken of these natural keys.
    NaturalKey(TenantId, String, Vec<Digest>),
    /// The event that holds the first known of these dedupe keys of an endpoint at an instant, µs.
    KnownEvent(TenantId, String, Vec<Digest>, i64),
    /// Events of a case with payloads, oldest first.
    Events(TenantId, CaseId),
    /// One event with its payload.
    Event(TenantId, EventId),
    /// Events accepted without a case yet.
    PendingJoins(u32),
    /// Effects that may be sent now: ready and due, oldest first, asks included; one per serial key.
    Candidates {
        /// Engine time, µs.
        now: i64,
        /// At most so many, which lines share; at least one of each.
        limit: u32,
    },
    /// Effects whose attempt has passed its deadline or whose node is gone, uncertain ones due for a look-up, and
    /// accepted ones whose call-back is overdue.
    Stale {
        /// Engine time, µs.
        now: i64,
        /// At most so many, which lines share; at least one of each.
        limit: u32,
    },
    /// One effect.
    Effect(TenantId, EffectId),
    /// Effects of a tenant, newest first.
    Effects(EffectFilter),
    /// Finished attempts of an effect.
    Attempts(TenantId, EffectId),
    /// Timers that are due, earliest first.
    DueTimers {
        /// Engine time, µs.
        now: i64,
        /// At most so many.
        limit: u32,
    },
    /// When the next timer, ready effect or look-up is due, µs. Effects behind a busy serial key do not count:
    /// the commit that frees them wakes the engine.
    NextDue,
    /// Tasks.
    Tasks(TaskFilter),
    /// One record.
    Record(TenantId, String, String),
    /// Versions of a record, newest first.
    RecordHistory(TenantId, String, String),
    /// Messages of the outbox, newest first.
    Outbox(TenantId, Option<CaseId>, u32),
    /// How many uses of a limit are taken in a window.
    SlotsTaken(TenantId, String, Digest, i64),
    /// Suppressions, newest first, at most so many.
    Suppressions(TenantId, u32),
    /// The saved answer of an API command.
    Idempotent(TenantId, String, String),
    /// Turns in commit order after a position, across cases, for the audit follower and exports.
    Turns {
        /// After this commit position.
        after: u64,
        /// At most so many.
        limit: u32,
        /// Of one tenant only.
        tenant: Option<TenantId>,
        /// With bodies.
        bodies: bool,
    },
    /// How far a tenant's tree has come.
    Tree(TenantId),
    /// Leaves of a tenant's tree.
    Leaves {
        /// The tenant.
        tenant: TenantId,
        /// Position of the first one, from 0.
        from: u64,
        /// At most so many.
        limit: u32,
    },
    /// Signed checkpoints of a tenant, newest first.
    Checkpoints(TenantId, u32),
    /// How far a follower has come; 0 when it never ran.
    Cursor(TenantId, String),
    /// Duplicates of an event.
    Duplicates(TenantId, EventId),
    /// Accounts of a tenant: the one of a name, or all of them by name.
    Accounts(TenantId, Option<String>),
    /// The session of a token's digest.
    Session(TenantId, Digest),
    /// When the oldest open case of a workflow in each state was opened.
    OldestOpen(TenantId, String),
    /// The newest engine time that is stored.
    NewestInstant,
    /// Counts for `status` and `/metrics`.
    Stats {
        /// Engine time, µs.
        now: i64,
    },
}

/// Which cases.
#[derive(Debug, Clone, Default)]
pub struct CaseFilter {
    /// Of one tenant.
    pub tenant: Option<TenantId>,
    /// In one state, by position.
    pub state: Option<u16>,
    /// Open, or closed.
    pub closed: Option<bool>,
    /// Of one workflow.
    pub workflow: Option<String>,
    /// Opened before this case (cursor).
    pub before: Option<CaseId>,
    /// At most so many; 0 = 50.
    pub limit: u32,
}

/// Which effects.
#[derive(Debug, Clone, Default)]
pub struct EffectFilter {
    /// Of one tenant.
    pub tenant: Option<TenantId>,
    /// Of one case.
    pub case: Option<CaseId>,
    /// In these states; empty = all.
    pub states: Vec<EffectState>,
    /// At most so many; 0 = 50.
    pub limit: u32,
}

/// Which tasks.
#[derive(Debug, Clone, Default)]
pub struct TaskFilter {
    /// Of one tenant.
    pub tenant: Option<TenantId>,
    /// Of one case.
    pub case: Option<CaseId>,
    /// Owned by one of these; empty = anybody.
    pub owners: Vec<String>,
    /// Closed ones too.
    pub closed: bool,
    /// At most so many; 0 = 50.
    pub limit: u32,
}

/// An answer of the store, one variant per question.
#[derive(Debug, Clone)]
pub enum Reply {
    /// `Tenants`.
    Tenants(Vec<(TenantId, String)>),
    /// `Gate`.
    Gate(Box<GateRows>),
    /// `Bundle`.
    Bundle(Option<BundleRow>),
    /// `Bundles`.
    Bundles(Vec<BundleRow>),
    /// `Journal`.
    Journal(Vec<Sealed>),
    /// `Case`.
    Case(Option<CaseRow>),
    /// `Cases`.
    Cases(Vec<CaseRow>),
    /// `NaturalKey`.
    NaturalKey(Option<(CaseId, u32)>),
    /// `KnownEvent`, with the digest of its payload.
    KnownEvent(Option<(EventId, Digest)>),
    /// `Events`, `Event`, `PendingJoins`.
    Events(Vec<(TenantId, StoredEvent)>),
    /// `Candidates`, `Stale`, `Effect`, `Effects`.
    Effects(Vec<EffectRow>),
    /// `Attempts`.
    Attempts(Vec<Attempt>),
    /// `DueTimers`.
    Timers(Vec<TimerRow>),
    /// `NextDue`.
    NextDue(Option<i64>),
    /// `Tasks`.
    Tasks(Vec<TaskRow>),
    /// `Record`, `RecordHistory`.
    Records(Vec<RecordWrite>),
    /// `Outbox`.
    Outbox(Vec<OutboxMessage>),
    /// `SlotsTaken`.
    Count(u64),
    /// `Suppressions`.
    Suppressions(Vec<Suppression>),
    /// `Idempotent`: fingerprint, status, body.
    Idempotent(Option<(Digest, u16, Vec<u8>)>),
    /// `Turns`: commit position, tenant, case, turn.
    Turns(Vec<(u64, TenantId, CaseId, Sealed)>),
    /// `Tree`.
    Tree(TreeRow),
    /// `Leaves`.
    Leaves(Vec<Digest>),
    /// `Checkpoints`.
    Checkpoints(Vec<Checkpoint>),
    /// `Cursor`.
    Cursor(i64),
    /// `Duplicates`.
    Duplicates(DuplicateRow),
    /// `Accounts`.
    Accounts(Vec<AccountRow>),
    /// `Session`.
    Session(Option<SessionRow>),
    /// `OldestOpen`: state and instant (µs), by state.
    OldestOpen(Vec<(u16, i64)>),
    /// `NewestInstant`, µs; `None` in a fresh database.
    NewestInstant(Option<i64>),
    /// `Stats`.
    Stats(Box<Stats>),
}

/// What the gate of a tenant consists of.
#[derive(Debug, Clone, Default)]
pub struct GateRows {
    /// Epoch of the tenant's gate row.
    pub tenant_epoch: u64,
    /// Epoch of the installation's gate row.
    pub installation_epoch: u64,
    /// Switches in force: scope, mode, by, reason, at; the installation's first.
    pub switches: Vec<SwitchRow>,
    /// Flags: name, value, of the installation (true) or the tenant (false).
    pub flags: Vec<(String, bool, bool)>,
    /// Secrets of the tenant's endpoints.
    pub secrets: Vec<SecretRow>,
    /// Endpoints closed by an operator.
    pub disabled: Vec<String>,
    /// API keys.
    pub api_keys: Vec<ApiKeyRow>,
    /// Some address is suppressed.
    pub suppresses: bool,
    /// Workflow id → number of its current bundle.
    pub current: Vec<(String, u32)>,
}

/// A switch in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwitchRow {
    /// Whose: `TenantId::SYSTEM` for the installation.
    pub tenant: TenantId,
    /// Scope, as in `Row::Switch`.
    pub scope: String,
    /// `hold`, `cancel`, `dry-run`.
    pub mode: String,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When, µs.
    pub at: i64,
}

/// A secret of an endpoint.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretRow {
    /// The door.
    pub endpoint: String,
    /// Key id.
    pub kid: String,
    /// Sealed bytes.
    pub sealed: Vec<u8>,
    /// Active from, µs.
    pub not_before: i64,
    /// Active until, µs.
    pub not_after: Option<i64>,
}

impl std::fmt::Debug for SecretRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretRow({}/{})", self.endpoint, self.kid)
    }
}

/// An API key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyRow {
    /// Key id.
    pub kid: String,
    /// Keyed digest of the secret part.
    pub hash: Digest,
    /// Scopes, space separated.
    pub scopes: String,
    /// Not valid after, µs.
    pub expires: Option<i64>,
}

/// A deployed bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleRow {
    /// Number within the tenant.
    pub number: u32,
    /// Workflow id.
    pub workflow: String,
    /// Author's version text.
    pub version: String,
    /// Digest of the files.
    pub digest: Digest,
    /// CBOR map path → bytes; empty in lists.
    pub files: Vec<u8>,
    /// Deployed, µs.
    pub at: i64,
    /// It is the current one.
    pub current: bool,
}

/// The derived row of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseRow {
    /// The tenant.
    pub tenant: TenantId,
    /// The case.
    pub case: CaseId,
    /// Length of its journal.
    pub seq: u32,
    /// The rest.
    pub head: CaseHead,
}

/// A row of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectRow {
    /// The tenant.
    pub tenant: TenantId,
    /// The effect.
    pub effect: EffectId,
    /// Effect or ask.
    pub kind: EffectKind,
    /// Workflow id of its case.
    pub workflow: String,
    /// Number of the bundle its case is pinned to.
    pub definition: u32,
    /// Correlation id of its case.
    pub correlation: String,
    /// Action name, or the model's for an ask.
    pub action: String,
    /// Connection name.
    pub connection: String,
    /// Guarantee class.
    pub class: Class,
    /// Where it stands.
    pub state: EffectState,
    /// Not before, µs.
    pub due: i64,
    /// Not after, µs.
    pub valid_until: i64,
    /// Why it waits.
    pub hold: String,
    /// CBOR of the arguments.
    pub args: Vec<u8>,
    /// Keyed digest of what an approver sees.
    pub digest: Digest,
    /// What the vendor sees as idempotency key.
    pub key: Digest,
    /// Base version of a conditional write.
    pub base_version: Option<String>,
    /// Attempts begun.
    pub attempt: u32,
    /// Node, epoch and deadline (µs) of the attempt on its way.
    pub claim: Option<(u32, u64, i64)>,
    /// First byte of the first attempt, µs.
    pub first_send: Option<i64>,
    /// Planned, µs.
    pub planned_at: i64,
    /// Last change, µs.
    pub updated_at: i64,
    /// Error or reason code of the last attempt.
    pub code: String,
    /// Vendor's name for the result.
    pub vendor_ref: Option<String>,
    /// Crashes counted so far.
    pub crashes: u32,
}

/// A timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimerRow {
    /// The tenant.
    pub tenant: TenantId,
    /// The case.
    pub case: CaseId,
    /// Number within the case.
    pub n: u32,
    /// What it is for.
    pub kind: TimerKind,
    /// When it is due, µs.
    pub due: i64,
}

/// A task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRow {
    /// The tenant.
    pub tenant: TenantId,
    /// The task.
    pub task: TaskId,
    /// Correlation id of its case.
    pub correlation: String,
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
    /// Opened, µs.
    pub opened_at: i64,
    /// Closed: when (µs) and how.
    pub closed: Option<(i64, String)>,
}

/// How far a tenant's tree has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TreeRow {
    /// Leaves placed.
    pub size: u64,
    /// Commit position of the last leaf's turn.
    pub after: u64,
    /// As the follower left it.
    pub frontier: Vec<u8>,
}

/// A node of the installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRow {
    /// Its number.
    pub id: u32,
    /// How often it was started or taken over.
    pub epoch: u64,
    /// Until when it may write, by the database's clock, µs; the past for one that ended.
    pub lease_until: i64,
}

/// Duplicates of an event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DuplicateRow {
    /// How many were seen.
    pub count: u64,
    /// Those that differed: digest of their bytes, and when (µs).
    pub variants: Vec<(Digest, i64)>,
}

/// Counts for `status` and `/metrics`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stats {
    /// Cases by tenant, workflow and state: count.
    pub cases: Vec<(TenantId, String, u16, u64)>,
    /// Open cases by tenant, workflow and state: age of the oldest in µs.
    pub cases_oldest: Vec<(TenantId, String, u16, i64)>,
    /// Effects not settled, by tenant, action and state: count, age of the oldest in µs.
    pub effects_open: Vec<(TenantId, String, EffectState, u64, i64)>,
    /// Effects by class and state: count.
    pub effects: Vec<(Class, EffectState, u64)>,
    /// Open tasks by tenant and kind: count, age of the oldest in µs.
    pub tasks: Vec<(TenantId, String, u64, i64)>,
    /// Timers set: count, lateness of the most overdue in µs.
    pub timers: (u64, i64),
    /// Events accepted.
    pub events: u64,
    /// Events accepted that have not come to a case yet: count, age of the oldest in µs.
    pub events_pending: (u64, i64),
    /// Duplicates seen.
    pub duplicates: u64,
    /// Turns in the journal and leaves placed in trees.
    pub turns: u64,
    /// Leaves placed.
    pub leaves: u64,
    /// Size of the database in bytes.
    pub bytes: u64,
}
