//! The decision in the model: the branches that it may take, and what may come of carrying each out.

use tl_kernel::program::canonical::{AUTOMATED, CLOSED, NEEDS_HUMAN};
use tl_kernel::program::{Branch, Program, Step};

use super::super::search::Witness;
use super::super::spot::{Spot, task};
use super::super::words::{Choice, Fates, Turn};
use super::{Born, Model, Out, distinct, plain};

impl Model<'_> {
    /// Everything that the decision may come to.
    pub(in crate::proof) fn decision(&mut self, s: Spot) -> Vec<Out> {
        // What waited for an approval is decided anew.
        let s = s.without(task::APPROVE);
        let (words, program) = (self.words, self.program);
        let turn = Turn {
            mind: self.mind(s),
            closable: self.closable,
            touched: s.touched,
        };
        let mut out = Vec::new();
        // Branches that do the same end in the same way.
        let mut done: Vec<(&Choice, Vec<Spot>)> = Vec::new();
        for choice in words.choices(turn) {
            let taken = choice.taken;
            self.here.branch = Some(taken);
            self.taken.entry(taken.branch).or_default().push(self.here);
            let same = done.iter().find(|(c, _)| does_same(program, c, choice));
            let ends = match same {
                Some((_, ends)) => ends.clone(),
                None => {
                    let branch = &program.decision.branches[taken.branch];
                    let all = choice.fates.iter().flat_map(|(fates, _)| match taken.asks {
                        true => self.ask_first(s, fates),
                        false => self.carry_out(s, branch, fates),
                    });
                    let ends = distinct(all);
                    done.push((choice, ends.clone()));
                    ends
                }
            };
            out.extend(ends.into_iter().map(|s| (s, Some(taken))));
        }
        self.here.branch = None;
        if words.choices(turn).is_empty() {
            out.extend(plain(self.stuck(s)));
        }
        out.extend(plain(self.failed(s)));
        out
    }

    /// An expression may have had no result: a person looks first. Nothing where none can fail.
    pub(in crate::proof) fn failed(&mut self, s: Spot) -> Vec<Spot> {
        if !self.words.may_fail {
            return Vec::new();
        }
        let mut out = self.stuck(s);
        out.extend(match s.state {
            NEEDS_HUMAN => vec![review(s)],
            _ => self.moved(review(s), NEEDS_HUMAN),
        });
        out
    }

    fn carry_out(&mut self, s: Spot, branch: &Branch, fates: &Fates) -> Vec<Spot> {
        let mut all = vec![(s, Came::default())];
        for step in &branch.actions {
            if *step == Step::Deny && branch.to.is_some_and(|to| to != NEEDS_HUMAN) {
                continue;
            }
            let next = all
                .into_iter()
                .flat_map(|(s, came)| self.step((s, came), *step, fates));
            all = distinct(next);
        }
        let mut out = Vec::new();
        for (s, came) in all {
            let to = match branch.to {
                Some(to) => to,
                None if came.human => NEEDS_HUMAN,
                None if came.effects || came.hand_off => AUTOMATED,
                None if came.close => CLOSED,
                None => NEEDS_HUMAN,
            };
            if to == s.state {
                out.push(s);
                continue;
            }
            let moved = self.moved(s, to);
            if moved.is_empty() {
                out.extend(self.stuck(s));
            }
            for s in moved {
                out.extend(if to == AUTOMATED {
                    self.finished(s)
                } else {
                    vec![s]
                });
            }
        }
        out
    }

    fn step(&mut self, (s, came): (Spot, Came), step: Step, fates: &Fates) -> Vec<(Spot, Came)> {
        let human = Came {
            human: true,
            ..came
        };
        match step {
            Step::Effect(ix) => self
                .plan(s, ix, fates.get(&ix).copied())
                .into_iter()
                .map(|(s, born)| match born {
                    Born::Ready | Born::Said => (
                        s,
                        Came {
                            effects: true,
                            ..came
                        },
                    ),
                    Born::Waits => (s, human),
                    Born::Refused => (review(s), human),
                    Born::Not => (s.with(task::EXCEPTION), human),
                })
                .collect(),
            Step::HumanQueue | Step::Deny => vec![(review(s), human)],
            Step::AskMissing => {
                let asked = self.ask_missing(s, fates).into_iter();
                asked.map(|s| (s, human)).collect()
            }
            Step::HandOff => vec![(
                s.with(task::HAND_OFF),
                Came {
                    hand_off: true,
                    ..came
                },
            )],
            Step::Close => vec![(
                s,
                Came {
                    close: true,
                    ..came
                },
            )],
        }
    }

    fn ask_missing(&mut self, s: Spot, fates: &Fates) -> Vec<Spot> {
        let asked = match self.program.tasks.ask_missing {
            Some(ix) => self.plan(s, ix, fates.get(&ix).copied()),
            None => vec![(s, Born::Not)],
        };
        let asked = asked.into_iter().map(|(s, _)| s.with(task::MISSING));
        asked.collect()
    }

    /// A required field is missing: it is asked for, and the case waits for it.
    fn ask_first(&mut self, s: Spot, fates: &Fates) -> Vec<Spot> {
        let mut out = Vec::new();
        for s in self.ask_missing(s, fates) {
            let moved = match s.state {
                NEEDS_HUMAN => vec![s],
                _ => self.moved(s, NEEDS_HUMAN),
            };
            out.extend(if moved.is_empty() {
                self.stuck(s)
            } else {
                moved
            });
        }
        out
    }
}

/// Two branches do the same, and the same may become of what they plan.
fn does_same(program: &Program, a: &Choice, b: &Choice) -> bool {
    let branch = |c: &Choice| &program.decision.branches[c.taken.branch];
    let fates = |(a, b): (&(Fates, Witness), &(Fates, Witness))| a.0 == b.0;
    a.taken.asks == b.taken.asks
        && branch(a).to == branch(b).to
        && branch(a).actions == branch(b).actions
        && a.fates.len() == b.fates.len()
        && a.fates.iter().zip(&b.fates).all(fates)
}

/// What the steps of a branch came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Came {
    effects: bool,
    human: bool,
    hand_off: bool,
    close: bool,
}

fn review(s: Spot) -> Spot {
    if s.tasks & (task::REVIEW | task::BREACH) == 0 {
        s.with(task::REVIEW)
    } else {
        s
    }
}
