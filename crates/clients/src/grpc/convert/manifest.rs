//! Manifests, read and written.

use std::time::Duration;

use meridian_event::Leaf;
use meridian_oci::Manifest;
use meridian_proto::meridian::metadata::v1 as pb;
use meridian_proto::{DecodeError, digest, leaf, text, version};

use super::Result;
use crate::{DeleteManifest, ManifestStat, PutManifest, Stale, StoredManifest};

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
            stale: stat.stale.map(Into::into),
            overtaken: stat.is_overtaken,
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
            is_overtaken: value.overtaken,
            stale: value.stale.map(TryInto::try_into).transpose()?,
        })
    }
}

impl From<Stale> for pb::Stale {
    fn from(stale: Stale) -> Self {
        let millis = |age: Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        Self {
            region: stale.region.to_string(),
            age_millis: stale.age.map(millis),
        }
    }
}

impl TryFrom<pb::Stale> for Stale {
    type Error = DecodeError;

    fn try_from(value: pb::Stale) -> Result<Self> {
        Ok(Self {
            region: text(&value.region, "stale.region")?,
            age: value.age_millis.map(Duration::from_millis),
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
