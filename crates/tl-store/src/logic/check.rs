//! Everything that must still be true when a unit is applied: its guards, in order, then what its turns and rows
//! imply.

use std::collections::BTreeMap;

use tl_kernel::digest::Digest;
use tl_kernel::id::CaseId;

use super::view::View;
use super::{Stop, config, effects, fault};
use crate::contract::{Guard, Refused, Row, Unit};
use crate::keys::short_key;
use tl_kernel::id::TenantId;

/// Whether the unit may be applied.
pub(super) fn check(view: &View<'_>, unit: &Unit) -> Result<(), Stop> {
    let checker = Checker { view, unit };
    for guard in &unit.guards {
        checker.guard(guard)?;
    }
    checker.turns()?;
    effects::check(view, unit)?;
    checker.rows()
}

struct Checker<'g, 'a> {
    view: &'g View<'a>,
    unit: &'g Unit,
}

impl Checker<'_, '_> {
    fn guard(&self, guard: &Guard) -> Result<(), Stop> {
        let (view, tenant) = (self.view, self.unit.tenant);
        match guard {
            Guard::KeysFree { endpoint, keys } => self.keys_free(endpoint, keys),
            Guard::NaturalKeysFree { workflow, keys } => {
                for (index, key) in (0..).zip(keys) {
                    if let Some(case) = view.natural.get(&(tenant, short_key(workflow, key))) {
                        let case = *case;
                        return Err(Refused::NaturalKeyTaken { case, index }.into());
                    }
                }
                Ok(())
            }
            Guard::GateAt {
                tenant: own,
                installation,
            } => {
                let now = (view.gate(tenant), view.gate(TenantId::SYSTEM));
                holds(now == (*own, *installation), Refused::GateMoved)
            }
            Guard::EffectAt {
                effect,
                state,
                attempt,
            } => {
                let effect = *effect;
                holds(
                    view.standing(tenant, effect) == Some((*state, *attempt)),
                    Refused::EffectMoved { effect },
                )
            }
            Guard::RecordAt { kind, id, version } => {
                let now = view.record(tenant, kind, id);
                holds(now == *version, Refused::RecordMoved { version: now })
            }
            Guard::Slot {
                action,
                subject,
                window,
                n,
            } => {
                let slot = (tenant, *window, action.clone(), *subject, *n);
                holds(!view.slots.contains(&slot), Refused::SlotTaken)
            }
            Guard::NodeAt { node, epoch } => {
                holds(view.nodes.get(node) == Some(epoch), Refused::Fenced)
            }
        }
    }

    fn keys_free(&self, endpoint: &str, keys: &[Digest]) -> Result<(), Stop> {
        let now = received(self.unit);
        for key in keys {
            let key = short_key(endpoint, key);
            let Some(held) = self.view.held(self.unit.tenant, key, now) else {
                continue;
            };
            let holder = self.view.holders.get(&held.event);
            let holder = holder.ok_or_else(|| fault("a dedupe key leads to no event"))?;
            let refused = Refused::Duplicate {
                event: holder.id,
                payload: holder.payload.digest(),
            };
            return Err(Stop::Duplicate(held.event, refused));
        }
        Ok(())
    }

    /// Each turn is the next one of its case.
    fn turns(&self) -> Result<(), Stop> {
        let mut length: BTreeMap<CaseId, u32> = BTreeMap::new();
        for turn in &self.unit.turns {
            let case = turn.case;
            if turn.tenant != self.unit.tenant || case == CaseId::CONTROL || turn.sealed.seq == 0 {
                return Err(fault("a turn belongs to another tenant or to no case"));
            }
            let before = self.view.cases.get(&(turn.tenant, case));
            let seq = length.entry(case).or_insert(before.map_or(0, |c| c.seq));
            if turn.sealed.seq != *seq + 1 {
                return Err(Refused::CaseMoved { case }.into());
            }
            *seq += 1;
        }
        Ok(())
    }

    /// What rows imply.
    fn rows(&self) -> Result<(), Stop> {
        let (view, tenant) = (self.view, self.unit.tenant);
        let mut versions: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        let mut brought = Vec::new();
        for row in &self.unit.rows {
            match row {
                Row::Event { event, .. } => brought.push(event.id),
                Row::Variant { event, .. }
                | Row::EventJoined { event, .. }
                | Row::EventApart { event } => {
                    let there = view.events.contains_key(&(tenant, *event));
                    if !there && !brought.contains(event) {
                        return Err(fault("the event does not exist"));
                    }
                }
                Row::Record(write) => {
                    let key = (write.kind.as_str(), write.id.as_str());
                    let now = versions
                        .entry(key)
                        .or_insert_with(|| view.record(tenant, key.0, key.1));
                    holds(
                        write.version == *now + 1,
                        Refused::RecordMoved { version: *now },
                    )?;
                    *now += 1;
                }
                Row::Idempotent { principal, key, .. } => {
                    let used = (tenant, principal.clone(), key.as_bytes().to_vec());
                    holds(!view.answers.contains(&used), Refused::KeyUsed)?;
                }
                Row::Placed { pos, .. } => {
                    let size = view.trees.get(&tenant).copied().unwrap_or(0);
                    holds(size == *pos, Refused::TreeMoved { size })?;
                }
                other => config::check(view, tenant, other)?,
            }
        }
        Ok(())
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
