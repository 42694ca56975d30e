//! Regions that push, tag and delete the same things, and hear of each other late, twice, in parts
//! and in any order; with agents that fetch what is wanted from whoever has it, collectors, crashes,
//! and clocks that differ.
//!
//! Owns what happens next. What must have come of it in the end is in `verdict`, what came about on the way in
//! `sights`.

use std::collections::{BTreeMap, BTreeSet};

use meridian_clock::Region as RegionName;
use meridian_event::webhook::WebhookName;
use meridian_event::{Envelope, Event, EventId, RegistryId, SHARDS, Target};
use meridian_oci::{Digest, RegistryName, RepositoryName, Tag as TagName};
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::content::Content;
use super::region::{Region, new_events};
use crate::row::Row as _;
use crate::{
    Command, Cursor, Found, Introduction, RemoteEvents, Reply, Settings, Write as _, key, query,
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
    pub(super) copied: BTreeSet<(RegionName, EventId)>,
    /// What was found elsewhere, for whom, and is not merged yet.
    pub(super) answers: Vec<(usize, Vec<Found>)>,
    /// What regions said of each other, to whom, and is not heard yet.
    pub(super) introductions: Vec<(usize, Introduction)>,
    /// How many regions there were from the beginning.
    pub(super) founders: usize,
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
        match self.random.random_range(0..114) {
            0..22 => self.push(at)?,
            100..107 => self.set(at)?,
            107 => self.delete_repository(at)?,
            111..114 => self.webhook(at)?,
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
        found.extend(all(|after| {
            query::copied_webhooks(&store, after.and_then(webhook_of), 3).unwrap()
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

fn webhook_of(found: &Found) -> Option<(RegistryId, &WebhookName)> {
    match found {
        Found::Webhook { registry, name, .. } => Some((*registry, name)),
        _ => None,
    }
}

fn found_default() -> Command {
    Command::FoundRegistry {
        id: RegistryId::first(),
        name: DEFAULT.parse().unwrap(),
    }
}
