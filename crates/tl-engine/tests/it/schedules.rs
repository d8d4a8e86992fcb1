//! Timetables under the real engine and store: every instant brings one message, whoever looks, whatever is changed at
//! that moment, and whatever was missed is made up for as the file says.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::{join, join_all, select};
use tl_connect::client::Connection;
use tl_connect::fake::Crm;
use tl_engine::clock::{Clock, ManualClock};
use tl_engine::desk::{Desk, Setting};
use tl_engine::host::{Host, Task, Tokio};
use tl_engine::outward::{Connections, Outward};
use tl_engine::schedules::{Schedules, begin, standing};
use tl_engine::tenant::{Tenant, pack};
use tl_engine::worker::Worker;
use tl_kernel::id::TenantId;
use tl_kernel::journal::{Entry, open};
use tl_kernel::time::{HOUR, MINUTE, SECOND, parse_rfc3339, rfc3339};
use tl_kernel::value::Value;
use tl_lang::{Project, bundle_digest, load};
use tl_store::contract::{CaseFilter, Row, Unit};
use tl_store::{Location, Options, Store};
use tl_trial::postgres::Server;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::crash::directory;
use crate::world::{Plan, TENANT, World, client};

/// A workflow of one timetable, in whose place others come.
fn workflow(schedule: &str) -> String {
    format!(
        "workflow: {{ id: w, version: '1' }}\n\
         record: {{ type: report, fields: {{ instant: {{ type: time }}, kind: {{ type: string }}, n: {{ type: int }}, date: {{ type: string }}, source: {{ type: string }} }} }}\n\
         ingress: {{ channels: [form] }}\n\
         schedules: {{ {schedule} }}\n\
         decision: {{ branches: [{{ default: human_queue }}] }}\n"
    )
}

fn at(text: &str) -> i64 {
    parse_rfc3339(text).expect("an instant")
}

fn shown(instants: &[i64]) -> Vec<String> {
    let short = |us: &i64| rfc3339(*us)[..16].to_owned();
    instants.iter().map(short).collect()
}

/// A world whose clock stands at an instant.
async fn world(dir: &Path, instant: i64) -> World {
    World::open(Plan {
        dir,
        clock: Arc::new(ManualClock::at(instant)),
        crm: Arc::new(Crm::start(([127, 0, 0, 1], 0).into()).await.unwrap()),
        client: client(),
        tap: None,
        slots: 8,
        inline: true,
    })
}

/// The instants of all messages, in the order in which they came.
async fn ran(w: &World) -> Vec<i64> {
    let filter = CaseFilter {
        tenant: Some(TENANT),
        limit: 1_000,
        ..CaseFilter::default()
    };
    let mut rows = w.desk.store().cases(filter).await.unwrap();
    rows.reverse();
    let mut out = Vec::new();
    for row in rows {
        out.push(instant_of(&w.desk, row.case).await);
    }
    out
}

async fn instant_of(desk: &Desk, case: tl_kernel::id::CaseId) -> i64 {
    let case = desk.load(TENANT, case).await.expect("the case folds");
    match case.record.get("instant").map(|f| &f.value) {
        Some(Value::Time(us)) => *us,
        other => panic!("{other:?}"),
    }
}

/// Time passes in steps, and the worker looks after each.
async fn pass(w: &mut World, until: i64, step: i64) {
    while w.desk.now() < until {
        w.clock.advance(step.min(until - w.desk.now()));
        w.settle().await.unwrap();
    }
}

async fn change(w: &World, row: Row) {
    let mut unit = Unit::new(TENANT);
    unit.rows.push(row);
    w.desk.store().commit(unit).await.unwrap();
    w.desk.forget_views();
}

#[tokio::test]
async fn a_message_of_a_timetable_says_what_the_file_says() {
    let dir = directory();
    let start = at("2026-11-23T22:59:00Z");
    let mut w = world(dir.path(), start).await;
    let schedule =
        "nightly: { cron: '0 0 * * *', timezone: Europe/Berlin, data: { kind: report, n: 7 } }";
    w.deploy(&workflow(schedule)).await;
    let stands = standing(&w.desk, &w.desk.tenant(TENANT).await.unwrap())
        .await
        .unwrap();
    let midnight = start + MINUTE;
    assert_eq!((stands[0].ran, stands[0].next), (None, Some(midnight)));
    pass(&mut w, midnight + SECOND, SECOND).await;
    let filter = CaseFilter {
        tenant: Some(TENANT),
        ..CaseFilter::default()
    };
    let rows = w.desk.store().cases(filter).await.unwrap();
    assert_eq!(rows.len(), 1);
    let case = w.case(rows[0].case).await;
    let field = |name: &str| case.record[name].value.clone();
    assert_eq!(field("kind"), Value::text("report"));
    assert_eq!(field("n"), Value::Int(7));
    assert_eq!(
        field("date"),
        Value::text("2026-11-24"),
        "the day in Berlin"
    );
    assert_eq!(field("instant"), Value::Time(midnight));
    assert_eq!(field("source"), Value::text("nightly"));
    let events = w.desk.store().events(TENANT, rows[0].case).await.unwrap();
    let (_, event) = &events[0];
    assert_eq!(
        (event.endpoint.as_str(), event.kid.as_str()),
        ("nightly", "timetable")
    );
    let said = String::from_utf8_lossy(&event.payload);
    let want = r#"{"date":"2026-11-24","instant":"2026-11-23T23:00:00Z","kind":"report","n":7,"schedule":"nightly"}"#;
    assert_eq!(said, want);
    let journal = w.desk.store().journal(TENANT, rows[0].case).await.unwrap();
    assert_eq!(
        open(&journal[0]).unwrap().0.actor.text(),
        "timetable nightly"
    );
    let stands = standing(&w.desk, &w.desk.tenant(TENANT).await.unwrap())
        .await
        .unwrap();
    assert_eq!(
        (stands[0].ran, stands[0].next),
        (Some(midnight), Some(midnight + 24 * HOUR))
    );
}

#[tokio::test]
async fn clocks_that_are_put_forward_or_back_bring_one_message_each_day() {
    let table = [
        (
            "2026-03-28T12:00:00Z",
            ["2026-03-29T01:00", "2026-03-30T00:30"],
        ),
        (
            "2026-10-24T12:00:00Z",
            ["2026-10-25T00:30", "2026-10-26T01:30"],
        ),
    ];
    for (from, want) in table {
        let dir = directory();
        let mut w = world(dir.path(), at(from)).await;
        let schedule = "nightly: { cron: '30 2 * * *', timezone: Europe/Berlin }";
        w.deploy(&workflow(schedule)).await;
        pass(&mut w, at(from) + 44 * HOUR, 10 * MINUTE).await;
        assert_eq!(shown(&ran(&w).await), want);
    }
}

#[tokio::test]
async fn what_was_missed_is_made_up_for_as_the_file_says() {
    let start = at("2026-11-23T10:30:00Z");
    let hours = |list: &[i64]| {
        list.iter()
            .map(|h| start - 30 * MINUTE + h * HOUR)
            .collect::<Vec<_>>()
    };
    // The word; how long nobody was there after the first run; what has run in the end.
    let table: [(&str, i64, &[i64]); 8] = [
        ("none", 4 * HOUR, &[1]),
        ("latest", 4 * HOUR, &[1, 5]),
        ("all", 4 * HOUR, &[1, 2, 3, 4, 5]),
        // Back exactly at an instant: that one was not missed.
        ("none", 4 * HOUR - 30 * MINUTE, &[1, 5]),
        ("latest", 4 * HOUR - 30 * MINUTE, &[1, 5]),
        ("all", 4 * HOUR - 30 * MINUTE, &[1, 2, 3, 4, 5]),
        ("latest", 5 * MINUTE, &[1]),
        ("none", 30 * MINUTE + MINUTE, &[1]),
    ];
    for (word, down, want) in table {
        let dir = directory();
        let mut w = world(dir.path(), start).await;
        let schedule = format!("hourly: {{ cron: '0 * * * *', catch_up: {word} }}");
        w.deploy(&workflow(&schedule)).await;
        // Nothing of the past, and the first one.
        w.settle().await.unwrap();
        assert_eq!(ran(&w).await, hours(&[]), "{word}");
        pass(&mut w, start + HOUR, 10 * MINUTE).await;
        assert_eq!(ran(&w).await, hours(&[1]), "{word}");
        drop(w);
        for _ in 0..2 {
            let mut w = world(dir.path(), start + HOUR + down).await;
            w.settle().await.unwrap();
            assert_eq!(ran(&w).await, hours(want), "{word} after {down} µs");
        }
    }
}

#[tokio::test]
async fn at_most_a_hundred_are_made_up_for() {
    let dir = directory();
    let start = at("2026-11-23T10:00:30Z");
    let w = world(dir.path(), start).await;
    w.deploy(&workflow("often: { cron: '* * * * *', catch_up: all }"))
        .await;
    drop(w);
    let mut w = world(dir.path(), start + 1_000 * MINUTE).await;
    w.settle().await.unwrap();
    let got = ran(&w).await;
    assert_eq!(
        (got.len(), got[99]),
        (100, start + 1_000 * MINUTE - 30 * SECOND)
    );
}

/// What an operator does between 10:30 and 14:30, and which hours then run.
#[tokio::test]
async fn what_operators_do_to_a_timetable() {
    const HOURLY: &str = "hourly: { cron: '0 * * * *' }";
    enum Do {
        Disable(bool),
        Kill(bool),
        Deploy(&'static str),
        Rollback(u32),
    }
    use Do::{Deploy, Disable, Kill, Rollback};
    let start = at("2026-11-23T10:30:00Z");
    type Trial = (&'static str, Vec<(i64, Do)>, &'static [&'static str]);
    let table: [Trial; 9] = [
        ("nothing", vec![], &["11:00", "12:00", "13:00", "14:00"]),
        (
            "closed and opened again: what came in between is left out",
            vec![(60, Disable(true)), (180, Disable(false))],
            &["11:00", "14:00"],
        ),
        (
            "messages switched off and on again: that is made up for",
            vec![(60, Kill(true)), (180, Kill(false))],
            &["11:00", "13:00", "14:00"],
        ),
        (
            "taken out and put back: it begins when it is put back",
            vec![
                (60, Deploy("other: { cron: '0 0 1 1 *' }")),
                (180, Deploy(HOURLY)),
            ],
            &["11:00", "14:00"],
        ),
        (
            "rolled back over a version without it",
            vec![
                (60, Deploy("other: { cron: '0 0 1 1 *' }")),
                (180, Rollback(1)),
            ],
            &["11:00", "14:00"],
        ),
        (
            "the same under another version: it goes on",
            vec![(
                60,
                Deploy("hourly: { cron: '0 */1 * * *', data: { n: 1 } }"),
            )],
            &["11:00", "12:00", "13:00", "14:00"],
        ),
        (
            "another timetable: nothing of the past runs by it",
            vec![(85, Deploy("hourly: { cron: '45 * * * *' }"))],
            &["11:00", "12:45", "13:45"],
        ),
        (
            "another one at an instant of both: that one runs",
            vec![(90, Deploy("hourly: { cron: '0,30 * * * *' }"))],
            &[
                "11:00", "12:00", "12:30", "13:00", "13:30", "14:00", "14:30",
            ],
        ),
        (
            "another zone of the same clock",
            vec![(
                91,
                Deploy("hourly: { cron: '0 * * * *', timezone: Europe/Berlin }"),
            )],
            &["11:00", "12:00", "13:00", "14:00"],
        ),
    ];
    for (name, acts, want) in table {
        let dir = directory();
        let mut w = world(dir.path(), start).await;
        w.deploy(&workflow(HOURLY)).await;
        for (minute, act) in acts {
            // The worker looks up to the minute before, so that some of them happen at an instant.
            pass(&mut w, start + (minute - 1) * MINUTE, MINUTE).await;
            w.clock.advance(MINUTE);
            match act {
                Disable(disabled) => {
                    let endpoint = "hourly".to_owned();
                    change(&w, Row::EndpointDisabled { endpoint, disabled }).await;
                }
                Kill(on) => w.switch("ingest", on.then_some("hold")).await,
                Deploy(schedule) => drop(w.deploy(&workflow(schedule)).await),
                Rollback(number) => rollback(&w, number).await,
            }
            w.desk.forget_views();
            w.settle().await.unwrap();
        }
        pass(&mut w, start + 240 * MINUTE, MINUTE).await;
        let got: Vec<String> = ran(&w)
            .await
            .iter()
            .map(|us| rfc3339(*us)[11..16].to_owned())
            .collect();
        assert_eq!(got, want, "{name}");
    }
}

async fn rollback(w: &World, number: u32) {
    let view = w.desk.tenant(TENANT).await.unwrap();
    let old = w.desk.bundle(TENANT, number).await.unwrap();
    let mut unit = Unit::new(TENANT);
    unit.rows.push(Row::Rollback {
        workflow: "w".into(),
        number,
    });
    let current = view.current.get("w").map(|(_, b)| &b.program);
    unit.rows.extend(begin(current, &old.program, w.desk.now()));
    w.desk.store().commit(unit).await.unwrap();
    w.desk.forget_views();
}

#[tokio::test]
async fn messages_that_a_natural_key_joins_make_one_case() {
    let dir = directory();
    let start = at("2026-11-23T10:30:00Z");
    let mut w = world(dir.path(), start).await;
    let yaml = workflow("hourly: { cron: '0 * * * *' }").replace(
        "record: { type: report,",
        "record: { type: report, natural_key: 'day:${record.date}',",
    );
    w.deploy(&yaml).await;
    pass(&mut w, start + 3 * HOUR, MINUTE).await;
    let stats = w.desk.store().stats(w.desk.now()).await.unwrap();
    assert_eq!((stats.events, ran(&w).await.len()), (3, 1));
}

/// Xorshift: small, and the same everywhere.
#[derive(Clone)]
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn chance(&mut self, per_cent: u64) -> bool {
        self.below(100) < per_cent
    }
}

/// Lets the others go first, so many times.
async fn step_aside(times: u64) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}

/// A host on which commits wait before and after, for so long as the dice say: the orders of nodes differ.
struct Restless(Mutex<Dice>);

impl Host for Restless {
    fn spawn(&self, task: Task) {
        Tokio.spawn(task);
    }

    fn sleep(&self, time: Duration) -> Task {
        Tokio.sleep(time)
    }

    fn pause(&self) -> Option<Task> {
        let times = self.0.lock().unwrap().below(6);
        Some(Box::pin(step_aside(times)))
    }
}

/// Versions of a workflow whose timetable comes every minute. The third has other fields for the same instants.
const VERSIONS: [&str; 4] = [
    "tick: { cron: '* * * * *', catch_up: all, data: { n: 0 } }",
    "tick: { cron: '*/1 * * * *', catch_up: all, data: { n: 1 } }",
    "tick: { cron: '* * * * *', timezone: Europe/Berlin, catch_up: all, data: { n: 2 } }",
    "tick: { cron: '* * * * *', catch_up: all, data: { n: 3 } }",
];

/// Looks after each of which a second passes, before an instant counts as lost. They end within its minute.
const PATIENCE: usize = 30;
/// A lease that a machine with much else to do does not lose.
const LEASE: Duration = Duration::from_secs(600);

/// Three nodes at one database, and an operator.
struct Trio {
    stores: Vec<Store>,
    clock: Arc<ManualClock>,
    nodes: Vec<Schedules>,
    operator: Desk,
    dice: Dice,
    /// The bundles that were deployed, and how far the journal was read.
    bundles: u32,
    read: u64,
}

impl Trio {
    fn desk(&mut self, n: usize) -> Desk {
        let (desk, _) = Desk::hosted(
            Setting {
                store: self.stores[n].clone(),
                clock: self.clock.clone(),
                key: [7; 32],
                slots: 0,
                tap: None,
            },
            Arc::new(Restless(Mutex::new(Dice(self.dice.below(u64::MAX) | 1)))),
        );
        desk
    }

    async fn new(stores: Vec<Store>, seed: u64) -> Trio {
        let clock = Arc::new(ManualClock::at(at("2026-03-28T22:30:30Z")));
        let (operator, _) = Desk::new(Setting {
            store: stores[0].clone(),
            clock: clock.clone(),
            key: [7; 32],
            slots: 0,
            tap: None,
        });
        let mut trio = Trio {
            stores,
            clock,
            nodes: Vec::new(),
            operator,
            dice: Dice(seed),
            bundles: 0,
            read: 0,
        };
        let mut tenant = Unit::new(TENANT);
        tenant.rows.push(Row::Tenant {
            name: "default".into(),
            at: 0,
        });
        trio.operator.commit(tenant).await.unwrap().unwrap();
        trio.bundles += 1;
        deploy(&trio.operator, trio.bundles, VERSIONS[0]).await;
        for n in 0..trio.stores.len() {
            let desk = trio.desk(n);
            trio.nodes.push(Schedules::new(desk));
        }
        trio
    }

    /// Time comes to the next minutes, all look at once, something happens meanwhile. What came of it: instants with
    /// the number of the version.
    async fn trial(&mut self) -> (Vec<i64>, Vec<(i64, u32)>) {
        let now = self.clock.now();
        let deploys = self.dice.chance(40);
        let minutes = match deploys {
            true => 1,
            false => 1 + self.dice.below(10).saturating_sub(7) as i64,
        };
        let first = now - now % MINUTE + MINUTE;
        let due: Vec<i64> = (0..minutes).map(|n| first + n * MINUTE).collect();
        let late = match self.dice.below(4) {
            0 | 1 => 0,
            2 => 1,
            _ => self.dice.below(20 * SECOND as u64) as i64,
        };
        if self.dice.chance(20) {
            // They look right before it as well.
            self.clock.advance(first - 1 - now);
            self.look().await;
        }
        self.clock
            .advance(due[due.len() - 1] + late - self.clock.now());
        self.bundles += u32::from(deploys);
        let next = (self.bundles, VERSIONS[self.dice.below(4) as usize]);
        let operator = self.operator.clone();
        let wait = self.dice.below(12);
        let changing = async move {
            if deploys {
                step_aside(wait).await;
                deploy(&operator, next.0, next.1).await;
            }
        };
        let mut gone = Vec::new();
        let looking: Vec<_> = self
            .nodes
            .iter_mut()
            .map(|node| {
                let (wait, ends) = (self.dice.below(8), self.dice.below(30));
                gone.push(ends < 10);
                async move {
                    step_aside(wait).await;
                    let looks = async {
                        node.bring().await.unwrap();
                        node.bring().await.unwrap();
                    };
                    // Some processes end in the middle.
                    let end = async {
                        match ends < 10 {
                            true => step_aside(ends).await,
                            false => std::future::pending().await,
                        }
                    };
                    drop(select(Box::pin(looks), Box::pin(end)).await);
                }
            })
            .collect();
        join(changing, join_all(looking)).await;
        for (n, gone) in gone.into_iter().enumerate() {
            if gone {
                let desk = self.desk(n);
                self.nodes[n] = Schedules::new(desk);
            }
        }
        let mut came = Vec::new();
        for _ in 0..PATIENCE {
            self.look().await;
            came.extend(self.came().await);
            if came.len() >= due.len() {
                break;
            }
            // The store could not be asked: they come back after a while.
            self.clock.advance(SECOND);
        }
        (due, came)
    }

    /// Every node looks until none finds anything; a change that it learns of while it looks counts the next time.
    async fn look(&mut self) {
        for _ in 0..3 {
            for node in &mut self.nodes {
                node.bring().await.unwrap();
            }
        }
    }

    async fn came(&mut self) -> Vec<(i64, u32)> {
        let store = self.operator.store();
        let turns = store
            .turns(self.read, 100, Some(TENANT), false)
            .await
            .unwrap();
        let mut out = Vec::new();
        for (ord, _, case, sealed) in turns {
            self.read = ord;
            let head = open(&sealed).unwrap().0;
            if head
                .entries
                .iter()
                .any(|e| matches!(e, Entry::Event { .. }))
            {
                let instant = instant_of(&self.operator, case).await;
                out.push((instant, head.definition));
            }
        }
        out
    }
}

/// Deploys a version from a view that the operator reads first.
async fn deploy(desk: &Desk, number: u32, schedule: &str) {
    deploy_for(desk, TENANT, number, schedule).await;
}

async fn deploy_for(desk: &Desk, tenant: TenantId, number: u32, schedule: &str) {
    let name = "workflows/w/workflow.yaml".to_owned();
    let project = Project {
        files: BTreeMap::from([(name, workflow(schedule).into_bytes())]),
    };
    let program = load(&project, "w").program.expect("a good workflow");
    let view = desk.reload(tenant).await.unwrap();
    step_aside(1).await;
    let mut unit = Unit::new(tenant);
    unit.rows.push(Row::Deploy {
        number,
        workflow: "w".into(),
        version: number.to_string(),
        digest: bundle_digest(&project, "w"),
        files: pack(&project),
        at: desk.now(),
    });
    let old = view.current.get("w").map(|(_, b)| &b.program);
    unit.rows.extend(begin(old, &program, desk.now()));
    desk.commit(unit).await.unwrap().expect("deployed");
}

async fn every_instant_brings_one(stores: Vec<Store>, trials: usize, seed: u64) {
    let mut trio = Trio::new(stores, seed).await;
    let (mut instants, mut by_new) = (0, 0);
    for n in 0..trials {
        let before = trio.bundles;
        let (due, came) = trio.trial().await;
        let got: Vec<i64> = came.iter().map(|(instant, _)| *instant).collect();
        assert_eq!(shown(&got), shown(&due), "seed {seed}, trial {n}: {came:?}");
        instants += got.len();
        by_new +=
            usize::from(trio.bundles > before && came.iter().all(|(_, v)| *v == trio.bundles));
    }
    let stats = trio.operator.store().stats(trio.clock.now()).await.unwrap();
    assert_eq!((stats.events, stats.duplicates), (instants as u64, 0));
    let changed = trio.bundles as usize - 1;
    println!(
        "{instants} instants, {changed} with a change of the version, {by_new} of them by the new one"
    );
    assert!(by_new > 0 && by_new < changed, "both orders are tried");
}

/// A host on which the first commit that is asked for waits until it is let go.
#[derive(Default)]
struct Slow {
    asked: AtomicBool,
    go: Arc<Notify>,
}

impl Host for Slow {
    fn spawn(&self, task: Task) {
        Tokio.spawn(task);
    }

    fn sleep(&self, time: Duration) -> Task {
        Tokio.sleep(time)
    }

    fn pause(&self) -> Option<Task> {
        let go = Arc::clone(&self.go);
        let is_first = !self.asked.swap(true, Ordering::SeqCst);
        is_first.then(|| -> Task { Box::pin(async move { go.notified().await }) })
    }
}

struct Nowhere;

impl Connections for Nowhere {
    fn find(&self, _: &Tenant, _: &str, name: &str) -> Result<Arc<Connection>, String> {
        Err(name.to_owned())
    }

    fn model(&self, _: &Tenant, _: &str, _: &str) -> Option<String> {
        None
    }
}

/// While the message of one timetable is slow to come in, other tenants have theirs, and what was due meanwhile was not
/// missed: the node was there all the time.
#[tokio::test]
async fn a_slow_timetable_delays_no_other_tenant_and_nothing_counts_as_missed() {
    const OTHER: TenantId = TenantId(2);
    let dir = directory();
    let start = at("2026-11-23T10:59:30Z");
    let path = dir.path().join("store.db");
    let store = Store::inline(&Location::from(path.as_path()), &Options::default()).unwrap();
    let clock = Arc::new(ManualClock::at(start));
    let setting = |slots| Setting {
        store: store.clone(),
        clock: clock.clone(),
        key: [7; 32],
        slots,
        tap: None,
    };
    let (operator, _) = Desk::new(setting(0));
    let two = "a: { cron: '0 * * * *', catch_up: none }, b: { cron: '1 * * * *', catch_up: none }";
    for tenant in [TENANT, OTHER] {
        let mut unit = Unit::new(tenant);
        unit.rows.push(Row::Tenant {
            name: format!("tenant {}", tenant.0),
            at: 0,
        });
        operator.commit(unit).await.unwrap().unwrap();
        deploy_for(&operator, tenant, 1, two).await;
    }
    let slow = Arc::new(Slow::default());
    let (desk, queue) = Desk::hosted(setting(8), slow.clone());
    let outward = Outward {
        client: client(),
        connections: Arc::new(Nowhere),
    };
    let worker = Worker::new(desk.clone(), outward);
    let stop = CancellationToken::new();
    let run = tokio::spawn(worker.run(queue, stop.clone()));
    let events = async |tenant| {
        let filter = CaseFilter {
            tenant: Some(tenant),
            ..CaseFilter::default()
        };
        store.cases(filter).await.unwrap().len()
    };
    // In six minutes by the clock.
    for _ in 0..72 {
        clock.advance(5 * SECOND);
        desk.nudge();
        step_aside(100).await;
    }
    let came = [events(TENANT).await, events(OTHER).await];
    assert_eq!(came, [0, 1], "the slow one, and the first of the other");
    slow.go.notify_one();
    for _ in 0..200 {
        desk.nudge();
        step_aside(100).await;
        clock.advance(SECOND / 10);
    }
    let came = [events(TENANT).await, events(OTHER).await];
    assert_eq!(came, [2, 2], "nothing was left out");
    stop.cancel();
    run.await.unwrap();
}

#[tokio::test]
async fn three_nodes_a_change_and_a_restart_at_the_instant_bring_one_message() {
    let dir = directory();
    let path = dir.path().join("store.db");
    let store = Store::inline(&Location::from(path.as_path()), &Options::default()).unwrap();
    let trials = tl_trial::size(1_200, 100_000);
    every_instant_brings_one(vec![store.clone(), store.clone(), store], trials, 11).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_at_postgresql_bring_one_message() {
    let Some(server) = Server::of_this_process() else {
        return;
    };
    let name = server.new_name();
    server
        .sql("postgres", &format!("CREATE DATABASE {name}"))
        .expect("a database");
    let url = format!("postgres://tl@/{name}?host={}", server.sockets().display());
    let location: Location = url.parse().expect("an address");
    let open = |node| {
        let options = Options {
            node: Some(node),
            lease: LEASE,
            ..Options::default()
        };
        Store::open_at(&location, &options).expect("the store opens")
    };
    let stores = vec![open(1), open(2), open(3)];
    every_instant_brings_one(stores, tl_trial::size(150, 5_000), 12).await;
}
