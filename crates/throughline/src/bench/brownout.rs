//! The CRM of another tenant hangs: it takes half a minute over each write. Measured is what the others notice of it.

use std::net::TcpListener;
use std::time::Duration;

use anyhow::anyhow;
use tl_bench::http::ask;
use tl_bench::load::measure;
use tl_bench::rounded;

use super::figures::Goal;
use super::house::{block_on, pass};
use super::phases::{Run, answers, honest, number, promises, steady};
use super::tenants;

/// How long the other tenant's CRM takes over a write.
const HANGS: Duration = Duration::from_secs(30);
/// For how long the other one sends before the load that is measured, and after it.
const AROUND: u64 = 1;
/// How long nothing may arrive before its run is over, seconds: what was cut short is looked at again.
const QUIET: f64 = 5.0;
/// How many times as long as without it the others may wait.
const WORSE: f64 = 1.2;

/// Measures.
pub fn run(run: Run<'_>) -> anyhow::Result<()> {
    let rate = run.options.rate as f64;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let hanging = listener.local_addr()?.to_string();
    std::thread::spawn(move || tl_bench::crm::run(listener, HANGS));
    let doors = tenants::open(run.house, 1, Some(&hanging))?;
    // Every node has heard of it then.
    run.house.restart()?;
    let stuck = run.load("leads", |l| {
        steady(l, rate);
        l.tenants = doors;
        l.crm = hanging.clone();
        l.seconds += 2.0 * AROUND as f64;
        l.quiet = QUIET;
    })?;
    let load = run.load("leads", |l| steady(l, rate))?;
    let before = measure(load.clone())?;
    let sender = std::thread::spawn(move || measure(stuck));
    pass(Duration::from_secs(AROUND))?;
    let beside = measure(load.clone())?;
    // What hangs is answered now.
    block_on(ask(&hanging, "POST", "/delay/0"))?;
    let stuck = sender.join();
    let stuck = stuck.map_err(|_| anyhow!("the load generator failed"))??;
    let after = measure(load)?;
    let f = run.figures;
    for (what, at) in [("reply", "/reply_ms/p99"), ("end to end", "/e2e_ms/p99")] {
        let alone = (number(&before, at)? + number(&after, at)?) / 2.0;
        let seen = number(&beside, at)?;
        f.add(format!("{what} p99, no CRM hangs"), alone, "ms");
        f.add(
            format!("{what} p99, another tenant's CRM hangs"),
            seen,
            "ms",
        );
        let name = format!("{what} p99 beside a CRM that hangs, ratio");
        f.aim(&name, (rounded(seen / alone), ""), Goal::Most(WORSE));
    }
    answers(f, &stuck, "tenant whose CRM hangs");
    for part in [&before, &beside, &after, &stuck] {
        honest(f, part, "brownout")?;
        promises(f, part, "brownout")?;
    }
    Ok(())
}
