//! The data endpoint as an HTTP service.
//!
//! Owns the order of a request: method, link, conditions, range, blob. A request's body is never
//! read, and its query never written down.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::header::HeaderValue;
use http::request::Parts;
use http::{Method, Request, Response};
use meridian_chassis::metrics::Metrics;
use meridian_chassis::telemetry::{ACCESS_TARGET, trace};
use meridian_clients::content::{self, BlobContent, SizedBody, conditional};
use meridian_clients::link::Link;
use meridian_clients::{Delivery, Handover, ReadBlobError, ReadError, RequestId};
use tower::Service;
use tracing::{Instrument, Span};

use super::failure::Failure;
use super::metrics::DataMetrics;
use super::{DataPorts, stamp};

/// The data endpoint, not bound to any address. Cheap to clone.
#[derive(Clone)]
pub struct DataEndpoint {
    shared: Arc<Shared>,
}

struct Shared {
    ports: DataPorts,
    deadline: Duration,
    metrics: DataMetrics,
}

type Answer = Response<SizedBody>;

// === impl DataEndpoint ===

impl DataEndpoint {
    /// An endpoint that waits so long for a blob to be found, and counts in `metrics`.
    #[must_use]
    pub fn new(ports: DataPorts, deadline: Duration, metrics: &Metrics) -> Self {
        let shared = Shared {
            ports,
            deadline,
            metrics: DataMetrics::new(metrics),
        };
        Self {
            shared: Arc::new(shared),
        }
    }
}

impl<B: Send + 'static> Service<Request<B>> for DataEndpoint {
    type Response = Answer;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        let span = trace::begin("blob.data", request.headers(), false);
        let (head, _body) = request.into_parts();
        let answered = async move { Ok(shared.answer(&head).await) };
        Box::pin(answered.instrument(span))
    }
}

// === impl Shared ===

impl Shared {
    async fn answer(&self, head: &Parts) -> Answer {
        let (id, began, span) = (RequestId(rand::random()), Instant::now(), Span::current());
        span.record("request.id", tracing::field::display(id));
        span.record("http.method", head.method.as_str());
        let mut answer = match self.serve(head).await {
            Ok(answer) => answer,
            Err(failure) => failure.into_answer(id),
        };
        stamp(answer.headers_mut(), id);
        let status = answer.status();
        self.metrics.answered(&head.method, status);
        span.record("http.route", "data");
        span.record("http.status", status.as_u16());
        // Without the query: it is what makes the path a key.
        tracing::info!(
            target: ACCESS_TARGET,
            {
                request.id = %id,
                http.method = %head.method,
                http.target = ?head.uri.path(),
                http.status = status.as_u16(),
                elapsed_us = began.elapsed().as_micros(),
            },
            "request answered"
        );
        answer
    }

    async fn serve(&self, head: &Parts) -> Result<Answer, Failure> {
        if !matches!(head.method, Method::GET | Method::HEAD) {
            return Err(Failure::Method);
        }
        let DataPorts {
            blobs,
            links,
            clock,
        } = &self.ports;
        let (path, query) = (head.uri.path(), head.uri.query());
        let link = links.open(path, query, clock.now_millis())?;
        let (repository, digest) = (&link.repository, link.digest);
        let current = conditional::is_current(&head.headers, &digest);
        let answer = BlobContent {
            digest: &digest,
            keep: keep(&link),
        };
        if head.method == Method::HEAD || current != Ok(false) {
            let stat = self.within(blobs.stat(repository, digest, false)).await?;
            let stat = stat.pulled()?;
            return Ok(match current? {
                true => answer.not_modified(),
                false => answer.head(stat.size),
            });
        }
        let range = content::range(&head.headers, &digest);
        let deliver = blobs.deliver(repository, digest, range, Handover::NONE);
        let Delivery::Here(read) = self.within(deliver).await?.delivery else {
            return Err(astray().into());
        };
        Ok(answer.of(self.metrics.counting(read))?)
    }

    /// Waits for a call, not for ever.
    async fn within<T>(
        &self,
        call: impl Future<Output = Result<T, ReadBlobError>>,
    ) -> Result<T, ReadBlobError> {
        let answered = tokio::time::timeout(self.deadline, call).await;
        answered.unwrap_or_else(|_elapsed| Err(ReadError::DeadlineExceeded.into()))
    }
}

/// The blob service sends a client on that nobody offered to send anywhere.
fn astray() -> ReadBlobError {
    let reason = "the blob service hands over what was to be read here".to_owned();
    ReadError::Internal { reason }.into()
}

/// The content never changes, but who may have it is said by the link: nobody keeps it for longer
/// under the link's name, and nobody for others.
fn keep(link: &Link) -> HeaderValue {
    let text = format!("private, max-age={}", link.left.as_secs());
    HeaderValue::try_from(text).expect("numbers are visible ASCII")
}
