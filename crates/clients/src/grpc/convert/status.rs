//! How far a region is with what others did.

use std::time::Duration;

use meridian_proto::meridian::replication::v1 as pb;
use meridian_proto::{DecodeError, registry, required, text};

use super::Result;
use crate::regions::{
    IncompleteImages, PeerStatus, RegistryStatus, ReplicationStatus, StreamStatus,
};

impl From<ReplicationStatus> for pb::GetReplicationStatusResponse {
    fn from(status: ReplicationStatus) -> Self {
        Self {
            region: status.region.to_string(),
            peers: status.peers.into_iter().map(Into::into).collect(),
            registries: status.registries.into_iter().map(Into::into).collect(),
            incomplete: status.incomplete.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<pb::GetReplicationStatusResponse> for ReplicationStatus {
    type Error = DecodeError;

    fn try_from(value: pb::GetReplicationStatusResponse) -> Result<Self> {
        let peers = value.peers.into_iter().map(TryInto::try_into);
        let registries = value.registries.into_iter().map(TryInto::try_into);
        let incomplete = value.incomplete.into_iter().map(TryInto::try_into);
        Ok(Self {
            region: text(&value.region, "region")?,
            peers: peers.collect::<Result<_>>()?,
            registries: registries.collect::<Result<_>>()?,
            incomplete: incomplete.collect::<Result<_>>()?,
        })
    }
}

impl From<PeerStatus> for pb::PeerStatus {
    fn from(peer: PeerStatus) -> Self {
        Self {
            region: peer.region.to_string(),
            answers: peer.answers,
            fresh_millis: peer.fresh.map(millis),
            streams: peer.streams.into_iter().map(Into::into).collect(),
            events: peer.events,
            age_millis: peer.age.map(millis),
            bodies: peer.bodies,
            bytes: peer.bytes,
            bytes_per_second: peer.bytes_per_second,
            eta_millis: peer.eta.map(millis),
            lies: peer.lies,
            failure: peer.failure,
        }
    }
}

impl TryFrom<pb::PeerStatus> for PeerStatus {
    type Error = DecodeError;

    fn try_from(value: pb::PeerStatus) -> Result<Self> {
        let streams = value.streams.into_iter().map(TryInto::try_into);
        Ok(Self {
            region: text(&value.region, "peers.region")?,
            answers: value.answers,
            fresh: value.fresh_millis.map(Duration::from_millis),
            streams: streams.collect::<Result<_>>()?,
            events: value.events,
            age: value.age_millis.map(Duration::from_millis),
            bodies: value.bodies,
            bytes: value.bytes,
            bytes_per_second: value.bytes_per_second,
            eta: value.eta_millis.map(Duration::from_millis),
            lies: value.lies,
            failure: value.failure,
        })
    }
}

impl From<StreamStatus> for pb::StreamStatus {
    fn from(stream: StreamStatus) -> Self {
        Self {
            shard: stream.shard.into(),
            cursor: Some(stream.cursor.into()),
            head: stream.head.map(Into::into),
            alarm: stream.alarm,
        }
    }
}

impl TryFrom<pb::StreamStatus> for StreamStatus {
    type Error = DecodeError;

    fn try_from(value: pb::StreamStatus) -> Result<Self> {
        let shard = u16::try_from(value.shard);
        Ok(Self {
            shard: shard.map_err(|_| DecodeError::Invalid("streams.shard"))?,
            cursor: required(value.cursor, "streams.cursor")?.into(),
            head: value.head.map(Into::into),
            alarm: value.alarm,
        })
    }
}

impl From<RegistryStatus> for pb::RegistryStatus {
    fn from(row: RegistryStatus) -> Self {
        Self {
            registry: Some(row.registry.into()),
            name: row.name.map(|name| name.to_string()),
            origin: row.origin.map(|region| region.to_string()),
            events: row.events,
            age_millis: row.age.map(millis),
            bodies: row.bodies,
            bytes: row.bytes,
            bytes_per_second: row.bytes_per_second,
            eta_millis: row.eta.map(millis),
            trouble: row.trouble,
        }
    }
}

impl TryFrom<pb::RegistryStatus> for RegistryStatus {
    type Error = DecodeError;

    fn try_from(value: pb::RegistryStatus) -> Result<Self> {
        let name = value.name.map(|name| text(&name, "registries.name"));
        let origin = value.origin.map(|it| text(&it, "registries.origin"));
        Ok(Self {
            registry: registry(value.registry, "registries.registry")?,
            name: name.transpose()?,
            origin: origin.transpose()?,
            events: value.events,
            age: value.age_millis.map(Duration::from_millis),
            bodies: value.bodies,
            bytes: value.bytes,
            bytes_per_second: value.bytes_per_second,
            eta: value.eta_millis.map(Duration::from_millis),
            trouble: value.trouble,
        })
    }
}

impl From<IncompleteImages> for pb::IncompleteImages {
    fn from(row: IncompleteImages) -> Self {
        Self {
            registry: Some(row.registry.into()),
            name: row.name.map(|name| name.to_string()),
            images: row.images,
        }
    }
}

impl TryFrom<pb::IncompleteImages> for IncompleteImages {
    type Error = DecodeError;

    fn try_from(value: pb::IncompleteImages) -> Result<Self> {
        let name = value.name.map(|name| text(&name, "incomplete.name"));
        Ok(Self {
            registry: registry(value.registry, "incomplete.registry")?,
            name: name.transpose()?,
            images: value.images,
        })
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
