//! What stands in the log's file, and what it says when it is read from the beginning.
//!
//! Owns the records: entries, in pieces where they are large, votes, positions, and what takes
//! entries back. Keeps the invariant that any suffix of the records which begins at or before the
//! last purge tells the whole state: a purge says again what was said before it.

use std::io;

use bytes::{Buf, Bytes};
use meridian_eventlog::{Record, StoredRecord};

use crate::raft::{LogId, RaftEntry, codec};

/// The longest piece of an entry. The event log takes records of 1 MiB, and entries carry
/// manifests of 4 MiB.
const PIECE: usize = 1 << 20;

const ENTRY: u8 = b'e';
const PIECE_OF_ENTRY: u8 = b'c';
const VOTE: u8 = b'v';
const COMMITTED: u8 = b'm';
const TRUNCATE: u8 = b't';
const PURGE: u8 = b'p';

/// A record, understood as far as a replay needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LogRecord {
    /// The first piece of the entry with that index.
    Entry(u64),
    /// One more piece of the entry before.
    Piece,
    /// The vote, encoded.
    Vote(Bytes),
    /// Which entries are committed, encoded.
    Committed(Bytes),
    /// Entries from this index on are gone.
    Truncate(u64),
    /// Entries up to this one are gone; encoded.
    Purge(Bytes),
}

/// The records of an encoded entry.
pub(super) fn entry(index: u64, encoded: Vec<u8>) -> impl Iterator<Item = Record> {
    let mut rest = Bytes::from(encoded);
    let pieces = u8::try_from(rest.len().div_ceil(PIECE).max(1)).unwrap_or(u8::MAX);
    let mut key = Vec::with_capacity(10);
    key.extend([ENTRY, pieces]);
    key.extend(index.to_le_bytes());
    let mut key = Some(Bytes::from(key));
    (0..pieces).map(move |piece| {
        let length = if piece + 1 == pieces {
            rest.len()
        } else {
            PIECE
        };
        let key = key.take().unwrap_or(Bytes::from_static(&[PIECE_OF_ENTRY]));
        Record::new(key, rest.split_to(length))
    })
}

/// The record of a vote.
pub(super) fn vote(encoded: &[u8]) -> Record {
    Record::new(vec![VOTE], encoded.to_vec())
}

/// The record of the committed position.
pub(super) fn committed(encoded: &[u8]) -> Record {
    Record::new(vec![COMMITTED], encoded.to_vec())
}

/// The record that takes back the entries from an index on.
pub(super) fn truncate(from: u64) -> Record {
    Record::new(vec![TRUNCATE], from.to_le_bytes().to_vec())
}

/// The record that lets entries go.
pub(super) fn purge(through: LogId) -> io::Result<Record> {
    Ok(Record::new(vec![PURGE], codec::encode(&through)?))
}

/// Understands a record.
pub(super) fn decode(stored: &StoredRecord) -> io::Result<LogRecord> {
    let (mut key, payload) = (&stored.record.key[..], &stored.record.payload);
    let damaged = || {
        let place = stored.offset;
        io::Error::other(format!(
            "record {place} of the log is none of this version's"
        ))
    };
    let record = match key.try_get_u8().map_err(|_| damaged())? {
        ENTRY => {
            key.try_get_u8().map_err(|_| damaged())?;
            LogRecord::Entry(key.try_get_u64_le().map_err(|_| damaged())?)
        }
        PIECE_OF_ENTRY => LogRecord::Piece,
        VOTE => LogRecord::Vote(payload.clone()),
        COMMITTED => LogRecord::Committed(payload.clone()),
        TRUNCATE => LogRecord::Truncate(payload.clone().try_get_u64_le().map_err(|_| damaged())?),
        PURGE => LogRecord::Purge(payload.clone()),
        _ => return Err(damaged()),
    };
    Ok(record)
}

/// The entry that begins with the first of `records`, unless more of them are needed.
pub(super) fn assemble(records: &[StoredRecord]) -> io::Result<Option<RaftEntry>> {
    let Some(first) = records.first() else {
        return Ok(None);
    };
    let pieces = match first.record.key[..] {
        [ENTRY, pieces, ..] => usize::from(pieces),
        _ => {
            return Err(io::Error::other(
                "the log has another record in an entry's place",
            ));
        }
    };
    if pieces == 1 {
        return codec::decode(&first.record.payload).map(Some);
    }
    let Some(records) = records.get(..pieces) else {
        return Ok(None);
    };
    let payloads = records.iter().map(|stored| &stored.record.payload[..]);
    codec::decode(&payloads.collect::<Vec<_>>().concat()).map(Some)
}

#[cfg(test)]
mod tests {
    use openraft::entry::RaftEntry as _;

    use super::*;
    use crate::raft::Vote;

    fn id(index: u64) -> LogId {
        LogId::new(*Vote::new_committed(1, 1).leader_id(), index)
    }

    fn stored(records: impl IntoIterator<Item = Record>) -> Vec<StoredRecord> {
        let numbered = (7..).zip(records);
        let stored = numbered.map(|(offset, record)| StoredRecord { offset, record });
        stored.collect()
    }

    #[test]
    fn an_entry_is_found_by_its_index_and_read_back() {
        let blank = RaftEntry::new_blank(id(300));
        let records = stored(entry(300, codec::encode(&blank).unwrap()));
        assert_eq!(decode(&records[0]).unwrap(), LogRecord::Entry(300));
        let read = assemble(&records).unwrap().unwrap();
        assert_eq!(read.log_id, blank.log_id);
    }

    #[test]
    fn a_large_entry_is_cut_and_put_together() {
        let bytes: Vec<u8> = (0..251).cycle().take(2 * PIECE + 5).collect();
        let records = stored(entry(1, bytes.clone()));
        assert_eq!(records.len(), 3);
        assert_eq!(decode(&records[2]).unwrap(), LogRecord::Piece);
        // It is no encoded entry, so it gets as far as the checksum, whole or not at all.
        assert!(assemble(&records[..2]).unwrap().is_none());
        assert!(assemble(&records).is_err());
        let payloads = records
            .iter()
            .flat_map(|stored| stored.record.payload.to_vec());
        assert_eq!(payloads.collect::<Vec<_>>(), bytes);
    }

    #[test]
    fn what_no_version_wrote_is_refused() {
        for key in [&b""[..], b"e", b"e\x01\0\0", b"x"] {
            let records = stored([Record::new(key.to_vec(), "")]);
            assert!(decode(&records[0]).is_err(), "{key:?}");
        }
        assert!(decode(&stored([Record::new("t", "short")])[0]).is_err());
    }
}
