//! Messages and what they mean, in both directions.
//!
//! Keeps the invariant that what was decoded is valid: names and digests are parsed, a manifest is
//! read again and hashed again, whoever read it before. A message that means nothing is a
//! [`DecodeError`] that names the field. Leaves what only touches the kernel's types to
//! `meridian-proto`, and which message belongs to which call to both ends.

mod attributes;
mod collection;
mod handover;
mod image;
mod list;
mod listing;
mod manifest;
mod outcome;
mod peer;
mod record;
mod regions;
mod replica;
mod replication;
mod status;
mod upload;
pub mod webhook;

pub use attributes::{
    deletion_request, describe_request, holders_request, take_deletion_request,
    take_describe_request, take_holders_request,
};
pub use collection::{doomed, due, storage_keys, take_doomed, take_due};
pub use image::{
    image_report_request, image_request, take_image, take_image_report, take_image_report_request,
    take_image_request,
};
pub use listing::{list_request, listing, take_list_request, take_listing};
pub use meridian_proto::DecodeError;
pub use outcome::{mounted, take_mounted};
pub use peer::{held, holds_request, take_held, take_parts};
pub use regions::{digests, take_digests};
pub use replica::{
    contents, manifest_bytes, presences, take_contents, take_lease_request, take_presences,
    wanted_after, wanted_request,
};
pub use replication::{
    copy_limit, copy_request, event_bytes, find_request, found, level_request, take_copy_request,
    take_find_request, take_found, take_level_request, take_meet_request,
};
pub use upload::transfer_head;

use meridian_oci::{Reference, RegistryName};
use meridian_proto::meridian::metadata::v1 as pb;
use meridian_proto::{digest, required, text};

use crate::{Condition, RepositoryPath, RequestId};

pub(super) type Result<T> = std::result::Result<T, DecodeError>;

/// The greatest page of a list that an adapter asks its service for; a greater limit counts as this.
/// The longest page then fits a message.
const LONGEST_PAGE: usize = 10_000;

/// The greatest total of descriptors that an adapter asks its service for.
const MOST_DESCRIPTOR_BYTES: usize = 4 * 1024 * 1024;

/// A registry's name.
///
/// # Errors
///
/// When it is none.
pub fn registry_name(value: &str) -> Result<RegistryName> {
    text(value, "registry")
}

/// A repository of a registry.
///
/// # Errors
///
/// When it is missing, or a name is none.
pub fn repository(value: Option<pb::Repository>) -> Result<RepositoryPath> {
    let value = required(value, "repository")?;
    Ok(RepositoryPath {
        registry: text(&value.registry, "repository.registry")?,
        name: text(&value.name, "repository.name")?,
    })
}

/// A tag or a digest.
///
/// # Errors
///
/// When it is neither.
pub fn reference(value: &str) -> Result<Reference> {
    text(value, "reference")
}

/// The id of a request.
///
/// # Errors
///
/// When it is missing or has another length.
pub fn request_id(value: Option<pb::RequestId>) -> Result<RequestId> {
    request_of(&required(value, "request")?.id)
}

/// The same, by its bytes.
///
/// # Errors
///
/// When they have another length.
pub fn request_of(bytes: &[u8]) -> Result<RequestId> {
    let id = bytes.try_into().map(RequestId);
    id.map_err(|_| DecodeError::Invalid("request"))
}

/// A condition, if there is one.
///
/// # Errors
///
/// When there is one that this build does not know: it must not be taken for none.
pub fn condition(value: Option<pb::Condition>) -> Result<Option<Condition>> {
    use pb::condition::Condition as Wire;
    let Some(value) = value else {
        return Ok(None);
    };
    match required(value.condition, "condition")? {
        Wire::PointsAt(at) => digest(Some(at), "condition")
            .map(Condition::PointsAt)
            .map(Some),
        Wire::Absent(true) => Ok(Some(Condition::Absent)),
        Wire::Absent(false) => Err(DecodeError::Invalid("condition")),
    }
}

/// How many items are wanted.
#[must_use]
pub fn page_limit(value: u64) -> usize {
    usize::try_from(value)
        .unwrap_or(usize::MAX)
        .min(LONGEST_PAGE)
}

/// How many bytes of descriptors are wanted.
#[must_use]
pub fn descriptor_bytes(value: u64) -> usize {
    usize::try_from(value)
        .unwrap_or(usize::MAX)
        .min(MOST_DESCRIPTOR_BYTES)
}

impl From<RepositoryPath> for pb::Repository {
    fn from(path: RepositoryPath) -> Self {
        (&path).into()
    }
}

impl From<&RepositoryPath> for pb::Repository {
    fn from(path: &RepositoryPath) -> Self {
        Self {
            registry: path.registry.to_string(),
            name: path.name.to_string(),
        }
    }
}

impl From<RequestId> for pb::RequestId {
    fn from(request: RequestId) -> Self {
        Self {
            id: bytes::Bytes::copy_from_slice(&request.0),
        }
    }
}

impl From<Condition> for pb::Condition {
    fn from(condition: Condition) -> Self {
        use pb::condition::Condition as Wire;
        Self {
            condition: Some(match condition {
                Condition::PointsAt(digest) => Wire::PointsAt(digest.into()),
                Condition::Absent => Wire::Absent(true),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
