//! What became of an effect, and what follows for its case.

use super::{Deciding, No, Settlement};
use crate::effect::EffectState;
use crate::gate::is_dry_run;
use crate::journal::{Entry, Fact};
use crate::program::{ActionKind, canonical};

impl Deciding<'_> {
    pub(super) fn on_settled(&mut self, s: Settlement) -> Result<(), No> {
        let Some(before) = self.case.effects.get(&s.n).map(|e| e.state) else {
            return Err(No::new(
                "TL0715",
                "effect",
                format!("the case has no effect {}", s.n),
            ));
        };
        if before.is_settled() {
            return Err(No::new(
                "TL0716",
                "effect",
                format!("effect {} is already {}", s.n, before.word()),
            ));
        }
        let withdrawn = matches!(s.state, EffectState::Expired | EffectState::Cancelled);
        if before == EffectState::Planned && !withdrawn {
            return Err(No::new(
                "TL0716",
                "effect",
                format!(
                    "effect {} waits for an approval: nothing of it can have happened",
                    s.n
                ),
            ));
        }
        self.withdraw_approval(s.n);
        self.entry(Entry::Settled {
            n: s.n,
            state: s.state,
            attempts: s.attempts,
            code: s.code.clone(),
            evidence: s.evidence,
        });
        if let Some((version, values)) = s.seen {
            self.fact(Fact::Seen {
                n: s.n,
                version,
                values,
            });
        }
        if let Some(r) = s.vendor_ref {
            self.fact(Fact::VendorRef(s.n, r));
        }
        self.follow(s.n, s.state, &s.code)
    }

    /// What follows for the case.
    fn follow(&mut self, n: u32, state: EffectState, code: &str) -> Result<(), No> {
        match state {
            EffectState::Succeeded => {
                if !is_dry_run(code) {
                    self.touched(n);
                }
                self.finish_if_done();
            }
            EffectState::Superseded => self.resolve_conflict(n),
            EffectState::Uncertain => self.exception("uncertain", n),
            // A closed case withdrew it; that is what was asked for.
            EffectState::Expired | EffectState::Cancelled
                if self.case.state == canonical::CLOSED => {}
            EffectState::Failed
            | EffectState::Dead
            | EffectState::Expired
            | EffectState::Cancelled => {
                let reason = if code.is_empty() { state.word() } else { code };
                self.exception(reason, n);
            }
            EffectState::Planned
            | EffectState::Ready
            | EffectState::Dispatching
            | EffectState::AwaitingCallback => {
                return Err(No::new(
                    "TL0717",
                    "effect",
                    format!("{} is no settlement", state.word()),
                ));
            }
        }
        Ok(())
    }

    /// The first message that reached the person is the first touch.
    fn touched(&mut self, n: u32) {
        let Some(effect) = self.case.effects.get(&n) else {
            return;
        };
        let action = self.world.action(effect.action);
        if action.is_some_and(|a| matches!(a.kind, ActionKind::Message(_))) {
            self.stamp("first_touched_at");
        }
    }

    /// A person must look at an effect: a task, and the case with it.
    pub(super) fn exception(&mut self, reason: &str, n: u32) {
        self.open_task("exception", reason, Some(n));
        if !matches!(self.case.state, canonical::NEEDS_HUMAN | canonical::CLOSED) {
            self.move_to(canonical::NEEDS_HUMAN, reason);
        }
    }

    /// A case whose effects are settled and whose tasks are done is closed, also where a missed SLA had shown it
    /// to a person meanwhile.
    pub(super) fn finish_if_done(&mut self) {
        let done =
            self.case.open_effects().next().is_none() && self.case.open_tasks().next().is_none();
        if done
            && matches!(
                self.case.state,
                canonical::AUTOMATED | canonical::NEEDS_HUMAN
            )
        {
            self.move_to(canonical::CLOSED, "done");
        }
    }
}
