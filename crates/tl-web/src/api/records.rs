//! `/v1/records/{type}/{id}`: the built-in system of record. Every write names the version it changes.

mod shape;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode, header};
use tl_kernel::digest::{Digest, hex, keyed};
use tl_kernel::id::{EventId, TenantId};
use tl_kernel::journal::{Actor, Entry, Sealed, seal_control};
use tl_kernel::payload::{object_to_json, parse_json, to_json};
use tl_kernel::time::rfc3339;
use tl_kernel::value::Value;
use tl_store::{CommitAnswer, Guard, RecordWrite, Refused, Row, Unit};

use super::command::Command;
use super::versions::{expected, moved, tag};
use crate::answer;
use crate::bearer::{self, Bearer};
use crate::guard::RequestId;
use crate::headers;
use crate::ingest::{self, Names};
use crate::intake::TenantView;
use crate::limits::{MAX_HISTORY, MAX_RECORD, MAX_RECORD_ID, MAX_RECORD_TYPE};
use crate::problem::{CONTENT_TYPE, FieldProblem, MALFORMED, Problem, TOO_LARGE};
use crate::state::{Web, unavailable};

const ROUTE: &str = "/v1/records/{type}/{id}";

/// The record that a reader asks for: tenant, type and id.
async fn asked_for(
    web: &Web,
    names: Names,
    headers: &HeaderMap,
    id: EventId,
) -> Result<(TenantId, String, String), Problem> {
    let (view, _) = bearer::holder(web, headers, "records:read", id).await?;
    let (kind, name) = address(names)?;
    Ok((view.id, kind, name))
}

/// `GET`: the record itself, its version in `ETag`.
pub(crate) async fn read(
    State(web): State<Arc<Web>>,
    Extension(RequestId(id)): Extension<RequestId>,
    names: Names,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (tenant, kind, name) = asked_for(&web, names, &headers, id).await?;
    let question = web.store.record(tenant, kind, name);
    let record = web
        .ask(question, id)
        .await?
        .ok_or_else(Problem::not_found)?;
    if headers.get(header::IF_NONE_MATCH) == Some(&tag(record.version)) {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        response
            .headers_mut()
            .insert(header::ETAG, tag(record.version));
        return Ok(response);
    }
    Ok(shown(StatusCode::OK, record.version, record.body))
}

/// `GET …/history`: the versions, newest first, each with where its fields came from.
pub(crate) async fn history(
    State(web): State<Arc<Web>>,
    Extension(RequestId(id)): Extension<RequestId>,
    names: Names,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (tenant, kind, name) = asked_for(&web, names, &headers, id).await?;
    let question = web.store.record_history(tenant, kind, name);
    let versions = web.ask(question, id).await?;
    if versions.is_empty() {
        return Err(Problem::not_found());
    }
    // Put together by hand: the stored texts go out as they are, exact numbers included.
    let mut body = b"{\"versions\":[".to_vec();
    for (i, v) in versions.iter().take(MAX_HISTORY).enumerate() {
        if i > 0 {
            body.push(b',');
        }
        let by = to_json(&Value::text(&v.by)).into_bytes();
        body.extend_from_slice(
            format!(
                "{{\"version\":{},\"at\":\"{}\",\"by\":",
                v.version,
                rfc3339(v.at)
            )
            .as_bytes(),
        );
        for (before, text) in [
            ("", &by),
            (",\"record\":", &v.body),
            (",\"provenance\":", &v.provenance),
        ] {
            body.extend_from_slice(before.as_bytes());
            body.extend_from_slice(text);
        }
        body.push(b'}');
    }
    body.extend_from_slice(b"]}");
    Ok(answer::json(StatusCode::OK, body))
}

/// `PUT`: the whole record. `PATCH`: a merge patch (RFC 7396); `null` takes a field away.
pub(crate) async fn write(
    State(web): State<Arc<Web>>,
    Extension(RequestId(id)): Extension<RequestId>,
    names: Names,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let (view, bearer) = bearer::holder(&web, &head.headers, "records:write", id).await?;
    let (kind, name) = address(names)?;
    let length = ingest::length(&head.headers, MAX_RECORD)?;
    if !ingest::content_type(&head.headers)?.is_json() {
        return Err(Problem::new(CONTENT_TYPE, "A record is application/json."));
    }
    let _memory = ingest::room(&web, length, id)?;
    let raw = ingest::read(body, length, web.config.body_deadline).await?;
    let fields = object(&raw)?;
    let condition = expected(&head.headers)?;
    let command = headers::idempotency_key(&head.headers)?.map(|key| {
        let names: [&str; 2] = [&kind, &name];
        Command::new(
            view.id,
            (bearer.principal.clone(), key),
            (&head, ROUTE, &names),
            &raw,
        )
    });
    let target = Target {
        web: &web,
        view: &view,
        kind,
        name,
        request: id,
    };
    let _turn = match &command {
        Some(command) => Some(web.same_key.take(command, web.config.same_key_wait).await?),
        None => None,
    };
    if let Some(replay) = target.replay(command.as_ref()).await? {
        return Ok(replay);
    }
    let now = target.current().await?;
    condition.admits(now.version)?;
    if now.version == 0 && head.method == Method::PATCH {
        return Err(Problem::not_found());
    }
    shape::check(&view, &target.kind, &fields)?;
    let fields = match head.method {
        Method::PATCH => merged(object(&now.body)?, fields),
        _ => fields,
    };
    target
        .commit(&now, &fields, (&bearer, command.as_ref()))
        .await
}

fn object(raw: &[u8]) -> Result<BTreeMap<String, Value>, Problem> {
    match parse_json(raw) {
        Ok(Value::Record(map)) => Ok(map),
        Ok(_) => {
            let problem = FieldProblem {
                pointer: String::new(),
                expected: "must be of type object".into(),
            };
            Err(ingest::shape(vec![problem]))
        }
        Err(e) => Err(Problem::new(
            MALFORMED,
            format!("The body is no JSON we take: {e}."),
        )),
    }
}

/// Type and id of an address.
fn address(names: Names) -> Result<(String, String), Problem> {
    let wrong = || {
        let detail =
            "A record type is lower-case letters, digits, `_` and `-`; an id is printable text.";
        Problem::new(MALFORMED, detail)
    };
    let Path((kind, id)) = names.map_err(|_| wrong())?;
    let plain = kind
        .bytes()
        .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'));
    let fits = plain
        && (1..=MAX_RECORD_TYPE).contains(&kind.len())
        && (1..=MAX_RECORD_ID).contains(&id.len())
        && !id.chars().any(char::is_control);
    fits.then_some((kind, id)).ok_or_else(wrong)
}

/// RFC 7396.
fn merged(
    mut target: BTreeMap<String, Value>,
    patch: BTreeMap<String, Value>,
) -> BTreeMap<String, Value> {
    for (name, value) in patch {
        match value {
            Value::Null => {
                target.remove(&name);
            }
            Value::Record(inner) => {
                let held = match target.remove(&name) {
                    Some(Value::Record(held)) => held,
                    _ => BTreeMap::new(),
                };
                target.insert(name, Value::Record(merged(held, inner)));
            }
            value => {
                target.insert(name, value);
            }
        }
    }
    target
}

/// The record that a write is about.
struct Target<'a> {
    web: &'a Arc<Web>,
    view: &'a TenantView,
    kind: String,
    name: String,
    request: EventId,
}

/// What is there before a write; version 0 = nothing.
#[derive(Default)]
struct Current {
    version: u64,
    body: Vec<u8>,
    provenance: Vec<u8>,
}

impl Target<'_> {
    async fn current(&self) -> Result<Current, Problem> {
        let question = self
            .web
            .store
            .record(self.view.id, self.kind.clone(), self.name.clone());
        let found = self.web.ask(question, self.request).await?;
        Ok(found.map_or_else(Current::default, |r| Current {
            version: r.version,
            body: r.body,
            provenance: r.provenance,
        }))
    }

    /// What marks the version that a command wrote.
    fn mark(&self, command: &Command) -> Digest {
        write_mark(
            &self.view.key,
            (&self.kind, &self.name),
            (&command.principal, &command.key),
        )
    }

    /// The answer that the same request got before. The version comes from the history, the bytes from what
    /// was saved.
    async fn replay(&self, command: Option<&Command>) -> Result<Option<Response>, Problem> {
        let Some(command) = command else {
            return Ok(None);
        };
        let Some((status, body)) = command.saved(self.web, self.request).await? else {
            return Ok(None);
        };
        let question =
            self.web
                .store
                .record_history(self.view.id, self.kind.clone(), self.name.clone());
        let versions = self.web.ask(question, self.request).await?;
        let mark = self.mark(command);
        let mut response = answer::saved(status, body);
        if let Some(version) = versions.iter().find(|v| v.key == Some(mark)) {
            response
                .headers_mut()
                .insert(header::ETAG, tag(version.version));
        }
        Ok(Some(response))
    }

    async fn commit(
        &self,
        now: &Current,
        fields: &BTreeMap<String, Value>,
        (bearer, command): (&Bearer, Option<&Command>),
    ) -> Result<Response, Problem> {
        let at = self.web.intake.now();
        let body = object_to_json(fields).into_bytes();
        if body.len() > MAX_RECORD as usize {
            let detail = format!("A record has at most {MAX_RECORD} bytes.");
            return Err(Problem::new(TOO_LARGE, detail));
        }
        let version = now.version + 1;
        let status = if now.version == 0 {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        };
        let mut unit = Unit::new(self.view.id);
        unit.guards.push(Guard::RecordAt {
            kind: self.kind.clone(),
            id: self.name.clone(),
            version: now.version,
        });
        unit.rows.push(Row::Record(RecordWrite {
            kind: self.kind.clone(),
            id: self.name.clone(),
            version,
            body: body.clone(),
            provenance: shape::provenance(now, fields, (&bearer.kid, at)),
            by: bearer.kid.clone(),
            at,
            key: command.map(|c| self.mark(c)),
        }));
        unit.rows
            .extend(command.map(|c| c.row(status.as_u16(), body.clone(), at)));
        unit.control.push(self.leaf(bearer, (version, &body), at));
        let commit = self.web.store.commit(unit);
        let answer = tokio::time::timeout(self.web.config.commit_deadline, commit).await;
        match answer.map_err(|_| unavailable("commit_deadline", 5, self.request))? {
            Ok(_) => Ok(shown(status, version, body)),
            Err(Refused::KeyUsed) => {
                let replay = self.replay(command).await?;
                replay.ok_or_else(|| unavailable("store", 5, self.request))
            }
            refused => Err(self.refused(refused)),
        }
    }

    /// What the audit keeps of a write: who, of which record, and the digest of what it says now. An id may be somebody's
    /// address, so it stands there as a digest too; what was written stands in the record's versions.
    fn leaf(&self, bearer: &Bearer, (version, body): (u64, &[u8]), at: i64) -> Sealed {
        let digest = |parts: &[&[u8]]| hex(&keyed(&self.view.key, parts));
        let id = digest(&[b"record-id", self.kind.as_bytes(), self.name.as_bytes()]);
        let said = digest(&[b"record-body", body]);
        let entry = Entry::Control {
            action: "record.write".into(),
            object: format!("{}/{id}", self.kind),
            detail: format!("version {version}, {said}"),
        };
        let by = Actor::ApiKey(bearer.kid.clone());
        seal_control(self.view.id, at, by, vec![entry])
    }

    fn refused(&self, answer: CommitAnswer) -> Problem {
        match answer {
            Err(Refused::RecordMoved { version }) => moved(version),
            Err(Refused::Unavailable { .. }) => unavailable("store", 5, self.request),
            Err(Refused::Faulty { id, .. }) => Problem::internal(id),
            other => {
                let error = self.web.error_id();
                tracing::error!(error, "a record write was answered {other:?}");
                Problem::internal(error)
            }
        }
    }
}

fn shown(status: StatusCode, version: u64, body: Vec<u8>) -> Response {
    let mut response = answer::json(status, body);
    response.headers_mut().insert(header::ETAG, tag(version));
    response
}

/// What marks the version of a record (type, id) that a caller wrote under an idempotency key (principal, key):
/// whoever audits the store finds with it how often a write was applied.
pub fn write_mark(tenant_key: &[u8; 32], record: (&str, &str), caller: (&str, &str)) -> Digest {
    let ((kind, name), (principal, key)) = (record, caller);
    let parts = [
        b"record-write" as &[u8],
        kind.as_bytes(),
        name.as_bytes(),
        principal.as_bytes(),
        key.as_bytes(),
    ];
    keyed(tenant_key, &parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merge_patches_follow_the_standard() {
        let table = [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (
                r#"{"a":{"b":"c"}}"#,
                r#"{"a":{"b":"d","c":null}}"#,
                r#"{"a":{"b":"d"}}"#,
            ),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"a":1,"e":null}"#),
            (
                r#"{}"#,
                r#"{"a":{"bb":{"ccc":null}}}"#,
                r#"{"a":{"bb":{}}}"#,
            ),
        ];
        for (target, patch, want) in table {
            let got = merged(
                object(target.as_bytes()).unwrap(),
                object(patch.as_bytes()).unwrap(),
            );
            assert_eq!(object_to_json(&got), want, "{target} + {patch}");
        }
    }
}
