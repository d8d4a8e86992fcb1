//! The daily work: inbox, tasks, cases.

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, Uri, header};

use super::{Seat, see};
use crate::access::Action;
use crate::forms::Form;
use crate::pages::{case as cases_page, inbox as inbox_page, task as task_page};
use crate::trouble::Trouble;
use crate::views::{CaseFilter, Decision, InboxFilter};

type Answer = Result<Response, Trouble>;

/// Fields that one form corrects at most.
const MAX_SET: usize = 200;

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// `GET /inbox`.
pub(super) async fn inbox(seat: Seat, uri: Uri) -> Answer {
    seat.needs(Action::SeeContents)?;
    let query = Form::of_query(uri.query());
    let filter = InboxFilter {
        mine: query.text("mine") == "1",
        kind: some(query.text("kind")),
    };
    let inbox = seat.house().inbox(&seat.who, filter.clone()).await?;
    let frame = seat.frame().await?;
    Ok(seat.show(&frame, &inbox_page::page(&inbox, &filter, frame.now)))
}

/// `GET /tasks/{id}`.
pub(super) async fn task(seat: Seat, Path(id): Path<String>) -> Answer {
    seat.needs(Action::SeeContents)?;
    let task = seat.house().task(&seat.who, &id).await?;
    let frame = seat.frame().await?;
    Ok(seat.show(&frame, &task_page::page(&task, &seat.who, frame.now)))
}

/// `POST /tasks/{id}/decide`: then the next task, so that the queue is worked off without going back.
pub(super) async fn decide(seat: Seat, Path(id): Path<String>, form: Form) -> Answer {
    seat.needs(Action::Decide)?;
    let changed = |(name, value): (&str, &str)| {
        let was = form.raw(&format!("was.{name}"));
        // Browsers end lines with two characters.
        let lines = |text: &str| text.trim().replace("\r\n", "\n");
        (lines(was) != lines(value)).then(|| (name.to_owned(), lines(value)))
    };
    let decision = Decision {
        decision: form.text("decision").to_owned(),
        reason: form.text("reason").to_owned(),
        note: form.text("note").to_owned(),
        set: form
            .with_prefix("set.")
            .filter_map(changed)
            .take(MAX_SET)
            .collect(),
        digest: form.text("digest").to_owned(),
    };
    let decided = match seat.house().decide(&seat.who, &id, decision).await {
        Ok(decided) => decided,
        Err(trouble) if trouble.stale => return stale(&seat, &id, &trouble.code).await,
        Err(trouble) => {
            let back = format!("/tasks/{id}");
            return Err(trouble.then("Look at the task again", back));
        }
    };
    seat.say(decided.said);
    if let Some(next) = decided.next {
        return Ok(see(&format!("/tasks/{next}")));
    }
    let inbox = seat.house().inbox(&seat.who, InboxFilter::default());
    let next = inbox.await?.rows.into_iter().find(|r| r.id != id);
    Ok(match next {
        Some(row) => see(&format!("/tasks/{}", row.id)),
        None => see("/inbox"),
    })
}

async fn stale(seat: &Seat, id: &str, code: &str) -> Answer {
    let task = seat.house().task(&seat.who, id).await?;
    let frame = seat.frame().await?;
    let mut response = seat.show(&frame, &task_page::stale(&task, code));
    *response.status_mut() = StatusCode::CONFLICT;
    Ok(response)
}

/// `POST /tasks/{id}/claim`.
pub(super) async fn claim(seat: Seat, Path(id): Path<String>) -> Answer {
    seat.needs(Action::Claim)?;
    seat.house().assign(&seat.who, &id, &seat.who.name).await?;
    seat.say("The task is yours.");
    Ok(see(&format!("/tasks/{id}")))
}

/// `GET /cases`.
pub(super) async fn cases(seat: Seat, uri: Uri) -> Answer {
    seat.needs(Action::SeeStates)?;
    let query = Form::of_query(uri.query());
    let filter = CaseFilter {
        state: some(query.text("state")),
        before: some(query.text("before")),
    };
    let cases = seat.house().cases(filter.clone()).await?;
    let frame = seat.frame().await?;
    Ok(seat.show(&frame, &cases_page::list(&cases, &filter, frame.now)))
}

/// `GET /cases/{id}`.
pub(super) async fn case(seat: Seat, Path(id): Path<String>) -> Answer {
    seat.needs(Action::SeeStates)?;
    let contents = seat.who.role.may(Action::SeeContents);
    let case = seat.house().case(&id).await?;
    let frame = seat.frame().await?;
    Ok(seat.show(&frame, &cases_page::page(&case, contents, frame.now)))
}

/// `GET /search`: any id leads to its case, a task's id to the task.
pub(super) async fn search(seat: Seat, uri: Uri) -> Answer {
    seat.needs(Action::SeeStates)?;
    let query = Form::of_query(uri.query());
    let text = query.text("q");
    if text.is_empty() {
        return Ok(see("/cases"));
    }
    if text.starts_with("task_") && seat.who.role.may(Action::SeeContents) {
        let task = seat.house().task(&seat.who, text).await?;
        return Ok(see(&format!("/tasks/{}", task.row.id)));
    }
    let found = seat.house().case(text).await;
    let found = found.map_err(|t| t.then("All cases", "/cases"))?;
    Ok(see(&format!("/cases/{}", found.row.id)))
}

/// `GET /live`: what the script asks now and then, to say that something is new.
pub(super) async fn live(seat: Seat) -> Answer {
    let frame = seat.frame().await?;
    let body = format!(
        "{{\"tasks\":{},\"switches\":{}}}",
        frame.tasks,
        frame.switches.len()
    );
    let mut response = body.into_response();
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}
