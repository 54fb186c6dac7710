//! The two macros that declarations are written with: `label!` and `instruments!`.

/// Makes a [`Label`](crate::Label): an enum whose values are all that a label may be.
///
/// After the name stands the label's key, after each variant the text of its value.
///
/// ```
/// undertone_instruments::label! {
///     /// How a request ended.
///     pub enum Outcome in "outcome" {
///         /// It was answered.
///         Ok = "ok",
///         Failed = "failed",
///     }
/// }
/// use undertone_instruments::Label;
/// assert_eq!(Outcome::KEY, "outcome");
/// assert_eq!(Outcome::VALUES, ["ok", "failed"]);
/// ```
///
/// Two variants can't have the same text:
///
/// ```compile_fail
/// undertone_instruments::label! {
///     pub enum Outcome in "outcome" { Ok = "ok", Failed = "ok" }
/// }
/// ```
#[macro_export]
macro_rules! label {
    (
        $(#[$attribute:meta])*
        $visibility:vis enum $Label:ident in $key:literal {
            $( $(#[$variant_attribute:meta])* $Variant:ident = $value:literal ),+ $(,)?
        }
    ) => {
        $(#[$attribute])*
        #[doc = ""]
        #[doc = ::core::concat!("The values of the label `", $key, "`.")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        $visibility enum $Label {
            $(
                $(#[$variant_attribute])*
                #[doc = ""]
                #[doc = ::core::concat!("Reported as `", $value, "`.")]
                $Variant,
            )+
        }

        impl $crate::Label for $Label {
            const KEY: &'static str = $key;
            const VALUES: &'static [&'static str] = &[$($value),+];

            fn index(self) -> usize {
                self as usize
            }
        }

        const _: $crate::LabelDeclaration = $crate::LabelDeclaration {
            key: <$Label as $crate::Label>::KEY,
            values: <$Label as $crate::Label>::VALUES,
        }
        .checked();
    };
}

/// Declares instruments: makes a struct of handles, and from the same lines what a schema and a user need to know.
///
/// After the struct's name stands the namespace. Each field is one of `Counter`, `Gauge<i64>`, `Gauge<f64>`, `Meter`,
/// `Histogram` and `Timer`, which need not be imported, with a [`Label`](crate::Label) as last parameter if it is to be
/// split by one. In braces may follow
///
/// - `buckets: [0, 1, 10]` for a gauge: the values that it may leave as, at most eight;
/// - `digits: 1` to which numbers are rounded, 2 if nothing is said, or `digits: all`;
/// - `range: [0, 100]` for the values of a gauge, histogram or timer (there in nanoseconds): what lies outside leaves
///   as the nearer of these;
/// - `max_per_second: 1_000`, the most that can happen in a second, for all but gauges: what is more doesn't leave, and
///   the ingest side takes it for false;
/// - `unit: "bytes"`, for users to read;
/// - `linkable`, where numbers are so fine that a machine could be recognized by them, which users are told: for more
///   than 2 digits, or a gauge with more than 8 buckets or without any. There it must stand, and nowhere else.
///
/// The struct is `Clone` and implements [`Instruments`](crate::Instruments); its `DECLARATION` is a constant.
///
/// ```
/// use std::time::Duration;
/// use undertone_instruments::{Instruments, Registry, instruments, label};
///
/// label! {
///     /// How a request ended.
///     pub enum Outcome in "outcome" { Ok = "ok", Failed = "failed" }
/// }
///
/// instruments! {
///     pub struct Metrics in "fileserver" {
///         /// Connections accepted.
///         connections: Counter,
///         /// Files being sent now.
///         open: Gauge<i64> { buckets: [0, 1, 2, 5, 10, 50] },
///         /// Time to answer, by outcome.
///         latency: Timer<Outcome>,
///     }
/// }
///
/// let registry = Registry::new();
/// let m = Metrics::register(&registry)?;
/// m.connections.inc();
/// m.open.set(3);
/// m.latency.update(Outcome::Failed, Duration::from_millis(20));
/// let mut running = m.latency.start(Outcome::Failed);
/// running.set_label(Outcome::Ok);
/// drop(running);
///
/// // One reading for the counter, one for the gauge, and one for each outcome.
/// assert_eq!(registry.read(Duration::from_secs(10)).len(), 4);
/// assert_eq!(Metrics::DECLARATION.instruments[0].description, "Connections accepted.");
/// # Ok::<(), undertone_instruments::RegisterError>(())
/// ```
///
/// What a machine could be recognized by needs the word for it:
///
/// ```compile_fail
/// undertone_instruments::instruments! {
///     pub struct Metrics in "fileserver" {
///         /// Load.
///         load: Gauge<f64>,
///     }
/// }
/// ```
///
/// ```
/// undertone_instruments::instruments! {
///     pub struct Metrics in "fileserver" {
///         /// Load.
///         load: Gauge<f64> { linkable },
///     }
/// }
/// ```
///
/// An instrument without a doc comment isn't accepted, since that is what users are shown:
///
/// ```compile_fail
/// undertone_instruments::instruments! {
///     pub struct Metrics in "fileserver" {
///         connections: Counter,
///     }
/// }
/// ```
///
/// The same with one:
///
/// ```
/// undertone_instruments::instruments! {
///     pub struct Metrics in "fileserver" {
///         /// Connections accepted.
///         connections: Counter,
///     }
/// }
/// ```
#[macro_export]
macro_rules! instruments {
    (
        $(#[$attribute:meta])*
        $visibility:vis struct $Instruments:ident in $namespace:literal {
            $(
                $(#[doc = $description:literal])*
                $name:ident : $Instrument:ident $(< $($parameter:ty),+ $(,)? >)?
                    $({ $($option:ident $(: $value:tt)?),* $(,)? })?
            ),* $(,)?
        }
    ) => {
        $(#[$attribute])*
        #[doc = ""]
        #[doc = ::core::concat!("The instruments of `", $namespace, "`.")]
        #[derive(Debug, Clone)]
        $visibility struct $Instruments {
            $(
                $(#[doc = $description])*
                $visibility $name: $crate::$Instrument $(<$($parameter),+>)?,
            )*
        }

        impl $Instruments {
            /// What the instruments are, for a schema and for users.
            $visibility const DECLARATION: $crate::Declaration = $crate::Declaration {
                namespace: $namespace,
                instruments: {
                    const INSTRUMENTS: &[$crate::InstrumentDeclaration] = &[$({
                        let declaration =
                            $crate::InstrumentDeclaration::of::<$crate::$Instrument $(<$($parameter),+>)?>(
                                ::core::stringify!($name),
                                $crate::__description!($name $($description)*),
                            );
                        $($(
                            let declaration = $crate::__instrument_option!(declaration, $option $(, $value)?);
                        )*)?
                        declaration.checked()
                    }),*];
                    INSTRUMENTS
                },
            };
        }

        // Here even if it isn't used, so that what is wrong in it is always found.
        const _: $crate::Declaration = $Instruments::DECLARATION;

        impl $crate::Instruments for $Instruments {
            const DECLARATION: $crate::Declaration = $Instruments::DECLARATION;

            fn register(
                registry: &$crate::Registry,
            ) -> ::core::result::Result<Self, $crate::RegisterError> {
                let mut registration = registry.registration();
                let instruments = Self {
                    $( $name: registration.declared(&$Instruments::DECLARATION, ::core::stringify!($name))?, )*
                };
                registration.commit();
                ::core::result::Result::Ok(instruments)
            }
        }
    };
}

/// The text of an instrument's doc comment, its lines joined.
#[doc(hidden)]
#[macro_export]
macro_rules! __description {
    ($name:ident) => {
        ::core::compile_error!(::core::concat!(
            "the instrument `",
            ::core::stringify!($name),
            "` needs a doc comment: it is what users are shown"
        ))
    };
    ($name:ident $($line:literal)+) => {
        ::core::concat!($($line),+).trim_ascii()
    };
}

/// An instrument's declaration with one of the options that may stand in braces.
#[doc(hidden)]
#[macro_export]
macro_rules! __instrument_option {
    ($declaration:ident, buckets, [$($bucket:expr),* $(,)?]) => {{
        #[allow(clippy::unnecessary_cast, clippy::cast_lossless, clippy::cast_precision_loss)]
        const BUCKETS: &[f64] = &[$($bucket as f64),*];
        $declaration.with_buckets(BUCKETS)
    }};
    ($declaration:ident, unit, $unit:literal) => {
        $declaration.with_unit($unit)
    };
    ($declaration:ident, digits, all) => {
        $declaration.with_digits($crate::Digits::All)
    };
    ($declaration:ident, digits, $digits:literal) => {
        $declaration.with_digits($crate::Digits::Rounded($digits))
    };
    ($declaration:ident, range, [$least:expr, $greatest:expr $(,)?]) => {{
        #[allow(clippy::unnecessary_cast, clippy::cast_lossless, clippy::cast_precision_loss)]
        const RANGE: [f64; 2] = [$least as f64, $greatest as f64];
        $declaration.with_range(RANGE[0], RANGE[1])
    }};
    ($declaration:ident, max_per_second, $most:expr) => {
        $declaration.with_max_per_second($most)
    };
    ($declaration:ident, linkable) => {
        $declaration.linkable()
    };
    ($declaration:ident, $option:ident $(, $value:tt)?) => {
        ::core::compile_error!(::core::concat!(
            "`",
            ::core::stringify!($option),
            "` isn't an option of instruments; there are `buckets: [0, 1, 10]`, `digits: 1`, `range: [0, 100]`, \
             `max_per_second: 1_000`, `unit: \"bytes\"` and `linkable`"
        ))
    };
}
