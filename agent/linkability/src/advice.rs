//! What a vendor is told about a schema and a sample of data: how well devices can be followed from session to
//! session, by which measurements, and what being coarser would change.

use std::{collections::BTreeMap, fmt, io, sync::Arc};

use undertone::{Digits, Profile, Schema, Scope};

use crate::{
    attack::{self, Numbers, SHARE},
    coarseness::{Coarseness, Gauges},
    crowd::{Machines, Setting},
    pairs::{Asking, Pairs},
    sample::Sample,
    score::{Score, formula},
    workload::HOUR,
};

/// Fewer questions than this say nothing.
const QUESTIONS: usize = 100;
/// Fewer devices than this are no crowd.
const DEVICES: u32 = 10;
/// How many questions are asked at most: more make it no surer.
const ASKED: usize = 4_000;
/// Who may have ended before a session, in seconds: overnight, too.
const REACH: f64 = 14.0 * HOUR;
/// A measurement whose own score is so far above the gap's makes people linkable, in shares.
const LINKABLE: f64 = 0.02;

/// What was found.
#[derive(Debug)]
pub struct Advice {
    devices: u32,
    days: f64,
    chance: f64,
    formula: f64,
    metadata: attack::Result,
    best: attack::Result,
    measurements: Vec<Measured>,
    settings: Vec<(String, Score)>,
}

#[derive(Debug)]
struct Measured {
    name: String,
    alone: Score,
    without: Score,
}

/// Why there is no advice.
#[derive(Debug)]
pub enum AdviceError {
    /// Too little data: so many devices and questions there are.
    TooFew(u32, usize),
    /// A schema that can't be changed so.
    Schema(undertone::SchemaError),
    /// The simulation can't be run.
    Run(io::Error),
}

impl Advice {
    /// Replays the sample, as it would be reported under `scope`, and attacks it. Takes about a tenth of a second
    /// for each day of each device, for each of six settings; starts no thread.
    ///
    /// # Errors
    /// [`AdviceError`].
    pub fn of(sample: Arc<Sample>, scope: Scope, seed: u64) -> Result<Self, AdviceError> {
        let declared = crowd(&sample, &sample.schema, scope, seed)?;
        if sample.devices() < DEVICES || declared.questions.len() < QUESTIONS {
            return Err(AdviceError::TooFew(sample.devices(), declared.questions.len()));
        }
        let results = attack::values(&declared);
        let metadata = attack::metadata(&declared);
        let (Some(best), Some(metadata)) = (attack::best(&results), attack::best(&metadata)) else {
            return Err(AdviceError::TooFew(sample.devices(), 0));
        };
        let mut settings = vec![("as declared".to_owned(), best.score)];
        let coarser = |digits, gauges| Coarseness { digits: Some(digits), gauges };
        for coarseness in [
            coarser(Digits::Rounded(1), Gauges::Declared),
            coarser(Digits::Rounded(1), Gauges::Buckets(4)),
            coarser(Digits::Rounded(2), Gauges::Declared),
            coarser(Digits::All, Gauges::Exact),
        ] {
            let schema = coarseness.apply(&sample.schema).map_err(AdviceError::Schema)?;
            let results = attack::values(&crowd(&sample, &schema, scope, seed)?);
            settings.extend(attack::best(&results).map(|b| (coarseness.to_string(), b.score)));
        }
        if scope != Scope::Batch {
            let results = attack::values(&crowd(&sample, &sample.schema, Scope::Batch, seed)?);
            let best = attack::best(&results);
            settings.extend(best.map(|b| ("as declared, scope batch".to_owned(), b.score)));
        }
        Ok(Self {
            devices: sample.devices(),
            days: sample.days(),
            chance: declared.chance(),
            formula: formula(declared.rate),
            metadata: metadata.clone(),
            best: best.clone(),
            measurements: ablation(&declared, &sample),
            settings,
        })
    }
}

fn crowd(
    sample: &Arc<Sample>,
    schema: &Schema,
    scope: Scope,
    seed: u64,
) -> Result<Pairs, AdviceError> {
    let setting = Setting {
        machines: Machines::Replayed(Arc::clone(sample)),
        agents: sample.devices(),
        days: sample.days(),
        seed,
        schema: schema.clone(),
        profile: Profile::Anonymous,
        scope,
        values: true,
        threads: 1,
    };
    let crowd = setting.simulate(&[]).map_err(AdviceError::Run)?;
    Ok(Pairs::new(crowd.sessions, Asking { reach: REACH, from: 0.0, at_most: ASKED }))
}

/// What each measurement tells alone, and what is told without it; the one that tells most first.
fn ablation(pairs: &Pairs, sample: &Sample) -> Vec<Measured> {
    let numbers = Numbers::new(pairs);
    let mut fields: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    // What compares one measurement with the others is no measurement's own.
    let own = numbers.names().iter().enumerate().filter(|(_, name)| !name.ends_with(SHARE));
    for (index, name) in own {
        let measurement =
            name.rsplit_once(' ').map_or(name.as_str(), |(measurement, _)| measurement);
        fields.entry(measurement).or_default().push(index);
    }
    let all: Vec<usize> = fields.values().flatten().copied().collect();
    let mut measured: Vec<Measured> = fields
        .into_iter()
        .map(|(name, own)| {
            let others: Vec<usize> = all.iter().filter(|i| !own.contains(i)).copied().collect();
            Measured {
                name: sample.title(name).to_owned(),
                alone: attack::by_numbers(pairs, &numbers, Some(&own)),
                without: attack::by_numbers(pairs, &numbers, Some(&others)),
            }
        })
        .collect();
    measured.sort_by_key(|measured| std::cmp::Reverse(measured.alone.right));
    measured
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { devices, days, chance, formula, metadata, best, .. } = self;
        let asked = best.score.asked;
        writeln!(
            f,
            "{devices} devices over {days:.1} days: {asked} sessions that follow one of the same device."
        )?;
        writeln!(f, "\nHow many of them are paired with the one before, of 100:")?;
        writeln!(f, "  {:>6.2}       by guessing", 100.0 * chance)?;
        writeln!(
            f,
            "  {:>6.2}       by the formula for a crowd of this size, from times alone",
            100.0 * formula
        )?;
        writeln!(
            f,
            "  {}  from everything but the numbers ({})",
            share(metadata.score),
            metadata.attacker
        )?;
        writeln!(f, "  {}  with the numbers ({})", share(best.score), best.attacker)?;
        writeln!(f, "\nWhat the measurements tell, beside the time (nearest neighbour):")?;
        writeln!(f, "   alone  without it")?;
        for Measured { name, alone, without } in &self.measurements {
            let (alone, without) = (100.0 * alone.share(), 100.0 * without.share());
            writeln!(f, "  {alone:>6.2}  {without:>10.2}  {name}")?;
        }
        writeln!(f, "\nWhat being coarser or finer would do (best attacker):")?;
        for (setting, score) in &self.settings {
            writeln!(f, "  {}  {setting}", share(*score))?;
        }
        writeln!(f, "\n{}", self.verdict())?;
        write!(
            f,
            "Behind ± is the wider half of the interval that holds the figure in 95 of 100 samples. All of it \
             is\nfor a crowd of {devices}: in a larger one fewer are paired, unless numbers are as rare \
             there."
        )
    }
}

impl Advice {
    fn verdict(&self) -> String {
        let (with, without) = (self.best.score, self.metadata.score);
        if with.bounds().0 <= without.bounds().1.max(self.formula) + LINKABLE {
            return "Verdict: these numbers link sessions no better than times do, as far as this sample can tell."
                .to_owned();
        }
        let base = without.share().max(self.formula);
        let guilty: Vec<&str> = self
            .measurements
            .iter()
            .filter(|measured| measured.alone.bounds().0 > base + LINKABLE)
            .map(|measured| measured.name.as_str())
            .take(5)
            .collect();
        let by = if guilty.is_empty() {
            "No measurement does that alone; together they do.".to_owned()
        } else {
            format!("Most by: {}.", guilty.join(", "))
        };
        let best = self.settings.iter().min_by(|a, b| a.1.share().total_cmp(&b.1.share()));
        let best = best.map_or_else(String::new, |(setting, score)| {
            format!(" Least of what was tried: {setting}, {:.1} of 100.", 100.0 * score.share())
        });
        format!(
            "Verdict: devices can be followed from session to session by these numbers. {by}{best}"
        )
    }
}

fn share(score: Score) -> String {
    let (low, high) = score.bounds();
    let half = (score.share() - low).max(high - score.share());
    format!("{:>6.2} ±{:.1}", 100.0 * score.share(), 100.0 * half)
}

impl fmt::Display for AdviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFew(devices, questions) => write!(
                f,
                "too little to tell: {devices} devices with {questions} sessions that follow another of the same \
                 device; at least {DEVICES} devices and {QUESTIONS} such sessions are needed, which \
                 are about {} days of {} devices",
                QUESTIONS.div_ceil(3 * (*devices).max(DEVICES) as usize) + 1,
                (*devices).max(DEVICES),
            ),
            Self::Schema(error) => write!(f, "the schema can't be changed so: {error}"),
            Self::Run(error) => write!(f, "the sample can't be replayed: {error}"),
        }
    }
}

impl std::error::Error for AdviceError {}
