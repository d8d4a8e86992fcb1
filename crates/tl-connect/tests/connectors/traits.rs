//! Habits of real systems, each driven by a connector file alone: no line of code knows any of these servers.

use tl_connect::call::{Found, ReadState};
use tl_connect::classify::{Action, Ground};
use tl_kernel::value::Value;

use crate::stand::{Desk, Stand, answer, connector, of};

const HEAD: &str = "title: Test\nauth: { key: { kind: header, header: X-Api-Key } }\n";

fn file(actions: &str) -> String {
    format!("connector: test\n{HEAD}actions:\n{actions}")
}

const LOCKED: &str = "
  save:
    class: E2
    arguments: { id: { required: true, control: record } }
    fields: {}
    request: { method: PUT, path: \"/leads/${args.id}\", json: \"${fields}\" }
    lock: if_match
    when_absent: if_none_match
";

#[tokio::test]
async fn a_version_goes_back_byte_for_byte_and_nothing_goes_without_one() {
    for tag in ["\"34\"", "W/\"34\"", "34"] {
        let stand = Stand::start(
            move |r, _| match (r.method.as_str(), r.header("if-match")) {
                ("GET", _) => answer(200, "{\"stage\":\"new\"}").with("ETag", tag),
                (_, None) => answer(428, "{}"),
                (_, Some(sent)) if sent == tag => answer(200, "{}").with("ETag", "\"35\""),
                _ => answer(412, "{}"),
            },
        )
        .await;
        let desk = Desk::new(connector("test", &file(LOCKED)), &stand);
        let save = of("save", r#"{"id":"a/b?c"}"#, r#"{"stage":"won"}"#);
        assert!(desk.refusal(&save).starts_with("TL0801"), "{tag}");
        let ReadState::Present { version, values } = desk.read(&save).await.state else {
            panic!("nothing was read");
        };
        assert_eq!(values.at(&["stage"]), Some(&Value::text("new")));
        let version = version.expect("a version");
        let done = desk.write(&save.clone().on(&version)).await;
        assert_eq!(done.version.as_deref(), Some("\"35\""), "{tag}");
        assert_eq!(desk.does(&save.on("\"1\"")).await, Action::Conflict);
        assert_eq!(
            stand.lines()[..2],
            ["GET /leads/a%2Fb%3Fc", "PUT /leads/a%2Fb%3Fc"]
        );
        assert_eq!(stand.seen()[1].header("x-api-key"), Some("s3cret"));
    }
}

#[tokio::test]
async fn a_conflict_has_many_faces() {
    let rules = "    meanings:
      - { status: 409, means: conflict }
      - { status: 200, when: \"answer.body.code == 'STALE'\", means: conflict }
      - { status: [400, 422], when: \"answer.body.message.contains('outdated')\", means: condition_failed }
      - { status: 4xx, means: refused }
";
    let table = [
        (412, "{}", Action::Failed { code: "refused" }),
        (409, "{}", Action::Conflict),
        (200, r#"{"code":"STALE"}"#, Action::Conflict),
        (400, r#"{"message":"outdated"}"#, Action::Conflict),
        (
            400,
            r#"{"message":"other"}"#,
            Action::Failed { code: "refused" },
        ),
        (200, r#"{"code":"OK"}"#, Action::Succeed),
        (200, r#"{"errors":["x"]}"#, Action::Reread),
        (503, "{}", Action::Reread),
    ];
    for (status, body, want) in table {
        let stand = Stand::start(move |_, _| answer(status, body)).await;
        let desk = Desk::new(
            connector("test", &file(&format!("{LOCKED}{rules}"))),
            &stand,
        );
        let save = of("save", r#"{"id":"1"}"#, "{}").on("\"1\"");
        assert_eq!(desk.does(&save).await, want, "{status} {body}");
    }
    // Without rules the general table reads 412 and 428.
    for status in [412, 428] {
        let stand = Stand::start(move |_, _| answer(status, "{}")).await;
        let desk = Desk::new(connector("test", &file(LOCKED)), &stand);
        let save = of("save", r#"{"id":"1"}"#, "{}").on("\"1\"");
        assert_eq!(desk.does(&save).await, Action::Conflict, "{status}");
    }
}

#[tokio::test]
async fn a_version_may_be_a_property_of_the_body() {
    let in_field = LOCKED
        .replace("lock: if_match", "lock: { field: lock_version }")
        .replace("if_none_match", "plain");
    let placed = "
  save:
    class: E2
    arguments: { id: { required: true, control: record } }
    fields: {}
    request:
      method: PUT
      path: \"/tickets/${args.id}.json\"
      json: { ticket: { custom: \"${fields}\", safe_update: true, updated_stamp: \"${effect.version}\" } }
    lock: placed
    read: { version: answer.body.ticket.updated_at, values: answer.body.ticket.custom }
    answer: { version: answer.body.ticket.updated_at, id: answer.body.ticket.id }
";
    let table = [
        (
            in_field.as_str(),
            r#"{"id":7,"lock_version":3,"stage":"new"}"#,
            "3",
            r#"{"lock_version":"3","stage":"won"}"#,
        ),
        (
            placed,
            r#"{"ticket":{"id":7,"updated_at":"2026-11-22T10:00:00Z","custom":{"stage":"new"}}}"#,
            "2026-11-22T10:00:00Z",
            r#"{"ticket":{"custom":{"stage":"won"},"safe_update":true,"updated_stamp":"2026-11-22T10:00:00Z"}}"#,
        ),
    ];
    for (actions, there, version, sent) in table {
        let there = there.to_owned();
        let stand = Stand::start(move |_, _| answer(200, &there)).await;
        let desk = Desk::new(connector("test", &file(actions)), &stand);
        let save = of("save", r#"{"id":"7"}"#, r#"{"stage":"won"}"#);
        let found = desk.read(&save).await.state;
        let ReadState::Present {
            version: Some(read),
            values,
        } = found
        else {
            panic!("{found:?}");
        };
        assert_eq!(
            (read.as_str(), values.at(&["stage"])),
            (version, Some(&Value::text("new")))
        );
        let done = desk.write(&save.on(version)).await;
        assert_eq!(stand.last_body(), sent);
        assert_eq!(done.vendor_ref.as_deref(), Some("7"));
        assert_eq!(done.version.as_deref(), Some(version));
    }
}

#[tokio::test]
async fn every_request_carries_the_headers_that_the_vendor_insists_on() {
    let stand = Stand::start(
        |r, _| match (r.header("x-api-version"), r.header("x-account")) {
            (Some("2026-01"), Some("acme")) => answer(201, "{\"id\":9}"),
            _ => answer(400, "{}"),
        },
    )
    .await;
    let yaml = "connector: test
title: Test
settings: { account: the account }
auth: { plain: { kind: basic, user: \"${connection.account}/token\" } }
headers: { X-Api-Version: 2026-01, X-Account: \"${connection.account}\" }
actions:
  add:
    class: E1
    key_lifetime: 24h
    fields: { as: text }
    request: { path: /leads, headers: { Idempotency-Key: \"${effect.key}\" }, json: { properties: \"${fields}\" } }
";
    let desk = Desk::with(
        connector("test", yaml),
        &stand,
        r#"{"account":"acme"}"#,
        "\"pw\"",
    );
    let add = of("add", "{}", r#"{"seats":3,"budget":10.50}"#);
    assert_eq!(desk.does(&add).await, Action::Succeed);
    let seen = &stand.seen()[0];
    assert_eq!(seen.header("idempotency-key"), Some("k-1"));
    assert_eq!(
        seen.header("authorization"),
        Some("Basic YWNtZS90b2tlbjpwdw==")
    );
    assert_eq!(
        stand.last_body(),
        r#"{"properties":{"budget":"10.50","seats":"3"}}"#
    );
}

/// A link that takes one creation: a repetition after a lost answer finds that it was used.
#[tokio::test]
async fn a_one_time_link_is_got_first_and_used_once() {
    let yaml = file(
        "
  create:
    class: E1
    fields: {}
    request: { path: \"${effect.version}\", json: \"${fields}\" }
    lock: placed
    read: { request: { method: POST, path: /leads/links }, version: \"answer.header['location']\" }
    meanings:
      - { status: 400, when: effect.attempt > 1, means: done_before }
",
    );
    let stand = Stand::start(|r, n| match (r.path(), n) {
        ("/leads/links", _) => {
            let host = r.header("host").unwrap_or_default().to_owned();
            answer(201, "{}").with("Location", format!("http://{host}/once/77"))
        }
        ("/once/77", 1) => answer(201, "{\"id\":\"L1\"}"),
        _ => answer(400, "{\"error\":\"used\"}"),
    })
    .await;
    let desk = Desk::new(connector("test", &yaml), &stand);
    let create = of("create", "{}", r#"{"name":"Ada"}"#);
    let ReadState::Present {
        version: Some(link),
        ..
    } = desk.read(&create).await.state
    else {
        panic!("no link");
    };
    let create = create.on(&link);
    assert_eq!(desk.does(&create).await, Action::Succeed);
    let mut again = create.clone();
    again.attempt = 2;
    assert_eq!(desk.does(&again).await, Action::Succeed);
    assert_eq!(desk.does(&create).await, Action::Failed { code: "refused" });
    assert_eq!(stand.lines()[1], "POST /once/77");
}

#[tokio::test]
async fn a_json_rpc_system_says_everything_with_200() {
    let yaml = file(
        "
  write:
    class: E2
    arguments: { id: { type: int, required: true, control: record } }
    fields: {}
    request:
      path: /jsonrpc
      json:
        jsonrpc: \"2.0\"
        method: call
        id: \"${effect.id}\"
        params: { model: lead, id: \"${args.id}\", if_version: \"${effect.version}\", values: \"${fields}\" }
    lock: placed
    read:
      request: { method: POST, path: /jsonrpc, json: { jsonrpc: \"2.0\", method: read, id: 1, params: { id: \"${args.id}\" } } }
      version: answer.body.result.version
      values: answer.body.result.values
      absent: answer.body.result == null
    answer: { version: answer.body.result.version, id: answer.body.result.id }
    meanings:
      - { when: answer.body.error.code == 409, means: conflict }
      - { when: answer.body.error.code == 100, means: credential }
      - { when: answer.body.error.code < 0, means: refused }
      - { when: answer.body.error != null, means: unknown }
",
    );
    let table = [
        (r#"{"result":{"id":5,"version":8}}"#, Action::Succeed),
        (r#"{"error":{"code":409}}"#, Action::Conflict),
        (
            r#"{"error":{"code":100}}"#,
            Action::Hold {
                code: "credential_refused",
            },
        ),
        (
            r#"{"error":{"code":-32602}}"#,
            Action::Failed { code: "refused" },
        ),
        (r#"{"error":{"code":500}}"#, Action::Reread),
    ];
    for (body, want) in table {
        let stand = Stand::start(move |_, _| answer(200, body)).await;
        let desk = Desk::new(connector("test", &yaml), &stand);
        let write = of("write", r#"{"id":5}"#, r#"{"stage":"won"}"#).on("7");
        assert_eq!(desk.does(&write).await, want, "{body}");
        assert_eq!(
            stand.last_body(),
            r#"{"id":"eff_1","jsonrpc":"2.0","method":"call","params":{"id":5,"if_version":"7","model":"lead","values":{"stage":"won"}}}"#
        );
    }
    let reads = [
        (r#"{"result":null}"#, ReadState::Absent),
        (r#"{"error":{"code":1}}"#, ReadState::Unread),
    ];
    for (body, want) in reads {
        let stand = Stand::start(move |_, _| answer(200, body)).await;
        let desk = Desk::new(connector("test", &yaml), &stand);
        assert_eq!(
            desk.read(&of("write", r#"{"id":5}"#, "{}")).await.state,
            want
        );
    }
}

#[tokio::test]
async fn a_session_is_opened_once_and_again_when_it_is_refused() {
    let yaml = "connector: test
title: Test
settings: { user: the user name }
auth:
  session:
    kind: session
    request: { path: /session, json: { login: \"${connection.user}\", password: \"${secret}\" } }
    token: answer.body.token
    header: X-Session
    value: \"${token}\"
actions:
  note:
    class: E4
    arguments: { text: { required: true } }
    request: { path: /notes, json: { text: \"${args.text}\" } }
";
    let stand = Stand::start(|r, n| match (r.path(), r.header("x-session")) {
        ("/session", _) if r.body == br#"{"login":"ada","password":"pw"}"# => {
            answer(200, &format!("{{\"token\":\"t{n}\"}}"))
        }
        ("/session", _) => answer(403, "{}"),
        // The first session is gone when it is used for the third time.
        ("/notes", Some("t0")) if n < 3 => answer(201, "{\"id\":1}"),
        ("/notes", Some("t4")) => answer(201, "{\"id\":2}"),
        _ => answer(401, "{}"),
    })
    .await;
    let desk = Desk::with(
        connector("test", yaml),
        &stand,
        r#"{"user":"ada"}"#,
        "\"pw\"",
    );
    let note = of("note", r#"{"text":"x"}"#, "{}");
    for _ in 0..3 {
        assert_eq!(desk.does(&note).await, Action::Succeed);
    }
    let want = [
        "/session", "/notes", "/notes", "/notes", "/session", "/notes",
    ];
    let paths: Vec<String> = stand.seen().iter().map(|r| r.target.clone()).collect();
    assert_eq!(paths, want);

    let wrong = Desk::with(
        connector("test", yaml),
        &stand,
        r#"{"user":"ada"}"#,
        "\"no\"",
    );
    let held = Action::Hold {
        code: "credential_refused",
    };
    assert_eq!(wrong.does(&note).await, held);
}

#[tokio::test]
async fn a_client_gets_its_token_by_oauth() {
    let table = [
        (
            "oauth_client",
            "form",
            r#"{"client_id":"c","client_secret":"x y"}"#,
            "client_id=c&client_secret=x+y&grant_type=client_credentials&scope=crm",
            None,
        ),
        (
            "oauth_client",
            "basic",
            r#"{"client_id":"c","client_secret":"s"}"#,
            "grant_type=client_credentials&scope=crm",
            Some("Basic Yzpz"),
        ),
        (
            "oauth_refresh",
            "form",
            r#"{"client_id":"c","client_secret":"s","refresh_token":"r"}"#,
            "client_id=c&client_secret=s&grant_type=refresh_token&refresh_token=r&scope=crm",
            None,
        ),
    ];
    for (kind, client, secret, body, basic) in table {
        let yaml = format!(
            "connector: test\ntitle: Test\nauth: {{ o: {{ kind: {kind}, client: {client}, scope: crm, token_url: https://id.example.com/token }} }}\nactions:\n  note:\n    class: E4\n    request: {{ path: /notes, json: {{}} }}\n"
        );
        let stand = Stand::start(|r, _| match (r.path(), r.header("authorization")) {
            ("/token", _) => answer(200, r#"{"access_token":"at","expires_in":3600}"#),
            ("/notes", Some("Bearer at")) => answer(200, "{}"),
            _ => answer(401, "{}"),
        })
        .await;
        let desk = Desk::with(connector("test", &yaml), &stand, "{}", secret);
        assert_eq!(
            desk.does(&of("note", "{}", "{}")).await,
            Action::Succeed,
            "{kind}"
        );
        let asked = &stand.seen()[0];
        assert_eq!(String::from_utf8_lossy(&asked.body), body, "{kind}");
        assert_eq!(asked.header("authorization"), basic, "{kind}");
    }
}

/// Without a token nothing of the effect is sent, whatever becomes of the log-in.
#[tokio::test]
async fn a_log_in_that_fails_means_not_sent() {
    let yaml = "connector: test
title: Test
auth: { o: { kind: oauth_client, token_url: https://id.example.com/token } }
actions:
  note: { class: E4, request: { path: /notes, json: {} } }
";
    let held = Action::Hold {
        code: "credential_refused",
    };
    let again = Action::Retry {
        retry_after: None,
        ground: Ground::NotApplied,
    };
    for (status, want) in [(400, held), (401, held), (503, again), (429, again)] {
        let stand = Stand::start(move |_, _| answer(status, "{}")).await;
        let secret = r#"{"client_id":"c","client_secret":"s"}"#;
        let desk = Desk::with(connector("test", yaml), &stand, "{}", secret);
        assert_eq!(desk.does(&of("note", "{}", "{}")).await, want, "{status}");
        assert_eq!(stand.lines(), ["POST /token"]);
    }
}

#[tokio::test]
async fn bodies_are_written_as_their_formats_ask() {
    let request = |body: &str| {
        file(&format!(
            "
  send:
    class: E4
    arguments: {{ to: {{ required: true }}, tags: {{ type: list }}, note: {{}} }}
    fields: {{}}
    request:
      method: PUT
      path: /x
{body}"
        ))
    };
    let table = [
        (
            "      form: { To: \"${args.to}\", Tag: \"${args.tags}\", meta: \"${fields}\", Note: \"${args.note}\" }\n",
            "application/x-www-form-urlencoded",
            "Tag=a&Tag=b&To=%2B49+30%26&meta%5Bk%5D=v",
        ),
        (
            "      xml: \"<p to=\\\"${args.to}\\\">${args.note}</p>\"\n",
            "application/xml",
            "<p to=\"+49 30&amp;\"></p>",
        ),
        (
            "      content_type: text/vcard; charset=utf-8\n      vcard: |\n        BEGIN:VCARD\n        FN:${args.to}\n        END:VCARD\n",
            "text/vcard; charset=utf-8",
            "BEGIN:VCARD\r\nFN:+49 30&\r\nEND:VCARD\r\n",
        ),
        (
            "      json: { to: \"${args.to}\", note: \"${args.note}\", at: [1, true, \"1\", 0.50, null], text: \"to ${args.to}\" }\n",
            "application/json",
            r#"{"at":[1,true,"1",0.50,null],"text":"to +49 30&","to":"+49 30&"}"#,
        ),
    ];
    for (body, kind, want) in table {
        let stand = Stand::start(|_, _| answer(201, "{}")).await;
        let desk = Desk::new(connector("test", &request(body)), &stand);
        let send = of(
            "send",
            r#"{"to":"+49 30&","tags":["a","b"]}"#,
            r#"{"k":"v"}"#,
        );
        assert_eq!(desk.does(&send).await, Action::Succeed);
        assert_eq!(stand.last_body(), want);
        assert_eq!(stand.seen()[0].header("content-type"), Some(kind));
    }
}

/// What stands in an argument stays where it was put.
#[tokio::test]
async fn an_argument_adds_no_segment_no_parameter_and_no_header() {
    let yaml = file(
        "
  tag:
    class: E4
    arguments: { id: { required: true }, q: {} }
    request: { method: PATCH, path: \"/l/${args.id}/tags\", query: { q: \"${args.q}\", empty: \"\" }, headers: { X-Q: \"${args.q}\" } }
",
    );
    let stand = Stand::start(|_, _| answer(200, "{}")).await;
    let desk = Desk::new(connector("test", &yaml), &stand);
    let hard = of("tag", r#"{"id":"w/x?y#z","q":"a&b=c d"}"#, "{}");
    assert_eq!(desk.does(&hard).await, Action::Succeed);
    assert_eq!(
        stand.lines(),
        ["PATCH /l/w%2Fx%3Fy%23z/tags?q=a%26b%3Dc%20d"]
    );
    let broken = of("tag", r#"{"id":"1","q":"a\r\nX-Evil: 1"}"#, "{}");
    assert_eq!(
        desk.does(&broken).await,
        Action::Failed {
            code: "request_invalid"
        }
    );
    assert!(desk.refusal(&of("tag", "{}", "{}")).starts_with("TL0804"));
    let dots = of("tag", r#"{"id":".."}"#, "{}");
    assert_eq!(
        desk.does(&dots).await,
        Action::Failed {
            code: "target_refused"
        }
    );
    assert_eq!(stand.lines().len(), 1);
}

#[tokio::test]
async fn what_got_no_answer_is_found_by_what_it_said() {
    let yaml = file(
        "
  send:
    class: E3
    arguments: { to: { type: phone, required: true, control: sensitive }, text: { required: true } }
    request: { path: /messages, form: { To: \"${args.to}\", Body: \"${args.text}\" } }
    look_up:
      request: { path: /messages, query: { To: \"${args.to}\" } }
      found: answer.body.messages.filter(m, m.body == args.text).map(m, m.sid)
      absent_is: certain
",
    );
    let table = [
        (
            200,
            r#"{"messages":[{"sid":"a","body":"x"},{"sid":"b","body":"hi"}]}"#,
            Found::These(vec!["b".into()]),
        ),
        (200, r#"{"messages":[]}"#, Found::These(vec![])),
        (200, r#"{"error":"x"}"#, Found::Unread),
        (200, "{}", Found::Unread),
        (503, r#"{"messages":[]}"#, Found::Unread),
    ];
    for (status, body, want) in table {
        let stand = Stand::start(move |_, _| answer(status, body)).await;
        let desk = Desk::new(connector("test", &yaml), &stand);
        let send = of("send", r#"{"to":"+4930","text":"hi"}"#, "{}");
        assert_eq!(desk.look_up(&send).await, want, "{status} {body}");
        assert_eq!(stand.lines(), ["GET /messages?To=%2B4930"]);
    }
}

#[tokio::test]
async fn a_message_is_signed_with_the_id_of_its_effect() {
    let yaml = "connector: test
title: Test
auth: { signed: { kind: standard_webhooks } }
actions:
  post: { class: E4, fields: {}, request: { path: /hook, json: { type: lead.won, data: \"${fields}\" } } }
";
    let stand = Stand::start(|_, _| answer(200, "{}")).await;
    let key = "\"whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\"";
    let desk = Desk::with(connector("test", yaml), &stand, "{}", key);
    assert_eq!(
        desk.does(&of("post", "{}", r#"{"id":1}"#)).await,
        Action::Succeed
    );
    let seen = &stand.seen()[0];
    assert_eq!(seen.header("webhook-id"), Some("eff_1"));
    let headers: Vec<(&str, &[u8])> = seen
        .headers
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_bytes()))
        .collect();
    let incoming = tl_wire::signature::Incoming {
        headers: &headers,
        body: &seen.body,
        method: "POST",
        url: None,
    };
    let secret = tl_wire::signature::Secret::standard_webhooks("1", key.trim_matches('"'), 0, None)
        .expect("a key");
    let verified = tl_wire::signature::verify(
        &tl_wire::signature::Scheme::StandardWebhooks,
        incoming,
        &[secret],
        tl_wire::signature::Window::at(crate::stand::NOW),
    );
    assert!(verified.is_ok(), "{verified:?}");
    assert!(!seen.headers.contains_key("authorization"));
}
