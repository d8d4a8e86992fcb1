//! CSV with the place of every cell.

use crate::diag::Span;

/// One row.
pub(crate) struct Row {
    /// The cells.
    pub(crate) cells: Vec<Cell>,
    /// From the first cell to the last.
    pub(crate) span: Span,
    /// With the line break.
    pub(crate) whole: Span,
    /// Line in the file, from 1.
    pub(crate) line: u32,
}

/// One cell, without its quotes and the blanks around it.
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) span: Span,
}

/// The rows that are not empty. Quotes as in RFC 4180.
pub(crate) fn rows(source: &str) -> Vec<Row> {
    let mut out = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < source.len() {
        let start = at;
        let mut cells = Vec::new();
        let end = loop {
            let (cell, next) = cell(source, at);
            cells.push(cell);
            match source.as_bytes().get(next) {
                Some(b',') => at = next + 1,
                _ => break next,
            }
        };
        let after = match &source.as_bytes()[end..] {
            [b'\r', b'\n', ..] => end + 2,
            [_, ..] => end + 1,
            [] => end,
        };
        if cells.len() > 1 || !cells[0].text.is_empty() {
            out.push(Row {
                cells,
                span: Span::new(start, end),
                whole: Span::new(start, after),
                line,
            });
        }
        line += source[start..after].matches('\n').count() as u32;
        at = after;
    }
    out
}

fn cell(source: &str, start: usize) -> (Cell, usize) {
    let bytes = source.as_bytes();
    if bytes.get(start) != Some(&b'"') {
        let len = source[start..]
            .find([',', '\n', '\r'])
            .unwrap_or(source.len() - start);
        let raw = &source[start..start + len];
        let left = start + raw.len() - raw.trim_start().len();
        let text = raw.trim().to_owned();
        let span = Span::new(left, left + text.len());
        return (Cell { text, span }, start + len);
    }
    let mut text = String::new();
    let mut at = start + 1;
    loop {
        let Some(len) = source[at..].find('"') else {
            text.push_str(&source[at..]);
            at = source.len();
            break;
        };
        text.push_str(&source[at..at + len]);
        at += len + 1;
        if bytes.get(at) == Some(&b'"') {
            text.push('"');
            at += 1;
        } else {
            break;
        }
    }
    let rest = source[at..]
        .find([',', '\n', '\r'])
        .unwrap_or(source.len() - at);
    let cell = Cell {
        text: text.trim().to_owned(),
        span: Span::new(start, at),
    };
    (cell, at + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_know_their_place() {
        let source = "a, b\r\n\n\"x, \"\"y\"\"\",2\n\"two\nlines\",3";
        let got = rows(source);
        let text: Vec<Vec<&str>> = got
            .iter()
            .map(|r| r.cells.iter().map(|c| c.text.as_str()).collect())
            .collect();
        assert_eq!(
            text,
            [
                vec!["a", "b"],
                vec!["x, \"y\"", "2"],
                vec!["two\nlines", "3"]
            ]
        );
        assert_eq!(got.iter().map(|r| r.line).collect::<Vec<_>>(), [1, 3, 4]);
        assert_eq!(got[0].cells[1].span.of(source), "b");
        assert_eq!(got[1].cells[0].span.of(source), "\"x, \"\"y\"\"\"");
        assert_eq!(got[1].whole.of(source), "\"x, \"\"y\"\"\",2\n");
    }
}
