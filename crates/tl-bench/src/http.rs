//! Just enough HTTP/1.1 for two programs on one machine: a connection that stays open, one message after the other,
//! bodies with a declared length.

use std::io::{Error, ErrorKind, Result};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Largest message that is read, bytes: the stub's list of a long run fits.
const LARGEST: usize = 1 << 30;

/// A request or a response.
#[derive(Debug)]
pub struct Message {
    head: String,
    /// What follows the head.
    pub body: Vec<u8>,
}

impl Message {
    /// The first line: method and path, or the status.
    pub fn first_line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    /// The status of a response.
    pub fn status(&self) -> Result<u16> {
        let number = self
            .first_line()
            .split(' ')
            .nth(1)
            .and_then(|s| s.parse().ok());
        number.ok_or_else(|| Error::new(ErrorKind::InvalidData, "no status"))
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let fields = head.lines().skip(1).filter_map(|l| l.split_once(':'));
    let mut of_name = fields.filter(|(n, _)| n.eq_ignore_ascii_case(name));
    of_name.next().map(|(_, value)| value.trim())
}

/// Either end of a connection.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Wire {
    /// Opens a connection.
    pub async fn connect(address: &str) -> Result<Wire> {
        Wire::over(TcpStream::connect(address).await?)
    }

    /// Takes a connection over.
    pub fn over(stream: TcpStream) -> Result<Wire> {
        stream.set_nodelay(true)?;
        Ok(Wire {
            stream,
            unread: Vec::with_capacity(4096),
        })
    }

    /// Sends bytes.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).await
    }

    /// The next message; none when the other side has closed between two messages.
    pub async fn read(&mut self) -> Result<Option<Message>> {
        loop {
            if let Some(message) = take(&mut self.unread)? {
                return Ok(Some(message));
            }
            if self.stream.read_buf(&mut self.unread).await? == 0 {
                return if self.unread.is_empty() {
                    Ok(None)
                } else {
                    Err(ErrorKind::UnexpectedEof.into())
                };
            }
        }
    }

    /// Sends a request and waits for its response.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<Message> {
        self.write(request).await?;
        self.read()
            .await?
            .ok_or_else(|| ErrorKind::UnexpectedEof.into())
    }
}

/// Takes one message from the front of the bytes, where they hold it completely.
fn take(bytes: &mut Vec<u8>) -> Result<Option<Message>> {
    let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else {
        return Ok(None);
    };
    let wrong = |what| Err(Error::new(ErrorKind::InvalidData, what));
    let Ok(head) = str::from_utf8(&bytes[..end]) else {
        return wrong("a head that is not text");
    };
    if header(head, "transfer-encoding").is_some() {
        return wrong("a body without a declared length");
    }
    let length = match header(head, "content-length").map(str::parse::<usize>) {
        None => 0,
        Some(Ok(length)) if length <= LARGEST => length,
        Some(_) => return wrong("a wrong content-length"),
    };
    let whole = end + 4 + length;
    if bytes.len() < whole {
        bytes.reserve(whole - bytes.len());
        return Ok(None);
    }
    let message = Message {
        head: head.to_owned(),
        body: bytes[end + 4..whole].to_vec(),
    };
    bytes.drain(..whole);
    Ok(Some(message))
}

/// One request without a body on a connection of its own, and the text of its answer.
pub async fn ask(address: &str, method: &str, path: &str) -> Result<String> {
    let request =
        format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: 0\r\n\r\n");
    let response = Wire::connect(address)
        .await?
        .exchange(request.as_bytes())
        .await?;
    match response.status()? {
        200..=299 => Ok(String::from_utf8_lossy(&response.body).into_owned()),
        status => Err(Error::other(format!(
            "{method} {path} at {address}: {status}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_taken_when_they_are_complete() {
        let table = [
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP",
                Some(("HTTP/1.1 200 OK", "ok", "HTTP")),
            ),
            (
                "HTTP/1.1 204 No Content\r\n\r\n",
                Some(("HTTP/1.1 204 No Content", "", "")),
            ),
            ("PUT /a HTTP/1.1\r\ncontent-length: 3\r\n\r\nab", None),
            ("PUT /a HTTP/1.1\r\n", None),
        ];
        for (text, want) in table {
            let mut bytes = text.as_bytes().to_vec();
            let taken = take(&mut bytes).expect("well formed");
            let taken = taken.map(|m| (m.first_line().to_owned(), m.body));
            let want = want.map(|(line, body, rest)| {
                assert_eq!(bytes, rest.as_bytes(), "{text}");
                (line.to_owned(), body.as_bytes().to_vec())
            });
            assert_eq!(taken, want, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        for text in [chunked, "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n"] {
            assert!(take(&mut text.as_bytes().to_vec()).is_err(), "{text}");
        }
    }
}
