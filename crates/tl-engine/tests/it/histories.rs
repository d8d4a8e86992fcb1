//! Random histories of random definitions: two drivers at once on the real engine and the real store, restarts and
//! crashes in between; afterwards everything is what a reference fold of the journals says.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use tl_connect::client::Client;
use tl_connect::fake::Crm;
use tl_engine::admit::Admitted;
use tl_engine::clock::ManualClock;
use tl_engine::desk::{Desk, DeskError};
use tl_kernel::decide::{Command, CommandKind, Input, TaskDecision};
use tl_kernel::id::{CaseId, EventId};
use tl_kernel::journal::Actor;
use tl_kernel::payload::parse_json;
use tl_kernel::program::{Endpoint, OnUnknown};
use tl_kernel::time::MINUTE;
use tl_kernel::turn::StoredEvent;
use tl_kernel::value::Value;
use tl_lang::{Project, load};
use tl_store::contract::{CaseFilter, TaskFilter};
use tokio::task::JoinSet;

use crate::control::switch;
use crate::crash::judge::{Account, judge};
use crate::crash::{NEVER, StopAt, Told, directory};
use crate::world::{Plan, START, TENANT, World, client};

/// xorshift64*: a seed gives the same definition and the same commands everywhere.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn share(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }
}

/// Edges without which the actions of the decision would have nowhere to lead.
const EDGES: [(&str, &str); 11] = [
    ("pending", "triaged"),
    ("pending", "needs_human"),
    ("triaged", "needs_human"),
    ("triaged", "automated"),
    ("triaged", "closed"),
    ("automated", "closed"),
    ("automated", "needs_human"),
    ("needs_human", "automated"),
    ("needs_human", "triaged"),
    ("needs_human", "closed"),
    ("closed", "triaged"),
];

const CONDITIONS: [(&str, &str); 7] = [
    ("record.n == 7", "hand_off"),
    ("record.n > 4 && policy_allows", "crm_upsert"),
    ("record.n > 3", "crm_upsert"),
    ("record.n == 2 && policy_allows", "[crm_upsert, ack]"),
    ("needs_human", "human_queue"),
    ("record.n == 1", "close"),
    ("record.n == 0", "deny"),
];

/// A definition with up to 25 states of its own, as an author might have written it.
fn draw(dice: &mut Dice) -> String {
    let own: Vec<String> = (0..dice.below(26)).map(|n| format!("s{n}")).collect();
    let goal = if dice.share(50) {
        ", goal: { sla: 6h }"
    } else {
        ""
    };
    let on_match = dice.pick(&["update", "join", "open"]);
    let mut yaml = format!(
        "workflow: {{ id: w, version: \"1\"{goal} }}\n\
         record:\n  type: lead\n  natural_key: \"mail:${{record.email}}\"\n  on_match: {on_match}\n  \
         fields: {{ email: {{ type: email, required: true, use: control }}, name: {{ type: string }}, n: {{ type: int }} }}\n\
         ingress: {{ gateway: {{ auth: api_key }}, channels: {{ api: {{ channel: api }} }} }}\n\
         worker: {{ ai_step: none }}\nstates:\n  needs_human: {{ sla: {}h }}\n",
        1 + dice.below(40)
    );
    for name in &own {
        let pause = if dice.share(30) { ", pause: true" } else { "" };
        let _ = writeln!(yaml, "  {name}: {{ sla: {}h{pause} }}", 1 + dice.below(72));
    }
    yaml.push_str("transitions:\n");
    let mut edges: Vec<(String, String)> = EDGES
        .iter()
        .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
        .collect();
    for (n, name) in own.iter().enumerate() {
        // Each is reached from a person's state or from an earlier one, and leads back to a person.
        let from = match n {
            0 => "needs_human".to_owned(),
            _ if dice.share(50) => "needs_human".to_owned(),
            _ => dice.pick(&own[..n]).clone(),
        };
        edges.push((from, name.clone()));
        edges.push((name.clone(), "needs_human".into()));
        if dice.share(40) {
            let to = dice.pick(&own).clone();
            edges.push((name.clone(), to));
        }
        if dice.share(30) {
            edges.push((name.clone(), "closed".into()));
        }
    }
    edges.sort();
    edges.dedup();
    for (from, to) in edges.iter().filter(|(a, b)| a != b) {
        let _ = writeln!(yaml, "  - {{ from: {from}, to: {to} }}");
    }
    yaml.push_str("decision:\n  branches:\n");
    for (condition, action) in CONDITIONS {
        if dice.share(60) {
            let _ = writeln!(
                yaml,
                "    - {{ condition: \"{condition}\", action: {action} }}"
            );
        }
    }
    let _ = writeln!(
        yaml,
        "    - default: {}",
        dice.pick(&["human_queue", "deny"])
    );
    let _ = write!(
        yaml,
        "policy: {{ crm_upsert: {}, ack: {} }}\n\
         side_effects:\n  crm: {{ api: records, key: \"${{record.email}}\" }}\n  messaging:\n    \
         ack: {{ channel: email, via: outbox, to: record.email, subject: Hello, text: \"We have it\", check: verified_sender }}\n",
        dice.pick(&[
            "auto",
            "approve",
            "{ auto: \"record.n < 6\", approve: operators }"
        ]),
        dice.pick(&[
            "auto",
            "approve",
            "{ auto: \"record.n == 2\", limit: 2 per contact per day }"
        ]),
    );
    yaml
}

/// The next definition that passes the proofs, and how many did not.
fn definition(dice: &mut Dice) -> (String, u32) {
    for refused in 0..500 {
        let yaml = draw(dice);
        let path = "workflows/w/workflow.yaml".to_owned();
        let files = BTreeMap::from([(path, yaml.as_bytes().to_vec())]);
        if load(&Project { files }, "w").program.is_some() {
            return (yaml, refused);
        }
    }
    panic!("no definition passes the proofs");
}

/// What a driver does.
#[derive(Debug, Clone)]
enum Act {
    Send(String, String),
    Command(u64, CommandKind),
    Decide(u64, &'static str, bool, i64),
}

fn act(dice: &mut Dice, states: &[String], sent: &mut u32) -> Act {
    match dice.below(10) {
        0..4 => {
            *sent += 1;
            let (who, n) = (dice.below(3), dice.below(9));
            let json = format!(r#"{{"email":"p{who}@x.example","name":"N{sent}","n":{n}}}"#);
            Act::Send(format!("k{sent}"), json)
        }
        4..7 => {
            let what = match dice.below(6) {
                0 => CommandKind::Close,
                1 => CommandKind::Reopen,
                2 => CommandKind::Assign(format!("person{}", dice.below(3))),
                _ => CommandKind::Move(dice.pick(states).clone()),
            };
            Act::Command(dice.next(), what)
        }
        _ => {
            let decision = dice.pick(&["approve", "approve", "edit", "reject", "accept", "close"]);
            Act::Decide(dice.next(), decision, dice.share(80), dice.below(9) as i64)
        }
    }
}

/// Cases and open tasks as a driver finds them.
async fn nth_case(desk: &Desk, n: u64) -> Option<CaseId> {
    let filter = CaseFilter {
        tenant: Some(TENANT),
        limit: 200,
        ..CaseFilter::default()
    };
    let cases = desk.store().cases(filter).await.expect("cases");
    let n = n.checked_rem(cases.len() as u64)?;
    Some(cases[n as usize].case)
}

async fn decision(desk: &Desk, act: (u64, &str, bool, i64)) -> Option<(CaseId, Input)> {
    let (n, decision, shown, value) = act;
    let filter = TaskFilter {
        tenant: Some(TENANT),
        limit: 200,
        ..TaskFilter::default()
    };
    let tasks = desk.store().tasks(filter).await.expect("tasks");
    let task = tasks.get(n.checked_rem(tasks.len() as u64)? as usize)?;
    let mut digest = None;
    if let Some(n) = task.effect {
        let id = tl_kernel::id::EffectId {
            case: task.task.case,
            n,
        };
        let row = desk.store().effect(TENANT, id).await.expect("effects")?;
        digest = Some(if shown { row.digest } else { [9; 32] });
    }
    let edits = match decision {
        "edit" if task.kind == "approve" && value % 3 > 0 => {
            vec![("text".to_owned(), Value::text(format!("In words {value}")))]
        }
        "edit" => vec![("n".to_owned(), Value::Int(value))],
        _ => Vec::new(),
    };
    let input = Input::TaskDecided(TaskDecision {
        n: task.task.n,
        by: Actor::Person("anna".into()),
        decision: decision.into(),
        reason: "test".into(),
        note: None,
        edits,
        digest,
    });
    Some((task.task.case, input))
}

/// One driver's act. What the engine refuses is refused; nothing else may go wrong but a stop.
async fn drive(desk: Desk, act: Act) -> Result<bool, DeskError> {
    let found = match act {
        Act::Send(..) => None,
        Act::Command(n, what) => {
            let by = Actor::Person("anna".into());
            let reason = "test".to_owned();
            let input = Input::Command(Command { by, reason, what });
            nth_case(&desk, n).await.map(|case| (case, input))
        }
        Act::Decide(n, how, shown, value) => decision(&desk, (n, how, shown, value)).await,
    };
    let Some((case, input)) = found else {
        return Ok(false);
    };
    match desk.advance((TENANT, case), input, Vec::new(), None).await {
        Ok(_) => Ok(true),
        Err(DeskError::Refused(_) | DeskError::Busy) => Ok(false),
        Err(e) => Err(e),
    }
}

/// What came of a sequence.
#[derive(Default)]
struct Came {
    commands: u32,
    done: u32,
    stops: u32,
    states: usize,
    turns: usize,
    violations: Vec<String>,
}

/// One sequence: its world, and what the world outside knows.
struct Sequence {
    dir: tempfile::TempDir,
    clock: Arc<ManualClock>,
    crm: Arc<Crm>,
    client: Client,
    told: Told,
    /// Sent by key; acknowledged ones with their event.
    sent: BTreeMap<String, (String, Option<EventId>)>,
}

impl Sequence {
    fn open(&self) -> (World, Arc<StopAt>) {
        let tap = Arc::new(StopAt::new(NEVER, Arc::clone(&self.told), None));
        let w = World::open(Plan {
            dir: self.dir.path(),
            clock: Arc::clone(&self.clock),
            crm: Arc::clone(&self.crm),
            client: self.client.clone(),
            tap: Some(tap.clone()),
            slots: 8,
            inline: true,
        });
        (w, tap)
    }

    /// Two drivers at once, the worker beside them.
    async fn round(
        &mut self,
        w: &mut World,
        acts: [Act; 2],
        out: &mut Came,
    ) -> Result<(), DeskError> {
        let mut both = JoinSet::new();
        for act in acts {
            out.commands += 1;
            if let Act::Send(key, json) = &act {
                self.sent.insert(key.clone(), (json.clone(), None));
                let (desk, message, key) = (w.desk.clone(), w.message(key, json), key.clone());
                both.spawn(async move {
                    let id = message.id;
                    let event = match desk.admit(message).await? {
                        Admitted::Accepted { .. } => id,
                        Admitted::Duplicate { event, .. } => event,
                    };
                    Ok((true, Some((key, event))))
                });
            } else {
                let desk = w.desk.clone();
                both.spawn(async move { drive(desk, act).await.map(|done| (done, None)) });
            }
        }
        let worked = w.settle().await;
        while let Some(one) = both.join_next().await {
            match one.expect("a driver") {
                Ok((done, acked)) => {
                    out.done += u32::from(done);
                    if let Some((key, event)) = acked {
                        self.sent.entry(key).and_modify(|s| s.1 = Some(event));
                    }
                }
                Err(DeskError::Stopped(_) | DeskError::Busy) => {}
                Err(e) => panic!("a driver: {e}"),
            }
        }
        worked
    }

    /// Senders send again what was not acknowledged; what waits for a case gets it.
    async fn catch_up(&mut self, w: &World) {
        let open: Vec<(String, String)> = self
            .sent
            .iter()
            .filter(|(_, (_, event))| event.is_none())
            .map(|(key, (json, _))| (key.clone(), json.clone()))
            .collect();
        for (key, json) in open {
            let message = w.message(&key, &json);
            let id = message.id;
            let event = match w.desk.admit(message).await.expect("admitted") {
                Admitted::Accepted { .. } => id,
                Admitted::Duplicate { event, .. } => event,
            };
            self.sent.entry(key).and_modify(|s| s.1 = Some(event));
        }
        w.desk.join_pending(read).await.expect("joined");
    }

    async fn judge(&self, w: &World, out: &mut Came, tells: bool) {
        let mut acked = BTreeMap::new();
        for (key, (_, event)) in &self.sent {
            let event = event.expect("acknowledged in the end");
            let known = w.desk.store().event(TENANT, event).await.expect("events");
            match known.and_then(|(_, e)| e.case) {
                Some(case) => {
                    acked.insert(key.clone(), (event, case));
                }
                None => out.violations.push(format!("I1: {key} has no case")),
            }
        }
        let told = self.told.lock().unwrap().clone();
        let known = Account {
            acked: &acked,
            told: &told,
            on_unknown: OnUnknown::Hold,
            versioned: false,
        };
        out.turns = told.len();
        out.violations.extend(judge(w, &known).await.0);
        if tells && !out.violations.is_empty() {
            self.dump(w, &acked).await;
        }
    }
}

impl Sequence {
    /// The journals, for whoever looks for the reason.
    async fn dump(&self, w: &World, acked: &BTreeMap<String, (EventId, CaseId)>) {
        let cases: BTreeSet<CaseId> = acked.values().map(|a| a.1).collect();
        for case in cases {
            let journal = w.desk.store().journal(TENANT, case).await;
            for turn in journal.expect("a journal") {
                let (head, _) = tl_kernel::journal::open(&turn).expect("it opens");
                println!("{case} {} {:?} {:?}", head.seq, head.actor, head.entries);
            }
            for e in w.effects(case).await {
                println!("{} {} {}", e.effect, e.action, e.state.word());
            }
        }
    }
}

fn read(_: &Endpoint, e: &StoredEvent) -> Option<Value> {
    let body = parse_json(&e.payload).ok()?;
    Some(Value::Record(BTreeMap::from([("body".to_owned(), body)])))
}

/// Rounds of a sequence; each has two commands.
const ROUNDS: u32 = 25;

/// What happens in one round.
struct Round {
    /// The engine stops after so many of its ports.
    stop: Option<i64>,
    acts: [Act; 2],
    wait: i64,
    switch: Option<Option<&'static str>>,
    restart: bool,
}

impl Round {
    fn draw(dice: &mut Dice, states: &[String], sent: &mut u32) -> Round {
        Round {
            stop: dice.share(10).then(|| dice.below(12) as i64),
            acts: [0, 1].map(|_| act(dice, states, sent)),
            wait: dice.below(600) as i64 * MINUTE,
            switch: dice.share(15).then(|| dice.share(50).then_some("hold")),
            restart: dice.share(4),
        }
    }
}

/// One sequence, perhaps without some of its rounds. The others are what they are with them.
#[derive(Clone, Copy)]
struct Which<'a> {
    seed: u64,
    rounds: &'a BTreeSet<u32>,
    /// Prints the journals of a sequence that shows something.
    tells: bool,
}

async fn sequence(which: Which<'_>, (crm, client): (Arc<Crm>, Client)) -> Came {
    let seed = which.seed;
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let (yaml, _) = definition(&mut dice);
    let mut s = Sequence {
        dir: directory(),
        clock: Arc::new(ManualClock::at(START)),
        crm,
        client,
        told: Told::default(),
        sent: BTreeMap::new(),
    };
    let mut out = Came::default();
    let (mut w, mut tap) = s.open();
    let number = w.deploy(&yaml).await;
    let bundle = w.desk.bundle(TENANT, number).await.expect("the definition");
    let states: Vec<String> = bundle
        .program
        .states
        .iter()
        .map(|s| s.name.clone())
        .collect();
    out.states = states.len();
    let mut sent = 0;
    for n in 0..ROUNDS {
        let round = Round::draw(&mut dice, &states, &mut sent);
        if !which.rounds.contains(&n) {
            continue;
        }
        if let Some(ports) = round.stop {
            tap.stop_after(ports);
        }
        s.clock.advance(round.wait);
        let mut went = s.round(&mut w, round.acts, &mut out).await;
        if let (Ok(()), Some(mode)) = (&went, round.switch) {
            let unit = switch(&w, "tenant", mode);
            went = w.desk.commit(unit).await.map(drop).map_err(DeskError::from);
            w.desk.forget_views();
        }
        if let Err(e) = &went {
            assert!(matches!(e, DeskError::Stopped(_)), "seed {seed}: {e}");
            out.stops += 1;
        }
        if went.is_err() || round.restart {
            drop(w);
            (w, tap) = s.open();
            s.catch_up(&w).await;
        }
    }
    drop(w);
    (w, _) = s.open();
    s.catch_up(&w).await;
    let cleared = w.desk.commit(switch(&w, "tenant", None)).await;
    cleared.expect("no stop any more").expect("cleared");
    w.desk.forget_views();
    w.settle_for(60).await.expect("it comes to rest");
    s.judge(&w, &mut out, which.tells).await;
    out
}

/// The rounds that are left of a sequence that fails when as many as possible are taken out: first halves of what is
/// there, then ever smaller parts, down to single ones.
async fn shrunk(all: u32, fails: impl AsyncFn(&BTreeSet<u32>) -> bool) -> BTreeSet<u32> {
    let mut left: BTreeSet<u32> = (0..all).collect();
    let mut part = all.div_ceil(2);
    while part > 0 {
        for begin in (0..all).step_by(part as usize) {
            let without = |n: &u32| !(begin..begin + part).contains(n);
            let fewer: BTreeSet<u32> = left.iter().copied().filter(without).collect();
            if fewer.len() < left.len() && fails(&fewer).await {
                left = fewer;
            }
        }
        part /= 2;
    }
    left
}

#[tokio::test]
async fn a_sequence_that_fails_is_made_as_short_as_it_can_be() {
    for needed in [vec![], vec![0], vec![24], vec![3, 17], vec![0, 1, 2, 24]] {
        let needed: BTreeSet<u32> = needed.into_iter().collect();
        let left = shrunk(ROUNDS, async |rounds| needed.is_subset(rounds)).await;
        assert_eq!(left, needed);
    }
}

/// All rounds, or those that `TL_ROUNDS=3,17` names.
fn rounds() -> BTreeSet<u32> {
    match std::env::var("TL_ROUNDS") {
        Ok(named) => named.split(',').filter_map(|n| n.parse().ok()).collect(),
        Err(_) => (0..ROUNDS).collect(),
    }
}

/// So many sequences, from one seed on.
async fn sequences(from: u64, count: u64) {
    let rounds = Arc::new(rounds());
    let crm = Crm::start(([127, 0, 0, 1], 0).into()).await;
    let outside = (Arc::new(crm.expect("the CRM starts")), client());
    let mut running: JoinSet<(u64, Came)> = JoinSet::new();
    let mut next = from;
    let (mut all, mut largest) = (Came::default(), 0);
    loop {
        while running.len() < 4 && next < from + count {
            let (seed, outside, rounds) = (next, outside.clone(), Arc::clone(&rounds));
            running.spawn(async move {
                let which = Which {
                    seed,
                    rounds: &rounds,
                    tells: true,
                };
                (seed, sequence(which, outside).await)
            });
            next += 1;
        }
        let Some(one) = running.join_next().await else {
            break;
        };
        let (seed, one) = one.expect("a sequence");
        if !one.violations.is_empty() {
            let first: Vec<&String> = one.violations.iter().take(10).collect();
            let fails = async |rounds: &BTreeSet<u32>| {
                let which = Which {
                    seed,
                    rounds,
                    tells: false,
                };
                !sequence(which, outside.clone()).await.violations.is_empty()
            };
            let left: Vec<String> = shrunk(ROUNDS, fails)
                .await
                .iter()
                .map(u32::to_string)
                .collect();
            let left = left.join(",");
            panic!("TL_SEED={seed} TL_ROUNDS={left} shows it again: {first:#?}");
        }
        all.commands += one.commands;
        all.done += one.done;
        all.stops += one.stops;
        all.turns += one.turns;
        largest = largest.max(one.states);
    }
    println!(
        "{count} sequences from seed {from}: {} commands, {} of them took effect, {} turns, {} crashes, up to {largest} \
         states, 0 violations",
        all.commands, all.done, all.turns, all.stops
    );
    // Sequences in which nothing happens prove nothing.
    let n = count as u32;
    if rounds.len() < ROUNDS as usize {
        return;
    }
    assert!(
        all.done > 10 * n && all.turns as u32 > 10 * n,
        "{}",
        all.done
    );
    assert!(n < 100 || all.stops > n && largest > 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_histories_fold_to_what_is_stored() {
    match std::env::var("TL_SEED").ok().and_then(|s| s.parse().ok()) {
        Some(seed) => sequences(seed, 1).await,
        None => sequences(1, 2_000).await,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the same with 20,000 other seeds; part of the long tests"]
async fn twenty_thousand_random_histories() {
    sequences(10_000, 20_000).await;
}
