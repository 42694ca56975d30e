//! A store that fails, and a metadata service that does not answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use meridian_blobstore::{BlobStore, Fault, Faulty, MemoryBlobStore, Operation};
use meridian_clients::{BlobApi, ReadError, Transfer, UploadError, WriteError};
use meridian_error::Code;

use crate::harness::{World, content, open, pull, push, repository, sha256, sized, streamed};
use crate::turns::Turns;

fn faulty() -> (Faulty<MemoryBlobStore>, World) {
    let store = Faulty::new(MemoryBlobStore::new());
    let world = World::with(Arc::new(store.clone()), Turns::default(), None);
    (store, world)
}

#[tokio::test]
async fn a_failed_sync_fails_the_upload_and_is_not_tried_again() {
    for fault in [Fault::Before(Code::Internal), Fault::After(Code::Internal)] {
        let (store, world) = faulty();
        let life = world.start().await;
        let (service, here) = (&life.service, repository("a"));
        let bytes = content(1, 5000);
        let session = open(service, &here).await;
        store.script(Operation::Sync, 0, fault);
        let append = service
            .append(&here, &session.upload, streamed(&bytes))
            .await;
        assert!(matches!(append, Err(UploadError::Store(_))));
        assert_eq!(store.calls(Operation::Sync), 1);
        for _ in 0..2 {
            let finish = service
                .finish(&here, &session.upload, sha256(&bytes), Transfer::empty())
                .await;
            assert!(matches!(finish, Err(UploadError::Unknown)));
        }
        assert_eq!(
            store.calls(Operation::Sync),
            1,
            "an fsync that failed lies from then on"
        );
        assert!(world.store.list(None, 10).await.unwrap().is_empty());
        assert_eq!(service.open_sessions(), 0);
    }
}

#[tokio::test]
async fn a_failed_write_or_commit_fails_the_upload() {
    for operation in [Operation::Append, Operation::Commit] {
        let (store, world) = faulty();
        let life = world.start().await;
        let (service, here) = (&life.service, repository("a"));
        let bytes = content(2, 5000);
        let session = open(service, &here).await;
        store.script(operation, 0, Fault::Before(Code::Internal));
        let finish = service
            .finish(&here, &session.upload, sha256(&bytes), sized(&bytes))
            .await;
        assert!(matches!(finish, Err(UploadError::Store(_))));
        assert!(pull(service, &here, sha256(&bytes), None).await.is_err());
        let again = service
            .finish(&here, &session.upload, sha256(&bytes), sized(&bytes))
            .await;
        assert!(matches!(again, Err(UploadError::Unknown)));
        push(service, &here, &bytes).await.unwrap();
        assert_eq!(
            pull(service, &here, sha256(&bytes), None).await.unwrap(),
            bytes
        );
    }
}

#[tokio::test]
async fn a_full_store_is_told_from_a_broken_one() {
    let (store, world) = faulty();
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    let bytes = content(3, 5000);
    for operation in [Operation::Create, Operation::Append, Operation::Sync] {
        let session = open(service, &here).await;
        store.script(operation, 0, Fault::Before(Code::ResourceExhausted));
        let append = service
            .append(&here, &session.upload, streamed(&bytes))
            .await;
        assert!(
            matches!(append, Err(UploadError::StoreFull)),
            "{operation:?}"
        );
    }
    // Space returned.
    push(service, &here, &bytes).await.unwrap();
}

#[tokio::test]
async fn an_object_that_could_not_be_begun_is_begun_later() {
    let (store, world) = faulty();
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    let bytes = content(4, 5000);
    for fault in [
        Fault::Before(Code::Unavailable),
        Fault::After(Code::Unavailable),
    ] {
        let session = open(service, &here).await;
        store.script(Operation::Create, 0, fault);
        let append = service
            .append(&here, &session.upload, streamed(&bytes))
            .await;
        assert!(append.is_err());
        assert_eq!(
            service.status(&here, &session.upload).await.unwrap().offset,
            0
        );
        service
            .append(&here, &session.upload, streamed(&bytes))
            .await
            .unwrap();
        let finish = service.finish(&here, &session.upload, sha256(&bytes), Transfer::empty());
        finish.await.unwrap();
        assert_eq!(
            pull(service, &here, sha256(&bytes), None).await.unwrap(),
            bytes
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_whose_acknowledgement_was_lost_is_asked_for_again() {
    let world = World::new();
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    for len in [10, 5000] {
        for (answers, requests) in [(3, 0), (0, 3), (2, 2)] {
            world.metadata.lost_answers.store(answers, Ordering::SeqCst);
            world
                .metadata
                .lost_requests
                .store(requests, Ordering::SeqCst);
            let bytes = content(
                answers * 10 + requests + len,
                70 * usize::try_from(len).unwrap(),
            );
            push(service, &here, &bytes).await.unwrap();
            assert_eq!(
                pull(service, &here, sha256(&bytes), None).await.unwrap(),
                bytes
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_outcome_that_stays_unknown_is_settled_by_the_same_put() {
    for (answers, requests) in [(u64::MAX, 0), (0, u64::MAX)] {
        for len in [10, 5000] {
            for streams in [false, true] {
                let world = World::new();
                let life = world.start().await;
                let (service, here) = (&life.service, repository("a"));
                let bytes = content(6, len);
                let digest = sha256(&bytes);
                let session = open(service, &here).await;
                if streams {
                    service
                        .append(&here, &session.upload, streamed(&bytes))
                        .await
                        .unwrap();
                }
                let last = || match streams {
                    true => Transfer::empty(),
                    false => sized(&bytes),
                };
                world.metadata.lost_answers.store(answers, Ordering::SeqCst);
                world
                    .metadata
                    .lost_requests
                    .store(requests, Ordering::SeqCst);
                let put = service.finish(&here, &session.upload, digest, last()).await;
                let Err(UploadError::Metadata(WriteError::Read(error))) = put else {
                    panic!("{put:?}");
                };
                assert!(matches!(error, ReadError::Unavailable { .. }));
                world.metadata.lost_answers.store(0, Ordering::SeqCst);
                world.metadata.lost_requests.store(0, Ordering::SeqCst);
                service
                    .finish(&here, &session.upload, digest, last())
                    .await
                    .unwrap();
                assert_eq!(pull(service, &here, digest, None).await.unwrap(), bytes);
                let objects = world.store.list(None, 10).await.unwrap();
                assert_eq!(
                    objects.len(),
                    usize::from(len > 64),
                    "no object is left behind"
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_that_may_be_recorded_is_deleted() {
    let world = World::new();
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    let bytes = content(7, 5000);
    let digest = sha256(&bytes);
    let session = open(service, &here).await;
    // It is recorded, but nobody is told.
    world
        .metadata
        .lost_answers
        .store(u64::MAX, Ordering::SeqCst);
    let put = service
        .finish(&here, &session.upload, digest, sized(&bytes))
        .await;
    assert!(matches!(put, Err(UploadError::Metadata(_))));
    world.metadata.lost_answers.store(0, Ordering::SeqCst);
    let wrong = service
        .finish(&here, &session.upload, sha256(b"else"), Transfer::empty())
        .await;
    assert!(matches!(wrong, Err(UploadError::DigestDiffers)));
    service.cancel(&here, &session.upload).await.unwrap();
    assert_eq!(pull(service, &here, digest, None).await.unwrap(), bytes);
}

#[tokio::test]
async fn a_store_that_fails_at_random_never_shows_wrong_bytes() {
    for seed in 0..60 {
        let store = Faulty::seeded(MemoryBlobStore::new(), seed, 6);
        let world = World::with(Arc::new(store), Turns::default(), None);
        let life = world.start().await;
        let (service, here) = (&life.service, repository("a"));
        for round in 0..8 {
            let bytes = content(seed * 100 + round, 3000);
            let digest = sha256(&bytes);
            let session = open(service, &here).await;
            let mut acknowledged = true;
            for half in [bytes.slice(..1500), bytes.slice(1500..)] {
                let append = service
                    .append(&here, &session.upload, streamed(&half))
                    .await;
                acknowledged &= append.is_ok();
            }
            let finish = service
                .finish(&here, &session.upload, digest, Transfer::empty())
                .await;
            if !acknowledged {
                assert!(finish.is_err());
            }
            let stat = service.stat(&here, digest, false).await;
            assert_eq!(
                stat.is_ok(),
                finish.is_ok(),
                "seed {seed} round {round}: {finish:?}"
            );
        }
    }
}
