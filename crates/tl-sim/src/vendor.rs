//! The vendors: systems of record and a model, behind a network that loses things. They are honest: each does what
//! its interface says, and its ledger says what it did.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value as Json, json};
use tl_connect::client::{Connection, Exchange, Request};
use tl_connect::knowledge::{Answer, BodyError, Knowledge, NotSent, Sent, Unknown};
use tl_kernel::time::{HOUR, SECOND};
use tokio::sync::oneshot;

use crate::dice::Dice;
use crate::exec::WORLD;
use crate::model;
use crate::nodes::Watch;
use crate::world::{START, Shared};

/// A write that a vendor applied.
#[derive(Debug, Clone)]
pub struct Applied {
    /// When, µs of the world.
    pub at: i64,
    /// The connection it came through.
    pub connection: String,
    /// The record.
    pub path: String,
    /// `Idempotency-Key`.
    pub key: Option<String>,
    /// `If-Match`.
    pub if_match: Option<String>,
    /// `If-None-Match: *`.
    pub create: bool,
    /// `traceparent`: names the attempt that sent it.
    pub trace: String,
    /// Entity tag of the record before the write; `None` where there was no record.
    pub before: Option<String>,
    /// The body.
    pub body: String,
}

/// A request that reached a vendor, applied or not.
#[derive(Debug, Clone)]
pub struct Arrived {
    /// When, µs of the world.
    pub at: i64,
    /// The connection it came through.
    pub connection: String,
    /// Its method and path.
    pub line: String,
    /// Its body.
    pub body: String,
    /// `traceparent`: names the attempt that sent it.
    pub trace: String,
}

#[derive(Debug, Default)]
struct Record {
    version: u64,
    fields: Map<String, Json>,
}

/// One system of record.
#[derive(Debug, Default)]
struct Crm {
    records: BTreeMap<String, Record>,
    /// First answers by idempotency key, for vendors that honour it.
    answers: BTreeMap<String, Answer>,
}

#[derive(Debug, Default)]
struct State {
    crms: BTreeMap<String, Crm>,
    applied: Vec<Applied>,
    arrived: Vec<Arrived>,
    edits: u64,
    /// What the ledger has: the path, the id, the entry.
    entries: Vec<(String, String, Map<String, Json>)>,
}

/// All vendors of a run, and the network before them.
#[derive(Debug)]
pub struct Vendors {
    shared: Arc<Shared>,
    dice: Mutex<Dice>,
    state: Mutex<State>,
}

/// How a request fares on its way.
#[derive(Debug, Clone, Copy, Default)]
struct Fate {
    /// A fault instead of, or after, handling.
    fault: Option<&'static str>,
    /// Time to the vendor and back, µs.
    there: i64,
    back: i64,
}

/// The vendor that goes down.
pub const FAILING: &str = "keyed";
/// It fails for so long before it is gone, µs.
const GONE: i64 = 90 * SECOND;
/// So many of a thousand requests fail then: fewer than stop a connection.
const FAILURES: i64 = 350;

const NOT_SENT: [&str; 2] = ["net_refused", "net_dns"];
const BEFORE: [&str; 5] = [
    "net_reset_before",
    "http_429",
    "http_500_before",
    "http_503_retry_after",
    "vendor_error_in_200",
];
const AFTER: [&str; 6] = [
    "net_reset_after",
    "net_closed_after",
    "net_silence_after",
    "net_cut_answer",
    "http_500_after",
    "http_502_after",
];

impl Vendors {
    /// The vendors of a run.
    pub fn new(shared: Arc<Shared>, seed: u64) -> Vendors {
        Vendors {
            shared,
            dice: Mutex::new(Dice::new(seed, "vendors")),
            state: Mutex::new(State::default()),
        }
    }

    /// Every applied write, in order.
    pub fn applied(&self) -> Vec<Applied> {
        self.state().applied.clone()
    }

    /// Every request that arrived, in order.
    pub fn arrived(&self) -> Vec<Arrived> {
        self.state().arrived.clone()
    }

    /// Somebody at the vendor edits a record.
    pub fn edit(&self, connection: &str, path: &str) {
        let mut state = self.state();
        state.edits += 1;
        let edits = state.edits;
        let crm = state.crms.entry(connection.to_owned()).or_default();
        let record = crm.records.entry(path.to_owned()).or_default();
        record.version += 1;
        record
            .fields
            .insert("name".into(), json!(format!("edited {edits}")));
    }

    /// What the vendor that goes down does to a request: it fails now and then, then it is not there for an hour.
    fn outage(&self, connection: &str) -> Option<&'static str> {
        let since = self.shared.exec.now() - START;
        if !self.shared.setup.outage || connection != FAILING || since >= HOUR {
            return None;
        }
        let fault = match since {
            GONE.. => Some("net_refused"),
            _ => (self.between(1, 1_000) <= FAILURES).then_some("http_500_before"),
        };
        if fault.is_some() {
            self.shared.faults.count("vendor_down");
        }
        fault
    }

    fn fate(&self, connection: &str) -> Fate {
        let model = connection == model::CONNECTION;
        let faults = &self.shared.faults;
        let mut fate = Fate {
            fault: self
                .outage(connection)
                .or_else(|| faults.one_of(&NOT_SENT))
                .or_else(|| faults.one_of(&BEFORE))
                .or_else(|| faults.one_of(&AFTER)),
            there: self.between(500, 40_000),
            back: self.between(500, 40_000),
        };
        if model && fate.fault == Some("vendor_error_in_200") {
            fate.fault = None;
        }
        if faults.fires("net_slow") {
            fate.back += faults.size(100_000, 20_000_000);
        }
        if faults.fires("net_late_apply") {
            fate.there += faults.size(100_000, 40_000_000);
        }
        fate
    }

    fn between(&self, from: i64, to: i64) -> i64 {
        let mut dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
        dice.between(from, to)
    }

    /// The vendor has the request in hand.
    fn handle(&self, connection: &str, request: &Request, fate: Fate) -> Knowledge {
        let (now, faults) = (self.shared.exec.now(), &self.shared.faults);
        let header = |name: &str| -> Option<String> {
            let found = request.headers.iter().find(|(n, _)| n == name);
            found.map(|(_, v)| v.clone())
        };
        let is_model = connection == model::CONNECTION;
        let body =
            String::from_utf8_lossy(request.body.as_deref().unwrap_or_default()).into_owned();
        self.state().arrived.push(Arrived {
            at: now,
            connection: connection.to_owned(),
            line: format!("{} {}", request.method, request.path_and_query),
            body: body.clone(),
            trace: header("traceparent").unwrap_or_default(),
        });
        // Vendors show in their errors what they were sent.
        let error =
            |status: u16, why: &str| plain(status, json!({"message": format!("{why}: {body}")}));
        let retry_after = |status: u16| {
            let mut answer = error(status, "not now");
            let wait = faults.size(0, 90).to_string();
            answer.headers.insert("retry-after".into(), wait);
            Knowledge::Answered(answer)
        };
        match fate.fault {
            Some("net_reset_before") => return Knowledge::Unknown(Unknown::Reset),
            Some("http_429") => return retry_after(429),
            Some("http_503_retry_after") => return retry_after(503),
            Some("http_500_before") => return Knowledge::Answered(error(500, "oops")),
            Some("vendor_error_in_200") => {
                let error = json!({"error": {"message": format!("rejected: {body}")}});
                return Knowledge::Answered(plain(200, error));
            }
            _ => {}
        }
        let answer = if is_model {
            let mut dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
            model::answer(&body, faults, &mut dice)
        } else {
            let write = Write {
                connection,
                path: &request.path_and_query,
                method: request.method.as_str(),
                key: header("idempotency-key"),
                if_match: header("if-match"),
                create: header("if-none-match").is_some(),
                trace: header("traceparent").unwrap_or_default(),
                body: body.clone(),
            };
            if request.method != "GET" && faults.fires("vendor_edited_first") {
                self.edit(connection, &request.path_and_query);
            }
            self.state().apply(write, now)
        };
        match fate.fault {
            Some("net_reset_after") => Knowledge::Unknown(Unknown::Reset),
            Some("net_closed_after") => Knowledge::Unknown(Unknown::Closed),
            Some("http_500_after") => Knowledge::Answered(error(500, "oops")),
            Some("http_502_after") => Knowledge::Answered(error(502, "gone")),
            Some("net_cut_answer") => Knowledge::Answered(Answer {
                body: Err(BodyError::Cut),
                ..answer
            }),
            _ => Knowledge::Answered(answer),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The network as one node sees it.
#[derive(Debug)]
pub struct Wire {
    /// Who is at its other end.
    pub vendors: Arc<Vendors>,
    /// Sees what leaves.
    pub watch: Watch,
}

impl Exchange for Wire {
    fn exchange(
        &self,
        connection: &Connection,
        request: Request,
    ) -> std::pin::Pin<Box<dyn Future<Output = Sent> + Send>> {
        let (vendors, watch) = (Arc::clone(&self.vendors), self.watch.clone());
        let name = connection.name().to_owned();
        Box::pin(async move {
            let shared = Arc::clone(&vendors.shared);
            let body_bytes = request.body.as_ref().map_or(0, Vec::len);
            let is_model = name == model::CONNECTION;
            let fate = vendors.fate(&name);
            let begun = shared.exec.now();
            let line = format!("{} {} {}", name, request.method, request.path_and_query);
            let knowledge = match fate.fault {
                Some("net_refused") => Knowledge::NotSent(NotSent::Refused),
                Some("net_dns") => Knowledge::NotSent(NotSent::Dns),
                _ => {
                    // A model's time is what is left of wall-clock arithmetic; a whole number of seconds is not.
                    let deadline = if is_model {
                        30_000_000
                    } else {
                        request.deadline.as_micros() as i64
                    };
                    watch.sends(&line);
                    under_way(&vendors, (name, request), fate, deadline).await
                }
            };
            let now = shared.exec.now();
            let words = match &knowledge {
                Knowledge::Answered(a) => format!("{}", a.status),
                other => format!("{other:?}"),
            };
            let fault = fate.fault.unwrap_or("-");
            shared.note("http", format_args!("{line} {fault} {words}"));
            Sent {
                knowledge,
                took: Duration::from_micros((now - begun).unsigned_abs()),
                body_bytes,
            }
        })
    }
}

/// The request is on its way by itself: whoever waits for its answer may die meanwhile.
async fn under_way(
    vendors: &Arc<Vendors>,
    (name, request): (String, Request),
    fate: Fate,
    deadline: i64,
) -> Knowledge {
    let exec = vendors.shared.exec.clone();
    let (tell, told) = oneshot::channel();
    let there = Arc::clone(vendors);
    exec.spawn(WORLD, async move {
        let exec = there.shared.exec.clone();
        exec.sleep(fate.there).await;
        let knowledge = there.handle(&name, &request, fate);
        exec.sleep(fate.back).await;
        if fate.fault == Some("net_silence_after") {
            // The connection stays open and nothing comes.
            exec.sleep(120_000_000).await;
        }
        // The asker may be gone.
        let _ = tell.send(knowledge);
    });
    tokio::select! {
        biased;
        answer = told => answer.unwrap_or(Knowledge::Unknown(Unknown::Closed)),
        () = exec.sleep(deadline) => Knowledge::Unknown(Unknown::Deadline),
    }
}

/// A request to a system of record.
struct Write<'a> {
    connection: &'a str,
    path: &'a str,
    method: &'a str,
    key: Option<String>,
    if_match: Option<String>,
    create: bool,
    trace: String,
    body: String,
}

impl Write<'_> {
    fn applied(self, at: i64, before: Option<String>) -> Applied {
        Applied {
            at,
            connection: self.connection.to_owned(),
            path: self.path.to_owned(),
            key: self.key,
            if_match: self.if_match,
            create: self.create,
            trace: self.trace,
            before,
            body: self.body,
        }
    }
}

/// The system whose records exist before anybody wrote them, at version 1.
pub const EXISTING: &str = "crm-existing";
/// The system that takes whatever it is sent, and lists what it has.
pub const LEDGER: &str = "ledger";

impl State {
    fn apply(&mut self, w: Write<'_>, now: i64) -> Answer {
        if w.connection == LEDGER {
            return self.enter(w, now);
        }
        let crm = self.crms.entry(w.connection.to_owned()).or_default();
        if w.connection == EXISTING {
            let first = || Record {
                version: 1,
                fields: Map::new(),
            };
            crm.records.entry(w.path.to_owned()).or_insert_with(first);
        }
        let found = crm.records.get(w.path);
        if w.method == "GET" {
            return match found {
                Some(record) => shown(200, record),
                None => plain(404, json!({"message": "no such record"})),
            };
        }
        if let Some(known) = w.key.as_ref().and_then(|k| crm.answers.get(k)) {
            return known.clone();
        }
        let before = found.map(tag_of);
        let refused = match (&before, &w.if_match) {
            (Some(_), _) if w.create => true,
            (there, Some(wanted)) => there.as_ref() != Some(wanted),
            _ => false,
        };
        if refused {
            return plain(412, json!({"message": "the record has changed"}));
        }
        let Ok(Json::Object(fields)) = serde_json::from_str(&w.body) else {
            return plain(400, json!({"message": "the body is not a JSON object"}));
        };
        let record = crm.records.entry(w.path.to_owned()).or_default();
        record.version += 1;
        record.fields = fields;
        let answer = shown(if before.is_some() { 200 } else { 201 }, record);
        if let Some(key) = &w.key {
            crm.answers.insert(key.clone(), answer.clone());
        }
        self.applied.push(w.applied(now, before));
        answer
    }

    /// The ledger: every write is one more entry, and a question by address is answered with all that it has.
    fn enter(&mut self, w: Write<'_>, now: i64) -> Answer {
        let (path, query) = w.path.split_once('?').unwrap_or((w.path, ""));
        if w.method == "GET" {
            let wanted = query.strip_prefix("email=").unwrap_or_default();
            let wanted = wanted.replace("%40", "@");
            let found = self.entries.iter().filter(|(at, _, entry)| {
                at == path && entry.get("email").is_some_and(|email| *email == wanted)
            });
            let shown = found.map(|(_, id, entry)| {
                let mut shown = entry.clone();
                shown.insert("id".into(), json!(id));
                Json::Object(shown)
            });
            return plain(200, json!({"entries": shown.collect::<Vec<_>>()}));
        }
        let Ok(Json::Object(entry)) = serde_json::from_str(&w.body) else {
            return plain(400, json!({"message": "the body is not a JSON object"}));
        };
        let id = format!("entry-{}", self.entries.len() + 1);
        let path = path.to_owned();
        self.entries.push((path, id.clone(), entry));
        self.applied.push(w.applied(now, None));
        plain(201, json!({"id": id}))
    }
}

fn tag_of(record: &Record) -> String {
    format!("\"{}\"", record.version)
}

fn shown(status: u16, record: &Record) -> Answer {
    let mut answer = plain(status, Json::Object(record.fields.clone()));
    answer.headers.insert("etag".into(), tag_of(record));
    answer
}

/// An answer with a JSON body.
pub fn plain(status: u16, body: Json) -> Answer {
    Answer {
        status,
        headers: BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]),
        body: Ok(body.to_string().into_bytes()),
    }
}
