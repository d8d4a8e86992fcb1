//! Tasks: lists, one with everything needed to decide it, and the decision.

use tl_engine::tenant::Bundle;
use tl_kernel::case::Case;
use tl_kernel::decide::{Input, TaskDecision};
use tl_kernel::digest::{Digest, hex};
use tl_kernel::id::{EffectId, TaskId};
use tl_kernel::value::Value;
use tl_store::contract::TaskFilter;

use super::Ctx;
use super::lists::task_line;
use super::request::{Decide, TaskQuery};
use super::views::{Done, Reply, Sends, TaskSheet};
use crate::explain::{arguments, decide_task, field_lines, policy_place};
use crate::failure::Failure;
use crate::text::safe;

/// Fewest hexadecimal digits by which a digest is named.
const DIGEST_DIGITS: usize = 12;

impl Ctx<'_> {
    pub(super) async fn task_list(&self, q: TaskQuery) -> Result<Reply, Failure> {
        let view = self.view().await?;
        let case = match &q.case {
            Some(id) => Some(self.case_id(&view, id).await?),
            None => None,
        };
        let filter = TaskFilter {
            tenant: Some(view.id),
            case,
            owners: q.owners,
            closed: q.closed,
            limit: q.limit,
        };
        let rows = self.app.desk.store().tasks(filter).await?;
        Ok(Reply::Tasks(rows.iter().map(task_line).collect()))
    }

    pub(super) async fn task_show(&self, id: &str) -> Result<Reply, Failure> {
        let view = self.view().await?;
        let id: TaskId = task_id(id)?;
        let case = self.app.desk.load(view.id, id.case).await?;
        let bundle = self.app.desk.bundle(view.id, case.definition).await?;
        let rows = self
            .app
            .desk
            .store()
            .tasks(TaskFilter {
                tenant: Some(view.id),
                case: Some(id.case),
                closed: true,
                limit: 10_000,
                ..TaskFilter::default()
            })
            .await?;
        let Some(row) = rows.iter().find(|r| r.task == id) else {
            return Err(Failure::not_found(format!("TL0703 there is no {id}")));
        };
        let (because, mut next) = decide_task(&self.material(id.case).await?, id.n);
        if row.closed.is_some() {
            next.clear();
        }
        let text = case
            .message
            .as_ref()
            .and_then(|m| m.at(&["text"]))
            .and_then(Value::as_text);
        Ok(Reply::Task(Box::new(TaskSheet {
            task: task_line(row),
            workflow: format!("{}@{}", bundle.program.id, bundle.program.version),
            state: bundle.program.state_name(case.state).to_owned(),
            because,
            message: text.map(safe),
            record: field_lines(&case, &bundle),
            missing: tl_kernel::decide::missing(&bundle.program, &case.record),
            sends: row.effect.and_then(|n| sends(&case, &bundle, n)),
            next,
        })))
    }

    pub(super) async fn task_decide(&self, d: Decide) -> Result<Reply, Failure> {
        let view = self.view().await?;
        let id = task_id(&d.id)?;
        let before = self.app.desk.load(view.id, id.case).await?;
        if let Some(how) = before.tasks.get(&id.n).and_then(|t| t.closed.as_deref()) {
            return Err(Failure::conflict(format!(
                "TL0720 {id} is not open any more: it was closed with `{how}`. `throughline explain {}` shows by whom \
                 and when",
                id.case
            )));
        }
        let digest = match &d.digest {
            Some(text) => Some(self.digest_of(view.id, id, text).await?),
            None => None,
        };
        let decision = TaskDecision {
            n: id.n,
            by: self.by.clone(),
            decision: d.decision,
            reason: self.reason(&d.reason)?,
            note: d.note,
            edits: d
                .set
                .into_iter()
                .map(|(name, value)| (name, Value::Text(value)))
                .collect(),
            digest,
        };
        let input = Input::TaskDecided(decision);
        let done = self
            .app
            .desk
            .advance((view.id, id.case), input, Vec::new(), None)
            .await?;
        let bundle = self.app.desk.bundle(view.id, done.case.definition).await?;
        let state = bundle.program.state_name(done.case.state);
        let mut reply = Done::new(format!("{id} is decided; the case is in `{state}`"));
        if let Some((n, task)) = done.case.open_tasks().next() {
            let open = TaskId { case: id.case, n };
            reply = reply.then(
                format!("a task of kind `{}` is open", task.kind),
                format!("throughline task show {open}"),
            );
        }
        reply = reply.then(
            "see what that caused",
            format!("throughline explain {}", id.case),
        );
        Ok(Reply::Done(reply))
    }

    /// The digest of the task's effect, if the given digits name it: what was shown is what is approved.
    async fn digest_of(
        &self,
        tenant: tl_kernel::id::TenantId,
        id: TaskId,
        text: &str,
    ) -> Result<Digest, Failure> {
        let text = text.trim().to_ascii_lowercase();
        let is_hex = text.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_hex || !(DIGEST_DIGITS..=64).contains(&text.len()) {
            return Err(Failure::usage(format!(
                "--digest takes the digest that `throughline task show` prints: {DIGEST_DIGITS} to 64 hexadecimal digits"
            )));
        }
        let case = self.app.desk.load(tenant, id.case).await?;
        let effect = case
            .tasks
            .get(&id.n)
            .and_then(|t| t.effect)
            .and_then(|n| case.effects.get(&n));
        let digest = effect.map(|e| e.digest);
        digest.filter(|d| hex(d).starts_with(&text)).ok_or_else(|| {
            Failure::conflict(
                "TL0725 what was shown is not what would be sent now: look at the task again",
            )
        })
    }
}

fn task_id(text: &str) -> Result<TaskId, Failure> {
    text.trim().parse().map_err(|_| {
        Failure::usage(format!(
            "`{text}` is no whole id of a task: task_, 26 letters and digits, - and a number. \
             `throughline task list` shows tasks"
        ))
    })
}

/// What an approval of an effect sends: exactly this.
fn sends(case: &Case, bundle: &Bundle, n: u32) -> Option<Sends> {
    let effect = case.effects.get(&n)?;
    let before = case.seen.get(&effect.name).and_then(|s| s.values.as_ref());
    Some(Sends {
        effect: EffectId { case: case.id, n }.to_string(),
        action: effect.name.clone(),
        class: effect.class.word().to_owned(),
        policy: format!(
            "{}, {}",
            effect.verdict.word(),
            policy_place(bundle, effect.line)
        ),
        digest: hex(&effect.digest),
        arguments: effect.args.as_ref().map(arguments).unwrap_or_default(),
        before: before.map(arguments).unwrap_or_default(),
    })
}
