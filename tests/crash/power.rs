//! Power cuts, because SIGKILL loses no page cache.
//!
//! The metadata and the blobs lie on file systems of their own, so that a sync of one cannot save
//! what the other forgot to sync. And because a test that cannot fail proves nothing: with each
//! kind of sync switched off, something acknowledged must be lost.

use std::sync::{Arc, Mutex};

use harness::{DevBuilder, LoopDisk, can_mount, seed};

use crate::ledger::Ledger;
use crate::workload;

/// How often it is tried to lose something with a sync switched off.
const ATTEMPTS: u64 = 5;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "kills processes for minutes: `cargo xtask crash` runs it"]
async fn nothing_acknowledged_is_missing_after_a_power_cut() {
    require_mounts();
    let seed = seed(3);
    for round in 0..3 {
        let broken = cut(seed.wrapping_add(round), None, 4, 12).await;
        assert!(broken.is_empty(), "round {round}: {broken:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "kills processes for minutes: `cargo xtask crash` runs it"]
async fn without_the_sync_of_the_log_a_power_cut_loses_something() {
    loses("eventlog.skip_sync").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "kills processes for minutes: `cargo xtask crash` runs it"]
async fn without_the_sync_of_blobs_a_power_cut_loses_something() {
    loses("blob.skip_file_sync").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "kills processes for minutes: `cargo xtask crash` runs it"]
async fn without_the_sync_of_folders_a_power_cut_loses_something() {
    loses("blob.skip_dir_sync").await;
}

async fn loses(switch: &str) {
    require_mounts();
    let seed = seed(4);
    for attempt in 0..ATTEMPTS {
        // One client, so that the cut comes right after an acknowledgement and nobody else's sync
        // covers for the missing one.
        let broken = cut(seed.wrapping_add(attempt), Some(switch), 1, 3).await;
        if !broken.is_empty() {
            eprintln!("{switch}: {}", broken[0]);
            return;
        }
    }
    panic!("with {switch}, {ATTEMPTS} power cuts lost nothing: the test is blind");
}

/// Works, cuts the power, and says what is missing afterwards.
async fn cut(seed: u64, switch: Option<&str>, clients: u64, steps: u64) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let mut metadata = LoopDisk::new(root.join("data.img"), root.join("data"), 512);
    let mount = metadata.path().join("blobs");
    let mut blobs = LoopDisk::new(root.join("blobs.img"), mount, 512);
    let mut builder = DevBuilder::new(metadata.path());
    if let Some(switch) = switch {
        builder = builder.env("FAILPOINTS", format!("{switch}=return"));
    }
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let dev = builder.start();
    let client = dev.client();
    workload::run(&client, &ledger, seed, clients, steps).await;
    blobs.cut();
    metadata.cut();
    dev.kill();
    blobs.unmount();
    metadata.restore();
    blobs.restore();
    let kept = std::mem::take(&mut *ledger.lock().unwrap());
    assert!(kept.promises() > 0, "nothing was acknowledged");
    match DevBuilder::new(metadata.path()).try_start() {
        Ok(dev) => {
            let broken = kept.broken(&dev.client()).await;
            assert!(dev.stop().success());
            broken
        }
        Err(ended) => vec![format!("it does not start: {}", ended.said)],
    }
}

#[track_caller]
fn require_mounts() {
    assert!(
        can_mount(),
        "power cuts need root and loop devices: run as root, or leave this test out by name"
    );
}
