//! The same random commits to both engines: the same answers, and the same database afterwards.

use tl_kernel::effect::EffectState::{self, *};
use tl_kernel::turn::EffectWrite;
use tl_store::{
    CaseFilter, CommitAnswer, EffectFilter, Guard, Query, RecordWrite, Refused, Reply, Row,
    TaskFilter, Unit,
};

use super::World;
use super::build::*;
use super::postgres::Postgres;
use super::sqlite::Sqlite;

const GROUPS: u32 = 120;
const CASES: u64 = 12;

/// Xorshift: small, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn state(&mut self) -> EffectState {
        [
            Planned,
            Ready,
            Dispatching,
            AwaitingCallback,
            Uncertain,
            Succeeded,
            Cancelled,
        ][self.roll(7) as usize]
    }

    fn turn(&mut self) -> tl_kernel::turn::Turn {
        let seq = 1 + self.roll(3) as u32;
        let state = self.roll(3) as u16;
        let mut turn = turn(1 + self.roll(CASES), seq).state(state, state == 2);
        let n = 1 + self.roll(3) as u32;
        let from = self.state();
        let serial = format!("serial {}", self.roll(3));
        turn = match self.roll(7) {
            0 => turn.plan(n, from, 5),
            1 => turn.plan_serial(n, from, &serial),
            2 => turn.with(EffectWrite::Withdraw { n }),
            3 => turn.with(EffectWrite::Change {
                n,
                from,
                to: self.state(),
                due: 3,
                code: "x".into(),
            }),
            4 => turn.task(n, "sales", Some(9)),
            5 => turn.timer(n, 7),
            _ => turn,
        };
        turn
    }

    fn row(&mut self) -> Row {
        match self.roll(5) {
            0 => Row::Effect(change(
                effect_id(1 + self.roll(CASES), 1 + self.roll(3) as u32),
                (self.state(), self.roll(2) as u32),
                self.state(),
            )),
            1 => Row::Record(RecordWrite {
                kind: "lead".into(),
                id: format!("r{}", self.roll(3)),
                version: 1 + self.roll(4),
                body: b"{}".to_vec(),
                provenance: b"{}".to_vec(),
                by: "engine".into(),
                at: 1,
                key: None,
            }),
            2 => Row::Flag {
                name: format!("f{}", self.roll(2)),
                value: [None, Some(true), Some(false)][self.roll(3) as usize],
            },
            3 => Row::Cursor {
                name: "follower".into(),
                value: self.roll(50) as i64,
            },
            _ => Row::EventJoined {
                event: event_id(1 + self.roll(CASES)),
                case: case_id(1 + self.roll(CASES)),
            },
        }
    }

    fn guard(&mut self) -> Guard {
        match self.roll(4) {
            0 => Guard::GateAt {
                tenant: self.roll(4),
                installation: 0,
            },
            1 => Guard::EffectAt {
                effect: effect_id(1 + self.roll(CASES), 1),
                state: self.state(),
                attempt: self.roll(2) as u32,
            },
            2 => Guard::Slot {
                action: "email".into(),
                subject: digest("somebody"),
                window: 0,
                n: self.roll(30) as u32,
            },
            _ => Guard::RecordAt {
                kind: "lead".into(),
                id: format!("r{}", self.roll(3)),
                version: self.roll(4),
            },
        }
    }

    fn unit(&mut self, n: u64) -> Unit {
        let (a, b) = (self.roll(40), self.roll(40));
        let keys = [format!("k{a}"), format!("k{b}")];
        match self.roll(6) {
            0 => admission(1_000 + n, &[&keys[0], &keys[1]]),
            1 => admission(1 + self.roll(CASES), &[&keys[0]]),
            2 | 3 => turn_unit(self.turn()),
            4 => Unit {
                rows: vec![self.row(), self.row()],
                ..unit()
            },
            _ => Unit {
                guards: vec![self.guard()],
                rows: vec![self.row()],
                ..turn_unit(self.turn())
            },
        }
    }
}

/// An answer without what may differ: numbers of groups and faults, and a database's own words.
fn plain(answer: &CommitAnswer) -> String {
    match answer {
        Ok(_) => "passed".into(),
        Err(Refused::Faulty { .. }) => "faulty".into(),
        Err(other) => format!("{other:?}"),
    }
}

/// Everything that can be asked, without positions and sizes.
fn everything(w: &dyn World) -> Vec<String> {
    let mut all = vec![
        Query::Gate(T1),
        Query::Cases(CaseFilter::default()),
        Query::Effects(EffectFilter {
            limit: 1_000,
            ..EffectFilter::default()
        }),
        Query::Tasks(TaskFilter::default()),
        Query::PendingJoins(1_000),
        Query::Candidates {
            now: 99,
            limit: 100,
        },
        Query::Stale {
            now: 999,
            limit: 100,
        },
        Query::DueTimers {
            now: 99,
            limit: 100,
        },
        Query::NextDue,
        Query::Cursor(T1, "follower".into()),
        Query::SlotsTaken(T1, "email".into(), digest("somebody"), 0),
    ];
    for n in 1..=CASES {
        all.push(Query::Journal(T1, case_id(n)));
        all.push(Query::Events(T1, case_id(n)));
    }
    let mut answers: Vec<String> = all
        .into_iter()
        .map(|q| format!("{:?}", w.query(q)))
        .collect();
    let turns = Query::Turns {
        after: 0,
        limit: 10_000,
        tenant: None,
        bodies: true,
    };
    if let Reply::Turns(turns) = w.query(turns) {
        answers.extend(turns.iter().map(|t| format!("{:?}", (&t.1, &t.2, &t.3))));
    }
    if let Reply::Stats(mut stats) = w.query(Query::Stats { now: 99 }) {
        stats.bytes = 0;
        answers.push(format!("{stats:?}"));
    }
    answers
}

#[test]
fn both_engines_give_the_same_answers() {
    let seeds = match std::env::var("TL_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => vec![1, 0x5eed, 77_777],
    };
    for seed in seeds {
        println!("seed {seed}: repeat with TL_SEED={seed}");
        let Some(mut postgres) = Postgres::fresh() else {
            return;
        };
        let mut sqlite = Sqlite::fresh();
        let mut dice = Dice(seed);
        let mut n = 0;
        for group in 0..GROUPS {
            let size = 1 + dice.roll(6);
            let units: Vec<Unit> = (0..size)
                .map(|_| {
                    n += 1;
                    dice.unit(n)
                })
                .collect();
            let wanted = sqlite.commit(units.clone());
            let got = postgres.commit(units.clone());
            let (wanted, got) = (wanted.iter().map(plain), got.iter().map(plain));
            let both: Vec<_> = wanted.zip(got).collect();
            let same = both.iter().all(|(a, b)| a == b);
            assert!(same, "seed {seed}, group {group}: {both:#?}\n{units:#?}");
        }
        for (a, b) in everything(&sqlite).iter().zip(everything(&postgres)) {
            assert_eq!(*a, b, "seed {seed}");
        }
    }
}
