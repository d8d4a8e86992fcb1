//! Mail that vendors post and mail that the installation fetches itself: what of it is verified, how it is known again,
//! which thread it belongs to, and whether a program sent it.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tl_kernel::id::{CaseId, EventId};
use tl_kernel::value::Value;
use tl_web::Carried;
use tl_web::intake::AdmitError;
use tl_wire::signature::preset;

use crate::support::{NOW, Req, SECRET, Server, server};

/// A mail with these further header lines.
fn mail(id: &str, headers: &str) -> String {
    format!(
        "From: Ada <ada@example.com>\r\nTo: support@acme.example\r\nSubject: Seats\r\nMessage-ID: <{id}@example.com>\r\n\
         {headers}\r\nWe need ten seats.\r\n"
    )
}

fn form(fields: &[(&str, &str)]) -> String {
    let part = |(name, value): &(&str, &str)| {
        format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let parts: String = fields.iter().map(part).collect();
    format!("{parts}--B--\r\n")
}

fn post(door: &str, body: &str) -> Req {
    Req::new("POST", &format!("/hooks/acme/{door}"))
        .header("content-type", "multipart/form-data; boundary=B")
        .body(body)
        .without("idempotency-key")
}

/// A route's post as Mailgun signs it: the token and the time, and nothing else.
fn mailgun(token: &str, raw: &str) -> Req {
    mailgun_signed_with(SECRET, token, ("body-mime", raw))
}

fn mailgun_signed_with(secret: &str, token: &str, (field, raw): (&str, &str)) -> Req {
    let time = (NOW / 1_000_000).to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("{time}{token}").as_bytes());
    let signature: String = tag.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    post(
        "mailgun",
        &form(&[
            ("recipient", "support@acme.example"),
            ("timestamp", &time),
            ("token", token),
            ("signature", &signature),
            (field, raw),
        ]),
    )
}

/// What `event` was of the last message.
fn at(server: &Server, path: &[&str]) -> Value {
    let event = server.world.last().event;
    event.at(path).cloned().unwrap_or(Value::Null)
}

#[tokio::test]
async fn mailgun_posts_the_whole_mail_of_a_route() {
    let raw = mail("m1", "");
    let other = mail("m2", "");
    #[rustfmt::skip]
    let table: [(&str, Req, u16); 8] = [
        ("a mail", mailgun("t1", &raw), 202),
        ("the same post again", mailgun("t1", &raw), 200),
        ("the same mail under another token", mailgun("t2", &raw), 200),
        ("another mail under a token that was used", mailgun("t1", &other), 200),
        ("another mail", mailgun("t3", &mail("m3", "")), 202),
        ("a signature of somebody else", mailgun_signed_with("another key of an account", "t4", ("body-mime", &raw)), 401),
        ("no mail in it", mailgun_signed_with(SECRET, "t5", ("body-plain", "Hello")), 400),
        ("a bare mail", Req::new("POST", "/hooks/acme/mailgun").header("content-type", "message/rfc822").body(raw.clone()), 401),
    ];
    let server = server().await;
    for (what, request, status) in table {
        let answer = server.send(request).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
    }
    assert_eq!(server.world.last().key_source, "signed_id");
    assert_eq!(at(&server, &["from"]), Value::text("ada@example.com"));
    assert_eq!(at(&server, &["text"]), Value::text("We need ten seats."));
    assert_eq!(server.stored().await, 2);
    // What is stored is the post; read again it is the same event.
    let last = server.world.last();
    let again = server.world.read_again();
    assert_eq!(again.at(&["message_id"]), last.event.at(&["message_id"]));
}

#[tokio::test]
async fn sendgrid_signs_the_whole_post() {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    // SubjectPublicKeyInfo of a point on P-256: a fixed head, then the point.
    const HEAD: &[u8] = &[
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08,
        0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
    ];
    let key = STANDARD.encode([HEAD, pair.public_key().as_ref()].concat());
    let server = server().await;
    let secret = preset("sendgrid")
        .unwrap()
        .secret("sg", &key, (0, None))
        .unwrap();
    server.world.change("acme", |view| {
        let door = view.doors.get_mut("sendgrid").unwrap();
        door.secrets = vec![secret];
    });
    let signed = |body: &str, sent: &str| {
        let time = (NOW / 1_000_000).to_string();
        let tag = pair.sign(&SystemRandom::new(), format!("{time}{body}").as_bytes());
        let tag = STANDARD.encode(tag.unwrap().as_ref());
        post("sendgrid", sent)
            .header("x-twilio-email-event-webhook-timestamp", &time)
            .header("x-twilio-email-event-webhook-signature", &tag)
    };
    let envelope = r#"{"to":["support+x@acme.example"],"from":"ada@example.com"}"#;
    let one = form(&[("email", &mail("m1", "")), ("envelope", envelope)]);
    let changed = one.replace("ten seats", "two seats");
    #[rustfmt::skip]
    let table = [
        ("a mail", signed(&one, &one), 202),
        ("again", signed(&one, &one), 200),
        ("another mail under its signature", signed(&one, &changed), 401),
        ("the same Message-ID, signed", signed(&changed, &changed), 200),
        ("without the raw mail", signed(&form(&[("text", "Hello")]), &form(&[("text", "Hello")])), 400),
    ];
    for (what, request, status) in table {
        let answer = server.send(request).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
    }
    let to = at(&server, &["body", "delivered_to"]);
    assert_eq!(to, Value::List(vec![Value::text("support+x@acme.example")]));
}

/// Brings a mail to the door `mail` without HTTP.
async fn carry(server: &Server, raw: &str) -> Carried {
    let raw = raw.as_bytes().to_vec();
    server
        .carrier
        .deliver(("acme", "mail"), raw, "folder")
        .await
}

#[tokio::test]
async fn a_mail_that_is_fetched_is_admitted_like_one_that_is_posted() {
    let server = server().await;
    let taken = |known| Carried::Taken { known };
    let without_id = mail("m", "").replace("Message-ID: <m@example.com>\r\n", "");
    let table = [
        (mail("m1", ""), taken(false)),
        (mail("m1", ""), taken(true)),
        // Another way of the same mail: its `Received` lines differ.
        (
            format!("Received: by mx2\r\n{}", mail("m1", "")),
            taken(true),
        ),
        (mail("m2", ""), taken(false)),
        (without_id.clone(), taken(false)),
        (without_id.clone(), taken(true)),
        (without_id.replace("ten", "two"), taken(false)),
    ];
    for (raw, want) in table {
        assert_eq!(carry(&server, &raw).await, want, "{raw}");
    }
    assert_eq!(server.world.last().kid, "folder");
    // After the day for which bytes alone count at a door.
    server.world.pass(3 * 86_400_000_000);
    assert_eq!(carry(&server, &without_id).await, taken(true));

    let refused = |code| move |c: &Carried| matches!(c, Carried::Refused(c, _) if *c == code);
    assert!(refused("TL1010")(&carry(&server, "no mail at all").await));
    let large = mail("m3", &format!("X-Long: {}\r\n", "x ".repeat(40 * 1024)));
    assert!(refused("TL1005")(&carry(&server, &large).await));
    *server.world.fails.lock().unwrap() = Some(AdmitError::Refused("TL0712", "full".into()));
    assert!(refused("TL0712")(&carry(&server, &mail("m4", "")).await));
    // What the same bytes meet every time does not hold up the mail behind it.
    *server.world.fails.lock().unwrap() = Some(AdmitError::Faulty(7));
    assert!(refused("TL1020")(&carry(&server, &mail("m4", "")).await));
    for panics in [&server.world.panics, &server.world.clock_panics] {
        panics.store(true, Ordering::Relaxed);
        assert!(refused("TL1020")(&carry(&server, &mail("m4", "")).await));
        assert!(!panics.load(Ordering::Relaxed), "it has panicked");
    }
    let counted = server.send(Req::get("/metrics")).await.text();
    for outcome in ["faulty", "panicked"] {
        let series = format!("endpoint=\"mail\",outcome=\"{outcome}\"");
        assert!(counted.contains(&series), "{series} in {counted}");
    }

    // What may work later is left where it is.
    *server.world.fails.lock().unwrap() = Some(AdmitError::Unavailable);
    assert_eq!(
        carry(&server, &mail("m5", "")).await,
        Carried::Later("store")
    );
    *server.world.overload.lock().unwrap() = Some(("disk", 60));
    assert_eq!(
        carry(&server, &mail("m5", "")).await,
        Carried::Later("disk")
    );
    *server.world.overload.lock().unwrap() = None;
    server
        .world
        .change("acme", |view| view.ingest_killed = true);
    assert_eq!(
        carry(&server, &mail("m5", "")).await,
        Carried::Later("kill_ingest")
    );
    server
        .world
        .change("acme", |view| view.ingest_killed = false);
    assert_eq!(carry(&server, &mail("m5", "")).await, taken(false));

    let none = [("acme", "nothing"), ("nobody", "mail"), ("acme", "leads")];
    for door in none {
        let raw = mail("m6", "").into_bytes();
        assert_eq!(
            server.carrier.deliver(door, raw, "folder").await,
            Carried::NoDoor
        );
        assert_eq!(server.carrier.most(door).await, None);
    }
    assert_eq!(server.carrier.most(("acme", "mail")).await, Some(64 * 1024));
    server.world.change("acme", |view| {
        view.doors.get_mut("mail").unwrap().disabled = true;
    });
    assert_eq!(carry(&server, &mail("m6", "")).await, Carried::NoDoor);
}

#[tokio::test]
async fn an_answer_names_its_thread() {
    let case = CaseId([7; 16]).to_string();
    let plus = format!(
        "To: Support <Support+{}@acme.example>\r\n",
        case.to_uppercase()
    );
    let ours = format!("In-Reply-To: <{case}.1@acme.example>\r\n");
    let ours_id = format!("{case}.1@acme.example");
    let many: String = (1..=60).map(|n| format!(" <r{n}@x.example>")).collect();
    let many = format!("References:{many}\r\n");
    let server = server().await;
    #[rustfmt::skip]
    let table: [(&str, &str, &[&str]); 6] = [
        ("a first mail", "", &[]),
        ("an answer", "In-Reply-To: <a@x.example>\r\nReferences: <root@x.example> <a@x.example>\r\n", &["root@x.example", "a@x.example"]),
        ("a plus-address", &plus, &[&case]),
        ("another plus-address", "Cc: support+news@acme.example\r\n", &[]),
        ("an id that begins with a case", &ours, &[&case, &ours_id]),
        ("a long thread", &many, &["r1@x.example", "r4@x.example", "r41@x.example", "r60@x.example"]),
    ];
    for (n, (what, headers, names)) in table.into_iter().enumerate() {
        let own = format!("t{n}");
        let raw = match headers.starts_with("To:") {
            true => mail(&own, headers).replace("To: support@acme.example\r\n", ""),
            false => mail(&own, headers),
        };
        assert_eq!(
            carry(&server, &raw).await,
            Carried::Taken { known: false },
            "{what}"
        );
        let thread = match at(&server, &["thread"]) {
            Value::List(items) => items.into_iter().map(|v| v.to_string()).collect(),
            _ => Vec::new(),
        };
        let EventId(id) = server.world.last().id;
        let own = format!("{own}@example.com");
        for name in names
            .iter()
            .copied()
            .chain([own.as_str(), &CaseId(id).to_string()])
        {
            assert!(
                thread.iter().any(|t| t == name),
                "{what}: {name} in {thread:?}"
            );
        }
        assert!(thread.len() <= 26, "{what}: {thread:?}");
        assert!(!thread.contains(&"r20@x.example".to_owned()));
    }
}

/// A report with more ids than anybody has cases: a reader that compared each with all would not end within any
/// patience.
#[tokio::test]
async fn a_report_of_hundreds_of_thousands_of_mails_has_a_short_thread() {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let letter = |n: usize| char::from(LETTERS[n % LETTERS.len()]);
    let id = |n: usize| {
        let high = n / LETTERS.len();
        format!(
            "<{}{}{}>",
            letter(n),
            letter(high),
            letter(high / LETTERS.len())
        )
    };
    let parts = (0..35).map(|part| {
        let ids: String = (0..50_000).map(|n| id(part * 50_000 + n)).collect();
        format!("--B\r\nContent-Type: message/rfc822\r\n\r\nReferences: {ids}\r\n\r\nx\r\n")
    });
    let head = "Content-Type: multipart/report; report-type=delivery-status; boundary=B\r\n";
    let parts: String = parts.collect();
    let raw = mail("many", head).replace("We need ten seats.\r\n", &format!("{parts}--B--\r\n"));
    assert!(raw.len() > 8_000_000);
    let server = server().await;
    server.world.change("acme", |view| {
        let door = view.doors.get_mut("mail").unwrap();
        let mut program = (*door.program).clone();
        program.endpoints[door.endpoint].max_body = 10 * 1024 * 1024;
        door.program = Arc::new(program);
    });
    assert_eq!(carry(&server, &raw).await, Carried::Taken { known: false });
    let Some(Value::List(thread)) = server.world.last().event.at(&["thread"]).cloned() else {
        panic!("no thread")
    };
    assert_eq!(
        thread.len(),
        26,
        "the case, the mail's own id, and 24 of the report"
    );
}

#[tokio::test]
async fn a_mail_of_a_program_is_named_by_its_kind() {
    let server = server().await;
    #[rustfmt::skip]
    let table = [
        ("", Value::Null),
        ("Auto-Submitted: auto-replied\r\n", Value::text("auto_reply")),
        ("Return-Path: <>\r\n", Value::text("bounce")),
        ("List-Id: <x.example>\r\n", Value::text("list")),
        ("Delivered-To: Ada+tag@example.com\r\n", Value::text("loop")),
        ("Delivered-To: support@acme.example\r\n", Value::Null),
        ("Cc: ada@example.com\r\n", Value::Null),
        ("X-Throughline-Effect: 1\r\n", Value::text("loop")),
    ];
    for (n, (headers, want)) in table.into_iter().enumerate() {
        carry(&server, &mail(&format!("k{n}"), headers)).await;
        assert_eq!(at(&server, &["automatic"]), want, "{headers}");
    }
    // Answers without any mark that come again and again; new mails are none, however many come.
    let mut words = Vec::new();
    for n in 0..12 {
        carry(&server, &mail(&format!("new{n}"), "")).await;
        assert_eq!(at(&server, &["automatic"]), Value::Null);
        // One that comes three times is one answer.
        for _ in 0..3 {
            carry(
                &server,
                &mail(&format!("re{n}"), "In-Reply-To: <x@y.example>\r\n"),
            )
            .await;
        }
        words.push(at(&server, &["automatic"]));
    }
    assert_eq!(words[..10], vec![Value::Null; 10]);
    assert_eq!(words[10..], vec![Value::text("loop"); 2]);
    server.world.pass(600_000_000);
    carry(&server, &mail("later", "In-Reply-To: <x@y.example>\r\n")).await;
    assert_eq!(at(&server, &["automatic"]), Value::Null);
}

#[tokio::test]
async fn a_mail_that_was_passed_on_names_who_wrote_it() {
    let server = server().await;
    let raw = "From: Bo <bo@acme.example>\r\nTo: support@acme.example\r\nSubject: Fwd: Seats\r\nMessage-ID: <f@x>\r\n\r\n\
               Please look.\r\n\r\n---------- Forwarded message ---------\r\nFrom: Cy Doe <cy@example.org>\r\n\
               Date: Mon, 2 Nov 2026 at 10:00\r\nSubject: Seats\r\nTo: <bo@acme.example>\r\n\r\nTen seats, please.\r\n";
    assert_eq!(carry(&server, raw).await, Carried::Taken { known: false });
    let table = [
        ("from", "bo@acme.example"),
        ("text", "Please look."),
        ("forwarded_from", "cy@example.org"),
        ("forwarded_name", "Cy Doe"),
        ("forwarded_text", "Ten seats, please."),
    ];
    for (part, want) in table {
        assert_eq!(at(&server, &[part]), Value::text(want), "{part}");
    }
}
