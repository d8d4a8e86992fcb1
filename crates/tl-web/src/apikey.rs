//! API keys as text: `tl_<kid>_<secret and checksum>`. The key id is public; of the secret only a keyed
//! digest is stored. The checksum tells a mistyped or cut-off key from a wrong one, and lets scanners find
//! leaked keys without asking us.

use tl_kernel::digest::{Digest, keyed, sha256};

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Random bytes of a key id.
const KID_BYTES: usize = 10;
/// Length of a key id, characters.
const KID_CHARS: usize = 16;
/// Random bytes of a secret.
const SECRET_BYTES: usize = 32;
/// Length of a secret, characters.
const SECRET_CHARS: usize = 52;
/// Length of the checksum, characters.
const CHECK_CHARS: usize = 4;
/// Random bytes that make a key.
pub const RANDOM_BYTES: usize = KID_BYTES + SECRET_BYTES;

/// An API key: its public id and its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKeyText {
    kid: String,
    secret: [u8; SECRET_BYTES],
}

impl std::fmt::Debug for ApiKeyText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ApiKeyText({})", self.kid)
    }
}

/// Why a text is no API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeyError {
    /// Not of the form `tl_<16 characters>_<56 characters>`.
    #[error("the text is no API key: it looks like tl_<id>_<secret>")]
    Form,
    /// Something was mistyped or cut off.
    #[error("the API key's checksum does not fit: something is mistyped or missing")]
    Checksum,
}

impl ApiKeyText {
    /// A key from random bytes, which the caller draws.
    pub fn from_random(random: &[u8; RANDOM_BYTES]) -> ApiKeyText {
        let (kid, rest) = random.split_at(KID_BYTES);
        let mut secret = [0; SECRET_BYTES];
        secret.copy_from_slice(rest);
        ApiKeyText {
            kid: base32(kid),
            secret,
        }
    }

    /// Reads a key. Says nothing about whether anybody issued it.
    pub fn parse(text: &str) -> Result<ApiKeyText, ApiKeyError> {
        let (kid, rest) = text
            .strip_prefix("tl_")
            .and_then(|t| t.split_once('_'))
            .ok_or(ApiKeyError::Form)?;
        if kid.len() != KID_CHARS || rest.len() != SECRET_CHARS + CHECK_CHARS || !rest.is_ascii() {
            return Err(ApiKeyError::Form);
        }
        let (secret, check) = rest.split_at(SECRET_CHARS);
        let read = |t: &str| unbase32(t).ok_or(ApiKeyError::Form);
        read(kid)?;
        let key = ApiKeyText {
            kid: kid.to_owned(),
            secret: read(secret)?.try_into().map_err(|_| ApiKeyError::Form)?,
        };
        if key.check() == check {
            Ok(key)
        } else {
            Err(ApiKeyError::Checksum)
        }
    }

    /// The public id.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// What is stored of the secret: a digest keyed with the tenant's key.
    pub fn hash(&self, tenant_key: &[u8; 32]) -> Digest {
        keyed(tenant_key, &[b"api-key", self.kid.as_bytes(), &self.secret])
    }

    /// The whole key, to be shown to its owner once.
    pub fn to_text(&self) -> String {
        format!("tl_{}_{}{}", self.kid, base32(&self.secret), self.check())
    }

    fn check(&self) -> String {
        let digest = sha256(&[b"throughline api key", self.kid.as_bytes(), &self.secret]);
        base32(&digest)[..CHECK_CHARS].to_owned()
    }
}

/// Five bits per character, the last one padded with zeros.
fn base32(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 8 / 5 + 1);
    let (mut held, mut bits) = (0u32, 0);
    for b in bytes {
        held = (held << 8) | u32::from(*b);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            out.push(char::from(ALPHABET[(held >> bits) as usize & 31]));
        }
        held &= (1 << bits) - 1;
    }
    if bits > 0 {
        out.push(char::from(ALPHABET[(held << (5 - bits)) as usize & 31]));
    }
    out
}

/// The bytes of a text, if it is what `base32` writes: one notation per value.
fn unbase32(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() * 5 / 8);
    let (mut held, mut bits) = (0u32, 0);
    for c in text.bytes() {
        let digit = ALPHABET.iter().position(|a| *a == c)? as u32;
        held = (held << 5) | digit;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out.push((held >> bits) as u8);
        }
        held &= (1 << bits) - 1;
    }
    (held == 0).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_back_and_say_what_is_wrong() {
        let mut random = [0u8; RANDOM_BYTES];
        for (i, b) in random.iter_mut().enumerate() {
            *b = (i * 37 + 11) as u8;
        }
        let key = ApiKeyText::from_random(&random);
        let text = key.to_text();
        assert_eq!(ApiKeyText::parse(&text), Ok(key.clone()));
        assert_ne!(key.hash(&[1; 32]), key.hash(&[2; 32]), "keyed per tenant");
        assert!(
            !format!("{key:?}").contains(&text[22..40]),
            "the secret is not shown"
        );

        let mut flipped = text.clone().into_bytes();
        flipped[30] = if flipped[30] == b'0' { b'1' } else { b'0' };
        let table = [
            (String::from_utf8(flipped).unwrap(), ApiKeyError::Checksum),
            (text[..text.len() - 1].to_owned(), ApiKeyError::Form),
            (format!("{text}0"), ApiKeyError::Form),
            (text.to_uppercase(), ApiKeyError::Form),
            (text.replace("tl_", "tk_"), ApiKeyError::Form),
            (String::new(), ApiKeyError::Form),
            ("tl__".into(), ApiKeyError::Form),
            (
                format!("tl_{}_{}", "é".repeat(8), "é".repeat(28)),
                ApiKeyError::Form,
            ),
        ];
        for (text, want) in table {
            assert_eq!(ApiKeyText::parse(&text), Err(want), "{text}");
        }
    }
}
