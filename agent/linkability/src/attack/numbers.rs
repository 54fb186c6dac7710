//! What was measured, as a fingerprint: how far two sessions' numbers are apart, each by how much it changes
//! from one session of an agent to the next.

use super::{Weights, learned};
use crate::pairs::Pairs;

/// More numbers than these, the ones that tell most, are not looked at one by one.
const EACH: usize = 14;

/// What the name of a number ends in that compares a difference with others.
pub const SHARE: &str = " share";

/// The numbers of all sessions, in one order.
#[derive(Debug)]
pub struct Numbers {
    names: Vec<String>,
    /// By session, then by name.
    values: Vec<Vec<Option<f64>>>,
    /// For each name: its variance between sessions of one agent.
    within: Vec<f64>,
    /// For each name: how much more it differs between agents.
    tells: Vec<f64>,
}

impl Numbers {
    /// Learns how much numbers change. That is one figure for each, so no half of agents is spared.
    pub fn new(pairs: &Pairs) -> Self {
        let mut names: Vec<String> =
            pairs.sessions.iter().flat_map(|session| session.values.keys().cloned()).collect();
        names.sort();
        names.dedup();
        let mut values: Vec<Vec<Option<f64>>> = pairs
            .sessions
            .iter()
            .map(|session| {
                names.iter().map(|name| session.values.get(name).map(|value| value.mean)).collect()
            })
            .collect();
        add_shares(&mut names, &mut values);
        let (mut within, mut tells) = (Vec::new(), Vec::new());
        for index in 0..names.len() {
            let differences = pairs.questions.iter().filter_map(|question| {
                Some(values[question.session][index]? - values[question.answer][index]?)
            });
            let squares: Vec<f64> =
                differences.map(|difference| difference.powi(2) / 2.0).collect();
            let one = squares.iter().sum::<f64>() / squares.len().max(1) as f64;
            let known: Vec<f64> = values.iter().filter_map(|row| row[index]).collect();
            let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
            let all = known.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
            let all = all / known.len().max(1) as f64;
            within.push(one.max(1e-4));
            tells.push(if all < 1e-9 { 0.0 } else { all / one.max(1e-4) });
        }
        Self { names, values, within, tells }
    }

    /// What the numbers are called. Those that end in [`SHARE`] are made of others.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// How far two sessions, by their places, are apart in all numbers, or only in some.
    pub fn distance(&self, older: usize, newer: usize, only: Option<&[usize]>) -> f64 {
        let (mut sum, mut count) = (0.0, 0.0);
        let mut add = |index: usize| {
            if let (Some(a), Some(b)) = (self.values[older][index], self.values[newer][index]) {
                sum += ((a - b).powi(2) / self.within[index]).min(50.0);
                count += 1.0;
            }
        };
        match only {
            Some(some) => some.iter().for_each(|index| add(*index)),
            None => (0..self.names.len()).for_each(add),
        }
        if count == 0.0 { -1.0 } else { sum / count }
    }

    /// What each of the numbers that tell most is worth.
    pub(super) fn each(&self, pairs: &Pairs) -> Vec<Weights> {
        let mut order: Vec<usize> =
            (0..self.names.len()).filter(|i| self.tells[*i] > 0.0).collect();
        order.sort_by(|a, b| self.tells[*b].total_cmp(&self.tells[*a]));
        order.truncate(EACH);
        let one = |index: usize| {
            learned::weights_of(pairs, |older, newer| self.distance(older, newer, Some(&[index])))
        };
        order.into_iter().map(one).collect()
    }
}

/// Adds for each difference how it compares with a session's others: what a machine does more of is the same however
/// long it did it, and batches don't say how long they are.
fn add_shares(names: &mut Vec<String>, values: &mut [Vec<Option<f64>>]) {
    let differences: Vec<usize> =
        (0..names.len()).filter(|index| names[*index].ends_with(" delta")).collect();
    if differences.len() < 2 {
        return;
    }
    for row in values {
        let known = differences.iter().filter_map(|index| row[*index]);
        let mean = known.clone().sum::<f64>() / known.count().max(1) as f64;
        row.extend(
            differences
                .iter()
                .map(|index| row[*index].map(|value| value - mean))
                .collect::<Vec<_>>(),
        );
    }
    let shares = differences.iter().map(|index| names[*index].replace(" delta", SHARE));
    names.extend(shares.collect::<Vec<_>>());
}
