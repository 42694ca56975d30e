//! The head of a blob on its way in: what follows, or where else it is.

use std::time::Duration;

use meridian_proto::DecodeError;
use meridian_proto::meridian::blob::v1 as pb;
use pb::read_head::Extent;
use pb::read_response::Message;
use tonic::Streaming;

use crate::grpc::call::unreadable;
use crate::grpc::failure;
use crate::grpc::incoming::incoming;
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
    let body = |left| incoming(messages, left, stall_timeout);
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
