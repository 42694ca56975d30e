//! What came of a write.

use meridian_proto::meridian::metadata::v1 as pb;
use meridian_proto::{DecodeError, version};

use super::Result;
use crate::{BlobPut, Deleted, Generations, ManifestPut};

macro_rules! versioned {
    ($($domain:ident = $wire:ident;)*) => {$(
        impl From<$domain> for pb::$wire {
            fn from(done: $domain) -> Self {
                Self { version: Some(done.version.into()) }
            }
        }

        impl TryFrom<pb::$wire> for $domain {
            type Error = DecodeError;

            fn try_from(value: pb::$wire) -> Result<Self> {
                let version = version(value.version, "version")?;
                Ok(Self { version })
            }
        }
    )*};
}

versioned! {
    ManifestPut = PutManifestResponse;
    Deleted = DeleteManifestResponse;
    Deleted = DeleteBlobResponse;
}

macro_rules! recorded {
    ($($wire:ident),*) => {$(
        impl From<BlobPut> for pb::$wire {
            fn from(put: BlobPut) -> Self {
                Self {
                    version: Some(put.version.into()),
                    kept: put.kept.map(Into::into),
                }
            }
        }

        impl TryFrom<pb::$wire> for BlobPut {
            type Error = DecodeError;

            fn try_from(value: pb::$wire) -> Result<Self> {
                Ok(Self {
                    version: version(value.version, "version")?,
                    kept: value.kept.map(TryInto::try_into).transpose()?,
                })
            }
        }
    )*};
}

recorded!(PutBlobResponse, StoreBlobResponse);

/// The answer to a mount.
#[must_use]
pub fn mounted(put: Option<BlobPut>) -> pb::MountBlobResponse {
    pb::MountBlobResponse {
        version: put.map(|put| put.version.into()),
    }
}

/// What came of a mount.
///
/// # Errors
///
/// When the version is there, but is none.
pub fn take_mounted(value: pb::MountBlobResponse) -> Result<Option<BlobPut>> {
    let found = value.version.map(|found| version(Some(found), "version"));
    let put = |version| BlobPut {
        version,
        kept: None,
    };
    Ok(found.transpose()?.map(put))
}

impl From<Generations> for pb::ReserveGenerationsResponse {
    fn from(generations: Generations) -> Self {
        Self {
            epoch: generations.epoch,
            first: generations.first,
            count: generations.count,
        }
    }
}

impl From<pb::ReserveGenerationsResponse> for Generations {
    fn from(value: pb::ReserveGenerationsResponse) -> Self {
        Self {
            epoch: value.epoch,
            first: value.first,
            count: value.count,
        }
    }
}
