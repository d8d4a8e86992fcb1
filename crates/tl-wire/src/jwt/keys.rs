//! A snapshot of the keys of an issuer: from a JWKS document, or set by hand.

use super::{Algorithm, JwtError};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value};

/// Largest JWKS document that is looked at, in bytes.
const MAX_JWKS_BYTES: usize = 256 * 1024;
/// Most keys of one set.
const MAX_KEYS: usize = 64;
/// Shortest HS256 secret, in bytes: the length of the hash.
const MIN_HS256_BYTES: usize = 32;
/// RSA moduli that are accepted, in bytes (2048 to 8192 bits).
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;
/// Length of a coordinate of P-256 and of an Ed25519 key, in bytes.
const CURVE_BYTES: usize = 32;

/// Keys, each bound to the one algorithm it is for.
#[derive(Debug, Clone, Default)]
pub struct KeySet {
    keys: Vec<Key>,
}

#[derive(Debug, Clone)]
struct Key {
    kid: Option<String>,
    algorithm: Algorithm,
    // Its Debug output hides the key itself.
    material: DecodingKey,
}

/// Why a document or secret makes no key set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    #[error("the key set is larger than {MAX_JWKS_BYTES} bytes or {MAX_KEYS} keys")]
    TooLarge,
    #[error("the key set is no JSON object with a list of keys")]
    Malformed,
    #[error("the key set holds no key we can use")]
    NoUsableKey,
    #[error("two keys of the set have the same name and algorithm")]
    DuplicateKid,
    #[error("an HS256 secret has at least {MIN_HS256_BYTES} bytes")]
    SecretTooShort,
}

impl KeySet {
    /// Reads a JWKS document. Keys that are not for verifying signatures, of types we do not use,
    /// too weak or malformed are passed over; symmetric keys never come from a document.
    pub fn from_jwks(document: &[u8]) -> Result<KeySet, KeySetError> {
        if document.len() > MAX_JWKS_BYTES {
            return Err(KeySetError::TooLarge);
        }
        let document: Value =
            serde_json::from_slice(document).map_err(|_| KeySetError::Malformed)?;
        let entries = document
            .get("keys")
            .and_then(Value::as_array)
            .ok_or(KeySetError::Malformed)?;
        if entries.len() > MAX_KEYS {
            return Err(KeySetError::TooLarge);
        }
        let keys: Vec<Key> = entries
            .iter()
            .filter_map(Value::as_object)
            .filter_map(Key::from_jwk)
            .collect();
        if keys.is_empty() {
            return Err(KeySetError::NoUsableKey);
        }
        let repeated = keys.iter().enumerate().any(|(position, key)| {
            key.kid.is_some()
                && keys[..position]
                    .iter()
                    .any(|earlier| earlier.is_named_as(key))
        });
        if repeated {
            return Err(KeySetError::DuplicateKid);
        }
        Ok(KeySet { keys })
    }

    /// A set of one shared HS256 secret, with or without a name.
    pub fn hs256(kid: Option<&str>, secret: &[u8]) -> Result<KeySet, KeySetError> {
        if secret.len() < MIN_HS256_BYTES {
            return Err(KeySetError::SecretTooShort);
        }
        let key = Key {
            kid: kid.map(str::to_owned),
            algorithm: Algorithm::Hs256,
            material: DecodingKey::from_secret(secret),
        };
        Ok(KeySet { keys: vec![key] })
    }

    /// Both sets together, as while a secret is being changed.
    pub fn and(mut self, other: KeySet) -> KeySet {
        self.keys.extend(other.keys);
        self
    }

    /// Checks a signature with the keys that may have made it; returns the name of the one that
    /// did. A named key must exist, unless the set has no names at all.
    pub(super) fn check(
        &self,
        algorithm: Algorithm,
        kid: Option<&str>,
        (message, signature): (&str, &str),
    ) -> Result<Option<String>, JwtError> {
        let unnamed = self.keys.iter().all(|key| key.kid.is_none());
        let named: Vec<&Key> = self
            .keys
            .iter()
            .filter(|key| unnamed || kid.is_none() || key.kid.as_deref() == kid)
            .collect();
        if let (true, Some(kid)) = (named.is_empty(), kid) {
            return Err(JwtError::UnknownKey(kid.to_owned()));
        }
        let fitting: Vec<&Key> = named
            .into_iter()
            .filter(|key| key.algorithm == algorithm)
            .collect();
        if fitting.is_empty() {
            return Err(JwtError::NoKey);
        }
        fitting
            .iter()
            .find(|key| key.accepts(message, signature))
            .map(|key| key.kid.clone())
            .ok_or(JwtError::Mismatch)
    }
}

impl Key {
    fn from_jwk(jwk: &Map<String, Value>) -> Option<Key> {
        let member = |name: &str| jwk.get(name).and_then(Value::as_str);
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(member(name)?).ok();
        if member("use").is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        if let Some(operations) = jwk.get("key_ops") {
            let listed = operations.as_array()?;
            listed.iter().find(|operation| *operation == "verify")?;
        }
        let (algorithm, material) = match (member("kty")?, member("crv")) {
            ("RSA", _) => {
                let (n, e) = (bytes("n")?, bytes("e")?);
                if !RSA_BYTES.contains(&n.len()) || n.first() == Some(&0) {
                    return None;
                }
                let material = DecodingKey::from_rsa_raw_components(&n, &e);
                (Algorithm::Rs256, material)
            }
            ("EC", Some("P-256")) => {
                let (x, y) = (bytes("x")?, bytes("y")?);
                if x.len() != CURVE_BYTES || y.len() != CURVE_BYTES {
                    return None;
                }
                let material = DecodingKey::from_ec_components(member("x")?, member("y")?);
                (Algorithm::Es256, material.ok()?)
            }
            ("OKP", Some("Ed25519")) => {
                if bytes("x")?.len() != CURVE_BYTES {
                    return None;
                }
                let material = DecodingKey::from_ed_components(member("x")?);
                (Algorithm::EdDsa, material.ok()?)
            }
            _ => return None,
        };
        if member("alg").is_some_and(|declared| declared != algorithm.name()) {
            return None;
        }
        Some(Key {
            kid: member("kid").map(str::to_owned),
            algorithm,
            material,
        })
    }

    fn is_named_as(&self, other: &Key) -> bool {
        self.kid == other.kid && self.algorithm == other.algorithm
    }

    fn accepts(&self, message: &str, signature: &str) -> bool {
        let algorithm = match self.algorithm {
            Algorithm::Hs256 => jsonwebtoken::Algorithm::HS256,
            Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
            Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
            Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        };
        let message = message.as_bytes();
        jsonwebtoken::crypto::verify(signature, message, &self.material, algorithm).unwrap_or(false)
    }
}
