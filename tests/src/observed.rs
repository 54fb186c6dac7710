//! An agent in this process that is busy or idle as it is told, and whose link to its guard is watched.
//!
//! Busy: all five kinds of instruments record, some 20,000 times a second in all, some hundredths of a core. It is not
//! a machine without a free core: that delays every program on it, whatever it sends.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{JoinHandle, sleep},
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use undertone::{Agent, Clock, Consent, Ingest, Point, Points, Profile, Rhythm, Schema, Transport};

use crate::{
    folder::Folder,
    link::Link,
    wait,
    windows::{Plan, Span},
};

undertone::label! {
    /// How a request ended.
    pub enum Outcome in "outcome" {
        /// It was answered.
        Ok = "ok",
        /// It was not.
        Failed = "failed",
    }
}

undertone::instruments! {
    /// What a busy agent records.
    pub struct Metrics in "observed" {
        /// Requests.
        requests: Counter,
        /// Files open now.
        open: Gauge<i64> { buckets: [0, 1, 2, 5, 10] },
        /// Bytes sent.
        egress: Meter,
        /// Sizes of the files that were sent.
        size: Histogram { unit: "B" },
        /// Time to answer.
        latency: Timer<Outcome>,
    }
}

/// The namespace of agents whose size follows their load.
const OPEN: &str = "sized";
/// arti's defaults; continues the table `[channel]`.
const UNTAMED: &str = "padding = \"normal\"\n[preemptive_circuits]\n\
                       initial_predicted_ports = [80, 443]\ndisable_at_threshold = 12\n";
/// Between two rounds of recording.
const PAUSE: Duration = Duration::from_millis(10);
/// Records of each instrument in one round.
const RECORDS: i64 = 40;
/// Points that an agent of the control is handed at once, when little waits: about what fills a parcel. What it has not sent
/// when it is told to be idle is soon gone.
const POINTS: i64 = 300;
/// In how many rounds it is handed some.
const ROUNDS: i64 = 10;
/// The control: seldom a push where it is idle; where it is busy, there is soon something to be sent after each.
const CONTROL: Rhythm = Rhythm {
    cut_mean: Duration::from_secs(24),
    slot_mean: Duration::from_secs(240),
    slot_limit: Duration::from_secs(720),
};
/// From the start to the first push: bootstrap, a silence, a slot.
const FIRST_PUSH: Duration = Duration::from_secs(240);

/// What an agent promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The profile `anonymous`.
    Anonymous,
    /// The profile `fleet` with an open schema, whose parcels are as many as its load wants: the control.
    SizeByLoad,
    /// The profile `fleet`, with a batch about as often as this says.
    Fleet(Duration),
    /// The same with arti's own defaults in place of ours.
    Untamed(Duration),
}

/// The agent, its link and its load.
#[derive(Debug)]
pub struct Observed {
    /// The agent.
    pub agent: Arc<Agent>,
    /// Its link.
    pub link: Link,
    kind: Kind,
    load: Load,
    _folder: Folder,
}

#[derive(Debug)]
struct Load {
    busy: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Observed {
    /// Starts an agent on the Tor network of this arti configuration, whose time passes `factor` times as
    /// fast. It begins idle.
    pub fn start(kind: Kind, tor: &str, ingest: &Ingest, factor: u32) -> Result<Self> {
        let (folder, link) = (Folder::new("observed")?, Link::start()?);
        let schema = match kind {
            Kind::SizeByLoad => Schema::open(OPEN)?,
            _ => Schema::try_from(Metrics::DECLARATION)?,
        };
        let profile = match kind {
            Kind::Anonymous => Profile::Anonymous,
            Kind::SizeByLoad => Profile::Fleet(CONTROL),
            Kind::Fleet(mean) | Kind::Untamed(mean) => Profile::Fleet(Rhythm::every(mean)),
        };
        let agent = Arc::new(
            Agent::builder(ingest.clone())
                .schema(schema)
                .profile(profile)
                .consent(Consent::callback(|| true))
                .transport(Transport::embedded_with(arti_toml(kind, &link, tor)))
                .data_dir(folder.join("data"))
                .clock(Clock::accelerated(factor))
                .start()?,
        );
        let (metrics, points) = (agent.instruments::<Metrics>()?, agent.points());
        let of_load = Arc::clone(&agent);
        let load = Load::start(move |round| match kind {
            Kind::SizeByLoad => {
                if round % ROUNDS == 0 && of_load.statistics().parcels_waiting <= 1 {
                    hand_over(&points, round);
                }
            }
            _ => record(&metrics, round),
        });
        Ok(Self { agent, link, kind, load, _folder: folder })
    }

    /// What the proxy must admit.
    pub fn schemas() -> Result<[String; 2]> {
        let declared = Schema::try_from(Metrics::DECLARATION)?;
        Ok([declared.to_toml(), Schema::open(OPEN)?.to_toml()])
    }

    /// Waits for the first parcel to be taken.
    pub fn wait_until_it_reports(&self) -> Result<()> {
        wait::until("the first push", FIRST_PUSH, || {
            Ok((self.agent.statistics().parcels_sent > 0).then_some(()))
        })
        .map_err(|error| {
            let (state, statistics) = (self.agent.state(), self.agent.statistics());
            anyhow!("{error}: {:?} is {state:?}, {statistics:?}, {:?}", self.kind, self.agent.tor())
        })
    }

    /// Is busy and idle in turns as the plan draws them, and says when it was which.
    pub fn live_through(&self, plan: &Plan) -> Vec<Span> {
        let mut spans = Vec::new();
        for busy in plan.draw() {
            self.load.busy.store(busy, Ordering::SeqCst);
            let from = Instant::now() + plan.settling;
            // Time is what is measured here.
            sleep(plan.settling + plan.observed());
            spans.push(Span { from, busy });
        }
        self.load.busy.store(false, Ordering::SeqCst);
        spans
    }
}

/// The configuration of the agent's Tor, which doesn't build circuits to learn how long that takes: it does so for its
/// first twenty minutes alone, and remembers.
fn arti_toml(kind: Kind, link: &Link, tor: &str) -> String {
    let untamed = match kind {
        Kind::Untamed(_) => UNTAMED,
        _ => "",
    };
    let network = "[override_net_params]\n";
    link.arti_toml() + untamed + &tor.replace(network, &format!("{network}cbtdisabled = 1\n"))
}

impl Load {
    fn start(round: impl Fn(i64) + Send + 'static) -> Self {
        let (busy, ended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let thread = std::thread::spawn({
            let (busy, ended) = (Arc::clone(&busy), Arc::clone(&ended));
            move || {
                let mut number = 0;
                while !ended.load(Ordering::SeqCst) {
                    if busy.load(Ordering::SeqCst) {
                        round(number);
                        number += 1;
                    }
                    sleep(PAUSE);
                }
            }
        });
        Self { busy, ended, thread: Some(thread) }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn record(metrics: &Metrics, round: i64) {
    for number in 0..RECORDS {
        let size = (round * 31 + number * 977) % 100_003;
        metrics.requests.inc();
        metrics.open.set(number % 12);
        metrics.egress.mark_by(size);
        metrics.size.update(size);
        metrics.latency.update(Outcome::Ok, Duration::from_micros(size.unsigned_abs()));
    }
}

fn hand_over(points: &Points, round: i64) {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
    let point = |number: i64| {
        let value = (round * POINTS + number).wrapping_mul(0x9E37_79B9_7F4A_7C15_u64.cast_signed());
        // A nanosecond apart, and of numbers that don't compress.
        Point::new("work").field("value", value).at(i64::try_from(now).unwrap_or(0) + number)
    };
    // What finds no room is too much load even for the control.
    let _ = points.add((0..POINTS).map(point).collect());
}
