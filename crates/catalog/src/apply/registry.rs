//! The region's state as a whole, and its registries.
//!
//! A name belongs to the oldest of the registries that were created with it, whatever the order in
//! which a region hears of them; each of the others is called after the name and its own id, unless a
//! registry was created under just that name: then it bears none, and is reached by its id.

use meridian_clock::{Region, Version};
use meridian_event::{Event, RegistryId, SHARDS};
use meridian_oci::RegistryName;

use super::guard::{self, Guard};
use super::turn::Turn;
use super::{Result, outbox, refuse};
use crate::row::{Claim, Row, Stream, System, Usage};
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
        forgotten: None,
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

/// Begins with a registry that has its id from elsewhere. A registry of this region that bears the
/// name keeps it: who is asked to found one does not mean to take another one's place.
pub(super) fn found<S: Write>(
    turn: &mut Turn<'_, S>,
    id: RegistryId,
    name: &RegistryName,
) -> Result<Reply, S> {
    match turn.registry(name)? {
        Some(bearer) if bearer == id => Ok(Reply::Nothing),
        Some(_) => refuse::<S>(Refusal::RegistryExists),
        None if turn.is_ahead(id.version()) => refuse::<S>(Refusal::Ahead(id.version())),
        None => {
            turn.absorb(id.version());
            claim(turn, id, name)?;
            Ok(if turn.is_changed() {
                Reply::Done {
                    version: turn.version,
                }
            } else {
                Reply::Nothing
            })
        }
    }
}

/// Merges that a registry was created with a name.
pub(super) fn claim<S: Write>(
    turn: &mut Turn<'_, S>,
    id: RegistryId,
    name: &RegistryName,
) -> Result<(), S> {
    let bearer = turn.registry(name)?;
    if bearer == Some(id) || turn.exists(&key::claim(id))? {
        return Ok(());
    }
    if !turn.exists(&key::usage(id))? {
        turn.put(&key::usage(id), &Usage::default())?;
    }
    let Some(bearer) = bearer else {
        return turn.put(&key::registry_name(name.as_str()), &id);
    };
    // Whoever bears a name that it was not created with gives way to one that was.
    let is_alias = turn.exists(&key::claim(bearer))?;
    if is_alias || id < bearer && guard::stands(Guard::OldestBearsName) {
        turn.put(&key::registry_name(name.as_str()), &id)?;
        return if is_alias {
            Ok(())
        } else {
            rename(turn, bearer, name)
        };
    }
    rename(turn, id, name)
}

/// Has a registry bear another name than the one that it was created with, if that is free.
fn rename<S: Write>(turn: &mut Turn<'_, S>, id: RegistryId, name: &RegistryName) -> Result<(), S> {
    let claim = Claim { name: name.clone() };
    turn.put(&key::claim(id), &claim)?;
    let Some(alias) = alias(id, name) else {
        return Ok(());
    };
    let is_free = match turn.registry(&alias)? {
        None => true,
        Some(bearer) => id < bearer && turn.exists(&key::claim(bearer))?,
    };
    if is_free {
        turn.put(&key::registry_name(alias.as_str()), &id)?;
    }
    Ok(())
}

/// What a registry is called whose name an older one bears: the name, as much of it as fits, and
/// the id.
fn alias(id: RegistryId, name: &RegistryName) -> Option<RegistryName> {
    let suffix = format!("-{id}");
    let room = RegistryName::MAX_BYTES.checked_sub(suffix.len())?;
    let name = name.as_str();
    let kept = name[..name.len().min(room)].trim_end_matches('-');
    format!("{kept}{suffix}").parse().ok()
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
