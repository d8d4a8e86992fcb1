//! The parts of a plain-text mail: what its author newly wrote, the signature below it, and what is quoted or
//! forwarded. Works by rules on lines; nothing is removed, every part is a range of bytes of the text.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::lists::phrases;
use crate::mail_cut::{Cut, Line, find_cut, lines_of, next_text};
use crate::mail_words::{CLOSINGS, DEVICE_LINES, FROM_NAMES, OTHER_NAMES, SUBJECT_NAMES, THANKS};
use crate::recognise::emails;
use crate::signature::{Sender, looks_like_signature};

/// Lines that may follow a closing.
const SIGNATURE_LINES: usize = 25;
/// Lines that may follow a mere "thanks".
const THANKS_LINES: usize = 6;
/// Header lines looked at after a "From:".
const HEADER_LINES: usize = 12;

/// The parts of a mail, as ranges of bytes without surrounding blank lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zones {
    /// What the author newly wrote, without signature; empty if that is nothing.
    pub newest: Range<usize>,
    /// The author's closing and signature.
    pub signature: Option<Range<usize>>,
    /// Earlier messages that are answered, with the line that introduces them.
    pub quoted: Option<Range<usize>>,
    /// A message passed on.
    pub forwarded: Option<Forwarded>,
}

/// A message passed on inside another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forwarded {
    /// Name of its author as the header gives it.
    pub from_name: Option<String>,
    /// Address of its author, in lower case.
    pub from_email: Option<String>,
    /// Its subject.
    pub subject: Option<String>,
    /// Its text below the headers.
    pub body: Range<usize>,
}

/// Separates the parts of a plain-text mail.
pub fn zones(text: &str) -> Zones {
    zones_from(text, "")
}

/// Separates the parts of a plain-text mail whose sender is known: a last line that is only the sender's name
/// ("Anna", "A. Berg", "AB") then counts as signature. `sender` is the value of the mail's "From" header or any part
/// of it.
pub fn zones_from(text: &str, sender: &str) -> Zones {
    let lines = lines_of(text);
    let mail = Mail {
        text,
        sender: Sender::new(sender),
        lines: &lines,
    };
    match find_cut(&lines) {
        Cut::None => mail.zones(0..lines.len(), None, None),
        Cut::Quoted(at) => {
            if let Some((quoted, own)) = answer_below(&lines, at) {
                return mail.zones(own, trimmed(text, &lines, quoted), None);
            }
            let quoted = trimmed(text, &lines, at..lines.len());
            mail.zones(0..at, quoted, None)
        }
        Cut::Forwarded(at, headers) => {
            let forwarded = read_forwarded(text, &lines, headers);
            mail.zones(0..at, None, Some(forwarded))
        }
    }
}

/// When nothing stands above the quoted lines, the author may have written below or between them: the quoted lines
/// first, and the rest.
fn answer_below(lines: &[Line<'_>], cut: usize) -> Option<(Range<usize>, Range<usize>)> {
    if lines[..cut].iter().any(|l| !l.is_blank()) {
        return None;
    }
    let first_quote = (cut..lines.len().min(cut + 4)).find(|i| lines[*i].is_quote())?;
    let is_quoted = |l: &Line<'_>| l.is_quote() || l.is_blank();
    let end = (first_quote..lines.len()).find(|i| !is_quoted(&lines[*i]))?;
    Some((cut..end, end..lines.len()))
}

/// A mail cut into lines, and who sent it.
struct Mail<'a, 't> {
    text: &'t str,
    lines: &'a [Line<'t>],
    sender: Sender,
}

impl Mail<'_, '_> {
    /// The parts, given the lines that are the author's own.
    fn zones(
        &self,
        own: Range<usize>,
        quoted: Option<Range<usize>>,
        forwarded: Option<Forwarded>,
    ) -> Zones {
        let (text, lines) = (self.text, self.lines);
        let signature_at = self.find_signature(own.clone());
        let body = own.start..signature_at.unwrap_or(own.end);
        let empty = lines.get(own.start).map_or(0, |l| l.start);
        Zones {
            newest: trimmed(text, lines, body).unwrap_or(empty..empty),
            signature: signature_at.and_then(|at| trimmed(text, lines, at..own.end)),
            quoted,
            forwarded,
        }
    }

    /// The first line of closing and signature.
    fn find_signature(&self, own: Range<usize>) -> Option<usize> {
        let lines = self.lines;
        if let Some(at) = delimiter(lines, own.clone()) {
            let above = closing(lines, own.start..at).or_else(|| self.signed(own.start..at));
            return Some(above.filter(|c| at - c <= 4).unwrap_or(at));
        }
        let device = device_line(lines, own.clone());
        let end = device.unwrap_or(own.end);
        closing(lines, own.start..end)
            .or_else(|| contact_block(lines, own.start..end))
            .or_else(|| self.signed(own.start..end))
            .or(device)
    }

    /// One of the last three lines that is the sender's name, below other text and above short lines at most.
    fn signed(&self, own: Range<usize>) -> Option<usize> {
        let written: Vec<usize> = own
            .rev()
            .filter(|i| !self.lines[*i].is_blank())
            .take(4)
            .collect();
        let short = |i: &&usize| self.lines[**i].text.chars().count() <= 60;
        let last = written.iter().take_while(short).take(3);
        let at = *last
            .filter(|i| self.sender.signs(self.lines[**i].text))
            .last()?;
        (written.last() != Some(&at)).then_some(at)
    }
}

/// The bytes of these lines without blanks around them.
fn trimmed(text: &str, lines: &[Line<'_>], range: Range<usize>) -> Option<Range<usize>> {
    let first = lines.get(range.start)?;
    let last = lines.get(range.end.checked_sub(1)?)?;
    if range.is_empty() {
        return None;
    }
    let whole = &text[first.start..last.end];
    let start = first.start + (whole.len() - whole.trim_start().len());
    let end = start + whole.trim().len();
    (start < end).then_some(start..end)
}

/// The line "-- ", which by convention begins a signature; or another ruled line with what looks like one below it.
fn delimiter(lines: &[Line<'_>], own: Range<usize>) -> Option<usize> {
    let ruled = |i: &usize| {
        let text = lines[*i].text.trim();
        text.chars().count() >= 2 && text.chars().all(|c| "-–—_".contains(c)) || text == "—"
    };
    let candidate = own.clone().rev().find(ruled)?;
    let below: Vec<&str> = lines[candidate + 1..own.end]
        .iter()
        .filter(|l| !l.is_blank())
        .map(|l| l.text)
        .take(SIGNATURE_LINES + 1)
        .collect();
    let by_convention = matches!(lines[candidate].text.trim(), "--" | "—" | "---");
    let fits = (1..=SIGNATURE_LINES).contains(&below.len());
    (fits && (by_convention || looks_like_signature(&below))).then_some(candidate)
}

fn device_line(lines: &[Line<'_>], own: Range<usize>) -> Option<usize> {
    let mut texts = own.rev().filter(|i| !lines[*i].is_blank()).take(3);
    texts.find(|i| {
        let line = lines[*i].lower.trim_start_matches(['-', ' ', '<', '[']);
        line.len() < 120 && phrases(DEVICE_LINES).any(|d| line.starts_with(d))
    })
}

/// The first closing that has no more than a signature below it.
fn closing(lines: &[Line<'_>], own: Range<usize>) -> Option<usize> {
    let mut below = 0;
    let mut short_below = true;
    let mut found = None;
    for at in own.rev() {
        let line = &lines[at];
        if line.is_blank() {
            continue;
        }
        let plain = line.lower.trim_end_matches(|c: char| !c.is_alphanumeric());
        if is_closing(plain)
            || short_below && below <= THANKS_LINES && is_thanks(line, plain, below > 0)
        {
            found = Some(at);
        }
        below += 1;
        short_below = short_below && line.text.chars().count() <= 60;
        if below > SIGNATURE_LINES {
            break;
        }
    }
    found
}

/// A closing alone, or with a name or place behind it: "Best regards, Anna", "Viele Grüße aus Berlin".
fn is_closing(line: &str) -> bool {
    phrases(CLOSINGS).any(|closing| {
        line.strip_prefix(closing).is_some_and(|rest| {
            let words = rest.split_whitespace().count();
            let separated =
                rest.starts_with(',') || rest.starts_with(" /") || rest.starts_with(" -");
            let place = [
                " from ", " aus ", " de ", " van ", " från ", " and ", " und ", " i.a", " i. a",
            ];
            rest.is_empty()
                || separated && words <= 4 && closing.len() > 3
                || words <= 4 && place.iter().any(|p| rest.starts_with(p)) && closing.len() > 5
        })
    })
}

/// "Thanks" above something, or with one or two names behind it: "Thanks, Anna". Without either it is a sentence.
fn is_thanks(line: &Line<'_>, plain: &str, followed: bool) -> bool {
    phrases(THANKS).any(|thanks| {
        plain.strip_prefix(thanks).is_some_and(|rest| {
            let named = rest.starts_with([',', '.', '!']) && rest.split_whitespace().count() <= 2;
            let names = line.text.split_whitespace().skip(thanks.split(' ').count());
            rest.is_empty() && followed
                || named && names.clone().all(|n| n.starts_with(char::is_uppercase))
        })
    })
}

/// The last few lines that look like a name with ways to reach it, below other text.
fn contact_block(lines: &[Line<'_>], own: Range<usize>) -> Option<usize> {
    let last = own.clone().rev().find(|i| !lines[*i].is_blank())?;
    let begins = |at: &usize| {
        let above = (own.start..*at).rev().find(|i| !lines[*i].is_blank());
        // A name in the middle of a paragraph begins nothing unless a sentence ended above it.
        let separate =
            above.is_some_and(|i| i + 1 < *at || lines[i].lower.ends_with(['.', '!', '?', ',']));
        let block: Vec<&str> = lines[*at..=last]
            .iter()
            .filter(|l| !l.is_blank())
            .map(|l| l.text)
            .collect();
        separate && (2..=9).contains(&block.len()) && looks_like_signature(&block)
    };
    (own.start.max(last.saturating_sub(12))..=last).find(begins)
}

fn read_forwarded(text: &str, lines: &[Line<'_>], from: usize) -> Forwarded {
    let mut out = Forwarded {
        from_name: None,
        from_email: None,
        subject: None,
        body: text.len()..text.len(),
    };
    let mut at = next_text(lines, from);
    let mut headers = 0;
    while let Some(line) = lines.get(at).filter(|_| headers < HEADER_LINES) {
        let known = line.header_is(FROM_NAMES)
            || line.header_is(SUBJECT_NAMES)
            || line.header_is(OTHER_NAMES);
        // A long list of recipients continues on indented lines.
        let continued = headers > 0 && line.text.starts_with([' ', '\t']) && !line.is_blank();
        if !known && !continued {
            break;
        }
        if let Some((name, value)) = line.header().filter(|_| known) {
            if phrases(FROM_NAMES).any(|n| n == name)
                && out.from_name.is_none()
                && out.from_email.is_none()
            {
                (out.from_name, out.from_email) = person_of(value);
            } else if phrases(SUBJECT_NAMES).any(|n| n == name) && !value.is_empty() {
                out.subject.get_or_insert_with(|| value.to_owned());
            }
        }
        headers += 1;
        at += 1;
    }
    if let Some(body) = trimmed(text, lines, at.min(lines.len())..lines.len()) {
        out.body = body;
    }
    out
}

/// Name and address in "Anna Muster <anna@example.com>", "Anna [mailto:anna@example.com]" or either alone.
fn person_of(value: &str) -> (Option<String>, Option<String>) {
    let email = emails(value).into_iter().next();
    let name = match &email {
        Some(found) => &value[..found.span.start],
        None => value,
    };
    let name = name.split("mailto:").next().unwrap_or("");
    let name = name.trim_matches(|c: char| c.is_whitespace() || "<>[]()\"'".contains(c));
    let name = (!name.is_empty()).then(|| name.to_owned());
    (name, email.map(|found| found.value))
}
