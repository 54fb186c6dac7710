//! A crowd: agents of one program, each simulated from beginning to end, and the sessions that were seen of them.

mod host;

use std::thread;

use undertone::{Profile, Schema};

use crate::{
    leak::Leak,
    seen::{Arrival, Names, Session, sessions},
    workload::{DAY, Draws, Program, Run, Traits, draws, outages, runs},
};

/// Which crowd.
#[derive(Debug, Clone)]
pub struct Setting {
    /// How many agents.
    pub agents: u32,
    /// For how many days.
    pub days: f64,
    /// Decides every draw.
    pub seed: u64,
    /// What is measured.
    pub program: Program,
    /// What of it may leave.
    pub schema: Schema,
    /// For whom: how long sessions are.
    pub profile: Profile,
    /// Whether sessions remember the numbers that were reported.
    pub values: bool,
    /// On how many threads.
    pub threads: usize,
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
        let mut outages_of_it = outages(traits.offline, end, &mut own);
        // The ingest side's own, and those of the network that this machine is in.
        outages_of_it.extend(outages(3.0 * DAY, end, &mut draws(self.seed, SHARED_OUTAGES)));
        let region = u64::from(agent) % REGION_COUNT;
        outages_of_it.extend(outages(5.0 * DAY, end, &mut draws(self.seed, REGIONS + region)));
        let runs = runs(&traits, end, &mut own);
        Machine { traits, runs, outages: outages_of_it, draws: own }
    }

    /// Simulates it. With `leaks`, what would be seen if every agent had each of them is made of the same
    /// arrivals.
    ///
    /// # Errors
    /// If no runtime can be made.
    pub fn simulate(&self, leaks: &[Leak]) -> std::io::Result<Crowd> {
        let threads = self.threads.max(1) as u32;
        let part = |first: u32| -> std::io::Result<Vec<(u32, Crowd)>> {
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
                let part = part.map_err(|_| std::io::Error::other("a simulation panicked"))?;
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

    fn agent(&self, agent: u32, leaks: &[Leak]) -> std::io::Result<Crowd> {
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
    fn arrivals(&self, agent: u32) -> std::io::Result<(Vec<Arrival>, Names, Vec<u32>)> {
        let Machine { traits, runs, outages, mut draws } = self.machine(agent);
        let (mut arrivals, mut names, mut processes) = (Vec::new(), Names::default(), Vec::new());
        for (process, run) in runs.iter().enumerate() {
            let seed = draws.number();
            let host = host::Host::new(self, &traits, *run, &outages, names, draws);
            let (seen, known, rest) = host.live(self, seed)?;
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
