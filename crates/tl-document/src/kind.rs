//! What a document is: as it was declared, and whether its bytes agree.

use serde::{Deserialize, Serialize};

use crate::{Declared, Unread};

/// The kinds that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Portable Document Format.
    Pdf,
    /// The text documents of office programs: Office Open XML.
    Docx,
    /// A table as text.
    Csv,
    /// Plain text.
    Text,
}

const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
/// Types that say nothing of what is in it; the name of the file does.
const VAGUE: [&str; 5] = [
    "",
    "application/octet-stream",
    "application/x-octet-stream",
    "application/force-download",
    "binary/octet-stream",
];
/// How the files of old office programs begin, and those of new ones with a password.
const OLE: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";
/// The stream that holds what a password protects, as names are written there.
const ENCRYPTED_PACKAGE: &str = "EncryptedPackage";
/// A PDF may have something before its first line.
const PDF_WITHIN: usize = 1024;

impl Kind {
    /// The word for it in messages and explanations.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Pdf => "pdf",
            Kind::Docx => "docx",
            Kind::Csv => "csv",
            Kind::Text => "text",
        }
    }

    /// The kind that a declaration names; none where it is no document that is read.
    pub fn declared(media_type: &str, name: Option<&str>) -> Option<Kind> {
        let media_type = media_type.trim().to_ascii_lowercase();
        let extension = || {
            let (_, extension) = name?.rsplit_once('.')?;
            Some(extension.to_ascii_lowercase())
        };
        match media_type.as_str() {
            "application/pdf" | "application/x-pdf" => Some(Kind::Pdf),
            DOCX => Some(Kind::Docx),
            "text/csv" | "application/csv" | "text/tab-separated-values" => Some(Kind::Csv),
            // Many programs know no better type for a table.
            "text/plain" | "application/vnd.ms-excel" => match extension().as_deref() {
                Some("csv" | "tsv") => Some(Kind::Csv),
                _ if media_type == "text/plain" => Some(Kind::Text),
                _ => None,
            },
            vague if VAGUE.contains(&vague) => match extension()?.as_str() {
                "pdf" => Some(Kind::Pdf),
                "docx" => Some(Kind::Docx),
                "csv" | "tsv" => Some(Kind::Csv),
                "txt" => Some(Kind::Text),
                _ => None,
            },
            _ => None,
        }
    }
}

/// The kind of bytes that are what they are declared to be.
pub(crate) fn judged(bytes: &[u8], declared: &Declared) -> Result<Kind, Unread> {
    let not = || Unread::NotWhatItSays {
        declared: match declared.media_type.as_str() {
            "" => "nothing that is read".to_owned(),
            named => named.chars().take(100).collect(),
        },
    };
    let name = declared.name.as_deref();
    let kind = Kind::declared(&declared.media_type, name).ok_or_else(not)?;
    let head = &bytes[..bytes.len().min(PDF_WITHIN)];
    let is_pdf = head.windows(5).any(|w| w == b"%PDF-");
    let packed = bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06");
    let agrees = match kind {
        Kind::Pdf => is_pdf,
        Kind::Docx if bytes.starts_with(OLE) => match is_protected(bytes) {
            true => return Err(Unread::Encrypted),
            false => false,
        },
        Kind::Docx => packed,
        Kind::Csv | Kind::Text => {
            let binary = packed || bytes.starts_with(OLE) || bytes.starts_with(b"%PDF-");
            !binary && (!bytes.contains(&0) || has_wide_charset(bytes, declared))
        }
    };
    agrees.then_some(kind).ok_or_else(not)
}

fn is_protected(bytes: &[u8]) -> bool {
    let name: Vec<u8> = ENCRYPTED_PACKAGE
        .bytes()
        .flat_map(|letter| [letter, 0])
        .collect();
    bytes.windows(name.len()).any(|w| w == name)
}

/// Whether the letters of a text are wider than a byte, so that a zero is one half of one.
fn has_wide_charset(bytes: &[u8], declared: &Declared) -> bool {
    let named = declared.charset.as_deref().unwrap_or_default();
    let wide = named.to_ascii_lowercase().starts_with("utf-16");
    wide || bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff")
}
