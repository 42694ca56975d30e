//! A request's turn at a session that several instances share.
//!
//! Owns the way from what other instances left to what is done here, and back. Keeps the invariant that
//! nothing of such a session stays in this process between two requests: the store tells how far it is,
//! and the memo what its bytes hash to, if it is about exactly those.

use std::sync::Arc;

use meridian_clients::{
    Collect, MetadataApi, RepositoryPath, StorageKey, UploadError, UploadStatus,
};
use meridian_oci::UploadId;
use tokio_util::sync::CancellationToken;

use super::draft::Draft;
use super::find::Trace;
use super::memo::{Finished, Memo, Open};
use super::over::Ending;
use super::session::{Progress, Session};
use super::sharing::{Hold, Sharing, Taken};
use super::{Uploads, failure};
use crate::generation::Claim;
use crate::layout;
use crate::ticket::Ticket;

/// How often a session can have moved until it counts as lost: once, unless the cache forgets.
const MOVES: usize = 4;

impl Uploads {
    /// Runs the work of a request that has the session, so that no other instance is at it.
    pub(super) async fn in_turn<T>(
        &self,
        session: &Arc<Session>,
        gone: &CancellationToken,
        work: impl Future<Output = (Result<T, UploadError>, Left)>,
    ) -> Result<T, UploadError> {
        let Some(sharing) = &self.sharing else {
            return work.await.0;
        };
        let Ok(hold) = sharing.take(session.ticket).await else {
            self.table.remove(session);
            return Err(UploadError::Busy);
        };
        self.hold_during(session, hold, gone, work).await
    }

    async fn hold_during<T>(
        &self,
        session: &Arc<Session>,
        hold: Hold,
        gone: &CancellationToken,
        work: impl Future<Output = (Result<T, UploadError>, Left)>,
    ) -> Result<T, UploadError> {
        let hold = Arc::new(hold);
        session.set_hold(Some(Arc::clone(&hold)));
        let (outcome, mut progress) = hold.keep_during(gone, work).await;
        self.hand_on(session, &mut progress, &hold).await;
        hold.release().await;
        self.table.remove(session);
        session.set_hold(None);
        session.forget_status();
        *progress = Progress::Unexplored(Claim::Foreign);
        outcome
    }

    /// What is left of a session, by the memo and the store.
    pub(super) async fn recall(
        &self,
        session: &Arc<Session>,
        hold: &Hold,
    ) -> Result<Progress, UploadError> {
        for _ in 0..MOVES {
            let ticket = session.current();
            match hold.memo(ticket).await {
                Some(Memo::Moved(to)) => {
                    self.follow(session, hold, &to).await?;
                    continue;
                }
                Some(Memo::Over) => return Ok(Progress::Over),
                Some(Memo::Open(open)) => return self.take_over(session, open).await,
                Some(Memo::Sealed(finished)) => return self.sealed(session, &finished).await,
                // That it has no bytes may be old: whoever stored some may have found no cache to say so.
                Some(Memo::Fresh) | None if self.is_unused(ticket) => {}
                Some(Memo::Fresh) | None => return self.look(session, Claim::Foreign).await,
            }
            return if self.has_ended(session).await {
                Ok(Progress::Over)
            } else {
                self.begin_if_unused(session).await
            };
        }
        Err(UploadError::Unknown)
    }

    /// Whether nothing can be stored under a ticket, because it is ours and was not used.
    fn is_unused(&self, ticket: Ticket) -> bool {
        let (epoch, generation) = (ticket.epoch, ticket.generation);
        let claim = self.generations.claim(epoch, generation, false);
        claim == Claim::Unused && !self.is_older(ticket, self.config.idle_expiry)
    }

    /// Where a session stands, without taking it.
    pub(super) async fn shared_status(
        &self,
        sharing: &Sharing,
        repository: &RepositoryPath,
        id: &UploadId,
    ) -> Result<UploadStatus, UploadError> {
        let mut ticket = self.read(repository, id)?;
        let in_hand = self.table.get(id).and_then(|session| session.status());
        if let Some(status) = in_hand {
            return Ok(status);
        }
        for _ in 0..MOVES {
            match sharing.memo(ticket).await {
                Some(Memo::Moved(to)) => ticket = moved(&to)?,
                Some(Memo::Over) => return Err(UploadError::Unknown),
                Some(Memo::Fresh) if self.is_unused(ticket) => {
                    return Ok(self.status_of(repository, ticket, 0));
                }
                Some(Memo::Fresh | Memo::Open(_) | Memo::Sealed(_)) | None => break,
            }
        }
        let upload = self.stamp.seal(repository, ticket);
        if self.endings.recall(&upload).await.is_some() {
            return Err(UploadError::Unknown);
        }
        let offset = match self.trace(repository, ticket).await? {
            Trace::Unfinished(_, writer) => writer.len(),
            Trace::Finished(_, size) => size,
            Trace::Known => return Err(UploadError::Unknown),
            Trace::Nothing if self.is_older(ticket, self.config.idle_expiry) => {
                return Err(UploadError::Unknown);
            }
            Trace::Nothing => 0,
        };
        Ok(self.status_of(repository, ticket, offset))
    }

    fn status_of(&self, repository: &RepositoryPath, ticket: Ticket, offset: u64) -> UploadStatus {
        UploadStatus {
            upload: self.stamp.seal(repository, ticket),
            offset,
            min_chunk: None,
        }
    }

    /// Ends a session, whichever instance has it in hand.
    pub(super) async fn shared_cancel(
        &self,
        sharing: &Arc<Sharing>,
        repository: &RepositoryPath,
        id: &UploadId,
    ) -> Result<(), UploadError> {
        let session = self.find(repository, id)?;
        session.cancel();
        let mut progress = session.take().await;
        let seized = sharing.seize(session.ticket).await;
        let hold = seized.map_err(|Taken| UploadError::Busy)?;
        let cancelling = async {
            *progress = Progress::Unexplored(Claim::Foreign);
            let mut outcome = self.explore(&session, &mut progress).await;
            if outcome.is_ok() && matches!(*progress, Progress::Over) {
                outcome = Err(UploadError::Unknown);
            }
            if outcome.is_ok() {
                self.end(&session, &mut progress, Ending::Cancelled).await;
            }
            (outcome, progress)
        };
        let never = CancellationToken::new();
        self.hold_during(&session, hold, &never, cancelling).await
    }

    /// Whether what was hashed while it was written is what the store has. Where instances share it, that
    /// takes that no other one can have been at it.
    pub(super) async fn is_alone_at(&self, session: &Session) -> bool {
        match session.hold() {
            Some(hold) => hold.is_certain().await,
            None => true,
        }
    }

    /// Ends a session for all instances. Returns whether it was this request's to end.
    pub(super) async fn end_for_all(&self, session: &Session) -> bool {
        match session.hold() {
            Some(hold) => hold.leave(session.current(), &Memo::Over).await,
            None => true,
        }
    }

    /// Has the metadata promise that it will never name an object, which another instance might propose
    /// at this moment.
    pub(super) async fn doom(&self, key: StorageKey) -> bool {
        let doom = |metadata: Arc<dyn MetadataApi>, request| async move {
            metadata.collect(Collect::Doom(vec![key]), request).await
        };
        match self.proposer.run(doom).await {
            Ok(doomed) => doomed.blobs > 0,
            Err(error) => {
                let error = meridian_error::chain(&error);
                tracing::warn!(error, "an unfinished object is left to the sweep");
                false
            }
        }
    }

    /// Tells other instances how a session was left.
    async fn hand_on(&self, session: &Session, progress: &mut Progress, hold: &Hold) {
        let is_certain = hold.is_certain().await;
        let (memo, ticket) = match progress {
            Progress::Open(draft) => (Some(draft.memo(is_certain)), session.current()),
            // One that was placed anew goes by the ticket under which it lies now.
            Progress::Sealed(sealed) => {
                let finished = Finished::of(sealed, is_certain);
                (Some(Memo::Sealed(finished)), sealed.ticket)
            }
            Progress::Over => (None, session.current()),
            Progress::Unexplored(_) => return,
        };
        if let Some(memo) = memo
            && !hold.leave(ticket, &memo).await
        {
            tracing::debug!(
                generation = ticket.generation,
                "what was hashed of an upload is not known to other instances",
            );
        }
        if let Some(read) = hold.read_of().filter(|read| *read != ticket) {
            hold.leave(read, &Memo::moved(ticket)).await;
        }
    }

    async fn follow(
        &self,
        session: &Arc<Session>,
        hold: &Hold,
        to: &[u8],
    ) -> Result<(), UploadError> {
        let ticket = moved(to)?;
        let held = hold.lease(ticket).await;
        held.map_err(|Taken| UploadError::Busy)?;
        session.reissue(ticket, self.stamp.seal(&session.repository, ticket));
        self.table.alias(session);
        Ok(())
    }

    /// Goes on with bytes that the store has.
    async fn take_over(&self, session: &Arc<Session>, open: Open) -> Result<Progress, UploadError> {
        let ticket = session.current();
        let key = self.key_of(&session.repository, ticket).await?;
        let resumed = self.store.resume(&layout::object(key), None).await;
        let Some(mut writer) = resumed.map_err(failure::of_resume)? else {
            return self.look(session, Claim::Foreign).await;
        };
        let is_it = writer.state() == open.state && writer.len() == open.state.len;
        if !is_it {
            writer.sync().await.map_err(failure::of_store)?;
        }
        let mut draft = Draft::found(ticket, key, writer.state());
        if is_it {
            draft.trust(open.hasher(), open.head);
        }
        draft.settle(writer, self.keep_writer());
        Ok(Progress::open(draft))
    }

    async fn sealed(
        &self,
        session: &Session,
        finished: &Finished,
    ) -> Result<Progress, UploadError> {
        let ticket = session.current();
        let key = self.key_of(&session.repository, ticket).await?;
        Ok(Progress::Sealed(finished.under(ticket, key)))
    }

    async fn has_ended(&self, session: &Session) -> bool {
        for id in session.ids() {
            if self.endings.recall(&id).await.is_some() {
                return true;
            }
        }
        false
    }

    /// Begins a session that has no bytes, under its own generation if nothing was ever stored there.
    async fn begin_if_unused(&self, session: &Arc<Session>) -> Result<Progress, UploadError> {
        let ticket = session.current();
        let claim = self
            .generations
            .claim(ticket.epoch, ticket.generation, true);
        if claim == Claim::Unused {
            return Ok(Progress::open(Draft::new(ticket, ticket.algorithm)));
        }
        self.begin_again(session).await
    }
}

/// What work on a session leaves: the session's progress.
pub(super) type Left = tokio::sync::OwnedMutexGuard<Progress>;

fn moved(to: &[u8]) -> Result<Ticket, UploadError> {
    Ticket::from_bytes(to).ok_or(UploadError::Unknown)
}
