//! Files of rows, read a piece at a time: CSV, and lines. A file that cannot be read to its end says in which line, and
//! why, before anything of it is used.

use std::fmt;
use std::io::{self, BufRead, Read};

/// Longest row, bytes: more than the largest message that any endpoint takes.
const LONGEST: usize = 32 * 1024 * 1024;
/// What some programs put before the first character of a file.
const MARK: &[u8] = "\u{feff}".as_bytes();

/// A row of a CSV file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Where it begins in the file, from 1.
    pub line: u64,
    /// Its cells.
    pub cells: Vec<String>,
}

/// Why a file cannot be read.
#[derive(Debug)]
pub enum Bad {
    /// The system says so.
    Read(io::Error),
    /// It is no UTF-8: line, and byte within it, both from 1.
    Encoding { line: u64, at: usize },
    /// It is in UTF-16.
    Wide,
    /// A quotation mark of this line is open at the end.
    OpenQuote { line: u64 },
    /// The row that begins in this line is too long.
    TooLong { line: u64 },
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const AS: &str = "save it as UTF-8, which spreadsheet programs call \"CSV UTF-8\"";
        match self {
            Bad::Read(e) => write!(f, "cannot be read: {e}"),
            Bad::Encoding { line, at } => {
                write!(f, "is not in UTF-8 (line {line}, byte {at}): {AS}")
            }
            Bad::Wide => write!(f, "is in UTF-16: {AS}"),
            Bad::OpenQuote { line } => write!(
                f,
                "has a quotation mark in line {line} that is never closed: close it, or write \"\" for one inside a cell"
            ),
            Bad::TooLong { line } => write!(
                f,
                "has a row in line {line} that is longer than {LONGEST} bytes: is a quotation mark open there?"
            ),
        }
    }
}

impl From<io::Error> for Bad {
    fn from(e: io::Error) -> Bad {
        Bad::Read(e)
    }
}

/// The lines of a text file, without their ends.
#[derive(Debug)]
pub struct Lines<R> {
    input: R,
    line: u64,
}

impl<R: BufRead> Lines<R> {
    /// The lines of an input.
    pub fn new(input: R) -> Lines<R> {
        Lines { input, line: 0 }
    }

    /// The next line with its end; `None` after the last.
    fn next_raw(&mut self) -> Result<Option<String>, Bad> {
        let mut bytes = Vec::new();
        let most = LONGEST as u64 + 1;
        (&mut self.input).take(most).read_until(b'\n', &mut bytes)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        self.line += 1;
        if bytes.len() > LONGEST {
            return Err(Bad::TooLong { line: self.line });
        }
        if self.line == 1 {
            if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
                return Err(Bad::Wide);
            }
            if bytes.starts_with(MARK) {
                bytes.drain(..MARK.len());
            }
        }
        let line = self.line;
        if let Some(at) = bytes.iter().position(|b| *b == 0) {
            return Err(Bad::Encoding { line, at: at + 1 });
        }
        String::from_utf8(bytes).map(Some).map_err(|e| {
            let at = e.utf8_error().valid_up_to() + 1;
            Bad::Encoding { line, at }
        })
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Result<(u64, String), Bad>;

    /// The next line that is not blank, with its number.
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.next_raw() {
                Ok(None) => return None,
                Ok(Some(text)) if text.trim().is_empty() => {}
                Ok(Some(text)) => return Some(Ok((self.line, text.trim().to_owned()))),
                Err(bad) => return Some(Err(bad)),
            }
        }
    }
}

/// The rows of a CSV file. Cells may stand in quotation marks and then hold anything, line ends too; blank lines are no
/// rows.
#[derive(Debug)]
pub struct Table<R> {
    lines: Lines<R>,
    /// Between two cells; found in the first line.
    between: Option<char>,
}

impl<R: BufRead> Table<R> {
    /// The rows of an input. What stands between the cells is what the first line has most of: a comma, a semicolon or
    /// a tab.
    pub fn new(input: R) -> Table<R> {
        Table {
            lines: Lines::new(input),
            between: None,
        }
    }

    /// The rows of an input with commas between the cells.
    pub fn with_commas(input: R) -> Table<R> {
        Table {
            lines: Lines::new(input),
            between: Some(','),
        }
    }

    fn row(&mut self) -> Result<Option<Row>, Bad> {
        let Some(mut text) = self.lines.next_raw()? else {
            return Ok(None);
        };
        let between = *self.between.get_or_insert_with(|| most_between(&text));
        let begins = self.lines.line;
        let (mut open, mut opened, mut length) = (Open::default(), begins, 0);
        loop {
            length += text.len();
            if length > LONGEST {
                return Err(Bad::TooLong { line: begins });
            }
            let was = open.quoted;
            if open.take(&text, between) {
                break;
            }
            if !was {
                opened = self.lines.line;
            }
            match self.lines.next_raw()? {
                Some(more) => text = more,
                None if open.quoted => return Err(Bad::OpenQuote { line: opened }),
                None => break,
            }
        }
        Ok(Some(Row {
            line: begins,
            cells: open.close(),
        }))
    }
}

impl<R: BufRead> Iterator for Table<R> {
    type Item = Result<Row, Bad>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.row() {
                Ok(Some(row)) if row.cells.len() == 1 && row.cells[0].trim().is_empty() => {}
                other => return other.transpose(),
            }
        }
    }
}

/// A row that is being read.
#[derive(Debug, Default)]
struct Open {
    cells: Vec<String>,
    cell: String,
    quoted: bool,
}

impl Open {
    /// Takes a line; whether the row ends with it.
    fn take(&mut self, text: &str, between: char) -> bool {
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '"' if self.quoted && chars.peek() == Some(&'"') => {
                    chars.next();
                    self.cell.push('"');
                }
                '"' if self.quoted || self.cell.is_empty() => self.quoted = !self.quoted,
                c if c == between && !self.quoted => {
                    self.cells.push(std::mem::take(&mut self.cell));
                }
                '\n' if !self.quoted => return true,
                c => self.cell.push(c),
            }
        }
        false
    }

    fn close(mut self) -> Vec<String> {
        if self.cell.ends_with('\r') {
            self.cell.pop();
        }
        self.cells.push(self.cell);
        self.cells
    }
}

/// What a line has most of outside of quotation marks: commas, semicolons or tabs.
fn most_between(line: &str) -> char {
    let mut counts = [(',', 0), (';', 0), ('\t', 0)];
    let mut quoted = false;
    for c in line.chars() {
        quoted ^= c == '"';
        for (between, n) in &mut counts {
            *n += usize::from(!quoted && c == *between);
        }
    }
    // Of two that are as frequent the first: a line with one column has none.
    let mut best = counts[0];
    for count in counts {
        if count.1 > best.1 {
            best = count;
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<Row>, String> {
        let rows: Result<Vec<Row>, Bad> = Table::new(bytes).collect();
        rows.map_err(|e| e.to_string())
    }

    #[test]
    fn rows_are_read_with_quotes_lines_and_marks() {
        type Want = &'static [(u64, &'static [&'static str])];
        let table: [(&str, Want); 9] = [
            ("a,b\n1,2\n", &[(1, &["a", "b"]), (2, &["1", "2"])]),
            (
                "\u{feff}a,b\r\n1,\r\n",
                &[(1, &["a", "b"]), (2, &["1", ""])],
            ),
            (
                "a,b\n\"two\nlines\",x\ny,z",
                &[
                    (1, &["a", "b"]),
                    (2, &["two\nlines", "x"]),
                    (4, &["y", "z"]),
                ],
            ),
            (
                "a\n\"said \"\"hi\"\"\"\n",
                &[(1, &["a"]), (2, &["said \"hi\""])],
            ),
            ("a;b\n1,5;2\n", &[(1, &["a", "b"]), (2, &["1,5", "2"])]),
            ("a\tb\n1\t2\n", &[(1, &["a", "b"]), (2, &["1", "2"])]),
            ("\"a;b\",c\n1,2\n", &[(1, &["a;b", "c"]), (2, &["1", "2"])]),
            ("a\n\n  \n1\n", &[(1, &["a"]), (4, &["1"])]),
            (
                "a,b\n5\" pipe,\"\"\n",
                &[(1, &["a", "b"]), (2, &["5\" pipe", ""])],
            ),
        ];
        for (text, want) in table {
            let want: Vec<Row> = want
                .iter()
                .map(|(line, cells)| Row {
                    line: *line,
                    cells: cells.iter().map(|c| (*c).to_owned()).collect(),
                })
                .collect();
            assert_eq!(read(text.as_bytes()), Ok(want), "{text:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_line() {
        let table: [(&[u8], &str); 6] = [
            (b"a\nb\xe9\n", "line 2, byte 2"),
            (b"\xff\xfea\x00", "UTF-16"),
            (b"a\x00b\x00", "line 1, byte 2"),
            (b"a,b\n\"x,1\ny,2\n", "mark in line 2 that is never closed"),
            (b"a,b\nx,\"1\n\"\nz,\"y\n", "mark in line 4"),
            (b"a\nb,\"c\n\n", "mark in line 2"),
        ];
        for (bytes, part) in table {
            let why = read(bytes).unwrap_err();
            assert!(why.contains(part), "{why}");
        }
    }

    #[test]
    fn lines_come_with_their_numbers() {
        let lines: Result<Vec<(u64, String)>, Bad> =
            Lines::new("\u{feff}a\n\r\nb".as_bytes()).collect();
        assert_eq!(lines.unwrap(), [(1, "a".to_owned()), (3, "b".to_owned())]);
    }
}
