//! Letters at their places become lines: what stands on one height is one line, from left to right.

use std::cmp::Ordering;

/// A letter, or several that are one glyph. Heights grow downwards.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    pub(crate) text: String,
    pub(crate) begin: (f64, f64),
    /// Where the next one would stand.
    pub(crate) end: (f64, f64),
    /// Height of its font.
    pub(crate) size: f64,
}

/// Letters that were drawn one after the other on one line. Places are those of the page turned so that it is read from
/// left to right.
#[derive(Debug, Clone)]
struct Piece {
    text: String,
    /// Quarter turns to the right by which its writing is turned.
    turn: u8,
    left: f64,
    right: f64,
    height: f64,
    size: f64,
}

/// A gap of this share of the size is a blank.
const BLANK: f64 = 0.17;
/// Letters of one piece are not farther apart than this.
const PIECE: f64 = 0.5;
/// A gap of this share of the size parts two columns.
const COLUMN: f64 = 1.5;
/// What stands higher or lower by no more than this share of the size is on the same line.
const SAME_LINE: f64 = 0.35;
/// A distance of so many sizes between two lines is more than the next line's.
const PARAGRAPH: f64 = 1.9;

/// The letters of a page.
#[derive(Debug, Default)]
pub(crate) struct Sheet {
    pieces: Vec<Piece>,
}

impl Sheet {
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.iter().all(|p| p.text.trim().is_empty())
    }

    /// Adds what is drawn next.
    pub(crate) fn put(&mut self, letter: Letter) {
        let next = turned(letter);
        if let Some(last) = self.pieces.last_mut() {
            let size = last.size.max(next.size);
            let gap = next.left - last.right;
            let same_line = (next.height - last.height).abs() <= SAME_LINE * size / 2.0;
            let beside = gap > -BLANK * size && gap <= PIECE * size;
            if last.turn == next.turn && same_line && beside {
                if gap > BLANK * size && !last.text.ends_with(' ') && next.text != " " {
                    last.text.push(' ');
                }
                last.text.push_str(&next.text);
                last.right = last.right.max(next.right);
                last.size = size;
                return;
            }
        }
        self.pieces.push(next);
    }

    /// The lines, from the top down; what is written sideways comes after them.
    pub(crate) fn text(mut self) -> String {
        self.pieces.retain(|p| !p.text.trim().is_empty());
        self.pieces
            .sort_by(|a, b| a.turn.cmp(&b.turn).then(a.height.total_cmp(&b.height)));
        let mut out = String::new();
        let mut above: Option<Piece> = None;
        for mut line in lines(self.pieces) {
            line.sort_by(from_the_left);
            let Some(first) = line.first().cloned() else {
                continue;
            };
            if let Some(above) = above {
                out.push('\n');
                let far = (first.height - above.height) > PARAGRAPH * above.size.max(first.size);
                if far || first.turn != above.turn {
                    out.push('\n');
                }
            }
            out.push_str(&joined(&line));
            above = Some(first);
        }
        out
    }
}

fn from_the_left(a: &Piece, b: &Piece) -> Ordering {
    a.left.total_cmp(&b.left)
}

/// Pieces that are sorted by height, line by line.
fn lines(pieces: Vec<Piece>) -> Vec<Vec<Piece>> {
    let mut out: Vec<Vec<Piece>> = Vec::new();
    for piece in pieces {
        let on_it = |line: &Vec<Piece>| {
            let first = &line[0];
            let size = first.size.max(piece.size);
            first.turn == piece.turn && (piece.height - first.height).abs() <= SAME_LINE * size
        };
        match out.last_mut().filter(|line| on_it(line)) {
            Some(line) => line.push(piece),
            None => out.push(vec![piece]),
        }
    }
    out
}

/// The pieces of a line. What is drawn twice on one spot, to look bold, is read once.
fn joined(line: &[Piece]) -> String {
    let mut out = String::new();
    let mut last: Option<&Piece> = None;
    for piece in line {
        if let Some(last) = last {
            let size = last.size.max(piece.size);
            if last.text == piece.text && (piece.left - last.left).abs() < BLANK * size {
                continue;
            }
            let gap = piece.left - last.right;
            if gap > COLUMN * size {
                out.push('\t');
            } else if gap > BLANK * size {
                out.push(' ');
            }
        }
        out.push_str(&piece.text);
        last = Some(piece);
    }
    let words = |cell: &str| cell.split_whitespace().collect::<Vec<_>>().join(" ");
    let cells: Vec<String> = out.split('\t').map(words).collect();
    cells.join("\t")
}

/// A letter as a piece of its own, with the page turned for it.
fn turned(letter: Letter) -> Piece {
    let (dx, dy) = (letter.end.0 - letter.begin.0, letter.end.1 - letter.begin.1);
    let turn = match (dx.abs() >= dy.abs(), dx >= 0.0, dy >= 0.0) {
        (true, true, _) => 0,
        (false, _, true) => 1,
        (true, false, _) => 2,
        (false, _, false) => 3,
    };
    let turned = |(x, y): (f64, f64)| match turn {
        0 => (x, y),
        1 => (y, -x),
        2 => (-x, -y),
        _ => (-y, x),
    };
    let (begin, end) = (turned(letter.begin), turned(letter.end));
    Piece {
        text: spelled(&letter.text),
        turn,
        left: begin.0,
        right: end.0.max(begin.0),
        height: begin.1,
        size: letter.size.max(f64::MIN_POSITIVE),
    }
}

/// Letters that printers join, one by one; no control characters, one kind of blank.
fn spelled(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{fb00}' => out.push_str("ff"),
            '\u{fb01}' => out.push_str("fi"),
            '\u{fb02}' => out.push_str("fl"),
            '\u{fb03}' => out.push_str("ffi"),
            '\u{fb04}' => out.push_str("ffl"),
            '\u{fb05}' | '\u{fb06}' => out.push_str("st"),
            // A hyphen that shows where it stands.
            '\u{ad}' => out.push('-'),
            c if c.is_whitespace() => out.push(' '),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}
