//! The nodes of a checked expression.

use super::{At, Pattern};
use crate::value::Value;

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
    /// Whether a text matches a pattern anywhere in it, or what the pattern finds.
    Matches {
        /// The text.
        text: Box<Node>,
        /// The pattern, compiled when the file was loaded.
        pattern: Pattern,
        /// `capture`: the value is the text of the first group, trimmed, absent where nothing matches. Else the
        /// value is whether anything matches.
        capture: bool,
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
