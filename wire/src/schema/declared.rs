//! A schema from what a program declares with `instruments!`.

use std::convert::Infallible;

use undertone_instruments::{Declaration, InstrumentDeclaration, Kind as Instrument};

use super::{DEFAULT_INTERVAL, Kind, Measurement, Schema, SchemaError};

impl TryFrom<Declaration> for Schema {
    type Error = SchemaError;

    fn try_from(declaration: Declaration) -> Result<Self, SchemaError> {
        let measurements = declaration.instruments.iter().map(Measurement::from);
        Self::new(declaration.namespace, DEFAULT_INTERVAL, measurements)
    }
}

impl From<&InstrumentDeclaration> for Measurement {
    fn from(instrument: &InstrumentDeclaration) -> Self {
        let owned = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
        let labels = instrument.label.iter();
        Self {
            name: instrument.name.to_owned(),
            kind: instrument.kind.into(),
            description: instrument.description.trim().to_owned(),
            // A timer's follows from its kind.
            unit: instrument
                .unit
                .filter(|_| instrument.kind != Instrument::Timer)
                .map(str::to_owned),
            tags: labels.map(|label| (label.key.to_owned(), owned(label.values))).collect(),
            buckets: instrument.buckets.to_vec(),
            digits: instrument.digits,
            range: instrument.range,
            max_per_second: instrument.max_per_second,
            linkable: instrument.linkable,
        }
    }
}

impl From<Instrument> for Kind {
    fn from(instrument: Instrument) -> Self {
        match instrument {
            Instrument::Counter => Self::Counter,
            Instrument::GaugeInteger => Self::GaugeInteger,
            Instrument::GaugeFloat => Self::GaugeFloat,
            Instrument::Meter => Self::Meter,
            Instrument::Histogram => Self::Histogram,
            Instrument::Timer => Self::Timer,
        }
    }
}

/// A schema is a schema: nothing can go wrong.
impl From<Infallible> for SchemaError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
