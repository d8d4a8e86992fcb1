//! One mail message from complete bytes to the few things a case needs.
//!
//! Header fields, encoded words, addresses, dates and charsets are read by `mail-parser`. The
//! walk through the parts is ours, because it decides how deep and how wide hostile input may
//! make us go, and so is the reduction of HTML to text, because what a person would not see must
//! not become evidence.

mod automatic;
mod html;
mod parts;
mod posted;

pub use automatic::{Automatic, Returned};
pub use posted::{Posted, PostedError, Poster};

use crate::text;
use mail_parser::parsers::MessageStream;
use mail_parser::{Header, HeaderName, HeaderValue, MessageParser};

/// Addresses of servers on the way that are kept.
const MAX_DELIVERED_TO: usize = 10;

/// What a message may hold; more is an error, except for the text, which is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest message, in bytes.
    pub max_bytes: usize,
    /// Most header lines of the message or of one part.
    pub max_header_lines: usize,
    /// Largest header of the message or of one part, in bytes.
    pub max_header_bytes: usize,
    /// Most parts at all levels.
    pub max_parts: usize,
    /// Deepest nesting of multiparts.
    pub max_depth: usize,
    /// Longest text that is kept, in bytes; the rest is cut off.
    pub max_text_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_bytes: 10 * 1024 * 1024,
            max_header_lines: 1000,
            max_header_bytes: 256 * 1024,
            max_parts: 200,
            max_depth: 16,
            max_text_bytes: 256 * 1024,
        }
    }
}

/// A parsed message. All text is valid UTF-8 without NUL and other control characters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mail {
    /// Without angle brackets, like the other ids.
    pub message_id: Option<String>,
    pub in_reply_to: Option<String>,
    pub references: Vec<String>,
    pub from_name: Option<String>,
    /// Absent when the message names no sender or has several `From` lines.
    pub from_email: Option<String>,
    pub reply_to: Option<String>,
    /// Addresses of `To` and then `Cc`.
    pub to: Vec<String>,
    /// For whom servers on the way took it: `Delivered-To`, `X-Original-To`, `Envelope-To`.
    pub delivered_to: Vec<String>,
    pub subject: Option<String>,
    /// Time of sending as the sender claims it, UTC microseconds.
    pub date_us: Option<i64>,
    /// What a person would read: the plain text, or the HTML without its markup.
    pub text: String,
    /// True when the text was longer than the limit.
    pub text_cut: bool,
    /// The keyword of `Auto-Submitted` unless it is `no`, in lower case.
    pub auto_submitted: Option<String>,
    pub list_id: Option<String>,
    /// `List-Unsubscribe` as written: newsletters have one.
    pub list_unsubscribe: Option<String>,
    /// `bulk`, `list`, `junk` …, in lower case.
    pub precedence: Option<String>,
    /// True for `Return-Path: <>`, the mark of bounces.
    pub null_return_path: bool,
    /// A program sent it by itself.
    pub automatic: Option<Automatic>,
    /// What a delivery report says of the mail that it is about.
    pub returned: Option<Returned>,
    /// It says that it was sent by an effect of this product.
    pub ours: bool,
    pub attachments: Vec<Attachment>,
}

/// A part that is not the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// File name without directories.
    pub name: Option<String>,
    /// `type/subtype` in lower case.
    pub media_type: String,
    /// Decoded size in bytes.
    pub size: usize,
    /// SHA-256 of the decoded content, hexadecimal.
    pub digest: String,
    /// The charset that was declared of a text.
    pub charset: Option<String>,
    /// The decoded content.
    pub content: Vec<u8>,
}

/// Why bytes are not taken as a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    #[error("the message is larger than allowed")]
    TooLarge,
    #[error("the header of the message, or of a part of it, is larger than allowed")]
    HeaderTooLarge,
    #[error("the message has more parts than allowed")]
    TooManyParts,
    #[error("the parts are nested deeper than allowed")]
    TooDeep,
    #[error("the bytes do not begin with the header of a message")]
    NotAMail,
}

impl Mail {
    /// Whether a program sent this, so that no automatic answer may follow (loop guard).
    pub fn is_automatic(&self) -> bool {
        let bulk = self.precedence.as_deref();
        self.auto_submitted.is_some()
            || self.list_id.is_some()
            || self.null_return_path
            || bulk.is_some_and(|word| matches!(word, "bulk" | "junk" | "list" | "auto_reply"))
    }
}

/// Parses a message with the default limits.
pub fn parse(bytes: &[u8]) -> Result<Mail, MailError> {
    parse_within(bytes, &Limits::default())
}

/// Parses a message with these limits.
pub fn parse_within(bytes: &[u8], limits: &Limits) -> Result<Mail, MailError> {
    if bytes.len() > limits.max_bytes {
        return Err(MailError::TooLarge);
    }
    let (head, body) = Head::split(bytes.trim_ascii_start(), limits)?;
    if !head.is_of_a_mail() {
        return Err(MailError::NotAMail);
    }
    let content = parts::read(&head, body, limits)?;
    let signs = automatic::Signs::of(&head);
    let mut text = text::clean(&content.text);
    let text_cut = text.len() > limits.max_text_bytes;
    if text_cut {
        text.truncate(text.floor_char_boundary(limits.max_text_bytes));
    }
    let sender = head.sender();
    let (from_name, from_email) = match sender {
        Some(sender) => (sender.name, sender.email),
        None => (None, None),
    };
    let mut to = head.addresses(&HeaderName::To);
    to.extend(head.addresses(&HeaderName::Cc));
    let mut mail = Mail {
        message_id: head.first_ids(&HeaderName::MessageId, 1).pop(),
        in_reply_to: head.first_ids(&HeaderName::InReplyTo, 1).pop(),
        references: head.ids(&HeaderName::References),
        from_name,
        from_email,
        reply_to: head.addresses(&HeaderName::ReplyTo).into_iter().next(),
        to,
        delivered_to: head.delivered_to(),
        subject: head.text(&HeaderName::Subject),
        date_us: head.date_us(),
        text,
        text_cut,
        auto_submitted: head
            .keyword(&HeaderName::AutoSubmitted)
            .filter(|word| word != "no"),
        list_id: head.list_id(),
        list_unsubscribe: head.list_unsubscribe(),
        precedence: head.keyword(&HeaderName::Other("precedence".into())),
        null_return_path: head.has_null_return_path(),
        automatic: None,
        returned: Some(content.returned).filter(|r| signs.is_report() && !r.is_empty()),
        ours: head.is_ours(),
        attachments: content.attachments,
    };
    mail.automatic = signs.judge(&mail);
    Ok(mail)
}

/// The parsed header fields of a message or part.
struct Head<'a> {
    raw: &'a [u8],
    fields: Vec<Header<'a>>,
}

struct Sender {
    name: Option<String>,
    email: Option<String>,
}

impl<'a> Head<'a> {
    /// Separates and parses the header; the rest is the body.
    fn split(bytes: &'a [u8], limits: &Limits) -> Result<(Head<'a>, &'a [u8]), MailError> {
        // Counted before anything is parsed: short lines would cost many times their size.
        let (mut lines, mut size) = (0, 0);
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            if matches!(line, b"\n" | b"\r\n") {
                break;
            }
            lines += 1;
            size += line.len();
            if lines > limits.max_header_lines || size > limits.max_header_bytes {
                return Err(MailError::HeaderTooLarge);
            }
        }
        let mut fields = Vec::new();
        let mut stream = MessageStream::new(bytes);
        stream.parse_headers(&MessageParser::new(), &mut fields);
        let body = bytes.get(stream.offset()..).unwrap_or_default();
        Ok((Head { raw: bytes, fields }, body))
    }

    fn is_of_a_mail(&self) -> bool {
        self.fields.iter().any(|field| {
            matches!(
                field.name,
                HeaderName::From
                    | HeaderName::To
                    | HeaderName::Subject
                    | HeaderName::Date
                    | HeaderName::MessageId
                    | HeaderName::Received
                    | HeaderName::MimeVersion
            )
        })
    }

    fn all<'s>(&'s self, name: &'s HeaderName<'s>) -> impl Iterator<Item = &'s Header<'a>> {
        self.fields.iter().filter(move |field| match name {
            HeaderName::Other(wanted) => field.name.as_str().eq_ignore_ascii_case(wanted),
            _ => field.name == *name,
        })
    }

    /// The first field of this name. Where a name must come once, the first is what mail servers
    /// put on top and what most programs show.
    fn value<'s>(&'s self, name: &'s HeaderName<'s>) -> Option<&'s HeaderValue<'a>> {
        self.all(name).next().map(|field| &field.value)
    }

    fn text(&self, name: &HeaderName<'_>) -> Option<String> {
        clean_line(self.value(name)?.as_text()?)
    }

    /// The first word of a field, in lower case.
    fn keyword(&self, name: &HeaderName<'_>) -> Option<String> {
        let text = self.text(name)?.to_ascii_lowercase();
        let end = text.find(|c: char| c.is_whitespace() || c == ';' || c == '(');
        let word = &text[..end.unwrap_or(text.len())];
        (!word.is_empty()).then(|| word.to_owned())
    }

    fn ids(&self, name: &HeaderName<'_>) -> Vec<String> {
        self.first_ids(name, usize::MAX)
    }

    /// So many ids of a field at most, the first ones.
    fn first_ids(&self, name: &HeaderName<'_>, most: usize) -> Vec<String> {
        let listed = match self.value(name) {
            Some(HeaderValue::Text(one)) => vec![one.as_ref()],
            Some(HeaderValue::TextList(many)) => many.iter().map(AsRef::as_ref).collect(),
            _ => Vec::new(),
        };
        listed
            .into_iter()
            .filter_map(clean_line)
            .take(most)
            .collect()
    }

    fn addresses(&self, name: &HeaderName<'_>) -> Vec<String> {
        let listed = self.value(name).and_then(HeaderValue::as_address);
        listed
            .into_iter()
            .flat_map(|address| address.iter())
            .filter_map(|entry| clean_email(entry.address()?))
            .collect()
    }

    /// The first mailbox of the only `From` field. Several fields are how one program is made to
    /// check another sender than the next one shows, so then there is none.
    fn sender(&self) -> Option<Sender> {
        if self.all(&HeaderName::From).count() != 1 {
            return None;
        }
        let first = self.value(&HeaderName::From)?.as_address()?.first()?;
        Some(Sender {
            name: first.name().and_then(clean_line),
            email: first.address().and_then(clean_email),
        })
    }

    fn date_us(&self) -> Option<i64> {
        let date = self.value(&HeaderName::Date)?.as_datetime()?;
        date.is_valid()
            .then(|| date.to_timestamp().saturating_mul(1_000_000))
    }

    /// The whole field.
    fn list_unsubscribe(&self) -> Option<String> {
        let field = self.all(&HeaderName::ListUnsubscribe).next()?;
        clean_line(&self.raw_value(field)?)
    }

    /// The id between the angle brackets of `List-Id`, or the whole field.
    fn list_id(&self) -> Option<String> {
        let field = self.all(&HeaderName::ListId).next()?;
        let raw = self.raw_value(field)?;
        let inner = raw.rsplit_once('<').and_then(|(_, id)| id.split_once('>'));
        clean_line(inner.map_or(raw.as_str(), |(id, _)| id))
    }

    fn has_null_return_path(&self) -> bool {
        self.all(&HeaderName::ReturnPath)
            .filter_map(|field| self.raw_value(field))
            .any(|raw| raw.trim() == "<>")
    }

    fn delivered_to(&self) -> Vec<String> {
        let mut out: Vec<String> = Vec::new();
        for name in ["delivered-to", "x-original-to", "envelope-to"] {
            let name = HeaderName::Other(name.into());
            let raw = self.all(&name).filter_map(|field| self.raw_value(field));
            for address in raw.filter_map(|text| clean_email(text.trim().trim_matches(['<', '>'])))
            {
                if !out.contains(&address) && out.len() < MAX_DELIVERED_TO {
                    out.push(address);
                }
            }
        }
        out
    }

    /// Whether an effect of this product put its mark in: a header of its own, or a variable of the vendor's.
    fn is_ours(&self) -> bool {
        let text = |name: &'static str| self.text(&HeaderName::Other(name.into()));
        text("x-throughline-effect").is_some()
            || text("x-mailgun-variables").is_some_and(|v| v.contains("throughline_effect"))
    }

    fn raw_value(&self, field: &Header<'_>) -> Option<String> {
        let range = field.offset_start as usize..field.offset_end as usize;
        Some(String::from_utf8_lossy(self.raw.get(range)?).into_owned())
    }
}

/// One line of text: no control characters, blanks joined; nothing left is absent.
fn clean_line(text: &str) -> Option<String> {
    let spaced: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let line = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    (!line.is_empty()).then_some(line)
}

/// An address that has the shape of one: something, one @, something, no blanks.
fn clean_email(text: &str) -> Option<String> {
    let text = text.trim();
    let (local, domain) = text.rsplit_once('@')?;
    let plain = !text.chars().any(|c| c.is_control() || c.is_whitespace());
    (plain && !local.is_empty() && !domain.is_empty() && text.len() <= 320).then(|| text.to_owned())
}
