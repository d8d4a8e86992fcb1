//! What stands around every page, failures, the outbox, workflows and switches.

use std::collections::BTreeSet;

use tl_console::Trouble;
use tl_console::views::{
    Became, Cause, EffectRow, Failures, Frame, Sent, Switch, Who, WorkflowPage,
};
use tl_kernel::digest::short;
use tl_kernel::effect::EffectState;
use tl_kernel::policy::When;
use tl_kernel::program::OUTBOX;
use tl_store::contract::EffectFilter;

use super::case::effect_row;
use super::words::{plain_words, unread};
use super::{Rooms, said, strange};
use crate::app::DEFAULT_TENANT;
use crate::control::groups::groups;
use crate::control::request::{How, SwitchMode};
use crate::control::{Reply, Request};
use crate::explain::{goal_words, policy_place};
use crate::text::safe;

/// Effects that the page of failures shows.
const FAILED: u32 = 200;
/// Messages that the outbox shows.
const SENT: u32 = 100;

impl Rooms {
    pub(super) async fn frame_now(&self) -> Result<Frame, Trouble> {
        let view = self.view().await?;
        let stats = self.stats().await?;
        // Another process may have set a switch: the rows are read, not the cached view.
        let gate = self.app.desk.store().gate(view.id).await.map_err(unread)?;
        let switch = |s: &tl_store::contract::SwitchRow| Switch {
            scope: s.scope.clone(),
            mode: s.mode.clone(),
            by: s.by.clone(),
            reason: s.reason.clone(),
            at: s.at,
        };
        let uncertain = stats.effects_open.iter();
        let notes = !self.forms.forms(DEFAULT_TENANT).await.is_empty();
        Ok(Frame {
            tenant: DEFAULT_TENANT.to_owned(),
            notes,
            now: self.app.desk.now(),
            switches: gate.switches.iter().map(switch).collect(),
            tasks: stats
                .tasks
                .iter()
                .filter(|t| t.0 == view.id)
                .map(|t| t.2)
                .sum(),
            failures: uncertain
                .filter(|e| e.0 == view.id && e.2 == EffectState::Uncertain)
                .map(|e| e.3)
                .sum(),
        })
    }

    pub(super) async fn failures_now(&self) -> Result<Failures, Trouble> {
        let view = self.view().await?;
        let filter = EffectFilter {
            tenant: Some(view.id),
            states: vec![
                EffectState::Uncertain,
                EffectState::Failed,
                EffectState::Dead,
            ],
            limit: FAILED,
            ..EffectFilter::default()
        };
        let rows = self.app.desk.store().effects(filter).await;
        let mut out = Failures::default();
        for group in groups(rows.map_err(unread)?) {
            let first = &group.rows[0];
            let mut shown: Vec<EffectRow> = group.rows.iter().map(effect_row).collect();
            if first.state == EffectState::Uncertain {
                out.uncertain.append(&mut shown);
                continue;
            }
            let at = match first.connection.as_str() {
                "" => String::new(),
                connection => format!(" at {connection}"),
            };
            out.dead.push(Cause {
                group: group.fingerprint,
                what: format!("{} in {}{at}", first.action, first.workflow),
                words: plain_words(&first.code),
                rows: shown,
            });
        }
        let newest = |e: &EffectRow| std::cmp::Reverse(e.updated_at);
        out.uncertain.sort_by_key(newest);
        Ok(out)
    }

    pub(super) async fn resolve_effect(
        &self,
        who: &Who,
        effect: &str,
        (became, reason): (Became, String),
    ) -> Result<String, Trouble> {
        let how = match became {
            Became::Happened(name) => How::Happened(Some(name).filter(|n| !n.is_empty())),
            Became::SendAgain => How::SendAgain,
            Became::Drop => How::Drop,
        };
        let request = Request::EffectResolve {
            id: effect.to_owned(),
            how,
            reason,
        };
        said(self.ask(who, request).await?)
    }

    pub(super) async fn sent(&self) -> Result<Vec<Sent>, Trouble> {
        let view = self.view().await?;
        let sent = self.app.desk.store().outbox(view.id, None, SENT).await;
        let sent = sent.map_err(unread)?;
        Ok(sent
            .iter()
            .map(|m| Sent {
                effect: m.effect.to_string(),
                case: m.effect.case.to_string(),
                channel: m.channel.clone(),
                to: safe(&m.to),
                subject: safe(&m.subject),
                text: safe(&m.text),
                at: m.at,
            })
            .collect())
    }

    pub(super) async fn workflow_page(&self, id: &str) -> Result<WorkflowPage, Trouble> {
        let view = self.view().await?;
        let bundle = Rooms::current(&view, id)?;
        let program = &bundle.program;
        let stats = self.stats().await?;
        let Reply::Versions(versions) = self.read(Request::Versions).await? else {
            return Err(strange());
        };
        let Reply::Endpoints(doors) = self.read(Request::EndpointList).await? else {
            return Err(strange());
        };
        let own = || versions.iter().filter(|v| v.workflow == id);
        let goal = program.goal.as_ref();
        let policy = program.actions.iter().map(|a| {
            let line = program.policy.line(&a.name);
            let words = line.map_or_else(|| "never".to_owned(), verdict_words);
            let place = policy_place(bundle, line.map_or(0, |l| l.line));
            (a.name.clone(), a.class.word().to_owned(), words, place)
        });
        Ok(WorkflowPage {
            id: program.id.clone(),
            version: program.version.clone(),
            bundle: short(&bundle.digest),
            at: own().find(|v| v.current).map_or(0, |v| v.at.0),
            goal: goal.map_or_else(String::new, |g| goal_words(program, g)),
            stations: self.stations(&view, program, &stats).await?,
            policy: policy.collect(),
            doors: doors
                .iter()
                .filter(|d| d.workflow == id)
                .map(|d| {
                    let (name, channel) = (d.endpoint.clone(), d.channel.clone());
                    (name, channel, d.auth.clone(), d.open)
                })
                .collect(),
            versions: own()
                .map(|v| {
                    let (version, digest) = (v.version.clone(), v.digest.clone());
                    (v.number, version, digest, v.at.0, v.current)
                })
                .collect(),
        })
    }

    /// What a switch can cover here.
    pub(super) async fn switch_scopes(&self) -> Result<Vec<String>, Trouble> {
        let view = self.view().await?;
        let whole = ["everything", "tenant", "ingest"].map(str::to_owned);
        let mut named = BTreeSet::new();
        for (id, (_, bundle)) in &view.current {
            named.insert(format!("workflow:{id}"));
            let program = &bundle.program;
            for action in &program.actions {
                named.insert(format!("action:{}", action.name));
                let connection = action.connection();
                if !matches!(connection, "" | OUTBOX) {
                    named.insert(format!("connection:{connection}"));
                }
            }
            named.extend(program.ai.iter().map(|ai| format!("model:{}", ai.model)));
        }
        Ok(whole.into_iter().chain(named).collect())
    }

    pub(super) async fn change_switch(
        &self,
        who: &Who,
        scope: &str,
        (mode, reason): (Option<&str>, &str),
    ) -> Result<String, Trouble> {
        let (scope, reason) = (scope.to_owned(), reason.to_owned());
        let request = match mode {
            None => Request::KillClear { scope, reason },
            Some(word) => {
                let modes = [SwitchMode::Hold, SwitchMode::Cancel, SwitchMode::DryRun];
                let mode = modes.into_iter().find(|m| m.word() == word);
                let mode = mode.ok_or_else(|| Trouble::malformed("There is no such mode."))?;
                Request::KillSet {
                    scope,
                    mode,
                    reason,
                }
            }
        };
        said(self.ask(who, request).await?)
    }
}

fn verdict_words(line: &tl_kernel::policy::PolicyLine) -> String {
    let mut out = Vec::new();
    match &line.never {
        When::Always => out.push("never".to_owned()),
        When::If(e) => out.push(format!("never if {}", e.source)),
        When::Unstated => {}
    }
    match &line.auto {
        When::Always => out.push("auto".to_owned()),
        When::If(e) => out.push(format!("auto if {}", e.source)),
        When::Unstated => {}
    }
    if let Some(team) = &line.approve {
        out.push(format!("approve by {team}"));
    }
    if out.is_empty() {
        out.push("approve".to_owned());
    }
    out.join("; ")
}
