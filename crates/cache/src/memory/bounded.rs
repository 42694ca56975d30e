//! A map whose entries end, bounded in number and in bytes.
//!
//! Keeps the invariant that both bounds hold after each operation. Room is made first by what has
//! ended, then by what was used least recently. Every operation takes logarithmic time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// What an entry takes besides its key, which is held once, and its value.
const OVERHEAD: usize = 256;

#[derive(Debug)]
pub(super) struct Bounded<V> {
    slots: HashMap<Arc<[u8]>, Slot<V>>,
    /// The least recently used first. Each use has its own number.
    by_use: BTreeMap<u64, Arc<[u8]>>,
    /// The first to end first.
    by_end: BTreeSet<(u64, Arc<[u8]>)>,
    uses: u64,
    bytes: usize,
    most_entries: usize,
    most_bytes: usize,
}

#[derive(Debug)]
struct Slot<V> {
    value: V,
    end: u64,
    last_use: u64,
    size: usize,
}

// === impl Bounded ===

impl<V> Bounded<V> {
    pub(super) fn new(most_entries: usize, most_bytes: usize) -> Self {
        Self {
            slots: HashMap::new(),
            by_use: BTreeMap::new(),
            by_end: BTreeSet::new(),
            uses: 0,
            bytes: 0,
            most_entries,
            most_bytes,
        }
    }

    /// The value under `key` and when it ends, unless it has ended. This is a use.
    pub(super) fn get(&mut self, key: &[u8], now: u64) -> Option<(&V, u64)> {
        let (key, slot) = self.slots.get_key_value(key)?;
        if slot.end <= now {
            let key = Arc::clone(key);
            self.remove(&key);
            return None;
        }
        let key = Arc::clone(key);
        let slot = self.slots.get_mut(&key)?;
        self.uses += 1;
        self.by_use.remove(&slot.last_use);
        self.by_use.insert(self.uses, key);
        slot.last_use = self.uses;
        Some((&slot.value, slot.end))
    }

    /// Puts a value of that size under `key`, until `end`, and makes room for it.
    pub(super) fn put(&mut self, key: &[u8], value: V, size: usize, now: u64, end: u64) {
        self.remove(key);
        let key: Arc<[u8]> = key.into();
        let size = OVERHEAD + key.len() + size;
        self.uses += 1;
        self.by_use.insert(self.uses, Arc::clone(&key));
        self.by_end.insert((end, Arc::clone(&key)));
        self.bytes += size;
        let slot = Slot {
            value,
            end,
            last_use: self.uses,
            size,
        };
        self.slots.insert(key, slot);
        self.drop_ended(now);
        while self.slots.len() > self.most_entries || self.bytes > self.most_bytes {
            let Some((_, oldest)) = self.by_use.first_key_value() else {
                return;
            };
            let oldest = Arc::clone(oldest);
            self.remove(&oldest);
        }
    }

    pub(super) fn remove(&mut self, key: &[u8]) {
        if let Some((key, slot)) = self.slots.remove_entry(key) {
            self.by_use.remove(&slot.last_use);
            self.by_end.remove(&(slot.end, key));
            self.bytes -= slot.size;
        }
    }

    fn drop_ended(&mut self, now: u64) {
        while let Some((end, key)) = self.by_end.first()
            && *end <= now
        {
            let key = Arc::clone(key);
            self.remove(&key);
        }
    }

    /// Whether there is an entry, ended or not.
    #[cfg(test)]
    pub(super) fn holds(&self, key: &[u8]) -> bool {
        self.slots.contains_key(key)
    }

    /// How many entries and bytes there are, by every way of counting them.
    #[cfg(test)]
    pub(super) fn counted(&self) -> (usize, usize) {
        let entries = self.slots.len();
        assert_eq!(self.by_use.len(), entries);
        assert_eq!(self.by_end.len(), entries);
        let bytes = self.slots.values().map(|slot| slot.size).sum();
        assert_eq!(self.bytes, bytes);
        (entries, bytes)
    }
}
