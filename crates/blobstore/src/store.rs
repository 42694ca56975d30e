//! What a store of objects does, and what a writer of one object does.
//!
//! Owns the contract of every body: ordering, durability, visibility, cancellation. Leaves to the
//! callers what the bytes mean: hashing, naming, who may read, when to delete.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{BlobKey, BlobReader, CreateError, ReadError, ResumeError, StorageError, WriteError};

/// Where the bytes of blobs rest.
///
/// ```text
///            append, sync, truncate            reads, ranges
///                 +------+                       +------+
///                 v      |                       v      |
///  create ---> unfinished ------- commit -----> finished
///                 |    ^                            |
///   drop, crash --+    +-- resume                   |
///                 |                                 |
///                 +----- abort, delete, sweep ------+---> nothing
/// ```
///
/// # Contract
///
/// * **Visibility.** [`open`](Self::open) and [`stat`](Self::stat) see finished objects only, and
///   those whole. Nothing is seen before [`BlobWriter::commit`] makes it so.
/// * **Durability.** What a `commit` or a `sync` that returned `Ok` has covered survives the end of
///   the process and a power cut. A delete may be undone by a power cut; the sweep finds it again.
/// * **Immutability.** A finished object never changes. Its key is never given again.
/// * **Reading while deleting.** A reader that is open reads to its end or fails visibly; it never
///   gets other bytes, nor fewer.
/// * **Cancellation.** Dropping the future of a `BlobStore` call leaves its effect unknown, never
///   half-made: repeat it, or look.
/// * **Retries** are the caller's. No body retries a failed write or sync. One whose medium is behind
///   a network may make the same request several times, where that comes to the same as once; what
///   it answers then is final.
///
/// Every body passes the suite in `conformance` (feature `testing`).
#[async_trait]
pub trait BlobStore: Send + Sync + 'static {
    /// Starts an unfinished object, which readers do not see.
    ///
    /// # Errors
    ///
    /// [`CreateError::Exists`] if the key has an object, finished or not.
    async fn create(&self, key: &BlobKey) -> Result<Box<dyn BlobWriter>, CreateError>;

    /// Takes up an unfinished object whose writer was dropped or died. `None`: there is none, for
    /// it was never started, or was deleted, or is finished, which [`stat`](Self::stat) tells and
    /// which is durable from then on, though its commit may never have returned.
    ///
    /// With `state`, which was exported after the last sync or the one before it, the writer stands
    /// exactly where it stood then, and what came later is cut off. A body may have forgotten what was
    /// synced earlier. Without, it stands after whatever is there, and [`BlobWriter::len`] tells
    /// how much: at least what was synced. After a power cut, the bytes behind the last sync need
    /// not be what was appended; only the digest can tell.
    ///
    /// # Errors
    ///
    /// [`ResumeError::Busy`] while another writer of this process has the object;
    /// [`ResumeError::Lost`] if it cannot be returned to `state`, mostly because less is there.
    async fn resume(
        &self,
        key: &BlobKey,
        state: Option<&WriterState>,
    ) -> Result<Option<Box<dyn BlobWriter>>, ResumeError>;

    /// Opens a finished object, or the bytes of it in `range`, which counts from 0 and is
    /// half-open. A range may be empty; it may not reach beyond the end.
    ///
    /// # Errors
    ///
    /// [`ReadError::NotFound`], [`ReadError::OutOfRange`].
    async fn open(&self, key: &BlobKey, range: Option<Range<u64>>)
    -> Result<BlobReader, ReadError>;

    /// The size in bytes of a finished object; `None` if there is none.
    ///
    /// # Errors
    ///
    /// When the medium fails.
    async fn stat(&self, key: &BlobKey) -> Result<Option<u64>, StorageError>;

    /// Removes the object, finished or not. Removing what is not there is `Ok`. A writer that is
    /// still at it fails at the latest when it commits.
    ///
    /// # Errors
    ///
    /// When the medium fails; the object may then be there or not.
    async fn delete(&self, key: &BlobKey) -> Result<(), StorageError>;

    /// Up to `limit` objects, finished or not, in the order of their keys, from the first key
    /// greater than `after`. An empty page ends the listing. What is created or deleted meanwhile
    /// may be listed or not; all else is listed exactly once.
    ///
    /// It serves the sweep of orphans, not the request path: a page may cost a walk over a folder.
    ///
    /// # Errors
    ///
    /// When the medium fails.
    async fn list(
        &self,
        after: Option<&BlobKey>,
        limit: usize,
    ) -> Result<Vec<Listed>, StorageError>;

    /// How much room there is; `None` where the medium has no such notion.
    ///
    /// # Errors
    ///
    /// When the medium fails.
    async fn space(&self) -> Result<Option<Space>, StorageError>;
}

/// The only writer of one unfinished object. It appends; bytes are written behind, in the order
/// given, while the next ones arrive.
///
/// Dropping it keeps the unfinished object, with at least what was synced, for
/// [`BlobStore::resume`]. After a failure the object is removed, or, where what was synced is out of
/// danger, left as the last sync left it; and every later call answers [`WriteError::Poisoned`].
#[async_trait]
pub trait BlobWriter: Send {
    /// Bytes taken so far, those of earlier writers included.
    fn len(&self) -> u64;

    /// Whether no byte was taken yet.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes `chunk`, and waits only while too much is not yet written: memory per writer is
    /// bounded whatever the sender's rate. An `Ok` promises nothing about durability, and an error
    /// of the medium may appear at a later call.
    ///
    /// Dropped before it is done, it has taken a part of `chunk`, and [`len`](Self::len) tells
    /// which; the writer is sound.
    ///
    /// # Errors
    ///
    /// When this or an earlier chunk could not be written.
    async fn append(&mut self, chunk: Bytes) -> Result<(), WriteError>;

    /// Makes everything appended so far survive the end of the process and a power cut, and
    /// returns how many bytes that are.
    ///
    /// # Errors
    ///
    /// When a byte could not be made durable.
    async fn sync(&mut self) -> Result<u64, WriteError>;

    /// What is needed to continue from the last [`sync`](Self::sync), for safe keeping by the
    /// caller.
    fn state(&self) -> WriterState;

    /// Forgets all bytes from `len` on. `len` is 0, or was returned by one of the last two
    /// [`sync`](Self::sync)s, or is where the writer was resumed; a body may refuse others. The bytes before it stay durable;
    /// that the others are gone is durable with the next sync.
    ///
    /// # Errors
    ///
    /// [`WriteError::Offset`] if it is greater than the length, or refused.
    async fn truncate(&mut self, len: u64) -> Result<(), WriteError>;

    /// Finishes the object: its bytes are made durable, then its name, and it is visible from then
    /// on, never partially. Returns its size in bytes. Nothing is copied.
    ///
    /// Dropped before it is done, or cut short by a crash, its outcome is unknown:
    /// [`BlobStore::resume`] tells it, and then [`BlobStore::stat`].
    ///
    /// # Errors
    ///
    /// When anything could not be made durable. The object is then gone, or, where the outcome
    /// could not be learnt, whole: who gives up deletes the key.
    async fn commit(self: Box<Self>) -> Result<u64, WriteError>;

    /// Removes the unfinished object. A failure to do so is logged; the sweep finds what is left.
    async fn abort(self: Box<Self>);
}

/// What a writer exports so that another one, perhaps in another process, can continue from the
/// last sync. Kept by the caller beside its session; small.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriterState {
    /// How many bytes were synced.
    pub len: u64,
    /// What the body needs besides, such as the parts of a multipart upload; empty if nothing.
    pub detail: String,
}

/// An object as the sweep sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub key: BlobKey,
    /// Whether it was committed.
    pub finished: bool,
    /// Bytes that it occupies, as far as the body knows.
    pub size: u64,
    /// When it was last written, in milliseconds since the Unix epoch by the medium's clock.
    pub modified_millis: Option<u64>,
}

/// Room in a store, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What may still be written.
    pub free: u64,
    /// What the medium holds in all.
    pub total: u64,
}

#[async_trait]
impl<S: BlobStore + ?Sized> BlobStore for Arc<S> {
    async fn create(&self, key: &BlobKey) -> Result<Box<dyn BlobWriter>, CreateError> {
        (**self).create(key).await
    }

    async fn resume(
        &self,
        key: &BlobKey,
        state: Option<&WriterState>,
    ) -> Result<Option<Box<dyn BlobWriter>>, ResumeError> {
        (**self).resume(key, state).await
    }

    async fn open(
        &self,
        key: &BlobKey,
        range: Option<Range<u64>>,
    ) -> Result<BlobReader, ReadError> {
        (**self).open(key, range).await
    }

    async fn stat(&self, key: &BlobKey) -> Result<Option<u64>, StorageError> {
        (**self).stat(key).await
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), StorageError> {
        (**self).delete(key).await
    }

    async fn list(
        &self,
        after: Option<&BlobKey>,
        limit: usize,
    ) -> Result<Vec<Listed>, StorageError> {
        (**self).list(after, limit).await
    }

    async fn space(&self) -> Result<Option<Space>, StorageError> {
        (**self).space().await
    }
}
