//! The brokers of `cargo xtask parts`, and the topics that rows have there.
//!
//! Brokers belong to neither side: they outlive servers, run on any CPU, and what they use is known
//! but charged to nobody. Every server has a topic of its own.

use std::io;
use std::net::SocketAddr;
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
    /// The same, for those who come from afar,
    pub(crate) far_brokers: Vec<SocketAddr>,
    /// to whom they say that they are found here. Whatever leads from here to there has to be made.
    pub(crate) doors: Vec<SocketAddr>,
}

/// What `cargo xtask parts` has started, as far as it matters here.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Parts {
    kafka: Option<Kafka>,
    other_kafka: Option<Kafka>,
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
    Read(#[from] io::Error),
    #[error("the file of parts does not look as expected")]
    Form(#[from] toml::de::Error),
}

// === impl Parts ===

impl Parts {
    /// Those that a file names.
    pub(crate) fn find(file: &Path) -> Result<Self, PartsError> {
        Ok(toml::from_str(&std::fs::read_to_string(file)?)?)
    }

    /// The brokers of a region.
    pub(crate) fn kafka(&self) -> io::Result<&Kafka> {
        found(self.kafka.as_ref())
    }

    /// Those of another one.
    pub(crate) fn other_kafka(&self) -> io::Result<&Kafka> {
        found(self.other_kafka.as_ref())
    }
}

fn found(kafka: Option<&Kafka>) -> io::Result<&Kafka> {
    kafka.ok_or_else(|| {
        io::Error::other("no brokers; name the file of `cargo xtask parts up` with --parts")
    })
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
                    far_brokers = [\"127.0.0.1:3\"]\ndoors = [\"127.0.0.1:4\"]\n\
                    secure_brokers = [\"127.0.0.1:2\"]\n";
        std::fs::write(&file, text).unwrap();
        let parts = Parts::find(file.path()).unwrap();
        let kafka = parts.kafka().unwrap();
        assert_eq!(kafka.brokers, ["127.0.0.1:1"]);
        assert_eq!(kafka.processes, [7]);
        assert_eq!(kafka.doors, [([127, 0, 0, 1], 4).into()]);
        assert!(parts.other_kafka().is_err());
        std::fs::write(&file, "owner = 1\n").unwrap();
        assert!(Parts::find(file.path()).unwrap().kafka().is_err());
    }
}
