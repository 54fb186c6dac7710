//! What a call of an instrument costs: on one thread, and on two that share it.
//!
//! Handles are kept, as all of these libraries advise; a call is the recording alone, of a number that
//! changes from call to call. Histograms are emptied between samples, outside of what is timed.

use std::hint::black_box;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use rustix::time::{ClockId, clock_gettime};
use undertone_instruments::{Counter, Gauge, Histogram, Meter, Timer};

use crate::measure::{Comparison, Contender, fastest};
use crate::peer::Peer;
use crate::recorder::Kept;

/// Of a slice.
const CALLS: u64 = 200_000;
/// Of each of several threads.
const CALLS_TOGETHER: u64 = 1_000_000;
/// How long several threads are tried until they run at once.
const PATIENCE: Duration = Duration::from_millis(300);
/// Numbers to record, over and over: between 1 and 2^30, as many of each magnitude.
const NUMBERS: usize = 1_024;

pub(crate) fn measure(go: Option<&Path>) -> Result<()> {
    let go = go.map(Peer::start).transpose()?;
    let kept = Kept::new();
    metrics::set_global_recorder(kept.clone()).map_err(|error| anyhow!("{error}"))?;
    for threads in [1, 2] {
        let bench = Bench { threads, go: go.as_ref(), kept: &kept, numbers: numbers() };
        bench.counter()?;
        bench.gauge()?;
        bench.meter()?;
        bench.histogram()?;
        bench.timer()?;
    }
    Ok(())
}

struct Bench<'a> {
    threads: usize,
    go: Option<&'a Peer>,
    kept: &'a Kept,
    numbers: Vec<i64>,
}

impl Bench<'_> {
    fn counter(&self) -> Result<()> {
        let ours = Counter::<()>::default();
        let theirs = metrics::counter!("counter");
        let prometheus = prometheus::IntCounter::new("counter", "A counter.")?;
        self.compare(
            "counter, inc",
            vec![
                self.calls("undertone", move |_| ours.inc()),
                self.atomic(),
                self.calls("metrics", move |_| theirs.increment(1)),
                self.calls("prometheus", move |_| prometheus.inc()),
            ],
        )
    }

    fn gauge(&self) -> Result<()> {
        let ours = Gauge::<i64>::default();
        let theirs = metrics::gauge!("gauge");
        let prometheus = prometheus::IntGauge::new("gauge", "A gauge.")?;
        self.compare(
            "gauge, set",
            vec![
                self.calls("undertone", move |number| ours.set(number)),
                self.atomic(),
                self.calls("metrics", move |number| theirs.set(number as f64)),
                self.calls("prometheus", move |number| prometheus.set(number)),
            ],
        )
    }

    fn meter(&self) -> Result<()> {
        let ours = Meter::<()>::default();
        self.compare(
            "meter, mark",
            vec![self.calls("undertone", move |_| ours.mark()), self.atomic()],
        )
    }

    fn histogram(&self) -> Result<()> {
        let ours = Histogram::<()>::default();
        let theirs = metrics::histogram!("histogram");
        let prometheus = prometheus_histogram("histogram")?;
        self.compare(
            "histogram, update",
            vec![
                self.calls("undertone", move |number| ours.update(number)),
                self.atomic(),
                self.calls("metrics", move |number| theirs.record(number as f64)),
                self.calls("prometheus", move |number| prometheus.observe(number as f64)),
            ],
        )
    }

    fn timer(&self) -> Result<()> {
        let ours = Timer::<()>::default();
        let theirs = metrics::histogram!("timer");
        let prometheus = prometheus_histogram("timer")?;
        let duration = |number: i64| Duration::from_nanos(number.unsigned_abs());
        self.compare(
            "timer, update",
            vec![
                self.calls("undertone", move |number| ours.update(duration(number))),
                self.atomic(),
                self.calls("metrics", move |number| theirs.record(duration(number))),
                self.calls("prometheus", move |number| {
                    prometheus.observe(duration(number).as_secs_f64());
                }),
            ],
        )
    }

    fn atomic(&self) -> Contender<'_> {
        let atomic = AtomicI64::new(0);
        self.calls("AtomicI64::fetch_add", move |number| {
            atomic.fetch_add(number, Ordering::Relaxed);
        })
    }

    fn compare<'a>(&'a self, what: &'a str, mut contenders: Vec<Contender<'a>>) -> Result<()> {
        let instrument = what.split(',').next().unwrap_or(what);
        if let Some(go) = self.go {
            let ask = move |calls: u64| {
                let question = format!("{instrument} {} {calls}", self.threads);
                Ok(go.ask(&question)? / calls as f64)
            };
            let per_call = move || self.sample(ask);
            contenders.push(Contender::new("go-metrics", per_call));
        }
        let threads = if self.threads == 1 { "1 thread" } else { "2 threads" };
        let comparison = Comparison {
            part: "instruments",
            what: format!("{what}, {threads}"),
            unit: "ns/call",
            less_is_better: true,
        };
        comparison.between(contenders)
    }

    /// Nanoseconds a call, as each of the threads sees it.
    fn calls<'a>(&'a self, name: &str, call: impl Fn(i64) + Sync + 'a) -> Contender<'a> {
        Contender::new(name, move || {
            self.sample(|calls| {
                let elapsed = several(self.threads, calls, &self.numbers, &call)?;
                self.kept.clear();
                Ok(elapsed.as_nanos() as f64 / calls as f64)
            })
        })
    }

    /// Several threads must really run at once, which `several` sees to: the fastest would be one in which they
    /// didn't.
    fn sample(&self, per_call: impl Fn(u64) -> Result<f64>) -> Result<f64> {
        if self.threads > 1 {
            return per_call(CALLS_TOGETHER);
        }
        fastest(|| per_call(CALLS))
    }
}

/// How long the slowest of so many threads takes.
///
/// What they do to each other shows only where all of them have a processor for nearly all of the time:
/// another try where something else had it.
fn several(
    threads: usize,
    calls: u64,
    numbers: &[i64],
    call: &(impl Fn(i64) + Sync),
) -> Result<Duration> {
    let began = Instant::now();
    loop {
        let (elapsed, together) = once(threads, calls, numbers, call)?;
        if together || began.elapsed() > PATIENCE {
            return Ok(elapsed);
        }
    }
}

/// One try, and whether the threads ran at once.
fn once(
    threads: usize,
    calls: u64,
    numbers: &[i64],
    call: &(impl Fn(i64) + Sync),
) -> Result<(Duration, bool)> {
    let ready = AtomicUsize::new(0);
    thread::scope(|scope| {
        let run = || {
            // Whoever sleeps wakes up too late.
            ready.fetch_add(1, Ordering::AcqRel);
            while ready.load(Ordering::Acquire) < threads {
                std::hint::spin_loop();
            }
            let (start, on_processor) = (Instant::now(), on_processor());
            for turn in 0..calls as usize {
                call(black_box(numbers[turn % NUMBERS]));
            }
            (start.elapsed(), self::on_processor().saturating_sub(on_processor), start)
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        let ran = threads.into_iter().map(|thread| thread.join());
        let ran: Vec<_> =
            ran.collect::<Result<_, _>>().map_err(|_| anyhow!("a thread panicked"))?;
        let starts = ran.iter().map(|(.., start)| *start);
        let apart = starts.clone().max().zip(starts.min()).map(|(last, first)| last - first);
        let slowest = ran.iter().map(|(elapsed, ..)| *elapsed).max().unwrap_or_default();
        let all =
            ran.iter().all(|(elapsed, ran, _)| ran.as_secs_f64() > 0.9 * elapsed.as_secs_f64());
        Ok((slowest, all && apart.unwrap_or_default() < slowest / 10))
    })
}

/// How long this thread has been on a processor.
fn on_processor() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// Eleven buckets, as many as its default, over the numbers that are recorded.
fn prometheus_histogram(name: &str) -> Result<prometheus::Histogram> {
    let buckets = prometheus::exponential_buckets(1.0, 8.0, 11)?;
    let options = prometheus::HistogramOpts::new(name, "A histogram.").buckets(buckets);
    Ok(prometheus::Histogram::with_opts(options)?)
}

fn numbers() -> Vec<i64> {
    let mut state = 1_u64;
    let mut random = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    (0..NUMBERS).map(|_| (1 + (random() >> (random() % 30))) as i64).collect()
}
