//! Seeds of the ordinary run.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tl_sim::nodes::Setup;
use tl_sim::report::{Sum, replay};
use tl_sim::run::{Plan, run};

/// Seeds of the ordinary run.
const SEEDS: u64 = 2_000;

fn plan(seed: u64) -> Plan {
    Plan {
        seed,
        keep_trace: false,
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    // One node with its file to itself, one with a lease, two, three; and a seed that is large.
    let kinds = [(1, false), (1, true), (2, true), (3, true)];
    let first = |kind| {
        let is = |seed: &u64| {
            let setup = Setup::of(*seed);
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

#[test]
fn nothing_is_violated() {
    let next = AtomicU64::new(0);
    let sum = Mutex::new(Sum::default());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= SEEDS {
                        return;
                    }
                    let outcome = run(&plan(seed)).expect("a run");
                    sum.lock().expect("no run panics").add(&outcome);
                }
            });
        }
    });
    let sum = sum.into_inner().expect("no run panics");
    for (seed, violations) in &sum.violations {
        for violation in violations {
            println!("seed {seed}: {violation}");
        }
        println!("    {}", replay(*seed));
    }
    assert!(sum.violations.is_empty(), "{} seeds", sum.violations.len());
    assert!(sum.with_several_nodes() * 2 >= SEEDS, "{:?}", sum.by_nodes);
    let missed = sum.missed();
    assert!(missed.is_empty(), "{missed:#?}");
}
