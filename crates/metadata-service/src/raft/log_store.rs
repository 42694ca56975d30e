//! The Raft log, for openraft.
//!
//! Owns the way between openraft and the disk: an appended entry can be read at once, from memory
//! (`log_held`), and is reported when a sync covers it (`log_writer`). The file is a topic of the
//! embedded event log, whose segments, checksums and recovery serve both (`log_record`).

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, Range, RangeBounds};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytesize::ByteSize;
use futures::Stream;
use meridian_chassis::metrics::Histogram;
use meridian_clock::Clock;
use meridian_eventlog::{
    DiskConfig, DiskEventLog, EventLog, ReadError, ReadLimits, StoredRecord, Topic,
};
use openraft::storage::{LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::patience::Patience;
use crate::raft::log_held::{Gauge, Held, Source};
use crate::raft::log_writer::{Linger, LogFile, LogWriter, Request};
use crate::raft::{IoFlushed, LogId, RaftEntry, TypeConfig, Vote, codec, log_record};

/// Bytes of entries handed out at once, to be sent to a follower or applied.
const READ_BYTES: usize = 8 << 20;

/// Files of the log are at least so large.
const LEAST_SEGMENT: u64 = 4 << 20;

/// Records read at once.
const READ_RECORDS: usize = 4_096;

/// The log of one member. Clones share it.
#[derive(Clone)]
pub(crate) struct LogStore {
    disk: Arc<DiskEventLog>,
    topic: Topic,
    writer: LogWriter,
    held: Arc<Mutex<Held>>,
    gauge: Arc<Gauge>,
    /// Last, for it is to be there as long as the rest is.
    _user: Option<TaskTrackerToken>,
}

/// How a log is kept.
pub(crate) struct LogOptions {
    pub(crate) linger: Linger,
    /// A log of more bytes is too large. What is done about it is not the log's.
    pub(crate) max_bytes: u64,
    /// What its writes have with a full disk.
    pub(crate) patience: Patience,
    /// Where it is noted how long they take.
    pub(crate) syncs: Histogram,
}

/// From the first index of a range to the one after its last.
fn indexes(range: &impl RangeBounds<u64>) -> Range<u64> {
    let begin = match range.start_bound() {
        Bound::Included(begin) => *begin,
        Bound::Excluded(before) => before + 1,
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(last) => last.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    begin..end
}

/// Files are deleted whole, so they are a part of what may stay.
fn segment_size(max_bytes: u64) -> ByteSize {
    let size = (max_bytes / 4).clamp(LEAST_SEGMENT, DiskConfig::default().segment_size.as_u64());
    ByteSize(size)
}

const fn limits(bytes: usize) -> ReadLimits {
    ReadLimits {
        records: READ_RECORDS,
        bytes,
        wait: Duration::ZERO,
    }
}

// === impl LogStore ===

impl LogStore {
    /// Opens the log in `folder`, or begins it.
    pub(crate) async fn open(
        folder: &Path,
        options: LogOptions,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Self> {
        let LogOptions {
            linger,
            max_bytes,
            patience,
            syncs,
        } = options;
        // What is needed no more is deleted after a purge, and nothing else ever is.
        let keep_all = DiskConfig {
            retention_size: ByteSize(u64::MAX),
            retention_age: Duration::MAX,
            segment_size: segment_size(max_bytes),
        };
        let disk = DiskEventLog::open(folder.join("log"), keep_all, clock).await;
        let disk = Arc::new(disk.map_err(io::Error::other)?);
        let topic: Topic = "raft".parse().map_err(io::Error::other)?;
        disk.create_topic(&topic, 1)
            .await
            .map_err(io::Error::other)?;
        let held = replay(&disk, &topic).await?;
        let vote = held.vote.as_ref().map(codec::encode).transpose()?;
        let gauge = Arc::new(Gauge::new(max_bytes));
        gauge.measure(&held);
        let held = Arc::new(Mutex::new(held));
        let file = LogFile {
            disk: Arc::clone(&disk),
            topic: topic.clone(),
            patience,
            syncs,
            gauge: Arc::clone(&gauge),
        };
        Ok(Self {
            writer: LogWriter::start(file, Arc::clone(&held), vote, linger),
            disk,
            topic,
            held,
            gauge,
            _user: None,
        })
    }

    /// The same log for others, who are waited for.
    pub(crate) fn used_by(&self, users: &TaskTracker) -> Self {
        Self {
            _user: Some(users.token()),
            ..self.clone()
        }
    }

    /// Ends writing, once Raft has stopped: when this returns and the log is dropped, another process may
    /// open it.
    pub(crate) async fn close(&self) {
        // A writer that has failed before has let go.
        let _closed = self.writer.write(|done| Request::Close { done }).await;
    }

    /// How many syncs the log has made since it was opened.
    pub(crate) fn syncs(&self) -> u64 {
        self.writer.syncs()
    }

    /// More bytes than this are too many.
    pub(crate) fn max_bytes(&self) -> u64 {
        self.gauge.max_bytes
    }

    /// How many bytes its entries have on disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.held().bytes()
    }

    /// Changes whenever it gets too large, or is no more.
    pub(crate) fn is_large(&self) -> watch::Receiver<bool> {
        self.gauge.is_large()
    }

    /// The last entry that has to go so that no more than `kept` bytes stay.
    pub(crate) fn excess(&self, kept: u64) -> Option<u64> {
        self.held().excess(kept)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // No code panics while it holds the lock halfway through a change.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first entries of a range: about [`READ_BYTES`] of them, and none only if there is none.
    async fn read(&self, range: Range<u64>) -> io::Result<Vec<RaftEntry>> {
        loop {
            let (source, purged) = {
                let held = self.held();
                (held.source(range.clone(), READ_BYTES), held.purged)
            };
            let places = match source {
                Source::Memory(entries) => return Ok(entries),
                Source::Disk(places) => places,
            };
            if let Some(entries) = self.read_disk(&places).await? {
                return Ok(entries);
            }
            // A purge has overtaken the read; what is left of the range is somewhere else.
            if self.held().purged == purged {
                return Err(io::Error::other("the log has lost its first entries"));
            }
        }
    }

    /// The entries at the first of some places, or nothing if the first is there no more.
    async fn read_disk(&self, places: &[u64]) -> io::Result<Option<Vec<RaftEntry>>> {
        let Some(first) = places.first().copied() else {
            return Ok(Some(Vec::new()));
        };
        let read = self.disk.read(&self.topic, 0, first, limits(READ_BYTES));
        let records = match read.await {
            Err(ReadError::OutOfRange { .. }) => return Ok(None),
            read => read.map_err(io::Error::other)?,
        };
        let mut entries = Vec::new();
        for place in places {
            // Records between the entries are of no concern here, nor are entries taken back.
            let at = usize::try_from(place - first).unwrap_or(usize::MAX);
            match log_record::assemble(records.get(at..).unwrap_or_default())? {
                Some(entry) => entries.push(entry),
                None => break,
            }
        }
        if entries.is_empty() {
            // It is larger than what one read brings.
            let entry = read_entry(&self.disk, &self.topic, records).await?;
            entries.push(entry);
        }
        Ok(Some(entries))
    }
}

/// The entry that begins with the first of `records`, of which more are read as far as it needs them.
async fn read_entry(
    disk: &DiskEventLog,
    topic: &Topic,
    mut records: Vec<StoredRecord>,
) -> io::Result<RaftEntry> {
    loop {
        if let Some(entry) = log_record::assemble(&records)? {
            return Ok(entry);
        }
        let cut = || io::Error::other("the log ends within an entry");
        let next = records.last().ok_or_else(cut)?.offset + 1;
        let more = disk.read(topic, 0, next, limits(READ_BYTES)).await;
        let more = more.map_err(io::Error::other)?;
        if more.is_empty() {
            return Err(cut());
        }
        records.extend(more);
    }
}

/// Reads the log from its beginning.
async fn replay(disk: &DiskEventLog, topic: &Topic) -> io::Result<Held> {
    let mut held = Held::default();
    let mut from = disk.bounds(topic, 0).await.map_err(io::Error::other)?.low;
    loop {
        let records = disk.read(topic, 0, from, limits(READ_BYTES)).await;
        let records = records.map_err(io::Error::other)?;
        let Some(last) = records.last() else {
            break;
        };
        from = last.offset + 1;
        held.replay(&records)?;
    }
    if let Some(place) = held.last_place() {
        let records = disk.read(topic, 0, place, limits(READ_BYTES)).await;
        let records = records.map_err(io::Error::other)?;
        let last = read_entry(disk, topic, records).await?;
        held.last = Some(last.log_id);
    } else {
        held.last = held.purged;
    }
    Ok(held)
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> io::Result<Vec<RaftEntry>>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let range = indexes(&range);
        let mut found = self.read(range.clone()).await?;
        // All of the range is asked for here, however large it is.
        while let Some(last) = found.last().map(|entry| entry.log_id.index) {
            let more = self.read(last + 1..range.end).await?;
            if more.is_empty() {
                break;
            }
            found.extend(more);
        }
        Ok(found)
    }

    /// What a restart applies again may be more than memory holds, so it comes piece by piece.
    async fn entries_stream<RB>(
        &mut self,
        range: RB,
    ) -> impl Stream<Item = io::Result<RaftEntry>> + OptionalSend
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let state = (self.clone(), indexes(&range), Vec::new().into_iter());
        Box::pin(futures::stream::unfold(state, |state| async move {
            let (log, mut range, mut piece) = state;
            if let Some(entry) = piece.next() {
                return Some((Ok(entry), (log, range, piece)));
            }
            let entries = match log.read(range.clone()).await {
                Ok(entries) => entries,
                Err(error) => return Some((Err(error), (log, 0..0, piece))),
            };
            range.start = entries.last()?.log_id.index + 1;
            piece = entries.into_iter();
            let entry = piece.next()?;
            Some((Ok(entry), (log, range, piece)))
        }))
    }

    async fn limited_get_log_entries(
        &mut self,
        begin: u64,
        end: u64,
    ) -> io::Result<Vec<RaftEntry>> {
        self.read(begin..end).await
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.held().vote)
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let held = self.held();
        Ok(LogState {
            last_purged_log_id: held.purged,
            last_log_id: held.last.or(held.purged),
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let bytes = codec::encode(vote)?;
        self.writer
            .write(|done| Request::Vote { vote: bytes, done })
            .await?;
        self.held().vote = Some(*vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        self.held().committed = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.held().committed)
    }

    async fn append<I>(&mut self, entries: I, flushed: IoFlushed) -> io::Result<()>
    where
        I: IntoIterator<Item = RaftEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut encoded = Vec::new();
        {
            let mut held = self.held();
            for entry in entries {
                let bytes = codec::encode(&entry)?;
                let index = entry.log_id.index;
                held.push(entry, bytes.len());
                encoded.push((index, bytes));
            }
        }
        let request = Request::Append {
            entries: encoded,
            flushed,
        };
        self.writer.send(request).await
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let from = last.map_or(0, |last| last.index + 1);
        self.writer
            .write(|done| Request::Truncate { from, done })
            .await?;
        fail::fail_point!("meta.truncate.mid");
        let mut held = self.held();
        held.truncate(from, last);
        self.gauge.measure(&held);
        Ok(())
    }

    async fn purge(&mut self, through: LogId) -> io::Result<()> {
        {
            let mut held = self.held();
            held.purge(through);
            self.gauge.measure(&held);
        }
        self.writer
            .write(|done| Request::Purge { through, done })
            .await
    }
}
