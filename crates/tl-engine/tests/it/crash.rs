//! The crash sweep: the engine is stopped before and after every commit and every send, one point at a time and in
//! pairs, opened again on the same directory, and must finish the work with nothing lost and nothing doubled.

pub mod judge;
mod scenarios;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use tl_connect::client::Client;
use tl_connect::fake::Crm;
use tl_engine::admit::Admitted;
use tl_engine::clock::ManualClock;
use tl_engine::desk::DeskError;
use tl_engine::tap::{Point, Stopped, Tap};
use tl_engine::telemetry::traceparent;
use tl_kernel::decide::{Command, CommandKind, Input, Resolve, TaskDecision};
use tl_kernel::digest::Digest;
use tl_kernel::effect::EffectState;
use tl_kernel::id::{CaseId, EventId};
use tl_kernel::journal::Actor;
use tl_kernel::program::OnUnknown;
use tl_store::contract::{CommitAnswer, EffectRow, Unit};
use tokio::task::JoinSet;

use crate::control::switch;
use crate::world::{Plan, START, TENANT, World, client};
use judge::{Account, End, judge};
pub use scenarios::{EXAMPLES, WITH_AI};
use scenarios::{Scenario, Step};

/// Leaves of committed turns, as the desks were told.
pub type Told = Arc<Mutex<BTreeSet<Digest>>>;

/// Counts ports, and stops the engine at one of them for good.
pub struct StopAt {
    left: AtomicI64,
    passed: AtomicU64,
    told: Told,
    /// Sees everything too.
    beside: Option<Arc<dyn Tap>>,
}

impl StopAt {
    /// Stops at the port of this number; keeps the leaves of what is committed until then.
    pub fn new(until: i64, told: Told, beside: Option<Arc<dyn Tap>>) -> StopAt {
        StopAt {
            left: AtomicI64::new(until),
            passed: AtomicU64::new(0),
            told,
            beside,
        }
    }

    /// Stops after so many more ports.
    pub fn stop_after(&self, ports: i64) {
        self.left.store(ports, Ordering::SeqCst);
    }
}

impl Tap for StopAt {
    fn at(&self, point: Point) -> Result<(), Stopped> {
        if let Some(beside) = &self.beside {
            beside.at(point)?;
        }
        self.passed.fetch_add(1, Ordering::SeqCst);
        if self.left.fetch_sub(1, Ordering::SeqCst) <= 0 {
            Err(Stopped)
        } else {
            Ok(())
        }
    }

    fn answered(&self, unit: &Unit, answer: &CommitAnswer) {
        if let Some(beside) = &self.beside {
            beside.answered(unit, answer);
        }
        if answer.is_ok() {
            let turns = unit.turns.iter().map(|t| t.sealed.leaf);
            let control = unit.control.iter().map(|s| s.leaf);
            self.told.lock().unwrap().extend(turns.chain(control));
        }
    }
}

/// A port that is never reached.
pub const NEVER: i64 = i64::MAX;

/// One run of a scenario, over as many lives of the process as it takes.
struct Run<'a> {
    s: &'a Scenario,
    dir: TempDir,
    crm: Arc<Crm>,
    client: Client,
    clock: Arc<ManualClock>,
    told: Told,
    acked: BTreeMap<String, (EventId, CaseId)>,
    /// The step that the world outside is at.
    step: usize,
    deployed: bool,
    beside: Option<Arc<dyn Tap>>,
}

/// A directory for a store. It is the process that dies here and not the machine, so that memory will do where there
/// is a directory in it.
pub fn directory() -> TempDir {
    let made = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    made.expect("a directory")
}

const NAMES: [&str; 3] = ["ada", "bob", "cyd"];

fn path(name: &str) -> String {
    format!("/leads/{name}%40x.example")
}

impl<'a> Run<'a> {
    async fn new(s: &'a Scenario) -> Run<'a> {
        let crm = Crm::start(([127, 0, 0, 1], 0).into()).await;
        let crm = Arc::new(crm.expect("the CRM starts"));
        for (on, fault, times) in &s.faults {
            crm.script(*on, fault.clone(), *times);
        }
        for name in NAMES.iter().filter(|_| s.existing) {
            crm.edit(&path(name), serde_json::Map::new());
        }
        Run {
            s,
            dir: directory(),
            crm,
            client: client(),
            clock: Arc::new(ManualClock::at(START)),
            told: Told::default(),
            acked: BTreeMap::new(),
            step: 0,
            deployed: false,
            beside: None,
        }
    }

    /// One life of the process, until everything is done or it is stopped at a port. Returns how many ports it passed.
    async fn live(&mut self, until: i64) -> (u64, Result<World, DeskError>) {
        let told = Arc::clone(&self.told);
        let tap = Arc::new(StopAt::new(until, told, self.beside.clone()));
        let mut w = World::open(Plan {
            dir: self.dir.path(),
            clock: Arc::clone(&self.clock),
            crm: Arc::clone(&self.crm),
            client: self.client.clone(),
            tap: Some(tap.clone()),
            slots: self.s.slots,
            inline: false,
        });
        if !self.deployed {
            w.deploy_files(&self.s.yaml, self.s.files).await;
            self.deployed = true;
        }
        let done = self.walk(&mut w).await;
        (tap.passed.load(Ordering::SeqCst), done.map(|()| w))
    }

    async fn walk(&mut self, w: &mut World) -> Result<(), DeskError> {
        while let Some(step) = self.s.steps.get(self.step) {
            self.take(w, *step).await?;
            self.step += 1;
        }
        // Whatever a crash left for the last step is worked off.
        w.settle_for(6).await
    }

    async fn take(&mut self, w: &mut World, step: Step) -> Result<(), DeskError> {
        match step {
            Step::Send(messages) => return self.send(w, messages).await,
            Step::Work(hours) => return w.settle_for(hours).await,
            Step::NothingSent => {
                let ledger = w.crm.ledger();
                assert!(ledger.is_empty(), "{}: {ledger:?} has left", self.s.name);
            }
            Step::Heal => w.crm.heal(),
            Step::Rename(to) => {
                let fields = serde_json::json!({ "name": to });
                for name in NAMES {
                    w.crm
                        .edit(&path(name), fields.as_object().expect("an object").clone());
                }
            }
            Step::Switch(scope, mode) => {
                let answer = w.desk.commit(switch(w, scope, mode)).await?;
                answer.expect("switched");
                w.desk.forget_views();
            }
            Step::Approve => {
                for case in self.cases() {
                    approve(w, case).await?;
                }
            }
            Step::Redrive => {
                for row in self.effects(w).await {
                    if matches!(row.state, EffectState::Failed | EffectState::Dead) {
                        resolve(w, &row, Resolve::SendAgain).await?;
                    }
                }
            }
            Step::Look => {
                for row in self.effects(w).await {
                    if row.state == EffectState::Uncertain {
                        let how = match was_applied(w, &row) {
                            true => Resolve::Happened(None),
                            false => Resolve::SendAgain,
                        };
                        resolve(w, &row, how).await?;
                    }
                }
            }
            Step::Command(from, what) => {
                for case in self.cases() {
                    if w.state(case).await == from {
                        command(w, case, what()).await?;
                    }
                }
            }
            Step::Assign(owner) => {
                for case in self.cases() {
                    if w.case(case).await.owner != owner {
                        command(w, case, CommandKind::Assign(owner.into())).await?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Sends what was not acknowledged, and notes what was.
    async fn send(&mut self, w: &World, messages: &[(&str, &str)]) -> Result<(), DeskError> {
        for (key, json) in messages {
            if self.acked.contains_key(*key) {
                continue;
            }
            let message = w.message(key, json);
            let id = message.id;
            let (event, case) = match w.desk.admit(message).await? {
                Admitted::Accepted { case, .. } => (id, case.expect("one sender at a time")),
                Admitted::Duplicate { event, .. } => {
                    let known = w.desk.store().event(TENANT, event).await.expect("events");
                    let case = known.and_then(|(_, e)| e.case).expect("its case");
                    (event, case)
                }
            };
            self.acked.insert((*key).to_owned(), (event, case));
        }
        Ok(())
    }

    fn cases(&self) -> BTreeSet<CaseId> {
        self.acked.values().map(|(_, case)| *case).collect()
    }

    async fn effects(&self, w: &World) -> Vec<EffectRow> {
        let mut out = Vec::new();
        for case in self.cases() {
            out.extend(w.effects(case).await);
        }
        out
    }

    /// What does not hold in the end. `calm`: how the cases of an undisturbed run ended, by the key of their message.
    async fn judge(&self, w: &World, calm: Option<&BTreeMap<String, End>>) -> Vec<String> {
        let told = self.told.lock().unwrap().clone();
        let on_unknown = match &self.s.yaml {
            y if y.contains("on_unknown: resend") => OnUnknown::Resend,
            y if y.contains("on_unknown: assume_sent") => OnUnknown::AssumeSent,
            _ => OnUnknown::Hold,
        };
        let known = Account {
            acked: &self.acked,
            told: &told,
            on_unknown,
            versioned: self.s.yaml.contains("If-Match"),
        };
        let (mut out, ends) = judge(w, &known).await;
        for (key, end) in self.by_key(&ends) {
            let wanted = calm.and_then(|c| c.get(&key));
            let state = end.effects.first().map(|e| e.1);
            let also = state.is_some_and(|s| self.s.also.contains(&(&*end.state, s)));
            if !also && wanted.is_some_and(|w| *w != end) {
                out.push(format!("{key} ended as {end:?}, undisturbed as {wanted:?}"));
            }
        }
        self.judge_records(w, &mut out);
        out
    }

    fn judge_records(&self, w: &World, out: &mut Vec<String>) {
        let Some((least, most)) = self.s.writes else {
            return;
        };
        for name in NAMES {
            let of = |a: &tl_connect::fake::crm::Applied| a.path == path(name);
            let times = w.crm.ledger().into_iter().filter(of).count() as u64;
            if !(least..=most).contains(&times) {
                out.push(format!("{name} was written {times} times"));
            }
            for (field, json) in self.s.holds {
                let holds = w
                    .crm
                    .record(&path(name))
                    .map(|(_, r)| r[*field].to_string());
                if holds.as_deref() != Some(json) {
                    out.push(format!("{field} of {name} is {holds:?}"));
                }
            }
        }
    }

    fn by_key(&self, ends: &BTreeMap<CaseId, End>) -> BTreeMap<String, End> {
        let end = |case| ends.get(case).cloned();
        self.acked
            .iter()
            .filter_map(|(key, (_, case))| Some((key.clone(), end(case)?)))
            .collect()
    }
}

/// Whether the CRM's own ledger has an attempt of this effect.
fn was_applied(w: &World, row: &EffectRow) -> bool {
    (0..=row.attempt).any(|n| {
        let mut attempt = row.clone();
        attempt.attempt = n;
        let name = Some(traceparent(&attempt));
        w.crm.ledger().iter().any(|a| a.traceparent == name)
    })
}

async fn command(w: &World, case: CaseId, what: CommandKind) -> Result<(), DeskError> {
    let input = Input::Command(Command {
        by: Actor::Person("anna".into()),
        reason: "test".into(),
        what,
    });
    let at = (TENANT, case);
    w.desk.advance(at, input, Vec::new(), None).await.map(drop)
}

async fn resolve(w: &World, row: &EffectRow, how: Resolve) -> Result<(), DeskError> {
    let n = row.effect.n;
    command(w, row.effect.case, CommandKind::Resolve { n, how }).await
}

async fn approve(w: &World, case: CaseId) -> Result<(), DeskError> {
    for task in w.open_tasks(case).await {
        if task.kind != "approve" {
            continue;
        }
        let about = |e: &&EffectRow| Some(e.effect.n) == task.effect;
        let effects = w.effects(case).await;
        let shown = effects.iter().find(about).expect("its effect").digest;
        let input = Input::TaskDecided(TaskDecision {
            n: task.task.n,
            by: Actor::Person("anna".into()),
            decision: "approve".into(),
            reason: "ok".into(),
            note: None,
            edits: Vec::new(),
            digest: Some(shown),
        });
        let at = (TENANT, case);
        w.desk.advance(at, input, Vec::new(), None).await?;
    }
    Ok(())
}

/// A run without a crash: how many ports it passes, and how its cases end.
async fn undisturbed(s: &Scenario) -> (u64, BTreeMap<String, End>) {
    let mut run = Run::new(s).await;
    let (ports, done) = run.live(NEVER).await;
    let w = done.unwrap_or_else(|e| panic!("{}: {e}", s.name));
    let wrong = run.judge(&w, None).await;
    assert!(wrong.is_empty(), "{}, undisturbed: {wrong:#?}", s.name);
    let told = run.told.lock().unwrap().clone();
    let known = Account {
        acked: &run.acked,
        told: &told,
        on_unknown: OnUnknown::Resend,
        versioned: false,
    };
    let ends = run.by_key(&judge(&w, &known).await.1);
    assert!(!ends.is_empty(), "{}: nothing came of it", s.name);
    for (key, end) in &ends {
        let first = end.effects.first().map(|e| e.1);
        assert_eq!((&*end.state, first), s.ends, "{}: {key}: {end:?}", s.name);
        assert_eq!(end.messages, s.messages, "{}: {key}: {end:?}", s.name);
        assert_eq!(end.goals, s.goals, "{}: {key}: {end:?}", s.name);
    }
    (ports, ends)
}

/// Stops one process after the other at these ports, then lets one finish. `None`: a port was never reached. Else how
/// many ports the last one passed, and what does not hold.
async fn crash_at(
    s: &Scenario,
    ports: &[i64],
    calm: &BTreeMap<String, End>,
) -> Option<(u64, Vec<String>)> {
    let mut run = Run::new(s).await;
    for port in ports {
        match run.live(*port).await.1 {
            Err(DeskError::Stopped(_)) => {}
            Ok(_) => return None,
            Err(e) => panic!("{} on the way to {ports:?}: {e}", s.name),
        }
    }
    let (passed, done) = run.live(NEVER).await;
    let w = done.unwrap_or_else(|e| panic!("{} after crashes at {ports:?}: {e}", s.name));
    let wrong = run.judge(&w, Some(calm)).await;
    let say = |v: String| format!("{} stopped at {ports:?}: {v}", s.name);
    Some((passed, wrong.into_iter().map(say).collect()))
}

/// Runs every scenario with a crash in its middle, beside somebody who watches each commit. `watch` is given the path
/// of the database; `after` gets the finished world of each.
pub async fn watched(watch: impl Fn(&Path) -> Arc<dyn Tap>, after: impl AsyncFn(&World)) {
    for s in scenarios::all() {
        let (ports, _) = undisturbed(&s).await;
        let mut run = Run::new(&s).await;
        run.beside = Some(watch(&run.dir.path().join("store.db")));
        let stopped = run.live(ports as i64 / 2).await.1;
        assert!(matches!(stopped, Err(DeskError::Stopped(_))), "{}", s.name);
        let (_, done) = run.live(NEVER).await;
        after(&done.unwrap_or_else(|e| panic!("{}: {e}", s.name))).await;
    }
}

/// What a sweep came to.
#[derive(Default)]
struct Swept {
    points: u64,
    pairs: u64,
    violations: Vec<String>,
}

/// Every port of one scenario, and a sample of pairs: a crash, and another one while recovering from it.
async fn sweep(s: &Scenario, pairs: u64) -> Swept {
    let (ports, calm) = undisturbed(s).await;
    assert!(ports >= 8, "{}: only {ports} ports", s.name);
    let mut out = Swept::default();
    let mut after = Vec::new();
    for port in 0..ports as i64 {
        let (passed, wrong) = crash_at(s, &[port], &calm).await.expect("within the run");
        out.violations.extend(wrong);
        out.points += 1;
        after.push(passed);
    }
    let mut dice = 0x9e37_79b9_7f4a_7c15_u64 ^ s.name.len() as u64;
    let mut below = |n: u64| {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        dice % n.max(1)
    };
    for _ in 0..pairs {
        let first = below(ports);
        let second = below(after[first as usize]);
        if let Some((_, wrong)) = crash_at(s, &[first as i64, second as i64], &calm).await {
            out.violations.extend(wrong);
            out.pairs += 1;
        }
    }
    println!(
        "{}: {} points, {} pairs, {} violations",
        s.name,
        out.points,
        out.pairs,
        out.violations.len()
    );
    out
}

async fn sweep_all(pairs: u64) -> Swept {
    let mut running = JoinSet::new();
    for s in scenarios::all() {
        running.spawn(async move { sweep(&s, pairs).await });
    }
    let mut out = Swept::default();
    while let Some(one) = running.join_next().await {
        let one = match one {
            Ok(one) => one,
            Err(e) => {
                out.violations.push(format!("a sweep ended: {e:?}"));
                continue;
            }
        };
        out.points += one.points;
        out.pairs += one.pairs;
        out.violations.extend(one.violations);
    }
    println!("{} crash points, {} pairs of them", out.points, out.pairs);
    let first: Vec<&String> = out.violations.iter().take(20).collect();
    assert!(
        first.is_empty(),
        "{} violations: {first:#?}",
        out.violations.len()
    );
    out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_port_of_every_scenario() {
    let swept = sweep_all(4).await;
    // A sweep that enumerates nothing proves nothing.
    assert!(swept.points >= 400, "only {} points", swept.points);
    assert!(swept.pairs >= 60, "only {} pairs", swept.pairs);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "thousands of runs; part of the long tests"]
async fn two_crashes_are_no_worse_than_one() {
    let swept = sweep_all(250).await;
    assert!(swept.pairs >= 4_000, "only {} pairs", swept.pairs);
}
