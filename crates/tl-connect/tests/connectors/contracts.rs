//! What our files send against what the vendors' own libraries send. The recordings are made by
//! `scripts/vendor-requests.mjs`, with the libraries pointed at a recorder on loopback.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use tl_connect::fake::http::Received;
use tl_kernel::connector::{Connector, Proof};

use crate::stand::{Desk, Stand, Try, answer, connector, json};

const RECORDED: &str = include_str!("recorded.json");

/// Headers that are compared; the others name a library or its transport.
const COMPARED: [&str; 6] = [
    "authorization",
    "idempotency-key",
    "stripe-version",
    "x-api-token",
    "x-postmark-server-token",
    "content-type",
];

pub fn recordings() -> Vec<Json> {
    serde_json::from_str(RECORDED).expect("a list of recordings")
}

fn shipped(name: &str) -> Connector {
    let source = tl_lang::connector::shipped(name);
    connector(
        name,
        source.unwrap_or_else(|| panic!("no connector {name}")),
    )
}

#[tokio::test]
async fn our_requests_are_the_ones_of_the_vendors_libraries() {
    let mut findings = Vec::new();
    for recorded in recordings() {
        let (theirs, ours) = (&recorded["request"], send(&recorded).await);
        let what = format!("{} {}", recorded["connector"], recorded["operation"]);
        let mut differ = |part: &str, a: String, b: String| {
            if a != b {
                findings.push(format!("{what}: {part}\n  library {a}\n  ours    {b}"));
            }
        };
        differ("method", text(theirs, "method"), ours.method.clone());
        differ(
            "target",
            decoded(&text(theirs, "target")),
            decoded(&ours.target),
        );
        for name in COMPARED {
            let their = theirs["headers"][name].as_str().unwrap_or("");
            // The recorder is not asked for a token by every library.
            if their.is_empty() && name == "authorization" {
                continue;
            }
            differ(
                name,
                media(name, their),
                media(name, ours.header(name).unwrap_or("")),
            );
        }
        let kind = theirs["headers"]["content-type"].as_str().unwrap_or("");
        let body = String::from_utf8(ours.body.clone()).expect("text");
        differ(
            "body",
            meaning(kind, &text(theirs, "body")),
            meaning(ours.header("content-type").unwrap_or(""), &body),
        );
    }
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

/// What is called verified by a library has recordings of all its operations but those that say otherwise, and of the
/// very version that it names.
#[test]
fn nothing_is_called_verified_that_is_not() {
    let mut of_library: BTreeMap<String, BTreeSet<(String, String)>> = BTreeMap::new();
    for r in recordings() {
        let pair = (text(&r, "operation"), text(&r, "library"));
        of_library
            .entry(text(&r, "connector"))
            .or_default()
            .insert(pair);
    }
    let mut vendors = 0;
    for (name, _) in tl_lang::connector::SHIPPED {
        let connector = shipped(name);
        let recorded = of_library.remove(*name).unwrap_or_default();
        for operation in connector.operations.values() {
            let verified = operation.verified.as_ref().unwrap_or(&connector.verified);
            let with = recorded.iter().find(|(o, _)| *o == operation.name);
            match (verified.by, with) {
                (Proof::Library, Some((_, library))) => {
                    assert_eq!(*library, verified.source, "{name}")
                }
                (Proof::Library, None) => panic!("{name} {}: no recording", operation.name),
                (_, Some(_)) => panic!("{name} {}: recorded, and not called so", operation.name),
                _ => {}
            }
        }
        vendors += usize::from(connector.verified.by == Proof::Library);
    }
    assert!(
        of_library.is_empty(),
        "recordings of nothing: {of_library:?}"
    );
    assert!(
        vendors >= 8,
        "{vendors} vendors are verified by their libraries"
    );
}

/// A mail of ours that comes back, or that a program answers, is known by its headers, whichever vendor sent it.
#[tokio::test]
async fn every_mail_that_we_send_bears_our_mark() {
    // What goes by SMTP is a mail of our own writing, and read in its own tests.
    let sends = |(name, _): &&(&str, &str)| {
        let connector = shipped(name);
        connector.operations.contains_key("mail.send") && !connector.is_by_mail()
    };
    let vendors: Vec<&str> = tl_lang::connector::SHIPPED
        .iter()
        .filter(sends)
        .map(|(name, _)| *name)
        .collect();
    assert!(vendors.len() >= 4, "{vendors:?}");
    for vendor in vendors {
        let of_it =
            |r: &Json| text(r, "connector") == vendor && text(r, "operation") == "mail.send";
        let recorded = recordings().into_iter().find(of_it).expect(vendor);
        let sent = send(&recorded).await;
        let body = decoded(&String::from_utf8(sent.body).expect("text"));
        for part in [
            "X-Throughline-Effect",
            "eff_1",
            "Auto-Submitted",
            "auto-generated",
        ] {
            assert!(body.contains(part), "{vendor}: {part} in {body}");
        }
    }
}

/// Sends the recorded operation from our file.
async fn send(recorded: &Json) -> Received {
    let token = r#"{"access_token":"s3cret","expires_in":3600}"#;
    let answers = match logs_in(recorded) {
        true => token,
        false => "{}",
    };
    let stand = Stand::start(move |_, _| answer(200, answers)).await;
    let (desk, what) = recorded_try(recorded, &stand);
    desk.write(&what).await;
    stand.seen().pop().expect("a request")
}

/// Whether a token is got first.
pub fn logs_in(recorded: &Json) -> bool {
    let connector = shipped(&text(recorded, "connector"));
    connector.auth.first().is_some_and(|s| s.login.is_some())
}

/// The recorded operation as a call of our file.
pub fn recorded_try(recorded: &Json, stand: &Stand) -> (Desk, Try) {
    let connector = shipped(&text(recorded, "connector"));
    let operation = text(recorded, "operation");
    let found = connector.operations.get_key_value(&operation);
    let name = found.unwrap_or_else(|| panic!("no {operation}")).0.clone();
    let settings = or_empty(&recorded["settings"]);
    let secret = recorded["secret"].as_str().unwrap_or("s3cret");
    let secret = match logs_in(recorded) {
        true => r#"{"refresh_token":"r","client_id":"c","client_secret":"s"}"#.to_owned(),
        false => format!("{secret:?}"),
    };
    let what = Try {
        operation: name.leak(),
        args: json(&or_empty(&recorded["args"])),
        fields: json(&or_empty(&recorded["fields"])),
        version: None,
        create: false,
        attempt: 1,
    };
    (Desk::with(connector, stand, &settings, &secret), what)
}

fn text(of: &Json, name: &str) -> String {
    of[name].as_str().unwrap_or_default().to_owned()
}

fn or_empty(of: &Json) -> String {
    match of {
        Json::Null => "{}".to_owned(),
        other => other.to_string(),
    }
}

/// A content type without its parameters; a form is a form however it is cut.
fn media(name: &str, value: &str) -> String {
    if name != "content-type" {
        return value.to_owned();
    }
    let media = value.split(';').next().unwrap_or("").trim();
    match media {
        "multipart/form-data" => "application/x-www-form-urlencoded".to_owned(),
        other => other.to_owned(),
    }
}

/// What a body says, whatever the order and the escapes.
fn meaning(content_type: &str, body: &str) -> String {
    if content_type.contains("json") {
        let value: Json = serde_json::from_str(body).unwrap_or(Json::Null);
        return value.to_string();
    }
    let mut pairs: Vec<(String, String)> = if content_type.contains("multipart") {
        serde_json::from_str(body).expect("pairs")
    } else {
        let pairs = body.split('&').filter(|p| !p.is_empty());
        pairs
            .map(|p| p.split_once('=').unwrap_or((p, "")))
            .map(|(k, v)| (decoded(&k.replace('+', " ")), decoded(&v.replace('+', " "))))
            .collect()
    };
    pairs.sort();
    format!("{pairs:?}")
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut i) = (Vec::new(), 0);
    while i < bytes.len() {
        let hex = text.get(i + 1..i + 3).filter(|_| bytes[i] == b'%');
        match hex.and_then(|h| u8::from_str_radix(h, 16).ok()) {
            Some(b) => {
                out.push(b);
                i += 3;
            }
            None => {
                out.push(bytes[i]);
                i += 1;
            }
        }
    }
    String::from_utf8(out).expect("text")
}
