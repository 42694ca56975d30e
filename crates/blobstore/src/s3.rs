//! The S3 body: a bucket of S3, or of what speaks like it.
//!
//! Owns the names in one bucket below one prefix; `layout` draws them. Keeps the contract of
//! [`BlobStore`] without ever copying an object or searching for uploads: bytes go up in parts while
//! they arrive, straight to the final name, and what is not finished has a note beside it (`note`),
//! through which everything that belongs to it is found again. Relies on what S3 promises since 2020:
//! a name that was written is read, looked at and listed as it was written. Leaves to the bucket's
//! settings a rule that aborts incomplete multipart uploads after some days: one whose beginning was
//! never answered is known to nobody, and holds no byte.
//!
//! # Retries
//!
//! The contract says that no body repeats a failed write, because a disk reports a lost write once.
//! Here a request that failed can be made again, with the same bytes, number and condition, and is,
//! by `client`, within its deadline; what comes out of it is final, as the contract says.
//!
//! # Several processes
//!
//! Unlike a folder, a bucket may have several. Each writing of a note is conditional on the one
//! before, so of two writers of one object one fails at its next sync; and a commit writes only where
//! nothing is, so an object is finished once. But both may send parts until then: whoever keeps the
//! sessions lets one process have one at a time, and takes a hash that was made while it was written for
//! right only if it knows that no other process was at it.

mod bucket;
mod checksum;
mod client;
mod config;
mod credentials;
mod failure;
mod layout;
mod list;
mod memory;
mod note;
mod notes;
mod plan;
mod presign;
mod reader;
mod writer;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use futures::future::join;
use futures::stream;
use meridian_error::{Classify, Code};

use self::bucket::Bucket;
pub use self::config::{S3Config, S3ConfigFault};
use self::failure::Failure;
use self::layout::Layout;
use self::memory::Memory;
use self::notes::Pen;
use self::plan::PartPlan;
use self::writer::S3Writer;
use crate::claim::{Busy, Claims};
use crate::reader::resolve;
use crate::{
    BlobKey, BlobReader, BlobStore, BlobWriter, CreateError, Listed, ReadError, ResumeError, Space,
    StorageError, WriterState,
};

/// Objects in a bucket.
#[derive(Clone)]
pub struct S3BlobStore {
    shared: Arc<Shared>,
}

/// What a store shares with its writers and readers.
struct Shared {
    bucket: Bucket,
    bucket_name: String,
    /// Signs for where clients find the store.
    public: Client,
    layout: Layout,
    plan: PartPlan,
    parts_in_flight: usize,
    memory: Memory,
    claims: Arc<Claims>,
    /// How long a body may pause.
    patience: Duration,
    /// How long a small body may take in all.
    deadline: Duration,
}

const OPEN: &str = "open an object";

// === impl S3BlobStore ===

impl S3BlobStore {
    /// Opens the store. The bucket has to be there; a store that does not answer now may answer
    /// later, which is said in the log.
    ///
    /// # Errors
    ///
    /// When settings, or files that they name, are no good, or the store refuses the bucket:
    /// `InvalidArgument` or `Denied`.
    pub async fn open(config: S3Config) -> Result<Self, StorageError> {
        let opening = "open the blob bucket";
        let refused = |error| StorageError::new(opening, Code::InvalidArgument, error);
        let (client, public) = client::clients(&config).map_err(refused)?;
        let is_plain = |endpoint: &String| endpoint.starts_with("http://");
        let signs_bodies = config.endpoint.as_ref().is_some_and(is_plain);
        let shared = Shared {
            bucket: Bucket::new(client, config.bucket.clone(), signs_bodies),
            public,
            plan: config.plan(),
            parts_in_flight: config.parts_in_flight,
            memory: Memory::new(config.memory.as_u64()),
            claims: Arc::default(),
            patience: config.attempt_timeout,
            deadline: config.deadline,
            bucket_name: config.bucket,
            layout: Layout::new(config.prefix),
        };
        if let Err(failure) = shared.bucket.check().await {
            let may_pass = failure.may_pass();
            let error = failure.while_doing(opening);
            if !may_pass {
                // A HEAD does not say what is not there; nothing else can be.
                return Err(match error.code() {
                    Code::NotFound => refused_bucket(opening, &shared.bucket_name),
                    _ => error,
                });
            }
            let error = meridian_error::chain(&error);
            tracing::warn!(error, "the blob bucket was not looked at");
        }
        Ok(Self {
            shared: Arc::new(shared),
        })
    }
}

fn refused_bucket(opening: &'static str, name: &str) -> StorageError {
    let text = format!("there is no bucket `{name}`");
    StorageError::new(opening, Code::InvalidArgument, text)
}

// === impl Shared ===

impl Shared {
    /// The size of a finished object. A HEAD does not say whether the object or the bucket is
    /// missing, so an absence is asked for once more.
    async fn size(&self, key: &BlobKey) -> Result<Option<u64>, Failure> {
        let name = self.layout.object(key);
        if let Some(found) = self.bucket.head(&name).await? {
            return Ok(Some(found.size));
        }
        match self.bucket.get(&name, Some(0..1), None).await {
            Ok(got) => Ok(Some(got.size)),
            Err(failure) if failure.is_absent() => Ok(None),
            Err(failure) if failure.is_range() => Ok(Some(0)),
            Err(failure) => Err(failure),
        }
    }

    /// Whether a finished object is there, where a wrong no does no harm.
    async fn is_finished(&self, key: &BlobKey) -> Result<bool, Failure> {
        let found = self.bucket.head(&self.layout.object(key)).await?;
        Ok(found.is_some())
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), Failure> {
        let object = self.layout.object(key);
        // In the direction in which a commit goes, so that one that is under way notices.
        if let Some(noted) = self.note(key).await? {
            if let Some(upload) = &noted.note.upload {
                self.bucket.abort(&object, upload).await?;
            }
            self.bucket.delete(&self.layout.note(key)).await?;
        }
        self.bucket.delete(&object).await
    }
}

#[async_trait]
impl BlobStore for S3BlobStore {
    async fn create(&self, key: &BlobKey) -> Result<Box<dyn BlobWriter>, CreateError> {
        let shared = &self.shared;
        let exists = || CreateError::Exists(key.clone());
        let failed = |failure: Failure| failure.while_doing("start an object");
        let claim = shared.claims.take(key).await;
        let claim = claim.map_err(|Busy| exists())?;
        let mut pen = Pen::new();
        let begun = join(shared.begin_note(key, &mut pen), shared.is_finished(key)).await;
        let noted = begun.0.map_err(failed)?.ok_or_else(exists)?;
        if begun.1.map_err(failed)? {
            let note = shared.layout.note(key);
            shared.bucket.delete(&note).await.map_err(failed)?;
            return Err(exists());
        }
        let (shared, mark) = (Arc::clone(shared), noted.note.mark);
        let writer = S3Writer::new(shared, key.clone(), claim, pen, noted, mark);
        Ok(Box::new(writer))
    }

    async fn resume(
        &self,
        key: &BlobKey,
        state: Option<&WriterState>,
    ) -> Result<Option<Box<dyn BlobWriter>>, ResumeError> {
        let shared = &self.shared;
        let failed = |failure: Failure| failure.while_doing("take up an object");
        let claim = shared.claims.take(key).await;
        let claim = claim.map_err(|Busy| ResumeError::Busy(key.clone()))?;
        let (noted, is_finished) = join(shared.note(key), shared.is_finished(key)).await;
        let Some(noted) = noted.map_err(failed)? else {
            return Ok(None);
        };
        // A commit that is under way in another process, or was cut short. Its note is not taken away:
        // the former would believe that a delete passed by.
        if is_finished.map_err(failed)? {
            return Ok(None);
        }
        let mark = match state {
            None => Some(noted.note.mark),
            Some(state) => noted.note.find(state.len, &state.detail),
        };
        let Some(mark) = mark else {
            return Err(ResumeError::Lost {
                key: key.clone(),
                kept: noted.note.mark.checksum(&noted.note.parts).len,
                promised: state.map_or(0, |state| state.len),
            });
        };
        let shared = Arc::clone(shared);
        let writer = S3Writer::new(shared, key.clone(), claim, Pen::new(), noted, mark);
        Ok(Some(Box::new(writer)))
    }

    async fn open(
        &self,
        key: &BlobKey,
        range: Option<Range<u64>>,
    ) -> Result<BlobReader, ReadError> {
        let shared = &self.shared;
        let failed = |failure: Failure| failure.while_doing(OPEN);
        let not_found = || ReadError::NotFound(key.clone());
        let size = async || {
            shared
                .size(key)
                .await
                .map_err(failed)?
                .ok_or_else(not_found)
        };
        if let Some(range) = range.clone().filter(Range::is_empty) {
            let size = size().await?;
            let range = resolve(Some(range), size)?;
            return Ok(BlobReader::new(size, &range, stream::empty()));
        }
        let name = shared.layout.object(key);
        let got = match shared.bucket.get(&name, range.clone(), None).await {
            Ok(got) => got,
            Err(failure) if failure.is_absent() => return Err(not_found()),
            // Nothing is in the range: the object may be empty.
            Err(failure) if failure.is_range() => {
                let size = size().await?;
                let range = resolve(range, size)?;
                if !range.is_empty() {
                    let odd = Failure::odd("that a range is not in an object in which it is");
                    return Err(failed(odd).into());
                }
                return Ok(BlobReader::new(size, &range, stream::empty()));
            }
            Err(failure) => return Err(failed(failure).into()),
        };
        let range = resolve(range, got.size)?;
        if got.range != range {
            return Err(failed(Failure::odd("with another range")).into());
        }
        let size = got.size;
        let chunks = reader::read(Arc::clone(shared), name, got);
        Ok(BlobReader::new(size, &range, chunks))
    }

    async fn stat(&self, key: &BlobKey) -> Result<Option<u64>, StorageError> {
        let size = self.shared.size(key).await;
        size.map_err(|failure| failure.while_doing("look at an object"))
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), StorageError> {
        let deleted = self.shared.delete(key).await;
        deleted.map_err(|failure| failure.while_doing("delete an object"))
    }

    async fn list(
        &self,
        after: Option<&BlobKey>,
        limit: usize,
    ) -> Result<Vec<Listed>, StorageError> {
        let listed = list::list(&self.shared, after, limit).await;
        listed.map_err(|failure| failure.while_doing("list objects"))
    }

    async fn space(&self) -> Result<Option<Space>, StorageError> {
        Ok(None)
    }
}

impl fmt::Debug for S3BlobStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3BlobStore")
            .field("bucket", &self.shared.bucket_name)
            .field("prefix", &self.shared.layout.prefix())
            .finish_non_exhaustive()
    }
}
