//! A crowd: agents of one program, each simulated from beginning to end, and the sessions that were seen of them.

mod host;

use std::{io, sync::Arc, thread};

use undertone::{Profile, Registry, Schema, Scope};

use crate::{
    leak::Leak,
    sample::Sample,
    seen::{Arrival, Names, Session, sessions},
    workload::{DAY, Draws, Program, Recorder, Run, Traits, draws, outages, runs},
};

/// Which crowd.
#[derive(Debug, Clone)]
pub struct Setting {
    /// What machines they run on.
    pub machines: Machines,
    /// How many agents.
    pub agents: u32,
    /// For how many days.
    pub days: f64,
    /// Decides every draw.
    pub seed: u64,
    /// What of it may leave.
    pub schema: Schema,
    /// For whom: how long sessions are.
    pub profile: Profile,
    /// How long a session lasts.
    pub scope: Scope,
    /// Whether sessions remember the numbers that were reported.
    pub values: bool,
    /// On how many threads.
    pub threads: usize,
}

/// The machines of a crowd.
#[derive(Debug, Clone)]
pub enum Machines {
    /// Made up: with persistent loads, days and nights, restarts, and outages that some share, measured by
    /// this program.
    Simulated(Program),
    /// Those that never stop and are never cut off.
    Steady(Program),
    /// Those of a sample of readings.
    Replayed(Arc<Sample>),
}

/// Records what a machine does, as time passes.
pub(crate) trait Record: Send {
    /// Time has come to `at`, in seconds since the crowd's beginning.
    fn until(&mut self, at: f64, draws: &mut Draws);
}

/// What was seen of a crowd.
#[derive(Debug, Default)]
pub struct Crowd {
    /// Nobody leaks anything.
    pub sessions: Vec<Session>,
    /// Everybody leaks: for each leak that was asked for.
    pub leaks: Vec<Vec<Session>>,
}

/// Purposes that generators are drawn for; agents come after these.
const SHARED_OUTAGES: u64 = 1;
const REGIONS: u64 = 2;
const AGENTS: u64 = 16;
/// Networks that fail as a whole.
const REGION_COUNT: u64 = 4;

/// One machine of a crowd.
pub(crate) struct Machine {
    pub(crate) traits: Traits,
    pub(crate) runs: Vec<Run>,
    pub(crate) outages: Vec<Run>,
    pub(crate) draws: Draws,
}

impl Setting {
    /// The machine of this number.
    pub(crate) fn machine(&self, agent: u32) -> Machine {
        let end = self.days * DAY;
        let mut own = draws(self.seed, AGENTS + u64::from(agent));
        let traits = Traits::draw(&mut own);
        let (runs, outages) = match &self.machines {
            Machines::Simulated(_) => {
                let mut all = outages(traits.offline, end, &mut own);
                // The ingest side's own, and those of the network that this machine is in.
                all.extend(outages(3.0 * DAY, end, &mut draws(self.seed, SHARED_OUTAGES)));
                let region = REGIONS + u64::from(agent) % REGION_COUNT;
                all.extend(outages(5.0 * DAY, end, &mut draws(self.seed, region)));
                (runs(&traits, end, &mut own), all)
            }
            Machines::Steady(_) => {
                let begin = DAY / 2.0 * own.uniform();
                (vec![Run { begin, end }], Vec::new())
            }
            Machines::Replayed(sample) => (sample.runs(agent), Vec::new()),
        };
        Machine { traits, runs, outages, draws: own }
    }

    /// What records the work of a machine in one of its processes.
    fn record(
        &self,
        agent: u32,
        traits: &Traits,
        run: Run,
        registry: &Registry,
    ) -> io::Result<Box<dyn Record>> {
        Ok(match &self.machines {
            Machines::Simulated(program) | Machines::Steady(program) => {
                let recorder = Recorder::new(*program, traits.clone(), run.begin, registry);
                Box::new(recorder.map_err(io::Error::other)?)
            }
            Machines::Replayed(sample) => Box::new(sample.replay(agent, run, registry)?),
        })
    }

    /// Simulates it. With `leaks`, what would be seen if every agent had each of them is made of the same
    /// arrivals.
    ///
    /// # Errors
    /// If no runtime can be made.
    pub fn simulate(&self, leaks: &[Leak]) -> io::Result<Crowd> {
        let threads = self.threads.max(1) as u32;
        let part = |first: u32| -> io::Result<Vec<(u32, Crowd)>> {
            let agents = (first..self.agents).step_by(threads as usize);
            agents.map(|agent| Ok((agent, self.agent(agent, leaks)?))).collect()
        };
        let mut parts: Vec<(u32, Crowd)> = Vec::new();
        if threads == 1 {
            parts = part(0)?;
        } else {
            let done: Vec<_> = thread::scope(|scope| {
                let spawned: Vec<_> =
                    (0..threads).map(|first| scope.spawn(move || part(first))).collect();
                spawned.into_iter().map(thread::ScopedJoinHandle::join).collect()
            });
            for part in done {
                let part = part.map_err(|_| io::Error::other("a simulation panicked"))?;
                parts.extend(part?);
            }
        }
        parts.sort_by_key(|(agent, _)| *agent);
        let mut crowd = Crowd { leaks: vec![Vec::new(); leaks.len()], ..Crowd::default() };
        for (_, part) in parts {
            crowd.sessions.extend(part.sessions);
            for (all, some) in crowd.leaks.iter_mut().zip(part.leaks) {
                all.extend(some);
            }
        }
        Ok(crowd)
    }

    fn agent(&self, agent: u32, leaks: &[Leak]) -> io::Result<Crowd> {
        let (arrivals, names, processes) = self.arrivals(agent)?;
        let mut leaky = Vec::with_capacity(leaks.len());
        for leak in leaks {
            let mut own = draws(self.seed ^ 0x1eaf, AGENTS + u64::from(agent));
            let mut changed = arrivals.clone();
            leak.apply(&mut changed, &names, &processes, &mut own);
            leaky.push(sessions(agent, &changed, &names, self.values));
        }
        let sessions = sessions(agent, &arrivals, &names, self.values);
        Ok(Crowd { sessions, leaks: leaky })
    }

    /// Everything that arrives of one agent, and for each of its lives the number of the process that it was in.
    fn arrivals(&self, agent: u32) -> io::Result<(Vec<Arrival>, Names, Vec<u32>)> {
        let Machine { traits, runs, outages, mut draws } = self.machine(agent);
        let (mut arrivals, mut names, mut processes) = (Vec::new(), Names::default(), Vec::new());
        for (process, run) in runs.iter().enumerate() {
            let seed = draws.number();
            let registry = Registry::new();
            let record = self.record(agent, &traits, *run, &registry)?;
            let host = host::Host::new(record, *run, &outages, names, draws);
            let (seen, known, rest) = host.live(self, &registry, seed)?;
            (names, draws) = (known, rest);
            let mut last = None;
            for mut arrival in seen {
                if last != Some(arrival.session) {
                    processes.push(process as u32);
                    last = Some(arrival.session);
                }
                arrival.life = processes.len() as u32 - 1;
                arrivals.push(arrival);
            }
        }
        Ok((arrivals, names, processes))
    }
}
