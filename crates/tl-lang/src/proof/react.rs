//! The model's answers to messages, models, clocks, the outcomes of effects, and people.

use tl_kernel::program::canonical::{AUTOMATED, CLOSED, NEEDS_HUMAN, TRIAGED};
use tl_kernel::program::{ActionIx, ActionKind, WhenUnanswered};

use super::Cue;
use super::model::{Born, Model, Out, plain};
use super::spot::{Ai, Spot, task};

impl Model<'_> {
    /// A message joins. A person vouched for what was there before it.
    pub(super) fn joined(&mut self, s: Spot) -> Vec<Out> {
        let was = Spot {
            vouched: false,
            ..s
        };
        let answered = Spot {
            ai: Ai::Answered,
            ..was
        };
        // Whether a model had answered before the person vouched is forgotten: both may be.
        let forgotten = s.vouched && s.ai == Ai::Silent && self.program.ai.is_some();
        let mut out = self.joins(was);
        if forgotten {
            out.extend(self.joins(answered));
        }
        out
    }

    fn joins(&mut self, s: Spot) -> Vec<Out> {
        let mut out = plain(vec![s]);
        match s.state {
            // New text is read anew.
            CLOSED => {
                for s in self.moved(s, TRIAGED) {
                    out.extend(self.after_rules(s, Model::ask_again_or_decide));
                }
            }
            NEEDS_HUMAN if s.tasks & task::MISSING != 0 => {
                let s = s.without(task::MISSING);
                let again = self.again(s);
                out.extend(if again.is_empty() {
                    plain(vec![s])
                } else {
                    again
                });
            }
            AUTOMATED => {
                out.extend(self.after_rules(s, |m, s| {
                    let mut out = m.failed(s);
                    out.extend(m.rewrites.iter().flat_map(|ix| m.emitted(s, *ix)));
                    plain(out)
                }));
            }
            _ => {}
        }
        out
    }

    pub(super) fn answered(&mut self, s: Spot, ai: Ai) -> Vec<Out> {
        let mut out = Vec::new();
        // An answer to a question that a newer one has replaced says nothing; how many there are is not known.
        if s.older {
            out.extend(plain([false, true].map(|older| Spot { older, ..s }).into()));
        }
        // The newest may be one of the older ones, where the case has asked as often as it may.
        let left: &[bool] = match (s.older, s.ai) {
            (true, Ai::Asked) => &[true],
            (true, _) => &[false, true],
            (false, _) => &[false],
        };
        for older in left {
            let older = *older;
            let touched = s.touched || ai == Ai::Answered;
            let s = Spot {
                ai,
                older,
                touched,
                ..s
            }
            .settled_mind();
            out.extend(match &self.program.ai {
                Some(def) if def.when_state == s.state => self.after_rules(s, Model::decision),
                _ => plain(vec![s]),
            });
        }
        out
    }

    /// The SLA of the stay is missed.
    pub(super) fn breached(&mut self, s: Spot) -> Vec<Out> {
        let s = Spot { clock: false, ..s };
        let late = |s: Spot| {
            if s.tasks & task::REVIEW == 0 {
                s.with(task::BREACH)
            } else {
                s
            }
        };
        plain(match self.program.states[usize::from(s.state)].on_breach {
            None => vec![s],
            Some(to) if to == s.state => vec![late(s)],
            Some(to) => {
                let moved = self.moved_or_stays(s, to);
                let asks = |s: Spot| {
                    if s.state == NEEDS_HUMAN && to == NEEDS_HUMAN {
                        late(s)
                    } else {
                        s
                    }
                };
                moved.into_iter().map(asks).collect()
            }
        })
    }

    /// Nobody has answered the question for missing fields. Which of the steps it is, is not remembered.
    pub(super) fn unanswered(&mut self, s: Spot) -> Vec<Out> {
        let program = self.program;
        let mut out = vec![s];
        for step in &program.tasks.unanswered {
            match &step.then {
                WhenUnanswered::Remind(ix) => out.extend(self.emitted(s, *ix)),
                WhenUnanswered::Close(_) if s.tasks & !(task::MISSING | task::BREACH) == 0 => {
                    out.extend(self.moved(s, CLOSED));
                }
                WhenUnanswered::Close(_) | WhenUnanswered::Escalate(_) => {}
            }
        }
        plain(out)
    }

    pub(super) fn settled(&mut self, s: Spot, cue: Cue) -> Vec<Out> {
        let mut out = Vec::new();
        for ready in [false, true] {
            let left = Spot { ready, ..s };
            let mut ends = match cue {
                Cue::Succeeded => self.finished(left),
                Cue::Conflict => self.conflict(left),
                _ => self.exception(left),
            };
            if cue == Cue::Trouble && s.state == CLOSED {
                // It was withdrawn.
                ends.push(left);
            }
            out.extend(plain(ends));
        }
        out
    }

    fn exception(&mut self, s: Spot) -> Vec<Spot> {
        let s = s.with(task::EXCEPTION);
        if matches!(s.state, NEEDS_HUMAN | CLOSED) {
            vec![s]
        } else {
            self.moved_or_stays(s, NEEDS_HUMAN)
        }
    }

    /// Somebody else wrote first: the write is planned anew, with a verdict of its own.
    fn conflict(&mut self, s: Spot) -> Vec<Spot> {
        // What the other side holds is taken over.
        let s = Spot { touched: true, ..s };
        let mut out = self.exception(s);
        for i in 0..self.may.len() {
            if !matches!(
                self.program.actions[i].kind,
                ActionKind::Rest(_) | ActionKind::Call(_) | ActionKind::RecordStore { .. }
            ) {
                continue;
            }
            for (s, born) in self.born(s, i as ActionIx) {
                match born {
                    Born::Ready | Born::Waits => out.push(s),
                    Born::Refused | Born::Not | Born::Said => out.extend(self.exception(s)),
                }
            }
        }
        out
    }

    /// A person decides a task of a kind. Nothing: the decision is refused.
    pub(super) fn decided(&mut self, s: Spot, bit: u8, decision: &str) -> Vec<Out> {
        let done = s.without(bit);
        match (bit, decision) {
            (task::APPROVE, "approve") => {
                let mut out = Vec::new();
                for s in [done, s] {
                    let s = Spot { ready: true, ..s };
                    let moves = s.tasks == 0 && s.state == NEEDS_HUMAN;
                    out.extend(if moves {
                        self.moved_or_stays(s, AUTOMATED)
                    } else {
                        vec![s]
                    });
                }
                plain(out)
            }
            (task::APPROVE, _) => {
                let mut out = if done.idle() {
                    self.moved(done, CLOSED)
                } else {
                    vec![done]
                };
                // Another may wait as well: then this one is rejected whatever the edges are.
                out.push(s);
                plain(out)
            }
            (task::REVIEW | task::BREACH | task::MISSING, "reject" | "close") => {
                plain(self.moved(s, CLOSED))
            }
            (task::REVIEW | task::BREACH | task::MISSING, _) => {
                let done = Spot {
                    vouched: true,
                    touched: true,
                    ..done
                }
                .settled_mind();
                if s.state != NEEDS_HUMAN {
                    return plain(vec![done]);
                }
                if bit == task::BREACH {
                    return self.breach_seen(done);
                }
                self.again(done.without(task::REVIEW | task::MISSING | task::BREACH))
            }
            (_, decision) => {
                let ends = decision != "accept" || (done.idle() && s.state != CLOSED);
                let mut out = if ends && s.state != CLOSED {
                    self.moved(done, CLOSED)
                } else {
                    vec![done]
                };
                if decision != "accept" && s.state != CLOSED {
                    // There may be another of the kind, which an end does not withdraw.
                    out.extend(self.moved(s, CLOSED));
                }
                // A hand-off that lacks a required field is not accepted; but it is not opened either, and a
                // record loses no value.
                plain(out)
            }
        }
    }

    /// A person saw that an SLA was missed: what is under way goes on; a case that never came to an effect is
    /// decided now.
    fn breach_seen(&mut self, s: Spot) -> Vec<Out> {
        if !s.acted {
            return self.again(s);
        }
        let to = if s.idle() { CLOSED } else { AUTOMATED };
        plain(self.moved(s, to))
    }

    pub(super) fn commanded(&mut self, s: Spot, cue: Cue) -> Vec<Out> {
        match cue {
            Cue::Move(to) => {
                let moved = self.moved(s, to);
                plain(
                    moved
                        .into_iter()
                        .map(|s| Spot {
                            parked: !s.clock,
                            ..s
                        })
                        .collect(),
                )
            }
            // What the next decision asks anew is withdrawn; an exception of an open effect stays.
            Cue::Reopen => {
                let asked = task::REVIEW | task::BREACH | task::MISSING;
                let mut out = Vec::new();
                for s in self.moved(s, TRIAGED) {
                    out.extend(self.redecide(s.without(asked)));
                    out.extend(self.redecide(s.without(asked | task::EXCEPTION)));
                }
                out
            }
            Cue::SendAgain => {
                let mut out = Vec::new();
                for s in [s, s.without(task::EXCEPTION)] {
                    let s = Spot { ready: true, ..s };
                    let moves = s.tasks == 0 && s.state == NEEDS_HUMAN;
                    out.extend(if moves {
                        self.moved_or_stays(s, AUTOMATED)
                    } else {
                        vec![s]
                    });
                }
                plain(out)
            }
            Cue::Resolved => self.resolved(s),
            _ => Vec::new(),
        }
    }

    /// A person says whether an effect happened. There may be another that nobody knows about.
    fn resolved(&mut self, s: Spot) -> Vec<Out> {
        let done = s.without(task::EXCEPTION);
        let mut out = plain(match done.state {
            NEEDS_HUMAN if done.idle() => self.moved(done, CLOSED),
            AUTOMATED if done.idle() => self.moved_or_stays(done, CLOSED),
            _ => vec![done],
        });
        out.extend(plain(vec![s]));
        out
    }
}
