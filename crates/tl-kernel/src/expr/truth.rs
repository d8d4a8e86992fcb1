//! A condition with the outcome of each of its parts: what `explain` prints.

use super::eval::Run;
use super::{At, EvalError, Expr, Node, Op, Scope};
use crate::value::{Label, Value};

/// The roots whose values may be shown in an outcome. Outcomes go where no record or message content may,
/// so everything else is left out.
pub const SHOWN_ROOTS: &[&str] = &[
    "confidence",
    "flags",
    "missing",
    "needs_human",
    "policy_allows",
    "settings",
    "threshold",
];

/// The outcome of a condition.
#[derive(Debug, Clone, PartialEq)]
pub struct Truth {
    /// Whether the condition holds.
    pub holds: bool,
    /// The join of the labels of everything that decided it.
    pub label: Label,
    /// The parts of the outermost `&&` or `||`, in order; one part where there is neither. Parts after the
    /// one that decided are evaluated too, for the reader; they add no label and no error.
    pub parts: Vec<PartOutcome>,
}

/// The outcome of one part of a condition.
#[derive(Debug, Clone, PartialEq)]
pub struct PartOutcome {
    /// Where the part stands in the condition.
    pub at: At,
    /// The part as written.
    pub text: String,
    /// Whether it holds; `None` where it asks about something absent (it counts as false) or cannot be
    /// evaluated (`seen` says why).
    pub holds: Option<bool>,
    /// The values of the names in it that may be shown, as `confidence 0.71, threshold 0.8`.
    pub seen: Option<String>,
}

pub(super) fn truth(expr: &Expr, scope: &dyn Scope) -> Result<Truth, EvalError> {
    let (nodes, or): (&[Node], bool) = match &expr.root {
        Node::Call {
            op: op @ (Op::And | Op::Or),
            args,
            ..
        } => (args, *op == Op::Or),
        other => (std::slice::from_ref(other), true),
    };
    let mut out = Truth {
        holds: !or,
        label: Label::Config,
        parts: Vec::with_capacity(nodes.len()),
    };
    // What is evaluated for the reader only has its own budget, so that it cannot change the outcome.
    let (mut run, mut aside) = (Run::new(scope), Run::new(scope));
    let (mut decided, mut failed) = (false, None);
    for node in nodes {
        let got = if decided {
            aside.condition(node, None)
        } else {
            run.condition(node, None)
        };
        let asks_absent = got == Ok(Some(false)) && compares_absent(node, &mut aside);
        if !decided {
            out.label = out.label.join(run.take_label());
            match &got {
                Ok(held) if held.unwrap_or(false) == or => {
                    out.holds = or;
                    decided = true;
                }
                Ok(_) => {}
                Err(e) => failed = failed.or(Some(e.clone())),
            }
        }
        let (holds, seen) = match got {
            Ok(_) if asks_absent => (None, seen(node, scope)),
            Ok(held) => (held, seen(node, scope)),
            Err(e) => (None, Some(e.to_string())),
        };
        out.parts.push(PartOutcome {
            at: node.at(),
            text: node.at().text(&expr.source).to_string(),
            holds,
            seen,
        });
    }
    match failed {
        Some(e) if !decided => Err(e),
        _ => Ok(out),
    }
}

/// True for a comparison one of whose sides has no value.
fn compares_absent(node: &Node, run: &mut Run) -> bool {
    let Node::Call { op, args, .. } = node else {
        return false;
    };
    op.compares()
        && args
            .iter()
            .any(|side| matches!(run.value(side, None), Ok(None)))
}

/// The showable names of a part with their values, each once, in source order.
fn seen(node: &Node, scope: &dyn Scope) -> Option<String> {
    let mut shown: Vec<&[String]> = Vec::new();
    node.walk(&mut |n| {
        if let Node::Path { names, .. } = n
            && SHOWN_ROOTS.contains(&names[0].as_str())
            && !shown.contains(&names.as_slice())
        {
            shown.push(names);
        }
    });
    let mut out = String::new();
    for names in shown {
        if !out.is_empty() {
            out.push_str(", ");
        }
        out.push_str(&names.join("."));
        match scope.lookup(names).value.as_deref() {
            None | Some(Value::Null) => out.push_str(" absent"),
            Some(value) => {
                out.push(' ');
                out.push_str(&value.to_string());
            }
        }
    }
    (!out.is_empty()).then_some(out)
}
