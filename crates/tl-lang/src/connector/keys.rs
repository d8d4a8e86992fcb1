//! Every key of a connector file: the table that the reader checks keys against and that its editor schema is made
//! from.

use crate::keys::Shape::{
    self, Bool, Constant, Duration, Expr, Map, Names, Number, Of, Text, Word,
};
use crate::keys::{Key, ON_UNKNOWN, Section};

macro_rules! key {
    ($name:literal, [$($shape:expr),+], $doc:literal) => {
        Key { name: $name, shapes: &[$($shape),+], doc: $doc }
    };
}

/// The connector file.
pub(super) static CONNECTOR_FILE: Section = Section {
    path: "",
    keys: &[
        key!("connector", [Text], "its name: the name of the file"),
        key!("title", [Text], "the name that people know"),
        key!("docs", [Text], "address of the vendor's documentation"),
        key!(
            "verified",
            [Of(&VERIFIED)],
            "how far it is known to be right"
        ),
        key!("base_url", [Text], "base address; may read `connection`"),
        key!(
            "hosts",
            [Names],
            "hosts a connection may lead to; `*.` stands for sub-domains"
        ),
        key!(
            "settings",
            [Map(&Text)],
            "what a connection sets, with what it is"
        ),
        key!(
            "auth",
            [Map(&Of(&AUTH))],
            "ways to log in, the usual one first"
        ),
        key!("headers", [Map(&Text)], "headers of every request"),
        key!("rate", [Of(&RATE)], "how often the vendor may be asked"),
        key!(
            "check",
            [Of(&REQUEST)],
            "a request that changes nothing and needs the credential, for `connection check`"
        ),
        key!(
            "meanings",
            [Shape::List(&Of(&MEANING))],
            "what answers of all actions mean"
        ),
        key!("actions", [Map(&Of(&ACTION))], "what can be done"),
    ],
    later: &[],
};

/// `verified`.
pub(super) static VERIFIED: Section = Section {
    path: "verified",
    keys: &[
        key!("by", [Word(PROOFS)], "what the requests were compared with"),
        key!(
            "source",
            [Text],
            "package and version, or document and date"
        ),
    ],
    later: &[],
};

/// Words of `verified.by`.
pub(super) const PROOFS: &[&str] = &["library", "openapi", "documented", "unverified"];

/// `rate`.
pub(super) static RATE: Section = Section {
    path: "rate",
    keys: &[
        key!(
            "per_second",
            [Number],
            "requests per second in the long run"
        ),
        key!("burst", [Number], "requests that may go at once"),
    ],
    later: &[],
};

/// Words of `auth.*.kind`.
pub(super) const AUTH_KINDS: &[&str] = &[
    "none",
    "bearer",
    "basic",
    "header",
    "oauth_client",
    "oauth_refresh",
    "session",
    "standard_webhooks",
];

/// `auth.*`.
pub(super) static AUTH: Section = Section {
    path: "auth.*",
    keys: &[
        key!(
            "kind",
            [Word(AUTH_KINDS)],
            "how requests identify themselves"
        ),
        key!("header", [Text], "header that carries the credential"),
        key!(
            "value",
            [Text],
            "what the header says; reads `secret`, `connection`, `token`"
        ),
        key!("user", [Text], "user name of `basic`"),
        key!("password", [Text], "password of `basic`"),
        key!("token_url", [Text], "address that gives tokens"),
        key!("scope", [Text], "scope that is asked for"),
        key!(
            "client",
            [Word(&["form", "basic"])],
            "how the client identifies itself"
        ),
        key!("request", [Of(&REQUEST)], "the log-in of `session`"),
        key!("token", [Expr], "the token in the answer"),
        key!(
            "lives",
            [Duration],
            "time after which the token is got anew"
        ),
    ],
    later: &[],
};

/// A request.
pub(super) static REQUEST: Section = Section {
    path: "request",
    keys: &[
        key!("method", [Text], "HTTP method"),
        key!("path", [Text], "path below the base address"),
        key!("query", [Map(&Text)], "query parameters"),
        key!("headers", [Map(&Text)], "headers"),
        key!("json", [Constant], "JSON body, with `${…}` where values go"),
        key!("form", [Constant], "form body; nested names go in brackets"),
        key!("xml", [Text], "XML body; values are escaped"),
        key!(
            "vcard",
            [Text],
            "vCard or iCalendar body; values are escaped"
        ),
        key!("text", [Text], "body as it stands"),
        key!(
            "mail",
            [Of(&MAIL)],
            "a mail; it goes by SMTP and has no path"
        ),
        key!(
            "content_type",
            [Text],
            "content type, where it is not the usual one"
        ),
    ],
    later: &[],
};

/// `mail`.
pub(super) static MAIL: Section = Section {
    path: "request.mail",
    keys: &[
        key!(
            "from",
            [Text],
            "the sender: an address, or `Name <address>`"
        ),
        key!("to", [Text], "the recipient: one address"),
        key!("subject", [Text], "the subject"),
        key!("text", [Text], "the text"),
        key!(
            "html",
            [Text],
            "the same as HTML, shown instead where a mail program can"
        ),
        key!("reply_to", [Text], "where answers go"),
        key!("in_reply_to", [Text], "the Message-ID that is answered"),
    ],
    later: &[],
};

/// `meanings`.
pub(super) static MEANING: Section = Section {
    path: "meanings",
    keys: &[
        key!(
            "status",
            [Text, Shape::List(&Text)],
            "a status, a class such as `4xx`, or several"
        ),
        key!(
            "when",
            [Expr],
            "a condition over `answer`, `args`, `effect`"
        ),
        key!("means", [Word(MEANINGS)], "what the answer means"),
    ],
    later: &[],
};

/// Words of `means`.
pub(super) const MEANINGS: &[&str] = &[
    "done",
    "done_before",
    "accepted",
    "redirected",
    "refused",
    "missing",
    "credential",
    "forbidden",
    "too_large",
    "conflict",
    "condition_failed",
    "not_processed",
    "not_processed_if_retry_after",
    "may_have_applied",
    "unknown",
];

/// Words of `class`.
pub(super) const CLASSES: &[&str] = &["E1", "E2", "E3", "E4", "E5"];

/// `actions.*`.
pub(super) static ACTION: Section = Section {
    path: "actions.*",
    keys: &[
        key!("title", [Text], "one line for people"),
        key!("class", [Word(CLASSES)], "the guarantee class"),
        key!(
            "verified",
            [Of(&VERIFIED)],
            "where it differs from the connector"
        ),
        key!("arguments", [Map(&Of(&ARGUMENT))], "what a workflow gives"),
        key!(
            "message",
            [Word(CHANNELS), Of(&SAYS)],
            "it sends a message to a person: the channel, and which arguments are its parts"
        ),
        key!(
            "fields",
            [Of(&FIELDS)],
            "the record's properties, where it takes any"
        ),
        key!("request", [Of(&REQUEST)], "the request"),
        key!(
            "key_lifetime",
            [Duration, Word(&["for_ever"])],
            "how long the vendor recognises `effect.key`"
        ),
        key!(
            "same_again",
            [Bool],
            "E1 without a key: the same request again changes nothing more"
        ),
        key!(
            "lock",
            [Word(&["if_match", "placed"]), Of(&LOCK)],
            "how lost updates are prevented"
        ),
        key!(
            "when_absent",
            [Word(&["fails", "if_none_match", "plain"])],
            "what is done where there is no record"
        ),
        key!(
            "read",
            [Of(&READ)],
            "how the record is read, or what is got before the write"
        ),
        key!("answer", [Of(&ANSWER)], "what is taken from the answer"),
        key!(
            "meanings",
            [Shape::List(&Of(&MEANING))],
            "what answers mean; the first that holds"
        ),
        key!(
            "look_up",
            [Of(&LOOK_UP)],
            "how an attempt without an answer is found"
        ),
        key!(
            "on_unknown",
            [Word(ON_UNKNOWN)],
            "E4: what is done when nobody knows"
        ),
    ],
    later: &[],
};

/// Words of `message`.
pub(super) const CHANNELS: &[&str] = &["email", "sms"];

/// `actions.*.message` as a mapping.
pub(super) static SAYS: Section = Section {
    path: "actions.*.message",
    keys: &[
        key!("channel", [Word(CHANNELS)], "the kind of message"),
        key!(
            "to",
            [Text],
            "argument of the recipient; `to` where left out"
        ),
        key!(
            "subject",
            [Text],
            "argument of a mail's subject; `subject` where left out"
        ),
        key!(
            "text",
            [Text],
            "argument of the text; `text` where left out"
        ),
    ],
    later: &[],
};

/// `actions.*.arguments.*`.
pub(super) static ARGUMENT: Section = Section {
    path: "actions.*.arguments.*",
    keys: &[
        key!(
            "type",
            [Word(ARGUMENT_TYPES)],
            "its type; `string` where left out"
        ),
        key!("values", [Names], "the values of an enum"),
        key!("required", [Bool], "it has to be given"),
        key!("control", [Word(CONTROLS)], "what it decides"),
        key!("doc", [Text], "one line for people"),
    ],
    later: &[],
};

/// Words of an argument's `type`.
pub(super) const ARGUMENT_TYPES: &[&str] = &[
    "string", "text", "enum", "bool", "int", "decimal", "email", "phone", "url", "time", "list",
    "any",
];

/// Words of `control`.
pub(super) const CONTROLS: &[&str] = &["content", "unseen", "record", "sensitive"];

/// `actions.*.fields`.
pub(super) static FIELDS: Section = Section {
    path: "actions.*.fields",
    keys: &[
        key!(
            "as",
            [Word(&["json", "text"])],
            "`text`: every value goes as text"
        ),
        key!("doc", [Text], "one line for people"),
    ],
    later: &[],
};

/// `actions.*.lock` as a mapping.
pub(super) static LOCK: Section = Section {
    path: "actions.*.lock",
    keys: &[key!(
        "field",
        [Text],
        "property of the JSON body that carries the version"
    )],
    later: &[],
};

/// `actions.*.read`.
pub(super) static READ: Section = Section {
    path: "actions.*.read",
    keys: &[
        key!(
            "request",
            [Of(&REQUEST)],
            "the request; `GET` of the write's path where left out"
        ),
        key!("version", [Expr], "the version in the answer"),
        key!(
            "values",
            [Expr],
            "the properties in the answer, under the names of `fields`"
        ),
        key!(
            "absent",
            [Expr],
            "whether a success says that there is none"
        ),
    ],
    later: &[],
};

/// `actions.*.answer`.
pub(super) static ANSWER: Section = Section {
    path: "actions.*.answer",
    keys: &[
        key!("id", [Expr], "what the vendor calls the record"),
        key!("version", [Expr], "the record's version"),
    ],
    later: &[],
};

/// `actions.*.look_up`.
pub(super) static LOOK_UP: Section = Section {
    path: "actions.*.look_up",
    keys: &[
        key!("request", [Of(&REQUEST)], "the request"),
        key!("found", [Expr], "ids of what fits: a list"),
        key!(
            "absent_is",
            [Word(&["certain", "unclear"])],
            "what it says that nothing is found"
        ),
        key!(
            "settle",
            [Duration],
            "how long what was sent may take to show"
        ),
    ],
    later: &[],
};
