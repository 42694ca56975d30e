//! The end of a topic, where records are appended.
//!
//! Owns the file being written and the offsets that come next; only the writer's thread has it.
//! Keeps the order on which durability rests: write, sync, let readers see, acknowledge; and one
//! group after the other, so that a crash can tear the last group only.
//!
//! A write that finds no space is undone and may be tried again. After any other failure, and after
//! every failed sync, what the disk holds is unknown, and the log is poisoned by the caller.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::durable;
use super::fault::is_full;
use super::format::{COMMIT_FRAME, Header, Seal, record_frame_size};
use super::group::Group;
use super::index::Index;
use super::segment::Segment;
use super::stream::Stream;
use crate::{Appended, ShardBatch};

/// The writer's end of a topic.
pub(super) struct Tail {
    pub(super) stream: Arc<Stream>,
    /// For each shard, the offset that comes next.
    next: Box<[u64]>,
    /// The newest segment, unless it is full.
    open: Option<Open>,
    /// Of the next segment to be created.
    number: u64,
    segment_size: u64,
}

/// A segment to which groups are added.
pub(super) struct Open {
    pub(super) segment: Arc<Segment>,
    pub(super) file: File,
    /// Where the next group begins.
    pub(super) position: u64,
    /// Whether the last group is a mark.
    pub(super) marked: bool,
}

/// Why a group was not acknowledged.
#[derive(Debug)]
pub(super) enum CommitError {
    /// There was no space, and nothing is left of it.
    Full(io::Error),
    /// It is durable, but the acknowledgement was lost on the way.
    Unacknowledged(io::Error),
    /// Nobody knows what the disk holds.
    Unknown(io::Error),
}

// === impl Tail ===

impl Tail {
    /// The end of `stream`, whose shards go on at `next`: in the `open` segment or, if there is
    /// none, in one to be created with that `number`.
    pub(super) fn new(
        stream: Arc<Stream>,
        next: Box<[u64]>,
        open: Option<Open>,
        number: u64,
        segment_size: u64,
    ) -> Self {
        Self {
            stream,
            next,
            open,
            number,
            segment_size,
        }
    }

    /// Appends the batches as one group, with one write and one sync, and says where each stands.
    /// Offsets are taken only when the group is durable.
    pub(super) fn append(
        &mut self,
        batches: &[&ShardBatch],
        now_millis: u64,
    ) -> Result<Vec<Appended>, CommitError> {
        let length: usize = batches.iter().map(|batch| record_frame_size(batch)).sum();
        self.close_if_full(length)?;
        self.create_if_missing()?;
        let open = self.open.as_mut().expect("created if it was missing");
        let mut group = Group::new(
            open.segment.seed,
            open.position,
            &self.next,
            now_millis,
            length,
        );
        for batch in batches {
            group.add(batch);
        }
        open.write(group.bytes())?;

        open.position += (COMMIT_FRAME + length) as u64;
        open.marked = false;
        open.segment
            .publish(&group.records, open.position, now_millis);
        for (shard, next) in group.next.iter().enumerate() {
            self.stream.advance(shard, *next);
        }
        self.next = group.next;
        lose_acknowledgement().map_err(CommitError::Unacknowledged)?;
        Ok(group.appended)
    }

    /// Writes a group without records, if the last one has any, as a proof that all before it is
    /// durable: damage to it will not be taken for a torn write.
    pub(super) fn mark(&mut self, now_millis: u64) -> Result<(), CommitError> {
        let Some(open) = self.open.as_mut().filter(|open| !open.marked) else {
            return Ok(());
        };
        let mark = Group::new(open.segment.seed, open.position, &self.next, now_millis, 0);
        open.write(mark.bytes())?;
        open.position += COMMIT_FRAME as u64;
        open.marked = true;
        // It is no record, so it does not make the segment younger.
        open.segment.publish(&[], open.position, 0);
        Ok(())
    }

    /// Closes the open segment if records of that length do not fit any more.
    fn close_if_full(&mut self, length: usize) -> Result<(), CommitError> {
        let group = (COMMIT_FRAME + length) as u64;
        let full = |open: &&Open| {
            open.position > open.segment.start && open.position + group > self.segment_size
        };
        if let Some(open) = self.open.as_ref().filter(full) {
            open.seal(&self.next)?;
            self.open = None;
        }
        Ok(())
    }

    /// How many segments it has ever had.
    pub(super) const fn segments(&self) -> u64 {
        self.number
    }

    /// Creates a segment unless one is open.
    pub(super) fn create_if_missing(&mut self) -> Result<(), CommitError> {
        if self.open.is_none() {
            let open = self.create()?;
            self.stream.push(Arc::clone(&open.segment));
            self.open = Some(open);
            self.number += 1;
        }
        Ok(())
    }

    /// Creates a segment. It gets its name only when its header is durable, so that a segment
    /// without a header cannot be met.
    fn create(&self) -> Result<Open, CommitError> {
        let header = Header {
            topic: self.stream.topic.clone(),
            number: self.number,
            bases: self.next.clone(),
        };
        let (bytes, seed) = header.encode();
        let path = self.stream.folder.join(Segment::file_name(self.number));
        let unnamed = path.with_extension("new");
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(true);
        let file = options.open(&unnamed).map_err(CommitError::of_write)?;
        file.write_all_at(&bytes, 0)
            .map_err(CommitError::of_write)?;
        durable::sync_file(&file).map_err(CommitError::Unknown)?;
        interrupt_roll().map_err(CommitError::Unknown)?;
        std::fs::rename(&unnamed, &path).map_err(CommitError::of_write)?;
        durable::sync_folder(&self.stream.folder).map_err(CommitError::Unknown)?;

        let start = bytes.len() as u64;
        let index = Index::new(self.next.len());
        let segment = Segment::new(path, header, (start, seed), index, start, 0);
        Ok(Open {
            segment: Arc::new(segment),
            file,
            position: start,
            marked: true,
        })
    }
}

// === impl Open ===

impl Open {
    /// Writes a group at the end of the file and makes it durable.
    fn write(&self, bytes: &[u8]) -> Result<(), CommitError> {
        self.write_unsynced(bytes)?;
        interrupt_sync().map_err(CommitError::Unknown)?;
        durable::sync_file(&self.file).map_err(CommitError::Unknown)
    }

    /// Writes at the end of the file, or leaves the file as it was when there is no space.
    fn write_unsynced(&self, bytes: &[u8]) -> Result<(), CommitError> {
        let Err(error) = self.put(bytes).map_err(CommitError::of_write) else {
            return Ok(());
        };
        if matches!(error, CommitError::Full(_)) {
            let undone = self.file.set_len(self.position);
            undone.map_err(CommitError::Unknown)?;
        }
        Err(error)
    }

    fn put(&self, bytes: &[u8]) -> io::Result<()> {
        fail::fail_point!("eventlog.append.disk_full", |_| {
            let fitting = &bytes[..bytes.len() / 2];
            self.file.write_all_at(fitting, self.position)?;
            Err(io::ErrorKind::StorageFull.into())
        });
        self.file.write_all_at(bytes, self.position)
    }

    /// Closes the segment, whose shards go on at `next` in the following one.
    fn seal(&self, next: &[u64]) -> Result<(), CommitError> {
        let seal = Seal {
            newest_millis: self.segment.newest_millis(),
            next: next.into(),
            index: self.segment.index(),
        };
        let bytes = seal.encode(self.segment.seed, self.position);
        self.write_unsynced(&bytes)?;
        durable::sync_file(&self.file).map_err(CommitError::Unknown)
    }
}

// === impl CommitError ===

impl CommitError {
    /// A failure to write, or to create a file.
    fn of_write(error: io::Error) -> Self {
        if is_full(error.kind()) {
            Self::Full(error)
        } else {
            Self::Unknown(error)
        }
    }
}

// === crash points ===

fn interrupt_sync() -> io::Result<()> {
    fail::fail_point!("eventlog.append.after_write_before_fsync", |_| Err(
        io::Error::other("failpoint eventlog.append.after_write_before_fsync")
    ));
    Ok(())
}

fn lose_acknowledgement() -> io::Result<()> {
    fail::fail_point!("eventlog.append.after_fsync_before_ack", |_| Err(
        io::Error::other("failpoint eventlog.append.after_fsync_before_ack")
    ));
    Ok(())
}

fn interrupt_roll() -> io::Result<()> {
    fail::fail_point!("eventlog.roll.mid", |_| Err(io::Error::other(
        "failpoint eventlog.roll.mid"
    )));
    Ok(())
}
