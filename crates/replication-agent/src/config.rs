//! The settings of the service.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use meridian_chassis::http::ListenAddress;
use meridian_clock::Region;
use meridian_replication as engine;
use serde::{Deserialize, Serialize};

/// Settings of the replication agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the frontends of this region reach the agent, if it is a process of its own.
    pub listen: Vec<ListenAddress>,
    /// Where other regions reach it.
    pub peer_listen: Vec<ListenAddress>,
    /// Allows plain gRPC on addresses that other machines can reach.
    pub allow_plain_grpc: bool,
    /// Where parts of blobs lie until all of them are here, below the data directory of the process
    /// unless it is an absolute path. May be lost.
    pub spool_dir: PathBuf,
    /// How many bytes may lie there.
    pub spool_bytes: ByteSize,
    /// How long another region may take to answer a call that moves no content.
    #[serde(with = "humantime_serde")]
    pub call_deadline: Duration,
    /// What is particular to each other region.
    pub peers: BTreeMap<Region, PeerConfig>,
    /// How events are taken in and merged.
    pub stream: engine::StreamConfig,
    /// How content is fetched.
    pub fetch: engine::FetchConfig,
    /// How what the state is missing is found again.
    pub backfill: engine::BackfillConfig,
    /// How old an answer may be.
    pub freshness: engine::FreshnessConfig,
}

/// Settings for one other region.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PeerConfig {
    /// How many bytes per second are asked of it, if not as many as `fetch.budget` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<ByteSize>,
}

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![ListenAddress::Tcp(([127, 0, 0, 1], 7404).into())],
            peer_listen: vec![ListenAddress::Tcp(([127, 0, 0, 1], 7405).into())],
            allow_plain_grpc: false,
            spool_dir: PathBuf::from("replication"),
            spool_bytes: ByteSize::gib(8),
            call_deadline: Duration::from_secs(5),
            peers: BTreeMap::new(),
            stream: engine::StreamConfig::default(),
            fetch: engine::FetchConfig::default(),
            backfill: engine::BackfillConfig::default(),
            freshness: engine::FreshnessConfig::default(),
        }
    }
}

impl Config {
    /// Everything that is wrong with it, each in words that begin with the key.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = self.engine().faults();
        if self.call_deadline.is_zero() {
            faults.push("call_deadline is 0s; set it to a second or more".to_owned());
        }
        faults
    }

    pub(crate) const fn engine(&self) -> engine::Config {
        engine::Config {
            stream: self.stream,
            fetch: self.fetch,
            backfill: self.backfill,
            freshness: self.freshness,
        }
    }
}
