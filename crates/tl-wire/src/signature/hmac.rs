//! The configurable HMAC-SHA256 scheme: one header, a prefix, an encoding, a signed string.

use super::{
    DeliveryId, Incoming, SchemeError, Secret, SignatureError, Stamp, TAG_BYTES, Verified, Window,
    is_plain_id, match_any, parse_seconds,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// How the tag is written in its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Hexadecimal, all lower or all upper case.
    Hex,
    /// Base64 with padding.
    Base64,
}

/// HMAC-SHA256 of a templated string in a named header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HmacScheme {
    /// Name of the header that carries the signature.
    pub header: String,
    /// Text before the encoded tag, such as `sha256=`; may be empty.
    pub prefix: String,
    pub encoding: Encoding,
    pub signed: SignedString,
    /// Header with the time of sending in seconds; must be part of the signed string.
    pub timestamp_header: Option<String>,
    /// Header with the sender's delivery id; may or may not be part of the signed string.
    pub id_header: Option<String>,
}

impl Default for HmacScheme {
    fn default() -> Self {
        HmacScheme {
            header: "x-signature".to_owned(),
            prefix: "sha256=".to_owned(),
            encoding: Encoding::Hex,
            signed: SignedString::body(),
            timestamp_header: None,
            id_header: None,
        }
    }
}

/// The template of the bytes under the signature, such as `{id}.{timestamp}.{body}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedString {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Id,
    Timestamp,
    Body,
}

impl SignedString {
    /// The body alone.
    pub fn body() -> SignedString {
        SignedString {
            pieces: vec![Piece::Body],
        }
    }

    /// Reads a template of literal text and the placeholders `{id}`, `{timestamp}`, `{body}`.
    pub fn parse(template: &str) -> Result<SignedString, SchemeError> {
        let mut pieces = Vec::new();
        let mut rest = template;
        while !rest.is_empty() {
            let open = rest.find('{').unwrap_or(rest.len());
            let (literal, after) = rest.split_at(open);
            if literal.contains('}') {
                return Err(SchemeError::Placeholder);
            }
            if !literal.is_empty() {
                pieces.push(Piece::Literal(literal.to_owned()));
            }
            if after.is_empty() {
                break;
            }
            let close = after.find('}').ok_or(SchemeError::Placeholder)?;
            pieces.push(match &after[1..close] {
                "id" => Piece::Id,
                "timestamp" => Piece::Timestamp,
                "body" => Piece::Body,
                _ => return Err(SchemeError::Placeholder),
            });
            rest = &after[close + 1..];
        }
        let signed = SignedString { pieces };
        signed.check()?;
        Ok(signed)
    }

    fn check(&self) -> Result<(), SchemeError> {
        if self.count(&Piece::Body) != 1 {
            return Err(SchemeError::BodyNotOnce);
        }
        for (piece, name) in [(Piece::Id, "id"), (Piece::Timestamp, "timestamp")] {
            if self.count(&piece) > 1 {
                return Err(SchemeError::Repeated(name));
            }
        }
        for pair in self.pieces.windows(2) {
            let fenced = |piece: &Piece| matches!(piece, Piece::Literal(_));
            let open = (pair[0] == Piece::Id && !fenced(&pair[1]))
                || (pair[1] == Piece::Id && !fenced(&pair[0]));
            if open {
                return Err(SchemeError::IdWithoutSeparator);
            }
        }
        Ok(())
    }

    fn count(&self, wanted: &Piece) -> usize {
        self.pieces.iter().filter(|piece| *piece == wanted).count()
    }

    fn covers_id(&self) -> bool {
        self.count(&Piece::Id) > 0
    }

    fn covers_timestamp(&self) -> bool {
        self.count(&Piece::Timestamp) > 0
    }

    /// The signed bytes, part after part.
    fn fill<'a>(&'a self, id: &'a str, timestamp: &'a str, body: &'a [u8]) -> Vec<&'a [u8]> {
        self.pieces
            .iter()
            .map(|piece| match piece {
                Piece::Literal(text) => text.as_bytes(),
                Piece::Id => id.as_bytes(),
                Piece::Timestamp => timestamp.as_bytes(),
                Piece::Body => body,
            })
            .collect()
    }

    /// An id that holds the character next to it in the template could move the border between
    /// id and body; it is refused.
    fn admits_id(&self, id: &str) -> bool {
        let Some(position) = self.pieces.iter().position(|piece| *piece == Piece::Id) else {
            return is_plain_id(id);
        };
        let is_fence = |c: Option<char>| c.is_some_and(|c| id.contains(c));
        let after = match self.pieces.get(position + 1) {
            Some(Piece::Literal(text)) => is_fence(text.chars().next()),
            _ => false,
        };
        // Before the id a border can only move if something variable comes earlier still.
        let before = match self.pieces[..position].split_last() {
            Some((Piece::Literal(text), earlier)) if !earlier.is_empty() => {
                is_fence(text.chars().next_back())
            }
            _ => false,
        };
        is_plain_id(id) && !after && !before
    }
}

impl HmacScheme {
    /// Says whether the parts of the scheme fit together; to be called when it is configured.
    pub fn check(&self) -> Result<(), SchemeError> {
        self.signed.check()?;
        let (id, timestamp) = (&self.id_header, &self.timestamp_header);
        if self.signed.covers_id() && id.is_none() {
            return Err(SchemeError::NoHeaderFor("id"));
        }
        if self.signed.covers_timestamp() && timestamp.is_none() {
            return Err(SchemeError::NoHeaderFor("timestamp"));
        }
        if timestamp.is_some() && !self.signed.covers_timestamp() {
            return Err(SchemeError::TimestampNotCovered);
        }
        let names: Vec<&String> = [Some(&self.header), id.as_ref(), timestamp.as_ref()]
            .into_iter()
            .flatten()
            .collect();
        let repeated = names.iter().enumerate().any(|(position, name)| {
            names[..position]
                .iter()
                .any(|earlier| earlier.eq_ignore_ascii_case(name))
        });
        if repeated || names.iter().any(|name| name.is_empty()) {
            return Err(SchemeError::HeaderNames);
        }
        Ok(())
    }

    fn decode(&self, value: &str) -> Option<[u8; TAG_BYTES]> {
        let text = value.strip_prefix(self.prefix.as_str())?;
        let bytes = match self.encoding {
            Encoding::Hex => {
                let mixed = text.bytes().any(|byte| byte.is_ascii_uppercase())
                    && text.bytes().any(|byte| byte.is_ascii_lowercase());
                if mixed {
                    return None;
                }
                hex::decode(text).ok()?
            }
            Encoding::Base64 => STANDARD.decode(text).ok()?,
        };
        bytes.try_into().ok()
    }
}

pub(super) fn verify(
    scheme: &HmacScheme,
    incoming: Incoming<'_>,
    secrets: &[&Secret],
    window: Window,
) -> Result<Verified, SignatureError> {
    scheme.check()?;
    let presented = scheme
        .decode(incoming.single(&scheme.header)?)
        .ok_or_else(|| SignatureError::Malformed(scheme.header.clone()))?;

    let (mut timestamp, mut timestamp_us) = ("", None);
    if let Some(name) = &scheme.timestamp_header {
        timestamp = incoming.single(name)?;
        let seconds =
            parse_seconds(timestamp).ok_or_else(|| SignatureError::Malformed(name.clone()))?;
        timestamp_us = Some(window.admit(seconds)?);
    }

    let (mut id, mut delivery_id) = ("", None);
    if let Some(name) = &scheme.id_header {
        id = incoming.single(name)?;
        if !scheme.signed.admits_id(id) {
            return Err(SignatureError::Malformed(name.clone()));
        }
        delivery_id = Some(DeliveryId {
            value: id.to_owned(),
            covered: scheme.signed.covers_id(),
        });
    }

    let signed = scheme.signed.fill(id, timestamp, incoming.body);
    let kid = match_any(secrets, &signed, &[presented])?;
    Ok(Verified {
        kid,
        delivery_id,
        timestamp_us,
    })
}

pub(super) fn sign(
    scheme: &HmacScheme,
    secret: &Secret,
    stamp: Stamp<'_>,
    body: &[u8],
) -> Result<Vec<(String, String)>, SchemeError> {
    scheme.check()?;
    let mut headers = Vec::new();
    let mut id = "";
    if let Some(name) = &scheme.id_header {
        id = stamp.delivery_id.ok_or(SchemeError::IdNeeded)?;
        if !scheme.signed.admits_id(id) {
            return Err(SchemeError::IdRefused);
        }
        headers.push((name.clone(), id.to_owned()));
    }
    let mut timestamp = String::new();
    if let Some(name) = &scheme.timestamp_header {
        timestamp = stamp.timestamp_s.to_string();
        parse_seconds(&timestamp).ok_or(SchemeError::TimestampRefused)?;
        headers.push((name.clone(), timestamp.clone()));
    }
    let tag = secret.tag(&scheme.signed.fill(id, &timestamp, body));
    let encoded = match scheme.encoding {
        Encoding::Hex => hex::encode(tag.as_ref()),
        Encoding::Base64 => STANDARD.encode(tag.as_ref()),
    };
    headers.push((scheme.header.clone(), format!("{}{encoded}", scheme.prefix)));
    Ok(headers)
}
