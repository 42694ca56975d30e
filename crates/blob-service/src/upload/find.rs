//! From an id to its session.
//!
//! Owns what an id is worth: whether it was made here, is not too old, and what is left of its
//! session. Keeps the invariant that bytes are begun under a generation at most once: an id whose
//! generation is not this process's own, and under which nothing lies, gets another generation and
//! another id with its first byte. The former id goes on working as long as this process lives.

use std::sync::Arc;
use std::time::Duration;

use meridian_clients::{RepositoryPath, UploadError, UploadStatus, WriteError};
use meridian_oci::UploadId;

use super::draft::Draft;
use super::session::{Progress, Sealed, Session};
use super::{Uploads, failure};
use crate::generation::Claim;
use crate::layout;
use crate::ticket::Ticket;

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
            let mut claim = self
                .generations
                .claim(ticket.epoch, ticket.generation, true);
            if claim == Claim::Unused && self.is_older(ticket, self.config.idle_expiry) {
                claim = Claim::Used;
            }
            Session::new(repository.clone(), id.clone(), ticket, claim, now)
        })?;
        session.touch(now);
        Ok(session)
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
        *progress = self.look(session, claim).await?;
        match progress {
            Progress::Over => self.table.remove(session),
            progress => session.acknowledge(progress.offset()),
        }
        Ok(())
    }

    async fn look(&self, session: &Arc<Session>, claim: Claim) -> Result<Progress, UploadError> {
        let ticket = session.ticket;
        for id in session.ids() {
            if self.endings.recall(id).await.is_some() {
                return Ok(Progress::Over);
            }
        }
        let key = self.key_of(&session.repository, ticket).await?;
        let object = layout::object(key);
        let resumed = self.store.resume(&object, None).await;
        if let Some(mut writer) = resumed.map_err(failure::of_resume)? {
            writer.sync().await.map_err(failure::of_store)?;
            let mut draft = Draft::found(ticket, key, writer.state());
            draft.settle(writer, self.keep_writer());
            tracing::info!(
                object = %object,
                size_bytes = draft.offset(),
                "an upload goes on after a restart",
            );
            return Ok(Progress::open(draft));
        }
        let size = self.store.stat(&object).await.map_err(failure::of_store)?;
        let known = self
            .metadata
            .known(&[key])
            .await
            .map_err(WriteError::Read)?;
        if known.contains(&true) {
            return Ok(Progress::Over);
        }
        if let Some(size) = size {
            return Ok(Progress::Sealed(Sealed {
                ticket,
                key,
                size,
                digest: None,
                proposed: true,
            }));
        }
        if claim == Claim::Used || self.is_older(ticket, self.config.idle_expiry) {
            return Ok(Progress::Over);
        }
        self.begin_again(session).await
    }

    /// Gives a session without bytes a generation of our own.
    async fn begin_again(&self, session: &Arc<Session>) -> Result<Progress, UploadError> {
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
    fn read(&self, repository: &RepositoryPath, id: &UploadId) -> Result<Ticket, UploadError> {
        let ticket = self
            .stamp
            .open(repository, id)
            .ok_or(UploadError::Unknown)?;
        if self.is_older(ticket, self.config.max_lifetime) {
            return Err(UploadError::Unknown);
        }
        Ok(ticket)
    }

    fn is_older(&self, ticket: Ticket, age: Duration) -> bool {
        let lived = self.clock.now_millis().saturating_sub(ticket.created);
        Duration::from_millis(lived) > age
    }
}
