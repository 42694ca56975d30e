//! Writes to the metadata, and what comes of them.
//!
//! Each carries the id of its request, under which it takes effect once, however often it is sent.

use meridian_clock::Version;
use meridian_event::{Attributes, Leaf, RegistryId, Target};
use meridian_oci::{Digest, Manifest, Reference, Tag};

use super::found::{BlobLocation, Encoding, StorageKey};
use crate::{RepositoryPath, RequestId};

/// What must hold for a write to a tag. Decided where the write is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// `If-Match: "<digest>"`: the tag points at it.
    PointsAt(Digest),
    /// `If-None-Match: *`: the tag, or the manifest if put by digest, does not exist.
    Absent,
}

/// A manifest to put.
#[derive(Debug, Clone)]
pub struct PutManifest {
    /// Where.
    pub repository: RepositoryPath,
    /// What, parsed and validated.
    pub manifest: Manifest,
    /// Its digest, in the algorithm under which it is to be kept.
    pub digest: Digest,
    /// The tags that shall point at it.
    pub tags: Vec<Tag>,
    /// What must hold.
    pub condition: Option<Condition>,
    /// Which request this is.
    pub request: RequestId,
}

/// A manifest or tag to delete.
#[derive(Debug, Clone)]
pub struct DeleteManifest {
    /// Where.
    pub repository: RepositoryPath,
    /// Which.
    pub reference: Reference,
    /// What must hold.
    pub condition: Option<Condition>,
    /// Which request this is.
    pub request: RequestId,
}

/// Attributes to set.
#[derive(Debug, Clone)]
pub struct SetAttributes {
    /// In which repository.
    pub repository: RepositoryPath,
    /// Of what.
    pub target: Target,
    /// What they are to be; those that are not given stay.
    pub attributes: Attributes<Option<bool>>,
    /// Which request this is.
    pub request: RequestId,
}

/// A repository to delete.
#[derive(Debug, Clone)]
pub struct DeleteRepository {
    /// Which.
    pub repository: RepositoryPath,
    /// Which request this is.
    pub request: RequestId,
}

/// A blob to record.
#[derive(Debug, Clone)]
pub struct PutBlob {
    /// Where.
    pub repository: RepositoryPath,
    /// What.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// How it is stored.
    pub encoding: Encoding,
    /// Where its bytes are.
    pub location: BlobLocation,
    /// The object whose bytes the writer found to be lost. If the record still names it, it names
    /// `location` from now on, and the former object is doomed.
    pub instead_of: Option<StorageKey>,
    /// Which request this is.
    pub request: RequestId,
}

/// A blob of another region to record.
#[derive(Debug, Clone)]
pub struct StoreBlob {
    /// In which registry.
    pub registry: RegistryId,
    /// What.
    pub blob: Leaf,
    /// How it is stored.
    pub encoding: Encoding,
    /// Where its bytes are.
    pub location: BlobLocation,
    /// As in [`PutBlob`].
    pub instead_of: Option<StorageKey>,
    /// Which request this is.
    pub request: RequestId,
}

/// A manifest that was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestPut {
    /// The version of the mutation.
    pub version: Version,
}

/// A blob that was recorded or mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobPut {
    /// The version of the mutation.
    pub version: Version,
    /// The object that the record keeps, if it is not the one that was put: whoever uploaded the
    /// bytes once more can look whether that is still there.
    pub kept: Option<StorageKey>,
}

/// Something that was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deleted {
    /// The version of the mutation.
    pub version: Version,
}

/// Attributes that were set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributesSet {
    /// The version of the mutation; there was none, if nothing was to be set.
    pub version: Option<Version>,
}

/// A repository that was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryDeleted {
    /// The version of the mutation.
    pub version: Version,
    /// The manifests that it held a moment before, at most [`RepositoryDeleted::NAMED`].
    pub manifests: Vec<Digest>,
    /// Its tags, at most as many.
    pub tags: Vec<Tag>,
}

/// A block of generations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generations {
    /// The epoch in which they are unique.
    pub epoch: u64,
    /// The first one.
    pub first: u64,
    /// How many.
    pub count: u64,
}

// === impl RepositoryDeleted ===

impl RepositoryDeleted {
    /// How many manifests, and how many tags, an answer names.
    pub const NAMED: usize = 1000;
}
