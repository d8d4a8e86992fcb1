//! How an endpoint knows its sender, and by what it knows a message again.

use crate::expr::Template;

/// How an endpoint knows its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// HMAC-SHA-256 over the raw body.
    Hmac {
        /// Header that carries the signature, lower case.
        header: String,
        /// Text before the encoded signature.
        prefix: String,
        /// Base 64 instead of hexadecimal.
        base64: bool,
        /// What is signed: `{body}` with optional `{timestamp}` and `{id}`.
        signed: String,
        /// Header of the timestamp, where `signed` names it.
        timestamp_header: Option<String>,
        /// Header of the delivery id, where `signed` names it.
        id_header: Option<String>,
    },
    /// Standard Webhooks v1.
    StandardWebhooks,
    /// The way of a vendor.
    Preset(&'static Preset),
    /// A bearer token of a pinned issuer.
    Jwt {
        /// Required `iss`.
        issuer: String,
        /// Required `aud`.
        audience: String,
        /// Allowed algorithms: `HS256`, `RS256`, `ES256`, `EdDSA`.
        algorithms: Vec<String>,
        /// Path of a key set file in the project, or an https address fetched in the background.
        keys: Option<String>,
    },
    /// An API key with scope `events`.
    ApiKey,
    /// Anybody, through a page of ours or from a website on the list. Nothing about the sender is proven.
    Public {
        /// Websites whose pages may post here: `https://www.example.com`.
        origins: Vec<String>,
    },
    /// Whoever holds the one-time link that a waiting case has sent.
    Link,
    /// Somebody who has signed in at the console.
    SignIn,
}

/// A vendor's way to sign, as far as a workflow has to know it.
#[derive(Debug, PartialEq, Eq)]
pub struct Preset {
    /// Its word in the file.
    pub word: &'static str,
    /// The address is under the signature, so the installation must know the public one.
    pub signs_url: bool,
    /// What names a delivery is under the signature.
    pub covers_id: bool,
}

impl Preset {
    const fn new(word: &'static str) -> Preset {
        Preset {
            word,
            signs_url: false,
            covers_id: true,
        }
    }

    const fn with_url(word: &'static str) -> Preset {
        Preset {
            signs_url: true,
            ..Preset::new(word)
        }
    }

    const fn with_open_id(word: &'static str) -> Preset {
        Preset {
            covers_id: false,
            ..Preset::new(word)
        }
    }

    /// The preset of a word.
    pub fn of(word: &str) -> Option<&'static Preset> {
        PRESETS.iter().find(|preset| preset.word == word)
    }
}

/// The vendors whose way to sign is known, by name. Standard Webhooks v1 has a word of its own beside them.
pub static PRESETS: &[Preset] = &[
    Preset::new("calendly"),
    Preset::with_open_id("github"),
    Preset::with_url("hubspot"),
    Preset::new("hubspot_v1"),
    Preset::with_url("hubspot_v2"),
    Preset::new("intercom"),
    Preset::new("mailgun"),
    Preset::new("meta"),
    Preset::new("sendgrid"),
    Preset::with_open_id("shopify"),
    Preset::new("slack"),
    Preset::new("standard_webhooks_v1a"),
    Preset::new("stripe"),
    Preset::new("svix"),
    Preset::with_url("twilio"),
    Preset::new("twitter"),
    Preset::new("typeform"),
    Preset::with_open_id("zendesk"),
];

/// What an endpoint verifies one kind of sender with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// A secret of the endpoint.
    Secret,
    /// A key set that the file names.
    KeySet,
    /// An API key with scope `events`.
    ApiKey,
    /// That a page of ours was shown, or which website it was; the sender proves nothing.
    Page,
    /// That a link of ours is held and its case still waits; the sender proves nothing else.
    Link,
    /// A session of the console.
    Session,
    /// Nothing: a token without settings, or without keys.
    Nothing,
}

impl Auth {
    /// What the endpoint needs to verify a sender that comes this way.
    pub fn proof(&self) -> Proof {
        match self {
            Auth::Hmac { .. } | Auth::StandardWebhooks | Auth::Preset(_) => Proof::Secret,
            Auth::ApiKey => Proof::ApiKey,
            Auth::Public { .. } => Proof::Page,
            Auth::Link => Proof::Link,
            Auth::SignIn => Proof::Session,
            Auth::Jwt { issuer, .. } if issuer.is_empty() => Proof::Nothing,
            Auth::Jwt { keys: Some(_), .. } => Proof::KeySet,
            Auth::Jwt { algorithms, .. } if algorithms.iter().any(|a| a == "HS256") => {
                Proof::Secret
            }
            Auth::Jwt { .. } => Proof::Nothing,
        }
    }

    /// The vendor whose way it is.
    pub fn preset(&self) -> Option<&'static Preset> {
        match self {
            Auth::Preset(preset) => Some(preset),
            _ => None,
        }
    }

    /// A delivery id is part of what the sender signs.
    pub fn covers_id(&self) -> bool {
        match self {
            Auth::StandardWebhooks => true,
            Auth::Preset(preset) => preset.covers_id,
            Auth::Hmac { id_header, .. } => id_header.is_some(),
            // The key of a page that was shown is ours; a link is good for one message.
            Auth::Public { .. } | Auth::Link | Auth::SignIn => true,
            Auth::Jwt { .. } | Auth::ApiKey => false,
        }
    }

    /// Who the sender is has been proven where this verifies.
    pub fn proves_sender(&self) -> bool {
        !matches!(self.proof(), Proof::Page | Proof::Link)
    }
}

/// Where the dedupe key of a message comes from when its signature covers no delivery id.
#[derive(Debug, Clone, PartialEq)]
pub enum Idempotency {
    /// `header_idempotency_key`: the header's key and the hash of the signed bytes, either match = duplicate.
    Header,
    /// A pointer into the signed body.
    Pointer(Template),
    /// Only what the signature covers, else the weak body hash.
    Covered,
}
