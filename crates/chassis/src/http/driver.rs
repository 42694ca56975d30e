//! Runs one connection to its end.
//!
//! Owns the meaning of a connection's deadlines and of the process's wish to stop. Keeps the
//! invariant that every connection ends: by itself, by a deadline, or in a drain.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::server::conn::{http1, http2};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::alarm::Alarm;
use super::pulse::{Expiry, Patience, Pulse};

/// A connection that can be asked to end when its requests are answered.
pub(super) trait Drain: Future<Output = Result<(), hyper::Error>> {
    fn drain(self: Pin<&mut Self>);
}

/// How a connection ended, unless by itself.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error("the connection broke")]
    Broken(#[from] hyper::Error),
    #[error("the client's time was up ({0:?})")]
    Expired(Expiry),
}

struct Driver<'a, C> {
    connection: Pin<&'a mut C>,
    pulse: &'a Pulse,
    patience: &'a Patience,
    alarm: Alarm,
}

/// Drives `connection` until it ends.
pub(super) async fn drive<C: Drain>(
    connection: Pin<&mut C>,
    pulse: &Pulse,
    patience: &Patience,
    stop: &CancellationToken,
) -> Result<(), Ended> {
    let mut driver = Driver {
        connection,
        pulse,
        patience,
        alarm: Alarm::default(),
    };
    tokio::select! {
        ended = std::future::poll_fn(|cx| driver.poll(cx)) => return ended,
        () = stop.cancelled() => {}
    }
    driver.drain();
    std::future::poll_fn(|cx| driver.poll(cx)).await
}

// === impl Driver ===

impl<C: Drain> Driver<'_, C> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        loop {
            if let Poll::Ready(ended) = self.connection.as_mut().poll(cx) {
                return Poll::Ready(ended.map_err(Ended::from));
            }
            match ready!(self.poll_expiry(cx)) {
                Expiry::Head => self.pulse.expire_head(),
                Expiry::Idle => self.drain(),
                expiry @ (Expiry::Write | Expiry::Leave) => {
                    return Poll::Ready(Err(Ended::Expired(expiry)));
                }
            }
        }
    }

    fn poll_expiry(&mut self, cx: &mut Context<'_>) -> Poll<Expiry> {
        let Some((deadline, expiry)) = self.pulse.deadline(self.patience) else {
            return Poll::Pending;
        };
        self.alarm.poll(cx, deadline).map(|()| expiry)
    }

    fn drain(&mut self) {
        self.pulse.leave(Instant::now());
        self.connection.as_mut().drain();
    }
}

impl<I, S, B> Drain for http1::Connection<I, S>
where
    Self: Future<Output = Result<(), hyper::Error>>,
    S: hyper::service::HttpService<hyper::body::Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: http_body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn drain(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, S, B, E> Drain for http2::Connection<I, S, E>
where
    Self: Future<Output = Result<(), hyper::Error>>,
    S: hyper::service::HttpService<hyper::body::Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: http_body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    E: hyper::rt::bounds::Http2ServerConnExec<S::Future, B>,
{
    fn drain(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}
