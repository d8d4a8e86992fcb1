//! What people command: moves along declared edges, owners, and the end of an effect nobody else can know.

use super::task::undeclared;
use super::{Command, CommandKind, Deciding, No, Resolve, Settlement};
use crate::effect::EffectState;
use crate::journal::Entry;
use crate::program::canonical;
use crate::turn::EffectWrite;

impl Deciding<'_> {
    pub(super) fn on_command(&mut self, c: Command) -> Result<(), No> {
        if c.reason.trim().is_empty() {
            return Err(No::new(
                "TL0721",
                "command",
                "a person's command needs a reason: pass --reason CODE".into(),
            ));
        }
        self.actor = c.by;
        match c.what {
            CommandKind::Move(name) => {
                let Some(to) = self.world.state_ix(&name) else {
                    let names: Vec<_> = self.world.states.iter().map(|s| s.name.as_str()).collect();
                    return Err(No::new(
                        "TL0702",
                        "move",
                        format!(
                            "there is no state `{name}`; the states are {}",
                            names.join(", ")
                        ),
                    ));
                };
                self.command_move(to, &c.reason)
            }
            CommandKind::Close => self.command_move(canonical::CLOSED, &c.reason),
            CommandKind::Reopen => {
                self.command_move(canonical::TRIAGED, &c.reason)?;
                self.withdraw_asked("reopened");
                self.redecide();
                Ok(())
            }
            CommandKind::Assign(owner) => {
                self.entry(Entry::Assigned {
                    owner: owner.clone(),
                    reason: c.reason,
                });
                self.hand_tasks_to(&owner);
                Ok(())
            }
            CommandKind::Resolve { n, how } => self.resolve(n, how, &c.reason),
        }
    }

    fn command_move(&mut self, to: u16, reason: &str) -> Result<(), No> {
        if self.move_to(to, reason) {
            Ok(())
        } else {
            Err(undeclared(self, to))
        }
    }

    /// A person says what became of an effect. Its exception task ends with that.
    fn resolve(&mut self, n: u32, how: Resolve, reason: &str) -> Result<(), No> {
        let state = self.case.effects.get(&n).map(|e| e.state);
        let to = match how {
            Resolve::Happened(_) => EffectState::Succeeded,
            Resolve::SendAgain => EffectState::Ready,
            Resolve::Drop => EffectState::Cancelled,
        };
        // What waits for an approval is decided by its task: sending it from here would pass the approval by.
        let open = |s: EffectState| matches!(s, EffectState::Ready | EffectState::Planned);
        let Some(from) = state.filter(|s| s.may_become(to) && !open(*s)) else {
            let is = state.map_or("not there", EffectState::word);
            return Err(No::new(
                "TL0726",
                "resolve",
                format!(
                    "effect {n} is {is}: only an uncertain, failed or dead effect can be resolved this way"
                ),
            ));
        };
        self.effects.push(EffectWrite::Change {
            n,
            from,
            to,
            due: self.now,
            code: reason.to_owned(),
        });
        let tasks: Vec<u32> = self
            .case
            .open_tasks()
            .filter(|(_, t)| t.effect == Some(n) && t.kind == "exception")
            .map(|(n, _)| n)
            .collect();
        for t in tasks {
            self.close_task(t, "accept", reason);
        }
        let vendor_ref = match how {
            Resolve::Happened(r) => r,
            Resolve::SendAgain | Resolve::Drop => None,
        };
        if to == EffectState::Ready {
            self.entry(Entry::Settled {
                n,
                state: to,
                attempts: 0,
                code: reason.to_owned(),
                evidence: "person".into(),
            });
            if self.case.state == canonical::NEEDS_HUMAN && self.case.open_tasks().next().is_none()
            {
                self.move_to(canonical::AUTOMATED, reason);
            }
            return Ok(());
        }
        self.settled_by_person(Settlement {
            n,
            state: to,
            attempts: 0,
            code: reason.to_owned(),
            evidence: "person".into(),
            vendor_ref,
            seen: None,
        })
    }

    fn settled_by_person(&mut self, s: Settlement) -> Result<(), No> {
        self.entry(Entry::Settled {
            n: s.n,
            state: s.state,
            attempts: s.attempts,
            code: s.code.clone(),
            evidence: s.evidence,
        });
        if let Some(r) = s.vendor_ref {
            self.fact(crate::journal::Fact::VendorRef(s.n, r));
        }
        let idle =
            self.case.open_tasks().next().is_none() && self.case.open_effects().next().is_none();
        let state = self.case.state;
        if !idle || !matches!(state, canonical::NEEDS_HUMAN | canonical::AUTOMATED) {
            return Ok(());
        }
        // In `automated`: it was opened again meanwhile, and what was decided then is done.
        if !self.move_to(canonical::CLOSED, &s.code) && state == canonical::NEEDS_HUMAN {
            return Err(undeclared(self, canonical::CLOSED));
        }
        Ok(())
    }
}
