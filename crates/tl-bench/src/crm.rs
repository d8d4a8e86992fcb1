//! A stub of a CRM: takes `PUT /leads/{id}`, counts, and tells what it saw.
//!
//! It does what a CRM that honours idempotency keys does: a key it has seen gets the earlier answer and counts as
//! repeated, not as written. A write without `If-Match` is refused, so a run proves that the header was sent.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, sleep_until};

use crate::http::{Message, Wire};
use crate::now_ns;

#[derive(Debug, Default)]
struct Crm {
    delay: watch::Sender<Duration>,
    leads: HashMap<String, Lead>,
    writes: u64,
    repeats: u64,
}

#[derive(Debug)]
struct Lead {
    first_ns: u64,
    writes: u64,
    repeats: u64,
    keys: Vec<String>,
}

impl Crm {
    /// Writes a lead, and gives its version after that.
    fn put(&mut self, id: &str, key: Option<&str>, now: u64) -> u64 {
        let new = || Lead {
            first_ns: now,
            writes: 0,
            repeats: 0,
            keys: Vec::new(),
        };
        let lead = self.leads.entry(id.to_owned()).or_insert_with(new);
        if key.is_some_and(|k| lead.keys.iter().any(|seen| seen == k)) {
            lead.repeats += 1;
            self.repeats += 1;
        } else {
            lead.keys.extend(key.map(str::to_owned));
            lead.writes += 1;
            self.writes += 1;
        }
        lead.writes
    }

    fn stats(&self) -> String {
        format!(
            r#"{{"ids":{},"writes":{},"repeats":{}}}"#,
            self.leads.len(),
            self.writes,
            self.repeats
        )
    }

    fn dump(&self) -> String {
        let mut out = String::with_capacity(self.leads.len() * 64);
        for (id, lead) in &self.leads {
            // Writing to a String cannot fail.
            let _ = writeln!(
                out,
                "{id} {} {} {}",
                lead.first_ns, lead.writes, lead.repeats
            );
        }
        out
    }

    /// The answer to a request, and whether it was a write.
    fn answer(&mut self, request: &Message) -> (String, bool) {
        let mut words = request.first_line().split(' ');
        let (method, path) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        match (method, path, path.strip_prefix("/leads/")) {
            ("PUT", _, Some(_)) if request.header("if-match").is_none() => (
                response("428 Precondition Required", "", "the version is missing\n"),
                false,
            ),
            ("PUT", _, Some(id)) if !id.is_empty() => {
                let version = self.put(id, request.header("idempotency-key"), now_ns());
                let etag = format!("content-type: application/json\r\netag: \"v{version}\"\r\n");
                (response("200 OK", &etag, r#"{"ok":true}"#), true)
            }
            ("GET", "/stats", _) => (response("200 OK", "", &self.stats()), false),
            ("GET", "/dump", _) => (response("200 OK", "", &self.dump()), false),
            ("POST", _, _) if path.starts_with("/delay/") => {
                match path["/delay/".len()..].parse() {
                    Ok(ms) => {
                        self.delay.send_replace(Duration::from_millis(ms));
                        (response("200 OK", "", "slower\n"), false)
                    }
                    Err(_) => (response("400 Bad Request", "", "no number\n"), false),
                }
            }
            ("POST", "/reset", _) => {
                let delay = self.delay.clone();
                *self = Crm {
                    delay,
                    ..Crm::default()
                };
                (response("200 OK", "", "forgotten\n"), false)
            }
            _ => (response("404 Not Found", "", "no such address\n"), false),
        }
    }
}

fn response(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

async fn serve(stream: TcpStream, crm: Rc<RefCell<Crm>>) -> std::io::Result<()> {
    let mut wire = Wire::over(stream)?;
    while let Some(request) = wire.read().await? {
        let (answer, was_write) = crm.borrow_mut().answer(&request);
        if was_write {
            let delay = crm.borrow().delay.subscribe();
            wait(delay).await;
        }
        wire.write(answer.as_bytes()).await?;
    }
    Ok(())
}

/// Waits as long as an answer takes; where that is changed, it counts for what waits already.
async fn wait(mut delay: watch::Receiver<Duration>) {
    let begun = Instant::now();
    loop {
        let until = begun + *delay.borrow_and_update();
        if until <= Instant::now() {
            return;
        }
        tokio::select! {
            () = sleep_until(until) => return,
            changed = delay.changed() => if changed.is_err() {
                return;
            }
        }
    }
}

async fn accept(listener: TcpListener, delay: Duration) -> std::io::Result<()> {
    let crm = Rc::new(RefCell::new(Crm {
        delay: watch::Sender::new(delay),
        ..Crm::default()
    }));
    loop {
        let (stream, from) = listener.accept().await?;
        let crm = Rc::clone(&crm);
        spawn_local(async move {
            match serve(stream, crm).await {
                // A client that was killed in the middle of a request is part of a run.
                Err(e) if e.kind() != std::io::ErrorKind::ConnectionReset => {
                    eprintln!("stub of the CRM: {from}: {e}");
                }
                _ => {}
            }
        });
    }
}

/// Serves on this thread for as long as the process lives. GET /stats counts, GET /dump lists
/// `id first_ns writes repeats`, POST /reset forgets, POST /delay/MS changes the delay. A write counts when it comes, and is answered after `delay`.
pub fn run(listener: std::net::TcpListener, delay: Duration) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    listener.set_nonblocking(true)?;
    LocalSet::new().block_on(&runtime, async {
        accept(TcpListener::from_std(listener)?, delay).await
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_key_is_a_repeat_and_a_new_one_a_write() {
        let mut crm = Crm::default();
        let table = [
            ("a", Some("k1"), 1),
            ("a", Some("k1"), 1),
            ("a", Some("k2"), 2),
            ("b", None, 1),
            ("b", None, 2),
        ];
        for (id, key, version) in table {
            assert_eq!(crm.put(id, key, 5), version, "{id} {key:?}");
        }
        assert_eq!(crm.stats(), r#"{"ids":2,"writes":4,"repeats":1}"#);
        assert!(crm.dump().contains("a 5 2 1\n"));
    }
}
