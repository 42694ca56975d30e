//! Frames, written.

use bytes::{BufMut, Bytes};

use super::frame::{COMMIT_MAGIC, Kind, PREFIX, checksum};
use crate::{Record, ShardBatch};

/// What a record's frame has besides its key, payload and headers.
const RECORD_FIXED: usize = PREFIX + 1 + 2 + 8 + 4 + 4 + 4;

/// Makes the bytes of frames that will lie one after the other.
pub(in crate::disk) struct FrameWriter {
    seed: u32,
    /// Where the first byte will lie.
    base: u64,
    bytes: Vec<u8>,
}

/// The size of the frames of a batch.
pub(in crate::disk) fn record_frame_size(batch: &ShardBatch) -> usize {
    let header = |(name, value): &(Box<str>, Bytes)| 8 + name.len() + value.len();
    let record = |record: &Record| {
        let headers: usize = record.headers.iter().map(header).sum();
        RECORD_FIXED + record.key.len() + record.payload.len() + headers
    };
    batch.records.iter().map(record).sum()
}

// === impl FrameWriter ===

impl FrameWriter {
    /// Frames for `base` and after in a segment with that `seed`; they will take about `size` bytes.
    pub(in crate::disk) fn new(seed: u32, base: u64, size: usize) -> Self {
        Self {
            seed,
            base,
            bytes: Vec::with_capacity(size),
        }
    }

    pub(in crate::disk) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where the next frame will lie.
    pub(in crate::disk) fn position(&self) -> u64 {
        self.base + self.bytes.len() as u64
    }

    /// The frame that begins a group with `length` bytes of records.
    pub(in crate::disk) fn commit(&mut self, at_millis: u64, length: u32) {
        self.frame(Kind::Commit, |out| {
            out.put_slice(COMMIT_MAGIC);
            out.put_u64_le(at_millis);
            out.put_u32_le(length);
        });
    }

    /// The frame of a record.
    pub(in crate::disk) fn record(&mut self, shard: u16, offset: u64, record: &Record) {
        let count = |length: usize| u32::try_from(length).expect("a record is just above 1 MiB");
        self.frame(Kind::Record, |out| {
            out.put_u16_le(shard);
            out.put_u64_le(offset);
            out.put_u32_le(count(record.key.len()));
            out.put_u32_le(count(record.payload.len()));
            out.put_u32_le(count(record.headers.len()));
            for (name, value) in &record.headers {
                out.put_u32_le(count(name.len()));
                out.put_u32_le(count(value.len()));
                out.put_slice(name.as_bytes());
                out.put_slice(value);
            }
            out.put_slice(&record.key);
            out.put_slice(&record.payload);
        });
    }

    /// A frame with what `body` puts after the kind.
    pub(super) fn frame(&mut self, kind: Kind, body: impl FnOnce(&mut Vec<u8>)) {
        let (start, position) = (self.bytes.len(), self.position());
        self.bytes.put_bytes(0, PREFIX);
        self.bytes.put_u8(kind as u8);
        body(&mut self.bytes);
        let covered = &self.bytes[start + PREFIX..];
        let length = u32::try_from(covered.len()).expect("a frame is far below 4 GiB");
        let checksum = checksum(self.seed, position, covered);
        self.bytes[start..start + 4].copy_from_slice(&length.to_le_bytes());
        self.bytes[start + 4..start + PREFIX].copy_from_slice(&checksum.to_le_bytes());
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_count_no_less_than_the_file_takes() {
        let headed = Record::new("key", "payload")
            .with_header("a", "1")
            .with_header("", "");
        for record in [Record::default(), headed] {
            let size = record.size();
            let records = vec![record];
            assert!(record_frame_size(&ShardBatch { shard: 0, records }) <= size);
        }
    }
}
