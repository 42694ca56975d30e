//! Where content lies while it comes, until all of it is here.
//!
//! Owns the bytes that were received and are not stored yet: manifests and small blobs in memory, others
//! in files. Keeps these invariants: what a slot says to be here is here, from its
//! first byte on; a slot that was thrown away tells everybody who reads from it, and is written to
//! by nobody who began later. May be lost: what was in it is fetched again.

mod slot;
mod spans;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use meridian_replication::{Body, Kind, WantId};

pub(crate) use slot::{Fate, Hitch, Slot};

/// No manifest is longer.
const LONGEST_MANIFEST: u64 = 4 << 20;
/// Up to this size, a blob lies in memory.
const SMALL_BLOB: u64 = 64 << 10;

/// What is on its way here.
pub(crate) struct Spool {
    dir: PathBuf,
    /// How many bytes its files may take.
    most: u64,
    taken: Arc<AtomicU64>,
    names: AtomicU64,
    slots: Mutex<HashMap<Body, Held>>,
}

/// A slot, and the want that it is for.
struct Held {
    want: WantId,
    slot: Arc<Slot>,
}

// === impl Spool ===

impl Spool {
    /// An empty one. Its files have no names once they are open, so nothing of them is left behind.
    pub(crate) fn open(dir: &Path, most: u64) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        Ok(Self {
            dir: dir.to_owned(),
            most,
            taken: Arc::default(),
            names: AtomicU64::new(rand::random()),
            slots: Mutex::default(),
        })
    }

    /// The slot of a body; a new one, unless there is one for that want. One for an earlier want is thrown
    /// away.
    pub(crate) fn slot(
        &self,
        body: Body,
        want: WantId,
        kind: Kind,
        size: u64,
    ) -> io::Result<Arc<Slot>> {
        let mut slots = self.slots();
        let held = slots.get(&body);
        if let Some(held) = held.filter(|held| held.want >= want && held.slot.size() == size) {
            return match held.want == want {
                true => Ok(Arc::clone(&held.slot)),
                false => Err(io::Error::other("it is wanted anew")),
            };
        }
        let slot = Arc::new(self.make(kind, size)?);
        let held = Held {
            want,
            slot: Arc::clone(&slot),
        };
        let other = slots.insert(body, held);
        drop(slots);
        if let Some(other) = other {
            other.slot.close(Fate::Lost);
        }
        Ok(slot)
    }

    /// The slot of a body, if there is one.
    pub(crate) fn get(&self, body: &Body) -> Option<Arc<Slot>> {
        let slots = self.slots();
        slots.get(body).map(|held| Arc::clone(&held.slot))
    }

    /// Forgets what is here of a body for a want. Who reads it is told what became of it. What a later want
    /// has is not touched.
    pub(crate) fn forget(&self, body: &Body, want: WantId, fate: Fate) {
        let held = match self.slots().entry(*body) {
            Entry::Occupied(held) if held.get().want <= want => held.remove(),
            _ => return,
        };
        held.slot.close(fate);
    }

    fn make(&self, kind: Kind, size: u64) -> io::Result<Slot> {
        match kind {
            Kind::Manifest if size <= LONGEST_MANIFEST => return Ok(Slot::in_memory(size)),
            Kind::Manifest => return Err(io::ErrorKind::FileTooLarge.into()),
            Kind::Blob if size <= SMALL_BLOB => return Ok(Slot::in_memory(size)),
            Kind::Blob => {}
        }
        let lease = Lease::take(&self.taken, self.most, size)?;
        let name = self.names.fetch_add(1, Ordering::Relaxed);
        let path = self.dir.join(format!("incoming-{name:016x}"));
        Slot::in_file(&path, size, lease)
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<Body, Held>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Room for a file.
pub(crate) struct Lease {
    taken: Arc<AtomicU64>,
    bytes: u64,
}

// === impl Lease ===

impl Lease {
    fn take(taken: &Arc<AtomicU64>, most: u64, bytes: u64) -> io::Result<Self> {
        let fits = |all: u64| all.checked_add(bytes).filter(|all| *all <= most);
        let took = taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits);
        took.map_err(|_| io::Error::from(io::ErrorKind::QuotaExceeded))?;
        Ok(Self {
            taken: Arc::clone(taken),
            bytes,
        })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
