//! Whether every promise has its event, those of deletions included.
//!
//! Reads the event log of a registry that has stopped, and does what it says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use meridian_clock::SystemClock;
use meridian_event::Event;
use meridian_eventlog::{DiskConfig, DiskEventLog, Topic};
use meridian_oci::Digest;

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
    for event in harness::events(&log, &topic).await.unwrap() {
        told.happened(event.event);
    }
    told
}

impl Told {
    fn happened(&mut self, event: Event) {
        match event {
            Event::RegistryCreated { .. }
            | Event::Replicated(_)
            | Event::ReplicatedAll { .. }
            | Event::Heartbeat { .. }
            | Event::AttributesSet { .. }
            | Event::RepositoryDeleted { .. }
            | Event::WebhookSet { .. } => {}
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
