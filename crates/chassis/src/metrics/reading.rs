//! Numbers that are read when somebody asks for them.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;

/// A gauge whose value somebody else has. Absent while they have none.
pub struct Reading {
    name: String,
    help: String,
    read: Box<dyn Fn() -> Option<i64> + Send + Sync>,
}

// === impl Reading ===

impl Reading {
    pub(super) fn new(
        name: &str,
        help: &str,
        read: impl Fn() -> Option<i64> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.to_owned(),
            help: help.trim_end_matches('.').to_owned(),
            read: Box::new(read),
        }
    }
}

impl Collector for Reading {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(value) = (self.read)() else {
            return Ok(());
        };
        let gauge = ConstGauge::new(value);
        let metric =
            encoder.encode_descriptor(&self.name, &self.help, None, gauge.metric_type())?;
        gauge.encode(metric)
    }
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
