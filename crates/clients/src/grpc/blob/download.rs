//! A blob on its way in.
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
use meridian_proto::DecodeError;
use meridian_proto::meridian::blob::v1 as pb;
use pb::read_head::Extent;
use pb::read_response::Message;
use tokio::time::{Sleep, sleep};
use tonic::Streaming;

use crate::grpc::call::unreadable;
use crate::grpc::failure;
use crate::{BlobRead, Delivered, Delivery, ReadBlobError, Stale};

/// Takes the head off a download. One that says where else the bytes are is unreadable to who has
/// not asked for that.
pub(super) async fn open(
    messages: Streaming<pb::ReadResponse>,
    stall_timeout: Duration,
) -> Result<BlobRead, ReadBlobError> {
    match deliver(messages, stall_timeout).await?.delivery {
        Delivery::Here(read) => Ok(read),
        Delivery::Link { .. } | Delivery::Presigned { .. } => {
            Err(unreadable(&DecodeError::Invalid("extent")))
        }
    }
}

/// The same, for who has asked where else the bytes are.
pub(super) async fn deliver(
    mut messages: Streaming<pb::ReadResponse>,
    stall_timeout: Duration,
) -> Result<Delivered, ReadBlobError> {
    let first = messages.message().await;
    let first = first.map_err(|status| failure::from_status::<ReadBlobError>(&status))?;
    let Some(Message::Head(head)) = first.and_then(|first| first.message) else {
        return Err(unreadable(&DecodeError::Missing("head")));
    };
    let stale = head.stale.map(Stale::try_from).transpose();
    let stale = stale.map_err(|error| unreadable::<ReadBlobError>(&error))?;
    let body = |left| {
        Box::pin(Incoming {
            messages,
            left: Some(left),
            last: None,
            stall_timeout,
            alarm: None,
        })
    };
    let size = head.size;
    let delivery = match head.extent {
        Some(Extent::Whole(true)) => Delivery::Here(BlobRead::Whole {
            size,
            body: body(size),
        }),
        Some(Extent::Part(part))
            if part.start <= part.end_inclusive && part.end_inclusive < size =>
        {
            Delivery::Here(BlobRead::Part {
                size,
                start: part.start,
                end_inclusive: part.end_inclusive,
                body: body(part.end_inclusive - part.start + 1),
            })
        }
        Some(Extent::Unsatisfiable(true)) => Delivery::Here(BlobRead::Unsatisfiable { size }),
        Some(Extent::Link(true)) => Delivery::Link { size },
        Some(Extent::Presigned(url)) => match url.parse() {
            Ok(url) => Delivery::Presigned { size, url },
            Err(_malformed) => return Err(unreadable(&DecodeError::Invalid("presigned"))),
        },
        Some(_) => return Err(unreadable(&DecodeError::Invalid("extent"))),
        None => return Err(unreadable(&DecodeError::Missing("extent"))),
    };
    Ok(Delivered { delivery, stale })
}

struct Incoming {
    messages: Streaming<pb::ReadResponse>,
    /// How many bytes are to come; `None` when the body has ended, well or not.
    left: Option<u64>,
    /// The last piece, until the stream has ended.
    last: Option<Bytes>,
    stall_timeout: Duration,
    /// Set while the peer is waited for.
    alarm: Option<Pin<Box<Sleep>>>,
}

// === impl Incoming ===

impl Incoming {
    fn poll_message(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<pb::ReadResponse, io::Error>>> {
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
        let text = "the blob service sends nothing";
        Poll::Ready(Some(Err(io::Error::new(ErrorKind::TimedOut, text))))
    }

    /// What to hand on; `None` to ask for the next message.
    fn take(&mut self, left: u64, message: pb::ReadResponse) -> io::Result<Option<Bytes>> {
        let Some(Message::Chunk(bytes)) = message.message else {
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

impl Stream for Incoming {
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
