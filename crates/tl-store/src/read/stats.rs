//! Counts for `status` and metrics. Large tables are counted as they change; small sets are counted here.

use std::collections::{BTreeMap, BTreeSet};

use tl_kernel::effect::{Class, EffectState};
use tl_kernel::id::TenantId;

use super::lists::UNSETTLED;
use super::{Answer, Reader};
use crate::backend::Source;
use crate::contract::Stats;
use crate::logic::{What, state};
use crate::sqlite::dialect;

const LEAVES: &str = "SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM tree";
const PENDING: &str = "SELECT COUNT(*), MIN(received_at) FROM event WHERE joined = 0";
const TASKS: &str = "SELECT tenant, kind, COUNT(*), MIN(opened_at) FROM task WHERE closed_at IS NULL \
     GROUP BY tenant, kind ORDER BY tenant, kind";
const FIRST_TIMER: &str = "SELECT MIN(due) FROM timer";
const TIMERS: &str = "SELECT COUNT(*) FROM timer";
const KEPT: &str = "SELECT tenant, what, name, state, CAST(SUM(n) AS BIGINT) FROM counter \
     GROUP BY tenant, what, name, state HAVING SUM(n) <> 0 ORDER BY tenant, what, name, state";

/// The number stands in the text, so that the index over effects in this state is found.
fn open_sql(state: EffectState) -> String {
    format!(
        "SELECT tenant, action, COUNT(*), MIN(planned_at) FROM effect WHERE state = {} \
         GROUP BY tenant, action ORDER BY tenant, action",
        state as i64
    )
}

/// All of them.
pub(super) fn texts() -> Vec<String> {
    let plain = [LEAVES, PENDING, TASKS, FIRST_TIMER, TIMERS, KEPT];
    let plain = plain.into_iter().map(str::to_owned);
    plain.chain(UNSETTLED.map(open_sql)).collect()
}

impl Reader {
    /// Counts; ages are taken at `now` (µs).
    pub fn stats(&self, now: i64) -> Answer<Stats> {
        self.at_once(TenantId::SYSTEM, || self.counts(now))
    }

    fn counts(&self, now: i64) -> Answer<Stats> {
        let mut stats = Stats {
            bytes: self.size()?,
            leaves: self.sum(LEAVES)?,
            ..Stats::default()
        };
        self.kept(&mut stats)?;
        self.oldest_cases(now, &mut stats)?;
        let pending: Option<(i64, Option<i64>)> =
            self.row(PENDING, &[], |r| Ok((r.get(0)?, r.get(1)?)))?;
        if let Some((n, Some(oldest))) = pending {
            stats.events_pending = (count(n), age(now, oldest));
        }
        for state in UNSETTLED {
            self.open_effects(state, now, &mut stats)?;
        }
        stats.tasks = self.rows(TASKS, &[], |r| {
            let oldest: i64 = r.get(3)?;
            Ok((
                TenantId(r.get(0)?),
                r.get(1)?,
                count(r.get(2)?),
                age(now, oldest),
            ))
        })?;
        let first: Option<i64> = self.row(FIRST_TIMER, &[], |r| r.get(0))?.flatten();
        stats.timers = (self.sum(TIMERS)?, first.map_or(0, |due| age(now, due)));
        Ok(stats)
    }

    /// Size of the database in bytes.
    fn size(&self) -> Answer<u64> {
        match &self.source {
            Source::Sqlite(s) => Ok(dialect::size(s.conn())?),
            Source::Postgres(_) => self.sum("SELECT pg_database_size(current_database())"),
        }
    }

    fn sum(&self, sql: &str) -> Answer<u64> {
        Ok(self.row(sql, &[], |r| r.get(0))?.unwrap_or(0))
    }

    /// The counts that are kept with the rows.
    fn kept(&self, stats: &mut Stats) -> Answer<()> {
        type Kept = (u32, i64, String, i64, i64);
        let rows: Vec<Kept> = self.rows(KEPT, &[], |r| {
            Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?))
        })?;
        let mut effects: BTreeMap<(Class, EffectState), u64> = BTreeMap::new();
        for (tenant, what, name, number, n) in rows {
            let n = count(n);
            if what == What::Case as i64 {
                let number = u16::try_from(number).unwrap_or(u16::MAX);
                stats.cases.push((TenantId(tenant), name, number, n));
            } else if what == What::Effect as i64 {
                if let Some(class) = Class::parse(&name) {
                    *effects.entry((class, state(3, number)?)).or_insert(0) += n;
                }
            } else if what == What::Event as i64 {
                stats.events += n;
            } else if what == What::Duplicate as i64 {
                stats.duplicates += n;
            } else if what == What::Turn as i64 {
                stats.turns += n;
            }
        }
        stats.effects = effects
            .into_iter()
            .map(|((class, state), n)| (class, state, n))
            .collect();
        Ok(())
    }

    /// The oldest open case of each workflow and state of which there are cases.
    fn oldest_cases(&self, now: i64, stats: &mut Stats) -> Answer<()> {
        let workflows: BTreeSet<(TenantId, String)> =
            stats.cases.iter().map(|c| (c.0, c.1.clone())).collect();
        for (tenant, workflow) in workflows {
            for (state, since) in self.oldest_open(tenant, &workflow)? {
                let oldest = (tenant, workflow.clone(), state, age(now, since));
                stats.cases_oldest.push(oldest);
            }
        }
        Ok(())
    }

    /// Effects in one state that is not settled, by tenant and action.
    fn open_effects(&self, state: EffectState, now: i64, stats: &mut Stats) -> Answer<()> {
        let rows = self.rows(&open_sql(state), &[], |r| {
            let oldest: i64 = r.get(3)?;
            Ok((
                TenantId(r.get(0)?),
                r.get(1)?,
                state,
                count(r.get(2)?),
                age(now, oldest),
            ))
        })?;
        stats.effects_open.extend(rows);
        Ok(())
    }
}

fn count(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

fn age(now: i64, since: i64) -> i64 {
    now.saturating_sub(since).max(0)
}
