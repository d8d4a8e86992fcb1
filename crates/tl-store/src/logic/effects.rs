//! Changes of the ledger: checked as a walk through the unit, then applied in the same order.

use std::collections::{BTreeMap, BTreeSet};

use tl_kernel::digest::Digest;
use tl_kernel::effect::{Class, EffectState};
use tl_kernel::id::{EffectId, TenantId};
use tl_kernel::journal::args_in;
use tl_kernel::turn::{EffectKind, EffectPlan, EffectWrite, Turn};

use super::needs::in_flight;
use super::view::{Numbered, View};
use super::{Out, Stop, fault};
use crate::contract::{EffectChange, Refused, Row, Unit};
use crate::error::StoreError;
use crate::value::{Fields, Val, damaged, vals};
use crate::writes::{Changes, W};

/// A ledger row as far as changes need it: what finds it, and everything that changes.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) ord: i64,
    pub(crate) class: Class,
    pub(crate) serial: Option<Digest>,
    pub(crate) state: EffectState,
    pub(crate) attempt: u32,
    due: i64,
    valid_until: i64,
    hold: String,
    base_version: Option<Vec<u8>>,
    claim: (Option<u32>, Option<i64>, Option<i64>),
    first_send: Option<i64>,
    updated_at: i64,
    code: String,
    vendor_ref: Option<Vec<u8>>,
    crashes: u32,
    /// Its row among those to be added, when this group plans it.
    fresh: Option<usize>,
    /// It was there and the group has changed it.
    changed: bool,
}

impl Known {
    /// The answer of the look-up.
    pub(crate) fn read(r: &Fields<'_>) -> Result<Known, StoreError> {
        Ok(Known {
            ord: r.get(3)?,
            class: Class::from_number(r.get(4)?).ok_or_else(|| damaged(4))?,
            serial: r.get(5)?,
            state: state(6, r.get(6)?)?,
            due: r.get(7)?,
            valid_until: r.get(8)?,
            hold: r.get(9)?,
            base_version: r.get(10)?,
            attempt: r.get(11)?,
            claim: (r.get(12)?, r.get(13)?, r.get(14)?),
            first_send: r.get(15)?,
            updated_at: r.get(16)?,
            code: r.get(17)?,
            vendor_ref: r.get(18)?,
            crashes: r.get(19)?,
            fresh: None,
            changed: false,
        })
    }

    fn planned(ord: i64, plan: &EffectPlan, at: i64) -> Known {
        let born = plan.born;
        Known {
            ord,
            class: plan.class,
            serial: plan.serial_key,
            state: plan.state,
            attempt: u32::from(born.is_some()),
            due: plan.due,
            valid_until: plan.valid_until,
            hold: String::new(),
            base_version: plan.base_version.as_ref().map(|v| v.as_bytes().to_vec()),
            claim: (
                born.map(|b| b.node),
                born.map(|b| b.epoch.cast_signed()),
                born.map(|b| b.deadline),
            ),
            first_send: None,
            updated_at: at,
            code: String::new(),
            vendor_ref: None,
            crashes: 0,
            fresh: None,
            changed: false,
        }
    }

    /// The columns that change, as they end the table's description.
    fn image<'a>(&self) -> [Val<'a>; 14] {
        vals![
            self.state as i64,
            self.due,
            self.valid_until,
            self.hold.clone(),
            self.base_version.clone(),
            self.attempt,
            self.claim.0,
            self.claim.1,
            self.claim.2,
            self.first_send,
            self.updated_at,
            self.code.clone(),
            self.vendor_ref.clone(),
            self.crashes,
        ]
    }

    /// Withdrawn: it may not be sent any more.
    fn withdrawn(&self) -> bool {
        self.valid_until == 0
    }

    fn take_row(&mut self, change: &EffectChange) {
        self.state = change.to;
        self.attempt = change.attempt;
        self.due = change.due;
        self.hold.clone_from(&change.hold);
        if let Some((node, epoch, deadline)) = change.claim {
            self.claim = (Some(node), Some(epoch.cast_signed()), Some(deadline));
        }
        self.first_send = self.first_send.or(change.first_send);
        let given = |text: &Option<String>| text.as_ref().map(|t| t.as_bytes().to_vec());
        self.base_version = given(&change.base_version).or_else(|| self.base_version.take());
        self.code.clone_from(&change.code);
        self.vendor_ref = given(&change.vendor_ref).or_else(|| self.vendor_ref.take());
        self.crashes = change.crashes;
        self.updated_at = change.at;
    }
}

/// The state of a stored number in a column.
pub(crate) fn state(column: usize, number: i64) -> Result<EffectState, StoreError> {
    EffectState::from_number(number).ok_or_else(|| damaged(column))
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
                planned.insert(of(turn, plan.n));
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

fn of(turn: &Turn, n: u32) -> EffectId {
    EffectId { case: turn.case, n }
}

/// A row as the unit would leave it.
#[derive(Clone, Copy)]
struct Standing {
    at: (EffectState, u32),
    serial: Option<Digest>,
    withdrawn: bool,
}

/// The ledger as the unit would leave it, step by step.
struct Walk<'g, 'a> {
    view: &'g View<'a>,
    tenant: TenantId,
    now: BTreeMap<EffectId, Standing>,
    /// Serial keys that the unit took (true) or set free (false).
    serials: BTreeMap<Digest, bool>,
}

/// Checks every change of the ledger that the unit makes.
pub(super) fn check(view: &View<'_>, unit: &Unit) -> Result<(), Stop> {
    let mut walk = Walk {
        view,
        tenant: unit.tenant,
        now: BTreeMap::new(),
        serials: BTreeMap::new(),
    };
    for step in steps(unit) {
        match step {
            Step::Turn(turn, EffectWrite::Plan(plan)) => walk.plan(of(turn, plan.n), plan)?,
            Step::Turn(turn, EffectWrite::Change { n, from, to, .. }) => {
                let effect = of(turn, *n);
                let attempt = walk.load(effect)?.at.1;
                walk.change(effect, (*from, attempt), (*to, attempt))?;
            }
            // Never refuses: a row that is on its way or settled is left alone.
            Step::Turn(turn, EffectWrite::Withdraw { n }) => {
                let effect = of(turn, *n);
                if let Ok(mut standing) = walk.load(effect)
                    && standing.at.0 == EffectState::Ready
                {
                    standing.withdrawn = true;
                    walk.now.insert(effect, standing);
                }
            }
            Step::Row(change) => {
                walk.change(change.effect, change.from, (change.to, change.attempt))?;
            }
        }
    }
    Ok(())
}

impl Walk<'_, '_> {
    fn load(&self, effect: EffectId) -> Result<Standing, Stop> {
        if let Some(standing) = self.now.get(&effect) {
            return Ok(*standing);
        }
        let known = self.view.effects.get(&(self.tenant, effect));
        let known = known.ok_or(Refused::EffectMoved { effect })?;
        Ok(Standing {
            at: (known.state, known.attempt),
            serial: known.serial,
            withdrawn: known.withdrawn(),
        })
    }

    fn plan(&mut self, effect: EffectId, plan: &EffectPlan) -> Result<(), Stop> {
        if (plan.state == EffectState::Dispatching) != plan.born.is_some() {
            return Err(fault(
                "an effect is born dispatching with a claim, or neither",
            ));
        }
        if let (true, Some(serial)) = (in_flight(plan.state), plan.serial_key) {
            self.take(serial)?;
        }
        let standing = Standing {
            at: (plan.state, u32::from(plan.born.is_some())),
            serial: plan.serial_key,
            withdrawn: plan.valid_until == 0,
        };
        self.now.insert(effect, standing);
        Ok(())
    }

    fn change(
        &mut self,
        effect: EffectId,
        from: (EffectState, u32),
        to: (EffectState, u32),
    ) -> Result<(), Stop> {
        let mut standing = self.load(effect)?;
        // Whoever read the row before it was withdrawn may not send it any more.
        let late = standing.withdrawn && to.0 == EffectState::Dispatching;
        if late || standing.at != from {
            return Err(Refused::EffectMoved { effect }.into());
        }
        let stays = from.0 == to.0 && !to.0.is_settled();
        if !stays && !from.0.may_become(to.0) {
            let (from, to) = (from.0.word(), to.0.word());
            return Err(fault(format!("no edge leads from {from} to {to}")));
        }
        if let Some(serial) = standing.serial {
            match (in_flight(from.0), in_flight(to.0)) {
                (false, true) => self.take(serial)?,
                (true, false) => {
                    self.serials.insert(serial, false);
                }
                _ => {}
            }
        }
        standing.at = to;
        self.now.insert(effect, standing);
        Ok(())
    }

    fn take(&mut self, serial: Digest) -> Result<(), Stop> {
        let busy = match self.serials.get(&serial) {
            Some(busy) => *busy,
            None => self.view.serials.contains(&(self.tenant, serial)),
        };
        if busy {
            return Err(Refused::Serial.into());
        }
        self.serials.insert(serial, true);
        Ok(())
    }
}

impl<'a> Out<'_, 'a> {
    /// Applies every change of the ledger that the unit makes. `check` has seen them.
    pub(super) fn effects(&mut self, unit: &'a Unit) {
        for step in steps(unit) {
            match step {
                Step::Turn(turn, EffectWrite::Plan(plan)) => self.plan(turn, plan),
                Step::Turn(
                    turn,
                    EffectWrite::Change {
                        n, to, due, code, ..
                    },
                ) => {
                    self.change((unit.tenant, of(turn, *n)), |known| {
                        known.state = *to;
                        known.due = *due;
                        known.code.clone_from(code);
                        known.updated_at = turn.head.updated_at;
                    });
                }
                Step::Turn(turn, EffectWrite::Withdraw { n }) => {
                    let key = (unit.tenant, of(turn, *n));
                    let known = self.view.effects.get(&key);
                    if known.is_some_and(|k| k.state == EffectState::Ready) {
                        self.change(key, |known| {
                            known.valid_until = 0;
                            known.updated_at = turn.head.updated_at;
                        });
                    }
                }
                Step::Row(change) => {
                    self.change((unit.tenant, change.effect), |known| known.take_row(change));
                }
            }
        }
    }

    fn plan(&mut self, turn: &'a Turn, plan: &'a EffectPlan) {
        let tenant = turn.tenant;
        let at = turn.head.updated_at;
        let ord = self.view.next.take(Numbered::Effect);
        let mut known = Known::planned(ord, plan, at);
        let kind = match plan.kind {
            EffectKind::Effect => 0_i64,
            EffectKind::Ask => 1,
        };
        let row: [Val<'a>; 27] = join(
            vals![
                ord,
                tenant.0,
                &turn.case.0,
                plan.n,
                turn.sealed.seq,
                kind,
                &plan.action,
                &plan.connection,
                plan.class as i64,
                &plan.digest,
                &plan.key,
                plan.serial_key,
                at,
            ],
            known.image(),
        );
        known.fresh = Some(self.changes.at(W::Effect).push(row));
        let body = turn.sealed.body.as_deref().unwrap_or_default();
        if args_in(body, plan.n) != Some(&plan.args) {
            let row = vals![ord, tenant.0, &plan.args];
            self.changes.at(W::EffectBody).push(row);
        }
        self.counters.effect(tenant, plan.class, (None, plan.state));
        if let (Some(serial), true) = (plan.serial_key, in_flight(plan.state)) {
            self.view.serials.insert((tenant, serial));
        }
        self.view.effects.insert((tenant, of(turn, plan.n)), known);
    }

    fn change(&mut self, key: (TenantId, EffectId), how: impl FnOnce(&mut Known)) {
        let Some(known) = self.view.effects.get_mut(&key) else {
            return;
        };
        let from = known.state;
        how(known);
        match known.fresh {
            Some(row) => self.changes.at(W::Effect).overwrite(row, known.image()),
            None => known.changed = true,
        }
        let (class, serial, to) = (known.class, known.serial, known.state);
        self.counters.effect(key.0, class, (Some(from), to));
        if let (Some(serial), true) = (serial, in_flight(from) != in_flight(to)) {
            match in_flight(to) {
                true => self.view.serials.insert((key.0, serial)),
                false => self.view.serials.remove(&(key.0, serial)),
            };
        }
    }
}

/// Hands over the rows that were there and have changed. Those that set their serial key free come first, so that
/// others of the group find it free.
pub(super) fn flush(view: &View<'_>, changes: &mut Changes<'_>) {
    for ((tenant, _), known) in view.effects.iter().filter(|(_, k)| k.changed) {
        let write = match in_flight(known.state) {
            true => W::EffectSet,
            false => W::EffectLanded,
        };
        let row = join::<2, 14, 16>(vals![known.ord, tenant.0], known.image());
        changes.at(write).push(row);
    }
}

/// Two parts of a row, one after the other.
fn join<'a, const A: usize, const B: usize, const N: usize>(
    first: [Val<'a>; A],
    second: [Val<'a>; B],
) -> [Val<'a>; N] {
    let mut all = first.into_iter().chain(second);
    std::array::from_fn(|_| all.next().unwrap_or(Val::Null))
}
