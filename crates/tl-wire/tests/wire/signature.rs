//! Signatures: independent vectors, the time window, rotation, refusals.

use tl_wire::signature::{
    DeliveryId, Encoding, HmacScheme, Incoming, Scheme, SchemeError, Secret, SecretError,
    SignatureError, SignedString, Stamp, Verified, Window, sign, verify,
};

const BODY: &[u8] = br#"{"lead":{"email":"ana@example.com","score":7}}"#;
const KEY: &[u8] = b"endpoint-key-1";
const NONE: &[(&str, &str)] = &[];
const NOW_US: i64 = 1_700_000_000_000_000;

fn secret(kid: &str, key: &[u8]) -> Secret {
    Secret::new(kid, key, 0, None).expect("usable key")
}

fn hmac(header: &str, prefix: &str, encoding: Encoding, template: &str) -> HmacScheme {
    HmacScheme {
        header: header.to_owned(),
        prefix: prefix.to_owned(),
        encoding,
        signed: SignedString::parse(template).expect("sound template"),
        timestamp_header: template
            .contains("{timestamp}")
            .then(|| "x-timestamp".to_owned()),
        id_header: template.contains("{id}").then(|| "x-id".to_owned()),
    }
}

struct Vector {
    name: &'static str,
    scheme: Scheme,
    secret: Secret,
    headers: Vec<(&'static str, &'static str)>,
    body: &'static [u8],
    now_s: i64,
}

fn standard(text: &str) -> Secret {
    Secret::standard_webhooks("sw", text, 0, None).expect("whsec")
}

/// Tags that senders publish in their documentation, and tags computed with Python's `hmac`.
fn vectors() -> Vec<Vector> {
    use Encoding::{Base64, Hex};
    let slack: &[u8] = b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    vec![
        Vector {
            name: "Standard Webhooks, published",
            scheme: Scheme::StandardWebhooks,
            secret: standard("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
            headers: vec![
                ("Webhook-Id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
                ("Webhook-Timestamp", "1614265330"),
                (
                    "Webhook-Signature",
                    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
                ),
            ],
            body: br#"{"test": 2432232314}"#,
            now_s: 1_614_265_330,
        },
        Vector {
            name: "Standard Webhooks, other versions and an older signature beside it",
            scheme: Scheme::StandardWebhooks,
            secret: standard("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
            headers: vec![
                (
                    "webhook-signature",
                    "v1a,AAAA v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
                ),
                ("webhook-timestamp", "1614265330"),
                ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ],
            body: br#"{"test": 2432232314}"#,
            now_s: 1_614_265_400,
        },
        Vector {
            name: "code host, published",
            scheme: Scheme::Hmac(hmac("x-hub-signature-256", "sha256=", Hex, "{body}")),
            secret: secret("gh", b"It's a Secret to Everybody"),
            headers: vec![(
                "X-Hub-Signature-256",
                "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
            )],
            body: b"Hello, World!",
            now_s: 0,
        },
        Vector {
            name: "chat, published",
            scheme: Scheme::Hmac(hmac(
                "x-slack-signature",
                "v0=",
                Hex,
                "v0:{timestamp}:{body}",
            )),
            secret: secret("chat", b"8f742231b10e8888abcd99yyyzzz85a5"),
            headers: vec![
                ("x-timestamp", "1531420618"),
                (
                    "x-slack-signature",
                    "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
                ),
            ],
            body: slack,
            now_s: 1_531_420_618,
        },
        Vector {
            name: "shop",
            scheme: Scheme::Hmac(hmac("x-shop-hmac", "", Base64, "{body}")),
            secret: secret("shop", b"hush"),
            headers: vec![(
                "x-shop-hmac",
                "D0UMXmhjwBRi4y66TmhJrDlhQABD7zI2fm3p6/QLMo8=",
            )],
            body: br#"{"id":820982911946154508,"email":"jon@example.com"}"#,
            now_s: 0,
        },
        Vector {
            name: "default",
            scheme: Scheme::Hmac(HmacScheme::default()),
            secret: secret("a", KEY),
            headers: vec![(
                "X-Signature",
                "sha256=44930379db776d839b4f6c296b943cc1efbfd625e427cfc6cb2a5ca6ca2ba4a4",
            )],
            body: BODY,
            now_s: 0,
        },
        Vector {
            name: "upper case hex",
            scheme: Scheme::Hmac(HmacScheme::default()),
            secret: secret("a", KEY),
            headers: vec![(
                "X-Signature",
                "sha256=44930379DB776D839B4F6C296B943CC1EFBFD625E427CFC6CB2A5CA6CA2BA4A4",
            )],
            body: BODY,
            now_s: 0,
        },
        Vector {
            name: "timestamp and body",
            scheme: Scheme::Hmac(hmac("x-signature", "", Hex, "{timestamp}.{body}")),
            secret: secret("a", KEY),
            headers: vec![
                ("x-timestamp", "1700000000"),
                (
                    "x-signature",
                    "ea9650e042f0e1499f426608d71fcf2d1dd04418683f8116873a199c7e1a7792",
                ),
            ],
            body: BODY,
            now_s: 1_700_000_000,
        },
        Vector {
            name: "timestamp and body without separator",
            scheme: Scheme::Hmac(hmac("x-signature", "", Base64, "{timestamp}{body}")),
            secret: secret("a", KEY),
            headers: vec![
                ("x-timestamp", "1700000000"),
                (
                    "x-signature",
                    "ioBj8SqnG0C9AnwiZq54BkC8tiMHJzY8tU2s6xupqJU=",
                ),
            ],
            body: BODY,
            now_s: 1_700_000_000,
        },
        Vector {
            name: "id, timestamp and body",
            scheme: Scheme::Hmac(hmac(
                "x-signature",
                "sha256=",
                Hex,
                "{id}.{timestamp}.{body}",
            )),
            secret: secret("a", KEY),
            headers: vec![
                ("x-id", "evt_01"),
                ("x-timestamp", "1700000000"),
                (
                    "x-signature",
                    "sha256=46b15a0941b621f524388792086e190bd636928d9434132042162a30df23a26a",
                ),
            ],
            body: BODY,
            now_s: 1_700_000_000,
        },
        Vector {
            name: "empty body",
            scheme: Scheme::Hmac(HmacScheme::default()),
            secret: secret("a", KEY),
            headers: vec![(
                "x-signature",
                "sha256=31c6f834445e16ad5a41420487c19964c0d2d89ee94c7718654a297245a26d11",
            )],
            body: b"",
            now_s: 0,
        },
    ]
}

fn check<V: AsRef<str>>(
    scheme: &Scheme,
    headers: &[(&str, V)],
    body: &[u8],
    secrets: &[Secret],
    now_us: i64,
) -> Result<Verified, SignatureError> {
    let headers: Vec<(&str, &[u8])> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_ref().as_bytes()))
        .collect();
    let incoming = Incoming {
        headers: &headers,
        body,
        method: "POST",
        url: None,
    };
    verify(scheme, incoming, secrets, Window::at(now_us))
}

#[test]
fn vectors_verify() {
    for v in vectors() {
        let secrets = [secret("other", b"another key"), v.secret.clone()];
        let now_us = v.now_s * 1_000_000;
        let verified = check(&v.scheme, &v.headers, v.body, &secrets, now_us)
            .unwrap_or_else(|e| panic!("{}: {e}", v.name));
        assert_eq!(verified.kid, v.secret.kid(), "{}", v.name);
        let altered = [v.body, b" "].concat();
        assert_eq!(
            check(&v.scheme, &v.headers, &altered, &secrets, now_us),
            Err(SignatureError::Mismatch),
            "{}",
            v.name
        );
    }
}

#[test]
fn binary_keys_and_bodies() {
    let key: Vec<u8> = (0..32).collect();
    let body: Vec<u8> = (0..=255).collect();
    let header = "sha256=42bf6fcd2ae46e32b29ce8bcbfd1f43896ea948aa9df2744eb4a47d28a8386c8";
    let scheme = Scheme::Hmac(HmacScheme::default());
    let verified = check(
        &scheme,
        &[("x-signature", header)],
        &body,
        &[secret("b", &key)],
        0,
    );
    assert!(verified.is_ok());
}

#[test]
fn what_is_signed_verifies() {
    for v in vectors() {
        let stamp = Stamp {
            delivery_id: Some("evt_77"),
            timestamp_s: 1_700_000_000,
        };
        let headers = sign(&v.scheme, &v.secret, stamp, v.body).expect(v.name);
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(n, value)| (n.as_str(), value.as_str()))
            .collect();
        let secrets = [v.secret.clone()];
        let verified = check(&v.scheme, &headers, v.body, &secrets, NOW_US).expect(v.name);
        assert_eq!(
            verified.delivery_id.is_some(),
            headers.iter().any(|(_, value)| *value == "evt_77"),
            "{}",
            v.name
        );
    }
}

#[test]
fn an_uncovered_id_says_so() {
    let scheme = HmacScheme {
        id_header: Some("x-delivery".to_owned()),
        ..HmacScheme::default()
    };
    let headers = [
        ("x-delivery", "d-1"),
        (
            "x-signature",
            "sha256=44930379db776d839b4f6c296b943cc1efbfd625e427cfc6cb2a5ca6ca2ba4a4",
        ),
    ];
    let verified = check(
        &Scheme::Hmac(scheme),
        &headers,
        BODY,
        &[secret("a", KEY)],
        0,
    );
    let id = DeliveryId {
        value: "d-1".to_owned(),
        covered: false,
    };
    assert_eq!(verified.expect("valid").delivery_id, Some(id));
}

/// W-03: the window is exact on both sides, and no notation of a time panics.
#[test]
fn time_window() {
    let outside = |skew_s| Some(SignatureError::OutsideWindow { skew_s });
    let malformed = || Some(SignatureError::Malformed("webhook-timestamp".to_owned()));
    let table = [
        ("1700000000", None),
        ("1699999701", None),
        ("1699999700", None),
        ("1699999699", outside(301)),
        ("1700000299", None),
        ("1700000300", None),
        ("1700000301", outside(301)),
        ("1699999400", outside(600)),
        ("1700000600", outside(600)),
        ("1", outside(1_699_999_999)),
        ("99999999999", outside(98_299_999_999)),
        ("9223372036854775807", outside(9_221_672_036_854)),
        ("9223372036854775808", malformed()),
        ("99999999999999999999999999", malformed()),
        ("-1700000000", malformed()),
        ("+1700000000", malformed()),
        ("01700000000", malformed()),
        ("1700000000.0", malformed()),
        ("1.7e9", malformed()),
        (" 1700000000", malformed()),
        ("0", malformed()),
        ("", malformed()),
        ("now", malformed()),
        ("\u{0661}\u{0667}", malformed()),
    ];
    let key = secret("a", KEY);
    for (text, expected) in table {
        // Signed as it stands, so that only the time can be the reason.
        let signed = HmacScheme {
            header: "webhook-signature".to_owned(),
            prefix: "v1,".to_owned(),
            encoding: Encoding::Base64,
            signed: SignedString::parse(&format!("evt.{text}.{{body}}")).expect("template"),
            ..HmacScheme::default()
        };
        let stamp = Stamp {
            delivery_id: None,
            timestamp_s: 1,
        };
        let signature = sign(&Scheme::Hmac(signed), &key, stamp, BODY).expect("signed");
        let headers = [
            ("webhook-id", "evt"),
            ("webhook-timestamp", text),
            ("webhook-signature", signature[0].1.as_str()),
        ];
        let secrets = [key.clone()];
        let result = check(&Scheme::StandardWebhooks, &headers, BODY, &secrets, NOW_US);
        assert_eq!(result.err(), expected, "{text:?}");
    }
}

#[test]
fn a_clock_at_the_ends_of_time_does_not_panic() {
    let scheme = Scheme::StandardWebhooks;
    let headers = [
        ("webhook-id", "evt"),
        ("webhook-timestamp", "1700000000"),
        (
            "webhook-signature",
            "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        ),
    ];
    let key = Secret::new("a", KEY, i64::MIN, None).expect("key");
    for now_us in [i64::MIN, -1, 0, i64::MAX] {
        let result = check(&scheme, &headers, BODY, std::slice::from_ref(&key), now_us);
        assert!(
            matches!(result, Err(SignatureError::OutsideWindow { .. })),
            "{now_us}"
        );
    }
}

/// W-02: overlapping secrets all count, expired and future ones do not.
#[test]
fn rotation() {
    let at = |kid, key: &[u8], from, until| Secret::new(kid, key, from, until).expect("key");
    let day = 86_400_000_000;
    let secrets = [
        at("old", b"old key", 0, Some(NOW_US)),
        at("new", b"new key", NOW_US - day, None),
        at("next", b"next key", NOW_US + 1, None),
    ];
    let scheme = Scheme::Hmac(HmacScheme::default());
    let cases: [(&[u8], i64, Result<&str, &str>); 7] = [
        (b"old key", NOW_US - 1, Ok("old")),
        (b"old key", NOW_US, Err("mismatch")),
        (b"new key", NOW_US - day, Ok("new")),
        (b"new key", NOW_US - day - 1, Err("mismatch")),
        (b"new key", NOW_US + 5 * day, Ok("new")),
        (b"next key", NOW_US, Err("mismatch")),
        (b"next key", NOW_US + 1, Ok("next")),
    ];
    for (key, now_us, expected) in cases {
        let stamp = Stamp {
            delivery_id: None,
            timestamp_s: 1,
        };
        let signed = sign(&scheme, &secret("x", key), stamp, BODY).expect("signed");
        let headers = [(signed[0].0.as_str(), signed[0].1.as_str())];
        let result = check(&scheme, &headers, BODY, &secrets, now_us);
        let seen = match &result {
            Ok(verified) => Ok(verified.kid.as_str()),
            Err(error) => Err(error.reason_class()),
        };
        assert_eq!(seen, expected, "{now_us}");
    }
    let none = check(&scheme, NONE, BODY, &secrets[..1], NOW_US);
    assert_eq!(none, Err(SignatureError::NoActiveSecret));
    let six = vec![secret("a", KEY); 6];
    let refused = Err(SignatureError::Scheme(SchemeError::TooManySecrets));
    assert_eq!(check(&scheme, NONE, BODY, &six, 0), refused);
    assert_eq!(
        check(&scheme, NONE, BODY, &[], 0),
        Err(SignatureError::NoActiveSecret)
    );
}

#[test]
fn refusals_of_the_hmac_scheme() {
    let good = "sha256=44930379db776d839b4f6c296b943cc1efbfd625e427cfc6cb2a5ca6ca2ba4a4";
    let one = |value: &str| vec![("x-signature", value.to_owned())];
    let twice = vec![
        ("x-signature", good.to_owned()),
        ("X-Signature", good.to_owned()),
    ];
    let table = [
        ("missing", vec![], "missing_header"),
        (
            "other name",
            vec![("x-signature-2", good.to_owned())],
            "missing_header",
        ),
        ("twice", twice, "duplicate_header"),
        ("empty", one(""), "malformed"),
        ("no prefix", one(&good[7..]), "malformed"),
        (
            "other hash",
            one(&good.replace("sha256", "sha1")),
            "malformed",
        ),
        ("short", one(&good[..good.len() - 2]), "malformed"),
        ("odd", one(&good[..good.len() - 1]), "malformed"),
        ("mixed case", one(&good.replacen('d', "D", 1)), "malformed"),
        ("blank", one(&format!("{good} ")), "malformed"),
        ("list", one(&format!("{good},{good}")), "malformed"),
        ("oversized", one(&good.repeat(100)), "malformed"),
    ];
    let scheme = Scheme::Hmac(HmacScheme::default());
    for (name, headers, class) in table {
        let result = check(&scheme, &headers, BODY, &[secret("a", KEY)], 0);
        assert_eq!(result.expect_err(name).reason_class(), class, "{name}");
    }
}

#[test]
fn refusals_of_standard_webhooks() {
    let id = || ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned());
    let time = || ("webhook-timestamp", "1614265330".to_owned());
    let signed = |value: &str| ("webhook-signature", value.to_owned());
    let tag = "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    let good = &format!("v1,{tag}");
    let by = |value: &str| vec![id(), time(), signed(value)];
    let from = |id: &str| vec![("webhook-id", id.to_owned()), time(), signed(good)];
    let table = [
        ("no id", vec![time(), signed(good)], "missing_header"),
        ("no time", vec![id(), signed(good)], "missing_header"),
        ("no signature", vec![id(), time()], "missing_header"),
        (
            "two ids",
            vec![id(), id(), time(), signed(good)],
            "duplicate_header",
        ),
        (
            "two times",
            vec![id(), time(), time(), signed(good)],
            "duplicate_header",
        ),
        (
            "two signatures",
            vec![id(), time(), signed(good), signed(good)],
            "duplicate_header",
        ),
        ("asymmetric only", by("v1a,AAAA"), "unsupported_version"),
        (
            "other version",
            by(&good.replace("v1", "v2")),
            "unsupported_version",
        ),
        ("no version", by(tag), "malformed"),
        ("too many", by(&[good.as_str(); 9].join(" ")), "malformed"),
        ("two blanks", by(&format!("{good}  {good}")), "malformed"),
        ("no padding", by(good.trim_end_matches('=')), "malformed"),
        ("short tag", by("v1,AAAA"), "malformed"),
        (
            "stop in id",
            from("msg.p5jXN8AQM9LWM0D4loKWxJek"),
            "malformed",
        ),
        ("other id", from("msg_2"), "mismatch"),
    ];
    let secrets = [standard("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")];
    let body = br#"{"test": 2432232314}"#;
    let now_us = 1_614_265_330_000_000;
    for (name, headers, class) in table {
        let result = check(&Scheme::StandardWebhooks, &headers, body, &secrets, now_us);
        assert_eq!(result.expect_err(name).reason_class(), class, "{name}");
    }
    assert!(check(&Scheme::StandardWebhooks, &by(good), body, &secrets, now_us).is_ok());
}

/// Without these rules, bytes could move between id and body under one signature.
#[test]
fn borders_in_the_signed_string() {
    let table = [
        ("{body}", None),
        ("{id}.{timestamp}.{body}", None),
        ("v0:{timestamp}:{body}", None),
        ("{body}.{id}", None),
        ("", Some(SchemeError::BodyNotOnce)),
        ("{timestamp}", Some(SchemeError::BodyNotOnce)),
        ("{body}{body}", Some(SchemeError::BodyNotOnce)),
        ("{id}.{id}.{body}", Some(SchemeError::Repeated("id"))),
        ("{id}{body}", Some(SchemeError::IdWithoutSeparator)),
        ("{body}{id}", Some(SchemeError::IdWithoutSeparator)),
        ("{url}{body}", Some(SchemeError::Placeholder)),
        ("{body", Some(SchemeError::Placeholder)),
        ("body}{body}", Some(SchemeError::Placeholder)),
    ];
    for (template, expected) in table {
        assert_eq!(SignedString::parse(template).err(), expected, "{template}");
    }
    let ids = [
        ("{id}.{body}", "evt_1", true),
        ("{id}.{body}", "evt.1", false),
        ("{id}aa{body}", "xa", false),
        ("v0.{id}:{body}", "evt.1", true),
        ("{body}.{id}", "evt.1", false),
        ("{id}.{body}", "", false),
        ("{id}.{body}", "evt 1", false),
        ("{id}.{body}", "\u{e9}vt", false),
    ];
    for (template, id, accepted) in ids {
        let scheme = Scheme::Hmac(hmac("x-signature", "", Encoding::Hex, template));
        let stamp = Stamp {
            delivery_id: Some(id),
            timestamp_s: 1,
        };
        let signed = sign(&scheme, &secret("a", KEY), stamp, BODY);
        assert_eq!(signed.is_ok(), accepted, "{template} {id:?}");
    }
}

#[test]
fn schemes_that_prove_nothing_are_refused() {
    let base = || hmac("x-signature", "", Encoding::Hex, "{body}");
    let stamped = || hmac("x-signature", "", Encoding::Hex, "{id}.{timestamp}.{body}");
    let some = |name: &str| Some(name.to_owned());
    let table = [
        (base(), None),
        (stamped(), None),
        (
            HmacScheme {
                id_header: None,
                ..stamped()
            },
            Some(SchemeError::NoHeaderFor("id")),
        ),
        (
            HmacScheme {
                timestamp_header: None,
                ..stamped()
            },
            Some(SchemeError::NoHeaderFor("timestamp")),
        ),
        (
            HmacScheme {
                timestamp_header: some("x-t"),
                ..base()
            },
            Some(SchemeError::TimestampNotCovered),
        ),
        (
            HmacScheme {
                id_header: some("X-Signature"),
                ..base()
            },
            Some(SchemeError::HeaderNames),
        ),
        (
            HmacScheme {
                header: String::new(),
                ..base()
            },
            Some(SchemeError::HeaderNames),
        ),
    ];
    for (scheme, expected) in table {
        assert_eq!(scheme.check().err(), expected, "{scheme:?}");
        if let Some(error) = expected {
            let scheme = Scheme::Hmac(scheme);
            let result = check(&scheme, NONE, BODY, &[secret("a", KEY)], 0);
            assert_eq!(result, Err(SignatureError::Scheme(error)));
        }
    }
}

#[test]
fn secrets() {
    assert_eq!(Secret::new("a", b"", 0, None), Err(SecretError::Empty));
    let table = [
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", true),
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", false),
        ("whsec_", false),
        ("whsec_MfKQ", false),
        ("whsec_!!!!9r8GKYqrTwjUPD8ILPZIo2LaLaSw", false),
        ("whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", false),
    ];
    for (text, accepted) in table {
        let made = Secret::standard_webhooks("a", text, 0, None);
        assert_eq!(made.is_ok(), accepted, "{text}");
    }
    let shown = format!("{:?}", secret("kid-1", b"do not print"));
    assert!(
        shown.contains("kid-1") && !shown.contains("do not print"),
        "{shown}"
    );
    assert!(!shown.contains("100, 111"), "bytes of the key: {shown}");
}
