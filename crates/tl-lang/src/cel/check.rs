//! The checker: from the parser's tree to the kernel's nodes, with names resolved and types known.

use cel::common::ast::{
    CallExpr, EntryExpr, Expr as Parsed, IdedExpr, LiteralValue, SourceInfo, operators,
};
use tl_kernel::expr::{At, Each, Expr, Node, Op};
use tl_kernel::value::{Type, Value};

use super::scan::{self, Tokens};
use super::{ErrorKind, ExprError, MAX_NODES, Schema, literal, syntax, types};

/// A checked part of an expression.
pub(super) struct Part {
    pub(super) node: Node,
    pub(super) ty: Type,
    /// The texts it can be, where they are all written in the expression.
    pub(super) texts: Option<Vec<String>>,
}

impl Part {
    pub(super) fn new(node: Node, ty: Type) -> Self {
        Part {
            node,
            ty,
            texts: None,
        }
    }

    /// A decimal constant that stands where a float is meant becomes the nearest float.
    pub(super) fn decimal_to_float(&mut self) {
        if let Node::Literal(value, _) = &mut self.node
            && let Some(float) = literal::as_float(value)
        {
            *value = float;
            self.ty = Type::Float;
        }
    }

    pub(super) fn span(&self) -> (usize, usize) {
        let at = self.node.at();
        (at.start as usize, at.end as usize)
    }
}

/// One check of one expression.
pub(super) struct Checker<'a> {
    pub(super) source: &'a str,
    pub(super) schema: &'a Schema,
    pub(super) tokens: &'a Tokens,
    pub(super) info: &'a SourceInfo,
    pub(super) errors: Vec<ExprError>,
    /// The loop variable, inside a loop.
    pub(super) item: Option<(String, Type)>,
    nodes: usize,
}

/// Parses and checks. `want` is the type the value must fit.
pub(super) fn checked(
    source: &str,
    schema: &Schema,
    want: Option<&Type>,
) -> Result<(Expr, Type), Vec<ExprError>> {
    let tokens = scan::scan(source).map_err(|e| vec![e])?;
    if tokens.list.is_empty() {
        let error = ExprError::new(
            (0, source.len()),
            ErrorKind::Syntax,
            "an expression is missing",
        );
        return Err(vec![error]);
    }
    // An environment without macros leaves `has`, `exists` and their like as the calls they are written as.
    let parser = cel::Env::default().with_optional_support(false).parser();
    let (tree, info) = parser
        .parse_with_source_info(source)
        .map_err(|e| vec![syntax::error(source, &tokens, &e)])?;
    let mut checker = Checker {
        source,
        schema,
        tokens: &tokens,
        info: &info,
        errors: Vec::new(),
        item: None,
        nodes: 0,
    };
    let mut part = checker.part_beside(&tree, want);
    if let Some(want) = want {
        checker.wanted(&mut part, want);
    }
    if checker.nodes > MAX_NODES {
        let message = format!("an expression has at most {MAX_NODES} parts; split it");
        let error = ExprError::new((0, source.len()), ErrorKind::TooMany, message);
        checker.errors.push(error);
    }
    if checker.errors.is_empty() {
        let expr = Expr {
            source: source.to_string(),
            root: part.node,
        };
        return Ok((expr, part.ty));
    }
    checker.errors.sort_by_key(|e| (e.start, e.end));
    Err(checker.errors)
}

impl Checker<'_> {
    /// Checks one node of the parser's tree.
    pub(super) fn part(&mut self, tree: &IdedExpr) -> Part {
        self.part_beside(tree, None)
    }

    /// Checks one node that is to be compared with a value of type `beside`: what an unknown name was
    /// meant to be depends on it.
    pub(super) fn part_beside(&mut self, tree: &IdedExpr, beside: Option<&Type>) -> Part {
        self.nodes += 1;
        match &tree.expr {
            Parsed::Literal(value) => self.literal(tree, value),
            Parsed::Ident(name) => self.root(name, self.token(tree), beside),
            Parsed::Select(_) => self.member(tree),
            Parsed::Call(call) => match (&call.target, call.func_name.as_str()) {
                (None, operators::INDEX) => self.member(tree),
                (None, "has") => self.has(tree, call),
                (Some(over), name) if each(name).is_some() => self.each(tree, over, call),
                (Some(_), _) => self.function(tree, call),
                (None, name) if is_name(name) => self.function(tree, call),
                _ => self.operator(tree, call, beside),
            },
            Parsed::List(list) => self.list(tree, &list.elements, beside),
            Parsed::Map(map) => self.map(tree, map.entries.iter().map(|e| &e.expr)),
            Parsed::Struct(_) | Parsed::Comprehension(_) | Parsed::Unspecified => {
                let at = self.token(tree);
                self.refuse(at, ErrorKind::Unsupported, "messages do not exist here")
            }
        }
    }

    fn list(&mut self, tree: &IdedExpr, elements: &[IdedExpr], beside: Option<&Type>) -> Part {
        let (mut nodes, mut ty) = (Vec::with_capacity(elements.len()), None);
        for element in elements {
            let part = self.part_beside(element, beside);
            ty = Some(match ty {
                None => part.ty,
                Some(t) => types::either(t, part.ty),
            });
            nodes.push(part.node);
        }
        let list = Type::List(Box::new(ty.unwrap_or(Type::Any)));
        Part::new(Node::List(nodes, self.bracketed(tree)), list)
    }

    fn literal(&mut self, tree: &IdedExpr, value: &LiteralValue) -> Part {
        let mut at = self.token(tree);
        let negative = match value {
            LiteralValue::Int(i) => *i.inner() < 0,
            LiteralValue::Double(d) => d.inner().is_sign_negative(),
            _ => false,
        };
        let written = at.text(self.source);
        if negative && let Some(i) = self.tokens.starting_at(at.start as usize) {
            at.start = self.tokens.list[i.saturating_sub(1)].start as u32;
        }
        let (value, ty) = match value {
            LiteralValue::Boolean(b) => (Value::Bool(*b.inner()), Type::Bool),
            LiteralValue::Int(i) => (Value::Int(*i.inner()), Type::Int),
            LiteralValue::Null => (Value::Null, Type::Null),
            LiteralValue::Double(_) => match literal::decimal(written, negative) {
                Some(d) => (Value::Dec(d), Type::Dec),
                None => {
                    let message = "the number has more digits than a decimal holds";
                    return self.refuse(at, ErrorKind::Literal, message);
                }
            },
            LiteralValue::String(text) => {
                let text = text.inner();
                if text.contains('\0') {
                    return self.refuse(
                        at,
                        ErrorKind::Literal,
                        "a text cannot hold the character 0",
                    );
                }
                let mut part = Part::new(Node::Literal(Value::text(text), at), Type::Text);
                part.texts = Some(vec![text.to_string()]);
                return part;
            }
            LiteralValue::UInt(_) => {
                let error =
                    span_error(at, ErrorKind::Unsupported, "whole numbers have no `u` here");
                let plain = written.trim_end_matches(['u', 'U']);
                self.errors.push(error.mended(plain, "remove the `u`"));
                return poison(at);
            }
            LiteralValue::Bytes(_) => {
                let message = "bytes do not exist here; texts do";
                let error = span_error(at, ErrorKind::Unsupported, message);
                let plain = written.replacen(['b', 'B'], "", 1);
                self.errors.push(error.mended(plain, "remove the `b`"));
                return poison(at);
            }
        };
        Part::new(Node::Literal(value, at), ty)
    }

    fn map<'t>(&mut self, tree: &IdedExpr, entries: impl Iterator<Item = &'t EntryExpr>) -> Part {
        let at = self.bracketed(tree);
        let (mut nodes, mut parts) = (Vec::new(), std::collections::BTreeMap::new());
        for entry in entries {
            let EntryExpr::MapEntry(entry) = entry else {
                return self.refuse(at, ErrorKind::Unsupported, "messages do not exist here");
            };
            let Parsed::Literal(LiteralValue::String(name)) = &entry.key.expr else {
                let key = self.part(&entry.key).node.at();
                return self.refuse(key, ErrorKind::Unsupported, "a key is a text in quotes");
            };
            let name = name.inner().to_string();
            let value = self.part(&entry.value);
            if parts.insert(name.clone(), value.ty).is_some() {
                let key = self.token(&entry.key);
                return self.refuse(key, ErrorKind::Literal, "this key is already there");
            }
            nodes.push((name, value.node));
        }
        Part::new(Node::Map(nodes, at), Type::Record(parts))
    }

    fn has(&mut self, tree: &IdedExpr, call: &CallExpr) -> Part {
        let at = self.called(tree, None);
        let [inner] = call.args.as_slice() else {
            return self.arity(at, "has", 1, call.args.len());
        };
        let part = self.part(inner);
        match part.node {
            Node::Path { .. } | Node::Item { .. } | Node::Select { .. } => {}
            Node::Call { op: Op::Index, .. } => {}
            Node::Literal(..) if !self.errors.is_empty() => {}
            other => {
                let message = "`has` asks about a name, such as `has(record.country)`";
                return self.refuse(other.at(), ErrorKind::Type, message);
            }
        }
        Part::new(Node::Has(Box::new(part.node), at), Type::Bool)
    }

    fn each(&mut self, tree: &IdedExpr, over: &IdedExpr, call: &CallExpr) -> Part {
        let what = each(&call.func_name).unwrap_or(Each::Exists);
        let over = self.part(over);
        let at = self.called(tree, Some(&over));
        let [name, body] = call.args.as_slice() else {
            return self.arity(at, &call.func_name, 2, call.args.len());
        };
        let Parsed::Ident(variable) = &name.expr else {
            let span = self.token(name);
            let message =
                "a plain name for the element is expected, as in `tags.exists(t, t == 'vip')`";
            return self.refuse(span, ErrorKind::Syntax, message);
        };
        if self.item.is_some() {
            let message = "a loop inside a loop is not allowed; its cost has no bound";
            return self.refuse(at, ErrorKind::NestedLoop, message);
        }
        let element = match &over.ty {
            Type::List(t) => (**t).clone(),
            Type::Record(_) => Type::Text,
            Type::Any => Type::Any,
            other => {
                let message = format!(
                    "`{}` goes over a list; this is {}",
                    call.func_name,
                    types::word(other)
                );
                return self.refuse(over.node.at(), ErrorKind::Type, &message);
            }
        };
        self.item = Some((variable.clone(), element.clone()));
        let mut body = self.part(body);
        self.item = None;
        let ty = match what {
            Each::Map => Type::List(Box::new(body.ty.clone())),
            Each::Filter => Type::List(Box::new(element)),
            _ => Type::Bool,
        };
        if what != Each::Map {
            self.wanted(&mut body, &Type::Bool);
        }
        let node = Node::Each {
            what,
            over: Box::new(over.node),
            body: Box::new(body.node),
            at,
        };
        Part::new(node, ty)
    }

    pub(super) fn arity(&mut self, at: At, name: &str, takes: usize, given: usize) -> Part {
        let s = if takes == 1 { "" } else { "s" };
        let message = format!("`{name}` takes {takes} argument{s}; here it has {given}");
        self.refuse(at, ErrorKind::Arity, &message)
    }

    /// Reports an error and stands in for the part, so that one error is told once.
    pub(super) fn refuse(&mut self, at: At, code: ErrorKind, message: &str) -> Part {
        self.errors.push(span_error(at, code, message));
        poison(at)
    }
}

/// True for what a person can have written as the name of a function; operators have other names.
fn is_name(name: &str) -> bool {
    name.bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.')
}

/// The loops by name.
pub(super) fn each(name: &str) -> Option<Each> {
    Some(match name {
        "exists" => Each::Exists,
        "exists_one" | "existsOne" => Each::ExistsOne,
        "all" => Each::All,
        "filter" => Each::Filter,
        "map" => Each::Map,
        _ => return None,
    })
}

pub(super) fn span_error(at: At, code: ErrorKind, message: impl Into<String>) -> ExprError {
    ExprError::new((at.start as usize, at.end as usize), code, message)
}

/// A part that goes with everything.
pub(super) fn poison(at: At) -> Part {
    Part::new(Node::Literal(Value::Null, at), Type::Any)
}
