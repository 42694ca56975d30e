//! Appending to brokers that fail: nothing is lost, nothing is reordered, and what is repeated is
//! repeated whole.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use meridian_eventlog::{AppendError, EventLog, KafkaConfig, Outage, Topic};
use rdkafka::types::RDKafkaRespErr::{
    RD_KAFKA_RESP_ERR__TRANSPORT as DISCONNECT, RD_KAFKA_RESP_ERR_INVALID_RECORD as INVALID,
    RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS as NOT_ENOUGH_REPLICAS,
    RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION as NOT_LEADER,
    RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT as TIMED_OUT,
};

use super::mock::{ALL, Brokers};
use super::publisher::{Publisher, batch, read};

/// With the patience that a new producer needs to become one.
fn impatient(config: KafkaConfig) -> KafkaConfig {
    KafkaConfig {
        append_timeout: Duration::from_secs(3),
        request_timeout: Duration::from_secs(5),
        ..config
    }
}

fn topic() -> Topic {
    "faults".parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_broker_fails_to_do_once_is_done_again_without_a_trace() {
    let brokers = Brokers::start();
    let log = brokers.open(brokers.config()).await;
    log.create_topic(&topic(), 2).await.unwrap();
    let topic = topic();
    let mut publisher = Publisher::new(&log, &topic, 1);
    for _ in 0..3 {
        brokers.fail_appends(&[DISCONNECT, TIMED_OUT, NOT_LEADER, NOT_ENOUGH_REPLICAS]);
        publisher.append_until(publisher.next + 100, 10).await;
    }
    assert_eq!(publisher.failures, 0);
    assert!((0..300).eq(read(&log, &topic, 1).await));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_refused_record_nothing_follows_until_it_is_appended_again() {
    let brokers = Brokers::start();
    let log = brokers.open(brokers.config()).await;
    log.create_topic(&topic(), 1).await.unwrap();
    let topic = topic();
    let mut publisher = Publisher::new(&log, &topic, 0);
    publisher.append_until(50, 5).await;
    for _ in 0..5 {
        // The client would send what follows in the meantime, and number it anew.
        brokers.fail_appends(&[INVALID]);
        assert!(!publisher.try_append(2_000).await);
        publisher.append_until(publisher.next + 2_000, 2_000).await;
    }
    publisher.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brokers_may_be_away_and_come_back() {
    let brokers = Brokers::start();
    let log = brokers.open(impatient(brokers.config())).await;
    log.create_topic(&topic(), 1).await.unwrap();
    let topic = topic();
    let mut publisher = Publisher::new(&log, &topic, 0);
    for attempts in [1, 2] {
        publisher.append_until(publisher.next + 30, 3).await;
        brokers.set_down(ALL, true);
        for _ in 0..attempts {
            assert!(!publisher.try_append(3).await);
        }
        brokers.set_down(ALL, false);
    }
    publisher.append_until(publisher.next + 30, 3).await;
    publisher.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaders_may_move_under_an_appender() {
    let brokers = Brokers::start();
    let log = brokers.open(brokers.config()).await;
    log.create_topic(&topic(), 1).await.unwrap();
    let topic = topic();
    let mut publisher = Publisher::new(&log, &topic, 0);
    for n in 0..30 {
        brokers.lead(&topic, 0, 1 + n % 3);
        publisher.append_until(publisher.next + 40, 7).await;
    }
    assert_eq!(publisher.failures, 0);
    publisher.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_whose_leader_is_away_holds_up_no_other() {
    let brokers = Brokers::start();
    let log = brokers.open(impatient(brokers.config())).await;
    log.create_topic(&topic(), 3).await.unwrap();
    let topic = topic();
    let append = async |from: u64| {
        let batches = (0..3).map(|shard| batch(shard, from..from + 5));
        let outcomes = log.append_many(&topic, batches.collect()).await;
        let is_known = |it: &Result<_, AppendError>| {
            it.is_ok() || matches!(it, Err(AppendError::Outage(Outage::Unavailable(_))))
        };
        assert!(outcomes.iter().all(is_known), "{outcomes:?}");
        outcomes.iter().map(Result::is_ok).collect::<Vec<_>>()
    };
    for (shard, broker) in [(0, 1), (1, 2), (2, 3)] {
        brokers.lead(&topic, shard, broker);
    }
    assert_eq!(append(0).await, [true; 3]);
    brokers.set_down(2, true);
    assert_eq!(append(5).await, [true, false, true]);
    brokers.set_down(2, false);
    while append(10).await != [true; 3] {}
    for shard in [0, 2] {
        let numbers = read(&log, &topic, shard).await;
        assert!((0..15).eq(numbers[..15].iter().copied()), "{numbers:?}");
    }
    let numbers = read(&log, &topic, 1).await;
    assert_eq!(numbers[..5], [0, 1, 2, 3, 4], "{numbers:?}");
    assert_eq!(
        numbers[numbers.len() - 5..],
        [10, 11, 12, 13, 14],
        "{numbers:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_that_nobody_waits_for_is_not_sent_later() {
    let brokers = Brokers::start();
    let log = brokers.open(impatient(brokers.config())).await;
    log.create_topic(&topic(), 1).await.unwrap();
    let topic = topic();
    let mut publisher = Publisher::new(&log, &topic, 0);
    publisher.append_until(10, 5).await;
    brokers.set_down(ALL, true);
    let patience = Duration::from_millis(100);
    let dropped = log.append_many(&topic, vec![batch(0, 10..20)]);
    assert!(tokio::time::timeout(patience, dropped).await.is_err());
    brokers.set_down(ALL, false);
    publisher.failures += 1;
    publisher.append_until(30, 5).await;
    publisher.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appenders_of_one_producer_that_fails_all_keep_their_order() {
    let brokers = Brokers::start();
    let log = brokers.open(impatient(brokers.config())).await;
    log.create_topic(&topic(), 8).await.unwrap();
    let topic = topic();
    // One failure ends the producer for all; when that is, and how many of them meet it, is a matter of time.
    let has_failed = AtomicBool::new(false);
    let publish = async |shard| {
        let mut publisher = Publisher::new(&log, &topic, shard);
        for part in 1.. {
            if shard == 0 {
                brokers.fail_appends(&[INVALID, DISCONNECT, NOT_LEADER]);
            }
            publisher.append_until(100 * part, 10).await;
            has_failed.fetch_or(publisher.failures > 0, Ordering::SeqCst);
            if part >= 4 && (has_failed.load(Ordering::SeqCst) || part == 50) {
                break;
            }
        }
        publisher.check().await;
    };
    futures::future::join_all((0..8).map(publish)).await;
    assert!(
        has_failed.load(Ordering::SeqCst),
        "the producer never failed"
    );
}
