//! Who wants nothing more gets nothing more: said at a door, by an operator, and asked before each send.

use tl_engine::admit::{Admitted, Message};
use tl_engine::desk::DeskError;
use tl_kernel::contact::{Consent, Wish, subject};
use tl_kernel::decide::{Input, TaskDecision};
use tl_kernel::effect::EffectState;
use tl_kernel::id::CaseId;
use tl_kernel::journal::Actor;
use tl_store::contract::{Row, Suppression, Unit};

use crate::world::{TENANT, World};

/// One message at once, one after a person has approved it.
const WORKFLOW: &str = r#"
workflow: { id: w, version: "1" }
record:
  type: ticket
  fields:
    phone: { type: phone, required: true, use: control }
    kind: { type: string }
ingress: { gateway: { auth: api_key }, channels: { api: { channel: api } } }
worker: { ai_step: none }
decision:
  branches:
    - { condition: "record.kind == 'offer'", action: offer }
    - { condition: "has(record.phone)", action: ack }
    - { default: human_queue }
policy: { ack: auto, offer: approve }
side_effects:
  messaging:
    ack: { channel: sms, via: outbox, to: record.phone, text: "We have it", check: verified_sender }
    offer: { channel: sms, via: outbox, to: record.phone, text: "Ten seats", check: verified_sender }
"#;
const ADA: &str = "+4366012345678";
const ZOE: &str = "+4366087654321";

/// `wish` by text message from a number, as a door hands it over.
async fn says(w: &World, key: &str, (from, wish): (&str, Wish)) -> Result<Admitted, DeskError> {
    let consent = Consent {
        channel: "sms",
        address: from.into(),
        wish,
    };
    w.desk.admit_consent(message(w, key, from), consent).await
}

fn message(w: &World, key: &str, from: &str) -> Message {
    w.message(key, &format!(r#"{{"phone":"{from}"}}"#))
}

/// A lead from a number, worked on until nothing is left to do: its case, and how its message ended.
async fn lead(w: &mut World, key: &str, from: &str) -> (CaseId, EffectState, String) {
    let case = w.case_of(key, &format!(r#"{{"phone":"{from}"}}"#)).await;
    w.settle().await.unwrap();
    let effect = w.effects(case).await.remove(0);
    (case, effect.state, effect.code)
}

async fn listed(w: &World) -> Vec<(String, String)> {
    let all = w.desk.store().suppressions(TENANT, 10).await.unwrap();
    all.into_iter().map(|s| (s.address, s.reason)).collect()
}

const NO_CASE: Admitted = Admitted::Accepted {
    case: None,
    joined: None,
};

#[tokio::test]
async fn whoever_says_stop_gets_nothing_until_they_say_start() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = World::new(dir.path(), WORKFLOW).await;
    assert_eq!(lead(&mut w, "a", ADA).await.1, EffectState::Succeeded);
    assert_eq!(says(&w, "stop", (ADA, Wish::Stop)).await.unwrap(), NO_CASE);
    assert_eq!(listed(&w).await, [(ADA.to_owned(), "stop".to_owned())]);
    // No case, and none later: nothing waits to be joined.
    assert_eq!(w.desk.store().pending_joins(0, 10).await.unwrap().len(), 0);

    let (case, state, code) = lead(&mut w, "b", ADA).await;
    assert_eq!(
        (state, code.as_str()),
        (EffectState::Cancelled, "suppressed")
    );
    assert_eq!(w.state(case).await, "needs_human");
    let task = w.open_tasks(case).await.remove(0);
    assert_eq!(
        (task.kind.as_str(), task.reason.as_str()),
        ("exception", "suppressed")
    );
    // Nobody else is meant.
    assert_eq!(lead(&mut w, "c", ZOE).await.1, EffectState::Succeeded);

    assert_eq!(
        says(&w, "start", (ADA, Wish::Start)).await.unwrap(),
        NO_CASE
    );
    assert_eq!(listed(&w).await, []);
    assert_eq!(lead(&mut w, "d", ADA).await.1, EffectState::Succeeded);

    // The first message comes once more: it is known, and stops nothing.
    let again = says(&w, "stop", (ADA, Wish::Stop)).await.unwrap();
    assert!(
        matches!(again, Admitted::Duplicate { variant: false, .. }),
        "{again:?}"
    );
    assert_eq!(listed(&w).await, []);
}

/// "Yes" is an answer like any other where nobody has said stop, and lifts nothing that an operator has put there.
#[tokio::test]
async fn a_start_takes_back_the_owners_own_stop_alone() {
    let dir = tempfile::tempdir().unwrap();
    let w = World::new(dir.path(), WORKFLOW).await;
    let opened = says(&w, "yes", (ADA, Wish::Start)).await.unwrap();
    assert!(
        matches!(opened, Admitted::Accepted { case: Some(_), .. }),
        "{opened:?}"
    );

    let view = w.desk.tenant(TENANT).await.unwrap();
    let mut unit = Unit::new(TENANT);
    unit.rows.push(Row::Suppressed(Suppression {
        subject: subject(&view.key, "sms", ADA),
        by_owner: false,
        channel: "sms".into(),
        address: ADA.into(),
        by: "operator anna".into(),
        reason: "court_order".into(),
        at: w.desk.now(),
    }));
    w.desk.store().commit(unit).await.unwrap();
    let opened = says(&w, "start", (ADA, Wish::Start)).await.unwrap();
    assert!(
        matches!(opened, Admitted::Accepted { case: Some(_), .. }),
        "{opened:?}"
    );
    // A stop beside it is the owner's own, and goes by itself.
    says(&w, "stop", (ADA, Wish::Stop)).await.unwrap();
    assert_eq!(listed(&w).await.len(), 2);
    let again = says(&w, "start again", (ADA, Wish::Start)).await.unwrap();
    assert_eq!(again, NO_CASE);
    assert_eq!(
        listed(&w).await,
        [(ADA.to_owned(), "court_order".to_owned())]
    );
}

/// A person approves a message, its recipient says stop, and only then is it sent: the recipient is heard.
#[tokio::test]
async fn a_stop_outranks_an_approval() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = World::new(dir.path(), WORKFLOW).await;
    let json = format!(r#"{{"phone":"{ADA}","kind":"offer"}}"#);
    let case = w.case_of("a", &json).await;
    w.settle().await.unwrap();
    let task = w.open_tasks(case).await.remove(0);
    let n = task.effect.expect("it is about an effect");
    let digest = w.case(case).await.effects[&n].digest;
    let input = Input::TaskDecided(TaskDecision {
        n: task.task.n,
        by: Actor::Person("anna".into()),
        decision: "approve".into(),
        reason: "fine".into(),
        note: None,
        edits: Vec::new(),
        digest: Some(digest),
    });
    let approved = w.desk.advance((TENANT, case), input, Vec::new(), None);
    approved.await.expect("approved");
    says(&w, "stop", (ADA, Wish::Stop)).await.unwrap();
    w.settle().await.unwrap();
    let effect = w.effects(case).await.remove(0);
    assert_eq!(
        (effect.state, effect.code.as_str()),
        (EffectState::Cancelled, "suppressed")
    );
}
