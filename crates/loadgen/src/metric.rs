//! What is measured, and what is asked of it.
//!
//! Owns the closed list of metrics with their units, and the form of a target. Leaves to each
//! workload which targets it has.

use serde::Serialize;

use crate::workload::has_part;

/// One kind of figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Metric {
    /// Operations per second.
    Rate,
    /// GB of content per second.
    Throughput,
    /// CPU of the server, µs per operation.
    CpuPerOperation,
    /// CPU of the server, seconds per GB of content.
    CpuPerGigabyte,
    /// Median latency of an operation, ms.
    P50,
    /// 99th percentile of the latency of an operation, ms.
    P99,
    /// What the median latency would be if nothing but the network took time, ms.
    Floor,
    /// The median latency less two round trips, by that floor.
    OverFloor,
    /// The median latency in round trips.
    RoundTrips,
    /// Bytes that crossed the network, both ways, for one byte of new content.
    WanBytes,
    /// kB that crossed the network, both ways, per operation.
    WanKilobytes,
    /// The 99th percentile of the latency by the floor.
    TailOverFloor,
    /// Until the first byte of an answer, ms.
    FirstByte,
    /// The same less 10 ms, in round trips.
    FirstByteTrips,
    /// Until the last byte of an answer, ms.
    Total,
    /// From the end of a trouble until all has arrived, s.
    Converge,
    /// The same by what the network alone takes for what was left to come.
    ConvergeOverFloor,
    /// Bytes that crossed the network beyond those of the content, MiB.
    Resent,
    /// From the last byte sent to the acknowledgement of an upload, ms.
    Finish,
    /// From the start of the server to its first 200, s.
    Start,
    /// Peak resident memory of the server during the block, MiB.
    PeakMemory,
    /// Resident memory of the server at its first 200, MiB.
    Resident,
    /// Resident memory of the server that one more connection costs, KiB.
    MemoryPerConnection,
    /// Resident memory of the dispatcher of webhooks, MiB.
    DispatcherMemory,
    /// Resident memory of a member of the metadata group, MiB.
    MemberMemory,
    /// What a message that waits costs of it, bytes.
    MemoryPerMessage,
    /// Calls per operation that wait for the disk (fsync and its kin).
    SyncsPerOperation,
}

/// What a workload wants a metric to be.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Target {
    /// The cases meant: those that have this among the parts of their name; all for nothing.
    pub(crate) case: &'static str,
    pub(crate) metric: Metric,
    pub(crate) measure: Measure,
    pub(crate) bound: Bound,
    /// The limit that must be reached, if any.
    pub(crate) required: Option<f64>,
    /// The limit to try for.
    pub(crate) ambitious: Option<f64>,
}

/// Of what a target speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Measure {
    /// Ours divided by the peer's.
    Ratio,
    /// Our own figure.
    Ours,
    /// Ours less the peer's.
    Excess,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    AtMost,
    AtLeast,
}

/// How a figure stands to its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Missed,
    Met,
    /// The ambitious limit is reached as well.
    Ambitious,
}

// === impl Metric ===

impl Metric {
    /// The figure's unit, where an operation is called `operation`.
    pub(crate) fn unit(self, operation: &str) -> String {
        match self {
            Self::Rate => format!("{operation}s/s"),
            Self::Throughput => "GB/s".to_owned(),
            Self::CpuPerOperation => format!("CPU µs/{operation}"),
            Self::CpuPerGigabyte => "CPU s/GB".to_owned(),
            Self::P50 => "p50 ms".to_owned(),
            Self::P99 => "p99 ms".to_owned(),
            Self::Floor => "floor ms".to_owned(),
            Self::OverFloor => "(p50 - 2 RTT) / floor".to_owned(),
            Self::RoundTrips => "p50 in RTT".to_owned(),
            Self::WanBytes => "WAN bytes/byte".to_owned(),
            Self::WanKilobytes => format!("WAN kB/{operation}"),
            Self::TailOverFloor => "p99 / floor".to_owned(),
            Self::FirstByte => "first byte ms".to_owned(),
            Self::FirstByteTrips => "(first byte - 10 ms) / RTT".to_owned(),
            Self::Total => "last byte ms".to_owned(),
            Self::Converge => "s to converge".to_owned(),
            Self::ConvergeOverFloor => "converge / floor".to_owned(),
            Self::Resent => "re-sent MiB".to_owned(),
            Self::Finish => "finish ms".to_owned(),
            Self::Start => "s to 200".to_owned(),
            Self::Resident => "RSS MiB".to_owned(),
            Self::PeakMemory => "peak RSS MiB".to_owned(),
            Self::MemoryPerConnection => "KiB/connection".to_owned(),
            Self::DispatcherMemory => "dispatcher RSS MiB".to_owned(),
            Self::MemberMemory => "member RSS MiB".to_owned(),
            Self::MemoryPerMessage => "member bytes/message".to_owned(),
            Self::SyncsPerOperation => format!("fsyncs/{operation}"),
        }
    }
}

// === impl Target ===

impl Target {
    pub(crate) const fn ratio(case: &'static str, metric: Metric, bound: Bound) -> Self {
        Self {
            case,
            metric,
            measure: Measure::Ratio,
            bound,
            required: None,
            ambitious: None,
        }
    }

    pub(crate) const fn ours(case: &'static str, metric: Metric, at_most: f64) -> Self {
        Self {
            measure: Measure::Ours,
            ..Self::ratio(case, metric, Bound::AtMost)
        }
        .required(at_most)
    }

    /// On how much more than the peer's our figure is.
    pub(crate) const fn excess(case: &'static str, metric: Metric, at_most: f64) -> Self {
        Self {
            measure: Measure::Excess,
            ..Self::ours(case, metric, at_most)
        }
    }

    pub(crate) const fn required(mut self, limit: f64) -> Self {
        self.required = Some(limit);
        self
    }

    pub(crate) const fn ambitious(mut self, limit: f64) -> Self {
        self.ambitious = Some(limit);
        self
    }

    pub(crate) fn concerns(&self, case: &str, metric: Metric) -> bool {
        self.metric == metric && self.means(case)
    }

    pub(crate) fn means(&self, case: &str) -> bool {
        self.case.is_empty() || has_part(case, self.case)
    }

    pub(crate) fn judge(&self, figure: f64) -> Verdict {
        let reaches = |limit: f64| match self.bound {
            Bound::AtMost => figure <= limit,
            Bound::AtLeast => figure >= limit,
        };
        match (self.required.map(reaches), self.ambitious.map(reaches)) {
            (_, Some(true)) => Verdict::Ambitious,
            (Some(true), _) => Verdict::Met,
            (Some(false), _) | (None, _) => Verdict::Missed,
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.bound {
            Bound::AtMost => "≤ ",
            Bound::AtLeast => "≥ ",
        })?;
        match (self.required, self.ambitious) {
            (Some(required), Some(ambitious)) => write!(f, "{required} ({ambitious}*)")?,
            (Some(limit), None) => write!(f, "{limit}")?,
            (None, Some(limit)) => write!(f, "{limit}*")?,
            (None, None) => write!(f, "–")?,
        }
        match self.measure {
            Measure::Ratio => f.write_str(" x"),
            Measure::Ours => Ok(()),
            Measure::Excess => f.write_str(" more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_missed_met_or_more_than_met() {
        let target = Target::ratio("c=1", Metric::Rate, Bound::AtLeast)
            .required(5.0)
            .ambitious(12.0);
        assert_eq!(target.judge(4.9), Verdict::Missed);
        assert_eq!(target.judge(5.0), Verdict::Met);
        assert_eq!(target.judge(13.0), Verdict::Ambitious);
        assert_eq!(target.to_string(), "≥ 5 (12*) x");
    }

    #[test]
    fn a_lower_bound_on_our_own_figure_is_judged_downwards() {
        let target = Target::ours("", Metric::Finish, 5.0);
        assert_eq!(target.judge(4.0), Verdict::Met);
        assert_eq!(target.judge(6.0), Verdict::Missed);
        assert!(target.concerns("any case", Metric::Finish));
        assert!(!target.concerns("any case", Metric::P99));
    }

    #[test]
    fn a_target_may_be_a_distance_from_the_peer() {
        let target = Target::excess("", Metric::P99, 2.0);
        assert_eq!(target.judge(-0.5), Verdict::Met);
        assert_eq!(target.judge(2.1), Verdict::Missed);
        assert_eq!(target.to_string(), "≤ 2 more");
    }

    #[test]
    fn a_target_means_whole_parts_of_a_name() {
        let target = Target::ours("c=1", Metric::P99, 1.0);
        assert!(target.means("GET by tag, c=1"));
        assert!(!target.means("GET by tag, c=16"));
    }
}
