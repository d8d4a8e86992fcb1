//! Runs seeds of the simulation: one, with its trace, or many, with a report.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;
use tl_sim::report::{Sum, replay};
use tl_sim::run::{Plan, run};

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
        Some(seed) => one(seed, args.trace),
        None => many(&args),
    }
}

fn one(seed: u64, trace: bool) -> anyhow::Result<ExitCode> {
    let begun = Instant::now();
    let plan = Plan {
        seed,
        keep_trace: trace,
    };
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

fn many(args: &Args) -> anyhow::Result<ExitCode> {
    let (from, to) = range(&args.seeds)?;
    let begun = Instant::now();
    let next = AtomicU64::new(from);
    let sum = Mutex::new(Sum::default());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = if args.jobs == 0 { cores } else { args.jobs };
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| work(args, (&next, to), &sum));
        }
    });
    let sum = sum.into_inner().unwrap_or_else(|e| e.into_inner());
    let wall = begun.elapsed();
    let row = sum.row(&args.commit, (from, to), wall);
    println!("{row:#}");
    if let Some(path) = &args.report {
        append(path, row)?;
    }
    let missed = sum.missed();
    for floor in &missed {
        println!("FLOOR {floor}");
    }
    println!("{} runs in {wall:?}", sum.runs);
    let good = missed.is_empty() && sum.violations.is_empty() && sum.errors.is_empty();
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn work(args: &Args, (next, to): (&AtomicU64, u64), sum: &Mutex<Sum>) {
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= to {
            return;
        }
        let plan = Plan {
            seed,
            keep_trace: false,
        };
        let outcome = run(&plan);
        let mut sum = sum.lock().unwrap_or_else(|e| e.into_inner());
        match outcome {
            Ok(outcome) => {
                for v in &outcome.violations {
                    println!("seed {seed}: {v}");
                }
                if !outcome.violations.is_empty() {
                    println!("    {}", replay(seed));
                    let of = |number| outcome.violations.iter().any(|v| of_invariant(v, number));
                    if args.first || args.until.as_deref().is_some_and(of) {
                        next.store(to, Ordering::Relaxed);
                    }
                }
                sum.add(&outcome);
                if sum.runs.is_multiple_of(100) {
                    eprintln!("{} runs, {} cases", sum.runs, sum.cases);
                }
            }
            Err(e) => {
                println!("seed {seed} could not be run: {e:#}");
                sum.errors.push((seed, format!("{e:#}")));
            }
        }
    }
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
