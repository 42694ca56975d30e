//! Names, manifests and the records of blobs.

use meridian_clock::Version;
use meridian_event::Leaf;
use meridian_oci::{Manifest, RepositoryName, Tag};
use meridian_proto::meridian::content::v1 as content;
use meridian_proto::meridian::metadata::v1 as pb;
use meridian_proto::{DecodeError, digest, leaf, registry, required, text, version};

use super::Result;
use crate::{
    BlobLocation, BlobPut, BlobRecord, DeleteManifest, Deleted, Encoding, Generations, ManifestPut,
    ManifestStat, Page, PutBlob, PutManifest, Referrers, StorageKey, StoredManifest, Usage,
};

// === manifests ===

impl From<ManifestStat> for pb::GetManifestResponse {
    fn from(stat: ManifestStat) -> Self {
        let leaf = Leaf {
            digest: stat.digest,
            size: stat.size,
        };
        Self {
            manifest: Some(leaf.into()),
            media_type: stat.media_type.to_string(),
            version: Some(stat.version.into()),
            content: bytes::Bytes::new(),
        }
    }
}

impl From<StoredManifest> for pb::GetManifestResponse {
    fn from(manifest: StoredManifest) -> Self {
        Self {
            content: manifest.bytes,
            ..manifest.stat.into()
        }
    }
}

impl TryFrom<pb::GetManifestResponse> for ManifestStat {
    type Error = DecodeError;

    fn try_from(value: pb::GetManifestResponse) -> Result<Self> {
        let manifest = leaf(value.manifest, "manifest")?;
        Ok(Self {
            digest: manifest.digest,
            media_type: text(&value.media_type, "media_type")?,
            size: manifest.size,
            version: version(value.version, "version")?,
        })
    }
}

impl TryFrom<pb::GetManifestResponse> for StoredManifest {
    type Error = DecodeError;

    fn try_from(value: pb::GetManifestResponse) -> Result<Self> {
        let bytes = value.content.clone();
        let stat = ManifestStat::try_from(value)?;
        if bytes.len() as u64 != stat.size {
            return Err(DecodeError::Invalid("content"));
        }
        Ok(Self { stat, bytes })
    }
}

impl From<PutManifest> for pb::PutManifestRequest {
    fn from(put: PutManifest) -> Self {
        Self {
            repository: Some(put.repository.into()),
            content: put.manifest.bytes().clone(),
            media_type: put.manifest.media_type().to_string(),
            digest: Some(put.digest.into()),
            tags: put.tags.iter().map(ToString::to_string).collect(),
            condition: put.condition.map(Into::into),
            request: Some(put.request.into()),
        }
    }
}

impl TryFrom<pb::PutManifestRequest> for PutManifest {
    type Error = DecodeError;

    /// Reads the manifest anew: what it names decides what is kept, so nobody else's reading will do.
    fn try_from(value: pb::PutManifestRequest) -> Result<Self> {
        let manifest = Manifest::parse(Some(&value.media_type), value.content)
            .map_err(|_| DecodeError::Invalid("content"))?;
        let digest = digest(value.digest, "digest")?;
        if manifest.digest(digest.algorithm()) != digest {
            return Err(DecodeError::Invalid("digest"));
        }
        let tags = value.tags.iter().map(|tag| text(tag, "tags"));
        Ok(Self {
            repository: super::repository(value.repository)?,
            manifest,
            digest,
            tags: tags.collect::<Result<_>>()?,
            condition: super::condition(value.condition)?,
            request: super::request_id(value.request)?,
        })
    }
}

impl From<DeleteManifest> for pb::DeleteManifestRequest {
    fn from(delete: DeleteManifest) -> Self {
        Self {
            repository: Some(delete.repository.into()),
            reference: delete.reference.to_string(),
            condition: delete.condition.map(Into::into),
            request: Some(delete.request.into()),
        }
    }
}

impl TryFrom<pb::DeleteManifestRequest> for DeleteManifest {
    type Error = DecodeError;

    fn try_from(value: pb::DeleteManifestRequest) -> Result<Self> {
        Ok(Self {
            repository: super::repository(value.repository)?,
            reference: super::reference(&value.reference)?,
            condition: super::condition(value.condition)?,
            request: super::request_id(value.request)?,
        })
    }
}

// === lists ===

impl From<Page<Tag>> for pb::ListTagsResponse {
    fn from(page: Page<Tag>) -> Self {
        Self {
            tags: page.items.into_iter().map(Into::into).collect(),
            more: page.more,
        }
    }
}

impl TryFrom<pb::ListTagsResponse> for Page<Tag> {
    type Error = DecodeError;

    fn try_from(value: pb::ListTagsResponse) -> Result<Self> {
        let items = value.tags.iter().map(|tag| text(tag, "tags"));
        Ok(Self {
            items: items.collect::<Result<_>>()?,
            more: value.more,
        })
    }
}

impl From<Page<RepositoryName>> for pb::ListRepositoriesResponse {
    fn from(page: Page<RepositoryName>) -> Self {
        Self {
            repositories: page.items.into_iter().map(Into::into).collect(),
            more: page.more,
        }
    }
}

impl TryFrom<pb::ListRepositoriesResponse> for Page<RepositoryName> {
    type Error = DecodeError;

    fn try_from(value: pb::ListRepositoriesResponse) -> Result<Self> {
        let items = value
            .repositories
            .iter()
            .map(|name| text(name, "repositories"));
        Ok(Self {
            items: items.collect::<Result<_>>()?,
            more: value.more,
        })
    }
}

impl From<Referrers> for pb::ListReferrersResponse {
    fn from(referrers: Referrers) -> Self {
        Self {
            descriptors: referrers.descriptors,
            next: referrers.next.map(Into::into),
        }
    }
}

impl TryFrom<pb::ListReferrersResponse> for Referrers {
    type Error = DecodeError;

    fn try_from(value: pb::ListReferrersResponse) -> Result<Self> {
        let next = value.next.map(|next| digest(Some(next), "next"));
        Ok(Self {
            descriptors: value.descriptors,
            next: next.transpose()?,
        })
    }
}

impl From<Usage> for pb::GetUsageResponse {
    fn from(usage: Usage) -> Self {
        Self {
            repositories: usage.repositories,
            manifests: usage.manifests,
            tags: usage.tags,
            blobs: usage.blobs,
            blob_bytes: usage.blob_bytes,
            manifest_bytes: usage.manifest_bytes,
        }
    }
}

impl From<pb::GetUsageResponse> for Usage {
    fn from(value: pb::GetUsageResponse) -> Self {
        Self {
            repositories: value.repositories,
            manifests: value.manifests,
            tags: value.tags,
            blobs: value.blobs,
            blob_bytes: value.blob_bytes,
            manifest_bytes: value.manifest_bytes,
        }
    }
}

// === blobs ===

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
            request: super::request_id(value.request)?,
        })
    }
}

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
    Ok(found.transpose()?.map(|version| BlobPut { version }))
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

// === answers that are a version ===

macro_rules! versioned {
    ($($domain:ident = $wire:ident;)*) => {$(
        impl From<$domain> for pb::$wire {
            fn from(done: $domain) -> Self {
                Self { version: Some(content::Version::from(done.version)) }
            }
        }

        impl TryFrom<pb::$wire> for $domain {
            type Error = DecodeError;

            fn try_from(value: pb::$wire) -> Result<Self> {
                let version: Version = version(value.version, "version")?;
                Ok(Self { version })
            }
        }
    )*};
}

versioned! {
    ManifestPut = PutManifestResponse;
    Deleted = DeleteManifestResponse;
    BlobPut = PutBlobResponse;
    Deleted = DeleteBlobResponse;
}
