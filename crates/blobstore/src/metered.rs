//! Counts what passes through a store.
//!
//! Owns the counters, which cost a few atomic additions per operation and one clock reading at each
//! end. Changes nothing. Leaves exporting to the service: it reads a [`Snapshot`].

use std::array;
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;

use crate::operation::Operation;
use crate::{
    BlobKey, BlobReader, BlobStore, BlobWriter, CreateError, Listed, ReadError, ResumeError, Space,
    StorageError, WriteError, WriterState,
};

/// A store whose operations are counted.
#[derive(Debug, Clone)]
pub struct Metered<S> {
    store: S,
    meter: Arc<Meter>,
}

/// What happened since a [`Metered`] was made, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshot {
    counts: [Count; Operation::ALL.len()],
}

/// What happened to one operation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// How often it ended.
    pub calls: u64,
    /// How often it ended with an error. For [`Operation::Open`], [`ReadError::NotFound`] counts.
    pub failures: u64,
    /// Bytes that it moved: taken by an append, yielded by a read, finished by a commit.
    pub bytes: u64,
    /// The time from call to answer, summed. Reads have none: who waits for whom is not known.
    pub elapsed: Duration,
}

#[derive(Debug, Default)]
struct Meter {
    counters: [Counter; Operation::ALL.len()],
}

#[derive(Debug, Default)]
struct Counter {
    calls: AtomicU64,
    failures: AtomicU64,
    bytes: AtomicU64,
    nanos: AtomicU64,
}

struct MeteredWriter {
    writer: Box<dyn BlobWriter>,
    meter: Arc<Meter>,
}

// === impl Metered ===

impl<S> Metered<S> {
    /// Counts the operations of `store`.
    pub fn new(store: S) -> Self {
        Self {
            store,
            meter: Arc::default(),
        }
    }

    /// The counts as they are now. Cheap; the counts of one operation may be one call apart.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let counts = array::from_fn(|index| self.meter.counters[index].read());
        Snapshot { counts }
    }

    fn writer(&self, writer: Box<dyn BlobWriter>) -> Box<dyn BlobWriter> {
        let meter = Arc::clone(&self.meter);
        Box::new(MeteredWriter { writer, meter })
    }
}

// === impl Snapshot ===

impl Snapshot {
    /// The count of one operation.
    #[must_use]
    pub const fn get(&self, operation: Operation) -> Count {
        self.counts[operation.index()]
    }

    /// What happened after `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let counts = array::from_fn(|index| {
            let (now, then) = (self.counts[index], earlier.counts[index]);
            Count {
                calls: now.calls.saturating_sub(then.calls),
                failures: now.failures.saturating_sub(then.failures),
                bytes: now.bytes.saturating_sub(then.bytes),
                elapsed: now.elapsed.saturating_sub(then.elapsed),
            }
        });
        Self { counts }
    }
}

// === impl Meter ===

impl Meter {
    /// Awaits `call` and counts it, with the bytes that `bytes` reads off its answer.
    async fn count<T, E>(
        &self,
        operation: Operation,
        call: impl Future<Output = Result<T, E>>,
        bytes: impl FnOnce(&T) -> u64,
    ) -> Result<T, E> {
        let begun = Instant::now();
        let outcome = call.await;
        let moved = outcome.as_ref().map_or(0, bytes);
        self.add(operation, outcome.is_ok(), moved, begun.elapsed());
        outcome
    }

    fn add(&self, operation: Operation, ok: bool, bytes: u64, elapsed: Duration) {
        let counter = &self.counters[operation.index()];
        let nanos = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        counter.calls.fetch_add(1, Ordering::Relaxed);
        counter
            .failures
            .fetch_add(u64::from(!ok), Ordering::Relaxed);
        counter.bytes.fetch_add(bytes, Ordering::Relaxed);
        counter.nanos.fetch_add(nanos, Ordering::Relaxed);
    }
}

// === impl Counter ===

impl Counter {
    fn read(&self) -> Count {
        Count {
            calls: self.calls.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            elapsed: Duration::from_nanos(self.nanos.load(Ordering::Relaxed)),
        }
    }
}

/// The operation moves no bytes.
const fn none<T>(_: &T) -> u64 {
    0
}

#[async_trait]
impl<S: BlobStore> BlobStore for Metered<S> {
    async fn create(&self, key: &BlobKey) -> Result<Box<dyn BlobWriter>, CreateError> {
        let call = self.store.create(key);
        let writer = self.meter.count(Operation::Create, call, none).await?;
        Ok(self.writer(writer))
    }

    async fn resume(
        &self,
        key: &BlobKey,
        state: Option<&WriterState>,
    ) -> Result<Option<Box<dyn BlobWriter>>, ResumeError> {
        let call = self.store.resume(key, state);
        let writer = self.meter.count(Operation::Resume, call, none).await?;
        Ok(writer.map(|writer| self.writer(writer)))
    }

    async fn open(
        &self,
        key: &BlobKey,
        range: Option<Range<u64>>,
    ) -> Result<BlobReader, ReadError> {
        let call = self.store.open(key, range);
        let reader = self.meter.count(Operation::Open, call, none).await?;
        let (size, range) = (reader.size(), 0..reader.len());
        let meter = Arc::clone(&self.meter);
        let counted = reader.inspect(move |chunk| {
            let bytes = chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
            meter.add(Operation::Read, chunk.is_ok(), bytes, Duration::ZERO);
        });
        Ok(BlobReader::new(size, &range, counted))
    }

    async fn stat(&self, key: &BlobKey) -> Result<Option<u64>, StorageError> {
        let call = self.store.stat(key);
        self.meter.count(Operation::Stat, call, none).await
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), StorageError> {
        let call = self.store.delete(key);
        self.meter.count(Operation::Delete, call, none).await
    }

    async fn list(
        &self,
        after: Option<&BlobKey>,
        limit: usize,
    ) -> Result<Vec<Listed>, StorageError> {
        let call = self.store.list(after, limit);
        self.meter.count(Operation::List, call, none).await
    }

    async fn space(&self) -> Result<Option<Space>, StorageError> {
        let call = self.store.space();
        self.meter.count(Operation::Space, call, none).await
    }
}

#[async_trait]
impl BlobWriter for MeteredWriter {
    fn len(&self) -> u64 {
        self.writer.len()
    }

    async fn append(&mut self, chunk: Bytes) -> Result<(), WriteError> {
        let bytes = chunk.len() as u64;
        let call = self.writer.append(chunk);
        self.meter.count(Operation::Append, call, |()| bytes).await
    }

    async fn sync(&mut self) -> Result<u64, WriteError> {
        let call = self.writer.sync();
        self.meter.count(Operation::Sync, call, none).await
    }

    fn state(&self) -> WriterState {
        self.writer.state()
    }

    async fn truncate(&mut self, len: u64) -> Result<(), WriteError> {
        let call = self.writer.truncate(len);
        self.meter.count(Operation::Truncate, call, none).await
    }

    async fn commit(self: Box<Self>) -> Result<u64, WriteError> {
        let call = self.writer.commit();
        self.meter
            .count(Operation::Commit, call, |size| *size)
            .await
    }

    async fn abort(self: Box<Self>) {
        let begun = Instant::now();
        self.writer.abort().await;
        self.meter.add(Operation::Abort, true, 0, begun.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryBlobStore;

    #[tokio::test]
    async fn calls_bytes_and_failures_are_counted() {
        let store = Metered::new(MemoryBlobStore::new());
        let key = "a/01/0000000000000001-0000000000000001".parse().unwrap();
        let mut writer = store.create(&key).await.unwrap();
        for _ in 0..3 {
            writer.append(Bytes::from_static(b"seven b")).await.unwrap();
        }
        let before = store.snapshot();
        assert!(store.create(&key).await.is_err());
        writer.commit().await.unwrap();
        let reader = store.open(&key, Some(7..14)).await.unwrap();
        reader.into_bytes().await.unwrap();

        let after = store.snapshot().since(&before);
        let create = after.get(Operation::Create);
        assert_eq!((create.calls, create.failures), (1, 1));
        assert_eq!(after.get(Operation::Append).calls, 0);
        assert_eq!(before.get(Operation::Append).bytes, 21);
        assert_eq!(after.get(Operation::Commit).bytes, 21);
        assert_eq!(after.get(Operation::Read).bytes, 7);
    }
}
