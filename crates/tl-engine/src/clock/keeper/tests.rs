//! What is done to the clocks of a machine, and what engine time makes of it.

use tl_kernel::time::{DAY, HOUR, MINUTE, SECOND};

use super::*;

const START: i64 = 1_795_000_000 * SECOND;
const YEARS: i64 = 3_650 * DAY;

/// A machine: what its clocks show is moved by hand.
struct Machine {
    at: Reading,
    keeper: Timekeeper,
}

impl Machine {
    fn new() -> Machine {
        let at = Reading {
            wall: START,
            steady: 77 * SECOND,
        };
        Machine {
            keeper: Timekeeper::begin(None, None, at),
            at,
        }
    }

    /// So much time passes on each clock, in steps of a second at most, each of them read.
    fn pass(&mut self, steady: i64, wall: i64) -> i64 {
        let steps = (steady / SECOND).max(1);
        let begin = self.at;
        for step in 1..=steps {
            self.at = Reading {
                wall: begin.wall + wall / steps * step,
                steady: begin.steady + steady / steps * step,
            };
            self.keeper.read(self.at);
        }
        self.at = Reading {
            wall: begin.wall + wall,
            steady: begin.steady + steady,
        };
        self.keeper.read(self.at)
    }

    fn ahead(&self) -> i64 {
        self.keeper.alarm().map_or(0, |a| a.ahead)
    }
}

/// What passes on the steady clock and on the wall, one line after the other; engine time since the beginning after
/// each, and how far the wall is ahead where that is an alarm.
type Line = (i64, i64, i64, i64);

fn follow(name: &str, lines: &[Line]) {
    let mut m = Machine::new();
    for (n, (steady, wall, engine, ahead)) in lines.iter().enumerate() {
        let now = m.pass(*steady, *wall) - START;
        assert_eq!(
            (now, m.ahead()),
            (*engine, *ahead),
            "{name}, line {n}: off by {} s",
            (now - engine) / SECOND
        );
    }
}

#[test]
fn what_is_done_to_the_wall_and_what_engine_time_makes_of_it() {
    let table: &[(&str, &[Line])] = &[
        ("nothing", &[(HOUR, HOUR, HOUR, 0), (0, 0, HOUR, 0)]),
        (
            "set ahead by an hour, and back",
            &[
                (MINUTE, MINUTE, MINUTE, 0),
                (0, HOUR, MINUTE, HOUR),
                (DAY, DAY, DAY + MINUTE, HOUR),
                (0, -HOUR, DAY + MINUTE, 0),
                (MINUTE, MINUTE, DAY + 2 * MINUTE, 0),
            ],
        ),
        (
            "set ahead by ten years",
            &[(0, YEARS, 0, YEARS), (HOUR, HOUR, HOUR, YEARS)],
        ),
        (
            "set ahead by as much as is followed, and by more",
            &[
                (0, JUMP, JUMP, 0),
                (0, JUMP + 1, JUMP, JUMP + 1),
                (SECOND, SECOND - 1, JUMP + JUMP + SECOND, 0),
            ],
        ),
        (
            "set back by an hour: half pace, until the wall is there again",
            &[
                (MINUTE, MINUTE, MINUTE, 0),
                (0, -HOUR, MINUTE, -HOUR),
                (HOUR, HOUR, 31 * MINUTE, -30 * MINUTE),
                (40 * MINUTE, 40 * MINUTE, 51 * MINUTE, 0),
                (20 * MINUTE, 20 * MINUTE, 61 * MINUTE, 0),
                (HOUR, HOUR, 121 * MINUTE, 0),
            ],
        ),
        (
            "set back by a little: no alarm",
            &[(0, -MINUTE, 0, 0), (4 * MINUTE, 4 * MINUTE, 3 * MINUTE, 0)],
        ),
        (
            "set back by more than can be waited for: the steady pace",
            &[(0, -YEARS, 0, -YEARS), (HOUR, HOUR, HOUR, -YEARS)],
        ),
        (
            "set back by an hour and mended after two minutes",
            &[
                (0, -HOUR, 0, -HOUR),
                (2 * MINUTE, 2 * MINUTE, MINUTE, -HOUR + MINUTE),
                (0, HOUR, 2 * MINUTE, 0),
            ],
        ),
        (
            "set back by an hour and mended after an hour: half an hour is no correction",
            &[
                (0, -HOUR, 0, -HOUR),
                (HOUR, HOUR, 30 * MINUTE, -30 * MINUTE),
                (0, HOUR, 30 * MINUTE, 30 * MINUTE),
            ],
        ),
        (
            "slewed by 500 millionths, ahead and back",
            &[
                (HOUR, HOUR + 1_800_000, HOUR + 1_800_000, 0),
                (HOUR, HOUR - 1_800_000, 2 * HOUR, 0),
            ],
        ),
        (
            "a leap second smeared over a day, and one stepped back",
            &[
                (DAY, DAY - SECOND, DAY - SECOND, 0),
                (0, -SECOND, DAY - SECOND, 0),
                (2 * SECOND, 2 * SECOND, DAY, 0),
                (HOUR, HOUR, DAY + HOUR, 0),
            ],
        ),
        (
            "a virtual machine stands still for six hours, a time server steps its wall, and that again",
            &[
                (MINUTE, MINUTE, MINUTE, 0),
                (0, 0, MINUTE, 0),
                (SECOND, 6 * HOUR, MINUTE + SECOND, 6 * HOUR - SECOND),
                (
                    SECOND,
                    6 * HOUR,
                    MINUTE + 2 * SECOND,
                    12 * HOUR - 2 * SECOND,
                ),
            ],
        ),
        (
            "a virtual machine stands still for five minutes",
            &[(SECOND, 5 * MINUTE, 5 * MINUTE, 0)],
        ),
        (
            "the steady clock goes back, which it does not do",
            &[(-SECOND, 0, 0, 0), (SECOND, SECOND, SECOND, 0)],
        ),
    ];
    for (name, lines) in table {
        follow(name, lines);
    }
}

/// A sleep is one reading before it and one after it.
#[test]
fn a_sleep_is_no_jump() {
    let mut m = Machine::new();
    m.at.wall += 6 * HOUR;
    m.at.steady += 6 * HOUR - 3 * SECOND;
    assert_eq!(m.keeper.read(m.at), START + 6 * HOUR);
    assert_eq!(m.keeper.alarm(), None);
}

/// Half pace loses nothing, however often it is asked.
#[test]
fn half_pace_is_half_pace() {
    for step in [1, 3, 7, 1_000] {
        let mut m = Machine::new();
        m.at.wall -= HOUR;
        m.keeper.read(m.at);
        for _ in 0..1_000 {
            m.at.wall += step;
            m.at.steady += step;
            m.keeper.read(m.at);
        }
        assert_eq!(m.keeper.engine - START, 500 * step, "steps of {step} µs");
    }
}

#[test]
fn an_alarm_says_since_when() {
    let mut m = Machine::new();
    m.pass(MINUTE, MINUTE);
    m.pass(0, HOUR);
    m.pass(HOUR, HOUR);
    let alarm = Alarm {
        since: START + MINUTE,
        ahead: HOUR,
    };
    assert_eq!(m.keeper.alarm(), Some(alarm));
    // From ahead to behind is another one.
    m.pass(0, -3 * HOUR);
    let alarm = Alarm {
        since: START + HOUR + MINUTE,
        ahead: -2 * HOUR,
    };
    assert_eq!(m.keeper.alarm(), Some(alarm));
}

#[test]
fn only_what_is_held_is_accepted() {
    let mut m = Machine::new();
    assert_eq!(m.keeper.accept(m.at), None);
    m.pass(0, -HOUR);
    assert_eq!(m.keeper.accept(m.at), None);
    let mut m = Machine::new();
    m.pass(MINUTE, MINUTE);
    m.pass(0, HOUR);
    assert_eq!(m.keeper.accept(m.at), Some(HOUR));
    assert_eq!((m.pass(0, 0), m.ahead()), (START + HOUR + MINUTE, 0));
    assert_eq!(m.pass(MINUTE, MINUTE), START + HOUR + 2 * MINUTE);
    assert_eq!(m.keeper.accept(m.at), None);
}

/// What hosts say, as a distance to the wall, each a second after the one before; which of them releases.
#[test]
fn two_hosts_that_agree_release_unless_one_does_not() {
    type Row = (&'static [(&'static str, i64)], Option<usize>);
    let table: &[Row] = &[
        (&[("a", 0)], None),
        (&[("a", 0), ("a", 0), ("a", 0)], None),
        (&[("a", 0), ("b", 0)], Some(1)),
        (&[("a", AGREES), ("b", -AGREES)], Some(1)),
        (&[("a", 0), ("b", AGREES + 1)], None),
        (&[("a", -HOUR), ("b", -HOUR)], None),
        (&[("a", -HOUR), ("b", 0), ("c", 0)], None),
        (&[("a", -HOUR), ("b", 0), ("a", 0)], Some(2)),
    ];
    for (said, want) in table {
        let mut m = Machine::new();
        // What was said before the jump does not count.
        assert_eq!(m.keeper.hear("b", START + HOUR, m.at), None);
        m.pass(0, HOUR);
        let mut released = None;
        for (n, (host, off)) in said.iter().enumerate() {
            m.pass(SECOND, SECOND);
            if let Some(by) = m.keeper.hear(host, m.at.wall + off, m.at) {
                assert_eq!(by, HOUR);
                released = Some(n);
            }
        }
        assert_eq!(released, *want, "{said:?}");
        assert_eq!(m.ahead(), if want.is_some() { 0 } else { HOUR });
    }
}

/// A jump that goes away takes with it what was said of it.
#[test]
fn what_was_said_of_one_jump_is_not_said_of_the_next() {
    let mut m = Machine::new();
    for host in ["a", "b"] {
        m.pass(0, HOUR);
        assert_eq!(m.keeper.hear(host, m.at.wall, m.at), None, "{host}");
        m.pass(0, -HOUR);
    }
}

/// What a database held when it was opened, since when time was held, the wall then; engine time, and the alarm.
#[test]
fn a_restart_begins_where_the_database_ends() {
    let held = |since, ahead| Some((since, ahead));
    let table = [
        ("a new database", None, None, 0, 0, None),
        ("a database just closed", Some(-SECOND), None, 0, 0, None),
        ("a month of downtime", Some(-30 * DAY), None, 0, 0, None),
        ("a minute behind", Some(MINUTE), None, 0, MINUTE, None),
        (
            "an hour behind",
            Some(HOUR),
            None,
            0,
            HOUR,
            held(HOUR, -HOUR),
        ),
        (
            "held for a day, as it was",
            Some(-YEARS),
            Some(-YEARS - DAY),
            0,
            -YEARS,
            held(-YEARS - DAY, YEARS),
        ),
        (
            "held, and mended before the restart",
            Some(-MINUTE),
            Some(-DAY),
            0,
            0,
            None,
        ),
        (
            "held, and too far back",
            Some(HOUR),
            Some(MINUTE),
            0,
            HOUR,
            held(HOUR, -HOUR),
        ),
    ];
    for (name, floor, since, wall, engine, alarm) in table {
        let at = Reading {
            wall: START + wall,
            steady: SECOND,
        };
        let begun = |t: i64| t + START;
        let mut keeper = Timekeeper::begin(floor.map(begun), since.map(begun), at);
        let want = alarm.map(|(since, ahead)| Alarm {
            since: begun(since),
            ahead,
        });
        assert_eq!(
            (keeper.engine - START, keeper.alarm()),
            (engine, want),
            "{name}"
        );
        let later = Reading {
            wall: at.wall + 2 * MINUTE,
            steady: at.steady + 2 * MINUTE,
        };
        let half = alarm.is_some_and(|(_, ahead)| ahead < 0) || engine > wall;
        let pace = if half { MINUTE } else { 2 * MINUTE };
        assert_eq!(keeper.read(later) - keeper_start(engine), pace, "{name}");
    }
}

fn keeper_start(engine: i64) -> i64 {
    START + engine
}

/// A small generator, so that a failure is found again by its seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: i64) -> i64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        i64::try_from((self.0 >> 33) % n.unsigned_abs()).unwrap()
    }
}

/// A clock of a case, by engine time and by the steady one.
struct Runs {
    due: i64,
    steady_end: i64,
}

/// Ten thousand jumps: engine time never goes back and never stands still, no clock runs out before its duration has
/// passed on the steady clock, less what was followed or released, and no more than `JUMP` is followed at once.
#[test]
fn no_clock_runs_out_early_in_ten_thousand_jumps() {
    let (mut jumps, mut held, mut released, mut behind, mut fired) = (0, 0, 0, 0, 0);
    for seed in 0..150_u64 {
        let mut dice = Dice(seed);
        let mut m = Machine::new();
        let mut running: Vec<Runs> = Vec::new();
        let mut engine = m.keeper.engine;
        for _ in 0..100 {
            let jump = match dice.below(8) {
                0 => HOUR,
                1 => -HOUR,
                2 => YEARS,
                3 => -YEARS,
                4 => dice.below(2 * JUMP) - JUMP,
                5 => dice.below(2 * DAY) - DAY,
                // A time server mends it.
                _ => START + (m.at.steady - 77 * SECOND) - m.at.wall,
            };
            jumps += u32::from(jump != 0);
            m.at.wall += jump;
            let length = dice.below(3 * HOUR) + 1;
            running.push(Runs {
                due: engine + length,
                steady_end: m.at.steady + length,
            });
            for _ in 0..dice.below(8) + 1 {
                let passed = dice.below(30 * MINUTE) + 2;
                m.at.wall += passed + passed * (dice.below(1_001) - 500) / 1_000_000;
                m.at.steady += passed;
                let before = m.keeper.alarm();
                let mut now = m.keeper.read(m.at);
                let by_itself = now - engine;
                assert!(
                    by_itself >= passed / 2,
                    "seed {seed}: slower than half pace"
                );
                assert!(
                    by_itself <= passed + JUMP,
                    "seed {seed}: more than a correction"
                );
                if m.keeper.alarm().is_some_and(Alarm::holds) {
                    held += 1;
                    assert_eq!(by_itself, passed, "seed {seed}: held at another pace");
                    if dice.below(10) == 0 {
                        assert!(m.keeper.accept(m.at).is_some());
                        now = m.keeper.read(m.at);
                        assert_eq!((now, m.keeper.alarm()), (m.at.wall, None), "seed {seed}");
                        released += 1;
                    }
                }
                behind += u32::from(before.is_some_and(|a| !a.holds()));
                // What was followed or released was given to all clocks alike.
                let given = (now - engine - passed).max(0);
                engine = now;
                running.retain_mut(|r| {
                    r.steady_end -= given;
                    let out = r.due <= now;
                    if out {
                        fired += 1;
                        assert!(
                            m.at.steady >= r.steady_end,
                            "seed {seed}: {} s early",
                            (r.steady_end - m.at.steady) / SECOND
                        );
                    }
                    !out
                });
            }
        }
    }
    let seen = [
        jumps >= 10_000,
        held > 1_000,
        released > 100,
        behind > 1_000,
        fired > 5_000,
    ];
    assert_eq!(
        seen, [true; 5],
        "{jumps} {held} {released} {behind} {fired}"
    );
}
