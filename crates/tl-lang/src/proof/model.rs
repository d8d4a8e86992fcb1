//! The model that the proofs explore: what `decide` may do with a case, forgetting every value.
//!
//! A [`Spot`] is what is left of a case: its state, what became of the AI step, and what is still going to
//! happen by itself or through a person. Each function mirrors one of the kernel's (the tests in `mirror` hold
//! every step that `decide` makes against it) and returns everything that it may come to: whether a policy's condition
//! holds, whether an argument is there and how many effects are open is not known, so all of it is possible; an
//! expression may fail where `results` does not show that it has a result always. Effects are followed as "waits for approval" (a task) and
//! "on its way"; one that is changed by a conflict is planned anew and so waits for its approval anew.

mod carry;

use std::collections::BTreeMap;

use tl_kernel::program::canonical::{AUTOMATED, CLOSED, NEEDS_HUMAN, PENDING, TRIAGED};
use tl_kernel::program::{ActionIx, ActionKind, Emit, OnMatch, Program, StateIx};

use super::Cue;
use super::formula::Mind;
use super::spot::{Ai, Spot, task};
use super::verdict::{May, verdicts, written};
use super::words::{Fate, Taken, Turn, Words};

/// Where a turn may lead, and the branch it took.
pub(super) type Out = (Spot, Option<Taken>);

/// What a run of the model may assume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Options {
    /// Models answer.
    pub(super) ai: bool,
    /// People give commands.
    pub(super) commands: bool,
}

/// The model of one program under some options.
pub(super) struct Model<'p> {
    pub(super) program: &'p Program,
    pub(super) words: &'p Words<'p>,
    pub(super) options: Options,
    /// States that were entered.
    pub(super) entered: Vec<bool>,
    /// Where each action was planned, the shortest way first.
    pub(super) planned: BTreeMap<ActionIx, Vec<Here>>,
    /// Where each branch was taken.
    pub(super) taken: BTreeMap<usize, Vec<Here>>,
    pub(super) here: Here,
    pub(super) may: Vec<May>,
    /// The write to the system of record, where something plans it: a changed record is written again.
    pub(super) rewrites: Option<ActionIx>,
    /// The turn may have planned that write already; it does so once.
    written: bool,
    /// A rule that applies would have closed the case before it is decided.
    closable: bool,
}

/// A place in the exploration: the spot, what happened there, and the branch that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Here {
    pub(super) node: usize,
    pub(super) cue: Cue,
    pub(super) branch: Option<Taken>,
}

impl<'p> Model<'p> {
    pub(super) fn new(program: &'p Program, words: &'p Words<'p>, options: Options) -> Model<'p> {
        let mut may = verdicts(program);
        // The policy in force may be stricter than the file's.
        for m in &mut may {
            (m.approve, m.never) = (m.approve || m.auto, true);
        }
        let mut entered = vec![false; program.states.len()];
        if let Some(first) = entered.first_mut() {
            *first = true;
        }
        Model {
            program,
            words,
            options,
            entered,
            planned: BTreeMap::new(),
            taken: BTreeMap::new(),
            here: Here {
                node: 0,
                cue: Cue::Message,
                branch: None,
            },
            may,
            rewrites: written(program),
            written: false,
            closable: false,
        }
    }

    /// A move along a declared edge, with what it emits; nothing where there is no edge.
    pub(super) fn moved(&mut self, s: Spot, to: StateIx) -> Vec<Spot> {
        let program = self.program;
        let (Some(edge), Some(state)) = (
            program.edge(s.state, to),
            program.states.get(usize::from(to)),
        ) else {
            return Vec::new();
        };
        self.entered[usize::from(to)] = true;
        let sla = edge.sla.or(state.sla).is_some() && !state.terminal;
        let s = Spot {
            state: to,
            clock: sla && edge.emit.contains(&Emit::SlaTimer),
            parked: false,
            ..s
        };
        // An end withdraws what was open before it, but for the question what became of an effect; what the
        // edge itself emits stays.
        let mut all = match (state.terminal, s.tasks & task::EXCEPTION) {
            (false, _) => vec![s],
            (true, 0) => vec![Spot { tasks: 0, ..s }],
            (true, tasks) => [0, tasks].map(|tasks| Spot { tasks, ..s }).into(),
        };
        for (emit, action) in [
            (Emit::CrmSync, "crm_upsert"),
            (Emit::DomainEvent, "domain_event"),
        ] {
            if edge.emit.contains(&emit)
                && let Some(ix) = program.action_ix(action)
            {
                self.plans(ix);
                all = distinct(all.into_iter().flat_map(|s| self.emitted(s, ix)));
                self.written |= emit == Emit::CrmSync;
            }
        }
        all
    }

    /// What an edge emits, or a change of the record writes again: what cannot be planned is seen by a person.
    pub(super) fn emitted(&self, s: Spot, ix: ActionIx) -> Vec<Spot> {
        let seen = |(s, born): (Spot, Born)| match born {
            Born::Refused | Born::Not => s.with(task::EXCEPTION),
            Born::Ready | Born::Waits | Born::Said => s,
        };
        let mut out: Vec<Spot> = self.born(s, ix).into_iter().map(seen).collect();
        if self.written && Some(ix) == self.rewrites {
            out.push(s);
        }
        out
    }

    /// Moves, or stays where there is no edge.
    pub(super) fn moved_or_stays(&mut self, s: Spot, to: StateIx) -> Vec<Spot> {
        let all = self.moved(s, to);
        if all.is_empty() { vec![s] } else { all }
    }

    fn plans(&mut self, ix: ActionIx) {
        let heres = self.planned.entry(ix).or_default();
        if heres.last() != Some(&self.here) {
            heres.push(self.here);
        }
    }

    /// Plans an action of a branch: how it may be born.
    fn plan(&mut self, s: Spot, ix: ActionIx, fate: Option<Fate>) -> Vec<(Spot, Born)> {
        let Some(fate) = fate else {
            return vec![(s, Born::Not)];
        };
        if fate != Fate::Absent {
            self.plans(ix);
        }
        self.written |= Some(ix) == self.rewrites;
        let said = matches!(fate, Fate::Goes | Fate::Waits) && self.said(s, ix);
        let mut out = vec![fated(s, fate)];
        out.extend(said.then_some((s, Born::Said)));
        out
    }

    /// A message may have been said before.
    fn said(&self, s: Spot, ix: ActionIx) -> bool {
        let action = self.program.action(ix);
        s.acted && action.is_some_and(|a| matches!(a.kind, ActionKind::Message(_)))
    }

    /// How an action may be born; one that is planned again was planned before.
    pub(super) fn born(&self, s: Spot, ix: ActionIx) -> Vec<(Spot, Born)> {
        let Some(may) = self.may.get(usize::from(ix)).copied() else {
            return vec![(s, Born::Not)];
        };
        let fates = [
            (Fate::Goes, may.auto),
            (Fate::Waits, may.approve),
            (Fate::Refused, may.never),
            (Fate::Absent, may.absent),
        ];
        let fates = fates.into_iter().filter(|(_, may)| *may);
        let mut out: Vec<_> = fates.map(|(fate, _)| fated(s, fate)).collect();
        if self.said(s, ix) && (may.auto || may.approve) {
            out.push((s, Born::Said));
        }
        out
    }

    /// A rule closes a case along an edge from where the rules run: in `pending` for the first message, else in
    /// `triaged`.
    pub(super) fn turn_after(&self, s: Spot, cue: Cue) -> Turn {
        let from = if s.opened { TRIAGED } else { PENDING };
        Turn {
            mind: self.mind_after(s, cue),
            closable: self.program.edge(from, CLOSED).is_some(),
            touched: s.touched || matches!(cue, Cue::Answered | Cue::Decided { .. }),
        }
    }

    /// The mind of the decision that something at a spot leads to.
    fn mind_after(&self, s: Spot, cue: Cue) -> Mind {
        self.mind(match cue {
            Cue::Answered => Spot {
                ai: Ai::Answered,
                ..s
            },
            Cue::NoAnswer => Spot {
                ai: Ai::Silent,
                ..s
            },
            Cue::Decided { .. } => Spot { vouched: true, ..s },
            _ => s,
        })
    }

    fn mind(&self, s: Spot) -> Mind {
        match (s.vouched, &self.program.ai, s.ai) {
            (true, _, _) => Mind::Vouched,
            (_, None, _) => Mind::None,
            (_, _, Ai::Answered) => Mind::Answered,
            _ => Mind::Silent,
        }
    }

    /// No edge leads on: a person is asked.
    fn stuck(&mut self, s: Spot) -> Vec<Spot> {
        let s = s.with(task::EXCEPTION);
        if s.state == NEEDS_HUMAN {
            vec![s]
        } else {
            self.moved_or_stays(s, NEEDS_HUMAN)
        }
    }

    /// Nothing is left to do: the case is closed.
    pub(super) fn finished(&mut self, s: Spot) -> Vec<Spot> {
        if s.idle() && matches!(s.state, AUTOMATED | NEEDS_HUMAN) {
            self.moved_or_stays(s, CLOSED)
        } else {
            vec![s]
        }
    }

    /// A rule may close the case; `then` is what follows where none does.
    pub(super) fn after_rules(
        &mut self,
        s: Spot,
        then: fn(&mut Self, Spot) -> Vec<Out>,
    ) -> Vec<Out> {
        let mut out = Vec::new();
        if self.words.rule_closes {
            out.extend(plain(self.moved(s, CLOSED)));
        }
        out.extend(then(self, s));
        out
    }

    fn triage(&mut self, s: Spot) -> Vec<Out> {
        let moved = self.moved(s, TRIAGED);
        if moved.is_empty() {
            return plain(self.stuck(s));
        }
        moved
            .into_iter()
            .flat_map(|s| self.ask_or_decide(s))
            .collect()
    }

    pub(super) fn ask_or_decide(&mut self, s: Spot) -> Vec<Out> {
        match &self.program.ai {
            Some(ai) if s.state == ai.when_state && !s.vouched => {
                let older = s.is_asked();
                let mut out = plain(self.failed(s));
                out.push((
                    Spot {
                        ai: Ai::Asked,
                        older,
                        ..s
                    },
                    None,
                ));
                out
            }
            _ => self.decision(s),
        }
    }

    /// The same where the case may have asked before: one that has asked as often as it may asks no more.
    pub(super) fn ask_again_or_decide(&mut self, s: Spot) -> Vec<Out> {
        let mut out = self.ask_or_decide(s);
        if out.iter().any(|(s, _)| s.ai == Ai::Asked) {
            let older = s.is_asked();
            let ai = Ai::Silent;
            out.extend(self.decision(Spot { ai, older, ..s }));
        }
        out
    }

    /// Rules again, then the model if it has not answered yet, else the decision.
    pub(super) fn redecide(&mut self, s: Spot) -> Vec<Out> {
        self.after_rules(s, |m, s| match s.ai {
            Ai::Silent => m.ask_again_or_decide(s),
            Ai::Asked => plain(vec![s]),
            Ai::Answered => m.decision(s),
        })
    }

    /// Moves to `triaged` and decides again; nothing where there is no edge.
    pub(super) fn again(&mut self, s: Spot) -> Vec<Out> {
        let moved = self.moved(s, TRIAGED);
        moved.into_iter().flat_map(|s| self.redecide(s)).collect()
    }

    /// Everything that may happen to a case here.
    pub(super) fn cues(&self, s: Spot) -> Vec<Cue> {
        if !s.opened {
            return vec![Cue::Message];
        }
        let mut out = Vec::new();
        if s.is_asked() {
            out.push(Cue::NoAnswer);
            if self.options.ai {
                out.push(Cue::Answered);
            }
        }
        if s.ready {
            out.extend([Cue::Succeeded, Cue::Trouble, Cue::Uncertain, Cue::Conflict]);
        }
        if s.clock {
            out.push(Cue::Breach);
        }
        if s.tasks & task::MISSING != 0 && !self.program.tasks.unanswered.is_empty() {
            out.push(Cue::Unanswered);
        }
        for (bit, kind) in task::NAMES {
            if s.tasks & bit != 0 {
                let verbs = decisions(bit).iter();
                out.extend(verbs.map(|decision| Cue::Decided {
                    bit,
                    kind,
                    decision,
                }));
            }
        }
        if self.program.record.on_match != OnMatch::Open {
            out.push(Cue::Message);
        }
        if self.options.commands {
            let edges = self.program.edges.iter().filter(|e| e.from == s.state);
            out.extend(edges.map(|e| Cue::Move(e.to)));
            if self.program.edge(s.state, TRIAGED).is_some() {
                out.push(Cue::Reopen);
            }
            if s.acted {
                out.push(Cue::SendAgain);
            }
            if s.tasks & task::EXCEPTION != 0 {
                out.push(Cue::Resolved);
            }
        }
        out
    }

    /// Where something that happens may lead. Nothing: it is refused.
    pub(super) fn happens(&mut self, s: Spot, cue: Cue) -> Vec<Out> {
        self.written = false;
        self.closable = self.turn_after(s, cue).closable;
        match cue {
            Cue::Message if !s.opened => {
                let s = Spot { opened: true, ..s };
                self.after_rules(s, Model::triage)
            }
            Cue::Message => self.joined(s),
            Cue::Answered => self.answered(s, Ai::Answered),
            Cue::NoAnswer => self.answered(s, Ai::Silent),
            Cue::Decided { bit, decision, .. } => self.decided(s, bit, decision),
            Cue::Succeeded | Cue::Trouble | Cue::Uncertain | Cue::Conflict => self.settled(s, cue),
            Cue::Breach => self.breached(s),
            Cue::Unanswered => self.unanswered(s),
            Cue::Move(_) | Cue::Reopen | Cue::SendAgain | Cue::Resolved => self.commanded(s, cue),
        }
    }
}

/// What may become of a planned action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Born {
    Ready,
    Waits,
    Refused,
    Not,
    /// The case has said the same before: it is not said twice.
    Said,
}

/// What an action is born as.
fn fated(s: Spot, fate: Fate) -> (Spot, Born) {
    let planned = Spot { acted: true, ..s };
    match fate {
        Fate::Goes => {
            let ready = true;
            (Spot { ready, ..planned }, Born::Ready)
        }
        Fate::Waits => (planned.with(task::APPROVE), Born::Waits),
        Fate::Refused => (planned, Born::Refused),
        Fate::Absent => (s, Born::Not),
    }
}

/// Each once, in order. There are few, however many ways lead to them: without this the ways of a branch would
/// multiply with each of its actions.
fn distinct<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut out = Vec::new();
    for one in all {
        if !out.contains(&one) {
            out.push(one);
        }
    }
    out
}

/// What a person may decide about a task: one word per consequence.
fn decisions(bit: u8) -> &'static [&'static str] {
    match bit {
        task::APPROVE => &["approve", "reject"],
        task::HAND_OFF | task::EXCEPTION => &["accept", "close"],
        _ => &["approve", "reject"],
    }
}

pub(super) fn plain(all: Vec<Spot>) -> Vec<Out> {
    all.into_iter().map(|s| (s, None)).collect()
}
