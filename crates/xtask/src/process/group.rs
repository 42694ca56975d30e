//! A child and the process group that it leads.
//!
//! Keeps the set of the groups that are alive, and the invariant that a signal never reaches an id
//! that the system has given to somebody else: a leader is reaped only after its group has been
//! killed and has left the set, both under one lock.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::interrupt;

static ALIVE: Mutex<BTreeMap<i32, Pid>> = Mutex::new(BTreeMap::new());

pub(super) struct Group {
    leader: Pid,
    ended: Receiver<io::Result<ExitStatus>>,
}

impl Group {
    pub(super) fn start(command: &mut Command) -> Result<Self> {
        interrupt::check()?;
        let child = command
            .process_group(0)
            .spawn()
            .context("cannot be started")?;
        let leader = Pid::from_child(&child);
        alive().insert(leader.as_raw_nonzero().get(), leader);
        let (report, ended) = sync_channel(1);
        thread::spawn(move || report.send(watch(child, leader)));
        let group = Self { leader, ended };
        // Somebody may have pressed Ctrl-C before the group stood in the set.
        interrupt::check().inspect_err(|_| group.kill())?;
        Ok(group)
    }

    /// `None` if it still runs when the time is over.
    pub(super) fn wait(&self, limit: Duration) -> Option<io::Result<ExitStatus>> {
        match self.ended.recv_timeout(limit) {
            Ok(status) => Some(status),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                Some(Err(io::Error::other("its end was reported before")))
            }
        }
    }

    pub(super) fn id(&self) -> i32 {
        self.leader.as_raw_nonzero().get()
    }

    pub(super) fn terminate(&self) {
        signal(&alive(), self.leader, Signal::TERM);
    }

    pub(super) fn kill(&self) {
        signal(&alive(), self.leader, Signal::KILL);
    }
}

pub(super) fn signal_all(which: Signal) {
    let alive = alive();
    for leader in alive.values() {
        signal(&alive, *leader, which);
    }
}

/// Waits for the leader, ends what it left behind, and reaps it.
fn watch(mut child: Child, leader: Pid) -> io::Result<ExitStatus> {
    let seen = rustix::io::retry_on_intr(|| {
        waitid(
            WaitId::Pid(leader),
            WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
        )
    });
    let mut alive = alive();
    if seen.is_ok() {
        signal(&alive, leader, Signal::KILL);
    }
    alive.remove(&leader.as_raw_nonzero().get());
    drop(alive);
    child.wait()
}

fn signal(alive: &MutexGuard<'_, BTreeMap<i32, Pid>>, leader: Pid, which: Signal) {
    if alive.contains_key(&leader.as_raw_nonzero().get()) {
        // A group that is gone already is what we want.
        let _ = kill_process_group(leader, which);
    }
}

fn alive() -> MutexGuard<'static, BTreeMap<i32, Pid>> {
    ALIVE.lock().unwrap_or_else(PoisonError::into_inner)
}
