//! The one task that writes the log.
//!
//! Keeps two invariants. Votes and entries reach the disk in the order in which they were handed
//! over, because one task takes them from one queue; and nothing is reported before a sync
//! covers it. Whatever waits in the queue is written together, with one sync: that is the
//! group commit. After the first failure nothing is written or reported any more: a failed sync
//! says nothing about what a second one would have to cover. A full disk is no failure: of a write
//! that found no space nothing was kept, so the group waits until it fits.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use meridian_chassis::metrics::Histogram;
use meridian_eventlog::{AppendError, Appended, DiskEventLog, EventLog, Outage, Record, Topic};
use tokio::sync::{mpsc, oneshot};

use crate::patience::{Patience, Wait};
use crate::raft::log_held::{Gauge, Held};
use crate::raft::{IoFlushed, LogId, codec, log_record};

/// Requests that may wait. Beyond it whoever appends waits.
const QUEUE: usize = 4_096;
/// Requests that share one sync at most.
const GROUP: usize = 4_096;
/// After a group of so few, the next one does not linger: it would cost each more than it saves.
const FEW: usize = 4;
/// A group lingers on only as long as each part of the time brings company.
const LINGER_STEPS: u32 = 3;
/// What is written at once at most, unless a single entry is larger.
const WRITE_BYTES: usize = 8 << 20;

/// Something to write.
pub(super) enum Request {
    Append {
        entries: Vec<(u64, Vec<u8>)>,
        flushed: IoFlushed,
    },
    Vote {
        vote: Vec<u8>,
        done: oneshot::Sender<io::Result<()>>,
    },
    /// Write nothing more, and let go of the file.
    Close {
        done: oneshot::Sender<io::Result<()>>,
    },
    Truncate {
        from: u64,
        done: oneshot::Sender<io::Result<()>>,
    },
    Purge {
        through: LogId,
        done: oneshot::Sender<io::Result<()>>,
    },
}

/// The queue's end for writers.
#[derive(Clone)]
pub(super) struct LogWriter {
    queue: mpsc::Sender<Request>,
    syncs: Arc<AtomicU64>,
}

/// Where the log is written.
pub(super) struct LogFile {
    pub(super) disk: Arc<DiskEventLog>,
    pub(super) topic: Topic,
    pub(super) patience: Patience,
    pub(super) syncs: Histogram,
    pub(super) gauge: Arc<Gauge>,
}

/// How long a group may wait for more to join it, once there is much company.
///
/// A few writers are never kept waiting. Where many write at once, a sync that covers more of
/// them costs each of them less than it delays them: `Config::group_commit_linger`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Linger {
    /// The longest wait.
    pub(crate) longest: Duration,
    /// A group of so many does not wait.
    pub(crate) enough: usize,
}

struct Writer {
    file: LogFile,
    held: Arc<Mutex<Held>>,
    requests: mpsc::Receiver<Request>,
    syncs: Arc<AtomicU64>,
    linger: Linger,
    /// The last vote, encoded: a purge says it again.
    vote: Option<Vec<u8>>,
    /// Which entries are committed, as the file says. Never worth a sync of its own, and nobody is
    /// woken for it: what is held goes along with the next.
    committed: Option<LogId>,
    /// The last entry that the file has, or had before a purge.
    last: Option<u64>,
}

/// Records that are written together.
#[derive(Default)]
struct Batch {
    records: Vec<Record>,
    bytes: usize,
    /// Which of them begins an entry, and the entry's index and length.
    entries: Vec<(usize, u64, usize)>,
    /// The first of those that a purge says again.
    said_again: Option<usize>,
}

// === impl LogWriter ===

impl LogWriter {
    /// Starts the task. It ends when the last handle is dropped.
    #[expect(
        clippy::disallowed_methods,
        reason = "it ends with its last handle, and must outlive whoever hands in its last request"
    )]
    pub(super) fn start(
        file: LogFile,
        held: Arc<Mutex<Held>>,
        vote: Option<Vec<u8>>,
        linger: Linger,
    ) -> Self {
        let (queue, requests) = mpsc::channel(QUEUE);
        let syncs = Arc::new(AtomicU64::new(0));
        let (committed, last) = {
            let held = lock(&held);
            (held.committed, held.last.map(|last| last.index))
        };
        let writer = Writer {
            file,
            held,
            requests,
            syncs: Arc::clone(&syncs),
            linger,
            vote,
            committed,
            last,
        };
        tokio::spawn(async move {
            // It has let go of the file by then.
            if let Some(closed) = writer.run().await {
                let _ = closed.send(Ok(()));
            }
        });
        Self { queue, syncs }
    }

    /// How many syncs there were.
    pub(super) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    /// Queues a request.
    pub(super) async fn send(&self, request: Request) -> io::Result<()> {
        let sent = self.queue.send(request).await;
        sent.map_err(|_| io::Error::other("the log writer has stopped after a failure"))
    }

    /// Queues a request and waits until it is on disk.
    pub(super) async fn write(
        &self,
        request: impl FnOnce(oneshot::Sender<io::Result<()>>) -> Request,
    ) -> io::Result<()> {
        let (done, outcome) = oneshot::channel();
        self.send(request(done)).await?;
        let stopped = |_| io::Error::other("the log writer has stopped after a failure");
        outcome.await.map_err(stopped)?
    }
}

// === impl Writer ===

impl Writer {
    /// Writes until nobody asks any more, something fails, or it is asked to let go of the file: then it
    /// returns whom to tell.
    async fn run(mut self) -> Option<oneshot::Sender<io::Result<()>>> {
        let mut group = Vec::new();
        let mut before = 0;
        while self.requests.recv_many(&mut group, GROUP).await > 0 {
            self.wait_for_company(&mut group, before).await;
            let closing = group
                .iter()
                .position(|it| matches!(it, Request::Close { .. }));
            let closing = closing.map(|at| group.remove(at));
            before = group.len();
            let outcome = self.write(&mut group).await;
            let failed = outcome.is_err();
            report(&mut group, &outcome);
            if failed {
                // Dropping the queue makes every later request fail.
                return None;
            }
            if let Some(Request::Close { done }) = closing {
                return Some(done);
            }
        }
        None
    }

    /// Waits a little if the last group was large, so that this one is.
    async fn wait_for_company(&mut self, group: &mut Vec<Request>, before: usize) {
        let enough = |group: &[Request]| group.len() >= self.linger.enough;
        if before <= FEW || self.linger.longest.is_zero() || enough(group) {
            return;
        }
        let step = self.linger.longest / LINGER_STEPS;
        for _ in 0..LINGER_STEPS {
            let seen = group.len();
            tokio::time::sleep(step).await;
            while group.len() < GROUP
                && let Ok(request) = self.requests.try_recv()
            {
                group.push(request);
            }
            if group.len() == seen || enough(group) {
                return;
            }
        }
    }

    async fn write(&mut self, group: &mut [Request]) -> io::Result<()> {
        let mut batch = Batch::default();
        let mut has_vote = false;
        let mut said_again = None;
        for request in group {
            match request {
                Request::Append { entries, .. } => {
                    for (index, encoded) in entries.drain(..) {
                        if batch.bytes > 0 && batch.bytes + encoded.len() > WRITE_BYTES {
                            let full = std::mem::take(&mut batch);
                            said_again = self.append(full).await?.or(said_again);
                        }
                        batch.entry(index, encoded);
                        self.last = Some(index);
                    }
                }
                Request::Vote { vote, .. } => {
                    has_vote = true;
                    batch.push(log_record::vote(vote));
                    self.vote = Some(std::mem::take(vote));
                }
                Request::Truncate { from, .. } => {
                    batch.push(log_record::truncate(*from));
                    self.last = from.checked_sub(1);
                }
                Request::Purge { through, .. } => {
                    batch.said_again = Some(batch.records.len());
                    batch
                        .records
                        .extend(self.vote.as_deref().map(log_record::vote));
                    batch.records.extend(self.committed_record()?);
                    batch.push(log_record::purge(*through)?);
                    self.last = self.last.max(Some(through.index));
                }
                Request::Close { .. } => {}
            }
        }
        if batch.records.is_empty() {
            return Ok(());
        }
        // A quorum of others may have what still waits here: the file never says more than it has.
        let committed = self.held().committed;
        let is_here = committed.is_some_and(|committed| Some(committed.index) <= self.last);
        if is_here && committed != self.committed {
            self.committed = committed;
            batch.records.extend(self.committed_record()?);
        }
        // Two calls, because the name of a crash point is a literal.
        if has_vote {
            fail::fail_point!("meta.vote.before_fsync");
        } else {
            fail::fail_point!("meta.append.before_fsync");
        }
        said_again = self.append(batch).await?.or(said_again);
        if has_vote {
            fail::fail_point!("meta.vote.after_fsync");
        } else {
            fail::fail_point!("meta.append.after_fsync_before_callback");
        }
        if let Some(said_again) = said_again {
            fail::fail_point!("meta.purge.mid");
            self.trim(said_again).await?;
        }
        Ok(())
    }

    fn committed_record(&self) -> io::Result<Option<Record>> {
        let encoded = self.committed.as_ref().map(codec::encode).transpose()?;
        Ok(encoded.as_deref().map(log_record::committed))
    }

    /// Appends a batch, returns when it is durable, and says where a purge in it begins.
    async fn append(&self, batch: Batch) -> io::Result<Option<u64>> {
        let Batch {
            records,
            entries,
            said_again,
            ..
        } = batch;
        let began = Instant::now();
        let first = self.file.append(records).await?.first;
        self.file.syncs.observe(began.elapsed());
        self.syncs.fetch_add(1, Ordering::Relaxed);
        let mut held = self.held();
        for (at, index, bytes) in entries {
            held.placed(index, first + at as u64, bytes);
        }
        self.file.gauge.measure(&held);
        Ok(said_again.map(|at| first + at as u64))
    }

    /// Deletes files that nothing needs: what a purge has said again, and entries that are gone.
    async fn trim(&self, said_again: u64) -> io::Result<()> {
        let first_entry = self.held().first_place();
        let before = first_entry.map_or(said_again, |first| first.min(said_again));
        let trimmed = self.file.disk.trim(&self.file.topic, vec![before]).await;
        trimmed.map_err(io::Error::other)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        lock(&self.held)
    }
}

fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    // No code panics while it holds the lock halfway through a change.
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl LogFile ===

impl LogFile {
    /// Appends records, and waits while there is no space for them.
    async fn append(&self, records: Vec<Record>) -> io::Result<Appended> {
        let mut wait: Option<Wait> = None;
        loop {
            let appended = self.disk.append(&self.topic, 0, records.clone()).await;
            let full = match appended {
                Err(full @ AppendError::Outage(Outage::Full(_))) => full,
                appended => {
                    if let (Some(wait), Ok(_)) = (wait, &appended) {
                        Wait::end_well(wait);
                    }
                    return appended.map_err(io::Error::other);
                }
            };
            wait = wait.or_else(|| self.patience.wait("the log of the metadata"));
            let is_worth_it = match &mut wait {
                Some(wait) => wait.pass().await,
                None => false,
            };
            if !is_worth_it {
                return Err(io::Error::new(io::ErrorKind::StorageFull, full));
            }
        }
    }
}

// === impl Batch ===

impl Batch {
    fn push(&mut self, record: Record) {
        self.records.push(record);
    }

    fn entry(&mut self, index: u64, encoded: Vec<u8>) {
        self.entries
            .push((self.records.len(), index, encoded.len()));
        self.bytes += encoded.len();
        self.records.extend(log_record::entry(index, encoded));
    }
}

fn report(group: &mut Vec<Request>, outcome: &io::Result<()>) {
    let outcome = || match outcome {
        Ok(()) => Ok(()),
        Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
    };
    for request in group.drain(..) {
        match request {
            Request::Append { flushed, .. } => flushed.io_completed(outcome()),
            Request::Vote { done, .. }
            | Request::Truncate { done, .. }
            | Request::Close { done }
            | Request::Purge { done, .. } => {
                // Whoever asked may have gone away; the write stands all the same.
                drop(done.send(outcome()));
            }
        }
    }
}
