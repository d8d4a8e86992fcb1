//! What the units of a group need to be read before they can be decided.

use std::collections::{BTreeMap, BTreeSet};

use tl_kernel::effect::EffectState;
use tl_kernel::id::{CaseId, EffectId, TenantId};
use tl_kernel::turn::{EffectWrite, Turn};

use super::looks::L;
use super::short_keys;
use super::view::{Numbered, View};
use crate::contract::{Guard, Row, Unit};
use crate::value::{Val, vals};

/// Keys by look-up, each once, in order.
#[derive(Debug, Default)]
pub(crate) struct Needs<'a> {
    keys: BTreeMap<L, BTreeSet<Vec<Val<'a>>>>,
}

/// What a group needs.
pub(crate) fn needs(units: &[Unit]) -> Needs<'_> {
    let mut needs = Needs::default();
    for unit in units {
        needs.unit(unit);
    }
    // A row that is locked for a change is not locked again to be shared.
    let raised = needs.keys.get(&L::GateRaised).cloned().unwrap_or_default();
    if let Some(shared) = needs.keys.get_mut(&L::Gate) {
        shared.retain(|key| !raised.contains(key));
    }
    needs
}

impl<'a> Needs<'a> {
    /// The look-ups with their keys, in the order of their locks.
    pub(crate) fn all(&self) -> impl Iterator<Item = (L, &BTreeSet<Vec<Val<'a>>>)> {
        let all = self.keys.iter().map(|(look, keys)| (*look, keys));
        all.filter(|(_, keys)| !keys.is_empty())
    }

    /// The tenants whose gates guards compare with.
    pub(crate) fn gates(&self) -> impl Iterator<Item = i64> {
        let keys = [L::Gate, L::GateRaised].map(|look| self.keys.get(&look));
        let keys = keys.into_iter().flatten().flatten();
        keys.filter_map(|key| key.first().and_then(Val::int))
    }

    /// What the first answers lead to, for an engine whose look-ups cost no round trip: the events that hold keys,
    /// and serial keys of effects.
    pub(crate) fn second(&self, view: &View<'_>) -> Needs<'static> {
        let mut next = Needs::default();
        for (tenant, key) in view.dedupe.keys() {
            next.add(L::Holder, vals![tenant.0, *key]);
        }
        for ((tenant, _), effect) in &view.effects {
            if let Some(serial) = effect.serial {
                next.add(L::Serial, vals![tenant.0, serial]);
            }
        }
        next
    }

    /// What must be asked blindly, by an engine for which one more round trip costs more than an empty answer.
    pub(crate) fn blind(&mut self) {
        for (from, to) in [(L::Dedupe, L::Holder), (L::Effect, L::SerialOf)] {
            let keys = self.keys.get(&from).cloned().unwrap_or_default();
            self.keys.entry(to).or_default().extend(keys);
        }
    }

    fn add<const N: usize>(&mut self, look: L, key: [Val<'a>; N]) {
        self.keys.entry(look).or_default().insert(key.to_vec());
    }

    fn unit(&mut self, unit: &'a Unit) {
        let tenant = unit.tenant;
        for guard in &unit.guards {
            self.guard(tenant, guard);
        }
        for turn in &unit.turns {
            self.turn(tenant, turn);
        }
        if !unit.control.is_empty() {
            self.add(L::Control, vals![tenant.0, CaseId::CONTROL.0]);
        }
        for row in &unit.rows {
            self.row(tenant, row);
        }
    }

    fn guard(&mut self, tenant: TenantId, guard: &'a Guard) {
        let t = tenant.0;
        match guard {
            Guard::KeysFree { endpoint, keys } => self.dedupe(tenant, endpoint, keys),
            Guard::NaturalKeysFree { workflow, keys } => {
                for key in short_keys(workflow, keys) {
                    self.add(L::NaturalKey, vals![t, key]);
                }
            }
            Guard::GateAt { .. } => {
                self.add(L::Gate, vals![t]);
                self.add(L::Gate, vals![TenantId::SYSTEM.0]);
            }
            Guard::EffectAt { effect, .. } => self.effect(tenant, *effect),
            Guard::RecordAt { kind, id, .. } => self.add(L::Record, vals![t, kind, id.as_bytes()]),
            Guard::Slot {
                action,
                subject,
                window,
                n,
            } => self.add(L::Slot, vals![t, *window, action, subject, *n]),
            Guard::NodeAt { node, .. } => self.add(L::Node, vals![*node]),
        }
    }

    fn dedupe(&mut self, tenant: TenantId, endpoint: &str, keys: &[tl_kernel::digest::Digest]) {
        for key in short_keys(endpoint, keys) {
            self.add(L::Dedupe, vals![tenant.0, key]);
        }
    }

    fn effect(&mut self, tenant: TenantId, effect: EffectId) {
        self.add(L::Effect, vals![tenant.0, effect.case.0, effect.n]);
    }

    fn turn(&mut self, tenant: TenantId, turn: &'a Turn) {
        self.add(L::Case, vals![tenant.0, &turn.case.0]);
        for key in short_keys(&turn.head.workflow, &turn.natural_keys) {
            self.add(L::NaturalKey, vals![tenant.0, key]);
        }
        for write in &turn.effects {
            match write {
                EffectWrite::Plan(plan) => {
                    // Whatever state it is born in: a later unit of the group may move it.
                    if let Some(serial) = &plan.serial_key {
                        self.add(L::Serial, vals![tenant.0, serial]);
                    }
                }
                EffectWrite::Change { n, .. } | EffectWrite::Withdraw { n } => {
                    let case = turn.case;
                    self.effect(tenant, EffectId { case, n: *n });
                }
            }
        }
    }

    fn row(&mut self, tenant: TenantId, row: &'a Row) {
        let t = tenant.0;
        match row {
            Row::Event { event, keys, .. } => self.dedupe(tenant, &event.endpoint, keys),
            Row::Variant { event, .. }
            | Row::EventJoined { event, .. }
            | Row::EventApart { event } => {
                self.add(L::Event, vals![t, &event.0]);
            }
            Row::Effect(change) => self.effect(tenant, change.effect),
            Row::Record(write) => {
                self.add(L::Record, vals![t, &write.kind, write.id.as_bytes()]);
            }
            Row::Idempotent { principal, key, .. } => {
                self.add(L::Idempotent, vals![t, principal, key.as_bytes()]);
            }
            Row::Placed { .. } => self.add(L::Tree, vals![t]),
            Row::Cursor { name, .. } => self.add(L::Cursor, vals![t, name]),
            Row::Tenant { .. } => self.add(L::Tenants, vals![TenantId::SYSTEM.0]),
            Row::Attempt(_)
            | Row::Outbox(_)
            | Row::Checkpoint(_)
            | Row::People(_)
            | Row::Sweep { .. } => {}
            config => self.config(tenant, config),
        }
    }

    /// Rows that raise the gate's epoch.
    fn config(&mut self, tenant: TenantId, row: &Row) {
        let t = tenant.0;
        self.add(L::GateRaised, vals![t]);
        match row {
            Row::Deploy { .. } | Row::Rollback { .. } => self.add(L::Bundles, vals![t]),
            Row::Secret { .. } | Row::SecretEnds { .. } => self.add(L::Secrets, vals![t]),
            Row::ApiKey { .. } | Row::ApiKeyEnds { .. } => self.add(L::ApiKeys, vals![t]),
            _ => {}
        }
    }
}

/// The tables to which a group adds rows that are numbered.
pub(crate) fn numbered(units: &[Unit]) -> BTreeSet<Numbered> {
    let mut tables = BTreeSet::new();
    for unit in units {
        if !(unit.turns.is_empty() && unit.control.is_empty()) {
            tables.insert(Numbered::Turn);
        }
        let mut writes = unit.turns.iter().flat_map(|t| &t.effects);
        if writes.any(|w| matches!(w, EffectWrite::Plan(_))) {
            tables.insert(Numbered::Effect);
        }
        tables.extend(unit.rows.iter().filter_map(|row| match row {
            Row::Event { .. } => Some(Numbered::Event),
            Row::Record(_) => Some(Numbered::Record),
            Row::Outbox(_) => Some(Numbered::Outbox),
            Row::Idempotent { .. } => Some(Numbered::Idempotent),
            Row::Deploy { .. } => Some(Numbered::Bundle),
            Row::Placed { .. } => Some(Numbered::Placed),
            _ => None,
        }));
    }
    tables
}

/// Whether the state's effects hold their serial key.
pub(super) fn in_flight(state: EffectState) -> bool {
    matches!(
        state,
        EffectState::Dispatching | EffectState::AwaitingCallback | EffectState::Uncertain
    )
}
