//! The world of one simulated process: the program that it measures, and the way to the ingest side.

use std::time::Duration;

use undertone::{
    Registry,
    simulation::{Simulation, World},
};
use undertone_wire::endpoint::{DeploymentId, Ingest};

use super::{Record, Setting};
use crate::{
    seen::{Arrival, Names},
    workload::{Draws, Run},
};

/// Mean of what the way through Tor takes, in seconds.
const LATENCY: f64 = 1.0;
/// An onion address that nobody has the key of.
const ONION: &str = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";

pub(super) struct Host {
    record: Box<dyn Record>,
    run: Run,
    outages: Vec<Run>,
    deployment: DeploymentId,
    names: Names,
    draws: Draws,
    arrivals: Vec<Arrival>,
}

impl Host {
    pub(super) fn new(
        record: Box<dyn Record>,
        run: Run,
        outages: &[Run],
        names: Names,
        draws: Draws,
    ) -> Self {
        let met = |outage: &&Run| outage.end > run.begin && outage.begin < run.end;
        let outages = outages.iter().filter(met).copied().collect();
        let deployment = DeploymentId::from([0; 32]);
        Self { record, run, outages, deployment, names, draws, arrivals: Vec::new() }
    }

    /// Lives from the process's start to its end.
    pub(super) fn live(
        mut self,
        setting: &Setting,
        registry: &Registry,
        seed: u64,
    ) -> std::io::Result<(Vec<Arrival>, Names, Draws)> {
        let ingest: Ingest = ONION.parse().map_err(std::io::Error::other)?;
        self.deployment = ingest.deployment;
        let simulation = Simulation {
            schema: setting.schema.clone(),
            profile: setting.profile,
            scope: setting.scope,
            ingest,
            seed,
            end: Duration::try_from_secs_f64(self.run.end - self.run.begin)
                .map_err(std::io::Error::other)?,
        };
        let host = simulation.run(registry, self)?;
        Ok((host.arrivals, host.names, host.draws))
    }
}

impl World for Host {
    fn pass(&mut self, now: Duration) {
        self.record.until(self.run.begin + now.as_secs_f64(), &mut self.draws);
    }

    fn reachable(&mut self, now: Duration) -> bool {
        let at = self.run.begin + now.as_secs_f64();
        !self.outages.iter().any(|outage| (outage.begin..outage.end).contains(&at))
    }

    fn take(&mut self, now: Duration, circuit: u128, request: &[u8]) {
        let at = self.run.begin + now.as_secs_f64() + 0.3 + self.draws.exponential(LATENCY);
        let arrival = Arrival::read(at, circuit, request, &self.deployment, &mut self.names);
        self.arrivals.extend(arrival);
    }
}
