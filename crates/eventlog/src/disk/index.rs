//! Where the records of a shard lie in a segment, sparsely.
//!
//! A file is seen as windows of 64 KiB. For each shard the index names the first record that starts
//! in each window in which one does. A read thus finds its first record within one window, visits
//! only windows that hold records of its shard, and the index is bounded by 16 bytes per shard and
//! window, however small the records are.

/// The size of a window.
const WINDOW: u64 = 64 << 10;

/// A record that is the first of its shard in its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) offset: u64,
    pub(super) position: u64,
}

/// The entries of each shard, ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Index {
    shards: Box<[Vec<Entry>]>,
}

// === impl Entry ===

impl Entry {
    /// The end of the window in which the record starts.
    pub(super) const fn window_end(&self) -> u64 {
        (self.position / WINDOW + 1) * WINDOW
    }
}

// === impl Index ===

impl Index {
    pub(super) fn new(shards: usize) -> Self {
        Self {
            shards: vec![Vec::new(); shards].into(),
        }
    }

    /// Takes note of a record; they come in the order in which they lie.
    pub(super) fn note(&mut self, shard: usize, offset: u64, position: u64) {
        let entries = &mut self.shards[shard];
        if entries
            .last()
            .is_none_or(|last| last.window_end() <= position)
        {
            entries.push(Entry { offset, position });
        }
    }

    /// Which entry of a shard to start from to find `offset`.
    pub(super) fn find(&self, shard: usize, offset: u64) -> Option<usize> {
        let after = self.shards[shard].partition_point(|entry| entry.offset <= offset);
        after.checked_sub(1)
    }

    pub(super) fn entry(&self, shard: usize, at: usize) -> Option<Entry> {
        self.shards[shard].get(at).copied()
    }

    pub(super) fn shards(&self) -> impl Iterator<Item = &[Entry]> {
        self.shards.iter().map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_record_per_shard_and_window_is_noted() {
        let mut index = Index::new(2);
        for (shard, offset, position) in [
            (0, 10, 50),
            (0, 11, 60),
            (1, 70, 90),
            (0, 12, WINDOW - 1),
            (0, 13, WINDOW),
            (0, 14, 9 * WINDOW + 5),
        ] {
            index.note(shard, offset, position);
        }
        let offsets: Vec<Vec<u64>> = index
            .shards()
            .map(|entries| entries.iter().map(|entry| entry.offset).collect())
            .collect();
        assert_eq!(offsets, [vec![10, 13, 14], vec![70]]);
        assert_eq!(index.find(0, 9), None);
        assert_eq!(index.find(0, 12), Some(0));
        assert_eq!(index.find(0, 13), Some(1));
        assert_eq!(index.find(0, 99), Some(2));
        assert_eq!(index.entry(0, 3), None);
    }
}
