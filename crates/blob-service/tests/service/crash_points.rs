//! Every crash point of this crate lies on a path that is taken.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use meridian_clients::{BlobApi, Transfer, UploadError};

use crate::collection::{disk_world, strand};
use crate::harness::{content, open, push, repository, sha256, sized, streamed};

const POINTS: [&str; 14] = [
    "fe.post.after_session",
    "fe.patch.mid_body",
    "fe.patch.after_blob_ack_before_reply",
    "fe.put.before_commit",
    "fe.put.after_commit_before_reply",
    "fe.mount.after_authz_before_ref",
    "fe.mount.after_ref_before_reply",
    "blob.hash.mismatch_cleanup",
    "gc.after_scan",
    "gc.after_condemn_commit",
    "gc.before_begin_delete",
    "gc.after_begin_delete_before_physical",
    "gc.after_physical_before_done",
    "gc.after_doom_before_physical",
];

#[tokio::test]
async fn every_crash_point_is_passed() {
    let passed = Arc::new(Mutex::new(BTreeSet::new()));
    for point in POINTS {
        let passed = Arc::clone(&passed);
        let pass = move || {
            passed.lock().unwrap().insert(point);
        };
        fail::cfg_callback(point, pass).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let world = disk_world(&folder).await;
    world.metadata.set_times(0, 0);
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    let bytes = content(1, 5000);
    let session = open(service, &here).await;
    service
        .append(&here, &session.upload, streamed(&bytes))
        .await
        .unwrap();
    let wrong = service
        .finish(&here, &session.upload, sha256(b"else"), Transfer::empty())
        .await;
    assert!(matches!(wrong, Err(UploadError::DigestDiffers)));
    let digest = push(service, &here, &bytes).await.unwrap();
    service
        .mount(&repository("b"), Some(&here.name), digest)
        .await
        .unwrap();
    let session = open(service, &here).await;
    let small = content(2, 10);
    service
        .finish(&here, &session.upload, sha256(&small), sized(&small))
        .await
        .unwrap();
    strand(&world, 7).await;
    world.pass(Duration::from_secs(8 * 24 * 3600));
    service.collect().await.unwrap();
    for point in POINTS {
        fail::remove(point);
    }
    let passed = passed.lock().unwrap();
    let missed: Vec<_> = POINTS
        .iter()
        .filter(|point| !passed.contains(*point))
        .collect();
    assert!(missed.is_empty(), "never passed: {missed:?}");
}
