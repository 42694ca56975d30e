//! Retention by age, by the clock, and beside readers.

use std::sync::Arc;
use std::time::Duration;

use bytesize::ByteSize;
use meridian_clock::ManualClock;
use meridian_eventlog::{
    Bounds, DiskConfig, DiskEventLog, EventLog, ReadError, ReadLimits, Record, ShardBatch,
};
use tokio::task::JoinSet;

use super::folder::{NO_WAIT, SHARDS, append, open, open_at, segment_size, sizes, topic};

fn kibibyte(shard: u16, n: u64) -> Vec<ShardBatch> {
    let records = vec![Record::new(n.to_string(), vec![7; 1 << 10])];
    vec![ShardBatch { shard, records }]
}

fn an_hour() -> DiskConfig {
    DiskConfig {
        retention_age: Duration::from_secs(3600),
        ..segment_size(4)
    }
}

async fn bounds(log: &DiskEventLog, shard: u16) -> Bounds {
    log.bounds(&topic(), shard).await.unwrap()
}

#[tokio::test]
async fn what_is_old_goes_and_the_newest_segment_stays() {
    let root = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(1_000_000));
    let log = open_at(root.path(), an_hour(), &clock).await;
    append(&log, kibibyte(1, 0)).await;
    for n in 0..10 {
        append(&log, kibibyte(0, n)).await;
    }
    clock.advance(3_600_000);
    for n in 10..20 {
        append(&log, kibibyte(0, n)).await;
    }
    assert_eq!(bounds(&log, 0).await.low, 0, "not older than an hour");
    clock.advance(1);
    for n in 20..30 {
        append(&log, kibibyte(0, n)).await;
    }
    let Bounds { low, high } = bounds(&log, 0).await;
    assert!((8..10).contains(&low), "{low}");
    assert_eq!(high, 30);
    // A shard whose only record went still goes on where it was, also after a restart.
    assert_eq!(bounds(&log, 1).await, Bounds { low: 1, high: 1 });
    assert_eq!(log.last(&topic(), 1).await.unwrap(), None);
    drop(log);
    let log = open(root.path(), an_hour()).await;
    assert_eq!(bounds(&log, 0).await, Bounds { low, high });
    assert_eq!(bounds(&log, 1).await, Bounds { low: 1, high: 1 });
}

#[tokio::test]
async fn opening_does_not_make_records_younger() {
    let root = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(1_000_000));
    for _ in 0..3 {
        let log = open_at(root.path(), an_hour(), &clock).await;
        if bounds(&log, 0).await.high == 0 {
            append(&log, kibibyte(0, 0)).await;
        }
        clock.advance(3_000_000);
    }
    let log = open_at(root.path(), an_hour(), &clock).await;
    let records = vec![Record::new("", vec![7; 4 << 10])];
    append(&log, vec![ShardBatch { shard: 1, records }]).await;
    assert_eq!(bounds(&log, 0).await, Bounds { low: 1, high: 1 });
}

#[tokio::test]
async fn what_is_old_goes_while_nothing_is_appended() {
    let root = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(1_000_000));
    let config = DiskConfig {
        retention_age: Duration::from_secs(1),
        ..segment_size(4)
    };
    let log = open_at(root.path(), config, &clock).await;
    for n in 0..10 {
        append(&log, kibibyte(0, n)).await;
    }
    assert!(sizes(root.path()).len() > 2);
    clock.advance(10_000);
    let deleted = async {
        // The files go a moment after their records.
        while bounds(&log, 0).await.low == 0 || sizes(root.path()).len() > 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(30), deleted).await;
    assert!(in_time.is_ok(), "old segments are still there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_at_the_low_watermark_gets_records_or_is_told() {
    let root = tempfile::tempdir().unwrap();
    let config = DiskConfig {
        retention_size: ByteSize::kib(16),
        ..segment_size(4)
    };
    let log = open(root.path(), config).await;
    log.create_topic(&topic(), 1).await.unwrap();
    append(&log, kibibyte(0, 0)).await;
    let log = Arc::new(log);
    let appender = Arc::clone(&log);
    let mut appending = JoinSet::new();
    appending.spawn(async move {
        for n in 1..400 {
            append(&appender, kibibyte(0, n)).await;
        }
    });
    let mut read = 0;
    while appending.try_join_next().is_none() {
        let before = bounds(&log, 0).await.low;
        match log.read(&topic(), 0, before, NO_WAIT).await {
            Ok(records) => {
                let offsets = records.iter().map(|stored| stored.offset.to_string());
                let keys = records.iter().map(|stored| stored.record.key.clone());
                assert!(keys.eq(offsets));
                assert_eq!(records[0].offset, before);
                read += records.len();
            }
            Err(ReadError::OutOfRange { low, .. }) => assert!(low > before),
            Err(error) => panic!("{error:?}"),
        }
    }
    assert!(read > 0);
    assert!(bounds(&log, 0).await.low > 350);
}

#[tokio::test]
async fn a_trim_takes_whole_segments_before_an_offset_only() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(1_000_000));
    let log = open_at(folder.path(), segment_size(4), &clock).await;
    let shards = usize::from(SHARDS);
    for n in 0..30 {
        append(&log, kibibyte(0, n)).await;
    }
    let before = |offset| {
        let mut before = vec![0; shards];
        before[0] = offset;
        before
    };
    log.trim(&topic(), before(0)).await.unwrap();
    assert_eq!(bounds(&log, 0).await, Bounds { low: 0, high: 30 });
    log.trim(&topic(), before(14)).await.unwrap();
    let low = bounds(&log, 0).await.low;
    assert!((10..=14).contains(&low), "{low}");
    log.trim(&topic(), before(30)).await.unwrap();
    let low = bounds(&log, 0).await.low;
    assert!((25..30).contains(&low), "the newest segment stays: {low}");
    // Offsets for another number of shards delete nothing.
    log.trim(&topic(), vec![u64::MAX]).await.unwrap();
    assert_eq!(bounds(&log, 0).await.low, low);
}

#[tokio::test]
async fn a_read_whose_room_ends_with_a_segment_brings_what_fitted() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(1_000_000));
    let log = open_at(folder.path(), segment_size(4), &clock).await;
    for n in 0..9 {
        append(&log, kibibyte(0, n)).await;
    }
    for kib in 1..10 {
        let limits = ReadLimits {
            bytes: kib << 10,
            ..NO_WAIT
        };
        let records = log.read(&topic(), 0, 0, limits).await.unwrap();
        let offsets: Vec<u64> = records.iter().map(|stored| stored.offset).collect();
        assert_eq!(offsets, (0..offsets.len() as u64).collect::<Vec<_>>());
        assert!(!offsets.is_empty());
    }
}
