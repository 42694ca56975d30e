//! What agents do: hand events over, and fetch what is wanted from whoever has it.

use meridian_event::{Envelope, Event, RegistryId, SHARDS, Target};
use meridian_oci::{Digest, MediaType, RepositoryName};
use rand::RngExt as _;
use rand::seq::IndexedRandom as _;

use super::world::World;
use crate::{
    ArrivedBlob, ArrivedManifest, BlobPlace, Command, Encoding, Found, FoundTag, RemoteEvent,
    RemoteEvents, Reply, query,
};

impl World {
    /// Hands some events of another region over, perhaps some of them again, or too late ones.
    pub(super) fn deliver(&mut self, at: usize) -> Result<(), String> {
        let pending = self.pending(at);
        let Some((origin, shard, merged)) = pending.choose(&mut self.random).copied() else {
            return Ok(());
        };
        if (at, origin) == self.slow && self.random.random_bool(0.9) {
            return Ok(());
        }
        let first = match self.random.random_range(0..10) {
            0 => merged + 1,
            1 | 2 => merged.saturating_sub(self.random.random_range(0..3)),
            _ => merged,
        };
        let count = self.random.random_range(1..5);
        self.hand_over(at, origin, shard, first, count).map(drop)
    }

    pub(super) fn deliver_all(&mut self, at: usize) -> Result<bool, String> {
        self.deliver_of(at, &self.members())
    }

    /// All that these have for a region.
    pub(super) fn deliver_of(&mut self, at: usize, origins: &[usize]) -> Result<bool, String> {
        let mut has_any = false;
        let pending = self.pending(at).into_iter();
        for (origin, shard, merged) in pending.filter(|it| origins.contains(&it.0)) {
            let reply = self.hand_over(at, origin, shard, merged, usize::MAX)?;
            has_any |= matches!(reply, Reply::Merged { .. });
        }
        Ok(has_any)
    }

    /// Where other regions have events that are not merged here: region, shard, and the last one that
    /// is.
    fn pending(&self, at: usize) -> Vec<(usize, u16, u64)> {
        let mut pending = Vec::new();
        let others = self.members().into_iter().filter(|it| *it != at);
        for (origin, region) in others.map(|it| (it, &self.regions[it])) {
            for shard in 0..SHARDS {
                let cursor = query::cursor(&self.regions[at].store, region.name, shard).unwrap();
                let merged = cursor.map_or(0, |cursor| cursor.seq);
                let next = query::streams(&region.store).unwrap()[usize::from(shard)].next;
                if merged + 1 < next {
                    pending.push((origin, shard, merged));
                }
            }
        }
        pending
    }

    fn hand_over(
        &mut self,
        at: usize,
        origin: usize,
        shard: u16,
        first: u64,
        count: usize,
    ) -> Result<Reply, String> {
        let log = self.regions[origin].log(shard);
        let events = log.iter().filter(|envelope| envelope.id.seq > first);
        let events: Vec<_> = events.take(count).collect();
        let events = events
            .into_iter()
            .map(|envelope| self.remote(envelope, 0.4));
        let events = RemoteEvents {
            events: events.collect(),
            origin: self.regions[origin].name,
            epoch: 1,
            shard,
        };
        self.say(at, Command::ApplyRemote(Box::new(events)))
    }

    /// An event, with the bytes that it names if an agent has them by then.
    pub(super) fn remote(&mut self, envelope: &Envelope, chance: f64) -> RemoteEvent {
        let mut body = None;
        if let Event::ManifestPut {
            repository,
            manifest,
            media_type,
            ..
        } = &envelope.event
            && self.random.random_bool(chance)
            && self
                .source(envelope.registry, repository, manifest.digest)
                .is_some()
        {
            body = Some(self.content.body(manifest.digest, media_type));
        }
        RemoteEvent {
            seq: envelope.id.seq,
            version: envelope.version,
            registry: envelope.registry,
            event: envelope.event.clone(),
            body,
        }
    }

    /// The media type under which some region has the bytes of a manifest.
    fn source(
        &self,
        registry: RegistryId,
        repository: &RepositoryName,
        digest: Digest,
    ) -> Option<MediaType> {
        let mut regions = self.regions.iter();
        regions.find_map(|region| region.media_type(registry, repository, digest))
    }

    pub(super) fn fetch_manifest(&mut self, at: usize) -> Result<(), String> {
        let wanted = query::wanted_manifests(&self.regions[at].store, None, 100).unwrap();
        match wanted.choose(&mut self.random) {
            Some(wanted) => self.fetch(at, wanted).map(drop),
            None => Ok(()),
        }
    }

    fn fetch(&mut self, at: usize, wanted: &query::WantedManifest) -> Result<bool, String> {
        let (registry, repository) = (wanted.registry, &wanted.repository);
        let digest = wanted.manifest.digest;
        let Some(found) = self.source(registry, repository, digest) else {
            return Ok(false);
        };
        let media_type = wanted.media_type.clone().unwrap_or(found);
        let arrived = ArrivedManifest {
            registry,
            repository: repository.clone(),
            digest,
            body: self.content.body(digest, &media_type),
        };
        let reply = self.say(at, Command::StoreManifest(Box::new(arrived)))?;
        Ok(reply != Reply::Nothing)
    }

    pub(super) fn fetch_blob(&mut self, at: usize) -> Result<(), String> {
        let wanted = query::wanted_blobs(&self.regions[at].store, None, 100).unwrap();
        match wanted.choose(&mut self.random) {
            Some(wanted) => self.fetch_one(at, wanted).map(drop),
            None => Ok(()),
        }
    }

    fn fetch_one(&mut self, at: usize, wanted: &query::WantedBlob) -> Result<bool, String> {
        let (registry, blob) = (wanted.registry, wanted.blob);
        let mut regions = self.regions.iter();
        if !regions.any(|region| region.has_blob(registry, blob.digest)) {
            return Ok(false);
        }
        let arrived = ArrivedBlob {
            registry,
            blob,
            encoding: Encoding::Plain,
            place: BlobPlace::Stored(self.regions[at].object()),
            owner: Some(registry),
            instead_of: None,
        };
        let reply = self.say(at, Command::StoreBlob(Box::new(arrived)))?;
        Ok(matches!(reply, Reply::Done { .. }))
    }

    /// Fetches everything that is wanted and that somebody has. Returns whether there was any.
    pub(super) fn fetch_all(&mut self, at: usize) -> Result<bool, String> {
        let mut has_any = false;
        for wanted in query::wanted_manifests(&self.regions[at].store, None, 1_000).unwrap() {
            has_any |= self.fetch(at, &wanted)?;
        }
        for wanted in query::wanted_blobs(&self.regions[at].store, None, 1_000).unwrap() {
            has_any |= self.fetch_one(at, &wanted)?;
        }
        Ok(has_any)
    }

    /// Asks a peer for a tag and a manifest, as a read does that finds neither here.
    pub(super) fn find(&mut self, at: usize) -> Result<(), String> {
        let peer = self.random.random_range(0..self.regions.len());
        if Some(peer) == self.gone || !self.is_open(at, peer) {
            return Ok(());
        }
        let repository = self.repository();
        let name = self.content.tags.choose(&mut self.random).unwrap().clone();
        let registry = self.registry();
        let store = &self.regions[peer].store;
        let Some(registry) = query::registry(store, &registry).unwrap() else {
            return Ok(());
        };
        let winner = query::tag_winner(store, registry, &repository, &name).unwrap();
        let digest = match winner.and_then(|winner| winner.digest) {
            Some(digest) => digest,
            None => self.content.manifests.choose(&mut self.random).unwrap().0,
        };
        let cell = query::manifest_cell(&self.regions[peer].store, registry, &repository, digest);
        let mut manifest = cell.unwrap();
        if let Some(found) = &mut manifest
            && let Some(media_type) = self.regions[peer].media_type(registry, &repository, digest)
            && self.random.random_bool(0.5)
        {
            found.body = Some(self.content.body(digest, &media_type));
        }
        let store = &self.regions[peer].store;
        let mut found = query::repository_found(store, registry, &repository).unwrap();
        for target in [Target::Tag(name.clone()), Target::Manifest(digest)] {
            let attributes = query::attributes_found(store, registry, &repository, &target);
            found.extend(attributes.unwrap());
        }
        if let Some(name) = self.created.get(&registry).cloned() {
            found.push(Found::Registry { id: registry, name });
        }
        if let Some(cell) = manifest {
            let (repository, cell) = (repository.clone(), Box::new(cell));
            found.push(Found::Manifest {
                registry,
                repository,
                cell,
            });
        }
        if let Some(winner) = winner {
            let tag = FoundTag {
                name,
                version: winner.version,
                digest: winner.digest,
            };
            found.push(Found::Tag {
                registry,
                repository,
                tag,
            });
        }
        found.retain(|_| self.random.random_bool(0.8));
        if self.random.random_bool(0.5) {
            self.answers.push((at, found));
            return Ok(());
        }
        self.say(at, Command::MergeFound(found)).map(drop)
    }

    /// Some of what was found elsewhere arrives, however late.
    pub(super) fn hear(&mut self, chance: f64) -> Result<(), String> {
        for (at, found) in std::mem::take(&mut self.answers) {
            if self.random.random_bool(chance) {
                self.say(at, Command::MergeFound(found))?;
            } else {
                self.answers.push((at, found));
            }
        }
        Ok(())
    }
}
