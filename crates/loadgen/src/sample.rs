//! What one block of a workload yields, before the server's side is added.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::metric::Metric;

/// Latencies in units of 100 ns, to three digits, up to ten minutes.
pub(crate) struct Latencies(Histogram<u32>);

/// Counts and latencies of one block.
#[derive(Default)]
pub(crate) struct Sample {
    pub(crate) operations: u64,
    /// Content moved, without heads.
    pub(crate) bytes: u64,
    pub(crate) elapsed: Duration,
    pub(crate) latencies: Latencies,
    /// What only this workload measures.
    pub(crate) figures: Vec<(Metric, f64)>,
}

const UNIT: u128 = 100;
const LONGEST: u64 = 6_000_000_000;

// === impl Latencies ===

impl Latencies {
    pub(crate) fn new() -> Self {
        Self(
            Histogram::new_with_bounds(1, LONGEST, 3).expect("the bounds and the digits are valid"),
        )
    }

    pub(crate) fn record(&mut self, latency: Duration) {
        let units = u64::try_from(latency.as_nanos() / UNIT).unwrap_or(LONGEST);
        self.0.saturating_record(units.max(1));
    }

    pub(crate) fn quantile(&self, quantile: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_quantile(quantile) * 100)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Default for Latencies {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_keep_three_digits() {
        let mut latencies = Latencies::new();
        for millis in 1..=1000 {
            latencies.record(Duration::from_millis(millis));
        }
        let median = latencies.quantile(0.5).as_secs_f64();
        assert!((0.4995..0.5010).contains(&median), "{median}");
        let p99 = latencies.quantile(0.99).as_secs_f64();
        assert!((0.989..0.992).contains(&p99), "{p99}");
    }
}
