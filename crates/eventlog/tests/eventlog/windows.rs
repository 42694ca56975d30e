//! Reading from anywhere in a large segment that many shards share.

use meridian_eventlog::{DiskConfig, EventLog, ReadLimits, Record, ShardBatch};

use super::folder::{NO_WAIT, SHARDS, append, open, topic};

const GROUPS: u64 = 100;
const EACH: u64 = 40;

/// Shard 0 gets a record in every tenth group only, shard 1 large ones, the others many small ones.
fn group(n: u64) -> Vec<ShardBatch> {
    let records = |shard: u16| -> Vec<Record> {
        let record = |k: u64, size| Record::new(format!("{shard}.{k}"), vec![7; size]);
        match shard {
            0 if n % 10 == 9 => vec![record(n / 10, 10)],
            0 => Vec::new(),
            1 => vec![record(n, 30_000)],
            _ => (n * EACH..(n + 1) * EACH).map(|k| record(k, 50)).collect(),
        }
    };
    let batch = |shard| ShardBatch {
        shard,
        records: records(shard),
    };
    let batches = (0..SHARDS).map(batch);
    batches.filter(|batch| !batch.records.is_empty()).collect()
}

#[tokio::test]
async fn a_read_from_any_offset_finds_what_was_appended_there() {
    let root = tempfile::tempdir().unwrap();
    let log = open(root.path(), DiskConfig::default()).await;
    log.create_topic(&topic(), SHARDS).await.unwrap();
    for n in 0..GROUPS {
        append(&log, group(n)).await;
    }
    drop(log);
    let log = open(root.path(), DiskConfig::default()).await;
    for (shard, count) in [
        (0, GROUPS / 10),
        (1, GROUPS),
        (2, GROUPS * EACH),
        (3, GROUPS * EACH),
    ] {
        let bounds = log.bounds(&topic(), shard).await.unwrap();
        assert_eq!((bounds.low, bounds.high), (0, count));
        let few = ReadLimits {
            records: 3,
            ..NO_WAIT
        };
        let step = usize::try_from(1 + count / 50).unwrap();
        for from in (0..count).step_by(step) {
            for (limits, most) in [(few, 3), (NO_WAIT, u64::MAX)] {
                let read = log.read(&topic(), shard, from, limits).await.unwrap();
                assert_eq!(read.len() as u64, most.min(count - from));
                let found = read
                    .iter()
                    .map(|stored| (stored.offset, stored.record.key.clone()));
                let expected = (from..).map(|k| (k, format!("{shard}.{k}").into()));
                assert!(
                    found.eq(expected.take(read.len())),
                    "shard {shard} from {from}"
                );
            }
        }
    }
}
