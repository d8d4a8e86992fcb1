//! A text message as a messaging provider posts it: form fields with fixed names.

/// Most characters of one message, as providers document it.
const MAX_BODY_CHARS: usize = 1600;
/// Most media attachments of one message.
const MAX_MEDIA: usize = 10;

/// One inbound text message, or a status report on one that we sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sms {
    /// Provider's id of the message: `SM` or `MM` and 32 hexadecimal digits.
    pub message_sid: String,
    pub from: Party,
    pub to: Party,
    /// The text; empty for a pure status report or a picture without words.
    pub body: String,
    /// `received`, `delivered`, `failed` …, where the provider says it.
    pub status: Option<String>,
    /// Where the attached media can be read; addresses from outside, never fetched unchecked.
    pub media_urls: Vec<String>,
}

/// One end of a text message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Party {
    /// `+` and 7 to 15 digits.
    Phone(String),
    /// 3 to 8 digits, as companies use.
    ShortCode(String),
    /// A sender name of up to 11 letters, digits and blanks; cannot be answered.
    Name(String),
}

impl Party {
    /// The number or name as text.
    pub fn as_str(&self) -> &str {
        match self {
            Party::Phone(text) | Party::ShortCode(text) | Party::Name(text) => text,
        }
    }

    /// Reads one end as providers write it.
    pub fn parse(text: &str) -> Option<Party> {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if let Some(number) = text.strip_prefix('+') {
            let valid = digits(number) && (7..=15).contains(&number.len());
            let plain = valid && !number.starts_with('0');
            return plain.then(|| Party::Phone(text.to_owned()));
        }
        if digits(text) {
            return (3..=8)
                .contains(&text.len())
                .then(|| Party::ShortCode(text.to_owned()));
        }
        let named = (1..=11).contains(&text.len())
            && text.trim() == text
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b' ');
        named.then(|| Party::Name(text.to_owned()))
    }
}

/// Why fields make no text message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SmsError {
    #[error("field {0} is missing")]
    Missing(&'static str),
    #[error("field {0} is given more than once")]
    Duplicate(&'static str),
    #[error("field {0} is malformed")]
    Malformed(&'static str),
    #[error("the text is longer than {MAX_BODY_CHARS} characters")]
    TooLong,
}

impl Sms {
    /// Reads a message from the fields of a parsed form. Fields that we do not know are passed
    /// over: providers add new ones without notice.
    pub fn from_fields(fields: &[(String, String)]) -> Result<Sms, SmsError> {
        let party = |name| Party::parse(required(fields, name)?).ok_or(SmsError::Malformed(name));
        let message_sid = required(fields, "MessageSid")?;
        if !is_sid(message_sid) {
            return Err(SmsError::Malformed("MessageSid"));
        }
        let body = optional(fields, "Body")?.unwrap_or_default();
        if body.chars().count() > MAX_BODY_CHARS {
            return Err(SmsError::TooLong);
        }
        let status = match optional(fields, "SmsStatus")? {
            Some(status) => Some(status),
            None => optional(fields, "MessageStatus")?,
        };
        if status.is_some_and(|s| s.is_empty() || !s.bytes().all(is_status_byte)) {
            return Err(SmsError::Malformed("SmsStatus"));
        }
        Ok(Sms {
            message_sid: message_sid.to_owned(),
            from: party("From")?,
            to: party("To")?,
            body: body.to_owned(),
            status: status.map(str::to_owned),
            media_urls: media(fields)?,
        })
    }

    /// What makes two deliveries the same one: the message and the status it reports.
    pub fn delivery_key(&self) -> String {
        match &self.status {
            Some(status) => format!("{}:{status}", self.message_sid),
            None => self.message_sid.clone(),
        }
    }
}

fn is_status_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

fn is_sid(text: &str) -> bool {
    let digits = text.strip_prefix("SM").or_else(|| text.strip_prefix("MM"));
    digits.is_some_and(|d| d.len() == 32 && d.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn optional<'a>(
    fields: &'a [(String, String)],
    name: &'static str,
) -> Result<Option<&'a str>, SmsError> {
    let mut found = fields.iter().filter(|(given, _)| given == name);
    let first = found.next().map(|(_, value)| value.as_str());
    if found.next().is_some() {
        return Err(SmsError::Duplicate(name));
    }
    Ok(first)
}

fn required<'a>(fields: &'a [(String, String)], name: &'static str) -> Result<&'a str, SmsError> {
    optional(fields, name)?.ok_or(SmsError::Missing(name))
}

fn media(fields: &[(String, String)]) -> Result<Vec<String>, SmsError> {
    let count: usize = match optional(fields, "NumMedia")? {
        None => 0,
        Some(text) => text.parse().map_err(|_| SmsError::Malformed("NumMedia"))?,
    };
    if count > MAX_MEDIA {
        return Err(SmsError::Malformed("NumMedia"));
    }
    (0..count)
        .map(|index| {
            let wanted = format!("MediaUrl{index}");
            fields
                .iter()
                .find(|(name, _)| *name == wanted)
                .map(|(_, value)| value.clone())
                .ok_or(SmsError::Missing("MediaUrl"))
        })
        .collect()
}
