//! Opening: from the files of a folder to topics.
//!
//! Keeps the invariant that nothing acknowledged is lost silently: segments must follow one another
//! without a gap, full ones must bear a valid seal, and of the newest one only a torn last group is
//! cut off. Records inside full segments are verified when they are read.
//!
//! What is found is written again and synced before anybody reads it. After a crash of the process
//! alone it may stand in the page cache only; and after a failed sync a sync is not enough, because the
//! kernel takes pages that it could not write for written. Only what the last sync was for can be
//! in that state: after a failed one nothing more is written.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Advice, fadvise};

use super::config::DiskConfig;
use super::durable;
use super::fault::{CorruptSegment, OpenError};
use super::format::{Damage, Header, HeaderFault, MAX_HEADER, Seal, TRAILER, trailer_position};
use super::scan::{Content, ScanFault, Tear, scan};
use super::segment::Segment;
use super::stream::Stream;
use super::tail::{Open, Tail};
use crate::Topic;

/// What the kernel keeps of a file, it keeps in pieces of this size or a multiple.
const PAGE: u64 = 4096;

/// Opens every topic under `root`. Other things in there are left alone.
pub(super) fn topics(root: &Path, config: &DiskConfig) -> Result<Vec<Tail>, OpenError> {
    let mut tails = Vec::new();
    for name in names(root)? {
        let topic = name.to_str().and_then(|name| name.parse().ok());
        let folder = root.join(&name);
        if let Some(topic) = topic
            && folder.is_dir()
        {
            tails.extend(open_topic(topic, folder, config)?);
        }
    }
    Ok(tails)
}

/// Opens a topic, if its creation was completed.
fn open_topic(
    topic: Topic,
    folder: PathBuf,
    config: &DiskConfig,
) -> Result<Option<Tail>, OpenError> {
    let mut numbers: Vec<u64> = names(&folder)?
        .iter()
        .filter_map(|name| Segment::number_in(name))
        .collect();
    numbers.sort_unstable();
    let Some(newest) = numbers.last().copied() else {
        return Ok(None);
    };
    let mut segments: VecDeque<Arc<Segment>> = VecDeque::with_capacity(numbers.len());
    let mut next: Option<Box<[u64]>> = None;
    let mut open = None;
    for number in numbers {
        let file = SegmentFile::open(&folder, number)?;
        let header = file.header(&topic, number)?;
        if segments
            .back()
            .is_some_and(|last| last.number + 1 != number)
        {
            return Err(file.corrupt(0, "the segment before it is missing"));
        }
        if next.as_ref().is_some_and(|next| *next != header.bases) {
            return Err(file.corrupt(0, "it does not go on where the one before it ends"));
        }
        let opened = if let Some(full) = file.full(&header)? {
            if number == newest {
                file.write_again(full.segment.end(), file.size)?;
            }
            full
        } else if number == newest {
            file.last(&header)?
        } else {
            return Err(file.corrupt(file.size, "it is not the newest, and is not closed"));
        };
        next = Some(opened.next);
        segments.push_back(Arc::clone(&opened.segment));
        open = opened.open;
    }
    let next = next.unwrap_or_default();
    let stream = Arc::new(Stream::new(topic, folder, segments, &next));
    let size = config.segment_size.as_u64();
    Ok(Some(Tail::new(stream, next, open, newest + 1, size)))
}

/// The names in a folder.
fn names(folder: &Path) -> Result<Vec<PathBuf>, OpenError> {
    let entries = std::fs::read_dir(folder).map_err(OpenError::io("list", folder))?;
    let names = entries.map(|entry| entry.map(|entry| PathBuf::from(entry.file_name())));
    names
        .collect::<io::Result<_>>()
        .map_err(OpenError::io("list", folder))
}

/// A segment's file while it is being understood.
struct SegmentFile {
    path: PathBuf,
    file: File,
    size: u64,
}

/// A segment's header and what it implies.
struct Head {
    header: Header,
    bases: Box<[u64]>,
    start: u64,
    seed: u32,
}

/// A segment understood.
struct Opened {
    segment: Arc<Segment>,
    next: Box<[u64]>,
    /// If more can be added to it.
    open: Option<Open>,
}

// === impl SegmentFile ===

impl SegmentFile {
    fn open(folder: &Path, number: u64) -> Result<Self, OpenError> {
        let path = folder.join(Segment::file_name(number));
        let file = OpenOptions::new().read(true).write(true).open(&path);
        let file = file.map_err(OpenError::io("open", &path))?;
        let metadata = file.metadata().map_err(OpenError::io("look at", &path))?;
        let size = metadata.len();
        Ok(Self { path, file, size })
    }

    fn header(&self, topic: &Topic, number: u64) -> Result<Head, OpenError> {
        let length = usize::try_from(self.size)
            .unwrap_or(usize::MAX)
            .min(MAX_HEADER);
        let bytes = self.read(0, length)?;
        let decoded = Header::decode(&bytes).map_err(|fault| match fault {
            HeaderFault::Version(version) => OpenError::Version {
                path: self.path.clone(),
                version,
            },
            HeaderFault::Damaged(what) => self.corrupt(0, what),
        });
        let (header, start, seed) = decoded?;
        if header.topic != *topic || header.number != number {
            return Err(self.corrupt(0, "it is another segment's file"));
        }
        Ok(Head {
            bases: header.bases.clone(),
            start: start as u64,
            header,
            seed,
        })
    }

    /// The segment, if it is full.
    fn full(&self, head: &Head) -> Result<Option<Opened>, OpenError> {
        let Some(trailer) = self.size.checked_sub(TRAILER as u64) else {
            return Ok(None);
        };
        let mut bytes = [0; TRAILER];
        let read = self.file.read_exact_at(&mut bytes, trailer);
        read.map_err(OpenError::io("read", &self.path))?;
        let Some(position) = trailer_position(&bytes) else {
            return Ok(None);
        };
        if position < head.start || position > trailer {
            return Ok(None);
        }
        let length = usize::try_from(trailer - position).unwrap_or(usize::MAX);
        let bytes = self.read(position, length)?;
        let Some(seal) = Seal::decode(&bytes, head.seed, position, head.bases.len()) else {
            return Ok(None);
        };
        let segment = Segment::new(
            self.path.clone(),
            head.header.clone(),
            (head.start, head.seed),
            seal.index,
            position,
            seal.newest_millis,
        );
        Ok(Some(Opened {
            segment: Arc::new(segment),
            next: seal.next,
            open: None,
        }))
    }

    /// The newest segment, which is not full: what a crash tore is cut off, the rest made durable.
    fn last(self, head: &Head) -> Result<Opened, OpenError> {
        let scanned = scan(&self.file, head.seed, &head.bases, head.start, self.size);
        let content = scanned.map_err(|fault| match fault {
            ScanFault::Io(source) => OpenError::io("read", &self.path)(source),
            ScanFault::Damaged(Tear { position, what }) => self.corrupt(position, what),
        })?;
        self.cut(&content)?;
        let has_groups = content.end > head.start;
        self.write_again(if has_groups { content.last } else { 0 }, content.end)?;
        let segment = Segment::new(
            self.path,
            head.header.clone(),
            (head.start, head.seed),
            content.index,
            content.end,
            content.newest_millis,
        );
        let segment = Arc::new(segment);
        let open = Open {
            segment: Arc::clone(&segment),
            file: self.file,
            position: content.end,
            marked: content.marked,
        };
        Ok(Opened {
            segment,
            next: content.next,
            open: Some(open),
        })
    }

    fn cut(&self, content: &Content) -> Result<(), OpenError> {
        let Some(tear) = content.torn else {
            return Ok(());
        };
        tracing::warn!(
            path = %self.path.display(),
            position = content.end,
            size_bytes = self.size - content.end,
            reason = tear.what,
            "cut off a write that a crash interrupted"
        );
        let cut = self.file.set_len(content.end);
        cut.map_err(OpenError::io("cut", &self.path))
    }

    /// Writes what stands from `position` to `end` in its place again, and syncs it.
    ///
    /// The kernel is made to forget the pages in between: those of a write that failed it may take
    /// for mapped although the disk has nothing there, and would write past what is read later.
    fn write_again(&self, position: u64, end: u64) -> Result<(), OpenError> {
        let position = position - position % PAGE;
        let length = usize::try_from(end - position).unwrap_or(usize::MAX);
        let bytes = self.read(position, length)?;
        // Its outcome says nothing: all of this is written below, and that is synced.
        drop(self.file.sync_data());
        let _advice = fadvise(&self.file, 0, None, Advice::DontNeed);
        let written = self.file.write_all_at(&bytes, position);
        written.map_err(OpenError::io("write to", &self.path))?;
        durable::sync_file(&self.file).map_err(OpenError::io("sync", &self.path))
    }

    fn read(&self, position: u64, length: usize) -> Result<Vec<u8>, OpenError> {
        let mut bytes = vec![0; length];
        let read = self.file.read_exact_at(&mut bytes, position);
        read.map_err(OpenError::io("read", &self.path))?;
        Ok(bytes)
    }

    fn corrupt(&self, position: u64, what: Damage) -> OpenError {
        OpenError::Corrupt(CorruptSegment {
            path: self.path.clone(),
            position,
            what,
        })
    }
}
