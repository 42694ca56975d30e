//! What of the log is known without a look at the disk.
//!
//! Owns the tail in memory, where each older entry stands on disk, and how many bytes they take
//! there. Keeps two invariants: an
//! entry that is not on disk is in the tail, and the tail is bounded in bytes, because entries carry
//! manifests, and some of them are megabytes.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::ops::Range;

use meridian_eventlog::StoredRecord;
use tokio::sync::watch;

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
    entries: VecDeque<Place>,
    /// Of all of them.
    bytes: u64,
}

/// Where an entry stands, and how long it is.
#[derive(Clone, Copy)]
struct Place {
    offset: u64,
    bytes: u32,
}

/// Whether the log on disk is too large.
pub(super) struct Gauge {
    pub(super) max_bytes: u64,
    is_large: watch::Sender<bool>,
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
                LogRecord::Entry(index) => {
                    self.placed(index, stored.offset, stored.record.payload.len());
                }
                LogRecord::Piece => self.places.extend(stored.record.payload.len()),
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
        self.places.entries.back().map(|place| place.offset)
    }

    /// The place of the first entry on disk.
    pub(super) fn first_place(&self) -> Option<u64> {
        self.places.entries.front().map(|place| place.offset)
    }

    /// How many bytes the entries on disk have.
    pub(super) const fn bytes(&self) -> u64 {
        self.places.bytes
    }

    /// The last entry that has to go so that those after it have no more than `kept` bytes.
    pub(super) fn excess(&self, kept: u64) -> Option<u64> {
        self.places.excess(kept)
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
    pub(super) fn placed(&mut self, index: u64, offset: u64, bytes: usize) {
        if self.purged.is_none_or(|purged| purged.index < index) {
            let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            self.places.push(index, Place { offset, bytes });
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

// === impl Gauge ===

impl Gauge {
    pub(super) fn new(max_bytes: u64) -> Self {
        Self {
            max_bytes,
            is_large: watch::Sender::new(false),
        }
    }

    /// Takes note of how large the log is. Wakes somebody only if that makes a difference.
    pub(super) fn measure(&self, held: &Held) {
        let large = held.bytes() > self.max_bytes;
        self.is_large.send_if_modified(|was| {
            let turns = *was != large;
            *was = large;
            turns
        });
    }

    pub(super) fn is_large(&self) -> watch::Receiver<bool> {
        self.is_large.subscribe()
    }
}

// === impl Places ===

impl Places {
    /// The index after the last one.
    fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    fn push(&mut self, index: u64, place: Place) {
        // A log that goes on elsewhere begins there: what was before it came with a snapshot.
        if self.entries.is_empty() || index > self.end() || index < self.first {
            self.clear();
            self.first = index;
        }
        self.truncate(index);
        self.entries.push_back(place);
        self.bytes += u64::from(place.bytes);
    }

    /// The last entry goes on.
    fn extend(&mut self, bytes: usize) {
        // A piece of an entry that was purged is of no concern.
        if let Some(last) = self.entries.back_mut() {
            let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            last.bytes = last.bytes.saturating_add(bytes);
            self.bytes += u64::from(bytes);
        }
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }

    fn truncate(&mut self, from: u64) {
        if from < self.first {
            // What comes next is not on disk until it is placed.
            self.first = from;
            self.clear();
        }
        let kept = from.saturating_sub(self.first);
        let kept = usize::try_from(kept).unwrap_or(usize::MAX);
        let gone = self.entries.drain(kept.min(self.entries.len())..);
        self.bytes -= gone.map(|place| u64::from(place.bytes)).sum::<u64>();
    }

    fn purge(&mut self, through: u64) {
        let gone = (through + 1).saturating_sub(self.first);
        let gone = usize::try_from(gone)
            .unwrap_or(usize::MAX)
            .min(self.entries.len());
        self.first += gone as u64;
        let gone = self.entries.drain(..gone);
        self.bytes -= gone.map(|place| u64::from(place.bytes)).sum::<u64>();
    }

    fn range(&self, range: Range<u64>) -> Vec<u64> {
        let at = |index: u64| {
            let at = index.clamp(self.first, self.end()) - self.first;
            usize::try_from(at).unwrap_or(usize::MAX)
        };
        let (begin, end) = (at(range.start), at(range.end));
        let range = self.entries.range(begin..end.max(begin));
        range.take(PLACES).map(|place| place.offset).collect()
    }

    fn excess(&self, kept: u64) -> Option<u64> {
        let mut bytes = 0;
        let newest_first = self.entries.iter().rev();
        let fitting = newest_first.take_while(|place| {
            bytes += u64::from(place.bytes);
            bytes <= kept
        });
        let first_kept = self.end() - fitting.count() as u64;
        (first_kept > self.first).then(|| first_kept - 1)
    }
}
