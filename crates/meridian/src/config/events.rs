//! Which event log the metadata service publishes to, and how it is kept.

use std::time::Duration;

use bytesize::ByteSize;
use meridian_chassis::config::duration;
use meridian_eventlog::DiskConfig;
#[cfg(feature = "kafka")]
use meridian_eventlog::KafkaConfig;
use serde::{Deserialize, Serialize};

/// The event log.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Events {
    /// Where it is kept: on disk, unless somebody chooses.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<Kind>,
    /// On disk: as [`DiskConfig`] has it.
    segment_size: ByteSize,
    /// The same.
    retention_size: ByteSize,
    /// The same.
    #[serde(with = "duration")]
    retention_age: Duration,
    /// In Kafka.
    #[cfg(feature = "kafka")]
    pub(crate) kafka: KafkaConfig,
}

/// Where an event log is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// In the data directory.
    #[default]
    Disk,
    /// In Kafka.
    #[cfg(feature = "kafka")]
    Kafka,
}

// === impl Events ===

impl Default for Events {
    fn default() -> Self {
        let disk = DiskConfig::default();
        Self {
            kind: None,
            segment_size: disk.segment_size,
            retention_size: disk.retention_size,
            retention_age: disk.retention_age,
            #[cfg(feature = "kafka")]
            kafka: KafkaConfig::default(),
        }
    }
}

impl Events {
    /// The settings of a log on disk.
    pub(crate) const fn disk(&self) -> DiskConfig {
        DiskConfig {
            segment_size: self.segment_size,
            retention_size: self.retention_size,
            retention_age: self.retention_age,
        }
    }

    /// Where it is kept.
    pub(crate) fn kind(&self) -> Kind {
        self.kind.unwrap_or_default()
    }

    /// How long it pays to gather events before they are appended: on disk each append is a sync, which
    /// pushes have to wait for as well.
    pub(crate) fn linger(&self) -> Duration {
        match self.kind() {
            Kind::Disk => Duration::from_millis(100),
            #[cfg(feature = "kafka")]
            Kind::Kafka => Duration::ZERO,
        }
    }

    /// What is wrong with the log that was chosen, for a group of several members. Each of them leads at
    /// some time, and publishes to its own disk then: no reader finds all events in one place.
    pub(crate) const fn fault_of_several(&self) -> Option<&'static str> {
        match self.kind {
            Some(_) => None,
            None => Some(
                "events.kind: missing; a group of several members publishes to Kafka, \"kafka\" (with \
                 \"disk\" each member keeps the events of the time in which it leads)",
            ),
        }
    }

    /// Everything that is wrong with the log that was chosen, in words that begin with its key.
    pub(crate) fn faults(&self) -> Vec<String> {
        match self.kind() {
            Kind::Disk => {
                let faults = self.disk().faults();
                faults.iter().map(|it| format!("events.{it}")).collect()
            }
            #[cfg(feature = "kafka")]
            Kind::Kafka => {
                let faults = self.kafka.faults();
                faults
                    .iter()
                    .map(|it| format!("events.kafka.{it}"))
                    .collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_from_before_there_was_a_choice_still_mean_the_disk() {
        let text = "segment_size = \"1 MiB\"\nretention_size = \"8 MiB\"\nretention_age = \"36h\"";
        let events: Events = toml::from_str(text).unwrap();
        assert_eq!(events.kind(), Kind::Disk);
        assert_eq!(events.disk().retention_age, Duration::from_hours(36));
        assert_eq!(events.faults(), Vec::<String>::new());
    }

    #[test]
    #[cfg(feature = "kafka")]
    fn only_the_log_that_was_chosen_is_judged() {
        let text = "kind = \"kafka\"\n[kafka]\nreplication = 1";
        let events: Events = toml::from_str(text).unwrap();
        let faults = events.faults();
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(
            faults[0].starts_with("events.kafka.brokers: none"),
            "{faults:?}"
        );
        let events: Events = toml::from_str("[kafka]\nreplication = 1").unwrap();
        assert_eq!(events.faults(), Vec::<String>::new());
    }
}
