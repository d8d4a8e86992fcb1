//! The Idempotency-Key of our own API (W-07): what a second request with a key gets.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tl_web::WebConfig;
use tl_web::intake::AdmitError;

use crate::support::{Answer, EVENTS_KEY, OTHER_KEY, Req, Server, api_key, server, server_with};

const GOOD: &str = r#"{"endpoint":"notes","body":{"email":"a@example.com"}}"#;
const OTHER: &str = r#"{"endpoint":"notes","body":{"email":"b@example.com"}}"#;
const WRONG: &str = r#"{"endpoint":"notes","body":{"seats":0}}"#;

fn post(body: &str) -> Req {
    Req::post("/v1/events", body)
        .header("idempotency-key", "k")
        .bearer(&api_key(EVENTS_KEY))
}

/// What happened to the first request with the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    Nothing,
    Accepted,
    Refused,
    Failed,
    Crashed,
    InFlight,
    Expired,
}

async fn after(first: First, server: &Arc<Server>) -> Option<Answer> {
    match first {
        First::Nothing => None,
        First::Accepted => Some(server.send(post(GOOD)).await),
        First::Refused => Some(server.send(post(WRONG)).await),
        First::Failed => {
            *server.world.fails.lock().unwrap() = Some(AdmitError::Unavailable);
            Some(server.send(post(GOOD)).await)
        }
        First::Crashed => {
            server.world.panics.store(true, Ordering::Relaxed);
            Some(server.send(post(GOOD)).await)
        }
        First::InFlight => {
            server.world.gate.forget_permits(1_000);
            let held = Arc::clone(server);
            tokio::spawn(async move { held.send(post(GOOD)).await });
            while server.world.begun() == 0 {
                tokio::task::yield_now().await;
            }
            None
        }
        First::Expired => {
            let answer = server.send(post(GOOD)).await;
            let mut unit = tl_store::Unit::new(tl_kernel::id::TenantId(1));
            server.world.pass(tl_kernel::limits::DEDUPE_KEEP + 1);
            let now = server.world.now.load(Ordering::Relaxed);
            unit.rows = (0..=255)
                .map(|part| tl_store::Row::Sweep {
                    part,
                    now,
                    slots_before: now,
                })
                .collect();
            server.world.store.commit(unit).await.unwrap();
            Some(answer)
        }
    }
}

/// Each row: what came first, the second request, its status, whether it is a replay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_request_gets_what_the_table_says() {
    let same_of = |first| if first == First::Refused { WRONG } else { GOOD };
    let table = [
        (First::Nothing, "same", 202, false),
        (First::Accepted, "same", 202, true),
        (First::Accepted, "different", 422, false),
        (First::Accepted, "other tenant", 202, false),
        (First::Refused, "same", 422, true),
        (First::Refused, "different", 422, false),
        (First::Failed, "same", 202, false),
        (First::Failed, "different", 202, false),
        (First::Crashed, "same", 202, false),
        (First::Crashed, "different", 202, false),
        (First::InFlight, "same", 409, false),
        (First::InFlight, "different", 409, false),
        (First::Expired, "same", 202, false),
        (First::Expired, "different", 202, false),
    ];
    for (first, second, status, replayed) in table {
        let config = WebConfig {
            same_key_wait: Duration::from_millis(50),
            ..WebConfig::default()
        };
        let server = Arc::new(server_with(config).await);
        let earlier = after(first, &server).await;
        let request = match second {
            "same" => post(same_of(first)),
            "different" => post(OTHER),
            _ => post(GOOD).bearer(&api_key(OTHER_KEY)),
        };
        let before = server.stored().await;
        let answer = server.send(request).await;
        let row = format!("{first:?}, {second}: {}", answer.text());
        assert_eq!(answer.status, status, "{row}");
        assert_eq!(
            answer.header("idempotency-replayed").is_some(),
            replayed,
            "{row}"
        );
        if replayed {
            let earlier = earlier.unwrap();
            assert_eq!(
                (answer.status, &answer.body),
                (earlier.status, &earlier.body),
                "{row}"
            );
            assert_eq!(
                answer.header("content-type"),
                earlier.header("content-type"),
                "{row}"
            );
            assert_eq!(server.stored().await, before, "{row}");
        }
        if status == 409 {
            assert_eq!(answer.at("/code"), "TL1014");
            assert_eq!(answer.header("retry-after"), Some("1"));
            server.world.gate.add_permits(1);
            let done = server.send(post(GOOD)).await;
            assert_eq!(
                done.status,
                202,
                "the first request went on: {}",
                done.text()
            );
        }
        if second == "different" && status == 422 && first == First::Accepted {
            assert_eq!(answer.at("/code"), "TL1015");
        }
    }
}

#[tokio::test]
async fn a_key_is_bound_to_everything_that_changes_the_meaning() {
    let server = server().await;
    assert_eq!(server.send(post(GOOD)).await.status, 202);
    let table = [
        ("the same", post(GOOD), 202),
        ("quoted", post(GOOD).set("idempotency-key", "\"k\""), 202),
        (
            "older spelling",
            post(GOOD)
                .without("idempotency-key")
                .header("x-idempotency-key", "k"),
            202,
        ),
        ("another body", post(OTHER), 422),
        (
            "another notation of the body",
            post(&GOOD.replace(':', ": ")),
            422,
        ),
        (
            "another content type",
            post(GOOD).set("content-type", "application/json; charset=utf-8"),
            422,
        ),
        (
            "a query",
            Req::post("/v1/events?x=1", GOOD)
                .header("idempotency-key", "k")
                .bearer(&api_key(EVENTS_KEY)),
            422,
        ),
        (
            "a header that means nothing",
            post(GOOD).header("x-other", "1"),
            202,
        ),
    ];
    for (what, request, status) in table {
        let answer = server.send(request).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
    }
    assert_eq!(server.stored().await, 1);
}

#[tokio::test]
async fn refusals_that_judge_nothing_are_not_remembered() {
    let server = server().await;
    let table = [
        post(GOOD).without("authorization"),
        post(GOOD).set("content-type", "text/plain"),
        post("{").clone(),
        post(GOOD).header("content-encoding", "gzip"),
        post(r#"{"endpoint":"nothing","body":1}"#),
        post(r#"{"endpoint":"notes"}"#),
    ];
    for (i, request) in table.into_iter().enumerate() {
        assert!(server.send(request).await.status >= 400, "row {i}");
        assert_eq!(server.stored().await, 0);
    }
    assert_eq!(
        server.send(post(GOOD)).await.status,
        202,
        "the key is still new"
    );
}

#[tokio::test]
async fn the_envelope_names_its_own_mistakes() {
    let server = server().await;
    let table = [
        (r#"[]"#, vec![""]),
        (r#"{}"#, vec!["/endpoint", "/body"]),
        (
            r#"{"endpoint":1,"body":1,"more":1}"#,
            vec!["/endpoint", "/more"],
        ),
        (
            r#"{"endpoint":"notes","body":{},"correlation_id":1}"#,
            vec!["/correlation_id"],
        ),
    ];
    for (body, pointers) in table {
        let answer = server.send(post(body)).await;
        assert_eq!(answer.status, 422, "{body}");
        let got: Vec<String> = answer.json()["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["pointer"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(got, pointers, "{body}");
    }
    let named = r#"{"endpoint":"notes","body":{"email":"a@b.de"},"correlation_id":"c-1","external_id":"PN-1"}"#;
    assert_eq!(server.send(post(named)).await.status, 202);
    let event = server.world.last().event;
    let text = |name: &str| {
        event
            .at(&[name])
            .and_then(|v| v.as_text().map(str::to_owned))
    };
    assert_eq!(text("correlation_id").as_deref(), Some("c-1"));
    assert_eq!(text("external_id").as_deref(), Some("PN-1"));
}

/// What the workflow points at comes before the caller's key: another key does not make it another order.
#[tokio::test]
async fn a_pointer_of_the_workflow_counts_for_callers_too() {
    let server = server().await;
    let order = |id: u32, key: &str| {
        post(&format!(
            r#"{{"endpoint":"orders","body":{{"order":{{"id":{id}}}}}}}"#
        ))
        .set("idempotency-key", key)
    };
    let first = server.send(order(7, "a")).await;
    assert_eq!(first.status, 202, "{}", first.text());
    assert_eq!(server.world.last().key_source, "pointer");
    assert_eq!(
        server.send(order(7, "a")).await.body,
        first.body,
        "a replay"
    );
    let again = server.send(order(7, "b")).await;
    assert_eq!(
        (again.status, again.at("/event_id")),
        (200, first.at("/event_id"))
    );
    assert_eq!(server.send(order(8, "c")).await.status, 202);
    assert_eq!(server.stored().await, 2);
}
