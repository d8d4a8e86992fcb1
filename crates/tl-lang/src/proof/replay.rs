//! What may concretely happen to a case at a step of a way: the inputs that the kernel would get.

use std::collections::BTreeMap;

use tl_kernel::case::{Ai, Case, CaseEffect};
use tl_kernel::decide::{
    Admitted, Command, CommandKind, Input, ModelAnswer, ProposedField, Resolve, Settlement,
    TaskDecision,
};
use tl_kernel::effect::EffectState;
use tl_kernel::expr::{Expr, Node};
use tl_kernel::id::EventId;
use tl_kernel::journal::{Actor, Answered, TimerKind};
use tl_kernel::program::{ActionKind, FieldFrom, Program};
use tl_kernel::value::{Type, Value};

use super::space::{Name, OTHER, Space, literals, required};
use super::{Cue, Given};

/// Combinations of values that are tried for one message or one answer.
const MAX_COMBINED: usize = 192;

/// What a name may be set to, the value that the proof found first.
struct Choice {
    path: Vec<String>,
    values: Vec<Option<Value>>,
}

/// Everything that may concretely happen, for one program.
pub(super) struct Offers<'p> {
    pub(super) program: &'p Program,
    pub(super) space: &'p Space,
}

impl Offers<'_> {
    /// The inputs that a step stands for at a case, and the message that comes with each.
    pub(super) fn inputs(
        &self,
        path: &[Given],
        given: &Given,
        case: &Case,
    ) -> Vec<(Input, Option<Value>)> {
        match given.cue {
            Cue::Message => {
                let admitted = self.admitted(case);
                let messages = self.messages(path).into_iter();
                let with = |m| Some((admitted.clone()?, Some(m)));
                messages.filter_map(with).collect()
            }
            _ => self
                .others(given, case)
                .into_iter()
                .map(|i| (i, None))
                .collect(),
        }
    }

    fn others(&self, given: &Given, case: &Case) -> Vec<Input> {
        match given.cue {
            Cue::Message => Vec::new(),
            Cue::Answered => self.answers(given, case),
            Cue::NoAnswer => open_ask(case)
                .map(|n| Input::ModelFailed {
                    n,
                    reason: "off".into(),
                })
                .into_iter()
                .collect(),
            Cue::Decided { kind, decision, .. } => decisions(case, kind, decision),
            Cue::Succeeded | Cue::Trouble | Cue::Uncertain | Cue::Conflict => {
                let writes = |e: &CaseEffect| {
                    let action = self.program.action(e.action);
                    action.is_some_and(|a| {
                        !matches!(a.kind, ActionKind::Message(_) | ActionKind::DomainEvent)
                    })
                };
                // Nobody else writes first where nothing is written.
                let may = |e: &CaseEffect| given.cue != Cue::Conflict || writes(e);
                settlements(given.cue, case, may)
            }
            Cue::Breach => {
                let timers = case.timers.iter();
                let due = timers.filter(|(_, (kind, _))| *kind == TimerKind::Breach);
                due.map(|(n, _)| Input::TimerFired { n: *n }).collect()
            }
            Cue::Move(to) => {
                let name = self.program.state_name(to).to_owned();
                vec![command(CommandKind::Move(name))]
            }
            Cue::Reopen => vec![command(CommandKind::Reopen)],
            Cue::SendAgain => resolutions(case, Resolve::SendAgain),
            Cue::Resolved => resolutions(case, Resolve::Drop),
        }
    }

    fn admitted(&self, case: &Case) -> Option<Input> {
        let n = case.events.len() as u8 + 1;
        Some(Input::EventAdmitted(Admitted {
            id: EventId([n; 16]),
            endpoint: self.program.endpoints.first()?.name.clone(),
            kid: "k1".into(),
            key_source: "header".into(),
            origin: [n; 32],
            seed: [9; 16],
            matched_key: None,
        }))
    }

    /// Messages with every combination of values that conditions tell apart, taken through the first door.
    fn messages(&self, path: &[Given]) -> Vec<Value> {
        let Some(door) = self.program.endpoints.first() else {
            return Vec::new();
        };
        let needed = required(self.program);
        let mut choices = Vec::new();
        for (field, expr) in &door.map {
            let Node::Path { names, .. } = &expr.root else {
                continue;
            };
            let ty = self.program.record.field(field).map(|f| &f.ty);
            let name = ["record".to_owned(), field.clone()];
            let mut values = wanted(path, &name.join("."));
            values.extend(ty.map(|t| Some(plausible(t))));
            values.extend(self.tried(&name));
            if needed.contains(field) {
                values.push(None);
            } else if self.space.find(&Name::Path(name.to_vec())).is_none() {
                values.truncate(1);
            }
            choices.push(Choice {
                path: names[1..].to_vec(),
                values: values.into_iter().map(|v| fitting(v, ty)).collect(),
            });
        }
        for var in &self.space.vars {
            if let Name::Path(names) = &var.name
                && names[0] == "event"
                && names.len() > 1
            {
                let mut values = wanted(path, &names.join("."));
                values.extend(self.tried(names));
                choices.push(Choice {
                    path: names[1..].to_vec(),
                    values,
                });
            }
        }
        combined(choices)
            .into_iter()
            .map(|set| {
                let mut root = BTreeMap::new();
                for (path, value) in set {
                    put(&mut root, &path, value);
                }
                Value::Record(root)
            })
            .collect()
    }

    /// Values that conditions tell apart, and the constants that they look for in another way.
    fn tried(&self, names: &[String]) -> Vec<Option<Value>> {
        let path = Name::Path(names.to_vec());
        let mut out: Vec<Option<Value>> = self
            .space
            .find(&path)
            .map(|v| self.space.vars[v].values.clone())
            .unwrap_or_default();
        let branches = self.program.decision.branches.iter();
        let rules = self.program.rules.iter().map(|r| &r.when);
        for e in branches.filter_map(|b| b.condition.as_ref()).chain(rules) {
            if e.reads().iter().any(|r| r == names) {
                out.extend(texts(e));
            }
        }
        out
    }

    fn answers(&self, given: &Given, case: &Case) -> Vec<Input> {
        let Some(n) = open_ask(case) else {
            return Vec::new();
        };
        let fields = self.program.record.fields.iter();
        let mut choices: Vec<Choice> = fields
            .filter(|f| f.from == FieldFrom::Ai)
            .map(|f| {
                let name = ["record".to_owned(), f.name.clone()];
                let mut values = wanted(std::slice::from_ref(given), &name.join("."));
                values.extend(self.tried(&name));
                values.push(Some(plausible(&f.ty)));
                Choice {
                    path: vec![f.name.clone()],
                    values,
                }
            })
            .collect();
        let sure = vec!["confidence".to_owned()];
        let mut confidence = wanted(std::slice::from_ref(given), "confidence");
        confidence.extend(self.tried(&sure));
        confidence.extend([Some(Value::Float(1.0)), Some(Value::Float(0.0)), None]);
        choices.push(Choice {
            path: sure,
            values: confidence,
        });
        combined(choices)
            .into_iter()
            .map(|set| Input::ModelAnswered(answer(n, set)))
            .collect()
    }
}

/// The values that the steps of a way want a name to have.
fn wanted(path: &[Given], name: &str) -> Vec<Option<Value>> {
    let all = path.iter().flat_map(|g| &g.values);
    all.filter(|(n, _)| n == name)
        .map(|(_, v)| v.clone())
        .collect()
}

/// Every combination, the first values of each first; not more than a bound.
fn combined(mut choices: Vec<Choice>) -> Vec<Vec<(Vec<String>, Option<Value>)>> {
    for c in &mut choices {
        let mut once: Vec<Option<Value>> = Vec::new();
        for v in c.values.drain(..) {
            if !once.contains(&v) {
                once.push(v);
            }
        }
        c.values = once;
    }
    choices.retain(|c| !c.values.is_empty());
    let sizes = choices.iter().map(|c| c.values.len());
    let all = sizes.fold(1usize, |a, n| a.saturating_mul(n));
    (0..all.min(MAX_COMBINED))
        .map(|i| {
            let mut rest = i;
            let pick = |c: &Choice| {
                let value = c.values[rest % c.values.len()].clone();
                rest /= c.values.len();
                (c.path.clone(), value)
            };
            choices.iter().map(pick).collect()
        })
        .collect()
}

/// The texts that an expression compares or searches with.
fn texts(e: &Expr) -> Vec<Option<Value>> {
    let mut out = Vec::new();
    e.root.walk(&mut |n| {
        let found = literals(n).into_iter();
        out.extend(found.filter(|v| v.as_text().is_some()).cloned().map(Some));
    });
    out
}

fn put(root: &mut BTreeMap<String, Value>, names: &[String], value: Option<Value>) {
    let (Some((name, rest)), Some(v)) = (names.split_first(), value) else {
        return;
    };
    if rest.is_empty() {
        root.insert(name.clone(), v);
        return;
    }
    let inner = root
        .entry(name.clone())
        .or_insert_with(|| Value::Record(BTreeMap::new()));
    if let Value::Record(inner) = inner {
        put(inner, rest, Some(v));
    }
}

/// A value that stands for all others is no address, number or time; one that is takes its place.
fn fitting(value: Option<Value>, ty: Option<&Type>) -> Option<Value> {
    match (value, ty) {
        (Some(Value::Text(t)), Some(ty)) if t == OTHER => Some(plausible(ty)),
        (value, _) => value,
    }
}

/// A value that a field of a type takes.
fn plausible(ty: &Type) -> Value {
    match ty {
        Type::Bool => Value::Bool(true),
        Type::Int => Value::Int(7),
        Type::Dec | Type::Float => Value::text("7.5"),
        Type::Enum(values) => Value::text(values.first().map_or("", String::as_str)),
        Type::Email => Value::text("ada@example.com"),
        Type::Phone => Value::text("+4930901820"),
        Type::Url => Value::text("https://example.com/a"),
        Type::Time => Value::text("2026-01-02T03:04:05Z"),
        Type::Dur => Value::text("1h"),
        _ => Value::text("something"),
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
fn resolutions(case: &Case, how: Resolve) -> Vec<Input> {
    let open = |s| matches!(s, EffectState::Failed | EffectState::Uncertain);
    let effects = case.effects.iter().filter(|(_, e)| open(e.state));
    let resolve = |n: u32| CommandKind::Resolve {
        n,
        how: how.clone(),
    };
    effects.map(|(n, _)| command(resolve(*n))).collect()
}

fn open_ask(case: &Case) -> Option<u32> {
    let asked = case.ai == Ai::Asked;
    case.asks
        .iter()
        .find(|(_, (_, open))| asked && *open)
        .map(|(n, _)| *n)
}

fn answer(n: u32, set: Vec<(Vec<String>, Option<Value>)>) -> ModelAnswer {
    let share = |v: &Option<Value>| match v {
        Some(Value::Float(x)) => Some((x * 1000.0).round() as u16),
        _ => None,
    };
    let confidence = set.last().and_then(|(_, v)| share(v));
    let fields = set.into_iter().filter_map(|(path, value)| {
        let name = path.into_iter().next().filter(|n| n != "confidence")?;
        Some(ProposedField {
            name,
            value: value?,
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
        proposal: Value::Record(BTreeMap::new()),
        draft: None,
    }
}

fn decisions(case: &Case, kind: &str, decision: &str) -> Vec<Input> {
    let open = case.open_tasks().filter(|(_, t)| t.kind == kind);
    open.map(|(n, task)| {
        let effect = task.effect.and_then(|e| case.effects.get(&e));
        Input::TaskDecided(TaskDecision {
            n,
            by: Actor::Person("reviewer".into()),
            decision: decision.into(),
            reason: "test".into(),
            note: None,
            edits: Vec::new(),
            digest: effect.map(|e| e.digest),
        })
    })
    .collect()
}

/// What a person may decide about any open task.
pub(super) fn every_decision(case: &Case) -> Vec<Input> {
    let kinds: Vec<String> = case.open_tasks().map(|(_, t)| t.kind.clone()).collect();
    let words = ["approve", "reject", "accept", "close"];
    let all = kinds
        .iter()
        .flat_map(|k| words.map(|w| decisions(case, k, w)));
    all.flatten().collect()
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
