//! What happens next, from a seed.

use meridian_catalog::{
    BlobPlace, Collect, Command, Condition, Encoding, Entry, MemoryStore, NewBlob, NewManifest,
    ObjectKey, RequestId, Settings, query,
};
use meridian_event::{RegistryId, SHARDS, TraceContext};
use meridian_oci::{Digest, RegistryName, RepositoryName};
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::content::Content;
use crate::stage::DAWN;

/// What happens.
pub(crate) enum Step {
    /// An entry is applied.
    Apply(Box<Entry>),
    /// The state is dumped and loaded into an empty store.
    Snapshot,
    /// The state falls back to an earlier one, and the log is applied from there.
    Crash,
}

pub(crate) struct Script {
    random: ChaCha8Rng,
    content: Content,
    now: u64,
    entries: Vec<Entry>,
    requests: u64,
    /// Generations that were reserved, or might have been.
    generation: u64,
    /// With manifests of so many tags that deleting them takes several entries.
    crowded: bool,
}

impl Script {
    pub(crate) fn new(seed: u64, crowded: bool) -> Self {
        Self {
            random: ChaCha8Rng::seed_from_u64(seed),
            content: Content::new(),
            now: DAWN,
            entries: Vec::new(),
            requests: 0,
            generation: 1,
            crowded,
        }
    }

    /// Where the counters of this history begin.
    pub(crate) fn counters(&mut self) -> (u64, u64) {
        let near = *[1, 1 << 31, 1 << 32, 1 << 63]
            .choose(&mut self.random)
            .unwrap();
        self.generation = u64::max(near, 6) - 5;
        (self.generation, self.generation)
    }

    pub(crate) fn next(&mut self, store: &MemoryStore) -> Step {
        self.pass_time();
        match self.random.random_range(0..100) {
            0..3 => return Step::Snapshot,
            3..6 => return Step::Crash,
            6..14 if !self.entries.is_empty() => {
                // A retry: the leader that takes it has a time of its own.
                let again = self.entries.choose(&mut self.random).unwrap();
                return Step::Apply(Box::new(Entry {
                    millis: self.now,
                    ..again.clone()
                }));
            }
            _ => {}
        }
        let command = self.command(store);
        self.requests += 1;
        let request = self.random.random_bool(0.8).then(|| {
            let id = u128::from(self.requests).to_le_bytes();
            RequestId(id)
        });
        let entry = Entry {
            millis: self.now,
            request,
            trace: trace(self.requests),
            command,
        };
        if self.entries.len() == 64 {
            self.entries.remove(0);
        }
        self.entries.push(entry.clone());
        Step::Apply(Box::new(entry))
    }

    fn pass_time(&mut self) {
        let step = match self.random.random_range(0..20) {
            0..12 => 0,
            12..18 => self.random.random_range(1..100),
            18 => self.random.random_range(100..1_500),
            _ => -self.random.random_range(1..2_000),
        };
        self.now = self.now.strict_add_signed(step);
    }

    fn command(&mut self, store: &MemoryStore) -> Command {
        let (registry, repository) = self.place();
        if self.crowded && self.random.random_bool(0.25) {
            return self.crowd(registry, repository);
        }
        match self.random.random_range(0..100) {
            0..22 => Command::PutManifest(Box::new(self.manifest())),
            22..30 => Command::DeleteManifest {
                digest: self.manifest_in(store, &registry, &repository),
                registry,
                repository,
                condition: self.condition(),
            },
            30..33 => Command::DeleteTag {
                registry,
                repository,
                tag: self.content.tags.choose(&mut self.random).unwrap().clone(),
                condition: self.condition(),
            },
            33..53 => self.put_blob(store, registry, repository),
            53..59 => Command::MountBlob {
                registry,
                repository,
                from: self.random.random_bool(0.6).then(|| self.place().1),
                digest: self.blob(),
            },
            59..63 => Command::TouchBlob {
                registry,
                repository,
                digest: self.blob(),
            },
            63..68 => Command::DeleteBlob {
                registry,
                repository,
                digest: self.blob(),
            },
            68..70 => Command::ReserveGenerations {
                count: self.random.random_range(0..25),
            },
            70..88 => Command::Collect(self.collect(store)),
            88..91 => Command::Sweep,
            91..96 => self.acknowledge(store),
            96 => Command::Configure(self.settings()),
            97 | 98 => Command::CreateRegistry {
                name: self
                    .content
                    .registries
                    .choose(&mut self.random)
                    .unwrap()
                    .clone(),
            },
            _ => Command::Initialize {
                region: if self.random.random() { "eu" } else { "us" }
                    .parse()
                    .unwrap(),
                epoch: 7,
                settings: self.settings(),
            },
        }
    }

    pub(crate) fn settings(&mut self) -> Settings {
        Settings {
            lease_millis: *[0, 300, 1_000, 2_000].choose(&mut self.random).unwrap(),
            grace_millis: *[0, 50, 500, 2_000].choose(&mut self.random).unwrap(),
            request_millis: *[0, 200, 3_000].choose(&mut self.random).unwrap(),
            request_count: self.random.random_range(0..9),
        }
    }

    fn place(&mut self) -> (RegistryName, RepositoryName) {
        // One registry and one repository see most of the traffic.
        let registry = usize::from(self.random.random_bool(0.1));
        let repository = match self.random.random_range(0..10) {
            0..6 => 0,
            6..9 => 1,
            _ => 2,
        };
        (
            self.content.registries[registry].clone(),
            self.content.repositories[repository].clone(),
        )
    }

    fn digest(&mut self) -> Digest {
        let digests = self.content.digests();
        *digests.choose(&mut self.random).unwrap()
    }

    /// A blob, mostly.
    fn blob(&mut self) -> Digest {
        if self.random.random_bool(0.1) {
            return self.digest();
        }
        self.content.blobs.choose(&mut self.random).unwrap().digest
    }

    /// A manifest that is there, mostly.
    fn manifest_in(
        &mut self,
        store: &MemoryStore,
        registry: &RegistryName,
        repository: &RepositoryName,
    ) -> Digest {
        let is_there = |digest: &Digest| {
            let id = query::registry(store, registry).unwrap();
            let reference = (*digest).into();
            let view =
                id.and_then(|id| query::manifest_stat(store, id, repository, &reference).unwrap());
            view.is_some()
        };
        let mut digests = self.content.digests();
        if self.random.random_bool(0.8) && digests.iter().any(is_there) {
            digests.retain(is_there);
        }
        *digests.choose(&mut self.random).unwrap()
    }

    fn condition(&mut self) -> Option<Condition> {
        match self.random.random_range(0..20) {
            0 => Some(Condition::Absent),
            1 | 2 => {
                let manifest = self.content.manifests.choose(&mut self.random).unwrap();
                Some(Condition::PointsAt(manifest.digest))
            }
            _ => None,
        }
    }

    fn manifest(&mut self) -> NewManifest {
        let (registry, repository) = self.place();
        // Images come before the indexes that name them.
        let count = self.content.manifests.len();
        let which = usize::min(
            self.random.random_range(0..count),
            self.random.random_range(0..2 * count),
        );
        let template = &self.content.manifests[which];
        let mut new = NewManifest {
            registry,
            repository,
            ..template.clone()
        };
        if self.random.random_bool(0.05) {
            new.media_type = "application/json".parse().unwrap();
            if let Some((_, descriptor)) = &mut new.referrer {
                descriptor.push_str(" of another type");
            }
        }
        let tags = self.content.tags.sample(&mut self.random, 2).cloned();
        new.tags = tags.collect();
        new.tags.truncate(self.random.random_range(0..3));
        if self.crowded && self.random.random_bool(0.05) {
            let count = self.random.random_range(900..2_200);
            new.tags = (0..count)
                .map(|n| format!("t{n}").parse().unwrap())
                .collect();
        }
        new.condition = self.condition();
        new
    }

    /// Puts, deletes and sweeps a manifest of very many tags, which needs nothing.
    fn crowd(&mut self, registry: RegistryName, repository: RepositoryName) -> Command {
        let template = self
            .content
            .manifests
            .iter()
            .find(|new| is_bare(new))
            .unwrap();
        match self.random.random_range(0..3) {
            0 => {
                let count = self.random.random_range(900..2_200);
                let tags = (0..count).map(|number| format!("t{number}").parse().unwrap());
                Command::PutManifest(Box::new(NewManifest {
                    registry,
                    repository,
                    tags: tags.collect(),
                    ..template.clone()
                }))
            }
            1 => Command::DeleteManifest {
                registry,
                repository,
                digest: template.digest,
                condition: None,
            },
            _ => Command::Sweep,
        }
    }

    fn put_blob(
        &mut self,
        store: &MemoryStore,
        registry: RegistryName,
        repository: RepositoryName,
    ) -> Command {
        let blob = *self.content.blobs.choose(&mut self.random).unwrap();
        let place = if self.random.random_bool(0.1) {
            BlobPlace::Inline(vec![1, 2, 3])
        } else {
            BlobPlace::Stored(self.object(store))
        };
        let encoding = Encoding::Plain;
        if self.random.random_bool(0.1) {
            return Command::PutBlob {
                registry,
                repository,
                blob,
                encoding,
                place,
            };
        }
        let id = query::registry(store, &registry).unwrap();
        // Now and then the writer found that the bytes of the blob are lost, or that they were.
        let instead_of = self.random.random_bool(0.3).then(|| {
            let found = id
                .and_then(|id| query::blob(store, id, &repository, blob.digest, self.now).unwrap());
            match found.map(|found| found.place) {
                Some(BlobPlace::Stored(object)) => object,
                _ => self.object(store),
            }
        });
        let owner = match self.random.random_range(0..20) {
            0 => query::registry(store, &self.place().0).unwrap(),
            1 => None,
            _ => id,
        };
        Command::RecordBlob(Box::new(NewBlob {
            registry,
            repository,
            blob,
            encoding,
            place,
            owner,
            instead_of,
        }))
    }

    /// The next object, mostly; now and then one that was named before, by a session that came back
    /// to life, or one that nobody was given.
    fn object(&mut self, store: &MemoryStore) -> ObjectKey {
        let next = query::system(store).unwrap().unwrap().next_generation;
        let generation = match self.random.random_range(0..20) {
            0 => next + self.random.random_range(0..3),
            1..4 => self.a_former_generation(),
            _ if self.generation == next => self.a_former_generation(),
            _ => {
                self.generation += 1;
                self.generation - 1
            }
        };
        ObjectKey {
            epoch: 1,
            generation,
        }
    }

    fn a_former_generation(&mut self) -> u64 {
        let back = self.random.random_range(1..20);
        self.generation.saturating_sub(back)
    }

    fn collect(&mut self, store: &MemoryStore) -> Collect {
        let mut candidates = self.due(store);
        if self.random.random_bool(0.2) {
            let (registry, _) = self.place();
            if let Some(id) = query::registry(store, &registry).unwrap() {
                candidates.push((id, self.digest()));
            }
        }
        match self.random.random_range(0..10) {
            0..4 => Collect::Condemn(candidates),
            4..7 => Collect::Remove(candidates),
            7 => {
                let (registry, _) = self.place();
                let registry = query::registry(store, &registry).unwrap();
                let nowhere = meridian_clock::Version {
                    millis: self.now,
                    counter: 77,
                    region: "eu".parse().unwrap(),
                };
                let registry = registry.unwrap_or_else(|| RegistryId::new(nowhere));
                let count = self.random.random_range(0..4);
                let strays = (0..count).map(|_| (registry, self.object(store)));
                Collect::Doom(strays.collect())
            }
            _ => {
                let doomed = query::doomed(store, 5).unwrap();
                let mut keys: Vec<_> = doomed.into_iter().map(|(_, object)| object).collect();
                keys.truncate(self.random.random_range(0..6));
                let generation = self.generation.saturating_sub(3);
                keys.push(ObjectKey {
                    epoch: 1,
                    generation,
                });
                Collect::Deleted(keys)
            }
        }
    }

    fn due(&mut self, store: &MemoryStore) -> Vec<(RegistryId, Digest)> {
        let due = query::due(store, self.now, 8).unwrap();
        due.iter().map(|due| (due.registry, due.digest)).collect()
    }

    fn acknowledge(&mut self, store: &MemoryStore) -> Command {
        let mut through = Vec::new();
        for (shard, stream) in (0..SHARDS).zip(query::streams(store).unwrap()) {
            if self.random.random_bool(0.5) {
                let ahead = self.random.random_range(0..6);
                through.push((shard, stream.acknowledged + ahead));
            }
        }
        Command::Acknowledge {
            epoch: u64::from(!self.random.random_bool(0.1)),
            through,
        }
    }
}

fn is_bare(new: &NewManifest) -> bool {
    new.blobs.is_empty() && new.children.is_empty() && new.foreign.is_empty()
}

/// Every third request is traced.
fn trace(request: u64) -> Option<TraceContext> {
    let text = format!("00-{request:032x}-00f067aa0ba902b7-01");
    request.is_multiple_of(3).then(|| text.parse().unwrap())
}
