//! Forms behind a sign-in: whoever shows them has seen to the sign-in, and says who the person is.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::HeaderMap;
use tl_kernel::payload::to_json;
use tl_kernel::program::Auth;
use tl_wire::form::Form as Sent;
use tl_wire::signature::DeliveryId;

use super::reading::{self, Fault};
use super::{Form, form};
use crate::ingest::{self, Found, Sender, Way, admitted_class, installation, keys, tenant, within};
use crate::intake::{Admitted, TenantView};
use crate::problem::{Problem, SCHEMA};
use crate::state::Web;

/// The forms of people who have signed in.
#[derive(Clone)]
pub struct SignedIn {
    web: Arc<Web>,
}

impl std::fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignedIn").finish_non_exhaustive()
    }
}

/// What a person has filled in.
#[derive(Debug, Clone)]
pub struct FilledIn<'a> {
    /// The tenant's name.
    pub tenant: &'a str,
    /// The form's name.
    pub form: &'a str,
    /// The short name of the person.
    pub person: &'a str,
    /// Names the page that was filled in: it is taken once.
    pub key: &'a str,
    /// Answers by question.
    pub answers: BTreeMap<String, String>,
}

/// Why a form was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotTaken {
    /// There is no such form.
    NoForm,
    /// The same page was taken before, with other answers. Those are kept, and these are not.
    Changed,
    /// Answers to mend: the position of the question, where there is one, and what to do.
    Wrong(Vec<(Option<usize>, String)>),
    /// Not now, or not at all: code and sentence.
    Refused(&'static str, String),
}

impl SignedIn {
    pub(crate) fn new(web: Arc<Web>) -> SignedIn {
        SignedIn { web }
    }

    /// The forms of a tenant, by name.
    pub async fn forms(&self, tenant: &str) -> Vec<(String, Form)> {
        let Some(view) = self.web.intake.tenant(tenant).await else {
            return Vec::new();
        };
        let found = view.doors.keys().filter_map(|name| self.found(&view, name));
        found.map(|f| (f.name.clone(), form(&f))).collect()
    }

    /// Takes a form: whether it was here before.
    pub async fn take(&self, filled: FilledIn<'_>) -> Result<bool, NotTaken> {
        let view = self.web.intake.tenant(filled.tenant).await;
        let found = view.and_then(|view| self.found(&view, filled.form));
        let found = found.ok_or(NotTaken::NoForm)?;
        let form = form(&found);
        let faults = reading::faults(&form, &filled.answers);
        if !faults.is_empty() {
            return Err(wrong(faults));
        }
        let outcome = self.receive(&found, filled).await;
        let class = outcome.as_ref().map_or_else(|p| p.class, admitted_class);
        self.web.metrics.ingested(Some(&found), class);
        match outcome {
            Ok(Admitted::Accepted { .. }) => Ok(false),
            Ok(Admitted::Duplicate { variant: false, .. }) => Ok(true),
            Ok(Admitted::Duplicate { variant: true, .. }) => Err(NotTaken::Changed),
            Err(p) if p.kind == SCHEMA => Err(wrong(reading::of_schema(&form, &p.errors))),
            Err(p) => Err(NotTaken::Refused(
                p.code,
                format!("{}: {}", p.kind.title, p.detail),
            )),
        }
    }

    fn found(&self, view: &Arc<TenantView>, name: &str) -> Option<Found> {
        let found = within(&self.web, Arc::clone(view), (Way::Pages, name))?;
        found
            .endpoint()
            .auth
            .contains(&Auth::SignIn)
            .then_some(found)
    }

    async fn receive(&self, found: &Found, filled: FilledIn<'_>) -> Result<Admitted, Problem> {
        let web = &self.web;
        let id = web.draw_id();
        let _place = installation(web, id)?;
        tenant(web, &found.view, id)?;
        let sent = Sent {
            fields: filled.answers.into_iter().collect(),
            files: Vec::new(),
        };
        let mut message = ingest::from_value(reading::body(found.endpoint(), &sent));
        message.payload = to_json(&message.body).into_bytes();
        "application/json".clone_into(&mut message.content_type);
        ingest::check(web, found, &message.body)?;
        let now = web.intake.now();
        let event = ingest::build(found, &mut message, (id, now), &HeaderMap::new());
        let sender = Sender {
            kid: filled.person.to_owned(),
            delivery: Some(DeliveryId {
                value: filled.key.to_owned(),
                covered: true,
            }),
            principal: None,
            preset: None,
            timeless: false,
        };
        let keys = keys(found, &sender, (&message, &event), None)?;
        let said = (event, message);
        ingest::commit(
            web,
            ingest::admission(found, (id, now), (sender, keys), said),
        )
        .await
    }
}

fn wrong(faults: Vec<Fault>) -> NotTaken {
    let faults = faults.into_iter().map(|f| (f.control, f.text));
    NotTaken::Wrong(faults.collect())
}
