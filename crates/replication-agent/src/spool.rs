//! Where content lies while it comes, until all of it is here.
//!
//! Owns the bytes that were received and are not stored yet: manifests and small blobs in memory, others
//! in files, which outlive the process. Keeps these invariants: what a slot says to be here is here, from its
//! first byte on; a slot that was thrown away tells everybody who reads from it, and is written to
//! by nobody who began later; files take no more room than they may, those of an earlier process too, unless one alone needs more. What
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
    room: Room,
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
        let room = Room::new(most);
        let kept = kept::all(dir, |size| room.lease(size, Haste::None))?;
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
            room,
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
        haste: Haste,
    ) -> io::Result<Arc<Slot>> {
        let mut slots = self.slots();
        let held = slots.get(&body);
        if let Some(held) = held.filter(|held| held.want >= want && held.slot.size() == size) {
            return match held.want == want {
                true => Ok(Arc::clone(&held.slot)),
                false => Err(io::Error::other("it is wanted anew")),
            };
        }
        let slot = Arc::new(self.make(&body, kind, size, haste)?);
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

    fn make(&self, body: &Body, kind: Kind, size: u64, haste: Haste) -> io::Result<Slot> {
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
        let lease = self.room.lease(size, haste).or_else(|_| {
            self.forget_unasked();
            self.room.lease(size, haste)
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

/// Whether somebody waits for what is to lie there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Haste {
    /// A client does.
    Demand,
    /// Nobody does.
    None,
}

/// How many bytes files may take. What nobody waits for leaves a quarter to what clients wait for. A blob that is
/// larger than all of it comes alone: of those that nobody waits for one at a time, and one of the others.
#[derive(Debug, Clone)]
struct Room {
    most: u64,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    by_demands: u64,
    by_others: u64,
}

/// Room for a file.
#[derive(Debug)]
pub(crate) struct Lease {
    taken: Arc<Mutex<Taken>>,
    haste: Haste,
    bytes: u64,
}

// === impl Room ===

impl Room {
    fn new(most: u64) -> Self {
        Self {
            most,
            taken: Arc::default(),
        }
    }

    fn lease(&self, bytes: u64, haste: Haste) -> io::Result<Lease> {
        let mut taken = lock(&self.taken);
        let all = taken.by_demands.saturating_add(taken.by_others);
        let (limit, is_alone) = match haste {
            Haste::Demand => (self.most, taken.by_demands == 0),
            Haste::None => (self.most - self.most / 4, all == 0),
        };
        if all.saturating_add(bytes) > limit && !is_alone {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        *taken.of(haste) = taken.of(haste).saturating_add(bytes);
        Ok(Lease {
            taken: Arc::clone(&self.taken),
            haste,
            bytes,
        })
    }
}

// === impl Taken ===

impl Taken {
    const fn of(&mut self, haste: Haste) -> &mut u64 {
        match haste {
            Haste::Demand => &mut self.by_demands,
            Haste::None => &mut self.by_others,
        }
    }
}

fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        let own = taken.of(self.haste);
        *own = own.saturating_sub(self.bytes);
    }
}

#[cfg(test)]
mod tests;
