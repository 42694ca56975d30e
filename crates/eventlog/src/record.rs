//! What is appended, and what is read back.

use bytes::Bytes;

/// One record, opaque to the log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// What it is about. It does not choose the shard: the appender does.
    pub key: Bytes,
    /// What it says. May be empty.
    pub payload: Bytes,
    /// Facts beside the payload, in order; names may repeat, and hold no NUL.
    pub headers: Vec<(Box<str>, Bytes)>,
}

/// A record at its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// Its place in its shard. Dense, from the shard's first offset on.
    pub offset: u64,
    /// What was appended there.
    pub record: Record,
}

// === impl Record ===

impl Record {
    /// The largest [`size`](Self::size) that every body takes: a payload of 1 MiB fits, with 64 KiB
    /// for all else. A Kafka topic's `max.message.bytes` has to allow it.
    pub const MAX_BYTES: usize = (1 << 20) + (64 << 10);

    /// What a record costs beyond its bytes, and each of its headers beyond theirs; so that limits
    /// in bytes bound the number of empty ones too.
    const OVERHEAD: usize = 40;
    const HEADER_OVERHEAD: usize = 8;

    /// A record without headers.
    #[must_use]
    pub fn new(key: impl Into<Bytes>, payload: impl Into<Bytes>) -> Self {
        Self {
            key: key.into(),
            payload: payload.into(),
            headers: Vec::new(),
        }
    }

    /// The record with one more header.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<Box<str>>, value: impl Into<Bytes>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Its size in bytes, as limits count it: the bytes of key, payload and headers, and a fixed
    /// charge for the record and for each header.
    #[must_use]
    pub fn size(&self) -> usize {
        let header =
            |(name, value): &(Box<str>, Bytes)| Self::HEADER_OVERHEAD + name.len() + value.len();
        let headers: usize = self.headers.iter().map(header).sum();
        Self::OVERHEAD + self.key.len() + self.payload.len() + headers
    }
}
