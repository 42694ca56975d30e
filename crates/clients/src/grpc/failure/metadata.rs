//! The errors of [`MetadataApi`](crate::MetadataApi).

use std::time::Duration;

use meridian_oci::Digest;
use meridian_proto::meridian::error::v1 as pb;
use pb::failure::Kind;

use super::{WireError, nothing, reason};
use crate::{ReadError, WriteError};

impl WireError for ReadError {
    fn kind(&self) -> Kind {
        match self {
            Self::RegistryUnknown => Kind::RegistryUnknown(nothing()),
            Self::RepositoryUnknown => Kind::RepositoryUnknown(nothing()),
            Self::ManifestUnknown => Kind::ManifestUnknown(nothing()),
            Self::BlobUnknown => Kind::BlobUnknown(nothing()),
            Self::Locked => Kind::Locked(nothing()),
            Self::Unavailable { reason: why } => Kind::Unavailable(reason(why)),
            Self::DeadlineExceeded => Kind::DeadlineExceeded(nothing()),
            Self::Internal { reason: why } => Kind::Internal(reason(why)),
        }
    }

    fn from_kind(kind: Kind) -> Option<Self> {
        Some(match kind {
            Kind::RegistryUnknown(_) => Self::RegistryUnknown,
            Kind::RepositoryUnknown(_) => Self::RepositoryUnknown,
            Kind::ManifestUnknown(_) => Self::ManifestUnknown,
            Kind::BlobUnknown(_) => Self::BlobUnknown,
            Kind::Locked(_) => Self::Locked,
            Kind::Unavailable(it) => Self::Unavailable { reason: it.reason },
            Kind::DeadlineExceeded(_) => Self::DeadlineExceeded,
            Kind::Internal(it) => Self::Internal { reason: it.reason },
            _ => return None,
        })
    }

    fn on_the_way(error: ReadError) -> Self {
        error
    }
}

impl WireError for WriteError {
    fn kind(&self) -> Kind {
        match self {
            Self::Read(error) => error.kind(),
            Self::ConditionFailed { current } => Kind::ConditionFailed(pb::ConditionFailed {
                current: current.map(Into::into),
            }),
            Self::LeavesUnknown(leaves) => Kind::LeavesUnknown(digests(leaves)),
            Self::SizesDiffer(leaves) => Kind::SizesDiffer(digests(leaves)),
            Self::InUse(holders) => Kind::InUse(digests(holders)),
            Self::Exhausted { what, retry_after } => Kind::Exhausted(pb::Exhausted {
                what: what.clone(),
                retry_after_millis: retry_after
                    .map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
            }),
            Self::NoRoom => Kind::NoRoom(nothing()),
            Self::Malformed { reason: why } => Kind::Malformed(reason(why)),
        }
    }

    fn from_kind(kind: Kind) -> Option<Self> {
        Some(match kind {
            Kind::ConditionFailed(it) => Self::ConditionFailed {
                current: match it.current {
                    Some(current) => Some(meridian_proto::digest(Some(current), "current").ok()?),
                    None => None,
                },
            },
            Kind::LeavesUnknown(it) => Self::LeavesUnknown(take_digests(it)?),
            Kind::SizesDiffer(it) => Self::SizesDiffer(take_digests(it)?),
            Kind::InUse(it) => Self::InUse(take_digests(it)?),
            Kind::Exhausted(it) => Self::Exhausted {
                what: it.what,
                retry_after: it.retry_after_millis.map(Duration::from_millis),
            },
            Kind::NoRoom(_) => Self::NoRoom,
            Kind::Malformed(it) => Self::Malformed { reason: it.reason },
            other => Self::Read(ReadError::from_kind(other)?),
        })
    }

    fn on_the_way(error: ReadError) -> Self {
        Self::Read(error)
    }
}

fn digests(digests: &[Digest]) -> pb::Digests {
    pb::Digests {
        digests: digests.iter().map(|digest| (*digest).into()).collect(),
    }
}

fn take_digests(value: pb::Digests) -> Option<Vec<Digest>> {
    let digests = value.digests.into_iter();
    digests
        .map(|digest| meridian_proto::digest(Some(digest), "digests").ok())
        .collect()
}
