//! A region: a state, its log since the last checkpoint, and a clock of its own.
//!
//! Owns what must hold after every entry, whatever happens elsewhere.

use meridian_clock::Region as RegionName;
use meridian_event::{Envelope, Event, EventId, Notice, RegistryId, SHARDS};
use meridian_oci::{Digest, MediaType, RepositoryName};

use super::{hidden, locks};
use crate::row::{Manifest, Row};
use crate::{Command, Entry, MemoryStore, ObjectKey, Read, Reply, apply, invariant, key, query};

/// Entries after which a crash falls back no further.
const CHECKPOINT: usize = 12;

pub(super) struct Region {
    pub(super) name: RegionName,
    pub(super) store: MemoryStore,
    /// Its event log.
    published: Vec<Envelope>,
    /// By how much its clock differs from the time.
    pub(super) skew: i64,
    checkpoint: MemoryStore,
    since: Vec<(Entry, Reply)>,
    generation: u64,
}

impl Region {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.parse().unwrap(),
            store: MemoryStore::default(),
            published: Vec::new(),
            skew: 0,
            checkpoint: MemoryStore::default(),
            since: Vec::new(),
            generation: 0,
        }
    }

    /// Applies a command, and looks at what came of it.
    pub(super) fn say(&mut self, now: u64, command: Command) -> Result<Reply, String> {
        let entry = Entry {
            millis: now.saturating_add_signed(self.skew),
            request: None,
            trace: None,
            command,
        };
        let before = self.store.clone();
        let reply = apply(&mut self.store, &entry);
        let reply = reply.map_err(|error| format!("{entry:?}: {error}"))?;
        self.check(&before, &entry, &reply)
            .map_err(|why| format!("{} after {entry:?}: {why}", self.name))?;
        self.published.extend(new_events(&before, &self.store));
        self.since.push((entry, reply.clone()));
        if self.since.len() == CHECKPOINT {
            self.checkpoint = self.store.clone();
            self.since.clear();
        }
        Ok(reply)
    }

    fn check(&self, before: &MemoryStore, entry: &Entry, reply: &Reply) -> Result<(), String> {
        if matches!(reply, Reply::Refused(_) | Reply::Nothing) && *before != self.store {
            return Err(format!("{reply:?} left a trace"));
        }
        let is_merge = matches!(
            entry.command,
            Command::ApplyRemote(_)
                | Command::StoreManifest(_)
                | Command::StoreBlob(_)
                | Command::MergeFound(_)
                | Command::LeaseBlob { .. }
                | Command::Sweep
        );
        let new = new_events(before, &self.store);
        if is_merge && new.iter().any(|envelope| !envelope.event.is_notice()) {
            return Err("a merge was told to others".to_owned());
        }
        for envelope in &new {
            if let Event::Replicated(notice) = &envelope.event {
                let Notice {
                    repository,
                    manifest,
                    ..
                } = &**notice;
                if !self.is_exposed(envelope.registry, repository, manifest.digest) {
                    return Err(format!("{notice:?} cannot be served"));
                }
            }
        }
        locks::check(before, &self.store, entry, reply)?;
        hidden::check(&self.store)?;
        let violations = invariant::check(&self.store).unwrap();
        violations
            .first()
            .map_or(Ok(()), |first| Err(first.to_string()))
    }

    /// Falls back to the checkpoint, and applies again what came after it.
    pub(super) fn crash(&mut self) -> Result<(), String> {
        let mut store = self.checkpoint.clone();
        for (entry, reply) in &self.since {
            let again = apply(&mut store, entry).map_err(|error| error.to_string())?;
            if again != *reply {
                return Err(format!("{entry:?} was answered {again:?}, not {reply:?}"));
            }
        }
        if store != self.store {
            return Err("a replay differs".to_owned());
        }
        self.store = store;
        Ok(())
    }

    /// A storage key that was never used.
    pub(super) fn object(&mut self) -> ObjectKey {
        self.generation += 1;
        ObjectKey {
            epoch: 1,
            generation: self.generation,
        }
    }

    /// The events of a shard.
    pub(super) fn log(&self, shard: u16) -> Vec<Envelope> {
        let published = self.published.iter();
        let of_shard = published.filter(|envelope| envelope.id.shard == shard);
        of_shard.cloned().collect()
    }

    /// The media type of a manifest whose bytes are here.
    pub(super) fn media_type(
        &self,
        registry: RegistryId,
        repository: &RepositoryName,
        digest: Digest,
    ) -> Option<MediaType> {
        let key = key::manifests(registry, repository).digest(digest);
        let row = self.store.get(&key, Manifest::decode::<()>).unwrap()?;
        let row = row.unwrap();
        row.media_type.clone().filter(|_| row.has_body())
    }

    /// Whether an image is complete here.
    pub(super) fn is_exposed(
        &self,
        registry: RegistryId,
        repository: &RepositoryName,
        digest: Digest,
    ) -> bool {
        let image = query::image(&self.store, registry, repository, digest);
        image.unwrap() == Some(query::Image::Exposed)
    }

    /// Whether a push elsewhere is merged here, and waits for nothing.
    pub(super) fn is_done_with(&self, push: EventId) -> bool {
        let cursor = query::cursor(&self.store, push.region, push.shard).unwrap();
        let waits = key::incomplete(push.region, push.shard, push.epoch).number(push.seq);
        cursor.is_some_and(|cursor| (cursor.epoch, cursor.seq) >= (push.epoch, push.seq))
            && self.store.get(&waits, |_| ()).unwrap().is_none()
    }

    /// Whether a blob is recorded here.
    pub(super) fn has_blob(&self, registry: RegistryId, digest: Digest) -> bool {
        let key = key::blob(registry, digest);
        self.store.get(&key, |_| ()).unwrap().is_some()
    }
}

/// The events that came with the last entry.
pub(super) fn new_events(before: &MemoryStore, after: &MemoryStore) -> Vec<Envelope> {
    let mut new = Vec::new();
    if query::system(before).unwrap().is_none() {
        return new;
    }
    let were = query::streams(before).unwrap();
    for (shard, was) in (0..SHARDS).zip(were) {
        let outbox = query::outbox(after, shard, was.next, usize::MAX).unwrap();
        new.extend(outbox.into_iter().map(|outgoing| outgoing.envelope));
    }
    new
}
