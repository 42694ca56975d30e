//! A stream of an object's bytes that keeps its word about its length.
//!
//! Owns the invariant that a reader yields exactly the promised number of bytes or an error, whatever
//! the body below it does. Leaves buffering and read-ahead to the bodies.

use std::fmt;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};

use crate::ReadError;

/// The bytes of a finished object, or of a range of it, in order.
///
/// It ends after exactly [`len`](Self::len) bytes. Should the medium give fewer or more, the last
/// item is an error, and so the receiver's connection is visibly aborted instead of short.
pub struct BlobReader {
    size: u64,
    len: u64,
    left: u64,
    chunks: Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>,
    ended: bool,
}

impl BlobReader {
    /// A reader of `range` of an object of `size` bytes, which `chunks` yields.
    pub fn new<S>(size: u64, range: &Range<u64>, chunks: S) -> Self
    where
        S: Stream<Item = io::Result<Bytes>> + Send + 'static,
    {
        let len = range.end.saturating_sub(range.start);
        Self {
            size,
            len,
            left: len,
            chunks: Box::pin(chunks),
            ended: false,
        }
    }

    /// How many bytes this reader yields in all.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether it yields no byte.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The size in bytes of the whole object, whatever the range.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Reads all of it into memory. For small objects: the caller checks [`len`](Self::len) first.
    ///
    /// # Errors
    ///
    /// When the medium fails, or gives another number of bytes than promised.
    pub async fn into_bytes(mut self) -> io::Result<Bytes> {
        let Some(first) = self.next().await.transpose()? else {
            return Ok(Bytes::new());
        };
        let mut rest = BytesMut::new();
        while let Some(chunk) = self.next().await.transpose()? {
            if rest.is_empty() {
                rest.extend_from_slice(&first);
            }
            rest.extend_from_slice(&chunk);
        }
        Ok(if rest.is_empty() {
            first
        } else {
            rest.freeze()
        })
    }

    fn end(&mut self, failure: io::Error) -> Poll<Option<io::Result<Bytes>>> {
        self.ended = true;
        Poll::Ready(Some(Err(failure)))
    }
}

/// `range`, or all of an object of `size` bytes.
pub(crate) fn resolve(range: Option<Range<u64>>, size: u64) -> Result<Range<u64>, ReadError> {
    let range = range.unwrap_or(0..size);
    if range.start <= range.end && range.end <= size {
        Ok(range)
    } else {
        Err(ReadError::OutOfRange { range, size })
    }
}

impl Stream for BlobReader {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if self.ended {
                return Poll::Ready(None);
            }
            let chunk = match ready!(self.chunks.as_mut().poll_next(cx)) {
                Some(Ok(chunk)) => chunk,
                Some(Err(failure)) => return self.end(failure),
                None if self.left == 0 => {
                    self.ended = true;
                    return Poll::Ready(None);
                }
                None => {
                    let text = format!("an object ended {} bytes early", self.left);
                    return self.end(io::Error::new(ErrorKind::UnexpectedEof, text));
                }
            };
            let Some(left) = self.left.checked_sub(chunk.len() as u64) else {
                let text = "an object yielded more bytes than it has";
                return self.end(io::Error::new(ErrorKind::InvalidData, text));
            };
            self.left = left;
            if !chunk.is_empty() {
                return Poll::Ready(Some(Ok(chunk)));
            }
        }
    }
}

impl fmt::Debug for BlobReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobReader")
            .field("size", &self.size)
            .field("len", &self.len)
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    fn reader(len: u64, chunks: &[&'static str]) -> BlobReader {
        let chunks: Vec<_> = chunks.iter().map(|c| Ok(Bytes::from(*c))).collect();
        BlobReader::new(len, &(0..len), stream::iter(chunks))
    }

    #[tokio::test]
    async fn a_body_that_ends_early_is_an_error() {
        let mut reader = reader(5, &["abc"]);
        assert_eq!(reader.next().await.unwrap().unwrap(), "abc");
        let failure = reader.next().await.unwrap().unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::UnexpectedEof);
        assert!(reader.next().await.is_none());
    }

    #[tokio::test]
    async fn a_body_that_yields_too_much_is_an_error() {
        let failure = reader(2, &["abc"]).into_bytes().await.unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::InvalidData);
    }

    #[tokio::test]
    async fn chunks_are_joined() {
        let bytes = reader(6, &["a", "", "bc", "def"]).into_bytes().await;
        assert_eq!(bytes.unwrap(), "abcdef");
        assert!(reader(0, &[]).into_bytes().await.unwrap().is_empty());
    }

    #[test]
    fn a_range_lies_in_the_object() {
        assert_eq!(resolve(None, 7).unwrap(), 0..7);
        assert_eq!(resolve(Some(7..7), 7).unwrap(), 7..7);
        let backwards = Range { start: 3, end: 2 };
        for range in [0..8, 8..8, backwards] {
            assert!(resolve(Some(range), 7).is_err());
        }
    }
}
