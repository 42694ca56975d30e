//! Events as the outbox keeps them.
//!
//! Owns the form of an [`Envelope`] in the state: spelt out here, field by field, so that a change
//! of the kernel's type is a compile error and not another format under the same format byte. What
//! peers and consumers see is the event log's form, which is `proto`'s.

use meridian_clock::Version;
use meridian_event::{Envelope, Event, EventId, Leaf, RegistryId};
use meridian_oci::{Digest, MediaType, RepositoryName, Tag};
use serde::{Deserialize, Serialize};

/// A row of the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Outgoing(#[serde(with = "EnvelopeForm")] pub(crate) Envelope);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Envelope")]
struct EnvelopeForm {
    id: EventId,
    version: Version,
    registry: RegistryId,
    #[serde(with = "EventForm")]
    event: Event,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Event")]
enum EventForm {
    RegistryCreated {
        name: Box<str>,
    },
    ManifestPut {
        repository: RepositoryName,
        #[serde(with = "crate::compact")]
        manifest: Leaf,
        #[serde(with = "crate::compact")]
        media_type: MediaType,
        tags: Vec<Tag>,
        #[serde(with = "crate::compact")]
        blobs: Vec<Leaf>,
        #[serde(with = "crate::compact")]
        children: Vec<Leaf>,
        #[serde(with = "crate::compact")]
        subject: Option<Digest>,
    },
    ManifestDeleted {
        repository: RepositoryName,
        #[serde(with = "crate::compact")]
        digest: Digest,
    },
    TagDeleted {
        repository: RepositoryName,
        tag: Tag,
        #[serde(with = "crate::compact")]
        digest: Digest,
    },
    BlobPut {
        repository: RepositoryName,
        #[serde(with = "crate::compact")]
        blob: Leaf,
        mounted_from: Option<RepositoryName>,
    },
    BlobDeleted {
        repository: RepositoryName,
        #[serde(with = "crate::compact")]
        digest: Digest,
    },
}
