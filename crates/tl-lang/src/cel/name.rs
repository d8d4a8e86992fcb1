//! Names: roots, their parts, and what was meant by one that nobody declared.

use std::collections::BTreeMap;

use cel::common::ast::{Expr as Parsed, IdedExpr, LiteralValue};
use tl_kernel::expr::{At, Node, Op};
use tl_kernel::value::Type;

use super::check::{Checker, Part, poison, span_error};
use super::{ErrorKind, ExprError, function, literal, suggest, types};

/// The names whose parts nobody declares one by one, and what every one of them is.
const OPEN: &[(&[&str], Type)] = &[
    (&["event", "headers"], Type::Text),
    (&["flags"], Type::Bool),
];

/// The type of any part of a value whose own parts are not declared.
fn each_part(of: &Node) -> Type {
    let Node::Path { names, .. } = of else {
        return Type::Any;
    };
    let same = |open: &[&str]| names.iter().map(String::as_str).eq(open.iter().copied());
    let found = OPEN.iter().find(|(open, _)| same(open));
    found.map_or(Type::Any, |(_, ty)| ty.clone())
}

/// Constants as other languages write them.
const CONSTANTS: &[(&str, &str)] = &[
    ("true", "true"),
    ("false", "false"),
    ("null", "null"),
    ("none", "null"),
    ("nil", "null"),
];

impl Checker<'_> {
    /// A name that stands at the beginning.
    pub(super) fn root(&mut self, name: &str, at: At, beside: Option<&Type>) -> Part {
        if let Some((variable, ty)) = &self.item
            && variable == name
        {
            let names = Vec::new();
            return Part::new(Node::Item { names, at }, ty.clone());
        }
        if let Some(ty) = self.schema.root.get(name) {
            let names = vec![name.to_string()];
            return Part::new(Node::Path { names, at }, ty.clone());
        }
        let error = span_error(
            at,
            ErrorKind::Undeclared,
            format!("`{name}` is not declared"),
        );
        let error = self.meant(name, error, beside);
        self.errors.push(error);
        poison(at)
    }

    fn meant(&self, name: &str, error: ExprError, beside: Option<&Type>) -> ExprError {
        let constant = CONSTANTS.iter().find(|(c, _)| c.eq_ignore_ascii_case(name));
        if let Some((_, constant)) = constant {
            return error.mended(*constant, format!("write `{constant}`"));
        }
        if let Some(Type::Enum(values)) = beside
            && let Some(near) = suggest::nearest(name, values.iter().map(String::as_str))
        {
            let say = format!("texts stand in quotes; did you mean `{near}`?");
            return error.mended(literal::quoted(near), say);
        }
        for (root, ty) in &self.schema.root {
            if let Type::Record(parts) = ty
                && parts.contains_key(name)
            {
                let full = format!("{root}.{name}");
                let say = format!("did you mean `{full}`?");
                return error.mended(full, say);
            }
        }
        let variable = self.item.iter().map(|(name, _)| name.as_str());
        let roots = self.schema.root.keys().map(String::as_str);
        if let Some(near) = suggest::nearest(name, variable.chain(roots)) {
            return error.mended(near, format!("did you mean `{near}`?"));
        }
        if let Some(Type::Record(parts)) = self.schema.root.get("record")
            && let Some(near) = suggest::nearest(name, parts.keys().map(String::as_str))
        {
            let full = format!("record.{near}");
            let say = format!("did you mean `{full}`?");
            return error.mended(full, say);
        }
        if beside.is_some_and(Type::is_textual) {
            return error.mended(literal::quoted(name), "texts stand in quotes");
        }
        error
    }

    /// `a.b` and `a[b]`.
    pub(super) fn member(&mut self, tree: &IdedExpr) -> Part {
        match &tree.expr {
            Parsed::Select(select) => {
                let of = self.part(&select.operand);
                let name = self.behind(tree);
                let start = self.grouped(of.node.at()).start;
                let at = At {
                    start,
                    end: name.end,
                };
                self.named(of, &select.field, name, at)
            }
            Parsed::Call(call) => {
                let [of, index] = call.args.as_slice() else {
                    let at = self.token(tree);
                    return self.refuse(at, ErrorKind::Syntax, "an index is missing");
                };
                let of = self.part(of);
                let at = At {
                    start: self.grouped(of.node.at()).start,
                    end: self.bracketed(tree).end,
                };
                if let Parsed::Literal(LiteralValue::String(name)) = &index.expr {
                    let span = self.token(index);
                    return self.named(of, name.inner(), span, at);
                }
                let index = self.part(index);
                self.indexed(of, index, at)
            }
            _ => self.part(tree),
        }
    }

    /// The part `name` of a value; `written` is where the name stands.
    fn named(&mut self, of: Part, name: &str, written: At, at: At) -> Part {
        let ty = match &of.ty {
            Type::Any | Type::Null => each_part(&of.node),
            Type::Record(parts) => match parts.get(name) {
                Some(ty) => ty.clone(),
                None => {
                    let error = self.no_part(&of, parts, name, written);
                    self.errors.push(error);
                    return poison(at);
                }
            },
            other => {
                let owner = self.grouped(of.node.at());
                let message = format!(
                    "`{}` is {} and has no parts",
                    owner.text(self.source),
                    types::word(other)
                );
                let error = span_error(written, ErrorKind::Type, message);
                let error = match function::is_method(name) {
                    true => error.mended(format!("{name}()"), format!("call it: `{name}()`")),
                    false => error,
                };
                self.errors.push(error);
                return poison(at);
            }
        };
        let node = match of.node {
            Node::Path { mut names, .. } => {
                names.push(name.to_string());
                Node::Path { names, at }
            }
            Node::Item { mut names, .. } => {
                names.push(name.to_string());
                Node::Item { names, at }
            }
            of => Node::Select {
                of: Box::new(of),
                name: name.to_string(),
                at,
            },
        };
        Part::new(node, ty)
    }

    fn no_part(
        &self,
        of: &Part,
        parts: &BTreeMap<String, Type>,
        name: &str,
        written: At,
    ) -> ExprError {
        let owner = self.grouped(of.node.at()).text(self.source);
        let message = format!("`{owner}` has no `{name}`");
        let error = span_error(written, ErrorKind::Undeclared, message);
        match suggest::nearest(name, parts.keys().map(String::as_str)) {
            // What a sender calls a thing stands in the body.
            None if owner == "event" && !written.text(self.source).starts_with(['\'', '"']) => {
                error.mended(
                    format!("body.{name}"),
                    format!("did you mean `event.body.{name}`?"),
                )
            }
            None => error,
            Some(near) => {
                let quoted = written.text(self.source).starts_with(['\'', '"']);
                let text = if quoted {
                    literal::quoted(near)
                } else {
                    near.to_string()
                };
                error.mended(text, format!("did you mean `{near}`?"))
            }
        }
    }

    fn indexed(&mut self, of: Part, index: Part, at: At) -> Part {
        let ty = match (&of.ty, &index.ty) {
            (Type::Any, t) if *t == Type::Any || *t == Type::Int || t.is_textual() => {
                each_part(&of.node)
            }
            (Type::List(t), Type::Int | Type::Any) => (**t).clone(),
            (Type::Record(parts), t) if *t == Type::Any || t.is_textual() => parts
                .values()
                .cloned()
                .reduce(types::either)
                .unwrap_or(Type::Any),
            (of, index) => {
                let message = format!(
                    "{} has no element by {}",
                    types::word(of),
                    types::word(index)
                );
                return self.refuse(at, ErrorKind::Type, &message);
            }
        };
        let node = Node::Call {
            op: Op::Index,
            args: vec![of.node, index.node],
            at,
        };
        Part::new(node, ty)
    }
}
