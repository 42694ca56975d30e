//! A blob on its way out, as messages.
//!
//! The next piece is asked of the store when the connection has room for it. Lengths are the
//! service's to keep and the receiver's to check.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::{Stream, StreamExt};
use meridian_clients::grpc::body::Pieces;
use meridian_clients::{BlobRead, ByteStream, Delivered, Delivery, ReadBlobError};
use meridian_oci::Digest;
use meridian_proto::meridian::blob::v1 as pb;
use pb::read_head::Extent;
use pb::read_response::Message;
use tonic::Status;

use super::refused;

/// The messages of a download.
pub struct Outgoing {
    digest: Digest,
    head: Option<pb::ReadHead>,
    /// Absent when it has ended.
    body: Option<ByteStream>,
    pieces: Pieces,
}

// === impl Outgoing ===

impl Outgoing {
    pub(super) fn new(delivered: Delivered, digest: Digest) -> Self {
        let Delivered { delivery, stale } = delivered;
        let (size, extent, body) = match delivery {
            Delivery::Here(BlobRead::Whole { size, body }) => {
                (size, Extent::Whole(true), Some(body))
            }
            Delivery::Here(BlobRead::Part {
                size,
                start,
                end_inclusive,
                body,
            }) => {
                let part = pb::Part {
                    start,
                    end_inclusive,
                };
                (size, Extent::Part(part), Some(body))
            }
            Delivery::Here(BlobRead::Unsatisfiable { size }) => {
                (size, Extent::Unsatisfiable(true), None)
            }
            Delivery::Link { size } => (size, Extent::Link(true), None),
            Delivery::Presigned { size, url } => {
                (size, Extent::Presigned(url.expose().to_owned()), None)
            }
        };
        Self {
            digest,
            head: Some(pb::ReadHead {
                size,
                extent: Some(extent),
                stale: stale.map(Into::into),
            }),
            body,
            pieces: Pieces::default(),
        }
    }
}

impl Stream for Outgoing {
    type Item = Result<pb::ReadResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Some(head) = this.head.take() {
            return message(Message::Head(head));
        }
        loop {
            if let Some(piece) = this.pieces.pop() {
                return message(Message::Chunk(piece));
            }
            let Some(body) = &mut this.body else {
                return Poll::Ready(None);
            };
            match ready!(body.poll_next_unpin(cx)) {
                Some(Ok(bytes)) => this.pieces.push(bytes),
                Some(Err(source)) => {
                    this.body = None;
                    let digest = this.digest;
                    let error = ReadBlobError::Unreadable { digest, source };
                    return Poll::Ready(Some(Err(refused(error))));
                }
                None => this.body = None,
            }
        }
    }
}

fn message(message: Message) -> Poll<Option<Result<pb::ReadResponse, Status>>> {
    let message = Some(message);
    Poll::Ready(Some(Ok(pb::ReadResponse { message })))
}
