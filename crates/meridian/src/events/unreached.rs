//! The event log of a region that keeps it on a disk of its own.
//!
//! Reads as one that is away, which is a case that every reader knows: its region is asked instead.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use meridian_clock::Region;
use meridian_eventlog::{
    AppendError, Appended, Bounds, CreateTopicError, EventLog, Outage, ReadError, ReadLimits,
    ShardBatch, StoredRecord, Topic,
};

/// The log of that region.
#[derive(Debug)]
pub(super) struct Unreached(pub(super) Region);

// === impl Unreached ===

impl Unreached {
    fn outage(&self) -> Outage {
        let Self(region) = self;
        let why =
            format!("region {region} keeps its events on disk; name its Kafka, if it has one");
        Outage::Unavailable(Arc::new(io::Error::new(io::ErrorKind::NotConnected, why)))
    }
}

#[async_trait]
impl EventLog for Unreached {
    async fn create_topic(&self, _: &Topic, _: u16) -> Result<(), CreateTopicError> {
        Err(self.outage().into())
    }

    async fn append_many(
        &self,
        _: &Topic,
        batches: Vec<ShardBatch>,
    ) -> Vec<Result<Appended, AppendError>> {
        let refused = |_| Err(self.outage().into());
        batches.into_iter().map(refused).collect()
    }

    async fn bounds(&self, _: &Topic, _: u16) -> Result<Bounds, ReadError> {
        Err(self.outage().into())
    }

    async fn last(&self, _: &Topic, _: u16) -> Result<Option<StoredRecord>, ReadError> {
        Err(self.outage().into())
    }

    async fn read(
        &self,
        _: &Topic,
        _: u16,
        _: u64,
        _: ReadLimits,
    ) -> Result<Vec<StoredRecord>, ReadError> {
        Err(self.outage().into())
    }
}
