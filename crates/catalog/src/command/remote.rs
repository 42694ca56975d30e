//! What comes from other regions: their events, what was found there, and bytes.
//!
//! Registries are named by their ids here, because a region may hear of what happens in a registry
//! before it hears of the registry. Versions are those that the mutation was stamped with, where
//! it happened; nothing that is merged is stamped anew, or told to others.

use meridian_clock::{Region, Version};
use meridian_event::webhook::{Registration, WebhookName};
use meridian_event::{Attributes, Event, Leaf, RegistryId, Setting, Target};
use meridian_oci::{Digest, MediaType, RegistryName, RepositoryName, Tag};
use serde::{Deserialize, Serialize};

use super::{BlobPlace, Encoding, ObjectKey, raw};

/// What another region says of itself, and of this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Introduction {
    /// Which.
    pub region: Region,
    /// When its state heard first that there are others.
    pub born: Version,
    /// How it counts on this region, if it does.
    pub counted: Option<Counted>,
    /// The last version that it stamped.
    pub last: Version,
    /// Up to where it has dropped tombstones, by shard, as far as it has.
    pub floors: Vec<Option<Version>>,
    /// What it has merged last of each shard of this region, epoch and `seq`, as far as it has.
    pub merged: Vec<Option<(u64, u64)>>,
}

/// How a region counts on another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Which of those that bore its name, if it said so yet.
    pub born: Option<Version>,
    /// Since when it drops no tombstone that the other one has not merged.
    pub since: Version,
    /// Since when the other one counts on it, as far as it has accepted that.
    pub accepted: Option<Version>,
}

/// Consecutive events of a shard of another region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteEvents {
    /// Where they were committed.
    pub origin: Region,
    /// The epoch in which they count.
    pub epoch: u64,
    /// The shard.
    pub shard: u16,
    /// The events. What is merged already is skipped; the first of the others must be the next.
    pub events: Vec<RemoteEvent>,
}

/// An event of another region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteEvent {
    /// Its place in its shard.
    pub seq: u64,
    /// The version of the mutation.
    pub version: Version,
    /// The registry in which it happened.
    pub registry: RegistryId,
    /// What happened.
    #[serde(with = "crate::row::EventForm")]
    pub event: Event,
    /// The bytes of the manifest that it puts, if they are at hand.
    pub body: Option<ManifestBody>,
}

/// The bytes of a manifest, with all that `apply` needs to know of what they say: as in
/// [`NewManifest`](super::NewManifest).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestBody {
    /// The media type under which they were read.
    #[serde(with = "crate::compact")]
    pub media_type: MediaType,
    /// The exact bytes.
    #[serde(with = "raw")]
    pub bytes: Vec<u8>,
    /// The blobs that must be present.
    #[serde(with = "crate::compact")]
    pub blobs: Vec<Leaf>,
    /// The blobs that need not be present.
    #[serde(with = "crate::compact")]
    pub foreign: Vec<Leaf>,
    /// The manifests that an index names.
    #[serde(with = "crate::compact")]
    pub children: Vec<Leaf>,
    /// What it refers to.
    #[serde(with = "crate::compact")]
    pub subject: Option<Digest>,
    /// How it shows itself among the referrers of its subject.
    pub referrer: Option<(Option<String>, String)>,
}

/// A manifest whose bytes arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArrivedManifest {
    /// In which registry.
    pub registry: RegistryId,
    /// In which repository.
    pub repository: RepositoryName,
    /// Its digest.
    #[serde(with = "crate::compact")]
    pub digest: Digest,
    /// Its bytes.
    pub body: ManifestBody,
}

/// A blob whose bytes arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArrivedBlob {
    /// In which registry.
    pub registry: RegistryId,
    /// What.
    #[serde(with = "crate::compact")]
    pub blob: Leaf,
    /// How the stored bytes relate to the blob.
    pub encoding: Encoding,
    /// Where its bytes are.
    pub place: BlobPlace,
    /// The registry among whose objects they are; for bytes that are in the command itself, that of
    /// the blob.
    pub owner: Option<RegistryId>,
    /// The object whose bytes were found to be lost.
    pub instead_of: Option<ObjectKey>,
}

/// What another region holds: found by whoever asked it, or part of a copy of its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Found {
    /// A registry.
    Registry {
        /// Its id.
        id: RegistryId,
        /// The name that it was created with.
        name: RegistryName,
    },
    /// A manifest's cell.
    Manifest {
        /// In which registry.
        registry: RegistryId,
        /// In which repository.
        repository: RepositoryName,
        /// The cell.
        cell: Box<FoundManifest>,
    },
    /// A tag's winner.
    Tag {
        /// In which registry.
        registry: RegistryId,
        /// In which repository.
        repository: RepositoryName,
        /// The winner.
        tag: FoundTag,
    },
    /// When a repository was last deleted.
    Repository {
        /// In which registry.
        registry: RegistryId,
        /// Which.
        repository: RepositoryName,
        /// The version of the deletion.
        del: Version,
    },
    /// What attributes were set to last.
    Attributes {
        /// In which registry.
        registry: RegistryId,
        /// In which repository.
        repository: RepositoryName,
        /// Of what.
        #[serde(with = "crate::row::TargetForm")]
        target: Target,
        /// The values; nothing, where nobody set any.
        settings: Attributes<Option<Setting>>,
    },
    /// What a name stands for among the webhooks of a registry.
    Webhook {
        /// In which registry.
        registry: RegistryId,
        /// The name.
        name: WebhookName,
        /// When it was made to stand for that.
        version: Version,
        /// What it is; nothing, if it was deleted.
        registration: Option<Box<Registration>>,
    },
}

/// A tag's winner in another region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundTag {
    /// The tag.
    pub name: Tag,
    /// The version of its last put or deletion there.
    pub version: Version,
    /// What it points at; nothing, if it was deleted.
    #[serde(with = "crate::compact")]
    pub digest: Option<Digest>,
}

/// A manifest's cell in another region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundManifest {
    /// Which, and the length of its bytes.
    #[serde(with = "crate::compact")]
    pub manifest: Leaf,
    /// The newest put of it, or of what stands on it.
    pub add: Option<Version>,
    /// Its newest deletion.
    pub del: Option<Version>,
    /// The newest put of itself, and the media type that this gave it.
    pub put: Option<FoundPut>,
    /// Its bytes, if they are at hand.
    pub body: Option<ManifestBody>,
}

/// The newest put of a manifest in another region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundPut {
    /// Its version.
    pub version: Version,
    /// The media type that it gave to the manifest.
    #[serde(with = "crate::compact")]
    pub media_type: MediaType,
}

// === impl Found ===

impl Found {
    /// Every version in it.
    pub(crate) fn versions(&self) -> impl Iterator<Item = Version> {
        let versions = match self {
            Self::Registry { id, .. } => [Some(id.version()), None, None, None],
            Self::Manifest { cell, .. } => {
                let put = cell.put.as_ref().map(|put| put.version);
                [cell.add, cell.del, put, None]
            }
            Self::Tag { tag, .. } => [Some(tag.version), None, None, None],
            Self::Repository { del, .. } => [Some(*del), None, None, None],
            Self::Webhook { version, .. } => [Some(*version), None, None, None],
            Self::Attributes { settings, .. } => {
                let version = |setting: Setting| setting.version;
                let of = settings.map(|setting| setting.map(version));
                [of.delete, of.write, of.read, of.list]
            }
        };
        versions.into_iter().flatten()
    }
}
