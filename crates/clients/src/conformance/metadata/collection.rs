//! Garbage collection, step by step.

use std::time::Duration;

use meridian_event::RegistryId;
use meridian_oci::Digest;

use super::{Fixture, GRACE, LEASE, Stage, fresh, image, repository, sha256};
use crate::{BlobLocation, Collect, CollectOutcome, Doomed, ReadError, StorageKey, WriteError};

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

pub(super) async fn an_orphan_is_doomed_and_never_named(stage: &Stage) {
    let (orphan, at) = (stage.storage_key().await, repository("gc"));
    let doom = || Collect::Doom(vec![orphan]);
    let request = fresh();
    let one = CollectOutcome { blobs: 1, bytes: 0 };
    assert_eq!(stage.collect(doom(), request).await.unwrap(), one);
    assert_eq!(
        stage.collect(doom(), request).await.unwrap(),
        one,
        "a retry"
    );
    assert_eq!(step(stage, doom()).await.blobs, 0, "it is in good hands");
    assert_eq!(stage.doomed(100).await.unwrap(), [Doomed { key: orphan }]);
    let record = || stage.put_located(&at, b"late", BlobLocation::Stored(orphan));
    let gone = WriteError::from(ReadError::BlobUnknown);
    assert_eq!(record().await.unwrap_err(), gone);
    assert_eq!(step(stage, Collect::Deleted(vec![orphan])).await.blobs, 1);
    assert_eq!(record().await.unwrap_err(), gone, "however late it comes");
    assert!(stage.blob(&at, sha256(b"late")).await.is_err());
    assert_eq!(step(stage, doom()).await.blobs, 1, "it came back to light");
    let again = BlobLocation::Stored(stage.storage_key().await);
    stage.put_located(&at, b"late", again).await.unwrap();
}

pub(super) async fn what_is_no_orphan_stays(stage: &Stage) {
    let (digest, key) = put(stage, "named").await;
    let mut other = key.registry.version();
    other.counter += 77;
    let strays = vec![
        key,
        StorageKey {
            registry: RegistryId::new(other),
            ..stage.storage_key().await
        },
        StorageKey {
            generation: u64::MAX,
            ..key
        },
    ];
    assert_eq!(step(stage, Collect::Doom(strays)).await.blobs, 0);
    assert_eq!(stage.doomed(100).await.unwrap(), []);
    let record = stage.blob(&repository("gc"), digest).await.unwrap();
    assert_eq!(record.location, BlobLocation::Stored(key));
}
