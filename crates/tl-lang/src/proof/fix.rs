//! The edits that mend what a proof found, where they are mechanical: made in the text of the file, because the
//! program does not know where its parts were written.

use crate::diag::{Edit, Span};

/// A place in a file beside the workflow.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) file: String,
    pub(super) text: String,
    pub(super) span: Span,
}

impl Place {
    pub(super) fn new(file: &str, text: &str, span: Span) -> Place {
        Place {
            file: file.to_owned(),
            text: text.to_owned(),
            span,
        }
    }
}

/// What is done to the file that a finding points into.
#[derive(Debug, Clone)]
pub(super) enum Fix {
    /// The policy says `approve` for the action.
    Approve(String),
    /// One more transition, from and to.
    Edge(String, String),
    /// Several more.
    Edges(Vec<(&'static str, &'static str)>),
    /// A key gets another value, at or after the finding's line.
    Value(&'static str, &'static str),
    /// A key with this value goes, at or after the finding's line.
    Take(&'static str, &'static str),
    /// The slot that the finding underlines goes.
    Slot,
    /// A slot of a message's subject goes, by the message's name and as it is written; where the file writes it in
    /// another way, the policy says `approve`.
    SubjectSlot(String, String),
}

impl Fix {
    /// The edits, for a finding that is about what begins at a byte; `whole` says that the file is the policy alone.
    /// None where the text is written in a way that is not foreseen here.
    pub(super) fn edits(&self, text: &str, at: usize, whole: bool) -> Vec<Edit> {
        let edit = match self {
            Fix::Approve(action) => approve(text, action, whole),
            Fix::Edge(from, to) => edges(text, &[(from, to)]),
            Fix::Edges(all) => edges(text, all),
            Fix::Value(key, value) => {
                let found = value_of(text, at, key).or_else(|| value_of(text, 0, key));
                found.map(|span| replace(span, (*value).into()))
            }
            Fix::Take(key, value) => take(text, at, key, value),
            Fix::Slot => None,
            Fix::SubjectSlot(message, slot) => {
                subject_slot(text, at, (message, slot)).or_else(|| approve(text, message, whole))
            }
        };
        edit.into_iter().collect()
    }
}

fn replace(span: Span, text: String) -> Edit {
    Edit {
        start: span.start,
        end: span.end,
        text,
    }
}

/// The value of a key, the key standing alone, from a place on.
pub(super) fn value_of(text: &str, from: usize, key: &str) -> Option<Span> {
    Some(value_span(text, find_key(text, from, key)?))
}

fn subject_slot(text: &str, at: usize, (message, slot): (&str, &str)) -> Option<Edit> {
    let subject = find_key(text, find_key(text, at, message)?, "subject")?;
    let start = subject + text[subject..].find(slot)?;
    Some(replace(Span::new(start, start + slot.len()), String::new()))
}

/// Where a line begins, from 1.
pub(super) fn start_of(text: &str, line: u32) -> usize {
    let lines = text.split_inclusive('\n');
    lines
        .take((line as usize).saturating_sub(1))
        .map(str::len)
        .sum()
}

/// The byte after `key:`, the key standing alone, from a place on.
fn find_key(text: &str, from: usize, key: &str) -> Option<usize> {
    let wanted = format!("{key}:");
    let mut at = from;
    loop {
        let found = at + text.get(at..)?.find(&wanted)?;
        let alone = text[..found]
            .chars()
            .next_back()
            .is_none_or(|c| c.is_whitespace() || c == '{' || c == ',' || c == '[');
        let line = text[..found].rfind('\n').map_or(0, |n| n + 1);
        if alone && !text[line..found].contains('#') {
            return Some(found + wanted.len());
        }
        at = found + wanted.len();
    }
}

/// The value that begins after `key:`, on its line: a flow mapping, a quoted text or a plain one.
fn value_span(text: &str, after: usize) -> Span {
    let rest = &text[after..];
    let blank = rest.len() - rest.trim_start_matches(' ').len();
    let value = &rest[blank..];
    let len = match value.chars().next() {
        Some('{') => {
            let mut depth = 0i32;
            let end = value.char_indices().find(|(_, c)| {
                depth += i32::from(*c == '{') - i32::from(*c == '}');
                depth == 0
            });
            end.map_or(value.len(), |(i, _)| i + 1)
        }
        Some(q @ ('"' | '\'')) => value[1..].find(q).map_or(value.len(), |n| n + 2),
        _ => {
            let line = value.split('\n').next().unwrap_or_default();
            let plain = line.split([',', '}']).next().unwrap_or_default();
            plain
                .split(" #")
                .next()
                .unwrap_or_default()
                .trim_end()
                .len()
        }
    };
    Span::new(after + blank, after + blank + len)
}

fn approve(text: &str, action: &str, whole: bool) -> Option<Edit> {
    let section = if whole { 0 } else { section(text, "policy")? };
    if let Some(after) = find_key(text, section, action) {
        let span = value_span(text, after);
        let blank = if span.start == after { " " } else { "" };
        return Some(replace(span, format!("{blank}approve")));
    }
    if whole {
        let end = text.trim_end().len();
        return Some(replace(Span::at(end), format!("\n{action}: approve\n")));
    }
    let rest = &text[section..];
    match rest.trim_start_matches(' ').strip_prefix('{') {
        Some(_) => {
            let brace = section + rest.find('{')? + 1;
            Some(replace(Span::at(brace), format!(" {action}: approve,")))
        }
        None => Some(replace(Span::at(section), format!("\n  {action}: approve"))),
    }
}

/// The byte after a key of the file's top level.
fn section(text: &str, key: &str) -> Option<usize> {
    let wanted = format!("{key}:");
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.starts_with(&wanted) {
            return Some(at + wanted.len());
        }
        at += line.len();
    }
    None
}

fn edges(text: &str, all: &[(&str, &str)]) -> Option<Edit> {
    let after = section(text, "transitions")?;
    let rest = &text[after..];
    let all = all
        .iter()
        .map(|(from, to)| format!("{{ from: {from}, to: {to} }}"));
    if rest.trim_start_matches(' ').starts_with('[') {
        let open = after + rest.find('[')? + 1;
        let items: String = all.map(|one| format!("{one}, ")).collect();
        return Some(replace(Span::at(open), items));
    }
    let item = rest.find('-')?;
    let indent = rest[..item].rfind('\n').map(|n| item - n - 1)?;
    let place = after + rest[..item].rfind('\n')?;
    let lines: String = all
        .map(|one| format!("\n{}- {one}", " ".repeat(indent)))
        .collect();
    Some(replace(Span::at(place), lines))
}

/// `key: value` goes, with the comma or the line that it leaves.
fn take(text: &str, at: usize, key: &str, value: &str) -> Option<Edit> {
    let after = find_key(text, at, key)?;
    let span = value_span(text, after);
    if span.of(text) != value {
        return None;
    }
    let start = after - key.len() - 1;
    let before = text[..start].trim_end();
    if before.ends_with(',') {
        return Some(replace(
            Span::new(before.len() - 1, span.end),
            String::new(),
        ));
    }
    let line = text[..start].rfind('\n').map_or(0, |n| n + 1);
    if text[line..start].trim().is_empty() {
        let end = text[span.end..]
            .find('\n')
            .map_or(text.len(), |n| span.end + n + 1);
        return Some(replace(Span::new(line, end), String::new()));
    }
    let comma = text[span.end..]
        .strip_prefix(',')
        .map_or(0, |r| 1 + r.len() - r.trim_start_matches(' ').len());
    Some(replace(Span::new(start, span.end + comma), String::new()))
}
