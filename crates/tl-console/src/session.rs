//! Who is signed in: a random token in a cookie, its digest in the store, one-time links, and a limit on guessing.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, header};
use tl_kernel::digest::{Digest, sha256};
use tl_kernel::time::{DAY, HOUR, MINUTE};

use crate::access::Role;

/// A session ends when nobody used it for so long, µs.
pub(crate) const IDLE: i64 = 12 * HOUR;
/// A session ends after this, used or not, µs.
pub(crate) const LONGEST: i64 = 7 * DAY;
/// How exactly a session knows when it was seen, µs.
pub(crate) const SEEN_EVERY: i64 = 5 * MINUTE;
/// A one-time link is good for so long, µs.
const LINK_LIVES: i64 = DAY;
/// Attempts to sign in that fail before an account waits.
const ATTEMPTS: u32 = 5;
/// How long it waits, µs.
const WAIT: i64 = 15 * MINUTE;
/// Names whose failures are remembered.
const REMEMBERED: usize = 10_000;

/// A fresh token: what the browser holds, and what the store knows of it.
pub(crate) fn token(random: [u8; 32]) -> (String, Digest) {
    let text = URL_SAFE_NO_PAD.encode(random);
    let digest = digest_of(&text);
    (text, digest)
}

/// What the store knows of a token.
pub(crate) fn digest_of(token: &str) -> Digest {
    sha256(&[b"console session\0", token.as_bytes()])
}

/// The cookie of a console.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cookie {
    /// Reached over https: the cookie is bound to the host and never sent otherwise.
    pub(crate) secure: bool,
}

impl Cookie {
    fn name(self) -> &'static str {
        // The prefix asks for https, which a console on the own machine has not.
        match self.secure {
            true => "__Host-throughline",
            false => "throughline",
        }
    }

    /// The token that a request brings.
    pub(crate) fn read(self, headers: &HeaderMap) -> Option<String> {
        let pairs = headers.get_all(header::COOKIE).iter();
        let mut pairs = pairs
            .filter_map(|v| v.to_str().ok())
            .flat_map(|v| v.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        let (_, token) = pairs.find(|(name, _)| *name == self.name())?;
        Some(token.to_owned()).filter(|t| t.len() == 43)
    }

    /// Gives a token to the browser, or takes it back.
    pub(crate) fn write(self, token: Option<&str>) -> Option<HeaderValue> {
        let secure = if self.secure { "; Secure" } else { "" };
        let (value, age) = match token {
            Some(token) => (token, LONGEST / 1_000_000),
            None => ("", 0),
        };
        let text = format!(
            "{}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={age}{secure}",
            self.name()
        );
        HeaderValue::from_str(&text).ok()
    }
}

/// What a one-time link is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Link {
    /// The first owner chooses name and password.
    FirstOwner,
    /// Somebody who was invited chooses a password.
    Invited {
        /// Account name.
        name: String,
        /// Name as people write it.
        shown: String,
        /// Role.
        role: Role,
        /// Who invited.
        by: String,
    },
}

/// One-time links that are open, by the digest of their token. They do not outlive the process: what the store does
/// not know cannot be stolen from it.
#[derive(Debug, Default)]
pub(crate) struct Links {
    open: Mutex<BTreeMap<Digest, (Link, i64)>>,
}

impl Links {
    /// A fresh link's token.
    pub(crate) fn make(&self, link: Link, random: [u8; 32], now: i64) -> String {
        let (text, digest) = token(random);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, (known, ends)| *ends > now && *known != link);
        open.insert(digest, (link, now + LINK_LIVES));
        text
    }

    /// What a link is for, while it is open.
    pub(crate) fn find(&self, token: &str, now: i64) -> Option<Link> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let (link, ends) = open.get(&digest_of(token))?;
        (*ends > now).then(|| link.clone())
    }

    /// Uses a link up. False where somebody else has.
    pub(crate) fn take(&self, token: &str) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(&digest_of(token)).is_some()
    }
}

/// Attempts that failed, by name: whoever guesses waits.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    failed: Mutex<BTreeMap<String, (u32, i64)>>,
}

impl Attempts {
    /// How long a name has to wait, µs.
    pub(crate) fn wait(&self, name: &str, now: i64) -> Option<i64> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, last) = failed.get(name)?;
        (*count >= ATTEMPTS && now < last + WAIT).then(|| last + WAIT - now)
    }

    /// An attempt failed.
    pub(crate) fn failed(&self, name: &str, now: i64) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.len() >= REMEMBERED {
            failed.retain(|_, (_, last)| now < *last + WAIT);
        }
        let entry = failed.entry(name.to_owned()).or_insert((0, now));
        if now >= entry.1 + WAIT {
            entry.0 = 0;
        }
        *entry = (entry.0 + 1, now);
    }

    /// An attempt succeeded.
    pub(crate) fn forget(&self, name: &str) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_reads_back() {
        for secure in [true, false] {
            let cookie = Cookie { secure };
            let (text, digest) = token([9; 32]);
            let set = cookie.write(Some(&text)).unwrap();
            let set = set.to_str().unwrap();
            assert_eq!(set.starts_with("__Host-"), secure);
            assert_eq!(set.ends_with("; Secure"), secure);
            let pair = set.split(';').next().unwrap();
            let mut headers = HeaderMap::new();
            let sent = format!("other=1; {pair}; more=2");
            headers.insert(header::COOKIE, HeaderValue::from_str(&sent).unwrap());
            let read = cookie.read(&headers).unwrap();
            assert_eq!((digest_of(&read), read), (digest, text));
            headers.insert(
                header::COOKIE,
                HeaderValue::from_static("throughline=short"),
            );
            assert_eq!(cookie.read(&headers), None);
        }
    }

    #[test]
    fn a_link_works_once_and_not_for_ever() {
        let links = Links::default();
        let first = links.make(Link::FirstOwner, [1; 32], 0);
        assert_eq!(links.find(&first, 0), Some(Link::FirstOwner));
        assert_eq!(links.find(&first, LINK_LIVES), None);
        let second = links.make(Link::FirstOwner, [2; 32], 0);
        assert_eq!(links.find(&first, 0), None, "a newer one replaces it");
        assert!(links.take(&second));
        assert!(!links.take(&second));
    }

    #[test]
    fn whoever_guesses_waits() {
        let attempts = Attempts::default();
        for n in 0..ATTEMPTS {
            assert_eq!(attempts.wait("ana", 0), None, "{n}");
            attempts.failed("ana", 0);
        }
        assert_eq!(attempts.wait("ana", 0), Some(WAIT));
        assert_eq!(attempts.wait("bo", 0), None);
        assert_eq!(attempts.wait("ana", WAIT), None);
        attempts.failed("ana", WAIT);
        assert_eq!(attempts.wait("ana", WAIT), None, "it counts anew");
        attempts.failed("bo", 0);
        attempts.forget("bo");
        assert_eq!(attempts.wait("bo", 0), None);
    }
}
