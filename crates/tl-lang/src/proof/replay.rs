//! What may concretely happen to a case at a step of a way: the inputs that the kernel would get.

use tl_kernel::case::{Case, CaseEffect};
use tl_kernel::decide::{
    Admitted, Command, CommandKind, Input, ModelAnswer, ProposedField, Resolve, Settlement,
    TaskDecision,
};
use tl_kernel::effect::EffectState;
use tl_kernel::id::EventId;
use tl_kernel::journal::{Actor, Answered, TimerKind};
use tl_kernel::program::{ActionKind, Program};
use tl_kernel::value::Value;

use super::Cue;
use super::choose::{Choices, Set};
use super::spot::task;

/// Something that may happen: in words, and as the kernel gets it.
pub(super) struct Offer {
    pub(super) what: String,
    pub(super) input: Input,
    /// The message that comes with it.
    pub(super) event: Option<Value>,
}

/// Everything that may concretely happen, for one program.
pub(super) struct Offers<'p> {
    pub(super) program: &'p Program,
    pub(super) choices: Choices<'p>,
    /// Messages by door, worked out once.
    messages: Vec<(String, Vec<Value>)>,
    answers: Vec<Set>,
}

impl<'p> Offers<'p> {
    pub(super) fn new(program: &'p Program, choices: Choices<'p>) -> Offers<'p> {
        let doors = program.endpoints.iter();
        let messages = doors.map(|d| (d.name.clone(), choices.messages(d)));
        Offers {
            program,
            messages: messages.collect(),
            answers: choices.answers(),
            choices,
        }
    }

    /// What something that happens stands for at a case, the likeliest to lead on first.
    pub(super) fn of(&self, cue: Cue, case: &Case) -> Vec<Offer> {
        let what = cue.say(self.program);
        let plain = |input| Offer {
            what: what.clone(),
            input,
            event: None,
        };
        match cue {
            Cue::Message => self.arrivals(case, &what),
            Cue::Decided { bit, decision, .. } => self.decisions(case, bit, decision, &what),
            cue => self.others(cue, case).into_iter().map(plain).collect(),
        }
    }

    fn others(&self, cue: Cue, case: &Case) -> Vec<Input> {
        match cue {
            Cue::Message | Cue::Decided { .. } => Vec::new(),
            Cue::Answered => {
                let asks = open_asks(case);
                let all = asks.flat_map(|n| self.answers.iter().map(move |set| answer(n, set)));
                all.map(Input::ModelAnswered).collect()
            }
            Cue::NoAnswer => {
                let off = |n| Input::ModelFailed {
                    n,
                    reason: "off".into(),
                    said: None,
                };
                open_asks(case).map(off).collect()
            }
            Cue::Succeeded | Cue::Trouble | Cue::Uncertain | Cue::Conflict => {
                let writes = |e: &CaseEffect| {
                    let action = self.program.action(e.action);
                    action.is_some_and(|a| {
                        !matches!(a.kind, ActionKind::Message(_) | ActionKind::DomainEvent)
                    })
                };
                // Nobody else writes first where nothing is written.
                let may = |e: &CaseEffect| cue != Cue::Conflict || writes(e);
                settlements(cue, case, may)
            }
            Cue::Breach => fired(case, |kind| kind == TimerKind::Breach),
            Cue::Unanswered => fired(case, |kind| matches!(kind, TimerKind::Unanswered(_))),
            Cue::Move(to) => {
                let name = self.program.state_name(to).to_owned();
                vec![command(CommandKind::Move(name))]
            }
            Cue::Reopen => vec![command(CommandKind::Reopen)],
            Cue::SendAgain => resolutions(case, &[Resolve::SendAgain]),
            Cue::Resolved => resolutions(case, &[Resolve::Drop, Resolve::Happened(None)]),
        }
    }

    fn arrivals(&self, case: &Case, what: &str) -> Vec<Offer> {
        let n = case.events.len() as u8 + 1;
        let doors = self.messages.iter();
        let all = doors.flat_map(|(door, messages)| messages.iter().map(move |m| (door, m)));
        let offer = |(door, message): (&String, &Value)| Offer {
            what: what.to_owned(),
            input: Input::EventAdmitted(Admitted {
                id: EventId([n; 16]),
                endpoint: door.clone(),
                kid: "k1".into(),
                key_source: "header".into(),
                origin: [n; 32],
                seed: [9; 16],
                matched_key: None,
            }),
            event: Some(message.clone()),
        };
        all.map(offer).collect()
    }

    /// What a person decides about the open tasks of a kind, corrections included.
    fn decisions(&self, case: &Case, bit: u8, decision: &str, what: &str) -> Vec<Offer> {
        let open: Vec<u32> = open_tasks(case, bit).collect();
        let mut out: Vec<Offer> = open
            .iter()
            .map(|n| Offer {
                what: what.to_owned(),
                input: decided(case, *n, decision, Vec::new()),
                event: None,
            })
            .collect();
        let corrects = bit & (task::REVIEW | task::BREACH | task::MISSING) != 0;
        if corrects && decision == "approve" {
            for edits in self.choices.edits(case) {
                let said: Vec<String> = edits
                    .iter()
                    .map(|(n, v)| format!("{n} to {}", super::say_value(v)))
                    .collect();
                let what = format!("{what}, and corrects {}", said.join(", "));
                out.extend(open.iter().map(|n| Offer {
                    what: what.clone(),
                    input: decided(case, *n, "edit", edits.clone()),
                    event: None,
                }));
            }
        }
        out
    }
}

fn command(what: CommandKind) -> Input {
    Input::Command(Command {
        by: Actor::Person("reviewer".into()),
        reason: "test".into(),
        what,
    })
}

/// What a person may say about an effect that failed or of which nobody knows.
fn resolutions(case: &Case, how: &[Resolve]) -> Vec<Input> {
    let settled = |s| {
        matches!(
            s,
            EffectState::Failed | EffectState::Dead | EffectState::Uncertain
        )
    };
    let effects = case.effects.iter().filter(|(_, e)| settled(e.state));
    let all = effects.flat_map(|(n, _)| {
        how.iter().map(|how| CommandKind::Resolve {
            n: *n,
            how: how.clone(),
        })
    });
    all.map(command).collect()
}

fn open_asks(case: &Case) -> impl Iterator<Item = u32> + '_ {
    let open = case.asks.iter().filter(|(_, (_, open))| *open);
    open.map(|(n, _)| *n)
}

fn answer(n: u32, set: &Set) -> ModelAnswer {
    let share = |v: &Option<Value>| match v {
        Some(Value::Float(x)) => Some((x * 1000.0).round() as u16),
        _ => None,
    };
    let confidence = set.get("confidence").and_then(share);
    let fields = set.iter().filter_map(|(name, value)| {
        Some(ProposedField {
            name: name.strip_prefix("record.")?.to_owned(),
            value: value.clone()?,
            confidence,
            span: None,
        })
    });
    ModelAnswer {
        answered: Answered {
            n,
            model: "local".into(),
            prompt: [1; 32],
            input: [2; 32],
            output: [3; 32],
            confidence,
            tokens: (0, 0),
            took: 1,
            repairs: 0,
        },
        fields: fields.collect(),
        proposal: Value::Record(std::collections::BTreeMap::new()),
        draft: None,
    }
}

fn open_tasks(case: &Case, bit: u8) -> impl Iterator<Item = u32> + '_ {
    let open = case.open_tasks();
    open.filter_map(move |(n, t)| (task::bit(t) == bit).then_some(n))
}

fn decided(case: &Case, n: u32, decision: &str, edits: Vec<(String, Value)>) -> Input {
    let effect = case.tasks.get(&n).and_then(|t| t.effect);
    Input::TaskDecided(TaskDecision {
        n,
        by: Actor::Person("reviewer".into()),
        decision: decision.into(),
        reason: "test".into(),
        note: None,
        edits,
        digest: effect.and_then(|e| case.effects.get(&e)).map(|e| e.digest),
    })
}

/// What a person may decide about any open task, or say about an effect that one is about.
pub(super) fn every_decision(case: &Case) -> Vec<Input> {
    let words = ["approve", "reject", "accept", "close"];
    let open = case.open_tasks();
    let mut all: Vec<Input> = open
        .flat_map(|(n, _)| words.map(|w| decided(case, n, w, Vec::new())))
        .collect();
    let how = [Resolve::Drop, Resolve::Happened(None), Resolve::SendAgain];
    all.extend(resolutions(case, &how));
    all
}

/// The clocks of a case that may run out.
fn fired(case: &Case, which: impl Fn(TimerKind) -> bool) -> Vec<Input> {
    let timers = case.timers.iter();
    let due = timers.filter(|(_, (kind, _))| which(*kind));
    due.map(|(n, _)| Input::TimerFired { n: *n }).collect()
}

fn settlements(cue: Cue, case: &Case, may: impl Fn(&CaseEffect) -> bool) -> Vec<Input> {
    let (state, code) = match cue {
        Cue::Succeeded => (EffectState::Succeeded, ""),
        Cue::Uncertain => (EffectState::Uncertain, "timeout"),
        Cue::Conflict => (EffectState::Superseded, "conflict"),
        _ => (EffectState::Failed, "refused"),
    };
    let ready = case
        .open_effects()
        .filter(|(_, e)| e.state == EffectState::Ready && may(e));
    ready
        .map(|(n, _)| {
            Input::EffectSettled(Settlement {
                n,
                state,
                attempts: 1,
                code: code.into(),
                evidence: "answer".into(),
                vendor_ref: None,
                seen: (cue == Cue::Conflict).then(|| ("v2".into(), None)),
            })
        })
        .collect()
}
