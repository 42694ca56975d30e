//! The errors of [`PeerApi`](crate::peer::PeerApi).

use std::time::Duration;

use meridian_proto::meridian::error::v1 as pb;
use pb::failure::Kind;

use super::{WireError, nothing, reason};
use crate::ReadError;
use crate::peer::PeerError;

/// What a region that is busy is short of, to whoever reads only the wire.
const BUSY: &str = "the region";

/// How long a region is left alone that does not say.
const PAUSE: Duration = Duration::from_secs(1);

impl WireError for PeerError {
    fn kind(&self) -> Kind {
        match self {
            Self::Unavailable { reason: why } => Kind::Unavailable(reason(why)),
            Self::Busy { retry_after } => Kind::Exhausted(pb::Exhausted {
                what: BUSY.to_owned(),
                retry_after_millis: Some(
                    u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX),
                ),
            }),
            Self::DeadlineExceeded => Kind::DeadlineExceeded(nothing()),
            Self::Refused { reason: why } => Kind::Refused(reason(why)),
        }
    }

    fn from_kind(kind: Kind) -> Option<Self> {
        Some(match kind {
            Kind::Unavailable(it) => Self::Unavailable { reason: it.reason },
            Kind::Exhausted(it) => Self::Busy {
                retry_after: it.retry_after_millis.map_or(PAUSE, Duration::from_millis),
            },
            Kind::DeadlineExceeded(_) => Self::DeadlineExceeded,
            Kind::Refused(it) => Self::Refused { reason: it.reason },
            _ => return None,
        })
    }

    fn on_the_way(error: ReadError) -> Self {
        match error {
            ReadError::Unavailable { reason } => Self::Unavailable { reason },
            ReadError::DeadlineExceeded => Self::DeadlineExceeded,
            // It cannot be understood, or does not know us.
            other => Self::Refused {
                reason: match other {
                    ReadError::Internal { reason } => reason,
                    other => other.to_string(),
                },
            },
        }
    }
}
