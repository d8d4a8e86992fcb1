//! What is wrong with a file, where, why, and the edit that mends it.

use std::fmt::Write as _;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Patch, Renderer, Snippet};
use serde::Serialize;

/// A byte range of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// The range from `start` to `end`.
    pub fn new(start: usize, end: usize) -> Span {
        Span { start, end }
    }

    /// The empty range at a place.
    pub fn at(place: usize) -> Span {
        Span::new(place, place)
    }

    /// The smallest range that covers both.
    pub fn join(self, other: Span) -> Span {
        Span::new(self.start.min(other.start), self.end.max(other.end))
    }

    /// The text of the range.
    pub fn of(self, source: &str) -> &str {
        source.get(self.start..self.end).unwrap_or_default()
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The workflow does not load.
    Error,
    /// It loads; somebody should look.
    Warning,
}

/// The replacement of a byte range of the diagnostic's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Edit {
    /// The first byte that goes.
    pub start: usize,
    /// One past the last byte that goes.
    pub end: usize,
    /// What takes its place.
    pub text: String,
}

/// A change of the file that mends what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mend {
    /// Edits of the diagnostic's file; they do not overlap.
    pub edits: Vec<Edit>,
    /// The same in words.
    pub say: String,
}

impl Mend {
    /// One edit and its words.
    pub fn replace(span: Span, text: impl Into<String>, say: impl Into<String>) -> Mend {
        Mend {
            edits: vec![Edit {
                start: span.start,
                end: span.end,
                text: text.into(),
            }],
            say: say.into(),
        }
    }

    /// What only whoever wrote the file can do.
    pub fn words(say: impl Into<String>) -> Mend {
        Mend {
            edits: Vec::new(),
            say: say.into(),
        }
    }

    /// Text put in at a place.
    pub fn insert(at: usize, text: impl Into<String>, say: impl Into<String>) -> Mend {
        Mend::replace(Span::at(at), text, say)
    }
}

/// The source with a mend applied. Edits that do not fit the source are left out.
pub fn apply_mend(source: &str, mend: &Mend) -> String {
    let mut edits: Vec<&Edit> = mend.edits.iter().collect();
    edits.sort_by_key(|e| (e.start, e.end));
    let mut out = String::with_capacity(source.len() + 64);
    let mut done = 0;
    for e in edits {
        if e.start < done {
            continue;
        }
        let (Some(before), Some(_)) = (source.get(done..e.start), source.get(e.start..e.end))
        else {
            continue;
        };
        out.push_str(before);
        out.push_str(&e.text);
        done = e.end;
    }
    out.push_str(source.get(done..).unwrap_or_default());
    out
}

/// One finding about one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diag {
    /// `TLnnnn`; each has a page.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Path of the file within the project.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// First byte of what is underlined.
    pub start: usize,
    /// One past its last byte.
    pub end: usize,
    /// What is wrong.
    pub message: String,
    /// Why it is; empty where the message says it all.
    pub why: String,
    /// The edit that mends it.
    pub mend: Option<Mend>,
}

/// A finding before it knows its file: built up by the lowering code.
#[derive(Debug, Clone)]
pub struct Problem {
    pub(crate) code: &'static str,
    pub(crate) severity: Severity,
    pub(crate) span: Span,
    pub(crate) message: String,
    pub(crate) why: String,
    pub(crate) mend: Option<Mend>,
}

impl Problem {
    /// An error with a code, a place and a message.
    pub fn new(code: &'static str, span: Span, message: impl Into<String>) -> Problem {
        Problem {
            code,
            severity: Severity::Error,
            span,
            message: message.into(),
            why: String::new(),
            mend: None,
        }
    }

    /// The same as a warning.
    pub fn warning(mut self) -> Problem {
        self.severity = Severity::Warning;
        self
    }

    /// Says why.
    pub fn why(mut self, why: impl Into<String>) -> Problem {
        self.why = why.into();
        self
    }

    /// Says how to mend it.
    pub fn mend(mut self, mend: Mend) -> Problem {
        self.mend = Some(mend);
        self
    }

    /// The finding in a file.
    pub fn in_file(self, file: &str, source: &str) -> Diag {
        let (line, column) = position(source, self.span.start);
        Diag {
            code: self.code,
            severity: self.severity,
            file: file.to_owned(),
            line,
            column,
            start: self.span.start,
            end: self.span.end,
            message: self.message,
            why: self.why,
            mend: self.mend,
        }
    }
}

/// Line and column (in characters) of a byte, both from 1.
pub fn position(source: &str, byte: usize) -> (u32, u32) {
    let mut byte = byte.min(source.len());
    while !source.is_char_boundary(byte) {
        byte -= 1;
    }
    let before = &source[..byte];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (line as u32, column as u32)
}

/// By file, then place, errors first at the same place.
pub fn sort(diags: &mut [Diag]) {
    diags.sort_by(|a, b| {
        (&a.file, a.start, a.severity, a.code).cmp(&(&b.file, b.start, b.severity, b.code))
    });
}

/// The findings as a good compiler prints them. `source` gives the text of a file by its path.
pub fn render<T: AsRef<str>>(
    diags: &[Diag],
    source: impl Fn(&str) -> Option<T>,
    color: bool,
) -> String {
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    }
    .decor_style(DecorStyle::Ascii);
    let mut out = String::new();
    for d in diags {
        let text = source(&d.file);
        let text = text.as_ref().map_or("", AsRef::as_ref);
        let _ = writeln!(out, "{}\n", renderer.render(&report(d, text)));
    }
    out
}

fn report<'a>(d: &'a Diag, text: &'a str) -> Vec<Group<'a>> {
    let level = match d.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    // A byte that is no character is shown as one of three bytes.
    let end = text.ceil_char_boundary(d.end);
    let start = d.start.min(end);
    let mut main = level.primary_title(d.message.as_str()).id(d.code).element(
        Snippet::source(text)
            .path(d.file.as_str())
            .annotation(AnnotationKind::Primary.span(start..end)),
    );
    if !d.why.is_empty() {
        main = main.element(Level::NOTE.message(d.why.as_str()));
    }
    let mut out = vec![main];
    if let Some(m) = &d.mend {
        let patches: Vec<Patch<'_>> = m
            .edits
            .iter()
            .filter(|e| text.get(e.start..e.end).is_some())
            .map(|e| Patch::new(e.start..e.end, e.text.as_str()))
            .collect();
        out.push(
            Level::HELP
                .secondary_title(m.say.as_str())
                .element(Snippet::source(text).path(d.file.as_str()).patches(patches)),
        );
    }
    out
}

/// The findings as a JSON list, for editors and scripts.
pub fn to_json(diags: &[Diag]) -> String {
    serde_json::to_string_pretty(diags).unwrap_or_else(|_| "[]".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_printed_with_its_place_its_reason_and_its_mend() {
        let source = "worker:\n  rules_engin: true\n";
        let d = Problem::new("TL0201", Span::new(10, 21), "unknown key `rules_engin`")
            .why("these keys exist here: rules_engine")
            .mend(Mend::replace(
                Span::new(10, 21),
                "rules_engine",
                "did you mean `rules_engine`?",
            ))
            .in_file("workflows/a/workflow.yaml", source);
        assert_eq!((d.line, d.column), (2, 3));
        let shown = render(std::slice::from_ref(&d), |_| Some(source), false);
        for part in [
            "error[TL0201]: unknown key `rules_engin`",
            "workflows/a/workflow.yaml:2:3",
            "^^^^^^^^^^^",
            "these keys exist here",
            "did you mean `rules_engine`?",
        ] {
            assert!(shown.contains(part), "{part} in\n{shown}");
        }
        assert!(!shown.contains('\u{1b}'), "no color unless asked");
        let mended = apply_mend(source, d.mend.as_ref().unwrap());
        assert_eq!(mended, "worker:\n  rules_engine: true\n");
        assert!(to_json(&[d]).contains("\"line\": 2"));
    }

    #[test]
    fn columns_count_characters() {
        assert_eq!(position("a: ü\nb: x", 4), (1, 4));
        assert_eq!(position("a: ü\nb: x", 5), (1, 5));
        assert_eq!(position("a: ü\nb: x", 9), (2, 4));
        assert_eq!(position("", 7), (1, 1));
    }

    #[test]
    fn edits_are_applied_from_left_to_right() {
        let m = Mend {
            edits: vec![
                Edit {
                    start: 4,
                    end: 5,
                    text: "z".into(),
                },
                Edit {
                    start: 0,
                    end: 1,
                    text: "aa".into(),
                },
                Edit {
                    start: 90,
                    end: 91,
                    text: "?".into(),
                },
            ],
            say: String::new(),
        };
        assert_eq!(apply_mend("x y w", &m), "aa y z");
    }
}
