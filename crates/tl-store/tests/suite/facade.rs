//! The façade, and what is SQLite's own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use tl_store::{Backend, OpenError, Options, Query, Refused, Reply, Store, StoreError, Unit};

use super::World;
use super::build::*;
use super::sqlite::Sqlite;

fn open(path: &Path) -> Store {
    Store::open(path, &Options::default()).unwrap()
}

/// 10,000 races: in each, several tasks on several threads send the same event, and exactly one wins.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_races_have_one_winner_each() {
    const RACES: u64 = 10_000;
    const RUNNERS: u64 = 4;
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("tl.db"));
    let mut runners = Vec::new();
    for runner in 0..RUNNERS {
        let store = store.clone();
        runners.push(tokio::spawn(async move {
            let mut won = Vec::new();
            // In slices, so that the runners meet in the same groups.
            for slice in 0..RACES / 50 {
                let races: Vec<u64> = (slice * 50..(slice + 1) * 50).collect();
                let units = races.iter().map(|race| {
                    let key = format!("race {race}");
                    let hash = format!("hash {race}");
                    admission(race * RUNNERS + runner + 1, &[&key, &hash])
                });
                let answers = store.commit_all(units.collect()).await;
                for (race, answer) in races.into_iter().zip(answers) {
                    match answer {
                        Ok(_) => won.push(race),
                        Err(Refused::Duplicate { .. }) => {}
                        Err(other) => panic!("{other}"),
                    }
                }
            }
            won
        }));
    }
    let mut won = Vec::new();
    for runner in runners {
        won.extend(runner.await.unwrap());
    }
    won.sort_unstable();
    assert_eq!(won, (0..RACES).collect::<Vec<_>>());
    let stats = store.stats(0).await.unwrap();
    assert_eq!((stats.events, stats.turns), (RACES, RACES));
    store.close().await.unwrap();
    let backend = Backend::open(&dir.path().join("tl.db"), &Options::default()).unwrap();
    assert_eq!(backend.integrity().unwrap(), "ok");
}

#[tokio::test]
async fn an_acknowledged_unit_is_read_at_once_and_wakes_listeners() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("tl.db"));
    let mut groups = store.groups();
    assert_eq!((store.epoch(), store.committed_group()), (1, 0));
    for n in 1..=50 {
        let committed = store.commit(admission(n, &[])).await.unwrap();
        assert_eq!(store.case(T1, case_id(n)).await.unwrap().unwrap().seq, 1);
        groups.changed().await.unwrap();
        assert!(*groups.borrow_and_update() >= committed.group);
    }
    assert_eq!(store.committed_group(), 50);
    assert!(store.commit_all(vec![]).await.is_empty());
    let many = (100..1_000).map(|n| admission(n, &[])).collect();
    let answers = store.commit_all(many).await;
    assert_eq!(answers.iter().filter(|a| a.is_ok()).count(), 900);
}

#[tokio::test]
async fn a_closed_store_refuses_and_leaves_one_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tl.db");
    let store = open(&path);
    let other = store.clone();
    store.commit(admission(1, &[])).await.unwrap();
    store.close().await.unwrap();
    assert!(matches!(
        other.commit(admission(2, &[])).await,
        Err(Refused::Unavailable { .. })
    ));
    assert_eq!(other.next_due().await, Err(StoreError::Closed));
    assert_eq!(other.close().await, Err(StoreError::Closed));
    let files: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|f| f.unwrap().file_name())
        .collect();
    assert_eq!(files, ["tl.db"]);
    let again = open(&path);
    assert_eq!(again.epoch(), 2);
    assert_eq!(again.events(T1, case_id(1)).await.unwrap().len(), 1);
}

/// The log would grow for ever under load if its checkpoints only ever chased the writer.
#[tokio::test]
async fn the_log_starts_again_under_load() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tl.db");
    let options = Options {
        checkpoint_pages: 64,
        ..Options::default()
    };
    let store = Store::open(&path, &options).unwrap();
    // The two salts in the log's header change when it starts again.
    let salts = || fs::read(dir.path().join("tl.db-wal")).unwrap()[16..24].to_vec();
    store.commit(admission(1, &[])).await.unwrap();
    for round in 0..3 {
        let before = salts();
        let mut n = 1 + round * 100_000;
        while salts() == before {
            n += 1;
            assert!(n % 100_000 < 20_000, "the log grows and grows");
            store.commit(admission(n, &[])).await.unwrap();
        }
    }
    store.close().await.unwrap();
    let backend = Backend::open(&path, &options).unwrap();
    assert_eq!(backend.integrity().unwrap(), "ok");
}

#[test]
fn a_plain_thread_may_use_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("tl.db"));
    store.commit_blocking(admission(1, &[])).unwrap();
    let Ok(Reply::Case(Some(row))) = store.query_blocking(Query::Case(T1, case_id(1))) else {
        panic!("no case");
    };
    assert_eq!(row.seq, 1);
}

#[test]
fn the_queue_is_young_when_nothing_waits() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("tl.db"));
    assert_eq!(store.queue_age(), std::time::Duration::ZERO);
    store.commit_blocking(unit()).unwrap();
    // The writer marks itself idle after it has answered.
    while store.queue_age() > std::time::Duration::ZERO {
        std::thread::yield_now();
    }
}

#[test]
fn opening_says_what_is_wrong_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("text.db");
    fs::write(
        &text,
        "this is a text and no database, and it is long enough to be read as a header",
    )
    .unwrap();
    let foreign = dir.path().join("foreign.db");
    let conn = rusqlite::Connection::open(&foreign).unwrap();
    conn.execute_batch("CREATE TABLE invoices (x)").unwrap();
    drop(conn);
    let newer = dir.path().join("newer.db");
    drop(Backend::open(&newer, &Options::default()).unwrap());
    let conn = rusqlite::Connection::open(&newer).unwrap();
    conn.execute_batch("INSERT INTO migration VALUES (99, x'00')")
        .unwrap();
    drop(conn);
    let guest = Options {
        node: None,
        ..Options::default()
    };
    for (path, options, code, advice) in [
        (
            dir.path().join("none/tl.db"),
            Options::default(),
            "TL0610",
            "directory",
        ),
        (
            text,
            Options::default(),
            "TL0611",
            "Choose another directory",
        ),
        (
            foreign,
            Options::default(),
            "TL0611",
            "Choose another directory",
        ),
        (newer, Options::default(), "TL0612", "newer release"),
        (dir.path().join("empty.db"), guest, "TL0610", "directory"),
    ] {
        let error = Store::open(&path, &options).unwrap_err().to_string();
        assert!(error.starts_with(code) && error.contains(advice), "{error}");
    }
}

#[test]
fn a_foreign_database_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("foreign.db");
    let conn = rusqlite::Connection::open(&path).unwrap();
    conn.execute_batch("CREATE TABLE invoices (x)").unwrap();
    drop(conn);
    let before = fs::read(&path).unwrap();
    assert!(matches!(
        Backend::open(&path, &Options::default()),
        Err(OpenError::NotOurs { .. })
    ));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn the_journal_cannot_be_changed_even_by_hand() {
    let mut world = Sqlite::fresh();
    let w: &mut dyn World = &mut world;
    w.ok(admission(1, &["a"]));
    let conn = rusqlite::Connection::open(world.path()).unwrap();
    for sql in [
        "UPDATE turn SET head = x'00'",
        "DELETE FROM turn",
        "UPDATE turn_body SET body = x'00'",
    ] {
        let refused = conn.execute_batch(sql);
        let survived = world.backend.reader().journal(T1, case_id(1)).unwrap();
        assert_eq!(survived, [turn(1, 1).sealed], "{sql}: {refused:?}");
    }
    // Erasing a body is the one change that is meant to be.
    conn.execute_batch("DELETE FROM turn_body").unwrap();
    assert_eq!(
        world.backend.reader().journal(T1, case_id(1)).unwrap()[0].body,
        None
    );
}

#[test]
fn what_is_too_large_is_a_fault_of_its_unit() {
    let mut world = Sqlite::fresh();
    let mut large = admission(2, &[]);
    let stored = tl_kernel::turn::StoredEvent {
        payload: vec![0; 65 << 20],
        ..event(2)
    };
    large.rows = vec![event_row(stored, &[])];
    let w: &mut dyn World = &mut world;
    let group: Vec<Unit> = vec![admission(1, &[]), large, admission(3, &[])];
    assert_eq!(w.passed(group), [true, false, true]);
}

/// What a look takes up: no more than there is room for, but one of each line; and nothing of a line in which nothing is
/// due.
#[tokio::test]
async fn lines_share_what_is_taken_up() {
    use tl_kernel::effect::EffectState::{Dispatching, Ready};

    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("tl.db"));
    let mut many = (1..=4).fold(turn(1, 1), |t, n| t.plan(n, Dispatching, 0));
    many = (5..=90).fold(many, |t, n| t.plan(n, Ready, i64::from(10 * n)));
    store.commit(turn_unit(many)).await.unwrap();
    let mut other = turn(2, 1).plan_serial(30, Dispatching, "a");
    other = (31..=200).fold(other, |t, n| t.plan_serial(n, Ready, "a"));
    other = other.plan_serial(201, Ready, "b").plan(202, Ready, 900);
    other.tenant = T2;
    let unit = Unit {
        turns: vec![other],
        ..Unit::new(T2)
    };
    store.commit(unit).await.unwrap();
    let line = |tenant| (tenant, "crm".to_owned());
    // Now; room; lines that wait; how many are found of each tenant. Attempts end at 500.
    let table = [
        (49, 9, vec![], (0, 0)),
        (60, 9, vec![], (2, 0)),
        (201, 9, vec![], (4, 1)),
        (499, 100, vec![T2], (45, 0)),
        (600, 1, vec![], (2, 2)),
        (600, 10, vec![], (6, 2)),
        (600, 10, vec![T1], (0, 2)),
        (600, 10, vec![T1, T2], (0, 0)),
    ];
    for (now, room, waiting, want) in table {
        let but: BTreeSet<_> = waiting.into_iter().map(line).collect();
        let found = store.to_take_up(now, room, but).await.unwrap();
        let of = |tenant| found.iter().filter(|r| r.tenant == tenant).count();
        assert_eq!((of(T1), of(T2)), want, "at {now}, room for {room}");
    }
    let backlog: [(i64, Vec<(_, i64)>); 3] = [
        (49, vec![]),
        (60, vec![(T1, 50)]),
        (999, vec![(T1, 50), (T2, 201)]),
    ];
    for (now, want) in backlog {
        let found = store.backlog(now).await.unwrap();
        assert_eq!(found, BTreeMap::from_iter(want), "at {now}");
    }
}
