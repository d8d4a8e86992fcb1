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
}

/// What an endpoint verifies one kind of sender with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// A secret of the endpoint.
    Secret,
    /// A key set that the file names.
    KeySet,
    /// An API key with scope `events`.
    ApiKey,
    /// Nothing: a token without settings, or without keys.
    Nothing,
}

impl Auth {
    /// What the endpoint needs to verify a sender that comes this way.
    pub fn proof(&self) -> Proof {
        match self {
            Auth::Hmac { .. } | Auth::StandardWebhooks => Proof::Secret,
            Auth::ApiKey => Proof::ApiKey,
            Auth::Jwt { issuer, .. } if issuer.is_empty() => Proof::Nothing,
            Auth::Jwt { keys: Some(_), .. } => Proof::KeySet,
            Auth::Jwt { algorithms, .. } if algorithms.iter().any(|a| a == "HS256") => {
                Proof::Secret
            }
            Auth::Jwt { .. } => Proof::Nothing,
        }
    }

    /// A delivery id is part of what the sender signs.
    pub fn covers_id(&self) -> bool {
        match self {
            Auth::StandardWebhooks => true,
            Auth::Hmac { id_header, .. } => id_header.is_some(),
            Auth::Jwt { .. } | Auth::ApiKey => false,
        }
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
