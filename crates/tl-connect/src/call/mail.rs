//! A mail as its parts say it (RFC 5322, MIME). The same parts give the same bytes.

use lettre::message::header::{Date, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart, SinglePart};
use tl_kernel::value::Value;

use super::{CallError, Names};
use crate::smtp::Envelope;

/// The envelope, and the mail without the time at which it leaves. Its Message-ID is the effect's id at the sender's domain:
/// whoever answers it names the case.
pub(super) fn written(
    parts: Option<&Value>,
    names: &Names,
) -> Result<(Envelope, Vec<u8>), CallError> {
    let part = |name: &str| {
        let value = parts.and_then(|all| all.at(&[name]));
        value
            .map(|v| v.to_string())
            .filter(|t| !t.trim().is_empty())
    };
    let mailbox = |name: &str| {
        let text = part(name).ok_or_else(|| CallError::Mail(format!("`{name}` is empty")))?;
        let parsed = text.parse::<Mailbox>();
        parsed.map_err(|_| CallError::Mail(format!("`{name}` is not one address")))
    };
    let (from, to) = (mailbox("from")?, mailbox("to")?);
    let envelope = Envelope {
        from: from.email.to_string(),
        to: to.email.to_string(),
    };
    let effect = effect(names)?;
    let id = format!("{effect}@{}", from.email.domain());
    let mut mail = Message::builder()
        .from(from)
        .to(to)
        .subject(line(&part("subject").unwrap_or_default()))
        .message_id(Some(format!("<{id}>")))
        // Nobody's holiday notice answers it (RFC 3834).
        .raw_header(own("Auto-Submitted", "auto-generated"))
        .raw_header(own("X-Throughline-Effect", &effect));
    if part("reply_to").is_some() {
        mail = mail.reply_to(mailbox("reply_to")?);
    }
    if let Some(id) = part("in_reply_to") {
        let id = line(&id);
        let id = format!(
            "<{}>",
            id.trim().trim_start_matches('<').trim_end_matches('>')
        );
        mail = mail.in_reply_to(id.clone()).references(id);
    }
    let text = SinglePart::plain(lines(&part("text").unwrap_or_default()));
    let done = match part("html") {
        None => mail.singlepart(text),
        Some(html) => {
            // A boundary of chance would make another mail of each attempt.
            let both = MultiPart::alternative().boundary(format!("part-{effect}"));
            mail.multipart(
                both.singlepart(text)
                    .singlepart(SinglePart::html(lines(&html))),
            )
        }
    };
    let mut mail = done.map_err(|e| CallError::Mail(e.to_string()))?;
    mail.headers_mut().remove::<Date>();
    Ok((envelope, mail.formatted()))
}

fn effect(names: &Names) -> Result<String, CallError> {
    let effect = names.get("effect").map(|(value, _)| value);
    let id = effect.and_then(|e| e.at(&["id"])?.as_text().map(str::to_owned));
    id.ok_or_else(|| CallError::Mail("it belongs to no effect".into()))
}

fn own(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

/// Lines end in one way: what one server takes for the end of a line and another does not can hide the end of a mail.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// One line: a header ends where its line does.
fn line(text: &str) -> String {
    let lines = text.split(char::is_control).filter(|l| !l.is_empty());
    lines.collect::<Vec<_>>().join(" ")
}
