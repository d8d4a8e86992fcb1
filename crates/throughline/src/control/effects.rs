//! Effects: lists, one with its attempts, and what a person says became of it.

use tl_engine::tenant::Tenant;
use tl_kernel::decide::{Command, CommandKind, Input, Resolve};
use tl_kernel::digest::hex;
use tl_kernel::effect::EffectState;
use tl_kernel::id::EffectId;
use tl_kernel::policy::Verdict;
use tl_kernel::turn::EffectKind;
use tl_kernel::value::Value;
use tl_store::contract::{EffectFilter, EffectRow};

use super::Ctx;
use super::lists::{attempt_line, effect_line};
use super::request::{EffectQuery, How};
use super::views::{Done, EffectSheet, Reply};
use crate::explain::{arguments, effect_next, policy_place};
use crate::failure::Failure;
use crate::text::{At, nearest};

/// Rows that are looked through at most.
const MANY: u32 = 10_000;
/// Effects that one command sends again at most.
const MAX_REDRIVE: usize = 100;

impl Ctx<'_> {
    pub(super) async fn effect_list(&self, q: EffectQuery) -> Result<Reply, Failure> {
        let view = self.view().await?;
        let case = match &q.case {
            Some(id) => Some(self.case_id(&view, id).await?),
            None => None,
        };
        let states = q
            .states
            .iter()
            .map(|s| state(s))
            .collect::<Result<Vec<_>, _>>()?;
        let filter = EffectFilter {
            tenant: Some(view.id),
            case,
            states,
            limit: if q.no_questions { MANY } else { q.limit },
        };
        let mut rows = self.app.desk.store().effects(filter).await?;
        if q.no_questions {
            rows.retain(|r| r.kind == EffectKind::Effect);
            rows.truncate(q.limit as usize);
        }
        Ok(Reply::Effects(rows.iter().map(effect_line).collect()))
    }

    pub(super) async fn effect_show(&self, id: &str) -> Result<Reply, Failure> {
        let view = self.view().await?;
        let row = self.effect(&view, id).await?;
        let store = self.app.desk.store();
        let attempts = store.attempts(view.id, row.effect).await?;
        let case = self.app.desk.load(view.id, row.effect.case).await?;
        let bundle = self.app.desk.bundle(view.id, row.definition).await?;
        let own = case.effects.get(&row.effect.n);
        let args = minicbor::decode::<Value>(&row.args).ok();
        let unusable = self.unusable(&view, std::slice::from_ref(&row));
        let switches = store.gate(view.id).await?.switches;
        Ok(Reply::Effect(Box::new(EffectSheet {
            effect: effect_line(&row),
            connection: row.connection.clone(),
            valid_until: At(row.valid_until),
            digest: hex(&row.digest),
            base_version: row.base_version.clone(),
            vendor_ref: row.vendor_ref.clone(),
            policy: own.map_or_else(String::new, |e| {
                format!("{}, {}", e.verdict.word(), policy_place(&bundle, e.line))
            }),
            approved: own.is_some_and(|e| e.approved),
            arguments: args.as_ref().map(arguments).unwrap_or_default(),
            tries: attempts.iter().map(attempt_line).collect(),
            next: effect_next(&row, &unusable, &switches, self.now()),
        })))
    }

    async fn effect(&self, view: &Tenant, id: &str) -> Result<EffectRow, Failure> {
        let id = effect_id(id)?;
        match self.app.desk.store().effect(view.id, id).await? {
            Some(row) => Ok(row),
            None => Err(self.never_sent(view, id).await),
        }
    }

    /// What is said of an effect that the ledger does not have: the journal may know one that was refused when it
    /// was planned.
    async fn never_sent(&self, view: &Tenant, id: EffectId) -> Failure {
        let none = Failure::not_found(format!("TL0703 there is no {id}"));
        let Ok(case) = self.app.desk.load(view.id, id.case).await else {
            return none;
        };
        let (Some(effect), Ok(bundle)) = (
            case.effects.get(&id.n),
            self.app.desk.bundle(view.id, case.definition).await,
        ) else {
            return none;
        };
        let why = match effect.verdict {
            Verdict::Never => format!(
                "the policy says never, {}",
                policy_place(&bundle, effect.line)
            ),
            _ => "an earlier one has said the same".into(),
        };
        Failure::not_found(format!(
            "TL0703 `{}` {id} was stopped when it was planned and is in no list: {why}. `throughline explain {}` shows it",
            effect.name, id.case
        ))
    }

    pub(super) async fn effect_resolve(
        &self,
        id: &str,
        how: How,
        reason: String,
    ) -> Result<Reply, Failure> {
        let view = self.view().await?;
        let id = effect_id(id)?;
        let (how, said) = match how {
            How::Happened(r) => (Resolve::Happened(r), "recorded as having happened"),
            How::SendAgain => (
                Resolve::SendAgain,
                "to be sent again, with the same id and key",
            ),
            How::Drop => (Resolve::Drop, "dropped: it will not be sent"),
        };
        self.resolve(&view, id, how, &self.reason(&reason)?).await?;
        Ok(Reply::Done(Done::new(format!("{id} is {said}")).then(
            "see what that caused",
            format!("throughline explain {}", id.case),
        )))
    }

    async fn resolve(
        &self,
        view: &Tenant,
        id: EffectId,
        how: Resolve,
        reason: &str,
    ) -> Result<(), Failure> {
        let what = CommandKind::Resolve { n: id.n, how };
        let input = Input::Command(Command {
            by: self.by.clone(),
            reason: reason.to_owned(),
            what,
        });
        self.app
            .desk
            .advance((view.id, id.case), input, Vec::new(), None)
            .await?;
        Ok(())
    }

    /// Sends failed and dead effects again: those named, or those of a group.
    pub(super) async fn redrive(
        &self,
        ids: Vec<String>,
        group: Option<String>,
        reason: String,
    ) -> Result<Reply, Failure> {
        let view = self.view().await?;
        let reason = self.reason(&reason)?;
        let mut wanted = ids
            .iter()
            .map(|id| effect_id(id))
            .collect::<Result<Vec<_>, _>>()?;
        if let Some(name) = &group {
            let group = self.group(&view, name).await?;
            if group.rows[0].state == EffectState::Uncertain {
                return Err(Failure::refused(
                    "TL0726 these may have happened: each is looked at by itself, with `throughline effect resolve`",
                ));
            }
            // The oldest first: they have waited longest.
            wanted.extend(group.rows.iter().rev().map(|r| r.effect).take(MAX_REDRIVE));
        }
        if wanted.is_empty() {
            return Err(Failure::not_found(
                "nothing to send again: `throughline dead list` shows what was given up",
            ));
        }
        if wanted.len() > MAX_REDRIVE {
            return Err(Failure::usage(format!(
                "at most {MAX_REDRIVE} effects are sent again by one command"
            )));
        }
        let mut refused = Vec::new();
        for id in &wanted {
            let row = self.app.desk.store().effect(view.id, *id).await?;
            if row.is_some_and(|r| r.kind == EffectKind::Ask) {
                refused.push(format!(
                    "{id}: a question to a model is not repeated; `throughline case reopen {} --reason CODE` decides \
                     the case anew",
                    id.case
                ));
                continue;
            }
            if let Err(e) = self.resolve(&view, *id, Resolve::SendAgain, &reason).await {
                refused.push(format!("{id}: {}", e.message));
            }
        }
        let sent = wanted.len() - refused.len();
        if sent == 0 {
            return Err(Failure::refused(format!(
                "TL0726 none can be sent again: {}",
                refused.join("; ")
            )));
        }
        let mut said = format!("{sent} of {} are ready to be sent again", wanted.len());
        for r in refused {
            said.push_str(&format!("\n  not {r}"));
        }
        Ok(Reply::Done(Done::new(said).then(
            "watch them",
            "throughline effect list --state ready",
        )))
    }
}

pub(super) fn effect_id(text: &str) -> Result<EffectId, Failure> {
    text.trim().parse().map_err(|_| {
        Failure::usage(format!(
            "`{text}` is no whole id of an effect: eff_, 26 letters and digits, - and a number. \
             `throughline effect list` shows effects"
        ))
    })
}

fn state(word: &str) -> Result<EffectState, Failure> {
    let known = EffectState::ALL.map(EffectState::word);
    EffectState::ALL
        .into_iter()
        .find(|s| s.word() == word)
        .ok_or_else(|| {
            let hint = match nearest(word, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the states are {}", known.join(", ")),
            };
            Failure::usage(format!("no effect is ever `{word}`; {hint}"))
        })
}
