//! A load balancer of a few lines: it asks `/readyz`, sends each request to a node that said yes, and tries the next
//! one where no connection comes about. What it cannot know it does not mend: a request that was begun is not repeated.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::thread;

use super::wire;

/// A balancer that runs until it is dropped.
pub struct Balancer {
    pub address: SocketAddr,
    nodes: Arc<RwLock<Vec<SocketAddr>>>,
    stop: Arc<AtomicBool>,
}

impl Balancer {
    /// Starts it without nodes.
    pub fn start() -> Balancer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let nodes: Arc<RwLock<Vec<SocketAddr>>> = Arc::default();
        let ready: Arc<RwLock<Vec<SocketAddr>>> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let (asked, found, ended) = (Arc::clone(&nodes), Arc::clone(&ready), Arc::clone(&stop));
        thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                let all = asked.read().unwrap().clone();
                let is_ready =
                    |n: &SocketAddr| wire::get(*n, "/readyz").is_ok_and(|a| a.status == 200);
                *found.write().unwrap() = all.into_iter().filter(is_ready).collect();
                // Others work on this machine too.
                thread::yield_now();
            }
        });
        let next = Arc::new(AtomicUsize::new(0));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (ready, next) = (Arc::clone(&ready), Arc::clone(&next));
                thread::spawn(move || {
                    let order = ready.read().unwrap().clone();
                    // A client that went away misses its answer.
                    let _ = pass(client, &order, next.fetch_add(1, Ordering::Relaxed));
                });
            }
        });
        Balancer {
            address,
            nodes,
            stop,
        }
    }

    /// From now on these are its nodes.
    pub fn over(&self, nodes: &[SocketAddr]) {
        *self.nodes.write().unwrap() = nodes.to_vec();
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn pass(mut client: TcpStream, nodes: &[SocketAddr], turn: usize) -> std::io::Result<()> {
    let request = read_request(&mut client)?;
    for i in 0..nodes.len() {
        let node = nodes[(turn + i) % nodes.len()];
        let Ok(mut to) = TcpStream::connect(node) else {
            continue;
        };
        to.write_all(&request)?;
        let mut answer = Vec::new();
        to.read_to_end(&mut answer)?;
        return client.write_all(&answer);
    }
    client.write_all(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n")
}

/// Head and body, as long as the head says.
fn read_request(client: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut request = Vec::new();
    let mut bytes = [0; 8192];
    loop {
        let text = String::from_utf8_lossy(&request);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|l| l.strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Ok(request);
            }
        }
        match client.read(&mut bytes)? {
            0 => return Ok(request),
            n => request.extend_from_slice(&bytes[..n]),
        }
    }
}
