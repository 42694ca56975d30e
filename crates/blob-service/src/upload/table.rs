//! The sessions that this process has in hand.
//!
//! Keeps the invariants that a session is in memory at most once, so that its lock is one; that
//! there are no more than a set number; and that an object belongs to a session or to the sweep,
//! never to both. A session without bytes need not be here.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use meridian_clients::UploadError;
use meridian_oci::UploadId;

use super::session::Session;
use crate::ticket::Ticket;

/// Sessions by each of their ids.
pub(crate) struct Table {
    held: Mutex<Held>,
    most: usize,
}

#[derive(Default)]
struct Held {
    sessions: HashMap<UploadId, Arc<Session>>,
    /// Epoch and generation of the objects that the sweep is about to delete.
    swept: HashSet<(u64, u64)>,
}

/// Objects that no session can take up while this lives.
pub(crate) struct SweepClaim<'t> {
    table: &'t Table,
    objects: HashSet<(u64, u64)>,
}

// === impl Table ===

impl Table {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            held: Mutex::default(),
            most,
        }
    }

    pub(crate) fn get(&self, id: &UploadId) -> Option<Arc<Session>> {
        self.held().sessions.get(id).cloned()
    }

    /// The session of that id, made if it is not here.
    pub(crate) fn get_or_insert(
        &self,
        id: &UploadId,
        ticket: Ticket,
        make: impl FnOnce() -> Session,
    ) -> Result<Arc<Session>, UploadError> {
        let mut held = self.held();
        if let Some(session) = held.sessions.get(id) {
            return Ok(Arc::clone(session));
        }
        if held.swept.contains(&(ticket.epoch, ticket.generation)) {
            return Err(UploadError::Unknown);
        }
        if held.sessions.len() >= self.most {
            return Err(UploadError::TooManySessions);
        }
        let session = Arc::new(make());
        held.sessions.insert(id.clone(), Arc::clone(&session));
        Ok(session)
    }

    /// Makes a session known under every id it has.
    pub(crate) fn alias(&self, session: &Arc<Session>) {
        let mut held = self.held();
        for id in session.ids() {
            held.sessions.insert(id.clone(), Arc::clone(session));
        }
    }

    pub(crate) fn remove(&self, session: &Session) {
        let mut held = self.held();
        for id in session.ids() {
            held.sessions.remove(id);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.held().sessions.len()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Session>> {
        self.held().sessions.values().cloned().collect()
    }

    /// Claims for the sweep those of `objects`, by epoch and generation, that no session has.
    pub(crate) fn claim_for_sweep(&self, mut objects: HashSet<(u64, u64)>) -> SweepClaim<'_> {
        let mut held = self.held();
        for session in held.sessions.values() {
            for ticket in session.tickets() {
                objects.remove(&(ticket.epoch, ticket.generation));
            }
        }
        objects.retain(|object| held.swept.insert(*object));
        SweepClaim {
            table: self,
            objects,
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl SweepClaim ===

impl SweepClaim<'_> {
    pub(crate) fn has(&self, epoch: u64, generation: u64) -> bool {
        self.objects.contains(&(epoch, generation))
    }
}

impl Drop for SweepClaim<'_> {
    fn drop(&mut self) {
        let mut held = self.table.held();
        for object in &self.objects {
            held.swept.remove(object);
        }
    }
}
