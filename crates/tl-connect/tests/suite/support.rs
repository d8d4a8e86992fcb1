//! What the tests share: clients, connections and servers that misbehave byte by byte.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Method;
use tl_connect::client::{Auth, Client, Connection, Options, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// Long enough for a slow machine, where nothing is expected to wait.
pub const PATIENT: Duration = Duration::from_secs(20);

pub fn client() -> Client {
    Client::new(&Options {
        connect_timeout: Some(Duration::from_secs(3)),
        ..Options::default()
    })
    .expect("a client")
}

pub fn to(base: &str) -> Connection {
    Connection::new("test", base, &Auth::None, true).expect("a connection")
}

pub fn get(path: &str) -> Request {
    Request {
        method: Method::GET,
        path_and_query: path.into(),
        headers: vec![],
        body: None,
        mail: None,
        deadline: PATIENT,
    }
}

pub fn put(path: &str) -> Request {
    Request {
        method: Method::PUT,
        body: Some(b"{\"marker\":1}".to_vec()),
        ..get(path)
    }
}

/// What a raw server does with a connection.
#[derive(Debug, Clone)]
pub enum Do {
    /// Reads until the request's marker has arrived.
    ReadRequest,
    /// Reads one byte.
    ReadByte,
    /// Writes bytes.
    Write(Vec<u8>),
    /// Waits until the client has gone.
    Stay,
    /// Closes both directions in good order.
    Close,
    /// Resets the connection.
    Reset,
}

pub fn write(text: &str) -> Do {
    Do::Write(text.as_bytes().to_vec())
}

/// A server that plays one list of steps per connection; the last list is repeated.
pub struct Raw {
    pub addr: SocketAddr,
    /// All bytes of all connections.
    pub seen: Arc<Mutex<Vec<u8>>>,
    /// Connections accepted.
    pub connections: Arc<Mutex<usize>>,
    task: JoinHandle<()>,
}

impl Raw {
    pub async fn start(plays: Vec<Vec<Do>>) -> Raw {
        let listener = TcpListener::bind(LOOPBACK).await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(Mutex::new(0));
        let (bytes, count) = (seen.clone(), connections.clone());
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let n = {
                    let mut count = count.lock().expect("a lock");
                    *count += 1;
                    *count - 1
                };
                let steps = plays[n.min(plays.len() - 1)].clone();
                let bytes = bytes.clone();
                tokio::spawn(async move {
                    for step in steps {
                        let done = match step {
                            Do::ReadRequest => read_request(&mut stream, &bytes).await,
                            Do::ReadByte => {
                                let byte = stream.read_u8().await;
                                byte.map(|b| bytes.lock().expect("a lock").push(b))
                            }
                            Do::Write(text) => stream.write_all(&text).await,
                            Do::Stay => read_all(&mut stream, &bytes).await,
                            Do::Close => stream.shutdown().await,
                            Do::Reset => {
                                stream.set_zero_linger().expect("an option");
                                return;
                            }
                        };
                        if done.is_err() {
                            return;
                        }
                    }
                    // A socket with unread bytes would be reset when dropped: the end has to be as scripted.
                    let _ = read_all(&mut stream, &bytes).await;
                });
            }
        });
        Raw {
            addr,
            seen,
            connections,
            task,
        }
    }

    pub fn base(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// How often a text arrived.
    pub fn count(&self, text: &str) -> usize {
        let seen = self.seen.lock().expect("a lock");
        String::from_utf8_lossy(&seen).matches(text).count()
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Seen = Arc<Mutex<Vec<u8>>>;

/// Requests of these tests end with an empty line or with the marker.
async fn read_request(stream: &mut tokio::net::TcpStream, seen: &Seen) -> std::io::Result<()> {
    let mut own = Vec::new();
    let whole = |own: &[u8]| match own.starts_with(b"GET") {
        true => own.ends_with(b"\r\n\r\n"),
        false => own.ends_with(b"\"marker\":1}"),
    };
    while !whole(&own) {
        let byte = stream.read_u8().await?;
        own.push(byte);
        seen.lock().expect("a lock").push(byte);
    }
    Ok(())
}

async fn read_all(stream: &mut tokio::net::TcpStream, seen: &Seen) -> std::io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            n => seen.lock().expect("a lock").extend_from_slice(&buffer[..n]),
        }
    }
}
