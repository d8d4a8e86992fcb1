//! Messages with a known label: `text,label` rows with a head, or a JSON object a line.

use std::path::Path;

use crate::failure::Failure;
use crate::table::{Row, Table};

/// Largest file that is read, bytes.
const LARGEST: u64 = 256 * 1024 * 1024;

/// A message and its right label.
#[derive(Debug, PartialEq, Eq)]
pub struct Case {
    /// Where it begins in the file, from 1.
    pub line: usize,
    pub text: String,
    pub label: String,
}

/// Reads a file; `.jsonl` and `.ndjson` hold a JSON object a line, everything else is CSV.
pub fn read(path: &Path) -> Result<Vec<Case>, Failure> {
    let shown = path.display();
    let unreadable = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => Failure::not_found(format!("there is no {shown}")),
        _ => Failure::unreachable(format!("cannot read {shown}: {e}")),
    };
    if std::fs::metadata(path).map_err(unreadable)?.len() > LARGEST {
        return Err(Failure::refused(format!(
            "{shown} is larger than {LARGEST} bytes"
        )));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let lines = path
        .extension()
        .is_some_and(|e| e == "jsonl" || e == "ndjson");
    let cases = if lines { json_lines(&text) } else { csv(&text) };
    let cases = cases.map_err(|why| Failure::refused(format!("{shown} {why}")))?;
    if cases.is_empty() {
        return Err(Failure::refused(format!("{shown} has no messages")));
    }
    Ok(cases)
}

fn json_lines(text: &str) -> Result<Vec<Case>, String> {
    let mut out = Vec::new();
    for (i, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let line_number = i + 1;
        let value: serde_json::Value = serde_json::from_str(line)
            .map_err(|e| format!("line {line_number} is no JSON: {e}"))?;
        let field = |name: &str| {
            let found = value.get(name).and_then(|v| v.as_str()).map(str::to_owned);
            found.ok_or_else(|| format!("line {line_number} has no text in `{name}`"))
        };
        out.push(Case {
            line: line_number,
            text: field("text")?,
            label: field("label")?,
        });
    }
    Ok(out)
}

fn csv(text: &str) -> Result<Vec<Case>, String> {
    let mut rows = Table::with_commas(text.as_bytes());
    let mut next = || rows.next().transpose().map_err(|bad| bad.to_string());
    let head = next()?.map(|row| row.cells).unwrap_or_default();
    let column = |name: &str| {
        let at = head
            .iter()
            .position(|c| c.trim().eq_ignore_ascii_case(name));
        at.ok_or_else(|| {
            format!(
                "has no column `{name}`; its first line must name the columns, as in `text,label`"
            )
        })
    };
    let (text_at, label_at) = (column("text")?, column("label")?);
    let mut out = Vec::new();
    while let Some(Row { line, mut cells }) = next()? {
        let cell = |cells: &mut Vec<String>, at: usize| {
            let found = cells.get_mut(at).map(std::mem::take);
            found.ok_or_else(|| {
                format!(
                    "line {line} has {} cells where {} are expected",
                    cells.len(),
                    head.len()
                )
            })
        };
        out.push(Case {
            line: usize::try_from(line).unwrap_or(usize::MAX),
            text: cell(&mut cells, text_at)?,
            label: cell(&mut cells, label_at)?.trim().to_owned(),
        });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(line: usize, text: &str, label: &str) -> Case {
        Case {
            line,
            text: text.into(),
            label: label.into(),
        }
    }

    #[test]
    fn csv_is_read_with_quotes_and_lines_inside() {
        let table: [(&str, Vec<Case>); 4] = [
            (
                "text,label\na,x\nb,y\n",
                vec![case(2, "a", "x"), case(3, "b", "y")],
            ),
            ("\u{feff}Label,Text\r\nx,a\r\n\r\n", vec![case(2, "a", "x")]),
            (
                "text,label\n\"two\nlines, \"\"said\"\"\",x\nlast,y",
                vec![case(2, "two\nlines, \"said\"", "x"), case(4, "last", "y")],
            ),
            (
                "id,text,label\n1,5\" pipe,x\n",
                vec![case(2, "5\" pipe", "x")],
            ),
        ];
        for (text, expected) in table {
            assert_eq!(csv(text), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_line() {
        let table = [
            ("a,b\n1,2\n", "`text`"),
            ("text,label\n1,2\nonly one\n", "line 3 has 1 cells"),
            ("", "`text`"),
        ];
        for (text, part) in table {
            let why = csv(text).unwrap_err();
            assert!(why.contains(part), "{why}");
        }
        let lines = "{\"text\":\"a\",\"label\":\"x\"}\n\n{\"text\":\"b\"}\n";
        assert!(json_lines(lines).unwrap_err().contains("line 3"));
        assert_eq!(json_lines(&lines[..26]).unwrap(), [case(1, "a", "x")]);
    }
}
