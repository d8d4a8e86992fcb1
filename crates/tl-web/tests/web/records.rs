//! The built-in system of record over HTTP.

use tl_kernel::id::{CaseId, TenantId};
use tl_kernel::journal::{Actor, Entry, open};
use tl_web::apikey::ApiKeyText;

use crate::support::{EVENTS_KEY, OTHER_KEY, READ_KEY, Req, WRITE_KEY, api_key, server};

const ADA: &str = "/v1/records/lead/ada";

fn get(target: &str) -> Req {
    Req::get(target).bearer(&api_key(READ_KEY))
}

fn write(method: &str, body: &str) -> Req {
    Req::new(method, ADA).json(body).bearer(&api_key(WRITE_KEY))
}

/// Each row: method, headers, body, status, the version afterwards, the record afterwards.
#[tokio::test]
async fn every_write_names_the_version_it_changes() {
    let server = server().await;
    type Row<'a> = (
        &'a str,
        &'a [(&'a str, &'a str)],
        &'a str,
        u16,
        &'a str,
        &'a str,
    );
    let table: &[Row] = &[
        (
            "PATCH",
            &[("if-match", "\"v1\"")],
            r#"{"name":"x"}"#,
            412,
            "",
            "",
        ),
        ("PATCH", &[], r#"{"name":"x"}"#, 404, "", ""),
        (
            "PUT",
            &[("if-match", "\"v1\"")],
            r#"{"name":"x"}"#,
            412,
            "",
            "",
        ),
        ("PUT", &[("if-match", "*")], r#"{"name":"x"}"#, 428, "", ""),
        (
            "PUT",
            &[("if-none-match", "*")],
            r#"{"name":"Ada"}"#,
            201,
            "\"v1\"",
            r#"{"name":"Ada"}"#,
        ),
        (
            "PUT",
            &[("if-none-match", "*")],
            r#"{"name":"Eve"}"#,
            412,
            "\"v1\"",
            r#"{"name":"Ada"}"#,
        ),
        (
            "PUT",
            &[],
            r#"{"name":"Eve"}"#,
            428,
            "\"v1\"",
            r#"{"name":"Ada"}"#,
        ),
        (
            "PUT",
            &[("if-match", "\"v2\"")],
            r#"{"name":"Eve"}"#,
            412,
            "\"v1\"",
            r#"{"name":"Ada"}"#,
        ),
        (
            "PUT",
            &[("if-match", "\"v1\"")],
            r#"{"name":"Ada","value":10.50}"#,
            200,
            "\"v2\"",
            r#"{"name":"Ada","value":10.50}"#,
        ),
        (
            "PATCH",
            &[("if-match", "\"v2\"")],
            r#"{"name":null,"seats":3}"#,
            200,
            "\"v3\"",
            r#"{"seats":3,"value":10.50}"#,
        ),
        (
            "PATCH",
            &[],
            r#"{"seats":4}"#,
            428,
            "\"v3\"",
            r#"{"seats":3,"value":10.50}"#,
        ),
        (
            "PATCH",
            &[("if-match", "W/\"v3\"")],
            r#"{"seats":4}"#,
            412,
            "\"v3\"",
            r#"{"seats":3,"value":10.50}"#,
        ),
        (
            "PATCH",
            &[("if-match", "v3")],
            r#"{"seats":4}"#,
            200,
            "\"v4\"",
            r#"{"seats":4,"value":10.50}"#,
        ),
        (
            "PUT",
            &[("if-match", "\"v4\""), ("if-none-match", "*")],
            "{}",
            400,
            "\"v4\"",
            r#"{"seats":4,"value":10.50}"#,
        ),
        (
            "PUT",
            &[("if-match", "\"v4\"")],
            "[]",
            422,
            "\"v4\"",
            r#"{"seats":4,"value":10.50}"#,
        ),
        (
            "PUT",
            &[("if-match", "\"v4\"")],
            "{",
            400,
            "\"v4\"",
            r#"{"seats":4,"value":10.50}"#,
        ),
        (
            "PUT",
            &[("if-match", "\"v4\"")],
            r#"{"a":1,"a":2}"#,
            400,
            "\"v4\"",
            r#"{"seats":4,"value":10.50}"#,
        ),
    ];
    for (method, headers, body, status, version, record) in table {
        let request = headers
            .iter()
            .fold(write(method, body), |r, (n, v)| r.header(n, v));
        let answer = server.send(request).await;
        let row = format!("{method} {headers:?} {body}: {}", answer.text());
        assert_eq!(answer.status, *status, "{row}");
        if matches!(status, 200 | 201) {
            assert_eq!(answer.header("etag"), Some(*version), "{row}");
            assert_eq!(answer.text(), *record, "{row}");
        }
        let now = server.send(get(ADA)).await;
        if version.is_empty() {
            assert_eq!(now.status, 404, "{row}");
        } else {
            assert_eq!(
                (now.header("etag"), now.text().as_str()),
                (Some(*version), *record),
                "{row}"
            );
        }
        if *status == 412 && !version.is_empty() {
            assert_eq!(answer.header("etag"), Some(*version), "{row}");
        }
    }
    let unchanged = server
        .send(get(ADA).header("if-none-match", "\"v4\""))
        .await;
    assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));
}

#[tokio::test]
async fn a_first_write_may_name_version_zero() {
    let server = server().await;
    let first = server
        .send(write("PUT", r#"{"name":"Ada"}"#).header("if-match", "\"v0\""))
        .await;
    assert_eq!((first.status, first.header("etag")), (201, Some("\"v1\"")));
    let second = server
        .send(write("PUT", r#"{"name":"Eve"}"#).header("if-match", "\"v0\""))
        .await;
    assert_eq!(second.status, 412);
}

#[tokio::test]
async fn declared_fields_are_checked_and_every_wrong_one_is_named() {
    let server = server().await;
    let body = r#"{"email":"no address","seats":"many","stage":"lost","nick":"x","name":"Ada","phone":"030 123456"}"#;
    let answer = server.send(write("PUT", body)).await;
    assert_eq!(answer.status, 422);
    let pointers: Vec<&str> = answer.json()["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["pointer"].as_str().unwrap().to_owned().leak() as &str)
        .collect();
    assert_eq!(pointers, ["/email", "/nick", "/phone", "/seats", "/stage"]);
    assert!(!answer.text().contains("many") && !answer.text().contains("no address"));
    let local = r#"{"phone":"030 123456","country":"DE"}"#;
    assert_eq!(
        server.send(write("PUT", local)).await.status,
        201,
        "with its country the number reads"
    );
    let free = Req::new("PUT", "/v1/records/note/1")
        .json(r#"{"anything":{"goes":[1]}}"#)
        .bearer(&api_key(WRITE_KEY));
    assert_eq!(
        server.send(free).await.status,
        201,
        "a type that no workflow declares"
    );
}

#[tokio::test]
async fn the_history_says_where_each_field_came_from() {
    let server = server().await;
    assert_eq!(
        server
            .send(write("PUT", r#"{"name":"Ada","seats":1}"#))
            .await
            .status,
        201
    );
    server.world.pass(60_000_000);
    let patch = write("PATCH", r#"{"seats":2}"#).header("if-match", "\"v1\"");
    assert_eq!(server.send(patch).await.status, 200);
    let history = server.send(get(&format!("{ADA}/history"))).await;
    assert_eq!(history.status, 200);
    let table = [
        ("/versions/0/version", "2"),
        ("/versions/0/record/seats", "2"),
        (
            "/versions/0/provenance/seats/at",
            "2026-11-12T10:01:00.000000Z",
        ),
        ("/versions/0/provenance/seats/source", "api"),
        (
            "/versions/0/provenance/name/at",
            "2026-11-12T10:00:00.000000Z",
        ),
        ("/versions/1/version", "1"),
        ("/versions/1/record/seats", "1"),
    ];
    for (pointer, want) in table {
        assert_eq!(history.at(pointer), want, "{pointer} of {}", history.text());
    }
    let kid = api_key(WRITE_KEY).split('_').nth(1).unwrap().to_owned();
    assert_eq!(history.at("/versions/0/by"), kid);
    assert_eq!(
        server
            .send(get("/v1/records/lead/nobody/history"))
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn a_repeated_write_gets_its_first_answer() {
    let server = server().await;
    let create = || {
        write("PUT", r#"{"name":"Ada"}"#)
            .header("if-none-match", "*")
            .header("idempotency-key", "a")
    };
    let first = server.send(create()).await;
    assert_eq!(first.status, 201);
    let change = || {
        write("PATCH", r#"{"seats":1}"#)
            .header("if-match", "\"v1\"")
            .header("x-idempotency-key", "b")
    };
    let changed = server.send(change()).await;
    assert_eq!(
        (changed.status, changed.header("etag")),
        (200, Some("\"v2\""))
    );
    for (request, want) in [(create(), &first), (change(), &changed)] {
        let again = server.send(request).await;
        assert_eq!((again.status, &again.body), (want.status, &want.body));
        assert_eq!(again.header("etag"), want.header("etag"));
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
    }
    let reused = write("PATCH", r#"{"seats":9}"#)
        .header("if-match", "\"v2\"")
        .header("idempotency-key", "b");
    let answer = server.send(reused).await;
    assert_eq!(
        (answer.status, answer.at("/code").as_str()),
        (422, "TL1015")
    );
    // A conflict is not remembered: the same key goes on with the version that was read again.
    let stale = |v: &str| {
        write("PATCH", r#"{"seats":5}"#)
            .header("if-match", v)
            .header("idempotency-key", "c")
    };
    assert_eq!(server.send(stale("\"v1\"")).await.status, 412);
    assert_eq!(server.send(stale("\"v2\"")).await.status, 200);
    assert_eq!(server.send(get(ADA)).await.header("etag"), Some("\"v3\""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_writers_at_once_one_wins_each_version() {
    let server = std::sync::Arc::new(server().await);
    assert_eq!(server.send(write("PUT", "{}")).await.status, 201);
    for version in 1..=5 {
        let tasks: Vec<_> = (0..10)
            .map(|n| {
                let server = std::sync::Arc::clone(&server);
                let request = write("PUT", &format!("{{\"seats\":{n}}}"))
                    .header("if-match", &format!("\"v{version}\""));
                tokio::spawn(async move { server.send(request).await.status })
            })
            .collect();
        let mut won = 0;
        for task in tasks {
            match task.await.unwrap() {
                200 => won += 1,
                other => assert_eq!(other, 412),
            }
        }
        assert_eq!(won, 1, "version {version}");
    }
}

#[tokio::test]
async fn records_belong_to_their_tenant_and_scopes_are_kept() {
    let server = server().await;
    assert_eq!(
        server.send(write("PUT", r#"{"name":"Ada"}"#)).await.status,
        201
    );
    let table = [
        (
            "another tenant",
            Req::get(ADA).bearer(&api_key(OTHER_KEY)),
            404,
        ),
        (
            "another tenant's write",
            Req::new("PUT", ADA).json("{}").bearer(&api_key(OTHER_KEY)),
            201,
        ),
        (
            "no scope to read",
            Req::get(ADA).bearer(&api_key(EVENTS_KEY)),
            403,
        ),
        (
            "no scope to write",
            Req::new("PUT", ADA).json("{}").bearer(&api_key(READ_KEY)),
            403,
        ),
        ("no key", Req::get(ADA), 401),
        (
            "an id with a slash",
            Req::get("/v1/records/lead/a%2Fb").bearer(&api_key(READ_KEY)),
            404,
        ),
        (
            "a control character",
            Req::get("/v1/records/lead/a%0Ab").bearer(&api_key(READ_KEY)),
            400,
        ),
        (
            "no UTF-8",
            Req::get("/v1/records/lead/%ff").bearer(&api_key(READ_KEY)),
            400,
        ),
        ("too large", write("PUT", &"x".repeat(300_000)), 413),
        (
            "no JSON type",
            write("PUT", "{}").set("content-type", "text/plain"),
            415,
        ),
    ];
    for (what, request, status) in table {
        let answer = server.send(request).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
    }
    assert_eq!(server.send(get(ADA)).await.text(), r#"{"name":"Ada"}"#);
}

#[tokio::test]
async fn patches_do_not_add_up_beyond_the_limit() {
    let server = server().await;
    let part = "x".repeat(200_000);
    let note = |method: &str, name: &str| {
        Req::new(method, "/v1/records/note/1")
            .json(format!(r#"{{"{name}":"{part}"}}"#))
            .bearer(&api_key(WRITE_KEY))
    };
    assert_eq!(server.send(note("PUT", "a")).await.status, 201);
    let second = note("PATCH", "b").header("if-match", "\"v1\"");
    assert_eq!(server.send(second).await.status, 413);
    let instead = note("PATCH", "a").header("if-match", "\"v1\"");
    assert_eq!(server.send(instead).await.status, 200);
}

/// Each write that is applied has one turn in the control stream: who, of which record, which version, and digests. What
/// was written is not in it, and neither is the id, which may be an address.
#[tokio::test]
async fn each_write_leaves_a_turn_in_the_audit() {
    const BOB: &str = "/v1/records/lead/bob%40x.example";
    let server = server().await;
    let put = |method: &str, body: &str, version: &str| {
        Req::new(method, BOB)
            .json(body)
            .bearer(&api_key(WRITE_KEY))
            .header("if-match", version)
    };
    let table = [
        (put("PUT", r#"{"name":"Bob"}"#, "\"v0\""), 201),
        (put("PATCH", r#"{"name":"Bobby"}"#, "\"v1\""), 200),
        (put("PATCH", r#"{"name":"Rob"}"#, "\"v1\""), 412),
        (
            put("PUT", r#"{"name":"Bob"}"#, "\"v2\"").header("idempotency-key", "k"),
            200,
        ),
        // The same answer again: nothing is written.
        (
            put("PUT", r#"{"name":"Bob"}"#, "\"v2\"").header("idempotency-key", "k"),
            200,
        ),
    ];
    for (request, status) in table {
        let answer = server.send(request).await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
    let store = &server.world.store;
    let turns = store.turns(0, 100, Some(TenantId(1)), false).await.unwrap();
    let key = ApiKeyText::parse(&api_key(WRITE_KEY)).expect("a key");
    let mut told = Vec::new();
    for (_, _, case, sealed) in &turns {
        let (head, _) = open(sealed).expect("it opens");
        assert_eq!(
            (*case, &head.actor),
            (CaseId::CONTROL, &Actor::ApiKey(key.kid().into()))
        );
        for entry in head.entries {
            let Entry::Control {
                action,
                object,
                detail,
            } = entry
            else {
                panic!("{entry:?}");
            };
            assert_eq!(action, "record.write");
            for word in ["bob", "Bob"] {
                assert!(
                    !object.contains(word) && !detail.contains(word),
                    "{object} {detail}"
                );
            }
            told.push((object, detail));
        }
    }
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(
        told.iter()
            .all(|(object, _)| *object == told[0].0 && object.starts_with("lead/"))
    );
    let digests: Vec<&str> = told
        .iter()
        .filter_map(|(_, d)| d.split_once(", "))
        .map(|d| d.1)
        .collect();
    assert_eq!(
        digests[0], digests[2],
        "the same content has the same digest"
    );
    assert_ne!(digests[0], digests[1]);
    for (n, (_, detail)) in (1..).zip(&told) {
        assert!(detail.starts_with(&format!("version {n}, ")), "{detail}");
    }
}
