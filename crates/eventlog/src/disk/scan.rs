//! What the newest segment holds, found by reading all of it.
//!
//! Owns the line between a torn tail and damage. Groups are written one after the other, each synced
//! before the next begins. So when a group is not whole and no later one exists, it is the write that
//! a crash interrupted: nobody was told that it succeeded, and it may be cut off. When a later one
//! exists, the group had been acknowledged, and what is wrong with it is damage.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::format::{COMMIT_FRAME, Damage, Frame, Kind, commit_follows};
use super::frames::{FrameFault, Frames};
use super::index::Index;

/// The content of a segment up to `end`.
#[derive(Debug)]
pub(super) struct Content {
    /// Where its records are.
    pub(super) index: Index,
    /// For each shard, the offset of the next record.
    pub(super) next: Box<[u64]>,
    /// When the last records were written.
    pub(super) newest_millis: u64,
    /// Where the last whole group begins.
    pub(super) last: u64,
    /// Where it ends.
    pub(super) end: u64,
    /// Whether that group is a mark, or there is none.
    pub(super) marked: bool,
    /// What stopped the scan, if `end` is not the end of the file.
    pub(super) torn: Option<Tear>,
}

/// Where, and why, the last group is not whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tear {
    /// The first byte that is not as it should be.
    pub(super) position: u64,
    /// What is wrong there.
    pub(super) what: Damage,
}

/// Why the content cannot be told.
#[derive(Debug)]
pub(super) enum ScanFault {
    /// The file could not be read.
    Io(io::Error),
    /// What was acknowledged is damaged.
    Damaged(Tear),
}

/// Reads a segment whose frames begin at `start` and whose file ends at `size`.
pub(super) fn scan(
    file: &File,
    seed: u32,
    bases: &[u64],
    start: u64,
    size: u64,
) -> Result<Content, ScanFault> {
    let content = walk(file, seed, bases, start, size)?;
    if let Some(tear) = content.torn
        && commit_follows_in(file, seed, tear.position + 1, size).map_err(ScanFault::Io)?
    {
        return Err(ScanFault::Damaged(tear));
    }
    Ok(content)
}

/// Reads groups until one is not whole.
fn walk(
    file: &File,
    seed: u32,
    bases: &[u64],
    start: u64,
    size: u64,
) -> Result<Content, ScanFault> {
    let mut content = Content {
        index: Index::new(bases.len()),
        next: bases.into(),
        newest_millis: 0,
        last: start,
        end: start,
        marked: true,
        torn: None,
    };
    let mut frames = Frames::new(file, start, size);
    while content.end < size {
        match group(&mut frames, seed, &content.next) {
            Ok(group) => content.add(group),
            Err(Stop::Torn(tear)) => {
                content.torn = Some(tear);
                return Ok(content);
            }
            Err(Stop::Fault(fault)) => return Err(fault),
        }
    }
    Ok(content)
}

/// A whole group.
struct Group {
    at: u64,
    /// Shard, offset and position of each record.
    records: Vec<(u16, u64, u64)>,
    end: u64,
}

/// Why a group was not read to its end.
enum Stop {
    /// It is not whole.
    Torn(Tear),
    /// Worse.
    Fault(ScanFault),
}

fn group(frames: &mut Frames<'_>, seed: u32, next: &[u64]) -> Result<Group, Stop> {
    let position = frames.position();
    let torn = |position, what| Stop::Torn(Tear { position, what });
    let commit = verified(frames, seed, Kind::Commit)?;
    let (at, length) = commit
        .and_then(|frame| frame.commit())
        .ok_or_else(|| torn(position, "a group does not begin with a commit"))?;
    let end = frames.position() + length;
    let mut records = Vec::new();
    let mut next = next.to_vec();
    while frames.position() < end {
        let position = frames.position();
        let (shard, offset) = verified(frames, seed, Kind::Record)?
            .and_then(|frame| frame.place())
            .ok_or_else(|| torn(position, "a group ends early"))?;
        // A valid checksum excludes a torn write.
        let wrong = |what| Stop::Fault(ScanFault::Damaged(Tear { position, what }));
        let expected = next
            .get_mut(usize::from(shard))
            .filter(|next| **next == offset)
            .ok_or_else(|| wrong("a record is not the next of its shard"))?;
        *expected += 1;
        records.push((shard, offset, position));
    }
    if frames.position() != end {
        let what = "a record reaches beyond its group";
        return Err(Stop::Fault(ScanFault::Damaged(Tear { position, what })));
    }
    Ok(Group { at, records, end })
}

/// The next frame, its checksum verified; `None` if it is of another kind, or at the end.
fn verified<'f>(
    frames: &'f mut Frames<'_>,
    seed: u32,
    kind: Kind,
) -> Result<Option<Frame<'f>>, Stop> {
    match frames.next() {
        Ok(Some(frame)) if !frame.verify(seed) => Err(Stop::Torn(Tear {
            position: frame.position,
            what: "a checksum does not match",
        })),
        Ok(frame) => Ok(frame.filter(|frame| frame.kind() == Some(kind))),
        Err(FrameFault::Io(source)) => Err(Stop::Fault(ScanFault::Io(source))),
        Err(FrameFault::Damaged { position, what }) => Err(Stop::Torn(Tear { position, what })),
    }
}

/// Whether a group begins anywhere from `from` on.
fn commit_follows_in(file: &File, seed: u32, from: u64, size: u64) -> io::Result<bool> {
    const STEP: usize = 1 << 20;
    let mut block = vec![0; STEP + COMMIT_FRAME - 1];
    let mut position = from;
    while position < size {
        let left = usize::try_from(size - position).unwrap_or(usize::MAX);
        let block = &mut block[..left.min(STEP + COMMIT_FRAME - 1)];
        file.read_exact_at(block, position)?;
        if commit_follows(block, seed, position) {
            return Ok(true);
        }
        position += STEP as u64;
    }
    Ok(false)
}

// === impl Content ===

impl Content {
    fn add(&mut self, group: Group) {
        self.marked = group.records.is_empty();
        for (shard, offset, position) in group.records {
            let shard = usize::from(shard);
            self.index.note(shard, offset, position);
            self.next[shard] = offset + 1;
        }
        if !self.marked {
            self.newest_millis = self.newest_millis.max(group.at);
        }
        self.last = std::mem::replace(&mut self.end, group.end);
    }
}
