//! Too much at once: who is told to come back when, before a byte of the body is read.

use tl_kernel::id::TenantId;
use tl_web::{Rate, WebConfig};

use crate::support::{EVENTS_KEY, Req, api_key, server, server_with, token};

fn post(n: u32) -> Req {
    Req::post("/hooks/acme/plain", format!("{{\"n\":{n}}}")).signed()
}

fn event(n: u32) -> Req {
    Req::post(
        "/v1/events",
        format!(r#"{{"endpoint":"notes","body":{{"email":"{n}@example.com"}}}}"#),
    )
    .header("idempotency-key", &format!("k{n}"))
    .bearer(&api_key(EVENTS_KEY))
}

#[tokio::test]
async fn an_overloaded_installation_answers_before_it_looks() {
    let server = server().await;
    *server.world.overload.lock().unwrap() = Some(("draining", 30));
    let mut waits = std::collections::BTreeSet::new();
    for n in 0..20 {
        // Unsigned on purpose: nobody checks.
        for request in [post(n).without("x-signature"), event(n)] {
            let answer = server.send(request).await;
            assert_eq!(
                (answer.status, answer.at("/code").as_str()),
                (503, "TL1018")
            );
            let wait: u32 = answer.header("retry-after").unwrap().parse().unwrap();
            assert!((5..=60).contains(&wait), "{wait}");
            waits.insert(wait);
        }
    }
    assert!(waits.len() > 3, "spread: {waits:?}");
    let ready = server.send(Req::get("/readyz")).await;
    assert_eq!(ready.status, 503);
    assert_eq!(server.send(Req::get("/healthz")).await.status, 200);
    *server.world.overload.lock().unwrap() = None;
    assert_eq!(server.send(Req::get("/readyz")).await.status, 200);
    assert_eq!(server.send(post(1)).await.status, 202);
}

/// Whoever has sent more than is worked off waits; others do not, and the node is ready for them.
#[tokio::test]
async fn a_backlog_is_a_503_for_its_tenant_alone() {
    let server = server().await;
    *server.world.backlog.lock().unwrap() = Some((TenantId(1), 40));
    for request in [post(1).without("x-signature"), event(1)] {
        let answer = server.send(request).await;
        assert_eq!(answer.status, 503);
        let wait: u32 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((20..=60).contains(&wait), "{wait}");
    }
    let theirs =
        Req::post("/hooks/other/plain", "{}").signed_with("secret of the door at other, unlike");
    assert_eq!(server.send(theirs).await.status, 202);
    assert_eq!(server.send(Req::get("/readyz")).await.status, 200);
    let counted = server.send(Req::get("/metrics")).await.text();
    assert!(counted.contains("outcome=\"backlog\""), "{counted}");
}

#[tokio::test]
async fn a_killed_ingest_is_a_503_for_its_tenant_alone() {
    let server = server().await;
    server
        .world
        .change("acme", |view| view.ingest_killed = true);
    assert_eq!(server.send(post(1)).await.status, 503);
    assert_eq!(server.send(event(1)).await.status, 503);
    let theirs =
        Req::post("/hooks/other/plain", "{}").signed_with("secret of the door at other, unlike");
    assert_eq!(server.send(theirs).await.status, 202);
    assert_eq!(server.stored().await, 1);
}

#[tokio::test]
async fn a_pace_is_kept_per_door_and_per_tenant() {
    let config = WebConfig {
        endpoint_rate: Rate {
            per_second: 1,
            burst: 2,
        },
        tenant_rate: Rate {
            per_second: 1,
            burst: 3,
        },
        ..WebConfig::default()
    };
    let server = server_with(config).await;
    assert_eq!(server.send(post(1)).await.status, 202);
    assert_eq!(server.send(post(2)).await.status, 202);
    let third = server.send(post(3)).await;
    assert_eq!((third.status, third.at("/code").as_str()), (429, "TL1017"));
    let wait: i64 = third.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=2).contains(&wait), "{wait}");
    let other_door = Req::post("/hooks/acme/leads", r#"{"email":"a@b.de"}"#).signed();
    assert_eq!(
        server.send(other_door.clone()).await.status,
        429,
        "the tenant's three are gone"
    );
    let other_tenant =
        Req::post("/hooks/other/plain", "{}").signed_with("secret of the door at other, unlike");
    assert_eq!(server.send(other_tenant).await.status, 202);
    server.world.pass(wait * 1_000_000);
    assert_eq!(
        server.send(post(3)).await.status,
        202,
        "after Retry-After there is a token"
    );
    server.world.pass(60_000_000);
    // Two doors behind one address: each has a pace of its own.
    let either = Req::post("/v1/events", r#"{"endpoint":"either","body":{"note":"x"}}"#)
        .header("idempotency-key", "k")
        .header("throughline-tenant", "acme")
        .bearer(&token("ada@example.com", 600));
    let table = [
        (event(1), 202),
        (event(2), 202),
        (either, 202),
        (event(3), 429),
    ];
    for (i, (request, status)) in table.into_iter().enumerate() {
        assert_eq!(server.send(request).await.status, status, "call {i}");
    }
    let unknown = Req::post("/hooks/acme/nothing", "{}");
    assert_eq!(
        server.send(unknown).await.status,
        404,
        "what does not exist has no pace"
    );
}

#[tokio::test]
async fn room_for_bodies_and_requests_is_bounded() {
    let config = WebConfig {
        max_bodies_kib: 4,
        ..WebConfig::default()
    };
    let server = server_with(config).await;
    let large = format!(r#"{{"x":"{}"}}"#, "x".repeat(8 * 1024));
    let answer = server
        .send(Req::post("/hooks/acme/plain", large).signed())
        .await;
    assert_eq!(
        (answer.status, answer.at("/code").as_str()),
        (503, "TL1018")
    );
    assert_eq!(server.send(post(1)).await.status, 202);

    let config = WebConfig {
        max_in_flight: 1,
        ..WebConfig::default()
    };
    let server = std::sync::Arc::new(server_with(config).await);
    server.world.gate.forget_permits(1_000);
    let held = std::sync::Arc::clone(&server);
    let first = tokio::spawn(async move { held.send(post(1)).await.status });
    while server.world.begun() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.send(post(2)).await.status, 503);
    server.world.gate.add_permits(1);
    assert_eq!(first.await.unwrap(), 202);
}
