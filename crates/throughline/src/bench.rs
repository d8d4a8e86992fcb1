//! `throughline bench`: measures this build on this machine. An installation of its own in a temporary directory, a server
//! as a process of its own, a stub of a CRM and a load generator beside it; nothing of the project is touched.

mod brownout;
mod figures;
mod house;
mod lists;
mod noisy;
mod phases;
mod tenants;
mod timers;

use std::thread;

use clap::{Args, ValueEnum};
use serde_json::{Value as Json, json};

use self::figures::Figures;
use self::house::House;
use crate::failure::Failure;
use crate::page::Page;

/// What is measured, and how much of it.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// What to measure; closed, open, twice and kill when none is named
    #[arg(value_enum)]
    pub phases: Vec<Phase>,
    /// An empty PostgreSQL database instead of a SQLite file
    #[arg(long, value_name = "URL")]
    pub store: Option<String>,
    /// Nodes that share the database; each has its part of the load
    #[arg(long, default_value_t = 1, requires = "store", value_parser = clap::value_parser!(u64).range(1..=16))]
    pub nodes: u64,
    /// How long each load lasts, seconds
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub seconds: u64,
    /// Connections of a closed loop
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub connections: u64,
    /// Messages a second of an open loop
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub rate: u64,
    /// How far `growth` goes, cases
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1_000..=100_000_000))]
    pub cases: u64,
    /// How many clocks `timers` lets run
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(100..=10_000_000))]
    pub timers: u64,
    /// Cases a second beside the clocks of `timers`, each of which sets clocks and cancels them
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=10_000))]
    pub churn: u64,
    /// Tenants of `noisy`, one of which is
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(2..=1_000))]
    pub tenants: u64,
}

/// One thing that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Phase {
    /// As many messages as are answered: throughput, processor time, bytes and commits per case, memory
    Closed,
    /// Messages at a steady rate: latency of answers and of whole cases
    Open,
    /// Each message twice: duplicates
    Twice,
    /// Ten times what it can take, and back to the usual rate
    Overload,
    /// kill -9 under load, with a CRM that is slow
    Kill,
    /// The same load and the same lists at 1,000, 10,000, … closed cases
    Growth,
    /// Open cases whose clocks run out together: lateness, start-up and memory with them
    Timers,
    /// One tenant that sends a hundred times as much as each of the others: what these notice of it
    Noisy,
    /// The CRM of another tenant takes half a minute over each write: what the others notice of it
    Brownout,
}

const USUAL: [Phase; 4] = [Phase::Closed, Phase::Open, Phase::Twice, Phase::Kill];

/// Measures, and prints the figures.
pub fn run(options: &Options, json: bool) -> Result<(), Failure> {
    let phases = match options.phases.as_slice() {
        [] => &USUAL,
        named => named,
    };
    let figures = measure(options, phases).map_err(|e| Failure::unreachable(format!("{e:#}")))?;
    if json {
        let machine = machine();
        println!(
            "{}",
            json!({ "machine": machine, "figures": figures.json() })
        );
    } else {
        print!("{}", figures.text(Page::of_stdout()));
    }
    match figures.broken() {
        [] => Ok(()),
        broken => Err(Failure::refused(broken.join("; "))),
    }
}

fn measure(options: &Options, phases: &[Phase]) -> anyhow::Result<Figures> {
    let mut figures = Figures::default();
    let mut house = House::build(options)?;
    figures.add("start to ready, empty store", house.start()?, "ms");
    for phase in phases {
        eprintln!("measuring: {}", name(*phase));
        let run = phases::Run {
            options,
            house: &mut house,
            figures: &mut figures,
        };
        match phase {
            Phase::Closed => run.closed(),
            Phase::Open => run.open(),
            Phase::Twice => run.twice(),
            Phase::Overload => run.overload(),
            Phase::Kill => run.kill(),
            Phase::Growth => run.growth(),
            Phase::Timers => run.timers(),
            Phase::Noisy => run.noisy(),
            Phase::Brownout => run.brownout(),
        }?;
    }
    house.stop()?;
    Ok(figures)
}

fn name(phase: Phase) -> String {
    let value = phase.to_possible_value();
    value.map_or_else(String::new, |v| v.get_name().to_owned())
}

/// What the figures belong to.
fn machine() -> Json {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|l| l.strip_prefix("model name"));
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "build": if cfg!(debug_assertions) { "debug" } else { "release" },
        "cores": thread::available_parallelism().map_or(0, usize::from),
        "cpu": model.map(|m| m.trim_start_matches([':', ' ', '\t'])),
    })
}
