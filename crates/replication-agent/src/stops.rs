//! The records at which streams are stopped, and those that somebody has said to pass over.
//!
//! Owns where in its log each stopped stream stands. Keeps the invariant that a record is passed over
//! only because somebody said so of these very bytes at this place: the next one that cannot be read
//! stops the stream again. Nothing is lost by it: events are dense, so that one which such a record
//! told of is missing, and its origin is asked. Leaves to the engine what stops a stream.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use meridian_eventlog::StoredRecord;
use meridian_oci::{Algorithm, Digest};
use meridian_replication::{Arrival, Halt, StreamId};

use crate::shell::Shell;

/// What is known of each stream that has been stopped.
#[derive(Default)]
pub(crate) struct Stops {
    streams: Mutex<BTreeMap<StreamId, Stop>>,
}

#[derive(Default)]
struct Stop {
    /// Where it stands.
    at: Option<Mark>,
    passed: Vec<Mark>,
}

/// A record, by its place and what it says.
#[derive(PartialEq, Eq)]
struct Mark {
    offset: u64,
    digest: Digest,
}

// === impl Stops ===

impl Stops {
    /// The stream is stopped at this record.
    pub(crate) fn stand(&self, stream: StreamId, record: &StoredRecord) {
        self.streams().entry(stream).or_default().at = Some(Mark::of(record));
    }

    /// The offset of the record at which the stream is stopped.
    pub(crate) fn at(&self, stream: StreamId) -> Option<u64> {
        let streams = self.streams();
        Some(streams.get(&stream)?.at.as_ref()?.offset)
    }

    /// The record at which the stream is stopped is to be passed over; its offset.
    pub(crate) fn pass(&self, stream: StreamId) -> Option<u64> {
        let mut streams = self.streams();
        let stop = streams.get_mut(&stream)?;
        let mark = stop.at.take()?;
        let offset = mark.offset;
        stop.passed.push(mark);
        Some(offset)
    }

    /// Whether somebody has said to pass over this record.
    pub(crate) fn is_passed(&self, stream: StreamId, record: &StoredRecord) -> bool {
        let streams = self.streams();
        let passed = streams.get(&stream).map(|stop| &stop.passed);
        let mut there = passed
            .into_iter()
            .flatten()
            .filter(|mark| mark.offset == record.offset);
        there.any(|mark| *mark == Mark::of(record))
    }

    fn streams(&self) -> MutexGuard<'_, BTreeMap<StreamId, Stop>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Mark ===

impl Mark {
    fn of(record: &StoredRecord) -> Self {
        Self {
            offset: record.offset,
            digest: Digest::of(Algorithm::Sha256, &record.record.payload),
        }
    }
}

impl Shell {
    /// Has a stream that is stopped at a record go on behind it; the record's offset.
    pub(crate) fn skip(&self, stream: StreamId) -> Option<u64> {
        let offset = self.stops.pass(stream)?;
        tracing::warn!(%stream, offset, "a record of a region's event log is passed over: somebody has said so");
        self.engine.tell(|agent, _| agent.retry(stream));
        Some(offset)
    }
}

/// Whether it is this record that has stopped its stream, and the stream can go on behind it. Which of
/// two events that bear one id is the right one, nobody here knows.
pub(crate) fn is_cause(halt: Halt, arrival: &Arrival) -> bool {
    match (halt, arrival) {
        (Halt::Undecodable, Arrival::Undecodable) => true,
        (Halt::Misplaced(id), Arrival::Event { envelope, .. }) => envelope.id == id,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use meridian_eventlog::Record;

    use super::*;

    fn record(offset: u64, payload: &'static str) -> StoredRecord {
        StoredRecord {
            offset,
            record: Record::new("", payload),
        }
    }

    fn stream(shard: u16) -> StreamId {
        StreamId {
            origin: "eu".parse().unwrap(),
            shard,
        }
    }

    #[test]
    fn a_record_is_passed_over_once_somebody_says_so() {
        let (stops, bad) = (Stops::default(), record(7, "bad"));
        assert_eq!(stops.pass(stream(1)), None);
        stops.stand(stream(1), &bad);
        assert!(!stops.is_passed(stream(1), &bad));
        assert_eq!(stops.at(stream(1)), Some(7));
        assert_eq!(stops.pass(stream(1)), Some(7));
        assert!(stops.is_passed(stream(1), &bad));
        assert_eq!(stops.at(stream(1)), None);
        assert_eq!(stops.pass(stream(1)), None);
    }

    #[test]
    fn no_other_record_is_passed_over_with_it() {
        let stops = Stops::default();
        stops.stand(stream(1), &record(7, "bad"));
        stops.pass(stream(1));
        assert!(!stops.is_passed(stream(1), &record(8, "bad")));
        // The topic was made anew.
        assert!(!stops.is_passed(stream(1), &record(7, "worse")));
        assert!(!stops.is_passed(stream(2), &record(7, "bad")));
        stops.stand(stream(1), &record(9, "worse"));
        assert_eq!(stops.pass(stream(1)), Some(9));
        assert!(stops.is_passed(stream(1), &record(7, "bad")));
    }
}
