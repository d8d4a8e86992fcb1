//! Effects that call a connector's operation: the file alone says how, and the ledger keeps its promise.

use tl_connect::fake::crm::{Fault, On};
use tl_kernel::effect::EffectState;
use tl_kernel::time::{MINUTE, SECOND};

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

/// A vendor forgets keys. What may have happened is repeated with its key for 0.8 of the time that the file states,
/// and after that not at all; so many seconds after the first attempt, the vendor being out of reach in between.
#[tokio::test]
async fn a_key_is_used_for_most_of_its_lifetime_and_not_after_it() {
    use EffectState::{Succeeded, Uncertain};
    let table = [
        ("5m", 239, Succeeded),
        ("5m", 240, Uncertain),
        ("5m", 3_600, Uncertain),
        ("30m", 1_439, Succeeded),
        ("30m", 1_440, Uncertain),
        ("24h", 69_119, Succeeded),
        ("24h", 69_120, Uncertain),
        ("24h", 86_300, Uncertain),
        ("for_ever", 86_300, Succeeded),
    ];
    // Whether the write took place before the answer was lost.
    for (fault, took_place) in [
        (Fault::ResetAfterApplying, 1),
        (Fault::ResetBeforeApplying, 0),
    ] {
        for (lifetime, seconds, state) in table {
            let dir = tempfile::tempdir().unwrap();
            let mut w = world(dir.path(), &E1.replace("24h", lifetime)).await;
            w.crm.script(On::Writes, fault.clone(), 1);
            let case = w.case_of("a", BIG).await;
            w.settle().await.unwrap();
            w.switch("everything", Some("hold")).await;
            w.clock.advance((seconds - 10) * SECOND);
            w.settle().await.unwrap();
            w.switch("everything", None).await;
            w.clock.advance(10 * SECOND);
            w.settle().await.unwrap();
            let row = format!("{lifetime}, {seconds} s after {fault:?}");
            assert_eq!(w.effects(case).await[0].state, state, "{row}");
            let again = usize::from(state == Succeeded);
            assert_eq!(w.crm.requests().len(), 1 + again, "{row}");
            // It stays so: nobody sends later what was not sent then.
            w.settle_for(3).await.unwrap();
            assert_eq!(w.crm.requests().len(), 1 + again, "{row}");
            assert_eq!(w.crm.ledger().len(), again.max(took_place), "{row}");
            let asked = w.open_tasks(case).await.len();
            assert_eq!(asked, usize::from(state == Uncertain), "{row}");
        }
    }
}

/// A proxy between us and the vendor delivers a request twice and passes the second answer on. A key and a version
/// make that harmless; without either nothing here can, and the ledger shows it.
#[tokio::test]
async fn a_request_that_a_proxy_delivers_twice_is_applied_once() {
    let keyless = connector(E4).replace(", headers: { Idempotency-Key: \"${effect.key}\" }", "");
    let versioned = keyless.replace(E4, E2);
    // The file, whether the record is there before, how often the write is applied, the requests in all.
    let table = [
        (connector(E1), false, 1, "PUT"),
        (connector(E1), true, 1, "PUT"),
        (versioned.clone(), false, 1, "GET PUT GET"),
        (versioned, true, 1, "GET PUT GET"),
        (keyless, false, 2, "PUT"),
    ];
    for (file, there, applied, requests) in table {
        let dir = tempfile::tempdir().unwrap();
        let mut w = World::bare(dir.path()).await;
        w.deploy_files(&workflow(), &[("/connectors/crm.yaml", &file)])
            .await;
        if there {
            w.crm
                .edit("/leads/ada%40example.com", serde_json::Map::new());
        }
        w.crm.script(On::Writes, Fault::DeliveredTwice, 1);
        let case = w.case_of("a", BIG).await;
        w.settle_for(2).await.unwrap();
        let row = format!("the record is there: {there}\n{file}");
        assert_eq!(w.crm.ledger().len(), applied, "{row}");
        let state = w.effects(case).await[0].state;
        assert_eq!(state, EffectState::Succeeded, "{row}");
        let methods: Vec<String> = w.crm.requests().into_iter().map(|r| r.method).collect();
        assert_eq!(methods.join(" "), requests, "{row}");
        assert!(w.open_tasks(case).await.is_empty(), "{row}");
    }
}

/// The answer to a write breaks off after each of its bytes in turn: the write is found, and not made twice.
#[tokio::test]
async fn an_answer_that_breaks_off_anywhere_is_followed_up() {
    // The class, and the requests where the answer is whole.
    for (class, fewest) in [(E1, 1), (E2, 2), (E3, 1)] {
        let dir = tempfile::tempdir().unwrap();
        let mut w = world(dir.path(), class).await;
        for bytes in 0.. {
            let row = format!("{class}: {bytes} bytes of the answer");
            w.crm.script(On::Writes, Fault::CutAnswer(bytes), 1);
            let before = w.crm.requests().len();
            let lead =
                format!(r#"{{"email":"lead{bytes}@x.example","name":"Ada {bytes}","size":12}}"#);
            let case = w.case_of(&row, &lead).await;
            for _ in 0..5 {
                w.settle().await.unwrap();
                w.clock.advance(MINUTE);
            }
            let state = w.effects(case).await[0].state;
            assert_eq!(state, EffectState::Succeeded, "{row}");
            assert_eq!(w.crm.written(), bytes + 1, "{row}");
            let requests = w.crm.requests().len() - before;
            assert!(
                (fewest..=fewest + 1).contains(&requests),
                "{row}: {requests}"
            );
            if requests == fewest {
                assert!(bytes > 100, "{row}: that is all of it");
                break;
            }
        }
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

/// The write's answer is lost, and so many looks after it meet a server that fails: looks go on until one says
/// something, and a person is asked only when an hour has passed without one.
#[tokio::test]
async fn a_look_that_fails_is_made_again_until_an_hour_has_passed() {
    let down = Fault::Status {
        status: 503,
        retry_after: None,
    };
    let (after, before) = (Fault::ResetAfterApplying, Fault::ResetBeforeApplying);
    // Within so many minutes, and not before so many.
    let table = [
        (&after, 1, EffectState::Succeeded, 1..5),
        (&after, 3, EffectState::Succeeded, 5..20),
        (&before, 3, EffectState::Succeeded, 5..25),
        (&after, 1_000, EffectState::Uncertain, 60..80),
        (&before, 1_000, EffectState::Uncertain, 60..80),
    ];
    for (fault, failing, state, minutes) in table {
        let dir = tempfile::tempdir().unwrap();
        let mut w = world(dir.path(), E3).await;
        w.crm.script(On::Writes, fault.clone(), 1);
        w.crm.script(On::Reads, down.clone(), failing);
        let case = w.case_of("a", BIG).await;
        let row = format!("{fault:?}, {failing} looks fail");
        let mut ended = None;
        for minute in 0..90 {
            w.settle().await.unwrap();
            let effect = w.effects(case).await.remove(0);
            let asked = w.open_tasks(case).await.len();
            let is_over = effect.state.is_settled() || asked > 0;
            if is_over && ended.is_none() {
                ended = Some((minute, effect.state, asked));
            }
            w.clock.advance(MINUTE);
        }
        let (minute, is, asked) = ended.unwrap_or_else(|| panic!("{row}: no end"));
        assert_eq!(is, state, "{row}");
        assert!(minutes.contains(&minute), "{row}: after {minute} minutes");
        assert_eq!(asked > 0, state == EffectState::Uncertain, "{row}");
        let written = usize::from(state == EffectState::Succeeded || *fault == after);
        assert_eq!(w.crm.ledger().len(), written, "{row}");
        if state == EffectState::Uncertain {
            let looks = w
                .crm
                .requests()
                .iter()
                .filter(|r| r.method == "GET")
                .count();
            assert!((5..12).contains(&looks), "{row}: {looks} looks in the hour");
            assert_eq!(w.effects(case).await[0].code, "not_looked_up", "{row}");
        }
    }
}
