//! Rows of the store as lines of a list, and the ids people type.

use tl_engine::tenant::Tenant;
use tl_kernel::digest::hex;
use tl_kernel::id::{CaseId, EffectId, EventId, TaskId};
use tl_kernel::turn::EffectKind;
use tl_store::contract::{Attempt, BundleRow, CaseRow, EffectRow, SwitchRow, TaskRow};

use super::Ctx;
use super::views::{AttemptLine, CaseLine, EffectLine, SwitchLine, TaskLine, VersionLine};
use crate::failure::Failure;
use crate::text::At;

impl Ctx<'_> {
    /// The tenant that the request is about.
    pub(super) async fn view(&self) -> Result<std::sync::Arc<Tenant>, Failure> {
        self.app.tenant(&self.tenant).await
    }

    /// The case that an id leads to: a case's own, or that of one of its effects, tasks or messages.
    pub(super) async fn case_id(&self, view: &Tenant, text: &str) -> Result<CaseId, Failure> {
        let text = text.trim();
        if let Ok(id) = text.parse::<CaseId>() {
            // The control stream has an id of the same form, and is no case.
            return if id == CaseId::CONTROL {
                Err(Failure::not_found(format!("TL0703 there is no {id}")))
            } else {
                Ok(id)
            };
        }
        if let Ok(id) = text.parse::<EffectId>() {
            return Ok(id.case);
        }
        if let Ok(id) = text.parse::<TaskId>() {
            return Ok(id.case);
        }
        if let Ok(id) = text.parse::<EventId>() {
            let found = self.app.desk.store().event(view.id, id).await?;
            return found.and_then(|(_, e)| e.case).ok_or_else(|| {
                Failure::not_found(format!("there is no message {id} with a case"))
            });
        }
        Err(Failure::usage(format!(
            "`{text}` is no id: it looks like case_…, task_…, eff_… or evt_…. `throughline case list` shows cases"
        )))
    }

    /// A case as lists show it.
    pub(super) async fn case_line(&self, row: &CaseRow) -> Result<CaseLine, Failure> {
        let head = &row.head;
        // A bundle that this build cannot compile still has a number for the state.
        let bundle = self.app.desk.bundle(row.tenant, head.definition).await.ok();
        let state = bundle.map(|b| b.program.state_name(head.state).to_owned());
        Ok(CaseLine {
            case: row.case.to_string(),
            workflow: head.workflow.clone(),
            state: state.unwrap_or_else(|| format!("state {}", head.state)),
            owner: head.owner.clone(),
            due: head.due.map(At),
            opened_at: At(head.opened_at),
            updated_at: At(head.updated_at),
            closed: head.closed,
            open_tasks: head.open_tasks,
            open_effects: head.open_effects,
            reason: head.reason.clone(),
            correlation: head.correlation.clone(),
        })
    }
}

/// A task as lists show it.
pub(super) fn task_line(row: &TaskRow) -> TaskLine {
    let effect = row.effect.map(|n| {
        EffectId {
            case: row.task.case,
            n,
        }
        .to_string()
    });
    TaskLine {
        task: row.task.to_string(),
        case: row.task.case.to_string(),
        correlation: row.correlation.clone(),
        kind: row.kind.clone(),
        owner: row.owner.clone(),
        reason: row.reason.clone(),
        due: row.due.map(At),
        opened_at: At(row.opened_at),
        effect,
        closed: row.closed.as_ref().map(|(_, how)| how.clone()),
    }
}

/// An effect as lists show it.
pub(super) fn effect_line(row: &EffectRow) -> EffectLine {
    EffectLine {
        effect: row.effect.to_string(),
        case: row.effect.case.to_string(),
        sort: match row.kind {
            EffectKind::Effect => "effect".into(),
            EffectKind::Ask => "ask".into(),
        },
        action: row.action.clone(),
        class: row.class.word().to_owned(),
        state: row.state.word().to_owned(),
        hold: row.hold.clone(),
        due: At(row.due),
        attempts: row.attempt,
        code: row.code.clone(),
        planned_at: At(row.planned_at),
        updated_at: At(row.updated_at),
    }
}

/// An attempt as lists show it.
pub(super) fn attempt_line(a: &Attempt) -> AttemptLine {
    AttemptLine {
        n: a.n,
        at: At(a.at),
        took_ms: a.took / 1000,
        knowledge: a.knowledge.clone(),
        status: a.status,
        code: a.code.clone(),
        detail: a.detail.clone(),
    }
}

/// A switch as lists show it.
pub(super) fn switch_line(s: &SwitchRow) -> SwitchLine {
    SwitchLine {
        scope: s.scope.clone(),
        mode: s.mode.clone(),
        by: s.by.clone(),
        reason: s.reason.clone(),
        at: At(s.at),
    }
}

/// A version as lists show it.
pub(super) fn version_line(b: &BundleRow) -> VersionLine {
    VersionLine {
        number: b.number,
        workflow: b.workflow.clone(),
        version: b.version.clone(),
        digest: hex(&b.digest),
        at: At(b.at),
        current: b.current,
    }
}
