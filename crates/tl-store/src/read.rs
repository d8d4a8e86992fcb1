//! The reading half of a connection: one function per question, each a consistent view of what is committed. Each
//! statement stands here once, in the part of SQL that the engines share.

pub(crate) mod across;
mod ledger;
mod lists;
mod newest;
mod nodes;
mod people;
mod settings;
mod stats;

use std::collections::BTreeSet;

use tl_kernel::digest::{Digest, sha256};
use tl_kernel::id::{CaseId, EventId, TenantId};
use tl_kernel::journal::{Sealed, leaf_hash};
use tl_kernel::turn::{CaseHead, StoredEvent};

use crate::backend::Source;
use crate::contract::{
    CaseRow, Checkpoint, DuplicateRow, OutboxMessage, Query, RecordWrite, Reply, TreeRow,
};
use crate::error::StoreError;
use crate::keys::{Joined, short_key};
use crate::packed::Unpacked;
use crate::value::{Fields, Outside, Val, vals};
use crate::{postgres, sqlite};

/// Answers questions. A result is never older than the last commit that was acknowledged before the question.
#[derive(Debug)]
pub struct Reader {
    pub(crate) source: Source,
}

/// The answer to one question.
type Answer<T> = Result<T, StoreError>;

impl Reader {
    pub(crate) fn new(source: Source) -> Reader {
        Reader { source }
    }

    /// All rows of a statement.
    fn rows<T>(
        &self,
        sql: &str,
        params: &[Val<'_>],
        mut read: impl FnMut(&Fields<'_>) -> Answer<T>,
    ) -> Answer<Vec<T>> {
        let mut all = Vec::new();
        match &self.source {
            Source::Sqlite(s) => sqlite::ask(s.conn(), sql, params, |r| {
                all.push(read(r)?);
                Ok(())
            })?,
            Source::Postgres(p) => p.ask(sql, params, |r| {
                all.push(read(r)?);
                Ok(())
            })?,
        }
        Ok(all)
    }

    /// The only row of a statement, if there is one.
    fn row<T>(
        &self,
        sql: &str,
        params: &[Val<'_>],
        read: impl FnMut(&Fields<'_>) -> Answer<T>,
    ) -> Answer<Option<T>> {
        Ok(self.rows(sql, params, read)?.pop())
    }

    /// As `rows`, of tables with payload: a tenant's alone.
    fn rows_of<T>(
        &self,
        tenant: TenantId,
        (sql, params): (&str, &[Val<'_>]),
        read: impl FnMut(&Fields<'_>) -> Answer<T>,
    ) -> Answer<Vec<T>> {
        let key = [(tenant, params.to_vec())];
        let answers = self.each(sql, &key, read)?;
        Ok(answers.into_iter().flatten().collect())
    }

    /// Runs a statement once per key, over tables with payload: each key with the tenant that it belongs to.
    fn each<T>(
        &self,
        sql: &str,
        keys: &[(TenantId, Vec<Val<'_>>)],
        mut read: impl FnMut(&Fields<'_>) -> Answer<T>,
    ) -> Answer<Vec<Vec<T>>> {
        match &self.source {
            Source::Sqlite(_) => keys
                .iter()
                .map(|(_, key)| self.rows(sql, key, &mut read))
                .collect(),
            Source::Postgres(_) if keys.is_empty() => Ok(Vec::new()),
            Source::Postgres(p) => {
                let answers = p.each(sql, keys)?;
                answers
                    .iter()
                    .map(|rows| rows.iter().map(|r| read(&Fields::Postgres(r))).collect())
                    .collect()
            }
        }
    }

    /// Runs several statements so that they see the same commit, and of tables with payload the tenant's rows.
    fn at_once<T>(&self, tenant: TenantId, ask: impl FnOnce() -> Answer<T>) -> Answer<T> {
        match &self.source {
            Source::Sqlite(s) => {
                let tx = s.conn().unchecked_transaction()?;
                let answer = ask();
                tx.finish()?;
                answer
            }
            Source::Postgres(p) => p.at_once(tenant, ask),
        }
    }

    /// Answers any question.
    pub fn query(&self, query: Query) -> Answer<Reply> {
        Ok(match query {
            Query::Tenants => Reply::Tenants(self.tenants()?),
            Query::Gate(t) => Reply::Gate(Box::new(self.gate(t)?)),
            Query::Bundle(t, number) => Reply::Bundle(self.bundle(t, number)?),
            Query::Bundles(t) => Reply::Bundles(self.bundles(t)?),
            Query::Journal(t, case) => Reply::Journal(self.journal(t, case)?),
            Query::Case(t, case) => Reply::Case(self.case(t, case)?),
            Query::Cases(filter) => Reply::Cases(self.cases(&filter)?),
            Query::NaturalKey(t, workflow, keys) => {
                Reply::NaturalKey(self.natural_key(t, &workflow, &keys)?)
            }
            Query::KnownEvent(t, endpoint, keys, now) => {
                Reply::KnownEvent(self.known_event(t, (&endpoint, &keys), now)?)
            }
            Query::Events(t, case) => Reply::Events(self.events(t, case)?),
            Query::Event(t, event) => Reply::Events(self.event(t, event)?.into_iter().collect()),
            Query::PendingJoins(limit) => Reply::Events(self.pending_joins(limit)?),
            Query::Candidates { now, limit } => {
                Reply::Effects(self.candidates(now, limit, &BTreeSet::new())?)
            }
            Query::Stale { now, limit } => {
                Reply::Effects(self.stale(now, limit, &BTreeSet::new())?)
            }
            Query::Effect(t, effect) => {
                Reply::Effects(self.effect(t, effect)?.into_iter().collect())
            }
            Query::Effects(filter) => Reply::Effects(self.effects(&filter)?),
            Query::Attempts(t, effect) => Reply::Attempts(self.attempts(t, effect)?),
            Query::DueTimers { now, limit } => Reply::Timers(self.due_timers(now, limit)?),
            Query::NextDue => Reply::NextDue(self.next_due()?),
            Query::Tasks(filter) => Reply::Tasks(self.tasks(&filter)?),
            Query::Record(t, kind, id) => {
                Reply::Records(self.record(t, &kind, &id)?.into_iter().collect())
            }
            Query::RecordHistory(t, kind, id) => {
                Reply::Records(self.record_history(t, &kind, &id)?)
            }
            Query::Outbox(t, case, limit) => Reply::Outbox(self.outbox(t, case, limit)?),
            Query::SlotsTaken(t, action, subject, window) => {
                Reply::Count(self.slots_taken(t, (&action, &subject, window))?)
            }
            Query::Suppressions(t, limit) => Reply::Suppressions(self.suppressions(t, limit)?),
            Query::Idempotent(t, principal, key) => {
                Reply::Idempotent(self.idempotent(t, &principal, &key)?)
            }
            Query::Turns {
                after,
                limit,
                tenant,
                bodies,
            } => Reply::Turns(self.turns((after, limit), tenant, bodies)?),
            Query::Tree(t) => Reply::Tree(self.tree(t)?),
            Query::Leaves {
                tenant,
                from,
                limit,
            } => Reply::Leaves(self.leaves(tenant, from, limit)?),
            Query::Checkpoints(t, limit) => Reply::Checkpoints(self.checkpoints(t, limit)?),
            Query::Cursor(t, name) => Reply::Cursor(self.cursor(t, &name)?),
            Query::Duplicates(t, event) => Reply::Duplicates(self.duplicates(t, event)?),
            Query::Accounts(t, name) => Reply::Accounts(self.accounts(t, name.as_deref())?),
            Query::Session(t, token) => Reply::Session(self.session(t, &token)?),
            Query::OldestOpen(t, workflow) => Reply::OldestOpen(self.oldest_open(t, &workflow)?),
            Query::NewestInstant => Reply::NewestInstant(self.newest_instant()?),
            Query::Stats { now } => Reply::Stats(Box::new(self.stats(now)?)),
        })
    }

    /// The journal of a case in order; of `CaseId::CONTROL` the control stream of the tenant.
    pub fn journal(&self, tenant: TenantId, case: CaseId) -> Answer<Vec<Sealed>> {
        let sql = "SELECT t.seq, t.head, b.body FROM turn t \
                   LEFT JOIN turn_body b ON b.ord = t.ord AND b.tenant = t.tenant \
                   WHERE t.tenant = ?1 AND t.case_id = ?2 ORDER BY t.seq";
        self.rows_of(tenant, (sql, &vals![tenant.0, case.0]), |r| {
            sealed(case, (r.get(0)?, r.get(1)?, r.get(2)?))
        })
    }

    /// The derived row of a case.
    pub fn case(&self, tenant: TenantId, case: CaseId) -> Answer<Option<CaseRow>> {
        let sql = format!("{CASE} WHERE tenant = ?1 AND case_id = ?2");
        self.row(&sql, &vals![tenant.0, case.0], case_row)
    }

    /// The case that holds the first taken of these natural keys of a workflow, and the position of that key.
    pub fn natural_key(
        &self,
        tenant: TenantId,
        workflow: &str,
        keys: &[Digest],
    ) -> Answer<Option<(CaseId, u32)>> {
        let sql = "SELECT case_id FROM natural_key WHERE tenant = ?1 AND key = ?2";
        for (index, key) in (0..).zip(keys) {
            let key = short_key(workflow, key);
            if let Some(case) = self.row(sql, &vals![tenant.0, key], |r| r.get(0))? {
                return Ok(Some((CaseId(case), index)));
            }
        }
        Ok(None)
    }

    /// The event that holds the first known of an endpoint's dedupe keys at an instant (µs), and the digest of its
    /// payload; zeros once the payload is erased.
    pub fn known_event(
        &self,
        tenant: TenantId,
        (endpoint, keys): (&str, &[Digest]),
        now: i64,
    ) -> Answer<Option<(EventId, Digest)>> {
        let sql = "SELECT e.id, b.payload FROM dedupe d \
                   JOIN event e ON e.ord = d.event AND e.tenant + 0 = d.tenant \
                   LEFT JOIN event_body b ON b.ord = d.event AND b.tenant = d.tenant \
                   WHERE d.tenant = ?1 AND d.key = ?2 AND d.expires > ?3";
        for key in keys {
            let wanted = vals![tenant.0, short_key(endpoint, key), now];
            let found = self.rows_of(tenant, (sql, &wanted), |r| {
                let payload: Option<Vec<u8>> = r.get(1)?;
                Ok((
                    EventId(r.get(0)?),
                    payload.map_or([0; 32], |p| sha256(&[&p])),
                ))
            })?;
            if let Some(found) = found.into_iter().next() {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Events of a case with payloads, in the order of their acceptance.
    pub fn events(&self, tenant: TenantId, case: CaseId) -> Answer<Vec<(TenantId, StoredEvent)>> {
        let own = format!("{EVENT} WHERE e.tenant = ?1 AND e.id = ?2 AND e.joined = 1");
        let mut all = self.rows_of(tenant, (&own, &vals![tenant.0, case.0]), event_row)?;
        let attached = format!("{EVENT} WHERE e.tenant = ?1 AND e.case_id = ?2 ORDER BY e.ord");
        all.extend(self.rows_of(tenant, (&attached, &vals![tenant.0, case.0]), event_row)?);
        Ok(all)
    }

    /// One event with its payload.
    pub fn event(
        &self,
        tenant: TenantId,
        event: EventId,
    ) -> Answer<Option<(TenantId, StoredEvent)>> {
        let sql = format!("{EVENT} WHERE e.tenant = ?1 AND e.id = ?2");
        let all = self.rows_of(tenant, (&sql, &vals![tenant.0, event.0]), event_row)?;
        Ok(all.into_iter().next())
    }

    /// Events accepted without a case yet, oldest first.
    pub fn pending_joins(&self, limit: u32) -> Answer<Vec<(TenantId, StoredEvent)>> {
        let page = self.pending_page((0, limit))?;
        Ok(page.into_iter().map(|(_, t, event)| (t, event)).collect())
    }

    /// The same after a position, each with its own, at most so many.
    pub fn pending_page(&self, page: (u64, u32)) -> Answer<Vec<(u64, TenantId, StoredEvent)>> {
        let heads: Vec<(u64, u32, [u8; 16])> =
            self.rows(PENDING, &vals![page.0.cast_signed(), page.1], |r| {
                Ok((r.get(0)?, r.get(1)?, r.get(2)?))
            })?;
        let keys: Vec<_> = heads
            .iter()
            .map(|(_, tenant, id)| (TenantId(*tenant), vals![*tenant, *id].to_vec()))
            .collect();
        let sql = format!("{EVENT} WHERE e.tenant = ?1 AND e.id = ?2");
        let events = self.each(&sql, &keys, event_row)?;
        let found = heads.iter().zip(events);
        let found = found.flat_map(|((ord, ..), events)| {
            events
                .into_iter()
                .map(|(tenant, event)| (*ord, tenant, event))
        });
        Ok(found.collect())
    }

    /// Duplicates of an event.
    pub fn duplicates(&self, tenant: TenantId, event: EventId) -> Answer<DuplicateRow> {
        let sql = "SELECT ord, duplicates FROM event WHERE tenant = ?1 AND id = ?2";
        let found: Option<(i64, i64)> = self.row(sql, &vals![tenant.0, event.0], |r| {
            Ok((r.get(0)?, r.get(1)?))
        })?;
        let Some((ord, count)) = found else {
            return Ok(DuplicateRow::default());
        };
        let sql =
            "SELECT body, at FROM event_variant WHERE tenant = ?1 AND event = ?2 ORDER BY at, body";
        Ok(DuplicateRow {
            count: count.unsigned_abs(),
            variants: self.rows(sql, &vals![tenant.0, ord], |r| Ok((r.get(0)?, r.get(1)?)))?,
        })
    }

    /// The newest version of a record.
    pub fn record(&self, tenant: TenantId, kind: &str, id: &str) -> Answer<Option<RecordWrite>> {
        let sql = format!("{RECORD} LIMIT 1");
        let key = vals![tenant.0, kind, id.as_bytes()];
        Ok(self.rows_of(tenant, (&sql, &key), record_row)?.pop())
    }

    /// All versions of a record, newest first.
    pub fn record_history(
        &self,
        tenant: TenantId,
        kind: &str,
        id: &str,
    ) -> Answer<Vec<RecordWrite>> {
        let key = vals![tenant.0, kind, id.as_bytes()];
        self.rows_of(tenant, (RECORD, &key), record_row)
    }

    /// Messages of the outbox, newest first: of one case or of all.
    pub fn outbox(
        &self,
        tenant: TenantId,
        case: Option<CaseId>,
        limit: u32,
    ) -> Answer<Vec<OutboxMessage>> {
        let mut params = vals![tenant.0, limit].to_vec();
        let mut which = "";
        if let Some(case) = case {
            which = "AND o.case_id = ?3";
            params.push(case.0.into());
        }
        let sql = format!(
            "SELECT o.case_id, o.n, o.channel, b.recipient, b.subject, b.body, o.at FROM outbox o \
             JOIN outbox_body b ON b.ord = o.ord AND b.tenant = o.tenant \
             WHERE o.tenant = ?1 {which} ORDER BY o.ord DESC LIMIT ?2"
        );
        self.rows_of(tenant, (&sql, &params), |r| {
            Ok(OutboxMessage {
                effect: ledger::effect_id(r, 0)?,
                channel: r.get(2)?,
                to: outside(r, 3)?,
                subject: outside(r, 4)?,
                text: outside(r, 5)?,
                at: r.get(6)?,
            })
        })
    }

    /// How many uses of a limit (action, subject, start of the window in µs) are taken.
    pub fn slots_taken(&self, tenant: TenantId, limit: (&str, &Digest, i64)) -> Answer<u64> {
        let sql = "SELECT COUNT(*) FROM slot WHERE tenant = ?1 AND begins = ?2 AND action = ?3 AND subject = ?4";
        let key = vals![tenant.0, limit.2, limit.0, limit.1];
        Ok(self.row(sql, &key, |r| r.get(0))?.unwrap_or(0))
    }

    /// The saved answer of an API command: fingerprint of its request, HTTP status, body.
    pub fn idempotent(
        &self,
        tenant: TenantId,
        principal: &str,
        key: &str,
    ) -> Answer<Option<(Digest, u16, Vec<u8>)>> {
        let sql = "SELECT fingerprint, status, body FROM idempotent \
                   WHERE tenant = ?1 AND principal = ?2 AND key = ?3";
        let key = vals![tenant.0, principal, key.as_bytes()];
        let mut found = self.rows_of(tenant, (sql, &key), |r| {
            Ok((r.get(0)?, r.get(1)?, r.get(2)?))
        })?;
        Ok(found.pop())
    }

    /// Turns in commit order (after a position, at most so many), with or without bodies, of one tenant or all.
    pub fn turns(
        &self,
        page: (u64, u32),
        tenant: Option<TenantId>,
        bodies: bool,
    ) -> Answer<Vec<(u64, TenantId, CaseId, Sealed)>> {
        let mut params = vals![page.0.cast_signed(), page.1].to_vec();
        let mut which = "";
        if let Some(tenant) = tenant {
            // The plus keeps to the order of `ord`: by the index on the tenant every page would read and sort all of
            // the tenant's turns.
            which = "AND +tenant = ?3";
            params.push(tenant.0.into());
        }
        let settled = match &self.source {
            Source::Sqlite(_) => "",
            Source::Postgres(_) => postgres::SETTLED,
        };
        let mut turns = self.rows(&turns_sql(which, settled), &params, |r| {
            let case = CaseId(r.get(2)?);
            let turn = sealed(case, (r.get(3)?, r.get(4)?, None))?;
            Ok((r.get(0)?, TenantId(r.get(1)?), case, turn))
        })?;
        if bodies {
            let keys: Vec<_> = turns
                .iter()
                .map(|(ord, tenant, ..): &(u64, TenantId, CaseId, Sealed)| {
                    (*tenant, vals![ord.cast_signed(), tenant.0].to_vec())
                })
                .collect();
            let sql = "SELECT body FROM turn_body WHERE ord = ?1 AND tenant = ?2";
            let found = self.each(sql, &keys, |r| r.get::<Unpacked>(0))?;
            for (turn, mut body) in turns.iter_mut().zip(found) {
                turn.3.body = body.pop().map(|b| b.0);
            }
        }
        Ok(turns)
    }

    /// How far a tenant's tree has come.
    pub fn tree(&self, tenant: TenantId) -> Answer<TreeRow> {
        let sql = "SELECT size, after, frontier FROM tree WHERE tenant = ?1";
        let row = self.row(sql, &vals![tenant.0], |r| {
            Ok(TreeRow {
                size: r.get(0)?,
                after: r.get(1)?,
                frontier: r.get(2)?,
            })
        })?;
        Ok(row.unwrap_or_default())
    }

    /// Leaves of a tenant's tree from a position on, at most so many.
    pub fn leaves(&self, tenant: TenantId, from: u64, limit: u32) -> Answer<Vec<Digest>> {
        let to = from.saturating_add(u64::from(limit));
        let sql = "SELECT pos, leaves FROM placed WHERE tenant = ?1 AND pos >= COALESCE((SELECT MAX(pos) \
                   FROM placed WHERE tenant = ?1 AND pos <= ?2), 0) AND pos < ?3 ORDER BY pos";
        let range = vals![tenant.0, from.cast_signed(), to.cast_signed()];
        let mut leaves = Vec::new();
        self.rows(sql, &range, |r| {
            let pos: u64 = r.get(0)?;
            let run: Vec<u8> = r.get(1)?;
            let run = (pos..).zip(run.as_chunks::<32>().0);
            let wanted = run.filter(|(position, _)| (from..to).contains(position));
            leaves.extend(wanted.map(|(_, leaf)| *leaf));
            Ok(())
        })?;
        Ok(leaves)
    }

    /// Signed checkpoints, newest first.
    pub fn checkpoints(&self, tenant: TenantId, limit: u32) -> Answer<Vec<Checkpoint>> {
        let sql = "SELECT size, root, sig, at FROM checkpoint WHERE tenant = ?1 ORDER BY size DESC LIMIT ?2";
        self.rows(sql, &vals![tenant.0, limit], |r| {
            Ok(Checkpoint {
                size: r.get(0)?,
                root: r.get(1)?,
                sig: r.get(2)?,
                at: r.get(3)?,
            })
        })
    }

    /// Whether heads and bodies belong together: `ok`, or what is wrong. Reads the whole database.
    pub(crate) fn coherence(&self) -> Answer<String> {
        for (what, sql) in COHERENCE {
            if !self.rows(sql, &[], |_| Ok(()))?.is_empty() {
                return Ok(what.into());
            }
        }
        Ok("ok".into())
    }

    /// How far a follower has come; 0 when it never ran.
    pub fn cursor(&self, tenant: TenantId, name: &str) -> Answer<i64> {
        let sql = "SELECT value FROM cursor WHERE tenant = ?1 AND name = ?2";
        Ok(self
            .row(sql, &vals![tenant.0, name], |r| r.get(0))?
            .unwrap_or(0))
    }
}

/// Events that wait for their case.
const PENDING: &str =
    "SELECT ord, tenant, id FROM event WHERE joined = 0 AND ord > ?1 ORDER BY ord LIMIT ?2";

/// What would be wrong, and how that shows.
const COHERENCE: [(&str, &str); 2] = [
    (
        "a case is not as long as its journal",
        "SELECT 1 FROM case_head c WHERE c.seq <> (SELECT COUNT(*) FROM turn t WHERE t.tenant = c.tenant \
         AND t.case_id = c.case_id) LIMIT 1",
    ),
    (
        "an effect has no case",
        "SELECT 1 FROM effect e WHERE NOT EXISTS (SELECT 1 FROM case_head c WHERE c.tenant = e.tenant \
         AND c.case_id = e.case_id) LIMIT 1",
    ),
];

/// Heads of turns in the order of their commits: of one tenant or of all, and those alone before which none can appear.
fn turns_sql(which: &str, settled: &str) -> String {
    format!(
        "SELECT ord, tenant, case_id, seq, head FROM turn WHERE ord > ?1 {which} {settled} ORDER BY ord LIMIT ?2"
    )
}

const EVENT: &str = "SELECT e.tenant, e.id, e.endpoint, e.received_at, e.kid, e.key_source, e.joined, e.case_id, \
    b.content_type, b.payload FROM event e LEFT JOIN event_body b ON b.ord = e.ord AND b.tenant = e.tenant";

fn event_row(r: &Fields<'_>) -> Answer<(TenantId, StoredEvent)> {
    let id = EventId(r.get(1)?);
    let case = match r.get::<i64>(6)? {
        opened if opened == Joined::Opened as i64 => Some(CaseId(id.0)),
        _ => r.get::<Option<[u8; 16]>>(7)?.map(CaseId),
    };
    let event = StoredEvent {
        id,
        endpoint: r.get(2)?,
        received_at: r.get(3)?,
        kid: r.get(4)?,
        key_source: r.get(5)?,
        case,
        content_type: outside_maybe(r, 8)?.unwrap_or_default(),
        // The payload is gone once erased.
        payload: r.get::<Option<Vec<u8>>>(9)?.unwrap_or_default(),
    };
    Ok((TenantId(r.get(0)?), event))
}

const RECORD: &str = "SELECT r.kind, r.id, r.version, b.body, b.provenance, r.by_whom, r.at, r.write_key \
    FROM record r JOIN record_body b ON b.ord = r.ord AND b.tenant = r.tenant \
    WHERE r.tenant = ?1 AND r.kind = ?2 AND r.id = ?3 ORDER BY r.version DESC";

fn record_row(r: &Fields<'_>) -> Answer<RecordWrite> {
    Ok(RecordWrite {
        kind: r.get(0)?,
        id: outside(r, 1)?,
        version: r.get(2)?,
        body: r.get(3)?,
        provenance: r.get(4)?,
        by: r.get(5)?,
        at: r.get(6)?,
        key: r.get(7)?,
    })
}

/// The row of a case; a condition follows.
const CASE: &str = "SELECT tenant, case_id, seq, state, owner, definition, opened_at, updated_at, due, \
    closed, open_tasks, open_effects, reason, correlation, workflow FROM case_head";

fn case_row(r: &Fields<'_>) -> Answer<CaseRow> {
    Ok(CaseRow {
        tenant: TenantId(r.get(0)?),
        case: CaseId(r.get(1)?),
        seq: r.get(2)?,
        head: CaseHead {
            state: r.get(3)?,
            owner: r.get(4)?,
            definition: r.get(5)?,
            opened_at: r.get(6)?,
            updated_at: r.get(7)?,
            due: r.get(8)?,
            closed: r.get(9)?,
            open_tasks: r.get(10)?,
            open_effects: r.get(11)?,
            reason: r.get(12)?,
            correlation: r.get(13)?,
            workflow: r.get(14)?,
        },
    })
}

/// A stored turn. Turns of the control stream have no number of their own.
fn sealed(case: CaseId, columns: (u32, Vec<u8>, Option<Unpacked>)) -> Answer<Sealed> {
    let (seq, head, body) = columns;
    Ok(Sealed {
        seq: if case == CaseId::CONTROL { 0 } else { seq },
        leaf: leaf_hash(&head),
        head,
        body: body.map(|b| b.0),
    })
}

/// Text from outside, which is stored as bytes.
fn outside(r: &Fields<'_>, column: usize) -> Answer<String> {
    Ok(r.get::<Outside>(column)?.0)
}

/// As `outside`, for a column that may be empty.
fn outside_maybe(r: &Fields<'_>, column: usize) -> Answer<Option<String>> {
    Ok(r.get::<Option<Outside>>(column)?.map(|text| text.0))
}
