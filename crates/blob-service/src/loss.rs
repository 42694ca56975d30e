//! Objects that records name and that are not in the store.
//!
//! Owns what reads found out: it is told once, loudly, and known from then on, so that a push which
//! asks whether it must upload the blob is told that it must, and the upload takes the lost object's
//! place. Memory is bounded, and forgets the oldest first: what is forgotten is found out again by the
//! next read. Leaves it to the store whether an object is there.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use meridian_blobstore::{BlobStore, StorageError};
use meridian_clients::StorageKey;
use meridian_event::RegistryId;
use meridian_oci::Digest;

use crate::layout;

/// How many losses are remembered.
const REMEMBERED: usize = 4096;

/// The losses that are known.
#[derive(Default)]
pub(crate) struct Losses {
    /// How many there are, for those who ask and mostly hear that there are none.
    count: AtomicUsize,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    objects: HashMap<(RegistryId, Digest), StorageKey>,
    order: VecDeque<(RegistryId, Digest)>,
}

/// Whether the object of a blob of `size` bytes is lost: it is not there, or it is not whole.
pub(crate) async fn is_lost(
    store: &dyn BlobStore,
    key: StorageKey,
    size: u64,
) -> Result<bool, StorageError> {
    let found = store.stat(&layout::object(key)).await?;
    Ok(found != Some(size))
}

// === impl Losses ===

impl Losses {
    /// Whether none is known. Costs next to nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// Takes note of a loss. Returns whether it is news.
    pub(crate) fn note(&self, digest: Digest, key: StorageKey) -> bool {
        let mut known = self.known();
        let name = (key.registry, digest);
        let former = known.objects.insert(name, key);
        if former.is_none() {
            known.order.push_back(name);
        }
        if known.order.len() > REMEMBERED
            && let Some(oldest) = known.order.pop_front()
        {
            known.objects.remove(&oldest);
        }
        self.count.store(known.objects.len(), Ordering::Release);
        former != Some(key)
    }

    /// The object of a blob that is known to be lost.
    pub(crate) fn of(&self, registry: RegistryId, digest: Digest) -> Option<StorageKey> {
        if self.is_empty() {
            return None;
        }
        self.known().objects.get(&(registry, digest)).copied()
    }

    /// Forgets a loss that is over.
    pub(crate) fn forget(&self, digest: Digest, key: StorageKey) {
        if self.is_empty() {
            return;
        }
        let mut known = self.known();
        let name = (key.registry, digest);
        if known.objects.get(&name) == Some(&key) {
            known.objects.remove(&name);
            known.order.retain(|other| *other != name);
        }
        self.count.store(known.objects.len(), Ordering::Release);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use meridian_clock::Version;
    use meridian_oci::Algorithm;

    use super::*;

    fn key(generation: u64) -> StorageKey {
        let version = Version {
            millis: 1,
            counter: 0,
            region: "eu".parse().unwrap(),
        };
        StorageKey {
            registry: RegistryId::new(version),
            epoch: 1,
            generation,
        }
    }

    fn digest(number: usize) -> Digest {
        Digest::of(Algorithm::Sha256, &number.to_be_bytes())
    }

    #[test]
    fn a_loss_is_news_once_and_over_when_it_is_forgotten() {
        let losses = Losses::default();
        let (lost, newer) = (key(1), key(2));
        assert_eq!(losses.of(lost.registry, digest(1)), None);
        assert!(losses.note(digest(1), lost));
        assert!(!losses.note(digest(1), lost));
        assert!(losses.note(digest(1), newer), "it was lost again");
        losses.forget(digest(1), lost);
        assert_eq!(losses.of(lost.registry, digest(1)), Some(newer));
        losses.forget(digest(1), newer);
        assert_eq!(losses.of(lost.registry, digest(1)), None);
        assert!(losses.known().order.is_empty());
    }

    #[test]
    fn no_more_than_so_many_are_remembered() {
        let losses = Losses::default();
        for number in 0..=REMEMBERED {
            assert!(losses.note(digest(number), key(1)));
        }
        let known = losses.known();
        assert_eq!(
            (known.objects.len(), known.order.len()),
            (REMEMBERED, REMEMBERED)
        );
        assert!(!known.objects.contains_key(&(key(1).registry, digest(0))));
    }
}
