//! Images: what is pushed, and what they share.

use std::collections::BTreeMap;

use meridian_clock::{Region, Version};
use meridian_event::{Event, Leaf, RegistryId};
use meridian_oci::{Digest, MediaType, RepositoryName};
use meridian_replication::{Body, Kind, Want};
use rand::RngExt;
use rand::seq::IndexedRandom;

use super::World;
use super::tasks::Task;

/// What was pushed.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    digests: u64,
    /// Blobs of each registry, which later images share.
    blobs: BTreeMap<RegistryId, Vec<Leaf>>,
    pub(crate) manifests: Vec<Pushed>,
}

/// A manifest that was pushed.
#[derive(Debug, Clone)]
pub(crate) struct Pushed {
    pub(crate) registry: RegistryId,
    pub(crate) repository: RepositoryName,
    pub(crate) shard: u16,
    pub(crate) manifest: Leaf,
    pub(crate) blobs: Vec<Leaf>,
    pub(crate) origin: usize,
}

pub(crate) fn registry(n: u64) -> RegistryId {
    RegistryId::new(Version {
        millis: n,
        counter: 0,
        region: "eu".parse().unwrap(),
    })
}

impl World {
    fn leaf(&mut self, size: u64) -> Leaf {
        self.shelf.digests += 1;
        let mut hash = [0; 32];
        // The order of digests is not the order of their making.
        let spread = self.shelf.digests.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash[..8].copy_from_slice(&spread.to_be_bytes());
        hash[8..16].copy_from_slice(&self.shelf.digests.to_be_bytes());
        Leaf {
            digest: Digest::Sha256(hash),
            size,
        }
    }

    /// Sizes as they are: many small layers, few large ones.
    fn some_size(&mut self) -> u64 {
        match self.random.random_range(0..10) {
            0..6 => self.random.random_range(100..60_000),
            6..9 => self.random.random_range(100_000..2_000_000),
            _ => self.random.random_range(2_000_000..20_000_000),
        }
    }

    /// Pushes an image of random content.
    pub(crate) fn push_something(&mut self, origin: usize, registries: u64) -> Pushed {
        let registry = registry(self.random.random_range(1..=registries));
        let mut blobs = Vec::new();
        for _ in 0..self.random.random_range(1..4) {
            let shelf = self.shelf.blobs.entry(registry).or_default();
            let shared = shelf.choose(&mut self.random).copied();
            let shared = shared.filter(|_| self.random.random_bool(0.3));
            let size = self.some_size();
            let blob = shared.unwrap_or_else(|| self.leaf(size));
            if !blobs.contains(&blob) {
                blobs.push(blob);
            }
        }
        self.push(origin, registry, blobs)
    }

    /// Pushes an image with new blobs of these sizes.
    pub(crate) fn push_sized(
        &mut self,
        origin: usize,
        registry_number: u64,
        sizes: &[u64],
    ) -> Pushed {
        let blobs = sizes.iter().map(|size| self.leaf(*size)).collect();
        self.push(origin, registry(registry_number), blobs)
    }

    fn push(&mut self, origin: usize, registry: RegistryId, blobs: Vec<Leaf>) -> Pushed {
        let repository: RepositoryName = format!("team/app-{}", self.random.random_range(0..4))
            .parse()
            .unwrap();
        let shard = meridian_event::shard_of(registry, Some(&repository)) % self.plan.shards;
        let size = self.random.random_range(300..5_000);
        let manifest = self.leaf(size);
        let millis = self.skew(origin);
        let shelf = self.shelf.blobs.entry(registry).or_default();
        let new: Vec<_> = blobs
            .iter()
            .filter(|it| !shelf.contains(it))
            .copied()
            .collect();
        shelf.extend(&new);
        if shelf.len() > 50 {
            shelf.drain(..25);
        }
        for blob in new {
            let event = Event::BlobPut {
                repository: repository.clone(),
                blob,
                mounted_from: None,
            };
            self.origins[origin].commit(millis, shard, registry, event);
        }
        let event = Event::ManifestPut {
            repository: repository.clone(),
            manifest,
            media_type: "application/vnd.oci.image.manifest.v1+json"
                .parse::<MediaType>()
                .unwrap(),
            tags: Vec::new(),
            blobs: blobs.clone(),
            children: Vec::new(),
            subject: None,
        };
        self.origins[origin].commit(millis, shard, registry, event);
        let pushed = Pushed {
            registry,
            repository,
            shard,
            manifest,
            blobs,
            origin,
        };
        let region = self.origins[origin].region;
        for body in pushed.bodies() {
            self.links.get_mut(&region).unwrap().holds.insert(body);
            let others: Vec<Region> = self.links.keys().copied().collect();
            for other in others {
                if self.random.random_bool(0.3) {
                    self.links.get_mut(&other).unwrap().holds.insert(body);
                }
            }
        }
        self.shelf.manifests.push(pushed.clone());
        self.later(
            self.plan.round_trip / 10,
            None,
            Task::Publish(origin, shard),
        );
        pushed
    }

    /// Deletes an image that was pushed, in some region, and the blobs' leases with it.
    pub(crate) fn delete_something(&mut self) {
        let manifests = &self.shelf.manifests;
        let Some(pushed) = manifests.choose(&mut self.random).cloned() else {
            return;
        };
        let origin = self.random.random_range(0..self.origins.len());
        self.delete(origin, &pushed);
    }

    pub(crate) fn delete(&mut self, origin: usize, pushed: &Pushed) {
        let (millis, shard) = (self.millis(), pushed.shard);
        let repository = &pushed.repository;
        let deleted = Event::ManifestDeleted {
            repository: repository.clone(),
            digest: pushed.manifest.digest,
        };
        self.origins[origin].commit(millis, shard, pushed.registry, deleted);
        for blob in &pushed.blobs {
            let deleted = Event::BlobDeleted {
                repository: repository.clone(),
                digest: blob.digest,
            };
            self.origins[origin].commit(millis, shard, pushed.registry, deleted);
        }
        self.later(
            self.plan.round_trip / 10,
            None,
            Task::Publish(origin, shard),
        );
    }
}

// === impl Pushed ===

impl Pushed {
    pub(crate) fn bodies(&self) -> Vec<Body> {
        let leaves = std::iter::once(&self.manifest).chain(&self.blobs);
        let registry = self.registry;
        let body = |leaf: &Leaf| Body {
            registry,
            digest: leaf.digest,
        };
        leaves.map(body).collect()
    }

    /// As a client's request wants its blob.
    pub(crate) fn want(&self, blob: usize, holder: Region) -> Want {
        Want {
            body: Body {
                registry: self.registry,
                digest: self.blobs[blob].digest,
            },
            kind: Kind::Blob,
            size: self.blobs[blob].size,
            repository: self.repository.clone(),
            holders: vec![holder],
        }
    }
}
