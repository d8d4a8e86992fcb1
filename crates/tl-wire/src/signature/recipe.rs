//! How one kind of message is signed, said as data: where the signature stands, what is under it, and with what.

use std::borrow::Cow;

use super::{SchemeError, SignatureError};

/// With what a signature is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC with SHA-256.
    HmacSha256,
    /// HMAC with SHA-1, which only old schemes still use.
    HmacSha1,
    /// SHA-256 of the secret followed by the signed bytes.
    Sha256,
    /// ECDSA on P-256 with SHA-256; the signature is DER.
    EcdsaP256,
    /// Ed25519.
    Ed25519,
}

impl Algorithm {
    /// How it is called in a sentence.
    pub fn title(self) -> &'static str {
        match self {
            Algorithm::HmacSha256 => "HMAC-SHA-256",
            Algorithm::HmacSha1 => "HMAC-SHA-1",
            Algorithm::Sha256 => "SHA-256",
            Algorithm::EcdsaP256 => "ECDSA P-256 with SHA-256",
            Algorithm::Ed25519 => "Ed25519",
        }
    }

    /// Whether a signature of this length can be one.
    pub(super) fn fits(self, length: usize) -> bool {
        match self {
            Algorithm::HmacSha256 | Algorithm::Sha256 => length == 32,
            Algorithm::HmacSha1 => length == 20,
            Algorithm::EcdsaP256 => (8..=72).contains(&length),
            Algorithm::Ed25519 => length == 64,
        }
    }
}

/// How a signature is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Hexadecimal, all lower or all upper case.
    Hex,
    /// Base64 with padding.
    Base64,
}

/// Where a value stands in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// The whole value of a header.
    Header(&'a str),
    /// The values of one key in a header of the form `t=1,v1=ab,v1=cd`.
    Pairs(&'a str, &'a str),
    /// The values of one version in a header of the form `v1,ab v1,cd`.
    Versions(&'a str, &'a str),
    /// A field of the body: by its path in JSON, by its last name in a form.
    Field(&'a [&'a str]),
}

impl<'a> Place<'a> {
    /// The header, where it is one.
    pub fn header(self) -> Option<&'a str> {
        match self {
            Place::Header(name) | Place::Pairs(name, _) | Place::Versions(name, _) => Some(name),
            Place::Field(_) => None,
        }
    }

    /// The name to complain about.
    pub(super) fn name(self) -> &'a str {
        match self {
            Place::Field(path) => path.last().copied().unwrap_or_default(),
            other => other.header().unwrap_or_default(),
        }
    }

    pub(super) fn malformed(self) -> SignatureError {
        SignatureError::Malformed(self.name().to_owned())
    }
}

/// How a time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds since 1970.
    Seconds,
    /// Milliseconds since 1970.
    Millis,
    /// `2026-01-31T12:00:00Z`.
    Rfc3339,
}

/// A signed time of sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeAt<'a> {
    /// Where it stands.
    pub place: Place<'a>,
    /// How it is written.
    pub unit: Unit,
    /// How old it may be, in seconds, where that is more than the window says: vendors that keep the first time
    /// through their retries need as long as they retry.
    pub past_s: Option<i64>,
}

/// The sender's id of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdAt<'a> {
    /// Where it stands.
    pub place: Place<'a>,
    /// Whether a message without it is refused.
    pub required: bool,
}

/// How vendors write the address that they sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UrlForm {
    /// With or without the port.
    AnyPort,
    /// As it is, or with the escapes of punctuation undone.
    AnyEscapes,
}

/// One part of the signed bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Fixed text.
    Text(Cow<'static, str>),
    /// The delivery id.
    Id,
    /// The time of sending as written.
    Timestamp,
    /// The method of the request.
    Method,
    /// The public address.
    Url(UrlForm),
    /// The raw body.
    Body,
    /// The sorted fields of a form; where the address names the digest of the body, nothing.
    Fields,
}

/// A fixed part of a signed text.
pub(super) const fn text(text: &'static str) -> Part {
    Part::Text(Cow::Borrowed(text))
}

/// How one kind of message is signed.
#[derive(Debug, Clone)]
pub struct Recipe<'a> {
    /// With what.
    pub algorithm: Algorithm,
    /// Where the signature stands.
    pub signature: Place<'a>,
    /// Text before the encoded signature.
    pub prefix: &'a str,
    /// How it is written.
    pub encoding: Encoding,
    /// The time of sending.
    pub timestamp: Option<TimeAt<'a>>,
    /// The delivery id.
    pub id: Option<IdAt<'a>>,
    /// What is signed, in this order.
    pub signed: &'a [Part],
}

impl Recipe<'_> {
    /// Whether a part is under the signature.
    pub fn covers(&self, wanted: &Part) -> bool {
        self.signed.contains(wanted)
    }

    /// Whether the public address is under the signature.
    pub fn signs_url(&self) -> bool {
        self.signed.iter().any(|part| matches!(part, Part::Url(_)))
    }

    /// Whether fields of the body are needed to check it.
    pub(super) fn reads_fields(&self) -> bool {
        let field = |place: Place<'_>| matches!(place, Place::Field(_));
        field(self.signature)
            || self.timestamp.is_some_and(|t| field(t.place))
            || self.id.is_some_and(|i| field(i.place))
    }

    /// An id that holds the character next to it could move the border between id and neighbour; it is refused.
    pub(super) fn admits_id(&self, id: &str) -> bool {
        admits_id(self.signed, id)
    }
}

/// Says whether the parts of a signed text keep their borders.
pub(super) fn check_parts(parts: &[Part]) -> Result<(), SchemeError> {
    let count = |wanted: &Part| parts.iter().filter(|part| *part == wanted).count();
    if count(&Part::Body) != 1 {
        return Err(SchemeError::BodyNotOnce);
    }
    for (part, name) in [(Part::Id, "id"), (Part::Timestamp, "timestamp")] {
        if count(&part) > 1 {
            return Err(SchemeError::Repeated(name));
        }
    }
    for pair in parts.windows(2) {
        let fenced = |part: &Part| matches!(part, Part::Text(_));
        let open = (pair[0] == Part::Id && !fenced(&pair[1]))
            || (pair[1] == Part::Id && !fenced(&pair[0]));
        if open {
            return Err(SchemeError::IdWithoutSeparator);
        }
    }
    Ok(())
}

fn admits_id(parts: &[Part], id: &str) -> bool {
    let Some(position) = parts.iter().position(|part| *part == Part::Id) else {
        return is_plain_id(id);
    };
    let is_fence = |c: Option<char>| c.is_some_and(|c| id.contains(c));
    let after = match parts.get(position + 1) {
        Some(Part::Text(text)) => is_fence(text.chars().next()),
        _ => false,
    };
    // Before the id a border can only move if something variable comes earlier still.
    let before = match parts[..position].split_last() {
        Some((Part::Text(text), earlier)) if !earlier.is_empty() => {
            is_fence(text.chars().next_back())
        }
        _ => false,
    };
    is_plain_id(id) && !after && !before
}

/// Whether a delivery id is plain enough to be part of a signed string.
fn is_plain_id(id: &str) -> bool {
    (1..=255).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}
