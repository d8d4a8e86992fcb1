//! The one way in which signatures are checked and made, by recipe.

use std::borrow::Cow;

use aws_lc_rs::{constant_time, hmac, signature};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::fields::{Fields, sorted_pairs};
use super::recipe::{Algorithm, Encoding, Part, Place, Recipe};
use super::url::names_digest;
use super::{
    DeliveryId, Incoming, MAX_SIGNATURES, SchemeError, Secret, Sending, SignatureError, Verified,
    Window,
};

/// Most entries of a header that holds several.
const MAX_ENTRIES: usize = 16;

/// The signed bytes, part after part.
type Signed<'a> = Vec<Cow<'a, [u8]>>;

/// What the variable parts of a signed text are.
struct Filling<'a> {
    id: &'a str,
    timestamp: &'a str,
    method: &'a str,
    url: Option<&'a str>,
    body: &'a [u8],
}

pub(super) fn verify(
    recipe: &Recipe<'_>,
    incoming: Incoming<'_>,
    secrets: &[&Secret],
    window: Window,
) -> Result<Verified, SignatureError> {
    let fields = match recipe.reads_fields() {
        true => Fields::read(incoming),
        false => Fields::Nothing,
    };
    let presented = presented(recipe, incoming, &fields)?;

    let (mut timestamp, mut timestamp_us) = (String::new(), None);
    if let Some(at) = recipe.timestamp {
        timestamp = one(at.place, incoming, &fields)?;
        let us = at
            .unit
            .read(&timestamp)
            .ok_or_else(|| at.place.malformed())?;
        window.admit(us, at.past_s)?;
        timestamp_us = Some(us);
    }

    let (mut id, mut delivery_id) = (String::new(), None);
    if let Some(at) = recipe.id {
        let found = match one(at.place, incoming, &fields) {
            Err(SignatureError::MissingHeader(_)) if !at.required => None,
            other => Some(other?),
        };
        if let Some(value) = found {
            if !recipe.admits_id(&value) {
                return Err(at.place.malformed());
            }
            delivery_id = Some(DeliveryId {
                value: value.clone(),
                covered: recipe.covers(&Part::Id),
            });
            id = value;
        }
    }

    let filling = Filling {
        id: &id,
        timestamp: &timestamp,
        method: incoming.method,
        url: incoming.url,
        body: incoming.body,
    };
    let kid = match_any(
        recipe.algorithm,
        secrets,
        &fill(recipe, &filling)?,
        &presented,
    )?;
    Ok(Verified {
        kid,
        delivery_id,
        timestamp_us,
    })
}

pub(super) fn sign(
    recipe: &Recipe<'_>,
    secret: &Secret,
    sending: &Sending<'_>,
) -> Result<Vec<(String, String)>, SchemeError> {
    let header = recipe.signature.header().ok_or(SchemeError::InBody)?;
    let mut headers = Vec::new();
    let mut id = "";
    if let Some(at) = recipe.id {
        let name = at.place.header().ok_or(SchemeError::InBody)?;
        id = sending.stamp.delivery_id.ok_or(SchemeError::IdNeeded)?;
        if !recipe.admits_id(id) {
            return Err(SchemeError::IdRefused);
        }
        headers.push((name.to_owned(), id.to_owned()));
    }
    let mut timestamp = String::new();
    let mut before = String::new();
    if let Some(at) = recipe.timestamp {
        timestamp = at
            .unit
            .write(sending.stamp.timestamp_s)
            .ok_or(SchemeError::TimestampRefused)?;
        match at.place {
            Place::Pairs(_, key) => before = format!("{key}={timestamp},"),
            place => {
                let name = place.header().ok_or(SchemeError::InBody)?;
                headers.push((name.to_owned(), timestamp.clone()));
            }
        }
    }
    let filling = Filling {
        id,
        timestamp: &timestamp,
        method: sending.method,
        url: sending.url,
        body: sending.body,
    };
    let signed = fill(recipe, &filling).map_err(|_| SchemeError::Unsignable)?;
    let parts: Vec<&[u8]> = signed.first().map_or(Vec::new(), |s| slices(s));
    let tag = tag(recipe.algorithm, secret, &parts).ok_or(SchemeError::NotOurs)?;
    let tag = match recipe.encoding {
        Encoding::Hex => hex::encode(tag),
        Encoding::Base64 => STANDARD.encode(tag),
    };
    let value = match recipe.signature {
        Place::Pairs(_, key) => format!("{before}{key}={tag}"),
        Place::Versions(_, version) => format!("{version},{tag}"),
        _ => format!("{}{tag}", recipe.prefix),
    };
    headers.push((header.to_owned(), value));
    Ok(headers)
}

/// The one value at a place.
fn one(
    place: Place<'_>,
    incoming: Incoming<'_>,
    fields: &Fields,
) -> Result<String, SignatureError> {
    match place {
        Place::Header(name) => incoming.single(name).map(str::to_owned),
        Place::Field(path) => fields
            .text(path)
            .filter(|text| !text.is_empty())
            .ok_or_else(|| SignatureError::MissingHeader(place.name().to_owned())),
        Place::Pairs(name, key) | Place::Versions(name, key) => {
            let values = entries(place, incoming.single(name)?, key)?;
            match values[..] {
                [value] if !value.is_empty() => Ok(value.to_owned()),
                _ => Err(place.malformed()),
            }
        }
    }
}

/// The values of one key in a header of several entries.
fn entries<'v>(
    place: Place<'_>,
    value: &'v str,
    wanted: &str,
) -> Result<Vec<&'v str>, SignatureError> {
    let (between, within) = match place {
        Place::Versions(..) => (' ', ','),
        _ => (',', '='),
    };
    let mut out = Vec::new();
    for (position, entry) in value.split(between).enumerate() {
        let (key, value) = entry.split_once(within).ok_or_else(|| place.malformed())?;
        if position >= MAX_ENTRIES {
            return Err(place.malformed());
        }
        if key == wanted {
            out.push(value);
        }
    }
    Ok(out)
}

/// The decoded signatures of a message. Versions that we do not ask for are passed over: a sender may offer several.
fn presented(
    recipe: &Recipe<'_>,
    incoming: Incoming<'_>,
    fields: &Fields,
) -> Result<Vec<Vec<u8>>, SignatureError> {
    let place = recipe.signature;
    let decoded = |text: &str| decode(recipe, text).ok_or_else(|| place.malformed());
    let (name, key) = match place {
        Place::Header(_) | Place::Field(_) => {
            return Ok(vec![decoded(&one(place, incoming, fields)?)?]);
        }
        Place::Pairs(name, key) | Place::Versions(name, key) => (name, key),
    };
    let values = entries(place, incoming.single(name)?, key)?;
    if values.is_empty() {
        return Err(SignatureError::UnsupportedVersion);
    }
    if values.len() > MAX_SIGNATURES {
        return Err(place.malformed());
    }
    values.into_iter().map(decoded).collect()
}

fn decode(recipe: &Recipe<'_>, value: &str) -> Option<Vec<u8>> {
    let text = value.strip_prefix(recipe.prefix)?;
    let bytes = match recipe.encoding {
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
    recipe.algorithm.fits(bytes.len()).then_some(bytes)
}

/// What may have been signed: one text, or one for each way in which the address may be written.
fn fill<'a>(
    recipe: &'a Recipe<'_>,
    filling: &Filling<'a>,
) -> Result<Vec<Signed<'a>>, SignatureError> {
    let mut out: Vec<Signed<'a>> = vec![Vec::new()];
    for part in recipe.signed {
        let bytes: Cow<'a, [u8]> = match part {
            Part::Text(text) => text.as_bytes().into(),
            Part::Id => filling.id.as_bytes().into(),
            Part::Timestamp => filling.timestamp.as_bytes().into(),
            Part::Method => filling.method.as_bytes().into(),
            Part::Body => filling.body.into(),
            Part::Fields => form_bytes(filling)?.into(),
            Part::Url(form) => {
                let url = filling.url.ok_or(SignatureError::NoPublicUrl)?;
                let writings = form.writings(url);
                out = writings
                    .into_iter()
                    .flat_map(|url| {
                        let url = url.into_bytes();
                        out.iter().map(move |signed| {
                            let mut signed = signed.clone();
                            signed.push(url.clone().into());
                            signed
                        })
                    })
                    .collect();
                continue;
            }
        };
        for signed in &mut out {
            signed.push(bytes.clone());
        }
    }
    Ok(out)
}

/// The sorted fields of a form, or nothing where the address already names the digest of the body. A body that is
/// neither would not be covered at all.
fn form_bytes(filling: &Filling<'_>) -> Result<Vec<u8>, SignatureError> {
    let body = || SignatureError::Malformed("body".to_owned());
    match filling.url.and_then(|url| names_digest(url, filling.body)) {
        Some(true) => Ok(Vec::new()),
        Some(false) => Err(SignatureError::Mismatch),
        None => sorted_pairs(filling.body).ok_or_else(body),
    }
}

fn slices<'s>(signed: &'s Signed<'_>) -> Vec<&'s [u8]> {
    signed.iter().map(AsRef::as_ref).collect()
}

/// The tag that a shared secret makes; `None` where only the sender has the key to make one.
fn tag(algorithm: Algorithm, secret: &Secret, parts: &[&[u8]]) -> Option<Vec<u8>> {
    match algorithm {
        Algorithm::HmacSha256 => Some(secret.hmac(hmac::HMAC_SHA256, parts)),
        Algorithm::HmacSha1 => Some(secret.hmac(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, parts)),
        Algorithm::Sha256 => Some(secret.digest(parts)),
        Algorithm::EcdsaP256 | Algorithm::Ed25519 => None,
    }
}

/// Compares every signed text under every secret with every presented signature; the first secret that matches names
/// the result, but every comparison is made.
fn match_any(
    algorithm: Algorithm,
    secrets: &[&Secret],
    signed: &[Signed<'_>],
    presented: &[Vec<u8>],
) -> Result<String, SignatureError> {
    let mut matched: Option<&Secret> = None;
    for &secret in secrets {
        for text in signed {
            let parts = slices(text);
            let tag = tag(algorithm, secret, &parts);
            for given in presented {
                let equal = match &tag {
                    Some(tag) => constant_time::verify_slices_are_equal(tag, given).is_ok(),
                    None => by_public_key(algorithm, secret, &parts, given),
                };
                if equal && matched.is_none() {
                    matched = Some(secret);
                }
            }
        }
    }
    matched
        .map(|secret| secret.kid().to_owned())
        .ok_or(SignatureError::Mismatch)
}

fn by_public_key(algorithm: Algorithm, secret: &Secret, parts: &[&[u8]], given: &[u8]) -> bool {
    let algorithm: &dyn signature::VerificationAlgorithm = match algorithm {
        Algorithm::Ed25519 => &signature::ED25519,
        _ => &signature::ECDSA_P256_SHA256_ASN1,
    };
    let key = signature::UnparsedPublicKey::new(algorithm, secret.public_key());
    key.verify(&parts.concat(), given).is_ok()
}
