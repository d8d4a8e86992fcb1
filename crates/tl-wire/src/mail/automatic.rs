//! Mail that no person wrote: answers of absence, bounces, notices (RFC 3834, RFC 3464).

use mail_parser::{HeaderName, HeaderValue};

use super::{Head, Mail, clean_email, clean_line};

/// By what a program gave itself away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Automatic {
    /// A notice that a mail did not arrive, or arrived late.
    Bounce,
    /// An answer that a program gave by itself.
    AutoReply,
    /// A mail that a program sent, and no answer.
    Generated,
    /// A mailing list or a mass mail.
    List,
}

impl Automatic {
    /// As conditions read it.
    pub fn word(self) -> &'static str {
        match self {
            Automatic::Bounce => "bounce",
            Automatic::AutoReply => "auto_reply",
            Automatic::Generated => "generated",
            Automatic::List => "list",
        }
    }
}

/// What a delivery report says of the mail that it is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Returned {
    /// For whom it was.
    pub recipient: Option<String>,
    /// `failed`, `delayed`, `delivered` …
    pub action: Option<String>,
    /// Three numbers such as `5.1.1`.
    pub status: Option<String>,
    /// Its Message-ID and those it refers to: the first 24.
    pub ids: Vec<String>,
}

/// Ids of mails that came back which are kept, the first ones: a report is about one mail, and a sender may write
/// hundreds of thousands.
const MAX_RETURNED_IDS: usize = 24;
/// Headers that programs which answer by themselves put in, without a standard.
const ANSWERERS: &[&str] = &["x-autoreply", "x-autorespond", "x-autoresponder"];
/// From whom mail servers send their notices.
const SERVERS: &[&str] = &["mailer-daemon", "postmaster"];

/// What of this is read from the head of a message, beside what `Mail` has anyway.
#[derive(Debug, Clone, Default)]
pub(super) struct Signs {
    report: Option<String>,
    answerer: bool,
    failed_recipients: bool,
}

impl Signs {
    pub(super) fn of(head: &Head<'_>) -> Signs {
        let other = |name: &'static str| head.text(&HeaderName::Other(name.into()));
        let set = |name: &&'static str| other(name).is_some_and(|v| !v.eq_ignore_ascii_case("no"));
        Signs {
            report: report_type(head),
            answerer: ANSWERERS.iter().any(set),
            failed_recipients: other("x-failed-recipients").is_some(),
        }
    }

    /// Whether it reports on another mail.
    pub(super) fn is_report(&self) -> bool {
        self.report.is_some()
    }

    /// What kind of automatic mail it is, if it is one.
    pub(super) fn judge(&self, mail: &Mail) -> Option<Automatic> {
        let submitted = mail.auto_submitted.as_deref();
        let bulk = mail.precedence.as_deref();
        let replied = submitted.is_some_and(|word| word.starts_with("auto-replied"));
        let from = mail.from_email.as_deref().unwrap_or_default();
        let local = from.split('@').next().unwrap_or_default();
        let server = SERVERS.iter().any(|s| local.eq_ignore_ascii_case(s));
        let notice = self.report.as_deref() == Some("disposition-notification");
        if self.report.as_deref() == Some("delivery-status")
            || self.failed_recipients
            || (server && (mail.null_return_path || submitted.is_some()))
        {
            return Some(Automatic::Bounce);
        }
        if replied || notice || self.answerer || bulk == Some("auto_reply") {
            return Some(Automatic::AutoReply);
        }
        if submitted.is_some() {
            // Some servers call their notes of absence generated; what answers a mail is an answer.
            let answers = mail.in_reply_to.is_some();
            return Some(match answers {
                true => Automatic::AutoReply,
                false => Automatic::Generated,
            });
        }
        if mail.null_return_path {
            return Some(Automatic::Bounce);
        }
        let listed = mail.list_id.is_some() || matches!(bulk, Some("bulk" | "junk" | "list"));
        listed.then_some(Automatic::List)
    }
}

/// The kind of a `multipart/report`.
fn report_type(head: &Head<'_>) -> Option<String> {
    let Some(HeaderValue::ContentType(kind)) = head.value(&HeaderName::ContentType) else {
        return None;
    };
    let report = kind.ctype().eq_ignore_ascii_case("multipart")
        && kind
            .subtype()
            .is_some_and(|s| s.eq_ignore_ascii_case("report"));
    let of = kind.attribute("report-type").unwrap_or_default();
    report.then(|| of.to_ascii_lowercase())
}

impl Returned {
    /// Takes over what the status part of a report says.
    pub(super) fn of_status(&mut self, content: &[u8]) {
        let text = String::from_utf8_lossy(content);
        for (name, value) in text.lines().filter_map(|line| line.split_once(':')) {
            let value = clean_line(value);
            // `rfc822; somebody@example.com`
            let typed = value.as_deref().and_then(|v| v.split_once(';'));
            match name.trim().to_ascii_lowercase().as_str() {
                "final-recipient" if self.recipient.is_none() => {
                    self.recipient = typed.and_then(|(_, address)| clean_email(address));
                }
                "action" if self.action.is_none() => {
                    self.action = value.map(|v| v.to_ascii_lowercase());
                }
                "status" if self.status.is_none() => self.status = value,
                _ => {}
            }
        }
    }

    /// Takes over how the mail that came back is named.
    pub(super) fn of_mail(&mut self, head: &Head<'_>) {
        for name in [
            HeaderName::MessageId,
            HeaderName::InReplyTo,
            HeaderName::References,
        ] {
            let room = MAX_RETURNED_IDS.saturating_sub(self.ids.len());
            self.ids.extend(head.first_ids(&name, room));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Returned::default()
    }

    pub(super) fn merge(&mut self, other: Returned) {
        self.recipient = self.recipient.take().or(other.recipient);
        self.action = self.action.take().or(other.action);
        self.status = self.status.take().or(other.status);
        self.ids.extend(other.ids);
        self.ids.truncate(MAX_RETURNED_IDS);
    }
}
