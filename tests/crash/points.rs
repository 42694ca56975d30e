//! An end at each crash point.
//!
//! The list is checked against the source: a point that nobody tries is a failure, and so is one
//! that is tried and never reached. Which points of a larger installation there are not, and why, is
//! in `tests/README.md`.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use harness::{DevBuilder, seed};

use crate::ledger::Ledger;
use crate::workload::{Load, Shared, Work};

/// Crash points, and at which hit the process ends.
const POINTS: &[(&str, u64)] = &[
    ("blob.delete.after_unlink_before_report", 5),
    ("blob.tmp.after_dirsync_before_ack", 12),
    ("blob.tmp.after_fsync_before_rename", 12),
    ("blob.tmp.after_rename_before_dirsync", 12),
    ("blob.tmp.after_write_before_fsync", 12),
    ("blob.hash.mismatch_cleanup", 2),
    ("blob.sync", 12),
    ("blob.write", 20),
    ("eventlog.append.disk_full", 80),
    ("eventlog.append.after_fsync_before_ack", 80),
    ("eventlog.append.after_write_before_fsync", 80),
    // First in the log of the metadata, then in that of the events.
    ("eventlog.roll.mid", 1),
    ("eventlog.roll.mid", 2),
    ("fe.del.after_commit_before_reply", 5),
    ("fe.del.blob.after_commit_before_reply", 2),
    ("fe.get.after_headers", 5),
    ("fe.get.mid_body", 1),
    ("fe.manifest.after_commit_before_reply", 10),
    ("fe.manifest.after_validate_before_propose", 10),
    ("fe.mount.after_authz_before_ref", 4),
    ("fe.mount.after_ref_before_reply", 4),
    ("fe.patch.after_blob_ack_before_reply", 10),
    ("fe.patch.mid_body", 20),
    ("fe.post.after_session", 40),
    ("fe.put.after_commit_before_reply", 30),
    ("fe.put.before_commit", 30),
    ("gc.after_begin_delete_before_physical", 1),
    ("gc.after_condemn_commit", 1),
    ("gc.after_doom_before_physical", 1),
    ("gc.after_physical_before_done", 1),
    ("gc.after_scan", 2),
    ("gc.before_begin_delete", 1),
    ("meta.append.after_fsync_before_callback", 80),
    ("meta.append.before_fsync", 80),
    ("meta.apply.after_batch_before_applied_index", 80),
    ("meta.apply.mid_batch", 80),
    ("meta.flush.before_commit", 2),
    ("meta.member.after_append", 1),
    ("meta.purge.mid", 1),
    ("meta.snap.build.mid", 1),
    ("meta.vote.after_fsync", 1),
    ("meta.vote.before_fsync", 1),
    ("ob.after_cursor", 4),
    ("ob.after_produce_before_cursor", 4),
    ("ob.after_read_before_produce", 4),
];

/// Points that `meridian dev` never passes, and switches, which end nothing: where each is used.
const ELSEWHERE: &[(&str, &str)] = &[
    // Only followers truncate their logs and install snapshots, and a group of one has none.
    (
        "meta.snap.install.after_swap_before_purge",
        "crates/metadata-service/src/raft/tests/crash.rs",
    ),
    (
        "meta.snap.install.after_write_before_swap",
        "crates/metadata-service/src/raft/tests/crash.rs",
    ),
    (
        "meta.truncate.mid",
        "crates/metadata-service/src/raft/tests/crash.rs",
    ),
    ("blob.skip_dir_sync", "tests/crash/power.rs"),
    ("blob.skip_file_sync", "tests/crash/power.rs"),
    ("eventlog.skip_sync", "tests/crash/power.rs"),
    ("meta.read.skip_index", "tests/faults/rows/group.rs"),
    ("meta.merge.skip_tags", "tests/faults/rows/regions.rs"),
    ("ob.forget", "tests/faults/rows/events.rs"),
    ("rp.copy.skip_cells", "tests/faults/rows/topic.rs"),
    ("s3.skip_check", "tests/faults/rows/store.rs"),
    ("s3.skip_read_check", "tests/faults/rows/store.rs"),
    ("wh.attempt.after", "tests/crash/webhooks.rs"),
    ("wh.attempt.before", "tests/crash/webhooks.rs"),
    ("wh.forget", "tests/faults/rows/webhooks.rs"),
    ("wh.record.after", "tests/crash/webhooks.rs"),
    ("wh.record.before", "tests/crash/webhooks.rs"),
    // Not an end but an error.
    ("eventlog.events.fail", "tests/dev/events.rs"),
];

#[tokio::test(flavor = "multi_thread")]
#[ignore = "kills processes for minutes: cargo xtask crash"]
async fn whatever_was_acknowledged_survives_an_end_at_each_crash_point() {
    let seed = seed(2);
    let mut deletions = 0;
    for (number, (point, hit)) in POINTS.iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let seed = seed.wrapping_add(number as u64);
        let ledger = Arc::new(Mutex::new(Ledger::collecting()));
        let calm = prepare(point, folder.path(), &ledger, seed).await;
        let armed = calm
            .clone()
            .env("MERIDIAN_CRASH_POINT", format!("{point}@{hit}"));
        let said = end_by_itself(&armed, &ledger, seed).await;
        let reached = format!("crash point {point} reached");
        assert!(said.contains(&reached), "{point}@{hit}: {said}");
        let dev = calm.start();
        let mut kept = std::mem::take(&mut *ledger.lock().unwrap());
        let broken = kept.broken(&dev.client()).await;
        assert!(broken.is_empty(), "{point}@{hit}: {broken:#?}");
        eprintln!("{point}@{hit}: {} promises kept", kept.promises());
        deletions += kept.deletions();
    }
    assert!(deletions > 100, "only {deletions} deletions were promised");
}

/// A registry that collects at once what nothing needs, and that has what the point asks for.
async fn prepare(point: &str, folder: &Path, ledger: &Shared, seed: u64) -> DevBuilder {
    let calm = DevBuilder::new(folder)
        .env("MERIDIAN_METADATA__RETENTION__LEASE", "1s")
        .env("MERIDIAN_METADATA__RETENTION__GRACE", "100ms")
        .env("MERIDIAN_METADATA__SNAPSHOT_ENTRIES", "100")
        .env("MERIDIAN_BLOB__COLLECTION__INTERVAL", "200ms");
    if point.starts_with("meta.vote") {
        // A vote is cast at the start only: have something to lose by then.
        let dev = calm.start();
        let load = Load {
            steps: 10,
            ..Load::endless(2)
        };
        let work = Work::begin(&dev.client(), ledger, seed, load);
        work.end().await;
        dev.kill();
    }
    if !point.starts_with("gc.after_doom") {
        return calm;
    }
    // A sweep finds what a former life began and nobody goes on with.
    let calm = calm
        .env("MERIDIAN_BLOB__UPLOADS__IDLE_EXPIRY", "2s")
        .env("MERIDIAN_BLOB__COLLECTION__SWEEP_INTERVAL", "200ms");
    let dev = calm.start();
    let client = dev.client();
    let session = client.start_upload("team/abandoned").await.unwrap();
    let chunk = vec![7; 100_000];
    let patch = client.send(reqwest::Method::PATCH, &session, &[], chunk);
    patch.await.unwrap().expect(202);
    dev.kill();
    calm
}

/// Has clients work until the process ends by itself; what it said.
async fn end_by_itself(armed: &DevBuilder, ledger: &Shared, seed: u64) -> String {
    let mut dev = match armed.try_start() {
        Err(ended) => return ended.said,
        Ok(dev) => dev,
    };
    let work = Work::begin(&dev.client(), ledger, seed, Load::endless(3));
    let said = tokio::task::spawn_blocking(move || {
        // One that does not end is killed, and has not said that it reached the point.
        let _ended = dev.wait(Duration::from_secs(30));
        dev.end();
        dev.said()
    });
    let said = said.await.unwrap();
    work.end().await;
    said
}

#[test]
fn every_crash_point_of_the_source_is_tried() {
    let root = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("..");
    let mut found = BTreeSet::new();
    search(&root.join("crates"), &mut found);
    let here = POINTS.iter().map(|(point, _)| *point);
    let elsewhere = ELSEWHERE.iter().map(|(point, _)| *point);
    let known: BTreeSet<String> = here.chain(elsewhere).map(ToOwned::to_owned).collect();
    let untried: Vec<_> = found.difference(&known).collect();
    let gone: Vec<_> = known.difference(&found).collect();
    assert!(
        untried.is_empty(),
        "in the source, and not tried: {untried:?}"
    );
    assert!(gone.is_empty(), "tried, and not in the source: {gone:?}");
    for (point, file) in ELSEWHERE {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        assert!(text.contains(&format!("\"{point}")), "{file}: {point}");
    }
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
