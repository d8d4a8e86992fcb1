//! Reading request headers: each one once or not at all, and only those that may be seen further in.

use std::collections::BTreeMap;

use http::HeaderMap;

use crate::limits::MAX_IDEMPOTENCY_KEY;
use crate::problem::{IDEMPOTENCY_KEY, Problem};

/// Headers of the request that expressions may read. None carries a credential or a person's address.
const SEEN: [&str; 6] = [
    "content-type",
    "user-agent",
    "auto-submitted",
    "precedence",
    "list-id",
    "list-unsubscribe",
];
/// Longest header value that expressions see, bytes.
const MAX_SEEN: usize = 500;
/// Longest id of a sender's request in a log line, bytes.
const MAX_REQUEST_ID: usize = 128;

/// The headers as the wire crate takes them.
pub(crate) fn pairs(headers: &HeaderMap) -> Vec<(&str, &[u8])> {
    headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect()
}

/// A header that stands exactly once and is visible ASCII.
pub(crate) fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut all = headers.get_all(name).iter();
    let first = all.next()?.to_str().ok()?;
    all.next().is_none().then_some(first)
}

/// The headers that expressions may read.
pub(crate) fn seen(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for name in SEEN {
        if let Some(value) = single(headers, name) {
            let end = value.floor_char_boundary(MAX_SEEN);
            out.insert(name.to_owned(), value[..end].to_owned());
        }
    }
    out
}

/// The token of `Authorization: Bearer …`.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = single(headers, "authorization")?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| token.trim())
}

/// The id that a sender gave its request (`X-Request-Id`), where it is one that a log line may hold.
pub(crate) fn sender_request_id(headers: &HeaderMap) -> Option<&str> {
    let id = single(headers, "x-request-id")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/".contains(c);
    (!id.is_empty() && id.len() <= MAX_REQUEST_ID && id.chars().all(plain)).then_some(id)
}

/// The trace id of a W3C `traceparent`.
pub(crate) fn trace_id(headers: &HeaderMap) -> Option<&str> {
    let mut parts = single(headers, "traceparent")?.split('-');
    let (version, trace) = (parts.next()?, parts.next()?);
    let hex = |t: &str| t.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let fits = version.len() == 2 && hex(version) && trace.len() == 32 && hex(trace);
    (fits && trace.bytes().any(|b| b != b'0')).then_some(trace)
}

/// The caller's idempotency key: `Idempotency-Key`, or `X-Idempotency-Key` as older clients write it; quoted
/// or bare, 1 to 255 printable ASCII characters. Absent is no error here.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let wrong = |detail: &str| Err(Problem::new(IDEMPOTENCY_KEY, detail));
    let mut found: Option<&str> = None;
    for value in ["idempotency-key", "x-idempotency-key"]
        .iter()
        .flat_map(|name| headers.get_all(*name))
    {
        let Ok(text) = value.to_str() else {
            return wrong("The key has characters other than printable ASCII.");
        };
        if found.is_some_and(|earlier| earlier != text) {
            return wrong("The request has two different keys.");
        }
        found = Some(text);
    }
    let Some(text) = found.map(str::trim) else {
        return Ok(None);
    };
    let bare = text
        .strip_prefix('"')
        .and_then(|t| t.strip_suffix('"'))
        .unwrap_or(text);
    let printable = bare.bytes().all(|b| (0x20..0x7f).contains(&b));
    if bare.is_empty() || bare.len() > MAX_IDEMPOTENCY_KEY || !printable {
        return wrong("A key has 1 to 255 printable ASCII characters.");
    }
    Ok(Some(bare.to_owned()))
}

/// A request without the key that its address asks for.
pub(crate) fn key_missing() -> Problem {
    let detail = "Send a header Idempotency-Key of 1 to 255 printable ASCII characters: a fresh one for every \
                  message, the same one when a message is sent again.";
    Problem::new(IDEMPOTENCY_KEY, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn map(pairs: &[(&str, &[u8])]) -> HeaderMap {
        pairs
            .iter()
            .map(|(n, v)| {
                let name = HeaderName::from_bytes(n.as_bytes()).unwrap();
                (name, HeaderValue::from_bytes(v).unwrap())
            })
            .collect()
    }

    #[test]
    fn idempotency_keys_are_read_quoted_and_bare() {
        let long = "k".repeat(256);
        let longest = "k".repeat(255);
        type Row<'a> = (&'a [(&'a str, &'a [u8])], Result<Option<&'a str>, ()>);
        let table: &[Row] = &[
            (&[], Ok(None)),
            (&[("idempotency-key", b"a b")], Ok(Some("a b"))),
            (&[("idempotency-key", b"\"quoted\"")], Ok(Some("quoted"))),
            (&[("x-idempotency-key", b"old")], Ok(Some("old"))),
            (
                &[("idempotency-key", b"k"), ("x-idempotency-key", b"k")],
                Ok(Some("k")),
            ),
            (
                &[("idempotency-key", b"k"), ("x-idempotency-key", b"l")],
                Err(()),
            ),
            (
                &[("idempotency-key", b"k"), ("idempotency-key", b"l")],
                Err(()),
            ),
            (&[("idempotency-key", b"")], Err(())),
            (&[("idempotency-key", b"\"\"")], Err(())),
            (&[("idempotency-key", b"k\xc3\xa9")], Err(())),
            (
                &[("idempotency-key", longest.as_bytes())],
                Ok(Some(&longest)),
            ),
            (&[("idempotency-key", long.as_bytes())], Err(())),
        ];
        for (pairs, want) in table {
            let got = idempotency_key(&map(pairs));
            assert_eq!(
                got.as_ref().map(|k| k.as_deref()).map_err(|_| ()),
                *want,
                "{pairs:?}"
            );
        }
    }

    #[test]
    fn trace_ids_and_tokens_are_taken_only_whole() {
        let trace = |v: &str| {
            let headers = map(&[("traceparent", v.as_bytes())]);
            trace_id(&headers).map(str::to_owned)
        };
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(
            trace(&format!("00-{id}-00f067aa0ba902b7-01")).as_deref(),
            Some(id)
        );
        assert_eq!(
            trace(&format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32))),
            None
        );
        assert_eq!(
            trace(&format!("00-{}-00f067aa0ba902b7-01", id.to_uppercase())),
            None
        );
        assert_eq!(trace("00-"), None);
        assert_eq!(
            bearer(&map(&[("authorization", b"Bearer abc")])),
            Some("abc")
        );
        assert_eq!(bearer(&map(&[("authorization", b"Basic abc")])), None);
        let twice = map(&[
            ("authorization", b"Bearer a"),
            ("authorization", b"Bearer b"),
        ]);
        assert_eq!(bearer(&twice), None);
    }

    #[test]
    fn a_sender_names_its_request_in_plain_letters() {
        let long = "a".repeat(129);
        let table: [(&[u8], Option<&str>); 5] = [
            (b"req-7", Some("req-7")),
            (b"", None),
            (b"a b", None),
            (b"Ada <ada@example.com>", None),
            (long.as_bytes(), None),
        ];
        for (sent, want) in table {
            assert_eq!(sender_request_id(&map(&[("x-request-id", sent)])), want);
        }
        assert_eq!(sender_request_id(&map(&[])), None);
    }
}
