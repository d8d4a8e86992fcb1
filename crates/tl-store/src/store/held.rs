//! What this process knows by itself of its node's right to write: until when the lease runs that was last confirmed,
//! whether somebody has taken the node over, and what time it is where the database is.
//!
//! Nothing here asks the database, so that it may be asked right before every byte that leaves.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

use crate::backend::Lease;
use crate::shared::Shared;

/// An answer that took longer than this, µs, tells nothing about the time.
const TOO_VAGUE: i64 = 1_000_000;
/// A lease is extended so many times in its length.
const BEATS: u32 = 3;
/// Where that failed, it is tried so many times in its length.
const TRIES: u32 = 10;

/// Clocks of two machines run evenly, up to this part of a time: as much as they are ever slewed, and twice that.
const UNEVEN: i64 = 1_000;
/// No database has said what time it is.
const UNKNOWN: i64 = i64::MIN;

/// The clocks of this process.
#[derive(Debug)]
enum Clocks {
    /// The machine's.
    Machine(Instant),
    /// Those that it was given.
    Given(Shared),
}

/// A moment on both clocks of this process, µs: one of them stands still while a machine sleeps, the other may be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked {
    steady: i64,
    wall: i64,
}

impl Clocks {
    fn steady(&self) -> i64 {
        match self {
            Clocks::Machine(begun) => micros(begun.elapsed()),
            Clocks::Given(given) => given.0.steady_clock(),
        }
    }

    fn now(&self) -> Asked {
        let wall = match self {
            Clocks::Machine(_) => micros(
                SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default(),
            ),
            Clocks::Given(given) => given.0.wall_clock(),
        };
        Asked {
            steady: self.steady(),
            wall,
        }
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX / 2)
}

/// The lease as it was last confirmed.
#[derive(Debug)]
pub(crate) struct Held {
    clocks: Clocks,
    state: Mutex<State>,
    lost: watch::Sender<bool>,
    /// How far the database's clock is ahead of the steady one, µs, or `UNKNOWN`.
    ahead: AtomicI64,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Nobody can take the node over.
    Endless,
    /// Until one of the two clocks says that it is over.
    Until(Asked),
    /// Another process has the node, or it was given up.
    Over,
}

impl Held {
    /// By the clocks of the machine, or by those that nodes which share a file were given.
    pub(crate) fn new(given: Option<Shared>) -> Held {
        Held {
            clocks: given.map_or_else(|| Clocks::Machine(Instant::now()), Clocks::Given),
            state: Mutex::new(State::Endless),
            lost: watch::Sender::new(false),
            ahead: AtomicI64::new(UNKNOWN),
        }
    }

    /// To be taken before the database is asked: a lease counts from the question on, whatever happens to this
    /// process before it has read the answer.
    pub(crate) fn asked(&self) -> Asked {
        self.clocks.now()
    }

    /// Takes note of what the database has answered.
    pub(crate) fn confirm(&self, asked: Asked, lease: &Lease) {
        let mut state = self.lock();
        if matches!(*state, State::Over) {
            return;
        }
        if !lease.held {
            *state = State::Over;
            drop(state);
            self.lost.send_replace(true);
            return;
        }
        *state = match i64::try_from(lease.left.as_micros()) {
            Ok(left) => {
                let left = left - left / UNEVEN;
                State::Until(Asked {
                    steady: asked.steady.saturating_add(left),
                    wall: asked.wall.saturating_add(left),
                })
            }
            Err(_) => State::Endless,
        };
        drop(state);
        let steady = self.clocks.steady();
        let took = steady - asked.steady;
        if let Some(time) = lease.database_time.filter(|_| took <= TOO_VAGUE) {
            // The answer was true about half way between the question and now.
            self.ahead
                .store(time - (asked.steady + took / 2), Ordering::Relaxed);
        }
    }

    /// After what time a lease of this length is extended that was just confirmed.
    pub(crate) fn first_pause(&self, length: Duration) -> Duration {
        length / BEATS
    }

    /// Takes note of what became of a question that was to extend the lease, and tells after what time the next one is
    /// due; `None` once the node is lost.
    pub(crate) fn beaten(
        &self,
        asked: Asked,
        length: Duration,
        answer: Option<&Lease>,
    ) -> Option<Duration> {
        let Some(lease) = answer else {
            return Some(length / TRIES);
        };
        self.confirm(asked, lease);
        lease.held.then(|| self.first_pause(length))
    }

    /// The node is given up by ourselves.
    pub(crate) fn give_up(&self) {
        *self.lock() = State::Over;
    }

    /// What is left of the lease; `None` for an endless one.
    pub(crate) fn left(&self) -> Option<Duration> {
        let until = match *self.lock() {
            State::Endless => return None,
            State::Over => return Some(Duration::ZERO),
            State::Until(until) => until,
        };
        let now = self.clocks.now();
        let left = (until.steady - now.steady).min(until.wall - now.wall);
        Some(Duration::from_micros(u64::try_from(left).unwrap_or(0)))
    }

    /// Becomes true once another process has taken the node over.
    pub(crate) fn lost(&self) -> watch::Receiver<bool> {
        self.lost.subscribe()
    }

    /// The database's clock, µs; `None` where there is no other clock than this machine's.
    pub(crate) fn database_time(&self) -> Option<i64> {
        let ahead = self.ahead.load(Ordering::Relaxed);
        (ahead != UNKNOWN).then(|| ahead.saturating_add(self.clocks.steady()))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::shared::{Surroundings, Way};

    /// Clocks that stand where they are put, µs: the steady one and the other.
    #[derive(Default)]
    struct Hands(AtomicI64, AtomicI64);

    impl Hands {
        fn pass(&self, seconds: (i64, i64)) {
            self.0.fetch_add(seconds.0 * 1_000_000, Ordering::Relaxed);
            self.1.fetch_add(seconds.1 * 1_000_000, Ordering::Relaxed);
        }
    }

    impl Surroundings for Hands {
        fn database_clock(&self) -> i64 {
            0
        }

        fn steady_clock(&self) -> i64 {
            self.0.load(Ordering::Relaxed)
        }

        fn wall_clock(&self) -> i64 {
            self.1.load(Ordering::Relaxed)
        }

        fn way(&self) -> Way {
            Way::Open
        }

        fn answers(&self) -> bool {
            true
        }
    }

    fn lease(held: bool, left: u64, time: Option<i64>) -> Lease {
        Lease {
            held,
            left: Duration::from_secs(left),
            database_time: time,
        }
    }

    fn by_hand() -> (Arc<Hands>, Held) {
        let hands = Arc::new(Hands::default());
        let held = Held::new(Some(Shared(Arc::clone(&hands) as Arc<dyn Surroundings>)));
        (hands, held)
    }

    #[test]
    fn the_machines_clocks_run() {
        let held = Held::new(None);
        assert_eq!((held.left(), held.database_time()), (None, None));
        held.confirm(held.asked(), &Lease::endless());
        assert_eq!(held.left(), None);
        held.confirm(held.asked(), &lease(true, 100, Some(5_000_000_000)));
        assert!(held.left().is_some_and(|l| l > Duration::from_secs(90)));
        let time = held.database_time().unwrap();
        assert!((5_000_000_000..5_060_000_000).contains(&time), "{time}");
    }

    /// What passes between the question and the note of the answer, and after it, on both clocks; what is left.
    #[test]
    fn a_lease_counts_from_its_question_by_the_faster_clock() {
        let table = [
            ((0, 0), (0, 0), 9_990),
            ((0, 0), (4, 4), 5_990),
            ((0, 0), (10, 10), 0),
            ((3, 3), (4, 4), 2_990),
            // A process that stands still between the answer and its note has no lease when it goes on.
            ((50, 50), (0, 0), 0),
            ((0, 50), (0, 0), 0),
            // A machine that slept, a clock that was set ahead, and one that was set back.
            ((0, 0), (0, 60), 0),
            ((0, 0), (4, -300), 5_990),
        ];
        for (line, (before, after, want)) in table.into_iter().enumerate() {
            let (hands, held) = by_hand();
            let asked = held.asked();
            hands.pass(before);
            held.confirm(asked, &lease(true, 10, None));
            hands.pass(after);
            assert_eq!(
                held.left(),
                Some(Duration::from_millis(want)),
                "line {line}"
            );
        }
    }

    #[test]
    fn taken_over_is_taken_over() {
        let (hands, held) = by_hand();
        let (lost, length) = (held.lost(), Duration::from_secs(9));
        let beat = |answer: Option<&Lease>| held.beaten(held.asked(), length, answer);
        assert_eq!(
            beat(Some(&lease(true, 9, None))),
            Some(Duration::from_secs(3))
        );
        hands.pass((20, 20));
        assert_eq!(beat(None), Some(Duration::from_millis(900)));
        assert_eq!(held.left(), Some(Duration::ZERO));
        // It was late, but nobody took it.
        assert!(beat(Some(&lease(true, 9, None))).is_some());
        assert_eq!(held.left(), Some(Duration::from_millis(8_991)));
        assert!(!*lost.borrow());
        assert_eq!(beat(Some(&lease(false, 0, None))), None);
        assert!(*lost.borrow());
        held.confirm(held.asked(), &lease(true, 9, None));
        assert_eq!(held.left(), Some(Duration::ZERO));
    }

    #[test]
    fn the_time_is_the_databases_unless_it_is_vague() {
        let (hands, held) = by_hand();
        let answer = |took, time| {
            let asked = held.asked();
            hands.pass((took, took));
            held.confirm(asked, &lease(true, 9, Some(time)));
        };
        answer(5, 5_000_000_000);
        assert_eq!(held.database_time(), None);
        answer(0, 5_000_000_000);
        assert_eq!(held.database_time(), Some(5_000_000_000));
        hands.pass((2, 7));
        assert_eq!(held.database_time(), Some(5_002_000_000));
        answer(5, 1);
        assert_eq!(held.database_time(), Some(5_007_000_000));
    }
}
