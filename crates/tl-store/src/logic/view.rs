//! What is known of the database while a group is decided: what was read, and what the group's units did since.

use std::collections::{BTreeMap, BTreeSet};

use tl_kernel::digest::{Digest, sha256};
use tl_kernel::effect::EffectState;
use tl_kernel::id::{CaseId, EffectId, EventId, TenantId};

use super::effects::Known;
use super::looks::L;
use crate::error::StoreError;
use crate::keys::ShortKey;
use crate::value::Fields;
use crate::writes::W;

/// Where a case stands: length of its journal and state.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CaseNow {
    pub(crate) seq: u32,
    pub(crate) state: u16,
    /// Its row among the changes, once the group has changed it.
    pub(crate) row: Option<(W, usize)>,
}

/// A dedupe key that is there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    /// `ord` of the event.
    pub(crate) event: i64,
    /// Free from this instant on, µs.
    pub(crate) expires: i64,
    /// Its row among the changes, once the group has changed it.
    pub(crate) row: Option<(W, usize)>,
}

/// An event that dedupe keys lead to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Holder<'a> {
    pub(crate) id: EventId,
    pub(crate) payload: Payload<'a>,
}

/// A payload whose digest may be asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Payload<'a> {
    /// Of an event that was there; nothing can be said once it is erased.
    Known(Digest),
    /// Of an event of this group.
    Brought(&'a [u8]),
}

impl Payload<'_> {
    pub(crate) fn digest(&self) -> Digest {
        match self {
            Payload::Known(digest) => *digest,
            Payload::Brought(bytes) => sha256(&[bytes]),
        }
    }
}

/// A table whose rows are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Numbered {
    Turn,
    Event,
    Effect,
    Record,
    Outbox,
    Idempotent,
    Bundle,
    Placed,
}

impl Numbered {
    /// All of them, in order.
    pub(crate) const ALL: [Numbered; 8] = [
        Numbered::Turn,
        Numbered::Event,
        Numbered::Effect,
        Numbered::Record,
        Numbered::Outbox,
        Numbered::Idempotent,
        Numbered::Bundle,
        Numbered::Placed,
    ];
}

/// The next `ord` of each of these tables.
#[derive(Debug, Default)]
pub(crate) struct Ords([i64; 8]);

impl Ords {
    /// The same number for all tables.
    pub(crate) fn from(next: i64) -> Ords {
        Ords([next; 8])
    }

    /// The next number of a table.
    pub(crate) fn of(&mut self, table: Numbered) -> &mut i64 {
        &mut self.0[table as usize]
    }

    /// The number to be given now; the next one follows.
    pub(crate) fn take(&mut self, table: Numbered) -> i64 {
        let next = self.of(table);
        *next += 1;
        *next - 1
    }
}

/// A use of a limit: start of the window, action, subject, which use.
pub(crate) type SlotKey = (TenantId, i64, String, Digest, u32);

#[derive(Debug, Default)]
pub(crate) struct View<'a> {
    pub(crate) dedupe: BTreeMap<(TenantId, ShortKey), Held>,
    pub(crate) holders: BTreeMap<i64, Holder<'a>>,
    pub(crate) natural: BTreeMap<(TenantId, ShortKey), CaseId>,
    pub(crate) cases: BTreeMap<(TenantId, CaseId), CaseNow>,
    pub(crate) effects: BTreeMap<(TenantId, EffectId), Known>,
    pub(crate) serials: BTreeSet<(TenantId, Digest)>,
    /// Length of control streams.
    pub(crate) control: BTreeMap<TenantId, u32>,
    pub(crate) events: BTreeMap<(TenantId, EventId), i64>,
    pub(crate) records: BTreeMap<(TenantId, String, Vec<u8>), u64>,
    pub(crate) slots: BTreeSet<SlotKey>,
    pub(crate) answers: BTreeSet<(TenantId, String, Vec<u8>)>,
    pub(crate) gates: BTreeMap<TenantId, u64>,
    pub(crate) nodes: BTreeMap<u32, u64>,
    pub(crate) trees: BTreeMap<TenantId, u64>,
    pub(crate) cursors: BTreeMap<(TenantId, String), i64>,
    pub(crate) bundles: BTreeMap<(TenantId, u32), String>,
    pub(crate) secrets: BTreeMap<(TenantId, String, String), Option<i64>>,
    pub(crate) api_keys: BTreeMap<(TenantId, String), Option<i64>>,
    pub(crate) tenants: BTreeMap<u32, String>,
    pub(crate) next: Ords,
}

impl View<'_> {
    /// Takes an answer of a look-up in.
    pub(crate) fn absorb(&mut self, look: L, r: &Fields<'_>) -> Result<(), StoreError> {
        let tenant = || r.get(0).map(TenantId);
        match look {
            L::Node => {
                self.nodes.insert(r.get(0)?, r.get(1)?);
            }
            L::Gate | L::GateRaised => {
                self.gates.insert(tenant()?, r.get(1)?);
            }
            L::Dedupe => {
                let held = Held {
                    event: r.get(2)?,
                    expires: r.get(3)?,
                    row: None,
                };
                self.dedupe.insert((tenant()?, r.get(1)?), held);
            }
            L::Holder => {
                let payload: Option<Vec<u8>> = r.get(2)?;
                let holder = Holder {
                    id: EventId(r.get(1)?),
                    payload: Payload::Known(payload.map_or([0; 32], |p| sha256(&[&p]))),
                };
                self.holders.insert(r.get(0)?, holder);
            }
            L::NaturalKey => {
                self.natural
                    .insert((tenant()?, r.get(1)?), CaseId(r.get(2)?));
            }
            L::Case => {
                let now = CaseNow {
                    seq: r.get(2)?,
                    state: r.get(3)?,
                    row: None,
                };
                self.cases.insert((tenant()?, CaseId(r.get(1)?)), now);
            }
            L::Effect => {
                let effect = EffectId {
                    case: CaseId(r.get(1)?),
                    n: r.get(2)?,
                };
                self.effects.insert((tenant()?, effect), Known::read(r)?);
            }
            L::Serial | L::SerialOf => {
                self.serials.insert((tenant()?, r.get(1)?));
            }
            L::Control => {
                self.control.insert(tenant()?, r.get(1)?);
            }
            L::Event => {
                self.events
                    .insert((tenant()?, EventId(r.get(1)?)), r.get(2)?);
            }
            other => return self.absorb_rare(other, r),
        }
        Ok(())
    }

    fn absorb_rare(&mut self, look: L, r: &Fields<'_>) -> Result<(), StoreError> {
        let tenant = || r.get(0).map(TenantId);
        match look {
            L::Record => {
                self.records
                    .insert((tenant()?, r.get(1)?, r.get(2)?), r.get(3)?);
            }
            L::Slot => {
                self.slots
                    .insert((tenant()?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?));
            }
            L::Idempotent => {
                self.answers.insert((tenant()?, r.get(1)?, r.get(2)?));
            }
            L::Tree => {
                self.trees.insert(tenant()?, r.get(1)?);
            }
            L::Cursor => {
                self.cursors.insert((tenant()?, r.get(1)?), r.get(2)?);
            }
            L::Bundles => {
                self.bundles.insert((tenant()?, r.get(1)?), r.get(2)?);
            }
            L::Secrets => {
                self.secrets
                    .insert((tenant()?, r.get(1)?, r.get(2)?), r.get(3)?);
            }
            L::ApiKeys => {
                self.api_keys.insert((tenant()?, r.get(1)?), r.get(2)?);
            }
            _ => {
                self.tenants.insert(r.get(0)?, r.get(1)?);
            }
        }
        Ok(())
    }

    /// The key, unless it is free at an instant.
    pub(crate) fn held(&self, tenant: TenantId, key: ShortKey, now: i64) -> Option<Held> {
        let held = self.dedupe.get(&(tenant, key)).copied();
        held.filter(|held| held.expires > now)
    }

    /// State and attempt of an effect.
    pub(crate) fn standing(
        &self,
        tenant: TenantId,
        effect: EffectId,
    ) -> Option<(EffectState, u32)> {
        let known = self.effects.get(&(tenant, effect))?;
        Some((known.state, known.attempt))
    }

    /// Epoch of a gate row; 0 when it was never raised.
    pub(crate) fn gate(&self, tenant: TenantId) -> u64 {
        self.gates.get(&tenant).copied().unwrap_or(0)
    }

    /// The newest version of a record; 0 when there is none.
    pub(crate) fn record(&self, tenant: TenantId, kind: &str, id: &str) -> u64 {
        let key = (tenant, kind.to_owned(), id.as_bytes().to_vec());
        self.records.get(&key).copied().unwrap_or(0)
    }
}
