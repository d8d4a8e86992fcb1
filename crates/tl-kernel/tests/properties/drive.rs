//! Random histories: what may happen to a case, sensible or not, under changing facts.

use std::collections::BTreeMap;

use tl_kernel::case::{Case, fold_one};
use tl_kernel::decide::{
    Admitted, Command, CommandKind, Facts, Input, ModelAnswer, ProposedField, Resolve, Sender,
    Settlement, TaskDecision, decide,
};
use tl_kernel::effect::EffectState;
use tl_kernel::gate::{Switch, SwitchMode};
use tl_kernel::id::{CaseId, EventId, TenantId};
use tl_kernel::journal::{Actor, Answered, Sealed};
use tl_kernel::policy::{Policy, When};
use tl_kernel::program::Program;
use tl_kernel::time::{HOUR, MINUTE};
use tl_kernel::turn::{Decision, Turn};
use tl_kernel::value::Value;

use crate::rng::Rng;

/// What is current when an input is decided.
#[derive(Clone)]
pub struct Now {
    pub at: i64,
    pub policy: Policy,
    pub threshold: f64,
    pub flags: BTreeMap<String, bool>,
    pub switches: Vec<Switch>,
    pub event: Option<Value>,
    pub sender: Option<Sender>,
}

impl Now {
    /// Plain facts at an instant.
    pub fn plain(program: &Program, at: i64) -> Now {
        Now {
            at,
            policy: program.policy.clone(),
            threshold: 0.8,
            flags: BTreeMap::new(),
            switches: Vec::new(),
            event: None,
            sender: None,
        }
    }

    pub fn facts(&self) -> Facts<'_> {
        Facts {
            now: self.at,
            tenant: TenantId(3),
            tenant_key: b"the tenant's key",
            definition: 4,
            policy_number: 5,
            policy: &self.policy,
            threshold: self.threshold,
            flags: &self.flags,
            switches: &self.switches,
            event: self.event.as_ref(),
            links: None,
            sender: self.sender,
        }
    }

    /// The same at another moment: time mostly passes, sometimes a clock stands behind.
    pub fn later(program: &Program, rng: &mut Rng, before: i64) -> Now {
        let mut now = Now::plain(program, before + rng.below(90) as i64 * MINUTE);
        if rng.share(5) {
            now.at = before - HOUR;
        }
        match rng.below(8) {
            0 => now
                .policy
                .lines
                .iter_mut()
                .for_each(|l| l.auto = When::Unstated),
            1 => now
                .policy
                .lines
                .iter_mut()
                .for_each(|l| l.never = When::Always),
            2 => now.policy.lines.truncate(1),
            _ => {}
        }
        now.threshold = rng.pick(&[0.0, 0.5, 0.8, 0.8, 1.0]);
        if rng.share(15) {
            let mode = rng.pick(&[SwitchMode::Hold, SwitchMode::Cancel, SwitchMode::DryRun]);
            now.switches.push(Switch {
                scope: rng
                    .pick(&["everything", "action:reply", "model:local"])
                    .into(),
                mode,
            });
        }
        let slots = rng.below(3) as u32;
        now.sender = (slots > 0).then_some(Sender {
            node: 1,
            epoch: 2,
            slots,
            suppresses: false,
        });
        now
    }
}

/// A case with its journal.
pub struct Life {
    pub case: Case,
    pub journal: Vec<Sealed>,
}

/// One input with the facts it met, the case before it, and what was decided.
pub struct Happened<'h> {
    pub before: &'h Case,
    pub input: &'h Input,
    pub now: &'h Now,
    pub decision: &'h Decision,
    pub after: &'h Case,
}

impl Life {
    pub fn new() -> Life {
        Life {
            case: Case::new(TenantId(3), CaseId([6; 16]), 0),
            journal: Vec::new(),
        }
    }

    /// Decides an input, folds the turn, and shows both to `see`.
    pub fn step(
        &mut self,
        program: &Program,
        input: &Input,
        now: &Now,
        see: &mut dyn FnMut(&Happened<'_>),
    ) {
        let before = self.case.clone();
        let decision = decide(program, &before, input.clone(), &now.facts());
        if let Decision::Turn(turn, after) = &decision {
            self.take(turn);
            assert_eq!(**after, self.case, "the decided case is not the folded one");
        }
        see(&Happened {
            before: &before,
            input,
            now,
            decision: &decision,
            after: &self.case,
        });
    }

    fn take(&mut self, turn: &Turn) {
        fold_one(&mut self.case, &turn.sealed).expect("a decided turn folds");
        self.journal.push(turn.sealed.clone());
    }

    /// Random inputs, so many.
    pub fn live(
        &mut self,
        program: &Program,
        rng: &mut Rng,
        inputs: usize,
        see: &mut dyn FnMut(&Happened<'_>),
    ) {
        for _ in 0..inputs {
            let mut now = Now::later(program, rng, self.case.updated_at.max(HOUR));
            let input = random(program, rng, &self.case);
            if matches!(input, Input::EventAdmitted(_)) {
                now.event = Some(message(rng));
            }
            self.step(program, &input, &now, see);
        }
    }
}

pub fn message(rng: &mut Rng) -> Value {
    let mut m = BTreeMap::new();
    let mut put = |name: &str, value: Value| _ = m.insert(name.to_owned(), value);
    if rng.share(80) {
        put(
            "email",
            Value::text(rng.pick(&["ada@example.com", " Bob@Example.org "])),
        );
    }
    put(
        "name",
        Value::text(rng.pick(&["Ada", "Bob", "noreply", "\u{202e}x"])),
    );
    if rng.share(60) {
        put("vip", Value::Bool(rng.share(50)));
    }
    put("country", Value::text(rng.pick(&["DE", "FR", "XX", ""])));
    put("note", Value::text(rng.pick(&["hello", "", "urgent"])));
    Value::Record(m)
}

/// Something that may happen: mostly fitting, sometimes stale or wrong.
fn random(program: &Program, rng: &mut Rng, case: &Case) -> Input {
    if case.seq == 0 {
        return admitted(case);
    }
    let wild = rng.share(6);
    let asks: Vec<u32> = case
        .asks
        .iter()
        .filter(|(_, (_, open))| *open || wild)
        .map(|(n, _)| *n)
        .collect();
    let tasks: Vec<u32> = case
        .tasks
        .iter()
        .filter(|(_, t)| t.closed.is_none() || wild)
        .map(|(n, _)| *n)
        .collect();
    // An effect that waits for its approval is moved by its case alone.
    let effects = case
        .effects
        .iter()
        .filter(|(_, e)| e.state != EffectState::Planned);
    let effects: Vec<u32> = effects
        .filter(|(_, e)| e.is_open() || wild)
        .map(|(n, _)| *n)
        .collect();
    let timers: Vec<u32> = case.timers.keys().copied().collect();
    match rng.below(20) {
        0..=5 if !tasks.is_empty() => decision(rng, case, rng_pick(&tasks, case.seq)),
        6..=9 if !effects.is_empty() => settlement(rng, rng_pick(&effects, case.seq)),
        10..=13 if !asks.is_empty() => answer(rng, asks[0]),
        14 | 15 if !timers.is_empty() => Input::TimerFired {
            n: rng.pick(&timers),
        },
        16 => admitted(case),
        17 if wild => Input::TimerFired { n: 99 },
        _ => command(program, rng, case),
    }
}

/// One of several, by something that changes with the case.
fn rng_pick(all: &[u32], seq: u32) -> u32 {
    all[seq as usize % all.len()]
}

pub fn admitted(case: &Case) -> Input {
    let n = case.events.len() as u8 + 1;
    Input::EventAdmitted(Admitted {
        id: EventId([n; 16]),
        endpoint: "in".into(),
        kid: "k1".into(),
        key_source: "header".into(),
        origin: [n; 32],
        seed: [42; 16],
        matched_key: (n > 1).then_some(0),
    })
}

pub fn person() -> Actor {
    Actor::Person("ada".into())
}

fn reason(rng: &mut Rng) -> String {
    rng.pick(&["checked", "checked", "checked", " "]).into()
}

fn decision(rng: &mut Rng, case: &Case, n: u32) -> Input {
    let task = &case.tasks[&n];
    let shown = task
        .effect
        .and_then(|e| case.effects.get(&e))
        .map(|e| e.digest);
    let words = [
        "approve", "approve", "edit", "reject", "accept", "close", "bless",
    ];
    let edits = match rng.below(8) {
        0 => vec![("name".to_owned(), Value::text("Carol"))],
        1 => vec![("email".to_owned(), Value::text("carol@example.com"))],
        2 => vec![("nothing".to_owned(), Value::Null)],
        3 => vec![("text".to_owned(), Value::text("As we said."))],
        4 => vec![("subject".to_owned(), Value::text("Seats"))],
        _ => Vec::new(),
    };
    Input::TaskDecided(TaskDecision {
        n,
        by: person(),
        decision: rng.pick(&words).into(),
        reason: reason(rng),
        note: rng.share(20).then(|| "looks fine".into()),
        edits,
        digest: if rng.share(90) { shown } else { Some([0; 32]) },
    })
}

fn settlement(rng: &mut Rng, n: u32) -> Input {
    use EffectState::{Cancelled, Dead, Expired, Failed, Ready, Succeeded, Superseded, Uncertain};
    let state = rng.pick(&[
        Succeeded, Succeeded, Failed, Uncertain, Superseded, Cancelled, Expired, Dead, Ready,
    ]);
    let values = BTreeMap::from([("name".to_owned(), Value::text("Theirs"))]);
    Input::EffectSettled(Settlement {
        n,
        state,
        attempts: 1,
        code: rng.pick(&["", "limit", "refused"]).into(),
        evidence: "answer".into(),
        vendor_ref: rng.share(30).then(|| "ref-1".into()),
        seen: rng.share(60).then(|| {
            (
                format!("v{}", rng.below(9)),
                rng.share(50).then_some(Value::Record(values)),
            )
        }),
    })
}

fn answer(rng: &mut Rng, n: u32) -> Input {
    if rng.share(30) {
        let reason = rng.pick(&["off", "failed", "timeout"]).into();
        return Input::ModelFailed {
            n,
            reason,
            said: None,
        };
    }
    let confidence = rng.pick(&[None, Some(0), Some(799), Some(800), Some(1000)]);
    Input::ModelAnswered(ModelAnswer {
        answered: Answered {
            n,
            model: "local-1".into(),
            prompt: [1; 32],
            input: [2; 32],
            output: [3; 32],
            confidence,
            tokens: (5, 6),
            took: 7,
            repairs: 0,
        },
        fields: vec![ProposedField {
            name: "intent".into(),
            value: Value::text(rng.pick(&["demo", "spam", "other", "nonsense"])),
            confidence,
            span: Some((0, 3)),
        }],
        proposal: Value::text("summary"),
        draft: rng.share(30).then(|| "Dear …".into()),
    })
}

fn command(program: &Program, rng: &mut Rng, case: &Case) -> Input {
    let names: Vec<String> = program.states.iter().map(|s| s.name.clone()).collect();
    let effect = case.effects.keys().last().copied().unwrap_or(1);
    let how = rng.pick(&[
        Resolve::SendAgain,
        Resolve::Drop,
        Resolve::Happened(Some("ref-2".into())),
    ]);
    let what = match rng.below(6) {
        0 | 1 => CommandKind::Move(rng.pick(&names)),
        2 => CommandKind::Close,
        3 => CommandKind::Reopen,
        4 => CommandKind::Assign("carol".into()),
        _ => CommandKind::Resolve { n: effect, how },
    };
    Input::Command(Command {
        by: person(),
        reason: reason(rng),
        what,
    })
}
