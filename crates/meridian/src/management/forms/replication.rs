//! What is said of the replication of a region, as JSON and for people. That of an image is in `image`.

use std::fmt;
use std::time::Duration;

use meridian_clients::regions::{
    IncompleteImages, PeerStatus, RegistryStatus, ReplicationStatus, StreamStatus,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::columns::Columns;
use super::size;

/// The other regions of which a region knows.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct OtherRegions {
    pub(crate) regions: Vec<String>,
}

/// How far a region is with what others did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Replication {
    /// The region, as the agent that was asked sees it.
    pub(crate) region: String,
    /// Each other region.
    pub(crate) peers: Vec<ReplicationPeer>,
    /// What is on its way for each registry, from each region: only where something is.
    pub(crate) registries: Vec<ReplicationRegistry>,
    /// Images that are merged here and not complete, because something of them is not here: of all registries.
    #[serde(default)]
    pub(crate) incomplete_images: u64,
    /// The same, for each registry that has some.
    #[serde(default)]
    pub(crate) incomplete: Vec<ReplicationIncomplete>,
}

/// Images of a registry that are merged here and not complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ReplicationIncomplete {
    /// Its name; its id, while the name is not known here.
    pub(crate) registry: String,
    pub(crate) images: u64,
}

/// How far what another region did is merged here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ReplicationPeer {
    pub(crate) region: String,
    /// Whether it answers.
    pub(crate) answers: bool,
    /// How long ago it was known that everything which had happened there was merged here. Absent if
    /// it never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fresh_age_millis: Option<u64>,
    /// Events that are not merged here, as far as it is known.
    pub(crate) events_behind: u64,
    /// How long ago the oldest of them that is at hand was committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) oldest_age_millis: Option<u64>,
    /// Manifests and blobs that are to come from there.
    pub(crate) bodies_outstanding: u64,
    /// Their bytes.
    pub(crate) bytes_outstanding: u64,
    pub(crate) bytes_per_second: u64,
    /// How long the rest takes at this rate. Absent while nothing moves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) eta_millis: Option<u64>,
    /// How often it sent something that was not what its digest says. More than none is an alarm.
    pub(crate) corrupt_bodies: u64,
    /// What went wrong there last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_failure: Option<String>,
    /// How far each of its shards is merged here.
    pub(crate) shards: Vec<ReplicationShard>,
}

/// How far a shard of another region is merged here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ReplicationShard {
    pub(crate) shard: u16,
    /// The last event that is merged: `<epoch>.<seq>`.
    pub(crate) cursor: String,
    /// The last that its region has told of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) head: Option<String>,
    /// Why it is stopped. Absent while it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) alarm: Option<String>,
}

/// What is on its way for a registry, from another region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ReplicationRegistry {
    /// Its name; its id, while the name is not known here.
    pub(crate) registry: String,
    /// From where. Absent for content of which nobody knows who has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) origin: Option<String>,
    /// Events that are here, and not merged.
    pub(crate) events_behind: u64,
    /// How long ago the oldest of them was committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) oldest_age_millis: Option<u64>,
    /// Manifests and blobs that are to come.
    pub(crate) bodies_outstanding: u64,
    /// Their bytes.
    pub(crate) bytes_outstanding: u64,
    /// From wherever.
    pub(crate) bytes_per_second: u64,
    /// How long the rest takes at this rate. Absent while nothing moves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) eta_millis: Option<u64>,
    /// What went wrong last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_failure: Option<String>,
}

/// A shard of another region that is stopped at a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Skip {
    pub(crate) region: String,
    pub(crate) shard: u16,
}

/// A record that is passed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Skipped {
    pub(crate) region: String,
    pub(crate) shard: u16,
    /// Where the record stands in its partition of the region's topic.
    pub(crate) offset: u64,
}

// === impl Replication ===

impl From<ReplicationStatus> for Replication {
    fn from(status: ReplicationStatus) -> Self {
        Self {
            region: status.region.to_string(),
            peers: status.peers.into_iter().map(Into::into).collect(),
            registries: status.registries.into_iter().map(Into::into).collect(),
            incomplete_images: status.incomplete.iter().map(|row| row.images).sum(),
            incomplete: status.incomplete.into_iter().map(Into::into).collect(),
        }
    }
}

impl fmt::Display for OtherRegions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.regions {
            [] => f.write_str("no other region is left"),
            regions => write!(f, "other regions: {}", regions.join(", ")),
        }
    }
}

impl fmt::Display for Replication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "region {}", self.region)?;
        let mut peers = Columns::new([
            "from", "state", "events", "oldest", "content", "bytes", "rate", "rest in",
        ]);
        for peer in &self.peers {
            peers.row([
                peer.region.clone(),
                peer.state(),
                peer.events_behind.to_string(),
                millis(peer.oldest_age_millis),
                peer.bodies_outstanding.to_string(),
                size(peer.bytes_outstanding),
                rate(peer.bytes_per_second),
                millis(peer.eta_millis),
            ]);
        }
        write!(f, "\n{peers}")?;
        write!(f, "\n\nincomplete images: {}", self.incomplete_images)?;
        if !self.incomplete.is_empty() {
            let of = |row: &ReplicationIncomplete| format!("{} of {}", row.images, row.registry);
            let rows: Vec<_> = self.incomplete.iter().map(of).collect();
            write!(f, " ({})", rows.join(", "))?;
        }
        if !self.registries.is_empty() {
            let mut rows = Columns::new([
                "registry", "from", "events", "oldest", "content", "bytes", "rate", "rest in",
            ]);
            for row in &self.registries {
                rows.row([
                    row.registry.clone(),
                    row.origin.clone().unwrap_or_else(|| "?".to_owned()),
                    row.events_behind.to_string(),
                    millis(row.oldest_age_millis),
                    row.bodies_outstanding.to_string(),
                    size(row.bytes_outstanding),
                    rate(row.bytes_per_second),
                    millis(row.eta_millis),
                ]);
            }
            write!(f, "\n\n{rows}")?;
        }
        for line in self.troubles() {
            write!(f, "\n{line}")?;
        }
        Ok(())
    }
}

impl Replication {
    /// What somebody may have to look at, a line each.
    fn troubles(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for peer in &self.peers {
            let region = &peer.region;
            for shard in &peer.shards {
                if let Some(alarm) = &shard.alarm {
                    lines.push(format!("shard {} of {region} {alarm}", shard.shard));
                }
            }
            if peer.corrupt_bodies > 0 {
                let times = peer.corrupt_bodies;
                lines.push(format!(
                    "{region} has sent what is not what its digest says, {times} times"
                ));
            }
            if let Some(failure) = &peer.last_failure {
                lines.push(format!("last failure of {region}: {failure}"));
            }
        }
        for row in &self.registries {
            if let Some(failure) = &row.last_failure {
                lines.push(format!("last failure of {}: {failure}", row.registry));
            }
        }
        if !lines.is_empty() {
            lines.insert(0, String::new());
        }
        lines
    }
}

// === impl ReplicationPeer ===

impl From<PeerStatus> for ReplicationPeer {
    fn from(peer: PeerStatus) -> Self {
        Self {
            region: peer.region.to_string(),
            answers: peer.answers,
            fresh_age_millis: peer.fresh.map(whole),
            events_behind: peer.events,
            oldest_age_millis: peer.age.map(whole),
            bodies_outstanding: peer.bodies,
            bytes_outstanding: peer.bytes,
            bytes_per_second: peer.bytes_per_second,
            eta_millis: peer.eta.map(whole),
            corrupt_bodies: peer.lies,
            last_failure: peer.failure,
            shards: peer.streams.into_iter().map(Into::into).collect(),
        }
    }
}

impl ReplicationPeer {
    /// In a word or two: whether it answers, and as of when it is merged.
    pub(crate) fn state(&self) -> String {
        let is_stopped = self.shards.iter().any(|shard| shard.alarm.is_some());
        match (self.answers, self.fresh_age_millis) {
            _ if is_stopped => "stopped".to_owned(),
            (false, _) => "unreachable".to_owned(),
            (true, None) => "catching up".to_owned(),
            (true, age) => format!("as of {} ago", millis(age)),
        }
    }
}

// === impl ReplicationShard ===

impl From<StreamStatus> for ReplicationShard {
    fn from(stream: StreamStatus) -> Self {
        Self {
            shard: stream.shard,
            cursor: stream.cursor.to_string(),
            head: stream.head.map(|head| head.to_string()),
            alarm: stream.alarm,
        }
    }
}

// === impl Skipped ===

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            region,
            shard,
            offset,
        } = self;
        write!(
            f,
            "shard {shard} of {region} goes on behind the record at offset {offset}; whatever event is \
             missing then is asked of {region}"
        )
    }
}

// === impl ReplicationRegistry ===

impl From<RegistryStatus> for ReplicationRegistry {
    fn from(row: RegistryStatus) -> Self {
        let id = row.registry;
        Self {
            registry: row.name.map_or_else(|| id.to_string(), |it| it.to_string()),
            origin: row.origin.map(|region| region.to_string()),
            events_behind: row.events,
            oldest_age_millis: row.age.map(whole),
            bodies_outstanding: row.bodies,
            bytes_outstanding: row.bytes,
            bytes_per_second: row.bytes_per_second,
            eta_millis: row.eta.map(whole),
            last_failure: row.trouble,
        }
    }
}

// === impl ReplicationIncomplete ===

impl From<IncompleteImages> for ReplicationIncomplete {
    fn from(row: IncompleteImages) -> Self {
        let id = row.registry;
        Self {
            registry: row.name.map_or_else(|| id.to_string(), |it| it.to_string()),
            images: row.images,
        }
    }
}

fn whole(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn rate(bytes_per_second: u64) -> String {
    format!("{}/s", size(bytes_per_second))
}

/// A time for people; `-` if there is none.
fn millis(time: Option<u64>) -> String {
    match time {
        None => "-".to_owned(),
        Some(time @ 0..1_000) => format!("{time} ms"),
        Some(time @ 1_000..120_000) => format!("{} s", time / 1_000),
        Some(time @ 120_000..7_200_000) => format!("{} min", time / 60_000),
        Some(time) => format!("{} h", time / 3_600_000),
    }
}
