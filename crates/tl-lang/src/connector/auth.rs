//! `auth`: what a request shows, and the log-in that gives it where the secret itself is not shown.

use std::collections::BTreeMap;

use tl_kernel::connector::{Body, HttpRequest, Login, Present, Scheme, Shape};
use tl_kernel::expr::Template;
use tl_kernel::time::{HOUR, MINUTE};
use tl_kernel::value::{Type, Value};

use super::keys::{AUTH, AUTH_KINDS};
use super::request::{fixed, request};
use crate::cel::{self, Schema};
use crate::cx::{Cx, Keys};
use crate::tree::{Kind, Node};

/// A token that says nothing of its life is got anew after this.
const SESSION: i64 = 30 * MINUTE;

/// The ways to log in.
pub(super) fn schemes(cx: &mut Cx<'_>, node: Option<&Node>, connection: &Type) -> Vec<Scheme> {
    let Some(keys) = node.and_then(|n| cx.mapping(n)) else {
        return Vec::new();
    };
    let mut out = Vec::new();
    for e in &keys.map.entries {
        if !cx.check_name(&e.key, e.key_span) {
            continue;
        }
        let found = match &e.value.kind {
            // `auth: { bearer: }`: the kind alone says it all.
            Kind::Null => Some(kind_alone(&e.key)),
            _ => cx
                .section(&e.value, &AUTH)
                .map(|k| scheme(cx, k, &e.key, connection)),
        };
        out.extend(found.flatten());
    }
    out
}

fn kind_alone(name: &str) -> Option<Scheme> {
    let value = own("Bearer ${secret}", &names(&Type::Any, false));
    (name == "bearer").then(|| Scheme {
        name: name.to_owned(),
        present: Present {
            header: "authorization".into(),
            value,
            basic: false,
        },
        login: None,
        signs: false,
    })
}

fn scheme(cx: &mut Cx<'_>, keys: Keys<'_>, name: &str, connection: &Type) -> Option<Scheme> {
    let kind = match keys.get("kind") {
        Some(n) => cx.word(n, AUTH_KINDS)?,
        None => {
            cx.missing(keys, "kind", "bearer");
            return None;
        }
    };
    let login = match kind {
        "oauth_client" | "oauth_refresh" => Some(oauth(cx, keys, kind, connection)?),
        "session" => Some(session(cx, keys, connection)?),
        _ => None,
    };
    let schema = names(connection, login.is_some());
    let header = keys.get("header").and_then(|n| cx.text(n));
    let value = keys.get("value").map(|n| cx.template(n, &schema));
    let present = match kind {
        "none" | "standard_webhooks" => Present {
            header: String::new(),
            value: fixed(""),
            basic: false,
        },
        "basic" => basic(cx, keys, &schema)?,
        "header" => {
            if keys.get("header").is_none() {
                cx.missing(keys, "header", "x-api-key");
            }
            let value = value.unwrap_or_else(|| Some(own("${secret}", &schema)))?;
            Present {
                header: header?.to_lowercase(),
                value,
                basic: false,
            }
        }
        _ => {
            let usual = if login.is_some() {
                "Bearer ${token}"
            } else {
                "Bearer ${secret}"
            };
            Present {
                header: header.map_or_else(|| "authorization".into(), |h| h.to_lowercase()),
                value: value.unwrap_or_else(|| Some(own(usual, &schema)))?,
                basic: false,
            }
        }
    };
    Some(Scheme {
        name: name.to_owned(),
        present,
        login,
        signs: kind == "standard_webhooks",
    })
}

fn basic(cx: &mut Cx<'_>, keys: Keys<'_>, schema: &Schema) -> Option<Present> {
    let mut part = |key: &str, usual: &str| match keys.get(key) {
        Some(n) => cx.template(n, schema),
        None => Some(own(usual, schema)),
    };
    let (user, password) = (
        part("user", "${connection.user}")?,
        part("password", "${secret}")?,
    );
    let mut parts = user.parts;
    parts.push(tl_kernel::expr::Piece::Text(":".into()));
    parts.extend(password.parts);
    let value = Template {
        source: format!("{}:{}", user.source, password.source),
        parts,
    };
    Some(Present {
        header: "authorization".into(),
        value,
        basic: true,
    })
}

/// What the values of a scheme may read.
fn names(connection: &Type, token: bool) -> Schema {
    let mut root = BTreeMap::from([
        ("connection".to_owned(), connection.clone()),
        ("secret".to_owned(), Type::Any),
    ]);
    if token {
        root.insert("token".into(), Type::Text);
    }
    Schema { root }
}

/// What is read of the answer to a log-in.
fn answer_names(connection: &Type) -> Schema {
    let mut out = names(connection, false);
    out.root.insert("answer".into(), super::read::answer_type());
    out
}

fn session(cx: &mut Cx<'_>, keys: Keys<'_>, connection: &Type) -> Option<Login> {
    let schema = names(connection, false);
    let Some(node) = keys.get("request") else {
        cx.missing(keys, "request", "{ method: POST, path: /login }");
        return None;
    };
    let Some(token) = keys.get("token") else {
        cx.missing(keys, "token", "answer.body.token");
        return None;
    };
    let token = cx.required_expr(token, &answer_names(connection), &Type::Any);
    Some(Login {
        base_url: None,
        request: request(cx, node, &schema, "POST")?,
        shows: None,
        token: token?,
        expires: None,
        lives: keys
            .get("lives")
            .and_then(|n| cx.duration(n))
            .unwrap_or(SESSION),
    })
}

/// The two OAuth grants that need no person: RFC 6749, 4.4 and 6.
fn oauth(cx: &mut Cx<'_>, keys: Keys<'_>, kind: &str, connection: &Type) -> Option<Login> {
    let schema = names(connection, false);
    let Some(node) = keys.get("token_url") else {
        cx.missing(keys, "token_url", "https://example.com/oauth/token");
        return None;
    };
    let url = cx.text(node)?;
    let (base, path) = split(&url);
    let by_form = keys
        .get("client")
        .and_then(|n| cx.word(n, &["form", "basic"]))
        != Some("basic");
    let refresh = kind == "oauth_refresh";
    let grant = if refresh {
        "refresh_token"
    } else {
        "client_credentials"
    };
    let mut form = vec![("grant_type".to_owned(), Shape::Constant(Value::text(grant)))];
    let mut hole = |name: &str, source: &str| {
        if let Ok(expr) = cel::compile(source, &schema, &Type::Any) {
            form.push((name.to_owned(), Shape::Value(expr)));
        }
    };
    if refresh {
        hole("refresh_token", "secret.refresh_token");
    }
    if by_form {
        hole("client_id", "secret.client_id");
        hole("client_secret", "secret.client_secret");
    }
    if let Some(n) = keys.get("scope") {
        form.push(("scope".into(), super::request::shape(cx, n, &schema)?));
    }
    let shows = (!by_form).then(|| Present {
        header: "authorization".into(),
        value: own("${secret.client_id}:${secret.client_secret}", &schema),
        basic: true,
    });
    let read = answer_names(connection);
    Some(Login {
        base_url: Some(cel::compile_template(&base, &schema).ok()?),
        request: HttpRequest {
            method: fixed("POST"),
            path: cel::compile_template(&path, &schema).ok()?,
            query: Vec::new(),
            headers: Vec::new(),
            body: Body::Form(Shape::Map(form)),
        },
        shows,
        token: cel::compile("answer.body.access_token", &read, &Type::Any).ok()?,
        expires: cel::compile("answer.body.expires_in", &read, &Type::Any).ok(),
        lives: keys
            .get("lives")
            .and_then(|n| cx.duration(n))
            .unwrap_or(HOUR),
    })
}

/// An address as base and path.
fn split(url: &str) -> (String, String) {
    let host = url.find("://").map_or(0, |n| n + 3);
    match url[host..].find('/') {
        Some(n) => (url[..host + n].to_owned(), url[host + n..].to_owned()),
        None => (url.to_owned(), "/".to_owned()),
    }
}

/// A text that the reader itself writes.
fn own(source: &str, schema: &Schema) -> Template {
    cel::compile_template(source, schema).unwrap_or_else(|_| fixed(""))
}
