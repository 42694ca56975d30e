//! All of openraft's generics, named once. No other file writes them out.
//!
//! Owns the choice of types and the configuration of the protocol; the storage behind it and the
//! network between members stand in the modules below.

pub(crate) mod appends;
pub(crate) mod codec;
mod flusher;
pub(crate) mod log_held;
pub(crate) mod log_record;
pub(crate) mod log_store;
pub(crate) mod log_writer;
pub(crate) mod network;
pub(crate) mod peer;
pub(crate) mod snapshot;
pub(crate) mod state_machine;
pub(crate) mod transfer;

use std::sync::Arc;

use meridian_catalog::{Entry, Reply};
use openraft::{Config, ConfigError, SnapshotPolicy};

/// What an entry says. Whoever sends it to a follower, and whoever applies it, share it with the log.
pub(crate) type Command = Arc<Entry>;

openraft::declare_raft_types!(
    /// The metadata group.
    pub(crate) TypeConfig:
        D = Command,
        R = Reply,
        NodeId = u64,
        Node = openraft::BasicNode,
);

pub(crate) type Raft = openraft::Raft<TypeConfig, state_machine::StateMachine>;
pub(crate) type RaftEntry = openraft::type_config::alias::EntryOf<TypeConfig>;
pub(crate) type LogId = openraft::type_config::alias::LogIdOf<TypeConfig>;
pub(crate) type Vote = openraft::type_config::alias::VoteOf<TypeConfig>;
pub(crate) type Membership = openraft::type_config::alias::StoredMembershipOf<TypeConfig>;
pub(crate) type SnapshotMeta = openraft::type_config::alias::SnapshotMetaOf<TypeConfig>;
pub(crate) type Snapshot = openraft::type_config::alias::SnapshotOf<TypeConfig, snapshot::Image>;
pub(crate) type IoFlushed = openraft::storage::IOFlushed<TypeConfig>;

/// The protocol's settings: a region's own network, and disks that sync in milliseconds.
pub(crate) fn config(region: &str, snapshot_entries: u64) -> Result<Arc<Config>, ConfigError> {
    let config = Config {
        cluster_name: region.to_owned(),
        heartbeat_interval: 150,
        election_timeout_min: 750,
        election_timeout_max: 1_500,
        enable_pre_vote: Some(true),
        snapshot_policy: SnapshotPolicy::LogsSinceLast(snapshot_entries),
        max_in_snapshot_log_to_keep: snapshot_entries,
        replication_lag_threshold: snapshot_entries.saturating_mul(5) / 2,
        purge_batch_size: (snapshot_entries / 20).max(1),
        max_payload_entries: 512,
        install_snapshot_timeout: 120_000,
        enable_leader_restore: Some(false),
        ..Config::default()
    };
    config.validate().map(Arc::new)
}

#[cfg(test)]
mod tests;
