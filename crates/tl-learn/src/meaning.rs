//! Where a text lies by meaning: the mean of a vector for each piece of its words, so that "reimbursement" is near
//! "refund" although they share no letters. The vectors come from a sentence encoder (see `table/`), as English has
//! them; training finds out whether they help the language at hand.

use std::sync::OnceLock;

use crate::features::{Word, Words};

static FILE: &[u8] = include_bytes!("../table/word_pieces.bin");
const MAGIC: &[u8] = b"throughline word pieces 1\n";
/// Numbers per piece.
pub(crate) const DIMENSIONS: usize = 256;
/// Longest piece in letters; longer beginnings need not be looked up.
const LONGEST: usize = 18;

/// The table: pieces in ascending order of their bytes, a continuation of a word marked with `##` in front.
struct Table {
    /// Where each piece's text begins in the file, and its length.
    pieces: Vec<(u32, u8)>,
    scales: &'static [[u8; 4]],
    rows: &'static [u8],
}

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(read)
}

fn read() -> Table {
    let word = |at: usize| u32::from_le_bytes(FILE[at..at + 4].try_into().expect("four bytes"));
    assert_eq!(
        &FILE[..MAGIC.len()],
        MAGIC,
        "the table is of another format"
    );
    let count = word(MAGIC.len()) as usize;
    assert_eq!(word(MAGIC.len() + 4) as usize, DIMENSIONS);
    let mut at = MAGIC.len() + 8;
    let mut pieces = Vec::with_capacity(count);
    for _ in 0..count {
        pieces.push((at as u32 + 1, FILE[at]));
        at += 1 + usize::from(FILE[at]);
    }
    let (scales, rows) = FILE[at..].split_at(4 * count);
    assert_eq!(rows.len(), count * DIMENSIONS);
    Table {
        pieces,
        scales: scales.as_chunks().0,
        rows,
    }
}

impl Table {
    fn text(&self, piece: usize) -> &'static [u8] {
        let (at, length) = self.pieces[piece];
        &FILE[at as usize..][..usize::from(length)]
    }

    fn find(&self, text: &[u8]) -> Option<usize> {
        let at = self
            .pieces
            .partition_point(|(at, length)| &FILE[*at as usize..][..usize::from(*length)] < text);
        (at < self.pieces.len() && self.text(at) == text).then_some(at)
    }

    fn add(&self, piece: usize, to: &mut [f64; DIMENSIONS]) {
        let scale = f64::from(f32::from_le_bytes(self.scales[piece]));
        let row = &self.rows[piece * DIMENSIONS..][..DIMENSIONS];
        for (sum, number) in to.iter_mut().zip(row) {
            *sum += scale * f64::from(*number as i8);
        }
    }
}

/// The vectors of the pieces of one word, added up. A word that cannot be put together from pieces has none.
pub(crate) fn of_word(words: &Words, word: &Word, to: &mut [f64; DIMENSIONS]) {
    let letters: Vec<char> = words.letters(word).iter().map(|c| plain(*c)).collect();
    let table = table();
    let mut found = Vec::new();
    let mut text = String::new();
    let mut from = 0;
    while from < letters.len() {
        let longest = letters.len().min(from + LONGEST);
        let piece = (from + 1..=longest).rev().find_map(|end| {
            text.clear();
            text.push_str(if from == 0 { "" } else { "##" });
            text.extend(&letters[from..end]);
            table.find(text.as_bytes()).map(|piece| (piece, end))
        });
        let Some((piece, end)) = piece else {
            return;
        };
        found.push(piece);
        from = end;
    }
    for piece in found {
        table.add(piece, to);
    }
}

fn sum(words: &Words) -> [f64; DIMENSIONS] {
    let mut sum = [0.0; DIMENSIONS];
    for word in &words.words {
        of_word(words, word, &mut sum);
    }
    sum
}

fn length(vector: &[f64; DIMENSIONS]) -> Option<f64> {
    let length = vector.iter().map(|v| v * v).sum::<f64>().sqrt();
    (length > 1e-9).then_some(length)
}

/// The place of a text as a vector of length 1; [`None`] where no word of it is known.
pub(crate) fn of_text(words: &Words) -> Option<[f64; DIMENSIONS]> {
    let sum = sum(words);
    length(&sum).map(|length| sum.map(|v| v / length))
}

/// What the sum of a text's words is divided by to give its place.
pub(crate) fn length_of(words: &Words) -> Option<f64> {
    length(&sum(words))
}

/// A letter without its accent: the table has no accents.
fn plain(c: char) -> char {
    const WITH: &str = "àáâãäåāăąçćčďèéêëēęěğìíîïīıłñńňòóôõöøōőřśşšťùúûüūůűýÿźżž";
    const WITHOUT: &str = "aaaaaaaaacccdeeeeeeegiiiiiilnnnoooooooorssstuuuuuuuyyzzz";
    if c.is_ascii() {
        return c;
    }
    WITH.chars()
        .zip(WITHOUT.chars())
        .find(|(with, _)| *with == c)
        .map_or(c, |(_, without)| without)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::words;

    fn nearness(a: &str, b: &str) -> f64 {
        let of = |text: &str| of_text(&words(text)).expect("known words");
        of(a).iter().zip(of(b)).map(|(x, y)| x * y).sum()
    }

    #[test]
    fn words_of_one_meaning_are_near_each_other() {
        let table = [
            ("reimbursement", "refund", "parcel"),
            (
                "the car is broken",
                "my vehicle does not work",
                "cheese recipes",
            ),
            ("attorney", "lawyer", "invoice"),
            ("Rechnung über 40 €", "Rechnung vom Mai", "hello there"),
        ];
        for (text, near, far) in table {
            assert!(nearness(text, near) > nearness(text, far) + 0.1, "{text}");
        }
        assert!((nearness("naïve café", "naive cafe") - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_text_of_unknown_signs_has_no_place() {
        for text in ["", "...", "\u{1f980}", "ŋŋŋ"] {
            assert!(
                of_text(&words(text)).is_none() && length_of(&words(text)).is_none(),
                "{text}"
            );
        }
    }

    #[test]
    fn every_piece_is_found_where_it_stands() {
        let table = table();
        for piece in (0..table.pieces.len()).step_by(97) {
            assert_eq!(table.find(table.text(piece)), Some(piece));
        }
        assert_eq!(table.find(b"notawordatall"), None);
        assert_eq!(table.find(&[0xff; 3]), None);
    }
}
