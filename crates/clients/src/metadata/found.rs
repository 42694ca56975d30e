//! What reads of the metadata return.
//!
//! Owns the records as the metadata keeps them, and where the bytes of a blob are. Leaves what reads
//! may fail with to its neighbour.

use std::time::Duration;

use bytes::Bytes;
use meridian_clock::{Region, Version};
use meridian_event::{Attributes, RegistryId};
use meridian_oci::{Digest, MediaType, Tag};

/// A manifest as it was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredManifest {
    /// Everything but the bytes.
    pub stat: ManifestStat,
    /// The exact bytes.
    pub bytes: Bytes,
}

/// A manifest, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestStat {
    /// Its digest, in the algorithm under which it was put.
    pub digest: Digest,
    /// Its media type, as pushed.
    pub media_type: MediaType,
    /// Its length in bytes.
    pub size: u64,
    /// The version of the tag, or of the manifest when it was asked for by digest.
    pub version: Version,
    /// Whether the tag was put anew in another region, and something of the new value is not here:
    /// this is the last value that is complete here (design §6.1).
    pub is_overtaken: bool,
    /// Set when nobody could say whether it is still there.
    pub stale: Option<Stale>,
}

/// A repository, a tag or a manifest, and its attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Whether it is there. What is gone is described as well if it has attributes still: they belong to the
    /// name, and would forbid what comes under it next.
    pub is_there: bool,
    /// Those in force for itself. Those of its repository count as well.
    pub attributes: Attributes<bool>,
    /// Of a repository, the oldest of its manifests, of those that were looked at; of a tag or a manifest,
    /// its last put.
    pub created: Option<Version>,
    /// Of a repository, the newest of them; of a tag or a manifest, its last put.
    pub updated: Option<Version>,
    /// Of a repository, how many manifests it holds.
    pub manifests: u64,
    /// Of a repository, how many tags it holds.
    pub tags: u64,
    /// What a tag points at.
    pub digest: Option<Digest>,
    /// The tags of a manifest, some of them if they are many.
    pub names: Vec<Tag>,
    /// The media type of a manifest.
    pub media_type: Option<MediaType>,
    /// The bytes of a manifest.
    pub bytes: Bytes,
}

impl Default for Described {
    /// Something that is not there, and of which nobody set anything.
    fn default() -> Self {
        Self {
            is_there: false,
            attributes: Attributes::ENABLED,
            created: None,
            updated: None,
            manifests: 0,
            tags: 0,
            digest: None,
            names: Vec::new(),
            media_type: None,
            bytes: Bytes::new(),
        }
    }
}

/// An answer from a state that may be old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stale {
    /// Whose state it is.
    pub region: Region,
    /// How long ago the state was known to be current, if it ever was.
    pub age: Option<Duration>,
}

/// Descriptors of referrers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referrers {
    /// The descriptors, each a JSON object, ordered by digest.
    pub descriptors: Vec<String>,
    /// The digest after which to go on, if more follow.
    pub next: Option<Digest>,
}

/// How stored bytes relate to the blob's plaintext.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// They are the plaintext.
    Plain,
}

/// Names an object in the blob store. Never reused: a late delete cannot hit a later upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorageKey {
    /// The registry that owns the object.
    pub registry: RegistryId,
    /// The region's epoch when the key was made.
    pub epoch: u64,
    /// From [`MetadataApi::reserve_generations`](crate::MetadataApi::reserve_generations).
    pub generation: u64,
}

/// Where a blob's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlobLocation {
    /// In the record itself: small blobs cost no object and no extra sync.
    Inline(Bytes),
    /// In the blob store.
    Stored(StorageKey),
}

/// A blob that is present in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobRecord {
    /// Its length in bytes.
    pub size: u64,
    /// How it is stored.
    pub encoding: Encoding,
    /// Where its bytes are.
    pub location: BlobLocation,
    /// Whether a push that relies on it must renew its lease first.
    pub wants_touch: bool,
    /// Whether it may be pulled. One that may not is there all the same, and a push may rely on it.
    pub is_readable: bool,
    /// Set when nobody could say whether it is still there.
    pub stale: Option<Stale>,
}
