//! Records of blobs.

use bytes::Bytes;
use meridian_error::{Classify, Code};
use meridian_event::RegistryId;

use super::{Fixture, LEASE, Stage, fresh, image, repository, sha256};
use crate::{BlobLocation, Encoding, ReadError, RepositoryPath, StorageKey, WriteError};

pub(super) async fn a_record_is_read_as_it_was_put(stage: &Stage) {
    let at = repository("blobs/read");
    let stored = BlobLocation::Stored(stage.storage_key().await);
    let inline = BlobLocation::Inline(Bytes::from_static(b"inline"));
    for (bytes, location) in [("inline", inline), ("stored", stored)] {
        let put = stage
            .put_located(&at, bytes.as_bytes(), location.clone())
            .await;
        put.unwrap();
        let record = stage.blob(&at, sha256(bytes.as_bytes())).await.unwrap();
        assert_eq!(record.size, 6);
        assert_eq!(record.encoding, Encoding::Plain);
        assert_eq!(record.location, location);
        assert!(!record.wants_touch);
    }
    let absent = stage.blob(&at, sha256(b"absent")).await;
    assert_eq!(absent.unwrap_err(), ReadError::BlobUnknown);
    let nowhere = stage
        .blob(&repository("blobs/nowhere"), sha256(b"inline"))
        .await;
    assert_eq!(nowhere.unwrap_err(), ReadError::RepositoryUnknown);
    let nowhere = RepositoryPath {
        registry: "nowhere".parse().unwrap(),
        ..at
    };
    let nowhere = stage.blob(&nowhere, sha256(b"inline")).await;
    assert_eq!(nowhere.unwrap_err(), ReadError::RegistryUnknown);
}

pub(super) async fn a_mount_makes_a_blob_present_elsewhere(stage: &Stage) {
    let [from, to, third] = ["blobs/from", "blobs/to", "blobs/third"].map(repository);
    let digest = stage.put_blob(&from, b"mounted").await;
    let absent = stage
        .mount_blob(&to, Some(&third.name), digest, fresh())
        .await
        .unwrap();
    assert_eq!(absent, None);
    assert!(stage.blob(&to, digest).await.is_err());
    let mounted = stage
        .mount_blob(&to, Some(&from.name), digest, fresh())
        .await
        .unwrap();
    assert!(mounted.is_some());
    assert_eq!(stage.blob(&to, digest).await.unwrap().size, 7);
    assert!(
        stage
            .mount_blob(&third, None, digest, fresh())
            .await
            .unwrap()
            .is_some()
    );
    let nothing = stage
        .mount_blob(&third, None, sha256(b"nothing"), fresh())
        .await;
    assert_eq!(nothing.unwrap(), None);
}

pub(super) async fn a_deleted_blob_is_absent(stage: &Stage) {
    let (at, other) = (repository("blobs/deleted"), repository("blobs/kept"));
    let digest = stage.put_blob(&at, b"deleted").await;
    stage.put_blob(&other, b"deleted").await;
    stage.delete_blob(&at, digest, fresh()).await.unwrap();
    let absent = WriteError::from(ReadError::BlobUnknown);
    assert_eq!(
        stage.delete_blob(&at, digest, fresh()).await.unwrap_err(),
        absent
    );
    assert_eq!(
        stage.touch_blob(&at, digest, fresh()).await.unwrap_err(),
        absent
    );
    assert!(stage.blob(&at, digest).await.is_err());
    assert!(stage.blob(&other, digest).await.is_ok());
}

pub(super) async fn a_push_renews_an_old_lease(stage: &Stage, fixture: &impl Fixture) {
    let at = repository("blobs/leased");
    let digest = stage.put_blob(&at, b"leased").await;
    let needed = stage.put_blob(&at, b"needed").await;
    stage
        .put_manifest(&at, &image(&[(needed, 6)]), &[])
        .await
        .unwrap();
    fixture.pass(LEASE / 2 + LEASE / 10).await;
    assert!(stage.blob(&at, digest).await.unwrap().wants_touch);
    assert!(!stage.blob(&at, needed).await.unwrap().wants_touch);
    stage.touch_blob(&at, digest, fresh()).await.unwrap();
    assert!(!stage.blob(&at, digest).await.unwrap().wants_touch);
}

pub(super) async fn an_object_that_was_lost_is_replaced(stage: &Stage) {
    let at = repository("blobs/lost");
    let lost = stage.storage_key().await;
    let location = BlobLocation::Stored(lost);
    stage.put_located(&at, b"lost", location).await.unwrap();
    let (second, third) = (stage.storage_key().await, stage.storage_key().await);
    let doomed = || async {
        let doomed = stage.doomed(100).await.unwrap().into_iter();
        doomed.map(|doomed| doomed.key).collect::<Vec<_>>()
    };
    // What comes later in vain is dropped; it knows nothing of the loss, or no more than is over.
    for (key, instead_of, placed, gone) in [
        (second, Some(lost), second, vec![lost]),
        (third, Some(lost), second, vec![lost, third]),
        (stage.storage_key().await, None, second, vec![]),
    ] {
        let location = BlobLocation::Stored(key);
        let put = stage.put_instead(&at, b"lost", location, instead_of).await;
        let kept = (placed != key).then_some(placed);
        assert_eq!(put.unwrap().kept, kept);
        let record = stage.blob(&at, sha256(b"lost")).await.unwrap();
        assert_eq!(record.location, BlobLocation::Stored(placed));
        assert!(gone.is_empty() || doomed().await == gone);
    }
    let inline = BlobLocation::Inline(Bytes::from_static(b"lost"));
    let put = stage.put_instead(&at, b"lost", inline.clone(), Some(second));
    put.await.unwrap();
    let record = stage.blob(&at, sha256(b"lost")).await.unwrap();
    assert_eq!(record.location, inline);
    assert!(doomed().await.contains(&second));
}

pub(super) async fn an_object_that_was_not_made_for_the_registry_is_refused(stage: &Stage) {
    let at = repository("blobs/foreign");
    let key = stage.storage_key().await;
    let mut other = key.registry.version();
    other.counter += 77;
    let registry = RegistryId::new(other);
    for foreign in [
        StorageKey { registry, ..key },
        StorageKey {
            generation: u64::MAX,
            ..key
        },
        StorageKey {
            epoch: key.epoch + 1,
            ..key
        },
    ] {
        let location = BlobLocation::Stored(foreign);
        let refused = stage.put_located(&at, b"foreign", location).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Code::Internal, "{foreign:?}: {refused}");
        assert!(stage.blob(&at, sha256(b"foreign")).await.is_err());
    }
    let location = BlobLocation::Stored(key);
    stage.put_located(&at, b"foreign", location).await.unwrap();
}

pub(super) async fn a_blob_that_arrived_is_kept_once_and_leased_to_nobody(stage: &Stage) {
    let at = repository("blobs/arrived");
    let keys = [
        stage.storage_key().await,
        stage.storage_key().await,
        stage.storage_key().await,
    ];
    let [first, second, third] = keys;
    // The bytes arrive twice, then what was kept is lost.
    for (key, instead_of, kept) in [
        (first, None, None),
        (second, None, Some(first)),
        (third, Some(first), None),
    ] {
        let location = BlobLocation::Stored(key);
        let stored = stage.store_instead(b"arrived", location, instead_of).await;
        assert_eq!(stored.unwrap().kept, kept);
        assert!(stage.blob(&at, sha256(b"arrived")).await.is_err());
    }
    let doomed = stage.doomed(100).await.unwrap().into_iter();
    let doomed: Vec<_> = doomed.map(|doomed| doomed.key).collect();
    assert_eq!(doomed.len(), 2);
    assert!(doomed.contains(&first) && doomed.contains(&second));
    assert_eq!(stage.known(&keys).await.unwrap(), [true; 3]);
    // What was doomed is never named.
    let location = BlobLocation::Stored(second);
    let gone = stage.store_instead(b"other", location, None).await;
    assert_eq!(gone.unwrap_err(), ReadError::BlobUnknown.into());
    // A push finds it here.
    let location = BlobLocation::Stored(stage.storage_key().await);
    let put = stage.put_located(&at, b"arrived", location).await.unwrap();
    assert_eq!(put.kept, Some(third));
    let record = stage.blob(&at, sha256(b"arrived")).await.unwrap();
    assert_eq!(record.location, BlobLocation::Stored(third));
}
