//! The measurements of `make privacy`: crowds of given sizes, attacked; and what counts as too much.

mod controls;
mod values;

use std::io;

use undertone::{Profile, Schema, Scope};

use crate::{
    attack::{self, Result},
    crowd::{Crowd, Machines, Setting},
    ideal,
    leak::Leak,
    pairs::{Asking, Pairs},
    score::formula,
    workload::{DAY, HOUR, Program},
};

pub use controls::{Control, STRENGTHS, controls};
pub use values::{ValueRow, values};

/// How far over what silences give away an attacker without values may be, in shares, in a crowd of less than
/// [`LARGE`]; and how far from the formula of invariant P3, either way, one may be where machines never stop.
pub const FORMULA_LIMIT: f64 = 0.005;
/// The smallest crowd in which machines that never stop are held to the formula.
pub const SMALLEST: u32 = 100;
/// How far over chance the upper bound of an attacker without values may be, in shares, in a crowd of
/// [`LARGE`] or more.
pub const CHANCE_LIMIT: f64 = 0.025;
/// What that limit is for.
pub const LARGE: u32 = 1_000;

/// Who may have ended before a session, in seconds: a silence, and as long again for restarts and outages.
const REACH: f64 = 3.0 * HOUR;
/// Pairs that are looked at, so that memory is bounded.
const PAIRS: f64 = 4e6;
/// No session is asked about before this, in seconds: the crowd gathers in half a day.
const GATHERED: f64 = 0.75 * DAY;

/// A crowd whose sessions are paired by everything but values.
#[derive(Debug, Clone)]
pub struct Size {
    /// How many agents.
    pub agents: u32,
    /// For how many days.
    pub days: f64,
    /// Decides every draw.
    pub seed: u64,
}

/// What attackers without values reached in one crowd.
#[derive(Debug)]
pub struct Metadata {
    /// Which crowd.
    pub size: Size,
    /// Sessions that begin in an hour.
    pub rate: f64,
    /// What the formula says.
    pub formula: f64,
    /// What guessing reaches.
    pub chance: f64,
    /// What each attacker reached.
    pub results: Vec<Result>,
    /// What the same attackers reach where lives, silences and slots are drawn and no program runs.
    pub ideal: Vec<Result>,
}

/// What attackers reach by times alone in a crowd of machines that never stop.
#[derive(Debug)]
pub struct Design {
    /// How many agents.
    pub agents: u32,
    /// What the formula says.
    pub formula: f64,
    /// What each attacker reached.
    pub results: Vec<Result>,
}

fn setting(size: &Size, threads: usize) -> io::Result<Setting> {
    let program = Program::Browser;
    let schema = Schema::try_from(program.declaration()).map_err(io::Error::other)?;
    Ok(Setting {
        machines: Machines::Simulated(program),
        agents: size.agents,
        days: size.days,
        seed: size.seed,
        schema,
        profile: Profile::Anonymous,
        scope: Scope::default(),
        values: false,
        threads,
    })
}

/// Simulates a crowd of this size, with what would be seen of it under each of `leaks`.
///
/// # Errors
/// If it can't be run.
pub fn crowd(size: &Size, leaks: &[Leak], threads: usize) -> io::Result<Crowd> {
    // What averages do shows only in values.
    let values = !leaks.is_empty();
    Setting { values, ..setting(size, threads)? }.simulate(leaks)
}

/// Attacks a crowd by everything but values.
///
/// # Errors
/// If the machines' program has no schema.
pub fn metadata(size: &Size, crowd: &Crowd) -> io::Result<Metadata> {
    let pairs = pairs(crowd.sessions.clone());
    let ideal = self::pairs(ideal::sessions(&setting(size, 1)?));
    Ok(Metadata {
        size: size.clone(),
        rate: pairs.rate,
        formula: formula(pairs.rate),
        chance: pairs.chance(),
        results: attack::metadata(&pairs),
        ideal: attack::times(&ideal),
    })
}

/// Attacks sessions as the design has them, of machines that never stop.
///
/// # Errors
/// If the machines' program has no schema.
pub fn design(size: &Size) -> io::Result<Design> {
    let mut setting = setting(size, 1)?;
    setting.machines = Machines::Steady(Program::Browser);
    let pairs = pairs(ideal::sessions(&setting));
    Ok(Design { agents: size.agents, formula: formula(pairs.rate), results: attack::times(&pairs) })
}

fn pairs(sessions: Vec<crate::seen::Session>) -> Pairs {
    let asking = Asking { reach: REACH, from: GATHERED, at_most: usize::MAX };
    let begun = sessions.iter().filter(|session| session.begin >= GATHERED).count();
    let days = sessions.iter().map(|session| session.begin).fold(0.0, f64::max) - GATHERED;
    let candidates = begun as f64 / days.max(HOUR) * REACH;
    Pairs::new(sessions, Asking { at_most: (PAIRS / candidates.max(1.0)) as usize, ..asking })
}

impl Metadata {
    /// The attacker that is right most often.
    pub fn best(&self) -> Option<&Result> {
        attack::best(&self.results)
    }

    /// The best that times alone reach where no program runs, on the same machines.
    pub fn without_program(&self) -> f64 {
        attack::best(&self.ideal).map_or(0.0, |best| best.score.share())
    }

    /// What silences alone give away: the formula, or what times reach without a program where that is more. It
    /// can be, since the formula is for who pairs each session on its own.
    pub fn given_away(&self) -> f64 {
        self.formula.max(self.without_program())
    }

    /// What is over its limit, in words. Less than is given away is no fault: nights and restarts part sessions.
    pub fn faults(&self) -> Vec<String> {
        let Some(best) = self.best() else { return vec!["nobody attacked".to_owned()] };
        let (agents, share) = (self.size.agents, best.score.share());
        let mut faults = Vec::new();
        if share > self.given_away() + FORMULA_LIMIT && agents < LARGE {
            faults.push(format!(
                "{agents} agents: the best attacker without values ({}) pairs {:.2} % of sessions, and silences \
                 alone give away {:.2} %; at most {:.1} points more are allowed",
                best.attacker,
                100.0 * share,
                100.0 * self.given_away(),
                100.0 * FORMULA_LIMIT,
            ));
        }
        let upper = best.score.bounds().1;
        if upper > self.chance + CHANCE_LIMIT && agents >= LARGE {
            faults.push(format!(
                "{agents} agents: the best attacker without values ({}) pairs up to {:.2} % of sessions; at most \
                 {:.1} points over chance are allowed",
                best.attacker,
                100.0 * upper,
                100.0 * CHANCE_LIMIT,
            ));
        }
        faults
    }
}

impl Design {
    /// What is wrong with the attackers, or with the formula: where machines never stop, who weighs each gap must
    /// do as the formula says, no better and no worse. An attacker that finds nothing would prove nothing.
    pub fn faults(&self) -> Vec<String> {
        let gap = self.results.iter().find(|result| result.attacker == attack::BY_GAP);
        let share = gap.map_or(0.0, |gap| gap.score.share());
        if self.agents < SMALLEST || (share - self.formula).abs() <= FORMULA_LIMIT {
            return Vec::new();
        }
        vec![format!(
            "{} machines that never stop: who weighs each gap pairs {:.2} % of sessions, and the formula says \
             {:.2} %; at most {:.1} points apart, either way, are allowed",
            self.agents,
            100.0 * share,
            100.0 * self.formula,
            100.0 * FORMULA_LIMIT,
        )]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Size = Size { agents: 40, days: 3.0, seed: 5 };

    fn reached(attacker: &str, right: usize) -> Vec<Result> {
        let score = crate::score::Score { right, asked: 10_000 };
        vec![Result { attacker: attacker.to_owned(), score, joint: false }]
    }

    #[test]
    fn p3_only_what_beats_the_formula_and_a_crowd_without_a_program_is_over_the_limit() {
        for (agents, ideal, right, over) in [
            (300, 150, 251, true),
            (300, 150, 249, false),
            (300, 150, 10, false),
            (100, 400, 451, true),
            (100, 400, 449, false),
            (1_000, 400, 0, false),
            (1_000, 400, 251, true),
        ] {
            let row = Metadata {
                size: Size { agents, days: 1.0, seed: 0 },
                rate: 50.0,
                formula: 0.02,
                chance: 0.0,
                results: reached("one", right),
                ideal: reached(attack::BY_GAP, ideal),
            };
            assert_eq!(row.faults().len(), usize::from(over), "{agents}, {ideal}: {right}");
        }
    }

    #[test]
    fn p3_attackers_that_miss_the_formula_where_machines_never_stop_are_a_fault() {
        for (agents, right, wrong) in [
            (100, 149, true),
            (100, 151, false),
            (100, 249, false),
            (100, 251, true),
            (46, 0, false),
        ] {
            let results = reached(attack::BY_GAP, right);
            let row = Design { agents, formula: 0.02, results };
            assert_eq!(row.faults().len(), usize::from(wrong), "{agents}: {right}");
        }
    }

    /// Small, since it runs in every test run; `make privacy` asks the same of thousands of sessions.
    #[test]
    fn p3_who_pairs_sessions_by_anything_but_values_is_right_as_often_as_the_formula_says() {
        let leaks = [Leak::CountersKept, Leak::FixedPeriod, Leak::SharedCircuit];
        let crowd = crowd(&SMALL, &leaks, 2).unwrap();
        let metadata = metadata(&SMALL, &crowd).unwrap();
        let best = metadata.best().unwrap();
        let (share, formula) = (best.score.share(), metadata.formula);
        // Three standard errors of some 350 questions, and what the best of many has by chance.
        assert!(best.score.asked > 250, "{best:?}");
        assert!(
            (share - formula).abs() < 0.08,
            "linkable: {best:?}, but the formula says {formula}"
        );

        // And it would be seen if that weren't so.
        for control in controls(&SMALL, &crowd, &leaks, 2) {
            let (attacker, without, with, found) = &control.tried[0];
            assert!(found, "{:?}: {attacker}: {without:?}, {with:?}", control.leak);
        }
    }
}
