//! What may happen to a case: one input for each that `decide` could tell apart.

use std::collections::{BTreeMap, BTreeSet};

use tl_kernel::case::Case;
use tl_kernel::decide::{
    Admitted, Command, CommandKind, Input, ModelAnswer, ProposedField, Resolve, Settlement,
    TaskDecision,
};
use tl_kernel::effect::EffectState;
use tl_kernel::expr::Expr;
use tl_kernel::id::EventId;
use tl_kernel::journal::{Actor, Answered, TimerKind};
use tl_kernel::policy::When;
use tl_kernel::program::{ActionIx, ActionKind, FieldDef, OnMatch, Program, Step};
use tl_kernel::value::Value;

use super::super::world::INTENTS;
use super::Node;
use super::key::{again, effect, task};

/// Most further messages, moves and re-openings of one history. Everything else is without bound.
pub const MAX_SURPRISES: u8 = 1;

/// What kind of thing an input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sort {
    Message,
    Answer,
    NoAnswer,
    Decision,
    Settlement,
    Breach,
    /// Another timer than the one of the SLA.
    Timer,
    /// A person says what became of an effect.
    Resolve,
    Command,
}

/// Something that may happen, and the message that comes with it.
pub struct Offer {
    pub sort: Sort,
    pub input: Input,
    pub event: Option<Value>,
}

impl Offer {
    /// Nobody waits for it.
    pub fn is_surprise(&self, case: &Case) -> bool {
        match self.sort {
            Sort::Message => case.seq > 0,
            sort => sort == Sort::Command,
        }
    }
}

/// What may be said to the cases of one definition: values that nothing reads are not told apart.
pub struct Menu {
    /// Fields of the record whose values matter.
    pub fields: BTreeSet<&'static str>,
    /// Which actions are messages.
    pub messages: Vec<bool>,
    /// Which actions write a record that somebody else may write, too.
    writes: Vec<bool>,
    events: Vec<Value>,
    confidences: Vec<Option<u16>>,
    intents: &'static [&'static str],
}

impl Menu {
    pub fn new(program: &Program) -> Menu {
        let conditions = conditions(program);
        let read = |root: &str, name: &str| {
            let path = |p: &Vec<String>| p[0] == root && p.get(1).is_none_or(|n| n == name);
            conditions.iter().any(|e| e.reads().iter().any(path))
        };
        let names = ["vip", "budget", "note", "intent"];
        let mut fields: BTreeSet<_> = names.into_iter().filter(|n| read("record", n)).collect();
        // An address that is not asked about is always there; only for a message a person corrects it.
        let required = |f: &FieldDef| f.name == "email" && f.required;
        let varies = read("missing", "") || program.record.fields.iter().any(required);
        let replies = used(program).any(|ix| is_reply(program, ix));
        if varies || replies {
            fields.insert("email");
        }
        let weighs = ["confidence", "threshold", "needs_human"];
        let unsure = weighs.iter().any(|w| read(w, ""));
        let exact = weighs[..2].iter().any(|w| read(w, ""));
        let half = conditions.iter().any(|e| e.source.contains("0.5"));
        let mut confidences = vec![Some(800)];
        if unsure {
            confidences.push(Some(500));
        }
        if exact {
            confidences.push(None);
        }
        if half {
            confidences.push(Some(799));
        }
        let third = conditions.iter().any(|e| e.source.contains("'c'"));
        let intents = match (fields.contains("intent"), third) {
            (true, true) => 3,
            (true, false) => 2,
            (false, _) => 1,
        };
        let is_message = |k: &ActionKind| matches!(k, ActionKind::Message(_));
        let writes = |k: &ActionKind| !is_message(k) && !matches!(k, ActionKind::DomainEvent);
        let actions = program.actions.iter();
        Menu {
            messages: actions.clone().map(|a| is_message(&a.kind)).collect(),
            writes: actions.map(|a| writes(&a.kind)).collect(),
            events: messages(&fields, varies),
            confidences,
            intents: &INTENTS[..intents],
            fields,
        }
    }

    /// Everything that may happen to a case.
    pub fn inputs(&self, program: &Program, at: &Node) -> Vec<Offer> {
        let c = &at.case;
        let mut out = Vec::new();
        let opens = c.seq == 0;
        let surprises = at.may_be_surprised();
        if opens || (surprises && program.record.on_match != OnMatch::Open) {
            let n = c.events.len() as u8 + 1;
            out.extend(self.events.iter().map(|event| Offer {
                sort: Sort::Message,
                input: admitted(n),
                event: Some(event.clone()),
            }));
        }
        if opens {
            return out;
        }
        self.happens(at, &mut |sort, input| {
            out.push(Offer {
                sort,
                input,
                event: None,
            });
        });
        if !surprises {
            return out;
        }
        for e in program.edges.iter().filter(|e| e.from == c.state) {
            let to = program.state_name(e.to).to_owned();
            out.push(commanded(CommandKind::Move(to)));
        }
        out.push(commanded(CommandKind::Reopen));
        out
    }

    /// What happens by itself, or because a person does the work.
    fn happens(&self, at: &Node, add: &mut impl FnMut(Sort, Input)) {
        let c = &at.case;
        for (n, _) in c.asks.iter().filter(|(_, (_, open))| *open) {
            let reason = "off".to_owned();
            let said = None;
            add(
                Sort::NoAnswer,
                Input::ModelFailed {
                    n: *n,
                    reason,
                    said,
                },
            );
            for confidence in &self.confidences {
                for intent in self.intents {
                    add(Sort::Answer, answer(*n, *confidence, intent));
                }
            }
        }
        let mut same = BTreeSet::new();
        for (n, t) in c.open_tasks().filter(|(_, t)| same.insert(task(c, t))) {
            let shown = t.effect.and_then(|e| c.effects.get(&e)).map(|e| e.digest);
            for word in words(&t.kind) {
                add(Sort::Decision, decided(n, word, shown));
            }
            match t.kind.as_str() {
                "approve" => add(Sort::Decision, decided(n, "approve", Some([0; 32]))),
                "review" | "missing" if self.fields.contains("email") => {
                    add(Sort::Decision, corrected(n))
                }
                _ => {}
            }
        }
        self.effects(at, add);
        for (n, (kind, _)) in &c.timers {
            let sort = match kind {
                TimerKind::Breach => Sort::Breach,
                _ => Sort::Timer,
            };
            add(sort, Input::TimerFired { n: *n });
        }
    }

    fn effects(&self, at: &Node, add: &mut impl FnMut(Sort, Input)) {
        let mut same = BTreeSet::new();
        let asked = |n: u32| at.case.open_tasks().any(|(_, t)| t.effect == Some(n));
        for (n, e) in &at.case.effects {
            let (n, sendable) = (*n, again(at, *n));
            if !(e.is_open() || sendable) || !same.insert(effect(self, e)) {
                continue;
            }
            if e.state == EffectState::Ready {
                let conflicts = self.writes[usize::from(e.action)];
                let all = settlements(n).into_iter();
                // Nobody else writes first where nothing is written.
                all.take(if conflicts { 6 } else { 5 })
                    .for_each(|s| add(Sort::Settlement, s));
            }
            let resolve = |how| command(CommandKind::Resolve { n, how });
            if e.state == EffectState::Uncertain {
                let all = [Resolve::SendAgain, Resolve::Drop, Resolve::Happened(None)];
                all.into_iter()
                    .for_each(|how| add(Sort::Resolve, resolve(how)));
            } else if sendable {
                let sort = if asked(n) {
                    Sort::Resolve
                } else {
                    Sort::Command
                };
                add(sort, resolve(Resolve::SendAgain));
            }
        }
    }
}

/// Every condition of a definition.
fn conditions(program: &Program) -> Vec<&Expr> {
    let branches = program.decision.branches.iter();
    let mut out: Vec<&Expr> = branches.filter_map(|b| b.condition.as_ref()).collect();
    out.extend(program.rules.iter().map(|r| &r.when));
    for line in &program.policy.lines {
        for when in [&line.auto, &line.never] {
            if let When::If(e) = when {
                out.push(e);
            }
        }
    }
    out
}

/// The actions that a branch or a question to the sender plans.
fn used(program: &Program) -> impl Iterator<Item = ActionIx> + '_ {
    let branches = program.decision.branches.iter();
    let steps = branches.flat_map(|b| &b.actions);
    let planned = steps.filter_map(|s| match s {
        Step::Effect(ix) => Some(*ix),
        _ => None,
    });
    planned.chain(program.tasks.ask_missing)
}

fn is_reply(program: &Program, ix: ActionIx) -> bool {
    match program.action(ix).map(|a| &a.kind) {
        Some(ActionKind::Message(m)) => !m.to.reads().is_empty(),
        _ => false,
    }
}

/// Messages with every combination of the values that matter.
fn messages(fields: &BTreeSet<&str>, absent: bool) -> Vec<Value> {
    let text = |t: &str| Some(Value::text(t));
    let choices = [
        ("email", vec![text("ada@example.com"), None]),
        (
            "vip",
            vec![Some(Value::Bool(true)), Some(Value::Bool(false))],
        ),
        ("budget", vec![Some(Value::Int(101)), None]),
        ("note", vec![text("now"), text("later")]),
    ];
    let mut out = vec![BTreeMap::new()];
    for (name, values) in choices {
        // What nothing reads has its first value.
        let varies = fields.contains(name) && (absent || name != "email");
        let n = if varies { values.len() } else { 1 };
        out = out
            .into_iter()
            .flat_map(|m| {
                values[..n].iter().map(move |v| {
                    let mut m = m.clone();
                    m.extend(v.clone().map(|v| (name.to_owned(), v)));
                    m
                })
            })
            .collect();
    }
    out.into_iter().map(Value::Record).collect()
}

fn admitted(n: u8) -> Input {
    Input::EventAdmitted(Admitted {
        id: EventId([n; 16]),
        endpoint: "in".into(),
        kid: "k".into(),
        key_source: "header".into(),
        origin: [n; 32],
        seed: [5; 16],
        matched_key: None,
    })
}

fn answer(n: u32, confidence: Option<u16>, intent: &str) -> Input {
    Input::ModelAnswered(ModelAnswer {
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
        fields: vec![ProposedField {
            name: "intent".into(),
            value: Value::text(intent),
            confidence,
            span: None,
        }],
        proposal: Value::Null,
        draft: None,
    })
}

/// One word per consequence.
fn words(kind: &str) -> &'static [&'static str] {
    match kind {
        "approve" | "review" | "missing" => &["approve", "reject"],
        _ => &["accept", "close"],
    }
}

fn decided(n: u32, decision: &str, digest: Option<[u8; 32]>) -> Input {
    Input::TaskDecided(TaskDecision {
        n,
        by: Actor::Person("ada".into()),
        decision: decision.into(),
        reason: "checked".into(),
        note: None,
        edits: Vec::new(),
        digest,
    })
}

/// A person corrects the address.
fn corrected(n: u32) -> Input {
    let address = Value::text("eve@example.com");
    match decided(n, "edit", None) {
        Input::TaskDecided(t) => Input::TaskDecided(TaskDecision {
            edits: vec![("email".into(), address)],
            ..t
        }),
        other => other,
    }
}

fn settlements(n: u32) -> Vec<Input> {
    use EffectState::{Cancelled, Expired, Failed, Succeeded, Superseded, Uncertain};
    [
        (Succeeded, ""),
        (Failed, "refused"),
        (Uncertain, "timeout"),
        (Cancelled, "limit"),
        (Expired, "expired"),
        (Superseded, ""),
    ]
    .map(|(state, code)| {
        Input::EffectSettled(Settlement {
            n,
            state,
            attempts: 1,
            code: code.into(),
            evidence: "answer".into(),
            vendor_ref: None,
            seen: (state == Superseded).then(|| ("v2".into(), None)),
        })
    })
    .into()
}

fn commanded(what: CommandKind) -> Offer {
    Offer {
        sort: Sort::Command,
        input: command(what),
        event: None,
    }
}

fn command(what: CommandKind) -> Input {
    Input::Command(Command {
        by: Actor::Person("ada".into()),
        reason: "asked".into(),
        what,
    })
}

/// In words.
pub fn say(offer: &Offer) -> String {
    match &offer.input {
        Input::EventAdmitted(_) => {
            let event = offer.event.as_ref().map(Value::to_string);
            format!("message {}", event.unwrap_or_default())
        }
        Input::ModelAnswered(a) => {
            format!("answer {:?} {}", a.answered.confidence, a.fields[0].value)
        }
        Input::ModelFailed { reason, .. } => format!("no answer: {reason}"),
        Input::TaskDecided(t) => format!("task {} {}", t.n, t.decision),
        Input::EffectSettled(s) => format!("effect {} {}", s.n, s.state.word()),
        Input::TimerFired { n } => format!("timer {n}"),
        Input::Command(c) => format!("{:?}", c.what),
    }
}
