//! The records of blobs, and the names of their objects.

use meridian_event::Leaf;
use meridian_proto::meridian::metadata::v1 as pb;
use meridian_proto::{DecodeError, leaf, registry, required};

use super::Result;
use crate::{BlobLocation, BlobRecord, Encoding, PutBlob, StorageKey, StoreBlob};

impl From<Encoding> for pb::Encoding {
    fn from(encoding: Encoding) -> Self {
        match encoding {
            Encoding::Plain => Self::Plain,
        }
    }
}

/// An encoding that this build does not know must not be read as plain.
fn encoding(value: i32) -> Result<Encoding> {
    match pb::Encoding::try_from(value) {
        Ok(pb::Encoding::Plain) => Ok(Encoding::Plain),
        Ok(pb::Encoding::Unspecified) | Err(_) => Err(DecodeError::Invalid("encoding")),
    }
}

impl From<StorageKey> for pb::StorageKey {
    fn from(key: StorageKey) -> Self {
        Self {
            registry: Some(key.registry.into()),
            epoch: key.epoch,
            generation: key.generation,
        }
    }
}

impl TryFrom<pb::StorageKey> for StorageKey {
    type Error = DecodeError;

    fn try_from(value: pb::StorageKey) -> Result<Self> {
        Ok(Self {
            registry: registry(value.registry, "registry")?,
            epoch: value.epoch,
            generation: value.generation,
        })
    }
}

impl From<BlobLocation> for pb::Location {
    fn from(location: BlobLocation) -> Self {
        use pb::location::Place;
        Self {
            place: Some(match location {
                BlobLocation::Inline(bytes) => Place::Inline(bytes),
                BlobLocation::Stored(key) => Place::Stored(key.into()),
            }),
        }
    }
}

fn location(value: Option<pb::Location>) -> Result<BlobLocation> {
    use pb::location::Place;
    let place = required(value, "location")?.place;
    Ok(match required(place, "location")? {
        Place::Inline(bytes) => BlobLocation::Inline(bytes),
        Place::Stored(key) => BlobLocation::Stored(key.try_into()?),
    })
}

impl From<BlobRecord> for pb::GetBlobResponse {
    fn from(record: BlobRecord) -> Self {
        Self {
            size: record.size,
            encoding: pb::Encoding::from(record.encoding).into(),
            location: Some(record.location.into()),
            wants_touch: record.wants_touch,
            stale: record.stale.map(Into::into),
            unreadable: !record.is_readable,
        }
    }
}

impl TryFrom<pb::GetBlobResponse> for BlobRecord {
    type Error = DecodeError;

    fn try_from(value: pb::GetBlobResponse) -> Result<Self> {
        Ok(Self {
            size: value.size,
            encoding: encoding(value.encoding)?,
            location: location(value.location)?,
            wants_touch: value.wants_touch,
            is_readable: !value.unreadable,
            stale: value.stale.map(TryInto::try_into).transpose()?,
        })
    }
}

impl From<PutBlob> for pb::PutBlobRequest {
    fn from(put: PutBlob) -> Self {
        let leaf = Leaf {
            digest: put.digest,
            size: put.size,
        };
        Self {
            repository: Some(put.repository.into()),
            blob: Some(leaf.into()),
            encoding: pb::Encoding::from(put.encoding).into(),
            location: Some(put.location.into()),
            request: Some(put.request.into()),
            instead_of: put.instead_of.map(Into::into),
        }
    }
}

impl TryFrom<pb::PutBlobRequest> for PutBlob {
    type Error = DecodeError;

    fn try_from(value: pb::PutBlobRequest) -> Result<Self> {
        let blob = leaf(value.blob, "blob")?;
        Ok(Self {
            repository: super::repository(value.repository)?,
            digest: blob.digest,
            size: blob.size,
            encoding: encoding(value.encoding)?,
            location: location(value.location)?,
            instead_of: value.instead_of.map(TryInto::try_into).transpose()?,
            request: super::request_id(value.request)?,
        })
    }
}

impl From<StoreBlob> for pb::StoreBlobRequest {
    fn from(store: StoreBlob) -> Self {
        Self {
            registry: Some(store.registry.into()),
            blob: Some(store.blob.into()),
            encoding: pb::Encoding::from(store.encoding).into(),
            location: Some(store.location.into()),
            request: Some(store.request.into()),
            instead_of: store.instead_of.map(Into::into),
        }
    }
}

impl TryFrom<pb::StoreBlobRequest> for StoreBlob {
    type Error = DecodeError;

    fn try_from(value: pb::StoreBlobRequest) -> Result<Self> {
        Ok(Self {
            registry: registry(value.registry, "registry")?,
            blob: leaf(value.blob, "blob")?,
            encoding: encoding(value.encoding)?,
            location: location(value.location)?,
            instead_of: value.instead_of.map(TryInto::try_into).transpose()?,
            request: super::request_id(value.request)?,
        })
    }
}
