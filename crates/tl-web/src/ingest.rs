//! A message through a door, in the order the rules demand. Each step may end the request; nothing is stored
//! before step 8.

mod admission;
mod body;
mod declared;
mod dedupe;
mod event;
pub use event::stored_event;
mod lookup;
mod parse;
mod schema;
mod sender;
mod soundness;
mod vendor;

use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use tl_kernel::id::EventId;
use tl_kernel::program::Idempotency;
use tl_kernel::value::Value;
use tl_wire::signature::Reply;

pub(crate) use admission::{door, enter, installation, room, tenant};
pub(crate) use body::read;
pub(crate) use declared::{content_type, length, too_large};
pub(crate) use dedupe::{Keys, api_command, keys};
pub(crate) use event::build;
pub(crate) use lookup::{Found, Way, find, within};
pub(crate) use parse::{Message, from_value, json};
pub(crate) use schema::{Schemas, check, child, shape};
pub use sender::signature_scheme;
pub(crate) use sender::{Evidence, Sender, verify};
pub use soundness::schema_fault;
pub(crate) use vendor::{delivery_id, preset_of, public_address, question};

use crate::answer;
use crate::guard::RequestId;
use crate::headers;
use crate::intake::{Admission, AdmitError, Admitted};
use crate::problem::{Kind, Problem, REFUSED};
use crate::state::{Web, unavailable};

/// `POST /hooks/{tenant}/{endpoint}`.
pub(crate) async fn hook(
    State(web): State<Arc<Web>>,
    Extension(RequestId(id)): Extension<RequestId>,
    path: Names,
    request: Request,
) -> Response {
    through(&web, (Way::Hooks, path), id, request).await
}

/// `POST /forms/{tenant}/{form}`.
pub(crate) async fn form(
    State(web): State<Arc<Web>>,
    Extension(RequestId(id)): Extension<RequestId>,
    path: Names,
    request: Request,
) -> Response {
    through(&web, (Way::Forms, path), id, request).await
}

/// The two names of an address, percent-decoded.
pub(crate) type Names = Result<Path<(String, String)>, PathRejection>;

async fn through(
    web: &Arc<Web>,
    (way, path): (Way, Names),
    id: EventId,
    request: Request,
) -> Response {
    // A path that is no UTF-8 names no tenant.
    let (tenant, endpoint) = path.map(|Path(names)| names).unwrap_or_default();
    let found = match find(web, way, &tenant, &endpoint).await {
        Ok(found) => found,
        Err(problem) => {
            web.metrics.ingested(None, problem.class);
            return problem.into_response();
        }
    };
    let outcome = match receive(web, &found, id, request).await {
        Ok(Received::Question(reply)) => {
            web.metrics.ingested(Some(&found), "challenge");
            return answer::challenge(reply);
        }
        Ok(Received::Message(admitted)) => Ok(admitted),
        Err(problem) => Err(problem),
    };
    web.metrics.ingested(Some(&found), class(&outcome));
    match outcome {
        // 9
        Ok(Admitted::Accepted { case, .. }) => answer::accepted(id, case),
        Ok(Admitted::Duplicate { event, .. }) => answer::duplicate(event),
        Err(problem) => problem.into_response(),
    }
}

/// What a verified post was.
enum Received {
    /// A message, and what became of it.
    Message(Admitted),
    /// A vendor's question, of which nothing is kept.
    Question(Reply),
}

/// Steps 3 to 8 for a door that was found. Room is given back when the answer is known.
async fn receive(
    web: &Arc<Web>,
    found: &Found,
    id: EventId,
    request: Request,
) -> Result<Received, Problem> {
    let (head, body) = request.into_parts();
    let _place = enter(web, found, id)?; // 3
    let declared = declared::check(found.endpoint(), &head.headers)?; // 4
    let _memory = room(web, declared.length, id)?;
    let raw = read(body, declared.length, web.config.body_deadline).await?; // 5
    let url = public_address(web, &head.uri);
    let evidence = Evidence {
        headers: &head.headers,
        raw: &raw,
        id,
        method: head.method.as_str(),
        url: url.as_deref(),
    };
    let sender = verify(web, found, evidence, |_| true)?; // 6
    if let Some(reply) = sender.preset.and_then(|p| p.answer_post(&raw)) {
        return Ok(Received::Question(reply));
    }
    let message = parse::message(found.endpoint(), &declared.content_type, raw)?; // 7
    check(web, found, &message.body)?;
    let admission = admission_of(web, found, (id, &head), (sender, message))?;
    commit(web, admission).await.map(Received::Message) // 8
}

fn admission_of(
    web: &Web,
    found: &Found,
    (id, head): (EventId, &Parts),
    (sender, mut message): (Sender, Message),
) -> Result<Admission, Problem> {
    let now = web.intake.now();
    let event = build(found, &mut message, (id, now), &head.headers);
    // A header that means nothing here is not judged either.
    let asked = found.endpoint().idempotency == Idempotency::Header || sender.principal.is_some();
    let key = match asked {
        true => headers::idempotency_key(&head.headers)?,
        false => None,
    };
    let keys = keys(found, &sender, (&message, &event), key.as_deref())?;
    let said = (event, message);
    Ok(admission(found, (id, now), (sender, keys), said))
}

/// What step 8 is asked to commit.
pub(crate) fn admission(
    found: &Found,
    (id, now): (EventId, i64),
    (sender, keys): (Sender, Keys),
    (event, message): (Value, Message),
) -> Admission {
    Admission {
        tenant: found.view.id,
        endpoint: found.name.clone(),
        event,
        id,
        keys: keys.keys,
        key_source: keys.source.to_owned(),
        expires: now.saturating_add(keys.keep),
        kid: sender.kid,
        received_at: now,
        content_type: message.content_type,
        payload: message.payload,
        idempotent: None,
    }
}

/// Step 8. The commit goes on when the sender hangs up or the deadline passes; the dedupe key answers the retry.
pub(crate) async fn commit(web: &Arc<Web>, admission: Admission) -> Result<Admitted, Problem> {
    let id = admission.id;
    let intake = Arc::clone(&web.intake);
    let task = tokio::spawn(async move { intake.admit(admission).await });
    match tokio::time::timeout(web.config.commit_deadline, task).await {
        Ok(Ok(Ok(admitted))) => Ok(admitted),
        Ok(Ok(Err(AdmitError::Unavailable))) => Err(unavailable("store", 5, id)),
        Ok(Ok(Err(AdmitError::Faulty(error)))) => Err(Problem::internal(error).class("faulty")),
        Ok(Ok(Err(AdmitError::Refused(code, sentence)))) => Err(refused(code, sentence)),
        Ok(Err(_)) => {
            let error = web.error_id();
            tracing::error!(error, "an admission panicked");
            Err(Problem::internal(error))
        }
        Err(_) => Err(unavailable("commit_deadline", 5, id)),
    }
}

fn refused(code: &'static str, sentence: String) -> Problem {
    let kind = Kind { code, ..REFUSED };
    Problem::new(kind, sentence)
}

/// The word under which an outcome is counted.
pub(crate) fn class(outcome: &Result<Admitted, Problem>) -> &'static str {
    match outcome {
        Ok(Admitted::Accepted { .. }) => "accepted",
        Ok(Admitted::Duplicate { variant: false, .. }) => "duplicate",
        Ok(Admitted::Duplicate { variant: true, .. }) => "variant",
        Err(problem) => problem.class,
    }
}
