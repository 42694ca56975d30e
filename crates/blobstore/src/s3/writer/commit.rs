//! The end of an upload.
//!
//! ```text
//! small:   the object is put ──┐
//!                              ├── looked at ── its note is looked at ── the note is deleted ── Ok
//! large:   parts are named ────┘
//! ```
//!
//! Keeps the invariant that Ok is said only of an object that was seen afterwards, with the right
//! length and, where the store tells it, the right checksum. What an answer says of the outcome is not
//! relied upon: one that was lost, came too late, or carries an error within a success is resolved by
//! the same look. The object is written if nothing is there, and nothing is overwritten. The note is
//! looked at after that: a delete takes the note away before the object, so one that passed by
//! is noticed here, and its object is taken away.

use std::sync::Arc;

use futures::future::join;

use super::S3Writer;
use crate::s3::bucket::{Found, When};
use crate::s3::checksum::{Checksum, is_of_parts};
use crate::s3::failure::Failure;
use crate::s3::notes::{TRIES, pause};
use crate::{StorageError, WriteError};

const COMMIT: &str = "commit an object";

/// What the store has under the object's name.
enum Look {
    /// What was to be there.
    Right,
    /// Something else.
    Wrong(String),
    Nothing,
}

impl S3Writer {
    pub(super) async fn finish(&mut self) -> Result<u64, WriteError> {
        let size = self.tail.len() + self.base();
        // It is in memory from here on, be it ever so short of a part.
        self.load(usize::try_from(self.tail.len()).unwrap_or(usize::MAX))
            .await?;
        if self.flight.count() > 0 && self.tail.len() > 0 {
            self.hand_over().await?;
        }
        self.settle().await?;
        let parts: Vec<Checksum> = if self.flight.count() > 0 {
            let parts = self.flight.stored().iter();
            parts.map(|part| part.checksum).collect()
        } else {
            vec![self.tail.mark(0).tail_checksum()]
        };
        let is_ours = self.write(size, &parts).await?;
        self.conclude(is_ours).await?;
        Ok(size)
    }

    /// Makes the object be there, or finds out that it cannot be. Returns whether it is known to be
    /// this writer's doing.
    async fn write(&mut self, size: u64, parts: &[Checksum]) -> Result<bool, WriteError> {
        let mut tries = 0;
        loop {
            let done = self.try_write().await;
            tries += 1;
            let look = self.look(size, parts).await;
            let look = look.map_err(|failure| self.fail(COMMIT, failure))?;
            let failure = match (look, done) {
                (Look::Right, done) => return Ok(done.is_ok()),
                (Look::Wrong(what), done) => {
                    self.poison();
                    return Err(self.disown(what, done.is_ok()).await);
                }
                (Look::Nothing, Ok(())) => Failure::odd("that an object is there which is not"),
                (Look::Nothing, Err(failure)) => failure,
            };
            let is_over = !(failure.may_pass() || failure.is_conflict() || failure.is_odd());
            if is_over || tries == TRIES {
                return Err(self.give_up(failure).await);
            }
            pause(tries).await;
        }
    }

    async fn try_write(&self) -> Result<(), Failure> {
        let (bucket, name) = (&self.store.bucket, self.store.layout.object(&self.key));
        match &self.upload {
            Some(upload) if self.flight.count() > 0 => {
                bucket.complete(&name, upload, self.flight.stored()).await
            }
            _ => {
                let body = self.tail.front(self.tail.len()).unwrap_or_default();
                let put = bucket.put(&name, body, When::Absent, None).await;
                put.map(|_etag| ())
            }
        }
    }

    async fn look(&self, size: u64, parts: &[Checksum]) -> Result<Look, Failure> {
        fail::fail_point!("s3.skip_check", |_| Ok(Look::Right));
        let name = self.store.layout.object(&self.key);
        let Some(found) = self.store.bucket.head(&name).await? else {
            return Ok(Look::Nothing);
        };
        let Found {
            size: has,
            checksum,
            ..
        } = found;
        if has != size {
            return Ok(Look::Wrong(format!(
                "with {has} bytes of an object of {size}"
            )));
        }
        match checksum {
            Some(text) if !is_of_parts(&text, parts) => Ok(Look::Wrong(format!(
                "with the checksum {text}, which is not that of the object"
            ))),
            _ => Ok(Look::Right),
        }
    }

    /// Looks whether a delete passed by, and takes the note away. An object that may be another's
    /// doing, whose writer took the note away, is not touched: it may be recorded by now.
    async fn conclude(&mut self, is_ours: bool) -> Result<(), WriteError> {
        let store = Arc::clone(&self.store);
        let note = store.layout.note(&self.key);
        let found = store.bucket.head(&note).await;
        if found
            .map_err(|failure| self.fail(COMMIT, failure))?
            .is_some()
        {
            self.discard_upload().await;
            if let Err(failure) = store.bucket.delete(&note).await {
                let error = meridian_error::chain(&failure.while_doing("delete a note"));
                tracing::warn!(object = %self.key, error, "the note of a finished object stays");
            }
            return Ok(());
        }
        self.poison();
        if is_ours {
            let object = store.layout.object(&self.key);
            let deleted = store.bucket.delete(&object).await;
            deleted.map_err(|failure| self.fail("delete an object", failure))?;
        }
        Err(WriteError::Deleted(self.key.clone()))
    }

    /// An upload that was begun, cut off to nothing, and not needed in the end.
    async fn discard_upload(&self) {
        if let Some(upload) = self.upload.as_ref().filter(|_| self.flight.count() == 0) {
            let object = self.store.layout.object(&self.key);
            if let Err(failure) = self.store.bucket.abort(&object, upload).await {
                let error = meridian_error::chain(&failure.while_doing("abort an upload"));
                tracing::warn!(object = %self.key, error, "an upload without use stays behind");
            }
        }
    }

    /// Something else is under the name. If this writer made it, nobody was told of it yet, and it is
    /// taken away.
    async fn disown(&mut self, what: String, is_ours: bool) -> WriteError {
        if !is_ours {
            return Failure::odd(what).while_doing(COMMIT).into();
        }
        let object = self.store.layout.object(&self.key);
        let (object, rest) = join(self.store.bucket.delete(&object), self.remove()).await;
        for failure in [object.err(), rest.err()].into_iter().flatten() {
            let error = meridian_error::chain(&failure.while_doing("delete an object"));
            tracing::warn!(object = %self.key, error, "a broken object is left to the sweep");
        }
        Failure::odd(what).while_doing(COMMIT).into()
    }

    /// The object is not there and will not be.
    async fn give_up(&mut self, failure: Failure) -> WriteError {
        self.poison();
        let note = self.store.layout.note(&self.key);
        if let Ok(None) = self.store.bucket.head(&note).await {
            return WriteError::Deleted(self.key.clone());
        }
        if !failure.may_pass()
            && let Err(failure) = self.remove().await
        {
            let error: StorageError = failure.while_doing("remove an unfinished object");
            let error = meridian_error::chain(&error);
            tracing::warn!(object = %self.key, error, "an unfinished object stays behind");
        }
        failure.while_doing(COMMIT).into()
    }

    /// Takes away the unfinished object: its upload, then its note.
    pub(super) async fn remove(&self) -> Result<(), Failure> {
        let layout = &self.store.layout;
        let object = layout.object(&self.key);
        if let Some(upload) = &self.upload {
            self.store.bucket.abort(&object, upload).await?;
        }
        self.store.bucket.delete(&layout.note(&self.key)).await
    }
}
