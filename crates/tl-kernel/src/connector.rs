//! What a connector file says: how another system is spoken to, as data.
//!
//! A [`Connector`] is one vendor, an [`Operation`] one thing that can be done there. Both are checked when they are
//! loaded; `tl-connect` makes a request of an operation and its arguments and reads the answer, both purely.
//!
//! The expressions of an operation read these names: `args` (the arguments), `fields` (the record's properties),
//! `connection` (its settings), `effect` (`id`, `key`, `version`, `attempt`), and, where an answer is read, `answer`
//! (`status`, `header`, `body`, `text`).

use std::collections::BTreeMap;

use crate::digest::Digest;
use crate::effect::Class;
use crate::expr::{EvalError, Expr, Scope, Template};
use crate::program::{Channel, OnUnknown};
use crate::value::{Type, Value};

/// One vendor.
#[derive(Debug, Clone, PartialEq)]
pub struct Connector {
    /// The name by which workflows and connections mean it: `hubspot`.
    pub name: String,
    /// The name that people know: `HubSpot CRM`.
    pub title: String,
    /// Digest of its file; each attempt's evidence can name the file it was made from.
    pub digest: Digest,
    /// Base address, which may read `connection`. `None`: the connection names it.
    pub base_url: Option<Template>,
    /// Hosts that a connection may lead to; `*.` at the start stands for any sub-domain. Empty: any.
    pub hosts: Vec<String>,
    /// Settings that a connection gives, each with what it is.
    pub settings: BTreeMap<String, String>,
    /// Ways to log in, the usual one first.
    pub auth: Vec<Scheme>,
    /// How often it may be asked.
    pub rate: Option<Rate>,
    /// A request that changes nothing and that the vendor answers only to who is known to it.
    pub check: Option<HttpRequest>,
    /// How far the file is known to be right.
    pub verified: Verified,
    /// Address of the vendor's documentation.
    pub docs: Option<String>,
    /// What can be done, by name.
    pub operations: BTreeMap<String, Operation>,
}

impl Connector {
    /// Whether it is reached by SMTP; else by HTTP. A file has requests of one kind only.
    pub fn is_by_mail(&self) -> bool {
        let all = &mut self.operations.values();
        all.any(|o| matches!(o.request.body, Body::Mail(_)))
    }
}

/// How far a connector or an operation is known to be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// By what.
    pub by: Proof,
    /// The source: a package with its version, a document with its date.
    pub source: String,
}

/// What the requests of a connector were compared with, the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Proof {
    /// Recorded requests of the vendor's official library.
    Library,
    /// The vendor's published OpenAPI description.
    OpenApi,
    /// The vendor's documentation, read by a person.
    Documented,
    /// Nothing yet.
    Unverified,
}

impl Proof {
    /// All, the strongest first.
    pub const ALL: [Proof; 4] = [
        Proof::Library,
        Proof::OpenApi,
        Proof::Documented,
        Proof::Unverified,
    ];

    /// The word in connector files and lists.
    pub fn word(self) -> &'static str {
        match self {
            Proof::Library => "library",
            Proof::OpenApi => "openapi",
            Proof::Documented => "documented",
            Proof::Unverified => "unverified",
        }
    }
}

/// How often a vendor may be asked, per connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests per second in the long run, in thousandths.
    pub per_second_milli: u32,
    /// Requests that may go at once after a pause.
    pub burst: u32,
}

/// A way to log in.
#[derive(Debug, Clone, PartialEq)]
pub struct Scheme {
    /// Its name in `connections.yaml`.
    pub name: String,
    /// What is sent with every request. Its value reads `secret`, `connection` and, after a log-in, `token`.
    pub present: Present,
    /// How the token is got, where the secret itself is not what is sent.
    pub login: Option<Login>,
    /// Every request is signed as Standard Webhooks asks, and nothing else is shown.
    pub signs: bool,
}

/// The header by which a request identifies itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Present {
    /// Its name.
    pub header: String,
    /// What it says; for `Basic` the pair of user and password without the encoding.
    pub value: Template,
    /// The value is a pair for `Authorization: Basic`.
    pub basic: bool,
}

/// A request that exchanges the secret for a token.
#[derive(Debug, Clone, PartialEq)]
pub struct Login {
    /// Base address of the token's server; the connection's own where `None`.
    pub base_url: Option<Template>,
    /// The request; it reads `secret` and `connection`.
    pub request: HttpRequest,
    /// What the request itself shows.
    pub shows: Option<Present>,
    /// The token in the answer.
    pub token: Expr,
    /// Seconds that the token lives, in the answer.
    pub expires: Option<Expr>,
    /// Time after which it is got anew in any case, µs.
    pub lives: i64,
}

/// One thing that can be done.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// Its name within the connector: `contact.update`.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// Its guarantee class.
    pub class: Class,
    /// How long the vendor recognises our key, µs; `None`: for ever.
    pub key_lifetime: Option<i64>,
    /// What to do when nobody knows whether it happened.
    pub on_unknown: OnUnknown,
    /// Its arguments.
    pub arguments: Vec<Argument>,
    /// Which of them are the parts of a message to a person, where it sends one.
    pub message: Option<MessageArguments>,
    /// The record's properties, where it takes any.
    pub fields: Option<Fields>,
    /// The request.
    pub request: HttpRequest,
    /// How lost updates are prevented.
    pub condition: Condition,
    /// What is done where the record does not exist.
    pub absent: WhenAbsent,
    /// How the record is read, or what has to be got before the write.
    pub read: Option<Read>,
    /// What the vendor calls the record, in the answer.
    pub id: Option<Expr>,
    /// The record's version after the write, in the answer.
    pub version: Option<Expr>,
    /// What answers mean, before the general rule; the first that holds.
    pub meanings: Vec<MeaningRule>,
    /// How an attempt without an answer is found again.
    pub look_up: Option<LookUp>,
    /// How far it is known to be right, where it differs from the connector.
    pub verified: Option<Verified>,
}

/// An argument of an operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Argument {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// It has to be given.
    pub required: bool,
    /// What it decides.
    pub control: Control,
    /// One line for people.
    pub doc: String,
}

/// The arguments of an operation that take the parts of a message to a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageArguments {
    /// How it goes.
    pub channel: Channel,
    /// Takes the recipient.
    pub to: String,
    /// Takes the subject of a mail.
    pub subject: Option<String>,
    /// Takes the text.
    pub text: String,
}

impl MessageArguments {
    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let subject = self.subject.as_deref();
        [self.to.as_str(), self.text.as_str()]
            .into_iter()
            .chain(subject)
    }
}

/// What an argument decides beside what is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Control {
    /// Nothing: it is content.
    Content,
    /// Nothing, and no person reads it: by it systems tell what belongs together, as by a Message-ID.
    Unseen,
    /// Which record is meant.
    Record,
    /// To whom a message or money goes, or how much: from outside only with a person's approval.
    Sensitive,
}

impl Control {
    /// The word in connector files.
    pub fn word(self) -> &'static str {
        match self {
            Control::Content => "content",
            Control::Unseen => "unseen",
            Control::Record => "record",
            Control::Sensitive => "sensitive",
        }
    }
}

/// The record's properties that an operation takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields {
    /// Every value goes as text.
    pub as_text: bool,
    /// One line for people.
    pub doc: String,
}

/// A request in the making.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpRequest {
    /// `GET`, `POST` and so on; may read the arguments.
    pub method: Template,
    /// Path below the base address. Values in it are percent-encoded, unless the path is one value and nothing else.
    pub path: Template,
    /// Query parameters in order; one without a value is left out.
    pub query: Vec<(String, Template)>,
    /// Headers in order; one without a value is left out.
    pub headers: Vec<(String, Template)>,
    /// The body.
    pub body: Body,
}

/// The body of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// None.
    None,
    /// JSON.
    Json(Shape),
    /// `application/x-www-form-urlencoded`; nested names in brackets.
    Form(Shape),
    /// A mail, which goes by SMTP: a mapping of [`MAIL_PARTS`].
    Mail(Shape),
    /// Text such as XML or a vCard.
    Text {
        /// The content type.
        content_type: String,
        /// How the values in it are escaped.
        escape: Escape,
        /// The text.
        text: Template,
    },
}

/// The parts of a mail.
pub const MAIL_PARTS: [&str; 7] = [
    "from",
    "html",
    "in_reply_to",
    "reply_to",
    "subject",
    "text",
    "to",
];

/// How a value is escaped inside a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escape {
    /// Not at all.
    Plain,
    /// As XML text and attribute values.
    Xml,
    /// As vCard and iCalendar values.
    Vcard,
}

/// A value with holes.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// A constant.
    Constant(Value),
    /// A value that keeps its type; null counts as none.
    Value(Expr),
    /// Text with values in it.
    Text(Template),
    /// A list; items without a value are left out.
    List(Vec<Shape>),
    /// A mapping; entries without a value are left out. Under the name [`SPREAD`] stands a mapping whose entries
    /// belong here.
    Map(Vec<(String, Shape)>),
}

/// The name that puts the entries of a mapping into the one around it.
pub const SPREAD: &str = "...";

impl Shape {
    /// The value under a scope; `None` where it has none.
    pub fn value(&self, scope: &dyn Scope) -> Result<Option<Value>, EvalError> {
        Ok(match self {
            Shape::Constant(v) => Some(v.clone()),
            Shape::Value(e) => e.eval(scope)?.value.filter(|v| *v != Value::Null),
            Shape::Text(t) => {
                let text = t.render(scope)?;
                // A text of holes alone that are all empty is not a text.
                let holes = t
                    .parts
                    .iter()
                    .all(|p| matches!(p, crate::expr::Piece::Expr(_)));
                (!(holes && text.text.is_empty() && !text.absent.is_empty()))
                    .then_some(Value::Text(text.text))
            }
            Shape::List(items) => {
                let mut out = Vec::with_capacity(items.len());
                for item in items {
                    out.extend(item.value(scope)?);
                }
                Some(Value::List(out))
            }
            Shape::Map(entries) => {
                let mut out = BTreeMap::new();
                for (name, shape) in entries {
                    match (name.as_str(), shape.value(scope)?) {
                        (SPREAD, Some(Value::Record(all))) => out.extend(all),
                        (SPREAD, _) | (_, None) => {}
                        (_, Some(value)) => {
                            out.insert(name.clone(), value);
                        }
                    }
                }
                Some(Value::Record(out))
            }
        })
    }
}

/// How lost updates are prevented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Not at all: the last writer wins.
    None,
    /// The version goes back in `If-Match`.
    IfMatch,
    /// The version goes back as a property of the body.
    Field(String),
    /// The request itself says where `effect.version` goes.
    Placed,
}

/// What a conditional write does where the record does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenAbsent {
    /// Nothing is sent: there is nothing to change.
    Fails,
    /// It is sent with `If-None-Match: *`.
    IfNoneMatch,
    /// It is sent without a condition; the vendor's own rule decides.
    Plain,
}

/// How the record is read.
#[derive(Debug, Clone, PartialEq)]
pub struct Read {
    /// The request.
    pub request: HttpRequest,
    /// Its version, in the answer.
    pub version: Option<Expr>,
    /// Its properties under the names that `fields` uses, in the answer; the whole body where `None`.
    pub values: Option<Expr>,
    /// Whether an answer with a success status says that there is none.
    pub absent: Option<Expr>,
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq)]
pub struct MeaningRule {
    /// Statuses from and to, both included. Empty: any.
    pub statuses: Vec<(u16, u16)>,
    /// A condition over `answer`, `args` and `effect`.
    pub when: Option<Expr>,
    /// What it means.
    pub means: Meaning,
}

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Meaning {
    /// Done.
    Done,
    /// Our own earlier try did it.
    DoneBefore,
    /// Accepted; what became of it is said later.
    Accepted,
    /// Elsewhere. Not followed: the address is configured wrongly.
    Redirected,
    /// Our fault: it will be refused again.
    Refused,
    /// The target does not exist.
    Missing,
    /// The credential is not accepted.
    Credential,
    /// Not permitted, or not paid for.
    Forbidden,
    /// Too large, unless the vendor says when to try again.
    TooLarge,
    /// Somebody else was first.
    Conflict,
    /// Our condition did not hold.
    ConditionFailed,
    /// Documented as not worked on.
    NotProcessed,
    /// Not worked on if a `Retry-After` is there, else unknown.
    NotProcessedIfRetryAfter,
    /// Failed inside; it may have applied.
    MayHaveApplied,
    /// Nothing is known: something between us and the vendor answered.
    Unknown,
}

impl Meaning {
    /// All of them.
    pub const ALL: [Meaning; 15] = [
        Meaning::Done,
        Meaning::DoneBefore,
        Meaning::Accepted,
        Meaning::Redirected,
        Meaning::Refused,
        Meaning::Missing,
        Meaning::Credential,
        Meaning::Forbidden,
        Meaning::TooLarge,
        Meaning::Conflict,
        Meaning::ConditionFailed,
        Meaning::NotProcessed,
        Meaning::NotProcessedIfRetryAfter,
        Meaning::MayHaveApplied,
        Meaning::Unknown,
    ];

    /// The word in connector files.
    pub fn word(self) -> &'static str {
        match self {
            Meaning::Done => "done",
            Meaning::DoneBefore => "done_before",
            Meaning::Accepted => "accepted",
            Meaning::Redirected => "redirected",
            Meaning::Refused => "refused",
            Meaning::Missing => "missing",
            Meaning::Credential => "credential",
            Meaning::Forbidden => "forbidden",
            Meaning::TooLarge => "too_large",
            Meaning::Conflict => "conflict",
            Meaning::ConditionFailed => "condition_failed",
            Meaning::NotProcessed => "not_processed",
            Meaning::NotProcessedIfRetryAfter => "not_processed_if_retry_after",
            Meaning::MayHaveApplied => "may_have_applied",
            Meaning::Unknown => "unknown",
        }
    }
}

/// How an attempt without an answer is found again.
#[derive(Debug, Clone, PartialEq)]
pub struct LookUp {
    /// The request.
    pub request: HttpRequest,
    /// The vendor's ids of what fits, in the answer: a list.
    pub found: Expr,
    /// That nothing is found says that nothing happened: the vendor documents that what was written can be read.
    pub absent_is_certain: bool,
    /// How long what was sent may take to show, µs.
    pub settle: i64,
}

/// A use of an operation in a workflow: `use: hubspot.contact.update`.
#[derive(Debug, Clone)]
pub struct ConnectorCall {
    /// The connector.
    pub connector: String,
    /// Its operation.
    pub operation: String,
    /// Name of the connection that holds address and credential.
    pub connection: String,
    /// The arguments.
    pub with: Vec<CallArgument>,
    /// Property → expression; empty where the operation takes no properties.
    pub map: Vec<(String, Expr)>,
    /// The write is based on a version that has to be known before it is sent.
    pub is_conditional: bool,
    /// The version of the first write, where the workflow declares one.
    pub base_version: Option<String>,
}

/// An argument that a workflow gives.
#[derive(Debug, Clone)]
pub struct CallArgument {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Expr,
    /// It has to have a value.
    pub required: bool,
    /// What it decides.
    pub control: Control,
}

impl ConnectorCall {
    /// `hubspot.contact.update`.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.connector, self.operation)
    }
}

impl Operation {
    /// The argument of a name.
    pub fn argument(&self, name: &str) -> Option<&Argument> {
        self.arguments.iter().find(|a| a.name == name)
    }

    /// A write that has to know a version, or to get something, before it is sent.
    pub fn reads_first(&self) -> bool {
        self.condition != Condition::None
    }
}

/// A value as one segment of a path, or as one name or value of a query: everything but the unreserved characters of
/// RFC 3986 is percent-encoded, and so are `.` and `..`, which alone would climb.
pub fn path_segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    match out.as_str() {
        "." | ".." => out.replace('.', "%2E"),
        _ => out,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_one_segment() {
        let table = [
            ("../a b?c", "..%2Fa%20b%3Fc"),
            ("a-1._~", "a-1._~"),
            ("é", "%C3%A9"),
            ("..", "%2E%2E"),
            (".", "%2E"),
        ];
        for (text, want) in table {
            assert_eq!(path_segment(text), want);
        }
    }
}
