//! Garbage collection, each rule at a time.

use std::sync::Arc;
use std::time::Duration;

use meridian_blob_service::CollectionPhase;

use meridian_blobstore::{
    BlobKey, BlobStore, DiskBlobStore, DiskConfig, Fault, Faulty, MemoryBlobStore, Operation,
};
use meridian_clients::{BlobApi, Collect, MetadataApi, RequestId, Transfer, UploadError};
use meridian_clock::{Clock, SystemClock};
use meridian_error::Code;

use crate::harness::{
    World, content, hanging, open, pull, push, repository, sha256, sized, streamed,
};
use crate::metadata::registry_id;
use crate::turns::Turns;

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn objects(world: &World) -> usize {
    world.store.list(None, 1000).await.unwrap().len()
}

#[tokio::test]
async fn what_nothing_holds_goes_when_its_lease_is_over_and_not_before() {
    let world = World::new();
    world.metadata.set_times(100, 1000);
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    let digest = push(service, &here, &content(1, 5000)).await.unwrap();
    world.pass(Duration::from_millis(999));
    let report = service.collect().await.unwrap();
    assert!(!report.did_something(), "{report}");
    world.pass(Duration::from_millis(1));
    let report = service.collect().await.unwrap();
    assert_eq!((report.condemned.count, report.condemned.bytes), (1, 5000));
    assert_eq!((report.removed.count, report.removed.bytes), (1, 5000));
    assert_eq!(report.deleted_objects, 1);
    assert!(pull(service, &here, digest, None).await.is_err());
    assert_eq!(objects(&world).await, 0);
}

#[tokio::test]
async fn what_a_manifest_needs_stays() {
    let world = World::new();
    world.metadata.set_times(0, 0);
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    let bytes = content(2, 5000);
    let digest = push(service, &here, &bytes).await.unwrap();
    assert!(
        world
            .metadata
            .manifest(&here.name, sha256(b"manifest"), &[digest])
    );
    world.pass(DAY);
    service.collect().await.unwrap();
    assert_eq!(pull(service, &here, digest, None).await.unwrap(), bytes);
    world
        .metadata
        .forget_manifest(&here.name, sha256(b"manifest"));
    service.collect().await.unwrap();
    assert!(pull(service, &here, digest, None).await.is_err());
}

#[tokio::test]
async fn a_condemned_blob_that_a_push_relies_on_is_revived() {
    let world = World::new();
    world.metadata.set_times(0, 1000);
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    let bytes = content(3, 5000);
    let digest = push(service, &here, &bytes).await.unwrap();
    let condemn = || Collect::Condemn(vec![(registry_id(), digest)]);
    for revival in 0..3_u8 {
        world.pass(Duration::from_secs(2));
        let step = world
            .metadata
            .collect(condemn(), RequestId([revival; 16]))
            .await;
        assert_eq!(step.unwrap().blobs, 1);
        match revival {
            0 => drop(service.stat(&here, digest, true).await.unwrap()),
            1 => drop(
                service
                    .mount(&here, Some(&here.name), digest)
                    .await
                    .unwrap(),
            ),
            _ => drop(push(service, &here, &bytes).await.unwrap()),
        }
        let report = service.collect().await.unwrap();
        assert_eq!(report.removed.count, 0, "revival {revival}");
        assert_eq!(pull(service, &here, digest, None).await.unwrap(), bytes);
    }
}

#[tokio::test]
async fn many_are_taken_in_batches() {
    let mut world = World::new();
    world.config.collection.batch = 7;
    world.metadata.set_times(0, 0);
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    for seed in 0..50 {
        let len = if seed % 2 == 0 { 10 } else { 100 };
        push(service, &here, &content(seed, len)).await.unwrap();
    }
    let would = service.would_collect().await.unwrap();
    assert_eq!((would.blobs.count, would.blobs.bytes), (50, 25 * 110));
    assert_eq!(would.first_blobs.len(), 50);
    assert_eq!(objects(&world).await, 25, "a dry run changes nothing");
    let report = service.collect().await.unwrap();
    assert_eq!((report.removed.count, report.deleted_objects), (50, 25));
    assert_eq!(objects(&world).await, 0);
    assert_eq!(service.would_collect().await.unwrap().blobs.count, 0);
}

#[tokio::test]
async fn a_deletion_that_fails_is_taken_up_by_the_next_run() {
    let store = Faulty::new(MemoryBlobStore::new());
    let world = World::with(Arc::new(store.clone()), Turns::default(), None);
    world.metadata.set_times(0, 0);
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    for seed in 0..3 {
        push(service, &here, &content(seed, 5000)).await.unwrap();
    }
    store.script(Operation::Delete, 1, Fault::Before(Code::Internal));
    assert!(service.collect().await.is_err());
    assert_eq!(objects(&world).await, 1);
    let status = service.collection();
    assert_eq!((status.phase, status.runs), (CollectionPhase::Idle, 1));
    assert!(status.last.unwrap().failure.is_some());
    let would = service.would_collect().await.unwrap();
    assert_eq!((would.doomed.count, would.doomed.bytes), (1, 5000));
    service.collect().await.unwrap();
    assert_eq!(objects(&world).await, 0);
    assert!(service.collection().last.unwrap().failure.is_none());
}

#[tokio::test(start_paused = true)]
async fn it_runs_by_itself() {
    let mut world = World::new();
    world.config.collection.interval = Duration::from_secs(1);
    world.metadata.set_times(0, 0);
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    push(service, &here, &content(4, 5000)).await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), async {
        while objects(&world).await > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await
    .expect("collected within ten intervals");
    life.stop().await;
}

/// A world on a real disk, whose files have real times.
pub(crate) async fn disk_world(folder: &tempfile::TempDir) -> World {
    let store = DiskBlobStore::open(DiskConfig::new(folder.path()))
        .await
        .unwrap();
    let world = World::with(Arc::new(store), Turns::default(), None);
    world.clock.set(SystemClock.now_millis());
    world
}

/// A whole object that no record names.
pub(crate) async fn strand(world: &World, generation: u64) -> BlobKey {
    let key = BlobKey {
        registry: registry_id().to_string().parse().unwrap(),
        epoch: 1,
        generation,
    };
    let mut writer = world.store.create(&key).await.unwrap();
    writer.append(content(generation, 3000)).await.unwrap();
    writer.commit().await.unwrap();
    key
}

#[tokio::test]
async fn a_stranded_object_goes_when_no_upload_can_want_it_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let world = disk_world(&folder).await;
    world.metadata.set_times(0, 1 << 50);
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    let stranded = strand(&world, 7).await;
    let bytes = content(5, 5000);
    let kept = push(service, &here, &bytes).await.unwrap();
    world.pass(DAY * 7);
    let report = service.collect().await.unwrap();
    assert!(
        report.swept && report.orphans.count == 0,
        "too young: {report}"
    );
    world.pass(Duration::from_secs(3700));
    let would = service.would_collect().await.unwrap();
    assert_eq!((would.orphans.count, would.orphans.bytes), (1, 3000));
    assert_eq!(would.first_objects, [stranded.to_string()]);
    let report = service.collect().await.unwrap();
    assert_eq!((report.orphans.count, report.orphans.bytes), (1, 3000));
    assert_eq!(world.store.stat(&stranded).await.unwrap(), None);
    assert_eq!(pull(service, &here, kept, None).await.unwrap(), bytes);
}

#[tokio::test]
async fn an_abandoned_upload_goes_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let world = disk_world(&folder).await;
    let here = repository("a");
    let life = world.start().await;
    let session = open(&life.service, &here).await;
    let chunk = streamed(&content(6, 5000));
    life.service
        .append(&here, &session.upload, chunk)
        .await
        .unwrap();
    life.stop().await;
    let life = world.start().await;
    world.pass(DAY);
    assert_eq!(life.service.collect().await.unwrap().abandoned.count, 0);
    world.pass(Duration::from_secs(3700));
    let report = life.service.collect().await.unwrap();
    assert_eq!((report.abandoned.count, report.abandoned.bytes), (1, 5000));
    let status = life.service.status(&here, &session.upload).await;
    assert!(matches!(status, Err(UploadError::Unknown)));
    life.stop().await;
}

#[tokio::test]
async fn what_a_session_holds_is_not_swept_however_old_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let world = disk_world(&folder).await;
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    let session = open(service, &here).await;
    let bytes = content(7, 5000);
    service
        .append(&here, &session.upload, streamed(&bytes))
        .await
        .unwrap();
    world.pass(DAY * 2);
    let chunk = Transfer {
        range: None,
        length: None,
        body: hanging(&content(8, 10)),
    };
    let append = service.append(&here, &session.upload, chunk);
    let collect = async {
        tokio::task::yield_now().await;
        service.collect().await.unwrap()
    };
    tokio::select! {
        _ = append => panic!("the body hangs"),
        report = collect => assert_eq!(report.abandoned.count, 0),
    }
}

#[tokio::test]
async fn strangers_in_the_store_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let world = disk_world(&folder).await;
    let life = world.start().await;
    let key: BlobKey = "lost-found/2a/0000000000000001-000000000000002a"
        .parse()
        .unwrap();
    world
        .store
        .create(&key)
        .await
        .unwrap()
        .commit()
        .await
        .unwrap();
    world.pass(DAY * 100);
    let report = life.service.collect().await.unwrap();
    assert!(!report.did_something());
    assert_eq!(world.store.stat(&key).await.unwrap(), Some(0));
}

#[tokio::test(start_paused = true)]
async fn an_object_whose_record_got_lost_is_swept_in_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let world = disk_world(&folder).await;
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    let bytes = content(9, 5000);
    let requests = &world.metadata.lost_requests;
    requests.store(u64::MAX, std::sync::atomic::Ordering::SeqCst);
    assert!(
        service
            .upload(&here, sha256(&bytes), sized(&bytes))
            .await
            .is_err()
    );
    requests.store(0, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(objects(&world).await, 1);
    world.pass(DAY * 8);
    let report = service.collect().await.unwrap();
    assert_eq!(report.orphans.count, 1);
    assert_eq!(objects(&world).await, 0);
}
