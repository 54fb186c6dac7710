//! Records what a device of a sample did, at the times that it did it.

use std::{io, time::Duration};

use undertone::{
    Counter, Gauge, Histogram, InstrumentDeclaration, Meter, RegisterError, Registry, Timer,
};
use undertone_wire::schema::Kind;

use super::{Reading, Sample};
use crate::{
    crowd::Record,
    workload::{Draws, Run},
};

/// So many values at once say all that a distribution can say.
const TIMES_LIMIT: u32 = 10_000;

/// Readings of one run that are still to come, and what they are recorded with.
pub(crate) struct Replay {
    instruments: Vec<Handle>,
    readings: std::vec::IntoIter<Reading>,
    next: Option<Reading>,
}

enum Handle {
    Counter(Counter),
    Integer(Gauge<i64>),
    Float(Gauge<f64>),
    Meter(Meter),
    Histogram(Histogram),
    Timer(Timer),
}

impl Sample {
    /// What replays one run of a device.
    pub(crate) fn replay(&self, device: u32, run: Run, registry: &Registry) -> io::Result<Replay> {
        let namespace = kept(self.schema.namespace());
        let instruments = self
            .schema
            .measurements()
            .map(|(_, measurement)| {
                let name = kept(&measurement.name);
                Handle::new(namespace, name, measurement.kind, registry).map_err(io::Error::other)
            })
            .collect::<io::Result<Vec<_>>>()?;
        let of_run: Vec<Reading> = self.devices[device as usize]
            .iter()
            .filter(|reading| (run.begin..run.end).contains(&reading.at))
            .copied()
            .collect();
        let mut readings = of_run.into_iter();
        let next = readings.next();
        Ok(Replay { instruments, readings, next })
    }
}

/// Names of instruments are constants. There are few of them, and each is kept once.
fn kept(name: &str) -> &'static str {
    static KEPT: std::sync::Mutex<Vec<&'static str>> = std::sync::Mutex::new(Vec::new());
    let mut kept = KEPT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(known) = kept.iter().find(|known| **known == name) {
        return known;
    }
    let name: &'static str = Box::leak(name.to_owned().into_boxed_str());
    kept.push(name);
    name
}

impl Handle {
    fn new(
        namespace: &'static str,
        name: &'static str,
        kind: Kind,
        registry: &Registry,
    ) -> Result<Self, RegisterError> {
        macro_rules! make {
            ($Instrument:ty) => {
                registry
                    .instrument(namespace, InstrumentDeclaration::of::<$Instrument>(name, "."))?
            };
        }
        Ok(match kind {
            Kind::GaugeInteger => Self::Integer(make!(Gauge<i64>)),
            Kind::GaugeFloat => Self::Float(make!(Gauge<f64>)),
            Kind::Meter => Self::Meter(make!(Meter)),
            Kind::Histogram => Self::Histogram(make!(Histogram)),
            Kind::Timer => Self::Timer(make!(Timer)),
            _ => Self::Counter(make!(Counter)),
        })
    }

    fn record(&self, reading: Reading) {
        let Reading { value, times, .. } = reading;
        let counted = (value * f64::from(times)).round() as i64;
        match self {
            Self::Counter(counter) => counter.inc_by(counted),
            Self::Meter(meter) => meter.mark_by(counted),
            Self::Integer(gauge) => gauge.set(value.round() as i64),
            Self::Float(gauge) => gauge.set(value),
            Self::Histogram(histogram) => {
                (0..times.min(TIMES_LIMIT)).for_each(|_| histogram.update(value.round() as i64));
            }
            Self::Timer(timer) => {
                let duration = Duration::from_nanos(value.max(0.0) as u64);
                (0..times.min(TIMES_LIMIT)).for_each(|_| timer.update(duration));
            }
        }
    }
}

impl Record for Replay {
    fn until(&mut self, at: f64, _: &mut Draws) {
        while let Some(reading) = self.next.filter(|reading| reading.at <= at) {
            if let Some(instrument) = self.instruments.get(reading.measurement) {
                instrument.record(reading);
            }
            self.next = self.readings.next();
        }
    }
}
