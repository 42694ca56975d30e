//! Lists and counts.

use meridian_oci::{RepositoryName, Tag};
use meridian_proto::meridian::metadata::v1 as pb;
use meridian_proto::{DecodeError, digest, text};

use super::Result;
use crate::{Drained, Page, Referrers, Usage};

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

impl From<Drained> for pb::Drained {
    fn from(value: Drained) -> Self {
        Self {
            millis: value.millis,
            reason: value.reason,
        }
    }
}

impl From<pb::Drained> for Drained {
    fn from(value: pb::Drained) -> Self {
        Self {
            millis: value.millis,
            reason: value.reason,
        }
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
