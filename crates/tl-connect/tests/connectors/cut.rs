//! An answer that breaks off after each of its bytes. Of a write that was applied nobody says that it was not, of a record
//! that is there nobody says that it is absent, and a look finds either what is there or nothing out.

use tl_connect::call::{Found, ReadState};
use tl_connect::classify::{Action, Ground, Observation};
use tl_connect::fake::http::Reply;
use tl_kernel::effect::Class;

use crate::contracts::{logs_in, recorded_try, recordings};
use crate::stand::{Desk, Stand, Try, connector, of};

/// How the end of a body is told.
#[derive(Debug, Clone, Copy)]
enum End {
    Length,
    Chunk,
    /// By nothing but the end of the connection.
    Close,
}

const ENDS: [End; 3] = [End::Length, End::Chunk, End::Close];

/// An answer as it goes over the wire.
fn wire(end: End, status: u16, kind: &str, body: &str) -> Vec<u8> {
    let (head, body) = match end {
        End::Length => (
            format!("content-length: {}\r\n", body.len()),
            body.to_owned(),
        ),
        End::Chunk => (
            "transfer-encoding: chunked\r\n".to_owned(),
            format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()),
        ),
        End::Close => (String::new(), body.to_owned()),
    };
    format!("HTTP/1.1 {status} Answer\r\ncontent-type: {kind}\r\netag: \"8\"\r\n{head}\r\n{body}")
        .into()
}

/// Its n-th request gets the first n bytes of an answer.
async fn breaking_off(answer: Vec<u8>) -> Stand {
    Stand::replying(move |_, n| Reply::Raw(answer[..n.min(answer.len())].to_vec())).await
}

fn file(class: &str, more: &str) -> String {
    format!(
        "connector: test
title: Test
auth: {{ key: {{ kind: header, header: X-Api-Key }} }}
actions:
  save:
    arguments: {{ id: {{ required: true, control: record }} }}
    fields: {{}}
    request: {{ method: PUT, path: \"/leads/${{args.id}}\", headers: {{ Idempotency-Key: \"${{effect.key}}\" }}, json: \"${{fields}}\" }}
    class: {class}
{more}"
    )
}

/// Nothing follows from which somebody would do it again where that does harm, or believe that it did not happen.
fn owns_up(class: Class, action: Action) -> bool {
    let same = |ground| Action::Retry {
        retry_after: None,
        ground,
    };
    let unknown = match class {
        Class::E1 => action == same(Ground::SameKey),
        Class::E2 => action == Action::Reread,
        Class::E5 => action == same(Ground::Harmless),
        _ => action == Action::Uncertain,
    };
    unknown || action == Action::Succeed
}

/// Drives a call through every cut of an answer that says it was done, but for one that nobody can see: how many cuts
/// did not show it.
async fn every_cut(
    desk: &Desk,
    (what, answer, unseen): (&Try, usize, Option<usize>),
    row: &str,
) -> usize {
    let class = desk.connector.operations[what.operation].class;
    let (mut last, mut unknown) = (None, 0);
    for bytes in 0..=answer {
        let outcome = desk.write(what).await;
        if unseen == Some(bytes) {
            continue;
        }
        let sent = !matches!(
            outcome.observation,
            Observation::NotSent(_) | Observation::NotProcessed
        );
        let op = &desk.connector.operations[what.operation];
        let action = tl_connect::classify::classify(
            class,
            op.on_unknown,
            &outcome.observation,
            &outcome.overrides,
        );
        assert!(
            sent && owns_up(class, action),
            "{row}: after {bytes} of {answer} bytes {action:?}"
        );
        unknown += usize::from(action != Action::Succeed);
        last = Some(action);
    }
    assert_eq!(last, Some(Action::Succeed), "{row}: the whole answer");
    unknown
}

#[tokio::test]
async fn a_write_that_was_applied_is_never_said_not_to_have_been() {
    let classes = [
        ("E1", "    key_lifetime: 24h\n"),
        ("E2", "    lock: if_match\n"),
        (
            "E3",
            "    look_up: { request: { path: /leads }, found: answer.body.ids, absent_is: certain }\n",
        ),
        ("E4", ""),
    ];
    // What the file says of answers, how the vendor says that it was done.
    let habits = [
        ("", 200, "application/json", r#"{"id":"17","stage":"won"}"#),
        (
            "{ status: 200, when: answer.body.code != 0, means: refused }",
            200,
            "application/json",
            r#"{"code":0,"id":"17"}"#,
        ),
        (
            "{ when: answer.body.ok != true, means: not_processed }",
            200,
            "application/json",
            r#"{"ok":true}"#,
        ),
        (
            "{ when: \"!has(answer.body.id)\", means: conflict }",
            201,
            "application/json",
            r#"{"id":17}"#,
        ),
        (
            "{ when: \"answer.body.data[0].state != 'ok'\", means: missing }",
            200,
            "application/problem+json",
            r#"{"data":[{"state":"ok"}]}"#,
        ),
        (
            "{ when: answer.text != 'done', means: refused }",
            200,
            "text/plain",
            "done",
        ),
        (
            "{ status: 409, when: answer.body.by == 'us', means: done_before }, { status: 409, means: refused }",
            409,
            "application/json",
            r#"{"by":"us"}"#,
        ),
    ];
    let mut unknown = 0;
    for (class, evidence) in classes {
        for (rules, status, kind, body) in habits {
            for end in ENDS {
                let closes = matches!(end, End::Close);
                if closes && kind == "text/plain" {
                    // A text that nothing ends may break off unseen.
                    continue;
                }
                let answer = wire(end, status, kind, body);
                let length = answer.len();
                // So may any body before its first byte: it looks like one that is empty.
                let unseen = closes.then(|| length - body.len());
                let stand = breaking_off(answer).await;
                let yaml = file(class, &format!("{evidence}    meanings: [{rules}]\n"));
                let desk = Desk::new(connector("test", &yaml), &stand);
                let save = of("save", r#"{"id":"17"}"#, r#"{"stage":"won"}"#).on("\"7\"");
                let row = format!("{class} {rules} {end:?}");
                unknown += every_cut(&desk, (&save, length, unseen), &row).await;
            }
        }
    }
    assert!(unknown > 5_000, "{unknown} answers broke off");
}

/// The connectors that come with the product, by an answer that all of these vendors could give.
#[tokio::test]
async fn no_shipped_connector_says_that_what_was_applied_was_not() {
    let mut unknown = 0;
    for recorded in recordings() {
        let id = match &recorded["args"]["id"] {
            serde_json::Value::Null => "17".to_owned(),
            given => given.to_string().trim_matches('"').to_owned(),
        };
        let body = format!(
            r#"{{"id":"{id}","ok":true,"success":true,"ErrorCode":0,"MessageID":"m","sid":"SM1","data":{{"id":{id}}},"results":[{{"id":"{id}"}}]}}"#
        );
        let answer = wire(End::Length, 200, "application/json", &body);
        let (length, token) = (answer.len(), logs_in(&recorded));
        let stand = Stand::replying(move |_, n| match token {
            true if n == 0 => Reply::Answer(crate::stand::answer(
                200,
                r#"{"access_token":"t","expires_in":3600}"#,
            )),
            _ => {
                let n = n - usize::from(token);
                Reply::Raw(answer[..n.min(answer.len())].to_vec())
            }
        })
        .await;
        let (desk, mut what) = recorded_try(&recorded, &stand);
        what.version = Some("\"7\"".to_owned());
        let row = format!("{} {}", recorded["connector"], recorded["operation"]);
        unknown += every_cut(&desk, (&what, length, None), &row).await;
    }
    assert!(unknown > 2_000, "{unknown} answers broke off");
}

#[tokio::test]
async fn a_record_that_is_there_is_never_said_to_be_absent() {
    let body = r#"{"result":{"version":"8","values":{"stage":"won"}}}"#;
    let reads = [
        "",
        "    read: { version: answer.body.result.version, values: answer.body.result.values, absent: answer.body.result == null }\n",
        "    read: { absent: \"!has(answer.body.result)\" }\n",
        "    meanings: [{ when: answer.body.result == null, means: missing }]\n",
    ];
    for read in reads {
        for end in ENDS {
            let answer = wire(end, 200, "application/json", body);
            let length = answer.len();
            let stand = breaking_off(answer).await;
            let yaml = file("E2", &format!("    lock: if_match\n{read}"));
            let desk = Desk::new(connector("test", &yaml), &stand);
            let save = of("save", r#"{"id":"17"}"#, "{}");
            let mut last = ReadState::Unread;
            for bytes in 0..=length {
                last = desk.read(&save).await.state;
                assert_ne!(last, ReadState::Absent, "{read} {end:?}: {bytes} bytes");
            }
            let there = matches!(
                &last,
                ReadState::Present {
                    version: Some(_),
                    ..
                }
            );
            assert!(there, "{read} {end:?}: {last:?}");
        }
    }
    // A page for people where the record should be says nothing of the record either.
    for read in reads {
        let page = wire(End::Length, 200, "text/html", "<p>back soon</p>");
        let stand = Stand::replying(move |_, _| Reply::Raw(page.clone())).await;
        let yaml = file("E2", &format!("    lock: if_match\n{read}"));
        let desk = Desk::new(connector("test", &yaml), &stand);
        let found = desk.read(&of("save", r#"{"id":"17"}"#, "{}")).await.state;
        assert_eq!(found, ReadState::Unread, "{read}");
    }
}

#[tokio::test]
async fn a_look_finds_what_is_there_or_nothing_out() {
    let body = r#"{"total":1,"messages":[{"sid":"b","body":"hi"}]}"#;
    let found = [
        "answer.body.messages.map(m, m.sid)",
        "answer.body.messages.filter(m, m.sid == 'b').map(m, m.sid)",
        "[answer.body.messages[0].sid]",
        "answer.body.total == 0 ? [] : answer.body.messages.map(m, m.sid)",
        "answer.body.total > 0 ? answer.body.messages.map(m, m.sid) : []",
    ];
    for found in found {
        for end in ENDS {
            let answer = wire(end, 200, "application/json", body);
            let length = answer.len();
            let stand = breaking_off(answer).await;
            let evidence = format!(
                "    look_up: {{ request: {{ path: /m }}, found: \"{found}\", absent_is: certain }}\n"
            );
            let desk = Desk::new(connector("test", &file("E3", &evidence)), &stand);
            let save = of("save", r#"{"id":"17"}"#, "{}");
            let mut last = Found::Unread;
            for bytes in 0..=length {
                last = desk.look_up(&save).await;
                let honest =
                    matches!(&last, Found::Unread) || last == Found::These(vec!["b".into()]);
                assert!(honest, "{found} {end:?}: {last:?} after {bytes} bytes");
            }
            assert_ne!(last, Found::Unread, "{found} {end:?}: the whole answer");
        }
    }
}
