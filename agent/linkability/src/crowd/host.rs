//! The world of one simulated process: the program that it measures, and the way to the ingest side.

use std::time::Duration;

use undertone::{
    Registry,
    simulation::{Simulation, World},
};
use undertone_wire::endpoint::{DeploymentId, Ingest};

use super::Setting;
use crate::{
    seen::{Arrival, Names},
    workload::{Draws, Recorder, Run, Traits},
};

/// What is recorded at once, in seconds: finer than any interval.
const STEP: f64 = 20.0;
/// Mean of what the way through Tor takes, in seconds.
const LATENCY: f64 = 1.0;
/// An onion address that nobody has the key of.
const ONION: &str = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";

pub(super) struct Host {
    traits: Traits,
    run: Run,
    outages: Vec<Run>,
    registry: Registry,
    recorder: Option<Recorder>,
    recorded: f64,
    deployment: DeploymentId,
    names: Names,
    draws: Draws,
    arrivals: Vec<Arrival>,
}

impl Host {
    pub(super) fn new(
        setting: &Setting,
        traits: &Traits,
        run: Run,
        outages: &[Run],
        names: Names,
        draws: Draws,
    ) -> Self {
        let registry = Registry::new();
        Self {
            traits: traits.clone(),
            run,
            outages: outages.iter().filter(|o| o.end > run.begin && o.begin < run.end).copied().collect(),
            recorder: Recorder::new(setting.program, &registry).ok(),
            registry,
            recorded: 0.0,
            deployment: DeploymentId::from([0; 32]),
            names,
            draws,
            arrivals: Vec::new(),
        }
    }

    /// Lives from the process's start to its end.
    pub(super) fn live(
        mut self,
        setting: &Setting,
        seed: u64,
    ) -> std::io::Result<(Vec<Arrival>, Names, Draws)> {
        let ingest: Ingest = ONION.parse().map_err(std::io::Error::other)?;
        self.deployment = ingest.deployment;
        let simulation = Simulation {
            schema: setting.schema.clone(),
            profile: setting.profile,
            ingest,
            seed,
            end: Duration::from_secs_f64(self.run.end - self.run.begin),
        };
        let registry = self.registry.clone();
        let host = simulation.run(&registry, self)?;
        Ok((host.arrivals, host.names, host.draws))
    }
}

impl World for Host {
    fn pass(&mut self, now: Duration) {
        let now = now.as_secs_f64();
        while now - self.recorded >= STEP {
            let at = self.run.begin + self.recorded;
            if let Some(recorder) = &mut self.recorder {
                recorder.record(&self.traits, at, STEP, &mut self.draws);
            }
            self.recorded += STEP;
        }
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
