//! Which expressions have a result whatever the record holds: everything else may fail when it is evaluated, and then
//! a person looks first.
//!
//! A field of a type holds a value of it or none, and no operator fails on what is absent. What a message or a model
//! said may be of any type and of any length. An expression has a budget, so how much work it is at most counts too.

use tl_kernel::expr::{Expr, MAX_BYTES, MAX_STEPS, Node, Op};
use tl_kernel::limits::{MAX_LINE, MAX_TEXT};
use tl_kernel::program::Program;
use tl_kernel::value::{Type, Value};

use super::space::required;

/// A number, a time or a truth as text, in bytes: a floating point number is the longest.
const MAX_WRITTEN: usize = 400;
/// The id of a case as text, in bytes.
const MAX_ID: usize = 64;
/// Bytes of a value itself, without its text.
const VALUE: usize = size_of::<Value>();
/// The least elements that a list takes room for.
const LEAST_LIST: usize = 4;
/// Bytes of the budget that are not counted on: an evaluation keeps some for itself.
const ASIDE: usize = 64 * 1024;

/// What a part of an expression gives at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bool,
    Number,
    Time,
    Dur,
    /// Its length in bytes at most.
    Text(usize),
    /// Constants, or the names of fields.
    List {
        items: usize,
        bytes: usize,
    },
    /// Anything.
    Any,
}

/// What an evaluation costs at most.
#[derive(Debug, Default)]
struct Cost {
    steps: usize,
    bytes: usize,
}

impl Cost {
    fn steps(&mut self, n: usize) {
        self.steps = self.steps.saturating_add(n);
    }

    /// The work of reading so many bytes.
    fn scan(&mut self, bytes: usize) {
        self.steps(bytes / 64 + 1);
    }

    /// The room for so many bytes, and the work of writing them.
    fn room(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.scan(bytes);
    }

    /// The room for a list, and for the texts in it.
    fn list(&mut self, items: usize, bytes: usize) {
        self.steps(2 * items);
        self.room(items.max(LEAST_LIST) * VALUE + bytes);
    }

    fn is_within_budget(&self) -> bool {
        self.steps <= MAX_STEPS as usize && self.bytes <= MAX_BYTES - ASIDE
    }
}

/// A condition is true, false or absent, and never without a result.
pub(super) fn is_sure_condition(program: &Program, when: &Expr) -> bool {
    let mut cost = Cost::default();
    let kind = kind(program, &when.root, &mut cost);
    kind == Some(Kind::Bool) && cost.is_within_budget()
}

/// A value is there or absent, and never without a result. A name and a constant are taken to be so.
pub(super) fn is_sure_value(program: &Program, expr: &Expr) -> bool {
    if matches!(expr.root, Node::Path { .. } | Node::Literal(..)) {
        return true;
    }
    let mut cost = Cost::default();
    match kind(program, &expr.root, &mut cost) {
        None | Some(Kind::Any) => return false,
        Some(Kind::Text(n)) => cost.room(n),
        Some(Kind::List { items, bytes }) => cost.list(items, bytes),
        Some(_) => {}
    }
    cost.is_within_budget()
}

/// What a node gives at most; `None` where it may fail.
fn kind(program: &Program, node: &Node, cost: &mut Cost) -> Option<Kind> {
    cost.steps(1);
    match node {
        Node::Literal(value, _) => Some(constant(value)),
        Node::Path { names, .. } => {
            let kind = name(program, names);
            // What is made when it is looked up takes room; a field and a constant do not.
            match kind {
                Kind::Text(n) if names[0] == "case" => cost.room(n),
                Kind::List { items, bytes } => cost.list(items, bytes),
                _ => {}
            }
            Some(kind)
        }
        Node::Has(inner, _) => {
            kind(program, inner, cost)?;
            Some(Kind::Bool)
        }
        Node::Call { op, args, .. } => {
            let mut kinds = Vec::with_capacity(args.len());
            for arg in args {
                kinds.push(kind(program, arg, cost)?);
            }
            call(*op, &kinds, cost)
        }
        Node::List(nodes, _) => {
            let (mut items, mut bytes) = (0, 0);
            for node in nodes {
                bytes += match kind(program, node, cost)? {
                    Kind::Text(n) => n,
                    Kind::Bool | Kind::Number | Kind::Time | Kind::Dur => 0,
                    Kind::List { .. } | Kind::Any => return None,
                };
                items += 1;
            }
            cost.list(items, bytes);
            Some(Kind::List { items, bytes })
        }
        Node::Matches { text, capture, .. } => match kind(program, text, cost)? {
            Kind::Text(n) => {
                cost.steps(n / 8 + 1);
                if *capture {
                    cost.room(n);
                }
                Some(if *capture { Kind::Text(n) } else { Kind::Bool })
            }
            _ => None,
        },
        Node::Item { .. } | Node::Select { .. } | Node::Map(..) | Node::Each { .. } => None,
    }
}

fn constant(value: &Value) -> Kind {
    match value {
        Value::Bool(_) => Kind::Bool,
        Value::Int(_) | Value::Dec(_) | Value::Float(_) => Kind::Number,
        Value::Time(_) => Kind::Time,
        Value::Dur(_) => Kind::Dur,
        Value::Text(t) => Kind::Text(t.len()),
        Value::List(all) => {
            let kinds: Vec<Kind> = all.iter().map(constant).collect();
            let text = |k: &Kind| match k {
                Kind::Text(n) => *n,
                _ => 0,
            };
            let deep = |k: &Kind| matches!(k, Kind::List { .. } | Kind::Any);
            match kinds.iter().any(deep) {
                true => Kind::Any,
                false => Kind::List {
                    items: kinds.len(),
                    bytes: kinds.iter().map(text).sum(),
                },
            }
        }
        _ => Kind::Any,
    }
}

fn name(program: &Program, names: &[String]) -> Kind {
    match (names[0].as_str(), &names[1..]) {
        ("record", [field]) => {
            let ty = program.record.field(field).map(|f| &f.ty);
            ty.map_or(Kind::Any, typed)
        }
        ("flags", [_]) | ("needs_human" | "policy_allows", []) => Kind::Bool,
        ("confidence" | "threshold", []) => Kind::Number,
        ("case", [id]) if id == "id" => Kind::Text(MAX_ID),
        ("missing", []) => {
            let names = required(program);
            Kind::List {
                items: names.len(),
                bytes: names.iter().map(String::len).sum(),
            }
        }
        ("settings", [name, inner @ ..]) => {
            let value = program.settings.get(name).and_then(|v| v.at(inner));
            value.map_or(Kind::Any, constant)
        }
        _ => Kind::Any,
    }
}

/// What a field of a type may hold.
fn typed(ty: &Type) -> Kind {
    match ty {
        Type::Bool => Kind::Bool,
        Type::Int | Type::Dec | Type::Float => Kind::Number,
        Type::Time => Kind::Time,
        Type::Dur => Kind::Dur,
        Type::Text => Kind::Text(MAX_TEXT),
        Type::Email | Type::Phone | Type::Url => Kind::Text(MAX_LINE),
        Type::Enum(values) => Kind::Text(values.iter().map(String::len).max().unwrap_or(0)),
        Type::Any | Type::Null | Type::List(_) | Type::Record(_) => Kind::Any,
    }
}

fn call(op: Op, args: &[Kind], cost: &mut Cost) -> Option<Kind> {
    use Kind::{Any, Bool, Dur, List, Number, Text, Time};
    Some(match (op, args) {
        (Op::And | Op::Or, all) if all.iter().all(|k| *k == Bool) => Bool,
        (Op::Not, [Bool]) | (Op::IsNull | Op::NotNull, [_]) => Bool,
        (Op::Cond, [Bool, a, b]) => match (a, b) {
            (Text(a), Text(b)) => Text(*a.max(b)),
            (a, b) if a == b => *a,
            _ => Any,
        },
        // Two texts of any length, or two lists, may be more than there is a budget for.
        (Op::Eq | Op::Ne, [Any | List { .. }, Any | List { .. }]) => return None,
        (Op::Eq | Op::Ne, [a, b]) => {
            let text = |k: &Kind| if let Text(n) = k { Some(*n) } else { None };
            cost.scan(text(a).into_iter().chain(text(b)).min().unwrap_or(0));
            Bool
        }
        (Op::In, [_, List { items, bytes }]) => {
            cost.steps(2 * items);
            cost.scan(*bytes);
            Bool
        }
        (Op::Lt | Op::Le | Op::Gt | Op::Ge, [Text(a), Text(b)]) => {
            cost.scan(*a.min(b));
            Bool
        }
        (
            Op::Lt | Op::Le | Op::Gt | Op::Ge,
            [Number, Number] | [Time, Time] | [Dur, Dur] | [Bool, Bool],
        ) => Bool,
        (Op::Contains | Op::StartsWith | Op::EndsWith, [Text(a), Text(b)]) => {
            cost.scan(a + b);
            Bool
        }
        (Op::Size, [Text(n)]) => {
            cost.scan(*n);
            Number
        }
        (Op::Size, [List { .. }]) => Number,
        (Op::Trim, [Text(n)]) => {
            cost.scan(*n);
            cost.room(*n);
            Text(*n)
        }
        (Op::Lower | Op::Upper, [Text(n)]) => {
            // A letter may be written with up to three times the bytes, and a text that grows takes three times
            // its room.
            cost.scan(*n);
            cost.steps(n / 8 + 1);
            cost.room(9 * n);
            Text(3 * n)
        }
        (Op::Text, [Text(n)]) => {
            cost.scan(*n);
            Text(*n)
        }
        (Op::Text, [Bool | Number | Time | Dur]) => {
            cost.room(3 * MAX_WRITTEN);
            Text(MAX_WRITTEN)
        }
        (Op::Add, [Text(a), Text(b)]) => {
            cost.room(a + b);
            Text(a + b)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tl_kernel::value::Label;

    use super::super::mirror::world::{base, expr};
    use super::*;

    #[test]
    fn what_has_a_result_always_is_known() {
        let program = base();
        let sure = [
            "record.vip",
            "record.note.contains('now')",
            "record.email.startsWith('ada@') || record.email.endsWith('.org')",
            "!record.note.lower().contains(record.name)",
            "record.note.matches('^[0-9]+$')",
            "record.note.size() > 500 && size(missing) > 0",
            "record.intent in ['a', 'b'] && confidence > 0.5",
            "'email' in missing",
            "record.budget > 100 && policy_allows && !needs_human",
            "event.note == 'x' || event.list != 3",
            "has(event.note) && flags.paused",
            "record.vip ? record.budget < 3 : record.name == record.email",
            "record.name + '!' == 'Ada!'",
        ];
        let unsure = [
            "event.vip",
            "event.note.contains('now')",
            "event.budget > 100",
            "event.note == event.name",
            "event.list.exists(x, x == 1)",
            "'a' in event.list",
            "record.budget / 2 > 10",
            "int(record.note) > 3",
            "record.vip && event.note.size() > 3",
            "record.vip || record.budget + 1 > 3",
        ];
        for (text, want) in sure
            .map(|t| (t, true))
            .into_iter()
            .chain(unsure.map(|t| (t, false)))
        {
            assert_eq!(is_sure_condition(&program, &expr(text)), want, "{text}");
        }
        // One search of the longest text is within the budget; ten patterns over it are not, nor two copies in capitals.
        let many = ["record.note.matches('x')"; 10].join(" || ");
        assert!(!is_sure_condition(&program, &expr(&many)));
        let copies = ["record.note.upper() == 'X'"; 2].join(" || ");
        assert!(!is_sure_condition(&program, &expr(&copies)));
    }

    /// What is called sure is so for the longest texts there are, letters that grow in capitals included.
    #[test]
    fn the_longest_texts_are_within_the_budget() {
        let long = "\u{390}".repeat(MAX_TEXT / 2);
        let fields = ["note", "name", "tier"].map(|n| (n.to_owned(), Value::text(&long)));
        let record = Value::Record(BTreeMap::from(fields));
        let scope = BTreeMap::from([("record".to_owned(), (record, Label::Config))]);
        let program = base();
        for text in [
            "record.note.upper() == 'x'",
            "record.note.lower().contains(record.name)",
            "record.note.contains(record.name) && record.name.contains(record.note)",
            "record.note.matches('x') || record.name.matches('x') || record.tier.matches('x')",
            "record.note + record.name == record.tier",
            "record.note.trim().size() > 3 && record.note < record.name",
        ] {
            let when = expr(text);
            assert!(is_sure_condition(&program, &when), "{text}");
            assert!(when.holds(&scope).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_a_rule_sets_is_there_or_absent() {
        let program = base();
        for (text, want) in [
            ("'gold'", true),
            ("event.name", true),
            ("record.name.trim()", true),
            ("record.note + record.note", true),
            ("event.name.trim()", false),
            ("record.budget * 2", false),
        ] {
            assert_eq!(is_sure_value(&program, &expr(text)), want, "{text}");
        }
    }
}
