//! A region: a state, its log since the last checkpoint, and a clock of its own.
//!
//! Owns what must hold after every entry, whatever happens elsewhere.

use meridian_clock::Region as RegionName;
use meridian_event::{Envelope, RegistryId, SHARDS};
use meridian_oci::{Digest, MediaType, RepositoryName};

use crate::row::{Manifest, Row};
use crate::{Command, Entry, MemoryStore, ObjectKey, Read, Reply, apply, invariant, key, query};

/// Entries after which a crash falls back no further.
const CHECKPOINT: usize = 12;

pub(super) struct Region {
    pub(super) name: RegionName,
    pub(super) store: MemoryStore,
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
        if is_merge && waiting_events(before) != waiting_events(&self.store) {
            return Err("a merge was told to others".to_owned());
        }
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
        let outbox = query::outbox(&self.store, shard, 0, usize::MAX).unwrap();
        let envelopes = outbox.into_iter().map(|outgoing| outgoing.envelope);
        envelopes.collect()
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

    /// Whether a blob is recorded here.
    pub(super) fn has_blob(&self, registry: RegistryId, digest: Digest) -> bool {
        let key = key::blob(registry, digest);
        self.store.get(&key, |_| ()).unwrap().is_some()
    }
}

fn waiting_events(store: &MemoryStore) -> Vec<u64> {
    let shards = (0..SHARDS).map(|shard| query::backlog(store, shard, usize::MAX).unwrap().rows);
    shards.collect()
}
