//! What one kind of evidence is worth, learned from one half of the agents for the other.

use super::{HALVES, OF_TIME, Weights, half};
use crate::{
    evidence::{Evidence, Worth},
    pairs::Pairs,
    seen::Session,
};

/// So many strangers are looked at for each pair of one agent.
const STRANGERS: usize = 24;

/// Weights by one kind of evidence.
pub(super) fn weights(pairs: &Pairs, evidence: Evidence) -> Weights {
    weights_of(pairs, |older, newer| (evidence.of)(&pairs.sessions[older], &pairs.sessions[newer]))
}

/// Weights by the time between two sessions.
pub(super) fn gaps(pairs: &Pairs) -> Weights {
    let gap = |older: usize, newer: usize| {
        let (older, newer): (&Session, &Session) = (&pairs.sessions[older], &pairs.sessions[newer]);
        (OF_TIME.of)(older, newer)
    };
    learn(pairs, gap, |same, different| Worth::learn_gaps(same, different))
}

/// Weights by a number that two sessions, by their places, have.
pub(super) fn weights_of(pairs: &Pairs, number: impl Fn(usize, usize) -> f64) -> Weights {
    learn(pairs, number, Worth::learn)
}

fn learn(
    pairs: &Pairs,
    number: impl Fn(usize, usize) -> f64,
    worth: impl Fn(&[f64], &mut [f64]) -> Worth,
) -> Weights {
    let learned = HALVES.map(|of| {
        let (mut same, mut different) = (Vec::new(), Vec::new());
        for question in pairs.questions.iter().filter(|question| half(pairs, question) == of) {
            let every = question.candidates.len().div_ceil(STRANGERS).max(1);
            // Another beginning for each, so that no gap is left out.
            let skipped = question.session % every;
            for candidate in question.candidates.iter().skip(skipped).step_by(every) {
                if *candidate as usize != question.answer {
                    different.push(number(*candidate as usize, question.session));
                }
            }
            if question.candidates.contains(&(question.answer as u32)) {
                same.push(number(question.answer, question.session));
            }
        }
        worth(&same, &mut different)
    });
    let weigh = |question: &crate::pairs::Question| {
        // The other half's.
        let worth = &learned[1 - half(pairs, question) as usize];
        let numbers = question.candidates.iter().map(|c| number(*c as usize, question.session));
        numbers.map(|number| worth.of(number)).collect()
    };
    pairs.questions.iter().map(weigh).collect()
}
