//! Counts kept with the rows they count, so that `status` and metrics never scan a large table. The changes of a
//! group are added up in memory and written once per group.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};
use tl_kernel::effect::{Class, EffectState};
use tl_kernel::id::TenantId;

/// What is counted; the numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// Cases, by workflow and state.
    Case = 1,
    /// Effects, by class and state.
    Effect = 2,
    /// Events accepted.
    Event = 3,
    /// Duplicates seen.
    Duplicate = 4,
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

    /// Writes the changes.
    pub(super) fn flush(self, conn: &Connection) -> rusqlite::Result<()> {
        if self.changes.is_empty() {
            return Ok(());
        }
        let mut add = conn.prepare_cached(
            "INSERT INTO counter (tenant, what, name, state, n) VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT (tenant, what, name, state) DO UPDATE SET n = counter.n + excluded.n",
        )?;
        for ((tenant, what, name, state), n) in self.changes {
            if n != 0 {
                add.execute(params![tenant.0, what as i64, name, state, n])?;
            }
        }
        Ok(())
    }
}
