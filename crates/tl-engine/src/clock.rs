//! Engine time: µs since the Unix epoch, never backwards.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tl_store::Store;

/// Where the engine takes the time from.
pub trait Clock: Send + Sync + 'static {
    /// Engine time, µs. Never smaller than an earlier answer.
    fn now(&self) -> i64;
}

/// The machine's clock, held when it is set back.
#[derive(Debug, Default)]
pub struct SystemClock {
    last: AtomicI64,
}

impl Clock for SystemClock {
    fn now(&self) -> i64 {
        let read = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_micros() as i64);
        self.last.fetch_max(read, Ordering::Relaxed).max(read)
    }
}

/// The database's clock where several nodes share one, else this machine's: what one node has decided another must not
/// hold for the future. Never backwards within a process.
#[derive(Debug)]
pub struct StoreClock {
    store: Store,
    machine: SystemClock,
    last: AtomicI64,
}

impl StoreClock {
    /// The clock of a store.
    pub fn of(store: Store) -> StoreClock {
        StoreClock {
            store,
            machine: SystemClock::default(),
            last: AtomicI64::new(0),
        }
    }
}

impl Clock for StoreClock {
    fn now(&self) -> i64 {
        let read = self.store.database_time();
        let read = read.unwrap_or_else(|| self.machine.now());
        self.last.fetch_max(read, Ordering::Relaxed).max(read)
    }
}

/// A clock that moves when it is told to, for tests and simulations.
#[derive(Debug)]
pub struct ManualClock {
    now: AtomicI64,
}

impl ManualClock {
    /// A clock that stands at an instant, µs.
    pub fn at(now: i64) -> ManualClock {
        ManualClock {
            now: AtomicI64::new(now),
        }
    }

    /// Moves it on by µs.
    pub fn advance(&self, by: i64) {
        self.now.fetch_add(by.max(0), Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> i64 {
        self.now.load(Ordering::Relaxed)
    }
}
