//! A body on its way in.
//!
//! Keeps the invariant that a body which ends well has exactly the bytes that its head promised:
//! the last piece is handed on only when the stream has ended after it, and ended well. So whoever
//! counts what he is given, and stops at the last byte, has not missed a failure. A peer that sends
//! nothing for too long is given up; the time in which nobody asks is not counted.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use meridian_proto::meridian::{blob, replication};
use tokio::time::{Sleep, sleep};
use tonic::Streaming;

use super::failure;
use crate::{ByteStream, ReadBlobError};

/// The messages of a call that downloads.
pub(super) trait DownloadMessage: Send + 'static {
    /// The bytes that the message holds; `None` if it holds something else.
    fn chunk(self) -> Option<Bytes>;
}

/// The body of `left` bytes that comes after a head.
pub(super) fn incoming<M: DownloadMessage>(
    messages: Streaming<M>,
    left: u64,
    stall_timeout: Duration,
) -> ByteStream {
    Box::pin(Incoming {
        messages,
        left: Some(left),
        last: None,
        stall_timeout,
        alarm: None,
    })
}

struct Incoming<M> {
    messages: Streaming<M>,
    /// How many bytes are to come; `None` when the body has ended, well or not.
    left: Option<u64>,
    /// The last piece, until the stream has ended.
    last: Option<Bytes>,
    stall_timeout: Duration,
    /// Set while the peer is waited for.
    alarm: Option<Pin<Box<Sleep>>>,
}

// === impl DownloadMessage ===

impl DownloadMessage for blob::v1::ReadResponse {
    fn chunk(self) -> Option<Bytes> {
        match self.message? {
            blob::v1::read_response::Message::Chunk(bytes) => Some(bytes),
            blob::v1::read_response::Message::Head(_) => None,
        }
    }
}

impl DownloadMessage for replication::v1::ReadBlobResponse {
    fn chunk(self) -> Option<Bytes> {
        match self.message? {
            replication::v1::read_blob_response::Message::Chunk(bytes) => Some(bytes),
            replication::v1::read_blob_response::Message::Head(_) => None,
        }
    }
}

// === impl Incoming ===

impl<M: DownloadMessage> Incoming<M> {
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<M, io::Error>>> {
        if let Poll::Ready(message) = Pin::new(&mut self.messages).poll_next(cx) {
            self.alarm = None;
            return Poll::Ready(message.map(|message| {
                message.map_err(|status| {
                    let error: ReadBlobError = failure::from_status(&status);
                    io::Error::new(ErrorKind::ConnectionAborted, error)
                })
            }));
        }
        let stall_timeout = self.stall_timeout;
        let alarm = self
            .alarm
            .get_or_insert_with(|| Box::pin(sleep(stall_timeout)));
        ready!(alarm.as_mut().poll(cx));
        let text = "the sender of a body sends nothing";
        Poll::Ready(Some(Err(io::Error::new(ErrorKind::TimedOut, text))))
    }

    /// What to hand on; `None` to ask for the next message.
    fn take(&mut self, left: u64, message: M) -> io::Result<Option<Bytes>> {
        let Some(bytes) = message.chunk() else {
            return Err(io::Error::new(
                ErrorKind::InvalidData,
                "a message holds no bytes",
            ));
        };
        let left = left.checked_sub(bytes.len() as u64);
        let left = left.ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "too many bytes"))?;
        self.left = Some(left);
        if left > 0 {
            return Ok(Some(bytes));
        }
        if !bytes.is_empty() {
            self.last = Some(bytes);
        }
        Ok(None)
    }
}

impl<M: DownloadMessage> Stream for Incoming<M> {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let fault = loop {
            let Some(left) = this.left else {
                return Poll::Ready(None);
            };
            match ready!(this.poll_message(cx)) {
                Some(Ok(message)) => match this.take(left, message) {
                    Ok(Some(bytes)) if bytes.is_empty() => {}
                    Ok(Some(bytes)) => return Poll::Ready(Some(Ok(bytes))),
                    Ok(None) => {}
                    Err(fault) => break fault,
                },
                Some(Err(fault)) => break fault,
                None if left == 0 => {
                    this.left = None;
                    return Poll::Ready(this.last.take().map(Ok));
                }
                None => break io::Error::new(ErrorKind::UnexpectedEof, "bytes are missing"),
            }
        };
        this.left = None;
        Poll::Ready(Some(Err(fault)))
    }
}
