//! What YAML itself refuses: each error gets the edit after which the file can be read further.

use granit_parser::{ErrorKind, ScanError};

use crate::diag::{Diag, Mend, Problem, Span, apply_mend};
use crate::quote::quote;
use crate::tree::syntax_error;

/// The first byte of a file that is no UTF-8.
pub(crate) fn not_utf8(path: &str, bytes: &[u8]) -> Option<Diag> {
    let bad = std::str::from_utf8(bytes).err()?;
    let start = bad.valid_up_to();
    let good = std::str::from_utf8(&bytes[..start]).unwrap_or_default();
    let end = bad.error_len().map_or(bytes.len(), |n| start + n);
    let why = match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "the file is saved as UTF-16".to_owned(),
        _ => format!("the byte 0x{:02X} begins no character here", bytes[start]),
    };
    let p = Problem::new("TL0101", Span::new(start, end), "the file is not UTF-8")
        .why(why)
        .mend(Mend::words("save the file as UTF-8"));
    Some(p.in_file(path, good))
}

/// A byte that no text file of ours holds.
pub(crate) fn bad_bytes(source: &str) -> Option<Problem> {
    let at = source.find(|c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))?;
    let c = source[at..].chars().next()?;
    let span = Span::new(at, at + c.len_utf8());
    Some(
        Problem::new(
            "TL0101",
            span,
            format!("the control character U+{:04X} in a text file", c as u32),
        )
        .mend(Mend::replace(span, "", "take it out")),
    )
}

/// A second `---` document.
pub(crate) fn second_document(source: &str, at: Span) -> Problem {
    let mark = source[..at.start.min(source.len())]
        .rfind("---")
        .unwrap_or(at.start);
    Problem::new(
        "TL0108",
        Span::new(mark, mark + 3),
        "a second document in the file",
    )
    .why("one file holds one document")
    .mend(Mend::replace(
        Span::new(mark, source.len()),
        "",
        "take the second document out, or put it into a file of its own",
    ))
}

/// The end of an unquoted expression: YAML may have stopped reading it earlier, at a character that means
/// something to it.
pub(crate) fn expression_extent(source: &str, span: Span) -> Span {
    let line_end = source[span.start..]
        .find('\n')
        .map_or(source.len(), |n| span.start + n);
    let end = span.end.clamp(span.start, line_end);
    let text = source[span.start..end].trim_end();
    Span::new(span.start, span.start + text.len())
}

/// The beginning of a text, for messages.
pub(crate) fn short(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() <= 40 {
        return line.to_owned();
    }
    line.chars().take(39).chain(['…']).collect()
}

/// A syntax error with the first of the usual mends after which the reader gets further.
pub(crate) fn scan_error(source: &str, e: &ScanError) -> Problem {
    let at = e.marker().byte_offset().unwrap_or(0).min(source.len());
    let line = line_of(source, at);
    if let Some(p) = starting_mark(source, at) {
        return p;
    }
    let best = candidates(source, at)
        .into_iter()
        .map(|m| (progress(source, &m), m))
        .max_by_key(|(how_far, _)| *how_far);
    let message = match e.kind() {
        ErrorKind::TabNotAllowed | ErrorKind::TabInBlockIndentation => {
            "a tab in the indentation".to_owned()
        }
        ErrorKind::RecursionLimitExceeded => {
            return Problem::new("TL0106", Span::at(at), "the file is nested too deeply");
        }
        _ => plain_words(e.info()),
    };
    let end = (at + source[at..].chars().next().map_or(0, char::len_utf8)).min(source.len());
    let place = if at >= line.end && line.end > line.start {
        Span::new(line.end - 1, line.end)
    } else {
        Span::new(at, end)
    };
    let p = Problem::new("TL0102", place, message).why("this is not YAML");
    let Some(mend) = best.filter(|(how_far, _)| *how_far > at).map(|(_, m)| m) else {
        return p;
    };
    // YAML notices an open quote or bracket only on a later line: the mistake is where the mend goes.
    let edit = mend.edits.first().map_or(at, |e| e.start);
    let earlier = edit > 0 && edit < line.start;
    let p = Problem {
        span: if earlier {
            last_char(source, edit)
        } else {
            p.span
        },
        ..p
    };
    p.mend(mend)
}

/// What the reader of YAML says, as somebody would say it who wrote the line.
fn plain_words(said: String) -> String {
    let known = [
        ("block mapping", "this line does not fit the lines above it"),
        (
            "block collection",
            "this line does not fit the list above it",
        ),
        (
            "mapping values are not allowed",
            "a second colon in one line, outside quotes",
        ),
        ("simple key expected", "a key without its colon"),
        ("flow mapping", "a `{` that is not closed"),
        ("flow sequence", "a `[` that is not closed"),
        ("quoted scalar", "a quote that is not closed"),
    ];
    let plain = known.iter().find(|(part, _)| said.contains(part));
    plain.map_or(said, |(_, words)| (*words).to_owned())
}

fn last_char(source: &str, end: usize) -> Span {
    let len = source[..end].chars().next_back().map_or(0, char::len_utf8);
    Span::new(end - len, end)
}

/// How far the reader gets after a mend; past the end when there is no error left.
fn progress(source: &str, mend: &Mend) -> usize {
    let mended = apply_mend(source, mend);
    syntax_error(&mended).map_or(usize::MAX, |(at, _)| at)
}

/// A value that starts with a character YAML keeps for itself.
fn starting_mark(source: &str, at: usize) -> Option<Problem> {
    let line = line_of(source, at);
    let value = value_of(source, line)?;
    let text = value.of(source);
    let (code, what) = match text.chars().next()? {
        '!' => ("TL0103", "a YAML tag"),
        '&' => ("TL0104", "a YAML anchor"),
        '*' => ("TL0104", "a YAML alias"),
        '%' | '@' | '`' => ("TL0102", "a word that YAML keeps for itself"),
        _ => return None,
    };
    let quoted = quote(text);
    let mend = Mend::replace(value, &quoted, format!("write {quoted}"));
    (progress(source, &mend) > at).then(|| {
        Problem::new(code, value, format!("`{}` starts {what}", short(text)))
            .why("tags, anchors and aliases do not exist in these files; quote the expression")
            .mend(mend)
    })
}

/// The usual repairs of the line at a place and of the one above it, the likeliest first.
fn candidates(source: &str, at: usize) -> Vec<Mend> {
    let mut out = Vec::new();
    let here = with_content(source, line_of(source, at), line_before);
    let above = here.and_then(|l| line_before(source, l));
    let above = above.and_then(|l| with_content(source, l, line_before));
    for line in [here, above].into_iter().flatten() {
        key_mends(source, line, &mut out);
        indent_mends(source, line, &mut out);
        // What opens a quote or a bracket wants it closed, not quoted.
        if let Some(value) =
            value_of(source, line).filter(|v| !v.of(source).starts_with(['[', '{', '"', '\'']))
        {
            let quoted = quote(value.of(source));
            out.push(Mend::replace(value, &quoted, format!("quote it: {quoted}")));
        }
        let text = line.of(source);
        let open = |close: &str| match close {
            "\"" | "'" => text.matches(close).count() % 2 == 1,
            _ => true,
        };
        let end = line.start + text.trim_end().len();
        let closers = ["\"", "'", "]", "}", " }", "] }", ":"];
        for close in closers.into_iter().filter(|c| open(c)) {
            let what = format!("close it with `{}`", close.trim());
            out.push(Mend::insert(end, close, what));
        }
    }
    let last = source.trim_end().len();
    for close in ["\"", "'", "]", "}"] {
        out.push(Mend::insert(
            last,
            close,
            format!("close it with `{close}`"),
        ));
    }
    if let Some(c) = source[at..]
        .chars()
        .next()
        .filter(|c| matches!(c, ']' | '}' | ','))
    {
        out.push(Mend::replace(
            Span::new(at, at + 1),
            "",
            format!("take the `{c}` out"),
        ));
    }
    // The first of several equally good mends is the one to show, and `max_by_key` keeps the last.
    out.reverse();
    out
}

/// A colon that is not there, or that nothing separates from its value.
fn key_mends(source: &str, line: Span, out: &mut Vec<Mend>) {
    let text = line.of(source);
    let start = text.len() - text.trim_start_matches([' ', '-']).len();
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let end = start + text[start..].find(|c| !word(c)).unwrap_or(0);
    if end == start {
        return;
    }
    let rest = &text[end..];
    if rest.starts_with(':') && !rest[1..].starts_with(' ') && rest.len() > 1 {
        let place = line.start + end + 1;
        out.push(Mend::insert(place, " ", "put a space after the colon"));
    } else if rest.starts_with(' ') {
        out.push(Mend::insert(
            line.start + end,
            ":",
            "put a colon after the key",
        ));
    }
}

/// The indentation of a line: tabs in it, and what the lines around it have.
fn indent_mends(source: &str, line: Span, out: &mut Vec<Mend>) {
    let text = line.of(source);
    let indent = text.len() - text.trim_start_matches([' ', '\t']).len();
    let span = Span::new(line.start, line.start + indent);
    if text[..indent].contains('\t') {
        let spaces = text[..indent].replace('\t', "  ");
        out.push(Mend::replace(span, spaces, "indent with spaces"));
    }
    let neighbours: [(&str, Step); 2] = [("above", line_before), ("below", line_after)];
    for (which, step) in neighbours {
        let next = step(source, line).and_then(|l| with_content(source, l, step));
        let Some(next) = next.map(|l| l.of(source)) else {
            continue;
        };
        let to = next.len() - next.trim_start_matches(' ').len();
        if to != indent {
            out.push(Mend::replace(
                span,
                " ".repeat(to),
                format!("indent it like the line {which}"),
            ));
        }
    }
}

/// From a line to a neighbour.
type Step = fn(&str, Span) -> Option<Span>;

fn line_before(source: &str, line: Span) -> Option<Span> {
    (line.start > 0).then(|| line_of(source, line.start - 1))
}

fn line_after(source: &str, line: Span) -> Option<Span> {
    (line.end < source.len()).then(|| line_of(source, line.end + 1))
}

/// The line itself, or the nearest one in a direction that is not blank and not a comment.
fn with_content(source: &str, line: Span, step: Step) -> Option<Span> {
    let mut line = Some(line);
    while let Some(l) = line {
        let text = l.of(source).trim_start();
        if !(text.is_empty() || text.starts_with('#')) {
            break;
        }
        line = step(source, l);
    }
    line
}

fn line_of(source: &str, at: usize) -> Span {
    let start = source[..at].rfind('\n').map_or(0, |n| n + 1);
    let end = source[at..].find('\n').map_or(source.len(), |n| at + n);
    Span::new(start, end)
}

/// What stands after `key: ` or `- ` on a line, without a comment.
fn value_of(source: &str, line: Span) -> Option<Span> {
    let text = line.of(source);
    let mut start = text.len() - text.trim_start().len();
    while text[start..].starts_with("- ") {
        start += 2;
    }
    if let Some(colon) = text[start..].find(": ") {
        start += colon + 2;
    }
    start += text[start..].len() - text[start..].trim_start().len();
    let rest = &text[start..];
    let end = rest.find(" #").unwrap_or(rest.len());
    let rest = rest[..end].trim_end();
    (!rest.is_empty()).then(|| Span::new(line.start + start, line.start + start + rest.len()))
}
