//! The settings of the Kafka body.

use std::path::PathBuf;
use std::time::Duration;

use meridian_secret::Secret;
use serde::{Deserialize, Serialize};

/// Replicas of a topic, and those among them that have a record before it is acknowledged, below
/// which the loss of one broker may lose acknowledged events.
pub(super) const LEAST_REPLICATION: u16 = 3;
pub(super) const LEAST_IN_SYNC: u16 = 2;

const LEAST_TIMEOUT: Duration = Duration::from_millis(100);
const MOST_TIMEOUT: Duration = Duration::from_mins(10);
const MOST_LINGER: Duration = Duration::from_secs(1);

/// Where Kafka is, and how it is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaConfig {
    /// Some of the brokers, each `host:port`; they name the others.
    pub brokers: Vec<String>,
    /// One broker is all there is: topics have one replica, and are lost with it.
    pub single_broker: bool,
    /// How many replicas topics are created with.
    pub replication: u16,
    /// How many of them have a record before it is acknowledged.
    pub min_in_sync: u16,
    /// How long topics are created to keep records.
    #[serde(with = "humantime_serde")]
    pub retention_age: Duration,
    /// How long records wait for more of their shard, to be sent as one request. Appends are batches
    /// already: all that waiting saves is requests, for brokers that are short of time.
    #[serde(with = "humantime_serde")]
    pub linger: Duration,
    /// How long an append may take until its outcome counts as unknown.
    #[serde(with = "humantime_serde")]
    pub append_timeout: Duration,
    /// How long any other request may take.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
    /// Encrypts the connections. Without it they are plain.
    pub tls: Option<KafkaTls>,
    /// Proves to the brokers who we are, by a password. Without it nothing does, or a certificate.
    pub sasl: Option<KafkaSasl>,
}

/// How connections to brokers are encrypted. Their certificates are always verified, and name them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaTls {
    /// PEM file of the authorities that sign the brokers' certificates, if not the system's.
    pub ca_file: Option<PathBuf>,
    /// PEM file of our own certificate, where brokers ask for one.
    pub certificate_file: Option<PathBuf>,
    /// PEM file of its key.
    pub key_file: Option<PathBuf>,
}

/// A user of the brokers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaSasl {
    /// How the password is proven.
    pub mechanism: KafkaSaslMechanism,
    /// The name.
    pub user: String,
    /// The password.
    pub password: Secret,
}

/// How a password is proven without being sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum KafkaSaslMechanism {
    /// SCRAM with SHA-256.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// SCRAM with SHA-512.
    #[default]
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

/// Why a configuration is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KafkaConfigError {
    /// Nowhere to connect.
    #[error("brokers: none; name some, each host:port")]
    NoBrokers,
    /// Not an address.
    #[error("brokers: {0:?} is not host:port")]
    Broker(String),
    /// Too few replicas to survive a broker.
    #[error(
        "replication is {0}; set it to at least {LEAST_REPLICATION}, or single_broker = true where \
         events may be lost with a broker"
    )]
    Replication(u16),
    /// Too few copies to survive a broker, or so many that one that is away stops everything.
    #[error(
        "min_in_sync is {min_in_sync}; set it to at least {LEAST_IN_SYNC} and below replication, \
         which is {replication}, or set single_broker = true where events may be lost with a broker"
    )]
    MinInSync {
        /// The setting.
        min_in_sync: u16,
        /// The number of replicas.
        replication: u16,
    },
    /// Records would go before anyone reads them.
    #[error("retention_age is {0:?}; set it to at least 1m")]
    RetentionAge(Duration),
    /// Events would be late for nothing.
    #[error("linger is {0:?}; set it to at most {MOST_LINGER:?}")]
    Linger(Duration),
    /// Too short to be kept, or too long to be noticed.
    #[error("{name} is {value:?}; set it between {LEAST_TIMEOUT:?} and {MOST_TIMEOUT:?}")]
    Timeout {
        /// Which setting.
        name: &'static str,
        /// The setting.
        value: Duration,
    },
    /// One is useless without the other.
    #[error("tls: certificate_file and key_file go together; name both or neither")]
    HalfCertificate,
    /// Nobody to be.
    #[error("sasl.user: missing")]
    NoUser,
    /// Nothing to prove it with.
    #[error("sasl.password: missing; name a file that holds it with sasl.password_file")]
    NoPassword,
}

// === impl KafkaConfig ===

impl Default for KafkaConfig {
    fn default() -> Self {
        Self {
            brokers: Vec::new(),
            single_broker: false,
            replication: LEAST_REPLICATION,
            min_in_sync: LEAST_IN_SYNC,
            retention_age: Duration::from_hours(7 * 24),
            linger: Duration::ZERO,
            append_timeout: Duration::from_secs(15),
            request_timeout: Duration::from_secs(10),
            tls: None,
            sasl: None,
        }
    }
}

impl KafkaConfig {
    /// Everything that is wrong with it.
    #[must_use]
    pub fn faults(&self) -> Vec<KafkaConfigError> {
        let mut faults = self.placement_faults();
        if self.retention_age < Duration::from_mins(1) {
            faults.push(KafkaConfigError::RetentionAge(self.retention_age));
        }
        if self.linger > MOST_LINGER {
            faults.push(KafkaConfigError::Linger(self.linger));
        }
        for (name, value) in [
            ("append_timeout", self.append_timeout),
            ("request_timeout", self.request_timeout),
        ] {
            if !(LEAST_TIMEOUT..=MOST_TIMEOUT).contains(&value) {
                faults.push(KafkaConfigError::Timeout { name, value });
            }
        }
        if let Some(tls) = &self.tls
            && tls.certificate_file.is_some() != tls.key_file.is_some()
        {
            faults.push(KafkaConfigError::HalfCertificate);
        }
        if let Some(sasl) = &self.sasl {
            if sasl.user.is_empty() {
                faults.push(KafkaConfigError::NoUser);
            }
            if sasl.password.is_empty() {
                faults.push(KafkaConfigError::NoPassword);
            }
        }
        faults
    }

    fn placement_faults(&self) -> Vec<KafkaConfigError> {
        let mut faults = Vec::new();
        if self.brokers.is_empty() {
            faults.push(KafkaConfigError::NoBrokers);
        }
        let strange = self.brokers.iter().filter(|broker| !is_address(broker));
        faults.extend(strange.cloned().map(KafkaConfigError::Broker));
        if self.single_broker {
            return faults;
        }
        let Self {
            replication,
            min_in_sync,
            ..
        } = *self;
        if replication < LEAST_REPLICATION {
            faults.push(KafkaConfigError::Replication(replication));
        }
        if min_in_sync < LEAST_IN_SYNC || min_in_sync >= replication.max(LEAST_REPLICATION) {
            faults.push(KafkaConfigError::MinInSync {
                min_in_sync,
                replication,
            });
        }
        faults
    }

    /// How many replicas a topic is created with.
    pub(super) const fn replicas(&self) -> u16 {
        if self.single_broker {
            1
        } else {
            self.replication
        }
    }

    /// How many of them acknowledge.
    pub(super) const fn in_sync(&self) -> u16 {
        if self.single_broker {
            1
        } else {
            self.min_in_sync
        }
    }
}

// === impl KafkaSaslMechanism ===

impl KafkaSaslMechanism {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

fn is_address(broker: &str) -> bool {
    // A comma would separate brokers, and a scheme choose how to connect.
    let strange = |host: &str| host.is_empty() || host.contains([',', '/', ' ']);
    let parts = broker.rsplit_once(':');
    parts.is_some_and(|(host, port)| !strange(host) && port.parse::<u16>().is_ok_and(|it| it > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> KafkaConfig {
        KafkaConfig {
            brokers: vec!["kafka-0:9092".to_owned(), "[::1]:9092".to_owned()],
            ..KafkaConfig::default()
        }
    }

    #[test]
    fn brokers_are_all_that_has_to_be_named() {
        assert_eq!(sound().faults(), []);
        assert_eq!(
            KafkaConfig::default().faults(),
            [KafkaConfigError::NoBrokers]
        );
    }

    #[test]
    fn all_settings_are_read_and_others_refused() {
        let text = r#"
            brokers = ["a:1", "b:2"]
            retention_age = "3days"
            append_timeout = "20s"
            [tls]
            ca_file = "/etc/ca.pem"
            [sasl]
            mechanism = "SCRAM-SHA-256"
            user = "meridian"
            password = "secret"
        "#;
        let config: KafkaConfig = toml::from_str(text).unwrap();
        assert_eq!(config.faults(), []);
        assert_eq!(config.append_timeout, Duration::from_secs(20));
        let sasl = config.sasl.unwrap();
        assert_eq!(sasl.mechanism, KafkaSaslMechanism::ScramSha256);
        for text in [
            "broker = []",
            "[tls]\nverify = false",
            "[sasl]\nmechanism = \"PLAIN\"",
        ] {
            assert!(toml::from_str::<KafkaConfig>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_password_never_shows() {
        let config = KafkaConfig {
            sasl: Some(KafkaSasl {
                password: Secret::new("hunter2"),
                ..KafkaSasl::default()
            }),
            ..sound()
        };
        let shown = format!("{config:?} {}", toml::to_string(&config).unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("***"), "{shown}");
    }

    #[test]
    fn every_fault_is_reported_at_once() {
        let config = KafkaConfig {
            brokers: vec!["kafka".to_owned(), "a:1,b:2".to_owned()],
            replication: 2,
            min_in_sync: 1,
            retention_age: Duration::ZERO,
            linger: Duration::from_secs(2),
            append_timeout: Duration::ZERO,
            tls: Some(KafkaTls {
                key_file: Some("key.pem".into()),
                ..KafkaTls::default()
            }),
            sasl: Some(KafkaSasl::default()),
            ..KafkaConfig::default()
        };
        let faults: Vec<String> = config.faults().iter().map(ToString::to_string).collect();
        assert_eq!(faults.len(), 10, "{faults:#?}");
        assert!(faults[2].starts_with("replication is 2"), "{faults:#?}");
    }

    #[test]
    fn one_broker_is_enough_for_those_who_say_so() {
        let config = KafkaConfig {
            single_broker: true,
            replication: 1,
            min_in_sync: 1,
            ..sound()
        };
        assert_eq!(config.faults(), []);
        assert_eq!((config.replicas(), config.in_sync()), (1, 1));
        let config = KafkaConfig {
            min_in_sync: 3,
            ..sound()
        };
        assert_eq!(config.faults().len(), 1, "no broker could be away");
    }
}
