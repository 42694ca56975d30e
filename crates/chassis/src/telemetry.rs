//! What a process says about itself while it runs.
//!
//! Owns where logs go (standard error), in which form, and which of them; and the traces that
//! requests leave, which go to a collector if there is one. Keeps the invariant that standard output
//! stays free for what a command prints. Leaves to every crate what it logs.

mod collector;
mod export;
mod measure;
mod told;
pub mod trace;

use std::io::IsTerminal;

use meridian_error::{Classify, Code};
use opentelemetry_sdk::trace::SdkTracer;
use serde::{Deserialize, Serialize};
use tracing_subscriber::filter::{Directive, LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::Supervisor;
use export::Exporter;

pub use collector::ExportError;
pub use export::TraceConfig;

/// The target of access logs: one event for each request. Off unless
/// [`TelemetryConfig::access_log`] says otherwise.
pub const ACCESS_TARGET: &str = "meridian::access";

/// Settings of logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// How a log line is written.
    pub format: Format,
    /// What is logged: a level (`info`), or levels by target (`info,meridian_frontend=debug`).
    pub level: String,
    /// Whether each request is logged.
    pub access_log: bool,
}

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Human on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// For people.
    Human,
    /// One JSON object for each event.
    Json,
}

/// Telemetry cannot be installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The level filter makes no sense.
    #[error("`{level}` is not a level such as `info`, nor a list such as `info,hyper=debug`")]
    Level {
        /// What was asked for.
        level: String,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// Something else in this process installed its own first.
    #[error("cannot install the subscriber of this process")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
    /// Traces cannot be exported.
    #[error(transparent)]
    Export(#[from] ExportError),
}

/// What was installed, for as long as the process runs.
#[derive(Debug)]
#[must_use = "the last spans are lost unless it is closed"]
pub struct Telemetry {
    exporter: Option<Exporter>,
}

// === impl TelemetryConfig ===

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            format: Format::Auto,
            level: "info".to_owned(),
            access_log: false,
        }
    }
}

impl TelemetryConfig {
    /// Which events are logged. Spans of traces stand in log lines if there are any, and are never
    /// made for the log alone.
    fn filter(&self, traces: bool) -> Result<EnvFilter, InstallError> {
        let filter = EnvFilter::builder()
            .with_default_directive(LevelFilter::INFO.into())
            .parse(&self.level)
            .map_err(|source| InstallError::Level {
                level: self.level.clone(),
                source,
            })?;
        Ok(filter
            .add_directive(directive(ACCESS_TARGET, self.access_log))
            .add_directive(directive(trace::TARGET, traces)))
    }
}

// === impl InstallError ===

impl Classify for InstallError {
    fn code(&self) -> Code {
        match self {
            Self::Level { .. } => Code::InvalidArgument,
            Self::Twice(_) => Code::AlreadyExists,
            Self::Export(error) => error.code(),
        }
    }
}

/// Installs logging for this process, from here to its end, and traces of what `service` does. To be
/// called on a runtime.
///
/// # Errors
///
/// When a setting makes no sense, or a subscriber is installed already.
pub fn install(
    logs: &TelemetryConfig,
    traces: &TraceConfig,
    service: &str,
) -> Result<Telemetry, InstallError> {
    let terminal = std::io::stderr().is_terminal();
    let exporter = Exporter::open(traces, service)?;
    let filter = logs.filter(exporter.is_some())?;
    tracing_subscriber::registry()
        .with(lines(logs.format, terminal).with_filter(filter))
        .with(exporter.as_ref().map(|exporter| spans(exporter.tracer())))
        .try_init()
        .map_err(InstallError::Twice)?;
    if exporter.is_some() {
        trace::collect();
    }
    Ok(Telemetry { exporter })
}

/// The layer that hands the spans of traces to `tracer`, and nothing else.
fn spans<S>(tracer: SdkTracer) -> impl Layer<S>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_filter(filter_fn(|metadata| metadata.target() == trace::TARGET))
}

// === impl Telemetry ===

impl Telemetry {
    /// Sends the metrics of a process to the collector, if the settings say so, until it stops.
    pub fn measure(&mut self, supervisor: &Supervisor) {
        let measure = self.exporter.as_mut().and_then(Exporter::measure);
        if let Some(measure) = measure {
            let (metrics, stop) = (supervisor.metrics().clone(), supervisor.background_token());
            supervisor.spawn_background("telemetry.metrics", async move {
                measure.run(metrics, stop).await;
                Ok(())
            });
        }
    }

    /// Sends the last spans; a few seconds at most.
    pub async fn close(self) {
        if let Some(exporter) = self.exporter {
            let closing = tokio::task::spawn_blocking(move || exporter.close());
            let _closed = closing.await;
        }
    }
}

fn lines(format: Format, terminal: bool) -> Box<dyn Layer<Registry> + Send + Sync> {
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match (format, terminal) {
        (Format::Human, _) | (Format::Auto, true) => lines.with_ansi(terminal).boxed(),
        (Format::Json, _) | (Format::Auto, false) => lines
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .boxed(),
    }
}

fn directive(target: &str, on: bool) -> Directive {
    let level = if on { "info" } else { "off" };
    format!("{target}={level}")
        .parse()
        .expect("a path and a level make a directive")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_logs_are_off_until_asked_for() {
        let filter = |access_log| {
            let config = TelemetryConfig {
                access_log,
                ..TelemetryConfig::default()
            };
            config.filter(false).unwrap().to_string()
        };
        assert!(filter(false).contains("meridian::access=off"));
        assert!(filter(true).contains("meridian::access=info"));
    }

    #[test]
    fn a_level_that_makes_no_sense_is_refused() {
        let config = TelemetryConfig {
            level: "meridian=loudly".to_owned(),
            ..TelemetryConfig::default()
        };
        assert!(matches!(
            config.filter(false),
            Err(InstallError::Level { .. })
        ));
    }

    #[test]
    fn an_event_is_written_in_both_forms() {
        for format in [Format::Human, Format::Json] {
            let subscriber = tracing_subscriber::registry().with(lines(format, false));
            tracing::subscriber::with_default(subscriber, || tracing::info!(n = 1, "hello"));
        }
    }
}
