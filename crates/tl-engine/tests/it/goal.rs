//! The goal of a path from its first message to its end, and required fields before a hand-off, with the real
//! store and the worker's clock.

use tl_kernel::case::GoalClock;
use tl_kernel::decide::{Command, CommandKind, Input, TaskDecision};
use tl_kernel::id::CaseId;
use tl_kernel::journal::{Actor, Entry, TimerKind, open};
use tl_kernel::time::{HOUR, MINUTE};
use tl_kernel::value::Value;

use crate::world::{START, TENANT, World};

/// A case waits for a person, who may let it wait for the customer; the goal allows six hours.
pub const DESK: &str = r#"
workflow: { id: w, version: "1", goal: { sla: 6h } }
record:
  type: ticket
  fields: { subject: { type: string, required: true }, n: { type: int } }
ingress: { gateway: { auth: api_key }, channels: { api: { channel: api } } }
states:
  needs_human: { sla: 30d }
  waiting: { sla: 3d, pause: true }
transitions:
  - { from: pending, to: triaged }
  - { from: triaged, to: needs_human }
  - { from: triaged, to: automated }
  - { from: automated, to: closed }
  - { from: automated, to: needs_human }
  - { from: needs_human, to: waiting }
  - { from: needs_human, to: triaged }
  - { from: needs_human, to: closed }
  - { from: waiting, to: needs_human }
  - { from: closed, to: triaged }
  - { from: pending, to: needs_human }
worker: { ai_step: none }
decision:
  branches:
    - { condition: "record.n == 7", action: hand_off }
    - default: human_queue
"#;

async fn command(w: &World, case: CaseId, what: CommandKind) {
    let input = Input::Command(Command {
        by: Actor::Person("anna".into()),
        reason: "test".into(),
        what,
    });
    let done = w
        .desk
        .advance((TENANT, case), input, Vec::new(), None)
        .await;
    done.expect("decided");
}

/// The goal entries of a case's journal: met, and when it was due after the first message.
async fn ended(w: &World, case: CaseId) -> Vec<(bool, i64)> {
    let journal = w
        .desk
        .store()
        .journal(TENANT, case)
        .await
        .expect("a journal");
    let heads = journal.iter().map(|s| open(s).expect("it opens").0);
    heads
        .flat_map(|h| h.entries)
        .filter_map(|e| match e {
            Entry::Goal { met, due } => Some((met, due - START)),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn a_goal_is_paused_missed_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = World::new(dir.path(), DESK).await;
    let case = w.case_of("a", r#"{"subject":"help","n":1}"#).await;
    w.settle().await.unwrap();
    w.clock.advance(HOUR);
    command(&w, case, CommandKind::Move("waiting".into())).await;
    w.clock.advance(40 * HOUR);
    w.settle().await.unwrap();
    assert_eq!(w.case(case).await.goal, GoalClock::Still { left: 5 * HOUR });
    command(&w, case, CommandKind::Move("needs_human".into())).await;
    w.clock.advance(5 * HOUR - 1);
    w.settle().await.unwrap();
    assert_eq!(ended(&w, case).await, []);
    // Noticed late; it happened when it was due.
    w.clock.advance(20 * MINUTE);
    w.settle().await.unwrap();
    assert_eq!(ended(&w, case).await, [(false, 46 * HOUR)]);
    assert_eq!(w.case(case).await.owner, "operators");
    let timers: Vec<TimerKind> = w.case(case).await.timers.values().map(|t| t.0).collect();
    assert_eq!(timers, [TimerKind::Breach], "the state's own clock goes on");
    command(&w, case, CommandKind::Close).await;
    command(&w, case, CommandKind::Reopen).await;
    assert_eq!(ended(&w, case).await.len(), 1, "missed once");
}

#[tokio::test]
async fn a_goal_is_met_and_goes_on_when_the_case_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = World::new(dir.path(), DESK).await;
    let case = w.case_of("a", r#"{"subject":"help","n":1}"#).await;
    w.clock.advance(2 * HOUR);
    command(&w, case, CommandKind::Close).await;
    assert_eq!(ended(&w, case).await, [(true, 6 * HOUR)]);
    w.clock.advance(100 * HOUR);
    w.settle().await.unwrap();
    command(&w, case, CommandKind::Reopen).await;
    let due = START + 106 * HOUR;
    assert_eq!(w.case(case).await.goal, GoalClock::Running { due });
    w.clock.advance(4 * HOUR + 1);
    w.settle().await.unwrap();
    assert_eq!(
        ended(&w, case).await,
        [(true, 6 * HOUR), (false, 106 * HOUR)]
    );
}

#[tokio::test]
async fn a_missing_field_is_asked_for_before_the_hand_off() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = World::new(dir.path(), DESK).await;
    let case = w.case_of("a", r#"{"n":7}"#).await;
    w.settle().await.unwrap();
    assert_eq!(w.state(case).await, "needs_human");
    let task = w.open_tasks(case).await.remove(0);
    assert_eq!(
        (task.kind.as_str(), task.reason.as_str()),
        ("missing", "missing")
    );
    let decide = |n: u32, decision: &str, edits: Vec<(String, Value)>| {
        Input::TaskDecided(TaskDecision {
            n,
            by: Actor::Person("anna".into()),
            decision: decision.into(),
            reason: "asked".into(),
            note: None,
            edits,
            digest: None,
        })
    };
    let subject = ("subject".to_owned(), Value::text("help"));
    let edit = decide(task.task.n, "edit", vec![subject]);
    let done = w.desk.advance((TENANT, case), edit, Vec::new(), None).await;
    done.unwrap();
    assert_eq!(w.state(case).await, "automated");
    let task = w.open_tasks(case).await.remove(0);
    assert_eq!(task.kind, "hand_off");
    let accept = decide(task.task.n, "accept", Vec::new());
    let done = w
        .desk
        .advance((TENANT, case), accept, Vec::new(), None)
        .await;
    done.unwrap();
    assert_eq!(w.state(case).await, "closed");
    assert_eq!(ended(&w, case).await, [(true, 6 * HOUR)]);
}
