//! What a process counts, and how it shows it.
//!
//! Owns the registry of a process and its text form, which Prometheus reads. Keeps two invariants:
//! counting takes no lock and allocates nothing, because what is counted with which labels is known
//! beforehand ([`Grid`]) and every value is an atomic; and the number of time series has a bound that
//! no client can move. Leaves to each crate what it counts, in its `metrics.rs`, under names of the
//! form `meridian_<service>_<noun>_<unit>`.

mod counts;
mod grid;
mod histogram;
mod reading;
mod readings;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelValue;
use prometheus_client::encoding::prometheus_protobuf::{self, prometheus_data_model};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

pub use counts::Counts;
pub use grid::{Grid, Labels};
pub use histogram::Histogram;
pub use prometheus_client::metrics::counter::Counter;
pub use prometheus_client::metrics::gauge::Gauge;
pub use reading::Reading;
pub use readings::Readings;

/// The media type of the text form.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All that a process counts. Cheap to clone; clones share it.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
}

// === impl Metrics ===

impl Default for Metrics {
    /// Knows of itself which build it is.
    fn default() -> Self {
        let metrics = Self {
            registry: Arc::new(Mutex::new(Registry::with_prefix("meridian"))),
        };
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        metrics.register("build", "What runs here.", build);
        metrics
    }
}

impl Metrics {
    /// Shows `metric` as `meridian_<name>`. A counter's name gets `_total` behind it, and its help
    /// a full stop.
    pub fn register(&self, name: &str, help: &str, metric: impl Metric) {
        self.locked(|registry| registry.register(name, help.trim_end_matches('.'), metric));
    }

    /// Shows what `read` returns whenever somebody asks. It must not wait.
    pub fn read<F>(&self, name: &str, help: &str, read: F)
    where
        F: Fn() -> Option<i64> + Send + Sync + 'static,
    {
        let reading = Reading::new(name, help, read);
        self.locked(|registry| registry.register_collector(Box::new(reading)));
    }

    /// Shows the numbers that `read` returns whenever somebody asks, each under its value of `label`.
    /// It must not wait, and what values there are must be settled beforehand.
    pub fn read_each<L, F>(&self, name: &str, help: &str, label: &'static str, read: F)
    where
        L: EncodeLabelValue + 'static,
        F: Fn() -> Vec<(L, i64)> + Send + Sync + 'static,
    {
        let readings = Readings::new(name, help, label, read);
        self.locked(|registry| registry.register_collector(Box::new(readings)));
    }

    /// Shows the counts that `read` returns whenever somebody asks, each under its value of `label`.
    /// It must not wait, and must not count down.
    pub fn read_counts<L, F>(&self, name: &str, help: &str, label: &'static str, read: F)
    where
        L: EncodeLabelValue + 'static,
        F: Fn() -> Vec<(L, u64)> + Send + Sync + 'static,
    {
        let counts = Counts::new(name, help, Some(label), read);
        self.locked(|registry| registry.register_collector(Box::new(counts)));
    }

    /// Shows the count that `read` returns whenever somebody asks. It must not wait, and must not count
    /// down.
    pub fn read_count<F>(&self, name: &str, help: &str, read: F)
    where
        F: Fn() -> u64 + Send + Sync + 'static,
    {
        let counts = Counts::new(name, help, None, move || vec![("", read())]);
        self.locked(|registry| registry.register_collector(Box::new(counts)));
    }

    /// What there is, as data.
    pub(crate) fn families(&self) -> Vec<prometheus_data_model::MetricFamily> {
        let families = self.locked(|registry| prometheus_protobuf::encode(registry));
        families.expect("memory takes everything")
    }

    /// The text form.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.locked(|registry| encode(&mut text, registry))
            .expect("a string takes everything");
        text
    }

    fn locked<T>(&self, work: impl FnOnce(&mut Registry) -> T) -> T {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut registry)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_counted_is_shown_with_its_labels() {
        let metrics = Metrics::default();
        let calls: Grid = Grid::new(["call", "code"], &["read", "write"], &["ok", "late"]);
        metrics.register("test_calls", "Calls.", calls.family());
        calls.at(0, 0).inc();
        calls.at(0, 0).inc();
        calls.at(1, 1).inc();
        let times = Histogram::default();
        metrics.register("test_duration_seconds", "Times.", times.clone());
        times.observe(Duration::from_millis(3));
        metrics.read("test_depth_entries", "Depth.", || Some(7));
        metrics.read("test_nothing_entries", "Nothing.", || None);
        metrics.read_counts("test_bytes", "Bytes.", "direction", || {
            vec![("in", 5), ("out", 6)]
        });
        metrics.read_count("test_moves", "Moves.", || 4);
        metrics.read_each("test_height_meters", "Heights.", "hill", || {
            vec![("low".to_owned(), 8), ("high".to_owned(), 9)]
        });
        let text = metrics.text();
        for line in [
            "meridian_test_moves_total 4",
            "meridian_test_height_meters{hill=\"high\"} 9",
            "meridian_build_info{version=\"0.1.0\"} 1",
            "meridian_test_calls_total{call=\"read\",code=\"ok\"} 2",
            "meridian_test_calls_total{call=\"write\",code=\"late\"} 1",
            "meridian_test_duration_seconds_bucket{le=\"0.005\"} 1",
            "meridian_test_duration_seconds_bucket{le=\"0.001\"} 0",
            "meridian_test_duration_seconds_count 1",
            "meridian_test_depth_entries 7",
            "meridian_test_bytes_total{direction=\"in\"} 5",
            "meridian_test_bytes_total{direction=\"out\"} 6",
            "# EOF",
        ] {
            assert!(
                text.lines().any(|it| it == line),
                "`{line}` is not in:\n{text}"
            );
        }
        assert!(!text.contains("code=\"late\"} 0"), "{text}");
        assert!(!text.contains("test_nothing_entries "), "{text}");
    }
}
