//! `record`: the data contract, and the lead that stands in when a file declares none.

use tl_kernel::expr::Template;
use tl_kernel::program::{FieldDef, FieldFrom, OnMatch, RecordType};
use tl_kernel::value::Type;

use crate::cx::{Keys, is_name};
use crate::diag::{Mend, Problem};
use crate::keys::{FIELD, FROM, ON_MATCH, RECORD, TYPES};
use crate::load::{Lower, Names};
use crate::suggest::{listed, nearest};
use crate::tree::Node;

/// The canonical lead: the record of a file that declares none.
pub(crate) fn lead() -> RecordType {
    let one_of = |v: &[&str]| Type::Enum(v.iter().map(|s| (*s).to_owned()).collect());
    let field = |name: &str, ty: Type, from: FieldFrom| FieldDef {
        name: name.to_owned(),
        ty,
        required: name == "name",
        control: false,
        untrusted: name == "message",
        paragraphs: name == "message",
        from,
        line: 0,
    };
    use FieldFrom::{Ai, Engine, Event, Rules};
    let intents = [
        "demo",
        "pricing",
        "support",
        "partnership",
        "job",
        "spam",
        "other",
    ];
    RecordType {
        name: "lead".into(),
        fields: vec![
            field("source", Type::Text, Event),
            field("external_id", Type::Text, Event),
            field("name", Type::Text, Event),
            field("company", Type::Text, Event),
            field("email", Type::Email, Event),
            field("phone", Type::Phone, Event),
            field("message", Type::Text, Event),
            field("intent", one_of(&intents), Ai),
            field("urgency", one_of(&["low", "normal", "high"]), Ai),
            field("product_line", Type::Text, Rules),
            field("territory", Type::Text, Rules),
            field("owner", Type::Text, Rules),
            field("next_step", Type::Text, Rules),
            field("received_at", Type::Time, Engine),
            field("first_touched_at", Type::Time, Engine),
            field("qualified_at", Type::Time, Engine),
            field("closed_at", Type::Time, Engine),
        ],
        natural_keys: Vec::new(),
        on_match: OnMatch::Join,
    }
}

/// The record type of the file.
pub(crate) fn record(l: &mut Lower<'_>, node: Option<&Node>) -> RecordType {
    let mut out = lead();
    let Some(keys) = node.and_then(|n| l.cx.section(n, &RECORD)) else {
        return out;
    };
    match keys.get("type") {
        Some(n) => out.name = l.cx.name(n).unwrap_or(out.name),
        None if keys.get("fields").is_some() => l.cx.missing(keys, "type", "ticket"),
        None => {}
    }
    if let Some(n) = keys.get("on_match") {
        out.on_match = match l.cx.word(n, ON_MATCH) {
            Some("update") => OnMatch::Update,
            Some("open") => OnMatch::Open,
            _ => OnMatch::Join,
        };
    }
    if let Some(fields) = keys.get("fields").and_then(|n| l.cx.mapping(n)) {
        out.fields = fields
            .map
            .entries
            .iter()
            .filter_map(|e| {
                check_field_name(l, e);
                let keys = l.cx.section(&e.value, &FIELD)?;
                let line = l.cx.line(e.key_span);
                field(l, keys, &e.key, line)
            })
            .collect();
    }
    l.record = out.clone();
    out.natural_keys = natural_keys(l, keys.get("natural_key"));
    out
}

fn check_field_name(l: &mut Lower<'_>, e: &crate::tree::Entry) {
    if is_name(&e.key) && e.key.contains('-') {
        let guess = e.key.replace('-', "_");
        l.cx.push(
            Problem::new(
                "TL0207",
                e.key_span,
                format!("`{}` cannot be named in an expression", e.key),
            )
            .why("`-` is minus there")
            .mend(Mend::replace(
                e.key_span,
                &guess,
                format!("write `{guess}`"),
            )),
        );
    } else {
        l.cx.check_name(&e.key, e.key_span);
    }
}

fn natural_keys(l: &mut Lower<'_>, node: Option<&Node>) -> Vec<Template> {
    let schema = l.schema(Names::Record);
    match node {
        None => Vec::new(),
        Some(n) if n.list().is_some() => {
            let items = l.cx.items(n);
            items
                .iter()
                .filter_map(|n| l.cx.template(n, &schema))
                .collect()
        }
        Some(n) => l.cx.template(n, &schema).into_iter().collect(),
    }
}

fn field(l: &mut Lower<'_>, keys: Keys<'_>, name: &str, line: u32) -> Option<FieldDef> {
    let from = match keys.get("from").and_then(|n| l.cx.word(n, FROM)) {
        Some("ai") => FieldFrom::Ai,
        Some("rules") => FieldFrom::Rules,
        Some("crm") => FieldFrom::Crm,
        Some("engine") => FieldFrom::Engine,
        _ => FieldFrom::Event,
    };
    let flag =
        |l: &mut Lower<'_>, key: &str| keys.get(key).and_then(|n| l.cx.bool(n)).unwrap_or(false);
    let (required, untrusted) = (flag(l, "required"), flag(l, "untrusted"));
    let control = keys
        .get("use")
        .and_then(|n| l.cx.word(n, &["control"]))
        .is_some();
    let ty = match keys.get("type") {
        Some(n) => field_type(l, n, keys),
        None if keys.get("values").is_some() => field_type_enum(l, keys),
        None => {
            l.cx.missing(keys, "type", "string");
            None
        }
    };
    let paragraphs = keys.get("type").and_then(Node::text) == Some("text");
    Some(FieldDef {
        name: name.to_owned(),
        ty: ty.unwrap_or(Type::Any),
        required,
        control,
        untrusted,
        paragraphs,
        from,
        line,
    })
}

fn field_type(l: &mut Lower<'_>, node: &Node, keys: Keys<'_>) -> Option<Type> {
    let text = l.cx.text(node)?;
    let (word, list) = match text.strip_prefix("list of ") {
        Some(rest) => (rest.trim(), true),
        None => (text.as_str(), false),
    };
    if word != "enum"
        && let Some(values) = keys.get("values")
    {
        l.cx.push(
            Problem::new(
                "TL0209",
                keys.key_span("values"),
                format!("`values` belong to an enum, not to `{word}`"),
            )
            .mend(values.removal("take `values` out")),
        );
    }
    let ty = match word {
        "enum" => field_type_enum(l, keys)?,
        "string" | "text" => Type::Text,
        "bool" => Type::Bool,
        "int" => Type::Int,
        "decimal" => Type::Dec,
        "float" => Type::Float,
        "email" => Type::Email,
        "phone" => Type::Phone,
        "url" => Type::Url,
        "time" => Type::Time,
        "duration" => Type::Dur,
        "any" => Type::Any,
        _ => {
            unknown_type(l, node, word, list);
            return None;
        }
    };
    Some(if list { Type::List(Box::new(ty)) } else { ty })
}

fn unknown_type(l: &mut Lower<'_>, node: &Node, word: &str, list: bool) {
    let alias = match word.to_lowercase().as_str() {
        "str" | "varchar" => Some("string"),
        "boolean" => Some("bool"),
        "integer" | "long" => Some("int"),
        "number" | "money" | "double" => Some("decimal"),
        "date" | "datetime" | "timestamp" => Some("time"),
        "uri" | "link" => Some("url"),
        "mail" | "e-mail" => Some("email"),
        _ => None,
    };
    let best = alias
        .or_else(|| nearest(word, TYPES.iter().copied()))
        .unwrap_or("string");
    let whole = if list {
        format!("list of {best}")
    } else {
        best.to_owned()
    };
    l.cx.push(
        Problem::new("TL0204", node.span, format!("there is no type `{word}`"))
            .why(format!(
                "the types are {}, and `list of` each",
                listed(TYPES.iter().copied())
            ))
            .mend(Mend::replace(node.span, &whole, format!("write `{whole}`"))),
    );
}

fn field_type_enum(l: &mut Lower<'_>, keys: Keys<'_>) -> Option<Type> {
    let Some(node) = keys.get("values") else {
        l.cx.missing(keys, "values", "[low, normal, high]");
        return None;
    };
    let mut values: Vec<String> = Vec::new();
    let nodes = l.cx.name_nodes(node);
    for n in &nodes {
        let Some(text) = l.cx.text(n) else { continue };
        if values.contains(&text) {
            l.cx.push(
                Problem::new(
                    "TL0211",
                    n.span,
                    format!("the value `{text}` stands here twice"),
                )
                .mend(n.removal("take the second one out")),
            );
        } else {
            values.push(text);
        }
    }
    Some(Type::Enum(values))
}
