//! Snapshots.
//!
//! The state lies on disk by itself, so taking a snapshot moves nothing: it syncs the state, and
//! from then on the log before it may go. What a lagging member needs, the state as of one moment,
//! is pinned only while it is sent: [`Image`] holds a read transaction, whose pages stay as they
//! are until it is dropped.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use openraft::RaftSnapshotBuilder;
use redb::{ReadTransaction, ReadableTable};

use crate::raft::{Snapshot, SnapshotMeta, TypeConfig};
use crate::state::State;
use crate::store::{Applied, Store, rows_of};

/// The state as of one moment.
pub(crate) enum Image {
    /// Of this member: a read transaction.
    Pinned(ReadTransaction),
    /// Of another one: a file of its own.
    Received(Received),
}

/// A state that another member sent. Its file goes with it, unless it is put in force.
pub(crate) struct Received {
    store: Option<Store>,
    path: PathBuf,
}

/// Takes snapshots while entries are applied.
pub(crate) struct SnapshotBuilder {
    state: State,
}

/// The state now, and what it is the state of. Durable, so that the log before it may go.
pub(crate) fn take(state: &State) -> io::Result<Snapshot> {
    fail::fail_point!("meta.snap.build.mid");
    let (pinned, applied) = state.pin()?;
    let Applied { last, membership } = applied;
    let meta = SnapshotMeta {
        last_log_id: last,
        last_membership: membership,
    };
    Ok(Snapshot {
        meta,
        snapshot: Image::Pinned(pinned),
    })
}

// === impl Image ===

impl Image {
    /// Hands out each row, in the order of keys, for as long as more are wanted.
    pub(crate) fn for_each_row(
        &self,
        mut row: impl FnMut(&[u8], &[u8]) -> io::Result<bool>,
    ) -> io::Result<()> {
        let rows = match self {
            Self::Pinned(pinned) => Arc::new(rows_of(pinned)?),
            Self::Received(received) => received.store()?.rows()?,
        };
        for entry in rows.iter().map_err(io::Error::other)? {
            let (key, value) = entry.map_err(io::Error::other)?;
            if !row(key.value(), value.value())? {
                break;
            }
        }
        Ok(())
    }

    /// The state in a file of `folder` under `name`. What is pinned is copied there.
    pub(crate) fn into_store(
        self,
        folder: &Path,
        name: String,
        meta: &SnapshotMeta,
        begin: impl FnOnce(&str) -> io::Result<Store>,
    ) -> io::Result<Store> {
        if let Self::Received(received) = self {
            return received.keep()?.renamed(folder, name);
        }
        let applied = Applied {
            last: meta.last_log_id,
            membership: meta.last_membership.clone(),
        };
        let store = begin(&name)?;
        store.fill_with(&applied, |put| {
            self.for_each_row(|key, value| put(key, value).map(|()| true))
        })?;
        Ok(store)
    }
}

// === impl Received ===

impl Received {
    pub(crate) const fn new(store: Store, path: PathBuf) -> Self {
        Self {
            store: Some(store),
            path,
        }
    }

    fn store(&self) -> io::Result<&Store> {
        self.store.as_ref().ok_or_else(taken)
    }

    fn keep(mut self) -> io::Result<Store> {
        self.store.take().ok_or_else(taken)
    }
}

fn taken() -> io::Error {
    io::Error::other("the snapshot is in force already")
}

impl Drop for Received {
    fn drop(&mut self) {
        if self.store.is_some()
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::warn!(%error, "a snapshot that is not wanted stays on disk until the next start");
        }
    }
}

// === impl SnapshotBuilder ===

impl SnapshotBuilder {
    pub(crate) const fn new(state: State) -> Self {
        Self { state }
    }
}

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    type SnapshotData = Image;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let state = self.state.clone();
        let taken = tokio::task::spawn_blocking(move || take(&state)).await;
        taken.map_err(io::Error::other)?
    }
}
