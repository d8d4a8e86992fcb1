//! The loads, and what is told of each.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use serde_json::Value as Json;
use tl_bench::load::{Load, measure};

use super::figures::{Figures, Goal};
use super::house::{House, pass};
use super::{Options, brownout, lists, noisy, timers};

/// Connections of an open loop: enough that the server, not their number, decides how long a message waits.
const OPEN: usize = 64;
/// How much more than it can take an overload offers.
const TOO_MUCH: f64 = 10.0;
/// Connections of an overload, for each of a closed loop.
const CROWD: u64 = 10;
/// How long an overload lasts at least, seconds: doors close once work has waited for ten.
const OVERLOAD: f64 = 20.0;
/// How long the usual rate is sent after it, seconds: what is not as usual again by then is a goal missed.
const BACK: f64 = 30.0;
/// How long the CRM takes for an answer when the server is killed, so that writes are on their way.
const SLOW: Duration = Duration::from_millis(50);
/// How long nothing may arrive before a run in which the server was killed is over, seconds.
const AFTER_KILL: f64 = 5.0;
/// How long at most to wait for a backlog, seconds.
const PATIENCE: f64 = 600.0;
/// Cases at which `growth` measures first.
const FIRST: u64 = 1_000;

/// A phase that is being measured.
pub struct Run<'a> {
    pub options: &'a Options,
    pub house: &'a mut House,
    pub figures: &'a mut Figures,
}

impl Run<'_> {
    /// Throughput, and what a case costs.
    pub fn closed(self) -> anyhow::Result<()> {
        let idle = self.house.memory();
        self.house.restart()?;
        let (bytes, commits) = (self.bytes()?, self.house.counted("throughline_commits")?);
        let seen = measure(self.load("leads", |l| l.connections = self.connections())?)?;
        let commits = self.house.counted("throughline_commits")? - commits;
        let cases = number(&seen, "/cases")?;
        self.house.restart()?;
        let grown = self.bytes()? - bytes;
        let f = self.figures;
        f.add("cases, closed loop", number(&seen, "/cases_per_s")?, "/s");
        f.add(
            "accepted, closed loop",
            number(&seen, "/accepted_per_s")?,
            "/s",
        );
        f.add(
            "reply p50, closed loop",
            number(&seen, "/reply_ms/p50")?,
            "ms",
        );
        f.add(
            "reply p99, closed loop",
            number(&seen, "/reply_ms/p99")?,
            "ms",
        );
        f.add("CPU per case", number(&seen, "/cpu_ms_per_case")?, "ms");
        f.add("commits per case, shared", commits / cases, "");
        f.add("store per closed case", grown / cases, "bytes");
        f.add("memory idle", idle, "MiB");
        f.add("memory under load", number(&seen, "/peak_mib")?, "MiB");
        promises(f, &seen, "closed loop")
    }

    /// Latency at a steady rate.
    pub fn open(self) -> anyhow::Result<()> {
        let rate = self.options.rate;
        let seen = measure(self.load("leads", |l| steady(l, rate as f64))?)?;
        latencies(self.figures, &seen, &format!("{rate}/s"))?;
        promises(self.figures, &seen, &format!("{rate}/s"))
    }

    /// Each message twice.
    pub fn twice(self) -> anyhow::Result<()> {
        let rate = self.options.rate as f64;
        let load = self.load("leads", |l| {
            steady(l, rate);
            l.copies = 2;
        })?;
        let seen = measure(load)?;
        let (cases, leads) = (
            number(&seen, "/cases")?,
            number(&seen, "/acknowledged_leads")?,
        );
        self.figures
            .add("cases per lead, each sent twice", cases / leads, "");
        promises(self.figures, &seen, "each sent twice")
    }

    /// Ten times what it can take, and the usual rate right after that.
    pub fn overload(self) -> anyhow::Result<()> {
        let connections = self.connections();
        let usual = measure(self.load("leads", |l| {
            l.connections = connections;
            l.seconds = l.seconds.min(5.0);
        })?)?;
        let can = number(&usual, "/cases_per_s")?;
        let crowd = (self.options.connections * CROWD) as usize;
        let rate = self.options.rate;
        let seen = measure(self.load("leads", |l| {
            steady(l, can * TOO_MUCH);
            l.seconds = l.seconds.max(OVERLOAD);
            l.connections = crowd;
            l.then_rate = Some(rate as f64);
            l.then_seconds = BACK;
        })?)?;
        let f = self.figures;
        f.add("offered, overload", can * TOO_MUCH, "/s");
        f.add(
            "accepted, overload",
            number(&seen, "/accepted_per_s")?,
            "/s",
        );
        answers(f, &seen, "overload");
        let done = number(&seen, "/cases_in_time_per_s")?;
        f.add("cases, overload", done, "/s");
        let goodput = (done / can * 100.0, "%");
        f.aim(
            "cases, overload, of those without it",
            goodput,
            Goal::Least(90.0),
        );
        let accepted = (number(&seen, "/accepted_ms/p99")?, "ms");
        f.aim("accepted p99, overload", accepted, Goal::Below(500.0));
        let answers = number(&seen, "/answer_ms/p99")?;
        f.add("answer p99, overload", answers, "ms");
        let back = (number(&seen, "/then/usual_after_s")?, "s");
        let soon = Goal::Below(BACK - 1.0);
        f.aim("answered as usual again after it", back, soon);
        let backlog = count(&seen, ("/backlog", "/acknowledged_leads"))?;
        f.count("acknowledged and not yet done at its end", backlog);
        f.add("memory, overload", number(&seen, "/peak_mib")?, "MiB");
        let at = format!("{rate}/s from the overload on");
        latencies(f, &seen["then"], &at)?;
        for part in [&seen, &seen["then"]] {
            honest(f, part, "overload")?;
        }
        promises(f, &seen, "overload")
    }

    /// kill -9 in the middle of a load.
    pub fn kill(self) -> anyhow::Result<()> {
        self.house.delay_crm(SLOW)?;
        let rate = self.options.rate;
        let load = self.load("leads", |l| {
            steady(l, rate as f64);
            l.quiet = AFTER_KILL;
            // The process that is started again is another one.
            l.pid.clear();
        })?;
        let half = Duration::from_secs_f64(load.seconds / 2.0);
        let sender = std::thread::spawn(move || measure(load));
        pass(half)?;
        self.house.kill()?;
        let ready = self.house.start()?;
        let seen = sender
            .join()
            .map_err(|_| anyhow!("the load generator failed"))??;
        self.house.delay_crm(Duration::ZERO)?;
        self.figures.add("kill -9: start to ready", ready, "ms");
        self.figures.count(
            "kill -9: writes sent again with their key",
            count(&seen, ("/repeats", "/cases"))?,
        );
        promises(self.figures, &seen, "kill -9")
    }

    /// The same load and the same lists, with ever more cases behind them.
    pub fn growth(self) -> anyhow::Result<()> {
        let mut at = FIRST;
        while at <= self.options.cases {
            let there = self.house.metric("throughline_events_stored")? as u64;
            let connections = self.connections();
            if at > there {
                let fill = self.load("leads", |l| {
                    l.connections = connections;
                    l.count = Some(at - there);
                })?;
                promises(self.figures, &measure(fill)?, &format!("filling to {at}"))?;
            }
            let seen = measure(self.load("leads", |l| l.connections = connections)?)?;
            let slowest = lists::slowest(self.house)?;
            let f = &mut *self.figures;
            f.add(
                format!("cases, {at} behind"),
                number(&seen, "/cases_per_s")?,
                "/s",
            );
            f.add(
                format!("CPU per case, {at} behind"),
                number(&seen, "/cpu_ms_per_case")?,
                "ms",
            );
            f.add(
                format!("slowest list ({}) p99, {at} behind", slowest.list),
                slowest.p99_ms,
                "ms",
            );
            f.add(
                format!("memory, {at} behind"),
                number(&seen, "/peak_mib")?,
                "MiB",
            );
            promises(f, &seen, &format!("{at} behind"))?;
            at *= 10;
        }
        self.house.stop()?;
        self.figures
            .add("start to ready, after that", self.house.start()?, "ms");
        Ok(())
    }

    /// Open cases whose clocks run out together.
    pub fn timers(self) -> anyhow::Result<()> {
        timers::run(self)
    }

    /// One tenant that sends a hundred times as much as each of the others.
    pub fn noisy(self) -> anyhow::Result<()> {
        noisy::run(self)
    }

    /// A CRM of another tenant that hangs.
    pub fn brownout(self) -> anyhow::Result<()> {
        brownout::run(self)
    }

    /// A load on an endpoint, changed as the phase wants it.
    pub fn load(&self, endpoint: &str, change: impl FnOnce(&mut Load)) -> anyhow::Result<Load> {
        let house = &self.house;
        let at = |door: String| format!("http://{door}/hooks/default/{endpoint}");
        let urls = house.doors().map(at).collect();
        let mut load = Load::to(urls, house.secret(endpoint)?, house.crm.clone());
        load.pid = house.pids();
        load.seconds = self.options.seconds as f64;
        load.drain = PATIENCE;
        change(&mut load);
        Ok(load)
    }

    fn connections(&self) -> usize {
        self.options.connections as usize
    }

    fn bytes(&self) -> anyhow::Result<f64> {
        self.house.metric("throughline_store_bytes")
    }
}

/// Sends when it is due, at this rate.
pub fn steady(load: &mut Load, rate: f64) {
    load.rate = Some(rate);
    load.connections = OPEN;
}

fn latencies(f: &mut Figures, seen: &Json, at: &str) -> anyhow::Result<()> {
    for (what, place) in [
        ("reply p50", "/reply_ms/p50"),
        ("reply p99", "/reply_ms/p99"),
        ("end to end p50", "/e2e_ms/p50"),
        ("end to end p99", "/e2e_ms/p99"),
    ] {
        f.add(format!("{what}, {at}"), number(seen, place)?, "ms");
    }
    Ok(())
}

/// How often each answer came, of all answers.
pub fn answers(f: &mut Figures, seen: &Json, phase: &str) {
    let answers = seen["answers"].as_object().into_iter().flatten();
    let answers: Vec<_> = answers.map(|(s, n)| (s, n.as_u64().unwrap_or(0))).collect();
    let all = answers.iter().map(|(_, n)| n).sum();
    for (status, count) in answers {
        f.count(format!("answers {status}, {phase}"), (count, all));
    }
}

/// Whoever is refused is told when to come again.
pub fn honest(f: &mut Figures, seen: &Json, phase: &str) -> anyhow::Result<()> {
    let untimed = count(seen, ("/untimed", "/refused"))?;
    f.must_be_zero("refused without Retry-After", phase, untimed);
    Ok(())
}

/// What must hold whatever happened.
pub fn promises(f: &mut Figures, seen: &Json, phase: &str) -> anyhow::Result<()> {
    for (name, at, of) in [
        ("acknowledged and lost", "/lost", "/acknowledged_leads"),
        ("written again with another key", "/extra", "/cases"),
    ] {
        f.must_be_zero(name, phase, count(seen, (at, of))?);
    }
    Ok(())
}

/// A number of what the load generator tells.
pub fn number(seen: &Json, at: &str) -> anyhow::Result<f64> {
    let value = seen.pointer(at).and_then(Json::as_f64);
    value.with_context(|| format!("the load generator does not tell {at}"))
}

/// A count of what the load generator tells, and of how many it is.
pub fn count(seen: &Json, (at, of): (&str, &str)) -> anyhow::Result<(u64, u64)> {
    Ok((number(seen, at)? as u64, number(seen, of)? as u64))
}
