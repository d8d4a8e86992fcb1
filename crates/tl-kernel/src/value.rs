//! Typed values, the trust label each one carries, and where each one came from.

use std::collections::BTreeMap;
use std::fmt;

use minicbor::{Decode, Encode};
use rust_decimal::Decimal;

/// A value of a record field, an event or an expression.
///
/// Money is `Dec`; `Float` exists for confidences and never meets a limit. Times are µs since the Unix
/// epoch, durations are µs.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub enum Value {
    /// Present but empty, as JSON `null`.
    #[n(0)]
    Null,
    /// True or false.
    #[n(1)]
    Bool(#[n(0)] bool),
    /// A whole number.
    #[n(2)]
    Int(#[n(0)] i64),
    /// An exact decimal.
    #[n(3)]
    Dec(#[cbor(n(0), with = "decimal_cbor")] Decimal),
    /// A binary floating point number; never NaN (the constructors refuse it).
    #[n(4)]
    Float(#[n(0)] f64),
    /// Unicode text without NUL.
    #[n(5)]
    Text(#[n(0)] String),
    /// An instant, µs since the Unix epoch.
    #[n(6)]
    Time(#[n(0)] i64),
    /// A span of time, µs.
    #[n(7)]
    Dur(#[n(0)] i64),
    /// An ordered list.
    #[n(8)]
    List(#[n(0)] Vec<Value>),
    /// Named values in name order.
    #[n(9)]
    Record(#[n(0)] BTreeMap<String, Value>),
}

mod decimal_cbor {
    //! A decimal travels as its text, so that scale and value survive exactly.
    use minicbor::decode::Error;
    use minicbor::encode::{Error as EncodeError, Write};
    use minicbor::{Decoder, Encoder};
    use rust_decimal::Decimal;

    pub(super) fn encode<C, W: Write>(
        v: &Decimal,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), EncodeError<W::Error>> {
        e.str(&v.to_string())?.ok()
    }

    pub(super) fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<Decimal, Error> {
        d.str()?
            .parse()
            .map_err(|_| Error::message("not a decimal"))
    }
}

impl Value {
    /// A text value.
    pub fn text(s: impl Into<String>) -> Self {
        Value::Text(s.into())
    }

    /// True for `Null` and for text that is empty after trimming: what a person would call "not given".
    pub fn is_blank(&self) -> bool {
        match self {
            Value::Null => true,
            Value::Text(t) => t.trim().is_empty(),
            _ => false,
        }
    }

    /// The text of a text value.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(t) => Some(t),
            _ => None,
        }
    }

    /// Looks a dotted path up through nested records.
    pub fn at<'a, S: AsRef<str>>(&'a self, path: &[S]) -> Option<&'a Value> {
        let mut here = self;
        for name in path {
            match here {
                Value::Record(m) => here = m.get(name.as_ref())?,
                _ => return None,
            }
        }
        Some(here)
    }

    /// The type of this value, for error messages.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Dec(_) => "decimal",
            Value::Float(_) => "float",
            Value::Text(_) => "text",
            Value::Time(_) => "time",
            Value::Dur(_) => "duration",
            Value::List(_) => "list",
            Value::Record(_) => "record",
        }
    }
}

/// The value as a person reads it in a message or an explanation.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => Ok(()),
            Value::Bool(b) => write!(f, "{b}"),
            Value::Int(i) => write!(f, "{i}"),
            Value::Dec(d) => write!(f, "{d}"),
            Value::Float(x) => write!(f, "{x}"),
            Value::Text(t) => f.write_str(t),
            Value::Time(t) => f.write_str(&crate::time::rfc3339(*t)),
            Value::Dur(d) => f.write_str(&crate::time::duration_text(*d)),
            Value::List(l) => {
                for (i, v) in l.iter().enumerate() {
                    if i > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "{v}")?;
                }
                Ok(())
            }
            Value::Record(m) => {
                f.write_str("{")?;
                for (i, (k, v)) in m.iter().enumerate() {
                    if i > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "{k}: {v}")?;
                }
                f.write_str("}")
            }
        }
    }
}

/// How far a value may be trusted. The order is the order of distrust: joining two values takes the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Default)]
#[cbor(index_only)]
pub enum Label {
    /// Written in a deployed file or computed by a rule from such values.
    #[n(0)]
    #[default]
    Config,
    /// Entered by a signed-in person.
    #[n(1)]
    Operator,
    /// Read from a connected system of record.
    #[n(2)]
    Crm,
    /// Inbound text, and everything a model said about it.
    #[n(3)]
    Untrusted,
}

impl Label {
    /// The worse of two labels.
    pub fn join(self, other: Label) -> Label {
        self.max(other)
    }

    /// The word used in files and explanations.
    pub fn word(self) -> &'static str {
        match self {
            Label::Config => "config",
            Label::Operator => "operator",
            Label::Crm => "crm",
            Label::Untrusted => "untrusted",
        }
    }
}

/// Where the value of a record field came from.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub enum Source {
    /// An inbound message, by its number within the case, from 1. Which expression picked the value stands in
    /// the pinned definition, at the message's endpoint.
    #[n(0)]
    Event(#[n(0)] u32),
    /// A model's proposal.
    #[n(1)]
    Model {
        /// The number of the ask within the case.
        #[n(0)]
        ask: u32,
        /// Calibrated confidence in thousandths, absent where the model gave none.
        #[n(1)]
        confidence: Option<u16>,
        /// Byte span in the message text the value was read from.
        #[n(2)]
        span: Option<(u32, u32)>,
    },
    /// A rule of the workflow, by position from 0.
    #[n(2)]
    Rule(#[n(0)] u32),
    /// A row of a decision table: table position and row position, from 0.
    #[n(3)]
    Table(#[n(0)] u32, #[n(1)] u32),
    /// A person, by the turn's actor.
    #[n(4)]
    Person,
    /// The connected system of record, at the version read.
    #[n(5)]
    Crm(#[n(0)] String),
    /// The engine itself (times of the case).
    #[n(6)]
    Engine,
}

/// A record field's value with its label and source.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct Field {
    /// The value.
    #[n(0)]
    pub value: Value,
    /// How far it may be trusted.
    #[n(1)]
    pub label: Label,
    /// Where it came from.
    #[n(2)]
    pub source: Source,
}

/// A record: its fields by name. An absent name is an absent value.
pub type Record = BTreeMap<String, Field>;

/// The type of a field or of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// True or false.
    Bool,
    /// A whole number.
    Int,
    /// An exact decimal, money included.
    Dec,
    /// A floating point number (confidences, thresholds).
    Float,
    /// One line of text.
    Text,
    /// One of the named values.
    Enum(Vec<String>),
    /// An e-mail address: trimmed and lower-cased.
    Email,
    /// A phone number in E.164.
    Phone,
    /// An http or https address.
    Url,
    /// An instant.
    Time,
    /// A span of time.
    Dur,
    /// A list of one type.
    List(Box<Type>),
    /// Named parts with their types.
    Record(BTreeMap<String, Type>),
    /// Not declared in detail: the body of a message whose shape no schema states.
    Any,
    /// The type of `null`.
    Null,
}

impl Type {
    /// The word used in workflow files and messages.
    pub fn word(&self) -> String {
        match self {
            Type::Bool => "bool".into(),
            Type::Int => "int".into(),
            Type::Dec => "decimal".into(),
            Type::Float => "float".into(),
            Type::Text => "string".into(),
            Type::Enum(v) => format!("enum({})", v.join(", ")),
            Type::Email => "email".into(),
            Type::Phone => "phone".into(),
            Type::Url => "url".into(),
            Type::Time => "time".into(),
            Type::Dur => "duration".into(),
            Type::List(t) => format!("list of {}", t.word()),
            Type::Record(_) => "record".into(),
            Type::Any => "any".into(),
            Type::Null => "null".into(),
        }
    }

    /// What is wrong with a value that cannot be of this type, as it continues "`field` …". Names no value.
    pub fn mismatch(&self) -> String {
        let what = match self {
            Type::Bool => "must be true or false",
            Type::Int => "is not a whole number",
            Type::Dec | Type::Float => "is not a number",
            Type::Text => "is not text",
            Type::Enum(values) => return format!("must be one of {}", values.join(", ")),
            Type::Email => "is not an e-mail address",
            Type::Phone => "is not a phone number",
            Type::Url => "is not an http or https address",
            Type::Time => "is not a time such as 2026-01-31T09:00:00Z",
            Type::Dur => "is not a duration such as 30m",
            Type::List(_) => "is not a list",
            Type::Record(_) => "is not a record",
            Type::Any | Type::Null => "must be absent",
        };
        what.to_owned()
    }

    /// True for the types whose values are text at run time.
    pub fn is_textual(&self) -> bool {
        matches!(
            self,
            Type::Text | Type::Enum(_) | Type::Email | Type::Phone | Type::Url
        )
    }
}
