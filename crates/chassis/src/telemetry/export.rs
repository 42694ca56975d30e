//! Where spans go: to a collector, over OTLP.
//!
//! Keeps two invariants: a request never waits for the collector, because spans go through a bounded
//! queue, and those that find it full are dropped; and what was queued when the process stops is
//! sent, for as long as that takes a few seconds at most.

use std::time::Duration;

use meridian_error::{Classify, Code};
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider,
};
use serde::{Deserialize, Serialize};

use super::told::Told;
use crate::config;

/// How long the last spans may take when the process stops.
const FLUSH: Duration = Duration::from_secs(5);

/// Settings of traces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TraceConfig {
    /// The collector that spans are sent to, over gRPC: `http://127.0.0.1:4317`. Absent: there are no
    /// traces, and they cost nothing.
    pub otlp_endpoint: Option<String>,
    /// The share of requests that are traced, from 0 to 1. A request that is part of a trace already
    /// is traced if that is.
    pub sample: f64,
    /// Spans that wait to be sent; more are dropped.
    pub queue: usize,
    /// How long the collector may take for those that are sent at once.
    #[serde(with = "config::duration")]
    pub timeout: Duration,
}

/// Spans cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The endpoint makes no sense.
    #[error(
        "telemetry.otlp_endpoint: `{endpoint}` is no collector; it reads `http://<host>:<port>`"
    )]
    Endpoint {
        /// What was asked for.
        endpoint: String,
        /// What is wrong with it.
        #[source]
        source: ExporterBuildError,
    },
}

/// The way to the collector, until it is closed.
#[derive(Debug)]
pub(super) struct Exporter {
    provider: SdkTracerProvider,
}

// === impl TraceConfig ===

impl Default for TraceConfig {
    fn default() -> Self {
        Self {
            otlp_endpoint: None,
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
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint)
            .with_timeout(config.timeout)
            .build()
            .map_err(|source| ExportError::Endpoint {
                endpoint: endpoint.clone(),
                source,
            })?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(config.queue.max(1))
            .with_max_export_batch_size(config.queue.clamp(1, 512))
            .with_scheduled_delay(Duration::from_secs(1))
            .build();
        let processor = BatchSpanProcessor::builder(Told::new(exporter))
            .with_batch_config(batches)
            .build();
        let resource = Resource::builder_empty()
            .with_attributes([
                KeyValue::new("service.namespace", "meridian"),
                KeyValue::new("service.name", service.to_owned()),
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            ])
            .build();
        let sampler = Sampler::TraceIdRatioBased(config.sample.clamp(0.0, 1.0));
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_sampler(Sampler::ParentBased(Box::new(sampler)))
            .with_resource(resource)
            .build();
        Ok(Some(Self { provider }))
    }

    pub(super) fn tracer(&self) -> SdkTracer {
        self.provider.tracer("meridian")
    }

    /// Sends what is queued, and no more. Waits.
    pub(super) fn close(&self) {
        if let Err(error) = self.provider.shutdown_with_timeout(FLUSH) {
            let error = meridian_error::chain(&error);
            tracing::warn!(error, "the last spans may not have reached the collector");
        }
    }
}

// === impl ExportError ===

impl Classify for ExportError {
    fn code(&self) -> Code {
        Code::InvalidArgument
    }
}
