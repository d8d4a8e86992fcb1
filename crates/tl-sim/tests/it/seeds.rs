//! Seeds of the ordinary run.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tl_sim::many::{cores, many};
use tl_sim::nodes::Setup;
use tl_sim::report::{Sum, replay};
use tl_sim::run::{Plan, run};

/// Seeds of the ordinary run.
const SEEDS: u64 = 2_000;
/// Processor time that a run may take on average. It takes 0.21 s on a machine that is busy with other things; twice as
/// much is for slower ones, and a world that has become too large for the ordinary run is a failure.
const BUDGET: Duration = Duration::from_millis(420);

fn plan(seed: u64) -> Plan {
    Plan {
        seed,
        ..Plan::default()
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    // One node with its file to itself, one with a lease, two, three; and a seed that is large.
    let kinds = [(1, false), (1, true), (2, true), (3, true)];
    let first = |kind| {
        let is = |seed: &u64| {
            let setup = Setup::of(&plan(*seed));
            (setup.nodes, setup.shared) == kind
        };
        (0..).find(is).expect("a seed of each kind")
    };
    for seed in kinds.map(first).into_iter().chain([1 << 40]) {
        let first = run(&plan(seed)).expect("a run");
        let second = run(&Plan {
            keep_trace: true,
            ..plan(seed)
        });
        let second = second.expect("a run");
        assert_eq!(first.hash, second.hash, "seed {seed}");
        assert!(
            second.trace.len() > 300,
            "a trace of {} lines",
            second.trace.len()
        );
    }
}

#[test]
fn another_seed_is_another_run() {
    let hash = |seed| run(&plan(seed)).expect("a run").hash;
    assert_ne!(hash(1), hash(2));
}

/// Runs what is handed out on all cores; nothing may be violated.
fn good(next: impl Fn(&Sum) -> Option<Plan> + Sync) -> Sum {
    let sum = many(cores().max(2), next, |outcome| {
        for violation in &outcome.violations {
            println!("seed {}: {violation}", outcome.seed);
        }
    });
    for (seed, _) in &sum.violations {
        let clocks = sum.clock_jumps() > sum.runs;
        println!("    {}", replay(*seed, clocks));
    }
    assert!(sum.violations.is_empty(), "{} seeds", sum.violations.len());
    assert!(sum.errors.is_empty(), "{:?}", sum.errors);
    sum
}

#[test]
fn nothing_is_violated() {
    let next = AtomicU64::new(0);
    let sum = good(|_| {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        (seed < SEEDS).then(|| plan(seed))
    });
    assert!(sum.with_several_nodes() * 2 >= SEEDS, "{:?}", sum.by_nodes);
    let missed = sum.missed();
    assert!(missed.is_empty(), "{missed:#?}");
    println!("{SEEDS} runs in {:?} of processors", sum.processor);
    assert!(sum.processor < BUDGET * SEEDS as u32, "{:?}", sum.processor);
}

/// How often clocks jump: some times, or with `TL_LONG=1` many.
fn jumps() -> u64 {
    tl_trial::size(1_000, 10_000)
}

/// Clocks of nodes that share a database jump by minutes, by an hour, by ten years: nothing fires early or twice, and
/// engine time does not go back within a case.
#[test]
fn clocks_may_jump() {
    let (times, next) = (jumps(), AtomicU64::new(0));
    let sum = good(|sum| {
        (sum.clock_jumps() < times).then(|| Plan {
            clocks: true,
            ..plan(next.fetch_add(1, Ordering::Relaxed))
        })
    });
    assert!(sum.clock_jumps() >= times);
}
