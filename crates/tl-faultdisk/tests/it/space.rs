//! A full disk: the unit is refused, nothing of it is there, and with room again the store works.

use std::collections::BTreeMap;

use tl_faultdisk::{Change, ChangeKind, Dice, FaultDisk};
use tl_store::{Backend, Refused};

use crate::world::{Model, founded, open_with};

/// No checkpoint comes by itself: it would be a write that no commit waits for.
const NO_CHECKPOINT: u32 = 1_000_000;

/// A store with some cases, and a group that was not committed yet.
fn ready(vfs: &str) -> (FaultDisk, Backend, Model, BTreeMap<u64, Vec<u8>>) {
    let disk = founded().fork(11);
    disk.register(vfs);
    let mut model = Model::default();
    let mut backend = open_with(vfs, NO_CHECKPOINT).unwrap();
    let mut dice = Dice::new(11);
    for _ in 0..4 {
        model.commit(&mut backend, &mut dice);
    }
    model.check(&backend);
    let group = [
        (0, vec![1; 300]),
        (1_000, vec![2; 9_000]),
        (1_001, vec![3; 50]),
    ];
    (disk, backend, model, group.into())
}

/// Where the writes of these changes begin, each in bytes written before it, and where they end.
fn positions(changes: &[Change]) -> (Vec<u64>, u64) {
    let mut starts = Vec::new();
    let mut written = 0;
    for change in changes {
        if let ChangeKind::Write { length, .. } = change.kind {
            starts.extend([
                written,
                written + 1,
                written + length / 2,
                written + length - 1,
            ]);
            written += length;
        }
    }
    starts.dedup();
    (starts, written)
}

#[test]
fn a_full_disk_refuses_a_commit_at_every_write() {
    let (disk, mut backend, mut model, group) = ready("space-probe");
    let before = disk.changes().len();
    assert!(
        model
            .commit_group(group, |u| backend.commit(u))
            .iter()
            .all(Result::is_ok)
    );
    let (starts, total) = positions(&disk.changes()[before..]);
    assert!(starts.len() > 20, "a commit is many writes");

    for after in starts {
        let vfs = format!("space-{after}");
        let (disk, mut backend, mut model, group) = ready(&vfs);
        disk.disk_full(after);
        for answer in model.commit_group(group.clone(), |u| backend.commit(u)) {
            assert_eq!(
                answer,
                Err(Refused::Unavailable {
                    why: "DiskFull".into()
                }),
                "room for {after} of {total} bytes"
            );
        }
        assert!(
            !model.check(&backend),
            "nothing of a refused group can be read"
        );
        disk.heal();
        let again = model.commit_group(group, |u| backend.commit(u));
        assert!(
            again.iter().all(Result::is_ok),
            "{after}: there is room again: {again:?}"
        );
        model.check(&backend);
        disk.crash();
        drop(backend);
        model.check(&open_with(&vfs, NO_CHECKPOINT).unwrap());
    }
    let (disk, mut backend, mut model, group) = ready("space-enough");
    disk.disk_full(total);
    assert!(
        model
            .commit_group(group, |u| backend.commit(u))
            .iter()
            .all(Result::is_ok)
    );
}

/// What a checkpoint cannot write stays in the log; the next one with room finishes it.
#[test]
fn a_full_disk_stops_a_checkpoint_without_harm() {
    for after in [0, 1, 4096, 5000, 20_000] {
        let vfs = format!("space-checkpoint-{after}");
        let (disk, mut backend, mut model, group) = ready(&vfs);
        disk.disk_full(after);
        assert!(backend.checkpoint().is_err(), "room for {after} bytes");
        model.check(&backend);
        disk.crash();
        drop(backend);
        backend = open_with(&vfs, NO_CHECKPOINT).unwrap();
        model.check(&backend);
        model.commit_group(group, |u| backend.commit(u));
        backend.checkpoint().unwrap();
        model.check(&backend);
    }
}
