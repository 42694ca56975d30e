//! Reading a topic as it grows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use meridian_event::SHARDS;
use meridian_eventlog::{EventLog, KafkaEventLog, ReadError, ReadLimits, Record, Topic};
use tokio::task::JoinSet;

use super::ledger::Ledger;
use crate::client::CallError;

const LIMITS: ReadLimits = ReadLimits {
    records: 1_000,
    bytes: 8 << 20,
    wait: Duration::from_secs(1),
};

/// A reader for each shard, which end with this value.
pub(super) struct Tail(JoinSet<ReadError>);

/// The number by which the ledger knows a record; nothing for records about something else.
pub(super) type Number = fn(&Record) -> Option<u64>;

// === impl Tail ===

impl Tail {
    /// Reads what comes from now on, and notes it in the ledger.
    pub(super) async fn begin(
        log: &Arc<KafkaEventLog>,
        topic: &Topic,
        ledger: &Arc<Ledger>,
        number_in: Number,
    ) -> Result<Self, CallError> {
        let mut readers = JoinSet::new();
        for shard in 0..SHARDS {
            let bounds = log.bounds(topic, shard).await;
            let from = bounds.map_err(CallError::of("the end of a shard"))?.high;
            let (log, topic, ledger) = (Arc::clone(log), topic.clone(), Arc::clone(ledger));
            readers.spawn(async move {
                let mut shard = Shard {
                    log: &log,
                    topic: &topic,
                    shard,
                    from,
                };
                shard.follow(&ledger, number_in).await
            });
        }
        Ok(Self(readers))
    }

    /// Fails if a reader has.
    pub(super) fn still_reads(&mut self) -> Result<(), CallError> {
        match self.0.try_join_next() {
            None => Ok(()),
            Some(Ok(error)) => Err(CallError::of("a read of events")(error)),
            Some(Err(error)) => Err(CallError::of("a read of events")(error)),
        }
    }
}

/// Where a reader is.
struct Shard<'a> {
    log: &'a KafkaEventLog,
    topic: &'a Topic,
    shard: u16,
    from: u64,
}

// === impl Shard ===

impl Shard<'_> {
    async fn follow(&mut self, ledger: &Ledger, number_in: Number) -> ReadError {
        loop {
            let read = self.log.read(self.topic, self.shard, self.from, LIMITS);
            let records = match read.await {
                Ok(records) => records,
                Err(error) => return error,
            };
            let now = Instant::now();
            for stored in records {
                self.from = stored.offset + 1;
                if let Some(number) = number_in(&stored.record) {
                    ledger.seen(number, now);
                }
            }
        }
    }
}
