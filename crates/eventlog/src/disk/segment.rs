//! One segment, as readers see it.
//!
//! Owns its index and how far it may be read. Keeps the invariant that a reader never sees a byte
//! that is not durable: the writer moves `end` only after a sync. Leaves writing to `tail`.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use super::fault::{CorruptSegment, ReadFault};
use super::format::{Damage, Header, Kind, decode_record};
use super::frames::{FrameFault, Frames};
use super::index::{Entry, Index};
use crate::StoredRecord;

/// A segment file.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    pub(super) number: u64,
    /// Starts the checksums of its frames.
    pub(super) seed: u32,
    /// Where its frames begin.
    pub(super) start: u64,
    /// For each shard, the offset of its first record here or later.
    pub(super) bases: Box<[u64]>,
    index: RwLock<Index>,
    end: AtomicU64,
    newest_millis: AtomicU64,
}

/// What a read has gathered, and what more it may.
#[derive(Debug)]
pub(super) struct Harvest {
    pub(super) records: Vec<StoredRecord>,
    /// The next offset wanted.
    pub(super) from: u64,
    records_left: usize,
    bytes_left: usize,
    full: bool,
}

// === impl Segment ===

impl Segment {
    /// A segment with the given header, index and end.
    pub(super) fn new(
        path: PathBuf,
        header: Header,
        (start, seed): (u64, u32),
        index: Index,
        end: u64,
        newest_millis: u64,
    ) -> Self {
        Self {
            path,
            number: header.number,
            seed,
            start,
            bases: header.bases,
            index: RwLock::new(index),
            end: AtomicU64::new(end),
            newest_millis: AtomicU64::new(newest_millis),
        }
    }

    /// The file name of the segment with that number.
    pub(super) fn file_name(number: u64) -> String {
        format!("{number:020}.seg")
    }

    /// The number in a file name, if it is one of a segment.
    pub(super) fn number_in(name: &Path) -> Option<u64> {
        let number = name.to_str()?.strip_suffix(".seg")?.parse().ok()?;
        (Path::new(&Self::file_name(number)) == name).then_some(number)
    }

    /// How far it may be read.
    pub(super) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    /// When its last records were written.
    pub(super) fn newest_millis(&self) -> u64 {
        self.newest_millis.load(Ordering::Acquire)
    }

    /// A copy of the index.
    pub(super) fn index(&self) -> Index {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        index.clone()
    }

    /// Lets readers see a group of records, given as (shard, offset, position), which is durable.
    pub(super) fn publish(&self, records: &[(u16, u64, u64)], end: u64, at: u64) {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        for (shard, offset, position) in records {
            index.note(usize::from(*shard), *offset, *position);
        }
        drop(index);
        self.newest_millis.fetch_max(at, Ordering::AcqRel);
        self.end.store(end, Ordering::Release);
    }

    /// Gathers the records of a shard from the next one wanted on, as far as they are here and there
    /// is room for them. The next one has to be here.
    pub(super) fn read(&self, shard: u16, harvest: &mut Harvest) -> Result<(), ReadFault> {
        let missing = || self.corrupt(self.start, "a record is missing");
        let mut at = self.find(shard, harvest.from).ok_or_else(missing)?;
        let wanted = harvest.from;
        let file = File::open(&self.path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => ReadFault::Gone(self.path.clone()),
            _ => ReadFault::Io(source),
        })?;
        while let Some(entry) = self.entry(shard, at)
            && !harvest.full
        {
            self.read_window(&file, shard, entry, harvest)?;
            at += 1;
        }
        // What earlier segments gave may have left no room for the first record here.
        if harvest.from == wanted && !harvest.full {
            return Err(missing());
        }
        Ok(())
    }

    /// Gathers the records of a shard that start in one window.
    fn read_window(
        &self,
        file: &File,
        shard: u16,
        entry: Entry,
        harvest: &mut Harvest,
    ) -> Result<(), ReadFault> {
        let mut frames = Frames::new(file, entry.position, self.end());
        while frames.position() < entry.window_end() && !harvest.full {
            let frame = match frames.next() {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(FrameFault::Io(source)) => return Err(ReadFault::Io(source)),
                Err(FrameFault::Damaged { position, what }) => {
                    return Err(self.corrupt(position, what));
                }
            };
            let ours = frame.kind() == Some(Kind::Record)
                && frame
                    .place()
                    .is_some_and(|(of, offset)| of == shard && offset >= harvest.from);
            // What is skipped need not be verified: if damage hid a record of ours, the next one
            // found is not the next one wanted.
            if !ours {
                continue;
            }
            if !frame.verify(self.seed) {
                return Err(self.corrupt(frame.position, "a checksum does not match"));
            }
            let record =
                decode_record(&frame).map_err(|fault| self.corrupt(frame.position, fault.0))?;
            if record.offset != harvest.from {
                return Err(self.corrupt(frame.position, "a record is missing"));
            }
            harvest.take(record);
        }
        Ok(())
    }

    fn find(&self, shard: u16, offset: u64) -> Option<usize> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        index.find(usize::from(shard), offset)
    }

    fn entry(&self, shard: u16, at: usize) -> Option<Entry> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        index.entry(usize::from(shard), at)
    }

    fn corrupt(&self, position: u64, what: Damage) -> ReadFault {
        ReadFault::Corrupt(CorruptSegment {
            path: self.path.clone(),
            position,
            what,
        })
    }
}

// === impl Harvest ===

impl Harvest {
    pub(super) const fn new(from: u64, records: usize, bytes: usize) -> Self {
        Self {
            records: Vec::new(),
            from,
            records_left: records,
            bytes_left: bytes,
            full: false,
        }
    }

    /// Whether it will take no more.
    pub(super) const fn is_full(&self) -> bool {
        self.full
    }

    /// Takes the next record wanted, if there is room for it; the first always has room.
    fn take(&mut self, record: StoredRecord) {
        let size = record.record.size();
        if !self.records.is_empty() && size > self.bytes_left {
            self.full = true;
            return;
        }
        self.bytes_left = self.bytes_left.saturating_sub(size);
        self.records_left = self.records_left.saturating_sub(1);
        self.full = self.records_left == 0;
        self.from = record.offset + 1;
        self.records.push(record);
    }
}
