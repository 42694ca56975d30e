#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod batch;
mod bounds;
#[cfg(feature = "testing")]
pub mod conformance;
#[cfg(feature = "disk")]
mod disk;
mod error;
#[cfg(feature = "testing")]
mod faulty;
#[cfg(feature = "kafka")]
mod kafka;
mod log;
mod memory;
mod record;
#[cfg(feature = "disk")]
mod reopening;
mod seek;
mod topic;

pub use batch::{Appended, MAX_APPEND_BYTES, ShardBatch};
pub use bounds::Bounds;
#[cfg(feature = "disk")]
pub use disk::{ConfigError, CorruptSegment, DiskConfig, DiskEventLog, OpenError};
pub use error::{AppendError, Cause, CreateTopicError, Outage, ReadError};
#[cfg(feature = "testing")]
pub use faulty::Faulty;
#[cfg(feature = "kafka")]
pub use kafka::{
    KafkaConfig, KafkaConfigError, KafkaEventLog, KafkaOpenError, KafkaSasl, KafkaSaslMechanism,
    KafkaTls, TopicFault,
};
pub use log::{EventLog, MAX_SHARDS, ReadLimits};
pub use memory::MemoryEventLog;
pub use record::{Record, StoredRecord};
#[cfg(feature = "disk")]
pub use reopening::ReopeningEventLog;
pub use seek::seek;
pub use topic::{ParseTopicError, Topic};
