//! What every region must come to: once from its state, and once from the events alone, written
//! from the rules with plain maps and no order of arrival.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use meridian_clock::Version;
use meridian_event::webhook::{Registration, WebhookName};
use meridian_event::{Attributes, Envelope, Event, RegistryId, Setting, Target, shard_of};
use meridian_oci::{Digest, MediaType, RepositoryName, Tag as TagName};

use super::content::{Content, describe};
use crate::row::{Manifest, Referrer, RepositoryCell, Rights, Row, Tag, TagCell, WebhookCell};
use crate::{MemoryStore, key};

type Place = (RegistryId, RepositoryName);
type Named = (Place, Digest);

/// What is the same in all regions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Projection {
    manifests: BTreeMap<Named, Cell>,
    /// The winners.
    cells: BTreeMap<(Place, TagName), (Version, Option<Digest>)>,
    /// What is visible.
    tags: BTreeMap<(Place, TagName), (Version, Digest)>,
    referrers: BTreeMap<(Named, Digest), String>,
    registries: BTreeMap<String, RegistryId>,
    /// When repositories were last deleted.
    deletions: BTreeMap<Place, Version>,
    /// What won of attributes, where that is newer.
    settings: BTreeMap<(Place, Target), Attributes<Option<Setting>>>,
    /// What names stand for among webhooks.
    webhooks: BTreeMap<(RegistryId, WebhookName), (Version, Option<Registration>)>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Cell {
    add: Option<Version>,
    del: Option<Version>,
    put: Option<(Version, MediaType)>,
    is_exposed: bool,
}

/// Reads it from a state.
pub(super) fn project(store: &MemoryStore) -> Projection {
    let mut projection = Projection::default();
    for (key, value) in store.pairs() {
        read(&mut projection, key[0], &key[1..], value).unwrap();
    }
    projection.forget();
    projection
}

fn read(projection: &mut Projection, kind: u8, rest: &[u8], value: &[u8]) -> Option<()> {
    match kind {
        b'M' => {
            let (place, rest) = place(rest)?;
            let row = Manifest::decode::<()>(value).ok()?;
            let cell = Cell {
                add: row.add,
                del: row.del,
                is_exposed: row.is_exposed(),
                put: row.put.zip(row.media_type),
            };
            let (digest, _) = key::take_digest(rest)?;
            projection.manifests.insert((place, digest), cell);
        }
        b'T' => {
            let (place, rest) = place(rest)?;
            let TagCell { version, digest } = TagCell::decode::<()>(value).ok()?;
            let tagged = (place, key::parse(rest)?);
            projection.cells.insert(tagged, (version, digest));
        }
        b't' => {
            let (place, rest) = place(rest)?;
            let tag = Tag::decode::<()>(value).ok()?;
            let tagged = (place, key::parse(rest)?);
            projection.tags.insert(tagged, (tag.version, tag.digest));
        }
        b's' => {
            let (place, rest) = place(rest)?;
            let (subject, rest) = key::take_digest(rest)?;
            let (digest, _) = key::take_digest(rest)?;
            let referrer = Referrer::decode::<()>(value).ok()?;
            let named = ((place, subject), digest);
            projection.referrers.insert(named, referrer.descriptor);
        }
        b'K' => {
            let (registry, name) = key::take_registry(rest)?;
            let place = (registry, key::parse(name)?);
            let cell = RepositoryCell::decode::<()>(value).ok()?;
            if let Some(del) = cell.del {
                projection.deletions.insert(place.clone(), del);
            }
            projection.keep((place, Target::Repository), cell.rights);
        }
        b'l' => {
            let (place, rest) = place(rest)?;
            let target = Target::Tag(key::parse(rest)?);
            projection.keep((place, target), Rights::decode::<()>(value).ok()?);
        }
        b'b' => {
            let (place, rest) = place(rest)?;
            let target = Target::Manifest(key::take_digest(rest)?.0);
            projection.keep((place, target), Rights::decode::<()>(value).ok()?);
        }
        b'7' => {
            let (registry, name) = key::take_registry(rest)?;
            let at = (registry, key::parse(name)?);
            let cell = WebhookCell::decode::<()>(value).ok()?;
            projection
                .webhooks
                .insert(at, (cell.version, cell.registration));
        }
        b'G' => {
            let id = RegistryId::decode::<()>(value).ok()?;
            projection.registries.insert(key::parse(rest)?, id);
        }
        _ => {}
    }
    Some(())
}

fn place(rest: &[u8]) -> Option<(Place, &[u8])> {
    let (registry, rest) = key::take_registry(rest)?;
    let (name, rest) = key::take_repository(rest)?;
    Some(((registry, name), rest))
}

/// Makes it of the events, in whatever order they are. `first` was there before all.
pub(super) fn fold<'e>(
    events: impl Iterator<Item = &'e Envelope>,
    first: (RegistryId, &str),
    content: &Content,
) -> Projection {
    let mut projection = Projection::default();
    let mut claims = BTreeMap::from([(first.1.to_owned(), BTreeSet::from([first.0]))]);
    for envelope in events {
        if let Event::RegistryCreated { name } = &envelope.event {
            let claims: &mut BTreeSet<_> = claims.entry(name.to_string()).or_default();
            claims.insert(envelope.registry);
        }
        projection.join(envelope);
    }
    for (name, ids) in &claims {
        for (rank, id) in ids.iter().enumerate() {
            let alias = if rank == 0 {
                name.clone()
            } else {
                format!("{name}-{id}")
            };
            projection.registries.insert(alias, *id);
        }
    }
    projection.end();
    projection.expose(content);
    projection.forget();
    projection
}

// === impl Projection ===

impl Projection {
    fn join(&mut self, envelope: &Envelope) {
        let version = envelope.version;
        if let Event::WebhookSet { name, registration } = &envelope.event {
            let at = (envelope.registry, name.clone());
            let cell = (version, registration.as_deref().cloned());
            match self.webhooks.entry(at) {
                Entry::Vacant(new) => drop(new.insert(cell)),
                Entry::Occupied(mut old) if old.get().0 < version => drop(old.insert(cell)),
                Entry::Occupied(_) => {}
            }
        }
        let Some(repository) = envelope.event.repository() else {
            return;
        };
        let place = (envelope.registry, repository.clone());
        match &envelope.event {
            Event::ManifestPut {
                manifest,
                media_type,
                tags,
                children,
                ..
            } => {
                let cell = self.cell(&place, manifest.digest);
                if cell.put.as_ref().is_none_or(|(put, _)| *put < version) {
                    cell.put = Some((version, media_type.clone()));
                }
                for leaf in children.iter().chain([manifest]) {
                    let cell = self.cell(&place, leaf.digest);
                    cell.add = cell.add.max(Some(version));
                }
                for tag in tags {
                    self.point(&place, tag, version, Some(manifest.digest));
                }
            }
            Event::ManifestDeleted { digest, .. } => {
                let cell = self.cell(&place, *digest);
                cell.del = cell.del.max(Some(version));
            }
            Event::TagDeleted { tag, .. } => self.point(&place, tag, version, None),
            Event::RepositoryDeleted { .. } => {
                let del = self.deletions.entry(place).or_insert(version);
                *del = version.max(*del);
            }
            Event::AttributesSet {
                target, attributes, ..
            } => {
                let won = self.settings.entry((place, target.clone())).or_default();
                let new = attributes.map(|wanted| {
                    wanted.map(|is_enabled| Setting {
                        version,
                        is_enabled,
                    })
                });
                *won = won.zip(new).map(|(old, new)| {
                    let version = |setting: Option<Setting>| setting.map(|it| it.version);
                    if version(new) > version(old) {
                        new
                    } else {
                        old
                    }
                });
            }
            Event::RegistryCreated { .. }
            | Event::BlobPut { .. }
            | Event::BlobDeleted { .. }
            | Event::Replicated(_)
            | Event::ReplicatedAll { .. }
            | Event::WebhookSet { .. }
            | Event::Heartbeat { .. } => {}
        }
    }

    fn cell(&mut self, place: &Place, digest: Digest) -> &mut Cell {
        self.manifests.entry((place.clone(), digest)).or_default()
    }

    fn point(&mut self, place: &Place, tag: &TagName, version: Version, digest: Option<Digest>) {
        let tagged = (place.clone(), tag.clone());
        let new = (version, digest);
        let cell = self.cells.entry(tagged).or_insert(new);
        if cell.0 < version {
            *cell = new;
        }
    }

    fn keep(&mut self, of: (Place, Target), rights: Rights) {
        if !rights.is_empty() {
            self.settings.insert(of, rights.settings);
        }
    }

    /// Whatever is older than the deletion of its repository is deleted, and what was set before is void.
    fn end(&mut self) {
        for (place, del) in &self.deletions {
            let cells = self.manifests.iter_mut();
            for (_, cell) in cells.filter(|((of, _), _)| of == place) {
                cell.del = cell.del.max(Some(*del));
            }
            let settings = self.settings.iter_mut();
            for (_, won) in settings.filter(|((of, _), _)| of == place) {
                *won = won.map(|won| won.filter(|won| won.version > *del));
            }
        }
        self.settings
            .retain(|_, won| won.into_values().any(|won| won.is_some()));
    }

    /// What was only needed once leaves nothing of itself, but for the deletion of its repository.
    fn forget(&mut self) {
        let deletions = &self.deletions;
        self.manifests.retain(|(place, _), cell| {
            let del = deletions.get(place).copied();
            let is_nothing = cell.add.is_none() && cell.put.is_none() && !cell.is_exposed;
            !is_nothing || cell.del > del
        });
    }

    /// Present is what is put, and what that needs; and all of it is here in the end.
    fn expose(&mut self, content: &Content) {
        let cells = self.manifests.iter();
        let added = cells.filter(|(_, cell)| cell.add > cell.del);
        let mut found: Vec<Named> = added.map(|(named, _)| named.clone()).collect();
        let mut present = BTreeSet::new();
        while let Some((place, digest)) = found.pop() {
            if present.insert((place.clone(), digest)) {
                let children = content.children(digest);
                found.extend(children.map(|child| (place.clone(), child)));
            }
        }
        for (place, digest) in present {
            let cell = self.cell(&place, digest);
            cell.is_exposed = true;
            let put = cell.put.clone();
            if let Some((subject, (_, media_type))) = content.subject(digest).zip(put) {
                let referrer = ((place, subject), digest);
                let descriptor = describe(digest, &media_type);
                self.referrers.insert(referrer, descriptor);
            }
        }
        for ((place, tag), (version, digest)) in &self.cells {
            let Some(digest) = digest else { continue };
            if Some(*version) > self.manifests[&(place.clone(), *digest)].del {
                let tagged = (place.clone(), tag.clone());
                self.tags.insert(tagged, (*version, *digest));
            }
        }
    }

    /// When a manifest was deleted last, if it was.
    pub(super) fn deleted(
        &self,
        registry: RegistryId,
        repository: &RepositoryName,
        digest: Digest,
    ) -> Option<Version> {
        let named = ((registry, repository.clone()), digest);
        self.manifests.get(&named)?.del
    }

    /// Without the tombstones that a region may have dropped, whose shards have these floors.
    pub(super) fn above(mut self, floors: &[Option<Version>]) -> Self {
        let is_below = |(registry, repository): &Place, version| {
            let shard = shard_of(*registry, Some(repository));
            Some(version) <= floors[usize::from(shard)]
        };
        let manifests = &self.manifests;
        self.cells.retain(|(place, _), (version, digest)| {
            let manifest = digest.and_then(|digest| manifests.get(&(place.clone(), digest)));
            let is_alive = manifest.is_some_and(|cell| Some(*version) > cell.del);
            is_alive || !is_below(place, *version)
        });
        let deletions = &self.deletions;
        self.manifests.retain(|(place, _), cell| {
            let is_alive = cell.is_exposed || cell.add > cell.del;
            // The deletion of its repository is not forgotten, and stands for its own.
            let is_covered = |del| deletions.get(place).is_some_and(|cover| del <= *cover);
            let is_forgotten = cell
                .del
                .is_some_and(|del| is_below(place, del) || is_covered(del));
            if is_forgotten {
                // What was put again since, or is needed, does not say that it was deleted before.
                cell.add = cell.add.filter(|add| Some(*add) > cell.del);
                let is_newer = |put: &(Version, MediaType)| Some(put.0) > cell.del;
                cell.put = cell.put.take().filter(is_newer);
                cell.del = None;
            }
            is_alive || !is_forgotten
        });
        self
    }

    /// Where they first differ.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        differ("manifest", &self.manifests, &other.manifests)
            .or_else(|| differ("tag cell", &self.cells, &other.cells))
            .or_else(|| differ("tag", &self.tags, &other.tags))
            .or_else(|| differ("referrer", &self.referrers, &other.referrers))
            .or_else(|| differ("registry", &self.registries, &other.registries))
            .or_else(|| differ("deletion", &self.deletions, &other.deletions))
            .or_else(|| differ("attributes", &self.settings, &other.settings))
            .or_else(|| differ("webhook", &self.webhooks, &other.webhooks))
    }
}

fn differ<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
    what: &str,
    one: &BTreeMap<K, V>,
    other: &BTreeMap<K, V>,
) -> Option<String> {
    let mut keys = one.keys().chain(other.keys());
    let key = keys.find(|key| one.get(key) != other.get(key))?;
    Some(format!(
        "{what} {key:?}: {:?} and {:?}",
        one.get(key),
        other.get(key)
    ))
}
