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
    /// How many significant digits of its numbers leave.
    pub digits: Digits,
    /// The least and the greatest value, if values outside are to leave as these.
    pub range: Option<[f64; 2]>,
    /// The most that can happen in a second, for what counts; more doesn't leave.
    pub max_per_second: Option<u64>,
    /// Whether it may be so fine that a machine could be recognized by it; users are shown this word.
    pub linkable: bool,
}

/// How many significant digits of a number leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Digits {
    /// So many, from 1 to [`Digits::LIMIT`]; the number is rounded to them.
    Rounded(u8),
    /// The number as it is.
    All,
}

impl Digits {
    /// The most that numbers are rounded to: more are not all different in 64 bits.
    pub const LIMIT: u8 = 15;
}

/// Two significant digits.
impl Default for Digits {
    fn default() -> Self {
        COARSE
    }
}

/// What needs no `linkable`: so many digits, and so many buckets of a gauge.
const COARSE: Digits = Digits::Rounded(2);
const COARSE_BUCKETS: usize = 8;

impl InstrumentDeclaration {
    /// Declares an instrument of type `I`, with the label and unit that the type implies.
    #[must_use]
    pub const fn of<I: Instrument>(name: &'static str, description: &'static str) -> Self {
        Self {
            name,
            kind: I::KIND,
            description,
            unit: I::UNIT,
            label: I::LABEL,
            buckets: &[],
            digits: COARSE,
            range: None,
            max_per_second: None,
            linkable: false,
        }
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

    /// With so many digits.
    #[must_use]
    pub const fn with_digits(self, digits: Digits) -> Self {
        Self { digits, ..self }
    }

    /// With this least and this greatest value.
    #[must_use]
    pub const fn with_range(self, least: f64, greatest: f64) -> Self {
        Self { range: Some([least, greatest]), ..self }
    }

    /// With this bound on what can happen in a second.
    #[must_use]
    pub const fn with_max_per_second(self, most: u64) -> Self {
        Self { max_per_second: Some(most), ..self }
    }

    /// As one that a machine could be recognized by.
    #[must_use]
    pub const fn linkable(self) -> Self {
        Self { linkable: true, ..self }
    }

    /// Whether it is so fine that it must be declared `linkable`: more than two digits, or a gauge that has more than
    /// eight buckets or none.
    #[must_use]
    pub const fn is_fine(&self) -> bool {
        let is_gauge = matches!(self.kind, Kind::GaugeInteger | Kind::GaugeFloat);
        let buckets = self.buckets.len();
        if is_gauge {
            buckets == 0 || buckets > COARSE_BUCKETS
        } else {
            !matches!(self.digits, Digits::Rounded(0..=2))
        }
    }

    /// Checks at compile time what the types can't; panics there.
    #[doc(hidden)]
    #[must_use]
    pub const fn checked(self) -> Self {
        assert!(!self.description.is_empty(), "the doc comment of an instrument is empty");
        assert!(
            !matches!(self.kind, Kind::Timer)
                || matches!(self.unit, Some(unit) if equal(unit.as_bytes(), b"ns")),
            "a timer's values are nanoseconds: it has no other `unit`"
        );
        assert!(
            matches!(self.digits, Digits::All | Digits::Rounded(1..=Digits::LIMIT)),
            "`digits` are 1 to 15, or `all`"
        );
        if let Some([least, greatest]) = self.range {
            assert!(
                !matches!(self.kind, Kind::Counter | Kind::Meter),
                "counters and meters have no `range`: only single values do"
            );
            assert!(
                self.buckets.is_empty(),
                "`buckets` say already what leaves: leave out `range`"
            );
            assert!(least < greatest, "`range` is [least, greatest]");
        }
        if let Some(most) = self.max_per_second {
            assert!(
                !matches!(self.kind, Kind::GaugeInteger | Kind::GaugeFloat),
                "a gauge counts nothing: `max_per_second` is for the others"
            );
            assert!(
                most > 0 && most <= 1_000_000_000_000,
                "`max_per_second` is from 1 to 1_000_000_000_000"
            );
        }
        assert!(
            self.linkable || !self.is_fine(),
            "more than 2 digits, and a gauge with more than 8 buckets or none, need `linkable`: \
             a machine can be recognized by such numbers, and users are shown that word"
        );
        assert!(
            !self.linkable || self.is_fine(),
            "nothing here is finer than 2 digits or 8 buckets: leave out `linkable`, for it warns users"
        );
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
