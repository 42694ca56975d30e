//! Bodies of a known length whose bytes come from elsewhere.
//!
//! Keeps the invariant that no client takes a part for the whole: a body that ends early, or has too
//! many bytes, breaks its connection. `Content-Length` is left to the connection, which knows the
//! length from here.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::ByteStream;

/// A body of a known length. By default one of no bytes.
pub struct SizedBody {
    bytes: ByteStream,
    left: u64,
    /// Whether the connection has had a piece, or asked for one.
    begun: bool,
}

// === impl SizedBody ===

impl SizedBody {
    /// The next `length` of `bytes`, of which there must be exactly so many.
    #[must_use]
    pub fn new(length: u64, bytes: ByteStream) -> Self {
        Self {
            bytes,
            left: length,
            begun: false,
        }
    }
}

impl From<Bytes> for SizedBody {
    fn from(bytes: Bytes) -> Self {
        let length = bytes.len() as u64;
        Self::new(length, Box::pin(futures::stream::iter([Ok(bytes)])))
    }
}

impl Default for SizedBody {
    fn default() -> Self {
        Self::new(0, Box::pin(futures::stream::empty()))
    }
}

impl std::fmt::Debug for SizedBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SizedBody")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

impl Body for SizedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        if std::mem::replace(&mut self.begun, true) {
            fail::fail_point!("fe.get.mid_body");
        } else {
            fail::fail_point!("fe.get.after_headers");
        }
        self.bytes.as_mut().poll_next(cx).map(|item| {
            let item = item.unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()));
            Some(item.and_then(|piece| {
                let length = piece.len() as u64;
                let beyond = || io::Error::new(io::ErrorKind::InvalidData, "too many bytes");
                self.left = self.left.checked_sub(length).ok_or_else(beyond)?;
                Ok(Frame::data(piece))
            }))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    /// The bytes that a body gives, and why it broke.
    async fn drain(length: u64, pieces: &[&'static str]) -> (usize, Option<io::ErrorKind>) {
        let pieces: Vec<_> = pieces
            .iter()
            .map(|it| Ok(Bytes::from_static(it.as_bytes())))
            .collect();
        let mut body = SizedBody::new(length, Box::pin(stream::iter(pieces)));
        let mut given = 0;
        loop {
            let frame = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
            match frame {
                Some(Ok(frame)) => given += frame.data_ref().map_or(0, Bytes::len),
                Some(Err(error)) => return (given, Some(error.kind())),
                None => return (given, None),
            }
        }
    }

    #[tokio::test]
    async fn a_body_has_exactly_its_length_or_breaks() {
        assert_eq!(drain(5, &["ab", "cde"]).await, (5, None));
        assert_eq!(drain(0, &["ab"]).await, (0, None));
        let early = Some(io::ErrorKind::UnexpectedEof);
        assert_eq!(drain(6, &["ab", "cde"]).await, (5, early));
        let beyond = Some(io::ErrorKind::InvalidData);
        assert_eq!(drain(4, &["ab", "cde"]).await, (2, beyond));
    }
}
