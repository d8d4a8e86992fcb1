//! What the model remembers of a case.

use tl_kernel::case::{Ai as CaseAi, Case};
use tl_kernel::effect::EffectState;
use tl_kernel::journal::TimerKind;
use tl_kernel::program::StateIx;
use tl_kernel::program::canonical::PENDING;
use tl_kernel::value::Source;

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
    use tl_kernel::case::CaseTask;

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

    /// The kind of a case's task.
    pub(crate) fn bit(task: &CaseTask) -> u8 {
        match task.kind.as_str() {
            "review" if task.reason == "sla_breach" => BREACH,
            "review" => REVIEW,
            "missing" => MISSING,
            "hand_off" => HAND_OFF,
            "approve" => APPROVE,
            _ => EXCEPTION,
        }
    }
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
    /// A question to a model is open that was asked before the last one.
    pub(super) older: bool,
    /// An effect was planned, whatever became of it.
    pub(super) acted: bool,
    /// A person's command brought it where it is, and no clock runs there: that person knows.
    pub(super) parked: bool,
    /// A person, a model or a system of record may have set fields of its record.
    pub(super) touched: bool,
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
        older: false,
        acted: false,
        parked: false,
        touched: false,
    };

    /// What the model remembers of a case.
    pub(super) fn of(case: &Case, parked: bool) -> Spot {
        let ai = match case.ai {
            CaseAi::Asked => Ai::Asked,
            CaseAi::Answered { .. } => Ai::Answered,
            CaseAi::NotAsked | CaseAi::Failed(_) => Ai::Silent,
        };
        let spot = Spot {
            opened: case.seq > 0,
            state: case.state,
            ai,
            vouched: case.vouched,
            clock: case.timers.values().any(|(k, _)| *k == TimerKind::Breach),
            tasks: case.open_tasks().fold(0, |all, (_, t)| all | task::bit(t)),
            ready: case.effects.values().any(|e| e.state == EffectState::Ready),
            older: case.asks.values().filter(|(_, open)| *open).count()
                > usize::from(ai == Ai::Asked),
            acted: !case.effects.is_empty(),
            parked,
            touched: case.record.values().any(|f| is_touch(&f.source)),
        };
        spot.settled_mind()
    }

    /// How many spots there are in one state.
    pub(super) const PER_STATE: usize = 1 << 16;

    /// A number of its own for each spot.
    pub(super) fn number(self) -> usize {
        let flags = [
            self.opened,
            self.vouched,
            self.clock,
            self.ready,
            self.older,
            self.acted,
            self.parked,
            self.touched,
        ];
        let mut n = usize::from(self.state) << 2 | self.ai as usize;
        for f in flags {
            n = n << 1 | usize::from(f);
        }
        n << 6 | usize::from(self.tasks)
    }

    /// A model is going to answer, or not to.
    pub(super) fn is_asked(self) -> bool {
        self.ai == Ai::Asked || self.older
    }

    pub(super) fn settled_mind(self) -> Spot {
        let forget = self.vouched && self.ai == Ai::Answered;
        let ai = if forget { Ai::Silent } else { self.ai };
        Spot { ai, ..self }
    }

    pub(super) fn with(self, bit: u8) -> Spot {
        Spot {
            tasks: self.tasks | bit,
            ..self
        }
    }

    pub(super) fn without(self, bits: u8) -> Spot {
        Spot {
            tasks: self.tasks & !bits,
            ..self
        }
    }

    /// No task and no effect is open. An effect that waits for its approval has a task.
    pub(super) fn idle(self) -> bool {
        self.tasks == 0 && !self.ready
    }
}

/// Neither a message, a rule nor the engine gave a value.
fn is_touch(source: &Source) -> bool {
    !matches!(
        source,
        Source::Event(_) | Source::Rule(_) | Source::Table(..) | Source::Engine
    )
}
