//! Expressions of the workflow file: the checked form, its evaluation, and text with `${…}` in it.
//!
//! The language crate parses and type-checks; what arrives here is small, bounded and already sensible.
//! Words and results are CEL's, with three additions:
//!
//! * **Absent values.** A name may have no value (an optional field, the confidence while AI is off). Absent
//!   in a comparison makes it false, `!=` included; a bare absent condition counts as false, so `!x` of an
//!   absent `x` is true; `has(x)` tells whether there is a value; `x == null` is true for absent and for
//!   null; arithmetic and functions over an absent value are absent; an absent element is left out of a list
//!   or map literal; a missing key or an index past the end is absent, not an error. Null behaves as absent
//!   everywhere but in `==`, `!=` and `has`.
//! * **Labels.** The label of a result is the join of the labels of everything that was looked up on the
//!   way, conditions included: no function can lose one.
//! * **A budget.** Every evaluation ends: [`MAX_STEPS`] and [`MAX_BYTES`] bound time and memory.

mod budget;
mod eval;
mod function;
mod number;
mod template;
mod truth;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use thiserror::Error;

use crate::value::{Label, Value};

pub use budget::{MAX_BYTES, MAX_STEPS};
pub use template::{Piece, Rendered, Template};
pub use truth::{PartOutcome, SHOWN_ROOTS, Truth};

/// A byte span in the source of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct At {
    /// The first byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl At {
    /// The text of the span, or nothing where it does not fit the source.
    pub fn text(self, source: &str) -> &str {
        source
            .get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }
}

/// A checked expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    /// The expression as written; every [`At`] points into it.
    pub source: String,
    /// The checked form.
    pub root: Node,
}

/// One node of a checked expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// A constant.
    Literal(Value, At),
    /// A dotted name, such as `record.country`. Names written in brackets (`event.headers['x-id']`) are
    /// names too.
    Path {
        /// The names, root first.
        names: Vec<String>,
        /// Where.
        at: At,
    },
    /// The loop variable of the enclosing [`Node::Each`], or a part of it.
    Item {
        /// The names under the loop variable; empty for the variable itself.
        names: Vec<String>,
        /// Where.
        at: At,
    },
    /// A named part of a computed value.
    Select {
        /// What the part is taken from.
        of: Box<Node>,
        /// The name of the part.
        name: String,
        /// Where.
        at: At,
    },
    /// Whether a path, an item or a part is present.
    Has(Box<Node>, At),
    /// An operator or a function.
    Call {
        /// Which.
        op: Op,
        /// The operands in order; for `a.f(b)` the receiver comes first.
        args: Vec<Node>,
        /// Where.
        at: At,
    },
    /// A list literal.
    List(Vec<Node>, At),
    /// A map literal.
    Map(Vec<(String, Node)>, At),
    /// Whether a text matches a pattern anywhere in it.
    Matches {
        /// The text.
        text: Box<Node>,
        /// The pattern, compiled when the file was loaded.
        pattern: Pattern,
        /// Where.
        at: At,
    },
    /// A test or a mapping over the elements of a list, or over the keys of a map in order.
    Each {
        /// What is done with the elements.
        what: Each,
        /// The list.
        over: Box<Node>,
        /// What is evaluated per element; it holds no further `Each`.
        body: Box<Node>,
        /// Where.
        at: At,
    },
}

impl Node {
    /// Where the node stands in the source.
    pub fn at(&self) -> At {
        match self {
            Node::Literal(_, at)
            | Node::Has(_, at)
            | Node::List(_, at)
            | Node::Map(_, at)
            | Node::Path { at, .. }
            | Node::Item { at, .. }
            | Node::Select { at, .. }
            | Node::Call { at, .. }
            | Node::Matches { at, .. }
            | Node::Each { at, .. } => *at,
        }
    }

    /// Calls `visit` with this node and everything below it, parents first, in source order.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Node)) {
        visit(self);
        match self {
            Node::Literal(..) | Node::Path { .. } | Node::Item { .. } => {}
            Node::Select { of: inner, .. }
            | Node::Has(inner, _)
            | Node::Matches { text: inner, .. } => inner.walk(visit),
            Node::Call { args, .. } | Node::List(args, _) => {
                args.iter().for_each(|n| n.walk(visit));
            }
            Node::Map(entries, _) => entries.iter().for_each(|(_, n)| n.walk(visit)),
            Node::Each { over, body, .. } => {
                over.walk(visit);
                body.walk(visit);
            }
        }
    }
}

/// What [`Node::Each`] does with the elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Each {
    /// True if the body holds for at least one element.
    Exists,
    /// True if the body holds for exactly one element.
    ExistsOne,
    /// True if the body holds for every element.
    All,
    /// The elements for which the body holds.
    Filter,
    /// The body's value for every element; absent ones are left out.
    Map,
}

/// Operators and functions. The number of operands is fixed by the checker, except `And` and `Or`, which
/// take two or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are the operators' names")]
pub enum Op {
    And,
    Or,
    Not,
    Eq,
    Ne,
    /// `x == null`: absent or null.
    IsNull,
    /// `x != null`: present and not null.
    NotNull,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    Neg,
    Cond,
    Index,
    Size,
    Contains,
    StartsWith,
    EndsWith,
    Lower,
    Upper,
    Trim,
    Int,
    Decimal,
    Double,
    Text,
    Duration,
    Timestamp,
}

impl Op {
    /// The operator or function as it is written.
    pub fn word(self) -> &'static str {
        match self {
            Op::And => "&&",
            Op::Or => "||",
            Op::Not => "!",
            Op::Eq | Op::IsNull => "==",
            Op::Ne | Op::NotNull => "!=",
            Op::Lt => "<",
            Op::Le => "<=",
            Op::Gt => ">",
            Op::Ge => ">=",
            Op::In => "in",
            Op::Add => "+",
            Op::Sub | Op::Neg => "-",
            Op::Mul => "*",
            Op::Div => "/",
            Op::Rem => "%",
            Op::Cond => "? :",
            Op::Index => "[]",
            Op::Size => "size",
            Op::Contains => "contains",
            Op::StartsWith => "startsWith",
            Op::EndsWith => "endsWith",
            Op::Lower => "lower",
            Op::Upper => "upper",
            Op::Trim => "trim",
            Op::Int => "int",
            Op::Decimal => "decimal",
            Op::Double => "double",
            Op::Text => "string",
            Op::Duration => "duration",
            Op::Timestamp => "timestamp",
        }
    }

    /// True for `== != < <= > >=` and `in`: what is false when an operand is absent.
    pub fn compares(self) -> bool {
        use Op::{Eq, Ge, Gt, In, Le, Lt, Ne};
        matches!(self, Eq | Ne | Lt | Le | Gt | Ge | In)
    }
}

/// A regular expression, compiled once with bounded size; matching takes time linear in the text.
/// Two patterns are equal when they are written the same.
#[derive(Debug, Clone)]
pub struct Pattern(regex::Regex);

/// The longest pattern accepted, bytes.
pub const MAX_PATTERN: usize = 500;
/// The largest compiled pattern accepted, bytes.
const MAX_COMPILED: usize = 256 * 1024;

impl Pattern {
    /// Compiles a pattern. The error says in one line what is wrong: syntax, or a size over the bound.
    pub fn new(pattern: &str) -> Result<Pattern, String> {
        if pattern.len() > MAX_PATTERN {
            return Err(format!("the pattern is longer than {MAX_PATTERN} bytes"));
        }
        regex::RegexBuilder::new(pattern)
            .size_limit(MAX_COMPILED)
            .dfa_size_limit(4 * MAX_COMPILED)
            .nest_limit(40)
            .build()
            .map(Pattern)
            .map_err(|e| match e {
                regex::Error::CompiledTooBig(_) => {
                    "the pattern grows too large: repeat less, or use `(?-u)` for plain letters"
                        .into()
                }
                other => last_line(&other.to_string()),
            })
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

/// A syntax error of a pattern is printed over several lines, what is wrong on the last one.
fn last_line(message: &str) -> String {
    let line = message.lines().last().unwrap_or_default().trim();
    line.strip_prefix("error: ").unwrap_or(line).to_string()
}

/// What a scope knows about a name.
#[derive(Debug, Clone)]
pub struct Found<'a> {
    /// The value; `None` is absent.
    pub value: Option<Cow<'a, Value>>,
    /// The label of the value. For an absent value: the label it would have had, because being absent says
    /// something too.
    pub label: Label,
}

impl<'a> Found<'a> {
    /// A value that lives in the scope.
    pub fn borrowed(value: &'a Value, label: Label) -> Self {
        Found {
            value: Some(Cow::Borrowed(value)),
            label,
        }
    }

    /// A value made for this lookup.
    pub fn owned(value: Value, label: Label) -> Found<'static> {
        Found {
            value: Some(Cow::Owned(value)),
            label,
        }
    }

    /// No value.
    pub fn absent(label: Label) -> Found<'static> {
        Found { value: None, label }
    }
}

/// What gives names their values.
pub trait Scope {
    /// The value of a dotted name, root first. A name nobody knows is absent with [`Label::Config`].
    fn lookup<'a>(&'a self, names: &[String]) -> Found<'a>;
}

/// The simplest scope: values by root name. A path goes on into records.
impl Scope for BTreeMap<String, (Value, Label)> {
    fn lookup<'a>(&'a self, names: &[String]) -> Found<'a> {
        let Some(((value, label), rest)) = names
            .split_first()
            .and_then(|(root, rest)| Some((self.get(root)?, rest)))
        else {
            return Found::absent(Label::Config);
        };
        match value.at(rest) {
            Some(v) => Found::borrowed(v, *label),
            None => Found::absent(*label),
        }
    }
}

/// The result of an evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluated {
    /// The value; `None` is absent.
    pub value: Option<Value>,
    /// The join of the labels of everything that was looked up.
    pub label: Label,
}

/// Why an evaluation has no result. No message contains a value: these texts go where values may not.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EvalError {
    /// More than [`MAX_STEPS`] steps or [`MAX_BYTES`] bytes.
    #[error("the expression needs more work than one evaluation may do")]
    Budget,
    /// A number outside its range.
    #[error("the result of `{op}` is too large")]
    Overflow {
        /// The operator.
        op: &'static str,
        /// Where.
        at: At,
    },
    /// A division by zero.
    #[error("division by zero")]
    DivisionByZero {
        /// Where.
        at: At,
    },
    /// Operands the operator has no meaning for: the shape of an undeclared value was not what the
    /// expression expects.
    #[error("`{op}` does not work on {got}")]
    Type {
        /// The operator or function.
        op: &'static str,
        /// The types met, in words.
        got: String,
        /// Where.
        at: At,
    },
    /// A text that does not read as a number, time or duration.
    #[error("`{op}` cannot read this {got}")]
    Conversion {
        /// The function.
        op: &'static str,
        /// The type met, in words.
        got: &'static str,
        /// Where.
        at: At,
    },
}

impl EvalError {
    /// Where it went wrong; `None` for the budget, which belongs to the whole expression.
    pub fn at(&self) -> Option<At> {
        match self {
            EvalError::Budget => None,
            EvalError::Overflow { at, .. }
            | EvalError::DivisionByZero { at }
            | EvalError::Type { at, .. }
            | EvalError::Conversion { at, .. } => Some(*at),
        }
    }
}

impl Expr {
    /// The value under a scope. The same scope gives the same result, on every machine.
    pub fn eval(&self, scope: &dyn Scope) -> Result<Evaluated, EvalError> {
        let mut run = eval::Run::new(scope);
        let value = run.value(&self.root, None)?;
        if let Some(value) = &value {
            run.budget.copy(value)?;
        }
        Ok(Evaluated {
            value: value.map(Cow::into_owned),
            label: run.take_label(),
        })
    }

    /// The value as a condition, with the outcome of each part of the outermost `&&` or `||`. Anything but
    /// true, absent included, does not hold.
    pub fn truth(&self, scope: &dyn Scope) -> Result<Truth, EvalError> {
        truth::truth(self, scope)
    }

    /// All names the expression may read, sorted, each once.
    pub fn reads(&self) -> Vec<Vec<String>> {
        let mut out = BTreeSet::new();
        self.root.walk(&mut |node| {
            if let Node::Path { names, .. } = node {
                out.insert(names.clone());
            }
        });
        out.into_iter().collect()
    }
}

/// The expression as written.
impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}
