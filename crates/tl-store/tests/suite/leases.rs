//! Leases: who may write, until when, and who takes over. The same checks for nodes of a PostgreSQL database and for
//! nodes that share a SQLite file.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tl_kernel::effect::EffectState::Dispatching;
use tl_store::{
    Backend, Location, Options, Refused, Shared, Store, StoreError, Surroundings, Unit, Way,
};

use super::build::*;
use super::postgres::Database;

const LEASE: Duration = Duration::from_secs(10);

/// One database with several nodes.
trait Place {
    fn node(&self, asked: u32) -> Backend;
    fn sql(&self, sql: &str);
}

impl Place for Database {
    fn node(&self, asked: u32) -> Backend {
        Database::node(self, asked)
    }

    fn sql(&self, sql: &str) {
        Database::sql(self).run(sql).unwrap();
    }
}

/// Clocks that stand until they are moved, and a way that is open until it is cut.
#[derive(Default)]
struct Hands {
    now: AtomicI64,
    /// 0: open; 1: no call arrives; 2: no answer arrives.
    cut: AtomicU8,
}

impl Surroundings for Hands {
    fn database_clock(&self) -> i64 {
        self.now.load(Ordering::SeqCst)
    }

    fn steady_clock(&self) -> i64 {
        self.database_clock()
    }

    fn wall_clock(&self) -> i64 {
        self.database_clock()
    }

    fn way(&self) -> Way {
        match self.cut.load(Ordering::SeqCst) {
            1 => Way::Cut,
            _ => Way::Open,
        }
    }

    fn answers(&self) -> bool {
        self.cut.load(Ordering::SeqCst) != 2
    }
}

/// A SQLite file that several nodes share.
struct File {
    dir: TempDir,
    hands: Arc<Hands>,
}

impl File {
    fn fresh() -> File {
        let hands = Arc::new(Hands::default());
        hands.now.store(1_000_000_000, Ordering::SeqCst);
        let dir = tempfile::tempdir().unwrap();
        File { dir, hands }
    }

    fn options(&self, asked: u32) -> Options {
        Options {
            node: Some(asked),
            lease: LEASE,
            shared: Some(Shared(Arc::clone(&self.hands) as Arc<dyn Surroundings>)),
            ..Options::default()
        }
    }

    fn location(&self) -> Location {
        Location::File(self.dir.path().join("tl.db"))
    }

    fn store(&self, asked: u32) -> Store {
        Store::inline(&self.location(), &self.options(asked)).unwrap()
    }

    fn pass(&self, time: Duration) {
        let micros = i64::try_from(time.as_micros()).unwrap();
        self.hands.now.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Place for File {
    fn node(&self, asked: u32) -> Backend {
        Backend::open_at(&self.location(), &self.options(asked)).unwrap()
    }

    fn sql(&self, sql: &str) {
        let path = self.dir.path().join("tl.db");
        let conn = rusqlite::Connection::open(path).unwrap();
        conn.execute_batch(sql).unwrap();
    }
}

fn on_both(check: impl Fn(&dyn Place)) {
    check(&File::fresh());
    if let Some(database) = Database::fresh() {
        check(&database);
    }
}

fn one(backend: &mut Backend, unit: Unit) -> Result<(), Refused> {
    backend.commit(vec![unit]).remove(0).map(|_| ())
}

#[test]
fn a_process_that_was_replaced_is_fenced() {
    on_both(|place| {
        let mut zombie = place.node(1);
        one(&mut zombie, turn_unit(turn(1, 1))).unwrap();
        let mut heir = place.node(1);
        assert_eq!((zombie.epoch(), heir.epoch()), (1, 2));
        assert_eq!(
            one(&mut zombie, turn_unit(turn(2, 1))),
            Err(Refused::Fenced)
        );
        assert!(!zombie.heartbeat().unwrap().held);
        one(&mut heir, turn_unit(turn(2, 1))).unwrap();
    });
}

#[test]
fn a_node_whose_lease_lapsed_is_fenced_and_its_attempts_become_stale() {
    on_both(|place| {
        let (mut silent, mut other) = (place.node(1), place.node(2));
        one(&mut silent, turn_unit(turn(1, 1).plan(1, Dispatching, 0))).unwrap();
        assert!(other.lapse_others().unwrap().is_empty());

        // It lapses; nobody has taken over, so that it may hold it again.
        let lapses = "UPDATE node SET lease_until = 2 WHERE id = 1";
        place.sql(lapses);
        assert_eq!(
            one(&mut silent, turn_unit(turn(1, 2))),
            Err(Refused::Fenced)
        );
        // It is for its own beat and for others to find that.
        assert!(silent.lapse_others().unwrap().is_empty());
        assert_eq!(place.node(0).node(), 3);
        let lease = silent.heartbeat().unwrap();
        assert!(lease.held && !lease.left.is_zero() && lease.database_time.is_some());
        one(&mut silent, turn_unit(turn(1, 2))).unwrap();

        place.sql(lapses);
        let stale = |backend: &Backend| {
            let found = backend.reader().stale(0, 9, &BTreeSet::new());
            found.unwrap().len()
        };
        assert_eq!(stale(&other), 0);
        assert_eq!(other.lapse_others().unwrap(), [1]);
        assert!(other.lapse_others().unwrap().is_empty());
        assert_eq!(stale(&other), 1);
        assert!(!silent.heartbeat().unwrap().held);
        assert_eq!(
            one(&mut silent, turn_unit(turn(1, 3))),
            Err(Refused::Fenced)
        );
        // Whoever asks for any number gets the one that is free.
        assert_eq!(place.node(0).node(), 1);
        assert_eq!(place.node(0).node(), 4);
    });
}

/// A group extends the lease of its node, and a guest needs none.
#[test]
fn work_extends_a_lease_and_guests_have_none() {
    let file = File::fresh();
    let (mut busy, _idle) = (file.node(1), file.node(2));
    for seq in 1..5 {
        file.pass(LEASE / 2);
        one(&mut busy, turn_unit(turn(1, seq))).unwrap();
    }
    assert_eq!(busy.lapse_others().unwrap(), [2]);
    let options = Options {
        node: None,
        ..file.options(0)
    };
    let mut guest = Backend::open_at(&file.location(), &options).unwrap();
    file.pass(LEASE * 2);
    assert_eq!(guest.node(), 0);
    one(&mut guest, turn_unit(turn(2, 1))).unwrap();
    assert_eq!(one(&mut busy, turn_unit(turn(1, 5))), Err(Refused::Fenced));
}

#[tokio::test]
async fn a_store_knows_its_lease_and_loses_it() {
    let file = File::fresh();
    let (one, two) = (file.store(1), file.store(0));
    assert!(one.is_shared() && two.node() == 2);
    assert_eq!(one.lease_left(), Some(LEASE - LEASE / 1_000));
    assert_eq!(one.database_time(), Some(1_000_000_000));
    file.pass(LEASE / 2);
    assert_eq!(one.keep_lease().await, Some(LEASE / 3));
    assert_eq!(two.lease_left(), Some(LEASE / 2 - LEASE / 1_000));
    file.pass(LEASE / 2);
    assert_eq!(two.lease_left(), Some(Duration::ZERO));
    file.pass(Duration::from_micros(1));
    assert_eq!(one.lapse_others().await.unwrap(), [2]);
    assert!(!*two.lost().borrow());
    assert_eq!(two.keep_lease().await, None);
    assert!(*two.lost().borrow());
    // A lease that is given back may be taken over at once.
    let three = file.store(3);
    one.close().await.unwrap();
    assert_eq!(three.lapse_others().await.unwrap(), [1]);
    assert!(three.lease_left() > Some(LEASE / 2));
}

#[tokio::test]
async fn a_call_that_does_not_arrive_does_nothing_and_one_without_an_answer_may() {
    let file = File::fresh();
    let store = file.store(1);
    let unreached = |refused| matches!(refused, Err(Refused::Unavailable { .. }));
    for (cut, done) in [(1, 0), (2, 1)] {
        file.hands.cut.store(cut, Ordering::SeqCst);
        assert!(unreached(
            store.commit(turn_unit(turn(cut.into(), 1))).await
        ));
        let asked = store.next_due().await;
        assert!(matches!(asked, Err(StoreError::Unavailable { .. })));
        assert_eq!(store.keep_lease().await, Some(LEASE / 10));
        file.hands.cut.store(0, Ordering::SeqCst);
        let journal = store.journal(T1, case_id(cut.into())).await.unwrap();
        assert_eq!(journal.len(), done, "cut {cut}");
    }
}
