//! A recorder for the facade `metrics`: what its own exporters are made of, a registry of atomics.

use std::sync::Arc;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use metrics_util::registry::{AtomicStorage, Registry};

/// Keeps everything that is recorded until it is cleared.
#[derive(Clone)]
pub(crate) struct Kept {
    registry: Arc<Registry<Key, AtomicStorage>>,
}

impl Kept {
    pub(crate) fn new() -> Self {
        Self { registry: Arc::new(Registry::atomic()) }
    }

    /// Forgets what histograms hold, as an exporter does with each scrape.
    pub(crate) fn clear(&self) {
        self.registry.visit_histograms(|_, histogram| histogram.clear());
    }
}

impl Recorder for Kept {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.registry.get_or_create_counter(key, |counter| Arc::clone(counter).into())
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.registry.get_or_create_gauge(key, |gauge| Arc::clone(gauge).into())
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.registry.get_or_create_histogram(key, |histogram| Arc::clone(histogram).into())
    }
}
