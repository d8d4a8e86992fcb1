//! Whether an attempt may go to a connection now: its retry budget, its breaker, and what the other side said of us.
//!
//! One [`Guard`] stands before each connection of a tenant. It is a pure machine: it is asked before an attempt, told
//! what was seen of it, and given the time in µs. It never fails an attempt; it says until when it waits.

pub mod breaker;
pub mod budget;
pub mod pace;
pub mod stop;
mod window;

use tl_kernel::time::SECOND;

use crate::classify::{Meaning, Observation, Overrides, meaning};
use crate::knowledge::NotSent;
use breaker::{Breaker, Ended, Position};
use budget::Budget;
use pace::Pace;
use stop::{Pause, Stop};
use tl_kernel::connector::Rate;

/// What waits is spread over this at most, µs.
const SPREAD: i64 = 60 * SECOND;

/// What an attempt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Try {
    /// The first of its effect.
    First,
    /// A further one.
    Again,
    /// A read that is to tell what became of an earlier one.
    LookUp,
}

/// Why an attempt waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// The other side fails too often.
    Breaker,
    /// Too many attempts are repeated.
    RetryBudget,
    /// The other side asks for fewer requests.
    Throttled,
    /// The other side asks for a pause of more than a day.
    VendorPause,
    /// The credential is not accepted.
    Credential,
    /// It is not permitted, or not paid for.
    Permission,
}

impl Why {
    /// All of them.
    pub const ALL: [Why; 6] = [
        Why::Breaker,
        Why::RetryBudget,
        Why::Throttled,
        Why::VendorPause,
        Why::Credential,
        Why::Permission,
    ];

    /// The word in the ledger and in the series.
    pub fn word(self) -> &'static str {
        match self {
            Why::Breaker => "breaker",
            Why::RetryBudget => "retry_budget",
            Why::Throttled => "throttled",
            Why::VendorPause => "vendor_pause",
            Why::Credential => "credential",
            Why::Permission => "permission",
        }
    }

    /// Distance at which those that wait for the same are let go, µs.
    fn apart(self) -> i64 {
        match self {
            Why::Throttled | Why::VendorPause => SECOND / 10,
            _ => SECOND,
        }
    }
}

/// An attempt that goes; what is seen of it is reported with its ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    breaker: u32,
    stop: u32,
}

/// The guard's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It goes.
    Go(Ticket),
    /// It waits.
    Wait {
        /// Why.
        why: Why,
        /// When to ask again, µs.
        until: i64,
    },
}

/// What an observation says about the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It works.
    Well,
    /// It does not answer, or is broken.
    Badly,
    /// No connection came about.
    NotConnected,
    /// Too many requests; the wait asked for, µs.
    Throttled(Option<i64>),
    /// The credential is not accepted.
    Credential,
    /// It is not permitted, or not paid for.
    Permission,
    /// Nothing: the request was ours to mend, or the other side was about to close.
    Nothing,
}

impl Seen {
    /// What counts of two things seen in the same attempt: the more serious one.
    pub fn or_worse(self, other: Seen) -> Seen {
        let rank = |seen| match seen {
            Seen::Nothing => 0,
            Seen::Well => 1,
            Seen::Badly => 2,
            Seen::NotConnected => 3,
            Seen::Throttled(_) => 4,
            Seen::Permission => 5,
            Seen::Credential => 6,
        };
        if rank(other) > rank(self) {
            other
        } else {
            self
        }
    }

    /// Reads an observation.
    pub fn of(observation: &Observation, vendor: &Overrides) -> Seen {
        let (status, retry_after) = match *observation {
            Observation::NotSent(NotSent::Target | NotSent::Request | NotSent::Lease) => {
                return Seen::Nothing;
            }
            Observation::NotSent(_) => return Seen::NotConnected,
            Observation::NotProcessed => return Seen::Nothing,
            Observation::Unknown(_) => return Seen::Badly,
            Observation::Answered {
                status: 429,
                retry_after,
                ..
            } => {
                return Seen::Throttled(retry_after);
            }
            Observation::Answered {
                status,
                retry_after,
                ..
            } => (status, retry_after),
        };
        match meaning(status, vendor) {
            Meaning::Credential => Seen::Credential,
            Meaning::Forbidden => Seen::Permission,
            // A vendor whose 503 means "later" is throttling.
            Meaning::NotProcessed | Meaning::NotProcessedIfRetryAfter
                if status == 503 && retry_after.is_some() =>
            {
                Seen::Throttled(retry_after)
            }
            Meaning::Unknown | Meaning::MayHaveApplied | Meaning::NotProcessedIfRetryAfter => {
                Seen::Badly
            }
            _ => Seen::Well,
        }
    }
}

/// What stands before a connection.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    stop: Stop,
    pause: Pause,
    pace: Pace,
    budget: Budget,
    breaker: Breaker,
    /// When the last of those that wait is let go, µs.
    last: i64,
}

impl Guard {
    /// How often the other side may be asked.
    pub fn set_rate(&mut self, rate: Option<Rate>) {
        self.pace.set(rate);
    }

    /// So many nodes that live ask the other side: each keeps to its part of the rate.
    pub fn shared_by(&mut self, nodes: u32) {
        self.pace.shared_by(nodes);
    }

    /// Lets an attempt go, or says until when it waits.
    pub fn admit(&mut self, now: i64, what: Try) -> Admission {
        let mut waits = self.stop.wait(now).or_else(|| self.pause.wait(now));
        if waits.is_none() {
            waits = self.pace.wait(now).map(|until| (Why::Throttled, until));
        }
        if waits.is_none() && what == Try::Again {
            let budget = self.budget.wait(now);
            waits = budget.map(|until| (Why::RetryBudget, until));
        }
        if let Some((why, until)) = waits {
            return self.wait(why, until);
        }
        // Asked last: an attempt that it lets go counts as one that went.
        let era = match self.breaker.admit(now) {
            Ok(era) => era,
            Err(until) => return self.wait(Why::Breaker, until),
        };
        self.pace.goes(now);
        match what {
            Try::First => self.budget.first(now),
            Try::Again => self.budget.retry(now),
            Try::LookUp => {}
        }
        Admission::Go(Ticket {
            breaker: era,
            stop: self.stop.goes(now),
        })
    }

    /// Those that wait are let go one after the other, and not all in the moment that they wait for.
    fn wait(&mut self, why: Why, earliest: i64) -> Admission {
        let next = self.last.saturating_add(why.apart()).max(earliest);
        self.last = if next - earliest < SPREAD {
            next
        } else {
            earliest
        };
        Admission::Wait {
            why,
            until: self.last,
        }
    }

    /// Takes note of what was seen of an attempt.
    pub fn seen(&mut self, now: i64, ticket: Ticket, seen: Seen) {
        let ended = match seen {
            Seen::Nothing => return,
            Seen::Badly => Ended::Badly,
            Seen::NotConnected => Ended::NotConnected,
            Seen::Well | Seen::Throttled(_) | Seen::Credential | Seen::Permission => Ended::Well,
        };
        self.breaker.seen(now, ticket.breaker, ended);
        match seen {
            Seen::Credential => self.stop.refused(now, ticket.stop, Why::Credential),
            Seen::Permission => self.stop.refused(now, ticket.stop, Why::Permission),
            Seen::Well => self.stop.passed(),
            Seen::Throttled(wait) => {
                self.stop.passed();
                self.pause.said(now, wait);
            }
            Seen::Badly | Seen::NotConnected | Seen::Nothing => {}
        }
    }

    /// There is another credential: that the old one was refused counts no more.
    pub fn credential_changed(&mut self) {
        self.stop.passed();
    }

    /// Where the breaker stands.
    pub fn position(&self, now: i64) -> Position {
        self.breaker.position(now)
    }

    /// Why nothing goes, or only an attempt now and then; `None` where everything goes or the load comes back.
    pub fn stopped(&self, now: i64) -> Option<Why> {
        self.stop
            .why()
            .or_else(|| self.pause.wait(now).map(|(why, _)| why))
            .or_else(|| (self.position(now) == Position::Open).then_some(Why::Breaker))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::BodySays;
    use crate::knowledge::Unknown;
    use tl_kernel::time::{HOUR, MINUTE};

    fn go(guard: &mut Guard, now: i64, what: Try) -> Ticket {
        match guard.admit(now, what) {
            Admission::Go(ticket) => ticket,
            waits => panic!("at {now}: {waits:?}"),
        }
    }

    /// Why and how long an attempt waits, seconds.
    fn waits(guard: &mut Guard, now: i64, what: Try) -> (Why, f64) {
        match guard.admit(now, what) {
            Admission::Wait { why, until } => (why, (until - now) as f64 / SECOND as f64),
            goes => panic!("at {now}: {goes:?}"),
        }
    }

    #[test]
    fn observations_say_this_about_the_connection() {
        let plain = Overrides::default();
        let at = |status, retry_after| Observation::Answered {
            status,
            retry_after,
            body: BodySays::Agrees,
        };
        let mut table = vec![
            (Observation::NotSent(NotSent::Target), Seen::Nothing),
            (Observation::NotSent(NotSent::Request), Seen::Nothing),
            (Observation::NotSent(NotSent::Lease), Seen::Nothing),
            (Observation::NotSent(NotSent::Dns), Seen::NotConnected),
            (Observation::NotSent(NotSent::Refused), Seen::NotConnected),
            (
                Observation::NotSent(NotSent::ConnectTimeout),
                Seen::NotConnected,
            ),
            (
                Observation::NotSent(NotSent::Unreachable),
                Seen::NotConnected,
            ),
            (Observation::NotSent(NotSent::Tls), Seen::NotConnected),
            (
                Observation::NotSent(NotSent::Certificate),
                Seen::NotConnected,
            ),
            (Observation::NotProcessed, Seen::Nothing),
            (Observation::Unknown(Unknown::Deadline), Seen::Badly),
            (Observation::Unknown(Unknown::Reset), Seen::Badly),
            (at(401, None), Seen::Credential),
            (at(402, None), Seen::Permission),
            (at(403, None), Seen::Permission),
            (at(429, None), Seen::Throttled(None)),
            (at(429, Some(5)), Seen::Throttled(Some(5))),
        ];
        let well = [
            200, 201, 202, 204, 301, 400, 404, 409, 412, 413, 422, 423, 425, 428, 501,
        ];
        table.extend(well.map(|s| (at(s, None), Seen::Well)));
        let badly = [100, 408, 500, 502, 503, 504, 507, 508, 511, 520, 599, 999];
        table.extend(badly.map(|s| (at(s, Some(5)), Seen::Badly)));
        for (observation, seen) in table {
            assert_eq!(Seen::of(&observation, &plain), seen, "{observation:?}");
        }
        let later = Overrides {
            meanings: [(503, Meaning::NotProcessedIfRetryAfter)].into(),
            ..Overrides::default()
        };
        assert_eq!(
            Seen::of(&at(503, Some(5)), &later),
            Seen::Throttled(Some(5))
        );
        assert_eq!(Seen::of(&at(503, None), &later), Seen::Badly);
    }

    #[test]
    fn the_worst_of_an_attempt_counts() {
        let rising = [
            Seen::Nothing,
            Seen::Well,
            Seen::Badly,
            Seen::NotConnected,
            Seen::Throttled(None),
            Seen::Permission,
            Seen::Credential,
        ];
        for (i, a) in rising.into_iter().enumerate() {
            for b in &rising[i..] {
                assert_eq!((a.or_worse(*b), b.or_worse(a)), (*b, *b));
            }
        }
    }

    /// What was seen of an attempt at instant 0, and how the next one fares.
    #[test]
    fn one_answer_can_stop_everything() {
        let table = [
            (Seen::Well, None),
            (Seen::Badly, None),
            (Seen::NotConnected, None),
            (Seen::Nothing, None),
            (Seen::Credential, Some((Why::Credential, 60.0))),
            (Seen::Permission, Some((Why::Permission, 60.0))),
            (Seen::Throttled(None), Some((Why::Throttled, 1.0))),
            (Seen::Throttled(Some(HOUR)), Some((Why::Throttled, 3600.0))),
            (
                Seen::Throttled(Some(i64::MAX)),
                Some((Why::VendorPause, 86_400.0)),
            ),
        ];
        for (seen, expected) in table {
            for what in [Try::First, Try::Again, Try::LookUp] {
                let mut guard = Guard::default();
                let ticket = go(&mut guard, 0, Try::First);
                guard.seen(0, ticket, seen);
                assert_eq!(guard.stopped(0), expected.map(|(why, _)| why), "{seen:?}");
                match expected {
                    None => {
                        go(&mut guard, 0, what);
                    }
                    Some(expected) => assert_eq!(waits(&mut guard, 0, what), expected, "{seen:?}"),
                }
            }
        }
    }

    #[test]
    fn the_budget_is_for_retries_alone() {
        let mut guard = Guard::default();
        for _ in 0..60 {
            go(&mut guard, 0, Try::Again);
        }
        assert_eq!(waits(&mut guard, 0, Try::Again), (Why::RetryBudget, 60.0));
        go(&mut guard, 0, Try::First);
        go(&mut guard, 0, Try::LookUp);
        assert_eq!(guard.stopped(0), None, "first attempts go");
        go(&mut guard, MINUTE, Try::Again);
    }

    #[test]
    fn those_that_wait_are_let_go_one_by_one() {
        let mut guard = Guard::default();
        for _ in 0..5 {
            let ticket = go(&mut guard, 0, Try::First);
            guard.seen(0, ticket, Seen::NotConnected);
        }
        let held: Vec<f64> = (0..62)
            .map(|_| waits(&mut guard, 0, Try::First).1)
            .collect();
        assert_eq!(held[..3], [1.0, 2.0, 3.0]);
        assert_eq!(
            held[59..],
            [60.0, 1.0, 2.0],
            "and none waits for more than a minute"
        );
    }

    #[test]
    fn an_attempt_that_waits_costs_nothing() {
        let mut guard = Guard::default();
        for _ in 0..5 {
            let ticket = go(&mut guard, 0, Try::First);
            guard.seen(0, ticket, Seen::NotConnected);
        }
        for _ in 0..100 {
            waits(&mut guard, SECOND / 2, Try::Again);
        }
        // Sixty retries are still in the budget: the hundred that waited took none of it.
        let ticket = go(&mut guard, SECOND, Try::Again);
        guard.seen(SECOND, ticket, Seen::Well);
        for second in 2..61 {
            go(&mut guard, second * SECOND, Try::Again);
        }
        assert_eq!(
            waits(&mut guard, 60 * SECOND, Try::Again).0,
            Why::RetryBudget
        );
    }

    #[test]
    fn a_look_that_passes_ends_the_stop() {
        let mut guard = Guard::default();
        let ticket = go(&mut guard, 0, Try::First);
        guard.seen(0, ticket, Seen::Credential);
        let look = go(&mut guard, MINUTE, Try::Again);
        assert_eq!(waits(&mut guard, MINUTE, Try::First).0, Why::Credential);
        guard.seen(MINUTE, look, Seen::Well);
        go(&mut guard, MINUTE, Try::First);
        assert_eq!(guard.stopped(MINUTE), None);
    }
}
