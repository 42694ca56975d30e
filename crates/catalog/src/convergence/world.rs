//! Regions that push, tag and delete the same things, and hear of each other late, twice, in parts
//! and in any order; with agents that fetch what is wanted from whoever has it, collectors, crashes,
//! and clocks that differ.
//!
//! Owns what happens next, and what must have come of it in the end.

use std::collections::{BTreeMap, BTreeSet};

use meridian_clock::Region as RegionName;
use meridian_event::{Envelope, Event, EventId, RegistryId, SHARDS, Target};
use meridian_oci::{Digest, RegistryName, RepositoryName, Tag as TagName};
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::content::Content;
use super::hidden;
use super::reference::{Projection, fold, project};
use super::region::{Region, new_events};
use crate::row::{Manifest, Rights, Row, Tag};
use crate::{Command, Cursor, Found, RemoteEvents, Reply, Settings, Write as _, key, query};

const DAWN: u64 = 1_760_000_000_000;
pub(super) const DEFAULT: &str = "default";

pub(super) struct World {
    pub(super) content: Content,
    pub(super) random: ChaCha8Rng,
    pub(super) now: u64,
    pub(super) regions: Vec<Region>,
    /// A region that hardly ever hears of another one.
    pub(super) slow: (usize, usize),
    /// Registries that were created, and their names.
    pub(super) created: BTreeMap<RegistryId, RegistryName>,
    /// What regions had by a copy, and not by its event.
    copied: BTreeSet<(RegionName, EventId)>,
    /// What came about.
    pub(super) seen: BTreeSet<&'static str>,
}

impl World {
    pub(super) fn new(seed: u64, names: &[&str]) -> Result<Self, String> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut any = || random.random_range(0..names.len());
        let slow = (any(), any());
        let mut world = Self {
            content: Content::new(),
            random,
            slow,
            now: DAWN,
            regions: names.iter().map(|name| Region::new(name)).collect(),
            created: BTreeMap::new(),
            copied: BTreeSet::new(),
            seen: BTreeSet::new(),
        };
        for at in 0..world.regions.len() {
            world.begin(at)?;
        }
        world.introduce()?;
        Ok(world)
    }

    fn begin(&mut self, at: usize) -> Result<(), String> {
        let settings = Settings {
            lease_millis: 600,
            grace_millis: 300,
            request_millis: 0,
            request_count: 0,
        };
        let initialize = Command::Initialize {
            region: self.regions[at].name,
            epoch: 1,
            settings,
        };
        self.say(at, initialize)?;
        self.say(at, found_default())?;
        self.say(at, Command::ReserveGenerations { count: 1 << 20 })?;
        Ok(())
    }

    /// The event log has all that a region told.
    fn acknowledge(&mut self, at: usize) -> Result<(), String> {
        let streams = query::streams(&self.regions[at].store).unwrap();
        let through = (0..SHARDS).zip(streams);
        let through = through.map(|(shard, stream)| (shard, stream.next - 1));
        let (epoch, through) = (1, through.collect());
        self.say(at, Command::Acknowledge { epoch, through })
            .map(drop)
    }

    /// Tells every region which other ones there are.
    pub(super) fn introduce(&mut self) -> Result<(), String> {
        let names: Vec<_> = self.regions.iter().map(|region| region.name).collect();
        for at in 0..self.regions.len() {
            self.say(at, Command::SetPeers(names.clone()))?;
        }
        Ok(())
    }

    /// Lets something happen somewhere.
    pub(super) fn step(&mut self) -> Result<(), String> {
        self.now += self.random.random_range(0..40);
        let at = self.random.random_range(0..self.regions.len());
        match self.random.random_range(0..108) {
            0..22 => self.push(at)?,
            100..106 => self.set(at)?,
            106 | 107 => self.delete_repository(at)?,
            22..36 => self.command(at)?,
            36..64 => self.deliver(at)?,
            64..78 => self.fetch_manifest(at)?,
            78..88 => self.fetch_blob(at)?,
            88..93 => self.find(at)?,
            94..96 => self.collect(at)?,
            96 | 97 => self.regions[at].crash()?,
            98 => drop(self.say(at, Command::Sweep)?),
            93 if self.random.random_bool(0.5) => self.acknowledge(at)?,
            93 => {
                let is_full = self.random.random_bool(0.2);
                self.say(at, Command::Heartbeat { is_full })?;
            }
            99 if self.random.random_bool(0.1) => {
                let from = self.random.random_range(0..self.regions.len());
                if from != at {
                    self.copy(at, from)?;
                }
            }
            _ => self.regions[at].skew = self.random.random_range(-4_000..4_000),
        }
        self.look();
        Ok(())
    }

    /// Delivers and fetches until there is nothing more to do.
    pub(super) fn settle(&mut self) -> Result<(), String> {
        loop {
            let mut is_busy = false;
            for at in 0..self.regions.len() {
                is_busy |= self.deliver_all(at)?;
                is_busy |= self.fetch_all(at)?;
                let is_full = false;
                for command in [Command::Sweep, Command::Heartbeat { is_full }] {
                    while matches!(self.say(at, command.clone())?, Reply::Collected { .. }) {
                        is_busy = true;
                    }
                }
            }
            if !is_busy {
                return Ok(());
            }
        }
    }

    /// Whether all regions came to what the events make.
    pub(super) fn check(&self) -> Result<(), String> {
        let events = self.events();
        let expected = fold(events.iter(), (RegistryId::first(), DEFAULT), &self.content);
        for region in &self.regions {
            agree(region, &expected)?;
            hidden::check_after(&region.store, &events)?;
        }
        Ok(())
    }

    /// Every event that anybody committed.
    pub(super) fn events(&self) -> Vec<Envelope> {
        let logs = self.regions.iter().flat_map(|region| {
            let shards = 0..SHARDS;
            shards.flat_map(|shard| region.log(shard))
        });
        logs.collect()
    }

    /// Another region hears of events, each by itself, in this order, whatever the cursor is.
    pub(super) fn overhear(&mut self, at: usize, envelope: &Envelope) -> Result<(), String> {
        let id = envelope.id;
        let cursor = key::cursor(id.region, id.shard);
        let before = Cursor {
            epoch: id.epoch,
            seq: id.seq - 1,
            version: None,
        };
        let store = &mut self.regions[at].store;
        store.put(&cursor, &before.encode()).unwrap();
        let event = self.remote(envelope, 0.5);
        let events = RemoteEvents {
            origin: id.region,
            epoch: id.epoch,
            shard: id.shard,
            events: vec![event],
        };
        self.say(at, Command::ApplyRemote(Box::new(events)))?;
        self.fetch_manifest(at)?;
        self.fetch_blob(at)
    }

    /// A further region begins with a copy of another one's state, and goes on with the events after
    /// it.
    pub(super) fn join(&mut self, name: &str, from: usize) -> Result<(), String> {
        let at = self.regions.len();
        self.regions.push(Region::new(name));
        self.begin(at)?;
        self.introduce()?;
        self.copy(at, from)
    }

    /// A region takes in a copy of another one's state, and goes on with the events after it.
    fn copy(&mut self, at: usize, from: usize) -> Result<(), String> {
        let store = self.regions[from].store.clone();
        let mut found = query::copied_registries(&store).unwrap();
        found.extend(all(|after| {
            query::copied_manifests(&store, after.and_then(manifest_of), 3).unwrap()
        }));
        found.extend(all(|after| {
            query::copied_tags(&store, after.and_then(tag_of), 3).unwrap()
        }));
        found.extend(all(|after| {
            query::copied_repositories(&store, after.and_then(repository_of), 3).unwrap()
        }));
        found.extend(all(|after| {
            query::copied_tag_attributes(&store, after.and_then(tag_of), 3).unwrap()
        }));
        found.extend(all(|after| {
            query::copied_manifest_attributes(&store, after.and_then(manifest_of), 3).unwrap()
        }));
        found.shuffle(&mut self.random);
        for page in found.chunks(4) {
            self.say(at, Command::MergeFound(page.to_vec()))?;
        }
        for (origin, shard, cursor) in query::cursors(&store).unwrap() {
            if origin != self.regions[at].name {
                self.set_cursor(at, origin, shard, cursor.seq)?;
            }
        }
        let origin = self.regions[from].name;
        for (shard, stream) in (0..SHARDS).zip(query::streams(&store).unwrap()) {
            self.set_cursor(at, origin, shard, stream.next - 1)?;
        }
        Ok(())
    }

    fn set_cursor(
        &mut self,
        at: usize,
        origin: RegionName,
        shard: u16,
        seq: u64,
    ) -> Result<(), String> {
        let epoch = 1;
        let region = self.regions[at].name;
        let cursor = query::cursor(&self.regions[at].store, origin, shard).unwrap();
        let merged = cursor.map_or(0, |cursor| cursor.seq);
        let skipped = (merged + 1..=seq).map(|seq| EventId {
            region: origin,
            epoch,
            shard,
            seq,
        });
        self.copied.extend(skipped.map(|id| (region, id)));
        let set = Command::SetCursor {
            origin,
            shard,
            epoch,
            seq,
        };
        self.say(at, set).map(drop)
    }

    pub(super) fn say(&mut self, at: usize, command: Command) -> Result<Reply, String> {
        let before = self.regions[at].store.clone();
        let reply = self.regions[at].say(self.now, command)?;
        for envelope in new_events(&before, &self.regions[at].store) {
            if let Event::ReplicatedAll { notice, regions } = &envelope.event {
                self.is_everywhere(notice.push, regions)?;
            }
        }
        Ok(reply)
    }

    /// Whether regions have done all that a push asks of them.
    fn is_everywhere(&self, push: EventId, regions: &[RegionName]) -> Result<(), String> {
        let mut others = self.regions.iter();
        let behind = others.find(|it| regions.contains(&it.name) && !it.is_done_with(push));
        match behind {
            Some(region) => Err(format!("{} is not done with {push}", region.name)),
            None => Ok(()),
        }
    }

    /// Whether every push was told of as often as it should.
    pub(super) fn check_notices(&self) -> Result<(), String> {
        let events = self.events();
        let told = |at: RegionName, push: EventId| {
            let notices = events.iter().filter(|envelope| envelope.id.region == at);
            let of_push = notices.filter(|envelope| match &envelope.event {
                Event::Replicated(notice) | Event::ReplicatedAll { notice, .. } => {
                    notice.push == push
                }
                _ => false,
            });
            of_push.count()
        };
        for envelope in &events {
            let Event::ManifestPut {
                repository,
                manifest,
                tags,
                ..
            } = &envelope.event
            else {
                continue;
            };
            let place = (envelope.registry, repository);
            for region in &self.regions {
                let cell = query::manifest_cell(&region.store, place.0, place.1, manifest.digest);
                let is_live = cell
                    .unwrap()
                    .is_some_and(|it| it.del < Some(envelope.version));
                let is_here = region.name == envelope.id.region;
                let winner = |tag| query::tag_winner(&region.store, place.0, place.1, tag).unwrap();
                let mut winners = tags.iter().filter_map(winner);
                let is_last =
                    tags.is_empty() || winners.any(|winner| winner.version == envelope.version);
                let count = told(region.name, envelope.id);
                let was_copied = self.copied.contains(&(region.name, envelope.id));
                let must = is_live && !was_copied && (!is_here || is_last);
                if count > 1 || (must && count == 0) {
                    let (id, name) = (envelope.id, region.name);
                    return Err(format!("{name} told {count} times of {id}"));
                }
            }
        }
        for region in &self.regions {
            for (key, _) in region.store.pairs() {
                if matches!(key[0], b'A' | b'P' | b'I' | b'D' | b'F' | b'J' | b'j') {
                    return Err(format!("{} still has {key:?}", region.name));
                }
            }
        }
        Ok(())
    }

    /// Notes what came about.
    fn look(&mut self) {
        for region in &self.regions {
            for (key, value) in region.store.pairs() {
                let what = match key[0] {
                    b'M' => of_manifest(&Manifest::decode::<()>(value).unwrap()),
                    b't' if Tag::decode::<()>(value).unwrap().is_behind => Some("a tag is behind"),
                    b'e' => Some("a tag waits"),
                    b'z' => Some("a repository is still to be swept"),
                    b'l' => of_tag_attributes(region, &key[1..], value),
                    b'r' => Some("registries are twins"),
                    b'V' => Some("an index waits"),
                    b'W' => Some("an image waits"),
                    b'u' => Some("a child is still to be looked at"),
                    b'v' => Some("waiting tags are still to be judged"),
                    b'w' => Some("tags are still to be hidden"),
                    b'y' => Some("parents are still to be told"),
                    b'P' => Some("a push elsewhere waits"),
                    b'i' => Some("pushes are still to be told of"),
                    b'j' => Some("a heartbeat is still to be looked through"),
                    b'Y' => Some("waiters for a blob are still to be told"),
                    _ => None,
                };
                self.seen.extend(what);
            }
        }
    }
}

fn of_tag_attributes(region: &Region, rest: &[u8], value: &[u8]) -> Option<&'static str> {
    let is_locked = !Rights::decode::<()>(value).unwrap().in_force(None).write;
    let (registry, name) = key::take_registry(rest)?;
    let (repository, tag) = key::take_repository(name)?;
    let tag: TagName = key::parse(tag)?;
    let winner = query::tag_winner(&region.store, registry, &repository, &tag).unwrap();
    match winner {
        None => Some("attributes come before their tag"),
        Some(_) => is_locked.then_some("a tag is locked"),
    }
}

fn of_manifest(row: &Manifest) -> Option<&'static str> {
    if row.is_misdescribed {
        return Some("a manifest is misdescribed");
    }
    if !row.is_absent() && !row.is_added() {
        return Some("a deleted manifest is needed");
    }
    if row.put.is_none() && row.has_body() {
        return Some("bytes come before their event");
    }
    (row.add.is_none() && row.del.is_some()).then_some("a deletion comes before its put")
}

/// Reads a copy, a page at a time.
fn all(page: impl Fn(Option<&Found>) -> Vec<Found>) -> Vec<Found> {
    let mut found = Vec::new();
    loop {
        let next = page(found.last());
        if next.is_empty() {
            return found;
        }
        found.extend(next);
    }
}

fn manifest_of(found: &Found) -> Option<(RegistryId, &RepositoryName, Digest)> {
    match found {
        Found::Manifest {
            registry,
            repository,
            cell,
        } => Some((*registry, repository, cell.manifest.digest)),
        Found::Attributes {
            registry,
            repository,
            target: Target::Manifest(digest),
            ..
        } => Some((*registry, repository, *digest)),
        _ => None,
    }
}

fn tag_of(found: &Found) -> Option<(RegistryId, &RepositoryName, &TagName)> {
    match found {
        Found::Tag {
            registry,
            repository,
            tag,
        } => Some((*registry, repository, &tag.name)),
        Found::Attributes {
            registry,
            repository,
            target: Target::Tag(name),
            ..
        } => Some((*registry, repository, name)),
        _ => None,
    }
}

fn repository_of(found: &Found) -> Option<(RegistryId, &RepositoryName)> {
    match found {
        Found::Attributes {
            registry,
            repository,
            target: Target::Repository,
            ..
        } => Some((*registry, repository)),
        _ => None,
    }
}

fn found_default() -> Command {
    Command::FoundRegistry {
        id: RegistryId::first(),
        name: DEFAULT.parse().unwrap(),
    }
}

/// Whether a region has everything, and nothing else.
fn agree(region: &Region, expected: &Projection) -> Result<(), String> {
    let name = region.name;
    let wanted = query::wanted_manifests(&region.store, None, 10).unwrap();
    if let Some(wanted) = wanted.first() {
        return Err(format!("{name} wants what nobody has: {wanted:?}"));
    }
    let wanted = query::wanted_blobs(&region.store, None, 10).unwrap();
    if let Some(wanted) = wanted.first() {
        return Err(format!("{name} wants what nobody has: {wanted:?}"));
    }
    match project(&region.store).difference(expected) {
        None => Ok(()),
        Some(difference) => Err(format!("{name} and the events differ in {difference}")),
    }
}
