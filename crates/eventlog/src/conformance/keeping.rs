//! What is kept, and for how long.

use super::{Fixture, NO_WAIT, append, noise, read_all, record, start, stored, topic};
use crate::{ReadError, Record, ShardBatch};

pub(super) async fn what_was_acknowledged_outlives_the_log(fixture: &impl Fixture) {
    let log = fixture.open().await;
    let topic = topic(&*log, "durable", 4).await;
    let start = start(&*log, &topic, 0).await;
    drop(log);
    for n in 0..5 {
        let log = fixture.open().await;
        for shard in 0..4 {
            let bounds = log
                .bounds(&topic, shard)
                .await
                .expect("the topic is still there");
            assert_eq!((bounds.low, bounds.high), (start, start + 2 * n));
        }
        let batch = |shard: u16| ShardBatch {
            shard,
            records: [0, 1]
                .map(|k| record(10 * (2 * n + k) + u64::from(shard)))
                .into(),
        };
        let outcomes = log.append_many(&topic, (0..4).map(batch).collect()).await;
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        drop(log);
    }
    let log = fixture.open().await;
    for shard in 0..4 {
        let records = (0..10).map(|n| record(10 * n + u64::from(shard)));
        let expected = stored(records, start);
        assert_eq!(
            log.last(&topic, shard).await.expect("readable"),
            expected.last().cloned()
        );
        assert_eq!(read_all(&*log, &topic, shard, start).await, expected);
    }
}

pub(super) async fn retention_moves_the_low_watermark_only(fixture: &impl Fixture, bytes: usize) {
    let log = fixture.open().await;
    let topic = topic(&*log, "retention", 2).await;
    let start = start(&*log, &topic, 0).await;
    let payload = noise(16 << 10);
    let count = bytes.div_ceil(payload.len()) as u64;
    for n in 0..count {
        append(
            &*log,
            &topic,
            0,
            vec![Record::new(format!("{n}"), payload.clone())],
        )
        .await;
    }
    let bounds = log.bounds(&topic, 0).await.expect("the shard exists");
    assert!(
        bounds.low > start,
        "nothing is gone after {bytes} bytes: {bounds:?}"
    );
    assert_eq!(bounds.high, start + count);
    for from in [start, bounds.low - 1] {
        let gone = log.read(&topic, 0, from, NO_WAIT).await;
        let Err(ReadError::OutOfRange { low, high }) = gone else {
            panic!("a read at {from} gave {gone:?}");
        };
        assert_eq!((low, high), (bounds.low, bounds.high));
    }
    let left = read_all(&*log, &topic, 0, bounds.low).await;
    let numbers = (bounds.low - start)..count;
    let expected = numbers.map(|n| Record::new(format!("{n}"), payload.clone()));
    assert_eq!(left, stored(expected, bounds.low));
    assert_eq!(
        log.last(&topic, 0).await.expect("readable"),
        left.last().cloned()
    );
}
