//! Whether leaks that were put in are found: each in some of the agents, against the same crowd without it.

use std::thread;

use super::{Size, pairs};
use crate::{
    attack::{self, Result},
    crowd::Crowd,
    leak::Leak,
    score::Score,
};

/// In which share of agents a leak is put, the largest first.
pub const STRENGTHS: [f64; 3] = [0.25, 0.05, 0.01];

/// So many standard errors above its own score without the leak an attacker must be, that the leak counts as
/// found: 1 % in all, divided by the attackers, leaks and strengths that are tried (Bonferroni), some 460.
const FOUND: f64 = 4.09;

/// What became of one leak.
#[derive(Debug, Clone)]
pub struct Control {
    /// Which.
    pub leak: Leak,
    /// For each of [`STRENGTHS`]: the attacker that it showed best to, its score without and with it, and
    /// whether that was found.
    pub tried: Vec<(String, Score, Score, bool)>,
}

impl Control {
    /// The smallest share of agents in which it was found.
    pub fn smallest(&self) -> Option<f64> {
        let found = self.tried.iter().zip(STRENGTHS).filter(|((.., found), _)| *found);
        found.map(|(_, strength)| strength).reduce(f64::min)
    }
}

/// Tries each leak that the crowd was simulated with, on so many threads.
pub fn controls(size: &Size, crowd: &Crowd, leaks: &[Leak], threads: usize) -> Vec<Control> {
    let clean = pairs(crowd.sessions.clone());
    let without = [attack::metadata(&clean), attack::values(&clean)];
    let one = |place: usize| {
        let leak = leaks[place];
        let without = &without[usize::from(leak.is_of_values())];
        let tried = STRENGTHS.map(|strength| {
            let leaky = ((f64::from(size.agents) * strength).round() as u32).max(1);
            let others = crowd.sessions.iter().filter(|session| session.agent >= leaky);
            let own = crowd.leaks[place].iter().filter(|session| session.agent < leaky);
            let mixed = pairs(others.chain(own).cloned().collect());
            let with =
                if leak.is_of_values() { attack::values(&mixed) } else { attack::metadata(&mixed) };
            clearest(without, &with)
        });
        Control { leak, tried: tried.into() }
    };
    let threads = threads.max(1);
    if threads == 1 {
        return (0..leaks.len()).map(one).collect();
    }
    let mut done: Vec<(usize, Control)> = thread::scope(|scope| {
        let one = &one;
        let part = |first: usize| {
            move || {
                let places = (first..leaks.len()).step_by(threads);
                places.map(|place| (place, one(place))).collect::<Vec<_>>()
            }
        };
        let spawned: Vec<_> = (0..threads).map(|first| scope.spawn(part(first))).collect();
        // A leak that nobody could try is one that nobody found.
        spawned.into_iter().flat_map(|part| part.join().unwrap_or_default()).collect()
    });
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, control)| control).collect()
}

/// The attacker whose score a leak raises by most standard errors.
fn clearest(without: &[Result], with: &[Result]) -> (String, Score, Score, bool) {
    let found = with.iter().filter_map(|with| {
        let before = without.iter().find(|before| before.attacker == with.attacker)?;
        let above = with.score.above(before.score);
        Some((above, (with.attacker.clone(), before.score, with.score, above > FOUND)))
    });
    let clearest = found.max_by(|a, b| a.0.total_cmp(&b.0));
    clearest.map_or_else(Default::default, |(_, clearest)| clearest)
}
