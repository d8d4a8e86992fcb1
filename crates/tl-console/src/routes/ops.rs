//! Running it: health, workflows, failures, outbox, switches.

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};

use super::{Seat, see};
use crate::access::Action;
use crate::forms::Form;
use crate::pages::{
    failures as failures_page, health as health_page, outbox as outbox_page,
    switches as switches_page, workflow as workflow_page,
};
use crate::trouble::Trouble;
use crate::views::Became;

type Answer = Result<Response, Trouble>;

/// An image of ours may style itself and load nothing.
const IMAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// `GET /health`.
pub(super) async fn health(seat: Seat) -> Answer {
    seat.needs(Action::SeeStates)?;
    let health = seat.house().health().await?;
    let frame = seat.frame().await?;
    Ok(seat.show(&frame, &health_page::page(&health, frame.now)))
}

/// `GET /workflows`.
pub(super) async fn workflows(seat: Seat) -> Answer {
    seat.needs(Action::SeeStates)?;
    let all = seat.house().workflows().await?;
    if let [(only, _)] = all.as_slice() {
        return Ok(see(&format!("/workflows/{only}")));
    }
    let frame = seat.frame().await?;
    Ok(seat.show(&frame, &workflow_page::list(&all)))
}

/// `GET /workflows/{id}`.
pub(super) async fn workflow(seat: Seat, Path(id): Path<String>) -> Answer {
    seat.needs(Action::SeeStates)?;
    let workflow = seat.house().workflow(&id).await?;
    let frame = seat.frame().await?;
    Ok(seat.show(&frame, &workflow_page::page(&workflow, frame.now)))
}

/// `GET /workflows/{id}/graph.svg`.
pub(super) async fn graph(seat: Seat, Path(id): Path<String>) -> Answer {
    seat.needs(Action::SeeStates)?;
    let mut response = seat.house().graph(&id).await?.into_response();
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("image/svg+xml");
    headers.insert(header::CONTENT_TYPE, kind);
    let policy = HeaderValue::from_static(IMAGE_POLICY);
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}

/// `GET /failures`.
pub(super) async fn failures(seat: Seat) -> Answer {
    seat.needs(Action::SeeStates)?;
    let failures = seat.house().failures().await?;
    let frame = seat.frame().await?;
    let may = seat.who.role.may(Action::Redrive);
    Ok(seat.show(&frame, &failures_page::page(&failures, may, frame.now)))
}

/// `POST /failures/redrive`.
pub(super) async fn redrive(seat: Seat, form: Form) -> Answer {
    seat.needs(Action::Redrive)?;
    let (group, reason) = (form.text("group"), form.text("reason"));
    let said = seat.house().redrive(&seat.who, group, reason).await;
    seat.say(said.map_err(|t| t.then("Back to Failures", "/failures"))?);
    Ok(see("/failures"))
}

/// `POST /failures/resolve`.
pub(super) async fn resolve(seat: Seat, form: Form) -> Answer {
    seat.needs(Action::Redrive)?;
    let became = match form.text("became") {
        "happened" => Became::Happened(form.text("ref").to_owned()),
        "again" => Became::SendAgain,
        "drop" => Became::Drop,
        _ => return Err(Trouble::malformed("Say what became of the effect.")),
    };
    let became = (became, form.text("reason").to_owned());
    let effect = form.text("effect");
    let said = seat.house().resolve(&seat.who, effect, became).await;
    seat.say(said.map_err(|t| t.then("Back to Failures", "/failures"))?);
    Ok(see("/failures"))
}

/// `GET /outbox`.
pub(super) async fn outbox(seat: Seat) -> Answer {
    seat.needs(Action::SeeContents)?;
    let sent = seat.house().outbox().await?;
    let frame = seat.frame().await?;
    Ok(seat.show(&frame, &outbox_page::page(&sent, frame.now)))
}

/// `GET /switches`.
pub(super) async fn switches(seat: Seat) -> Answer {
    seat.needs(Action::SeeStates)?;
    let scopes = seat.house().scopes().await?;
    let frame = seat.frame().await?;
    let may = seat.who.role.may(Action::Switch);
    Ok(seat.show(&frame, &switches_page::page(&frame, &scopes, may)))
}

/// `POST /switches/set`.
pub(super) async fn set_switch(seat: Seat, form: Form) -> Answer {
    let mode = form.text("mode");
    change_switch(&seat, &form, Some(mode)).await
}

/// `POST /switches/clear`.
pub(super) async fn clear_switch(seat: Seat, form: Form) -> Answer {
    change_switch(&seat, &form, None).await
}

async fn change_switch(seat: &Seat, form: &Form, mode: Option<&str>) -> Answer {
    seat.needs(Action::Switch)?;
    let (scope, set) = (form.text("scope"), (mode, form.text("reason")));
    let said = seat.house().switch(&seat.who, scope, set).await;
    seat.say(said.map_err(|t| t.then("Back to Switches", "/switches"))?);
    Ok(see("/switches"))
}
