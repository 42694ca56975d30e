//! Whether every promise has its event.
//!
//! Reads the event log of a registry that has stopped. Each shard holds each `seq` from the first
//! one on; one that stands there twice says the same both times.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use meridian_clock::SystemClock;
use meridian_event::{Envelope, Event, SHARDS};
use meridian_eventlog::{DiskConfig, DiskEventLog, EventLog, ReadLimits, Topic};
use meridian_oci::Digest;
use meridian_proto::decode_envelope;

const TOPIC: &str = "meridian.local.events.v1";

/// The manifests that the log says were put, after it was checked.
pub(crate) async fn manifests(data_dir: &Path) -> BTreeSet<(String, Digest)> {
    let root = data_dir.join("events");
    let log = DiskEventLog::open(root, DiskConfig::default(), Arc::new(SystemClock)).await;
    let log = log.unwrap();
    let topic: Topic = TOPIC.parse().unwrap();
    let mut put = BTreeSet::new();
    for shard in 0..SHARDS {
        for event in read(&log, &topic, shard).await.into_values() {
            if let Event::ManifestPut {
                repository,
                manifest,
                ..
            } = event.event
            {
                put.insert((repository.to_string(), manifest.digest));
            }
        }
    }
    put
}

async fn read(log: &DiskEventLog, topic: &Topic, shard: u16) -> BTreeMap<u64, Envelope> {
    let mut events: BTreeMap<u64, Envelope> = BTreeMap::new();
    let mut from = 0;
    loop {
        let limits = ReadLimits {
            records: 1_000,
            bytes: 8 << 20,
            wait: Duration::ZERO,
        };
        let records = log.read(topic, shard, from, limits).await.unwrap();
        let Some(last) = records.last() else { break };
        from = last.offset + 1;
        for record in records {
            let event = decode_envelope(&record.record.payload).unwrap();
            assert_eq!(event.id.shard, shard);
            let next = events.last_key_value().map_or(1, |(seq, _)| seq + 1);
            match events.get(&event.id.seq) {
                Some(first) => assert_eq!(*first, event, "one id, two events"),
                None => assert_eq!(event.id.seq, next, "a gap in shard {shard}"),
            }
            events.insert(event.id.seq, event);
        }
    }
    events
}
