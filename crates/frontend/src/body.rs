//! The body of a request: lent to whoever reads it, and read away when it was not wanted.
//!
//! Keeps two invariants. A client that sends `Expect: 100-continue` is not told to go on by an
//! answer that refuses it, because only reading tells it. And a client that is refused in the
//! middle of sending gets to see why: the rest is read away, within bounds, before the connection
//! would be reset under it. Leaves to the listener how slowly a body may come, and
//! the answer to one that comes too slowly.

use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::{future, io};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use http::header::EXPECT;
use http::{HeaderMap, Method};
use meridian_clients::ByteStream;
use tokio::time::timeout;

/// So many bytes of an unwanted body are read away, for so long.
const DISCARD_BYTES: u64 = 16 * 1024 * 1024;
const DISCARD_TIME: Duration = Duration::from_secs(5);
/// A client from which nothing comes for so long is not in the middle of sending.
const STALL: Duration = Duration::from_millis(200);

/// The body of a request.
#[derive(Debug)]
pub(crate) struct Inbound {
    slot: Option<Arc<Mutex<Slot>>>,
}

/// Why a body is not collected.
#[derive(Debug)]
pub(crate) enum CollectError {
    TooLong,
    BrokeOff(io::Error),
}

#[derive(Debug)]
struct Slot {
    body: Option<Body>,
    /// The client holds the body back until it is told to go on.
    held_back: bool,
}

/// The body while somebody reads it. Dropping it gives back what was not read.
struct Lent {
    body: Option<Body>,
    slot: Arc<Mutex<Slot>>,
    held_back: bool,
}

// === impl Inbound ===

impl Inbound {
    /// The body of a request with this head. Reading has no meaning for other methods, whose
    /// bodies are dropped.
    pub(crate) fn new<B>(method: &Method, headers: &HeaderMap, body: B) -> Self
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let reads = matches!(*method, Method::POST | Method::PUT | Method::PATCH);
        let slot = || Slot {
            body: Some(Body::new(body)),
            held_back: headers.contains_key(EXPECT),
        };
        Self {
            slot: reads.then(|| Arc::new(Mutex::new(slot()))),
        }
    }

    /// Lends the body. While it is lent, and after it was read, others get an empty one.
    pub(crate) fn lend(&self) -> ByteStream {
        let Some(slot) = &self.slot else {
            return Box::pin(futures::stream::empty());
        };
        let mut held = slot.lock().unwrap_or_else(PoisonError::into_inner);
        Box::pin(Lent {
            body: held.body.take(),
            held_back: held.held_back,
            slot: Arc::clone(slot),
        })
    }

    /// Collects the body, if it is no longer than `most` bytes, and `admit` lets in each piece of so many.
    pub(crate) async fn collect<E: From<CollectError>>(
        &self,
        most: usize,
        mut admit: impl FnMut(usize) -> Result<(), E>,
    ) -> Result<Bytes, E> {
        let mut pieces = self.lend();
        // Copied, because a piece may be a small part of a large buffer of its connection.
        let mut received = BytesMut::new();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(CollectError::BrokeOff)?;
            if received.len() + piece.len() > most {
                return Err(CollectError::TooLong.into());
            }
            admit(piece.len())?;
            received.extend_from_slice(&piece);
        }
        Ok(received.freeze())
    }

    /// Reads away what is left, up to a bound, so that the client can read the answer. Beyond the
    /// bound, or when it holds the body back, the connection is given up instead.
    pub(crate) async fn discard(self) {
        let Some(mut body) = self.slot.as_ref().and_then(|slot| {
            let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            slot.body.take().filter(|_| !slot.held_back)
        }) else {
            return;
        };
        if http_body::Body::size_hint(&body).lower() > DISCARD_BYTES {
            return;
        }
        let read_away = async {
            let mut left = DISCARD_BYTES;
            while let Ok(Some(Ok(frame))) = timeout(STALL, next_frame(&mut body)).await {
                let length = frame.data_ref().map_or(0, Bytes::len);
                let Some(rest) = left.checked_sub(length as u64) else {
                    return;
                };
                left = rest;
            }
        };
        // Who is slow or sends too much loses the connection.
        let _elapsed = timeout(DISCARD_TIME, read_away).await;
    }
}

async fn next_frame(body: &mut Body) -> Option<Result<http_body::Frame<Bytes>, axum::Error>> {
    future::poll_fn(|cx| http_body::Body::poll_frame(Pin::new(&mut *body), cx)).await
}

// === impl Lent ===

impl Stream for Lent {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.held_back = false;
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        loop {
            let frame = ready!(http_body::Body::poll_frame(Pin::new(&mut *body), cx));
            let item = frame.map(|frame| frame.map(http_body::Frame::into_data));
            return Poll::Ready(match item {
                Some(Ok(Ok(data))) => Some(Ok(data)),
                Some(Ok(Err(_trailers))) => continue,
                Some(Err(error)) => Some(Err(io::Error::other(error))),
                None => None,
            });
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        slot.held_back = self.held_back;
        slot.body = self.body.take();
    }
}

#[cfg(test)]
mod tests;
