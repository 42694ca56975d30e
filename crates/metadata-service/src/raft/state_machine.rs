//! The state machine, for openraft: the catalog on its store.
//!
//! Owns batches and their durability. Entries that come together are applied in one transaction
//! and answered when it is visible. Each of them is durable in the log already, so the state is
//! synced only now and then, to keep the part of the log short that a restart applies again.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt};
use meridian_catalog::Reply;
use openraft::storage::{ApplyResponder, EntryResponder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend};
use tokio::sync::watch;

use crate::raft::snapshot::{self, Image, SnapshotBuilder};
use crate::raft::{LogId, Membership, RaftEntry, Snapshot, SnapshotMeta, TypeConfig};
use crate::store::{Applied, Store, View};

/// The state is synced after so many entries,
const SYNC_ENTRIES: u64 = 2_000;
/// or after so long, when the next entry comes.
const SYNC_AFTER: Duration = Duration::from_secs(5);
/// Entries of one transaction.
const BATCH: usize = 1_024;
/// Bytes that the database may cache.
const CACHE_BYTES: usize = 256 << 20;

/// The state, and who changes it.
pub(crate) struct StateMachine {
    folder: PathBuf,
    shared: Arc<RwLock<Store>>,
    applied: Applied,
    since_sync: u64,
    synced_at: Instant,
    progress: watch::Sender<u64>,
}

/// The state, for those who read it.
#[derive(Clone)]
pub(crate) struct States {
    shared: Arc<RwLock<Store>>,
    progress: watch::Receiver<u64>,
}

// === impl StateMachine ===

impl StateMachine {
    /// Opens the state in `folder`, or begins it.
    pub(crate) fn open(folder: PathBuf) -> io::Result<(Self, States)> {
        let store = Store::open(&folder, CACHE_BYTES)?;
        let applied = store.applied()?;
        let shared = Arc::new(RwLock::new(store));
        let (progress, watched) = watch::channel(0);
        let states = States {
            shared: Arc::clone(&shared),
            progress: watched,
        };
        let machine = Self {
            folder,
            shared,
            applied,
            since_sync: 0,
            synced_at: Instant::now(),
            progress,
        };
        Ok((machine, states))
    }

    fn store(&self) -> Store {
        let store = self.shared.read();
        store.unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn apply_batch(&mut self, batch: Vec<EntryResponder<TypeConfig>>) -> io::Result<()> {
        let (entries, responders): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        self.since_sync += entries.len() as u64;
        let durable = self.since_sync >= SYNC_ENTRIES || self.synced_at.elapsed() >= SYNC_AFTER;
        let store = self.store();
        let applied = self.applied.clone();
        let (applied, replies) = if durable {
            // A sync takes milliseconds, which a worker of the runtime has not got.
            let work = move || apply_all(&store, true, applied, entries);
            let done = tokio::task::spawn_blocking(work).await;
            self.since_sync = 0;
            self.synced_at = Instant::now();
            done.map_err(io::Error::other)??
        } else {
            apply_all(&store, false, applied, entries)?
        };
        self.applied = applied;
        let last = self.applied.last.map_or(0, |last| last.index);
        self.progress.send_replace(last);
        answer(responders, replies);
        Ok(())
    }
}

fn apply_all(
    store: &Store,
    durable: bool,
    mut applied: Applied,
    entries: Vec<RaftEntry>,
) -> io::Result<(Applied, Vec<Reply>)> {
    let mut replies = Vec::with_capacity(entries.len());
    store.write(durable, |draft| {
        for entry in entries {
            applied.last = Some(entry.log_id);
            let reply = match entry.payload {
                EntryPayload::Blank => Reply::Nothing,
                EntryPayload::Normal(command) => {
                    meridian_catalog::apply(draft, &command).map_err(io::Error::other)?
                }
                EntryPayload::Membership(membership) => {
                    applied.membership = Membership::new(Some(entry.log_id), membership);
                    Reply::Nothing
                }
            };
            fail::fail_point!("meta.apply.mid_batch");
            replies.push(reply);
        }
        Ok(Some(applied.clone()))
    })?;
    Ok((applied, replies))
}

fn answer(responders: Vec<Option<ApplyResponder<TypeConfig>>>, replies: Vec<Reply>) {
    for (responder, reply) in responders.into_iter().zip(replies) {
        if let Some(responder) = responder {
            responder.send(reply);
        }
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = Image;
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, Membership)> {
        Ok((self.applied.last, self.applied.membership.clone()))
    }

    async fn apply<S>(&mut self, entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        let mut chunks = entries.ready_chunks(BATCH);
        while let Some(chunk) = chunks.next().await {
            let batch = chunk.into_iter().collect::<io::Result<Vec<_>>>()?;
            self.apply_batch(batch).await?;
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        SnapshotBuilder::new(self.store())
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, image: Image) -> io::Result<()> {
        let folder = self.folder.clone();
        let old = self.store();
        let installed = {
            let meta = meta.clone();
            tokio::task::spawn_blocking(move || install(&folder, &old, &meta, &image)).await
        };
        let store = installed.map_err(io::Error::other)??;
        self.applied = store.applied()?;
        let mut shared = self.shared.write().unwrap_or_else(PoisonError::into_inner);
        *shared = store;
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        if self.applied.last.is_none() {
            return Ok(None);
        }
        let store = self.store();
        let taken = tokio::task::spawn_blocking(move || snapshot::take(&store)).await;
        taken.map_err(io::Error::other)?.map(Some)
    }
}

/// Writes the image into a file of its own, and puts that in force only when all of it is there.
fn install(
    folder: &std::path::Path,
    old: &Store,
    meta: &SnapshotMeta,
    image: &Image,
) -> io::Result<Store> {
    let name = old.successor();
    match std::fs::remove_file(folder.join(&name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let store = Store::begin(folder, &name, CACHE_BYTES)?;
    image.copy_to(&store, meta)?;
    fail::fail_point!("meta.snap.install.after_write_before_swap");
    store.enforce(folder)?;
    fail::fail_point!("meta.snap.install.after_swap_before_purge");
    Ok(store)
}

// === impl States ===

impl States {
    /// The state as of now: every entry that was answered is in it.
    pub(crate) fn view(&self) -> io::Result<View> {
        let store = self.shared.read();
        store.unwrap_or_else(PoisonError::into_inner).view()
    }

    /// Changes whenever entries were applied.
    pub(crate) fn progress(&self) -> watch::Receiver<u64> {
        self.progress.clone()
    }
}
