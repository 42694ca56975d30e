//! Reading the event logs of other regions.
//!
//! Owns where each log is read from. A log is read from the cursor on, which is looked for in it:
//! its offsets are its own, and records may stand in it twice. Reading from further back does no
//! harm, so what is looked for is a record that the cursor has passed, or the oldest that is left.
//! A log that cannot be read is waited for; what is missing the engine asks of the origin. A record that
//! stops its stream is kept in mind, for somebody to say that it is to be passed over.

use std::sync::Arc;
use std::time::Duration;

use meridian_error::{Classify, Code};
use meridian_eventlog::{EventLog, ReadError, ReadLimits, StoredRecord, Topic};
use meridian_proto::decode_envelope;
use meridian_replication::{Arrival, Condition, Cursor, Offered, StreamId, StreamStatus};
use tokio_util::sync::CancellationToken;

use crate::shell::Shell;
use crate::stops;

/// How long a read waits for the next record.
const WAIT: Duration = Duration::from_secs(5);
/// How long to wait after a read that failed, and until a stream that is full has room.
const PAUSE: Duration = Duration::from_millis(500);
const ROOM: Duration = Duration::from_millis(20);
/// How many records are read at once.
const RECORDS: usize = 512;

/// A stream, and the log that carries it.
pub(crate) struct Consumer {
    shell: Arc<Shell>,
    log: Arc<dyn EventLog>,
    topic: Topic,
    stream: StreamId,
}

// === impl Consumer ===

impl Consumer {
    pub(crate) fn new(shell: Arc<Shell>, log: Arc<dyn EventLog>, stream: StreamId) -> Self {
        Self {
            topic: Topic::events(stream.origin),
            shell,
            log,
            stream,
        }
    }

    /// Reads until it is stopped.
    pub(crate) async fn run(self, stop: CancellationToken) {
        stop.run_until_cancelled(async {
            loop {
                if let Err(error) = self.follow().await {
                    self.tell(&error);
                }
                tokio::time::sleep(PAUSE).await;
            }
        })
        .await;
    }

    /// Reads from the cursor on, until the log fails, or the stream stops: then it is to be read
    /// from the cursor again.
    async fn follow(&self) -> Result<(), ReadError> {
        let mut from = self.seek().await?;
        loop {
            let room = self.shell.engine.look(|agent, _| agent.room(self.stream));
            if room.events == 0 || room.bytes == 0 {
                tokio::time::sleep(ROOM).await;
                continue;
            }
            let limits = ReadLimits {
                records: room.events.min(RECORDS),
                bytes: room.bytes,
                wait: WAIT,
            };
            let read = self.log.read(&self.topic, self.stream.shard, from, limits);
            let records = match read.await {
                Ok(records) => records,
                // Retention has passed us. What it took, the origin is asked for.
                Err(ReadError::OutOfRange { low, .. }) if low > from => {
                    from = low;
                    continue;
                }
                Err(error) => return Err(error),
            };
            for record in records {
                from = record.offset + 1;
                if !self.offer(&record).await {
                    return Ok(());
                }
            }
        }
    }

    /// Gives a record to the engine, when it has room. Says no when the stream takes none.
    async fn offer(&self, record: &StoredRecord) -> bool {
        if self.shell.stops.is_passed(self.stream, record) {
            return true;
        }
        let arrival = arrival(record);
        loop {
            let offered = self
                .shell
                .engine
                .tell(|agent, now| agent.offer(now, self.stream, arrival.clone()));
            match offered {
                Offered::Taken | Offered::Known => return true,
                Offered::Full => tokio::time::sleep(ROOM).await,
                Offered::Stopped => {
                    self.stand(record, &arrival);
                    return false;
                }
            }
        }
    }

    /// Keeps in mind where the stream is stopped, if it is by this record.
    fn stand(&self, record: &StoredRecord, arrival: &Arrival) {
        let condition = self.status().map(|it| it.condition);
        if let Some(Condition::Halted(halt)) = condition
            && stops::is_cause(halt, arrival)
        {
            self.shell.stops.stand(self.stream, record);
        }
    }

    fn status(&self) -> Option<StreamStatus> {
        let streams = self.shell.engine.look(|agent, now| agent.streams(now));
        streams.into_iter().find(|it| it.stream == self.stream)
    }

    /// Where to read from.
    async fn seek(&self) -> Result<u64, ReadError> {
        let cursor = self.status().map(|it| it.cursor);
        seek(&*self.log, &self.topic, self.stream.shard, cursor).await
    }

    fn tell(&self, error: &ReadError) {
        let stream = self.stream;
        let is_passing = matches!(error.code(), Code::Unavailable | Code::NotFound);
        let error = meridian_error::chain(error);
        if is_passing {
            tracing::debug!(%stream, error, "the event log of a region cannot be read");
        } else {
            tracing::warn!(%stream, error, "the event log of a region cannot be read");
        }
    }
}

/// The last record that a cursor has passed, or the oldest that is left.
async fn seek(
    log: &dyn EventLog,
    topic: &Topic,
    shard: u16,
    cursor: Option<Cursor>,
) -> Result<u64, ReadError> {
    let is_passed = |record: &StoredRecord| {
        let envelope = decode_envelope(&record.record.payload).ok()?;
        Some(Some(Cursor::of(&envelope.id)) <= cursor)
    };
    meridian_eventlog::seek(log, topic, shard, is_passed).await
}

fn arrival(record: &StoredRecord) -> Arrival {
    let payload = &record.record.payload;
    decode_envelope(payload).map_or(Arrival::Undecodable, |envelope| Arrival::Event {
        envelope: Arc::new(envelope),
        bytes: payload.len(),
    })
}

#[cfg(test)]
mod tests;
