//! What of the log is known without a look at the disk.
//!
//! Owns the tail in memory, and where each older entry stands on disk. Keeps two invariants: an
//! entry that is not on disk is in the tail, and the tail is bounded in bytes, because entries carry
//! manifests, and some of them are megabytes.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::ops::Range;

use meridian_eventlog::StoredRecord;

use crate::raft::log_record::{self, LogRecord};
use crate::raft::{LogId, RaftEntry, Vote, codec};

/// Bytes of entries kept in memory. What was just appended is read once by each follower and once
/// to be applied; older entries are read from disk.
const TAIL_BYTES: usize = 32 << 20;

/// Places handed out at once.
const PLACES: usize = 4_096;

/// What is known of the log.
#[derive(Default)]
pub(super) struct Held {
    tail: BTreeMap<u64, (RaftEntry, usize)>,
    tail_bytes: usize,
    places: Places,
    pub(super) last: Option<LogId>,
    pub(super) purged: Option<LogId>,
    pub(super) vote: Option<Vote>,
    pub(super) committed: Option<LogId>,
}

/// Where entries stand on disk: consecutive indexes, from `first` on.
#[derive(Default)]
struct Places {
    first: u64,
    offsets: VecDeque<u64>,
}

/// Where to read entries.
pub(super) enum Source {
    /// Here they are: at least the first of those asked for, if there is one.
    Memory(Vec<RaftEntry>),
    /// At these places on disk, which come first; what else was asked for comes later.
    Disk(Vec<u64>),
}

// === impl Held ===

impl Held {
    /// Goes on behind records that are on disk, read in order from the beginning.
    pub(super) fn replay(&mut self, records: &[StoredRecord]) -> io::Result<()> {
        for stored in records {
            match log_record::decode(stored)? {
                LogRecord::Entry(index) => self.placed(index, stored.offset),
                LogRecord::Piece => {}
                LogRecord::Vote(vote) => self.vote = Some(codec::decode(&vote)?),
                LogRecord::Committed(committed) => {
                    self.committed = Some(codec::decode(&committed)?);
                }
                LogRecord::Truncate(from) => self.places.truncate(from),
                LogRecord::Purge(through) => {
                    let through = codec::decode(&through)?;
                    self.purge(through);
                }
            }
        }
        Ok(())
    }

    /// The place of the last entry on disk.
    pub(super) fn last_place(&self) -> Option<u64> {
        self.places.offsets.back().copied()
    }

    /// The place of the first entry on disk.
    pub(super) fn first_place(&self) -> Option<u64> {
        self.places.offsets.front().copied()
    }

    /// Takes an entry that is about to be written.
    pub(super) fn push(&mut self, entry: RaftEntry, size: usize) {
        self.last = Some(entry.log_id);
        self.tail_bytes += size;
        let index = entry.log_id.index;
        if let Some((_, replaced)) = self.tail.insert(index, (entry, size)) {
            self.tail_bytes -= replaced;
        }
        // Only what is on disk may leave the tail.
        let written = self.places.end();
        while self.tail_bytes > TAIL_BYTES
            && let Some(first) = self.tail.first_entry()
            && *first.key() < written
        {
            let (_, size) = first.remove();
            self.tail_bytes -= size;
        }
    }

    /// Notes where an entry stands on disk.
    pub(super) fn placed(&mut self, index: u64, offset: u64) {
        if self.purged.is_none_or(|purged| purged.index < index) {
            self.places.push(index, offset);
        }
    }

    /// Forgets the entries from an index on.
    pub(super) fn truncate(&mut self, from: u64, last: Option<LogId>) {
        self.places.truncate(from);
        let gone = self.tail.split_off(&from);
        self.tail_bytes -= gone.values().map(|(_, size)| size).sum::<usize>();
        if self.last.is_some_and(|old| old.index >= from) {
            self.last = last;
        }
    }

    /// Forgets the entries up to an index.
    pub(super) fn purge(&mut self, through: LogId) {
        self.places.purge(through.index);
        let kept = self.tail.split_off(&(through.index + 1));
        let gone = std::mem::replace(&mut self.tail, kept);
        self.tail_bytes -= gone.values().map(|(_, size)| size).sum::<usize>();
        self.purged = Some(through);
        if self.last.is_none_or(|last| last.index <= through.index) {
            self.last = Some(through);
        }
    }

    /// Where the first entries of a range are: about `bytes` of them, if they are in memory.
    pub(super) fn source(&self, range: Range<u64>, bytes: usize) -> Source {
        let begin = self
            .purged
            .map_or(range.start, |purged| range.start.max(purged.index + 1));
        if begin >= range.end {
            return Source::Memory(Vec::new());
        }
        let first_held = self.tail.first_key_value().map(|(index, _)| *index);
        let end = first_held.map_or(range.end, |first| first.min(range.end));
        let places = self.places.range(begin..end);
        if !places.is_empty() {
            return Source::Disk(places);
        }
        let mut found = Vec::new();
        let mut size_sum = 0;
        for (_, (entry, size)) in self.tail.range(begin..range.end) {
            found.push(entry.clone());
            size_sum += size;
            if size_sum > bytes {
                break;
            }
        }
        Source::Memory(found)
    }
}

// === impl Places ===

impl Places {
    /// The index after the last one.
    fn end(&self) -> u64 {
        self.first + self.offsets.len() as u64
    }

    fn push(&mut self, index: u64, offset: u64) {
        // A log that goes on elsewhere begins there: what was before it came with a snapshot.
        if self.offsets.is_empty() || index > self.end() || index < self.first {
            self.offsets.clear();
            self.first = index;
        }
        self.truncate(index);
        self.offsets.push_back(offset);
    }

    fn truncate(&mut self, from: u64) {
        if from < self.first {
            // What comes next is not on disk until it is placed.
            self.first = from;
            self.offsets.clear();
        }
        let kept = from.saturating_sub(self.first);
        self.offsets
            .truncate(usize::try_from(kept).unwrap_or(usize::MAX));
    }

    fn purge(&mut self, through: u64) {
        let gone = (through + 1).saturating_sub(self.first);
        let gone = usize::try_from(gone)
            .unwrap_or(usize::MAX)
            .min(self.offsets.len());
        self.offsets.drain(..gone);
        self.first += gone as u64;
    }

    fn range(&self, range: Range<u64>) -> Vec<u64> {
        let at = |index: u64| {
            let at = index.clamp(self.first, self.end()) - self.first;
            usize::try_from(at).unwrap_or(usize::MAX)
        };
        let (begin, end) = (at(range.start), at(range.end));
        let range = self.offsets.range(begin..end.max(begin));
        range.take(PLACES).copied().collect()
    }
}
