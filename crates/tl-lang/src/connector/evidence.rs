//! What a guarantee class rests on: a promise that the request does not carry does not load.

use tl_kernel::connector::{Body, Condition, HttpRequest, Operation, Shape};
use tl_kernel::effect::Class;
use tl_kernel::expr::{Expr, Template};

use crate::cx::{Cx, Keys};
use crate::diag::{Mend, Problem};
use crate::tree::Entry;

/// Whether the file shows what the class of an operation promises.
pub(super) fn of(cx: &mut Cx<'_>, (entry, keys): (&Entry, Keys<'_>), op: &Operation) {
    let same_again = keys
        .get("same_again")
        .is_some_and(|n| n.text() == Some("true"));
    let keyed = reads(&op.request, "key");
    let locked = op.condition != Condition::None;
    let versioned = match op.condition {
        Condition::Placed => reads(&op.request, "version"),
        _ => locked,
    };
    let lacks = match op.class {
        Class::E1 if !keyed && !same_again && op.condition != Condition::Placed => {
            "the vendor has to recognise a repetition: send `${effect.key}`, or say `same_again: true` where the same \
             request again changes nothing more"
        }
        Class::E1 if keyed && keys.get("key_lifetime").is_none() => {
            "say how long the vendor remembers the key: `key_lifetime: 24h`, or `for_ever`"
        }
        Class::E2 if !locked => {
            "a version has to go back with the write: `lock: if_match`, `lock: { field: NAME }`, or `lock: placed`"
        }
        Class::E3 if op.look_up.is_none() => "what got no answer has to be found again: `look_up`",
        Class::E5 if op.request.method.source != "GET" && !same_again => {
            "only a read, or a request that changes nothing more when it is repeated (`same_again: true`), does no harm"
        }
        _ if !versioned && locked => {
            "`lock: placed` means that the request says where `${effect.version}` goes"
        }
        _ if matches!(op.condition, Condition::Field(_)) && !has_json_object(&op.request) => {
            "`lock: { field: … }` is a property of a JSON body"
        }
        _ => return,
    };
    let span = keys.key_span("class");
    let p = Problem::new(
        "TL0417",
        span,
        format!(
            "`{}` is of class {}, and the file does not show what that rests on",
            entry.key,
            op.class.word()
        ),
    )
    .why(lacks);
    let p = match keys.get("class") {
        Some(n) => p.mend(Mend::replace(
            n.span,
            "E4",
            "add it, or write `E4`: then a person decides when an answer is lost",
        )),
        None => p,
    };
    cx.push(p);
}

fn has_json_object(request: &HttpRequest) -> bool {
    match &request.body {
        Body::Json(Shape::Map(_)) => true,
        Body::Json(Shape::Value(e)) => e.reads_root("fields"),
        _ => false,
    }
}

/// Whether a request reads a part of `effect`.
fn reads(request: &HttpRequest, part: &str) -> bool {
    let pairs = request.query.iter().chain(&request.headers);
    let mut texts = pairs
        .map(|(_, t)| t)
        .chain([&request.path, &request.method]);
    let in_body = match &request.body {
        Body::None => false,
        Body::Json(shape) | Body::Form(shape) | Body::Mail(shape) => in_shape(shape, part),
        Body::Text { text, .. } => in_template(text, part),
    };
    in_body || texts.any(|t| in_template(t, part))
}

fn in_shape(shape: &Shape, part: &str) -> bool {
    match shape {
        Shape::Constant(_) => false,
        Shape::Value(e) => in_expr(e, part),
        Shape::Text(t) => in_template(t, part),
        Shape::List(items) => items.iter().any(|s| in_shape(s, part)),
        Shape::Map(entries) => entries.iter().any(|(_, s)| in_shape(s, part)),
    }
}

fn in_template(template: &Template, part: &str) -> bool {
    template.reads().iter().any(|p| is_part(p, part))
}

fn in_expr(expr: &Expr, part: &str) -> bool {
    expr.reads().iter().any(|p| is_part(p, part))
}

fn is_part(path: &[String], part: &str) -> bool {
    matches!(path, [root, name, ..] if root == "effect" && name == part)
}
