//! The documents that a message is, or that came with it: what expressions see of each, with its text where it has one.

use std::collections::BTreeMap;
use std::sync::Arc;

use tl_document::{Declared, Document, Kind, Unread};
use tl_kernel::digest::{hex, sha256};
use tl_kernel::id::EventId;
use tl_kernel::value::Value;
use tl_wire::content_type::ContentType;
use tl_wire::form::File;
use tl_wire::mail::Attachment;
use tokio::time::Instant;

use super::Message;
use super::parse::{from_value, size};
use crate::limits::{DOCUMENTS_DEADLINE, MAX_DOCUMENTS, NO_READER};
use crate::problem::Problem;
use crate::state::{Web, unavailable};

/// A document whose text is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Enclosed {
    declared: Declared,
    /// The field of the form that it was sent in.
    field: Option<String>,
    bytes: Vec<u8>,
}

impl Enclosed {
    fn new(declared: Declared, bytes: Vec<u8>) -> Option<Enclosed> {
        Kind::declared(&declared.media_type, declared.name.as_deref())?;
        Some(Enclosed {
            declared,
            field: None,
            bytes,
        })
    }

    /// What is known of it before it is read.
    fn described(&self) -> BTreeMap<String, Value> {
        let mut out = BTreeMap::from([
            ("size".to_owned(), size(self.bytes.len())),
            ("digest".to_owned(), digest(&self.bytes)),
            (
                "media_type".to_owned(),
                Value::text(&self.declared.media_type),
            ),
        ]);
        for (name, text) in [("name", &self.declared.name), ("field", &self.field)] {
            if let Some(text) = text {
                out.insert(name.to_owned(), Value::text(text));
            }
        }
        out
    }
}

/// With its text, or why it has none.
fn with_text(mut out: BTreeMap<String, Value>, read: Result<Document, Unread>) -> Value {
    let mut add = |name: &str, value: Value| out.insert(name.to_owned(), value);
    match read {
        Ok(document) => {
            add("kind", Value::text(document.kind.word()));
            add("text", Value::text(document.text()));
            add("pages", size(document.pages.len()));
            add("text_cut", Value::Bool(document.cut));
        }
        Err(why) => {
            add("error", Value::text(why.code()));
            add("reason", Value::text(why.to_string()));
        }
    }
    Value::Record(out)
}

fn digest(bytes: &[u8]) -> Value {
    Value::text(hex(&sha256(&[bytes])))
}

/// A message that is itself a document.
pub(crate) fn message(content_type: &ContentType, raw: &[u8]) -> Message {
    let declared = Declared {
        media_type: content_type.essence(),
        charset: content_type.charset.clone(),
        name: None,
    };
    let body = BTreeMap::from([
        ("media_type".to_owned(), Value::text(&declared.media_type)),
        ("size".to_owned(), size(raw.len())),
        ("digest".to_owned(), digest(raw)),
    ]);
    let mut message = from_value(Value::Record(body));
    message
        .documents
        .extend(Enclosed::new(declared, raw.to_vec()));
    message.is_document = true;
    message
}

/// The documents among the files of a form.
pub(crate) fn of_form(files: Vec<File>) -> Vec<Enclosed> {
    let of = |file: File| {
        let declared = Declared {
            media_type: file.media_type,
            charset: None,
            name: Some(file.name).filter(|n| !n.is_empty()),
        };
        let mut enclosed = Enclosed::new(declared, file.bytes)?;
        enclosed.field = Some(file.field);
        Some(enclosed)
    };
    files.into_iter().filter_map(of).collect()
}

/// The documents among the attachments of a mail.
pub(crate) fn of_mail(attachments: &mut [Attachment]) -> Vec<Enclosed> {
    let of = |attachment: &mut Attachment| {
        let declared = Declared {
            media_type: attachment.media_type.clone(),
            charset: attachment.charset.clone(),
            name: attachment.name.clone(),
        };
        Enclosed::new(declared, std::mem::take(&mut attachment.content))
    };
    attachments.iter_mut().filter_map(of).collect()
}

/// Has the documents of a message read. Where no reader is free for too long the sender comes again: that is no fault of
/// the document.
pub(crate) async fn read(
    web: &Arc<Web>,
    message: &mut Message,
    id: EventId,
) -> Result<(), Problem> {
    let mut seen = Vec::new();
    let begun = Instant::now();
    for (n, enclosed) in std::mem::take(&mut message.documents)
        .into_iter()
        .enumerate()
    {
        let known = enclosed.described();
        let read = if n >= MAX_DOCUMENTS {
            Err(too_many())
        } else if begun.elapsed() > DOCUMENTS_DEADLINE {
            let why = "the documents before it took too long".to_owned();
            Err(Unread::NotTried { why })
        } else {
            let (bytes, declared) = (enclosed.bytes, enclosed.declared);
            let read = web.intake.read_document(bytes, declared).await;
            read.ok_or_else(|| unavailable("documents", NO_READER, id))?
        };
        seen.push(with_text(known, read));
    }
    show(message, seen);
    Ok(())
}

/// Has them read at once, by whoever is given.
pub(crate) fn read_now(
    message: &mut Message,
    read: impl Fn(&[u8], &Declared) -> Result<Document, Unread>,
) {
    let mut seen = Vec::new();
    for (n, enclosed) in std::mem::take(&mut message.documents)
        .into_iter()
        .enumerate()
    {
        let read = match n < MAX_DOCUMENTS {
            true => read(&enclosed.bytes, &enclosed.declared),
            false => Err(too_many()),
        };
        seen.push(with_text(enclosed.described(), read));
    }
    show(message, seen);
}

fn too_many() -> Unread {
    Unread::NotTried {
        why: format!("of one message the first {MAX_DOCUMENTS} documents are read"),
    }
}

/// Shows them to expressions. The text of a message that is itself a document is the document's.
fn show(message: &mut Message, seen: Vec<Value>) {
    if message.is_document
        && let Some(text) = seen.first().and_then(|d| d.at(&["text"]))
    {
        message.parts.insert("text".to_owned(), text.clone());
    }
    if !seen.is_empty() {
        message
            .parts
            .insert("documents".to_owned(), Value::List(seen));
    }
}
