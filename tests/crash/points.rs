//! An end at each crash point.
//!
//! The list is checked against the source: a point that nobody tries is a failure, and so is one
//! that is tried and never reached.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use harness::{DevBuilder, seed};

use crate::ledger::Ledger;
use crate::workload;

/// Crash points, and at which hit the process ends.
const POINTS: &[(&str, u64)] = &[
    ("blob.delete.after_unlink_before_report", 3),
    ("blob.tmp.after_dirsync_before_ack", 5),
    ("blob.tmp.after_fsync_before_rename", 5),
    ("blob.tmp.after_rename_before_dirsync", 5),
    ("blob.tmp.after_write_before_fsync", 5),
    ("blob.hash.mismatch_cleanup", 2),
    ("eventlog.append.after_fsync_before_ack", 2),
    ("eventlog.append.after_write_before_fsync", 2),
    ("fe.del.after_commit_before_reply", 2),
    ("fe.get.after_headers", 3),
    ("fe.get.mid_body", 3),
    ("fe.manifest.after_commit_before_reply", 3),
    ("fe.manifest.after_validate_before_propose", 3),
    ("fe.mount.after_authz_before_ref", 2),
    ("fe.mount.after_ref_before_reply", 2),
    ("fe.patch.after_blob_ack_before_reply", 3),
    ("fe.patch.mid_body", 3),
    ("fe.post.after_session", 5),
    ("fe.put.after_commit_before_reply", 5),
    ("fe.put.before_commit", 5),
    ("gc.after_begin_delete_before_physical", 1),
    ("gc.after_condemn_commit", 1),
    ("gc.after_doom_before_physical", 1),
    ("gc.after_physical_before_done", 1),
    ("gc.after_scan", 2),
    ("gc.before_begin_delete", 1),
    ("meta.append.after_fsync_before_callback", 20),
    ("meta.append.before_fsync", 20),
    ("meta.apply.after_batch_before_applied_index", 20),
    ("meta.apply.mid_batch", 20),
    ("meta.flush.before_commit", 2),
    ("meta.purge.mid", 1),
    ("meta.snap.build.mid", 1),
    ("meta.vote.after_fsync", 1),
    ("meta.vote.before_fsync", 1),
    ("ob.after_cursor", 2),
    ("ob.after_produce_before_cursor", 2),
    ("ob.after_read_before_produce", 2),
];

/// Points that a group of one never reaches, or that another test drives.
const ELSEWHERE: &[&str] = &[
    // Only a deposed leader's followers truncate.
    "meta.truncate.mid",
    // Only a follower that lags installs a snapshot.
    "meta.snap.install.after_swap_before_purge",
    "meta.snap.install.after_write_before_swap",
    // A segment of the event log is megabytes; its own tests cut it at every byte.
    "eventlog.roll.mid",
    // Not an end but an error; the tests of the crates drive these.
    "blob.sync",
    "blob.write",
    "eventlog.append.disk_full",
    "eventlog.events.fail",
];

/// Switches, not crash points: `power` uses them.
const SWITCHES: &[&str] = &[
    "blob.skip_dir_sync",
    "blob.skip_file_sync",
    "eventlog.skip_sync",
];

#[tokio::test(flavor = "multi_thread")]
#[ignore = "kills processes for minutes: `cargo xtask crash` runs it"]
async fn whatever_was_acknowledged_survives_an_end_at_each_crash_point() {
    let seed = seed(2);
    for (number, (point, hit)) in POINTS.iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let is_vote = point.starts_with("meta.vote");
        let is_sweep = point.starts_with("gc.after_doom");
        let ledger = Arc::new(Mutex::new(Ledger::collecting()));
        let mut calm = DevBuilder::new(folder.path())
            // Everything that nothing needs is collected at once.
            .env("MERIDIAN_METADATA__RETENTION__LEASE", "1s")
            .env("MERIDIAN_METADATA__RETENTION__GRACE", "100ms")
            .env("MERIDIAN_METADATA__SNAPSHOT_ENTRIES", "100")
            .env("MERIDIAN_BLOB__COLLECTION__INTERVAL", "200ms");
        if is_vote {
            // A vote is cast at the start only: have something to lose by then.
            let dev = calm.start();
            let client = dev.client();
            workload::run(&client, &ledger, seed, 2, 5).await;
            dev.kill();
        }
        if is_sweep {
            calm = calm
                .env("MERIDIAN_BLOB__UPLOADS__IDLE_EXPIRY", "2s")
                .env("MERIDIAN_BLOB__COLLECTION__SWEEP_INTERVAL", "200ms");
            // A sweep finds what a former life began and nobody goes on with.
            let dev = calm.start();
            let client = dev.client();
            let session = client.start_upload("team/abandoned").await.unwrap();
            let chunk = vec![7; 100_000];
            let patch = client.send(reqwest::Method::PATCH, &session, &[], chunk);
            patch.await.unwrap().expect(202);
            dev.kill();
        }
        let armed = calm
            .clone()
            .env("MERIDIAN_CRASH_POINT", format!("{point}@{hit}"));
        let crashed = match armed.try_start() {
            Err(ended) => Some(ended.status),
            Ok(mut dev) => {
                let client = dev.client();
                let work = {
                    let ledger = Arc::clone(&ledger);
                    let seed = seed.wrapping_add(number as u64);
                    tokio::task::spawn(async move {
                        workload::run(&client, &ledger, seed, 3, u64::MAX).await;
                    })
                };
                let status = tokio::task::spawn_blocking(move || {
                    let status = dev.wait(Duration::from_secs(30));
                    dev.kill();
                    status
                });
                let status = status.await.unwrap();
                work.await.unwrap();
                status
            }
        };
        assert!(crashed.is_some(), "{point} was not reached {hit} times");
        let dev = calm.start();
        let kept = std::mem::take(&mut *ledger.lock().unwrap());
        let broken = kept.broken(&dev.client()).await;
        assert!(broken.is_empty(), "{point}: {broken:#?}");
        eprintln!("{point}: {} promises kept", kept.promises());
    }
}

#[test]
fn every_crash_point_of_the_source_is_tried() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    let mut found = BTreeSet::new();
    search(&crates, &mut found);
    let known: BTreeSet<String> = POINTS
        .iter()
        .map(|(point, _)| *point)
        .chain(ELSEWHERE.iter().copied())
        .chain(SWITCHES.iter().copied())
        .map(ToOwned::to_owned)
        .collect();
    let untried: Vec<_> = found.difference(&known).collect();
    let gone: Vec<_> = known.difference(&found).collect();
    assert!(
        untried.is_empty(),
        "in the source, and not tried: {untried:?}"
    );
    assert!(gone.is_empty(), "tried, and not in the source: {gone:?}");
}

fn search(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            search(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            for opening in ["fail_point!(", "crash_point!("] {
                for piece in text.split(opening).skip(1) {
                    let name = piece.trim_start().strip_prefix('"');
                    found.extend(
                        name.and_then(|name| name.split('"').next())
                            .map(str::to_owned),
                    );
                }
            }
        }
    }
}
