//! A system of record that a workflow file describes by itself (`api: rest`), as an operation like any other: the
//! properties as a JSON body, a path, a lock, and a key where the vendor honours one.

use tl_kernel::connector::{
    Body, Condition, Fields, HttpRequest, Operation, Read, Shape, WhenAbsent,
};
use tl_kernel::effect::Class;
use tl_kernel::expr::{At, Expr, Node, Piece, Template};
use tl_kernel::program::{Lock, OnUnknown, RestWrite};

/// The operation of a write.
pub fn operation(rest: &RestWrite, class: Class, on_unknown: OnUnknown) -> Operation {
    let key = rest.idempotency_header.iter();
    let headers = key.map(|h| (h.clone(), value(&["effect", "key"])));
    let condition = match &rest.lock {
        Lock::IfMatch => Condition::IfMatch,
        Lock::Field(name) => Condition::Field(name.clone()),
        Lock::LastWriterWins => Condition::None,
    };
    Operation {
        name: "write".into(),
        title: "Write the record".into(),
        class,
        key_lifetime: None,
        on_unknown,
        arguments: Vec::new(),
        message: None,
        fields: Some(Fields {
            as_text: false,
            doc: String::new(),
        }),
        request: HttpRequest {
            headers: headers.collect(),
            body: Body::Json(Shape::Value(path(&["fields"]))),
            ..get(&rest.method)
        },
        absent: match rest.lock {
            Lock::IfMatch => WhenAbsent::IfNoneMatch,
            // Such a vendor has its own rule for what exists already.
            _ => WhenAbsent::Plain,
        },
        condition,
        read: Some(Read {
            request: get("GET"),
            version: None,
            values: None,
            absent: None,
        }),
        id: None,
        version: None,
        meanings: Vec::new(),
        look_up: None,
        verified: None,
    }
}

/// A request to the path that the kernel has made: its values are encoded already.
fn get(method: &str) -> HttpRequest {
    HttpRequest {
        method: Template {
            source: method.to_owned(),
            parts: vec![Piece::Text(method.to_owned())],
        },
        path: value(&["args", "path"]),
        query: Vec::new(),
        headers: Vec::new(),
        body: Body::None,
    }
}

fn path(names: &[&str]) -> Expr {
    Expr {
        source: names.join("."),
        root: Node::Path {
            names: names.iter().map(|n| (*n).to_owned()).collect(),
            at: At::default(),
        },
    }
}

fn value(names: &[&str]) -> Template {
    let expr = path(names);
    Template {
        source: format!("${{{}}}", expr.source),
        parts: vec![Piece::Expr(expr)],
    }
}
