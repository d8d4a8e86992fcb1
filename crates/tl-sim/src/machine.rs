//! The nodes of a run as they come and go: started, killed, cut off, asked to stop, and started again.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tl_connect::client::{Auth, Client, Connection, Secret};
use tl_engine::clock::{Clock, StoreClock};
use tl_engine::desk::{Desk, Setting};
use tl_engine::follower::Follower;
use tl_engine::outward::{Connections, Outward};
use tl_engine::tenant::Tenant;
use tl_engine::worker::Worker;
use tl_faultdisk::{FaultDisk, Loss};
use tl_kernel::time::{MINUTE, SECOND};
use tl_store::{Location, Options, Store, Surroundings};
use tokio_util::sync::CancellationToken;

use crate::dice::Dice;
use crate::event::event_of;
use crate::exec::{Exec, WORLD};
use crate::hygiene;
use crate::model;
use crate::nodes::{Site, Truth, Watch};
use crate::outside::{file_of, survived};
use crate::vendor::{Vendors, Wire};
use crate::world::{End, FILE, Ground, KEY, Life, Live, Ports, Shared, Stops};

/// Longest that a node which was asked to stop waits for its worker, µs.
const DRAIN: i64 = 15 * SECOND;
/// Longest that it waits for its follower, µs.
const FOLLOW: i64 = 5 * SECOND;

/// The clock of the world as the engine of a single node reads it.
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

const NAMES: [&str; 6] = [
    "crm",
    "crm-existing",
    "keyed",
    "ledger",
    "blind",
    model::CONNECTION,
];

/// What nodes are started from.
#[derive(Debug)]
pub struct Machine {
    /// What all share.
    pub shared: Arc<Shared>,
    /// The vendors.
    pub vendors: Arc<Vendors>,
    /// The disk that the database lies on. When its power goes every node dies.
    pub disk: Arc<FaultDisk>,
    /// The disk's name at SQLite.
    pub vfs: String,
    /// Send slots of each node.
    pub slots: usize,
    /// The run's seed.
    pub seed: u64,
    /// The machine of each node.
    pub sites: Vec<Arc<Site>>,
    /// The truth about leases.
    pub truth: Arc<Truth>,
}

impl Machine {
    /// Starts a node: opens the store and begins its loops.
    pub fn start(&self, slot: u32) -> anyhow::Result<()> {
        let shared = &self.shared;
        let store = Store::inline(&Location::from(Path::new(FILE)), &self.options(slot))?;
        let group = shared.new_group();
        let life = Life {
            slot,
            node: store.node(),
            group,
            epoch: store.epoch(),
        };
        let watch = Watch {
            shared: Arc::clone(shared),
            truth: Arc::clone(&self.truth),
            life,
        };
        let dice = Dice::new(self.seed, &format!("life {group}"));
        let clock: Arc<dyn Clock> = match shared.setup.shared {
            true => Arc::new(StoreClock::of(store.clone())),
            false => Arc::new(WorldClock(shared.exec.clone())),
        };
        let ground = Ground::new(watch.clone(), Arc::clone(&self.disk), dice);
        let setting = Setting {
            store,
            clock,
            key: KEY,
            slots: self.slots,
            tap: Some(Arc::new(Ports::new(watch.clone(), Arc::clone(&self.disk)))),
        };
        let (desk, queue) = Desk::hosted(setting, Arc::new(ground));
        let live = Live {
            life,
            desk,
            stops: Stops::default(),
        };
        let worker = Worker::new(live.desk.clone(), self.outward(watch)?);
        let (stop, stopped) = live.stops.worker.clone();
        let worker = worker.run(queue, stop);
        shared.exec.spawn(group, async move {
            worker.await;
            stopped.cancel();
        });
        self.begin_loops(&live);
        shared.note(
            "start",
            format_args!("node {} epoch {}", life.node, life.epoch),
        );
        shared.begins(live);
        Ok(())
    }

    fn outward(&self, watch: Watch) -> anyhow::Result<Outward> {
        let mut wires = BTreeMap::new();
        for name in NAMES {
            let url = format!("https://{name}.example/v1");
            let secret = Auth::Bearer(Secret::new(hygiene::SECRET));
            let wire = Connection::new(name, &url, &secret, false)?;
            wires.insert(name, Arc::new(wire));
        }
        Ok(Outward {
            client: Client::over(Arc::new(Wire {
                vendors: Arc::clone(&self.vendors),
                watch,
            })),
            connections: Arc::new(Wires(wires)),
        })
    }

    /// What a server runs beside its worker.
    fn begin_loops(&self, live: &Live) {
        let (exec, group) = (&self.shared.exec, live.life.group);
        let desk = || live.desk.clone();
        let doors = || live.stops.doors.clone();
        let (stop, stopped) = live.stops.follower.clone();
        if let Some(follower) = Follower::new(desk(), Some(file_of(live.life.slot).into())) {
            exec.spawn(group, async move {
                follower.run(stop).await;
                stopped.cancel();
            });
        }
        exec.spawn(group, desk().follow_gates(doors()));
        exec.spawn(group, join_pending(exec.clone(), desk(), doors()));
        if self.shared.setup.shared {
            let lease = Duration::from_micros(self.shared.setup.lease.unsigned_abs());
            exec.spawn(group, desk().take_over(lease, doors()));
            exec.spawn(group, keep_lease(Arc::clone(&self.shared), live.clone()));
        }
    }

    /// How a node opens its store.
    pub fn options(&self, slot: u32) -> Options {
        let setup = &self.shared.setup;
        let site = self.sites.get(slot as usize - 1).filter(|_| setup.shared);
        let shared = |site: &Arc<Site>| {
            let site = Arc::clone(site) as Arc<dyn Surroundings>;
            tl_store::Shared(site)
        };
        Options {
            node: Some(match setup.shared && !setup.numbered {
                true => 0,
                false => slot,
            }),
            lease: Duration::from_micros(setup.lease.unsigned_abs()),
            shared: site.map(shared),
            ..plain_options(&self.vfs)
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
        self.truth.forget();
        survived(&self.shared, &self.disk, &self.truth);
        let back = self.shared.faults.size(SECOND, 20 * SECOND);
        for life in lives {
            self.end(life, back);
        }
    }

    /// A node dies and comes back after a while.
    pub fn crash(&self, life: Life) {
        if self.lives().len() > 1 {
            self.shared.faults.count("crash_beside_others");
        }
        let back = self.shared.faults.size(SECOND / 10, 20 * SECOND);
        self.end(life, back);
    }

    /// Ends the present life of a node; it comes back after a while.
    pub fn end(&self, life: Life, back_after: i64) {
        let shared = &self.shared;
        shared.exec.kill(life.group);
        let gone = shared.ends(life, shared.exec.now() + back_after);
        if gone.is_some() && self.lives().is_empty() {
            // A process that dies closes nothing: what it wrote stays as it is.
            self.disk.crash_with(Loss::Nothing);
            self.truth.forget();
        }
        drop(gone);
        let woken = shared.exec.sleep(back_after);
        shared.exec.spawn(WORLD, woken);
    }

    /// Clears away what has ended by itself, and brings back whose time has come.
    pub fn tend(&self) -> anyhow::Result<()> {
        let faults = &self.shared.faults;
        while let Some((life, how)) = self.shared.next_ended() {
            match how {
                End::Crash if faults.fires("power_with_crash") => self.lose_power(),
                End::Crash => self.crash(life),
                End::Lost | End::Stopped => self.end(life, faults.size(SECOND / 10, 3 * SECOND)),
            }
        }
        if !self.disk.has_power() {
            self.lose_power();
        }
        for slot in self.shared.vacant() {
            let Err(why) = self.start(slot) else { continue };
            // A disk that is full, or whose power went again: it is tried again.
            if !faults.are_on() {
                return Err(why.context(format!("node {slot} does not start")));
            }
            self.shared.note("no_start", format_args!("node {slot}"));
            let life = Life {
                slot,
                node: 0,
                group: WORLD,
                epoch: 0,
            };
            self.shared.ends(life, self.shared.exec.now() + SECOND);
            let woken = self.shared.exec.sleep(SECOND);
            self.shared.exec.spawn(WORLD, woken);
        }
        Ok(())
    }

    /// Lives that run now.
    pub fn lives(&self) -> Vec<Life> {
        self.shared.running().iter().map(|l| l.life).collect()
    }

    /// What befalls one node.
    pub fn trouble(&self, life: Life) {
        let (shared, faults) = (&self.shared, &self.shared.faults);
        let (node, site) = (life.node, &self.sites[life.slot as usize - 1]);
        if faults.fires("node_pause") {
            let time = faults.size(SECOND, 50 * SECOND);
            shared.note("pause", format_args!("node {node} {} ms", time / 1000));
            shared.exec.pause(life.group, time);
        }
        if shared.setup.shared {
            self.trouble_with_site(life, site);
        }
        // One node is restarted at a time, by whoever.
        let leaves = |live: &Live| live.stops.leaving.load(Ordering::Relaxed);
        if !shared.running().iter().any(leaves) {
            if faults.fires("rolling_restart") {
                shared.note("rolling", format_args!("restart"));
                shared.exec.spawn(WORLD, roll(Arc::clone(shared)));
            } else if faults.fires("node_stop")
                && let Some(live) = shared.at(life.slot)
            {
                shared.note("stop", format_args!("node {node}"));
                shared
                    .exec
                    .spawn(life.group, stop(Arc::clone(shared), live));
            }
        }
        if faults.fires("crash_anywhere") {
            shared.note("crash", format_args!("node {node} anywhere"));
            self.crash(life);
        }
    }

    /// What befalls the machine of a node that holds a lease.
    fn trouble_with_site(&self, life: Life, site: &Site) {
        let (shared, faults) = (&self.shared, &self.shared.faults);
        let node = life.node;
        if shared.setup.sleep && faults.fires("machine_sleep") {
            let time = faults.size(SECOND, MINUTE);
            shared.note("sleep", format_args!("node {node} {} ms", time / 1000));
            site.sleep(time);
            shared.exec.pause(life.group, time);
        }
        if faults.fires("db_cut") {
            let time = faults.size(SECOND, 40 * SECOND);
            shared.note("cut", format_args!("node {node} {} ms", time / 1000));
            site.cut(time);
        }
        if faults.fires("clock_set") {
            let ahead = site.set_clock();
            shared.note("clock", format_args!("node {node} {} ms", ahead / 1000));
        }
    }

    /// Every running node extends its lease now: what it would have done while time jumped.
    pub fn keep_leases(&self) {
        for live in self.shared.running() {
            self.shared.exec.block(live.desk.store().keep_lease());
        }
    }
}

/// How the database of a run is opened.
pub fn plain_options(vfs: &str) -> Options {
    Options {
        writer_cache_kib: 1024,
        reader_cache_kib: 256,
        readers: 1,
        // Short, so that logs begin anew in the middle of runs.
        checkpoint_pages: 256,
        vfs: Some(vfs.to_owned()),
        ..Options::default()
    }
}

async fn join_pending(exec: Exec, desk: Desk, stop: CancellationToken) {
    while !stop.is_cancelled() {
        exec.sleep(5 * SECOND).await;
        // What failed is tried again at the next look.
        let _ = desk
            .join_pending(|endpoint, stored| event_of(&endpoint.name, stored))
            .await;
    }
}

/// Keeps the lease of a node; once another one has it the process ends, after a while in which it still tries.
async fn keep_lease(shared: Arc<Shared>, live: Live) {
    let (store, faults) = (live.desk.store(), &shared.faults);
    let mut pause = Duration::from_micros(shared.setup.lease.unsigned_abs()) / 3;
    loop {
        // When nothing goes wrong any more, nobody need hurry.
        let hurry = if faults.are_on() { 1 } else { 2 };
        let time = pause.as_micros() as i64 * hurry;
        shared.exec.sleep(time).await;
        if !live.desk.may_send() && faults.are_on() {
            faults.count("lease_lapsed");
        }
        match store.keep_lease().await {
            Some(next) => pause = next,
            None => break,
        }
    }
    faults.count("zombie_fenced");
    shared.note("lost", format_args!("node {}", live.life.node));
    let time = faults.size(0, 2 * SECOND);
    shared.exec.sleep(time).await;
    shared.end(live.life, End::Lost);
}

/// A node is asked to stop, and does so in order.
async fn stop(shared: Arc<Shared>, live: Live) {
    let (exec, stops) = (&shared.exec, &live.stops);
    if stops.leaving.swap(true, Ordering::Relaxed) {
        return;
    }
    // A load balancer that asks learns it before the doors close.
    let notice = shared.faults.size(0, 5 * SECOND);
    exec.sleep(notice).await;
    live.desk.drain();
    stops.doors.cancel();
    ended(exec, &stops.worker, DRAIN).await;
    ended(exec, &stops.follower, FOLLOW).await;
    // What is not given back runs out by itself.
    let _ = live.desk.store().close().await;
    shared.note("stopped", format_args!("node {}", live.life.node));
    shared.end(live.life, End::Stopped);
}

/// Asks a part to stop, and waits for so long, µs.
async fn ended(
    exec: &Exec,
    (stop, stopped): &(CancellationToken, CancellationToken),
    patience: i64,
) {
    stop.cancel();
    tokio::select! {
        biased;
        () = stopped.cancelled() => {}
        () = exec.sleep(patience) => {}
    }
}

/// One node after the other is restarted, each when the one before it is there again.
async fn roll(shared: Arc<Shared>) {
    for slot in 1..=shared.setup.nodes {
        let Some(old) = shared.at(slot) else { continue };
        shared
            .exec
            .spawn(old.life.group, stop(Arc::clone(&shared), old.clone()));
        let is_back = |new: &Live| new.life != old.life && new.takes();
        while !shared.at(slot).as_ref().is_some_and(is_back) {
            if !shared.faults.are_on() {
                return;
            }
            shared.exec.sleep(SECOND).await;
        }
    }
}
