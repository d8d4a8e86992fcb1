//! Messages signed by the vendors' own libraries verify here, and ours verify there.
//!
//! `tests/vendors` makes the messages; the committed ones say which library, and which version of it, made each.
//! `scripts/vendor-signatures` makes fresh ones and sets `TL_VENDOR_DIR`: then its files are read as well, and
//! messages of ours are written there for the vendors' verifiers.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tl_wire::signature::{
    Checked, Incoming, MAX_SECRETS, PRESETS, Part, Preset, Scheme, Secret, SecretForm, Sending,
    SignatureError, Stamp, Verified, Window, preset, sign_for, verify,
};

use crate::prng::Prng;

/// A signed message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    pub preset: String,
    /// The library and its version, or the documentation.
    pub by: String,
    pub method: String,
    /// Empty where the vendor does not sign it.
    pub url: String,
    pub now_s: i64,
    pub secret: String,
    pub body: String,
    pub headers: Vec<(String, String)>,
}

impl Message {
    pub fn preset(&self) -> &'static Preset {
        preset(&self.preset).unwrap_or_else(|| panic!("no preset {}", self.preset))
    }

    pub fn key(&self) -> Secret {
        let read = self.preset().secret("vendor", &self.secret, (0, None));
        read.unwrap_or_else(|e| panic!("{}: {e}", self.preset))
    }

    pub fn check(&self) -> Result<Verified, SignatureError> {
        self.check_with(&[self.key()], Window::at(self.now_s * 1_000_000))
    }

    pub fn check_with(
        &self,
        secrets: &[Secret],
        window: Window,
    ) -> Result<Verified, SignatureError> {
        self.check_as(self.preset(), secrets, window)
    }

    pub fn check_as(
        &self,
        preset: &'static Preset,
        secrets: &[Secret],
        window: Window,
    ) -> Result<Verified, SignatureError> {
        let mut headers: Vec<(&str, &[u8])> = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            headers.push(("content-type", b"application/json"));
        }
        let incoming = Incoming {
            headers: &headers,
            body: self.body.as_bytes(),
            method: &self.method,
            url: Some(self.url.as_str()).filter(|url| !url.is_empty()),
        };
        verify(&Scheme::Preset(preset), incoming, secrets, window)
    }

    /// Whether the body as a whole is under the signature.
    pub fn covers_body(&self) -> bool {
        let recipe = &self.preset().recipe;
        recipe.covers(&Part::Body) || recipe.covers(&Part::Fields)
    }
}

fn read(path: &Path) -> Vec<Message> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Where fresh messages are, when they were asked for.
fn live() -> Option<PathBuf> {
    std::env::var_os("TL_VENDOR_DIR").map(PathBuf::from)
}

/// The committed messages and the fresh ones.
pub fn messages() -> Vec<Message> {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vendors/vectors");
    let mut out = Vec::new();
    for dir in std::iter::once(committed).chain(live()) {
        for name in ["npm.json", "python.json"] {
            out.extend(read(&dir.join(name)));
        }
    }
    out
}

#[test]
fn the_vendors_messages_verify() {
    for m in messages() {
        let other = m.preset().secret("other", &other_secret(&m), (0, None));
        let secrets = [other.expect("another key"), m.key()];
        let window = Window::at(m.now_s * 1_000_000);
        let verified = m
            .check_with(&secrets, window)
            .unwrap_or_else(|e| panic!("{} by {}: {e}", m.preset, m.by));
        assert_eq!(verified.kid, "vendor", "{}", m.preset);
        let has = |name: &str| m.headers.iter().any(|(n, _)| n == name);
        let id = m.preset().recipe.id.map(|at| at.place);
        let there = id.is_some_and(|place| place.header().is_none_or(has));
        assert_eq!(verified.delivery_id.is_some(), there, "{}", m.preset);
        let altered = Message {
            body: format!("{} ", m.body),
            ..m.clone()
        };
        assert_eq!(altered.check().is_err(), m.covers_body(), "{}", m.preset);
    }
}

/// A key of the same form that did not sign.
pub fn other_secret(m: &Message) -> String {
    match m.preset().secret {
        SecretForm::Text => format!("{}x", m.secret),
        SecretForm::Whsec => "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned(),
        SecretForm::Ed25519Key => "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=".to_owned(),
        SecretForm::EcdsaKey => {
            "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpZP40Li/hp/\
             m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q=="
                .to_owned()
        }
    }
}

/// No row may say more of its checking than there is.
#[test]
fn each_preset_was_checked_as_it_says() {
    let all = messages();
    for preset in PRESETS {
        let own: Vec<&Message> = all.iter().filter(|m| m.preset == preset.name).collect();
        assert!(!own.is_empty(), "{} has no message", preset.name);
        for m in own {
            match preset.checked {
                Checked::Library(name) => {
                    let by =
                        name.split(", ").any(|n| m.by.starts_with(n)) || m.by.contains("(PyPI)");
                    assert!(by, "{}: {} is not by {name}", preset.name, m.by);
                }
                Checked::Documented => assert!(m.by.starts_with("documentation"), "{}", m.by),
            }
        }
    }
    let mut names: Vec<&str> = PRESETS.iter().map(|p| p.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names, PRESETS.iter().map(|p| p.name).collect::<Vec<_>>());
}

/// W-02: during an overlap both secrets count, and what matched is named.
#[test]
fn a_rotation_refuses_nobody() {
    const DAY: i64 = 86_400_000_000;
    for m in messages() {
        let now = m.now_s * 1_000_000;
        let key = |kid, text: &str, span| m.preset().secret(kid, text, span).expect("key");
        let other = other_secret(&m);
        // Which secret of the door signed; when each counts; what the door says at the time of the message.
        let table = [
            ("old", [(0, Some(now + DAY)), (now - DAY, None)], Ok("old")),
            ("new", [(0, Some(now + DAY)), (now - DAY, None)], Ok("new")),
            ("old", [(0, Some(now)), (now - DAY, None)], Err("mismatch")),
            ("old", [(0, Some(now + 1)), (now, None)], Ok("old")),
            (
                "new",
                [(0, Some(now + DAY)), (now + 1, None)],
                Err("mismatch"),
            ),
            ("new", [(0, Some(now)), (now, None)], Ok("new")),
        ];
        for (signed, [old, new], want) in table {
            let (first, second) = match signed {
                "old" => (m.secret.as_str(), other.as_str()),
                _ => (other.as_str(), m.secret.as_str()),
            };
            let secrets = [key("old", first, old), key("new", second, new)];
            let seen = m.check_with(&secrets, Window::at(now));
            let seen = seen.as_ref().map(|v| v.kid.as_str());
            let want = want.map_err(str::to_owned);
            assert_eq!(
                seen.map_err(|e| e.reason_class().to_owned()),
                want,
                "{} {signed}",
                m.preset
            );
        }
        let many = vec![key("old", &m.secret, (0, None)); MAX_SECRETS + 1];
        assert!(m.check_with(&many, Window::at(now)).is_err());
    }
}

/// A message of ours, for the vendor's verifier.
fn ours(preset: &'static Preset, prng: &mut Prng, now_s: i64) -> Option<Message> {
    let letters = |prng: &mut Prng| format!("{:016x}{:016x}", prng.next(), prng.next());
    let secret = match preset.secret {
        SecretForm::Text => letters(prng),
        SecretForm::Whsec => format!("whsec_{}", letters(prng)),
        SecretForm::EcdsaKey | SecretForm::Ed25519Key => return None,
    };
    let texts = ["Hello", "Grüße & so = 1", "🙂 \\u0041 100%", ""];
    let said = texts[prng.below(texts.len())];
    let form = preset.recipe.covers(&Part::Fields);
    let body = if form {
        format!("Body={:x}+%26+%C3%BC&From=%2B442079460990", prng.next())
    } else {
        serde_json::json!({ "id": letters(prng), "said": said }).to_string()
    };
    let url = format!("https://hooks.example.com/hooks/default/{}", preset.name);
    let id = letters(prng);
    let sending = Sending {
        stamp: Stamp {
            delivery_id: Some(&id),
            timestamp_s: now_s,
        },
        method: "POST",
        url: Some(&url),
        body: body.as_bytes(),
    };
    let key = preset.secret("ours", &secret, (0, None)).expect("key");
    let mut headers = sign_for(&Scheme::Preset(preset), &key, &sending).ok()?;
    let shop = [
        ("x-shopify-topic", "orders/create"),
        ("x-shopify-shop-domain", "shop.myshopify.com"),
        ("x-shopify-api-version", "2025-01"),
    ];
    if preset.name == "shopify" {
        headers.extend(shop.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
    if form {
        let value = "application/x-www-form-urlencoded".to_owned();
        headers.push(("content-type".to_owned(), value));
    }
    Some(Message {
        preset: preset.name.to_owned(),
        by: "tl-wire".to_owned(),
        method: "POST".to_owned(),
        url,
        now_s,
        secret,
        body,
        headers,
    })
}

#[test]
fn what_we_sign_verifies() {
    let mut prng = Prng::new(77);
    let now_s = std::env::var("TL_VENDOR_NOW").map_or(1_700_000_000, |t| t.parse().expect("now"));
    let mut all = Vec::new();
    for preset in PRESETS {
        for _ in 0..20 {
            all.extend(ours(preset, &mut prng, now_s));
        }
    }
    let names: std::collections::BTreeSet<&str> = all.iter().map(|m| m.preset.as_str()).collect();
    // The keys of two vendors are public, and one signs within the body.
    assert_eq!(names.len(), PRESETS.len() - 3, "{names:?}");
    for m in &all {
        let verified = m.check().unwrap_or_else(|e| panic!("{}: {e}", m.preset));
        assert_eq!(verified.kid, "vendor");
    }
    if let Some(dir) = live() {
        let text = serde_json::to_string(&all).expect("JSON");
        std::fs::write(dir.join("ours.json"), text).expect("written");
    }
}
