//! Blobs on their way out.
//!
//! Keeps the invariants that presence is the metadata's to say, never the store's, and that a body
//! has exactly the promised bytes or fails visibly. So an object that is missing although a record
//! names it is an outage (and an alarm), not an absent blob: a 404 would have the next push repair
//! it in silence.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::{StreamExt, stream};
use meridian_blobstore::BlobStore;
use meridian_clients::{
    BlobLocation, BlobRead, BlobRecord, BlobStat, ByteStream, MetadataApi, ReadBlobError,
    ReadError, RepositoryPath, StorageKey, WriteError,
};
use meridian_oci::{ByteRange, Digest, Resolved};

use crate::layout;
use crate::propose::Proposer;

/// How often a blob that moved while it was opened is looked up again.
const LOOKS: usize = 3;

/// Looks blobs up and opens them.
pub(crate) struct Reads {
    store: Arc<dyn BlobStore>,
    metadata: Arc<dyn MetadataApi>,
    proposer: Proposer,
    unreadable: AtomicU64,
}

// === impl Reads ===

impl Reads {
    pub(crate) fn new(
        store: Arc<dyn BlobStore>,
        metadata: Arc<dyn MetadataApi>,
        proposer: Proposer,
    ) -> Self {
        Self {
            store,
            metadata,
            proposer,
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
        if for_push && record.wants_touch {
            self.touch(repository, digest).await?;
        }
        Ok(BlobStat { size: record.size })
    }

    pub(crate) async fn open(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
        range: Option<&str>,
    ) -> Result<BlobRead, ReadBlobError> {
        let mut record = self.metadata.blob(repository, digest).await?;
        for _ in 1..LOOKS {
            let source = match self.open_once(&record, range).await {
                Ok(read) => return Ok(read),
                Err(source) => source,
            };
            // Perhaps it was removed, or moved, between the look and the opening.
            let now = self.metadata.blob(repository, digest).await?;
            if now.location == record.location {
                return Err(self.alarm(digest, source));
            }
            record = now;
        }
        let read = self.open_once(&record, range).await;
        read.map_err(|source| self.alarm(digest, source))
    }

    /// How many blobs were found to be recorded but not readable, since the start.
    pub(crate) fn unreadable(&self) -> u64 {
        self.unreadable.load(Ordering::Relaxed)
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

    async fn open_once(&self, record: &BlobRecord, range: Option<&str>) -> io::Result<BlobRead> {
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

    async fn body(&self, record: &BlobRecord, range: Range<u64>) -> io::Result<ByteStream> {
        match &record.location {
            BlobLocation::Inline(bytes) => inline(bytes, record.size, &range),
            BlobLocation::Stored(key) => self.stored(*key, record.size, range).await,
        }
    }

    async fn stored(
        &self,
        key: StorageKey,
        size: u64,
        range: Range<u64>,
    ) -> io::Result<ByteStream> {
        let object = layout::object(key);
        let opened = self.store.open(&object, Some(range)).await;
        let reader = opened.map_err(io::Error::other)?;
        if reader.size() != size {
            let text = format!("object {object} has {} bytes of {size}", reader.size());
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        // Lengths are the reader's to keep; it fails rather than end early.
        Ok(Box::pin(reader.inspect(move |piece| {
            if let Err(error) = piece {
                let error = meridian_error::chain(error);
                tracing::error!(%object, error, "a blob broke off while it was read");
            }
        })))
    }

    fn alarm(&self, digest: Digest, source: io::Error) -> ReadBlobError {
        self.unreadable.fetch_add(1, Ordering::Relaxed);
        let error = meridian_error::chain(&source);
        tracing::error!(blob.digest = %digest, error, "a recorded blob cannot be read");
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
