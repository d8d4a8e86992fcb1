//! The language as its users meet it: values, errors with their mends, labels, bounds.

mod errors;
mod hostile;
mod labels;
mod values;

use std::collections::BTreeMap;

use tl_kernel::expr::{EvalError, Found, Scope};
use tl_kernel::value::{Label, Type, Value};

use super::{Schema, compile};

fn texts(values: &[&str]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

fn record(parts: &[(&str, Type)]) -> Type {
    Type::Record(
        parts
            .iter()
            .map(|(name, t)| (name.to_string(), t.clone()))
            .collect(),
    )
}

/// The names every test may use.
fn schema() -> Schema {
    let list = |t| Type::List(Box::new(t));
    let record_type = record(&[
        ("vip", Type::Bool),
        ("requester_verified", Type::Bool),
        ("amount", Type::Dec),
        ("count", Type::Int),
        ("name", Type::Text),
        ("country", Type::Text),
        ("note", Type::Text),
        ("nothing", Type::Text),
        ("discount", Type::Dec),
        ("optional", Type::Bool),
        ("body", Type::Text),
        (
            "intent",
            Type::Enum(texts(&["question", "bug", "outage", "refund"])),
        ),
        ("urgency", Type::Enum(texts(&["low", "normal", "high"]))),
        ("color", Type::Enum(texts(&["red", "green"]))),
        ("email", Type::Email),
        ("phone", Type::Phone),
        ("site", Type::Url),
        ("due", Type::Time),
        ("since", Type::Time),
        ("wait", Type::Dur),
        ("tags", list(Type::Text)),
        ("amounts", list(Type::Dec)),
        ("counts", list(Type::Int)),
        (
            "address",
            record(&[("city", Type::Text), ("zip", Type::Text)]),
        ),
    ]);
    let event = record(&[
        ("source", Type::Text),
        ("headers", Type::Any),
        ("body", Type::Any),
        ("correlation_id", Type::Text),
    ]);
    let root = [
        ("record", record_type),
        ("event", event),
        ("confidence", Type::Float),
        ("threshold", Type::Float),
        ("policy_allows", Type::Bool),
        ("needs_human", Type::Bool),
        ("missing", list(Type::Text)),
        ("flags", Type::Any),
    ];
    Schema {
        root: root
            .into_iter()
            .map(|(name, t)| (name.to_string(), t))
            .collect(),
    }
}

/// The values of the names unless a test says otherwise; a name that is not here is absent.
const VALUES: &[(&str, &str)] = &[
    ("record.vip", "true"),
    ("record.requester_verified", "false"),
    ("record.amount", "120.50"),
    ("record.count", "3"),
    ("record.name", "'Ada Lovelace'"),
    ("record.country", "'DE'"),
    ("record.nothing", "null"),
    ("record.body", "'Please refund order 4711. Thanks'"),
    ("record.intent", "'bug'"),
    ("record.urgency", "'high'"),
    ("record.color", "'red'"),
    ("record.email", "'ada@example.org'"),
    ("record.phone", "'+49301234567'"),
    ("record.site", "'https://example.org/a'"),
    ("record.due", "timestamp('2026-11-22T16:40:00Z')"),
    ("record.since", "timestamp('2026-11-22T14:00:00Z')"),
    ("record.wait", "duration('2h')"),
    ("record.tags", "['vip', 'berlin', 'new']"),
    ("record.amounts", "[1.5, 2.25, 10.0]"),
    ("record.counts", "[1, 2, 3, 4]"),
    ("record.address", "{'city': 'Berlin', 'zip': '10115'}"),
    ("event.source", "'web'"),
    ("event.correlation_id", "'c-1'"),
    ("event.headers", "{'auto-submitted': 'auto-replied', 'x-spam': 'no'}"),
    (
        "event.body",
        "{'age': 42, 'name': 'ada', 'ratio': 0.5, 'on': true, 'nil': null, 'text': 'x7', 'digits': '17',
          'items': [{'sku': 'a', 'qty': 2}, {'sku': 'b', 'qty': 5}], 'big': 9223372036854775807}",
    ),
    ("confidence", "double('0.9')"),
    ("threshold", "double('0.8')"),
    ("policy_allows", "true"),
    ("needs_human", "false"),
    ("missing", "[]"),
    ("flags.beta", "true"),
];

/// Values by dotted name; everything under `record` and `event` is untrusted.
#[derive(Debug, Default, Clone)]
struct Names(BTreeMap<String, Value>);

impl Names {
    /// The usual values with changes such as `confidence=absent; record.count=5`.
    fn with(changes: &str) -> Names {
        let mut names = Names::default();
        let changed = changes.split(';').filter_map(|c| c.split_once('='));
        let usual = VALUES.iter().copied();
        for (name, written) in usual.chain(changed) {
            match written.trim() {
                "absent" => names.0.remove(name.trim()),
                written => names.0.insert(name.trim().to_string(), constant(written)),
            };
        }
        names
    }

    fn set(mut self, name: &str, value: Value) -> Names {
        self.0.insert(name.to_string(), value);
        self
    }
}

impl Scope for Names {
    fn lookup<'a>(&'a self, names: &[String]) -> Found<'a> {
        let label = match names[0].as_str() {
            "record" | "event" => Label::Untrusted,
            _ => Label::Config,
        };
        for known in (1..=names.len()).rev() {
            if let Some(value) = self.0.get(&names[..known].join(".")) {
                return match value.at(&names[known..]) {
                    Some(part) => Found::borrowed(part, label),
                    None => Found::absent(label),
                };
            }
        }
        Found::absent(label)
    }
}

/// The value of an expression without names.
fn constant(source: &str) -> Value {
    let expr = compile(source, &Schema::default(), &Type::Any).expect(source);
    let got = expr.eval(&Names::default()).expect(source);
    got.value.expect(source)
}

/// A value in the notation of the tables.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Text(t) => format!("'{t}'"),
        Value::Dec(d) => format!("{d}d"),
        Value::Float(f) => format!("{f}f"),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(shown).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Record(parts) => {
            let parts: Vec<String> = parts
                .iter()
                .map(|(k, v)| format!("{k}: {}", shown(v)))
                .collect();
            format!("{{{}}}", parts.join(", "))
        }
        other => other.to_string(),
    }
}

/// An error in the notation of the tables.
fn error_word(e: &EvalError) -> &'static str {
    match e {
        EvalError::Budget => "!budget",
        EvalError::Overflow { .. } => "!overflow",
        EvalError::DivisionByZero { .. } => "!zero",
        EvalError::Type { .. } => "!type",
        EvalError::Conversion { .. } => "!conversion",
    }
}

/// What an expression comes to: a value, `absent`, `!` and an evaluation error, or `?` and a load error.
fn outcome(source: &str, names: &Names) -> String {
    let expr = match compile(source, &schema(), &Type::Any) {
        Ok(expr) => expr,
        Err(errors) => return format!("?{}", errors[0].code.word()),
    };
    match expr.eval(names) {
        Ok(got) => got.value.as_ref().map_or("absent".into(), shown),
        Err(e) => error_word(&e).into(),
    }
}
