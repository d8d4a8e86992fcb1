//! Commits whose answer was lost: each is found again or made again, and nothing is said of it that is not so.
//!
//! First with a wire that breaks where it is told to; then under load, with sessions that are ended and a server that
//! crashes at moments drawn from a seed. `TL_SEED` runs one again, `TL_LONG=1` runs more of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tl_store::{Backend, Location, Options, Refused, Store, StoreError};
use tl_trial::postgres::{Own, Server};

use super::build::*;
use super::postgres::Database;
use super::wire::{Break, Wire};

/// How long anything may take before a test says so.
const PATIENCE: Duration = Duration::from_secs(120);

fn commit(backend: &mut Backend, seq: u32) -> Result<(), Refused> {
    let answers = backend.commit(vec![turn_unit(turn(1, seq))]);
    answers.into_iter().next().unwrap().map(|_| ())
}

/// For each commit: how the wire breaks, how many connections come to nothing after that, and what is answered.
#[test]
fn an_answer_that_was_lost_is_found_and_nothing_is_repeated() {
    let Some(database) = Database::fresh() else {
        return;
    };
    let table = [
        (Break::Never, 0, true),
        (Break::Answer, 0, true),
        (Break::Answer, 0, true),
        (Break::Commit, 0, true),
        // It is there, and nobody could find out.
        (Break::Answer, 1, false),
        // That it is there says nothing of the next one.
        (Break::Commit, 0, true),
        (Break::Answer, 1, false),
        (Break::Never, 0, true),
        (Break::Answer, 1, false),
        (Break::Commit, 0, true),
    ];
    let wire = Wire::to(&database);
    let location: Location = wire.url().parse().unwrap();
    let mut backend = Backend::open_at(&location, &Options::default()).unwrap();
    let sql = database.sql();
    for (seq, (how, hang_ups, known)) in (1..).zip(table) {
        wire.breaks(how, hang_ups);
        let answer = commit(&mut backend, seq);
        wire.has_broken();
        match (answer, known) {
            (Ok(()), true) | (Err(Refused::Unavailable { .. }), false) => {}
            (answer, _) => panic!("{seq}, {how:?}: {answer:?}"),
        }
        let there = sql.number("SELECT COUNT(*) FROM turn");
        assert_eq!(there, i64::from(seq), "{seq}, {how:?}");
    }
    // One that did not arrive and of which nobody could find out is not there, and can be sent again.
    wire.breaks(Break::Commit, 1);
    let answer = commit(&mut backend, 11);
    assert!(
        matches!(answer, Err(Refused::Unavailable { .. })),
        "{answer:?}"
    );
    assert_eq!(sql.number("SELECT COUNT(*) FROM turn"), 10);
    assert_eq!(commit(&mut backend, 11), Ok(()));
    assert_eq!(backend.integrity().unwrap(), "ok");
}

/// Xorshift: small, and the same everywhere.
struct Dice(u64);

impl Dice {
    /// From `TL_SEED`, or as given; printed.
    fn seeded(name: &str, default: u64) -> Dice {
        let given = std::env::var("TL_SEED").ok().and_then(|s| s.parse().ok());
        let seed: u64 = given.unwrap_or(default);
        println!("{name}: TL_SEED={seed}");
        Dice(seed.max(1))
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// What the senders have seen.
#[derive(Debug, Default)]
struct Tally {
    /// Sent for the first time.
    sent: AtomicU64,
    /// Known to be there.
    there: AtomicU64,
    /// Answered with "it may be there".
    unsure: AtomicU64,
    /// Of those, the ones that were.
    were: AtomicU64,
    over: AtomicBool,
}

impl Tally {
    fn count(of: &AtomicU64) -> u64 {
        of.fetch_add(1, Ordering::SeqCst)
    }

    fn seen(of: &AtomicU64) -> u64 {
        of.load(Ordering::SeqCst)
    }
}

/// Whether the case of message `n` is there, asked until there is an answer.
async fn is_there(store: &Store, n: u64) -> bool {
    let begun = Instant::now();
    loop {
        match store.case(T1, case_id(n)).await {
            Ok(case) => return case.is_some(),
            Err(StoreError::Unavailable { .. }) if begun.elapsed() < PATIENCE => {}
            Err(other) => panic!("{n}: {other}"),
        }
        tokio::task::yield_now().await;
    }
}

/// Sends one message after the other until it is over. Each is sent until it is known to be there.
async fn send(store: Store, tally: Arc<Tally>) {
    while !tally.over.load(Ordering::SeqCst) {
        let n = Tally::count(&tally.sent) + 1;
        let (key, begun) = (format!("key {n}"), Instant::now());
        let mut may_be_there = false;
        loop {
            match store.commit(admission(n, &[&key])).await {
                Ok(_) => break,
                // Of its own making, and only where nobody could know.
                Err(Refused::Duplicate { event, .. }) if may_be_there => {
                    assert_eq!(event, event_id(n));
                    break;
                }
                Err(Refused::Unavailable { .. }) => {
                    assert!(begun.elapsed() < PATIENCE, "{n} is not taken");
                    Tally::count(&tally.unsure);
                    may_be_there = true;
                    if is_there(&store, n).await {
                        Tally::count(&tally.were);
                        break;
                    }
                }
                Err(other) => panic!("{n}: {other}"),
            }
        }
        // What was said to be there stays.
        assert!(is_there(&store, n).await, "{n} was acknowledged");
        Tally::count(&tally.there);
    }
}

/// Runs senders on two nodes, and `accident` so often; each time after so many further messages as the dice say.
fn under_load(location: &Location, dice: &mut Dice, accidents: u64, mut accident: impl FnMut(u64)) {
    const SENDERS: usize = 24;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let nodes: Vec<Store> = [1, 2]
        .map(|node| {
            let options = Options {
                node: Some(node),
                lease: Duration::from_secs(120),
                ..Options::default()
            };
            Store::open_at(location, &options).unwrap()
        })
        .into();
    let tally = Arc::<Tally>::default();
    let senders: Vec<_> = (0..SENDERS)
        .map(|i| runtime.spawn(send(nodes[i % 2].clone(), Arc::clone(&tally))))
        .collect();
    for n in 0..accidents {
        let next = Tally::seen(&tally.there) + 1 + dice.roll(60);
        let begun = Instant::now();
        while Tally::seen(&tally.there) < next {
            let failed = senders.iter().any(|s| s.is_finished());
            assert!(
                !failed && begun.elapsed() < PATIENCE,
                "no progress: {tally:?}"
            );
            std::thread::yield_now();
        }
        accident(dice.roll(1 << 32) ^ n);
    }
    tally.over.store(true, Ordering::SeqCst);
    for sender in senders {
        runtime.block_on(sender).unwrap();
    }
    let sent = Tally::seen(&tally.sent);
    let stats = runtime.block_on(nodes[0].stats(0)).unwrap();
    assert_eq!((stats.events, stats.turns), (sent, sent), "{tally:?}");
    println!(
        "{accidents} accidents, {sent} messages, each there once; of {} answers that left it open {} were there",
        Tally::seen(&tally.unsure),
        Tally::seen(&tally.were)
    );
    for node in nodes {
        runtime.block_on(node.close()).unwrap();
    }
    let backend = Backend::open_at(location, &Options::default()).unwrap();
    assert_eq!(backend.integrity().unwrap(), "ok");
}

#[test]
fn sessions_that_are_ended_under_load_lose_and_double_nothing() {
    let Some(database) = Database::fresh() else {
        return;
    };
    let mut dice = Dice::seeded("sessions", 20_261_123);
    let sql = database.sql();
    // Writers at work before all others; every fourth time anybody.
    let accident = |draw: u64| {
        let work = match draw % 4 {
            0 => "TRUE",
            _ => "state = 'active'",
        };
        let kill = format!(
            "SELECT COUNT(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity \
             WHERE application_name = 'throughline' AND datname = current_database() AND {work} \
             ORDER BY md5(CAST(pid AS TEXT) || '{draw}') LIMIT 1) one"
        );
        sql.number(&kill);
    };
    under_load(
        &database.location(),
        &mut dice,
        tl_trial::size(60, 2_000),
        accident,
    );
}

#[test]
fn a_server_that_crashes_under_load_keeps_what_was_acknowledged() {
    let Some(server) = Server::of_one_test(&Own::default()) else {
        return;
    };
    server.sql("postgres", "CREATE DATABASE tl").unwrap();
    let url = format!("postgres://tl@127.0.0.1:{}/tl", server.port());
    let mut dice = Dice::seeded("crashes", 20_261_124);
    let crash = |_| server.crash();
    under_load(
        &url.parse().unwrap(),
        &mut dice,
        tl_trial::size(4, 100),
        crash,
    );
}
