//! What the management API says, as JSON and for people.

use std::fmt;

use meridian_blob_service::{
    CollectionPhase, CollectionReport, CollectionStatus, Tally, WouldCollect,
};
use serde::{Deserialize, Serialize};

/// What the services of a process hold and do, for those that it runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Status {
    #[serde(flatten)]
    pub(crate) metadata: Option<MetadataStatus>,
    #[serde(flatten)]
    pub(crate) blobs: Option<BlobStatus>,
}

/// What the metadata service holds and does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MetadataStatus {
    pub(crate) usage: Usage,
    /// Syncs of the Raft log since the start.
    pub(crate) log_syncs: u64,
}

/// What the blob service does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct BlobStatus {
    pub(crate) open_uploads: usize,
    /// Blobs that are recorded and could not be read since the start. More than none is an alarm.
    pub(crate) unreadable_blobs: u64,
    pub(crate) collection: Collection,
}

/// What a registry holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Usage {
    pub(crate) repositories: u64,
    pub(crate) manifests: u64,
    pub(crate) manifest_bytes: u64,
    pub(crate) tags: u64,
    pub(crate) blobs: u64,
    pub(crate) blob_bytes: u64,
}

/// What garbage collection does, and did last.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Collection {
    pub(crate) phase: Phase,
    pub(crate) runs: u64,
    pub(crate) current: Option<Freed>,
    pub(crate) last: Option<Freed>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    Idle,
    Deleting,
    Judging,
    Sweeping,
}

/// A number of things and their bytes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Count {
    pub(crate) count: u64,
    pub(crate) bytes: u64,
}

/// What a run freed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Freed {
    pub(crate) began_millis: u64,
    pub(crate) ended_millis: u64,
    pub(crate) condemned: Count,
    pub(crate) removed: Count,
    pub(crate) deleted_objects: u64,
    pub(crate) orphans: Count,
    pub(crate) abandoned: Count,
    pub(crate) failure: Option<String>,
}

/// What a run would free.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
        match (&self.metadata, &self.blobs) {
            (Some(metadata), Some(blobs)) => write!(f, "{metadata}\n{blobs}"),
            (Some(metadata), None) => metadata.fmt(f),
            (None, Some(blobs)) => blobs.fmt(f),
            (None, None) => Ok(()),
        }
    }
}

// === impl MetadataStatus ===

impl fmt::Display for MetadataStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Usage {
            repositories,
            manifests,
            manifest_bytes,
            tags,
            blobs,
            blob_bytes,
        } = &self.usage;
        writeln!(f, "repositories  {repositories}")?;
        writeln!(f, "manifests     {manifests} ({manifest_bytes} bytes)")?;
        writeln!(f, "tags          {tags}")?;
        write!(f, "blobs         {blobs} ({blob_bytes} bytes)")
    }
}

// === impl BlobStatus ===

impl fmt::Display for BlobStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "open uploads  {}", self.open_uploads)?;
        if self.unreadable_blobs > 0 {
            writeln!(
                f,
                "ALARM         {} blobs could not be read",
                self.unreadable_blobs
            )?;
        }
        write!(
            f,
            "collection    {:?}, {} runs",
            self.collection.phase, self.collection.runs
        )?;
        if let Some(last) = &self.collection.last {
            write!(f, "\nlast run      {last}")?;
        }
        Ok(())
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
