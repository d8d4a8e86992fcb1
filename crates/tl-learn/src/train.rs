//! Fits multinomial logistic regression with a squared penalty, one example at a time in the dual: each visit solves
//! exactly for that example with all others held still. No step size, no randomness; the order of visits is fixed.

use crate::features::Row;
use crate::numeric::{exp, ln};

/// How hard and how long to fit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// Weight of the examples against the penalty (larger: closer fit).
    pub(crate) strength: f64,
    /// Stop when no example's share moved by more than this in a pass (1 = a whole example).
    pub(crate) tolerance: f64,
    pub(crate) passes: usize,
}

/// The examples as vectors, with the number of each one's label.
pub(crate) struct Problem<'a> {
    pub(crate) rows: &'a [Row],
    pub(crate) labels: &'a [usize],
    pub(crate) label_count: usize,
    pub(crate) feature_count: usize,
}

/// Per example and label, how much of the example's vector is in the label's weights.
#[derive(Clone)]
pub(crate) struct Shares {
    values: Vec<f64>,
}

/// The fitted weights, one block of `stride` numbers per feature (label count rounded up to a multiple of eight). Single
/// precision is far finer than the tolerance of a fit, and half the work.
pub(crate) struct Weights {
    pub(crate) values: Vec<f32>,
    pub(crate) stride: usize,
}

const LANES: usize = 8;

/// An example that moved by less than this part of the tolerance rests for the next passes.
const QUIET: f64 = 0.3;
/// Most passes that an example rests; each quiet visit doubles its rest up to here.
const LONGEST_REST: u8 = 8;

/// Which examples have settled and need not be visited in every pass.
struct Rest {
    /// Per example: passes still to rest, and how long its last rest was.
    of: Vec<(u8, u8)>,
}

impl Rest {
    fn new(count: usize) -> Rest {
        Rest {
            of: vec![(0, 0); count],
        }
    }

    fn is_due(&mut self, member: usize) -> bool {
        let (left, _) = &mut self.of[member];
        let due = *left == 0;
        *left = left.saturating_sub(1);
        due
    }

    fn after(&mut self, member: usize, quiet: bool) {
        let (_, last) = self.of[member];
        let next = if quiet {
            (2 * last).clamp(1, LONGEST_REST)
        } else {
            0
        };
        self.of[member] = (next, next);
    }
}

pub(crate) fn stride_of(label_count: usize) -> usize {
    label_count.div_ceil(LANES) * LANES
}

impl Problem<'_> {
    pub(crate) fn no_shares(&self) -> Shares {
        Shares {
            values: vec![0.0; self.rows.len() * stride_of(self.label_count)],
        }
    }

    /// Fits on the rows named by `members`, starting from `shares` (rows that are not members must have none).
    pub(crate) fn fit(&self, members: &[usize], shares: &mut Shares, effort: Effort) -> Weights {
        let stride = stride_of(self.label_count);
        let mut weights = Weights {
            values: vec![0.0; self.feature_count * stride],
            stride,
        };
        for &member in members {
            let share = &shares.values[member * stride..(member + 1) * stride];
            if share.iter().any(|s| *s != 0.0) {
                let share: Vec<f32> = share.iter().map(|s| *s as f32).collect();
                weights.add(&self.rows[member], &share);
            }
        }
        let squares: Vec<f64> = self
            .rows
            .iter()
            .map(|r| dot(&r.values, &r.values))
            .collect();
        let order = visiting_order(members);
        let mut scratch = Scratch::new(stride, effort);
        let mut rest = Rest::new(self.rows.len());
        for _ in 0..effort.passes {
            let mut largest = 0.0f64;
            let mut rested = false;
            for &member in &order {
                let square = squares[member];
                if square == 0.0 {
                    continue;
                }
                if rest.is_due(member) {
                    let share = &mut shares.values[member * stride..(member + 1) * stride];
                    let moved = self.visit(member, square, share, (&mut weights, &mut scratch));
                    rest.after(member, moved <= QUIET * effort.tolerance);
                    largest = largest.max(moved);
                } else {
                    rested = true;
                }
            }
            if largest <= effort.tolerance {
                if !rested {
                    break;
                }
                // Those that rested are asked once more before it is over.
                rest = Rest::new(self.rows.len());
            }
        }
        weights
    }

    /// Solves for one example; returns how far its shares moved.
    fn visit(
        &self,
        member: usize,
        square: f64,
        share: &mut [f64],
        state: (&mut Weights, &mut Scratch),
    ) -> f64 {
        let (weights, scratch) = state;
        let effort = scratch.effort;
        let row = &self.rows[member];
        weights.score(row, &mut scratch.narrow);
        let mut i = 0;
        while i < self.label_count {
            scratch.scores[i] = f64::from(scratch.narrow[i]);
            scratch.others[i] = scratch.scores[i] - square * share[i];
            i += 1;
        }
        scratch.solve(
            self.labels[member],
            self.label_count,
            square * effort.strength,
        );
        let mut moved = 0.0f64;
        i = 0;
        while i < self.label_count {
            let next = (scratch.scores[i] - scratch.others[i]) / square;
            scratch.change[i] = next - share[i];
            moved = moved.max(scratch.change[i].abs());
            i += 1;
        }
        let moved = moved / effort.strength;
        // A move far below the tolerance is not worth touching the weights for.
        if moved > 0.05 * effort.tolerance {
            i = 0;
            while i < self.label_count {
                share[i] += scratch.change[i];
                scratch.narrow[i] = scratch.change[i] as f32;
                i += 1;
            }
            weights.add(row, &scratch.narrow);
        }
        moved
    }
}

impl Shares {
    /// Forgets the rows that are not in a fit, so that nothing of them can leak into it.
    pub(crate) fn keep_only(&mut self, stride: usize, keep: &[bool]) {
        for (row, kept) in keep.iter().enumerate() {
            if !kept {
                self.values[row * stride..(row + 1) * stride].fill(0.0);
            }
        }
    }
}

impl Weights {
    /// Scores of a row, one per label, written to `out`.
    pub(crate) fn score(&self, row: &Row, out: &mut [f32]) {
        out.fill(0.0);
        let (weights, _) = self.values.as_chunks::<LANES>();
        let (out, _) = out.as_chunks_mut::<LANES>();
        let (ids, values) = (&row.ids[..], &row.values[..]);
        let blocks = self.stride / LANES;
        // Plain index loops: this is where training spends its time, and in an unoptimised build an iterator costs
        // several times the arithmetic.
        let mut i = 0;
        while i < ids.len() {
            let value = values[i] as f32;
            let base = ids[i] as usize * blocks;
            let mut b = 0;
            while b < blocks {
                add_times(&mut out[b], value, &weights[base + b]);
                b += 1;
            }
            i += 1;
        }
    }

    fn add(&mut self, row: &Row, change: &[f32]) {
        let blocks = self.stride / LANES;
        let (weights, _) = self.values.as_chunks_mut::<LANES>();
        let (change, _) = change.as_chunks::<LANES>();
        let (ids, values) = (&row.ids[..], &row.values[..]);
        let mut i = 0;
        while i < ids.len() {
            let value = values[i] as f32;
            let base = ids[i] as usize * blocks;
            let mut b = 0;
            while b < blocks {
                add_times(&mut weights[base + b], value, &change[b]);
                b += 1;
            }
            i += 1;
        }
    }
}

/// `to += value * what`, lane by lane and written out for the same reason.
#[inline]
fn add_times(to: &mut [f32; LANES], value: f32, what: &[f32; LANES]) {
    to[0] += value * what[0];
    to[1] += value * what[1];
    to[2] += value * what[2];
    to[3] += value * what[3];
    to[4] += value * what[4];
    to[5] += value * what[5];
    to[6] += value * what[6];
    to[7] += value * what[7];
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// Spreads visits over the examples (files are often sorted by label, and visiting a label in one run is slow to
/// settle): every k-th, with k near the golden section of the count and without a common factor.
fn visiting_order(members: &[usize]) -> Vec<usize> {
    let count = members.len();
    let mut step = ((count as f64) * 0.618_033_988_749_895) as usize;
    step = step.max(1);
    while gcd(step, count) != 1 {
        step += 1;
    }
    (0..count).map(|i| members[(i * step) % count]).collect()
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Room for one visit.
struct Scratch {
    effort: Effort,
    /// Scores or changes in the precision of the weights.
    narrow: Vec<f32>,
    /// The example's scores; after `solve`, its scores at the optimum.
    scores: Vec<f64>,
    /// Its scores without its own share.
    others: Vec<f64>,
    change: Vec<f64>,
    probability: Vec<f64>,
    direction: Vec<f64>,
    trial: Vec<f64>,
}

impl Scratch {
    fn new(stride: usize, effort: Effort) -> Scratch {
        let zeros = vec![0.0; stride];
        Scratch {
            effort,
            narrow: vec![0.0; stride],
            scores: zeros.clone(),
            others: zeros.clone(),
            change: zeros.clone(),
            probability: zeros.clone(),
            direction: zeros.clone(),
            trial: zeros,
        }
    }

    /// Minimises `|u - others|^2 / (2 pull) + logsumexp(u) - u[label]` over `u`, starting at `scores`, by Newton with
    /// halving. The second derivative is a diagonal minus one outer product, so a step needs no matrix.
    fn solve(&mut self, label: usize, count: usize, pull: f64) {
        // Far below what counts as a move; closer would be work for nothing.
        let enough = (1e-2 * self.effort.tolerance).max(1e-10);
        let mut value = self.objective(false, label, count, pull);
        for _ in 0..20 {
            let mut top = 0.0;
            let mut bottom = 1.0;
            let mut steepest = 0.0f64;
            let mut i = 0;
            while i < count {
                let p = self.probability[i];
                let target = if i == label { 1.0 } else { 0.0 };
                let gradient = (self.scores[i] - self.others[i]) / pull + p - target;
                steepest = steepest.max(gradient.abs());
                let diagonal = 1.0 / pull + p;
                self.direction[i] = gradient / diagonal;
                top += p * gradient / diagonal;
                bottom -= p * p / diagonal;
                i += 1;
            }
            if steepest < enough {
                return;
            }
            i = 0;
            while i < count {
                let p = self.probability[i];
                self.direction[i] += p / (1.0 / pull + p) * top / bottom;
                i += 1;
            }
            let mut length = 1.0;
            loop {
                i = 0;
                while i < count {
                    self.trial[i] = self.scores[i] - length * self.direction[i];
                    i += 1;
                }
                let next = self.objective(true, label, count, pull);
                if next <= value || length < 1e-4 {
                    value = next;
                    break;
                }
                length *= 0.5;
            }
            self.scores[..count].copy_from_slice(&self.trial[..count]);
        }
    }

    /// The function `solve` minimises, at `scores` or at `trial`; leaves the probabilities there in `probability`.
    fn objective(&mut self, at_trial: bool, label: usize, count: usize, pull: f64) -> f64 {
        let at = if at_trial {
            &self.trial[..]
        } else {
            &self.scores[..]
        };
        let probability = &mut self.probability[..];
        let others = &self.others[..];
        let mut highest = at[0];
        let mut i = 1;
        while i < count {
            highest = highest.max(at[i]);
            i += 1;
        }
        let (mut total, mut distance) = (0.0, 0.0);
        i = 0;
        while i < count {
            let e = exp(at[i] - highest);
            probability[i] = e;
            total += e;
            let d = at[i] - others[i];
            distance += d * d;
            i += 1;
        }
        i = 0;
        while i < count {
            probability[i] /= total;
            i += 1;
        }
        0.5 * distance / pull + highest + ln(total) - at[label]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem_rows() -> (Vec<Row>, Vec<usize>) {
        let mut rows = Vec::new();
        let mut labels = Vec::new();
        for i in 0..60usize {
            let label = i % 3;
            let ids = vec![label as u32, 3 + (i % 7) as u32, 10 + (i * i % 5) as u32];
            let values = vec![0.3, 0.8, 0.5];
            rows.push(Row { ids, values });
            labels.push(if i % 11 == 0 { (label + 1) % 3 } else { label });
        }
        (rows, labels)
    }

    /// At the optimum the weights are exactly `strength * sum (target - probability) * x`.
    #[test]
    fn the_fit_meets_the_optimality_condition() {
        let (rows, labels) = problem_rows();
        let problem = Problem {
            rows: &rows,
            labels: &labels,
            label_count: 3,
            feature_count: 15,
        };
        let effort = Effort {
            strength: 10.0,
            tolerance: 1e-6,
            passes: 5_000,
        };
        let members: Vec<usize> = (0..rows.len()).collect();
        let weights = problem.fit(&members, &mut problem.no_shares(), effort);
        let mut expected = Weights {
            values: vec![0.0; 15 * LANES],
            stride: LANES,
        };
        for (row, label) in rows.iter().zip(&labels) {
            let mut scores = vec![0.0; LANES];
            weights.score(row, &mut scores);
            let total: f32 = scores[..3].iter().map(|s| s.exp()).sum();
            let mut pull = [0.0; LANES];
            for k in 0..3 {
                let target = if k == *label { 1.0 } else { 0.0 };
                pull[k] = 10.0 * (target - scores[k].exp() / total);
            }
            expected.add(row, &pull);
        }
        for (got, want) in weights.values.iter().zip(&expected.values) {
            assert!((got - want).abs() < 1e-3, "{got} {want}");
        }
    }

    #[test]
    fn every_member_is_visited_once() {
        for count in [1usize, 2, 3, 10, 97, 100] {
            let members: Vec<usize> = (0..count).collect();
            let mut order = visiting_order(&members);
            order.sort_unstable();
            assert_eq!(order, members);
        }
    }
}
