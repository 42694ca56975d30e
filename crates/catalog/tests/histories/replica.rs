//! Stores that hold one state in several ways.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Bound;

use meridian_catalog::{Entry, MemoryStore, Read, Reply, Visit, Write, apply};
use meridian_oci::{Algorithm, Digest, Hasher};

/// A digest of every pair of a state.
pub(crate) fn hash(store: &MemoryStore) -> Digest {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    for (key, value) in store.pairs() {
        for bytes in [key, value] {
            hasher.update(&bytes.len().to_be_bytes());
            hasher.update(bytes);
        }
    }
    hasher.finish()
}

/// A state as it travels to another replica, and what that one makes of it.
pub(crate) fn reload(store: &MemoryStore) -> MemoryStore {
    let image: Vec<_> = store
        .pairs()
        .map(|(key, value)| (key.to_vec(), value.to_vec()))
        .collect();
    let mut loaded = MemoryStore::default();
    for (key, value) in image {
        loaded.put(&key, &value).unwrap();
    }
    loaded
}

/// A replica that applies entries in batches, each in one transaction: what the batch wrote lies
/// over the store until the whole of it is committed.
#[derive(Debug, Default)]
pub(crate) struct Batching {
    pub(crate) store: MemoryStore,
    waiting: Vec<Entry>,
    replies: Vec<Reply>,
}

/// A transaction.
struct Draft<'s> {
    below: &'s MemoryStore,
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Batching {
    pub(crate) fn begin_from(store: MemoryStore) -> Self {
        Self {
            store,
            ..Self::default()
        }
    }

    pub(crate) fn push(&mut self, entry: Entry) {
        self.waiting.push(entry);
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Applies what waits. Returns all replies since the last call.
    pub(crate) fn commit(&mut self) -> Vec<Reply> {
        let mut draft = Draft {
            below: &self.store,
            changes: BTreeMap::new(),
        };
        for entry in self.waiting.drain(..) {
            self.replies.push(apply(&mut draft, &entry).unwrap());
        }
        for (key, value) in draft.changes {
            match value {
                Some(value) => self.store.put(&key, &value).unwrap(),
                None => self.store.remove(&key).unwrap(),
            }
        }
        std::mem::take(&mut self.replies)
    }
}

impl Read for Draft<'_> {
    type Error = Infallible;

    fn get<T>(&self, key: &[u8], look: impl FnOnce(&[u8]) -> T) -> Result<Option<T>, Infallible> {
        match self.changes.get(key) {
            Some(change) => Ok(change.as_deref().map(look)),
            None => self.below.get(key, look),
        }
    }

    fn scan(
        &self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        visit: Visit<'_>,
    ) -> Result<(), Infallible> {
        let mut merged = BTreeMap::new();
        self.below.scan(range, &mut |key, value| {
            merged.insert(key.to_vec(), Some(value.to_vec()));
            std::ops::ControlFlow::Continue(())
        })?;
        for (key, change) in self.changes.range::<[u8], _>(range) {
            merged.insert(key.clone(), change.clone());
        }
        for (key, value) in merged {
            if let Some(value) = value
                && visit(&key, &value).is_break()
            {
                break;
            }
        }
        Ok(())
    }
}

impl Write for Draft<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), Infallible> {
        self.changes.insert(key.to_vec(), Some(value.to_vec()));
        Ok(())
    }

    fn remove(&mut self, key: &[u8]) -> Result<(), Infallible> {
        self.changes.insert(key.to_vec(), None);
        Ok(())
    }
}
