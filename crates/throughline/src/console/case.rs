//! Cases: the list, and one with everything that is known about it.

use std::sync::Arc;

use tl_console::Trouble;
use tl_console::views::{CaseFilter, CasePage, CaseRow, Cases, EffectRow, Step};
use tl_engine::tenant::Bundle;
use tl_kernel::case::{Case, fold};
use tl_kernel::digest::short;
use tl_kernel::id::{CaseId, TenantId};
use tl_kernel::journal::{Entry, Head, open};
use tl_store::contract::{EffectFilter, EffectRow as Stored, TaskFilter};

use super::task::title;
use super::words::{about, fields, line, pace, plain_words, trouble, turns, unread};
use super::{Rooms, strange};
use crate::control::request::CaseQuery;
use crate::control::views::CaseLine;
use crate::control::{Reply, Request};
use crate::explain::{Explanation, goal_text};

/// Rows of a page of cases.
const ROWS: u32 = 100;

/// A case with its journal's heads.
pub(super) struct Known {
    pub(super) tenant: TenantId,
    pub(super) case: Case,
    pub(super) bundle: Arc<Bundle>,
    pub(super) heads: Vec<Head>,
    /// Turns that a person made.
    pub(super) people: Vec<u32>,
}

impl Known {
    /// What was decided, in order.
    pub(super) fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.heads.iter().flat_map(|h| h.entries.iter())
    }
}

impl Rooms {
    /// Reads a case.
    pub(super) async fn known(&self, id: CaseId) -> Result<Known, Trouble> {
        let tenant = self.view().await?.id;
        let journal = self.app.desk.store().journal(tenant, id).await;
        let journal = journal.map_err(unread)?;
        if journal.is_empty() || id == CaseId::CONTROL {
            return Err(Trouble::missing(format!("There is no {id}.")));
        }
        let damaged = |e: tl_kernel::journal::JournalError| Trouble::refused("", e.to_string());
        let case = fold(tenant, id, &journal).map_err(damaged)?;
        let heads = journal.iter().map(|s| open(s).map(|(head, _)| head));
        let heads: Vec<Head> = heads.collect::<Result<_, _>>().map_err(damaged)?;
        let bundle = self.app.desk.bundle(tenant, case.definition).await;
        let bundle = bundle.map_err(|e| trouble(e.into()))?;
        let people = heads.iter().filter(|h| h.actor.is_person());
        Ok(Known {
            people: people.map(|h| h.seq).collect(),
            tenant,
            case,
            bundle,
            heads,
        })
    }

    /// What `explain` tells about a case.
    pub(super) async fn explained(&self, id: CaseId) -> Result<Explanation, Trouble> {
        let id = id.to_string();
        match self.read(Request::Explain { id }).await? {
            Reply::Explanation(e) => Ok(*e),
            _ => Err(strange()),
        }
    }

    pub(super) async fn case_rows(&self, filter: CaseFilter) -> Result<Cases, Trouble> {
        let view = self.view().await?;
        let query = CaseQuery {
            state: filter.state,
            before: filter.before,
            limit: ROWS,
            ..CaseQuery::default()
        };
        let Reply::Cases(lines) = self.read(Request::CaseList { filter: query }).await? else {
            return Err(strange());
        };
        let now = self.app.desk.now();
        let full = lines.len() as u32 == ROWS;
        let next = lines.last().filter(|_| full).map(|l| l.case.clone());
        let mut states: Vec<String> = Vec::new();
        for (_, bundle) in view.current.values() {
            for s in &bundle.program.states {
                if !states.contains(&s.name) {
                    states.push(s.name.clone());
                }
            }
        }
        let row = |l: CaseLine| {
            let bundle = view.current.get(&l.workflow).map(|(_, b)| b);
            case_row(l, bundle.map(|b| b.as_ref()), now)
        };
        Ok(Cases {
            rows: lines.into_iter().map(row).collect(),
            states,
            next,
        })
    }

    pub(super) async fn case_page(&self, id: &str) -> Result<CasePage, Trouble> {
        let explained = match self
            .read(Request::Explain { id: id.to_owned() })
            .await
            .map_err(|t| t.then("All cases", "/cases"))?
        {
            Reply::Explanation(e) => *e,
            _ => return Err(strange()),
        };
        let case_id: CaseId = explained.case.parse().map_err(|_| strange())?;
        let known = self.known(case_id).await?;
        let (case, bundle, now) = (&known.case, &known.bundle, self.app.desk.now());
        let store = self.app.desk.store();
        let filter = TaskFilter {
            tenant: Some(known.tenant),
            case: Some(case_id),
            limit: 50,
            ..TaskFilter::default()
        };
        let tasks = store.tasks(filter).await.map_err(unread)?;
        let filter = EffectFilter {
            tenant: Some(known.tenant),
            case: Some(case_id),
            limit: 200,
            ..EffectFilter::default()
        };
        let mut effects = store.effects(filter).await.map_err(unread)?;
        effects.sort_by_key(|e| e.effect);
        let pace = pace(case.entered_at, case.due, now);
        let row = CaseRow {
            id: explained.case.clone(),
            workflow: explained.workflow.clone(),
            state: explained.state.clone(),
            owner: explained.owner.clone(),
            reason: explained.reason.clone(),
            due: case.due,
            opened_at: case.opened_at,
            updated_at: case.updated_at,
            line: line(&bundle.program, case.state, pace),
            tasks: tasks.len() as u32,
            effects: case.open_effects().count() as u32,
        };
        let goal = explained.goal.as_ref();
        Ok(CasePage {
            row,
            about: about(case),
            version: format!("{}@{}", explained.workflow, explained.version),
            bundle: format!("{}, {}", explained.number, short(&bundle.digest)),
            correlation: explained.correlation.clone(),
            summary: explained.summary.clone(),
            notes: explained.notes.clone(),
            goal: goal.map_or_else(String::new, |g| goal_text(g, now)),
            next: explained
                .next
                .iter()
                .map(|n| Step {
                    why: n.why.clone(),
                    command: n.command.clone(),
                })
                .collect(),
            tasks: tasks
                .iter()
                .map(|t| (t.task.to_string(), title(t, case, bundle)))
                .collect(),
            turns: turns(&explained, &known.people),
            record: fields(case, bundle)
                .into_iter()
                .filter(|f| !f.value.is_empty() || f.required)
                .collect(),
            effects: effects.iter().map(effect_row).collect(),
        })
    }
}

fn case_row(l: CaseLine, bundle: Option<&Bundle>, now: i64) -> CaseRow {
    let due = l.due.map(|d| d.0);
    let pace = pace(l.updated_at.0, due, now);
    let small = bundle.map(|b| {
        let state = b.program.state_ix(&l.state).unwrap_or(0);
        line(&b.program, state, pace)
    });
    CaseRow {
        line: small.unwrap_or_else(|| tl_console::views::Line {
            stations: vec![l.state.clone()],
            at: 0,
            pace,
            person: false,
            closed: l.closed,
        }),
        id: l.case,
        workflow: l.workflow,
        state: l.state,
        owner: l.owner,
        reason: l.reason,
        due,
        opened_at: l.opened_at.0,
        updated_at: l.updated_at.0,
        tasks: l.open_tasks,
        effects: l.open_effects,
    }
}

/// An effect as tables show it.
pub(super) fn effect_row(row: &Stored) -> EffectRow {
    let code = match row.code.is_empty() {
        true => row.hold.clone(),
        false => row.code.clone(),
    };
    EffectRow {
        id: row.effect.to_string(),
        case: row.effect.case.to_string(),
        action: row.action.clone(),
        connection: row.connection.clone(),
        state: row.state.word().to_owned(),
        words: plain_words(&code),
        code,
        class: row.class.word().to_owned(),
        attempts: row.attempt,
        planned_at: row.planned_at,
        updated_at: row.updated_at,
    }
}
