//! `ingress`: the doors, what each knows about its sender, and how a message becomes a record.

use tl_kernel::expr::Expr;
use tl_kernel::program::{
    Auth, Channel, Endpoint, FieldDef, FieldFrom, Format, Idempotency, OnAutomatic, Schema,
};
use tl_kernel::value::Type;

use crate::cx::Keys;
use crate::diag::{Mend, Problem, Span};
use crate::keys::{CHANNEL, CHANNELS, FORMATS, GATEWAY, INGRESS, ON_AUTOMATIC};
use crate::load::{Lower, Names};
use crate::lower_auth::auth;
use crate::lower_public::{self, People};
use crate::schema::derived_schema;
use crate::tree::{Kind, Map, Node};

/// Largest body where the file names no other: 1 MiB.
const MAX_BODY: u32 = 1024 * 1024;
/// What `header_idempotency_key` comes to where the signature covers no delivery id.
const BODIES_COUNT: &str = "`idempotency: header_idempotency_key`: two different messages with identical bodies count as \
     one, because the header is not signed and so the body counts too; to tell them apart name a signed pointer such \
     as `idempotency: \"${event.body.id}\"`, sign the delivery id (`standard_webhooks`, or `hmac_signature` with \
     `id_header`), or join them by `record.natural_key`";
/// Largest mail where the file names no other: 10 MiB.
const MAX_MAIL: u32 = 10 * 1024 * 1024;
/// Largest document where the file names no other: 20 MiB, as much as is read.
const MAX_DOCUMENT: u32 = 20 * 1024 * 1024;
/// Largest body a file may ask for: 25 MiB, the usual bound of mail systems.
const MAX_ASKED: u32 = 25 * 1024 * 1024;

/// The channel of timetables, which have a section of their own.
const SCHEDULE: &str = "schedule";

/// The endpoints of the file.
pub(crate) fn ingress(l: &mut Lower<'_>, node: Option<&Node>) -> Vec<Endpoint> {
    let Some(keys) = node.and_then(|n| l.cx.section(n, &INGRESS)) else {
        return Vec::new();
    };
    let gateway = keys.get("gateway").and_then(|n| l.cx.section(n, &GATEWAY));
    let Some(channels) = keys.get("channels") else {
        l.cx.missing(keys, "channels", "[form]");
        return Vec::new();
    };
    let mut out: Vec<Endpoint> = Vec::new();
    for door in doors(l, channels) {
        if out.iter().any(|e| e.name == door.name) {
            l.cx.push(
                Problem::new(
                    "TL0211",
                    door.at.span,
                    format!("the endpoint `{}` stands here twice", door.name),
                )
                .mend(door.at.removal("take the second one out")),
            );
            continue;
        }
        out.push(endpoint(l, &door, gateway));
    }
    out
}

struct Door<'n> {
    name: String,
    channel: Channel,
    at: Node,
    keys: Option<Keys<'n>>,
}

fn doors<'n>(l: &mut Lower<'_>, node: &'n Node) -> Vec<Door<'n>> {
    let entries: &Map = match &node.kind {
        Kind::Map(m)
            if m.entries
                .iter()
                .any(|e| !matches!(e.value.kind, Kind::Null)) =>
        {
            m
        }
        _ => {
            let names = l.cx.name_nodes(node);
            return names.into_iter().filter_map(|n| bare_door(l, n)).collect();
        }
    };
    let mut out = Vec::new();
    for e in &entries.entries {
        let at = Node {
            span: e.key_span,
            ..e.value.clone()
        };
        if !l.cx.check_name(&e.key, e.key_span) {
            continue;
        }
        let keys = match e.value.kind {
            Kind::Null => None,
            _ => l.cx.section(&e.value, &CHANNEL),
        };
        let named = keys.and_then(|k| k.get("channel"));
        let timetable = named.map_or(e.key == SCHEDULE, |n| n.text() == Some(SCHEDULE));
        if timetable {
            schedule(l, named.unwrap_or(&at).span, &at);
            continue;
        }
        let channel = match named {
            Some(n) => l.cx.word(n, CHANNELS).and_then(channel),
            None => channel(&e.key),
        };
        match channel {
            Some(channel) => out.push(Door {
                name: e.key.clone(),
                channel,
                at,
                keys,
            }),
            None if named.is_some() => {}
            None => match keys {
                Some(k) => l.cx.missing(k, "channel", "webhook"),
                None => {
                    l.cx.unknown("TL0204", &at, "the channel", CHANNELS.iter().copied())
                }
            },
        }
    }
    out
}

/// Says where a timetable stands: nobody comes through its endpoint.
fn schedule(l: &mut Lower<'_>, span: Span, door: &Node) {
    l.cx.push(
        Problem::new("TL0204", span, format!("`{SCHEDULE}` is no channel of a door"))
            .why("a timetable stands under `schedules`: `schedules: { nightly: { cron: \"0 6 * * *\" } }`")
            .mend(door.removal("take it out here")),
    );
}

/// The endpoint through which the messages of a timetable come. Nobody outside can use it: it knows no sender.
pub(crate) fn timetable_endpoint(l: &mut Lower<'_>, name: &str, at: Node) -> Endpoint {
    let door = Door {
        name: name.to_owned(),
        channel: Channel::Schedule,
        at,
        keys: None,
    };
    let mut out = endpoint(l, &door, None);
    out.auth.clear();
    out
}

fn bare_door<'n>(l: &mut Lower<'_>, node: Node) -> Option<Door<'n>> {
    if node.text() == Some(SCHEDULE) {
        schedule(l, node.span, &node);
        return None;
    }
    let word = l.cx.word(&node, CHANNELS)?;
    Some(Door {
        name: word.to_owned(),
        channel: channel(word)?,
        at: node,
        keys: None,
    })
}

fn channel(word: &str) -> Option<Channel> {
    [
        Channel::Form,
        Channel::Email,
        Channel::Sms,
        Channel::Webhook,
        Channel::Api,
    ]
    .into_iter()
    .find(|c| c.word() == word)
}

fn endpoint(l: &mut Lower<'_>, door: &Door<'_>, gateway: Option<Keys<'_>>) -> Endpoint {
    let own = |key: &str| door.keys.and_then(|k| k.get(key));
    let either = |key: &str| own(key).or_else(|| gateway.and_then(|g| g.get(key)));
    let format = match own("format").and_then(|n| l.cx.word(n, FORMATS)) {
        Some("json") => Format::Json,
        Some("form") => Format::Form,
        Some("mail") => Format::Mail,
        Some("document") => Format::Document,
        _ => match door.channel {
            Channel::Form | Channel::Sms => Format::Form,
            Channel::Email => Format::Mail,
            Channel::Webhook | Channel::Api | Channel::Schedule => Format::Json,
        },
    };
    if format == Format::Document && door.channel != Channel::Webhook {
        no_document(l, own("format"));
    }
    let mut auth = auth(l, either("auth"), door.channel, &door.name);
    let people = People {
        name: &door.name,
        is_form: door.channel == Channel::Form && format == Format::Form,
        own: door.keys,
        auth: either("auth"),
    };
    lower_public::settle(l, &people, &mut auth);
    let idempotency = either("idempotency").map_or(Idempotency::Covered, |n| idempotency(l, n));
    let idempotency = lower_public::idempotency(&auth, own("idempotency").is_some(), idempotency);
    if idempotency == Idempotency::Header && !auth.iter().all(Auth::covers_id) {
        l.note(BODIES_COUNT);
    }
    let max_body = either("max_body").and_then(|n| size(l, n));
    let text = own("text").and_then(|n| {
        let schema = l.schema(Names::Event);
        l.cx.expr(n, &schema, &Type::Text)
    });
    let automatic = own("automatic").map_or(OnAutomatic::Note, |n| automatic(l, n, format));
    let mut out = Endpoint {
        name: door.name.clone(),
        channel: door.channel,
        format,
        auth,
        idempotency,
        schema: None,
        map: mapping(l, door, own("map"), format),
        text,
        automatic,
        max_body: max_body.unwrap_or(match format {
            Format::Mail => MAX_MAIL,
            Format::Document => MAX_DOCUMENT,
            Format::Json | Format::Form => MAX_BODY,
        }),
        line: l.cx.line(door.at.span),
    };
    out.text = out.text.take().or_else(|| default_text(l, &out));
    out.schema = either("validate").and_then(|n| validate(l, n, &out));
    out
}

/// A door for documents that is of another kind.
fn no_document(l: &mut Lower<'_>, node: Option<&Node>) {
    let Some(node) = node else { return };
    let mend = l.cx.without(node, "leave it out");
    let what = "`format: document` goes with `channel: webhook`";
    let why = "documents that are attached to a mail, or sent as files of a form, are read at its own door";
    let problem = Problem::new("TL0203", node.span, what).why(why);
    l.cx.push(problem.mend(mend));
}

fn automatic(l: &mut Lower<'_>, node: &Node, format: Format) -> OnAutomatic {
    let word = l.cx.word(node, ON_AUTOMATIC);
    if format != Format::Mail {
        let mend = l.cx.without(node, "leave it out");
        let what = "`automatic` says what an automatic mail does, and no mail comes through here";
        l.cx.push(Problem::new("TL0203", node.span, what).mend(mend));
    }
    match word {
        Some("message") => OnAutomatic::Message,
        _ => OnAutomatic::Note,
    }
}

/// The text that the AI step reads: what is mapped to `message` or `body`, else the message's own text.
fn default_text(l: &Lower<'_>, endpoint: &Endpoint) -> Option<Expr> {
    let mapped = |name: &str| {
        let found = endpoint.map.iter().find(|(f, _)| f == name);
        found.map(|(_, e)| e.clone())
    };
    mapped("message")
        .or_else(|| mapped("body"))
        .or_else(|| l.own_expr("event.text", Names::Event, &Type::Text))
}

fn mapping(
    l: &mut Lower<'_>,
    door: &Door<'_>,
    node: Option<&Node>,
    format: Format,
) -> Vec<(String, Expr)> {
    let mut written: Vec<(String, Option<Expr>)> = Vec::new();
    if let Some(keys) = node.and_then(|n| l.cx.mapping(n)) {
        for e in &keys.map.entries {
            let Some(field) = l.record.field(&e.key).cloned() else {
                let at = Node {
                    span: e.key_span,
                    ..text_node(&e.key, &e.value)
                };
                let names: Vec<String> = l.record.fields.iter().map(|f| f.name.clone()).collect();
                l.cx.unknown("TL0404", &at, "the field", names.iter().map(String::as_str));
                continue;
            };
            let schema = l.schema(Names::Event);
            let expr = l.cx.expr(&e.value, &schema, &field.ty);
            written.push((field.name, expr));
        }
    }
    let fields: Vec<FieldDef> = l.record.fields.clone();
    let mut out = Vec::new();
    for f in &fields {
        if let Some((name, expr)) = written.iter_mut().find(|(n, _)| *n == f.name) {
            out.extend(expr.take().map(|e| (name.clone(), e)));
        } else if f.from == FieldFrom::Event {
            let own = match default_source(f, &fields, door.channel, format) {
                Source::Nowhere => None,
                Source::Body => l.own_path("event.body", &f.name, Names::Event, &f.ty),
                Source::At(source) => l.own_expr(source, Names::Event, &f.ty),
            };
            out.extend(own.map(|e| (f.name.clone(), e)));
        }
    }
    out
}

fn text_node(text: &str, from: &Node) -> Node {
    Node {
        kind: Kind::Scalar(crate::tree::Scalar {
            text: text.to_owned(),
            plain: true,
            verbatim: None,
        }),
        ..from.clone()
    }
}

/// Where a field is read from when the file does not say.
enum Source {
    Nowhere,
    /// The part of the body with the field's name.
    Body,
    At(&'static str),
}

fn default_source(f: &FieldDef, all: &[FieldDef], channel: Channel, format: Format) -> Source {
    match f.name.as_str() {
        "source" => return Source::At("event.source"),
        "external_id" => return Source::At("event.external_id"),
        _ => {}
    }
    let first_of = |ty: &Type| {
        let mut same = all
            .iter()
            .filter(|o| o.from == FieldFrom::Event && o.ty == *ty);
        f.ty == *ty && same.next().is_some_and(|o| o.name == f.name)
    };
    let name = f.name.as_str();
    if format == Format::Mail {
        return match name {
            "name" => Source::At("event.from_name"),
            "message" | "body" => Source::At("event.text"),
            "subject" => Source::At("event.subject"),
            _ if name == "email" || first_of(&Type::Email) => Source::At("event.from"),
            _ => Source::Nowhere,
        };
    }
    if format == Format::Document {
        return match name {
            "text" | "message" | "body" => Source::At("event.text"),
            _ => Source::Body,
        };
    }
    match name {
        "message" | "body" if channel == Channel::Sms => Source::At("event.body.Body"),
        _ if channel == Channel::Sms && (name == "phone" || first_of(&Type::Phone)) => {
            Source::At("event.body.From")
        }
        _ => Source::Body,
    }
}

fn idempotency(l: &mut Lower<'_>, node: &Node) -> Idempotency {
    const WORDS: &[&str] = &["header_idempotency_key", "covered"];
    if node.text().is_some_and(|t| t.contains("${")) {
        let schema = l.schema(Names::Event);
        return match l.cx.template(node, &schema) {
            Some(t) => Idempotency::Pointer(t),
            None => Idempotency::Covered,
        };
    }
    match l.cx.word(node, WORDS) {
        Some("header_idempotency_key") => Idempotency::Header,
        _ => Idempotency::Covered,
    }
}

fn validate(l: &mut Lower<'_>, node: &Node, endpoint: &Endpoint) -> Option<Schema> {
    if node.text() == Some("json_schema") {
        let said_by_sender = matches!(endpoint.format, Format::Json | Format::Form);
        return said_by_sender.then(|| Schema {
            json: derived_schema(endpoint, &l.record),
            derived: true,
        });
    }
    if !node.text().is_some_and(|t| t.ends_with(".json")) {
        l.cx.word(node, &["json_schema"]);
        return None;
    }
    let (path, text) = l.beside(node)?;
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(v) if v.is_object() => Some(Schema {
            json: text.to_owned(),
            derived: false,
        }),
        _ => {
            l.cx.push(
                Problem::new("TL0413", node.span, format!("{path} is not a JSON Schema")).mend(
                    Mend::replace(
                        node.span,
                        "json_schema",
                        "derive it from `record`: write `json_schema`",
                    ),
                ),
            );
            None
        }
    }
}

/// A size in bytes: a number, or one with KiB or MiB.
fn size(l: &mut Lower<'_>, node: &Node) -> Option<u32> {
    let text = l.cx.text(node)?;
    let compact = text.replace(' ', "").to_lowercase();
    let (digits, unit) = compact.split_at(
        compact
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(compact.len()),
    );
    let scale: u64 = match unit {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1024,
        "m" | "mb" | "mib" => 1024 * 1024,
        _ => 0,
    };
    let bytes = digits
        .parse::<u64>()
        .ok()
        .and_then(|n| n.checked_mul(scale))
        .filter(|n| *n > 0);
    if let Some(b) = bytes.filter(|b| *b <= u64::from(MAX_ASKED)) {
        return u32::try_from(b).ok();
    }
    let guess = if bytes.is_some() { "25MiB" } else { "1MiB" };
    l.cx.push(
        Problem::new(
            "TL0206",
            node.span,
            format!("`{text}` is not a size that fits here"),
        )
        .why("a size is a number of bytes, KiB or MiB, at most 25MiB")
        .mend(Mend::replace(node.span, guess, format!("write {guess}"))),
    );
    None
}
