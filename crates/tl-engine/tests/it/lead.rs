//! The times that the engine stamps into the default lead: received, first touched, qualified, closed.

use tl_kernel::decide::{Input, TaskDecision};
use tl_kernel::id::CaseId;
use tl_kernel::journal::Actor;
use tl_kernel::time::HOUR;
use tl_kernel::value::Value;
use tl_store::contract::TaskRow;

use crate::world::{START, TENANT, World};

/// No `record`: the lead that stands in. Somebody answers, then somebody else takes the lead over.
const LEAD: &str = r#"
workflow: { id: w, version: "1" }
ingress:
  gateway: { auth: api_key }
  channels: { api: { channel: api, map: { name: event.body.name, email: event.body.email } } }
worker: { ai_step: none }
decision:
  branches:
    - { condition: "record.name != ''", action: [reply, hand_off] }
    - default: human_queue
policy: { reply: approve }
tasks: { hand_off: { sla: 1d } }
side_effects:
  messaging:
    reply: { channel: email, via: outbox, to: record.email, subject: Hello, template: reply.md }
"#;

const TIMES: [&str; 4] = [
    "received_at",
    "first_touched_at",
    "qualified_at",
    "closed_at",
];

/// What the record says of the four times, in hours since the message came.
async fn hours(w: &World, case: CaseId) -> [Option<i64>; 4] {
    let record = w.case(case).await.record;
    TIMES.map(|name| match record.get(name).map(|f| &f.value) {
        Some(Value::Time(at)) => Some((at - START) / HOUR),
        other => {
            assert!(other.is_none(), "{name} is {other:?}");
            None
        }
    })
}

async fn decide(w: &World, task: &TaskRow, decision: &str, digest: Option<[u8; 32]>) {
    let at = (TENANT, task.task.case);
    let input = Input::TaskDecided(TaskDecision {
        n: task.task.n,
        by: Actor::Person("bea".into()),
        decision: decision.into(),
        reason: "ok".into(),
        note: None,
        edits: Vec::new(),
        digest,
    });
    let done = w.desk.advance(at, input, Vec::new(), None).await;
    done.expect("decided");
}

#[tokio::test]
async fn the_four_times_of_a_lead_are_stamped_once_each() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = World::bare(dir.path()).await;
    w.deploy_files(LEAD, &[("reply.md", "Hello ${record.name}\n")])
        .await;
    let case = w
        .case_of("a", r#"{"name":"Ada","email":"ada@example.com"}"#)
        .await;
    w.settle().await.unwrap();
    assert_eq!(hours(&w, case).await, [Some(0), None, None, None]);

    w.clock.advance(HOUR);
    let tasks = w.open_tasks(case).await;
    let task = |kind: &str| tasks.iter().find(|t| t.kind == kind).expect(kind);
    let shown = w.effects(case).await[0].digest;
    decide(&w, task("approve"), "approve", Some(shown)).await;
    w.settle().await.unwrap();
    assert_eq!(hours(&w, case).await, [Some(0), Some(1), None, None]);

    // Whoever takes it over touches it too; the first time stands.
    w.clock.advance(2 * HOUR);
    decide(&w, task("hand_off"), "accept", None).await;
    w.settle().await.unwrap();
    assert_eq!(w.state(case).await, "closed");
    assert_eq!(hours(&w, case).await, [Some(0), Some(1), Some(3), Some(3)]);
}
