//! Everything that must still be true when a unit is applied: its guards, in order, then what its turns and rows
//! imply. Reads only, so that a refused unit leaves nothing behind.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};
use tl_kernel::digest::{Digest, sha256};
use tl_kernel::id::{CaseId, EventId, TenantId};

use super::effects::{self, Found};
use super::gate::GateCache;
use super::keys::{ShortKey, short_key};
use super::{Stop, config};
use crate::contract::{Guard, Refused, Row, Unit};

/// Where a case stands before the unit: length of its journal and state.
#[derive(Debug, Clone, Copy)]
pub(super) struct CaseNow {
    pub(super) seq: u32,
    pub(super) state: u16,
}

/// What the checks have read and the writes need.
pub(super) struct Seen<'a> {
    pub(super) unit: &'a Unit,
    pub(super) effects: Found,
    pub(super) cases: BTreeMap<CaseId, CaseNow>,
}

/// Whether the unit may be applied.
pub(super) fn check<'a>(
    conn: &Connection,
    gate: &GateCache,
    unit: &'a Unit,
) -> Result<Seen<'a>, Stop> {
    let checker = Checker { conn, gate, unit };
    for guard in &unit.guards {
        checker.guard(guard)?;
    }
    let cases = checker.turns()?;
    let effects = effects::check(conn, unit)?;
    checker.rows()?;
    Ok(Seen {
        unit,
        effects,
        cases,
    })
}

struct Checker<'a> {
    conn: &'a Connection,
    gate: &'a GateCache,
    unit: &'a Unit,
}

impl Checker<'_> {
    fn guard(&self, guard: &Guard) -> Result<(), Stop> {
        match guard {
            Guard::KeysFree { endpoint, keys } => self.keys_free(endpoint, keys),
            Guard::NaturalKeysFree { workflow, keys } => {
                match natural_key(self.conn, self.unit.tenant, (workflow, keys))? {
                    Some((case, index)) => Err(Refused::NaturalKeyTaken { case, index }.into()),
                    None => Ok(()),
                }
            }
            Guard::GateAt {
                tenant,
                installation,
            } => {
                let now = (
                    self.gate.gate(self.unit.tenant),
                    self.gate.gate(TenantId::SYSTEM),
                );
                holds(now == (*tenant, *installation), Refused::GateMoved)
            }
            Guard::EffectAt {
                effect,
                state,
                attempt,
            } => {
                let now = effects::standing(self.conn, self.unit.tenant, *effect)?;
                let effect = *effect;
                holds(
                    now == Some((*state, *attempt)),
                    Refused::EffectMoved { effect },
                )
            }
            Guard::RecordAt { kind, id, version } => {
                let now = self.record_version(kind, id)?;
                holds(now == *version, Refused::RecordMoved { version: now })
            }
            Guard::Slot {
                action,
                subject,
                window,
                n,
            } => {
                let taken = self
                    .conn
                    .prepare_cached(
                        "SELECT 1 FROM slot WHERE tenant = ?1 AND begins = ?2 AND action = ?3 AND subject = ?4 \
                         AND n = ?5",
                    )?
                    .exists(params![self.unit.tenant.0, window, action, subject, n])?;
                holds(!taken, Refused::SlotTaken)
            }
            Guard::NodeAt { node, epoch } => {
                holds(self.gate.node(*node) == Some(*epoch), Refused::Fenced)
            }
        }
    }

    fn keys_free(&self, endpoint: &str, keys: &[Digest]) -> Result<(), Stop> {
        let now = received(self.unit);
        match known_event(self.conn, self.unit.tenant, (endpoint, keys), now)? {
            Some((event, payload)) => Err(Refused::Duplicate { event, payload }.into()),
            None => Ok(()),
        }
    }

    /// Each turn is the next one of its case.
    fn turns(&self) -> Result<BTreeMap<CaseId, CaseNow>, Stop> {
        let mut found = BTreeMap::new();
        let mut length: BTreeMap<CaseId, u32> = BTreeMap::new();
        for turn in &self.unit.turns {
            let case = turn.case;
            if turn.tenant != self.unit.tenant || case == CaseId::CONTROL || turn.sealed.seq == 0 {
                let why = "a turn belongs to another tenant or to no case".into();
                return Err(Refused::Faulty { id: 0, why }.into());
            }
            let seq = match length.get(&case) {
                Some(seq) => *seq,
                None => match self.case_now(case)? {
                    Some(now) => {
                        found.insert(case, now);
                        now.seq
                    }
                    None => 0,
                },
            };
            if turn.sealed.seq != seq + 1 {
                return Err(Refused::CaseMoved { case }.into());
            }
            length.insert(case, turn.sealed.seq);
        }
        Ok(found)
    }

    fn case_now(&self, case: CaseId) -> rusqlite::Result<Option<CaseNow>> {
        self.conn
            .prepare_cached("SELECT seq, state FROM case_head WHERE tenant = ?1 AND case_id = ?2")?
            .query_row(params![self.unit.tenant.0, case.0], |r| {
                Ok(CaseNow {
                    seq: r.get(0)?,
                    state: r.get(1)?,
                })
            })
            .optional()
    }

    /// What rows imply.
    fn rows(&self) -> Result<(), Stop> {
        let mut versions: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for row in &self.unit.rows {
            match row {
                Row::Record(write) => {
                    let key = (write.kind.as_str(), write.id.as_str());
                    let now = match versions.get(&key) {
                        Some(version) => *version,
                        None => self.record_version(&write.kind, &write.id)?,
                    };
                    holds(
                        write.version == now + 1,
                        Refused::RecordMoved { version: now },
                    )?;
                    versions.insert(key, write.version);
                }
                Row::Idempotent { principal, key, .. } => {
                    holds(!self.key_used(principal, key)?, Refused::KeyUsed)?;
                }
                Row::Placed { pos, .. } => {
                    let size = self.tree_size()?;
                    holds(size == *pos, Refused::TreeMoved { size })?;
                }
                other => config::check(self.conn, self.unit.tenant, other)?,
            }
        }
        Ok(())
    }

    fn record_version(&self, kind: &str, id: &str) -> rusqlite::Result<u64> {
        self.conn
            .prepare_cached(
                "SELECT version FROM record WHERE tenant = ?1 AND kind = ?2 AND id = ?3 ORDER BY version DESC \
                 LIMIT 1",
            )?
            .query_row(params![self.unit.tenant.0, kind, id.as_bytes()], |r| r.get::<_, i64>(0))
            .optional()
            .map(|v| v.unwrap_or(0).unsigned_abs())
    }

    fn key_used(&self, principal: &str, key: &str) -> rusqlite::Result<bool> {
        self.conn
            .prepare_cached(
                "SELECT 1 FROM idempotent WHERE tenant = ?1 AND principal = ?2 AND key = ?3",
            )?
            .exists(params![self.unit.tenant.0, principal, key.as_bytes()])
    }

    fn tree_size(&self) -> rusqlite::Result<u64> {
        self.conn
            .prepare_cached("SELECT size FROM tree WHERE tenant = ?1")?
            .query_row([self.unit.tenant.0], |r| r.get::<_, i64>(0))
            .optional()
            .map(|v| v.unwrap_or(0).unsigned_abs())
    }
}

/// `Ok` when it holds.
pub(super) fn holds(it: bool, refused: Refused) -> Result<(), Stop> {
    if it { Ok(()) } else { Err(refused.into()) }
}

/// When the unit's event was received; before the beginning of time when it has none.
pub(super) fn received(unit: &Unit) -> i64 {
    unit.rows
        .iter()
        .find_map(|row| match row {
            Row::Event { event, .. } => Some(event.received_at),
            _ => None,
        })
        .unwrap_or(i64::MIN)
}

/// The event that holds a dedupe key at an instant, and the digest of its payload. Almost every key is free, so
/// the first look is at one table: a join would be compiled anew for each value.
fn find_event(
    conn: &Connection,
    tenant: TenantId,
    key: (&ShortKey, i64),
) -> rusqlite::Result<Option<(EventId, Digest)>> {
    let held: Option<i64> = conn
        .prepare_cached("SELECT event FROM dedupe WHERE tenant = ?1 AND key = ?2 AND expires > ?3")?
        .query_row(params![tenant.0, key.0, key.1], |r| r.get(0))
        .optional()?;
    let Some(ord) = held else { return Ok(None) };
    let event = conn
        .prepare_cached("SELECT id FROM event WHERE ord = ?1")?
        .query_row([ord], |r| r.get(0).map(EventId))?;
    let payload = conn
        .prepare_cached("SELECT payload FROM event_body WHERE ord = ?1")?
        .query_row([ord], |r| Ok(sha256(&[r.get_ref(0)?.as_blob()?])))
        .optional()?;
    // Once the payload is erased nothing can be said about it.
    Ok(Some((event, payload.unwrap_or([0; 32]))))
}

/// The event that holds the first known of an endpoint's dedupe keys at an instant, and its payload's digest.
pub(super) fn known_event(
    conn: &Connection,
    tenant: TenantId,
    wanted: (&str, &[Digest]),
    now: i64,
) -> rusqlite::Result<Option<(EventId, Digest)>> {
    let (endpoint, keys) = wanted;
    for key in keys {
        let found = find_event(conn, tenant, (&short_key(endpoint, key), now))?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The case that holds the first taken of a workflow's natural keys, and that key's position.
pub(super) fn natural_key(
    conn: &Connection,
    tenant: TenantId,
    wanted: (&str, &[Digest]),
) -> rusqlite::Result<Option<(CaseId, u32)>> {
    let (workflow, keys) = wanted;
    let mut find =
        conn.prepare_cached("SELECT case_id FROM natural_key WHERE tenant = ?1 AND key = ?2")?;
    for (index, key) in (0..).zip(keys) {
        let case = find
            .query_row(params![tenant.0, short_key(workflow, key)], |r| r.get(0))
            .optional()?;
        if let Some(case) = case {
            return Ok(Some((CaseId(case), index)));
        }
    }
    Ok(None)
}
