//! W-01, by preset: what was altered in any way is refused, whatever the vendor.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tl_wire::form::{Limits, parse_urlencoded};
use tl_wire::signature::{
    Algorithm, Encoding, PRESETS, Part, Place, Secret, SecretError, SecretForm, Window, preset,
};

use crate::prng::Prng;
use crate::vendors::{Message, messages, other_secret};

const RANDOM_PER_MESSAGE: usize = 400;

/// The first message of each preset, and the second kind of those that have one.
fn samples() -> Vec<Message> {
    let mut out: Vec<Message> = Vec::new();
    for m in messages() {
        let kind = |m: &Message| (m.preset.clone(), m.by.clone(), m.url.contains("bodySHA256"));
        if !out.iter().any(|o| kind(o) == kind(&m)) {
            out.push(m);
        }
    }
    assert!(out.len() >= PRESETS.len());
    out
}

/// Positions of the headers that the check reads and nobody may alter.
fn signed_headers(m: &Message) -> Vec<usize> {
    let recipe = &m.preset().recipe;
    let id = recipe.id.filter(|_| recipe.covers(&Part::Id));
    let places = [
        Some(recipe.signature),
        recipe.timestamp.map(|t| t.place),
        id.map(|i| i.place),
    ];
    let names: Vec<&str> = places
        .into_iter()
        .flatten()
        .filter_map(Place::header)
        .collect();
    let signed =
        |(at, (name, _)): (usize, &(String, String))| names.contains(&name.as_str()).then_some(at);
    m.headers.iter().enumerate().filter_map(signed).collect()
}

/// The parts of the body that are signed: all of it, or the values of three fields.
fn signed_body(m: &Message) -> Vec<usize> {
    if m.covers_body() {
        return (0..m.body.len()).collect();
    }
    let body: serde_json::Value = serde_json::from_str(&m.body).expect("JSON");
    let values = ["timestamp", "token", "signature"].map(|name| {
        let text = body["signature"][name].as_str().expect("a text");
        let from = m.body.find(text).expect("there");
        from..from + text.len()
    });
    values.into_iter().flatten().collect()
}

/// What a sender may write in two ways is no alteration.
fn same_form(a: &Message, b: &Message) -> bool {
    let limits = Limits {
        allow_duplicates: true,
        ..Limits::default()
    };
    let read = |m: &Message| {
        parse_urlencoded(m.body.as_bytes(), &limits).map(|mut form| {
            form.fields.sort();
            form.fields
        })
    };
    a.url == b.url
        && a.headers == b.headers
        && a.preset().recipe.covers(&Part::Fields)
        && read(a).is_ok_and(|fields| Ok(fields) == read(b))
}

fn refused(original: &Message, altered: &Message, what: &str) {
    if altered == original || same_form(original, altered) {
        return;
    }
    assert!(
        altered.check().is_err(),
        "{} ({}), {what}:\n{altered:#?}",
        original.preset,
        original.by
    );
}

/// Text with one byte changed; `None` where that is no text any more, which no header or body of these can be.
fn flipped(text: &str, at: usize, bit: u8) -> Option<String> {
    let mut bytes = text.as_bytes().to_vec();
    bytes[at] ^= bit;
    String::from_utf8(bytes).ok()
}

#[test]
fn every_flipped_bit_is_seen() {
    for m in samples() {
        for bit in (0..8).map(|n| 1 << n) {
            for at in signed_body(&m) {
                if let Some(body) = flipped(&m.body, at, bit) {
                    let altered = Message { body, ..m.clone() };
                    refused(&m, &altered, "body");
                }
            }
            for header in signed_headers(&m) {
                for at in 0..m.headers[header].1.len() {
                    if let Some(value) = flipped(&m.headers[header].1, at, bit) {
                        let mut altered = m.clone();
                        altered.headers[header].1 = value;
                        refused(&m, &altered, "header");
                    }
                }
            }
            for at in 0..m.url.len() {
                if m.preset().recipe.signs_url()
                    && let Some(url) = flipped(&m.url, at, bit)
                {
                    refused(&m, &Message { url, ..m.clone() }, "address");
                }
            }
        }
    }
}

/// Every alteration that leaves the message readable, by name.
type Alteration = (&'static str, fn(&Message) -> Vec<Message>);

fn with_header(m: &Message, at: usize, value: String) -> Message {
    let mut out = m.clone();
    out.headers[at].1 = value;
    out
}

/// The message with another value where its signature stands, wherever that is.
fn with_signature(m: &Message, change: impl Fn(&str) -> String) -> Vec<Message> {
    let recipe = &m.preset().recipe;
    match recipe.signature.header() {
        Some(name) => {
            let at = m.headers.iter().position(|(n, _)| n == name);
            let at = at.expect("a signature");
            vec![with_header(m, at, change(&m.headers[at].1))]
        }
        None => {
            let mut body: serde_json::Value = serde_json::from_str(&m.body).expect("JSON");
            let text = body["signature"]["signature"].as_str().map(&change);
            body["signature"]["signature"] = text.into();
            vec![Message {
                body: body.to_string(),
                ..m.clone()
            }]
        }
    }
}

/// The encoded tag alone, cut from what stands around it, put back altered.
fn with_tag(m: &Message, change: impl Fn(&str) -> String) -> Vec<Message> {
    let recipe = &m.preset().recipe;
    let before = match recipe.signature {
        Place::Pairs(_, key) => format!("{key}="),
        Place::Versions(_, version) => format!("{version},"),
        _ => recipe.prefix.to_owned(),
    };
    with_signature(m, |value| {
        let from = value.find(&before).expect("the signature") + before.len();
        let end = value[from..]
            .find([',', ' '])
            .map_or(value.len(), |n| from + n);
        format!(
            "{}{}{}",
            &value[..from],
            change(&value[from..end]),
            &value[end..]
        )
    })
}

fn recoded(m: &Message, change: fn(Vec<u8>) -> Vec<u8>) -> Vec<Message> {
    let hex = m.preset().recipe.encoding == Encoding::Hex;
    with_tag(m, |tag| match hex {
        true => hex::encode(change(hex::decode(tag).expect("hex"))),
        false => STANDARD.encode(change(STANDARD.decode(tag).expect("base64"))),
    })
}

/// Digits of another script, which only a careless reader takes for a time.
fn foreign(text: &str) -> String {
    text.chars()
        .map(|c| {
            c.to_digit(10)
                .map_or(c, |d| char::from_u32(0x660 + d).unwrap_or(c))
        })
        .collect()
}

fn removed(m: &Message) -> Vec<Message> {
    let mut places = signed_headers(m);
    let required = m.preset().recipe.id.filter(|id| id.required);
    let id = required.and_then(|id| id.place.header());
    places.extend(m.headers.iter().position(|(n, _)| Some(n.as_str()) == id));
    let without = |at| {
        let mut out = m.clone();
        out.headers.remove(at);
        out
    };
    places.into_iter().map(without).collect()
}

fn doubled(m: &Message) -> Vec<Message> {
    let twice = |at: usize| {
        let mut out = m.clone();
        let (name, value) = out.headers[at].clone();
        out.headers.push((name.to_uppercase(), value));
        out
    };
    signed_headers(m).into_iter().map(twice).collect()
}

fn foreign_digits(m: &Message) -> Vec<Message> {
    let recipe = &m.preset().recipe;
    match recipe.timestamp.map(|t| t.place) {
        None => Vec::new(),
        Some(Place::Field(_)) => {
            let mut body: serde_json::Value = serde_json::from_str(&m.body).expect("JSON");
            let text = body["signature"]["timestamp"].as_str().map(foreign);
            body["signature"]["timestamp"] = text.into();
            vec![Message {
                body: body.to_string(),
                ..m.clone()
            }]
        }
        Some(place) => {
            let name = place.header().expect("a header");
            let at = m.headers.iter().position(|(n, _)| n == name).expect("it");
            vec![with_header(m, at, foreign(&m.headers[at].1))]
        }
    }
}

/// A tag made with what anybody has: no key, or the public one.
fn made_with(m: &Message, key: &[u8]) -> Vec<Message> {
    let as_text = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key);
    let tag = aws_lc_rs::hmac::sign(&as_text, m.body.as_bytes());
    let hex = m.preset().recipe.encoding == Encoding::Hex;
    with_tag(m, |_| match hex {
        true => hex::encode(tag.as_ref()),
        false => STANDARD.encode(tag.as_ref()),
    })
}

fn sooner_or_later(m: &Message) -> Vec<Message> {
    let Some(at) = m.preset().recipe.timestamp else {
        return Vec::new();
    };
    let past = at.past_s.unwrap_or(300);
    // Milliseconds are drawn within the second.
    [past + 2, -302]
        .map(|s| Message {
            now_s: m.now_s + s,
            ..m.clone()
        })
        .into()
}

const ALTERATIONS: &[Alteration] = &[
    ("a header is missing", removed),
    ("a header stands twice", doubled),
    ("digits of another script", foreign_digits),
    ("too old, or of the future", sooner_or_later),
    ("no signature", |m| with_tag(m, |_| String::new())),
    ("a tag without its last byte", |m| {
        recoded(m, |mut tag| {
            tag.pop();
            tag
        })
    }),
    ("a tag without its first byte", |m| {
        recoded(m, |tag| tag[1..].to_vec())
    }),
    ("half a tag", |m| {
        recoded(m, |tag| tag[..tag.len() / 2].to_vec())
    }),
    ("a tag and a byte", |m| {
        recoded(m, |mut tag| {
            tag.push(0);
            tag
        })
    }),
    ("zeros", |m| recoded(m, |tag| vec![0; tag.len()])),
    ("an encoding cut short", |m| {
        with_tag(m, |tag| tag[..tag.len() - 1].to_owned())
    }),
    ("another signature after it", |m| {
        with_signature(m, |value| format!("{value},{value}"))
            .into_iter()
            .filter(|_| !matches!(m.preset().recipe.signature, Place::Pairs(..)))
            .collect()
    }),
    ("a blank after it", |m| {
        with_signature(m, |value| format!("{value} "))
    }),
    ("too many signatures", |m| {
        let between = match m.preset().recipe.signature {
            Place::Versions(..) => " ",
            _ => ",",
        };
        with_signature(m, |value| [value; 9].join(between))
    }),
    ("the tag's first version under another name", |m| {
        match m.preset().recipe.signature {
            Place::Pairs(_, key) | Place::Versions(_, key) => {
                with_signature(m, |value| value.replacen(key, "v9", 1))
            }
            _ => with_signature(m, |value| format!("x{value}")),
        }
    }),
    ("the key is nothing", |m| made_with(m, b"")),
    ("the key is the public one", |m| {
        made_with(m, m.secret.as_bytes())
            .into_iter()
            .filter(|_| {
                matches!(
                    m.preset().secret,
                    SecretForm::EcdsaKey | SecretForm::Ed25519Key
                )
            })
            .collect()
    }),
    ("another method", |m| {
        match m.preset().recipe.covers(&Part::Method) {
            true => vec![Message {
                method: "PUT".into(),
                ..m.clone()
            }],
            false => Vec::new(),
        }
    }),
    ("no address", |m| match m.preset().recipe.signs_url() {
        true => vec![Message {
            url: String::new(),
            ..m.clone()
        }],
        false => Vec::new(),
    }),
    ("another host", |m| match m.preset().recipe.signs_url() {
        true => vec![Message {
            url: m.url.replace("example.com", "example.org"),
            ..m.clone()
        }],
        false => Vec::new(),
    }),
];

#[test]
fn every_alteration_is_refused() {
    for m in samples() {
        for (what, alter) in ALTERATIONS {
            for altered in alter(&m) {
                refused(&m, &altered, what);
            }
        }
        let other = m.preset().secret("other", &other_secret(&m), (0, None));
        let at = Window::at(m.now_s * 1_000_000);
        assert!(
            m.check_with(&[other.expect("key")], at).is_err(),
            "{}",
            m.preset
        );
        let ended = m.preset().secret("ended", &m.secret, (0, Some(at.now_us)));
        assert!(
            m.check_with(&[ended.expect("key")], at).is_err(),
            "{}",
            m.preset
        );
        assert!(m.check_with(&[], at).is_err(), "{}", m.preset);
    }
}

/// W-03: the window is exact on both sides, for each vendor as long as its row says.
#[test]
fn the_window_of_each_preset_is_exact() {
    for m in samples() {
        let Some(at) = m.preset().recipe.timestamp else {
            continue;
        };
        let sent = m.check().expect(&m.preset).timestamp_us.expect("a time");
        let past = at.past_s.unwrap_or(300) * 1_000_000;
        let table = [
            (past, true),
            (past + 1, false),
            (-300_000_000, true),
            (-300_000_001, false),
        ];
        for (later, fine) in table {
            let checked = m.check_with(&[m.key()], Window::at(sent + later));
            assert_eq!(checked.is_ok(), fine, "{} {later}", m.preset);
        }
    }
}

/// A message of one vendor under another's name proves nothing.
#[test]
fn no_preset_takes_anothers_message() {
    // The same header, algorithm and text: only the id that one of them requires tells them apart.
    const SAME: &[(&str, &str)] = &[("github", "meta")];
    for m in samples() {
        for other in PRESETS.iter().filter(|p| p.name != m.preset) {
            let Ok(key) = other.secret("k", &m.secret, (0, None)) else {
                continue;
            };
            if SAME.contains(&(m.preset.as_str(), other.name)) {
                continue;
            }
            let at = Window::at(m.now_s * 1_000_000);
            let checked = m.check_as(other, &[key], at);
            assert!(checked.is_err(), "{} as {}", m.preset, other.name);
        }
    }
}

#[test]
fn random_alterations_are_refused() {
    let mut prng = Prng::new(0x57_4f31);
    for m in samples() {
        let body = signed_body(&m);
        let headers = signed_headers(&m);
        for _ in 0..RANDOM_PER_MESSAGE {
            let mut altered = m.clone();
            let whole = m.covers_body();
            let (text, from) = match prng.below(3) {
                0 if !headers.is_empty() => (
                    &mut altered.headers[headers[prng.below(headers.len())]].1,
                    0,
                ),
                1 if m.preset().recipe.signs_url() => (&mut altered.url, 0),
                _ if whole => (&mut altered.body, 0),
                _ => (&mut altered.body, body[prng.below(body.len())]),
            };
            let at = if from > 0 {
                from
            } else {
                prng.below(text.len() + 1)
            };
            if !text.is_char_boundary(at) {
                continue;
            }
            match prng.below(4) {
                0 => text.insert(
                    at,
                    "0aZ.,=+/ \u{661}%&{\""
                        .chars()
                        .nth(prng.below(14))
                        .unwrap_or('x'),
                ),
                1 if whole => text.truncate(at),
                2 if at < text.len() => {
                    text.remove(at);
                }
                _ => {
                    let rest = text.split_off(at);
                    let rest: String = rest.chars().rev().collect();
                    text.push_str(&rest);
                }
            }
            refused(&m, &altered, "random");
        }
    }
}

#[test]
fn keys_are_read_in_the_vendors_notation() {
    use SecretError as E;
    let point = other_secret(&sample("sendgrid"));
    let ed25519 = other_secret(&sample("standard_webhooks_v1a"));
    let whsec = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let table = [
        ("stripe", whsec, Ok(())),
        ("github", "a", Ok(())),
        ("github", "", Err(E::Empty)),
        ("github", "two words", Err(E::NotText)),
        ("github", "schlüssel", Err(E::NotText)),
        // Whoever changes the way of a door must not turn its public key into a secret.
        ("github", &point, Err(E::PublicKey)),
        ("twilio", &ed25519, Err(E::PublicKey)),
        ("svix", whsec, Ok(())),
        ("svix", &whsec[6..], Err(E::NotStandardWebhooks)),
        ("svix", "whsec_", Err(E::NotStandardWebhooks)),
        ("sendgrid", &point, Ok(())),
        ("sendgrid", &point[..point.len() - 4], Err(E::NotEcdsaKey)),
        ("sendgrid", "", Err(E::NotEcdsaKey)),
        ("sendgrid", whsec, Err(E::NotEcdsaKey)),
        ("standard_webhooks_v1a", &ed25519, Ok(())),
        ("standard_webhooks_v1a", whsec, Err(E::NotEd25519Key)),
        ("standard_webhooks_v1a", "whpk_AAAA", Err(E::NotEd25519Key)),
    ];
    for (name, text, want) in table {
        let read = preset(name).expect(name).secret("k", text, (0, None));
        assert_eq!(read.map(|_| ()), want, "{name} {text}");
    }
}

fn sample(name: &str) -> Message {
    let found = messages().into_iter().find(|m| m.preset == name);
    found.unwrap_or_else(|| panic!("no message of {name}"))
}

#[test]
fn challenges_are_answered_to_the_vendor_alone() {
    let key = |name: &str| {
        let preset = preset(name).expect(name);
        (
            preset,
            preset.secret("k", "app-secret", (0, None)).expect("key"),
        )
    };
    let (slack, _) = key("slack");
    let posts = [
        (
            r#"{"type":"url_verification","challenge":"3eZbrw1aB1"}"#,
            Some("3eZbrw1aB1"),
        ),
        (r#"{"type":"url_verification","challenge":"<b>"}"#, None),
        (r#"{"type":"url_verification","challenge":7}"#, None),
        (r#"{"type":"event_callback","challenge":"x"}"#, None),
        ("url_verification", None),
    ];
    for (body, want) in posts {
        let reply = slack.answer_post(body.as_bytes());
        assert_eq!(reply.as_ref().map(|r| r.body.as_str()), want, "{body}");
        assert_eq!(key("stripe").0.answer_post(body.as_bytes()), None);
    }
    let (meta, secret) = key("meta");
    let token = meta.verify_token(&secret).expect("a token");
    assert_eq!(token.len(), 32);
    let (twitter, _) = key("twitter");
    assert_eq!(twitter.verify_token(&secret), None);
    let hub = |token: &str, mode: &str, challenge: &str| {
        format!("hub.mode={mode}&hub.challenge={challenge}&hub.verify_token={token}")
    };
    // Computed with Python: base64(hmac-sha256("app-secret", "tok-1")).
    let crc = "{\"response_token\":\"sha256=sdiaUL4yNMsJbXxkuhPHf6Z5sphykDXgOlxTULznkvQ=\"}";
    let gets = [
        (
            meta,
            hub(&token, "subscribe", "1158201444"),
            Some("1158201444"),
        ),
        (meta, hub(&token, "unsubscribe", "1158201444"), None),
        (meta, hub(&token[1..], "subscribe", "1158201444"), None),
        (meta, hub("", "subscribe", "1158201444"), None),
        (meta, hub(&token, "subscribe", "%3Cscript%3E"), None),
        (meta, hub(&token, "subscribe", ""), None),
        (meta, String::new(), None),
        (meta, "crc_token=tok-1".to_owned(), None),
        (twitter, "crc_token=tok-1&nonce=5".to_owned(), Some(crc)),
        // Else anybody could have a body of their own signed.
        (twitter, "crc_token=%7B%22a%22%3A1%7D".to_owned(), None),
        (twitter, "crc_token=".to_owned(), None),
        (slack, "crc_token=tok-1".to_owned(), None),
    ];
    for (preset, query, want) in gets {
        let reply = preset.answer_get(&query, std::slice::from_ref(&secret), 5);
        assert_eq!(reply.as_ref().map(|r| r.body.as_str()), want, "{query}");
        let none = preset.answer_get(&query, &[], 5);
        assert_eq!(none, None, "{query}");
    }
}

/// A question's answer is a signature; none of them may pass for that of a body.
#[test]
fn an_answered_challenge_is_no_signed_body() {
    let mut m = sample("twitter");
    let reply = m
        .preset()
        .answer_get("crc_token=12345", &[m.key()], 0)
        .expect("a reply");
    let reply: serde_json::Value = serde_json::from_str(&reply.body).expect("JSON");
    let signature = reply["response_token"].as_str().expect("a text").to_owned();
    m.body = "12345".to_owned();
    m.headers = vec![("x-twitter-webhooks-signature".to_owned(), signature)];
    assert!(m.check().is_err());
}

#[test]
fn each_preset_says_what_it_checks() {
    let table = [
        (
            "stripe",
            "stripe-signature: t=<seconds>,v1=<HMAC-SHA-256 in hexadecimal digits>, over {timestamp}.{body}",
        ),
        (
            "github",
            "x-hub-signature-256: sha256=<HMAC-SHA-256 in hexadecimal digits>, over {body}; {id} is the header x-github-delivery",
        ),
        (
            "twilio",
            "x-twilio-signature: <HMAC-SHA-1 in base 64>, over {public address}{sorted fields, or the body's digest in the address}; {id} is the header i-twilio-idempotency-token",
        ),
    ];
    for (name, want) in table {
        assert_eq!(preset(name).expect(name).words(), want);
    }
    for preset in PRESETS {
        let strong = !matches!(
            preset.recipe.algorithm,
            Algorithm::HmacSha1 | Algorithm::Sha256
        );
        let old = ["intercom", "twilio", "hubspot_v1", "hubspot_v2"].contains(&preset.name);
        assert_eq!(strong, !old, "{}", preset.name);
    }
    assert!(Secret::new("k", b"", 0, None).is_err());
}

/// The guide says of each vendor what is checked, in the words of the table.
#[test]
fn each_preset_has_its_page() {
    let guide = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/channels");
    let read = |name: &str| {
        let path = guide.join(name);
        std::fs::read_to_string(&path).unwrap_or_default()
    };
    let index = read("README.md");
    let mut missing = Vec::new();
    for preset in PRESETS {
        let vendor = preset.name.split("_v").next().unwrap_or(preset.name);
        let page = format!("{}.md", vendor.replace('_', "-"));
        let text = read(&page);
        let named = text.contains(&format!("preset: {}", preset.name));
        let listed = index.contains(&format!("| `{}` |", preset.name)) && index.contains(&page);
        if !named || !listed || !text.contains(&preset.words()) {
            missing.push(format!("{page}: `{}`: {}", preset.name, preset.words()));
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
