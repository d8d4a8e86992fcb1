//! Passwords: hashed with Argon2id, a few at a time, and the same work whether the account exists or not.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

use crate::trouble::Trouble;

/// Hashes that are made at once: each takes 19 MiB.
const AT_ONCE: usize = 2;
/// Fewest characters of a password.
pub(crate) const SHORTEST: usize = 12;
/// Most bytes of a password.
const LONGEST: usize = 256;

/// Makes and checks hashes.
#[derive(Debug, Clone)]
pub(crate) struct Passwords {
    room: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Passwords {
        Passwords {
            room: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

impl Passwords {
    /// The PHC string of a password.
    pub(crate) async fn hash(&self, password: String, salt: [u8; 32]) -> Result<String, Trouble> {
        let hash = self.work(move || {
            let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt[..16]);
            hash.map(|h| h.to_string()).ok()
        });
        hash.await?
            .ok_or_else(|| Trouble::unavailable("The password could not be kept. Try another one."))
    }

    /// Whether a password belongs to a PHC string; an account that is not there costs the same.
    pub(crate) async fn fits(
        &self,
        password: String,
        phc: Option<String>,
    ) -> Result<bool, Trouble> {
        self.work(move || match phc {
            Some(phc) => Argon2::default()
                .verify_password(password.as_bytes(), phc.as_str())
                .is_ok(),
            None => {
                let nobody = Argon2::default()
                    .hash_password_with_salt(password.as_bytes(), b"nobody has this!");
                // The hash is thrown away: it was made for the time that it takes.
                drop(nobody);
                false
            }
        })
        .await
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Trouble> {
        let busy = || Trouble::unavailable("Signing in is not possible right now. Try again.");
        let permit = Arc::clone(&self.room).acquire_owned().await;
        let permit = permit.map_err(|_| busy())?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(permit);
            done
        });
        done.await.map_err(|_| busy())
    }
}

/// What is wrong with a new password; `None` where nothing is.
pub(crate) fn fault(password: &str, name: &str) -> Option<&'static str> {
    if password.chars().count() < SHORTEST {
        return Some("Use at least 12 characters: four plain words are fine.");
    }
    if password.len() > LONGEST {
        return Some("Use at most 256 bytes.");
    }
    let flat = password.to_lowercase();
    let same = flat.chars().all(|c| flat.starts_with(c));
    let beside = flat.replace(&name.to_lowercase(), "");
    if same || (!name.is_empty() && beside.chars().count() < 8) {
        return Some("That is guessed too easily: not your name, not one letter again and again.");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_fits_its_hash_and_no_other_does() {
        let p = Passwords::default();
        let phc = p
            .hash("correct horse battery".into(), [7; 32])
            .await
            .unwrap();
        assert!(phc.starts_with("$argon2id$v=19$"), "{phc}");
        for (given, known, want) in [
            ("correct horse battery", Some(phc.clone()), true),
            ("correct horse batterx", Some(phc.clone()), false),
            ("correct horse battery", Some("no hash".into()), false),
            ("correct horse battery", None, false),
        ] {
            assert_eq!(p.fits(given.into(), known).await.unwrap(), want, "{given}");
        }
    }

    #[test]
    fn weak_passwords_are_told() {
        for (given, fine) in [
            ("short", false),
            ("aaaaaaaaaaaaaa", false),
            ("anna-dach-12345", false),
            ("anna-dachanna-dach", false),
            ("four plain words here", true),
            ("pässwörter sind lang", true),
        ] {
            assert_eq!(fault(given, "anna-dach").is_none(), fine, "{given}");
        }
    }
}
