//! What an operator sees of the engine: counters by workflow and step, log lines with the ids that the workflow
//! names, and one trace per case. Labels are names of the configuration and fixed words; nothing of a message.

mod export;
mod log;
mod series;
mod span;
mod story;

use std::time::{Duration, Instant};

use tl_kernel::decide::Input;
use tl_kernel::gate::GateVerdict;
use tl_kernel::journal::{Entry, Head};
use tl_store::contract::EffectRow;

use crate::deliver::{Finished, Outcome};
use crate::worker::Worker;

pub use export::{ExportError, Exporter};
pub(crate) use series::ConnectionNow;
pub use series::Telemetry;
pub use span::traceparent;

/// The step that a message begins.
const MESSAGE: &str = "message";

/// One step of a case, from its input to the durable turn.
#[derive(Debug)]
pub(crate) struct Step {
    kind: &'static str,
    begun: Instant,
}

impl Step {
    /// A message is being admitted.
    pub(crate) fn message() -> Step {
        Step {
            kind: MESSAGE,
            begun: Instant::now(),
        }
    }

    /// The step that an input begins.
    pub(crate) fn of(input: &Input) -> Step {
        let kind = match input {
            Input::EventAdmitted(_) => MESSAGE,
            Input::ModelAnswered(_) | Input::ModelFailed { .. } => "model",
            Input::EffectSettled(_) => "effect",
            Input::TimerFired { .. } => "timer",
            Input::TaskDecided(_) | Input::Command(_) => "person",
        };
        Step {
            kind,
            begun: Instant::now(),
        }
    }
}

/// The kind of step that a committed turn was, as [`Step::of`] calls it.
fn step_of(head: &Head) -> &'static str {
    let has = |which: fn(&Entry) -> bool| head.entries.iter().any(which);
    if has(|e| matches!(e, Entry::Event { .. })) {
        MESSAGE
    } else if head.actor.is_person() {
        "person"
    } else if has(|e| matches!(e, Entry::Answered(_) | Entry::AskFailed { .. })) {
        "model"
    } else if has(|e| matches!(e, Entry::Settled { .. })) {
        "effect"
    } else {
        "timer"
    }
}

/// What is observed of a ledger row on its way.
#[derive(Debug)]
pub(crate) enum Observed<'a> {
    /// What the gate answered.
    Gate(&'a GateVerdict),
    /// An attempt begins.
    Begun,
    /// An attempt ended: its outcome in a word, its code, and how long it took.
    Ended(&'a str, &'a str, Duration),
    /// Tokens that a model read and wrote.
    Tokens(u32, u32),
}

impl Finished {
    /// The outcome of an attempt in a word, and its code.
    pub(crate) fn words(&self) -> (&str, &str) {
        match &self.outcome {
            Outcome::Settle(s) => (s.state.word(), &s.code),
            Outcome::Retry(again) => ("retry", &again.code),
            Outcome::LookLater(code) => ("uncertain", code),
            Outcome::LookAgain(code, _) => ("uncertain", code),
            Outcome::Accepted(s) => ("accepted", &s.code),
            Outcome::Answer(_) => ("answered", ""),
            Outcome::NoAnswer(reason, _) => (reason, reason),
        }
    }
}

impl Worker {
    /// Counts and logs what is observed of a ledger row, under the series of its case's workflow.
    pub(crate) async fn observe(&self, row: &EffectRow, what: Observed<'_>) {
        // A definition that cannot be read stops the effect itself; there is nothing to count it under.
        if let Ok(bundle) = self.desk.bundle(row.tenant, row.definition).await {
            self.desk
                .telemetry()
                .observed(row, &bundle.program, &what, self.desk.now());
        }
    }
}
