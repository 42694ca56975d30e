//! What every [`ReplicaApi`] must do.
//!
//! The cases are about regions that hear of each other: what a fixture makes is a region each time,
//! and what an agent does between them stands here, in its simplest form.

mod content;
mod copying;
mod finding;
mod merging;
mod streams;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use meridian_event::{Envelope, Event, RegistryId, SHARDS};
use meridian_oci::{Digest, Reference, RepositoryName};

use super::metadata::Stage;
use crate::replica::{
    Content, ContentKind, EventRange, Events, Found, ManifestBytes, Merged, Place, RemoteBatch,
    ReplicaApi, Stored,
};
use crate::{BlobLocation, MetadataApi, ReadError, RepositoryPath};

/// Makes the metadata of regions.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// A region of that name with one registry, `default`, and nothing in it, that is used by one
    /// case only. Its events stay where they are: no event log takes them.
    async fn open(&self, name: &str) -> Region;

    /// Lets time pass in every region: at least that much.
    async fn pass(&self, time: Duration);
}

/// The metadata of a region.
pub struct Region {
    /// For its clients.
    pub metadata: Arc<dyn MetadataApi>,
    /// For its agents.
    pub replica: Arc<dyn ReplicaApi>,
}

/// Runs every case.
///
/// # Panics
///
/// When the body breaks its contract.
pub async fn run(fixture: &impl Fixture) {
    streams::events_are_dense_and_come_in_order(fixture).await;
    streams::a_batch_is_merged_where_the_cursor_stands(fixture).await;
    streams::what_contradicts_itself_is_refused(fixture).await;
    streams::cursors_move_forward_only(fixture).await;

    merging::what_was_pushed_elsewhere_is_shown_when_it_is_here(fixture).await;
    merging::manifests_come_with_their_events_or_after_them(fixture).await;
    merging::a_manifest_that_cannot_be_read_fails_nothing(fixture).await;
    merging::the_greatest_manifests_pass(fixture).await;
    merging::the_newest_put_wins_in_either_order(fixture).await;
    merging::a_deletion_wins_over_an_older_put(fixture).await;
    merging::a_merge_is_not_told_again(fixture).await;

    finding::what_is_found_is_shown_when_its_blobs_are_here(fixture).await;
    finding::what_was_found_before_changes_nothing(fixture).await;
    finding::of_what_nobody_knows_nothing_is_found(fixture).await;
    finding::what_is_here_of_an_image_is_told(fixture).await;

    content::what_is_wanted_comes_in_order_and_once(fixture).await;
    content::what_is_here_or_wanted_is_told_apart(fixture).await;
    content::what_is_merged_and_not_complete_is_counted(fixture).await;
    content::agents_hear_of_each_other(fixture).await;
    content::a_registry_bears_its_name(fixture).await;

    copying::a_copy_and_the_events_after_it_are_as_good_as_all_events(fixture).await;
}

/// The registry of every region.
fn default() -> RegistryId {
    RegistryId::first()
}

// === impl Region ===

impl Region {
    /// What pushes to it look like.
    fn stage(&self) -> Stage {
        Stage(Arc::clone(&self.metadata))
    }

    /// What a tag points at.
    async fn target(&self, at: &RepositoryPath, tag: &str) -> Option<Digest> {
        let reference = tag.parse().unwrap();
        match self.metadata.manifest_stat(at, &reference).await {
            Ok(stat) => Some(stat.digest),
            Err(ReadError::ManifestUnknown | ReadError::RepositoryUnknown) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// The ends of its streams.
    async fn heads(&self) -> Vec<Place> {
        self.replica.progress().await.unwrap().heads
    }

    /// All events of a shard after one of them.
    async fn events(&self, shard: u16, after: u64) -> Vec<Arc<Envelope>> {
        let head = self.heads().await[usize::from(shard)];
        let (mut events, mut from) = (Vec::new(), after + 1);
        while from <= head.seq {
            let range = EventRange {
                shard,
                epoch: head.epoch,
                from,
                to: head.seq,
                max_bytes: 1 << 20,
            };
            let Events::Here(page) = self.replica.events(&range).await.unwrap() else {
                panic!("{range:?} is gone");
            };
            from += page.len() as u64;
            events.extend(page.into_iter().map(Arc::new));
        }
        events
    }

    /// Merges all that happened in another region and is not merged yet; without any bytes.
    async fn hear(&self, other: &Self) {
        let origin = other.replica.progress().await.unwrap().region;
        let cursors = self.replica.progress().await.unwrap().cursors;
        for shard in 0..SHARDS {
            let mut cursors = cursors.iter();
            let cursor = cursors.find(|it| it.origin == origin && it.shard == shard);
            let events = other
                .events(shard, cursor.map_or(0, |cursor| cursor.place.seq))
                .await;
            if let Some(last) = events.last() {
                let through = Place {
                    epoch: last.id.epoch,
                    seq: last.id.seq,
                };
                assert_eq!(self.merge(&events, &[]).await, Merged::Through(through));
            }
        }
    }

    async fn merge(&self, events: &[Arc<Envelope>], manifests: &[ManifestBytes]) -> Merged {
        let batch = RemoteBatch {
            events: events.to_vec(),
            manifests: manifests.to_vec(),
        };
        self.replica.merge(batch).await.unwrap()
    }

    /// All that is wanted.
    async fn wants(&self) -> Vec<Content> {
        self.replica.wanted(None, 1_000).await.unwrap()
    }

    /// Brings from another region what is wanted, until nothing is that it has.
    async fn fetch(&self, other: &Self) {
        loop {
            let mut has_any = false;
            for wanted in self.wants().await {
                has_any |= match wanted.kind {
                    ContentKind::Manifest => self.fetch_manifest(other, &wanted).await,
                    ContentKind::Blob => self.fetch_blob(other, &wanted).await,
                };
            }
            if !has_any {
                return;
            }
        }
    }

    async fn fetch_manifest(&self, other: &Self, wanted: &Content) -> bool {
        let Some(bytes) = other.bytes(&wanted.repository, wanted.leaf.digest).await else {
            return false;
        };
        let manifest = ManifestBytes {
            registry: wanted.registry,
            digest: wanted.leaf.digest,
            bytes,
        };
        let stored = self.replica.store_manifest(manifest).await.unwrap();
        assert_eq!(stored, Stored::Kept);
        true
    }

    async fn fetch_blob(&self, other: &Self, wanted: &Content) -> bool {
        let at = path(&wanted.repository);
        let Ok(record) = other.metadata.blob(&at, wanted.leaf.digest).await else {
            return false;
        };
        let BlobLocation::Inline(bytes) = record.location else {
            panic!("blobs of this suite are in their records");
        };
        assert_eq!(bytes.len() as u64, wanted.leaf.size);
        self.stage().put_blob(&at, &bytes).await;
        true
    }

    /// The bytes of a manifest.
    async fn bytes(&self, repository: &RepositoryName, digest: Digest) -> Option<Bytes> {
        let found = self.find(repository, &Reference::from(digest)).await;
        found.into_iter().find_map(|found| match found {
            Found::Manifest { manifest, .. } => manifest.bytes,
            _ => None,
        })
    }

    async fn find(&self, repository: &RepositoryName, reference: &Reference) -> Vec<Found> {
        let found = self.replica.find(default(), repository, reference).await;
        found.unwrap()
    }

    /// The manifests that events put.
    async fn bodies(&self, events: &[Arc<Envelope>]) -> Vec<ManifestBytes> {
        let mut bodies = Vec::new();
        for envelope in events {
            if let Event::ManifestPut {
                repository,
                manifest,
                ..
            } = &envelope.event
            {
                bodies.push(ManifestBytes {
                    registry: envelope.registry,
                    digest: manifest.digest,
                    bytes: self.bytes(repository, manifest.digest).await.unwrap(),
                });
            }
        }
        bodies
    }
}

fn path(repository: &RepositoryName) -> RepositoryPath {
    RepositoryPath {
        registry: "default".parse().unwrap(),
        name: repository.clone(),
    }
}
