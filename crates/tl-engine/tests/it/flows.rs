//! Whole cases, from a message to where they come to rest.

use std::sync::Arc;

use tl_connect::fake::Crm;
use tl_engine::admit::Admitted;
use tl_engine::clock::ManualClock;
use tl_kernel::decide::{Command, CommandKind, Input, Resolve, TaskDecision};
use tl_kernel::effect::EffectState;
use tl_kernel::journal::{Actor, Entry, open};
use tl_kernel::time::{DAY, SECOND};

use crate::world::{Plan, START, TENANT, World, client};

/// A rules-only workflow that writes to the CRM with a version and a key.
pub const TO_CRM: &str = r#"
workflow: { id: w, version: "1" }
record:
  type: lead
  natural_key: "mail:${record.email}"
  on_match: update
  fields:
    email: { type: email, required: true, use: control }
    name:  { type: string }
    size:  { type: int }
ingress:
  gateway: { auth: api_key }
  channels: { api: { channel: api } }
states:
  automated: { sla: 3d }
decision:
  branches:
    - { condition: "record.size >= 10 && policy_allows", action: crm_upsert, reason: big }
    - { condition: needs_human, action: human_queue }
    - { condition: "record.size < 5", action: close, reason: small }
    - default: deny
policy:
  crm_upsert: auto
side_effects:
  crm:
    api: rest
    connection: crm
    method: PUT
    path: "/leads/${record.email}"
    optimistic_lock: If-Match
    idempotency_header: idempotency-key
    valid_for: 1d
"#;

const BIG: &str = r#"{"email":"Ada@Example.com","name":"Ada","size":12}"#;

#[tokio::test]
async fn a_big_lead_is_written_once_and_closed() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = World::new(dir.path(), TO_CRM).await;
    let case = w.case_of("a", BIG).await;
    w.settle().await.unwrap();
    assert_eq!(w.state(case).await, "closed");
    assert_eq!(w.crm.ledger().len(), 1, "{:?}", w.crm.ledger());
    let again = w.send("a", BIG).await.unwrap();
    assert!(matches!(again, Admitted::Duplicate { variant: false, .. }));
    w.settle().await.unwrap();
    assert_eq!(w.crm.ledger().len(), 1);
}

#[tokio::test]
async fn each_branch_leads_where_the_file_says() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = World::new(dir.path(), TO_CRM).await;
    let table = [
        (r#"{"email":"a@x.example","size":10}"#, "closed", 1, 0),
        (r#"{"email":"b@x.example","size":3}"#, "closed", 0, 0),
        (r#"{"email":"c@x.example","size":7}"#, "needs_human", 0, 1),
        (r#"{"size":3}"#, "needs_human", 0, 1),
        (r#"{"email":"d@x.example"}"#, "needs_human", 0, 1),
    ];
    for (i, (json, state, writes, tasks)) in table.into_iter().enumerate() {
        let before = w.crm.ledger().len();
        let case = w.case_of(&i.to_string(), json).await;
        w.settle().await.unwrap();
        assert_eq!(w.state(case).await, state, "{json}");
        assert_eq!(w.crm.ledger().len() - before, writes, "{json}");
        assert_eq!(w.open_tasks(case).await.len(), tasks, "{json}");
    }
}

#[tokio::test]
async fn a_second_message_about_the_same_person_joins_and_writes_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = World::new(dir.path(), TO_CRM).await;
    let case = w.case_of("a", BIG).await;
    w.settle().await.unwrap();
    let second = r#"{"email":"ada@example.COM","name":"Ada L.","size":20}"#;
    assert_eq!(w.case_of("b", second).await, case);
    w.settle().await.unwrap();
    assert_eq!(w.state(case).await, "closed");
    let (_, record) = w.crm.record("/leads/ada%40example.com").unwrap();
    assert_eq!(record["name"], "Ada L.");
}

#[tokio::test]
async fn a_person_edit_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = World::new(dir.path(), TO_CRM).await;
    let case = w.case_of("a", BIG).await;
    w.settle().await.unwrap();
    let edit = serde_json::json!({ "name": "Countess Ada" });
    w.crm.edit(
        "/leads/ada%40example.com",
        edit.as_object().unwrap().clone(),
    );
    let second = r#"{"email":"ada@example.com","name":"Ada L.","size":20}"#;
    w.case_of("b", second).await;
    w.settle().await.unwrap();
    let (_, record) = w.crm.record("/leads/ada%40example.com").unwrap();
    assert_eq!(record["name"], "Countess Ada", "the person's value stands");
    assert_eq!(record["size"], 20, "ours is written beside it");
    assert_eq!(w.state(case).await, "closed");
    assert_eq!(
        w.case(case).await.record["name"].value.to_string(),
        "Countess Ada"
    );
}

#[tokio::test]
async fn a_switch_holds_and_releases() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = World::new(dir.path(), TO_CRM).await;
    w.switch("action:crm_upsert", Some("hold")).await;
    let case = w.case_of("a", BIG).await;
    w.settle().await.unwrap();
    assert_eq!(w.crm.ledger().len(), 0);
    let row = &w.effects(case).await[0];
    assert_eq!(
        (row.state, row.hold.as_str()),
        (EffectState::Ready, "kill:action:crm_upsert")
    );
    w.switch("action:crm_upsert", None).await;
    w.settle_for(1).await.unwrap();
    assert_eq!(w.crm.ledger().len(), 1);
    assert_eq!(w.state(case).await, "closed");
}

#[tokio::test]
async fn what_waits_too_long_expires_and_a_person_sees_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = World::new(dir.path(), TO_CRM).await;
    w.switch("everything", Some("hold")).await;
    let case = w.case_of("a", BIG).await;
    w.settle().await.unwrap();
    w.clock.advance(2 * DAY);
    w.switch("everything", None).await;
    w.settle().await.unwrap();
    assert_eq!(w.crm.ledger().len(), 0);
    assert_eq!(w.effects(case).await[0].state, EffectState::Expired);
    assert_eq!(w.state(case).await, "needs_human");
    assert!(!w.open_tasks(case).await.is_empty());
}

#[tokio::test]
async fn a_failing_crm_is_retried_until_it_answers() {
    use tl_connect::fake::crm::{Fault, On};
    let dir = tempfile::tempdir().unwrap();
    let mut w = World::new(dir.path(), TO_CRM).await;
    w.crm.script(
        On::All,
        Fault::Status {
            status: 503,
            retry_after: None,
        },
        3,
    );
    let case = w.case_of("a", BIG).await;
    w.settle_for(30).await.unwrap();
    assert_eq!(w.state(case).await, "closed");
    assert_eq!(w.crm.ledger().len(), 1);
}

#[tokio::test]
async fn a_dead_effect_is_resolved_by_a_person() {
    use tl_connect::fake::crm::{Fault, On};
    let dir = tempfile::tempdir().unwrap();
    let mut w = World::new(dir.path(), TO_CRM).await;
    w.crm.script(
        On::Writes,
        Fault::Status {
            status: 400,
            retry_after: None,
        },
        1,
    );
    let case = w.case_of("a", BIG).await;
    w.settle_for(2).await.unwrap();
    assert_eq!(w.state(case).await, "needs_human");
    let row = w.effects(case).await.remove(0);
    assert_eq!(row.state, EffectState::Failed);
    let resolve = Input::Command(Command {
        by: Actor::Person("anna".into()),
        reason: "vendor_fixed".into(),
        what: CommandKind::Resolve {
            n: row.effect.n,
            how: Resolve::SendAgain,
        },
    });
    w.desk
        .advance((TENANT, case), resolve, Vec::new(), None)
        .await
        .unwrap();
    w.settle_for(2).await.unwrap();
    assert_eq!(w.crm.ledger().len(), 1);
    assert_eq!(w.state(case).await, "closed");
}

#[tokio::test]
async fn an_approval_is_bound_to_what_was_shown() {
    let dir = tempfile::tempdir().unwrap();
    let yaml = TO_CRM
        .replace("crm_upsert: auto", "crm_upsert: approve")
        .replace(" && policy_allows", "");
    let mut w = World::new(dir.path(), &yaml).await;
    let case = w.case_of("a", BIG).await;
    w.settle().await.unwrap();
    assert_eq!(w.state(case).await, "needs_human");
    let task = w.open_tasks(case).await.remove(0);
    let shown = w.effects(case).await.remove(0).digest;
    let decide = |digest| {
        Input::TaskDecided(TaskDecision {
            n: task.task.n,
            by: Actor::Person("anna".into()),
            decision: "approve".into(),
            reason: "ok".into(),
            note: None,
            edits: Vec::new(),
            digest: Some(digest),
        })
    };
    let wrong = w
        .desk
        .advance((TENANT, case), decide([0; 32]), Vec::new(), None)
        .await;
    assert!(wrong.unwrap_err().to_string().starts_with("TL0725"));
    w.settle().await.unwrap();
    assert_eq!(
        w.crm.ledger().len(),
        0,
        "nothing leaves before the approval"
    );
    w.desk
        .advance((TENANT, case), decide(shown), Vec::new(), None)
        .await
        .unwrap();
    let twice = w
        .desk
        .advance((TENANT, case), decide(shown), Vec::new(), None)
        .await;
    assert!(twice.unwrap_err().to_string().starts_with("TL0720"));
    w.settle().await.unwrap();
    assert_eq!(w.crm.ledger().len(), 1);
    assert_eq!(w.state(case).await, "closed");
}

#[tokio::test]
async fn a_missed_sla_goes_to_a_person() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = World::new(dir.path(), TO_CRM).await;
    w.switch("everything", Some("hold")).await;
    let case = w.case_of("a", BIG).await;
    w.settle().await.unwrap();
    assert_eq!(w.state(case).await, "automated");
    w.clock.advance(4 * DAY);
    w.worker.round().await.unwrap();
    assert_eq!(w.state(case).await, "needs_human");
    let reasons: Vec<_> = w
        .open_tasks(case)
        .await
        .into_iter()
        .map(|t| t.reason)
        .collect();
    assert!(reasons.contains(&"sla_breach".to_owned()), "{reasons:?}");
}

#[tokio::test]
async fn a_message_accepted_without_a_case_is_joined_later() {
    use std::collections::BTreeMap;
    use tl_kernel::id::EventId;
    use tl_kernel::payload::parse_json;
    use tl_kernel::turn::StoredEvent;
    use tl_kernel::value::Value;
    use tl_store::contract::{Row, Unit};

    let dir = tempfile::tempdir().unwrap();
    let mut w = World::new(dir.path(), TO_CRM).await;
    let case = w.case_of("a", BIG).await;
    w.settle().await.unwrap();
    let mut unit = Unit::new(TENANT);
    let second = br#"{"email":"ada@example.com","name":"Ada L.","size":20}"#;
    unit.rows.push(Row::Event {
        event: StoredEvent {
            id: EventId([9; 16]),
            endpoint: "api".into(),
            received_at: w.desk.now(),
            kid: "k1".into(),
            key_source: "signed_id".into(),
            case: None,
            content_type: "application/json".into(),
            payload: second.to_vec(),
        },
        keys: vec![[9; 32]],
        expires: i64::MAX,
    });
    w.desk.store().commit(unit).await.unwrap();
    let read = |_: &tl_kernel::program::Endpoint, e: &StoredEvent| {
        let body = parse_json(&e.payload).ok()?;
        Some(Value::Record(BTreeMap::from([("body".to_owned(), body)])))
    };
    assert_eq!(w.desk.join_pending(read).await.unwrap(), 1);
    assert_eq!(w.desk.join_pending(read).await.unwrap(), 0, "once");
    w.settle().await.unwrap();
    assert_eq!(w.case(case).await.events.len(), 2);
    let (_, record) = w.crm.record("/leads/ada%40example.com").unwrap();
    assert_eq!(record["name"], "Ada L.");
}

#[tokio::test]
async fn the_ids_of_each_message_and_task_can_be_found() {
    let dir = tempfile::tempdir().unwrap();
    let yaml = TO_CRM.replace(
        "workflow: { id: w, version: \"1\" }",
        "workflow: { id: w, version: \"1\", correlation_id: \"${event.body.order}\" }",
    );
    assert_ne!(yaml, TO_CRM);
    let mut w = World::new(dir.path(), &yaml).await;
    let json = |order: &str| format!(r#"{{"email":"a@x.example","size":7,"order":"{order}"}}"#);
    let case = w.case_of("first", &json("order-1")).await;
    w.settle().await.unwrap();
    let tasks = w.open_tasks(case).await;
    assert_eq!(tasks[0].correlation, "order-1");
    // Key, its order, what is recorded beside the case's own correlation id.
    for (key, order) in [("same", "order-1"), ("other", "order-2")] {
        assert_eq!(w.case_of(key, &json(order)).await, case);
    }
    let journal = w.desk.store().journal(TENANT, case).await.unwrap();
    let heads = journal.iter().map(|turn| open(turn).unwrap().0);
    let own: Vec<Option<String>> = heads
        .flat_map(|head| {
            assert_eq!(head.correlation, "order-1");
            head.entries
        })
        .filter_map(|e| match e {
            Entry::Event { correlation, .. } => Some(correlation),
            _ => None,
        })
        .collect();
    assert_eq!(own, [None, None, Some("order-2".to_owned())]);
}

#[tokio::test]
async fn a_record_says_from_where_its_properties_are() {
    let dir = tempfile::tempdir().unwrap();
    let yaml = TO_CRM.replace(
        "use: control }",
        "use: control }\n    tier:  { type: string, from: rules }",
    );
    let start = yaml.find("    api: rest\n").unwrap();
    let yaml = format!(
        "{}    api: records\n    key: \"${{record.email}}\"\n    map: {{ email: record.email, tier: record.tier, twice: \"record.size * 2\" }}\n    valid_for: 1d\n\
         worker:\n  rules: [{{ when: \"record.size > 10\", set: {{ tier: big }} }}]\n",
        &yaml[..start]
    );
    let mut w = World::new(dir.path(), &yaml).await;
    let case = w.case_of("a", BIG).await;
    w.settle().await.unwrap();
    let id = "ada@example.com".to_owned();
    let record = w.desk.store().record(TENANT, "lead".into(), id).await;
    let record = record.unwrap().expect("it is written");
    let provenance: serde_json::Value = serde_json::from_slice(&record.provenance).unwrap();
    let message = w.case(case).await.events[0].id;
    let rule = yaml.lines().position(|l| l.contains("rules: [")).unwrap() + 1;
    let table = [
        ("email", Some(format!("message {message}"))),
        ("tier", Some(format!("rule line {rule}"))),
        ("twice", None),
    ];
    for (property, from) in table {
        let mark = &provenance[property];
        assert_eq!(mark["from"].as_str().map(str::to_owned), from, "{property}");
        assert!(mark["source"].as_str().unwrap().starts_with("eff_"));
    }
}

/// Each message opens a case and is answered, once a day for a contact.
const ANSWERED: &str = r#"
workflow: { id: w, version: "1" }
record:
  type: ticket
  fields: { email: { type: email, required: true, use: control } }
ingress: { gateway: { auth: api_key }, channels: { api: { channel: api } } }
worker: { ai_step: none }
decision: { branches: [ { condition: "has(record.email)", action: ack }, { default: human_queue } ] }
policy: { ack: { auto: true, limit: 1 per contact per day } }
side_effects:
  messaging:
    ack: { channel: email, via: outbox, to: record.email, subject: Hello, text: "We have it", check: verified_sender }
"#;

/// What a limit stops was not said: no case closes over it as if it were done.
#[tokio::test]
async fn a_message_that_its_limit_stops_is_shown_to_a_person() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = World::new(dir.path(), ANSWERED).await;
    let json = r#"{"email":"ada@example.com"}"#;
    let first = w.case_of("a", json).await;
    w.settle().await.unwrap();
    assert_eq!(w.state(first).await, "closed");
    let second = w.case_of("b", json).await;
    w.settle().await.unwrap();
    let effect = w.effects(second).await.remove(0);
    assert_eq!(
        (effect.state, effect.code.as_str()),
        (EffectState::Cancelled, "limit")
    );
    assert_eq!(w.state(second).await, "needs_human");
    let task = w.open_tasks(second).await.remove(0);
    assert_eq!(
        (task.kind.as_str(), task.reason.as_str()),
        ("exception", "limit")
    );
    // Decided again the next day, it is said.
    w.clock.advance(DAY);
    let input = Input::Command(Command {
        by: Actor::Person("anna".into()),
        reason: "test".into(),
        what: CommandKind::Reopen,
    });
    let again = w.desk.advance((TENANT, second), input, Vec::new(), None);
    again.await.expect("decided again");
    w.settle().await.unwrap();
    assert_eq!(w.state(second).await, "closed");
    let sent = w.desk.store().outbox(TENANT, Some(second), 10).await;
    assert_eq!(sent.unwrap().len(), 1);
    assert!(w.open_tasks(second).await.is_empty());
}

/// What waits in the database is known to a node that works none of it off.
#[tokio::test]
async fn a_node_without_a_worker_knows_how_long_work_waits() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(START));
    let crm = Crm::start(([127, 0, 0, 1], 0).into()).await.unwrap();
    let crm = Arc::new(crm);
    let open = |slots| {
        World::open(Plan {
            dir: dir.path(),
            clock: Arc::clone(&clock),
            crm: Arc::clone(&crm),
            client: client(),
            tap: None,
            slots,
            inline: false,
        })
    };
    let w = open(0);
    w.deploy(TO_CRM).await;
    let age = async |w: &World| {
        w.desk.look_at_backlog().await.unwrap();
        w.desk.backlog_age(TENANT)
    };
    assert_eq!(age(&w).await, 0);
    w.case_of("a", BIG).await;
    w.clock.advance(15 * SECOND);
    assert_eq!(age(&w).await, 15 * SECOND);
    // A second one waits for less long.
    w.case_of("b", r#"{"email":"bob@example.com","size":12}"#)
        .await;
    w.clock.advance(SECOND);
    assert_eq!(age(&w).await, 16 * SECOND);
    drop(w);
    let mut w = open(8);
    w.settle().await.unwrap();
    assert_eq!(age(&w).await, 0);
    assert_eq!(w.crm.ledger().len(), 2);
}
