//! Copies of all that a region knows, part by part.

use meridian_event::{Attributes, RegistryId};
use meridian_oci::RepositoryName;
use meridian_proto::meridian::content::v1 as content;
use meridian_proto::meridian::replication::v1 as pb;
use meridian_proto::{DecodeError, digest, registry, required, text};
use pb::copy_mark::Mark as Wire;

use super::found::{take_target, wire_attributes};
use super::{found, take_found};
use crate::grpc::convert::Result;
use crate::replica::{CopyMark, CopyPage};

/// The greatest part that an adapter asks its service for; a greater limit counts as this. What is
/// known of a manifest takes a kilobyte at worst.
const LONGEST_COPY: usize = 4096;

/// How many items are wanted.
#[must_use]
pub fn copy_limit(value: u64) -> usize {
    usize::try_from(value)
        .unwrap_or(usize::MAX)
        .min(LONGEST_COPY)
}

/// A question for a part of a copy.
#[must_use]
pub fn copy_request(after: Option<CopyMark>, limit: usize) -> pb::CopyRequest {
    pb::CopyRequest {
        after: after.map(Into::into),
        limit: limit as u64,
    }
}

/// Which part is wanted.
///
/// # Errors
///
/// When the mark means nothing.
pub fn take_copy_request(value: pb::CopyRequest) -> Result<(Option<CopyMark>, usize)> {
    let after = value.after.map(TryInto::try_into).transpose()?;
    Ok((after, copy_limit(value.limit)))
}

impl From<CopyMark> for pb::CopyMark {
    fn from(mark: CopyMark) -> Self {
        let mark = match mark {
            CopyMark::Registries => Wire::Registries(true),
            CopyMark::Manifests => Wire::Manifests(true),
            CopyMark::Manifest(registry, repository, digest) => {
                let leaf = content::Leaf {
                    digest: Some(digest.into()),
                    size: 0,
                };
                Wire::Manifest(pb::FoundManifest {
                    registry: Some(registry.into()),
                    repository: repository.into(),
                    leaf: Some(leaf),
                    ..pb::FoundManifest::default()
                })
            }
            CopyMark::Tag(registry, repository, tag) => Wire::Tag(pb::FoundTag {
                registry: Some(registry.into()),
                repository: repository.into(),
                tag: tag.into(),
                ..pb::FoundTag::default()
            }),
            CopyMark::Tags => Wire::Tags(true),
            CopyMark::Attributes(registry, repository, target) => {
                let nothing = Attributes::default();
                Wire::Attributes(wire_attributes(registry, repository, target, nothing))
            }
            CopyMark::Repositories => Wire::Repositories(true),
            CopyMark::TagAttributes => Wire::TagAttributes(true),
            CopyMark::ManifestAttributes => Wire::ManifestAttributes(true),
            CopyMark::Webhook(registry, name) => Wire::Webhook(pb::FoundWebhook {
                registry: Some(registry.into()),
                name: name.into(),
                ..pb::FoundWebhook::default()
            }),
        };
        Self { mark: Some(mark) }
    }
}

impl TryFrom<pb::CopyMark> for CopyMark {
    type Error = DecodeError;

    fn try_from(value: pb::CopyMark) -> Result<Self> {
        Ok(match required(value.mark, "mark")? {
            Wire::Registries(true) => Self::Registries,
            Wire::Manifests(true) => Self::Manifests,
            Wire::Tags(true) => Self::Tags,
            Wire::Repositories(true) => Self::Repositories,
            Wire::TagAttributes(true) => Self::TagAttributes,
            Wire::ManifestAttributes(true) => Self::ManifestAttributes,
            Wire::Webhook(it) => Self::Webhook(
                registry(it.registry, "mark.registry")?,
                text(&it.name, "mark.name")?,
            ),
            Wire::Attributes(it) => {
                let (registry, repository) = place(it.registry, &it.repository)?;
                Self::Attributes(registry, repository, take_target(it.target)?)
            }
            Wire::Registries(false)
            | Wire::Manifests(false)
            | Wire::Tags(false)
            | Wire::Repositories(false)
            | Wire::TagAttributes(false)
            | Wire::ManifestAttributes(false) => {
                return Err(DecodeError::Invalid("mark"));
            }
            Wire::Manifest(it) => {
                let (registry, repository) = place(it.registry, &it.repository)?;
                let leaf = required(it.leaf, "mark.leaf")?;
                Self::Manifest(registry, repository, digest(leaf.digest, "mark.leaf")?)
            }
            Wire::Tag(it) => {
                let (registry, repository) = place(it.registry, &it.repository)?;
                Self::Tag(registry, repository, text(&it.tag, "mark.tag")?)
            }
        })
    }
}

fn place(id: Option<content::Version>, repository: &str) -> Result<(RegistryId, RepositoryName)> {
    Ok((
        registry(id, "mark.registry")?,
        text(repository, "mark.repository")?,
    ))
}

impl From<CopyPage> for pb::CopyResponse {
    fn from(page: CopyPage) -> Self {
        Self {
            found: found(page.found),
            next: page.next.map(Into::into),
        }
    }
}

impl TryFrom<pb::CopyResponse> for CopyPage {
    type Error = DecodeError;

    fn try_from(value: pb::CopyResponse) -> Result<Self> {
        Ok(Self {
            found: take_found(value.found)?,
            next: value.next.map(TryInto::try_into).transpose()?,
        })
    }
}
