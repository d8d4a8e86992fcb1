//! Power cuts: what was acknowledged is there, the rest is there whole or not at all.

use std::path::Path;
use std::thread;

use tl_faultdisk::{Dice, FaultDisk, Report};
use tl_store::Store;

use crate::world::{Model, PATH, count, founded, open, options, seeds};

/// Cuts per seed.
const ROUNDS: u64 = 3;
/// Changes of a round, more or less.
const CHANGES: u64 = 160;

/// Rounds of open, commit and cut, and after each a look at everything.
fn run(seed: u64) -> (u64, Report) {
    let mut dice = Dice::new(seed);
    // Sometimes the first cut meets the founding of the store.
    let disk = match dice.one_in(16) {
        true => FaultDisk::new(seed),
        false => founded().fork(seed),
    };
    let vfs = format!("power-{seed}");
    disk.register(&vfs);
    let mut model = Model::default();
    for _ in 0..ROUNDS {
        disk.cut_power(1 + dice.below(CHANGES));
        let mut opened = model.open(&vfs);
        // A checkpoint that is cut does not fail the open before it.
        if !disk.has_power() {
            disk.crash();
            opened = model.open(&vfs);
        }
        let mut backend = opened.expect("the store opens after a power cut");
        model.check(&backend);
        for _ in 0..dice.below(14) {
            if model
                .commit(&mut backend, &mut dice)
                .iter()
                .any(Result::is_err)
            {
                break;
            }
            if dice.one_in(8) && backend.checkpoint().is_err() {
                break;
            }
        }
        // A process that ends while there is power ties up what it can.
        if dice.one_in(4) {
            drop(backend);
            disk.crash();
        } else {
            disk.crash();
            drop(backend);
        }
    }
    let backend = model.open(&vfs).expect("the store opens at last");
    model.check(&backend);
    (model.acknowledged, disk.report())
}

#[test]
fn no_power_cut_takes_what_was_acknowledged() {
    let runs = seeds(count(2_000, 10_000), run);
    let sum = |of: fn(&(u64, Report)) -> u64| runs.iter().map(of).sum::<u64>();
    let cuts = sum(|r| r.1.crashes);
    println!(
        "{} seeds, {cuts} power cuts ({} during a change), {} units acknowledged, 0 lost; of what was not synced \
         {} kept, {} dropped, {} torn, {} names lost",
        runs.len(),
        sum(|r| r.1.cuts),
        sum(|r| r.0),
        sum(|r| r.1.kept),
        sum(|r| r.1.dropped),
        sum(|r| r.1.torn),
        sum(|r| r.1.entries_lost),
    );
    if runs.len() > 1 {
        assert!(
            sum(|r| r.1.cuts) > cuts / 3,
            "the power goes during changes"
        );
        assert!(sum(|r| r.1.dropped) > cuts && sum(|r| r.1.torn) > cuts / 4);
        assert!(sum(|r| r.0) > cuts, "something was acknowledged");
    }
}

#[test]
fn the_same_seed_runs_the_same_way() {
    for seed in [3, 4, 5] {
        let trace = |name: &str| {
            let disk = founded().fork(seed);
            disk.register(name);
            let mut dice = Dice::new(seed);
            let mut model = Model::default();
            disk.cut_power(40);
            if let Ok(mut backend) = model.open(name) {
                while model
                    .commit(&mut backend, &mut dice)
                    .iter()
                    .all(Result::is_ok)
                {}
            }
            disk.crash();
            drop(model.open(name).unwrap());
            (disk.changes(), disk.report())
        };
        assert_eq!(trace("same-1"), trace("same-2"), "seed {seed}");
    }
}

/// The store with its threads: three callers commit at the same time, checkpoints run beside them.
#[test]
fn no_power_cut_takes_what_was_acknowledged_to_threads() {
    let committed = seeds(count(60, 2_000), |seed| {
        let disk = founded().fork(seed);
        let vfs = format!("threads-{seed}");
        disk.register(&vfs);
        let store = Store::open(Path::new(PATH), &options(&vfs, 40)).unwrap();
        disk.cut_power(1 + Dice::new(seed).below(900));
        let caller = |n: u64| {
            let mut dice = Dice::new(seed * 3 + n);
            let mut model = Model::default();
            for _ in 0..40 {
                let case = n * 100 + dice.below(20);
                let mut body = vec![0; dice.below(4_000) as usize];
                dice.fill(&mut body);
                let one_by_one = |units: Vec<_>| {
                    let commit = |unit| store.commit_blocking(unit);
                    units.into_iter().map(commit).collect()
                };
                if model.commit_group([(case, body)].into(), one_by_one)[0].is_err() {
                    break;
                }
            }
            model
        };
        let mut models: Vec<Model> = thread::scope(|scope| {
            let callers = [0, 1, 2].map(|n| {
                scope.spawn({
                    let caller = &caller;
                    move || caller(n)
                })
            });
            callers.into_iter().map(|c| c.join().unwrap()).collect()
        });
        disk.crash();
        drop(store);
        let backend = open(&vfs).unwrap();
        for model in &mut models {
            model.check(&backend);
        }
        models.iter().map(|model| model.acknowledged).sum::<u64>()
    });
    println!(
        "{} units acknowledged, 0 lost",
        committed.iter().sum::<u64>()
    );
    assert!(committed.iter().sum::<u64>() > committed.len() as u64 * 10);
}
