//! A message through a door, in the order the rules demand. Each step may end the request; nothing is stored
//! before step 8.

mod admission;
mod body;
mod carried;
mod declared;
mod dedupe;
mod documents;
mod event;
pub use event::stored_event;
mod imported;
pub use imported::Importer;
mod lookup;
mod mail;
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
use tl_kernel::contact::Wish;
use tl_kernel::id::EventId;
use tl_kernel::program::Idempotency;
use tl_kernel::value::Value;
use tl_wire::content_type::ContentType;
use tl_wire::signature::Reply;
use tokio::sync::OwnedSemaphorePermit;

pub(crate) use admission::{door, enter, glance, installation, room, tenant};
pub(crate) use body::read;
pub use carried::{Carried, Carrier};
pub(crate) use declared::{content_type, length, too_large};
pub(crate) use dedupe::{Keys, api_command, keys};
pub(crate) use event::build;
pub(crate) use lookup::{Found, Way, find, within};
pub(crate) use mail::LOOP;
pub(crate) use parse::{Message, from_value, json};
pub(crate) use schema::{Schemas, check, child, shape};
pub use sender::signature_scheme;
pub(crate) use sender::{Evidence, Sender, turned_away, verify};
pub use soundness::schema_fault;
pub(crate) use vendor::{delivery_id, preset_of, public_address, question};

use crate::answer;
use crate::echoes::Echo;
use crate::forms;
use crate::guard::RequestId;
use crate::headers;
use crate::intake::{Admission, AdmitError, Admitted};
use crate::problem::{FAULTY, Kind, PANICKED, Problem, REFUSED};
use crate::state::{Web, unavailable};

/// `POST /hooks/{tenant}/{endpoint}`.
pub(crate) async fn hook(
    State(web): State<Arc<Web>>,
    Extension(RequestId(id)): Extension<RequestId>,
    path: Names,
    request: Request,
) -> Response {
    // A path that is no UTF-8 names no tenant.
    let (tenant, endpoint) = path.map(|Path(names)| names).unwrap_or_default();
    match find(&web, Way::Hooks, &tenant, &endpoint).await {
        Ok(found) => answered(&web, &found, id, request).await,
        Err(problem) => {
            web.metrics.ingested(None, problem.class);
            problem.into_response()
        }
    }
}

/// The two names of an address, percent-decoded.
pub(crate) type Names = Result<Path<(String, String)>, PathRejection>;

/// The answer of a door that was found, to a program.
pub(crate) async fn answered(
    web: &Arc<Web>,
    found: &Found,
    id: EventId,
    request: Request,
) -> Response {
    let received = match taken(web, found, id, request).await {
        Ok(taken) => judged(web, found, id, taken).await,
        Err(problem) => Err(problem),
    };
    let outcome = match received {
        Ok(Received::Question(reply)) => {
            web.metrics.ingested(Some(found), "challenge");
            return answer::challenge(reply);
        }
        Ok(Received::Message(admitted)) => Ok(admitted),
        Err(problem) => Err(problem),
    };
    web.metrics.ingested(Some(found), class(&outcome));
    match outcome {
        // 9
        Ok(Admitted::Accepted { case, .. }) => answer::accepted(id, case),
        Ok(Admitted::Duplicate { event, .. }) => answer::duplicate(event),
        Err(problem) => problem.into_response(),
    }
}

/// What a verified post was.
pub(crate) enum Received {
    /// A message, and what became of it.
    Message(Admitted),
    /// A vendor's question, of which nothing is kept.
    Question(Reply),
}

/// A post that was read, and nothing of it judged yet. The room that it takes is given back when its answer is known.
pub(crate) struct Taken {
    head: Parts,
    /// As declared.
    pub(crate) content_type: ContentType,
    /// The raw bytes.
    pub(crate) raw: Vec<u8>,
    /// The public address of the request, where it is known.
    url: Option<String>,
    _place: OwnedSemaphorePermit,
    _memory: OwnedSemaphorePermit,
}

impl Taken {
    /// What its sender is judged by.
    pub(crate) fn evidence(&self, id: EventId) -> Evidence<'_> {
        Evidence {
            headers: &self.head.headers,
            raw: &self.raw,
            id,
            method: self.head.method.as_str(),
            url: self.url.as_deref(),
        }
    }
}

impl Taken {
    /// What it says; its bytes stay.
    pub(crate) fn message(&self, found: &Found) -> Result<Message, Problem> {
        parse::message(found.endpoint(), &self.content_type, self.raw.clone())
    }

    /// Headers of its request.
    pub(crate) fn headers(&self) -> &http::HeaderMap {
        &self.head.headers
    }
}

/// Steps 3 to 5 for a door that was found.
pub(crate) async fn taken(
    web: &Web,
    found: &Found,
    id: EventId,
    request: Request,
) -> Result<Taken, Problem> {
    let (head, body) = request.into_parts();
    let place = enter(web, found, id)?; // 3
    let declared = declared::check(found.endpoint(), &head.headers)?; // 4
    let memory = room(web, declared.length, id)?;
    let raw = read(body, declared.length, web.config.body_deadline).await?; // 5
    Ok(Taken {
        url: public_address(web, &head.uri),
        content_type: declared.content_type,
        head,
        raw,
        _place: place,
        _memory: memory,
    })
}

/// Steps 6 to 8.
pub(crate) async fn judged(
    web: &Arc<Web>,
    found: &Found,
    id: EventId,
    taken: Taken,
) -> Result<Received, Problem> {
    let evidence = taken.evidence(id);
    let sender = match found.endpoint().public_origins() {
        Some(_) => forms::sender(web, found, evidence)?,
        None => verify(web, found, evidence, |_| true)?,
    }; // 6
    if let Some(reply) = sender.preset.and_then(|p| p.answer_post(&taken.raw)) {
        return Ok(Received::Question(reply));
    }
    let Taken {
        head,
        content_type,
        raw,
        _place,
        _memory,
        ..
    } = taken;
    let mut message = parse::message(found.endpoint(), &content_type, raw)?; // 7
    // Whoever wants nothing more need not say so in the form that the workflow wants.
    if message
        .consent
        .as_ref()
        .is_none_or(|c| c.wish != Wish::Stop)
    {
        check(web, found, &message.body)?;
    }
    documents::read(web, &mut message, id).await?;
    let admission = admission_of(web, found, (id, &head), (sender, message))?;
    let admitted = commit_counted(web, admission).await?; // 8
    Ok(Received::Message(admitted))
}

fn admission_of(
    web: &Web,
    found: &Found,
    (id, head): (EventId, &Parts),
    (sender, mut message): (Sender, Message),
) -> Result<(Admission, Option<Echo>), Problem> {
    let now = web.intake.now();
    let echo = web.echoes.mark(found, &mut message, now);
    let event = build(found, &mut message, (id, now), &head.headers);
    // A header that means nothing here is not judged either.
    let asked = found.endpoint().idempotency == Idempotency::Header || sender.principal.is_some();
    let key = match asked {
        true => headers::idempotency_key(&head.headers)?,
        false => None,
    };
    let keys = keys(found, &sender, (&message, &event), key.as_deref())?;
    let said = (event, message);
    Ok((admission(found, (id, now), (sender, keys), said), echo))
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
        case: None,
        consent: message.consent,
        idempotent: None,
    }
}

/// Step 8. The commit goes on when the sender hangs up or the deadline passes; the dedupe key answers the retry.
pub(crate) async fn commit(web: &Arc<Web>, admission: Admission) -> Result<Admitted, Problem> {
    commit_counted(web, (admission, None)).await
}

/// Step 8 of a message that may be one of many answers: it counts when it is taken, whoever still waits for it.
async fn commit_counted(
    web: &Arc<Web>,
    (admission, echo): (Admission, Option<Echo>),
) -> Result<Admitted, Problem> {
    let id = admission.id;
    let held = Arc::clone(web);
    let task = tokio::spawn(async move {
        let outcome = held.intake.admit(admission).await;
        if let (Ok(Admitted::Accepted { .. }), Some(echo)) = (&outcome, echo) {
            held.echoes.taken(echo);
        }
        outcome
    });
    match tokio::time::timeout(web.config.commit_deadline, task).await {
        Ok(Ok(Ok(admitted))) => Ok(admitted),
        Ok(Ok(Err(AdmitError::Unavailable))) => Err(unavailable("store", 5, id)),
        Ok(Ok(Err(AdmitError::Faulty(error)))) => Err(Problem::internal(error).class(FAULTY)),
        Ok(Ok(Err(AdmitError::Refused(code, sentence)))) => Err(refused(code, sentence)),
        Ok(Err(_)) => {
            let error = web.error_id();
            tracing::error!(error, event_id = %id, "an admission panicked");
            Err(Problem::internal(error).class(PANICKED))
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
        Ok(admitted) => admitted_class(admitted),
        Err(problem) => problem.class,
    }
}

/// The word under which a message that was taken is counted.
pub(crate) fn admitted_class(admitted: &Admitted) -> &'static str {
    match admitted {
        Admitted::Accepted { .. } => "accepted",
        Admitted::Duplicate { variant: false, .. } => "duplicate",
        Admitted::Duplicate { variant: true, .. } => "variant",
    }
}
