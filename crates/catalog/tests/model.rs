//! The catalog as the specification tells it, with nothing clever: plain maps, no index, no
//! counter, no deferred work; what can be asked is recomputed from what was put.
//!
//! Written from the issue, the design and the README, not from `apply`. A command is tried on a
//! copy, so that a refused one leaves no trace.

mod blob;
mod manifest;
mod region;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use meridian_catalog::{
    BlobPlace, Command, Entry, NewManifest, ObjectKey, Refusal, Reply, RequestId, Settings,
};
use meridian_clock::{Region, Version};
use meridian_event::{Envelope, Event, RegistryId};
use meridian_oci::{Digest, MediaType, RegistryName, RepositoryName, Tag};

#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) region: Region,
    pub(crate) epoch: u64,
    pub(crate) last: Version,
    pub(crate) settings: Settings,
    pub(crate) next_generation: u64,
    pub(crate) registries: BTreeMap<RegistryName, Registry>,
    /// Every object that was ever named or doomed.
    pub(crate) spent: BTreeSet<ObjectKey>,
    pub(crate) doomed: BTreeMap<ObjectKey, RegistryId>,
    pub(crate) streams: Vec<Stream>,
    answered: VecDeque<(Version, RequestId, Reply)>,
}

/// A shard's events that the event log has not got.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    pub(crate) next: u64,
    pub(crate) waiting: VecDeque<Envelope>,
}

#[derive(Debug, Clone)]
pub(crate) struct Registry {
    pub(crate) id: RegistryId,
    pub(crate) repositories: BTreeMap<RepositoryName, Repository>,
    pub(crate) blobs: BTreeMap<Digest, Blob>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Repository {
    pub(crate) manifests: BTreeMap<Digest, Manifest>,
    pub(crate) tags: BTreeMap<Tag, (Digest, Version)>,
    /// The blobs that are present, and until when each is leased.
    pub(crate) leases: BTreeMap<Digest, u64>,
}

#[derive(Debug, Clone)]
pub(crate) struct Manifest {
    pub(crate) put: NewManifest,
    pub(crate) media_type: MediaType,
    pub(crate) version: Version,
    /// Those of its foreign blobs that it found.
    foreign: BTreeSet<Digest>,
}

#[derive(Debug, Clone)]
pub(crate) struct Blob {
    pub(crate) size: u64,
    pub(crate) place: BlobPlace,
    /// When it was last uploaded, mounted, touched, or needed.
    touched: u64,
    /// When its grace ends at the latest, under all settings since: shorter ones do not move a
    /// turn that was set before.
    pub(crate) grace_end: u64,
    pub(crate) condemned: bool,
}

/// What an accepted command amounts to.
enum Effect {
    /// Something that everybody learns of.
    Event(RegistryId, Box<Event>),
    /// The same, of a blob that keeps the object that it has.
    Kept(RegistryId, Box<Event>, ObjectKey),
    /// Something of this region only.
    Regional,
    /// An answer that says more than that it is done.
    Answer(Reply),
    /// There was nothing to do.
    Nothing,
}

type Outcome = Result<Effect, Refusal>;

impl Model {
    /// What `entry` is answered, and the state after it. `hidden` is what the other side answered
    /// to a sweep, of which the model knows nothing: its tags are gone at once.
    pub(crate) fn apply(&mut self, entry: &Entry, swept: &Reply) -> Reply {
        if let Some(reply) = self.recall(entry.request) {
            return reply;
        }
        let version = next_version(self.last, entry.millis);
        let mut draft = self.clone();
        let reply = match draft.act(&entry.command, version, swept) {
            Err(refusal) => return Reply::Refused(refusal),
            Ok(Effect::Nothing) => return Reply::Nothing,
            Ok(Effect::Answer(reply)) => reply,
            Ok(Effect::Regional) => Reply::Done { version },
            Ok(Effect::Event(registry, event)) => {
                draft.emit(version, registry, *event);
                Reply::Done { version }
            }
            Ok(Effect::Kept(registry, event, object)) => {
                draft.emit(version, registry, *event);
                Reply::Kept {
                    version,
                    registry,
                    object,
                }
            }
        };
        draft.last = version;
        draft.remember(entry.request, &reply);
        draft.drop_empty();
        *self = draft;
        reply
    }

    fn act(&mut self, command: &Command, version: Version, swept: &Reply) -> Outcome {
        match command {
            Command::Initialize { region, .. } if *region == self.region => Ok(Effect::Nothing),
            Command::Initialize { .. } => Err(Refusal::OtherRegion(self.region)),
            Command::Configure(settings) => self.configure(*settings),
            Command::CreateRegistry { name } => self.create(name, version),
            Command::PutManifest(new) => self.put_manifest(new, version),
            Command::DeleteManifest {
                registry,
                repository,
                digest,
                condition,
            } => self.delete_manifest(registry, repository, *digest, *condition, version),
            Command::DeleteTag {
                registry,
                repository,
                tag,
                condition,
            } => self.delete_tag(registry, repository, tag, *condition),
            Command::PutBlob {
                registry,
                repository,
                blob,
                place,
                ..
            } => {
                let put = self.put_blob(registry, repository, *blob, place, (None, None), version);
                put.map(|effect| match effect {
                    // Its writer knows no other answer.
                    Effect::Kept(registry, event, _) => Effect::Event(registry, event),
                    effect => effect,
                })
            }
            Command::RecordBlob(new) => {
                let said = (new.owner, new.instead_of);
                self.put_blob(
                    &new.registry,
                    &new.repository,
                    new.blob,
                    &new.place,
                    said,
                    version,
                )
            }
            Command::MountBlob {
                registry,
                repository,
                from,
                digest,
            } => self.mount(registry, repository, from.as_ref(), *digest, version),
            Command::TouchBlob {
                registry,
                repository,
                digest,
            } => self.touch(registry, repository, *digest, version),
            Command::DeleteBlob {
                registry,
                repository,
                digest,
            } => self.delete_blob(registry, repository, *digest, version),
            Command::ReserveGenerations { count } => self.reserve(*count),
            Command::Collect(step) => Ok(self.collect(step, version)),
            Command::Sweep if *swept == Reply::Nothing => Ok(Effect::Nothing),
            Command::Sweep => Ok(Effect::Answer(swept.clone())),
            Command::Acknowledge { epoch, through } => Ok(self.acknowledge(*epoch, through)),
            Command::ApplyRemote(_)
            | Command::StoreManifest(_)
            | Command::StoreBlob(_)
            | Command::MergeFound(_)
            | Command::FoundRegistry { .. }
            | Command::SetCursor { .. }
            | Command::LeaseBlob { .. }
            | Command::SetPeers(_)
            | Command::Heartbeat { .. }
            | Command::Meet(_)
            | Command::Drain(_)
            | Command::Level { .. } => panic!("a history is of one region alone"),
            Command::SetAttributes { .. }
            | Command::DeleteRepository { .. }
            | Command::PutWebhook(_)
            | Command::DeleteWebhook { .. }
            | Command::Deliver(_) => {
                panic!("a history has no locks and no webhooks, and keeps its repositories")
            }
        }
    }

    fn registry(&mut self, name: &RegistryName) -> Result<&mut Registry, Refusal> {
        self.registries
            .get_mut(name)
            .ok_or(Refusal::RegistryUnknown)
    }

    /// A repository that holds nothing does not exist.
    fn drop_empty(&mut self) {
        for registry in self.registries.values_mut() {
            registry.repositories.retain(|_, repository| {
                let Repository {
                    manifests,
                    tags,
                    leases,
                } = repository;
                !(manifests.is_empty() && tags.is_empty() && leases.is_empty())
            });
        }
    }
}

/// Greater than the last one, and never behind the clock.
fn next_version(last: Version, millis: u64) -> Version {
    if millis > last.millis {
        return Version {
            millis,
            counter: 0,
            ..last
        };
    }
    Version {
        counter: last.counter + 1,
        ..last
    }
}
