//! Received mail that a vendor posts as a form with the whole message in one field.

use super::clean_email;
use crate::content_type::ContentType;
use crate::form::{self, FormError};

/// Most fields of such a form; vendors send about fifteen.
const MAX_FIELDS: usize = 100;

/// A vendor that posts received mail.
#[derive(Debug, PartialEq, Eq)]
pub struct Poster {
    /// The vendor's word.
    pub vendor: &'static str,
    /// The field with the message.
    field: &'static str,
    /// What a person switches on at the vendor so that the field comes.
    pub switch: &'static str,
    /// The field with the addresses that the message was sent to, in SMTP.
    to: Addressees,
}

#[derive(Debug, PartialEq, Eq)]
enum Addressees {
    /// Addresses with commas.
    Listed(&'static str),
    /// JSON with a list `to`.
    Json(&'static str),
}

/// The vendors.
static POSTERS: &[Poster] = &[
    Poster {
        vendor: "mailgun",
        field: "body-mime",
        switch: "let the address of the route's forward() end with `mime`",
        to: Addressees::Listed("recipient"),
    },
    Poster {
        vendor: "sendgrid",
        field: "email",
        switch: "tick `POST the raw, full MIME message` at the Inbound Parse host",
        to: Addressees::Json("envelope"),
    },
];

/// A message out of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// The message.
    pub raw: Vec<u8>,
    /// To whom it was sent in SMTP.
    pub recipients: Vec<String>,
}

/// Why a form brings no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PostedError {
    /// It is no form.
    #[error("{0}")]
    Form(#[from] FormError),
    /// The message is not in it.
    #[error("the form has no field `{field}` with the whole message; {switch}")]
    NoMessage {
        /// The field.
        field: &'static str,
        /// What brings it.
        switch: &'static str,
    },
}

impl Poster {
    /// The vendor of a word, where it posts received mail.
    pub fn of(vendor: &str) -> Option<&'static Poster> {
        POSTERS.iter().find(|poster| poster.vendor == vendor)
    }

    /// The message in a form.
    pub fn read(&self, content_type: &ContentType, body: &[u8]) -> Result<Posted, PostedError> {
        let limits = form::Limits {
            max_fields: MAX_FIELDS,
            max_files: MAX_FIELDS,
            max_file_bytes: body.len(),
            values_are_bytes: true,
            ..form::Limits::default()
        };
        let form = form::parse(content_type, body, &limits)?;
        let raw = form.bytes(self.field).ok_or(PostedError::NoMessage {
            field: self.field,
            switch: self.switch,
        })?;
        Ok(Posted {
            raw: raw.to_vec(),
            recipients: self.to.read(&form),
        })
    }
}

impl Addressees {
    fn read(&self, form: &form::Form) -> Vec<String> {
        let (Addressees::Listed(name) | Addressees::Json(name)) = self;
        let text = form.bytes(name).map(String::from_utf8_lossy);
        let text = text.unwrap_or_default();
        match self {
            Addressees::Listed(_) => text.split(',').filter_map(clean_email).collect(),
            Addressees::Json(_) => {
                let json: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
                let to = json["to"].as_array().into_iter().flatten();
                to.filter_map(|a| clean_email(a.as_str()?)).collect()
            }
        }
    }
}
