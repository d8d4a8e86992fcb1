//! Rows of a table as messages of an endpoint: what the endpoint reads, and the rows themselves, a batch at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tl_engine::admit;
use tl_engine::desk::DeskError;
use tl_engine::tenant::{Bundle, Tenant};
use tl_kernel::decide::{map_event, natural_key_digests};
use tl_kernel::digest::{Digest, hex, sha256};
use tl_kernel::program::{Endpoint, Idempotency, OnMatch, Program};
use tl_store::contract::Refused;
use tl_web::Importer;
use tl_web::intake::{Admission, Door, TenantView};
use tl_web::problem::Problem;

use super::Ctx;
use super::views::Reply;
use crate::app::{Change, Mode};
use crate::failure::Failure;
use crate::intake::{BACKLOG_AGE, QUEUE_AGE, message_of};
use crate::keys::random;
use crate::text::nearest;

/// Rows that are decided side by side: they share a sync of the store.
const ABREAST: usize = 64;
/// Seconds after which rows that found no room come again.
const LATER: u32 = 1;

/// Some rows for an endpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Rows {
    /// The endpoint.
    pub endpoint: String,
    /// Say what would happen; store nothing.
    pub dry_run: bool,
    /// With the first rows of an import: what the audit says of it.
    pub begins: Option<String>,
    /// The rows.
    pub rows: Vec<Row>,
}

/// A row.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// Where it begins in the file, from 1.
    pub line: u64,
    /// Its key, where the table has one.
    pub key: Option<String>,
    /// The message, as JSON.
    pub body: String,
}

/// What an endpoint reads of a message.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Taken {
    /// The endpoint.
    pub endpoint: String,
    /// Its workflow.
    pub workflow: String,
    /// Largest message, bytes.
    pub max_body: u32,
    /// By what a repeat is recognised, beside the row's key or content.
    pub recognised_by: String,
    /// The parts of the body by path, with the types that are allowed; none where any is.
    pub parts: BTreeMap<String, Vec<String>>,
}

/// What became of some rows.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Imported {
    /// The rows that were dealt with, in their order: the first ones of the batch, or all.
    pub rows: Vec<RowLine>,
    /// Nothing more can be taken now: why, and the seconds to wait.
    pub wait: Option<(String, u32)>,
}

/// What became of a row.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RowLine {
    /// Where it begins in the file.
    pub line: u64,
    /// What became of it.
    pub outcome: Outcome,
    /// Its code, where it was refused.
    pub code: String,
    /// Why it was refused, or what it is a repeat of.
    pub why: String,
    /// What it is known by, for a rehearsal: a later row of the file with one of these is a repeat.
    pub keys: Vec<String>,
    /// Its natural keys, for a rehearsal: a later row with one of these joins.
    pub natural: Vec<String>,
}

/// What becomes of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It opens a case.
    New,
    /// It joins a case that is there.
    Joined,
    /// It was there already.
    Known,
    /// A message of the same key was there, with other content: that one stays.
    Differs,
    /// It is not taken.
    Refused,
}

/// A row on its way.
struct Ready {
    admission: Admission,
    natural: Vec<Digest>,
}

/// Where the rows go.
struct Way {
    view: Arc<Tenant>,
    bundle: Arc<Bundle>,
    importer: Importer,
}

impl Ctx<'_> {
    /// What an endpoint reads.
    pub(super) async fn import_look(&self, endpoint: &str) -> Result<Reply, Failure> {
        let view = self.view().await?;
        let (_, bundle) = door_of(&view, endpoint)?;
        let found = importable(&view, &bundle.program, endpoint)?;
        Ok(Reply::Taken(Taken {
            endpoint: found.name.clone(),
            workflow: bundle.program.id.clone(),
            max_body: found.max_body,
            recognised_by: recognised_by(found),
            parts: parts(found),
        }))
    }

    /// Takes rows, in their order as far as it matters: two that share a key never go side by side.
    pub(super) async fn import_rows(&self, asked: Rows) -> Result<Reply, Failure> {
        let way = self.way(&asked.endpoint).await?;
        let mut out = Imported::default();
        if asked.dry_run {
            for row in &asked.rows {
                out.rows.push(self.rehearse_row(&way, row).await?);
            }
            return Ok(Reply::Imported(out));
        }
        if let Some(wait) = self.no_room(&way) {
            out.wait = Some(wait);
            return Ok(Reply::Imported(out));
        }
        if let Some(detail) = asked.begins {
            let change = Change {
                action: "import",
                object: asked.endpoint.clone(),
                detail,
            };
            let changes = vec![change];
            self.app
                .change(way.view.id, &self.by, Vec::new(), changes)
                .await?;
        }
        let mut abreast: Vec<(u64, Ready)> = Vec::new();
        let mut held: BTreeSet<Digest> = BTreeSet::new();
        for row in &asked.rows {
            let ready = match way.ready(self.now(), row) {
                Ok(ready) => ready,
                Err(problem) => {
                    out.rows.push(refused(row.line, &problem));
                    continue;
                }
            };
            let mut own = ready.admission.keys.iter().chain(&ready.natural);
            if abreast.len() >= ABREAST || own.any(|k| held.contains(k)) {
                self.admit(&way, std::mem::take(&mut abreast), &mut out)
                    .await?;
                held.clear();
            }
            held.extend(ready.admission.keys.iter().chain(&ready.natural));
            abreast.push((row.line, ready));
        }
        self.admit(&way, abreast, &mut out).await?;
        out.rows.sort_by_key(|r| r.line);
        self.app.desk.nudge();
        Ok(Reply::Imported(out))
    }

    async fn way(&self, endpoint: &str) -> Result<Way, Failure> {
        let view = self.view().await?;
        let (number, bundle) = door_of(&view, endpoint)?;
        importable(&view, &bundle.program, endpoint)?;
        let at = bundle
            .program
            .endpoints
            .iter()
            .position(|e| e.name == endpoint);
        let door = Door {
            program: Arc::new(bundle.program.clone()),
            definition: number,
            endpoint: at.unwrap_or_default(),
            secrets: Vec::new(),
            key_sets: BTreeMap::new(),
            keys_read: BTreeMap::new(),
            disabled: false,
        };
        let doors = TenantView {
            id: view.id,
            key: view.key,
            doors: BTreeMap::from([(endpoint.to_owned(), door)]),
            api_keys: BTreeMap::new(),
            ingest_killed: false,
        };
        let importer = Importer::new(Arc::new(doors), endpoint)
            .ok_or_else(|| Failure::not_found("the endpoint is gone"))?
            .map_err(|why| Failure::refused(format!("the endpoint's schema: {why}")))?;
        Ok(Way {
            importer,
            bundle,
            view,
        })
    }

    /// Why no rows can be taken now. A command alone has nobody who works anything off, and waits for nobody.
    fn no_room(&self, way: &Way) -> Option<(String, u32)> {
        let desk = &self.app.desk;
        let behind = desk.store().queue_age() > QUEUE_AGE;
        let backlog = self.app.mode == Mode::Serving && desk.backlog_age(way.view.id) > BACKLOG_AGE;
        let why = if desk.is_draining() {
            "the server is about to stop"
        } else if !desk.may_send() {
            "this node has lost its lease"
        } else if behind {
            "the store is behind"
        } else if backlog {
            "the server works off what has come"
        } else {
            return None;
        };
        Some((why.into(), LATER))
    }

    /// Admits rows side by side.
    async fn admit(
        &self,
        way: &Way,
        rows: Vec<(u64, Ready)>,
        out: &mut Imported,
    ) -> Result<(), Failure> {
        // Tasks of their own: what has begun is finished, even where nobody waits for it any more.
        let mut under_way = Vec::with_capacity(rows.len());
        for (line, ready) in rows {
            let desk = self.app.desk.clone();
            let message = message_of(ready.admission, &way.bundle.program.id, random()?);
            let task = tokio::spawn(async move { desk.admit(message).await });
            under_way.push((line, task));
        }
        for (line, task) in under_way {
            let answer = task.await;
            let answer = answer.map_err(|_| Failure::unreachable("a row could not be decided"))?;
            out.rows.push(became(line, answer)?);
        }
        Ok(())
    }

    /// What would become of a row.
    async fn rehearse_row(&self, way: &Way, row: &Row) -> Result<RowLine, Failure> {
        let ready = match way.ready(self.now(), row) {
            Ok(ready) => ready,
            Err(problem) => return Ok(refused(row.line, &problem)),
        };
        let Ready { admission, natural } = ready;
        let store = self.app.desk.store();
        let (tenant, program) = (way.view.id, &way.bundle.program);
        let keys = admission.keys.clone();
        let known = store
            .known_event(tenant, admission.endpoint.clone(), keys, self.now())
            .await?;
        let mut line = RowLine::new(row.line, Outcome::New);
        line.keys = admission.keys.iter().map(|k| hex(k)).collect();
        line.natural = natural.iter().map(|k| hex(k)).collect();
        if let Some((event, payload)) = known {
            line.outcome = match payload == sha256(&[&admission.payload]) {
                true => Outcome::Known,
                false => Outcome::Differs,
            };
            line.why = event.to_string();
            return Ok(line);
        }
        if natural.is_empty() || program.record.on_match == OnMatch::Open {
            return Ok(line);
        }
        let joins = store
            .natural_key(tenant, program.id.clone(), natural)
            .await?;
        if let Some((case, _)) = joins {
            line.outcome = Outcome::Joined;
            line.why = case.to_string();
        }
        Ok(line)
    }
}

impl Way {
    fn ready(&self, now: i64, row: &Row) -> Result<Ready, Problem> {
        let admission = self
            .importer
            .admission(now, row.body.as_bytes(), row.key.as_deref())?;
        let program = &self.bundle.program;
        let natural = match program.endpoint(&admission.endpoint) {
            Some(endpoint) => {
                let (record, _) = map_event(program, endpoint, &admission.event, 1);
                natural_key_digests(program, &record, &admission.event, &self.view.key)
            }
            None => Vec::new(),
        };
        let natural = natural.into_iter().map(|(_, digest)| digest).collect();
        Ok(Ready { admission, natural })
    }
}

impl RowLine {
    fn new(line: u64, outcome: Outcome) -> RowLine {
        RowLine {
            line,
            outcome,
            code: String::new(),
            why: String::new(),
            keys: Vec::new(),
            natural: Vec::new(),
        }
    }
}

/// What became of a row; an error of ours ends the import, and the next one goes on where it was.
fn became(line: u64, answer: Result<admit::Admitted, DeskError>) -> Result<RowLine, Failure> {
    Ok(match answer {
        Ok(admit::Admitted::Accepted { joined: None, .. }) => RowLine::new(line, Outcome::New),
        Ok(admit::Admitted::Accepted { .. }) => RowLine::new(line, Outcome::Joined),
        Ok(admit::Admitted::Duplicate { event, variant }) => {
            let outcome = match variant {
                true => Outcome::Differs,
                false => Outcome::Known,
            };
            let mut row = RowLine::new(line, outcome);
            row.why = event.to_string();
            row
        }
        Err(DeskError::Refused(r)) => {
            let mut row = RowLine::new(line, Outcome::Refused);
            (row.code, row.why) = (r.code.to_owned(), r.message);
            row
        }
        Err(DeskError::Store(Refused::Faulty { id, .. })) => {
            let mut row = RowLine::new(line, Outcome::Refused);
            row.why = format!("it cannot be stored; the log has error {id}");
            row
        }
        Err(other) => return Err(other.into()),
    })
}

/// A row that the door does not take, in the door's words.
fn refused(line: u64, problem: &Problem) -> RowLine {
    let mut row = RowLine::new(line, Outcome::Refused);
    row.code = problem.code.to_owned();
    let fields: Vec<String> = problem
        .errors
        .iter()
        .map(|e| {
            let part = e.pointer.trim_start_matches('/').replace('/', ".");
            match part.as_str() {
                "" => format!("the row {}", e.expected),
                part => format!("`{part}` {}", e.expected),
            }
        })
        .collect();
    row.why = match fields.is_empty() {
        true => problem.detail.clone(),
        false => fields.join("; "),
    };
    row
}

/// The current version that has an endpoint.
fn door_of(view: &Tenant, endpoint: &str) -> Result<(u32, Arc<Bundle>), Failure> {
    let mut all = view.current.values();
    if let Some((number, bundle)) = all.find(|(_, b)| b.program.endpoint(endpoint).is_some()) {
        return Ok((*number, Arc::clone(bundle)));
    }
    let names: Vec<&str> = view
        .current
        .values()
        .flat_map(|(_, b)| b.program.endpoints.iter())
        .filter(|e| Importer::fits(e))
        .map(|e| e.name.as_str())
        .collect();
    let hint = match nearest(endpoint, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("rows may go to {}", names.join(", ")),
    };
    Err(Failure::not_found(format!(
        "no current workflow has an endpoint `{endpoint}`; {hint}"
    )))
}

/// The endpoint, where it takes rows now.
fn importable<'p>(
    view: &Tenant,
    program: &'p Program,
    name: &str,
) -> Result<&'p Endpoint, Failure> {
    let found = program
        .endpoint(name)
        .ok_or_else(|| Failure::not_found("the endpoint is gone"))?;
    if !Importer::fits(found) {
        let others: Vec<&str> = program
            .endpoints
            .iter()
            .filter(|e| Importer::fits(e))
            .map(|e| e.name.as_str())
            .collect();
        return Err(Failure::usage(format!(
            "`{name}` takes no rows of a table (its channel is {}); choose one of {}",
            found.channel.word(),
            others.join(", ")
        )));
    }
    if view.ingest_killed() {
        return Err(Failure::conflict(
            "the switch `ingest` is set: nothing is taken. `throughline kill clear ingest --reason CODE` lifts it",
        ));
    }
    if view.rows.disabled.iter().any(|d| d == name) {
        return Err(Failure::conflict(format!(
            "`{name}` is closed. `throughline endpoint enable {name} --reason CODE` opens it"
        )));
    }
    Ok(found)
}

/// By what a repeat of a row is recognised, beside its own key or content.
fn recognised_by(endpoint: &Endpoint) -> String {
    match &endpoint.idempotency {
        Idempotency::Pointer(template) => template.source.clone(),
        Idempotency::Header | Idempotency::Covered => String::new(),
    }
}

/// The parts of a body that an endpoint reads: those of its schema with their types, and those that its expressions name.
fn parts(endpoint: &Endpoint) -> BTreeMap<String, Vec<String>> {
    let mut out = BTreeMap::new();
    if let Some(schema) = &endpoint.schema
        && let Ok(schema) = serde_json::from_str(&schema.json)
    {
        described("", &schema, &mut out);
    }
    let pointer = match &endpoint.idempotency {
        Idempotency::Pointer(template) => Some(template.source.as_str()),
        _ => None,
    };
    let sources = endpoint.map.iter().map(|(_, e)| e.source.as_str());
    let text = endpoint.text.iter().map(|e| e.source.as_str());
    for source in sources.chain(text).chain(pointer) {
        for path in named(source) {
            out.entry(path).or_default();
        }
    }
    // Where a part of a part is read, the part itself is no column.
    let paths: Vec<String> = out.keys().cloned().collect();
    let inner = |p: &String| paths.iter().any(|o| o.starts_with(&format!("{p}.")));
    out.retain(|p, _| !inner(p));
    out
}

fn described(prefix: &str, schema: &serde_json::Value, out: &mut BTreeMap<String, Vec<String>>) {
    let Some(properties) = schema["properties"].as_object() else {
        return;
    };
    for (name, inner) in properties {
        let path = match prefix {
            "" => name.clone(),
            prefix => format!("{prefix}.{name}"),
        };
        let types = match &inner["type"] {
            serde_json::Value::String(one) => vec![one.clone()],
            serde_json::Value::Array(all) => all
                .iter()
                .filter_map(|t| t.as_str().map(str::to_owned))
                .collect(),
            _ => Vec::new(),
        };
        described(&path, inner, out);
        out.insert(path, types);
    }
}

/// The parts of the body that an expression names.
fn named(source: &str) -> Vec<String> {
    let mut out = Vec::new();
    for (at, root) in source.match_indices("event.body.") {
        let rest = &source[at + root.len()..];
        let part = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
        let end = rest.find(|c| !part(c)).unwrap_or(rest.len());
        let path = &rest[..end];
        // What stands before a parenthesis is a function, no part.
        let path = match rest[end..].starts_with('(') {
            true => path.rsplit_once('.').map_or("", |(before, _)| before),
            false => path,
        };
        let path = path.trim_end_matches('.');
        if !path.is_empty() {
            out.push(path.to_owned());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_that_an_expression_names_are_found() {
        let table: [(&str, &[&str]); 6] = [
            ("event.body.email", &["email"]),
            (
                "event.body.contact.country.upper() == 'UK'",
                &["contact.country"],
            ),
            ("${event.body.id}", &["id"]),
            (
                "has(event.body.ticket) ? event.body.ticket : event.body.id",
                &["ticket", "ticket", "id"],
            ),
            ("event.body.upper()", &[]),
            ("record.email", &[]),
        ];
        for (source, want) in table {
            assert_eq!(named(source), want, "{source}");
        }
    }

    #[test]
    fn a_schema_is_described_by_paths() {
        let schema = serde_json::json!({ "properties": {
            "contact": { "type": "object", "properties": { "email": { "type": "string" } } },
            "seats": { "type": ["integer", "string"] }, "any": {},
        }});
        let mut out = BTreeMap::new();
        described("", &schema, &mut out);
        let words = |w: &[&str]| w.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        assert_eq!(out["contact.email"], words(&["string"]));
        assert_eq!(out["seats"], words(&["integer", "string"]));
        assert_eq!(out["any"], words(&[]));
    }
}
