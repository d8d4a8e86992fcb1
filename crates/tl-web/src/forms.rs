//! Forms for people: `GET /forms/{tenant}/{form}` shows the form of a door that is public, and its post answers a
//! browser with a page. Nothing of it needs a script.
//!
//! A public door has no secret. What it believes instead: that a page of ours was shown some seconds ago (a token that
//! we have signed, good for one message), or that a browser came from a website on the door's list. Neither says who
//! the sender is, and nothing further in takes it for that.

mod controls;
mod cors;
pub(crate) mod follow_up;
mod page;
mod reading;
mod signed_in;
mod token;

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tl_kernel::id::EventId;
use tl_kernel::program::Endpoint;
use tl_kernel::value::Value;
use tl_wire::form::Form as Sent;
use tl_wire::signature::DeliveryId;

use controls::form_of;
pub use controls::{Control, Form, Kind};
pub use signed_in::{FilledIn, NotTaken, SignedIn};

use crate::guard::RequestId;
use crate::headers::single;
use crate::ingest::{self, Evidence, Found, Names, Received, Sender, Taken, Way, find};
use crate::intake::Admitted;
use crate::limits::{FORM_LEAST, FORM_MOST};
use crate::problem::{FORM, METHOD, NOT_FOUND, Problem, SCHEMA, UNAUTHORIZED};
use crate::state::Web;
use reading::{Fault, TOKEN, TRAP, Typed};

/// `GET /forms/{tenant}/{form}`: the page.
pub(crate) async fn show(
    State(web): State<Arc<Web>>,
    Extension(RequestId(id)): Extension<RequestId>,
    path: Names,
    request: Request,
) -> Response {
    let Some(found) = public(&web, path).await else {
        return nothing(request.headers());
    };
    if let Err(problem) = ingest::glance(&web, &found, id) {
        return told(&problem);
    }
    let form = form(&found);
    let token = token::issue(&found, web.intake.now(), id);
    let page = page::Page {
        form: &form,
        token: Some(&token),
        typed: &Typed::new(),
        faults: &[],
        note: None,
    };
    page::shown(StatusCode::OK, &page)
}

/// `GET /forms/{tenant}/{form}/sent`: where a browser is led after a message; loading it again sends nothing.
pub(crate) async fn sent(State(web): State<Arc<Web>>, path: Names, request: Request) -> Response {
    match public(&web, path).await {
        Some(_) => thanks(StatusCode::OK),
        None => nothing(request.headers()),
    }
}

/// The page after a message that was taken.
pub(crate) fn thanks(status: StatusCode) -> Response {
    let text = "We have your message. You can close this page.";
    page::answer(status, page::notice("Thank you", text))
}

/// `OPTIONS /forms/{tenant}/{form}`: what a browser asks before a page of another website posts.
pub(crate) async fn preflight(
    State(web): State<Arc<Web>>,
    path: Names,
    request: Request,
) -> Response {
    let found = public(&web, path).await;
    let origins = found.as_ref().and_then(|f| f.endpoint().public_origins());
    let listed = origins.and_then(|all| cors::listed(all, request.headers()));
    if listed.is_none() {
        return not_taken();
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    cors::permit(&mut response);
    cors::readable_by(listed, response)
}

/// `POST /forms/{tenant}/{form}`.
pub(crate) async fn post(
    State(web): State<Arc<Web>>,
    Extension(RequestId(id)): Extension<RequestId>,
    path: Names,
    request: Request,
) -> Response {
    let html = wants_html(request.headers());
    let names = path.map(|axum::extract::Path(names)| names);
    let (tenant, name) = names.unwrap_or_default();
    let found = match find(&web, Way::Forms, &tenant, &name).await {
        Ok(found) => found,
        Err(problem) => {
            web.metrics.ingested(None, problem.class);
            return match html {
                true => nothing(request.headers()),
                false => problem.into_response(),
            };
        }
    };
    let Some(origins) = found.endpoint().public_origins() else {
        return ingest::answered(&web, &found, id, request).await;
    };
    let origin = cors::listed(origins, request.headers()).cloned();
    let response = match html {
        true => posted(&web, &found, id, request).await,
        false => ingest::answered(&web, &found, id, request).await,
    };
    cors::readable_by(origin.as_ref(), response)
}

/// Whether the answer is read by a person: a browser that goes to a page says so, and a program does not.
pub(crate) fn wants_html(headers: &HeaderMap) -> bool {
    let accept = single(headers, "accept").unwrap_or_default();
    accept
        .split(',')
        .any(|kind| kind.trim().to_ascii_lowercase().starts_with("text/html"))
}

/// A public door that is open.
async fn public(web: &Web, path: Names) -> Option<Found> {
    let axum::extract::Path((tenant, name)) = path.ok()?;
    let found = find(web, Way::Forms, &tenant, &name).await.ok()?;
    let is_public = found.endpoint().public_origins().is_some();
    is_public.then_some(found)
}

/// Where there is no form to show: a page for a person; a program is told what it always was.
pub(crate) fn nothing(headers: &HeaderMap) -> Response {
    match wants_html(headers) {
        true => {
            let text = "There is no form at this address, or it has been closed. Please check the address, or write \
                        to whoever gave it to you.";
            let status = StatusCode::from_u16(NOT_FOUND.status).unwrap_or(StatusCode::NOT_FOUND);
            page::answer(status, page::notice("No form here", text))
        }
        false => not_taken(),
    }
}

fn not_taken() -> Response {
    let problem = Problem::new(METHOD, "The Allow header names the methods.");
    ([(header::ALLOW, "POST")], problem).into_response()
}

fn form(found: &Found) -> Form {
    form_of(found.endpoint(), &found.door().program.record)
}

/// A refusal as a page without a form.
pub(crate) fn told(problem: &Problem) -> Response {
    let text = "We cannot show this form at this moment. Please try again in a minute.";
    let page = page::notice("Not just now", text);
    marked(problem, page::answer(status(problem), page))
}

fn status(problem: &Problem) -> StatusCode {
    StatusCode::from_u16(problem.kind.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The headers that a refusal has as a page, too.
fn marked(problem: &Problem, mut response: Response) -> Response {
    let headers = response.headers_mut();
    if let Some(seconds) = problem.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    let close = problem
        .headers
        .iter()
        .filter(|(n, _)| *n == header::CONNECTION);
    for (name, value) in close {
        headers.insert(name.clone(), value.clone());
    }
    response
}

/// A post of a person: like every other, but the answer is a page.
async fn posted(web: &Arc<Web>, found: &Found, id: EventId, request: Request) -> Response {
    let form = form(found);
    let (outcome, typed) = match ingest::taken(web, found, id, request).await {
        Err(problem) => (Err(not_taken_for(problem)), Typed::new()),
        Ok(taken) => {
            let typed = reading::typed(&taken.content_type, &taken.raw);
            let outcome = judged(web, (found, &form, &typed), id, taken).await;
            (outcome, typed)
        }
    };
    count(web, found, &outcome);
    let again = |problem: &Problem, faults: &[Fault], note: Option<&str>| {
        let held = typed.get(TOKEN).filter(|_| keeps_token(problem));
        let token = held.cloned();
        let token = token.unwrap_or_else(|| token::issue(found, web.intake.now(), id));
        let page = page::Page {
            form: &form,
            token: Some(&token),
            typed: &typed,
            faults,
            note,
        };
        marked(problem, page::shown(status(problem), &page))
    };
    match outcome {
        // Sent before, with other words: a message of its own, if the person wants that.
        Ok(Admitted::Duplicate { variant: true, .. }) if typed.contains_key(TOKEN) => {
            let note = "This form was sent already, with other answers. To send these as well, press Send again.";
            again(&form_problem("sent_before"), &[], Some(note))
        }
        Ok(_) => sent_to(&format!("{}/sent", found.name)),
        Err((problem, faults)) if faults.is_empty() => again(&problem, &[], Some(excuse(&problem))),
        Err((problem, faults)) => again(&problem, &faults, None),
    }
}

/// Why a message of a person is not taken, and what is said of single answers.
type NotSent = (Problem, Vec<Fault>);

/// Where no single answer is at fault.
fn not_taken_for(problem: Problem) -> NotSent {
    (problem, Vec::new())
}

/// Where the schema may say which answers are at fault.
fn not_sound(form: &Form, problem: Problem) -> NotSent {
    let faults = reading::of_schema(form, &problem.errors);
    (problem, faults)
}

/// What the page itself asks of the answers.
fn filled_in(form: &Form, typed: &Typed) -> Result<(), NotSent> {
    let faults = reading::faults(form, typed);
    if faults.is_empty() {
        return Ok(());
    }
    Err((
        Problem::new(SCHEMA, "Answers are missing or wrong."),
        faults,
    ))
}

/// Counts what became of a message of a person.
fn count(web: &Web, found: &Found, outcome: &Result<Admitted, NotSent>) {
    let class = match outcome {
        Ok(admitted) => ingest::admitted_class(admitted),
        Err((problem, _)) => problem.class,
    };
    web.metrics.ingested(Some(found), class);
}

/// The rules of the page, then the steps of every message.
async fn judged(
    web: &Arc<Web>,
    (found, form, typed): (&Found, &Form, &Typed),
    id: EventId,
    taken: Taken,
) -> Result<Admitted, NotSent> {
    sender(web, found, taken.evidence(id)).map_err(not_taken_for)?;
    filled_in(form, typed)?;
    match ingest::judged(web, found, id, taken).await {
        Ok(Received::Message(admitted)) => Ok(admitted),
        // No vendor asks at a public door.
        Ok(Received::Question(_)) => Err(not_taken_for(form_problem("question"))),
        Err(problem) => Err(not_sound(form, problem)),
    }
}

/// The page after a message: another address, so that loading it again sends nothing.
fn sent_to(address: &str) -> Response {
    let mut response = thanks(StatusCode::SEE_OTHER);
    if let Ok(address) = HeaderValue::from_str(address) {
        response.headers_mut().insert(header::LOCATION, address);
    }
    response
}

/// Whether the page's token may be used for the next try. One that was not believed, or is too old, is replaced; and
/// after a message that was taken the next is another.
fn keeps_token(problem: &Problem) -> bool {
    let gone = ["too_old", "sent_before"].contains(&problem.class);
    !gone && problem.kind != UNAUTHORIZED
}

/// What a person is told where no answer of theirs is at fault.
fn excuse(problem: &Problem) -> &'static str {
    match (problem.class, problem.kind.status) {
        ("too_fast", _) => {
            "That was quicker than a person types. Your answers are still here: please look them over and press Send \
             again."
        }
        ("too_old", _) => {
            "This page had been open for more than a day. Your answers are still here: please press Send again."
        }
        ("trap", _) => {
            "A field that people do not see was filled in, perhaps by your browser. It is empty again: please press \
             Send again."
        }
        (_, 401) => {
            "This page could not be recognised. Your answers are still here: please press Send again."
        }
        (_, 408 | 429 | 500..) => {
            "We cannot take messages at this moment. Your answers are still here: please press Send again in a minute."
        }
        _ => "What arrived could not be read. Please look your answers over and press Send again.",
    }
}

fn form_problem(class: &'static str) -> Problem {
    Problem::new(
        FORM,
        "Open the form's page, fill it in as a person does, and send it within a day.",
    )
    .class(class)
}

/// Step 6 at a public door: a page that was shown, or a website on the list.
pub(crate) fn sender(web: &Web, found: &Found, evidence: Evidence<'_>) -> Result<Sender, Problem> {
    let content_type = ingest::content_type(evidence.headers)?;
    let typed = reading::typed(&content_type, evidence.raw);
    if typed.get(TRAP).is_some_and(|text| !text.trim().is_empty()) {
        return Err(form_problem("trap"));
    }
    let by = |kid: &str, key: Option<String>| Sender {
        kid: kid.to_owned(),
        delivery: key.map(|value| DeliveryId {
            value,
            covered: true,
        }),
        principal: None,
        preset: None,
        timeless: false,
    };
    let Some(text) = typed.get(TOKEN) else {
        let origins = found.endpoint().public_origins().unwrap_or_default();
        return match cors::listed(origins, evidence.headers) {
            Some(_) => Ok(by("website", None)),
            None => Err(ingest::turned_away(web, found, "no_page", evidence)),
        };
    };
    let Some(shown) = token::read(found, text) else {
        return Err(ingest::turned_away(web, found, "page", evidence));
    };
    let open = web.intake.now().saturating_sub(shown.at);
    match open {
        ..FORM_LEAST => Err(form_problem("too_fast")),
        FORM_LEAST..=FORM_MOST => Ok(by("page", Some(shown.key))),
        _ => Err(form_problem("too_old")),
    }
}

/// The body of a message from a form at a door whose senders prove nothing.
pub(crate) fn body(endpoint: &Endpoint, sent: &Sent) -> Value {
    reading::body(endpoint, sent)
}
