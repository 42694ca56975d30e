//! The end of a full segment: its index, so that opening need not read the records.

use bytes::{Buf, BufMut};

use super::frame::{Frame, Kind};
use super::frame_writer::FrameWriter;
use crate::disk::index::Index;

const MAGIC: &[u8; 8] = b"MRDNSEAL";

/// The size of the trailer.
pub(in crate::disk) const TRAILER: usize = 16;

/// What is known about a segment to which nothing will be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::disk) struct Seal {
    /// When its last records were written.
    pub(in crate::disk) newest_millis: u64,
    /// For each shard, the offset at which the following segment goes on.
    pub(in crate::disk) next: Box<[u64]>,
    /// Where its records are.
    pub(in crate::disk) index: Index,
}

/// The position of the seal, if `bytes` are a trailer.
pub(in crate::disk) fn trailer_position(bytes: &[u8; TRAILER]) -> Option<u64> {
    let (position, magic) = bytes.split_first_chunk::<8>()?;
    (magic == MAGIC).then(|| u64::from_le_bytes(*position))
}

// === impl Seal ===

impl Seal {
    /// The seal frame and the trailer, to be written at `position`.
    pub(in crate::disk) fn encode(&self, seed: u32, position: u64) -> Vec<u8> {
        let mut frames = FrameWriter::new(seed, position, 0);
        frames.frame(Kind::Seal, |out| {
            out.put_u64_le(self.newest_millis);
            for next in &self.next {
                out.put_u64_le(*next);
            }
            for entries in self.index.shards() {
                let count = u32::try_from(entries.len());
                out.put_u32_le(count.expect("one entry per window of a segment"));
                for entry in entries {
                    out.put_u64_le(entry.offset);
                    out.put_u64_le(entry.position);
                }
            }
        });
        let mut out = frames.into_bytes();
        out.put_u64_le(position);
        out.put_slice(MAGIC);
        out
    }

    /// The seal in `bytes`, which lie at `position`, of a topic with `shards` shards.
    pub(in crate::disk) fn decode(
        bytes: &[u8],
        seed: u32,
        position: u64,
        shards: usize,
    ) -> Option<Self> {
        let frame = Frame::parse(bytes, position)?;
        let whole = frame.size() == bytes.len() && frame.kind() == Some(Kind::Seal);
        if !whole || !frame.verify(seed) {
            return None;
        }
        let mut body = frame.body();
        let newest_millis = body.try_get_u64_le().ok()?;
        let next: Result<Box<[u64]>, _> = (0..shards).map(|_| body.try_get_u64_le()).collect();
        let mut index = Index::new(shards);
        for shard in 0..shards {
            for _ in 0..body.try_get_u32_le().ok()? {
                let offset = body.try_get_u64_le().ok()?;
                index.note(shard, offset, body.try_get_u64_le().ok()?);
            }
        }
        body.is_empty().then_some(Self {
            newest_millis,
            next: next.ok()?,
            index,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_round_trips_at_its_place_only() {
        let mut index = Index::new(2);
        index.note(0, 1 << 63, 100);
        index.note(0, (1 << 63) + 9, 1 << 20);
        let seal = Seal {
            newest_millis: 5,
            next: [(1 << 63) + 10, 0].into(),
            index,
        };
        let bytes = seal.encode(1, 2_000);
        let (frame, trailer) = bytes.split_last_chunk::<TRAILER>().unwrap();
        assert_eq!(trailer_position(trailer), Some(2_000));
        assert_eq!(Seal::decode(frame, 1, 2_000, 2), Some(seal));
        assert_eq!(Seal::decode(frame, 1, 2_001, 2), None);
        assert_eq!(Seal::decode(frame, 2, 2_000, 2), None);
        assert_eq!(Seal::decode(frame, 1, 2_000, 1), None);
    }
}
