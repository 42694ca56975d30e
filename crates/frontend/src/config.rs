//! The settings of a frontend.

use std::time::Duration;

use meridian_chassis::config::ByteSize;
use meridian_oci::RegistryName;
use serde::{Deserialize, Serialize};

/// The settings of a frontend.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The registry that is served.
    pub registry: RegistryName,
    /// What requests may cost.
    pub limits: LimitsConfig,
}

/// What requests may cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Entries of a page of a list; a greater `n` counts as this.
    pub page: usize,
    /// Bytes of manifests that were received and not yet answered, over all connections.
    pub manifests_buffered: ByteSize,
    /// Bytes of manifests that are being parsed and written, over all connections. Each takes a
    /// few times as much memory.
    pub manifests_parsed: ByteSize,
    /// A call of another service that moves no blob takes at most so long.
    #[serde(with = "meridian_chassis::config::duration")]
    pub deadline: Duration,
}

// === impl LimitsConfig ===

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            page: 1000,
            manifests_buffered: ByteSize::mib(256),
            manifests_parsed: ByteSize::mib(32),
            deadline: Duration::from_secs(30),
        }
    }
}
