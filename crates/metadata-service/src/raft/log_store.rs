//! The Raft log, for openraft.
//!
//! Owns the tail of the log in memory and the reading of what is older from disk. An appended
//! entry can be read at once, from memory, and is reported when a sync covers it (`log_writer`).
//! The tail is bounded in bytes: entries carry manifests, and some of them are megabytes.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::Stream;
use openraft::storage::{LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};
use redb::{Database, ReadableDatabase, ReadableTable};

use crate::raft::log_writer::{LOG, Linger, LogWriter, META, Request};
use crate::raft::{IoFlushed, LogId, RaftEntry, TypeConfig, Vote, codec};

/// Bytes of entries kept in memory. What was just appended is read once by each follower and once
/// to be applied; older entries are read from disk.
const TAIL_BYTES: usize = 32 << 20;

/// Bytes of entries handed out at once, to be sent to a follower or applied.
const READ_BYTES: usize = 8 << 20;

/// Bytes that the database may cache. The tail is cached here already.
const CACHE_BYTES: usize = 16 << 20;

/// The log of one member. Clones share it.
#[derive(Clone)]
pub(crate) struct LogStore {
    db: Arc<Database>,
    writer: LogWriter,
    held: Arc<Mutex<Held>>,
}

fn begin_of(range: &impl RangeBounds<u64>) -> u64 {
    match range.start_bound() {
        Bound::Included(begin) => *begin,
        Bound::Excluded(before) => before + 1,
        Bound::Unbounded => 0,
    }
}

/// What is known without a look at the disk.
#[derive(Default)]
struct Held {
    tail: BTreeMap<u64, (RaftEntry, usize)>,
    tail_bytes: usize,
    last: Option<LogId>,
    purged: Option<LogId>,
    vote: Option<Vote>,
    committed: Option<LogId>,
}

// === impl LogStore ===

impl LogStore {
    /// Opens the log in `folder`, or begins it.
    pub(crate) fn open(folder: &Path, linger: Linger) -> io::Result<Self> {
        let path = folder.join("log.redb");
        let db = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create(path)
            .map_err(io::Error::other)?;
        let held = Held::load(&db)?;
        let db = Arc::new(db);
        Ok(Self {
            writer: LogWriter::start(Arc::clone(&db), linger)?,
            db,
            held: Arc::new(Mutex::new(held)),
        })
    }

    /// How many syncs the log has made since it was opened.
    pub(crate) fn syncs(&self) -> u64 {
        self.writer.syncs()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // No code panics while it holds the lock halfway through a change.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, begin: u64, end: Bound<u64>) -> io::Result<Vec<RaftEntry>> {
        let mut found = Vec::new();
        let is_empty = match end {
            Bound::Included(end) => begin > end,
            Bound::Excluded(end) => begin >= end,
            Bound::Unbounded => false,
        };
        if is_empty {
            return Ok(found);
        }
        let mut bytes = 0;
        let first_held = {
            let held = self.held();
            let first = held.tail.first_key_value().map(|(index, _)| *index);
            if first.is_some_and(|first| first <= begin) {
                for (entry, size) in held.tail.range((Bound::Included(begin), end)).map(|x| x.1) {
                    found.push(entry.clone());
                    bytes += size;
                    if bytes > READ_BYTES {
                        break;
                    }
                }
                return Ok(found);
            }
            first
        };
        // Everything before the tail is on disk, because only synced entries leave the tail.
        let transaction = self.db.begin_read().map_err(io::Error::other)?;
        let log = transaction.open_table(LOG).map_err(io::Error::other)?;
        let range = (Bound::Included(begin), end);
        for row in log.range::<u64>(range).map_err(io::Error::other)? {
            let (index, entry) = row.map_err(io::Error::other)?;
            if first_held.is_some_and(|first| index.value() >= first) {
                break;
            }
            bytes += entry.value().len();
            found.push(codec::decode(entry.value())?);
            if bytes > READ_BYTES {
                return Ok(found);
            }
        }
        match first_held {
            // Nothing of the range is on disk: it begins before the log does.
            Some(first) if found.is_empty() => self.read(first, end),
            // What is in memory comes with the next piece.
            _ => Ok(found),
        }
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> io::Result<Vec<RaftEntry>>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let begin = begin_of(&range);
        let end = range.end_bound().cloned();
        let mut found = self.read(begin, end)?;
        // All of the range is asked for here, however large it is.
        while let Some(last) = found.last().map(|entry| entry.log_id.index) {
            let more = self.read(last + 1, end)?;
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
        let end = range.end_bound().cloned();
        let state = (self.clone(), begin_of(&range), Vec::new().into_iter());
        Box::pin(futures::stream::unfold(state, move |state| async move {
            let (log, mut begin, mut piece) = state;
            if let Some(entry) = piece.next() {
                return Some((Ok(entry), (log, begin, piece)));
            }
            let entries = match log.read(begin, end) {
                Ok(entries) => entries,
                Err(error) => return Some((Err(error), (log, u64::MAX, piece))),
            };
            begin = entries.last()?.log_id.index + 1;
            piece = entries.into_iter();
            let entry = piece.next()?;
            Some((Ok(entry), (log, begin, piece)))
        }))
    }

    async fn limited_get_log_entries(&mut self, begin: u64, end: u64) -> io::Result<Vec<RaftEntry>> {
        self.read(begin, Bound::Excluded(end))
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
        match committed {
            Some(committed) => {
                let request = Request::Committed(codec::encode(&committed)?);
                self.writer.send(request).await
            }
            None => Ok(()),
        }
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
                held.push(entry, bytes.len(), self.writer.flushed());
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
        self.held().truncate(from, last);
        Ok(())
    }

    async fn purge(&mut self, through: LogId) -> io::Result<()> {
        self.held().purge(through);
        let purged = codec::encode(&through)?;
        self.writer
            .write(|done| Request::Purge {
                through: through.index,
                purged,
                done,
            })
            .await
    }
}

// === impl Held ===

impl Held {
    fn load(db: &Database) -> io::Result<Self> {
        let load = || -> Result<_, redb::Error> {
            let transaction = db.begin_write()?;
            let (last, meta) = {
                let log = transaction.open_table(LOG)?;
                let last = log.last()?.map(|(_, entry)| entry.value().to_vec());
                let meta = transaction.open_table(META)?;
                let get = |key| Ok::<_, redb::Error>(meta.get(key)?.map(|row| row.value().to_vec()));
                (last, [get("purged")?, get("vote")?, get("committed")?])
            };
            transaction.commit()?;
            Ok((last, meta))
        };
        let (last, [purged, vote, committed]) = load().map_err(io::Error::other)?;
        let last: Option<RaftEntry> = last.as_deref().map(codec::decode).transpose()?;
        Ok(Self {
            last: last.map(|entry| entry.log_id),
            purged: purged.as_deref().map(codec::decode).transpose()?,
            vote: vote.as_deref().map(codec::decode).transpose()?,
            committed: committed.as_deref().map(codec::decode).transpose()?,
            ..Self::default()
        })
    }

    fn push(&mut self, entry: RaftEntry, size: usize, flushed: u64) {
        self.last = Some(entry.log_id);
        self.tail_bytes += size;
        let index = entry.log_id.index;
        if let Some((_, replaced)) = self.tail.insert(index, (entry, size)) {
            self.tail_bytes -= replaced;
        }
        // Only what is on disk may leave the tail.
        while self.tail_bytes > TAIL_BYTES
            && let Some(first) = self.tail.first_entry()
            && *first.key() < flushed
        {
            let (_, size) = first.remove();
            self.tail_bytes -= size;
        }
    }

    fn truncate(&mut self, from: u64, last: Option<LogId>) {
        let gone = self.tail.split_off(&from);
        self.tail_bytes -= gone.values().map(|(_, size)| size).sum::<usize>();
        if self.last.is_some_and(|old| old.index >= from) {
            self.last = last;
        }
    }

    fn purge(&mut self, through: LogId) {
        let kept = self.tail.split_off(&(through.index + 1));
        let gone = std::mem::replace(&mut self.tail, kept);
        self.tail_bytes -= gone.values().map(|(_, size)| size).sum::<usize>();
        self.purged = Some(through);
        if self.last.is_none_or(|last| last.index <= through.index) {
            self.last = Some(through);
        }
    }
}
