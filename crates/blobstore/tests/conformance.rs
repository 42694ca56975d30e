//! The conformance suite, once for each body and each decorator.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::sync::atomic::{AtomicU32, Ordering};

use meridian_blobstore::{
    DiskBlobStore, DiskConfig, Faulty, MemoryBlobStore, Metered, conformance,
};
use tempfile::TempDir;

/// New folders below one that goes away.
struct Folders {
    root: TempDir,
    next: AtomicU32,
}

impl Folders {
    fn new() -> Self {
        Self {
            root: TempDir::new().unwrap(),
            next: AtomicU32::new(0),
        }
    }

    async fn store(&self) -> DiskBlobStore {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let config = DiskConfig::new(self.root.path().join(number.to_string()));
        DiskBlobStore::open(config).await.unwrap()
    }
}

#[tokio::test]
async fn memory() {
    conformance::run(async || MemoryBlobStore::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disk() {
    let folders = Folders::new();
    conformance::run(async || folders.store().await).await;
}

#[tokio::test]
async fn disk_with_the_least_memory() {
    let folders = Folders::new();
    conformance::run(async || {
        let number = folders.next.fetch_add(1, Ordering::Relaxed);
        let mut config = DiskConfig::new(folders.root.path().join(number.to_string()));
        config.buffers = bytesize::ByteSize(0);
        DiskBlobStore::open(config).await.unwrap()
    })
    .await;
}

#[tokio::test]
async fn faulty_without_faults() {
    conformance::run(async || Faulty::new(MemoryBlobStore::new())).await;
}

#[tokio::test]
async fn metered() {
    conformance::run(async || Metered::new(MemoryBlobStore::new())).await;
}
