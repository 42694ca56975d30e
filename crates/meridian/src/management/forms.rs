//! What the management API says of a process, as JSON and for people.

mod columns;
mod delivery;
mod event;
mod image;
mod region;
mod replication;
mod webhook;

use std::fmt;

use bytesize::ByteSize;
use meridian_blob_service::{
    CollectionPhase, CollectionReport, CollectionStatus, Tally, WouldCollect,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

pub(crate) use delivery::{Deliveries, Redelivered, Replay, Replayed, TestOf, Tried};
pub(super) use delivery::{DeliveriesQuery, moment};
pub(crate) use event::EventLogPage;
pub(super) use event::parse_after;
pub(crate) use image::{ImageReplication, RegionImage, ReplicationState};
pub(crate) use region::{NewDrain, RegionView};
pub(crate) use replication::{OtherRegions, Replication, ReplicationPeer, Skip, Skipped};
pub(crate) use webhook::{
    CallbackConfig, Created, NewSecret, Resealed, WebhookForm, WebhookPatch, WebhookView, Webhooks,
};

/// How garbage collection is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CollectQuery {
    /// Only say what would be freed.
    #[serde(default)]
    #[param(required = false)]
    pub(super) dry_run: bool,
}

/// What the services of a process hold and do, for those that it runs.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct Status {
    /// What the registry holds. From the metadata service, as what follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) usage: Option<Usage>,
    /// Syncs of the Raft log since the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) log_syncs: Option<u64>,
    /// Uploads that are open. From the blob service, as what follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) open_uploads: Option<u64>,
    /// Blobs that are recorded and could not be read since the start. More than none is an alarm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unreadable_blobs: Option<u64>,
    /// What garbage collection does, and did last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) collection: Option<Collection>,
}

/// What a registry holds.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Usage {
    pub(crate) repositories: u64,
    pub(crate) manifests: u64,
    pub(crate) manifest_bytes: u64,
    pub(crate) tags: u64,
    pub(crate) blobs: u64,
    pub(crate) blob_bytes: u64,
}

/// What garbage collection does, and did last.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Collection {
    pub(crate) phase: Phase,
    pub(crate) runs: u64,
    pub(crate) current: Option<Freed>,
    pub(crate) last: Option<Freed>,
}

/// What a run of garbage collection is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    Idle,
    Deleting,
    Judging,
    Sweeping,
}

/// A number of things and their bytes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
pub(crate) struct Count {
    pub(crate) count: u64,
    pub(crate) bytes: u64,
}

/// What a run freed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Freed {
    /// When it began, in milliseconds since 1970.
    pub(crate) began_millis: u64,
    /// When it ended; 0 while it goes on.
    pub(crate) ended_millis: u64,
    pub(crate) condemned: Count,
    pub(crate) removed: Count,
    pub(crate) deleted_objects: u64,
    pub(crate) orphans: Count,
    pub(crate) abandoned: Count,
    pub(crate) failure: Option<String>,
}

/// What a run would free.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct WouldFree {
    pub(crate) blobs: Count,
    pub(crate) doomed: Count,
    pub(crate) orphans: Count,
    pub(crate) abandoned: Count,
    /// The first of the blobs.
    pub(crate) digests: Vec<String>,
    /// The first of the objects.
    pub(crate) objects: Vec<String>,
    /// Whether there is more than was counted.
    pub(crate) more: bool,
}

// === impl Status ===

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = Vec::new();
        if let Some(usage) = &self.usage {
            lines.push(usage.to_string());
        }
        if let Some(open) = self.open_uploads {
            lines.push(format!("open uploads  {open}"));
        }
        if let Some(count) = self.unreadable_blobs.filter(|count| *count > 0) {
            lines.push(format!("ALARM         {count} blobs could not be read"));
        }
        if let Some(Collection {
            phase, runs, last, ..
        }) = &self.collection
        {
            lines.push(format!("collection    {phase:?}, {runs} runs"));
            lines.extend(last.iter().map(|last| format!("last run      {last}")));
        }
        f.write_str(&lines.join("\n"))
    }
}

// === impl Count ===

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.count, self.bytes)
    }
}

impl From<Tally> for Count {
    fn from(tally: Tally) -> Self {
        Self {
            count: tally.count,
            bytes: tally.bytes,
        }
    }
}

// === impl Freed ===

impl fmt::Display for Freed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "condemned {}, removed {}, deleted {} objects, {} orphans, {} abandoned uploads",
            self.condemned, self.removed, self.deleted_objects, self.orphans, self.abandoned
        )?;
        match &self.failure {
            Some(failure) => write!(f, "; it ended early: {failure}"),
            None => Ok(()),
        }
    }
}

impl From<CollectionReport> for Freed {
    fn from(report: CollectionReport) -> Self {
        Self {
            began_millis: report.began_millis,
            ended_millis: report.ended_millis,
            condemned: report.condemned.into(),
            removed: report.removed.into(),
            deleted_objects: report.deleted_objects,
            orphans: report.orphans.into(),
            abandoned: report.abandoned.into(),
            failure: report.failure,
        }
    }
}

// === impl WouldFree ===

impl fmt::Display for WouldFree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "blobs that nothing needs  {}", self.blobs)?;
        for digest in &self.digests {
            writeln!(f, "  {digest}")?;
        }
        writeln!(f, "objects to delete         {}", self.doomed)?;
        writeln!(f, "orphans                   {}", self.orphans)?;
        write!(f, "abandoned uploads         {}", self.abandoned)?;
        if self.more {
            write!(f, "\nand more: only the first were counted")?;
        }
        Ok(())
    }
}

impl From<WouldCollect> for WouldFree {
    fn from(would: WouldCollect) -> Self {
        let digests = would.first_blobs.iter().map(|blob| blob.digest.to_string());
        Self {
            blobs: would.blobs.into(),
            doomed: would.doomed.into(),
            orphans: would.orphans.into(),
            abandoned: would.abandoned.into(),
            digests: digests.collect(),
            objects: would.first_objects,
            more: would.more,
        }
    }
}

// === impl Collection ===

impl From<CollectionStatus> for Collection {
    fn from(status: CollectionStatus) -> Self {
        let phase = match status.phase {
            CollectionPhase::Idle => Phase::Idle,
            CollectionPhase::Deleting => Phase::Deleting,
            CollectionPhase::Judging => Phase::Judging,
            CollectionPhase::Sweeping => Phase::Sweeping,
        };
        Self {
            phase,
            runs: status.runs,
            current: (phase != Phase::Idle).then(|| status.current.into()),
            last: status.last.map(Into::into),
        }
    }
}

// === impl Usage ===

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            repositories,
            manifests,
            manifest_bytes,
            tags,
            blobs,
            blob_bytes,
        } = self;
        writeln!(f, "repositories  {repositories}")?;
        writeln!(f, "manifests     {manifests} ({manifest_bytes} bytes)")?;
        writeln!(f, "tags          {tags}")?;
        write!(f, "blobs         {blobs} ({blob_bytes} bytes)")
    }
}

impl From<meridian_clients::Usage> for Usage {
    fn from(usage: meridian_clients::Usage) -> Self {
        Self {
            repositories: usage.repositories,
            manifests: usage.manifests,
            manifest_bytes: usage.manifest_bytes,
            tags: usage.tags,
            blobs: usage.blobs,
            blob_bytes: usage.blob_bytes,
        }
    }
}

/// Bytes for people.
fn size(bytes: u64) -> String {
    ByteSize::b(bytes).display().si().to_string()
}
