//! Versions: what deploying would change, deploying it, and going back.

use tl_engine::schedules::begin;
use tl_engine::tenant::{Tenant, pack, unpack};
use tl_kernel::digest::{hex, short};
use tl_kernel::id::TenantId;
use tl_kernel::journal::Entry;
use tl_lang::{Project, bundle_digest};
use tl_store::contract::{Guard, Refused, Row, Unit};

use super::Ctx;
use super::doors::unbase64;
use super::lists::version_line;
use super::request::Files;
use super::views::{Done, Reply, VersionLine, WorkflowPlan};
use crate::app::{App, Change};
use crate::checked::{Checked, check_beside, same_door, same_door_words};
use crate::diff::diff;
use crate::failure::Failure;
use crate::text::{count, nearest};

/// How often a lost race for a number is tried again.
const RACES: usize = 8;

impl Ctx<'_> {
    pub(super) async fn plan(&self, files: Files) -> Result<Reply, Failure> {
        let view = self.view().await?;
        let project = project(files)?;
        let mut out = Vec::new();
        for id in project.workflows() {
            out.push(self.plan_one(&view, &project, &id).await?);
        }
        if out.is_empty() {
            return Err(Failure::not_found(
                "TL0109 there is no workflows/<id>/workflow.yaml to deploy",
            ));
        }
        Ok(Reply::Plan(out))
    }

    async fn plan_one(
        &self,
        view: &Tenant,
        project: &Project,
        id: &str,
    ) -> Result<WorkflowPlan, Failure> {
        let checked = check_here(view, project, id);
        let digest = bundle_digest(project, id);
        let current = view.current.get(id);
        let from = current.map(|(number, bundle)| (*number, bundle.program.version.clone()));
        let mut changes = Vec::new();
        if let (Some((number, bundle)), Some(program)) = (current, &checked.program) {
            if is_same(&self.app.desk, (view, *number), project, id).await? {
                changes.clear();
            } else {
                changes = diff(&bundle.program, program);
                if changes.is_empty() {
                    changes.push("files changed; nothing that decides did".into());
                }
            }
        } else if let Some(program) = &checked.program {
            changes.push(format!(
                "`{}` is new: {} endpoints, {} actions",
                id,
                program.endpoints.len(),
                program.actions.len()
            ));
        }
        Ok(WorkflowPlan {
            workflow: id.to_owned(),
            from,
            version: checked
                .program
                .as_ref()
                .map_or_else(String::new, |p| p.version.clone()),
            // What does not pass is no bundle.
            digest: match checked.ok() {
                true => short(&digest),
                false => String::new(),
            },
            findings: checked.findings(project, false),
            ok: checked.ok(),
            changes,
        })
    }

    pub(super) async fn deploy(&self, files: Files) -> Result<Reply, Failure> {
        let view = self.view().await?;
        let project = project(files)?;
        let mut wanted = Vec::new();
        for id in project.workflows() {
            let checked = check_here(&view, &project, &id);
            if !checked.ok() {
                self.deploy_refused(view.id, &id, checked.first_error())
                    .await?;
                return Err(Failure::refused(format!(
                    "`{id}` has {}; nothing was deployed. `throughline check` shows them",
                    count(checked.errors().max(1) as u64, "error")
                )));
            }
            let current = view.current.get(&id).map(|(n, _)| *n);
            let same = match current {
                Some(number) => is_same(&self.app.desk, (&view, number), &project, &id).await?,
                None => false,
            };
            if !same {
                wanted.push(id);
            }
        }
        let mut out = Vec::new();
        for id in wanted {
            out.push(deploy_one(self.app, (view.id, None), (&project, &id), &self.by).await?);
        }
        Ok(Reply::Versions(out))
    }

    /// Leaves a trace of a deployment that did not pass its check.
    async fn deploy_refused(
        &self,
        tenant: TenantId,
        workflow: &str,
        code: &str,
    ) -> Result<(), Failure> {
        let entry = Entry::Refused {
            action: format!("deploy:{workflow}"),
            code: code.to_owned(),
        };
        let mut unit = Unit::new(tenant);
        unit.control
            .push(self.app.seal_entries(tenant, &self.by, vec![entry]));
        self.app.desk.store().commit(unit).await?;
        Ok(())
    }

    pub(super) async fn versions(&self) -> Result<Reply, Failure> {
        let view = self.view().await?;
        let rows = self.app.desk.store().bundles(view.id).await?;
        Ok(Reply::Versions(rows.iter().map(version_line).collect()))
    }

    pub(super) async fn rollback(
        &self,
        workflow: &str,
        number: u32,
        reason: &str,
    ) -> Result<Reply, Failure> {
        let view = self.view().await?;
        let reason = self.reason(reason)?;
        let rows = self.app.desk.store().bundles(view.id).await?;
        let Some(row) = rows
            .iter()
            .find(|b| b.number == number && b.workflow == workflow)
        else {
            let names: Vec<&str> = rows.iter().map(|b| b.workflow.as_str()).collect();
            let hint = match nearest(workflow, names.iter().copied()).filter(|n| *n != workflow) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`throughline versions` shows them".into(),
            };
            return Err(Failure::not_found(format!(
                "`{workflow}` has no version number {number}; {hint}"
            )));
        };
        if row.current {
            return Ok(Reply::Done(Done::new(format!(
                "`{workflow}` is at number {number} already"
            ))));
        }
        // It must still compile in this build before new cases are sent through it.
        let bundle = self.app.desk.bundle(view.id, number).await?;
        let mut current = view.current.values().map(|(_, b)| &b.program);
        let clash = current.find_map(|p| Some((p, same_door(&bundle.program, p)?)));
        if let Some((other, door)) = clash {
            let words = same_door_words(&door.name, [workflow, &other.id]);
            return Err(Failure::refused(format!("TL0211 {words}")));
        }
        let change = Change {
            action: "rollback",
            object: workflow.to_owned(),
            detail: format!("{number}: {reason}"),
        };
        let mut rows = vec![Row::Rollback {
            workflow: workflow.to_owned(),
            number,
        }];
        let old = view.current.get(workflow).map(|(_, b)| &b.program);
        rows.extend(begin(old, &bundle.program, self.now()));
        self.app
            .change(view.id, &self.by, rows, vec![change])
            .await?;
        let said = format!(
            "new cases of `{workflow}` go through number {number}; open cases stay with the version they began with"
        );
        Ok(Reply::Done(Done::new(said).then(
            "the files of the project are as they were: bring them to this version too, or the next deploy brings back \
             what they hold; what it would change shows",
            "throughline deploy",
        )))
    }
}

/// Checks a workflow of a project beside what is deployed.
pub fn check_here(view: &Tenant, project: &Project, id: &str) -> Checked {
    let deployed = view.current.values().map(|(_, bundle)| &bundle.program);
    check_beside(deployed, project, id)
}

/// Whether the files of a workflow are those of a deployed number.
pub(super) async fn is_same(
    desk: &tl_engine::desk::Desk,
    (view, number): (&Tenant, u32),
    project: &Project,
    id: &str,
) -> Result<bool, Failure> {
    let row = desk.store().bundle(view.id, number).await?;
    let deployed = row.and_then(|r| unpack(&r.files));
    Ok(deployed.is_some_and(|d| d == crate::project::bundle(project, id)))
}

fn project(files: Files) -> Result<Project, Failure> {
    let mut project = Project::default();
    for (path, text) in files {
        project.files.insert(path, unbase64(&text)?);
    }
    Ok(project)
}

/// Deploys one workflow that was checked. With a guard, only while what it says still holds.
pub async fn deploy_one(
    app: &App,
    (tenant, only): (TenantId, Option<Guard>),
    (project, workflow): (&Project, &str),
    by: &tl_kernel::journal::Actor,
) -> Result<VersionLine, Failure> {
    let files = crate::project::bundle(project, workflow);
    let digest = bundle_digest(&files, workflow);
    let program = tl_lang::load(&files, workflow).program;
    let version = program.as_ref().map(|p| p.version.clone());
    let version = version.unwrap_or_default();
    let store = app.desk.store();
    let mut number = store
        .bundles(tenant)
        .await?
        .first()
        .map_or(1, |b| b.number + 1);
    for _ in 0..RACES {
        let at = app.desk.now();
        let mut unit = Unit::new(tenant);
        unit.guards.extend(only.clone());
        unit.rows.push(Row::Deploy {
            number,
            workflow: workflow.to_owned(),
            version: version.clone(),
            digest,
            files: pack(&files),
            at,
        });
        if let Some(program) = &program {
            let view = app.desk.reload(tenant).await?;
            let old = view.current.get(workflow).map(|(_, b)| &b.program);
            unit.rows.extend(begin(old, program, at));
        }
        let detail = format!("number {number}, digest {}", hex(&digest));
        let change = Change {
            action: "deploy",
            object: workflow.to_owned(),
            detail,
        };
        unit.control.push(app.seal(tenant, by, vec![change]));
        match store.commit(unit).await {
            Ok(_) => {
                app.desk.forget_views();
                return Ok(VersionLine {
                    number,
                    workflow: workflow.to_owned(),
                    version,
                    digest: hex(&digest),
                    at: crate::text::At(at),
                    current: true,
                });
            }
            Err(Refused::NumberTaken { next }) => number = next,
            Err(Refused::GateMoved) => break,
            Err(other) => return Err(other.into()),
        }
    }
    Err(Failure::conflict(
        "others deploy at the same moment; try again",
    ))
}
