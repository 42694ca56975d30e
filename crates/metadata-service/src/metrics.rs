//! What this member counts of its work.
//!
//! A write costs two readings of the clock and two additions here, a sync and an append to the event
//! log the same; everything else is read off the group when somebody asks. Nothing takes a lock or
//! allocates.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use meridian_catalog::query;
use meridian_chassis::metrics::{Counter, Histogram, Metrics};
use meridian_event::SHARDS;
use openraft::type_config::async_runtime::watch::WatchReceiver as _;

use crate::group::Group;

/// The counts.
#[derive(Debug, Default)]
pub(crate) struct Meters {
    /// From the proposal of a command at the leader to its effect there.
    pub(crate) commits: Histogram,
    /// Appends to the log, each of which ends with a sync.
    pub(crate) syncs: Histogram,
    /// Appends to the event log.
    pub(crate) publishes: Histogram,
    pub(crate) publish_failures: Counter,
    pub(crate) published: Counter,
    /// How often this member saw another leader than before.
    pub(crate) leader_changes: Counter,
    /// Per shard, the last event that the event log has taken from this member, and one more: zero
    /// is not known.
    through: Through,
}

#[derive(Debug)]
struct Through([AtomicU64; SHARDS as usize]);

/// Shows them, and what the group knows.
pub(crate) fn show(group: &Arc<Group>, metrics: &Metrics) {
    let meters = group.meters();
    let histograms = [
        (
            "metadata_commit_duration_seconds",
            "From the proposal of a write at the leader until it was durable and applied.",
            &meters.commits,
        ),
        (
            "metadata_log_sync_duration_seconds",
            "How long an append to the Raft log took, its sync included.",
            &meters.syncs,
        ),
        (
            "metadata_publish_duration_seconds",
            "How long an append to the event log took.",
            &meters.publishes,
        ),
    ];
    for (name, help, histogram) in histograms {
        metrics.register(name, help, histogram.clone());
    }
    let counters = [
        (
            "metadata_publish_failures",
            "Appends to the event log that failed.",
            &meters.publish_failures,
        ),
        (
            "metadata_events_published",
            "Events that the event log has taken from this member.",
            &meters.published,
        ),
        (
            "metadata_raft_leader_changes",
            "How often another member led than before, or none, as this one saw it.",
            &meters.leader_changes,
        ),
    ];
    for (name, help, counter) in counters {
        metrics.register(name, help, counter.clone());
    }
    raft(group, metrics);
    outbox(group, metrics);
}

fn raft(group: &Arc<Group>, metrics: &Metrics) {
    let read = |name: &str, help: &str, read: fn(&Group) -> u64| {
        let group = Arc::clone(group);
        metrics.read(name, help, move || i64::try_from(read(&group)).ok());
    };
    read("metadata_raft_term", "The term of Raft.", |group| {
        group.raft().metrics().borrow_watched().current_term
    });
    read(
        "metadata_raft_is_leader",
        "Whether this member leads: 1, or 0.",
        |group| group.is_leader().into(),
    );
    read(
        "metadata_leader_takes_no_writes",
        "Whether this member leads with a wrong clock, and refuses writes: 1, or 0.",
        |group| group.refuses_to_stamp().into(),
    );
    read(
        "metadata_raft_last_log_index",
        "The last entry of the log.",
        |group| last(group).0,
    );
    read(
        "metadata_raft_applied_lag_entries",
        "Entries of the log that are not applied yet.",
        |group| {
            let (last, applied) = last(group);
            last.saturating_sub(applied)
        },
    );
    read(
        "metadata_raft_snapshot_index",
        "Up to which entry the last snapshot goes.",
        |group| {
            let snapshot = group.raft().metrics().borrow_watched().snapshot;
            snapshot.map_or(0, |id| id.index)
        },
    );
    read(
        "metadata_log_bytes",
        "Bytes of the entries that the log has on disk.",
        |group| group.log().bytes(),
    );
    let of_tombstones = Arc::clone(group);
    let help = "How old the oldest tombstone is. One is dropped once all regions have told each other that they are past it.";
    metrics.read("metadata_oldest_tombstone_age_seconds", help, move || {
        let version = query::oldest_tombstone(&of_tombstones.view()).ok()??;
        let age = of_tombstones.now().saturating_sub(version.millis);
        i64::try_from(age / 1_000).ok()
    });
    let of_images = Arc::clone(group);
    let help =
        "Images that are merged here and not complete, because something of them is not here.";
    metrics.read("metadata_incomplete_images", help, move || {
        let rows = query::incomplete(&of_images.view()).ok()?;
        let images = rows.iter().map(|(_, images)| images).sum::<u64>();
        i64::try_from(images).ok()
    });
    read(
        "metadata_proposals_in_flight",
        "Writes that this member has taken and not answered yet.",
        |group| group.writing() as u64,
    );
}

fn last(group: &Group) -> (u64, u64) {
    let metrics = group.raft().metrics();
    let metrics = metrics.borrow_watched();
    let applied = metrics.last_applied.map_or(0, |id| id.index);
    (metrics.last_log_index.unwrap_or(0), applied)
}

fn outbox(group: &Arc<Group>, metrics: &Metrics) {
    let read = |name: &str, help: &str, read: fn(&Group) -> u64| {
        let group = Arc::clone(group);
        metrics.read(name, help, move || i64::try_from(read(&group)).ok());
    };
    read(
        "metadata_outbox_rows",
        "Events that wait for the event log.",
        |group| group.backlog().waiting(),
    );
    read(
        "metadata_outbox_bytes",
        "Bytes of these events; where there are very many, of the first of them.",
        |group| group.backlog().bytes(),
    );
    read(
        "metadata_outbox_oldest_age_seconds",
        "How long the oldest of these events has waited.",
        |group| {
            let oldest = group.backlog().oldest_millis();
            oldest.map_or(0, |oldest| group.now().saturating_sub(oldest) / 1000)
        },
    );
}

// === impl Meters ===

impl Meters {
    /// The event log has taken the events of a shard up to this one.
    pub(crate) fn took(&self, shard: u16, seq: u64) {
        let through = &self.through.0[usize::from(shard)];
        through.store(seq.saturating_add(1), Ordering::Relaxed);
    }

    /// The last event of a shard that the event log has, as far as this member knows.
    pub(crate) fn taken(&self, shard: u16) -> Option<u64> {
        let through = self.through.0[usize::from(shard)].load(Ordering::Relaxed);
        through.checked_sub(1)
    }
}

// === impl Through ===

impl Default for Through {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}
