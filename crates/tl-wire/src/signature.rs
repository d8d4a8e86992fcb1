//! Webhook signatures, both ways, over the raw body bytes.
//!
//! [`verify`] answers which secret signed a message and which delivery id came with it; [`sign`]
//! gives the headers that make the same message verify. The answer on the wire to any
//! [`SignatureError`] must be the same; the classes exist for metrics and the security log only.

mod challenge;
mod check;
mod fields;
mod hmac;
mod preset;
mod recipe;
mod secret;
mod time;
mod url;

pub use challenge::{Challenge, Reply};
pub use hmac::{HmacScheme, SignedString};
pub use preset::{Checked, Delivery, Maker, PRESETS, Preset, preset};
pub use recipe::{Algorithm, Encoding, IdAt, Part, Place, Recipe, TimeAt, Unit, UrlForm};
pub use secret::{Secret, SecretError, SecretForm};

/// Accepted distance between a signed timestamp and our time, in seconds, both ways.
pub const DEFAULT_TOLERANCE_S: i64 = 300;
/// Most secrets an endpoint may have at once.
pub const MAX_SECRETS: usize = 5;
/// Longest signature, timestamp or id header that is looked at, in bytes.
const MAX_HEADER_BYTES: usize = 4096;
/// Most signatures looked at in one header; a sender that rotates secrets sends two.
const MAX_SIGNATURES: usize = 8;

/// How an endpoint's messages are signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scheme {
    /// HMAC-SHA256 in a configurable header over a configurable string.
    Hmac(HmacScheme),
    /// Standard Webhooks v1 (symmetric): `webhook-id`, `webhook-timestamp`, `webhook-signature`.
    StandardWebhooks,
    /// The way of a vendor.
    Preset(&'static Preset),
}

/// A message as it arrived: header names in any case, values and body as raw bytes.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    pub headers: &'a [(&'a str, &'a [u8])],
    pub body: &'a [u8],
    /// The method of the request, in capitals.
    pub method: &'a str,
    /// The public address with path and query: its host from the configuration, never from the request.
    pub url: Option<&'a str>,
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
    /// What the calendar says here, UTC microseconds: a sender signs what its own says.
    pub now_us: i64,
    /// The time by which secrets begin and end to count, UTC microseconds.
    pub secrets_us: i64,
    /// Accepted distance to a signed timestamp, in seconds; the boundary itself is accepted.
    pub tolerance_s: i64,
}

impl Window {
    /// The default tolerance around this time.
    pub fn at(now_us: i64) -> Window {
        Window {
            now_us,
            secrets_us: now_us,
            tolerance_s: DEFAULT_TOLERANCE_S,
        }
    }

    /// With another time for the secrets.
    pub fn with_secrets_at(self, secrets_us: i64) -> Window {
        Window { secrets_us, ..self }
    }

    /// Accepts a time, or says how far away it is. `past_s` is a longer time that may have passed, in seconds.
    fn admit(&self, timestamp_us: i64, past_s: Option<i64>) -> Result<(), SignatureError> {
        let skew_us = self.now_us.abs_diff(timestamp_us);
        let allowed_s = match past_s {
            Some(past_s) if timestamp_us < self.now_us => past_s.max(self.tolerance_s),
            _ => self.tolerance_s,
        };
        if skew_us > allowed_s.max(0).unsigned_abs() * 1_000_000 {
            return Err(SignatureError::OutsideWindow {
                skew_s: skew_us / 1_000_000,
            });
        }
        Ok(())
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
    #[error("the address is signed, and the public one is not known")]
    NoPublicUrl,
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
            SignatureError::NoPublicUrl => "no_public_url",
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
    #[error("the signature is part of the body, which stays as it is")]
    InBody,
    #[error("only the sender has the key to sign with")]
    NotOurs,
    #[error("the message has not the form that is signed, or its address is not known")]
    Unsignable,
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
        .filter(|secret| secret.is_active(window.secrets_us))
        .collect();
    if active.is_empty() {
        return Err(SignatureError::NoActiveSecret);
    }
    match scheme {
        Scheme::Hmac(hmac) => check::verify(&hmac.recipe()?, incoming, &active, window),
        Scheme::StandardWebhooks => {
            check::verify(&preset::STANDARD_WEBHOOKS, incoming, &active, window)
        }
        Scheme::Preset(preset) => {
            preset.admits_body(incoming.body)?;
            check::verify(&preset.recipe, incoming, &active, window)
        }
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

/// A message before it is sent.
#[derive(Debug, Clone, Copy)]
pub struct Sending<'a> {
    pub stamp: Stamp<'a>,
    /// The method of the request, in capitals.
    pub method: &'a str,
    /// The whole address; needed where it is signed.
    pub url: Option<&'a str>,
    pub body: &'a [u8],
}

/// The headers to add to a message so that [`verify`] accepts it.
pub fn sign(
    scheme: &Scheme,
    secret: &Secret,
    stamp: Stamp<'_>,
    body: &[u8],
) -> Result<Vec<(String, String)>, SchemeError> {
    let sending = Sending {
        stamp,
        method: "POST",
        url: None,
        body,
    };
    sign_for(scheme, secret, &sending)
}

/// The headers to add to a message whose address may be signed too.
pub fn sign_for(
    scheme: &Scheme,
    secret: &Secret,
    sending: &Sending<'_>,
) -> Result<Vec<(String, String)>, SchemeError> {
    match scheme {
        Scheme::Hmac(hmac) => check::sign(&hmac.recipe()?, secret, sending),
        Scheme::StandardWebhooks => check::sign(&preset::STANDARD_WEBHOOKS, secret, sending),
        Scheme::Preset(preset) => check::sign(&preset.recipe, secret, sending),
    }
}
