//! The installation's key, and what is sealed under it: secrets of endpoints. The key lies beside the database,
//! readable by its owner alone; a copy of the database without it opens no secret.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tl_kernel::digest::{hex, keyed};
use tl_kernel::id::TenantId;
use tl_kernel::program::Auth;
use tl_wire::signature::{Secret, SecretError, SecretForm, preset};

use crate::failure::Failure;

/// Name of the key's file in the data directory.
pub const FILE: &str = "installation.key";
/// First byte of a sealed secret: AES-256-GCM-SIV, nonce in front, under the key derived for secrets.
const SEALED_V1: u8 = 1;
/// Length of a nonce.
const NONCE: usize = 12;
/// Random bytes of an endpoint's secret.
const SECRET_BYTES: usize = 32;

/// The installation's key and what it opens.
pub struct Vault {
    installation: [u8; 32],
    secrets: RandomizedNonceKey,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault")
    }
}

impl Vault {
    /// Reads the key of a data directory. Without one a new key is drawn, unless there is data already:
    /// then the key is lost, and a new one would open none of its secrets.
    pub fn open(data_dir: &Path, has_data: bool) -> Result<Vault, Failure> {
        let path = data_dir.join(FILE);
        let shown = path.display();
        match std::fs::read_to_string(&path) {
            Ok(text) => match unhex(text.trim()) {
                Some(key) => Vault::new(key),
                None => Err(Failure::unreachable(format!(
                    "TL0630 {shown} does not hold 64 hexadecimal digits. Restore it from your backup of keys"
                ))),
            },
            Err(e) if e.kind() == ErrorKind::NotFound && has_data => {
                Err(Failure::unreachable(format!(
                    "TL0631 there is a database but no {shown}. Restore the key from your backup of keys, or copy it \
                     from another node; a new one would open none of the stored secrets"
                )))
            }
            Err(e) if e.kind() == ErrorKind::NotFound => {
                let key: [u8; 32] = random()?;
                create(&path, &key).map_err(|e| {
                    Failure::unreachable(format!("TL0610 cannot write {shown}: {e}"))
                })?;
                Vault::new(key)
            }
            Err(e) => Err(Failure::unreachable(format!(
                "TL0610 cannot read {shown}: {e}"
            ))),
        }
    }

    /// A vault with a key.
    pub fn new(installation: [u8; 32]) -> Result<Vault, Failure> {
        let key = keyed(&installation, &[b"endpoint secrets"]);
        let secrets = RandomizedNonceKey::new(&AES_256_GCM_SIV, &key)
            .map_err(|_| Failure::unreachable("TL0630 the key cannot be used"))?;
        Ok(Vault {
            installation,
            secrets,
        })
    }

    /// The installation's key.
    pub fn key(&self) -> &[u8; 32] {
        &self.installation
    }

    /// A number that tells this key from others and says nothing about it.
    pub fn fingerprint(&self) -> i64 {
        let digest = keyed(&self.installation, &[b"fingerprint"]);
        let bytes: [u8; 8] = std::array::from_fn(|i| digest[i]);
        (u64::from_be_bytes(bytes) >> 2) as i64 + 1
    }

    /// Seals the text of an endpoint's secret for its place.
    pub fn seal(&self, place: Place<'_>, text: &str) -> Result<Vec<u8>, Failure> {
        let mut bytes = text.as_bytes().to_vec();
        let nonce = self
            .secrets
            .seal_in_place_append_tag(Aad::from(place.bytes()), &mut bytes)
            .map_err(|_| Failure::unreachable("the secret cannot be sealed"))?;
        let mut out = vec![SEALED_V1];
        out.extend_from_slice(nonce.as_ref());
        out.extend(bytes);
        Ok(out)
    }

    /// Opens a sealed secret; `None` where it was sealed for another place or under another key.
    pub fn open_secret(&self, place: Place<'_>, sealed: &[u8]) -> Option<String> {
        let (version, rest) = sealed.split_first()?;
        if *version != SEALED_V1 || rest.len() < NONCE {
            return None;
        }
        let (nonce, bytes) = rest.split_at(NONCE);
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut bytes = bytes.to_vec();
        let text = self
            .secrets
            .open_in_place(nonce, Aad::from(place.bytes()), &mut bytes)
            .ok()?;
        String::from_utf8(text.to_vec()).ok()
    }
}

/// Where a sealed secret belongs: moved elsewhere, it does not open.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The tenant.
    pub tenant: TenantId,
    /// The door.
    pub endpoint: &'a str,
    /// The secret's id.
    pub kid: &'a str,
}

impl Place<'_> {
    fn bytes(self) -> Vec<u8> {
        let mut out = self.tenant.0.to_be_bytes().to_vec();
        for part in [self.endpoint, self.kid] {
            out.extend((part.len() as u32).to_be_bytes());
            out.extend_from_slice(part.as_bytes());
        }
        out
    }
}

/// A fresh secret for an endpoint: in the notation of Standard Webhooks, or as hexadecimal digits.
pub fn fresh_secret(standard_webhooks: bool) -> Result<String, Failure> {
    let bytes: [u8; SECRET_BYTES] = random()?;
    Ok(if standard_webhooks {
        format!("whsec_{}", STANDARD.encode(bytes))
    } else {
        hex(&bytes)
    })
}

/// The signing key that a secret's text stands for: the bytes behind `whsec_` and base64, else the text itself.
pub fn signing_key(
    text: &str,
    kid: &str,
    (not_before, not_after): (i64, Option<i64>),
) -> Result<Secret, SecretError> {
    if text.starts_with("whsec_") {
        Secret::standard_webhooks(kid, text, not_before, not_after)
    } else {
        Secret::read(SecretForm::Text, kid, text, (not_before, not_after))
    }
}

/// The key of a door from its secret's text: in the notation of the door's vendor where it has one.
pub fn door_key(
    auth: &[Auth],
    text: &str,
    kid: &str,
    span: (i64, Option<i64>),
) -> Result<Secret, SecretError> {
    let named = auth.iter().find_map(Auth::preset);
    match named.and_then(|p| preset(p.word)) {
        Some(row) => row.secret(kid, text, span),
        None => signing_key(text, kid, span),
    }
}

/// Random bytes from the operating system's generator.
pub fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut out = [0; N];
    aws_lc_rs::rand::fill(&mut out)
        .map_err(|_| Failure::unreachable("no random numbers can be drawn"))?;
    Ok(out)
}

fn create(path: &Path, key: &[u8; 32]) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{}", hex(key))?;
    file.sync_all()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    hex::decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'_> = Place {
        tenant: TenantId(1),
        endpoint: "leads",
        kid: "k1",
    };

    #[test]
    fn the_key_is_made_once_and_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let first = Vault::open(dir.path(), false).unwrap();
        let again = Vault::open(dir.path(), true).unwrap();
        assert_eq!(first.key(), again.key());
        assert!(first.fingerprint() > 0);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(dir.path().join(FILE))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        std::fs::remove_file(dir.path().join(FILE)).unwrap();
        assert_eq!(Vault::open(dir.path(), true).unwrap_err().code, "TL0631");
        std::fs::write(dir.path().join(FILE), "short").unwrap();
        assert_eq!(Vault::open(dir.path(), true).unwrap_err().code, "TL0630");
    }

    #[test]
    fn a_secret_opens_at_its_place_alone() {
        let vault = Vault::new([7; 32]).unwrap();
        let sealed = vault.seal(PLACE, "whsec_x").unwrap();
        assert_eq!(
            vault.open_secret(PLACE, &sealed).as_deref(),
            Some("whsec_x")
        );
        let elsewhere = [
            Place {
                tenant: TenantId(2),
                ..PLACE
            },
            Place {
                endpoint: "lead",
                ..PLACE
            },
            Place { kid: "k2", ..PLACE },
        ];
        for place in elsewhere {
            assert_eq!(vault.open_secret(place, &sealed), None, "{place:?}");
        }
        assert_eq!(
            Vault::new([8; 32]).unwrap().open_secret(PLACE, &sealed),
            None
        );
        assert_eq!(vault.open_secret(PLACE, &sealed[..10]), None);
    }

    #[test]
    fn a_fresh_secret_makes_a_key() {
        for standard in [true, false] {
            let text = fresh_secret(standard).unwrap();
            assert_eq!(text.starts_with("whsec_"), standard);
            assert!(signing_key(&text, "k", (0, None)).is_ok());
            assert_ne!(fresh_secret(standard).unwrap(), text);
        }
    }
}
