//! What garbage collection did, does, and would do.

use std::fmt;

use meridian_event::RegistryId;
use meridian_oci::Digest;

/// A number of things, and their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// How many bytes together.
    pub bytes: u64,
}

/// What a run did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CollectionReport {
    /// When it began, in milliseconds since the Unix epoch.
    pub began_millis: u64,
    /// When it ended, in milliseconds since the Unix epoch.
    pub ended_millis: u64,
    /// Blobs that nothing holds any more, and that the next step removes.
    pub condemned: Tally,
    /// Blobs that were removed.
    pub removed: Tally,
    /// Objects that were deleted because no record names them any more.
    pub deleted_objects: u64,
    /// Finished objects that no record ever named.
    pub orphans: Tally,
    /// Unfinished objects of uploads that nobody goes on with.
    pub abandoned: Tally,
    /// Whether the store was searched for the latter two.
    pub swept: bool,
    /// Why the run ended early, if it did.
    pub failure: Option<String>,
}

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CollectionPhase {
    /// No run is under way.
    #[default]
    Idle,
    /// It deletes the objects of removed blobs.
    Deleting,
    /// It has the metadata judge blobs whose turn has come.
    Judging,
    /// It searches the store for orphans.
    Sweeping,
}

/// What goes on, and what went on before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CollectionStatus {
    /// Where the present run is.
    pub phase: CollectionPhase,
    /// What the present run has done so far.
    pub current: CollectionReport,
    /// What the last run did.
    pub last: Option<CollectionReport>,
    /// How many runs ended.
    pub runs: u64,
    /// What all runs that ended have removed, orphans and abandoned uploads included.
    pub freed: Tally,
    /// When the store was last searched for orphans, in milliseconds since the Unix epoch.
    pub last_sweep_millis: Option<u64>,
}

/// A blob that a run would remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WouldRemove {
    /// Its registry.
    pub registry: RegistryId,
    /// Which.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
}

/// What a run would free now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WouldCollect {
    /// Blobs whose turn has come, and that nothing holds.
    pub blobs: Tally,
    /// The first of these blobs.
    pub first_blobs: Vec<WouldRemove>,
    /// Objects of blobs that were removed already.
    pub doomed: Tally,
    /// Finished objects that no record names, old enough to go.
    pub orphans: Tally,
    /// Unfinished objects of abandoned uploads, old enough to go.
    pub abandoned: Tally,
    /// The keys of the first of these objects.
    pub first_objects: Vec<String>,
    /// Whether there is more than was counted.
    pub more: bool,
}

// === impl Tally ===

impl Tally {
    pub(crate) const fn add(&mut self, count: u64, bytes: u64) {
        self.count += count;
        self.bytes += bytes;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.count, self.bytes)
    }
}

// === impl CollectionReport ===

impl CollectionReport {
    /// Whether anything changed.
    #[must_use]
    pub const fn did_something(&self) -> bool {
        let counts = self.condemned.count + self.removed.count + self.deleted_objects;
        counts + self.orphans.count + self.abandoned.count > 0
    }
}

impl fmt::Display for CollectionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            condemned,
            removed,
            deleted_objects,
            orphans,
            abandoned,
            ..
        } = self;
        write!(
            f,
            "condemned {condemned}, removed {removed}, deleted {deleted_objects} objects, swept \
             {orphans} orphans and {abandoned} abandoned uploads"
        )
    }
}

// === impl CollectionStatus ===

impl CollectionStatus {
    pub(super) fn begin(&mut self, now_millis: u64) {
        self.current = CollectionReport {
            began_millis: now_millis,
            ..CollectionReport::default()
        };
    }

    pub(super) fn end(
        &mut self,
        now_millis: u64,
        swept: bool,
        failure: Option<String>,
    ) -> CollectionReport {
        let report = CollectionReport {
            ended_millis: now_millis,
            swept: swept && failure.is_none(),
            failure,
            ..std::mem::take(&mut self.current)
        };
        if report.swept {
            self.last_sweep_millis = Some(now_millis);
        }
        for tally in [report.removed, report.orphans, report.abandoned] {
            self.freed.add(tally.count, tally.bytes);
        }
        self.phase = CollectionPhase::Idle;
        self.last = Some(report.clone());
        self.runs += 1;
        report
    }
}
