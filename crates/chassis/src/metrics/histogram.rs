//! How long things take.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// The upper bounds of the buckets, in seconds.
const BOUNDS: [f64; 14] = [
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0,
];

/// A histogram of times whose every number is an atomic: the library's own takes a lock. Cheap to
/// clone; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Histogram {
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    /// One for each bound, and one for what is above.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

// === impl Histogram ===

impl Histogram {
    /// Takes note of a time.
    pub fn observe(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        let bucket = BOUNDS.partition_point(|bound| *bound < seconds);
        self.counts.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.counts.nanos.fetch_add(nanos, Ordering::Relaxed);
    }
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let counts = &self.counts.buckets;
        let bounds = BOUNDS.into_iter().chain([f64::MAX]);
        let buckets = bounds.zip(counts.iter().map(|count| count.load(Ordering::Relaxed)));
        let buckets: Vec<(f64, u64)> = buckets.collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = Duration::from_nanos(self.counts.nanos.load(Ordering::Relaxed)).as_secs_f64();
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_counted_in_the_first_bucket_that_holds_it() {
        let times = Histogram::default();
        for (millis, bucket) in [(0, 0), (1, 1), (2, 2), (60_000, 13), (60_001, 14)] {
            let count = &times.counts.buckets[bucket];
            let before = count.load(Ordering::Relaxed);
            times.observe(Duration::from_millis(millis));
            assert_eq!(count.load(Ordering::Relaxed), before + 1, "{millis} ms");
        }
    }
}
