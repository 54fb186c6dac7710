//! A model of many trees (gradient boosting) over all evidence at once, trained on one half of the agents
//! and tried on the other. It orders anew the candidates that seemed likeliest.

use smartcore::{
    linalg::basic::matrix::DenseMatrix,
    xgboost::{XGRegressor, XGRegressorParameters},
};

use super::{HALVES, Weights, half};
use crate::pairs::Pairs;

/// How many candidates of a question are looked at more closely.
const CLOSER: usize = 24;
/// How many pairs it is trained on at most.
const TRAINED_ON: usize = 40_000;
/// What the model adds to the weights that it orders anew.
const LEAST: f64 = 1e-4;

/// Weights by the model, of the candidates that `first` weighs most.
pub(super) fn weights(pairs: &Pairs, first: &Weights, evidence: &[&Weights]) -> Weights {
    let closer: Vec<Vec<usize>> = first
        .iter()
        .map(|row| {
            let mut places: Vec<usize> = (0..row.len()).collect();
            places.sort_by(|a, b| row[*b].total_cmp(&row[*a]));
            places.truncate(CLOSER);
            places
        })
        .collect();
    let models = HALVES.map(|of| train(pairs, first, evidence, &closer, of));
    let mut weights: Weights =
        first.iter().map(|row| row.iter().map(|weight| weight.min(0.0) - 20.0).collect()).collect();
    for of in HALVES {
        let Some(model) = &models[1 - of as usize] else { return first.clone() };
        let (mut rows, mut whose) = (Vec::new(), Vec::new());
        for (index, question) in pairs.questions.iter().enumerate() {
            if half(pairs, question) == of {
                for place in &closer[index] {
                    rows.push(row(first, evidence, index, *place));
                    whose.push((index, *place));
                }
            }
        }
        let Ok(rows) = DenseMatrix::from_2d_vec(&rows) else { continue };
        let Ok(predicted) = model.predict(&rows) else { continue };
        for ((index, place), share) in whose.into_iter().zip(predicted) {
            let share = share.clamp(LEAST, 1.0 - LEAST);
            // Where trees see no difference, the first order stays.
            weights[index][place] = (share / (1.0 - share)).ln() + 1e-6 * first[index][place];
        }
    }
    weights
}

type Model = XGRegressor<f64, f64, DenseMatrix<f64>, Vec<f64>>;

fn train(
    pairs: &Pairs,
    first: &Weights,
    evidence: &[&Weights],
    closer: &[Vec<usize>],
    of: u32,
) -> Option<Model> {
    let (mut rows, mut truths) = (Vec::new(), Vec::new());
    let every = (pairs.questions.len() * CLOSER).div_ceil(2 * TRAINED_ON).max(1);
    let own = pairs.questions.iter().enumerate().filter(|(_, q)| half(pairs, q) == of);
    for (index, question) in own.step_by(every) {
        for place in &closer[index] {
            rows.push(row(first, evidence, index, *place));
            let right = question.candidates[*place] as usize == question.answer;
            truths.push(f64::from(u8::from(right)));
        }
    }
    let right: f64 = truths.iter().sum();
    if right < 10.0 || rows.len() < 100 {
        return None;
    }
    let parameters = XGRegressorParameters::default()
        .with_n_estimators(40)
        .with_max_depth(4)
        .with_learning_rate(0.15)
        .with_min_child_weight(20)
        .with_base_score(right / truths.len() as f64)
        .with_seed(u64::from(of) + 1);
    XGRegressor::fit(&DenseMatrix::from_2d_vec(&rows).ok()?, &truths, parameters).ok()
}

fn row(first: &Weights, evidence: &[&Weights], question: usize, place: usize) -> Vec<f64> {
    let sum = first[question][place];
    std::iter::once(sum).chain(evidence.iter().map(|weights| weights[question][place])).collect()
}
