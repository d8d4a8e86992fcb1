//! The breaker: stops what fails, asks now and then whether it still fails, and lets the load come back slowly.
//!
//! ```text
//!            half of 20 in 30 s fail, or 5 in a row find no connection
//!   closed ──────────────────────────────────────────────────────────► open: one probe a second
//!     ▲                                                                  ▲      │
//!     │ a minute                                     as in closed        │      │ a probe is answered
//!     └──────────────────── ramp: 10 % to 100 % ◄────────────────────────┴──────┘
//! ```

use super::window::Window;
use tl_kernel::time::SECOND;

/// Outcomes are looked at over this, seconds.
const SPAN: usize = 30;
/// Outcomes in the span before they say anything.
const LEAST: u32 = 20;
/// Attempts in a row without a connection that open it.
const NO_CONNECTION: u32 = 5;
/// Between two probes while it is open, and the least that goes while it ramps, µs.
const PROBE: i64 = SECOND;
/// From the first answer to full load, µs.
const RAMP: i64 = 60 * SECOND;
/// Share of the load that goes at the beginning of the ramp, thousandths.
const RAMP_FROM: i64 = 100;

/// Where a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// Everything goes.
    Closed,
    /// One attempt a second goes.
    Open,
    /// A growing share goes.
    Ramp,
}

/// How an attempt ended, as far as the other side's health is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It answered, and not that it is broken.
    Well,
    /// It did not answer, or it answered that it is broken.
    Badly,
    /// No connection came about.
    NotConnected,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed,
    Open {
        probe_at: i64,
    },
    Ramp {
        since: i64,
        credit: i64,
        free_at: i64,
    },
}

/// The breaker of one host behind one connection.
#[derive(Debug, Clone)]
pub struct Breaker {
    state: State,
    well: Window<SPAN>,
    badly: Window<SPAN>,
    not_connected: u32,
    /// Raised when it opens and when it begins to ramp: what an attempt of an earlier time comes to says nothing.
    era: u32,
}

impl Default for Breaker {
    fn default() -> Self {
        Breaker {
            state: State::Closed,
            well: Window::default(),
            badly: Window::default(),
            not_connected: 0,
            era: 0,
        }
    }
}

impl Breaker {
    /// Lets an attempt go and names the era it belongs to, or says until when it waits, µs.
    pub fn admit(&mut self, now: i64) -> Result<u32, i64> {
        self.settle(now);
        match &mut self.state {
            State::Closed => Ok(self.era),
            State::Open { probe_at } if now < *probe_at => Err(*probe_at),
            State::Open { probe_at } => {
                *probe_at = now + PROBE;
                Ok(self.era)
            }
            State::Ramp {
                since,
                credit,
                free_at,
            } => {
                *credit += RAMP_FROM + (1_000 - RAMP_FROM) * (now - *since) / RAMP;
                if *credit < 1_000 && now < *free_at {
                    return Err(*free_at);
                }
                *credit = (*credit - 1_000).max(0);
                *free_at = now + PROBE;
                Ok(self.era)
            }
        }
    }

    /// Takes note of how an attempt of an era ended.
    pub fn seen(&mut self, now: i64, era: u32, ended: Ended) {
        if era != self.era {
            return;
        }
        self.settle(now);
        if matches!(self.state, State::Open { .. }) {
            if ended == Ended::Well {
                let ramp = State::Ramp {
                    since: now,
                    credit: 0,
                    free_at: now,
                };
                self.turn_to(ramp);
            }
            return;
        }
        if ended == Ended::NotConnected {
            self.not_connected += 1;
        } else {
            self.not_connected = 0;
        }
        if ended == Ended::Well {
            return self.well.add(now);
        }
        self.badly.add(now);
        let (well, badly) = (self.well.total(now), self.badly.total(now));
        if self.not_connected >= NO_CONNECTION || (well + badly >= LEAST && badly >= well) {
            self.turn_to(State::Open {
                probe_at: now + PROBE,
            });
        }
    }

    /// Where it stands.
    pub fn position(&self, now: i64) -> Position {
        match self.state {
            State::Closed => Position::Closed,
            State::Open { .. } => Position::Open,
            State::Ramp { since, .. } if now - since >= RAMP => Position::Closed,
            State::Ramp { .. } => Position::Ramp,
        }
    }

    /// A ramp ends by itself.
    fn settle(&mut self, now: i64) {
        if self.position(now) == Position::Closed {
            self.state = State::Closed;
        }
    }

    fn turn_to(&mut self, state: State) {
        *self = Breaker {
            state,
            era: self.era.wrapping_add(1),
            ..Breaker::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000;

    /// Lets one attempt go at once and ends it.
    fn one(breaker: &mut Breaker, now: i64, ended: Ended) {
        let era = breaker.admit(now).expect("it goes");
        breaker.seen(now, era, ended);
    }

    #[test]
    fn what_opens_it() {
        use Ended::{Badly as B, NotConnected as N, Well as W};
        // Outcomes one after the other at a distance in ms; whether it is open after them.
        let table: Vec<(&str, i64, Vec<Ended>, bool)> = vec![
            ("nineteen failures", 1_000, vec![B; 19], false),
            ("twenty failures", 1_000, vec![B; 20], true),
            (
                "half of twenty",
                1_000,
                [vec![W; 10], vec![B; 10]].concat(),
                true,
            ),
            (
                "less than half",
                1_000,
                [vec![W; 11], vec![B; 10]].concat(),
                false,
            ),
            ("failures that lie too far apart", 1_600, vec![B; 40], false),
            ("four without a connection", 1_000, vec![N; 4], false),
            ("five without a connection", 1_000, vec![N; 5], true),
            (
                "five without a connection in a day",
                20_000_000,
                vec![N; 5],
                true,
            ),
            (
                "an answer in between",
                1_000,
                vec![N, N, N, N, W, N, N, N, N],
                false,
            ),
            (
                "a failure in between",
                1_000,
                vec![N, N, N, N, B, N, N, N, N],
                false,
            ),
            ("successes say nothing", 10, vec![W; 1_000], false),
            (
                "a success does not open it, a failure does",
                10,
                [vec![B; 19], vec![W]].concat(),
                false,
            ),
        ];
        for (name, apart, outcomes, open) in table {
            let mut breaker = Breaker::default();
            for (i, ended) in outcomes.iter().enumerate() {
                one(&mut breaker, i as i64 * apart * MS, *ended);
            }
            let now = outcomes.len() as i64 * apart * MS;
            assert_eq!(breaker.position(now) == Position::Open, open, "{name}");
        }
    }

    fn open_at(now: i64) -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..5 {
            one(&mut breaker, now, Ended::NotConnected);
        }
        assert_eq!(breaker.position(now), Position::Open);
        breaker
    }

    #[test]
    fn while_open_one_a_second_goes() {
        let mut breaker = open_at(0);
        let mut went = Vec::new();
        for ms in 0..10_000 {
            match breaker.admit(ms * MS) {
                Ok(era) => {
                    went.push(ms);
                    breaker.seen(ms * MS, era, Ended::Badly);
                }
                Err(until) => assert!(until > ms * MS && until <= ms * MS + PROBE),
            }
        }
        assert_eq!(went, (1..10).map(|s| s * 1_000).collect::<Vec<_>>());
        assert_eq!(breaker.position(10 * SECOND), Position::Open);
    }

    #[test]
    fn the_load_comes_back_over_a_minute() {
        let mut breaker = open_at(0);
        one(&mut breaker, SECOND, Ended::Well);
        assert_eq!(breaker.position(SECOND), Position::Ramp);
        // A hundred ask every second.
        let mut went = vec![0; 62];
        for tick in 0..6_200 {
            let now = SECOND + tick * 10 * MS;
            if let Ok(era) = breaker.admit(now) {
                went[(tick / 100) as usize] += 1;
                breaker.seen(now, era, Ended::Well);
            }
        }
        let table = [
            (0, 9..=12),
            (30, 54..=57),
            (59, 97..=100),
            (60, 100..=100),
            (61, 100..=100),
        ];
        for (second, share) in table {
            assert!(
                share.contains(&went[second]),
                "second {second}: {}",
                went[second]
            );
        }
        assert_eq!(breaker.position(62 * SECOND), Position::Closed);
    }

    #[test]
    fn a_ramp_holds_little_load_up_for_a_second_at_most() {
        let mut breaker = open_at(0);
        one(&mut breaker, SECOND, Ended::Well);
        for second in 1..60 {
            let now = (1 + second) * SECOND;
            let era = breaker.admit(now).expect("one a second goes");
            breaker.seen(now, era, Ended::Well);
        }
    }

    #[test]
    fn a_ramp_breaks_off_where_it_fails_again() {
        let mut breaker = open_at(0);
        one(&mut breaker, SECOND, Ended::Well);
        for n in 0..5 {
            one(&mut breaker, (2 + n) * SECOND, Ended::NotConnected);
        }
        assert_eq!(breaker.position(8 * SECOND), Position::Open);
    }

    #[test]
    fn what_began_before_it_opened_says_nothing_after() {
        let mut breaker = Breaker::default();
        let slow = breaker.admit(0).expect("closed");
        for _ in 0..5 {
            one(&mut breaker, 0, Ended::NotConnected);
        }
        breaker.seen(SECOND / 2, slow, Ended::Well);
        assert_eq!(breaker.position(SECOND), Position::Open, "not a probe");
        let probe = breaker.admit(SECOND).expect("a probe");
        let second = breaker.admit(2 * SECOND).expect("another");
        breaker.seen(3 * SECOND, probe, Ended::Well);
        assert_eq!(breaker.position(3 * SECOND), Position::Ramp);
        for _ in 0..5 {
            breaker.seen(3 * SECOND, second, Ended::NotConnected);
        }
        assert_eq!(breaker.position(3 * SECOND), Position::Ramp);
    }
}
