//! The figures of blocks and pairs.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::Side;
use super::gate::Reason;
use crate::canary::Song;
use crate::gauge::{CpuTime, Gauge, GaugeError, HostReading, cpu_of, cpu_of_helpers};
use crate::metric::Metric;
use crate::sample::Sample;
use crate::workload::Measures;

/// One block of one side.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct BlockRecord {
    /// Where the server's CPU time was read.
    pub(crate) cpu_source: &'static str,
    pub(crate) figures: BTreeMap<Metric, f64>,
    pub(crate) operations: u64,
    pub(crate) bytes: u64,
    pub(crate) elapsed_s: f64,
    pub(crate) server_cpu_s: f64,
    /// Share of one CPU that the generator used: near 1, it is the limit and not the server.
    pub(crate) generator: f64,
    /// Share of all CPU time that was stolen.
    pub(crate) steal: f64,
    /// Share of all CPU time that other processes used.
    pub(crate) foreign: f64,
}

/// One block of each side, one after the other.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct PairRecord {
    pub(crate) ours: BlockRecord,
    pub(crate) peer: BlockRecord,
    /// Before, between and after the two blocks.
    pub(crate) canaries: [Song; 3],
    /// Why the pair does not count; empty if it does.
    pub(crate) dropped: Vec<Reason>,
}

/// What the server used during a block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) cpu_s: f64,
    pub(crate) peak_kib: u64,
}

/// Everything that is read immediately before and after a block.
pub(crate) struct Readings {
    source: &'static str,
    at: Instant,
    server: Duration,
    server_time: CpuTime,
    /// Programs that work for the server, and have ended.
    helpers: CpuTime,
    generator: CpuTime,
    host: HostReading,
}

// === impl PairRecord ===

impl PairRecord {
    pub(crate) fn of(&self, side: Side) -> &BlockRecord {
        match side {
            Side::Ours => &self.ours,
            Side::Peer => &self.peer,
        }
    }
}

// === impl Readings ===

impl Readings {
    pub(crate) fn take(gauge: &Gauge) -> Result<Self, GaugeError> {
        Ok(Self {
            source: gauge.source(),
            host: HostReading::now()?,
            server_time: gauge.cpu_time()?,
            helpers: cpu_of_helpers()?,
            generator: cpu_of("self")?,
            at: Instant::now(),
            server: gauge.cpu()?,
        })
    }

    /// The record of what happened between `earlier` and now.
    pub(crate) fn since(
        &self,
        earlier: &Self,
        sample: &Sample,
        measures: Measures,
        peak_kib: u64,
    ) -> BlockRecord {
        let wall = (self.at - earlier.at).as_secs_f64();
        let all = wall * f64::from(self.host.cpus);
        let helpers = seconds(earlier.helpers.total(), self.helpers.total());
        let server = seconds(earlier.server, self.server) + helpers;
        let everybody = seconds(earlier.host.user, self.host.user);
        let known = seconds(earlier.known(), self.known());
        let usage = Usage {
            cpu_s: server,
            peak_kib,
        };
        BlockRecord {
            cpu_source: self.source,
            figures: figures(sample, measures, Some(usage)),
            operations: sample.operations,
            bytes: sample.bytes,
            elapsed_s: sample.elapsed.as_secs_f64(),
            server_cpu_s: server,
            generator: seconds(earlier.generator.total(), self.generator.total()) / wall,
            steal: seconds(earlier.host.steal, self.host.steal) / all,
            foreign: (everybody - known).max(0.0) / all,
        }
    }

    /// User time that is somebody's. One who works for the server and ends meanwhile becomes a helper, so
    /// that only the sum never falls.
    fn known(&self) -> Duration {
        self.server_time.user + self.helpers.user + self.generator.user
    }
}

/// All figures of a sample, those of the server included if they are known.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of one block are far below 2^52"
)]
pub(crate) fn figures(
    sample: &Sample,
    measures: Measures,
    usage: Option<Usage>,
) -> BTreeMap<Metric, f64> {
    let mut figures: BTreeMap<Metric, f64> = sample.figures.iter().copied().collect();
    let elapsed = sample.elapsed.as_secs_f64();
    let (rate, cost, amount, scale) = match measures {
        Measures::Own => return figures,
        Measures::Operations => {
            let operations = sample.operations as f64;
            (Metric::Rate, Metric::CpuPerOperation, operations, 1e6)
        }
        Measures::Bytes => {
            let gigabytes = sample.bytes as f64 / 1e9;
            (Metric::Throughput, Metric::CpuPerGigabyte, gigabytes, 1.0)
        }
    };
    figures.insert(rate, amount / elapsed);
    if let Some(usage) = usage {
        figures.insert(cost, usage.cpu_s * scale / amount);
        figures.insert(Metric::PeakMemory, usage.peak_kib as f64 / 1024.0);
    }
    if measures == Measures::Operations && !sample.latencies.is_empty() {
        let millis = |quantile| sample.latencies.quantile(quantile).as_secs_f64() * 1000.0;
        figures.insert(Metric::P50, millis(0.5));
        // Of fewer operations it would be the maximum.
        if sample.operations >= 100 {
            figures.insert(Metric::P99, millis(0.99));
        }
    }
    figures
}

fn seconds(earlier: Duration, later: Duration) -> f64 {
    later.saturating_sub(earlier).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    const USAGE: Usage = Usage {
        cpu_s: 0.5,
        peak_kib: 2048,
    };

    #[test]
    fn operations_yield_rates_and_latencies() {
        let mut sample = Sample {
            operations: 200,
            elapsed: Duration::from_secs(2),
            ..Sample::default()
        };
        sample.latencies.record(Duration::from_millis(5));
        let figures = figures(&sample, Measures::Operations, Some(USAGE));
        assert_eq!(figures[&Metric::Rate], 100.0);
        assert_eq!(figures[&Metric::CpuPerOperation], 2500.0);
        assert_eq!(figures[&Metric::PeakMemory], 2.0);
        assert!((4.99..5.01).contains(&figures[&Metric::P99]));
        assert!(!figures.contains_key(&Metric::Throughput));
    }

    #[test]
    fn bytes_yield_throughput_and_what_the_workload_adds() {
        let sample = Sample {
            operations: 1,
            bytes: 2_000_000_000,
            elapsed: Duration::from_secs(4),
            figures: vec![(Metric::Finish, 1.5)],
            ..Sample::default()
        };
        let figures = figures(&sample, Measures::Bytes, Some(USAGE));
        assert_eq!(figures[&Metric::Throughput], 0.5);
        assert_eq!(figures[&Metric::CpuPerGigabyte], 0.25);
        assert_eq!(figures[&Metric::Finish], 1.5);
    }

    #[test]
    fn without_the_servers_usage_there_are_still_rates() {
        let sample = Sample {
            operations: 10,
            elapsed: Duration::from_secs(1),
            ..Sample::default()
        };
        let figures = figures(&sample, Measures::Operations, None);
        assert_eq!(figures.keys().collect::<Vec<_>>(), [&Metric::Rate]);
    }
}
