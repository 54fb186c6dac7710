//! A model over all evidence at once: how much each kind counts beside the others, trained on one half of the
//! agents and tried on the other.
//!
//! A conditional logit (McFadden 1974): the odds of a candidate are the exponential of a weighted sum, and the weights
//! are those under which the true ones are likeliest, by a damped Newton's method.

use super::{HALVES, Weights, half};
use crate::pairs::{Pairs, Question};

/// How many candidates of a question it is trained on.
const CANDIDATES: usize = 48;
/// How many questions it is trained on at most.
const TRAINED_ON: usize = 4_000;
/// Fewer teach nothing.
const FEWEST: usize = 20;
const ROUNDS: usize = 50;
/// Kinds of evidence depend on each other; a full step for each would be too far.
const STEP: f64 = 0.3;
/// What holds weights back that little speaks for.
const RIDGE: f64 = 2.0;
/// Evidence that is certain alone must not drown the rest.
const MOST: f64 = 10.0;

/// A question to learn from: its candidates' evidence, and which of them is right.
type Lesson = (Vec<Vec<f64>>, usize);

/// Weights by the model; `first` where it has too little to learn from.
pub(super) fn weights(pairs: &Pairs, first: &Weights, evidence: &[&Weights]) -> Weights {
    let models = HALVES.map(|of| {
        let all: Vec<usize> = (0..pairs.questions.len())
            .filter(|index| half(pairs, &pairs.questions[*index]) == of)
            .collect();
        let every = all.len().div_ceil(TRAINED_ON).max(1);
        let lessons = all.into_iter().step_by(every);
        let lessons = lessons
            .filter_map(|index| lesson(&pairs.questions[index], &first[index], index, evidence));
        train(&lessons.collect::<Vec<_>>(), evidence.len())
    });
    let weigh = |(index, question): (usize, &Question)| {
        // The other half's.
        let Some(model) = &models[1 - half(pairs, question) as usize] else {
            return first[index].clone();
        };
        (0..question.candidates.len())
            .map(|place| dot(model, &row(evidence, index, place)))
            .collect()
    };
    pairs.questions.iter().enumerate().map(weigh).collect()
}

fn lesson(
    question: &Question,
    first: &[f64],
    index: usize,
    evidence: &[&Weights],
) -> Option<Lesson> {
    let answer = question.candidates.iter().position(|c| *c as usize == question.answer)?;
    let every = first.len().div_ceil(CANDIDATES).max(1);
    // Evenly: what is learned from the likeliest alone says nothing of the others.
    let others = (index % every..first.len()).step_by(every);
    let mut places: Vec<usize> = others.filter(|place| *place != answer).collect();
    places.push(answer);
    let rows = places.iter().map(|place| row(evidence, index, *place)).collect();
    Some((rows, places.len() - 1))
}

fn train(lessons: &[Lesson], width: usize) -> Option<Vec<f64>> {
    if lessons.len() < FEWEST {
        return None;
    }
    let mut model = vec![0.5; width];
    for _ in 0..ROUNDS {
        let (mut slope, mut curvature) = (vec![0.0; width], vec![RIDGE; width]);
        for (rows, answer) in lessons {
            let weights: Vec<f64> = rows.iter().map(|row| dot(&model, row)).collect();
            // Only their ratio counts, and the largest must not be beyond all numbers.
            let most = weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let odds: Vec<f64> = weights.iter().map(|weight| (weight - most).exp()).collect();
            let all: f64 = odds.iter().sum();
            for column in 0..width {
                let (mut mean, mut square) = (0.0, 0.0);
                for (row, odds) in rows.iter().zip(&odds) {
                    mean += row[column] * odds / all;
                    square += row[column].powi(2) * odds / all;
                }
                slope[column] += rows[*answer][column] - mean;
                curvature[column] += square - mean * mean;
            }
        }
        for column in 0..width {
            let step = (slope[column] - RIDGE * model[column]) / curvature[column];
            model[column] += STEP * step.clamp(-1.0, 1.0);
        }
    }
    Some(model)
}

fn row(evidence: &[&Weights], question: usize, place: usize) -> Vec<f64> {
    evidence.iter().map(|weights| weights[question][place].clamp(-MOST, MOST)).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
