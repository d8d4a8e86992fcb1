//! Cases: lists, one by itself, and what a person commands.

use tl_kernel::decide::{Command, CommandKind, Input};
use tl_kernel::digest::hex;
use tl_kernel::effect::EffectState;
use tl_kernel::id::{CaseId, EffectId};
use tl_kernel::journal::{Entry, open};
use tl_kernel::turn::Turn;
use tl_store::contract::{CaseFilter, EffectFilter, TaskFilter};

use super::Ctx;
use super::lists::{effect_line, task_line};
use super::request::{CaseChange, CaseQuery};
use super::views::{CaseSheet, Done, Reply};
use crate::explain::{field_lines, goal_line};
use crate::failure::Failure;
use crate::text::nearest;

/// Cases read in one look for a filter that the store does not know.
const PAGE: u32 = 200;

impl Ctx<'_> {
    pub(super) async fn case_list(&self, q: CaseQuery) -> Result<Reply, Failure> {
        let view = self.view().await?;
        let before = match &q.before {
            Some(id) => Some(self.case_id(&view, id).await?),
            None => None,
        };
        let wanted = if q.limit == 0 { 50 } else { q.limit };
        let mut filter = CaseFilter {
            tenant: Some(view.id),
            state: None,
            closed: q.closed,
            workflow: q.workflow.clone(),
            before,
            limit: PAGE.max(wanted),
        };
        if let Some(state) = &q.state {
            let programs: Vec<_> = view.current.values().map(|(_, b)| &b.program).collect();
            let known: Vec<&str> = programs
                .iter()
                .flat_map(|p| p.states.iter().map(|s| s.name.as_str()))
                .collect();
            if !known.is_empty() && !known.contains(&state.as_str()) {
                let hint = nearest(state, known.iter().copied())
                    .map_or(String::new(), |n| format!("; did you mean `{n}`?"));
                return Err(Failure::usage(format!(
                    "no workflow has a state `{state}`{hint}"
                )));
            }
        }
        let mut out = Vec::new();
        loop {
            let rows = self.app.desk.store().cases(filter.clone()).await?;
            let last_page = (rows.len() as u32) < filter.limit;
            filter.before = rows.last().map(|r| r.case);
            for row in rows {
                let line = self.case_line(&row).await?;
                // Positions of states differ between workflows, so the name decides.
                if q.state.as_ref().is_none_or(|s| *s == line.state) {
                    out.push(line);
                }
                if out.len() as u32 == wanted {
                    return Ok(Reply::Cases(out));
                }
            }
            if last_page {
                return Ok(Reply::Cases(out));
            }
        }
    }

    pub(super) async fn case_show(&self, id: &str) -> Result<Reply, Failure> {
        let view = self.view().await?;
        let id = self.case_id(&view, id).await?;
        let store = self.app.desk.store();
        let Some(row) = store.case(view.id, id).await? else {
            return Err(Failure::not_found(format!("TL0703 there is no {id}")));
        };
        let case = self.app.desk.load(view.id, id).await?;
        let bundle = self.app.desk.bundle(view.id, case.definition).await?;
        let tasks = store
            .tasks(TaskFilter {
                tenant: Some(view.id),
                case: Some(id),
                closed: true,
                ..TaskFilter::default()
            })
            .await?;
        let effects = store
            .effects(EffectFilter {
                tenant: Some(view.id),
                case: Some(id),
                ..EffectFilter::default()
            })
            .await?;
        Ok(Reply::Case(Box::new(CaseSheet {
            case: self.case_line(&row).await?,
            goal: goal_line(&bundle.program, &case),
            version: bundle.program.version.clone(),
            bundle: hex(&bundle.digest),
            number: case.definition,
            turns: case.seq,
            record: field_lines(&case, &bundle),
            tasks: tasks.iter().map(task_line).collect(),
            effects: effects.iter().map(effect_line).collect(),
        })))
    }

    pub(super) async fn case_command(
        &self,
        id: &str,
        reason: String,
        what: CaseChange,
    ) -> Result<Reply, Failure> {
        let view = self.view().await?;
        let id = self.case_id(&view, id).await?;
        let reopened = matches!(what, CaseChange::Reopen);
        let kind = match what {
            CaseChange::Move(state) => CommandKind::Move(state),
            CaseChange::Assign(owner) => {
                self.known_owner(&view, id, &owner).await?;
                CommandKind::Assign(owner)
            }
            CaseChange::Close => CommandKind::Close,
            CaseChange::Reopen => CommandKind::Reopen,
        };
        let input = Input::Command(Command {
            by: self.by.clone(),
            reason: self.reason(&reason)?,
            what: kind,
        });
        let done = self
            .app
            .desk
            .advance((view.id, id), input, Vec::new(), None)
            .await?;
        let bundle = self.app.desk.bundle(view.id, done.case.definition).await?;
        let state = bundle.program.state_name(done.case.state);
        let mut said = format!("{id} is in `{state}`, owner {}", done.case.owner);
        if reopened {
            said.push_str(&decided_again(id, &done.turn));
        }
        Ok(Reply::Done(Done::new(said).then(
            "see what that caused",
            format!("throughline explain {id}"),
        )))
    }

    /// Work goes to people and teams who exist.
    async fn known_owner(
        &self,
        view: &tl_engine::tenant::Tenant,
        id: CaseId,
        owner: &str,
    ) -> Result<(), Failure> {
        let case = self.app.desk.load(view.id, id).await?;
        let bundle = self.app.desk.bundle(view.id, case.definition).await?;
        let current = view
            .current
            .get(&bundle.program.id)
            .map_or(&bundle, |(_, b)| b);
        let (owners, _) = tl_lang::owners(&current.project);
        if owners.knows(owner) || current.program.states.iter().any(|s| s.owner == owner) {
            return Ok(());
        }
        let names = owners.names();
        let hint = match nearest(owner, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("teams.yaml knows {}", names.join(", ")),
        };
        Err(Failure::not_found(format!(
            "TL0401 no person or team is called `{owner}`; {hint}"
        )))
    }
}

/// What a case that was opened again does, and what it does not do twice.
fn decided_again(case: CaseId, turn: &Turn) -> String {
    let Ok((head, _)) = open(&turn.sealed) else {
        return String::new();
    };
    let mut out = String::new();
    for entry in &head.entries {
        let line = match entry {
            Entry::Asked { model, .. } => format!("the model `{model}` is asked again"),
            Entry::Planned(p) => match (p.state, p.replaces) {
                (EffectState::Cancelled, Some(n)) => {
                    let earlier = EffectId { case, n };
                    format!(
                        "`{}` is not sent again: {earlier} has said the same",
                        p.name
                    )
                }
                (EffectState::Cancelled, None) => {
                    format!("`{}` is not sent: the policy says never", p.name)
                }
                (EffectState::Planned, _) => format!("`{}` waits for an approval", p.name),
                _ => format!("`{}` is done again", p.name),
            },
            _ => continue,
        };
        out.push_str("\n  ");
        out.push_str(&line);
    }
    out
}
