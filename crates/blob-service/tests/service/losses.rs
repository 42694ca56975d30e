//! Bytes that the disk lost, or changed, beneath a running service; and objects that the sweep took.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use meridian_blobstore::{BlobKey, BlobStore, DiskBlobStore, DiskConfig};
use meridian_clients::{
    BlobApi, BlobLocation, BlobRead, Collect, MetadataApi, MountOutcome, ReadBlobError, ReadError,
    RequestId, StorageKey, Transfer, UploadError,
};
use meridian_clock::{Clock, SystemClock};
use meridian_error::{Classify, Code};
use meridian_oci::Digest;

use crate::harness::{Life, World, content, open, pull, push, repository, sha256, sized, streamed};
use crate::turns::Turns;

/// More than a reader has in its buffers.
const LARGE: usize = 3_000_000;

async fn on_disk(folder: &Path) -> World {
    let store = DiskBlobStore::open(DiskConfig::new(folder)).await.unwrap();
    World::with(Arc::new(store), Turns::default(), None)
}

/// The only file below a folder that is as long as that.
fn file(folder: &Path, len: usize) -> PathBuf {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            if metadata.is_dir() {
                folders.push(entry.path());
            } else if metadata.len() == len as u64 {
                found.push(entry.path());
            }
        }
    }
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn cut(file: &Path, len: u64) {
    let file = std::fs::File::options().write(true).open(file).unwrap();
    file.set_len(len).unwrap();
}

/// Where the bytes of a blob are recorded to be.
fn object(world: &World, digest: Digest) -> StorageKey {
    match world.metadata.location(digest) {
        Some(BlobLocation::Stored(key)) => key,
        other => panic!("{other:?}"),
    }
}

/// What a push does that asks first.
async fn push_if_asked(life: &Life, bytes: &Bytes) {
    let here = repository("a");
    let stat = life.service.stat(&here, sha256(bytes), true).await;
    let absent = stat.unwrap_err();
    assert!(
        matches!(absent, ReadBlobError::Metadata(ReadError::BlobUnknown)),
        "{absent}"
    );
    push(&life.service, &here, bytes).await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_lost_is_an_outage_until_somebody_pushes_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let world = on_disk(folder.path()).await;
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    let bytes = content(1, 5000);
    let digest = push(service, &here, &bytes).await.unwrap();
    assert!(
        world
            .metadata
            .manifest(&here.name, sha256(b"manifest"), &[digest])
    );
    let lost = object(&world, digest);
    std::fs::remove_file(file(folder.path(), 5000)).unwrap();
    for _ in 0..3 {
        let error = service.read(&here, digest, None).await.err().unwrap();
        assert!(matches!(error, ReadBlobError::Unreadable { .. }));
        assert_eq!(error.code(), Code::Unavailable);
    }
    assert_eq!(service.unreadable_blobs(), 1, "it is told once");
    assert!(service.stat(&here, digest, false).await.is_ok());
    push_if_asked(&life, &bytes).await;
    assert_eq!(pull(service, &here, digest, None).await.unwrap(), bytes);
    assert!(service.stat(&here, digest, true).await.is_ok());
    assert_ne!(object(&world, digest), lost);
    service.collect().await.unwrap();
    assert_eq!(pull(service, &here, digest, None).await.unwrap(), bytes);
    assert_eq!(world.store.list(None, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_lost_is_not_mounted_but_uploaded() {
    let folder = tempfile::tempdir().unwrap();
    let world = on_disk(folder.path()).await;
    let life = world.start().await;
    let (service, there, here) = (&life.service, repository("a"), repository("b"));
    let bytes = content(10, 5000);
    let digest = push(service, &there, &bytes).await.unwrap();
    std::fs::remove_file(file(folder.path(), 5000)).unwrap();
    assert!(service.read(&there, digest, None).await.is_err());
    for from in [Some(&there.name), None] {
        let mounted = service.mount(&here, from, digest).await.unwrap();
        let MountOutcome::Session(session) = mounted else {
            panic!("it is mounted from {from:?}");
        };
        service.cancel(&here, &session.upload).await.unwrap();
    }
    push(service, &here, &bytes).await.unwrap();
    let third = repository("c");
    let mounted = service.mount(&third, Some(&there.name), digest).await;
    assert_eq!(mounted.unwrap(), MountOutcome::Mounted);
    for name in [there, here, third] {
        assert_eq!(pull(service, &name, digest, None).await.unwrap(), bytes);
    }
}

#[tokio::test]
async fn a_push_that_does_not_ask_finds_the_loss_itself() {
    for len in [40, 5000] {
        let folder = tempfile::tempdir().unwrap();
        let mut world = on_disk(folder.path()).await;
        // The record was made when small blobs were objects, too.
        let inline = std::mem::replace(
            &mut world.config.uploads.inline_bytes,
            meridian_chassis::config::ByteSize::bytes(0),
        );
        let life = world.start().await;
        let (there, here) = (repository("a"), repository("b"));
        let bytes = content(2, len);
        let digest = push(&life.service, &there, &bytes).await.unwrap();
        life.stop().await;
        std::fs::remove_file(file(folder.path(), len)).unwrap();
        world.config.uploads.inline_bytes = inline;
        let life = world.start().await;
        push(&life.service, &here, &bytes).await.unwrap();
        for name in [here, there] {
            let read = pull(&life.service, &name, digest, None).await.unwrap();
            assert_eq!(read, bytes);
        }
        life.service.collect().await.unwrap();
        let objects = world.store.list(None, 10).await.unwrap().len();
        assert_eq!(
            objects,
            usize::from(len > 64),
            "what was placed in vain is gone"
        );
    }
}

#[tokio::test]
async fn a_file_that_is_brought_back_is_served_again() {
    let folder = tempfile::tempdir().unwrap();
    let world = on_disk(folder.path()).await;
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    let bytes = content(3, 5000);
    let digest = push(service, &here, &bytes).await.unwrap();
    let path = file(folder.path(), 5000);
    let aside = folder.path().join("aside");
    std::fs::rename(&path, &aside).unwrap();
    assert!(service.read(&here, digest, None).await.is_err());
    assert!(service.stat(&here, digest, true).await.is_err());
    std::fs::rename(&aside, &path).unwrap();
    assert!(service.stat(&here, digest, true).await.is_ok());
    assert_eq!(pull(service, &here, digest, None).await.unwrap(), bytes);
}

#[tokio::test]
async fn a_file_that_was_cut_is_never_a_short_body_and_is_healed() {
    let folder = tempfile::tempdir().unwrap();
    let world = on_disk(folder.path()).await;
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    let bytes = content(4, LARGE);
    let digest = push(service, &here, &bytes).await.unwrap();
    cut(&file(folder.path(), LARGE), LARGE as u64 - 1);
    for range in [None, Some("bytes=0-9"), Some("bytes=2999999-")] {
        let error = service.read(&here, digest, range).await.err().unwrap();
        assert!(
            matches!(error, ReadBlobError::Unreadable { .. }),
            "{range:?}"
        );
    }
    push_if_asked(&life, &bytes).await;
    assert_eq!(pull(service, &here, digest, None).await.unwrap(), bytes);
}

#[tokio::test]
async fn a_file_that_is_cut_while_it_is_read_breaks_the_body_off() {
    let folder = tempfile::tempdir().unwrap();
    let world = on_disk(folder.path()).await;
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    let digest = push(service, &here, &content(5, LARGE)).await.unwrap();
    let BlobRead::Whole { size, mut body } = service.read(&here, digest, None).await.unwrap()
    else {
        panic!("not all of it");
    };
    assert_eq!(size, LARGE as u64);
    assert!(body.next().await.unwrap().is_ok());
    cut(&file(folder.path(), LARGE), 2_000_000);
    let pieces: Vec<_> = body.collect().await;
    assert!(pieces.last().unwrap().is_err());
}

/// Nothing here reads what it serves against the digest: that is the client's to do, and the
/// scrub's. But changed bytes are never acknowledged as the content of an upload.
#[tokio::test]
async fn a_file_that_was_changed_is_not_acknowledged_as_an_upload() {
    let folder = tempfile::tempdir().unwrap();
    let world = on_disk(folder.path()).await;
    let here = repository("a");
    let bytes = content(6, 5000);
    let life = world.start().await;
    let session = open(&life.service, &here).await;
    let chunk = streamed(&bytes);
    let append = life.service.append(&here, &session.upload, chunk).await;
    append.unwrap();
    life.stop().await;
    let path = file(folder.path(), 5000);
    let mut changed = std::fs::read(&path).unwrap();
    changed[4321] ^= 1;
    std::fs::write(&path, changed).unwrap();
    let life = world.start().await;
    let finish = life
        .service
        .finish(&here, &session.upload, sha256(&bytes), Transfer::empty());
    assert!(matches!(finish.await, Err(UploadError::DigestDiffers)));
}

/// A session that is finished but for its record, whose object is then doomed.
async fn doomed_before_it_is_recorded(world: &World, life: &Life, bytes: &Bytes) -> Swept {
    let here = repository("a");
    let session = open(&life.service, &here).await;
    let lost = &world.metadata.lost_requests;
    lost.store(u64::MAX, std::sync::atomic::Ordering::SeqCst);
    let finish = life
        .service
        .finish(&here, &session.upload, sha256(bytes), sized(bytes))
        .await;
    assert!(matches!(finish, Err(UploadError::Metadata(_))));
    lost.store(0, std::sync::atomic::Ordering::SeqCst);
    let listed = world.store.list(None, 10).await.unwrap();
    let key = listed.last().unwrap().key.clone();
    let object = StorageKey {
        registry: crate::metadata::registry_id(),
        epoch: key.epoch,
        generation: key.generation,
    };
    let doom = Collect::Doom(vec![object]);
    let doomed = world.metadata.collect(doom, RequestId([7; 16])).await;
    assert_eq!(doomed.unwrap().blobs, 1);
    Swept {
        upload: session.upload,
        object,
    }
}

struct Swept {
    upload: meridian_oci::UploadId,
    object: StorageKey,
}

#[tokio::test(start_paused = true)]
async fn an_object_that_was_doomed_before_its_record_came_is_placed_anew() {
    let world = World::new();
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    let bytes = content(7, 5000);
    let swept = doomed_before_it_is_recorded(&world, &life, &bytes).await;
    let finish = service.finish(&here, &swept.upload, sha256(&bytes), Transfer::empty());
    finish.await.unwrap();
    assert_ne!(object(&world, sha256(&bytes)), swept.object);
    service.collect().await.unwrap();
    assert_eq!(
        pull(service, &here, sha256(&bytes), None).await.unwrap(),
        bytes
    );
    assert_eq!(world.store.list(None, 10).await.unwrap().len(), 1);
    let again = service.finish(&here, &swept.upload, sha256(&bytes), Transfer::empty());
    again.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_object_that_was_deleted_before_its_record_came_must_be_uploaded_again() {
    let world = World::new();
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    let bytes = content(8, 5000);
    let swept = doomed_before_it_is_recorded(&world, &life, &bytes).await;
    service.collect().await.unwrap();
    for _ in 0..2 {
        let finish = service.finish(&here, &swept.upload, sha256(&bytes), Transfer::empty());
        let error = finish.await.unwrap_err();
        assert!(matches!(error, UploadError::Unknown), "{error}");
        assert_eq!(error.code(), Code::NotFound);
    }
    assert!(service.stat(&here, sha256(&bytes), true).await.is_err());
    push(service, &here, &bytes).await.unwrap();
    assert_eq!(
        pull(service, &here, sha256(&bytes), None).await.unwrap(),
        bytes
    );
}

/// A process was paused between the last byte and the record, or the other one's clock is ahead.
#[tokio::test(start_paused = true)]
async fn a_record_that_comes_after_the_sweep_of_another_process_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let world = on_disk(folder.path()).await;
    world.clock.set(SystemClock.now_millis());
    let (slow, ahead) = (world.start().await, world.start().await);
    let here = repository("a");
    let bytes = content(9, 5000);
    let session = open(&slow.service, &here).await;
    let lost = &world.metadata.lost_requests;
    lost.store(u64::MAX, std::sync::atomic::Ordering::SeqCst);
    let finish = slow
        .service
        .finish(&here, &session.upload, sha256(&bytes), sized(&bytes))
        .await;
    assert!(finish.is_err());
    lost.store(0, std::sync::atomic::Ordering::SeqCst);
    let time = Clock::now_millis(&*world.clock);
    world.pass(Duration::from_secs(8 * 24 * 3600));
    let report = ahead.service.collect().await.unwrap();
    assert_eq!((report.orphans.count, report.orphans.bytes), (1, 5000));
    world.clock.set(time);
    let finish = slow
        .service
        .finish(&here, &session.upload, sha256(&bytes), Transfer::empty())
        .await;
    assert!(matches!(finish, Err(UploadError::Unknown)), "{finish:?}");
    assert!(
        slow.service
            .stat(&here, sha256(&bytes), true)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn what_is_of_a_registry_that_is_not_here_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let world = on_disk(folder.path()).await;
    world.clock.set(SystemClock.now_millis());
    let key = BlobKey {
        registry: "18bcfe5687b-0-us".parse().unwrap(),
        epoch: 1,
        generation: 1,
    };
    let writer = world.store.create(&key).await.unwrap();
    writer.commit().await.unwrap();
    let life = world.start().await;
    world.pass(Duration::from_secs(100 * 24 * 3600));
    let report = life.service.collect().await.unwrap();
    assert!(report.swept && !report.did_something(), "{report}");
    assert_eq!(world.store.stat(&key).await.unwrap(), Some(0));
}
