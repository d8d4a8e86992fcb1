//! Cases that wait for a person until their clock runs out. They are opened one after the other, so their clocks run out
//! as quickly as they were opened; before the first does, the server is killed and started again with all of them open.
//! With churn, other cases set clocks and cancel them meanwhile. How late each was is read from the journal.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tl_bench::load::measure;
use tl_bench::quantile;
use tl_kernel::id::{CaseId, TenantId};
use tl_kernel::journal::{Entry, TimerKind, open};
use tl_store::Store;

use super::figures::Goal;
use super::house::{CLOCKS_PER_SECOND, House, block_on, pass, sla};
use super::phases::{Run, number, promises, steady};
use crate::app::{App, DEFAULT_TENANT, Mode};
use crate::lock::{self, Taken};

/// Turns of a page.
const PAGE: u32 = 10_000;
/// A clock that has not run out so long after it was due counts as one that never did.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked whether all have run out.
const LOOK: Duration = Duration::from_secs(1);
const MIB: f64 = 1024.0 * 1024.0;

/// What the memory of the server grows by for each clock that only waits, bytes.
const IDLE: f64 = 300.0;

/// Measures.
pub fn run(run: Run<'_>) -> anyhow::Result<()> {
    let clocks = run.options.timers;
    run.house.restart()?;
    let idle = run.house.memory();
    let load = run.load("waiting", |l| {
        l.rate = Some(CLOCKS_PER_SECOND as f64);
        l.seconds = clocks as f64 / CLOCKS_PER_SECOND as f64;
        // Nothing of it comes to the CRM.
        l.drain = 0.0;
    })?;
    let seen = measure(load)?;
    let opened_at = Instant::now();
    let opened = number(&seen, "/acknowledged_leads")?;
    ensure!(
        opened == clocks as f64,
        "{opened} of {clocks} messages were taken"
    );
    run.house.kill()?;
    let ready = run.house.start()?;
    let memory = run.house.memory();
    let last_due = Duration::from_secs(sla(clocks));
    let left = last_due.saturating_sub(opened_at.elapsed());
    let beside = match run.options.churn {
        0 => None,
        churn => Some(measure(run.load("leads", |l| {
            steady(l, churn as f64);
            l.seconds = left.as_secs_f64();
        })?)?),
    };
    pass(last_due.saturating_sub(opened_at.elapsed()))?;
    while run.house.metric("throughline_timers")? > 0.0 && opened_at.elapsed() < last_due + PATIENCE
    {
        pass(LOOK)?;
    }
    run.house.stop()?;
    let mut past = past(run.house)?;
    run.house.start()?;
    past.late.sort_unstable();
    let in_time = past.late.iter().map(|l| l.max(&0).unsigned_abs());
    let in_time: Vec<u64> = in_time.collect();
    let early = past.late.iter().filter(|l| **l < 0).count() as u64;
    let f = run.figures;
    f.add(
        format!("start to ready, {clocks} open cases after kill -9"),
        ready,
        "ms",
    );
    f.add(format!("memory, {clocks} open cases"), memory, "MiB");
    let each = (memory - idle).max(0.0) * MIB / clocks as f64;
    f.aim(
        &format!("memory of a clock that waits, mean of {clocks}"),
        (each, "bytes"),
        Goal::Most(IDLE),
    );
    for (name, share) in [("p50", 0.5), ("p99", 0.99), ("most", 1.0)] {
        let value = quantile(&in_time, share) as f64 / 1e3;
        f.add(
            format!("lateness {name} of {clocks} clocks, {CLOCKS_PER_SECOND}/s"),
            value,
            "ms",
        );
    }
    let never = clocks.saturating_sub(past.late.len() as u64);
    for (name, count) in [
        ("clocks that ran out early", (early, clocks)),
        ("clocks that never ran out", (never, clocks)),
        ("clocks that ran out twice", (past.twice, clocks)),
        (
            "clocks that ran out although cancelled",
            (past.after_all, past.cancelled),
        ),
    ] {
        f.must_be_zero(name, "timers", count);
    }
    f.count("clocks that were cancelled", (past.cancelled, past.set));
    if let Some(beside) = beside {
        let name = "cases beside the clocks, each sets clocks and cancels them";
        f.add(name, number(&beside, "/cases_per_s")?, "/s");
        promises(f, &beside, "timers")?;
    }
    Ok(())
}

/// What the journal tells of clocks.
#[derive(Debug, Default)]
struct Past {
    /// By how much each clock of a waiting case was late, µs; below zero for one that ran out early.
    late: Vec<i64>,
    /// Clocks that were set, of whatever case.
    set: u64,
    cancelled: u64,
    /// Ended a second time, by running out again.
    twice: u64,
    /// Cancelled, and ran out.
    after_all: u64,
}

/// How a clock stands.
#[derive(Debug, Clone, Copy)]
enum Clock {
    /// Until this instant, µs; and whether it is one of those that run out.
    Runs(i64, bool),
    Fired,
    Cancelled,
}

impl Past {
    fn take(&mut self, at: i64, clocks: &mut BTreeMap<u32, Clock>, entry: &Entry) {
        match entry {
            Entry::TimerSet { n, kind, due } => {
                self.set += 1;
                clocks.insert(*n, Clock::Runs(*due, *kind == TimerKind::Breach));
            }
            Entry::TimerEnded { n, fired } => {
                match (clocks.get(n), fired) {
                    (Some(Clock::Runs(due, true)), true) => self.late.push(at - due),
                    (Some(Clock::Fired), true) => self.twice += 1,
                    (Some(Clock::Cancelled), true) => self.after_all += 1,
                    (_, false) => self.cancelled += 1,
                    _ => {}
                }
                let ended = match fired {
                    true => Clock::Fired,
                    false => Clock::Cancelled,
                };
                clocks.insert(*n, ended);
            }
            _ => {}
        }
    }
}

/// Reads the journal of a server that is stopped.
fn past(house: &House) -> anyhow::Result<Past> {
    let config = house.config()?;
    let lock = match lock::take(&config.data_dir).map_err(|e| anyhow::anyhow!("{e}"))? {
        Taken::Ours(lock) => lock,
        Taken::Theirs(_) => anyhow::bail!("the data directory is in use"),
    };
    block_on(async {
        let (app, _) = App::open(config, Some(lock), Mode::Alone)
            .await
            .map_err(|e| anyhow::anyhow!("{e}"))?;
        let tenant = app.desk.tenant_id(DEFAULT_TENANT).await?;
        let past = read(app.desk.store(), tenant.context("no tenant")?).await?;
        app.close().await;
        anyhow::Ok(past)
    })
}

async fn read(store: &Store, tenant: TenantId) -> anyhow::Result<Past> {
    let mut clocks: BTreeMap<CaseId, BTreeMap<u32, Clock>> = BTreeMap::new();
    let mut past = Past::default();
    let mut after = 0;
    loop {
        let page = store.turns(after, PAGE, Some(tenant), false).await?;
        let Some((last, ..)) = page.last() else {
            return Ok(past);
        };
        after = *last;
        for (_, _, case, sealed) in &page {
            let (head, _) = open(sealed)?;
            let of_case = clocks.entry(*case).or_default();
            for entry in &head.entries {
                past.take(head.at, of_case, entry);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_tells_of_each_clock_how_it_ended() {
        let kind = TimerKind::Breach;
        let set = |n, due| Entry::TimerSet { n, kind, due };
        let ended = |n, fired| Entry::TimerEnded { n, fired };
        let (mut past, mut clocks) = (Past::default(), BTreeMap::new());
        for (at, entry) in [
            (0, set(1, 100)),
            (0, set(2, 100)),
            (0, set(3, 100)),
            (90, ended(1, true)),
            (95, ended(2, false)),
            (103, ended(3, true)),
            (104, ended(3, true)),
            (105, ended(2, true)),
        ] {
            past.take(at, &mut clocks, &entry);
        }
        assert_eq!(past.late, [-10, 3]);
        assert_eq!((past.set, past.cancelled), (3, 1));
        assert_eq!((past.twice, past.after_all), (1, 1));
    }
}
