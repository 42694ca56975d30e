//! The settings of the disk body.

use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

const LEAST_SEGMENT: ByteSize = ByteSize::kib(4);
const MOST_SEGMENT: ByteSize = ByteSize::gib(1);

/// How much a [`DiskEventLog`](crate::DiskEventLog) keeps, per topic. Whole segments go, oldest
/// first, when either limit is passed; the newest one always stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiskConfig {
    /// A segment is closed when it would grow beyond this. One large append may exceed it.
    pub segment_size: ByteSize,
    /// What all segments of a topic may take together.
    pub retention_size: ByteSize,
    /// How long a record is kept at least, if its size allows.
    #[serde(with = "humantime_serde")]
    pub retention_age: Duration,
}

/// Why a configuration is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Out of range.
    #[error("segment_size is {0}; set it between {LEAST_SEGMENT} and {MOST_SEGMENT}")]
    SegmentSize(ByteSize),
    /// Nothing could be kept beside the segment being written.
    #[error(
        "retention_size is {retention}; set it to at least twice segment_size, which is {segment}"
    )]
    RetentionSize {
        /// The setting.
        retention: ByteSize,
        /// The size of a segment.
        segment: ByteSize,
    },
    /// Records would go before anyone reads them.
    #[error("retention_age is {0:?}; set it to at least 1s")]
    RetentionAge(Duration),
}

// === impl DiskConfig ===

impl Default for DiskConfig {
    fn default() -> Self {
        Self {
            segment_size: ByteSize::mib(64),
            retention_size: ByteSize::gib(1),
            retention_age: Duration::from_secs(7 * 24 * 3600),
        }
    }
}

impl DiskConfig {
    /// Everything that is wrong with it.
    #[must_use]
    pub fn faults(&self) -> Vec<ConfigError> {
        let mut faults = Vec::new();
        if !(LEAST_SEGMENT..=MOST_SEGMENT).contains(&self.segment_size) {
            faults.push(ConfigError::SegmentSize(self.segment_size));
        }
        if self.retention_size.as_u64() / 2 < self.segment_size.as_u64() {
            faults.push(ConfigError::RetentionSize {
                retention: self.retention_size,
                segment: self.segment_size,
            });
        }
        if self.retention_age < Duration::from_secs(1) {
            faults.push(ConfigError::RetentionAge(self.retention_age));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_sound_and_units_are_read() {
        assert_eq!(DiskConfig::default().faults(), []);
        let text = "segment_size = \"1 MiB\"\nretention_age = \"36h\"";
        let config: DiskConfig = toml::from_str(text).unwrap();
        assert_eq!(config.segment_size, ByteSize::mib(1));
        assert_eq!(config.retention_age, Duration::from_secs(36 * 3600));
        assert!(toml::from_str::<DiskConfig>("segmentsize = 1").is_err());
    }

    #[test]
    fn every_fault_is_reported_at_once() {
        let config = DiskConfig {
            segment_size: ByteSize::gib(2),
            retention_size: ByteSize::gib(2),
            retention_age: Duration::ZERO,
        };
        let faults: Vec<String> = config.faults().iter().map(ToString::to_string).collect();
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert!(
            faults[0].starts_with("segment_size is 2.0 GiB"),
            "{faults:?}"
        );
    }
}
