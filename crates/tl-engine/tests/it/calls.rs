//! Effects that call a connector's operation: the file alone says how, and the ledger keeps its promise.

use tl_connect::fake::crm::{Fault, On};
use tl_kernel::effect::EffectState;
use tl_kernel::time::MINUTE;

use crate::flows::TO_CRM;
use crate::world::World;

const BIG: &str = r#"{"email":"ada@example.com","name":"Ada","size":12}"#;

/// The system that the tests reach as `crm`, with the class of its one action.
fn connector(class: &str) -> String {
    format!(
        "connector: crm
title: CRM
headers: {{ X-Api-Version: \"2\" }}
actions:
  lead.save:
    arguments: {{ email: {{ type: email, required: true, control: record }} }}
    fields: {{}}
    request: {{ method: PUT, path: \"/leads/${{args.email}}\", headers: {{ Idempotency-Key: \"${{effect.key}}\" }}, json: \"${{fields}}\" }}
{class}"
    )
}

const E1: &str = "    class: E1\n    key_lifetime: 24h\n";
const E2: &str = "    class: E2\n    lock: if_match\n    when_absent: if_none_match\n";
const E3: &str = "    class: E3
    look_up:
      request: { path: \"/leads/${args.email}\" }
      found: \"[answer.body.name]\"
      absent_is: certain
";
const E4: &str = "    class: E4\n";

fn workflow() -> String {
    let at = TO_CRM.find("    api: rest").expect("the CRM");
    format!(
        "{}    use: crm.lead.save\n    with: {{ email: record.email }}\n    map: {{ name: record.name, size: record.size }}\n",
        &TO_CRM[..at]
    )
}

async fn world(dir: &std::path::Path, class: &str) -> World {
    let w = World::bare(dir).await;
    let file = connector(class);
    w.deploy_files(&workflow(), &[("/connectors/crm.yaml", &file)])
        .await;
    w
}

#[tokio::test]
async fn each_class_writes_once() {
    for class in [E1, E2, E3, E4] {
        let dir = tempfile::tempdir().unwrap();
        let mut w = world(dir.path(), class).await;
        let case = w.case_of("a", BIG).await;
        w.settle().await.unwrap();
        let ledger = w.crm.ledger();
        assert_eq!(ledger.len(), 1, "{class}");
        assert_eq!(ledger[0].body, br#"{"name":"Ada","size":12}"#, "{class}");
        assert!(ledger[0].key.is_some(), "{class}");
        assert_eq!(w.state(case).await, "closed", "{class}");
    }
}

/// An answer is lost, the write took place or did not: what becomes of it, by class.
#[tokio::test]
async fn a_lost_answer_is_resolved_by_the_class() {
    let (after, before) = (Fault::ResetAfterApplying, Fault::ResetBeforeApplying);
    let table = [
        (E1, &after, EffectState::Succeeded),
        (E1, &before, EffectState::Succeeded),
        (E2, &after, EffectState::Succeeded),
        (E2, &before, EffectState::Succeeded),
        (E3, &after, EffectState::Succeeded),
        (E3, &before, EffectState::Succeeded),
        (E4, &after, EffectState::Uncertain),
        (E4, &before, EffectState::Uncertain),
    ];
    for (class, fault, state) in table {
        let dir = tempfile::tempdir().unwrap();
        let mut w = world(dir.path(), class).await;
        w.crm.script(On::Writes, fault.clone(), 1);
        let case = w.case_of("a", BIG).await;
        for _ in 0..8 {
            w.settle().await.unwrap();
            w.clock.advance(MINUTE);
        }
        let effects = w.effects(case).await;
        assert_eq!(effects[0].state, state, "{class} {fault:?}");
        let written = w.crm.ledger().len();
        let wanted = usize::from(state == EffectState::Succeeded || *fault == after);
        assert_eq!(written, wanted, "{class} {fault:?}");
    }
}

/// What was planned under one promise is not sent under another one.
#[tokio::test]
async fn a_file_that_promises_something_else_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = world(dir.path(), E3).await;
    w.switch("everything", Some("hold")).await;
    let case = w.case_of("a", BIG).await;
    w.settle().await.unwrap();
    let weaker = connector(E4);
    w.deploy_files(&workflow(), &[("/connectors/crm.yaml", &weaker)])
        .await;
    w.switch("everything", None).await;
    w.settle_for(2).await.unwrap();
    let effects = w.effects(case).await;
    assert_eq!(effects[0].code, "TL0808");
    assert_eq!(w.crm.ledger().len(), 0);
}
