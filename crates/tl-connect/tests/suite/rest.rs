//! Conditional writes against the honest fake: versions, conflicts, faults, reconciliation (E-07, E-08, A2).

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value as Json, json};
use tl_connect::call::{Call, CallError, Facts, ReadState};
use tl_connect::classify::{Action, BodySays, Ground, Observation, Overrides, classify};
use tl_connect::client::Connection;
use tl_connect::exchange::{self, ReadOutcome, To, WriteOutcome};
use tl_connect::fake::Crm;
use tl_connect::fake::crm::{Fault, MissingVersion, On};
use tl_connect::knowledge::{NotSent, Unknown};
use tl_connect::reconcile::{AfterReading, after_reading};
use tl_connect::rest::operation;
use tl_kernel::effect::Class;
use tl_kernel::expr::Template;
use tl_kernel::program::{BaseVersion, RestWrite};
use tl_kernel::program::{Lock, OnUnknown};
use tl_kernel::value::Value;

use crate::support::{Do, LOOPBACK, PATIENT, Raw, client, to, write as bytes};

fn stage(stage: &str) -> Value {
    Value::Record(BTreeMap::from([
        ("stage".to_owned(), Value::text(stage)),
        ("seats".to_owned(), Value::Int(12)),
        (
            "budget".to_owned(),
            Value::Dec("10.50".parse().expect("a decimal")),
        ),
    ]))
}

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn fields(json: Json) -> Map<String, Json> {
    json.as_object().expect("an object").clone()
}

/// One attempt at a record, with everything that a test changes.
#[derive(Clone, Copy)]
struct Attempt<'a> {
    connection: &'a Connection,
    method: &'a str,
    path: &'a str,
    body: &'a Value,
    lock: &'a Lock,
    base_version: Option<&'a str>,
    create: bool,
    idempotency: Option<(&'a str, &'a str)>,
    deadline: Duration,
    now: i64,
}

fn attempt<'a>(
    connection: &'a Connection,
    body: &'a Value,
    base_version: Option<&'a str>,
) -> Attempt<'a> {
    Attempt {
        connection,
        method: "PUT",
        path: "/leads/17",
        body,
        lock: &Lock::IfMatch,
        base_version,
        create: false,
        idempotency: None,
        deadline: PATIENT,
        now: 0,
    }
}

/// A new lead, with a key.
fn keyed<'a>(connection: &'a Connection, body: &'a Value) -> Attempt<'a> {
    Attempt {
        method: "POST",
        path: "/leads",
        lock: &Lock::LastWriterWins,
        idempotency: Some(("Idempotency-Key", "effect-1")),
        ..attempt(connection, body, None)
    }
}

impl Attempt<'_> {
    fn rest(&self) -> RestWrite {
        RestWrite {
            connection: "crm".into(),
            method: self.method.into(),
            path: Template {
                source: String::new(),
                parts: Vec::new(),
            },
            lock: self.lock.clone(),
            base: BaseVersion::Read,
            idempotency_header: self.idempotency.map(|(header, _)| header.to_owned()),
            map: Vec::new(),
        }
    }

    fn to(&self) -> To<'_> {
        To {
            connection: self.connection,
            correlation_id: "corr-1",
            trace: Some(TRACE),
            deadline: self.deadline,
            now: self.now,
        }
    }
}

async fn write(attempt: &Attempt<'_>) -> Result<WriteOutcome, CallError> {
    let op = operation(&attempt.rest(), Class::E2, OnUnknown::Hold);
    let args = Value::Record(BTreeMap::from([
        ("path".to_owned(), Value::text(attempt.path)),
        ("id".to_owned(), Value::text("17")),
    ]));
    let call = Call {
        operation: &op,
        args: &args,
        fields: attempt.body,
        settings: &BTreeMap::new(),
        effect: Facts {
            id: "eff_1",
            key: attempt.idempotency.map_or("", |(_, key)| key),
            base_version: attempt.base_version,
            create: attempt.create,
            attempt: 1,
        },
    };
    exchange::write(&client(), &call, &attempt.to()).await
}

async fn look(connection: &Connection) -> ReadOutcome {
    look_by(connection, &Lock::IfMatch).await
}

async fn look_by(connection: &Connection, lock: &Lock) -> ReadOutcome {
    let nothing = Value::Null;
    let reading = Attempt {
        lock,
        ..attempt(connection, &nothing, None)
    };
    let op = operation(&reading.rest(), Class::E2, OnUnknown::Hold);
    let args = Value::Record(BTreeMap::from([(
        "path".to_owned(),
        Value::text(reading.path),
    )]));
    let call = Call {
        operation: &op,
        args: &args,
        fields: &nothing,
        settings: &BTreeMap::new(),
        effect: Facts::default(),
    };
    exchange::read(&client(), &call, &reading.to())
        .await
        .expect("a request")
}

async fn send(attempt: &Attempt<'_>) -> WriteOutcome {
    write(attempt).await.expect("an attempt that may be sent")
}

fn action(outcome: &WriteOutcome) -> Action {
    classify(
        Class::E2,
        OnUnknown::Hold,
        &outcome.observation,
        &Overrides::default(),
    )
}

async fn crm() -> (Crm, Connection) {
    let crm = Crm::start(LOOPBACK).await.expect("a server");
    let connection = to(&crm.base_url());
    (crm, connection)
}

#[tokio::test]
async fn create_read_update_and_conflict() {
    let (crm, connection) = crm().await;
    assert_eq!(look(&connection).await.state, ReadState::Absent);

    let body = stage("new");
    let create = Attempt {
        create: true,
        ..attempt(&connection, &body, None)
    };
    let made = send(&create).await;
    assert_eq!(action(&made), Action::Succeed);
    assert_eq!(
        (made.version.as_deref(), made.vendor_ref.as_deref()),
        (Some("\"1\""), Some("17"))
    );
    assert_eq!(made.receipt.status, Some(201));
    // It exists now: a second creation is a conflict, not an overwrite.
    assert_eq!(action(&send(&create).await), Action::Conflict);

    let ReadState::Present { version, values } = look(&connection).await.state else {
        panic!("nothing was read");
    };
    assert_eq!(version.as_deref(), Some("\"1\""));
    assert_eq!(values.at(&["stage"]), Some(&Value::text("new")));

    let won = stage("won");
    let updated = send(&attempt(&connection, &won, version.as_deref())).await;
    assert_eq!(
        (action(&updated), updated.version.as_deref()),
        (Action::Succeed, Some("\"2\""))
    );
    assert_eq!(
        action(&send(&attempt(&connection, &won, version.as_deref())).await),
        Action::Conflict
    );

    let ledger = crm.ledger();
    assert_eq!(ledger.len(), 2);
    assert_eq!(ledger[1].if_match.as_deref(), Some("\"1\""));
    assert_eq!(ledger[1].correlation_id.as_deref(), Some("corr-1"));
    assert_eq!(ledger[1].traceparent.as_deref(), Some(TRACE));
    assert_eq!(
        ledger[1].body,
        br#"{"budget":10.50,"seats":12,"stage":"won"}"#
    );
}

#[tokio::test]
async fn without_a_version_nothing_is_sent() {
    let (crm, connection) = crm().await;
    crm.edit("/leads/17", fields(json!({"stage": "theirs"})));
    let body = stage("ours");
    for version in [
        None,
        Some(""),
        Some(" "),
        Some("*"),
        Some("\"1\"\r\nx: y"),
        Some("\"1\"\0"),
    ] {
        for lock in [Lock::IfMatch, Lock::Field("version".into())] {
            let refused = Attempt {
                lock: &lock,
                ..attempt(&connection, &body, version)
            };
            let result = write(&refused).await;
            assert_eq!(
                result.err(),
                Some(CallError::NoVersion),
                "{version:?} {lock:?}"
            );
        }
    }
    assert!(CallError::NoVersion.to_string().starts_with("TL0801"));
    assert_eq!(crm.requests().len(), 0);

    let aloud = Attempt {
        lock: &Lock::LastWriterWins,
        ..attempt(&connection, &body, None)
    };
    assert_eq!(action(&send(&aloud).await), Action::Succeed);
    for (behaviour, status) in [
        (MissingVersion::Refused412, 412),
        (MissingVersion::Refused428, 428),
    ] {
        crm.on_missing_version(behaviour);
        let outcome = send(&aloud).await;
        assert_eq!(
            (outcome.receipt.status, action(&outcome)),
            (Some(status), Action::Conflict)
        );
    }
}

#[tokio::test]
async fn a_version_goes_back_byte_for_byte() {
    let versions = [
        "\"34\"",
        "W/\"34\"",
        "v0",
        "34",
        "\"a b\"",
        "\"ü\"",
        "W/\"datetime'2026-11-22T00%3A00'\"",
    ];
    for version in versions {
        let answer = bytes("HTTP/1.1 204 No Content\r\n\r\n");
        let server = Raw::start(vec![vec![Do::ReadByte, answer, Do::Stay]]).await;
        let (connection, body) = (to(&server.base()), stage("x"));
        send(&attempt(&connection, &body, Some(version))).await;
        assert_eq!(
            server.count(&format!("\r\nif-match: {version}\r\n")),
            1,
            "{version}"
        );
    }
}

#[tokio::test]
async fn a_version_may_be_a_property() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 25\r\n\r\n\
                  {\"id\":17,\"stamp\":1234567}";
    let server = Raw::start(vec![vec![Do::ReadByte, bytes(answer), Do::Stay]]).await;
    let (connection, body) = (to(&server.base()), stage("x"));
    let lock = Lock::Field("stamp".into());
    let by_field = Attempt {
        lock: &lock,
        ..attempt(&connection, &body, Some("1234566"))
    };
    let outcome = send(&by_field).await;
    assert_eq!(server.count("\"stamp\":\"1234566\""), 1);
    assert_eq!(server.count("if-match"), 0);
    assert_eq!(
        (outcome.version.as_deref(), action(&outcome)),
        (Some("1234567"), Action::Succeed)
    );
}

/// What a 2xx with a body means (E-08). One case is one line.
#[tokio::test]
async fn a_contradiction_is_no_success() {
    use BodySays::{Agrees, Contradicts};
    let table = [
        (200, "application/json", r#"{"id":"17"}"#, Agrees),
        (200, "application/json", r#"{"id":17,"stage":"x"}"#, Agrees),
        (200, "application/json", r#"{}"#, Agrees),
        (200, "application/json", "", Agrees),
        (202, "text/plain", "", Agrees),
        (200, "text/plain", "Ticket 17 updated", Agrees),
        (
            200,
            "application/json",
            r#"{"id":"17","error":null,"errors":[]}"#,
            Agrees,
        ),
        (200, "application/json", r#"{"ok":true}"#, Agrees),
        (200, "application/json", r#"["Status changed"]"#, Agrees),
        (200, "application/json", r#"[]"#, Contradicts),
        (200, "application/json", r#"{"id":"18"}"#, Contradicts),
        (201, "application/json", r#"{"id":18}"#, Contradicts),
        (200, "application/json", r#"{"ok":false}"#, Contradicts),
        (200, "application/json", r#"{"success":false}"#, Contradicts),
        (
            200,
            "application/json",
            r#"{"jsonrpc":"2.0","error":{"code":-32000}}"#,
            Contradicts,
        ),
        (
            200,
            "application/json",
            r#"{"error":"denied"}"#,
            Contradicts,
        ),
        (
            200,
            "application/json",
            r#"{"errors":[{"message":"x"}]}"#,
            Contradicts,
        ),
        (200, "text/html", r#"{"error":"denied"}"#, Contradicts),
        (
            200,
            "application/json",
            "<html>maintenance</html>",
            Contradicts,
        ),
        (200, "application/problem+json", "{", Contradicts),
    ];
    for (status, kind, text, says) in table {
        let answer = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{text}",
            text.len()
        );
        let server = Raw::start(vec![vec![Do::ReadByte, bytes(&answer), Do::Stay]]).await;
        let (connection, body) = (to(&server.base()), stage("x"));
        let outcome = send(&attempt(&connection, &body, Some("v0"))).await;
        assert!(
            matches!(outcome.observation, Observation::Answered { body, .. } if body == says),
            "{status} {text}: {:?}",
            outcome.observation
        );
    }
}

/// Every fault of the fake: what the attempt knows, what the ledger says, and what a read then finds. The read and
/// the ledger always agree.
#[tokio::test]
async fn after_every_fault_a_read_tells_the_truth() {
    let unavailable = |wait: Option<&str>| Fault::Status {
        status: 503,
        retry_after: wait.map(str::to_owned),
    };
    let theirs = fields(json!({"stage": "theirs"}));
    let table = [
        (unavailable(None), Action::Reread, AfterReading::NotApplied),
        (
            unavailable(Some("5")),
            Action::Reread,
            AfterReading::NotApplied,
        ),
        (
            Fault::ResetBeforeApplying,
            Action::Reread,
            AfterReading::NotApplied,
        ),
        (
            Fault::ResetAfterApplying,
            Action::Reread,
            AfterReading::Applied,
        ),
        (
            Fault::CloseAfterApplying,
            Action::Reread,
            AfterReading::Applied,
        ),
        (Fault::HalfAnswer, Action::Reread, AfterReading::Applied),
        (
            Fault::DeliveredTwice,
            Action::Conflict,
            AfterReading::Applied,
        ),
        (
            Fault::SilenceAfterApplying,
            Action::Reread,
            AfterReading::Applied,
        ),
        (
            Fault::StatusAfterApplying(502),
            Action::Reread,
            AfterReading::Applied,
        ),
        (
            Fault::StatusAfterApplying(504),
            Action::Reread,
            AfterReading::Applied,
        ),
        (Fault::ErrorIn200, Action::Reread, AfterReading::NotApplied),
        (Fault::OtherId, Action::Reread, AfterReading::Applied),
        (
            Fault::EditedFirst(theirs),
            Action::Conflict,
            AfterReading::ChangedByOthers,
        ),
        (
            Fault::Delay(Duration::from_millis(20)),
            Action::Succeed,
            AfterReading::Applied,
        ),
        (Fault::NoVersion, Action::Succeed, AfterReading::Applied),
    ];
    for (fault, expected, found) in table {
        let (crm, connection) = crm().await;
        crm.edit("/leads/17", fields(json!({"stage": "old"})));
        crm.script(On::Writes, fault.clone(), 1);
        let body = stage("ours");
        let silent = fault == Fault::SilenceAfterApplying;
        let ours = Attempt {
            deadline: if silent {
                Duration::from_secs(2)
            } else {
                PATIENT
            },
            ..attempt(&connection, &body, Some("\"1\""))
        };
        let outcome = send(&ours).await;
        assert_eq!(action(&outcome), expected, "{fault:?}");
        let state = look(&connection).await.state;
        let after = after_reading(ours.base_version, &body, &state);
        assert_eq!(after, found, "{fault:?}: {state:?}");
        assert_eq!(
            crm.ledger().len() == 1,
            found == AfterReading::Applied,
            "{fault:?}"
        );
        if after == AfterReading::NotApplied {
            assert_eq!(
                action(&send(&ours).await),
                Action::Succeed,
                "{fault:?}: the second try"
            );
            assert_eq!(crm.ledger().len(), 1, "{fault:?}");
        }
    }
}

#[tokio::test]
async fn a_key_makes_a_second_try_harmless() {
    for fault in [
        Fault::ResetAfterApplying,
        Fault::CloseAfterApplying,
        Fault::HalfAnswer,
    ] {
        let (crm, connection) = crm().await;
        crm.script(On::Writes, fault.clone(), 1);
        let body = stage("new");
        let keyed = keyed(&connection, &body);
        let first = send(&keyed).await;
        let repeat = classify(
            Class::E1,
            OnUnknown::Hold,
            &first.observation,
            &Overrides::default(),
        );
        assert!(
            matches!(repeat, Action::Retry { .. }),
            "{fault:?}: {repeat:?}"
        );
        let second = send(&keyed).await;
        assert_eq!(
            (action(&second), second.vendor_ref.as_deref()),
            (Action::Succeed, Some("1")),
            "{fault:?}"
        );
        assert_eq!(crm.ledger().len(), 1, "{fault:?}");
        assert_eq!(crm.ledger()[0].key.as_deref(), Some("effect-1"));
        let sent = crm.requests();
        assert_eq!(
            sent[0].body, sent[1].body,
            "the same key carries the same bytes"
        );
    }
}

#[tokio::test]
async fn a_key_makes_a_second_delivery_harmless() {
    let (crm, connection) = crm().await;
    crm.script(On::Writes, Fault::DeliveredTwice, 1);
    let body = stage("new");
    let keyed = keyed(&connection, &body);
    let outcome = send(&keyed).await;
    assert_eq!(
        (action(&outcome), outcome.vendor_ref.as_deref()),
        (Action::Succeed, Some("1"))
    );
    assert_eq!(crm.ledger().len(), 1);
}

/// The answer to a write that was applied breaks off after each of its bytes: nobody says that it was not, and a read
/// of which the answer breaks off in the same way never says that there is no record.
#[tokio::test]
async fn an_answer_that_breaks_off_anywhere_never_means_that_nothing_happened() {
    let body = stage("won");
    for bytes in 0.. {
        let (crm, connection) = crm().await;
        crm.edit("/leads/17", fields(json!({"stage": "old"})));
        let ours = Attempt {
            idempotency: Some(("Idempotency-Key", "effect-1")),
            ..attempt(&connection, &body, Some("\"1\""))
        };
        crm.script(On::Writes, Fault::CutAnswer(bytes), 1);
        crm.script(On::Reads, Fault::CutAnswer(bytes), 1);
        let outcome = send(&ours).await;
        assert_eq!(crm.ledger().len(), 1, "{bytes} bytes");
        let said = |class| {
            classify(
                class,
                OnUnknown::Hold,
                &outcome.observation,
                &Overrides::default(),
            )
        };
        if said(Class::E4) == Action::Succeed {
            assert!(bytes > 100, "{bytes} bytes: that is all of it");
            break;
        }
        let again = Action::Retry {
            retry_after: None,
            ground: Ground::SameKey,
        };
        let all = [Class::E1, Class::E2, Class::E3, Class::E4].map(said);
        let wanted = [again, Action::Reread, Action::Uncertain, Action::Uncertain];
        assert_eq!(all, wanted, "{bytes} bytes: {:?}", outcome.observation);
        let cut = look(&connection).await.state;
        let after = after_reading(ours.base_version, &body, &cut);
        let told = matches!(cut, ReadState::Present { .. });
        let wanted = match told {
            true => AfterReading::Applied,
            false => AfterReading::Unclear,
        };
        assert_eq!(after, wanted, "{bytes} bytes: {cut:?}");
        let whole = look(&connection).await.state;
        let after = after_reading(ours.base_version, &body, &whole);
        assert_eq!(after, AfterReading::Applied, "{bytes} bytes");
    }
}

#[tokio::test]
async fn our_own_key_in_a_409_is_a_success() {
    let text = r#"{"idempotency_key":"effect-1"}"#;
    let answer = format!(
        "HTTP/1.1 409 Conflict\r\ncontent-length: {}\r\n\r\n{text}",
        text.len()
    );
    for (key, ours) in [("effect-1", true), ("effect-2", false)] {
        let server = Raw::start(vec![vec![Do::ReadByte, bytes(&answer), Do::Stay]]).await;
        let (connection, body) = (to(&server.base()), stage("x"));
        let keyed = Attempt {
            idempotency: Some(("idempotency-key", key)),
            ..attempt(&connection, &body, Some("v0"))
        };
        let outcome = send(&keyed).await;
        let action = classify(
            Class::E1,
            OnUnknown::Hold,
            &outcome.observation,
            &Overrides::default(),
        );
        assert_eq!(action == Action::Succeed, ours, "{key}: {action:?}");
    }
}

#[tokio::test]
async fn reads_that_fail_say_nothing_about_the_record() {
    let status = |status| Fault::Status {
        status,
        retry_after: None,
    };
    for fault in [
        status(500),
        status(503),
        status(403),
        status(304),
        Fault::ErrorIn200,
        Fault::ResetBeforeApplying,
    ] {
        let (crm, connection) = crm().await;
        crm.edit("/leads/17", fields(json!({"stage": "old"})));
        crm.script(On::Reads, fault.clone(), 1);
        let outcome = look(&connection).await;
        assert_eq!(outcome.state, ReadState::Unread, "{fault:?}");
        assert_eq!(
            after_reading(Some("\"1\""), &stage("x"), &outcome.state),
            AfterReading::Unclear
        );
    }
    let (crm, connection) = crm().await;
    crm.edit("/leads/17", fields(json!({"stage": "old"})));
    crm.script(On::Reads, Fault::NoVersion, 1);
    let state = look(&connection).await.state;
    assert!(
        matches!(state, ReadState::Present { version: None, .. }),
        "{state:?}"
    );
    assert_eq!(
        after_reading(Some("\"1\""), &stage("x"), &state),
        AfterReading::Unclear
    );
}

#[test]
fn a_read_is_compared_with_what_was_written() {
    let written = stage("won");
    let present = |version: &str, values: Json| ReadState::Present {
        version: Some(version.into()),
        values: tl_connect::json::to_value(&values),
    };
    let same = json!({"stage": "won", "seats": 12, "budget": "10.50", "owner": "x"});
    let as_text = json!({"stage": "won", "seats": "12", "budget": 10.5});
    let part = json!({"stage": "won", "seats": 12});
    let other = json!({"stage": "lost", "seats": 12, "budget": "10.50"});
    let table = [
        (
            Some("v1"),
            present("v2", same.clone()),
            AfterReading::Applied,
        ),
        (Some("v1"), present("v2", as_text), AfterReading::Applied),
        (
            Some("v1"),
            present("v2", part),
            AfterReading::ChangedByOthers,
        ),
        (
            Some("v1"),
            present("v2", other.clone()),
            AfterReading::ChangedByOthers,
        ),
        (
            Some("v1"),
            present("v1", same.clone()),
            AfterReading::NotApplied,
        ),
        (
            Some("v1"),
            present("v1", other.clone()),
            AfterReading::NotApplied,
        ),
        (Some("v1"), ReadState::Absent, AfterReading::ChangedByOthers),
        (Some("v1"), ReadState::Unread, AfterReading::Unclear),
        (None, ReadState::Absent, AfterReading::NotApplied),
        (None, present("v1", same), AfterReading::Applied),
        (None, present("v1", other), AfterReading::ChangedByOthers),
        (None, ReadState::Unread, AfterReading::Unclear),
    ];
    for (base, state, expected) in table {
        assert_eq!(
            after_reading(base, &written, &state),
            expected,
            "{base:?} {state:?}"
        );
    }
}

#[tokio::test]
async fn attempts_that_cannot_be_are_refused() {
    let (crm, connection) = crm().await;
    let record = stage("x");
    let wrong_method = Attempt {
        method: "GET",
        ..attempt(&connection, &record, Some("v"))
    };
    assert_eq!(write(&wrong_method).await.err(), Some(CallError::Method));
    let text = Value::text("x");
    let no_record = attempt(&connection, &text, Some("v"));
    assert_eq!(write(&no_record).await.err(), Some(CallError::Body));
    let climbing = Attempt {
        path: "/leads/../admin",
        ..attempt(&connection, &record, Some("v"))
    };
    let outcome = send(&climbing).await;
    assert_eq!(outcome.observation, Observation::NotSent(NotSent::Target));
    assert_eq!(crm.requests().len(), 0);
}

#[tokio::test]
async fn the_receipt_names_the_attempt_and_holds_no_content() {
    let answer = "HTTP/1.1 200 OK\r\nx-request-id: req-9\r\netag: \"2\"\r\ncontent-length: 8\r\n\r\npersonal";
    let server = Raw::start(vec![vec![Do::ReadByte, bytes(answer), Do::Stay]]).await;
    let (connection, body) = (to(&server.base()), stage("x"));
    let outcome = send(&attempt(&connection, &body, Some("\"1\""))).await;
    assert_eq!(outcome.receipt.request_id.as_deref(), Some("req-9"));
    assert_eq!(
        outcome.receipt.answer,
        Some(tl_kernel::digest::sha256(&[b"personal"]))
    );
    assert!(!format!("{outcome:?}").contains("personal"));
    let lost = Raw::start(vec![vec![Do::ReadByte, Do::Stay]]).await;
    let connection = to(&lost.base());
    let hasty = Attempt {
        deadline: Duration::from_millis(100),
        ..attempt(&connection, &body, Some("\"1\""))
    };
    let outcome = send(&hasty).await;
    assert_eq!(outcome.observation, Observation::Unknown(Unknown::Deadline));
    assert_eq!(
        (outcome.receipt.status, outcome.receipt.answer),
        (None, None)
    );
}

/// How vendors show what was written, one case a line.
#[test]
fn a_value_is_recognised_in_the_vendors_form() {
    let dec = |text: &str| Value::Dec(text.parse().expect("a decimal"));
    let noon = Value::Time(1_795_348_803_123_456);
    let table = [
        (Value::text("a"), json!("a"), true),
        (Value::text("a"), json!("b"), false),
        (Value::text("7"), json!(7), true),
        (Value::text("007"), json!(7), false),
        (Value::text(""), Json::Null, true),
        (Value::Null, json!(""), true),
        (Value::Null, json!("a"), false),
        (Value::Int(12), json!("12.0"), true),
        (Value::Int(12), json!("12 seats"), false),
        (dec("10.50"), json!(10.5), true),
        (dec("10.50"), json!("10.51"), false),
        (Value::Bool(true), json!("true"), true),
        (Value::Bool(true), json!(false), false),
        (noon.clone(), json!("2026-11-22T12:00:03.123456Z"), true),
        (noon.clone(), json!("2026-11-22T13:00:03.123+01:00"), true),
        (noon.clone(), json!("2026-11-22T12:00:03Z"), true),
        (noon, json!("2026-11-22T12:00:04Z"), false),
        (Value::List(vec![Value::Int(1)]), json!([1]), true),
        (Value::List(vec![Value::Int(1)]), json!([1, 2]), false),
        (Value::List(vec![dec("1.50")]), json!(["1.5"]), true),
        (
            stage("won"),
            json!({"stage": "won", "seats": "12", "budget": 10.5}),
            true,
        ),
        (
            stage("won"),
            json!({"stage": "won", "seats": 12, "budget": 10.51}),
            false,
        ),
        (stage("won"), json!({"stage": "won", "seats": 12}), false),
    ];
    for (value, shown, same) in table {
        let written = Value::Record(BTreeMap::from([("p".to_owned(), value)]));
        let state = ReadState::Present {
            version: Some("v2".into()),
            values: tl_connect::json::to_value(&json!({"p": shown})),
        };
        let found = after_reading(Some("v1"), &written, &state);
        assert_eq!(
            found == AfterReading::Applied,
            same,
            "{written:?} shown as {shown}"
        );
    }
}
