//! The text of documents, page by page: PDF, DOCX, CSV and plain text.
//!
//! Everything here is a function of the bytes. The libraries below read files that anybody may have made, so a caller
//! with something to lose runs [`read`] in a process of its own whose memory and time the system bounds; what is bounded
//! here is what the bytes themselves can be asked for: their number, the pages, what they unpack to, and the text.

mod csv_text;
mod docx;
mod kind;
mod layout;
mod pages;
mod pdf;
mod plain;

pub use kind::Kind;
pub use pages::{PAGE_BREAK, Place, place};

use serde::{Deserialize, Serialize};

/// What a document may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the document.
    pub max_bytes: usize,
    /// Its pages.
    pub max_pages: usize,
    /// Bytes that the parts of it that are read unpack to.
    pub max_unpacked: usize,
    /// Bytes of its text; the rest is cut off.
    pub max_text: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_bytes: 20 * 1024 * 1024,
            max_pages: 200,
            max_unpacked: 64 * 1024 * 1024,
            // What one field of a record takes.
            max_text: 256 * 1024,
        }
    }
}

/// How a document was declared by whoever sent it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declared {
    /// `type/subtype` in lower case.
    pub media_type: String,
    /// The charset of a text, where one was named.
    #[serde(default)]
    pub charset: Option<String>,
    /// File name.
    #[serde(default)]
    pub name: Option<String>,
}

/// A document that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// What it is.
    pub kind: Kind,
    /// The text of each page, in order; a page without text is empty.
    pub pages: Vec<String>,
    /// The text was longer than the limit.
    pub cut: bool,
}

impl Document {
    /// The text of all pages, with [`PAGE_BREAK`] on a line of its own between them, so that an offset in it names a page.
    pub fn text(&self) -> String {
        self.pages.join(pages::BETWEEN)
    }
}

/// Why a document has no text for us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Unread {
    #[error("it is declared as {declared}, and its bytes are something else")]
    NotWhatItSays {
        /// What it was to be.
        declared: String,
    },
    #[error("it is encrypted, and nobody gave a password")]
    Encrypted,
    #[error("it has no text in it: a scan, or a picture")]
    NoText,
    #[error("it has {pages} pages; at most {most} are read")]
    TooManyPages {
        /// As many as it has.
        pages: usize,
        /// As many as are read.
        most: usize,
    },
    #[error("it is larger than {most} bytes, packed or unpacked")]
    TooLarge {
        /// As many as are read.
        most: usize,
    },
    #[error("it is broken: {what}")]
    Broken {
        /// What could not be read.
        what: String,
    },
    #[error("reading it took longer than {seconds} seconds")]
    TooSlow {
        /// The time that it had.
        seconds: u64,
    },
    #[error("reading it took more memory than it may, or brought the reader down")]
    ReaderDied,
    #[error("it was not read: {why}")]
    NotTried {
        /// What stood in the way.
        why: String,
    },
}

impl Unread {
    /// The code under which the documentation explains it.
    pub fn code(&self) -> &'static str {
        match self {
            Unread::NotWhatItSays { .. } => "TL1101",
            Unread::Encrypted => "TL1102",
            Unread::NoText => "TL1103",
            Unread::TooManyPages { .. } => "TL1104",
            Unread::TooLarge { .. } => "TL1105",
            Unread::Broken { .. } => "TL1106",
            Unread::TooSlow { .. } => "TL1107",
            Unread::ReaderDied => "TL1108",
            Unread::NotTried { .. } => "TL1109",
        }
    }

    fn broken(what: impl std::fmt::Display) -> Unread {
        let what = what.to_string();
        Unread::Broken {
            what: what.chars().take(200).collect(),
        }
    }
}

/// Reads a document.
pub fn read(bytes: &[u8], declared: &Declared, limits: &Limits) -> Result<Document, Unread> {
    let most = limits.max_bytes;
    if bytes.len() > most {
        return Err(Unread::TooLarge { most });
    }
    let kind = kind::judged(bytes, declared)?;
    let pages = match kind {
        Kind::Pdf => pdf::read(bytes, limits)?,
        Kind::Docx => docx::read(bytes, limits)?,
        Kind::Csv => vec![csv_text::read(bytes, declared.charset.as_deref())?],
        Kind::Text => plain::read(bytes, declared.charset.as_deref()),
    };
    pages::document(kind, pages, limits)
}
