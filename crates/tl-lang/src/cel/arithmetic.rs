//! The operators that compute: which types they take and give.

use tl_kernel::expr::{At, Node, Op};
use tl_kernel::value::{Type, Value};

use super::check::{Checker, Part, poison, span_error};
use super::compare::floats;
use super::{ErrorKind, types};

impl Checker<'_> {
    pub(super) fn arithmetic(&mut self, op: Op, mut left: Part, mut right: Part, at: At) -> Part {
        floats(&mut left, &mut right);
        let zero = matches!(&right.node, Node::Literal(Value::Int(0), _))
            || matches!(&right.node, Node::Literal(Value::Dec(d), _) if d.is_zero());
        if zero && matches!(op, Op::Div | Op::Rem) {
            return self.refuse(right.node.at(), ErrorKind::Literal, "a division by zero");
        }
        if let Some(ty) = result(op, &left.ty, &right.ty) {
            let args = vec![left.node, right.node];
            return Part::new(Node::Call { op, args, at }, ty);
        }
        let message = format!(
            "`{}` does not work on {} and {}",
            op.word(),
            types::word(&left.ty),
            types::word(&right.ty)
        );
        for (one, other) in [(&left, &right), (&right, &left)] {
            let wrap = match (&one.ty, &other.ty) {
                (a, b) if op == Op::Add && a.is_textual() && is_scalar(b) => "string",
                (Type::Float, Type::Dec) if op != Op::Rem => "double",
                _ => continue,
            };
            let span = self.grouped(other.node.at());
            let text = format!("{wrap}({})", other.node.at().text(self.source));
            let say = format!("write `{text}`");
            let error = span_error(span, ErrorKind::Type, message);
            self.errors.push(error.mended(text, say));
            return poison(at);
        }
        self.refuse(at, ErrorKind::Type, &message)
    }
}

fn is_scalar(t: &Type) -> bool {
    types::is_number(t) || matches!(t, Type::Bool | Type::Time | Type::Dur)
}

/// The type of `left op right`; `None` where the operator has no meaning for the types.
fn result(op: Op, left: &Type, right: &Type) -> Option<Type> {
    use Type::{Any, Dec, Dur, Float, Int, List, Text, Time};
    Some(match (op, left, right) {
        (_, Any, _) | (_, _, Any) => Any,
        (Op::Add, a, b) if a.is_textual() && b.is_textual() => Text,
        (Op::Add, List(_), List(_)) => types::either(left.clone(), right.clone()),
        (Op::Add, Time, Dur) | (Op::Add, Dur, Time) | (Op::Sub, Time, Dur) => Time,
        (Op::Add | Op::Sub, Dur, Dur) | (Op::Sub, Time, Time) => Dur,
        (_, Int, Int) => Int,
        (_, Dec, Int | Dec) | (_, Int, Dec) => Dec,
        (Op::Add | Op::Sub | Op::Mul | Op::Div, Float, Int | Float)
        | (Op::Add | Op::Sub | Op::Mul | Op::Div, Int, Float) => Float,
        _ => return None,
    })
}
