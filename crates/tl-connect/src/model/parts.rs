//! Reads fields from a message by rule: what its author newly wrote, the signature, the envelope.

use std::ops::Range;

use tl_kernel::time;
use tl_learn::mail_text::zones;
use tl_learn::recognise::{
    Context, Found, companies, dates, emails, money, phones, quantities, urls,
};
use tl_learn::signature::{SignatureFields, signature_fields};

use super::{ExtractedField, FieldSpec, ModelRequest};

/// How sure a value of the message's envelope is.
const FROM_ENVELOPE: f64 = 0.95;
/// How sure a named value of an enum is that occurs in the text as a word.
const ENUM_WORD: f64 = 0.6;

/// The message with its parts found.
pub(super) struct Parts<'r> {
    text: &'r str,
    newest: Range<usize>,
    signature: SignatureFields,
    signature_at: usize,
    context: Context,
}

/// A value with its place in the message.
struct At {
    value: String,
    span: Option<(usize, usize)>,
    confidence: f64,
}

impl<'r> Parts<'r> {
    pub(super) fn new(request: &'r ModelRequest) -> Parts<'r> {
        let text = request.text.as_str();
        let found = zones(text);
        let context = Context {
            country: request.country.clone(),
            today: day_of(request.now),
        };
        let newest = match (&found.forwarded, found.newest.is_empty()) {
            (Some(forwarded), true) => forwarded.body.clone(),
            (None, true) => 0..text.len(),
            _ => found.newest.clone(),
        };
        let at = found.signature.clone().unwrap_or(0..0);
        Parts {
            signature: signature_fields(&text[at.clone()], &context),
            signature_at: at.start,
            text,
            newest,
            context,
        }
    }

    /// What the author newly wrote.
    pub(super) fn newest(&self) -> &'r str {
        &self.text[self.newest.clone()]
    }

    pub(super) fn field(&self, spec: &FieldSpec, request: &ModelRequest) -> Option<ExtractedField> {
        let found = self.find(spec, request)?;
        let span = found
            .span
            .and_then(|(a, b)| Some((u32::try_from(a).ok()?, u32::try_from(b).ok()?)));
        Some(ExtractedField {
            name: spec.name.clone(),
            value: found.value,
            span,
            confidence: found.confidence,
        })
    }

    /// By type where the type says it, else by what the field's name says.
    fn find(&self, spec: &FieldSpec, request: &ModelRequest) -> Option<At> {
        let name = spec.name.to_ascii_lowercase();
        let is = |words: &[&str]| words.iter().any(|w| name.contains(w));
        match spec.kind.as_str() {
            "email" => self.email(request),
            "phone" => self
                .signed(self.signature.phone.as_ref())
                .or_else(|| self.first(phones(self.newest(), &self.context))),
            "url" => self
                .first(urls(self.newest()))
                .or_else(|| self.signed(self.signature.url.as_ref())),
            "time" => self
                .first(dates(self.newest(), &self.context))
                .map(|at| At {
                    value: format!("{}T00:00:00Z", at.value),
                    ..at
                }),
            "decimal" | "float" => self.amount().or_else(|| self.quantity(&name, false)),
            "int" => self.quantity(&name, true),
            "string"
                if is(&[
                    "company",
                    "organisation",
                    "organization",
                    "firm",
                    "employer",
                ]) =>
            {
                self.company()
            }
            "string" if is(&["email", "mail_address"]) => self.email(request),
            "string" if is(&["phone", "mobile"]) => self.signed(self.signature.phone.as_ref()),
            "string" if is(&["currency"]) => self.currency(),
            "string" if is(&["title", "role", "position"]) => {
                self.signed(self.signature.title.as_ref())
            }
            "string"
                if is(&["contact", "person"]) || ["name", "full_name"].contains(&name.as_str()) =>
            {
                self.person(request)
            }
            kind => self.enum_word(kind),
        }
    }

    fn email(&self, request: &ModelRequest) -> Option<At> {
        let envelope = request.sender.email.as_ref().map(|email| At {
            value: email.clone(),
            span: None,
            confidence: FROM_ENVELOPE,
        });
        self.first(emails(self.newest()))
            .or_else(|| self.signed(self.signature.email.as_ref()))
            .or(envelope)
    }

    fn person(&self, request: &ModelRequest) -> Option<At> {
        let envelope = request
            .sender
            .name
            .as_ref()
            .filter(|n| n.contains(' '))
            .map(|name| At {
                value: name.clone(),
                span: None,
                confidence: FROM_ENVELOPE,
            });
        self.signed(self.signature.name.as_ref()).or(envelope)
    }

    fn company(&self) -> Option<At> {
        // A company known only by its mail domain comes last: the text may name it.
        let sure = self
            .signature
            .company
            .as_ref()
            .filter(|f| f.confidence > 0.5);
        self.signed(sure)
            .or_else(|| self.first(companies(self.newest())))
            .or_else(|| self.signed(self.signature.company.as_ref()))
    }

    fn amount(&self) -> Option<At> {
        let found = money(self.newest(), &self.context).into_iter().next()?;
        Some(self.placed(found, |m| m.amount.to_string(), self.newest.start))
    }

    fn currency(&self) -> Option<At> {
        let found = money(self.newest(), &self.context).into_iter().next()?;
        Some(self.placed(found, |m| m.currency, self.newest.start))
    }

    /// The quantity whose unit the field's name contains; the only one there is, with half the confidence.
    fn quantity(&self, name: &str, whole: bool) -> Option<At> {
        let mut all = quantities(self.newest(), &self.context);
        all.retain(|q| !whole || q.value.amount.is_integer());
        let named = all.iter().position(|q| {
            let stem = q.value.unit.trim_end_matches('s');
            stem.len() > 1 && name.contains(stem)
        });
        let mut found = match (named, all.len()) {
            (Some(at), _) => all.swap_remove(at),
            (None, 1) => all.swap_remove(0),
            _ => return None,
        };
        if named.is_none() {
            found.confidence /= 2.0;
        }
        Some(self.placed(
            found,
            |q| q.amount.normalize().to_string(),
            self.newest.start,
        ))
    }

    fn enum_word(&self, kind: &str) -> Option<At> {
        let values = kind.strip_prefix("enum(")?.strip_suffix(')')?.split(", ");
        let text = self.newest();
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        values
            .filter_map(|value| {
                // ASCII only changes no byte positions.
                let at = text
                    .to_ascii_lowercase()
                    .find(&value.to_ascii_lowercase())?;
                let end = at + value.len();
                let alone = !text[..at].ends_with(is_word) && !text[end..].starts_with(is_word);
                alone.then(|| At {
                    value: value.to_owned(),
                    span: Some((self.newest.start + at, self.newest.start + end)),
                    confidence: ENUM_WORD,
                })
            })
            .min_by_key(|at| at.span)
    }

    fn first<T: ToString>(&self, found: Vec<Found<T>>) -> Option<At> {
        let found = found.into_iter().next()?;
        Some(self.placed(found, |v| v.to_string(), self.newest.start))
    }

    fn signed(&self, found: Option<&Found<String>>) -> Option<At> {
        Some(self.placed(found?.clone(), |v| v, self.signature_at))
    }

    fn placed<T>(&self, found: Found<T>, text: impl Fn(T) -> String, offset: usize) -> At {
        At {
            value: text(found.value),
            span: Some((offset + found.span.start, offset + found.span.end)),
            confidence: found.confidence,
        }
    }
}

/// The day of an instant in UTC.
fn day_of(now: i64) -> (i16, i8, i8) {
    let text = time::rfc3339(now);
    let part = |from: usize, to: usize| {
        text.get(from..to)
            .and_then(|t| t.parse::<i16>().ok())
            .unwrap_or(0)
    };
    (part(0, 4), part(5, 7) as i8, part(8, 10) as i8)
}

#[cfg(test)]
mod tests {
    use super::day_of;

    #[test]
    fn the_day_is_the_day_in_utc() {
        assert_eq!(day_of(0), (1970, 1, 1));
        assert_eq!(day_of(1_795_348_803_000_000), (2026, 11, 22));
    }
}
