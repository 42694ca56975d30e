//! Looking blobs up and reading them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt;

use meridian_blobstore::{BlobStore, Fault, Faulty, MemoryBlobStore, Operation};
use meridian_clients::{
    BlobApi, BlobLocation, BlobRead, MetadataApi, ReadBlobError, ReadError, RequestId,
};
use meridian_error::{Classify, Code};

use crate::harness::{World, content, pull, push, repository, sha256};
use crate::turns::Turns;

#[tokio::test]
async fn ranges_select_what_they_say() {
    let world = World::new();
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    for len in [50, 200_000] {
        let bytes = content(1, len);
        let digest = push(service, &here, &bytes).await.unwrap();
        for (range, expected) in [
            (None, 0..len),
            (Some("bytes=0-0"), 0..1),
            (Some("bytes=10-19"), 10..20),
            (Some("bytes=10-"), 10..len),
            (Some("bytes=-10"), len - 10..len),
            (Some("bytes=0-999999999"), 0..len),
            (Some("bytes=0-1,3-4"), 0..len),
            (Some("lines=0-1"), 0..len),
        ] {
            let read = pull(service, &here, digest, range).await.unwrap();
            assert_eq!(read, bytes.slice(expected), "{range:?} of {len}");
        }
        for range in ["bytes=5-1", "bytes=-0", "bytes=999999999-"] {
            let read = service.read(&here, digest, Some(range)).await.unwrap();
            let size = len as u64;
            assert!(
                matches!(read, BlobRead::Unsatisfiable { size: s } if s == size),
                "{range}"
            );
        }
        let part = service
            .read(&here, digest, Some("bytes=3-7"))
            .await
            .unwrap();
        let BlobRead::Part {
            size,
            start,
            end_inclusive,
            ..
        } = part
        else {
            panic!("not a part");
        };
        assert_eq!((size, start, end_inclusive), (len as u64, 3, 7));
    }
}

#[tokio::test]
async fn a_blob_of_another_repository_is_unknown() {
    let world = World::new();
    let life = world.start().await;
    let service = &life.service;
    let digest = push(service, &repository("a"), &content(2, 500))
        .await
        .unwrap();
    let there = repository("b");
    for error in [
        service.read(&there, digest, None).await.err().unwrap(),
        service.stat(&there, digest, true).await.unwrap_err(),
        service
            .stat(&there, sha256(b"never seen"), true)
            .await
            .unwrap_err(),
    ] {
        assert!(matches!(
            error,
            ReadBlobError::Metadata(ReadError::BlobUnknown)
        ));
    }
}

#[tokio::test]
async fn a_push_renews_a_lease_only_when_half_of_it_is_gone() {
    let world = World::new();
    world.metadata.set_times(10_000, 1000);
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    let digest = push(service, &here, &content(3, 500)).await.unwrap();
    let touches = || world.metadata.touches.load(Ordering::SeqCst);
    service.stat(&here, digest, true).await.unwrap();
    assert_eq!(touches(), 0);
    world.pass(Duration::from_millis(600));
    service.stat(&here, digest, false).await.unwrap();
    assert_eq!(touches(), 0, "a pull renews nothing");
    service.stat(&here, digest, true).await.unwrap();
    service.stat(&here, digest, true).await.unwrap();
    assert_eq!(touches(), 1);
}

#[tokio::test]
async fn a_recorded_blob_whose_object_is_missing_is_an_outage_not_an_absence() {
    let world = World::new();
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    let digest = push(service, &here, &content(4, 500)).await.unwrap();
    let objects = world.store.list(None, 10).await.unwrap();
    world.store.delete(&objects[0].key).await.unwrap();
    let error = service.read(&here, digest, None).await.err().unwrap();
    assert!(matches!(error, ReadBlobError::Unreadable { .. }));
    assert_eq!(error.code(), Code::Unavailable);
    assert_eq!(service.unreadable_blobs(), 1);
}

#[tokio::test]
async fn an_object_of_another_size_is_not_served() {
    let world = World::new();
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    let digest = push(service, &here, &content(5, 500)).await.unwrap();
    let key = world.store.list(None, 10).await.unwrap()[0].key.clone();
    world.store.delete(&key).await.unwrap();
    let mut writer = world.store.create(&key).await.unwrap();
    writer.append(content(5, 400)).await.unwrap();
    writer.commit().await.unwrap();
    for range in [None, Some("bytes=0-9"), Some("bytes=450-")] {
        let error = service.read(&here, digest, range).await.err().unwrap();
        assert!(
            matches!(error, ReadBlobError::Unreadable { .. }),
            "{range:?}"
        );
    }
}

#[tokio::test]
async fn a_read_that_breaks_off_is_an_error_and_never_a_short_body() {
    let store = Faulty::new(MemoryBlobStore::new());
    let world = World::with(Arc::new(store.clone()), Turns::default(), None);
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    let digest = push(service, &here, &content(6, 200_000)).await.unwrap();
    for fault in [Fault::Short, Fault::Before(Code::Internal)] {
        store.script(Operation::Read, 1, fault);
        let read = service.read(&here, digest, None).await.unwrap();
        let BlobRead::Whole { body, .. } = read else {
            panic!("not all of it");
        };
        let pieces: Vec<_> = body.collect().await;
        assert!(pieces.last().unwrap().is_err(), "{fault:?}");
    }
}

#[tokio::test]
async fn a_blob_that_is_removed_while_it_is_opened_is_absent() {
    let store = Faulty::new(MemoryBlobStore::new());
    let world = World::with(Arc::new(store.clone()), Turns::default(), None);
    world.metadata.set_times(0, 0);
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    let digest = push(service, &here, &content(7, 500)).await.unwrap();
    // The read has looked the blob up, and now its opening takes long.
    store.script(Operation::Open, 0, Fault::Delay(Duration::from_millis(100)));
    let read = service.read(&here, digest, None);
    let collect = async {
        while store.calls(Operation::Open) == 0 {
            tokio::task::yield_now().await;
        }
        let request = RequestId([9; 16]);
        world
            .metadata
            .delete_blob(&here, digest, request)
            .await
            .unwrap();
        service.collect().await.unwrap()
    };
    let (read, report) = tokio::join!(read, collect);
    assert_eq!(report.removed.count, 1);
    let error = read.err().unwrap();
    assert!(
        matches!(error, ReadBlobError::Metadata(ReadError::BlobUnknown)),
        "{error}"
    );
    assert_eq!(service.unreadable_blobs(), 0);
    assert_eq!(world.metadata.location(digest), None::<BlobLocation>);
}
