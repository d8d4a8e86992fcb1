//! Keys of `side_effects`, `observability`, and of the files `teams.yaml` and `connections.yaml`.

use super::Shape::{Duration, Expr, Map, Names, Of, Text, Word};
use super::{Key, Section};

/// `side_effects`.
pub static SIDE_EFFECTS: Section = Section {
    path: "side_effects",
    keys: &[
        key!("crm", [Of(&CRM)], "the system of record"),
        key!(
            "messaging",
            [Names, Map(&Of(&MESSAGE))],
            "messages, or the names of providers"
        ),
        key!(
            "actions",
            [Map(&Of(&CALL))],
            "further actions of connectors, by name"
        ),
    ],
    later: &[],
};

/// `side_effects.actions.*`.
pub static CALL: Section = Section {
    path: "side_effects.actions.*",
    keys: &[
        key!("use", [Text], "connector and action: `hubspot.deal.create`"),
        key!(
            "connection",
            [Text],
            "name of the connection; the connector's name where left out"
        ),
        key!("with", [Map(&Expr)], "argument → expression"),
        key!("map", [Map(&Expr)], "property → expression"),
        key!(
            "base_version",
            [Text],
            "`read`, or the version of the first write"
        ),
        key!(
            "on_unknown",
            [Word(ON_UNKNOWN)],
            "what to do when the outcome of a blind action is unknown"
        ),
        key!("valid_for", [Duration], "not sent later than this"),
    ],
    later: &[],
};

/// Words of `side_effects.crm.api`.
pub const APIS: &[&str] = &["records", "rest"];
/// Words of `on_unknown`.
pub const ON_UNKNOWN: &[&str] = &["hold", "assume_sent", "resend"];
/// Words of `side_effects.crm.method`.
pub const METHODS: &[&str] = &["PUT", "PATCH", "POST"];

/// `side_effects.crm`.
pub static CRM: Section = Section {
    path: "side_effects.crm",
    keys: &[
        key!(
            "api",
            [Word(APIS)],
            "`records`: the built-in record store; `rest`: an HTTP system"
        ),
        key!(
            "use",
            [Text],
            "connector and action instead of `api`: `hubspot.contact.update`"
        ),
        key!(
            "with",
            [Map(&Expr)],
            "argument → expression, for the action that `use` names"
        ),
        key!("key", [Text], "record id in the built-in record store"),
        key!("map", [Map(&Expr)], "property → expression"),
        key!("connection", [Text], "name of the connection"),
        key!("method", [Word(METHODS)], "HTTP method"),
        key!("path", [Text], "path below the connection's base address"),
        key!(
            "optimistic_lock",
            [Word(&["If-Match", "last_writer_wins"]), Of(&LOCK)],
            "how lost updates are prevented"
        ),
        key!(
            "base_version",
            [Text],
            "`read`, or the version of the first write"
        ),
        key!(
            "idempotency_header",
            [Text],
            "header that carries the idempotency key"
        ),
        key!(
            "on_unknown",
            [Word(ON_UNKNOWN)],
            "what to do when the outcome of a blind write is unknown"
        ),
        key!("valid_for", [Duration], "not sent later than this"),
    ],
    later: &[],
};

/// `side_effects.crm.optimistic_lock` as a mapping.
pub static LOCK: Section = Section {
    path: "side_effects.crm.optimistic_lock",
    keys: &[key!("field", [Text], "property that carries the version")],
    later: &[],
};

/// `side_effects.messaging.*`.
pub static MESSAGE: Section = Section {
    path: "side_effects.messaging.*",
    keys: &[
        key!("channel", [Word(&["email", "sms"])], "kind of message"),
        key!(
            "via",
            [Text],
            "the connection that sends it; `outbox`: it waits there"
        ),
        key!(
            "with",
            [Map(&Expr)],
            "what the connection's action takes beside the message: argument → expression"
        ),
        key!(
            "on_unknown",
            [Word(ON_UNKNOWN)],
            "what to do when nobody knows whether it was sent"
        ),
        key!("to", [Expr], "the recipient"),
        key!("subject", [Text], "the subject of a mail"),
        key!("template", [Text], "file of the text"),
        key!("text", [Text], "the text"),
        key!(
            "check",
            [Word(&["verified_sender"])],
            "check of a recipient that came from outside"
        ),
        key!("valid_for", [Duration], "not sent later than this"),
    ],
    later: &[],
};

/// `observability`.
pub static OBSERVABILITY: Section = Section {
    path: "observability",
    keys: &[
        key!(
            "audit_log",
            [Word(&["append_only"])],
            "the audit log; it is always append-only"
        ),
        key!("metrics", [Word(METRICS)], "the workflow's own metrics"),
    ],
    later: &[],
};

/// Words of `observability.metrics`.
pub const METRICS: &[&str] = &["red_metrics", "none"];

/// `teams.yaml`.
pub static TEAMS_FILE: Section = Section {
    path: "",
    keys: &[
        key!("teams", [Map(&Names)], "teams and their people"),
        key!("people", [Names], "people without a team"),
    ],
    later: &[],
};

/// `connections.yaml`.
pub static CONNECTIONS_FILE: Section = Section {
    path: "",
    keys: &[key!(
        "connections",
        [Map(&Of(&CONNECTION))],
        "the connections, by name"
    )],
    later: &[],
};

/// Words of `connections.*.kind`.
pub const KINDS: &[&str] = &["rest", "openai"];
/// Words of `connections.*.auth` without a connector.
pub const PLAIN_AUTHS: &[&str] = &["none", "bearer"];

/// `connections.*`.
pub static CONNECTION: Section = Section {
    path: "connections.*",
    keys: &[
        key!(
            "kind",
            [Text],
            "`rest`: an HTTP system; `openai`: a model behind that interface; or the name of a connector"
        ),
        key!("base_url", [Text], "base address"),
        key!(
            "auth",
            [Text, Of(&CONNECTION_AUTH)],
            "where the secret goes: `none`, `bearer`, or a way to log in of the connector"
        ),
        key!(
            "secret",
            [Text, Map(&Text)],
            "where the secret is: `env:NAME` or `file:PATH`; several by name"
        ),
        key!(
            "settings",
            [Map(&Text)],
            "what the connector asks for: sub-domain, account, user"
        ),
        key!("model", [Text], "name of the model"),
        key!(
            "owner",
            [Text],
            "person or team who answers for the credential"
        ),
    ],
    later: &[],
};

/// `connections.*.auth` as a mapping.
pub static CONNECTION_AUTH: Section = Section {
    path: "connections.*.auth",
    keys: &[key!("header", [Text], "header that carries the secret")],
    later: &[],
};
