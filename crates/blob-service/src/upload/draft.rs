//! What an upload has so far, and how to go on with it.
//!
//! Owns the relation of three things that must agree: the object in the store, the hash, and the
//! offset. The object's writer is kept while there are few sessions, because taking an object up
//! again costs syncs; otherwise the state that the writer exported is enough.

use bytes::{Bytes, BytesMut};
use meridian_blobstore::{
    BlobStore, BlobWriter, CreateError, ResumeError, WriteError, WriterState,
};
use meridian_clients::StorageKey;
use meridian_oci::{Algorithm, Digest, Hasher};
use tokio::sync::OwnedSemaphorePermit;

use super::failure;
use super::memo::{Memo, Open};
use super::write::Stop;
use crate::ticket::Ticket;
use crate::{ingest, layout};

/// The bytes of an upload, up to its offset.
pub(crate) struct Draft {
    pub(crate) ticket: Ticket,
    offset: u64,
    /// Of all bytes; `None` if an earlier life of the process wrote some of them, or they were
    /// hashed with another algorithm. They are then hashed when the object is complete.
    hasher: Option<Hasher>,
    /// All bytes, while they are few.
    head: Option<BytesMut>,
    object: Option<Object>,
}

/// The unfinished object of a draft.
struct Object {
    key: StorageKey,
    state: WriterState,
    writer: Option<(Box<dyn BlobWriter>, OwnedSemaphorePermit)>,
}

/// Where a draft stood.
pub(crate) struct Mark {
    offset: u64,
    hasher: Option<Hasher>,
    head: Option<BytesMut>,
}

// === impl Draft ===

impl Draft {
    /// A draft without bytes.
    pub(crate) fn new(ticket: Ticket, algorithm: Algorithm) -> Self {
        Self {
            ticket,
            offset: 0,
            hasher: Some(Hasher::new(algorithm)),
            head: Some(BytesMut::new()),
            object: None,
        }
    }

    /// A draft whose bytes were stored by an earlier life of the process.
    pub(crate) fn found(ticket: Ticket, key: StorageKey, state: WriterState) -> Self {
        Self {
            ticket,
            offset: state.len,
            hasher: (state.len == 0).then(|| Hasher::new(ticket.algorithm)),
            head: (state.len == 0).then(BytesMut::new),
            object: Some(Object {
                key,
                state,
                writer: None,
            }),
        }
    }

    /// Takes another's word for what its bytes are.
    pub(crate) fn trust(&mut self, hasher: Option<Hasher>, head: Option<Vec<u8>>) {
        if let Some(hasher) = hasher {
            self.hasher = Some(hasher);
        }
        let is_whole = |head: &Vec<u8>| head.len() as u64 == self.offset;
        if let Some(head) = head.filter(is_whole) {
            self.head = Some(BytesMut::from(&head[..]));
        }
    }

    /// What another instance has to know of it. What its bytes are is only told if it `is_certain`.
    pub(crate) fn memo(&self, is_certain: bool) -> Memo {
        let Some(object) = &self.object else {
            return Memo::Fresh;
        };
        let state = object.state.clone();
        if is_certain && state.len == self.offset {
            let head = self.head.as_deref();
            Memo::Open(Open::new(state, self.hasher.as_ref(), head))
        } else {
            Memo::Open(Open::new(state, None, None))
        }
    }

    pub(crate) const fn offset(&self) -> u64 {
        self.offset
    }

    /// The object that holds its bytes, if one was begun.
    pub(crate) fn key(&self) -> Option<StorageKey> {
        self.object.as_ref().map(|object| object.key)
    }

    /// All its bytes, if they are few.
    pub(crate) fn head(&self) -> Option<&[u8]> {
        self.head.as_deref()
    }

    /// The digest of its bytes and `more`, if the former were hashed.
    pub(crate) fn digest_with<'b>(
        &self,
        more: impl IntoIterator<Item = &'b Bytes>,
    ) -> Option<Digest> {
        let mut hasher = self.hasher.clone()?;
        more.into_iter().for_each(|bytes| hasher.update(bytes));
        Some(hasher.finish())
    }

    /// Prepares for a digest of `algorithm`.
    pub(crate) fn expect(&mut self, algorithm: Algorithm) {
        let differs = |hasher: &Hasher| hasher.algorithm() != algorithm;
        if self.hasher.as_ref().is_some_and(differs) {
            self.hasher = self.head.as_ref().map(|head| {
                let mut hasher = Hasher::new(algorithm);
                hasher.update(head);
                hasher
            });
        }
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark {
            offset: self.offset,
            hasher: self.hasher.clone(),
            head: self.head.clone(),
        }
    }

    /// Forgets what came after `mark`, but for the store.
    pub(crate) fn rewind(&mut self, mark: Mark) {
        self.offset = mark.offset;
        self.hasher = mark.hasher;
        self.head = mark.head;
    }

    /// The writer of the object, begun under `key` if there is none yet.
    pub(crate) async fn writer(
        &mut self,
        store: &dyn BlobStore,
        key: StorageKey,
    ) -> Result<Box<dyn BlobWriter>, Stop> {
        let Some(object) = &mut self.object else {
            let writer = begin(store, key).await?;
            self.object = Some(Object {
                key,
                state: writer.state(),
                writer: None,
            });
            return Ok(writer);
        };
        if let Some((writer, _permit)) = object.writer.take() {
            return Ok(writer);
        }
        take_up(store, object.key, &object.state).await
    }

    /// Appends to object and hash.
    pub(crate) async fn push(
        &mut self,
        writer: &mut dyn BlobWriter,
        bytes: Bytes,
        few: usize,
    ) -> Result<(), WriteError> {
        let head = self.head.as_mut();
        if let Some(head) = head.filter(|head| head.len() + bytes.len() <= few) {
            head.extend_from_slice(&bytes);
        } else {
            self.head = None;
        }
        let len = bytes.len() as u64;
        ingest::push(writer, self.hasher.as_mut(), bytes).await?;
        self.offset += len;
        Ok(())
    }

    /// Takes note of what the store promised last, and keeps the writer if there is a permit.
    pub(crate) fn settle(
        &mut self,
        writer: Box<dyn BlobWriter>,
        permit: Option<OwnedSemaphorePermit>,
    ) {
        if let Some(object) = &mut self.object {
            object.state = writer.state();
            object.writer = permit.map(|permit| (writer, permit));
        }
    }

    /// Lets go of the writer. What was acknowledged is kept.
    pub(crate) fn park(&mut self) {
        if let Some(object) = &mut self.object {
            object.writer = None;
        }
    }
}

/// Begins an object under a key that is nobody else's. If it is there, an earlier try began it and
/// was told that it had not.
pub(super) async fn begin(
    store: &dyn BlobStore,
    key: StorageKey,
) -> Result<Box<dyn BlobWriter>, Stop> {
    match store.create(&layout::object(key)).await {
        Ok(writer) => Ok(writer),
        Err(CreateError::Exists(_)) => take_up(store, key, &WriterState::default()).await,
        Err(error) => Err(Stop::Kept(failure::of_store(error))),
    }
}

async fn take_up(
    store: &dyn BlobStore,
    key: StorageKey,
    state: &WriterState,
) -> Result<Box<dyn BlobWriter>, Stop> {
    match store.resume(&layout::object(key), Some(state)).await {
        Ok(Some(writer)) => Ok(writer),
        Ok(None) => Err(Stop::Lost(failure::lost("an upload's object is gone"))),
        Err(error @ ResumeError::Lost { .. }) => Err(Stop::Lost(failure::of_resume(error))),
        Err(error) => Err(Stop::Kept(failure::of_resume(error))),
    }
}
