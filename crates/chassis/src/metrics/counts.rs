//! Counts that somebody else keeps, read when somebody asks for them.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelValue, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

/// A counter for each value of one label, which are known beforehand to whoever counts; or one
/// counter without a label.
pub struct Counts<L = &'static str> {
    name: String,
    help: String,
    label: Option<&'static str>,
    read: Box<dyn Fn() -> Vec<(L, u64)> + Send + Sync>,
}

const NO_LABELS: [(&str, &str); 0] = [];

// === impl Counts ===

impl<L> Counts<L> {
    pub(super) fn new(
        name: &str,
        help: &str,
        label: Option<&'static str>,
        read: impl Fn() -> Vec<(L, u64)> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.to_owned(),
            help: help.trim_end_matches('.').to_owned(),
            label,
            read: Box::new(read),
        }
    }
}

impl<L: EncodeLabelValue + 'static> Collector for Counts<L> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut metric =
            encoder.encode_descriptor(&self.name, &self.help, None, MetricType::Counter)?;
        for (value, count) in (self.read)() {
            let count = ConstCounter::new(count);
            match self.label {
                Some(label) => count.encode(metric.encode_family(&[(label, value)])?)?,
                None => count.encode(metric.encode_family(&NO_LABELS)?)?,
            }
        }
        Ok(())
    }
}

impl<L> fmt::Debug for Counts<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counts")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
