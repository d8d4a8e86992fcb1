//! The text of a DOCX: its paragraphs and tables, with the headers and footers of its pages and its notes.

use std::io::{Cursor, Read};

use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use zip::ZipArchive;
use zip::result::ZipError;

use crate::{Limits, Unread};

/// Most parts of a package; a long report has some hundred.
const MAX_PARTS: usize = 5_000;
/// Deepest nesting of elements; a table within a table within a box has some forty.
const MAX_DEPTH: usize = 250;
/// Its text.
const MAIN: &str = "word/document.xml";

/// The text of each page, as far as it says where one ends.
pub(crate) fn read(bytes: &[u8], limits: &Limits) -> Result<Vec<String>, Unread> {
    let archive = ZipArchive::new(Cursor::new(bytes)).map_err(zip_error)?;
    if archive.len() > MAX_PARTS {
        return Err(Unread::broken(format!(
            "it has more than {MAX_PARTS} parts"
        )));
    }
    let mut package = Package {
        archive,
        room: limits.max_unpacked,
        most: limits.max_unpacked,
    };
    let mut names: Vec<String> = Vec::new();
    for name in package.archive.file_names() {
        names.push(name.map_err(zip_error)?.into_owned());
    }
    names.sort();
    if !names.iter().any(|n| n == MAIN) {
        return Err(Unread::NotWhatItSays {
            declared: "a text document".to_owned(),
        });
    }
    let mut pages = pages_of(&package.part(MAIN)?, limits)?;
    let mut beside = |starts: &str| -> Result<Vec<String>, Unread> {
        let mut texts: Vec<String> = Vec::new();
        for name in names.iter().filter(|n| is_part(n, starts)) {
            let text = pages_of(&package.part(name)?, limits)?.join("\n");
            let text = text.trim().to_owned();
            // The same on left pages and on right ones.
            if !text.is_empty() && !texts.contains(&text) {
                texts.push(text);
            }
        }
        Ok(texts)
    };
    let above = beside("word/header")?;
    let mut below = beside("word/footnotes")?;
    below.extend(beside("word/endnotes")?);
    below.extend(beside("word/footer")?);
    if let Some(first) = pages.first_mut().filter(|_| !above.is_empty()) {
        *first = format!("{}\n{first}", above.join("\n"));
    }
    if let Some(last) = pages.last_mut() {
        for text in below {
            last.push('\n');
            last.push_str(&text);
        }
    }
    Ok(pages)
}

/// `word/header2.xml` begins with `word/header`.
fn is_part(name: &str, starts: &str) -> bool {
    let rest = name
        .strip_prefix(starts)
        .and_then(|r| r.strip_suffix(".xml"));
    rest.is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
}

struct Package<'b> {
    archive: ZipArchive<Cursor<&'b [u8]>>,
    /// Bytes that the parts may still unpack to.
    room: usize,
    most: usize,
}

impl Package<'_> {
    fn part(&mut self, name: &str) -> Result<Vec<u8>, Unread> {
        let part = self.archive.by_name(name).map_err(zip_error)?;
        let mut out = Vec::new();
        // What the package says of its sizes is the sender's word: what comes out is counted.
        let read = part.take(self.room as u64 + 1).read_to_end(&mut out);
        read.map_err(|e| Unread::broken(format!("a part of it cannot be unpacked ({e})")))?;
        if out.len() > self.room {
            return Err(Unread::TooLarge { most: self.most });
        }
        self.room -= out.len();
        Ok(out)
    }
}

fn zip_error(e: ZipError) -> Unread {
    match e {
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => Unread::Encrypted,
        ZipError::InvalidPassword => Unread::Encrypted,
        other => Unread::broken(format!("its package cannot be read ({other})")),
    }
}

/// The text of one part.
fn pages_of(xml: &[u8], limits: &Limits) -> Result<Vec<String>, Unread> {
    let text = tl_wire::text::decode(wide(xml), xml);
    let mut reader = Reader::from_str(&text);
    let mut walk = Walk::new(limits);
    loop {
        let event = reader
            .read_event()
            .map_err(|e| Unread::broken(format!("its text is no XML ({e})")))?;
        match event {
            Event::Start(element) => walk.begin(&element)?,
            Event::Empty(element) => {
                walk.begin(&element)?;
                walk.end()?;
            }
            Event::End(_) => walk.end()?,
            Event::Text(written) => walk.text(&written),
            Event::CData(written) => walk.text(&written),
            Event::GeneralRef(named) => walk.letter(&named),
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
    Ok(walk.pages)
}

/// Office programs write UTF-8; the standard allows one other charset.
fn wide(xml: &[u8]) -> Option<&'static str> {
    (xml.starts_with(b"\xff\xfe") || xml.starts_with(b"\xfe\xff")).then_some("utf-16")
}

/// An element that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Paragraph,
    Run,
    RunProperties,
    Text,
    Cell,
    Row,
    /// What is in it is not read: an older form of what stands beside it, or what was deleted.
    Skipped,
    Other,
}

struct Walk<'l> {
    limits: &'l Limits,
    pages: Vec<String>,
    open: Vec<Open>,
    /// Bytes of text so far; what is cut off anyway is not kept.
    size: usize,
    /// What the present run holds is hidden.
    hidden: bool,
}

impl<'l> Walk<'l> {
    fn new(limits: &'l Limits) -> Walk<'l> {
        Walk {
            limits,
            pages: vec![String::new()],
            open: Vec::new(),
            size: 0,
            hidden: false,
        }
    }

    fn within(&self, what: Open) -> bool {
        self.open.contains(&what)
    }

    fn begin(&mut self, element: &BytesStart<'_>) -> Result<(), Unread> {
        if self.open.len() >= MAX_DEPTH {
            return Err(Unread::broken("its elements are nested too deep"));
        }
        let name = element.local_name();
        let open = match name.as_ref() {
            "p" => Open::Paragraph,
            "r" => {
                self.hidden = false;
                Open::Run
            }
            "rPr" => Open::RunProperties,
            "t" => Open::Text,
            "tc" => Open::Cell,
            "tr" => Open::Row,
            "Fallback" | "del" | "moveFrom" => Open::Skipped,
            other => {
                self.single(other, element);
                Open::Other
            }
        };
        self.open.push(open);
        Ok(())
    }

    /// Elements that stand for a letter, or for what a page has.
    fn single(&mut self, name: &str, element: &BytesStart<'_>) {
        let value = |of: &str| {
            let mut all = element.attributes().flatten();
            let found = all.find(|a| a.key.local_name().as_ref() == of)?;
            Some(found.value.into_owned())
        };
        if name == "vanish" && self.open.last() == Some(&Open::RunProperties) {
            let off = value("val").is_some_and(|v| ["0", "false", "off"].contains(&&*v));
            self.hidden |= self.within(Open::Run) && !off;
        }
        if !self.within(Open::Run) {
            return;
        }
        match name {
            "tab" if self.open.last() != Some(&Open::RunProperties) => self.put("\t"),
            "br" if value("type").as_deref() == Some("page") => self.break_page(),
            "lastRenderedPageBreak" => self.break_page(),
            "br" | "cr" => self.line(),
            "noBreakHyphen" => self.put("-"),
            _ => {}
        }
    }

    fn end(&mut self) -> Result<(), Unread> {
        match self.open.pop() {
            None => return Err(Unread::broken("its text is no XML (an element ends twice)")),
            Some(Open::Paragraph) => self.line(),
            Some(Open::Cell) => {
                self.trim();
                self.put("\t");
            }
            Some(Open::Row) => {
                self.trim();
                match self.within(Open::Cell) {
                    true => self.put(" "),
                    false => self.put("\n"),
                }
            }
            Some(Open::Run) => self.hidden = false,
            Some(_) => {}
        }
        Ok(())
    }

    /// A line ends. A cell of a table has only one.
    fn line(&mut self) {
        match self.within(Open::Cell) {
            true => self.put(" "),
            false => self.put("\n"),
        }
    }

    /// Takes the blanks at the end of the page away, but no line end.
    fn trim(&mut self) {
        if let Some(page) = self.pages.last_mut() {
            let kept = page.trim_end_matches([' ', '\t']).len();
            page.truncate(kept);
        }
    }

    fn break_page(&mut self) {
        // A page that has nothing on it is the same break written twice.
        let written = self.pages.last().is_some_and(|p| !p.trim().is_empty());
        if written && self.pages.len() <= self.limits.max_pages {
            self.pages.push(String::new());
        }
    }

    fn text(&mut self, text: &str) {
        if self.open.last() == Some(&Open::Text) && self.within(Open::Run) {
            self.put(text);
        }
    }

    /// A letter by its number or its name. Names that a file defines itself stand for nothing: they are how a few bytes
    /// become thousands of millions.
    fn letter(&mut self, named: &BytesRef<'_>) {
        let mut letters = [0; 4];
        if let Ok(Some(letter)) = named.resolve_char_ref() {
            self.text(letter.encode_utf8(&mut letters));
        } else if let Some(known) = resolve_xml_entity(named) {
            self.text(known);
        }
    }

    fn put(&mut self, text: &str) {
        if self.hidden || self.within(Open::Skipped) || self.size > self.limits.max_text {
            return;
        }
        self.size += text.len();
        if let Some(page) = self.pages.last_mut() {
            page.push_str(text);
        }
    }
}
