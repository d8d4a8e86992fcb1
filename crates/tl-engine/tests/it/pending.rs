//! Messages that were acknowledged without a case: none is lost, and none keeps another waiting.

use std::collections::BTreeMap;

use tl_engine::desk::DeskError;
use tl_kernel::digest::sha256;
use tl_kernel::id::{CaseId, EventId};
use tl_kernel::limits::MAX_EVENTS;
use tl_kernel::payload::parse_json;
use tl_kernel::program::Endpoint;
use tl_kernel::turn::StoredEvent;
use tl_kernel::value::Value;
use tl_store::contract::{Row, Unit};

use crate::flows::TO_CRM;
use crate::world::{TENANT, World};

const ADA: &str = r#"{"email":"ada@example.com","size":7}"#;

/// Accepts a message without a case, as after lost races.
async fn accept(w: &World, endpoint: &str, key: &str, json: &str) -> EventId {
    let digest = sha256(&[key.as_bytes()]);
    let id = EventId(digest[..16].try_into().unwrap());
    let mut unit = Unit::new(TENANT);
    unit.rows.push(Row::Event {
        event: StoredEvent {
            id,
            endpoint: endpoint.into(),
            received_at: w.desk.now(),
            kid: "k1".into(),
            key_source: "signed_id".into(),
            case: None,
            content_type: "application/json".into(),
            payload: json.into(),
        },
        keys: vec![digest],
        expires: i64::MAX,
    });
    w.desk.store().commit(unit).await.unwrap();
    id
}

fn read(_: &Endpoint, stored: &StoredEvent) -> Option<Value> {
    let body = parse_json(&stored.payload).ok()?;
    Some(Value::Record(BTreeMap::from([("body".to_owned(), body)])))
}

async fn join(w: &World) -> usize {
    w.desk.join_pending(read).await.unwrap()
}

async fn case_of(w: &World, event: EventId) -> Option<CaseId> {
    let stored = w.desk.store().event(TENANT, event).await.unwrap();
    stored.unwrap().1.case
}

/// How many turns the tenant's control stream has: refusals among them.
async fn refusals(w: &World) -> usize {
    let control = w.desk.store().journal(TENANT, CaseId::CONTROL).await;
    control.unwrap().len()
}

#[tokio::test]
async fn a_message_that_its_case_refuses_has_a_case_of_its_own() {
    // The case is full; or it began with a version that has not the door.
    for full in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let w = World::new(dir.path(), TO_CRM).await;
        let case = w.case_of("a", ADA).await;
        let door = if full { "api" } else { "web" };
        if full {
            for n in 1..MAX_EVENTS {
                assert_eq!(w.case_of(&format!("a {n}"), ADA).await, case);
            }
            let next = w.send("next", ADA).await;
            let refused = matches!(&next, Err(DeskError::Refused(r)) if r.code == "TL0712");
            assert!(refused, "at the door: {next:?}");
        } else {
            let both = TO_CRM.replace("api: { channel: api }", "web: { channel: api }");
            w.deploy(&both).await;
        }
        let before = refusals(&w).await;
        let refused = accept(&w, door, "refused", ADA).await;
        let bob = r#"{"email":"bob@example.com","size":7}"#;
        let other = accept(&w, door, "other", bob).await;
        assert_eq!((join(&w).await, join(&w).await), (2, 0), "full: {full}");
        for event in [refused, other] {
            assert_eq!(case_of(&w, event).await, Some(CaseId(event.0)));
        }
        let own = w.case(CaseId(refused.0)).await;
        assert_eq!(own.record["email"].value, Value::text("ada@example.com"));
        assert_eq!(refusals(&w).await, before, "nothing was refused");
    }
}

#[tokio::test]
async fn messages_without_a_door_keep_nobody_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let w = World::new(dir.path(), TO_CRM).await;
    for n in 0..130 {
        accept(&w, "gone", &format!("gone {n}"), ADA).await;
    }
    let event = accept(&w, "api", "good", ADA).await;
    assert_eq!((join(&w).await, join(&w).await), (1, 0));
    assert_eq!(case_of(&w, event).await, Some(CaseId(event.0)));
    assert_eq!(refusals(&w).await, 0);
    // Their door is there again.
    let api = "api: { channel: api }";
    w.deploy(&TO_CRM.replace(api, "gone: { channel: api }"))
        .await;
    assert_eq!(join(&w).await, 130);
}
