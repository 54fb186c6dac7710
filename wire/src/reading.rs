//! A reading: what one instrument said in one interval, as fields on the wire and in the database.
//!
//! A histogram travels as count, sum, extremes and sparse buckets, so that intervals can be merged;
//! percentiles are computed where it is written to a database.

mod coarse;
mod distribution;

use undertone_instruments::Distribution;

use crate::{FieldValue, Fields, schema::Kind};

/// What one instrument said in one interval. `count` is a session's total, `delta` the interval's.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Reading {
    /// A counter.
    #[non_exhaustive]
    Counter {
        /// The total within the session.
        count: i64,
        /// This interval's share of it.
        delta: i64,
    },
    /// A gauge of integers: the value now.
    GaugeInteger(i64),
    /// A gauge of floating-point numbers: the value now, finite.
    GaugeFloat(f64),
    /// A meter.
    Meter(Rates),
    /// A histogram: the values recorded in this interval.
    #[non_exhaustive]
    Histogram {
        /// How many were recorded within the session.
        count: i64,
        /// This interval's values.
        distribution: Distribution,
    },
    /// A timer: the durations recorded in this interval, in nanoseconds, and their rate.
    #[non_exhaustive]
    Timer {
        /// How often.
        rates: Rates,
        /// How long, in nanoseconds.
        distribution: Distribution,
    },
}

/// What a meter says: events, and events a second.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rates {
    /// Events within the session.
    pub count: i64,
    /// Events within the interval.
    pub delta: i64,
    /// Moving average over a minute.
    pub m1: f64,
    /// Moving average over five minutes.
    pub m5: f64,
    /// Moving average over fifteen minutes.
    pub m15: f64,
    /// Average since the session began.
    pub mean: f64,
}

impl Reading {
    /// A counter's reading.
    pub fn counter(count: i64, delta: i64) -> Self {
        Self::Counter { count, delta }
    }

    /// A histogram's reading.
    pub fn histogram(count: i64, distribution: Distribution) -> Self {
        Self::Histogram { count, distribution }
    }

    /// A timer's reading.
    pub fn timer(rates: Rates, distribution: Distribution) -> Self {
        Self::Timer { rates, distribution }
    }

    /// The instrument this comes from.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Counter { .. } => Kind::Counter,
            Self::GaugeInteger(_) => Kind::GaugeInteger,
            Self::GaugeFloat(_) => Kind::GaugeFloat,
            Self::Meter(_) => Kind::Meter,
            Self::Histogram { .. } => Kind::Histogram,
            Self::Timer { .. } => Kind::Timer,
        }
    }

    /// Makes this reading cover the interval of `later`, too: totals and gauges are the later
    /// ones, what an interval counted is added. Readings of different kinds are left apart.
    pub fn absorb(&mut self, later: &Self) {
        match (self, later) {
            (Self::Counter { count, delta }, Self::Counter { count: total, delta: more }) => {
                *count = *total;
                *delta = delta.wrapping_add(*more);
            }
            (Self::GaugeInteger(value), Self::GaugeInteger(now)) => *value = *now,
            (Self::GaugeFloat(value), Self::GaugeFloat(now)) => *value = *now,
            (Self::Meter(rates), Self::Meter(now)) => rates.absorb(now),
            (
                Self::Histogram { count, distribution },
                Self::Histogram { count: total, distribution: more },
            ) => {
                *count = *total;
                distribution.merge(more);
            }
            (
                Self::Timer { rates, distribution },
                Self::Timer { rates: now, distribution: more },
            ) => {
                rates.absorb(now);
                distribution.merge(more);
            }
            _ => {}
        }
    }

    /// How many events it says that its interval had; none for a gauge.
    pub fn delta(&self) -> Option<i64> {
        match self {
            Self::Counter { delta, .. } => Some(*delta),
            Self::Meter(rates) | Self::Timer { rates, .. } => Some(rates.delta),
            Self::Histogram { distribution, .. } => Some(observations(distribution)),
            Self::GaugeInteger(_) | Self::GaugeFloat(_) => None,
        }
    }

    /// How many events it says that its session had; none for a gauge.
    pub fn count(&self) -> Option<i64> {
        match self {
            Self::Counter { count, .. } | Self::Histogram { count, .. } => Some(*count),
            Self::Meter(rates) | Self::Timer { rates, .. } => Some(rates.count),
            Self::GaugeInteger(_) | Self::GaugeFloat(_) => None,
        }
    }

    /// The same with another number of events of the session.
    #[must_use]
    pub fn with_count(mut self, total: i64) -> Self {
        match &mut self {
            Self::Counter { count, .. } | Self::Histogram { count, .. } => *count = total,
            Self::Meter(rates) | Self::Timer { rates, .. } => rates.count = total,
            Self::GaugeInteger(_) | Self::GaugeFloat(_) => {}
        }
        self
    }

    /// The fields that stand in a parcel.
    pub fn fields(&self) -> Fields {
        let mut fields = Fields::new();
        match self {
            Self::Counter { count, delta } => totals(&mut fields, *count, *delta),
            Self::GaugeInteger(value) => put(&mut fields, "value", *value),
            Self::GaugeFloat(value) => put(&mut fields, "value", *value),
            Self::Meter(rates) => rates.write(&mut fields),
            Self::Histogram { count, distribution } => {
                totals(&mut fields, *count, observations(distribution));
                distribution::write_buckets(distribution, &mut fields);
            }
            Self::Timer { rates, distribution } => {
                rates.write(&mut fields);
                distribution::write_buckets(distribution, &mut fields);
            }
        }
        fields
    }

    /// The fields that stand in a database: those of go-metrics' InfluxDB reporter, with `delta`
    /// and `sum` beside them. What an interval without values can't say is left out.
    pub fn database_fields(&self) -> Fields {
        let mut fields = Fields::new();
        match self {
            Self::Histogram { count, distribution } => {
                totals(&mut fields, *count, observations(distribution));
                distribution::write_statistics(distribution, &mut fields);
            }
            Self::Timer { rates, distribution } => {
                distribution::write_statistics(distribution, &mut fields);
                // A timer's `mean` is that of its durations, as go-metrics has it; its rate's
                // mean is `meanrate` there, too.
                let mut of_rates = Fields::new();
                rates.write(&mut of_rates);
                if let Some(mean) = of_rates.remove("mean") {
                    of_rates.insert("meanrate".into(), mean);
                }
                fields.extend(of_rates);
            }
            _ => fields = self.fields(),
        }
        fields
    }

    /// Reads the fields of a parcel's point; `None` unless they are exactly those of `kind`, and
    /// agree with each other.
    pub fn from_fields(kind: Kind, fields: &Fields) -> Option<Self> {
        let mut rest = fields.clone();
        let reading = match kind {
            Kind::Counter => Self::Counter {
                count: integer(&mut rest, "count")?,
                delta: integer(&mut rest, "delta")?,
            },
            Kind::GaugeInteger => Self::GaugeInteger(integer(&mut rest, "value")?),
            Kind::GaugeFloat => Self::GaugeFloat(float(&mut rest, "value")?),
            Kind::Meter => Self::Meter(Rates::read(&mut rest)?),
            Kind::Histogram => {
                let count = integer(&mut rest, "count")?;
                let delta = integer(&mut rest, "delta")?;
                Self::Histogram {
                    count,
                    distribution: distribution::read_buckets(&mut rest, delta)?,
                }
            }
            Kind::Timer => {
                let rates = Rates::read(&mut rest)?;
                Self::Timer {
                    rates,
                    distribution: distribution::read_buckets(&mut rest, rates.delta)?,
                }
            }
        };
        rest.is_empty().then_some(reading)
    }
}

impl Rates {
    fn absorb(&mut self, later: &Self) {
        *self = Self { delta: self.delta.wrapping_add(later.delta), ..*later };
    }

    fn write(&self, fields: &mut Fields) {
        totals(fields, self.count, self.delta);
        put(fields, "m1", self.m1);
        put(fields, "m5", self.m5);
        put(fields, "m15", self.m15);
        put(fields, "mean", self.mean);
    }

    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self {
            count: integer(fields, "count")?,
            delta: integer(fields, "delta")?,
            m1: float(fields, "m1")?,
            m5: float(fields, "m5")?,
            m15: float(fields, "m15")?,
            mean: float(fields, "mean")?,
        })
    }
}

fn totals(fields: &mut Fields, count: i64, delta: i64) {
    put(fields, "count", count);
    put(fields, "delta", delta);
}

/// How many values a distribution holds, as the signed integer that databases want.
fn observations(distribution: &Distribution) -> i64 {
    i64::try_from(distribution.count).unwrap_or(i64::MAX)
}

fn put(fields: &mut Fields, key: &str, value: impl Into<FieldValue>) {
    fields.insert(key.into(), value.into());
}

fn integer(fields: &mut Fields, key: &str) -> Option<i64> {
    match fields.remove(key)? {
        FieldValue::Integer(value) => Some(value),
        _ => None,
    }
}

fn float(fields: &mut Fields, key: &str) -> Option<f64> {
    match fields.remove(key)? {
        FieldValue::Float(value) if value.is_finite() => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use undertone_instruments::Histogram;

    use super::*;

    fn distribution(values: &[i64]) -> Distribution {
        let histogram: Histogram = Histogram::default();
        values.iter().for_each(|value| histogram.update(*value));
        histogram.take()
    }

    fn rates() -> Rates {
        Rates { count: 9, delta: 3, m1: 0.5, m5: 0.25, m15: 0.125, mean: 1.5 }
    }

    fn one_of_each_kind() -> Vec<Reading> {
        vec![
            Reading::counter(10, -2),
            Reading::GaugeInteger(-7),
            Reading::GaugeFloat(0.5),
            Reading::Meter(rates()),
            Reading::histogram(9, distribution(&[-5, 0, 40_000])),
            Reading::histogram(9, Distribution::default()),
            Reading::timer(rates(), distribution(&[1_000, 2_000, 3_000])),
        ]
    }

    #[test]
    fn every_kind_is_read_as_it_is_written() {
        for reading in one_of_each_kind() {
            assert_eq!(Reading::from_fields(reading.kind(), &reading.fields()), Some(reading));
        }
    }

    #[test]
    fn fields_that_disagree_are_refused() {
        let good = Reading::histogram(9, distribution(&[1, 2, 3])).fields();
        for (key, value) in [
            ("delta", FieldValue::Integer(4)),
            ("delta", FieldValue::Integer(-3)),
            ("b1", FieldValue::Unsigned(0)),
            ("b1", FieldValue::Integer(1)),
            ("b01", FieldValue::Unsigned(1)),
            ("c1", FieldValue::Unsigned(1)),
            ("min", FieldValue::Integer(3)),
            ("max", FieldValue::Integer(100)),
            ("sum", FieldValue::Integer(100)),
            ("b99999", FieldValue::Unsigned(1)),
        ] {
            let mut fields = good.clone();
            fields.insert(key.into(), value.clone());
            assert_eq!(Reading::from_fields(Kind::Histogram, &fields), None, "{key}={value:?}");
        }
    }

    #[test]
    fn extremes_and_sum_that_contradict_each_other_are_refused() {
        // 64 to 67 share a bucket, so that it says nothing about their order.
        let good = Reading::histogram(3, distribution(&[64, 65, 66])).fields();
        for (key, value) in [("min", 67), ("max", 63), ("sum", 191), ("sum", 199)] {
            let mut fields = good.clone();
            fields.insert(key.into(), FieldValue::Integer(value));
            assert_eq!(Reading::from_fields(Kind::Histogram, &fields), None, "{key}={value}");
        }
    }

    #[test]
    fn a_sum_beyond_64_bits_is_read_as_it_is_written() {
        for values in [[i64::MAX; 3], [i64::MIN; 3]] {
            let reading = Reading::histogram(3, distribution(&values));
            let read = Reading::from_fields(Kind::Histogram, &reading.fields());
            assert_eq!(read, Some(reading), "{values:?}");
        }
    }

    #[test]
    fn nothing_is_lost_or_doubled_when_intervals_are_merged() {
        let mut merged = Reading::histogram(3, distribution(&[1, 2, 3]));
        merged.absorb(&Reading::histogram(5, distribution(&[3, 400])));
        assert_eq!(merged, Reading::histogram(5, distribution(&[1, 2, 3, 3, 400])));

        let mut merged = Reading::counter(10, 4);
        merged.absorb(&Reading::counter(13, 3));
        assert_eq!(merged, Reading::counter(13, 7));
    }

    #[test]
    fn the_database_has_the_fields_of_go_metrics() {
        let keys = |reading: Reading| {
            let fields = reading.database_fields();
            fields.keys().map(|key| key.as_str()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            keys(Reading::timer(rates(), distribution(&[5]))),
            "count delta m1 m15 m5 max mean meanrate min p50 p75 p95 p99 p999 p9999 stddev sum variance",
        );
        assert_eq!(keys(Reading::histogram(0, Distribution::default())), "count delta");
    }
}
