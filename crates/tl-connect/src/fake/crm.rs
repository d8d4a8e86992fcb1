//! A system of record with entity tags, conditional writes and idempotency keys, and with faults on demand.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value as Json, json};

use super::http::{Answer, Received, Reply, Server};

/// A write that was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Method of the request.
    pub method: String,
    /// The record.
    pub path: String,
    /// `Idempotency-Key`, where the request had one.
    pub key: Option<String>,
    /// `X-Correlation-Id`, where the request had one.
    pub correlation_id: Option<String>,
    /// `traceparent`.
    pub traceparent: Option<String>,
    /// `If-Match`, where the request had one.
    pub if_match: Option<String>,
    /// The request's body.
    pub body: Vec<u8>,
    /// Version of the record after it.
    pub version: u64,
}

/// What an update without `If-Match` meets. Real systems do each of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissingVersion {
    /// It overwrites.
    #[default]
    Overwrites,
    /// 412.
    Refused412,
    /// 428.
    Refused428,
}

/// Which requests a fault waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// GET.
    Reads,
    /// All others.
    Writes,
    /// Every request.
    All,
}

/// A fault.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// Answers with a status and applies nothing.
    Status {
        /// The status.
        status: u16,
        /// `Retry-After`.
        retry_after: Option<String>,
    },
    /// Applies, then answers with a status: a gateway that lost patience.
    StatusAfterApplying(u16),
    /// Waits first.
    Delay(Duration),
    /// Resets the connection and applies nothing.
    ResetBeforeApplying,
    /// Applies, then resets the connection.
    ResetAfterApplying,
    /// Applies, then closes the connection without an answer.
    CloseAfterApplying,
    /// Applies, then sends half of the answer.
    HalfAnswer,
    /// Applies, then sends so many bytes of the answer.
    CutAnswer(usize),
    /// A proxy delivers the request twice and passes the second answer on.
    DeliveredTwice,
    /// Applies, and never answers.
    SilenceAfterApplying,
    /// 200 with an error in the body; applies nothing.
    ErrorIn200,
    /// Applies and answers with another record's id.
    OtherId,
    /// Answers without an entity tag.
    NoVersion,
    /// A person edits the record just before the request is handled.
    EditedFirst(Map<String, Json>),
}

#[derive(Debug)]
struct Scripted {
    on: On,
    fault: Fault,
    times: u32,
}

#[derive(Debug, Default)]
struct Record {
    version: u64,
    fields: Map<String, Json>,
}

#[derive(Debug, Default)]
struct State {
    records: BTreeMap<String, Record>,
    ledger: Vec<Applied>,
    requests: Vec<Received>,
    last_asked: Option<Instant>,
    script: VecDeque<Scripted>,
    answers: BTreeMap<String, Answer>,
    missing_version: MissingVersion,
    created: u64,
}

/// The running system. Records live at any path: `PUT /leads/17` creates or replaces, `PATCH` merges, `POST /leads`
/// creates with a new id, `GET` reads.
#[derive(Debug)]
pub struct Crm {
    server: Server,
    state: Arc<Mutex<State>>,
    busy: Arc<AtomicU32>,
}

/// A request that is being handled; its sender may go away before it is answered.
struct Busy(Arc<AtomicU32>);

impl Busy {
    fn with(count: &Arc<AtomicU32>) -> Busy {
        count.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(count))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Crm {
    /// Starts it. Port 0 picks a free one.
    pub async fn start(bind: SocketAddr) -> io::Result<Crm> {
        let state = Arc::new(Mutex::new(State::default()));
        let busy = Arc::default();
        let shared = (state.clone(), Arc::clone(&busy));
        let handler = move |request: Received| {
            let (state, busy) = shared.clone();
            Box::pin(async move {
                let _busy = Busy::with(&busy);
                handle(&state, request).await
            }) as _
        };
        let server = Server::start(bind, Arc::new(handler)).await?;
        Ok(Crm {
            server,
            state,
            busy,
        })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    /// Its base address.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.addr())
    }

    /// Every write that was applied, in order.
    pub fn ledger(&self) -> Vec<Applied> {
        self.lock().ledger.clone()
    }

    /// Every request that arrived, in order, applied or not.
    pub fn requests(&self) -> Vec<Received> {
        self.lock().requests.clone()
    }

    /// How many requests have arrived.
    pub fn asked(&self) -> usize {
        self.lock().requests.len()
    }

    /// When the last request arrived.
    pub fn last_asked(&self) -> Option<Instant> {
        self.lock().last_asked
    }

    /// How many writes were applied.
    pub fn written(&self) -> usize {
        self.lock().ledger.len()
    }

    /// Requests that it has and has not answered yet.
    pub fn busy(&self) -> u32 {
        self.busy.load(Ordering::Relaxed)
    }

    /// A record's version and fields.
    pub fn record(&self, path: &str) -> Option<(u64, Map<String, Json>)> {
        let state = self.lock();
        state
            .records
            .get(path)
            .map(|r| (r.version, r.fields.clone()))
    }

    /// A person changes a record by hand; it is created where it is missing.
    pub fn edit(&self, path: &str, fields: Map<String, Json>) {
        self.lock().edit(path, fields);
    }

    /// Puts a fault into the script: it meets the next `times` requests it waits for. Faults act in the order they
    /// were added, one per request.
    pub fn script(&self, on: On, fault: Fault, times: u32) {
        self.lock().script.push_back(Scripted { on, fault, times });
    }

    /// Ends all faults.
    pub fn heal(&self) {
        self.lock().script.clear();
    }

    /// Says what an update without `If-Match` meets from now on.
    pub fn on_missing_version(&self, behaviour: MissingVersion) {
        self.lock().missing_version = behaviour;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// A panic while the lock was held is a failed test elsewhere; the state is still whole.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn handle(state: &Mutex<State>, request: Received) -> Reply {
    let fault = lock(state).next_fault(&request);
    match fault {
        Some(Fault::Delay(time)) => tokio::time::sleep(time).await,
        Some(Fault::SilenceAfterApplying) => {
            lock(state).apply(&request);
            std::future::pending::<()>().await;
        }
        Some(fault) => return lock(state).misbehave(fault, &request),
        None => {}
    }
    Reply::Answer(lock(state).apply(&request))
}

impl State {
    fn next_fault(&mut self, request: &Received) -> Option<Fault> {
        self.requests.push(request.clone());
        self.last_asked = Some(Instant::now());
        let is_read = request.method == "GET";
        let waits = |s: &Scripted| match s.on {
            On::Reads => is_read,
            On::Writes => !is_read,
            On::All => true,
        };
        let at = self.script.iter().position(|s| s.times > 0 && waits(s))?;
        let scripted = &mut self.script[at];
        scripted.times -= 1;
        let fault = scripted.fault.clone();
        if scripted.times == 0 {
            self.script.remove(at);
        }
        Some(fault)
    }

    fn misbehave(&mut self, fault: Fault, request: &Received) -> Reply {
        match fault {
            Fault::Status {
                status,
                retry_after,
            } => {
                let mut answer = Answer::json(status, &json!({"message": "not now"}));
                if let Some(wait) = retry_after {
                    answer = answer.with("retry-after", wait);
                }
                Reply::Answer(answer)
            }
            Fault::StatusAfterApplying(status) => {
                self.apply(request);
                Reply::Answer(Answer::json(status, &json!({"message": "gateway"})))
            }
            Fault::ResetBeforeApplying => Reply::Reset,
            Fault::ResetAfterApplying => {
                self.apply(request);
                Reply::Reset
            }
            Fault::CloseAfterApplying => {
                self.apply(request);
                Reply::Close
            }
            Fault::HalfAnswer => {
                let mut bytes = self.apply(request).to_bytes();
                bytes.truncate(bytes.len() - 5);
                Reply::Raw(bytes)
            }
            Fault::CutAnswer(bytes) => {
                let mut answer = self.apply(request).to_bytes();
                answer.truncate(bytes);
                Reply::Raw(answer)
            }
            Fault::DeliveredTwice => {
                self.apply(request);
                Reply::Answer(self.apply(request))
            }
            Fault::ErrorIn200 => Reply::Answer(Answer::json(
                200,
                &json!({"error": {"message": "rejected"}}),
            )),
            Fault::OtherId => {
                let mut answer = self.apply(request);
                answer.body = json!({"id": "another"}).to_string().into_bytes();
                Reply::Answer(answer)
            }
            Fault::NoVersion => {
                let mut answer = self.apply(request);
                answer.headers.retain(|(name, _)| name != "etag");
                Reply::Answer(answer)
            }
            Fault::EditedFirst(fields) => {
                self.edit(request.path(), fields);
                Reply::Answer(self.apply(request))
            }
            // These two wait and are handled outside the lock.
            Fault::Delay(_) | Fault::SilenceAfterApplying => Reply::Answer(self.apply(request)),
        }
    }

    fn edit(&mut self, path: &str, fields: Map<String, Json>) {
        let record = self.records.entry(path.to_owned()).or_default();
        record.version += 1;
        record.fields.extend(fields);
    }

    /// Handles a request as a well-behaved system does. A key seen before gets the first answer again.
    fn apply(&mut self, request: &Received) -> Answer {
        if request.method == "GET" {
            return match self.records.get(request.path()) {
                Some(record) => shown(200, request.path(), record),
                None => refused(404, "no such record"),
            };
        }
        let key = request.header("idempotency-key").map(str::to_owned);
        if let Some(known) = key.as_ref().and_then(|k| self.answers.get(k)) {
            return known.clone();
        }
        let answer = self.write(request);
        if let (Some(key), 200..=299) = (key, answer.status) {
            self.answers.insert(key, answer.clone());
        }
        answer
    }

    fn write(&mut self, request: &Received) -> Answer {
        let Ok(Json::Object(fields)) = serde_json::from_slice(&request.body) else {
            return refused(400, "the body is not a JSON object");
        };
        let mut path = request.path().to_owned();
        if request.method == "POST" {
            self.created += 1;
            path = format!("{}/{}", path.trim_end_matches('/'), self.created);
        }
        let exists = self.records.contains_key(&path);
        if let Err(answer) = self.may_write(request, &path) {
            return answer;
        }
        if request.method == "PATCH" && !exists {
            return refused(404, "no such record");
        }
        let record = self.records.entry(path.clone()).or_default();
        record.version += 1;
        if request.method == "PUT" {
            record.fields.clear();
        }
        record.fields.extend(fields);
        let answer =
            shown(if exists { 200 } else { 201 }, &path, record).with("location", path.clone());
        let version = record.version;
        self.ledger.push(Applied {
            method: request.method.clone(),
            path,
            key: request.header("idempotency-key").map(str::to_owned),
            correlation_id: request.header("x-correlation-id").map(str::to_owned),
            traceparent: request.header("traceparent").map(str::to_owned),
            if_match: request.header("if-match").map(str::to_owned),
            body: request.body.clone(),
            version,
        });
        answer
    }

    fn may_write(&self, request: &Received, path: &str) -> Result<(), Answer> {
        if !matches!(request.method.as_str(), "PUT" | "PATCH" | "POST") {
            return Err(refused(405, "unknown method"));
        }
        let record = self.records.get(path);
        if request.header("if-none-match") == Some("*") && record.is_some() {
            return Err(refused(412, "the record exists"));
        }
        let Some(record) = record else {
            let conditional = request.header("if-match").is_some();
            return if conditional {
                Err(refused(412, "no such record"))
            } else {
                Ok(())
            };
        };
        match request.header("if-match") {
            Some(tag) if tag == tag_of(record) => Ok(()),
            Some(_) => Err(refused(412, "the record has changed")),
            None => match self.missing_version {
                MissingVersion::Overwrites => Ok(()),
                MissingVersion::Refused412 => Err(refused(412, "If-Match is missing")),
                MissingVersion::Refused428 => Err(refused(428, "If-Match is missing")),
            },
        }
    }
}

fn tag_of(record: &Record) -> String {
    format!("\"{}\"", record.version)
}

fn shown(status: u16, path: &str, record: &Record) -> Answer {
    let mut body = record.fields.clone();
    let id = path.rsplit('/').next().unwrap_or("");
    body.insert("id".into(), Json::from(id));
    Answer::json(status, &Json::Object(body)).with("etag", tag_of(record))
}

fn refused(status: u16, message: &str) -> Answer {
    Answer::json(status, &json!({"message": message}))
}
