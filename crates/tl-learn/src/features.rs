//! Text to numbers: words, pairs of neighbouring words, and runs of 2 to 5 characters inside a word, each known by
//! its 64-bit hash. A model therefore holds no text of the examples it learnt from.

use crate::numeric::ln;

/// Longest run of letters taken as one word; a longer one is cut into pieces, which keeps work per character bounded.
const WORD_CHARS: usize = 40;
/// Words read from one text. What follows in a longer text does not change its class.
const TEXT_WORDS: usize = 5_000;
const SHORTEST_RUN: usize = 2;
const LONGEST_RUN: usize = 5;

/// Where a hashed feature belongs: words and pairs of words, or runs of characters. Told apart by the lowest bit.
const CHARACTERS: u64 = 0;
const WORDS: u64 = 1;

const SEED_WORD: u64 = 0x5bd1_e995_7b7d_159c;
const SEED_PAIR: u64 = 0xc2b2_ae3d_27d4_eb4f;
const SEED_RUN: u64 = 0x1656_67b1_9e37_79f9;

/// One occurrence of a feature, and the word of the text it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Occurrence {
    pub(crate) hash: u64,
    pub(crate) word: u32,
}

/// The words of a text with everything the features are built from.
pub(crate) struct Words {
    letters: Vec<char>,
    /// Per word: its letters, and its bytes in the text.
    pub(crate) words: Vec<Word>,
}

pub(crate) struct Word {
    first: usize,
    last: usize,
    pub(crate) start: usize,
    pub(crate) end: usize,
    symbol: bool,
}

/// A sparse vector: features in ascending order of their number, and their weights.
#[derive(Debug, Clone, Default)]
pub(crate) struct Row {
    pub(crate) ids: Vec<u32>,
    pub(crate) values: Vec<f64>,
}

/// The features seen in training, in ascending order of hash, with their inverse document frequency.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Vocabulary {
    pub(crate) hashes: Vec<u64>,
    pub(crate) idf: Vec<f32>,
    /// Inverse document frequency of a feature that no example has.
    pub(crate) unknown_idf: f32,
}

/// Splits a text into words; a symbol that carries meaning (`?`, `€`, an emoji) is a word of its own.
pub(crate) fn words(text: &str) -> Words {
    let mut out = Words {
        letters: Vec::new(),
        words: Vec::new(),
    };
    let mut open = false;
    for (at, c) in text.char_indices() {
        let end = at + c.len_utf8();
        if !c.is_alphanumeric() {
            open = false;
            if is_meaningful_symbol(c) {
                out.push_word(at, end, true);
                out.push_letter(c, end);
            }
        } else {
            if !open || out.last_len() >= WORD_CHARS {
                out.push_word(at, end, false);
            }
            open = true;
            out.push_lower(c, end);
        }
        if out.words.len() > TEXT_WORDS {
            break;
        }
    }
    out.words.truncate(TEXT_WORDS);
    out
}

impl Words {
    /// The letters of a word, in lower case and with every digit as `0`.
    pub(crate) fn letters(&self, word: &Word) -> &[char] {
        &self.letters[word.first..word.last]
    }

    fn push_word(&mut self, start: usize, end: usize, symbol: bool) {
        let first = self.letters.len();
        self.words.push(Word {
            first,
            last: first,
            start,
            end,
            symbol,
        });
    }

    fn last_len(&self) -> usize {
        self.words.last().map_or(0, |w| w.last - w.first)
    }

    fn push_lower(&mut self, c: char, end: usize) {
        if c.is_ascii() {
            // Digits are one letter: which number it is says less than that there is one, and how long it is.
            let c = if c.is_ascii_digit() {
                '0'
            } else {
                c.to_ascii_lowercase()
            };
            self.push_letter(c, end);
        } else {
            for lower in c.to_lowercase() {
                self.push_letter(lower, end);
            }
        }
    }

    fn push_letter(&mut self, c: char, end: usize) {
        self.letters.push(c);
        let last = self.letters.len();
        if let Some(word) = self.words.last_mut() {
            word.last = last;
            word.end = end;
        }
    }
}

fn is_meaningful_symbol(c: char) -> bool {
    match c {
        '?' | '!' | '$' | '%' => true,
        _ if c.is_ascii() || c.is_whitespace() || c.is_control() => false,
        // Typographic punctuation and invisible marks, as opposed to currency signs and pictures.
        '\u{00a1}'..='\u{00bf}' => c == '£' || c == '¥',
        '\u{2000}'..='\u{206f}' | '\u{3000}'..='\u{303f}' | '\u{fe00}'..='\u{feff}' => false,
        _ => true,
    }
}

/// All features of a text, in reading order.
pub(crate) fn occurrences(words: &Words) -> Vec<Occurrence> {
    let mut out = Vec::with_capacity(words.letters.len() * 4 + words.words.len() * 2);
    let mut before: Option<u64> = None;
    for (index, word) in words.words.iter().enumerate() {
        let letters = words.letters(word);
        let number = index as u32;
        let own = hash_letters(SEED_WORD, letters);
        out.push(tagged(own, WORDS, number));
        if let Some(previous) = before {
            let pair = step(step(SEED_PAIR, previous), own);
            out.push(tagged(pair, WORDS, number));
        }
        before = Some(own);
        if !word.symbol {
            push_runs(letters, number, &mut out);
        }
    }
    out
}

/// Runs of characters of one word, with a blank at each end so that beginnings and endings are features too.
fn push_runs(letters: &[char], word: u32, out: &mut Vec<Occurrence>) {
    let padded = letters.len() + 2;
    let mut from = 0;
    while from + SHORTEST_RUN <= padded {
        let mut hash = SEED_RUN;
        let mut length = 1;
        while length <= LONGEST_RUN && from + length <= padded {
            let at = from + length - 1;
            let c = if at == 0 || at + 1 == padded {
                ' '
            } else {
                letters[at - 1]
            };
            hash = step(hash, u64::from(u32::from(c)));
            if length >= SHORTEST_RUN {
                out.push(tagged(hash, CHARACTERS, word));
            }
            length += 1;
        }
        from += 1;
    }
}

fn hash_letters(seed: u64, letters: &[char]) -> u64 {
    let mut hash = seed;
    let mut i = 0;
    while i < letters.len() {
        hash = step(hash, u64::from(u32::from(letters[i])));
        i += 1;
    }
    hash
}

fn step(hash: u64, value: u64) -> u64 {
    let mixed = (hash ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 29)
}

fn tagged(hash: u64, block: u64, word: u32) -> Occurrence {
    let mixed = (hash ^ (hash >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    Occurrence {
        hash: ((mixed ^ (mixed >> 32)) & !1) | block,
        word,
    }
}

/// The distinct features of a text in ascending order of hash, with `1 + ln(count)`.
pub(crate) fn counted(words: &Words) -> Vec<(u64, f64)> {
    let mut hashes: Vec<u64> = occurrences(words).iter().map(|o| o.hash).collect();
    hashes.sort_unstable();
    let mut out: Vec<(u64, f64)> = Vec::with_capacity(hashes.len());
    let mut i = 0;
    while i < hashes.len() {
        let mut j = i + 1;
        while j < hashes.len() && hashes[j] == hashes[i] {
            j += 1;
        }
        let weight = if j - i == 1 {
            1.0
        } else {
            1.0 + ln((j - i) as f64)
        };
        out.push((hashes[i], weight));
        i = j;
    }
    out
}

impl Vocabulary {
    /// Learns the features of these texts and how rare each is.
    pub(crate) fn learn(texts: &[Vec<(u64, f64)>]) -> Vocabulary {
        let total: usize = texts.iter().map(Vec::len).sum();
        let mut all = Vec::with_capacity(total);
        for text in texts {
            all.extend(text.iter().map(|(hash, _)| *hash));
        }
        all.sort_unstable();
        let count = texts.len() as f64;
        let idf_of = |seen: usize| (ln((1.0 + count) / (1.0 + seen as f64)) + 1.0) as f32;
        let by_count: Vec<f32> = (0..=texts.len()).map(idf_of).collect();
        let mut out = Vocabulary {
            hashes: Vec::new(),
            idf: Vec::new(),
            unknown_idf: by_count[0],
        };
        let mut i = 0;
        while i < all.len() {
            let mut j = i + 1;
            while j < all.len() && all[j] == all[i] {
                j += 1;
            }
            out.hashes.push(all[i]);
            out.idf.push(by_count[j - i]);
            i = j;
        }
        out
    }

    /// The weighted vector of a text. Words and characters each carry half of the length; features that training
    /// never saw have no number but do count in the length, so a mostly unknown text gets a short vector, small
    /// scores and a low confidence.
    pub(crate) fn row(&self, counted: &[(u64, f64)]) -> Row {
        let mut row = Row::default();
        let mut squares = [0.0f64; 2];
        let mut blocks = Vec::with_capacity(counted.len());
        for &(hash, weight) in counted {
            let block = (hash & 1) as usize;
            let found = self.hashes.binary_search(&hash);
            let idf = found.map_or(self.unknown_idf, |id| self.idf[id]);
            let value = weight * f64::from(idf);
            squares[block] += value * value;
            if let Ok(id) = found {
                row.ids.push(id as u32);
                row.values.push(value);
                blocks.push(block);
            }
        }
        let scale = squares.map(|s| if s > 0.0 { (0.5 / s).sqrt() } else { 0.0 });
        for (value, block) in row.values.iter_mut().zip(&blocks) {
            *value *= scale[*block];
        }
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_their_place_and_symbols_stand_alone() {
        let text = "Wo ist Müllers Paket? 🚚";
        let seen: Vec<&str> = words(text)
            .words
            .iter()
            .map(|w| &text[w.start..w.end])
            .collect();
        assert_eq!(seen, ["Wo", "ist", "Müllers", "Paket", "?", "🚚"]);
    }

    #[test]
    fn a_long_run_of_letters_is_cut_and_a_long_text_is_bounded() {
        assert_eq!(words(&"x".repeat(100)).words.len(), 3);
        assert_eq!(words(&"ab ".repeat(20_000)).words.len(), TEXT_WORDS);
    }

    #[test]
    fn an_unknown_text_has_a_shorter_vector() {
        let seen = vec![
            counted(&words("refund my order")),
            counted(&words("where is my parcel")),
        ];
        let vocabulary = Vocabulary::learn(&seen);
        let length = |text: &str| -> f64 {
            let row = vocabulary.row(&counted(&words(text)));
            row.values.iter().map(|v| v * v).sum()
        };
        assert!((length("refund my order") - 1.0).abs() < 1e-9);
        let half = length("refund zzqy");
        assert!(half > 0.0 && half < 0.8, "{half}");
        assert_eq!(length("ŷŷŷ"), 0.0);
    }
}
