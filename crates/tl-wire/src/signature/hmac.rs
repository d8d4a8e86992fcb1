//! The configurable HMAC-SHA256 scheme: one header, a prefix, an encoding, a signed string.

use std::borrow::Cow;

use super::SchemeError;
use super::recipe::{Algorithm, Encoding, IdAt, Part, Place, Recipe, TimeAt, Unit, check_parts};

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
    parts: Vec<Part>,
}

impl SignedString {
    /// The body alone.
    pub fn body() -> SignedString {
        SignedString {
            parts: vec![Part::Body],
        }
    }

    /// Reads a template of literal text and the placeholders `{id}`, `{timestamp}`, `{body}`.
    pub fn parse(template: &str) -> Result<SignedString, SchemeError> {
        let mut parts = Vec::new();
        let mut rest = template;
        while !rest.is_empty() {
            let open = rest.find('{').unwrap_or(rest.len());
            let (literal, after) = rest.split_at(open);
            if literal.contains('}') {
                return Err(SchemeError::Placeholder);
            }
            if !literal.is_empty() {
                parts.push(Part::Text(Cow::Owned(literal.to_owned())));
            }
            if after.is_empty() {
                break;
            }
            let close = after.find('}').ok_or(SchemeError::Placeholder)?;
            parts.push(match &after[1..close] {
                "id" => Part::Id,
                "timestamp" => Part::Timestamp,
                "body" => Part::Body,
                _ => return Err(SchemeError::Placeholder),
            });
            rest = &after[close + 1..];
        }
        check_parts(&parts)?;
        Ok(SignedString { parts })
    }
}

impl HmacScheme {
    /// Says whether the parts of the scheme fit together; to be called when it is configured.
    pub fn check(&self) -> Result<(), SchemeError> {
        self.recipe().map(|_| ())
    }

    /// The scheme as the one way of checking takes it.
    pub(super) fn recipe(&self) -> Result<Recipe<'_>, SchemeError> {
        check_parts(&self.signed.parts)?;
        let covers = |part: &Part| self.signed.parts.contains(part);
        let (id, timestamp) = (self.id_header.as_deref(), self.timestamp_header.as_deref());
        if covers(&Part::Id) && id.is_none() {
            return Err(SchemeError::NoHeaderFor("id"));
        }
        if covers(&Part::Timestamp) && timestamp.is_none() {
            return Err(SchemeError::NoHeaderFor("timestamp"));
        }
        if timestamp.is_some() && !covers(&Part::Timestamp) {
            return Err(SchemeError::TimestampNotCovered);
        }
        let names: Vec<&str> = [Some(self.header.as_str()), id, timestamp]
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
        Ok(Recipe {
            algorithm: Algorithm::HmacSha256,
            signature: Place::Header(&self.header),
            prefix: &self.prefix,
            encoding: self.encoding,
            timestamp: timestamp.map(|name| TimeAt {
                place: Place::Header(name),
                unit: Unit::Seconds,
                past_s: None,
            }),
            id: id.map(|name| IdAt {
                place: Place::Header(name),
                required: true,
            }),
            signed: &self.signed.parts,
        })
    }
}
