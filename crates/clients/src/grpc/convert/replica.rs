//! What the agents of a region ask its metadata, and nobody else.

use std::sync::Arc;

use meridian_event::RegistryId;
use meridian_oci::{Digest, RepositoryName};
use meridian_proto::meridian::replication::v1 as pb;
use meridian_proto::{DecodeError, digest, registry, required, text};

use super::Result;
use crate::replica::{
    AgentId, Attendance, Content, Incomplete, ManifestBytes, Merged, Presence, RemoteBatch, Stored,
};

impl From<ManifestBytes> for pb::ManifestBytes {
    fn from(manifest: ManifestBytes) -> Self {
        Self {
            registry: Some(manifest.registry.into()),
            digest: Some(manifest.digest.into()),
            content: manifest.bytes,
        }
    }
}

impl TryFrom<pb::ManifestBytes> for ManifestBytes {
    type Error = DecodeError;

    /// Bytes that are not what their digest says are for the service to tell: they must not fail a
    /// whole batch.
    fn try_from(value: pb::ManifestBytes) -> Result<Self> {
        Ok(Self {
            registry: registry(value.registry, "manifest.registry")?,
            digest: digest(value.digest, "manifest.digest")?,
            bytes: value.content,
        })
    }
}

/// A manifest to be kept.
///
/// # Errors
///
/// When it is missing, or has no name.
pub fn manifest_bytes(value: Option<pb::ManifestBytes>) -> Result<ManifestBytes> {
    required(value, "manifest")?.try_into()
}

impl From<RemoteBatch> for pb::MergeEventsRequest {
    fn from(batch: RemoteBatch) -> Self {
        Self {
            events: batch.events.iter().map(|event| (&**event).into()).collect(),
            manifests: batch.manifests.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<pb::MergeEventsRequest> for RemoteBatch {
    type Error = DecodeError;

    fn try_from(value: pb::MergeEventsRequest) -> Result<Self> {
        let events = value.events.into_iter();
        let manifests = value.manifests.into_iter().map(TryInto::try_into);
        Ok(Self {
            events: events
                .map(|event| event.try_into().map(Arc::new))
                .collect::<Result<_>>()?,
            manifests: manifests.collect::<Result<_>>()?,
        })
    }
}

impl From<Merged> for pb::MergeEventsResponse {
    fn from(merged: Merged) -> Self {
        let (place, refused) = match merged {
            Merged::Through(place) => (place, false),
            Merged::Refused(place) => (place, true),
        };
        Self {
            place: Some(place.into()),
            refused,
        }
    }
}

impl TryFrom<pb::MergeEventsResponse> for Merged {
    type Error = DecodeError;

    fn try_from(value: pb::MergeEventsResponse) -> Result<Self> {
        let place = required(value.place, "place")?.into();
        Ok(if value.refused {
            Self::Refused(place)
        } else {
            Self::Through(place)
        })
    }
}

impl From<Presence> for pb::Presence {
    fn from(presence: Presence) -> Self {
        match presence {
            Presence::Here => Self::Here,
            Presence::Wanted => Self::Wanted,
            Presence::Absent => Self::Absent,
        }
    }
}

/// What is known of content.
#[must_use]
pub fn presences(presences: Vec<Presence>) -> pb::LookResponse {
    let presences = presences.into_iter().map(pb::Presence::from);
    pb::LookResponse {
        presences: presences.map(Into::into).collect(),
    }
}

/// What is known of content, of which there were so many questions.
///
/// # Errors
///
/// When there are more answers or fewer, or one that this build does not know.
pub fn take_presences(value: pb::LookResponse, asked: usize) -> Result<Vec<Presence>> {
    if value.presences.len() != asked {
        return Err(DecodeError::Invalid("presences"));
    }
    value.presences.into_iter().map(presence).collect()
}

fn presence(value: i32) -> Result<Presence> {
    match pb::Presence::try_from(value) {
        Ok(pb::Presence::Here) => Ok(Presence::Here),
        Ok(pb::Presence::Wanted) => Ok(Presence::Wanted),
        Ok(pb::Presence::Absent) => Ok(Presence::Absent),
        Ok(pb::Presence::Unspecified) | Err(_) => Err(DecodeError::Invalid("presences")),
    }
}

/// A question for what is wanted.
#[must_use]
pub fn wanted_request(after: Option<(RegistryId, Digest)>, limit: usize) -> pb::ListWantedRequest {
    let (registry, digest) = after.unzip();
    pb::ListWantedRequest {
        after_registry: registry.map(Into::into),
        after: digest.map(Into::into),
        limit: limit as u64,
    }
}

/// After what the question goes on.
///
/// # Errors
///
/// When only a part of it is said, or it is none.
pub fn wanted_after(value: &pb::ListWantedRequest) -> Result<Option<(RegistryId, Digest)>> {
    if value.after_registry.is_none() && value.after.is_none() {
        return Ok(None);
    }
    Ok(Some((
        registry(value.after_registry.clone(), "after_registry")?,
        digest(value.after.clone(), "after")?,
    )))
}

/// Pieces of content.
#[must_use]
pub fn contents(contents: impl IntoIterator<Item = Content>) -> Vec<pb::Content> {
    contents.into_iter().map(Into::into).collect()
}

/// Pieces of content.
///
/// # Errors
///
/// When one of them means nothing.
pub fn take_contents(value: Vec<pb::Content>) -> Result<Vec<Content>> {
    value.into_iter().map(TryInto::try_into).collect()
}

/// A blob that is to be leased.
///
/// # Errors
///
/// When it means nothing.
pub fn take_lease_request(
    value: pb::LeaseBlobRequest,
) -> Result<(RegistryId, RepositoryName, Digest)> {
    Ok((
        registry(value.registry, "registry")?,
        text(&value.repository, "repository")?,
        digest(value.digest, "digest")?,
    ))
}

impl From<Stored> for pb::StoreManifestResponse {
    fn from(stored: Stored) -> Self {
        Self {
            unreadable: match stored {
                Stored::Kept => None,
                Stored::Unreadable { reason } => Some(reason),
            },
        }
    }
}

impl From<pb::StoreManifestResponse> for Stored {
    fn from(value: pb::StoreManifestResponse) -> Self {
        match value.unreadable {
            None => Self::Kept,
            Some(reason) => Self::Unreadable { reason },
        }
    }
}

impl From<Incomplete> for pb::Incomplete {
    fn from(row: Incomplete) -> Self {
        Self {
            registry: Some(row.registry.into()),
            images: row.images,
        }
    }
}

impl TryFrom<pb::Incomplete> for Incomplete {
    type Error = DecodeError;

    fn try_from(value: pb::Incomplete) -> Result<Self> {
        Ok(Self {
            registry: registry(value.registry, "registries.registry")?,
            images: value.images,
        })
    }
}

impl From<Attendance> for pb::AttendResponse {
    fn from(attendance: Attendance) -> Self {
        Self {
            agents: attendance.agents.iter().map(|agent| agent.0).collect(),
            settled: attendance.is_settled,
        }
    }
}

impl From<pb::AttendResponse> for Attendance {
    fn from(value: pb::AttendResponse) -> Self {
        Self {
            agents: value.agents.into_iter().map(AgentId).collect(),
            is_settled: value.settled,
        }
    }
}
