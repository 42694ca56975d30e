//! The sessions that this process has in hand.
//!
//! Keeps the invariant that a session is in memory at most once, so that its lock is one, and that
//! there are no more than a set number. A session without bytes need not be here.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use meridian_clients::UploadError;
use meridian_oci::UploadId;

use super::session::Session;

/// Sessions by each of their ids.
pub(crate) struct Table {
    sessions: Mutex<HashMap<UploadId, Arc<Session>>>,
    most: usize,
}

// === impl Table ===

impl Table {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            sessions: Mutex::default(),
            most,
        }
    }

    pub(crate) fn get(&self, id: &UploadId) -> Option<Arc<Session>> {
        self.sessions().get(id).cloned()
    }

    /// The session of that id, made if it is not here.
    pub(crate) fn get_or_insert(
        &self,
        id: &UploadId,
        make: impl FnOnce() -> Session,
    ) -> Result<Arc<Session>, UploadError> {
        let mut sessions = self.sessions();
        if let Some(session) = sessions.get(id) {
            return Ok(Arc::clone(session));
        }
        if sessions.len() >= self.most {
            return Err(UploadError::TooManySessions);
        }
        let session = Arc::new(make());
        sessions.insert(id.clone(), Arc::clone(&session));
        Ok(session)
    }

    /// Makes a session known under every id it has.
    pub(crate) fn alias(&self, session: &Arc<Session>) {
        let mut sessions = self.sessions();
        for id in session.ids() {
            sessions.insert(id.clone(), Arc::clone(session));
        }
    }

    pub(crate) fn remove(&self, session: &Session) {
        let mut sessions = self.sessions();
        for id in session.ids() {
            sessions.remove(id);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.sessions().len()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Session>> {
        self.sessions().values().cloned().collect()
    }

    /// Epoch and generation of every object that a session here may have.
    pub(crate) fn objects(&self) -> HashSet<(u64, u64)> {
        let sessions = self.sessions();
        let tickets = sessions.values().flat_map(|session| session.tickets());
        tickets.map(|ticket| (ticket.epoch, ticket.generation)).collect()
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<UploadId, Arc<Session>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
