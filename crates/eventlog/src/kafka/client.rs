//! How clients of Kafka are made from the settings, and what they say.
//!
//! Owns every setting of librdkafka. Keeps two invariants: passwords enter here and are shown
//! nowhere; and the promises of the port are settings of the client, so that nothing else has to
//! keep them.

use std::path::Path;
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;

use super::config::KafkaConfig;
use crate::Record;

/// The name under which brokers log us, and the group that readers name without ever joining it:
/// the client library demands one.
const NAME: &str = "meridian";

/// Kafka's own framing of a batch, and more.
const FRAMING: usize = 4 << 10;
/// The client closes a batch before it passes this, and exceeds it by one record at most.
const BATCH_BYTES: usize = Record::MAX_BYTES + FRAMING;
/// What a topic's `max.message.bytes` has to allow.
pub(super) const MAX_MESSAGE_BYTES: usize = BATCH_BYTES + Record::MAX_BYTES + FRAMING;
/// Records read ahead of a reader, and at most so many bytes of one fetch.
const AHEAD: usize = 1_000;
const FETCH_BYTES: usize = 4 << 20;

/// Makes the settings of clients.
#[derive(Clone)]
pub(super) struct Settings {
    common: ClientConfig,
    linger: Duration,
}

/// Hands on what a client says about itself.
pub(super) struct Telling;

// === impl Settings ===

impl Settings {
    pub(super) fn new(config: &KafkaConfig) -> Self {
        let request_timeout = config.request_timeout.as_millis().to_string();
        let mut common = ClientConfig::new();
        common
            .set("bootstrap.servers", config.brokers.join(","))
            .set("client.id", NAME)
            // A topic that a broker makes up would have the broker's settings, and one shard.
            .set("allow.auto.create.topics", "false")
            .set("enable.metrics.push", "false")
            .set("socket.keepalive.enable", "true")
            .set("socket.nagle.disable", "true")
            .set("socket.connection.setup.timeout.ms", &request_timeout)
            .set("reconnect.backoff.ms", "100")
            .set("reconnect.backoff.max.ms", "1000")
            .set_log_level(RDKafkaLogLevel::Info);
        secure(&mut common, config);
        Self {
            common,
            linger: config.linger,
        }
    }

    /// For questions about topics.
    pub(super) fn asking(&self) -> ClientConfig {
        self.common.clone()
    }

    /// For reading. Offsets are ours: nothing is committed, and an offset outside of the bounds is an
    /// error (reliability E3).
    pub(super) fn reading(&self) -> ClientConfig {
        let mut config = self.common.clone();
        config
            .set("group.id", NAME)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("check.crcs", "true")
            .set("fetch.error.backoff.ms", "100")
            // Without it a full queue is not filled again for a second.
            .set("fetch.queue.backoff.ms", "10")
            .set("queued.min.messages", AHEAD.to_string())
            .set(
                "queued.max.messages.kbytes",
                (FETCH_BYTES >> 10).to_string(),
            )
            .set("message.max.bytes", FETCH_BYTES.to_string())
            .set("fetch.message.max.bytes", FETCH_BYTES.to_string())
            .set("fetch.max.bytes", FETCH_BYTES.to_string());
        config
    }

    /// For appending. Records are acknowledged by all replicas in sync, stand once and in order, and
    /// after one that fails nothing follows. The client gives up nothing by itself: one record that
    /// timed out before its followers would leave a gap. Who waits gives up the whole producer.
    pub(super) fn appending(&self) -> ClientConfig {
        let mut config = self.common.clone();
        config
            .set("enable.idempotence", "true")
            .set("enable.gapless.guarantee", "true")
            .set("acks", "all")
            .set("message.timeout.ms", "0")
            .set("linger.ms", self.linger.as_millis().to_string())
            .set("compression.type", "lz4")
            .set("message.max.bytes", BATCH_BYTES.to_string())
            // Both are beyond what the queue of appends lets through.
            .set("queue.buffering.max.kbytes", (256 << 10).to_string())
            .set("queue.buffering.max.messages", 4_000_000.to_string());
        config
    }
}

fn secure(client: &mut ClientConfig, config: &KafkaConfig) {
    let protocol = match (&config.tls, &config.sasl) {
        (None, None) => "PLAINTEXT",
        (Some(_), None) => "SSL",
        (None, Some(_)) => "SASL_PLAINTEXT",
        (Some(_), Some(_)) => "SASL_SSL",
    };
    client.set("security.protocol", protocol);
    if let Some(tls) = &config.tls {
        client.set("ssl.endpoint.identification.algorithm", "https");
        match &tls.ca_file {
            Some(path) => set_path(client, "ssl.ca.location", path),
            // Ours is built with OpenSSL, which has no authorities of its own: look for the system's.
            None => {
                client.set("ssl.ca.location", "probe");
            }
        }
        for (key, path) in [
            ("ssl.certificate.location", &tls.certificate_file),
            ("ssl.key.location", &tls.key_file),
        ] {
            if let Some(path) = path {
                set_path(client, key, path);
            }
        }
    }
    if let Some(sasl) = &config.sasl {
        client
            .set("sasl.mechanism", sasl.mechanism.name())
            .set("sasl.username", &sasl.user)
            .set("sasl.password", sasl.password.expose());
    }
}

fn set_path(client: &mut ClientConfig, key: &str, path: &Path) {
    client.set(key, path.to_string_lossy());
}

// === impl Telling ===

impl ClientContext for Telling {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(facility, "the client of Kafka: {message}");
            }
            // What it calls an error is a connection that it makes again.
            RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => {
                tracing::warn!(facility, "the client of Kafka: {message}");
            }
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
                tracing::debug!(facility, "the client of Kafka: {message}");
            }
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, "the client of Kafka: {reason}");
    }
}

impl ConsumerContext for Telling {}
