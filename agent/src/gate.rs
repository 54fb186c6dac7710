//! The privacy gate: what the schema doesn't declare doesn't pass, and is counted here, by name.
//!
//! What it takes is a [`Sample`], what it returns a [`Declared`]. Only this module can make one, and
//! only those can be put into a batch: nothing else can be sealed (invariant P2).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use undertone_wire::{
    FieldValue, Point,
    reading::Reading,
    schema::{Pace, Precision, Refusal, Schema, longest_span},
};

use crate::snapshot::{Sample, Series};

/// The most names that refusals are counted under; more are counted together.
const REFUSED_NAMES_LIMIT: usize = 64;

/// A reading that the schema declares. It says a gauge's bucket and values within their range; it is
/// rounded where it becomes a point, for intervals may be merged before.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Declared {
    series: Series,
    reading: Reading,
    precision: Precision,
    pace: Pace,
    /// The longest that it may speak for.
    span: Duration,
}

/// A point from elsewhere that an open schema takes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Taken(Point);

/// Lets through what the schema declares.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    schema: Arc<Schema>,
    refused: BTreeMap<(String, Refusal), u64>,
}

impl Gate {
    pub(crate) fn new(schema: Arc<Schema>) -> Self {
        Self { schema, refused: BTreeMap::new() }
    }

    /// Lets through what another schema declares; what was refused stays counted.
    pub(crate) fn change_schema(&mut self, schema: Arc<Schema>) {
        self.schema = schema;
    }

    /// What is declared.
    pub(crate) fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The sample as it may leave; `None` if it may not.
    pub(crate) fn pass(&mut self, sample: Sample) -> Option<Declared> {
        match self.check(&sample) {
            Ok((reading, precision, pace)) => {
                if sample.beyond {
                    self.count(sample.series.measurement.to_string(), Refusal::Pace);
                }
                let span = longest_span(self.schema.interval());
                Some(Declared { series: sample.series, reading, precision, pace, span })
            }
            Err(refusal) => {
                self.count(sample.series.measurement.into(), refusal);
                None
            }
        }
    }

    /// A point from elsewhere as it may leave; `None` if it may not. Text doesn't travel: fields that are
    /// text are left out and counted.
    pub(crate) fn pass_point(&mut self, mut point: Point) -> Option<Taken> {
        let fields = point.fields.len();
        point.fields.retain(|_, value| !matches!(value, FieldValue::String(_)));
        let checked = self.schema.check_open(&point);
        if checked.is_ok() && point.fields.len() == fields {
            return Some(Taken(point));
        }
        self.count(point.measurement.to_string(), checked.err().unwrap_or(Refusal::Fields));
        checked.is_ok().then_some(Taken(point))
    }

    /// What was refused, by name.
    pub(crate) fn refused(&self) -> &BTreeMap<(String, Refusal), u64> {
        &self.refused
    }

    fn check(&self, sample: &Sample) -> Result<(Reading, Precision, Pace), Refusal> {
        let Series { measurement, tags } = &sample.series;
        let declaration = self.schema.declared(measurement, tags)?;
        if sample.reading.kind() != declaration.kind {
            return Err(Refusal::Fields);
        }
        match sample.reading {
            Reading::GaugeFloat(value) if !value.is_finite() => Err(Refusal::Fields),
            ref reading => {
                let coarse = declaration.coarsen(reading);
                Ok((coarse, declaration.precision(), declaration.pace()))
            }
        }
    }

    fn count(&mut self, name: String, refusal: Refusal) {
        let full = self.refused.len() >= REFUSED_NAMES_LIMIT;
        let mut key = (name, refusal);
        if full && !self.refused.contains_key(&key) {
            key.0 = "…".to_owned();
        }
        *self.refused.entry(key).or_default() += 1;
    }
}

impl Taken {
    /// The point that stands in a parcel.
    pub(crate) fn point(&self) -> &Point {
        &self.0
    }
}

impl Declared {
    /// Which series this belongs to.
    pub(crate) fn series(&self) -> &Series {
        &self.series
    }

    /// Makes this cover the interval of `later`, a reading of the same series, too.
    pub(crate) fn absorb(&mut self, later: &Self) {
        self.reading.absorb(&later.reading);
    }

    /// The point that stands in a parcel, measured `intervals` before sealing; rounded (invariant P11). It
    /// says no more than can happen in the longest time that a point speaks for.
    pub(crate) fn point(&self, intervals: u32) -> Point {
        Point {
            measurement: self.series.measurement.clone(),
            tags: self.series.tags.clone(),
            fields: self.precision.round(&self.pace.bound(&self.reading, self.span)).fields(),
            timestamp: Some(intervals.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> Gate {
        let schema = Schema::from_toml(
            r#"
            namespace = "app"
            [[measurement]]
            name = "open"
            kind = "gauge-integer"
            description = "Files open now."
            buckets = [0, 1, 5]
            [[measurement]]
            name = "requests"
            kind = "counter"
            description = "Requests."
            tags = { outcome = ["ok"] }
            "#,
        );
        Gate::new(Arc::new(schema.unwrap()))
    }

    fn sample(measurement: &str, tags: &[(&str, &str)], reading: Reading) -> Sample {
        let tags = tags.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        Sample { series: Series { measurement: measurement.into(), tags }, reading, beyond: false }
    }

    #[test]
    fn p2_what_is_not_declared_does_not_pass_and_is_counted() {
        let mut gate = gate();
        let counter = Reading::counter(1, 1);
        for (sample, refusal) in [
            (sample("app.secret.count", &[], counter.clone()), Refusal::Measurement),
            (sample("app.requests.count", &[], counter.clone()), Refusal::Tag),
            (sample("app.requests.count", &[("outcome", "alice")], counter), Refusal::TagValue),
            (sample("app.open.gauge", &[], Reading::GaugeFloat(1.0)), Refusal::Fields),
        ] {
            let key = (sample.series.measurement.to_string(), refusal);
            assert_eq!(gate.pass(sample), None);
            assert_eq!(gate.refused().get(&key), Some(&1));
        }
    }

    #[test]
    fn p2_points_from_elsewhere_pass_an_open_schema_without_their_text() {
        let load = || Point::new("system").field("load1", 0.5).at(1);
        assert_eq!(gate().pass_point(load()), None, "not open");
        let mut gate = Gate::new(Arc::new(Schema::open("fleet").unwrap()));
        assert_eq!(gate.pass_point(load()), Some(Taken(load())));
        let with_text = load().field("uptime_format", "a day");
        assert_eq!(gate.pass_point(with_text), Some(Taken(load())));
        assert_eq!(gate.pass_point(load().tag("session", "mine")), None);
        let refused: Vec<_> = gate.refused().iter().map(|((_, why), n)| (*why, *n)).collect();
        assert_eq!(refused, [(Refusal::Tag, 1), (Refusal::Fields, 1)]);
    }

    #[test]
    fn p11_a_gauge_passes_as_its_bucket() {
        let declared =
            gate().pass(sample("app.open.gauge", &[], Reading::GaugeInteger(4))).unwrap();
        assert_eq!(declared.reading, Reading::GaugeInteger(1));
    }

    #[test]
    fn p11_merged_intervals_are_rounded_once_and_as_the_proxy_wants_them() {
        let mut gate = gate();
        let ok = [("outcome", "ok")];
        let mut merged =
            gate.pass(sample("app.requests.count", &ok, Reading::counter(1_049, 1_049))).unwrap();
        let later = gate.pass(sample("app.requests.count", &ok, Reading::counter(2_098, 1_049)));
        merged.absorb(&later.unwrap());
        let point = merged.point(0);
        // Rounded before, they would have been two thousand.
        assert_eq!(point.fields.get("delta"), Some(&FieldValue::Integer(2_100)));
        assert_eq!(gate.schema.read(&point), Ok(Reading::counter(2_100, 2_100)));
    }

    #[test]
    fn a_flood_of_names_is_counted_in_bounded_memory() {
        let mut gate = gate();
        for n in 0..1_000 {
            gate.pass(sample(&format!("app.n{n}.count"), &[], Reading::counter(1, 1)));
        }
        assert!(gate.refused().len() <= REFUSED_NAMES_LIMIT + 1);
        assert_eq!(gate.refused().values().sum::<u64>(), 1_000);
    }
}
