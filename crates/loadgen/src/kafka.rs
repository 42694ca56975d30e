//! The brokers of `cargo xtask parts`, and the topics that rows have there.
//!
//! Brokers belong to neither side: they outlive servers, run on any CPU, and what they use is known
//! but charged to nobody. Every server has a topic of its own.

use std::path::Path;

use meridian_clock::Region;
use meridian_eventlog::{KafkaConfig, KafkaEventLog, KafkaOpenError, Topic};
use serde::Deserialize;

/// Brokers that run.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Kafka {
    /// `host:port`, without encryption or password.
    pub(crate) brokers: Vec<String>,
    pub(crate) processes: Vec<u32>,
}

/// Where the events of a server are read.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    pub(crate) brokers: Vec<String>,
    /// Names the topic.
    pub(crate) region: Region,
}

/// Why there are no brokers.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PartsError {
    #[error("cannot read the file of parts")]
    Read(#[from] std::io::Error),
    #[error("the file of parts does not look as expected")]
    Form(#[from] toml::de::Error),
}

/// What `cargo xtask parts` writes, as far as it matters here.
#[derive(Deserialize)]
struct Parts {
    kafka: Option<Kafka>,
}

// === impl Kafka ===

impl Kafka {
    /// Those that a file of parts names, if it names any.
    pub(crate) fn find(parts: &Path) -> Result<Option<Self>, PartsError> {
        let parts: Parts = toml::from_str(&std::fs::read_to_string(parts)?)?;
        Ok(parts.kafka)
    }
}

// === impl Stream ===

impl Stream {
    pub(crate) fn topic(&self) -> Topic {
        Topic::events(self.region)
    }

    pub(crate) async fn open(&self) -> Result<KafkaEventLog, KafkaOpenError> {
        KafkaEventLog::open(KafkaConfig {
            brokers: self.brokers.clone(),
            single_broker: true,
            ..KafkaConfig::default()
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_are_found_among_the_parts() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "owner = 1\n[kafka]\nbrokers = [\"127.0.0.1:1\"]\nprocesses = [7]\n\
                    secure_brokers = [\"127.0.0.1:2\"]\n";
        std::fs::write(&file, text).unwrap();
        let kafka = Kafka::find(file.path()).unwrap().unwrap();
        assert_eq!(kafka.brokers, ["127.0.0.1:1"]);
        assert_eq!(kafka.processes, [7]);
        std::fs::write(&file, "owner = 1\n").unwrap();
        assert!(Kafka::find(file.path()).unwrap().is_none());
    }
}
