//! An event and its envelope.

use meridian_clock::Version;
use meridian_oci::{Digest, MediaType, RepositoryName, Tag};
use serde::{Deserialize, Serialize};

use crate::{EventId, RegistryId};

/// One committed mutation, as everybody outside of the metadata group learns of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The idempotency key.
    pub id: EventId,
    /// The version that the mutation stamped on the cells it wrote.
    pub version: Version,
    /// The registry in which it happened.
    pub registry: RegistryId,
    /// What happened.
    pub event: Event,
}

/// What happened. Closed: new kinds are emitted only when every consumer knows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A registry was created.
    RegistryCreated {
        /// Its name.
        name: Box<str>,
    },
    /// A manifest was put, and perhaps tagged.
    ManifestPut {
        /// Where.
        repository: RepositoryName,
        /// What.
        manifest: Leaf,
        /// How it is to be read.
        media_type: MediaType,
        /// The tags that now point at it.
        tags: Vec<Tag>,
        /// The blobs that it needs; foreign ones are left out.
        blobs: Vec<Leaf>,
        /// The manifests that it needs.
        children: Vec<Leaf>,
        /// The manifest that it refers to.
        subject: Option<Digest>,
    },
    /// A manifest was deleted, and with it every tag that pointed at it.
    ManifestDeleted {
        /// Where.
        repository: RepositoryName,
        /// What.
        digest: Digest,
    },
    /// A tag was deleted; what it pointed at is still there.
    TagDeleted {
        /// Where.
        repository: RepositoryName,
        /// The tag.
        tag: Tag,
        /// What it pointed at.
        digest: Digest,
    },
    /// A blob arrived in a repository, by upload or by mount.
    BlobPut {
        /// Where.
        repository: RepositoryName,
        /// What.
        blob: Leaf,
        /// The repository from which it was mounted.
        mounted_from: Option<RepositoryName>,
    },
    /// A client deleted a blob that no manifest needed. Older leases on it end everywhere.
    BlobDeleted {
        /// Where.
        repository: RepositoryName,
        /// What.
        digest: Digest,
    },
}

/// A body, named and measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Leaf {
    /// Its content.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
}

// === impl Event ===

impl Event {
    /// The repository that it happened in, if it is not about the registry as a whole.
    #[must_use]
    pub const fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Self::RegistryCreated { .. } => None,
            Self::ManifestPut { repository, .. }
            | Self::ManifestDeleted { repository, .. }
            | Self::TagDeleted { repository, .. }
            | Self::BlobPut { repository, .. }
            | Self::BlobDeleted { repository, .. } => Some(repository),
        }
    }
}
