//! `use:` in a workflow file: an operation of a connector with its arguments, checked against the connector's file.

use tl_kernel::connector::{Argument, CallArgument, Connector, ConnectorCall, Control, Operation};
use tl_kernel::effect::Class;
use tl_kernel::expr::Expr;
use tl_kernel::program::{Action, ActionKind, Channel, OUTBOX, OnUnknown};
use tl_kernel::value::Type;

use super::{find, message, names, path, read, source};
use crate::cx::Keys;
use crate::diag::{Mend, Problem, Severity};
use crate::keys::{BUILT_IN, CALL, ON_UNKNOWN};
use crate::load::{Lower, Names};
use crate::lower_effects::{named_connection, valid_for};
use crate::suggest::{listed, nearest};
use crate::tree::Node;

/// Keys of `side_effects.crm` that belong to `api: rest` or `api: records`.
const OF_OTHERS: [&str; 6] = [
    "api",
    "key",
    "method",
    "path",
    "optimistic_lock",
    "idempotency_header",
];

/// `side_effects.actions`.
pub(crate) fn actions(l: &mut Lower<'_>, node: &Node, valid: i64, out: &mut Vec<Action>) {
    let Some(keys) = l.cx.mapping(node) else {
        return;
    };
    for e in &keys.map.entries {
        if !l.cx.check_name(&e.key, e.key_span) {
            continue;
        }
        let taken = BUILT_IN.contains(&e.key.as_str())
            || e.key == "domain_event"
            || out.iter().any(|a| a.name == e.key);
        if taken {
            let guess = format!("{}_call", e.key);
            l.cx.push(
                Problem::new(
                    "TL0211",
                    e.key_span,
                    format!("there is an action `{}` already", e.key),
                )
                .mend(Mend::replace(
                    e.key_span,
                    &guess,
                    format!("write `{guess}`"),
                )),
            );
            continue;
        }
        let Some(keys) = l.cx.section(&e.value, &CALL) else {
            continue;
        };
        let line = l.cx.line(e.key_span);
        if let Some((kind, class, on_unknown)) = call(l, keys) {
            out.push(Action {
                name: e.key.clone(),
                kind,
                class,
                on_unknown,
                valid_for: valid_for(l, keys, valid),
                line,
            });
        }
    }
}

/// `side_effects.crm` with `use`.
pub(crate) fn crm(l: &mut Lower<'_>, keys: Keys<'_>) -> Option<(ActionKind, Class, OnUnknown)> {
    for key in OF_OTHERS {
        if let Some(n) = keys.get(key) {
            let p = Problem::new(
                "TL0209",
                keys.key_span(key),
                format!("`{key}` and `use` exclude each other"),
            );
            let p = p.why("the connector's file says how the system is spoken to");
            l.cx.push(p.mend(n.removal(format!("take `{key}` out"))));
        }
    }
    call(l, keys)
}

/// A call with its class, as its connector's file gives it.
fn call(l: &mut Lower<'_>, keys: Keys<'_>) -> Option<(ActionKind, Class, OnUnknown)> {
    let Some(node) = keys.get("use") else {
        l.cx.missing(keys, "use", "hubspot.contact.update");
        return None;
    };
    let (connector, op) = operation(l, node)?;
    let connection = match keys.get("connection") {
        Some(n) => named_connection(l, n)?,
        None => connector.name.clone(),
    };
    leads_there(l, keys, &connection, &connector);
    let with = with(l, keys, &op);
    let map = map(l, keys, &op);
    let base = keys.get("base_version").and_then(|n| l.cx.text(n));
    let on_unknown = unknown(l, keys, &op);
    let call = ConnectorCall {
        connector: connector.name,
        is_conditional: op.reads_first(),
        operation: op.name,
        connection,
        with: with?,
        map: map?,
        base_version: base.filter(|v| v != "read"),
    };
    Some((ActionKind::Call(call), op.class, on_unknown))
}

/// What sends a message of a channel: the action by which the connector of the connection that `via` names does that,
/// with its class.
pub(crate) fn sender(
    l: &mut Lower<'_>,
    (keys, node): (Keys<'_>, &Node),
    channel: Channel,
) -> Option<(ConnectorCall, Class, OnUnknown)> {
    let connection = l.cx.text(node)?;
    let name = sends_at(l, (node, channel), &connection)?;
    let connector = of_name(l, node, (&name, ""))?;
    let found = connector.operations.values();
    let Some(op) = found.clone().find(|o| message::says(o, channel)) else {
        let project = l.project;
        let able = names(project).into_iter().filter(|n| {
            let found = find(project, n);
            found.is_some_and(|c| c.operations.values().any(|o| message::says(o, channel)))
        });
        let able: Vec<String> = able.collect();
        let what = format!("`{name}` sends no messages by {}", channel.word());
        let p = Problem::new("TL0415", node.span, what).why(format!(
            "these do: {}; in a connector's own file an action does that says `message: {}`",
            listed(able.iter().map(String::as_str)),
            channel.word()
        ));
        l.cx.push(p);
        return None;
    };
    let parts = op.message.as_ref()?;
    let needs_subject = parts.subject.as_ref().and_then(|s| op.argument(s));
    if needs_subject.is_some_and(|a| a.required) && keys.get("subject").is_none() {
        l.cx.missing(keys, "subject", "\"Your message to us\"");
    }
    let mut beside = op.clone();
    beside
        .arguments
        .retain(|a| parts.names().all(|n| n != a.name));
    let with = with(l, keys, &beside);
    let on_unknown = unknown(l, keys, op);
    let call = ConnectorCall {
        connector: connector.name.clone(),
        operation: op.name.clone(),
        connection,
        with: with?,
        map: Vec::new(),
        is_conditional: false,
        base_version: None,
    };
    Some((call, op.class, on_unknown))
}

/// The connector of the connection that sends. One that is not declared yet is of the connector that it is called by.
fn sends_at(
    l: &mut Lower<'_>,
    (node, channel): (&Node, Channel),
    connection: &str,
) -> Option<String> {
    if let Some(found) = l.connections.iter().find(|c| c.name == connection) {
        let kind = found.connector.clone();
        if kind.is_none() {
            let what =
                format!("the connection `{connection}` is of no connector that sends messages");
            let p = Problem::new("TL0406", node.span, what).why(
                "the connector's file says how a message is given to the system that sends it",
            );
            l.cx.push(p.mend(Mend {
                edits: Vec::new(),
                say: "name another one, or give it the `kind` of a connector: `resend`, `twilio`, or one of your own".into(),
            }));
        }
        return kind;
    }
    if source(l.project, connection).is_some() {
        l.note(&format!(
            "connections.yaml has no connection `{connection}` yet: what uses it waits"
        ));
        return Some(connection.to_owned());
    }
    if l.connections.is_empty() {
        let what = format!("there is no connection `{connection}`");
        let p = Problem::new("TL0406", node.span, what)
            .why("what a message is given to is said in connections.yaml");
        l.cx.push(p.mend(Mend {
            edits: Vec::new(),
            say: format!(
                "declare it there, with the connector that sends: `{connection}: {{ kind: {} }}`",
                match channel {
                    Channel::Sms => "twilio, settings: { account: AC… }, secret: env:TWILIO_TOKEN",
                    _ => "resend, secret: env:RESEND_KEY",
                }
            ),
        }));
        return None;
    }
    let known: Vec<String> = l.connections.iter().map(|c| c.name.clone()).collect();
    let known = known.iter().map(String::as_str).chain([OUTBOX]);
    l.cx.unknown("TL0406", node, "the connection", known);
    None
}

/// What is done when nobody knows whether it happened: as the workflow says, else as the connector does.
fn unknown(l: &mut Lower<'_>, keys: Keys<'_>, op: &Operation) -> OnUnknown {
    let own = keys
        .get("on_unknown")
        .and_then(|n| l.cx.word(n, ON_UNKNOWN));
    match own {
        Some("assume_sent") => OnUnknown::AssumeSent,
        Some("resend") => OnUnknown::Resend,
        Some(_) => OnUnknown::Hold,
        None => op.on_unknown,
    }
}

/// The operation that `use` names.
fn operation(l: &mut Lower<'_>, node: &Node) -> Option<(Connector, Operation)> {
    let text = l.cx.text(node)?;
    let (name, of_it) = text.split_once('.').unwrap_or((&text, ""));
    let connector = of_name(l, node, (name, of_it))?;
    let Some(op) = connector.operations.get(of_it).cloned() else {
        let known: Vec<String> = connector
            .operations
            .keys()
            .map(|o| format!("{name}.{o}"))
            .collect();
        let known = known.iter().map(String::as_str);
        l.cx.unknown("TL0415", node, "the action", known);
        return None;
    };
    Some((connector, op))
}

/// The connector of a name, of which an action is meant.
fn of_name(l: &mut Lower<'_>, node: &Node, (name, of_it): (&str, &str)) -> Option<Connector> {
    let project = l.project;
    let Some(source) = source(project, name) else {
        let known = names(project);
        let p = Problem::new(
            "TL0415",
            node.span,
            format!("there is no connector `{name}`"),
        )
        .why(format!(
            "there are {}; an own one is the file connectors/{name}.yaml",
            listed(known.iter().map(String::as_str))
        ));
        let whole = |k: &str| match of_it {
            "" => k.to_owned(),
            _ => format!("{k}.{of_it}"),
        };
        l.cx.push(match nearest(name, known.iter().map(String::as_str)) {
            Some(k) => p.mend(Mend::replace(
                node.span,
                whole(k),
                format!("did you mean `{k}`?"),
            )),
            None => p,
        });
        return None;
    };
    let found = read(&path(name), source);
    for d in found
        .diags
        .into_iter()
        .filter(|d| d.severity == Severity::Error)
    {
        if !l.others.contains(&d) {
            l.others.push(d);
        }
    }
    found.connector
}

/// The connection belongs to the connector, where it is declared.
fn leads_there(l: &mut Lower<'_>, keys: Keys<'_>, name: &str, connector: &Connector) {
    let declared = l.connections.iter().find(|c| c.name == name);
    let Some(found) = declared else {
        if keys.get("connection").is_none() {
            l.note(&format!(
                "connections.yaml has no connection `{name}` yet: what uses it waits"
            ));
        }
        return;
    };
    if found.connector.as_deref() == Some(connector.name.as_str()) {
        return;
    }
    let p = Problem::new(
        "TL0406",
        keys.get("connection").map_or(keys.node.span, |n| n.span),
        format!(
            "the connection `{name}` is not of kind `{}`",
            connector.name
        ),
    )
    .why("the connector's file says how requests identify themselves there");
    l.cx.push(p.mend(Mend {
        edits: Vec::new(),
        say: format!(
            "write `kind: {}` at the connection, or name another one",
            connector.name
        ),
    }));
}

/// The arguments, each checked against its type.
fn with(l: &mut Lower<'_>, keys: Keys<'_>, op: &Operation) -> Option<Vec<CallArgument>> {
    let given = match keys.get("with") {
        Some(n) => Some(l.cx.mapping(n)?),
        None => None,
    };
    let (mut out, mut whole) = (Vec::new(), true);
    let schema = l.schema(Names::Effect);
    for e in given.iter().flat_map(|k| &k.map.entries) {
        let Some(argument) = op.argument(&e.key) else {
            unknown_argument(l, e, op);
            whole = false;
            continue;
        };
        match l.cx.expr(&e.value, &schema, &argument.ty) {
            Some(value) => out.push(CallArgument {
                name: e.key.clone(),
                value,
                required: argument.required,
                control: argument.control,
            }),
            None => whole = false,
        }
    }
    let missing = op
        .arguments
        .iter()
        .filter(|a| a.required && given.is_none_or(|k| k.get(&a.name).is_none()));
    for a in missing.collect::<Vec<_>>() {
        whole = false;
        match given {
            Some(with) => l.cx.missing(with, &a.name, example(a)),
            None => {
                l.cx.missing(keys, "with", &format!("{{ {}: {} }}", a.name, example(a)))
            }
        }
    }
    whole.then_some(out)
}

/// An expression that stands for a missing argument.
fn example(argument: &Argument) -> &'static str {
    match (argument.control, &argument.ty) {
        // Who says it is never what somebody else wrote.
        _ if argument.name == "from" => "\"'us@example.com'\"",
        (Control::Record, _) => "record.external_id",
        (_, Type::Email) => "record.email",
        (_, Type::Phone) => "record.phone",
        (_, Type::Int | Type::Dec) => "1",
        (_, Type::Bool) => "true",
        _ => "record.name",
    }
}

fn unknown_argument(l: &mut Lower<'_>, e: &crate::tree::Entry, op: &Operation) {
    let known = op.arguments.iter().map(|a| a.name.as_str());
    let p = Problem::new(
        "TL0416",
        e.key_span,
        format!("`{}` has no argument `{}`", op.name, e.key),
    )
    .why(match op.arguments.is_empty() {
        true => "it takes none".to_owned(),
        false => format!("its arguments are {}", listed(known.clone())),
    });
    l.cx.push(match nearest(&e.key, known) {
        Some(k) => p.mend(Mend::replace(e.key_span, k, format!("did you mean `{k}`?"))),
        None => p.mend(e.value.removal("take it out")),
    });
}

/// The record's properties.
fn map(l: &mut Lower<'_>, keys: Keys<'_>, op: &Operation) -> Option<Vec<(String, Expr)>> {
    let node = keys.get("map");
    match (node, &op.fields) {
        (None, None) => Some(Vec::new()),
        (Some(n), None) => {
            let p = Problem::new(
                "TL0416",
                keys.key_span("map"),
                format!("`{}` takes no properties", op.name),
            );
            let p = p.why("everything it sends is an argument under `with`");
            l.cx.push(p.mend(n.removal("take `map` out")));
            None
        }
        (None, Some(_)) => {
            l.cx.missing(keys, "map", "{ email: record.email }");
            None
        }
        (Some(n), Some(_)) => {
            let schema = l.schema(Names::Effect);
            let entries = &l.cx.mapping(n)?.map.entries;
            let all: Vec<Option<(String, Expr)>> = entries
                .iter()
                .map(|e| Some((e.key.clone(), l.cx.expr(&e.value, &schema, &Type::Any)?)))
                .collect();
            all.into_iter().collect()
        }
    }
}
