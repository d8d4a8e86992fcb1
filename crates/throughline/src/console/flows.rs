//! How the line runs: counts that are kept, and shares of the newest cases.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use tl_console::Trouble;
use tl_console::views::{Health, HealthPage, Share, Station};
use tl_engine::tenant::Tenant;
use tl_kernel::case::{Case, GoalClock, fold};
use tl_kernel::effect::EffectState;
use tl_kernel::journal::open;
use tl_kernel::program::Program;
use tl_kernel::time::{DAY, HOUR, MINUTE};
use tl_kernel::value::Value;
use tl_store::contract::{CaseFilter, Stats};

use super::Rooms;
use super::words::{trouble, unread};
use crate::explain::goal_words;

/// The newest cases of a workflow from which shares are taken.
const NEWEST: u32 = 200;
/// How long a sample is good, µs.
const FRESH: i64 = 5_000_000;
/// Columns of the small chart at most.
const COLUMNS: usize = 24;
/// What one of its columns may stand for.
const STEPS: [(i64, &str); 6] = [
    (MINUTE, "minute"),
    (10 * MINUTE, "ten minutes"),
    (HOUR, "hour"),
    (6 * HOUR, "six hours"),
    (DAY, "day"),
    (7 * DAY, "week"),
];

/// What the newest cases of each workflow show, and when they were looked at.
pub(super) struct Sample {
    at: i64,
    flows: BTreeMap<String, Newest>,
}

#[derive(Debug, Clone, Default)]
struct Newest {
    opened: Vec<i64>,
    touched_after: Vec<i64>,
    goal: Share,
    automated: Share,
}

impl Rooms {
    pub(super) async fn health_now(&self) -> Result<HealthPage, Trouble> {
        let view = self.view().await?;
        let (store, now) = (self.app.desk.store(), self.app.desk.now());
        let stats = store.stats(now).await.map_err(unread)?;
        let sample = self.newest(&view, now).await?;
        let mut flows = Vec::new();
        for (id, (_, bundle)) in &view.current {
            let stations = self.stations(&view, &bundle.program, &stats).await?;
            let newest = sample.get(id).cloned().unwrap_or_default();
            flows.push(flow(
                &view,
                &bundle.program,
                (stations, newest),
                (&stats, now),
            ));
        }
        Ok(HealthPage {
            asks: asks(&view, &stats),
            flows,
            events: (stats.events, stats.duplicates),
            since: self.app.opened_at,
            build: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }

    /// The states of a workflow with what stands in them.
    pub(super) async fn stations(
        &self,
        view: &Tenant,
        program: &Program,
        stats: &Stats,
    ) -> Result<Vec<Station>, Trouble> {
        let store = self.app.desk.store();
        let oldest = store.oldest_open(view.id, program.id.clone()).await;
        let oldest: BTreeMap<u16, i64> = oldest.map_err(unread)?.into_iter().collect();
        let count = |state: u16| {
            let own = stats.cases.iter();
            own.filter(|c| c.0 == view.id && c.1 == program.id && c.2 == state)
                .map(|c| c.3)
                .sum()
        };
        let numbered = (0..).zip(&program.states);
        Ok(numbered
            .map(|(ix, s)| Station {
                name: s.name.clone(),
                owner: s.owner.clone(),
                n: count(ix),
                oldest: oldest.get(&ix).copied(),
                sla: s.sla,
                terminal: s.terminal,
            })
            .collect())
    }

    /// The sample, taken anew when it is old.
    async fn newest(&self, view: &Tenant, now: i64) -> Result<BTreeMap<String, Newest>, Trouble> {
        {
            let known = self.sample.lock().unwrap_or_else(PoisonError::into_inner);
            let some = |s: &&Sample| s.flows.values().any(|n| !n.opened.is_empty());
            let fresh = |s: &&Sample| now < s.at + FRESH;
            if let Some(s) = known.as_ref().filter(fresh).filter(some) {
                return Ok(s.flows.clone());
            }
        }
        let mut flows = BTreeMap::new();
        for id in view.current.keys() {
            flows.insert(id.clone(), self.sample_of(view, id).await?);
        }
        let mut known = self.sample.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some(Sample {
            at: now,
            flows: flows.clone(),
        });
        Ok(flows)
    }

    async fn sample_of(&self, view: &Tenant, workflow: &str) -> Result<Newest, Trouble> {
        let store = self.app.desk.store();
        let filter = CaseFilter {
            tenant: Some(view.id),
            workflow: Some(workflow.to_owned()),
            limit: NEWEST,
            ..CaseFilter::default()
        };
        let mut out = Newest::default();
        for row in store.cases(filter).await.map_err(unread)? {
            let journal = store.journal(view.id, row.case).await.map_err(unread)?;
            let damaged = |e: tl_kernel::journal::JournalError| Trouble::refused("", e.to_string());
            let case = fold(view.id, row.case, &journal).map_err(damaged)?;
            let mut person = false;
            for sealed in &journal {
                person |= open(sealed).map_err(damaged)?.0.actor.is_person();
            }
            out.opened.push(case.opened_at);
            out.touched_after.extend(touched_after(&case));
            match case.goal {
                GoalClock::Met { .. } => {
                    out.goal.of += 1;
                    out.goal.n += 1;
                }
                GoalClock::Missed { .. } => out.goal.n += 1,
                _ => {}
            }
            if row.head.closed {
                out.automated.n += 1;
                out.automated.of += u64::from(!person);
            }
        }
        out.touched_after.sort_unstable();
        Ok(out)
    }
}

/// From arrival to the first touch, where the record keeps both.
fn touched_after(case: &Case) -> Option<i64> {
    let time = |name: &str| match case.record.get(name).map(|f| &f.value) {
        Some(Value::Time(t)) => Some(*t),
        _ => None,
    };
    let received = time("received_at").unwrap_or(case.opened_at);
    Some(time("first_touched_at")?.saturating_sub(received))
}

fn flow(
    view: &Tenant,
    program: &Program,
    (stations, newest): (Vec<Station>, Newest),
    (stats, now): (&Stats, i64),
) -> Health {
    let goal = program.goal.as_ref();
    let touched = &newest.touched_after;
    let (arrivals, arrivals_step) = columns(&newest.opened, now);
    Health {
        workflow: program.id.clone(),
        version: program.version.clone(),
        goal: goal.map_or_else(String::new, |g| goal_words(program, g)),
        owner: goal.map_or_else(String::new, |g| g.owner.clone()),
        stations,
        sample: newest.opened.len() as u64,
        since: newest.opened.iter().copied().min(),
        first_touch: quantile(touched, 50)
            .zip(quantile(touched, 90))
            .map(|(half, most)| (half, most, touched.len() as u64)),
        arrivals,
        arrivals_step: arrivals_step.to_owned(),
        goal_met: newest.goal,
        automated: newest.automated,
        tasks: stats
            .tasks
            .iter()
            .filter(|t| t.0 == view.id)
            .map(|t| (t.1.clone(), t.2, t.3))
            .collect(),
    }
}

/// The smallest value that so many of a hundred do not exceed.
fn quantile(sorted: &[i64], of_hundred: usize) -> Option<i64> {
    let rank = (sorted.len() * of_hundred).div_ceil(100);
    sorted.get(rank.max(1) - 1).copied()
}

/// Arrivals in columns of the smallest step that shows all of them.
fn columns(opened: &[i64], now: i64) -> (Vec<u64>, &'static str) {
    let Some(first) = opened.iter().copied().min() else {
        return (Vec::new(), "day");
    };
    let fits = |step: &&(i64, &str)| (now - first) / step.0 < COLUMNS as i64;
    let (step, name) = *STEPS.iter().find(fits).unwrap_or(&STEPS[STEPS.len() - 1]);
    let mut out = vec![0; COLUMNS];
    for at in opened {
        let back = usize::try_from((now - at).max(0) / step).unwrap_or(usize::MAX);
        if let Some(column) = COLUMNS.checked_sub(back + 1).and_then(|i| out.get_mut(i)) {
            *column += 1;
        }
    }
    (out, name)
}

/// What asks for somebody, with where to go.
fn asks(view: &Tenant, stats: &Stats) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let uncertain: u64 = stats
        .effects_open
        .iter()
        .filter(|e| e.0 == view.id && e.2 == EffectState::Uncertain)
        .map(|e| e.3)
        .sum();
    if uncertain > 0 {
        let words = match uncertain {
            1 => "1 effect may or may not have happened".to_owned(),
            n => format!("{n} effects may or may not have happened"),
        };
        out.push((words, "/failures".to_owned()));
    }
    let tasks = stats.tasks.iter().filter(|t| t.0 == view.id);
    let (n, oldest) = tasks.fold((0, 0), |(n, age), t| (n + t.2, age.max(t.3)));
    if n > 0 {
        let (what, verb) = if n == 1 {
            ("task", "waits")
        } else {
            ("tasks", "wait")
        };
        let oldest = tl_kernel::time::duration_text(oldest);
        let words = format!("{n} {what} {verb} for a person, the oldest for {oldest}");
        out.push((words, "/inbox".to_owned()));
    }
    out
}

impl Rooms {
    /// The version of a workflow that is current, or why there is none.
    pub(super) fn current<'v>(
        view: &'v Tenant,
        id: &str,
    ) -> Result<&'v tl_engine::tenant::Bundle, Trouble> {
        let found = view.current.get(id);
        let found = found.ok_or_else(|| super::words::no_workflow(id));
        found.map(|(_, bundle)| bundle.as_ref())
    }

    /// Counts of the store.
    pub(super) async fn stats(&self) -> Result<Stats, Trouble> {
        let stats = self.app.desk.store().stats(self.app.desk.now()).await;
        stats.map_err(|e| trouble(e.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_seen() {
        let seen: Vec<i64> = (1..=10).collect();
        assert_eq!(
            (quantile(&seen, 50), quantile(&seen, 90)),
            (Some(5), Some(9))
        );
        assert_eq!((quantile(&[7], 50), quantile(&[], 50)), (Some(7), None));
    }

    #[test]
    fn every_arrival_stands_in_a_column() {
        let now = 10 * DAY;
        for (ages, step) in [
            (vec![0, MINUTE], "minute"),
            (vec![0, 3 * HOUR], "ten minutes"),
            (vec![HOUR, 9 * DAY], "day"),
            (vec![0, 30 * DAY], "week"),
        ] {
            let opened: Vec<i64> = ages.iter().map(|a| now - a).collect();
            let (columns, named) = columns(&opened, now);
            assert_eq!(named, step);
            assert_eq!(columns.iter().sum::<u64>(), ages.len() as u64, "{ages:?}");
        }
        assert!(columns(&[], now).0.is_empty());
    }
}
