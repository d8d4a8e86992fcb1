//! Questions about the ledger and about time: what may be sent, what went stale, which timers are due.

use std::collections::BTreeSet;

use tl_kernel::digest::Digest;
use tl_kernel::effect::{Class, EffectState};
use tl_kernel::id::{CaseId, EffectId, TenantId};
use tl_kernel::journal::args_in;
use tl_kernel::turn::EffectKind;

use super::{Answer, Reader, outside, outside_maybe};
use crate::contract::{Attempt, EffectRow, TimerRow};
use crate::keys::{NEVER, timer_kind};
use crate::logic::state;
use crate::packed::Unpacked;
use crate::schema::{IN_FLIGHT, READY};
use crate::value::{Fields, damaged, vals};

/// A ledger row, what its case is pinned to, and where its arguments are; a condition follows.
pub(super) const EFFECT: &str = "SELECT e.case_id, e.n, e.tenant, e.kind, c.workflow, c.definition, c.correlation, \
    e.action, e.connection, e.class, e.state, e.due, e.valid_until, e.hold, e.digest, e.vendor_key, \
    e.base_version, e.attempt, e.node, e.epoch, e.deadline, e.first_send, e.planned_at, e.updated_at, e.code, \
    e.vendor_ref, e.crashes, e.serial_key, e.ord, t.ord FROM effect e \
    JOIN case_head c ON c.tenant = e.tenant AND c.case_id = e.case_id \
    LEFT JOIN turn t ON t.tenant = e.tenant AND t.case_id = e.case_id AND t.seq = e.seq";

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

/// Ready and due effects after a place in the queue, oldest first.
pub(super) fn candidates_sql() -> String {
    let (ready, free) = (of("e", READY), not_blocked());
    format!(
        "{EFFECT} WHERE {ready} AND e.due <= ?1 AND e.due >= ?2 AND (e.due > ?2 OR e.ord > ?3) AND {free} \
         ORDER BY e.due, e.ord LIMIT ?4"
    )
}

/// Effects in flight that somebody must look after.
pub(super) fn stale_sql() -> String {
    let flight = of("e", IN_FLIGHT);
    format!(
        "{EFFECT} WHERE {flight} AND e.due <= ?1 AND (e.state <> 2 OR e.deadline <= ?1 OR e.epoch <> \
         COALESCE((SELECT w.epoch FROM node w WHERE w.id = e.node), 0)) ORDER BY e.due, e.ord LIMIT ?2"
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
        let sql = candidates_sql();
        let mut serials = BTreeSet::new();
        let mut found = Vec::new();
        let mut last = (i64::MIN, i64::MIN);
        loop {
            let page = self.rows(&sql, &vals![now, last.0, last.1, limit], Found::read)?;
            let more = page.len() == limit as usize;
            for effect in page {
                last = (effect.row.due, effect.ord);
                let free = effect
                    .serial
                    .is_none_or(|serial| serials.insert((effect.row.tenant, serial)));
                if free && found.len() < limit as usize {
                    found.push(effect);
                }
            }
            if !more || found.len() == limit as usize {
                return self.with_args(found);
            }
        }
    }

    /// Effects in flight that somebody must look after at `now` (µs): attempts past their deadline or of a node
    /// that was started again, look-ups that are due, call-backs that are overdue.
    pub fn stale(&self, now: i64, limit: u32) -> Answer<Vec<EffectRow>> {
        let found = self.rows(&stale_sql(), &vals![now, limit], Found::read)?;
        self.with_args(found)
    }

    /// One effect.
    pub fn effect(&self, tenant: TenantId, effect: EffectId) -> Answer<Option<EffectRow>> {
        let sql = format!("{EFFECT} WHERE e.tenant = ?1 AND e.case_id = ?2 AND e.n = ?3");
        let key = vals![tenant.0, effect.case.0, effect.n];
        let found = self.rows(&sql, &key, Found::read)?;
        Ok(self.with_args(found)?.pop())
    }

    /// The effects with their arguments: from the body of the turn that planned them, or from a row of their own
    /// where that does not hold them. They are gone once erased.
    pub(super) fn with_args(&self, found: Vec<Found>) -> Answer<Vec<EffectRow>> {
        let sql = "SELECT 1, args FROM effect_body WHERE ord = ?1 UNION ALL \
                   SELECT 0, body FROM turn_body WHERE ord = ?2";
        let keys: Vec<_> = found
            .iter()
            .map(|f| (f.row.tenant, vals![f.ord, f.turn].to_vec()))
            .collect();
        let bodies = self.each(sql, &keys, |r| {
            let own = r.get(0)?;
            let bytes = match own {
                true => r.get(1)?,
                false => r.get::<Unpacked>(1)?.0,
            };
            Ok((own, bytes))
        })?;
        let with_args = |(mut found, bodies): (Found, Vec<(bool, Vec<u8>)>)| {
            for (own, bytes) in bodies {
                if own {
                    found.row.args = bytes;
                } else if let Some(args) = args_in(&bytes, found.row.effect.n) {
                    found.row.args = args.to_vec();
                }
            }
            found.row
        };
        Ok(found.into_iter().zip(bodies).map(with_args).collect())
    }

    /// Finished attempts of an effect, in order.
    pub fn attempts(&self, tenant: TenantId, effect: EffectId) -> Answer<Vec<Attempt>> {
        let sql = "SELECT case_id, n, attempt, at, took, knowledge, status, code, detail FROM attempt \
                   WHERE tenant = ?1 AND case_id = ?2 AND n = ?3 ORDER BY attempt";
        self.rows(sql, &vals![tenant.0, effect.case.0, effect.n], |r| {
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
        self.rows(sql, &vals![now, limit], |r| {
            let number = r.get(3)?;
            Ok(TimerRow {
                tenant: TenantId(r.get(0)?),
                case: CaseId(r.get(1)?),
                n: r.get(2)?,
                kind: timer_kind(number).ok_or_else(|| damaged(3))?,
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
pub(super) fn effect_id(r: &Fields<'_>, column: usize) -> Answer<EffectId> {
    Ok(EffectId {
        case: CaseId(r.get(column)?),
        n: r.get(column + 1)?,
    })
}

/// A ledger row without its arguments.
pub(super) struct Found {
    pub(super) row: EffectRow,
    serial: Option<Digest>,
    ord: i64,
    /// `ord` of the turn that planned it.
    turn: Option<i64>,
}

impl Found {
    pub(super) fn read(r: &Fields<'_>) -> Answer<Found> {
        Ok(Found {
            row: effect_row(r)?,
            serial: r.get(27)?,
            ord: r.get(28)?,
            turn: r.get(29)?,
        })
    }
}

fn effect_row(r: &Fields<'_>) -> Answer<EffectRow> {
    let state = state(10, r.get(10)?)?;
    let claim: (Option<u32>, Option<u64>, Option<i64>) = (r.get(18)?, r.get(19)?, r.get(20)?);
    Ok(EffectRow {
        effect: effect_id(r, 0)?,
        tenant: TenantId(r.get(2)?),
        kind: match r.get::<i64>(3)? {
            0 => EffectKind::Effect,
            _ => EffectKind::Ask,
        },
        workflow: r.get(4)?,
        definition: r.get(5)?,
        correlation: r.get(6)?,
        action: r.get(7)?,
        connection: r.get(8)?,
        class: Class::from_number(r.get(9)?).ok_or_else(|| damaged(9))?,
        state,
        due: r.get(11)?,
        valid_until: r.get(12)?,
        hold: r.get(13)?,
        args: Vec::new(),
        digest: r.get(14)?,
        key: r.get(15)?,
        base_version: outside_maybe(r, 16)?,
        attempt: r.get(17)?,
        claim: match (state, claim) {
            (EffectState::Dispatching, (Some(node), Some(epoch), Some(deadline))) => {
                Some((node, epoch, deadline))
            }
            _ => None,
        },
        first_send: r.get(21)?,
        planned_at: r.get(22)?,
        updated_at: r.get(23)?,
        code: r.get(24)?,
        vendor_ref: outside_maybe(r, 25)?,
        crashes: r.get(26)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Backend, Options};
    use crate::logic::looks::{L, LOOKS};
    use crate::schema::Dialect;

    fn text_of(wanted: L) -> String {
        LOOKS[wanted as usize].1.sql(Dialect::Sqlite)
    }

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
            (text_of(L::Serial), "effect_serial"),
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
            (
                "SELECT 1 FROM turn WHERE ord > 1 AND +tenant = 1 ORDER BY ord".to_owned(),
                "INTEGER PRIMARY KEY (rowid>?)",
            ),
        ] {
            let sql = sql.replace("?1", "1").replace("?2", "2").replace("?3", "3").replace("?4", "4");
            let plan: Vec<String> = backend
                .reader()
                .rows(&format!("EXPLAIN QUERY PLAN {sql}"), &[], |r| r.get(3))
                .unwrap();
            let plan: String = plan.join("\n");
            assert!(plan.contains(index), "{sql}\n{plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{sql}\n{plan}");
        }
    }
}
