//! How regions know each other.

use meridian_clock::Version;
use meridian_event::SHARDS;
use meridian_proto::meridian::content::v1 as content;
use meridian_proto::meridian::replication::v1 as pb;
use meridian_proto::{DecodeError, required, text, version};

use super::super::Result;
use super::shard;
use crate::replica::{Acquaintance, Progress, Removal, Stance};

impl From<Stance> for pb::Stance {
    fn from(stance: Stance) -> Self {
        let floors = stance.floors.into_iter().map(|(shard, version)| pb::Floor {
            shard: shard.into(),
            version: Some(version.into()),
        });
        let peers = stance.peers.into_iter().map(|peer| pb::Acquaintance {
            region: peer.region.to_string(),
            born: peer.born.map(Into::into),
            since: Some(peer.since.into()),
            accepted: peer.accepted.map(Into::into),
            open: peer.is_open,
            uncopied: peer.is_uncopied,
        });
        let removals = stance.removals.into_iter().map(|removal| pb::Removal {
            removed: removal.removed.to_string(),
            born: removal.born.map(Into::into),
            with: removal.with.to_string(),
            copied: removal.is_copied,
        });
        Self {
            born: stance.born.map(Into::into),
            last: stance.last.map(Into::into),
            joining: stance.is_joining,
            floors: floors.collect(),
            peers: peers.collect(),
            removals: removals.collect(),
        }
    }
}

impl TryFrom<pb::Stance> for Stance {
    type Error = DecodeError;

    fn try_from(value: pb::Stance) -> Result<Self> {
        if value.floors.len() > usize::from(SHARDS) {
            return Err(DecodeError::Invalid("stance.floors"));
        }
        let floors = value.floors.into_iter().map(|floor| {
            let shard = shard(floor.shard, "stance.floor.shard")?;
            Ok((shard, version(floor.version, "stance.floor.version")?))
        });
        let peers = value.peers.into_iter().map(|peer| {
            Ok(Acquaintance {
                region: text(&peer.region, "stance.peer.region")?,
                born: maybe(peer.born, "stance.peer.born")?,
                since: version(peer.since, "stance.peer.since")?,
                accepted: maybe(peer.accepted, "stance.peer.accepted")?,
                is_open: peer.open,
                is_uncopied: peer.uncopied,
            })
        });
        let removals = value.removals.into_iter().map(|removal| {
            Ok(Removal {
                removed: text(&removal.removed, "stance.removal.removed")?,
                born: maybe(removal.born, "stance.removal.born")?,
                with: text(&removal.with, "stance.removal.with")?,
                is_copied: removal.copied,
            })
        });
        Ok(Self {
            born: maybe(value.born, "stance.born")?,
            last: maybe(value.last, "stance.last")?,
            is_joining: value.joining,
            floors: floors.collect::<Result<_>>()?,
            peers: peers.collect::<Result<_>>()?,
            removals: removals.collect::<Result<_>>()?,
        })
    }
}

/// Reads what a region says.
///
/// # Errors
///
/// When a field means nothing.
pub fn take_meet_request(request: pb::MeetRequest) -> Result<Progress> {
    required(request.progress, "progress")?.try_into()
}

/// Of what is to be noted that it is merged, or that both know the same.
#[must_use]
pub fn level_request(removal: Removal) -> pb::LevelRequest {
    pb::LevelRequest {
        removed: removal.removed.to_string(),
        born: removal.born.map(Into::into),
        with: removal.with.to_string(),
        done: removal.is_copied,
    }
}

/// Reads which region was removed, and who is no more to be asked about it.
///
/// # Errors
///
/// When one of them is no region.
pub fn take_level_request(request: pb::LevelRequest) -> Result<Removal> {
    Ok(Removal {
        removed: text(&request.removed, "removed")?,
        born: maybe(request.born, "born")?,
        with: text(&request.with, "with")?,
        is_copied: request.done,
    })
}

fn maybe(value: Option<content::Version>, field: &'static str) -> Result<Option<Version>> {
    value.map(|value| version(Some(value), field)).transpose()
}
