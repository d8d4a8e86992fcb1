//! The world of one run: what all its parts share, and the nodes that live and die in it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tl_connect::client::{Auth, Client, Connection};
use tl_engine::clock::Clock;
use tl_engine::desk::{Desk, Setting};
use tl_engine::follower::Follower;
use tl_engine::host::{Host, Task};
use tl_engine::outward::{Connections, Outward};
use tl_engine::tap::{Point, Stopped, Tap};
use tl_engine::tenant::Tenant;
use tl_engine::worker::Worker;
use tl_faultdisk::{FaultDisk, Loss};
use tl_kernel::id::EffectId;
use tl_kernel::time::SECOND;
use tl_kernel::turn::EffectWrite;
use tl_store::contract::{CommitAnswer, Row, Unit};
use tl_store::{Location, Options, Store};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::dice::Dice;
use crate::event::event_of;
use crate::exec::{Exec, Group, turn, wait};
use crate::faults::Faults;
use crate::model;
use crate::trace::Trace;
use crate::vendor::{Vendors, Wire};

/// When every run begins, µs.
pub const START: i64 = 1_795_000_000_000_000;
/// The installation's key.
pub const KEY: [u8; 32] = [7; 32];
/// The store's file on the simulated disk.
pub const FILE: &str = "/sim/store.db";
/// The ports by name, as the report counts them.
pub const POINTS: [&str; 4] = ["before_commit", "after_commit", "before_send", "after_send"];

fn name_of(point: Point) -> &'static str {
    match point {
        Point::BeforeCommit => POINTS[0],
        Point::AfterCommit => POINTS[1],
        Point::BeforeSend => POINTS[2],
        Point::AfterSend => POINTS[3],
    }
}

/// What all parts of a run share.
#[derive(Debug)]
pub struct Shared {
    /// The executor.
    pub exec: Exec,
    /// What happened.
    pub trace: Trace,
    /// What goes wrong.
    pub faults: Faults,
    /// Every unit that a desk committed or was refused, in the order of the answers.
    witness: Mutex<Vec<Seen>>,
    crashes: Mutex<Crashes>,
    nodes: Mutex<Vec<Slot>>,
    lives: AtomicU32,
    /// How much longer than asked for the loops sleep.
    pub stretch: AtomicU32,
}

/// A unit as its desk committed it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// When, µs of the world.
    pub at: i64,
    /// Which life of which node.
    pub life: Life,
    /// The unit.
    pub unit: Unit,
    /// What the store answered.
    pub answer: CommitAnswer,
}

/// One life of a node: from a start to a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// The node, from 1.
    pub node: u32,
    /// Its tasks.
    pub group: Group,
    /// The epoch that the store gave it.
    pub epoch: u64,
}

#[derive(Debug)]
struct Crashes {
    dice: Dice,
    /// Crashes that this run still has.
    left: u32,
    /// The port of the next one, and how often it is passed before.
    next: (Point, u64),
    hit: BTreeMap<&'static str, u64>,
    /// Lives that ended at a port and are not cleared away yet.
    ended: Vec<Life>,
}

impl Crashes {
    fn draw(&mut self) {
        let points = [
            Point::BeforeCommit,
            Point::AfterCommit,
            Point::BeforeSend,
            Point::AfterSend,
        ];
        // Some come so soon that recovery itself is interrupted.
        let soon = *self.dice.pick(&[8, 60, 60]);
        self.next = (*self.dice.pick(&points), self.dice.below(soon));
    }
}

#[derive(Debug)]
struct Slot {
    live: Option<Live>,
    /// When it comes back, µs of the world.
    back_at: i64,
}

/// A running node.
#[derive(Debug, Clone)]
pub struct Live {
    /// Which life it is.
    pub life: Life,
    /// Its desk.
    pub desk: Desk,
}

impl Shared {
    /// What a seed's world shares.
    pub fn new(seed: u64, nodes: u32, keep_trace: bool) -> Arc<Shared> {
        let mut dice = Dice::new(seed, "crashes");
        let mut crashes = Crashes {
            left: dice.below(9) as u32,
            dice,
            next: (Point::BeforeCommit, 0),
            hit: BTreeMap::new(),
            ended: Vec::new(),
        };
        crashes.draw();
        let slot = || Slot {
            live: None,
            back_at: 0,
        };
        Arc::new(Shared {
            exec: Exec::new(START, Dice::new(seed, "order")),
            trace: Trace::new(keep_trace),
            faults: Faults::new(seed),
            witness: Mutex::default(),
            crashes: Mutex::new(crashes),
            nodes: Mutex::new((0..nodes).map(|_| slot()).collect()),
            lives: AtomicU32::new(0),
            stretch: AtomicU32::new(dice_of_loops(seed)),
        })
    }

    /// Notes what happened now.
    pub fn note(&self, what: &str, detail: std::fmt::Arguments<'_>) {
        self.trace.note(self.exec.now() - START, what, detail);
    }

    /// What the desks committed, in order.
    pub fn witness(&self) -> Vec<Seen> {
        lock(&self.witness).clone()
    }

    /// A running node, by a number that is taken modulo the nodes that run.
    pub fn live(&self, n: u64) -> Option<Live> {
        let nodes = lock(&self.nodes);
        let live: Vec<&Live> = nodes.iter().filter_map(|s| s.live.as_ref()).collect();
        let at = n.checked_rem(live.len() as u64)?;
        Some(live[at as usize].clone())
    }

    /// Crashes by port.
    pub fn crashes_hit(&self) -> BTreeMap<&'static str, u64> {
        self.crashes().hit.clone()
    }

    /// Asks a node to do something; `None` when it died over it.
    pub async fn call<T: Send + 'static>(
        &self,
        live: &Live,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (tell, told) = oneshot::channel();
        self.exec.spawn(live.life.group, async move {
            // Whoever asked may have stopped waiting.
            let _ = tell.send(work.await);
        });
        wait(told).await.ok()
    }

    fn crashes(&self) -> MutexGuard<'_, Crashes> {
        lock(&self.crashes)
    }
}

/// Loops that look seldom leave more to whoever should wake them.
fn dice_of_loops(seed: u64) -> u32 {
    *Dice::new(seed, "loops").pick(&[5, 10, 20])
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The tap of one life.
struct Ports {
    shared: Arc<Shared>,
    life: Life,
    disk: Arc<FaultDisk>,
    dead: AtomicBool,
}

impl Tap for Ports {
    fn at(&self, point: Point) -> Result<(), Stopped> {
        if self.dead.load(Ordering::Relaxed) || !self.disk.has_power() {
            return Err(Stopped);
        }
        let mut crashes = self.shared.crashes();
        let (next, left) = crashes.next;
        if crashes.left == 0 || next != point || !self.shared.faults.are_on() {
            return Ok(());
        }
        if left > 0 {
            crashes.next.1 -= 1;
            return Ok(());
        }
        crashes.left -= 1;
        crashes.draw();
        *crashes.hit.entry(name_of(point)).or_default() += 1;
        crashes.ended.push(self.life);
        drop(crashes);
        self.dead.store(true, Ordering::Relaxed);
        let node = self.life.node;
        let name = name_of(point);
        self.shared
            .note("crash", format_args!("node {node} at {name}"));
        Err(Stopped)
    }

    fn answered(&self, unit: &Unit, answer: &CommitAnswer) {
        let shared = &self.shared;
        let (node, turns, rows) = (self.life.node, unit.turns.len(), unit.rows.len());
        let words = answer_words(answer);
        shared.note(
            "commit",
            format_args!(
                "node {node} turns {turns} rows {rows}{} {words}",
                Shown(unit)
            ),
        );
        lock(&shared.witness).push(Seen {
            at: shared.exec.now(),
            life: self.life,
            unit: unit.clone(),
            answer: answer.clone(),
        });
    }
}

/// What a unit does, for the trace: the leaves of its turns, and what it changes in the ledger.
struct Shown<'u>(&'u Unit);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sealed = self.0.turns.iter().map(|t| &t.sealed);
        for turn in sealed.chain(&self.0.control) {
            let leaf = u64::from_be_bytes(std::array::from_fn(|i| turn.leaf[i]));
            write!(f, " {leaf:016x}")?;
        }
        for turn in &self.0.turns {
            for write in &turn.effects {
                if let EffectWrite::Plan(p) = write {
                    let effect = EffectId {
                        case: turn.case,
                        n: p.n,
                    };
                    write!(f, " {effect} {}", p.state.word())?;
                }
            }
        }
        for row in &self.0.rows {
            if let Row::Effect(c) = row {
                write!(f, " {} {}>{}", c.effect, c.from.0.word(), c.to.word())?;
            }
        }
        Ok(())
    }
}

fn answer_words(answer: &CommitAnswer) -> String {
    match answer {
        Ok(_) => "ok".into(),
        Err(refused) => refused.to_string(),
    }
}

/// The host of one life: tasks and sleeps of the executor.
struct Ground {
    shared: Arc<Shared>,
    group: Group,
    dice: Mutex<Dice>,
}

impl Host for Ground {
    fn spawn(&self, task: Task) {
        self.shared.exec.spawn_boxed(self.group, task);
    }

    fn sleep(&self, time: Duration) -> Task {
        let stretch = self.shared.stretch.load(Ordering::Relaxed);
        let time = time.saturating_mul(stretch);
        Box::pin(self.shared.exec.sleep(time.as_micros() as i64))
    }

    fn pause(&self) -> Option<Task> {
        if self.shared.faults.fires("slow_commit") {
            let time = self.shared.faults.size(1_000, 3 * SECOND);
            return Some(Box::pin(self.shared.exec.sleep(time)));
        }
        let turns = lock(&self.dice).below(4);
        (turns > 1).then(|| -> Task {
            Box::pin(async move {
                for _ in 1..turns {
                    turn().await;
                }
            })
        })
    }
}

/// The clock of the world as the engine reads it.
struct WorldClock(Exec);

impl Clock for WorldClock {
    fn now(&self) -> i64 {
        self.0.now()
    }
}

/// The connections of the simulated installation.
struct Wires(BTreeMap<&'static str, Arc<Connection>>);

impl Connections for Wires {
    fn find(&self, _: &Tenant, _: &str, name: &str) -> Result<Arc<Connection>, String> {
        let found = self.0.get(name).cloned();
        found.ok_or_else(|| format!("no connection `{name}`"))
    }

    fn model(&self, _: &Tenant, _: &str, _: &str) -> Option<String> {
        Some("simulated".into())
    }
}

const NAMES: [&str; 5] = ["crm", "crm-existing", "keyed", "blind", model::CONNECTION];

/// What nodes are started from.
#[derive(Debug)]
pub struct Machine {
    /// What all share.
    pub shared: Arc<Shared>,
    /// The vendors.
    pub vendors: Arc<Vendors>,
    /// The disk of the machine that all nodes run on.
    pub disk: Arc<FaultDisk>,
    /// The disk's name at SQLite.
    pub vfs: String,
    /// Send slots of each node.
    pub slots: usize,
    /// The run's seed.
    pub seed: u64,
}

impl Machine {
    /// Starts a node: opens the store and begins its loops.
    pub fn start(&self, node: u32) -> anyhow::Result<()> {
        let shared = &self.shared;
        let store = Store::inline(&Location::from(Path::new(FILE)), &self.options(node))?;
        let group = shared.lives.fetch_add(1, Ordering::Relaxed) + 1;
        let life = Life {
            node,
            group,
            epoch: store.epoch(),
        };
        let ports = Ports {
            shared: Arc::clone(shared),
            life,
            disk: Arc::clone(&self.disk),
            dead: AtomicBool::new(false),
        };
        let host = Ground {
            shared: Arc::clone(shared),
            group,
            dice: Mutex::new(Dice::new(self.seed, &format!("life {group}"))),
        };
        let setting = Setting {
            store,
            clock: Arc::new(WorldClock(shared.exec.clone())),
            key: KEY,
            slots: self.slots,
            tap: Some(Arc::new(ports)),
        };
        let (desk, queue) = Desk::hosted(setting, Arc::new(host));
        let mut wires = BTreeMap::new();
        for name in NAMES {
            let url = format!("https://{name}.example/v1");
            wires.insert(
                name,
                Arc::new(Connection::new(name, &url, &Auth::None, false)?),
            );
        }
        let outward = Outward {
            client: Client::over(Arc::new(Wire(Arc::clone(&self.vendors)))),
            connections: Arc::new(Wires(wires)),
        };
        let never = CancellationToken::new();
        let worker = Worker::new(desk.clone(), outward);
        shared.exec.spawn(group, worker.run(queue, never.clone()));
        if let Some(follower) = Follower::new(desk.clone(), None) {
            shared.exec.spawn(group, follower.run(never));
        }
        shared
            .exec
            .spawn(group, join_pending(shared.exec.clone(), desk.clone()));
        shared.note("start", format_args!("node {node} epoch {}", life.epoch));
        lock(&shared.nodes)[node as usize - 1].live = Some(Live { life, desk });
        Ok(())
    }

    /// How a node opens its store.
    pub fn options(&self, node: u32) -> Options {
        Options {
            node: Some(node),
            writer_cache_kib: 1024,
            reader_cache_kib: 256,
            readers: 1,
            vfs: Some(self.vfs.clone()),
            ..Options::default()
        }
    }

    /// The power goes: every node dies at once, and what the disk had not synced may be lost.
    pub fn lose_power(&self) {
        let lives = self.lives();
        for life in &lives {
            self.shared.exec.kill(life.group);
        }
        self.shared.faults.count("power_lost");
        self.shared.note("power", format_args!("lost"));
        self.disk.crash();
        let back = self.shared.faults.size(SECOND, 20 * SECOND);
        for life in lives {
            self.end(life, back);
        }
    }

    /// Ends the present life of a node; it comes back after a while.
    pub fn end(&self, life: Life, back_after: i64) {
        let shared = &self.shared;
        shared.exec.kill(life.group);
        let slot = |nodes: &mut Vec<Slot>| {
            let slot = &mut nodes[life.node as usize - 1];
            slot.back_at = shared.exec.now() + back_after;
            slot.live.take_if(|l| l.life == life)
        };
        let gone = slot(&mut lock(&shared.nodes));
        if gone.is_some() && self.lives().is_empty() {
            // A process that dies closes nothing: what it wrote stays as it is.
            self.disk.crash_with(Loss::Nothing);
        }
        drop(gone);
        let woken = shared.exec.sleep(back_after);
        shared.exec.spawn(crate::exec::WORLD, woken);
    }

    /// Clears away what died at a port, and brings back whose time has come.
    pub fn tend(&self) -> anyhow::Result<()> {
        loop {
            let ended = self.shared.crashes().ended.pop();
            let Some(life) = ended else { break };
            if self.shared.faults.fires("power_with_crash") {
                self.lose_power();
                continue;
            }
            let back = self.shared.faults.size(SECOND / 10, 20 * SECOND);
            self.end(life, back);
        }
        if !self.disk.has_power() {
            self.lose_power();
        }
        let now = self.shared.exec.now();
        let back: Vec<u32> = lock(&self.shared.nodes)
            .iter()
            .zip(1u32..)
            .filter(|(s, _)| s.live.is_none() && s.back_at <= now)
            .map(|(_, n)| n)
            .collect();
        for node in back {
            let Err(why) = self.start(node) else { continue };
            // A disk that is full, or whose power went again: it is tried again.
            if !self.shared.faults.are_on() {
                return Err(why.context(format!("node {node} does not start")));
            }
            self.shared.note("no_start", format_args!("node {node}"));
            lock(&self.shared.nodes)[node as usize - 1].back_at = now + SECOND;
            let woken = self.shared.exec.sleep(SECOND);
            self.shared.exec.spawn(crate::exec::WORLD, woken);
        }
        Ok(())
    }

    /// Lives that run now.
    pub fn lives(&self) -> Vec<Life> {
        let nodes = lock(&self.shared.nodes);
        nodes
            .iter()
            .filter_map(|s| Some(s.live.as_ref()?.life))
            .collect()
    }
}

async fn join_pending(exec: Exec, desk: Desk) {
    loop {
        exec.sleep(5 * SECOND).await;
        // What failed is tried again at the next look.
        let _ = desk
            .join_pending(|endpoint, stored| event_of(&endpoint.name, stored))
            .await;
    }
}
