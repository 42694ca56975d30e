//! A store that forgets on drop, for tests.
//!
//! Owns nothing durable, but keeps the contract's distinctions, so that a test against it means
//! something: bytes that were not synced are lost when a writer is dropped, and nothing is visible
//! before its commit.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, Range};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::stream;
use meridian_error::Code;

use crate::reader::resolve;
use crate::{
    BlobKey, BlobReader, BlobStore, BlobWriter, CreateError, Listed, MAX_PRESIGNED, Presign,
    Presigned, ReadError, ResumeError, Space, StorageError, WriteError, WriterState,
};

/// Bytes that a reader yields at once, so that tests see more than one chunk.
const CHUNK: usize = 64 * 1024;

/// Objects in memory.
///
/// A clone is the same store to the same process; [`of_another_process`](Self::of_another_process) is
/// what a process beside it has of the store, as of a bucket: each has its own writers, and of two that
/// are at one object, the one that syncs last is told that it was overtaken.
#[derive(Debug, Default, Clone)]
pub struct MemoryBlobStore {
    shelf: Arc<Mutex<Shelf>>,
    process: usize,
    /// When all objects were changed last, as far as it tells.
    modified_millis: Option<u64>,
}

#[derive(Debug, Default)]
struct Shelf {
    objects: BTreeMap<BlobKey, Object>,
    processes: usize,
    syncs: u64,
}

#[derive(Debug)]
enum Object {
    /// The synced prefix, by which sync, and the processes of which a writer is at it.
    Unfinished {
        synced: Bytes,
        sync: u64,
        busy: BTreeSet<usize>,
    },
    Finished(Bytes),
}

/// A writer of [`MemoryBlobStore`].
struct MemoryWriter {
    store: MemoryBlobStore,
    key: BlobKey,
    bytes: BytesMut,
    /// How many were synced, and by which sync, unless it had more.
    synced: u64,
    mark: Option<u64>,
    /// The last sync of the object that this writer knows.
    last: u64,
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

    /// The store as a process beside this one has it.
    #[must_use]
    pub fn of_another_process(&self) -> Self {
        let mut shelf = self.shelf();
        shelf.processes += 1;
        let process = shelf.processes;
        drop(shelf);
        Self {
            shelf: Arc::clone(&self.shelf),
            process,
            modified_millis: self.modified_millis,
        }
    }

    /// The same store, whose objects are as old as can be.
    #[must_use]
    pub fn aged(self) -> Self {
        Self {
            modified_millis: Some(0),
            ..self
        }
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finished(&self, key: &BlobKey) -> Option<Bytes> {
        match self.shelf().objects.get(key) {
            Some(Object::Finished(bytes)) => Some(bytes.clone()),
            _ => None,
        }
    }

    fn writer(
        &self,
        key: &BlobKey,
        bytes: &[u8],
        mark: Option<u64>,
        last: u64,
    ) -> Box<dyn BlobWriter> {
        Box::new(MemoryWriter {
            store: self.clone(),
            key: key.clone(),
            bytes: BytesMut::from(bytes),
            synced: bytes.len() as u64,
            mark,
            last,
            done: false,
        })
    }
}

#[async_trait]
impl BlobStore for MemoryBlobStore {
    async fn create(&self, key: &BlobKey) -> Result<Box<dyn BlobWriter>, CreateError> {
        let mut shelf = self.shelf();
        if shelf.objects.contains_key(key) {
            return Err(CreateError::Exists(key.clone()));
        }
        let object = Object::Unfinished {
            synced: Bytes::new(),
            sync: 0,
            busy: BTreeSet::from([self.process]),
        };
        shelf.objects.insert(key.clone(), object);
        Ok(self.writer(key, &[], Some(0), 0))
    }

    async fn resume(
        &self,
        key: &BlobKey,
        state: Option<&WriterState>,
    ) -> Result<Option<Box<dyn BlobWriter>>, ResumeError> {
        let mut shelf = self.shelf();
        let Some(Object::Unfinished { synced, sync, busy }) = shelf.objects.get_mut(key) else {
            return Ok(None);
        };
        if busy.contains(&self.process) {
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
        busy.insert(self.process);
        let mark = (wanted == kept).then_some(*sync);
        Ok(Some(self.writer(key, prefix, mark, *sync)))
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
        self.shelf().objects.remove(key);
        Ok(())
    }

    async fn list(
        &self,
        after: Option<&BlobKey>,
        limit: usize,
    ) -> Result<Vec<Listed>, StorageError> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let shelf = self.shelf();
        let page = shelf.objects.range::<BlobKey, _>((from, Bound::Unbounded));
        let listed = page.take(limit).map(|(key, object)| Listed {
            key: key.clone(),
            finished: matches!(object, Object::Finished(_)),
            size: object.size(),
            modified_millis: self.modified_millis,
        });
        Ok(listed.collect())
    }

    async fn space(&self) -> Result<Option<Space>, StorageError> {
        Ok(None)
    }
}

/// Signs URLs that lead nowhere.
#[async_trait]
impl Presign for MemoryBlobStore {
    async fn presign_get(
        &self,
        key: &BlobKey,
        _range: Option<Range<u64>>,
        expires: Duration,
    ) -> Result<Presigned, StorageError> {
        if expires.is_zero() || expires > MAX_PRESIGNED {
            return Err(StorageError::new("sign", Code::InvalidArgument, "expires"));
        }
        Ok(Presigned {
            url: format!("https://store.example/{key}?expires={}", expires.as_secs()),
            headers: Vec::new(),
        })
    }
}

// === impl MemoryWriter ===

impl MemoryWriter {
    /// The unfinished object, if nobody deleted it.
    fn change<T>(
        &mut self,
        change: impl FnOnce(&mut Object, &mut u64) -> Result<T, WriteError>,
    ) -> Result<T, WriteError> {
        let mut shelf = self.store.shelf();
        let Shelf { objects, syncs, .. } = &mut *shelf;
        let changed = match objects.get_mut(&self.key) {
            Some(object @ Object::Unfinished { .. }) => change(object, syncs),
            _ => Err(WriteError::Deleted(self.key.clone())),
        };
        drop(shelf);
        self.done |= changed.is_err();
        changed
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
        let is_synced = self.mark.is_some() && self.synced == self.len();
        let (bytes, last) = (Bytes::copy_from_slice(&self.bytes), self.last);
        self.last = self.change(|object, syncs| {
            let Object::Unfinished { synced, sync, .. } = object else {
                return Ok(last);
            };
            if is_synced {
                return Ok(last);
            }
            if *sync != last {
                return Err(StorageError::overtaken("sync an object").into());
            }
            *syncs += 1;
            (*synced, *sync) = (bytes, *syncs);
            Ok(*sync)
        })?;
        (self.synced, self.mark) = (self.len(), Some(self.last));
        Ok(self.synced)
    }

    fn state(&self) -> WriterState {
        WriterState {
            len: self.synced,
            detail: self.mark.map_or_else(String::new, |mark| mark.to_string()),
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
        if len < self.synced {
            (self.synced, self.mark) = (len, None);
        }
        Ok(())
    }

    async fn commit(mut self: Box<Self>) -> Result<u64, WriteError> {
        self.sound()?;
        let size = self.len();
        let bytes = std::mem::take(&mut self.bytes).freeze();
        self.change(|object, _| {
            *object = Object::Finished(bytes);
            Ok(())
        })?;
        self.done = true;
        Ok(size)
    }

    async fn abort(mut self: Box<Self>) {
        if !self.done {
            self.store.shelf().objects.remove(&self.key);
        }
        self.done = true;
    }
}

impl Drop for MemoryWriter {
    fn drop(&mut self) {
        let mut shelf = self.store.shelf();
        if let Some(Object::Unfinished { busy, .. }) = shelf.objects.get_mut(&self.key) {
            busy.remove(&self.store.process);
        }
    }
}
