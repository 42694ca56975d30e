//! Garbage collection.

use meridian_event::{Leaf, RegistryId};
use meridian_oci::Digest;
use meridian_proto::meridian::metadata::v1 as pb;
use meridian_proto::{DecodeError, digest, leaf, registry, required};

use super::Result;
use crate::{Collect, CollectOutcome, Doomed, Due, StorageKey};

type Candidate = (RegistryId, Digest);

impl From<Due> for pb::Due {
    fn from(due: Due) -> Self {
        let leaf = Leaf {
            digest: due.digest,
            size: due.size,
        };
        Self {
            registry: Some(due.registry.into()),
            blob: Some(leaf.into()),
            condemned: due.condemned,
            held: due.held,
        }
    }
}

impl TryFrom<pb::Due> for Due {
    type Error = DecodeError;

    fn try_from(value: pb::Due) -> Result<Self> {
        let blob = leaf(value.blob, "due.blob")?;
        Ok(Self {
            registry: registry(value.registry, "due.registry")?,
            digest: blob.digest,
            size: blob.size,
            condemned: value.condemned,
            held: value.held,
        })
    }
}

/// The answer to a question for due blobs.
#[must_use]
pub fn due(due: Vec<Due>) -> pb::ListDueResponse {
    pb::ListDueResponse {
        due: due.into_iter().map(Into::into).collect(),
    }
}

/// Due blobs.
///
/// # Errors
///
/// When one of them means nothing.
pub fn take_due(value: pb::ListDueResponse) -> Result<Vec<Due>> {
    value.due.into_iter().map(TryInto::try_into).collect()
}

/// The answer to a question for doomed objects.
#[must_use]
pub fn doomed(doomed: Vec<Doomed>) -> pb::ListDoomedResponse {
    pb::ListDoomedResponse {
        keys: doomed.into_iter().map(|doomed| doomed.key.into()).collect(),
    }
}

/// Doomed objects.
///
/// # Errors
///
/// When one of them means nothing.
pub fn take_doomed(value: pb::ListDoomedResponse) -> Result<Vec<Doomed>> {
    let keys = storage_keys(value.keys)?.into_iter();
    Ok(keys.map(|key| Doomed { key }).collect())
}

/// Names of objects.
///
/// # Errors
///
/// When one of them means nothing.
pub fn storage_keys(keys: Vec<pb::StorageKey>) -> Result<Vec<StorageKey>> {
    keys.into_iter().map(TryInto::try_into).collect()
}

impl From<Collect> for pb::collect_request::Step {
    fn from(step: Collect) -> Self {
        match step {
            Collect::Condemn(blobs) => Self::Condemn(candidates(blobs)),
            Collect::Remove(blobs) => Self::Remove(candidates(blobs)),
            Collect::Deleted(keys) => Self::Deleted(wire_keys(keys)),
            Collect::Doom(keys) => Self::Doom(wire_keys(keys)),
        }
    }
}

impl TryFrom<Option<pb::collect_request::Step>> for Collect {
    type Error = DecodeError;

    fn try_from(value: Option<pb::collect_request::Step>) -> Result<Self> {
        use pb::collect_request::Step;
        Ok(match required(value, "step")? {
            Step::Condemn(blobs) => Self::Condemn(take_candidates(blobs)?),
            Step::Remove(blobs) => Self::Remove(take_candidates(blobs)?),
            Step::Deleted(keys) => Self::Deleted(storage_keys(keys.keys)?),
            Step::Doom(keys) => Self::Doom(storage_keys(keys.keys)?),
        })
    }
}

fn wire_keys(keys: Vec<StorageKey>) -> pb::StorageKeys {
    pb::StorageKeys {
        keys: keys.into_iter().map(Into::into).collect(),
    }
}

fn candidates(blobs: Vec<Candidate>) -> pb::Candidates {
    let candidates = blobs.into_iter().map(|(registry, digest)| pb::Candidate {
        registry: Some(registry.into()),
        digest: Some(digest.into()),
    });
    pb::Candidates {
        candidates: candidates.collect(),
    }
}

fn take_candidates(value: pb::Candidates) -> Result<Vec<Candidate>> {
    let candidates = value.candidates.into_iter().map(|candidate| {
        let registry = registry(candidate.registry, "candidate.registry")?;
        Ok((registry, digest(candidate.digest, "candidate.digest")?))
    });
    candidates.collect()
}

impl From<CollectOutcome> for pb::CollectResponse {
    fn from(outcome: CollectOutcome) -> Self {
        Self {
            blobs: outcome.blobs,
            bytes: outcome.bytes,
        }
    }
}

impl From<pb::CollectResponse> for CollectOutcome {
    fn from(value: pb::CollectResponse) -> Self {
        Self {
            blobs: value.blobs,
            bytes: value.bytes,
        }
    }
}
