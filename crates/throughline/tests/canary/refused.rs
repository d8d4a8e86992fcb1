//! Messages and requests that are refused, for every reason that there is, each with marks of its own.

use super::taken::lead;
use super::*;

/// Every kind of message and request that is refused.
pub fn refuse_all(i: &Installation, marks: &mut Marks, s: &mut Surfaces) {
    let json_type = ("content-type", "application/json");
    let bearer = format!("Bearer {}", i.key);
    let mut answers: Vec<(&str, Vec<u8>)> = Vec::new();
    let body = |marks: &mut Marks, place: &str| lead(marks, place).to_string().into_bytes();

    let wrong = format!("sha256={}", marks.word("wrong signature"));
    let b = body(marks, "a message with a wrong signature");
    answers.push((
        "wrong signature",
        i.post(
            "/hooks/default/web",
            &[json_type, ("x-signature", &wrong)],
            &b,
        ),
    ));
    let b = body(marks, "a message without a signature");
    answers.push((
        "no signature",
        i.post("/hooks/default/web", &[json_type], &b),
    ));
    for path in [
        "/hooks/default/",
        "/hooks/",
        "/v1/records/lead/",
        "/v1/cases/",
        "/",
        "/v1/events?email=",
        "/hooks/default/web?email=",
    ] {
        let path = format!("{path}{}", marks.word("path of a request"));
        let b = body(marks, "a message to nowhere");
        answers.push((
            "path",
            i.post(&path, &[json_type, ("authorization", &bearer)], &b),
        ));
        let get = format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: {bearer}\r\n\r\n"
        );
        answers.push(("path", i.raw(get.as_bytes())));
    }
    let signed = [
        ("application/json", r#"{"name":"MARK""#, "broken JSON"),
        (
            "application/json",
            r#"{"name":"x","name":"MARK"}"#,
            "a doubled name",
        ),
        (
            "application/json",
            r#"{"MARK":1,"MARK":2}"#,
            "a doubled property",
        ),
        (
            "application/json",
            r#"{"name":"x","size":["MARK"]}"#,
            "a list for a number",
        ),
        (
            "application/json",
            r#"{"name":["MARK"],"email":{"MARK":1}}"#,
            "a list for a text",
        ),
        ("application/json", r#"["MARK"]"#, "a list for an object"),
        ("application/json", "MARK", "no JSON"),
        ("text/MARK", "MARK", "another type"),
        (
            "application/json; charset=MARK",
            r#"{"name":"MARK"}"#,
            "another character set",
        ),
    ];
    for (kind, text, place) in signed {
        let mark = marks.word(place);
        let text = text.replace("MARK", &mark);
        let key = marks.word("idempotency key of a refused message");
        answers.push((
            place,
            i.signed("web", &kind.replace("MARK", &mark), &key, text.as_bytes()),
        ));
    }
    let long = marks.word("long idempotency key").repeat(40);
    answers.push((
        "long key",
        i.json(&long, &lead(marks, "a message with a long key")),
    ));
    let mark = marks.word("bearer of nobody");
    for token in [
        format!("Bearer {mark}"),
        format!("Bearer tl_{mark}"),
        format!("Basic {mark}"),
    ] {
        let b = body(marks, "a message of nobody");
        answers.push((
            "bearer",
            i.post(
                "/v1/events",
                &[
                    json_type,
                    ("idempotency-key", &mark),
                    ("authorization", &token),
                ],
                &b,
            ),
        ));
        answers.push((
            "bearer",
            i.post(
                "/hooks/default/notes",
                &[json_type, ("authorization", &token)],
                &b,
            ),
        ));
    }
    let key = marks.word("reused key");
    for place in ["the first use of a key", "the second use of a key"] {
        let headers = [
            json_type,
            ("idempotency-key", key.as_str()),
            ("authorization", bearer.as_str()),
        ];
        let note = lead(marks, place);
        answers.push((
            "reused key",
            i.post(
                "/v1/events",
                &headers,
                json!({ "endpoint": "notes", "body": note })
                    .to_string()
                    .as_bytes(),
            ),
        ));
    }
    let record = marks.word("id of a record");
    for (method, header, text) in [
        ("PUT", "x-a: b", r#"{"name":"MARK"}"#),
        ("PUT", "if-match: \"MARK\"", r#"{"name":"MARK"}"#),
        ("PUT", "if-none-match: *", r#"{"MARK":"#),
        ("PATCH", "if-match: MARK", r#"{"name":"MARK"}"#),
        ("DELETE", "if-match: MARK", ""),
        ("MARK", "x-MARK: MARK", ""),
        ("POST", "content-encoding: MARK", "MARK"),
        ("POST", "transfer-encoding: MARK", "MARK"),
    ] {
        let mark = marks.word("a record write");
        let (method, header, text) = (
            method.replace("MARK", &mark),
            header.replace("MARK", &mark),
            text.replace("MARK", &mark),
        );
        let request = format!(
            "{method} /v1/records/lead/{record} HTTP/1.1\r\nhost: {mark}\r\nconnection: close\r\nauthorization: {bearer}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n{header}\r\n\r\n{text}",
            text.len()
        );
        answers.push(("record", i.raw(request.as_bytes())));
    }
    for broken in [
        "MARK\r\n\r\n",
        "GET /MARK HTTP/9.9\r\nhost: x\r\n\r\n",
        "POST / HTTP/1.1\r\nMARK\r\n\r\n",
        "GET /%zzMARK HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    ] {
        let mark = marks.word("a broken request");
        answers.push(("broken", i.raw(broken.replace("MARK", &mark).as_bytes())));
    }
    let correlation = format!(
        "{}@example.org",
        marks.word("correlation id with an address")
    );
    let headers = [
        json_type,
        ("x-correlation-id", correlation.as_str()),
        ("x-signature", "sha256=00"),
    ];
    answers.push(("correlation", i.post("/hooks/default/web", &headers, b"{}")));
    for (what, answer) in answers {
        let status = status(&answer);
        // The API gives a caller's own record back; that is its answer, not a leak.
        if what == "record" && status < 300 {
            continue;
        }
        // Bytes that are no request may be given no answer at all.
        let refused = status == 0 || status >= 400;
        assert!(refused || what == "reused key", "{what}: {status}");
        s.add("answers", answer);
    }
}
