//! The disk body when syncs fail, acknowledgements get lost, the disk is full, or the process dies
//! at a crash point.
//!
//! Failpoints are set for a whole process, so these tests run one after the other: a scenario holds
//! a lock.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod crash;
mod faults;
mod reopening;
mod syncs;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytesize::ByteSize;
use meridian_clock::SystemClock;
use meridian_eventlog::{
    AppendError, Appended, DiskConfig, DiskEventLog, EventLog, ReadLimits, Record, Topic,
};

fn topic() -> Topic {
    Topic::events("eu".parse().unwrap())
}

/// A log with the topic, of 16 shards, in segments of 4 KiB.
async fn open(root: &Path) -> DiskEventLog {
    let config = DiskConfig {
        segment_size: ByteSize::kib(4),
        ..DiskConfig::default()
    };
    let log = DiskEventLog::open(root, config, Arc::new(SystemClock))
        .await
        .unwrap();
    log.create_topic(&topic(), 16).await.unwrap();
    log
}

async fn append(log: &DiskEventLog, n: u64) -> Result<Appended, AppendError> {
    let record = Record::new(n.to_string(), vec![7; 900]);
    log.append(&topic(), 0, vec![record]).await
}

/// The numbers of the records, in order.
async fn numbers(log: &DiskEventLog) -> Vec<u64> {
    let mut numbers: Vec<u64> = Vec::new();
    let limits = ReadLimits {
        records: usize::MAX,
        bytes: usize::MAX,
        wait: Duration::ZERO,
    };
    loop {
        let read = log
            .read(&topic(), 0, numbers.len() as u64, limits)
            .await
            .unwrap();
        if read.is_empty() {
            return numbers;
        }
        let number = |key: &[u8]| std::str::from_utf8(key).unwrap().parse::<u64>().unwrap();
        numbers.extend(read.iter().map(|stored| number(&stored.record.key)));
    }
}
