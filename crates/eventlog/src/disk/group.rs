//! A group: the records of all appends that are written and synced at once.

use super::format::{COMMIT_FRAME, FrameWriter};
use crate::{Appended, ShardBatch};

/// The bytes of a group, and what it will have changed once they are durable.
pub(super) struct Group {
    frames: FrameWriter,
    /// Shard, offset and position of each record.
    pub(super) records: Vec<(u16, u64, u64)>,
    /// For each shard, the offset that comes next.
    pub(super) next: Box<[u64]>,
    /// Where each batch stands.
    pub(super) appended: Vec<Appended>,
}

// === impl Group ===

impl Group {
    /// A group that will lie at `position` in a segment with that `seed`, where the shards go on at
    /// `next`. The frames of the records to be added take `length` bytes.
    pub(super) fn new(
        seed: u32,
        position: u64,
        next: &[u64],
        now_millis: u64,
        length: usize,
    ) -> Self {
        let mut frames = FrameWriter::new(seed, position, COMMIT_FRAME + length);
        let length = u32::try_from(length).expect("groups are bounded far below 4 GiB");
        frames.commit(now_millis, length);
        Self {
            frames,
            records: Vec::new(),
            next: next.into(),
            appended: Vec::new(),
        }
    }

    /// Adds records, at the next offsets of their shard.
    pub(super) fn add(&mut self, batch: &ShardBatch) {
        let next = &mut self.next[usize::from(batch.shard)];
        let first = *next;
        for record in &batch.records {
            self.records
                .push((batch.shard, *next, self.frames.position()));
            self.frames.record(batch.shard, *next, record);
            *next += 1;
        }
        let last = *next - 1;
        self.appended.push(Appended { first, last });
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.frames.bytes()
    }
}
