//! The process dies at each crash point that only a follower passes, and comes back.
//!
//! `meridian dev` is a group of one and follows nobody, so the storage is driven here as openraft
//! would drive it. The child is this test binary again, running [`victim`] alone.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use futures::stream;
use openraft::storage::{RaftLogStorage, RaftLogStorageExt, RaftStateMachine};
use openraft::{RaftLogReader, RaftSnapshotBuilder};
use tokio_util::task::TaskTracker;

use super::{blank, id, large, open, reopen};
use crate::patience::Patience;
use crate::raft::RaftEntry;
use crate::raft::state_machine::StateMachine;

const FOLDER: &str = "METADATA_VICTIM_FOLDER";
const POINT: &str = "METADATA_VICTIM_POINT";
/// `SIGABRT`.
const ABORT: i32 = 6;

#[tokio::test]
#[ignore = "a process that other tests start"]
#[expect(
    clippy::disallowed_methods,
    reason = "how a test speaks to its own child"
)]
async fn victim() {
    let folder = PathBuf::from(std::env::var(FOLDER).unwrap());
    let point = std::env::var(POINT).unwrap();
    fail::cfg_callback(point.clone(), || std::process::abort()).unwrap();
    if point == "meta.truncate.mid" {
        let mut log = open(&folder).await.unwrap();
        log.blocking_append((1..=10).map(blank)).await.unwrap();
        log.truncate_after(Some(id(5))).await.unwrap();
    } else {
        let mut machine = machine(&folder);
        apply(&mut machine, 1..=3).await;
        // What is not in the file is in the log, of which there is none here.
        machine
            .get_snapshot_builder()
            .await
            .build_snapshot()
            .await
            .unwrap();
        install(&mut machine).await;
    }
}

/// Lets the process die at a point.
fn die_at(point: &str, folder: &Path) {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "raft::tests::crash::victim", "--ignored"])
        .env(FOLDER, folder)
        .env(POINT, point)
        .output()
        .unwrap();
    assert_eq!(child.status.signal(), Some(ABORT), "{child:?}");
}

fn machine(folder: &Path) -> StateMachine {
    StateMachine::open(folder.to_owned(), Patience::default(), &TaskTracker::new())
        .unwrap()
        .0
}

/// Puts a blob of another length for each index.
fn entry(index: u64) -> RaftEntry {
    large(index, usize::try_from(index).unwrap())
}

async fn apply(machine: &mut StateMachine, indexes: std::ops::RangeInclusive<u64>) {
    let entries = indexes.map(|index| Ok((entry(index), None)));
    machine.apply(stream::iter(entries)).await.unwrap();
}

/// Installs the snapshot of a leader that is at index 7.
async fn install(machine: &mut StateMachine) {
    let folder = tempfile::tempdir().unwrap();
    let mut leader = self::machine(folder.path());
    apply(&mut leader, 1..=7).await;
    let snapshot = leader.get_current_snapshot().await.unwrap().unwrap();
    let installed = machine.install_snapshot(&snapshot.meta, snapshot.snapshot);
    installed.await.unwrap();
}

async fn applied(machine: &mut StateMachine) -> Option<u64> {
    let (last, _) = machine.applied_state().await.unwrap();
    last.map(|last| last.index)
}

#[tokio::test]
async fn behind_a_truncation() {
    let folder = tempfile::tempdir().unwrap();
    die_at("meta.truncate.mid", folder.path());
    let mut log = reopen(folder.path()).await;
    let indexes = |entries: Vec<RaftEntry>| -> Vec<u64> {
        entries.iter().map(|entry| entry.log_id.index).collect()
    };
    let left = log.try_get_log_entries(..).await.unwrap();
    assert_eq!(indexes(left), [1, 2, 3, 4, 5]);
    log.blocking_append([blank(6)]).await.unwrap();
    let left = log.try_get_log_entries(..).await.unwrap();
    assert_eq!(indexes(left), [1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn before_an_installed_snapshot_is_in_force() {
    let folder = tempfile::tempdir().unwrap();
    die_at("meta.snap.install.after_write_before_swap", folder.path());
    let mut machine = machine(folder.path());
    assert_eq!(applied(&mut machine).await, Some(3));
    // The leader sends it once more.
    install(&mut machine).await;
    assert_eq!(applied(&mut machine).await, Some(7));
}

#[tokio::test]
async fn behind_an_installed_snapshot_before_the_old_state_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    die_at("meta.snap.install.after_swap_before_purge", folder.path());
    let mut machine = machine(folder.path());
    assert_eq!(applied(&mut machine).await, Some(7));
    let states = std::fs::read_dir(folder.path()).unwrap();
    let states = states.filter(|file| {
        let name = file.as_ref().unwrap().file_name();
        name.to_string_lossy().ends_with(".redb")
    });
    assert_eq!(states.count(), 1, "the old state is still there");
    apply(&mut machine, 8..=8).await;
    assert_eq!(applied(&mut machine).await, Some(8));
}
