//! SLA clocks: the breach, and the escalation after it. A breach is a fact about time: it happened at `due`,
//! whenever it is noticed.

use super::Deciding;
use crate::journal::{Entry, TimerKind};
use crate::program::canonical;

impl Deciding<'_> {
    pub(super) fn breach(&mut self, due: i64) {
        let state = self.case.state;
        self.entry(Entry::Sla {
            state,
            met: false,
            due,
        });
        let Some(def) = self.world.states.get(usize::from(state)) else {
            return;
        };
        for (i, (after, _)) in def.escalate.iter().enumerate() {
            self.set_timer(TimerKind::Escalate(i as u8), due.saturating_add(*after));
        }
        match def.on_breach {
            Some(to) if to != state => {
                let moved = self.move_to(to, "sla_breach");
                if moved && to == canonical::NEEDS_HUMAN {
                    self.open_task_once("review", "sla_breach");
                }
            }
            Some(_) => self.open_task_once("review", "sla_breach"),
            None => {}
        }
    }

    pub(super) fn escalate(&mut self, step: u8) {
        let state = usize::from(self.case.state);
        let to = self
            .world
            .states
            .get(state)
            .and_then(|s| s.escalate.get(usize::from(step)))
            .map(|(_, to)| to.clone());
        if let Some(owner) = to {
            self.entry(Entry::Assigned {
                owner: owner.clone(),
                reason: "escalation".into(),
            });
            self.hand_tasks_to(&owner);
        }
    }
}
