//! The tasks of HTTP/2 streams.
//!
//! Owns where the HTTP library's streams run, and gives up a stream whose client opens no window
//! for its response: the connection's other streams may be well.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::Executor;

use super::alarm::Alarm;
use super::exchange::Exchange;
use super::reception::Latest;
use crate::Spawner;

/// Runs the streams of one connection. Their number is bounded by the connection's limit.
#[derive(Debug, Clone)]
pub(super) struct Streams {
    pub(super) spawner: Spawner,
    pub(super) latest: Latest,
    pub(super) stall: Duration,
}

struct Stream<F> {
    work: Pin<Box<F>>,
    exchange: Option<Arc<Exchange>>,
    stall: Duration,
    alarm: Alarm,
}

// === impl Streams ===

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, work: F) {
        let stream = Stream {
            work: Box::pin(work),
            exchange: self.latest.take(),
            stall: self.stall,
            alarm: Alarm::default(),
        };
        self.spawner.spawn_child("http stream", stream);
    }
}

// === impl Stream ===

impl<F: Future<Output = ()>> Future for Stream<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.work.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let this = self.get_mut();
        let since = this.exchange.as_ref().and_then(|it| it.untaken_since());
        let Some(since) = since else {
            return Poll::Pending;
        };
        ready!(this.alarm.poll(cx, since + this.stall));
        tracing::debug!("stream given up: its client takes nothing");
        Poll::Ready(())
    }
}
