//! What becomes of an append.

use super::{append, noise, read_all, record, start, stored, topic};
use crate::{AppendError, Appended, EventLog, MAX_APPEND_BYTES, Record, ShardBatch};

pub(super) async fn order_is_kept_and_offsets_are_dense(log: &dyn EventLog) {
    let topic = topic(log, "order", 4).await;
    let start = start(log, &topic, 3).await;
    let records: Vec<Record> = (0..400).map(record).collect();
    let mut next = start;
    for batch in records.chunks(7) {
        let appended = append(log, &topic, 3, batch.to_vec()).await;
        let last = next + batch.len() as u64 - 1;
        assert_eq!(appended, Appended { first: next, last });
        next = last + 1;
    }
    assert_eq!(
        read_all(log, &topic, 3, start).await,
        stored(records, start)
    );
    let bounds = log.bounds(&topic, 3).await.expect("the shard exists");
    assert_eq!((bounds.low, bounds.high), (start, next));
    let last = log.last(&topic, 3).await.expect("the shard exists");
    assert_eq!(last, stored([record(399)], next - 1).pop());
}

pub(super) async fn every_batch_has_its_own_outcome(log: &dyn EventLog) {
    let topic = topic(log, "outcomes", 3).await;
    let start = start(log, &topic, 0).await;
    let batch = |shard, records: &[u64]| ShardBatch {
        shard,
        records: records.iter().copied().map(record).collect(),
    };
    let batches = vec![
        batch(2, &[0, 1]),
        batch(9, &[2]),
        batch(0, &[3]),
        batch(1, &[]),
        batch(2, &[4]),
    ];
    let outcomes = log.append_many(&topic, batches).await;
    assert!(
        matches!(
            outcomes[..],
            [
                Ok(_),
                Err(AppendError::UnknownShard { shard: 9, .. }),
                Ok(_),
                Err(AppendError::Empty),
                Err(AppendError::RepeatedShard(2)),
            ]
        ),
        "{outcomes:?}"
    );
    for (shard, numbers) in [(0, vec![3]), (1, vec![]), (2, vec![0, 1])] {
        assert_eq!(
            read_all(log, &topic, shard, start).await,
            stored(numbers.into_iter().map(record), start)
        );
    }
    assert!(log.append_many(&topic, Vec::new()).await.is_empty());
}

pub(super) async fn every_byte_is_kept(log: &dyn EventLog) {
    let topic = topic(log, "bytes", 1).await;
    let start = start(log, &topic, 0).await;
    let all: Vec<u8> = (0..=255).collect();
    let records = vec![
        Record::default(),
        Record::new("", noise(1 << 20)),
        Record::new(all.clone(), all.clone()),
        Record::new("key", "")
            .with_header("name", "value")
            .with_header("name", "another value")
            .with_header("name", "")
            .with_header("n\u{e4}me", all),
        Record::new(noise(60 << 10), noise(1 << 20)),
        Record::new("the", "end"),
    ];
    append(log, &topic, 0, records.clone()).await;
    assert_eq!(
        read_all(log, &topic, 0, start).await,
        stored(records, start)
    );
}

pub(super) async fn what_cannot_be_kept_is_refused_whole(log: &dyn EventLog) {
    let topic = topic(log, "too-large", 2).await;
    let start = start(log, &topic, 0).await;
    let large = Record::new("", noise(Record::MAX_BYTES));
    let appended = log.append(&topic, 0, vec![record(0), large]).await;
    assert!(
        matches!(appended, Err(AppendError::RecordTooLarge { .. })),
        "{appended:?}"
    );
    let named = record(1).with_header("na\0me", "value");
    let appended = log.append(&topic, 0, vec![record(0), named]).await;
    assert!(
        matches!(appended, Err(AppendError::HeaderName)),
        "{appended:?}"
    );
    let mebibyte = Record::new("", noise(1 << 20));
    let batch = |shard| ShardBatch {
        shard,
        records: vec![mebibyte.clone(); (MAX_APPEND_BYTES >> 20) / 2],
    };
    let outcomes = log.append_many(&topic, vec![batch(0), batch(1)]).await;
    let too_large = |outcome: &_| matches!(outcome, Err(AppendError::BatchTooLarge { .. }));
    assert!(outcomes.iter().all(too_large), "{outcomes:?}");
    for shard in 0..2 {
        assert_eq!(read_all(log, &topic, shard, start).await, []);
    }
}
