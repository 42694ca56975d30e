//! Commits: a durable file gets its final name, and the name is made durable.
//!
//! Owns the order that a commit rests on, bytes before name before acknowledgement, and the sharing
//! of syncs between commits. A commit that is alone syncs its file and its folder. Commits that
//! meet form rounds, led by the thread of one of them: one sync of the file system serves the bytes
//! of all that are new and the names of all that were renamed in the round before.
//!
//! ```text
//! round 1   sync   bytes of A            then rename A
//! round 2   sync   bytes of B C D, name of A            acknowledge A, rename B C D
//! round 3   sync   names of B C D                       acknowledge B C D
//! ```
//!
//! A failed sync fails every commit that it was for, whichever file it hit: the kernel tells an
//! error once, so asking again would be answered with success. Files that were open meanwhile ask for
//! themselves from then on. Each failed object is removed.
//! The queue is bounded by the number of writers, each of which is in it at most once.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use tokio::sync::oneshot;

use super::staged::{StagedFile, remove};
use super::sync::{self, crash_point};

/// So few syncs are done one by one: they touch nothing but what they are for.
const FEW: usize = 2;

/// A sync of the whole file system may cost as much as this many single ones before it is avoided.
const WORTH: u32 = 8;

/// How many commits go alone before the cost of a shared sync is tried again.
const RETRY_AFTER: u32 = 256;

/// Gives finished objects their names.
pub(super) struct Publisher {
    /// The store's folder, through which its file system is synced.
    root: File,
    /// Whether the kernel reports failed writes through that.
    sharing_works: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Commits that go alone now.
    alone: usize,
    /// Whether a thread leads rounds now.
    led: bool,
    waiting: Vec<Commit>,
    cost: Cost,
}

/// What syncs have cost lately.
#[derive(Default)]
struct Cost {
    single: Option<Duration>,
    shared: Option<Duration>,
    avoided: u32,
}

/// A written object that wants its name.
pub(super) struct Commit {
    pub(super) file: Arc<StagedFile>,
    /// Whether the file's bytes are durable already.
    pub(super) synced: bool,
    /// Its future folder, which is durable.
    pub(super) folder: PathBuf,
    /// Its future path.
    pub(super) target: PathBuf,
    /// Told once the outcome is known. Nobody may listen any more.
    pub(super) done: oneshot::Sender<io::Result<()>>,
}

// === impl Publisher ===

impl Publisher {
    pub(super) fn new(root: File) -> Self {
        Self {
            root,
            sharing_works: sync::sync_all_tells_errors(),
            state: Mutex::default(),
        }
    }

    /// Carries `commit` out, or leaves it to the thread that leads. Blocks.
    pub(super) fn publish(&self, commit: Commit) {
        let mut state = self.state();
        let meets = state.led || state.alone > 0;
        if meets && self.sharing_works && !sync::skips_any() && state.cost.sharing_pays() {
            state.waiting.push(commit);
            if !state.led {
                state.led = true;
                drop(state);
                self.lead();
            }
            return;
        }
        state.alone += 1;
        drop(state);
        let begun = Instant::now();
        let outcome = commit.sync().and_then(|()| commit.rename());
        let outcome = outcome.and_then(|()| commit.sync_name());
        let each = begun.elapsed() / 2;
        commit.finish(outcome);
        let mut state = self.state();
        state.alone -= 1;
        blend(&mut state.cost.single, each);
    }

    /// Runs rounds until nothing waits.
    fn lead(&self) {
        let mut renamed = Vec::new();
        loop {
            let mut state = self.state();
            if state.waiting.is_empty() && renamed.is_empty() {
                state.led = false;
                return;
            }
            let fresh = std::mem::take(&mut state.waiting);
            drop(state);
            let (ready, unsynced): (Vec<_>, Vec<_>) = fresh.into_iter().partition(|c| c.synced);
            renamed.extend(ready.into_iter().filter_map(Commit::renamed));
            renamed = self.round(unsynced, renamed);
        }
    }

    /// Makes the bytes of `unsynced` and the names of `renamed` durable. Acknowledges the latter
    /// and returns the former, renamed.
    fn round(&self, unsynced: Vec<Commit>, renamed: Vec<Commit>) -> Vec<Commit> {
        if unsynced.len() + renamed.len() <= FEW {
            for commit in renamed {
                let outcome = commit.sync_name();
                commit.finish(outcome);
            }
            let synced = unsynced.into_iter().filter_map(Commit::durable);
            return synced.filter_map(Commit::renamed).collect();
        }
        let unsynced = unsynced.into_iter();
        let unsynced: Vec<_> = unsynced
            .filter_map(|commit| commit.passed(StagedFile::before_sync()))
            .collect();
        let outcome = self.sync_shared();
        for commit in renamed {
            commit.finish(outcome.map_err(io::Error::from));
        }
        let synced = unsynced.into_iter();
        let synced = synced.filter_map(|commit| {
            let vouched = outcome.map_err(io::Error::from);
            let vouched = vouched.and_then(|()| commit.file.vouch());
            commit.passed(vouched)
        });
        synced.filter_map(Commit::renamed).collect()
    }

    fn sync_shared(&self) -> Result<(), Errno> {
        let begun = Instant::now();
        let outcome = sync::sync_all(&self.root);
        blend(&mut self.state().cost.shared, begun.elapsed());
        outcome.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Cost ===

impl Cost {
    /// Whether the last shared syncs were worth it. Others may have written much to the same file
    /// system, which a shared sync has to wait for.
    fn sharing_pays(&mut self) -> bool {
        match (self.single, self.shared) {
            (Some(single), Some(shared)) if shared > single * WORTH => {
                self.avoided += 1;
                if self.avoided < RETRY_AFTER {
                    return false;
                }
                self.avoided = 0;
                true
            }
            _ => true,
        }
    }
}

/// Moves an average an eighth of the way to a new reading.
fn blend(average: &mut Option<Duration>, reading: Duration) {
    *average = Some(average.map_or(reading, |old| (old * 7 + reading) / 8));
}

// === impl Commit ===

impl Commit {
    fn sync(&self) -> io::Result<()> {
        if self.synced {
            return Ok(());
        }
        self.file.sync()
    }

    fn rename(&self) -> io::Result<()> {
        crash_point!("blob.tmp.after_fsync_before_rename");
        fs::rename(self.file.path(), &self.target)?;
        crash_point!("blob.tmp.after_rename_before_dirsync");
        Ok(())
    }

    fn sync_name(&self) -> io::Result<()> {
        sync::sync_folder(&self.folder)
    }

    /// Syncs its bytes and goes on with it; a failure is its outcome.
    fn durable(self) -> Option<Self> {
        let step = self.sync();
        self.passed(step)
    }

    /// Renames it and goes on with it; a failure is its outcome.
    fn renamed(self) -> Option<Self> {
        let step = self.rename();
        self.passed(step)
    }

    /// Goes on with it if the step succeeded; a failure is its outcome.
    fn passed(self, step: io::Result<()>) -> Option<Self> {
        if step.is_ok() {
            return Some(self);
        }
        self.finish(step);
        None
    }

    fn before_ack() -> io::Result<()> {
        crash_point!("blob.tmp.after_dirsync_before_ack");
        Ok(())
    }

    fn finish(self, outcome: io::Result<()>) {
        let confirmed = outcome.and_then(|()| self.file.confirm());
        let outcome = confirmed.and_then(|()| Self::before_ack());
        if outcome.is_err() {
            self.file.remove();
            remove(&self.target);
        }
        let _nobody_waits = self.done.send(outcome);
    }
}
