//! Declarations: what a program measures, as constants.
//!
//! A schema is made of them, and they are what users are shown before they consent. Usually written with
//! [`instruments!`](crate::instruments!).

use crate::instrument::Instrument;
use crate::registry::{RegisterError, Registry};

/// A struct of instruments that were declared together. Implemented by [`instruments!`](crate::instruments!).
pub trait Instruments: Sized {
    /// What the struct's instruments are.
    const DECLARATION: Declaration;

    /// Makes the instruments in a registry, or finds those that were made there before from the same declaration.
    ///
    /// # Errors
    /// If one of the names is taken in the namespace by an instrument that was declared otherwise; then none is made.
    fn register(registry: &Registry) -> Result<Self, RegisterError>;
}

/// The instruments of a namespace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Declaration {
    /// What the names of the instruments begin with.
    pub namespace: &'static str,
    /// The instruments, in the order of the source.
    pub instruments: &'static [InstrumentDeclaration],
}

/// One instrument.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InstrumentDeclaration {
    /// Its name, unique in the namespace.
    pub name: &'static str,
    /// What kind of instrument it is.
    pub kind: Kind,
    /// What it measures, in words for users.
    pub description: &'static str,
    /// The unit of its values, if it has one: `"ns"` for timers, otherwise as declared.
    pub unit: Option<&'static str>,
    /// The label it is split by, if any.
    pub label: Option<LabelDeclaration>,
    /// For gauges: the boundaries, ascending, that a value is coarsened to before it leaves. Empty if none were declared.
    /// The instrument itself keeps the exact value.
    pub buckets: &'static [f64],
}

impl InstrumentDeclaration {
    /// Declares an instrument of type `I`, with the label and unit that the type implies.
    #[must_use]
    pub const fn of<I: Instrument>(name: &'static str, description: &'static str) -> Self {
        Self { name, kind: I::KIND, description, unit: I::UNIT, label: I::LABEL, buckets: &[] }
    }

    /// With these boundaries.
    #[must_use]
    pub const fn with_buckets(self, buckets: &'static [f64]) -> Self {
        Self { buckets, ..self }
    }

    /// With this unit.
    #[must_use]
    pub const fn with_unit(self, unit: &'static str) -> Self {
        Self { unit: Some(unit), ..self }
    }

    /// Checks at compile time what the types can't; panics there.
    #[doc(hidden)]
    #[must_use]
    pub const fn checked(self) -> Self {
        assert!(!self.description.is_empty(), "the doc comment of an instrument is empty");
        let is_gauge = matches!(self.kind, Kind::GaugeInteger | Kind::GaugeFloat);
        assert!(is_gauge || self.buckets.is_empty(), "only a gauge has `buckets`");
        let mut buckets = self.buckets;
        while let [lower, rest @ ..] = buckets {
            if let [upper, ..] = rest {
                assert!(*lower < *upper, "`buckets` must ascend");
            }
            buckets = rest;
        }
        self
    }
}

/// The kind of an instrument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A [`Counter`](crate::Counter).
    Counter,
    /// A [`Gauge<i64>`](crate::Gauge).
    GaugeInteger,
    /// A [`Gauge<f64>`](crate::Gauge).
    GaugeFloat,
    /// A [`Meter`](crate::Meter).
    Meter,
    /// A [`Histogram`](crate::Histogram).
    Histogram,
    /// A [`Timer`](crate::Timer).
    Timer,
}

/// A label: its key and every value that it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelDeclaration {
    /// The name of the label, a tag key in the database.
    pub key: &'static str,
    /// Every value.
    pub values: &'static [&'static str],
}

impl LabelDeclaration {
    /// Checks at compile time that no two values are alike; panics there.
    #[doc(hidden)]
    #[must_use]
    pub const fn checked(self) -> Self {
        let mut values = self.values;
        while let [value, rest @ ..] = values {
            let mut others = rest;
            while let [other, more @ ..] = others {
                assert!(
                    !equal(value.as_bytes(), other.as_bytes()),
                    "two values of a label are alike"
                );
                others = more;
            }
            values = rest;
        }
        self
    }
}

/// `==`, which constants don't have for strings.
const fn equal(mut a: &[u8], mut b: &[u8]) -> bool {
    while let ([first_of_a, rest_of_a @ ..], [first_of_b, rest_of_b @ ..]) = (a, b) {
        if *first_of_a != *first_of_b {
            return false;
        }
        (a, b) = (rest_of_a, rest_of_b);
    }
    a.is_empty() && b.is_empty()
}
