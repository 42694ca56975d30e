//! Many at once.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::{PATIENCE, WAIT, append, read_all, record, start, stored, topic};
use crate::{EventLog, Record, StoredRecord};

const APPENDS: u64 = 40;

pub(super) async fn appenders_to_different_shards_do_not_mix(log: &Arc<dyn EventLog>) {
    const SHARDS: u16 = 16;
    let topic = topic(&**log, "many-shards", SHARDS).await;
    let start = start(&**log, &topic, 0).await;
    let number = |shard: u16, n: u64| u64::from(shard) * 1_000_000 + n;
    let mut appenders = JoinSet::new();
    for shard in 0..SHARDS {
        let (log, topic) = (Arc::clone(log), topic.clone());
        appenders.spawn(async move {
            for n in 0..APPENDS {
                let records = vec![
                    record(number(shard, 2 * n)),
                    record(number(shard, 2 * n + 1)),
                ];
                let appended = append(&*log, &topic, shard, records).await;
                assert_eq!(appended.first, start + 2 * n);
            }
        });
    }
    appenders.join_all().await;
    for shard in 0..SHARDS {
        let records = (0..2 * APPENDS).map(|n| record(number(shard, n)));
        assert_eq!(
            read_all(&**log, &topic, shard, start).await,
            stored(records, start)
        );
    }
}

pub(super) async fn appenders_to_one_shard_keep_their_own_order(log: &Arc<dyn EventLog>) {
    const APPENDERS: u64 = 8;
    let topic = topic(&**log, "one-shard", 1).await;
    let start = start(&**log, &topic, 0).await;
    let mut appenders = JoinSet::new();
    for appender in 0..APPENDERS {
        let (log, topic) = (Arc::clone(log), topic.clone());
        appenders.spawn(async move {
            for n in 0..APPENDS {
                let record = Record::new(format!("{appender}"), format!("{n}"));
                let appended = append(&*log, &topic, 0, vec![record]).await;
                assert_eq!(appended.first, appended.last);
            }
        });
    }
    appenders.join_all().await;
    let all = read_all(&**log, &topic, 0, start).await;
    assert!(
        all.iter()
            .zip(start..)
            .all(|(record, offset)| record.offset == offset)
    );
    for appender in 0..APPENDERS {
        let own = |stored: &&StoredRecord| stored.record.key == format!("{appender}");
        let order = all
            .iter()
            .filter(own)
            .map(|stored| stored.record.payload.clone());
        let expected = (0..APPENDS).map(|n| n.to_string());
        assert!(order.eq(expected), "appender {appender}");
    }
}

pub(super) async fn a_reader_follows_an_appender(log: &Arc<dyn EventLog>) {
    let topic = topic(&**log, "following", 2).await;
    let start = start(&**log, &topic, 0).await;
    let mut tasks = JoinSet::new();
    let (appender, appended) = (Arc::clone(log), topic.clone());
    tasks.spawn(async move {
        for n in 0..10 * APPENDS {
            append(&*appender, &appended, 0, vec![record(n)]).await;
        }
    });
    let reader = Arc::clone(log);
    tasks.spawn(async move {
        let mut read = Vec::new();
        while (read.len() as u64) < 10 * APPENDS {
            let from = start + read.len() as u64;
            let more = reader.read(&topic, 0, from, WAIT).await.expect("in range");
            assert!(!more.is_empty(), "no record for {PATIENCE:?}");
            read.extend(more);
        }
        assert_eq!(read, stored((0..10 * APPENDS).map(record), start));
    });
    tasks.join_all().await;
}
