//! The decision: its words, the choice of a branch, and what the branch does.

use super::Deciding;
use super::scope::Words;
use crate::case::Ai;
use crate::effect::EffectState;
use crate::expr::EvalError;
use crate::gate::is_dry_run;
use crate::journal::{Decided, Entry, PassedOver};
use crate::policy::Verdict;
use crate::program::{Branch, Step, canonical};

/// The words of one decision, apart from `policy_allows`, which depends on the branch.
struct Weighed {
    confidence: Option<u16>,
    threshold: u16,
    missing: Vec<String>,
    needs_human: Vec<String>,
}

impl Deciding<'_> {
    /// Chooses the first branch whose condition holds and carries it out.
    pub(super) fn run_decision(&mut self) {
        self.withdraw_unapproved();
        if self.asks_first_look() {
            return self.show("evaluation_error");
        }
        let weighed = self.weigh();
        let world = self.world;
        let mut passed_over = Vec::new();
        for (i, branch) in world.decision.branches.iter().enumerate() {
            let outcome = self.condition(branch, &weighed);
            let (policy_allows, truth) = match outcome {
                Ok(o) => o,
                Err(e) => {
                    self.decided(i, branch, &weighed, false, passed_over, Some(e.to_string()));
                    self.stuck("evaluation_error");
                    return;
                }
            };
            match truth {
                None => {
                    self.decided(i, branch, &weighed, policy_allows, passed_over, None);
                    self.carry_out(branch, &weighed);
                    return;
                }
                Some(because) => passed_over.push(PassedOver {
                    branch: i as u32,
                    line: branch.line,
                    because,
                }),
            }
        }
        // The loader refuses a decision without a default; a person is the default of last resort.
        self.stuck("no_branch");
    }

    /// `None` when the branch is taken, else the parts that failed.
    fn condition(
        &self,
        branch: &Branch,
        w: &Weighed,
    ) -> Result<(bool, Option<Vec<String>>), EvalError> {
        let policy_allows = self.policy_allows(branch)?;
        let Some(expr) = &branch.condition else {
            return Ok((policy_allows, None));
        };
        let scope = self.scope().with(Words {
            confidence: w.confidence.map(thousandths),
            threshold: Some(thousandths(w.threshold)),
            policy_allows: Some(policy_allows),
            needs_human: Some(!w.needs_human.is_empty()),
            missing: Some(&w.missing),
            link: None,
        });
        let truth = expr.truth(&scope)?;
        if truth.holds {
            return Ok((policy_allows, None));
        }
        let because = truth
            .parts
            .iter()
            .filter(|p| p.holds != Some(true))
            .map(|p| match &p.seen {
                Some(seen) => format!("{} ({seen})", p.text),
                None => p.text.clone(),
            })
            .collect();
        Ok((policy_allows, Some(because)))
    }

    /// The gate's verdict for the branch's actions: true when every one of them may happen by itself.
    fn policy_allows(&self, branch: &Branch) -> Result<bool, EvalError> {
        for step in &branch.actions {
            if let Step::Effect(ix) = step
                && self.ruling(*ix)?.verdict != Verdict::Auto
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Confidence, threshold, what is missing, and every reason why a person is needed.
    fn weigh(&self) -> Weighed {
        let confidence = self.case.confidence();
        let threshold = (self.facts.threshold.clamp(0.0, 1.0) * 1000.0).round() as u16;
        let missing = self.missing();
        let mut needs_human = Vec::new();
        if !missing.is_empty() {
            needs_human.push("missing".to_owned());
        }
        if self.world.ai.is_some() && !self.case.vouched {
            match (&self.case.ai, confidence) {
                (Ai::Failed(why), _)
                    if why == "off" || why.starts_with("kill:") || is_dry_run(why) =>
                {
                    needs_human.push("ai_off".into())
                }
                (Ai::Failed(_), _) => needs_human.push("ai_failed".into()),
                (Ai::Answered { .. }, None) => needs_human.push("no_confidence".into()),
                (_, None) => needs_human.push("ai_off".into()),
                (_, Some(c)) if c < threshold => needs_human.push("unsure".into()),
                _ => {}
            }
        }
        if self.rule_asked.is_some() && !self.case.vouched {
            needs_human.push("rule".into());
        }
        Weighed {
            confidence,
            threshold,
            missing,
            needs_human,
        }
    }

    fn decided(
        &mut self,
        i: usize,
        branch: &Branch,
        w: &Weighed,
        policy_allows: bool,
        passed_over: Vec<PassedOver>,
        error: Option<String>,
    ) {
        self.entry(Entry::Decided(Decided {
            branch: i as u32,
            line: branch.line,
            confidence: w.confidence,
            threshold: w.threshold,
            policy_allows,
            needs_human: w.needs_human.clone(),
            passed_over,
            error,
        }));
    }

    fn carry_out(&mut self, branch: &Branch, w: &Weighed) {
        if !w.missing.is_empty() && self.world.asks_first(branch) {
            if self.ask_first().is_err() {
                self.stuck("no_edge");
            }
            return;
        }
        let mut plan = Outcome::default();
        let reason = branch.reason.clone();
        for step in &branch.actions {
            // A branch that names its own end needs no task to keep the case from ending silently.
            if *step == Step::Deny && branch.to.is_some_and(|to| to != canonical::NEEDS_HUMAN) {
                plan.why = "denied";
                continue;
            }
            self.carry_out_step(*step, reason.as_deref(), w, &mut plan);
        }
        let to = match branch.to {
            Some(to) => to,
            None if plan.human => canonical::NEEDS_HUMAN,
            None if plan.effects || plan.hand_off => canonical::AUTOMATED,
            None if plan.close => canonical::CLOSED,
            None => canonical::NEEDS_HUMAN,
        };
        let why = reason.unwrap_or_else(|| plan.why.to_owned());
        if to == self.case.state {
            return;
        }
        if !self.move_to(to, &why) {
            return self.stuck("no_edge");
        }
        if to == canonical::AUTOMATED {
            self.finish_if_done();
        }
    }

    fn carry_out_step(&mut self, step: Step, reason: Option<&str>, w: &Weighed, out: &mut Outcome) {
        match step {
            Step::Effect(ix) => match self.plan_effect(ix, None) {
                Some(EffectState::Planned) => (out.human, out.why) = (true, "approval"),
                Some(EffectState::Cancelled) => {
                    self.open_task_once("review", "policy_never");
                    (out.human, out.why) = (true, "policy_never");
                }
                Some(_) => {
                    out.effects = true;
                    out.why = first(out.why, "decided");
                }
                None => {
                    self.open_task_once("exception", "arguments");
                    (out.human, out.why) = (true, "arguments");
                }
            },
            Step::HumanQueue => {
                let why = w.needs_human.first().map_or("decision", String::as_str);
                self.open_task_once("review", reason.unwrap_or(why));
                out.human = true;
                out.why = first(out.why, "needs_human");
            }
            Step::AskMissing => {
                self.ask_missing();
                out.human = true;
                out.why = first(out.why, "missing");
            }
            Step::HandOff => {
                self.open_task_once("hand_off", reason.unwrap_or("qualified"));
                out.hand_off = true;
                out.why = first(out.why, "handed_off");
            }
            Step::Close => {
                out.close = true;
                out.why = first(out.why, "decided");
            }
            Step::Deny => {
                // Denied: nothing is sent, and unless the branch names another end a person sees it.
                out.human = true;
                out.why = "denied";
                self.open_task_once("review", reason.unwrap_or("denied"));
            }
        }
    }
}

/// What the steps of a branch came to.
#[derive(Default)]
struct Outcome {
    effects: bool,
    human: bool,
    hand_off: bool,
    close: bool,
    why: &'static str,
}

fn first(old: &'static str, new: &'static str) -> &'static str {
    if old.is_empty() { new } else { old }
}

fn thousandths(n: u16) -> f64 {
    f64::from(n) / 1000.0
}
