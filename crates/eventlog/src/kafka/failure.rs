//! What Kafka answers when it does not do what it was asked to.

use std::sync::Arc;

use meridian_error::{Classify, Code};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::config::KafkaConfigError;
use crate::Outage;

/// Why a log was not opened.
#[derive(Debug, thiserror::Error)]
pub enum KafkaOpenError {
    /// The configuration is not sound.
    #[error("the configuration of Kafka is not sound")]
    Config(#[source] KafkaConfigError),
    /// No client can be made of it: a certificate or a key cannot be used.
    #[error("no client of Kafka can be made of the configuration: {0}")]
    Client(String),
    /// The process is stopping.
    #[error("the event log was not opened, because the process is stopping")]
    Stopping,
}

/// Something that Kafka, or its client, did not do.
#[derive(Debug, Clone, thiserror::Error)]
#[error("Kafka did not {what}: {why}")]
pub(super) struct Failure {
    what: &'static str,
    why: String,
}

// === impl KafkaOpenError ===

impl From<KafkaError> for KafkaOpenError {
    fn from(error: KafkaError) -> Self {
        match error {
            // The whole would show the value, which may be a secret.
            KafkaError::ClientConfig(_, why, key, _) => Self::Client(format!("{key}: {why}")),
            error => Self::Client(error.to_string()),
        }
    }
}

impl Classify for KafkaOpenError {
    fn code(&self) -> Code {
        match self {
            Self::Config(_) | Self::Client(_) => Code::InvalidArgument,
            Self::Stopping => Code::Unavailable,
        }
    }
}

// === impl Failure ===

impl Failure {
    /// What was not done, in words that follow "did not", and why.
    pub(super) fn new(what: &'static str, why: impl Into<String>) -> Self {
        let why = why.into();
        Self { what, why }
    }

    /// Turns a failure of the client into one of ours, for `map_err`.
    pub(super) fn to(what: &'static str) -> impl Fn(KafkaError) -> Self {
        move |error| match error {
            KafkaError::ClientConfig(_, why, key, _) => Self::new(what, format!("{key}: {why}")),
            error => Self::new(what, error.to_string()),
        }
    }
}

impl From<Failure> for Outage {
    fn from(failure: Failure) -> Self {
        Self::Unavailable(Arc::new(failure))
    }
}

/// Whether it says that a topic, or a partition of it, is not there.
pub(super) fn is_missing(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownPartition
            | RDKafkaErrorCode::UnknownTopicId
    )
}
