//! What this process knows by itself of its node's right to write: until when the lease runs that was last confirmed,
//! whether somebody has taken the node over, and what time it is where the database is.
//!
//! Nothing here asks the database, so that it may be asked right before every byte that leaves.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;

use crate::backend::Lease;

/// An answer that took longer than this tells nothing about the time.
const TOO_VAGUE: Duration = Duration::from_secs(1);

/// The lease as it was last confirmed.
#[derive(Debug)]
pub(crate) struct Held {
    begun: Instant,
    state: Mutex<State>,
    lost: watch::Sender<bool>,
    /// The database's clock at `begun`, µs; 0 where it is not known.
    zero: AtomicI64,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Nobody can take the node over.
    Endless,
    /// Until both clocks say that it is over: one of them stands still while a machine sleeps, the other may be set.
    Until(Instant, SystemTime),
    /// Another process has the node, or it was given up.
    Over,
}

impl Held {
    pub(crate) fn new() -> Held {
        Held {
            begun: Instant::now(),
            state: Mutex::new(State::Endless),
            lost: watch::Sender::new(false),
            zero: AtomicI64::new(0),
        }
    }

    /// Takes note of what the database said a moment ago.
    pub(crate) fn confirm(&self, lease: &Lease) {
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
        let monotonic = Instant::now().checked_add(lease.left);
        let wall = SystemTime::now().checked_add(lease.left);
        *state = match (monotonic, wall) {
            (Some(monotonic), Some(wall)) => State::Until(monotonic, wall),
            _ => State::Endless,
        };
        drop(state);
        if let Some(time) = lease.database_time.filter(|_| lease.took <= TOO_VAGUE) {
            // The answer was true about half way between the question and now.
            let since = self.begun.elapsed().saturating_sub(lease.took / 2);
            let zero = time - i64::try_from(since.as_micros()).unwrap_or(0);
            self.zero.store(zero, Ordering::Relaxed);
        }
    }

    /// The node is given up by ourselves.
    pub(crate) fn give_up(&self) {
        *self.lock() = State::Over;
    }

    /// What is left of the lease; `None` for an endless one.
    pub(crate) fn left(&self) -> Option<Duration> {
        match *self.lock() {
            State::Endless => None,
            State::Over => Some(Duration::ZERO),
            State::Until(monotonic, wall) => {
                let by_wall = wall.duration_since(SystemTime::now()).unwrap_or_default();
                let by_monotonic = monotonic.saturating_duration_since(Instant::now());
                Some(by_wall.min(by_monotonic))
            }
        }
    }

    /// Becomes true once another process has taken the node over.
    pub(crate) fn lost(&self) -> watch::Receiver<bool> {
        self.lost.subscribe()
    }

    /// The database's clock, µs; `None` where there is no other clock than this machine's.
    pub(crate) fn database_time(&self) -> Option<i64> {
        let zero = self.zero.load(Ordering::Relaxed);
        let since = i64::try_from(self.begun.elapsed().as_micros()).unwrap_or(i64::MAX / 2);
        (zero != 0).then(|| zero.saturating_add(since))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(held: bool, left: u64, time: Option<i64>, took: u64) -> Lease {
        Lease {
            held,
            left: Duration::from_secs(left),
            database_time: time,
            took: Duration::from_millis(took),
        }
    }

    #[test]
    fn what_is_left_is_what_was_last_confirmed() {
        let held = Held::new();
        let lost = held.lost();
        assert_eq!((held.left(), held.database_time()), (None, None));
        held.confirm(&Lease::endless());
        assert_eq!(held.left(), None);
        held.confirm(&lease(true, 100, None, 0));
        assert!(held.left().is_some_and(|l| l > Duration::from_secs(90)));
        held.confirm(&lease(true, 0, None, 0));
        assert_eq!(held.left(), Some(Duration::ZERO));
        // It was late, but nobody took it.
        held.confirm(&lease(true, 100, None, 0));
        assert_ne!(held.left(), Some(Duration::ZERO));
        assert!(!*lost.borrow());
        held.confirm(&lease(false, 0, None, 0));
        assert!(*lost.borrow());
        // Taken over is taken over.
        held.confirm(&lease(true, 100, None, 0));
        assert_eq!(held.left(), Some(Duration::ZERO));
    }

    #[test]
    fn the_time_is_the_databases_unless_it_is_vague() {
        let held = Held::new();
        held.confirm(&lease(true, 9, Some(5_000_000_000), 5_000));
        assert_eq!(held.database_time(), None);
        held.confirm(&lease(true, 9, Some(5_000_000_000), 2));
        let time = held.database_time().unwrap();
        assert!((5_000_000_000..5_060_000_000).contains(&time), "{time}");
        held.confirm(&lease(true, 9, Some(1), 5_000));
        assert!(held.database_time().unwrap() >= time);
    }
}
