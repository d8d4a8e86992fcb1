//! `auth`: how a door knows its sender. Several ways are alternatives.

use tl_kernel::program::{Auth, Channel, PRESETS, Preset, Proof};

use crate::cx::Keys;
use crate::diag::{Mend, Problem, Span};
use crate::keys::{ALGORITHMS, AUTH, AUTHS, HMAC, JWT, PRESET};
use crate::load::Lower;
use crate::suggest::{listed, nearest};
use crate::tree::{Kind, Node};

/// The alternatives of an endpoint. Without a word in the file: an API key for the `api` channel, a
/// signature for every other.
pub(crate) fn auth(
    l: &mut Lower<'_>,
    node: Option<&Node>,
    channel: Channel,
    endpoint: &str,
) -> Vec<Auth> {
    let out = match node {
        None if channel == Channel::Api => vec![Auth::ApiKey],
        None => vec![hmac(l, None)],
        Some(n) if n.map().is_some() => from_mapping(l, n),
        Some(n) => from_words(l, n),
    };
    for a in &out {
        let lacks = match a {
            Auth::Jwt { issuer, .. } if issuer.is_empty() => "jwt: { issuer, audience, keys }",
            Auth::Jwt { .. } if a.proof() == Proof::Nothing => {
                "keys: FILE or https address of the issuer's key set"
            }
            _ => continue,
        };
        l.note(&format!(
            "endpoint `{endpoint}`: `jwt` is closed until `{lacks}` is set"
        ));
    }
    out
}

/// Whether the `keys` of a token name an address: then they are fetched, else they are a file of the project.
pub fn is_key_address(keys: &str) -> bool {
    keys.contains("://")
}

/// Whether keys may be fetched from an address: over https, or from this machine. What anybody on the way could
/// change proves nothing about a sender.
pub fn may_fetch_keys(address: &str) -> bool {
    let Some(rest) = address.strip_prefix("http://") else {
        return address.starts_with("https://");
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let parsed = name.parse::<core::net::IpAddr>();
    name == "localhost" || parsed.is_ok_and(|ip| ip.is_loopback())
}

fn from_words(l: &mut Lower<'_>, node: &Node) -> Vec<Auth> {
    let Some(text) = l.cx.text(node) else {
        return Vec::new();
    };
    let mut out = Vec::new();
    for word in text.split('|').map(str::trim) {
        if AUTHS.contains(&word) {
            let one = by_word(l, word, None);
            if !out.contains(&one) {
                out.push(one);
            }
            continue;
        }
        let best = nearest(word, AUTHS.iter().copied()).unwrap_or("hmac_signature");
        let within = text.find(word).unwrap_or(0);
        let span = match &node.kind {
            Kind::Scalar(s) => s
                .verbatim
                .map(|at| Span::new(at + within, at + within + word.len())),
            _ => None,
        };
        let span = span.filter(|s| s.end > s.start);
        let (span, text) = span.map_or((node.span, best.to_owned()), |s| (s, best.to_owned()));
        l.cx.push(
            Problem::new(
                "TL0204",
                span,
                format!("`{word}` is no way to know a sender"),
            )
            .why(format!("there are {}", listed(AUTHS.iter().copied())))
            .mend(Mend::replace(span, text, format!("write `{best}`"))),
        );
    }
    out
}

fn from_mapping(l: &mut Lower<'_>, node: &Node) -> Vec<Auth> {
    let Some(keys) = l.cx.section(node, &AUTH) else {
        return Vec::new();
    };
    let mut out = Vec::new();
    for e in &keys.map.entries {
        if AUTHS.contains(&e.key.as_str()) {
            let own = (!matches!(e.value.kind, Kind::Null)).then_some(&e.value);
            out.push(by_word(l, &e.key, own));
        } else if e.key == PRESET {
            out.extend(preset(l, &e.value));
        }
    }
    if out.is_empty() && keys.get(PRESET).is_none() {
        l.cx.missing(keys, "hmac_signature", "{}");
    }
    if let Some(n) = keys.get(PRESET) {
        one_secret(l, n, &out);
    }
    out
}

/// The vendor of a name.
fn preset(l: &mut Lower<'_>, node: &Node) -> Option<Auth> {
    let word = l.cx.text(node)?;
    // Standard Webhooks has a word of its own; as a preset it is the same.
    if word == "standard_webhooks" {
        return Some(Auth::StandardWebhooks);
    }
    let known = Preset::of(&word).map(Auth::Preset);
    if known.is_none() {
        let words = PRESETS.iter().map(|p| p.word);
        l.cx.unknown("TL0204", node, "the preset", words);
    }
    known
}

/// A vendor's key is read in the vendor's notation, so nothing else at the door may be verified with it.
fn one_secret(l: &mut Lower<'_>, node: &Node, all: &[Auth]) {
    let vendors = all.iter().any(|a| a.preset().is_some());
    let secrets = all.iter().filter(|a| a.proof() == Proof::Secret).count();
    if vendors && secrets > 1 {
        l.cx.push(
            Problem::new("TL0203", node.span, "a preset stands beside another way that needs a secret")
                .why(
                    "the secret of the door is the vendor's; give the other senders a door of their own, or `jwt` with \
                     `keys`, or `api_key`",
                )
                .mend(node.removal("leave the preset out")),
        );
    }
}

fn by_word(l: &mut Lower<'_>, word: &str, node: Option<&Node>) -> Auth {
    match word {
        "standard_webhooks" => Auth::StandardWebhooks,
        "api_key" => Auth::ApiKey,
        "public" => Auth::Public {
            origins: Vec::new(),
        },
        "sign_in" => Auth::SignIn,
        "jwt" => {
            let keys = node.and_then(|n| l.cx.section(n, &JWT));
            jwt(l, keys)
        }
        _ => {
            let keys = node.and_then(|n| l.cx.section(n, &HMAC));
            hmac(l, keys)
        }
    }
}

fn hmac(l: &mut Lower<'_>, keys: Option<Keys<'_>>) -> Auth {
    let mut text = |key: &str| keys.and_then(|k| k.get(key)).and_then(|n| l.cx.text(n));
    let header = text("header").map_or_else(|| "x-signature".into(), |h| h.to_lowercase());
    let prefix = text("prefix");
    let signed = text("signed").unwrap_or_else(|| "{body}".into());
    let timestamp_header = text("timestamp_header").map(|h| h.to_lowercase());
    let id_header = text("id_header").map(|h| h.to_lowercase());
    let encoding = keys
        .and_then(|k| k.get("encoding"))
        .and_then(|n| l.cx.word(n, &["hex", "base64"]));
    if let Some(k) = keys {
        signed_parts(
            l,
            k,
            &signed,
            (timestamp_header.is_some(), id_header.is_some()),
        );
    }
    Auth::Hmac {
        header,
        prefix: prefix.unwrap_or_else(|| "sha256=".into()),
        base64: encoding == Some("base64"),
        signed,
        timestamp_header,
        id_header,
    }
}

/// What `signed` names must exist, and a timestamp nobody signed proves nothing.
fn signed_parts(l: &mut Lower<'_>, keys: Keys<'_>, signed: &str, (timestamp, id): (bool, bool)) {
    if let Some(n) = keys.get("signed")
        && !signed.contains("{body}")
    {
        l.cx.push(
            Problem::new(
                "TL0203",
                n.span,
                "the signed text does not contain the body",
            )
            .why("a signature that leaves the body out lets anybody change it")
            .mend(Mend::replace(n.span, "\"{body}\"", "write \"{body}\"")),
        );
    }
    if signed.contains("{timestamp}") && !timestamp {
        l.cx.missing(keys, "timestamp_header", "x-timestamp");
    }
    if signed.contains("{id}") && !id {
        l.cx.missing(keys, "id_header", "x-delivery-id");
    }
    if let Some(n) = keys
        .get("timestamp_header")
        .filter(|_| !signed.contains("{timestamp}"))
    {
        l.cx.push(
            Problem::new("TL0203", n.span, "the timestamp is not signed")
                .why("`signed` does not contain `{timestamp}`, so anybody may change it")
                .mend(n.removal("leave it out")),
        );
    }
}

fn jwt(l: &mut Lower<'_>, keys: Option<Keys<'_>>) -> Auth {
    if let Some(k) = keys {
        for (key, example) in [
            ("audience", "throughline"),
            ("issuer", "https://id.example.com"),
        ] {
            if k.get(key).is_none() {
                l.cx.missing(k, key, example);
            }
        }
    }
    let mut text = |key: &str| {
        let node = keys.and_then(|k| k.get(key));
        node.and_then(|n| l.cx.text(n))
    };
    let (issuer, audience, set) = (text("issuer"), text("audience"), text("keys"));
    let file = keys
        .and_then(|k| k.get("keys"))
        .filter(|_| set.as_deref().is_some_and(|set| !is_key_address(set)));
    if let Some(n) = file
        && let Some((path, text)) = l.beside(n)
        && serde_json::from_str::<serde_json::Value>(text)
            .map_or(true, |json| !json["keys"].is_array())
    {
        let what = format!("{path} is no set of keys");
        l.cx.push(
            Problem::new("TL0413", n.span, what)
                .why("it is the JSON of an issuer's key set (JWKS): `{ \"keys\": [ … ] }`"),
        );
    }
    if let Some(n) = keys.and_then(|k| k.get("keys"))
        && let Some(set) = &set
        && is_key_address(set)
        && !may_fetch_keys(set)
    {
        let rest = set.split("://").nth(1).unwrap_or_default();
        let secure = format!("https://{rest}");
        l.cx.push(
            Problem::new(
                "TL0203",
                n.span,
                format!("keys are not fetched from `{set}`"),
            )
            .why("whoever is on the way could put keys of their own in place: https only, but for this machine")
            .mend(Mend::replace(n.span, crate::quote::scalar(&secure), format!("write {secure}"))),
        );
    }
    let algorithms = match keys.and_then(|k| k.get("algorithms")) {
        Some(n) => l.cx.words(n, ALGORITHMS),
        None => vec!["RS256", "ES256", "EdDSA"],
    };
    Auth::Jwt {
        issuer: issuer.unwrap_or_default(),
        audience: audience.unwrap_or_default(),
        algorithms: algorithms.into_iter().map(str::to_owned).collect(),
        keys: set,
    }
}
