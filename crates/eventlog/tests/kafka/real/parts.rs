//! Where Kafka is.

use std::path::PathBuf;
use std::time::Duration;

use meridian_eventlog::{
    EventLog, KafkaConfig, KafkaEventLog, KafkaSasl, KafkaSaslMechanism, KafkaTls, Topic,
};
use meridian_secret::Secret;
use serde::Deserialize;

#[derive(Deserialize)]
struct Parts {
    kafka: Kafka,
}

/// The brokers that run.
#[derive(Deserialize)]
pub(super) struct Kafka {
    brokers: Vec<String>,
    pub(super) processes: Vec<i32>,
    secure_brokers: Vec<String>,
    ca_file: PathBuf,
    certificate_file: PathBuf,
    key_file: PathBuf,
    user: String,
    password_file: PathBuf,
}

// === impl Kafka ===

impl Kafka {
    pub(super) fn find() -> Self {
        let path = std::env::var_os("XTASK_PARTS");
        let path = path.expect("XTASK_PARTS names what `cargo xtask parts up` has written");
        let text = std::fs::read_to_string(path).unwrap();
        toml::from_str::<Parts>(&text).unwrap().kafka
    }

    /// Without encryption or password.
    pub(super) fn plain(&self) -> KafkaConfig {
        KafkaConfig {
            brokers: self.brokers.clone(),
            single_broker: self.brokers.len() < 3,
            append_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(20),
            ..KafkaConfig::default()
        }
    }

    /// With both.
    pub(super) fn secure(&self, mechanism: KafkaSaslMechanism) -> KafkaConfig {
        let password = std::fs::read_to_string(&self.password_file).unwrap();
        KafkaConfig {
            brokers: self.secure_brokers.clone(),
            tls: Some(KafkaTls {
                ca_file: Some(self.ca_file.clone()),
                certificate_file: Some(self.certificate_file.clone()),
                key_file: Some(self.key_file.clone()),
            }),
            sasl: Some(KafkaSasl {
                mechanism,
                user: self.user.clone(),
                password: Secret::new(password),
            }),
            ..self.plain()
        }
    }
}

/// A log, and a topic of its own with that many shards.
pub(super) async fn open(config: KafkaConfig, name: &str, shards: u16) -> (KafkaEventLog, Topic) {
    let log = KafkaEventLog::open(config).await.unwrap();
    let topic: Topic = name.parse().unwrap();
    log.create_topic(&topic, shards).await.unwrap();
    (log, topic)
}
