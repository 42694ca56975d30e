//! From an id to its session.
//!
//! Owns what an id is worth: whether it was made here, is not too old, and what is left of its
//! session. Keeps the invariant that bytes are begun under a generation at most once: an id whose
//! generation is not this process's own, and under which nothing lies, gets another generation and
//! another id with its first byte. The former id goes on working as long as this process lives.

use std::sync::Arc;
use std::time::Duration;

use meridian_blobstore::BlobWriter;
use meridian_clients::{RepositoryPath, StorageKey, UploadError, UploadStatus, WriteError};
use meridian_oci::UploadId;

use super::draft::Draft;
use super::session::{Progress, Sealed, Session};
use super::{Uploads, failure};
use crate::generation::Claim;
use crate::layout;
use crate::ticket::Ticket;

/// What the store and the metadata have of the bytes of a ticket.
pub(super) enum Trace {
    /// An object that takes bytes.
    Unfinished(StorageKey, Box<dyn BlobWriter>),
    /// One that takes none any more, and how long it is.
    Finished(StorageKey, u64),
    /// One that was named, or is doomed.
    Known,
    Nothing,
}

impl Uploads {
    /// The status of a session that nobody has used yet.
    pub(super) fn untouched(
        &self,
        repository: &RepositoryPath,
        id: &UploadId,
    ) -> Result<Option<UploadStatus>, UploadError> {
        let ticket = self.read(repository, id)?;
        let is_resident = self.table.get(id).is_some();
        let claim = self
            .generations
            .claim(ticket.epoch, ticket.generation, false);
        if is_resident || claim != Claim::Unused {
            return Ok(None);
        }
        if self.is_older(ticket, self.config.idle_expiry) {
            return Err(UploadError::Unknown);
        }
        Ok(Some(UploadStatus {
            upload: id.clone(),
            offset: 0,
            min_chunk: None,
        }))
    }

    /// The session of an id, whatever is left of it.
    pub(super) fn find(
        &self,
        repository: &RepositoryPath,
        id: &UploadId,
    ) -> Result<Arc<Session>, UploadError> {
        let ticket = self.read(repository, id)?;
        let now = self.clock.now_millis();
        let session = self.table.get_or_insert(id, ticket, || {
            let claim = match &self.sharing {
                Some(_) => Claim::Foreign,
                None => self.claim(ticket),
            };
            Session::new(repository.clone(), id.clone(), ticket, claim, now)
        })?;
        session.touch(now);
        Ok(session)
    }

    /// A new session whose id nobody else is told.
    pub(super) fn find_own(
        &self,
        repository: &RepositoryPath,
        ticket: Ticket,
    ) -> Result<Arc<Session>, UploadError> {
        let (id, now) = (self.stamp.seal(repository, ticket), self.clock.now_millis());
        self.table.get_or_insert(&id, ticket, || {
            let claim = self.claim(ticket);
            Session::new(repository.clone(), id.clone(), ticket, claim, now)
        })
    }

    /// What is known of a ticket's generation, which is used from now on.
    fn claim(&self, ticket: Ticket) -> Claim {
        let claim = self
            .generations
            .claim(ticket.epoch, ticket.generation, true);
        if claim == Claim::Unused && self.is_older(ticket, self.config.idle_expiry) {
            return Claim::Used;
        }
        claim
    }

    /// Looks up what is left of a session that this process did not have in hand.
    pub(super) async fn explore(
        &self,
        session: &Arc<Session>,
        progress: &mut Progress,
    ) -> Result<(), UploadError> {
        let Progress::Unexplored(claim) = *progress else {
            return Ok(());
        };
        *progress = match session.hold() {
            Some(hold) => self.recall(session, &hold).await?,
            None => self.look(session, claim).await?,
        };
        match progress {
            Progress::Over => self.table.remove(session),
            progress => session.acknowledge(progress.offset()),
        }
        Ok(())
    }

    /// What is left of a session, by the store and the metadata.
    pub(super) async fn look(
        &self,
        session: &Arc<Session>,
        claim: Claim,
    ) -> Result<Progress, UploadError> {
        let ticket = session.current();
        for id in session.ids() {
            if self.endings.recall(&id).await.is_some() {
                return Ok(Progress::Over);
            }
        }
        match self.trace(&session.repository, ticket).await? {
            Trace::Unfinished(key, mut writer) => {
                writer.sync().await.map_err(failure::of_store)?;
                let mut draft = Draft::found(ticket, key, writer.state());
                draft.settle(writer, self.keep_writer());
                tracing::info!(
                    object = %layout::object(key),
                    size_bytes = draft.offset(),
                    "an upload goes on where the store has it",
                );
                Ok(Progress::open(draft))
            }
            Trace::Finished(key, size) => Ok(Progress::Sealed(Sealed {
                ticket,
                key,
                size,
                digest: None,
                proposed: true,
            })),
            Trace::Known => Ok(Progress::Over),
            Trace::Nothing
                if claim == Claim::Used || self.is_older(ticket, self.config.idle_expiry) =>
            {
                Ok(Progress::Over)
            }
            Trace::Nothing => self.begin_again(session).await,
        }
    }

    /// What became of the bytes of a ticket.
    pub(super) async fn trace(
        &self,
        repository: &RepositoryPath,
        ticket: Ticket,
    ) -> Result<Trace, UploadError> {
        let key = self.key_of(repository, ticket).await?;
        let object = layout::object(key);
        let resumed = self.store.resume(&object, None).await;
        if let Some(writer) = resumed.map_err(failure::of_resume)? {
            return Ok(Trace::Unfinished(key, writer));
        }
        let size = self.store.stat(&object).await.map_err(failure::of_store)?;
        let known = self
            .metadata
            .known(&[key])
            .await
            .map_err(WriteError::Read)?;
        Ok(match size {
            _ if known.contains(&true) => Trace::Known,
            Some(size) => Trace::Finished(key, size),
            None => Trace::Nothing,
        })
    }

    /// Gives a session without bytes a generation of our own.
    pub(super) async fn begin_again(
        &self,
        session: &Arc<Session>,
    ) -> Result<Progress, UploadError> {
        let algorithm = session.ticket.algorithm;
        let ticket = Ticket {
            created: session.ticket.created,
            ..self.new_ticket(algorithm).await?
        };
        self.generations
            .claim(ticket.epoch, ticket.generation, true);
        session.reissue(ticket, self.stamp.seal(&session.repository, ticket));
        self.table.alias(session);
        Ok(Progress::open(Draft::new(ticket, algorithm)))
    }

    /// What an id says, if it was made for this repository and is not too old.
    pub(super) fn read(
        &self,
        repository: &RepositoryPath,
        id: &UploadId,
    ) -> Result<Ticket, UploadError> {
        let ticket = self
            .stamp
            .open(repository, id)
            .ok_or(UploadError::Unknown)?;
        if self.is_older(ticket, self.config.max_lifetime) {
            return Err(UploadError::Unknown);
        }
        Ok(ticket)
    }

    pub(super) fn is_older(&self, ticket: Ticket, age: Duration) -> bool {
        let lived = self.clock.now_millis().saturating_sub(ticket.created);
        Duration::from_millis(lived) > age
    }
}
