//! Snapshots.
//!
//! The state lies on disk by itself, so taking a snapshot moves nothing: it syncs the state, and
//! from then on the log before it may go. What a lagging member needs, the state as of one moment,
//! is pinned only while it is sent: [`Image`] holds a read transaction, whose pages stay as they
//! are until it is dropped.

use std::io;
use std::ops::{Bound, ControlFlow};

use meridian_catalog::{Read, Write};
use openraft::RaftSnapshotBuilder;
use redb::ReadTransaction;

use crate::raft::{Snapshot, SnapshotMeta, TypeConfig};
use crate::store::{Applied, Store, View};

/// The state as of one moment.
pub(crate) struct Image {
    pinned: ReadTransaction,
}

/// Takes snapshots while entries are applied.
pub(crate) struct SnapshotBuilder {
    store: Store,
}

/// The state now, and what it is the state of. Durable, so that the log before it may go.
pub(crate) fn take(store: &Store) -> io::Result<Snapshot> {
    // Pinned first and synced then: what is pinned is covered by the sync.
    let (pinned, applied) = store.pin()?;
    fail::fail_point!("meta.snap.build.mid");
    store.sync()?;
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
        let view = View::of(&self.pinned)?;
        let applied = Applied {
            last: meta.last_log_id,
            membership: meta.last_membership.clone(),
        };
        store.write(true, |draft| {
            let mut failed = Ok(());
            let everything = (Bound::Unbounded, Bound::Unbounded);
            let copy = &mut |key: &[u8], value: &[u8]| match draft.put(key, value) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Err(error);
                    ControlFlow::Break(())
                }
            };
            view.scan(everything, copy).map_err(io::Error::other)?;
            failed.map_err(io::Error::other)?;
            Ok(Some(applied))
        })
    }
}

// === impl SnapshotBuilder ===

impl SnapshotBuilder {
    pub(crate) const fn new(store: Store) -> Self {
        Self { store }
    }
}

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    type SnapshotData = Image;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let store = self.store.clone();
        let taken = tokio::task::spawn_blocking(move || take(&store)).await;
        taken.map_err(io::Error::other)?
    }
}
