//! The metadata service, in domain terms.
//!
//! Owns the contract. What its calls take and return stands in the files beside it: what is found, what is
//! written, what is collected, and what goes wrong.

mod collection;
mod error;
mod found;
mod list;
mod write;

use async_trait::async_trait;
use meridian_event::{RegistryId, Target};
use meridian_oci::{Digest, Reference, RegistryName, RepositoryName, Tag};

use crate::{Page, PageRequest, RepositoryPath, RequestId};

pub use collection::{Collect, CollectOutcome, Doomed, Drained, Due, Usage};
pub use error::{ReadError, WriteError};
pub use found::{
    BlobLocation, BlobRecord, Described, Encoding, ManifestStat, Referrers, Stale, StorageKey,
    StoredManifest,
};
pub use list::{Holding, ListRequest, Listing, Mark, Order};
pub use write::{
    AttributesSet, BlobPut, Condition, DeleteManifest, DeleteRepository, Deleted, Generations,
    ManifestPut, PutBlob, PutManifest, RepositoryDeleted, SetAttributes, StoreBlob,
};

/// The truth of a region.
///
/// # Contract
///
/// Reads are linearizable: they see every write that was acknowledged before they were called. While
/// no quorum answers, a manifest or a blob that is asked for by its digest is answered from the last
/// known state, and says so ([`Stale`]); what that state does not have is [`ReadError::Unavailable`],
/// not unknown. A manifest that must not be pulled is [`ReadError::Locked`], and so is a write that an
/// attribute forbids.
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

    /// Describes a repository, a tag or a manifest, if it is there or has attributes. One that must not be
    /// pulled, or is not in lists, is described like any other.
    async fn describe(
        &self,
        repository: &RepositoryPath,
        target: &Target,
    ) -> Result<Described, ReadError>;

    /// What a repository holds, described, but for what is not to be in lists. A page may be short of its
    /// limit, or empty, and says where to go on. Nothing, if the list cannot be put in order: by time,
    /// there is too much in it ([`ListRequest::MOST`]), or what it is to go on behind is not in it, and
    /// nothing says when that was put.
    async fn list(
        &self,
        repository: &RepositoryPath,
        request: ListRequest,
    ) -> Result<Option<Listing>, ReadError>;

    /// Sets attributes of a repository, a tag or a manifest. They hold in other regions as soon as those hear
    /// of them.
    async fn set_attributes(&self, request: SetAttributes) -> Result<AttributesSet, WriteError>;

    /// Deletes a repository and everything in it, unless something in it must not be deleted. When it is
    /// answered, nothing of it is visible any more; what it leaves behind is swept later.
    async fn delete_repository(
        &self,
        request: DeleteRepository,
    ) -> Result<RepositoryDeleted, WriteError>;

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

    /// Whether clients are to go to other regions, since when and why.
    async fn drained(&self) -> Result<Option<Drained>, ReadError>;
}
