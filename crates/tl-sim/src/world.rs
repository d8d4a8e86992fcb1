//! The world of one run: what all its parts share, and the ports and the ground of a node's life.

use std::collections::BTreeMap;
use std::future::ready;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tl_engine::desk::Desk;
use tl_engine::host::{Appended, Host, Task};
use tl_engine::tap::{Point, Stopped, Tap};
use tl_faultdisk::FaultDisk;
use tl_kernel::id::EffectId;
use tl_kernel::time::SECOND;
use tl_kernel::turn::EffectWrite;
use tl_store::contract::{CommitAnswer, Refused, Row, Unit};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::crashes::{Crashes, Use, place};
use crate::dice::Dice;
use crate::exec::{Exec, Group, WORLD, turn};
use crate::faults::Faults;
use crate::hygiene::mark_in;
use crate::nodes::{Setup, Watch};
use crate::outside::append;
use crate::trace::Trace;

/// When every run begins, µs.
pub const START: i64 = 1_795_000_000_000_000;
/// The installation's key.
pub const KEY: [u8; 32] = [7; 32];
/// The store's file on the simulated disk.
pub const FILE: &str = "/sim/store.db";
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
    /// The nodes.
    pub setup: Setup,
    /// What does not hold, seen while it happened.
    wrongs: Mutex<Vec<String>>,
    crashes: Mutex<Crashes>,
    nodes: Mutex<Vec<Slot>>,
    lives: AtomicU32,
    /// The installation is there: from now on things go wrong.
    founded: AtomicBool,
    /// Whose commit moved a gate last.
    switched_by: Mutex<Option<Life>>,
    /// How much longer than asked for the loops sleep.
    pub stretch: AtomicU32,
    /// Lines of the log that were read.
    pub lines: AtomicU64,
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
    /// The place that it has among the nodes of the run, from 1.
    pub slot: u32,
    /// The number that the store gave it.
    pub node: u32,
    /// Its tasks.
    pub group: Group,
    /// The epoch that the store gave it.
    pub epoch: u64,
}

/// How a life ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It dies at a port.
    Crash,
    /// Another node has taken it over: the process gives up, and its supervisor starts another one.
    Lost,
    /// It was asked to stop, and has stopped in order.
    Stopped,
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
    /// How its parts are stopped.
    pub stops: Stops,
}

/// How the parts of a node are asked to stop, and how they say that they have.
#[derive(Debug, Clone, Default)]
pub struct Stops {
    /// It takes nothing more: its load balancer knows.
    pub leaving: Arc<AtomicBool>,
    /// For what stands at its doors.
    pub doors: CancellationToken,
    /// For the worker, and its answer.
    pub worker: (CancellationToken, CancellationToken),
    /// For the follower, and its answer.
    pub follower: (CancellationToken, CancellationToken),
}

impl Live {
    /// Whether a load balancer sends it anything.
    pub fn takes(&self) -> bool {
        !self.stops.leaving.load(Ordering::Relaxed) && self.desk.may_send()
    }
}

impl Shared {
    /// What a seed's world shares.
    pub fn new(seed: u64, setup: Setup, keep_trace: bool) -> Arc<Shared> {
        let slot = || Slot {
            live: None,
            back_at: 0,
        };
        Arc::new(Shared {
            exec: Exec::new(START, Dice::new(seed, "order")),
            trace: Trace::new(keep_trace),
            faults: Faults::new(seed),
            witness: Mutex::default(),
            setup,
            wrongs: Mutex::default(),
            crashes: Mutex::new(Crashes::new(seed)),
            nodes: Mutex::new((0..setup.nodes).map(|_| slot()).collect()),
            lives: AtomicU32::new(0),
            founded: AtomicBool::new(false),
            switched_by: Mutex::default(),
            stretch: AtomicU32::new(dice_of_loops(seed)),
            lines: AtomicU64::new(0),
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

    /// A running node, by a number that is taken modulo the nodes that take something.
    pub fn live(&self, n: u64) -> Option<Live> {
        // A load balancer looks now and then: some of what it sends meets a node that takes nothing any more.
        let late = n >> 60 == 0;
        let nodes = lock(&self.nodes);
        let live = nodes.iter().filter_map(|s| s.live.as_ref());
        let live: Vec<&Live> = live.filter(|l| late || l.takes()).collect();
        let at = n.checked_rem(live.len() as u64)?;
        Some(live[at as usize].clone())
    }

    /// Crashes by place.
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
        told.await.ok()
    }

    /// The node that has a place now.
    pub fn at(&self, slot: u32) -> Option<Live> {
        lock(&self.nodes)[slot as usize - 1].live.clone()
    }

    /// The nodes that run.
    pub fn running(&self) -> Vec<Live> {
        let nodes = lock(&self.nodes);
        nodes.iter().filter_map(|s| s.live.clone()).collect()
    }

    /// A place is taken by a new life.
    pub fn begins(&self, live: Live) {
        let slot = live.life.slot as usize - 1;
        lock(&self.nodes)[slot].live = Some(live);
    }

    /// A life is over; its place is taken again at an instant, µs of the world.
    pub fn ends(&self, life: Life, back_at: i64) -> Option<Live> {
        let slot = &mut lock(&self.nodes)[life.slot as usize - 1];
        slot.back_at = back_at;
        slot.live.take_if(|l| l.life == life)
    }

    /// Places that wait for a life that is due by now.
    pub fn vacant(&self) -> Vec<u32> {
        let now = self.exec.now();
        let nodes = lock(&self.nodes);
        let vacant = (1..).zip(nodes.iter());
        let vacant = vacant.filter(|(_, s)| s.live.is_none() && s.back_at <= now);
        vacant.map(|(slot, _)| slot).collect()
    }

    /// A number for a new life's tasks.
    pub fn new_group(&self) -> Group {
        self.lives.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A life ends by itself; it is cleared away before the next step.
    pub fn end(&self, life: Life, how: End) {
        self.crashes().ended.push((life, how));
    }

    /// A life that has ended by itself.
    pub fn next_ended(&self) -> Option<(Life, End)> {
        self.crashes().ended.pop()
    }

    /// The installation is there.
    pub fn found(&self) {
        self.founded.store(true, Ordering::Relaxed);
    }

    /// Whether the installation is there.
    pub fn is_founded(&self) -> bool {
        self.founded.load(Ordering::Relaxed)
    }

    /// Something does not hold.
    pub fn wrong(&self, what: String) {
        lock(&self.wrongs).push(what);
    }

    /// Somebody was told this who may not see what cases are about.
    pub fn told(&self, by: &str, text: &str) {
        if let Some(mark) = mark_in(text.as_bytes()) {
            self.wrong(format!("I16 hygiene: {by} shows `{mark}`: {text}"));
        }
    }

    /// What did not hold while it happened.
    pub fn wrongs(&self) -> Vec<String> {
        lock(&self.wrongs).clone()
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
pub(crate) struct Ports {
    shared: Arc<Shared>,
    watch: Watch,
    disk: Arc<FaultDisk>,
    dead: AtomicBool,
    /// Other nodes will hear of a commit.
    ringing: Arc<AtomicBool>,
}

impl Ports {
    /// The ports of a life that is watched.
    pub(crate) fn new(watch: Watch, disk: Arc<FaultDisk>) -> Ports {
        Ports {
            shared: Arc::clone(&watch.shared),
            watch,
            disk,
            dead: AtomicBool::new(false),
            ringing: Arc::default(),
        }
    }

    /// Tells the other nodes that something was committed: soon, seldom, and not always.
    fn ring(&self) {
        if self.shared.setup.nodes < 2 || self.ringing.swap(true, Ordering::Relaxed) {
            return;
        }
        let faults = &self.shared.faults;
        let lost = faults.fires("notice_lost");
        let after = match faults.are_on() {
            true => faults.size(SECOND / 1_000, SECOND / 2),
            false => 3 * SECOND,
        };
        let (shared, ringing) = (Arc::clone(&self.shared), Arc::clone(&self.ringing));
        let life = self.watch.life;
        self.shared.exec.spawn(WORLD, async move {
            shared.exec.sleep(after).await;
            ringing.store(false, Ordering::Relaxed);
            let others = shared.running();
            for other in others.iter().filter(|o| !lost && o.life != life) {
                other.desk.store().hear();
            }
        });
    }

    /// Lets the life pass, unless it ends here.
    fn pass(&self, point: Point, unit: Option<&Unit>) -> Result<(), Stopped> {
        if self.dead.load(Ordering::Relaxed) || !self.disk.has_power() {
            return Err(Stopped);
        }
        let place = place(point, unit);
        let mut crashes = self.shared.crashes();
        if !self.shared.faults.are_on() || !crashes.comes(point, place) {
            return Ok(());
        }
        crashes.ended.push((self.watch.life, End::Crash));
        drop(crashes);
        self.dead.store(true, Ordering::Relaxed);
        let node = self.watch.life.node;
        self.shared
            .note("crash", format_args!("node {node} at {place}"));
        Err(Stopped)
    }

    /// A switch that one node set is met by another one that did not know of it yet.
    fn switches(&self, unit: &Unit, answer: &CommitAnswer) {
        let life = self.watch.life;
        let mut by = lock(&self.shared.switched_by);
        let moves = unit.rows.iter().any(|r| matches!(r, Row::Switch { .. }));
        if moves && answer.is_ok() {
            *by = Some(life);
        }
        if matches!(answer, Err(Refused::GateMoved)) && by.is_some_and(|b| b.slot != life.slot) {
            self.shared.faults.count("switch_met_elsewhere");
        }
    }
}

impl Tap for Ports {
    fn at(&self, point: Point) -> Result<(), Stopped> {
        self.pass(point, None)
    }

    fn at_commit(&self, point: Point, unit: &Unit) -> Result<(), Stopped> {
        self.pass(point, Some(unit))
    }

    fn answered(&self, unit: &Unit, answer: &CommitAnswer) {
        let shared = &self.shared;
        let life = self.watch.life;
        let (node, turns, rows) = (life.node, unit.turns.len(), unit.rows.len());
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
            life,
            unit: unit.clone(),
            answer: answer.clone(),
        });
        self.switches(unit, answer);
        if answer.is_ok() {
            self.watch.commits();
            // Nobody waits for what the follower writes.
            if Use::of(unit) != Use::Audit {
                self.ring();
            }
        }
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
pub(crate) struct Ground {
    shared: Arc<Shared>,
    watch: Watch,
    disk: Arc<FaultDisk>,
    dice: Mutex<Dice>,
}

impl Ground {
    /// The ground of the tasks of a life that is watched.
    pub(crate) fn new(watch: Watch, disk: Arc<FaultDisk>, dice: Dice) -> Ground {
        Ground {
            shared: Arc::clone(&watch.shared),
            watch,
            disk,
            dice: Mutex::new(dice),
        }
    }
}

impl Host for Ground {
    fn spawn(&self, task: Task) {
        self.shared.exec.spawn_boxed(self.watch.life.group, task);
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

    fn append(&self, file: PathBuf, block: String) -> Appended {
        let place = (self.shared.as_ref(), self.disk.as_ref());
        let done = append(place, &self.watch.truth, &file, &block);
        Box::pin(ready(done))
    }
}
