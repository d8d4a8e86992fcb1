//! The nodes of a run: how many there are, the machines that they stand on, and the truth about their leases.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tl_kernel::time::{DAY, HOUR, MINUTE, SECOND};
use tl_store::{Backend, Location, Options, Reader, StoreError, Surroundings, Way};

use crate::dice::Dice;
use crate::exec::turn;
use crate::run::Plan;
use crate::world::{FILE, Life, START, Shared};

/// Longest that a connection hangs before it is called lost, µs.
const SILENCE: i64 = 10 * SECOND;
/// How far a machine's clock is from the time when it starts, µs.
const ASTRAY: i64 = 10 * MINUTE;
/// How far from the time somebody sets it, µs: a summer time, a dead battery, a typing error.
const SET: [i64; 3] = [-HOUR, HOUR, 3_650 * DAY];
/// How unevenly the clocks of two machines may run, µs in a second.
const UNEVEN: i64 = 400;

/// The nodes of a run.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// How many.
    pub nodes: u32,
    /// They share the database: each holds a lease. Else one node has it to itself.
    pub shared: bool,
    /// Length of a lease, µs.
    pub lease: i64,
    /// Machines fall asleep; else their clocks are set back. A lease holds against either: a clock that was set back
    /// on a machine that then sleeps is one more than the two clocks of a node can tell.
    pub sleep: bool,
    /// Each node keeps its number; else it takes one that is free when it starts.
    pub numbered: bool,
    /// Much comes in at once while a vendor goes down for an hour.
    pub outage: bool,
}

/// Every so many seeds a vendor is down for an hour: such a run is a long one.
const OUTAGES: u64 = 100;

impl Setup {
    /// The nodes of a run.
    pub fn of(plan: &Plan) -> Setup {
        let seed = plan.seed;
        let mut dice = Dice::new(seed, "nodes");
        let nodes = match seed.is_multiple_of(2) {
            true => 1,
            false => *dice.pick(&[2, 2, 3]),
        };
        Setup {
            nodes,
            shared: nodes > 1 || dice.chance(250) || plan.clocks,
            lease: dice.between(6, 24) * SECOND,
            sleep: dice.chance(500),
            numbered: dice.chance(250),
            // Of those with one node: the budget is of each.
            outage: seed % OUTAGES == OUTAGES - 2,
        }
    }
}

/// The machine that a node runs on: its clocks, and its way to the database. Processes come and go on it.
pub struct Site {
    shared: Arc<Shared>,
    inner: Mutex<Inner>,
}

struct Inner {
    dice: Dice,
    /// How far its clock is set ahead, µs.
    ahead: i64,
    /// How much faster its clocks run, µs in a second.
    faster: i64,
    /// How long it has slept, µs.
    slept: i64,
    /// The database is not reached until then, µs of the world.
    cut_until: i64,
}

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Site")
    }
}

impl Site {
    /// The machine of a slot.
    pub fn new(shared: &Arc<Shared>, seed: u64, slot: u32) -> Site {
        let mut dice = Dice::new(seed, &format!("site {slot}"));
        let inner = Inner {
            ahead: dice.between(-ASTRAY, ASTRAY),
            faster: dice.between(-UNEVEN, UNEVEN),
            slept: 0,
            cut_until: 0,
            dice,
        };
        Site {
            shared: Arc::clone(shared),
            inner: Mutex::new(inner),
        }
    }

    /// It does not reach the database for so long, µs.
    pub fn cut(&self, time: i64) {
        self.inner().cut_until = self.shared.exec.now() + time;
    }

    /// It sleeps for so long, µs: one of its clocks stands still.
    pub fn sleep(&self, time: i64) {
        self.inner().slept += time;
    }

    /// Somebody sets its clock. Says by how much it is ahead now, µs.
    pub fn set_clock(&self) -> i64 {
        let sleeps = self.shared.setup.sleep;
        let mut inner = self.inner();
        let to = match inner.dice.chance(500) {
            true => *inner.dice.pick(&SET),
            false => inner.dice.between(-ASTRAY, ASTRAY),
        };
        inner.ahead = if sleeps { to.max(inner.ahead) } else { to };
        inner.ahead
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Surroundings for Site {
    fn database_clock(&self) -> i64 {
        self.shared.exec.now()
    }

    fn steady_clock(&self) -> i64 {
        let inner = self.inner();
        let ran = self.shared.exec.now() - START - inner.slept;
        ran + ran * inner.faster / SECOND
    }

    fn wall_clock(&self) -> i64 {
        let inner = self.inner();
        let now = self.shared.exec.now();
        now + (now - START) * inner.faster / SECOND + inner.ahead
    }

    fn way(&self) -> Way {
        let (exec, faults) = (&self.shared.exec, &self.shared.faults);
        if !self.shared.is_founded() || !faults.are_on() {
            return Way::Open;
        }
        let mut inner = self.inner();
        let cut = inner.cut_until - exec.now();
        if cut > 0 {
            return match inner.dice.chance(500) {
                true => Way::Wait(Box::pin(exec.sleep(cut.min(SILENCE)))),
                false => Way::Cut,
            };
        }
        if faults.fires("db_slow") {
            let time = faults.size(SECOND / 1_000, 3 * SECOND);
            return Way::Wait(Box::pin(exec.sleep(time)));
        }
        match inner.dice.below(12) {
            0 => Way::Wait(Box::pin(turn())),
            _ => Way::Open,
        }
    }

    fn answers(&self) -> bool {
        !self.shared.is_founded() || !self.shared.faults.fires("db_answer_lost")
    }
}

/// What the database has about leases, read past the nodes.
#[derive(Debug)]
pub struct Truth {
    options: Options,
    reader: Mutex<Option<Reader>>,
}

impl Truth {
    /// Of the database that these options open.
    pub fn new(options: Options) -> Truth {
        Truth {
            options,
            reader: Mutex::default(),
        }
    }

    /// The disk has lost its power or its last node: what was open would answer out of its own memory.
    pub fn forget(&self) {
        *self.reader() = None;
    }

    fn reader(&self) -> MutexGuard<'_, Option<Reader>> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The epoch of a node and the end of its lease, µs; `None` where that cannot be read now.
    fn of(&self, node: u32) -> Option<(u64, i64)> {
        let nodes = self.read(Reader::nodes)?;
        let found = nodes.into_iter().find(|n| n.id == node)?;
        Some((found.epoch, found.lease_until))
    }

    /// Reads something; `None` where that cannot be read now.
    pub fn read<T>(&self, what: impl Fn(&Reader) -> Result<T, StoreError>) -> Option<T> {
        let mut reader = self.reader();
        if reader.is_none() {
            let file = Location::from(Path::new(FILE));
            *reader = Backend::open_reader(&file, &self.options).ok();
        }
        what(reader.as_ref()?).ok()
    }
}

/// Looks over the shoulder of one life: what it commits and sends is held against the truth.
#[derive(Debug, Clone)]
pub struct Watch {
    /// What all share.
    pub shared: Arc<Shared>,
    /// The truth.
    pub truth: Arc<Truth>,
    /// The life.
    pub life: Life,
}

impl Watch {
    /// It has committed something.
    pub fn commits(&self) {
        let Life { node, epoch, .. } = self.life;
        if let Some((now, _)) = self.truth()
            && now != epoch
        {
            self.shared.wrong(format!(
                "I10 fencing: node {node} has committed with epoch {epoch}, the database has {now}"
            ));
        }
    }

    /// The first byte of something leaves it.
    pub fn sends(&self, line: &str) {
        let Life { node, epoch, .. } = self.life;
        let Some((now, until)) = self.truth() else {
            return;
        };
        let late = self.shared.exec.now() - until;
        if now != epoch || late >= 0 {
            self.shared.wrong(format!(
                "I10 fencing: node {node} of epoch {epoch} sends `{line}`, the database has epoch {now} and a \
                 lease that ended {late} µs ago"
            ));
        }
    }

    fn truth(&self) -> Option<(u64, i64)> {
        let leased = self.shared.setup.shared;
        leased.then(|| self.truth.of(self.life.node)).flatten()
    }
}
