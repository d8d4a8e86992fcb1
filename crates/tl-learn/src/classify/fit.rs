//! Fits the weights and chooses what there is to choose, by predictions for examples that the model had not seen.

use crate::calibrate::{Scored, apply_temperature, fit_temperature};
use crate::numeric::ln;
use crate::train::{Effort, Problem, Shares, Weights, stride_of};

use super::TrainOptions;
use super::training_set::TrainingSet;

/// The weight of meaning that did best on public sets with 5 and 10 examples a label, and near the best with all.
const USUAL_MEANING: f32 = 1.5;
/// The largest weight of meaning that can be asked for.
const MOST_MEANING: f64 = 10.0;
/// Held-back predictions that are enough for a temperature.
const ENOUGH_HELD_BACK: usize = 1_500;
/// Held-back predictions that are enough for a choice.
const ENOUGH_TO_CHOOSE: usize = 150;

/// What a fit leaves behind.
pub(super) struct Fitted {
    pub(super) meaning: f32,
    pub(super) weights: Weights,
    /// Predictions for examples that the model had not seen.
    pub(super) held_out: Vec<Scored>,
    pub(super) temperature: f64,
}

/// Chooses the weight of meaning by held-back predictions, unless it is given, and fits on everything.
pub(super) fn fit(set: &TrainingSet, options: &TrainOptions) -> Fitted {
    let candidates = match options.meaning {
        Some(weight) => vec![weight.clamp(0.0, MOST_MEANING) as f32],
        None => vec![USUAL_MEANING, 0.0],
    };
    let effort = Effort {
        strength: options.strength.clamp(1e-3, 1e6),
        tolerance: 1e-2,
        passes: 60,
    };
    let meaning = match candidates.as_slice() {
        [only] => *only,
        several => chosen(set, several, effort),
    };
    let rows = set.rows_with(f64::from(meaning));
    let problem = set.problem(&rows, meaning);
    let (mut shares, held_out) =
        held_back_predictions(&problem, &set.folds, (effort, ENOUGH_HELD_BACK));
    let everyone: Vec<usize> = (0..set.folds.len()).collect();
    let effort = Effort {
        tolerance: 0.3 * effort.tolerance,
        passes: 200,
        ..effort
    };
    Fitted {
        meaning,
        weights: problem.fit(&everyone, &mut shares, effort),
        temperature: fit_temperature(&held_out),
        held_out,
    }
}

/// The weight of meaning that gives held-back examples the likelier labels. One part of them is enough to see it
/// where there are many.
fn chosen(set: &TrainingSet, candidates: &[f32], effort: Effort) -> f32 {
    let mut best = (f64::INFINITY, 0.0);
    for meaning in candidates {
        let rows = set.rows_with(f64::from(*meaning));
        let problem = set.problem(&rows, *meaning);
        let (_, held_out) = held_back_predictions(&problem, &set.folds, (effort, ENOUGH_TO_CHOOSE));
        let loss = mean_loss(&held_out, fit_temperature(&held_out));
        if loss < best.0 {
            best = (loss, *meaning);
        }
    }
    best.1
}

/// Predicts folds from the others: all of them where examples are few, else until there are enough.
fn held_back_predictions(
    problem: &Problem<'_>,
    folds: &[Option<usize>],
    (effort, enough): (Effort, usize),
) -> (Shares, Vec<Scored>) {
    let stride = stride_of(problem.label_count);
    let fold_count = folds.iter().flatten().max().map_or(0, |last| last + 1);
    let mut held_out = Vec::with_capacity(folds.len());
    let mut shares = problem.no_shares();
    let mut scores = vec![0.0; stride];
    for fold in 0..fold_count {
        let keep: Vec<bool> = folds.iter().map(|f| *f != Some(fold)).collect();
        let members: Vec<usize> = (0..folds.len()).filter(|i| keep[*i]).collect();
        // The next fit starts where this one ended: most of its examples are the same.
        shares.keep_only(stride, &keep);
        let weights = problem.fit(&members, &mut shares, effort);
        for row in (0..folds.len()).filter(|i| !keep[*i]) {
            weights.score(&problem.rows[row], &mut scores);
            held_out.push(Scored {
                scores: scores[..problem.label_count]
                    .iter()
                    .map(|s| f64::from(*s))
                    .collect(),
                label: problem.labels[row],
            });
        }
        if held_out.len() >= enough {
            break;
        }
    }
    (shares, held_out)
}

/// Mean of the negative logarithm of the probability that the right label was given.
fn mean_loss(cases: &[Scored], temperature: f64) -> f64 {
    let loss = |c: &Scored| -ln(apply_temperature(&c.scores, temperature)[c.label]);
    cases.iter().map(loss).sum::<f64>() / cases.len().max(1) as f64
}
