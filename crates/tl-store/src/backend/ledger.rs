//! Questions about the ledger and about time: what may be sent, what went stale, which timers are due.

use std::collections::BTreeSet;

use rusqlite::{Row as SqlRow, params};
use tl_kernel::effect::EffectState;
use tl_kernel::id::{CaseId, EffectId, TenantId};
use tl_kernel::turn::EffectKind;

use super::effects::{class, state};
use super::keys::{NEVER, timer_kind};
use super::read::{Answer, Reader, outside, outside_maybe};
use crate::contract::{Attempt, EffectRow, TimerRow};
use crate::schema::{IN_FLIGHT, READY};

/// A ledger row with its arguments and what its case is pinned to; a condition follows.
pub(super) const EFFECT: &str = "SELECT e.case_id, e.n, e.tenant, e.kind, c.workflow, c.definition, c.correlation, \
    e.action, e.connection, e.class, e.state, e.due, e.valid_until, e.hold, b.args, e.digest, e.vendor_key, \
    e.base_version, e.attempt, e.node, e.epoch, e.deadline, e.first_send, e.planned_at, e.updated_at, e.code, \
    e.vendor_ref, e.crashes, e.serial_key FROM effect e \
    JOIN case_head c ON c.tenant = e.tenant AND c.case_id = e.case_id LEFT JOIN effect_body b ON b.ord = e.ord";

/// The serial key of a ready effect is held by none whose attempt is on its way.
fn not_blocked() -> String {
    format!(
        "NOT EXISTS (SELECT 1 FROM effect f WHERE f.tenant = e.tenant AND f.serial_key = e.serial_key \
         AND f.serial_key IS NOT NULL AND {})",
        IN_FLIGHT.replace("state", "f.state")
    )
}

fn of(alias: &str, condition: &str) -> String {
    condition.replace("state", &format!("{alias}.state"))
}

/// Ready and due effects, oldest first.
pub(super) fn candidates_sql() -> String {
    let (ready, free) = (of("e", READY), not_blocked());
    format!("{EFFECT} WHERE {ready} AND e.due <= ?1 AND {free} ORDER BY e.due, e.ord")
}

/// Effects in flight that somebody must look after.
pub(super) fn stale_sql() -> String {
    let flight = of("e", IN_FLIGHT);
    format!(
        "{EFFECT} WHERE {flight} AND e.due <= ?1 AND (e.state <> 2 OR e.deadline <= ?1 OR e.epoch <> \
         COALESCE((SELECT n.epoch FROM node n WHERE n.id = e.node), 0)) ORDER BY e.due, e.ord LIMIT ?2"
    )
}

/// The earliest instants at which something is to be done: timers, ready effects, look-ups.
pub(super) fn next_due_sql() -> [String; 3] {
    let (ready, free, flight) = (of("e", READY), not_blocked(), of("e", IN_FLIGHT));
    [
        "SELECT due FROM timer ORDER BY due LIMIT 1".to_owned(),
        format!("SELECT e.due FROM effect e WHERE {ready} AND {free} ORDER BY e.due LIMIT 1"),
        format!(
            "SELECT e.due FROM effect e WHERE {flight} AND e.state <> 2 ORDER BY e.due LIMIT 1"
        ),
    ]
}

impl Reader {
    /// Effects that may be sent now: ready and due at `now` (µs), oldest first, asks included; one per serial key,
    /// none whose serial key is held.
    pub fn candidates(&self, now: i64, limit: u32) -> Answer<Vec<EffectRow>> {
        let mut stmt = self.conn().prepare_cached(&candidates_sql())?;
        let mut rows = stmt.query(params![now])?;
        let mut serials = BTreeSet::new();
        let mut found = Vec::new();
        while found.len() < limit as usize {
            let Some(row) = rows.next()? else { break };
            if let Some(serial) = row.get::<_, Option<[u8; 32]>>(28)? {
                let tenant: u32 = row.get(2)?;
                if !serials.insert((tenant, serial)) {
                    continue;
                }
            }
            found.push(effect_row(row)?);
        }
        Ok(found)
    }

    /// Effects in flight that somebody must look after at `now` (µs): attempts past their deadline or of a node
    /// that was started again, look-ups that are due, call-backs that are overdue.
    pub fn stale(&self, now: i64, limit: u32) -> Answer<Vec<EffectRow>> {
        self.rows(&stale_sql(), params![now, limit], effect_row)
    }

    /// One effect.
    pub fn effect(&self, tenant: TenantId, effect: EffectId) -> Answer<Option<EffectRow>> {
        let sql = format!("{EFFECT} WHERE e.tenant = ?1 AND e.case_id = ?2 AND e.n = ?3");
        self.row(&sql, params![tenant.0, effect.case.0, effect.n], effect_row)
    }

    /// Finished attempts of an effect, in order.
    pub fn attempts(&self, tenant: TenantId, effect: EffectId) -> Answer<Vec<Attempt>> {
        let sql = "SELECT case_id, n, attempt, at, took, knowledge, status, code, detail FROM attempt \
                   WHERE tenant = ?1 AND case_id = ?2 AND n = ?3 ORDER BY attempt";
        self.rows(sql, params![tenant.0, effect.case.0, effect.n], |r| {
            Ok(Attempt {
                effect: effect_id(r, 0)?,
                n: r.get(2)?,
                at: r.get(3)?,
                took: r.get(4)?,
                knowledge: r.get(5)?,
                status: r.get(6)?,
                code: r.get(7)?,
                detail: outside(r, 8)?,
            })
        })
    }

    /// Timers that are due at `now` (µs), earliest first.
    pub fn due_timers(&self, now: i64, limit: u32) -> Answer<Vec<TimerRow>> {
        let sql = "SELECT tenant, case_id, n, kind, due FROM timer WHERE due <= ?1 \
                   ORDER BY due, tenant, case_id, n LIMIT ?2";
        self.rows(sql, params![now, limit], |r| {
            let number = r.get(3)?;
            Ok(TimerRow {
                tenant: TenantId(r.get(0)?),
                case: CaseId(r.get(1)?),
                n: r.get(2)?,
                kind: timer_kind(number)
                    .ok_or(rusqlite::Error::IntegralValueOutOfRange(3, number))?,
                due: r.get(4)?,
            })
        })
    }

    /// When the next timer, ready effect or look-up is due, µs.
    pub fn next_due(&self) -> Answer<Option<i64>> {
        let mut next = NEVER;
        for sql in next_due_sql() {
            next = next.min(self.row(&sql, &[], |r| r.get(0))?.unwrap_or(NEVER));
        }
        Ok((next != NEVER).then_some(next))
    }
}

/// The id of an effect from two columns.
pub(super) fn effect_id(r: &SqlRow<'_>, column: usize) -> rusqlite::Result<EffectId> {
    Ok(EffectId {
        case: CaseId(r.get(column)?),
        n: r.get(column + 1)?,
    })
}

pub(super) fn effect_row(r: &SqlRow<'_>) -> rusqlite::Result<EffectRow> {
    let number = r.get(9)?;
    let state = state(10, r.get(10)?)?;
    let claim: (Option<u32>, Option<i64>, Option<i64>) = (r.get(19)?, r.get(20)?, r.get(21)?);
    Ok(EffectRow {
        effect: effect_id(r, 0)?,
        tenant: TenantId(r.get(2)?),
        kind: match r.get::<_, i64>(3)? {
            0 => EffectKind::Effect,
            _ => EffectKind::Ask,
        },
        workflow: r.get(4)?,
        definition: r.get(5)?,
        correlation: r.get(6)?,
        action: r.get(7)?,
        connection: r.get(8)?,
        class: class(number).ok_or(rusqlite::Error::IntegralValueOutOfRange(9, number))?,
        state,
        due: r.get(11)?,
        valid_until: r.get(12)?,
        hold: r.get(13)?,
        // The arguments are gone once erased.
        args: r.get::<_, Option<Vec<u8>>>(14)?.unwrap_or_default(),
        digest: r.get(15)?,
        key: r.get(16)?,
        base_version: outside_maybe(r, 17)?,
        attempt: r.get(18)?,
        claim: match (state, claim) {
            (EffectState::Dispatching, (Some(node), Some(epoch), Some(deadline))) => {
                Some((node, epoch.unsigned_abs(), deadline))
            }
            _ => None,
        },
        first_send: r.get(22)?,
        planned_at: r.get(23)?,
        updated_at: r.get(24)?,
        code: r.get(25)?,
        vendor_ref: outside_maybe(r, 26)?,
        crashes: r.get(27)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Backend, Options};

    /// What the loops ask many times a second reads an index that holds nothing but what may answer, in the order
    /// in which it answers.
    #[test]
    fn claims_use_their_indexes() {
        let dir = tempfile::tempdir().unwrap();
        let backend = Backend::open(&dir.path().join("tl.db"), &Options::default()).unwrap();
        let [timer, ready, look_up] = next_due_sql();
        for (sql, index) in [
            (candidates_sql(), "effect_ready"),
            (stale_sql(), "effect_in_flight"),
            (timer, "timer_due"),
            (ready, "effect_ready"),
            (look_up, "effect_in_flight"),
            (crate::statements::SQL.serial_busy.clone(), "effect_serial"),
            (
                format!("{EFFECT} WHERE e.tenant = 1 AND e.state = 4 ORDER BY e.case_id DESC, e.n DESC"),
                "effect_notable",
            ),
            (
                "SELECT 1 FROM case_head WHERE tenant = 1 AND state = 2 AND closed = 0 AND case_id < x'ff' \
                 ORDER BY case_id DESC"
                    .to_owned(),
                "case_open",
            ),
            (
                "SELECT 1 FROM task WHERE tenant = 1 AND closed_at IS NULL ORDER BY due, case_id, n".to_owned(),
                "task_open",
            ),
            ("SELECT 1 FROM event WHERE joined = 0 ORDER BY ord".to_owned(), "event_pending"),
        ] {
            let sql = sql.replace("?1", "1").replace("?2", "2");
            let plan: Vec<String> = backend
                .reader()
                .rows(&format!("EXPLAIN QUERY PLAN {sql}"), &[], |r| r.get(3))
                .unwrap();
            let plan = plan.join("\n");
            assert!(plan.contains(index), "{sql}\n{plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{sql}\n{plan}");
        }
    }
}
