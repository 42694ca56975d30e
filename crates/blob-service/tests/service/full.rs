//! A store that runs out of room: uploads stop before it is full, all else goes on.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use meridian_blobstore::{
    BlobKey, BlobReader, BlobStore, BlobWriter, CreateError, Listed, MemoryBlobStore, ReadError,
    ResumeError, Space, StorageError, WriterState,
};
use meridian_chassis::config::ByteSize;
use meridian_clients::{BlobApi, UploadError};
use meridian_oci::Algorithm;

use crate::harness::{World, content, open, pull, push, repository, sha256, streamed};
use crate::turns::Turns;

const MIB: u64 = 1 << 20;

/// A store that tells of as much room as a test says.
#[derive(Clone)]
struct Sized {
    store: MemoryBlobStore,
    free: Arc<AtomicU64>,
}

#[async_trait]
impl BlobStore for Sized {
    async fn create(&self, key: &BlobKey) -> Result<Box<dyn BlobWriter>, CreateError> {
        self.store.create(key).await
    }

    async fn resume(
        &self,
        key: &BlobKey,
        state: Option<&WriterState>,
    ) -> Result<Option<Box<dyn BlobWriter>>, ResumeError> {
        self.store.resume(key, state).await
    }

    async fn open(
        &self,
        key: &BlobKey,
        range: Option<Range<u64>>,
    ) -> Result<BlobReader, ReadError> {
        self.store.open(key, range).await
    }

    async fn stat(&self, key: &BlobKey) -> Result<Option<u64>, StorageError> {
        self.store.stat(key).await
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), StorageError> {
        self.store.delete(key).await
    }

    async fn list(
        &self,
        after: Option<&BlobKey>,
        limit: usize,
    ) -> Result<Vec<Listed>, StorageError> {
        self.store.list(after, limit).await
    }

    async fn space(&self) -> Result<Option<Space>, StorageError> {
        Ok(Some(Space {
            free: self.free.load(Ordering::SeqCst),
            total: 1_000 * MIB,
        }))
    }
}

impl Sized {
    /// Sets what is free, and lets the last look at it grow old.
    async fn set(&self, free: u64) {
        self.free.store(free, Ordering::SeqCst);
        tokio::time::advance(Duration::from_secs(1)).await;
    }
}

fn world() -> (Sized, World) {
    let store = Sized {
        store: MemoryBlobStore::new(),
        free: Arc::new(AtomicU64::new(500 * MIB)),
    };
    let mut world = World::with(Arc::new(store.clone()), Turns::default(), None);
    world.config.uploads.min_free = ByteSize::mib(10);
    (store, world)
}

#[tokio::test(start_paused = true)]
async fn uploads_are_refused_below_the_reserve_and_taken_again_above_it() {
    let (store, world) = world();
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    let (kept, more) = (content(1, 5_000), content(2, 5_000));
    push(service, &here, &kept).await.unwrap();

    store.set(9 * MIB).await;
    let refused = service.start(&here, Algorithm::Sha256).await;
    assert!(matches!(refused, Err(UploadError::StoreFull)));
    let refused = service.upload(&here, sha256(&more), streamed(&more)).await;
    assert!(matches!(refused, Err(UploadError::StoreFull)));
    assert_eq!(world.store.list(None, 10).await.unwrap().len(), 1);
    let pulled = pull(service, &here, sha256(&kept), None).await;
    assert_eq!(pulled.unwrap(), kept);
    service.delete(&here, sha256(&kept)).await.unwrap();

    store.set(20 * MIB).await;
    push(service, &here, &more).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_upload_under_way_fails_at_the_reserve_and_gives_its_bytes_back() {
    let (store, world) = world();
    let life = world.start().await;
    let (service, here) = (&life.service, repository("a"));
    let (first, second) = (content(3, 5_000), content(4, 5_000));
    let session = open(service, &here).await;
    let append = service.append(&here, &session.upload, streamed(&first));
    append.await.unwrap();
    assert_eq!(world.store.list(None, 10).await.unwrap().len(), 1);

    store.set(9 * MIB).await;
    let append = service.append(&here, &session.upload, streamed(&second));
    assert!(matches!(append.await, Err(UploadError::StoreFull)));
    assert!(world.store.list(None, 10).await.unwrap().is_empty());
    assert_eq!(service.open_sessions(), 0);
}
