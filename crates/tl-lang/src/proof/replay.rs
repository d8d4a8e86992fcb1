//! A way found by a proof, as inputs and facts for the kernel: what a test executes to confirm it.

use std::collections::BTreeMap;

use tl_kernel::case::{Ai, Case};
use tl_kernel::decide::{
    Admitted, Command, CommandKind, Input, ModelAnswer, ProposedField, Resolve, Settlement,
    TaskDecision,
};
use tl_kernel::effect::EffectState;
use tl_kernel::expr::Node;
use tl_kernel::id::EventId;
use tl_kernel::journal::{Actor, Answered, TimerKind};
use tl_kernel::policy::{Policy, When};
use tl_kernel::program::{FieldFrom, Program};
use tl_kernel::value::{Type, Value};

use super::{Cue, Given};

/// The current values beside a step's input.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The threshold in force.
    pub threshold: f64,
    /// Feature flags.
    pub flags: BTreeMap<String, bool>,
    /// The policy in force.
    pub policy: Policy,
}

/// The threshold, flags and policy under which a step goes its way.
pub fn setting(program: &Program, given: &Given) -> Setting {
    let threshold = match value(given, "threshold") {
        Some(Value::Float(x)) => *x,
        _ => program.decision.threshold.value(),
    };
    let flags = given.values.iter().filter_map(|(name, v)| {
        let flag = name.strip_prefix("flags.")?;
        Some((flag.to_owned(), *v == Some(Value::Bool(true))))
    });
    let mut policy = program.policy.clone();
    if given.stricter {
        policy
            .lines
            .iter_mut()
            .for_each(|l| l.auto = When::Unstated);
    }
    Setting {
        threshold,
        flags: flags.collect(),
        policy,
    }
}

/// The message of a way: its first door's mapping turned around, so that the record gets the values of the
/// step that decides about them.
pub fn event(program: &Program, path: &[Given]) -> Value {
    let empty = Given {
        cue: Cue::Message,
        values: Vec::new(),
        stricter: false,
    };
    let given = path.iter().find(|g| !g.values.is_empty()).unwrap_or(&empty);
    let mut root = BTreeMap::new();
    let doors = program.endpoints.first().into_iter();
    for (field, expr) in doors.flat_map(|e| &e.map) {
        let Node::Path { names, .. } = &expr.root else {
            continue;
        };
        let ty = program.record.field(field).map(|f| &f.ty);
        let wanted = given
            .values
            .iter()
            .find(|(n, _)| *n == format!("record.{field}"));
        let value = match wanted {
            Some((_, v)) => v.clone(),
            None if is_missing(given, field) => None,
            None => ty.map(plausible),
        };
        put(&mut root, &names[1..], value);
    }
    for (name, value) in &given.values {
        if let Some(path) = name.strip_prefix("event.") {
            let names: Vec<String> = path.split('.').map(str::to_owned).collect();
            put(&mut root, &names, value.clone());
        }
    }
    Value::Record(root)
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

fn value<'g>(given: &'g Given, name: &str) -> Option<&'g Value> {
    given.values.iter().find(|(n, _)| n == name)?.1.as_ref()
}

fn is_missing(given: &Given, field: &str) -> bool {
    match value(given, "missing") {
        Some(Value::List(names)) => names.iter().any(|n| n.as_text() == Some(field)),
        _ => false,
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

/// The kernel's input for a step at a case; `None` where the case offers no such thing.
pub fn input(program: &Program, given: &Given, case: &Case) -> Option<Input> {
    match given.cue {
        Cue::Message => Some(Input::EventAdmitted(Admitted {
            id: EventId([case.events.len() as u8 + 1; 16]),
            endpoint: program.endpoints.first()?.name.clone(),
            kid: "k1".into(),
            key_source: "header".into(),
            origin: [7; 32],
            seed: [9; 16],
            matched_key: None,
        })),
        Cue::Answered => answer(program, given, case).map(Input::ModelAnswered),
        Cue::NoAnswer => Some(Input::ModelFailed {
            n: open_ask(case)?,
            reason: "off".into(),
        }),
        Cue::Decided { kind, decision, .. } => {
            decision_of(case, kind, decision).map(Input::TaskDecided)
        }
        Cue::Succeeded | Cue::Trouble | Cue::Uncertain | Cue::Conflict => {
            settlement(given.cue, case)
        }
        Cue::Breach => {
            let due = case
                .timers
                .iter()
                .find(|(_, (kind, _))| *kind == TimerKind::Breach);
            due.map(|(n, _)| Input::TimerFired { n: *n })
        }
        Cue::Move(to) => command(CommandKind::Move(program.state_name(to).to_owned())),
        Cue::Reopen => command(CommandKind::Reopen),
        Cue::SendAgain => {
            let settled = |s: EffectState| s == EffectState::Failed || s == EffectState::Uncertain;
            let (n, _) = case.effects.iter().find(|(_, e)| settled(e.state))?;
            command(CommandKind::Resolve {
                n: *n,
                how: Resolve::SendAgain,
            })
        }
    }
}

fn person() -> Actor {
    Actor::Person("reviewer".into())
}

fn command(what: CommandKind) -> Option<Input> {
    Some(Input::Command(Command {
        by: person(),
        reason: "test".into(),
        what,
    }))
}

fn open_ask(case: &Case) -> Option<u32> {
    let asked = case.ai == Ai::Asked;
    case.asks
        .iter()
        .find(|(_, (_, open))| asked && *open)
        .map(|(n, _)| *n)
}

fn answer(program: &Program, given: &Given, case: &Case) -> Option<ModelAnswer> {
    let n = open_ask(case)?;
    let confidence = match value(given, "confidence") {
        Some(Value::Float(x)) => Some((x * 1000.0).round() as u16),
        _ => None,
    };
    let fields = program
        .record
        .fields
        .iter()
        .filter(|f| f.from == FieldFrom::Ai);
    let fields = fields.filter_map(|f| {
        Some(ProposedField {
            name: f.name.clone(),
            value: value(given, &format!("record.{}", f.name))?.clone(),
            confidence,
            span: None,
        })
    });
    Some(ModelAnswer {
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
    })
}

fn decision_of(case: &Case, kind: &str, decision: &str) -> Option<TaskDecision> {
    let (n, task) = case.open_tasks().find(|(_, t)| t.kind == kind)?;
    Some(TaskDecision {
        n,
        by: person(),
        decision: decision.into(),
        reason: "test".into(),
        note: None,
        edits: Vec::new(),
        digest: task
            .effect
            .and_then(|e| case.effects.get(&e))
            .map(|e| e.digest),
    })
}

fn settlement(cue: Cue, case: &Case) -> Option<Input> {
    let (n, _) = case
        .open_effects()
        .find(|(_, e)| e.state == EffectState::Ready)?;
    let (state, code) = match cue {
        Cue::Succeeded => (EffectState::Succeeded, ""),
        Cue::Uncertain => (EffectState::Uncertain, "timeout"),
        Cue::Conflict => (EffectState::Superseded, "conflict"),
        _ => (EffectState::Failed, "refused"),
    };
    Some(Input::EffectSettled(Settlement {
        n,
        state,
        attempts: 1,
        code: code.into(),
        evidence: "answer".into(),
        vendor_ref: None,
        seen: (cue == Cue::Conflict).then(|| ("v2".into(), None)),
    }))
}
