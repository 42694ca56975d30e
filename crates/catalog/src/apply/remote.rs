//! What happened in other regions, merged.
//!
//! Keeps invariant 7: what is merged keeps its version and is never told to others from here, and a
//! cursor moves in the entry that merges what it passes. Owns the cursors. Between regions policy is
//! the origin's: form and version are looked at, and no condition, lease or lock.

use std::cmp::Ordering;

use meridian_clock::Region;
use meridian_event::{Event, EventId, Leaf, Notice, SHARDS, shard_of};

use super::blob::link;
use super::guard::{self, Guard};
use super::manifest::merge::{self, Put};
use super::manifest::standing::{self, Cell};
use super::place::Place;
use super::turn::Turn;
use super::{
    Result, attributes, floor, heartbeat, meet, refuse, registry, repository, tag, webhook,
};
use crate::key;
use crate::row::{Cursor, Push};
use crate::{ArrivedManifest, Found, Refusal, RemoteEvent, RemoteEvents, Reply, Write};

/// After how many events a region says how far it is, though all of them were notices.
const NOTICES: u64 = 256;

/// Merges events, and moves the cursor of their shard past them.
pub(super) fn apply<S: Write>(turn: &mut Turn<'_, S>, new: &RemoteEvents) -> Result<Reply, S> {
    if new.origin == turn.system.region {
        return refuse::<S>(Refusal::Echo);
    }
    if !is_well_formed(new) {
        return refuse::<S>(Refusal::Malformed);
    }
    if let Some(refusal) = meet::estrangement(turn, new.origin)? {
        return refuse::<S>(refusal);
    }
    let cursor_key = key::cursor(new.origin, new.shard);
    let merged = match turn.read::<Cursor>(&cursor_key)? {
        None if meet::is_uncopied(turn, new.origin)? => {
            return refuse::<S>(Refusal::EpochUnknown { epoch: 0 });
        }
        None => 0,
        Some(cursor) => match new.epoch.cmp(&cursor.epoch) {
            Ordering::Less => return Ok(Reply::Nothing),
            Ordering::Equal => cursor.seq,
            Ordering::Greater => {
                let epoch = cursor.epoch;
                return refuse::<S>(Refusal::EpochUnknown { epoch });
            }
        },
    };
    let later = new.events.iter().filter(|event| event.seq > merged);
    let later: Vec<_> = later.collect();
    let Some(next) = later.first() else {
        return Ok(Reply::Nothing);
    };
    if guard::stands(Guard::CursorIsDense) && next.seq - merged > 1 {
        return refuse::<S>(Refusal::Gap { seq: merged });
    }
    if turn.is_ahead(next.version) {
        return refuse::<S>(Refusal::Ahead(next.version));
    }
    let (mut seq, mut version) = (merged, None);
    let near = later
        .iter()
        .take_while(|event| !turn.is_ahead(event.version));
    let near: Vec<_> = near.collect();
    let mut has_news = false;
    for event in &near {
        let id = EventId {
            region: new.origin,
            epoch: new.epoch,
            shard: new.shard,
            seq: event.seq,
        };
        merge(turn, id, event)?;
        (seq, version) = (event.seq, Some(event.version));
        has_news |= !event.event.is_notice();
    }
    // Of notices alone there are none, or they would never end; but those who keep them want to know when
    // they are here.
    if has_news || merged / NOTICES != seq / NOTICES {
        heartbeat::note(turn, new.shard)?;
    }
    let cursor = Cursor {
        epoch: new.epoch,
        seq,
        version,
    };
    turn.put(&cursor_key, &cursor)?;
    Ok(Reply::Merged {
        seq,
        is_stopped: near.len() < later.len(),
    })
}

/// Keeps the bytes of a manifest, if they are wanted.
pub(super) fn store<S: Write>(
    turn: &mut Turn<'_, S>,
    arrived: &ArrivedManifest,
) -> Result<Reply, S> {
    let place = Place::new(arrived.registry, &arrived.repository);
    let mut cell = Cell::load(turn, &place, arrived.digest)?;
    standing::receive(turn, &mut cell, &arrived.body)?;
    cell.save(turn)?;
    Ok(outcome(turn))
}

/// Merges what another region holds.
pub(super) fn merge_found<S: Write>(turn: &mut Turn<'_, S>, all: &[Found]) -> Result<Reply, S> {
    if let Some(refusal) = meet::hindrance(turn)? {
        return refuse::<S>(refusal);
    }
    let mut versions = all.iter().flat_map(Found::versions);
    if let Some(version) = versions.find(|version| turn.is_ahead(*version)) {
        return refuse::<S>(Refusal::Ahead(version));
    }
    for found in all {
        for version in found.versions() {
            turn.absorb(version);
        }
        merge_one(turn, found)?;
    }
    Ok(outcome(turn))
}

fn merge_one<S: Write>(turn: &mut Turn<'_, S>, found: &Found) -> Result<(), S> {
    match found {
        Found::Registry { id, name } => registry::claim(turn, *id, name),
        Found::Manifest {
            registry,
            repository,
            cell,
        } => {
            let place = Place::new(*registry, repository);
            let news = floor::news(turn, &place, cell)?;
            let is_known = turn.exists(&place.manifest(cell.manifest.digest))?;
            if !is_known && news.add.is_none() && news.del.is_none() {
                return Ok(());
            }
            merge::found(turn, &place, &news)
        }
        Found::Tag {
            registry,
            repository,
            tag,
        } => {
            let place = Place::new(*registry, repository);
            // It was merged, and perhaps deleted, and so was its manifest.
            if floor::is_settled(floor::of(turn, &place)?, tag.version) {
                return Ok(());
            }
            // The put of a tag is a put of its manifest, whatever else is known of that.
            if let Some(digest) = tag.digest {
                merge::raise(turn, &place, Leaf { digest, size: 0 }, tag.version)?;
            }
            tag::join(turn, &place, &tag.name, tag.version, tag.digest)
        }
        Found::Repository {
            registry,
            repository,
            del,
        } => repository::join(turn, &Place::new(*registry, repository), *del),
        Found::Attributes {
            registry,
            repository,
            target,
            settings,
        } => attributes::join(turn, &Place::new(*registry, repository), target, *settings),
        Found::Webhook {
            registry,
            name,
            version,
            registration,
        } => webhook::join(
            turn,
            *registry,
            name,
            *version,
            registration.as_deref().cloned(),
        ),
    }
}

/// Moves a cursor forward, over what a snapshot has.
pub(super) fn set_cursor<S: Write>(
    turn: &mut Turn<'_, S>,
    origin: Region,
    shard: u16,
    (epoch, seq): (u64, u64),
) -> Result<Reply, S> {
    if origin == turn.system.region {
        return refuse::<S>(Refusal::Echo);
    }
    if shard >= SHARDS {
        return refuse::<S>(Refusal::Malformed);
    }
    if let Some(refusal) = meet::estrangement(turn, origin)? {
        return refuse::<S>(refusal);
    }
    let key = key::cursor(origin, shard);
    let old = turn.read::<Cursor>(&key)?;
    if old.is_some_and(|old| (old.epoch, old.seq) >= (epoch, seq)) {
        return Ok(Reply::Nothing);
    }
    let version = None;
    let cursor = Cursor {
        epoch,
        seq,
        version,
    };
    turn.put(&key, &cursor)?;
    meet::copied(turn, origin)?;
    heartbeat::copied(turn, origin, shard, seq)?;
    Ok(Reply::Done {
        version: turn.version,
    })
}

const fn outcome<S: Write>(turn: &Turn<'_, S>) -> Reply {
    if turn.is_changed() {
        Reply::Done {
            version: turn.version,
        }
    } else {
        Reply::Nothing
    }
}

/// Whether events are of the region and the shard that they are said to be of, consecutive, and each newer
/// than the one before: marks say so of all that is merged. No event has the `seq` 0.
fn is_well_formed(new: &RemoteEvents) -> bool {
    let are_ours = new.events.iter().all(|event| {
        event.seq > 0 && event.version.region == new.origin && is_of_shard(event, new.shard)
    });
    let mut pairs = new.events.windows(2);
    new.shard < SHARDS
        && are_ours
        && pairs.all(|pair| {
            Some(pair[1].seq) == pair[0].seq.checked_add(1) && pair[0].version < pair[1].version
        })
}

/// A heartbeat is of any shard.
fn is_of_shard(event: &RemoteEvent, shard: u16) -> bool {
    matches!(event.event, Event::Heartbeat { .. })
        || shard_of(event.registry, event.event.repository()) == shard
}

fn merge<S: Write>(turn: &mut Turn<'_, S>, from: EventId, remote: &RemoteEvent) -> Result<(), S> {
    let (version, id) = (remote.version, remote.registry);
    turn.absorb(version);
    let at = |repository| Place::new(id, repository);
    match &remote.event {
        Event::RegistryCreated { name } => match name.parse() {
            Ok(name) => registry::claim(turn, id, &name),
            // What is no name bears none.
            Err(_) => Ok(()),
        },
        Event::ManifestPut {
            repository,
            manifest,
            media_type,
            tags,
            blobs,
            children,
            subject: _,
        } => {
            let put = Put {
                version,
                manifest: *manifest,
                media_type,
                tags,
                blobs,
                children,
                body: remote.body.as_ref(),
            };
            merge::put(turn, &at(repository), &put)?;
            let notice = Notice {
                push: from,
                repository: repository.clone(),
                manifest: *manifest,
                media_type: media_type.clone(),
                tags: tags.clone(),
            };
            turn.pushes.push(Push {
                registry: id,
                notice,
                regions: Vec::new(),
                waits: Vec::new(),
            });
            Ok(())
        }
        Event::ManifestDeleted { repository, digest } => {
            merge::delete(turn, &at(repository), *digest, version)
        }
        Event::TagDeleted {
            repository, tag, ..
        } => tag::join(turn, &at(repository), tag, version, None),
        Event::BlobPut {
            repository, blob, ..
        } => link::raise(turn, &at(repository), blob.digest, version),
        Event::BlobDeleted { repository, digest } => {
            link::end_lease(turn, &at(repository), *digest, version)
        }
        Event::Heartbeat { marks } => {
            heartbeat::hear(turn, (from.region, from.shard), version, marks)
        }
        Event::Replicated(_) | Event::ReplicatedAll { .. } => Ok(()),
        Event::AttributesSet {
            repository,
            target,
            attributes,
        } => {
            let settings = attributes::stamp(*attributes, version);
            attributes::join(turn, &at(repository), target, settings)
        }
        Event::RepositoryDeleted { repository } => repository::join(turn, &at(repository), version),
        Event::WebhookSet { name, registration } => {
            let registration = registration.as_deref().cloned();
            webhook::join(turn, id, name, version, registration)
        }
    }
}
