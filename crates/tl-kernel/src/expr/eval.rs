//! Evaluation of a checked expression under a scope.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::budget::Budget;
use super::{At, Each, EvalError, Node, Op, Scope, function, number};
use crate::value::{Label, Value};

/// A value that may live in the expression or in the scope; `None` is absent.
pub(super) type Got<'a> = Result<Option<Cow<'a, Value>>, EvalError>;

/// One evaluation: what is left of its budget and the labels it has met.
pub(super) struct Run<'s> {
    scope: &'s dyn Scope,
    pub(super) budget: Budget,
    label: Label,
}

impl<'s> Run<'s> {
    pub(super) fn new(scope: &'s dyn Scope) -> Self {
        Run {
            scope,
            budget: Budget::new(),
            label: Label::Config,
        }
    }

    /// The join of the labels met since the last call.
    pub(super) fn take_label(&mut self) -> Label {
        std::mem::take(&mut self.label)
    }

    /// The value of a node. `item` is the loop variable's value inside the body of an [`Node::Each`].
    pub(super) fn value<'a>(&mut self, node: &'a Node, item: Option<&'a Value>) -> Got<'a>
    where
        's: 'a,
    {
        self.budget.steps(1)?;
        match node {
            Node::Literal(value, _) => Ok(Some(Cow::Borrowed(value))),
            Node::Path { names, .. } => {
                let found = self.scope.lookup(names);
                self.label = self.label.join(found.label);
                if let Some(Cow::Owned(made)) = &found.value {
                    self.budget.copy(made)?;
                }
                Ok(found.value)
            }
            Node::Item { names, .. } => Ok(item.and_then(|v| v.at(names)).map(Cow::Borrowed)),
            Node::Select { of, name, .. } => {
                let of = self.value(of, item)?;
                self.part(of, |v| v.at(std::slice::from_ref(name)))
            }
            Node::Has(inner, _) => {
                let there = self.value(inner, item)?.is_some();
                Ok(Some(Cow::Owned(Value::Bool(there))))
            }
            Node::Call { op, args, at } => self.call(*op, args, *at, item),
            Node::List(nodes, _) => self.list(nodes, item),
            Node::Map(entries, _) => self.map(entries, item),
            Node::Matches {
                text,
                pattern,
                capture,
                at,
            } => {
                let Some(text) = self.value(text, item)? else {
                    return Ok(None);
                };
                match text.as_ref() {
                    Value::Null => Ok(None),
                    Value::Text(text) => {
                        self.budget.pattern(text.len(), pattern.weight())?;
                        if *capture {
                            let Some(found) = pattern.first_group(text) else {
                                return Ok(None);
                            };
                            self.budget.room(found.len())?;
                            return Ok(Some(Cow::Owned(Value::text(found))));
                        }
                        Ok(Some(Cow::Owned(Value::Bool(pattern.is_match(text)))))
                    }
                    other => Err(wrong(
                        if *capture { "capture" } else { "matches" },
                        &[other],
                        *at,
                    )),
                }
            }
            Node::Each {
                what,
                over,
                body,
                at,
            } => {
                let Some(over) = self.value(over, item)? else {
                    return Ok(None);
                };
                self.each(*what, over, body, *at)
            }
        }
    }

    /// The value of a node as a condition; `None` is absent.
    pub(super) fn condition<'a>(
        &mut self,
        node: &'a Node,
        item: Option<&'a Value>,
    ) -> Result<Option<bool>, EvalError>
    where
        's: 'a,
    {
        match self.value(node, item)?.as_deref() {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(held)) => Ok(Some(*held)),
            Some(other) => Err(wrong("a condition", &[other], node.at())),
        }
    }

    fn call<'a>(&mut self, op: Op, args: &'a [Node], at: At, item: Option<&'a Value>) -> Got<'a>
    where
        's: 'a,
    {
        match (op, args) {
            (Op::And | Op::Or, _) => self.logic(args, op == Op::Or, item),
            (Op::Cond, [test, yes, no]) => {
                let held = self.condition(test, item)?.unwrap_or(false);
                self.value(if held { yes } else { no }, item)
            }
            (Op::Not, [inner]) => {
                let held = self.condition(inner, item)?.unwrap_or(false);
                Ok(Some(Cow::Owned(Value::Bool(!held))))
            }
            (Op::IsNull | Op::NotNull, [inner]) => {
                let null = matches!(
                    self.value(inner, item)?.as_deref(),
                    None | Some(Value::Null)
                );
                Ok(Some(Cow::Owned(Value::Bool(null == (op == Op::IsNull)))))
            }
            (Op::Index, [of, index]) => self.index(of, index, at, item),
            (_, [one]) => match self.value(one, item)? {
                None => Ok(None),
                Some(v) if *v == Value::Null => Ok(None),
                Some(v) => function::unary(op, v, at, &mut self.budget).map(Some),
            },
            (_, [left, right]) => {
                let left = self.value(left, item)?;
                let right = self.value(right, item)?;
                self.binary(op, left, right, at)
            }
            _ => Err(EvalError::Type {
                op: op.word(),
                got: format!("{} operands", args.len()),
                at,
            }),
        }
    }

    /// `&&` and `||`. A part that decides wins over a part that fails, whichever comes first.
    fn logic<'a>(&mut self, args: &'a [Node], or: bool, item: Option<&'a Value>) -> Got<'a>
    where
        's: 'a,
    {
        let mut failed = None;
        for arg in args {
            match self.condition(arg, item) {
                Ok(held) if held.unwrap_or(false) == or => {
                    return Ok(Some(Cow::Owned(Value::Bool(or))));
                }
                Ok(_) => {}
                Err(EvalError::Budget) => return Err(EvalError::Budget),
                Err(e) => failed = failed.or(Some(e)),
            }
        }
        match failed {
            Some(e) => Err(e),
            None => Ok(Some(Cow::Owned(Value::Bool(!or)))),
        }
    }

    fn binary<'a>(
        &mut self,
        op: Op,
        left: Option<Cow<'a, Value>>,
        right: Option<Cow<'a, Value>>,
        at: At,
    ) -> Got<'a> {
        let no = || Ok(op.compares().then_some(Cow::Owned(Value::Bool(false))));
        let (Some(left), Some(right)) = (left, right) else {
            return no();
        };
        let holds = match op {
            Op::Eq => number::equal(&left, &right, &mut self.budget)?,
            Op::Ne => !number::equal(&left, &right, &mut self.budget)?,
            Op::In => match right.as_ref() {
                Value::Null => false,
                list => number::holds(list, &left, at, &mut self.budget)?,
            },
            _ if *left == Value::Null || *right == Value::Null => return no(),
            Op::Lt | Op::Le | Op::Gt | Op::Ge => {
                self.budget.scan(text_len(&left).min(text_len(&right)))?;
                number::weigh(&left, &right, &mut self.budget)?;
                let Some(order) = number::order(&left, &right) else {
                    return Err(wrong(op.word(), &[&left, &right], at));
                };
                match op {
                    Op::Lt => order.is_lt(),
                    Op::Le => order.is_le(),
                    Op::Gt => order.is_gt(),
                    _ => order.is_ge(),
                }
            }
            Op::Contains | Op::StartsWith | Op::EndsWith => {
                function::search(op, (&left, &right), at, &mut self.budget)?
            }
            Op::Add => return function::add(left, right, at, &mut self.budget).map(Some),
            _ => return number::arithmetic(op, &left, &right, at).map(|v| Some(Cow::Owned(v))),
        };
        Ok(Some(Cow::Owned(Value::Bool(holds))))
    }

    fn index<'a>(
        &mut self,
        of: &'a Node,
        index: &'a Node,
        at: At,
        item: Option<&'a Value>,
    ) -> Got<'a>
    where
        's: 'a,
    {
        let of = self.value(of, item)?;
        let index = self.value(index, item)?;
        let (Some(of), Some(index)) = (of, index) else {
            return Ok(None);
        };
        match (of.as_ref(), index.as_ref()) {
            (Value::Null, _) | (_, Value::Null) => Ok(None),
            (Value::List(_), Value::Int(i)) => self.part(Some(of), |v| match v {
                Value::List(items) => items.get(usize::try_from(*i).ok()?),
                _ => None,
            }),
            (Value::Record(_), Value::Text(name)) => {
                self.part(Some(of), |v| v.at(std::slice::from_ref(name)))
            }
            (of, index) => Err(wrong("[]", &[of, index], at)),
        }
    }

    /// A part of a value: borrowed where the whole is borrowed, a copy where the whole goes away.
    fn part<'a>(
        &mut self,
        of: Option<Cow<'a, Value>>,
        pick: impl Fn(&Value) -> Option<&Value>,
    ) -> Got<'a> {
        match of {
            None => Ok(None),
            Some(Cow::Borrowed(of)) => Ok(pick(of).map(Cow::Borrowed)),
            Some(Cow::Owned(of)) => match pick(&of) {
                None => Ok(None),
                Some(part) => {
                    self.budget.copy(part)?;
                    Ok(Some(Cow::Owned(part.clone())))
                }
            },
        }
    }

    fn list<'a>(&mut self, nodes: &'a [Node], item: Option<&'a Value>) -> Got<'a>
    where
        's: 'a,
    {
        self.budget.list(nodes.len())?;
        let mut out = Vec::with_capacity(nodes.len());
        for node in nodes {
            if let Some(value) = self.value(node, item)? {
                out.push(self.budget.own(value)?);
            }
        }
        Ok(Some(Cow::Owned(Value::List(out))))
    }

    fn map<'a>(&mut self, entries: &'a [(String, Node)], item: Option<&'a Value>) -> Got<'a>
    where
        's: 'a,
    {
        self.budget.record(entries.len())?;
        let mut out = BTreeMap::new();
        for (name, node) in entries {
            if let Some(value) = self.value(node, item)? {
                self.budget.room(name.len())?;
                out.insert(name.clone(), self.budget.own(value)?);
            }
        }
        Ok(Some(Cow::Owned(Value::Record(out))))
    }

    fn each<'a>(&mut self, what: Each, over: Cow<'a, Value>, body: &'a Node, at: At) -> Got<'a>
    where
        's: 'a,
    {
        let keys: Vec<Value>;
        let items: &[Value] = match over.as_ref() {
            Value::Null => return Ok(None),
            Value::List(items) => items,
            Value::Record(parts) => {
                self.budget.list(parts.len())?;
                for name in parts.keys() {
                    self.budget.room(name.len())?;
                }
                keys = parts.keys().map(Value::text).collect();
                &keys
            }
            other => return Err(wrong("a loop", &[other], at)),
        };
        let result = match what {
            Each::Exists => Value::Bool(self.decided(items, body, true)?),
            Each::All => Value::Bool(!self.decided(items, body, false)?),
            Each::ExistsOne => {
                let mut count = 0;
                for x in items {
                    count += usize::from(self.condition(body, Some(x))?.unwrap_or(false));
                }
                Value::Bool(count == 1)
            }
            Each::Filter => {
                self.budget.list(items.len())?;
                let mut out = Vec::with_capacity(items.len());
                for x in items {
                    if self.condition(body, Some(x))?.unwrap_or(false) {
                        self.budget.copy(x)?;
                        out.push(x.clone());
                    }
                }
                Value::List(out)
            }
            Each::Map => {
                self.budget.list(items.len())?;
                let mut out = Vec::with_capacity(items.len());
                for x in items {
                    if let Some(value) = self.value(body, Some(x))? {
                        out.push(self.budget.own(value)?);
                    }
                }
                Value::List(out)
            }
        };
        Ok(Some(Cow::Owned(result)))
    }

    /// Whether the body is `wanted` for some element. As with `||`, an element that decides wins over one
    /// that fails.
    fn decided(&mut self, items: &[Value], body: &Node, wanted: bool) -> Result<bool, EvalError> {
        let mut failed = None;
        for x in items {
            match self.condition(body, Some(x)) {
                Ok(held) if held.unwrap_or(false) == wanted => return Ok(true),
                Ok(_) => {}
                Err(EvalError::Budget) => return Err(EvalError::Budget),
                Err(e) => failed = failed.or(Some(e)),
            }
        }
        failed.map_or(Ok(false), Err)
    }
}

fn text_len(value: &Value) -> usize {
    value.as_text().map_or(0, str::len)
}

/// The error for operands without a meaning; it names types, never values.
pub(super) fn wrong(op: &'static str, got: &[&Value], at: At) -> EvalError {
    let names: Vec<&str> = got.iter().map(|v| v.type_name()).collect();
    EvalError::Type {
        op,
        got: names.join(" and "),
        at,
    }
}
