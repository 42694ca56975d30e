//! What outlives the process.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use meridian_blobstore::{DiskBlobStore, DiskConfig};
use meridian_clients::{BlobApi, Transfer, UploadError};
use meridian_oci::Algorithm;

use crate::harness::{
    World, content, open, pull, push, ranged, repository, sha256, sized, streamed,
};
use crate::turns::Turns;

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_session_goes_on_where_it_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let store = DiskBlobStore::open(DiskConfig::new(folder.path()))
        .await
        .unwrap();
    for world in [
        World::new(),
        World::with(Arc::new(store), Turns::default(), None),
    ] {
        let here = repository("a");
        let bytes = content(1, 700_000);
        let life = world.start().await;
        let session = open(&life.service, &here).await;
        let head = streamed(&bytes.slice(..400_000));
        life.service
            .append(&here, &session.upload, head)
            .await
            .unwrap();
        life.stop().await;

        let life = world.start().await;
        let status = life.service.status(&here, &session.upload).await.unwrap();
        assert_eq!(status.offset, 400_000);
        let chunk = ranged(&bytes.slice(400_000..500_000), 400_000);
        life.service
            .append(&here, &session.upload, chunk)
            .await
            .unwrap();
        life.stop().await;

        let life = world.start().await;
        let rest = ranged(&bytes.slice(500_000..), 500_000);
        let digest = sha256(&bytes);
        life.service
            .finish(&here, &session.upload, digest, rest)
            .await
            .unwrap();
        assert_eq!(
            pull(&life.service, &here, digest, None).await.unwrap(),
            bytes
        );
        life.stop().await;
    }
}

#[tokio::test]
async fn wrong_content_is_found_after_a_restart_too() {
    let world = World::new();
    let here = repository("a");
    let life = world.start().await;
    let session = open(&life.service, &here).await;
    let bytes = content(2, 5000);
    life.service
        .append(&here, &session.upload, streamed(&bytes))
        .await
        .unwrap();
    life.stop().await;
    let life = world.start().await;
    let wrong = sha256(b"else");
    let put = life
        .service
        .finish(&here, &session.upload, wrong, Transfer::empty())
        .await;
    assert!(matches!(put, Err(UploadError::DigestDiffers)));
    assert!(world.store.list(None, 10).await.unwrap().is_empty());
    assert!(pull(&life.service, &here, wrong, None).await.is_err());
    life.stop().await;
}

#[tokio::test]
async fn a_session_without_bytes_goes_on_under_another_id() {
    let world = World::new();
    let here = repository("a");
    let life = world.start().await;
    let session = open(&life.service, &here).await;
    life.stop().await;

    let life = world.start().await;
    assert_eq!(
        life.service
            .status(&here, &session.upload)
            .await
            .unwrap()
            .offset,
        0
    );
    let bytes = content(3, 5000);
    let head = streamed(&bytes.slice(..2000));
    let status = life
        .service
        .append(&here, &session.upload, head)
        .await
        .unwrap();
    assert_ne!(
        status.upload, session.upload,
        "its old key may have been used and deleted"
    );
    for id in [&session.upload, &status.upload] {
        assert_eq!(life.service.status(&here, id).await.unwrap().offset, 2000);
    }
    life.stop().await;

    let life = world.start().await;
    let rest = ranged(&bytes.slice(2000..), 2000);
    let put = life
        .service
        .finish(&here, &status.upload, sha256(&bytes), rest)
        .await;
    put.unwrap();
    assert_eq!(
        pull(&life.service, &here, sha256(&bytes), None)
            .await
            .unwrap(),
        bytes
    );
    life.stop().await;
}

#[tokio::test]
async fn a_put_repeated_after_a_restart_succeeds_while_the_blob_is_there() {
    for len in [10, 5000] {
        for streams in [false, true] {
            let world = World::new();
            world.metadata.set_times(0, 0);
            let here = repository("a");
            let bytes = content(4, len);
            let digest = sha256(&bytes);
            let life = world.start().await;
            let session = open(&life.service, &here).await;
            let last = || match streams {
                true => Transfer::empty(),
                false => sized(&bytes),
            };
            if streams {
                life.service
                    .append(&here, &session.upload, streamed(&bytes))
                    .await
                    .unwrap();
            }
            life.service
                .finish(&here, &session.upload, digest, last())
                .await
                .unwrap();
            life.stop().await;

            let life = world.start().await;
            life.service
                .finish(&here, &session.upload, digest, last())
                .await
                .unwrap();
            life.stop().await;

            let life = world.start().await;
            life.service.delete(&here, digest).await.unwrap();
            life.service.collect().await.unwrap();
            let put = life
                .service
                .finish(&here, &session.upload, digest, last())
                .await;
            // With its bytes it is a new upload; without, there is nothing to be had.
            assert_eq!(put.is_ok(), !streams, "{len} {put:?}");
            let read = pull(&life.service, &here, digest, None).await;
            assert_eq!(read.ok(), (!streams).then(|| bytes.clone()));
            life.stop().await;
        }
    }
}

#[tokio::test]
async fn a_whole_object_that_was_never_recorded_is_recorded_by_the_same_put() {
    let world = World::new();
    let here = repository("a");
    let bytes = content(5, 5000);
    let digest = sha256(&bytes);
    let life = world.start().await;
    let session = open(&life.service, &here).await;
    life.service
        .append(&here, &session.upload, streamed(&bytes))
        .await
        .unwrap();
    life.stop().await;
    // As if the process had died between the store's commit and the record.
    let key = world.store.list(None, 1).await.unwrap()[0].key.clone();
    let writer = world.store.resume(&key, None).await.unwrap().unwrap();
    writer.commit().await.unwrap();

    let life = world.start().await;
    assert_eq!(
        life.service
            .status(&here, &session.upload)
            .await
            .unwrap()
            .offset,
        5000
    );
    let more = life
        .service
        .append(&here, &session.upload, sized(&bytes))
        .await;
    assert!(matches!(more, Err(UploadError::OutOfOrder(status)) if status.offset == 5000));
    let wrong = life
        .service
        .finish(&here, &session.upload, sha256(b"else"), Transfer::empty())
        .await;
    assert!(matches!(wrong, Err(UploadError::DigestDiffers)));
    let put = life
        .service
        .finish(&here, &session.upload, digest, Transfer::empty())
        .await;
    put.unwrap();
    assert_eq!(
        pull(&life.service, &here, digest, None).await.unwrap(),
        bytes
    );
    life.stop().await;
}

#[tokio::test]
async fn an_idle_session_expires_in_memory_and_on_the_store() {
    let world = World::new();
    let here = repository("a");
    let life = world.start().await;
    let service = &life.service;
    let begun = open(service, &here).await;
    let fresh = open(service, &here).await;
    service
        .append(&here, &begun.upload, streamed(&content(6, 5000)))
        .await
        .unwrap();
    world.pass(HOUR * 23);
    assert_eq!(
        service.status(&here, &begun.upload).await.unwrap().offset,
        5000
    );
    world.pass(HOUR * 2);
    let status = service.status(&here, &fresh.upload).await;
    assert!(matches!(status, Err(UploadError::Unknown)));
    assert_eq!(
        service.status(&here, &begun.upload).await.unwrap().offset,
        5000
    );
    life.stop().await;
}

#[tokio::test]
async fn no_session_outlives_its_greatest_age() {
    let world = World::new();
    let here = repository("a");
    let life = world.start().await;
    let service = &life.service;
    let session = open(service, &here).await;
    let chunk = content(7, 1000);
    service
        .append(&here, &session.upload, streamed(&chunk))
        .await
        .unwrap();
    for _ in 0..8 {
        world.pass(HOUR * 20);
        service
            .append(&here, &session.upload, streamed(&chunk))
            .await
            .unwrap();
    }
    world.pass(HOUR * 20);
    let append = service
        .append(&here, &session.upload, streamed(&chunk))
        .await;
    assert!(matches!(append, Err(UploadError::Unknown)));
    life.stop().await;
}

#[tokio::test]
async fn ids_of_another_key_are_unknown() {
    let mut world = World::new();
    let here = repository("a");
    let life = world.start().await;
    let session = open(&life.service, &here).await;
    life.stop().await;
    world.config.uploads.key = meridian_chassis::config::Secret::new("f".repeat(32));
    let life = world.start().await;
    let status = life.service.status(&here, &session.upload).await;
    assert!(matches!(status, Err(UploadError::Unknown)));
    life.stop().await;
}

#[tokio::test]
async fn a_generation_is_never_given_twice() {
    let world = World::new();
    let here = repository("a");
    for life in 0..3 {
        let service = world.start().await;
        for blob in 0..3 {
            let bytes = content(life * 10 + blob, 5000);
            push(&service.service, &here, &bytes).await.unwrap();
        }
        let session = service
            .service
            .start(&here, Algorithm::Sha256)
            .await
            .unwrap();
        let chunk = streamed(&Bytes::from_static(b"x"));
        service
            .service
            .append(&here, &session.upload, chunk)
            .await
            .unwrap();
        service.stop().await;
    }
    // The store refuses to begin an object twice, so that all of it worked is the proof.
    assert_eq!(world.store.list(None, 100).await.unwrap().len(), 12);
}
