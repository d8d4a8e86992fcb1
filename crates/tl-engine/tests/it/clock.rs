//! The clock of a machine that has its database to itself, under the real engine: what somebody does to the machine's
//! calendar, and what the engine makes of it.

use std::path::Path;
use std::sync::{Arc, Mutex};

use tl_connect::fake::Crm;
use tl_connect::fake::crm::{Fault, On};
use tl_engine::clock::{self, MachineClock, ManualClock, Reading};
use tl_kernel::effect::EffectState;
use tl_kernel::id::{CaseId, TenantId};
use tl_kernel::journal::{Entry, open};
use tl_kernel::time::{DAY, HOUR, MINUTE, SECOND};
use tl_store::contract::Unit;

use crate::guard::keyed;
use crate::world::{Plan, START, TENANT, World, client};

/// People have half an hour.
const SHORT: &str = r#"
workflow: { id: w, version: "1" }
record:
  type: lead
  natural_key: "mail:${record.email}"
  on_match: update
  fields:
    email: { type: email, required: true, use: control }
ingress:
  gateway: { auth: api_key }
  channels: { api: { channel: api } }
states:
  needs_human: { sla: 30m }
decision:
  branches:
    - { condition: "true", action: human_queue, reason: look }
    - default: deny
"#;
const LEAD: &str = r#"{"email":"ada@example.com"}"#;

/// The two clocks of a machine, moved by hand.
#[derive(Clone)]
pub struct Hands(Arc<Mutex<Reading>>);

impl Hands {
    pub fn new() -> Hands {
        Hands(Arc::new(Mutex::new(Reading {
            wall: START,
            steady: 5 * SECOND,
        })))
    }

    pub fn read(&self) -> Reading {
        *self.0.lock().unwrap()
    }

    /// Time passes.
    pub fn pass(&self, time: i64) {
        let mut at = self.0.lock().unwrap();
        at.wall += time;
        at.steady += time;
    }

    /// Somebody sets the calendar.
    pub fn set(&self, by: i64) {
        self.0.lock().unwrap().wall += by;
    }

    /// The machine starts again after a while.
    pub fn restart(&self, after: i64) {
        let mut at = self.0.lock().unwrap();
        at.wall += after;
        at.steady = SECOND;
    }
}

pub async fn world(dir: &Path, hands: &Hands) -> World {
    let plan = Plan {
        dir,
        clock: Arc::new(ManualClock::at(0)),
        crm: Arc::new(Crm::start(([127, 0, 0, 1], 0).into()).await.unwrap()),
        client: client(),
        tap: None,
        slots: 8,
        inline: true,
    };
    let store = World::store(&plan);
    let own = hands.clone();
    let clock = MachineClock::over(&store, move || own.read()).await;
    World::over(plan, store, Arc::new(clock.unwrap()))
}

/// How often the case's time to answer was called breached.
async fn breaches(w: &World, case: CaseId) -> usize {
    let journal = w.desk.store().journal(TENANT, case).await.unwrap();
    let entries = journal.iter().flat_map(|t| open(t).unwrap().0.entries);
    entries
        .filter(|e| matches!(e, Entry::Sla { met: false, .. }))
        .count()
}

async fn note(w: &World, row: tl_store::contract::Row) {
    let mut unit = Unit::new(TenantId::SYSTEM);
    unit.rows.push(row);
    w.desk.store().commit(unit).await.unwrap();
}

#[tokio::test]
async fn a_jump_runs_no_clock_out_before_it_is_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let hands = Hands::new();
    let mut w = world(dir.path(), &hands).await;
    w.deploy(SHORT).await;
    let case = w.case_of("a", LEAD).await;
    w.settle().await.unwrap();
    hands.pass(MINUTE);
    hands.set(HOUR);
    w.settle().await.unwrap();
    assert_eq!(breaches(&w, case).await, 0, "at the jump");
    hands.pass(20 * MINUTE);
    w.settle().await.unwrap();
    assert_eq!(breaches(&w, case).await, 0, "nine minutes are left");
    let alarm = w.desk.clock().alarm().expect("an alarm");
    assert_eq!((alarm.since, alarm.ahead), (START + MINUTE, HOUR));
    assert_eq!(w.desk.clock().wall(), w.desk.now() + HOUR);
    assert_eq!(w.desk.clock().accept(), Some(HOUR));
    assert_eq!(w.desk.now(), START + 81 * MINUTE);
    for round in 0..3 {
        hands.pass(round * HOUR);
        w.settle().await.unwrap();
        assert_eq!(breaches(&w, case).await, 1, "round {round}");
    }
    assert_eq!(
        (w.desk.clock().alarm(), w.desk.clock().accept()),
        (None, None)
    );
}

#[tokio::test]
async fn while_the_calendar_is_not_believed_clocks_run_out_by_the_time_that_passes() {
    // Ahead: at the pace of the steady clock. Back: at half of it, which is late and never early.
    for (by, least) in [(3_650 * DAY, 30), (-HOUR, 60)] {
        let dir = tempfile::tempdir().unwrap();
        let hands = Hands::new();
        let mut w = world(dir.path(), &hands).await;
        w.deploy(SHORT).await;
        let case = w.case_of("a", LEAD).await;
        w.settle().await.unwrap();
        hands.set(by);
        for minute in 0..least {
            assert_eq!(
                breaches(&w, case).await,
                0,
                "set by {by} µs, minute {minute}"
            );
            hands.pass(MINUTE);
            w.settle().await.unwrap();
        }
        assert_eq!(breaches(&w, case).await, 1, "set by {by} µs");
    }
}

/// What the machine does between two processes, whether time was held before and is after, and where it goes on, by
/// the first instant of the first process.
#[tokio::test]
async fn a_process_goes_on_where_the_one_before_it_ended() {
    let (late, back) = (3 * DAY, -DAY);
    let table: [(&str, i64, bool, i64, i64, bool); 5] = [
        ("downtime", 0, false, late, HOUR + late, false),
        ("set back while it was down", 0, false, back, HOUR, false),
        ("held, and it still is", DAY, true, 0, HOUR, true),
        (
            "held, and mended while it was down",
            DAY,
            true,
            back + MINUTE,
            HOUR + MINUTE,
            false,
        ),
        (
            "held, but nobody noted it",
            DAY,
            false,
            0,
            HOUR + DAY,
            false,
        ),
    ];
    for (name, set, noted, after, want, holds) in table {
        let dir = tempfile::tempdir().unwrap();
        let hands = Hands::new();
        let w = world(dir.path(), &hands).await;
        w.deploy(SHORT).await;
        hands.pass(HOUR);
        hands.set(set);
        let case = w.case_of("a", LEAD).await;
        assert_eq!(w.case(case).await.opened_at, START + HOUR, "{name}");
        if noted {
            note(&w, clock::held(w.desk.clock().alarm().expect("an alarm"))).await;
        }
        drop(w);
        hands.restart(after);
        let w = world(dir.path(), &hands).await;
        assert_eq!(w.desk.now(), START + want, "{name}");
        let alarm = w.desk.clock().alarm();
        assert_eq!(alarm.is_some_and(|a| a.holds()), holds, "{name}");
        if holds {
            // Once it was noted that time goes on, it does.
            note(&w, clock::follows(w.desk.now())).await;
            drop(w);
            let w = world(dir.path(), &hands).await;
            assert_eq!(
                (w.desk.now(), w.desk.clock().alarm()),
                (hands.read().wall, None)
            );
        }
    }
}

#[tokio::test]
async fn two_hosts_that_agree_release_time() {
    let dir = tempfile::tempdir().unwrap();
    let hands = Hands::new();
    let w = world(dir.path(), &hands).await;
    hands.set(HOUR);
    assert_eq!(w.desk.now(), START);
    let say = |host: &str| w.desk.clock().heard(host, START + HOUR + MINUTE);
    say("crm.example");
    say("crm.example");
    assert_eq!(w.desk.now(), START, "one is not enough");
    say("mail.example");
    assert_eq!((w.desk.now(), w.desk.clock().alarm()), (START + HOUR, None));
}

/// A vendor forgets keys by the calendar, which engine time does not follow now: what may have happened is not repeated.
#[tokio::test]
async fn a_key_is_not_trusted_while_the_calendar_is_not_believed() {
    use EffectState::{Succeeded, Uncertain};
    // How the calendar is set after the answer was lost, and what becomes of the effect.
    for (set, came) in [
        (0, Succeeded),
        (5 * MINUTE, Succeeded),
        (30 * HOUR, Uncertain),
        (-HOUR, Uncertain),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let hands = Hands::new();
        let mut w = world(dir.path(), &hands).await;
        w.deploy(&keyed()).await;
        w.crm.script(On::Writes, Fault::ResetAfterApplying, 1);
        let case = w
            .case_of("a", r#"{"email":"ada@example.com","size":12}"#)
            .await;
        w.settle().await.unwrap();
        assert_eq!(w.effects(case).await[0].code, "connection_reset", "{set}");
        hands.pass(MINUTE);
        hands.set(set);
        w.settle().await.unwrap();
        // By half of the pace, too, its next attempt is due.
        hands.pass(10 * MINUTE);
        w.settle().await.unwrap();
        assert_eq!(w.effects(case).await[0].state, came, "set by {set} µs");
        assert_eq!(w.crm.ledger().len(), 1, "set by {set} µs");
    }
}
