//! W-01: no altered message is ever accepted, and the original always is.

use crate::prng::Prng;
use tl_wire::signature::{
    Encoding, HmacScheme, Incoming, Scheme, Secret, SignedString, Stamp, Window, sign, verify,
};

const MUTATIONS_PER_SCHEME: usize = 5_000;
const SEED: u64 = 0x7457_4952_4501;
const NOW_S: i64 = 1_700_000_000;

#[derive(Clone, PartialEq, Debug)]
struct Message {
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

fn schemes() -> Vec<(&'static str, Scheme)> {
    let hmac = |encoding, template: &str, id: Option<&str>, timestamp: Option<&str>| {
        Scheme::Hmac(HmacScheme {
            encoding,
            signed: SignedString::parse(template).expect("template"),
            id_header: id.map(str::to_owned),
            timestamp_header: timestamp.map(str::to_owned),
            ..HmacScheme::default()
        })
    };
    use Encoding::{Base64, Hex};
    vec![
        ("standard webhooks", Scheme::StandardWebhooks),
        ("hex body", hmac(Hex, "{body}", None, None)),
        ("base64 body", hmac(Base64, "{body}", None, None)),
        (
            "timestamp",
            hmac(Hex, "{timestamp}.{body}", None, Some("x-timestamp")),
        ),
        (
            "bare timestamp",
            hmac(Base64, "{timestamp}{body}", None, Some("x-timestamp")),
        ),
        (
            "id and timestamp",
            hmac(
                Hex,
                "{id}.{timestamp}.{body}",
                Some("x-id"),
                Some("x-timestamp"),
            ),
        ),
    ]
}

fn accepted(scheme: &Scheme, message: &Message, secrets: &[Secret]) -> bool {
    let headers: Vec<(&str, &[u8])> = message
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_slice()))
        .collect();
    let incoming = Incoming {
        headers: &headers,
        body: &message.body,
        method: "POST",
        url: None,
    };
    verify(scheme, incoming, secrets, Window::at(NOW_S * 1_000_000)).is_ok()
}

fn original(scheme: &Scheme, secret: &Secret, prng: &mut Prng) -> Message {
    let length = 1 + prng.below(120);
    let body: Vec<u8> = (0..length).map(|_| prng.next() as u8).collect();
    let id = format!("evt_{:x}", prng.next());
    let stamp = Stamp {
        delivery_id: Some(&id),
        timestamp_s: NOW_S + prng.below(600) as i64 - 300,
    };
    let headers = sign(scheme, secret, stamp, &body).expect("signed");
    Message {
        headers: headers
            .into_iter()
            .map(|(name, value)| (name, value.into_bytes()))
            .collect(),
        body,
    }
}

fn flip(bytes: &mut [u8], prng: &mut Prng) {
    if !bytes.is_empty() {
        let at = prng.below(bytes.len());
        bytes[at] ^= 1 << prng.below(8);
    }
}

fn cut(bytes: &mut Vec<u8>, prng: &mut Prng) {
    if prng.below(2) == 0 {
        bytes.truncate(prng.below(bytes.len().max(1)));
    } else {
        let at = prng.below(bytes.len().max(1));
        bytes.drain(..at);
    }
}

fn insert(bytes: &mut Vec<u8>, prng: &mut Prng) {
    let at = prng.below(bytes.len() + 1);
    let byte = b"0aA.,= v1\0\xff"[prng.below(11)];
    bytes.insert(at, byte);
}

/// Moves the border between two values by one byte, as an attacker would who cannot sign.
fn shift(message: &mut Message, prng: &mut Prng) {
    let at = prng.below(message.headers.len());
    if prng.below(2) == 0 {
        if let Some(byte) = message.headers[at].1.pop() {
            message.body.insert(0, byte);
        }
    } else if !message.body.is_empty() {
        let byte = message.body.remove(0);
        message.headers[at].1.push(byte);
    }
}

fn mutate(message: &mut Message, prng: &mut Prng) {
    let at = prng.below(message.headers.len());
    let other = prng.below(message.headers.len());
    match prng.below(12) {
        0 => flip(&mut message.body, prng),
        1 | 2 => flip(&mut message.headers[at].1, prng),
        3 => cut(&mut message.headers[at].1, prng),
        4 => cut(&mut message.body, prng),
        5 => insert(&mut message.headers[at].1, prng),
        6 => insert(&mut message.body, prng),
        7 => {
            let copy = message.headers[at].clone();
            message.headers.push(copy);
        }
        8 => {
            message.headers.remove(at);
        }
        9 => {
            let value = message.headers[other].1.clone();
            message.headers[at].1 = value;
        }
        10 => shift(message, prng),
        _ => swap_algorithm(&mut message.headers[at].1, prng),
    }
}

fn swap_algorithm(value: &mut Vec<u8>, prng: &mut Prng) {
    let text = String::from_utf8_lossy(value).into_owned();
    let (from, to) = [
        ("sha256=", "sha1="),
        ("sha256=", "none="),
        ("sha256=", "SHA256="),
        ("sha256=", ""),
        ("v1,", "v1a,"),
        ("v1,", "v0,"),
        ("v1,", ","),
        ("v1,", ""),
    ][prng.below(8)];
    *value = text.replace(from, to).into_bytes();
}

#[test]
fn no_mutation_is_accepted() {
    let secrets = [
        Secret::new("old", b"the older key", 0, None).expect("key"),
        Secret::new("new", b"the newer key of this endpoint", 0, None).expect("key"),
    ];
    let mut prng = Prng::new(SEED);
    let (mut tried, mut kept) = (0, 0);
    for (name, scheme) in schemes() {
        let mut of_this = 0;
        while of_this < MUTATIONS_PER_SCHEME {
            let secret = &secrets[prng.below(2)];
            let message = original(&scheme, secret, &mut prng);
            assert!(accepted(&scheme, &message, &secrets), "{name}: {message:?}");
            kept += 1;
            for _ in 0..10 {
                let mut mutant = message.clone();
                mutate(&mut mutant, &mut prng);
                if mutant == message {
                    continue;
                }
                assert!(
                    !accepted(&scheme, &mutant, &secrets),
                    "{name}: {message:?} {mutant:?}"
                );
                of_this += 1;
            }
            // The order of headers carries no meaning.
            let mut reordered = message.clone();
            reordered.headers.reverse();
            assert!(
                accepted(&scheme, &reordered, &secrets),
                "{name}: {reordered:?}"
            );
        }
        tried += of_this;
    }
    assert!(tried >= 20_000 && kept >= 2_000, "{tried} {kept}");
}
