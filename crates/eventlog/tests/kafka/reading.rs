//! Reading from brokers that fail, or that keep less than a reader wants.

use std::time::Duration;

use meridian_eventlog::{
    EventLog, KafkaConfig, Outage, ReadError, ReadLimits, Record, ShardBatch, Topic,
};

use super::mock::{ALL, Brokers, RETAINED_BYTES};
use super::publisher::{batch, read};

fn topic() -> Topic {
    "reading".parse().unwrap()
}

fn limits(records: usize, wait: Duration) -> ReadLimits {
    ReadLimits {
        records,
        bytes: usize::MAX,
        wait,
    }
}

/// Appends more than a shard keeps. Returns how many records.
async fn overflow(log: &dyn EventLog, topic: &Topic) -> u64 {
    let mut seed = 1_u64;
    let mut noise = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        seed.to_be_bytes()[0]
    };
    let record = Record::new("large", (0..60_000).map(|_| noise()).collect::<Vec<u8>>());
    let count = RETAINED_BYTES / 60_000 + 20;
    for _ in 0..count {
        let batch = ShardBatch {
            shard: 0,
            records: vec![record.clone()],
        };
        let outcomes = log.append_many(topic, vec![batch]).await;
        assert!(outcomes[0].is_ok(), "{outcomes:?}");
    }
    count as u64
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_retention_passes_is_told_the_bounds() {
    let brokers = Brokers::start();
    let log = brokers.open(brokers.config()).await;
    let topic = topic();
    log.create_topic(&topic, 1).await.unwrap();
    // One reader stands at the end of three records, and waits there again after they are gone.
    assert!(log.append_many(&topic, vec![batch(0, 0..3)]).await[0].is_ok());
    let first = log.read(&topic, 0, 0, limits(1, Duration::ZERO)).await;
    assert_eq!(first.unwrap().len(), 1);
    let high = 3 + overflow(&log, &topic).await;
    let bounds = log.bounds(&topic, 0).await.unwrap();
    assert!(bounds.low > 3 && bounds.high == high, "{bounds:?}");
    for from in [0, 2, bounds.low - 1, high + 1] {
        for wait in [Duration::ZERO, Duration::from_secs(60)] {
            let gone = log.read(&topic, 0, from, limits(1, wait)).await;
            let Err(ReadError::OutOfRange { low, high }) = gone else {
                panic!("a read at {from} gave {gone:?}");
            };
            assert_eq!((low, high), (bounds.low, bounds.high));
        }
    }
    let last = log.last(&topic, 0).await.unwrap();
    assert_eq!(last.map(|last| last.offset), Some(high - 1));
    let newest = log.read(&topic, 0, bounds.low, limits(1, Duration::ZERO));
    assert_eq!(newest.await.unwrap()[0].offset, bounds.low);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_brokers_that_are_away_is_told_so() {
    let brokers = Brokers::start();
    let config = KafkaConfig {
        request_timeout: Duration::from_secs(1),
        ..brokers.config()
    };
    let log = brokers.open(config).await;
    let topic = topic();
    log.create_topic(&topic, 1).await.unwrap();
    assert!(log.append_many(&topic, vec![batch(0, 0..3)]).await[0].is_ok());
    brokers.set_down(ALL, true);
    for from in [0, 3] {
        let read = log.read(&topic, 0, from, limits(9, Duration::from_millis(300)));
        let read = read.await;
        assert!(
            matches!(read, Err(ReadError::Outage(Outage::Unavailable(_)))),
            "{read:?}"
        );
    }
    brokers.set_down(ALL, false);
    let back = log.read(&topic, 0, 0, limits(9, Duration::from_secs(30)));
    assert_eq!(back.await.unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_is_dropped_takes_nothing_from_the_next() {
    let brokers = Brokers::start();
    let log = brokers.open(brokers.config()).await;
    let topic = topic();
    log.create_topic(&topic, 1).await.unwrap();
    for n in 0..20 {
        let waiting = log.read(&topic, 0, n, limits(9, Duration::from_secs(60)));
        let dropped = tokio::time::timeout(Duration::from_millis(20), waiting).await;
        assert!(dropped.is_err(), "{dropped:?}");
        assert!(log.append_many(&topic, vec![batch(0, n..n + 1)]).await[0].is_ok());
        let read = log
            .read(&topic, 0, n, limits(9, Duration::ZERO))
            .await
            .unwrap();
        assert_eq!(read.len(), 1, "{read:?}");
        assert_eq!(read[0].offset, n);
    }
    assert!((0..20).eq(read(&log, &topic, 0).await));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_readers_than_clients_all_come_to_the_end() {
    const READERS: usize = 100;
    let brokers = Brokers::start();
    let log = brokers.open(brokers.config()).await;
    let topic = topic();
    log.create_topic(&topic, 4).await.unwrap();
    for shard in 0..4 {
        assert!(log.append_many(&topic, vec![batch(shard, 0..200)]).await[0].is_ok());
    }
    let follow = async |reader: usize| {
        let shard = u16::try_from(reader % 4).unwrap();
        let mut next = 0;
        while next < 200 {
            let limits = limits(1 + reader, Duration::from_millis(50));
            let read = log.read(&topic, shard, next, limits).await.unwrap();
            let expected = next..next + read.len() as u64;
            assert!(expected.eq(read.iter().map(|stored| stored.offset)));
            next += read.len() as u64;
        }
    };
    futures::future::join_all((0..READERS).map(follow)).await;
}
