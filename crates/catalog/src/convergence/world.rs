//! Regions that push, tag and delete the same things, and hear of each other late, twice, in parts
//! and in any order; with agents that fetch what is wanted from whoever has it, collectors, crashes,
//! and clocks that differ.
//!
//! Owns what happens next, and what must have come of it in the end.

use std::collections::{BTreeMap, BTreeSet};

use meridian_clock::{Region as RegionName, Version};
use meridian_event::{Envelope, Event, EventId, RegistryId, SHARDS, Target};
use meridian_oci::{Digest, RegistryName, RepositoryName, Tag as TagName};
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::content::Content;
use super::hidden;
use super::reference::{Projection, fold, project};
use super::region::{Region, new_events};
use crate::row::{Floor, Manifest, Rights, Row, Tag};
use crate::{
    Command, Cursor, Found, Introduction, Read as _, RemoteEvents, Reply, Settings, Write as _,
    key, query,
};

const DAWN: u64 = 1_760_000_000_000;
pub(super) const DEFAULT: &str = "default";

pub(super) struct World {
    pub(super) content: Content,
    pub(super) random: ChaCha8Rng,
    pub(super) now: u64,
    pub(super) regions: Vec<Region>,
    /// Whether regions tell each other how far they are.
    pub(super) beats: bool,
    /// Whom no event reaches.
    pub(super) deaf: Option<usize>,
    /// A region that hardly ever hears of another one.
    pub(super) slow: (usize, usize),
    /// Registries that were created, and their names.
    pub(super) created: BTreeMap<RegistryId, RegistryName>,
    /// What regions had by a copy, and not by its event.
    copied: BTreeSet<(RegionName, EventId)>,
    /// What was found elsewhere, for whom, and is not merged yet.
    pub(super) answers: Vec<(usize, Vec<Found>)>,
    /// What regions said of each other, to whom, and is not heard yet.
    pub(super) introductions: Vec<(usize, Introduction)>,
    /// How many regions there were from the beginning.
    founders: usize,
    /// A region that was removed, and says and hears nothing.
    pub(super) gone: Option<usize>,
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
            beats: true,
            deaf: None,
            slow,
            now: DAWN,
            regions: names.iter().map(|name| Region::new(name)).collect(),
            created: BTreeMap::new(),
            copied: BTreeSet::new(),
            answers: Vec::new(),
            introductions: Vec::new(),
            founders: names.len(),
            gone: None,
            seen: BTreeSet::new(),
        };
        for at in 0..world.regions.len() {
            world.begin(at)?;
        }
        world.introduce()?;
        world.meet_all()?;
        Ok(world)
    }

    pub(super) fn begin(&mut self, at: usize) -> Result<(), String> {
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

    /// A region sets attributes of what another one pushed, and a third one hears of those first.
    pub(super) fn start_with_attributes(&mut self) -> Result<(), String> {
        for _ in 0..8 {
            self.push(0)?;
        }
        self.deliver_of(1, &[0])?;
        self.fetch_all(1)?;
        for _ in 0..60 {
            self.set(1)?;
        }
        self.deliver_of(2, &[1])?;
        self.look();
        Ok(())
    }

    /// Lets something happen somewhere.
    pub(super) fn step(&mut self) -> Result<(), String> {
        self.now += self.random.random_range(0..40);
        let at = self.random.random_range(0..self.regions.len());
        if Some(at) == self.gone {
            return Ok(());
        }
        match self.random.random_range(0..111) {
            0..22 => self.push(at)?,
            100..107 => self.set(at)?,
            107 => self.delete_repository(at)?,
            22..36 => self.command(at)?,
            36..64 if Some(at) == self.deaf => {}
            36..64 => self.deliver(at)?,
            64..78 => self.fetch_manifest(at)?,
            78..86 => self.fetch_blob(at)?,
            86..89 => self.find(at)?,
            89 | 90 => self.hear(0.3)?,
            91 | 92 | 108..111 if self.beats => {
                let is_full = true;
                self.say(at, Command::Heartbeat { is_full })?;
            }
            94..96 => self.collect(at)?,
            96 | 97 => self.regions[at].crash()?,
            98 if self.random.random_bool(0.5) => self.meet(at)?,
            98 => drop(self.say(at, Command::Sweep)?),
            93 if self.random.random_bool(0.5) => self.acknowledge(at)?,
            93 if self.beats => {
                let is_full = self.random.random_bool(0.2);
                self.say(at, Command::Heartbeat { is_full })?;
            }
            99 if self.random.random_bool(0.2) => {
                let from = self.random.random_range(0..self.regions.len());
                if from != at && Some(from) != self.gone && self.is_open(at, from) {
                    self.copy(at, from)?;
                }
            }
            91..=93 | 108..111 => {}
            _ => self.regions[at].skew = self.random.random_range(-4_000..4_000),
        }
        self.look();
        Ok(())
    }

    /// Delivers and fetches until there is nothing more to do.
    pub(super) fn settle(&mut self) -> Result<(), String> {
        loop {
            let mut is_busy = false;
            for at in self.members() {
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

    /// Drops what nobody needs any more: each region says that it is past everything, and that it knows
    /// that of the others.
    pub(super) fn bury(&mut self) -> Result<(), String> {
        for _ in 0..3 {
            for at in self.members() {
                self.say(at, Command::Heartbeat { is_full: true })?;
            }
            self.settle()?;
        }
        for region in self.members() {
            let region = &self.regions[region];
            let mut keys = region.store.pairs().map(|(key, _)| key);
            if let Some(key) = keys.find(|key| matches!(key[0], b'1' | b'2')) {
                return Err(format!("{} still has {key:?}", region.name));
            }
        }
        Ok(())
    }

    /// Whether all regions came to what the events make.
    pub(super) fn check(&self) -> Result<(), String> {
        let events = self.events();
        let expected = fold(events.iter(), (RegistryId::first(), DEFAULT), &self.content);
        for at in self.members() {
            let floors: Vec<_> = (0..SHARDS).map(|shard| self.floor(at, shard)).collect();
            agree(&self.regions[at], &expected, &floors)?;
            hidden::check_after(&self.regions[at].store, &events)?;
        }
        Ok(())
    }

    /// Up to where a region has dropped tombstones; or, if it came later, may never have had them, because another
    /// one had dropped them.
    fn floor(&self, at: usize, shard: u16) -> Option<Version> {
        let others = match at < self.founders {
            true => &self.regions[at..=at],
            false => &self.regions[..],
        };
        let floors = others.iter().filter_map(|region| {
            let row = region.store.get(&key::floor(shard), Floor::decode::<()>);
            row.unwrap().map(|floor| floor.unwrap().version)
        });
        floors.max()
    }

    /// Every event that anybody committed; of a region that is gone, those that others know.
    pub(super) fn events(&self) -> Vec<Envelope> {
        let logs = self.regions.iter().flat_map(|region| {
            let shards = 0..SHARDS;
            shards.flat_map(|shard| region.log(shard))
        });
        let gone = self.gone.map(|at| self.regions[at].name);
        let is_known = |id: EventId| {
            self.members().iter().any(|at| {
                let cursor = query::cursor(&self.regions[*at].store, id.region, id.shard);
                cursor.unwrap().is_some_and(|cursor| cursor.seq >= id.seq)
            })
        };
        let known = logs.filter(|it| Some(it.id.region) != gone || is_known(it.id));
        known.collect()
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

    /// A region takes in a copy of another one's state, and goes on with the events after it.
    pub(super) fn copy(&mut self, at: usize, from: usize) -> Result<(), String> {
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
        let expected = fold(events.iter(), (RegistryId::first(), DEFAULT), &self.content);
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
                let is_live =
                    expected.deleted(place.0, place.1, manifest.digest) < Some(envelope.version);
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
                    b'2' => Some("tombstones are still to be dropped"),
                    b'5' => Some("a floor rises"),
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
fn agree(region: &Region, expected: &Projection, floors: &[Option<Version>]) -> Result<(), String> {
    let name = region.name;
    let wanted = query::wanted_manifests(&region.store, None, 10).unwrap();
    if let Some(wanted) = wanted.first() {
        return Err(format!("{name} wants what nobody has: {wanted:?}"));
    }
    let wanted = query::wanted_blobs(&region.store, None, 10).unwrap();
    if let Some(wanted) = wanted.first() {
        return Err(format!("{name} wants what nobody has: {wanted:?}"));
    }
    let [is, ought] = [project(&region.store), expected.clone()].map(|it| it.above(floors));
    match is.difference(&ought) {
        None => Ok(()),
        Some(difference) => Err(format!("{name} and the events differ in {difference}")),
    }
}
