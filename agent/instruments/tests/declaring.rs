//! What `instruments!` and `label!` make, and how a registry treats it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::time::Duration;

use undertone_instruments::{
    Counter, Digits, Histogram, InstrumentDeclaration, Instruments, Kind, Label, LabelDeclaration,
    Rates, Reading, Registry, Value,
};

/// The macros as another crate offers them that its users depend on alone.
mod reexporting {
    pub(crate) use undertone_instruments::{instruments, label};
}

reexporting::label! {
    /// How a request ended.
    pub enum Outcome in "outcome" {
        /// It was answered.
        Ok = "ok",
        Failed = "failed",
    }
}

reexporting::instruments! {
    /// What a file server measures.
    pub struct Metrics in "fileserver" {
        /// Connections accepted.
        connections: Counter,
        /// Files being sent now,
        /// to anybody.
        open: Gauge<i64> { buckets: [0, 1, 2, 5, 10, 50] },
        /// Load, from −1 to 1.
        load: Gauge<f64> { buckets: [-1, -0.5, 0, 0.5,], unit: "ratio" },
        /// Requests.
        requests: Meter { max_per_second: 1_000 },
        /// Sizes of files.
        sizes: Histogram { unit: "bytes", range: [0, 1_000_000], digits: 1 },
        /// Time to answer, by outcome.
        latency: Timer<Outcome> { digits: all, linkable },
    }
}

#[test]
fn a_label_lists_its_values_in_order() {
    assert_eq!((Outcome::KEY, Outcome::VALUES), ("outcome", ["ok", "failed"].as_slice()));
    assert_eq!((Outcome::Ok.index(), Outcome::Failed.index()), (0, 1));
}

#[test]
fn the_declaration_says_what_the_source_says() {
    let none = InstrumentDeclaration {
        name: "",
        kind: Kind::Counter,
        description: "",
        unit: None,
        label: None,
        buckets: &[],
        digits: Digits::Rounded(2),
        range: None,
        max_per_second: None,
        linkable: false,
    };
    let outcome = LabelDeclaration { key: "outcome", values: &["ok", "failed"] };
    let expected = [
        InstrumentDeclaration { name: "connections", description: "Connections accepted.", ..none },
        InstrumentDeclaration {
            name: "open",
            kind: Kind::GaugeInteger,
            description: "Files being sent now, to anybody.",
            buckets: &[0.0, 1.0, 2.0, 5.0, 10.0, 50.0],
            ..none
        },
        InstrumentDeclaration {
            name: "load",
            kind: Kind::GaugeFloat,
            description: "Load, from −1 to 1.",
            unit: Some("ratio"),
            buckets: &[-1.0, -0.5, 0.0, 0.5],
            ..none
        },
        InstrumentDeclaration {
            name: "requests",
            kind: Kind::Meter,
            description: "Requests.",
            max_per_second: Some(1_000),
            ..none
        },
        InstrumentDeclaration {
            name: "sizes",
            kind: Kind::Histogram,
            description: "Sizes of files.",
            unit: Some("bytes"),
            digits: Digits::Rounded(1),
            range: Some([0.0, 1_000_000.0]),
            ..none
        },
        InstrumentDeclaration {
            name: "latency",
            kind: Kind::Timer,
            description: "Time to answer, by outcome.",
            unit: Some("ns"),
            label: Some(outcome),
            digits: Digits::All,
            linkable: true,
            ..none
        },
    ];
    assert_eq!(Metrics::DECLARATION.namespace, "fileserver");
    assert_eq!(Metrics::DECLARATION.instruments, expected);
}

#[test]
fn a_reading_for_each_instrument_and_value_of_a_label() {
    let registry = Registry::new();
    let m = Metrics::register(&registry).unwrap();
    m.connections.inc_by(2);
    m.open.set(3);
    m.load.read_with(|| 0.25);
    m.requests.mark_by(30);
    m.sizes.update(-20);
    m.latency.update(Outcome::Failed, Duration::from_nanos(7));
    registry.tick();

    let readings = registry.read(Duration::from_secs(10));
    let places: Vec<_> =
        readings.iter().map(|reading| (reading.name, reading.kind, reading.label)).collect();
    let expected = [
        ("connections", Kind::Counter, None),
        ("open", Kind::GaugeInteger, None),
        ("load", Kind::GaugeFloat, None),
        ("requests", Kind::Meter, None),
        ("sizes", Kind::Histogram, None),
        ("latency", Kind::Timer, Some(("outcome", "ok"))),
        ("latency", Kind::Timer, Some(("outcome", "failed"))),
    ];
    assert_eq!(places, expected);
    assert!(readings.iter().all(|reading| reading.namespace == "fileserver"));
    assert_eq!(readings[0].value, Value::Counter { count: 2 });
    assert_eq!(readings[1].value, Value::GaugeInteger(3));
    assert_eq!(readings[2].value, Value::GaugeFloat(0.25));
    assert_eq!(
        readings[3].value,
        Value::Meter(Rates { count: 30, m1: 6.0, m5: 6.0, m15: 6.0, mean: 3.0 })
    );
    assert_eq!(drained(&readings[4]), [(-20, 1)]);
    assert_eq!(drained(&readings[5]), []);
    assert_eq!(drained(&readings[6]), [(7, 1)]);
}

#[test]
fn counts_go_on_while_distributions_are_drained() {
    let registry = Registry::new();
    let m = Metrics::register(&registry).unwrap();
    let elapsed = Duration::from_secs(1);
    m.connections.inc();
    m.sizes.update(5);
    assert_eq!(drained(&registry.read(elapsed)[4]), [(5, 1)]);
    m.connections.inc();
    let readings = registry.read(elapsed);
    assert_eq!(readings[0].value, Value::Counter { count: 2 });
    assert_eq!(drained(&readings[4]), []);
}

#[test]
fn a_reset_forgets_the_past_and_keeps_the_present() {
    let registry = Registry::new();
    let m = Metrics::register(&registry).unwrap();
    m.connections.inc();
    m.requests.mark();
    m.latency.update(Outcome::Ok, Duration::from_secs(1));
    m.sizes.update(1);
    registry.tick();
    m.open.set(4);
    registry.reset();

    let fresh = Registry::new();
    Metrics::register(&fresh).unwrap().open.set(4);
    assert_eq!(registry.read(Duration::from_secs(1)), fresh.read(Duration::from_secs(1)));
    m.connections.inc();
    assert_eq!(registry.read(Duration::from_secs(1))[0].value, Value::Counter { count: 1 });
}

#[test]
fn registering_twice_gives_the_same_instruments() {
    let registry = Registry::new();
    let first = Metrics::register(&registry).unwrap();
    let second = Metrics::register(&registry).unwrap();
    first.connections.inc();
    second.connections.inc();
    assert_eq!(first.connections.count(), 2);
    assert_eq!(registry.read(Duration::ZERO).len(), 7);
}

#[test]
fn a_name_declared_in_another_way_is_an_error_and_registers_nothing() {
    mod other {
        undertone_instruments::instruments! {
            pub struct Metrics in "fileserver" {
                /// New.
                added: Counter,
                /// Connections accepted.
                connections: Meter,
            }
        }
    }
    let registry = Registry::new();
    Metrics::register(&registry).unwrap();
    let error = other::Metrics::register(&registry).unwrap_err();
    assert_eq!((error.namespace, error.name), ("fileserver", "connections"));
    assert_eq!(
        error.to_string(),
        "the instrument fileserver.connections was declared before in another way"
    );
    assert_eq!(registry.read(Duration::ZERO).len(), 7);
}

#[test]
fn instruments_can_be_registered_without_the_macro() {
    let registry = Registry::new();
    let declaration = InstrumentDeclaration::of::<Counter>("added", "New.");
    let counter: Counter = registry.instrument("facade", declaration).unwrap();
    registry.instrument::<Counter>("facade", declaration).unwrap().inc();
    assert_eq!(counter.count(), 1);
    assert!(registry.instrument::<Histogram>("facade", declaration).is_err());
    assert!(registry.instrument::<Counter>("facade", declaration.with_unit("bytes")).is_err());
    assert!(registry.instrument::<Counter>("another", declaration).is_ok());
}

#[test]
fn a_closure_may_use_the_registry() {
    let registry = Registry::new();
    let m = Metrics::register(&registry).unwrap();
    let inner = registry.clone();
    m.open.read_with(move || {
        inner.tick();
        Metrics::register(&inner).unwrap().connections.count()
    });
    m.connections.inc();
    assert_eq!(registry.read(Duration::ZERO)[1].value, Value::GaugeInteger(1));
}

#[test]
fn a_gauge_whose_closure_panics_is_left_out() {
    let registry = Registry::new();
    let m = Metrics::register(&registry).unwrap();
    m.open.read_with(|| std::panic::resume_unwind(Box::new("as tested")));
    let readings = registry.read(Duration::ZERO);
    assert_eq!(readings.len(), 6);
    assert!(readings.iter().all(|reading| reading.name != "open"));
}

#[test]
fn a_label_that_lies_about_its_position_is_dropped() {
    #[derive(Clone, Copy)]
    struct Wrong;
    impl Label for Wrong {
        const KEY: &'static str = "wrong";
        const VALUES: &'static [&'static str] = &["only"];
        fn index(self) -> usize {
            1
        }
    }
    let counter: Counter<Wrong> = Counter::default();
    counter.inc(Wrong);
    assert_eq!(counter.count(Wrong), 0);
}

#[test]
fn a_running_timer_records_under_its_last_label() {
    let registry = Registry::new();
    let m = Metrics::register(&registry).unwrap();
    {
        let mut running = m.latency.start(Outcome::Failed);
        running.set_label(Outcome::Ok);
    }
    assert_eq!(m.latency.time(Outcome::Failed, || 5), 5);
    assert_eq!((m.latency.count(Outcome::Ok), m.latency.count(Outcome::Failed)), (1, 1));
}

#[test]
fn debug_tells_no_numbers() {
    let m = Metrics::register(&Registry::new()).unwrap();
    m.connections.inc_by(4711);
    let shown = format!("{m:?}");
    assert!(shown.contains("latency: Timer") && !shown.contains("4711"), "{shown}");
}

/// The buckets of a reading that has a distribution.
fn drained(reading: &Reading) -> &[(i32, u64)] {
    match &reading.value {
        Value::Histogram(distribution) | Value::Timer { distribution, .. } => &distribution.buckets,
        other => panic!("{other:?} has no distribution"),
    }
}
