//! The senders of the demo: websites, partners, mail servers, phones. They sign and post as the real ones do,
//! and spoil a request in the one way an entry asks for.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Map, Value as Json};
use tl_wire::signature::{HmacScheme, Scheme, Secret, Stamp, sign};

use super::corpus::Entry;
use super::scene::{Kind, file, kind_of};

/// Addresses and secrets of the doors.
#[derive(Debug, Clone)]
pub struct Doors {
    /// `http://127.0.0.1:PORT`.
    pub base: String,
    /// Secrets of the HMAC doors, by door.
    pub hmac: BTreeMap<String, String>,
    /// Secret of the partners' door, `whsec_…`; empty where there is none.
    pub webhook: String,
    /// The API key of those that write by the API.
    pub api_key: String,
}

/// What a door answered.
#[derive(Debug, Clone)]
pub struct Answered {
    /// HTTP status.
    pub status: u16,
    /// `event_id`, where there is one.
    pub event: Option<String>,
}

/// One request on its way.
struct Post {
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// Sends messages to the doors.
#[derive(Debug)]
pub struct Sender {
    doors: Doors,
    kinds: &'static [(&'static str, Kind)],
    http: reqwest::Client,
}

impl Sender {
    /// A sender to these doors.
    pub fn new(doors: Doors, kinds: &'static [(&'static str, Kind)]) -> anyhow::Result<Sender> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(30))
            // Well before the doors close an idle connection: a message must not meet a door that is closing.
            .pool_idle_timeout(Duration::from_secs(1))
            .build()?;
        Ok(Sender { doors, kinds, http })
    }

    /// Sends one message and returns the answer. `now` in seconds since the Unix epoch.
    pub async fn send(&self, entry: &Entry, key: &str, now: i64) -> anyhow::Result<Answered> {
        let post = self.post(entry, key, now)?;
        let mut request = self
            .http
            .post(format!("{}{}", self.doors.base, post.path))
            .body(post.body);
        for (name, value) in post.headers {
            request = request.header(name, value);
        }
        // A door refuses what is too large before it is read, and closes: whoever still writes may not hear the answer.
        let mut again = match entry.attack.as_deref() {
            Some("oversized") => 9,
            _ => 0,
        };
        let answer = loop {
            let copy = request.try_clone().context("the body can be sent again")?;
            match copy.send().await {
                Err(_) if again > 0 => again -= 1,
                other => break other.with_context(|| format!("sending {}", entry.id))?,
            }
        };
        let status = answer.status().as_u16();
        let body: Json = serde_json::from_slice(&answer.bytes().await?).unwrap_or(Json::Null);
        let event = body
            .get("event_id")
            .and_then(Json::as_str)
            .map(str::to_owned);
        Ok(Answered { status, event })
    }

    fn post(&self, entry: &Entry, key: &str, now: i64) -> anyhow::Result<Post> {
        let Some(kind) = kind_of(self.kinds, &entry.door) else {
            bail!("{}: there is no door `{}`", entry.id, entry.door);
        };
        let (path, mut content_type, mut body) = shape(entry, kind)?;
        let attack = entry.attack.as_deref().unwrap_or("");
        let mut headers: Vec<(String, String)> = Vec::new();
        match attack {
            "oversized" => body.extend(std::iter::repeat_n(b' ', 2 * 1024 * 1024)),
            "deep_nesting" => {
                let mut deep = b"[".repeat(5_000);
                deep.extend_from_slice(&body);
                deep.extend(b"]".repeat(5_000));
                body = deep;
            }
            "not_utf8" => {
                if let Some(at) = body.iter().position(|b| b.is_ascii_lowercase()) {
                    body[at] = 0xff;
                }
            }
            "wrong_content_type" => content_type = "text/plain".into(),
            "gzip" => headers.push(("content-encoding".into(), "gzip".into())),
            _ => {}
        }
        let path = if attack == "unknown_endpoint" {
            path.replace(&entry.door, "nowhere")
        } else {
            path
        };
        headers.push(("content-type".into(), content_type));
        headers.extend(self.credentials((entry, kind), key, now, &body)?);
        Ok(Post {
            path,
            headers,
            body,
        })
    }

    /// The headers that prove who sends.
    fn credentials(
        &self,
        (entry, kind): (&Entry, Kind),
        key: &str,
        now: i64,
        body: &[u8],
    ) -> anyhow::Result<Vec<(String, String)>> {
        let attack = entry.attack.as_deref().unwrap_or("");
        let mut headers = Vec::new();
        match kind {
            Kind::Api => {
                headers.push(("idempotency-key".into(), key.into()));
                let key = match attack {
                    "no_signature" => None,
                    "wrong_secret" | "bad_signature" => Some("tl_nobody_0000".to_owned()),
                    _ => Some(self.doors.api_key.clone()),
                };
                headers.extend(key.map(|k| ("authorization".to_owned(), format!("Bearer {k}"))));
                return Ok(headers);
            }
            Kind::Partner => {
                let secret = match attack {
                    "wrong_secret" => "whsec_d3JvbmctZGVtby1zZWNyZXQtMDEyMzQ1Njc4OQ==",
                    _ => &self.doors.webhook,
                };
                let secret = Secret::standard_webhooks("demo", secret, 0, None)?;
                let timestamp_s = if attack == "stale_timestamp" {
                    now - 3_600
                } else {
                    now
                };
                let stamp = Stamp {
                    delivery_id: Some(key),
                    timestamp_s,
                };
                headers = sign(&Scheme::StandardWebhooks, &secret, stamp, body)?;
            }
            Kind::Json | Kind::Mail | Kind::Form | Kind::File => {
                let key_bytes = match attack {
                    "wrong_secret" => b"not-the-secret-of-this-door".to_vec(),
                    _ => self
                        .doors
                        .hmac
                        .get(&entry.door)
                        .cloned()
                        .unwrap_or_default()
                        .into_bytes(),
                };
                let secret = Secret::new("demo", key_bytes, 0, None)?;
                let stamp = Stamp {
                    delivery_id: None,
                    timestamp_s: now,
                };
                headers = sign(&Scheme::Hmac(HmacScheme::default()), &secret, stamp, body)?;
                headers.push(("idempotency-key".into(), key.into()));
            }
        }
        match attack {
            "no_signature" => {
                headers.retain(|(name, _)| !name.to_lowercase().contains("signature"))
            }
            "bad_signature" => {
                for (name, value) in &mut headers {
                    if name.to_lowercase().contains("signature") {
                        *value = flipped(value);
                    }
                }
            }
            _ => {}
        }
        Ok(headers)
    }
}

/// The last digit changed: still well formed, no longer right.
fn flipped(signature: &str) -> String {
    let mut bytes = signature.as_bytes().to_vec();
    if let Some(b) = bytes.iter_mut().rev().find(|b| b.is_ascii_alphanumeric()) {
        *b = if *b == b'0' { b'1' } else { b'0' };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Path, content type and bytes of an entry.
fn shape(entry: &Entry, kind: Kind) -> anyhow::Result<(String, String, Vec<u8>)> {
    let path = match kind {
        Kind::Json | Kind::Partner | Kind::Mail | Kind::File => {
            format!("/hooks/default/{}", entry.door)
        }
        Kind::Form => format!("/forms/default/{}", entry.door),
        Kind::Api => "/v1/events".into(),
    };
    if let Some(name) = &entry.file {
        let found = file(name).with_context(|| format!("there is no file {name}"))?;
        return Ok((path, found.0.to_owned(), found.1.to_vec()));
    }
    let kind = match (kind, entry.encoding.as_deref()) {
        (Kind::Mail, _) => "message/rfc822",
        (Kind::Form, None) => "application/x-www-form-urlencoded",
        (Kind::Form, Some(_)) => "multipart/form-data; boundary=throughline-demo",
        (Kind::Json | Kind::Partner | Kind::Api | Kind::File, _) => "application/json",
    };
    let body = match (&entry.raw, &entry.mail, &entry.body) {
        (Some(raw), _, _) => raw.clone().into_bytes(),
        (_, Some(mail), _) => encoded(mail, entry.charset.as_deref()),
        (_, _, Some(fields)) if kind.starts_with("multipart") => multipart(fields),
        (_, _, Some(fields)) if kind.starts_with("application/x") => urlencoded(fields),
        (_, _, Some(fields)) => serde_json::to_vec(fields)?,
        _ => Vec::new(),
    };
    Ok((path, kind.into(), body))
}

fn encoded(mail: &str, charset: Option<&str>) -> Vec<u8> {
    let crlf = mail.replace('\n', "\r\n");
    match charset {
        Some("iso-8859-1") => crlf
            .chars()
            .map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?'))
            .collect(),
        _ => crlf.into_bytes(),
    }
}

fn text_of(value: &Json) -> String {
    match value {
        Json::String(s) => s.clone(),
        other => other.to_string(),
    }
}

fn urlencoded(fields: &Map<String, Json>) -> Vec<u8> {
    let encode = |t: &str| {
        let mut out = String::new();
        for b in t.bytes() {
            match b {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' => {
                    out.push(char::from(b))
                }
                b' ' => out.push('+'),
                other => out.push_str(&format!("%{other:02X}")),
            }
        }
        out
    };
    let pairs: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(&text_of(value))))
        .collect();
    pairs.join("&").into_bytes()
}

fn multipart(fields: &Map<String, Json>) -> Vec<u8> {
    let mut out = String::new();
    for (name, value) in fields {
        out.push_str(&format!(
            "--throughline-demo\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{}\r\n",
            text_of(value)
        ));
    }
    out.push_str("--throughline-demo--\r\n");
    out.into_bytes()
}
