//! Snapshots.
//!
//! The state lies on disk by itself, so taking a snapshot moves nothing: it syncs the state, and
//! from then on the log before it may go. What a lagging member needs, the state as of one moment,
//! is pinned only while it is sent: [`Image`] holds a read transaction, whose pages stay as they
//! are until it is dropped.

use std::io;

use openraft::RaftSnapshotBuilder;
use redb::ReadTransaction;

use crate::raft::{Snapshot, SnapshotMeta, TypeConfig};
use crate::state::State;
use crate::store::{Applied, Store, rows_of};

/// The state as of one moment.
pub(crate) struct Image {
    pinned: ReadTransaction,
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
        snapshot: Image { pinned },
    })
}

// === impl Image ===

impl Image {
    /// Writes the state into an empty store.
    pub(crate) fn copy_to(&self, store: &Store, meta: &SnapshotMeta) -> io::Result<()> {
        let applied = Applied {
            last: meta.last_log_id,
            membership: meta.last_membership.clone(),
        };
        store.fill(&rows_of(&self.pinned)?, &applied)
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
