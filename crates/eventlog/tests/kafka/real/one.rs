//! One broker: the conformance suite, topics as they should not be, and who gets in.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use meridian_eventlog::conformance::{self, Fixture};
use meridian_eventlog::{
    CreateTopicError, EventLog, KafkaConfig, KafkaEventLog, KafkaSaslMechanism, Outage, ReadError,
    ReadLimits, Topic, TopicFault,
};
use meridian_secret::Secret;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::parts::{Kafka, open};
use crate::publisher::{Publisher, batch, read};

struct Real(KafkaConfig);

#[async_trait]
impl Fixture for Real {
    async fn open(&self) -> Arc<dyn EventLog> {
        Arc::new(KafkaEventLog::open(self.0.clone()).await.unwrap())
    }

    fn is_durable(&self) -> bool {
        true
    }

    fn retained_bytes(&self) -> Option<usize> {
        // Brokers look for what is to go every few minutes.
        None
    }
}

/// What an operator does to the brokers.
fn operator(config: &KafkaConfig) -> AdminClient<DefaultClientContext> {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", config.brokers.join(","));
    client.create().unwrap()
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(Duration::from_secs(20)))
}

const NOW: ReadLimits = ReadLimits {
    records: 1,
    bytes: usize::MAX,
    wait: Duration::ZERO,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Apache Kafka: cargo xtask eventlog"]
async fn the_contract_is_kept() {
    conformance::run(&Real(Kafka::find().plain())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Apache Kafka: cargo xtask eventlog"]
async fn a_certificate_and_a_password_open_the_log() {
    let kafka = Kafka::find();
    for (mechanism, name) in [
        (KafkaSaslMechanism::ScramSha256, "secure.256"),
        (KafkaSaslMechanism::ScramSha512, "secure.512"),
    ] {
        let (log, topic) = open(kafka.secure(mechanism), name, 2).await;
        assert_eq!(log.check(&topic, 2).await.unwrap(), []);
        let mut publisher = Publisher::new(&log, &topic, 1);
        publisher.append_until(100, 7).await;
        assert_eq!(publisher.failures, 0);
        publisher.check().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Apache Kafka: cargo xtask eventlog"]
async fn nobody_else_gets_in() {
    let kafka = Kafka::find();
    let right = KafkaConfig {
        request_timeout: Duration::from_secs(3),
        ..kafka.secure(KafkaSaslMechanism::ScramSha512)
    };
    let mut wrong_password = right.clone();
    wrong_password.sasl.as_mut().unwrap().password = Secret::new("another");
    let mut no_certificate = right.clone();
    let tls = no_certificate.tls.as_mut().unwrap();
    (tls.certificate_file, tls.key_file) = (None, None);
    let mut other_authority = right.clone();
    let tls = other_authority.tls.as_mut().unwrap();
    // It signed nothing.
    tls.ca_file = tls.certificate_file.clone();
    let mut no_password = right.clone();
    no_password.sasl = None;
    let plain = KafkaConfig {
        tls: None,
        sasl: None,
        ..right.clone()
    };
    for (name, config) in [
        ("a wrong password", wrong_password),
        ("no certificate", no_certificate),
        ("another authority", other_authority),
        ("no password", no_password),
        ("no encryption", plain),
    ] {
        let log = KafkaEventLog::open(config).await.unwrap();
        let topic: Topic = "nobody".parse().unwrap();
        let created = log.create_topic(&topic, 1).await;
        assert!(
            matches!(
                created,
                Err(CreateTopicError::Outage(Outage::Unavailable(_)))
            ),
            "{name}: {created:?}"
        );
    }
    open(right, "somebody", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Apache Kafka: cargo xtask eventlog"]
async fn a_topic_that_breaks_a_promise_is_told_with_what_to_do() {
    let config = Kafka::find().plain();
    let (log, sound) = open(config.clone(), "sound", 2).await;
    assert_eq!(log.check(&sound, 2).await.unwrap(), []);
    let missing: Topic = "missing".parse().unwrap();
    assert_eq!(
        log.check(&missing, 2).await.unwrap(),
        [TopicFault::Missing(missing.clone())]
    );

    let operator = operator(&config);
    let unsound = NewTopic::new("unsound", 3, TopicReplication::Fixed(1))
        .set("cleanup.policy", "compact")
        .set("unclean.leader.election.enable", "true")
        .set("max.message.bytes", "1000");
    let created = operator.create_topics([&unsound], &options()).await;
    created.unwrap()[0].as_ref().unwrap();
    let unsound: Topic = "unsound".parse().unwrap();
    let told = |faults: Vec<TopicFault>| -> Vec<String> {
        faults.iter().map(ToString::to_string).collect()
    };
    let faults = told(log.check(&unsound, 2).await.unwrap());
    assert_eq!(faults.len(), 4, "{faults:#?}");
    for (fault, words) in faults.iter().zip([
        "has 3 partitions instead of 2",
        "--alter --topic unsound --add-config cleanup.policy=delete",
        "--add-config unclean.leader.election.enable=false",
        "--add-config max.message.bytes=",
    ]) {
        assert!(fault.contains(words), "{fault}");
    }

    // Where one broker is not enough, one replica is too few.
    let config = KafkaConfig {
        single_broker: false,
        ..config
    };
    let strict = KafkaEventLog::open(config).await.unwrap();
    let faults = told(strict.check(&sound, 2).await.unwrap());
    assert_eq!(faults.len(), 2, "{faults:#?}");
    assert!(faults[0].contains("has 1 replicas"), "{faults:#?}");
    assert!(faults[1].contains("min.insync.replicas=2"), "{faults:#?}");
    let created = strict.create_topic(&missing, 2).await;
    assert!(created.is_err(), "three replicas on one broker");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Apache Kafka: cargo xtask eventlog"]
async fn a_reader_is_told_when_records_or_the_topic_are_deleted() {
    let config = Kafka::find().plain();
    let (log, topic) = open(config.clone(), "deleted", 2).await;
    let operator = operator(&config);
    let mut publisher = Publisher::new(&log, &topic, 0);
    publisher.append_until(100, 10).await;
    assert_eq!(log.read(&topic, 0, 9, NOW).await.unwrap()[0].offset, 9);

    let mut before = TopicPartitionList::new();
    let added = before.add_partition_offset(topic.as_str(), 0, Offset::Offset(50));
    added.unwrap();
    operator.delete_records(&before, &options()).await.unwrap();
    // What a reader has read ahead, from 10 on, it may still hand out.
    for from in [0, 9, 49] {
        let gone = log.read(&topic, 0, from, NOW).await;
        assert!(
            matches!(gone, Err(ReadError::OutOfRange { low: 50, high: 100 })),
            "{gone:?}"
        );
    }
    assert!((50..100).eq(read(&log, &topic, 0).await));
    assert_eq!(log.last(&topic, 0).await.unwrap().unwrap().offset, 99);

    let deleted = operator.delete_topics(&[topic.as_str()], &options()).await;
    deleted.unwrap()[0].as_ref().unwrap();
    // Nobody's questions bring it back, though these brokers create what is asked for.
    while !matches!(
        log.append_many(&topic, vec![batch(0, 0..1)]).await[0],
        Err(meridian_eventlog::AppendError::UnknownTopic(_))
    ) {}
    let gone = log.read(&topic, 0, 60, NOW).await;
    assert!(matches!(gone, Err(ReadError::UnknownTopic(_))), "{gone:?}");

    log.create_topic(&topic, 2).await.unwrap();
    let mut publisher = Publisher::new(&log, &topic, 0);
    publisher.append_until(5, 5).await;
    let beyond = log.read(&topic, 0, 60, NOW).await;
    assert!(
        matches!(beyond, Err(ReadError::OutOfRange { .. })),
        "{beyond:?}"
    );
    publisher.check().await;
}
