//! How operations on a log fail, and in which class.
//!
//! Owns one error per family of operations. What strikes any of them, because the log itself is
//! away, full or broken, is an [`Outage`], named once. What only the disk body can meet when it is
//! opened stands with that body.

use std::sync::Arc;

use meridian_error::{Classify, Code, Retry};

use crate::{MAX_APPEND_BYTES, MAX_SHARDS, Record, Topic};

/// What a body met, kept for whoever prints the chain. Shared, because one failure may answer
/// several appenders.
pub type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// The log itself failed, whatever was asked of it. An append that met an outage may have happened.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Outage {
    /// It does not answer, or refuses for now.
    #[error("the event log is unavailable")]
    Unavailable(#[source] Cause),
    /// There is no space left; nothing of the append was kept.
    #[error("the event log has no space left")]
    Full(#[source] Cause),
    /// A write or a sync failed, after which what the disk holds is unknown. The log takes nothing
    /// more until it is opened again.
    #[error("the event log has stopped after a failed write and has to be opened again")]
    Poisoned(#[source] Cause),
    /// It is being closed.
    #[error("the event log is closed")]
    Closed,
}

/// Why a topic was not created.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CreateTopicError {
    /// No topic can have that many shards.
    #[error("a topic has 1 to {MAX_SHARDS} shards, not {0}")]
    Shards(u16),
    /// The topic is there already, and differs.
    #[error("topic {topic} exists with {existing} shards, not {asked}")]
    ShardsDiffer {
        /// Which topic.
        topic: Topic,
        /// How many shards it has.
        existing: u16,
        /// How many it was to have.
        asked: u16,
    },
    /// The log failed.
    #[error(transparent)]
    Outage(#[from] Outage),
}

/// Why a batch was not acknowledged. After an [`Outage`] its outcome is unknown: nothing of it, a
/// prefix, or all may stand in the log. After any other error nothing was appended.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// No such topic.
    #[error("there is no topic {0}")]
    UnknownTopic(Topic),
    /// The topic has fewer shards.
    #[error("topic {topic} has no shard {shard}")]
    UnknownShard {
        /// Which topic.
        topic: Topic,
        /// Which shard.
        shard: u16,
    },
    /// A batch without records.
    #[error("a batch has at least one record")]
    Empty,
    /// A second batch for a shard in one append.
    #[error("two batches of one append are for shard {0}")]
    RepeatedShard(u16),
    /// A record above [`Record::MAX_BYTES`].
    #[error("a record of {size} bytes exceeds the limit of {}", Record::MAX_BYTES)]
    RecordTooLarge {
        /// Its size.
        size: usize,
    },
    /// A header whose name has a NUL in it, which no client of Kafka can read back.
    #[error("the name of a header holds a NUL")]
    HeaderName,
    /// More than [`MAX_APPEND_BYTES`] in one append.
    #[error("an append of {size} bytes exceeds the limit of {MAX_APPEND_BYTES}")]
    BatchTooLarge {
        /// The size of all its batches.
        size: usize,
    },
    /// The log failed.
    #[error(transparent)]
    Outage(#[from] Outage),
}

/// Why nothing was read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// No such topic.
    #[error("there is no topic {0}")]
    UnknownTopic(Topic),
    /// The topic has fewer shards.
    #[error("topic {topic} has no shard {shard}")]
    UnknownShard {
        /// Which topic.
        topic: Topic,
        /// Which shard.
        shard: u16,
    },
    /// Retention has passed the offset, or nothing has reached it yet. The reader decides what
    /// follows; no body ever moves it elsewhere.
    #[error("the offset lies outside of the stored range, {low} up to {high}")]
    OutOfRange {
        /// The oldest offset that is left.
        low: u64,
        /// The offset that the next record will get.
        high: u64,
    },
    /// What is stored is not what was appended.
    #[error("stored records are damaged")]
    Corrupt(#[source] Cause),
    /// The log failed.
    #[error(transparent)]
    Outage(#[from] Outage),
}

// === impl Classify ===

impl Classify for Outage {
    fn code(&self) -> Code {
        match self {
            Self::Unavailable(_) | Self::Closed => Code::Unavailable,
            Self::Full(_) => Code::ResourceExhausted,
            Self::Poisoned(_) => Code::Internal,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Unavailable(_) | Self::Full(_) => Retry::Yes { after: None },
            Self::Poisoned(_) | Self::Closed => Retry::No,
        }
    }
}

impl Classify for CreateTopicError {
    fn code(&self) -> Code {
        match self {
            Self::Shards(_) => Code::InvalidArgument,
            Self::ShardsDiffer { .. } => Code::AlreadyExists,
            Self::Outage(outage) => outage.code(),
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Outage(outage) => outage.retry(),
            Self::Shards(_) | Self::ShardsDiffer { .. } => Retry::No,
        }
    }
}

impl Classify for AppendError {
    fn code(&self) -> Code {
        match self {
            Self::UnknownTopic(_) | Self::UnknownShard { .. } => Code::NotFound,
            Self::Empty
            | Self::RepeatedShard(_)
            | Self::RecordTooLarge { .. }
            | Self::HeaderName
            | Self::BatchTooLarge { .. } => Code::InvalidArgument,
            Self::Outage(outage) => outage.code(),
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Outage(outage) => outage.retry(),
            _ => Retry::No,
        }
    }
}

impl Classify for ReadError {
    fn code(&self) -> Code {
        match self {
            Self::UnknownTopic(_) | Self::UnknownShard { .. } => Code::NotFound,
            Self::OutOfRange { .. } => Code::OutOfRange,
            Self::Corrupt(_) => Code::Internal,
            Self::Outage(outage) => outage.code(),
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Outage(outage) => outage.retry(),
            _ => Retry::No,
        }
    }
}
