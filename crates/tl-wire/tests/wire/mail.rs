//! Mail that real programs write: headers, charsets, encodings, structure.

use tl_wire::mail::{Mail, parse};

struct Case {
    name: &'static str,
    mail: &'static [u8],
    text: &'static str,
    check: fn(&Mail) -> bool,
}

fn any(_: &Mail) -> bool {
    true
}

fn attached(mail: &Mail) -> Vec<(Option<&str>, &str, usize)> {
    mail.attachments
        .iter()
        .map(|a| (a.name.as_deref(), a.media_type.as_str(), a.size))
        .collect()
}

fn cases() -> Vec<Case> {
    let mut cases = plain_cases();
    cases.extend(encoded_cases());
    cases.extend(structured_cases());
    cases.extend(header_cases());
    cases
}

fn plain_cases() -> Vec<Case> {
    vec![
        Case {
            name: "plain, all headers",
            mail: b"From: \"Ana Mar\xc3\xada\" <ana@example.com>\r\n\
To: Sales <sales@acme.example>, second@acme.example\r\n\
Cc: third@acme.example\r\n\
Reply-To: ana.private@example.com\r\n\
Subject: Quote for 40 seats\r\n\
Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n\
Message-ID: <m1@example.com>\r\n\
In-Reply-To: <m0@acme.example>\r\n\
References: <root@acme.example>\r\n <m0@acme.example>\r\n\
\r\n\
Hello,\r\n\r\nhow much are 40 seats?\r\n",
            text: "Hello,\n\nhow much are 40 seats?",
            check: |m| {
                m.from_email.as_deref() == Some("ana@example.com")
                    && m.from_name.as_deref() == Some("Ana Mar\u{ed}a")
                    && m.to == ["sales@acme.example", "second@acme.example", "third@acme.example"]
                    && m.reply_to.as_deref() == Some("ana.private@example.com")
                    && m.subject.as_deref() == Some("Quote for 40 seats")
                    && m.date_us == Some(1_700_000_000_000_000)
                    && m.message_id.as_deref() == Some("m1@example.com")
                    && m.in_reply_to.as_deref() == Some("m0@acme.example")
                    && m.references == ["root@acme.example", "m0@acme.example"]
                    && m.attachments.is_empty()
                    && !m.is_automatic()
            },
        },
        Case {
            name: "bare line feeds",
            mail: b"From: a@b.example\nSubject: lf\n\none\ntwo\n",
            text: "one\ntwo",
            check: |m| m.subject.as_deref() == Some("lf"),
        },
        Case {
            name: "no body",
            mail: b"From: a@b.example\r\nSubject: empty\r\n\r\n",
            text: "",
            check: any,
        },
        Case {
            name: "header only, no blank line",
            mail: b"From: a@b.example\r\nSubject: cut\r\n",
            text: "",
            check: |m| m.subject.as_deref() == Some("cut"),
        },
        Case {
            name: "undeclared UTF-8",
            mail: b"From: a@b.example\r\n\r\ncaf\xc3\xa9",
            text: "caf\u{e9}",
            check: any,
        },
        Case {
            name: "undeclared Windows-1252",
            mail: b"From: a@b.example\r\n\r\ncaf\xe9 \x80 5",
            text: "caf\u{e9} \u{20ac} 5",
            check: any,
        },
        Case {
            name: "declared UTF-8 that is none",
            mail: b"From: a@b.example\r\nContent-Type: text/plain; charset=utf-8\r\n\r\ncaf\xe9!",
            text: "caf\u{fffd}!",
            check: any,
        },
        Case {
            name: "ISO-8859-1",
            mail: b"From: a@b.example\r\nContent-Type: text/plain; charset=\"ISO-8859-1\"\r\n\r\nM\xfcnchen",
            text: "M\u{fc}nchen",
            check: any,
        },
        Case {
            name: "ISO-8859-15 euro",
            mail: b"From: a@b.example\r\nContent-Type: text/plain; charset=iso-8859-15\r\n\r\n20 \xa4",
            text: "20 \u{20ac}",
            check: any,
        },
        Case {
            name: "KOI8-R",
            mail: b"From: a@b.example\r\nContent-Type: text/plain; charset=koi8-r\r\n\r\n\xf0\xd2\xc9\xd7\xc5\xd4",
            text: "\u{41f}\u{440}\u{438}\u{432}\u{435}\u{442}",
            check: any,
        },
        Case {
            name: "ISO-2022-JP",
            mail: b"From: a@b.example\r\nContent-Type: text/plain; charset=iso-2022-jp\r\n\r\n\x1b$B$3$s\x1b(B",
            text: "\u{3053}\u{3093}",
            check: any,
        },
        Case {
            name: "unknown charset",
            mail: b"From: a@b.example\r\nContent-Type: text/plain; charset=x-unknown\r\n\r\nhi \xe9",
            text: "hi \u{e9}",
            check: any,
        },
        Case {
            name: "NUL and control characters",
            mail: b"From: a@b.example\r\nSubject: a\0b\x1b[31m\r\n\r\nx\0y\x07z\tw\r\n",
            text: "xyz\tw",
            check: |m| m.subject.as_deref() == Some("a b [31m"),
        },
    ]
}

fn encoded_cases() -> Vec<Case> {
    vec![
        Case {
            name: "quoted-printable",
            mail: b"From: a@b.example\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ncaf=C3=A9 is =\r\nopen =3D yes  =  \r\n!\r\n",
            text: "caf\u{e9} is open = yes  !",
            check: any,
        },
        Case {
            name: "quoted-printable windows-1252, lower case",
            mail: b"From: a@b.example\r\nContent-Type: text/plain; charset=windows-1252\r\nContent-Transfer-Encoding: Quoted-Printable\r\n\r\n=93hi=94 =e2=80=ac",
            text: "\u{201c}hi\u{201d} \u{e2}\u{20ac}\u{ac}",
            check: any,
        },
        Case {
            name: "broken quoted-printable",
            mail: b"From: a@b.example\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n1+1=2 =ZZ =4",
            text: "1+1=2 =ZZ =4",
            check: any,
        },
        Case {
            name: "base64",
            mail: b"From: a@b.example\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nR3LDvMOf\r\nZSBhdXMgS8O2bG4=\r\n",
            text: "Gr\u{fc}\u{df}e aus K\u{f6}ln",
            check: any,
        },
        Case {
            name: "base64 with rubbish inside and no padding",
            mail: b"From: a@b.example\r\nContent-Transfer-Encoding: base64\r\n\r\naGVs!!\r\n bG8gdGhlcmU",
            text: "hello there",
            check: any,
        },
        Case {
            name: "encoded words",
            mail: b"From: =?utf-8?B?SsO8cmdlbg==?= <j@b.example>\r\nSubject: =?iso-8859-1?Q?R=FCckruf?= =?utf-8?Q?_bitte_=E2=98=8E?=\r\n\r\nx",
            text: "x",
            check: |m| {
                m.from_name.as_deref() == Some("J\u{fc}rgen")
                    && m.subject.as_deref() == Some("R\u{fc}ckruf bitte \u{260e}")
            },
        },
        Case {
            name: "encoded line break in the subject",
            mail: b"From: a@b.example\r\nSubject: =?utf-8?Q?hi=0D=0ABcc:_x@y.example?=\r\n\r\nx",
            text: "x",
            check: |m| m.subject.as_deref() == Some("hi Bcc: x@y.example") && m.to.is_empty(),
        },
    ]
}

fn structured_cases() -> Vec<Case> {
    vec![
        Case {
            name: "alternative takes the plain text",
            mail: b"From: a@b.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=\"b1\"\r\n\r\nignored preamble\r\n--b1\r\nContent-Type: text/plain\r\n\r\nplain words\r\n--b1\r\nContent-Type: text/html\r\n\r\n<p>html words</p>\r\n--b1--\r\nignored epilogue",
            text: "plain words",
            check: |m| m.attachments.is_empty(),
        },
        Case {
            name: "alternative with an empty plain text",
            mail: b"From: a@b.example\r\nContent-Type: multipart/alternative; boundary=b1\r\n\r\n--b1\r\nContent-Type: text/plain\r\n\r\n \r\n--b1\r\nContent-Type: text/html\r\n\r\n<p>html&nbsp;words</p>\r\n--b1--",
            text: "html\u{a0}words",
            check: any,
        },
        Case {
            name: "mixed with attachment",
            mail: b"From: a@b.example\r\nContent-Type: multipart/mixed; boundary=b1\r\n\r\n--b1\r\n\r\nsee file\r\n--b1\r\nContent-Type: application/pdf; name=\"old.pdf\"\r\nContent-Disposition: attachment; filename=\"C:\\\\offers\\\\offer.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0xLjQ=\r\n--b1--\r\n",
            text: "see file",
            check: |m| attached(m) == [(Some("offer.pdf"), "application/pdf", 8)],
        },
        Case {
            name: "nested: alternative in related in mixed",
            mail: b"From: a@b.example\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: multipart/related; boundary=r\r\n\r\n--r\r\nContent-Type: multipart/alternative; boundary=a\r\n\r\n--a\r\nContent-Type: text/plain; charset=utf-8\r\n\r\ninner\r\n--a\r\nContent-Type: text/html\r\n\r\n<b>inner</b>\r\n--a--\r\n--r\r\nContent-Type: image/png\r\nContent-ID: <i1>\r\n\r\nPNG\r\n--r--\r\n--o\r\nContent-Type: text/plain\r\n\r\nfooter\r\n--o\r\nContent-Type: text/csv; name=\"list.csv\"\r\n\r\na,b\r\n--o--\r\n",
            text: "inner\n\nfooter",
            check: |m| {
                attached(m) == [(None, "image/png", 3), (Some("list.csv"), "text/csv", 3)]
            },
        },
        Case {
            name: "forwarded message",
            mail: b"From: a@b.example\r\nContent-Type: multipart/mixed; boundary=f\r\n\r\n--f\r\n\r\nplease look\r\n--f\r\nContent-Type: message/rfc822\r\n\r\nFrom: evil@x.example\r\nSubject: inner\r\n\r\ninner text\r\n--f--\r\n",
            text: "please look",
            check: |m| {
                m.from_email.as_deref() == Some("a@b.example")
                    && attached(m) == [(None, "message/rfc822", 50)]
            },
        },
        Case {
            name: "delivery report",
            mail: b"From: MAILER-DAEMON@mx.example\r\nReturn-Path: <>\r\nAuto-Submitted: auto-replied\r\nSubject: Undelivered\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=d\r\n\r\n--d\r\n\r\nCould not deliver.\r\n--d\r\nContent-Type: message/delivery-status\r\n\r\nAction: failed\r\nStatus: 5.1.1\r\n--d--\r\n",
            text: "Could not deliver.",
            check: |m| {
                m.null_return_path
                    && m.auto_submitted.as_deref() == Some("auto-replied")
                    && m.is_automatic()
                    && m.attachments.len() == 1
            },
        },
        Case {
            name: "no closing boundary",
            mail: b"From: a@b.example\r\nContent-Type: multipart/mixed; boundary=b1\r\n\r\n--b1\r\n\r\nfirst\r\n--b1\r\n\r\nsecond, cut off",
            text: "first\n\nsecond, cut off",
            check: any,
        },
        Case {
            name: "boundary that never comes",
            mail: b"From: a@b.example\r\nContent-Type: multipart/mixed; boundary=nowhere\r\n\r\nstill readable\r\n",
            text: "still readable",
            check: any,
        },
        Case {
            name: "multipart without boundary",
            mail: b"From: a@b.example\r\nContent-Type: multipart/mixed\r\n\r\nraw\r\n",
            text: "",
            check: |m| attached(m) == [(None, "multipart/mixed", 5)],
        },
        Case {
            name: "longer line than the boundary",
            mail: b"From: a@b.example\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--bb\r\ntwo\r\n--b--\r\n",
            text: "one\n--bb\ntwo",
            check: any,
        },
        Case {
            name: "body that is an attachment",
            mail: b"From: a@b.example\r\nContent-Type: application/pdf; name=scan.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0=\r\n",
            text: "",
            check: |m| attached(m) == [(Some("scan.pdf"), "application/pdf", 5)],
        },
        Case {
            name: "extended file name",
            mail: b"From: a@b.example\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename*=utf-8''%C3%BCber.txt\r\n\r\nx\r\n--b--\r\n",
            text: "",
            check: |m| attached(m) == [(Some("\u{fc}ber.txt"), "text/plain", 1)],
        },
        Case {
            name: "only HTML",
            mail: b"From: a@b.example\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html><head><title>T</title><style type=\"text/css\">p{color:red}</style></head><body><p>Hello <b>there</b>,</p><p>5 &lt; 6 &amp; 7</p><ul><li>one</li><li>two</li></ul></body></html>",
            text: "Hello there,\n\n5 < 6 & 7\n\none\n\ntwo",
            check: any,
        },
    ]
}

fn header_cases() -> Vec<Case> {
    vec![
        Case {
            name: "no sender",
            mail: b"Subject: anonymous\r\n\r\nhi",
            text: "hi",
            check: |m| m.from_email.is_none() && m.from_name.is_none() && m.message_id.is_none(),
        },
        Case {
            name: "two senders",
            mail: b"From: a@b.example\r\nFrom: ceo@acme.example\r\n\r\nhi",
            text: "hi",
            check: |m| m.from_email.is_none(),
        },
        Case {
            name: "sender without address",
            mail: b"From: Ana\r\nSubject: x\r\n\r\nhi",
            text: "hi",
            check: |m| m.from_email.is_none(),
        },
        Case {
            name: "address group",
            mail: b"From: a@b.example\r\nTo: team: x@y.example, z@y.example;\r\n\r\nhi",
            text: "hi",
            check: |m| m.to == ["x@y.example", "z@y.example"],
        },
        Case {
            name: "mailing list",
            mail: b"From: a@b.example\r\nList-Id: News of ACME <news.acme.example>\r\nPrecedence: Bulk\r\nAuto-Submitted: no\r\n\r\nhi",
            text: "hi",
            check: |m| {
                m.list_id.as_deref() == Some("news.acme.example")
                    && m.precedence.as_deref() == Some("bulk")
                    && m.auto_submitted.is_none()
                    && m.is_automatic()
            },
        },
        Case {
            name: "out of office",
            mail: b"From: a@b.example\r\nAuto-Submitted: Auto-Generated; owner=x\r\n\r\nI am away",
            text: "I am away",
            check: |m| m.auto_submitted.as_deref() == Some("auto-generated") && m.is_automatic(),
        },
        Case {
            name: "date with zone west of Greenwich",
            mail: b"From: a@b.example\r\nDate: Tue, 14 Nov 2023 17:13:20 -0500 (EST)\r\n\r\nx",
            text: "x",
            check: |m| m.date_us == Some(1_700_000_000_000_000),
        },
        Case {
            name: "date that is none",
            mail: b"From: a@b.example\r\nDate: Tue, 99 Foo 2023 99:99:99\r\n\r\nx",
            text: "x",
            check: |m| m.date_us.is_none(),
        },
        Case {
            name: "blank lines before the header",
            mail: b"\r\n\r\nFrom: a@b.example\r\nSubject: late\r\n\r\nx",
            text: "x",
            check: |m| m.subject.as_deref() == Some("late"),
        },
    ]
}

#[test]
fn corpus() {
    let cases = cases();
    assert!(cases.len() >= 25);
    for case in cases {
        let mail = parse(case.mail).unwrap_or_else(|e| panic!("{}: {e}", case.name));
        assert_eq!(mail.text, case.text, "{}", case.name);
        assert!((case.check)(&mail), "{}: {mail:#?}", case.name);
    }
}
