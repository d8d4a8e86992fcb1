//! Every key of the project's files: the one table that the loader checks keys against, the editor schema
//! is made from and the reference page is tested against.

/// A mapping with a closed set of keys.
#[derive(Debug)]
pub struct Section {
    /// Where it stands, as a dotted path: `worker.ai_step`.
    pub path: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
    /// Keys whose feature comes later, with what to do until then. They are refused by name.
    pub later: &'static [(&'static str, &'static str)],
}

/// One key.
#[derive(Debug)]
pub struct Key {
    /// The key.
    pub name: &'static str,
    /// What may stand there: any one of these.
    pub shapes: &'static [Shape],
    /// One line for editors.
    pub doc: &'static str,
}

/// What may stand as a value.
#[derive(Debug)]
pub enum Shape {
    /// `true` or `false`.
    Bool,
    /// Text; also names, paths, durations and text with `${…}`.
    Text,
    /// A duration such as `15m`.
    Duration,
    /// A number.
    Number,
    /// An expression.
    Expr,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of names, or a mapping of bare names.
    Names,
    /// A list of one shape.
    List(&'static Shape),
    /// Names, each with one shape.
    Map(&'static Shape),
    /// A mapping with its own keys.
    Of(&'static Section),
    /// Any constant.
    Constant,
}

use Shape::{Bool, Constant, Duration, Expr, List, Map, Names, Number, Of, Text, Word};

macro_rules! key {
    ($name:literal, [$($shape:expr),+], $doc:literal) => {
        Key { name: $name, shapes: &[$($shape),+], doc: $doc }
    };
}

mod outward;
mod work;

pub use outward::*;
pub use work::*;

/// Keys that a section cannot do without: what is wrong with one is not mended by leaving it out. With what may stand
/// there instead, where something fits every file.
pub(crate) const COMPULSORY: &[(&str, &str, Option<&str>)] = &[
    ("workflow", "version", Some("\"1\"")),
    ("ingress", "channels", Some("[form]")),
    ("ingress.channels.*", "channel", Some("webhook")),
    (
        "ingress.gateway.auth.jwt",
        "issuer",
        Some("https://id.example.com"),
    ),
    ("ingress.gateway.auth.jwt", "audience", Some("throughline")),
    ("schedules.*", "cron", Some("\"0 6 * * *\"")),
    ("states.*.escalate", "after", Some("30m")),
    ("states.*.escalate", "to", Some("operators")),
    ("tasks.*.unanswered", "after", Some("2d")),
    ("transitions.*", "from", None),
    ("transitions.*", "to", None),
    ("worker.rules.*", "when", None),
    ("worker.tables.*", "file", None),
    ("worker.tables.*", "outputs", None),
    ("worker.ai_step.draft", "effect", None),
    ("worker.ai_step.summarize", "field", None),
    ("decision", "branches", Some("[{ default: human_queue }]")),
    ("decision.branches.*", "condition", Some("needs_human")),
    ("decision.branches.*", "action", Some("human_queue")),
    ("decision.branches.*", "default", Some("human_queue")),
];

/// The workflow file.
pub static WORKFLOW_FILE: Section = Section {
    path: "",
    keys: &[
        key!("language", [Number], "version of this format, 1"),
        key!("workflow", [Of(&WORKFLOW)], "what the file is about"),
        key!("record", [Of(&RECORD)], "the data contract"),
        key!("ingress", [Of(&INGRESS)], "where messages come in"),
        key!(
            "schedules",
            [Map(&Of(&SCHEDULE))],
            "timetables that bring messages, by name"
        ),
        key!(
            "queue",
            [Of(&QUEUE)],
            "name and ids of the work's metrics and log lines"
        ),
        key!(
            "states",
            [Map(&Of(&STATE))],
            "owners and clocks of the states"
        ),
        key!(
            "transitions",
            [List(&Of(&TRANSITION))],
            "the declared edges; replaces the default ones"
        ),
        key!("worker", [Of(&WORKER)], "rules, tables and the AI step"),
        key!(
            "decision",
            [Of(&DECISION)],
            "what is done with a triaged case"
        ),
        key!(
            "policy",
            [Map(&ANY_POLICY)],
            "what may happen by itself, per action"
        ),
        key!(
            "tasks",
            [Map(&Of(&TASK))],
            "owners and clocks of tasks, per kind"
        ),
        key!(
            "side_effects",
            [Of(&SIDE_EFFECTS)],
            "the actions that reach the outside"
        ),
        key!("settings", [Map(&Constant)], "named constants"),
        key!(
            "observability",
            [Of(&OBSERVABILITY)],
            "audit log and metrics"
        ),
    ],
    later: &[],
};

static ANY_POLICY: Shape = Of(&POLICY_LINE);

/// `workflow`.
pub static WORKFLOW: Section = Section {
    path: "workflow",
    keys: &[
        key!("id", [Text], "name of the workflow: its directory"),
        key!("version", [Text], "version, free text"),
        key!(
            "correlation_id",
            [Text],
            "where the correlation id comes from"
        ),
        key!("goal", [Of(&GOAL)], "what the golden path is for"),
    ],
    later: &[],
};

/// `workflow.goal`.
pub static GOAL: Section = Section {
    path: "workflow.goal",
    keys: &[
        key!("start", [Text], "state in which the path starts"),
        key!("end", [Text], "state in which it ends well"),
        key!("sla", [Duration], "time from start to end"),
        key!("owner", [Text], "person or team who answers for it"),
    ],
    later: &[],
};

/// `record`.
pub static RECORD: Section = Section {
    path: "record",
    keys: &[
        key!("type", [Text], "name of the record type"),
        key!(
            "natural_key",
            [Text, List(&Text)],
            "what makes two messages one case"
        ),
        key!(
            "on_match",
            [Word(ON_MATCH)],
            "what a second message with the same natural key does"
        ),
        key!("fields", [Map(&Of(&FIELD))], "the fields"),
    ],
    later: &[],
};

/// Words of `record.on_match`.
pub const ON_MATCH: &[&str] = &["join", "update", "open"];
/// Words of `record.fields.*.from`.
pub const FROM: &[&str] = &["event", "ai", "rules", "crm", "engine"];
/// Words of `record.fields.*.type`; `list of …` may stand before each.
pub const TYPES: &[&str] = &[
    "string", "text", "bool", "int", "decimal", "float", "enum", "email", "phone", "url", "time",
    "duration", "any",
];

/// `record.fields.*`.
pub static FIELD: Section = Section {
    path: "record.fields.*",
    keys: &[
        key!("type", [Text], "type of its values"),
        key!("values", [List(&Text)], "the values of an enum"),
        key!("required", [Bool], "a case without it asks for it"),
        key!(
            "use",
            [Word(&["control"])],
            "`control`: it may address an effect"
        ),
        key!("untrusted", [Bool], "always labelled untrusted"),
        key!("from", [Word(FROM)], "who may set it"),
    ],
    later: &[],
};

/// `ingress`.
pub static INGRESS: Section = Section {
    path: "ingress",
    keys: &[
        key!(
            "channels",
            [Names, Map(&Of(&CHANNEL))],
            "the doors, by name"
        ),
        key!("gateway", [Of(&GATEWAY)], "defaults of all doors"),
    ],
    later: &[],
};

/// The channels a door may have.
pub const CHANNELS: &[&str] = &["form", "email", "sms", "webhook", "api"];
/// Words of `format`.
pub const FORMATS: &[&str] = &["json", "form", "mail", "document"];
/// Words of `automatic`.
pub const ON_AUTOMATIC: &[&str] = &["note", "message"];
/// Words of `auth`.
pub const AUTHS: &[&str] = &[
    "hmac_signature",
    "standard_webhooks",
    "jwt",
    "api_key",
    "public",
    "sign_in",
];
/// The key of `auth` that names a vendor.
pub const PRESET: &str = "preset";

/// `ingress.gateway`.
pub static GATEWAY: Section = Section {
    path: "ingress.gateway",
    keys: &[
        key!(
            "auth",
            [Text, Of(&AUTH)],
            "how a door knows its sender; alternatives with `|`"
        ),
        key!("idempotency", [Text], "where the dedupe key comes from"),
        key!("validate", [Text], "`json_schema`, or a schema file"),
        key!("max_body", [Text, Number], "largest body"),
    ],
    later: &[],
};

/// `ingress.channels.*`.
pub static CHANNEL: Section = Section {
    path: "ingress.channels.*",
    keys: &[
        key!("channel", [Word(CHANNELS)], "kind of the door"),
        key!("format", [Word(FORMATS)], "what a body is read as"),
        key!(
            "auth",
            [Text, Of(&AUTH)],
            "how the door knows its sender; alternatives with `|`"
        ),
        key!("idempotency", [Text], "where the dedupe key comes from"),
        key!("validate", [Text], "`json_schema`, or a schema file"),
        key!(
            "map",
            [Map(&Expr)],
            "record field → expression over `event`"
        ),
        key!(
            "origins",
            [List(&Text)],
            "websites whose pages may post to a public form"
        ),
        key!("text", [Expr], "the text that the AI step reads"),
        key!(
            "automatic",
            [Word(ON_AUTOMATIC)],
            "what a mail does that a program sent by itself"
        ),
        key!("max_body", [Text, Number], "largest body"),
    ],
    later: &[],
};

/// `auth` as a mapping.
pub static AUTH: Section = Section {
    path: "ingress.gateway.auth",
    keys: &[
        key!(
            "hmac_signature",
            [Of(&HMAC)],
            "HMAC-SHA-256 over the raw body"
        ),
        key!("standard_webhooks", [Constant], "Standard Webhooks v1"),
        key!(
            "preset",
            [Text],
            "the way in which a vendor signs, by its name"
        ),
        key!("jwt", [Of(&JWT)], "a bearer token of a pinned issuer"),
        key!("api_key", [Constant], "an API key with scope `events`"),
    ],
    later: &[],
};

/// `auth.hmac_signature`.
pub static HMAC: Section = Section {
    path: "ingress.gateway.auth.hmac_signature",
    keys: &[
        key!("header", [Text], "header of the signature"),
        key!("prefix", [Text], "text before the encoded signature"),
        key!(
            "encoding",
            [Word(&["hex", "base64"])],
            "encoding of the signature"
        ),
        key!(
            "signed",
            [Text],
            "what is signed: `{body}` with optional `{timestamp}` and `{id}`"
        ),
        key!("timestamp_header", [Text], "header of the timestamp"),
        key!("id_header", [Text], "header of the delivery id"),
    ],
    later: &[],
};

/// Words of `jwt.algorithms`.
pub const ALGORITHMS: &[&str] = &["HS256", "RS256", "ES256", "EdDSA"];

/// `auth.jwt`.
pub static JWT: Section = Section {
    path: "ingress.gateway.auth.jwt",
    keys: &[
        key!("issuer", [Text], "required `iss`"),
        key!("audience", [Text], "required `aud`"),
        key!(
            "algorithms",
            [List(&Word(ALGORITHMS))],
            "allowed algorithms"
        ),
        key!(
            "keys",
            [Text],
            "key set: a file of the project or an https address"
        ),
    ],
    later: &[],
};

/// Words of `schedules.*.catch_up`.
pub const CATCH_UP: &[&str] = &["none", "latest", "all"];

/// `schedules.*`.
pub static SCHEDULE: Section = Section {
    path: "schedules.*",
    keys: &[
        key!(
            "cron",
            [Text],
            "five fields: minute, hour, day of the month, month, day of the week"
        ),
        key!(
            "timezone",
            [Text],
            "zone whose clock is meant, UTC if absent"
        ),
        key!(
            "catch_up",
            [Word(CATCH_UP)],
            "what is made up for after nobody was there"
        ),
        key!(
            "data",
            [Map(&Constant)],
            "what its messages say beside their instant"
        ),
    ],
    later: &[],
};

/// `queue`.
pub static QUEUE: Section = Section {
    path: "queue",
    keys: &[
        key!("name", [Text], "label of metrics and log lines"),
        key!("payload", [Names], "ids on each log line"),
    ],
    later: &[],
};

/// Words of `queue.payload`.
pub const PAYLOAD: &[&str] = &["event_id", "correlation_id", "tenant_id", "case_id"];

const NO_CALENDAR: &str =
    "all clocks run around the clock; leave it out and give the SLA in plain hours";

/// `states.*`.
pub static STATE: Section = Section {
    path: "states.*",
    keys: &[
        key!(
            "owner",
            [Text],
            "person or team who answers for cases in it"
        ),
        key!("sla", [Duration], "how long a case may stay"),
        key!(
            "warn_at",
            [Text],
            "share of the SLA after which a warning is recorded"
        ),
        key!(
            "escalate",
            [List(&Of(&ESCALATE))],
            "who is told how long after the breach"
        ),
        key!("on_breach", [Text], "state a breach leads to"),
        key!("pause", [Bool], "the goal's clock stands still here"),
        key!("terminal", [Bool], "the case ends here"),
    ],
    later: &[("clock", NO_CALENDAR), ("calendar", NO_CALENDAR)],
};

/// `states.*.escalate`.
pub static ESCALATE: Section = Section {
    path: "states.*.escalate",
    keys: &[
        key!("after", [Duration], "time after the breach"),
        key!("to", [Text], "person or team"),
    ],
    later: &[],
};

/// Words of `transitions.*.emit`.
pub const EMIT: &[&str] = &["crm_sync", "sla_timer", "audit_log", "domain_event"];

/// `transitions.*`.
pub static TRANSITION: Section = Section {
    path: "transitions.*",
    keys: &[
        key!("from", [Text], "state it leaves"),
        key!("to", [Text], "state it enters"),
        key!("owner", [Text], "who answers for the case after the move"),
        key!("sla", [Duration], "SLA of the stay that the move begins"),
        key!("emit", [Names], "what the move causes"),
    ],
    later: &[],
};

/// The dotted path of every key of the workflow file; `*` stands for a name or a position.
pub fn key_paths() -> Vec<String> {
    let mut out = Vec::new();
    below("", &WORKFLOW_FILE, &mut out);
    out
}

fn below(path: &str, section: &Section, out: &mut Vec<String>) {
    for k in section.keys {
        let here = if path.is_empty() {
            k.name.to_owned()
        } else {
            format!("{path}.{}", k.name)
        };
        out.push(here.clone());
        for s in k.shapes {
            within(&here, s, out);
        }
    }
}

fn within(path: &str, shape: &Shape, out: &mut Vec<String>) {
    match shape {
        Of(s) => below(path, s, out),
        List(of) | Map(of) => within(&format!("{path}.*"), of, out),
        _ => {}
    }
}
