//! Finds addresses, numbers, amounts and dates in text and gives each one's normal form, place and confidence.
//!
//! Every recogniser is a pure function, takes time proportional to the length of the text, and reports spans in bytes
//! of the text it was given, always on character boundaries, ascending and without overlap.

mod company;
mod currency;
mod date;
mod date_spoken;
mod date_words;
mod email;
mod lex;
mod money;
mod number;
mod phone;
mod quantity;
mod url;

use serde::{Deserialize, Serialize};

pub use company::companies;
pub use date::dates;
pub use email::emails;
pub use money::{Money, money};
pub use phone::phones;
pub use quantity::{Quantity, quantities};
pub use tl_kernel::contact::{normalise_email, normalise_phone};
pub use url::urls;

pub(crate) use company::has_legal_form;

/// A stretch of a text in bytes: `start` included, `end` not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// Byte after the last.
    pub end: usize,
}

/// Something recognised in a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Found<T> {
    /// Its normal form.
    pub value: T,
    /// Where it stands.
    pub span: Span,
    /// How sure the recogniser is, between 0 and 1: a fixed prior per form, to be calibrated by reviewed cases.
    pub confidence: f64,
}

/// What a reader of the text would know besides the text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// Country whose habits apply to numbers, dates and telephone numbers (ISO 3166 alpha-2), if known.
    pub country: Option<String>,
    /// The day the text was written: year, month, day. Relative dates count from it.
    pub today: (i16, i8, i8),
}

impl Context {
    /// The country code in upper case; empty when unknown.
    pub(crate) fn country_code(&self) -> String {
        self.country
            .as_deref()
            .unwrap_or("")
            .trim()
            .to_ascii_uppercase()
    }
}
