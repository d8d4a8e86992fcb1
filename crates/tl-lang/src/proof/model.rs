//! The model that the proofs explore: what `decide` may do with a case, forgetting every value.
//!
//! A [`Spot`] is what is left of a case: its state, what became of the AI step, and what is still going to
//! happen by itself or through a person. Each function mirrors one of the kernel's and returns everything
//! that it may come to: whether a policy's condition holds, whether an argument is there and how many effects
//! are open is not known, so all of it is possible. Effects are followed as "waits for approval" (a task) and
//! "on its way"; one that is changed by a conflict is planned anew and so waits for its approval anew.

use std::collections::BTreeMap;

use tl_kernel::expr::Piece;
use tl_kernel::policy::When;
use tl_kernel::program::canonical::{AUTOMATED, CLOSED, NEEDS_HUMAN, PENDING, TRIAGED};
use tl_kernel::program::{
    Action, ActionIx, ActionKind, Branch, Emit, OnMatch, Program, StateIx, Step,
};

use super::Cue;
use super::formula::Mind;
use super::trust;
use super::words::Words;

/// What became of the AI step, as far as it matters: no answer is as good as none asked for, and nothing
/// depends on an answer once a person has vouched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ai {
    Silent,
    Asked,
    Answered,
}

/// Kinds of tasks, as a set.
pub(super) mod task {
    pub(crate) const REVIEW: u8 = 1;
    /// A review that was opened because an SLA was missed.
    pub(crate) const BREACH: u8 = 2;
    pub(crate) const MISSING: u8 = 4;
    pub(crate) const HAND_OFF: u8 = 8;
    pub(crate) const APPROVE: u8 = 16;
    pub(crate) const EXCEPTION: u8 = 32;
    /// The bits with the kinds' names.
    pub(crate) const NAMES: [(u8, &str); 6] = [
        (REVIEW, "review"),
        (BREACH, "review"),
        (MISSING, "missing"),
        (HAND_OFF, "hand_off"),
        (APPROVE, "approve"),
        (EXCEPTION, "exception"),
    ];
}

/// What is left of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    pub(super) opened: bool,
    pub(super) state: StateIx,
    pub(super) ai: Ai,
    pub(super) vouched: bool,
    /// The SLA clock of the stay runs.
    pub(super) clock: bool,
    /// Open tasks.
    pub(super) tasks: u8,
    /// An effect is on its way.
    pub(super) ready: bool,
    /// A person's command brought it where it is, and no clock runs there: that person knows.
    pub(super) parked: bool,
}

impl Spot {
    pub(super) const START: Spot = Spot {
        opened: false,
        state: PENDING,
        ai: Ai::Silent,
        vouched: false,
        clock: false,
        tasks: 0,
        ready: false,
        parked: false,
    };

    /// How many spots there are in one state.
    pub(super) const PER_STATE: usize = 1 << 13;

    /// A number of its own for each spot.
    pub(super) fn number(self) -> usize {
        let flags = [
            self.opened,
            self.vouched,
            self.clock,
            self.ready,
            self.parked,
        ];
        let mut n = usize::from(self.state) << 2 | self.ai as usize;
        for f in flags {
            n = n << 1 | usize::from(f);
        }
        n << 6 | usize::from(self.tasks)
    }

    fn settled_mind(self) -> Spot {
        let forget = self.vouched && self.ai == Ai::Answered;
        let ai = if forget { Ai::Silent } else { self.ai };
        Spot { ai, ..self }
    }

    fn with(self, bit: u8) -> Spot {
        Spot {
            tasks: self.tasks | bit,
            ..self
        }
    }

    fn without(self, bits: u8) -> Spot {
        Spot {
            tasks: self.tasks & !bits,
            ..self
        }
    }

    /// No task and no effect is open. An effect that waits for its approval has a task.
    fn idle(self) -> bool {
        self.tasks == 0 && !self.ready
    }
}

/// Where a turn may lead, and the branch it took.
pub(super) type Out = (Spot, Option<usize>);

/// What the file's policy may say about an action.
#[derive(Debug, Clone, Copy)]
pub(super) struct May {
    pub(super) auto: bool,
    pub(super) approve: bool,
    pub(super) never: bool,
    /// The file says `never` without a condition.
    pub(super) forbidden: bool,
    /// An argument that must be there may be absent.
    absent: bool,
}

/// What a run of the model may assume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Options {
    /// Models answer.
    pub(super) ai: bool,
    /// The policy in force may be stricter than the file's.
    pub(super) stricter: bool,
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
    /// Where each action was planned first.
    pub(super) planned: BTreeMap<ActionIx, Here>,
    pub(super) here: Here,
    may: Vec<May>,
    /// The write to the system of record, where something plans it: a changed record is written again.
    rewrites: Option<ActionIx>,
}

/// A place in the exploration: the spot, what happened there, and the branch that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Here {
    pub(super) node: usize,
    pub(super) cue: Cue,
    pub(super) branch: Option<usize>,
}

/// What the file's policy may say about each action.
pub(super) fn verdicts(program: &Program) -> Vec<May> {
    program.actions.iter().map(|a| may(program, a)).collect()
}

fn may(program: &Program, action: &Action) -> May {
    let absent = match &action.kind {
        ActionKind::RecordStore { key, .. } => {
            key.parts.iter().any(|p| matches!(p, Piece::Expr(_)))
        }
        ActionKind::Rest(r) => r.path.parts.iter().any(|p| matches!(p, Piece::Expr(_))),
        ActionKind::Message(m) => !m.to.reads().is_empty(),
        ActionKind::DomainEvent => false,
    };
    let Some(line) = program.policy.line(&action.name) else {
        let none = May {
            auto: false,
            approve: false,
            never: true,
            forbidden: true,
            absent,
        };
        return none;
    };
    let forbidden = matches!(line.never, When::Always);
    let auto = !forbidden && !matches!(line.auto, When::Unstated);
    let checked = match &action.kind {
        ActionKind::Message(m) => trust::is_ours(program, &m.to),
        _ => true,
    };
    May {
        auto,
        approve: !forbidden && (!matches!(line.auto, When::Always) || !checked),
        never: !matches!(line.never, When::Unstated),
        forbidden,
        absent,
    }
}

impl<'p> Model<'p> {
    pub(super) fn new(program: &'p Program, words: &'p Words<'p>, options: Options) -> Model<'p> {
        let mut may = verdicts(program);
        if options.stricter {
            for m in &mut may {
                (m.approve, m.never) = (m.approve || m.auto, true);
            }
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
            here: Here {
                node: 0,
                cue: Cue::Message,
                branch: None,
            },
            may,
            rewrites: written(program),
        }
    }

    /// A move along a declared edge, with what it emits; nothing where there is no edge.
    fn moved(&mut self, s: Spot, to: StateIx) -> Vec<Spot> {
        let program = self.program;
        let (Some(edge), Some(state)) = (
            program.edge(s.state, to),
            program.states.get(usize::from(to)),
        ) else {
            return Vec::new();
        };
        self.entered[usize::from(to)] = true;
        let sla = edge.sla.or(state.sla).is_some() && !state.pause && !state.terminal;
        let mut all = vec![Spot {
            state: to,
            clock: sla && edge.emit.contains(&Emit::SlaTimer),
            parked: false,
            ..s
        }];
        for (emit, action) in [
            (Emit::CrmSync, "crm_upsert"),
            (Emit::DomainEvent, "domain_event"),
        ] {
            if edge.emit.contains(&emit)
                && let Some(ix) = program.action_ix(action)
            {
                all = all
                    .into_iter()
                    .flat_map(|s| self.plan(s, ix))
                    .map(|(s, _)| s)
                    .collect();
            }
        }
        if to == CLOSED {
            all.iter_mut().for_each(|s| s.tasks = 0);
        }
        all
    }

    /// Moves, or stays where there is no edge.
    fn moved_or_stays(&mut self, s: Spot, to: StateIx) -> Vec<Spot> {
        let all = self.moved(s, to);
        if all.is_empty() { vec![s] } else { all }
    }

    /// Plans an action: how it may be born.
    fn plan(&mut self, s: Spot, ix: ActionIx) -> Vec<(Spot, Born)> {
        self.planned.entry(ix).or_insert(self.here);
        self.born(s, ix)
    }

    /// How an action may be born; one that is planned again was planned before.
    fn born(&self, s: Spot, ix: ActionIx) -> Vec<(Spot, Born)> {
        let Some(may) = self.may.get(usize::from(ix)).copied() else {
            return vec![(s, Born::Not)];
        };
        let mut out = Vec::new();
        if may.auto {
            out.push((Spot { ready: true, ..s }, Born::Ready));
        }
        if may.approve {
            out.push((s.with(task::APPROVE), Born::Waits));
        }
        if may.never {
            out.push((s, Born::Refused));
        }
        if may.absent {
            out.push((s, Born::Not));
        }
        out
    }

    /// Everything that the decision may come to.
    fn decision(&mut self, s: Spot) -> Vec<Out> {
        let (words, program) = (self.words, self.program);
        let mut out = Vec::new();
        for (branch, _) in words.choices(self.mind(s)) {
            self.here.branch = Some(*branch);
            let def = &program.decision.branches[*branch];
            let ends = self.carry_out(s, def);
            out.extend(ends.into_iter().map(|s| (s, Some(*branch))));
        }
        self.here.branch = None;
        if words.may_fail || words.choices(self.mind(s)).is_empty() {
            out.extend(plain(self.stuck(s)));
        }
        out
    }

    /// The mind of the decision that something at a spot leads to.
    pub(super) fn mind_after(&self, s: Spot, cue: Cue) -> Mind {
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

    fn carry_out(&mut self, s: Spot, branch: &Branch) -> Vec<Spot> {
        let mut all = vec![(s, Came::default())];
        for step in &branch.actions {
            if *step == Step::Deny && branch.to.is_some_and(|to| to != NEEDS_HUMAN) {
                continue;
            }
            all = all
                .into_iter()
                .flat_map(|(s, came)| self.step(s, came, *step))
                .collect();
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

    fn step(&mut self, s: Spot, came: Came, step: Step) -> Vec<(Spot, Came)> {
        let human = Came {
            human: true,
            ..came
        };
        match step {
            Step::Effect(ix) => self
                .plan(s, ix)
                .into_iter()
                .map(|(s, born)| match born {
                    Born::Ready => (
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
                let asked = match self.program.tasks.ask_missing {
                    Some(ix) => self.plan(s, ix),
                    None => vec![(s, Born::Not)],
                };
                asked
                    .into_iter()
                    .map(|(s, _)| (s.with(task::MISSING), human))
                    .collect()
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
    fn finished(&mut self, s: Spot) -> Vec<Spot> {
        if s.idle() && matches!(s.state, AUTOMATED | NEEDS_HUMAN) {
            self.moved_or_stays(s, CLOSED)
        } else {
            vec![s]
        }
    }

    /// A rule may close the case; `then` is what follows where none does.
    fn after_rules(&mut self, s: Spot, then: fn(&mut Self, Spot) -> Vec<Out>) -> Vec<Out> {
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

    fn ask_or_decide(&mut self, s: Spot) -> Vec<Out> {
        match &self.program.ai {
            Some(ai) if s.state == ai.when_state && !s.vouched => {
                plain(vec![Spot { ai: Ai::Asked, ..s }])
            }
            _ => self.decision(s),
        }
    }

    fn redecide(&mut self, s: Spot) -> Vec<Out> {
        self.after_rules(s, |m, s| match s.ai {
            Ai::Silent => m.ask_or_decide(s),
            Ai::Asked => plain(vec![s]),
            Ai::Answered => m.decision(s),
        })
    }

    /// Moves to `triaged` and decides again; nothing where there is no edge.
    fn again(&mut self, s: Spot) -> Vec<Out> {
        let moved = self.moved(s, TRIAGED);
        moved.into_iter().flat_map(|s| self.redecide(s)).collect()
    }

    fn joined(&mut self, s: Spot) -> Vec<Out> {
        let mut out = plain(vec![s]);
        match s.state {
            CLOSED => out.extend(self.again(s)),
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
                out.extend(self.after_rules(s, |m, s| match m.rewrites {
                    Some(ix) => plain(m.born(s, ix).into_iter().map(|(s, _)| s).collect()),
                    None => Vec::new(),
                }));
            }
            _ => {}
        }
        out
    }

    fn answered(&mut self, s: Spot, ai: Ai) -> Vec<Out> {
        let s = Spot { ai, ..s }.settled_mind();
        match &self.program.ai {
            Some(def) if def.when_state == s.state => self.after_rules(s, Model::decision),
            _ => plain(vec![s]),
        }
    }

    /// The SLA of the stay is missed.
    fn breached(&mut self, s: Spot) -> Vec<Out> {
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

    fn settled(&mut self, s: Spot, cue: Cue) -> Vec<Out> {
        let mut out = Vec::new();
        for ready in [false, true] {
            let left = Spot { ready, ..s };
            let ends = match cue {
                Cue::Succeeded => self.finished(left),
                Cue::Conflict => self.conflict(left),
                Cue::Uncertain => self.exception(s),
                _ => self.exception(left),
            };
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
        let mut out = self.exception(s);
        for i in 0..self.may.len() {
            if !matches!(
                self.program.actions[i].kind,
                ActionKind::Rest(_) | ActionKind::RecordStore { .. }
            ) {
                continue;
            }
            for (s, born) in self.born(s, i as ActionIx) {
                match born {
                    Born::Ready | Born::Waits => out.push(s),
                    Born::Refused | Born::Not => out.extend(self.exception(s)),
                }
            }
        }
        out
    }

    /// A person decides a task of a kind. Nothing: the decision is refused.
    fn decided(&mut self, s: Spot, bit: u8, decision: &str) -> Vec<Out> {
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
                out.push(s);
                if out.len() == 1 {
                    Vec::new()
                } else {
                    plain(out)
                }
            }
            (task::REVIEW | task::BREACH | task::MISSING, "reject" | "close") => {
                plain(self.moved(s, CLOSED))
            }
            (task::REVIEW | task::BREACH | task::MISSING, _) => {
                let effects = s.ready || s.tasks & task::APPROVE != 0;
                let done = Spot {
                    vouched: true,
                    ..done
                }
                .settled_mind();
                if s.state != NEEDS_HUMAN || (bit == task::BREACH && effects) {
                    return plain(vec![done]);
                }
                self.again(done.without(task::REVIEW | task::BREACH | task::MISSING))
            }
            (_, decision) => {
                let ends = decision != "accept" || (done.idle() && s.state != CLOSED);
                plain(if ends && s.state != CLOSED {
                    self.moved(done, CLOSED)
                } else {
                    vec![done]
                })
            }
        }
    }

    fn commanded(&mut self, s: Spot, cue: Cue) -> Vec<Out> {
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
            Cue::Reopen => self.again(s),
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
            _ => Vec::new(),
        }
    }

    /// Everything that may happen to a case here.
    pub(super) fn cues(&self, s: Spot) -> Vec<Cue> {
        if !s.opened {
            return vec![Cue::Message];
        }
        let mut out = Vec::new();
        if s.ai == Ai::Asked {
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
            if self.program.edge(s.state, TRIAGED).is_some() && s.state == CLOSED {
                out.push(Cue::Reopen);
            }
            if s.tasks & task::EXCEPTION != 0 {
                out.push(Cue::SendAgain);
            }
        }
        out
    }

    /// Where something that happens may lead. Nothing: it is refused.
    pub(super) fn happens(&mut self, s: Spot, cue: Cue) -> Vec<Out> {
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
            Cue::Move(_) | Cue::Reopen | Cue::SendAgain => self.commanded(s, cue),
        }
    }
}

/// The write to the system of record, if a branch or a transition plans it.
fn written(program: &Program) -> Option<ActionIx> {
    let ix = program.action_ix("crm_upsert")?;
    let mut steps = program.decision.branches.iter().flat_map(|b| &b.actions);
    let emitted = program
        .edges
        .iter()
        .any(|e| e.emit.contains(&Emit::CrmSync));
    (emitted || steps.any(|s| *s == Step::Effect(ix))).then_some(ix)
}

/// What may become of a planned action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Born {
    Ready,
    Waits,
    Refused,
    Not,
}

/// What the steps of a branch came to.
#[derive(Debug, Clone, Copy, Default)]
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

/// What a person may decide about a task: one word per consequence.
fn decisions(bit: u8) -> &'static [&'static str] {
    match bit {
        task::APPROVE => &["approve", "reject"],
        task::HAND_OFF | task::EXCEPTION => &["accept", "close"],
        _ => &["approve", "reject"],
    }
}

fn plain(all: Vec<Spot>) -> Vec<Out> {
    all.into_iter().map(|s| (s, None)).collect()
}
