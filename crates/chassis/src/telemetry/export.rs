//! What is sent to a collector, over OTLP: spans, and metrics if that is asked for.
//!
//! Keeps two invariants: a request never waits for the collector, because spans go through a bounded
//! queue, and those that find it full are dropped; and what was queued when the process stops is
//! sent, for as long as that takes a few seconds at most.

use std::path::PathBuf;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider,
};
use serde::{Deserialize, Serialize};

use super::collector::{ExportError, channel};
use super::measure::Measure;
use super::told::Told;
use crate::config;

/// How long the last spans may take when the process stops.
const FLUSH: Duration = Duration::from_secs(5);

/// Settings of traces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TraceConfig {
    /// The collector that spans are sent to, over gRPC: `http://127.0.0.1:4317`, or `https://…`.
    /// Absent: there are no traces, and they cost nothing.
    pub otlp_endpoint: Option<String>,
    /// The authorities that certify it, in PEM. By default those of this machine.
    pub otlp_ca_file: Option<PathBuf>,
    /// Whether metrics are sent there, too.
    pub metrics: bool,
    /// How often.
    #[serde(with = "config::duration")]
    pub metrics_every: Duration,
    /// The share of requests that are traced, from 0 to 1. A request that is part of a trace already
    /// is traced if that is.
    pub sample: f64,
    /// Spans that wait to be sent; more are dropped.
    pub queue: usize,
    /// How long the collector may take for those that are sent at once.
    #[serde(with = "config::duration")]
    pub timeout: Duration,
}

/// The way to the collector, until it is closed.
#[derive(Debug)]
pub(super) struct Exporter {
    provider: SdkTracerProvider,
    measure: Option<Measure>,
}

/// By what the collector tells processes apart.
fn attributes(service: &str) -> [(&'static str, String); 4] {
    let instance: u128 = rand::random();
    [
        ("service.namespace", "meridian".to_owned()),
        ("service.name", service.to_owned()),
        ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("service.instance.id", format!("{instance:032x}")),
    ]
}

// === impl TraceConfig ===

impl Default for TraceConfig {
    fn default() -> Self {
        Self {
            otlp_endpoint: None,
            otlp_ca_file: None,
            metrics: false,
            metrics_every: Duration::from_secs(30),
            sample: 1.0,
            queue: 4096,
            timeout: Duration::from_secs(5),
        }
    }
}

// === impl Exporter ===

impl Exporter {
    /// To the collector that the settings name, if they name one. To be called on a runtime.
    pub(super) fn open(config: &TraceConfig, service: &str) -> Result<Option<Self>, ExportError> {
        let Some(endpoint) = &config.otlp_endpoint else {
            return Ok(None);
        };
        let channel = channel(endpoint, config)?;
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_channel(channel.clone())
            .with_timeout(config.timeout)
            .build()?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(config.queue.max(1))
            .with_max_export_batch_size(config.queue.clamp(1, 512))
            .with_scheduled_delay(Duration::from_secs(1))
            .build();
        let processor = BatchSpanProcessor::builder(Told::new(exporter))
            .with_batch_config(batches)
            .build();
        let attributes = attributes(service);
        let of_spans = attributes
            .iter()
            .map(|(name, value)| KeyValue::new(*name, value.clone()));
        let resource = Resource::builder_empty().with_attributes(of_spans).build();
        let measure = config
            .metrics
            .then(|| Measure::new(channel, &attributes, config.metrics_every, config.timeout));
        let sampler = Sampler::TraceIdRatioBased(config.sample.clamp(0.0, 1.0));
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_sampler(Sampler::ParentBased(Box::new(sampler)))
            .with_resource(resource)
            .build();
        Ok(Some(Self { provider, measure }))
    }

    pub(super) fn tracer(&self) -> SdkTracer {
        self.provider.tracer("meridian")
    }

    /// The way of metrics, if they are sent. Once.
    pub(super) const fn measure(&mut self) -> Option<Measure> {
        self.measure.take()
    }

    /// Sends what is queued, and no more. Waits.
    pub(super) fn close(&self) {
        if let Err(error) = self.provider.shutdown_with_timeout(FLUSH) {
            let error = meridian_error::chain(&error);
            tracing::warn!(error, "the last spans may not have reached the collector");
        }
    }
}
