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
mod node;
mod number;
mod pattern;
mod template;
mod truth;
mod weight;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use thiserror::Error;

use crate::value::{Label, Value};

pub use budget::{MAX_BYTES, MAX_STEPS};
pub use node::{Each, Node, Op};
pub use pattern::{MAX_PATTERN, Pattern};
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
        let value = match run.value(&self.root, None)? {
            Some(value) => Some(run.budget.own(value)?),
            None => None,
        };
        Ok(Evaluated {
            value,
            label: run.take_label(),
        })
    }

    /// Whether the value as a condition holds: what `truth` says, without the outcomes of its parts.
    pub fn holds(&self, scope: &dyn Scope) -> Result<bool, EvalError> {
        let held = eval::Run::new(scope).condition(&self.root, None)?;
        Ok(held.unwrap_or(false))
    }

    /// The value as a condition, with the outcome of each part of the outermost `&&` or `||`. Anything but
    /// true, absent included, does not hold.
    pub fn truth(&self, scope: &dyn Scope) -> Result<Truth, EvalError> {
        truth::truth(self, scope)
    }

    /// Whether the expression reads a name under this root.
    pub fn reads_root(&self, root: &str) -> bool {
        let mut found = false;
        self.root.walk(&mut |n| {
            found |= matches!(n, Node::Path { names, .. } if names.first().is_some_and(|r| r == root));
        });
        found
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
