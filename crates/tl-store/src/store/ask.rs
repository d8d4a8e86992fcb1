//! One function per question, so that callers get the type they asked for.

use std::collections::{BTreeMap, BTreeSet};

use tl_kernel::digest::Digest;
use tl_kernel::id::{CaseId, EffectId, EventId, TenantId};
use tl_kernel::journal::Sealed;
use tl_kernel::turn::StoredEvent;

use super::Store;
use crate::contract::{
    AccountRow, Attempt, BundleRow, CaseFilter, CaseRow, Checkpoint, DuplicateRow, EffectFilter,
    EffectRow, GateRows, Line, NodeRow, OutboxMessage, RecordWrite, SessionRow, Stats, Suppression,
    TaskFilter, TaskRow, TimerRow, TreeRow,
};
use crate::error::StoreError;
use crate::read::Reader;

macro_rules! questions {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $ty:ty),*) -> $out:ty = $call:expr;)*) => {
        impl Store {
            $(
                $(#[$doc])*
                pub async fn $name(&self, $($arg: $ty),*) -> Result<$out, StoreError> {
                    self.read(move |r| $call(r)).await
                }
            )*
        }
    };
}

questions! {
    /// All tenants but the reserved one, by number.
    tenants() -> Vec<(TenantId, String)> = Reader::tenants;
    /// What the gate of a tenant consists of, in one consistent view.
    gate(tenant: TenantId) -> GateRows = |r: &Reader| r.gate(tenant);
    /// The epoch of every gate that ever moved, by tenant; the installation's stands under the reserved tenant.
    gates() -> BTreeMap<TenantId, u64> = Reader::gates;
    /// Every node that was ever registered, by number.
    nodes() -> Vec<NodeRow> = Reader::nodes;
    /// A deployed bundle with its files.
    bundle(tenant: TenantId, number: u32) -> Option<BundleRow> = |r: &Reader| r.bundle(tenant, number);
    /// All bundles of a tenant, newest first, without files.
    bundles(tenant: TenantId) -> Vec<BundleRow> = |r: &Reader| r.bundles(tenant);
    /// The journal of a case in order; of `CaseId::CONTROL` the control stream.
    journal(tenant: TenantId, case: CaseId) -> Vec<Sealed> = |r: &Reader| r.journal(tenant, case);
    /// The derived row of a case.
    case(tenant: TenantId, case: CaseId) -> Option<CaseRow> = |r: &Reader| r.case(tenant, case);
    /// Cases, newest first.
    cases(filter: CaseFilter) -> Vec<CaseRow> = |r: &Reader| r.cases(&filter);
    /// The case that holds the first taken of these natural keys, and the position of that key.
    natural_key(tenant: TenantId, workflow: String, keys: Vec<Digest>) -> Option<(CaseId, u32)> =
        |r: &Reader| r.natural_key(tenant, &workflow, &keys);
    /// The event that holds the first known of these dedupe keys of an endpoint at `now` (µs), and the digest of its
    /// payload; zeros once the payload is erased.
    known_event(tenant: TenantId, endpoint: String, keys: Vec<Digest>, now: i64) -> Option<(EventId, Digest)> =
        |r: &Reader| r.known_event(tenant, (&endpoint, &keys), now);
    /// Events of a case with payloads, in the order of their acceptance.
    events(tenant: TenantId, case: CaseId) -> Vec<(TenantId, StoredEvent)> = |r: &Reader| r.events(tenant, case);
    /// One event with its payload.
    event(tenant: TenantId, event: EventId) -> Option<(TenantId, StoredEvent)> =
        |r: &Reader| r.event(tenant, event);
    /// Events accepted without a case yet, oldest first: after a position, each with its own, at most so many.
    pending_joins(after: u64, limit: u32) -> Vec<(u64, TenantId, StoredEvent)> =
        |r: &Reader| r.pending_page((after, limit));
    /// Effects that somebody must take up at `now` (µs): first those in flight that must be looked after, oldest first;
    /// then those that may be sent, one per serial key and none whose key is held. Lines share the limit, and of each at
    /// least one is found; those of `but` are left out.
    to_take_up(now: i64, limit: u32, but: BTreeSet<Line>) -> Vec<EffectRow> =
        |r: &Reader| r.to_take_up(now, limit, &but);
    /// Since when the oldest effect of each tenant may be sent that nobody has taken at `now`, µs.
    backlog(now: i64) -> BTreeMap<TenantId, i64> = |r: &Reader| r.backlog(now);
    /// One effect.
    effect(tenant: TenantId, effect: EffectId) -> Option<EffectRow> = |r: &Reader| r.effect(tenant, effect);
    /// Effects, newest case first.
    effects(filter: EffectFilter) -> Vec<EffectRow> = |r: &Reader| r.effects(&filter);
    /// Finished attempts of an effect, in order.
    attempts(tenant: TenantId, effect: EffectId) -> Vec<Attempt> = |r: &Reader| r.attempts(tenant, effect);
    /// Timers that are due at `now` (µs), earliest first.
    due_timers(now: i64, limit: u32) -> Vec<TimerRow> = |r: &Reader| r.due_timers(now, limit);
    /// When the next timer, ready effect or look-up is due, µs.
    next_due() -> Option<i64> = Reader::next_due;
    /// Tasks, what is due first at the top.
    tasks(filter: TaskFilter) -> Vec<TaskRow> = |r: &Reader| r.tasks(&filter);
    /// The newest version of a record.
    record(tenant: TenantId, kind: String, id: String) -> Option<RecordWrite> =
        |r: &Reader| r.record(tenant, &kind, &id);
    /// All versions of a record, newest first.
    record_history(tenant: TenantId, kind: String, id: String) -> Vec<RecordWrite> =
        |r: &Reader| r.record_history(tenant, &kind, &id);
    /// Messages of the outbox, newest first: of one case or of all.
    outbox(tenant: TenantId, case: Option<CaseId>, limit: u32) -> Vec<OutboxMessage> =
        |r: &Reader| r.outbox(tenant, case, limit);
    /// How many uses of a limit are taken in the window that starts at `window` (µs).
    slots_taken(tenant: TenantId, action: String, subject: Digest, window: i64) -> u64 =
        |r: &Reader| r.slots_taken(tenant, (&action, &subject, window));
    /// The suppressions of an address, by its keyed digest.
    suppressed(tenant: TenantId, subject: Digest) -> Vec<Suppression> = |r: &Reader| r.suppressed(tenant, &subject);
    /// Suppressions, newest first, at most so many.
    suppressions(tenant: TenantId, limit: u32) -> Vec<Suppression> = |r: &Reader| r.suppressions(tenant, limit);
    /// The saved answer of an API command: fingerprint of its request, HTTP status, body.
    idempotent(tenant: TenantId, principal: String, key: String) -> Option<(Digest, u16, Vec<u8>)> =
        |r: &Reader| r.idempotent(tenant, &principal, &key);
    /// Turns in commit order after a position, at most so many, of one tenant or all, with or without bodies.
    turns(after: u64, limit: u32, tenant: Option<TenantId>, bodies: bool) -> Vec<(u64, TenantId, CaseId, Sealed)> =
        |r: &Reader| r.turns((after, limit), tenant, bodies);
    /// Accounts of a tenant: the one of a name, or all of them by name.
    accounts(tenant: TenantId, name: Option<String>) -> Vec<AccountRow> =
        |r: &Reader| r.accounts(tenant, name.as_deref());
    /// The session of a token's digest, ended or not.
    session(tenant: TenantId, token: Digest) -> Option<SessionRow> = |r: &Reader| r.session(tenant, &token);
    /// When the oldest open case of a workflow in each state was opened, µs.
    oldest_open(tenant: TenantId, workflow: String) -> Vec<(u16, i64)> =
        |r: &Reader| r.oldest_open(tenant, &workflow);
    /// How far a tenant's tree has come.
    tree(tenant: TenantId) -> TreeRow = |r: &Reader| r.tree(tenant);
    /// Leaves of a tenant's tree from a position on, at most so many.
    leaves(tenant: TenantId, from: u64, limit: u32) -> Vec<Digest> = |r: &Reader| r.leaves(tenant, from, limit);
    /// Signed checkpoints, newest first.
    checkpoints(tenant: TenantId, limit: u32) -> Vec<Checkpoint> = |r: &Reader| r.checkpoints(tenant, limit);
    /// How far a follower has come; 0 when it never ran.
    cursor(tenant: TenantId, name: String) -> i64 = |r: &Reader| r.cursor(tenant, &name);
    /// Duplicates of an event.
    duplicates(tenant: TenantId, event: EventId) -> DuplicateRow = |r: &Reader| r.duplicates(tenant, event);
    /// The newest engine time that is stored, µs; `None` in a fresh database.
    newest_instant() -> Option<i64> = Reader::newest_instant;
    /// Counts for `status` and metrics; ages are taken at `now` (µs).
    stats(now: i64) -> Stats = |r: &Reader| r.stats(now);
}
