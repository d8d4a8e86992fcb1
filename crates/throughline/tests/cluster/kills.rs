//! `kill -9`, again and again: the real program under load, ended at moments drawn from a seed, on a file and on a
//! server; some of the kills meet a program that is just starting. Whatever was acknowledged keeps its event, the CRM
//! has each write once, and no case that was closed before a kill is another one after it.
//!
//! `scripts/kills` runs it in the size of a release and writes a report. `TL_KILLS` says how often on each store,
//! `TL_KILLS_REPORT` where the report goes, `TL_SEED` runs one again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tl_connect::fake::crm::{Fault, On};

use super::cluster::{Cluster, Node, PATIENCE, send};
use super::figures::{spread, times};

/// Messages on their way at most.
const SENDERS: usize = 8;
/// Leads that may wait for their write: the end must not take for ever.
const BEHIND: u64 = 200;
/// How long the CRM takes over a write, so that a kill meets some of them.
const WRITE: Duration = Duration::from_millis(100);
/// Within this the program is ready again, ms.
const RECOVERY: u64 = 5_000;
/// Cases that are compared after each kill, the newest: more than are opened between two.
const COMPARED: &str = "500";
/// One kill in so many meets a program that is starting.
const STARTING: u64 = 5;

/// A small generator of moments (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }

    /// Lets up to so much time pass: nobody knows where the program is then.
    fn moment(&mut self, at_most: Duration) {
        let until = Instant::now() + Duration::from_micros(self.roll(at_most.as_micros() as u64));
        while Instant::now() < until {
            thread::yield_now();
        }
    }
}

/// What the senders share.
struct Load<'a> {
    cluster: &'a Cluster,
    secret: String,
    /// Where the program listens; it listens elsewhere after each start.
    door: RwLock<SocketAddr>,
    next: AtomicU64,
    /// Requests begun, and those that have ended in one way or the other.
    begun: AtomicU64,
    ended: AtomicU64,
    /// No further lead is begun for now, or at all.
    pauses: AtomicBool,
    over: AtomicBool,
    /// The event that was acknowledged for a lead.
    acknowledged: Mutex<BTreeMap<u64, String>>,
}

impl Load<'_> {
    /// Sends a lead once: its event, where it was taken.
    fn send(&self, lead: u64) -> Option<String> {
        let door = *self.door.read().unwrap();
        self.begun.fetch_add(1, Ordering::SeqCst);
        let answer = send(door, &self.secret, lead);
        self.ended.fetch_add(1, Ordering::SeqCst);
        let answer = answer.ok().filter(|a| (200..300).contains(&a.status))?;
        let body: Json = serde_json::from_str(&answer.text).ok()?;
        Some(body["event_id"].as_str()?.to_owned())
    }

    /// One lead after the other, each until it is taken.
    fn sender(&self) {
        while !self.over.load(Ordering::SeqCst) {
            let ahead = self.taken() > self.cluster.crm.written() as u64 + BEHIND;
            if ahead || self.pauses.load(Ordering::SeqCst) {
                thread::yield_now();
                continue;
            }
            let lead = self.next.fetch_add(1, Ordering::SeqCst);
            let begun = Instant::now();
            let event = loop {
                if let Some(event) = self.send(lead) {
                    break event;
                }
                assert!(begun.elapsed() < PATIENCE, "lead {lead} is not taken");
                thread::yield_now();
            };
            self.acknowledged.lock().unwrap().insert(lead, event);
        }
    }

    /// The newest closed cases as they are shown, by their id.
    fn closed_cases(&self, limit: &str) -> BTreeMap<String, Json> {
        let newest = ["case", "list", "--closed", "--limit", limit];
        let Json::Array(cases) = self.cluster.json(&newest) else {
            panic!("a list");
        };
        let id = |case: &Json| case["case"].as_str().unwrap().to_owned();
        cases.into_iter().map(|c| (id(&c), c)).collect()
    }

    /// Waits until something has come about.
    fn until(&self, done: impl Fn() -> bool) {
        let begun = Instant::now();
        while !done() {
            let logs = || self.cluster.logs();
            assert!(begun.elapsed() < PATIENCE, "no progress\n{}", logs());
            thread::yield_now();
        }
    }

    fn taken(&self) -> u64 {
        self.acknowledged.lock().unwrap().len() as u64
    }

    fn in_flight(&self) -> u64 {
        let ended = self.ended.load(Ordering::SeqCst);
        self.begun.load(Ordering::SeqCst) - ended
    }

    /// Acknowledged leads whose event is another one now, or none.
    fn lost(&self) -> Vec<u64> {
        let all = self.acknowledged.lock().unwrap().clone();
        let is_lost = |(lead, event): &(u64, String)| self.send(*lead).as_ref() != Some(event);
        let lost = all.into_iter().filter(is_lost);
        lost.map(|(lead, _)| lead).collect()
    }
}

/// What was measured at the kills and after them.
#[derive(Default)]
struct Figures {
    kills: u64,
    while_starting: u64,
    requests: Vec<u64>,
    effects: Vec<u64>,
    /// Until it was ready again, ms.
    recovery: Vec<u64>,
    /// From the kill until everything begun before was taken, written and closed, ms.
    caught_up: Vec<u64>,
    /// Cases as they were when they had been closed.
    closed: BTreeMap<String, Json>,
    /// How many of them were looked at again after a kill, and those that were others then.
    compared: u64,
    changed: Vec<String>,
}

impl Figures {
    /// Looks whether cases that were closed before a kill are as they were.
    fn compare(&mut self, now: &BTreeMap<String, Json>) {
        for (id, before) in &self.closed {
            let Some(after) = now.get(id) else { continue };
            self.compared += 1;
            if after != before {
                self.changed.push(format!("{before} is now {after}"));
            }
        }
    }
}

/// Kills so often, each time after a few further messages, and starts again.
fn killed(load: &Load<'_>, first: Node, kills: u64, dice: &mut Dice) -> (Figures, Node) {
    let mut figures = Figures::default();
    let mut node = first;
    while figures.kills < kills {
        let wanted = load.taken() + 1 + dice.roll(40);
        load.until(|| load.taken() >= wanted);
        dice.moment(WRITE * 2);
        figures.requests.push(load.in_flight());
        figures.effects.push(load.cluster.crm.busy().into());
        let killed = Instant::now();
        node.kill();
        figures.kills += 1;
        if figures.kills < kills && dice.roll(STARTING) == 0 {
            let starting = load.cluster.begin("n1", &[], &[]);
            dice.moment(Duration::from_millis(200));
            starting.kill();
            figures.kills += 1;
            figures.while_starting += 1;
        }
        let begun = Instant::now();
        node = load.cluster.node("n1", &[]);
        *load.door.write().unwrap() = node.address;
        node.until_ready_says(200);
        figures.recovery.push(begun.elapsed().as_millis() as u64);
        figures.compare(&load.closed_cases(COMPARED));
        // An effect that meets the end of the program three times is left to a person: none is to meet more than two.
        load.pauses.store(true, Ordering::SeqCst);
        load.until(|| {
            let all = load.next.load(Ordering::SeqCst);
            load.taken() == all && load.cluster.closed() == (all, all)
        });
        figures.caught_up.push(killed.elapsed().as_millis() as u64);
        for (id, case) in load.closed_cases(COMPARED) {
            figures.closed.entry(id).or_insert(case);
        }
        load.pauses.store(false, Ordering::SeqCst);
    }
    (figures, node)
}

/// The whole story on one store, and what it came to.
fn story(cluster: &Cluster, kills: u64, seed: u64) -> Json {
    cluster
        .crm
        .script(On::Writes, Fault::Delay(WRITE), u32::MAX);
    let secret = cluster.secret();
    let node = cluster.node("n1", &[]);
    let load = Load {
        cluster,
        secret,
        door: RwLock::new(node.address),
        next: AtomicU64::new(0),
        begun: AtomicU64::new(0),
        ended: AtomicU64::new(0),
        pauses: AtomicBool::new(false),
        over: AtomicBool::new(false),
        acknowledged: Mutex::default(),
    };
    let (mut figures, node) = thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| load.sender());
        }
        let killed = killed(&load, node, kills, &mut Dice(seed));
        load.over.store(true, Ordering::SeqCst);
        killed
    });
    let leads = load.next.load(Ordering::SeqCst);
    cluster.until_closed(leads);
    figures.compare(&load.closed_cases("1000000"));
    let lost = load.lost();
    let mut writes: BTreeMap<String, u64> = BTreeMap::new();
    for applied in cluster.crm.ledger() {
        *writes.entry(applied.path).or_default() += 1;
    }
    let doubled: u64 = writes.values().map(|n| n - 1).sum();
    let missing = leads - writes.len() as u64;
    cluster.audit_is_whole();
    let status = cluster.json(&["status"]);
    assert_eq!(node.stop(), 0, "{}", cluster.logs());
    json!({
        "store": status["store"][0], "seed": seed,
        "kills": figures.kills, "kills_while_starting": figures.while_starting,
        "messages": leads, "events": status["events"], "acknowledged": load.taken(),
        "requests_in_flight_at_kill": spread(&figures.requests),
        "effects_in_flight_at_kill": spread(&figures.effects),
        "lost_acknowledgements": lost.len(), "missing_writes": missing, "duplicate_writes": doubled,
        "closed_cases_compared": figures.compared, "closed_cases_changed": figures.changed.len(),
        "changed": figures.changed.iter().take(5).collect::<Vec<_>>(),
        "recovery_ms": spread(&figures.recovery), "caught_up_ms": spread(&figures.caught_up),
        // None in n kills: fewer than this share of kills do harm, with a confidence of 95 %.
        "upper_bound_95": tl_bench::upper_bound(figures.kills),
    })
}

#[test]
fn killed_again_and_again_nothing_is_lost_and_nothing_doubled() {
    let kills = times("TL_KILLS", (20, 200));
    let seed = times("TL_SEED", (20_261_123, 20_261_123));
    println!("TL_SEED={seed}");
    let (Some(server), Some(file)) = (Cluster::new(), Cluster::new()) else {
        return;
    };
    file.keeps_a_file();
    // What a node had begun waits for the end of its lease.
    server.change("lease = \"5s\"", "lease = \"1s\"");
    // Side by side: most of the time something waits for a lease or for its next attempt.
    let reports: Vec<Json> = thread::scope(|scope| {
        let stories = [&file, &server].map(|cluster| scope.spawn(|| story(cluster, kills, seed)));
        stories.map(|s| s.join().unwrap()).into()
    });
    let text = format!("{:#}\n", Json::from(reports.clone()));
    println!("{text}");
    if let Ok(path) = std::env::var("TL_KILLS_REPORT") {
        std::fs::write(path, &text).unwrap();
    }
    for report in reports {
        for none in [
            "lost_acknowledgements",
            "missing_writes",
            "duplicate_writes",
            "closed_cases_changed",
        ] {
            assert_eq!(report[none], 0, "{none}: {report:#}");
        }
        assert_eq!(report["events"], report["messages"], "{report:#}");
        let number = |at: &str| report.pointer(at).and_then(Json::as_u64).unwrap();
        // A run that met nothing proves nothing.
        for floor in [
            "/requests_in_flight_at_kill/median",
            "/effects_in_flight_at_kill/median",
        ] {
            assert!(number(floor) > 0, "{floor}: {report:#}");
        }
        assert!(
            kills < 20 || number("/kills_while_starting") > 0,
            "{report:#}"
        );
        assert!(number("/closed_cases_compared") >= kills, "{report:#}");
        assert!(number("/recovery_ms/p99") < RECOVERY, "{report:#}");
    }
}
