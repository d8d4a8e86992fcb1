//! How wide the reader's page is, and text made to fit it. What is piped into a program or a file is never folded:
//! one row stays one line.

use terminal_size::{Height, Width, terminal_size_of};

/// The narrowest page that is folded for, columns.
const NARROWEST: usize = 40;
/// Columns before the second line of a folded row.
const INDENT: usize = 4;
/// How a list's item begins after its number.
const AFTER_NUMBER: &str = ". ";
/// A label before a value is at most so wide; what follows wider ones hangs below their beginning.
const LABEL: usize = 28;

/// The page that is written on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Columns.
    pub width: usize,
}

impl Page {
    /// Standard output.
    pub fn of_stdout() -> Page {
        Page::of(terminal_size_of(std::io::stdout()))
    }

    /// Standard error.
    pub fn of_stderr() -> Page {
        Page::of(terminal_size_of(std::io::stderr()))
    }

    /// A terminal's size; none for what is no terminal.
    fn of(size: Option<(Width, Height)>) -> Page {
        Page {
            width: size.map_or(usize::MAX, |(w, _)| usize::from(w.0).max(NARROWEST)),
        }
    }

    /// Rows in columns, a head over them; nothing but `none` for no rows. Columns that do not fit beside the others
    /// go onto a further line of each row.
    pub fn table(self, head: &[&str], rows: &[Vec<String>], none: &str) -> String {
        if rows.is_empty() {
            return format!("{none}\n");
        }
        let width = |i: usize| {
            let cells = rows.iter().filter_map(|r| r.get(i)).map(|c| columns(c));
            cells.chain([head[i].len()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        let lines = self.groups(&widths);
        let mut out = String::new();
        fold(&mut out, &lines, head, &widths);
        for row in rows {
            let cells: Vec<&str> = row.iter().map(String::as_str).collect();
            fold(&mut out, &lines, &cells, &widths);
        }
        out
    }

    /// Which columns stand on which line of a row.
    fn groups(self, widths: &[usize]) -> Vec<std::ops::Range<usize>> {
        let mut out = Vec::new();
        let (mut begin, mut used) = (0, 0);
        for (i, w) in widths.iter().enumerate() {
            let indent = if out.is_empty() { 0 } else { INDENT };
            let with = if i == begin { indent + w } else { used + 2 + w };
            if i > begin && with > self.width {
                out.push(begin..i);
                (begin, used) = (i, INDENT + w);
            } else {
                used = with;
            }
        }
        out.push(begin..widths.len());
        out
    }

    /// Long lines broken between words, their rest below the value that they begin. Commands stay whole, so that
    /// they can be copied.
    pub fn fit(self, text: &str) -> String {
        let mut fenced = false;
        text.split_inclusive('\n')
            .map(|line| {
                let bare = line.trim_end_matches('\n');
                fenced ^= bare.starts_with("```");
                let command = is_command(bare.trim_start());
                if fenced || command || columns(bare) <= self.width {
                    line.to_owned()
                } else {
                    self.broken(bare) + &line[bare.len()..]
                }
            })
            .collect()
    }

    fn broken(self, line: &str) -> String {
        let (mut out, rest, hang) = hanging(line);
        let mut at = columns(&out);
        let mut fresh = true;
        for word in rest.split(' ') {
            let wide = columns(word);
            // Of several spaces those at the end of a line are dropped, and none begin one.
            if wide == 0 && (fresh || at + 1 >= self.width) {
                continue;
            }
            if !fresh && at + 1 + wide > self.width {
                out.truncate(out.trim_end().len());
                out.push('\n');
                out.push_str(&hang);
                at = columns(&hang);
                fresh = true;
            }
            if !fresh {
                out.push(' ');
                at += 1;
            }
            out.push_str(word);
            at += wide;
            fresh = false;
        }
        out
    }
}

/// What a line begins with, the rest that may be broken, and what each further line begins with.
fn hanging(line: &str) -> (String, &str, String) {
    let text = line.trim_start();
    let indent = line.len() - text.len();
    for mark in ["| ", "- "] {
        if let Some(rest) = text.strip_prefix(mark) {
            let again = if mark == "| " { mark } else { "  " };
            let spaces = " ".repeat(indent);
            return (format!("{spaces}{mark}"), rest, format!("{spaces}{again}"));
        }
    }
    let number = text.find(AFTER_NUMBER).map(|end| &text[..end]);
    if number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())) {
        let begin = indent + text.find(AFTER_NUMBER).unwrap_or(0) + AFTER_NUMBER.len();
        return (line[..begin].to_owned(), &line[begin..], " ".repeat(begin));
    }
    let value = text.find("  ").and_then(|end| {
        let rest = text[end..].trim_start();
        let begin = line.len() - rest.len();
        (!rest.is_empty() && columns(&line[..begin]) <= LABEL).then_some(begin)
    });
    let begin = value.unwrap_or(indent);
    let hang = if value.is_some() {
        columns(&line[..begin])
    } else if indent == 0 {
        0
    } else {
        indent + 2
    };
    (line[..begin].to_owned(), &line[begin..], " ".repeat(hang))
}

fn fold(out: &mut String, lines: &[std::ops::Range<usize>], cells: &[&str], widths: &[usize]) {
    for (n, range) in lines.iter().enumerate() {
        let padded: Vec<String> = range
            .clone()
            .map(|i| {
                let cell = cells.get(i).copied().unwrap_or_default();
                format!(
                    "{cell}{}",
                    " ".repeat(widths[i] - columns(cell).min(widths[i]))
                )
            })
            .collect();
        let line = padded.join("  ");
        let line = line.trim_end();
        if n == 0 || !line.is_empty() {
            let indent = if n == 0 { 0 } else { INDENT };
            out.push_str(&" ".repeat(indent));
            out.push_str(line);
            out.push('\n');
        }
    }
}

fn columns(text: &str) -> usize {
    text.chars().count()
}

/// What is typed into a shell: a command of ours, curl, a variable that is set.
fn is_command(line: &str) -> bool {
    let sets = line
        .split_once('=')
        .is_some_and(|(name, _)| !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase()));
    sets || line.starts_with("throughline ") || line.starts_with("curl ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: Page = Page { width: usize::MAX };

    #[test]
    fn tables_line_up() {
        let row = |cells: &[&str]| cells.iter().map(|c| (*c).to_owned()).collect();
        let rows: Vec<Vec<String>> = vec![
            row(&["a", "b", "long value", ""]),
            row(&["long", "ü", "c", "end"]),
        ];
        let table = [
            (
                usize::MAX,
                "x     y  z           w\n\
                 a     b  long value\n\
                 long  ü  c           end\n",
            ),
            (
                20,
                "x     y  z\n    w\n\
                 a     b  long value\n\
                 long  ü  c\n    end\n",
            ),
            (
                16,
                "x     y\n    z\n    w\n\
                 a     b\n    long value\n\
                 long  ü\n    c\n    end\n",
            ),
        ];
        for (width, want) in table {
            let page = Page { width };
            assert_eq!(
                page.table(&["x", "y", "z", "w"], &rows, "none"),
                want,
                "{width}"
            );
        }
        assert_eq!(WIDE.table(&["x"], &[], "none"), "none\n");
    }

    #[test]
    fn long_lines_hang_below_their_value() {
        let table = [
            ("short\n", "short\n"),
            (
                "state        automated, because a long reason\n",
                "state        automated, because\n             a long reason\n",
            ),
            (
                "    - a detail that goes on and on and on\n",
                "    - a detail that goes on and\n      on and on\n",
            ),
            (
                "    - value = 123456789012345678  (from here)\n",
                "    - value = 123456789012345678\n      (from here)\n",
            ),
            (
                "  | what was written was far too long\n",
                "  | what was written was far too\n  | long\n",
            ),
            (
                "a sentence without any label before it\n",
                "a sentence without any label\nbefore it\n",
            ),
            (
                "  an indented sentence without any label\n",
                "  an indented sentence without\n    any label\n",
            ),
            (
                "12. the step of a list that is long\n",
                "12. the step of a list that is\n    long\n",
            ),
            (
                "```\ncode that is longer than the page is wide\n```\n",
                "```\ncode that is longer than the page is wide\n```\n",
            ),
            (
                "    throughline case reopen case_1 --reason cause_mended\n",
                "    throughline case reopen case_1 --reason cause_mended\n",
            ),
            (
                "key  one_word_that_is_longer_than_the_page_is_wide\n",
                "key  one_word_that_is_longer_than_the_page_is_wide\n",
            ),
        ];
        for (text, want) in table {
            assert_eq!(Page { width: 32 }.fit(text), want);
            assert_eq!(WIDE.fit(text), text);
        }
    }
}
