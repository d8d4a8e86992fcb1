//! What conditions ask about, as finite sets of values.
//!
//! An enum, a truth value and a flag are exact. A number or a text that is compared with constants only is
//! exact too: one value per constant, one between each two, one beyond each end. Whatever is asked about in
//! another way becomes a free atom: true or false, known by its text.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;
use rust_decimal::prelude::{FromPrimitive, ToPrimitive};
use tl_kernel::expr::{Expr, Node, Op};
use tl_kernel::program::Program;
use tl_kernel::value::{Type, Value};

/// Required fields up to this many are told apart in `missing`; above it `missing` is only empty or full.
const MAX_REQUIRED: usize = 4;
/// Text that no file compares with.
pub(super) const OTHER: &str = "\u{2026}other";

/// What a condition asks about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    /// A dotted name of the file.
    Path(Vec<String>),
    /// A part of a condition that is not told apart further, by its text.
    Free(String),
    /// `policy_allows`, which each branch has its own of.
    Allowed(usize),
    /// A rule asked for a person.
    RuleAsked,
}

/// One thing asked about, and the values it is tried with; `None` is absent.
#[derive(Debug, Clone)]
pub(super) struct Var {
    pub(super) name: Name,
    pub(super) values: Vec<Option<Value>>,
}

/// How much is known about the values of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// Every value is in the set: any question about it is exact.
    All,
    /// Every value is like one in the set as long as it is only compared with the constants of the file.
    Compared,
    /// Nothing.
    Nothing,
}

/// Everything the conditions of a program ask about.
#[derive(Debug, Default)]
pub(super) struct Space {
    pub(super) vars: Vec<Var>,
    /// Parts of conditions that are not told apart further, by their text.
    pub(super) parts: BTreeMap<String, Expr>,
    index: BTreeMap<Name, usize>,
    constants: BTreeMap<Vec<String>, BTreeSet<Constant>>,
}

/// A constant that something is compared with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Constant {
    Number(Decimal),
    Text(String),
    Bool(bool),
}

impl Space {
    /// The space of some conditions: their constants are collected before anything is asked.
    pub(super) fn new<'e>(conditions: impl Iterator<Item = &'e Expr>) -> Space {
        let mut space = Space::default();
        for e in conditions {
            e.root.walk(&mut |n| space.collect(n));
        }
        space
    }

    fn collect(&mut self, node: &Node) {
        let Node::Call { op, args, .. } = node else {
            return;
        };
        let ([a, b], true) = (args.as_slice(), op.compares()) else {
            return;
        };
        for (side, other) in [(a, b), (b, a)] {
            if let Node::Path { names, .. } = side {
                let all = self.constants.entry(names.clone()).or_default();
                all.extend(literals(other).into_iter().filter_map(constant));
            }
        }
    }

    /// How much is known about a path.
    pub(super) fn known(&self, program: &Program, names: &[String]) -> Known {
        match (names[0].as_str(), names.len()) {
            ("flags" | "settings", _) => Known::All,
            ("confidence" | "threshold", 1) => Known::Compared,
            ("missing", 1) if required(program).len() <= MAX_REQUIRED => Known::All,
            ("record", 2) => match program.record.field(&names[1]).map(|f| &f.ty) {
                Some(Type::Bool | Type::Enum(_)) => Known::All,
                Some(Type::List(_) | Type::Record(_) | Type::Time | Type::Dur) | None => {
                    Known::Nothing
                }
                Some(_) => Known::Compared,
            },
            ("event" | "ai", n) if n > 1 => Known::Compared,
            _ => Known::Nothing,
        }
    }

    /// The position of something asked about; its values are worked out the first time.
    pub(super) fn var(&mut self, program: &Program, name: Name) -> usize {
        if let Some(i) = self.index.get(&name) {
            return *i;
        }
        let values = match &name {
            Name::Path(names) => self.values(program, names),
            Name::Free(_) | Name::Allowed(_) | Name::RuleAsked => truths(),
        };
        self.vars.push(Var {
            name: name.clone(),
            values,
        });
        self.index.insert(name, self.vars.len() - 1);
        self.vars.len() - 1
    }

    /// The position of something that was asked about.
    pub(super) fn find(&self, name: &Name) -> Option<usize> {
        self.index.get(name).copied()
    }

    fn values(&self, program: &Program, names: &[String]) -> Vec<Option<Value>> {
        match names[0].as_str() {
            "flags" => return truths(),
            "settings" => {
                let value = names
                    .get(1)
                    .and_then(|n| program.settings.get(n)?.at(&names[2..]));
                return vec![value.cloned()];
            }
            "missing" => return missing_sets(&required(program)),
            "confidence" => {
                let mut out = vec![None];
                out.extend(self.shares(program).into_iter().map(Some));
                return out;
            }
            "threshold" => return self.shares(program).into_iter().map(Some).collect(),
            _ => {}
        }
        let ty = match names {
            [root, field] if root == "record" => program.record.field(field).map(|f| &f.ty),
            _ => None,
        };
        let mut out = vec![None];
        match ty {
            Some(Type::Bool) => out.extend(truths()),
            Some(Type::Enum(values)) => out.extend(values.iter().map(|v| Some(Value::text(v)))),
            Some(ty) => out.extend(self.compared(names, ty).into_iter().map(Some)),
            None => {
                // A message may say `null`, which is not absent to `!=`.
                out.push(Some(Value::Null));
                out.extend(self.compared(names, &Type::Any).into_iter().map(Some));
            }
        }
        out
    }

    /// Values that stand for all others in comparisons with the constants of a path.
    fn compared(&self, names: &[String], ty: &Type) -> Vec<Value> {
        let none = BTreeSet::new();
        let constants = self.constants.get(names).unwrap_or(&none);
        let (mut numbers, mut out) = (Vec::new(), Vec::new());
        for c in constants {
            match c {
                Constant::Number(n) => numbers.push(*n),
                Constant::Text(t) => out.push(Value::text(t)),
                Constant::Bool(b) => out.push(Value::Bool(*b)),
            }
        }
        match ty {
            Type::Int => out.extend(whole(&numbers)),
            Type::Float => out.extend(
                between(&numbers)
                    .into_iter()
                    .filter_map(|d| Some(Value::Float(d.to_f64()?))),
            ),
            _ => out.extend(between(&numbers).into_iter().map(Value::Dec)),
        }
        match ty {
            Type::Int | Type::Dec | Type::Float if !out.is_empty() => {}
            Type::Int => out.push(Value::Int(0)),
            Type::Dec | Type::Float => out.push(Value::Dec(Decimal::ZERO)),
            _ => out.push(Value::text(OTHER)),
        }
        out
    }

    /// The shares of one that confidence and threshold are tried with: every constant they meet, and two
    /// points between each two, so that either may be the larger one there.
    fn shares(&self, program: &Program) -> Vec<Value> {
        let deployed = program.decision.threshold.value();
        let mut marks =
            BTreeSet::from([0, 1000, (deployed.clamp(0.0, 1.0) * 1000.0).round() as i64]);
        for name in ["confidence", "threshold"] {
            for c in self
                .constants
                .get([name.to_owned()].as_slice())
                .into_iter()
                .flatten()
            {
                if let Constant::Number(n) = c {
                    let n = *n * Decimal::from(1000);
                    marks.extend([n.floor(), n.ceil()].iter().filter_map(ToPrimitive::to_i64));
                }
            }
        }
        let marks: Vec<i64> = marks
            .into_iter()
            .filter(|m| (0..=1000).contains(m))
            .collect();
        let mut out = BTreeSet::new();
        for pair in marks.windows(2) {
            let third = (pair[1] - pair[0]) / 3;
            out.extend([pair[0], pair[0] + third, pair[1] - third, pair[1]]);
        }
        out.into_iter()
            .map(|n| Value::Float(n as f64 / 1000.0))
            .collect()
    }
}

/// Required fields, in file order.
pub(super) fn required(program: &Program) -> Vec<String> {
    let fields = program.record.fields.iter().filter(|f| f.required);
    fields.map(|f| f.name.clone()).collect()
}

/// The constants of a literal or of a list of them; nothing where one part is no constant.
pub(super) fn literals(node: &Node) -> Vec<&Value> {
    match node {
        Node::Literal(Value::List(items), _) => items.iter().collect(),
        Node::Literal(v, _) => vec![v],
        Node::List(items, _) if is_constant(node) => items.iter().flat_map(literals).collect(),
        _ => Vec::new(),
    }
}

/// A literal, or a list of them.
pub(super) fn is_constant(node: &Node) -> bool {
    match node {
        Node::Literal(..) => true,
        Node::List(items, _) => items.iter().all(|n| matches!(n, Node::Literal(..))),
        _ => false,
    }
}

/// Whether a comparison is one that the sets of [`Known::Compared`] answer: order is for numbers only.
pub(super) fn answers(op: Op, constant: &Node) -> bool {
    let numeric = |v: &Value| matches!(v, Value::Int(_) | Value::Dec(_) | Value::Float(_));
    let plain = |v: &Value| numeric(v) || matches!(v, Value::Text(_) | Value::Bool(_));
    match op {
        Op::Eq | Op::Ne | Op::In => literals(constant).into_iter().all(plain),
        Op::Lt | Op::Le | Op::Gt | Op::Ge => literals(constant).into_iter().all(numeric),
        _ => false,
    }
}

fn constant(v: &Value) -> Option<Constant> {
    match v {
        Value::Int(i) => Some(Constant::Number(Decimal::from(*i))),
        Value::Dec(d) => Some(Constant::Number(*d)),
        Value::Float(x) => Decimal::from_f64(*x).map(Constant::Number),
        Value::Text(t) => Some(Constant::Text(t.clone())),
        Value::Bool(b) => Some(Constant::Bool(*b)),
        _ => None,
    }
}

fn truths() -> Vec<Option<Value>> {
    vec![Some(Value::Bool(true)), Some(Value::Bool(false))]
}

fn whole(numbers: &[Decimal]) -> Vec<Value> {
    let mut out = BTreeSet::new();
    for n in numbers {
        for edge in [n.floor(), n.ceil()].iter().filter_map(ToPrimitive::to_i64) {
            out.extend([edge.saturating_sub(1), edge, edge.saturating_add(1)]);
        }
    }
    out.into_iter().map(Value::Int).collect()
}

fn between(numbers: &[Decimal]) -> Vec<Decimal> {
    let (Some(first), Some(last)) = (numbers.first(), numbers.last()) else {
        return Vec::new();
    };
    let mut out = vec![first.saturating_sub(Decimal::ONE)];
    for pair in numbers.windows(2) {
        out.extend([pair[0], (pair[0].saturating_add(pair[1])) / Decimal::TWO]);
    }
    out.extend([*last, last.saturating_add(Decimal::ONE)]);
    out
}

fn missing_sets(required: &[String]) -> Vec<Option<Value>> {
    let list =
        |names: Vec<&String>| Some(Value::List(names.into_iter().map(Value::text).collect()));
    if required.len() > MAX_REQUIRED {
        return vec![list(Vec::new()), list(required.iter().collect())];
    }
    (0..1usize << required.len())
        .map(|set| {
            let picked = required
                .iter()
                .enumerate()
                .filter(|(i, _)| set >> i & 1 == 1);
            list(picked.map(|(_, n)| n).collect())
        })
        .collect()
}
