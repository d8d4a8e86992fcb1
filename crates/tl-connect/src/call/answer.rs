//! What an answer means: by the connector's own rules first, then by what real systems put into a body.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use tl_kernel::connector::{Condition, Meaning, MeaningRule};
use tl_kernel::expr::Expr;
use tl_kernel::value::{Label, Value};

use super::{Call, Names};
use crate::classify::{BodySays, Overrides};
use crate::json;
use crate::knowledge::Answer;

/// What an answer to a write says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// What its body says beside the status.
    pub body: BodySays,
    /// What the connector says its status means.
    pub overrides: Overrides,
    /// The record's version after the write, where the answer names it; else it has to be read.
    pub version: Option<String>,
    /// What the vendor calls the record.
    pub vendor_ref: Option<String>,
}

/// What a read found.
#[derive(Debug, Clone, PartialEq)]
pub enum ReadState {
    /// The record.
    Present {
        /// Its version; `None` where the vendor gives none.
        version: Option<String>,
        /// Its properties.
        values: Value,
    },
    /// The vendor says there is none at this address.
    Absent,
    /// The read did not succeed.
    Unread,
}

/// What a look-up found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// These fit, by the vendor's ids.
    These(Vec<String>),
    /// Nothing can be said.
    Unread,
}

impl Call<'_> {
    /// What an answer to the write says.
    pub fn heard(&self, answer: &Answer) -> Heard {
        let body = parsed(answer);
        let scope = self.answered(answer, body.as_ref());
        let meaning = self.meaning((answer, body.as_ref()), &scope);
        let overrides = Overrides {
            meanings: meaning.map(|m| (answer.status, m)).into_iter().collect(),
            ..Overrides::default()
        };
        let ok = (200..300).contains(&answer.status) || meaning == Some(Meaning::DoneBefore);
        let vendor_ref = match &self.operation.id {
            Some(expr) => text(expr, &scope),
            None => usual_id(answer, body.as_ref()),
        };
        let says = match (&answer.body, meaning) {
            (Err(_), _) => BodySays::Broken,
            // The file has read the body.
            (Ok(_), Some(_)) => BodySays::Agrees,
            (Ok(bytes), None) => {
                let read = (bytes.as_slice(), body.as_ref());
                self.says(answer, read, vendor_ref.as_deref())
            }
        };
        Heard {
            body: says,
            overrides,
            version: match &self.operation.version {
                Some(expr) => text(expr, &scope),
                None => self.usual_version(answer, body.as_ref()),
            }
            .filter(|_| ok),
            vendor_ref: vendor_ref.filter(|_| ok),
        }
    }

    /// What an answer to the read shows.
    pub fn state(&self, answer: &Answer) -> ReadState {
        let body = parsed(answer);
        let scope = self.answered(answer, body.as_ref());
        let read = self.operation.read.as_ref();
        match self.meaning((answer, body.as_ref()), &scope) {
            Some(Meaning::Missing) => return ReadState::Absent,
            Some(Meaning::Done) | None => {}
            Some(_) => return ReadState::Unread,
        }
        match answer.status {
            404 | 410 => ReadState::Absent,
            200..300 if answer.body.is_ok() => {
                match read.and_then(|r| r.absent.as_ref()) {
                    Some(e) if misses(e, (answer, body.as_ref())) => return ReadState::Unread,
                    Some(e) if holds(e, &scope) => return ReadState::Absent,
                    _ => {}
                }
                if body.as_ref().is_some_and(is_error) {
                    return ReadState::Unread;
                }
                let own = read.and_then(|r| r.values.as_ref());
                let values = match own {
                    Some(expr) => expr.eval(&scope).ok().and_then(|e| e.value),
                    None => body.as_ref().map(json::to_value),
                };
                // What only gets something before a write has nothing else to show.
                let gets = own.is_none() && self.operation.condition == Condition::Placed;
                match values {
                    Some(values @ Value::Record(_)) => ReadState::Present {
                        version: self.read_version(answer, body.as_ref(), &scope),
                        values,
                    },
                    _ if gets => ReadState::Present {
                        version: self.read_version(answer, body.as_ref(), &scope),
                        values: Value::Record(BTreeMap::new()),
                    },
                    _ => ReadState::Unread,
                }
            }
            _ => ReadState::Unread,
        }
    }

    /// What an answer to the look-up shows.
    pub fn found(&self, answer: &Answer) -> Found {
        let Some(look_up) = &self.operation.look_up else {
            return Found::Unread;
        };
        match answer.status {
            // What is asked for by its own key is not there.
            404 | 410 => return Found::These(Vec::new()),
            200 => {}
            _ => return Found::Unread,
        }
        let Some(body) = parsed(answer).filter(|b| !(b.is_object() && is_error(b))) else {
            return Found::Unread;
        };
        let scope = self.answered(answer, Some(&body));
        match look_up.found.eval(&scope).map(|e| e.value) {
            Ok(Some(Value::List(ids))) => {
                Found::These(ids.iter().map(|id| id.to_string()).collect())
            }
            _ => Found::Unread,
        }
    }

    fn read_version(&self, answer: &Answer, body: Option<&Json>, scope: &Names) -> Option<String> {
        let own = self
            .operation
            .read
            .as_ref()
            .and_then(|r| r.version.as_ref());
        match own.or(self.operation.version.as_ref()) {
            Some(expr) => text(expr, scope),
            None => self.usual_version(answer, body),
        }
    }

    /// Where a version is found when the file does not say.
    fn usual_version(&self, answer: &Answer, body: Option<&Json>) -> Option<String> {
        match &self.operation.condition {
            Condition::Field(name) => body?.get(name).and_then(json::scalar_text),
            _ => answer
                .header("etag")
                .filter(|tag| !tag.is_empty())
                .map(str::to_owned),
        }
    }

    /// The first rule of the file that holds. Where the body was lost on the way, a rule that reads it might have held:
    /// then nobody knows what the answer means. And what cannot be read does not say that something is missing.
    fn meaning(&self, read: (&Answer, Option<&Json>), scope: &Names) -> Option<Meaning> {
        let status = read.0.status;
        let fits = |rule: &&MeaningRule| {
            let statuses = &rule.statuses;
            statuses.is_empty() || statuses.iter().any(|(a, b)| (*a..=*b).contains(&status))
        };
        for rule in self.operation.meanings.iter().filter(fits) {
            let blind = rule.when.as_ref().is_some_and(|e| misses(e, read));
            let held = rule.when.as_ref().is_none_or(|e| holds(e, scope));
            if blind && (is_cut(read) || held && rule.means == Meaning::Missing) {
                return Some(Meaning::Unknown);
            }
            if held {
                return Some(rule.means);
            }
        }
        None
    }

    fn answered(&self, answer: &Answer, body: Option<&Json>) -> Names {
        let mut names = self.names().unwrap_or_default();
        names.insert("answer".into(), (shown(answer, body), Label::Crm));
        names
    }

    /// A change of one record is answered with another one.
    fn names_another(&self, id: Option<&str>) -> bool {
        let method = &self.operation.request.method.source;
        let ours = self.args.at(&["id"]).map(Value::to_string);
        let changes = method == "PUT" || method == "PATCH";
        matches!((ours, id), (Some(ours), Some(id)) if changes && !id.contains('/') && ours != id)
    }

    /// What the body says where no rule of the file has read it.
    fn says(
        &self,
        answer: &Answer,
        (bytes, body): (&[u8], Option<&Json>),
        id: Option<&str>,
    ) -> BodySays {
        match body {
            // No body, or words for people: the status stands.
            None if bytes.is_empty() || !is_json(answer) => BodySays::Agrees,
            None => BodySays::Contradicts,
            Some(body) if answer.status == 409 && shows_key(body, self.effect.key) => {
                BodySays::OurKey
            }
            Some(body) if is_error(body) || self.names_another(id) => BodySays::Contradicts,
            Some(_) => BodySays::Agrees,
        }
    }
}

/// An answer as expressions read it.
pub(crate) fn shown(answer: &Answer, body: Option<&Json>) -> Value {
    let headers = answer.headers.iter();
    let headers = headers.map(|(k, v)| (k.clone(), Value::text(v)));
    let mut parts = BTreeMap::from([
        ("status".to_owned(), Value::Int(i64::from(answer.status))),
        ("header".to_owned(), Value::Record(headers.collect())),
    ]);
    if let Some(body) = body {
        parts.insert("body".into(), json::to_value(body));
    }
    if let Ok(bytes) = &answer.body {
        let text = String::from_utf8_lossy(bytes).replace('\0', "\u{fffd}");
        parts.insert("text".into(), Value::Text(text));
    }
    Value::Record(parts)
}

pub(crate) fn parsed(answer: &Answer) -> Option<Json> {
    serde_json::from_slice(answer.body.as_ref().ok()?).ok()
}

/// Whether an expression reads what an answer does not have: JSON where there is none, a text that was cut.
fn misses(expr: &Expr, (answer, body): (&Answer, Option<&Json>)) -> bool {
    let missing = |path: &Vec<String>| match path.get(1).map(String::as_str) {
        _ if path.first().is_none_or(|root| root != "answer") => false,
        Some("text") => answer.body.is_err(),
        Some("body") | None => body.is_none(),
        Some(_) => false,
    };
    expr.reads().iter().any(missing)
}

/// The body did not arrive whole: the connection says so, or half of a JSON text does.
fn is_cut((answer, body): (&Answer, Option<&Json>)) -> bool {
    match &answer.body {
        Ok(bytes) => body.is_none() && !bytes.is_empty() && is_json(answer),
        Err(_) => true,
    }
}

fn is_json(answer: &Answer) -> bool {
    answer
        .header("content-type")
        .is_some_and(|t| t.contains("json"))
}

/// A condition that has no result does not hold.
fn holds(expr: &Expr, scope: &Names) -> bool {
    matches!(
        expr.eval(scope).map(|e| e.value),
        Ok(Some(Value::Bool(true)))
    )
}

/// A plain value as text.
pub(crate) fn text(expr: &Expr, scope: &Names) -> Option<String> {
    let value = expr.eval(scope).ok()?.value?;
    let plain = !matches!(value, Value::List(_) | Value::Record(_)) && !value.is_blank();
    plain.then(|| value.to_string())
}

fn usual_id(answer: &Answer, body: Option<&Json>) -> Option<String> {
    let id = body.and_then(|b| b.get("id")).and_then(json::scalar_text);
    id.or_else(|| answer.header("location").map(str::to_owned))
}

/// Whether a good status comes with an error in its body.
pub fn says_error(answer: &Answer) -> bool {
    let body = parsed(answer).filter(Json::is_object);
    (200..300).contains(&answer.status) && body.is_some_and(|b| is_error(&b))
}

/// Error marks that real systems put into a 2xx. An empty list answers a write that changed nothing.
fn is_error(body: &Json) -> bool {
    let Json::Object(map) = body else {
        return matches!(body, Json::Array(list) if list.is_empty());
    };
    let marked = |name: &str| match map.get(name) {
        None | Some(Json::Null | Json::Bool(false)) => false,
        Some(Json::Array(list)) => !list.is_empty(),
        Some(Json::String(text)) => !text.is_empty(),
        Some(_) => true,
    };
    let denied = |name: &str| map.get(name) == Some(&Json::Bool(false));
    marked("error") || marked("errors") || denied("ok") || denied("success")
}

/// A 409 that repeats our key says that our own earlier try was first.
fn shows_key(body: &Json, key: &str) -> bool {
    let names = ["idempotency_key", "idempotencyKey", "external_id", "key"];
    !key.is_empty()
        && names
            .iter()
            .any(|n| body.get(n).and_then(Json::as_str) == Some(key))
}
