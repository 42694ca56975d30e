//! Whether there is room for a write.
//!
//! Owns the door before the group: below the reserve a command that makes the state grow is refused
//! before it is proposed, so that what deletes, collects, acknowledges and purges finds room to the
//! end. And while a write of the log itself waits for room, nothing is proposed at all: it would
//! only wait in memory, of which there is less. Leaves to [`Reserve`] when there is room again.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use meridian_catalog::{BlobPlace, Command, Found, ManifestBody};
use meridian_chassis::config::ByteSize;
use meridian_chassis::{Reserve, Room};
use meridian_clients::WriteError;
use meridian_event::Event;
use tokio::sync::watch;

use crate::patience::Patience;
use crate::state::State;

/// The reserve takes no more of a small disk than one part in so many.
const SHARE: u64 = 20;

/// The door.
pub(crate) struct Door {
    folder: OwnedFd,
    reserve: Reserve,
    state: State,
    /// Of the writes of the log.
    patience: Patience,
}

/// The bytes of manifests that come with what other regions did.
fn bodies<'c>(all: impl Iterator<Item = &'c Option<ManifestBody>>) -> u64 {
    all.flatten().map(|body| body.bytes.len() as u64).sum()
}

const fn found(found: &Found) -> &Option<ManifestBody> {
    match found {
        Found::Manifest { cell, .. } => &cell.body,
        Found::Registry { .. }
        | Found::Tag { .. }
        | Found::Repository { .. }
        | Found::Attributes { .. }
        | Found::Webhook { .. } => &None,
    }
}

/// Whether an event takes something away, or changes nothing. What it leaves behind to say so is small.
const fn takes_away(event: &Event) -> bool {
    match event {
        Event::ManifestDeleted { .. }
        | Event::TagDeleted { .. }
        | Event::BlobDeleted { .. }
        | Event::Replicated(_)
        | Event::ReplicatedAll { .. }
        | Event::Heartbeat { .. }
        | Event::AttributesSet { .. }
        | Event::RepositoryDeleted { .. } => true,
        Event::WebhookSet { registration, .. } => registration.is_none(),
        Event::RegistryCreated { .. } | Event::ManifestPut { .. } | Event::BlobPut { .. } => false,
    }
}

/// About how many bytes a command adds for good; `None` if it takes away, or a start needs it.
fn growth(command: &Command) -> Option<u64> {
    let inline = |place: &BlobPlace| match place {
        BlobPlace::Inline(bytes) => bytes.len() as u64,
        BlobPlace::Stored(_) => 0,
    };
    match command {
        Command::PutManifest(manifest) => Some(manifest.bytes.len() as u64),
        Command::PutBlob { place, .. } => Some(inline(place)),
        Command::RecordBlob(blob) => Some(inline(&blob.place)),
        Command::StoreBlob(blob) => Some(inline(&blob.place)),
        // Where there is no room, deletions come from other regions all the same.
        Command::ApplyRemote(all) if all.events.iter().all(|it| takes_away(&it.event)) => None,
        Command::ApplyRemote(all) => Some(bodies(all.events.iter().map(|event| &event.body))),
        Command::MergeFound(all) => Some(bodies(all.iter().map(found))),
        Command::StoreManifest(arrived) => Some(arrived.body.bytes.len() as u64),
        Command::MountBlob { .. }
        | Command::LeaseBlob { .. }
        | Command::ReserveGenerations { .. } => Some(0),
        Command::PutWebhook(new) => Some(new.sealed.0.len() as u64),
        // What is not delivered has to be kept, or it is lost.
        Command::Deliver(_) | Command::DeleteWebhook { .. } => None,
        Command::Initialize { .. }
        | Command::CreateRegistry { .. }
        | Command::FoundRegistry { .. }
        | Command::SetCursor { .. }
        | Command::Configure(_)
        // A lease that is renewed is no longer than before.
        | Command::TouchBlob { .. }
        // What is locked must be unlocked to be deleted.
        | Command::SetAttributes { .. }
        | Command::DeleteManifest { .. }
        | Command::DeleteTag { .. }
        | Command::DeleteRepository { .. }
        | Command::DeleteBlob { .. }
        | Command::Collect(_)
        | Command::Sweep
        | Command::SetPeers(_)
        | Command::Meet(_)
        | Command::Level { .. }
        | Command::Drain(_)
        | Command::Heartbeat { .. }
        | Command::Acknowledge { .. } => None,
    }
}

// === impl Door ===

impl Door {
    /// The door of a group with its `state` in `folder`, of whose disk `min_free` stays free. Its log
    /// has that `patience`.
    pub(crate) fn new(
        folder: &Path,
        min_free: ByteSize,
        state: State,
        patience: Patience,
    ) -> io::Result<Self> {
        Ok(Self {
            folder: File::open(folder)?.into(),
            reserve: Reserve::new("the metadata", min_free, SHARE),
            state,
            patience,
        })
    }

    /// Refuses a command for which there is no room.
    pub(crate) fn admit(&self, command: &Command) -> Result<(), WriteError> {
        let growth = growth(command);
        self.look(growth.unwrap_or(0));
        if self.patience.is_tried() || (growth.is_some() && self.reserve.is_low()) {
            return Err(WriteError::NoRoom);
        }
        Ok(())
    }

    /// Whether there is room to grow, and the log does not wait for any.
    pub(crate) fn has_room(&self) -> bool {
        !self.patience.is_tried() && !self.reserve.is_low()
    }

    /// Looks at the disk, if that was long ago. What is still to be flushed takes room as well: a
    /// flush must not eat into the reserve.
    pub(crate) fn look(&self, growth: u64) {
        if !self.reserve.is_due(growth) {
            return;
        }
        match rustix::fs::fstatvfs(&self.folder) {
            Ok(room) => self.reserve.look(Room {
                free: (room.f_bavail.saturating_mul(room.f_frsize))
                    .saturating_sub(self.state.waiting() as u64),
                total: room.f_blocks.saturating_mul(room.f_frsize),
            }),
            Err(error) => tracing::warn!(%error, "the room on the metadata's disk is not known"),
        }
    }

    /// Changes whenever room runs out or is back.
    pub(crate) fn turns(&self) -> watch::Receiver<bool> {
        self.reserve.turns()
    }
}

#[cfg(test)]
mod tests {
    use meridian_catalog::{RemoteEvent, RemoteEvents};
    use meridian_clock::Version;
    use meridian_event::{Leaf, RegistryId};
    use meridian_oci::{Algorithm, Digest};

    use super::*;

    #[test]
    fn nothing_stays_locked_for_want_of_room() {
        let unlock = Command::SetAttributes {
            registry: "default".parse().unwrap(),
            repository: "team/app".parse().unwrap(),
            target: meridian_event::Target::Repository,
            attributes: meridian_event::Attributes::default(),
        };
        assert_eq!(growth(&unlock), None);
    }

    #[test]
    fn deletions_of_another_region_need_no_room() {
        let digest = Digest::of(Algorithm::Sha256, b"it");
        let deleted = Event::ManifestDeleted {
            repository: "team/app".parse().unwrap(),
            digest,
        };
        let put = Event::BlobPut {
            repository: "team/app".parse().unwrap(),
            blob: Leaf { digest, size: 2 },
            mounted_from: None,
        };
        let growth = |events: &[&Event]| {
            let registry = RegistryId::first();
            let remote = |(event, seq): (&&Event, u64)| RemoteEvent {
                seq,
                version: Version {
                    millis: seq,
                    ..registry.version()
                },
                registry,
                event: (*event).clone(),
                body: None,
            };
            growth(&Command::ApplyRemote(Box::new(RemoteEvents {
                origin: "us".parse().unwrap(),
                epoch: 1,
                shard: 0,
                events: events.iter().zip(1..).map(remote).collect(),
            })))
        };
        assert_eq!(growth(&[&deleted, &deleted]), None);
        assert_eq!(growth(&[&deleted, &put]), Some(0));
    }
}
