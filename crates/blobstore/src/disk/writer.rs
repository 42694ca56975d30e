//! The writer of one unfinished file.
//!
//! Owns buffering and order: chunks gather in a piece, a full piece is written by a blocking thread
//! while the next one fills, and there is never more than one call on its way, so the file is
//! always a prefix of what was appended. Keeps the invariant that the first failure is the last
//! call: the file is removed, and nothing is tried again. Leaves how bytes reach the disk to
//! [`StagedFile`], and the commit to the publisher.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};

use super::Shared;
use super::buffer::{ALIGNMENT, Buffer, SMALL};
use super::publish::Commit;
use super::staged::StagedFile;
use super::sync;
use crate::{BlobKey, BlobWriter, StorageError, WriteError, WriterState};

/// A writer of [`DiskBlobStore`](super::DiskBlobStore).
pub(super) struct DiskWriter {
    store: Arc<Shared>,
    key: BlobKey,
    file: Arc<StagedFile>,
    /// Where the piece begins in the file: all before it was handed to the thread.
    base: u64,
    /// The piece that fills.
    piece: Option<Buffer>,
    /// The call on its way.
    call: Option<JoinHandle<io::Result<()>>>,
    /// Whether a whole piece was written since the writer last stood still: the object is large.
    streaming: bool,
    synced: u64,
    /// Whether the file's name is durable.
    named: bool,
    poisoned: bool,
}

impl DiskWriter {
    /// A writer that stands at `at`, up to where everything is durable if `durable`.
    pub(super) fn new(
        store: Arc<Shared>,
        key: BlobKey,
        file: Arc<StagedFile>,
        at: u64,
        durable: bool,
    ) -> Self {
        Self {
            store,
            key,
            file,
            base: at,
            piece: None,
            call: None,
            streaming: false,
            synced: at,
            named: durable,
            poisoned: false,
        }
    }

    fn sound(&self) -> Result<(), WriteError> {
        if self.poisoned {
            Err(WriteError::Poisoned)
        } else {
            Ok(())
        }
    }

    /// Starts `call` on a blocking thread. The one before it is done.
    fn start(&mut self, call: impl FnOnce(&StagedFile) -> io::Result<()> + Send + 'static) {
        debug_assert!(self.call.is_none(), "one call at a time");
        let file = Arc::clone(&self.file);
        self.call = Some(spawn_blocking(move || {
            // Removed here, so that a writer which is gone meanwhile leaves no broken file either.
            call(&file).inspect_err(|_| file.remove())
        }));
    }

    /// Waits for the call on its way. Cancelled, it is still on its way.
    async fn settle(&mut self) -> Result<(), WriteError> {
        let Some(call) = &mut self.call else {
            return Ok(());
        };
        let outcome = call.await;
        self.call = None;
        let outcome = outcome.map_err(io::Error::from).and_then(|outcome| outcome);
        outcome.map_err(|error| self.fail("write an object", error))
    }

    fn fail(&mut self, doing: &'static str, error: io::Error) -> WriteError {
        self.poisoned = true;
        self.piece = None;
        StorageError::io(doing, error).into()
    }

    /// How many bytes of the piece there may be: it ends where an aligned one can begin.
    fn is_full(&self) -> bool {
        let odd = usize::try_from(self.base % ALIGNMENT as u64).expect("less than a page");
        let filled = |piece: &Buffer| piece.len() == piece.size() - odd;
        self.piece.as_ref().is_some_and(filled)
    }

    /// Gives the full piece to the thread.
    fn hand_over(&mut self) {
        if let Some(piece) = self.piece.take() {
            let at = self.base;
            self.base += piece.len() as u64;
            self.streaming = true;
            self.start(move |file| file.write_piece(piece.filled(), at));
        }
    }

    /// Takes as much of `chunk` as fits into the piece.
    fn gather(&mut self, chunk: &mut Bytes) {
        let size = if self.streaming {
            self.store.pool.piece_size()
        } else {
            SMALL
        };
        let odd = usize::try_from(self.base % ALIGNMENT as u64).expect("less than a page");
        let pool = &self.store.pool;
        let piece = self.piece.get_or_insert_with(|| pool.lend(size));
        let room = piece.size() - odd - piece.len();
        let mut fitting = chunk.split_to(chunk.len().min(room));
        piece.fill(&mut fitting);
    }

    /// Makes room behind a full piece. An object begins with a small buffer, which most objects
    /// never outgrow, and goes on with a large one.
    async fn make_room(&mut self) -> Result<(), WriteError> {
        if let (false, Some(piece)) = (self.streaming, &self.piece) {
            let size = self.store.pool.piece_size();
            if size > piece.size() {
                self.piece = Some(piece.moved(size));
                return Ok(());
            }
        }
        self.settle().await?;
        self.hand_over();
        Ok(())
    }

    /// Starts to write what is left in memory, followed by `then`, and stands still.
    fn flush(&mut self, then: impl FnOnce(&StagedFile) -> io::Result<()> + Send + 'static) {
        let piece = self.piece.take();
        let at = self.base;
        self.base = self.len_with(piece.as_ref());
        self.streaming = false;
        self.start(move |file| {
            if let Some(piece) = piece {
                file.write(piece.filled(), at)?;
            }
            then(file)
        });
    }

    fn len_with(&self, piece: Option<&Buffer>) -> u64 {
        self.base + piece.map_or(0, |piece| piece.len() as u64)
    }
}

#[async_trait]
impl BlobWriter for DiskWriter {
    fn len(&self) -> u64 {
        self.len_with(self.piece.as_ref())
    }

    async fn append(&mut self, mut chunk: Bytes) -> Result<(), WriteError> {
        self.sound()?;
        while !chunk.is_empty() {
            if self.is_full() {
                self.make_room().await?;
            }
            self.gather(&mut chunk);
        }
        // A full piece need not wait for the next chunk if the thread is free.
        let free = self.call.as_ref().is_none_or(JoinHandle::is_finished);
        if self.streaming && free && self.is_full() {
            self.settle().await?;
            self.hand_over();
        }
        Ok(())
    }

    async fn sync(&mut self) -> Result<u64, WriteError> {
        self.sound()?;
        self.settle().await?;
        let folder = self.store.layout.staging_of(&self.key.registry);
        let named = self.named;
        self.flush(move |file| {
            file.sync()?;
            if named {
                Ok(())
            } else {
                sync::sync_folder(&folder)?;
                file.confirm()
            }
        });
        self.settle().await?;
        self.named = true;
        self.synced = self.base;
        Ok(self.synced)
    }

    fn state(&self) -> WriterState {
        WriterState {
            len: self.synced,
            detail: String::new(),
        }
    }

    async fn truncate(&mut self, to: u64) -> Result<(), WriteError> {
        self.sound()?;
        let len = self.len();
        if to > len {
            return Err(WriteError::Offset { to, len });
        }
        self.settle().await?;
        match &mut self.piece {
            Some(piece) if to >= self.base => {
                let kept = usize::try_from(to - self.base).expect("a part of the piece");
                piece.set_filled(kept);
            }
            piece => {
                *piece = None;
                self.base = to;
            }
        }
        self.streaming = false;
        self.synced = self.synced.min(to);
        self.start(move |file| file.truncate(to));
        self.settle().await
    }

    async fn commit(mut self: Box<Self>) -> Result<u64, WriteError> {
        self.sound()?;
        self.settle().await?;
        let size = self.len();
        // What is in the file already is made durable by this thread alone: it may be much, and
        // others should not wait for it.
        let large = self.base > 0;
        let (done, outcome) = oneshot::channel();
        let (store, key) = (Arc::clone(&self.store), self.key.clone());
        let (piece, at, file) = (self.piece.take(), self.base, Arc::clone(&self.file));
        spawn_blocking(move || {
            let folder = store.layout.shard_of(&key.registry, key.shard());
            let target = store.layout.finished(&key);
            let written = || {
                if let Some(piece) = piece {
                    file.write(piece.filled(), at)?;
                }
                if large {
                    file.sync()?;
                }
                store.folders.ensure(store.layout.root(), &folder)
            };
            match written() {
                Ok(()) => store.publisher.publish(Commit {
                    file,
                    synced: large,
                    folder,
                    target,
                    done,
                }),
                Err(error) => {
                    file.remove();
                    let _nobody_waits = done.send(Err(error));
                }
            }
        });
        let outcome = outcome.await.map_err(io::Error::other);
        match outcome.and_then(|outcome| outcome) {
            Ok(()) => Ok(size),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(WriteError::Deleted(self.key.clone()))
            }
            Err(error) => Err(self.fail("commit an object", error)),
        }
    }

    async fn abort(mut self: Box<Self>) {
        self.piece = None;
        // The outcome of what is on its way does not matter any more; that it ended does.
        let _abandoned = self.settle().await;
        self.start(|file| {
            file.remove();
            Ok(())
        });
        let _removed = self.settle().await;
    }
}

impl Drop for DiskWriter {
    fn drop(&mut self) {
        self.file.claim().leave();
    }
}
