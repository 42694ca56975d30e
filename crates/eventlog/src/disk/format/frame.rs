//! Frames, understood: what commits and records say, and whether they are what was written.

use bytes::{Buf, Bytes};

use super::Damage;
use crate::{Record, StoredRecord};

pub(super) const COMMIT_MAGIC: &[u8; 8] = b"cOmMiT\r\n";

/// Length and checksum.
pub(super) const PREFIX: usize = 8;

/// The size of a commit frame.
pub(in crate::disk) const COMMIT_FRAME: usize = PREFIX + 1 + 8 + 8 + 4;

/// No record's frame is longer: [`Record::size`] charges for what surrounds the bytes.
pub(in crate::disk) const MAX_RECORD_FRAME: usize = Record::MAX_BYTES;

/// What kind of frame it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(in crate::disk) enum Kind {
    /// A group begins.
    Commit = 1,
    /// A record.
    Record = 2,
    /// The segment is full.
    Seal = 3,
}

/// A frame as it lies in the file, its checksum not yet verified.
#[derive(Debug, Clone, Copy)]
pub(in crate::disk) struct Frame<'a> {
    /// Where it begins.
    pub(in crate::disk) position: u64,
    checksum: u32,
    /// Kind and body.
    bytes: &'a [u8],
}

/// A record's frame whose checksum is right and whose content is not: it was written wrongly.
#[derive(Debug)]
pub(in crate::disk) struct RecordFault(pub(in crate::disk) Damage);

/// The record in a verified frame.
pub(in crate::disk) fn decode_record(frame: &Frame<'_>) -> Result<StoredRecord, RecordFault> {
    const CUT: RecordFault = RecordFault("a record is shorter than its fields");
    let mut rest = Bytes::copy_from_slice(frame.bytes);
    // Kind and shard were looked at before.
    if rest.len() < 3 {
        return Err(CUT);
    }
    rest.advance(3);
    let offset = rest.try_get_u64_le().map_err(|_| CUT)?;
    let key = rest.try_get_u32_le().map_err(|_| CUT)?;
    let payload = rest.try_get_u32_le().map_err(|_| CUT)?;
    let count = rest.try_get_u32_le().map_err(|_| CUT)?;
    let mut headers = Vec::new();
    for _ in 0..count {
        let name = rest.try_get_u32_le().map_err(|_| CUT)?;
        let value = rest.try_get_u32_le().map_err(|_| CUT)?;
        let name = take(&mut rest, name).ok_or(CUT)?;
        let name = std::str::from_utf8(&name)
            .map_err(|_| RecordFault("the name of a header is not text"))?
            .into();
        headers.push((name, take(&mut rest, value).ok_or(CUT)?));
    }
    let key = take(&mut rest, key).ok_or(CUT)?;
    let payload = take(&mut rest, payload).ok_or(CUT)?;
    if !rest.is_empty() {
        return Err(RecordFault("a record is longer than its fields"));
    }
    let record = Record {
        key,
        payload,
        headers,
    };
    Ok(StoredRecord { offset, record })
}

/// Whether a valid commit frame begins anywhere in `bytes`, which lie at `base` in the file.
pub(in crate::disk) fn commit_follows(bytes: &[u8], seed: u32, base: u64) -> bool {
    let candidates = bytes.windows(COMMIT_FRAME).enumerate();
    let mut commits = candidates.filter(|(_, window)| {
        window[PREFIX] == Kind::Commit as u8 && window[PREFIX + 1..].starts_with(COMMIT_MAGIC)
    });
    commits.any(|(at, window)| {
        let frame = Frame::parse(window, base + at as u64);
        frame.is_some_and(|frame| frame.size() == COMMIT_FRAME && frame.verify(seed))
    })
}

fn take(rest: &mut Bytes, length: u32) -> Option<Bytes> {
    let length = usize::try_from(length).ok()?;
    (length <= rest.len()).then(|| rest.split_to(length))
}

/// The checksum of a frame's kind and body, which lie at `position` in a segment with that `seed`.
pub(super) fn checksum(seed: u32, position: u64, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    hasher.update(&position.to_le_bytes());
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

// === impl Frame ===

impl<'a> Frame<'a> {
    /// The size of the frame that begins with `prefix`, if it has at least a kind.
    pub(in crate::disk) fn size_at(prefix: [u8; 4]) -> Option<usize> {
        let length = usize::try_from(u32::from_le_bytes(prefix)).ok()?;
        (length > 0).then(|| length.saturating_add(PREFIX))
    }

    /// The frame at the start of `bytes`, if they hold all of it.
    pub(in crate::disk) fn parse(bytes: &'a [u8], position: u64) -> Option<Self> {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (checksum, rest) = rest.split_first_chunk::<4>()?;
        let size = Self::size_at(*length)?;
        Some(Self {
            position,
            checksum: u32::from_le_bytes(*checksum),
            bytes: rest.get(..size - PREFIX)?,
        })
    }

    /// How much of the file it takes.
    pub(in crate::disk) const fn size(&self) -> usize {
        PREFIX + self.bytes.len()
    }

    /// Whether its bytes are those that were written at its place.
    pub(in crate::disk) fn verify(&self, seed: u32) -> bool {
        checksum(seed, self.position, self.bytes) == self.checksum
    }

    pub(in crate::disk) fn kind(&self) -> Option<Kind> {
        match self.bytes.first()? {
            1 => Some(Kind::Commit),
            2 => Some(Kind::Record),
            3 => Some(Kind::Seal),
            _ => None,
        }
    }

    /// What follows the kind.
    pub(super) fn body(&self) -> &'a [u8] {
        self.bytes.get(1..).unwrap_or_default()
    }

    /// When a commit was written, and how many bytes of records follow it.
    pub(in crate::disk) fn commit(&self) -> Option<(u64, u64)> {
        let mut body = self.body().strip_prefix(COMMIT_MAGIC)?;
        let at = body.try_get_u64_le().ok()?;
        let length = body.try_get_u32_le().ok()?;
        body.is_empty().then_some((at, u64::from(length)))
    }

    /// Whose record this is, and where in its shard.
    pub(in crate::disk) fn place(&self) -> Option<(u16, u64)> {
        let mut body = self.body();
        let shard = body.try_get_u16_le().ok()?;
        let offset = body.try_get_u64_le().ok()?;
        Some((shard, offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::format::FrameWriter;

    fn record() -> Record {
        Record::new("key", "payload")
            .with_header("a", "1")
            .with_header("", "")
    }

    fn encoded() -> Vec<u8> {
        let mut frames = FrameWriter::new(9, 1_000, 0);
        frames.record(15, (1 << 63) + 5, &record());
        frames.into_bytes()
    }

    #[test]
    fn a_record_round_trips() {
        let bytes = encoded();
        let frame = Frame::parse(&bytes, 1_000).unwrap();
        assert!(frame.verify(9));
        assert_eq!(frame.kind(), Some(Kind::Record));
        assert_eq!(frame.place(), Some((15, (1 << 63) + 5)));
        assert_eq!(frame.size(), bytes.len());
        let stored = decode_record(&frame).unwrap();
        assert_eq!(stored.offset, (1 << 63) + 5);
        assert_eq!(stored.record, record());
    }

    #[test]
    fn a_frame_is_valid_at_its_place_in_its_segment_only() {
        let bytes = encoded();
        assert!(!Frame::parse(&bytes, 1_001).unwrap().verify(9));
        assert!(!Frame::parse(&bytes, 1_000).unwrap().verify(8));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_seen() {
        let bytes = encoded();
        for position in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[position] ^= 1;
            let frame = Frame::parse(&flipped, 1_000);
            assert!(
                frame.is_none_or(|frame| !frame.verify(9)),
                "flipped at {position}"
            );
            assert!(
                Frame::parse(&bytes[..position], 1_000).is_none(),
                "cut at {position}"
            );
        }
    }

    #[test]
    fn a_commit_is_found_among_other_bytes() {
        let mut bytes = b"payload cOmMiT\r\n and more".to_vec();
        assert!(!commit_follows(&bytes, 9, 50));
        let base = 50 + bytes.len() as u64;
        let mut frames = FrameWriter::new(9, base, 0);
        frames.commit(77, 1_234);
        let commit = frames.into_bytes();
        let frame = Frame::parse(&commit, base).unwrap();
        assert_eq!(frame.commit(), Some((77, 1_234)));
        bytes.extend_from_slice(&commit);
        bytes.extend_from_slice(b"tail");
        assert!(commit_follows(&bytes, 9, 50));
        assert!(!commit_follows(&bytes, 9, 51));
    }
}
