//! Where the newest message of a mail ends: the lines that mail programs put before what they quote or forward.

use crate::lists::phrases;
use crate::mail_words::{
    ATTRIBUTIONS, FORWARD_TITLES, FROM_NAMES, ORIGINAL_TITLES, OTHER_NAMES, SUBJECT_NAMES,
};

/// A line longer than this is prose; nothing is looked for in it.
const LONGEST_MARK: usize = 300;
/// Lines a list of recipients may fill before the subject.
const RECIPIENT_LINES: usize = 15;

/// One line without its line break.
#[derive(Clone)]
pub(crate) struct Line<'t> {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) text: &'t str,
    /// Trimmed, without marks of emphasis, lower case; empty for a line too long to be a mark.
    pub(crate) lower: String,
}

/// Where the newest message ends, and why.
pub(crate) enum Cut {
    /// The first line of the quoted part.
    Quoted(usize),
    /// The first line of the introduction, and the first of the forwarded headers.
    Forwarded(usize, usize),
    /// Nothing follows.
    None,
}

pub(crate) fn lines_of(text: &str) -> Vec<Line<'_>> {
    let mut out = Vec::new();
    let mut start = 0;
    for raw in text.split_inclusive('\n') {
        let body = raw.trim_end_matches(['\n', '\r']);
        let short = body.len() <= LONGEST_MARK;
        let trimmed = body.trim_matches(|c: char| {
            c.is_whitespace() || c == '*' || c == '\u{feff}' || c == '\u{200b}'
        });
        out.push(Line {
            start,
            end: start + body.len(),
            text: body,
            lower: if short {
                trimmed.to_lowercase().replace('’', "'")
            } else {
                String::new()
            },
        });
        start += raw.len();
    }
    out
}

impl Line<'_> {
    pub(crate) fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }

    pub(crate) fn is_quote(&self) -> bool {
        let text = self.text.trim_start();
        // Mailboxes write a line that begins with "From " as ">From ".
        text.starts_with('>') && !text.starts_with(">From ")
    }

    /// The line's words when it is a title between dashes, or a title before a colon.
    fn title(&self) -> Option<&str> {
        let inner = self.lower.trim_matches(|c: char| "-–—_=* ".contains(c));
        let dashed = inner.len() + 4 <= self.lower.len();
        let inner = inner.trim_end_matches(':');
        (dashed || self.lower.ends_with(':') || self.lower.starts_with("begin ")).then_some(inner)
    }

    /// The header's name and value: "Von: Anna" gives ("von", "Anna").
    pub(crate) fn header(&self) -> Option<(String, &str)> {
        let (name, value) = self.text.split_once(':')?;
        let clean = |c: char| c.is_whitespace() || c == '*' || c == '>';
        let name = name.trim_matches(clean).to_lowercase();
        (name.len() <= 24).then(|| {
            (
                name,
                value.trim_matches(|c: char| c.is_whitespace() || c == '*'),
            )
        })
    }

    pub(crate) fn header_is(&self, names: &'static str) -> bool {
        self.lower.len() > 2
            && self
                .header()
                .is_some_and(|(name, _)| phrases(names).any(|n| n == name))
    }
}

pub(crate) fn find_cut(lines: &[Line<'_>]) -> Cut {
    for at in 0..lines.len() {
        let line = &lines[at];
        if line.is_quote() {
            return Cut::Quoted(unmarked_introduction(lines, at).unwrap_or(at));
        }
        if line.lower.is_empty() {
            continue;
        }
        if let Some(title) = line.title() {
            if phrases(FORWARD_TITLES).any(|t| title.starts_with(t)) {
                return Cut::Forwarded(at, at + 1);
            }
            if phrases(ORIGINAL_TITLES).any(|t| t == title) {
                return over_headers(lines, at, at + 1);
            }
        }
        let ruled = line.lower.len() >= 10 && line.lower.bytes().all(|b| b == b'_' || b == b'-');
        if ruled && headers_begin(lines, next_text(lines, at + 1)) {
            return over_headers(lines, at, next_text(lines, at + 1));
        }
        if line.header_is(FROM_NAMES) && headers_begin(lines, at) {
            return over_headers(lines, at, at);
        }
        if let Some(first) = notes_headers(lines, at) {
            let alone = lines[..first].iter().all(Line::is_blank);
            return if alone {
                Cut::Forwarded(first, at)
            } else {
                Cut::Quoted(first)
            };
        }
        // "On … wrote:" introduces something.
        if attribution(lines, at).is_some_and(|end| end + 1 < lines.len()) {
            return Cut::Quoted(at);
        }
    }
    Cut::None
}

/// Headers without a word that says "forwarded": with nothing written above them they are.
fn over_headers(lines: &[Line<'_>], at: usize, headers: usize) -> Cut {
    let alone = lines[..at].iter().all(Line::is_blank);
    if alone && headers_begin(lines, next_text(lines, headers)) {
        Cut::Forwarded(at, headers)
    } else {
        Cut::Quoted(at)
    }
}

pub(crate) fn next_text(lines: &[Line<'_>], from: usize) -> usize {
    (from..lines.len().min(from + 4))
        .find(|i| !lines[*i].is_blank())
        .unwrap_or(from)
}

/// A "From:" with at least two other headers close below it, and an address or a subject: "From: Berlin, To: Munich,
/// Date: …" is what people write into forms.
fn headers_begin(lines: &[Line<'_>], at: usize) -> bool {
    let Some(first) = lines.get(at).filter(|l| l.header_is(FROM_NAMES)) else {
        return false;
    };
    let below = || lines[at + 1..].iter().take(6);
    let subjects = below().filter(|l| l.header_is(SUBJECT_NAMES)).count();
    let others = below().filter(|l| l.header_is(OTHER_NAMES)).count();
    subjects + others >= 2 && (subjects > 0 || first.text.contains('@'))
}

/// The last line of an introduction such as "On … wrote:", which may be broken over three lines.
fn attribution(lines: &[Line<'_>], at: usize) -> Option<usize> {
    let mut joined = String::new();
    for (end, line) in lines.iter().enumerate().skip(at).take(3) {
        if line.is_blank() {
            return None;
        }
        if !joined.is_empty() {
            joined.push(' ');
        }
        joined.push_str(&line.lower);
        if joined.len() > LONGEST_MARK {
            return None;
        }
        let body = joined.trim_matches(|c: char| "-: ".contains(c));
        let colon = joined.ends_with(':');
        // Without a beginning that says so, one line with an address or a date is needed.
        let digits = body.bytes().filter(u8::is_ascii_digit).count();
        let marked = body.contains('@') || digits >= 4;
        let fits = |(begins, says): &(&str, &str)| match (begins.is_empty(), colon) {
            (true, colon) => colon && marked && end == at && says_at_end(body, says),
            (false, true) => marked && body.starts_with(begins) && says_anywhere(body, says),
            (false, false) => {
                digits >= 6
                    && body.contains('@')
                    && body.starts_with(begins)
                    && says_at_end(body, says)
            }
        };
        if ATTRIBUTIONS.iter().any(fits) || colon && is_dated_address(body) {
            return Some(end);
        }
    }
    None
}

/// A date and an address in angle brackets with at most a verb behind it, in whatever language: "2026-03-09 10:12
/// GMT+01:00 Anna Berg <anna@example.com>".
fn is_dated_address(body: &str) -> bool {
    let Some((before, rest)) = body.split_once('<') else {
        return false;
    };
    let Some((address, verb)) = rest.split_once('>') else {
        return false;
    };
    let digits = before.bytes().filter(u8::is_ascii_digit).count();
    // The date comes first: a line of prose that happens to stand above is no part of it.
    let dated = digits >= 6 && before.chars().take(20).any(|c| c.is_ascii_digit());
    dated && address.contains('@') && verb.split_whitespace().count() <= 3
}

/// The line above the first quoted one when it says "Anna wrote", without a date, an address or a colon.
fn unmarked_introduction(lines: &[Line<'_>], quote: usize) -> Option<usize> {
    let above = (quote.saturating_sub(3)..quote)
        .rev()
        .find(|i| !lines[*i].is_blank())?;
    let line = lines[above].lower.trim_end_matches([':', ' ']);
    let says = |(_, says): &(&str, &str)| says_at_end(line, says);
    (line.split_whitespace().count() <= 12 && ATTRIBUTIONS.iter().any(says)).then_some(above)
}

/// Headers without a "From:": a name and a date, each on a line of its own, above "To:" and "Subject:" (Notes and
/// Domino write them so). Gives the first line of the block whose "To:" is at `at`.
fn notes_headers(lines: &[Line<'_>], at: usize) -> Option<usize> {
    let named = |i: usize, names: &[&str]| {
        lines[i]
            .header()
            .is_some_and(|(name, _)| names.contains(&name.as_str()))
    };
    if !named(at, &["to", "an", "à", "para", "a", "aan"]) {
        return None;
    }
    let until = lines.len().min(at + RECIPIENT_LINES);
    (at + 1..until).find(|i| lines[*i].header_is(SUBJECT_NAMES) || named(*i, &["thema"]))?;
    let above = |from: usize| {
        (from.saturating_sub(3)..from)
            .rev()
            .find(|i| !lines[*i].is_blank())
    };
    let dated = above(at).filter(|i| is_timestamp(&lines[*i].lower))?;
    let name = above(dated).filter(|i| *i + 1 == dated && lines[*i].lower.len() <= 80);
    let own_name = lines[dated].lower.contains([' ', '@']) && lines[dated].lower.len() > 24;
    Some(if own_name {
        dated
    } else {
        name.unwrap_or(dated)
    })
}

/// A line with a date and a time of day and little else.
fn is_timestamp(line: &str) -> bool {
    let digits = line.bytes().filter(u8::is_ascii_digit).count();
    let date = line.matches('/').count() >= 2
        || line.matches('.').count() >= 2
        || line.matches('-').count() >= 2;
    digits >= 7 && date && line.contains(':') && line.len() <= 120
}

fn says_at_end(body: &str, says: &str) -> bool {
    body.trim_end().ends_with(says)
}

/// German and Dutch put the name after the verb: "Am 12.3. schrieb Anna Muster <a@b.de>:".
fn says_anywhere(body: &str, says: &str) -> bool {
    body.match_indices(says).any(|(at, _)| {
        let before = body[..at].chars().next_back();
        let after = body[at + says.len()..].chars().next();
        before.is_none_or(|c| !c.is_alphanumeric()) && after.is_none_or(|c| !c.is_alphanumeric())
    })
}
