//! Two programs that are measured, and what each records in a while.

use std::time::Duration;

use undertone::{Declaration, Instruments, Registry};

use super::{Draws, Traits};
use crate::crowd::Record;

undertone::label! {
    /// How a request ended.
    pub enum Outcome in "outcome" { Ok = "ok", Failed = "failed" }
}

undertone::label! {
    /// What was used.
    pub enum Feature in "feature" { Search = "search", Print = "print", Share = "share" }
}

undertone::instruments! {
    /// A file server.
    pub struct FileServer in "fileserver" {
        /// Connections accepted.
        connections: Counter,
        /// Files being sent now.
        open: Gauge<i64> { buckets: [0, 1, 2, 5, 10, 20, 50, 100] },
        /// Bytes sent.
        sent: Meter,
        /// Time to answer, by outcome.
        latency: Timer<Outcome>,
    }
}

undertone::instruments! {
    /// Something like a browser.
    pub struct Browser in "browser" {
        /// Pages opened.
        pages: Counter,
        /// Tabs open now.
        tabs: Gauge<i64> { buckets: [0, 1, 2, 5, 10, 20, 50, 100] },
        /// Features used.
        features: Counter<Feature>,
        /// Time until a page is shown.
        load: Timer,
    }
}

/// Which program is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Busy, day and night.
    FileServer,
    /// Used by somebody now and then.
    Browser,
}

impl Program {
    /// What it declares.
    pub fn declaration(self) -> Declaration {
        match self {
            Self::FileServer => FileServer::DECLARATION,
            Self::Browser => Browser::DECLARATION,
        }
    }
}

/// Records what a machine does.
pub(crate) struct Recorder {
    instruments: Handles,
    traits: Traits,
    /// Until when, in seconds of the crowd, everything is recorded.
    recorded: f64,
    /// In use now, with which intensity; until when, in seconds of the crowd.
    busy: (f64, f64),
}

/// What is recorded at once, in seconds: finer than any interval.
const STEP: f64 = 20.0;

enum Handles {
    FileServer(FileServer),
    Browser(Browser),
}

impl Recorder {
    /// For the instruments of a registry, on a machine of these traits, from `begin` on.
    ///
    /// # Errors
    /// If the registry has others of these names.
    pub(crate) fn new(
        program: Program,
        traits: Traits,
        begin: f64,
        registry: &Registry,
    ) -> Result<Self, undertone::RegisterError> {
        let instruments = match program {
            Program::FileServer => Handles::FileServer(FileServer::register(registry)?),
            Program::Browser => Handles::Browser(Browser::register(registry)?),
        };
        Ok(Self { instruments, traits, recorded: begin, busy: (0.0, 0.0) })
    }

    fn step(&mut self, at: f64, draws: &mut Draws) {
        let (traits, seconds) = (&self.traits, STEP);
        if at >= self.busy.1 {
            // Bursts and pauses, of ten minutes or so each.
            let intensity = if draws.uniform() < 0.5 { 0.2 } else { 1.8 };
            self.busy = (intensity, at + draws.exponential(600.0));
        }
        let work = traits.load * traits.activity(at) * self.busy.0 * seconds;
        let open = traits.open * (0.5 + 0.5 * self.busy.0);
        match &self.instruments {
            Handles::FileServer(server) => {
                let requests = draws.poisson(0.3 * traits.share[0] * work);
                server.connections.inc_by(draws.poisson(0.1 * traits.share[1] * work).into());
                server.open.set(draws.poisson(4.0 * open).into());
                for _ in 0..requests {
                    let failed = draws.uniform() < (0.02 * traits.share[2]).min(0.5);
                    let outcome = if failed { Outcome::Failed } else { Outcome::Ok };
                    server.latency.update(outcome, milliseconds(40.0 * traits.slowness, draws));
                    let size = 200_000.0 * traits.share[3] * draws.log_normal(1.0);
                    server.sent.mark_by(size as i64);
                }
            }
            Handles::Browser(browser) => {
                let pages = draws.poisson(0.02 * traits.share[0] * work);
                browser.pages.inc_by(pages.into());
                browser.tabs.set((6.0 * open).round() as i64);
                for (feature, share) in [Feature::Search, Feature::Print, Feature::Share]
                    .into_iter()
                    .zip([0.01, 0.001, 0.002].iter().zip(&traits.share[1..]).map(|(a, b)| a * b))
                {
                    browser.features.inc_by(feature, draws.poisson(share * work).into());
                }
                for _ in 0..pages {
                    browser.load.update(milliseconds(900.0 * traits.slowness, draws));
                }
            }
        }
    }
}

impl Record for Recorder {
    fn until(&mut self, at: f64, draws: &mut Draws) {
        while at - self.recorded >= STEP {
            self.step(self.recorded, draws);
            self.recorded += STEP;
        }
    }
}

fn milliseconds(median: f64, draws: &mut Draws) -> Duration {
    Duration::from_secs_f64(median / 1_000.0 * draws.log_normal(0.6))
}
