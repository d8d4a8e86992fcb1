//! The functions by name: how each is called, what it takes and what it gives.

use cel::common::ast::{CallExpr, Expr as Parsed, IdedExpr, LiteralValue};
use tl_kernel::expr::{At, Node, Op, Pattern};
use tl_kernel::time::{parse_duration, parse_rfc3339};
use tl_kernel::value::{Type, Value};

use super::check::{Checker, Part, poison, span_error};
use super::{ErrorKind, suggest, types};

/// How a function is called.
#[derive(Clone, Copy, PartialEq)]
enum Style {
    /// `f(x)`.
    Global,
    /// `x.f()`.
    Method,
    /// Either.
    Both,
}

/// What an operand may be.
#[derive(Clone, Copy)]
enum Takes {
    Text,
    Sized,
    Scalar,
    Number,
    TextOrDuration,
    Instant,
}

struct Function {
    name: &'static str,
    op: Op,
    style: Style,
    takes: &'static [Takes],
    gives: Type,
}

const fn function(name: &'static str, op: Op, takes: &'static [Takes], gives: Type) -> Function {
    Function {
        name,
        op,
        style: Style::Global,
        takes,
        gives,
    }
}

/// One that is called on its first operand.
const fn method(name: &'static str, op: Op, takes: &'static [Takes], gives: Type) -> Function {
    Function {
        name,
        op,
        style: Style::Method,
        takes,
        gives,
    }
}

const TEXTS: &[Takes] = &[Takes::Text, Takes::Text];

static FUNCTIONS: &[Function] = &[
    Function {
        name: "size",
        op: Op::Size,
        style: Style::Both,
        takes: &[Takes::Sized],
        gives: Type::Int,
    },
    method("contains", Op::Contains, TEXTS, Type::Bool),
    method("startsWith", Op::StartsWith, TEXTS, Type::Bool),
    method("endsWith", Op::EndsWith, TEXTS, Type::Bool),
    method("lower", Op::Lower, &[Takes::Text], Type::Text),
    method("upper", Op::Upper, &[Takes::Text], Type::Text),
    method("trim", Op::Trim, &[Takes::Text], Type::Text),
    function("int", Op::Int, &[Takes::Scalar], Type::Int),
    function("decimal", Op::Decimal, &[Takes::Number], Type::Dec),
    function("double", Op::Double, &[Takes::Number], Type::Float),
    function("string", Op::Text, &[Takes::Scalar], Type::Text),
    function(
        "duration",
        Op::Duration,
        &[Takes::TextOrDuration],
        Type::Dur,
    ),
    function("timestamp", Op::Timestamp, &[Takes::Instant], Type::Time),
];

/// Functions as other languages call them.
const ALIASES: &[(&str, &str)] = &[
    ("length", "size"),
    ("len", "size"),
    ("count", "size"),
    ("includes", "contains"),
    ("has_prefix", "startsWith"),
    ("has_suffix", "endsWith"),
    ("toLowerCase", "lower"),
    ("lowerAscii", "lower"),
    ("tolower", "lower"),
    ("toUpperCase", "upper"),
    ("upperAscii", "upper"),
    ("toupper", "upper"),
    ("strip", "trim"),
    ("float", "double"),
    ("str", "string"),
    ("toString", "string"),
    ("match", "matches"),
    ("any", "exists"),
    ("some", "exists"),
    ("every", "all"),
];

/// Functions whose last operand is a pattern written in the file.
const PATTERNS: [&str; 2] = ["matches", "capture"];

/// The loops, which are called on a list or a map.
const LOOPS: [&str; 4] = ["exists", "all", "filter", "map"];

/// The names of all functions.
pub fn function_names() -> impl Iterator<Item = &'static str> {
    let own = FUNCTIONS.iter().map(|f| f.name);
    own.chain(PATTERNS).chain(LOOPS).chain(["has"])
}

/// True for the name of a function that is called on a value.
pub(super) fn is_method(name: &str) -> bool {
    PATTERNS.contains(&name)
        || FUNCTIONS
            .iter()
            .any(|f| f.name == name && f.style != Style::Global)
}

impl Checker<'_> {
    pub(super) fn function(&mut self, tree: &IdedExpr, call: &CallExpr) -> Part {
        let mut parts = Vec::with_capacity(call.args.len() + 1);
        if let Some(target) = &call.target {
            parts.push(self.part(target));
        }
        let at = self.called(tree, parts.first());
        let name = call.func_name.as_str();
        if PATTERNS.contains(&name) {
            return self.pattern(call, parts, at);
        }
        let Some(found) = FUNCTIONS.iter().find(|f| f.name == name) else {
            return self.unknown(tree, call, at);
        };
        for arg in &call.args {
            parts.push(self.part(arg));
        }
        if parts.len() != found.takes.len() {
            let receiver = usize::from(call.target.is_some());
            let takes = found.takes.len().saturating_sub(receiver);
            if receiver == 1 || found.style != Style::Method {
                return self.arity(at, name, takes, call.args.len());
            }
        }
        let style = if call.target.is_some() {
            Style::Method
        } else {
            Style::Global
        };
        if found.style != Style::Both && found.style != style {
            return self.restyled(found, &parts, at);
        }
        for (part, takes) in parts.iter().zip(found.takes) {
            if !taken(*takes, &part.ty) {
                self.operand(found, part, &parts, at);
                return poison(at);
            }
        }
        self.folded(found, parts, at)
    }

    /// `x.matches('…')`, `x.capture('…(…)…')`: the pattern is written in the file and compiled now.
    fn pattern(&mut self, call: &CallExpr, mut parts: Vec<Part>, at: At) -> Part {
        let name = call.func_name.as_str();
        let [before @ .., pattern] = call.args.as_slice() else {
            return self.arity(at, name, 1, 0);
        };
        for arg in before {
            parts.push(self.part(arg));
        }
        if parts.len() != 1 {
            let takes = 2 - usize::from(call.target.is_some());
            return self.arity(at, name, takes, call.args.len());
        }
        let text = parts.remove(0);
        let written = self.part(pattern).node.at();
        let Parsed::Literal(LiteralValue::String(pattern)) = &pattern.expr else {
            let message = "the pattern is a text in quotes: it is checked when the file is loaded";
            return self.refuse(written, ErrorKind::Pattern, message);
        };
        if !taken(Takes::Text, &text.ty) {
            let message = format!("`{name}` works on text; this is {}", types::word(&text.ty));
            return self.refuse(text.node.at(), ErrorKind::Type, &message);
        }
        match Pattern::new(pattern.inner()) {
            Err(why) => self.refuse(
                written,
                ErrorKind::Pattern,
                &format!("a bad pattern: {why}"),
            ),
            Ok(pattern) if name == "capture" && !pattern.has_group() => {
                let message =
                    "`capture` gives what a group found: put the part you want in parentheses";
                self.refuse(written, ErrorKind::Pattern, message)
            }
            Ok(pattern) => {
                let capture = name == "capture";
                let node = Node::Matches {
                    text: Box::new(text.node),
                    pattern,
                    capture,
                    at,
                };
                Part::new(node, if capture { Type::Text } else { Type::Bool })
            }
        }
    }

    fn unknown(&mut self, tree: &IdedExpr, call: &CallExpr, at: At) -> Part {
        let bracket = self.token(tree).start as usize;
        let span = self
            .tokens
            .starting_at(bracket)
            .and_then(|i| i.checked_sub(1))
            .map_or((at.start as usize, at.end as usize), |i| {
                (self.tokens.list[i].start, self.tokens.list[i].end)
            });
        let name = call.func_name.as_str();
        let method = call.target.is_some();
        let alias = ALIASES.iter().find(|(a, _)| a.eq_ignore_ascii_case(name));
        let known = FUNCTIONS
            .iter()
            .filter(|f| f.style == Style::Both || (f.style == Style::Method) == method)
            .map(|f| f.name)
            .chain(if method {
                ["matches", "capture", "exists", "all", "filter", "map"]
                    .as_slice()
                    .iter()
                    .copied()
            } else {
                ["has"].as_slice().iter().copied()
            });
        let near = alias
            .map(|(_, ours)| *ours)
            .or_else(|| suggest::nearest(name, known));
        let message = format!("there is no function `{name}`");
        let error = super::ExprError::new(span, ErrorKind::Function, message);
        self.errors.push(match near {
            Some(near) => error.mended(near, format!("did you mean `{near}`?")),
            None => error,
        });
        poison(at)
    }

    /// A function called as a method, or a method called as a function.
    fn restyled(&mut self, found: &Function, parts: &[Part], at: At) -> Part {
        let written: Vec<&str> = parts
            .iter()
            .map(|p| self.grouped(p.node.at()).text(self.source))
            .collect();
        let name = found.name;
        let right = match (found.style, written.as_slice()) {
            (Style::Method, [receiver, args @ ..]) if parts.len() == found.takes.len() => {
                Some(format!("{receiver}.{name}({})", args.join(", ")))
            }
            (Style::Global, args) => Some(format!("{name}({})", args.join(", "))),
            _ => None,
        };
        let message = match found.style {
            Style::Method => format!("`{name}` is called on a value: `x.{name}(…)`"),
            _ => format!("`{name}` is called with its value: `{name}(x)`"),
        };
        let error = span_error(at, ErrorKind::Function, message);
        self.errors.push(match right {
            Some(right) => {
                let say = format!("write `{right}`");
                error.mended(right, say)
            }
            None => error,
        });
        poison(at)
    }

    /// Reports an operand of a type the function does not take.
    fn operand(&mut self, found: &Function, part: &Part, parts: &[Part], at: At) {
        let message = format!("`{}` does not take {}", found.name, types::word(&part.ty));
        let written = |p: &Part| self.grouped(p.node.at()).text(self.source);
        let error = match (found.op, parts) {
            (Op::Contains, [list, element]) if matches!(list.ty, Type::List(_)) => {
                let right = format!("{} in {}", written(element), written(list));
                let say = format!("write `{right}`");
                span_error(at, ErrorKind::Type, message).mended(right, say)
            }
            _ if matches!(part.ty, Type::Int | Type::Dec | Type::Float | Type::Bool)
                && found.takes.iter().all(|t| matches!(t, Takes::Text)) =>
            {
                let right = format!("string({})", part.node.at().text(self.source));
                span_error(part.node.at(), ErrorKind::Type, message).mended(right, "make it a text")
            }
            _ => span_error(part.node.at(), ErrorKind::Type, message),
        };
        self.errors.push(error);
    }

    /// The call; a duration or an instant written in the file is read now.
    fn folded(&mut self, found: &Function, parts: Vec<Part>, at: At) -> Part {
        if let (
            [
                Part {
                    node: Node::Literal(Value::Text(text), written),
                    ..
                },
            ],
            Op::Duration | Op::Timestamp,
        ) = (parts.as_slice(), found.op)
        {
            let (value, hint) = match found.op {
                Op::Duration => (
                    parse_duration(text).map(Value::Dur),
                    "a duration looks like `'90s'`, `'15m'`, `'1h30m'` or `'2d'`",
                ),
                _ => (
                    parse_rfc3339(text).map(Value::Time),
                    "an instant looks like `'2026-11-22T16:40:00Z'`",
                ),
            };
            return match value {
                Some(value) => Part::new(Node::Literal(value, at), found.gives.clone()),
                None => self.refuse(*written, ErrorKind::Literal, hint),
            };
        }
        let node = Node::Call {
            op: found.op,
            args: parts.into_iter().map(|p| p.node).collect(),
            at,
        };
        Part::new(node, found.gives.clone())
    }
}

fn taken(takes: Takes, t: &Type) -> bool {
    if matches!(t, Type::Any) {
        return true;
    }
    match takes {
        Takes::Text => t.is_textual(),
        Takes::Sized => t.is_textual() || matches!(t, Type::List(_) | Type::Record(_)),
        Takes::Scalar => !matches!(t, Type::List(_) | Type::Record(_) | Type::Null),
        Takes::Number => t.is_textual() || types::is_number(t),
        Takes::TextOrDuration => t.is_textual() || *t == Type::Dur,
        Takes::Instant => t.is_textual() || matches!(t, Type::Time | Type::Int),
    }
}
