//! A store that forgets on drop, for tests.
//!
//! Owns nothing durable, but keeps the contract's distinctions, so that a test against it means
//! something: bytes that were not synced are lost when a writer is dropped, and nothing is visible
//! before its commit.

use std::collections::BTreeMap;
use std::ops::{Bound, Range};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::stream;

use crate::reader::resolve;
use crate::{
    BlobKey, BlobReader, BlobStore, BlobWriter, CreateError, Listed, ReadError, ResumeError, Space,
    StorageError, WriteError, WriterState,
};

/// Bytes that a reader yields at once, so that tests see more than one chunk.
const CHUNK: usize = 64 * 1024;

/// Objects in memory.
#[derive(Debug, Default, Clone)]
pub struct MemoryBlobStore {
    objects: Arc<Mutex<BTreeMap<BlobKey, Object>>>,
}

#[derive(Debug)]
enum Object {
    /// The synced prefix, and whether a writer is at it.
    Unfinished {
        synced: Bytes,
        busy: bool,
    },
    Finished(Bytes),
}

/// A writer of [`MemoryBlobStore`].
struct MemoryWriter {
    store: MemoryBlobStore,
    key: BlobKey,
    bytes: BytesMut,
    synced: u64,
    /// The object is no longer this writer's to give back.
    done: bool,
}

// === impl Object ===

impl Object {
    fn size(&self) -> u64 {
        match self {
            Self::Unfinished { synced: bytes, .. } | Self::Finished(bytes) => bytes.len() as u64,
        }
    }
}

// === impl MemoryBlobStore ===

impl MemoryBlobStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn objects(&self) -> MutexGuard<'_, BTreeMap<BlobKey, Object>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finished(&self, key: &BlobKey) -> Option<Bytes> {
        match self.objects().get(key) {
            Some(Object::Finished(bytes)) => Some(bytes.clone()),
            _ => None,
        }
    }

    fn writer(&self, key: &BlobKey, bytes: &[u8]) -> Box<dyn BlobWriter> {
        Box::new(MemoryWriter {
            store: self.clone(),
            key: key.clone(),
            bytes: BytesMut::from(bytes),
            synced: bytes.len() as u64,
            done: false,
        })
    }
}

#[async_trait]
impl BlobStore for MemoryBlobStore {
    async fn create(&self, key: &BlobKey) -> Result<Box<dyn BlobWriter>, CreateError> {
        let mut objects = self.objects();
        if objects.contains_key(key) {
            return Err(CreateError::Exists(key.clone()));
        }
        let object = Object::Unfinished {
            synced: Bytes::new(),
            busy: true,
        };
        objects.insert(key.clone(), object);
        Ok(self.writer(key, &[]))
    }

    async fn resume(
        &self,
        key: &BlobKey,
        state: Option<&WriterState>,
    ) -> Result<Option<Box<dyn BlobWriter>>, ResumeError> {
        let mut objects = self.objects();
        let Some(Object::Unfinished { synced, busy }) = objects.get_mut(key) else {
            return Ok(None);
        };
        if *busy {
            return Err(ResumeError::Busy(key.clone()));
        }
        let kept = synced.len() as u64;
        let wanted = state.map_or(kept, |state| state.len);
        let prefix = usize::try_from(wanted)
            .ok()
            .and_then(|len| synced.get(..len));
        let Some(prefix) = prefix else {
            return Err(ResumeError::Lost {
                key: key.clone(),
                kept,
                promised: wanted,
            });
        };
        *busy = true;
        Ok(Some(self.writer(key, prefix)))
    }

    async fn open(
        &self,
        key: &BlobKey,
        range: Option<Range<u64>>,
    ) -> Result<BlobReader, ReadError> {
        let bytes = self.finished(key);
        let bytes = bytes.ok_or_else(|| ReadError::NotFound(key.clone()))?;
        let range = resolve(range, bytes.len() as u64)?;
        let index = |at| usize::try_from(at).expect("an offset in a slice fits");
        let mut rest = bytes.slice(index(range.start)..index(range.end));
        let chunks = std::iter::from_fn(move || {
            let chunk = rest.split_to(rest.len().min(CHUNK));
            (!chunk.is_empty()).then_some(Ok(chunk))
        });
        let size = bytes.len() as u64;
        Ok(BlobReader::new(size, &range, stream::iter(chunks)))
    }

    async fn stat(&self, key: &BlobKey) -> Result<Option<u64>, StorageError> {
        Ok(self.finished(key).map(|bytes| bytes.len() as u64))
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), StorageError> {
        self.objects().remove(key);
        Ok(())
    }

    async fn list(
        &self,
        after: Option<&BlobKey>,
        limit: usize,
    ) -> Result<Vec<Listed>, StorageError> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let objects = self.objects();
        let page = objects.range::<BlobKey, _>((from, Bound::Unbounded));
        let listed = page.take(limit).map(|(key, object)| Listed {
            key: key.clone(),
            finished: matches!(object, Object::Finished(_)),
            size: object.size(),
            modified_millis: None,
        });
        Ok(listed.collect())
    }

    async fn space(&self) -> Result<Option<Space>, StorageError> {
        Ok(None)
    }
}

// === impl MemoryWriter ===

impl MemoryWriter {
    /// Replaces the object, if nobody deleted it.
    fn put(&mut self, object: Object) -> Result<(), WriteError> {
        match self.store.objects().get_mut(&self.key) {
            Some(place @ Object::Unfinished { .. }) => *place = object,
            _ => {
                self.done = true;
                return Err(WriteError::Deleted(self.key.clone()));
            }
        }
        Ok(())
    }

    fn sound(&self) -> Result<(), WriteError> {
        if self.done {
            Err(WriteError::Poisoned)
        } else {
            Ok(())
        }
    }
}

#[async_trait]
impl BlobWriter for MemoryWriter {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    async fn append(&mut self, chunk: Bytes) -> Result<(), WriteError> {
        self.sound()?;
        self.bytes.extend_from_slice(&chunk);
        Ok(())
    }

    async fn sync(&mut self) -> Result<u64, WriteError> {
        self.sound()?;
        let synced = Bytes::copy_from_slice(&self.bytes);
        self.put(Object::Unfinished { synced, busy: true })?;
        self.synced = self.len();
        Ok(self.synced)
    }

    fn state(&self) -> WriterState {
        WriterState {
            len: self.synced,
            detail: String::new(),
        }
    }

    async fn truncate(&mut self, len: u64) -> Result<(), WriteError> {
        self.sound()?;
        match usize::try_from(len) {
            Ok(to) if to <= self.bytes.len() => self.bytes.truncate(to),
            _ => {
                let (to, len) = (len, self.len());
                return Err(WriteError::Offset { to, len });
            }
        }
        self.synced = self.synced.min(len);
        Ok(())
    }

    async fn commit(mut self: Box<Self>) -> Result<u64, WriteError> {
        self.sound()?;
        let size = self.len();
        let bytes = std::mem::take(&mut self.bytes).freeze();
        self.put(Object::Finished(bytes))?;
        self.done = true;
        Ok(size)
    }

    async fn abort(mut self: Box<Self>) {
        if !self.done {
            self.store.objects().remove(&self.key);
        }
        self.done = true;
    }
}

impl Drop for MemoryWriter {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        if let Some(Object::Unfinished { busy, .. }) = self.store.objects().get_mut(&self.key) {
            *busy = false;
        }
    }
}
