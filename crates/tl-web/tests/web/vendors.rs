//! Doors of vendors: their signatures, what names a delivery, and their question before the first one.

use tl_web::WebConfig;
use tl_wire::signature::{Secret, preset};

use crate::support::{FORMER, Req, SECOND, SECRET, SOON, Server, server, server_with};

/// Where the vendors know us; the requests of the tests say another host.
const BASE: &str = "https://hooks.acme.example";
const SMS: &str =
    "From=%2B447900900231&To=%2B442079460990&Body=Hi&MessageSid=SM9e3779b10000a20800010dce00000001";

async fn known_server() -> Server {
    let config = WebConfig {
        public_url: Some(format!("{BASE}/")),
        ..WebConfig::default()
    };
    server_with(config).await
}

fn json(name: &str, id: &str, body: &str) -> Req {
    Req::post(&format!("/hooks/acme/{name}"), body)
        .without("idempotency-key")
        .by_vendor(name, (BASE, id), SECRET)
}

fn sms(body: &str) -> Req {
    Req::new("POST", "/forms/acme/twilio")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body)
        .without("idempotency-key")
        .by_vendor("twilio", (BASE, "token-1"), SECRET)
}

#[tokio::test]
async fn a_vendors_delivery_is_known_again() {
    let received = format!("{SMS}&SmsStatus=received");
    let delivered = format!("{SMS}&SmsStatus=delivered");
    let event = |id: u8, attempt: u8| {
        format!(
            r#"[{{"eventId":{id},"subscriptionId":2,"occurredAt":3,"objectId":4,"attemptNumber":{attempt}}}]"#
        )
    };
    let stripe = |id: &str, more: u8| format!(r#"{{"id":"{id}","more":{more}}}"#);
    // The messages in order, the statuses, and the rule by which the last new one is known again.
    let table: [(&str, Vec<Req>, &[u16], &str); 10] = [
        (
            "stripe: the event's id, whatever else the body says",
            vec![
                json("stripe", "", &stripe("evt_1", 1)),
                json("stripe", "", &stripe("evt_1", 2)),
                json("stripe", "", &stripe("evt_2", 1)),
            ],
            &[202, 200, 202],
            "signed_id",
        ),
        (
            "stripe: no id, and no header of ours is asked for",
            vec![json("stripe", "", "{}"), json("stripe", "", "{}")],
            &[202, 200],
            "weak",
        ),
        (
            "svix: the signed header",
            vec![
                json("svix", "msg_1", r#"{"a":1}"#),
                json("svix", "msg_1", r#"{"a":2}"#),
                json("svix", "msg_2", r#"{"a":1}"#),
            ],
            &[202, 200, 202],
            "signed_id",
        ),
        (
            "github: header and body; neither a forged header nor a captured body counts twice",
            vec![
                json("github", "d-1", r#"{"a":1}"#),
                json("github", "d-1", r#"{"a":2}"#),
                json("github", "d-2", r#"{"a":1}"#),
                json("github", "d-3", r#"{"a":3}"#),
            ],
            &[202, 200, 200, 202],
            "header_and_body",
        ),
        (
            "shopify: the same",
            vec![
                json("shopify", "w-1", r#"{"a":1}"#),
                json("shopify", "w-2", r#"{"a":1}"#),
            ],
            &[202, 200],
            "header_and_body",
        ),
        (
            "zendesk: what the owner points at, before the header",
            vec![
                json("zendesk", "i-1", r#"{"order":{"id":1}}"#),
                json("zendesk", "i-2", r#"{"order":{"id":1},"more":2}"#),
                json("zendesk", "i-1", r#"{"order":{"id":2}}"#),
            ],
            &[202, 200, 202],
            "pointer",
        ),
        (
            "hubspot: several ids, and not the number of the attempt",
            vec![
                json("hubspot", "", &event(1, 0)),
                json("hubspot", "", &event(1, 1)),
                json("hubspot", "", &event(2, 0)),
            ],
            &[202, 200, 202],
            "signed_id",
        ),
        (
            "slack: the event's id",
            vec![
                json("slack", "", r#"{"event_id":"Ev1"}"#),
                json("slack", "", r#"{"event_id":"Ev1","retry":1}"#),
            ],
            &[202, 200],
            "signed_id",
        ),
        (
            "meta: the body",
            vec![
                json("meta", "", r#"{"entry":[{"id":"1"}]}"#),
                json("meta", "", r#"{"entry":[{"id":"1"}]}"#),
                json("meta", "", r#"{"entry":[{"id":"2"}]}"#),
            ],
            &[202, 200, 202],
            "signed_id",
        ),
        (
            "twilio: message and status",
            vec![sms(SMS), sms(SMS), sms(&received), sms(&delivered)],
            &[202, 200, 202, 202],
            "signed_id",
        ),
    ];
    for (what, requests, statuses, source) in table {
        let server = known_server().await;
        let mut seen = Vec::new();
        for request in requests {
            seen.push(server.send(request).await.status);
        }
        assert_eq!(seen, statuses, "{what}");
        let last = server.world.last();
        assert_eq!(
            (last.key_source.as_str(), last.kid.as_str()),
            (source, "first"),
            "{what}"
        );
        let new = statuses.iter().filter(|s| **s == 202).count();
        assert_eq!(server.stored().await, new as u64, "{what}");
    }
}

#[tokio::test]
async fn a_signed_address_is_the_configured_one() {
    let forged = |base: &str| {
        Req::new("POST", "/forms/acme/twilio")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(SMS)
            .set("host", "evil.example")
            .set("x-forwarded-host", "evil.example")
            .set("x-forwarded-proto", "https")
            .by_vendor("twilio", (base, "t"), SECRET)
    };
    let table = [
        (BASE, 202),
        ("https://hooks.acme.example:443", 202),
        ("https://evil.example", 401),
        ("http://hooks.acme.example", 401),
    ];
    for (base, status) in table {
        let server = known_server().await;
        let answer = server.send(forged(base)).await;
        assert_eq!(answer.status, status, "{base}");
        assert_eq!(server.stored().await, u64::from(status == 202), "{base}");
    }
    // Where the address is not set, what signs it cannot be checked: the door is closed, the others are open.
    let server = server().await;
    assert_eq!(server.send(forged(BASE)).await.status, 404);
    assert_eq!(server.send(json("hubspot", "", "[]")).await.status, 404);
    let open = server.send(json("stripe", "", r#"{"id":"evt_1"}"#)).await;
    assert_eq!(open.status, 202);
}

#[tokio::test]
async fn each_active_secret_counts_and_is_named() {
    let server = known_server().await;
    let table = [
        (SECRET, 202, "first"),
        (SECOND, 202, "second"),
        (FORMER, 401, "second"),
        (SOON, 401, "second"),
    ];
    for (at, (secret, status, kid)) in table.into_iter().enumerate() {
        let request = Req::post("/hooks/acme/stripe", format!(r#"{{"id":"evt_{at}"}}"#)).by_vendor(
            "stripe",
            (BASE, ""),
            secret,
        );
        assert_eq!(server.send(request).await.status, status, "{secret}");
        assert_eq!(server.world.last().kid, kid);
    }
}

#[tokio::test]
async fn a_challenge_is_answered_and_stores_nothing() {
    let server = known_server().await;
    let slack = |body: &str| Req::post("/hooks/acme/slack", body);
    let question = r#"{"type":"url_verification","challenge":"3eZbrw1aB1"}"#;
    let signed = slack(question).by_vendor("slack", (BASE, ""), SECRET);
    let key = Secret::new("k", SECRET, 0, None).unwrap();
    let token = preset("meta").unwrap().verify_token(&key).unwrap();
    let hub = |door: &str, token: &str| {
        Req::get(&format!(
            "/hooks/acme/{door}?hub.mode=subscribe&hub.challenge=77&hub.verify_token={token}"
        ))
    };
    let crc = |door: &str| Req::get(&format!("/hooks/acme/{door}?crc_token=tok-1"));
    let table = [
        ("slack", signed, 200, "3eZbrw1aB1"),
        ("slack, not signed", slack(question), 401, ""),
        ("meta", hub("meta", &token), 200, "77"),
        ("meta, another token", hub("meta", "no"), 405, ""),
        ("not meta", hub("stripe", &token), 405, ""),
        ("no door", hub("nothing", &token), 405, ""),
        ("X", crc("twitter"), 200, "{\"response_token\":\"sha256="),
        ("not X", crc("meta"), 405, ""),
        ("no question", Req::get("/hooks/acme/meta"), 405, ""),
        (
            "another method",
            Req::new("PUT", "/hooks/acme/meta?hub.mode=subscribe"),
            405,
            "",
        ),
    ];
    for (what, request, status, says) in table {
        let answer = server.send(request).await;
        assert_eq!(answer.status, status, "{what}");
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(status != 200 || body.starts_with(says), "{what}: {body}");
        let allow = answer.header("allow");
        assert!(status != 405 || allow == Some("POST"), "{what}: {allow:?}");
    }
    assert_eq!(server.stored().await, 0);
    let counted = server.send(Req::get("/metrics")).await;
    let counted = String::from_utf8_lossy(&counted.body).into_owned();
    assert!(counted.contains("challenge"), "{counted}");
}
