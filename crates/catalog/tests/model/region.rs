//! Registries, requests, generations and events.

use meridian_catalog::{Command, Entry, ObjectKey, Refusal, Reply, RequestId, Settings, Usage};
use meridian_clock::Version;
use meridian_event::{Envelope, Event, EventId, RegistryId, SHARDS, shard_of};
use meridian_oci::RegistryName;

use super::{Effect, Model, Outcome, Registry, Stream};

/// An entry forgets so many requests at most.
const FORGOTTEN_AT_ONCE: usize = 4;

impl Model {
    /// The state after the first entry, which initializes a region.
    pub(crate) fn begin(entry: &Entry) -> (Self, Reply) {
        let Command::Initialize {
            region,
            epoch,
            settings,
        } = entry.command
        else {
            panic!("a history begins with a region");
        };
        let version = Version {
            millis: entry.millis,
            counter: 0,
            region,
        };
        let stream = Stream {
            next: 1,
            waiting: [].into(),
        };
        let model = Self {
            region,
            epoch,
            last: version,
            settings,
            next_generation: 1,
            registries: [].into(),
            spent: [].into(),
            doomed: [].into(),
            streams: vec![stream; usize::from(SHARDS)],
            answered: [].into(),
        };
        (model, Reply::Done { version })
    }

    /// Moves the counters to where a state's stand.
    pub(crate) fn set_counters(&mut self, seq: u64, generation: u64) {
        self.next_generation = generation;
        for stream in &mut self.streams {
            stream.next = seq;
            stream.waiting.clear();
        }
    }

    pub(super) fn configure(&mut self, settings: Settings) -> Outcome {
        if self.settings == settings {
            return Ok(Effect::Nothing);
        }
        self.settings = settings;
        for registry in self.registries.values_mut() {
            registry
                .blobs
                .values_mut()
                .for_each(|blob| blob.hear(settings));
        }
        Ok(Effect::Regional)
    }

    pub(super) fn create(&mut self, name: &RegistryName, version: Version) -> Outcome {
        if self.registries.contains_key(name) {
            return Err(Refusal::RegistryExists);
        }
        let id = RegistryId::new(version);
        let registry = Registry {
            id,
            repositories: [].into(),
            blobs: [].into(),
        };
        self.registries.insert(name.clone(), registry);
        let name = name.as_str().into();
        let event = Event::RegistryCreated { name };
        Ok(Effect::Event(id, Box::new(event)))
    }

    pub(super) fn reserve(&mut self, count: u64) -> Outcome {
        let first = self.next_generation;
        let next = first.checked_add(count);
        self.next_generation = next.ok_or(Refusal::GenerationsExhausted)?;
        Ok(Effect::Answer(Reply::Reserved {
            epoch: self.epoch,
            first,
            count,
        }))
    }

    pub(super) fn recall(&self, request: Option<RequestId>) -> Option<Reply> {
        let mut answered = self.answered.iter();
        let found = answered.find(|(_, id, _)| Some(*id) == request);
        found.map(|(_, _, reply)| reply.clone())
    }

    /// Requests are forgotten beyond a number, and beyond an age in the time of the log.
    pub(super) fn remember(&mut self, request: Option<RequestId>, reply: &Reply) {
        if let Some(request) = request {
            self.answered.push_back((self.last, request, reply.clone()));
        }
        for _ in 0..FORGOTTEN_AT_ONCE {
            let Some((version, ..)) = self.answered.front() else {
                break;
            };
            let age = self.last.millis - version.millis;
            let is_old = age > self.settings.request_millis;
            if !is_old && self.answered.len() as u64 <= self.settings.request_count {
                break;
            }
            self.answered.pop_front();
        }
    }

    pub(super) fn emit(&mut self, version: Version, registry: RegistryId, event: Event) {
        let shard = shard_of(registry, event.repository());
        let stream = &mut self.streams[usize::from(shard)];
        let id = EventId {
            region: self.region,
            epoch: self.epoch,
            shard,
            seq: stream.next,
        };
        stream.next += 1;
        stream.waiting.push_back(Envelope {
            id,
            version,
            registry,
            event,
        });
    }

    /// Acknowledged events leave; an acknowledgement of what was never sent is ignored.
    pub(super) fn acknowledge(&mut self, epoch: u64, through: &[(u16, u64)]) -> Effect {
        let mut left = 0;
        for (shard, seq) in through {
            let Some(stream) = self.streams.get_mut(usize::from(*shard)) else {
                continue;
            };
            if epoch != self.epoch || *seq >= stream.next {
                continue;
            }
            while stream
                .waiting
                .front()
                .is_some_and(|event| event.id.seq <= *seq)
            {
                stream.waiting.pop_front();
                left += 1;
            }
        }
        if left == 0 {
            return Effect::Nothing;
        }
        Effect::Answer(Reply::Collected {
            objects: left,
            bytes: 0,
        })
    }

    /// What a registry holds, counted.
    pub(crate) fn usage(&self, name: &RegistryName) -> Usage {
        let registry = &self.registries[name];
        let mut usage = Usage {
            repositories: registry.repositories.len() as u64,
            blobs: registry.blobs.len() as u64,
            blob_bytes: registry.blobs.values().map(|blob| blob.size).sum(),
            ..Usage::default()
        };
        for repository in registry.repositories.values() {
            usage.manifests += repository.manifests.len() as u64;
            usage.tags += repository.tags.len() as u64;
            let bytes = repository
                .manifests
                .values()
                .map(|manifest| manifest.put.bytes.len());
            usage.manifest_bytes += bytes.sum::<usize>() as u64;
        }
        usage
    }

    /// Objects in order.
    pub(crate) fn doomed(&self) -> Vec<(RegistryId, ObjectKey)> {
        let doomed = self.doomed.iter();
        doomed
            .map(|(object, registry)| (*registry, *object))
            .collect()
    }
}
