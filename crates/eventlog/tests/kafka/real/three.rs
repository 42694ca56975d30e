//! Three brokers, of which one is killed.

use meridian_eventlog::{EventLog, TopicFault};
use rustix::process::{Pid, Signal, kill_process};

use super::parts::{Kafka, open};
use crate::publisher::Publisher;

const SHARDS: u16 = 6;
const RECORDS: u64 = 3_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Apache Kafka: cargo xtask eventlog"]
async fn no_acknowledged_record_is_lost_with_a_broker() {
    let kafka = Kafka::find();
    let (log, topic) = open(kafka.plain(), "killed", SHARDS).await;
    let faults: Vec<TopicFault> = log.check(&topic, SHARDS).await.unwrap();
    assert_eq!(faults, []);
    let kill = || {
        let process = Pid::from_raw(kafka.processes[0]).unwrap();
        kill_process(process, Signal::KILL).unwrap();
    };
    let publish = async |shard: u16| {
        let mut publisher = Publisher::new(&log, &topic, shard);
        publisher.append_until(RECORDS / 2, 10).await;
        if shard == 0 {
            kill();
        }
        publisher.append_until(RECORDS, 10).await;
        publisher
    };
    let publishers = futures::future::join_all((0..SHARDS).map(publish)).await;
    for (shard, publisher) in (0..SHARDS).zip(&publishers) {
        publisher.check().await;
        let last = log.last(&topic, shard).await.unwrap().unwrap();
        assert_eq!(last.record.key, (RECORDS - 1).to_string());
    }
}
