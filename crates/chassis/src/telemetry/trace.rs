//! Which request a piece of work belongs to, across processes.
//!
//! Owns the context of a trace in its W3C form: how it is taken from a request, added to a call, and
//! put into an event. Keeps the invariant that while nobody collects traces none of this does
//! anything: no span is made, nothing is allocated, no header is written. Leaves to
//! [`export`](super::export) where spans go.
//!
//! ```text
//! client ── frontend: begin ── call: inject ── service: join ── event: current_traceparent
//! ```

use std::sync::atomic::{AtomicBool, Ordering};

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{SpanContext, TraceContextExt};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The target of the spans that make up a trace, and of nothing else.
pub(super) const TARGET: &str = "meridian::trace";

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Whether spans are made. Written once, when telemetry is installed.
static COLLECTING: AtomicBool = AtomicBool::new(false);

pub(super) fn collect() {
    COLLECTING.store(true, Ordering::Relaxed);
}

fn is_collecting() -> bool {
    COLLECTING.load(Ordering::Relaxed)
}

/// The span of a request from outside. It begins a trace; with `trusted`, it goes on with the one
/// that the request names. Log lines that are written within carry its ids.
#[must_use]
pub fn begin(name: &'static str, headers: &HeaderMap, trusted: bool) -> Span {
    if !is_collecting() {
        return Span::none();
    }
    let span = tracing::info_span!(
        target: TARGET, "request",
        otel.name = name, otel.kind = "server", request.id = Empty, trace.id = Empty,
        http.method = Empty, http.route = Empty, http.status = Empty
    );
    enter(&span, trusted.then_some(headers));
    span
}

/// The span of a call from another service, in the trace of the request that it is made for.
pub(crate) fn join(path: &str, headers: &HeaderMap) -> Span {
    if !is_collecting() {
        return Span::none();
    }
    let span = tracing::info_span!(
        target: TARGET, "call",
        otel.name = path, otel.kind = "server", trace.id = Empty
    );
    enter(&span, Some(headers));
    span
}

/// Tells the peer of a call which trace it belongs to.
pub fn inject(headers: &mut HeaderMap) {
    let value = current_traceparent().and_then(|text| HeaderValue::try_from(text).ok());
    if let Some(value) = value {
        headers.insert(TRACEPARENT, value);
    }
}

/// The trace that the current work belongs to, as the `traceparent` of an event or a call; `None`
/// while nobody collects traces.
#[must_use]
pub fn current_traceparent() -> Option<String> {
    if !is_collecting() {
        return None;
    }
    let context = Span::current().context();
    let span = context.span();
    traceparent(span.span_context())
}

/// A context in its W3C form (Trace Context, section 3.2).
fn traceparent(context: &SpanContext) -> Option<String> {
    context.is_valid().then(|| {
        format!(
            "00-{}-{}-{:02x}",
            context.trace_id(),
            context.span_id(),
            context.trace_flags().to_u8() & 1
        )
    })
}

fn enter(span: &Span, headers: Option<&HeaderMap>) {
    if let Some(headers) = headers {
        let parent = TraceContextPropagator::new().extract(&Incoming(headers));
        if parent.has_active_span() {
            // Nothing has entered it yet, which is all that could be wrong.
            let _set = span.set_parent(parent);
        }
    }
    let context: Context = span.context();
    span.record(
        "trace.id",
        tracing::field::display(context.span().span_context().trace_id()),
    );
}

/// The headers of a request, of which a trace has two.
struct Incoming<'a>(&'a HeaderMap);

impl Extractor for Incoming<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        // Two of a kind mean nothing.
        let mut values = self.0.get_all(key).iter();
        let value = values.next().filter(|_| values.next().is_none())?;
        value.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}
