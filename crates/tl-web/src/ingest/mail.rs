//! Step 7 for a mail: the parts that conditions read, what it answers, and whether a program sent it by itself.

use std::collections::BTreeMap;

use tl_kernel::id::{CaseId, EffectId};
use tl_kernel::limits::MAX_LISTED_KEYS;
use tl_kernel::program::Endpoint;
use tl_kernel::value::Value;
use tl_learn::mail_text::{Forwarded, zones_from};
use tl_wire::content_type::ContentType;
use tl_wire::mail::{self, Automatic, Limits, Mail, Poster};

use super::parse::size;
use super::{Message, documents};
use crate::limits::{THREAD_FIRST, THREAD_LAST};
use crate::problem::{MALFORMED, Problem};

/// The word for a mail of our own that came back.
pub(crate) const LOOP: &str = "loop";

/// The vendor that posts received mail to this door as a form, if it is one of those.
pub(crate) fn poster(endpoint: &Endpoint) -> Option<&'static Poster> {
    let named = endpoint.auth.iter().find_map(|auth| auth.preset())?;
    Poster::of(named.word)
}

/// Reads a mail, or the form in which a vendor brings one.
pub(crate) fn from_mail(
    endpoint: &Endpoint,
    content_type: &ContentType,
    raw: &[u8],
) -> Result<Message, Problem> {
    let form = content_type.is_urlencoded() || content_type.is_multipart_form();
    let (posted, delivered_to);
    let raw = match poster(endpoint).filter(|_| form) {
        Some(poster) => {
            posted = poster.read(content_type, raw).map_err(|e| {
                let vendor = poster.vendor;
                Problem::new(
                    MALFORMED,
                    format!("The form of {vendor} brings no mail: {e}."),
                )
            })?;
            delivered_to = posted.recipients;
            posted.raw.as_slice()
        }
        None => {
            delivered_to = Vec::new();
            raw
        }
    };
    let limits = Limits {
        max_bytes: usize::try_from(endpoint.max_body).unwrap_or(usize::MAX),
        ..Limits::default()
    };
    let mut mail = mail::parse_within(raw, &limits)
        .map_err(|e| Problem::new(MALFORMED, format!("The body is no mail we take: {e}.")))?;
    mail.delivered_to.extend(delivered_to);
    Ok(message(mail))
}

fn message(mut mail: Mail) -> Message {
    let documents = documents::of_mail(&mut mail.attachments);
    let zones = zones_from(&mail.text, mail.from_name.as_deref().unwrap_or(""));
    // What the sender wrote: the newest text, and with the signature below it; quoted and forwarded parts are not.
    let end = zones
        .signature
        .map_or(zones.newest.end, |s| s.end.max(zones.newest.end));
    let own = mail.text.get(zones.newest.start..end).unwrap_or(&mail.text);
    let newest = mail.text.get(zones.newest).unwrap_or(&mail.text);
    let mut parts = BTreeMap::from([
        ("text".to_owned(), Value::text(newest)),
        ("own_text".to_owned(), Value::text(own)),
        ("thread".to_owned(), texts(&thread(&mail))),
    ]);
    let named = [
        ("from", &mail.from_email),
        ("from_name", &mail.from_name),
        ("subject", &mail.subject),
        ("message_id", &mail.message_id),
        ("external_id", &mail.message_id),
    ];
    for (name, value) in named {
        if let Some(value) = value {
            parts.insert(name.to_owned(), Value::text(value));
        }
    }
    if let Some(forwarded) = &zones.forwarded {
        forwarded_parts(&mail, forwarded, &mut parts);
    }
    if let Some(word) = automatic(&mail) {
        parts.insert("automatic".to_owned(), Value::text(word));
    }
    Message {
        body: mail_body(&mail),
        parts,
        headers: own_headers(&mail),
        signed_id: None,
        pointer: mail.message_id,
        consent: None,
        documents,
        is_document: false,
        content_type: String::new(),
        payload: Vec::new(),
    }
}

/// Headers of the mail that conditions often ask for.
fn own_headers(mail: &Mail) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::new();
    let own = [
        ("auto-submitted", &mail.auto_submitted),
        ("precedence", &mail.precedence),
        ("list-id", &mail.list_id),
        ("list-unsubscribe", &mail.list_unsubscribe),
    ];
    for (name, value) in own {
        if let Some(value) = value {
            headers.insert(name.to_owned(), value.clone());
        }
    }
    if mail.null_return_path {
        headers.insert("return-path".to_owned(), "<>".to_owned());
    }
    headers
}

/// Who wrote the mail that was passed on, and what.
fn forwarded_parts(mail: &Mail, forwarded: &Forwarded, parts: &mut BTreeMap<String, Value>) {
    let text = mail.text.get(forwarded.body.clone()).map(str::to_owned);
    let named = [
        ("forwarded_from", &forwarded.from_email),
        ("forwarded_name", &forwarded.from_name),
        ("forwarded_text", &text),
    ];
    for (name, value) in named {
        if let Some(value) = value {
            parts.insert(name.to_owned(), Value::text(value));
        }
    }
}

/// Whether a program sent it by itself, in a word.
fn automatic(mail: &Mail) -> Option<&'static str> {
    if mail.ours || is_from_its_own_address(mail) {
        return Some(LOOP);
    }
    mail.automatic.map(Automatic::word)
}

/// A mail from the address that it was delivered to. People who write to many at once put their own address into `To`,
/// so that one counts only where no server has said for whom it took the mail.
fn is_from_its_own_address(mail: &Mail) -> bool {
    let Some(from) = mail.from_email.as_deref().map(without_tag) else {
        return false;
    };
    mail.delivered_to.iter().any(|to| without_tag(to) == from)
}

/// An address in lower case, without what stands behind a `+` before the `@`.
fn without_tag(address: &str) -> String {
    let lower = address.to_lowercase();
    let parts = lower.rsplit_once('@').map(|(local, domain)| {
        let local = local.split('+').next().unwrap_or_default();
        format!("{local}@{domain}")
    });
    parts.unwrap_or(lower)
}

/// By what an answer to this mail, or a mail that it answers, is known: cases that an address or an id names, its own
/// Message-ID, and those that it refers to. Of a long list the first ones and the last; of all of it as many as a case
/// can be found by.
fn thread(mail: &Mail) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut add = |text: String| {
        if out.len() < MAX_LISTED_KEYS && !text.is_empty() && !out.contains(&text) {
            out.push(text);
        }
    };
    let addresses = mail.to.iter().chain(&mail.delivered_to);
    addresses
        .filter_map(|a| case_of_address(a))
        .for_each(&mut add);
    let returned = mail.returned.iter().flat_map(|r| &r.ids);
    let named = mail.in_reply_to.iter().chain(returned.clone());
    let far = mail.references.len().saturating_sub(THREAD_LAST);
    let references = mail.references.iter().enumerate();
    let references = references.filter(|(i, _)| *i < THREAD_FIRST || *i >= far);
    let references: Vec<&String> = references.map(|(_, id)| id).collect();
    let all = || references.iter().copied().chain(named.clone());
    all().filter_map(|id| case_of_id(id)).for_each(&mut add);
    let own = mail.message_id.iter();
    own.chain(all()).for_each(|id| add(id.trim().to_owned()));
    out
}

/// The case that a plus-address names: `support+case_…@example.com`.
fn case_of_address(address: &str) -> Option<String> {
    let local = address.rsplit_once('@')?.0;
    let (_, tag) = local.split_once('+')?;
    case(tag)
}

/// The case that a Message-ID begins with: `case_….1@example.com`; or that of the effect which we sent as this mail:
/// `eff_…-1@example.com`.
fn case_of_id(id: &str) -> Option<String> {
    let local = id.split('@').next()?.split('.').next()?;
    let sent = || local.to_ascii_lowercase().parse::<EffectId>().ok();
    case(local).or_else(|| sent().map(|effect| effect.case.to_string()))
}

/// Mail systems may write an address in capital letters.
fn case(text: &str) -> Option<String> {
    let id: CaseId = text.to_ascii_lowercase().parse().ok()?;
    Some(id.to_string())
}

fn texts(list: &[String]) -> Value {
    Value::List(list.iter().map(Value::text).collect())
}

fn mail_body(mail: &Mail) -> Value {
    let attachments = mail.attachments.iter().map(|a| {
        let mut described = BTreeMap::from([
            ("media_type".to_owned(), Value::text(&a.media_type)),
            ("size".to_owned(), size(a.size)),
            ("digest".to_owned(), Value::text(&a.digest)),
        ]);
        if let Some(name) = &a.name {
            described.insert("name".to_owned(), Value::text(name));
        }
        Value::Record(described)
    });
    let mut body = BTreeMap::from([
        ("to".to_owned(), texts(&mail.to)),
        ("delivered_to".to_owned(), texts(&mail.delivered_to)),
        ("references".to_owned(), texts(&mail.references)),
        ("attachments".to_owned(), Value::List(attachments.collect())),
        ("text".to_owned(), Value::text(&mail.text)),
        ("text_cut".to_owned(), Value::Bool(mail.text_cut)),
    ]);
    let named = [
        ("subject", &mail.subject),
        ("in_reply_to", &mail.in_reply_to),
        ("reply_to", &mail.reply_to),
    ];
    for (name, value) in named {
        if let Some(value) = value {
            body.insert(name.to_owned(), Value::text(value));
        }
    }
    if let Some(returned) = &mail.returned {
        let named = [
            ("recipient", &returned.recipient),
            ("action", &returned.action),
            ("status", &returned.status),
        ];
        let said = named
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), Value::text(value.as_ref()?))));
        body.insert("returned".to_owned(), Value::Record(said.collect()));
    }
    if let Some(us) = mail.date_us {
        body.insert("date".to_owned(), Value::Time(us));
    }
    Value::Record(body)
}
