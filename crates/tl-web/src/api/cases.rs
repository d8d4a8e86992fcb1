//! `/v1/cases`: where each case stands. Ids, states and counts; what a case contains is for the people who
//! work on it.

use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use tl_kernel::id::CaseId;
use tl_kernel::program::{StateIx, canonical};
use tl_kernel::time::rfc3339;
use tl_store::{CaseFilter, CaseRow};

use crate::answer;
use crate::bearer;
use crate::guard::RequestId;
use crate::intake::TenantView;
use crate::limits::MAX_CASES;
use crate::problem::{MALFORMED, Problem};
use crate::state::Web;

/// What a list may be narrowed to.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Narrow {
    state: Option<String>,
    workflow: Option<String>,
    closed: Option<bool>,
    before: Option<String>,
    limit: Option<u32>,
}

#[derive(Serialize)]
struct Shown {
    id: String,
    workflow: String,
    state: String,
    owner: String,
    due: Option<String>,
    reason: String,
    closed: bool,
    opened_at: String,
    updated_at: String,
    turns: u32,
    open_tasks: u32,
    open_effects: u32,
}

#[derive(Serialize)]
struct Page {
    cases: Vec<Shown>,
    /// Value of `before` for the next page.
    next: Option<String>,
}

/// `GET /v1/cases`: newest first.
pub(crate) async fn list(
    State(web): State<Arc<Web>>,
    Extension(RequestId(id)): Extension<RequestId>,
    narrow: Result<Query<Narrow>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (view, _) = bearer::holder(&web, &headers, "cases:read", id).await?;
    let Ok(Query(narrow)) = narrow else {
        let detail = "The query takes state, workflow, closed, before and limit.";
        return Err(Problem::new(MALFORMED, detail));
    };
    let filter = filter(&view, narrow)?;
    let limit = filter.limit as usize;
    let rows = web.ask(web.store.cases(filter), id).await?;
    let next = rows
        .last()
        .filter(|_| rows.len() >= limit)
        .map(|r| r.case.to_string());
    let cases = rows.iter().map(|r| shown(&view, r)).collect();
    Ok(json(&Page { cases, next }))
}

/// `GET /v1/cases/{id}`.
pub(crate) async fn one(
    State(web): State<Arc<Web>>,
    Extension(RequestId(id)): Extension<RequestId>,
    name: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (view, _) = bearer::holder(&web, &headers, "cases:read", id).await?;
    let case = name.ok().and_then(|Path(name)| name.parse::<CaseId>().ok());
    let case = case.ok_or_else(Problem::not_found)?;
    let row = web.ask(web.store.case(view.id, case), id).await?;
    let row = row.ok_or_else(Problem::not_found)?;
    Ok(json(&shown(&view, &row)))
}

fn filter(view: &TenantView, narrow: Narrow) -> Result<CaseFilter, Problem> {
    let wrong = |what: &str| Problem::new(MALFORMED, format!("`{what}` does not read."));
    let before = match narrow.before.as_deref().map(str::parse::<CaseId>) {
        Some(Ok(case)) => Some(case),
        Some(Err(_)) => return Err(wrong("before")),
        None => None,
    };
    let state = match &narrow.state {
        Some(name) => {
            Some(position(view, narrow.workflow.as_deref(), name).ok_or_else(|| wrong("state"))?)
        }
        None => None,
    };
    Ok(CaseFilter {
        tenant: Some(view.id),
        state,
        closed: narrow.closed,
        workflow: narrow.workflow,
        before,
        limit: narrow.limit.unwrap_or(50).clamp(1, MAX_CASES),
    })
}

/// Position of a state: of the workflow, or of the five that all have.
fn position(view: &TenantView, workflow: Option<&str>, name: &str) -> Option<StateIx> {
    let of_all = canonical::NAMES.iter().position(|n| *n == name);
    let program = view
        .doors
        .values()
        .find(|d| Some(d.program.id.as_str()) == workflow);
    match program {
        Some(door) => door.program.state_ix(name),
        None => of_all.and_then(|i| StateIx::try_from(i).ok()),
    }
}

fn shown(view: &TenantView, row: &CaseRow) -> Shown {
    let head = &row.head;
    let program = view.doors.values().find(|d| d.program.id == head.workflow);
    let state = match program {
        Some(door) => door.program.state_name(head.state),
        None => canonical::NAMES
            .get(usize::from(head.state))
            .copied()
            .unwrap_or("?"),
    };
    Shown {
        id: row.case.to_string(),
        workflow: head.workflow.clone(),
        state: state.to_owned(),
        owner: head.owner.clone(),
        due: head.due.map(rfc3339),
        reason: head.reason.clone(),
        closed: head.closed,
        opened_at: rfc3339(head.opened_at),
        updated_at: rfc3339(head.updated_at),
        turns: row.seq,
        open_tasks: head.open_tasks,
        open_effects: head.open_effects,
    }
}

fn json(body: &impl Serialize) -> Response {
    answer::json(StatusCode::OK, serde_json::to_vec(body).unwrap_or_default())
}
