//! Mail that a program sent by itself, delivery reports, and mail that vendors post as forms.

use tl_wire::content_type::ContentType;
use tl_wire::mail::{Automatic, Posted, PostedError, Poster, parse};

/// A short mail with these further header lines.
fn with(headers: &str) -> Vec<u8> {
    format!("From: ada@example.com\r\nSubject: S\r\n{headers}\r\nText\r\n").into_bytes()
}

#[test]
fn what_a_program_sent_is_told_from_what_a_person_sent() {
    use Automatic::{AutoReply, Bounce, Generated, List};
    const ANSWER: &str = "In-Reply-To: <m1@acme.example>\r\n";
    #[rustfmt::skip]
    let table = [
        ("", None),
        ("Auto-Submitted: no\r\n", None),
        ("X-Auto-Response-Suppress: All\r\n", None),
        ("Auto-Submitted: auto-replied\r\n", Some(AutoReply)),
        ("Auto-Submitted: auto-replied (vacation)\r\n", Some(AutoReply)),
        ("X-Autoreply: yes\r\n", Some(AutoReply)),
        ("X-Autorespond: away\r\n", Some(AutoReply)),
        ("X-Autoreply: no\r\n", None),
        ("Precedence: auto_reply\r\n", Some(AutoReply)),
        ("Auto-Submitted: auto-generated\r\n", Some(Generated)),
        ("Return-Path: <>\r\nAuto-Submitted: auto-replied\r\n", Some(AutoReply)),
        ("Return-Path: <>\r\n", Some(Bounce)),
        ("Return-Path: <ada@example.com>\r\n", None),
        ("X-Failed-Recipients: eve@example.com\r\n", Some(Bounce)),
        ("List-Id: <news.example.com>\r\n", Some(List)),
        ("Precedence: bulk\r\n", Some(List)),
        ("Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n", Some(Bounce)),
        ("Content-Type: Multipart/Report; report-type=disposition-notification; boundary=b\r\n", Some(AutoReply)),
        ("Content-Type: multipart/report; report-type=feedback-report; boundary=b\r\n", None),
    ];
    for (headers, want) in table {
        let mail = parse(&with(headers)).unwrap();
        assert_eq!(mail.automatic, want, "{headers}");
    }
    // A note of absence that its server calls generated is an answer all the same.
    let answer = with(&format!("Auto-Submitted: auto-generated\r\n{ANSWER}"));
    assert_eq!(parse(&answer).unwrap().automatic, Some(AutoReply));
    assert_eq!(parse(&with(ANSWER)).unwrap().automatic, None);
    let daemon =
        b"From: Mail Delivery <MAILER-DAEMON@mx.example>\r\nReturn-Path: <>\r\n\r\nNo.\r\n";
    assert_eq!(parse(daemon).unwrap().automatic, Some(Bounce));
}

/// A report on a mail that did not arrive, as a mail server writes it.
const REPORT: &str = "Return-Path: <>\r\n\
From: MAILER-DAEMON@mx.acme.example (Mail Delivery System)\r\n\
To: support@acme.example\r\n\
Subject: Undelivered Mail Returned to Sender\r\n\
Auto-Submitted: auto-replied\r\n\
Message-ID: <r1@mx.acme.example>\r\n\
Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"B\"\r\n\
\r\n\
--B\r\nContent-Description: Notification\r\n\r\nI am sorry.\r\n\
--B\r\nContent-Type: message/delivery-status\r\n\r\n\
Reporting-MTA: dns; mx.acme.example\r\n\r\n\
Final-Recipient: rfc822; nobody@example.com\r\nAction: failed\r\nStatus: 5.1.1\r\n\
Diagnostic-Code: smtp; 550 5.1.1 unknown\r\n\
--B\r\nContent-Type: message/rfc822\r\n\r\n\
From: support@acme.example\r\nTo: nobody@example.com\r\nMessage-ID: <ours@acme.example>\r\n\
References: <first@example.com>\r\n\r\nOur answer\r\n\
--B--\r\n";

#[test]
fn a_report_says_which_mail_did_not_arrive_and_why() {
    let mail = parse(REPORT.as_bytes()).unwrap();
    assert_eq!(mail.automatic, Some(Automatic::Bounce));
    let returned = mail.returned.expect("a report");
    assert_eq!(returned.recipient.as_deref(), Some("nobody@example.com"));
    assert_eq!(returned.action.as_deref(), Some("failed"));
    assert_eq!(returned.status.as_deref(), Some("5.1.1"));
    assert_eq!(returned.ids, ["ours@acme.example", "first@example.com"]);
    assert_eq!(mail.text, "I am sorry.");
    // Only the head came back, or nothing that can be read: what is known is still said.
    let headers = REPORT.replace("message/rfc822\r", "text/rfc822-headers\r");
    let returned = parse(headers.as_bytes()).unwrap().returned.unwrap();
    assert_eq!(returned.ids.len(), 2);
    let bare = REPORT.replace("Message-ID: <ours@acme.example>\r\n", "");
    let returned = parse(bare.as_bytes()).unwrap().returned.unwrap();
    assert_eq!(returned.ids, ["first@example.com"]);
    // Another's mail that is attached to a person's mail is no report.
    let mixed = REPORT.replace(
        "multipart/report; report-type=delivery-status",
        "multipart/mixed",
    );
    assert_eq!(parse(mixed.as_bytes()).unwrap().returned, None);
}

#[test]
fn where_a_mail_was_delivered_and_whether_it_is_ours() {
    let mail = parse(&with(
        "Delivered-To: support@acme.example\r\nX-Original-To: <Help+x@acme.example>\r\nEnvelope-To: no address\r\n",
    ))
    .unwrap();
    assert_eq!(
        mail.delivered_to,
        ["support@acme.example", "Help+x@acme.example"]
    );
    #[rustfmt::skip]
    let table = [
        ("", false),
        ("X-Throughline-Effect: eff_1\r\n", true),
        ("X-Mailgun-Variables: {\"throughline_effect\": \"eff_1\"}\r\n", true),
        ("X-Mailgun-Variables: {\"campaign\": 1}\r\n", false),
    ];
    for (headers, ours) in table {
        assert_eq!(parse(&with(headers)).unwrap().ours, ours, "{headers}");
    }
}

#[test]
fn an_attachment_has_the_digest_of_its_content() {
    let mail = b"From: a@b.example\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n\
--B\r\n\r\nSee below\r\n\
--B\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=a.pdf\r\n\
Content-Transfer-Encoding: base64\r\n\r\nYWJj\r\n--B--\r\n";
    let mail = parse(mail).unwrap();
    // SHA-256 of the three letters abc, as FIPS 180-2 gives it.
    let want = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(mail.attachments[0].digest, want);
}

fn multipart(fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in fields {
        let head = format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(value);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--B--\r\n");
    body
}

#[test]
fn vendors_post_the_whole_mail_in_a_form() {
    let form = ContentType::parse(b"multipart/form-data; boundary=B").unwrap();
    let pairs = ContentType::parse(b"application/x-www-form-urlencoded").unwrap();
    // A byte that is no UTF-8, as in a mail in Latin-1.
    let raw: &[u8] = b"From: a@b.example\r\n\r\ncaf\xe9\r\n";
    let envelope: &[u8] = br#"{"to":["support+t@acme.example","x"],"from":"a@b.example"}"#;
    let sendgrid = multipart(&[
        ("email", raw),
        ("subject", b"caf\xe9"),
        ("envelope", envelope),
    ]);
    let mailgun = multipart(&[
        ("recipient", b"a@acme.example, b@acme.example"),
        ("body-mime", raw),
    ]);
    let encoded =
        b"recipient=a%40acme.example&body-mime=From%3A+a%40b.example%0D%0A%0D%0Acaf%E9%0D%0A";
    #[rustfmt::skip]
    let table: [(&str, &ContentType, &[u8], &[&str]); 3] = [
        ("sendgrid", &form, &sendgrid, &["support+t@acme.example"]),
        ("mailgun", &form, &mailgun, &["a@acme.example", "b@acme.example"]),
        ("mailgun", &pairs, encoded, &["a@acme.example"]),
    ];
    for (vendor, content_type, body, to) in table {
        let posted = Poster::of(vendor).unwrap().read(content_type, body);
        let recipients = to.iter().map(|t| (*t).to_owned()).collect();
        let raw = raw.to_vec();
        assert_eq!(posted, Ok(Posted { raw, recipients }), "{vendor}");
    }
    assert_eq!(Poster::of("stripe"), None);
    let parsed = multipart(&[("body-plain", b"Hello")]);
    let error = Poster::of("mailgun")
        .unwrap()
        .read(&form, &parsed)
        .unwrap_err();
    assert!(matches!(error, PostedError::NoMessage { .. }), "{error:?}");
    assert!(error.to_string().contains("`mime`"), "{error}");
    let broken = Poster::of("mailgun").unwrap().read(&form, b"--B\r\n");
    assert!(matches!(broken, Err(PostedError::Form(_))), "{broken:?}");
}
