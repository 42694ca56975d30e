//! Runs one connection to its end.
//!
//! Owns the meaning of a connection's deadlines and of the process's wish to stop. Keeps the
//! invariant that every connection ends: by itself, by a deadline, or in a drain.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

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
    Http(#[from] hyper::Error),
    #[error("the connection broke while it rested")]
    Io(#[from] std::io::Error),
    #[error("the client's time was up ({0:?})")]
    Expired(Expiry),
}

struct Driver<'a, C> {
    connection: Pin<&'a mut C>,
    pulse: &'a Pulse,
    patience: &'a Patience,
    alarm: Alarm,
}

/// Where a connection stands when its driver leaves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// It is closed.
    Closed,
    /// It is well, and there is nothing to do.
    Resting,
}

/// Drives `connection` until it ends, or may rest.
pub(super) async fn drive<C: Drain>(
    connection: Pin<&mut C>,
    pulse: &Pulse,
    patience: &Patience,
    stop: &CancellationToken,
) -> Result<Left, Ended> {
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
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Left, Ended>> {
        loop {
            if let Poll::Ready(ended) = self.connection.as_mut().poll(cx) {
                return Poll::Ready(ended.map(|()| Left::Closed).map_err(Ended::from));
            }
            match ready!(self.poll_expiry(cx)) {
                Expiry::Head => self.pulse.expire_head(),
                Expiry::Rest => return Poll::Ready(Ok(Left::Resting)),
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
