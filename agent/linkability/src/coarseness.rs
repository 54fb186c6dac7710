//! How coarse numbers leave, as one setting for a whole schema: what a vendor can turn.

use undertone::{Digits, Schema, SchemaError};
use undertone_wire::schema::Measurement;

/// What is changed of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coarseness {
    /// How many digits of numbers leave; none: as the schema says.
    pub digits: Option<Digits>,
    /// How many buckets gauges have.
    pub gauges: Gauges,
}

/// How many buckets gauges have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gauges {
    /// As the schema says.
    Declared,
    /// At most so many of the declared ones, spread evenly.
    Buckets(usize),
    /// None: every value leaves.
    Exact,
}

impl Coarseness {
    /// The schema as it stands.
    pub const DECLARED: Self = Self { digits: None, gauges: Gauges::Declared };

    /// Changes a schema. What becomes so fine that it must be declared linkable is.
    ///
    /// # Errors
    /// None for a schema that was right before.
    pub fn apply(self, schema: &Schema) -> Result<Schema, SchemaError> {
        let measurements = schema.measurements().map(|(_, measurement)| self.change(measurement));
        Schema::new(schema.namespace(), schema.interval(), measurements)
    }

    fn change(self, measurement: &Measurement) -> Measurement {
        let mut changed = measurement.clone();
        let gauge = changed.kind.is_gauge();
        match self.gauges {
            Gauges::Buckets(most) if gauge && changed.buckets.len() > most && most > 1 => {
                let last = changed.buckets.len() - 1;
                let kept = (0..most).map(|index| changed.buckets[index * last / (most - 1)]);
                changed.buckets = kept.collect();
            }
            Gauges::Exact if gauge => {
                changed.buckets.clear();
                changed.digits = Digits::All;
            }
            _ => {}
        }
        if let Some(digits) = self.digits
            && !gauge
        {
            changed.digits = digits;
        }
        changed.linkable = changed.is_fine();
        changed
    }
}

impl std::fmt::Display for Coarseness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.digits {
            None => f.write_str("digits as declared")?,
            Some(Digits::Rounded(1)) => f.write_str("1 digit")?,
            Some(Digits::Rounded(digits)) => write!(f, "{digits} digits")?,
            Some(Digits::All) => f.write_str("all digits")?,
        }
        match self.gauges {
            Gauges::Declared => f.write_str(", buckets as declared"),
            Gauges::Buckets(most) => write!(f, ", {most} buckets"),
            Gauges::Exact => f.write_str(", no buckets"),
        }
    }
}
