//! Changes of the ledger: checked as a walk through the unit, then written in the same order.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension, params};
use tl_kernel::digest::Digest;
use tl_kernel::effect::{Class, EffectState};
use tl_kernel::id::{EffectId, TenantId};
use tl_kernel::turn::{EffectKind, EffectPlan, EffectWrite, Turn};

use super::Stop;
use super::counters::Counters;
use crate::contract::{EffectChange, Refused, Row, Unit};
use crate::schema::{EFFECT, EFFECT_BODY, IN_FLIGHT, READY};
use crate::statements::SQL;

/// A ledger row as far as changes need it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    ord: i64,
    class: Class,
    state: EffectState,
    attempt: u32,
    serial: Option<Digest>,
    withdrawn: bool,
}

/// Rows as they were found before the unit. Rows that the unit plans join when they are written.
pub(super) type Found = BTreeMap<EffectId, Known>;

/// Whether the state's effects hold their serial key.
fn in_flight(state: EffectState) -> bool {
    matches!(
        state,
        EffectState::Dispatching | EffectState::AwaitingCallback | EffectState::Uncertain
    )
}

/// One change of the ledger in a unit, in the order in which they apply.
enum Step<'a> {
    Turn(&'a Turn, &'a EffectWrite),
    Row(&'a EffectChange),
}

/// Rows of effects that are there already, then the turns, then rows of effects that the turns plan.
fn steps(unit: &Unit) -> Vec<Step<'_>> {
    let mut planned = BTreeSet::new();
    for turn in &unit.turns {
        for write in &turn.effects {
            if let EffectWrite::Plan(plan) = write {
                planned.insert(EffectId {
                    case: turn.case,
                    n: plan.n,
                });
            }
        }
    }
    let rows = |late: bool| {
        let planned = planned.clone();
        unit.rows.iter().filter_map(move |row| match row {
            Row::Effect(change) if planned.contains(&change.effect) == late => {
                Some(Step::Row(change))
            }
            _ => None,
        })
    };
    let turns = unit.turns.iter().flat_map(|turn| {
        turn.effects
            .iter()
            .map(move |write| Step::Turn(turn, write))
    });
    rows(false).chain(turns).chain(rows(true)).collect()
}

/// The ledger as the unit would leave it, step by step.
struct Walk<'a> {
    conn: &'a Connection,
    tenant: TenantId,
    found: Found,
    now: Found,
    /// Serial keys that the unit took (true) or set free (false).
    serials: BTreeMap<Digest, bool>,
}

/// Checks every change of the ledger that the unit makes; returns the rows as they are now.
pub(super) fn check(conn: &Connection, unit: &Unit) -> Result<Found, Stop> {
    let mut walk = Walk {
        conn,
        tenant: unit.tenant,
        found: BTreeMap::new(),
        now: BTreeMap::new(),
        serials: BTreeMap::new(),
    };
    for step in steps(unit) {
        match step {
            Step::Turn(turn, write) => match write {
                EffectWrite::Plan(plan) => walk.plan(turn, plan)?,
                EffectWrite::Change { n, from, to, .. } => {
                    let effect = EffectId {
                        case: turn.case,
                        n: *n,
                    };
                    let at = walk.load(effect)?;
                    walk.change(effect, (*from, at.attempt), (*to, at.attempt))?;
                }
                // Never refuses: a row that is on its way or settled is left alone.
                EffectWrite::Withdraw { .. } => {}
            },
            Step::Row(change) => {
                walk.load(change.effect)?;
                walk.change(change.effect, change.from, (change.to, change.attempt))?;
            }
        }
    }
    Ok(walk.found)
}

impl Walk<'_> {
    fn load(&mut self, effect: EffectId) -> Result<Known, Stop> {
        if let Some(known) = self.now.get(&effect) {
            return Ok(*known);
        }
        let known = find(self.conn, self.tenant, effect)?.ok_or(Refused::EffectMoved { effect })?;
        self.found.insert(effect, known);
        self.now.insert(effect, known);
        Ok(known)
    }

    fn plan(&mut self, turn: &Turn, plan: &EffectPlan) -> Result<(), Stop> {
        let effect = EffectId {
            case: turn.case,
            n: plan.n,
        };
        if (plan.state == EffectState::Dispatching) != plan.born.is_some() {
            return Err(fault(
                "an effect is born dispatching with a claim, or neither",
            ));
        }
        if let (true, Some(serial)) = (in_flight(plan.state), plan.serial_key) {
            self.take(serial)?;
        }
        let known = Known {
            ord: 0,
            class: plan.class,
            state: plan.state,
            attempt: u32::from(plan.born.is_some()),
            serial: plan.serial_key,
            withdrawn: false,
        };
        self.now.insert(effect, known);
        Ok(())
    }

    fn change(
        &mut self,
        effect: EffectId,
        from: (EffectState, u32),
        to: (EffectState, u32),
    ) -> Result<(), Stop> {
        let mut known = self.load(effect)?;
        // Whoever read the row before it was withdrawn may not send it any more.
        let late = known.withdrawn && to.0 == EffectState::Dispatching;
        if late || (known.state, known.attempt) != from {
            return Err(Refused::EffectMoved { effect }.into());
        }
        let stays = from.0 == to.0 && !to.0.is_settled();
        if !stays && !from.0.may_become(to.0) {
            let (from, to) = (from.0.word(), to.0.word());
            return Err(fault(&format!("no edge leads from {from} to {to}")));
        }
        if let Some(serial) = known.serial {
            match (in_flight(from.0), in_flight(to.0)) {
                (false, true) => self.take(serial)?,
                (true, false) => {
                    self.serials.insert(serial, false);
                }
                _ => {}
            }
        }
        (known.state, known.attempt) = to;
        self.now.insert(effect, known);
        Ok(())
    }

    fn take(&mut self, serial: Digest) -> Result<(), Stop> {
        let busy = match self.serials.get(&serial) {
            Some(busy) => *busy,
            None => self
                .conn
                .prepare_cached(&SQL.serial_busy)?
                .exists(params![self.tenant.0, serial])?,
        };
        if busy {
            return Err(Refused::Serial.into());
        }
        self.serials.insert(serial, true);
        Ok(())
    }
}

fn fault(why: &str) -> Stop {
    Stop::Refused(Refused::Faulty {
        id: 0,
        why: why.to_owned(),
    })
}

/// The text that tells whether a serial key is held.
pub(crate) fn serial_busy_sql() -> String {
    format!(
        "SELECT 1 FROM effect WHERE tenant = ?1 AND serial_key = ?2 AND serial_key IS NOT NULL AND {IN_FLIGHT}"
    )
}

/// The text that withdraws a ready effect.
pub(crate) fn withdraw_sql() -> String {
    format!(
        "UPDATE effect SET valid_until = 0, updated_at = ?4 WHERE tenant = ?1 AND case_id = ?2 AND n = ?3 AND {READY}"
    )
}

/// A ledger row, if it is there.
pub(super) fn find(
    conn: &Connection,
    tenant: TenantId,
    effect: EffectId,
) -> rusqlite::Result<Option<Known>> {
    conn.prepare_cached(
        "SELECT ord, class, state, attempt, serial_key, valid_until = 0 FROM effect WHERE tenant = ?1 AND case_id = ?2 AND n = ?3",
    )?
    .query_row(params![tenant.0, effect.case.0, effect.n], |r| {
        Ok(Known {
            ord: r.get(0)?,
            class: class(r.get(1)?).ok_or(rusqlite::Error::IntegralValueOutOfRange(1, 0))?,
            state: state(2, r.get(2)?)?,
            attempt: r.get(3)?,
            serial: r.get(4)?,
            withdrawn: r.get(5)?,
        })
    })
    .optional()
}

/// State and attempt of an effect, for guards.
pub(super) fn standing(
    conn: &Connection,
    tenant: TenantId,
    effect: EffectId,
) -> rusqlite::Result<Option<(EffectState, u32)>> {
    Ok(find(conn, tenant, effect)?.map(|k| (k.state, k.attempt)))
}

/// The class of a stored number.
pub(super) fn class(number: i64) -> Option<Class> {
    [
        Class::E0,
        Class::E1,
        Class::E2,
        Class::E3,
        Class::E4,
        Class::E5,
    ]
    .into_iter()
    .find(|c| *c as i64 == number)
}

/// The state of a stored number in a column.
pub(super) fn state(column: usize, number: i64) -> rusqlite::Result<EffectState> {
    EffectState::from_number(number).ok_or(rusqlite::Error::IntegralValueOutOfRange(column, number))
}

/// Writes every change of the ledger that the unit makes.
pub(super) fn apply(
    conn: &Connection,
    counters: &mut Counters,
    unit: &Unit,
    found: Found,
) -> rusqlite::Result<()> {
    let mut writer = Writer {
        conn,
        counters,
        tenant: unit.tenant,
        now: found,
    };
    for step in steps(unit) {
        match step {
            Step::Turn(turn, write) => writer.turn(turn, write)?,
            Step::Row(change) => writer.row(change)?,
        }
    }
    Ok(())
}

struct Writer<'a> {
    conn: &'a Connection,
    counters: &'a mut Counters,
    tenant: TenantId,
    now: Found,
}

impl Writer<'_> {
    fn plan(&mut self, turn: &Turn, plan: &EffectPlan) -> rusqlite::Result<()> {
        let kind = match plan.kind {
            EffectKind::Effect => 0,
            EffectKind::Ask => 1,
        };
        let at = turn.head.updated_at;
        let born = plan.born;
        self.conn
            .prepare_cached(SQL.insert(&EFFECT))?
            .execute(params![
                self.tenant.0,
                turn.case.0,
                plan.n,
                kind,
                plan.action,
                plan.connection,
                plan.class as i64,
                plan.state as i64,
                plan.due,
                plan.valid_until,
                "",
                plan.digest,
                plan.key,
                plan.base_version.as_deref().map(str::as_bytes),
                plan.serial_key,
                u32::from(born.is_some()),
                born.map(|b| b.node),
                born.map(|b| b.epoch.cast_signed()),
                born.map(|b| b.deadline),
                None::<i64>,
                at,
                at,
                "",
                None::<Vec<u8>>,
                0,
            ])?;
        let ord = self.conn.last_insert_rowid();
        self.conn
            .prepare_cached(SQL.insert(&EFFECT_BODY))?
            .execute(params![ord, self.tenant.0, plan.args])?;
        self.counters
            .effect(self.tenant, plan.class, (None, plan.state));
        let known = Known {
            ord,
            class: plan.class,
            state: plan.state,
            attempt: u32::from(born.is_some()),
            serial: plan.serial_key,
            withdrawn: false,
        };
        self.now.insert(
            EffectId {
                case: turn.case,
                n: plan.n,
            },
            known,
        );
        Ok(())
    }

    /// The row, moved to its new state in memory and in the counts. `check` has seen it.
    fn moved(&mut self, effect: EffectId, to: EffectState) -> rusqlite::Result<i64> {
        let known = self
            .now
            .get_mut(&effect)
            .ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        self.counters
            .effect(self.tenant, known.class, (Some(known.state), to));
        known.state = to;
        Ok(known.ord)
    }

    fn turn(&mut self, turn: &Turn, write: &EffectWrite) -> rusqlite::Result<()> {
        let at = turn.head.updated_at;
        match write {
            EffectWrite::Change {
                n, to, due, code, ..
            } => {
                let ord = self.moved(
                    EffectId {
                        case: turn.case,
                        n: *n,
                    },
                    *to,
                )?;
                self.conn
                    .prepare_cached(
                        "UPDATE effect SET state = ?2, due = ?3, code = ?4, updated_at = ?5 WHERE ord = ?1",
                    )?
                    .execute(params![ord, *to as i64, due, code, at])?;
            }
            EffectWrite::Withdraw { n } => {
                self.conn.prepare_cached(&SQL.withdraw)?.execute(params![
                    self.tenant.0,
                    turn.case.0,
                    n,
                    at
                ])?;
            }
            EffectWrite::Plan(plan) => self.plan(turn, plan)?,
        }
        Ok(())
    }

    fn row(&mut self, change: &EffectChange) -> rusqlite::Result<()> {
        let ord = self.moved(change.effect, change.to)?;
        let claim = change.claim;
        self.conn
            .prepare_cached(
                "UPDATE effect SET state = ?2, attempt = ?3, due = ?4, hold = ?5, node = COALESCE(?6, node), \
                 epoch = COALESCE(?7, epoch), deadline = COALESCE(?8, deadline), \
                 first_send = COALESCE(first_send, ?9), base_version = COALESCE(?10, base_version), code = ?11, \
                 vendor_ref = COALESCE(?12, vendor_ref), crashes = ?13, updated_at = ?14 WHERE ord = ?1",
            )?
            .execute(params![
                ord,
                change.to as i64,
                change.attempt,
                change.due,
                change.hold,
                claim.map(|c| c.0),
                claim.map(|c| c.1.cast_signed()),
                claim.map(|c| c.2),
                change.first_send,
                change.base_version.as_deref().map(str::as_bytes),
                change.code,
                change.vendor_ref.as_deref().map(str::as_bytes),
                change.crashes,
                change.at,
            ])?;
        Ok(())
    }
}
