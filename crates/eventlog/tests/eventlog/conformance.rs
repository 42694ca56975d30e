//! The conformance suite, once per body.

use std::sync::Arc;

use async_trait::async_trait;
use bytesize::ByteSize;
use meridian_clock::SystemClock;
use meridian_eventlog::conformance::{self, Fixture};
use meridian_eventlog::{DiskConfig, DiskEventLog, EventLog, MemoryEventLog, ReopeningEventLog};
use tempfile::TempDir;

struct Memory {
    first_offset: u64,
}

struct Disk {
    folder: TempDir,
    config: DiskConfig,
}

#[async_trait]
impl Fixture for Memory {
    async fn open(&self) -> Arc<dyn EventLog> {
        Arc::new(MemoryEventLog::new(4 << 20, self.first_offset))
    }

    fn is_durable(&self) -> bool {
        false
    }

    fn retained_bytes(&self) -> Option<usize> {
        Some(5 << 20)
    }
}

#[async_trait]
impl Fixture for Disk {
    async fn open(&self) -> Arc<dyn EventLog> {
        let clock = Arc::new(SystemClock);
        let log = DiskEventLog::open(self.folder.path(), self.config.clone(), clock).await;
        Arc::new(log.unwrap())
    }

    fn is_durable(&self) -> bool {
        true
    }

    fn retained_bytes(&self) -> Option<usize> {
        let bytes = self.config.retention_size + self.config.segment_size;
        let bytes = usize::try_from(bytes.as_u64() + (64 << 10)).unwrap();
        (bytes < 16 << 20).then_some(bytes)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory() {
    conformance::run(&Memory { first_offset: 0 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_with_offsets_near_the_end_of_signed_numbers() {
    for first_offset in [(1 << 31) - 5, (1 << 63) - 5] {
        conformance::run(&Memory { first_offset }).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disk() {
    let folder = tempfile::tempdir().unwrap();
    let config = DiskConfig::default();
    conformance::run(&Disk { folder, config }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disk_with_small_segments() {
    let folder = tempfile::tempdir().unwrap();
    let config = DiskConfig {
        segment_size: ByteSize::kib(64),
        retention_size: ByteSize::mib(8),
        ..DiskConfig::default()
    };
    conformance::run(&Disk { folder, config }).await;
}

struct Reopening(Disk);

#[async_trait]
impl Fixture for Reopening {
    async fn open(&self) -> Arc<dyn EventLog> {
        let Disk { folder, config } = &self.0;
        let clock = Arc::new(SystemClock);
        let log = ReopeningEventLog::open(folder.path(), config.clone(), clock).await;
        Arc::new(log.unwrap())
    }

    fn is_durable(&self) -> bool {
        true
    }

    fn retained_bytes(&self) -> Option<usize> {
        self.0.retained_bytes()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disk_that_is_opened_again_when_it_has_to() {
    let disk = Disk {
        folder: tempfile::tempdir().unwrap(),
        config: DiskConfig::default(),
    };
    conformance::run(&Reopening(disk)).await;
}
