//! `POST /v1/events`: a message from an authenticated caller. The Idempotency-Key is compulsory; the same
//! request again gets the first answer again, byte for byte.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::HeaderName;
use http::request::Parts;
use tl_kernel::id::EventId;
use tl_kernel::payload::to_json;
use tl_kernel::program::Auth;
use tl_kernel::value::Value;
use tokio::sync::OwnedSemaphorePermit;

use super::command::Command;
use crate::answer;
use crate::apikey::ApiKeyText;
use crate::bearer::{self, Bearer, Doubt};
use crate::guard::RequestId;
use crate::headers;
use crate::ingest::{self, Evidence, Found, Sender, Way};
use crate::intake::{Admitted, TenantView};
use crate::limits::MAX_API_BODY;
use crate::problem::{CONTENT_TYPE, FieldProblem, Problem, SCHEMA};
use crate::security::Refused;
use crate::state::Web;

/// Which tenant a token without an API key is for.
const TENANT: HeaderName = HeaderName::from_static("throughline-tenant");

/// The handler.
pub(crate) async fn post(
    State(web): State<Arc<Web>>,
    Extension(RequestId(id)): Extension<RequestId>,
    request: Request,
) -> Response {
    let known = match identify(&web, id, request).await {
        Ok(known) => known,
        Err(problem) => {
            web.metrics.ingested(None, problem.class);
            return problem.into_response();
        }
    };
    let outcome = answered(&web, id, &known).await;
    let class = outcome
        .as_ref()
        .map_or_else(|p| p.class, |(class, _)| *class);
    web.metrics.ingested(Some(&known.found), class);
    outcome.map_or_else(Problem::into_response, |(_, response)| response)
}

/// A call whose caller is known.
struct Known {
    head: Parts,
    raw: Vec<u8>,
    call: Call,
    found: Found,
    sender: Sender,
    _room: [OwnedSemaphorePermit; 2],
}

/// Steps 2 to 6.
async fn identify(web: &Web, id: EventId, request: Request) -> Result<Known, Problem> {
    let (head, body) = request.into_parts();
    let caller = caller(web, &head, id).await?; // 2
    let place = ingest::installation(web, id)?; // 3
    ingest::tenant(web, caller.view(), id)?;
    let length = ingest::length(&head.headers, MAX_API_BODY)?; // 4
    is_json(&head)?;
    let memory = ingest::room(web, length, id)?;
    let raw = ingest::read(body, length, web.config.body_deadline).await?; // 5
    let evidence = Evidence {
        headers: &head.headers,
        raw: &raw,
        id,
        method: "POST",
        url: None,
    };
    let (call, found, sender) = authenticate(web, &caller, evidence)?; // 6
    // Only now it is known which door was meant.
    let most = found.endpoint().max_body;
    if length > most {
        return Err(ingest::too_large(most));
    }
    ingest::door(web, &found, id)?;
    Ok(Known {
        head,
        raw,
        call,
        found,
        sender,
        _room: [place, memory],
    })
}

/// Steps 7 to 9, unless the same request was answered before.
async fn answered(
    web: &Arc<Web>,
    id: EventId,
    known: &Known,
) -> Result<(&'static str, Response), Problem> {
    let Known {
        head,
        raw,
        found,
        sender,
        ..
    } = known;
    let key = headers::idempotency_key(&head.headers)?.ok_or_else(headers::key_missing)?;
    let principal = sender.principal.clone().unwrap_or_default();
    let request = (head, "/v1/events", [].as_slice());
    let command = Command::new(found.view.id, (principal, key), request, raw);
    let wait = web.config.same_key_wait;
    let _turn = web.same_key.take(&command, wait).await?;
    if let Some(replay) = replay(web, &command, id).await? {
        return Ok(("replayed", replay));
    }
    let outcome = execute(web, id, known, &command).await;
    let class = ingest::class(&outcome);
    let response = match outcome? {
        Admitted::Accepted { case, .. } => answer::accepted(id, case),
        // Another node was faster: its saved answer is the answer.
        Admitted::Duplicate { event, .. } => replay(web, &command, id)
            .await?
            .unwrap_or_else(|| answer::duplicate(event)),
    };
    Ok((class, response))
}

/// Who says it calls, before anything is verified beyond the API key.
enum Caller {
    /// The holder of a key.
    Key(Arc<TenantView>, Bearer),
    /// The bearer of a token, for a tenant.
    Token(Arc<TenantView>),
}

impl Caller {
    fn view(&self) -> &Arc<TenantView> {
        match self {
            Caller::Key(view, _) | Caller::Token(view) => view,
        }
    }
}

/// Step 2: the tenant. An API key names it; beside a token the header does. A key is checked at once, because
/// it covers no body.
async fn caller(web: &Web, head: &Parts, id: EventId) -> Result<Caller, Problem> {
    let Some(token) = headers::bearer(&head.headers) else {
        return Err(Problem::unauthorized("no_credential"));
    };
    if token.starts_with("tl_") {
        let Ok(key) = ApiKeyText::parse(token) else {
            return Err(Problem::unauthorized("malformed"));
        };
        let Some(view) = web.intake.tenant_of_key(key.kid()).await else {
            return Err(Problem::unauthorized("wrong_key"));
        };
        let now = web.intake.now();
        return match bearer::api_key(&view, &key, "events", now) {
            Ok(bearer) => Ok(Caller::Key(view, bearer)),
            Err(Doubt::Scope) => Err(bearer::scope_missing("events")),
            Err(doubt) => {
                let class = doubt.class();
                let refused = Refused::of(&head.headers, id, class);
                web.security.refused((view.id, "v1/events"), refused, now);
                Err(Problem::unauthorized(class))
            }
        };
    }
    let name = headers::single(&head.headers, TENANT.as_str()).unwrap_or_default();
    let view = web.intake.tenant(name).await;
    view.map(Caller::Token)
        .ok_or_else(|| Problem::unauthorized("no_tenant"))
}

fn is_json(head: &Parts) -> Result<(), Problem> {
    let given = ingest::content_type(&head.headers)?;
    if given.is_json() && given.is_utf8() {
        return Ok(());
    }
    Err(Problem::new(
        CONTENT_TYPE,
        "This address takes application/json in UTF-8.",
    ))
}

/// What the body of the call says.
struct Call {
    endpoint: String,
    body: Value,
    named: BTreeMap<String, Value>,
}

/// Step 6: the door and whether its alternatives believe the caller. A token is read before its issuer is
/// known, because the door names the issuer; nothing else is done with the body before it is verified.
fn authenticate(
    web: &Web,
    caller: &Caller,
    evidence: Evidence<'_>,
) -> Result<(Call, Found, Sender), Problem> {
    let call = envelope(evidence.raw);
    let door = |call: &Call| {
        ingest::within(
            web,
            Arc::clone(caller.view()),
            (Way::Events, &call.endpoint),
        )
    };
    match caller {
        Caller::Key(_, bearer) => {
            let call = call?;
            let found = door(&call).ok_or_else(Problem::not_found)?;
            if !found.endpoint().auth.contains(&Auth::ApiKey) {
                return Err(Problem::not_found());
            }
            Ok((call, found, bearer.clone().into()))
        }
        Caller::Token(_) => {
            let call = call.map_err(|_| Problem::unauthorized("malformed"))?;
            let found = door(&call).ok_or_else(|| Problem::unauthorized("no_door"))?;
            let token = |auth: &Auth| matches!(auth, Auth::Jwt { .. });
            let sender = ingest::verify(web, &found, evidence, token)?;
            Ok((call, found, sender))
        }
    }
}

fn envelope(raw: &[u8]) -> Result<Call, Problem> {
    let Value::Record(mut map) = ingest::json(raw)? else {
        return Err(ingest::shape(vec![field("", "must be of type object")]));
    };
    let mut problems = Vec::new();
    let endpoint = match map.remove("endpoint") {
        Some(Value::Text(name)) => name,
        Some(_) => {
            problems.push(field("/endpoint", "must be of type string"));
            String::new()
        }
        None => {
            problems.push(field("/endpoint", "is required"));
            String::new()
        }
    };
    let body = map.remove("body");
    if body.is_none() {
        problems.push(field("/body", "is required"));
    }
    let mut named = BTreeMap::new();
    for (name, value) in map {
        match (name.as_str(), value) {
            ("correlation_id" | "external_id", value @ Value::Text(_)) => {
                named.insert(name, value);
            }
            ("correlation_id" | "external_id", _) => {
                problems.push(field(&format!("/{name}"), "must be of type string"));
            }
            _ => problems.push(field(&ingest::child("", &name), "is not declared")),
        }
    }
    match body {
        Some(body) if problems.is_empty() => Ok(Call {
            endpoint,
            body,
            named,
        }),
        _ => Err(ingest::shape(problems)),
    }
}

fn field(pointer: &str, expected: &str) -> FieldProblem {
    FieldProblem {
        pointer: pointer.to_owned(),
        expected: expected.to_owned(),
    }
}

/// The saved answer, if there is one.
async fn replay(web: &Web, command: &Command, id: EventId) -> Result<Option<Response>, Problem> {
    let saved = command.saved(web, id).await?;
    Ok(saved.map(|(status, body)| answer::saved(status, body)))
}

/// Steps 7 and 8. The stored payload is the inner body, so that every payload of a door has the door's format.
async fn execute(
    web: &Arc<Web>,
    id: EventId,
    known: &Known,
    command: &Command,
) -> Result<Admitted, Problem> {
    let Known {
        head,
        call,
        found,
        sender,
        ..
    } = known;
    let mut message = ingest::from_value(call.body.clone());
    message.parts.extend(call.named.clone());
    message.content_type = "application/json".to_owned();
    message.payload = to_json(&message.body).into_bytes();
    if let Err(problem) = ingest::check(web, found, &message.body) {
        if problem.kind == SCHEMA {
            command.save_refusal(web, &problem).await;
        }
        return Err(problem);
    }
    let now = web.intake.now();
    let event = ingest::build(found, &mut message, (id, now), &head.headers);
    let said = (&message, &event);
    let mut keys = ingest::keys(found, sender, said, Some(&command.key))?;
    let own = ingest::api_command(found, &command.principal, &command.key);
    if !keys.keys.contains(&own) {
        // Beside a pointer of the workflow: two nodes that are given the same key at once must meet.
        keys.keys.push(own);
    }
    let proof = (sender.clone(), keys);
    let mut admission = ingest::admission(found, (id, now), proof, (event, message));
    admission.idempotent = Some(command.named());
    ingest::commit(web, admission).await
}
