//! Engine time of a machine that has its database to itself, as a pure little machine: two clocks are read, and it
//! says what time it is for the engine.
//!
//! The calendar clock (*wall*) is what people and time servers set, so it may jump. The *steady* clock is set by nobody,
//! so it tells how much time has really passed. Engine time follows the wall while the two agree; where they do not, it
//! goes on by the steady one, and somebody has to look.

use std::collections::BTreeMap;

use tl_kernel::time::{DAY, MINUTE};

/// A wall that is further away than this from where time has come by itself, µs, was not corrected: it has jumped.
pub const JUMP: i64 = 10 * MINUTE;
/// Engine time waits for a wall that is behind by slowing down, up to this distance, µs: that takes twice as long as
/// the distance. A wall that is further behind would slow it down for days or years.
const CATCH_UP: i64 = DAY;
/// Another host agrees with the wall when its answer was dated so near to it, µs.
const AGREES: i64 = 5 * MINUTE;
/// So many hosts that agree, and none that does not, are as good as a person.
const ENOUGH: usize = 2;
/// Hosts whose word is kept while time is held: every further one would only say the same.
const HOSTS: usize = 32;

/// A moment on both clocks of a machine, µs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The calendar clock, since the Unix epoch.
    pub wall: i64,
    /// The clock that nobody sets, since a moment of its own. It counts the time that the machine slept, where the
    /// system has such a clock.
    pub steady: i64,
}

/// The wall and engine time are further apart than a correction explains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alarm {
    /// Engine time when that began, µs.
    pub since: i64,
    /// How far the wall is ahead of engine time, µs; negative: behind it.
    pub ahead: i64,
}

impl Alarm {
    /// The wall is ahead and not believed: engine time is held back until somebody releases it.
    pub fn holds(self) -> bool {
        self.ahead > 0
    }
}

/// Keeps engine time. It never goes back, and no clock that was set by it runs out before its whole duration has passed
/// on the steady clock, but for steps of the wall of at most [`JUMP`] and for what was released.
#[derive(Debug, Clone)]
pub struct Timekeeper {
    /// Engine time at the last reading, µs.
    engine: i64,
    /// The steady clock at the last reading, µs.
    steady: i64,
    /// What half pace has left over: 0 or 1 half of a µs.
    half: i64,
    alarm: Option<Alarm>,
    /// Hosts that have said what time it is since time is held, and whether they agree with the wall.
    said: BTreeMap<String, bool>,
}

impl Timekeeper {
    /// Begins at the wall, but never before `floor`: what a database holds is not in the future (µs). `held`: time was
    /// held since then when the last process ended, so that a wall far ahead is not the time in which nothing ran.
    pub fn begin(floor: Option<i64>, held: Option<i64>, at: Reading) -> Timekeeper {
        let engine = match floor {
            Some(floor) if held.is_some() => floor,
            Some(floor) => floor.max(at.wall),
            None => at.wall,
        };
        let mut keeper = Timekeeper {
            engine,
            steady: at.steady,
            half: 0,
            alarm: None,
            said: BTreeMap::new(),
        };
        keeper.read(at);
        if let (Some(since), Some(alarm)) = (held, keeper.alarm.as_mut())
            && alarm.holds()
        {
            alarm.since = since.min(keeper.engine);
        }
        keeper
    }

    /// Engine time now, µs. Never smaller than an earlier answer.
    pub fn read(&mut self, at: Reading) -> i64 {
        let elapsed = at.steady.saturating_sub(self.steady).max(0);
        self.steady = self.steady.max(at.steady);
        let paced = self.engine.saturating_add(elapsed);
        let ahead = at.wall.saturating_sub(paced);
        self.engine = if (-CATCH_UP..=JUMP).contains(&ahead) {
            at.wall.max(self.slowly(elapsed))
        } else {
            paced
        };
        self.judge(at.wall.saturating_sub(self.engine));
        self.engine
    }

    /// Half the time that has passed. What is left over counts the next time, however often it is asked.
    fn slowly(&mut self, elapsed: i64) -> i64 {
        let halves = elapsed.saturating_add(self.half);
        self.half = halves % 2;
        self.engine.saturating_add(halves / 2)
    }

    fn judge(&mut self, ahead: i64) {
        if ahead.saturating_abs() <= JUMP {
            self.alarm = None;
        } else {
            let known = self.alarm.filter(|a| a.holds() == (ahead > 0));
            let since = known.map_or(self.engine, |a| a.since);
            self.alarm = Some(Alarm { since, ahead });
        }
        if !self.alarm.is_some_and(Alarm::holds) {
            self.said.clear();
        }
    }

    /// What stands at the last reading.
    pub fn alarm(&self) -> Option<Alarm> {
        self.alarm
    }

    /// Believes the wall that engine time is held back from. By how much that moves engine time, µs; `None` where
    /// nothing is held.
    pub fn accept(&mut self, at: Reading) -> Option<i64> {
        self.read(at);
        let alarm = self.alarm.filter(|a| a.holds())?;
        self.engine = at.wall;
        self.judge(0);
        Some(alarm.ahead)
    }

    /// Another machine has said what time it is, µs. While time is held, two that agree with the wall release it, unless
    /// a third says otherwise. By how much that moves engine time, µs.
    pub fn hear(&mut self, host: &str, date: i64, at: Reading) -> Option<i64> {
        self.read(at);
        self.alarm.filter(|a| a.holds())?;
        if self.said.len() < HOSTS || self.said.contains_key(host) {
            let agrees = date.saturating_sub(at.wall).saturating_abs() <= AGREES;
            self.said.insert(host.to_owned(), agrees);
        }
        let unanimous = self.said.values().all(|agrees| *agrees);
        (unanimous && self.said.len() >= ENOUGH)
            .then(|| self.accept(at))
            .flatten()
    }
}

#[cfg(test)]
mod tests;
