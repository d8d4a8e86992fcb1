//! Bearer tokens (JWT) of API callers, checked against a snapshot of the issuer's keys.
//!
//! The time comes from the caller. The algorithm is decided by our configuration and by the type
//! of the key, never by the token alone: a token that names another algorithm is refused before
//! any key is tried.

mod keys;

pub use keys::{KeySet, KeySetError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Longest token that is looked at, in bytes.
const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// How far the issuer's clock may be from ours, in seconds.
pub const LEEWAY_S: i64 = 60;
/// Most scopes taken from a token.
const MAX_SCOPES: usize = 100;

/// The signature algorithms that can be pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    Hs256,
    Rs256,
    Es256,
    EdDsa,
}

impl Algorithm {
    /// The algorithm of this name, as tokens and configuration write it.
    pub fn named(name: &str) -> Option<Algorithm> {
        match name {
            "HS256" => Some(Algorithm::Hs256),
            "RS256" => Some(Algorithm::Rs256),
            "ES256" => Some(Algorithm::Es256),
            "EdDSA" => Some(Algorithm::EdDsa),
            _ => None,
        }
    }

    /// The name used in tokens.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Hs256 => "HS256",
            Algorithm::Rs256 => "RS256",
            Algorithm::Es256 => "ES256",
            Algorithm::EdDsa => "EdDSA",
        }
    }
}

/// What we expect of one issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    /// Must equal `iss`.
    pub issuer: String,
    /// One of these must be in `aud`.
    pub audiences: Vec<String>,
    /// The only algorithms accepted.
    pub algorithms: Vec<Algorithm>,
    /// Name of the claim that holds the caller's tenant; required in the token when set.
    pub tenant_claim: Option<String>,
}

/// What a valid token says about its bearer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    pub subject: String,
    pub tenant: Option<String>,
    /// Sorted, each once; from `scope` (text with blanks) or `scp` (list or text).
    pub scopes: Vec<String>,
    /// The token's own id (`jti`), if it has one.
    pub token_id: Option<String>,
    /// Key that signed the token, if keys have names.
    pub kid: Option<String>,
    /// End of validity without leeway, UTC microseconds.
    pub expires_us: i64,
}

/// Why a token was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    #[error("the token is malformed")]
    Malformed,
    #[error("the token's algorithm is not one of the issuer's")]
    AlgorithmRefused,
    #[error("the token's header asks for an extension we do not know")]
    CriticalExtension,
    /// The snapshot has no key of this name; a newer snapshot may have it.
    #[error("no key named {0} is known")]
    UnknownKey(String),
    #[error("no key of the issuer fits the token's algorithm")]
    NoKey,
    #[error("the signature does not match")]
    Mismatch,
    #[error("claim {0} is missing or has the wrong type")]
    MissingClaim(String),
    #[error("the token is of another issuer")]
    WrongIssuer,
    #[error("the token is meant for somebody else")]
    WrongAudience,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYetValid,
}

impl JwtError {
    /// A short fixed word for metrics and the security log; never part of an answer.
    pub fn reason_class(&self) -> &'static str {
        match self {
            JwtError::Malformed => "malformed",
            JwtError::AlgorithmRefused => "algorithm_refused",
            JwtError::CriticalExtension => "critical_extension",
            JwtError::UnknownKey(_) => "unknown_key",
            JwtError::NoKey => "no_key",
            JwtError::Mismatch => "mismatch",
            JwtError::MissingClaim(_) => "missing_claim",
            JwtError::WrongIssuer => "wrong_issuer",
            JwtError::WrongAudience => "wrong_audience",
            JwtError::Expired => "expired",
            JwtError::NotYetValid => "not_yet_valid",
        }
    }
}

/// The header members that matter. Members that point to keys (`jku`, `jwk`, `x5u`, `x5c`) are
/// not read at all; a member that comes twice is an error.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

/// Checks a token and returns what it says.
///
/// `now_us` is UTC microseconds. `exp`, `iss`, `aud` and `sub` are required; `exp`, `nbf` and
/// `iat` are judged with [`LEEWAY_S`].
pub fn verify(
    token: &str,
    issuer: &Issuer,
    keys: &KeySet,
    now_us: i64,
) -> Result<Claims, JwtError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(JwtError::Malformed);
    }
    let (message, signature) = token.rsplit_once('.').ok_or(JwtError::Malformed)?;
    let (header, payload) = message.split_once('.').ok_or(JwtError::Malformed)?;
    if payload.contains('.') || signature.is_empty() {
        return Err(JwtError::Malformed);
    }
    let header: Header =
        serde_json::from_slice(&decode(header)?).map_err(|_| JwtError::Malformed)?;
    let algorithm = Algorithm::named(&header.alg)
        .filter(|algorithm| issuer.algorithms.contains(algorithm))
        .ok_or(JwtError::AlgorithmRefused)?;
    if header.crit.is_some() {
        return Err(JwtError::CriticalExtension);
    }
    let is_jwt = |typ: &str| typ.eq_ignore_ascii_case("JWT") || typ.eq_ignore_ascii_case("at+jwt");
    if !header.typ.as_deref().is_none_or(is_jwt) {
        return Err(JwtError::Malformed);
    }
    decode(signature)?;
    let kid = keys.check(algorithm, header.kid.as_deref(), (message, signature))?;
    let claims: Map<String, Value> =
        serde_json::from_slice(&decode(payload)?).map_err(|_| JwtError::Malformed)?;
    read_claims(&claims, issuer, now_us).map(|claims| Claims { kid, ..claims })
}

fn decode(segment: &str) -> Result<Vec<u8>, JwtError> {
    URL_SAFE_NO_PAD
        .decode(segment)
        .map_err(|_| JwtError::Malformed)
}

fn read_claims(
    claims: &Map<String, Value>,
    issuer: &Issuer,
    now_us: i64,
) -> Result<Claims, JwtError> {
    if text(claims, "iss")? != issuer.issuer {
        return Err(JwtError::WrongIssuer);
    }
    let audiences = strings(claims, "aud")?;
    if !audiences
        .iter()
        .any(|given| issuer.audiences.iter().any(|ours| ours == given))
    {
        return Err(JwtError::WrongAudience);
    }
    let leeway_us = LEEWAY_S * 1_000_000;
    let expires_us = instant(claims, "exp")?.ok_or_else(|| missing("exp"))?;
    if now_us >= expires_us.saturating_add(leeway_us) {
        return Err(JwtError::Expired);
    }
    for name in ["nbf", "iat"] {
        let starts_us = instant(claims, name)?.unwrap_or(i64::MIN);
        if now_us < starts_us.saturating_sub(leeway_us) {
            return Err(JwtError::NotYetValid);
        }
    }
    let tenant = match &issuer.tenant_claim {
        Some(name) => Some(text(claims, name)?.to_owned()),
        None => None,
    };
    let token_id = match claims.get("jti") {
        Some(_) => Some(text(claims, "jti")?.to_owned()),
        None => None,
    };
    Ok(Claims {
        subject: text(claims, "sub")?.to_owned(),
        tenant,
        scopes: scopes(claims)?,
        token_id,
        kid: None,
        expires_us,
    })
}

fn missing(name: &str) -> JwtError {
    JwtError::MissingClaim(name.to_owned())
}

/// A claim that must be a non-empty text without control characters.
fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Result<&'a str, JwtError> {
    claims
        .get(name)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty() && !text.chars().any(char::is_control))
        .ok_or_else(|| missing(name))
}

/// A claim that is one text or a list of texts.
fn strings<'a>(claims: &'a Map<String, Value>, name: &str) -> Result<Vec<&'a str>, JwtError> {
    match claims.get(name) {
        Some(Value::String(one)) => Ok(vec![one]),
        Some(Value::Array(many)) => many
            .iter()
            .map(|item| item.as_str().ok_or_else(|| missing(name)))
            .collect(),
        _ => Err(missing(name)),
    }
}

/// A time in seconds, whole or with a fraction, as microseconds; absent is not an error here.
fn instant(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>, JwtError> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    if let Some(seconds) = value.as_i64() {
        return Ok(Some(seconds.saturating_mul(1_000_000)));
    }
    match value.as_f64() {
        // The cast saturates, which is what a time outside our range means.
        Some(seconds) if seconds.is_finite() => Ok(Some((seconds * 1e6) as i64)),
        _ => Err(missing(name)),
    }
}

fn scopes(claims: &Map<String, Value>) -> Result<Vec<String>, JwtError> {
    let mut found = Vec::new();
    for name in ["scope", "scp"] {
        if claims.contains_key(name) {
            let texts = strings(claims, name)?;
            let words = texts.iter().flat_map(|text| text.split_ascii_whitespace());
            found.extend(words.map(str::to_owned));
        }
    }
    found.sort();
    found.dedup();
    if found.len() > MAX_SCOPES {
        return Err(JwtError::Malformed);
    }
    Ok(found)
}
