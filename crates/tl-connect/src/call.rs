//! An operation of a connector with its arguments, as an HTTP request; and its answer, as what it means. Both are
//! pure: the same call gives the same bytes, and nothing is sent here.

mod answer;
mod encode;
mod mail;

use std::collections::BTreeMap;

use http::Method;
use tl_kernel::connector::{
    Body, Condition, Escape, HttpRequest, Operation, WhenAbsent, path_segment,
};
use tl_kernel::expr::{EvalError, Piece, Scope, Template};
use tl_kernel::payload::to_json;
use tl_kernel::value::{Label, Value};

use crate::smtp::Envelope;
pub use answer::{Found, Heard, ReadState, says_error};
pub(crate) use answer::{parsed, shown, text};
use encode::{escaped, form};

/// What an expression of a connector file reads.
pub(crate) type Names = BTreeMap<String, (Value, Label)>;

/// An operation with everything that its requests are made of.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The operation.
    pub operation: &'a Operation,
    /// The arguments: a record.
    pub args: &'a Value,
    /// The record's properties: a record.
    pub fields: &'a Value,
    /// The connection's settings.
    pub settings: &'a BTreeMap<String, String>,
    /// What the ledger knows of the effect.
    pub effect: Facts<'a>,
}

/// What the ledger knows of an effect.
#[derive(Debug, Clone, Copy, Default)]
pub struct Facts<'a> {
    /// Its id, as it may stand in another system.
    pub id: &'a str,
    /// The idempotency key.
    pub key: &'a str,
    /// The version that the write is based on.
    pub base_version: Option<&'a str>,
    /// The record does not exist yet.
    pub create: bool,
    /// Which attempt this is, from 1.
    pub attempt: u32,
}

/// A request that may be sent: everything but where to and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The method.
    pub method: Method,
    /// What follows the base address.
    pub path_and_query: String,
    /// Headers by lower-case name.
    pub headers: Vec<(String, String)>,
    /// The body. A mail's is without the time at which it leaves.
    pub body: Option<Vec<u8>>,
    /// The body is a mail, which goes from there to there.
    pub mail: Option<Envelope>,
}

/// Why a request cannot be made. Nothing has been sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// A conditional write without a usable version.
    #[error("TL0801 the write has no base version; nothing is overwritten without one")]
    NoVersion,
    /// The method is none that a request of this kind uses.
    #[error("TL0802 a write uses PUT, PATCH, POST or DELETE")]
    Method,
    /// The properties are no record, or the body cannot carry the version.
    #[error("TL0803 the body of a write is a record")]
    Body,
    /// A part of the address has no value.
    #[error("TL0804 the address of the request lacks `{0}`")]
    Address(String),
    /// The record that is to be changed does not exist.
    #[error("TL0805 there is no record to change")]
    Absent,
    /// An expression of the connector file has no result.
    #[error("TL0806 the request cannot be made: {0}")]
    Expression(#[from] EvalError),
    /// A part of the mail cannot be written.
    #[error("TL0820 the mail cannot be written: {0}")]
    Mail(String),
    /// The connection signs, and this message cannot be signed.
    #[error("TL0809 the message cannot be signed: {0}")]
    Unsigned(String),
    /// The operation has no such request.
    #[error("TL0807 the connector does not say how `{0}` is read or looked up")]
    NoRequest(String),
}

impl Call<'_> {
    /// The request that does it.
    pub fn write(&self) -> Result<Draft, CallError> {
        let version = self.usable_version()?;
        let mut draft = request(&self.operation.request, &self.names()?, |body| {
            let (Condition::Field(name), Some(version)) = (&self.operation.condition, version)
            else {
                return Ok(());
            };
            let Value::Record(body) = body else {
                return Err(CallError::Body);
            };
            body.insert(name.clone(), Value::text(version));
            Ok(())
        })?;
        if draft.method == Method::GET && self.operation.class != tl_kernel::effect::Class::E5 {
            return Err(CallError::Method);
        }
        match (&self.operation.condition, version) {
            (Condition::IfMatch, Some(version)) => {
                set(&mut draft.headers, "if-match", version.to_owned());
            }
            (Condition::None, _) | (_, Some(_)) => {}
            (_, None) if self.operation.absent == WhenAbsent::IfNoneMatch => {
                set(&mut draft.headers, "if-none-match", "*".to_owned());
            }
            (_, None) => {}
        }
        Ok(draft)
    }

    /// The request that reads the record, or gets what the write needs.
    pub fn read(&self) -> Result<Draft, CallError> {
        let read = self.operation.read.as_ref().ok_or_else(|| self.none())?;
        request(&read.request, &self.names()?, |_| Ok(()))
    }

    /// The request that looks for what became of an attempt.
    pub fn look_up(&self) -> Result<Draft, CallError> {
        let look_up = self.operation.look_up.as_ref().ok_or_else(|| self.none())?;
        request(&look_up.request, &self.names()?, |_| Ok(()))
    }

    fn none(&self) -> CallError {
        CallError::NoRequest(self.operation.name.clone())
    }

    /// The version that goes back; `None` where the record is created or nothing is compared.
    fn usable_version(&self) -> Result<Option<&str>, CallError> {
        if self.operation.condition == Condition::None {
            return Ok(None);
        }
        if self.effect.create {
            return match self.operation.absent {
                WhenAbsent::Fails => Err(CallError::Absent),
                WhenAbsent::IfNoneMatch | WhenAbsent::Plain => Ok(None),
            };
        }
        // `*` matches any version: it is a write without one.
        let usable =
            |v: &&str| !v.trim().is_empty() && *v != "*" && v.chars().all(|c| !c.is_control());
        let version = self.effect.base_version.filter(usable);
        version.map(Some).ok_or(CallError::NoVersion)
    }

    /// What the expressions of the file read.
    fn names(&self) -> Result<Names, CallError> {
        if !matches!(self.fields, Value::Record(_) | Value::Null) {
            return Err(CallError::Body);
        }
        let as_text = self.operation.fields.as_ref().is_some_and(|f| f.as_text);
        let fields = match (self.fields, as_text) {
            (Value::Record(all), true) => {
                let texts = all
                    .iter()
                    .map(|(k, v)| (k.clone(), Value::text(v.to_string())));
                Value::Record(texts.collect())
            }
            (other, _) => other.clone(),
        };
        let text = |v: &str| Value::text(v);
        let mut effect = BTreeMap::from([
            ("id".to_owned(), text(self.effect.id)),
            ("key".to_owned(), text(self.effect.key)),
            (
                "attempt".to_owned(),
                Value::Int(i64::from(self.effect.attempt)),
            ),
        ]);
        if let Some(version) = self.effect.base_version {
            effect.insert("version".into(), text(version));
        }
        let mut names = with_settings(self.settings);
        for (name, value) in [
            ("args", self.args.clone()),
            ("fields", fields),
            ("effect", Value::Record(effect)),
        ] {
            names.insert(name.into(), (value, Label::Config));
        }
        Ok(names)
    }
}

/// The settings of a connection as expressions read them.
pub(crate) fn with_settings(settings: &BTreeMap<String, String>) -> Names {
    let all = settings.iter().map(|(k, v)| (k.clone(), Value::text(v)));
    let connection = Value::Record(all.collect());
    BTreeMap::from([("connection".to_owned(), (connection, Label::Config))])
}

/// A request under a scope; `change` has the last word on a JSON body.
pub(crate) fn request(
    spec: &HttpRequest,
    scope: &Names,
    change: impl FnOnce(&mut Value) -> Result<(), CallError>,
) -> Result<Draft, CallError> {
    let method = spec.method.render(scope)?.text;
    let method = match method.as_str() {
        "GET" | "POST" | "PUT" | "PATCH" | "DELETE" => {
            Method::from_bytes(method.as_bytes()).map_err(|_| CallError::Method)?
        }
        _ => return Err(CallError::Method),
    };
    let mut headers = vec![("accept".to_owned(), "application/json".to_owned())];
    let mut mail = None;
    let body = match &spec.body {
        Body::None => None,
        Body::Mail(shape) => {
            let (envelope, bytes) = mail::written(shape.value(scope)?.as_ref(), scope)?;
            mail = Some(envelope);
            Some(bytes)
        }
        Body::Json(shape) => {
            set(&mut headers, "content-type", "application/json".into());
            let mut value = shape.value(scope)?.unwrap_or(Value::Null);
            change(&mut value)?;
            Some(to_json(&value).into_bytes())
        }
        Body::Form(shape) => {
            let form_type = "application/x-www-form-urlencoded";
            set(&mut headers, "content-type", form_type.into());
            let value = shape.value(scope)?.unwrap_or(Value::Null);
            Some(form(&value).into_bytes())
        }
        Body::Text {
            content_type,
            escape,
            text,
        } => {
            set(&mut headers, "content-type", content_type.clone());
            Some(escaped_text(text, *escape, scope)?.into_bytes())
        }
    };
    for (name, value) in &spec.headers {
        let value = value.render(scope)?;
        if !value.text.is_empty() {
            set(&mut headers, &name.to_ascii_lowercase(), value.text);
        }
    }
    Ok(Draft {
        method,
        path_and_query: path_and_query(spec, scope)?,
        headers,
        body,
        mail,
    })
}

fn set(headers: &mut Vec<(String, String)>, name: &str, value: String) {
    match headers.iter_mut().find(|(n, _)| n == name) {
        Some((_, old)) => *old = value,
        None => headers.push((name.to_owned(), value)),
    }
}

/// Path and query: values are encoded, so that none of them adds a segment or a parameter. A path that is one value
/// and nothing else is an address that was given: it goes as it is.
fn path_and_query(spec: &HttpRequest, scope: &dyn Scope) -> Result<String, CallError> {
    let whole = spec.path.single().is_some();
    let mut out = String::new();
    for piece in &spec.path.parts {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Expr(expr) => {
                let value = expr.eval(scope)?.value.filter(|v| !v.is_blank());
                let value = value.ok_or_else(|| CallError::Address(expr.source.clone()))?;
                out.push_str(&if whole {
                    value.to_string()
                } else {
                    path_segment(&value.to_string())
                });
            }
        }
    }
    for (name, value) in &spec.query {
        let value = value.render(scope)?;
        if value.text.is_empty() {
            continue;
        }
        out.push(if out.contains('?') { '&' } else { '?' });
        out.push_str(&format!(
            "{}={}",
            path_segment(name),
            path_segment(&value.text)
        ));
    }
    Ok(out)
}

fn escaped_text(text: &Template, escape: Escape, scope: &dyn Scope) -> Result<String, CallError> {
    let mut out = String::new();
    for piece in &text.parts {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Expr(expr) => {
                let value = expr.eval(scope)?.value;
                out.push_str(&escaped(
                    &value.map(|v| v.to_string()).unwrap_or_default(),
                    escape,
                ));
            }
        }
    }
    // Cards and calendars end their lines with both characters.
    Ok(match escape {
        Escape::Vcard => out.replace("\r\n", "\n").replace('\n', "\r\n"),
        _ => out,
    })
}
