//! Pages one after the other, and the way back from an offset to its page.

use crate::{Document, Kind, Limits, Unread};

/// Stands between two pages of a text, and nowhere else in it: form feed.
pub const PAGE_BREAK: char = '\u{c}';
/// What is between two pages.
pub(crate) const BETWEEN: &str = "\n\u{c}\n";
/// What stands where a letter is drawn and nothing says which one it is.
pub(crate) const UNKNOWN: char = '\u{fffd}';

/// Where an offset of a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The page, from 1.
    pub page: usize,
    /// Bytes from the beginning of the page.
    pub offset: usize,
}

/// The page of an offset in the text of a document, in bytes; none where the text has no pages.
pub fn place(text: &str, offset: usize) -> Option<Place> {
    if !text.contains(PAGE_BREAK) {
        return None;
    }
    let bytes = text.as_bytes();
    let before = &bytes[..offset.min(bytes.len())];
    let is_break = |b: &u8| *b == PAGE_BREAK as u8;
    // The page begins on the line after its break.
    let start = before.iter().rposition(is_break).map_or(0, |i| i + 2);
    Some(Place {
        page: 1 + before.iter().filter(|b| is_break(b)).count(),
        offset: before.len().saturating_sub(start),
    })
}

/// A document of these pages, cleaned and cut.
pub(crate) fn document(kind: Kind, raw: Vec<String>, limits: &Limits) -> Result<Document, Unread> {
    let (count, most) = (raw.len(), limits.max_pages);
    if count > most {
        return Err(Unread::TooManyPages { pages: count, most });
    }
    let mut room = limits.max_text;
    let mut cut = false;
    let mut pages = Vec::with_capacity(raw.len());
    for page in raw {
        let mut page = tl_wire::text::clean(&page);
        if page.len() > room {
            cut = true;
            page.truncate(page.floor_char_boundary(room));
        }
        room = room.saturating_sub(page.len() + BETWEEN.len());
        pages.push(page);
    }
    if !pages.iter().any(|page| says_something(page)) {
        return Err(Unread::NoText);
    }
    Ok(Document { kind, pages, cut })
}

/// Whether more of the letters are known than not.
fn says_something(page: &str) -> bool {
    let letters = || page.chars().filter(|c| !c.is_whitespace());
    let known = letters().filter(|c| *c != UNKNOWN).count();
    known * 2 > letters().count()
}
