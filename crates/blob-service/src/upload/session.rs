//! One upload session.
//!
//! ```text
//!                        +--------- append, failed finish ----------+
//!                        v                                          |
//!  unexplored -------> open --- finish: stored, not recorded ---> sealed --- finish ---> over
//!      |                 +------- finish, cancel, lost, expired ------+------------------> over
//!      +--- stored, not recorded: sealed        recorded, or gone: over -----------------> over
//! ```
//!
//! Owns who may change a session: whoever holds its progress. Keeps the invariant that at most one
//! request does, and that the acknowledged offset, which anybody may read, never exceeds what is
//! durable.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};

use meridian_clients::{RepositoryPath, StorageKey, UploadError, UploadStatus};
use meridian_oci::{Digest, UploadId};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio_util::sync::CancellationToken;

use super::draft::Draft;
use super::sharing::Hold;
use crate::generation::Claim;
use crate::ticket::Ticket;

const NOT_KNOWN: u64 = u64::MAX;

/// A session that is in use, or was lately.
pub(crate) struct Session {
    pub(crate) repository: RepositoryPath,
    /// What the id says under which the session was found.
    pub(crate) ticket: Ticket,
    id: UploadId,
    /// The ids that it goes by since, the last one above all, if its bytes had to be begun under other
    /// generations.
    reissued: std::sync::Mutex<Vec<(Ticket, UploadId)>>,
    /// What the request that has it holds against other instances, where there are any.
    hold: std::sync::Mutex<Option<Arc<Hold>>>,
    progress: Arc<Mutex<Progress>>,
    acknowledged: AtomicU64,
    used_millis: AtomicU64,
    cancelled: CancellationToken,
}

/// How far a session is.
pub(crate) enum Progress {
    /// What the store and the metadata know of it was not looked up yet.
    Unexplored(Claim),
    /// It takes bytes.
    Open(Box<Draft>),
    /// It has all its bytes in a finished object, which is not recorded yet as far as is known.
    Sealed(Sealed),
    /// It was finished, was cancelled, was lost, or never was.
    Over,
}

/// A finished object that waits to be recorded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sealed {
    /// Under which ticket it was stored.
    pub(crate) ticket: Ticket,
    pub(crate) key: StorageKey,
    pub(crate) size: u64,
    /// What its bytes hash to, as far as they were hashed.
    pub(crate) digest: Option<Digest>,
    /// Whether its record may have been proposed, here or by a former life of the process.
    pub(crate) proposed: bool,
}

// === impl Session ===

impl Session {
    pub(crate) fn new(
        repository: RepositoryPath,
        id: UploadId,
        ticket: Ticket,
        claim: Claim,
        now_millis: u64,
    ) -> Self {
        let (progress, offset) = match claim {
            Claim::Unused => (Progress::open(Draft::new(ticket, ticket.algorithm)), 0),
            claim => (Progress::Unexplored(claim), NOT_KNOWN),
        };
        Self {
            repository,
            ticket,
            id,
            reissued: std::sync::Mutex::default(),
            hold: std::sync::Mutex::default(),
            progress: Arc::new(Mutex::new(progress)),
            acknowledged: AtomicU64::new(offset),
            used_millis: AtomicU64::new(now_millis),
            cancelled: CancellationToken::new(),
        }
    }

    /// Takes the session, unless another request has it.
    pub(crate) fn try_take(&self) -> Result<OwnedMutexGuard<Progress>, UploadError> {
        let progress = Arc::clone(&self.progress).try_lock_owned();
        progress.map_err(|_| UploadError::Busy)
    }

    /// Waits until no other request has the session.
    pub(crate) async fn take(&self) -> OwnedMutexGuard<Progress> {
        Arc::clone(&self.progress).lock_owned().await
    }

    /// Tells who has the session that it is no use to go on.
    pub(crate) fn cancel(&self) {
        self.cancelled.cancel();
    }

    /// Cancelled with the session.
    pub(crate) fn request_token(&self) -> CancellationToken {
        self.cancelled.child_token()
    }

    pub(crate) fn ids(&self) -> Vec<UploadId> {
        let reissued = self.reissued();
        let reissued = reissued.iter().map(|(_, id)| id.clone());
        std::iter::once(self.id.clone()).chain(reissued).collect()
    }

    /// The tickets under which it may have bytes.
    pub(crate) fn tickets(&self) -> Vec<Ticket> {
        let reissued = self.reissued();
        let reissued = reissued.iter().map(|(ticket, _)| *ticket);
        std::iter::once(self.ticket).chain(reissued).collect()
    }

    /// The ticket under which its bytes are.
    pub(crate) fn current(&self) -> Ticket {
        let reissued = self.reissued().last().map(|(ticket, _)| *ticket);
        reissued.unwrap_or(self.ticket)
    }

    /// Gives the session another id.
    pub(crate) fn reissue(&self, ticket: Ticket, id: UploadId) {
        self.reissued().push((ticket, id));
    }

    pub(crate) fn is_reissued(&self) -> bool {
        !self.reissued().is_empty()
    }

    pub(crate) fn hold(&self) -> Option<Arc<Hold>> {
        self.held().clone()
    }

    pub(crate) fn set_hold(&self, hold: Option<Arc<Hold>>) {
        *self.held() = hold;
    }

    /// Forgets where it stands: another instance may know better.
    pub(crate) fn forget_status(&self) {
        self.acknowledge(NOT_KNOWN);
    }

    pub(crate) fn acknowledge(&self, offset: u64) {
        self.acknowledged.store(offset, Ordering::Release);
    }

    /// Where the session stands for its client; `None` before it was explored.
    pub(crate) fn status(&self) -> Option<UploadStatus> {
        let offset = self.acknowledged.load(Ordering::Acquire);
        (offset != NOT_KNOWN).then(|| self.status_at(offset))
    }

    pub(crate) fn status_at(&self, offset: u64) -> UploadStatus {
        let reissued = self.reissued().last().map(|(_, id)| id.clone());
        UploadStatus {
            upload: reissued.unwrap_or_else(|| self.id.clone()),
            offset,
            min_chunk: None,
        }
    }

    pub(crate) fn touch(&self, now_millis: u64) {
        self.used_millis.store(now_millis, Ordering::Relaxed);
    }

    pub(crate) fn used_millis(&self) -> u64 {
        self.used_millis.load(Ordering::Relaxed)
    }

    fn reissued(&self) -> MutexGuard<'_, Vec<(Ticket, UploadId)>> {
        self.reissued.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self) -> MutexGuard<'_, Option<Arc<Hold>>> {
        self.hold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Progress ===

impl Progress {
    pub(crate) fn open(draft: Draft) -> Self {
        Self::Open(Box::new(draft))
    }

    /// How many bytes the session has.
    pub(crate) const fn offset(&self) -> u64 {
        match self {
            Self::Open(draft) => draft.offset(),
            Self::Sealed(sealed) => sealed.size,
            Self::Unexplored(_) | Self::Over => 0,
        }
    }

    pub(crate) fn end(&mut self) -> Self {
        std::mem::replace(self, Self::Over)
    }

    /// The object that nobody will finish. Lets go of it.
    pub(crate) fn unwanted(self) -> Option<StorageKey> {
        match self {
            Self::Open(draft) => draft.key(),
            Self::Sealed(sealed) => (!sealed.proposed).then_some(sealed.key),
            Self::Unexplored(_) | Self::Over => None,
        }
    }
}
