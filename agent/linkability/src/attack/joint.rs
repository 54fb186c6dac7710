//! Judges all pairs together: no session has two successors, so a pair that another one needs is worth less.
//!
//! The likelihood of pairs under that condition is a ratio of permanents; Sinkhorn's scaling of the matrix of
//! weights, whose limit is the Bethe approximation's starting point, comes close to it and is quick.

use std::collections::HashMap;

use super::Weights;
use crate::pairs::Pairs;

/// More change nothing that shows.
const ROUNDS: usize = 40;

/// Weights of pairs, given that all others are pairs, too.
pub fn assign(pairs: &Pairs, weights: &Weights) -> Weights {
    let found = pairs.questions.iter().filter(|q| q.candidates.contains(&(q.answer as u32)));
    let found = found.count() as f64 / pairs.questions.len().max(1) as f64;
    let candidates: usize = pairs.questions.iter().map(|q| q.candidates.len()).sum();
    let candidates = candidates as f64 / pairs.questions.len().max(1) as f64;
    // What it weighs that a session's predecessor, or successor, isn't there at all.
    let nobody = candidates * (1.0 - found).max(0.005) / found.max(0.005);
    let mut scaled: Weights = weights
        .iter()
        .map(|row| row.iter().map(|w| w.clamp(-30.0, 30.0).exp()).collect())
        .collect();
    let mut columns: HashMap<u32, f64> = HashMap::new();
    for _ in 0..ROUNDS {
        columns.clear();
        for (question, row) in pairs.questions.iter().zip(&mut scaled) {
            let all: f64 = row.iter().sum::<f64>() + nobody;
            for (candidate, weight) in question.candidates.iter().zip(row) {
                *weight /= all;
                *columns.entry(*candidate).or_default() += *weight;
            }
        }
        for (question, row) in pairs.questions.iter().zip(&mut scaled) {
            for (candidate, weight) in question.candidates.iter().zip(row) {
                *weight /= columns.get(candidate).copied().unwrap_or(1.0).max(1e-300);
            }
        }
        // Whoever is nobody's predecessor stays so.
        for row in &mut scaled {
            row.iter_mut().for_each(|weight| *weight = weight.max(1e-300));
        }
    }
    scaled.iter().map(|row| row.iter().map(|weight| weight.ln()).collect()).collect()
}
