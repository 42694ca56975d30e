//! Makes a store fail on purpose.
//!
//! Owns how a failure looks to the caller; the plan says which call meets one. A plan is scripted,
//! for a test that wants one failure at one place, or seeded, for a test that wants many everywhere
//! and the same ones again. A writer that was made to fail behaves as any body must: its object is
//! removed and it stays poisoned.

mod plan;
#[cfg(test)]
mod tests;

use std::io;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};

pub use self::plan::Fault;
use self::plan::{Plan, Random, injected};
use crate::operation::Operation;
use crate::{
    BlobKey, BlobReader, BlobStore, BlobWriter, CreateError, Listed, ReadError, ResumeError, Space,
    StorageError, WriteError, WriterState,
};

/// A store that fails as planned.
#[derive(Debug, Clone)]
pub struct Faulty<S> {
    store: S,
    plan: Arc<Plan>,
}

struct FaultyWriter {
    /// Gone once it failed.
    writer: Option<Box<dyn BlobWriter>>,
    plan: Arc<Plan>,
    /// What the writer said before it went.
    len: u64,
    state: WriterState,
}

// === impl Faulty ===

impl<S> Faulty<S> {
    /// A store that fails where [`Self::script`] says.
    pub fn new(store: S) -> Self {
        Self::with(store, None)
    }

    /// A store in which one call in `one_in` fails, also where [`Self::script`] says; never at
    /// random if that is 0.
    pub fn seeded(store: S, seed: u64, one_in: u64) -> Self {
        Self::with(store, Some(Random { seed, one_in }))
    }

    fn with(store: S, random: Option<Random>) -> Self {
        Self {
            store,
            plan: Arc::new(Plan::new(random)),
        }
    }

    /// Lets the call number `nth` of `operation`, counted from now and from 0, meet `fault`.
    pub fn script(&self, operation: Operation, nth: u64, fault: Fault) {
        let number = self.calls(operation) + nth;
        self.plan.add(operation, number, fault);
    }

    /// How often `operation` was called.
    #[must_use]
    pub fn calls(&self, operation: Operation) -> u64 {
        self.plan.calls(operation)
    }

    /// How many faults were met, so that a test can see that it tested something.
    #[must_use]
    pub fn injected(&self) -> u64 {
        self.plan.injected()
    }

    fn writer(&self, writer: Box<dyn BlobWriter>) -> Box<dyn BlobWriter> {
        Box::new(FaultyWriter {
            len: writer.len(),
            state: writer.state(),
            writer: Some(writer),
            plan: Arc::clone(&self.plan),
        })
    }
}

/// `chunk` with one wrong bit in its middle.
fn flipped(chunk: &Bytes) -> Bytes {
    let mut bytes = BytesMut::from(&chunk[..]);
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    bytes.freeze()
}

/// `reader`, each of whose chunks meets what is planned.
fn faulty_reader(reader: BlobReader, plan: Arc<Plan>) -> BlobReader {
    let (size, range) = (reader.size(), 0..reader.len());
    let chunks = stream::unfold((reader, plan), |(mut reader, plan)| async move {
        let chunk = reader.next().await?;
        let chunk = match plan.next(Operation::Read) {
            Some(Fault::Before(code) | Fault::After(code)) => {
                chunk.and_then(|_| Err(io::Error::other(injected(code))))
            }
            Some(Fault::Short) => return None,
            Some(Fault::Flip) => chunk.map(|chunk| flipped(&chunk)),
            Some(Fault::Delay(late)) => {
                tokio::time::sleep(late).await;
                chunk
            }
            None => chunk,
        };
        Some((chunk, (reader, plan)))
    });
    BlobReader::new(size, &range, chunks)
}

#[async_trait]
impl<S: BlobStore> BlobStore for Faulty<S> {
    async fn create(&self, key: &BlobKey) -> Result<Box<dyn BlobWriter>, CreateError> {
        let call = self.store.create(key);
        let writer = self.plan.make(Operation::Create, call).await?;
        Ok(self.writer(writer))
    }

    async fn resume(
        &self,
        key: &BlobKey,
        state: Option<&WriterState>,
    ) -> Result<Option<Box<dyn BlobWriter>>, ResumeError> {
        let call = self.store.resume(key, state);
        let writer = self.plan.make(Operation::Resume, call).await?;
        Ok(writer.map(|writer| self.writer(writer)))
    }

    async fn open(
        &self,
        key: &BlobKey,
        range: Option<Range<u64>>,
    ) -> Result<BlobReader, ReadError> {
        let call = self.store.open(key, range);
        let reader = self.plan.make(Operation::Open, call).await?;
        Ok(faulty_reader(reader, Arc::clone(&self.plan)))
    }

    async fn stat(&self, key: &BlobKey) -> Result<Option<u64>, StorageError> {
        let call = self.store.stat(key);
        self.plan.make(Operation::Stat, call).await
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), StorageError> {
        let call = self.store.delete(key);
        self.plan.make(Operation::Delete, call).await
    }

    async fn list(
        &self,
        after: Option<&BlobKey>,
        limit: usize,
    ) -> Result<Vec<Listed>, StorageError> {
        let call = self.store.list(after, limit);
        self.plan.make(Operation::List, call).await
    }

    async fn space(&self) -> Result<Option<Space>, StorageError> {
        let call = self.store.space();
        self.plan.make(Operation::Space, call).await
    }
}

// === impl FaultyWriter ===

impl FaultyWriter {
    fn writer(&mut self) -> Result<&mut Box<dyn BlobWriter>, WriteError> {
        self.writer.as_mut().ok_or(WriteError::Poisoned)
    }

    /// Notes where the writer stands, or ends it if it failed.
    async fn after<T>(&mut self, outcome: Result<T, WriteError>) -> Result<T, WriteError> {
        if let Err(WriteError::Storage(_)) = &outcome
            && let Some(writer) = self.writer.take()
        {
            writer.abort().await;
        }
        if let Some(writer) = &self.writer {
            self.len = writer.len();
            self.state = writer.state();
        }
        outcome
    }
}

#[async_trait]
impl BlobWriter for FaultyWriter {
    fn len(&self) -> u64 {
        self.writer.as_ref().map_or(self.len, |writer| writer.len())
    }

    async fn append(&mut self, chunk: Bytes) -> Result<(), WriteError> {
        let plan = Arc::clone(&self.plan);
        let writer = self.writer()?;
        let outcome = match plan.next(Operation::Append) {
            Some(Fault::Before(code)) => Err(injected(code).into()),
            Some(Fault::After(code)) => {
                let outcome = writer.append(chunk).await;
                outcome.and_then(|()| Err(injected(code).into()))
            }
            Some(Fault::Flip) => writer.append(flipped(&chunk)).await,
            Some(Fault::Delay(late)) => {
                tokio::time::sleep(late).await;
                writer.append(chunk).await
            }
            Some(Fault::Short) | None => writer.append(chunk).await,
        };
        self.after(outcome).await
    }

    async fn sync(&mut self) -> Result<u64, WriteError> {
        let plan = Arc::clone(&self.plan);
        let call = self.writer()?.sync();
        let outcome = plan.make(Operation::Sync, call).await;
        self.after(outcome).await
    }

    fn state(&self) -> WriterState {
        let last = || self.state.clone();
        self.writer.as_ref().map_or_else(last, |w| w.state())
    }

    async fn truncate(&mut self, len: u64) -> Result<(), WriteError> {
        let plan = Arc::clone(&self.plan);
        let call = self.writer()?.truncate(len);
        let outcome = plan.make(Operation::Truncate, call).await;
        self.after(outcome).await
    }

    async fn commit(mut self: Box<Self>) -> Result<u64, WriteError> {
        let writer = self.writer.take().ok_or(WriteError::Poisoned)?;
        match self.plan.next(Operation::Commit) {
            Some(Fault::Before(code)) => {
                writer.abort().await;
                Err(injected(code).into())
            }
            Some(Fault::After(code)) => {
                writer.commit().await?;
                Err(injected(code).into())
            }
            Some(Fault::Delay(late)) => {
                tokio::time::sleep(late).await;
                writer.commit().await
            }
            Some(Fault::Short | Fault::Flip) | None => writer.commit().await,
        }
    }

    async fn abort(mut self: Box<Self>) {
        let Some(writer) = self.writer.take() else {
            return;
        };
        match self.plan.next(Operation::Abort) {
            // It was to be removed and is not: an orphan for the sweep.
            Some(Fault::Before(_)) => drop(writer),
            Some(Fault::Delay(late)) => {
                tokio::time::sleep(late).await;
                writer.abort().await;
            }
            _ => writer.abort().await,
        }
    }
}
