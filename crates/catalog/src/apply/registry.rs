//! The region's state as a whole, and its registries.

use meridian_clock::{Region, Version};
use meridian_event::{Event, RegistryId, SHARDS};
use meridian_oci::RegistryName;

use super::turn::Turn;
use super::{Result, outbox, refuse};
use crate::row::{Row, Stream, System, Usage};
use crate::{CatalogError, Command, Entry, Refusal, Reply, Settings, Write, key};

/// The first generation. Zero is left free, so that it never names an object.
const FIRST_GENERATION: u64 = 1;

/// Makes an empty state into a region's.
pub(super) fn initialize<S: Write>(store: &mut S, entry: &Entry) -> Result<Reply, S> {
    let Command::Initialize {
        region,
        epoch,
        settings,
    } = &entry.command
    else {
        return refuse::<S>(Refusal::NotInitialized);
    };
    let version = Version::next(None, entry.millis, *region);
    let system = System {
        region: *region,
        epoch: *epoch,
        last: version,
        next_generation: FIRST_GENERATION,
        requests: 0,
        settings: *settings,
    };
    let stream = Stream {
        epoch: *epoch,
        next: 1,
        acknowledged: 0,
    };
    for shard in 0..SHARDS {
        let put = store.put(&key::stream(shard), &stream.encode());
        put.map_err(CatalogError::Store)?;
    }
    let put = store.put(key::SYSTEM, &system.encode());
    put.map_err(CatalogError::Store)?;
    Ok(Reply::Done { version })
}

/// Answers an initialization that came too late: harmless, if it meant this region.
pub(super) fn initialized<S: Write>(turn: &Turn<'_, S>, region: Region) -> Reply {
    if turn.system.region == region {
        Reply::Nothing
    } else {
        Reply::Refused(Refusal::OtherRegion(turn.system.region))
    }
}

/// Changes the settings.
pub(super) fn configure<S: Write>(turn: &mut Turn<'_, S>, settings: Settings) -> Reply {
    if turn.system.settings == settings {
        return Reply::Nothing;
    }
    turn.system.settings = settings;
    Reply::Done {
        version: turn.version,
    }
}

/// Creates a registry.
pub(super) fn create<S: Write>(turn: &mut Turn<'_, S>, name: &RegistryName) -> Result<Reply, S> {
    if turn.registry(name)?.is_some() {
        return refuse::<S>(Refusal::RegistryExists);
    }
    let id = RegistryId::new(turn.version);
    turn.put(&key::registry_name(name.as_str()), &id)?;
    turn.put(&key::usage(id), &Usage::default())?;
    let event = Event::RegistryCreated {
        name: name.as_str().into(),
    };
    outbox::emit(turn, id, event)
}

/// Reserves generations, which are never given again under this epoch.
pub(super) fn reserve<S: Write>(turn: &mut Turn<'_, S>, count: u64) -> Reply {
    let first = turn.system.next_generation;
    let Some(next) = first.checked_add(count) else {
        return Reply::Refused(Refusal::GenerationsExhausted);
    };
    turn.system.next_generation = next;
    Reply::Reserved {
        epoch: turn.system.epoch,
        first,
        count,
    }
}
