//! Content types: what is read, what is refused.

use tl_wire::content_type::{BodyEncoding, ContentType, ContentTypeError};

#[test]
fn accepted() {
    let table: [(&str, &str, Option<&str>, Option<&str>); 10] = [
        ("application/json", "application/json", None, None),
        ("Application/JSON", "application/json", None, None),
        (
            "application/json; charset=UTF-8",
            "application/json",
            Some("utf-8"),
            None,
        ),
        (
            "application/json;charset=\"utf-8\"",
            "application/json",
            Some("utf-8"),
            None,
        ),
        (
            " text/plain ;  charset=iso-8859-1 ",
            "text/plain",
            Some("iso-8859-1"),
            None,
        ),
        ("text/plain;", "text/plain", None, None),
        (
            "application/vnd.api+json",
            "application/vnd.api+json",
            None,
            None,
        ),
        (
            "multipart/form-data; boundary=AaB03x",
            "multipart/form-data",
            None,
            Some("AaB03x"),
        ),
        (
            "multipart/form-data; boundary=\"a b:c\"",
            "multipart/form-data",
            None,
            Some("a b:c"),
        ),
        ("message/rfc822; x=\"a\\\"b\"", "message/rfc822", None, None),
    ];
    for (text, essence, charset, boundary) in table {
        let parsed = ContentType::parse(text.as_bytes()).expect(text);
        assert_eq!(parsed.essence(), essence, "{text}");
        assert_eq!(parsed.charset.as_deref(), charset, "{text}");
        assert_eq!(parsed.boundary.as_deref(), boundary, "{text}");
    }
}

#[test]
fn refused() {
    use ContentTypeError::{Boundary, DuplicateParameter, Malformed};
    let long = format!("text/plain; x={}", "a".repeat(600));
    let wide = format!("multipart/form-data; boundary={}", "b".repeat(71));
    let table = [
        ("", Malformed),
        ("json", Malformed),
        ("application/", Malformed),
        ("/json", Malformed),
        ("application/json text/html", Malformed),
        ("application/json, text/html", Malformed),
        ("application/json; charset", Malformed),
        ("application/json; charset=", Malformed),
        ("application/json; charset=\"utf-8", Malformed),
        ("application/json; charset = utf-8", Malformed),
        (
            "application/json; charset=utf-8; charset=utf-7",
            DuplicateParameter,
        ),
        (
            "application/json; charset=utf-8; CHARSET=utf-8",
            DuplicateParameter,
        ),
        ("application/j\u{e9}son", Malformed),
        ("application/json;;x=1", Malformed),
        ("multipart/form-data", Boundary),
        ("multipart/form-data; boundary=\"\"", Boundary),
        ("multipart/form-data; boundary=\"a \"", Boundary),
        ("multipart/form-data; boundary=\"a\\b\"", Boundary),
        (&wide, Boundary),
        (&long, Malformed),
    ];
    for (text, error) in table {
        assert_eq!(ContentType::parse(text.as_bytes()), Err(error), "{text}");
    }
    assert_eq!(ContentType::parse(b"text/pl\xff"), Err(Malformed));
}

#[test]
fn a_request_has_exactly_one() {
    let json: (&str, &[u8]) = ("Content-Type", b"application/json");
    let form: (&str, &[u8]) = ("content-type", b"application/x-www-form-urlencoded");
    assert!(ContentType::of(&[json]).expect("json").is_json());
    assert!(ContentType::of(&[form]).expect("form").is_urlencoded());
    assert_eq!(ContentType::of(&[]), Err(ContentTypeError::Missing));
    assert_eq!(
        ContentType::of(&[json, form]),
        Err(ContentTypeError::Duplicate)
    );
    assert_eq!(
        ContentType::of(&[json, json]),
        Err(ContentTypeError::Duplicate)
    );
}

#[test]
fn encodings_are_named() {
    use BodyEncoding::{Brotli, Compress, Deflate, Gzip, Identity, Other, Zstd};
    let table: [(&[&str], BodyEncoding); 11] = [
        (&[], Identity),
        (&["identity"], Identity),
        (&["gzip"], Gzip),
        (&[" GZip "], Gzip),
        (&["deflate"], Deflate),
        (&["br"], Brotli),
        (&["zstd"], Zstd),
        (&["x-compress"], Compress),
        (&["gzip, br"], Other),
        (&["gzip", "gzip"], Other),
        (&["aes128gcm"], Other),
    ];
    for (values, expected) in table {
        let headers: Vec<(&str, &[u8])> = values
            .iter()
            .map(|value| ("Content-Encoding", value.as_bytes()))
            .collect();
        assert_eq!(BodyEncoding::of(&headers), expected, "{values:?}");
    }
}
