//! The settings of the service.
//!
//! Owns their defaults and bounds; each is told with what to change. Leaves reading them, and the
//! file of the upload key, to the chassis.

use std::time::Duration;

use meridian_chassis::config::{ByteSize, Secret, duration};
use meridian_chassis::http::ListenAddress;
use serde::{Deserialize, Serialize};

use crate::DataConfig;

/// An upload key of fewer bytes could be guessed.
const LEAST_KEY: usize = 32;

/// More than this would make entries of the metadata log unwieldy.
const MOST_INLINE: ByteSize = ByteSize::mib(1);

/// Settings of the blob service.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the other services reach this one, if it is a process of its own.
    pub listen: Vec<ListenAddress>,
    /// Allows plain gRPC on addresses that other machines can reach.
    pub allow_plain_grpc: bool,
    /// How uploads are taken.
    pub uploads: UploadConfig,
    /// How garbage is collected.
    pub collection: CollectionConfig,
    /// Where clients read blobs that a frontend sends here.
    pub data: DataConfig,
}

/// How uploads are taken.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UploadConfig {
    /// What authenticates upload ids: 32 characters or more that nobody can guess, the same in
    /// every blob service of a region. Given as `key_file`, as a rule.
    pub key: Secret,
    /// How many sessions may hold bytes in this process at once.
    pub max_open: usize,
    /// How long a session is kept after it was last used.
    #[serde(with = "duration")]
    pub idle_expiry: Duration,
    /// How long a session is kept at most.
    #[serde(with = "duration")]
    pub max_lifetime: Duration,
    /// The largest blob.
    pub max_blob_bytes: ByteSize,
    /// Blobs up to this size are kept in the metadata, which saves an object and its syncs.
    pub inline_bytes: ByteSize,
    /// What uploads leave free in the store; at most a tenth of it. Where metadata lie on the same
    /// disk, more than `metadata.min_free`, so that uploads stop first.
    pub min_free: ByteSize,
    /// How long an outcome of the metadata service is waited for before it counts as unknown.
    #[serde(with = "duration")]
    pub commit_deadline: Duration,
}

/// How garbage is collected. Its grace is a setting of the metadata service.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CollectionConfig {
    /// How long a run waits for the next; see [`interval_for`](Self::interval_for).
    #[serde(with = "duration")]
    pub interval: Duration,
    /// How often the store is searched for objects that nobody knows.
    #[serde(with = "duration")]
    pub sweep_interval: Duration,
    /// How many blobs a step takes.
    pub batch: usize,
}

/// Why a configuration is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The key is missing or too short.
    #[error(
        "uploads.key has {0} characters; set uploads.key_file to a file that holds at least \
         {LEAST_KEY} random ones"
    )]
    Key(usize),
    /// A number or a time is zero.
    #[error("{0} is zero; set it to more than that")]
    Zero(&'static str),
    /// A session would end before it could be idle for so long.
    #[error("uploads.idle_expiry exceeds uploads.max_lifetime; set it to at most that")]
    Expiry,
    /// Records would be too large.
    #[error("uploads.inline_bytes is {0}; set it to at most {MOST_INLINE}")]
    Inline(ByteSize),
}

// === impl Config ===

impl Config {
    /// Everything that is wrong with it.
    #[must_use]
    pub fn faults(&self) -> Vec<ConfigError> {
        let Self {
            uploads,
            collection,
            ..
        } = self;
        let mut faults = Vec::new();
        let key = uploads.key.expose().len();
        if key < LEAST_KEY {
            faults.push(ConfigError::Key(key));
        }
        let zero = [
            ("uploads.max_open", uploads.max_open == 0),
            ("uploads.idle_expiry", uploads.idle_expiry.is_zero()),
            ("uploads.commit_deadline", uploads.commit_deadline.is_zero()),
            ("collection.interval", collection.interval.is_zero()),
            (
                "collection.sweep_interval",
                collection.sweep_interval.is_zero(),
            ),
            ("collection.batch", collection.batch == 0),
        ];
        let zero = zero.iter().filter(|(_, is_zero)| *is_zero);
        faults.extend(zero.map(|(name, _)| ConfigError::Zero(name)));
        if uploads.idle_expiry > uploads.max_lifetime {
            faults.push(ConfigError::Expiry);
        }
        if uploads.inline_bytes > MOST_INLINE {
            faults.push(ConfigError::Inline(uploads.inline_bytes));
        }
        faults
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![ListenAddress::Tcp(([127, 0, 0, 1], 7402).into())],
            allow_plain_grpc: false,
            uploads: UploadConfig::default(),
            collection: CollectionConfig::default(),
            data: DataConfig::default(),
        }
    }
}

impl Default for UploadConfig {
    fn default() -> Self {
        Self {
            key: Secret::new(""),
            max_open: 10_000,
            idle_expiry: Duration::from_secs(24 * 3600),
            max_lifetime: Duration::from_secs(7 * 24 * 3600),
            max_blob_bytes: ByteSize::gib(1024),
            inline_bytes: ByteSize::kib(16),
            min_free: ByteSize::mib(512),
            commit_deadline: Duration::from_secs(20),
        }
    }
}

// === impl CollectionConfig ===

impl CollectionConfig {
    /// The interval that suits a grace: an eighth of it, within a second and ten minutes.
    #[must_use]
    pub fn interval_for(grace: Duration) -> Duration {
        (grace / 8).clamp(Duration::from_secs(1), Duration::from_secs(600))
    }
}

impl Default for CollectionConfig {
    fn default() -> Self {
        Self {
            interval: Self::interval_for(Duration::from_secs(24 * 3600)),
            sweep_interval: Duration::from_secs(3600),
            batch: 500,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Config {
        let mut config = Config::default();
        config.uploads.key = Secret::new("k".repeat(LEAST_KEY));
        config
    }

    #[test]
    fn defaults_lack_nothing_but_the_key() {
        assert_eq!(Config::default().faults(), [ConfigError::Key(0)]);
        assert_eq!(sound().faults(), []);
    }

    #[test]
    fn units_are_read_and_unknown_keys_refused() {
        let text = "[uploads]\nidle_expiry = \"36h\"\ninline_bytes = \"4KiB\"";
        let config: Config = toml::from_str(text).unwrap();
        assert_eq!(config.uploads.idle_expiry, Duration::from_secs(36 * 3600));
        assert_eq!(config.uploads.inline_bytes, ByteSize::kib(4));
        assert!(toml::from_str::<Config>("[uploads]\nidle = 1").is_err());
    }

    #[test]
    fn every_fault_is_reported_at_once() {
        let mut config = sound();
        config.uploads.max_lifetime = Duration::from_secs(1);
        config.uploads.inline_bytes = ByteSize::gib(1);
        config.collection.batch = 0;
        assert_eq!(
            config.faults(),
            [
                ConfigError::Zero("collection.batch"),
                ConfigError::Expiry,
                ConfigError::Inline(ByteSize::gib(1)),
            ]
        );
    }

    #[test]
    fn the_interval_follows_the_grace_within_bounds() {
        for (grace, interval) in [(0, 1), (2, 1), (800, 100), (24 * 3600, 600)] {
            let found = CollectionConfig::interval_for(Duration::from_secs(grace));
            assert_eq!(found, Duration::from_secs(interval), "grace {grace} s");
        }
    }
}
