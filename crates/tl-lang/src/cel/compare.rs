//! The operators: which types go together, and what is meant where they do not.

use cel::common::ast::{CallExpr, Expr as Parsed, IdedExpr, operators};
use tl_kernel::expr::{At, Node, Op};
use tl_kernel::time::{parse_duration, parse_rfc3339};
use tl_kernel::value::{Type, Value};

use super::check::{Checker, Part, poison, span_error};
use super::{ErrorKind, ExprError, literal, types};

fn op(name: &str) -> Option<Op> {
    Some(match name {
        operators::LOGICAL_AND => Op::And,
        operators::LOGICAL_OR => Op::Or,
        operators::LOGICAL_NOT => Op::Not,
        operators::CONDITIONAL => Op::Cond,
        operators::EQUALS => Op::Eq,
        operators::NOT_EQUALS => Op::Ne,
        operators::LESS => Op::Lt,
        operators::LESS_EQUALS => Op::Le,
        operators::GREATER => Op::Gt,
        operators::GREATER_EQUALS => Op::Ge,
        operators::IN => Op::In,
        operators::ADD => Op::Add,
        operators::SUBSTRACT => Op::Sub,
        operators::MULTIPLY => Op::Mul,
        operators::DIVIDE => Op::Div,
        operators::MODULO => Op::Rem,
        operators::NEGATE => Op::Neg,
        _ => return None,
    })
}

impl Checker<'_> {
    pub(super) fn operator(
        &mut self,
        tree: &IdedExpr,
        call: &CallExpr,
        beside: Option<&Type>,
    ) -> Part {
        let found = op(&call.func_name);
        match (found, call.args.as_slice()) {
            (Some(op @ (Op::And | Op::Or)), _) => {
                let mut nodes = Vec::new();
                let at = self.gather(tree, &call.func_name, &mut nodes);
                let node = Node::Call {
                    op,
                    args: nodes,
                    at,
                };
                Part::new(node, Type::Bool)
            }
            (Some(op @ (Op::Not | Op::Neg)), [inner]) => self.unary(tree, op, inner),
            (Some(Op::Cond), [test, yes, no]) => self.choice([test, yes, no], beside),
            (Some(op), [left, right]) => {
                let left = self.part(left);
                let right = self.part_beside(right, Some(&left.ty));
                let at = self.spanning(left.node.at(), right.node.at());
                match op {
                    Op::Eq | Op::Ne => self.equality(op, left, right, at),
                    Op::In => self.membership(left, right, at),
                    Op::Lt | Op::Le | Op::Gt | Op::Ge => self.order(op, left, right, at),
                    _ => self.arithmetic(op, left, right, at),
                }
            }
            _ => {
                let at = self.token(tree);
                self.refuse(
                    at,
                    ErrorKind::Unsupported,
                    "this operator does not exist here",
                )
            }
        }
    }

    /// The parts of a run of one logical operator, in order; the span of the whole.
    fn gather(&mut self, tree: &IdedExpr, name: &str, nodes: &mut Vec<Node>) -> At {
        if let Parsed::Call(call) = &tree.expr
            && call.func_name == name
            && let [left, right] = call.args.as_slice()
        {
            let first = self.gather(left, name, nodes);
            let last = self.gather(right, name, nodes);
            return self.spanning(first, last);
        }
        let mut part = self.part(tree);
        let at = part.node.at();
        self.wanted(&mut part, &Type::Bool);
        nodes.push(part.node);
        at
    }

    fn unary(&mut self, tree: &IdedExpr, op: Op, inner: &IdedExpr) -> Part {
        let mut part = self.part(inner);
        let at = At {
            start: self.token(tree).start,
            end: self.grouped(part.node.at()).end,
        };
        let ty = match op {
            Op::Not => {
                self.wanted(&mut part, &Type::Bool);
                Type::Bool
            }
            _ if types::is_number(&part.ty) || matches!(part.ty, Type::Dur | Type::Any) => part.ty,
            _ => {
                let message = format!("`-` does not work on {}", types::word(&part.ty));
                return self.refuse(at, ErrorKind::Type, &message);
            }
        };
        let args = vec![part.node];
        Part::new(Node::Call { op, args, at }, ty)
    }

    fn choice(&mut self, [test, yes, no]: [&IdedExpr; 3], beside: Option<&Type>) -> Part {
        let mut test = self.part(test);
        self.wanted(&mut test, &Type::Bool);
        let yes = self.part_beside(yes, beside);
        let no = self.part_beside(no, beside);
        let at = self.spanning(test.node.at(), no.node.at());
        let texts = match (yes.texts, no.texts) {
            (Some(mut a), Some(b)) => {
                a.extend(b);
                Some(a)
            }
            _ => None,
        };
        let node = Node::Call {
            op: Op::Cond,
            args: vec![test.node, yes.node, no.node],
            at,
        };
        Part {
            node,
            ty: types::either(yes.ty, no.ty),
            texts,
        }
    }

    fn equality(&mut self, op: Op, mut left: Part, mut right: Part, at: At) -> Part {
        let null = if op == Op::Eq {
            Op::IsNull
        } else {
            Op::NotNull
        };
        for (side, other) in [(&right, &left), (&left, &right)] {
            if side.ty == Type::Null {
                let args = vec![other.node.clone()];
                return Part::new(Node::Call { op: null, args, at }, Type::Bool);
            }
        }
        floats(&mut left, &mut right);
        if !self.values_fit(&left, &right) || !self.values_fit(&right, &left) {
            return poison(at);
        }
        if !types::comparable(&left.ty, &right.ty) {
            let error = self.mismatch(op, &left, &right, at);
            self.errors.push(error);
            return poison(at);
        }
        if let (Type::Enum(a), Type::Enum(b)) = (&left.ty, &right.ty)
            && !a.iter().any(|v| b.contains(v))
        {
            let message = "these two have no value in common and are never equal";
            return self.refuse(at, ErrorKind::Type, message);
        }
        comparison(op, left, right, at)
    }

    /// Where one side is an enum and the other is written in the file: whether the text is a value.
    fn values_fit(&mut self, side: &Part, written: &Part) -> bool {
        let (Type::Enum(values), Some(texts)) = (&side.ty, &written.texts) else {
            return true;
        };
        let before = self.errors.len();
        for text in texts.iter().filter(|t| !values.contains(t)) {
            self.not_a_value(written, text, values);
        }
        self.errors.len() == before
    }

    fn order(&mut self, op: Op, mut left: Part, mut right: Part, at: At) -> Part {
        floats(&mut left, &mut right);
        if let Type::Enum(values) = &left.ty {
            let message = "the values of an enum have no order";
            let error = span_error(at, ErrorKind::Type, message);
            let error = match in_order(op, values, &right) {
                Some(kept) => {
                    let name = self.grouped(left.node.at()).text(self.source);
                    let text = format!("{name} in [{kept}]");
                    error.mended(text, "name the values")
                }
                None => error,
            };
            self.errors.push(error);
            return poison(at);
        }
        let ordered = |t: &Type| {
            !matches!(
                t,
                Type::Enum(_) | Type::List(_) | Type::Record(_) | Type::Null
            )
        };
        if let Some(bad) = [&left, &right].into_iter().find(|p| !ordered(&p.ty)) {
            let message = format!("`{}` does not work on {}", op.word(), types::word(&bad.ty));
            return self.refuse(bad.node.at(), ErrorKind::Type, &message);
        }
        if let Some(error) = self.chained(op, &left, &right, at) {
            self.errors.push(error);
            return poison(at);
        }
        if !types::comparable(&left.ty, &right.ty) {
            let error = self.mismatch(op, &left, &right, at);
            self.errors.push(error);
            return poison(at);
        }
        if let Some(part) = below(op, &left, &right, at) {
            return part;
        }
        comparison(op, left, right, at)
    }

    /// `a < b < c`, which compares true or false with `c`.
    fn chained(&self, op: Op, left: &Part, right: &Part, at: At) -> Option<ExprError> {
        let Node::Call {
            op: Op::Lt | Op::Le | Op::Gt | Op::Ge,
            args,
            at: first,
        } = &left.node
        else {
            return None;
        };
        let middle = self.grouped(args.get(1)?.at()).text(self.source);
        let last = self.grouped(right.node.at()).text(self.source);
        let text = format!(
            "{} && {middle} {} {last}",
            first.text(self.source),
            op.word()
        );
        let error = span_error(at, ErrorKind::Type, "comparisons do not form chains");
        Some(error.mended(text, "write two comparisons"))
    }

    fn membership(&mut self, left: Part, mut right: Part, at: At) -> Part {
        match &right.ty {
            Type::Any => {}
            Type::Record(_) if left.ty == Type::Any || left.ty.is_textual() => {}
            Type::List(element) => {
                if !self.elements_fit(&left, &mut right.node) {
                    return poison(at);
                }
                if !types::comparable(&left.ty, element) {
                    let message = format!(
                        "{} is never in {}",
                        types::word(&left.ty),
                        types::word(&right.ty)
                    );
                    return self.refuse(at, ErrorKind::Type, &message);
                }
            }
            other => {
                let message = format!("`in` looks into a list; this is {}", types::word(other));
                let error = span_error(right.node.at(), ErrorKind::Type, message);
                let error = if other.is_textual() && left.ty.is_textual() {
                    let [l, r] =
                        [&left, &right].map(|p| self.grouped(p.node.at()).text(self.source));
                    let text = format!("{r}.contains({l})");
                    ExprError {
                        start: at.start as usize,
                        end: at.end as usize,
                        ..error
                    }
                    .mended(text, "to look into a text, use `contains`")
                } else {
                    error
                };
                self.errors.push(error);
                return poison(at);
            }
        }
        comparison(Op::In, left, right, at)
    }

    /// Checks the elements of a list that is written in the file, each at its place.
    fn elements_fit(&mut self, left: &Part, list: &mut Node) -> bool {
        let Node::List(nodes, _) = list else {
            return true;
        };
        let before = self.errors.len();
        for node in nodes {
            let Node::Literal(value, _) = &*node else {
                continue;
            };
            let ty = literal_type(value);
            let texts = value.as_text().map(|t| vec![t.to_string()]);
            let mut element = Part {
                node: node.clone(),
                ty,
                texts,
            };
            if left.ty == Type::Float && element.ty == Type::Dec {
                self.wanted(&mut element, &Type::Float);
                *node = element.node;
            } else if !types::comparable(&left.ty, &element.ty) {
                let error = self.mismatch(Op::Eq, left, &element, element.node.at());
                self.errors.push(error);
            } else {
                self.values_fit(left, &element);
            }
        }
        self.errors.len() == before
    }

    /// The error for two types that are never compared, with the mend where one side is a constant that
    /// reads as the type of the other.
    fn mismatch(&self, op: Op, left: &Part, right: &Part, at: At) -> ExprError {
        let message = format!(
            "{} is never compared with {}",
            types::word(&left.ty),
            types::word(&right.ty)
        );
        for (side, constant) in [(left, right), (right, left)] {
            if let Node::Literal(value, span) = &constant.node
                && let Some(text) = rewritten(&side.ty, value, span.text(self.source))
            {
                let say = format!("write `{text}`");
                return span_error(*span, ErrorKind::Type, message).mended(text, say);
            }
        }
        let error = span_error(at, ErrorKind::Type, message);
        for (list, element) in [(left, right), (right, left)] {
            if let Type::List(t) = &list.ty
                && op == Op::Eq
                && types::comparable(t, &element.ty)
            {
                let [e, l] = [element, list].map(|p| self.grouped(p.node.at()).text(self.source));
                let text = format!("{e} in {l}");
                return error.mended(text, "to look into a list, use `in`");
            }
        }
        error
    }
}

/// A constant as the type it is compared with.
fn rewritten(beside: &Type, value: &Value, written: &str) -> Option<String> {
    match (beside, value) {
        (t, Value::Int(_) | Value::Dec(_) | Value::Bool(_)) if t.is_textual() => {
            Some(literal::quoted(written))
        }
        (Type::Bool, Value::Int(i @ (0 | 1))) => Some((*i == 1).to_string()),
        (Type::Bool, Value::Text(t)) if t == "true" || t == "false" => Some(t.clone()),
        (t, Value::Text(text)) if types::is_number(t) => {
            let whole = text.parse::<i64>().is_ok();
            let exact = text.contains('.') && literal::decimal(text, false).is_some();
            (whole || exact).then(|| text.clone())
        }
        (Type::Dur, Value::Text(t)) if parse_duration(t).is_some() => {
            Some(format!("duration({written})"))
        }
        (Type::Time, Value::Text(t)) if parse_rfc3339(t).is_some() => {
            Some(format!("timestamp({written})"))
        }
        _ => None,
    }
}

/// The values of an enum that an order would keep, taking them in the order they are declared.
fn in_order(op: Op, values: &[String], limit: &Part) -> Option<String> {
    let [limit] = limit.texts.as_deref()? else {
        return None;
    };
    let at = values.iter().position(|v| v == limit)?;
    let kept = match op {
        Op::Lt => &values[..at],
        Op::Le => &values[..=at],
        Op::Gt => &values[at + 1..],
        _ => &values[at..],
    };
    let quoted: Vec<String> = kept.iter().map(|v| literal::quoted(v)).collect();
    (!quoted.is_empty()).then(|| quoted.join(", "))
}

fn comparison(op: Op, left: Part, right: Part, at: At) -> Part {
    let args = vec![left.node, right.node];
    Part::new(Node::Call { op, args, at }, Type::Bool)
}

/// A decimal constant beside a float becomes a float.
pub(super) fn floats(left: &mut Part, right: &mut Part) {
    if left.ty == Type::Float {
        right.decimal_to_float();
    }
    if right.ty == Type::Float {
        left.decimal_to_float();
    }
}

fn literal_type(value: &Value) -> Type {
    match value {
        Value::Bool(_) => Type::Bool,
        Value::Int(_) => Type::Int,
        Value::Dec(_) => Type::Dec,
        Value::Float(_) => Type::Float,
        Value::Text(_) => Type::Text,
        Value::Time(_) => Type::Time,
        Value::Dur(_) => Type::Dur,
        Value::Null => Type::Null,
        Value::List(_) | Value::Record(_) => Type::Any,
    }
}

/// An absent confidence is below every threshold: `confidence < x` is the opposite of `confidence >= x`, which is
/// false of what is absent, and not a comparison of its own. `x` is the threshold or a number of the file, which are
/// never absent.
fn below(op: Op, left: &Part, right: &Part, at: At) -> Option<Part> {
    let (confidence, other, opposite) = match op {
        Op::Lt => (left, right, Op::Ge),
        Op::Le => (left, right, Op::Gt),
        Op::Gt => (right, left, Op::Le),
        Op::Ge => (right, left, Op::Lt),
        _ => return None,
    };
    let is = |part: &Part, name: &str| matches!(&part.node, Node::Path { names, .. } if names.as_slice() == [name]);
    let known = is(other, "threshold") || matches!(other.node, Node::Literal(..));
    if !(is(confidence, "confidence") && known) {
        return None;
    }
    let args = vec![left.node.clone(), right.node.clone()];
    let above = Node::Call {
        op: opposite,
        args,
        at,
    };
    let node = Node::Call {
        op: Op::Not,
        args: vec![above],
        at,
    };
    Some(Part::new(node, Type::Bool))
}
