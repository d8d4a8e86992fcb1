//! SLA clocks: the breach, and the escalation after it. A breach is a fact about time: it happened at `due`,
//! whenever it is noticed. The clock of the whole path, and that of a question that nobody answers.

use super::Deciding;
use super::task::GOAL_MISSED;
use crate::case::{CaseTask, GoalClock};
use crate::follow_up;
use crate::journal::{Entry, TimerKind};
use crate::program::{ActionIx, StateIx, WhenUnanswered, canonical};

/// Why the goal's clock stops.
#[derive(Clone, Copy)]
enum Stop {
    /// The path has come to its end.
    Reached,
    /// The case was closed short of what the path is for.
    Closed,
    /// The state pauses it.
    Paused,
}

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
            self.escalate_to(owner);
        }
    }

    fn escalate_to(&mut self, owner: String) {
        self.entry(Entry::Assigned {
            owner: owner.clone(),
            reason: "escalation".into(),
        });
        self.hand_tasks_to(&owner);
    }

    /// Somebody was asked for missing fields: the clock of the first step begins, anew where it ran.
    pub(super) fn wait_for_answer(&mut self) {
        self.stop_waiting();
        self.await_step(0, self.now);
    }

    /// The clock of a step after the question.
    fn await_step(&mut self, step: u8, asked: i64) {
        if let Some(next) = self.world.tasks.unanswered.get(usize::from(step)) {
            let due = asked.saturating_add(next.after);
            self.set_timer(TimerKind::Unanswered(step), due);
        }
    }

    fn stop_waiting(&mut self) {
        let mut set = self.case.timers.iter();
        let waits = |kind| matches!(kind, TimerKind::Unanswered(_));
        if let Some((&n, _)) = set.find(|(_, (kind, _))| waits(*kind)) {
            self.end_timer(n);
        }
    }

    /// Whatever it was that took the question away: nobody is reminded of it any more.
    pub(super) fn stop_waiting_where_answered(&mut self) {
        if self.case.open_tasks().all(|(_, t)| t.kind != "missing") {
            self.stop_waiting();
        }
    }

    /// Nobody has answered the question for missing fields by `due`.
    pub(super) fn unanswered(&mut self, step: u8, due: i64) {
        let world = self.world;
        let step_now = world.tasks.unanswered.get(usize::from(step));
        // Where all is there, the question is answered, though a person may not have said so yet.
        let Some(now) = step_now.filter(|_| !self.missing().is_empty()) else {
            return;
        };
        self.await_step(step.saturating_add(1), due.saturating_sub(now.after));
        match &now.then {
            WhenUnanswered::Remind(ix) => self.remind(*ix),
            WhenUnanswered::Escalate(owner) => self.escalate_to(owner.clone()),
            // What else is open is a person's, who knows of the case. That it takes long is known.
            WhenUnanswered::Close(reason) => {
                let waits = |t: &CaseTask| t.kind == "missing" || t.reason == "sla_breach";
                if self.was_asked() && self.case.open_tasks().all(|(_, t)| waits(t)) {
                    self.move_to(canonical::CLOSED, reason);
                }
            }
        }
    }

    /// The sender has the question, or people put it by hand. Who has no address, or whom the policy does not let be written to,
    /// was never asked: that stays a person's.
    fn was_asked(&self) -> bool {
        let by_message = self.world.tasks.ask_missing.is_some();
        !by_message || follow_up::asked(self.world, &self.case).is_some()
    }

    /// Says again what is missing, unless the question itself has not left yet.
    fn remind(&mut self, ix: ActionIx) {
        let asked = follow_up::asked(self.world, &self.case);
        if !self.was_asked() || asked.is_some_and(|(_, e)| e.is_open()) {
            return;
        }
        self.reminds = true;
        self.plan_emitted(ix);
        self.reminds = false;
    }

    /// The goal's clock after a move from a state: it starts where the path starts, stands still in a state that
    /// pauses it, ends with the path or the case, and goes on when the case is opened again. What is taken to the end
    /// while required fields are still waited for has not met the goal: the clock runs until they are there, and
    /// stands still where the case is closed without them.
    pub(super) fn goal_clock(&mut self, from: StateIx) {
        let (world, to) = (self.world, self.case.state);
        let Some((goal, state)) = world.goal.as_ref().zip(world.states.get(usize::from(to))) else {
            return;
        };
        let ends = state.terminal || to == goal.end;
        let was_closed = world
            .states
            .get(usize::from(from))
            .is_some_and(|s| s.terminal);
        let left = match self.case.goal {
            GoalClock::NotStarted if to == goal.start && !ends => Some(goal.sla),
            GoalClock::Still { left } => Some(left),
            GoalClock::Met { left, .. } if was_closed && !ends => Some(left),
            _ => None,
        };
        if let Some(left) = left {
            self.set_timer(TimerKind::Goal, self.now.saturating_add(left));
        }
        let unfinished = self.is_unfinished();
        if state.terminal && unfinished {
            self.stop_goal(Stop::Closed);
        } else if ends && !unfinished {
            self.stop_goal(Stop::Reached);
        } else if state.pause && !ends {
            self.stop_goal(Stop::Paused);
        }
    }

    /// A case that was taken to the end of the goal without its required fields meets the goal once they are there.
    pub(super) fn goal_made_whole(&mut self) {
        let there = |end| end == self.case.state;
        let at_end = self.world.goal.as_ref().is_some_and(|g| there(g.end));
        if at_end && self.missing().is_empty() {
            self.stop_goal(Stop::Reached);
        }
    }

    /// Stops the goal's clock where it runs. What it stopped too late for was missed before.
    fn stop_goal(&mut self, why: Stop) {
        let GoalClock::Running { due } = self.case.goal else {
            return;
        };
        let mut set = self.case.timers.iter();
        if let Some((&n, _)) = set.find(|(_, (kind, _))| *kind == TimerKind::Goal) {
            self.end_timer(n);
        }
        match (self.now <= due, why) {
            (met, Stop::Reached) => self.entry(Entry::Goal { met, due }),
            (false, Stop::Closed) => self.entry(Entry::Goal { met: false, due }),
            (false, Stop::Paused) => self.miss_goal(due),
            (true, Stop::Closed | Stop::Paused) => {}
        }
    }

    /// The goal is missed: whoever answers for it gets the case and its tasks, or a task where there is none.
    pub(super) fn miss_goal(&mut self, due: i64) {
        self.entry(Entry::Goal { met: false, due });
        let Some(owner) = self.world.goal.as_ref().map(|g| g.owner.clone()) else {
            return;
        };
        self.entry(Entry::Assigned {
            owner: owner.clone(),
            reason: "goal".into(),
        });
        self.hand_tasks_to(&owner);
        if self.case.open_tasks().next().is_none() {
            self.open_task_of(owner, ("exception", GOAL_MISSED), None);
        }
    }
}
