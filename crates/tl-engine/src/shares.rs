//! Who gets a send slot. Every effect on its way holds one, and what waits for one stands in lines: each tenant's effects
//! on a connection are one. Two rules keep lines apart:
//!
//! * **Shares.** A line takes another slot only while it holds fewer than are free. So one line holds half of them at
//!   most, and two that grow together hold a third each. Of lines that fill up one after the other and give nothing
//!   back, each holds half of what the ones before have left.
//! * **Turns.** A free slot goes to the next tenant, in a ring; of its effects, to the one that has been due the longest
//!   in a line that may take a slot. What may not is passed over, and looked at again when a slot is given back.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tl_kernel::effect::EffectState;
use tl_kernel::id::TenantId;
use tl_store::contract::{EffectRow, Line};

use crate::node::Share;

/// The send slots of a node, and the lines before them.
#[derive(Debug)]
pub(crate) struct Slots {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    free: usize,
    /// Lines that hold a slot or wait for one, by tenant and connection.
    lines: BTreeMap<TenantId, BTreeMap<String, Place>>,
    /// Whose turn it was last.
    last: Option<TenantId>,
}

/// How a line stands.
#[derive(Debug, Default)]
struct Place {
    /// Slots that its effects hold.
    held: usize,
    /// Found ready or stale, what has been due the longest first.
    waiting: VecDeque<EffectRow>,
}

impl Place {
    /// The rule of shares, with so many slots free.
    fn may_take(&self, free: usize) -> bool {
        self.held < free
    }
}

/// A send slot, given back when it is dropped.
#[derive(Debug)]
pub struct Slot {
    of: Arc<Slots>,
    /// Whose it is, once that is known.
    line: Option<Line>,
}

/// An effect whose turn it is.
#[derive(Debug)]
pub(crate) struct Next {
    pub(crate) row: EffectRow,
    pub(crate) slot: Slot,
    /// Nothing waits in its line any more.
    pub(crate) was_last: bool,
}

impl Slots {
    /// So many slots, all of them free.
    pub(crate) fn new(count: usize) -> Arc<Slots> {
        let inner = Inner {
            free: count,
            lines: BTreeMap::new(),
            last: None,
        };
        Arc::new(Slots {
            inner: Mutex::new(inner),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A slot for an effect of a tenant that is not planned yet, whose line is told by [`Slot::claim`]. None where one
    /// that waits could take it, or where no line that the tenant has may take another: most likely it is for one of
    /// these, and a turn that could not claim its slot is decided twice.
    pub(crate) fn spare(self: &Arc<Slots>, tenant: TenantId) -> Option<Slot> {
        let mut inner = self.lock();
        let free = inner.free;
        let mut places = inner.lines.values().flat_map(BTreeMap::values);
        if free == 0 || places.any(|p| !p.waiting.is_empty() && p.may_take(free)) {
            return None;
        }
        let own = inner.lines.get(&tenant);
        if own.is_some_and(|lines| !lines.values().any(|p| p.may_take(free))) {
            return None;
        }
        inner.free -= 1;
        Some(Slot {
            of: Arc::clone(self),
            line: None,
        })
    }

    /// The effect whose turn it is, with its slot.
    pub(crate) fn next(self: &Arc<Slots>) -> Option<Next> {
        let mut inner = self.lock();
        let (tenant, connection) = inner.turn()?;
        let place = inner.lines.get_mut(&tenant)?.get_mut(&connection)?;
        let row = place.waiting.pop_front()?;
        place.held += 1;
        let was_last = place.waiting.is_empty();
        inner.free -= 1;
        inner.last = Some(tenant);
        let slot = Slot {
            of: Arc::clone(self),
            line: Some((tenant, connection)),
        };
        Some(Next {
            row,
            slot,
            was_last,
        })
    }

    /// Puts what was found at the end of its lines. Of several nodes that find the same each begins somewhere else.
    pub(crate) fn add(&self, mut rows: Vec<EffectRow>, share: Share) {
        rows.sort_by_key(|r| r.due);
        let mut inner = self.lock();
        let is_first = inner.waiting().next().is_none();
        let mut grown = BTreeSet::new();
        for row in rows {
            let line = (row.tenant, row.connection.clone());
            inner.place(&line).waiting.push_back(row);
            grown.insert(line);
        }
        for line in &grown {
            share.turn(inner.place(line).waiting.make_contiguous());
        }
        if is_first && share != Share::ALONE {
            let mut tenants: Vec<TenantId> = inner.lines.keys().copied().collect();
            share.turn(&mut tenants);
            inner.last = tenants.last().copied();
        }
    }

    /// Lines in which somebody waits.
    pub(crate) fn waiting(&self) -> BTreeSet<Line> {
        let inner = self.lock();
        let lines = inner.waiting().map(|(tenant, name, _)| (tenant, name));
        lines.map(|(t, n)| (t, n.to_owned())).collect()
    }

    /// How many more may come to wait, where so many may in all lines together; at least 1, so that no line is passed
    /// over.
    pub(crate) fn room(&self, most: u32) -> u32 {
        let inner = self.lock();
        let waiting: usize = inner.waiting().map(|(.., place)| place.waiting.len()).sum();
        let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
        most.saturating_sub(waiting).max(1)
    }

    /// Whether somebody waits in a line.
    pub(crate) fn is_awaited(&self, tenant: TenantId, connection: &str) -> bool {
        let inner = self.lock();
        let place = inner.lines.get(&tenant).and_then(|l| l.get(connection));
        place.is_some_and(|p| !p.waiting.is_empty())
    }

    /// How many wait in each line.
    pub(crate) fn depths(&self) -> BTreeMap<Line, usize> {
        let inner = self.lock();
        let depth = |(tenant, name, place): (TenantId, &str, &Place)| {
            ((tenant, name.to_owned()), place.waiting.len())
        };
        inner.waiting().map(depth).collect()
    }

    /// Since when the oldest effect of each tenant is ready that waits, µs.
    pub(crate) fn oldest(&self) -> BTreeMap<TenantId, i64> {
        let inner = self.lock();
        let mut oldest = BTreeMap::new();
        for (tenant, _, place) in inner.waiting() {
            let ready = place.waiting.iter();
            let ready = ready.filter(|r| r.state == EffectState::Ready);
            if let Some(due) = ready.map(|r| r.due).min() {
                let known = oldest.entry(tenant).or_insert(due);
                *known = due.min(*known);
            }
        }
        oldest
    }
}

impl Inner {
    fn place(&mut self, (tenant, connection): &Line) -> &mut Place {
        let lines = self.lines.entry(*tenant).or_default();
        lines.entry(connection.clone()).or_default()
    }

    fn waiting(&self) -> impl Iterator<Item = (TenantId, &str, &Place)> {
        let all = self.lines.iter();
        let all = all.flat_map(|(t, lines)| lines.iter().map(|(name, p)| (*t, name.as_str(), p)));
        all.filter(|(_, _, p)| !p.waiting.is_empty())
    }

    /// The line whose turn it is.
    fn turn(&self) -> Option<Line> {
        let from = self.last.map_or(Bound::Unbounded, Bound::Excluded);
        let after = self.lines.range((from, Bound::Unbounded));
        // Once around; where nobody was last, that was all of them already.
        let until = self.last.map(|last| self.lines.range(..=last));
        let mut ring = after.chain(until.into_iter().flatten());
        ring.find_map(|(tenant, lines)| {
            let may = lines.iter().filter(|(_, p)| p.may_take(self.free));
            let front = may.filter_map(|(name, p)| Some((p.waiting.front()?.due, name)));
            Some((*tenant, front.min()?.1.clone()))
        })
    }

    /// A slot comes back.
    fn give_back(&mut self, line: Option<&Line>) {
        self.free += 1;
        let Some((tenant, connection)) = line else {
            return;
        };
        let Some(lines) = self.lines.get_mut(tenant) else {
            return;
        };
        if let Some(place) = lines.get_mut(connection) {
            place.held -= 1;
            if place.held == 0 && place.waiting.is_empty() {
                lines.remove(connection);
            }
        }
        if lines.is_empty() {
            self.lines.remove(tenant);
        }
    }
}

impl Slot {
    /// Counts it to a line, unless the share of that is used up.
    pub(crate) fn claim(&mut self, tenant: TenantId, connection: &str) -> bool {
        let line = (tenant, connection.to_owned());
        let mut inner = self.of.lock();
        // What is asked for is the slot that is held here already.
        let free = inner.free + 1;
        let place = inner.place(&line);
        let may = place.may_take(free);
        if may {
            place.held += 1;
            drop(inner);
            self.line = Some(line);
        }
        may
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.of.lock().give_back(self.line.as_ref());
    }
}

#[cfg(test)]
mod tests;
