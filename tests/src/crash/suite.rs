//! All steps of all situations, or a sample of them, a few at a time.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use anyhow::{Context, Result};

use super::{
    fault::Fault,
    power::{Loss, Random},
    situation::{Prepared, Situation, Strike},
    steps::{self, Step},
    table::{Column, Row, Table},
};

/// What is done.
#[derive(Debug, Clone)]
pub struct Plan {
    /// In which situations.
    pub situations: Vec<Situation>,
    /// Which faults.
    pub faults: Vec<Fault>,
    /// Whether the power goes at each step, too.
    pub power: bool,
    /// How many of each situation's steps and faults, drawn by the seed; none: all.
    pub sample: Option<usize>,
    /// What is drawn by: samples, and what is torn when the power goes.
    pub seed: u64,
    /// How many at once.
    pub at_once: usize,
}

/// A run that is to be done: what it counts for.
struct Job {
    situation: usize,
    strike: Strike,
    row: Row,
    column: Column,
}

/// A step that another thread's turn may take: it is tried again so often.
const TRIES: usize = 5;

impl Plan {
    /// Everything.
    pub fn all(seed: u64) -> Self {
        Self {
            situations: Situation::ALL.to_vec(),
            faults: Fault::ALL.to_vec(),
            power: true,
            sample: None,
            seed,
            at_once: 3,
        }
    }

    /// Does it. `tell` hears how far it is.
    ///
    /// # Errors
    /// If a situation can't be made, or goes wrong without any fault.
    pub fn run(&self, tell: impl Fn(&str) + Sync) -> Result<Table> {
        let mut random = Random(self.seed);
        let (mut table, mut jobs, mut prepared) = (Table::default(), Vec::new(), Vec::new());
        for (number, situation) in self.situations.iter().enumerate() {
            let name = situation.name();
            let made = situation.prepare().with_context(|| format!("preparing: {name}"))?;
            let mut of_this = self
                .jobs(number, &made, &mut table)
                .with_context(|| format!("recording: {name}"))?;
            if let Some(sample) = self.sample {
                while of_this.len() > sample {
                    of_this.swap_remove((random.next() % of_this.len() as u64) as usize);
                }
            }
            tell(&format!("{name}: {} runs", of_this.len()));
            jobs.extend(of_this);
            prepared.push(made);
        }
        for job in &jobs {
            table.wanted(&job.row, job.column);
        }
        let (next, table) = (AtomicUsize::new(0), Mutex::new(table));
        thread::scope(|scope| {
            for _ in 0..self.at_once {
                scope.spawn(|| {
                    while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let outcome = attempt(&prepared[job.situation], &job.strike);
                        let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
                        match outcome {
                            Ok(true) => table.hit(&job.row, job.column),
                            Ok(false) => {
                                table.fail(format!("never hit: {}", told(&job.row, &job.strike)))
                            }
                            Err(error) => {
                                table.hit(&job.row, job.column);
                                let what = format!("{}: {error:#}", told(&job.row, &job.strike));
                                tell(&what);
                                table.fail(what);
                            }
                        }
                    }
                });
            }
        });
        Ok(table.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn jobs(&self, number: usize, prepared: &Prepared, table: &mut Table) -> Result<Vec<Job>> {
        let mut jobs = Vec::new();
        let situation = prepared.situation.name();
        let row = |file: &str, call: &str| Row {
            situation,
            process: "undertone-ingest-proxy",
            file: file.to_owned(),
            call: call.to_owned(),
        };
        let struck = prepared.go_through(&Strike::Record)?;
        let steps = steps::read(&struck.trace, &struck.subject.disk());
        for step in &steps {
            let row = row(&step.file, &step.call);
            table.step(&row);
            for fault in &self.faults {
                let column = match fault {
                    Fault::Kill => Column::Kill,
                    Fault::Once(errno) | Fault::From(errno) => Column::Error(*errno),
                };
                let strike = Strike::Fault(*fault, step.clone());
                jobs.push(Job { situation: number, strike, row: row.clone(), column });
            }
        }
        if self.power {
            // At the end first: it lists the steps, too.
            let strike = Strike::Power(0, Loss::All);
            let struck = prepared.go_through(&strike)?;
            self.compare(&steps, &struck.log, table, situation);
            for (at, line) in struck.log.lines().enumerate() {
                let (call, file) = line.split_once(' ').context("a step")?;
                let row = row(file, call);
                let torn = Loss::Torn(self.seed ^ (at as u64) << 8 ^ number as u64);
                for loss in [Loss::All, torn] {
                    let strike = Strike::Power(at + 1, loss);
                    jobs.push(Job {
                        situation: number,
                        strike,
                        row: row.clone(),
                        column: Column::Power,
                    });
                }
            }
        }
        Ok(jobs)
    }

    /// What strace sees, the preloaded library must have seen: else something is lost unnoticed.
    fn compare(
        &self,
        steps: &std::collections::BTreeSet<Step>,
        log: &str,
        table: &mut Table,
        situation: &str,
    ) {
        let mut unseen = BTreeMap::new();
        for step in steps {
            if !log.contains(&format!("{} {}\n", step.call, step.file)) {
                unseen.insert(format!("{} {}", step.call, step.file), ());
            }
        }
        for what in unseen.into_keys() {
            table.fail(format!("{situation}: the preloaded library misses {what}"));
        }
    }
}

/// Until it is hit.
fn attempt(prepared: &Prepared, strike: &Strike) -> Result<bool> {
    for _ in 0..TRIES {
        if prepared.go_through(strike)?.hit {
            return Ok(true);
        }
    }
    Ok(false)
}

fn told(row: &Row, strike: &Strike) -> String {
    let mut text = format!("{}, {} {}", row.situation, row.call, row.file);
    // Writing to a string can't fail.
    let _ = match strike {
        Strike::Record => Ok(()),
        Strike::Fault(fault, step) => write!(text, " {}: {fault}", step.number),
        Strike::Power(step, loss) => write!(text, ": power lost before step {step} ({loss:?})"),
    };
    text
}
