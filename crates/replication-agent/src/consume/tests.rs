use meridian_clock::{Region, Version};
use meridian_event::{Envelope, Event, EventId, RegistryId};
use meridian_eventlog::{MemoryEventLog, Record};
use meridian_proto::encode_envelope;

use super::*;

const SHARD: u16 = 3;

fn event(seq: u64) -> Record {
    let region: Region = "eu".parse().unwrap();
    let version = Version::next(None, seq, region);
    let envelope = Envelope {
        id: EventId {
            region,
            epoch: 1,
            shard: SHARD,
            seq,
        },
        version,
        registry: RegistryId::new(version),
        event: Event::RegistryCreated {
            name: "default".into(),
        },
    };
    Record::new("", encode_envelope(&envelope))
}

fn no_event() -> Record {
    Record::new("", "no event")
}

/// Where a log with these records is read from by one whose cursor stands there.
async fn sought(records: Vec<Record>, seq: u64) -> u64 {
    let topic: Topic = "a".parse().unwrap();
    let log = MemoryEventLog::default();
    log.create_topic(&topic, 16).await.unwrap();
    log.append(&topic, SHARD, records).await.unwrap();
    let cursor = Cursor { epoch: 1, seq };
    seek(&log, &topic, SHARD, Some(cursor)).await.unwrap()
}

#[tokio::test]
async fn a_log_is_read_from_the_last_record_on_that_is_passed() {
    let records = || (1..=9).map(event).collect();
    assert_eq!(sought(records(), 0).await, 0);
    assert_eq!(sought(records(), 5).await, 4);
    assert_eq!(sought(records(), 9).await, 8);
    assert_eq!(sought(records(), 20).await, 8);
}

#[tokio::test]
async fn what_is_no_event_is_met_until_an_event_behind_it_is_passed() {
    for bad in 0..9 {
        let mut records: Vec<_> = (1..=bad).map(event).collect();
        records.push(no_event());
        records.extend((bad + 1..=9).map(event));
        let before = sought(records.clone(), bad).await;
        assert!(before <= bad, "from {before}, and it is at {bad}");
        let behind = sought(records, bad + 1).await;
        assert_eq!(behind, bad + 1);
    }
}
