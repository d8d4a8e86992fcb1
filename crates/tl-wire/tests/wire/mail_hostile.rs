//! Mail written to harm: markup, limits, rubbish. Nothing panics, nothing hidden becomes text.

use crate::prng::Prng;
use tl_wire::mail::{Limits, MailError, parse, parse_within};

fn html(markup: &str) -> String {
    let mail =
        format!("From: a@b.example\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{markup}");
    parse(mail.as_bytes()).expect("mail").text
}

#[test]
fn unseen_markup_is_no_text() {
    let table = [
        ("<script>EVIL</script>ok", "ok"),
        ("<SCRIPT TYPE='text/javascript'>EVIL</SCRIPT >ok", "ok"),
        ("<script/src=x>EVIL</script/x>ok", "ok"),
        ("<script\n>EVIL</script\n>ok", "ok"),
        ("<script>if (a<b) '</p>EVIL'</script>ok", "ok"),
        ("<script>EVIL", ""),
        ("ok<script", "ok"),
        ("<style type=\"text/css\">EVIL{}</style>ok", "ok"),
        ("<style media=x>EVIL</style><style>EVIL</style>ok", "ok"),
        (
            "<head><style>EVIL</style><title>EVIL</title></head>ok",
            "ok",
        ),
        ("<head><title>EVIL</title><body>ok", "ok"),
        (
            "<template>EVIL<template>EVIL</template>EVIL</template>ok",
            "ok",
        ),
        ("<svg><text>EVIL</text><script>EVIL</script></svg>ok", "ok"),
        ("<iframe src=x>EVIL</iframe>ok", "ok"),
        ("<object data=x>EVIL</object>ok", "ok"),
        ("<noscript>EVIL</noscript>ok", "ok"),
        (
            "<div style=\"display:none\">EVIL<div>EVIL</div></div>ok",
            "ok",
        ),
        (
            "<span style='color:red; DISPLAY : none !important'>EVIL</span>ok",
            "ok",
        ),
        (
            "<span style=\"font-size:0\">EVIL</span><i style='font-size: 0px;'>EVIL</i>ok",
            "ok",
        ),
        ("<span style=\"font-size:0.9em\">seen</span> ok", "seen ok"),
        ("<p hidden>EVIL</p><p class=x>ok", "ok"),
        ("<p class=x hidden=\"\">EVIL</p>ok", "ok"),
        ("<b style=visibility:hidden>EVIL</b>ok", "ok"),
        ("<img style=\"display:none\" src=x>ok", "ok"),
        ("<p class=\"unhidden\">ok", "ok"),
        ("<!-- EVIL -->ok", "ok"),
        ("<!-- EVIL > EVIL --->ok", "ok"),
        ("<!-->ok", "ok"),
        ("<!--->ok", "ok"),
        ("<!-- EVIL", ""),
        ("<![CDATA[EVIL]]>ok", "ok"),
        ("<!DOCTYPE html>ok", "ok"),
        ("<?xml EVIL?>ok", "ok"),
        ("<p title=\"> EVIL\">ok</p>", "ok"),
        ("<p title='> EVIL' class=\">EVIL\">ok</p>", "ok"),
        ("<img alt=EVIL src=x onerror='EVIL'>ok", "ok"),
        ("<a href=\"https://evil.example\">ok</a>", "ok"),
        ("<b title=\"EVIL", ""),
        ("<scr<script>seen</script>ok", "seenok"),
        ("<p/>ok<br/>next", "ok\nnext"),
        ("<td>a</td><td>b</td>", "a b"),
        ("a < b and <3 and c<d", "a < b and <3 and c"),
        ("1 &lt;script&gt; 2", "1 <script> 2"),
        (
            "a &amp; b &#0; c &#x1F600; &bogus; &#xFFFFFFFF;",
            "a & b  c \u{1f600} &bogus; \u{fffd}",
        ),
        ("<textarea>ok <b>seen</b></textarea>", "ok <b>seen</b>"),
        ("<p>one</p>\n\n\n<div><div>two</div></div>", "one\n\ntwo"),
        (
            "\u{e9}<b>\u{4e2d}</b>\u{1f600}<",
            "\u{e9}\u{4e2d}\u{1f600}<",
        ),
    ];
    for (markup, expected) in table {
        assert_eq!(html(markup), expected, "{markup}");
    }
}

#[test]
fn limits() {
    let nested = |depth: usize| {
        let mut mail = "From: a@b.example\r\n".to_owned();
        for level in 0..depth {
            mail +=
                &format!("Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n");
        }
        mail + "\r\ndeep"
    };
    let parts = |count: usize| {
        let head = "From: a@b.example\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n";
        head.to_owned() + &"--b\r\n\r\nx\r\n".repeat(count) + "--b--"
    };
    let headers =
        |count: usize| format!("From: a@b.example\r\n{}\r\nx", "X: y\r\n".repeat(count - 1));
    let wide = |bytes: usize| format!("To: {}\r\n\r\nx", "a,".repeat(bytes / 2));
    let table = [
        ("depth 16", nested(16), None),
        ("depth 17", nested(17), Some(MailError::TooDeep)),
        ("depth 5000", nested(5000), Some(MailError::TooDeep)),
        ("parts 199", parts(199), None),
        ("parts 200", parts(200), Some(MailError::TooManyParts)),
        ("headers 1000", headers(1000), None),
        (
            "headers 1001",
            headers(1001),
            Some(MailError::HeaderTooLarge),
        ),
        (
            "wide header",
            wide(300 * 1024),
            Some(MailError::HeaderTooLarge),
        ),
        (
            "headers of a part",
            parts(1).replace("--b\r\n", &format!("--b\r\n{}", "X: y\r\n".repeat(1001))),
            Some(MailError::HeaderTooLarge),
        ),
        (
            "size",
            "x".repeat(10 * 1024 * 1024 + 1),
            Some(MailError::TooLarge),
        ),
        (
            "long body of a part",
            parts(1).replace("\r\nx", &"\r\nx".repeat(2000)),
            None,
        ),
        ("nothing", String::new(), Some(MailError::NotAMail)),
        ("blank", "\r\n\r\n".to_owned(), Some(MailError::NotAMail)),
        (
            "prose",
            "hello, this is no mail\r\nat all: really\r\n".to_owned(),
            Some(MailError::NotAMail),
        ),
        (
            "JSON",
            "{\"from\": \"a@b.example\"}".to_owned(),
            Some(MailError::NotAMail),
        ),
    ];
    for (name, mail, expected) in table {
        assert_eq!(parse(mail.as_bytes()).err(), expected, "{name}");
    }
    let binary: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    assert_eq!(parse(&binary), Err(MailError::NotAMail));
}

#[test]
fn long_text_is_cut_at_a_character() {
    let limits = Limits {
        max_text_bytes: 10,
        ..Limits::default()
    };
    let table = [
        ("123456789\u{e9}", "123456789", true),
        ("12345678\u{e9}", "12345678\u{e9}", false),
    ];
    for (body, text, cut) in table {
        let mail = format!("From: a@b.example\r\n\r\n{body}");
        let mail = parse_within(mail.as_bytes(), &limits).expect("mail");
        assert_eq!((mail.text.as_str(), mail.text_cut), (text, cut), "{body}");
    }
}

/// Input shaped to make a careless reader quadratic is read in linear time; a quadratic one
/// would not end within any patience at this size.
#[test]
fn large_hostile_input_ends() {
    let size = 2 * 1024 * 1024;
    let of = |unit: &str| unit.repeat(size / unit.len());
    for markup in [
        of("<"),
        of("<a"),
        of("<!--"),
        of("</script "),
        format!("<script>{}", of("</scrip ")),
        format!("<script>{}", of("</a ")),
        format!("<svg>{}", of("<svg>")),
        of("<p a=\""),
        of("<p style=display:none>"),
        of("&amp"),
        of("&"),
        of(";"),
    ] {
        let text = html(&markup);
        assert!(text.len() <= size);
    }
    let boundary = format!(
        "From: a@b.example\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n{}",
        of("--\r\n")
    );
    assert!(parse(boundary.as_bytes()).is_ok());
    let quoted = format!(
        "From: a@b.example\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{}",
        of("= ")
    );
    assert!(parse(quoted.as_bytes()).is_ok());
}

const SEED_MAIL: &[u8] = b"From: =?utf-8?B?SsO8cmdlbg==?= (note) <j@b.example>\r\n\
To: team: x@y.example, \"q, r\" <z@y.example>;\r\nSubject: =?iso-8859-1?Q?R=FCck?= x\r\n\
Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: <m1@example.com>\r\n\
References: <a@b> <c@d>\r\nReceived: from x (y [10.0.0.1]) by z with ESMTP id 1; Tue, 14 Nov 2023 22:13:20 +0000\r\n\
List-Id: News <news.example>\r\nAuto-Submitted: auto-generated\r\n\
Content-Type: multipart/mixed; boundary=\"o\"\r\n\r\n\
--o\r\nContent-Type: text/html; charset=windows-1252\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
<p class=3D\"x\">caf=E9 &amp; <script>EVIL</script><!-- c --></p>\r\n\
--o\r\nContent-Type: text/plain; charset*0=utf; charset*1=-8; name*=utf-8''%C3%BC.txt\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n\
--o\r\nContent-Type: message/rfc822\r\n\r\nFrom: i@j.example\r\n\r\ninner\r\n--o--\r\n";

/// Altered mail never panics, and what is read keeps its promises.
#[test]
fn altered_mail_keeps_its_promises() {
    let mut prng = Prng::new(0x6d61_696c);
    let tokens: [&[u8]; 14] = [
        b"\r\n",
        b"\n",
        b"\0",
        b"=",
        b"?=",
        b"=?utf-16?B?",
        b"<",
        b">",
        b"\"",
        b"(",
        b"--o",
        b"*1*=",
        b"\xff\xfe",
        b";",
    ];
    let mut read = 0;
    for round in 0..20_000 {
        let mut mail = SEED_MAIL.to_vec();
        for _ in 0..1 + prng.below(6) {
            let at = prng.below(mail.len());
            match prng.below(5) {
                0 => mail[at] = prng.next() as u8,
                1 => {
                    let end = mail.len().min(at + prng.below(40));
                    mail.drain(at..end);
                }
                2 => {
                    let token = tokens[prng.below(tokens.len())];
                    mail.splice(at..at, token.iter().copied());
                }
                3 => {
                    let end = mail.len().min(at + prng.below(200));
                    let copy = mail[at..end].to_vec();
                    let to = prng.below(mail.len());
                    mail.splice(to..to, copy);
                }
                _ => mail[at] ^= 1 << prng.below(8),
            }
            if mail.is_empty() {
                mail.push(b'\n');
            }
        }
        let Ok(parsed) = parse(&mail) else { continue };
        read += 1;
        let lines = [
            &parsed.subject,
            &parsed.from_name,
            &parsed.from_email,
            &parsed.message_id,
        ];
        for line in lines
            .into_iter()
            .flatten()
            .chain(&parsed.to)
            .chain(&parsed.references)
        {
            assert!(
                !line.chars().any(char::is_control),
                "round {round}: {line:?}"
            );
        }
        let plain = |c: char| c == '\n' || c == '\t' || !c.is_control();
        assert!(
            parsed.text.chars().all(plain),
            "round {round}: {:?}",
            parsed.text
        );
    }
    assert!(read > 15_000, "{read}");
}
