//! Counts kept with the rows they count, so that `status` and metrics never scan a large table. The changes of a
//! group are added up in memory and written once per group.

use std::collections::BTreeMap;

use tl_kernel::effect::{Class, EffectState};
use tl_kernel::id::TenantId;

use crate::value::vals;
use crate::writes::{Changes, W};

/// What is counted; the numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    /// Cases, by workflow and state.
    Case = 1,
    /// Effects, by class and state.
    Effect = 2,
    /// Events accepted.
    Event = 3,
    /// Duplicates seen.
    Duplicate = 4,
    /// Turns of the journal, those of control streams included.
    Turn = 5,
}

/// The changes of one group.
#[derive(Debug, Default)]
pub(super) struct Counters {
    changes: BTreeMap<(TenantId, What, String, i64), i64>,
}

impl Counters {
    fn add(&mut self, key: (TenantId, What, &str, i64), change: i64) {
        let (tenant, what, name, state) = key;
        *self
            .changes
            .entry((tenant, what, name.to_owned(), state))
            .or_insert(0) += change;
    }

    /// A case is in a state now, and was in another one before, if it existed.
    pub(super) fn case(&mut self, tenant: TenantId, workflow: &str, moved: (Option<u16>, u16)) {
        let (from, to) = moved;
        if from == Some(to) {
            return;
        }
        if let Some(from) = from {
            self.add((tenant, What::Case, workflow, i64::from(from)), -1);
        }
        self.add((tenant, What::Case, workflow, i64::from(to)), 1);
    }

    /// As `case`, for an effect.
    pub(super) fn effect(
        &mut self,
        tenant: TenantId,
        class: Class,
        moved: (Option<EffectState>, EffectState),
    ) {
        let (from, to) = moved;
        if from == Some(to) {
            return;
        }
        if let Some(from) = from {
            self.add((tenant, What::Effect, class.word(), from as i64), -1);
        }
        self.add((tenant, What::Effect, class.word(), to as i64), 1);
    }

    /// One more event or duplicate.
    pub(super) fn seen(&mut self, tenant: TenantId, what: What) {
        self.add((tenant, what, "", 0), 1);
    }

    /// One more turn.
    pub(super) fn turn(&mut self, tenant: TenantId) {
        self.add((tenant, What::Turn, "", 0), 1);
    }

    /// Hands the changes over.
    pub(super) fn flush(self, changes: &mut Changes<'_>, node: u32) {
        for ((tenant, what, name, state), n) in self.changes {
            if n != 0 {
                let row = vals![tenant.0, what as i64, name, state, node, n];
                changes.at(W::Counter).push(row);
            }
        }
    }
}
