//! The state of the catalog: a file, and above it the latest changes in memory.
//!
//! Every entry is durable in the log before it is applied, so its changes need not reach the file
//! one by one. They gather in memory, where they are visible at once, and are flushed together, in
//! one transaction with how far the log is applied. After a crash the state is that of the last
//! flush, from which the log is applied again.
//!
//! Keeps the invariant that a view is the state as of one entry: its layers and its rows of the file
//! are taken together, under one lock, and neither changes afterwards.

use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use redb::ReadTransaction;
use tokio::sync::watch;

use crate::changes::{Changes, Draft, Rows, View};
use crate::store::{Applied, Store};

/// The state, for those who read it, apply to it and flush it.
#[derive(Clone)]
pub(crate) struct State {
    layers: Arc<RwLock<Layers>>,
    /// One flush at a time.
    flushing: Arc<Mutex<()>>,
    progress: watch::Sender<u64>,
}

struct Layers {
    store: Store,
    /// The file as of the last flush.
    file: Arc<Rows>,
    /// What is being flushed.
    older: Changes,
    /// What is not.
    newest: Changes,
    /// How far the log is applied in all of it.
    applied: Applied,
}

// === impl State ===

impl State {
    /// The state in a file.
    pub(crate) fn of(store: Store) -> io::Result<Self> {
        let layers = Layers::of(store)?;
        let last = layers.applied.last.map_or(0, |last| last.index);
        let (progress, _) = watch::channel(last);
        Ok(Self {
            layers: Arc::new(RwLock::new(layers)),
            flushing: Arc::default(),
            progress,
        })
    }

    /// The state as of now: every entry that was answered is in it.
    pub(crate) fn view(&self) -> View {
        self.layers().view()
    }

    /// The state as of now, to apply entries to.
    pub(crate) fn draft(&self) -> Draft {
        Draft::of(self.view())
    }

    /// How far the log is applied.
    pub(crate) fn applied(&self) -> Applied {
        self.layers().applied.clone()
    }

    /// Makes what was applied visible. Returns about how many bytes wait for a flush.
    pub(crate) fn publish(&self, draft: Draft, applied: Applied) -> usize {
        // Without the draft's view: nobody shares the layer then, as a rule, and it is changed in place.
        let batch = draft.into_batch();
        let last = applied.last.map_or(0, |last| last.index);
        let waiting = {
            let mut layers = self.layers_mut();
            layers.newest.absorb(batch);
            layers.applied = applied;
            layers.newest.bytes()
        };
        self.progress.send_replace(last);
        waiting
    }

    /// About how many bytes are not in the file yet.
    pub(crate) fn waiting(&self) -> usize {
        let layers = self.layers();
        layers.newest.bytes() + layers.older.bytes()
    }

    /// Changes whenever entries were applied.
    pub(crate) fn progress(&self) -> watch::Receiver<u64> {
        self.progress.subscribe()
    }

    /// Puts everything that is visible now into the file, and syncs it.
    pub(crate) fn flush(&self) -> io::Result<()> {
        let _alone = self.flushing.lock().unwrap_or_else(PoisonError::into_inner);
        self.flush_alone()
    }

    /// Flushes, and pins the file as of then.
    pub(crate) fn pin(&self) -> io::Result<(ReadTransaction, Applied)> {
        let _alone = self.flushing.lock().unwrap_or_else(PoisonError::into_inner);
        self.flush_alone()?;
        let store = self.layers().store.clone();
        store.pin()
    }

    fn flush_alone(&self) -> io::Result<()> {
        let (store, changes, applied) = {
            let mut layers = self.layers_mut();
            // What a failed flush has left behind would be passed over, and the log let go.
            if !layers.older.is_empty() {
                return Err(io::Error::other("an earlier flush of the state has failed"));
            }
            layers.older = std::mem::take(&mut layers.newest);
            (
                layers.store.clone(),
                layers.older.clone(),
                layers.applied.clone(),
            )
        };
        store.flush(&changes, &applied)?;
        let file = store.rows()?;
        let flushed = {
            let mut layers = self.layers_mut();
            layers.file = file;
            std::mem::take(&mut layers.older)
        };
        // Tens of thousands of rows, which nobody should have to wait for.
        drop(flushed);
        Ok(())
    }

    /// Where the next file may lie while this one is in force.
    pub(crate) fn successor(&self) -> String {
        self.layers().store.successor()
    }

    /// Goes on with another file, and gives back the former one.
    pub(crate) fn replace(&self, store: Store) -> io::Result<Store> {
        let _alone = self.flushing.lock().unwrap_or_else(PoisonError::into_inner);
        let layers = Layers::of(store)?;
        let last = layers.applied.last.map_or(0, |last| last.index);
        let former = std::mem::replace(&mut *self.layers_mut(), layers);
        self.progress.send_replace(last);
        Ok(former.store)
    }

    fn layers(&self) -> RwLockReadGuard<'_, Layers> {
        self.layers.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn layers_mut(&self) -> RwLockWriteGuard<'_, Layers> {
        self.layers.write().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Layers ===

impl Layers {
    fn of(store: Store) -> io::Result<Self> {
        Ok(Self {
            file: store.rows()?,
            applied: store.applied()?,
            older: Changes::default(),
            newest: Changes::default(),
            store,
        })
    }

    fn view(&self) -> View {
        let file = Arc::clone(&self.file);
        View::new(self.newest.clone(), self.older.clone(), file)
    }
}

#[cfg(test)]
mod tests;
