//! The same random commits of two tenants to both engines: the same answers, and the same database afterwards. And
//! each tenant's commits to a database in which it is alone: what the other one does changes nothing for it.
//!
//! `TL_SEED` runs a seed again; `TL_LONG=1` draws new ones.

use std::hash::{BuildHasher, RandomState};
use tl_kernel::effect::EffectState::{self, *};

use tl_kernel::id::TenantId;
use tl_kernel::turn::EffectWrite;
use tl_store::{
    Attempt, CaseFilter, CommitAnswer, EffectFilter, Guard, OutboxMessage, Query, RecordWrite,
    Refused, Reply, Row, Suppression, TaskFilter, Unit,
};

use super::World;
use super::build::*;
use super::postgres::Postgres;
use super::sqlite::Sqlite;

const GROUPS: u32 = 120;
/// Cases of each tenant. The first half of the second one's have the ids of the second half of the first one's.
const CASES: u64 = 12;
const TENANTS: [(TenantId, u64); 2] = [(T1, 0), (T2, CASES / 2)];
/// The ids that belong to either.
const ALL_CASES: u64 = CASES + CASES / 2;

/// Xorshift: small, and the same everywhere.
struct Dice {
    state: u64,
    /// The ids of the present tenant's cases follow this one.
    before: u64,
}

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % sides
    }

    fn case(&mut self) -> u64 {
        self.before + 1 + self.roll(CASES)
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
        let mut turn = turn(self.case(), seq).state(state, state == 2);
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
        match self.roll(10) {
            0 => Row::Effect(change(
                effect_id(self.case(), 1 + self.roll(3) as u32),
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
            4 => self.switch(),
            5 => Row::Attempt(Attempt {
                effect: effect_id(self.case(), 1 + self.roll(3) as u32),
                n: 1 + self.roll(2) as u32,
                at: 1,
                took: 2,
                knowledge: "answered".into(),
                status: 200,
                code: String::new(),
                detail: format!("said {}", self.roll(100)),
            }),
            6 => Row::Outbox(OutboxMessage {
                effect: effect_id(self.case(), 1 + self.roll(3) as u32),
                channel: "email".into(),
                to: format!("to {}", self.roll(100)),
                subject: String::new(),
                text: "text".into(),
                at: self.roll(1_000) as i64,
            }),
            7 => Row::Idempotent {
                principal: "key".into(),
                key: format!("i{}", self.roll(9)),
                fingerprint: digest("request"),
                status: 200,
                body: format!("body {}", self.roll(100)).into_bytes(),
                expires: 99,
            },
            8 => self.suppression(),
            _ => Row::EventJoined {
                event: event_id(self.case()),
                case: case_id(self.case()),
            },
        }
    }

    fn suppression(&mut self) -> Row {
        let subject = digest(["ada", "zoe"][self.roll(2) as usize]);
        match self.roll(3) {
            0 => Row::Unsuppressed {
                subject,
                by_owner: self.roll(2) == 0,
            },
            _ => Row::Suppressed(Suppression {
                subject,
                by_owner: self.roll(2) == 0,
                channel: "sms".into(),
                address: format!("+{}", self.roll(100)),
                by: "ops".into(),
                reason: "stop".into(),
                at: self.roll(1_000) as i64,
            }),
        }
    }

    fn switch(&mut self) -> Row {
        Row::Switch {
            scope: ["everything", "action:crm_upsert"][self.roll(2) as usize].into(),
            mode: [None, Some("hold"), Some("cancel")][self.roll(3) as usize].map(str::to_owned),
            by: "ops".into(),
            reason: format!("why {}", self.roll(100)),
            at: 4,
        }
    }

    fn guard(&mut self) -> Guard {
        match self.roll(4) {
            0 => Guard::GateAt {
                tenant: self.roll(6),
                installation: self.roll(2),
            },
            1 => Guard::EffectAt {
                effect: effect_id(self.case(), 1),
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

    /// Of one of the tenants, now and then of the installation.
    fn unit(&mut self, n: u64) -> Unit {
        let (tenant, before) = TENANTS[self.roll(2) as usize];
        self.before = before;
        if self.roll(40) == 0 {
            return Unit {
                rows: vec![self.switch()],
                ..Unit::new(TenantId::SYSTEM)
            };
        }
        let mut unit = self.content(n);
        unit.tenant = tenant;
        for turn in &mut unit.turns {
            turn.tenant = tenant;
        }
        unit
    }

    fn content(&mut self, n: u64) -> Unit {
        let (a, b) = (self.roll(40), self.roll(40));
        let keys = [format!("k{a}"), format!("k{b}")];
        match self.roll(6) {
            0 => admission(1_000 + n, &[&keys[0], &keys[1]]),
            1 => admission(self.case(), &[&keys[0]]),
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

/// Questions about one case of a tenant.
fn of_case(tenant: TenantId, n: u64) -> Vec<Query> {
    let case = case_id(n);
    let mut all = vec![
        Query::Case(tenant, case),
        Query::Journal(tenant, case),
        Query::Events(tenant, case),
        Query::Event(tenant, event_id(n)),
        Query::Outbox(tenant, Some(case), 1_000),
        Query::Effects(EffectFilter {
            tenant: Some(tenant),
            case: Some(case),
            limit: 1_000,
            ..EffectFilter::default()
        }),
        Query::Tasks(TaskFilter {
            tenant: Some(tenant),
            case: Some(case),
            closed: true,
            ..TaskFilter::default()
        }),
    ];
    for n_of_case in 1..=3 {
        all.push(Query::Effect(tenant, effect_id(n, n_of_case)));
        all.push(Query::Attempts(tenant, effect_id(n, n_of_case)));
    }
    all
}

/// Whether an answer names nothing.
fn is_empty(reply: &Reply) -> bool {
    match reply {
        Reply::Case(case) => case.is_none(),
        Reply::Journal(all) => all.is_empty(),
        Reply::Events(all) => all.is_empty(),
        Reply::Outbox(all) => all.is_empty(),
        Reply::Effects(all) => all.is_empty(),
        Reply::Tasks(all) => all.is_empty(),
        Reply::Attempts(all) => all.is_empty(),
        other => panic!("{other:?}"),
    }
}

/// Everything that a tenant can ask, the ids of the other one's cases among it, without positions.
fn seen_by(w: &dyn World, tenant: TenantId) -> Vec<String> {
    let mut all = vec![
        Query::Gate(tenant),
        Query::Suppressions(tenant, 1_000),
        Query::Cases(CaseFilter {
            tenant: Some(tenant),
            limit: 1_000,
            ..CaseFilter::default()
        }),
        Query::Outbox(tenant, None, 1_000),
        Query::Cursor(tenant, "follower".into()),
        Query::SlotsTaken(tenant, "email".into(), digest("somebody"), 0),
        Query::OldestOpen(tenant, "lead".into()),
    ];
    for r in 0..3 {
        let id = format!("r{r}");
        all.push(Query::RecordHistory(tenant, "lead".into(), id));
    }
    for k in 0..40 {
        let key = digest(&format!("k{k}"));
        all.push(Query::KnownEvent(tenant, "leads".into(), vec![key], 0));
        let saved = format!("i{k}");
        all.push(Query::Idempotent(tenant, "key".into(), saved));
    }
    for n in 1..=ALL_CASES {
        all.push(Query::Duplicates(tenant, event_id(n)));
        all.extend(of_case(tenant, n));
    }
    let answers = all.into_iter().map(|q| format!("{:?}", w.query(q)));
    answers.chain(turns(w, Some(tenant))).collect()
}

fn turns(w: &dyn World, tenant: Option<TenantId>) -> Vec<String> {
    let turns = Query::Turns {
        after: 0,
        limit: 10_000,
        tenant,
        bodies: true,
    };
    match w.query(turns) {
        Reply::Turns(turns) => { turns.iter() }
            .map(|t| format!("{:?}", (&t.1, &t.2, &t.3)))
            .collect(),
        other => panic!("{other:?}"),
    }
}

/// What is asked about the whole installation, without positions and sizes.
fn seen_by_the_installation(w: &dyn World) -> Vec<String> {
    let all = vec![
        Query::Tenants,
        Query::Gate(TenantId::SYSTEM),
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
    ];
    let mut answers: Vec<String> = all
        .into_iter()
        .map(|q| format!("{:?}", w.query(q)))
        .collect();
    answers.extend(turns(w, None));
    if let Reply::Stats(mut stats) = w.query(Query::Stats { now: 99 }) {
        stats.bytes = 0;
        answers.push(format!("{stats:?}"));
    }
    answers
}

fn seeds() -> Vec<u64> {
    if let Ok(seed) = std::env::var("TL_SEED") {
        return vec![seed.parse().unwrap()];
    }
    match tl_trial::long() {
        true => (0..100_u32)
            .map(|n| RandomState::new().hash_one(n).max(1))
            .collect(),
        false => vec![1, 0x5eed, 77_777],
    }
}

/// The groups of a seed. The tenants come first.
fn groups(seed: u64) -> Vec<Vec<Unit>> {
    let mut dice = Dice {
        state: seed,
        before: 0,
    };
    let tenants = TENANTS.map(|(tenant, _)| Unit {
        rows: vec![Row::Tenant {
            name: format!("tenant-{}", tenant.0),
            at: 1,
        }],
        ..Unit::new(tenant)
    });
    let mut groups = vec![tenants.to_vec()];
    let mut n = 0;
    for _ in 0..GROUPS {
        let size = 1 + dice.roll(6);
        let unit = |_| {
            n += 1;
            dice.unit(n)
        };
        groups.push((0..size).map(unit).collect());
    }
    groups
}

/// Commits groups, and says what became of the units of each tenant.
fn run(w: &mut dyn World, groups: &[Vec<Unit>]) -> Vec<(TenantId, String)> {
    let mut all = Vec::new();
    for units in groups {
        let answers = w.commit(units.clone());
        assert_eq!(answers.len(), units.len());
        let tenants = units.iter().map(|u| u.tenant);
        all.extend(tenants.zip(answers.iter().map(plain)));
    }
    all
}

/// The groups as they would be without the other tenant. What belongs to the installation, and that there are two
/// tenants, stays.
fn alone(groups: &[Vec<Unit>], tenant: TenantId) -> Vec<Vec<Unit>> {
    let keep = |unit: &&Unit| unit.tenant == tenant || unit.tenant == TenantId::SYSTEM;
    let (first, others) = groups.split_at(1);
    let others = others.iter();
    let others = others.map(|units| units.iter().filter(keep).cloned().collect::<Vec<_>>());
    let others = others.filter(|units| !units.is_empty());
    first.iter().cloned().chain(others).collect()
}

fn same(seed: u64, what: &str, a: &[String], b: &[String]) {
    assert_eq!(a.len(), b.len(), "seed {seed}: {what}");
    for (a, b) in a.iter().zip(b) {
        assert_eq!(a, b, "seed {seed}: {what}");
    }
}

#[test]
fn both_engines_give_the_same_answers() {
    let (mut units, mut passed) = (0, 0);
    let seeds = seeds();
    for seed in &seeds {
        println!("seed {seed}: repeat with TL_SEED={seed}");
        let Some(mut postgres) = Postgres::fresh() else {
            return;
        };
        let mut sqlite = Sqlite::fresh();
        for (at, group) in groups(*seed).iter().enumerate() {
            let group = std::slice::from_ref(group);
            let (wanted, got) = (run(&mut sqlite, group), run(&mut postgres, group));
            assert_eq!(wanted, got, "seed {seed}, group {at}: {group:#?}");
            units += got.len();
            passed += got.iter().filter(|a| a.1 == "passed").count();
        }
        for (tenant, _) in TENANTS {
            let (a, b) = (seen_by(&sqlite, tenant), seen_by(&postgres, tenant));
            same(*seed, "a tenant", &a, &b);
        }
        let (a, b) = (&sqlite, &postgres);
        let (a, b) = (seen_by_the_installation(a), seen_by_the_installation(b));
        same(*seed, "the installation", &a, &b);
    }
    println!(
        "{} seeds, {units} units of two tenants, {passed} of them passed",
        seeds.len()
    );
}

/// What a tenant sends is answered, and what it reads is there, as if it were alone.
fn undisturbed(fresh: impl Fn() -> Option<Box<dyn World>>) {
    let (mut units, mut asked, mut theirs) = (0, 0, 0);
    let seeds = seeds();
    for seed in &seeds {
        println!("seed {seed}: repeat with TL_SEED={seed}");
        let Some(mut both) = fresh() else { return };
        let groups = groups(*seed);
        let answers = run(both.as_mut(), &groups);
        units += answers.len();
        let seen = TENANTS.map(|(tenant, _)| seen_by(both.as_ref(), tenant));
        for (n, owner, other) in (1..=CASES / 2)
            .map(|n| (n, T1, T2))
            .chain((CASES + 1..=ALL_CASES).map(|n| (n, T2, T1)))
        {
            for (own, foreign) in of_case(owner, n).into_iter().zip(of_case(other, n)) {
                asked += 1;
                theirs += usize::from(!is_empty(&both.query(own)));
                let found = both.query(foreign.clone());
                assert!(is_empty(&found), "seed {seed}, {foreign:?}: {found:?}");
            }
        }
        // A world on a server has it to itself.
        drop(both);
        for ((tenant, _), seen) in TENANTS.into_iter().zip(seen) {
            let Some(mut one) = fresh() else { return };
            let answered = run(one.as_mut(), &alone(&groups, tenant));
            let of_one = |all: Vec<(TenantId, String)>| -> Vec<String> {
                let all = all.into_iter().filter(|(t, _)| *t == tenant);
                all.map(|(_, answer)| answer).collect()
            };
            same(
                *seed,
                "answers",
                &of_one(answers.clone()),
                &of_one(answered),
            );
            same(
                *seed,
                "what it reads",
                &seen,
                &seen_by(one.as_ref(), tenant),
            );
        }
    }
    // There was something to be found.
    assert!(theirs > asked / 10, "{theirs} of {asked}");
    println!(
        "{} seeds, {units} units, {asked} questions about the other's cases",
        seeds.len()
    );
}

#[test]
fn a_tenant_is_as_if_alone_on_sqlite() {
    undisturbed(|| Some(Box::new(Sqlite::fresh())));
}

#[test]
fn a_tenant_is_as_if_alone_on_postgres() {
    undisturbed(|| Some(Box::new(Postgres::fresh()?)));
}
