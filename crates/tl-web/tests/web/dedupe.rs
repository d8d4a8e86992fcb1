//! By what a repeated message is recognised (W-06), and what expressions see of a message.

use tl_kernel::limits::DEDUPE_KEEP;
use tl_kernel::value::Value;

use crate::support::{NOW, Req, SECOND, Server, server, token};

const A: &str = r#"{"email":"a@example.com"}"#;
const B: &str = r#"{"email":"b@example.com"}"#;
const HOUR: i64 = 3_600_000_000;

fn lead(key: &str, body: &str) -> Req {
    Req::post("/hooks/acme/leads", body)
        .header("idempotency-key", key)
        .signed()
}

/// Sends requests in order on a fresh server; the statuses and the rule of the last accepted one.
async fn run(requests: Vec<Req>) -> (Vec<u16>, String) {
    let server = server().await;
    let mut statuses = Vec::new();
    for request in requests {
        statuses.push(server.send(request).await.status);
    }
    (statuses, server.world.last().key_source)
}

const SMS: &str =
    "From=%2B447900900231&To=%2B442079460990&Body=Hi&MessageSid=SM9e3779b10000a20800010dce00000001";

fn mail(received: &str, id: &str) -> Req {
    let body = format!(
        "Received: by {received}\r\nFrom: Ada <ada@example.com>\r\nTo: sales@acme.example\r\nSubject: Hello\r\n\
         Message-ID: <{id}@example.com>\r\nList-Id: <news.example.com>\r\n\r\nWe need ten seats.\r\n"
    );
    Req::new("POST", "/hooks/acme/mail")
        .header("content-type", "message/rfc822")
        .body(body)
        .signed()
        .without("idempotency-key")
}

#[tokio::test]
async fn the_first_rule_that_applies_recognises_a_repeat() {
    let form = |target: &str, body: &str| {
        Req::new("POST", target)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
            .signed()
    };
    let partner = |id: &str, body: &str| Req::post("/hooks/acme/partners", body).standard(id, 0);
    let delivery = |id: &str, body: &str| {
        Req::post("/hooks/acme/delivery", body)
            .header("x-delivery", id)
            .signed()
    };
    let order = |id: &str, more: &str| {
        Req::post(
            "/hooks/acme/orders",
            format!(r#"{{"order":{{"id":{id}}},"more":"{more}"}}"#),
        )
        .signed()
    };
    let plain = |body: &str| Req::post("/hooks/acme/plain", body).signed();
    let bearer = |key: &str, body: &str| {
        let request = Req::post("/hooks/acme/either", body).bearer(&token("ada", 60));
        if key.is_empty() {
            request.without("idempotency-key")
        } else {
            request.header("idempotency-key", key)
        }
    };
    let table: Vec<(&str, Vec<Req>, Vec<u16>, &str)> = vec![
        (
            "signed id: the id decides",
            vec![partner("m1", A), partner("m1", B), partner("m2", A)],
            vec![202, 200, 202],
            "signed_id",
        ),
        (
            "header: same key, other body",
            vec![lead("k", A), lead("k", B)],
            vec![202, 200],
            "header_and_body",
        ),
        (
            "header: a captured body under a fresh key",
            vec![lead("k", A), lead("forged", A)],
            vec![202, 200],
            "header_and_body",
        ),
        (
            "header: other key, other body",
            vec![lead("k", A), lead("l", B)],
            vec![202, 202],
            "header_and_body",
        ),
        (
            "header: the free key becomes an alias",
            vec![lead("k", A), lead("k2", A), lead("k2", B)],
            vec![202, 200, 200],
            "header_and_body",
        ),
        (
            "header left out: refused, whether the bytes are known or not",
            vec![
                lead("k", A).without("idempotency-key"),
                lead("k", A),
                lead("k", A).without("idempotency-key"),
                lead("k", B).without("idempotency-key"),
            ],
            vec![400, 202, 400, 400],
            "header_and_body",
        ),
        (
            "older spelling of the header",
            vec![
                lead("k", A),
                lead("k", B)
                    .without("idempotency-key")
                    .header("x-idempotency-key", "\"k\""),
            ],
            vec![202, 200],
            "header_and_body",
        ),
        (
            "uncovered delivery id",
            vec![delivery("d1", A), delivery("d2", A), delivery("d1", B)],
            vec![202, 200, 200],
            "header_and_body",
        ),
        (
            "an unsigned header never keys a door that did not ask for it",
            vec![
                plain(A).header("idempotency-key", "k"),
                plain(B).header("idempotency-key", "k"),
            ],
            vec![202, 202],
            "weak",
        ),
        (
            "pointer",
            vec![order("7", "a"), order("7", "b"), order("8", "a")],
            vec![202, 200, 202],
            "pointer",
        ),
        (
            "pointer to nothing",
            vec![order("null", "a"), order("null", "b"), order("null", "a")],
            vec![202, 202, 200],
            "weak",
        ),
        (
            "mail: Message-ID",
            vec![mail("mx1", "m1"), mail("mx2", "m1"), mail("mx1", "m2")],
            vec![202, 200, 202],
            "pointer",
        ),
        (
            "sms: MessageSid",
            vec![
                form("/forms/acme/sms", SMS),
                form("/forms/acme/sms", &format!("{SMS}&Extra=1")),
            ],
            vec![202, 200],
            "signed_id",
        ),
        (
            "sms: another status is another message",
            vec![
                form("/forms/acme/sms", SMS),
                form("/forms/acme/sms", &format!("{SMS}&SmsStatus=received")),
            ],
            vec![202, 202],
            "signed_id",
        ),
        (
            "caller's key",
            vec![bearer("k", A), bearer("k", B), bearer("l", A)],
            vec![202, 200, 202],
            "api_key",
        ),
        (
            "caller without a key",
            vec![bearer("", A), bearer("k", A), bearer("", A)],
            vec![400, 202, 400],
            "api_key",
        ),
        (
            "weak",
            vec![plain(A), plain(A), plain(B)],
            vec![202, 200, 202],
            "weak",
        ),
        (
            "weak: another notation is another message",
            vec![plain(A), plain(&A.replace(':', ": "))],
            vec![202, 202],
            "weak",
        ),
    ];
    for (what, requests, statuses, source) in table {
        assert_eq!(run(requests).await, (statuses, source.to_owned()), "{what}");
    }
}

#[tokio::test]
async fn a_malformed_key_is_refused_only_where_it_means_something() {
    let server = server().await;
    let long = "k".repeat(256);
    let bad = |request: Req| request.header("idempotency-key", &long);
    let table = [
        (
            "asked for",
            bad(Req::post("/hooks/acme/leads", A).signed()),
            400,
        ),
        (
            "a caller's",
            bad(Req::post("/hooks/acme/either", A).bearer(&token("ada", 60))),
            400,
        ),
        (
            "not asked for",
            bad(Req::post("/hooks/acme/plain", A).signed()),
            202,
        ),
        (
            "left out where it is asked for",
            lead("k", A).without("idempotency-key"),
            400,
        ),
        (
            "left out where it is not",
            Req::post("/hooks/acme/plain", B)
                .signed()
                .without("idempotency-key"),
            202,
        ),
        (
            "left out behind a signature that fails",
            Req::post("/hooks/acme/leads", A),
            401,
        ),
        (
            "behind a signature that fails",
            bad(Req::post("/hooks/acme/leads", A)),
            401,
        ),
    ];
    for (what, request, status) in table {
        let answer = server.send(request).await;
        assert_eq!(answer.status, status, "{what}");
        if what == "left out where it is asked for" {
            assert_eq!(answer.at("/code"), "TL1011");
            assert!(answer.at("/detail").contains("Idempotency-Key"));
        }
    }
    assert_eq!(server.stored().await, 2, "what is refused is not stored");
}

#[tokio::test]
async fn keys_live_as_long_as_their_rule_says() {
    let server = server().await;
    let weak = || Req::post("/hooks/acme/plain", A).signed_with(SECOND);
    let strong = || lead("k", A).signed_with(SECOND);
    // hours that pass, the weak one, the strong one
    let table = [
        (0, 202, 202),
        (1, 200, 200),
        (24, 202, 200),
        (31, 202, 200),
        (29 * 24, 202, 200),
    ];
    for (hours, plain, header) in table {
        server.world.pass(hours * HOUR);
        assert_eq!(
            server.send(weak()).await.status,
            plain,
            "weak after {hours} h more"
        );
        assert_eq!(
            server.send(strong()).await.status,
            header,
            "strong after {hours} h more"
        );
    }
    server.world.pass(DEDUPE_KEEP);
    assert_eq!(
        server.send(strong()).await.status,
        200,
        "a captured message is known as long as its door lives"
    );
}

/// What the signature says of the time decides how long a message is known.
#[tokio::test]
async fn what_signs_no_time_is_known_for_ever() {
    let table = [
        (
            "weak",
            Req::post("/hooks/acme/plain", A).signed(),
            24 * HOUR,
        ),
        ("no time", lead("k", A), i64::MAX - NOW),
        (
            "a signed time",
            Req::post("/hooks/acme/partners", A).standard("id", 0),
            DEDUPE_KEEP,
        ),
        (
            "a token",
            Req::post("/hooks/acme/either", A).bearer(&token("ada", 600)),
            DEDUPE_KEEP,
        ),
    ];
    for (what, request, keep) in table {
        let server = server().await;
        assert_eq!(server.send(request).await.status, 202, "{what}");
        assert_eq!(server.world.last().expires - NOW, keep, "{what}");
    }
}

#[tokio::test]
async fn tenants_and_doors_do_not_share_keys() {
    let server = server().await;
    let theirs = "secret of the door at other, unlike";
    let table = [
        Req::post("/hooks/acme/leads", A)
            .header("idempotency-key", "k")
            .signed(),
        Req::post("/hooks/other/leads", A)
            .header("idempotency-key", "k")
            .signed_with(theirs),
        Req::post("/hooks/acme/plain", A)
            .header("idempotency-key", "k")
            .signed(),
        Req::post("/forms/acme/contact", A)
            .header("idempotency-key", "k")
            .signed(),
    ];
    for (i, request) in table.into_iter().enumerate() {
        let answer = server.send(request).await;
        assert_eq!(answer.status, 202, "row {i}: {}", answer.text());
    }
}

/// 50 copies at once: one event, and all get a 2xx.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_at_once_become_one_message() {
    let server = std::sync::Arc::new(server().await);
    for round in 0..5 {
        let body = format!(r#"{{"email":"{round}@example.com"}}"#);
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let (server, request) = (
                    std::sync::Arc::clone(&server),
                    lead(&format!("k{round}"), &body),
                );
                tokio::spawn(async move { server.send(request).await })
            })
            .collect();
        let mut ids = std::collections::BTreeSet::new();
        let mut accepted = 0;
        for task in tasks {
            let answer = task.await.unwrap();
            assert!(matches!(answer.status, 200 | 202), "{}", answer.text());
            accepted += u32::from(answer.status == 202);
            ids.insert(answer.at("/event_id"));
        }
        assert_eq!((accepted, ids.len()), (1, 1), "round {round}");
    }
    assert_eq!(server.stored().await, 5);
}

fn at(server: &Server, path: &[&str]) -> String {
    let event = server.world.last().event;
    match event.at(path) {
        Some(Value::Text(t)) => t.clone(),
        Some(other) => format!("{other:?}"),
        None => "absent".into(),
    }
}

#[tokio::test]
async fn expressions_see_the_message_and_nothing_secret() {
    let server = server().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let request = Req::post(
        "/hooks/acme/leads",
        r#"{"email":"a@b.de","message":"hi","external_id":" X-1 "}"#,
    )
    .header("traceparent", trace)
    .header("user-agent", "tester/1")
    .header("x-forwarded-for", "10.0.0.1")
    .header("cookie", "session=1")
    .header("auto-submitted", "auto-replied")
    .signed();
    assert_eq!(server.send(request).await.status, 202);
    let table: &[(&[&str], &str)] = &[
        (&["source"], "leads"),
        (&["endpoint"], "leads"),
        (&["channel"], "webhook"),
        (&["external_id"], "X-1"),
        (&["correlation_id"], "4bf92f3577b34da6a3ce929d0e0e4736"),
        (&["text"], "hi"),
        (&["body", "email"], "a@b.de"),
        (&["headers", "user-agent"], "tester/1"),
        (&["headers", "auto-submitted"], "auto-replied"),
        (&["headers", "x-signature"], "absent"),
        (&["headers", "cookie"], "absent"),
        (&["headers", "x-forwarded-for"], "absent"),
        (&["from"], "absent"),
    ];
    for (path, want) in table {
        assert_eq!(at(&server, path), *want, "{path:?}");
    }
    assert_eq!(at(&server, &["id"]), server.world.last().id.to_string());

    let own = Req::post(
        "/hooks/acme/leads",
        r#"{"email":"c@b.de","correlation_id":"mine"}"#,
    )
    .header("traceparent", trace)
    .signed();
    assert_eq!(server.send(own).await.status, 202);
    assert_eq!(
        at(&server, &["correlation_id"]),
        "mine",
        "the body's own comes first"
    );

    let carried = mail("mx", "m9")
        .header("auto-submitted", "auto-replied")
        .header("user-agent", "relay");
    assert_eq!(server.send(carried).await.status, 202);
    let table: &[(&[&str], &str)] = &[
        (&["channel"], "email"),
        (&["from"], "ada@example.com"),
        (&["from_name"], "Ada"),
        (&["subject"], "Hello"),
        (&["message_id"], "m9@example.com"),
        (&["external_id"], "m9@example.com"),
        (&["text"], "We need ten seats."),
        (&["headers", "list-id"], "news.example.com"),
        (&["headers", "auto-submitted"], "absent"),
    ];
    for (path, want) in table {
        assert_eq!(at(&server, path).trim(), *want, "{path:?}");
    }
    assert_eq!(server.world.last().content_type, "message/rfc822");

    let sms = Req::new("POST", "/forms/acme/sms")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(SMS)
        .signed();
    assert_eq!(server.send(sms).await.status, 202);
    assert_eq!(at(&server, &["from"]), "+447900900231");
    assert_eq!(at(&server, &["text"]), "Hi");
    assert_eq!(server.world.last().payload, SMS.as_bytes(), "the raw bytes");
}

#[tokio::test]
async fn forms_come_in_three_notations() {
    let server = server().await;
    let multipart =
        "--b\r\nContent-Disposition: form-data; name=\"email\"\r\n\r\nm@example.com\r\n--b--\r\n";
    let table = [
        (
            "application/x-www-form-urlencoded",
            "email=u%40example.com&message=hi",
            "u@example.com",
        ),
        (
            "multipart/form-data; boundary=b",
            multipart,
            "m@example.com",
        ),
        (
            "application/json; charset=utf-8",
            r#"{"email":"j@example.com"}"#,
            "j@example.com",
        ),
    ];
    for (kind, body, email) in table {
        let request = Req::new("POST", "/forms/acme/contact")
            .header("content-type", kind)
            .body(body)
            .signed();
        let answer = server.send(request).await;
        assert_eq!(answer.status, 202, "{kind}: {}", answer.text());
        assert_eq!(at(&server, &["body", "email"]), email, "{kind}");
        let kept = server.world.last().content_type;
        assert!(kind.starts_with(kept.split(';').next().unwrap()), "{kept}");
    }
    let bad = Req::new("POST", "/forms/acme/sms")
        .header("content-type", "application/x-www-form-urlencoded")
        .body("From=%2B447900900231&To=%2B442079460990&Body=Hi")
        .signed();
    let answer = server.send(bad).await;
    assert_eq!(
        (answer.status, answer.at("/errors/0/pointer")),
        (422, "/MessageSid".into())
    );
}
