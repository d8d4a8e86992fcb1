//! The table of answers, code by code.

use std::sync::atomic::Ordering;

use tl_web::intake::AdmitError;

use crate::support::{
    EVENTS_KEY, EXPIRED_KEY, NOW, OTHER_KEY, READ_KEY, Req, api_key, body_deadline, server,
    server_with, token,
};

const LEAD: &str = r#"{"email":"ada@example.com"}"#;
const NOTE: &str = r#"{"endpoint":"notes","body":{"email":"ada@example.com"}}"#;

fn lead() -> Req {
    Req::post("/hooks/acme/leads", LEAD)
        .header("idempotency-key", "k1")
        .signed()
}

fn note() -> Req {
    Req::post("/v1/events", NOTE)
        .header("idempotency-key", "k1")
        .bearer(&api_key(EVENTS_KEY))
}

/// Each row: what is sent, the status, the code of the problem.
#[tokio::test]
async fn every_refusal_has_its_status_and_code_and_stores_nothing() {
    let server = server().await;
    let long = "a".repeat(9_000);
    let big = format!(r#"{{"email":"{}"}}"#, "x".repeat(70_000));
    let big_note = format!(r#"{{"endpoint":"notes","body":{big}}}"#);
    let head = |n: usize, size: usize| {
        (0..n).fold(lead(), |r, i| {
            r.header(&format!("x-fill-{i}"), &"f".repeat(size))
        })
    };
    let table: Vec<(&str, Req, u16, &str)> = vec![
        ("unknown address", Req::get("/nothing"), 404, "TL1001"),
        (
            "unknown tenant",
            Req::post("/hooks/nobody/leads", LEAD).signed(),
            404,
            "TL1001",
        ),
        (
            "unknown door",
            Req::post("/hooks/acme/nothing", LEAD).signed(),
            404,
            "TL1001",
        ),
        (
            "closed door",
            Req::post("/hooks/acme/closed", LEAD).signed(),
            404,
            "TL1001",
        ),
        (
            "door without a secret",
            Req::post("/hooks/acme/bare", LEAD).signed(),
            404,
            "TL1001",
        ),
        (
            "door for tokens without keys",
            Req::post("/hooks/acme/keyless", LEAD).bearer(&token("ada", 60)),
            404,
            "TL1001",
        ),
        (
            "an API door as a hook",
            Req::post("/hooks/acme/notes", LEAD).bearer(&api_key(EVENTS_KEY)),
            404,
            "TL1001",
        ),
        (
            "a JSON door as a form",
            Req::post("/forms/acme/leads", LEAD).signed(),
            404,
            "TL1001",
        ),
        (
            "a name that is no UTF-8",
            Req::post("/hooks/acme/%ff", LEAD).signed(),
            404,
            "TL1001",
        ),
        ("wrong method", Req::get("/hooks/acme/leads"), 405, "TL1002"),
        (
            "wrong method, unknown door",
            Req::get("/hooks/acme/nothing"),
            405,
            "TL1002",
        ),
        (
            "no delete",
            Req::new("DELETE", "/v1/records/lead/1"),
            405,
            "TL1002",
        ),
        (
            "chunked",
            lead().header("transfer-encoding", "chunked"),
            411,
            "TL1004",
        ),
        (
            "too large",
            Req::post("/hooks/acme/leads", big).signed(),
            413,
            "TL1005",
        ),
        (
            "said to be too large",
            lead().header("content-length", "99999999999999"),
            413,
            "TL1005",
        ),
        (
            "long target",
            Req::post(&format!("/hooks/acme/leads?{long}"), LEAD).signed(),
            414,
            "TL1006",
        ),
        ("large head", head(20, 2_000), 431, "TL1009"),
        (
            "no content type",
            lead().without("content-type"),
            415,
            "TL1007",
        ),
        (
            "two content types",
            lead().header("content-type", "application/json"),
            415,
            "TL1007",
        ),
        (
            "text",
            lead().set("content-type", "text/plain"),
            415,
            "TL1007",
        ),
        (
            "a form",
            lead().set("content-type", "application/x-www-form-urlencoded"),
            415,
            "TL1007",
        ),
        (
            "another charset",
            lead().set("content-type", "application/json; charset=utf-16"),
            415,
            "TL1007",
        ),
        (
            "gzip",
            lead().header("content-encoding", "gzip"),
            415,
            "TL1008",
        ),
        ("unsigned", lead().without("x-signature"), 401, "TL1012"),
        (
            "wrong secret",
            lead().signed_with("another secret altogether"),
            401,
            "TL1012",
        ),
        (
            "foreign secret",
            lead().signed_with("secret of the door at other, unlike"),
            401,
            "TL1012",
        ),
        (
            "two signatures",
            lead().header("x-signature", "sha256=00"),
            401,
            "TL1012",
        ),
        (
            "no JSON",
            Req::post("/hooks/acme/leads", "{").signed(),
            400,
            "TL1010",
        ),
        (
            "a name twice",
            Req::post("/hooks/acme/leads", r#"{"email":"a","email":"b"}"#).signed(),
            400,
            "TL1010",
        ),
        (
            "two keys",
            lead().header("idempotency-key", "k2"),
            400,
            "TL1011",
        ),
        (
            "wrong shape",
            Req::post("/hooks/acme/leads", r#"{"seats":0}"#).signed(),
            422,
            "TL1016",
        ),
        (
            "no e-mail address",
            Req::post("/hooks/acme/leads", r#"{"email":"nope"}"#).signed(),
            422,
            "TL1016",
        ),
        (
            "more than the door of an API call takes",
            Req::post("/v1/events", big_note)
                .header("idempotency-key", "big")
                .bearer(&api_key(EVENTS_KEY)),
            413,
            "TL1005",
        ),
        ("no key", note().without("idempotency-key"), 400, "TL1011"),
        (
            "long key",
            note().set("idempotency-key", &"k".repeat(256)),
            400,
            "TL1011",
        ),
        (
            "no credential",
            note().without("authorization"),
            401,
            "TL1012",
        ),
        ("mistyped key", note().bearer("tl_abc"), 401, "TL1012"),
        ("unissued key", note().bearer(&api_key(99)), 401, "TL1012"),
        (
            "expired key",
            note().bearer(&api_key(EXPIRED_KEY)),
            401,
            "TL1012",
        ),
        (
            "key without the scope",
            note().bearer(&api_key(READ_KEY)),
            403,
            "TL1013",
        ),
        (
            "unknown door of the API",
            Req::post("/v1/events", r#"{"endpoint":"x","body":1}"#)
                .header("idempotency-key", "k")
                .bearer(&api_key(EVENTS_KEY)),
            404,
            "TL1001",
        ),
        (
            "a door that takes no API key",
            Req::post("/v1/events", r#"{"endpoint":"either","body":1}"#)
                .header("idempotency-key", "k")
                .bearer(&api_key(EVENTS_KEY)),
            404,
            "TL1001",
        ),
        (
            "token without a tenant",
            note().bearer(&token("ada", 60)),
            401,
            "TL1012",
        ),
        (
            "key of another tenant, its own door unseen",
            Req::post("/v1/records/lead/1", LEAD).bearer(&api_key(OTHER_KEY)),
            405,
            "TL1002",
        ),
        (
            "API text",
            note().set("content-type", "text/plain"),
            415,
            "TL1007",
        ),
        (
            "API wrong shape",
            Req::post("/v1/events", r#"{"endpoint":"notes","body":{"seats":"x"}}"#)
                .header("idempotency-key", "shape")
                .bearer(&api_key(EVENTS_KEY)),
            422,
            "TL1016",
        ),
        (
            "record of another form",
            Req::get("/v1/records/Lead!/1").bearer(&api_key(READ_KEY)),
            400,
            "TL1010",
        ),
        (
            "no such record",
            Req::get("/v1/records/lead/1").bearer(&api_key(READ_KEY)),
            404,
            "TL1001",
        ),
        (
            "no such case",
            Req::get("/v1/cases/case_x").bearer(&api_key(READ_KEY)),
            404,
            "TL1001",
        ),
        (
            "reading without the scope",
            Req::get("/v1/cases").bearer(&api_key(EVENTS_KEY)),
            403,
            "TL1013",
        ),
    ];
    for (what, request, status, code) in table {
        let answer = server.send(request).await;
        assert_eq!(
            (answer.status, answer.at("/code").as_str()),
            (status, code),
            "{what}: {}",
            answer.text()
        );
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json"),
            "{what}"
        );
        assert!(
            answer
                .header("x-request-id")
                .is_some_and(|id| id.starts_with("req_")),
            "{what}"
        );
        let detail = answer.at("/detail");
        assert!(
            detail.len() > 10 && !detail.contains("ada@"),
            "{what}: {detail}"
        );
        assert!(!answer.at("/title").is_empty(), "{what}");
        let closes = matches!(status, 411 | 413 | 414 | 431);
        assert_eq!(answer.closes, closes, "{what}");
    }
    assert_eq!(server.stored().await, 0);
}

#[tokio::test]
async fn a_first_message_is_202_and_the_same_again_is_200() {
    let server = server().await;
    let first = server.send(lead()).await;
    assert_eq!(first.status, 202, "{}", first.text());
    assert_eq!(first.at("/status"), "accepted");
    let event = first.at("/event_id");
    assert!(event.starts_with("evt_"));
    assert_eq!(first.header("content-type"), Some("application/json"));
    assert_eq!(first.header("idempotency-replayed"), None);

    let again = server.send(lead()).await;
    assert_eq!(again.status, 200);
    assert_eq!(
        (again.at("/event_id"), again.at("/status")),
        (event, "duplicate".into())
    );
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(server.stored().await, 1);
}

#[tokio::test]
async fn what_the_product_answers_becomes_a_status() {
    let server = server().await;
    let table = [
        (AdmitError::Unavailable, 503, "TL1018"),
        (AdmitError::Faulty(7), 500, "TL1020"),
        (
            AdmitError::Refused("TL0501", "The case is closed for good.".into()),
            422,
            "TL0501",
        ),
    ];
    for (error, status, code) in table {
        *server.world.fails.lock().unwrap() = Some(error);
        let answer = server.send(lead()).await;
        assert_eq!((answer.status, answer.at("/code").as_str()), (status, code));
        assert_eq!(answer.header("retry-after").is_some(), status == 503);
    }
    server.world.panics.store(true, Ordering::Relaxed);
    let answer = server.send(lead()).await;
    assert_eq!(
        (answer.status, answer.at("/code").as_str()),
        (500, "TL1020")
    );
    assert_eq!(server.send(lead()).await.status, 202, "a retry is safe");
}

#[tokio::test]
async fn refusals_of_one_kind_are_alike_to_the_byte() {
    let server = server().await;
    let shown = |a: &crate::support::Answer| {
        let mut headers = a.headers.clone();
        headers.retain(|(n, _)| n != "x-request-id" && n != "date");
        (a.status, headers, a.body.clone())
    };
    let absent = [
        "/hooks/nobody/leads",
        "/hooks/acme/nothing",
        "/hooks/acme/closed",
        "/hooks/acme/bare",
    ];
    let first = server.send(Req::post(absent[0], LEAD).signed()).await;
    for target in absent {
        let answer = server.send(Req::post(target, LEAD).signed()).await;
        assert_eq!(shown(&answer), shown(&first), "{target}");
    }
    let now = NOW / 1_000_000;
    let late = Req::post("/hooks/acme/timed", LEAD).timed(-301);
    let unread = late.clone().set("x-timestamp", "tomorrow");
    let doubted = [
        lead().without("x-signature"),
        lead().set("x-signature", "sha256=zz"),
        lead().signed_with("no secret of theirs"),
        late,
        unread,
        Req::post("/hooks/acme/timed", LEAD)
            .signed()
            .set("x-timestamp", &now.to_string()),
        Req::post("/hooks/acme/either", LEAD).bearer(&token("ada", -3600)),
        note().bearer(&api_key(99)),
    ];
    let first = server.send(doubted[0].clone()).await;
    assert_eq!(first.status, 401);
    for (i, request) in doubted.into_iter().enumerate() {
        let answer = server.send(request).await;
        assert_eq!(shown(&answer), shown(&first), "row {i}");
    }
}

#[tokio::test]
async fn a_wrong_shape_names_every_field_and_no_value() {
    let server = server().await;
    let body = r#"{"seats":"secret1","intent":"secret2","contact":{"phone":1},"message":"<secret3>","secret~4/x":1}"#;
    let answer = server
        .send(Req::post("/hooks/acme/leads", body).signed())
        .await;
    assert_eq!(answer.status, 422);
    let errors: Vec<String> = answer.json()["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| {
            format!(
                "{} {}",
                e["pointer"].as_str().unwrap(),
                e["expected"].as_str().unwrap()
            )
        })
        .collect();
    let want = [
        "/contact/name is required",
        "/email is required",
        "/intent must be one of [\"demo\",\"pricing\"]",
        "/message must match ^[^<>]*$",
        "/seats must be of type integer",
        "/secret~04~1x is not declared",
    ];
    assert_eq!(errors, want);
    for value in ["secret1", "secret2", "secret3"] {
        assert!(!answer.text().contains(value), "{value} is repeated");
    }
}

#[tokio::test]
async fn a_slow_body_is_408_and_the_connection_ends() {
    let server = server_with(body_deadline(50)).await;
    let mut bytes = lead().bytes();
    bytes.truncate(bytes.len() - 5);
    let answer = server.raw(&bytes).await;
    assert_eq!(
        (answer.status, answer.at("/code").as_str()),
        (408, "TL1003")
    );
    assert!(answer.closes);
    assert_eq!(server.stored().await, 0);
}
