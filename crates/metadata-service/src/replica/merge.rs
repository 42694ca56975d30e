//! What happened in another region, merged.
//!
//! Events go into the log in their order, in parts that an entry can carry, and with them the
//! manifests that they put, as far as they are at hand and not here yet. Keeps the invariant that a
//! manifest which cannot be read holds nobody up: it is left out, and stays wanted.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::try_join_all;
use meridian_catalog::{Command, ManifestBody, Refusal, RemoteEvent, RemoteEvents, Reply, query};
use meridian_clients::WriteError;
use meridian_clients::replica::{CursorAt, ManifestBytes, Merged, Place, RemoteBatch};
use meridian_clock::Region;
use meridian_event::{Envelope, Event, EventId, RegistryId};
use meridian_oci::{Digest, MediaType, RepositoryName};

use super::events::place;
use super::keep::{self, Arrivals};
use super::{PART_BYTES, body};
use crate::changes::View;
use crate::group::Group;
use crate::read::failed;
use crate::write::{self, malformed};

type Result<T> = std::result::Result<T, WriteError>;

/// A shard of another region's events.
#[derive(Debug, Clone, Copy)]
struct Stream {
    origin: Region,
    epoch: u64,
    shard: u16,
}

/// The manifests of a batch.
struct Bodies<'b> {
    /// The state before the batch.
    view: View,
    manifests: &'b [ManifestBytes],
    /// Those that go with an event, and where to.
    attached: BTreeSet<(RegistryId, RepositoryName, Digest)>,
    /// Those that cannot be read.
    unreadable: BTreeSet<(RegistryId, Digest)>,
}

/// Merges a batch.
pub(super) async fn merge(group: &Group, batch: &RemoteBatch) -> Result<Merged> {
    let stream = Stream::of(&batch.events)?;
    let mut bodies = Bodies::new(group.view(), &batch.manifests);
    let merged = merge_events(group, stream, &batch.events, &mut bodies).await?;
    keep::store_all(group, &bodies.arrivals(&batch.events)).await?;
    match merged {
        Some(seq) => Ok(Merged::Through(Place {
            epoch: stream.epoch,
            seq,
        })),
        None => cursor(group, stream).await.map(Merged::Refused),
    }
}

/// Proposes the events part by part, as far as they are accepted. Returns the last that is merged,
/// if any was.
async fn merge_events(
    group: &Group,
    stream: Stream,
    events: &[Arc<Envelope>],
    bodies: &mut Bodies<'_>,
) -> Result<Option<u64>> {
    let (mut merged, mut rest) = (None, events);
    while !rest.is_empty() {
        let part;
        (part, rest) = bodies.part(stream, rest);
        match group
            .propose(None, Command::ApplyRemote(Box::new(part)))
            .await
        {
            Ok(Reply::Merged { seq, is_stopped }) => {
                merged = Some(seq);
                if is_stopped {
                    break;
                }
            }
            // They were before.
            Ok(Reply::Nothing) => {}
            Ok(Reply::Refused(
                Refusal::Gap { .. } | Refusal::EpochUnknown { .. } | Refusal::Ahead(_),
            )) => break,
            Ok(other) => return Err(write::refused(other)),
            // What is merged is merged: whoever asked goes on from there.
            Err(_) if merged.is_some() => break,
            Err(error) => return Err(error),
        }
    }
    Ok(merged)
}

/// Where the cursor of a stream stands.
async fn cursor(group: &Group, stream: Stream) -> Result<Place> {
    let view = group.read().await?;
    let cursor = query::cursor(&view, stream.origin, stream.shard).map_err(failed)?;
    Ok(cursor.map_or(Place::START, place))
}

/// Moves cursors forward.
pub(super) async fn set_cursors(group: &Group, cursors: Vec<CursorAt>) -> Result<()> {
    let set = cursors.into_iter().map(|cursor| async move {
        let command = Command::SetCursor {
            origin: cursor.origin,
            shard: cursor.shard,
            epoch: cursor.place.epoch,
            seq: cursor.place.seq,
        };
        write::done_or_nothing(group.propose(None, command).await?)
    });
    try_join_all(set).await.map(drop)
}

/// What is merged of an event: all of it.
fn told(event: &Event) -> Event {
    fail::fail_point!("meta.merge.skip_tags", |_| {
        let mut event = event.clone();
        if let Event::ManifestPut { tags, .. } = &mut event {
            tags.clear();
        }
        event
    });
    event.clone()
}

/// About how many bytes an event takes in the log.
fn weight(event: &Event) -> usize {
    let variable = match event {
        Event::ManifestPut {
            tags,
            blobs,
            children,
            ..
        } => 128 * tags.len() + 72 * (blobs.len() + children.len()),
        _ => 0,
    };
    512 + variable
}

// === impl Stream ===

impl Stream {
    /// The stream whose events these are, one after the other.
    fn of(events: &[Arc<Envelope>]) -> Result<Self> {
        let first = events
            .first()
            .ok_or_else(|| malformed("there is nothing"))?;
        let EventId {
            region: origin,
            epoch,
            shard,
            seq,
        } = first.id;
        let stream = Self {
            origin,
            epoch,
            shard,
        };
        let seqs = (0..).map(|nth| seq.checked_add(nth));
        let are_its = events.iter().zip(seqs).all(|(event, seq)| {
            let EventId { region, .. } = event.id;
            (region, event.id.epoch, event.id.shard) == (origin, epoch, shard)
                && Some(event.id.seq) == seq
        });
        if are_its {
            Ok(stream)
        } else {
            Err(malformed("it is of several shards, or not consecutive"))
        }
    }
}

// === impl Bodies ===

impl<'b> Bodies<'b> {
    fn new(view: View, manifests: &'b [ManifestBytes]) -> Self {
        Self {
            view,
            manifests,
            attached: BTreeSet::new(),
            unreadable: BTreeSet::new(),
        }
    }

    /// The first of the events, as many as one entry carries, and the rest of them.
    fn part<'e>(
        &mut self,
        stream: Stream,
        events: &'e [Arc<Envelope>],
    ) -> (RemoteEvents, &'e [Arc<Envelope>]) {
        let (mut part, mut bytes) = (Vec::new(), 0);
        for envelope in events {
            let body = self.attach(envelope);
            part.push(RemoteEvent {
                seq: envelope.id.seq,
                version: envelope.version,
                registry: envelope.registry,
                event: told(&envelope.event),
                body,
            });
            let body = part.last().and_then(|event| event.body.as_ref());
            bytes += weight(&envelope.event) + body.map_or(0, body::weight);
            if bytes >= PART_BYTES {
                break;
            }
        }
        let rest = &events[part.len()..];
        let part = RemoteEvents {
            origin: stream.origin,
            epoch: stream.epoch,
            shard: stream.shard,
            events: part,
        };
        (part, rest)
    }

    /// The manifest that an event puts, if it is at hand, and not here or on its way already.
    fn attach(&mut self, envelope: &Envelope) -> Option<ManifestBody> {
        let Event::ManifestPut {
            repository,
            manifest,
            media_type,
            ..
        } = &envelope.event
        else {
            return None;
        };
        let (registry, digest) = (envelope.registry, manifest.digest);
        let bytes = self.bytes(registry, digest)?;
        let is_here = query::body(&self.view, registry, repository, digest, |_| ());
        let name = (registry, repository.clone(), digest);
        if matches!(is_here, Ok(Some(()))) || !self.attached.insert(name) {
            return None;
        }
        self.read((registry, digest), media_type, &bytes)
    }

    fn read(
        &mut self,
        name: (RegistryId, Digest),
        media_type: &MediaType,
        bytes: &Bytes,
    ) -> Option<ManifestBody> {
        if self.unreadable.contains(&name) {
            return None;
        }
        match body::read(name.1, Some(media_type), bytes) {
            Ok(body) => Some(body),
            Err(reason) => {
                keep::leave_out(name, &reason);
                self.unreadable.insert(name);
                None
            }
        }
    }

    fn bytes(&self, registry: RegistryId, digest: Digest) -> Option<Bytes> {
        let mut manifests = self.manifests.iter();
        let found = manifests.find(|it| it.registry == registry && it.digest == digest);
        found.map(|manifest| manifest.bytes.clone())
    }

    /// What may still be wanted after the events: manifests whose events were merged before, or that
    /// other repositories want as well, or that are described anew.
    fn arrivals(&self, events: &[Arc<Envelope>]) -> Arrivals {
        let puts = events.iter().filter_map(|envelope| match &envelope.event {
            Event::ManifestPut { manifest, .. } => {
                Some(((envelope.registry, manifest.digest), None))
            }
            _ => None,
        });
        let at_hand = self.manifests.iter().map(|manifest| {
            let name = (manifest.registry, manifest.digest);
            (name, Some(manifest.bytes.clone()))
        });
        let mut arrivals: Arrivals = puts.chain(at_hand).collect();
        arrivals.retain(|name, _| !self.unreadable.contains(name));
        arrivals
    }
}
