//! Numbers of several things, read when somebody asks for them.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelValue, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

/// A gauge for each value of one label, which are known beforehand to whoever has the numbers.
pub struct Readings<L> {
    name: String,
    help: String,
    label: &'static str,
    read: Box<dyn Fn() -> Vec<(L, i64)> + Send + Sync>,
}

// === impl Readings ===

impl<L> Readings<L> {
    pub(super) fn new(
        name: &str,
        help: &str,
        label: &'static str,
        read: impl Fn() -> Vec<(L, i64)> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.to_owned(),
            help: help.trim_end_matches('.').to_owned(),
            label,
            read: Box::new(read),
        }
    }
}

impl<L: EncodeLabelValue + 'static> Collector for Readings<L> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut metric =
            encoder.encode_descriptor(&self.name, &self.help, None, MetricType::Gauge)?;
        for (value, number) in (self.read)() {
            let gauge = ConstGauge::new(number);
            gauge.encode(metric.encode_family(&[(self.label, value)])?)?;
        }
        Ok(())
    }
}

impl<L> fmt::Debug for Readings<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readings")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
