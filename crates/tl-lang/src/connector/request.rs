//! Requests of a connector file: method, path, parameters, headers and one body.

use tl_kernel::connector::{Body, Escape, HttpRequest, Shape};
use tl_kernel::expr::{Piece, Template};
use tl_kernel::value::Value;

use super::keys::{MAIL, REQUEST};
use crate::cel::Schema;
use crate::cx::{Cx, Keys};
use crate::diag::{Mend, Problem};
use crate::quote::quote;
use crate::tree::{Kind, Node};

const METHODS: &[&str] = &["GET", "POST", "PUT", "PATCH", "DELETE"];
/// The keys of which one says what the body is.
const BODIES: [&str; 6] = ["json", "form", "xml", "vcard", "text", "mail"];

/// A request; `usual` is the method where none is written.
pub(super) fn request(
    cx: &mut Cx<'_>,
    node: &Node,
    schema: &Schema,
    usual: &str,
) -> Option<HttpRequest> {
    let keys = cx.section(node, &REQUEST)?;
    let method = match keys.get("method") {
        Some(n) if n.text().is_some_and(|t| t.contains("${")) => cx.template(n, schema)?,
        Some(n) => fixed(cx.word(n, METHODS)?),
        None => fixed(usual),
    };
    let path = match keys.get("path") {
        Some(n) if keys.get("mail").is_some() => {
            cx.exclusive(keys, "mail", "path");
            path(cx, n, schema)
        }
        Some(n) => path(cx, n, schema),
        // A mail has a recipient and no address.
        None if keys.get("mail").is_some() => Some(fixed("/")),
        None => {
            cx.missing(keys, "path", "/contacts/${args.id}");
            None
        }
    };
    Some(HttpRequest {
        method,
        path: path?,
        query: pairs(cx, keys.get("query"), schema),
        headers: pairs(cx, keys.get("headers"), schema),
        body: body(cx, keys, schema)?,
    })
}

/// Text without values.
pub(super) fn fixed(text: &str) -> Template {
    Template {
        source: text.to_owned(),
        parts: vec![Piece::Text(text.to_owned())],
    }
}

/// A path starts with a slash, or is one value that says it all.
fn path(cx: &mut Cx<'_>, node: &Node, schema: &Schema) -> Option<Template> {
    let out = cx.template(node, schema)?;
    if out.source.starts_with('/') || out.single().is_some() {
        return Some(out);
    }
    let guess = quote(&format!("/{}", out.source));
    cx.push(
        Problem::new("TL0203", node.span, "a path starts with `/`")
            .why("it is appended to the base address")
            .mend(Mend::replace(node.span, &guess, format!("write {guess}"))),
    );
    None
}

/// Names with texts.
pub(super) fn pairs(
    cx: &mut Cx<'_>,
    node: Option<&Node>,
    schema: &Schema,
) -> Vec<(String, Template)> {
    let Some(keys) = node.and_then(|n| cx.mapping(n)) else {
        return Vec::new();
    };
    let entries = keys.map.entries.iter();
    entries
        .filter_map(|e| Some((e.key.clone(), cx.template(&e.value, schema)?)))
        .collect()
}

fn body(cx: &mut Cx<'_>, keys: Keys<'_>, schema: &Schema) -> Option<Body> {
    let mut given = BODIES.iter().filter(|k| keys.get(k).is_some());
    let Some(kind) = given.next() else {
        return Some(Body::None);
    };
    if let Some(other) = given.next() {
        cx.exclusive(keys, kind, other);
        return None;
    }
    let node = keys.get(kind)?;
    let content_type = keys.get("content_type").and_then(|n| cx.text(n));
    let text = |cx: &mut Cx<'_>, escape, usual: &str| {
        Some(Body::Text {
            content_type: content_type.clone().unwrap_or_else(|| usual.to_owned()),
            escape,
            text: cx.template(node, schema)?,
        })
    };
    match *kind {
        "json" => Some(Body::Json(shape(cx, node, schema)?)),
        "form" => Some(Body::Form(shape(cx, node, schema)?)),
        "mail" => mail(cx, node, schema),
        "xml" => text(cx, Escape::Xml, "application/xml"),
        "vcard" => text(cx, Escape::Vcard, "text/vcard"),
        _ => text(cx, Escape::Plain, "text/plain"),
    }
}

/// A mail by its parts, of which three are always there.
fn mail(cx: &mut Cx<'_>, node: &Node, schema: &Schema) -> Option<Body> {
    let keys = cx.section(node, &MAIL)?;
    for (part, example) in [
        ("text", "\"${args.text}\""),
        ("to", "\"${args.to}\""),
        ("from", "\"${args.from}\""),
    ] {
        if keys.get(part).is_none() {
            cx.missing(keys, part, example);
        }
    }
    shape(cx, node, schema).map(Body::Mail)
}

/// A value with holes: the YAML as it stands, with expressions in its texts. A text that is one `${…}` keeps the
/// type of its value.
pub(super) fn shape(cx: &mut Cx<'_>, node: &Node, schema: &Schema) -> Option<Shape> {
    match &node.kind {
        Kind::Null => Some(Shape::Constant(Value::Null)),
        Kind::List(l) => {
            let items: Vec<Option<Shape>> = l.items.iter().map(|n| shape(cx, n, schema)).collect();
            items
                .into_iter()
                .collect::<Option<Vec<_>>>()
                .map(Shape::List)
        }
        Kind::Map(m) => {
            let entries: Vec<Option<(String, Shape)>> = m
                .entries
                .iter()
                .map(|e| Some((e.key.clone(), shape(cx, &e.value, schema)?)))
                .collect();
            entries
                .into_iter()
                .collect::<Option<Vec<_>>>()
                .map(Shape::Map)
        }
        Kind::Scalar(s) if !s.text.contains("${") => Some(Shape::Constant(match s.plain {
            true => constant(&s.text),
            false => Value::text(&s.text),
        })),
        Kind::Scalar(_) => {
            let text = cx.template(node, schema)?;
            Some(match text.single() {
                Some(expr) => Shape::Value(expr.clone()),
                None => Shape::Text(text),
            })
        }
    }
}

/// A plain scalar as YAML reads it.
fn constant(text: &str) -> Value {
    match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => {
            let digits = text.strip_prefix('-').unwrap_or(text);
            let number = digits.starts_with(|c: char| c.is_ascii_digit())
                && (digits == "0" || !digits.starts_with('0') || digits.starts_with("0."));
            let int = text.parse().ok().map(Value::Int);
            let value = int.or_else(|| text.parse().ok().map(Value::Dec));
            value
                .filter(|_| number)
                .unwrap_or_else(|| Value::text(text))
        }
    }
}
