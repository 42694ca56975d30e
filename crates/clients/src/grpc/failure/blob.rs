//! The errors of [`BlobApi`](crate::BlobApi).

use std::io;

use meridian_proto::meridian::error::v1 as pb;
use pb::failure::Kind;

use super::{WireError, nothing, reason};
use crate::{DeleteBlobError, ReadBlobError, ReadError, UploadError, UploadStatus, WriteError};

impl WireError for ReadBlobError {
    fn kind(&self) -> Kind {
        match self {
            Self::Metadata(error) => error.kind(),
            Self::Unreadable { digest, source } => Kind::Unreadable(pb::Unreadable {
                digest: Some((*digest).into()),
                reason: meridian_error::chain(source),
            }),
        }
    }

    fn from_kind(kind: Kind) -> Option<Self> {
        Some(match kind {
            Kind::Unreadable(it) => Self::Unreadable {
                digest: meridian_proto::digest(it.digest, "digest").ok()?,
                source: io::Error::other(it.reason),
            },
            other => Self::Metadata(ReadError::from_kind(other)?),
        })
    }

    fn on_the_way(error: ReadError) -> Self {
        Self::Metadata(of_blob_service(error))
    }
}

impl WireError for UploadError {
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown => Kind::UploadUnknown(nothing()),
            Self::OutOfOrder(status) => Kind::OutOfOrder(pb::OutOfOrder {
                upload: status.upload.to_string(),
                offset: status.offset,
                min_chunk: status.min_chunk,
            }),
            Self::Busy => Kind::Busy(nothing()),
            Self::LengthDiffers { expected, actual } => Kind::LengthDiffers(pb::LengthDiffers {
                expected: *expected,
                actual: *actual,
            }),
            Self::DigestDiffers => Kind::DigestDiffers(nothing()),
            Self::TooLarge { limit } => Kind::TooLarge(pb::TooLarge { limit: *limit }),
            Self::TooManySessions => Kind::TooManySessions(nothing()),
            Self::Body(source) => Kind::Body(reason(meridian_error::chain(source))),
            Self::StoreFull => Kind::StoreFull(nothing()),
            Self::Store(source) => Kind::Store(reason(meridian_error::chain(source))),
            Self::Metadata(error) => error.kind(),
        }
    }

    fn from_kind(kind: Kind) -> Option<Self> {
        Some(match kind {
            Kind::UploadUnknown(_) => Self::Unknown,
            Kind::OutOfOrder(it) => Self::OutOfOrder(UploadStatus {
                upload: it.upload.parse().ok()?,
                offset: it.offset,
                min_chunk: it.min_chunk,
            }),
            Kind::Busy(_) => Self::Busy,
            Kind::LengthDiffers(it) => Self::LengthDiffers {
                expected: it.expected,
                actual: it.actual,
            },
            Kind::DigestDiffers(_) => Self::DigestDiffers,
            Kind::TooLarge(it) => Self::TooLarge { limit: it.limit },
            Kind::TooManySessions(_) => Self::TooManySessions,
            Kind::Body(it) => Self::Body(io::Error::other(it.reason)),
            Kind::StoreFull(_) => Self::StoreFull,
            Kind::Store(it) => Self::Store(io::Error::other(it.reason)),
            other => Self::Metadata(WriteError::from_kind(other)?),
        })
    }

    fn on_the_way(error: ReadError) -> Self {
        Self::Metadata(of_blob_service(error).into())
    }
}

impl WireError for DeleteBlobError {
    fn kind(&self) -> Kind {
        self.0.kind()
    }

    fn from_kind(kind: Kind) -> Option<Self> {
        WriteError::from_kind(kind).map(Self)
    }

    fn on_the_way(error: ReadError) -> Self {
        Self(of_blob_service(error).into())
    }
}

/// The traits have one error for a service that does not answer; its reason says which one it is.
fn of_blob_service(error: ReadError) -> ReadError {
    let named = |reason| format!("blob service: {reason}");
    match error {
        ReadError::Unavailable { reason } => ReadError::Unavailable {
            reason: named(reason),
        },
        ReadError::Internal { reason } => ReadError::Internal {
            reason: named(reason),
        },
        other => other,
    }
}
