//! One shared layer, everybody who may touch it, and the disk that holds its bytes.
//!
//! Owns what may happen next, what must never be, and when two worlds have the same future. Time
//! moves in steps that are longer than a lease and its grace together.

use std::collections::BTreeSet;

use meridian_clock::Version;
use meridian_event::RegistryId;
use meridian_oci::{Algorithm, Digest};

use super::actors::{Actor, Progress};
use super::content::{image, layer, name, object, registry};
use crate::row::{Blob, Link, Manifest, Row};
use crate::{
    BlobPlace, Collect, Command, Entry, MemoryStore, Reply, Settings, apply, invariant, query,
};

pub(super) const LEASE: u64 = 10;
const GRACE: u64 = 5;
const TICK: u64 = LEASE + GRACE;

/// What happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// The next step of an actor.
    Act(Actor),
    /// Time passes.
    Tick,
    /// The collector wants the layer condemned.
    Condemn,
    /// The collector wants it removed.
    Remove,
    /// The collector wants an object doomed that it takes for an orphan.
    Sweep(u64),
    /// The disk loses an object.
    Lose(u64),
    /// A deleter reads that an object is doomed.
    Take(u64),
    /// A deleter deletes an object that it once read about.
    Erase(u64),
    /// A deleter reports it gone.
    Report(u64),
}

#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) store: MemoryStore,
    pub(super) registry: RegistryId,
    pub(super) actors: Vec<(Actor, Progress)>,
    pub(super) now: u64,
    ticks: u8,
    /// Generations whose bytes are on the disk.
    pub(super) disk: BTreeSet<u64>,
    /// The generation whose bytes the disk lost, until somebody was told that they are back.
    pub(super) lost: Option<u64>,
    /// Generations of which a deleter read that they are doomed.
    hand: BTreeSet<u64>,
    /// Repository and author of each image that was acknowledged and not deleted since.
    pub(super) images: BTreeSet<(&'static str, u64)>,
    /// Repository and end of each lease that was acknowledged.
    pub(super) leases: BTreeSet<(&'static str, u64)>,
    /// Whether the last action was a command.
    is_changed: bool,
}

impl World {
    /// The layer is in `a`, with an image that needs it.
    pub(super) fn new(actors: &[Actor], ticks: u8) -> Self {
        let region = "eu".parse().unwrap();
        let placeholder = RegistryId::new(Version::next(None, 0, region));
        let mut world = Self {
            store: MemoryStore::default(),
            registry: placeholder,
            actors: actors
                .iter()
                .map(|actor| (*actor, Progress::Begin))
                .collect(),
            now: 1,
            ticks,
            disk: BTreeSet::new(),
            lost: None,
            hand: BTreeSet::new(),
            images: BTreeSet::new(),
            leases: BTreeSet::new(),
            is_changed: true,
        };
        world.say(Command::Initialize {
            region,
            epoch: 1,
            settings: Settings {
                lease_millis: LEASE,
                grace_millis: GRACE,
                request_millis: 0,
                request_count: 0,
            },
        });
        world.say(Command::CreateRegistry { name: registry() });
        world.registry = query::registry(&world.store, &registry()).unwrap().unwrap();
        world.say(Command::ReserveGenerations { count: 100 });
        world.disk.insert(1);
        world.record("a", 1, None);
        world.put("a", 0);
        world
    }

    pub(super) fn actions(&self) -> Vec<Action> {
        let actors = self.actors.iter();
        let busy = actors.filter(|(_, progress)| *progress != Progress::Done);
        let mut actions: Vec<_> = busy
            .filter(|(actor, _)| match actor {
                Actor::Ghost => self.has_recorded(Actor::Uploader),
                Actor::Sweeper => false,
                _ => true,
            })
            .map(|(actor, _)| Action::Act(*actor))
            .collect();
        actions.extend([Action::Condemn, Action::Remove]);
        if self.ticks > 0 {
            actions.push(Action::Tick);
        }
        if self.awaits(Actor::Sweeper) {
            actions.extend(self.disk.iter().copied().map(Action::Sweep));
        }
        if self.awaits(Actor::Healer) && self.disk.contains(&1) && self.lost.is_none() {
            actions.push(Action::Lose(1));
        }
        for (_, object) in query::doomed(&self.store, 100).unwrap() {
            actions.push(Action::Take(object.generation));
        }
        for generation in &self.hand {
            let is_there = self.disk.contains(generation);
            actions.push(if is_there {
                Action::Erase(*generation)
            } else {
                Action::Report(*generation)
            });
        }
        actions
    }

    pub(super) fn after(&self, action: Action) -> Self {
        let mut world = self.clone();
        world.is_changed = false;
        let candidates = vec![(world.registry, layer().digest)];
        match action {
            Action::Act(actor) => world.act(actor),
            Action::Tick => {
                world.ticks -= 1;
                world.now += TICK;
            }
            Action::Condemn => {
                world.say(Command::Collect(Collect::Condemn(candidates)));
            }
            Action::Remove => {
                world.say(Command::Collect(Collect::Remove(candidates)));
            }
            Action::Sweep(generation) => {
                let strays = vec![(world.registry, object(generation))];
                world.say(Command::Collect(Collect::Doom(strays)));
            }
            Action::Lose(generation) => {
                world.disk.remove(&generation);
                world.lost = Some(generation);
            }
            Action::Take(generation) => {
                world.hand.insert(generation);
            }
            Action::Erase(generation) => {
                world.disk.remove(&generation);
            }
            Action::Report(generation) => {
                world.say(Command::Collect(Collect::Deleted(vec![object(generation)])));
            }
        }
        let now = world.now;
        world.leases.retain(|(_, end)| *end > now);
        world
    }

    /// What must not be, if it is.
    pub(super) fn wrong(&self) -> Option<String> {
        for (repository, author) in &self.images {
            let digest = image(repository, *author).digest;
            let name = name(repository);
            let is_there =
                query::manifest_stat(&self.store, self.registry, &name, &digest.into()).unwrap();
            if is_there.is_none() || !self.has_bytes(repository) {
                return Some(format!(
                    "the acknowledged image {author} of {repository} is lost"
                ));
            }
        }
        for (repository, _) in &self.leases {
            if !self.has_bytes(repository) {
                return Some(format!(
                    "the layer is lost in {repository} before its lease is over"
                ));
            }
        }
        for generation in self.named() {
            if !self.is_stored(generation) {
                return Some(format!(
                    "the object {generation} was deleted while a blob names it"
                ));
            }
        }
        if !self.is_changed {
            return None;
        }
        let violations = invariant::check(&self.store).unwrap();
        violations.first().map(ToString::to_string)
    }

    /// Everything on which the future depends. Versions are left out but for the time in them: the
    /// rules compare them within one row only, and what comes of that is here.
    pub(super) fn fingerprint(&self) -> Digest {
        let mut state = Vec::new();
        for (key, value) in self.store.pairs() {
            let row = match key[0] {
                b'M' => {
                    let manifest = Manifest::decode::<()>(value).unwrap();
                    vec![u8::from(manifest.is_exposed())]
                }
                b'L' => Link::decode::<()>(value)
                    .unwrap()
                    .lease
                    .to_be_bytes()
                    .to_vec(),
                b'B' => {
                    let blob = Blob::decode::<()>(value).unwrap();
                    let is_condemned = blob.condemned.is_some();
                    let (touched, place) = (blob.touched.millis, blob.place);
                    format!("{touched} {is_condemned} {:?} {place:?}", blob.due).into_bytes()
                }
                b'k' | b'h' | b'n' | b'p' | b'x' | b'g' | b'c' | b'w' => value.to_vec(),
                _ => continue,
            };
            state.extend_from_slice(key);
            state.extend_from_slice(&row);
        }
        let Self {
            store: _,
            registry: _,
            actors,
            now,
            ticks,
            disk,
            lost,
            hand,
            images,
            leases,
            is_changed: _,
        } = self;
        let rest =
            format!("{actors:?} {now} {ticks} {disk:?} {lost:?} {hand:?} {images:?} {leases:?}");
        state.extend_from_slice(rest.as_bytes());
        Digest::of(Algorithm::Sha256, &state)
    }

    /// Applies a command, now.
    pub(super) fn say(&mut self, command: Command) -> Reply {
        let entry = Entry {
            millis: self.now,
            request: None,
            trace: None,
            command,
        };
        self.is_changed = true;
        apply(&mut self.store, &entry).unwrap()
    }

    fn has_recorded(&self, actor: Actor) -> bool {
        let mut actors = self.actors.iter();
        actors.any(|(it, progress)| {
            *it == actor && matches!(progress, Progress::MustPut | Progress::Done)
        })
    }

    /// Whether the layer can be pulled from a repository.
    fn has_bytes(&self, repository: &str) -> bool {
        let name = name(repository);
        let view = query::blob(&self.store, self.registry, &name, layer().digest, self.now);
        view.unwrap().is_some_and(|view| match view.place {
            BlobPlace::Inline(_) => true,
            BlobPlace::Stored(object) => self.is_stored(object.generation),
        })
    }

    /// Whether an object is there, or would be if the disk had not lost it.
    fn is_stored(&self, generation: u64) -> bool {
        self.disk.contains(&generation) || self.lost == Some(generation)
    }

    /// Whether an actor has not begun yet.
    fn awaits(&self, actor: Actor) -> bool {
        self.actors.contains(&(actor, Progress::Begin))
    }

    /// The generations that blob records name.
    fn named(&self) -> Vec<u64> {
        let rows = self.store.pairs().filter(|(key, _)| key[0] == b'B');
        let places = rows.map(|(_, row)| Blob::decode::<()>(row).unwrap().place);
        let generations = places.filter_map(|place| match place {
            BlobPlace::Inline(_) => None,
            BlobPlace::Stored(object) => Some(object.generation),
        });
        generations.collect()
    }
}
