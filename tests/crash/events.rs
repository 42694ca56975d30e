//! Whether every promise has its event, those of deletions included.
//!
//! Reads the event log of a registry that has stopped, and does what it says. Each shard holds each
//! `seq` from the first one on; one that stands there twice says the same both times.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use meridian_clock::SystemClock;
use meridian_event::{Envelope, Event, SHARDS};
use meridian_eventlog::{DiskConfig, DiskEventLog, EventLog, ReadLimits, Topic};
use meridian_oci::Digest;
use meridian_proto::decode_envelope;

use crate::ledger::{Fate, Ledger, Place};

const TOPIC: &str = "meridian.local.events.v1";

/// What is there, by what the log says happened.
#[derive(Debug, Default)]
pub(crate) struct Told {
    blobs: BTreeSet<Place>,
    manifests: BTreeSet<Place>,
    tags: BTreeMap<(String, String), Digest>,
}

/// Reads and checks the log of a registry that has stopped.
pub(crate) async fn told(data_dir: &Path) -> Told {
    let root = data_dir.join("events");
    let log = DiskEventLog::open(root, DiskConfig::default(), Arc::new(SystemClock)).await;
    let log = log.unwrap();
    let topic: Topic = TOPIC.parse().unwrap();
    let mut told = Told::default();
    for shard in 0..SHARDS {
        for event in read(&log, &topic, shard).await.into_values() {
            told.happened(event.event);
        }
    }
    told
}

impl Told {
    fn happened(&mut self, event: Event) {
        match event {
            Event::RegistryCreated { .. } => {}
            Event::ManifestPut {
                repository,
                manifest,
                tags,
                ..
            } => {
                let repository = repository.to_string();
                for tag in tags {
                    let tag = (repository.clone(), String::from(tag));
                    self.tags.insert(tag, manifest.digest);
                }
                self.manifests.insert((repository, manifest.digest));
            }
            Event::ManifestDeleted { repository, digest } => {
                let repository = repository.to_string();
                self.tags
                    .retain(|tag, points_at| tag.0 != repository || *points_at != digest);
                self.manifests.remove(&(repository, digest));
            }
            Event::TagDeleted {
                repository, tag, ..
            } => {
                self.tags
                    .remove(&(repository.to_string(), String::from(tag)));
            }
            Event::BlobPut {
                repository, blob, ..
            } => {
                self.blobs.insert((repository.to_string(), blob.digest));
            }
            Event::BlobDeleted { repository, digest } => {
                self.blobs.remove(&(repository.to_string(), digest));
            }
        }
    }
}

impl Ledger {
    /// Where the events and the promises differ, in words. To be asked after a verdict.
    pub(crate) fn untold(&self, told: &Told) -> Vec<String> {
        let blobs = self.blobs.iter();
        let blobs = blobs.map(|(place, fate)| (place, *fate, told.blobs.contains(place)));
        let manifests = self.manifests.iter();
        let manifests =
            manifests.map(|(place, (_, fate))| (place, *fate, told.manifests.contains(place)));
        let differs = |(_, fate, told): &(&Place, Fate, bool)| match fate {
            Fate::Present => !told,
            Fate::Absent => *told,
            Fate::Either => false,
        };
        let places = blobs.chain(manifests).filter(differs);
        let places = places.map(|(place, fate, _)| format!("{place:?} is {fate:?}"));
        let tags = self.tags.iter();
        let tags = tags.filter(|(tag, values)| !values.contains(&told.tags.get(*tag).copied()));
        let tags = tags.map(|(tag, values)| format!("{tag:?} is {values:?}"));
        places.chain(tags).collect()
    }
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
