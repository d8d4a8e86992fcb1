//! A table as text: one line for a row, a tab between its cells.

use crate::{Unread, plain};

/// What stands between cells, the most usual first.
const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// Lines by which the separator is found.
const LOOKED_AT: usize = 20;

/// The rows of a table.
pub(crate) fn read(bytes: &[u8], charset: Option<&str>) -> Result<String, Unread> {
    let text = plain::decoded(bytes, charset);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator(text))
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut out = String::new();
    for row in reader.records() {
        let row = row.map_err(Unread::broken)?;
        let cells: Vec<String> = row.iter().map(cell).collect();
        out.push_str(cells.join("\t").trim_end_matches('\t'));
        out.push('\n');
    }
    Ok(out)
}

/// What is in a cell, on one line.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The separator of which the first lines have the same number, and most of them.
fn separator(text: &str) -> u8 {
    let lines = || {
        text.lines()
            .take(LOOKED_AT)
            .filter(|l| !l.trim().is_empty())
    };
    let score = |separator: u8| {
        let counts: Vec<usize> = lines().map(|l| outside_quotes(l, separator)).collect();
        let least = counts.iter().copied().min().unwrap_or(0);
        (least, counts.iter().filter(|n| **n > 0).count())
    };
    let mut best = (SEPARATORS[0], score(SEPARATORS[0]));
    for separator in SEPARATORS {
        let score = score(separator);
        if score > best.1 {
            best = (separator, score);
        }
    }
    best.0
}

fn outside_quotes(line: &str, separator: u8) -> usize {
    let mut quoted = false;
    let mut count = 0;
    for byte in line.bytes() {
        match byte {
            b'"' => quoted = !quoted,
            b if b == separator && !quoted => count += 1,
            _ => {}
        }
    }
    count
}
