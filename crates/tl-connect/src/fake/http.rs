//! A small HTTP/1.1 server that lets its handler break the connection at any point.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

const LARGEST_HEAD: usize = 64 << 10;
const LARGEST_BODY: usize = 16 << 20;

/// A request as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// `GET` and so on.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Headers by lower-case name; the last of each.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Received {
    /// The path without the query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or("")
    }

    /// A header by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Headers; the length is added.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// An answer with a JSON body.
    pub fn json(status: u16, body: &serde_json::Value) -> Answer {
        Answer {
            status,
            headers: vec![("content-type".into(), "application/json".into())],
            body: body.to_string().into_bytes(),
        }
    }

    /// Adds a header.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Answer {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The answer's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = format!(
            "HTTP/1.1 {} Answer\r\ncontent-length: {}\r\n",
            self.status,
            self.body.len()
        );
        for (name, value) in &self.headers {
            out.push_str(&format!("{name}: {value}\r\n"));
        }
        out.push_str("\r\n");
        let mut out = out.into_bytes();
        out.extend_from_slice(&self.body);
        out
    }
}

/// What becomes of the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// An answer; the connection stays open.
    Answer(Answer),
    /// These bytes, then the connection is closed.
    Raw(Vec<u8>),
    /// Closed without a byte.
    Close,
    /// Reset without a byte.
    Reset,
}

/// Decides on a request.
pub type Handler =
    Arc<dyn Fn(Received) -> Pin<Box<dyn Future<Output = Reply> + Send>> + Send + Sync>;

/// A running server; it ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    addr: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    /// Listens and answers. Port 0 picks a free one.
    pub async fn start(bind: SocketAddr, handler: Handler) -> io::Result<Server> {
        let listener = TcpListener::bind(bind).await?;
        Ok(Server {
            addr: listener.local_addr()?,
            task: tokio::spawn(accept(listener, handler)),
        })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, handler: Handler) {
    // Dropped with this task, which ends every connection.
    let mut connections = JoinSet::new();
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            connections.spawn(serve(stream, handler.clone()));
        }
        while connections.try_join_next().is_some() {}
    }
}

/// A connection that breaks is the client's business; the server has nobody to tell.
async fn serve(mut stream: TcpStream, handler: Handler) {
    let _ = stream.set_nodelay(true);
    let mut buffer = Vec::new();
    while let Ok(Some(request)) = read_request(&mut stream, &mut buffer).await {
        let bytes = match handler(request).await {
            Reply::Answer(answer) => {
                if stream.write_all(&answer.to_bytes()).await.is_err() {
                    return;
                }
                continue;
            }
            Reply::Raw(bytes) => bytes,
            Reply::Close => Vec::new(),
            Reply::Reset => {
                let _ = stream.set_zero_linger();
                return;
            }
        };
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
        return;
    }
}

/// The next request; `None` when the client closed the connection between two.
async fn read_request(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
) -> io::Result<Option<Received>> {
    let head_end = loop {
        if let Some(at) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            break at;
        }
        if buffer.len() > LARGEST_HEAD {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if stream.read_buf(buffer).await? == 0 {
            return if buffer.is_empty() {
                Ok(None)
            } else {
                Err(io::ErrorKind::UnexpectedEof.into())
            };
        }
    };
    let mut request = parse_head(&buffer[..head_end]).ok_or(io::ErrorKind::InvalidData)?;
    // Our own client always states the length.
    let length: usize = match request.header("content-length") {
        None => 0,
        Some(text) => text.parse().map_err(|_| io::ErrorKind::InvalidData)?,
    };
    if length > LARGEST_BODY || request.header("transfer-encoding").is_some() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let end = head_end + 4 + length;
    while buffer.len() < end {
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    request.body = buffer[head_end + 4..end].to_vec();
    buffer.drain(..end);
    Ok(Some(request))
}

fn parse_head(head: &[u8]) -> Option<Received> {
    let text = std::str::from_utf8(head).ok()?;
    let mut lines = text.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let mut headers = BTreeMap::new();
    for line in lines {
        let (name, value) = line.split_once(':')?;
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    Some(Received {
        method,
        target,
        headers,
        body: Vec::new(),
    })
}
