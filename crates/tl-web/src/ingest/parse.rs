//! Step 7, first half: from raw bytes to what a message says. Strict: what could be read in two ways is refused.

use std::collections::BTreeMap;

use tl_kernel::contact::{Consent, Wish};
use tl_kernel::limits::MAX_LINE;
use tl_kernel::payload::parse_json;
use tl_kernel::program::{Channel, Endpoint, Format};
use tl_kernel::value::Value;
use tl_wire::content_type::ContentType;
use tl_wire::form::{self, Form};
use tl_wire::sms::{Party, Sms, SmsError};

use super::documents::{self, Enclosed};
use super::mail::{from_mail, poster};
use super::{delivery_id, preset_of};
use crate::forms;
use crate::problem::{FieldProblem, MALFORMED, Problem, SCHEMA};

/// What a message says.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    /// The body as expressions see it.
    pub(crate) body: Value,
    /// Names beside the body: `text`, `from`, `subject` and so on.
    pub(crate) parts: BTreeMap<String, Value>,
    /// Headers that the message brings itself.
    pub(crate) headers: BTreeMap<String, String>,
    /// A delivery id inside the signed body that always stands there for this channel or this vendor.
    pub(crate) signed_id: Option<String>,
    /// An id inside the body that names the message.
    pub(crate) pointer: Option<String>,
    /// What its sender says about being written to.
    pub(crate) consent: Option<Consent>,
    /// Documents that are not read yet.
    pub(crate) documents: Vec<Enclosed>,
    /// It is itself a document.
    pub(crate) is_document: bool,
    /// Content type as received.
    pub(crate) content_type: String,
    /// The raw bytes.
    pub(crate) payload: Vec<u8>,
}

/// Reads the body of a request at a door.
pub(crate) fn message(
    endpoint: &Endpoint,
    content_type: &ContentType,
    raw: Vec<u8>,
) -> Result<Message, Problem> {
    let mut message = match endpoint.format {
        Format::Mail => from_mail(endpoint, content_type, &raw)?,
        Format::Document => documents::message(content_type, &raw),
        Format::Form if !content_type.is_json() => from_form(endpoint, content_type, &raw)?,
        Format::Form | Format::Json => from_value(json(&raw)?),
    };
    if endpoint.channel == Channel::Sms {
        message.consent = consent(&message.body);
    }
    message.content_type = content_type.essence();
    // It is read again by what stands here.
    let charset = content_type.charset.as_deref().filter(|c| is_word(c));
    if let Some(charset) = charset.filter(|_| message.is_document) {
        message.content_type.push_str("; charset=");
        message.content_type.push_str(charset);
    }
    if let Some(boundary) = &content_type.boundary {
        message
            .content_type
            .push_str(&format!("; boundary=\"{boundary}\""));
    }
    if let Some(preset) = preset_of(endpoint) {
        let named = delivery_id(preset, &message.body, &raw);
        // What names a mail is under the vendor's signature, or comes from the vendor beside it.
        let named = named.or_else(|| {
            message
                .pointer
                .clone()
                .filter(|_| poster(endpoint).is_some())
        });
        message.signed_id = message.signed_id.take().or(named);
    }
    message.payload = raw;
    Ok(message)
}

/// The name of a charset, as it may stand in a header.
fn is_word(text: &str) -> bool {
    text.bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
}

/// A message whose body is a value. The caller sets payload and content type.
pub(crate) fn from_value(body: Value) -> Message {
    let mut parts = BTreeMap::new();
    let text = |name: &str| body.at(&[name]).filter(|v| matches!(v, Value::Text(_)));
    if let Some(v) = ["message", "text", "body"]
        .iter()
        .find_map(|name| text(name))
    {
        parts.insert("text".to_owned(), v.clone());
    }
    for name in ["external_id", "correlation_id"] {
        match body.at(&[name]) {
            Some(Value::Text(t)) if !t.trim().is_empty() && t.len() <= MAX_LINE => {
                parts.insert(name.to_owned(), Value::text(t.trim()));
            }
            Some(Value::Int(i)) => {
                parts.insert(name.to_owned(), Value::text(i.to_string()));
            }
            _ => {}
        }
    }
    Message {
        body,
        parts,
        headers: BTreeMap::new(),
        signed_id: None,
        pointer: None,
        consent: None,
        documents: Vec::new(),
        is_document: false,
        content_type: String::new(),
        payload: Vec::new(),
    }
}

/// Strict JSON.
pub(crate) fn json(raw: &[u8]) -> Result<Value, Problem> {
    parse_json(raw)
        .map_err(|e| Problem::new(MALFORMED, format!("The body is no JSON we take: {e}.")))
}

fn from_form(
    endpoint: &Endpoint,
    content_type: &ContentType,
    raw: &[u8],
) -> Result<Message, Problem> {
    let form = form::parse(content_type, raw, &form::Limits::default())
        // A field's name comes from the sender, so the sentence may hold it; a value it never holds.
        .map_err(|e| Problem::new(MALFORMED, format!("The body is no form we take: {e}.")))?;
    let mut message = from_value(match endpoint.proves_sender() {
        true => form_value(&form),
        false => forms::body(endpoint, &form),
    });
    let Form { fields, files } = form;
    message.documents = documents::of_form(files);
    if endpoint.channel == Channel::Sms {
        let sms = Sms::from_fields(&fields).map_err(|e| sms_problem(&e))?;
        message.signed_id = Some(sms.delivery_key());
        message.parts.extend([
            ("from".to_owned(), Value::text(sms.from.as_str())),
            ("text".to_owned(), Value::text(&sms.body)),
            ("message_id".to_owned(), Value::text(&sms.message_sid)),
            ("external_id".to_owned(), Value::text(&sms.message_sid)),
        ]);
    }
    Ok(message)
}

/// What a text message says about messages to its sender. Where the provider answers such words itself, it says which
/// one it took the text for.
fn consent(body: &Value) -> Option<Consent> {
    let field = |name: &str| body.at(&[name]).and_then(Value::as_text);
    let Some(Party::Phone(address)) = Party::parse(field("From")?) else {
        return None;
    };
    let taken_for = field("OptOutType").filter(|word| !word.trim().is_empty());
    let wish = Wish::of(taken_for.or(field("Body"))?)?;
    Some(Consent {
        channel: Channel::Sms.word(),
        address,
        wish,
    })
}

fn form_value(form: &Form) -> Value {
    let mut body: BTreeMap<String, Value> = form
        .fields
        .iter()
        .map(|(name, value)| (name.clone(), Value::text(value)))
        .collect();
    for file in &form.files {
        let described = BTreeMap::from([
            ("name".to_owned(), Value::text(&file.name)),
            ("media_type".to_owned(), Value::text(&file.media_type)),
            ("size".to_owned(), size(file.bytes.len())),
        ]);
        body.insert(file.field.clone(), Value::Record(described));
    }
    Value::Record(body)
}

/// A number of bytes.
pub(super) fn size(bytes: usize) -> Value {
    Value::Int(i64::try_from(bytes).unwrap_or(i64::MAX))
}

fn sms_problem(error: &SmsError) -> Problem {
    let (field, expected) = match error {
        SmsError::Missing(name) => (*name, "is required"),
        SmsError::Duplicate(name) => (*name, "must stand once"),
        SmsError::Malformed(name) => (*name, "must have the provider's form"),
        SmsError::TooLong => ("Body", "is longer than a text message"),
    };
    let problem = FieldProblem {
        pointer: format!("/{field}"),
        expected: expected.to_owned(),
    };
    Problem::new(SCHEMA, "The form is no text message.").with_errors(vec![problem])
}
