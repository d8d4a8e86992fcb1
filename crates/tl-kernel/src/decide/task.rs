//! Tasks: opening, handing over, withdrawing, and what a person's decision causes.

use super::{Deciding, No, TaskDecision};
use crate::case::{CaseEffect, CaseTask, REWORDED};
use crate::coerce::coerce;
use crate::effect::EffectState;
use crate::journal::{Entry, Fact, TimerKind};
use crate::program::canonical;
use crate::task::TaskKind;
use crate::turn::{EffectWrite, TaskWrite};
use crate::value::{Label, Source};

/// Reason of the task that tells a person of a missed goal. It asks for nothing else: it stands for no other
/// task, and with it nothing about the case is decided.
pub(super) const GOAL_MISSED: &str = "goal_missed";

impl Deciding<'_> {
    pub(super) fn open_task(&mut self, kind: &str, reason: &str, effect: Option<u32>) {
        let owner = self.task_owner(kind, effect);
        self.open_task_of(owner, (kind, reason), effect);
    }

    /// Opens a task of a kind and reason for somebody.
    pub(super) fn open_task_of(
        &mut self,
        owner: String,
        (kind, reason): (&str, &str),
        effect: Option<u32>,
    ) {
        let n = self.case.next_task();
        let sla = self.world.tasks.slas.get(kind).copied();
        let default = self.world.states[usize::from(canonical::NEEDS_HUMAN)].sla;
        let due = sla.or(default).map(|sla| self.now.saturating_add(sla));
        let write = TaskWrite::Open {
            n,
            kind: kind.to_owned(),
            owner: owner.clone(),
            reason: reason.to_owned(),
            due,
            effect,
        };
        self.entry(Entry::TaskOpened {
            n,
            kind: kind.to_owned(),
            owner,
            reason: reason.to_owned(),
            due,
            effect,
        });
        self.tasks.push(write);
    }

    /// Opens a task unless one of its kind is open.
    pub(super) fn open_task_once(&mut self, kind: &str, reason: &str) {
        let same = |t: &CaseTask| t.kind == kind && t.reason != GOAL_MISSED;
        let open = self.case.open_tasks().any(|(_, t)| same(t));
        if !open {
            self.open_task(kind, reason, None);
        }
    }

    /// The task kind's own owner, else the approving team, else whom a rule gave the case to, else whoever owns
    /// `needs_human`.
    fn task_owner(&mut self, kind: &str, effect: Option<u32>) -> String {
        let declared = self.world.tasks.owners.get(kind);
        let rendered = declared.and_then(|t| t.render(&self.scope()).ok());
        if let Some(r) = rendered.filter(|r| r.absent.is_empty() && !r.text.is_empty()) {
            if self.world.owners.contains(&r.text) {
                return r.text;
            }
            self.nobody(format!("tasks.{kind}.owner"));
        }
        if kind == "approve"
            && let Some(e) = effect.and_then(|n| self.case.effects.get(&n))
            && let Some(team) = self
                .world
                .policy
                .line(&e.name)
                .and_then(|l| l.approve.clone())
        {
            return team;
        }
        let usual = &self.world.states[usize::from(canonical::NEEDS_HUMAN)].owner;
        self.case.routed.as_ref().unwrap_or(usual).clone()
    }

    pub(super) fn close_task(&mut self, n: u32, decision: &str, reason: &str) {
        self.entry(Entry::TaskClosed {
            n,
            decision: decision.to_owned(),
            reason: reason.to_owned(),
        });
        self.tasks.push(TaskWrite::Close {
            n,
            decision: decision.to_owned(),
        });
    }

    /// Closes all open tasks: what they asked is settled by what just happened. What became of an effect nobody
    /// knows about is still a person's to say.
    pub(super) fn withdraw_tasks(&mut self, reason: &str) {
        let unknown = |(n, e): (u32, &CaseEffect)| (e.state == EffectState::Uncertain).then_some(n);
        let unknown: Vec<u32> = self.case.open_effects().filter_map(unknown).collect();
        self.withdraw_if(reason, "withdrawn", |t| {
            t.kind != "exception" || t.effect.is_none_or(|n| !unknown.contains(&n))
        });
    }

    /// Closes the open tasks of one kind.
    pub(super) fn withdraw_kind(&mut self, kind: &str, decision: &str) {
        self.withdraw_if(decision, decision, |t| t.kind == kind);
    }

    /// Closes the open tasks whose question the next decision answers anew. What became of an effect nobody
    /// knows about is still a person's to say.
    pub(super) fn withdraw_asked(&mut self, reason: &str) {
        let open: Vec<u32> = self.case.open_effects().map(|(n, _)| n).collect();
        let asks = |t: &CaseTask| match t.kind.as_str() {
            "review" | "missing" => true,
            "exception" => t.effect.is_none_or(|n| !open.contains(&n)),
            _ => false,
        };
        self.withdraw_if(reason, "withdrawn", asks);
    }

    /// Closes the approval task of an effect that needs none any more.
    pub(super) fn withdraw_approval(&mut self, effect: u32) {
        self.withdraw_if("settled", "withdrawn", |t| {
            t.kind == "approve" && t.effect == Some(effect)
        });
    }

    /// Asks for the required fields that have no value: the message of the file, and a task that waits for them.
    pub(super) fn ask_missing(&mut self) {
        if let Some(ix) = self.world.tasks.ask_missing {
            self.plan_effect(ix, None);
        }
        self.open_task_once("missing", "missing");
        self.wait_for_answer();
    }

    /// A case that lacks a required field is not handed off: it waits for it in `needs_human`.
    pub(super) fn ask_first(&mut self) -> Result<(), No> {
        self.ask_missing();
        if self.case.state != canonical::NEEDS_HUMAN
            && !self.move_to(canonical::NEEDS_HUMAN, "missing")
        {
            return Err(undeclared(self, canonical::NEEDS_HUMAN));
        }
        Ok(())
    }

    fn withdraw_if(&mut self, reason: &str, decision: &str, which: impl Fn(&CaseTask) -> bool) {
        let open: Vec<u32> = self
            .case
            .open_tasks()
            .filter(|(_, t)| which(t))
            .map(|(n, _)| n)
            .collect();
        for n in open {
            self.close_task(n, decision, reason);
        }
    }

    pub(super) fn hand_tasks_to(&mut self, owner: &str) {
        let open: Vec<u32> = self.case.open_tasks().map(|(n, _)| n).collect();
        for n in open {
            self.tasks.push(TaskWrite::Assign {
                n,
                owner: owner.to_owned(),
            });
        }
    }

    pub(super) fn on_task(&mut self, t: TaskDecision) -> Result<(), No> {
        let Some(task) = self
            .case
            .tasks
            .get(&t.n)
            .cloned()
            .filter(|k| k.closed.is_none())
        else {
            return Err(No::new(
                "TL0720",
                "task",
                format!("task {} is not open", t.n),
            ));
        };
        if t.reason.trim().is_empty() {
            return Err(No::new(
                "TL0721",
                "task",
                "a person's decision needs a reason: pass --reason CODE".into(),
            ));
        }
        self.actor = t.by.clone();
        let kind = TaskKind::parse(&task.kind).unwrap_or(TaskKind::Exception);
        let allowed = kind.decisions().iter().map(|end| end.word());
        if !allowed.clone().any(|word| word == t.decision) {
            return Err(No::new(
                "TL0722",
                "task",
                format!(
                    "a task of kind `{}` can be decided with {}, not with `{}`",
                    task.kind,
                    allowed.collect::<Vec<_>>().join(", "),
                    t.decision
                ),
            ));
        }
        self.check_known(&task)?;
        if kind != TaskKind::Approve {
            self.check_edits(&t)?;
        }
        if let Some(note) = &t.note {
            self.fact(Fact::Note(note.clone()));
        }
        match kind {
            TaskKind::Approve => self.on_approval(&t, &task),
            TaskKind::Review | TaskKind::Missing => self.on_review(&t, &task),
            TaskKind::HandOff | TaskKind::Exception => self.on_acceptance(&t, &task),
        }
    }

    /// A task about an effect of which nobody knows whether it happened ends with the word of a person about that,
    /// not by being set aside: the effect would wait for ever, and nobody would see it.
    fn check_known(&self, task: &CaseTask) -> Result<(), No> {
        let effect = task.effect.filter(|_| task.kind == "exception");
        let state = effect.and_then(|n| Some((n, self.case.effects.get(&n)?.state)));
        match state {
            Some((n, EffectState::Uncertain)) => Err(No::new(
                "TL0722",
                "task",
                format!(
                    "nobody has said yet what became of effect {n}: say whether it happened, is to be sent again, or dropped"
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Corrected fields must exist and have the right type; nothing is changed when one does not.
    fn check_edits(&self, t: &TaskDecision) -> Result<(), No> {
        for (name, value) in &t.edits {
            let Some(def) = self.world.record.field(name) else {
                return Err(No::new(
                    "TL0723",
                    "task",
                    format!("the record has no field `{name}`"),
                ));
            };
            if let Err(expected) = coerce(value, &def.ty, None) {
                return Err(No::new("TL0723", "task", format!("`{name}` {expected}")));
            }
        }
        Ok(())
    }

    fn on_approval(&mut self, t: &TaskDecision, task: &CaseTask) -> Result<(), No> {
        let n = task.effect.unwrap_or(0);
        let Some(effect) = self.case.effects.get(&n).cloned() else {
            return Err(No::new(
                "TL0724",
                "task",
                "the effect of this task is gone".into(),
            ));
        };
        if t.decision == "reject" {
            self.close_task(t.n, "reject", &t.reason);
            self.cancel_planned(n, "rejected");
            return self.after_rejection(&t.reason);
        }
        if t.digest != Some(effect.digest) {
            return Err(No::new(
                "TL0725",
                "approve",
                "what was shown is not what would be sent now: look at the task again".into(),
            ));
        }
        if !t.edits.is_empty() && t.decision != "edit" {
            return Err(No::new(
                "TL0727",
                "approve",
                "an approval changes nothing of what was shown: decide `edit` to send it in other words".into(),
            ));
        }
        match self.reworded(&effect, &t.edits)? {
            Some(reworded) => {
                self.close_task(t.n, "edit", &t.reason);
                self.cancel_planned(n, REWORDED);
                self.plan_approved(reworded, (n, &effect));
            }
            None => {
                self.close_task(t.n, "approve", &t.reason);
                self.entry(Entry::Approved {
                    n,
                    digest: effect.digest,
                });
                self.effects.push(EffectWrite::Change {
                    n,
                    from: EffectState::Planned,
                    to: EffectState::Ready,
                    due: self.now,
                    code: String::new(),
                });
            }
        }
        if self.case.open_tasks().next().is_none() && self.case.state == canonical::NEEDS_HUMAN {
            self.move_to(canonical::AUTOMATED, &t.reason);
        }
        Ok(())
    }

    /// Nothing else is open: the case is closed with the person's reason.
    fn after_rejection(&mut self, reason: &str) -> Result<(), No> {
        let idle =
            self.case.open_tasks().next().is_none() && self.case.open_effects().next().is_none();
        if idle && !self.move_to(canonical::CLOSED, reason) {
            return Err(undeclared(self, canonical::CLOSED));
        }
        Ok(())
    }

    fn on_review(&mut self, t: &TaskDecision, task: &CaseTask) -> Result<(), No> {
        if matches!(t.decision.as_str(), "reject" | "close") {
            self.close_task(t.n, &t.decision, &t.reason);
            if !self.move_to(canonical::CLOSED, &t.reason) {
                return Err(undeclared(self, canonical::CLOSED));
            }
            return Ok(());
        }
        for (name, value) in &t.edits {
            let ty = self.world.record.field(name).map(|d| d.ty.clone());
            if let Some(Ok(Some(value))) = ty.map(|ty| coerce(value, &ty, None)) {
                self.set_field(name, value, Label::Operator, Source::Person);
            }
        }
        self.stamp("first_touched_at");
        self.close_task(t.n, &t.decision, &t.reason);
        if task.reason == "sla_breach" {
            return self.after_breach(&t.reason);
        }
        if self.case.state == canonical::NEEDS_HUMAN {
            self.withdraw_if("decided", "withdrawn", |k| {
                k.kind == "review" || k.kind == "missing"
            });
            if !self.move_to(canonical::TRIAGED, &t.reason) {
                return Err(undeclared(self, canonical::TRIAGED));
            }
            self.redecide();
        }
        Ok(())
    }

    /// A breach was seen: what was under way goes on, nothing is decided again.
    fn after_breach(&mut self, reason: &str) -> Result<(), No> {
        if self.case.effects.is_empty() && self.case.state == canonical::NEEDS_HUMAN {
            // It never came to a decision: now it does, on the person's word.
            if !self.move_to(canonical::TRIAGED, reason) {
                return Err(undeclared(self, canonical::TRIAGED));
            }
            self.redecide();
            return Ok(());
        }
        let under_way =
            self.case.open_effects().next().is_some() || self.case.open_tasks().next().is_some();
        if self.case.state == canonical::NEEDS_HUMAN {
            let to = if under_way {
                canonical::AUTOMATED
            } else {
                canonical::CLOSED
            };
            if !self.move_to(to, reason) {
                return Err(undeclared(self, to));
            }
        }
        Ok(())
    }

    fn on_acceptance(&mut self, t: &TaskDecision, task: &CaseTask) -> Result<(), No> {
        if task.reason == GOAL_MISSED && t.decision == "accept" {
            self.close_task(t.n, &t.decision, &t.reason);
            // What was done meanwhile waited for nothing but this.
            if !self.case.effects.is_empty() {
                self.finish_if_done();
            }
            self.keep_in_sight();
            return Ok(());
        }
        if task.kind == "hand_off" && t.decision == "accept" && !self.missing().is_empty() {
            self.close_task(t.n, "withdrawn", "missing");
            return self.ask_first();
        }
        self.close_task(t.n, &t.decision, &t.reason);
        self.stamp("first_touched_at");
        if task.kind == "hand_off" && t.decision == "accept" {
            self.stamp("qualified_at");
        }
        let idle =
            self.case.open_tasks().next().is_none() && self.case.open_effects().next().is_none();
        let ends = t.decision != "accept" || (idle && self.case.state != canonical::CLOSED);
        if ends
            && self.case.state != canonical::CLOSED
            && !self.move_to(canonical::CLOSED, &t.reason)
        {
            return Err(undeclared(self, canonical::CLOSED));
        }
        Ok(())
    }

    /// A case that nothing would take on any more is shown to a person.
    fn keep_in_sight(&mut self) {
        let case = &self.case;
        let state = self.world.states.get(usize::from(case.state));
        let ended = state.is_some_and(|s| s.terminal);
        let clock = |(kind, _): &(TimerKind, i64)| kind.is_of_stay();
        let waits = case.timers.values().any(clock) || case.asks.values().any(|(_, open)| *open);
        let open = case.open_tasks().next().is_some() || case.open_effects().next().is_some();
        if !(ended || waits || open) {
            self.open_task("review", "goal", None);
        }
    }
}

/// The refusal of a move that the file does not declare.
pub(super) fn undeclared(d: &Deciding<'_>, to: u16) -> No {
    let (from, to) = (d.world.state_name(d.case.state), d.world.state_name(to));
    No::new(
        "TL0701",
        format!("move:{from}->{to}"),
        format!(
            "the workflow declares no transition from `{from}` to `{to}`; `throughline graph` shows those \
             it declares, and `throughline case move` takes the case along one of them"
        ),
    )
}
