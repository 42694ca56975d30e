//! Creating topics and telling them apart.

use super::{NO_WAIT, append, read_all, record, start, stored, topic};
use crate::{AppendError, CreateTopicError, EventLog, ReadError, Topic};

pub(super) async fn a_topic_is_created_once(log: &dyn EventLog) {
    let topic = topic(log, "created-once", 3).await;
    let start = start(log, &topic, 2).await;
    append(log, &topic, 2, vec![record(0)]).await;
    let again = log.create_topic(&topic, 3).await;
    assert!(again.is_ok(), "creating it again is the same: {again:?}");
    assert_eq!(read_all(log, &topic, 2, start).await.len(), 1);
    let other = log.create_topic(&topic, 4).await;
    assert!(
        matches!(
            other,
            Err(CreateTopicError::ShardsDiffer {
                existing: 3,
                asked: 4,
                ..
            })
        ),
        "{other:?}"
    );
    for shards in [0, u16::MAX] {
        let none = log.create_topic(&topic, shards).await;
        assert!(matches!(none, Err(CreateTopicError::Shards(_))), "{none:?}");
    }
}

pub(super) async fn unknown_topics_and_shards_are_named(log: &dyn EventLog) {
    let known = topic(log, "known", 2).await;
    let unknown: Topic = "conformance.unknown".parse().expect("a legal name");

    let bounds = log.bounds(&unknown, 0).await;
    assert!(
        matches!(bounds, Err(ReadError::UnknownTopic(_))),
        "{bounds:?}"
    );
    let read = log.read(&unknown, 0, 0, NO_WAIT).await;
    assert!(matches!(read, Err(ReadError::UnknownTopic(_))), "{read:?}");
    let last = log.last(&unknown, 0).await;
    assert!(matches!(last, Err(ReadError::UnknownTopic(_))), "{last:?}");
    let appended = log.append(&unknown, 0, vec![record(0)]).await;
    assert!(
        matches!(appended, Err(AppendError::UnknownTopic(_))),
        "{appended:?}"
    );

    let bounds = log.bounds(&known, 2).await;
    assert!(
        matches!(bounds, Err(ReadError::UnknownShard { shard: 2, .. })),
        "{bounds:?}"
    );
    let read = log.read(&known, 2, 0, NO_WAIT).await;
    assert!(
        matches!(read, Err(ReadError::UnknownShard { shard: 2, .. })),
        "{read:?}"
    );
    let appended = log.append(&known, 2, vec![record(0)]).await;
    assert!(
        matches!(appended, Err(AppendError::UnknownShard { shard: 2, .. })),
        "{appended:?}"
    );
}

pub(super) async fn topics_and_shards_are_apart(log: &dyn EventLog) {
    let one = topic(log, "apart-1", 2).await;
    let two = topic(log, "apart-2", 2).await;
    let start = start(log, &one, 0).await;
    let mut n = 0;
    for _ in 0..3 {
        for (topic, shard) in [(&one, 0), (&two, 0), (&one, 1)] {
            append(log, topic, shard, vec![record(n)]).await;
            n += 1;
        }
    }
    for (topic, shard, numbers) in [
        (&one, 0, [0, 3, 6]),
        (&two, 0, [1, 4, 7]),
        (&one, 1, [2, 5, 8]),
    ] {
        assert_eq!(
            read_all(log, topic, shard, start).await,
            stored(numbers.map(record), start)
        );
    }
    assert_eq!(read_all(log, &two, 1, start).await, []);
}
