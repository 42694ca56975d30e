//! The writer of one unfinished object.
//!
//! ```text
//!  [part 1][part 2][part 3][part 4][ tail )            what was appended
//!   stored  stored  on its way      fills
//! ```
//!
//! Owns the order of things: a part is handed over when more than it arrives, and goes up while the
//! next one fills; a multipart upload is named in the note before it has a part; a sync waits for the
//! parts, then writes the note; what the note tells of a part is corrected before that part is
//! replaced. Keeps the invariant that the first failure is the last call: later ones are refused, and
//! what was synced stays in the store, for a later writer or the sweep. Leaves the tail to
//! [`tail`], the parts on their way to [`flight`], the end to [`commit`].

mod commit;
mod flight;
mod tail;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use self::flight::Flight;
use self::tail::Tail;
use super::Shared;
use super::checksum::Checksum;
use super::failure::Failure;
use super::note::{Mark, Note, Noted};
use super::notes::{NoteError, Pen};
use crate::claim::Claim;
use crate::{BlobKey, BlobWriter, StorageError, WriteError, WriterState};

/// A writer of [`S3BlobStore`](super::S3BlobStore).
pub(super) struct S3Writer {
    store: Arc<Shared>,
    key: BlobKey,
    claim: Arc<Claim>,
    pen: Pen,
    /// The note as it is in the store.
    noted: Noted,
    /// The multipart upload, if there is one; the note may not tell it yet.
    upload: Option<String>,
    /// Parts that were handed over.
    flight: Flight,
    tail: Tail,
    /// Where the object was synced last, and before that, as far as this writer can go back.
    mark: Mark,
    before: Option<Mark>,
    poisoned: bool,
}

// === impl S3Writer ===

impl S3Writer {
    /// A writer that stands at a mark of the note.
    pub(super) fn new(
        store: Arc<Shared>,
        key: BlobKey,
        claim: Claim,
        pen: Pen,
        noted: Noted,
        mark: Mark,
    ) -> Self {
        let before = noted.note.before.filter(|_| mark == noted.note.mark);
        let mut flight = Flight::new(store.parts_in_flight);
        flight.restore(&noted.note.parts[..mark.parts]);
        Self {
            upload: noted.note.upload.clone(),
            flight,
            tail: Tail::at(mark),
            store,
            key,
            claim: Arc::new(claim),
            pen,
            noted,
            mark,
            before,
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

    fn fail(&mut self, doing: &'static str, failure: Failure) -> WriteError {
        self.poison();
        if failure.is_no_upload() {
            WriteError::Deleted(self.key.clone())
        } else {
            failure.while_doing(doing).into()
        }
    }

    fn poison(&mut self) {
        self.poisoned = true;
        self.tail = Tail::default();
        self.flight.cancel();
    }

    /// How many bytes are in the parts that were handed over.
    fn base(&self) -> u64 {
        self.flight.len()
    }

    fn synced(&self) -> Checksum {
        self.mark.checksum(self.flight.stored())
    }

    /// Waits until all parts that were handed over are stored.
    async fn settle(&mut self) -> Result<(), WriteError> {
        let settled = self.flight.settle().await;
        settled.map_err(|failure| self.fail("upload a part", failure))
    }

    /// Gets the tail into memory, with the right to hold a part if it may become more than a few
    /// bytes.
    async fn load(&mut self, wanted: usize) -> Result<(), WriteError> {
        let size = self.part_size();
        let loaded = self
            .tail
            .load(&self.store, &self.key, &self.noted, wanted, size);
        let loaded = loaded.await;
        loaded.map_err(|failure| self.fail("read the end of an upload", failure))
    }

    /// The size of the part that fills.
    fn part_size(&self) -> usize {
        self.store.plan.size(self.flight.count())
    }

    /// Hands the tail over as a part.
    async fn hand_over(&mut self) -> Result<(), WriteError> {
        let upload = match &self.upload {
            Some(upload) => upload.clone(),
            None => {
                let name = self.store.layout.object(&self.key);
                let begun = self.store.bucket.begin(&name).await;
                let upload = begun.map_err(|failure| self.fail("begin an upload", failure))?;
                self.upload.insert(upload).clone()
            }
        };
        // A part that the note tells of is about to be replaced, or the note tells of no upload.
        let replaces = self.flight.count() < self.noted.note.parts.len();
        if replaces || self.noted.note.upload.as_ref() != Some(&upload) {
            self.save(self.mark, self.before).await?;
        }
        let room = self.flight.room().await;
        room.map_err(|failure| self.fail("upload a part", failure))?;
        let (part, hold) = self.tail.take();
        let (store, claim) = (Arc::clone(&self.store), Arc::clone(&self.claim));
        let name = self.store.layout.object(&self.key);
        let (len, index) = (part.len() as u64, self.flight.count());
        self.flight.start(len, async move {
            let uploaded = store.bucket.upload(&name, &upload, index, part).await;
            drop((claim, hold));
            uploaded
        });
        Ok(())
    }

    /// Writes the note, with these marks.
    async fn save(&mut self, mut mark: Mark, before: Option<Mark>) -> Result<(), WriteError> {
        let store = Arc::clone(&self.store);
        let _turn = store.memory.note().await;
        let mut tails = vec![self.tail_at(&mark).await?];
        mark.at = 0;
        let before = match before {
            // Both tails begin with the same byte.
            Some(before) if before.parts == mark.parts => Some(Mark { at: 0, ..before }),
            Some(before) => {
                tails.push(self.tail_at(&before).await?);
                let at = mark.tail;
                Some(Mark { at, ..before })
            }
            None => None,
        };
        let note = Note {
            upload: self.upload.clone(),
            parts: self.flight.stored()[..mark.parts].to_vec(),
            mark,
            before,
            ..Note::default()
        };
        let (key, pen) = (&self.key, &mut self.pen);
        let saved = store.replace_note(key, &self.noted, note, &tails, pen);
        match saved.await {
            Ok(noted) => self.noted = noted,
            Err(NoteError::Gone) => {
                self.poison();
                return Err(WriteError::Deleted(self.key.clone()));
            }
            Err(NoteError::Overtaken) => {
                self.poison();
                return Err(StorageError::overtaken("sync an object").into());
            }
            Err(NoteError::Failed(failure)) => return Err(self.fail("sync an object", failure)),
        }
        (self.mark, self.before) = (mark, before);
        self.tail.noted(&mark);
        Ok(())
    }

    /// The bytes between the last whole part at a mark and the mark.
    async fn tail_at(&mut self, mark: &Mark) -> Result<Bytes, WriteError> {
        if mark.parts == self.flight.count()
            && let Some(bytes) = self.tail.front(mark.tail)
        {
            return Ok(bytes);
        }
        let read = self.store.tail(&self.key, &self.noted, mark).await;
        read.map_err(|failure| self.fail("read the end of an upload", failure))
    }

    /// Goes back to a mark.
    fn return_to(&mut self, mark: Mark) {
        let is_here = mark.parts == self.flight.count();
        self.flight.cut(mark.parts);
        if !(is_here && self.tail.cut(mark.tail)) {
            self.tail = Tail::at(mark);
        }
        self.before = self.before.filter(|_| mark == self.mark);
        self.mark = mark;
    }
}

#[async_trait]
impl BlobWriter for S3Writer {
    fn len(&self) -> u64 {
        self.base() + self.tail.len()
    }

    async fn append(&mut self, mut chunk: Bytes) -> Result<(), WriteError> {
        self.sound()?;
        // An earlier part that failed is no secret until the next sync.
        let landed = self.flight.land();
        landed.map_err(|failure| self.fail("upload a part", failure))?;
        while !chunk.is_empty() {
            let size = self.part_size();
            let filled = usize::try_from(self.tail.len()).unwrap_or(usize::MAX);
            if filled >= size {
                self.load(filled).await?;
                self.hand_over().await?;
                continue;
            }
            let wanted = size.min(filled.saturating_add(chunk.len()));
            self.load(wanted).await?;
            let fits = self.tail.room(size).min(chunk.len());
            self.tail.push(&chunk.split_to(fits));
        }
        Ok(())
    }

    async fn sync(&mut self) -> Result<u64, WriteError> {
        self.sound()?;
        self.settle().await?;
        let mut now = self.tail.mark(self.flight.count());
        if now.is_at(&self.noted.note.mark) {
            (self.mark, self.before) = (self.noted.note.mark, self.noted.note.before);
        } else {
            let before = match now.is_at(&self.mark) {
                true => self.before,
                false => Some(self.mark).filter(|mark| !mark.is_begin()),
            };
            now.id = rand::random();
            self.save(now, before).await?;
        }
        self.tail.rest(&self.store, &self.mark);
        Ok(self.len())
    }

    fn state(&self) -> WriterState {
        WriterState {
            len: self.synced().len,
            detail: self.mark.detail(self.flight.stored()),
        }
    }

    async fn truncate(&mut self, to: u64) -> Result<(), WriteError> {
        self.sound()?;
        let len = self.len();
        self.settle().await?;
        let synced = self.synced().len;
        if to == len {
            return Ok(());
        }
        if to < len && to >= synced && to >= self.base() {
            let kept = to - self.base();
            if self.tail.cut(kept) {
                return Ok(());
            }
        }
        let marks = [Some(Mark::default()), self.before, Some(self.mark)];
        let is_it = |mark: &Mark| mark.checksum(self.flight.stored()).len == to;
        match marks.into_iter().flatten().find(is_it) {
            Some(mark) if to < len => {
                self.return_to(mark);
                Ok(())
            }
            _ => Err(WriteError::Offset { to, len }),
        }
    }

    async fn commit(mut self: Box<Self>) -> Result<u64, WriteError> {
        self.sound()?;
        self.finish().await
    }

    async fn abort(mut self: Box<Self>) {
        self.tail = Tail::default();
        // What is on its way would land behind the end of the upload, so its end is waited for.
        self.flight.drain().await;
        if let Err(failure) = self.remove().await {
            let error = failure.while_doing("remove an unfinished object");
            let error = meridian_error::chain(&error);
            tracing::warn!(object = %self.key, error, "an unfinished object stays behind");
        }
    }
}

impl Drop for S3Writer {
    fn drop(&mut self) {
        self.claim.leave();
    }
}
