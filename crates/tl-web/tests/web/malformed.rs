//! Hostile bodies and heads at all three doors: each is turned away with a 4xx and nothing is stored.

use crate::support::{EVENTS_KEY, Req, Server, api_key, exchange, server};

/// Bodies that are no JSON we take, or not of the declared shape.
fn json_bodies() -> Vec<(&'static str, Vec<u8>)> {
    let mut all: Vec<(&str, Vec<u8>)> = [
        ("nothing", &b""[..]),
        ("a blank", b" "),
        ("open object", b"{"),
        ("open list", b"["),
        ("open text", b"\"abc"),
        ("open member", b"{\"email\""),
        ("no value", b"{\"email\":}"),
        ("no colon", b"{\"email\" \"a\"}"),
        ("trailing comma", b"{\"email\":\"a\",}"),
        ("leading comma", b"{,\"email\":\"a\"}"),
        ("two commas", b"{\"email\":\"a\",,\"seats\":1}"),
        ("two documents", b"{\"email\":\"a\"}{\"email\":\"b\"}"),
        ("two lines of JSON", b"{\"email\":\"a\"}\n{\"email\":\"b\"}"),
        ("something after the end", b"{\"email\":\"a\"} x"),
        ("NUL after the end", b"{\"email\":\"a\"}\0"),
        ("closed twice", b"{\"email\":\"a\"}}"),
        ("wrong bracket", b"{\"email\":\"a\"]"),
        ("single quotes", b"{'email':'a'}"),
        ("bare names", b"{email:\"a\"}"),
        ("line comment", b"// x\n{\"email\":\"a\"}"),
        ("block comment", b"{/* x */\"email\":\"a\"}"),
        ("hash comment", b"{\"email\":\"a\"}\n# x"),
        ("NaN", b"{\"email\":\"a\",\"seats\":NaN}"),
        ("Infinity", b"{\"email\":\"a\",\"seats\":Infinity}"),
        ("minus Infinity", b"{\"email\":\"a\",\"seats\":-Infinity}"),
        ("undefined", b"{\"email\":undefined}"),
        ("capital true", b"{\"email\":True}"),
        ("None", b"{\"email\":None}"),
        ("hexadecimal", b"{\"email\":\"a\",\"seats\":0x10}"),
        ("leading zero", b"{\"email\":\"a\",\"seats\":01}"),
        ("plus sign", b"{\"email\":\"a\",\"seats\":+1}"),
        ("bare point", b"{\"email\":\"a\",\"seats\":.5}"),
        ("point without digits", b"{\"email\":\"a\",\"seats\":1.}"),
        ("bare exponent", b"{\"email\":\"a\",\"seats\":1e}"),
        ("huge exponent", b"{\"email\":\"a\",\"seats\":1e999999999}"),
        ("lone minus", b"{\"email\":\"a\",\"seats\":-}"),
        ("a name twice", b"{\"email\":\"a\",\"email\":\"b\"}"),
        ("a name twice, escaped", b"{\"email\":\"a\",\"\\u0065mail\":\"b\"}"),
        ("a name twice, deep", b"{\"email\":\"a\",\"contact\":{\"name\":\"a\",\"name\":\"b\"}}"),
        ("high surrogate", b"{\"email\":\"\\ud800\"}"),
        ("low surrogate", b"{\"email\":\"\\udc00\"}"),
        ("surrogates in the wrong order", b"{\"email\":\"\\udc00\\ud800\"}"),
        ("surrogate and letter", b"{\"email\":\"\\ud800a\"}"),
        ("surrogate in a name", b"{\"\\ud800\":1,\"email\":\"a\"}"),
        ("NUL escape", b"{\"email\":\"a\\u0000b\"}"),
        ("NUL byte", b"{\"email\":\"a\0b\"}"),
        ("control character", b"{\"email\":\"a\x01b\"}"),
        ("line end in a text", b"{\"email\":\"a\nb\"}"),
        ("tab in a text", b"{\"email\":\"a\tb\"}"),
        ("unknown escape", b"{\"email\":\"\\x41\"}"),
        ("cut escape", b"{\"email\":\"\\u00\"}"),
        ("escape that is no hex", b"{\"email\":\"\\u00zz\"}"),
        ("escape with a sign", b"{\"email\":\"\\u+041\"}"),
        ("byte order mark", b"\xef\xbb\xbf{\"email\":\"a\"}"),
        ("UTF-16 LE", b"\xff\xfe{\0\"\0e\0\"\0:\x001\0}\0"),
        ("UTF-16 BE", b"\xfe\xff\0{\0\"\0e\0\"\0:\x001\0}"),
        ("UTF-32", b"\xff\xfe\0\0{\0\0\0}\0\0\0"),
        ("Latin-1", b"{\"email\":\"caf\xe9\"}"),
        ("overlong slash", b"{\"email\":\"\xc0\xaf\"}"),
        ("overlong NUL", b"{\"email\":\"\xc0\x80\"}"),
        ("encoded surrogate", b"{\"email\":\"\xed\xa0\x80\"}"),
        ("beyond Unicode", b"{\"email\":\"\xf4\x90\x80\x80\"}"),
        ("cut character", b"{\"email\":\"\xe2\x82\"}"),
        ("lone continuation", b"{\"email\":\"\x80\"}"),
        ("no-break space outside", b"\xc2\xa0{\"email\":\"a\"}"),
        ("vertical tab outside", b"\x0b{\"email\":\"a\"}"),
        ("a prefix against script inclusion", b")]}',\n{\"email\":\"a\"}"),
        ("a call-back", b"callback({\"email\":\"a\"})"),
        ("a form", b"email=a%40example.com"),
        ("a multipart form", b"--b\r\nContent-Disposition: form-data; name=\"email\"\r\n\r\na\r\n--b--\r\n"),
        ("a multipart form with a file path", b"--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"/etc/passwd\"\r\n\r\nx\r\n--b--\r\n"),
        ("XML", b"<?xml version=\"1.0\"?><email>a</email>"),
        ("XML with an entity", b"<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>"),
        ("YAML", b"email: a@example.com"),
        ("YAML with a tag", b"!!python/object/apply:os.system [\"id\"]"),
        ("a pickle", b"\x80\x04\x95."),
        ("CBOR", b"\xa1eemailaa"),
        ("MessagePack", b"\x81\xa5email\xa1a"),
        ("a PNG", b"\x89PNG\r\n\x1a\n"),
        ("gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xabV*\xc9"),
        ("null", b"null"),
        ("true", b"true"),
        ("a number", b"1"),
        ("a text", b"\"email\""),
        ("a list", b"[{\"email\":\"a\"}]"),
        ("an empty object", b"{}"),
        ("an empty name", b"{\"\":1,\"email\":\"a\"}"),
        ("null for a text", b"{\"email\":null}"),
        ("a list for a text", b"{\"email\":[\"a\"]}"),
        ("an object for a text", b"{\"email\":{\"a\":1}}"),
        ("a file instead of a text", b"{\"email\":{\"filepath\":\"/etc/passwd\",\"originalFilename\":\"x\"}}"),
        ("a number beyond 64 bits", b"{\"email\":\"a\",\"seats\":99999999999999999999999999999999999999}"),
        ("a fraction for a whole number", b"{\"email\":\"a\",\"seats\":1.5}"),
        ("too small", b"{\"email\":\"a\",\"seats\":0}"),
        ("a prototype", b"{\"email\":\"a\",\"__proto__\":{\"admin\":true}}"),
        ("a constructor", b"{\"email\":\"a\",\"constructor\":{}}"),
        ("another name for the same", b"{\"email\":\"a\",\"Email\":\"b\"}"),
        ("markup where none is allowed", b"{\"email\":\"a\",\"message\":\"<script>\"}"),
    ]
    .map(|(name, body)| (name, body.to_vec()))
    .to_vec();
    all.extend(bombs());
    all
}

/// Small recipes for large trouble; each fits the door's limit of bytes.
fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let nested = |open: &str, n: usize| open.repeat(n).into_bytes();
    let closed = |open: &str, close: &str, n: usize| {
        let mut out = open.repeat(n);
        out.push('1');
        out.push_str(&close.repeat(n));
        out.into_bytes()
    };
    let names: Vec<String> = (0..6_000).map(|i| format!("\"n{i}\":1")).collect();
    vec![
        ("30,000 open lists", nested("[", 30_000)),
        ("10,000 open objects", nested("{\"a\":", 10_000)),
        ("33 closed lists", closed("[", "]", 33)),
        ("1,000 closed lists", closed("[", "]", 1_000)),
        ("1,000 closed objects", closed("{\"a\":", "}", 1_000)),
        ("lists and objects in turn", closed("[{\"a\":", "}]", 500)),
        (
            "6,000 undeclared names",
            format!("{{{}}}", names.join(",")).into_bytes(),
        ),
        (
            "25,000 values",
            format!("[{}1]", "1,".repeat(25_000)).into_bytes(),
        ),
        (
            "a long text",
            format!("{{\"email\":\"{}\"}}", "a".repeat(60_000)).into_bytes(),
        ),
        (
            "many backslashes",
            format!("{{\"email\":\"{}", "\\\\".repeat(20_000)).into_bytes(),
        ),
        (
            "a number of 50,000 digits",
            format!("{{\"email\":\"a\",\"seats\":{}}}", "9".repeat(50_000)).into_bytes(),
        ),
        (
            "a fraction of 50,000 digits",
            format!("{{\"email\":\"a\",\"seats\":0.{}}}", "1".repeat(50_000)).into_bytes(),
        ),
        ("20,000 blanks and nothing", " ".repeat(20_000).into_bytes()),
    ]
}

/// Form bodies in both notations with their content types.
fn form_bodies() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let url = "application/x-www-form-urlencoded";
    let multi = "multipart/form-data; boundary=b";
    let part =
        |name: &str| format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\nx\r\n");
    let many: Vec<String> = (0..300).map(|i| format!("n{i}=1")).collect();
    vec![
        ("JSON posing as a form", url, b"{\"email\":\"a\"}".to_vec()),
        ("a field twice", url, b"email=a&email=b".to_vec()),
        ("a field twice, escaped", url, b"email=a&%65mail=b".to_vec()),
        ("no equals sign", url, b"email".to_vec()),
        ("an empty pair", url, b"email=a&&message=b".to_vec()),
        ("an empty name", url, b"=a&email=b".to_vec()),
        ("a cut escape", url, b"email=%4".to_vec()),
        ("an escape that is no hex", url, b"email=%zz".to_vec()),
        ("no UTF-8", url, b"email=%ff%fe".to_vec()),
        ("overlong", url, b"email=%c0%af".to_vec()),
        ("NUL", url, b"email=%00".to_vec()),
        ("a blank", url, b"email=a b".to_vec()),
        ("a raw byte", url, b"email=\xe9".to_vec()),
        ("300 fields", url, many.join("&").into_bytes()),
        ("a long name", url, format!("{}=1", "n".repeat(300)).into_bytes()),
        ("an undeclared field", url, b"email=a&admin=true".to_vec()),
        ("nothing", url, Vec::new()),
        ("a form posing as multipart", multi, b"email=a".to_vec()),
        ("no last boundary", multi, part("email").into_bytes()),
        ("another boundary", multi, part("email").replace("--b", "--c").into_bytes()),
        ("a part twice", multi, format!("{0}{0}--b--\r\n", part("email")).into_bytes()),
        ("a part without a name", multi, b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n".to_vec()),
        ("a part without a disposition", multi, b"--b\r\n\r\nx\r\n--b--\r\n".to_vec()),
        ("a part with an encoding", multi, b"--b\r\nContent-Disposition: form-data; name=\"email\"\r\nContent-Transfer-Encoding: base64\r\n\r\neA==\r\n--b--\r\n".to_vec()),
        ("a file for a field", multi, b"--b\r\nContent-Disposition: form-data; name=\"email\"; filename=\"../../etc/passwd\"\r\n\r\nx\r\n--b--\r\n".to_vec()),
        ("something after the end", multi, format!("{}--b--\r\nmore", part("email")).into_bytes()),
        ("no boundary", "multipart/form-data", part("email").into_bytes()),
        ("two boundaries", "multipart/form-data; boundary=b; boundary=c", part("email").into_bytes()),
        ("another multipart", "multipart/mixed; boundary=b", part("email").into_bytes()),
        ("another charset", "application/x-www-form-urlencoded; charset=iso-8859-1", b"email=a".to_vec()),
    ]
}

async fn refused(server: &Server, what: &str, request: Req) {
    let answer = server.send(request).await;
    assert!(
        (400..500).contains(&answer.status),
        "{what}: {} {}",
        answer.status,
        answer.text()
    );
    assert!(
        answer.body.len() < 40_000,
        "{what}: an answer of {} bytes",
        answer.body.len()
    );
}

/// Every body at every door, signed and unsigned.
#[tokio::test]
async fn hostile_bodies_are_refused_at_every_door() {
    let server = server().await;
    let bodies = json_bodies();
    assert!(bodies.len() >= 100, "{} bodies", bodies.len());
    for (n, (what, body)) in bodies.into_iter().enumerate() {
        let hook = Req::post("/hooks/acme/leads", body.clone())
            .header("idempotency-key", &format!("h{n}"));
        let form = Req::post("/forms/acme/contact", body.clone())
            .header("idempotency-key", &format!("f{n}"));
        let event = |body: Vec<u8>, key: String| {
            Req::post("/v1/events", body)
                .header("idempotency-key", &key)
                .bearer(&api_key(EVENTS_KEY))
        };
        let inner = [br#"{"endpoint":"notes","body":"#.as_slice(), &body, b"}"].concat();
        let all = [
            ("signed hook", hook.clone().signed()),
            ("unsigned hook", hook),
            ("signed form", form.clone().signed()),
            ("unsigned form", form),
            ("event", event(body, format!("e{n}"))),
            ("inside an event", event(inner.clone(), format!("i{n}"))),
            (
                "unknown caller",
                event(inner, format!("u{n}")).without("authorization"),
            ),
        ];
        for (door, request) in all {
            refused(&server, &format!("{what}, {door}"), request).await;
        }
    }
    for (what, kind, body) in form_bodies() {
        let form = Req::new("POST", "/forms/acme/contact")
            .header("content-type", kind)
            .body(body.clone());
        refused(&server, what, form.clone().signed()).await;
        refused(&server, what, form).await;
        let hook = Req::new("POST", "/hooks/acme/leads")
            .header("content-type", kind)
            .body(body);
        refused(&server, what, hook.signed()).await;
    }
    assert_eq!(server.stored().await, 0);
    let good = Req::post("/hooks/acme/leads", r#"{"email":"a@example.com"}"#).signed();
    assert_eq!(
        server.send(good).await.status,
        202,
        "and the door still works"
    );
}

#[tokio::test]
async fn hostile_mails_are_refused() {
    let server = server().await;
    let lines: String = (0..3_000).map(|i| format!("X-{i}: 1\r\n")).collect();
    let table: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", Vec::new()),
        ("JSON", b"{\"email\":\"a\"}".to_vec()),
        ("no header", b"just words\r\n".to_vec()),
        (
            "3,000 header lines",
            format!("From: a@b.de\r\n{lines}\r\nx").into_bytes(),
        ),
    ];
    for (what, body) in table {
        let request = Req::new("POST", "/hooks/acme/mail")
            .header("content-type", "message/rfc822")
            .body(body);
        refused(&server, what, request.clone().signed()).await;
        refused(&server, what, request).await;
    }
    assert_eq!(server.stored().await, 0);
}

/// Heads as bytes. What is no HTTP gets a 4xx or a closed connection; nothing waits for more.
#[tokio::test]
async fn hostile_heads_are_refused() {
    let server = server().await;
    let body = r#"{"email":"a@example.com"}"#;
    let signed = Req::post("/hooks/acme/leads", body).signed().bytes();
    let signed = String::from_utf8(signed).unwrap();
    let with = |line: &str| signed.replacen("\r\n", &format!("\r\n{line}\r\n"), 1);
    let floods = (0..200)
        .map(|i| format!("x-{i}: 1\r\n"))
        .collect::<String>();
    let long = "a".repeat(70_000);
    let table: Vec<(&str, String)> = vec![
        ("CL and TE", with("transfer-encoding: chunked")),
        (
            "TE and CL",
            signed.replace(
                "content-length",
                "transfer-encoding: chunked\r\ncontent-length",
            ),
        ),
        ("TE in two spellings", with("Transfer-Encoding: xchunked")),
        ("TE identity", with("transfer-encoding: identity")),
        (
            "TE twice",
            with("transfer-encoding: chunked\r\ntransfer-encoding: identity"),
        ),
        ("TE with a tab", with("transfer-encoding:\tchunked")),
        ("TE then gzip", with("transfer-encoding: gzip, chunked")),
        (
            "TE with a blank before the colon",
            with("transfer-encoding : chunked"),
        ),
        ("two lengths", with("content-length: 7")),
        (
            "a list of lengths",
            signed.replace("content-length: 25", "content-length: 25, 26"),
        ),
        (
            "a negative length",
            signed.replace("content-length: 25", "content-length: -1"),
        ),
        (
            "a signed length",
            signed.replace("content-length: 25", "content-length: +25"),
        ),
        (
            "a hexadecimal length",
            signed.replace("content-length: 25", "content-length: 0x19"),
        ),
        (
            "a length with a blank",
            signed.replace("content-length: 25", "content-length: 2 5"),
        ),
        (
            "an empty length",
            signed.replace("content-length: 25", "content-length: "),
        ),
        (
            "a length beyond 64 bits",
            signed.replace(
                "content-length: 25",
                "content-length: 99999999999999999999999",
            ),
        ),
        ("no length", signed.replace("content-length: 25\r\n", "")),
        ("a folded header", with("x-a: 1\r\n 2")),
        ("a header without a colon", with("x-a")),
        ("a header without a name", with(": 1")),
        ("a header with a blank in its name", with("x a: 1")),
        ("a NUL in a header", with("x-a: 1\0")),
        ("200 headers", with(floods.trim_end())),
        ("a header of 70,000 bytes", with(&format!("x-a: {long}"))),
        (
            "a target of 70,000 bytes",
            signed.replace("/leads", &format!("/leads?{long}")),
        ),
        ("no version", signed.replace(" HTTP/1.1", "")),
        ("an unknown version", signed.replace("HTTP/1.1", "HTTP/9.9")),
        (
            "HTTP/2 without leave",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        ),
        (
            "TLS",
            "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}\r\n\r\n".to_owned(),
        ),
        (
            "a blank in the target",
            signed.replace("/hooks/acme/leads", "/hooks/acme /leads"),
        ),
        ("a method with a blank", signed.replacen("POST", "PO ST", 1)),
        ("an unknown method", signed.replacen("POST", "BREW", 1)),
        (
            "CONNECT",
            signed.replacen(
                "POST /hooks/acme/leads",
                "CONNECT throughline.example:443",
                1,
            ),
        ),
        ("TRACE", signed.replacen("POST", "TRACE", 1)),
        (
            "a dot path",
            signed.replace("/hooks/acme/leads", "/hooks/acme/../acme/leads"),
        ),
        (
            "an encoded dot path",
            signed.replace("/hooks/acme/leads", "/hooks/acme/%2e%2e%2facme/leads"),
        ),
        (
            "a doubled slash",
            signed.replace("/hooks/acme/leads", "//hooks/acme/leads"),
        ),
        (
            "a trailing slash",
            signed.replace("/hooks/acme/leads", "/hooks/acme/leads/"),
        ),
        (
            "another case",
            signed.replace("/hooks/acme/leads", "/hooks/ACME/leads"),
        ),
        (
            "an encoded slash",
            signed.replace("/hooks/acme/leads", "/hooks/acme%2fleads"),
        ),
        ("a NUL in the name", signed.replace("/leads ", "/leads%00 ")),
        ("gzip", with("content-encoding: gzip")),
        ("gzip twice", with("content-encoding: gzip, gzip")),
        ("an unknown encoding", with("content-encoding: aes128gcm")),
        (
            "JSON and a form",
            with("content-type: application/x-www-form-urlencoded"),
        ),
        (
            "a content type with a parameter twice",
            signed.replace(
                "application/json",
                "application/json; charset=utf-8; charset=utf-16",
            ),
        ),
        (
            "a content type without a subtype",
            signed.replace("application/json", "application"),
        ),
        (
            "a content type and more",
            signed.replace("application/json", "application/json, text/plain"),
        ),
        ("a signature twice", with("x-signature: sha256=00")),
        (
            "an override of the method",
            signed.replacen("POST", "GET", 1).replacen(
                "\r\n",
                "\r\nx-http-method-override: POST\r\n",
                1,
            ),
        ),
    ];
    for (what, bytes) in table {
        assert_ne!(bytes, signed, "{what} changes nothing");
        if let Some(answer) = exchange(server.address, bytes.as_bytes()).await {
            assert!(
                (400..500).contains(&answer.status),
                "{what}: {} {}",
                answer.status,
                answer.text()
            );
        }
        assert_eq!(server.stored().await, 0, "{what}");
    }
    assert_eq!(
        server.raw(signed.as_bytes()).await.status,
        202,
        "the plain one is fine"
    );
}

/// Two requests in one packet, the second hidden in what a lenient reader takes for the body of the first.
#[tokio::test]
async fn nothing_hidden_behind_a_request_is_served() {
    let server = server().await;
    let hidden = Req::post("/hooks/acme/plain", "{}").signed().bytes();
    let hidden = String::from_utf8(hidden).unwrap();
    let table = [
        format!(
            "POST /hooks/acme/plain HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n{hidden}"
        ),
        format!(
            "POST /hooks/acme/plain HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"
        ),
        format!(
            "POST /hooks/acme/plain HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{hidden}"
        ),
        format!(
            "GET /hooks/acme/plain HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"
        ),
        format!("POST /hooks/acme/plain HTTP/1.1\r\nhost: a\r\n\r\n{hidden}"),
    ];
    for (i, bytes) in table.iter().enumerate() {
        let answer = server.raw(bytes.as_bytes()).await;
        assert!(
            (400..500).contains(&answer.status),
            "row {i}: {}",
            answer.status
        );
        assert_eq!(server.stored().await, 0, "row {i}");
    }
}
