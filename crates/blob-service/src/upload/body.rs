//! A request body, held against what was said about it.
//!
//! Keeps the invariant that no byte too many is let through, and that a body which ends well has
//! exactly the announced length. What becomes of the bytes before a fault follows from the fault:
//!
//! | fault | `Content-Range` given | otherwise |
//! |---|---|---|
//! | the body breaks off, or its sender is gone | rolled back | kept |
//! | it is shorter or longer than announced | rolled back | rolled back |
//! | the blob would exceed the limit | rolled back | rolled back |

use std::io::{self, ErrorKind};
use std::pin::Pin;

use bytes::Bytes;
use futures::StreamExt;
use meridian_clients::{ByteStream, Transfer, UploadError};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// What is left of a body.
pub(crate) struct Body {
    stream: ByteStream,
    announced: Option<u64>,
    /// Whether all of it counts, or nothing.
    whole: bool,
    /// How many bytes may come.
    room: u64,
    limit: u64,
    received: u64,
    gone: Pin<Box<WaitForCancellationFutureOwned>>,
}

/// Why a body is no good.
#[derive(Debug)]
pub(crate) struct Fault {
    /// What to answer.
    pub(crate) error: UploadError,
    /// Whether what came before counts.
    pub(crate) keeps: bool,
}

// === impl Body ===

impl Body {
    /// The body of a chunk that starts at `offset`. `gone` tells that its sender is.
    ///
    /// # Errors
    ///
    /// When the headers alone show that it cannot do. A wrong start is the caller's to check.
    pub(crate) fn new(
        chunk: Transfer,
        offset: u64,
        limit: u64,
        gone: CancellationToken,
    ) -> Result<Self, UploadError> {
        let ranged = chunk.range.map(|range| range.length());
        if let (Some(expected), Some(actual)) = (ranged, chunk.length)
            && expected != actual
        {
            return Err(UploadError::LengthDiffers { expected, actual });
        }
        let announced = ranged.or(chunk.length);
        let room = limit.saturating_sub(offset);
        if announced.is_some_and(|announced| announced > room) {
            return Err(UploadError::TooLarge { limit });
        }
        Ok(Self {
            stream: chunk.body,
            announced,
            whole: ranged.is_some(),
            room,
            limit,
            received: 0,
            gone: Box::pin(gone.cancelled_owned()),
        })
    }

    /// The next bytes, not empty; nothing after the last ones.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        loop {
            let item = tokio::select! {
                biased;
                item = self.stream.next() => item,
                () = &mut self.gone => Some(Err(vanished())),
            };
            match item {
                Some(Ok(bytes)) if bytes.is_empty() => {}
                Some(Ok(bytes)) => return self.admit(bytes).map(Some),
                Some(Err(error)) => {
                    return Err(Fault {
                        error: UploadError::Body(error),
                        keeps: !self.whole,
                    });
                }
                None => return self.end().map(|()| None),
            }
        }
    }

    fn admit(&mut self, bytes: Bytes) -> Result<Bytes, Fault> {
        self.received = self.received.saturating_add(bytes.len() as u64);
        if self
            .announced
            .is_some_and(|announced| self.received > announced)
        {
            return Err(self.length_differs());
        }
        if self.received > self.room {
            let error = UploadError::TooLarge { limit: self.limit };
            return Err(Fault {
                error,
                keeps: false,
            });
        }
        Ok(bytes)
    }

    fn end(&self) -> Result<(), Fault> {
        match self.announced {
            Some(announced) if announced != self.received => Err(self.length_differs()),
            _ => Ok(()),
        }
    }

    fn length_differs(&self) -> Fault {
        Fault {
            error: UploadError::LengthDiffers {
                expected: self.announced.unwrap_or_default(),
                actual: self.received,
            },
            keeps: false,
        }
    }
}

fn vanished() -> io::Error {
    io::Error::new(ErrorKind::ConnectionAborted, "the sender is gone")
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use meridian_oci::ContentRange;

    use super::*;

    fn chunk(length: Option<u64>, range: Option<(u64, u64)>, pieces: &[&'static str]) -> Transfer {
        let pieces: Vec<_> = pieces.iter().map(|piece| Ok(Bytes::from(*piece))).collect();
        Transfer {
            range: range.map(|(start, end)| ContentRange::new(start, end).unwrap()),
            length,
            body: Box::pin(stream::iter(pieces)),
        }
    }

    async fn read(chunk: Transfer, limit: u64) -> Result<Vec<u8>, UploadError> {
        let mut body = Body::new(chunk, 0, limit, CancellationToken::new())?;
        let mut all = Vec::new();
        while let Some(bytes) = body.next().await.map_err(|fault| fault.error)? {
            all.extend_from_slice(&bytes);
        }
        Ok(all)
    }

    #[tokio::test]
    async fn a_body_as_announced_passes() {
        for (length, range) in [(None, None), (Some(5), None), (Some(5), Some((0, 4)))] {
            let read = read(chunk(length, range, &["ab", "", "cde"]), 5).await;
            assert_eq!(read.unwrap(), b"abcde");
        }
    }

    #[tokio::test]
    async fn another_length_is_a_fault() {
        for (length, range) in [(Some(4), None), (Some(6), None), (None, Some((0, 5)))] {
            let read = read(chunk(length, range, &["ab", "cde"]), 9).await;
            assert!(matches!(read, Err(UploadError::LengthDiffers { .. })));
        }
    }

    #[tokio::test]
    async fn headers_that_differ_are_refused_before_reading() {
        let chunk = chunk(Some(4), Some((0, 4)), &[]);
        assert!(matches!(
            Body::new(chunk, 0, 9, CancellationToken::new()).err(),
            Some(UploadError::LengthDiffers {
                expected: 5,
                actual: 4
            })
        ));
    }

    #[tokio::test]
    async fn too_much_is_refused_before_reading_if_it_is_announced() {
        let announced = chunk(Some(u64::MAX), None, &[]);
        let refused = Body::new(announced, 1, 9, CancellationToken::new());
        assert!(matches!(
            refused.err(),
            Some(UploadError::TooLarge { limit: 9 })
        ));
        let read = read(chunk(None, None, &["ab", "cde"]), 4).await;
        assert!(matches!(read, Err(UploadError::TooLarge { limit: 4 })));
    }

    #[tokio::test]
    async fn a_sender_that_is_gone_ends_the_body() {
        let gone = CancellationToken::new();
        let chunk = Transfer {
            body: Box::pin(stream::pending()),
            ..Transfer::empty()
        };
        let mut body = Body::new(chunk, 0, 9, gone.clone()).unwrap();
        gone.cancel();
        let fault = body.next().await.unwrap_err();
        assert!(fault.keeps);
        assert!(matches!(fault.error, UploadError::Body(_)));
    }
}
