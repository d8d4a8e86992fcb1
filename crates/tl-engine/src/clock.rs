//! Engine time: µs since the Unix epoch, never backwards.

mod keeper;

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::time::{ClockId, clock_gettime};
use tl_kernel::id::TenantId;
use tl_store::contract::Row;
use tl_store::{Store, StoreError};

pub use keeper::{Alarm, JUMP, Reading, Timekeeper};

/// Name of the cursor that holds since when engine time was held, the last time that it was.
const HELD: &str = "clock-held";
/// Name of the cursor that holds when it last went on.
const FOLLOWS: &str = "clock-follows";

/// Where the engine takes the time from.
pub trait Clock: Send + Sync + 'static {
    /// Engine time, µs. Never smaller than an earlier answer.
    fn now(&self) -> i64;

    /// What the calendar says where engine time is taken from, µs. It may be set, back as well: only what others have
    /// dated is held against it, because they cannot know of engine time.
    fn wall(&self) -> i64 {
        self.now()
    }

    /// How far the calendar is from engine time, where that is more than a correction explains.
    fn alarm(&self) -> Option<Alarm> {
        None
    }

    /// Believes a calendar from which engine time is held back. By how much that moves engine time, µs; `None` where
    /// nothing is held.
    fn accept(&self) -> Option<i64> {
        None
    }

    /// Another machine has said what time it is, µs.
    fn heard(&self, host: &str, date: i64) {
        let _ = (host, date);
    }
}

/// The clock that nobody sets and that counts while the machine sleeps.
#[cfg(target_os = "linux")]
const STEADY: ClockId = ClockId::Boottime;
/// As macOS has it, where it counts while the machine sleeps as well. Where it does not, a sleep looks like a jump.
#[cfg(not(target_os = "linux"))]
const STEADY: ClockId = ClockId::Monotonic;

/// The clocks of the machine that this process runs on.
fn of_this_machine() -> Reading {
    let micros = |clock| {
        let time = clock_gettime(clock);
        time.tv_sec * 1_000_000 + time.tv_nsec / 1_000
    };
    Reading {
        wall: micros(ClockId::Realtime),
        steady: micros(STEADY),
    }
}

/// The clock of a machine that has its database to itself: see [`Timekeeper`].
pub struct MachineClock {
    hands: Box<dyn Fn() -> Reading + Send + Sync>,
    keeper: Mutex<Timekeeper>,
}

impl fmt::Debug for MachineClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MachineClock").field(&self.keeper).finish()
    }
}

impl MachineClock {
    /// A clock with these hands, over what a store holds: never before what it last wrote, and held where it was held.
    pub async fn over(
        store: &Store,
        hands: impl Fn() -> Reading + Send + Sync + 'static,
    ) -> Result<MachineClock, StoreError> {
        let floor = store.newest_instant().await?;
        let held = held_since(store).await?;
        let keeper = Timekeeper::begin(floor, held, hands());
        Ok(MachineClock {
            hands: Box::new(hands),
            keeper: Mutex::new(keeper),
        })
    }

    fn keeper(&self) -> MutexGuard<'_, Timekeeper> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for MachineClock {
    fn now(&self) -> i64 {
        // The clocks are read under the lock, so that readings come in their order.
        let mut keeper = self.keeper();
        keeper.read((self.hands)())
    }

    fn wall(&self) -> i64 {
        (self.hands)().wall
    }

    fn alarm(&self) -> Option<Alarm> {
        let mut keeper = self.keeper();
        keeper.read((self.hands)());
        keeper.alarm()
    }

    fn accept(&self) -> Option<i64> {
        let mut keeper = self.keeper();
        keeper.accept((self.hands)())
    }

    fn heard(&self, host: &str, date: i64) {
        let mut keeper = self.keeper();
        if let Some(by) = keeper.hear(host, date, (self.hands)()) {
            tracing::warn!(
                seconds = by / 1_000_000,
                "other machines agree with this one's clock: engine time has moved on to it"
            );
        }
    }
}

/// Since when, by what the database holds, engine time is held, µs; `None` where it is not.
pub async fn held_since(store: &Store) -> Result<Option<i64>, StoreError> {
    let cursor = |name: &str| store.cursor(TenantId::SYSTEM, name.to_owned());
    let (held, follows) = (cursor(HELD).await?, cursor(FOLLOWS).await?);
    Ok((held > follows).then_some(held))
}

/// Notes in the database that engine time is held, so that a process which starts in the middle goes on holding it.
pub fn held(alarm: Alarm) -> Row {
    note(HELD, alarm.since)
}

/// Notes in the database that engine time, µs, is not held any more.
pub fn follows(now: i64) -> Row {
    note(FOLLOWS, now)
}

fn note(name: &str, value: i64) -> Row {
    Row::Cursor {
        name: name.to_owned(),
        value,
    }
}

/// The clock of a store: the database's where several nodes share it, else this machine's.
pub async fn of_store(store: &Store) -> Result<Arc<dyn Clock>, StoreError> {
    Ok(match store.is_shared() {
        true => Arc::new(StoreClock::of(store.clone())),
        false => Arc::new(MachineClock::over(store, of_this_machine).await?),
    })
}

/// The clock of a database that several nodes share: what one node has decided another must not hold for the future.
/// Never backwards within a process. While the database has not said what time it is, this machine's calendar has to do.
#[derive(Debug)]
pub struct StoreClock {
    store: Store,
    last: AtomicI64,
}

impl StoreClock {
    /// The clock of a store that is shared.
    pub fn of(store: Store) -> StoreClock {
        StoreClock {
            store,
            last: AtomicI64::new(0),
        }
    }
}

impl Clock for StoreClock {
    fn now(&self) -> i64 {
        let read = self.wall();
        self.last.fetch_max(read, Ordering::Relaxed).max(read)
    }

    fn wall(&self) -> i64 {
        let read = self.store.database_time();
        read.unwrap_or_else(|| of_this_machine().wall)
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
