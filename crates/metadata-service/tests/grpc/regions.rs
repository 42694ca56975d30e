//! Two regions that read each other's event log.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use meridian_clients::replica::{
    ContentKind, EventRange, Events, Found, ManifestBytes, Merged, RemoteBatch, ReplicaApi,
};
use meridian_clients::{
    DeleteManifest, MetadataApi, PageRequest, PutManifest, RepositoryPath, RequestId,
};
use meridian_clock::ManualClock;
use meridian_event::SHARDS;
use meridian_eventlog::{EventLog, MemoryEventLog, ReadLimits, Topic};
use meridian_oci::{Algorithm, Digest, Manifest, Reference};
use meridian_proto::decode_envelope;

use super::harness::Life;

const WAIT: Duration = Duration::from_secs(20);

struct Region {
    life: Life,
    topic: Topic,
    events: Arc<MemoryEventLog>,
}

impl Region {
    async fn new(name: &str, folder: &Path, clock: &Arc<ManualClock>) -> Self {
        let events = Arc::new(MemoryEventLog::default());
        let log = Arc::clone(&events) as _;
        Self {
            life: Life::in_region(name, folder, log, Arc::clone(clock)).await,
            topic: Topic::events(name.parse().unwrap()),
            events,
        }
    }

    /// An index of nothing, so that no blob is needed.
    async fn push(&self, number: u8, tag: &str) {
        let media_type = "application/vnd.oci.image.index.v1+json";
        let text = format!(
            r#"{{"schemaVersion":2,"mediaType":"{media_type}","manifests":[],"annotations":{{"n":"{number}"}}}}"#
        );
        let put = PutManifest {
            repository: repository(),
            digest: Digest::of(Algorithm::Sha256, text.as_bytes()),
            manifest: Manifest::parse(Some(media_type), Bytes::from(text)).unwrap(),
            tags: vec![tag.parse().unwrap()],
            condition: None,
            request: RequestId([number; 16]),
        };
        self.life.service.put_manifest(put).await.unwrap();
    }

    async fn untag(&self, tag: &str) {
        let delete = DeleteManifest {
            repository: repository(),
            reference: tag.parse().unwrap(),
            condition: None,
            request: RequestId([200; 16]),
        };
        self.life.service.delete_manifest(delete).await.unwrap();
    }

    /// Merges what stands in the log of another region, and brings the manifests that are wanted.
    async fn follow(&self, other: &Self) {
        let service = &self.life.service;
        let heads = other.life.service.progress().await.unwrap().heads;
        for (shard, head) in (0..SHARDS).zip(heads) {
            let (mut offset, mut seq) = (0, 0);
            while seq < head.seq {
                let limits = ReadLimits {
                    records: 2,
                    bytes: 1 << 20,
                    wait: WAIT,
                };
                let read = other.events.read(&other.topic, shard, offset, limits);
                let records = read.await.unwrap();
                offset = records.last().expect("it is published").offset + 1;
                let events = records.iter().map(|it| decode_envelope(&it.record.payload));
                let events: Vec<_> = events.map(|event| Arc::new(event.unwrap())).collect();
                seq = events.last().unwrap().id.seq;
                let batch = RemoteBatch {
                    events,
                    manifests: Vec::new(),
                };
                let merged = service.merge(batch).await.unwrap();
                let (Merged::Through(place) | Merged::Refused(place)) = merged;
                assert!(place.seq >= seq, "{place}");
            }
        }
        for wanted in service.wanted(None, 100).await.unwrap() {
            assert_eq!(wanted.kind, ContentKind::Manifest);
            let reference = Reference::from(wanted.leaf.digest);
            let there = &other.life.service;
            let found = there.find(wanted.registry, &wanted.repository, &reference);
            for found in found.await.unwrap() {
                let Found::Manifest { manifest, .. } = found else {
                    continue;
                };
                let manifest = ManifestBytes {
                    registry: wanted.registry,
                    digest: wanted.leaf.digest,
                    bytes: manifest.bytes.unwrap(),
                };
                service.store_manifest(manifest).await.unwrap();
            }
        }
    }

    /// Every tag, and what it points at.
    async fn tags(&self) -> Vec<(String, Digest)> {
        let page = PageRequest {
            after: None,
            limit: 100,
        };
        let service = &self.life.service;
        let mut tags = Vec::new();
        for tag in service.tags(&repository(), page).await.unwrap().items {
            let reference = Reference::from(tag.clone());
            let stat = service.manifest_stat(&repository(), &reference).await;
            tags.push((tag.to_string(), stat.unwrap().digest));
        }
        tags
    }
}

fn repository() -> RepositoryPath {
    RepositoryPath {
        registry: "default".parse().unwrap(),
        name: "team/app".parse().unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_regions_that_read_each_others_log_have_the_same_tags() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let clock = Arc::new(ManualClock::at(1_700_000_000_000));
    let eu = Region::new("eu", folders[0].path(), &clock).await;
    let us = Region::new("us", folders[1].path(), &clock).await;
    for (number, tag) in [(1, "eu"), (2, "both"), (3, "gone")] {
        eu.push(number, tag).await;
    }
    clock.advance(1_000);
    for (number, tag) in [(4, "us"), (5, "both")] {
        us.push(number, tag).await;
    }
    us.follow(&eu).await;
    clock.advance(1_000);
    us.untag("gone").await;
    eu.follow(&us).await;
    us.follow(&eu).await;
    let tags = eu.tags().await;
    let names: Vec<_> = tags.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["both", "eu", "us"]);
    assert_eq!(us.tags().await, tags);

    // What the log has is not kept here for ever.
    let head = eu.life.service.progress().await.unwrap().heads;
    let (shard, head) = (0..).zip(head).max_by_key(|(_, head)| head.seq).unwrap();
    let range = EventRange {
        shard,
        epoch: head.epoch,
        from: 1,
        to: head.seq,
        max_bytes: 1 << 20,
    };
    let end = tokio::time::Instant::now() + WAIT;
    while ReplicaApi::events(&eu.life.service, &range).await.unwrap() != Events::Gone {
        assert!(tokio::time::Instant::now() < end, "it is still here");
        tokio::task::yield_now().await;
    }
    eu.life.stop().await;
    us.life.stop().await;
}
