//! A client of a few lines: one request per connection, and what came back.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use aws_lc_rs::hmac;

/// Longer than any answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Seconds.
    pub retry_after: Option<u64>,
    pub text: String,
}

/// The host and port of an address.
pub fn host(url: &str) -> SocketAddr {
    url.trim_start_matches("http://").parse().unwrap()
}

/// Sends bytes and reads until the other side closes.
pub fn exchange(to: SocketAddr, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

/// The status and the rest of an answer; an error where there is none.
pub fn parse(answer: &[u8]) -> std::io::Result<Answer> {
    let text = String::from_utf8_lossy(answer).into_owned();
    let status = text.split(' ').nth(1).and_then(|s| s.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::other("no answer"))?;
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let retry_after = head
        .lines()
        .find_map(|l| l.strip_prefix("retry-after: ")?.parse().ok());
    Ok(Answer {
        status,
        retry_after,
        text: body.to_owned(),
    })
}

pub fn get(to: SocketAddr, path: &str) -> std::io::Result<Answer> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    parse(&exchange(to, request.as_bytes())?)
}

/// A signed message to the test's door.
pub fn message(secret: &str, key: &str, body: &str) -> Vec<u8> {
    message_to("web", secret, (key, body))
}

/// A signed message to a door: its key and its body.
pub fn message_to(door: &str, secret: &str, (key, body): (&str, &str)) -> Vec<u8> {
    let signing = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signature = hex::encode(hmac::sign(&signing, body.as_bytes()));
    format!(
        "POST /hooks/default/{door} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nidempotency-key: {key}\r\nx-signature: sha256={signature}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
