//! Forms: what is read, and everything that is refused.

use crate::prng::Prng;
use tl_wire::content_type::ContentType;
use tl_wire::form::{self, Form, FormError, Limits};

fn pairs(form: &Form) -> Vec<(&str, &str)> {
    form.fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

#[test]
fn urlencoded_accepted() {
    let table: [(&str, &[(&str, &str)]); 9] = [
        ("", &[]),
        ("a=1", &[("a", "1")]),
        ("b=2&a=1", &[("b", "2"), ("a", "1")]),
        ("a=", &[("a", "")]),
        ("a=b=c", &[("a", "b=c")]),
        (
            "full+name=Ana+Mar%C3%ADa",
            &[("full name", "Ana Mar\u{ed}a")],
        ),
        ("q=%26%3d%2B%25", &[("q", "&=+%")]),
        ("n=line1%0D%0Aline2", &[("n", "line1\r\nline2")]),
        ("u=https://x.example/?p", &[("u", "https://x.example/?p")]),
    ];
    for (body, expected) in table {
        let form = form::parse_urlencoded(body.as_bytes(), &Limits::default()).expect(body);
        assert_eq!(pairs(&form), expected, "{body}");
    }
}

#[test]
fn urlencoded_refused() {
    let table: [(&[u8], FormError); 17] = [
        (b"a", FormError::NoEquals),
        (b"a=1&", FormError::NoEquals),
        (b"a=1&&b=2", FormError::NoEquals),
        (b"=1", FormError::EmptyName),
        (b"a=%", FormError::BadEscape),
        (b"a=%4", FormError::BadEscape),
        (b"a=%zz", FormError::BadEscape),
        (b"a=%+1", FormError::BadEscape),
        (b"a=%u0041", FormError::BadEscape),
        (b"a=\xc3\xa9", FormError::NotEscaped),
        (b"a=b c", FormError::NotEscaped),
        (b"a=1\n", FormError::NotEscaped),
        (b"a=%C3%28", FormError::NotUtf8),
        (b"a=%ED%A0%80", FormError::NotUtf8),
        (b"a=%00", FormError::Nul),
        (b"a%0A=1", FormError::NameControl),
        (b"a=1&b=2&%61=3", FormError::Duplicate(String::from("a"))),
    ];
    for (body, error) in table {
        let result = form::parse_urlencoded(body, &Limits::default());
        assert_eq!(result, Err(error), "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn limits_are_exact() {
    let limits = Limits::default();
    let many = |count: usize| {
        let names: Vec<String> = (0..count).map(|n| format!("f{n}=x")).collect();
        names.join("&")
    };
    let named = |length: usize| format!("{}=1", "n".repeat(length));
    let valued = |length: usize| format!("a={}", "v".repeat(length));
    let table = [
        (many(200), None),
        (many(201), Some(FormError::TooManyFields)),
        (named(200), None),
        (named(201), Some(FormError::NameTooLong)),
        (valued(256 * 1024), None),
        (valued(256 * 1024 + 1), Some(FormError::ValueTooLong)),
    ];
    for (body, expected) in table {
        let result = form::parse_urlencoded(body.as_bytes(), &limits);
        assert_eq!(result.err(), expected, "{} bytes", body.len());
    }
    let both = Limits {
        allow_duplicates: true,
        ..limits
    };
    let form = form::parse_urlencoded(b"tag=a&tag=b", &both).expect("duplicates allowed");
    assert_eq!(pairs(&form), [("tag", "a"), ("tag", "b")]);
    assert_eq!(form.field("tag"), Some("a"));
}

const WHOLE: &str = "--XX\r\n\
Content-Disposition: form-data; name=\"email\"\r\n\r\n\
ana@example.com\r\n\
--XX\r\n\
content-disposition: form-data; name=\"note\"\r\n\
Content-Type: text/plain; charset=utf-8\r\n\r\n\
two\r\nlines --XX in text\r\n\
--XX\r\n\
Content-Disposition: form-data; name=\"cv\"; filename=\"C:\\docs\\my \\\"cv\\\".pdf\"\r\n\
Content-Type: application/pdf\r\n\r\n\
%PDF\0\x01\r\n\
--XX--\r\n";

#[test]
fn multipart_whole() {
    let kind = ContentType::parse(b"multipart/form-data; boundary=XX").expect("type");
    let form = form::parse(&kind, WHOLE.as_bytes(), &Limits::default()).expect("form");
    let expected = [
        ("email", "ana@example.com"),
        ("note", "two\r\nlines --XX in text"),
    ];
    assert_eq!(pairs(&form), expected);
    let file = &form.files[0];
    assert_eq!(
        (file.field.as_str(), file.name.as_str()),
        ("cv", "my \"cv\".pdf")
    );
    assert_eq!(file.media_type, "application/pdf");
    assert_eq!(file.bytes, b"%PDF\0\x01");
}

/// One part with this header and content.
fn part(header: &str, content: &str) -> String {
    format!("--XX\r\n{header}\r\n\r\n{content}\r\n--XX--\r\n")
}

#[test]
fn multipart_accepted() {
    let table: [(String, &[(&str, &str)]); 6] = [
        (
            part("Content-Disposition: form-data; name=a", "1"),
            &[("a", "1")],
        ),
        (
            part("Content-Disposition: form-data; name=\"a\"", ""),
            &[("a", "")],
        ),
        (
            part("Content-Disposition: form-data; name=\"a%22b\"", "1"),
            &[("a\"b", "1")],
        ),
        (
            part(
                "Content-Disposition: form-data; name=\"a\"\r\nX-Other: y",
                "1",
            ),
            &[("a", "1")],
        ),
        (
            part(
                "Content-Disposition: form-data; name=\"a\"\r\nContent-Transfer-Encoding: 8bit",
                "\u{e9}",
            ),
            &[("a", "\u{e9}")],
        ),
        (
            part(
                "Content-Disposition: form-data; name=\"f\"; filename=\"\"\r\nContent-Type: application/octet-stream",
                "",
            ),
            &[],
        ),
    ];
    for (body, expected) in table {
        let form = form::parse_multipart(body.as_bytes(), "XX", &Limits::default());
        let form = form.unwrap_or_else(|e| panic!("{body}: {e}"));
        assert_eq!(pairs(&form), expected, "{body}");
        assert!(form.files.is_empty(), "{body}");
    }
    assert_eq!(
        form::parse_multipart(b"--XX--", "XX", &Limits::default()),
        Ok(Form::default())
    );
}

#[test]
fn multipart_refused() {
    use FormError::{Charset, Framing, NotUtf8, Nul, PartHeader, TransferEncoding};
    let field = "Content-Disposition: form-data; name=\"a\"";
    let whole = part(field, "1");
    let long = format!("{field}\r\nX-Long: {}", "x".repeat(2048));
    let many = format!("{field}{}", "\r\nX-A: b".repeat(9));
    let table: Vec<(String, FormError)> = vec![
        (String::new(), Framing),
        ("--X".to_owned(), Framing),
        (format!("preamble\r\n{whole}"), Framing),
        (format!("{whole}epilogue"), Framing),
        (whole.replace("--XX--", "--XX"), PartHeader),
        (whole.replace("\r\n--XX--", "--XX--"), Framing),
        (whole.replace("\r\n", "\n"), Framing),
        (whole.replace("--XX\r\n", "--XX \r\n"), Framing),
        (whole.replace("--XX\r\nC", "--XXY\r\nC"), Framing),
        (part("Content-Type: text/plain", "1"), PartHeader),
        (
            part("Content-Disposition: attachment; name=\"a\"", "1"),
            PartHeader,
        ),
        (
            part(
                "Content-Disposition: form-data; name=\"a\"; name=\"b\"",
                "1",
            ),
            PartHeader,
        ),
        (
            part("Content-Disposition: form-data; name=\"a", "1"),
            PartHeader,
        ),
        (
            part(
                "Content-Disposition: form-data; name=\"a\"; filename*=utf-8''x",
                "1",
            ),
            PartHeader,
        ),
        (part(&format!("{field}\r\n{field}"), "1"), PartHeader),
        (part(&format!("{field}\r\n folded"), "1"), PartHeader),
        (part(&format!("{field}\r\nno colon"), "1"), PartHeader),
        (part(&format!("{field}\r\n--XX: y"), "1"), PartHeader),
        (
            part(&format!("{field}\r\nContent-Type: broken"), "1"),
            PartHeader,
        ),
        (part(&long, "1"), PartHeader),
        (part(&many, "1"), PartHeader),
        (
            part("Content-Disposition: form-data", "1"),
            FormError::EmptyName,
        ),
        (
            part("Content-Disposition: form-data; name=\"\"", "1"),
            FormError::EmptyName,
        ),
        (
            part(
                &format!("{field}\r\nContent-Transfer-Encoding: base64"),
                "MQ==",
            ),
            TransferEncoding,
        ),
        (
            part(
                &format!("{field}\r\nContent-Type: text/plain; charset=utf-7"),
                "1",
            ),
            Charset,
        ),
        (part(field, "a\0b"), Nul),
        (
            whole.replace("--XX--", "--XX\r\n") + &whole[4..],
            FormError::PartHeader,
        ),
        (
            whole.replace("\r\n--XX--\r\n", "\r\n") + &whole,
            FormError::Duplicate("a".to_owned()),
        ),
    ];
    for (body, error) in table {
        let result = form::parse_multipart(body.as_bytes(), "XX", &Limits::default());
        assert_eq!(result, Err(error), "{body}");
    }
    let raw = [b"--XX\r\n", field.as_bytes(), b"\r\n\r\n\xff\r\n--XX--"].concat();
    assert_eq!(
        form::parse_multipart(&raw, "XX", &Limits::default()),
        Err(NotUtf8)
    );
}

#[test]
fn multipart_limits() {
    let file = |name: &str, content: &str| {
        part(
            &format!("Content-Disposition: form-data; name=\"f\"; filename=\"{name}\""),
            content,
        )
    };
    let limits = Limits {
        max_value_bytes: 4,
        max_file_bytes: 4,
        max_files: 1,
        allow_duplicates: true,
        ..Limits::default()
    };
    let two = file("a", "1").replace("--XX--\r\n", "") + &file("b", "2");
    let field = |value: &str| part("Content-Disposition: form-data; name=\"a\"", value);
    let table = [
        (field("1234"), None),
        (field("12345"), Some(FormError::ValueTooLong)),
        (file("a", "1234"), None),
        (file("a", "12345"), Some(FormError::FileTooLarge)),
        (file(&"n".repeat(201), "1"), Some(FormError::NameTooLong)),
        (two, Some(FormError::TooManyFiles)),
    ];
    for (body, expected) in table {
        let result = form::parse_multipart(body.as_bytes(), "XX", &limits);
        assert_eq!(result.err(), expected, "{body}");
    }
    for (sent, kept) in [
        ("../../etc/passwd", "passwd"),
        ("a\\..\\b.txt", "b.txt"),
        ("..", ""),
    ] {
        let form = form::parse_multipart(file(sent, "1").as_bytes(), "XX", &limits);
        assert_eq!(form.expect(sent).files[0].name, kept, "{sent}");
    }
}

/// A body of one kind under the name of another is refused (form posing as JSON and back).
#[test]
fn kinds_do_not_mix() {
    let limits = Limits::default();
    let table = [
        ("application/json", "a=1", FormError::NotAForm),
        ("text/plain", "a=1", FormError::NotAForm),
        ("multipart/mixed; boundary=XX", WHOLE, FormError::NotAForm),
        (
            "multipart/form-data; boundary=XX",
            "a=1",
            FormError::Framing,
        ),
        (
            "multipart/form-data; boundary=XX",
            "{\"a\":1}",
            FormError::Framing,
        ),
        (
            "application/x-www-form-urlencoded",
            "{\"a\":1}",
            FormError::NoEquals,
        ),
        (
            "application/x-www-form-urlencoded",
            WHOLE,
            FormError::NotEscaped,
        ),
        (
            "application/x-www-form-urlencoded; charset=utf-16",
            "a=1",
            FormError::Charset,
        ),
    ];
    for (kind, body, error) in table {
        let content_type = ContentType::parse(kind.as_bytes()).expect(kind);
        let result = form::parse(&content_type, body.as_bytes(), &limits);
        assert_eq!(result, Err(error), "{kind} {body}");
    }
}

/// Altered forms never panic and never get past a limit.
#[test]
fn altered_forms_keep_the_limits() {
    let limits = Limits::default();
    let mut prng = Prng::new(7);
    let mut refused = 0;
    for _ in 0..5_000 {
        let mut body = WHOLE.as_bytes().to_vec();
        for _ in 0..1 + prng.below(4) {
            let at = prng.below(body.len());
            match prng.below(3) {
                0 => body[at] = prng.next() as u8,
                1 => {
                    body.remove(at);
                }
                _ => body.insert(at, b"\r\n-X\";:"[prng.below(7)]),
            }
        }
        match form::parse_multipart(&body, "XX", &limits) {
            Ok(form) => assert!(form.fields.len() + form.files.len() <= 3),
            Err(_) => refused += 1,
        }
        let _ = form::parse_urlencoded(&body, &limits);
    }
    assert!(refused > 1_000, "{refused}");
}
