//! Where content lies while it comes, until all of it is here.
//!
//! Owns the bytes that were received and are not stored yet: manifests and small blobs in memory, others
//! in files, which outlive the process. Keeps these invariants: what a slot says to be here is here, from its
//! first byte on; a slot that was thrown away tells everybody who reads from it, and is written to
//! by nobody who began later; files take no more room than they may, those of an earlier process too. What
//! nobody asks for a while after the start is thrown away. May be lost: what was in it is fetched again.

mod kept;
mod slot;
mod spans;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use meridian_replication::{Body, Kind, WantId};

use kept::{Files, Kept};

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
    /// What an earlier process has left, and nobody has gone on with.
    kept: Mutex<HashMap<Body, Left>>,
    owner: u64,
    /// Held: no other process uses the folder.
    _lock: File,
}

struct Left {
    kept: Arc<Kept>,
    /// Somebody was told that it is here.
    is_asked_for: bool,
}

/// A slot, and the want that it is for.
struct Held {
    want: WantId,
    slot: Arc<Slot>,
}

// === impl Spool ===

impl Spool {
    /// One with what an earlier process has left in the folder.
    pub(crate) fn open(dir: &Path, most: u64) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let mut options = File::options();
        let options = options.read(true).write(true).create(true).truncate(false);
        let mut lock = options.open(dir.join("lock"))?;
        lock.try_lock().map_err(|error| {
            let dir = dir.display();
            io::Error::other(format!(
                "{dir} is not to be had, another agent may use it; give each its own \
                 replication.spool_dir: {error}"
            ))
        })?;
        let owner = owner(&mut lock)?;
        let taken = Arc::default();
        let kept = kept::all(dir, |size| Lease::take(&taken, most, size))?;
        if !kept.is_empty() {
            tracing::info!(blobs = kept.len(), "parts of blobs are here from before");
        }
        let mut all = HashMap::new();
        for (body, kept) in kept {
            let left = Left {
                kept: Arc::new(kept),
                is_asked_for: false,
            };
            // Of a blob that was begun anew there may be two.
            if let Some(other) = all.insert(body, left) {
                other.kept.files.remove();
            }
        }
        Ok(Self {
            dir: dir.to_owned(),
            most,
            taken: Arc::clone(&taken),
            names: AtomicU64::new(rand::random()),
            slots: Mutex::default(),
            kept: Mutex::new(all),
            owner,
            _lock: lock,
        })
    }

    /// A number by which whoever uses this folder is told apart from who uses others, after a restart too.
    pub(crate) const fn owner(&self) -> u64 {
        self.owner
    }

    /// Which parts of a blob an earlier process has left. A slot of that size has them, until it is forgotten.
    pub(crate) async fn left(&self, body: &Body, size: u64) -> Vec<Range<u64>> {
        let kept = match self.kept().get_mut(body) {
            Some(left) if left.kept.size == size => {
                left.is_asked_for = true;
                Arc::clone(&left.kept)
            }
            _ => return Vec::new(),
        };
        kept.verify().await
    }

    /// Throws away what an earlier process has left and nobody has asked for.
    pub(crate) fn forget_unasked(&self) {
        self.kept().retain(|_, left| {
            if !left.is_asked_for {
                left.kept.files.remove();
            }
            left.is_asked_for
        });
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
        let slot = Arc::new(self.make(&body, kind, size)?);
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
            Entry::Occupied(_) => return,
            Entry::Vacant(_) => {
                if let Some(left) = self.kept().remove(body) {
                    left.kept.files.remove();
                }
                return;
            }
        };
        held.slot.close(fate);
    }

    fn make(&self, body: &Body, kind: Kind, size: u64) -> io::Result<Slot> {
        match kind {
            Kind::Manifest if size <= LONGEST_MANIFEST => return Ok(Slot::in_memory(size)),
            Kind::Manifest => return Err(io::ErrorKind::FileTooLarge.into()),
            Kind::Blob if size <= SMALL_BLOB => return Ok(Slot::in_memory(size)),
            Kind::Blob => {}
        }
        if let Some(left) = self.kept().remove(body) {
            if left.kept.size == size {
                return Ok(Slot::resumed(&left.kept));
            }
            left.kept.files.remove();
        }
        let lease = Lease::take(&self.taken, self.most, size).or_else(|_| {
            self.forget_unasked();
            Lease::take(&self.taken, self.most, size)
        })?;
        let name = self.names.fetch_add(1, Ordering::Relaxed);
        let path = self.dir.join(format!("{name:016x}"));
        Ok(Slot::in_files(
            Files::create(&path, body, size, lease)?,
            size,
        ))
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<Body, Left>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<Body, Held>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The number that stands in the lock of a folder; one that is put there, if none does.
fn owner(lock: &mut File) -> io::Result<u64> {
    let mut text = String::new();
    lock.read_to_string(&mut text)?;
    match u64::from_str_radix(text.trim(), 16) {
        Ok(owner) => Ok(owner),
        Err(_) => {
            let owner = rand::random();
            lock.set_len(0)?;
            lock.rewind()?;
            writeln!(lock, "{owner:016x}")?;
            Ok(owner)
        }
    }
}

/// Room for a file.
#[derive(Debug)]
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
