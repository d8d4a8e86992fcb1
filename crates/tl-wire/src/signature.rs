//! Webhook signatures, both ways, over the raw body bytes.
//!
//! [`verify`] answers which secret signed a message and which delivery id came with it; [`sign`]
//! gives the headers that make the same message verify. The answer on the wire to any
//! [`SignatureError`] must be the same; the classes exist for metrics and the security log only.

mod hmac;
mod standard_webhooks;

pub use hmac::{Encoding, HmacScheme, SignedString};

use aws_lc_rs::hmac as mac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Accepted distance between a signed timestamp and our time, in seconds, both ways.
pub const DEFAULT_TOLERANCE_S: i64 = 300;
/// Most secrets an endpoint may have at once.
pub const MAX_SECRETS: usize = 5;
/// Longest signature, timestamp or id header that is looked at, in bytes.
const MAX_HEADER_BYTES: usize = 4096;
/// Length of an HMAC-SHA256 tag, in bytes.
const TAG_BYTES: usize = 32;

/// How an endpoint's messages are signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scheme {
    /// HMAC-SHA256 in a configurable header over a configurable string.
    Hmac(HmacScheme),
    /// Standard Webhooks v1 (symmetric): `webhook-id`, `webhook-timestamp`, `webhook-signature`.
    StandardWebhooks,
}

/// One signing key with the time in which it counts.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    kid: String,
    key: Vec<u8>,
    not_before_us: i64,
    not_after_us: Option<i64>,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secret")
            .field("kid", &self.kid)
            .field("key", &"(hidden)")
            .field("not_before_us", &self.not_before_us)
            .field("not_after_us", &self.not_after_us)
            .finish()
    }
}

/// Why a secret cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// An empty key would accept what anybody can compute.
    #[error("the secret is empty")]
    Empty,
    /// Not `whsec_` followed by the base64 of 24 to 64 bytes.
    #[error("a Standard Webhooks secret is \"whsec_\" and the base64 of 24 to 64 bytes")]
    NotStandardWebhooks,
}

impl Secret {
    /// A secret whose key is these bytes, active from `not_before_us` until just before
    /// `not_after_us` (UTC microseconds).
    pub fn new(
        kid: impl Into<String>,
        key: impl Into<Vec<u8>>,
        not_before_us: i64,
        not_after_us: Option<i64>,
    ) -> Result<Secret, SecretError> {
        let key = key.into();
        if key.is_empty() {
            return Err(SecretError::Empty);
        }
        Ok(Secret {
            kid: kid.into(),
            key,
            not_before_us,
            not_after_us,
        })
    }

    /// A secret in the `whsec_…` notation of Standard Webhooks.
    pub fn standard_webhooks(
        kid: impl Into<String>,
        text: &str,
        not_before_us: i64,
        not_after_us: Option<i64>,
    ) -> Result<Secret, SecretError> {
        let key = text
            .strip_prefix("whsec_")
            .and_then(|encoded| STANDARD.decode(encoded).ok())
            .filter(|key| (24..=64).contains(&key.len()))
            .ok_or(SecretError::NotStandardWebhooks)?;
        Secret::new(kid, key, not_before_us, not_after_us)
    }

    /// The name under which audit records this secret.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Whether the secret counts at this time (UTC microseconds).
    pub fn is_active(&self, now_us: i64) -> bool {
        self.not_before_us <= now_us && self.not_after_us.is_none_or(|end| now_us < end)
    }

    /// The HMAC-SHA256 tag of the parts written one after the other.
    fn tag(&self, parts: &[&[u8]]) -> mac::Tag {
        let key = mac::Key::new(mac::HMAC_SHA256, &self.key);
        let mut context = mac::Context::with_key(&key);
        for part in parts {
            context.update(part);
        }
        context.sign()
    }
}

/// A message as it arrived: header names in any case, values and body as raw bytes.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    pub headers: &'a [(&'a str, &'a [u8])],
    pub body: &'a [u8],
}

impl<'a> Incoming<'a> {
    /// The value of a header that must occur exactly once.
    fn single(&self, name: &str) -> Result<&'a str, SignatureError> {
        let mut found = self
            .headers
            .iter()
            .filter(|(given, _)| given.eq_ignore_ascii_case(name));
        let (_, value) = found
            .next()
            .ok_or_else(|| SignatureError::MissingHeader(name.to_owned()))?;
        if found.next().is_some() {
            return Err(SignatureError::DuplicateHeader(name.to_owned()));
        }
        let malformed = || SignatureError::Malformed(name.to_owned());
        if value.is_empty() || value.len() > MAX_HEADER_BYTES {
            return Err(malformed());
        }
        std::str::from_utf8(value).map_err(|_| malformed())
    }
}

/// The time to judge by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Engine time, UTC microseconds.
    pub now_us: i64,
    /// Accepted distance to a signed timestamp, in seconds; the boundary itself is accepted.
    pub tolerance_s: i64,
}

impl Window {
    /// The default tolerance around this time.
    pub fn at(now_us: i64) -> Window {
        Window {
            now_us,
            tolerance_s: DEFAULT_TOLERANCE_S,
        }
    }

    /// Accepts a timestamp in whole seconds, or says how far away it is.
    fn admit(&self, timestamp_s: i64) -> Result<i64, SignatureError> {
        let timestamp_us = timestamp_s.saturating_mul(1_000_000);
        let skew_us = self.now_us.abs_diff(timestamp_us);
        let tolerance_us = self.tolerance_s.max(0).unsigned_abs() * 1_000_000;
        if skew_us > tolerance_us {
            return Err(SignatureError::OutsideWindow {
                skew_s: skew_us / 1_000_000,
            });
        }
        Ok(timestamp_us)
    }
}

/// The sender's id of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryId {
    pub value: String,
    /// True when the signature covers the id. An id that is not covered may be chosen afresh by
    /// anyone who replays the body, so it never makes a dedupe key alone.
    pub covered: bool,
}

/// What a valid signature proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Name of the secret that matched.
    pub kid: String,
    pub delivery_id: Option<DeliveryId>,
    /// The signed time of sending, UTC microseconds; absent where the scheme has none.
    pub timestamp_us: Option<i64>,
}

/// Why a message was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("header {0} is missing")]
    MissingHeader(String),
    #[error("header {0} occurs more than once")]
    DuplicateHeader(String),
    #[error("header {0} is malformed")]
    Malformed(String),
    #[error("the header holds no signature of a version we accept")]
    UnsupportedVersion,
    #[error("the signed time is {skew_s} s away from ours")]
    OutsideWindow { skew_s: u64 },
    #[error("no secret of the endpoint is active")]
    NoActiveSecret,
    #[error("the signature does not match")]
    Mismatch,
    #[error("the scheme cannot be used: {0}")]
    Scheme(#[from] SchemeError),
}

impl SignatureError {
    /// A short fixed word for metrics and the security log; never part of an answer.
    pub fn reason_class(&self) -> &'static str {
        match self {
            SignatureError::MissingHeader(_) => "missing_header",
            SignatureError::DuplicateHeader(_) => "duplicate_header",
            SignatureError::Malformed(_) => "malformed",
            SignatureError::UnsupportedVersion => "unsupported_version",
            SignatureError::OutsideWindow { .. } => "outside_window",
            SignatureError::NoActiveSecret => "no_active_secret",
            SignatureError::Mismatch => "mismatch",
            SignatureError::Scheme(_) => "scheme",
        }
    }
}

/// Why a scheme, or the values given for signing, make no sound signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemeError {
    #[error("the signed string must hold {{body}} exactly once")]
    BodyNotOnce,
    #[error("the signed string holds {{{0}}} more than once")]
    Repeated(&'static str),
    #[error("the signed string holds an unknown or unclosed placeholder")]
    Placeholder,
    #[error("{{id}} must be followed by a separator, or id and body could trade bytes")]
    IdWithoutSeparator,
    #[error("the signed string uses {{{0}}}, but no header carries it")]
    NoHeaderFor(&'static str),
    #[error("a timestamp header that the signature does not cover proves nothing")]
    TimestampNotCovered,
    #[error("an endpoint has at most {MAX_SECRETS} secrets")]
    TooManySecrets,
    #[error("two of the headers have the same name, or one has none")]
    HeaderNames,
    #[error("signing needs a delivery id")]
    IdNeeded,
    #[error("the delivery id must be printable ASCII without the separator")]
    IdRefused,
    #[error("the timestamp must be a positive number of seconds")]
    TimestampRefused,
}

/// Checks a message against all active secrets.
///
/// Every active secret is tried on every presented signature in constant time and to the end, so
/// that neither the time taken nor the answer tells which secret, or which byte, was close.
pub fn verify(
    scheme: &Scheme,
    incoming: Incoming<'_>,
    secrets: &[Secret],
    window: Window,
) -> Result<Verified, SignatureError> {
    if secrets.len() > MAX_SECRETS {
        return Err(SchemeError::TooManySecrets.into());
    }
    let active: Vec<&Secret> = secrets
        .iter()
        .filter(|secret| secret.is_active(window.now_us))
        .collect();
    if active.is_empty() {
        return Err(SignatureError::NoActiveSecret);
    }
    match scheme {
        Scheme::Hmac(hmac) => hmac::verify(hmac, incoming, &active, window),
        Scheme::StandardWebhooks => standard_webhooks::verify(incoming, &active, window),
    }
}

/// The facts of one sending that go into its signature.
#[derive(Debug, Clone, Copy)]
pub struct Stamp<'a> {
    /// Our id of the delivery; needed where the scheme carries one.
    pub delivery_id: Option<&'a str>,
    /// Time of sending, seconds since 1970 UTC.
    pub timestamp_s: i64,
}

/// The headers to add to a message so that [`verify`] accepts it.
pub fn sign(
    scheme: &Scheme,
    secret: &Secret,
    stamp: Stamp<'_>,
    body: &[u8],
) -> Result<Vec<(String, String)>, SchemeError> {
    match scheme {
        Scheme::Hmac(hmac) => hmac::sign(hmac, secret, stamp, body),
        Scheme::StandardWebhooks => standard_webhooks::sign(secret, stamp, body),
    }
}

/// Compares the tags of all secrets with all presented tags; the first secret that matches names
/// the result, but every comparison is made.
fn match_any(
    secrets: &[&Secret],
    signed: &[&[u8]],
    presented: &[[u8; TAG_BYTES]],
) -> Result<String, SignatureError> {
    let mut matched: Option<&Secret> = None;
    for &secret in secrets {
        let tag = secret.tag(signed);
        for given in presented {
            let equal =
                aws_lc_rs::constant_time::verify_slices_are_equal(tag.as_ref(), given).is_ok();
            if equal && matched.is_none() {
                matched = Some(secret);
            }
        }
    }
    matched
        .map(|secret| secret.kid.clone())
        .ok_or(SignatureError::Mismatch)
}

/// Reads seconds since 1970: digits only, no sign, no leading zero, so that one time has one
/// notation and no digit can be moved to or from a neighbour in the signed string.
fn parse_seconds(text: &str) -> Option<i64> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit())
        && !text.starts_with('0')
        && !text.is_empty();
    if canonical { text.parse().ok() } else { None }
}

/// Whether a delivery id is plain enough to be part of a signed string.
fn is_plain_id(id: &str) -> bool {
    (1..=255).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}
