//! The bare bound: the least that a program of this shape does, without being the product.
//!
//! A message is verified, and acknowledged after one group commit that holds the event, the case, its moves so far
//! and the planned write; the CRM is written; a second group commit records the outcome and the last moves. There
//! are no tenants, no definitions, no policy, no journal, no tasks and no metrics: rules and mapping are compiled in.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use anyhow::Result;
use aws_lc_rs::hmac;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Router, serve};
use clap::Parser;
use rusqlite::{Connection, Transaction, params};
use serde_json::{Value, json};
use tl_bench::http::Wire;
use tl_bench::{lead, now_ns};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

/// Most jobs of one commit.
const GROUP: usize = 512;
/// How long a failed write waits before it is tried again.
const AGAIN: Duration = Duration::from_millis(100);

/// The bare bound of the golden path: axum, HMAC, SQLite with group commit, one PUT.
#[derive(Debug, Parser)]
struct Args {
    /// Where it listens
    #[arg(long, default_value = "127.0.0.1:8091")]
    listen: String,
    /// The database
    #[arg(long)]
    database: PathBuf,
    /// Secret of the signatures
    #[arg(long)]
    secret: String,
    /// Where the CRM listens
    #[arg(long, default_value = "127.0.0.1:9900")]
    crm: String,
    /// Writes to the CRM that may be on their way at once
    #[arg(long, default_value_t = 64)]
    slots: usize,
}

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS event (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, name TEXT NOT NULL UNIQUE,
    body BLOB NOT NULL, at INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS lead_case (id INTEGER PRIMARY KEY, state TEXT NOT NULL, tier TEXT NOT NULL,
    at INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS case_by_state ON lead_case (state, at);
CREATE TABLE IF NOT EXISTS move (case_id INTEGER NOT NULL, n INTEGER NOT NULL, state TEXT NOT NULL,
    at INTEGER NOT NULL, PRIMARY KEY (case_id, n)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS effect (id INTEGER PRIMARY KEY, name TEXT NOT NULL, body TEXT NOT NULL, etag TEXT);
CREATE INDEX IF NOT EXISTS effect_open ON effect (id) WHERE etag IS NULL;";

/// The planned write of a case.
struct Planned {
    id: i64,
    name: String,
    body: String,
}

/// What the writer commits.
enum Job {
    Accept(Box<Accepted>),
    Outcome { id: i64, etag: String },
    Close(oneshot::Sender<()>),
}

struct Accepted {
    key: String,
    name: String,
    tier: &'static str,
    raw: Bytes,
    record: String,
    done: oneshot::Sender<bool>,
}

struct Door {
    key: hmac::Key,
    jobs: Sender<Job>,
}

/// Mapping, normalization and rules of the golden path.
fn classify(lead: &Value) -> Option<(String, &'static str, String)> {
    let text = |at: &str| lead.pointer(at).and_then(Value::as_str).map(str::trim);
    let number = |at: &str| lead.pointer(at).and_then(Value::as_i64).unwrap_or(0);
    let name = text("/external_id")?.to_owned();
    let (budget, employees) = (number("/lead/budget"), number("/lead/employees"));
    let tier = match (budget, employees) {
        (20_000.., 100..) => "hot",
        (5_000.., _) => "warm",
        _ => "cold",
    };
    let phone: String = text("/contact/phone")?
        .chars()
        .filter(|c| *c == '+' || c.is_ascii_digit())
        .collect();
    let record = json!({
        "external_id": name, "source": text("/source"), "name": text("/contact/name"),
        "company": text("/contact/company"), "email": text("/contact/email")?.to_lowercase(), "phone": phone,
        "intent": text("/lead/intent"), "territory": text("/lead/territory"), "employees": employees,
        "budget": budget, "tier": tier,
    });
    Some((name, tier, record.to_string()))
}

async fn take(State(door): State<Arc<Door>>, headers: HeaderMap, raw: Bytes) -> StatusCode {
    let header = |name: &str| {
        headers
            .get(name)
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default()
    };
    if !lead::is_signed(&door.key, &raw, header(lead::SIGNATURE)) {
        return StatusCode::UNAUTHORIZED;
    }
    let parsed = serde_json::from_slice(&raw).ok();
    let Some((name, tier, record)) = parsed.as_ref().and_then(classify) else {
        return StatusCode::BAD_REQUEST;
    };
    let (done, answer) = oneshot::channel();
    let accepted = Accepted {
        key: header("idempotency-key").to_owned(),
        name,
        tier,
        raw,
        record,
        done,
    };
    if door.jobs.send(Job::Accept(Box::new(accepted))).is_err() {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    match answer.await {
        Ok(true) => StatusCode::ACCEPTED,
        Ok(false) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// The thread that owns the database.
struct Writer {
    conn: Connection,
    next: i64,
    slots: Vec<UnboundedSender<Planned>>,
}

impl Writer {
    fn open(args: &Args, slots: Vec<UnboundedSender<Planned>>) -> Result<Writer> {
        let conn = Connection::open(&args.database)?;
        conn.pragma_update(None, "journal_mode", "WAL")?;
        conn.pragma_update(None, "synchronous", "FULL")?;
        conn.pragma_update(None, "cache_size", -65_536)?;
        // 64 MiB of pages, as the product has it.
        conn.pragma_update(None, "wal_autocheckpoint", 16_384)?;
        conn.execute_batch(SCHEMA)?;
        let next = conn.query_row("SELECT coalesce(max(id), 0) + 1 FROM event", [], |r| {
            r.get(0)
        })?;
        let writer = Writer { conn, next, slots };
        writer.resume()?;
        Ok(writer)
    }

    /// What was planned before a crash and has no outcome is sent again, with the same key.
    fn resume(&self) -> Result<()> {
        let mut open = self
            .conn
            .prepare("SELECT id, name, body FROM effect WHERE etag IS NULL")?;
        let rows = open.query_map([], |r| {
            Ok(Planned {
                id: r.get(0)?,
                name: r.get(1)?,
                body: r.get(2)?,
            })
        })?;
        for planned in rows {
            self.send(planned?);
        }
        Ok(())
    }

    fn send(&self, planned: Planned) {
        let slot = planned.id as usize % self.slots.len();
        // A slot ends only with the process.
        let _ = self.slots[slot].send(planned);
    }

    /// Commits groups until it is told to close.
    fn run(mut self, jobs: &Receiver<Job>) -> Result<()> {
        while let Ok(first) = jobs.recv() {
            let group: Vec<Job> = std::iter::once(first)
                .chain(jobs.try_iter().take(GROUP - 1))
                .collect();
            let (mut answers, mut planned, mut closing) = (Vec::new(), Vec::new(), None);
            let tx = self.conn.transaction()?;
            for job in group {
                let at = (now_ns() / 1000) as i64;
                match job {
                    Job::Accept(accepted) => {
                        let fresh = accept(&tx, self.next, &accepted, at)?;
                        let Accepted {
                            name, record, done, ..
                        } = *accepted;
                        if fresh {
                            planned.push(Planned {
                                id: self.next,
                                name,
                                body: record,
                            });
                            self.next += 1;
                        }
                        answers.push((done, fresh));
                    }
                    Job::Outcome { id, etag } => outcome(&tx, id, &etag, at)?,
                    Job::Close(done) => closing = Some(done),
                }
            }
            tx.commit()?;
            for (done, fresh) in answers {
                // A sender that went away needs no answer.
                let _ = done.send(fresh);
            }
            planned.into_iter().for_each(|p| self.send(p));
            if let Some(done) = closing {
                self.conn
                    .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
                let _ = done.send(());
                return Ok(());
            }
        }
        Ok(())
    }
}

/// First durable point: true where the message is new.
fn accept(tx: &Transaction, id: i64, a: &Accepted, at: i64) -> rusqlite::Result<bool> {
    let mut event =
        tx.prepare_cached("INSERT INTO event VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING")?;
    if event.execute(params![id, a.key, a.name, &a.raw[..], at])? == 0 {
        return Ok(false);
    }
    tx.prepare_cached("INSERT INTO lead_case VALUES (?1, 'automated', ?2, ?3)")?
        .execute(params![id, a.tier, at])?;
    for (n, state) in ["pending", "triaged", "automated"].into_iter().enumerate() {
        moved(tx, id, (n as i64, state, at))?;
    }
    tx.prepare_cached("INSERT INTO effect VALUES (?1, ?2, ?3, NULL)")?
        .execute(params![id, a.name, a.record])?;
    Ok(true)
}

/// Second durable point.
fn outcome(tx: &Transaction, id: i64, etag: &str, at: i64) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE effect SET etag = ?2 WHERE id = ?1")?
        .execute(params![id, etag])?;
    tx.prepare_cached("UPDATE lead_case SET state = 'closed', at = ?2 WHERE id = ?1")?
        .execute(params![id, at])?;
    moved(tx, id, (3, "closed", at))
}

fn moved(tx: &Transaction, id: i64, (n, state, at): (i64, &str, i64)) -> rusqlite::Result<()> {
    tx.prepare_cached("INSERT INTO move VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![id, n, state, at])?;
    Ok(())
}

/// One slot: writes what is planned, one after the other, until each has succeeded.
async fn deliver(mut planned: UnboundedReceiver<Planned>, crm: String, jobs: Sender<Job>) {
    let mut wire = None;
    while let Some(p) = planned.recv().await {
        let etag = loop {
            match put(&mut wire, &crm, &p).await {
                Ok(etag) => break etag,
                Err(_) => {
                    wire = None;
                    tokio::time::sleep(AGAIN).await;
                }
            }
        };
        if jobs.send(Job::Outcome { id: p.id, etag }).is_err() {
            return;
        }
    }
}

async fn put(wire: &mut Option<Wire>, crm: &str, p: &Planned) -> std::io::Result<String> {
    let open = match wire {
        Some(open) => open,
        None => wire.insert(Wire::connect(crm).await?),
    };
    let (name, body, length) = (&p.name, &p.body, p.body.len());
    let request = format!(
        "PUT /leads/{name} HTTP/1.1\r\nhost: {crm}\r\ncontent-type: application/json\r\nif-match: \"v0\"\r\n\
         idempotency-key: {name}\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    let response = open.exchange(request.as_bytes()).await?;
    match response.status()? {
        200 => Ok(response.header("etag").unwrap_or_default().to_owned()),
        status => Err(std::io::Error::other(status.to_string())),
    }
}

async fn run(args: Args) -> Result<()> {
    let (jobs, work) = channel();
    let mut slots = Vec::new();
    for _ in 0..args.slots.max(1) {
        let (slot, planned) = unbounded_channel();
        tokio::spawn(deliver(planned, args.crm.clone(), jobs.clone()));
        slots.push(slot);
    }
    let writer = Writer::open(&args, slots)?;
    let thread = std::thread::Builder::new()
        .name("writer".into())
        .spawn(move || writer.run(&work))?;
    let door = Door {
        key: lead::key(&args.secret),
        jobs: jobs.clone(),
    };
    let routes = Router::new()
        .route("/hooks/leads", post(take))
        .route("/readyz", get(async || StatusCode::OK))
        .with_state(Arc::new(door));
    let listener = TcpListener::bind(&args.listen).await?;
    let mut stop = signal(SignalKind::terminate())?;
    tokio::select! {
        served = async { serve(listener, routes).await } => served?,
        _ = stop.recv() => {}
    }
    let (done, closed) = oneshot::channel();
    if jobs.send(Job::Close(done)).is_ok() {
        closed.await?;
    }
    thread
        .join()
        .map_err(|_| anyhow::anyhow!("the writer panicked"))?
}

fn main() -> Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(run(Args::parse()))
}
