//! The keys of an endpoint, and the notations in which vendors hand them out.

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// How the SubjectPublicKeyInfo of a P-256 key begins; the point of 65 bytes follows.
const P256_INFO: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// Length of an uncompressed point of P-256, in bytes.
const P256_POINT: usize = 65;
/// Length of an Ed25519 public key, in bytes.
const ED25519_KEY: usize = 32;

/// One key with the time in which it counts: a shared secret, or the public key of a sender.
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
    /// A vendor's secret is a line of visible characters.
    #[error("the secret holds blanks or characters that are not visible ASCII")]
    NotText,
    /// Everybody may know a public key, so as a shared secret it would prove nothing.
    #[error("this is a public key, not a shared secret")]
    PublicKey,
    /// Not the base64 of a SubjectPublicKeyInfo with a P-256 point.
    #[error("the verification key is the base64 of a P-256 public key, as the vendor shows it")]
    NotEcdsaKey,
    /// Not `whpk_` followed by the base64 of 32 bytes.
    #[error("the verification key is \"whpk_\" and the base64 of 32 bytes")]
    NotEd25519Key,
}

/// The notation in which a vendor hands out its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretForm {
    /// The whole text is the key.
    Text,
    /// `whsec_` and the base64 of the key.
    Whsec,
    /// The base64 of a public key on P-256.
    EcdsaKey,
    /// `whpk_` and the base64 of an Ed25519 public key.
    Ed25519Key,
}

impl SecretForm {
    /// The key bytes of a text.
    fn key(self, text: &str) -> Result<Vec<u8>, SecretError> {
        match self {
            SecretForm::Text if text.is_empty() => Err(SecretError::Empty),
            SecretForm::Text if !text.bytes().all(|b| b.is_ascii_graphic()) => {
                Err(SecretError::NotText)
            }
            SecretForm::Text if is_public_key(text) => Err(SecretError::PublicKey),
            SecretForm::Text => Ok(text.as_bytes().to_vec()),
            SecretForm::Whsec => text
                .strip_prefix("whsec_")
                .and_then(|encoded| STANDARD.decode(encoded).ok())
                .filter(|key| (24..=64).contains(&key.len()))
                .ok_or(SecretError::NotStandardWebhooks),
            SecretForm::EcdsaKey => ecdsa_point(text).ok_or(SecretError::NotEcdsaKey),
            SecretForm::Ed25519Key => ed25519_key(text).ok_or(SecretError::NotEd25519Key),
        }
    }
}

fn ecdsa_point(text: &str) -> Option<Vec<u8>> {
    let info = STANDARD.decode(text).ok()?;
    let point = info.strip_prefix(&P256_INFO)?;
    (point.len() == P256_POINT && point.first() == Some(&4)).then(|| point.to_vec())
}

fn ed25519_key(text: &str) -> Option<Vec<u8>> {
    let key = STANDARD.decode(text.strip_prefix("whpk_")?).ok()?;
    (key.len() == ED25519_KEY).then_some(key)
}

/// Whether a text is a public key in one of the notations that we know.
fn is_public_key(text: &str) -> bool {
    text.starts_with("whpk_") || ecdsa_point(text).is_some()
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

    /// A secret in the notation of whoever handed it out, active in the given span.
    pub fn read(
        form: SecretForm,
        kid: impl Into<String>,
        text: &str,
        (not_before_us, not_after_us): (i64, Option<i64>),
    ) -> Result<Secret, SecretError> {
        Secret::new(kid, form.key(text)?, not_before_us, not_after_us)
    }

    /// A secret in the `whsec_…` notation of Standard Webhooks.
    pub fn standard_webhooks(
        kid: impl Into<String>,
        text: &str,
        not_before_us: i64,
        not_after_us: Option<i64>,
    ) -> Result<Secret, SecretError> {
        Secret::read(SecretForm::Whsec, kid, text, (not_before_us, not_after_us))
    }

    /// The name under which audit records this secret.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// When it begins to count, UTC microseconds.
    pub fn not_before_us(&self) -> i64 {
        self.not_before_us
    }

    /// Whether the secret counts at this time (UTC microseconds).
    pub fn is_active(&self, now_us: i64) -> bool {
        self.not_before_us <= now_us && self.not_after_us.is_none_or(|end| now_us < end)
    }

    /// The key as it is, for a public one.
    pub(super) fn public_key(&self) -> &[u8] {
        &self.key
    }

    /// The HMAC of the parts written one after the other.
    pub(super) fn hmac(&self, algorithm: hmac::Algorithm, parts: &[&[u8]]) -> Vec<u8> {
        let key = hmac::Key::new(algorithm, &self.key);
        let mut context = hmac::Context::with_key(&key);
        for part in parts {
            context.update(part);
        }
        context.sign().as_ref().to_vec()
    }

    /// SHA-256 of the secret and the parts, as the oldest schemes have it.
    pub(super) fn digest(&self, parts: &[&[u8]]) -> Vec<u8> {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&self.key);
        for part in parts {
            context.update(part);
        }
        context.finish().as_ref().to_vec()
    }
}
