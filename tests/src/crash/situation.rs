//! What a proxy goes through while a fault strikes, and what must hold afterwards.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use super::{
    check::{self, Expected},
    fault::Fault,
    parcels::{self, Answer, Sealed},
    power::{Loss, Power},
    steps::Step,
    subject::{Around, Ended, Running, Subject},
};
use crate::wait;

/// A situation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Situation {
    /// `schema add` on an empty disk.
    FirstSchema,
    /// `schema add` in place of a former version.
    NextSchema,
    /// A proxy that has never run starts, takes parcels, writes them to the store and ends.
    Fresh,
    /// One that has run before does.
    Again,
    /// One takes parcels and has nothing to do for a while, in which it tidies up.
    Idle,
    /// One was killed before it had delivered all, and starts.
    Killed,
    /// The queue's file is damaged.
    Damaged,
}

/// A situation with its files, made once.
#[derive(Debug)]
pub struct Prepared {
    /// Which.
    pub situation: Situation,
    template: Option<Subject>,
    /// What was taken before, and is in the store or waits for it.
    before: Vec<Sealed>,
    /// What comes now.
    now: Vec<Sealed>,
}

/// What strikes.
#[derive(Debug, Clone)]
pub enum Strike {
    /// Nothing: the steps are recorded.
    Record,
    /// A fault at a step.
    Fault(Fault, Step),
    /// The power goes at the step of this number; 0: at the end.
    Power(usize, Loss),
}

/// What became of a run.
#[derive(Debug)]
pub struct Struck {
    /// Whether the fault happened.
    pub hit: bool,
    /// What strace wrote.
    pub trace: String,
    /// What the preloaded library wrote.
    pub log: String,
    /// The disk under test; gone with this value.
    pub subject: Subject,
}

/// A schema that is another.
const NEXT: &str = "interval_seconds = 20";
/// After what time a proxy that has nothing to do has tidied up, at the latest: it begins after a second.
const TIDY: Duration = Duration::from_secs(3);

impl Situation {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::FirstSchema,
        Self::NextSchema,
        Self::Fresh,
        Self::Again,
        Self::Idle,
        Self::Killed,
        Self::Damaged,
    ];

    /// What it is called in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::FirstSchema => "first schema",
            Self::NextSchema => "next schema",
            Self::Fresh => "fresh",
            Self::Again => "again",
            Self::Idle => "idle",
            Self::Killed => "killed before",
            Self::Damaged => "damaged queue",
        }
    }

    /// Makes its files.
    pub fn prepare(self) -> Result<Prepared> {
        let deployment = Subject::deployment()?;
        let now = parcels::four(1, &deployment)?;
        let before = parcels::four(101, &deployment)?;
        let mut prepared = Prepared { situation: self, template: None, before: Vec::new(), now };
        if self == Self::FirstSchema {
            return Ok(prepared);
        }
        let subject = Subject::new(None)?;
        let (added, _) = subject.run(&["schema", "add"], Around::Nothing)?;
        ensure!(added == Ended::Well, "{}", subject.errors());
        if matches!(self, Self::Again | Self::Idle | Self::Killed | Self::Damaged) {
            let running = subject.start(Around::Nothing)?;
            for parcel in &before {
                ensure!(running.send(parcel)? == Answer::Taken, "{}", running.errors());
            }
            if self == Self::Killed {
                running.kill()?;
            } else {
                ensure!(running.end()? == Ended::Well, "{}", subject.errors());
            }
            prepared.before = before;
        }
        if self == Self::Damaged {
            // The head of every page but the first, where the version is.
            let file = OpenOptions::new().write(true).open(subject.data().join("queue.sqlite3"))?;
            let length = file.metadata()?.len();
            for page in (4_096..length).step_by(4_096) {
                file.write_all_at(&[0xa5; 64], page)?;
            }
        }
        prepared.template = Some(subject);
        Ok(prepared)
    }
}

impl Prepared {
    /// Goes through it once, with what strikes, and checks all that must hold.
    ///
    /// # Errors
    /// If anything is lost, doubled, damaged, or doesn't start any more.
    pub fn go_through(&self, strike: &Strike) -> Result<Struck> {
        let template = self.template.as_ref().map(Subject::disk);
        let subject = Subject::new(template.as_deref())?;
        let power = match strike {
            Strike::Power(..) => Some(Power::over(&subject)?),
            _ => None,
        };
        let around = match (strike, &power) {
            (Strike::Fault(fault, step), _) => {
                Around::Strace(fault.arguments(step, &subject.disk()))
            }
            (Strike::Power(step, _), Some(power)) => Around::Preload(power.environment(*step)),
            _ => Around::Strace(Fault::recording()),
        };
        let hit = match self.situation {
            Situation::FirstSchema | Situation::NextSchema => {
                self.add_schema(&subject, around, strike, power.as_ref())
            }
            _ => self.run(&subject, around, strike, power.as_ref()),
        };
        let hit = hit.with_context(|| format!("what was said:\n{}", subject.errors()))?;
        let log = power.map(|power| power.log()).unwrap_or_default();
        Ok(Struck { hit, trace: subject.trace(), log, subject })
    }

    fn add_schema(
        &self,
        subject: &Subject,
        around: Around,
        strike: &Strike,
        power: Option<&Power>,
    ) -> Result<bool> {
        let replaced = self.situation == Situation::NextSchema;
        if replaced {
            let schema = parcels::SCHEMA.replace("interval_seconds = 10", NEXT);
            fs::write(subject.beside("schema.toml"), schema)?;
        }
        let (ended, _) = subject.run(&["schema", "add"], around)?;
        let (added, hit) = (ended == Ended::Well, happened(strike, ended, subject));
        if let (Strike::Power(_, loss), Some(power)) = (strike, power) {
            power.lose(subject, *loss)?;
        }
        if matches!(strike, Strike::Fault(Fault::Once(_) | Fault::From(_), _)) && !added {
            is_told(&subject.errors())?;
        }
        let (listed, list) = subject.run(&["schema", "list"], Around::Nothing)?;
        ensure!(listed == Ended::Well, "the schemas can't be read any more");
        let there = list.contains(parcels::MEASUREMENT);
        ensure!(there || (!added && !replaced), "the schema is gone");
        if replaced {
            let now = fs::read_to_string(subject.data().join("schemas/crash.toml"))?;
            ensure!(!added || now.contains(NEXT), "what was added isn't there");
        }
        let (again, _) = subject.run(&["schema", "add"], Around::Nothing)?;
        ensure!(again == Ended::Well, "it can't be added any more");
        Ok(hit)
    }

    fn run(
        &self,
        subject: &Subject,
        around: Around,
        strike: &Strike,
        power: Option<&Power>,
    ) -> Result<bool> {
        let errors = matches!(strike, Strike::Fault(Fault::Once(_) | Fault::From(_), _));
        let mut running = subject.start(around)?;
        let opened = running.opened;
        let mut answers = vec![Answer::None; self.now.len()];
        if opened {
            for (answer, parcel) in answers.iter_mut().zip(&self.now) {
                *answer = running.send(parcel)?;
            }
            if self.situation == Situation::Idle {
                tidies(&mut running, &subject.data())?;
            }
            if errors && fault_is_in(strike, subject) {
                ensure!(running.is_alive()?, "it ended by a fault of the disk");
                ensure!(!answers.contains(&Answer::None), "a parcel wasn't answered: {answers:?}");
                running.untrace()?;
                self.send_again(&running, &mut answers).context("once the disk was well again")?;
            }
        } else if errors {
            is_told(&subject.errors()).context("it didn't start")?;
        }
        let ended = running.end()?;
        let hit = happened(strike, ended, subject);
        match (strike, ended) {
            (Strike::Fault(Fault::Kill, _), _) | (Strike::Power(..), _) => {}
            (_, Ended::Killed) => bail!("it was killed by a signal"),
            (_, ended) => ensure!(ended == Ended::Well || !opened, "it ended with a failure"),
        }
        if let (Strike::Power(_, loss), Some(power)) = (strike, power) {
            power.lose(subject, *loss)?;
        }

        let again = subject.start(Around::Nothing)?;
        ensure!(again.opened, "it doesn't start any more");
        let replayed = answers.iter().position(|answer| *answer == Answer::Taken);
        self.send_again(&again, &mut answers).context("after the next start")?;
        if let Some(replayed) = replayed {
            ensure!(
                again.send(&self.now[replayed])? == Answer::Taken,
                "a replay was answered otherwise"
            );
        }
        ensure!(again.end()? == Ended::Well, "the second process didn't end well");
        let all = [&self.before[..], &self.now[..]].concat();
        let damaged = self.situation == Situation::Damaged;
        let counted = if damaged { &self.now } else { &all };
        check::holds(&subject.data(), &Expected { stored: &all, counted })?;
        let aside = check::set_aside(&subject.data(), "queue.sqlite3")?;
        ensure!(aside == usize::from(damaged), "{aside} files were set aside");
        ensure!(
            check::set_aside(&subject.data(), "store.sqlite3")? == 0,
            "the store was set aside"
        );
        Ok(hit)
    }

    /// All that wasn't taken, which must be taken now.
    fn send_again(&self, running: &Running, answers: &mut [Answer]) -> Result<()> {
        for (answer, parcel) in answers.iter_mut().zip(&self.now) {
            if *answer != Answer::Taken {
                *answer = running.send(parcel)?;
                ensure!(*answer == Answer::Taken, "a parcel sent again: {answer:?}");
            }
        }
        Ok(())
    }
}

fn fault_is_in(strike: &Strike, subject: &Subject) -> bool {
    matches!(strike, Strike::Fault(fault, _) if fault.is_in(&subject.trace()))
}

/// Whether it struck, once the process has ended.
fn happened(strike: &Strike, ended: Ended, subject: &Subject) -> bool {
    match strike {
        Strike::Record => false,
        Strike::Fault(Fault::Kill, _) => ended == Ended::Killed,
        Strike::Fault(..) => fault_is_in(strike, subject),
        Strike::Power(step, _) => *step == 0 || ended == Ended::Killed,
    }
}

/// Waits until a proxy has emptied its queue's log, has ended, or can't.
fn tidies(running: &mut Running, data: &Path) -> Result<()> {
    let (log, begun) = (data.join("queue.sqlite3-wal"), Instant::now());
    wait::until("a tidy queue", TIDY * 2, || {
        let empty = fs::metadata(&log).is_ok_and(|metadata| metadata.len() == 0);
        Ok((empty || !running.is_alive()? || begun.elapsed() > TIDY).then_some(()))
    })
}

/// Whether a failure was told in words.
fn is_told(errors: &str) -> Result<()> {
    ensure!(errors.contains("undertone-ingest-proxy: "), "nothing was told");
    ensure!(!errors.contains("panicked"), "it panicked");
    Ok(())
}
