//! What the tests play with: content, names, and a state that is told one command at a time.

use std::collections::BTreeSet;

use meridian_catalog::{
    BlobPlace, Collect, Command, Condition, Encoding, Entry, MemoryStore, NewBlob, NewManifest,
    ObjectKey, Reply, RequestId, Settings, Write, apply, invariant, key, query,
};
use meridian_clock::{Region, Version};
use meridian_event::{Attributes, Envelope, Leaf, RegistryId, SHARDS, Target};
use meridian_oci::{Algorithm, Digest, MediaType, RegistryName, RepositoryName, Tag};

/// When the stage opens.
pub(crate) const DAWN: u64 = 1_760_000_000_000;

/// How many generations were given to the writers of the stage.
pub(crate) const GIVEN: u64 = 2_000;

pub(crate) const SETTINGS: Settings = Settings {
    lease_millis: 1_000,
    grace_millis: 400,
    request_millis: 10_000,
    request_count: 100,
};

/// A state, the time, and what was stamped.
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    pub(crate) store: MemoryStore,
    pub(crate) now: u64,
    requests: u128,
}

pub(crate) fn region() -> Region {
    "eu".parse().unwrap()
}

pub(crate) fn registry() -> RegistryName {
    "default".parse().unwrap()
}

pub(crate) fn repository(name: &str) -> RepositoryName {
    name.parse().unwrap()
}

pub(crate) fn tag(name: &str) -> Tag {
    name.parse().unwrap()
}

/// The blob of that number: its length is the number too.
pub(crate) fn blob(number: u64) -> Leaf {
    Leaf {
        digest: Digest::of(Algorithm::Sha256, &number.to_be_bytes()),
        size: number,
    }
}

pub(crate) fn object(generation: u64) -> ObjectKey {
    ObjectKey {
        epoch: 1,
        generation,
    }
}

/// An image in repository `a` of these blobs.
pub(crate) fn image(blobs: &[Leaf]) -> NewManifest {
    manifest(MediaType::OCI_IMAGE_MANIFEST, blobs, &[])
}

/// An index in repository `a` of these manifests.
pub(crate) fn index(children: &[Leaf]) -> NewManifest {
    manifest(MediaType::OCI_IMAGE_INDEX, &[], children)
}

fn manifest(media_type: MediaType, blobs: &[Leaf], children: &[Leaf]) -> NewManifest {
    let bytes = format!("{media_type} {blobs:?} {children:?}").into_bytes();
    NewManifest {
        registry: registry(),
        repository: repository("a"),
        digest: Digest::of(Algorithm::Sha256, &bytes),
        media_type,
        bytes,
        blobs: blobs.to_vec(),
        foreign: Vec::new(),
        children: children.to_vec(),
        subject: None,
        referrer: None,
        tags: Vec::new(),
        condition: None,
    }
}

/// What makes a manifest of the right name and tags.
pub(crate) trait Manifested: Sized {
    fn within(self, repository: &str) -> Self;
    fn tagged(self, tags: &[&str]) -> Self;
    fn given(self, condition: Condition) -> Self;
    fn leaf(&self) -> Leaf;
}

impl Manifested for NewManifest {
    fn within(mut self, name: &str) -> Self {
        self.repository = repository(name);
        self
    }

    fn tagged(mut self, tags: &[&str]) -> Self {
        self.tags = tags.iter().map(|name| tag(name)).collect();
        self
    }

    fn given(mut self, condition: Condition) -> Self {
        self.condition = Some(condition);
        self
    }

    fn leaf(&self) -> Leaf {
        Leaf {
            digest: self.digest,
            size: self.bytes.len() as u64,
        }
    }
}

impl Stage {
    /// A region with the registry `default`, and nothing in it.
    pub(crate) fn new(settings: Settings) -> Self {
        let mut stage = Self {
            store: MemoryStore::default(),
            now: DAWN,
            requests: 0,
        };
        stage.done(Command::Initialize {
            region: region(),
            epoch: 1,
            settings,
        });
        stage.done(Command::CreateRegistry { name: registry() });
        stage.apply(&Entry {
            millis: DAWN,
            request: None,
            trace: None,
            command: Command::ReserveGenerations { count: GIVEN },
        });
        stage
    }

    /// A stage whose counters stand just below a power of two.
    pub(crate) fn at_counters(settings: Settings, seq: u64, generation: u64) -> Self {
        let mut stage = Self::new(settings);
        set_counters(&mut stage.store, seq, generation);
        stage
    }

    /// Applies an entry; whatever it does, the invariants hold, and a refusal leaves no trace.
    pub(crate) fn apply(&mut self, entry: &Entry) -> Reply {
        let before = self.store.clone();
        let reply = apply(&mut self.store, entry).unwrap();
        if matches!(reply, Reply::Refused(_) | Reply::Nothing) {
            assert!(self.store == before, "{reply:?} left a trace");
        }
        let violations = invariant::check(&self.store).unwrap();
        assert!(violations.is_empty(), "after {entry:?}: {violations:?}");
        reply
    }

    /// Says a command, under a request id of its own.
    pub(crate) fn say(&mut self, command: Command) -> Reply {
        self.requests += 1;
        let request = Some(RequestId(self.requests.to_be_bytes()));
        self.apply(&Entry {
            millis: self.now,
            request,
            trace: None,
            command,
        })
    }

    /// Says a command that must take effect, without a look at the whole state.
    pub(crate) fn quietly(&mut self, command: Command) {
        let entry = Entry {
            millis: self.now,
            request: None,
            trace: None,
            command,
        };
        let reply = apply(&mut self.store, &entry).unwrap();
        let is_done = !matches!(reply, Reply::Refused(_) | Reply::Nothing);
        assert!(is_done, "{reply:?}");
    }

    /// Says a command that must take effect.
    pub(crate) fn done(&mut self, command: Command) -> Version {
        match self.say(command.clone()) {
            Reply::Done { version } | Reply::Kept { version, .. } => version,
            other => panic!("{command:?} was answered {other:?}"),
        }
    }

    pub(crate) fn put(&mut self, manifest: NewManifest) -> Reply {
        self.say(Command::PutManifest(Box::new(manifest)))
    }

    /// Uploads the blob of a number under the generation of that number.
    pub(crate) fn upload(&mut self, name: &str, number: u64) -> Leaf {
        let command = put_blob(name, blob(number), BlobPlace::Stored(object(number)));
        self.done(command);
        blob(number)
    }

    /// Uploads what an image needs, and puts it.
    pub(crate) fn push(&mut self, image: NewManifest) -> Leaf {
        for leaf in &image.blobs {
            self.upload(image.repository.as_str(), leaf.size);
        }
        let leaf = image.leaf();
        self.done(Command::PutManifest(Box::new(image)));
        leaf
    }

    pub(crate) fn delete(&mut self, name: &str, digest: Digest) -> Reply {
        self.say(delete_manifest(name, digest, None))
    }

    pub(crate) fn untag(&mut self, name: &str, which: &str) -> Reply {
        self.say(delete_tag(name, which, None))
    }

    /// Sets attributes.
    pub(crate) fn set(
        &mut self,
        name: &str,
        target: &Target,
        attributes: Attributes<Option<bool>>,
    ) -> Reply {
        self.say(Command::SetAttributes {
            registry: registry(),
            repository: repository(name),
            target: target.clone(),
            attributes,
        })
    }

    /// Forbids that something is overwritten or deleted.
    pub(crate) fn lock(&mut self, name: &str, target: &Target) {
        let reply = self.set(name, target, writable(false));
        assert!(matches!(reply, Reply::Done { .. }), "{reply:?}");
    }

    /// What is in force for something, by its own attributes.
    pub(crate) fn attributes(&self, name: &str, target: &Target) -> Attributes<bool> {
        query::attributes(&self.store, self.id(), &repository(name), target).unwrap()
    }

    pub(crate) fn delete_repository(&mut self, name: &str) -> Reply {
        self.say(Command::DeleteRepository {
            registry: registry(),
            repository: repository(name),
        })
    }

    pub(crate) fn delete_blob(&mut self, name: &str, digest: Digest) -> Reply {
        self.say(Command::DeleteBlob {
            registry: registry(),
            repository: repository(name),
            digest,
        })
    }

    pub(crate) fn mount(&mut self, to: &str, from: Option<&str>, digest: Digest) -> Reply {
        self.say(Command::MountBlob {
            registry: registry(),
            repository: repository(to),
            from: from.map(repository),
            digest,
        })
    }

    pub(crate) fn touch(&mut self, name: &str, digest: Digest) -> Reply {
        self.say(Command::TouchBlob {
            registry: registry(),
            repository: repository(name),
            digest,
        })
    }

    /// Condemns what nothing holds of these; returns how many there were.
    pub(crate) fn condemn(&mut self, blobs: &[Leaf]) -> u64 {
        let candidates = self.candidates(blobs);
        self.collect(Collect::Condemn(candidates))
    }

    /// Removes what is condemned of these; returns how many there were.
    pub(crate) fn remove(&mut self, blobs: &[Leaf]) -> u64 {
        let candidates = self.candidates(blobs);
        self.collect(Collect::Remove(candidates))
    }

    pub(crate) fn collect(&mut self, step: Collect) -> u64 {
        match self.say(Command::Collect(step)) {
            Reply::Collected { objects, .. } => objects,
            other => panic!("collection was answered {other:?}"),
        }
    }

    fn candidates(&self, blobs: &[Leaf]) -> Vec<(RegistryId, Digest)> {
        let id = self.id();
        blobs.iter().map(|blob| (id, blob.digest)).collect()
    }

    pub(crate) fn id(&self) -> RegistryId {
        query::registry(&self.store, &registry()).unwrap().unwrap()
    }

    /// Where a tag points.
    pub(crate) fn resolve(&self, name: &str, which: &str) -> Option<Digest> {
        let reference = which.parse().unwrap();
        let view = query::manifest_stat(&self.store, self.id(), &repository(name), &reference);
        view.unwrap().map(|view| view.digest)
    }

    pub(crate) fn tags(&self, name: &str) -> Vec<String> {
        let page = query::tags(&self.store, self.id(), &repository(name), None, 10_000);
        let items = page.unwrap().items;
        items.iter().map(ToString::to_string).collect()
    }

    pub(crate) fn has_manifest(&self, name: &str, digest: Digest) -> bool {
        self.resolve(name, &digest.to_string()).is_some()
    }

    pub(crate) fn has_blob(&self, name: &str, digest: Digest) -> bool {
        self.blob(name, digest).is_some()
    }

    pub(crate) fn blob(&self, name: &str, digest: Digest) -> Option<query::BlobView> {
        query::blob(&self.store, self.id(), &repository(name), digest, self.now).unwrap()
    }

    pub(crate) fn usage(&self) -> meridian_catalog::Usage {
        query::usage(&self.store, self.id()).unwrap()
    }

    /// Dooms those of these objects that nothing names; returns how many there were.
    pub(crate) fn doom(&mut self, objects: &[ObjectKey]) -> u64 {
        let id = self.id();
        let strays = objects.iter().map(|object| (id, *object));
        self.collect(Collect::Doom(strays.collect()))
    }

    /// Objects that wait to be deleted.
    pub(crate) fn doomed(&self) -> BTreeSet<ObjectKey> {
        let doomed = query::doomed(&self.store, 1_000).unwrap();
        doomed.into_iter().map(|(_, object)| object).collect()
    }

    /// Every event in the outbox, by version.
    pub(crate) fn events(&self) -> Vec<Envelope> {
        let shards = 0..SHARDS;
        let mut events: Vec<_> = shards
            .flat_map(|shard| query::outbox(&self.store, shard, 0, 100_000).unwrap())
            .map(|outgoing| outgoing.envelope)
            .collect();
        events.sort_by_key(|envelope| envelope.version);
        events
    }
}

/// That something may, or must not, be overwritten.
pub(crate) fn writable(is_enabled: bool) -> Attributes<Option<bool>> {
    Attributes {
        write: Some(is_enabled),
        ..Attributes::default()
    }
}

pub(crate) fn put_blob(name: &str, blob: Leaf, place: BlobPlace) -> Command {
    Command::RecordBlob(Box::new(new_blob(name, blob, place)))
}

/// A blob whose writer says nothing of its object.
pub(crate) fn new_blob(name: &str, blob: Leaf, place: BlobPlace) -> NewBlob {
    NewBlob {
        registry: registry(),
        repository: repository(name),
        blob,
        encoding: Encoding::Plain,
        place,
        owner: None,
        instead_of: None,
    }
}

pub(crate) fn delete_manifest(name: &str, digest: Digest, condition: Option<Condition>) -> Command {
    Command::DeleteManifest {
        registry: registry(),
        repository: repository(name),
        digest,
        condition,
    }
}

pub(crate) fn delete_tag(name: &str, which: &str, condition: Option<Condition>) -> Command {
    Command::DeleteTag {
        registry: registry(),
        repository: repository(name),
        tag: tag(which),
        condition,
    }
}

/// Moves the counters of every shard and of the generations to where they would be after years.
/// What is in the outbox is gone from it by then.
pub(crate) fn set_counters(store: &mut MemoryStore, seq: u64, generation: u64) {
    let mut system = query::system(store).unwrap().unwrap();
    system.next_generation = generation;
    put_row(store, key::SYSTEM, &system);
    for (shard, mut stream) in (0..SHARDS).zip(query::streams(store).unwrap()) {
        for seq in stream.acknowledged + 1..stream.next {
            store.remove(&key::outbox(shard, seq)).unwrap();
        }
        stream.acknowledged = seq - 1;
        stream.next = seq;
        put_row(store, &key::stream(shard), &stream);
    }
}

fn put_row(store: &mut MemoryStore, key: &[u8], row: &impl serde::Serialize) {
    let bytes = postcard::to_extend(row, vec![1]).unwrap();
    store.put(key, &bytes).unwrap();
}
