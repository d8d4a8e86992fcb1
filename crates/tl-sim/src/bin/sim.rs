//! Runs seeds of the simulation: one, with its trace, or many, with a report.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;
use tl_sim::many::{cores, many};
use tl_sim::report::{CLOCKS_SET, SIMULATION, Sum, replay};
use tl_sim::run::{Outcome, Plan, run};

/// The seeded simulation of the engine, its store, its vendors and its people.
#[derive(Debug, Parser)]
#[command(name = "sim")]
struct Args {
    /// Run one seed.
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Run many: FROM..TO, TO not included.
    #[arg(long, default_value = "0..200")]
    seeds: String,
    /// Set the clocks of nodes, by minutes, an hour, ten years, until they have jumped so often; with --seed any number.
    #[arg(long)]
    jumps: Option<u64>,
    /// With --seed: print everything that happened.
    #[arg(long)]
    trace: bool,
    /// Append a row to this report.
    #[arg(long)]
    report: Option<PathBuf>,
    /// Name of the build in the report.
    #[arg(long, default_value = "working tree")]
    commit: String,
    /// Runs at the same time; 0: as many as there are cores.
    #[arg(long, default_value_t = 0)]
    jobs: usize,
    /// Stop at the first violation.
    #[arg(long)]
    first: bool,
    /// Stop at the first violation of this invariant, by its number: I12.
    #[arg(long)]
    until: Option<String>,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    match args.seed {
        Some(seed) => one(Plan {
            seed,
            keep_trace: args.trace,
            clocks: args.jumps.is_some(),
        }),
        None => several(&args),
    }
}

fn one(plan: Plan) -> anyhow::Result<ExitCode> {
    let begun = Instant::now();
    let seed = plan.seed;
    let outcome = run(&plan)?;
    let mut out = std::io::stdout().lock();
    for line in &outcome.trace {
        writeln!(out, "{line}")?;
    }
    writeln!(
        out,
        "seed {seed}: {} cases, {} acknowledged, {} commits, {} polls, {:.1} simulated hours, {:?}",
        outcome.cases,
        outcome.acked,
        outcome.commits,
        outcome.polls,
        outcome.simulated as f64 / 3.6e9,
        begun.elapsed(),
    )?;
    writeln!(out, "effects {:?}", outcome.effects)?;
    writeln!(out, "faults {:?}", outcome.fired)?;
    writeln!(out, "crashes {:?}", outcome.crashes)?;
    writeln!(out, "trace hash {:016x}", outcome.hash)?;
    for v in &outcome.violations {
        writeln!(out, "VIOLATION {v}")?;
    }
    Ok(if outcome.violations.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn several(args: &Args) -> anyhow::Result<ExitCode> {
    let (from, to) = range(&args.seeds)?;
    let begun = Instant::now();
    let (next, stopped) = (AtomicU64::new(from), AtomicBool::new(false));
    let plan = |sum: &Sum| {
        if sum.runs > 0 && sum.runs.is_multiple_of(100) {
            eprintln!("{} runs, {} cases", sum.runs, sum.cases);
        }
        let enough = match args.jumps {
            Some(jumps) => sum.clock_jumps() >= jumps,
            None => next.load(Ordering::Relaxed) >= to,
        };
        let more = !enough && !stopped.load(Ordering::Relaxed);
        more.then(|| Plan {
            seed: next.fetch_add(1, Ordering::Relaxed),
            keep_trace: false,
            clocks: args.jumps.is_some(),
        })
    };
    let seen = |outcome: &Outcome| {
        let violations = &outcome.violations;
        for v in violations {
            println!("seed {}: {v}", outcome.seed);
        }
        if !violations.is_empty() {
            println!("    {}", replay(outcome.seed, args.jumps.is_some()));
            let of = |number| violations.iter().any(|v| of_invariant(v, number));
            if args.first || args.until.as_deref().is_some_and(of) {
                stopped.store(true, Ordering::Relaxed);
            }
        }
    };
    let jobs = if args.jobs == 0 { cores() } else { args.jobs };
    let sum = many(jobs, plan, seen);
    let wall = begun.elapsed();
    for (seed, why) in &sum.errors {
        println!("seed {seed} could not be run: {why}");
    }
    let (test, missed) = match args.jumps {
        Some(_) => (CLOCKS_SET, Vec::new()),
        None => (SIMULATION, sum.missed()),
    };
    let seeds = (from, next.into_inner());
    let row = sum.row((test, &args.commit), seeds, wall);
    println!("{row:#}");
    if let Some(path) = &args.report {
        append(path, row)?;
    }
    for floor in &missed {
        println!("FLOOR {floor}");
    }
    let jumps = sum.clock_jumps();
    let (runs, processor) = (sum.runs, sum.processor);
    println!("{runs} runs in {wall:?}, {processor:?} of processors; clocks jumped {jumps} times");
    let good = missed.is_empty() && sum.violations.is_empty() && sum.errors.is_empty();
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn of_invariant(violation: &str, number: &str) -> bool {
    violation.split(' ').next() == Some(number)
}

fn range(text: &str) -> anyhow::Result<(u64, u64)> {
    let (from, to) = text
        .split_once("..")
        .ok_or_else(|| anyhow::anyhow!("seeds are written FROM..TO"))?;
    Ok((from.trim().parse()?, to.trim().parse()?))
}

fn append(path: &PathBuf, row: serde_json::Value) -> anyhow::Result<()> {
    let mut rows: Vec<serde_json::Value> = match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)?,
        Err(_) => Vec::new(),
    };
    rows.push(row);
    std::fs::write(path, format!("{:#}\n", serde_json::Value::from(rows)))?;
    Ok(())
}
