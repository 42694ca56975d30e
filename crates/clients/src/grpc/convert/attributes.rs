//! Attributes, and repositories that are deleted.

use meridian_event::{Attributes, Target};
use meridian_proto::meridian::metadata::v1 as pb;
use meridian_proto::meridian::replication::v1 as replication;
use meridian_proto::{DecodeError, digest, required, text, version};
use pb::target::Target as Wire;

use super::{Result, repository, request_id};
use crate::{
    AttributesSet, DeleteRepository, Described, RepositoryDeleted, RepositoryPath, SetAttributes,
};

fn wire_target(target: &Target) -> pb::Target {
    let target = match target {
        Target::Repository => None,
        Target::Tag(tag) => Some(Wire::Tag(tag.to_string())),
        Target::Manifest(digest) => Some(Wire::Manifest((*digest).into())),
    };
    pb::Target { target }
}

fn take_target(value: Option<pb::Target>) -> Result<Target> {
    Ok(match required(value, "target")?.target {
        None => Target::Repository,
        Some(Wire::Tag(tag)) => Target::Tag(text(&tag, "target.tag")?),
        Some(Wire::Manifest(it)) => Target::Manifest(digest(Some(it), "target.manifest")?),
    })
}

const fn wire_attributes(attributes: Attributes<Option<bool>>) -> pb::Attributes {
    pb::Attributes {
        delete_enabled: attributes.delete,
        write_enabled: attributes.write,
        read_enabled: attributes.read,
        list_enabled: attributes.list,
    }
}

fn take_attributes(value: Option<pb::Attributes>) -> Result<Attributes<Option<bool>>> {
    let value = required(value, "attributes")?;
    Ok(Attributes {
        delete: value.delete_enabled,
        write: value.write_enabled,
        read: value.read_enabled,
        list: value.list_enabled,
    })
}

/// A question for something and its attributes.
#[must_use]
pub fn describe_request(repository: &RepositoryPath, target: &Target) -> pb::DescribeRequest {
    pb::DescribeRequest {
        repository: Some(repository.into()),
        target: Some(wire_target(target)),
    }
}

/// What is to be described.
///
/// # Errors
///
/// When a part of it is missing, or is none.
pub fn take_describe_request(value: pb::DescribeRequest) -> Result<(RepositoryPath, Target)> {
    Ok((repository(value.repository)?, take_target(value.target)?))
}

/// A question for the regions that have attributes of something.
#[must_use]
pub fn holders_request(
    repository: &RepositoryPath,
    target: &Target,
) -> replication::ListHoldersRequest {
    replication::ListHoldersRequest {
        repository: Some(repository.into()),
        target: Some(wire_target(target)),
    }
}

/// Of what they are.
///
/// # Errors
///
/// When a part of it is missing, or is none.
pub fn take_holders_request(
    value: replication::ListHoldersRequest,
) -> Result<(RepositoryPath, Target)> {
    Ok((repository(value.repository)?, take_target(value.target)?))
}

impl From<Described> for pb::DescribeResponse {
    fn from(it: Described) -> Self {
        Self {
            present: it.is_there,
            attributes: Some(wire_attributes(it.attributes.map(Some))),
            created: it.created.map(Into::into),
            updated: it.updated.map(Into::into),
            manifests: it.manifests,
            tags: it.tags,
            digest: it.digest.map(Into::into),
            names: it.names.into_iter().map(Into::into).collect(),
            media_type: it
                .media_type
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            content: it.bytes,
        }
    }
}

impl TryFrom<pb::DescribeResponse> for Described {
    type Error = DecodeError;

    fn try_from(value: pb::DescribeResponse) -> Result<Self> {
        let stamp = |value: Option<_>, field| value.map(|it| version(Some(it), field)).transpose();
        let attributes = take_attributes(value.attributes)?;
        let names = value.names.iter().map(|name| text(name, "names"));
        Ok(Self {
            is_there: value.present,
            attributes: attributes.map(|enabled| enabled.unwrap_or(true)),
            created: stamp(value.created, "created")?,
            updated: stamp(value.updated, "updated")?,
            manifests: value.manifests,
            tags: value.tags,
            digest: value
                .digest
                .map(|it| digest(Some(it), "digest"))
                .transpose()?,
            names: names.collect::<Result<_>>()?,
            media_type: match value.media_type.as_str() {
                "" => None,
                media_type => Some(text(media_type, "media_type")?),
            },
            bytes: value.content,
        })
    }
}

impl From<SetAttributes> for pb::SetAttributesRequest {
    fn from(set: SetAttributes) -> Self {
        Self {
            repository: Some(set.repository.into()),
            target: Some(wire_target(&set.target)),
            attributes: Some(wire_attributes(set.attributes)),
            request: Some(set.request.into()),
        }
    }
}

impl TryFrom<pb::SetAttributesRequest> for SetAttributes {
    type Error = DecodeError;

    fn try_from(value: pb::SetAttributesRequest) -> Result<Self> {
        Ok(Self {
            repository: repository(value.repository)?,
            target: take_target(value.target)?,
            attributes: take_attributes(value.attributes)?,
            request: request_id(value.request)?,
        })
    }
}

impl From<AttributesSet> for pb::SetAttributesResponse {
    fn from(set: AttributesSet) -> Self {
        Self {
            version: set.version.map(Into::into),
        }
    }
}

impl TryFrom<pb::SetAttributesResponse> for AttributesSet {
    type Error = DecodeError;

    fn try_from(value: pb::SetAttributesResponse) -> Result<Self> {
        let version = value.version.map(|it| version(Some(it), "version"));
        Ok(Self {
            version: version.transpose()?,
        })
    }
}

/// A repository to delete.
#[must_use]
pub fn deletion_request(delete: DeleteRepository) -> pb::DeleteRepositoryRequest {
    pb::DeleteRepositoryRequest {
        repository: Some(delete.repository.into()),
        request: Some(delete.request.into()),
    }
}

/// Which repository is to be deleted.
///
/// # Errors
///
/// When a part of it is missing, or is none.
pub fn take_deletion_request(value: pb::DeleteRepositoryRequest) -> Result<DeleteRepository> {
    Ok(DeleteRepository {
        repository: repository(value.repository)?,
        request: request_id(value.request)?,
    })
}

impl From<RepositoryDeleted> for pb::DeleteRepositoryResponse {
    fn from(done: RepositoryDeleted) -> Self {
        Self {
            version: Some(done.version.into()),
            manifests: done.manifests.into_iter().map(Into::into).collect(),
            tags: done.tags.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<pb::DeleteRepositoryResponse> for RepositoryDeleted {
    type Error = DecodeError;

    fn try_from(value: pb::DeleteRepositoryResponse) -> Result<Self> {
        let manifests = value.manifests.into_iter();
        let manifests = manifests.map(|it| digest(Some(it), "manifests"));
        let tags = value.tags.iter().map(|tag| text(tag, "tags"));
        Ok(Self {
            version: version(value.version, "version")?,
            manifests: manifests.collect::<Result<_>>()?,
            tags: tags.collect::<Result<_>>()?,
        })
    }
}
