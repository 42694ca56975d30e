//! The state machine, for openraft: the catalog on its state.
//!
//! Owns batches, and when the state is flushed. Entries that come together are applied together and
//! answered when that is visible. Each of them is durable in the log already, so the state is
//! flushed only now and then, behind the entries that follow, to bound its memory and the part of the
//! log that a restart applies again. A flush is in no hurry (`flusher`), and one that waits for room on
//! a full disk takes long: so much may gather meanwhile, then entries wait, too.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt};
use meridian_catalog::Reply;
use openraft::storage::{ApplyResponder, EntryResponder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend};
use tokio::task::spawn_blocking;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::changes::Draft;
use crate::patience::Patience;
use crate::raft::flusher::Flusher;
use crate::raft::snapshot::{self, Image, SnapshotBuilder};
use crate::raft::{LogId, Membership, RaftEntry, Snapshot, SnapshotMeta, TypeConfig};
use crate::state::State;
use crate::store::{Applied, Store};

/// The state is flushed after so many entries,
const FLUSH_ENTRIES: u64 = 4_000;
/// or when its changes take so much memory,
const FLUSH_BYTES: usize = 16 << 20;
/// or after so long, when the next entry comes.
const FLUSH_AFTER: Duration = Duration::from_secs(5);
/// While a flush goes on, so many times as much may gather before entries wait for it.
const SLACK: usize = 4;
/// Entries of one batch.
const BATCH: usize = 1_024;
/// Bytes that the database may cache.
const CACHE_BYTES: usize = 128 << 20;

/// The state, and who changes it.
pub(crate) struct StateMachine {
    folder: PathBuf,
    state: State,
    patience: Patience,
    since_flush: u64,
    flushed_at: Instant,
    flusher: Flusher,
    /// Last, for it is to be there as long as the rest is.
    _user: TaskTrackerToken,
}

// === impl StateMachine ===

impl StateMachine {
    /// Opens the state in `folder`, or begins it. Its writes have `patience` with a full disk.
    pub(crate) fn open(
        folder: PathBuf,
        patience: Patience,
        users: &TaskTracker,
    ) -> io::Result<(Self, State)> {
        let state = State::of(Store::open(&folder, CACHE_BYTES, &patience)?)?;
        let machine = Self {
            folder,
            flusher: Flusher::start(state.clone(), patience.clone())?,
            state: state.clone(),
            patience,
            _user: users.token(),
            since_flush: 0,
            flushed_at: Instant::now(),
        };
        Ok((machine, state))
    }

    async fn apply_batch(&mut self, batch: Vec<EntryResponder<TypeConfig>>) -> io::Result<()> {
        let (entries, responders): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        self.since_flush += entries.len() as u64;
        let mut draft = self.state.draft();
        let (applied, replies) = apply_all(&mut draft, self.state.applied(), entries)?;
        fail::fail_point!("meta.apply.after_batch_before_applied_index");
        let waiting = self.state.publish(draft, applied);
        answer(responders, replies);
        let is_due = self.since_flush >= FLUSH_ENTRIES
            || waiting >= FLUSH_BYTES
            || self.flushed_at.elapsed() >= FLUSH_AFTER;
        if is_due {
            self.flush_behind(waiting >= SLACK * FLUSH_BYTES).await?;
        }
        Ok(())
    }

    /// Starts a flush, which goes on while entries are applied. The one before it has to be over:
    /// it is waited for only if `must`.
    async fn flush_behind(&mut self, must: bool) -> io::Result<()> {
        match self.flusher.outcome() {
            Some(outcome) => outcome?,
            None if must => self.flusher.ends().await?,
            None => return Ok(()),
        }
        self.since_flush = 0;
        self.flushed_at = Instant::now();
        self.flusher.begin()
    }
}

fn apply_all(
    draft: &mut Draft,
    mut applied: Applied,
    entries: Vec<RaftEntry>,
) -> io::Result<(Applied, Vec<Reply>)> {
    let mut replies = Vec::with_capacity(entries.len());
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
        let Applied { last, membership } = self.state.applied();
        Ok((last, membership))
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
        SnapshotBuilder::new(self.state.clone())
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, image: Image) -> io::Result<()> {
        let folder = self.folder.clone();
        let state = self.state.clone();
        let (meta, patience) = (meta.clone(), self.patience.clone());
        let install = move || install(&folder, &state, &patience, &meta, image);
        let installed = spawn_blocking(install).await;
        installed.map_err(io::Error::other)?
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        let state = self.state.clone();
        if state.applied().last.is_none() {
            return Ok(None);
        }
        let taken = spawn_blocking(move || snapshot::take(&state)).await;
        taken.map_err(io::Error::other)?.map(Some)
    }
}

/// Writes the image into a file of its own, and puts that in force only when all of it is there.
fn install(
    folder: &std::path::Path,
    state: &State,
    patience: &Patience,
    meta: &SnapshotMeta,
    image: Image,
) -> io::Result<()> {
    let name = state.successor();
    match std::fs::remove_file(folder.join(&name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let begin = |name: &str| Store::begin(folder, name, CACHE_BYTES, patience);
    let store = image.into_store(folder, name, meta, begin)?;
    fail::fail_point!("meta.snap.install.after_write_before_swap");
    store.enforce(folder)?;
    fail::fail_point!("meta.snap.install.after_swap_before_purge");
    let former = state.replace(store)?;
    former.remove(folder)
}
