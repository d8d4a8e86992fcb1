//! The question a vendor asks before it sends anything: whether the address is ours. The answer stores nothing.

use aws_lc_rs::{constant_time, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;

use super::{Preset, Secret, SignatureError};
use crate::form::{self, Form, Limits};

/// Longest text that is given back, in bytes.
const MAX_ECHO: usize = 255;
/// What the verify token is made of, with the secret as key. It is no JSON, so it is no body that could be signed.
const TOKEN_OF: &[u8] = b"throughline verify token";
/// Hexadecimal digits of the verify token.
const TOKEN_DIGITS: usize = 32;

/// How a vendor asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Challenge {
    /// A signed post of type `url_verification`; its `challenge` is given back.
    SlackUrl,
    /// A request with `hub.mode`, `hub.verify_token` and `hub.challenge`.
    Hub,
    /// A request with `crc_token`, to be signed with the secret.
    Crc,
}

/// What is answered, with status 200.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub content_type: &'static str,
    pub body: String,
}

impl Preset {
    /// The answer to a verified post that is a question.
    pub fn answer_post(&self, body: &[u8]) -> Option<Reply> {
        if self.challenge != Some(Challenge::SlackUrl) {
            return None;
        }
        let question: Json = serde_json::from_slice(body).ok()?;
        if question.get("type")?.as_str()? != "url_verification" {
            return None;
        }
        echo(question.get("challenge")?.as_str()?)
    }

    /// The answer to a request without a body whose query is a question.
    pub fn answer_get(&self, query: &str, secrets: &[Secret], now_us: i64) -> Option<Reply> {
        let question = form::parse_urlencoded(query.as_bytes(), &Limits::default()).ok()?;
        let active = || secrets.iter().filter(|secret| secret.is_active(now_us));
        match self.challenge? {
            Challenge::SlackUrl => None,
            Challenge::Hub => {
                let known = active().fold(false, |known, s| known | knows(s, &question));
                let asked = question.field("hub.mode") == Some("subscribe");
                (known && asked)
                    .then(|| question.field("hub.challenge"))
                    .flatten()
                    .and_then(echo)
            }
            Challenge::Crc => {
                let newest = active().max_by_key(|secret| secret.not_before_us())?;
                sign_token(newest, question.field("crc_token")?)
            }
        }
    }

    /// The token to enter at the vendor beside the address, where it asks for one. It follows from the secret, so
    /// it changes with it.
    pub fn verify_token(&self, secret: &Secret) -> Option<String> {
        (self.challenge == Some(Challenge::Hub)).then(|| token(secret))
    }

    /// Whoever may have any text signed must not be able to have a body signed that way: where the vendor's
    /// question is a text to be signed, a body is an object and a question never is.
    pub(super) fn admits_body(&self, body: &[u8]) -> Result<(), SignatureError> {
        if self.challenge == Some(Challenge::Crc) && body.first() != Some(&b'{') {
            return Err(SignatureError::Malformed("body".to_owned()));
        }
        Ok(())
    }
}

fn token(secret: &Secret) -> String {
    let mut digits = hex::encode(secret.hmac(hmac::HMAC_SHA256, &[TOKEN_OF]));
    digits.truncate(TOKEN_DIGITS);
    digits
}

fn knows(secret: &Secret, question: &Form) -> bool {
    let given = question.field("hub.verify_token").unwrap_or_default();
    constant_time::verify_slices_are_equal(token(secret).as_bytes(), given.as_bytes()).is_ok()
}

/// Letters, digits and what encodings of numbers need: no markup, no JSON.
fn is_plain(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~+/=".contains(&b);
    (1..=MAX_ECHO).contains(&text.len()) && text.bytes().all(plain)
}

fn echo(text: &str) -> Option<Reply> {
    is_plain(text).then(|| Reply {
        content_type: "text/plain; charset=utf-8",
        body: text.to_owned(),
    })
}

fn sign_token(secret: &Secret, text: &str) -> Option<Reply> {
    is_plain(text).then(|| {
        let tag = STANDARD.encode(secret.hmac(hmac::HMAC_SHA256, &[text.as_bytes()]));
        Reply {
            content_type: "application/json",
            body: format!("{{\"response_token\":\"sha256={tag}\"}}"),
        }
    })
}
