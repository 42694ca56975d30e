//! Bodies on their way through a connection.
//!
//! Owns the body types that services see and give: a request body that must arrive at a minimum
//! rate while somebody waits for it, and a response body that ends its exchange when it is gone.
//! Leaves the meaning of the bytes to the services.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use meridian_error::{Classify, Code};
use tokio::time::Instant;

use super::BodyRate;
use super::alarm::Alarm;
use super::exchange::Exchange;
use super::guard::Violation;
use super::pulse::Pulse;
use super::refusal::Refusal;

/// The body of a request. Its trailers are dropped: nothing that arrives after a body may change
/// what its head said.
///
/// After an error it ends, and whatever the service answers is replaced by an answer that says
/// what was wrong with the body.
#[derive(Debug)]
pub struct RequestBody {
    inner: Incoming,
    rate: Option<RateLimit>,
    exchange: Arc<Exchange>,
    failed: bool,
}

/// Why a request body ends early.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It came slower than the listener allows.
    #[error("the body did not arrive at {} bytes in {:?}", .0.bytes.as_u64(), .0.per)]
    Slow(BodyRate),
    /// Its framing is malformed.
    #[error("the body is malformed")]
    Malformed(#[source] Violation),
    /// The connection, or the stream, ended first.
    #[error("the client went away before the end of the body")]
    Aborted(#[source] hyper::Error),
}

/// The body of a response: a service's, or a refusal's.
#[derive(Debug)]
pub(super) struct ResponseBody<B> {
    content: Content<B>,
    exchange: Arc<Exchange>,
    /// Of HTTP/2, where the library holds pieces back for as long as the client has no window.
    multiplexed: bool,
}

/// A piece of a response, of which the connection knows until it is written.
struct Piece {
    bytes: Bytes,
    pulse: Arc<Pulse>,
}

#[derive(Debug)]
enum Content<B> {
    Service(B),
    Refusal(Full<Bytes>),
}

/// Counts what arrived in the time that was waited.
#[derive(Debug)]
struct RateLimit {
    rate: BodyRate,
    arrived: u64,
    waited: Duration,
    waiting_since: Option<Instant>,
    alarm: Alarm,
}

// === impl RequestBody ===

impl RequestBody {
    pub(super) fn new(inner: Incoming, rate: BodyRate, exchange: Arc<Exchange>) -> Self {
        Self {
            inner,
            rate: (rate.bytes.as_u64() > 0).then(|| RateLimit::new(rate)),
            exchange,
            failed: false,
        }
    }

    fn fail(&mut self, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.failed = true;
        match &error {
            BodyError::Slow(_) => self.exchange.fault(Refusal::SlowBody),
            BodyError::Malformed(why) => self.exchange.fault(Refusal::Wire(*why)),
            BodyError::Aborted(_) => {}
        }
        Poll::Ready(Some(Err(error)))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.failed {
            return Poll::Ready(None);
        }
        loop {
            match Pin::new(&mut self.inner).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    if let Some(data) = frame.data_ref() {
                        if let Some(rate) = &mut self.rate {
                            rate.arrived(data.len() as u64);
                        }
                        return Poll::Ready(Some(Ok(frame)));
                    }
                }
                Poll::Ready(Some(Err(error))) => return self.fail(BodyError::from(error)),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => {
                    if let Some(rate) = &mut self.rate {
                        let slow = ready!(rate.poll_wait(cx));
                        return self.fail(BodyError::Slow(slow));
                    }
                    return Poll::Pending;
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.failed || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

// === impl BodyError ===

impl From<hyper::Error> for BodyError {
    fn from(error: hyper::Error) -> Self {
        match violation(&error) {
            Some(why) => Self::Malformed(why),
            None => Self::Aborted(error),
        }
    }
}

impl Classify for BodyError {
    fn code(&self) -> Code {
        match self {
            Self::Slow(_) => Code::DeadlineExceeded,
            Self::Malformed(_) | Self::Aborted(_) => Code::InvalidArgument,
        }
    }
}

/// The violation for which the guarded stream failed a read, if it did.
fn violation(error: &hyper::Error) -> Option<Violation> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return error.get_ref()?.downcast_ref().copied();
        }
        cause = error.source();
    }
    None
}

// === impl RateLimit ===

impl RateLimit {
    fn new(rate: BodyRate) -> Self {
        Self {
            rate,
            arrived: 0,
            waited: Duration::ZERO,
            waiting_since: None,
            alarm: Alarm::default(),
        }
    }

    fn arrived(&mut self, bytes: u64) {
        if let Some(since) = self.waiting_since.take() {
            self.waited += since.elapsed();
        }
        self.arrived += bytes;
        if self.arrived >= self.rate.bytes.as_u64() {
            (self.arrived, self.waited) = (0, Duration::ZERO);
        }
    }

    /// Resolves when it was waited too long for too little.
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<BodyRate> {
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        let limit = since + self.rate.per.saturating_sub(self.waited);
        self.alarm.poll(cx, limit).map(|()| self.rate)
    }
}

// === impl ResponseBody ===

impl<B> ResponseBody<B> {
    pub(super) const fn service(body: B, exchange: Arc<Exchange>, multiplexed: bool) -> Self {
        Self {
            content: Content::Service(body),
            exchange,
            multiplexed,
        }
    }

    pub(super) const fn refusal(
        body: Full<Bytes>,
        exchange: Arc<Exchange>,
        multiplexed: bool,
    ) -> Self {
        Self {
            content: Content::Refusal(body),
            exchange,
            multiplexed,
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let polled = match &mut self.content {
            Content::Service(body) => Pin::new(body).poll_frame(cx),
            Content::Refusal(body) => Pin::new(body)
                .poll_frame(cx)
                .map_err(|never| match never {}),
        };
        self.exchange.gave(polled.is_ready(), Instant::now);
        if !self.multiplexed {
            return polled;
        }
        let pulse = self.exchange.pulse();
        polled.map_ok(|frame| frame.map_data(|bytes| Piece::of(bytes, pulse)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Service(body) => body.is_end_stream(),
            Content::Refusal(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Service(body) => body.size_hint(),
            Content::Refusal(body) => body.size_hint(),
        }
    }
}

// === impl Piece ===

impl Piece {
    fn of(bytes: Bytes, pulse: &Arc<Pulse>) -> Bytes {
        pulse.keep();
        let pulse = Arc::clone(pulse);
        Bytes::from_owner(Self { bytes, pulse })
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.pulse.taken(Instant::now());
    }
}
