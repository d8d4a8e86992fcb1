//! Standard Webhooks v1: `id.timestamp.body` under HMAC-SHA256, several signatures in one header.

use super::{
    DeliveryId, Incoming, SchemeError, Secret, SignatureError, Stamp, TAG_BYTES, Verified, Window,
    is_plain_id, match_any, parse_seconds,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const ID: &str = "webhook-id";
const TIMESTAMP: &str = "webhook-timestamp";
const SIGNATURE: &str = "webhook-signature";
/// Most signatures looked at in one header; a sender that rotates secrets sends two.
const MAX_SIGNATURES: usize = 8;

/// The full stop separates the signed parts, so an id that holds one is refused.
fn admits_id(id: &str) -> bool {
    is_plain_id(id) && !id.contains('.')
}

/// The v1 tags of the header. Other versions are passed over: a sender may offer several.
fn presented(value: &str) -> Result<Vec<[u8; TAG_BYTES]>, SignatureError> {
    let malformed = || SignatureError::Malformed(SIGNATURE.to_owned());
    let mut tags = Vec::new();
    for (position, entry) in value.split(' ').enumerate() {
        let (version, encoded) = entry.split_once(',').ok_or_else(malformed)?;
        if position >= MAX_SIGNATURES {
            return Err(malformed());
        }
        if version == "v1" {
            let tag = STANDARD.decode(encoded).map_err(|_| malformed())?;
            tags.push(tag.try_into().map_err(|_| malformed())?);
        }
    }
    if tags.is_empty() {
        return Err(SignatureError::UnsupportedVersion);
    }
    Ok(tags)
}

pub(super) fn verify(
    incoming: Incoming<'_>,
    secrets: &[&Secret],
    window: Window,
) -> Result<Verified, SignatureError> {
    let id = incoming.single(ID)?;
    if !admits_id(id) {
        return Err(SignatureError::Malformed(ID.to_owned()));
    }
    let timestamp = incoming.single(TIMESTAMP)?;
    let tags = presented(incoming.single(SIGNATURE)?)?;
    let seconds =
        parse_seconds(timestamp).ok_or_else(|| SignatureError::Malformed(TIMESTAMP.to_owned()))?;
    let timestamp_us = window.admit(seconds)?;

    let signed = [
        id.as_bytes(),
        b".",
        timestamp.as_bytes(),
        b".",
        incoming.body,
    ];
    let kid = match_any(secrets, &signed, &tags)?;
    Ok(Verified {
        kid,
        delivery_id: Some(DeliveryId {
            value: id.to_owned(),
            covered: true,
        }),
        timestamp_us: Some(timestamp_us),
    })
}

pub(super) fn sign(
    secret: &Secret,
    stamp: Stamp<'_>,
    body: &[u8],
) -> Result<Vec<(String, String)>, SchemeError> {
    let id = stamp.delivery_id.ok_or(SchemeError::IdNeeded)?;
    if !admits_id(id) {
        return Err(SchemeError::IdRefused);
    }
    let timestamp = stamp.timestamp_s.to_string();
    parse_seconds(&timestamp).ok_or(SchemeError::TimestampRefused)?;
    let tag = secret.tag(&[id.as_bytes(), b".", timestamp.as_bytes(), b".", body]);
    Ok(vec![
        (ID.to_owned(), id.to_owned()),
        (TIMESTAMP.to_owned(), timestamp),
        (
            SIGNATURE.to_owned(),
            format!("v1,{}", STANDARD.encode(tag.as_ref())),
        ),
    ])
}
