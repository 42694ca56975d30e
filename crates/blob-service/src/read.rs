//! Blobs on their way out.
//!
//! Keeps the invariants that presence is the metadata's to say, never the store's, and that a body
//! has exactly the promised bytes or fails visibly. So an object that is missing although a record
//! names it is an outage (and an alarm), not an absent blob. But a push that asks whether it must
//! upload the blob hears that it must, once the loss is known: that is how it is repaired. Whether a blob
//! may be pulled is the metadata's to say as well; it is told, and what is delivered obeys it.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::{StreamExt, stream};
use meridian_blobstore::{BlobStore, Presign, ReadError as NotOpened};
use meridian_clients::{
    BlobLocation, BlobRead, BlobRecord, BlobStat, ByteStream, Delivered, Delivery, Handover,
    MetadataApi, ReadBlobError, ReadError, RepositoryPath, StorageKey, WriteError,
};
use meridian_oci::{ByteRange, Digest, Resolved};

use crate::handover;
use crate::layout;
use crate::loss::{self, Losses};
use crate::propose::Proposer;

/// How often a blob that moved while it was opened is looked up again.
const LOOKS: usize = 3;

/// Looks blobs up and opens them.
pub(crate) struct Reads {
    store: Arc<dyn BlobStore>,
    /// The same store, if it signs URLs.
    presign: Option<Arc<dyn Presign>>,
    metadata: Arc<dyn MetadataApi>,
    proposer: Proposer,
    losses: Arc<Losses>,
    unreadable: AtomicU64,
}

/// Why an object was not opened.
enum OpenError {
    /// It is not there, or not whole.
    Lost(io::Error),
    /// The store failed, which may pass; or the record is damaged.
    Failed(io::Error),
}

// === impl Reads ===

impl Reads {
    pub(crate) fn new(
        store: Arc<dyn BlobStore>,
        presign: Option<Arc<dyn Presign>>,
        metadata: Arc<dyn MetadataApi>,
        proposer: Proposer,
        losses: Arc<Losses>,
    ) -> Self {
        Self {
            store,
            presign,
            metadata,
            proposer,
            losses,
            unreadable: AtomicU64::new(0),
        }
    }

    pub(crate) async fn stat(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
        for_push: bool,
    ) -> Result<BlobStat, ReadBlobError> {
        let record = self.metadata.blob(repository, digest).await?;
        if for_push && self.is_lost(digest, &record).await {
            return Err(ReadError::BlobUnknown.into());
        }
        if for_push && record.wants_touch {
            self.touch(repository, digest).await?;
        }
        Ok(BlobStat {
            size: record.size,
            is_readable: record.is_readable,
            stale: record.stale,
        })
    }

    /// What is wrong with the store, if something is.
    pub(crate) async fn probe(&self) -> Option<String> {
        let found = self.store.stat(&layout::nothing()).await;
        found.err().map(|error| meridian_error::chain(&error))
    }

    pub(crate) async fn open(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
        range: Option<&str>,
    ) -> Result<BlobRead, ReadBlobError> {
        let record = self.metadata.blob(repository, digest).await?;
        self.open_recorded(record, repository, digest, range).await
    }

    /// Opens a blob, unless its reader is better sent elsewhere.
    pub(crate) async fn deliver(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
        range: Option<&str>,
        wish: Handover,
    ) -> Result<Delivered, ReadBlobError> {
        let record = self.metadata.blob(repository, digest).await?;
        if !record.is_readable {
            return Err(ReadError::Locked.into());
        }
        let (presign, stale) = (self.presign.as_deref(), record.stale);
        let elsewhere = handover::elsewhere(presign, &record, range, wish).await;
        let delivery = match elsewhere {
            Some(elsewhere) => elsewhere,
            None => {
                let read = self
                    .open_recorded(record, repository, digest, range)
                    .await?;
                Delivery::Here(read)
            }
        };
        Ok(Delivered { delivery, stale })
    }

    async fn open_recorded(
        &self,
        mut record: BlobRecord,
        repository: &RepositoryPath,
        digest: Digest,
        range: Option<&str>,
    ) -> Result<BlobRead, ReadBlobError> {
        for _ in 1..LOOKS {
            let source = match self.open_once(&record, range).await {
                Ok(read) => return Ok(read),
                Err(source) => source,
            };
            // Perhaps it was removed, or moved, between the look and the opening.
            let now = self.metadata.blob(repository, digest).await?;
            if now.location == record.location {
                return Err(self.alarm(digest, &record, source));
            }
            record = now;
        }
        let read = self.open_once(&record, range).await;
        read.map_err(|source| self.alarm(digest, &record, source))
    }

    /// How many blobs were found to be recorded but not readable, since the start.
    pub(crate) fn unreadable(&self) -> u64 {
        self.unreadable.load(Ordering::Relaxed)
    }

    /// Whether the bytes of a blob that is present are known to be lost.
    pub(crate) async fn lacks(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
    ) -> Result<bool, WriteError> {
        if self.losses.is_empty() {
            return Ok(false);
        }
        let record = self.metadata.blob(repository, digest).await?;
        Ok(self.is_lost(digest, &record).await)
    }

    /// Whether a blob is known to be lost, and still is: somebody may have brought its file back.
    async fn is_lost(&self, digest: Digest, record: &BlobRecord) -> bool {
        let BlobLocation::Stored(key) = record.location else {
            return false;
        };
        if self.losses.of(key.registry, digest) != Some(key) {
            return false;
        }
        let is_lost = loss::is_lost(&*self.store, key, record.size).await;
        if let Ok(false) = is_lost {
            self.losses.forget(digest, key);
        }
        // A store that does not answer has told us before.
        is_lost.unwrap_or(true)
    }

    /// Renews the lease on which a push relies.
    async fn touch(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
    ) -> Result<(), ReadBlobError> {
        let touch = |metadata: Arc<dyn MetadataApi>, request| {
            let repository = repository.clone();
            async move { metadata.touch_blob(&repository, digest, request).await }
        };
        self.proposer.run(touch).await.map_err(|error| match error {
            WriteError::Read(error) => error.into(),
            // Nothing else refuses a touch; if it does, the push must not rely on the blob.
            error => ReadError::Unavailable {
                reason: error.to_string(),
            }
            .into(),
        })
    }

    async fn open_once(
        &self,
        record: &BlobRecord,
        range: Option<&str>,
    ) -> Result<BlobRead, OpenError> {
        let size = record.size;
        Ok(match ByteRange::resolve(range, size) {
            Resolved::Unsatisfiable => BlobRead::Unsatisfiable { size },
            Resolved::Whole => BlobRead::Whole {
                size,
                body: self.body(record, 0..size).await?,
            },
            Resolved::Part {
                start,
                end_inclusive,
            } => BlobRead::Part {
                size,
                start,
                end_inclusive,
                body: self.body(record, start..end_inclusive + 1).await?,
            },
        })
    }

    async fn body(&self, record: &BlobRecord, range: Range<u64>) -> Result<ByteStream, OpenError> {
        match &record.location {
            BlobLocation::Inline(bytes) => {
                inline(bytes, record.size, &range).map_err(OpenError::Failed)
            }
            BlobLocation::Stored(key) => self.stored(*key, record.size, range).await,
        }
    }

    async fn stored(
        &self,
        key: StorageKey,
        size: u64,
        range: Range<u64>,
    ) -> Result<ByteStream, OpenError> {
        let object = layout::object(key);
        let reader = match self.store.open(&object, Some(range)).await {
            Ok(reader) => reader,
            // A range of the blob that is not in its object: that is too short.
            Err(error @ (NotOpened::NotFound(_) | NotOpened::OutOfRange { .. })) => {
                return Err(OpenError::Lost(io::Error::other(error)));
            }
            Err(error) => return Err(OpenError::Failed(io::Error::other(error))),
        };
        if reader.size() != size {
            let text = format!("object {object} has {} bytes of {size}", reader.size());
            let error = io::Error::new(io::ErrorKind::InvalidData, text);
            return Err(OpenError::Lost(error));
        }
        // Lengths are the reader's to keep; it fails rather than end early.
        Ok(Box::pin(reader.inspect(move |piece| {
            if let Err(error) = piece {
                let error = meridian_error::chain(error);
                tracing::error!(%object, error, "a blob broke off while it was read");
            }
        })))
    }

    /// Tells of a blob that is recorded and cannot be read: of one that is lost, once.
    fn alarm(&self, digest: Digest, record: &BlobRecord, error: OpenError) -> ReadBlobError {
        let key = match &record.location {
            BlobLocation::Stored(key) => Some(*key),
            BlobLocation::Inline(_) => None,
        };
        let is_news = match (&error, key) {
            (OpenError::Lost(_), Some(key)) => self.losses.note(digest, key),
            _ => true,
        };
        let (OpenError::Lost(source) | OpenError::Failed(source)) = error;
        if is_news {
            self.unreadable.fetch_add(1, Ordering::Relaxed);
            let error = meridian_error::chain(&source);
            let object = key.map(|key| layout::object(key).to_string());
            tracing::error!(
                blob.digest = %digest,
                object,
                error,
                "a recorded blob cannot be read",
            );
        }
        ReadBlobError::Unreadable { digest, source }
    }
}

fn inline(bytes: &Bytes, size: u64, range: &Range<u64>) -> io::Result<ByteStream> {
    let index = |at: u64| usize::try_from(at).ok();
    let part = index(range.start).zip(index(range.end));
    let part = part.filter(|_| bytes.len() as u64 == size);
    let Some((start, end)) = part else {
        let text = "a record holds another number of bytes than it says";
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    };
    Ok(Box::pin(stream::iter([Ok(bytes.slice(start..end))])))
}
