//! Which words of a text spoke for its label, and how much.

use std::collections::BTreeMap;

use crate::features::{Row, Words, occurrences};
use crate::meaning;

use super::Classifier;

/// Words named in an explanation.
const EXPLAINED_WORDS: usize = 8;

impl Classifier {
    /// Sums the parts of a word's features, its letters included: "refu" helps nobody, "refund" does.
    pub(super) fn explain(
        &self,
        text: &str,
        words: &Words,
        row: &Row,
        label: usize,
    ) -> Vec<(String, f64)> {
        let count = self.labels.len();
        let part_of = |at: usize| {
            let weights = &self.weights[row.ids[at] as usize * count..][..count];
            let mean = weights.iter().map(|w| f64::from(*w)).sum::<f64>() / count as f64;
            row.values[at] * (f64::from(weights[label]) - mean)
        };
        let mut found = occurrences(words);
        found.sort_unstable();
        let mut by_word: BTreeMap<String, f64> = BTreeMap::new();
        let mut at = 0;
        for same in found.chunk_by(|a, b| a.hash == b.hash) {
            let Ok(id) = self.vocabulary.hashes.binary_search(&same[0].hash) else {
                continue;
            };
            // Both lists ascend by hash, so one walk pairs them.
            while row.ids[at] as usize != id {
                at += 1;
            }
            let share = part_of(at) / same.len() as f64;
            for occurrence in same {
                let word = &words.words[occurrence.word as usize];
                *by_word
                    .entry(text[word.start..word.end].to_lowercase())
                    .or_default() += share;
            }
        }
        self.explain_meaning(text, words, label, &mut by_word);
        let mut out: Vec<(String, f64)> = by_word
            .into_iter()
            .filter(|(_, part)| *part != 0.0)
            .collect();
        out.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()).then_with(|| a.0.cmp(&b.0)));
        out.truncate(EXPLAINED_WORDS);
        out
    }

    /// The place by meaning is the sum of its words, so each word's part is its own share of the score.
    fn explain_meaning(
        &self,
        text: &str,
        words: &Words,
        label: usize,
        by_word: &mut BTreeMap<String, f64>,
    ) {
        let Some(length) = (self.meaning > 0.0)
            .then(|| meaning::length_of(words))
            .flatten()
        else {
            return;
        };
        let count = self.labels.len();
        let weights = &self.weights[self.vocabulary.hashes.len() * count..];
        let pull: Vec<f64> = weights
            .chunks_exact(count)
            .map(|of| {
                f64::from(of[label]) - of.iter().map(|w| f64::from(*w)).sum::<f64>() / count as f64
            })
            .collect();
        for word in &words.words {
            let mut vector = [0.0; meaning::DIMENSIONS];
            meaning::of_word(words, word, &mut vector);
            let part: f64 = vector.iter().zip(&pull).map(|(v, p)| v * p).sum();
            *by_word
                .entry(text[word.start..word.end].to_lowercase())
                .or_default() += f64::from(self.meaning) * part / length;
        }
    }
}
