//! From the text of a connector file to a connector.

use std::collections::BTreeMap;

use tl_kernel::connector::{
    Argument, Body, Condition, Connector, Control, Fields, HttpRequest, LookUp, Meaning,
    MeaningRule, Operation, Proof, Rate, Read as ReadRecord, Verified, WhenAbsent,
};
use tl_kernel::digest::sha256;
use tl_kernel::effect::Class;
use tl_kernel::expr::Template;
use tl_kernel::program::OnUnknown;
use tl_kernel::time::MINUTE;
use tl_kernel::value::Type;

use super::keys::{
    ACTION, ANSWER, ARGUMENT, ARGUMENT_TYPES, CLASSES, CONNECTOR_FILE, CONTROLS, FIELDS, LOCK,
    LOOK_UP, MEANING, MEANINGS, PROOFS, RATE, READ, VERIFIED,
};
use super::request::{fixed, pairs, request};
use super::{Read, auth, evidence, message};
use crate::cel::Schema;
use crate::cx::{Cx, Keys};
use crate::diag::{self, Mend, Problem, Severity};
use crate::keys::ON_UNKNOWN;
use crate::tree::{self, Entry, Kind, Node};

/// What was sent may take so long to show, where the file does not say.
const SETTLE: i64 = 2 * MINUTE;

/// Reads the file.
pub(super) fn file(path: &str, source: &str) -> Read {
    let (tree, diags) = tree::parse(path, source);
    let mut cx = Cx::new(path, source);
    cx.diags = diags;
    let connector = tree.as_ref().and_then(|t| connector(&mut cx, t, path));
    let mut diags = cx.diags;
    diag::sort(&mut diags);
    diags.dedup();
    let broken = diags.iter().any(|d| d.severity == Severity::Error);
    Read {
        connector: connector.filter(|_| !broken),
        diags,
    }
}

/// What all parts of a file share.
struct Names {
    connection: Type,
    /// What every request may read.
    request: Schema,
    /// And the answer.
    answer: Schema,
}

/// What an answer is in expressions.
pub(super) fn answer_type() -> Type {
    let part = |n: &str, t| (n.to_owned(), t);
    Type::Record(BTreeMap::from([
        part("status", Type::Int),
        part("header", Type::Any),
        part("body", Type::Any),
        part("text", Type::Text),
    ]))
}

fn effect_type() -> Type {
    let part = |n: &str, t| (n.to_owned(), t);
    Type::Record(BTreeMap::from([
        part("id", Type::Text),
        part("key", Type::Text),
        part("version", Type::Text),
        part("attempt", Type::Int),
    ]))
}

fn connector(cx: &mut Cx<'_>, tree: &Node, path: &str) -> Option<Connector> {
    let top = cx.section(tree, &CONNECTOR_FILE)?;
    let stem = path.rsplit('/').next().unwrap_or(path);
    let stem = stem.strip_suffix(".yaml").unwrap_or(stem);
    for (key, example) in [("actions", "{}"), ("title", "Our CRM"), ("connector", stem)] {
        if top.get(key).is_none() {
            cx.missing(top, key, example);
        }
    }
    let name = top.get("connector").and_then(|n| name(cx, n, stem));
    let settings = texts(cx, top.get("settings"));
    let of_settings = settings.keys().map(|k| (k.clone(), Type::Text)).collect();
    let names = names(Type::Record(of_settings), Type::Any, Type::Any);
    let (base_url, hosts) = place(cx, top, &names);
    let headers = pairs(cx, top.get("headers"), &names.request);
    let check = top.get("check").and_then(|n| {
        let mut check = request(cx, n, &names.request, "GET")?;
        with_shared(&mut check, &headers);
        Some(check)
    });
    let shared = Shared {
        meanings: meanings(cx, top.get("meanings"), &names.answer),
        names: &names,
        headers,
    };
    Some(Connector {
        name: name?,
        title: top.get("title").and_then(|n| cx.text(n))?,
        digest: sha256(&[cx.source.as_bytes()]),
        base_url,
        hosts,
        auth: auth::schemes(cx, top.get("auth"), &names.connection),
        rate: top.get("rate").and_then(|n| rate(cx, n)),
        check,
        verified: top
            .get("verified")
            .and_then(|n| verified(cx, n))
            .unwrap_or(Verified {
                by: Proof::Unverified,
                source: String::new(),
            }),
        docs: top.get("docs").and_then(|n| cx.text(n)),
        operations: operations(cx, top.get("actions")?, &shared),
        settings,
    })
}

fn name(cx: &mut Cx<'_>, node: &Node, stem: &str) -> Option<String> {
    let own = cx.name(node)?;
    if own == stem {
        return Some(own);
    }
    cx.push(
        Problem::new(
            "TL0207",
            node.span,
            format!("`{own}` is not the name of the file"),
        )
        .why(format!("the file is called {stem}.yaml"))
        .mend(Mend::replace(node.span, stem, format!("write `{stem}`"))),
    );
    None
}

fn place(cx: &mut Cx<'_>, top: Keys<'_>, names: &Names) -> (Option<Template>, Vec<String>) {
    let base = top.get("base_url").and_then(|n| {
        let url = cx.template(n, &names.request)?;
        let fits = url.source.starts_with("https://") || url.single().is_some();
        if !fits {
            cx.push(
                Problem::new("TL0203", n.span, "a base address starts with https://")
                    .why("a system in the own network is named by its connection; leave `base_url` out")
                    .mend(n.removal("leave it out")),
            );
        }
        Some(Template {
            source: url.source.trim_end_matches('/').to_owned(),
            ..url
        })
    });
    let hosts = top.get("hosts").map(|n| {
        let nodes = cx.name_nodes(n);
        nodes.iter().filter_map(|n| cx.text(n)).collect()
    });
    (base, hosts.unwrap_or_default())
}

fn names(connection: Type, args: Type, fields: Type) -> Names {
    let request = BTreeMap::from([
        ("connection".to_owned(), connection.clone()),
        ("effect".to_owned(), effect_type()),
        ("args".to_owned(), args),
        ("fields".to_owned(), fields),
    ]);
    let mut answer = request.clone();
    answer.insert("answer".into(), answer_type());
    Names {
        connection,
        request: Schema { root: request },
        answer: Schema { root: answer },
    }
}

fn texts(cx: &mut Cx<'_>, node: Option<&Node>) -> BTreeMap<String, String> {
    let Some(keys) = node.and_then(|n| cx.mapping(n)) else {
        return BTreeMap::new();
    };
    let mut out = BTreeMap::new();
    for e in &keys.map.entries {
        if cx.check_name(&e.key, e.key_span)
            && let Some(text) = cx.text(&e.value)
        {
            out.insert(e.key.clone(), text);
        }
    }
    out
}

fn verified(cx: &mut Cx<'_>, node: &Node) -> Option<Verified> {
    let keys = cx.section(node, &VERIFIED)?;
    let word = keys.get("by").and_then(|n| cx.word(n, PROOFS))?;
    let by = Proof::ALL.into_iter().find(|p| p.word() == word)?;
    let source = keys.get("source").and_then(|n| cx.text(n));
    if by != Proof::Unverified && source.is_none() {
        cx.missing(keys, "source", "\"document, date\"");
    }
    Some(Verified {
        by,
        source: source.unwrap_or_default(),
    })
}

fn rate(cx: &mut Cx<'_>, node: &Node) -> Option<Rate> {
    let keys = cx.section(node, &RATE)?;
    let Some(n) = keys.get("per_second") else {
        cx.missing(keys, "per_second", "10");
        return None;
    };
    let text = cx.text(n)?;
    let per_second = text
        .parse::<f64>()
        .ok()
        .filter(|x| (0.001..=10_000.0).contains(x));
    let Some(per_second) = per_second else {
        cx.push(
            Problem::new("TL0206", n.span, format!("`{text}` is not a rate"))
                .why("it lies between 0.001 and 10000")
                .mend(Mend::replace(n.span, "10", "write 10")),
        );
        return None;
    };
    let burst = keys.get("burst").and_then(|n| cx.whole(n, 1..=10_000));
    Some(Rate {
        per_second_milli: (per_second * 1_000.0).round() as u32,
        burst: burst.map_or_else(|| per_second.ceil() as u32, |b| b as u32),
    })
}

/// What the connector says for all its operations.
struct Shared<'a> {
    names: &'a Names,
    headers: Vec<(String, Template)>,
    meanings: Vec<MeaningRule>,
}

fn operations(cx: &mut Cx<'_>, node: &Node, shared: &Shared<'_>) -> BTreeMap<String, Operation> {
    let mut out = BTreeMap::new();
    let Some(keys) = cx.mapping(node) else {
        return out;
    };
    for e in &keys.map.entries {
        let parts = e.key.split('.').all(crate::cx::is_name);
        if !parts {
            cx.check_name(&e.key.replace('.', "_"), e.key_span);
            continue;
        }
        if let Some(keys) = cx.section(&e.value, &ACTION)
            && let Some(op) = operation(cx, (e, keys), shared)
        {
            evidence::of(cx, (e, keys), &op);
            out.insert(e.key.clone(), op);
        }
    }
    message::one_a_channel(cx, keys, &out);
    one_way_out(cx, keys, &out);
    out
}

/// A connection leads to one place, which speaks SMTP or HTTP and not both.
fn one_way_out(cx: &mut Cx<'_>, keys: Keys<'_>, operations: &BTreeMap<String, Operation>) {
    let by_mail = |o: &&Operation| matches!(o.request.body, Body::Mail(_));
    let Some(mail) = operations.values().find(by_mail) else {
        return;
    };
    let all = &mut operations.values();
    if let Some(other) = all.find(|o| !by_mail(o) || o.read.is_some() || o.look_up.is_some()) {
        let what = format!(
            "`{}` goes by SMTP, and `{}` asks by HTTP",
            mail.name, other.name
        );
        let p = Problem::new("TL0209", keys.key_span(&other.name), what)
            .why("a connection of this connector leads to one server");
        cx.push(p.mend(Mend {
            edits: Vec::new(),
            say: "write a connector of its own for the one or the other".into(),
        }));
    }
}

fn operation(
    cx: &mut Cx<'_>,
    (entry, keys): (&Entry, Keys<'_>),
    shared: &Shared<'_>,
) -> Option<Operation> {
    let arguments = arguments(cx, keys.get("arguments"));
    let fields = keys.get("fields").and_then(|n| fields(cx, n));
    let typed = arguments.iter().map(|a| (a.name.clone(), a.ty.clone()));
    let of_fields = match &fields {
        Some(_) => Type::Any,
        None => Type::Record(BTreeMap::new()),
    };
    let args = Type::Record(typed.collect());
    let names = names(shared.names.connection.clone(), args, of_fields);
    let class = match keys.get("class") {
        Some(n) => cx.word(n, CLASSES).and_then(class_of),
        None => {
            cx.missing(keys, "class", "E4");
            None
        }
    };
    let mut request = match keys.get("request") {
        Some(n) => request(cx, n, &names.request, "POST"),
        None => {
            cx.missing(keys, "request", "{ method: POST, path: /contacts }");
            None
        }
    };
    if let Some(r) = &mut request {
        with_shared(r, &shared.headers);
    }
    let answer = keys.get("answer").and_then(|n| cx.section(n, &ANSWER));
    let mut of_answer = |key: &str| {
        let node = answer?.get(key)?;
        cx.expr(node, &names.answer, &Type::Any)
    };
    let (id, version) = (of_answer("id"), of_answer("version"));
    let mut meanings = meanings(cx, keys.get("meanings"), &names.answer);
    meanings.extend(shared.meanings.iter().cloned());
    let look_up = keys.get("look_up").and_then(|n| look_up(cx, n, &names));
    let (condition, when_absent) = (condition(cx, keys), when_absent(cx, keys));
    let title = keys.get("title").and_then(|n| cx.text(n));
    let request = request?;
    let read = read(cx, keys, (&names, &shared.headers), (&request, &condition));
    Some(Operation {
        name: entry.key.clone(),
        title: title.unwrap_or_else(|| entry.key.clone()),
        class: class?,
        key_lifetime: keys
            .get("key_lifetime")
            .filter(|n| n.text() != Some("for_ever"))
            .and_then(|n| cx.duration(n)),
        on_unknown: on_unknown(cx, keys),
        message: message::of(cx, keys, &arguments),
        arguments,
        fields,
        condition,
        absent: when_absent,
        read,
        id,
        version,
        meanings,
        look_up: look_up.map(|mut l| {
            with_shared(&mut l.request, &shared.headers);
            l
        }),
        verified: keys.get("verified").and_then(|n| verified(cx, n)),
        request,
    })
}

/// The connector's headers, where the request does not set them itself.
fn with_shared(request: &mut HttpRequest, shared: &[(String, Template)]) {
    for (name, value) in shared {
        if !request
            .headers
            .iter()
            .any(|(n, _)| n.eq_ignore_ascii_case(name))
        {
            request.headers.push((name.clone(), value.clone()));
        }
    }
}

fn class_of(word: &str) -> Option<Class> {
    [Class::E1, Class::E2, Class::E3, Class::E4, Class::E5]
        .into_iter()
        .find(|c| c.word() == word)
}

fn on_unknown(cx: &mut Cx<'_>, keys: Keys<'_>) -> OnUnknown {
    match keys.get("on_unknown").and_then(|n| cx.word(n, ON_UNKNOWN)) {
        Some("assume_sent") => OnUnknown::AssumeSent,
        Some("resend") => OnUnknown::Resend,
        _ => OnUnknown::Hold,
    }
}

fn arguments(cx: &mut Cx<'_>, node: Option<&Node>) -> Vec<Argument> {
    let Some(keys) = node.and_then(|n| cx.mapping(n)) else {
        return Vec::new();
    };
    let mut out = Vec::new();
    for e in &keys.map.entries {
        if !cx.check_name(&e.key, e.key_span) {
            continue;
        }
        let part = match &e.value.kind {
            Kind::Null => None,
            _ => cx.section(&e.value, &ARGUMENT),
        };
        let get = |key: &str| part.and_then(|p| p.get(key));
        let word = get("type")
            .and_then(|n| cx.word(n, ARGUMENT_TYPES))
            .unwrap_or("string");
        let values = get("values").map(|n| {
            let nodes = cx.name_nodes(n);
            nodes.iter().filter_map(|n| cx.text(n)).collect()
        });
        let control = get("control").and_then(|n| cx.word(n, CONTROLS));
        let control = [Control::Unseen, Control::Record, Control::Sensitive]
            .into_iter()
            .find(|c| Some(c.word()) == control);
        out.push(Argument {
            name: e.key.clone(),
            ty: type_of(word, values.unwrap_or_default()),
            required: get("required").and_then(|n| cx.bool(n)).unwrap_or(false),
            control: control.unwrap_or(Control::Content),
            doc: get("doc").and_then(|n| cx.text(n)).unwrap_or_default(),
        });
    }
    out
}

fn type_of(word: &str, values: Vec<String>) -> Type {
    match word {
        "bool" => Type::Bool,
        "int" => Type::Int,
        "decimal" => Type::Dec,
        "enum" => Type::Enum(values),
        "email" => Type::Email,
        "phone" => Type::Phone,
        "url" => Type::Url,
        "time" => Type::Time,
        "list" => Type::List(Box::new(Type::Any)),
        "any" => Type::Any,
        _ => Type::Text,
    }
}

fn fields(cx: &mut Cx<'_>, node: &Node) -> Option<Fields> {
    let keys = cx.section(node, &FIELDS)?;
    let as_text = keys.get("as").and_then(|n| cx.word(n, &["json", "text"])) == Some("text");
    let doc = keys.get("doc").and_then(|n| cx.text(n)).unwrap_or_default();
    Some(Fields { as_text, doc })
}

fn condition(cx: &mut Cx<'_>, keys: Keys<'_>) -> Condition {
    let Some(node) = keys.get("lock") else {
        return Condition::None;
    };
    if node.text().is_some() {
        return match cx.word(node, &["if_match", "placed"]) {
            Some("placed") => Condition::Placed,
            _ => Condition::IfMatch,
        };
    }
    let Some(lock) = cx.section(node, &LOCK) else {
        return Condition::None;
    };
    match lock.get("field").map(|n| cx.text(n)) {
        Some(name) => name.map_or(Condition::None, Condition::Field),
        None => {
            cx.missing(lock, "field", "version");
            Condition::None
        }
    }
}

fn when_absent(cx: &mut Cx<'_>, keys: Keys<'_>) -> WhenAbsent {
    let words = &["fails", "if_none_match", "plain"];
    match keys.get("when_absent").and_then(|n| cx.word(n, words)) {
        Some("if_none_match") => WhenAbsent::IfNoneMatch,
        Some("plain") => WhenAbsent::Plain,
        _ => WhenAbsent::Fails,
    }
}

/// The read that belongs to a write: as it is written, or of the same path.
fn read(
    cx: &mut Cx<'_>,
    keys: Keys<'_>,
    (names, headers): (&Names, &[(String, Template)]),
    (write, condition): (&HttpRequest, &Condition),
) -> Option<ReadRecord> {
    let node = keys.get("read");
    if node.is_none() && *condition == Condition::None {
        return None;
    }
    let part = node.and_then(|n| cx.section(n, &READ));
    let get = |key: &str| part.and_then(|p| p.get(key));
    let own = get("request").map(|n| request(cx, n, &names.request, "GET"));
    let mut request = own.unwrap_or_else(|| {
        Some(HttpRequest {
            method: fixed("GET"),
            path: write.path.clone(),
            query: Vec::new(),
            headers: Vec::new(),
            body: Body::None,
        })
    })?;
    with_shared(&mut request, headers);
    let mut of_answer =
        |key: &str, want: &Type| get(key).and_then(|n| cx.expr(n, &names.answer, want));
    Some(ReadRecord {
        request,
        version: of_answer("version", &Type::Any),
        values: of_answer("values", &Type::Any),
        absent: of_answer("absent", &Type::Bool),
    })
}

fn look_up(cx: &mut Cx<'_>, node: &Node, names: &Names) -> Option<LookUp> {
    let keys = cx.section(node, &LOOK_UP)?;
    for (key, example) in [
        ("found", "answer.body.results.map(r, r.id)"),
        ("request", "{ method: GET, path: /messages }"),
    ] {
        if keys.get(key).is_none() {
            cx.missing(keys, key, example);
        }
    }
    let asked = keys
        .get("request")
        .and_then(|n| request(cx, n, &names.request, "GET"));
    let found = keys
        .get("found")
        .and_then(|n| cx.required_expr(n, &names.answer, &Type::Any));
    let words = &["certain", "unclear"];
    Some(LookUp {
        request: asked?,
        found: found?,
        absent_is_certain: keys.get("absent_is").and_then(|n| cx.word(n, words)) == Some("certain"),
        settle: keys
            .get("settle")
            .and_then(|n| cx.duration(n))
            .unwrap_or(SETTLE),
    })
}

fn meanings(cx: &mut Cx<'_>, node: Option<&Node>, schema: &Schema) -> Vec<MeaningRule> {
    let Some(node) = node else {
        return Vec::new();
    };
    let mut out = Vec::new();
    for item in cx.items(node) {
        let Some(keys) = cx.section(item, &MEANING) else {
            continue;
        };
        if keys.get("means").is_none() {
            cx.missing(keys, "means", "refused");
        }
        let means = keys.get("means").and_then(|n| cx.word(n, MEANINGS));
        let means = Meaning::ALL.into_iter().find(|m| Some(m.word()) == means);
        let statuses = keys.get("status").map(|n| {
            let nodes = cx.name_nodes(n);
            nodes.iter().filter_map(|n| status(cx, n)).collect()
        });
        let when = keys
            .get("when")
            .map(|n| cx.required_expr(n, schema, &Type::Bool));
        if let (Some(means), Some(when)) = (means, when.map_or(Some(None), |w| w.map(Some))) {
            out.push(MeaningRule {
                statuses: statuses.unwrap_or_default(),
                when,
                means,
            });
        }
    }
    out
}

/// A status, or a class of them: `409`, `4xx`.
fn status(cx: &mut Cx<'_>, node: &Node) -> Option<(u16, u16)> {
    let text = cx.text(node)?;
    let class = text.strip_suffix("xx").and_then(|d| d.parse::<u16>().ok());
    let range = match class {
        Some(d) => Some((d * 100, d * 100 + 99)),
        None => text.parse::<u16>().ok().map(|s| (s, s)),
    };
    let found = range.filter(|(from, to)| *from >= 100 && *to <= 599);
    if found.is_none() {
        cx.push(
            Problem::new("TL0206", node.span, format!("`{text}` is not a status"))
                .why("a status is a number from 100 to 599, or a class such as 4xx")
                .mend(Mend::replace(node.span, "409", "write 409")),
        );
    }
    found
}
