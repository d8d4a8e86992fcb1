//! Requests and answers as bytes.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;
use tl_wire::signature::{
    Encoding, HmacScheme, Scheme, Secret, Sending, SignedString, Stamp, preset, sign, sign_for,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::world::{JWT_SECRET, NOW, SECRET};

/// A request to be written.
#[derive(Debug, Clone)]
pub struct Req {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// It has no Idempotency-Key, because the test says so.
    keyless: bool,
}

impl Req {
    pub fn new(method: &str, target: &str) -> Req {
        Req {
            method: method.into(),
            target: target.into(),
            headers: vec![("host".into(), "throughline.example".into())],
            body: Vec::new(),
            keyless: false,
        }
    }

    pub fn get(target: &str) -> Req {
        Req::new("GET", target)
    }

    /// A JSON body.
    pub fn post(target: &str, body: impl Into<Vec<u8>>) -> Req {
        Req::new("POST", target).json(body)
    }

    pub fn json(self, body: impl Into<Vec<u8>>) -> Req {
        self.header("content-type", "application/json").body(body)
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Req {
        self.body = body.into();
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Req {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Replaces a header.
    pub fn set(mut self, name: &str, value: &str) -> Req {
        self.headers.retain(|(n, _)| n != name);
        self.header(name, value)
    }

    /// Takes a header away.
    pub fn without(mut self, name: &str) -> Req {
        self.keyless |= name == "idempotency-key";
        self.headers.retain(|(n, _)| n != name);
        self
    }

    pub fn bearer(self, token: &str) -> Req {
        self.set("authorization", &format!("Bearer {token}"))
    }

    /// Signed as most doors want it: HMAC over the body.
    pub fn signed(self) -> Req {
        self.signed_with(SECRET)
    }

    pub fn signed_with(mut self, secret: &str) -> Req {
        let scheme = Scheme::Hmac(HmacScheme::default());
        for (name, value) in sign(&scheme, &key(secret), stamp(None, 0), &self.body).unwrap() {
            self = self.set(&name, &value);
        }
        self
    }

    /// Signed with a timestamp, so many seconds from now.
    pub fn timed(mut self, seconds: i64) -> Req {
        let scheme = Scheme::Hmac(HmacScheme {
            signed: SignedString::parse("{timestamp}.{body}").unwrap(),
            timestamp_header: Some("x-timestamp".into()),
            ..HmacScheme::default()
        });
        for (name, value) in sign(&scheme, &key(SECRET), stamp(None, seconds), &self.body).unwrap()
        {
            self = self.set(&name, &value);
        }
        self
    }

    /// Signed as Standard Webhooks want it.
    pub fn standard(mut self, id: &str, seconds: i64) -> Req {
        let stamp = stamp(Some(id), seconds);
        for (name, value) in
            sign(&Scheme::StandardWebhooks, &key(SECRET), stamp, &self.body).unwrap()
        {
            self = self.set(&name, &value);
        }
        self
    }

    /// Signed as a vendor signs it, for an address that begins like this.
    pub fn by_vendor(mut self, name: &str, (base, id): (&str, &str), secret: &str) -> Req {
        let scheme = Scheme::Preset(preset(name).unwrap());
        let sending = Sending {
            stamp: stamp(Some(id), 0),
            method: &self.method,
            url: Some(&format!("{base}{}", self.target)),
            body: &self.body,
        };
        for (name, value) in sign_for(&scheme, &key(secret), &sending).unwrap() {
            self = self.set(&name, &value);
        }
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut out = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        for (name, value) in &self.headers {
            out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        out.extend_from_slice(self.own_key().as_bytes());
        let declared = self
            .headers
            .iter()
            .any(|(n, _)| n == "content-length" || n == "transfer-encoding");
        if !declared && (!self.body.is_empty() || self.method != "GET") {
            out.extend_from_slice(format!("content-length: {}\r\n", self.body.len()).as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.body);
        out
    }

    /// The Idempotency-Key of a message whose test says nothing of one: a sender has one for each body.
    fn own_key(&self) -> String {
        let door = ["/hooks/", "/forms/"]
            .iter()
            .any(|p| self.target.starts_with(p));
        let given = |(n, _): &(String, String)| n.ends_with("idempotency-key");
        if !door || self.keyless || self.headers.iter().any(given) {
            return String::new();
        }
        let mut hasher = DefaultHasher::new();
        self.body.hash(&mut hasher);
        format!("idempotency-key: body-{:x}\r\n", hasher.finish())
    }
}

fn key(secret: &str) -> Secret {
    Secret::new("test", secret, 0, None).unwrap()
}

fn stamp(delivery_id: Option<&str>, seconds: i64) -> Stamp<'_> {
    Stamp {
        delivery_id,
        timestamp_s: NOW / 1_000_000 + seconds,
    }
}

/// A token of our issuer for a subject, valid for so many seconds.
pub fn token(subject: &str, expires_in: i64) -> String {
    signed_token(r#"{"alg":"HS256","typ":"JWT"}"#, subject, expires_in)
}

/// The same, naming its key.
pub fn token_of(kid: &str, subject: &str, expires_in: i64) -> String {
    let header = format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#);
    signed_token(&header, subject, expires_in)
}

fn signed_token(header: &str, subject: &str, expires_in: i64) -> String {
    let claims = format!(
        r#"{{"iss":"https://id.example","aud":"throughline","sub":"{subject}","exp":{}}}"#,
        NOW / 1_000_000 + expires_in
    );
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let scheme = Scheme::Hmac(HmacScheme {
        prefix: String::new(),
        encoding: Encoding::Base64,
        ..HmacScheme::default()
    });
    let signed = sign(
        &scheme,
        &key(JWT_SECRET),
        stamp(None, 0),
        message.as_bytes(),
    )
    .unwrap();
    let tag = STANDARD.decode(&signed[0].1).unwrap();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
}

/// An answer, taken apart.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The server closed the connection afterwards, or said it would.
    pub closes: bool,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n == name);
        found.map(|(_, v)| v.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// A member of the body, as text.
    pub fn at(&self, pointer: &str) -> String {
        let body = self.json();
        match body.pointer(pointer) {
            Some(Value::String(s)) => s.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        }
    }

    /// The bytes, for messages of failing tests.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Writes bytes on a connection of their own and reads one answer; `None` when the server closed without one.
pub async fn exchange(address: SocketAddr, bytes: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may answer and close before everything is written.
    let _ = stream.write_all(bytes).await;
    read_answer(&mut stream).await
}

/// Reads one answer from a connection.
pub async fn read_answer(stream: &mut TcpStream) -> Option<Answer> {
    let mut held = Vec::new();
    let mut chunk = [0; 16 * 1024];
    let read = async {
        loop {
            if let Some(answer) = parse(&held) {
                return Some(answer);
            }
            match stream.read(&mut chunk).await {
                Ok(n) if n > 0 => held.extend_from_slice(&chunk[..n]),
                _ => return None,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), read)
        .await
        .expect("the server answers or closes")
}

fn parse(held: &[u8]) -> Option<Answer> {
    let end = held.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&held[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|l| l.split_once(": "))
        .map(|(n, v)| (n.to_ascii_lowercase(), v.to_owned()))
        .collect();
    let find = |name: &str| {
        headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    };
    let length: usize = find("content-length").unwrap_or("0").parse().unwrap();
    let body = held.get(end..end + length)?.to_vec();
    let closes = find("connection") == Some("close");
    Some(Answer {
        status,
        body,
        closes,
        headers,
    })
}
