//! The metadata service, in domain terms.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use meridian_clock::{Region, Version};
use meridian_error::{Classify, Code, Retry};
use meridian_event::{Leaf, RegistryId};
use meridian_oci::{Digest, Manifest, MediaType, Reference, RegistryName, RepositoryName, Tag};

use crate::{Page, PageRequest, RepositoryPath, RequestId};

/// The truth of a region.
///
/// # Contract
///
/// Reads are linearizable: they see every write that was acknowledged before they were called. While
/// no quorum answers, a manifest or a blob that is asked for by its digest is answered from the last
/// known state, and says so ([`Stale`]); what that state does not have is [`ReadError::Unavailable`],
/// not unknown.
/// A write that returned `Ok` is on stable storage of a quorum and survives any crash. A write
/// that failed with a retryable error has an unknown outcome; sent again with the same
/// [`RequestId`] it takes effect once and returns what it returned, or would have returned, first.
#[async_trait]
pub trait MetadataApi: Send + Sync + 'static {
    /// The manifest that a reference names, bytes included.
    async fn manifest(
        &self,
        repository: &RepositoryPath,
        reference: &Reference,
    ) -> Result<StoredManifest, ReadError>;

    /// What [`manifest`](Self::manifest) would return, without its bytes.
    async fn manifest_stat(
        &self,
        repository: &RepositoryPath,
        reference: &Reference,
    ) -> Result<ManifestStat, ReadError>;

    /// The tags of a repository, in byte order.
    async fn tags(
        &self,
        repository: &RepositoryPath,
        page: PageRequest<Tag>,
    ) -> Result<Page<Tag>, ReadError>;

    /// The repositories of a registry that hold a manifest, in byte order.
    async fn repositories(
        &self,
        registry: &RegistryName,
        page: PageRequest<RepositoryName>,
    ) -> Result<Page<RepositoryName>, ReadError>;

    /// The manifests whose `subject` is `subject`, ordered by digest; an unknown subject, or an
    /// unknown repository, has none. With `artifact_types`, only those of one of these types.
    /// The answer ends when its descriptors exceed `max_bytes`, but holds at least one, unless many had
    /// to be passed over: then it may hold none, and says where to go on.
    async fn referrers(
        &self,
        repository: &RepositoryPath,
        subject: Digest,
        artifact_types: &[String],
        after: Option<Digest>,
        max_bytes: usize,
    ) -> Result<Referrers, ReadError>;

    /// The record of a blob that is present in a repository.
    async fn blob(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
    ) -> Result<BlobRecord, ReadError>;

    /// Puts a manifest, and tags it, in one step.
    async fn put_manifest(&self, request: PutManifest) -> Result<ManifestPut, WriteError>;

    /// Deletes a tag, or a manifest and with it every tag that points at it.
    async fn delete_manifest(&self, request: DeleteManifest) -> Result<Deleted, WriteError>;

    /// Records a blob whose bytes are durable, and leases it to the repository. A blob that is
    /// recorded already keeps its place, and the new object is doomed.
    ///
    /// # Errors
    ///
    /// [`ReadError::BlobUnknown`] when the object may be gone, because it was named or doomed before:
    /// the bytes must be placed anew, under another generation, and recorded by another request.
    async fn put_blob(&self, request: PutBlob) -> Result<BlobPut, WriteError>;

    /// Records a blob whose bytes are durable and came from another region. It is present in the
    /// repositories that need it, and leased to none; whoever waits for it sees it from then on. A
    /// blob that is recorded already keeps its place, and the new object is doomed.
    ///
    /// # Errors
    ///
    /// As those of [`put_blob`](Self::put_blob); but the registry need not be known here yet.
    async fn store_blob(&self, request: StoreBlob) -> Result<BlobPut, WriteError>;

    /// Makes a blob of one repository present in another, if it is there; `from` absent means any
    /// repository of the registry. `None` when there is nothing to mount.
    async fn mount_blob(
        &self,
        repository: &RepositoryPath,
        from: Option<&RepositoryName>,
        digest: Digest,
        request: RequestId,
    ) -> Result<Option<BlobPut>, WriteError>;

    /// Renews the lease of a blob that a push relies on. Free when nothing needs to change.
    async fn touch_blob(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
        request: RequestId,
    ) -> Result<(), WriteError>;

    /// Deletes a blob from a repository; refused while a manifest there needs it.
    async fn delete_blob(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
        request: RequestId,
    ) -> Result<Deleted, WriteError>;

    /// Reserves `count` generations, which nobody else ever gets.
    async fn reserve_generations(
        &self,
        count: u64,
        request: RequestId,
    ) -> Result<Generations, WriteError>;

    /// The id behind a registry's name.
    async fn registry(&self, name: &RegistryName) -> Result<RegistryId, ReadError>;

    /// Blobs whose turn to be looked at by garbage collection has come, oldest first.
    async fn due(&self, limit: usize) -> Result<Vec<Due>, ReadError>;

    /// Takes a step of garbage collection for each candidate; each is decided anew where it is
    /// applied, so a stale candidate is harmless.
    async fn collect(
        &self,
        step: Collect,
        request: RequestId,
    ) -> Result<CollectOutcome, WriteError>;

    /// Objects that must be deleted physically, oldest first.
    async fn doomed(&self, limit: usize) -> Result<Vec<Doomed>, ReadError>;

    /// Which of these objects a blob record names, or are doomed. For the sweep of orphans, which
    /// must have the others doomed before it deletes them: the answer is old when it arrives.
    async fn known(&self, keys: &[StorageKey]) -> Result<Vec<bool>, ReadError>;

    /// What a registry holds.
    async fn usage(&self, registry: &RegistryName) -> Result<Usage, ReadError>;
}

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
    /// From [`MetadataApi::reserve_generations`].
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
    /// Set when nobody could say whether it is still there.
    pub stale: Option<Stale>,
}

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

/// Why a read has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// No registry of that name.
    #[error("no such registry")]
    RegistryUnknown,
    /// No repository of that name.
    #[error("no such repository")]
    RepositoryUnknown,
    /// The repository has no such tag or manifest.
    #[error("no such manifest")]
    ManifestUnknown,
    /// The blob is not present in the repository.
    #[error("no such blob")]
    BlobUnknown,
    /// The metadata group cannot answer now.
    #[error("the metadata service is not available: {reason}")]
    Unavailable {
        /// Why, for the log.
        reason: String,
    },
    /// The answer did not come in time.
    #[error("the metadata service did not answer in time")]
    DeadlineExceeded,
    /// A bug, or a failing machine.
    #[error("the metadata service failed: {reason}")]
    Internal {
        /// Why, for the log.
        reason: String,
    },
}

/// Why a write was refused, or has an unknown outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// What the write stands on does not exist.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The condition does not hold.
    #[error("the condition of the request does not hold")]
    ConditionFailed {
        /// What the tag points at.
        current: Option<Digest>,
    },
    /// The manifest names content that is not present in the repository.
    #[error("the manifest names {} absent objects", .0.len())]
    LeavesUnknown(Vec<Digest>),
    /// The manifest gives a size that is not the size of what it names.
    #[error("the manifest gives a wrong size for {} objects", .0.len())]
    SizesDiffer(Vec<Digest>),
    /// Present manifests still need it.
    #[error("{} manifests still need it", .0.len())]
    InUse(Vec<Digest>),
    /// A limit of the registry was reached.
    #[error("a limit was reached: {what}")]
    Exhausted {
        /// Which.
        what: String,
        /// When it may be over.
        retry_after: Option<Duration>,
    },
    /// The disk of the metadata has no room for more. Nothing was written; what deletes goes on.
    #[error("the disk of the metadata is full")]
    NoRoom,
    /// What another region is said to have done cannot be: it contradicts itself, or is not another
    /// region's. Trying again does not help.
    #[error("what is to be merged cannot have happened: {reason}")]
    Malformed {
        /// Why, for the log.
        reason: String,
    },
}

// === impl ReadError ===

impl Classify for ReadError {
    fn code(&self) -> Code {
        match self {
            Self::RegistryUnknown
            | Self::RepositoryUnknown
            | Self::ManifestUnknown
            | Self::BlobUnknown => Code::NotFound,
            Self::Unavailable { .. } => Code::Unavailable,
            Self::DeadlineExceeded => Code::DeadlineExceeded,
            Self::Internal { .. } => Code::Internal,
        }
    }
}

// === impl WriteError ===

impl Classify for WriteError {
    fn code(&self) -> Code {
        match self {
            Self::Read(error) => error.code(),
            Self::ConditionFailed { .. } | Self::InUse(_) => Code::Conflict,
            Self::LeavesUnknown(_) | Self::SizesDiffer(_) | Self::Malformed { .. } => {
                Code::InvalidArgument
            }
            Self::Exhausted { .. } | Self::NoRoom => Code::ResourceExhausted,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Read(error) => error.retry(),
            Self::Exhausted { retry_after, .. } => Retry::Yes {
                after: *retry_after,
            },
            Self::NoRoom => Retry::Yes { after: None },
            _ => Retry::No,
        }
    }
}
