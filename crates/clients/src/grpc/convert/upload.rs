//! Upload sessions, and what is said of bytes before they come.

use meridian_oci::ContentRange;
use meridian_proto::meridian::blob::v1 as pb;
use meridian_proto::{DecodeError, content_range, text};

use super::Result;
use crate::{BlobStat, MountOutcome, Transfer, UploadStatus};

impl From<BlobStat> for pb::StatResponse {
    fn from(stat: BlobStat) -> Self {
        Self {
            size: stat.size,
            stale: stat.stale.map(Into::into),
            unreadable: !stat.is_readable,
        }
    }
}

impl TryFrom<pb::StatResponse> for BlobStat {
    type Error = DecodeError;

    fn try_from(value: pb::StatResponse) -> Result<Self> {
        Ok(Self {
            size: value.size,
            is_readable: !value.unreadable,
            stale: value.stale.map(TryInto::try_into).transpose()?,
        })
    }
}

impl From<UploadStatus> for pb::UploadStatus {
    fn from(status: UploadStatus) -> Self {
        Self {
            upload: status.upload.to_string(),
            offset: status.offset,
            min_chunk: status.min_chunk,
        }
    }
}

impl TryFrom<pb::UploadStatus> for UploadStatus {
    type Error = DecodeError;

    fn try_from(value: pb::UploadStatus) -> Result<Self> {
        Ok(Self {
            upload: text(&value.upload, "upload")?,
            offset: value.offset,
            min_chunk: value.min_chunk,
        })
    }
}

impl From<MountOutcome> for pb::MountResponse {
    fn from(outcome: MountOutcome) -> Self {
        Self {
            session: match outcome {
                MountOutcome::Mounted => None,
                MountOutcome::Session(status) => Some(status.into()),
            },
        }
    }
}

impl TryFrom<pb::MountResponse> for MountOutcome {
    type Error = DecodeError;

    fn try_from(value: pb::MountResponse) -> Result<Self> {
        Ok(match value.session {
            None => Self::Mounted,
            Some(status) => Self::Session(status.try_into()?),
        })
    }
}

impl From<&Transfer> for pb::TransferHead {
    fn from(transfer: &Transfer) -> Self {
        Self {
            range: transfer.range.map(Into::into),
            length: transfer.length,
        }
    }
}

/// What the client's headers say: range and length.
///
/// # Errors
///
/// When the range is empty, or ends beyond what a blob can have.
pub fn transfer_head(
    value: Option<pb::TransferHead>,
) -> Result<(Option<ContentRange>, Option<u64>)> {
    let Some(value) = value else {
        return Ok((None, None));
    };
    let range = value
        .range
        .map(|range| content_range(range, "transfer.range"));
    Ok((range.transpose()?, value.length))
}
