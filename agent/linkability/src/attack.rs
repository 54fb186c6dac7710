//! Attackers. Each pairs sessions by what it looks at, with a weight for each candidate; the trained ones learn
//! from one half of the agents what the other half is then judged by.

mod joint;
mod learned;
mod numbers;
mod trained;

use crate::{
    evidence::{Evidence, GAP, MEMORY, METADATA},
    pairs::Pairs,
    score::Score,
};

pub use joint::assign;
pub use numbers::{Numbers, SHARE};

/// The name of the attacker that weighs how long each candidate has been over, and looks at nothing else.
pub const BY_GAP: &str = "gap";

/// Logarithmic weights of all candidates, by question.
pub type Weights = Vec<Vec<f64>>;

/// An attacker's name and how often it was right.
#[derive(Debug, Clone, PartialEq)]
pub struct Result {
    /// What it looks at.
    pub attacker: String,
    /// How often it was right.
    pub score: Score,
    /// Whether it judges all pairs together, so that no session has two successors.
    pub joint: bool,
}

/// Which halves agents are in: what is learned from one is tried on the other.
pub(crate) const HALVES: [u32; 2] = [0, 1];

/// Pairs by the latest end.
fn latest(pairs: &Pairs) -> Weights {
    let weight = |candidate: &u32| pairs.sessions[*candidate as usize].end;
    pairs.questions.iter().map(|q| q.candidates.iter().map(weight).collect()).collect()
}

/// All attackers that look at no number that was measured.
pub fn metadata(pairs: &Pairs) -> Vec<Result> {
    let gaps = learned::gaps(pairs);
    let mut results =
        vec![result("the latest end", pairs, &latest(pairs)), result(BY_GAP, pairs, &gaps)];
    let mut all = Vec::new();
    for evidence in METADATA {
        let own = learned::weights(pairs, evidence);
        results.push(result(evidence.name, pairs, &sum(&[&gaps, &own])));
        all.push(own);
    }
    results.push(joint_result("gap, all pairs together", pairs, &gaps));
    let columns: Vec<&Weights> = std::iter::once(&gaps).chain(&all).collect();
    let trained = trained::weights(pairs, &sum(&columns), &columns);
    results.push(result("everything, trained", pairs, &trained));
    results.push(joint_result("everything, trained, all pairs together", pairs, &trained));
    results
}

/// The attackers that look at the order of ends and beginnings, and at nothing else.
pub fn times(pairs: &Pairs) -> Vec<Result> {
    let gaps = learned::gaps(pairs);
    vec![
        result("the latest end", pairs, &latest(pairs)),
        result(BY_GAP, pairs, &gaps),
        joint_result("gap, all pairs together", pairs, &gaps),
    ]
}

/// All attackers that look at numbers, too.
pub fn values(pairs: &Pairs) -> Vec<Result> {
    let gaps = learned::gaps(pairs);
    let numbers = Numbers::new(pairs);
    let mut results = vec![result(BY_GAP, pairs, &gaps)];
    if numbers.names().is_empty() {
        return results;
    }
    let memory = learned::weights(pairs, MEMORY);
    results.push(result(MEMORY.name, pairs, &sum(&[&gaps, &memory])));
    let nearest = learned::weights_of(pairs, |older, newer| numbers.distance(older, newer, None));
    let nearest = sum(&[&gaps, &nearest]);
    results.push(result("nearest neighbour", pairs, &nearest));
    let each = numbers.each(pairs);
    let columns: Vec<&Weights> = std::iter::once(&gaps).chain(&each).collect();
    let trained = trained::weights(pairs, &nearest, &columns);
    results.push(result("trained on numbers", pairs, &trained));
    results.push(joint_result("trained on numbers, all pairs together", pairs, &trained));
    results
}

/// The attacker that is right most often.
pub fn best(results: &[Result]) -> Option<&Result> {
    results.iter().max_by(|a, b| a.score.share().total_cmp(&b.score.share()))
}

/// Weights by the gap, and by what one evidence says.
pub(crate) fn by_numbers(pairs: &Pairs, numbers: &Numbers, only: Option<&[usize]>) -> Score {
    let gaps = learned::gaps(pairs);
    let own = learned::weights_of(pairs, |older, newer| numbers.distance(older, newer, only));
    score(pairs, &sum(&[&gaps, &own]))
}

fn result(attacker: &str, pairs: &Pairs, weights: &Weights) -> Result {
    Result { attacker: attacker.to_owned(), score: score(pairs, weights), joint: false }
}

fn joint_result(attacker: &str, pairs: &Pairs, weights: &Weights) -> Result {
    let score = score(pairs, &assign(pairs, weights));
    Result { attacker: attacker.to_owned(), score, joint: true }
}

/// How often the heaviest candidate is the right one.
fn score(pairs: &Pairs, weights: &Weights) -> Score {
    let right = pairs.questions.iter().zip(weights).filter(|(question, weights)| {
        let heaviest = weights.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        heaviest.is_some_and(|(place, _)| question.candidates[place] as usize == question.answer)
    });
    Score { right: right.count(), asked: pairs.questions.len() }
}

fn sum(weights: &[&Weights]) -> Weights {
    let Some((first, rest)) = weights.split_first() else { return Weights::new() };
    let mut sum = (*first).clone();
    for weights in rest {
        for (row, more) in sum.iter_mut().zip(*weights) {
            row.iter_mut().zip(more).for_each(|(weight, more)| *weight += more);
        }
    }
    sum
}

pub(crate) fn half(pairs: &Pairs, question: &crate::pairs::Question) -> u32 {
    pairs.sessions[question.session].agent % 2
}

/// The gap is evidence like any other, but for its bins.
pub(crate) const OF_TIME: Evidence = GAP;
