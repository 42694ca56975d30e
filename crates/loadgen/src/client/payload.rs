//! The bodies of requests.
//!
//! One closed enum, so that every connection has the same type and no body is boxed on the hot
//! path. A body whose length is announced goes out with `Content-Length`, any other one chunked.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Interval;

use crate::content::Remaining;

/// What a request carries.
pub(crate) enum Payload {
    Empty,
    /// Bytes in memory, with their length announced.
    Whole(Bytes),
    /// A part of a layer with its length announced.
    Sized(Remaining),
    /// A part of a layer of unannounced length, as a client sends that compresses while it pushes.
    Streamed(Remaining),
    /// A slow client.
    Paced(Paced),
}

/// The same chunk at a fixed pace, without an end.
pub(crate) struct Paced {
    chunk: Bytes,
    pace: Interval,
}

// === impl Paced ===

impl Paced {
    pub(crate) fn new(chunk: Bytes, pace: Interval) -> Self {
        Self { chunk, pace }
    }
}

// === impl Payload ===

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = match self.get_mut() {
            Self::Empty => None,
            Self::Whole(bytes) => Some(std::mem::take(bytes)).filter(|it| !it.is_empty()),
            Self::Sized(parts) | Self::Streamed(parts) => parts.next(),
            Self::Paced(paced) => match paced.pace.poll_tick(cx) {
                Poll::Ready(_) => Some(paced.chunk.clone()),
                Poll::Pending => return Poll::Pending,
            },
        };
        Poll::Ready(data.map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Sized(parts) | Self::Streamed(parts) => parts.len() == 0,
            Self::Paced(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Sized(parts) => SizeHint::with_exact(parts.len()),
            Self::Streamed(_) | Self::Paced(_) => SizeHint::default(),
        }
    }
}
