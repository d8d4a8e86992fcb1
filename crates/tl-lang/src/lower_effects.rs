//! `side_effects`: the system of record and the messages, each with the guarantee its interface allows.

use tl_kernel::connector::ConnectorCall;
use tl_kernel::effect::Class;
use tl_kernel::expr::{At, Expr, Node as ExprNode, Template};
use tl_kernel::program::{
    Action, ActionKind, BaseVersion, Channel, Edge, Emit, Lock, Message, OUTBOX, OnUnknown,
    RecipientCheck, RestWrite,
};
use tl_kernel::time::DAY;
use tl_kernel::value::{Type, Value};

use crate::cel;
use crate::connector;
use crate::cx::{Keys, expr_code};
use crate::diag::{Mend, Problem, Span};
use crate::keys::{APIS, BUILT_IN, CRM, LOCK, MESSAGE, METHODS, ON_UNKNOWN, SIDE_EFFECTS};
use crate::load::{Lower, Names};
use crate::tree::{Kind, Node};

/// A write to a system of record that has waited this long has lost its reason.
const WRITE_VALID: i64 = 7 * DAY;
/// A message to a person that has waited this long would only confuse.
const MESSAGE_VALID: i64 = DAY;

/// The actions: the write of the record first, then the messages in file order.
pub(crate) fn actions(
    l: &mut Lower<'_>,
    node: Option<&Node>,
    drafted: Option<&str>,
) -> Vec<Action> {
    let keys = node.and_then(|n| l.cx.section(n, &SIDE_EFFECTS));
    let mut out = vec![crm(l, keys.and_then(|k| k.get("crm")))];
    if let Some(n) = keys.and_then(|k| k.get("messaging")) {
        messaging(l, n, drafted, &mut out);
    }
    if let Some(n) = keys.and_then(|k| k.get("actions")) {
        connector::actions(l, n, WRITE_VALID, &mut out);
    }
    out
}

/// The event feed is an action where an edge feeds it.
pub(crate) fn domain_event(l: &mut Lower<'_>, edges: &[Edge]) {
    if edges.iter().any(|e| e.emit.contains(&Emit::DomainEvent)) {
        l.actions.push(Action {
            name: "domain_event".into(),
            kind: ActionKind::DomainEvent,
            class: Class::E0,
            on_unknown: OnUnknown::Hold,
            valid_for: WRITE_VALID,
            line: 0,
        });
    }
}

fn crm(l: &mut Lower<'_>, node: Option<&Node>) -> Action {
    let mut out = Action {
        name: "crm_upsert".into(),
        kind: ActionKind::DomainEvent,
        class: Class::E0,
        on_unknown: OnUnknown::Hold,
        valid_for: WRITE_VALID,
        line: node.map_or(0, |n| l.cx.line(n.span)),
    };
    let keys = node.and_then(|n| l.cx.section(n, &CRM));
    if let Some(k) = keys.filter(|k| k.get("use").is_some()) {
        out.valid_for = valid_for(l, k, WRITE_VALID);
        if let Some(call) = connector::crm(l, k) {
            (out.kind, out.class, out.on_unknown) = call;
        }
        return out;
    }
    let map = record_map(l, keys.and_then(|k| k.get("map")));
    let api = keys
        .and_then(|k| k.get("api"))
        .and_then(|n| l.cx.word(n, APIS));
    if let Some(k) = keys {
        foreign_keys(l, k, api == Some("rest"));
        out.valid_for = valid_for(l, k, WRITE_VALID);
        out.on_unknown = on_unknown(l, k);
    }
    match keys.filter(|_| api == Some("rest")) {
        Some(k) => {
            let write = rest(l, k, map);
            out.class = match (&write.lock, &write.idempotency_header) {
                (Lock::LastWriterWins, Some(_)) => Class::E1,
                (Lock::LastWriterWins, None) => Class::E4,
                _ => Class::E2,
            };
            out.kind = ActionKind::Rest(write);
        }
        None => {
            let key = keys.and_then(|k| k.get("key"));
            out.kind = ActionKind::RecordStore {
                key: record_key(l, key),
                map,
            };
        }
    }
    out
}

/// Keys of the other kind of system.
fn foreign_keys(l: &mut Lower<'_>, keys: Keys<'_>, rest: bool) {
    let foreign: &[&str] = if rest {
        &["key", "with"]
    } else {
        &[
            "connection",
            "method",
            "path",
            "optimistic_lock",
            "base_version",
            "with",
            "idempotency_header",
            "on_unknown",
        ]
    };
    for key in foreign {
        if let Some(n) = keys.get(key) {
            let other = if rest { "records" } else { "rest" };
            let p = Problem::new(
                "TL0209",
                keys.key_span(key),
                format!("`{key}` belongs to `api: {other}`"),
            );
            l.cx.push(p.mend(n.removal(format!("take `{key}` out"))));
        }
    }
}

fn record_key(l: &mut Lower<'_>, node: Option<&Node>) -> Template {
    let schema = l.schema(Names::Effect);
    let own = node.and_then(|n| l.cx.template(n, &schema));
    // A thread is a list of names; none of them is the record's.
    let thread = ["event".to_owned(), "thread".to_owned()];
    let mut keys = l.record.natural_keys.iter();
    own.or_else(|| {
        keys.find(|k| !k.reads().contains(&thread.to_vec()))
            .cloned()
    })
    .unwrap_or_else(|| l.own_template("${event.id}", Names::Effect))
}

/// Property → expression; without a mapping, every field under its own name.
fn record_map(l: &mut Lower<'_>, node: Option<&Node>) -> Vec<(String, Expr)> {
    if let Some(keys) = node.and_then(|n| l.cx.mapping(n)) {
        let schema = l.schema(Names::Effect);
        let entries = &keys.map.entries;
        return entries
            .iter()
            .filter_map(|e| Some((e.key.clone(), l.cx.expr(&e.value, &schema, &Type::Any)?)))
            .collect();
    }
    let names: Vec<String> = l.record.fields.iter().map(|f| f.name.clone()).collect();
    names
        .into_iter()
        .filter_map(|n| {
            let e = l.own_path("record", &n, Names::Effect, &Type::Any)?;
            Some((n, e))
        })
        .collect()
}

fn rest(l: &mut Lower<'_>, keys: Keys<'_>, map: Vec<(String, Expr)>) -> RestWrite {
    let connection = match keys.get("connection") {
        Some(n) => named_connection(l, n).unwrap_or_default(),
        None => {
            if l.connections.iter().all(|c| c.name != "crm") {
                l.notes.push(
                    "`crm_upsert` waits until connections.yaml has a connection `crm`".into(),
                );
            }
            "crm".into()
        }
    };
    let schema = l.schema(Names::Effect);
    let path = keys.get("path").and_then(|n| path(l, n, &schema));
    let path = path.unwrap_or_else(|| {
        let id = if l.record.field("external_id").is_some() {
            "record.external_id"
        } else {
            "event.id"
        };
        l.own_template(&format!("/{}s/${{{id}}}", l.record.name), Names::Effect)
    });
    let lock = match keys.get("optimistic_lock") {
        Some(n) => lock(l, n),
        None => {
            l.cx.missing(keys, "optimistic_lock", "If-Match");
            Lock::IfMatch
        }
    };
    let base = keys.get("base_version").and_then(|n| l.cx.text(n));
    let method = keys.get("method").and_then(|n| l.cx.word(n, METHODS));
    if keys.get("map").is_some() && method.is_none_or(|m| m == "PUT") {
        l.note(
            "`crm_upsert` writes with PUT: where the other side replaces the whole record, what `map` does not name is \
             lost there; `method: PATCH` keeps it",
        );
    }
    RestWrite {
        connection,
        method: method.unwrap_or("PUT").to_owned(),
        path,
        lock,
        base: match base {
            Some(v) if v != "read" => BaseVersion::Declared(v),
            _ => BaseVersion::Read,
        },
        idempotency_header: keys.get("idempotency_header").and_then(|n| l.cx.text(n)),
        map,
    }
}

fn path(l: &mut Lower<'_>, node: &Node, schema: &cel::Schema) -> Option<Template> {
    let text = l.cx.text(node)?;
    if !text.starts_with('/') {
        let bare = text.split_once("://").map_or(text.as_str(), |(_, r)| {
            r.split_once('/').map_or("", |(_, p)| p)
        });
        let guess = crate::quote::quote(&format!("/{bare}"));
        l.cx.push(
            Problem::new("TL0203", node.span, "a path starts with `/`")
                .why("it is appended to the connection's base address")
                .mend(Mend::replace(node.span, &guess, format!("write {guess}"))),
        );
        return None;
    }
    l.cx.template(node, schema)
}

fn lock(l: &mut Lower<'_>, node: &Node) -> Lock {
    if node.text().is_some() {
        return match l.cx.word(node, &["If-Match", "last_writer_wins"]) {
            Some("last_writer_wins") => Lock::LastWriterWins,
            _ => Lock::IfMatch,
        };
    }
    let field =
        l.cx.section(node, &LOCK)
            .and_then(|k| match k.get("field") {
                Some(n) => l.cx.text(n),
                None => {
                    l.cx.missing(k, "field", "version");
                    None
                }
            });
    field.map_or(Lock::IfMatch, Lock::Field)
}

/// A connection by name. Where no connections are declared, it may come later.
pub(crate) fn named_connection(l: &mut Lower<'_>, node: &Node) -> Option<String> {
    let text = l.cx.text(node)?;
    if l.connections.iter().any(|c| c.name == text) {
        return Some(text);
    }
    if l.connections.is_empty() {
        l.notes.push(format!(
            "connections.yaml has no connection `{text}` yet: what uses it waits"
        ));
        return Some(text);
    }
    let names: Vec<String> = l.connections.iter().map(|c| c.name.clone()).collect();
    l.cx.unknown(
        "TL0406",
        node,
        "the connection",
        names.iter().map(String::as_str),
    );
    None
}

fn on_unknown(l: &mut Lower<'_>, keys: Keys<'_>) -> OnUnknown {
    match keys
        .get("on_unknown")
        .and_then(|n| l.cx.word(n, ON_UNKNOWN))
    {
        Some("assume_sent") => OnUnknown::AssumeSent,
        Some("resend") => OnUnknown::Resend,
        _ => OnUnknown::Hold,
    }
}

pub(crate) fn valid_for(l: &mut Lower<'_>, keys: Keys<'_>, usual: i64) -> i64 {
    keys.get("valid_for")
        .and_then(|n| l.cx.duration(n))
        .unwrap_or(usual)
}

/// Messages, or the names of providers alone.
fn messaging(l: &mut Lower<'_>, node: &Node, drafted: Option<&str>, out: &mut Vec<Action>) {
    let Kind::Map(m) = &node.kind else {
        let providers: Vec<String> = l.cx.words_free(node);
        if !providers.is_empty() {
            l.notes.push(format!(
                "providers {}: no message is defined",
                providers.join(", ")
            ));
        }
        return;
    };
    for e in &m.entries {
        if !l.cx.check_name(&e.key, e.key_span) {
            continue;
        }
        if BUILT_IN.contains(&e.key.as_str()) || e.key == "domain_event" {
            let guess = format!("{}_message", e.key);
            l.cx.push(
                Problem::new(
                    "TL0211",
                    e.key_span,
                    format!("`{}` is a built-in action", e.key),
                )
                .mend(Mend::replace(
                    e.key_span,
                    &guess,
                    format!("write `{guess}`"),
                )),
            );
            continue;
        }
        let Some(keys) = l.cx.section(&e.value, &MESSAGE) else {
            continue;
        };
        let line = l.cx.line(e.key_span);
        let valid = valid_for(l, keys, MESSAGE_VALID);
        // One that does not load counts as declared: what names it is not wrong.
        let found = message(l, keys, drafted == Some(e.key.as_str()));
        let (message, class, on_unknown) = found.unwrap_or_else(|| nothing(l));
        out.push(Action {
            name: e.key.clone(),
            class,
            kind: ActionKind::Message(message),
            on_unknown,
            valid_for: valid,
            line,
        });
    }
}

/// Stands for a message with a finding of its own.
fn nothing(l: &Lower<'_>) -> Sent {
    let at = At { start: 0, end: 0 };
    let message = Message {
        channel: Channel::Email,
        via: None,
        to: Expr {
            source: String::new(),
            root: ExprNode::Literal(Value::Null, at),
        },
        subject: None,
        body: l.own_template("", Names::Effect),
        template_file: None,
        check: None,
    };
    (message, Class::E0, OnUnknown::Hold)
}

/// A message with its guarantee class, and what is done when its outcome is not known.
type Sent = (Message, Class, OnUnknown);

fn message(l: &mut Lower<'_>, keys: Keys<'_>, drafted: bool) -> Option<Sent> {
    let channel = match keys
        .get("channel")
        .and_then(|n| l.cx.word(n, &["email", "sms"]))
    {
        Some("sms") => Channel::Sms,
        _ => Channel::Email,
    };
    let schema = l.schema(Names::Effect);
    let to = match keys.get("to") {
        Some(n) => {
            let want = if channel == Channel::Sms {
                Type::Phone
            } else {
                Type::Email
            };
            l.cx.required_expr(n, &schema, &want)
        }
        None => {
            let example = recipient(l, channel);
            l.cx.missing(keys, "to", &example);
            None
        }
    };
    let via = via(l, keys, channel);
    if channel == Channel::Sms
        && let Some(n) = keys.get("subject")
    {
        let p = Problem::new(
            "TL0209",
            keys.key_span("subject"),
            "a text message has no subject",
        );
        l.cx.push(p.mend(n.removal("take it out")));
    }
    let subject = keys.get("subject").and_then(|n| l.cx.template(n, &schema));
    let check = keys
        .get("check")
        .and_then(|n| l.cx.word(n, &["verified_sender"]));
    let (body, template_file) = body(l, keys, drafted)?;
    let (via, class, on_unknown) = via?;
    let message = Message {
        channel,
        via,
        to: to?,
        subject,
        body,
        template_file,
        check: check.map(|_| RecipientCheck::VerifiedSender),
    };
    Some((message, class, on_unknown))
}

/// What sends it. The outbox keeps what is put in: its outcome is always known, and nothing is said to it beside the
/// message.
fn via(
    l: &mut Lower<'_>,
    keys: Keys<'_>,
    channel: Channel,
) -> Option<(Option<ConnectorCall>, Class, OnUnknown)> {
    if let Some(n) = keys.get("via").filter(|n| n.text() != Some(OUTBOX)) {
        let (call, class, on_unknown) = connector::sender(l, (keys, n), channel)?;
        return Some((Some(call), class, on_unknown));
    }
    for key in ["with", "on_unknown"] {
        if let Some(n) = keys.get(key) {
            let what = format!("`{key}` belongs to a message that a connection sends");
            let p = Problem::new("TL0209", keys.key_span(key), what)
                .why("this one goes to the outbox: `via` names no connection");
            l.cx.push(p.mend(n.removal(format!("take `{key}` out, or name the connection"))));
        }
    }
    Some((None, Class::E0, OnUnknown::Hold))
}

/// A recipient for the example of a missing `to`.
fn recipient(l: &Lower<'_>, channel: Channel) -> String {
    let want = if channel == Channel::Sms {
        Type::Phone
    } else {
        Type::Email
    };
    let field = l.record.fields.iter().find(|f| f.ty == want);
    field.map_or_else(|| "event.from".into(), |f| format!("record.{}", f.name))
}

/// The text: from a file, from the workflow file, or drafted by the AI step.
fn body(l: &mut Lower<'_>, keys: Keys<'_>, drafted: bool) -> Option<(Template, Option<String>)> {
    let schema = l.schema(Names::Message);
    l.cx.exclusive(keys, "template", "text");
    if let Some(n) = keys.get("text") {
        return l.cx.template(n, &schema).map(|t| (t, None));
    }
    if let Some(n) = keys.get("template") {
        let (path, text) = l.beside(n)?;
        return match cel::compile_template(text, &schema) {
            Ok(t) => Some((t, Some(path))),
            Err(errors) => {
                template_errors(l, &path, text, errors);
                None
            }
        };
    }
    if drafted {
        // No text of its own: without a draft there is nothing to send.
        let nothing = Template {
            source: String::new(),
            parts: Vec::new(),
        };
        return Some((nothing, None));
    }
    l.cx.missing(
        keys,
        "text",
        "\"We have received your message and will answer soon.\"",
    );
    None
}

fn template_errors(l: &mut Lower<'_>, path: &str, text: &str, errors: Vec<cel::ExprError>) {
    for e in errors {
        let span = Span::new(e.start.min(text.len()), e.end.min(text.len()));
        let p = Problem::new(expr_code(e.code), span, e.message);
        let p = match e.mend {
            Some(m) => p.mend(Mend::replace(span, m.text, m.say)),
            None => p,
        };
        l.others.push(p.in_file(path, text));
    }
}
