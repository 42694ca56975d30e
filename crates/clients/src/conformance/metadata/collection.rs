//! Garbage collection, step by step.

use std::time::Duration;

use meridian_event::RegistryId;
use meridian_oci::Digest;

use super::{Fixture, GRACE, LEASE, Stage, fresh, image, repository, sha256};
use crate::{BlobLocation, Collect, CollectOutcome, Doomed, ReadError, StorageKey};

const MOMENT: Duration = Duration::from_secs(1);

async fn step(stage: &Stage, step: Collect) -> CollectOutcome {
    stage.collect(step, fresh()).await.unwrap()
}

async fn put(stage: &Stage, name: &str) -> (Digest, StorageKey) {
    let key = stage.storage_key().await;
    let location = BlobLocation::Stored(key);
    stage
        .put_located(&repository("gc"), name.as_bytes(), location)
        .await
        .unwrap();
    (sha256(name.as_bytes()), key)
}

/// What is due and not held.
async fn due(stage: &Stage) -> Vec<(RegistryId, Digest)> {
    let due = stage
        .due(100)
        .await
        .unwrap()
        .into_iter()
        .filter(|due| !due.held);
    due.map(|due| (due.registry, due.digest)).collect()
}

pub(super) async fn a_blob_that_nobody_needs_is_collected(stage: &Stage, fixture: &impl Fixture) {
    let (digest, key) = put(stage, "orphan").await;
    let stray = stage.storage_key().await;
    assert_eq!(due(stage).await, []);
    assert_eq!(
        stage.known(&[key, stray, key]).await.unwrap(),
        [true, false, true]
    );
    fixture.pass(LEASE + GRACE + MOMENT).await;
    let found = stage.due(100).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].digest, found[0].size, found[0].condemned),
        (digest, 6, false)
    );
    let candidate = vec![(key.registry, digest)];
    assert_eq!(due(stage).await, candidate);

    // Nothing is removed that was not condemned.
    let none = CollectOutcome::default();
    assert_eq!(step(stage, Collect::Remove(candidate.clone())).await, none);
    let one = CollectOutcome { blobs: 1, bytes: 6 };
    assert_eq!(step(stage, Collect::Condemn(candidate.clone())).await, one);
    assert_eq!(step(stage, Collect::Condemn(candidate.clone())).await, none);
    assert!(
        stage
            .blob(&repository("gc"), digest)
            .await
            .unwrap()
            .wants_touch
    );
    assert!(stage.due(100).await.unwrap()[0].condemned);
    assert_eq!(stage.doomed(100).await.unwrap(), []);

    assert_eq!(step(stage, Collect::Remove(candidate.clone())).await, one);
    let absent = stage.blob(&repository("gc"), digest).await.unwrap_err();
    assert!(matches!(
        absent,
        ReadError::BlobUnknown | ReadError::RepositoryUnknown
    ));
    assert_eq!(stage.doomed(100).await.unwrap(), [Doomed { key }]);
    assert_eq!(step(stage, Collect::Remove(candidate)).await, none);
    assert_eq!(step(stage, Collect::Deleted(vec![key])).await.blobs, 1);
    assert_eq!(stage.doomed(100).await.unwrap(), []);
    assert_eq!(stage.known(&[key]).await.unwrap(), [false]);
    assert!(stage.known(&[]).await.unwrap().is_empty());
}

pub(super) async fn a_touch_revives(stage: &Stage, fixture: &impl Fixture) {
    let (digest, key) = put(stage, "revived").await;
    fixture.pass(LEASE + GRACE + MOMENT).await;
    let candidate = vec![(key.registry, digest)];
    assert_eq!(
        step(stage, Collect::Condemn(candidate.clone())).await.blobs,
        1
    );
    stage
        .touch_blob(&repository("gc"), digest, fresh())
        .await
        .unwrap();
    assert_eq!(
        step(stage, Collect::Remove(candidate.clone())).await.blobs,
        0
    );
    let record = stage.blob(&repository("gc"), digest).await.unwrap();
    assert_eq!(record.location, BlobLocation::Stored(key));
    assert_eq!(due(stage).await, []);
}

pub(super) async fn a_needed_blob_stays(stage: &Stage, fixture: &impl Fixture) {
    let (digest, key) = put(stage, "needed").await;
    let at = repository("gc");
    stage
        .put_manifest(&at, &image(&[(digest, 6)]), &["tag"])
        .await
        .unwrap();
    fixture.pass(2 * (LEASE + GRACE)).await;
    let candidate = vec![(key.registry, digest)];
    assert_eq!(due(stage).await, []);
    assert_eq!(
        step(stage, Collect::Condemn(candidate.clone())).await.blobs,
        0
    );
    assert_eq!(step(stage, Collect::Remove(candidate)).await.blobs, 0);
    assert!(stage.blob(&at, digest).await.is_ok());
}
