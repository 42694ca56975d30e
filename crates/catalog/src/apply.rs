//! One entry of the log, applied.
//!
//! Owns the frame of every command: requests take effect once, versions rise, what a command causes
//! is worked off, effects are answered and remembered. What each command does stands in the modules
//! below; each of them looks at all that it needs before it changes anything, so that a refused
//! command leaves no trace.

mod agenda;
mod attributes;
mod blob;
mod collect;
mod delivery;
mod drain;
mod floor;
pub(crate) mod guard;
mod heartbeat;
mod lock;
mod manifest;
mod meet;
mod notice;
mod object;
mod outbox;
mod place;
mod registry;
mod remote;
mod repository;
mod request;
mod tag;
mod turn;
mod upload;
mod webhook;

use meridian_clock::Version;

use crate::access::read;
use crate::row::{Answer, System};
use crate::{CatalogError, Command, Entry, Refusal, Reply, Write, key};
use turn::Turn;
use upload::Upload;

type Result<T, S> = std::result::Result<T, CatalogError<<S as crate::Read>::Error>>;

/// Applies one entry. Every replica that applies the same entries to the same state ends in the
/// same state and gives the same replies.
///
/// # Errors
///
/// When the storage fails or holds a damaged row. The state is then half advanced: the caller
/// must give up the whole transaction, and the replica.
pub fn apply<S: Write>(store: &mut S, entry: &Entry) -> Result<Reply, S> {
    let Some(system) = read::<System, S>(store, key::SYSTEM)? else {
        return registry::initialize(store, entry);
    };
    if let Some(request) = entry.request
        && let Some(answer) = read::<Answer, S>(store, &key::request(request))?
    {
        return Ok(answer.reply);
    }
    let version = Version::next(Some(system.last), entry.millis, system.region);
    let mut turn = Turn::new(store, system, version, entry);
    let reply = dispatch(&mut turn, &entry.command)?;
    if !matches!(reply, Reply::Refused(_) | Reply::Nothing) {
        agenda::work_off(&mut turn)?;
        notice::tell_of_pushes(&mut turn)?;
        request::remember(&mut turn, entry.request, &reply)?;
        turn.close()?;
    }
    Ok(reply)
}

fn dispatch<S: Write>(turn: &mut Turn<'_, S>, command: &Command) -> Result<Reply, S> {
    match command {
        Command::Initialize { region, .. } => Ok(registry::initialized(turn, *region)),
        Command::Configure(settings) => Ok(registry::configure(turn, *settings)),
        Command::CreateRegistry { name } => registry::create(turn, name),
        Command::PutManifest(new) => manifest::put(turn, new),
        Command::DeleteManifest {
            registry,
            repository,
            digest,
            condition,
        } => manifest::delete(turn, registry, repository, *digest, *condition),
        Command::DeleteTag {
            registry,
            repository,
            tag,
            condition,
        } => tag::delete(turn, registry, repository, tag, *condition),
        Command::PutBlob {
            registry,
            repository,
            blob,
            encoding,
            place,
        } => {
            let upload = Upload {
                leaf: *blob,
                encoding: *encoding,
                place,
                owner: None,
                instead_of: None,
                asks_what_is_kept: false,
            };
            blob::put(turn, registry, repository, &upload)
        }
        Command::RecordBlob(new) => {
            let upload = Upload::from(&**new);
            blob::put(turn, &new.registry, &new.repository, &upload)
        }
        Command::MountBlob {
            registry,
            repository,
            from,
            digest,
        } => blob::mount(turn, registry, repository, from.as_ref(), *digest),
        Command::TouchBlob {
            registry,
            repository,
            digest,
        } => blob::touch(turn, registry, repository, *digest),
        Command::DeleteBlob {
            registry,
            repository,
            digest,
        } => blob::delete(turn, registry, repository, *digest),
        Command::ReserveGenerations { count } => Ok(registry::reserve(turn, *count)),
        Command::Collect(step) => collect::step(turn, step),
        Command::Sweep => agenda::sweep(turn),
        Command::Acknowledge { epoch, through } => outbox::acknowledge(turn, *epoch, through),
        Command::ApplyRemote(events) => remote::apply(turn, events),
        Command::StoreManifest(arrived) => remote::store(turn, arrived),
        Command::StoreBlob(arrived) => blob::store(turn, arrived),
        Command::MergeFound(found) => remote::merge_found(turn, found),
        Command::FoundRegistry { id, name } => registry::found(turn, *id, name),
        Command::SetCursor {
            origin,
            shard,
            epoch,
            seq,
        } => remote::set_cursor(turn, *origin, *shard, (*epoch, *seq)),
        Command::LeaseBlob {
            registry,
            repository,
            digest,
        } => blob::lend(turn, *registry, repository, *digest),
        Command::SetPeers(regions) => heartbeat::set_peers(turn, regions),
        Command::Heartbeat { is_full } => heartbeat::beat(turn, *is_full),
        Command::Meet(introduction) => meet::meet(turn, introduction),
        Command::Level {
            removed,
            born,
            with,
            is_done,
        } => meet::level(turn, (*removed, *born), *with, *is_done),
        Command::SetAttributes {
            registry,
            repository,
            target,
            attributes,
        } => attributes::set(turn, registry, repository, target, *attributes),
        Command::DeleteRepository {
            registry,
            repository,
        } => repository::delete(turn, registry, repository),
        Command::PutWebhook(new) => webhook::put(turn, new),
        Command::DeleteWebhook { registry, name } => webhook::delete(turn, registry, name),
        Command::Deliver(step) => delivery::step(turn, step),
        Command::Drain(drain) => drain::set(turn, drain.as_ref()),
    }
}

/// A refusal, as an answer.
const fn refuse<S: Write>(refusal: Refusal) -> Result<Reply, S> {
    Ok(Reply::Refused(refusal))
}
