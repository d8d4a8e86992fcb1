//! From scores to probabilities that mean what they say, and how well they do: temperature, Platt and isotonic
//! calibration; expected calibration error and Brier score.
//!
//! Which one to use: temperature from about 30 reviewed cases on (it needs all scores of a case), Platt for a model
//! that only states one number, isotonic from about 1,000 cases on.

use crate::numeric::{exp, golden_section, ln, softmax};

/// Range in which a temperature is searched.
pub const TEMPERATURE_RANGE: (f64, f64) = (0.05, 10.0);

/// One case with a known answer: the score of every label (log-probabilities or logits) and the right label's number.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// One score per label, in a fixed order.
    pub scores: Vec<f64>,
    /// Position of the right label in `scores`.
    pub label: usize,
}

/// The temperature under which `softmax(scores / temperature)` gives the right labels the highest likelihood, within
/// [`TEMPERATURE_RANGE`].
///
/// Targets are smoothed by one imagined error among `n + 2` cases, so a handful of faultless cases does not lead to
/// certainty. No cases, or cases with fewer than two scores, give 1.
pub fn fit_temperature(cases: &[Scored]) -> f64 {
    if !cases.iter().any(|c| c.scores.len() > 1) {
        return 1.0;
    }
    let smoothing = 1.0 / (cases.len() as f64 + 2.0);
    let (low, high) = TEMPERATURE_RANGE;
    // The likelihood has one valley in ln T. Where it is flat (cases that say nothing), the pull towards 1 decides.
    let at = golden_section(ln(low), ln(high), |t| {
        smoothed_loss(cases, exp(t), smoothing) + 1e-3 * t * t
    });
    exp(at).clamp(low, high)
}

fn smoothed_loss(cases: &[Scored], temperature: f64, smoothing: f64) -> f64 {
    let mut room = Vec::new();
    let mut loss = 0.0;
    for case in cases {
        let count = case.scores.len();
        if count < 2 || case.label >= count {
            continue;
        }
        let normaliser = softmax(&case.scores, temperature, &mut room);
        let elsewhere = smoothing / (count as f64 - 1.0);
        let total: f64 = case.scores.iter().sum();
        let right = case.scores[case.label];
        let weighted = (1.0 - smoothing) * right + elsewhere * (total - right);
        loss += normaliser - weighted / temperature;
    }
    loss
}

/// Probabilities of the labels at a temperature.
pub fn apply_temperature(scores: &[f64], temperature: f64) -> Vec<f64> {
    let mut out = Vec::with_capacity(scores.len());
    if !scores.is_empty() {
        softmax(scores, temperature, &mut out);
    }
    out
}

/// A stated confidence and whether the answer it came with was right.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// Between 0 and 1.
    pub confidence: f64,
    /// Whether a person found the answer right.
    pub right: bool,
}

/// Platt's map: `1 / (1 + e^-(slope * logit(confidence) + offset))`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Platt {
    /// Factor on the log-odds; 1 leaves them as they are.
    pub slope: f64,
    /// Added to the log-odds.
    pub offset: f64,
}

impl Platt {
    /// Fits by Newton with smoothed targets and a weak pull towards the identity (slope 1, offset 0).
    pub fn fit(cases: &[Judged]) -> Platt {
        let right = cases.iter().filter(|c| c.right).count() as f64;
        let wrong = cases.len() as f64 - right;
        let (high, low) = ((right + 1.0) / (right + 2.0), 1.0 / (wrong + 2.0));
        let points: Vec<(f64, f64)> = cases
            .iter()
            .map(|c| (logit(c.confidence), if c.right { high } else { low }))
            .collect();
        let mut at = Platt {
            slope: 1.0,
            offset: 0.0,
        };
        let mut loss = at.loss(&points);
        for _ in 0..100 {
            let Some((slope, offset)) = at.newton_step(&points) else {
                break;
            };
            let mut length = 1.0;
            let mut next = at;
            while length > 1e-6 {
                next = Platt {
                    slope: at.slope - length * slope,
                    offset: at.offset - length * offset,
                };
                if next.loss(&points) <= loss {
                    break;
                }
                length *= 0.5;
            }
            let next_loss = next.loss(&points);
            if next_loss > loss {
                break;
            }
            (at, loss) = (next, next_loss);
            if length * (slope.abs() + offset.abs()) < 1e-12 {
                break;
            }
        }
        at
    }

    /// The calibrated probability of a stated confidence.
    pub fn apply(&self, confidence: f64) -> f64 {
        sigmoid(self.slope * logit(confidence) + self.offset)
    }

    fn loss(&self, points: &[(f64, f64)]) -> f64 {
        let mut sum =
            0.5 * (self.slope - 1.0) * (self.slope - 1.0) + 0.05 * self.offset * self.offset;
        for &(x, target) in points {
            let z = self.slope * x + self.offset;
            // ln(1 + e^z) - target z, without overflow.
            sum += z.max(0.0) + ln(1.0 + exp(-z.abs())) - target * z;
        }
        sum
    }

    fn newton_step(&self, points: &[(f64, f64)]) -> Option<(f64, f64)> {
        let (mut g_slope, mut g_offset) = (self.slope - 1.0, 0.1 * self.offset);
        let (mut h_slope, mut h_both, mut h_offset) = (1.0, 0.0, 0.1);
        for &(x, target) in points {
            let p = sigmoid(self.slope * x + self.offset);
            let curve = p * (1.0 - p);
            g_slope += (p - target) * x;
            g_offset += p - target;
            h_slope += curve * x * x;
            h_both += curve * x;
            h_offset += curve;
        }
        let determinant = h_slope * h_offset - h_both * h_both;
        (determinant > 1e-12).then(|| {
            (
                (h_offset * g_slope - h_both * g_offset) / determinant,
                (h_slope * g_offset - h_both * g_slope) / determinant,
            )
        })
    }
}

fn logit(p: f64) -> f64 {
    let p = if p.is_nan() {
        0.5
    } else {
        p.clamp(1e-6, 1.0 - 1e-6)
    };
    ln(p) - ln(1.0 - p)
}

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + exp(-z))
}

/// A rising step function from stated confidence to the share that was right.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Isotonic {
    /// Steps in ascending order: the mean confidence of a pool and the share of it that was right.
    pub steps: Vec<(f64, f64)>,
}

impl Isotonic {
    /// Fits by pooling neighbours that are out of order.
    pub fn fit(cases: &[Judged]) -> Isotonic {
        let mut sorted: Vec<Judged> = cases
            .iter()
            .copied()
            .filter(|c| !c.confidence.is_nan())
            .collect();
        sorted.sort_by(|a, b| a.confidence.total_cmp(&b.confidence));
        // Per pool: cases, right ones, sum of confidences.
        let mut pools: Vec<(f64, f64, f64)> = Vec::new();
        let mut last = f64::NAN;
        for case in sorted {
            let right = f64::from(u8::from(case.right));
            if case.confidence == last {
                // Equal confidences can only have one answer, so they are one pool from the start.
                let pool = pools.last_mut().expect("a last confidence means a pool");
                *pool = (pool.0 + 1.0, pool.1 + right, pool.2 + case.confidence);
            } else {
                settle(&mut pools);
                pools.push((1.0, right, case.confidence));
            }
            last = case.confidence;
        }
        settle(&mut pools);
        Isotonic {
            steps: pools.iter().map(|(n, k, sum)| (sum / n, k / n)).collect(),
        }
    }

    /// The calibrated probability: straight lines between the steps, flat beyond the first and last. With no case
    /// fitted, the confidence itself.
    pub fn apply(&self, confidence: f64) -> f64 {
        let after = self.steps.partition_point(|(x, _)| *x < confidence);
        match (
            after.checked_sub(1).map(|i| self.steps[i]),
            self.steps.get(after),
        ) {
            (None, None) => confidence,
            (Some((_, y)), None) => y,
            (None, Some((_, y))) => *y,
            (Some((x0, y0)), Some((x1, y1))) => y0 + (y1 - y0) * (confidence - x0) / (x1 - x0),
        }
    }
}

/// Reviewed cases from which on a stated confidence is corrected at all.
const ENOUGH_FOR_PLATT: usize = 30;
/// Reviewed cases from which on the correction may have any rising shape.
const ENOUGH_FOR_ISOTONIC: usize = 1_000;

/// The correction of stated confidences that so many reviewed cases can carry.
#[derive(Debug, Clone, PartialEq)]
pub enum Correction {
    /// Too few reviewed cases: confidences stay as stated.
    AsStated,
    /// Platt's two numbers.
    Platt(Platt),
    /// Any rising step function.
    Isotonic(Isotonic),
}

impl Correction {
    /// Fits to reviewed cases: nothing below 30, Platt below 1,000, isotonic from there on. Where all scores of a case
    /// are known, a temperature is better than any of them; see [`fit_temperature`].
    pub fn fit(cases: &[Judged]) -> Correction {
        match cases.len() {
            0..ENOUGH_FOR_PLATT => Correction::AsStated,
            ENOUGH_FOR_PLATT..ENOUGH_FOR_ISOTONIC => Correction::Platt(Platt::fit(cases)),
            _ => Correction::Isotonic(Isotonic::fit(cases)),
        }
    }

    /// The corrected confidence.
    pub fn apply(&self, confidence: f64) -> f64 {
        match self {
            Correction::AsStated => confidence,
            Correction::Platt(map) => map.apply(confidence),
            Correction::Isotonic(map) => map.apply(confidence),
        }
    }
}

/// Merges the last pools while the earlier one has the larger (or equal) share of right answers.
fn settle(pools: &mut Vec<(f64, f64, f64)>) {
    while let [.., a, b] = pools.as_slice() {
        if a.1 / a.0 < b.1 / b.0 {
            return;
        }
        let merged = (a.0 + b.0, a.1 + b.1, a.2 + b.2);
        pools.pop();
        pools.pop();
        pools.push(merged);
    }
}

/// One bar of a reliability table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bin {
    /// Cases whose confidence fell into this fifteenth of [0, 1].
    pub cases: usize,
    /// Their mean confidence (0 without cases).
    pub confidence: f64,
    /// The share of them that was right (0 without cases).
    pub right: f64,
}

/// The reliability table: fifteen equal bins over [0, 1].
pub fn reliability(cases: &[Judged]) -> [Bin; 15] {
    let mut sums = [(0usize, 0.0f64, 0usize); 15];
    for case in cases.iter().filter(|c| !c.confidence.is_nan()) {
        let p = case.confidence.clamp(0.0, 1.0);
        let bin = &mut sums[((p * 15.0) as usize).min(14)];
        *bin = (bin.0 + 1, bin.1 + p, bin.2 + usize::from(case.right));
    }
    sums.map(|(cases, confidence, right)| {
        let n = cases.max(1) as f64;
        Bin {
            cases,
            confidence: confidence / n,
            right: right as f64 / n,
        }
    })
}

/// Expected calibration error over fifteen bins: the mean gap between stated confidence and share right. Even a
/// perfectly calibrated model scores about 0.04 on 200 cases and 0.012 on 2,000. No cases give 0.
pub fn ece(cases: &[Judged]) -> f64 {
    let bins = reliability(cases);
    let total: usize = bins.iter().map(|b| b.cases).sum();
    bins.iter()
        .map(|b| (b.confidence - b.right).abs() * b.cases as f64)
        .sum::<f64>()
        / total.max(1) as f64
}

/// Brier score of "the answer is right": mean squared gap between confidence and outcome; 0 is perfect, and 0 without
/// cases.
pub fn brier(cases: &[Judged]) -> f64 {
    let gap = |c: &Judged| c.confidence - f64::from(u8::from(c.right));
    cases.iter().map(|c| gap(c) * gap(c)).sum::<f64>() / cases.len().max(1) as f64
}
