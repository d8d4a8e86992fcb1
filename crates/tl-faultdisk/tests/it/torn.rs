//! Torn writes in the write-ahead log: a commit of which a sector is missing never was.

use tl_faultdisk::{Change, ChangeKind, Loss, Report};
use tl_store::Backend;

use crate::world::{Model, founded, open_with};

/// A checkpoint would bring writes of the database in.
const NO_CHECKPOINT: u32 = 1_000_000;

/// The second commit loses power at its n-th change, and what was not synced is torn. `None` when the commit has
/// fewer changes.
fn run(n: u64, seed: u64) -> Option<Report> {
    let disk = founded().fork(seed);
    let vfs = format!("torn-{n}-{seed}");
    disk.register(&vfs);
    let mut model = Model::default();
    let mut backend = open_with(&vfs, NO_CHECKPOINT).unwrap();
    let mut commit = |backend: &mut Backend, group: [(u64, Vec<u8>); 2]| {
        let answers = model.commit_group(group.into(), |u| backend.commit(u));
        answers.iter().all(Result::is_ok)
    };
    assert!(commit(
        &mut backend,
        [(0, vec![1; 900]), (1, vec![2; 5_000])]
    ));
    let before = disk.changes().len();
    disk.cut_power(n);
    if commit(&mut backend, [(0, vec![3; 6_000]), (2, vec![4; 100])]) {
        return None;
    }
    let changes = disk.changes().split_off(before);
    assert!(
        changes.iter().all(|c| c.file.ends_with("-wal")),
        "a commit writes to the log alone"
    );
    let is_write = |c: &&Change| matches!(c.kind, ChangeKind::Write { .. });
    let writes = changes.iter().filter(is_write).count();
    disk.crash_with(Loss::Tear);
    drop(backend);

    let report = disk.report();
    assert_eq!(
        report.torn + report.dropped,
        1,
        "one of {writes} writes is torn"
    );
    let mut backend = open_with(&vfs, NO_CHECKPOINT).unwrap();
    assert!(
        !model.check(&backend),
        "seed {seed}: a torn commit was believed"
    );
    let group = [(0, vec![5; 6_000]), (2, vec![6; 100])];
    assert!(
        model
            .commit_group(group.into(), |u| backend.commit(u))
            .iter()
            .all(Result::is_ok)
    );
    disk.crash_with(Loss::Everything);
    drop(backend);
    model.check(&open_with(&vfs, NO_CHECKPOINT).unwrap());
    Some(report)
}

#[test]
fn a_torn_commit_never_was() {
    let mut torn = 0;
    for seed in 0..12 {
        for n in 1.. {
            let Some(report) = run(n, seed) else {
                break;
            };
            torn += report.torn;
        }
    }
    assert!(torn > 50, "{torn} writes were torn");
}
