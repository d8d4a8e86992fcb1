//! One run: a world from a seed, its busy time with faults, a quiet time without, and the checks.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use tl_engine::desk::Desk;
use tl_faultdisk::{FaultDisk, Report};
use tl_kernel::id::TenantId;
use tl_kernel::time::{DAY, HOUR, MINUTE, SECOND};
use tl_store::contract::{Row, Unit};
use tl_store::{Backend, Location, Reader};

use crate::check::{self, Calm, Evidence};
use crate::control::control_turn;
use crate::dice::Dice;
use crate::exec::{Step, WORLD};
use crate::hygiene::read_log;
use crate::machine::{Machine, plain_options};
use crate::nodes::{Setup, Site, Truth};
use crate::outside;
use crate::people::{People, TENANTS};
use crate::releases::{Releases, deployment};
use crate::vendor::{FAILING, Vendors};
use crate::workload::{FLOWS, Flow, Letter, SEEING, flows_of, letters};
use crate::world::{FILE, START, Shared};

/// How a run is made.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The seed: everything follows from it.
    pub seed: u64,
    /// Keep the lines of the trace.
    pub keep_trace: bool,
    /// Nodes share the database, and somebody sets their clocks again and again.
    pub clocks: bool,
}

/// What a run came to.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// Hash of everything that happened.
    pub hash: u64,
    /// What does not hold, one sentence each, beginning with the invariant's number.
    pub violations: Vec<String>,
    /// Nodes.
    pub nodes: u32,
    /// Cases opened.
    pub cases: u64,
    /// Messages acknowledged.
    pub acked: u64,
    /// Units committed by desks.
    pub commits: u64,
    /// Lines of the log that were read.
    pub lines: u64,
    /// Checkpoints in the files beside the database.
    pub outside: u64,
    /// Where a vendor was down: the most repetitions that one connection of a node saw within the checker's span.
    pub retries: Option<usize>,
    /// Effects and asks by class.
    pub effects: BTreeMap<&'static str, u64>,
    /// Faults by kind.
    pub fired: BTreeMap<&'static str, u64>,
    /// Crashes by place.
    pub crashes: BTreeMap<&'static str, u64>,
    /// Simulated time, µs.
    pub simulated: i64,
    /// Polls of tasks.
    pub polls: u64,
    /// The lines of the trace, where they were kept.
    pub trace: Vec<String>,
}

/// Faults by which the clocks of a node jump.
pub const CLOCKS: [&str; 2] = ["clock_set", "machine_sleep"];

/// Numbers the disks of this process, so that each has a name of its own.
static DISKS: AtomicU64 = AtomicU64::new(0);

/// Messages of a run: with duplicates and joins this leaves more than fifty cases.
const LETTERS: (i64, i64) = (62, 74);
/// Messages of a run in which a vendor goes down, all within a minute: more of them fail than may be repeated in one.
const RUSH: u32 = 330;
/// How much longer than asked for the loops sleep in the quiet time.
const CALM: u32 = 50;
/// Rounds of the quiet time in which people are still at work.
const WORKING: usize = 15;
/// So long after the last fault everybody is there again, µs: a machine may sleep for a minute.
const SETTLED: i64 = MINUTE;
/// Most sentences about what was seen to be wrong while it happened.
const SHOWN: usize = 5;
/// A run that is not done after so much of its quiet time has a stuck part.
const QUIET_ROUNDS: usize = 400;

/// Runs a seed and judges it.
pub fn run(plan: &Plan) -> anyhow::Result<Outcome> {
    let mut world = World::build(plan)?;
    let evidence = world.live()?;
    Ok(world.judge(&evidence))
}

/// Runs a seed and hands out the accounts that it would be judged by.
pub fn evidence(plan: &Plan) -> anyhow::Result<Evidence> {
    World::build(plan)?.live()
}

struct World {
    plan: Plan,
    shared: Arc<Shared>,
    vendors: Arc<Vendors>,
    people: Arc<People>,
    machine: Machine,
    flows: Vec<Flow>,
    letters: Vec<Letter>,
    dice: Dice,
    span: i64,
    disk_before: Report,
    calm: Calm,
}

/// Faults of the disk that wait for their moment. Whether it comes is counted apart.
const ARMED: [&str; 5] = [
    "arm_disk_full",
    "arm_sync_failed",
    "arm_write_failed",
    "arm_read_failed",
    "arm_power_cut",
];

impl World {
    fn build(plan: &Plan) -> anyhow::Result<World> {
        let seed = plan.seed;
        let mut dice = Dice::new(seed, "world");
        let setup = Setup::of(plan);
        let shared = Shared::new(seed, setup, plan.keep_trace);
        if plan.clocks {
            shared.faults.often(&CLOCKS);
        }
        let vendors = Arc::new(Vendors::new(Arc::clone(&shared), seed));
        let people = People::new(Arc::clone(&shared), Arc::clone(&vendors), seed);
        let disk = Arc::new(FaultDisk::new(seed));
        let vfs = format!("sim-{}", DISKS.fetch_add(1, Ordering::Relaxed));
        disk.register(&vfs);
        let site = |slot| Arc::new(Site::new(&shared, seed, slot));
        let machine = Machine {
            sites: (1..=setup.nodes).map(site).collect(),
            truth: Arc::new(Truth::new(plain_options(&vfs))),
            shared: Arc::clone(&shared),
            vendors: Arc::clone(&vendors),
            disk,
            vfs,
            slots: *dice.pick(&[1, 2, 4, 8]),
            seed,
        };
        // One of the three blind workflows, all of the others.
        let mut flows: Vec<Flow> = FLOWS[..SEEING].to_vec();
        flows.push(*dice.pick(&FLOWS[SEEING..]));
        let mut count = dice.between(LETTERS.0, LETTERS.1) as u32;
        let mut span = dice.between(5, 60) * SECOND;
        if setup.outage {
            (count, span) = (RUSH, MINUTE);
        }
        let mut letters = letters(&mut dice, &flows, count);
        if setup.outage {
            to_the_failing(&mut letters);
        }
        Ok(World {
            plan: plan.clone(),
            shared,
            vendors,
            people,
            machine,
            flows,
            letters,
            dice,
            span,
            disk_before: Report::default(),
            calm: Calm::default(),
        })
    }

    /// From the first commit to the last account.
    fn live(&mut self) -> anyhow::Result<Evidence> {
        let _reading = read_log(&self.shared);
        self.found()?;
        self.busy()?;
        let stuck = self.quiet()?;
        self.gather(stuck)
    }

    /// Makes the installation: tenants and workflows, before anything can go wrong.
    fn found(&mut self) -> anyhow::Result<()> {
        self.machine.start(1)?;
        let Some(live) = self.shared.live(0) else {
            anyhow::bail!("the first node did not start");
        };
        for tenant in TENANTS {
            let name = format!("tenant-{}", tenant.0);
            let mut unit = Unit::new(tenant);
            unit.rows.push(Row::Tenant {
                name: name.clone(),
                at: START,
            });
            unit.control
                .push(control_turn(tenant, START, ("tenant.create", &name, "")));
            self.commit(&live.desk, unit)?;
            for (flow, number) in flows_of(tenant, &self.flows).iter().zip(1..) {
                self.commit(&live.desk, deployment(tenant, *flow, (number, START))?)?;
            }
        }
        live.desk.forget_views();
        self.shared.found();
        Ok(())
    }

    fn commit(&self, desk: &Desk, unit: Unit) -> anyhow::Result<()> {
        let answer = self.shared.exec.block(desk.store().commit(unit));
        answer.map_err(|e| anyhow::anyhow!("the installation cannot be made: {e}"))?;
        Ok(())
    }

    /// Everybody works and everything goes wrong.
    fn busy(&mut self) -> anyhow::Result<()> {
        self.people.begin(&self.letters, self.span);
        let releases = Releases {
            shared: Arc::clone(&self.shared),
            flows: self.flows.clone(),
            seed: self.plan.seed,
        };
        releases.begin();
        let until = START + self.span + self.dice.between(20, 120) * SECOND;
        let mut next_trouble = START;
        let outage = self.shared.setup.outage;
        let down = if outage { START + HOUR } else { until };
        while self.shared.exec.now() < down.max(until)
            || self.people.delivered() < self.letters.len() as u64
        {
            self.step()?;
            let now = self.shared.exec.now();
            // A node that has just been started has repeated nothing yet.
            if now >= next_trouble && !outage {
                next_trouble = now + self.dice.between(SECOND, 4 * SECOND);
                self.trouble();
            }
            // A run in which nothing can be delivered any more is for the quiet time to judge.
            if now > down + HOUR && self.people.delivered() < self.letters.len() as u64 {
                break;
            }
        }
        Ok(())
    }

    /// What befalls whole nodes.
    fn trouble(&mut self) {
        self.trouble_with_disk();
        let faults = &self.shared.faults;
        if faults.fires("time_jump") {
            let by = faults.size(MINUTE, 6 * HOUR);
            self.shared.note("jump", format_args!("{} s", by / SECOND));
            self.shared.exec.jump(by);
        }
        let lives = self.machine.lives();
        if lives.is_empty() {
            return;
        }
        let life = lives[self.dice.below(lives.len() as u64) as usize];
        self.machine.trouble(life);
    }

    /// What befalls the disk. What befell it before is over.
    fn trouble_with_disk(&mut self) {
        let (faults, disk) = (&self.shared.faults, &self.machine.disk);
        let before = disk.report();
        disk.heal();
        for (kind, now, last) in [
            ("disk_full", before.full, self.disk_before.full),
            (
                "sync_failed",
                before.failed_syncs,
                self.disk_before.failed_syncs,
            ),
            (
                "write_failed",
                before.failed_writes,
                self.disk_before.failed_writes,
            ),
            (
                "read_failed",
                before.failed_reads,
                self.disk_before.failed_reads,
            ),
            ("power_cut_in_write", before.cuts, self.disk_before.cuts),
        ] {
            if now > last {
                faults.count(kind);
                self.shared.note("disk", format_args!("{kind}"));
            }
        }
        self.disk_before = before;
        let nth = faults.size(1, 60).unsigned_abs();
        match faults.one_of(&ARMED) {
            Some("arm_disk_full") => disk.disk_full(nth * 500),
            Some("arm_sync_failed") => disk.fail_sync(nth / 6 + 1),
            Some("arm_write_failed") => disk.fail_write(nth),
            Some("arm_read_failed") => disk.fail_read(nth / 12 + 1),
            Some(_) => disk.cut_power(nth),
            None => {}
        }
    }

    fn step(&self) -> anyhow::Result<Step> {
        let step = self.shared.exec.step();
        self.machine.tend()?;
        Ok(step)
    }

    /// Runs for so much time of the world.
    fn pass(&self, time: i64) -> anyhow::Result<()> {
        let until = self.shared.exec.now() + time;
        self.shared.exec.spawn(WORLD, self.shared.exec.sleep(time));
        while self.shared.exec.now() < until {
            if self.step()? == Step::Idle {
                break;
            }
        }
        Ok(())
    }

    /// No more faults: whatever is left must come to rest. Returns what did not.
    fn quiet(&mut self) -> anyhow::Result<Option<String>> {
        self.shared.faults.end();
        self.machine.disk.heal();
        // Nothing hurries any more; commits wake whoever has work.
        self.shared.stretch.store(CALM, Ordering::Relaxed);
        self.shared.note("quiet", format_args!(""));
        self.pass(40 * SECOND)?;
        self.clear_switches()?;
        self.calm.from = self.shared.exec.now() + SETTLED;
        for round in 0..QUIET_ROUNDS {
            self.pass(40 * SECOND)?;
            if round == WORKING {
                self.people.go_home();
            }
            let due = self.next_due()?;
            let now = self.shared.exec.now();
            match due {
                // People wait until nothing is on its way before they say what became of an effect.
                _ if round < WORKING && round % 3 == 0 => self.jump(5 * MINUTE),
                Some(due) if due > now + 60 * DAY => return Ok(None),
                Some(due) if due > now => self.jump(due - now),
                Some(_) => {}
                None if round <= WORKING => {}
                None => {
                    // The follower signs once a minute.
                    self.pass(3 * MINUTE)?;
                    return Ok(None);
                }
            }
        }
        let due = self.next_due()?;
        let late = due.map_or(0, |due| self.shared.exec.now() - due);
        Ok(Some(format!(
            "after {QUIET_ROUNDS} rounds without faults something is still due, for {} s",
            late / SECOND
        )))
    }

    /// When something is due next, µs.
    fn next_due(&self) -> anyhow::Result<Option<i64>> {
        let due = self.machine.truth.read(Reader::next_due);
        due.context("what is due cannot be read")
    }

    /// Nothing happens for so long, µs, but that nodes keep their leases.
    fn jump(&mut self, time: i64) {
        self.calm.leaps.push((self.shared.exec.now(), time));
        self.shared.exec.jump(time);
        self.machine.keep_leases();
    }

    fn clear_switches(&self) -> anyhow::Result<()> {
        let mut set = Vec::new();
        for tenant in [TenantId::SYSTEM, TENANTS[0]] {
            let rows = self.machine.truth.read(|r| r.gate(tenant));
            let rows = rows.context("the switches cannot be read")?;
            let own = rows.switches.into_iter().filter(|s| s.tenant == tenant);
            set.extend(own.map(|s| (tenant, s.scope)));
        }
        for (tenant, scope) in set {
            let people = Arc::clone(&self.people);
            let mut dice = Dice::new(self.plan.seed, &scope);
            self.shared.exec.spawn(WORLD, async move {
                people.switch(tenant, &scope, None, &mut dice).await;
            });
        }
        self.pass(10 * SECOND)
    }

    fn reader(&self) -> anyhow::Result<Reader> {
        let file = Location::from(Path::new(FILE));
        Ok(Backend::open_reader(
            &file,
            &plain_options(&self.machine.vfs),
        )?)
    }

    fn gather(&self, stuck: Option<String>) -> anyhow::Result<Evidence> {
        let running = self.shared.running();
        let metrics = running.iter().map(|live| metrics_of(&live.desk));
        let metrics = metrics.collect::<Result<Vec<_>, _>>()?;
        drop(running);
        for life in self.machine.lives() {
            self.machine.end(life, 0);
        }
        self.shared.exec.kill(WORLD);
        let reader = self.reader()?;
        let slots = 1..=self.shared.setup.nodes;
        let outside = slots.map(|slot| outside::read(&self.machine.disk, slot));
        Evidence::gather(check::Sources {
            reader: &reader,
            letters: &self.letters,
            acked: self.people.acked(),
            shown: self.people.shown(),
            applied: self.vendors.applied(),
            arrived: self.vendors.arrived(),
            witness: self.shared.witness(),
            metrics,
            stuck,
            calm: self.calm.clone(),
            outside: outside.collect::<Result<_, _>>()?,
            now: self.shared.exec.now(),
        })
    }

    fn judge(&self, evidence: &Evidence) -> Outcome {
        let mut violations = self.shared.wrongs();
        violations.truncate(SHOWN);
        violations.extend(check::all(evidence));
        for v in &violations {
            self.shared.note("VIOLATION", format_args!("{v}"));
        }
        self.shared
            .note("end", format_args!("{}", evidence.summary()));
        Outcome {
            seed: self.plan.seed,
            hash: self.shared.trace.hash(),
            violations,
            nodes: self.shared.setup.nodes,
            cases: evidence.cases.len() as u64,
            acked: evidence.acked.len() as u64,
            commits: evidence.witness.len() as u64,
            lines: self.shared.lines.load(Ordering::Relaxed),
            retries: self
                .shared
                .setup
                .outage
                .then(|| check::most_retries(evidence)),
            outside: evidence.outside.iter().map(|o| o.stated.len() as u64).sum(),
            effects: evidence.by_class(),
            fired: self.shared.faults.fired(),
            crashes: self.shared.crashes_hit(),
            simulated: self.shared.exec.now() - START,
            polls: self.shared.exec.polls(),
            trace: self.shared.trace.take_lines(),
        }
    }
}

/// The messages of the tenant that has the failing vendor all lead there.
fn to_the_failing(letters: &mut [Letter]) {
    let flow = FLOWS.iter().find(|f| f.reaches(FAILING));
    for letter in letters
        .iter_mut()
        .filter(|l| TENANTS[0] == TenantId(l.tenant))
    {
        letter.flow = flow.copied().unwrap_or(letter.flow);
    }
}

/// The metrics of a node as they are handed out.
fn metrics_of(desk: &Desk) -> anyhow::Result<String> {
    let mut registry = Registry::default();
    desk.telemetry().register(&mut registry);
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}
