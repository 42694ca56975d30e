//! Garbage collection, usage, and whether clients are to go elsewhere, as the metadata has it.
//!
//! A step names candidates; whether they go is decided where it is applied.

use meridian_event::RegistryId;
use meridian_oci::Digest;

use super::found::StorageKey;

/// A blob that garbage collection looks at next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    /// Its registry.
    pub registry: RegistryId,
    /// Which.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Whether it was condemned before.
    pub condemned: bool,
    /// Whether something holds it after all, so that its turn will be put off.
    pub held: bool,
}

/// A step of garbage collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Collect {
    /// Condemn what nothing holds any more. A condemned blob is present until it is removed, and
    /// any push that touches it, mounts it or names it revives it.
    Condemn(Vec<(RegistryId, Digest)>),
    /// Remove what is condemned, was not revived, and whose grace is over: from now on it is
    /// absent, and its object is doomed.
    Remove(Vec<(RegistryId, Digest)>),
    /// These objects are deleted physically.
    Deleted(Vec<StorageKey>),
    /// Doom objects that lie in the store and that no record names: from now on none can. What this
    /// region knows nothing of, by its registry or its generation, is left alone.
    Doom(Vec<StorageKey>),
}

/// What a step of garbage collection did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CollectOutcome {
    /// Blobs condemned or removed, objects done with or doomed, as the step was.
    pub blobs: u64,
    /// The bytes of those blobs.
    pub bytes: u64,
}

/// An object to delete physically.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Doomed {
    /// Which.
    pub key: StorageKey,
}

/// That clients are to go to other regions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drained {
    /// Since when, in milliseconds since 1970.
    pub millis: u64,
    /// Why, in the words of whoever had it so.
    pub reason: String,
}

/// What a registry holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Repositories that hold something.
    pub repositories: u64,
    /// Manifests present.
    pub manifests: u64,
    /// Tags visible.
    pub tags: u64,
    /// Blobs recorded, each counted once.
    pub blobs: u64,
    /// Bytes of those blobs.
    pub blob_bytes: u64,
    /// Bytes of those manifests.
    pub manifest_bytes: u64,
}
