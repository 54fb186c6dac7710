//! How well sessions are paired by what was measured, for each way to be coarser.

use std::io;

use undertone::{Digits, Profile, Schema, Scope};

use super::Size;
use crate::{
    attack::{self, Result},
    coarseness::{Coarseness, Gauges},
    crowd::{Machines, Setting},
    pairs::{Asking, Pairs},
    workload::{DAY, HOUR, Program},
};

/// Who may have ended before a session, in seconds: overnight, too.
const REACH: f64 = 14.0 * HOUR;
/// With scope `batch` there are many more sessions, closer together.
const REACH_OF_BATCHES: f64 = 4.0 * HOUR;
/// How many sessions are asked about at most.
const ASKED: usize = 3_000;

/// What attackers with values reached under one setting.
#[derive(Debug)]
pub struct ValueRow {
    /// What was measured.
    pub program: Program,
    /// How long sessions last.
    pub scope: Scope,
    /// How coarse numbers were.
    pub coarseness: Coarseness,
    /// What each attacker reached; `gap` looks at no number.
    pub results: Vec<Result>,
}

/// All settings of a program, or only what programs have if they say nothing.
fn grid(all: bool) -> Vec<(Scope, Coarseness)> {
    let mut grid = Vec::new();
    for scope in [Scope::default(), Scope::Batch] {
        for gauges in [Gauges::Buckets(4), Gauges::Buckets(8), Gauges::Exact] {
            for digits in [Digits::Rounded(2), Digits::Rounded(3), Digits::All] {
                let usual = digits == Digits::default() && gauges == Gauges::Buckets(8);
                if all || usual {
                    grid.push((scope, Coarseness { digits: Some(digits), gauges }));
                }
            }
        }
    }
    grid
}

/// Attacks a crowd of this size under each setting of the grid.
///
/// # Errors
/// If it can't be run.
pub fn values(
    size: &Size,
    program: Program,
    all: bool,
    threads: usize,
) -> io::Result<Vec<ValueRow>> {
    let declared = Schema::try_from(program.declaration()).map_err(io::Error::other)?;
    let row = |(scope, coarseness): (Scope, Coarseness)| {
        let setting = Setting {
            machines: Machines::Simulated(program),
            agents: size.agents,
            days: size.days,
            seed: size.seed,
            schema: coarseness.apply(&declared).map_err(io::Error::other)?,
            profile: Profile::Anonymous,
            scope,
            values: true,
            threads,
        };
        let reach = if scope == Scope::Batch { REACH_OF_BATCHES } else { REACH };
        let asking = Asking { reach, from: 0.75 * DAY, at_most: ASKED };
        let pairs = Pairs::new(setting.simulate(&[])?.sessions, asking);
        Ok(ValueRow { program, scope, coarseness, results: attack::values(&pairs) })
    };
    grid(all).into_iter().map(row).collect()
}
