//! Uploads, from the first byte to the record.
//!
//! Owns the sessions. Keeps these invariants: what a client was told to be there is durable;
//! nothing is recorded before its bytes are durable and hash to the digest; a request that goes
//! away in the middle leaves the session whole, because the work is done by a task of its own.
//! Leaves to the metadata service who may see a blob, and to the orphan sweep what a crash strands
//! between the store and the record.

mod append;
mod arrive;
mod body;
mod draft;
mod expire;
mod failure;
mod find;
mod finish;
mod memo;
mod over;
mod record;
mod replace;
mod session;
mod sharing;
mod table;
mod turn;
mod write;

use std::collections::HashSet;
use std::sync::Arc;

use meridian_blobstore::BlobStore;
use meridian_chassis::Spawner;
use meridian_clients::{
    MetadataApi, RepositoryPath, StorageKey, Transfer, UploadError, UploadStatus, WriteError,
};
use meridian_clock::Clock;
use meridian_event::RegistryId;
use meridian_oci::{Algorithm, Digest, UploadId};
use tokio::sync::{Semaphore, oneshot};
use tracing::Instrument;

use self::over::{Ending, Endings};
use self::session::{Progress, Session};
use self::sharing::Sharing;
pub(crate) use self::table::SweepClaim;
use self::table::Table;
use crate::generation::Generations;
use crate::layout;
use crate::loss::Losses;
use crate::propose::Proposer;
use crate::room::Shelf;
use crate::ticket::{Stamp, Ticket};
use crate::{Ports, UploadConfig};

/// How many sessions keep their object open while no request is at it. Each costs a descriptor;
/// the others take their object up again, which costs a sync.
const KEPT_WRITERS: usize = 256;

/// The sessions of this process, and what they stand on.
pub(crate) struct Uploads {
    store: Arc<dyn BlobStore>,
    metadata: Arc<dyn MetadataApi>,
    clock: Arc<dyn Clock>,
    spawner: Spawner,
    proposer: Proposer,
    stamp: Stamp,
    generations: Generations,
    table: Table,
    endings: Endings,
    /// Where other instances are told of sessions, if there are any.
    sharing: Option<Arc<Sharing>>,
    losses: Arc<Losses>,
    shelf: Shelf,
    kept_writers: Arc<Semaphore>,
    config: UploadConfig,
}

// === impl Uploads ===

impl Uploads {
    pub(crate) fn new(
        config: UploadConfig,
        ports: Ports,
        spawner: Spawner,
        losses: Arc<Losses>,
    ) -> Self {
        let proposer = Proposer::new(Arc::clone(&ports.metadata), config.commit_deadline);
        let stamp = Stamp::new(config.key.expose().as_bytes());
        let sharing = ports.shared.then(|| {
            let cache = Arc::clone(&ports.cache);
            Arc::new(Sharing::new(cache, stamp.clone(), config.idle_expiry))
        });
        Self {
            shelf: Shelf::new(Arc::clone(&ports.store), config.min_free),
            store: ports.store,
            metadata: ports.metadata,
            clock: ports.clock,
            spawner,
            stamp,
            sharing,
            generations: Generations::new(proposer.clone()),
            proposer,
            table: Table::new(config.max_open),
            endings: Endings::new(ports.cache),
            losses,
            kept_writers: Arc::new(Semaphore::new(KEPT_WRITERS)),
            config,
        }
    }

    /// Opens a session. It has no bytes, so there is nothing to keep: all is in the id.
    pub(crate) async fn start(
        &self,
        repository: &RepositoryPath,
        algorithm: Algorithm,
    ) -> Result<UploadStatus, UploadError> {
        // Better than after all bytes were sent.
        if !self.shelf.takes(0).await {
            return Err(UploadError::StoreFull);
        }
        let ticket = self.new_ticket(algorithm).await?;
        if let Some(sharing) = &self.sharing {
            sharing.announce(ticket).await;
        }
        fail::fail_point!("fe.post.after_session");
        Ok(UploadStatus {
            upload: self.stamp.seal(repository, ticket),
            offset: 0,
            min_chunk: None,
        })
    }

    pub(crate) async fn append(
        self: &Arc<Self>,
        repository: &RepositoryPath,
        upload: &UploadId,
        chunk: Transfer,
    ) -> Result<UploadStatus, UploadError> {
        let session = self.find(repository, upload)?;
        let progress = session.try_take()?;
        let gone = session.request_token();
        let _tells = gone.clone().drop_guard();
        let uploads = Arc::clone(self);
        self.detach("blob.append", async move {
            let appended = uploads.append_to(&session, progress, chunk, gone.clone());
            uploads.in_turn(&session, &gone, appended).await
        })
        .await
    }

    pub(crate) async fn finish(
        self: &Arc<Self>,
        repository: &RepositoryPath,
        upload: &UploadId,
        digest: Digest,
        chunk: Transfer,
    ) -> Result<(), UploadError> {
        let session = self.find(repository, upload)?;
        let progress = session.try_take()?;
        let gone = session.request_token();
        let _tells = gone.clone().drop_guard();
        let uploads = Arc::clone(self);
        self.detach("blob.finish", async move {
            let finished = uploads.finish_session(&session, progress, digest, chunk, gone.clone());
            uploads.in_turn(&session, &gone, finished).await
        })
        .await
    }

    /// Takes a whole blob, in a session whose id nobody is told: it ends with the request.
    pub(crate) async fn whole(
        self: &Arc<Self>,
        repository: &RepositoryPath,
        digest: Digest,
        body: Transfer,
    ) -> Result<(), UploadError> {
        let ticket = self.new_ticket(digest.algorithm()).await?;
        let session = self.find_own(repository, ticket)?;
        let progress = session.try_take()?;
        let gone = session.request_token();
        let _tells = gone.clone().drop_guard();
        let uploads = Arc::clone(self);
        self.detach("blob.upload", async move {
            let finished = uploads.finish_session(&session, progress, digest, body, gone);
            let (finished, left) = match &uploads.sharing {
                Some(sharing) => sharing.keep_long(ticket, finished).await,
                None => finished.await,
            };
            drop(left);
            if finished.is_err() {
                let mut progress = session.take().await;
                uploads.end(&session, &mut progress, Ending::Lost).await;
            }
            finished
        })
        .await
    }

    pub(crate) async fn status(
        &self,
        repository: &RepositoryPath,
        upload: &UploadId,
    ) -> Result<UploadStatus, UploadError> {
        if let Some(sharing) = &self.sharing {
            return self.shared_status(sharing, repository, upload).await;
        }
        if let Some(status) = self.untouched(repository, upload)? {
            return Ok(status);
        }
        let session = self.find(repository, upload)?;
        if let Some(status) = session.status() {
            return Ok(status);
        }
        let mut progress = session.take().await;
        self.explore(&session, &mut progress).await?;
        match &*progress {
            Progress::Over => Err(UploadError::Unknown),
            progress => Ok(session.status_at(progress.offset())),
        }
    }

    /// Ends a session. Whoever writes to it is told, and waited for.
    pub(crate) async fn cancel(
        self: &Arc<Self>,
        repository: &RepositoryPath,
        upload: &UploadId,
    ) -> Result<(), UploadError> {
        if let Some(sharing) = self.sharing.clone() {
            let (uploads, repository, upload) =
                (Arc::clone(self), repository.clone(), upload.clone());
            let cancelled =
                async move { uploads.shared_cancel(&sharing, &repository, &upload).await };
            return self.detach("blob.cancel", cancelled).await;
        }
        let session = self.find(repository, upload)?;
        session.cancel();
        let mut progress = session.take().await;
        self.explore(&session, &mut progress).await?;
        if matches!(*progress, Progress::Over) {
            return Err(UploadError::Unknown);
        }
        self.end(&session, &mut progress, Ending::Cancelled).await;
        Ok(())
    }

    /// How many sessions are in hand.
    pub(crate) fn open_sessions(&self) -> usize {
        self.table.len()
    }

    /// Claims for the sweep those of `objects`, by epoch and generation, that no session has.
    pub(crate) fn claim_for_sweep(&self, objects: HashSet<(u64, u64)>) -> SweepClaim<'_> {
        self.table.claim_for_sweep(objects)
    }

    /// Those of `objects`, by epoch and generation, that no request has in hand, of any instance. What
    /// is not known to be idle is not among them.
    pub(crate) async fn idle(&self, objects: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
        match &self.sharing {
            Some(sharing) => sharing.idle(objects).await,
            None => objects,
        }
    }

    async fn new_ticket(&self, algorithm: Algorithm) -> Result<Ticket, WriteError> {
        let (epoch, generation) = self.generations.next().await?;
        Ok(Ticket {
            algorithm,
            epoch,
            generation,
            created: self.clock.now_millis(),
            nonce: rand::random(),
        })
    }

    /// The key of the object that belongs to a ticket.
    async fn key_of(
        &self,
        repository: &RepositoryPath,
        ticket: Ticket,
    ) -> Result<StorageKey, UploadError> {
        let registry = self.metadata.registry(&repository.registry).await;
        Ok(key_in(registry.map_err(WriteError::Read)?, ticket))
    }

    /// Runs `work` to its end, whether its request waits for it or not.
    async fn detach<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<T, UploadError>> + Send + 'static,
    ) -> Result<T, UploadError> {
        let (done, outcome) = oneshot::channel();
        let work = work.in_current_span();
        self.spawner.spawn_child(name, async move {
            let _nobody_waits = done.send(work.await);
        });
        let outcome = outcome.await;
        outcome.unwrap_or_else(|_| Err(failure::lost("the upload was cut short by a shutdown")))
    }

    /// Ends a session, removes what it leaves, and remembers how it ended.
    async fn end(&self, session: &Session, progress: &mut Progress, ending: Ending) {
        let is_ours = self.end_for_all(session).await;
        let progress = progress.end();
        if is_ours {
            self.dispose(session, progress).await;
        }
        if is_ours || matches!(ending, Ending::Finished(_)) {
            for id in session.ids() {
                self.endings
                    .remember(&id, ending, self.config.max_lifetime)
                    .await;
            }
        }
        self.table.remove(session);
    }

    /// Removes bytes that nobody will finish. A finished object whose record may be on its way
    /// stays, and is the sweep's to judge.
    async fn dispose(&self, session: &Session, progress: Progress) {
        let Some(key) = progress.unwanted() else {
            return;
        };
        if session.hold().is_some() && !self.doom(key).await {
            return;
        }
        self.discard(key).await;
    }

    /// Deletes an object of ours that no record was ever proposed for.
    async fn discard(&self, key: StorageKey) {
        if let Err(error) = self.store.delete(&layout::object(key)).await {
            let error = meridian_error::chain(&error);
            tracing::warn!(error, "an unfinished object is left to the sweep");
        }
    }
}

const fn key_in(registry: RegistryId, ticket: Ticket) -> StorageKey {
    StorageKey {
        registry,
        epoch: ticket.epoch,
        generation: ticket.generation,
    }
}
