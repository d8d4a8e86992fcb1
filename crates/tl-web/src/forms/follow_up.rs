//! The page that a one-time link leads to: it asks for what the case lacks, and for nothing else. The answers are a
//! message that joins the case.

use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::StatusCode;
use tl_kernel::decide::link_kid;
use tl_kernel::digest::keyed;
use tl_kernel::follow_up::{Link, OVER};
use tl_kernel::id::{CaseId, EventId};
use tl_kernel::limits::DEDUPE_KEEP;
use tl_kernel::payload::to_json;
use tl_kernel::time::SECOND;
use tl_kernel::value::Value;

use super::controls::{Form, form_for};
use super::page::{self, Page};
use super::reading::{self, Fault, Typed};
use super::{
    NotSent, count, excuse, filled_in, marked, not_sound, not_taken_for, sent_to, status, thanks,
    told,
};
use crate::guard::RequestId;
use crate::ingest::{self, Found, Keys, Sender, Taken, Way, within};
use crate::intake::Admitted;
use crate::state::Web;

/// Tenant, case and token of an address.
type Names = Result<Path<(String, String, String)>, PathRejection>;

/// A link that counts: its door, its case, and what is asked.
struct Open {
    found: Found,
    case: CaseId,
    ask: u32,
    form: Form,
}

/// `GET /follow-up/{tenant}/{case}/{token}`.
pub(crate) async fn show(
    State(web): State<Arc<Web>>,
    Extension(RequestId(id)): Extension<RequestId>,
    path: Names,
) -> Response {
    let Some(open) = open(&web, path).await else {
        return over();
    };
    match ingest::glance(&web, &open.found, id) {
        Ok(()) => asked(StatusCode::OK, (&open.form, &Typed::new()), &[], None),
        Err(problem) => told(&problem),
    }
}

/// `POST /follow-up/{tenant}/{case}/{token}`.
pub(crate) async fn post(
    State(web): State<Arc<Web>>,
    Extension(RequestId(id)): Extension<RequestId>,
    path: Names,
    request: Request,
) -> Response {
    let Some(open) = open(&web, path).await else {
        web.metrics.ingested(None, "link");
        return over();
    };
    let (outcome, typed) = match ingest::taken(&web, &open.found, id, request).await {
        Ok(taken) => {
            let typed = reading::typed(&taken.content_type, &taken.raw);
            (answered(&web, &open, id, (taken, &typed)).await, typed)
        }
        Err(problem) => (Err(not_taken_for(problem)), Typed::new()),
    };
    count(&web, &open.found, &outcome);
    match outcome {
        Ok(Admitted::Duplicate { variant: true, .. }) => over(),
        Ok(_) => sent_to("../../sent"),
        Err((problem, _)) if problem.code == OVER => over(),
        Err((problem, faults)) => {
            let note = faults.is_empty().then(|| excuse(&problem));
            let page = asked(status(&problem), (&open.form, &typed), &faults, note);
            marked(&problem, page)
        }
    }
}

/// `GET /follow-up/sent`: where a browser is led after its answers.
pub(crate) async fn sent() -> Response {
    thanks(StatusCode::OK)
}

fn asked(
    status: StatusCode,
    (form, typed): (&Form, &Typed),
    faults: &[Fault],
    note: Option<&str>,
) -> Response {
    let page = Page {
        form,
        token: None,
        typed,
        faults,
        note,
    };
    page::shown(status, &page)
}

/// One page for every link that does not count, whatever the reason: nobody learns from it which case there is.
fn over() -> Response {
    let text = "This link has been used already, or it has ended. If you have just sent your answers, we have them.";
    page::answer(
        StatusCode::GONE,
        page::notice("Nothing more to fill in", text),
    )
}

/// The link of an address, where it counts: first what it proves by itself, then whether its case still waits.
async fn open(web: &Web, path: Names) -> Option<Open> {
    let Path((tenant, case, token)) = path.ok()?;
    let view = web.intake.tenant(&tenant).await?;
    let case: CaseId = case.parse().ok()?;
    let link = Link::read(&view.key, case, &token)?;
    if link.until < web.intake.now() / SECOND {
        return None;
    }
    let waiting = web.intake.waiting(view.id, case).await?;
    if waiting.ask != link.ask {
        return None;
    }
    let named = link
        .fields
        .iter()
        .filter_map(|at| waiting.record.fields.get(*at));
    let mut fields: Vec<String> = named.map(|f| f.name.clone()).collect();
    fields.retain(|name| waiting.fields.contains(name));
    let form = Form {
        title: match fields.len() {
            1 => "One detail is missing".to_owned(),
            _ => "Some details are missing".to_owned(),
        },
        intro: Some(
            "Please fill in what is missing, and we go on with your message. This page works once."
                .to_owned(),
        ),
        controls: form_for(&waiting.record, &fields),
    };
    let found = within(web, view, (Way::Pages, &waiting.endpoint))?;
    (!form.controls.is_empty()).then_some(Open {
        found,
        case,
        ask: link.ask,
        form,
    })
}

/// The answers as a message of the case.
async fn answered(
    web: &Arc<Web>,
    open: &Open,
    id: EventId,
    (taken, typed): (Taken, &Typed),
) -> Result<Admitted, NotSent> {
    filled_in(&open.form, typed)?;
    let mut message = taken.message(&open.found).map_err(not_taken_for)?;
    // What was not asked for is not taken, not even into the store.
    if let Value::Record(body) = &mut message.body {
        body.retain(|name, _| open.form.controls.iter().any(|c| c.name == *name));
    }
    message.payload = to_json(&message.body).into_bytes();
    message.content_type = "application/json".to_owned();
    ingest::check(web, &open.found, &message.body)
        .map_err(|problem| not_sound(&open.form, problem))?;
    let now = web.intake.now();
    let event = ingest::build(&open.found, &mut message, (id, now), taken.headers());
    let sender = Sender {
        kid: link_kid(open.ask),
        delivery: None,
        principal: None,
        preset: None,
        timeless: false,
    };
    let parts: [&[u8]; 5] = [
        b"dedupe",
        open.found.name.as_bytes(),
        b"link",
        &open.case.0,
        &open.ask.to_be_bytes(),
    ];
    let keys = Keys {
        keys: vec![keyed(&open.found.view.key, &parts)],
        source: "signed_id",
        keep: DEDUPE_KEEP,
    };
    let said = (event, message);
    let mut admission = ingest::admission(&open.found, (id, now), (sender, keys), said);
    admission.case = Some(open.case);
    ingest::commit(web, admission).await.map_err(not_taken_for)
}
