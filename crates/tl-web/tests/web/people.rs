//! Doors that only pages of ours lead to: one-time links, and forms behind a sign-in.

use std::collections::BTreeMap;

use tl_kernel::follow_up::{Link, OVER};
use tl_kernel::id::{CaseId, TenantId};
use tl_kernel::value::Value;
use tl_web::intake::{AdmitError, Waiting};
use tl_web::{FilledIn, NotTaken};

use crate::support::{Answer, NOW, Req, Server, WEBSITE, server};

const CASE: CaseId = CaseId([7; 16]);
const DAY: i64 = 86_400;

/// A case of `acme` that waits for a name and a phone number, which message 3 asked for.
fn waits(server: &Server) {
    let views = server.world.views.lock().unwrap();
    let record = views["acme"].doors["lead_follow_up"].program.record.clone();
    let waiting = Waiting {
        endpoint: "lead_follow_up".into(),
        record,
        ask: 3,
        fields: vec!["name".into(), "phone".into()],
    };
    let mut all = server.world.waiting.lock().unwrap();
    all.insert(CASE, waiting);
}

/// The address of a link of the case: of which message, until when, and for which fields of the record.
fn link(ask: u32, days: i64, fields: &[usize]) -> String {
    let link = Link {
        ask,
        until: NOW / 1_000_000 + days * DAY,
        fields: fields.to_vec(),
    };
    format!("/follow-up/acme/{CASE}/{}", link.token(&[1; 32], CASE))
}

async fn filled(server: &Server, at: &str, body: &str) -> Answer {
    let request = Req::new("POST", at)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body);
    server.send(request).await
}

#[tokio::test]
async fn a_link_asks_for_what_is_missing_once() {
    let server = server().await;
    waits(&server);
    // Positions in the record: name, email, phone. The address has come meanwhile.
    let at = link(3, 7, &[0, 1, 2]);
    let page = server.send(Req::get(&at)).await;
    assert_eq!(page.status, 200, "{}", page.text());
    let text = page.text();
    for part in [
        "<h1>Some details are missing</h1>",
        "id=\"q0\" name=\"name\" type=\"text\"",
        "id=\"q1\" name=\"phone\" type=\"tel\"",
    ] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    for part in ["email", "stage", "_form", "_website", "<script"] {
        assert!(!text.contains(part), "{part} in {text}");
    }
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));

    let wrong = filled(&server, &at, "name=&phone=12").await;
    assert_eq!(wrong.status, 422);
    for part in [
        "<a href=\"#q0\">Enter name.</a>",
        "<a href=\"#q1\">Enter a phone number",
        "value=\"12\"",
    ] {
        assert!(wrong.text().contains(part), "no {part}");
    }
    assert_eq!(server.stored().await, 0);

    let right = "name=Ada&phone=%2B442079460000&email=evil%40example.com&stage=won";
    let done = filled(&server, &at, right).await;
    assert_eq!(
        (done.status, done.header("location")),
        (303, Some("../../sent"))
    );
    let admission = server.world.last();
    assert_eq!(admission.case, Some(CASE));
    assert_eq!(
        (admission.kid.as_str(), admission.key_source.as_str()),
        ("link-3", "signed_id")
    );
    let body = BTreeMap::from([
        ("name".to_owned(), Value::text("Ada")),
        ("phone".to_owned(), Value::text("+442079460000")),
    ]);
    assert_eq!(
        admission.event.at(&["body"]),
        Some(&Value::Record(body)),
        "what was not asked for is not taken"
    );
    let kept = String::from_utf8(admission.payload).unwrap();
    assert_eq!(kept, r#"{"name":"Ada","phone":"+442079460000"}"#);
    // A double click says thank you, other answers by the same link are not taken.
    assert_eq!(filled(&server, &at, right).await.status, 303);
    assert_eq!(
        filled(&server, &at, "name=Eve&phone=%2B442079460000")
            .await
            .status,
        410
    );
    assert_eq!(server.stored().await, 1);
    assert!(
        server
            .send(Req::get("/follow-up/sent"))
            .await
            .text()
            .contains("Thank you")
    );
}

/// Every link that does not count gets one page: nobody learns from it which case there is.
#[tokio::test]
async fn a_link_that_does_not_count_says_no_more_than_that() {
    let server = server().await;
    waits(&server);
    let good = link(3, 7, &[0, 2]);
    let (rest, token) = good.rsplit_once('/').unwrap();
    let other = format!("/follow-up/acme/{}/{token}", CaseId([8; 16]));
    let table = [
        ("changed", format!("{good}0")),
        (
            "other fields",
            format!("{rest}/{}", token.replacen(".0-2.", ".0-1.", 1)),
        ),
        ("another case", other),
        ("another tenant", good.replacen("acme", "other", 1)),
        ("no tenant", good.replacen("acme", "nobody", 1)),
        ("no case", good.replacen("case_", "evt_", 1)),
        ("an earlier message", link(2, 7, &[0, 2])),
        ("ended", link(3, -1, &[0, 2])),
        ("nothing of it is missing", link(3, 7, &[1])),
    ];
    let want = server.send(Req::get("/follow-up/acme/x/y")).await;
    assert_eq!(want.status, 410);
    for (what, at) in &table {
        for answer in [
            server.send(Req::get(at)).await,
            filled(&server, at, "name=Ada&phone=%2B442079460000").await,
        ] {
            assert_eq!((answer.status, answer.text()), (410, want.text()), "{what}");
        }
    }
    // The case went on between the page and its answer.
    *server.world.fails.lock().unwrap() = Some(AdmitError::Refused(OVER, "over".into()));
    let late = filled(&server, &good, "name=Ada&phone=%2B442079460000").await;
    assert_eq!((late.status, late.text()), (410, want.text()));
    // And after it nobody asks any more.
    server.world.waiting.lock().unwrap().clear();
    assert_eq!(server.send(Req::get(&good)).await.text(), want.text());
    assert_eq!(server.stored().await, 0);
}

#[tokio::test]
async fn doors_of_pages_have_no_address_of_their_own() {
    let server = server().await;
    let body = r#"{"name":"Ada","email":"ada@example.com"}"#;
    for door in ["lead_follow_up", "phone_note"] {
        for way in ["hooks", "forms"] {
            let post = Req::post(&format!("/{way}/acme/{door}"), body);
            let answer = server.send(post.header("origin", WEBSITE)).await;
            assert_eq!(answer.status, 404, "{way} {door}");
        }
    }
    assert_eq!(server.stored().await, 0);
}

#[tokio::test]
async fn a_person_who_has_signed_in_writes_a_note() {
    let server = server().await;
    let signed_in = server.carrier.signed_in();
    let forms = signed_in.forms("acme").await;
    let names: Vec<&str> = forms.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["phone_note"]);
    assert_eq!(forms[0].1.title, "Ask us <anything>");
    let note = |form: &'static str, key: &'static str, answers: &[(&str, &str)]| FilledIn {
        tenant: "acme",
        form,
        person: "ana",
        key,
        answers: answers
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect(),
    };
    let good = [
        ("name", "Ada"),
        ("email", "ada@example.com"),
        ("seats", "4"),
    ];
    let wrong = signed_in.take(note("phone_note", "k1", &good[..1])).await;
    let missing = vec![(Some(1), "Enter e-mail.".to_owned())];
    assert_eq!(wrong, Err(NotTaken::Wrong(missing)));
    for form in ["enquiry", "lead_follow_up", "nothing"] {
        let none = signed_in.take(note(form, "k1", &good)).await;
        assert_eq!(none, Err(NotTaken::NoForm), "{form}");
    }
    assert_eq!(server.stored().await, 0);
    assert_eq!(
        signed_in.take(note("phone_note", "k1", &good)).await,
        Ok(false)
    );
    assert_eq!(
        signed_in.take(note("phone_note", "k1", &good)).await,
        Ok(true),
        "the page was sent twice"
    );
    let corrected = [good[0], good[1], ("seats", "5")];
    assert_eq!(
        signed_in.take(note("phone_note", "k1", &corrected)).await,
        Err(NotTaken::Changed),
        "the page was sent twice, with other answers"
    );
    let admission = server.world.last();
    assert_eq!(
        (admission.tenant, admission.kid.as_str()),
        (TenantId(1), "ana")
    );
    assert_eq!(admission.event.at(&["body", "seats"]), Some(&Value::Int(4)));
    assert_eq!(
        signed_in.take(note("phone_note", "k2", &good)).await,
        Ok(false),
        "another call"
    );
    assert_eq!(server.stored().await, 2);
}
