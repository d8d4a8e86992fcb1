//! A classifier as bytes, and back.

use crate::features::Vocabulary;
use crate::meaning::DIMENSIONS;

use super::{Classifier, HeldBack, MOST_WEIGHTS};

/// Why bytes are not a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAModel(&'static str);

impl std::fmt::Display for NotAModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "not a classifier model: {}", self.0)
    }
}

impl std::error::Error for NotAModel {}

impl Classifier {
    /// The model as bytes; the same model always gives the same bytes, so their digest identifies it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        put_count(&mut out, self.labels.len());
        put_count(&mut out, self.vocabulary.hashes.len());
        for label in &self.labels {
            put_count(&mut out, label.len());
            out.extend_from_slice(label.as_bytes());
        }
        let held = self.held_back;
        put_count(&mut out, held.examples);
        for number in [
            self.temperature,
            self.least_familiar,
            held.accuracy,
            held.ece_before,
            held.ece_after,
        ] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for number in [self.vocabulary.unknown_idf, self.meaning] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for hash in &self.vocabulary.hashes {
            out.extend_from_slice(&hash.to_le_bytes());
        }
        for number in self.vocabulary.idf.iter().chain(&self.weights) {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out
    }

    /// Reads what [`Classifier::to_bytes`] wrote; anything else, including trailing bytes, is an error.
    pub fn from_bytes(bytes: &[u8]) -> Result<Classifier, NotAModel> {
        let mut from = Reader { bytes };
        if from.take(MAGIC.len())? != MAGIC {
            return Err(NotAModel("unknown format"));
        }
        let (label_count, feature_count) = (from.count()?, from.count()?);
        if label_count < 2 || label_count.saturating_mul(feature_count) > MOST_WEIGHTS {
            return Err(NotAModel("impossible size"));
        }
        let mut labels = Vec::new();
        for _ in 0..label_count {
            let length = from.count()?;
            let label = std::str::from_utf8(from.take(length)?);
            labels.push(
                label
                    .map_err(|_| NotAModel("label is not text"))?
                    .to_owned(),
            );
        }
        let examples = from.count()?;
        let temperature = from.f64()?;
        let least_familiar = from.f64()?;
        let [accuracy, ece_before, ece_after] = [from.f64()?, from.f64()?, from.f64()?];
        let (unknown_idf, meaning) = (from.f32s(1)?[0], from.f32s(1)?[0]);
        if !(0.0..=10.0).contains(&meaning) {
            return Err(NotAModel("damaged content"));
        }
        let places = if meaning > 0.0 { DIMENSIONS } else { 0 };
        let hashes: Vec<u64> = from.array(feature_count, u64::from_le_bytes)?;
        let idf = from.f32s(feature_count)?;
        let weights = from.f32s((feature_count + places) * label_count)?;
        let sorted = labels.is_sorted_by(|a, b| a < b) && hashes.is_sorted_by(|a, b| a < b);
        let finite = [temperature, least_familiar, accuracy, ece_before, ece_after]
            .iter()
            .all(|v| v.is_finite());
        if !from.bytes.is_empty() || !sorted || !finite || temperature <= 0.0 {
            return Err(NotAModel("damaged content"));
        }
        Ok(Classifier {
            labels,
            vocabulary: Vocabulary {
                hashes,
                idf,
                unknown_idf,
            },
            meaning,
            weights,
            temperature,
            least_familiar,
            held_back: HeldBack {
                examples,
                accuracy,
                ece_before,
                ece_after,
            },
        })
    }
}

const MAGIC: &[u8] = b"throughline classifier 2\n";

fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&(count as u32).to_le_bytes());
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], NotAModel> {
        let (head, rest) = self
            .bytes
            .split_at_checked(count)
            .ok_or(NotAModel("cut short"))?;
        self.bytes = rest;
        Ok(head)
    }

    fn array<const N: usize, T>(
        &mut self,
        count: usize,
        read: fn([u8; N]) -> T,
    ) -> Result<Vec<T>, NotAModel> {
        let bytes = self.take(count.saturating_mul(N))?;
        Ok(bytes
            .as_chunks::<N>()
            .0
            .iter()
            .map(|chunk| read(*chunk))
            .collect())
    }

    fn count(&mut self) -> Result<usize, NotAModel> {
        Ok(self.array(1, u32::from_le_bytes)?[0] as usize)
    }

    fn f64(&mut self) -> Result<f64, NotAModel> {
        Ok(self.array(1, f64::from_le_bytes)?[0])
    }

    fn f32s(&mut self, count: usize) -> Result<Vec<f32>, NotAModel> {
        let out = self.array(count, f32::from_le_bytes)?;
        let finite = out.iter().all(|v| v.is_finite());
        if finite {
            Ok(out)
        } else {
            Err(NotAModel("number out of range"))
        }
    }
}
