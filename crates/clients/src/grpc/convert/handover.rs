//! Where a reader may be sent instead of being given the bytes.

use std::time::Duration;

use meridian_proto::meridian::blob::v1 as pb;

use crate::Handover;

impl From<Handover> for pb::Handover {
    fn from(handover: Handover) -> Self {
        let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        Self {
            at_least: handover.at_least,
            by_link: handover.by_link,
            presigned_seconds: handover.presigned.map(seconds),
        }
    }
}

impl From<pb::Handover> for Handover {
    fn from(value: pb::Handover) -> Self {
        let time = |seconds| Duration::from_secs(u64::from(seconds));
        Self {
            at_least: value.at_least,
            by_link: value.by_link,
            presigned: value.presigned_seconds.map(time),
        }
    }
}
