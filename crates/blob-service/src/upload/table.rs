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
            held.sessions.insert(id, Arc::clone(session));
        }
    }

    pub(crate) fn remove(&self, session: &Session) {
        let mut held = self.held();
        for id in session.ids() {
            // Another one may have it by now.
            let is_it = |found: &Arc<Session>| std::ptr::eq(Arc::as_ptr(found), session);
            if held.sessions.get(&id).is_some_and(is_it) {
                held.sessions.remove(&id);
            }
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

#[cfg(test)]
mod tests {
    use meridian_clients::RepositoryPath;
    use meridian_oci::Algorithm;

    use super::*;
    use crate::generation::Claim;

    fn ticket(generation: u64) -> Ticket {
        Ticket {
            algorithm: Algorithm::Sha256,
            epoch: 1,
            generation,
            created: 0,
            nonce: [0; 16],
        }
    }

    fn id(generation: u64) -> UploadId {
        format!("{generation:016}").parse().unwrap()
    }

    fn insert(table: &Table, generation: u64) -> Result<Arc<Session>, UploadError> {
        let (id, ticket) = (id(generation), ticket(generation));
        let repository = RepositoryPath {
            registry: "default".parse().unwrap(),
            name: "a".parse().unwrap(),
        };
        table.get_or_insert(&id, ticket, || {
            Session::new(repository, id.clone(), ticket, Claim::Unused, 0)
        })
    }

    #[test]
    fn an_object_is_a_sessions_or_the_sweeps() {
        let table = Table::new(10);
        let held = insert(&table, 1).unwrap();
        let claim = table.claim_for_sweep(HashSet::from([(1, 1), (1, 2)]));
        assert!(!claim.has(1, 1), "a session has it");
        assert!(claim.has(1, 2));
        assert!(matches!(insert(&table, 2), Err(UploadError::Unknown)));
        let second = table.claim_for_sweep(HashSet::from([(1, 2)]));
        assert!(!second.has(1, 2), "another sweep has it");
        drop(second);
        assert!(matches!(insert(&table, 2), Err(UploadError::Unknown)));
        drop(claim);
        assert!(insert(&table, 2).is_ok());
        table.remove(&held);
        assert!(table.claim_for_sweep(HashSet::from([(1, 1)])).has(1, 1));
    }

    #[test]
    fn a_session_is_there_once_under_all_its_ids() {
        let table = Table::new(10);
        let session = insert(&table, 1).unwrap();
        session.reissue(ticket(7), id(7));
        table.alias(&session);
        for generation in [1, 7] {
            assert!(Arc::ptr_eq(&insert(&table, generation).unwrap(), &session));
            let claim = table.claim_for_sweep(HashSet::from([(1, generation)]));
            assert!(!claim.has(1, generation));
        }
        table.remove(&session);
        assert_eq!(table.len(), 0);
    }
}
