//! Every call to the disk fails once: writes, syncs, reads. A unit is refused or committed; what was acknowledged,
//! before the fault or after it, is there.

use tl_faultdisk::{Dice, FaultDisk, Report};
use tl_store::Backend;

use crate::world::{Model, Where, count, founded, seeds};

/// A kind of fault: its name, how it is told to happen at the n-th call, and how often it did.
type Fault = (&'static str, fn(&FaultDisk, u64), fn(&Report) -> u64);

const FAULTS: [Fault; 4] = [
    ("sync", FaultDisk::fail_sync, |r| r.failed_syncs),
    ("write", FaultDisk::fail_write, |r| r.failed_writes),
    ("read", FaultDisk::fail_read, |r| r.failed_reads),
    // In steps of about a third of a page.
    (
        "room",
        |disk, n| disk.disk_full((n - 1) * 1_400),
        |r| r.full,
    ),
];

/// Some commits with a checkpoint between them. After a refusal: what is known is looked up and work goes on, as
/// the process would, or the power goes at once.
struct Run {
    disk: FaultDisk,
    vfs: String,
    model: Model,
    dice: Dice,
}

impl Run {
    /// A store that is open, has room again, and holds what it should.
    fn reopen(&mut self) -> Backend {
        self.disk.heal();
        let backend = self
            .model
            .open(&self.vfs)
            .expect("without a fault it opens");
        self.model.check(&backend);
        backend
    }

    fn work(&mut self, goes_on: bool) -> u64 {
        let mut refused = 0;
        let mut backend = match self.model.open(&self.vfs) {
            Ok(backend) => backend,
            Err(_) => self.reopen(),
        };
        for n in 0..8 {
            let answers = self.model.commit(&mut backend, &mut self.dice);
            if answers.iter().any(Result::is_err) {
                refused += 1;
                self.disk.heal();
                if !goes_on {
                    self.disk.crash();
                    drop(backend);
                    backend = self.reopen();
                }
                self.model.check(&backend);
            }
            if n == 4 {
                // Nobody waits for a checkpoint; what it did not do stays in the log.
                let _ = backend.checkpoint();
                self.disk.heal();
            }
        }
        self.disk.crash();
        drop(backend);
        drop(self.reopen());
        refused
    }
}

/// One fault at the n-th call; what it did: `None` when the run has fewer calls.
fn run((name, arm, fired): Fault, seed: u64, n: u64) -> Option<u64> {
    let _said = Where(format!("{name} {n} of seed {seed} failed"));
    let disk = founded().fork(seed);
    let vfs = format!("fault-{name}-{seed}-{n}");
    disk.register(&vfs);
    arm(&disk, n);
    let mut run = Run {
        disk,
        vfs,
        model: Model::default(),
        dice: Dice::new(seed),
    };
    let refused = run.work((seed + n).is_multiple_of(2));
    (fired(&run.disk.report()) > 0).then_some(refused)
}

#[test]
fn every_call_may_fail() {
    for fault in FAULTS {
        let swept = seeds(count(4, 40), |seed| {
            let mut swept = (0, 0);
            for n in 1.. {
                let Some(refused) = run(fault, seed, n) else {
                    break;
                };
                swept = (n, swept.1 + refused);
            }
            swept
        });
        let calls: u64 = swept.iter().map(|s| s.0).sum();
        let refused: u64 = swept.iter().map(|s| s.1).sum();
        println!(
            "{}: {calls} calls failed, {refused} commits refused, 0 acknowledged units lost",
            fault.0
        );
        assert!(calls > 0 && refused > 0, "{}", fault.0);
    }
}
