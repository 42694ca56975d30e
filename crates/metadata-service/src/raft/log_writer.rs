//! The one thread that writes the log.
//!
//! Keeps two invariants. Votes and entries reach the disk in the order in which they were handed
//! over, because one thread takes them from one queue; and nothing is reported before a sync
//! covers it. Whatever waits in the queue is written in one transaction with one sync: that is the
//! group commit. After the first failure nothing is written or reported any more: a failed sync
//! says nothing about what a second one would have to cover.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redb::{Database, Durability, TableDefinition};
use tokio::sync::{mpsc, oneshot};

use crate::raft::IoFlushed;

pub(super) const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

/// Requests that may wait. Beyond it whoever appends waits.
const QUEUE: usize = 4_096;
/// Requests that share one sync at most.
const GROUP: usize = 4_096;

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
    /// Which entries are committed. Never worth a sync of its own: it goes along with the next.
    Committed(Vec<u8>),
    Truncate {
        from: u64,
        done: oneshot::Sender<io::Result<()>>,
    },
    Purge {
        through: u64,
        purged: Vec<u8>,
        done: oneshot::Sender<io::Result<()>>,
    },
}

/// The queue's end for writers.
#[derive(Clone)]
pub(super) struct LogWriter {
    queue: mpsc::Sender<Request>,
    syncs: Arc<AtomicU64>,
    flushed: Arc<AtomicU64>,
}

// === impl LogWriter ===

impl LogWriter {
    /// Starts the thread. It ends when the last handle is dropped.
    pub(super) fn start(db: Arc<Database>, linger: Linger) -> io::Result<Self> {
        let (queue, requests) = mpsc::channel(QUEUE);
        let syncs = Arc::new(AtomicU64::new(0));
        let flushed = Arc::new(AtomicU64::new(0));
        let thread = Thread {
            db,
            requests,
            syncs: Arc::clone(&syncs),
            flushed: Arc::clone(&flushed),
            committed: None,
            linger,
        };
        std::thread::Builder::new()
            .name("raft-log".to_owned())
            .spawn(move || thread.run())?;
        Ok(Self {
            queue,
            syncs,
            flushed,
        })
    }

    /// How many syncs there were.
    pub(super) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    /// Entries before this index are on disk.
    pub(super) fn flushed(&self) -> u64 {
        self.flushed.load(Ordering::Acquire)
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

/// How long a group may wait for more to join it, once there is company.
///
/// A lone writer is never kept waiting. Where several write at once, a sync that covers more of
/// them costs each of them less than it delays them: `Config::group_commit_linger`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Linger {
    /// The longest wait.
    pub(crate) longest: Duration,
    /// A group of so many does not wait.
    pub(crate) enough: usize,
}

struct Thread {
    db: Arc<Database>,
    requests: mpsc::Receiver<Request>,
    syncs: Arc<AtomicU64>,
    flushed: Arc<AtomicU64>,
    committed: Option<Vec<u8>>,
    linger: Linger,
}

// === impl Thread ===

impl Thread {
    fn run(mut self) {
        let mut group = Vec::new();
        let mut before = 0;
        while self.requests.blocking_recv_many(&mut group, GROUP) > 0 {
            self.wait_for_company(&mut group, before);
            before = group.len();
            let outcome = self.write(&group);
            let failed = outcome.is_err();
            report(&mut group, &outcome);
            if failed {
                // Dropping the queue makes every later request fail.
                return;
            }
        }
    }

    /// Waits a little if the last group had company too, so that this one has more of it.
    fn wait_for_company(&mut self, group: &mut Vec<Request>, before: usize) {
        if before < 2 || self.linger.longest.is_zero() || group.len() >= self.linger.enough {
            return;
        }
        let step = self.linger.longest / 4;
        for _ in 0..4 {
            let seen = group.len();
            std::thread::sleep(step);
            while group.len() < GROUP
                && let Ok(request) = self.requests.try_recv()
            {
                group.push(request);
            }
            if group.len() == seen || group.len() >= self.linger.enough {
                return;
            }
        }
    }

    fn write(&mut self, group: &[Request]) -> io::Result<()> {
        for request in group {
            if let Request::Committed(committed) = request {
                self.committed = Some(committed.clone());
            }
        }
        let is_only_committed = group
            .iter()
            .all(|request| matches!(request, Request::Committed(_)));
        if is_only_committed {
            return Ok(());
        }
        self.commit(group).map_err(io::Error::other)
    }

    fn commit(&mut self, group: &[Request]) -> Result<(), redb::Error> {
        let mut transaction = self.db.begin_write()?;
        {
            let mut log = transaction.open_table(LOG)?;
            let mut meta = transaction.open_table(META)?;
            for request in group {
                match request {
                    Request::Append { entries, .. } => {
                        for (index, entry) in entries {
                            log.insert(*index, entry.as_slice())?;
                        }
                    }
                    Request::Vote { vote, .. } => {
                        meta.insert("vote", vote.as_slice())?;
                    }
                    Request::Committed(_) => {}
                    Request::Truncate { from, .. } => {
                        log.retain_in(*from.., |_, _| false)?;
                        fail::fail_point!("meta.truncate.mid");
                    }
                    Request::Purge {
                        through, purged, ..
                    } => {
                        meta.insert("purged", purged.as_slice())?;
                        fail::fail_point!("meta.purge.mid");
                        log.retain_in(..=*through, |_, _| false)?;
                    }
                }
            }
            if let Some(committed) = &self.committed {
                meta.insert("committed", committed.as_slice())?;
            }
        }
        let has_vote = group
            .iter()
            .any(|request| matches!(request, Request::Vote { .. }));
        if has_vote {
            // A vote that is half there would let this node vote twice.
            transaction.set_two_phase_commit(true);
            fail::fail_point!("meta.vote.before_fsync");
        } else {
            fail::fail_point!("meta.append.before_fsync");
        }
        if is_sync_skipped() {
            let lost = |_| redb::Error::PreviousIo;
            transaction.set_durability(Durability::None).map_err(lost)?;
        }
        transaction.commit()?;
        self.committed = None;
        self.syncs.fetch_add(1, Ordering::Relaxed);
        for request in group {
            match request {
                Request::Append { entries, .. } => {
                    if let Some((index, _)) = entries.last() {
                        self.flushed.store(index + 1, Ordering::Release);
                    }
                }
                Request::Truncate { from, .. } => {
                    self.flushed.fetch_min(*from, Ordering::AcqRel);
                }
                _ => {}
            }
        }
        if has_vote {
            fail::fail_point!("meta.vote.after_fsync");
        } else {
            fail::fail_point!("meta.append.after_fsync_before_callback");
        }
        Ok(())
    }
}

/// Whether a test asks for a log that forgets in a power cut.
fn is_sync_skipped() -> bool {
    fail::fail_point!("meta.skip_log_sync", |_| true);
    false
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
            | Request::Purge { done, .. } => {
                // Whoever asked may have gone away; the write stands all the same.
                drop(done.send(outcome()));
            }
            Request::Committed(_) => {}
        }
    }
}
